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
//! | number of a job or a dial | who asked (the upper 24 bits), and then the rest |
//! | list of blocked addresses | for each family how many ranges; IPv4: numbers, the gap less one between each and the one before, and its length less one; IPv6: first and last of each |
//! | address | 4 or 6, the address, the port in network order; for IPv6 flow and scope too |
//! | [`Duration`] | seconds, nanoseconds |
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
mod filter;
mod notices;
mod words;

pub(super) use blank::Blank;

use crate::border::{Actions, AddressTable, Config, Event};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::ops::Range;
use core::time::Duration;

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
    actions::put(actions, out, |_| {});
}

/// The same, and says where in `out` the encoding of each action, and then of each notice, has come to lie.
pub(super) fn encode_each(actions: &Actions, out: &mut Vec<u8>, each: impl FnMut(Range<usize>)) {
    actions::put(actions, out, each);
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
pub(super) trait Put {
    fn put(&self, to: &mut Encoder<'_>);
}

/// Something that can be read back.
pub(super) trait Take: Sized {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// Where an encoding goes.
pub(super) struct Encoder<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// The holes of the next buffer.
    pub(super) holes: &'a [Range<u32>],
}

impl Encoder<'_> {
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    #[inline]
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// A length in memory. It fits, on every platform.
    #[inline]
    pub(super) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    #[inline]
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn buffer(&mut self, bytes: &[u8]) {
        let ranges = core::mem::take(&mut self.holes);
        if is_plan(ranges, bytes.len()) {
            self.buffer_with(bytes, ranges.iter().map(|range| range.start as usize..range.end as usize));
        } else {
            self.buffer_with(bytes, plan_holes(ranges, bytes.len()).into_iter());
        }
    }

    fn buffer_with(&mut self, bytes: &[u8], holes: impl ExactSizeIterator<Item = Range<usize>> + Clone) {
        self.length(bytes.len());
        self.length(holes.len());
        let mut at = 0;
        for hole in holes.clone() {
            self.length(hole.start - at);
            self.length(hole.len());
            at = hole.end;
        }
        let mut at = 0;
        for hole in holes {
            self.raw(bytes.get(at..hole.start).unwrap_or_default());
            at = hole.end;
        }
        self.raw(bytes.get(at..).unwrap_or_default());
    }
}

/// Whether [`plan_holes`] would leave these as they are, which is so for all that a session says.
fn is_plan(ranges: &[Range<u32>], length: usize) -> bool {
    let (mut end, mut inside) = (None, 0u64);
    for range in ranges {
        if range.is_empty() || end.is_some_and(|end| range.start <= end) {
            return false;
        }
        end = Some(range.end);
        inside += u64::from(range.end - range.start);
    }
    inside <= MAX_HOLES && end.is_none_or(|end| u64::from(end) <= length as u64)
}

/// Holes within a buffer: rising, not empty, touching ones joined, of [`MAX_HOLES`] bytes in all at most.
fn plan_holes(ranges: &[Range<u32>], length: usize) -> Vec<Range<usize>> {
    let mut holes: Vec<Range<usize>> = Vec::new();
    let mut room = usize::try_from(MAX_HOLES).unwrap_or(usize::MAX);
    let mut at = 0;
    for range in ranges {
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).max(at);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(length).min(start.saturating_add(room));
        if start >= end {
            continue;
        }
        room -= end - start;
        at = end;
        match holes.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => holes.push(start..end),
        }
    }
    holes
}

