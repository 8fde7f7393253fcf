//! Who sent the bad blocks. Some peers lie and some do not, and nobody who does not is ever named; whoever is on record with another block
//! than the one that passed is named; and the record keeps its limits. (Oracle 9: an honest peer is never banned for corruption.)

use super::operations;
use arbitrary::Arbitrary;
use parcacik_core::border::PickConfig;
use parcacik_core::metainfo::Geometry;
use parcacik_core::torrent::blame::{Blame, Culprit, Digest};
use std::collections::BTreeMap;

const BLOCKS: u8 = 4;
/// Of the eight peers, those with an even number never send anything wrong.
const PEERS: u8 = 8;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    /// A piece fails: who sent each block, and what of it was wrong (bits; as far as the sender lies).
    Fails {
        piece: u8,
        senders: [u8; BLOCKS as usize],
        wrong: u8,
        unknown: u8,
    },
    /// A piece fails and cannot be read back.
    Unreadable {
        piece: u8,
    },
    Passes {
        piece: u8,
    },
    PassesUnread {
        piece: u8,
    },
}

fn address(peer: u8) -> Culprit {
    ([192, 0, 2, peer % PEERS], 6881).into()
}

fn lies(culprit: Culprit) -> bool {
    (0..PEERS).any(|peer| peer % 2 == 1 && address(peer) == culprit)
}

fn right(piece: u32, block: u8) -> Digest {
    let mut digest = [block; 20];
    digest[..4].copy_from_slice(&piece.to_be_bytes());
    digest
}

/// One input.
pub fn run(input: &[u8]) {
    let config = PickConfig { blame_pieces: 3, blame_blocks: 20, ..PickConfig::default() };
    let geometry = Geometry::new(8 * 65_536, 65_536).expect("a torrent");
    let mut blame = Blame::new(&config);
    // Who sent something wrong of each piece, since its record was opened.
    let mut wrong_ones: BTreeMap<u32, Vec<Culprit>> = BTreeMap::new();
    for op in operations(input, 200) {
        let of = |number: u8| geometry.piece(u32::from(number) % geometry.pieces()).expect("a piece of it");
        match op {
            Op::Fails { piece, senders, wrong, unknown } => {
                let piece = of(piece);
                let (mut digests, mut known, mut liars) = (Vec::new(), Vec::new(), Vec::new());
                for (block, &sender) in (0u8..).zip(&senders) {
                    let sender = address(sender);
                    let is_known = unknown & (1 << block) == 0;
                    let mut digest = right(piece.get(), block);
                    // What was there before may be wrong too.
                    if wrong & (1 << block) != 0 && (lies(sender) || !is_known) {
                        digest[19] ^= 0x80 | (wrong >> BLOCKS);
                        if is_known {
                            liars.push(sender);
                        }
                    }
                    digests.push(digest);
                    if is_known {
                        known.push((u32::from(block), sender));
                    }
                }
                if (0u8..).zip(&digests).all(|(block, digest)| *digest == right(piece.get(), block)) {
                    // It would have passed.
                    continue;
                }
                let before = blame.wants_digests(piece);
                let guilty = blame.failed(piece, &digests, &known);
                assert!(guilty.iter().all(|&culprit| lies(culprit)), "an honest peer is named");
                assert!(guilty.is_sorted());
                let on_record = wrong_ones.entry(piece.get()).or_default();
                if !before {
                    on_record.clear();
                }
                on_record.extend(liars.into_iter().filter(|liar| !guilty.contains(liar)));
            }
            Op::Unreadable { piece } => assert_eq!(blame.failed(of(piece), &[], &[(0, address(0))]), []),
            Op::Passes { piece } => {
                let piece = of(piece);
                let was_kept = blame.wants_digests(piece);
                let digests: Vec<Digest> = (0..BLOCKS).map(|block| right(piece.get(), block)).collect();
                let guilty = blame.passed(piece, &digests);
                assert!(guilty.iter().all(|&culprit| lies(culprit)), "an honest peer is named");
                for culprit in wrong_ones.remove(&piece.get()).unwrap_or_default() {
                    assert!(!was_kept || guilty.contains(&culprit), "{culprit} gets away with it");
                }
            }
            Op::PassesUnread { piece } => {
                assert_eq!(blame.passed(of(piece), &[]), []);
                wrong_ones.remove(&of(piece).get());
            }
        }
        let kept = geometry.iter().filter(|&piece| blame.wants_digests(piece)).count();
        assert!(kept <= config.blame_pieces as usize, "more is kept than may be");
    }
}
