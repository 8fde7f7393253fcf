//! Whose turn it is to look up peers in the DHT.
//!
//! Thousands of torrents may start together, and each look-up costs dozens of queries: they go one after another, so many in a second and
//! so many at once. Torrents that have nobody to get anything from go before all others, else those that are due go first.
//!
//! A turn is a look-up by every node that knows somebody, and, once the torrent's info dictionary is known, an announce at the end of
//! it. A torrent that wants more peers has its next turn after [`search_interval`](DhtConfig::search_interval), one that has nobody
//! after [`hungry_interval`](DhtConfig::hungry_interval), and then after twice as long each time; all others after
//! [`announce_interval`](DhtConfig::announce_interval), up to an eighth sooner, so that those that began together do not stay so. Of a
//! look-up that nobody answered nothing is known, and an announce that nobody stored is none: it is tried again soon.
//!
//! Limits: [`lookups_per_second`](DhtConfig::lookups_per_second), and for each node [`max_lookups`](DhtConfig::max_lookups).

use crate::border::{DhtConfig, SocketId, TorrentId};
use crate::dht::node::{Outcome, TaskId};
use crate::journal::canon::canon_struct;
use crate::rng::Rng;
use crate::time::Time;
use crate::torrent::DhtWish;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// A task of a node.
pub(super) type Lookup = (SocketId, TaskId);

/// Those that take part.
#[derive(Clone, Debug)]
pub(super) struct DhtTurns {
    members: BTreeMap<TorrentId, Member>,
    /// When whose turn is: of those that have nobody, and of the others. Not of those that look.
    queues: [BTreeSet<(Time, TorrentId)>; 2],
    open: BTreeMap<Lookup, TorrentId>,
    /// Look-ups that are not wanted any more.
    dropped: Vec<Lookup>,
    /// A second, and how many have begun in it.
    window: (Time, u32),
    rng: Rng,
}

canon_struct!(out DhtTurns { members, queues, open, dropped, window, rng });

#[derive(Clone, Debug)]
struct Member {
    wish: DhtWish,
    /// When its turn is, if it is not looking.
    due: Time,
    /// When it last began to look.
    begun: Option<Time>,
    /// How long after that it looks again if it wants peers.
    gap: Duration,
    /// Look-ups under way.
    open: u32,
    /// Whether anybody has answered the last ones.
    answered: bool,
    /// Whether anybody has stored what was to be announced.
    stored: bool,
    /// What was announced last has changed.
    again: bool,
}

canon_struct!(out Member { wish, due, begun, gap, open, answered, stored, again });

impl DhtTurns {
    pub(super) fn new(rng: Rng) -> DhtTurns {
        DhtTurns {
            members: BTreeMap::new(),
            queues: Default::default(),
            open: BTreeMap::new(),
            dropped: Vec::new(),
            window: (Time::ZERO, 0),
            rng,
        }
    }

    /// What a torrent wants from now on; `None`: nothing.
    pub(super) fn set(&mut self, now: Time, config: &DhtConfig, id: TorrentId, wish: Option<DhtWish>) {
        let before = self.members.get(&id).map(|member| member.wish);
        if before == wish {
            return;
        }
        if before.map(|wish| wish.name) != wish.map(|wish| wish.name) {
            self.remove(id);
        }
        let Some(wish) = wish else { return };
        self.unqueue(id);
        let gap = if wish.hungry { config.hungry_interval } else { config.search_interval };
        let new = Member { wish, due: now, begun: None, gap, open: 0, answered: false, stored: false, again: false };
        let member = self.members.entry(id).or_insert(new);
        let old = core::mem::replace(&mut member.wish, wish);
        if wish.announce && !old.announce {
            member.due = member.due.min(now);
            member.again = member.open > 0;
        }
        if (wish.hungry && !old.hungry) || (wish.wanting && !old.wanting) {
            member.gap = gap;
            let soon = member.begun.map_or(now, |begun| now.max(begun + gap));
            member.due = member.due.min(soon);
        }
        self.queue(id);
    }

    fn remove(&mut self, id: TorrentId) {
        self.unqueue(id);
        if let Some(member) = self.members.remove(&id)
            && member.open > 0
        {
            let lookups = self.open.iter().filter(|(_, of)| **of == id).map(|(lookup, _)| *lookup);
            let lookups: Vec<Lookup> = lookups.collect();
            for lookup in lookups {
                self.open.remove(&lookup);
                self.dropped.push(lookup);
            }
        }
    }

    /// A look-up that is not wanted any more.
    pub(super) fn dropped(&mut self) -> Option<Lookup> {
        self.dropped.pop()
    }

    fn unqueue(&mut self, id: TorrentId) {
        if let Some(member) = self.members.get(&id) {
            self.queues.iter_mut().for_each(|queue| _ = queue.remove(&(member.due, id)));
        }
    }

