use super::*;
use crate::border::InfoHashes;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::format;
use std::string::String;

fn geometry(pieces: u32) -> Geometry {
    Geometry::new(u64::from(pieces) * 16_384, 16_384).unwrap()
}

fn config() -> PersistConfig {
    PersistConfig::default()
}

fn files() -> Vec<Option<FileState>> {
    vec![Some(FileState { length: 1, modified: 2 })]
}

fn piece(persist: &Persist, number: u32) -> PieceIndex {
    persist.geometry.piece(number).unwrap()
}

/// A persistence protocol whose first record is durable.
fn begun(pieces: u32) -> Persist {
    let mut persist = Persist::fresh(geometry(pieces), 1);
    assert!(matches!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Save(_))));
    persist.saved(Time::ZERO, &config(), Ok(()));
    persist
}

fn claims(order: Option<PersistOrder>) -> Vec<u32> {
    match order {
        Some(PersistOrder::Save(claims)) => claims.pieces.iter().collect(),
        other => panic!("a save was due, not {other:?}"),
    }
}

#[test]
fn nothing_is_written_before_a_record_that_claims_nothing_is_durable() {
    let mut persist = Persist::fresh(geometry(3), 1);
    assert!(!persist.may_write());
    assert!(!persist.is_clean());
    assert_eq!(persist.deadline(&config()), Some(Time::ZERO));
    assert_eq!(claims(persist.next(Time::ZERO, &config())), []);
    assert!(!persist.may_write(), "ordered is not durable");
    persist.saved(Time::ZERO, &config(), Err(IoFault::NoSpace));
    assert!(!persist.may_write());
    assert_eq!(persist.next(Time::ZERO, &config()), None, "not again at once after a failure");
    let retry = persist.deadline(&config()).unwrap();
    assert_eq!(retry, Time::from_secs(5));
    assert_eq!(claims(persist.next(retry, &config())), []);
    persist.saved(retry, &config(), Ok(()));
    assert!(persist.may_write() && persist.is_clean());
    assert_eq!(persist.deadline(&config()), None);
}

#[test]
fn a_piece_waits_for_the_interval_then_sync_comes_before_save() {
    let mut persist = begun(3);
    let at = Time::from_secs(100);
    persist.piece_verified(at, piece(&persist, 1));
    assert_eq!(persist.deadline(&config()), Some(Time::from_secs(130)));
    assert_eq!(persist.next(Time::from_secs(129), &config()), None);
    assert_eq!(persist.next(Time::from_secs(130), &config()), Some(PersistOrder::Sync));
    // Verified while the sync runs: not covered by it.
    persist.piece_verified(Time::from_secs(131), piece(&persist, 2));
    assert_eq!(persist.next(Time::from_secs(999), &config()), None, "one in flight");
    assert_eq!(persist.deadline(&config()), None);
    persist.synced(Time::from_secs(132), &config(), Ok(files()));
    assert_eq!(claims(persist.next(Time::from_secs(132), &config())), [1]);
    assert_eq!(persist.durable_pieces(), 0);
    persist.saved(Time::from_secs(133), &config(), Ok(()));
    assert_eq!(persist.durable_pieces(), 1);
    assert!(!persist.is_clean());
    assert_eq!(persist.deadline(&config()), Some(Time::from_secs(161)));
}

#[test]
fn many_bytes_completion_and_flush_do_not_wait() {
    let mut persist = begun(4);
    let two_pieces = PersistConfig { sync_bytes: 2 * 16_384, ..config() };
    persist.piece_verified(Time::ZERO, piece(&persist, 0));
    assert_eq!(persist.next(Time::ZERO, &two_pieces), None);
    persist.piece_verified(Time::ZERO, piece(&persist, 1));
    assert_eq!(persist.next(Time::ZERO, &two_pieces), Some(PersistOrder::Sync), "bytes");
    persist.synced(Time::ZERO, &config(), Ok(files()));
    assert_eq!(claims(persist.next(Time::ZERO, &config())), [0, 1]);
    persist.saved(Time::ZERO, &config(), Ok(()));

    persist.piece_verified(Time::ZERO, piece(&persist, 2));
    assert_eq!(persist.next(Time::ZERO, &config()), None);
    persist.flush(Time::ZERO);
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync), "flush");
    persist.synced(Time::ZERO, &config(), Ok(files()));
    assert_eq!(claims(persist.next(Time::ZERO, &config())), [0, 1, 2]);
    persist.saved(Time::ZERO, &config(), Ok(()));
    assert!(persist.is_clean());

    persist.piece_verified(Time::ZERO, piece(&persist, 3));
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync), "completion");
}

