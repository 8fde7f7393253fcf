//! Whom a torrent may connect to, and whom to dial next.
//!
//! **Told:** addresses with where they come from ([`Candidates::add`], [`Candidates::hear_of`]), every connection's beginning and end
//! ([`Candidates::incoming`], [`Candidates::connected`], [`Candidates::closed`]), what peers tell of themselves
//! ([`Candidates::listen_port`], [`Candidates::peer_is_seed`]), bans.
//! **Says:** the address to dial next ([`Candidates::next`]), and whether an incoming connection is welcome.
//!
//! Each address is in one state:
//!
//! | state | means | leaves it |
//! |---|---|---|
//! | ready | may be dialled | by `next` |
//! | resting | failed, or its connection ended; may be dialled from a moment on | when that moment has come, or the user names it for the first time |
//! | dialling | `next` has given it out | by `connected` or `closed` |
//! | linked | it has a connection, made by us or by it | by `closed` of the last |
//! | asleep | a seed while we seed: nothing to exchange | when we do not seed any more |
//! | spent | failed too often; remembered, so that it is not new when heard of again | when heard of after a while, or the user names it |
//!
//! The far end of an incoming connection is no address to dial: its port is not where it listens. Such a connection is
//! remembered apart until the peer has told its port. Some do dial from the port where they listen: an address from which there is a
//! connection is not dialled.
//!
//! Who connects to us again and again, or again after it broke the protocol, is refused for the rest of a minute (`knocks`).
//!
//! Sources are merged: an address has one place, with all who have named it ([`Sources`]), and is dialled once however many they
//! are. What anybody can put in by a false word (PEX, DHT, LSD: [`Source::is_hearsay`]) gets a part of the list only, for each
//! of these sources; within it the least useful gives way.
//!
//! Limits: [`CandidateConfig`]. When the list is full, the least useful address gives way: never one that is dialled or
//! linked, nor one that the user named. How many dials may be under way is not decided here.
//!
//! Order of dials: the user's first, then well-known ports (below 1024, where a false address would hit some other
//! service) last, then fewest failures, then those that a peer alone has named and nobody is known to have reached (BEP 11's
//! flag 0x10) or that are gone again, then BEP 40's priority: "A peer's priority can be computed before connecting, so it may
//! be beneficial for clients to take that into consideration when deciding which peers to connect to". While our own
//! address is not known, the order is random.

mod address;
mod entry;
mod knocks;
mod priority;

pub use crate::border::{Source, SourceCounts, Sources};
pub(crate) use address::has_reached;
pub use knocks::machine;
pub use priority::canonical_priority;

use crate::border::{AddressTable, CandidateConfig, CloseReason, IpFilter};
use crate::journal::canon::canon_struct;
use crate::rng::Rng;
use crate::time::Time;
use crate::wire::PexFlags;
use address::{all_of, canonical, is_dialable, is_well_known};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};
use entry::{Entry, Rank, Rest, Worth, rank, settle};
use knocks::Knocks;

/// How many addresses are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CandidateCounts {
    /// All that are remembered.
    pub known: usize,
    /// May be dialled now.
    pub ready: usize,
    /// May be dialled later.
    pub resting: usize,
    /// Being dialled.
    pub dialling: usize,
    /// With a connection.
    pub linked: usize,
}

/// The addresses of one torrent's peers.
#[derive(Clone, Debug)]
pub struct Candidates {
    rng: Rng,
    table: Arc<AddressTable>,
    entries: BTreeMap<SocketAddr, Entry>,
    /// Those that are ready, next first.
    ready: BTreeSet<(Rank, SocketAddr)>,
    /// Those that rest, by when they may be dialled.
    resting: BTreeSet<(Time, SocketAddr)>,
    /// Those that may give way, the least useful first: of each source those that it alone has named, and last all others.
    expendable: [BTreeSet<(Worth, SocketAddr)>; Source::COUNT + 1],
    /// How many each source alone has named.
    lone: [usize; Source::COUNT],
    by_source: SourceCounts,
    /// Far ends of incoming connections, with the listening address of each where it is known; that one is in `entries`.
    inbound: BTreeMap<SocketAddr, Option<SocketAddr>>,
    knocks: Knocks,
    banned: BTreeMap<IpAddr, u64>,
    banned_in_order: BTreeMap<u64, IpAddr>,
    bans: u64,
    /// Our own addresses, as we met them.
    ours: BTreeSet<SocketAddr>,
    /// As the world sees us.
    external: [Option<SocketAddr>; 2],
    seeding: bool,
    dialling: usize,
    linked: usize,
}

