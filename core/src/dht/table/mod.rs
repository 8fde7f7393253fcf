//! The routing table: the nodes that are known, few of each part of the id space, many of our own.
//!
//! # Ranges
//! BEP 5: "The routing table covers the entire node ID space ... subdivided into buckets that each cover a portion of the space."
//! A bucket is split as far as our own id lies in it. So the buckets are, for each number of bits, the ids that share exactly so
//! many with ours. Here the far ones are split further, until each is a range of ids that begin with the same
//! [`root_bits`](DhtConfig::root_bits) bits:
//!
//! ```text
//! own id 0000 0...        bits in common    ranges of k contacts (root_bits = 5)
//! 1xxxx                         0           16
//! 01xxx                         1            8
//! 001xx                         2            4
//! 0001x                         3            2
//! 00001                         4            1
//! 00000 1, 00000 01, ...        5, 6, ...    1 each, down to 32 bits in common
//! ```
//!
//! That is what Kademlia calls looking at several bits at a time. A range is there once it has a contact.
//!
//! # Rules
//! 1. Only who has answered gets in, and nobody is put out for somebody who is unknown. "In this way, the table fills with stable
//!    long running nodes."
//! 2. A full range takes a newcomer in place of a bad contact; in place of one whose id does not fit its address, when its own
//!    does (BEP 42); else the newcomer waits in the range's cache. If there are questionable contacts, "the least recently seen
//!    node is pinged": [`Table::doubtful`] names it. Who becomes bad gives way to who waits.
//! 3. One contact for each [`Host`], few for each [network](network_of). An id that is here at one address is not taken over by
//!    another, as long as the first one answers. Who speaks under another id than before is put out, and is not taken in under the
//!    new one before it has used that twice: who changes it with each answer is never in.
//! 4. A contact that was not heard for [`refresh_after`](DhtConfig::refresh_after) is asked ([`Table::refresh`]) for an id within
//!    its range, which keeps the contact good and the range full. One that fails is asked again soon.
//! 5. When our own id changes, everybody is sorted in anew.
//!
//! # Limits
//! [`k`](DhtConfig::k) contacts and as many that wait in each of at most 2^[`root_bits`](DhtConfig::root_bits) + 28 ranges.
//!
//! ```
//! use core::time::Duration;
//! use parcacik_core::border::DhtConfig;
//! use parcacik_core::dht::NodeId;
//! use parcacik_core::dht::table::{Entry, Table};
//! use parcacik_core::time::Time;
//!
//! let config = DhtConfig::default();
//! let mut table = Table::new(NodeId([0; 20]));
//! let rtt = Duration::from_millis(80);
//! let entry = table.answered(Time::ZERO, &config, NodeId([0x80; 20]), "192.0.2.1:6881".parse().unwrap(), rtt);
//! assert_eq!(entry, Entry::Added);
//! assert_eq!(table.closest(Time::ZERO, &config, NodeId([0xff; 20]), 8)[0].id, NodeId([0x80; 20]));
//! ```

mod contact;
mod range;
pub mod saved;

pub(crate) use contact::host_number;
pub use contact::{Contact, Host, Standing, network_of};

use crate::border::DhtConfig;
use crate::dht::{Distance, NodeId};
use crate::journal::canon::canon_struct;
use crate::rng::Rng;
use crate::time::Time;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use range::Range;

/// What became of a node that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It was in the table, or waiting, already.
    Known,
    /// It is in the table now.
    Added,
    /// It waits for a place.
    Waiting,
    /// It is not remembered.
    Refused(Refused),
}

/// Why a node is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has our own id.
    OwnId,
    /// There is another node at its host.
    HostTaken,
    /// There are enough of its network.
    Network,
    /// Its id is known at another address.
    IdTaken,
    /// It had another id before.
    IdChanged,
    /// Nobody gives way to it, and those who wait are preferred.
    NoRoom,
}

/// The routing table. See the [module](self).
#[derive(Clone, Debug)]
pub struct Table {
    own: NodeId,
    buckets: BTreeMap<Range, Bucket>,
    /// No contact is to be asked before this; a bound from below, as most events move contacts back.
    refresh_at: Time,
    /// Who was put out because it spoke under another id, and which: the last ones.
    changed: VecDeque<(SocketAddr, NodeId)>,
}

canon_struct!(out Table { own, buckets, refresh_at, changed });