#[test]
fn a_flush_is_over_when_it_has_been_done() {
    let mut persist = begun(4);
    persist.piece_verified(Time::ZERO, piece(&persist, 0));
    persist.flush(Time::ZERO);
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync));
    persist.piece_verified(Time::ZERO, piece(&persist, 1));
    persist.synced(Time::ZERO, &config(), Ok(files()));
    assert_eq!(claims(persist.next(Time::ZERO, &config())), [0]);
    persist.saved(Time::ZERO, &config(), Ok(()));
    assert_eq!(persist.next(Time::ZERO, &config()), None, "the later piece waits for its interval");
}

#[test]
fn a_failed_sync_makes_all_that_was_not_synced_unverified_and_is_never_just_repeated() {
    let mut persist = begun(4);
    persist.piece_verified(Time::ZERO, piece(&persist, 0));
    persist.flush(Time::ZERO);
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync));
    persist.piece_verified(Time::ZERO, piece(&persist, 2));
    persist.synced(Time::ZERO, &config(), Err(IoFault::Device));
    let both = vec![piece(&persist, 0), piece(&persist, 2)];
    assert_eq!(persist.deadline(&config()), Some(Time::ZERO));
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Reverify(both)));
    assert_eq!(persist.next(Time::from_secs(999), &config()), None, "nothing is verified, so nothing is synced");
    persist.piece_lost(piece(&persist, 0));
    persist.piece_verified(Time::ZERO, piece(&persist, 2));
    assert_eq!(persist.next(Time::from_secs(4), &config()), None, "back-off holds for the flush too");
    assert_eq!(persist.next(Time::from_secs(5), &config()), Some(PersistOrder::Sync), "the flush is not forgotten");
    persist.synced(Time::from_secs(5), &config(), Ok(files()));
    assert_eq!(claims(persist.next(Time::from_secs(5), &config())), [2]);
}

#[test]
fn back_off_doubles_up_to_its_cap_and_a_flush_ends_it() {
    let mut persist = Persist::fresh(geometry(1), 1);
    let mut now = Time::ZERO;
    let mut waits = Vec::new();
    for _ in 0..40 {
        assert!(persist.next(now, &config()).is_some());
        persist.saved(now, &config(), Err(IoFault::NoSpace));
        let due = persist.deadline(&config()).unwrap();
        waits.push(due.since(now).as_secs());
        now = due;
    }
    assert_eq!(waits[..8], [5, 10, 20, 40, 80, 160, 300, 300]);
    assert_eq!(waits[39], 300);
    persist.saved(now, &config(), Err(IoFault::NoSpace));
    assert!(persist.next(now, &config()).is_some());
    persist.saved(now, &config(), Err(IoFault::NoSpace));
    assert_eq!(persist.next(now, &config()), None);
    persist.flush(now);
    assert!(persist.next(now, &config()).is_some());
}

#[test]
fn a_lost_piece_is_taken_out_of_durable_claims() {
    let mut persist = begun(2);
    persist.piece_verified(Time::ZERO, piece(&persist, 0));
    persist.flush(Time::ZERO);
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync));
    persist.synced(Time::ZERO, &config(), Ok(files()));
    assert_eq!(claims(persist.next(Time::ZERO, &config())), [0]);
    // Lost while the save that claims it is in flight.
    persist.piece_lost(piece(&persist, 0));
    persist.saved(Time::ZERO, &config(), Ok(()));
    assert!(!persist.is_clean());
    assert_eq!(claims(persist.next(Time::ZERO, &config())), []);
    persist.saved(Time::ZERO, &config(), Ok(()));
    assert!(persist.is_clean());
}