canon_struct!(out Candidates { rng, entries, ready, resting, expendable, lone, by_source, inbound, knocks, banned, banned_in_order, bans, ours, external, seeding, dialling, linked } | table);

#[cfg(test)]
impl Candidates {
    /// Changes something that does not show at once.
    pub(crate) fn tamper(&mut self) {
        self.rng.next_u32();
    }
}

/// The most of our own addresses that are remembered: interfaces and mappings of one machine. The lowest give way.
const MAX_OURS: usize = 64;

impl Candidates {
    /// An empty list. `rng` orders addresses while our own is not known.
    pub fn new(rng: Rng) -> Candidates {
        Candidates {
            rng,
            table: Arc::default(),
            entries: BTreeMap::new(),
            ready: BTreeSet::new(),
            resting: BTreeSet::new(),
            expendable: [const { BTreeSet::new() }; Source::COUNT + 1],
            lone: [0; Source::COUNT],
            by_source: SourceCounts::default(),
            inbound: BTreeMap::new(),
            knocks: Knocks::default(),
            banned: BTreeMap::new(),
            banned_in_order: BTreeMap::new(),
            bans: 0,
            ours: BTreeSet::new(),
            external: [None; 2],
            seeding: false,
            dialling: 0,
            linked: 0,
        }
    }

    /// The same with priorities that are given, and not computed.
    #[must_use]
    pub fn with_table(mut self, table: Arc<AddressTable>) -> Candidates {
        self.table = table;
        self
    }

    /// How many addresses there are.
    pub fn counts(&self) -> CandidateCounts {
        CandidateCounts {
            known: self.entries.len(),
            ready: self.ready.len(),
            resting: self.resting.len(),
            dialling: self.dialling,
            linked: self.linked,
        }
    }

    /// How many addresses each source has named.
    pub fn by_source(&self) -> SourceCounts {
        let mut counts = self.by_source;
        for _ in self.inbound.values().filter(|told| told.is_none()) {
            counts.count(Source::Incoming.into(), true);
        }
        counts
    }

    /// Who has named an address; of the far end of a connection that came in, of where it listens.
    pub fn sources(&self, addr: SocketAddr) -> Sources {
        let addr = canonical(addr);
        let came = self.inbound.get(&addr).copied();
        let known = self.entries.get(&came.flatten().unwrap_or(addr)).map(|entry| entry.sources).unwrap_or_default();
        if came.is_some() { known | Source::Incoming.into() } else { known }
    }

    /// An address has been heard of. True: it is new, and remembered.
    ///
    /// Not remembered: what nobody can be dialled at (port 0, multicast, broadcast, unspecified), ourselves, the banned,
    /// what is less useful than everything in a full list, and of hearsay what is less useful than all else of the same source,
    /// when that has its [share](CandidateConfig::max_hearsay) of the list.
    pub fn add(&mut self, now: Time, config: &CandidateConfig, addr: SocketAddr, source: Source) -> bool {
        self.hear(now, config, addr, source, PexFlags::default())
    }

    /// The same of one that another peer is connected to, with what it says of it. Hearsay: it orders dials, and is forgotten
    /// when we know better.
    pub fn hear_of(&mut self, now: Time, config: &CandidateConfig, addr: SocketAddr, flags: PexFlags) -> bool {
        self.hear(now, config, addr, Source::Pex, flags)
    }

