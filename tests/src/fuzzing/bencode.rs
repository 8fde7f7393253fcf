//! Bencoding: strict is within lenient, spans lie within the input, what is strict encodes to itself.

use parcacik_core::bencode::{DictEncoder, Document, Limits, ListEncoder, Mode, Value, encode_list};

/// One input.
pub fn run(input: &[u8]) {
    let limits = Limits::default();
    let lenient = Document::decode(input, Mode::Lenient, &limits);
    if let Ok(document) = Document::decode(input, Mode::Strict, &limits) {
        let lenient = lenient.expect("what is strict is lenient too");
        assert!(lenient.deviations().is_canonical());
        let again = encode_list(|list| put_item(list, document.root()));
        assert_eq!(&again[1..again.len() - 1], input);
    } else if let Ok(document) = lenient {
        assert_eq!(document.root().raw(), input);
        assert!(!document.deviations().is_canonical());
    }
    if let Ok(document) = Document::decode(input, Mode::Tolerant, &limits) {
        // What the lenient refuse, the tolerant take for nothing but its integers.
        let big = document.deviations().big_integer.is_some();
        assert_eq!(big, Document::decode(input, Mode::Lenient, &limits).is_err());
    }
    if let Ok(document) = Document::decode_prefix(input, Mode::Lenient, &limits) {
        assert!(document.length() <= input.len());
    }
}

fn put_item(out: &mut ListEncoder<'_>, value: Value<'_, '_>) {
    if let Some(number) = value.int() {
        out.int(number);
    } else if let Some(bytes) = value.bytes() {
        out.bytes(bytes);
    } else if let Some(list) = value.list() {
        out.list(|out| list.for_each(|item| put_item(out, item)));
    } else if let Some(dict) = value.dict() {
        out.dict(|out| dict.iter().for_each(|(key, value)| put_field(out, key, value)));
    }
}

fn put_field(out: &mut DictEncoder<'_>, key: &[u8], value: Value<'_, '_>) {
    out.raw(key, value.raw());
}
