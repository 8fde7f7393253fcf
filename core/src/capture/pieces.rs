//! Hashing the pieces that went by.
//!
//! Blocks of one torrent are put together for each receiver apart, as one may be sent bad data. A piece that is whole is hashed and let go. What is
//! zero by the torrent itself, its pad files, need not be sent.

use super::said::{Item, Said, StreamFacts};
use super::{CaptureLimits, Heard};
use crate::bitfield::Bitfield;
use crate::border::{InfoHash, PeerId};
use crate::metainfo::{BLOCK_LENGTH, Metainfo, PieceIndex, merkle};
use crate::wire::Message;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// Whom blocks were sent to: a peer by what it calls itself, or its address where its handshake was not heard.
type Receiver = (Option<PeerId>, Option<SocketAddr>);

/// Puts pieces of a torrent together, and checks them.
#[derive(Clone, Debug)]
pub struct PieceCheck<'t> {
    torrent: &'t Metainfo,
    names: Vec<InfoHash>,
    max_held: u64,
    held: u64,
    partial: BTreeMap<(Receiver, PieceIndex), Partial>,
    seen: Bitfield,
    good: Bitfield,
    bad: u64,
    dropped: u64,
}

/// A piece of which blocks were seen.
#[derive(Clone, Debug)]
struct Partial {
    bytes: Vec<u8>,
    /// What is still missing, sorted.
    missing: Vec<Range<u32>>,
}

impl<'t> PieceCheck<'t> {
    /// A check of a torrent's pieces.
    pub fn new(torrent: &'t Metainfo, limits: &CaptureLimits) -> PieceCheck<'t> {
        let pieces = torrent.geometry().pieces();
        PieceCheck {
            torrent,
            names: torrent.hashes().names().collect(),
            max_held: limits.max_pieces_held,
            held: 0,
            partial: BTreeMap::new(),
            seen: Bitfield::none(pieces),
            good: Bitfield::none(pieces),
            bad: 0,
            dropped: 0,
        }
    }

    /// How many pieces were whole in what some peer was sent.
    pub fn seen(&self) -> u32 {
        self.seen.count()
    }

    /// How many of these had the right hash, for one peer at least.
    pub fn good(&self) -> u32 {
        self.good.count()
    }

    /// How often a peer was sent a whole piece with a wrong hash.
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// How many pieces were given up, because too many were not whole at the same time.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Looks at one thing that was heard; `facts` are those of its connection.
    pub fn look(&mut self, heard: &Heard, facts: Option<&StreamFacts>) {
        if let (Heard::Stream(_, item), Some(facts)) = (heard, facts)
            && let Item { from, said: Said::Message { message: Message::Piece { piece, begin, data }, .. }, .. } = item
            // One whose handshakes are missing may be about this torrent; the hashes will tell.
            && facts.info_hash().is_none_or(|hash| self.names.contains(&hash))
        {
            let to = from.other();
            let receiver = match facts.side(to).peer_id {
                Some(id) => (Some(id), None),
                None => (None, Some(facts.addr(to))),
            };
            self.block(receiver, *piece, *begin, data);
        }
    }

    fn block(&mut self, receiver: Receiver, piece: u32, begin: u32, data: &[u8]) {
        let geometry = self.torrent.geometry();
        let Ok(length) = u32::try_from(data.len()) else { return };
        let Some(block) = geometry.block(piece, begin, length) else { return };
        let piece = block.piece();
        let key = (receiver, piece);
        if !self.partial.contains_key(&key) {
            self.make_room(u64::from(geometry.length(piece)));
        }
        let (torrent, held) = (self.torrent, &mut self.held);
        let partial = self.partial.entry(key).or_insert_with(|| {
            *held += u64::from(geometry.length(piece));
            Partial::new(torrent, piece)
        });
        partial.fill(begin, data);
        if !partial.missing.is_empty() {
            return;
        }
        let Some(partial) = self.partial.remove(&key) else { return };
        self.held -= partial.bytes.len() as u64;
        self.seen.insert(piece.get());
        if is_good(self.torrent, piece, &partial.bytes) {
            self.good.insert(piece.get());
        } else {
            self.bad += 1;
        }
    }

    /// Gives up pieces, those of the highest numbers first, until another fits.
    fn make_room(&mut self, needed: u64) {
        while self.held.saturating_add(needed) > self.max_held
            && let Some((_, partial)) = self.partial.pop_last()
        {
            self.held -= partial.bytes.len() as u64;
            self.dropped += 1;
        }
    }
}

impl Partial {
    fn new(torrent: &Metainfo, piece: PieceIndex) -> Partial {
        let length = torrent.geometry().length(piece);
        let mut missing: Vec<Range<u32>> = Vec::new();
        let mut at = 0;
        for range in torrent.layout().ranges(piece.get(), 0, length) {
            // Ranges of a piece are no longer than it.
            let end = at + range.length as u32;
            let pad = torrent.layout().files().get(range.file).is_some_and(|file| file.pad);
            match missing.last_mut() {
                _ if pad => {}
                Some(last) if last.end == at => last.end = end,
                _ => missing.push(at..end),
            }
            at = end;
        }
        Partial { bytes: alloc::vec![0; length as usize], missing }
    }

