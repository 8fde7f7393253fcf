//! The persistence protocol under any order of verdicts, syncs, saves, faults and time, on a disk that loses what it was not made to keep.
//!
//! What must hold, whatever happens (the numbers are those of the project's list of oracles):
//! - resume data claim only what a power cut would leave (4), and everything that was claimed before and is not lost (5);
//! - one sync or save is under way at a time, generations rise, and nothing is due in the past;
//! - when all goes well at last, everything that is on the disk is claimed, and it comes to rest.

use super::operations;
use arbitrary::Arbitrary;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{FileState, IoFault, PersistConfig};
use parcacik_core::metainfo::{Geometry, PieceIndex};
use parcacik_core::time::Time;
use parcacik_core::torrent::persist::{Persist, PersistOrder, ResumeClaims};
use std::collections::BTreeSet;
use std::time::Duration;

const PIECES: u32 = 12;
const FILES: u32 = 3;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    /// A piece has been written, and its hash is right.
    Verified(u8),
    /// A piece turns out to be gone.
    Lost(u8),
    /// What is under way ends well.
    EndsWell,
    /// It fails; the disk forgets these of the pieces that were not safe.
    Fails {
        forgets: u16,
    },
    /// A piece that is in doubt has been hashed from the disk.
    Hashed(u8),
    Wait {
        tenths: u16,
    },
    Flush,
    Touch,
    Changed,
    Examined,
    /// Which files are kept apart begins to change.
    Placing,
    /// It has changed to this, and these pieces were copied.
    Placed {
        apart: u8,
        copied: u16,
    },
    Moved,
}

/// The disk, and what has been ordered of it.
struct Books {
    geometry: Geometry,
    /// Pieces that a read finds whole.
    there: BTreeSet<u32>,
    /// Of those, the ones that a power cut leaves.
    safe: BTreeSet<u32>,
    /// To be hashed again.
    doubted: BTreeSet<u32>,
    /// Pieces that were there when the sync under way was ordered, and which files were kept apart then.
    sync: Option<(BTreeSet<u32>, Bitfield)>,
    save: Option<ResumeClaims>,
    durable: Option<ResumeClaims>,
    /// Claimed once and lost since.
    lost: BTreeSet<u32>,
    generation: u64,
    apart: Bitfield,
    safe_apart: Bitfield,
    placing: bool,
}

/// One input.
pub fn run(input: &[u8]) {
    let geometry = Geometry::new(u64::from(PIECES) * 16_384 - 100, 16_384).expect("a torrent");
    let config = PersistConfig { sync_bytes: 3 * 16_384, ..PersistConfig::default() };
    let mut persist = Persist::fresh(geometry, FILES as usize + 1);
    let mut books = Books {
        geometry,
        there: BTreeSet::new(),
        safe: BTreeSet::new(),
        doubted: BTreeSet::new(),
        sync: None,
        save: None,
        durable: None,
        lost: BTreeSet::new(),
        generation: 0,
        apart: Bitfield::none(FILES),
        safe_apart: Bitfield::none(0),
        placing: false,
    };
    let mut now = Time::from_secs(1);
    books.obey(&mut persist, now, &config);
    for op in operations(input, 200) {
        books.step(&mut persist, &mut now, &config, op);
        books.obey(&mut persist, now, &config);
    }
    books.finish(&mut persist, now, &config);
}

fn files() -> Vec<Option<FileState>> {
    vec![Some(FileState { length: 16_384, modified: 1 }); FILES as usize + 1]
}

impl Books {
    fn piece(&self, number: u8) -> PieceIndex {
        self.geometry.piece(u32::from(number) % PIECES).expect("a piece of it")
    }

    fn step(&mut self, persist: &mut Persist, now: &mut Time, config: &PersistConfig, op: Op) {
        match op {
            Op::Verified(number) => {
                let piece = self.piece(number);
                // A piece in doubt is ours until it has been hashed: nobody writes to it.
                if persist.may_write() && !self.doubted.contains(&piece.get()) {
                    self.there.insert(piece.get());
                    persist.piece_verified(*now, piece);
                }
            }
            Op::Lost(number) => {
                let piece = self.piece(number);
                self.forget(persist, piece);
            }
            Op::EndsWell => self.ends_well(persist, *now, config),
            Op::Fails { forgets } => {
                let unsafe_ones: Vec<u32> = self.there.difference(&self.safe).copied().collect();
                if self.sync.take().is_some() {
                    for piece in unsafe_ones.into_iter().filter(|piece| forgets & (1 << piece) != 0) {
                        self.there.remove(&piece);
                    }
                    persist.synced(*now, config, Err(IoFault::Device));
                } else if self.save.take().is_some() {
                    persist.saved(*now, config, Err(IoFault::NoSpace));
                }
            }
            Op::Hashed(nth) => {
                let nth = usize::from(nth) % self.doubted.len().max(1);
                if let Some(&number) = self.doubted.iter().nth(nth) {
                    self.hashed(persist, *now, number);
                }
            }
            Op::Wait { tenths } => *now = *now + Duration::from_millis(u64::from(tenths) * 100),
            Op::Flush => persist.flush(*now),
            Op::Touch => persist.touch(*now),
            Op::Changed => persist.changed(),
            Op::Examined => persist.examined(),
            Op::Placing if !self.placing => {
                self.placing = true;
                persist.placing();
            }
            Op::Placed { apart, copied } if self.placing => self.placed(persist, *now, apart, copied),
            Op::Moved if self.sync.is_none() && self.save.is_none() => persist.moved(files()),
            Op::Placing | Op::Placed { .. } | Op::Moved => {}
        }
    }

