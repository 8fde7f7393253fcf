//! The compression function of SHA-1 by the instructions of SHA-NI, two to four messages in lockstep.
//!
//! Unsafe is one thing only: calling a function that is compiled for instructions which not every x86-64 processor has, after asking
//! the processor. No pointer is touched: blocks are read as integers, which the
//! compiler turns into plain vector loads.

#![allow(unsafe_code)]

use super::{Block, Words};
use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128, _mm_sha1msg1_epu32,
    _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8, _mm_xor_si128,
};

/// Takes the first `count` blocks of each of two to four lanes that have that many; says whether it could: else, and with
/// another number of lanes, nothing has changed.
pub(super) fn compress(lanes: &mut [(&mut Words, &[Block])], count: usize) -> bool {
    // Asked once: the answer is kept by the standard library.
    if !(is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3")) {
        return false;
    }
    match lanes {
        [a, b] => {
            let blocks = [a.1, b.1];
            // SAFETY: the processor has the instructions that the function is compiled for: asked above.
            unsafe { lockstep([a.0, b.0], blocks, count) }
        }
        [a, b, c] => {
            let blocks = [a.1, b.1, c.1];
            // SAFETY: as above.
            unsafe { lockstep([a.0, b.0, c.0], blocks, count) }
        }
        [a, b, c, d] => {
            let blocks = [a.1, b.1, c.1, d.1];
            // SAFETY: as above.
            unsafe { lockstep([a.0, b.0, c.0, d.0], blocks, count) }
        }
        _ => return false,
    }
    true
}

#[target_feature(enable = "sha,sse4.1,ssse3,sse2")]
#[expect(clippy::needless_range_loop, reason = "one index goes through all the arrays of lanes")]
fn lockstep<const N: usize>(states: [&mut Words; N], blocks: [&[Block]; N], count: usize) {
    // The instructions want the words of a block big-endian and the first of them on top.
    let order = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    // Loops and not closures: code behind a closure is not compiled for these instructions as a part of this function.
    let none = _mm_setzero_si128();
    let (mut abcd, mut e) = ([none; N], [none; N]);
    for lane in 0..N {
        let [a, b, c, d, top] = *states[lane];
        abcd[lane] = _mm_set_epi32(a as i32, b as i32, c as i32, d as i32);
        e[lane] = _mm_set_epi32(top as i32, 0, 0, 0);
    }
    for block in 0..count {
        let (abcd_before, e_before) = (abcd, e);
        // The last sixteen words of the message schedule, four to a register: group `g` lies in `w[g % 4]`.
        let mut w = [[none; N]; 4];
        // `abcd` before the last four rounds: the next `e` is its `a`, rotated.
        let mut last = abcd;
        // Four rounds for each lane, then the next four: so that no lane waits for itself.
        macro_rules! rounds {
            ($($group:literal)*) => {$(
                for lane in 0..N {
                    if $group < 4 {
                        w[$group % 4][lane] = _mm_shuffle_epi8(load(&blocks[lane][block], $group % 4), order);
                    } else {
                        let mixed = _mm_xor_si128(
                            _mm_sha1msg1_epu32(w[$group % 4][lane], w[($group + 1) % 4][lane]),
                            w[($group + 2) % 4][lane],
                        );
                        w[$group % 4][lane] = _mm_sha1msg2_epu32(mixed, w[($group + 3) % 4][lane]);
                    }
                    let words = w[$group % 4][lane];
                    let input = match $group {
                        0 => _mm_add_epi32(e[lane], words),
                        _ => _mm_sha1nexte_epu32(last[lane], words),
                    };
                    last[lane] = abcd[lane];
                    // The function and constant of the rounds change every twenty.
                    abcd[lane] = _mm_sha1rnds4_epu32::<{ $group / 5 }>(abcd[lane], input);
                }
            )*};
        }
        rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        for lane in 0..N {
            e[lane] = _mm_sha1nexte_epu32(last[lane], e_before[lane]);
            abcd[lane] = _mm_add_epi32(abcd[lane], abcd_before[lane]);
        }
    }
    for (lane, state) in states.into_iter().enumerate() {
        *state = [
            _mm_extract_epi32::<3>(abcd[lane]) as u32,
            _mm_extract_epi32::<2>(abcd[lane]) as u32,
            _mm_extract_epi32::<1>(abcd[lane]) as u32,
            _mm_extract_epi32::<0>(abcd[lane]) as u32,
            _mm_extract_epi32::<3>(e[lane]) as u32,
        ];
    }
}

/// The given quarter of a block, as it lies in memory.
#[target_feature(enable = "sse2")]
#[inline]
fn load(block: &Block, quarter: usize) -> __m128i {
    let (words, _) = block.as_chunks::<8>();
    let [low, high] = [words[2 * quarter], words[2 * quarter + 1]];
    _mm_set_epi64x(i64::from_le_bytes(high), i64::from_le_bytes(low))
}
