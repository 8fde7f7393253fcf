//! Who is served: tit for tat while we download, turns while we seed.
//!
//! BEP 3: "There are several criteria a good choking algorithm should meet. It should cap the number of simultaneous
//! uploads for good TCP performance. It should avoid choking and unchoking quickly, known as 'fibrillation'. It should
//! reciprocate to peers who let it download. Finally, it should try out unused connections once in a while".
//!
//! **Told:** the peers as they are, once a round ([`Choker::round`]); a peer that becomes interested or stops being so
//! ([`Choker::interest_changed`]); a peer that is gone ([`Choker::peer_gone`]).
//! **Says:** which peers to choke and which to unchoke; only changes.
//!
//! A peer is in one of three states:
//!
//! | state | means | leaves it |
//! |---|---|---|
//! | idle | choked, wants nothing of us | by becoming interested |
//! | waiting | choked, interested, not upload-only | by getting a slot: a free one at once, another's in a round |
//! | served | unchoked: it holds a slot, also when it is no longer interested | by losing the slot in a round |
//!
//! Never more than [`ChokeConfig::slots`] peers are served. Free slots go out at once, so that a first transfer does not
//! wait for a round; all else happens in rounds:
//!
//! 1. A served peer that wants nothing any more gives its slot to a waiting one. While nobody waits it keeps it, so that
//!    a peer whose interest comes and goes is not choked and unchoked each time.
//! 2. *Downloading*: the best peers by what they send us hold all slots but one; a snubbing peer counts as sending
//!    nothing. At most [`ChokeConfig::changes_per_round`] slots go to a better peer in one round. The last slot is
//!    optimistic: it goes round all others, [`ChokeConfig::optimistic_turn`] each. So does a slot whose holder gives nothing.
//! 3. *Seeding*: whoever was served for [`ChokeConfig::seed_turn`], or given [`ChokeConfig::seed_quota`], gives way to whoever's
//!    network was given least lately, and among those to whoever has waited longest; a few in a round. So no peer can drain us by
//!    being fast, by coming again under another id, or by coming from many addresses of one network ("Stealing bandwidth
//!    from BitTorrent seeders", 2011, shows what that does to seeds that serve the fastest).
//! 4. Among equals a network (/24 of IPv4, /48 of IPv6) gets its second slot only after every other one that waits has
//!    its first: many addresses of one machine are no better than one. The optimistic slot likewise goes round networks: when one
//!    of a network has had it, the others of that network come behind everybody else.

mod ledger;

use super::brake::network;
use crate::border::{ChokeConfig, PeerKey};
use crate::journal::canon::canon_struct;
use crate::rng::Rng;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;
use core::ops::Bound;
use ledger::Ledger;

/// What the choker needs to know of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChokePeer {
    /// The connection.
    pub key: PeerKey,
    /// Its address.
    pub addr: IpAddr,
    /// Whether it wants something of us.
    pub interested: bool,
    /// Whether we choke it, as it was told.
    pub choked: bool,
    /// Bytes of content a second from it to us: what it is worth while we download.
    pub download_rate: u64,
    /// Bytes of content a second from us to it: while we seed, of equals who takes least gives way first.
    pub upload_rate: u64,
    /// Bytes of content from us to it, since the connection began.
    pub uploaded: u64,
    /// Whether it has let us wait for blocks for too long.
    pub snubbed: bool,
    /// When the connection was made: of equals the older is served first.
    pub connected_at: Time,
    /// Whether it said that it downloads nothing more (BEP 21); it is not served.
    pub upload_only: bool,
}

impl ChokePeer {
    fn wants(&self) -> bool {
        self.interested && !self.upload_only
    }
}

