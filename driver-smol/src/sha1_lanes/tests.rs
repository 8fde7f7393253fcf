//! Known answers, and the `sha1` crate as the model.

use super::*;
use proptest::prelude::*;
use sha1::Digest as _;

fn model(bytes: &[u8]) -> Digest {
    sha1::Sha1::digest(bytes).into()
}

fn content(length: usize, seed: u32) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn hex(digest: Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The examples that NIST gives with FIPS 180 (SHA-1: one block, two blocks, the empty message, a million times "a").
const KNOWN: [(&str, usize, &str); 4] = [
    ("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
    ("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
];

#[test]
fn known_answers_alone_and_in_lanes() {
    let messages = KNOWN.map(|(text, times, _)| text.repeat(times).into_bytes());
    for (message, (_, _, digest)) in messages.iter().zip(KNOWN) {
        let mut sha1 = Sha1::default();
        sha1.update(message);
        assert_eq!(hex(sha1.finish()), digest);
    }
    let mut hashes: [Sha1; 4] = Default::default();
    let mut lanes: Vec<(&mut Sha1, &[u8])> = hashes.iter_mut().zip(messages.iter().map(Vec::as_slice)).collect();
    update_lanes(&mut lanes);
    assert_eq!(hashes.map(|sha1| hex(sha1.finish())), KNOWN.map(|(_, _, digest)| digest.to_owned()));
}

#[test]
fn lengths_around_the_ends_of_blocks() {
    let edges = [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 16_384, 100_003];
    for lane_count in 1..=LANES + 1 {
        for (n, &length) in edges.iter().enumerate() {
            let messages: Vec<Vec<u8>> = (0..lane_count)
                .map(|lane| content(if lane == 0 { length } else { edges[(n + lane) % edges.len()] }, lane as u32))
                .collect();
            let mut hashes = vec![Sha1::default(); lane_count];
            update_lanes(&mut hashes.iter_mut().zip(messages.iter().map(Vec::as_slice)).collect::<Vec<_>>());
            for (sha1, message) in hashes.into_iter().zip(&messages) {
                assert_eq!(sha1.finish(), model(message), "{} bytes, {lane_count} lanes", message.len());
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod kernels {
    use super::*;

    type Kernel = fn(&mut [(&mut Words, &[Block])], usize) -> bool;

    /// Whether a kernel worked; when it did, its lanes are as the `sha1` crate has them, and else as before.
    fn works(kernel: Kernel, lane_count: usize) -> bool {
        let blocks: Vec<Vec<Block>> =
            (0..lane_count).map(|lane| content(320, lane as u32).as_chunks().0.to_vec()).collect();
        let before: Vec<Words> = (0..lane_count as u32).map(|lane| [lane, 1, u32::MAX, 3 << lane, !lane]).collect();
        let mut words = before.clone();
        let mut lanes: Vec<(&mut Words, &[Block])> = words.iter_mut().zip(blocks.iter().map(Vec::as_slice)).collect();
        let worked = kernel(&mut lanes, 4);
        let mut expected = before;
        if worked {
            expected.iter_mut().zip(&blocks).for_each(|(words, blocks)| compress(words, &blocks[..4]));
        }
        assert_eq!(words, expected, "{lane_count} lanes");
        worked
    }

    #[test]
    fn sha_ni_is_used_where_the_processor_has_it() {
        let has =
            is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3");
        for lane_count in 0..=LANES {
            assert_eq!(works(ni::compress, lane_count), has && (2..=GROUP).contains(&lane_count));
        }
    }

    #[test]
    fn avx_512_is_used_where_the_processor_has_it() {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2");
        for lane_count in 1..=LANES + 1 {
            assert_eq!(works(wide::compress, lane_count), has && lane_count <= LANES);
        }
    }
}

proptest! {
    /// Each message comes in any number of parts, alone and beside others that progress otherwise.
    #[test]
    fn parts_in_lanes_make_the_digest_of_the_whole(
        rounds in prop::collection::vec(prop::collection::vec(
            prop_oneof![0usize..200, prop::sample::select(vec![0, 55, 56, 63, 64, 65, 128, 4096]), 0usize..20_000],
            1..11,
        ), 1..8),
        alone in any::<bool>(),
    ) {
        let mut hashes = vec![Sha1::default(); 11];
        let mut messages = vec![Vec::new(); 11];
        for (round, lengths) in rounds.iter().enumerate() {
            let parts: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(lane, &length)| content(length, (11 * round + lane) as u32)).collect();
            update_lanes(&mut hashes.iter_mut().zip(parts.iter().map(Vec::as_slice)).collect::<Vec<_>>());
            for (message, part) in messages.iter_mut().zip(&parts) {
                message.extend_from_slice(part);
            }
            if alone {
                hashes[0].update(b"between");
                messages[0].extend_from_slice(b"between");
            }
        }
        for (sha1, message) in hashes.into_iter().zip(&messages) {
            prop_assert_eq!(sha1.finish(), model(message));
        }
    }
}
