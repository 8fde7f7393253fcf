//! SHA-1 (FIPS 180-4) of up to eight messages at once.
//!
//! One SHA-1 is a chain: every round waits for the one before it, and a processor that could do several of them at the same
//! time idles. Messages that have nothing to do with each other, as the pieces of a torrent, fill the gaps.
//!
//! - [`Sha1`]: the state of one message. `update`, `finish`; no surprises.
//! - [`update_lanes`]: feeds several of them, up to eight in lockstep as long as there is something for each.
//!
//! What the processor has is found at run time; the digests are the same. In s/GiB of processor time:
//!
//! | messages at once | 1 | 2 | 4 | 6 | 8 |
//! |---|---|---|---|---|---|
//! | the `sha1` crate, which uses SHA-NI (Xeon with AMX) | 0.61 | | | | |
//! | `ni`: SHA-NI, two to four in lockstep (Xeon with AMX) | | 0.51 | 0.59 | 0.57 | 0.59 |
//! | `ni` (a prototype of it, EPYC Zen 4; alone 0.57) | | 0.33 | 0.24 | | |
//! | `wide`: AVX-512, six to eight in lockstep (Xeon with AMX) | | 0.85 | 0.43 | 0.29 | 0.21 |
//!
//! The only unsafe code of the crate is the calls of the two that are compiled for instructions that not all processors have.

#[cfg(target_arch = "x86_64")]
mod ni;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;

use sha1::block_api::compress;

/// The most messages in lockstep.
pub(crate) const LANES: usize = 8;

/// From how many messages on eight at once by AVX-512 are worth while, though some lanes go empty. With four, Intel
/// would gain a third and AMD lose half.
#[cfg(target_arch = "x86_64")]
const WIDE_FROM: usize = 6;

/// A digest.
pub(crate) type Digest = [u8; 20];

/// What SHA-1 works on at a time.
type Block = [u8; BLOCK];
const BLOCK: usize = 64;

/// The five words between two blocks.
type Words = [u32; 5];

/// SHA-1 of a message so far.
#[derive(Clone, Debug)]
pub(crate) struct Sha1 {
    words: Words,
    /// What does not make a block yet: the first `length % 64` bytes.
    rest: Block,
    /// Bytes so far. 2^61 of them, where SHA-1 ends, are out of reach.
    length: u64,
}

impl Default for Sha1 {
    fn default() -> Sha1 {
        Sha1 { words: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0], rest: [0; BLOCK], length: 0 }
    }
}

impl Sha1 {
    /// The message goes on.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let (blocks, tail) = self.begin(bytes);
        compress(&mut self.words, blocks);
        self.keep(tail);
    }

    /// The message ends.
    pub(crate) fn finish(mut self) -> Digest {
        // FIPS 180-4, 5.1.1: "Append the bit "1" to the end of the message, followed by k zero bits, where k is the smallest,
        // non-negative solution to the equation l + 1 + k = 448 mod 512. Then append the 64-bit block that is equal to the
        // number l".
        let bits = self.length.wrapping_mul(8);
        let zeros = (BLOCK + 56 - 1 - self.filled()) % BLOCK;
        let mut padding = [0; 2 * BLOCK];
        padding[0] = 0x80;
        padding[1 + zeros..1 + zeros + 8].copy_from_slice(&bits.to_be_bytes());
        self.update(&padding[..1 + zeros + 8]);
        let mut digest = [0; 20];
        for (out, word) in digest.chunks_exact_mut(4).zip(self.words) {
            out.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }

    /// How many bytes of `rest` are the message's.
    fn filled(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }

    /// Completes the block that was begun, and counts. Gives the whole blocks behind it, and what is left after them for
    /// [`keep`](Sha1::keep).
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> (&'a [Block], &'a [u8]) {
        let filled = self.filled();
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if filled == 0 {
            return bytes.as_chunks();
        }
        let (head, more) = bytes.split_at(bytes.len().min(BLOCK - filled));
        self.rest[filled..filled + head.len()].copy_from_slice(head);
        if filled + head.len() == BLOCK {
            compress(&mut self.words, &[self.rest]);
            return more.as_chunks();
        }
        // Nothing is left over: what there was lies in `rest`, behind what was there.
        (&[], &[])
    }

    fn keep(&mut self, tail: &[u8]) {
        if !tail.is_empty() {
            self.rest[..tail.len()].copy_from_slice(tail);
        }
    }
}

/// Feeds each of these messages with what comes next of it. The lengths need not be the same; the nearer they are, the longer
/// all lanes are in use.
pub(crate) fn update_lanes(lanes: &mut [(&mut Sha1, &[u8])]) {
    for group in lanes.chunks_mut(LANES) {
        let mut left: Vec<(&mut Words, &[Block])> = Vec::with_capacity(LANES);
        for (sha1, bytes) in group {
            let (blocks, tail) = sha1.begin(bytes);
            sha1.keep(tail);
            if !blocks.is_empty() {
                left.push((&mut sha1.words, blocks));
            }
        }
        while let Some(common) = left.iter().map(|(_, blocks)| blocks.len()).min() {
            lockstep(&mut left, common);
            left.retain_mut(|(_, blocks)| {
                *blocks = blocks.get(common..).unwrap_or_default();
                !blocks.is_empty()
            });
        }
    }
}

/// Takes the first `count` blocks of each lane, of which there are at most [`LANES`].
fn lockstep(lanes: &mut [(&mut Words, &[Block])], count: usize) {
    #[cfg(target_arch = "x86_64")]
    if lanes.len() >= WIDE_FROM && wide::compress(lanes, count) {
        return;
    }
    // In even groups, so that none is alone: five are three and two.
    let groups = lanes.len().div_ceil(GROUP).max(1);
    for group in lanes.chunks_mut(lanes.len().div_ceil(groups).max(1)) {
        #[cfg(target_arch = "x86_64")]
        if ni::compress(group, count) {
            continue;
        }
        for (words, blocks) in group {
            compress(words, blocks.get(..count).unwrap_or_default());
        }
    }
}

/// The most messages that SHA-NI takes in lockstep. The registers hold two; four were measured to be faster all the same.
const GROUP: usize = 4;
