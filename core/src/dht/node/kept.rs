//! What is announced and put again and again, as nodes forget it.
//!
//! BEP 44: "Without re-announcement, these items MAY expire in 2 hours. In order to keep items alive, they SHOULD be re-announced once an
//! hour."

use super::Node;
use super::items;
use super::said::{Announce, Outcome, PeerWish, TaskId};
use super::tasks::{Aim, Peers};
use crate::border::{DhtConfig, InfoHash};
use crate::cx::Cx;
use crate::dht::krpc::ErrorCode;
use crate::dht::{Item, NodeId};
use crate::journal::canon::{canon_enum, canon_struct};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    entries: BTreeMap<Key, Entry>,
    due: BTreeSet<(Time, Key)>,
    /// Those that ended and stored nothing, to be tried again soon.
    tasks: BTreeMap<TaskId, Key>,
    failed: BTreeSet<Key>,
}

canon_struct!(out Kept { entries, due, tasks, failed });

/// What is kept. A torrent and an item may have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Torrent(InfoHash),
    Item(NodeId),
}

canon_enum!(out Key { 0 = Torrent(hash), 1 = Item(target) });

#[derive(Clone, Debug)]
struct Entry {
    what: What,
    at: Time,
}

canon_struct!(out Entry { what, at });

#[derive(Clone, Debug)]
enum What {
    Peer(Announce),
    Item(Box<Item>),
}

canon_enum!(out What { 0 = Peer(announce), 1 = Item(item) });

impl What {
    fn interval(&self, config: &DhtConfig) -> Duration {
        match self {
            What::Peer(_) => config.announce_interval,
            What::Item(_) => config.item_interval,
        }
    }

    fn aim(&self) -> Aim {
        match self {
            What::Peer(announce) => {
                let wish = PeerWish { no_seed: announce.seed, scrape: false };
                Aim::Peers(Box::new(Peers::new(wish, Some(*announce))))
            }
            // What was there before was compared when it was put for the first time.
            What::Item(item) => Aim::Put(Box::new(items::Put::new((**item).clone(), None))),
        }
    }
}

impl Key {
    fn target(self) -> NodeId {
        match self {
            Key::Torrent(hash) => hash.into(),
            Key::Item(target) => target,
        }
    }
}

impl Kept {
    /// A task is over.
    pub(super) fn ended(&mut self, task: TaskId, outcome: &Outcome) {
        // Who has a newer version will have it as well in a minute: such an item waits for its turn.
        let older = outcome.refused.iter().any(|(_, code)| *code == ErrorCode::OLD_SEQ);
        if let Some(key) = self.tasks.remove(&task)
            && outcome.stored == 0
            && !older
        {
            self.failed.insert(key);
        }
    }

    /// A task was given up.
    pub(super) fn cancelled(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        if self.failed.is_empty() { self.due.first().map(|(at, _)| *at) } else { Some(Time::ZERO) }
    }

    fn set(&mut self, key: Key, entry: Entry) {
        let at = entry.at;
        if let Some(before) = self.entries.insert(key, entry) {
            self.due.remove(&(before.at, key));
        }
        self.due.insert((at, key));
    }

    fn forget(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.due.remove(&(entry.at, key));
        }
        self.failed.remove(&key);
    }

    fn has_room(&self, key: Key, config: &DhtConfig) -> bool {
        self.entries.contains_key(&key) || self.entries.len() < config.max_kept as usize
    }
}

impl Node {
    /// Announces us as a peer of a torrent now, and again every [`announce_interval`](DhtConfig::announce_interval) until
    /// [`forget_announce`](Node::forget_announce). Each time it looks for peers as well. Again for the same torrent: what is said now
    /// holds from the next time on. `false`: too many are kept.
    pub fn keep_announced(&mut self, cx: &mut Cx<'_>, info_hash: InfoHash, announce: Announce) -> bool {
        let key = Key::Torrent(info_hash);
        if !self.kept.has_room(key, &cx.config.dht) {
            return false;
        }
        let at = self.kept.entries.get(&key).map_or(cx.now, |entry| entry.at);
        self.kept.set(key, Entry { what: What::Peer(announce), at });
        self.renew(cx);
        true
    }

    /// Announces a torrent no longer.
    pub fn forget_announce(&mut self, info_hash: InfoHash) {
        self.kept.forget(Key::Torrent(info_hash));
    }

    /// Stores an item as [`put`](Node::put) does, and again every [`item_interval`](DhtConfig::item_interval) until
    /// [`forget_put`](Node::forget_put). What is said of the task is what came of the first time. Again for the same target: this version takes
    /// the other's place. `None`: too many are kept.
    ///
    /// `cas` is for the first time only. Where somebody with the same key has stored a newer version since, nodes refuse this one and nothing is
    /// lost by that.
    pub fn keep_put(&mut self, cx: &mut Cx<'_>, item: Item, cas: Option<i64>) -> Option<TaskId> {
        let key = Key::Item(item.target());
        if !self.kept.has_room(key, &cx.config.dht) {
            return None;
        }
        let at = self.next_time(cx, cx.config.dht.item_interval);
        self.kept.set(key, Entry { what: What::Item(Box::new(item.clone())), at });
        // Known before it ends, which it may at once.
        self.kept.tasks.insert(self.tasks.next_id(), key);
        Some(self.put(cx, item, cas))
    }

    /// Stores an item no longer. Nodes that have it forget it after two hours.
    pub fn forget_put(&mut self, target: NodeId) {
        self.kept.forget(Key::Item(target));
    }

    /// Announces and puts what is due.
    pub(super) fn renew(&mut self, cx: &mut Cx<'_>) {
        let config = &cx.config.dht;
        for key in core::mem::take(&mut self.kept.failed) {
            if let Some(entry) = self.kept.entries.get(&key).cloned() {
                // Nobody took it: not a whole interval is waited.
                let soon = cx.now + config.bootstrap_wait_max.min(entry.what.interval(config)) / 4;
                let at = entry.at.min(soon);
                self.kept.set(key, Entry { at, ..entry });
            }
        }
        while let Some(&(at, key)) = self.kept.due.first()
            && at <= cx.now
        {
            let Some(entry) = self.kept.entries.get(&key).cloned() else {
                self.kept.due.remove(&(at, key));
                continue;
            };
            let at = self.next_time(cx, entry.what.interval(&cx.config.dht));
            let aim = entry.what.aim();
            self.kept.set(key, Entry { at, ..entry });
            // Known before it ends, which it may at once.
            self.kept.tasks.insert(self.tasks.next_id(), key);
            self.take_on(cx, key.target(), aim);
        }
    }

    /// When something is done again: up to an eighth sooner than after the interval, so that much that begins together does not stay so.
    fn next_time(&mut self, cx: &Cx<'_>, interval: Duration) -> Time {
        let sooner = self.rng.below(u64::try_from(interval.as_micros() / 8).unwrap_or(u64::MAX));
        cx.now + interval.saturating_sub(Duration::from_micros(sooner))
    }
}
