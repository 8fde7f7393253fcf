//! Strict and lenient reading of bencoding.

use super::{Cases, ensure, hex, number, same, text, unhex};
use parcacik_core::bencode::{Document, Kind, Limits, Mode, Value as Bencode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const LIMITS: Limits = Limits { bytes: 4 << 20, depth: 1_000, tokens: 1 << 20 };

fn input(case: &Value) -> Vec<u8> {
    if let Some(levels) = case["nested_lists"].as_u64() {
        return [vec![b'l'; levels as usize], vec![b'e'; levels as usize]].concat();
    }
    if let Some(hex) = case["input_hex"].as_str() {
        return unhex(hex);
    }
    let part = |at: usize| case["repeat"][at].as_str().expect("a text to repeat").as_bytes();
    let count = case["repeat"][1].as_u64().expect("how often") as usize;
    let input = [part(0), &part(2).repeat(count), part(3)].concat();
    assert_eq!(hex(&Sha256::digest(&input)), text(case, "input_sha256"));
    input
}

/// A value as the data file writes it.
fn written(value: Bencode<'_, '_>) -> Value {
    match value.kind() {
        Kind::Int => json!({"i": value.int().expect("an integer").to_string()}),
        Kind::Bytes => json!({"s": hex(value.bytes().expect("a string"))}),
        Kind::List => json!({"l": value.list().expect("a list").map(written).collect::<Vec<_>>()}),
        Kind::Dict => {
            let entries = value.dict().expect("a dictionary");
            json!({"d": entries.iter().map(|(key, value)| json!([hex(key), written(value)])).collect::<Vec<_>>()})
        }
    }
}

#[test]
fn bencode() {
    Cases::read("bencode", include_str!("data/bencode.json")).check(|case| {
        let input = input(case);
        let strict = Document::decode(&input, Mode::Strict, &LIMITS);
        same("strict", strict.is_ok(), text(case, "strict") == "accept")?;
        // Whether bytes may follow is asked apart.
        let lenient = Document::decode_prefix(&input, Mode::Lenient, &LIMITS);
        same("lenient", lenient.is_ok(), text(case, "lenient") == "accept")?;
        if let (Ok(document), Some(value)) = (&strict, case.get("value")) {
            same("value", &written(document.root()), value)?;
        }
        let Ok(document) = &lenient else { return Ok(()) };
        if let Some(value) = case.get("lenient_value") {
            same("value, read leniently", &written(document.root()), value)?;
            same("length", document.length() as u64, number(case, "consumed"))?;
        }
        let seen = document.deviations();
        for (flag, seen) in [
            ("leading_zero", seen.leading_zero.is_some()),
            ("duplicate_key", seen.duplicate_key.is_some()),
            ("unsorted_key", seen.unsorted_key.is_some()),
            ("trailing", document.length() < input.len()),
        ] {
            let due = case["flags"].as_array().is_some_and(|flags| flags.iter().any(|due| due == flag));
            ensure(seen == due, || format!("{flag}: {seen}"))?;
        }
        Ok(())
    });
}
