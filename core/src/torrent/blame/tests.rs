//! Named cases, and a swarm of liars and honest peers.

use super::*;
use crate::metainfo::Geometry;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::vec;

fn peer(number: u16) -> Culprit {
    SocketAddr::from(([10, 0, 0, 1], number))
}

fn piece(number: u32) -> PieceIndex {
    Geometry::new(1 << 30, 1 << 16).unwrap().piece(number).unwrap()
}

/// The digest of block `block` as it should be, or of one of its bad versions.
fn digest(block: u32, version: u8) -> Digest {
    let mut digest = [version; 20];
    digest[..4].copy_from_slice(&block.to_be_bytes());
    digest
}

fn good(blocks: u32) -> Vec<Digest> {
    (0..blocks).map(|block| digest(block, 0)).collect()
}

fn blame() -> Blame {
    Blame::new(&PickConfig::default())
}

#[test]
fn the_only_sender_is_guilty_at_once() {
    let mut blame = blame();
    let senders = [(1, peer(1)), (0, peer(1)), (2, peer(1))];
    assert_eq!(blame.failed(piece(0), &good(3), &senders), vec![peer(1)]);
    assert!(!blame.wants_digests(piece(0)), "there is nothing left to find out");
}

#[test]
fn a_block_without_a_sender_makes_the_only_sender_a_suspect_only() {
    let mut blame = blame();
    assert_eq!(blame.failed(piece(0), &good(3), &[(0, peer(1)), (2, peer(1))]), vec![]);
    // One block twice does not make up for it.
    assert_eq!(blame.failed(piece(1), &good(3), &[(0, peer(1)), (2, peer(1)), (2, peer(1))]), vec![]);
    assert!(blame.wants_digests(piece(0)) && blame.wants_digests(piece(1)));
}

#[test]
fn whoever_sent_a_differing_block_is_guilty_when_the_piece_passes() {
    let mut blame = blame();
    let mut bad = good(4);
    bad[2] = digest(2, 9);
    let senders = [(0, peer(1)), (1, peer(1)), (2, peer(2)), (3, peer(3))];
    assert_eq!(blame.failed(piece(5), &bad, &senders), vec![]);
    assert!(blame.wants_digests(piece(5)) && !blame.wants_digests(piece(6)));
    assert_eq!(blame.passed(piece(6), &good(4)), vec![]);
    assert_eq!(blame.passed(piece(5), &good(4)), vec![peer(2)]);
    assert_eq!(blame.passed(piece(5), &good(4)), vec![], "the record is closed");
}

#[test]
fn whoever_sends_one_block_in_two_ways_is_guilty() {
    let mut blame = blame();
    let senders = [(0, peer(1)), (1, peer(2))];
    assert_eq!(blame.failed(piece(0), &[digest(0, 1), digest(1, 0)], &senders), vec![]);
    assert_eq!(blame.failed(piece(0), &[digest(0, 2), digest(1, 0)], &senders), vec![peer(1)]);
    assert_eq!(blame.failed(piece(0), &[digest(0, 2), digest(1, 0)], &senders), vec![peer(1)], "still");
    assert_eq!(blame.passed(piece(0), &good(2)), vec![peer(1)]);
}

#[test]
fn what_could_not_be_read_accuses_nobody() {
    let mut blame = blame();
    assert_eq!(blame.failed(piece(0), &[], &[(0, peer(1))]), vec![]);
    assert!(!blame.wants_digests(piece(0)));
    assert_eq!(
        blame.failed(piece(0), &[digest(0, 1), digest(1, 1)], &[(0, peer(1)), (1, peer(2)), (7, peer(3))]),
        vec![]
    );
    assert_eq!(blame.passed(piece(0), &[]), vec![]);
}

#[test]
fn the_record_is_bounded_and_the_oldest_goes_first() {
    let config = PickConfig { blame_pieces: 3, blame_blocks: 5, ..PickConfig::default() };
    let mut blame = Blame::new(&config);
    let senders = [(0, peer(1)), (1, peer(2))];
    for number in 0..3 {
        blame.failed(piece(number), &good(2), &senders);
    }
    assert_eq!((blame.blocks, blame.wants_digests(piece(0))), (4, false), "5 blocks hold two pieces");
    blame.failed(piece(3), &good(2), &senders[..1]);
    blame.failed(piece(4), &good(2), &senders[..1]);
    assert_eq!((blame.records.len(), blame.ages.len(), blame.blocks), (3, 3, 4));
    assert!(!blame.wants_digests(piece(1)) && blame.wants_digests(piece(2)));
    let many: Vec<_> = (0..6).map(|block| (block, peer(block as u16 % 2))).collect();
    blame.failed(piece(9), &good(6), &many);
    assert!(!blame.wants_digests(piece(9)) && blame.wants_digests(piece(2)), "too long for any room");
}

proptest! {
    /// Liars corrupt what they like, honest peers never do; a piece is fetched until it passes.
    #[test]
    fn every_liar_whose_piece_passes_is_found_and_nobody_else(
        attempts in proptest::collection::vec(proptest::collection::vec((0u16..6, 0u8..3), 4), 1..6),
    ) {
        // Peers 0 to 2 are honest; of the others each says with each block which version it sends, 0 being right.
        let version = |&(sender, version): &(u16, u8)| if sender < 3 { 0 } else { version };
        let mut blame = blame();
        let mut accused = BTreeSet::new();
        let mut liars = BTreeSet::new();
        for attempt in &attempts {
            let digests: Vec<_> = attempt.iter().enumerate().map(|(at, sent)| digest(at as u32, version(sent))).collect();
            if digests == good(4) {
                continue;
            }
            let senders: Vec<_> = attempt.iter().enumerate().map(|(at, sent)| (at as u32, peer(sent.0))).collect();
            liars.extend(attempt.iter().filter(|sent| version(sent) != 0).map(|sent| peer(sent.0)));
            accused.extend(blame.failed(piece(0), &digests, &senders));
        }
        accused.extend(blame.passed(piece(0), &good(4)));
        prop_assert_eq!(accused, liars);
        prop_assert_eq!(blame.blocks, 0);
    }

    #[test]
    fn the_books_of_the_record_are_right(
        ops in proptest::collection::vec((0u32..6, 0usize..5, 0u32..5, any::<bool>()), 0..60),
    ) {
        let config = PickConfig { blame_pieces: 3, blame_blocks: 8, ..PickConfig::default() };
        let mut blame = Blame::new(&config);
        for (number, digests, senders, passes) in ops {
            if passes {
                blame.passed(piece(number), &good(digests as u32));
            } else {
                let senders: Vec<_> = (0..senders).map(|block| (block, peer(block as u16))).collect();
                blame.failed(piece(number), &good(digests as u32), &senders);
            }
            prop_assert!(blame.records.len() <= 3 && blame.blocks <= 8);
            prop_assert_eq!(blame.blocks, blame.records.values().map(Vec::len).sum::<usize>());
            let ages: BTreeMap<_, _> = blame.ages.iter().map(|&piece| (piece, ())).collect();
            prop_assert!(ages.keys().eq(blame.records.keys()) && ages.len() == blame.ages.len());
        }
    }
}
