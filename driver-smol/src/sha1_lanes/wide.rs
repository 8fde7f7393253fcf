//! The compression function of SHA-1 by AVX-512 (its 256-bit form), up to eight messages in lockstep: each lane of a vector register holds
//! a word of another message.
//!
//! Where the instructions of SHA-NI are no faster for being many at once (Intel), this is what makes lanes worth while. As in
//! [`ni`](super::ni), unsafe is only the call of a function that is compiled for instructions which the processor was asked for.

#![allow(unsafe_code)]

use super::{Block, Words};
use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_extract_epi32, _mm256_permute2x128_si256, _mm256_rol_epi32, _mm256_set_epi32,
    _mm256_set_epi64x, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_ternarylogic_epi32,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

/// Messages that a register holds.
pub(super) const WIDTH: usize = 8;

/// Takes the first `count` blocks of each of up to eight lanes that have that many; says whether it could: else nothing
/// has changed.
pub(super) fn compress(lanes: &mut [(&mut Words, &[Block])], count: usize) -> bool {
    // Asked once: the answer is kept by the standard library.
    if !(is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx2"))
        || lanes.len() > WIDTH
    {
        return false;
    }
    let Some((_, first)) = lanes.first() else { return true };
    // A lane without a message does what the first does, for nothing.
    let (mut states, mut blocks) = ([[0; 5]; WIDTH], [*first; WIDTH]);
    for ((words, message), (state, block)) in lanes.iter().zip(states.iter_mut().zip(&mut blocks)) {
        *state = **words;
        *block = message;
    }
    // SAFETY: the processor has the instructions that the function is compiled for: asked above.
    unsafe { lockstep(&mut states, blocks, count) }
    for ((words, _), state) in lanes.iter_mut().zip(states) {
        **words = state;
    }
    true
}

#[target_feature(enable = "avx512f,avx512vl,avx2")]
#[expect(clippy::needless_range_loop, reason = "one index goes through all the arrays of lanes")]
fn lockstep(states: &mut [Words; WIDTH], blocks: [&[Block]; WIDTH], count: usize) {
    let mut state = [_mm256_setzero_si256(); 5];
    for (word, vector) in state.iter_mut().enumerate() {
        let [a, b, c, d, e, f, g, h] = states.each_ref().map(|state| state[word] as i32);
        *vector = _mm256_set_epi32(h, g, f, e, d, c, b, a);
    }
    for number in 0..count {
        let mut w = [_mm256_setzero_si256(); 16];
        for half in 0..2 {
            let mut rows = [_mm256_setzero_si256(); WIDTH];
            for lane in 0..WIDTH {
                rows[lane] = load(&blocks[lane][number], half);
            }
            let columns = transpose(rows);
            w[8 * half..8 * half + 8].copy_from_slice(&columns);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        macro_rules! rounds {
            ($($t:literal)*) => {$(
                if $t >= 16 {
                    let three = _mm256_ternarylogic_epi32::<PARITY>(w[($t + 13) % 16], w[($t + 8) % 16], w[($t + 2) % 16]);
                    w[$t % 16] = _mm256_rol_epi32::<1>(_mm256_xor_si256(three, w[$t % 16]));
                }
                // FIPS 180-4, 4.1.1 and 4.2.1: the function and the constant change every twenty rounds.
                let (f, k) = match $t / 20 {
                    0 => (_mm256_ternarylogic_epi32::<CHOOSE>(b, c, d), 0x5a82_7999u32),
                    1 => (_mm256_ternarylogic_epi32::<PARITY>(b, c, d), 0x6ed9_eba1),
                    2 => (_mm256_ternarylogic_epi32::<MAJORITY>(b, c, d), 0x8f1b_bcdc),
                    _ => (_mm256_ternarylogic_epi32::<PARITY>(b, c, d), 0xca62_c1d6),
                };
                // What does not depend on the round before comes first.
                let early = _mm256_add_epi32(e, _mm256_add_epi32(w[$t % 16], _mm256_set1_epi32(k as i32)));
                let next = _mm256_add_epi32(_mm256_add_epi32(early, f), _mm256_rol_epi32::<5>(a));
                (e, d, c, b, a) = (d, c, _mm256_rol_epi32::<30>(b), a, next);
            )*};
        }
        rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
            20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
            40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59
            60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
        for (sum, word) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = _mm256_add_epi32(*sum, word);
        }
    }
    for (word, vector) in state.into_iter().enumerate() {
        let lanes = [
            _mm256_extract_epi32::<0>(vector),
            _mm256_extract_epi32::<1>(vector),
            _mm256_extract_epi32::<2>(vector),
            _mm256_extract_epi32::<3>(vector),
            _mm256_extract_epi32::<4>(vector),
            _mm256_extract_epi32::<5>(vector),
            _mm256_extract_epi32::<6>(vector),
            _mm256_extract_epi32::<7>(vector),
        ];
        for (state, lane) in states.iter_mut().zip(lanes) {
            state[word] = lane as u32;
        }
    }
}

/// Truth tables of three inputs.
const CHOOSE: i32 = 0xca;
const PARITY: i32 = 0x96;
const MAJORITY: i32 = 0xe8;

/// Half of a block, its words big-endian as SHA-1 has them.
#[target_feature(enable = "avx512f,avx512vl,avx2")]
#[inline]
fn load(block: &Block, half: usize) -> __m256i {
    let (words, _) = block.as_chunks::<8>();
    let [a, b, c, d] = [words[4 * half], words[4 * half + 1], words[4 * half + 2], words[4 * half + 3]];
    let bytes =
        _mm256_set_epi64x(i64::from_le_bytes(d), i64::from_le_bytes(c), i64::from_le_bytes(b), i64::from_le_bytes(a));
    let order = (0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm256_shuffle_epi8(bytes, _mm256_set_epi64x(order.0, order.1, order.0, order.1))
}

/// Eight rows of eight words to eight columns.
#[target_feature(enable = "avx512f,avx512vl,avx2")]
#[inline]
fn transpose(r: [__m256i; 8]) -> [__m256i; 8] {
    let [p0, p1, p2, p3] = quarters(r[0], r[1], r[2], r[3]);
    let [q0, q1, q2, q3] = quarters(r[4], r[5], r[6], r[7]);
    [
        _mm256_permute2x128_si256::<0x20>(p0, q0),
        _mm256_permute2x128_si256::<0x20>(p1, q1),
        _mm256_permute2x128_si256::<0x20>(p2, q2),
        _mm256_permute2x128_si256::<0x20>(p3, q3),
        _mm256_permute2x128_si256::<0x31>(p0, q0),
        _mm256_permute2x128_si256::<0x31>(p1, q1),
        _mm256_permute2x128_si256::<0x31>(p2, q2),
        _mm256_permute2x128_si256::<0x31>(p3, q3),
    ]
}

/// Transposes the four by four words in each half of four rows.
#[target_feature(enable = "avx512f,avx512vl,avx2")]
#[inline]
fn quarters(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab_low, cd_low),
        _mm256_unpackhi_epi64(ab_low, cd_low),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}