/// Who of a torrent's peers is served.
#[derive(Clone, Debug)]
pub struct Choker {
    rng: Rng,
    /// Who holds a slot; never more than the configured number after a round.
    served: BTreeMap<PeerKey, Served>,
    /// Who would like one, and since when.
    waiting: BTreeMap<PeerKey, Time>,
    /// The order of optimistic turns, next first; holds every connected peer that was seen in a round.
    rotation: Vec<PeerKey>,
    /// Who has the optimistic slot, and since when.
    optimistic: Option<(PeerKey, Time)>,
    next_round: Time,
    /// A slot may have become free while somebody waits.
    vacancy: bool,
    /// What networks were given lately.
    ledger: Ledger,
    /// Of each peer that was seen in a round: its network, and how much of what it was given is in the ledger.
    booked: BTreeMap<PeerKey, (IpAddr, u64)>,
}

canon_struct!(out Choker { rng, served, waiting, rotation, optimistic, next_round, vacancy, ledger, booked });

#[cfg(test)]
impl Choker {
    /// Changes something that does not show at once.
    pub(crate) fn tamper(&mut self) {
        self.rng.next_u32();
    }
}

/// Somebody who holds a slot.
#[derive(Clone, Copy, Debug)]
struct Served {
    since: Time,
    /// What it had been given before; known from the first round on.
    before: Option<u64>,
    /// Whether it still wants something.
    wants: bool,
}

canon_struct!(out Served { since, before, wants });

/// How much more likely a new connection is to come first in the rotation than to come in at any other place. BEP 3:
/// "To give them a decent chance of getting a complete piece to upload, new connections are three times as likely to
/// start as the current optimistic unchoke as anywhere else in the rotation."
const NEW_FIRST_WEIGHT: u64 = 3;

/// Networks that were given amounts that differ by less than this were given the same: a piece or so.
const GIVEN_STEP: u64 = 256 << 10;

/// Rates that differ by less than this many bytes a second are equal: measuring is not more exact.
const RATE_STEP: u64 = 1024;

impl Choker {
    /// A choker that serves nobody yet. `rng` decides where new peers enter the optimistic rotation.
    pub fn new(rng: Rng) -> Choker {
        Choker {
            rng,
            served: BTreeMap::new(),
            waiting: BTreeMap::new(),
            rotation: Vec::new(),
            optimistic: None,
            next_round: Time::ZERO,
            vacancy: false,
            ledger: Ledger::default(),
            booked: BTreeMap::new(),
        }
    }

    /// Whether this peer holds a slot.
    pub fn is_served(&self, peer: PeerKey) -> bool {
        self.served.contains_key(&peer)
    }

