//! Cursors on the tape, and typed access with errors that name the field.

use super::decode::{Document, parse_integer, short_length};
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::ops::Range;

/// The four kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int,
    /// A string of bytes.
    Bytes,
    /// A list.
    List,
    /// A dictionary.
    Dict,
}

/// A value in a [`Document`]. `'a` is the input's life, `'d` the document's.
///
/// The text was checked when the tape was laid: what is not as it must be cannot be, and is read as something empty.
#[derive(Clone, Copy)]
pub struct Value<'a, 'd> {
    document: &'d Document<'a>,
    kind: Kind,
    /// Offset of its first byte.
    start: usize,
    /// Offset of what is in it.
    content: usize,
    /// Offset behind its last byte.
    end: usize,
    /// How many lists and dictionaries begin before it: the place on the tape, if it is one.
    place: usize,
}

impl<'a, 'd> Value<'a, 'd> {
    /// The value that begins at `start`; `place` lists and dictionaries begin before it.
    #[inline]
    pub(super) fn new(document: &'d Document<'a>, start: usize, place: usize) -> Value<'a, 'd> {
        let input = document.input;
        let container = |kind| {
            let end = document.tape.get(place).map_or(document.length(), |container| container.end as usize);
            (kind, start + 1, end)
        };
        let (kind, content, end) = match input.get(start) {
            Some(b'i') => {
                let digits = input.get(start..).unwrap_or_default();
                let end = digits.iter().position(|&byte| byte == b'e').unwrap_or(digits.len());
                (Kind::Int, start + 1, start + end + 1)
            }
            Some(b'l') => container(Kind::List),
            Some(b'd') => container(Kind::Dict),
            _ => {
                let (length, content) = short_length(input, start).unwrap_or_else(|| long_length(input, start));
                (Kind::Bytes, content, content.saturating_add(length))
            }
        };
        Value { document, kind, start, content, end, place }
    }

    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it lies in the input.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its bytes in the input, just as they stand there.
    pub fn raw(&self) -> &'a [u8] {
        self.document.input.get(self.span()).unwrap_or(&[])
    }

    /// The integer, if it is one and fits into 64 bits (else it was only let pass by [`Mode::Tolerant`](super::Mode::Tolerant)).
    pub fn int(&self) -> Option<i64> {
        match self.kind() {
            // Without the `i` and the `e`.
            Kind::Int => parse_integer(self.document.input.get(self.content..self.end.checked_sub(1)?)?),
            _ => None,
        }
    }

    /// The content, if it is a string.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.kind() {
            Kind::Bytes => self.document.input.get(self.content..self.end),
            _ => None,
        }
    }

    /// The content, if it is a string of valid UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        if self.kind() != Kind::Bytes {
            return None;
        }
        let content = self.content..self.end;
        // No slice is what would begin or end within a character: then it is no UTF-8 by itself either.
        match self.document.text.get(content.clone()) {
            Some(text) => Some(text),
            None => self.document.input.get(content).and_then(|bytes| core::str::from_utf8(bytes).ok()),
        }
    }

    /// The list, if it is one.
    pub fn list(&self) -> Option<List<'a, 'd>> {
        (self.kind() == Kind::List).then_some(self.items())
    }

    /// What is in a list or dictionary, one behind the other.
    fn items(&self) -> List<'a, 'd> {
        List { document: self.document, at: self.content, place: self.place + 1 }
    }

    /// The dictionary, if it is one.
    pub fn dict(&self) -> Option<Dict<'a, 'd>> {
        (self.kind() == Kind::Dict).then_some(Dict { value: *self })
    }
}

impl fmt::Debug for Value<'_, '_> {
    /// The kind and the place; not the content, which may be large.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}", self.kind(), self.span())
    }
}

/// A list: an iterator over its values.
#[derive(Clone, Debug)]
pub struct List<'a, 'd> {
    document: &'d Document<'a>,
    /// Where the next value is, or the `e` behind the last one.
    at: usize,
    /// How many lists and dictionaries begin before that.
    place: usize,
}

impl<'a, 'd> Iterator for List<'a, 'd> {
    type Item = Value<'a, 'd>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a, 'd>> {
        if matches!(self.document.input.get(self.at), None | Some(b'e')) {
            return None;
        }
        let value = Value::new(self.document, self.at, self.place);
        self.at = value.end;
        if matches!(value.kind, Kind::List | Kind::Dict) {
            self.place = self.document.tape.get(self.place).map_or(usize::MAX, |container| container.next as usize);
        }
        Some(value)
    }
}

