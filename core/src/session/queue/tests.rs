use super::*;
use crate::rng::{Seeds, Stream};

struct Rig {
    queue: Queue,
    config: QueueConfig,
    now: Time,
    running: BTreeMap<TorrentId, bool>,
    rates: BTreeMap<TorrentId, (u64, u64)>,
    /// How often each was started.
    starts: BTreeMap<TorrentId, u32>,
}

fn ids(numbers: &[u32]) -> Vec<TorrentId> {
    numbers.iter().copied().map(TorrentId).collect()
}

impl Rig {
    fn new(downloads: Option<u32>, seeds: Option<u32>, active: Option<u32>) -> Rig {
        let config = QueueConfig {
            max_downloads: downloads,
            max_seeds: seeds,
            max_active: active,
            start_spacing: Duration::ZERO,
            ..QueueConfig::default()
        };
        let (running, rates, starts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Rig { queue: Queue::default(), config, now: Time::from_secs(1), running, rates, starts }
    }

    fn add(&mut self, id: u32, standing: Standing) {
        let waits = self.queue.add(self.now, &self.config, TorrentId(id), true);
        self.running.insert(TorrentId(id), !waits);
        self.queue.stands(self.now, &self.config, TorrentId(id), standing);
    }

    /// Lets time pass, with all reviews that are due in it.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.queue.deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            let rates = &self.rates;
            let look = |id| rates.get(&id).copied().unwrap_or((1 << 20, 1 << 20));
            for (id, runs) in self.queue.review(self.now, &self.config, look) {
                self.running.insert(id, runs);
                *self.starts.entry(id).or_default() += u32::from(runs);
            }
            assert!(self.queue.deadline().is_none_or(|due| due > self.now), "reviews do not come without end");
        }
        self.now = end;
    }

    fn running(&self) -> Vec<u32> {
        self.running.iter().filter(|(_, runs)| **runs).map(|(id, _)| id.0).collect()
    }
}

#[test]
fn downloads_run_in_the_order_of_the_queue() {
    let mut rig = Rig::new(Some(2), None, None);
    (0..4).for_each(|id| rig.add(id, Standing::Download));
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running(), [0, 1]);
    rig.queue.set_place(rig.now, &rig.config, TorrentId(3), QueuePlace::Top);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running(), [0, 3]);
    rig.queue.stands(rig.now, &rig.config, TorrentId(0), Standing::Seed);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running(), [0, 1, 3], "seeds are not limited here");
    rig.queue.remove(rig.now, &rig.config, TorrentId(3));
    rig.running.remove(&TorrentId(3));
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running(), [0, 1, 2]);
}

#[test]
fn places_in_the_queue_can_be_chosen() {
    let mut rig = Rig::new(None, None, None);
    (0..4).for_each(|id| rig.add(id, Standing::Download));
    let mut order = |id, place| {
        rig.queue.set_place(rig.now, &rig.config, TorrentId(id), place);
        rig.queue.order().to_vec()
    };
    assert_eq!(order(2, QueuePlace::Up), ids(&[0, 2, 1, 3]));
    assert_eq!(order(0, QueuePlace::Up), ids(&[0, 2, 1, 3]));
    assert_eq!(order(0, QueuePlace::Down), ids(&[2, 0, 1, 3]));
    assert_eq!(order(3, QueuePlace::Down), ids(&[2, 0, 1, 3]));
    assert_eq!(order(2, QueuePlace::Bottom), ids(&[0, 1, 3, 2]));
    assert_eq!(order(3, QueuePlace::Top), ids(&[3, 0, 1, 2]));
    assert_eq!(order(3, QueuePlace::At(2)), ids(&[0, 1, 3, 2]));
    assert_eq!(order(0, QueuePlace::At(u32::MAX)), ids(&[1, 3, 2, 0]));
    assert_eq!(order(9, QueuePlace::Top), ids(&[1, 3, 2, 0]), "nobody");
    assert_eq!(rig.queue.deadline(), None, "nothing is limited, so nothing is reviewed");
    assert_eq!(rig.running(), [0, 1, 2, 3]);
}

#[test]
fn all_together_are_limited_and_downloads_come_first() {
    let mut rig = Rig::new(None, Some(5), Some(3));
    (0..4).for_each(|id| rig.add(id, Standing::Seed));
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running(), [0, 1, 2]);
    rig.add(4, Standing::Download);
    rig.add(5, Standing::Download);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running().len(), 3);
    assert!(rig.running().ends_with(&[4, 5]), "{:?}", rig.running());
}

#[test]
fn seeds_take_turns() {
    let mut rig = Rig::new(None, Some(2), None);
    (0..5).for_each(|id| rig.add(id, Standing::Seed));
    for _ in 0..50 {
        rig.pass(rig.config.seed_turn + rig.config.review);
        assert_eq!(rig.running().len(), 2);
    }
    let (least, most) = (rig.starts.values().min().unwrap(), rig.starts.values().max().unwrap());
    assert!(rig.starts.len() == 5 && *least >= 19 && most - least <= 1, "{:?}", rig.starts);
}