/// Where an encoding is read from.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    blank: Blank,
    /// Whether a buffer has been read: only the first has holes.
    behind_first: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder::filling(bytes, Blank::default())
    }

    /// One that takes the buffers of content from `blank`.
    pub(super) fn filling(bytes: &'a [u8], mut blank: Blank) -> Decoder<'a> {
        blank.holes.clear();
        blank.length = 0;
        Decoder { bytes, at: 0, blank, behind_first: false }
    }

    pub(super) fn into_blank(self) -> Blank {
        self.blank
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn take<T: Take>(&mut self) -> Result<T, DecodeError> {
        T::take(self)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error(Problem::TooLong)) }
    }

    pub(super) fn error(&self, problem: Problem) -> DecodeError {
        DecodeError { offset: self.at, problem }
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(self.error(Problem::TooShort))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, DecodeError> {
        let wrong = self.error(Problem::Number);
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte holds the one bit that is left; a last byte of nothing could have been left out.
            if (shift == 63 && bits > 1) || (shift > 0 && byte == 0) {
                return Err(wrong);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(wrong)
    }

    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        let wrong = self.error(Problem::Number);
        T::try_from(self.number()?).map_err(|_| wrong)
    }

    pub(super) fn raw(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let part = end.and_then(|end| self.bytes.get(self.at..end)).ok_or(self.error(Problem::TooShort))?;
        self.at += part.len();
        Ok(part)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let short = self.error(Problem::TooShort);
        let part = self.raw(N as u64)?;
        part.try_into().map_err(|_| short)
    }

    fn buffer(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.number()?;
        let count = self.number()?;
        let wrong = self.error(Problem::Holes);
        let first = !core::mem::replace(&mut self.behind_first, true);
        if !first && count > 0 {
            return Err(wrong);
        }
        let (mut end, mut inside) = (0u64, 0u64);
        for index in 0..count {
            let (gap, hole) = (self.number()?, self.number()?);
            if hole == 0 || (gap == 0 && index > 0) {
                return Err(wrong);
            }
            let start = end.checked_add(gap).ok_or(wrong)?;
            end = start.checked_add(hole).filter(|&next| next <= length).ok_or(wrong)?;
            inside += hole;
            if inside > MAX_HOLES {
                return Err(wrong);
            }
            // Places in a buffer are of 32 bits, as in `Actions::opaque`.
            let place = |at: u64| u32::try_from(at).map_err(|_| wrong);
            self.blank.holes.push(place(start)?..place(end)?);
        }
        let kept = self.raw(length - inside)?;
        if first {
            self.blank.length = kept.len().saturating_add(inside as usize);
        }
        if count == 0 {
            return Ok(Bytes::copy_from_slice(kept));
        }
        // Both parts are bounded by now: the bytes are there, the holes are few enough.
        Ok(self.blank.make(kept))
    }
}

/// A struct that is its fields in this order.
macro_rules! canon_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Put for $name {
            fn put(&self, to: &mut Encoder<'_>) {
                let $name { $($field),* } = self;
                $($field.put(to);)*
            }
        }
        impl Take for $name {
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                $(let $field = from.take()?;)*
                Ok($name { $($field),* })
            }
        }
    };
}
pub(super) use canon_struct;

/// An enum: a number for each variant, and the fields in this order.
macro_rules! canon_enum {
    ($name:ident {
        $($tag:literal = $variant:ident $({ $($field:ident),* $(,)? })? $(( $($item:ident),* ))?),* $(,)?
    }) => {
        canon_enum!(out $name { $($tag = $variant $({ $($field),* })? $(( $($item),* ))?),* });
        impl Take for $name {
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let wrong = from.error(Problem::Variant);
                match from.byte()? {
                    $($tag => {
                        $($(let $field = from.take()?;)*)?
                        $($(let $item = from.take()?;)*)?
                        Ok($name::$variant $({ $($field),* })? $(( $($item),* ))?)
                    })*
                    _ => Err(wrong),
                }
            }
        }
    };
    // One that is never read back.
    (out $name:ident {
        $($tag:literal = $variant:ident $({ $($field:ident),* $(,)? })? $(( $($item:ident),* ))?),* $(,)?
    }) => {
        impl Put for $name {
            fn put(&self, to: &mut Encoder<'_>) {
                match self {
                    $($name::$variant $({ $($field),* })? $(( $($item),* ))? => {
                        to.byte($tag);
                        $($($field.put(to);)*)?
                        $($($item.put(to);)*)?
                    })*
                }
            }
        }
    };
}
pub(super) use canon_enum;

macro_rules! canon_number {
    ($($number:ty),*) => {$(
        impl Put for $number {
            #[inline]
            fn put(&self, to: &mut Encoder<'_>) {
                to.number(u64::from(*self));
            }
        }
        impl Take for $number {
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                from.small()
            }
        }
    )*};
}

canon_number!(u8, u16, u32, u64);