    fn queue(&mut self, id: TorrentId) {
        let [urgent, others] = &mut self.queues;
        if let Some(member) = self.members.get(&id).filter(|member| member.open == 0) {
            let queue = if member.wish.hungry { urgent } else { others };
            queue.insert((member.due, id));
        }
    }

    /// When [`next`](DhtTurns::next) may have somebody, provided that there are so many nodes that know somebody.
    pub(super) fn deadline(&self, config: &DhtConfig, nodes: usize) -> Option<Time> {
        if nodes == 0 || self.is_full(config, nodes) {
            return None;
        }
        let first = self.queues.iter().filter_map(|queue| queue.first()).map(|(due, _)| *due).min()?;
        let full = self.window.1 >= config.lookups_per_second;
        Some(if full { first.max(self.window.0 + Duration::from_secs(1)) } else { first })
    }

    fn is_full(&self, config: &DhtConfig, nodes: usize) -> bool {
        self.open.len() + nodes > config.max_lookups as usize * nodes
    }

    /// Whose turn it is, and what it wants. To be followed by [`began`](DhtTurns::began) for each node that looks, and then by
    /// [`waits`](DhtTurns::waits).
    pub(super) fn next(&mut self, now: Time, config: &DhtConfig, nodes: usize) -> Option<(TorrentId, DhtWish)> {
        if self.deadline(config, nodes).is_none_or(|due| due > now) {
            return None;
        }
        if now.since(self.window.0) >= Duration::from_secs(1) {
            self.window = (now, 0);
        }
        let due = |queue: &BTreeSet<(Time, TorrentId)>| queue.first().filter(|(due, _)| *due <= now).copied();
        let (_, id) = self.queues.iter().find_map(due)?;
        self.window.1 += 1;
        self.unqueue(id);
        let member = self.members.get_mut(&id)?;
        (member.begun, member.answered, member.stored, member.again) = (Some(now), false, false, false);
        Some((id, member.wish))
    }

    /// A node looks for a torrent now.
    pub(super) fn began(&mut self, id: TorrentId, lookup: Lookup) {
        if let Some(member) = self.members.get_mut(&id) {
            member.open += 1;
            self.open.insert(lookup, id);
        }
    }

    /// The turn of a torrent is given to all nodes.
    pub(super) fn waits(&mut self, now: Time, config: &DhtConfig, id: TorrentId) {
        if self.members.get(&id).is_some_and(|member| member.open == 0) {
            self.plan(now, config, id);
        }
    }

    /// For whom a look-up is.
    pub(super) fn whose(&self, lookup: Lookup) -> Option<TorrentId> {
        self.open.get(&lookup).copied()
    }

    /// A look-up is over.
    pub(super) fn ended(&mut self, now: Time, config: &DhtConfig, lookup: Lookup, outcome: &Outcome) {
        let Some(id) = self.open.remove(&lookup) else { return };
        let Some(member) = self.members.get_mut(&id) else { return };
        member.open = member.open.saturating_sub(1);
        member.answered |= outcome.answers > 0;
        member.stored |= outcome.stored > 0 || !member.wish.announce;
        if member.open == 0 {
            self.plan(now, config, id);
        }
    }

    /// Says when the next turn of a torrent is, after one.
    fn plan(&mut self, now: Time, config: &DhtConfig, id: TorrentId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let (begun, interval) = (member.begun.unwrap_or(now), config.announce_interval);
        member.due = if member.again {
            now
        } else if member.answered && member.wish.wanting {
            let least = if member.wish.hungry { Duration::ZERO } else { config.search_interval };
            let gap = member.gap.max(least);
            member.gap = (gap * 2).min(interval);
            // A look-up may take longer than that.
            (begun + gap).max(now + gap / 2)
        } else if !member.answered || !member.stored {
            now + config.bootstrap_wait_max.min(interval) / 4
        } else {
            let sooner = self.rng.below(u64::try_from(interval.as_micros() / 8).unwrap_or(u64::MAX));
            begun + interval.saturating_sub(Duration::from_micros(sooner))
        };
        self.queue(id);
    }

    /// A node has found its way in: those whom nobody had answered need not wait.
    pub(super) fn ready(&mut self, now: Time) {
        let unheard = self.members.iter().filter(|(_, member)| !member.answered && member.open == 0);
        let unheard: Vec<TorrentId> = unheard.map(|(id, _)| *id).collect();
        for id in unheard {
            self.unqueue(id);
            if let Some(member) = self.members.get_mut(&id) {
                member.due = member.due.min(now);
            }
            self.queue(id);
        }
    }

    /// All nodes are gone.
    pub(super) fn stop(&mut self) {
        *self = DhtTurns::new(self.rng.clone());
    }
}

#[cfg(test)]
mod tests;
