//! Cuts a stream into messages.
//!
//! A chunk that came off a socket is fed whole; each message that lies whole in it is a slice of it, without a copy. Only
//! a message that is split over two chunks is copied, once, into a buffer of its own.
//!
//! The states are how far a split message has come: nothing, a part of its head (length, number and, for `piece`, the two
//! numbers in front of the data), or its head and a part of its body.
//!
//! Limits: a declared length is compared with the maximum before anything is kept, and a buffer grows with what has
//! arrived, never with what was promised.

use super::message::{Message, WireError, id};
use crate::journal::canon::{Encoder, Put};
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::ops::Range;

/// Length (4 bytes), number (1) and, of a `piece`, the piece (4) and the begin (4).
const LONGEST_HEAD: usize = 13;

/// What is taken at once for the body of a split message: a block. More only as more arrives.
const FIRST_BUFFER: usize = 16 * 1024;

/// Cuts a stream into messages.
#[derive(Clone, Debug)]
pub struct Framer {
    max_length: u32,
    /// What has been fed and not been cut yet.
    chunk: Bytes,
    /// Where `chunk` starts in the buffer of the event that brought it.
    offset: u32,
    head: [u8; LONGEST_HEAD],
    head_filled: usize,
    body: BytesMut,
}

impl Put for Framer {
    fn put(&self, to: &mut Encoder<'_>) {
        // There may be content in it: how much of it is there counts.
        let Framer { max_length, chunk, offset, head, head_filled, body } = self;
        max_length.put(to);
        chunk.len().put(to);
        offset.put(to);
        head_filled.put(to);
        to.raw(head.get(..*head_filled).unwrap_or_default());
        body.len().put(to);
    }
}

impl Framer {
    /// A framer that takes messages of up to `max_length` bytes, the length itself not counted.
    pub fn new(max_length: u32) -> Framer {
        Framer {
            max_length,
            chunk: Bytes::new(),
            offset: 0,
            head: [0; LONGEST_HEAD],
            head_filled: 0,
            body: BytesMut::new(),
        }
    }

    /// Takes the next bytes of the stream; they start at `offset` in the buffer of the event that is being handled.
    ///
    /// To be followed by [`next`](Framer::next) until that says `None`. Bytes that are left from before are not lost, but
    /// cost a copy, and the ranges reported for them count from a buffer that is gone.
    pub fn feed(&mut self, bytes: Bytes, offset: u32) {
        if self.chunk.is_empty() {
            self.chunk = bytes;
            self.offset = offset;
        } else {
            let mut joined = BytesMut::with_capacity(self.chunk.len() + bytes.len());
            joined.extend_from_slice(&self.chunk);
            joined.extend_from_slice(&bytes);
            self.offset = offset.saturating_sub(self.chunk.len() as u32);
            self.chunk = joined.freeze();
        }
    }

    /// Takes up to `wanted` bytes as they are, before messages begin (the handshake).
    pub fn take_raw(&mut self, wanted: usize) -> Bytes {
        self.take(wanted)
    }

    /// The next message; `None` when more bytes are needed. After an error the stream cannot be followed any further.
    ///
    /// Ranges of the event's buffer that are the data of a `piece` message are appended to `opaque`, also those of one that
    /// is not complete yet: whether bytes are content must not depend on how the stream was split.
    pub fn next(&mut self, opaque: &mut Vec<Range<u32>>) -> Result<Option<Message>, WireError> {
        if self.chunk.is_empty() {
            // Nothing of a message is left to do when its last byte has come.
            return Ok(None);
        }
        if self.head_filled == 0
            && let Some(message) = self.whole(opaque)?
        {
            return Ok(Some(message));
        }
        self.split(opaque)
    }

    /// Whether a message has begun that is not complete.
    pub fn is_inside_message(&self) -> bool {
        self.head_filled > 0
    }

    /// How many bytes have come of a message that is not complete.
    pub fn unfinished(&self) -> usize {
        self.head_filled + self.body.len()
    }