impl Put for i64 {
    fn put(&self, to: &mut Encoder<'_>) {
        to.number(((self << 1) ^ (self >> 63)) as u64);
    }
}
impl Take for i64 {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let zigzag = from.number()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }
}

impl Put for bool {
    #[inline]
    fn put(&self, to: &mut Encoder<'_>) {
        to.byte(u8::from(*self));
    }
}
impl Take for bool {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let wrong = from.error(Problem::Variant);
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(wrong),
        }
    }
}

impl<const N: usize> Put for [u8; N] {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(self);
    }
}
impl<const N: usize> Take for [u8; N] {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.array()
    }
}

impl Put for Bytes {
    #[inline]
    fn put(&self, to: &mut Encoder<'_>) {
        to.buffer(self);
    }
}
impl Take for Bytes {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.buffer()
    }
}

impl Put for String {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.len());
        to.raw(self.as_bytes());
    }
}
impl Take for String {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let length = from.number()?;
        let wrong = from.error(Problem::Text);
        core::str::from_utf8(from.raw(length)?).map(String::from).map_err(|_| wrong)
    }
}

impl<T: Put> Put for Box<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        (**self).put(to);
    }
}
impl<T: Take> Take for Box<T> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.take().map(Box::new)
    }
}

impl<T: Put> Put for Vec<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.len());
        self.iter().for_each(|item| item.put(to));
    }
}
impl<T: Take> Take for Vec<T> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = from.number()?;
        // Grows as items come, each of which takes a byte at least: a count alone allocates nothing.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(from.take()?);
        }
        Ok(items)
    }
}

impl<A: Put, B: Put> Put for (A, B) {
    fn put(&self, to: &mut Encoder<'_>) {
        self.0.put(to);
        self.1.put(to);
    }
}
impl<A: Take, B: Take> Take for (A, B) {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok((from.take()?, from.take()?))
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }
}
impl<T: Take> Take for Option<T> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.take::<bool>()?.then(|| from.take()).transpose()
    }
}

impl<T: Put, E: Put> Put for Result<T, E> {
    fn put(&self, to: &mut Encoder<'_>) {
        self.is_err().put(to);
        match self {
            Ok(value) => value.put(to),
            Err(error) => error.put(to),
        }
    }
}
impl<T: Take, E: Take> Take for Result<T, E> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(if from.take::<bool>()? { Err(from.take()?) } else { Ok(from.take()?) })
    }
}

impl Put for Duration {
    fn put(&self, to: &mut Encoder<'_>) {
        to.number(self.as_secs());
        to.number(u64::from(self.subsec_nanos()));
    }
}
impl Take for Duration {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let seconds = from.number()?;
        let wrong = from.error(Problem::Number);
        let nanos: u32 = from.small()?;
        // `new` would carry a billion into the seconds, and panic when they are full.
        if nanos < 1_000_000_000 { Ok(Duration::new(seconds, nanos)) } else { Err(wrong) }
    }
}

impl Put for IpAddr {
    fn put(&self, to: &mut Encoder<'_>) {
        match self {
            IpAddr::V4(ip) => {
                to.byte(4);
                to.raw(&ip.octets());
            }
            IpAddr::V6(ip) => {
                to.byte(6);
                to.raw(&ip.octets());
            }
        }
    }
}
impl Take for IpAddr {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let wrong = from.error(Problem::Variant);
        match from.byte()? {
            4 => Ok(IpAddr::V4(Ipv4Addr::from(from.array::<4>()?))),
            6 => Ok(IpAddr::V6(Ipv6Addr::from(from.array::<16>()?))),
            _ => Err(wrong),
        }
    }
}

impl Put for SocketAddr {
    fn put(&self, to: &mut Encoder<'_>) {
        self.ip().put(to);
        to.raw(&self.port().to_be_bytes());
        if let SocketAddr::V6(addr) = self {
            addr.flowinfo().put(to);
            addr.scope_id().put(to);
        }
    }
}
impl Take for SocketAddr {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let ip = from.take()?;
        let port = u16::from_be_bytes(from.array()?);
        Ok(match ip {
            IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, from.take()?, from.take()?)),
        })
    }
}
