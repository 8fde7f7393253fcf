//! The canonical writer.
//!
//! Keys come out sorted and unique whatever order they are given in: a dictionary remembers where each of its entries
//! lies in the output, and puts them in order when it ends, if they are not. Given in order, nothing is moved.

use alloc::vec::Vec;
use core::ops::Range;

/// Writes a dictionary.
pub fn encode_dict(fill: impl FnOnce(&mut DictEncoder<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode_dict_into(&mut out, fill);
    out
}

/// Writes a dictionary behind what `out` holds.
pub fn encode_dict_into(out: &mut Vec<u8>, fill: impl FnOnce(&mut DictEncoder<'_>)) {
    out.push(b'd');
    let mut dict = DictEncoder { out, entries: Vec::new() };
    fill(&mut dict);
    dict.sort();
    out.push(b'e');
}

/// Writes a list.
pub fn encode_list(fill: impl FnOnce(&mut ListEncoder<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode_list_into(&mut out, fill);
    out
}

fn encode_list_into(out: &mut Vec<u8>, fill: impl FnOnce(&mut ListEncoder<'_>)) {
    out.push(b'l');
    fill(&mut ListEncoder { out });
    out.push(b'e');
}

/// Takes the entries of a dictionary, in any order. A key that comes again replaces the one before.
#[derive(Debug)]
pub struct DictEncoder<'o> {
    out: &'o mut Vec<u8>,
    entries: Vec<Entry>,
}

/// Where an entry lies in the output.
#[derive(Debug)]
struct Entry {
    /// The key's content.
    key: Range<usize>,
    /// The entry, from the key's length to the end of the value.
    whole: Range<usize>,
}

impl DictEncoder<'_> {
    /// An integer.
    pub fn int(&mut self, key: impl AsRef<[u8]>, value: i64) -> &mut Self {
        self.entry(key.as_ref(), |out| put_int(out, value))
    }

    /// A string.
    pub fn bytes(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        self.entry(key.as_ref(), |out| put_bytes(out, value.as_ref()))
    }

    /// A list.
    pub fn list(&mut self, key: impl AsRef<[u8]>, fill: impl FnOnce(&mut ListEncoder<'_>)) -> &mut Self {
        self.entry(key.as_ref(), |out| encode_list_into(out, fill))
    }

    /// A dictionary.
    pub fn dict(&mut self, key: impl AsRef<[u8]>, fill: impl FnOnce(&mut DictEncoder<'_>)) -> &mut Self {
        self.entry(key.as_ref(), |out| encode_dict_into(out, fill))
    }

    /// A value that is encoded already, such as an info dictionary as it came. It must be one whole value; that is the
    /// caller's promise.
    pub fn raw(&mut self, key: impl AsRef<[u8]>, value: &[u8]) -> &mut Self {
        self.entry(key.as_ref(), |out| out.extend_from_slice(value))
    }

    fn entry(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let start = self.out.len();
        put_bytes(self.out, key);
        let key_end = self.out.len();
        value(self.out);
        self.entries.push(Entry { key: key_end - key.len()..key_end, whole: start..self.out.len() });
        self
    }

    fn sort(&mut self) {
        let out = &mut *self.out;
        // Every range was made by `entry` from this very vector, which has only grown since.
        let key = |entry: &Entry| &out[entry.key.clone()];
        if self.entries.is_sorted_by(|a, b| key(a) < key(b)) {
            return;
        }
        // Equal keys keep their order, so the later one comes second; it is the one to stay.
        self.entries.sort_by(|a, b| key(a).cmp(key(b)));
        let start = self.entries.iter().map(|entry| entry.whole.start).min().unwrap_or(out.len());
        let mut sorted = Vec::with_capacity(out.len() - start);
        for (at, entry) in self.entries.iter().enumerate() {
            let replaced = self.entries.get(at + 1).is_some_and(|next| key(next) == key(entry));
            if !replaced {
                sorted.extend_from_slice(&out[entry.whole.clone()]);
            }
        }
        out.truncate(start);
        out.extend_from_slice(&sorted);
    }
}

/// Takes the values of a list.
#[derive(Debug)]
pub struct ListEncoder<'o> {
    out: &'o mut Vec<u8>,
}

impl ListEncoder<'_> {
    /// An integer.
    pub fn int(&mut self, value: i64) -> &mut Self {
        put_int(self.out, value);
        self
    }

    /// A string.
    pub fn bytes(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        put_bytes(self.out, value.as_ref());
        self
    }

    /// A list.
    pub fn list(&mut self, fill: impl FnOnce(&mut ListEncoder<'_>)) -> &mut Self {
        encode_list_into(self.out, fill);
        self
    }

    /// A dictionary.
    pub fn dict(&mut self, fill: impl FnOnce(&mut DictEncoder<'_>)) -> &mut Self {
        encode_dict_into(self.out, fill);
        self
    }

    /// A value that is encoded already. It must be one whole value; that is the caller's promise.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.out.extend_from_slice(value);
        self
    }
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    out.push(b'i');
    if value < 0 {
        out.push(b'-');
    }
    put_decimal(out, value.unsigned_abs());
    out.push(b'e');
}

fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_decimal(out, value.len() as u64);
    out.push(b':');
    out.extend_from_slice(value);
}

fn put_decimal(out: &mut Vec<u8>, mut value: u64) {
    // 2^64 has 20 digits.
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}
