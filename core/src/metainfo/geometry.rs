//! How a torrent is cut into pieces and blocks: the only maker of [`PieceIndex`] and [`Block`].
//!
//! A value of either type says that somebody has checked it against a torrent's [`Geometry`]. Numbers off the wire become
//! one through [`Geometry::piece`] and [`Geometry::block`], or are refused there, so no later code does the arithmetic.

use core::fmt;

/// The size of the blocks that are asked for: 16 KiB (BEP 3: "All current implementations use 2^14").
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// The number of a piece that exists in the torrent it was made for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The plain number, counted from 0.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as an index into a slice.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A range of bytes inside one piece, as `request` and `piece` messages name it.
///
/// `length` is at least 1 and the range ends inside the piece. Only blocks whose `begin` is a multiple of 16 KiB and
/// whose length is 16 KiB (less at the end of the piece) are asked for by us; peers may ask for others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    piece: PieceIndex,
    begin: u32,
    length: u32,
}

impl Block {
    /// The piece that holds it.
    pub const fn piece(self) -> PieceIndex {
        self.piece
    }

    /// Its first byte, counted from the start of the piece.
    pub const fn begin(self) -> u32 {
        self.begin
    }

    /// How many bytes it has.
    pub const fn length(self) -> u32 {
        self.length
    }

    /// Which 16 KiB block of the piece it starts in, counted from 0.
    pub const fn number(self) -> u32 {
        self.begin / BLOCK_LENGTH
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}+{}:{}", self.piece.0, self.begin, self.length)
    }
}

/// The sizes of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    piece_length: u32,
    total_length: u64,
    pieces: u32,
}

/// Why sizes do not make a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryError {
    /// A piece length of 0.
    ZeroPieceLength,
    /// No bytes at all.
    Empty,
    /// More pieces than [`Geometry::MAX_PIECES`].
    TooManyPieces(u64),
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GeometryError::ZeroPieceLength => f.write_str("the piece length is 0"),
            GeometryError::Empty => f.write_str("the torrent holds no data"),
            GeometryError::TooManyPieces(count) => {
                write!(f, "{count} pieces, more than the {} that are handled", Geometry::MAX_PIECES)
            }
        }
    }
}

impl core::error::Error for GeometryError {}

impl Geometry {
    /// The most pieces that a torrent may have. libtorrent's default (`max_piece_count`); at 20 bytes a hash it is
    /// 40 MiB of hashes, and a bitfield message of 256 KiB.
    pub const MAX_PIECES: u32 = 2_097_152;

    /// The geometry of `total_length` bytes cut at every `piece_length`.
    pub fn new(total_length: u64, piece_length: u32) -> Result<Geometry, GeometryError> {
        if piece_length == 0 {
            return Err(GeometryError::ZeroPieceLength);
        }
        if total_length == 0 {
            return Err(GeometryError::Empty);
        }
        let pieces = total_length.div_ceil(u64::from(piece_length));
        match u32::try_from(pieces) {
            Ok(count) if count <= Self::MAX_PIECES => Ok(Geometry { piece_length, total_length, pieces: count }),
            _ => Err(GeometryError::TooManyPieces(pieces)),
        }
    }

    /// How many pieces there are; at least 1.
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// The length of every piece but the last, in bytes.
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// All bytes of the torrent, pad files included.
    pub const fn total_length(&self) -> u64 {
        self.total_length
    }

    /// The piece of this number, when the torrent has it.
    pub const fn piece(&self, number: u32) -> Option<PieceIndex> {
        if number < self.pieces { Some(PieceIndex(number)) } else { None }
    }

    /// All pieces, rising.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        (0..self.pieces).map(PieceIndex)
    }

    /// Where a piece starts, counted from the first byte of the torrent.
    pub const fn offset(&self, piece: PieceIndex) -> u64 {
        piece.0 as u64 * self.piece_length as u64
    }

    /// The length of a piece in bytes; the last one may be shorter.
    pub const fn length(&self, piece: PieceIndex) -> u32 {
        let rest = self.total_length - self.offset(piece);
        if rest < self.piece_length as u64 { rest as u32 } else { self.piece_length }
    }

    /// How many 16 KiB blocks a piece has, the last one counted even when short.
    pub const fn blocks(&self, piece: PieceIndex) -> u32 {
        self.length(piece).div_ceil(BLOCK_LENGTH)
    }

    /// Block `number` of a piece, when it has that many.
    pub const fn nth_block(&self, piece: PieceIndex, number: u32) -> Option<Block> {
        if number >= self.blocks(piece) {
            return None;
        }
        let begin = number * BLOCK_LENGTH;
        let rest = self.length(piece) - begin;
        Some(Block { piece, begin, length: if rest < BLOCK_LENGTH { rest } else { BLOCK_LENGTH } })
    }

    /// The range that a message names, when it lies inside a piece and is not empty.
    pub const fn block(&self, piece: u32, begin: u32, length: u32) -> Option<Block> {
        let Some(piece) = self.piece(piece) else { return None };
        if length == 0 {
            return None;
        }
        match begin.checked_add(length) {
            Some(end) if end <= self.length(piece) => Some(Block { piece, begin, length }),
            _ => None,
        }
    }

    /// The blocks of a piece, in order.
    pub fn blocks_of(&self, piece: PieceIndex) -> impl DoubleEndedIterator<Item = Block> + use<'_> {
        (0..self.blocks(piece)).filter_map(move |number| self.nth_block(piece, number))
    }

    /// Whether a range is one that we would ask for: starting on a 16 KiB boundary and a whole block long.
    pub const fn is_standard(&self, block: Block) -> bool {
        match self.nth_block(block.piece, block.number()) {
            Some(standard) => standard.begin == block.begin && standard.length == block.length,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_and_block_are_short() {
        let geometry = Geometry::new(100_000, 32_768).unwrap();
        assert_eq!(geometry.pieces(), 4);
        let last = geometry.piece(3).unwrap();
        assert_eq!(geometry.length(last), 100_000 - 3 * 32_768);
        assert_eq!(geometry.blocks(last), 1);
        assert_eq!(geometry.nth_block(last, 0).unwrap().length(), 1_696);
        assert_eq!(geometry.piece(4), None);
        let sum: u64 = geometry
            .iter()
            .flat_map(|p| geometry.blocks_of(p).collect::<alloc::vec::Vec<_>>())
            .map(|b| u64::from(b.length()))
            .sum();
        assert_eq!(sum, 100_000);
    }

    #[test]
    fn ranges_off_the_wire_are_checked_without_overflow() {
        let geometry = Geometry::new(100_000, 32_768).unwrap();
        assert!(geometry.block(0, 0, 16_384).is_some());
        assert!(geometry.block(0, 32_768, 1).is_none());
        assert!(geometry.block(0, 32_767, 1).is_some());
        assert!(geometry.block(0, 0, 0).is_none());
        assert!(geometry.block(0, u32::MAX, 2).is_none());
        assert!(geometry.block(4, 0, 1).is_none());
        assert!(!geometry.is_standard(geometry.block(0, 1, 16_384).unwrap()));
        assert!(geometry.is_standard(geometry.block(3, 0, 1_696).unwrap()));
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert_eq!(Geometry::new(1, 0), Err(GeometryError::ZeroPieceLength));
        assert_eq!(Geometry::new(0, 1), Err(GeometryError::Empty));
        assert_eq!(Geometry::new(u64::MAX, 1), Err(GeometryError::TooManyPieces(u64::MAX)));
    }
}