#[test]
fn a_restart_alone_lowers_no_claim_and_saves_nothing() {
    let mut pieces = Bitfield::none(3);
    pieces.insert(0);
    pieces.insert(1);
    let resume = ResumeData {
        hashes: InfoHashes::v1([1; 20]),
        generation: 7,
        uploaded: 0,
        downloaded: 0,
        paused: false,
        active: Duration::ZERO,
        seeding: Duration::ZERO,
        completed: false,
        examined: true,
        pieces: pieces.clone(),
        files: files(),
        apart: Bitfield::default(),
        priorities: Vec::new(),
        sequential: false,
        info: None,
    };
    pieces.remove(1);
    let mut persist = Persist::resumed(geometry(3), &resume, pieces, files());
    assert!(persist.may_write());
    assert_eq!(persist.durable_pieces(), 2);
    persist.examined();
    assert_eq!(persist.next(Time::from_secs(999), &config()), None);
    // The doubtful piece was checked, and is not there: now the claim goes, with the next generation.
    persist.piece_lost(piece(&persist, 1));
    match persist.next(Time::ZERO, &config()) {
        Some(PersistOrder::Save(claims)) => {
            assert_eq!((claims.generation, claims.pieces.iter().collect::<Vec<_>>()), (8, vec![0]));
            assert!(claims.examined);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_the_first_look_and_totals_are_saved() {
    let mut persist = begun(2);
    persist.examined();
    assert!(matches!(
        persist.next(Time::ZERO, &config()),
        Some(PersistOrder::Save(ResumeClaims { examined: true, .. }))
    ));
    persist.saved(Time::ZERO, &config(), Ok(()));
    persist.touch(Time::from_secs(1));
    persist.touch(Time::from_secs(2));
    assert_eq!(persist.deadline(&config()), Some(Time::from_secs(601)));
    assert!(persist.is_clean(), "totals alone do not hold up anybody");
    persist.flush(Time::from_secs(3));
    assert!(!persist.is_clean(), "but a flush saves them");
    assert_eq!(claims(persist.next(Time::from_secs(3), &config())), []);
    persist.saved(Time::from_secs(3), &config(), Ok(()));
    assert!(persist.is_clean());
}

/// A disk of pieces. A write goes to a cache first; only a sync that ends well makes it durable.
#[derive(Clone, Debug)]
struct Disk {
    /// What a crash leaves for certain: whether the piece's bytes are right.
    durable: Vec<bool>,
    /// What reading shows: right bytes, though perhaps in the cache only.
    seen: Vec<bool>,
    /// Written, and not known to be on the disk.
    unsynced: BTreeSet<usize>,
    /// Writes that the sync in flight covers.
    covered: BTreeSet<usize>,
    /// What the resume file claims.
    saved: Bitfield,
    /// What it claims when the save in flight comes through.
    saving: Option<Bitfield>,
}

/// What befalls one of the unsynced writes in a crash.
#[derive(Clone, Copy)]
enum Fate {
    Whole,
    Torn,
    Lost,
}

impl Disk {
    /// Every state that a crash now can leave the pieces in; true: a piece's bytes are right.
    fn images(&self) -> Vec<Vec<bool>> {
        let mut images = vec![self.durable.clone()];
        for &write in &self.unsynced {
            images = images
                .into_iter()
                .flat_map(|image| {
                    [Fate::Whole, Fate::Torn, Fate::Lost].map(|fate| {
                        let mut image = image.clone();
                        image[write] = match fate {
                            Fate::Whole => self.seen[write],
                            Fate::Torn => false,
                            Fate::Lost => self.durable[write],
                        };
                        image
                    })
                })
                .collect();
        }
        images
    }

    fn check(&self, trail: &[String]) {
        for image in self.images() {
            for claims in [Some(&self.saved), self.saving.as_ref()].into_iter().flatten() {
                for piece in claims.iter() {
                    assert!(image[piece as usize], "piece {piece} is claimed and may be gone, after {trail:?}");
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct World {
    now: Time,
    persist: Persist,
    disk: Disk,
    reverify: Vec<PieceIndex>,
}

const PIECES: usize = 2;

impl World {
    /// Everything that can happen next, with a name.
    fn successors(&self) -> Vec<(String, World)> {
        let mut out = Vec::new();
        let mut step = |name: String, act: &dyn Fn(&mut World)| {
            let mut next = self.clone();
            act(&mut next);
            out.push((name, next));
        };
        for piece in 0..PIECES {
            if self.persist.may_write() && !self.disk.seen[piece] {
                step(format!("write {piece}"), &|world| {
                    world.disk.seen[piece] = true;
                    world.disk.unsynced.insert(piece);
                    let index = world.persist.geometry.piece(piece as u32).unwrap();
                    world.persist.piece_verified(world.now, index);
                });
            }
        }
        if !self.reverify.is_empty() {
            step("hash again".into(), &|world| {
                for index in mem::take(&mut world.reverify) {
                    if world.disk.seen[index.index()] {
                        world.persist.piece_verified(world.now, index);
                    } else {
                        world.persist.piece_lost(index);
                    }
                }
            });
        }
        match self.persist.state {
            State::Idle => {
                if self.persist.deadline(&config()).is_some() {
                    step("go on".into(), &|world| world.go_on());
                }
            }
            State::Syncing => {
                step("synced".into(), &|world| {
                    for write in mem::take(&mut world.disk.covered) {
                        world.disk.durable[write] = world.disk.seen[write];
                        world.disk.unsynced.remove(&write);
                    }
                    world.persist.synced(world.now, &config(), Ok(files()));
                });
                // The system gives up what it could not write, and forgets that it ever had it. Which writes: any.
                for kept in 0..1u32 << PIECES {
                    step(format!("sync failed, kept {kept:b}"), &|world| {
                        world.disk.covered.clear();
                        for write in mem::take(&mut world.disk.unsynced) {
                            if kept & (1 << write) != 0 {
                                world.disk.unsynced.insert(write);
                            } else {
                                world.disk.seen[write] = world.disk.durable[write];
                            }
                        }
                        world.persist.synced(world.now, &config(), Err(IoFault::Device));
                    });
                }
            }
            State::Saving => {
                step("saved".into(), &|world| {
                    world.disk.saved = world.disk.saving.take().unwrap();
                    world.persist.saved(world.now, &config(), Ok(()));
                });
                // A save that failed may have been renamed all the same.
                for renamed in [false, true] {
                    step(format!("save failed, renamed {renamed}"), &|world| {
                        let saving = world.disk.saving.take().unwrap();
                        if renamed {
                            world.disk.saved = saving;
                        }
                        world.persist.saved(world.now, &config(), Err(IoFault::NoSpace));
                    });
                }
            }
        }
        out
    }

    /// Lets the time come when something is due, and does what is ordered.
    fn go_on(&mut self) {
        let due = self.persist.deadline(&config()).unwrap();
        self.now = self.now.max(due);
        match self.persist.next(self.now, &config()) {
            Some(PersistOrder::Sync) => self.disk.covered = self.disk.unsynced.clone(),
            Some(PersistOrder::Save(claims)) => self.disk.saving = Some(claims.pieces),
            Some(PersistOrder::Reverify(pieces)) => self.reverify.extend(pieces),
            None => panic!("the deadline had come"),
        }
    }

    fn start() -> World {
        World {
            now: Time::ZERO,
            persist: Persist::fresh(geometry(PIECES as u32), 1),
            disk: Disk {
                durable: vec![false; PIECES],
                seen: vec![false; PIECES],
                unsynced: BTreeSet::new(),
                covered: BTreeSet::new(),
                saved: Bitfield::none(PIECES as u32),
                saving: None,
            },
            reverify: Vec::new(),
        }
    }
}

/// Every history of up to 20 steps, a crash after each of them, every fate of every write that was not synced: whatever the
/// resume file claims is there.
#[test]
fn no_crash_ever_takes_away_what_was_claimed() {
    let mut frontier = vec![(Vec::new(), World::start())];
    let mut seen = BTreeSet::new();
    let (mut states, mut complete) = (0, 0);
    for _ in 0..20 {
        let mut next = Vec::new();
        for (trail, world) in frontier {
            for (name, successor) in world.successors() {
                let mut trail: Vec<String> = trail.clone();
                trail.push(name);
                successor.disk.check(&trail);
                states += 1;
                complete += u32::from(successor.disk.saved.is_full());
                // Histories that differ in nothing but the time go on the same way.
                let mut same = successor.clone();
                same.now = Time::ZERO;
                if seen.insert(format!("{same:?}")) {
                    next.push((trail, successor));
                }
            }
        }
        frontier = next;
    }
    assert!(states > 30_000, "{states}");
    assert!(complete > 500, "no history came to its end: nothing was shown");
}

proptest! {
    /// However long things go wrong: once they go right, everything that was verified is durable after a few steps.
    #[test]
    fn it_recovers_and_comes_to_rest(choices in proptest::collection::vec(any::<prop::sample::Index>(), 0..120)) {
        let mut world = World::start();
        let mut trail = Vec::new();
        for choice in choices {
            let mut successors = world.successors();
            if successors.is_empty() {
                break;
            }
            let (name, next) = successors.swap_remove(choice.index(successors.len()));
            trail.push(name);
            world = next;
            world.disk.check(&trail);
        }
        world.persist.flush(world.now);
        for _ in 0..40 {
            let wish = ["synced", "saved", "write 0", "write 1", "hash again", "go on"];
            let next = world.successors().into_iter().find(|(name, _)| wish.contains(&name.as_str()));
            match next {
                Some((name, next)) => {
                    trail.push(name);
                    world = next;
                    world.disk.check(&trail);
                }
                None => break,
            }
        }
        prop_assert!(world.persist.is_clean());
        prop_assert!(world.disk.saved.is_full(), "{:?}", trail);
    }
}

// ---- files that are kept apart ----

fn apart(files: &[u32]) -> Bitfield {
    let mut set = Bitfield::none(3);
    files.iter().for_each(|&file| _ = set.insert(file));
    set
}

/// A torrent of which one file is apart, all of it durable.
fn settled() -> Persist {
    let mut persist = Persist::fresh(geometry(3), files().len()).with_apart(&apart(&[1]));
    persist.examined();
    while let Some(PersistOrder::Save(_)) = persist.next(Time::ZERO, &config()) {
        persist.saved(Time::ZERO, &config(), Ok(()));
    }
    assert!(persist.is_clean() && persist.needs_part());
    persist
}

#[test]
fn another_way_of_placing_is_claimed_only_after_a_sync_that_follows_it() {
    let mut persist = settled();
    persist.piece_verified(Time::ZERO, piece(&persist, 0));
    persist.flush(Time::ZERO);
    persist.placing();
    assert_eq!(persist.next(Time::ZERO, &config()), None, "no sync while it is under way");
    persist.placed(Time::ZERO, &apart(&[]), [piece(&persist, 2)]);
    assert!(!persist.is_clean() && persist.needs_part());
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync));
    // Another change during the sync is not covered by it.
    persist.placing();
    persist.placed(Time::ZERO, &apart(&[2]), []);
    persist.synced(Time::ZERO, &config(), Ok(files()));
    let Some(PersistOrder::Save(claims)) = persist.next(Time::ZERO, &config()) else { panic!() };
    assert_eq!((claims.apart, claims.pieces.get(0)), (apart(&[]), true));
    persist.saved(Time::ZERO, &config(), Ok(()));
    persist.flush(Time::ZERO);
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync));
    persist.synced(Time::ZERO, &config(), Ok(files()));
    let Some(PersistOrder::Save(claims)) = persist.next(Time::ZERO, &config()) else { panic!() };
    assert_eq!(claims.apart, apart(&[2]));
}

#[test]
fn the_part_file_is_needed_until_durable_data_say_otherwise() {
    let mut persist = settled();
    persist.placing();
    persist.placed(Time::ZERO, &apart(&[]), []);
    persist.flush(Time::ZERO);
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync));
    persist.synced(Time::ZERO, &config(), Ok(files()));
    assert!(persist.needs_part(), "the last save still says so");
    assert!(matches!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Save(_))));
    persist.saved(Time::ZERO, &config(), Err(IoFault::NoSpace));
    assert!(persist.needs_part(), "it was not saved");
    let later = Time::from_secs(1_000);
    assert!(matches!(persist.next(later, &config()), Some(PersistOrder::Save(_))));
    persist.saved(later, &config(), Ok(()));
    assert!(!persist.needs_part());
}

#[test]
fn a_sync_that_fails_puts_copied_pieces_in_doubt_and_claims_the_old_way() {
    let mut persist = settled();
    persist.placing();
    persist.placed(Time::ZERO, &apart(&[]), [piece(&persist, 2)]);
    persist.flush(Time::ZERO);
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Sync));
    persist.synced(Time::ZERO, &config(), Err(IoFault::Device));
    assert_eq!(persist.next(Time::ZERO, &config()), Some(PersistOrder::Reverify(vec![piece(&persist, 2)])));
    assert!(!persist.is_clean() && persist.needs_part());
    let later = Time::from_secs(1_000);
    assert_eq!(persist.next(later, &config()), Some(PersistOrder::Sync), "it is tried again");
}
