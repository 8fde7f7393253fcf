//! Looks for originals in the result. Nothing should be found: the mapper is asked for everything. This is the second pair of eyes.

use super::addresses::stays;
use super::mapper::Mapper;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// What is looked for.
pub(super) struct Scanner {
    /// By the first four bytes.
    patterns: BTreeMap<[u8; 4], Vec<Pattern>>,
    /// Which first two bytes there are.
    heads: Vec<bool>,
}

struct Pattern {
    bytes: Vec<u8>,
    what: &'static str,
    /// An address in text: not a part of another one.
    whole: bool,
}

impl Scanner {
    /// Every original of a mapper that has settled, in each form that it may have, and the secret seed.
    pub fn new(mapper: &Mapper, secret: &[u8; 32]) -> Scanner {
        let mut scanner = Scanner { patterns: BTreeMap::new(), heads: alloc::vec![false; 1 << 16] };
        scanner.put("secret seed", secret.to_vec());
        for (original, what) in mapper.hidden() {
            scanner.put(what, original.clone());
        }
        for (old, _) in mapper.addresses.iter().filter(|(old, new)| old != new && !stays(*old)) {
            scanner.push("address", old.to_string().into_bytes(), true);
            match old {
                // As a bencoded string; four bytes alone are everywhere by chance.
                IpAddr::V4(ip) => scanner.put("address", [b"4:", &ip.octets()[..]].concat()),
                IpAddr::V6(ip) => scanner.put("address", ip.octets().to_vec()),
            }
        }
        for socket in mapper.sockets().filter(|socket| !stays(socket.ip())) {
            if let SocketAddr::V4(addr) = socket {
                scanner.put("address", [&addr.ip().octets()[..], &addr.port().to_be_bytes()].concat());
            }
        }
        for (old, _) in mapper.hashes().filter(|(old, new)| old != new) {
            scanner.put("info-hash", old.0.to_vec());
            let hex = old.to_hex();
            scanner.put("info-hash", hex.to_uppercase().into_bytes());
            scanner.put("info-hash", hex.into_bytes());
            scanner.put("info-hash", base32(&old.0));
        }
        for (old, _) in mapper.ids().filter(|(old, new)| old != new) {
            scanner.put("peer id", old.0.get(8..).unwrap_or_default().to_vec());
        }
        scanner
    }

    fn put(&mut self, what: &'static str, bytes: Vec<u8>) {
        self.push(what, bytes, false);
    }

    fn push(&mut self, what: &'static str, bytes: Vec<u8>, whole: bool) {
        // Bytes that are all alike are no name of anything.
        let alike = bytes.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
        if let Some(head) = bytes.first_chunk::<4>().filter(|_| !alike) {
            self.heads.iter_mut().skip(index(head)).take(1).for_each(|known| *known = true);
            self.patterns.entry(*head).or_default().push(Pattern { bytes, what, whole });
        }
    }

    /// What is found, if anything is.
    pub fn find(&self, bytes: &[u8]) -> Option<&'static str> {
        let hits = bytes.windows(4).enumerate().filter_map(|(at, window)| {
            let head = window.first_chunk::<4>().filter(|head| self.heads.get(index(head)) == Some(&true))?;
            Some((at, self.patterns.get(head)?))
        });
        for (at, patterns) in hits {
            let rest = bytes.get(at..).unwrap_or_default();
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            for Pattern { bytes: pattern, what, whole } in patterns {
                let joins = |byte: Option<&u8>| {
                    byte.is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b'.' || *byte == b':')
                };
                let alone = !whole || (!joins(before) && !joins(rest.get(pattern.len()).filter(|byte| **byte != b':')));
                if rest.starts_with(pattern) && alone {
                    return Some(what);
                }
            }
        }
        None
    }
}

fn index(head: &[u8; 4]) -> usize {
    usize::from(head[0]) << 8 | usize::from(head[1])
}

/// RFC 4648, as magnet links have it.
fn base32(bytes: &[u8; 20]) -> Vec<u8> {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    bytes
        .chunks_exact(5)
        .flat_map(|chunk| {
            let number = chunk.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
            (0..8).rev().map(move |digit| DIGITS[(number >> (5 * digit) & 31) as usize])
        })
        .collect()
}