#[test]
fn a_seed_that_nobody_waits_for_keeps_its_place() {
    let mut rig = Rig::new(None, Some(2), None);
    (0..2).for_each(|id| rig.add(id, Standing::Seed));
    rig.pass(Duration::from_secs(1));
    let running = rig.running.clone();
    rig.pass(rig.config.seed_turn * 5);
    assert_eq!(rig.running, running);
}

#[test]
fn a_slow_torrent_takes_no_place_and_takes_it_back_when_it_moves() {
    let mut rig = Rig::new(Some(1), None, None);
    (0..3).for_each(|id| rig.add(id, Standing::Download));
    rig.rates.insert(TorrentId(0), (100, 0));
    rig.pass(Duration::from_secs(30));
    assert_eq!(rig.running(), [0], "it may be slow because it has just begun");
    rig.pass(Duration::from_secs(120));
    assert_eq!(rig.running(), [0, 1]);
    rig.rates.clear();
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.running(), [0]);
    rig.config.skip_slow = false;
    rig.rates.insert(TorrentId(0), (100, 0));
    rig.pass(Duration::from_secs(600));
    assert_eq!(rig.running(), [0], "slow ones count when that is wanted");
}

#[test]
fn starts_are_spaced() {
    let mut rig = Rig::new(Some(10), None, None);
    rig.config.start_spacing = Duration::from_secs(5);
    (0..20).for_each(|id| rig.add(id, Standing::Download));
    let mut counts = Vec::new();
    for _ in 0..6 {
        rig.pass(Duration::from_secs(10));
        counts.push(rig.running().len());
    }
    assert_eq!(counts, [3, 5, 7, 9, 10, 10]);
}

#[test]
fn what_is_not_managed_runs_and_takes_no_place() {
    let mut rig = Rig::new(Some(1), None, None);
    (0..3).for_each(|id| rig.add(id, Standing::Download));
    rig.pass(Duration::from_secs(1));
    rig.queue.set_managed(rig.now, &rig.config, TorrentId(2), false);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running(), [0, 2]);
    rig.queue.set_managed(rig.now, &rig.config, TorrentId(2), true);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.running(), [0]);
    rig.queue.stands(rig.now, &rig.config, TorrentId(0), Standing::Out);
    rig.pass(Duration::from_secs(1));
    assert!(rig.running().contains(&1), "one that is paused holds nobody up");
}

/// Whatever happens, no more run than may, and none is held back while there is a place.
#[test]
fn limits_hold_and_no_place_stays_empty() {
    let mut rng = Seeds::for_tests(5).decisions(Stream::Session, 1);
    for round in 0..30u32 {
        let some = |most: usize, rng: &mut crate::rng::Rng| (rng.index(3) > 0).then(|| rng.index(most) as u32);
        let (downloads, seeds, active) = (some(4, &mut rng), some(4, &mut rng), some(6, &mut rng));
        let mut rig = Rig::new(downloads, seeds, active);
        let kinds = [Standing::Out, Standing::Download, Standing::Seed];
        let mut standing: BTreeMap<u32, Standing> = BTreeMap::new();
        for step in 0..100 {
            let id = rng.index(12) as u32;
            match rng.index(5) {
                _ if !standing.contains_key(&id) => {
                    let kind = kinds[rng.index(3)];
                    rig.add(id, kind);
                    standing.insert(id, kind);
                }
                0 => {
                    rig.queue.remove(rig.now, &rig.config, TorrentId(id));
                    rig.running.remove(&TorrentId(id));
                    standing.remove(&id);
                }
                1 | 2 => {
                    let kind = kinds[rng.index(3)];
                    rig.queue.stands(rig.now, &rig.config, TorrentId(id), kind);
                    standing.insert(id, kind);
                }
                _ => rig.queue.set_place(rig.now, &rig.config, TorrentId(id), QueuePlace::At(rng.index(12) as u32)),
            }
            rig.pass(Duration::from_secs(rng.index(4_000) as u64 + 1));
            let count = |kind: Standing, runs: bool| {
                standing.iter().filter(|(id, s)| **s == kind && rig.running[&TorrentId(**id)] == runs).count() as u32
            };
            let unlimited = u32::MAX;
            let (down, up) = (count(Standing::Download, true), count(Standing::Seed, true));
            let (downs, ups, all) =
                (downloads.unwrap_or(unlimited), seeds.unwrap_or(unlimited), active.unwrap_or(unlimited));
            assert!(down <= downs && up <= ups && down + up <= all, "round {round} step {step}: {down} + {up}");
            let room = |mine: u32, most: u32| mine < most && down + up < all;
            assert!(!room(down, downs) || count(Standing::Download, false) == 0, "round {round} step {step}");
            assert!(!room(up, ups) || count(Standing::Seed, false) == 0, "round {round} step {step}");
        }
    }
}