    fn forget(&mut self, persist: &mut Persist, piece: PieceIndex) {
        let number = piece.get();
        self.there.remove(&number);
        self.safe.remove(&number);
        self.doubted.remove(&number);
        self.lost.insert(number);
        if let Some((written, _)) = &mut self.sync {
            written.remove(&number);
        }
        persist.piece_lost(piece);
    }

    fn hashed(&mut self, persist: &mut Persist, now: Time, number: u32) {
        let piece = self.geometry.piece(number).expect("a piece of it");
        self.doubted.remove(&number);
        if self.there.contains(&number) { persist.piece_verified(now, piece) } else { self.forget(persist, piece) }
    }

    fn placed(&mut self, persist: &mut Persist, now: Time, apart: u8, copied: u16) {
        self.placing = false;
        let mut set = Bitfield::none(FILES);
        (0..FILES).filter(|file| apart & (1 << file) != 0).for_each(|file| _ = set.insert(file));
        self.apart = set;
        let copied: Vec<u32> =
            (0..PIECES).filter(|piece| copied & (1 << piece) != 0 && self.there.contains(piece)).collect();
        persist.placed(now, &self.apart, copied.into_iter().filter_map(|piece| self.geometry.piece(piece)));
    }

    fn ends_well(&mut self, persist: &mut Persist, now: Time, config: &PersistConfig) {
        if let Some((written, apart)) = self.sync.take() {
            self.safe.extend(written.intersection(&self.there));
            self.safe_apart = apart;
            persist.synced(now, config, Ok(files()));
        } else if let Some(claims) = self.save.take() {
            persist.saved(now, config, Ok(()));
            self.durable = Some(claims);
        }
    }

    /// Takes all orders there are, and holds them against what may be ordered.
    fn obey(&mut self, persist: &mut Persist, now: Time, config: &PersistConfig) {
        for turn in 0.. {
            assert!(turn < 4, "orders without end");
            match persist.next(now, config) {
                None => break,
                Some(PersistOrder::Sync) => {
                    assert!(self.sync.is_none() && self.save.is_none() && !self.placing, "not now");
                    self.sync = Some((self.there.clone(), self.apart.clone()));
                }
                Some(PersistOrder::Save(claims)) => {
                    assert!(self.sync.is_none() && self.save.is_none(), "not now");
                    self.judge(&claims);
                    self.save = Some(claims);
                }
                Some(PersistOrder::Reverify(pieces)) => self.doubted.extend(pieces.iter().map(|piece| piece.get())),
            }
        }
        assert!(persist.deadline(config).is_none_or(|due| due > now), "due and not ordered");
        assert_eq!(persist.may_write(), self.durable.is_some());
        assert_eq!(persist.is_busy(), self.sync.is_some() || self.save.is_some());
        for piece in persist.claimable().iter() {
            assert!(self.safe.contains(&piece), "piece {piece} may be claimed, and a power cut would take it");
        }
    }

    fn judge(&mut self, claims: &ResumeClaims) {
        assert!(claims.generation > self.generation, "generations rise");
        self.generation = claims.generation;
        for piece in claims.pieces.iter() {
            assert!(self.safe.contains(&piece), "piece {piece} is claimed, and a power cut would take it");
        }
        let before: Vec<u32> = self.durable.iter().flat_map(|durable| durable.pieces.iter()).collect();
        for piece in before {
            assert!(
                claims.pieces.get(piece) || self.lost.contains(&piece),
                "piece {piece} was claimed, and is not lost"
            );
        }
        self.lost.retain(|&piece| !claims.pieces.get(piece));
        assert!(claims.apart.iter().eq(self.safe_apart.iter()), "where bytes lie is claimed before it is safe");
    }

    /// All goes well from now on: it must come to rest, with everything claimed.
    fn finish(&mut self, persist: &mut Persist, mut now: Time, config: &PersistConfig) {
        if self.placing {
            self.placed(persist, now, 0, 0);
        }
        persist.flush(now);
        for _ in 0..12 {
            self.obey(persist, now, config);
            self.ends_well(persist, now, config);
            while let Some(&number) = self.doubted.first() {
                self.hashed(persist, now, number);
            }
            now = now + config.retry_max;
        }
        assert!(persist.is_clean(), "it does not come to rest");
        let claimed: BTreeSet<u32> = self.durable.iter().flat_map(|durable| durable.pieces.iter()).collect();
        assert_eq!(claimed, self.there);
        assert_eq!(persist.durable_pieces() as usize, self.there.len());
    }
}