/// How many nodes that have changed their id are remembered, at 56 bytes: a node that does it all the time has to be among the last
/// that did, and those who do it once come back.
const MAX_CHANGED: usize = 64;

#[derive(Clone, Debug, Default)]
struct Bucket {
    /// In no order.
    live: Vec<Contact>,
    /// Who waits, the last one heard at the end.
    waiting: Vec<Contact>,
}

canon_struct!(out Bucket { live, waiting });

impl Bucket {
    fn all(&self) -> impl Iterator<Item = &Contact> {
        self.live.iter().chain(&self.waiting)
    }

    fn get(&mut self, id: NodeId) -> Option<&mut Contact> {
        self.live.iter_mut().chain(&mut self.waiting).find(|contact| contact.id == id)
    }

    fn remove(&mut self, id: NodeId) {
        self.live.retain(|contact| contact.id != id);
        self.waiting.retain(|contact| contact.id != id);
    }

    /// Fills free places, and those of bad contacts, with who waits: the verified before others, then who was heard last.
    /// `refresh_at` is moved to when the first of them is to be asked.
    fn promote(&mut self, now: Time, config: &DhtConfig, refresh_at: &mut Time) {
        loop {
            let heard = |(at, contact): (usize, &Contact)| ((contact.verified, contact.heard(), at), at);
            let usable = |(_, contact): &(usize, &Contact)| contact.standing(now, config) == Standing::Good;
            let Some((_, best)) = self.waiting.iter().enumerate().filter(usable).map(heard).max() else { return };
            let bad = self.live.iter().position(|contact| contact.standing(now, config) == Standing::Bad);
            if self.live.len() >= config.k as usize {
                let Some(bad) = bad else { return };
                self.live.remove(bad);
            }
            let contact = self.waiting.remove(best);
            *refresh_at = (*refresh_at).min(contact.refresh_at(config));
            self.live.push(contact);
        }
    }

    /// Lets a contact wait. False: those who wait already are all preferred to it.
    fn wait(&mut self, config: &DhtConfig, contact: Contact) -> bool {
        let id = contact.id;
        self.waiting.push(contact);
        if self.waiting.len() > config.replacements as usize {
            // Who is not verified goes first, then who was heard longest ago.
            let last =
                (0..self.waiting.len()).min_by_key(|&at| (self.waiting[at].verified, self.waiting[at].heard(), at));
            return last.is_none_or(|at| self.waiting.remove(at).id != id);
        }
        true
    }
}

impl Table {
    /// An empty one, around our own id.
    pub fn new(own: NodeId) -> Table {
        Table { own, buckets: BTreeMap::new(), refresh_at: Time::NEVER, changed: VecDeque::new() }
    }

    /// Our own id.
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// How many contacts have a place.
    pub fn len(&self) -> usize {
        self.buckets.values().map(|bucket| bucket.live.len()).sum()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.buckets.values().all(|bucket| bucket.live.is_empty())
    }