    fn hear(&mut self, now: Time, config: &CandidateConfig, addr: SocketAddr, source: Source, flags: PexFlags) -> bool {
        let addr = canonical(addr);
        if !is_dialable(addr) || self.is_ours(addr) || self.is_banned(addr.ip()) {
            return false;
        }
        let Some(entry) = self.entries.get(&addr) else { return self.insert(config, addr, source, flags) };
        let named = source == Source::User && !entry.is_sticky();
        // The user's word ends a rest that an address has earned at a stranger's.
        let anew = match entry.rest {
            Rest::Ready => false,
            Rest::Until(_) => named,
            Rest::Spent(until) => named || until <= now,
        };
        if anew || !entry.sources.has(source) || entry.stale || entry.flags | flags != entry.flags {
            self.change(addr, |entry| {
                entry.sources |= source;
                entry.stale = false;
                entry.flags = entry.flags | flags;
                // Where we know of it from somebody else, nobody can talk us out of it.
                entry.seed |= flags.has(PexFlags::SEED) && entry.sources.lone() == Some(Source::Pex) && !entry.proven;
                if anew {
                    entry.rest = Rest::Ready;
                    entry.failures = 0;
                }
            });
        }
        false
    }

    /// Whoever named an address by peer exchange says that it is not connected to it any more. Others are dialled first then.
    pub fn is_gone(&mut self, addr: SocketAddr) {
        self.change(canonical(addr), |entry| entry.stale = true);
    }

    /// The address to dial now; it counts as being dialled until [`Candidates::connected`] or [`Candidates::closed`].
    pub fn next(&mut self, now: Time, _config: &CandidateConfig) -> Option<SocketAddr> {
        while let Some(&(due, addr)) = self.resting.first()
            && due <= now
        {
            self.change(addr, |entry| entry.rest = Rest::Ready);
        }
        let &(_, addr) = self.ready.first()?;
        self.change(addr, |entry| entry.dialling = true);
        Some(addr)
    }

    /// Whether the user named an address, and whether a connection to it was ever ready.
    pub fn standing(&self, addr: SocketAddr) -> (bool, bool) {
        self.entries.get(&canonical(addr)).map_or((false, false), |entry| (entry.is_sticky(), entry.proven))
    }

    /// What [`Candidates::next`] gave is not dialled yet, but from `until` on.
    pub fn postpone(&mut self, addr: SocketAddr, until: Time) {
        let addr = canonical(addr);
        self.change(addr, |entry| {
            entry.dialling = false;
            entry.rest = Rest::Until(until);
        });
        self.forget_unwanted(addr);
    }

    /// When [`Candidates::next`] has something to give; `now`: at once. To be asked only while dials are allowed: it does
    /// not know of their limits.
    pub fn deadline(&self, now: Time) -> Option<Time> {
        if !self.ready.is_empty() {
            return Some(now);
        }
        self.resting.first().map(|&(due, _)| due)
    }

    /// A dial has become a connection.
    pub fn connected(&mut self, now: Time, addr: SocketAddr) {
        self.change(canonical(addr), |entry| {
            if entry.dialling {
                entry.dialling = false;
                entry.dialled = Some(now);
            }
        });
    }

    /// Somebody has connected to us from `addr`. Refused: the banned, ourselves, an address that there is a connection
    /// to, or a dial, and one that has come too often within a minute. Let in, its end is to be told by [`Candidates::closed`] with the same address.
    ///
    /// How many are let in is the session's matter.
    pub fn incoming(&mut self, now: Time, config: &CandidateConfig, addr: SocketAddr) -> Result<(), CloseReason> {
        let addr = canonical(addr);
        if self.is_banned(addr.ip()) {
            return Err(CloseReason::Banned);
        }
        if self.ours.contains(&addr) {
            return Err(CloseReason::ToSelf);
        }
        if self.inbound.contains_key(&addr) || self.entries.get(&addr).is_some_and(Entry::is_busy) {
            return Err(CloseReason::Duplicate);
        }
        if !self.knocks.knock(now, config, addr.ip()) {
            return Err(CloseReason::LimitReached);
        }
        self.inbound.insert(addr, None);
        // Where it comes from may be where it listens: that is not dialled meanwhile.
        self.change(addr, |_| {});
        Ok(())
    }

