//! Known answers, subject by subject.
//!
//! The data lie in `data/`, a file for each subject; each says what its fields mean and where its cases come from. Every expected
//! value was computed by code that has nothing to do with this project, or stands in a specification. The test of a
//! subject goes through all cases of its file and says how many there were; where we answer otherwise than the file has it, and
//! may, the reason stands in the test.

mod algorithms;
mod bencoding;
mod dht;
mod links;
mod neighbours;
mod torrents;
mod trackers;
mod wire;

use serde_json::Value;

/// The cases of one file.
struct Cases {
    subject: &'static str,
    cases: Vec<Value>,
}

impl Cases {
    fn read(subject: &'static str, text: &str) -> Cases {
        let file: Value = serde_json::from_str(text).expect("a data file is JSON");
        assert!(
            file["what"].is_string() && file["origin"].is_string(),
            "{subject}: says what it is and where it is from"
        );
        let cases = file["cases"].as_array().expect("a list of cases").clone();
        assert!(!cases.is_empty(), "{subject}: has cases");
        Cases { subject, cases }
    }

    /// Tries every case and says which failed.
    fn check(self, mut check: impl FnMut(&Value) -> Result<(), String>) {
        let total = self.cases.len();
        let failed: Vec<String> = self
            .cases
            .iter()
            .filter_map(|case| check(case).err().map(|why| format!("{}: {why}", case["id"])))
            .collect();
        println!("{}: {} of {total} cases", self.subject, total - failed.len());
        assert!(failed.is_empty(), "{}:\n{}", self.subject, failed.join("\n"));
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    ensure(ours == theirs, || format!("{what} is {ours:?}, not {theirs:?}"))
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "hexadecimal digits come in pairs");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().expect("as many bytes as it should have")
}

/// A field that must be a text.
fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{}: {field} is a text", case["id"]))
}

/// A field that must be a number.
fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("{}: {field} is a number", case["id"]))
}

/// Content by its seed: SHA-256(seed || counter as eight bytes, big endian), one after the other, cut to the length.
fn content(seed: &str, length: usize) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut data = Vec::with_capacity(length + 32);
    let mut counter = 0u64;
    while data.len() < length {
        data.extend(Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize());
        counter += 1;
    }
    data.truncate(length);
    data
}