    /// The contacts that have a place, in the order of the id space's ranges.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.buckets.values().flat_map(|bucket| &bucket.live)
    }

    /// The contacts that wait for one.
    pub fn waiting(&self) -> impl Iterator<Item = &Contact> {
        self.buckets.values().flat_map(|bucket| &bucket.waiting)
    }

    /// A node has answered one of our questions, `rtt` after it.
    pub fn answered(&mut self, now: Time, config: &DhtConfig, id: NodeId, addr: SocketAddr, rtt: Duration) -> Entry {
        let range = Range::of(self.own, id, config);
        if let Some(bucket) = self.buckets.get_mut(&range)
            && let Some(known) = bucket.get(id)
            && known.addr == addr
        {
            known.has_answered(now, rtt);
            bucket.promote(now, config, &mut self.refresh_at);
            return Entry::Known;
        }
        if let Err(refused) = self.admit(now, config, id, addr) {
            return Entry::Refused(refused);
        }
        let contact = Contact::new(now, id, addr, rtt);
        self.place(now, config, contact)
    }

    /// A node has asked us something. Whether it is unknown, and there is a place for it: then it is worth a ping, as a node gets in by
    /// an answer only.
    pub fn asked(&mut self, now: Time, config: &DhtConfig, id: NodeId, addr: SocketAddr) -> bool {
        let range = Range::of(self.own, id, config);
        if let Some(known) = self.buckets.get_mut(&range).and_then(|bucket| bucket.get(id))
            && known.addr == addr
        {
            known.queried = Some(now);
            self.settle(now, config, range);
            return false;
        }
        self.wants(now, config, id, addr)
    }

    /// Whether there is a place for a node that is not known yet.
    pub fn wants(&self, now: Time, config: &DhtConfig, id: NodeId, addr: SocketAddr) -> bool {
        // The range first: mostly it is full, and nothing else is to be looked at.
        if let Some(bucket) = self.buckets.get(&Range::of(self.own, id, config)) {
            if bucket.all().any(|contact| contact.id == id) {
                return false;
            }
            let verified = || id.is_valid_for(addr.ip());
            let gives_way =
                |contact: &Contact| contact.standing(now, config) == Standing::Bad || !contact.verified && verified();
            if bucket.live.len() >= config.k as usize && !bucket.live.iter().any(gives_way) {
                return false;
            }
        }
        self.refusal(now, config, id, addr).is_none()
    }

    /// A node has not answered.
    pub fn failed(&mut self, now: Time, config: &DhtConfig, id: NodeId, addr: SocketAddr) {
        let range = Range::of(self.own, id, config);
        let Some(bucket) = self.buckets.get_mut(&range) else { return };
        let Some(known) = bucket.get(id).filter(|known| known.addr == addr) else { return };
        known.failures = known.failures.saturating_add(1);
        let (failures, due) = (u32::from(known.failures), known.refresh_at(config));
        self.refresh_at = self.refresh_at.min(due);
        if failures >= config.forget_after {
            bucket.remove(id);
        } else if failures >= config.max_failures {
            // Who waits and fails is not worth waiting for.
            bucket.waiting.retain(|contact| contact.id != id);
        }
        self.settle(now, config, range);
    }

    /// Somebody waits for a place in the range of `id`: which contact to ping, that it may be good again or give way.
    ///
    /// BEP 5: "If there are any questionable nodes in the bucket have not been seen in the last 15 minutes, the least recently seen
    /// node is pinged. If the pinged node responds then the next least recently seen questionable node is pinged until one fails
    /// to respond or all of the nodes in the bucket are known to be good."
    pub fn doubtful(&self, now: Time, config: &DhtConfig, id: NodeId) -> Option<Contact> {
        let bucket = self.buckets.get(&Range::of(self.own, id, config))?;
        if bucket.waiting.is_empty() || bucket.live.len() < config.k as usize {
            return None;
        }
        let doubtful = bucket.live.iter().filter(|contact| contact.standing(now, config) == Standing::Questionable);
        doubtful.min_by_key(|contact| (contact.heard(), contact.id)).copied()
    }

    /// The contact that was silent for longest and is to be asked now, and an id within its range to ask for. It is not named again
    /// before its time. To be called until there is none.
    pub fn refresh(&mut self, now: Time, config: &DhtConfig, rng: &mut Rng) -> Option<(Contact, NodeId)> {
        if now < self.refresh_at {
            return None;
        }
        let live = || self.buckets.iter().flat_map(|(range, bucket)| bucket.live.iter().map(move |c| (range, c)));
        let due = live().map(|(range, contact)| (contact.refresh_at(config), contact.id, *range)).min();
        let Some((at, id, range)) = due else {
            self.refresh_at = Time::NEVER;
            return None;
        };
        self.refresh_at = at;
        if now < at {
            return None;
        }
        let contact = self.buckets.get_mut(&range)?.get(id)?;
        contact.refreshed = now;
        Some((*contact, range.random(self.own, rng)))
    }

    /// When [`refresh`](Table::refresh) is due: never later than that.
    pub fn refresh_at(&self) -> Option<Time> {
        (self.refresh_at != Time::NEVER).then_some(self.refresh_at)
    }

    /// The contacts closest to a key, the closest first: at most `count`, none that is bad, and the questionable only where
    /// there are not as many good ones.
    pub fn closest(&self, now: Time, config: &DhtConfig, target: NodeId, count: usize) -> Vec<Contact> {
        let mut ranges: Vec<(u64, &Bucket)> =
            self.buckets.iter().map(|(range, bucket)| (range.distance(target), bucket)).collect();
        ranges.sort_unstable_by_key(|(distance, _)| *distance);
        let mut found: Vec<Contact> = Vec::with_capacity(count + config.k as usize);
        let mut doubtful: Vec<Contact> = Vec::new();
        for (_, bucket) in ranges {
            if found.len() >= count {
                break;
            }
            for contact in &bucket.live {
                match contact.standing(now, config) {
                    Standing::Good => found.push(*contact),
                    Standing::Questionable => doubtful.push(*contact),
                    Standing::Bad => {}
                }
            }
        }
        let distance = |contact: &Contact| contact.id.distance(target);
        found.sort_unstable_by_key(distance);
        found.truncate(count);
        if found.len() < count {
            doubtful.sort_unstable_by_key(distance);
            found.extend(doubtful.into_iter().take(count - found.len()));
            found.sort_unstable_by_key(distance);
        }
        found
    }

    /// How many bits the contacts closest to us have in common with us: the `k`th of them. 0 where fewer are known. So many bits tell
    /// about `k` nodes from all others, anywhere in the id space.
    pub fn neighbourhood(&self, config: &DhtConfig) -> u32 {
        self.kth(config).map_or(0, Distance::leading_zeros)
    }

    /// How many nodes there are in the whole network, if they lie as close together everywhere as around us. With few contacts it is
    /// their number.
    pub fn network(&self, config: &DhtConfig) -> u64 {
        let Some(kth) = self.kth(config) else { return self.len() as u64 };
        let [a, b, c, d, e, f, g, h, ..] = kth.0;
        let distance = u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1);
        (u64::MAX / distance).saturating_mul(u64::from(config.k)).max(self.len() as u64)
    }

    fn kth(&self, config: &DhtConfig) -> Option<Distance> {
        let mut distances: Vec<Distance> = self.contacts().map(|contact| contact.id.distance(self.own)).collect();
        let last = config.k.saturating_sub(1) as usize;
        (distances.len() > last).then(|| *distances.select_nth_unstable(last).1)
    }

    /// The next far range, from number `from` on, that has room, with an id in it. There are 2^[`root_bits`](DhtConfig::root_bits) of
    /// them, counted by the first bits of their ids; our own is none.
    pub fn thin(&self, config: &DhtConfig, from: u32, rng: &mut Rng) -> Option<(u32, NodeId)> {
        (from..1 << config.root_bits).find_map(|number| {
            let mut id = NodeId([0; 20]);
            // At most 8 bits.
            id.0[0] = (number << (8 - config.root_bits)) as u8;
            let target = id.random_within(config.root_bits, rng);
            let far = self.own.shared_prefix(target) < config.root_bits;
            let live = self.buckets.get(&Range::of(self.own, target, config)).map_or(0, |bucket| bucket.live.len());
            (far && live < config.k as usize).then_some((number, target))
        })
    }

    /// We have another id now.
    pub fn set_own(&mut self, now: Time, config: &DhtConfig, own: NodeId) {
        self.own = own;
        let buckets = core::mem::take(&mut self.buckets);
        // Who had a place before who waited, and who has been there for longest first.
        let (mut live, mut waiting) = (Vec::new(), Vec::new());
        for bucket in buckets.into_values() {
            live.extend(bucket.live);
            waiting.extend(bucket.waiting);
        }
        live.sort_by_key(|contact| (!contact.verified, contact.since, contact.id));
        for contact in live.into_iter().chain(waiting) {
            if self.refusal(now, config, contact.id, contact.addr).is_none() {
                self.place(now, config, contact);
            }
        }
    }

    /// Forgets whoever is not to be known any more.
    pub fn retain(&mut self, now: Time, config: &DhtConfig, keep: impl Fn(&Contact) -> bool) {
        for bucket in self.buckets.values_mut() {
            bucket.live.retain(&keep);
            bucket.waiting.retain(&keep);
            bucket.promote(now, config, &mut self.refresh_at);
        }
        self.buckets.retain(|_, bucket| !bucket.live.is_empty() || !bucket.waiting.is_empty());
    }

    /// Whether a node that is not known under this id and address may be; makes room where another contact stands in its way
    /// that should not.
    fn admit(&mut self, now: Time, config: &DhtConfig, id: NodeId, addr: SocketAddr) -> Result<(), Refused> {
        if let Some(at) = self.changed.iter().position(|(changed, _)| *changed == addr) {
            let before = self.changed.remove(at);
            if before.is_some_and(|(_, before)| before != id) {
                self.remember_change(addr, id);
                return Err(Refused::IdChanged);
            }
        }
        let host = Host::of(addr);
        let in_the_way = self.everybody().find(|contact| Host::of(contact.addr) == host).map(|c| (c.id, c.addr));
        match in_the_way {
            // At the very same endpoint: it is the same node, and has another id now.
            Some((other, at)) if at == addr && other != id => {
                self.forget(now, config, other);
                self.remember_change(addr, id);
                return Err(Refused::IdChanged);
            }
            // The same node behind another port, as when a router has forgotten it: follows when the old one does not answer.
            Some((other, _)) if self.stands_firm(now, config, other) => return Err(Refused::HostTaken),
            Some((other, _)) => self.forget(now, config, other),
            None => {}
        }
        let same_id = self.everybody().any(|contact| contact.id == id);
        if same_id {
            if self.stands_firm(now, config, id) {
                return Err(Refused::IdTaken);
            }
            self.forget(now, config, id);
        }
        self.refusal(now, config, id, addr).map_or(Ok(()), Err)
    }

    fn remember_change(&mut self, addr: SocketAddr, id: NodeId) {
        if self.changed.len() >= MAX_CHANGED {
            self.changed.pop_front();
        }
        self.changed.push_back((addr, id));
    }

    /// Whether a contact is one that others do not put out.
    fn stands_firm(&self, now: Time, config: &DhtConfig, id: NodeId) -> bool {
        let known = self.everybody().find(|contact| contact.id == id);
        known.is_some_and(|known| known.failures == 0 && known.standing(now, config) == Standing::Good)
    }

    /// Why a node that is not known may not be, as things stand.
    fn refusal(&self, now: Time, config: &DhtConfig, id: NodeId, addr: SocketAddr) -> Option<Refused> {
        if id == self.own {
            return Some(Refused::OwnId);
        }
        let (host, network) = (Host::of(addr), network_of(addr));
        let range = Range::of(self.own, id, config);
        let (mut in_network, mut in_range) = (0, 0);
        for (at, bucket) in &self.buckets {
            for contact in bucket.all() {
                if contact.id == id && contact.addr == addr {
                    continue;
                }
                if Host::of(contact.addr) == host && self.stands_firm(now, config, contact.id) {
                    return Some(Refused::HostTaken);
                }
                if contact.id == id && self.stands_firm(now, config, id) {
                    return Some(Refused::IdTaken);
                }
                if network.is_some() && network_of(contact.addr) == network {
                    in_network += 1;
                    in_range += u32::from(*at == range);
                }
            }
        }
        let crowded = in_network >= config.max_per_network || in_range >= config.max_per_network_bucket;
        crowded.then_some(Refused::Network)
    }

    /// Puts a contact that may be known where it belongs.
    fn place(&mut self, now: Time, config: &DhtConfig, contact: Contact) -> Entry {
        self.refresh_at = self.refresh_at.min(contact.refresh_at(config));
        let bucket = self.buckets.entry(Range::of(self.own, contact.id, config)).or_default();
        if bucket.live.len() < config.k as usize {
            bucket.live.push(contact);
            return Entry::Added;
        }
        if let Some(bad) = bucket.live.iter().position(|other| other.standing(now, config) == Standing::Bad) {
            bucket.live[bad] = contact;
            return Entry::Added;
        }
        let unverified = bucket.live.iter().enumerate().filter(|(_, other)| !other.verified);
        if contact.verified
            && let Some((at, _)) = unverified.min_by_key(|(_, other)| (other.heard(), other.id))
        {
            let other = core::mem::replace(&mut bucket.live[at], contact);
            bucket.wait(config, other);
            return Entry::Added;
        }
        if bucket.wait(config, contact) { Entry::Waiting } else { Entry::Refused(Refused::NoRoom) }
    }

    fn forget(&mut self, now: Time, config: &DhtConfig, id: NodeId) {
        let range = Range::of(self.own, id, config);
        let Some(bucket) = self.buckets.get_mut(&range) else { return };
        bucket.remove(id);
        self.settle(now, config, range);
    }

    /// Somebody in a range has gone, or changed its standing.
    fn settle(&mut self, now: Time, config: &DhtConfig, range: Range) {
        let Some(bucket) = self.buckets.get_mut(&range) else { return };
        bucket.promote(now, config, &mut self.refresh_at);
        if bucket.live.is_empty() && bucket.waiting.is_empty() {
            self.buckets.remove(&range);
        }
    }

    fn everybody(&self) -> impl Iterator<Item = &Contact> {
        self.buckets.values().flat_map(Bucket::all)
    }
}

#[cfg(test)]
mod tests;
