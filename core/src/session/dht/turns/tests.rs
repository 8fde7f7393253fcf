use super::*;
use crate::border::InfoHash;
use crate::rng::{Seeds, Stream};

const SOCK: SocketId = SocketId(7);

struct Stand {
    turns: DhtTurns,
    config: DhtConfig,
    now: Time,
    tasks: u64,
}

impl Stand {
    fn new(config: DhtConfig) -> Stand {
        let turns = DhtTurns::new(Seeds::for_tests(1).decisions(Stream::Dht, 0));
        Stand { turns, config, now: Time::from_secs(100), tasks: 0 }
    }

    fn set(&mut self, id: u32, wish: Option<DhtWish>) {
        self.turns.set(self.now, &self.config, TorrentId(id), wish);
    }

    /// Gives every turn that is due, to one node.
    fn begin(&mut self) -> Vec<(u32, Lookup)> {
        let mut begun = Vec::new();
        while let Some((id, _)) = self.turns.next(self.now, &self.config, 1) {
            self.tasks += 1;
            let lookup = (SOCK, TaskId(self.tasks));
            self.turns.began(id, lookup);
            self.turns.waits(self.now, &self.config, id);
            begun.push((id.0, lookup));
        }
        begun
    }

    fn end(&mut self, lookup: Lookup, answers: u32) {
        self.turns.ended(self.now, &self.config, lookup, &Outcome { answers, stored: answers, ..Outcome::default() });
    }

    fn due(&self) -> Option<Time> {
        self.turns.deadline(&self.config, 1)
    }
}

fn wish(wanting: bool, hungry: bool) -> Option<DhtWish> {
    Some(DhtWish { name: InfoHash([1; 20]), announce: true, seed: !wanting, wanting, hungry })
}

#[test]
fn so_many_a_second_and_the_hungry_first() {
    let mut stand = Stand::new(DhtConfig { lookups_per_second: 3, ..DhtConfig::default() });
    for id in 0..7 {
        stand.set(id, wish(id >= 5, id >= 5));
    }
    let ids = |begun: Vec<(u32, Lookup)>| -> Vec<u32> { begun.into_iter().map(|(id, _)| id).collect() };
    assert_eq!(ids(stand.begin()), [5, 6, 0]);
    stand.now = stand.due().unwrap();
    assert_eq!(stand.now, Time::from_secs(101));
    assert_eq!(ids(stand.begin()), [1, 2, 3]);
    stand.now = stand.now + Duration::from_secs(1);
    assert_eq!(ids(stand.begin()), [4]);
    assert_eq!(stand.due(), None, "all are looking");
}

#[test]
fn so_many_at_once_and_none_without_a_node() {
    let mut stand = Stand::new(DhtConfig { max_lookups: 2, lookups_per_second: 100, ..DhtConfig::default() });
    for id in 0..5 {
        stand.set(id, wish(false, false));
    }
    assert_eq!(stand.turns.deadline(&stand.config, 0), None);
    assert!(stand.turns.next(stand.now, &stand.config, 0).is_none());
    let begun = stand.begin();
    assert_eq!((begun.len(), stand.due()), (2, None));
    stand.end(begun[0].1, 8);
    assert_eq!(stand.begin().len(), 1);
}

#[test]
fn who_wants_peers_looks_again_after_a_minute_then_two() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.set(1, wish(true, false));
    for minutes in [1, 2, 4, 8, 15, 15] {
        let begun = stand.begin();
        assert_eq!(begun.len(), 1);
        let at = stand.now;
        stand.now = stand.now + Duration::from_secs(2);
        stand.end(begun[0].1, 8);
        stand.now = stand.due().unwrap();
        assert_eq!(stand.now, at + Duration::from_secs(60 * minutes));
    }
    // It loses all: it need not wait.
    let begun = stand.begin();
    stand.end(begun[0].1, 8);
    stand.set(1, wish(true, true));
    assert_eq!(stand.due(), Some(stand.now + Duration::from_secs(5)));
    stand.now = stand.now + Duration::from_secs(500);
    stand.set(1, wish(true, false));
    stand.set(1, wish(true, true));
    assert_eq!(stand.begin().len(), 1);
}

#[test]
fn a_seed_is_announced_a_little_before_each_quarter_of_an_hour() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.set(1, wish(false, false));
    for _ in 0..20 {
        let (begun, at) = (stand.begin(), stand.now);
        stand.end(begun[0].1, 8);
        stand.now = stand.due().unwrap();
        let passed = stand.now.since(at);
        assert!(passed <= Duration::from_secs(900) && passed >= Duration::from_secs(787), "{passed:?}");
    }
}

#[test]
fn what_nobody_answered_is_tried_again_soon_and_at_once_when_the_way_in_is_found() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.set(1, wish(false, false));
    let begun = stand.begin();
    stand.end(begun[0].1, 0);
    assert_eq!(stand.due(), Some(stand.now + Duration::from_secs(75)));
    stand.turns.ready(stand.now);
    assert_eq!(stand.begin().len(), 1);
}

#[test]
fn what_is_not_wanted_any_more_is_dropped_and_another_name_begins_anew() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.set(1, wish(true, true));
    let first = stand.begin();
    stand.set(1, None);
    assert_eq!(stand.turns.dropped(), Some(first[0].1));
    assert_eq!((stand.turns.whose(first[0].1), stand.due()), (None, None));
    stand.set(1, wish(true, true));
    let second = stand.begin();
    let renamed = wish(true, true).map(|wish| DhtWish { name: InfoHash([2; 20]), ..wish });
    stand.set(1, renamed);
    assert_eq!(stand.turns.dropped(), Some(second[0].1));
    assert_eq!(stand.begin().len(), 1);
}

#[test]
fn a_torrent_that_may_be_announced_now_is_announced_at_once() {
    let mut stand = Stand::new(DhtConfig::default());
    let silent = wish(true, true).map(|wish| DhtWish { announce: false, ..wish });
    stand.set(1, silent);
    let begun = stand.begin();
    stand.set(1, wish(true, false));
    assert_eq!(stand.due(), None, "it is looking");
    stand.end(begun[0].1, 8);
    assert_eq!(stand.begin().len(), 1, "and then announces");
}

#[test]
fn who_has_nobody_looks_again_after_seconds() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.set(1, wish(true, true));
    for seconds in [5, 10, 20, 40, 80, 160, 320, 640, 900, 900] {
        let begun = stand.begin();
        let at = stand.now;
        stand.now = stand.now + Duration::from_secs(2);
        stand.end(begun[0].1, 8);
        stand.now = stand.due().unwrap();
        assert_eq!(stand.now, at + Duration::from_secs(seconds));
    }
}

#[test]
fn an_announce_that_nobody_stored_is_made_again_soon() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.set(1, wish(false, false));
    let begun = stand.begin();
    stand.turns.ended(stand.now, &stand.config, begun[0].1, &Outcome { answers: 8, ..Outcome::default() });
    let soon = stand.due().unwrap();
    assert!(soon <= stand.now + Duration::from_secs(75), "{soon:?}");
    stand.now = soon;
    let begun = stand.begin();
    stand.end(begun[0].1, 8);
    assert!(stand.due().unwrap() > stand.now + Duration::from_secs(700));
}
