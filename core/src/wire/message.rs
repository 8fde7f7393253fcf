//! The messages of BEP 3 and BEP 6, and the envelope of BEP 10.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::fmt;

/// Message numbers.
pub(super) mod id {
    pub(crate) const CHOKE: u8 = 0;
    pub(crate) const UNCHOKE: u8 = 1;
    pub(crate) const INTERESTED: u8 = 2;
    pub(crate) const NOT_INTERESTED: u8 = 3;
    pub(crate) const HAVE: u8 = 4;
    pub(crate) const BITFIELD: u8 = 5;
    pub(crate) const REQUEST: u8 = 6;
    pub(crate) const PIECE: u8 = 7;
    pub(crate) const CANCEL: u8 = 8;
    pub(crate) const PORT: u8 = 9;
    pub(crate) const SUGGEST: u8 = 13;
    pub(crate) const HAVE_ALL: u8 = 14;
    pub(crate) const HAVE_NONE: u8 = 15;
    pub(crate) const REJECT: u8 = 16;
    pub(crate) const ALLOWED_FAST: u8 = 17;
    pub(crate) const EXTENDED: u8 = 20;
}

/// A range of a piece as it stands on the wire: three numbers that nobody has checked.
///
/// [`Geometry::block`](crate::metainfo::Geometry::block) turns it into a [`Block`](crate::metainfo::Block), or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    /// The piece's number.
    pub piece: u32,
    /// The first byte, counted from the start of the piece.
    pub begin: u32,
    /// How many bytes.
    pub length: u32,
}

impl From<crate::metainfo::Block> for BlockRange {
    fn from(block: crate::metainfo::Block) -> BlockRange {
        BlockRange { piece: block.piece().get(), begin: block.begin(), length: block.length() }
    }
}

/// One message. Numbers are as they came: not checked against any torrent.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// BEP 3: "Messages of length zero are keepalives, and ignored."
    KeepAlive,
    /// No request is served from now on (but for those allowed fast).
    Choke,
    /// Requests are served from now on.
    Unchoke,
    /// The sender would ask for something if it were unchoked.
    Interested,
    /// The sender wants nothing.
    NotInterested,
    /// The sender has got this piece.
    Have(u32),
    /// The pieces that the sender has.
    Bitfield(Bytes),
    /// The sender wants this range.
    Request(BlockRange),
    /// Content of the torrent.
    Piece {
        /// The piece's number.
        piece: u32,
        /// Where in the piece the data begin.
        begin: u32,
        /// The data. The core does not look at them.
        data: Bytes,
    },
    /// The sender does not want this range any more.
    Cancel(BlockRange),
    /// BEP 5: the port of the sender's DHT node.
    Port(u16),
    /// BEP 6: "you might like to download this piece."
    Suggest(u32),
    /// BEP 6: the sender has every piece.
    HaveAll,
    /// BEP 6: the sender has no piece.
    HaveNone,
    /// BEP 6: this request will not be served.
    Reject(BlockRange),
    /// BEP 6: "if you ask for this piece, I'll give it to you even if you're choked."
    AllowedFast(u32),
    /// BEP 10: a message of an extension; number 0 is the extended handshake.
    Extended {
        /// The number that the *receiver* gave the extension.
        id: u8,
        /// The rest.
        payload: Bytes,
    },
    /// A message that is not known here (those of BEP 52 among them). Ignored.
    Unknown {
        /// Its number.
        id: u8,
        /// The rest.
        payload: Bytes,
    },
}

/// Bytes that are not a message.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The length in front of the message is above the limit.
    TooLong {
        /// The length that was declared.
        length: u32,
    },
    /// A message of fixed size that has another one.
    WrongLength {
        /// Its number.
        id: u8,
        /// The length that was declared.
        length: u32,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::TooLong { length } => write!(f, "message of {length} bytes, longer than any that is allowed"),
            WireError::WrongLength { id, length } => write!(f, "message {id} with the wrong length {length}"),
        }
    }
}

