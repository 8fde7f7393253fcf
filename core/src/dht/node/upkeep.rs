//! Keeping the table full and fresh, a query at a time.
//!
//! In the order of urgency: contacts whose place somebody waits for, newcomers for whom there is a place, contacts that have been silent
//! for long, ranges that are thin. Each costs one query, no two within [`PACE`], and the last two not within
//! [`refresh_pace`](DhtConfig::refresh_pace) of their own kind, but while the table is filled for the first time.

use super::Node;
use super::queries::Purpose;
use crate::border::DhtConfig;
use crate::cx::Cx;
use crate::dht::NodeId;
use crate::dht::krpc::Method;
use crate::dht::table::Contact;
use crate::journal::canon::canon_struct;
use crate::net_policy::{AddrClass, Word};
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// The least time between two queries of upkeep: 10 a second, 1,200 bytes, fill a table within a minute.
pub(super) const PACE: Duration = Duration::from_millis(100);
/// How long a contact that has just answered is not asked for thin ranges. Others give one address so many
/// [answers a second](DhtConfig::replies_per_second) as we do, and a lookup and what it stores take three of five.
const REST: Duration = Duration::from_secs(3);
/// How many nodes wait to be asked: what two lookups name.
const MAX_QUEUE: usize = 128;
/// How often the ranges are gone through, as long as that brings something new, before it is let be for `refresh_after`.
const MAX_SWEEPS: u8 = 4;

/// The state. See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Upkeep {
    doubts: VecDeque<(NodeId, SocketAddr)>,
    newcomers: VecDeque<(NodeId, SocketAddr)>,
    next: Time,
    next_refresh: Time,
    /// The range that is looked at next.
    cursor: u32,
    next_fill: Time,
    sweeps: u8,
    /// How many contacts there were when this sweep began.
    before: usize,
}

canon_struct!(out Upkeep { doubts, newcomers, next, next_refresh, cursor, next_fill, sweeps, before });

impl Upkeep {
    /// A node for which there may be a place.
    pub(super) fn newcomer(&mut self, id: NodeId, addr: SocketAddr) {
        if self.newcomers.len() < MAX_QUEUE && !self.newcomers.iter().any(|(_, at)| *at == addr) {
            self.newcomers.push_back((id, addr));
        }
    }

    /// A contact whose place somebody waits for.
    pub(super) fn doubt(&mut self, id: NodeId, addr: SocketAddr) {
        if self.doubts.len() < MAX_QUEUE && !self.doubts.contains(&(id, addr)) {
            self.doubts.push_back((id, addr));
        }
    }

    /// When there is something to be done.
    pub(super) fn deadline(&self, refresh_at: Option<Time>, empty: bool) -> Option<Time> {
        if !self.doubts.is_empty() || !self.newcomers.is_empty() {
            return Some(self.next);
        }
        let refresh = refresh_at.map(|at| at.max(self.next_refresh));
        let fill = (!empty).then_some(self.next_fill);
        crate::time::earliest([refresh, fill]).map(|at| at.max(self.next))
    }
}

impl Node {
    /// Sends the next query of upkeep, if one is due.
    pub(super) fn keep_up(&mut self, cx: &mut Cx<'_>) {
        let config = &cx.config.dht;
        let room = self.queries.len() < config.max_queries as usize / 2;
        if cx.now < self.upkeep.next || !room {
            // When there is no room, the queries that take it have their own time.
            self.upkeep.next = self.upkeep.next.max(if room { Time::ZERO } else { cx.now + PACE });
            return;
        }
        if let Some((id, addr, target)) = self.next_of_upkeep(cx.now, config) {
            self.upkeep.next = cx.now + PACE;
            self.query(cx, addr, Some(id), Purpose::Table, Method::FindNode { target, want: None });
        }
    }

    fn next_of_upkeep(&mut self, now: Time, config: &DhtConfig) -> Option<(NodeId, SocketAddr, NodeId)> {
        while let Some((id, addr)) = self.upkeep.doubts.pop_front() {
            if !self.queries.asks(addr) {
                return Some((id, addr, NodeId::random(&mut self.rng)));
            }
        }
        while let Some((id, addr)) = self.upkeep.newcomers.pop_front() {
            if self.table.wants(now, config, id, addr) && !self.queries.asks(addr) {
                return Some((id, addr, NodeId::random(&mut self.rng)));
            }
        }
        if now >= self.upkeep.next_refresh
            && let Some((contact, target)) = self.table.refresh(now, config, &mut self.rng)
        {
            self.upkeep.next_refresh = now + config.refresh_pace;
            return Some((contact.id, contact.addr, target));
        }
        if now >= self.upkeep.next_fill && !self.table.is_empty() {
            return self.fill(now, config);
        }
        None
    }

    /// Asks for nodes of the next range that is thin: the closest contact to it.
    fn fill(&mut self, now: Time, config: &DhtConfig) -> Option<(NodeId, SocketAddr, NodeId)> {
        let cursor = self.upkeep.cursor;
        if let Some((cursor, target)) = self.table.thin(config, cursor, &mut self.rng) {
            self.upkeep.next_fill = now + PACE * 2;
            // Where few are known, the same ones are closest to every range: they are not asked faster than they would answer. The
            // range waits for them.
            let rested = |contact: &Contact| now.since(contact.answered) >= REST && !self.queries.asks(contact.addr);
            let close = self.table.closest(now, config, target, config.k as usize);
            let nobody = close.is_empty();
            let close: Vec<Contact> = close.into_iter().filter(rested).take(3).collect();
            self.upkeep.cursor = cursor + u32::from(nobody || !close.is_empty());
            let contact = close.get(self.rng.index(close.len()))?;
            return Some((contact.id, contact.addr, target));
        }
        // All have been gone through.
        self.upkeep.cursor = 0;
        self.upkeep.sweeps += 1;
        let contacts = self.table.len();
        let fruitful = contacts > self.upkeep.before + self.upkeep.before / 16;
        self.upkeep.before = contacts;
        if fruitful && self.upkeep.sweeps < MAX_SWEEPS {
            self.upkeep.next_fill = now + PACE * 20;
        } else {
            self.upkeep.sweeps = 0;
            self.upkeep.next_fill = now + config.refresh_after;
        }
        None
    }

    /// Nodes were named by somebody: those for whom there is a place are asked in their turn.
    pub(super) fn take_note(&mut self, now: Time, config: &DhtConfig, nodes: &[(NodeId, SocketAddr)]) {
        for (id, addr) in nodes.iter().take(config.k as usize) {
            if self.table.wants(now, config, *id, *addr) {
                self.upkeep.newcomer(*id, *addr);
            }
        }
    }

    /// On whose word we learn of what a node names.
    pub(super) fn word_of(from: SocketAddr) -> Word {
        if AddrClass::of(from.ip()).is_local() { Word::Local } else { Word::Global }
    }
}
