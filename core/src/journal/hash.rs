//! Hashing, for digests and sketches.
//!
//! Functions of their own, none of which calls another, so that a profile can tell hashing from the rest of what a recording costs.

use alloc::vec::Vec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// XXH3-128 of some bytes, in network order.
#[inline(never)]
pub(super) fn long(bytes: &[u8]) -> [u8; 16] {
    xxh3_128(bytes).to_be_bytes()
}

/// XXH3-128 of what [`long`] gave and two words of eight bytes each, the lowest byte first; in its place.
#[inline(never)]
pub(super) fn next(digest: &mut [u8; 16], first: u64, second: u64) {
    let mut all = [0; 32];
    let (front, rest) = all.split_at_mut(digest.len());
    front.copy_from_slice(digest);
    rest.copy_from_slice([first, second].map(u64::to_le_bytes).as_flattened());
    *digest = xxh3_128(&all).to_be_bytes();
}

/// XXH3-64 of some bytes.
#[inline(never)]
pub(super) fn short(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// XXH3-64 of two words of eight bytes each, the lowest byte first.
#[inline(never)]
pub(super) fn two(first: u64, second: u64) -> u64 {
    xxh3_64([first, second].map(u64::to_le_bytes).as_flattened())
}

/// The same of four.
#[inline(never)]
pub(super) fn four(first: u64, second: u64, third: u64, fourth: u64) -> u64 {
    xxh3_64([first, second, third, fourth].map(u64::to_le_bytes).as_flattened())
}

/// The same of two such words and some bytes. `scratch` is where they are put together.
#[inline(never)]
pub(super) fn two_and(first: u64, second: u64, bytes: &[u8], scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    scratch.extend_from_slice([first, second].map(u64::to_le_bytes).as_flattened());
    scratch.extend_from_slice(bytes);
    xxh3_64(scratch)
}

/// What a list comes to, of which each part has been hashed to 64 bits: another one in any place, and the list comes to something else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum(u64);

impl Sum {
    /// That of nothing, in two lists of so many.
    #[inline]
    pub(super) fn of_lists(one: usize, other: usize) -> Sum {
        Sum((one as u64) << 32 ^ other as u64)
    }

    /// Goes on by one part. For each value before it is a permutation of what is added, and the reverse, so that nothing is lost; and it is another one
    /// in another order.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        self.0 = (self.0 ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    #[inline]
    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}