impl core::error::Error for WireError {}

impl Message {
    /// Reads what follows the length and the number of a message, except for `piece`, whose head the framer reads.
    pub(super) fn decode(id: u8, body: Bytes) -> Result<Message, WireError> {
        // The caller has checked the length against a limit far below 2^32.
        let wrong = Err(WireError::WrongLength { id, length: body.len() as u32 + 1 });
        let plain = |message| if body.is_empty() { Ok(message) } else { wrong.clone() };
        let number = || body[..].try_into().map(u32::from_be_bytes).ok();
        let range = || {
            let numbers: [u8; 12] = body[..].try_into().ok()?;
            let [piece, begin, length] = [0, 4, 8].map(|at| be32(&numbers, at));
            Some(BlockRange { piece, begin, length })
        };
        match id {
            id::CHOKE => plain(Message::Choke),
            id::UNCHOKE => plain(Message::Unchoke),
            id::INTERESTED => plain(Message::Interested),
            id::NOT_INTERESTED => plain(Message::NotInterested),
            id::HAVE => number().map(Message::Have).map_or(wrong, Ok),
            id::BITFIELD => Ok(Message::Bitfield(body)),
            id::REQUEST => range().map(Message::Request).map_or(wrong, Ok),
            id::PIECE => match body.first_chunk::<8>().map(|head| [0, 4].map(|at| be32(head, at))) {
                Some([piece, begin]) => {
                    let mut data = body;
                    data.advance(8);
                    Ok(Message::Piece { piece, begin, data })
                }
                None => wrong,
            },
            id::CANCEL => range().map(Message::Cancel).map_or(wrong, Ok),
            id::PORT => body[..].try_into().map(u16::from_be_bytes).map_or(wrong, |port| Ok(Message::Port(port))),
            id::SUGGEST => number().map(Message::Suggest).map_or(wrong, Ok),
            id::HAVE_ALL => plain(Message::HaveAll),
            id::HAVE_NONE => plain(Message::HaveNone),
            id::REJECT => range().map(Message::Reject).map_or(wrong, Ok),
            id::ALLOWED_FAST => number().map(Message::AllowedFast).map_or(wrong, Ok),
            id::EXTENDED => match body.first() {
                Some(&id) => Ok(Message::Extended { id, payload: body.slice(1..) }),
                None => wrong,
            },
            id => Ok(Message::Unknown { id, payload: body }),
        }
    }

    /// How many bytes it takes, its length in front included.
    pub fn encoded_len(&self) -> u64 {
        let rest = match self {
            Message::KeepAlive => return 4,
            Message::Choke
            | Message::Unchoke
            | Message::Interested
            | Message::NotInterested
            | Message::HaveAll
            | Message::HaveNone => 0,
            Message::Have(_) | Message::Suggest(_) | Message::AllowedFast(_) => 4,
            Message::Bitfield(bits) => bits.len() as u64,
            Message::Request(_) | Message::Cancel(_) | Message::Reject(_) => 12,
            Message::Piece { data, .. } => 8 + data.len() as u64,
            Message::Port(_) => 2,
            Message::Extended { payload, .. } => 1 + payload.len() as u64,
            Message::Unknown { payload, .. } => payload.len() as u64,
        };
        5 + rest
    }

    /// Its number; a keep-alive has none.
    pub fn id(&self) -> Option<u8> {
        Some(match self {
            Message::KeepAlive => return None,
            Message::Choke => id::CHOKE,
            Message::Unchoke => id::UNCHOKE,
            Message::Interested => id::INTERESTED,
            Message::NotInterested => id::NOT_INTERESTED,
            Message::Have(_) => id::HAVE,
            Message::Bitfield(_) => id::BITFIELD,
            Message::Request(_) => id::REQUEST,
            Message::Piece { .. } => id::PIECE,
            Message::Cancel(_) => id::CANCEL,
            Message::Port(_) => id::PORT,
            Message::Suggest(_) => id::SUGGEST,
            Message::HaveAll => id::HAVE_ALL,
            Message::HaveNone => id::HAVE_NONE,
            Message::Reject(_) => id::REJECT,
            Message::AllowedFast(_) => id::ALLOWED_FAST,
            Message::Extended { .. } => id::EXTENDED,
            Message::Unknown { id, .. } => *id,
        })
    }