    /// The peer that connected to us from `from` says that it listens at `port`. Its connection is now counted for that
    /// address, which is thus not dialled. True: there is another connection to that address already.
    pub fn listen_port(&mut self, config: &CandidateConfig, from: SocketAddr, port: u16) -> bool {
        let from = canonical(from);
        let mut addr = from;
        addr.set_port(port);
        if self.inbound.get(&from) != Some(&None) || !is_dialable(addr) || self.is_ours(addr) {
            return false;
        }
        if !self.entries.contains_key(&addr) {
            let ports = self.entries.range(all_of(addr.ip())).take(config.max_ports_per_ip as usize).count();
            let too_many = ports >= config.max_ports_per_ip as usize && !addr.ip().is_loopback();
            if too_many || !self.insert(config, addr, Source::Incoming, PexFlags::default()) {
                return false;
            }
        }
        let linked = self.entries.get(&addr).is_some_and(Entry::is_linked);
        self.change(addr, |entry| {
            entry.inbound = entry.inbound.saturating_add(1);
            entry.sources |= Source::Incoming;
        });
        self.inbound.insert(from, Some(addr));
        linked
    }

    /// A connection or a dial has ended. `addr`: what was dialled, or where it came from; `was_ready`: the handshake had been
    /// completed.
    pub fn closed(
        &mut self,
        now: Time,
        config: &CandidateConfig,
        addr: SocketAddr,
        reason: CloseReason,
        was_ready: bool,
    ) {
        let addr = canonical(addr);
        if matches!(reason, CloseReason::Fault(_)) && self.inbound.contains_key(&addr) {
            self.knocks.fault(now, config, addr.ip());
        }
        let came = self.inbound.remove(&addr);
        let key = came.flatten().unwrap_or(addr);
        let known = self.entries.get(&key);
        if came.is_none() && !known.is_some_and(|entry| entry.dialling || entry.dialled.is_some()) {
            return;
        }
        if came == Some(None) && known.is_none() {
            return;
        }
        self.change(key, |entry| {
            let lasted = entry.dialled.map(|since| now.since(since));
            match came {
                Some(told) => entry.inbound = entry.inbound.saturating_sub(told.is_some().into()),
                None => (entry.dialling, entry.dialled) = (false, None),
            }
            entry.proven |= was_ready;
            entry.seed |= reason == CloseReason::BothSeeds;
            settle(now, config, (key, entry), lasted.unwrap_or_default(), reason, was_ready);
        });
        if reason == CloseReason::ToSelf {
            self.is_self(key);
        } else {
            self.forget_unwanted(key);
        }
    }

    /// Forgets an address that is not to be dialled any more, when nothing of it is under way.
    fn forget_unwanted(&mut self, addr: SocketAddr) {
        if self.is_banned(addr.ip()) || self.is_ours(addr) || self.is_blocked(addr) {
            self.remove_idle(addr);
        }
    }

    /// A peer has everything: while we seed it is not dialled any more.
    pub fn peer_is_seed(&mut self, addr: SocketAddr) {
        let addr = canonical(addr);
        let key = self.inbound.get(&addr).copied().flatten().unwrap_or(addr);
        self.change(key, |entry| entry.seed = true);
    }

    /// Whether we have all that we want. Looks at all addresses when that changes.
    pub fn set_seeding(&mut self, seeding: bool) {
        if self.seeding != seeding {
            self.reorder(|this| this.seeding = seeding);
        }
    }

