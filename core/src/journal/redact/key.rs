//! What pseudonyms are drawn from.

use alloc::string::String;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// The key of one redaction. The same original has the same pseudonym everywhere; without the key nobody can tell which
/// original a pseudonym stands for, nor try one out. It is kept nowhere.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// From 32 random bytes, and the number of the attempt.
    pub fn new(secret: [u8; 32], attempt: u32) -> Key {
        Key(Sha256::new().chain_update(secret).chain_update(attempt.to_be_bytes()).finalize().into())
    }

    /// So many bytes for a value of a kind: SHA-256 over key, kind, value and a counter.
    pub fn bytes(&self, kind: &str, value: &[u8], length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 32);
        let start = Sha256::new()
            .chain_update(self.0)
            .chain_update([kind.len() as u8])
            .chain_update(kind)
            .chain_update((value.len() as u64).to_be_bytes())
            .chain_update(value);
        for counter in 0u32.. {
            if out.len() >= length {
                break;
            }
            out.extend_from_slice(&start.clone().chain_update(counter.to_be_bytes()).finalize());
        }
        out.truncate(length);
        out
    }

    /// The same, as an array.
    pub fn array<const N: usize>(&self, kind: &str, value: &[u8]) -> [u8; N] {
        self.bytes(kind, value, N).try_into().unwrap_or([0; N])
    }

    /// A number below `bound`; 0 when that is 0. Not all are equally likely, by a part in 2^64 / `bound`.
    pub fn below(&self, kind: &str, value: &[u8], bound: u64) -> u64 {
        u64::from_be_bytes(self.array(kind, value)).checked_rem(bound).unwrap_or(0)
    }

    /// Lower-case letters, as many as the value has bytes.
    pub fn letters(&self, kind: &str, value: &[u8]) -> Vec<u8> {
        self.bytes(kind, value, value.len()).into_iter().map(|byte| b'a' + byte % 26).collect()
    }

    /// The same as text.
    pub fn letters_of(&self, kind: &str, value: &str) -> String {
        self.letters(kind, value.as_bytes()).into_iter().map(char::from).collect()
    }

    /// A text with every word replaced by one of its length, a number by a number of its length. A word is what lies between
    /// signs; `keep` says which are left as they are.
    pub fn words(&self, text: &str, keep: impl Fn(&str) -> bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii();
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            if keep(word) {
                out.push_str(word);
            } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
                out.extend(self.digits(word));
            } else {
                out.push_str(&self.letters_of("word", word));
            }
            let sign = behind.find(is_word).unwrap_or(behind.len());
            let (signs, next) = behind.split_at(sign);
            out.push_str(signs);
            rest = next;
        }
        out
    }

    /// Digits, as many as there are; the first is not 0.
    fn digits(&self, number: &str) -> impl Iterator<Item = char> {
        let drawn = self.bytes("digits", number.as_bytes(), number.len());
        (0..)
            .zip(drawn)
            .map(|(at, byte): (u32, u8)| char::from(if at == 0 { b'1' + byte % 9 } else { b'0' + byte % 10 }))
    }
}