    /// Takes a block that lies in the piece. Of bytes that come twice, the later ones count: a receiver asks again for what was bad.
    fn fill(&mut self, begin: u32, data: &[u8]) {
        let (start, end) = (begin as usize, begin as usize + data.len());
        if let Some(place) = self.bytes.get_mut(start..end) {
            place.copy_from_slice(data);
        }
        let end = end as u32;
        let left = self.missing.iter().flat_map(|range| {
            let before = range.start..range.end.min(begin);
            let behind = range.start.max(end)..range.end;
            [before, behind].into_iter().filter(|range| range.start < range.end)
        });
        self.missing = left.collect();
    }
}

/// Whether a piece has the right hash: of v1 where there is one.
fn is_good(torrent: &Metainfo, piece: PieceIndex, bytes: &[u8]) -> bool {
    match torrent.piece_hashes().get(piece) {
        Some(hash) => hash[..] == Sha1::digest(bytes)[..],
        None => is_good_v2(torrent, piece, bytes).unwrap_or(false),
    }
}

/// Whether a piece of a v2 torrent has the right hash; `None` when the torrent does not tell it.
///
/// BEP 52: pieces are of one file each; the hash of one is the root over its blocks of 16 KiB. Where the file has several, it stands in the piece
/// layer; where it has one, the tree is only as large as the file needs.
fn is_good_v2(torrent: &Metainfo, piece: PieceIndex, bytes: &[u8]) -> Option<bool> {
    let geometry = torrent.geometry();
    let offset = geometry.offset(piece);
    let file = torrent
        .files()
        .iter()
        .find(|file| !file.pad && file.length > 0 && (file.offset..file.offset + file.length).contains(&offset))?;
    let root = file.pieces_root?;
    let inside = usize::try_from(file.length - (offset - file.offset)).unwrap_or(usize::MAX).min(bytes.len());
    let mut leaves: Vec<merkle::Node> =
        bytes[..inside].chunks(BLOCK_LENGTH as usize).map(|block| Sha256::digest(block).into()).collect();
    if file.length <= u64::from(geometry.piece_length()) {
        return Some(merkle::root(leaves, 0)? == root);
    }
    leaves.resize(geometry.piece_length().div_ceil(BLOCK_LENGTH) as usize, [0; 32]);
    let number = usize::try_from((offset - file.offset) / u64::from(geometry.piece_length())).ok()?;
    let layer = torrent.piece_layer(&root)?;
    let hash = layer.get(number.checked_mul(32)?..)?.first_chunk::<32>()?;
    Some(merkle::root(leaves, 0)? == *hash)
}