    /// Our own addresses as the world sees them (IPv4, IPv6), with the ports that we listen at: they are not dialled, and put the
    /// peers of their families into BEP 40's order. Looks at all addresses when one has changed.
    pub fn set_external(&mut self, external: [Option<SocketAddr>; 2]) {
        let external = external.map(|addr| addr.map(canonical).filter(|addr| is_dialable(*addr)));
        if external == self.external {
            return;
        }
        for addr in external.into_iter().flatten() {
            self.remove_idle(addr);
        }
        self.reorder(|this| {
            this.external = external;
            for (&peer, entry) in this.entries.iter_mut() {
                let own = external.into_iter().flatten().find(|own| own.is_ipv4() == peer.is_ipv4());
                if let Some(own) = own {
                    entry.priority = priority_in(&this.table, own, peer);
                }
            }
        });
    }

    /// Forgets every address that the user has not named. Those that are dialled or linked stay until that has ended.
    pub fn forget_strangers(&mut self) {
        let strangers: Vec<SocketAddr> =
            self.entries.iter().filter(|(_, entry)| !entry.is_sticky()).map(|(&addr, _)| addr).collect();
        for addr in strangers {
            self.remove_idle(addr);
        }
    }

    /// Nobody at this address is dialled or let in any more. Connections that there are, are to be closed by the caller.
    pub fn ban(&mut self, config: &CandidateConfig, ip: IpAddr) {
        let ip = ip.to_canonical();
        if self.banned.contains_key(&ip) {
            return;
        }
        while self.banned.len() >= (config.max_banned as usize).max(1) {
            let Some((_, oldest)) = self.banned_in_order.pop_first() else { break };
            self.banned.remove(&oldest);
        }
        self.banned.insert(ip, self.bans);
        self.banned_in_order.insert(self.bans, ip);
        self.bans = self.bans.saturating_add(1);
        let idle: Vec<SocketAddr> =
            self.entries.range(all_of(ip)).filter(|(_, entry)| !entry.is_busy()).map(|(&addr, _)| addr).collect();
        for addr in idle {
            self.remove_idle(addr);
        }
    }

    /// Forgets whom a list of blocked addresses has. Those with a dial or connection are forgotten when that ends. Looks at all
    /// addresses.
    pub fn forget_blocked(&mut self, filter: &IpFilter) {
        let blocked: Vec<SocketAddr> = self.entries.keys().filter(|addr| filter.blocks(addr.ip())).copied().collect();
        for addr in blocked {
            self.change(addr, |entry| entry.blocked = true);
            self.remove_idle(addr);
        }
    }