    /// Who holds a slot, beginning with the one after `last`, around to `last` itself.
    pub fn served_after(&self, last: PeerKey) -> impl Iterator<Item = PeerKey> + '_ {
        let rest = (Bound::Excluded(last), Bound::Unbounded);
        self.served.range(rest).chain(self.served.range(..=last)).map(|(&key, _)| key)
    }

    /// How many peers hold a slot.
    pub fn served(&self) -> usize {
        self.served.len()
    }

    /// How many peers wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When [`Choker::round`] is due; `None` while nobody wants anything. In the past means: at once.
    pub fn deadline(&self) -> Option<Time> {
        if self.vacancy && !self.waiting.is_empty() {
            return Some(Time::ZERO);
        }
        let anybody = !self.waiting.is_empty() || self.served.values().any(|served| served.wants);
        anybody.then_some(self.next_round)
    }

    /// A peer is gone, to which so many bytes were uploaded. Its slot, when it had one, is given away by the next round, which is
    /// then due at once.
    pub fn peer_gone(&mut self, now: Time, config: &ChokeConfig, peer: PeerKey, uploaded: u64) {
        if let Some((network, booked)) = self.booked.remove(&peer) {
            self.ledger.book(now, config.seed_memory, network, uploaded.saturating_sub(booked));
        }
        self.waiting.remove(&peer);
        // The next round takes it out of the rotation: looking for it here would cost a look at every peer.
        if self.served.remove(&peer).is_some() {
            self.vacancy = true;
        }
        if self.optimistic.is_some_and(|(key, _)| key == peer) {
            self.optimistic = None;
        }
    }

    /// A peer became interested, or ceased to be, or has just been connected. True: it has been given a free slot and is to
    /// be unchoked now. `peer.interested` is what holds from now on.
    pub fn interest_changed(&mut self, now: Time, config: &ChokeConfig, peer: &ChokePeer) -> bool {
        if let Some(served) = self.served.get_mut(&peer.key) {
            served.wants = peer.wants();
            return false;
        }
        if !peer.wants() {
            self.waiting.remove(&peer.key);
            return false;
        }
        // With others waiting, a free slot is theirs: the round that is due at once decides.
        if self.served.len() < config.slots as usize && self.waiting.is_empty() {
            if self.deadline().is_none() {
                self.next_round = now + config.round;
            }
            self.served.insert(peer.key, Served { since: now, before: None, wants: true });
            return true;
        }
        self.waiting.entry(peer.key).or_insert(now);
        if self.served.len() < config.slots as usize {
            self.vacancy = true;
        }
        false
    }

    /// Looks at all peers and decides anew; each change is (peer, whether it is to be unchoked), chokes first.
    ///
    /// Before the deadline only free slots are given away. `peers` is every peer of the torrent that is ready, in any
    /// order; a peer that is missing counts as gone. Takes O(n log n) for n peers.
    pub fn round(
        &mut self,
        now: Time,
        config: &ChokeConfig,
        seeding: bool,
        peers: &[ChokePeer],
    ) -> Vec<(PeerKey, bool)> {
        let peers: BTreeMap<PeerKey, &ChokePeer> = peers.iter().map(|peer| (peer.key, peer)).collect();
        self.take_stock(now, config, &peers);
        let before: BTreeSet<PeerKey> = self.served.keys().copied().collect();
        let ranking = self.rank(now, config, seeding, &peers);

        self.shrink(now, config, &ranking);
        if now >= self.next_round {
            self.next_round = now + config.round;
            if seeding {
                self.optimistic = None;
                self.take_turns(now, config, &ranking, &peers);
            } else {
                self.reciprocate(now, config, &ranking, &peers);
            }
        }
        self.fill(now, config, &ranking);
        self.vacancy = false;
        debug_assert!(self.served.len() <= config.slots as usize);

        let chokes = before.iter().filter(|key| !self.served.contains_key(key)).map(|&key| (key, false));
        let unchokes = self.served.keys().filter(|key| !before.contains(key)).map(|&key| (key, true));
        chokes.chain(unchokes).collect()
    }

    /// Makes our tables say what the peers are.
    fn take_stock(&mut self, now: Time, config: &ChokeConfig, peers: &BTreeMap<PeerKey, &ChokePeer>) {
        self.served.retain(|key, _| peers.get(key).is_some_and(|peer| !peer.choked));
        self.waiting.retain(|key, _| peers.get(key).is_some_and(|peer| peer.wants()));
        self.rotation.retain(|key| peers.contains_key(key));
        for (&key, peer) in peers {
            if !peer.choked {
                let served = self.served.entry(key).or_insert(Served { since: now, before: None, wants: true });
                served.wants = peer.wants();
                served.before.get_or_insert(peer.uploaded);
                self.waiting.remove(&key);
            } else if peer.wants() {
                self.waiting.entry(key).or_insert(now);
            }
        }
        if self.optimistic.is_some_and(|(key, _)| !self.served.get(&key).is_some_and(|served| served.wants)) {
            self.optimistic = None;
        }
        let known: BTreeSet<PeerKey> = self.rotation.iter().copied().collect();
        for (&key, peer) in peers.iter().filter(|(key, _)| !known.contains(key)) {
            if self.ledger.given(now, config.seed_memory, network(peer.addr)) > 0 {
                // It is new by name only.
                self.rotation.push(key);
                continue;
            }
            let drawn = self.rng.below(self.rotation.len() as u64 + NEW_FIRST_WEIGHT);
            let place = (drawn + 1).saturating_sub(NEW_FIRST_WEIGHT) as usize;
            self.rotation.insert(place.min(self.rotation.len()), key);
        }
        // After that: what it was given under this name is not held against it as a new one.
        self.booked.retain(|key, _| peers.contains_key(key));
        for (&key, peer) in peers {
            let (network, booked) = self.booked.entry(key).or_insert((network(peer.addr), 0));
            let fresh = peer.uploaded.saturating_sub(*booked);
            *booked = peer.uploaded;
            self.ledger.book(now, config.seed_memory, *network, fresh);
        }
    }

    /// Everybody who wants something, the one to be served first in front.
    fn rank(
        &self,
        now: Time,
        config: &ChokeConfig,
        seeding: bool,
        peers: &BTreeMap<PeerKey, &ChokePeer>,
    ) -> Vec<PeerKey> {
        // Worth: what it sends us, in steps; while we seed all are worth the same. Then who is served already, so that
        // equals do not change places; then, while we seed, whose network was given least lately; then who has waited (or, when
        // served, has been served) from earliest on; then the older connection.
        type Rank = (Reverse<u64>, bool, u64, Time, Time, PeerKey);
        let mut wanting: Vec<(Rank, IpAddr)> = Vec::new();
        for (&key, peer) in peers.iter().filter(|(_, peer)| peer.wants()) {
            let worth = if seeding || peer.snubbed { 0 } else { peer.download_rate / RATE_STEP };
            let (waits, since) = match self.served.get(&key) {
                Some(served) => (false, served.since),
                None => (true, self.waiting.get(&key).copied().unwrap_or(Time::NEVER)),
            };
            let network = network(peer.addr);
            let given = if seeding && waits { self.ledger.given(now, config.seed_memory, network) } else { 0 };
            let rank = (Reverse(worth), waits, given / GIVEN_STEP, since, peer.connected_at, key);
            wanting.push((rank, network));
        }
        wanting.sort_unstable();
        // Among equals the second of a network comes behind the first of every other.
        let mut seen: BTreeMap<(Reverse<u64>, IpAddr), u32> = BTreeMap::new();
        let mut ranked: Vec<(Reverse<u64>, u32, Rank)> = Vec::with_capacity(wanting.len());
        for (rank, network) in wanting {
            let nth = seen.entry((rank.0, network)).or_insert(0);
            ranked.push((rank.0, *nth, rank));
            *nth += 1;
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(.., (.., key))| key).collect()
    }

    /// Chokes the last in rank when there are more than slots (the configuration has changed, or the torrent unchoked one).
    fn shrink(&mut self, now: Time, config: &ChokeConfig, ranking: &[PeerKey]) {
        while self.served.len() > config.slots as usize {
            let idle = self.served.iter().find(|(_, served)| !served.wants).map(|(&key, _)| key);
            let last = || ranking.iter().rev().copied().find(|key| self.served.contains_key(key));
            let Some(victim) = idle.or_else(last) else { return };
            self.dismiss(now, victim);
        }
    }

    /// Downloading: slots go to those who send us most, the optimistic one goes round.
    fn reciprocate(
        &mut self,
        now: Time,
        config: &ChokeConfig,
        ranking: &[PeerKey],
        peers: &BTreeMap<PeerKey, &ChokePeer>,
    ) {
        let regular = (config.slots as usize).saturating_sub(1).max(1);
        let best: BTreeSet<PeerKey> = ranking.iter().copied().take(regular).collect();
        // The optimistic one has proved to be among the best: it stays, and the slot goes round again.
        if self.optimistic.is_some_and(|(key, _)| best.contains(&key)) {
            self.optimistic = None;
        }
        self.yield_idle(now, config, ranking);

        let mut challengers: Vec<PeerKey> =
            ranking.iter().copied().take(regular).filter(|key| self.waiting.contains_key(key)).rev().collect();
        let mut changes = config.changes_per_round;
        for &holder in ranking.iter().rev() {
            if changes == 0 || self.served.len() < config.slots as usize {
                break;
            }
            let Some(served) = self.served.get(&holder) else { continue };
            let keeps = best.contains(&holder) || self.optimistic.is_some_and(|(key, _)| key == holder);
            if keeps || now.since(served.since) < config.min_served {
                continue;
            }
            let Some(better) = challengers.pop() else { break };
            self.dismiss(now, holder);
            self.serve(now, better);
            changes -= 1;
        }
        self.rotate(now, config, ranking, &best, peers);
        self.try_others(now, config, ranking, peers);
    }

    /// Where fewer give us anything than there are slots, the rest go to those who give nothing. None of those keeps one for
    /// longer than an optimistic turn while others wait: somebody else may give something back.
    fn try_others(
        &mut self,
        now: Time,
        config: &ChokeConfig,
        ranking: &[PeerKey],
        peers: &BTreeMap<PeerKey, &ChokePeer>,
    ) {
        let gives = |key: &PeerKey| peers.get(key).is_some_and(|peer| !peer.snubbed && peer.download_rate >= RATE_STEP);
        for _ in 0..config.changes_per_round {
            let had_its_turn = |key: &PeerKey| {
                let served = self.served.get(key).is_some_and(|it| now.since(it.since) >= config.optimistic_turn);
                served && !gives(key) && self.optimistic.is_none_or(|(optimistic, _)| optimistic != *key)
            };
            let Some(leaves) = ranking.iter().rev().copied().find(had_its_turn) else { return };
            let Some(place) = self.rotation.iter().position(|key| self.waiting.contains_key(key)) else { return };
            let comes = self.had_turn(place, peers);
            self.dismiss(now, leaves);
            self.serve(now, comes);
        }
    }

    /// Who is at this place of the rotation has its turn: its whole network comes behind the others.
    fn had_turn(&mut self, place: usize, peers: &BTreeMap<PeerKey, &ChokePeer>) -> PeerKey {
        let comes = self.rotation.remove(place);
        let network_of = |key: &PeerKey| peers.get(key).map(|peer| network(peer.addr));
        let (same, mut others): (Vec<PeerKey>, Vec<PeerKey>) =
            self.rotation.drain(..).partition(|key| network_of(key) == network_of(&comes));
        others.extend(same);
        others.push(comes);
        self.rotation = others;
        comes
    }

    /// The optimistic slot. BEP 3: "at any one time there is a single peer which is unchoked regardless of its upload
    /// rate [...] Which peer is optimistically unchoked rotates every 30 seconds."
    fn rotate(
        &mut self,
        now: Time,
        config: &ChokeConfig,
        ranking: &[PeerKey],
        best: &BTreeSet<PeerKey>,
        peers: &BTreeMap<PeerKey, &ChokePeer>,
    ) {
        if self.waiting.is_empty() || self.served.len() < config.slots as usize {
            return;
        }
        if self.optimistic.is_some_and(|(_, since)| now.since(since) < config.optimistic_turn) {
            return;
        }
        let Some(place) = self.rotation.iter().position(|key| self.waiting.contains_key(key)) else { return };
        // Who gives way: the last optimistic one, or else the worst that is served and is not among the best.
        let may_leave = |key: &PeerKey| {
            !best.contains(key)
                && self.served.get(key).is_some_and(|served| now.since(served.since) >= config.min_served)
        };
        let worst = || ranking.iter().rev().copied().find(may_leave);
        let Some(leaves) = self.optimistic.map(|(key, _)| key).or_else(worst) else { return };
        let comes = self.had_turn(place, peers);
        self.dismiss(now, leaves);
        self.serve(now, comes);
        self.optimistic = Some((comes, now));
    }

    /// Seeding: whose turn is over gives way to who comes first in rank.
    fn take_turns(
        &mut self,
        now: Time,
        config: &ChokeConfig,
        ranking: &[PeerKey],
        peers: &BTreeMap<PeerKey, &ChokePeer>,
    ) {
        self.yield_idle(now, config, ranking);
        // So many in each round that all slots have changed hands after one turn; not all at once.
        let rounds = (config.seed_turn.as_micros() / config.round.as_micros().max(1)).max(1);
        let mut changes = u128::from(config.slots).div_ceil(rounds);
        // Who has had its quota gives way first, then who was served longest; of those served equally long, who takes least.
        let had_quota = |key: &PeerKey, served: &Served| {
            let given =
                peers.get(key).map_or(0, |peer| peer.uploaded).saturating_sub(served.before.unwrap_or(u64::MAX));
            given >= config.seed_quota && now.since(served.since) >= config.min_served
        };
        let mut over: Vec<(bool, Time, u64, PeerKey)> = self
            .served
            .iter()
            .map(|(&key, served)| (!had_quota(&key, served), served, key))
            .filter(|(has_some_left, served, _)| !has_some_left || now.since(served.since) >= config.seed_turn)
            .map(|(has_some_left, served, key)| {
                (has_some_left, served.since, peers.get(&key).map_or(0, |peer| peer.upload_rate), key)
            })
            .collect();
        over.sort_unstable();
        let mut over = over.into_iter();
        let comers: Vec<PeerKey> = ranking.iter().copied().filter(|key| self.waiting.contains_key(key)).collect();
        for comes in comers {
            if changes == 0 || self.served.len() < config.slots as usize {
                break;
            }
            let Some((.., leaves)) = over.next() else { break };
            self.dismiss(now, leaves);
            self.serve(now, comes);
            changes -= 1;
        }
    }

    /// Served peers that want nothing give way to waiting ones.
    fn yield_idle(&mut self, now: Time, config: &ChokeConfig, ranking: &[PeerKey]) {
        let idle: Vec<PeerKey> = self.served.iter().filter(|(_, served)| !served.wants).map(|(&key, _)| key).collect();
        let free = (config.slots as usize).saturating_sub(self.served.len());
        let comers: Vec<PeerKey> =
            ranking.iter().copied().filter(|key| self.waiting.contains_key(key)).skip(free).take(idle.len()).collect();
        for (leaves, comes) in idle.into_iter().zip(comers) {
            self.dismiss(now, leaves);
            self.serve(now, comes);
        }
    }

    /// Gives free slots away in the order of rank.
    fn fill(&mut self, now: Time, config: &ChokeConfig, ranking: &[PeerKey]) {
        for &key in ranking {
            if self.served.len() >= config.slots as usize {
                return;
            }
            if self.waiting.contains_key(&key) {
                self.serve(now, key);
            }
        }
    }

    fn serve(&mut self, now: Time, key: PeerKey) {
        self.waiting.remove(&key);
        self.served.insert(key, Served { since: now, before: None, wants: true });
    }

    fn dismiss(&mut self, now: Time, key: PeerKey) {
        if self.served.remove(&key).is_some_and(|served| served.wants) {
            self.waiting.insert(key, now);
        }
        if self.optimistic.is_some_and(|(holder, _)| holder == key) {
            self.optimistic = None;
        }
    }
}

/// How many peers are served under an upload limit of so many bytes a second, at most: two below 9 KiB/s, three below 15, four
/// below 42, and from there on the square root of 0.6 × KiB/s. That is what the first client did ("uploads" in its manual), and
/// leaves each slot a few KiB/s at small limits, more at great ones: who is served in drops can trade nothing.
pub fn slots_for(upload_limit: u64) -> u32 {
    match upload_limit / 1024 {
        0..9 => 2,
        9..15 => 3,
        15..42 => 4,
        kib => u32::try_from((kib.min(1 << 40) * 6 / 10).isqrt()).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests;
