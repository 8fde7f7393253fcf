//! Cursors on the tape, and typed access with errors that name the field.

use super::decode::{Document, Token, parse_integer};
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
#[derive(Clone, Copy)]
pub struct Value<'a, 'd> {
    document: &'d Document<'a>,
    place: usize,
    /// What the tape has at that place.
    token: Token,
}

impl<'a, 'd> Value<'a, 'd> {
    pub(super) fn new(document: &'d Document<'a>, place: usize) -> Value<'a, 'd> {
        // A cursor is only made for a place that the tape has; were it not, an empty value stands in.
        let token = document.tape.get(place).copied().unwrap_or(Token { start: 0, end: 0, link: u32::MAX });
        Value { document, place, token }
    }

    /// The place on the tape behind this value and all that is in it.
    fn next(&self) -> usize {
        match self.kind() {
            Kind::Bytes => self.place + 1,
            _ => self.token.link as usize,
        }
    }

    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        match self.document.input.get(self.token.start as usize) {
            Some(b'i') => Kind::Int,
            Some(b'l') => Kind::List,
            Some(b'd') => Kind::Dict,
            _ => Kind::Bytes,
        }
    }

    /// Where it lies in the input.
    pub fn span(&self) -> Range<usize> {
        self.token.start as usize..self.token.end as usize
    }

    /// Its bytes in the input, just as they stand there.
    pub fn raw(&self) -> &'a [u8] {
        self.document.input.get(self.span()).unwrap_or(&[])
    }

    /// The integer, if it is one and fits into 64 bits (else it was only let pass by [`Mode::Tolerant`](super::Mode::Tolerant)).
    pub fn int(&self) -> Option<i64> {
        match self.kind() {
            // Without the `i` and the `e`.
            Kind::Int => parse_integer(
                self.document.input.get(self.token.start as usize + 1..(self.token.end as usize).checked_sub(1)?)?,
            ),
            _ => None,
        }
    }

    /// The content, if it is a string.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.kind() {
            Kind::Bytes => self.document.input.get(self.token.link as usize..self.token.end as usize),
            _ => None,
        }
    }

    /// The content, if it is a string of valid UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        let bytes = self.bytes()?;
        // No slice is what would begin or end within a character: then it is no UTF-8 by itself either.
        match self.document.text.get(self.token.link as usize..self.token.end as usize) {
            Some(text) => Some(text),
            None => core::str::from_utf8(bytes).ok(),
        }
    }

    /// The list, if it is one.
    pub fn list(&self) -> Option<List<'a, 'd>> {
        let list = List { document: self.document, place: self.place + 1, end: self.token.link as usize };
        (self.kind() == Kind::List).then_some(list)
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
    place: usize,
    end: usize,
}

impl<'a, 'd> Iterator for List<'a, 'd> {
    type Item = Value<'a, 'd>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a, 'd>> {
        if self.place >= self.end {
            return None;
        }
        let value = Value::new(self.document, self.place);
        self.place = value.next();
        Some(value)
    }
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
        let List { document, place, end } = self.items;
        // Keys are strings: that was checked when the tape was laid.
        let [key, token, ..] = document.tape.get(place..end)? else { return None };
        let value = Value { document, place: place + 1, token: *token };
        self.items.place = value.next();
        Some((document.input.get(key.link as usize..key.end as usize)?, value))
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
        let Value { document, place, token } = self.value;
        let mut place = place + 1;
        let mut entries = document.tape.get(place..token.link as usize)?;
        // Keys are strings: that was checked when the tape was laid.
        while let [found, token, ..] = entries {
            let value = Value { document, place: place + 1, token: *token };
            if (found.end - found.link) as usize == key.len()
                && document.input.get(found.link as usize..found.end as usize) == Some(key.as_bytes())
            {
                return Some(value);
            }
            let next = value.next();
            entries = entries.get(next - place..)?;
            place = next;
        }
        None
    }

    /// The entries, in the order they stand in.
    pub fn iter(&self) -> DictIter<'a, 'd> {
        let value = self.value;
        DictIter { items: List { document: value.document, place: value.place + 1, end: value.token.link as usize } }
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