    /// A message that lies whole in the chunk.
    fn whole(&mut self, opaque: &mut Vec<Range<u32>>) -> Result<Option<Message>, WireError> {
        let Some(&length) = self.chunk.first_chunk::<4>() else { return Ok(None) };
        let length = self.checked_length(length)?;
        let end = 4 + length as usize;
        if self.chunk.len() < end {
            return Ok(None);
        }
        let start = self.offset;
        let mut message = self.take(end);
        message.advance(4);
        if message.is_empty() {
            return Ok(Some(Message::KeepAlive));
        }
        let id = message.get_u8();
        if id == id::PIECE && end > LONGEST_HEAD {
            opaque.push(start.saturating_add(LONGEST_HEAD as u32)..start.saturating_add(end as u32));
        }
        Message::decode(id, message).map(Some)
    }

    /// A message that is split over chunks.
    fn split(&mut self, opaque: &mut Vec<Range<u32>>) -> Result<Option<Message>, WireError> {
        if !self.fill_head(4) {
            return Ok(None);
        }
        let [a, b, c, d, ..] = self.head;
        let length = self.checked_length([a, b, c, d])?;
        if length == 0 {
            self.head_filled = 0;
            return Ok(Some(Message::KeepAlive));
        }
        if !self.fill_head(5) {
            return Ok(None);
        }
        let id = self.head[4];
        let is_piece = id == id::PIECE;
        if is_piece {
            // Said before the rest arrives, as the head of such a message would reach into the next one.
            if length < 9 {
                return Err(WireError::WrongLength { id, length });
            }
            if !self.fill_head(LONGEST_HEAD) {
                return Ok(None);
            }
        }
        let body_length = length as usize + 4 - self.head_filled;
        let start = self.offset;
        let part = self.take(body_length - self.body.len());
        if is_piece && !part.is_empty() {
            opaque.push(start..start.saturating_add(part.len() as u32));
        }
        let complete = self.body.len() + part.len() == body_length;
        let body = if complete && self.body.is_empty() {
            // Only the head was split: the body is a slice after all.
            part
        } else {
            if self.body.is_empty() && !part.is_empty() {
                self.body.reserve(body_length.min(FIRST_BUFFER.max(part.len())));
            }
            self.body.extend_from_slice(&part);
            if !complete {
                return Ok(None);
            }
            core::mem::take(&mut self.body).freeze()
        };
        self.head_filled = 0;
        if is_piece {
            let [_, _, _, _, _, p0, p1, p2, p3, b0, b1, b2, b3] = self.head;
            let (piece, begin) = (u32::from_be_bytes([p0, p1, p2, p3]), u32::from_be_bytes([b0, b1, b2, b3]));
            return Ok(Some(Message::Piece { piece, begin, data: body }));
        }
        Message::decode(id, body).map(Some)
    }

    fn checked_length(&self, bytes: [u8; 4]) -> Result<u32, WireError> {
        let length = u32::from_be_bytes(bytes);
        if length > self.max_length { Err(WireError::TooLong { length }) } else { Ok(length) }
    }

    /// Moves bytes to the head until it has `wanted`; false when there are too few.
    fn fill_head(&mut self, wanted: usize) -> bool {
        if self.head_filled < wanted {
            let part = self.take(wanted - self.head_filled);
            let end = self.head_filled + part.len();
            self.head[self.head_filled..end].copy_from_slice(&part);
            self.head_filled = end;
        }
        self.head_filled >= wanted
    }

    fn take(&mut self, wanted: usize) -> Bytes {
        let length = wanted.min(self.chunk.len());
        self.offset = self.offset.saturating_add(length as u32);
        let taken = self.chunk.split_to(length);
        if self.chunk.is_empty() {
            // Lets the chunk go as soon as nobody needs it.
            self.chunk = Bytes::new();
        }
        taken
    }
}