    /// Appends the message, its length in front.
    ///
    /// What is longer than 2^32 bytes cannot be said on the wire; nothing in memory for a peer comes near it.
    pub fn emit(&self, out: &mut BytesMut) {
        match self {
            Message::KeepAlive => out.put_u32(0),
            Message::Choke => plain(out, id::CHOKE),
            Message::Unchoke => plain(out, id::UNCHOKE),
            Message::Interested => plain(out, id::INTERESTED),
            Message::NotInterested => plain(out, id::NOT_INTERESTED),
            Message::Have(piece) => number(out, id::HAVE, *piece),
            Message::Bitfield(bits) => bytes(out, id::BITFIELD, &[], bits),
            Message::Request(block) => range(out, id::REQUEST, *block),
            Message::Piece { piece, begin, data } => {
                emit_piece_head(out, BlockRange { piece: *piece, begin: *begin, length: data.len() as u32 });
                out.put_slice(data);
            }
            Message::Cancel(block) => range(out, id::CANCEL, *block),
            Message::Port(port) => {
                head(out, id::PORT, 2);
                out.put_u16(*port);
            }
            Message::Suggest(piece) => number(out, id::SUGGEST, *piece),
            Message::HaveAll => plain(out, id::HAVE_ALL),
            Message::HaveNone => plain(out, id::HAVE_NONE),
            Message::Reject(block) => range(out, id::REJECT, *block),
            Message::AllowedFast(piece) => number(out, id::ALLOWED_FAST, *piece),
            Message::Extended { id, payload } => bytes(out, id::EXTENDED, &[*id], payload),
            Message::Unknown { id, payload } => bytes(out, *id, &[], payload),
        }
    }
}

/// How long a `request` is, its length in front counted, in bytes.
pub const REQUEST_LENGTH: usize = 17;

/// Appends what stands in front of the data of a `piece` message; the data are sent apart, without a copy.
pub fn emit_piece_head(out: &mut BytesMut, block: BlockRange) {
    head(out, id::PIECE, block.length.saturating_add(8));
    out.put_u32(block.piece);
    out.put_u32(block.begin);
}

fn head(out: &mut BytesMut, id: u8, rest: u32) {
    out.put_u32(rest.saturating_add(1));
    out.put_u8(id);
}

fn plain(out: &mut BytesMut, id: u8) {
    head(out, id, 0);
}

// Haves and requests are most of what is sent: they are put together first, and appended once.

fn number(out: &mut BytesMut, id: u8, number: u32) {
    let [a, b, c, d] = number.to_be_bytes();
    out.put_slice(&[0, 0, 0, 5, id, a, b, c, d]);
}

fn range(out: &mut BytesMut, id: u8, block: BlockRange) {
    let mut message = [0; REQUEST_LENGTH];
    message[3..5].copy_from_slice(&[13, id]);
    message[5..9].copy_from_slice(&block.piece.to_be_bytes());
    message[9..13].copy_from_slice(&block.begin.to_be_bytes());
    message[13..].copy_from_slice(&block.length.to_be_bytes());
    out.put_slice(&message);
}

fn bytes(out: &mut BytesMut, id: u8, first: &[u8], rest: &[u8]) {
    head(out, id, (first.len() + rest.len()) as u32);
    out.put_slice(first);
    out.put_slice(rest);
}

/// The big-endian number at `at`; the callers' arrays are long enough.
fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
