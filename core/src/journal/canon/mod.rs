//! The canonical encoding: one way to write each event, action, notice and configuration as bytes.
//!
//! The same value gives the same bytes on every platform, and different values give different bytes: recordings are made of it and digests
//! are taken over it. It is part of the recording format ([`FORMAT`](super::FORMAT)).
//!
//! | kind of value | bytes |
//! |---|---|
//! | unsigned number | 7 bits a byte, lowest first, the top bit set on all but the last; the shortest form only |
//! | signed number | zigzag (0, −1, 1, −2 … become 0, 1, 2, 3 …), then as above |
//! | `bool`, `Option`, `Result` | one byte (0 is false, none, good), and then what it holds |
//! | `enum` | one byte for the variant, and then its fields; numbers are only ever appended |
//! | `struct` | its fields in a fixed order |
//! | list, text | how many (items, bytes of UTF-8), and then they |
//! | array of bytes | as it is |
//! | `Send`, `SendContent`, `Grant`, `Start` of `Read` and `Write` | words of 8 bytes, lowest byte first: a byte for which it is, and its fields |
//! | number of a job or a dial | who asked (the upper 24 bits), and then the rest |
//! | list of blocked addresses | for each family how many ranges; IPv4: numbers, the gap less one between each and the one before, and its length less one; IPv6: first and last of each |
//! | address | 4 or 6, the address, the port in network order; for IPv6 flow and scope too |
//! | [`Duration`](core::time::Duration) | seconds, nanoseconds |
//! | buffer | length, how many holes, for each hole the bytes since the last one's end and its length, and then the bytes outside of holes |
//!
//! A **hole** is where content of a torrent was ([`Actions::opaque`](crate::border::Actions::opaque)). An event has one buffer at most
//! that content can lie in, so the ranges are those of its first. In actions, `SendContent` and `Write` are known by their place and
//! length alone. So nothing that is encoded depends on content.
//!
//! Encoding takes every value apart without a wildcard: a new variant or field does not compile before it has its place here.
//! Decoding is total: anything that is not exactly what encoding would have written is a [`DecodeError`] with its place, and nothing is
//! allocated for what has not arrived, holes of [`MAX_HOLES`] bytes in all apart.

mod actions;
mod addresses;
mod blank;
mod config;
mod decoder;
mod encoder;
mod filter;
mod macros;
mod notices;
mod plain;
mod state;
mod step;
mod words;

pub(super) use actions::hash_each;
pub(super) use blank::Blank;
pub(super) use decoder::Decoder;
pub(crate) use encoder::Encoder;
use encoder::plan_holes;
pub(crate) use macros::{canon_enum, canon_struct};
pub(super) use step::encode_step;
pub(super) use words::COUNT_BITS;

use crate::border::{Actions, AddressTable, Config, Event};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// The most bytes of one buffer that are left out as holes, 64 MiB; behind it they are kept. Far above what a driver reads at once, and it
/// bounds what decoding a few bytes can allocate.
pub const MAX_HOLES: u64 = 64 << 20;

/// Appends an event. `opaque` are the ranges of its buffer that are content, as [`Actions::opaque`] says them; what is out of
/// order or behind the buffer's end is passed over.
pub fn encode_event(event: &Event, opaque: &[Range<u32>], out: &mut Vec<u8>) {
    event.put(&mut Encoder { out, holes: opaque });
}

/// Appends what an event led to: the actions and the notices, each in their order. `opaque` is not among it: it is in the event.
pub fn encode_actions(actions: &Actions, out: &mut Vec<u8>) {
    actions::put(actions, &mut Encoder::new(out));
}

/// Appends a configuration, every field written out; its table of addresses is [apart](encode_addresses).
pub fn encode_config(config: &Config, out: &mut Vec<u8>) {
    config.put(&mut Encoder { out, holes: &[] });
}

/// Appends a table of what functions of addresses come to.
pub fn encode_addresses(table: &AddressTable, out: &mut Vec<u8>) {
    table.put(&mut Encoder { out, holes: &[] });
}

/// Reads one such table that fills `bytes`.
///
/// # Errors
/// Anything that [`encode_addresses`] does not write.
pub fn decode_addresses(bytes: &[u8]) -> Result<AddressTable, DecodeError> {
    let mut from = Decoder::new(bytes);
    let table = from.take()?;
    from.end()?;
    Ok(table)
}

pub(super) fn encode_number(number: u64, out: &mut Vec<u8>) {
    Encoder { out, holes: &[] }.number(number);
}

pub(super) fn encode_text(text: &str, out: &mut Vec<u8>) {
    let mut to = Encoder { out, holes: &[] };
    to.length(text.len());
    to.raw(text.as_bytes());
}

/// Reads one event that fills `bytes`; its holes are zeros.
///
/// # Errors
/// Anything that [`encode_event`] does not write.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeError> {
    let mut from = Decoder::new(bytes);
    let event = from.take()?;
    from.end()?;
    Ok(event)
}

/// Reads one configuration that fills `bytes`. It is not checked.
///
/// # Errors
/// Anything that [`encode_config`] does not write.
pub fn decode_config(bytes: &[u8]) -> Result<Config, DecodeError> {
    let mut from = Decoder::new(bytes);
    let config = from.take()?;
    from.end()?;
    Ok(config)
}

/// Bytes that are not a canonical encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, counted from the first byte that was given.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It ends too early.
    TooShort,
    /// Something follows.
    TooLong,
    /// A number that is not in its shortest form, or too large for its field.
    Number,
    /// A variant that does not exist.
    Variant,
    /// Text that is not UTF-8.
    Text,
    /// Holes that are empty, touch, reach behind the end, or are more than [`MAX_HOLES`].
    Holes,
    /// Keys that do not rise.
    Order,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::TooShort => "ends too early",
            Problem::TooLong => "something follows",
            Problem::Number => "bad number",
            Problem::Variant => "no such variant",
            Problem::Text => "text is not UTF-8",
            Problem::Holes => "bad holes",
            Problem::Order => "out of order",
        };
        write!(f, "{problem} at byte {}", self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// Something that has a canonical encoding.
pub(crate) trait Put {
    fn put(&self, to: &mut Encoder<'_>);
}

/// Something that can be read back.
pub(super) trait Take: Sized {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}
