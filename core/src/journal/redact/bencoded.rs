//! Rewriting bencoded values: what is between the strings stays byte for byte.

use crate::bencode::{Kind, Value};
use alloc::string::ToString;
use alloc::vec::Vec;

/// What becomes of the parts. Paths are keys of dictionaries, the outermost first; lists add nothing to them.
pub(super) trait Rules {
    /// A string.
    fn string(&mut self, path: &[&[u8]], value: &[u8]) -> Vec<u8>;
    /// A key of the dictionary at `path`.
    fn key(&mut self, path: &[&[u8]], key: &[u8]) -> Vec<u8> {
        let _ = path;
        key.to_vec()
    }
    /// An integer as it is written, without `i` and `e`.
    fn integer(&mut self, path: &[&[u8]], digits: &[u8]) -> Vec<u8> {
        let _ = path;
        digits.to_vec()
    }
    /// A whole value that these rules know better; `None`: part by part.
    fn whole(&mut self, path: &[&[u8]], value: &Value<'_, '_>) -> Option<Vec<u8>> {
        let _ = (path, value);
        None
    }
}

/// Appends the value as the rules want it. Dictionaries that were sorted are sorted again. It goes as deep as the limits did that the
/// value was read with.
pub(super) fn rewrite<'a>(value: Value<'a, '_>, path: &mut Vec<&'a [u8]>, rules: &mut dyn Rules, out: &mut Vec<u8>) {
    if let Some(whole) = rules.whole(path, &value) {
        out.extend_from_slice(&whole);
        return;
    }
    match value.kind() {
        Kind::Bytes => put_string(&rules.string(path, value.bytes().unwrap_or_default()), out),
        Kind::Int => {
            let raw = value.raw();
            let digits = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            out.push(b'i');
            out.extend_from_slice(&rules.integer(path, digits));
            out.push(b'e');
        }
        Kind::List => {
            out.push(b'l');
            for item in value.list().into_iter().flatten() {
                rewrite(item, path, rules, out);
            }
            out.push(b'e');
        }
        Kind::Dict => {
            let Some(dict) = value.dict() else { return };
            let (mut entries, mut before, mut sorted) = (Vec::new(), None, true);
            for (key, value) in dict.iter() {
                sorted &= before.is_none_or(|before: &[u8]| before < key);
                before = Some(key);
                let new_key = rules.key(path, key);
                path.push(key);
                let mut new = Vec::new();
                rewrite(value, path, rules, &mut new);
                path.pop();
                entries.push((new_key, new));
            }
            if sorted {
                entries.sort();
            }
            out.push(b'd');
            for (key, value) in entries {
                put_string(&key, out);
                out.extend_from_slice(&value);
            }
            out.push(b'e');
        }
    }
}

fn put_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}
