//! The checker that lays the tape.

use super::value::Value;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// How much a text may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of input. Offsets are kept in 32 bits, so at most `u32::MAX` counts.
    pub bytes: usize,
    /// The most lists and dictionaries inside each other. Real texts have under ten; libtorrent allows 100.
    pub depth: usize,
    /// The most values and keys together. A list or dictionary costs 8 bytes of memory, all else none.
    pub tokens: usize,
}

impl Default for Limits {
    /// For messages of peers and trackers: 4 MiB (libtorrent's `tracker_maximum_response_length`), 100 levels, and a
    /// value for each 16 bytes of that, at most 2 MiB of memory.
    fn default() -> Limits {
        Limits { bytes: 4 << 20, depth: 100, tokens: 1 << 18 }
    }
}

/// Whether deviations from the canonical form are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Canonical text only.
    Strict,
    /// Unsorted and duplicate keys, leading zeros and `-0` are taken, and reported.
    Lenient,
    /// As lenient; and integers outside 64 bits are taken, reported, and read as no integer ([`Value::int`] is `None`). For
    /// texts of which each value counts for itself, so that one that nobody can use does not spoil the others.
    Tolerant,
}

/// What a lenient or tolerant reading let pass: the offset of the first case of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deviations {
    /// A key that is smaller than the one before it.
    pub unsorted_key: Option<usize>,
    /// A key that equals the one before it. (Equal keys that lie apart are unsorted too, and reported as that.)
    pub duplicate_key: Option<usize>,
    /// An integer or a length with a leading zero, or `-0`.
    pub leading_zero: Option<usize>,
    /// An integer outside 64 bits, signed.
    pub big_integer: Option<usize>,
}

impl Deviations {
    /// Whether the text was canonical.
    pub fn is_canonical(&self) -> bool {
        *self == Deviations::default()
    }
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The input ends inside a value.
    UnexpectedEnd,
    /// A string that is said to be longer than what is left of the input.
    StringPastEnd,
    /// More input than [`Limits::bytes`].
    TooLong,
    /// More levels than [`Limits::depth`].
    TooDeep,
    /// More values than [`Limits::tokens`].
    TooManyTokens,
    /// A byte that no value begins with.
    NotAValue(u8),
    /// A dictionary key that is not a string.
    KeyNotString,
    /// A dictionary that ends behind a key.
    KeyWithoutValue,
    /// A string's length that is not digits and a colon.
    BadLength,
    /// An integer that is not `i`, digits, `e`.
    BadInteger,
    /// An integer outside 64 bits, signed; not in tolerant mode.
    IntegerTooBig,
    /// A leading zero or `-0`, in strict mode.
    LeadingZero,
    /// A key smaller than its predecessor, in strict mode.
    UnsortedKey,
    /// A key equal to its predecessor, in strict mode.
    DuplicateKey,
    /// Bytes behind the value, where there may be none.
    TrailingBytes,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::UnexpectedEnd => "the text ends inside a value",
            Fault::StringPastEnd => "a string is longer than the rest of the text",
            Fault::TooLong => "the text is longer than is allowed",
            Fault::TooDeep => "more nested lists and dictionaries than are allowed",
            Fault::TooManyTokens => "more values than are allowed",
            Fault::NotAValue(byte) => return write!(f, "no value begins with the byte 0x{byte:02x}"),
            Fault::KeyNotString => "a dictionary key is not a string",
            Fault::KeyWithoutValue => "a dictionary key has no value",
            Fault::BadLength => "a string's length is not digits and a colon",
            Fault::BadInteger => "an integer is not digits and an \"e\"",
            Fault::IntegerTooBig => "an integer does not fit into 64 bits",
            Fault::LeadingZero => "a number has a leading zero",
            Fault::UnsortedKey => "dictionary keys are not sorted",
            Fault::DuplicateKey => "a dictionary key is there twice",
            Fault::TrailingBytes => "there are bytes behind the end of the value",
        })
    }
}

/// A text that is not bencoding, or asks for too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, in bytes from the start of the input.
    pub offset: usize,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.fault)
    }
}

impl core::error::Error for DecodeError {}

/// A list or dictionary on the tape, in the order they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// Offset behind its last byte.
    pub end: u32,
    /// The place on the tape behind it and all in it.
    pub next: u32,
}

/// A text that was checked, borrowed from its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    pub(super) input: &'a [u8],
    pub(super) tape: Vec<Container>,
    /// How far the value goes.
    length: usize,
    /// The input up to where it is no UTF-8, at most as far as the value goes. Checked at one go that is many times quicker than string by
    /// string; a string that lies in it is a slice of it. Of a torrent it is all but `pieces`.
    pub(super) text: &'a str,
    deviations: Deviations,
}