    /// Whether this address is banned.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.banned.contains_key(&ip.to_canonical())
    }

    /// Learns that `addr` is ourselves: it is not dialled again.
    pub fn is_self(&mut self, addr: SocketAddr) {
        let addr = canonical(addr);
        self.remove_idle(addr);
        if self.ours.len() >= MAX_OURS {
            self.ours.pop_first();
        }
        self.ours.insert(addr);
    }

    fn is_ours(&self, addr: SocketAddr) -> bool {
        self.ours.contains(&addr) || self.external.contains(&Some(addr))
    }

    fn is_blocked(&self, addr: SocketAddr) -> bool {
        self.entries.get(&addr).is_some_and(|entry| entry.blocked)
    }

    fn priority(&mut self, addr: SocketAddr) -> u32 {
        // Drawn in any case: what is known of ourselves shifts no later draw.
        let drawn = self.rng.next_u32();
        let external = self.external.into_iter().flatten().find(|own| own.is_ipv4() == addr.is_ipv4());
        external.map_or(drawn, |external| priority_in(&self.table, external, addr))
    }

    /// Puts a new address in, when there is room or can be made.
    fn insert(&mut self, config: &CandidateConfig, addr: SocketAddr, source: Source, flags: PexFlags) -> bool {
        let entry = Entry::new(source, flags, self.priority(addr));
        let has_its_share = source.is_hearsay() && self.lone[source as usize] >= config.max_hearsay as usize;
        if has_its_share || self.entries.len() >= config.max_known as usize {
            let among =
                if has_its_share { &self.expendable[source as usize..=source as usize] } else { &self.expendable };
            let Some(&(least, victim)) = among.iter().filter_map(BTreeSet::first).min() else { return false };
            if !entry.is_sticky() && self.worth(addr, &entry) <= least {
                return false;
            }
            self.remove_idle(victim);
        }
        self.index(addr, &entry);
        self.entries.insert(addr, entry);
        true
    }

    /// Forgets an address. One with a dial or connection stays until that has ended.
    fn remove_idle(&mut self, addr: SocketAddr) {
        if self.entries.get(&addr).is_some_and(|entry| !entry.is_busy())
            && let Some(entry) = self.entries.remove(&addr)
        {
            self.unindex(addr, &entry);
        }
    }

    /// Changes an entry, when there is one, and keeps every index true.
    fn change(&mut self, addr: SocketAddr, change: impl FnOnce(&mut Entry)) {
        if let Some(mut entry) = self.entries.remove(&addr) {
            self.unindex(addr, &entry);
            change(&mut entry);
            self.index(addr, &entry);
            self.entries.insert(addr, entry);
        }
    }

    /// Changes what all entries' places depend on.
    fn reorder(&mut self, change: impl FnOnce(&mut Candidates)) {
        change(self);
        self.ready.clear();
        self.resting.clear();
        self.expendable.iter_mut().for_each(BTreeSet::clear);
        (self.dialling, self.linked) = (0, 0);
        (self.lone, self.by_source) = Default::default();
        let entries = core::mem::take(&mut self.entries);
        for (&addr, entry) in &entries {
            self.index(addr, entry);
        }
        self.entries = entries;
    }

    fn index(&mut self, addr: SocketAddr, entry: &Entry) {
        self.dialling += usize::from(entry.dialling);
        self.linked += usize::from(entry.is_linked());
        self.by_source.count(entry.sources, entry.is_linked());
        if let Some(source) = entry.sources.lone() {
            self.lone[source as usize] += 1;
        }
        if entry.is_busy() || self.inbound.contains_key(&addr) {
            return;
        }
        if !entry.is_sticky() {
            let worth = self.worth(addr, entry);
            self.expendable[place(entry)].insert((worth, addr));
        }
        match entry.rest {
            _ if self.is_asleep(entry) => {}
            Rest::Ready => _ = self.ready.insert((rank(addr, entry), addr)),
            Rest::Until(due) => _ = self.resting.insert((due, addr)),
            Rest::Spent(_) => {}
        }
    }

    fn unindex(&mut self, addr: SocketAddr, entry: &Entry) {
        self.dialling -= usize::from(entry.dialling);
        self.linked -= usize::from(entry.is_linked());
        self.by_source.discount(entry.sources, entry.is_linked());
        if let Some(source) = entry.sources.lone() {
            self.lone[source as usize] -= 1;
        }
        let worth = self.worth(addr, entry);
        self.expendable[place(entry)].remove(&(worth, addr));
        self.ready.remove(&(rank(addr, entry), addr));
        if let Rest::Until(due) = entry.rest {
            self.resting.remove(&(due, addr));
        }
    }

    fn worth(&self, addr: SocketAddr, entry: &Entry) -> Worth {
        let spent = matches!(entry.rest, Rest::Spent(_));
        let (failures, sound) = (Reverse(entry.failures), !entry.is_doubtful());
        (!spent, !self.is_asleep(entry), !is_well_known(addr), failures, sound, entry.proven, entry.priority)
    }

    /// A seed is of no use to a seed. One that the user named is tried all the same: somebody else may be there by now.
    fn is_asleep(&self, entry: &Entry) -> bool {
        self.seeding && entry.seed && !entry.is_sticky()
    }
}

/// Among which an address gives way.
fn place(entry: &Entry) -> usize {
    entry.sources.lone().map_or(Source::COUNT, |source| source as usize)
}

/// BEP 40's priority, from the table where that has it.
fn priority_in(table: &AddressTable, own: SocketAddr, peer: SocketAddr) -> u32 {
    table.priority(own, peer).unwrap_or_else(|| canonical_priority(own, peer))
}

#[cfg(test)]
mod tests;