/// The length in front of a string, however many digits it has, and where its content begins.
#[inline(never)]
fn long_length(input: &[u8], start: usize) -> (usize, usize) {
    let digits = input.get(start..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
    let (length, count) = digits.fold((0usize, 0), |(length, count), digit| {
        (length.saturating_mul(10).saturating_add(usize::from(digit - b'0')), count + 1)
    });
    (length, start + count + 1)
}

/// A dictionary.
///
/// A lookup walks over the keys, from the first; values are stepped over whole. For a dictionary with many keys that are
/// all wanted, use [`iter`](Dict::iter).
#[derive(Clone, Copy, Debug)]
pub struct Dict<'a, 'd> {
    value: Value<'a, 'd>,
}

/// The entries of a dictionary, in the order they stand in.
#[derive(Clone, Debug)]
pub struct DictIter<'a, 'd> {
    items: List<'a, 'd>,
}

impl<'a, 'd> Iterator for DictIter<'a, 'd> {
    type Item = (&'a [u8], Value<'a, 'd>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.items.next()?.bytes()?;
        Some((key, self.items.next()?))
    }
}

/// A field that is not there, or not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The key.
    pub field: String,
    /// Where, in bytes from the start of the input: the value, or the dictionary that lacks it.
    pub offset: usize,
    /// What is wrong.
    pub fault: FieldFault,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    /// It is not there.
    Missing,
    /// It is not of the right kind.
    Not(Kind),
    /// Its value is out of its range; the text says which.
    Bad(&'static str),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field \"{}\" (byte {}): ", self.field, self.offset)?;
        f.write_str(match self.fault {
            FieldFault::Missing => "missing",
            FieldFault::Not(Kind::Int) => "not an integer",
            FieldFault::Not(Kind::Bytes) => "not a string",
            FieldFault::Not(Kind::List) => "not a list",
            FieldFault::Not(Kind::Dict) => "not a dictionary",
            FieldFault::Bad(problem) => problem,
        })
    }
}

impl core::error::Error for FieldError {}

impl<'a, 'd> Dict<'a, 'd> {
    /// The value of a key; of the first one where there are several.
    pub fn get(&self, key: &str) -> Option<Value<'a, 'd>> {
        self.iter().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| value)
    }

    /// The entries, in the order they stand in.
    pub fn iter(&self) -> DictIter<'a, 'd> {
        DictIter { items: self.value.items() }
    }

    /// The dictionary as a value: its span and raw bytes.
    pub fn as_value(&self) -> Value<'a, 'd> {
        self.value
    }

    /// An error about one of this dictionary's fields.
    pub fn error(&self, key: &str, fault: FieldFault) -> FieldError {
        let offset = self.get(key).map_or(self.value.span().start, |value| value.span().start);
        FieldError { field: key.to_owned(), offset, fault }
    }

    /// An integer field, if it is there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn int(&self, key: &str) -> Result<Option<i64>, FieldError> {
        self.typed(key, Kind::Int, |value| value.int())
    }

    /// A string field, if it is there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn bytes(&self, key: &str) -> Result<Option<&'a [u8]>, FieldError> {
        self.typed(key, Kind::Bytes, |value| value.bytes())
    }

    /// A list field, if it is there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&self, key: &str) -> Result<Option<List<'a, 'd>>, FieldError> {
        self.typed(key, Kind::List, |value| value.list())
    }

    /// A dictionary field, if it is there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn dict(&self, key: &str) -> Result<Option<Dict<'a, 'd>>, FieldError> {
        self.typed(key, Kind::Dict, |value| value.dict())
    }

    /// An integer field that must be there.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn require_int(&self, key: &str) -> Result<i64, FieldError> {
        self.int(key)?.ok_or_else(|| self.error(key, FieldFault::Missing))
    }

    /// A string field that must be there.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn require_bytes(&self, key: &str) -> Result<&'a [u8], FieldError> {
        self.bytes(key)?.ok_or_else(|| self.error(key, FieldFault::Missing))
    }

    /// A list field that must be there.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn require_list(&self, key: &str) -> Result<List<'a, 'd>, FieldError> {
        self.list(key)?.ok_or_else(|| self.error(key, FieldFault::Missing))
    }

    /// A dictionary field that must be there.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn require_dict(&self, key: &str) -> Result<Dict<'a, 'd>, FieldError> {
        self.dict(key)?.ok_or_else(|| self.error(key, FieldFault::Missing))
    }

    fn typed<T>(
        &self,
        key: &str,
        kind: Kind,
        read: impl FnOnce(Value<'a, 'd>) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(FieldError { field: key.to_owned(), offset: value.span().start, fault: FieldFault::Not(kind) }),
        }
    }
}
