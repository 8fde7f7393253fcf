//! An info dictionary from peers of whom some lie and some do not. Nobody who does not lie is ever named; what is given out has the hash
//! that was asked for; nobody is asked for more than is allowed; memory and deadlines keep to their limits.

use super::operations;
use arbitrary::Arbitrary;
use bytes::Bytes;
use parcacik_core::border::{InfoHashes, MetadataConfig, PeerKey};
use parcacik_core::time::Time;
use parcacik_core::torrent::metadata::{MetadataFetch, MetadataSaid};
use parcacik_core::wire::METADATA_BLOCK;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

/// Of so many peers, those with an even number are honest.
const PEERS: u8 = 8;

/// Three blocks and a bit.
static INFO: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..50_000u32).map(|at| (at / 16_384 * 7 + at % 251) as u8).collect());

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    /// A peer says that it takes part, and what size it claims; as far as it lies.
    Meets { peer: u8, size: u8, silent: bool },
    /// It does not take part any more.
    Leaves { peer: u8 },
    /// It answers what it owes, the oldest or another: rightly, or as it lies.
    Answers { peer: u8, which: u8, lie: u8 },
    /// It rejects it.
    Rejects { peer: u8, which: u8 },
    /// Time passes, in tenths of a second.
    Waits { tenths: u8 },
    /// Time passes until something is due.
    WaitsForDeadline,
}

fn honest(peer: u8) -> bool {
    peer.is_multiple_of(2)
}

fn key(peer: u8) -> PeerKey {
    PeerKey(u64::from(peer % PEERS))
}

struct Run {
    fetch: MetadataFetch,
    config: MetadataConfig,
    now: Time,
    owes: BTreeMap<PeerKey, Vec<u32>>,
    met: BTreeMap<PeerKey, u32>,
    found: bool,
}

impl Run {
    fn settle(&mut self) {
        while let Some(said) = self.fetch.said() {
            match said {
                MetadataSaid::Progress { have, size } => assert!(have > 0 && have <= size),
                MetadataSaid::Liar(peer) => {
                    assert!(!honest(peer.0 as u8), "{peer:?} is honest");
                    self.met.remove(&peer);
                    self.owes.remove(&peer);
                }
                MetadataSaid::Complete(info) => {
                    assert!(!self.found && info[..] == INFO[..], "what is given out is right, and once");
                    self.found = true;
                }
            }
        }
        let mut asked = 0;
        while let Some((peer, piece)) = self.fetch.next_request(self.now, &self.config) {
            asked += 1;
            assert!(asked <= 1_000 && !self.found);
            let size = self.met.get(&peer).copied().expect("only those that are there are asked");
            assert!(piece < size.max(1).div_ceil(METADATA_BLOCK));
            self.owes.entry(peer).or_default().push(piece);
        }
        let most = u64::from(self.config.sizes_at_once + self.config.alone_at_once) * u64::from(self.config.max_size);
        assert!(self.fetch.held_bytes() <= most);
        assert!(self.fetch.deadline(&self.config).is_none_or(|due| due > self.now), "no deadline is in the past");
    }

    /// What a peer was asked for and has not answered, one of it.
    fn owed(&mut self, peer: PeerKey, which: u8) -> Option<u32> {
        let owes = self.owes.get_mut(&peer).filter(|owes| !owes.is_empty())?;
        Some(owes.remove(usize::from(which) % owes.len()))
    }
}

/// One input.
pub fn run(input: &[u8]) {
    let hashes = InfoHashes { v1: Some(Sha1::digest(&*INFO).into()), v2: None };
    let config = MetadataConfig { max_size: 70_000, alone_at_once: 1, sizes_at_once: 2, ..MetadataConfig::default() };
    let mut run = Run {
        fetch: MetadataFetch::new(hashes),
        config,
        now: Time::from_secs(1),
        owes: BTreeMap::new(),
        met: BTreeMap::new(),
        found: false,
    };
    let right = INFO.len() as u32;
    for op in operations(input, 300) {
        match op {
            Op::Meets { peer, size, silent } => {
                let claims = if honest(peer) { right } else { right + u32::from(size % 8) * 5_000 - 10_000 };
                let claims = Some(claims).filter(|_| !silent);
                run.fetch.introduced(run.now, &run.config, key(peer), true, claims);
                let fits = claims.filter(|&size| size <= run.config.max_size).unwrap_or(0);
                // What was claimed first counts.
                let known = run.met.entry(key(peer)).or_default();
                *known = if *known == 0 { fits } else { *known };
            }
            Op::Leaves { peer } => {
                run.fetch.introduced(run.now, &run.config, key(peer), false, None);
                run.met.remove(&key(peer));
                run.owes.remove(&key(peer));
            }
            Op::Answers { peer, which, lie } => {
                let Some(piece) = run.owed(key(peer), which) else { continue };
                let begin = (piece * METADATA_BLOCK) as usize;
                let lie = if honest(peer) { 0 } else { lie % 5 };
                let size = run.met.get(&key(peer)).copied().filter(|&size| size > 0).unwrap_or(right) as usize;
                let mut whole = INFO.clone();
                whole.resize(size, 0);
                let mut data = whole.get(begin..size.min(begin + METADATA_BLOCK as usize)).unwrap_or_default().to_vec();
                match lie {
                    1 => data.iter_mut().for_each(|byte| *byte ^= 1),
                    2 => _ = data.pop(),
                    _ => {}
                }
                let total = match lie {
                    3 => None,
                    4 => Some(size as u32 + 1),
                    _ => Some(size as u32),
                };
                if let Some(known) = run.met.get_mut(&key(peer)).filter(|known| **known == 0) {
                    *known = total.filter(|&total| total <= run.config.max_size).unwrap_or(0);
                }
                run.fetch.data(run.now, &run.config, key(peer), piece, total, &Bytes::from(data));
            }
            Op::Rejects { peer, which } => {
                let Some(piece) = run.owed(key(peer), which) else { continue };
                run.fetch.rejected(run.now, &run.config, key(peer), piece);
            }
            Op::Waits { tenths } => {
                run.now = run.now + Duration::from_millis(u64::from(tenths) * 100);
                run.fetch.tick(run.now, &run.config);
            }
            Op::WaitsForDeadline => {
                if let Some(due) = run.fetch.deadline(&run.config) {
                    run.now = run.now.max(due);
                    run.fetch.tick(run.now, &run.config);
                }
            }
        }
        run.settle();
    }
}