impl<'a> Document<'a> {
    /// Reads `input` as one value with nothing behind it.
    ///
    /// # Errors
    /// The first fault, with its offset.
    pub fn decode(input: &'a [u8], mode: Mode, limits: &Limits) -> Result<Document<'a>, DecodeError> {
        let document = Document::decode_prefix(input, mode, limits)?;
        match document.length() {
            length if length == input.len() => Ok(document),
            length => Err(DecodeError { offset: length, fault: Fault::TrailingBytes }),
        }
    }

    /// Reads the value that `input` begins with; [`length`](Document::length) tells where it ends. For messages that are
    /// a dictionary followed by data, and for files that may have bytes behind them.
    ///
    /// # Errors
    /// The first fault, with its offset.
    pub fn decode_prefix(input: &'a [u8], mode: Mode, limits: &Limits) -> Result<Document<'a>, DecodeError> {
        let most = limits.bytes.min(u32::MAX as usize);
        if input.len() > most {
            return Err(DecodeError { offset: most, fault: Fault::TooLong });
        }
        let mut reader =
            Reader { input, at: 0, tape: Vec::new(), tokens: limits.tokens, mode, deviations: Deviations::default() };
        reader.value(limits.depth)?;
        let text = utf8_prefix(input.get(..reader.at).unwrap_or(input));
        Ok(Document { input, tape: reader.tape, length: reader.at, text, deviations: reader.deviations })
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'a, '_> {
        Value::new(self, 0, 0)
    }

    /// How many bytes of the input the value has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// What was let pass in lenient or tolerant mode.
    pub fn deviations(&self) -> Deviations {
        self.deviations
    }
}

/// The longest beginning that is valid UTF-8.
fn utf8_prefix(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes.get(..error.valid_up_to()).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or(""),
    }
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    tape: Vec<Container>,
    /// How many values and keys there may still be.
    tokens: usize,
    mode: Mode,
    deviations: Deviations,
}

/// A list or dictionary whose end has not come.
struct Open<'a> {
    /// Its place on the tape.
    place: usize,
    is_dict: bool,
    /// The last key of a dictionary.
    key: Option<&'a [u8]>,
}

impl<'a> Reader<'a> {
    /// Reads one value, however deep it goes, with a stack of our own.
    fn value(&mut self, depth: usize) -> Result<(), DecodeError> {
        // Nothing is reserved by what the text declares: stack and tape grow with what was read.
        let mut stack: Vec<Open<'a>> = Vec::new();
        loop {
            let mut byte = self.peek()?;
            if let Some(open) = stack.last_mut() {
                if byte == b'e' {
                    self.at += 1;
                    let next = self.tape.len() as u32;
                    if let Some(container) = self.tape.get_mut(open.place) {
                        *container = Container { end: self.at as u32, next };
                    }
                    stack.pop();
                    if stack.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
                if open.is_dict {
                    if !byte.is_ascii_digit() {
                        return Err(self.fault(Fault::KeyNotString));
                    }
                    let start = self.at;
                    let key = self.string()?;
                    if let Some(before) = open.key.replace(key)
                        && before.first() >= key.first()
                    {
                        self.check_order(before, key, start)?;
                    }
                    byte = self.peek()?;
                    if byte == b'e' {
                        return Err(self.fault(Fault::KeyWithoutValue));
                    }
                }
            }
            match byte {
                b'0'..=b'9' => _ = self.string()?,
                b'i' => self.integer()?,
                b'l' | b'd' => {
                    if stack.len() >= depth {
                        return Err(self.fault(Fault::TooDeep));
                    }
                    self.count(self.at)?;
                    let place = self.tape.len();
                    self.tape.push(Container { end: 0, next: 0 });
                    self.at += 1;
                    stack.push(Open { place, is_dict: byte == b'd', key: None });
                    continue;
                }
                other => return Err(self.fault(Fault::NotAValue(other))),
            }
            if stack.is_empty() {
                return Ok(());
            }
        }
    }

    #[inline(never)]
    fn check_order(&mut self, before: &[u8], key: &[u8], offset: usize) -> Result<(), DecodeError> {
        let (fault, seen) = match before.cmp(key) {
            Ordering::Less => return Ok(()),
            Ordering::Equal => (Fault::DuplicateKey, &mut self.deviations.duplicate_key),
            Ordering::Greater => (Fault::UnsortedKey, &mut self.deviations.unsorted_key),
        };
        if self.mode == Mode::Strict {
            return Err(DecodeError { offset, fault });
        }
        seen.get_or_insert(offset);
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        let (length, content) = match short_length(self.input, start) {
            Some(short) => short,
            None => self.length()?,
        };
        // Cannot overflow: both parts are at most the input's length, or below 100.
        let end = content.saturating_add(length);
        let Some(string) = self.input.get(content..end) else {
            return Err(DecodeError { offset: start, fault: Fault::StringPastEnd });
        };
        self.count(start)?;
        self.at = end;
        Ok(string)
    }

    /// The length in front of a string, and where its content begins.
    #[inline(never)]
    fn length(&mut self) -> Result<(usize, usize), DecodeError> {
        let start = self.at;
        let mut length = 0usize;
        let mut at = start;
        loop {
            match self.input.get(at) {
                Some(digit @ b'0'..=b'9') => {
                    // The length so far is at most that of the input, which is below 2^32: in 64 bits nothing overflows.
                    let longer = length as u64 * 10 + u64::from(digit - b'0');
                    if longer > self.input.len() as u64 {
                        return Err(DecodeError { offset: start, fault: Fault::StringPastEnd });
                    }
                    length = longer as usize;
                    at += 1;
                }
                Some(b':') => break,
                Some(_) => return Err(DecodeError { offset: at, fault: Fault::BadLength }),
                None => return Err(DecodeError { offset: at, fault: Fault::UnexpectedEnd }),
            }
        }
        if at - start > 1 && self.input.get(start) == Some(&b'0') {
            self.leading_zero(start)?;
        }
        Ok((length, at + 1))
    }

    fn integer(&mut self) -> Result<(), DecodeError> {
        let start = self.at;
        let negative = self.input.get(start + 1) == Some(&b'-');
        let first = start + 1 + usize::from(negative);
        let digits = self.input.get(first..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
        let end = first + digits.count();
        match self.input.get(end) {
            Some(b'e') if end > first => {}
            Some(_) => return Err(DecodeError { offset: end, fault: Fault::BadInteger }),
            None => return Err(DecodeError { offset: end, fault: Fault::UnexpectedEnd }),
        }
        if self.input.get(first) == Some(&b'0') && (negative || end - first > 1) {
            self.leading_zero(start)?;
        }
        let fits = || parse_integer(self.input.get(start + 1..end).unwrap_or_default()).is_some();
        if end - first > ALWAYS_FITS && !fits() {
            if self.mode != Mode::Tolerant {
                return Err(DecodeError { offset: start, fault: Fault::IntegerTooBig });
            }
            self.deviations.big_integer.get_or_insert(start);
        }
        self.count(start)?;
        self.at = end + 1;
        Ok(())
    }

    fn leading_zero(&mut self, offset: usize) -> Result<(), DecodeError> {
        if self.mode == Mode::Strict {
            return Err(DecodeError { offset, fault: Fault::LeadingZero });
        }
        self.deviations.leading_zero.get_or_insert(offset);
        Ok(())
    }

    /// Counts a value or key that begins here.
    #[inline(always)]
    fn count(&mut self, start: usize) -> Result<(), DecodeError> {
        match self.tokens.checked_sub(1) {
            Some(left) => self.tokens = left,
            None => return Err(DecodeError { offset: start, fault: Fault::TooManyTokens }),
        }
        Ok(())
    }

    fn peek(&self) -> Result<u8, DecodeError> {
        self.input.get(self.at).copied().ok_or_else(|| self.fault(Fault::UnexpectedEnd))
    }

    #[cold]
    fn fault(&self, fault: Fault) -> DecodeError {
        DecodeError { offset: self.at, fault }
    }
}

/// The length in front of a string and where its content begins, for a length of one or two digits, which most have.
#[inline(always)]
pub(super) fn short_length(input: &[u8], start: usize) -> Option<(usize, usize)> {
    match input.get(start..) {
        Some(&[digit @ b'0'..=b'9', b':', ..]) => Some((usize::from(digit - b'0'), start + 2)),
        Some(&[tens @ b'1'..=b'9', digit @ b'0'..=b'9', b':', ..]) => {
            Some((usize::from(tens - b'0') * 10 + usize::from(digit - b'0'), start + 3))
        }
        _ => None,
    }
}

/// So many digits are below 2^63 whatever they are.
const ALWAYS_FITS: usize = 18;

/// Reads an optional minus and digits; `None` when the number is outside 64 bits.
pub(super) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    };
    if digits.len() <= ALWAYS_FITS {
        let value = digits
            .iter()
            .fold(0i64, |value, digit| value.wrapping_mul(10).wrapping_add(i64::from(digit.wrapping_sub(b'0'))));
        return Some(if negative { value.wrapping_neg() } else { value });
    }
    // Counted downwards, because there is one more negative number than positive ones.
    let mut value = 0i64;
    for digit in digits {
        value = value.checked_mul(10)?.checked_sub(i64::from(digit.wrapping_sub(b'0')))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}
