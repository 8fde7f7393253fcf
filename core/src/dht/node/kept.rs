//! What is announced again and again, as nodes forget it.

use super::Node;
use super::said::{Announce, Outcome, PeerWish, TaskId};
use super::tasks::{Aim, Peers};
use crate::border::InfoHash;
use crate::cx::Cx;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    by_hash: BTreeMap<InfoHash, Entry>,
    due: BTreeSet<(Time, InfoHash)>,
    /// Announces that ended and stored nothing, to be tried again soon.
    tasks: BTreeMap<TaskId, InfoHash>,
    failed: BTreeSet<InfoHash>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    announce: Announce,
    at: Time,
}

impl Kept {
    /// A task is over.
    pub(super) fn ended(&mut self, task: TaskId, outcome: &Outcome) {
        if let Some(hash) = self.tasks.remove(&task)
            && outcome.stored == 0
        {
            self.failed.insert(hash);
        }
    }

    /// A task was given up.
    pub(super) fn cancelled(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        if self.failed.is_empty() { self.due.first().map(|(at, _)| *at) } else { Some(Time::ZERO) }
    }

    fn set(&mut self, hash: InfoHash, announce: Announce, at: Time) {
        if let Some(before) = self.by_hash.insert(hash, Entry { announce, at }) {
            self.due.remove(&(before.at, hash));
        }
        self.due.insert((at, hash));
    }
}

impl Node {
    /// Announces us as a peer of a torrent now, and again every [`announce_interval`](crate::border::DhtConfig::announce_interval) until
    /// [`forget_announce`](Node::forget_announce). Each time it looks for peers as well. Again for the same torrent: what is said now
    /// holds from the next time on. `false`: too many are kept.
    pub fn keep_announced(&mut self, cx: &mut Cx<'_>, info_hash: InfoHash, announce: Announce) -> bool {
        let known = self.kept.by_hash.get(&info_hash).map(|entry| entry.at);
        if known.is_none() && self.kept.by_hash.len() >= cx.config.dht.max_kept as usize {
            return false;
        }
        self.kept.set(info_hash, announce, known.unwrap_or(cx.now));
        self.renew(cx);
        true
    }

    /// Announces a torrent no longer.
    pub fn forget_announce(&mut self, info_hash: InfoHash) {
        if let Some(entry) = self.kept.by_hash.remove(&info_hash) {
            self.kept.due.remove(&(entry.at, info_hash));
        }
        self.kept.failed.remove(&info_hash);
    }

    /// Announces what is due.
    pub(super) fn renew(&mut self, cx: &mut Cx<'_>) {
        let config = &cx.config.dht;
        for hash in core::mem::take(&mut self.kept.failed) {
            if let Some(entry) = self.kept.by_hash.get(&hash).copied() {
                // Nobody took it: not a whole interval is waited.
                let soon = cx.now + config.bootstrap_wait_max.min(config.announce_interval) / 4;
                self.kept.set(hash, entry.announce, entry.at.min(soon));
            }
        }
        while let Some(&(at, hash)) = self.kept.due.first()
            && at <= cx.now
        {
            let Some(entry) = self.kept.by_hash.get(&hash).copied() else {
                self.kept.due.remove(&(at, hash));
                continue;
            };
            // Up to an eighth sooner, so that many torrents that begin together do not stay so.
            let interval = config.announce_interval;
            let sooner = self.rng.below(u64::try_from(interval.as_micros() / 8).unwrap_or(u64::MAX));
            let next = cx.now + interval.saturating_sub(core::time::Duration::from_micros(sooner));
            self.kept.set(hash, entry.announce, next);
            let wish = PeerWish { no_seed: entry.announce.seed, scrape: false };
            let aim = Aim::Peers(Box::new(Peers::new(wish, Some(entry.announce))));
            // Known before it ends, which it may at once.
            self.kept.tasks.insert(self.tasks.next_id(), hash);
            self.take_on(cx, hash.into(), aim);
        }
    }
}
