//! A lookup: the way to the nodes that are closest to a key.
//!
//! BEP 5: "The original node iteratively queries nodes that are closer to the target infohash until it cannot find any closer nodes."
//!
//! ```text
//! candidate:  fresh --> asked --(patience is over)--> overdue --(query life is over)--> failed
//!                         |                              |
//!                         +-----------> answered <-------+
//! ```
//!
//! - **Told:** which nodes to begin with, who answered what ([`Lookup::answered`]), who did not ([`Lookup::failed`]).
//! - **Says:** whom to ask next ([`Lookup::next`], to be called until it says nobody), when to be called again
//!   ([`Lookup::deadline`]), that it is over ([`Lookup::is_done`]), and then who is closest ([`Lookup::closest`]). It
//!   writes no messages, and does not care what is asked for.
//!
//! # Rules
//! 1. **Quick.** A query that takes longer than most answers do (its *patience*, measured by whoever runs the lookup) is overdue: it
//!    holds back nobody any more, but its answer still counts. So a dead node costs a fraction of a second and not the time
//!    after which it is surely dead. Each query that becomes overdue lets one more be under way, from
//!    [`alpha`](DhtConfig::alpha) to [`alpha_max`](DhtConfig::alpha_max); each answer in time one less.
//!    Only the `k` closest that may still answer count as under way: once closer nodes are known, nobody waits for the farther ones.
//! 2. **Disjoint paths.** The first nodes are dealt out to [`paths`](DhtConfig::paths), and who is named on a path belongs to it. Each
//!    path has its own room for candidates, at most half of what is under way, and a share of the queries. Who rules one path
//!    keeps that one busy, and no other.
//! 3. **Trust.** Nodes whose id fits their address (BEP 42) and is not [closer than can be](Lookup::begin) are *trusted*. BEP 42:
//!    a response whose id does not fit is not counted among those "closest good responses that end a lookup". The others are asked
//!    too, with a third of the queries at most, while there are trusted ones to ask.
//! 4. **The end** is when [`k`](DhtConfig::k) trusted nodes have answered and nobody closer is fresh, or asked and not
//!    overdue for twice its patience. Where there are not so many trusted ones, others count; and there are limits of queries and of time.
//! 5. One candidate for each id and address, one asked for each host, few for each network. At most
//!    [`max_nodes_per_answer`](DhtConfig::max_nodes_per_answer) are taken from one answer. Who answers under another id than it was
//!    named by is a candidate under its own.
//!
//! # Limits
//! [`max_candidates`](DhtConfig::max_candidates) candidates of 150 bytes each, and a token of those that answered.
//!
//! ```
//! use core::time::Duration;
//! use parcacik_core::border::DhtConfig;
//! use parcacik_core::dht::NodeId;
//! use parcacik_core::dht::lookup::{Lookup, Start};
//! use parcacik_core::time::Time;
//!
//! let config = DhtConfig::default();
//! let start = Start { now: Time::ZERO, own: NodeId([0; 20]), target: NodeId([0xff; 20]), neighbourhood: 0 };
//! let router = (NodeId([0x80; 20]), "127.0.0.1:6881".parse().unwrap());
//! let mut lookup = Lookup::begin(&config, start, [router]);
//! assert_eq!(lookup.next(Time::ZERO, &config, Duration::from_millis(500)), Some(router));
//! let closer = (NodeId([0xf0; 20]), "127.0.0.1:6882".parse().unwrap());
//! lookup.answered(Time::from_millis(80), &config, router.1, router.0, Some(b"token"), [closer]);
//! assert_eq!(lookup.next(Time::from_millis(80), &config, Duration::from_millis(500)), Some(closer));
//! ```

pub mod patience;

use crate::border::DhtConfig;
use crate::dht::table::{Host, network_of};
use crate::dht::{Distance, NodeId};
use crate::journal::canon::{canon_enum, canon_struct};
use crate::time::Time;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// Bits in common with a key beyond those of the closest node that chance gives: one node in 2^16 has so many more.
const PLAUSIBLE_BITS: u32 = 16;

/// What a lookup begins with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The time.
    pub now: Time,
    /// Our own id.
    pub own: NodeId,
    /// The key.
    pub target: NodeId,
    /// How many bits the nodes have in common that are closest to some id, as far as we know: what the `k` contacts that are
    /// closest to us share with us. 0 when it is not known.
    pub neighbourhood: u32,
}

/// A node that answered, as a lookup ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: NodeId,
    /// Where it is.
    pub addr: SocketAddr,
    /// What it wants to see before it stores something.
    pub token: Option<Vec<u8>>,
    /// Whether its id fits its address and the network's size.
    pub trusted: bool,
}

/// The machine. See the [module](self).
#[derive(Clone, Debug)]
pub struct Lookup {
    own: NodeId,
    target: NodeId,
    ends: Time,
    /// More bits in common with the key than this are not to be believed.
    plausible: u32,
    /// The closest first.
    candidates: Vec<Candidate>,
    /// How many queries may hold a place now.
    window: u32,
    /// How many each path has sent.
    sent: Vec<u32>,
    queries: u32,
    /// How many of the queries went to nodes that are not trusted.
    untrusted: u32,
    answers: u32,
    /// That of the last query.
    patience: Duration,
}

canon_struct!(out Lookup { own, target, ends, plausible, candidates, window, sent, queries, untrusted, answers, patience });

#[derive(Clone, Debug)]
struct Candidate {
    distance: Distance,
    id: NodeId,
    addr: SocketAddr,
    host: Host,
    network: Option<u64>,
    path: u8,
    trusted: bool,
    state: State,
}

// Host and network follow from the address.
canon_struct!(out Candidate { distance, id, addr, path, trusted, state } | host, network);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    /// It holds one of the window's places, until the moment.
    Asked(Time),
    /// It takes long, and holds the end of the lookup, until the moment.
    Overdue(Time),
    Answered(Option<Vec<u8>>),
    Failed,
}

canon_enum!(out State { 0 = Fresh, 1 = Asked(until), 2 = Overdue(until), 3 = Answered(token), 4 = Failed });

impl Lookup {
    /// Begins, with the nodes that are known to be closest, the closest first.
    ///
    /// An id with more than `neighbourhood` + 3 + 16 bits in common with the key, but for the key itself, is closer than can be by
    /// chance: it was made for this key, as whoever wants to be asked for it would do.
    pub fn begin(config: &DhtConfig, start: Start, nodes: impl IntoIterator<Item = (NodeId, SocketAddr)>) -> Lookup {
        let Start { now, own, target, neighbourhood } = start;
        let mut lookup = Lookup {
            own,
            target,
            ends: now + config.lookup_life,
            plausible: neighbourhood + 3 + PLAUSIBLE_BITS,
            candidates: Vec::new(),
            window: config.alpha,
            sent: alloc::vec![0; config.paths as usize],
            queries: 0,
            untrusted: 0,
            answers: 0,
            patience: Duration::ZERO,
        };
        lookup.also(config, nodes);
        lookup
    }

    /// Learns of more nodes to begin with.
    pub fn also(&mut self, config: &DhtConfig, nodes: impl IntoIterator<Item = (NodeId, SocketAddr)>) {
        for (turn, (id, addr)) in nodes.into_iter().take(config.max_candidates as usize).enumerate() {
            // There are at most 16 paths.
            self.add(config, id, addr, (turn % config.paths as usize) as u8);
        }
    }

    /// The key.
    pub fn target(&self) -> NodeId {
        self.target
    }

    /// How many queries it has sent.
    pub fn queries(&self) -> u32 {
        self.queries
    }

    /// How many nodes have answered.
    pub fn answers(&self) -> u32 {
        self.answers
    }

    /// Whom to ask now. `patience`: after which time most answers are here. To be called until it says nobody.
    pub fn next(&mut self, now: Time, config: &DhtConfig, patience: Duration) -> Option<(NodeId, SocketAddr)> {
        let at = self.choose(now, config)?;
        let path = self.candidates[at].path;
        if let Some(sent) = self.sent.get_mut(usize::from(path)) {
            *sent += 1;
        }
        self.queries += 1;
        let candidate = &mut self.candidates[at];
        self.untrusted += u32::from(!candidate.trusted);
        candidate.state = State::Asked(now + patience);
        self.patience = patience;
        Some((candidate.id, candidate.addr))
    }

    /// A node that was asked has answered, under the id that it says, and named these nodes.
    pub fn answered(
        &mut self,
        now: Time,
        config: &DhtConfig,
        addr: SocketAddr,
        id: NodeId,
        token: Option<&[u8]>,
        nodes: impl IntoIterator<Item = (NodeId, SocketAddr)>,
    ) {
        let Some(at) = self.asked(addr) else { return };
        let path = self.candidates[at].path;
        if matches!(self.candidates[at].state, State::Asked(until) if now < until) {
            self.window = (self.window - 1).max(config.alpha);
        }
        self.answers += 1;
        let answered = State::Answered(token.map(Vec::from));
        if self.candidates[at].id == id {
            self.candidates[at].state = answered;
        } else {
            // Somebody has named it by another id; it is what it says.
            self.candidates[at].state = State::Failed;
            if let Some(at) = self.add(config, id, addr, path)
                && let Some(own) = self.candidates.get_mut(at)
            {
                own.state = answered;
            }
        }
        for (id, addr) in nodes.into_iter().take(config.max_nodes_per_answer as usize) {
            self.add(config, id, addr, path);
        }
    }

    /// A node that was asked will not answer any more.
    pub fn failed(&mut self, addr: SocketAddr) {
        if let Some(at) = self.asked(addr) {
            self.candidates[at].state = State::Failed;
        }
    }

    /// Time has passed: some queries may be overdue now.
    pub fn tick(&mut self, now: Time, config: &DhtConfig) {
        for candidate in &mut self.candidates {
            if let State::Asked(until) = candidate.state
                && until <= now
            {
                candidate.state = State::Overdue(until + self.patience);
                self.window = (self.window + 1).min(config.alpha_max);
            }
        }
    }

    /// When [`next`](Lookup::next) may say more, or the lookup end, without anything else happening.
    pub fn deadline(&self, now: Time) -> Time {
        let moments = self.candidates.iter().filter_map(|candidate| match candidate.state {
            State::Asked(until) => Some(until),
            State::Overdue(holds) => Some(holds).filter(|holds| *holds > now),
            State::Fresh | State::Answered(_) | State::Failed => None,
        });
        moments.min().unwrap_or(Time::NEVER).min(self.ends)
    }

    /// Whether it is over.
    pub fn is_done(&self, now: Time, config: &DhtConfig) -> bool {
        if now >= self.ends {
            return true;
        }
        let bound = self.bound(now, config);
        let spent = self.queries >= config.max_queries_per_lookup;
        let enough = self.has_enough(config);
        !self.candidates.iter().any(|candidate| match candidate.state {
            // Where enough of the trusted have answered, nobody waits for others to be asked.
            State::Fresh if enough && !candidate.trusted => false,
            State::Fresh => !spent && candidate.distance < bound && self.may_be_asked(candidate, config),
            State::Asked(_) => candidate.distance < bound,
            State::Overdue(holds) => now < holds && candidate.distance < bound,
            State::Answered(_) | State::Failed => false,
        })
    }

    /// The closest that have answered, at most `k` of them: the trusted, and where they are fewer, others.
    pub fn closest(&self, config: &DhtConfig) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for trusted in [true, false] {
            for candidate in self.candidates.iter().filter(|candidate| candidate.trusted == trusted) {
                if let State::Answered(token) = &candidate.state
                    && found.len() < config.k as usize
                {
                    let Candidate { id, addr, .. } = *candidate;
                    found.push(Found { id, addr, token: token.clone(), trusted });
                }
            }
        }
        found
    }

    /// Enters a candidate where it belongs; says where. Not those that cannot be, and not those farther than all that their path has
    /// room for.
    fn add(&mut self, config: &DhtConfig, id: NodeId, addr: SocketAddr, path: u8) -> Option<usize> {
        if id == self.own {
            return None;
        }
        let distance = id.distance(self.target);
        let at = match self.candidates.binary_search_by_key(&(distance, addr), |c| (c.distance, c.addr)) {
            Ok(at) => return Some(at),
            Err(at) => at,
        };
        let plausible = distance == Distance::ZERO || distance.leading_zeros() <= self.plausible;
        let trusted = plausible && id.is_valid_for(addr.ip());
        let (host, network) = (Host::of(addr), network_of(addr));
        self.candidates.insert(at, Candidate { distance, id, addr, host, network, path, trusted, state: State::Fresh });
        let room = (config.max_candidates / config.paths).max(config.k) as usize;
        if self.candidates.iter().filter(|candidate| candidate.path == path).count() > room {
            // Who was asked is remembered; who is not trusted goes first, or those who are closer than can be would push out the rest.
            let fresh = |c: &Candidate| c.path == path && c.state == State::Fresh;
            let farthest = self.candidates.iter().rposition(|c| fresh(c) && !c.trusted);
            let farthest = farthest.or_else(|| self.candidates.iter().rposition(fresh))?;
            self.candidates.remove(farthest);
            if farthest <= at {
                return at.checked_sub(1).filter(|_| farthest != at);
            }
        }
        Some(at)
    }

    /// The candidate that a query to this address is for.
    fn asked(&self, addr: SocketAddr) -> Option<usize> {
        self.candidates.iter().position(|c| c.addr == addr && matches!(c.state, State::Asked(_) | State::Overdue(_)))
    }

    /// Candidates from here on are of no interest: there are `k` closer ones that answered.
    fn bound(&self, now: Time, config: &DhtConfig) -> Distance {
        let answered = |candidate: &&Candidate| matches!(candidate.state, State::Answered(_));
        let last = config.k.saturating_sub(1) as usize;
        let all = || self.candidates.iter().filter(answered);
        if let Some(kth) = all().filter(|candidate| candidate.trusted).nth(last) {
            return kth.distance;
        }
        // Those who are closer than can be answer at once: the trusted that are still to answer are waited for.
        let hope =
            self.candidates.iter().filter(|candidate| candidate.trusted).any(|candidate| match candidate.state {
                State::Fresh => self.may_be_asked(candidate, config),
                State::Asked(_) => true,
                State::Overdue(holds) => now < holds,
                State::Answered(_) | State::Failed => false,
            });
        match all().nth(last) {
            Some(kth) if !hope => kth.distance,
            // A distance that nobody has but who is the opposite of the key.
            _ => Distance::MAX,
        }
    }

    fn choose(&self, now: Time, config: &DhtConfig) -> Option<usize> {
        if self.queries >= config.max_queries_per_lookup || now >= self.ends {
            return None;
        }
        // Who is not among the closest that may answer holds nobody back: its answer is not what is waited for.
        let closest = config.k.max(self.window);
        let (mut holding, mut asked, mut rank) = (0, 0, 0);
        let mut busy = alloc::vec![0u32; self.sent.len()];
        for candidate in &self.candidates {
            if let State::Asked(_) = candidate.state {
                asked += 1;
                if rank < closest {
                    holding += 1;
                    if let Some(busy) = busy.get_mut(usize::from(candidate.path)) {
                        *busy += 1;
                    }
                }
            }
            rank += u32::from(!matches!(candidate.state, State::Failed | State::Overdue(_)));
        }
        if holding >= self.window || asked >= self.window * 2 {
            return None;
        }
        let bound = self.bound(now, config);
        // The closest, but of a path that has not more than half of the window.
        let half = self.window.div_ceil(2);
        let best = |trusted: bool| {
            self.candidates.iter().position(|candidate| {
                candidate.state == State::Fresh
                    && candidate.trusted == trusted
                    && candidate.distance <= bound
                    && busy.get(usize::from(candidate.path)).is_some_and(|busy| *busy < half)
                    && self.may_be_asked(candidate, config)
            })
        };
        // Who is not trusted may hold what is looked for all the same, and gets a third.
        let share = (self.untrusted + 1) * 3 <= self.queries + config.k;
        match best(true) {
            Some(trusted) if share => best(false).filter(|other| *other < trusted).or(Some(trusted)),
            Some(trusted) => Some(trusted),
            None if share || !self.has_enough(config) => best(false),
            None => None,
        }
    }

    /// Whether `k` trusted nodes have answered.
    fn has_enough(&self, config: &DhtConfig) -> bool {
        let answered = self.candidates.iter().filter(|c| c.trusted && matches!(c.state, State::Answered(_)));
        answered.count() >= config.k as usize
    }

    /// Whether the host and network of a fresh candidate have not had their share, nor its path.
    fn may_be_asked(&self, candidate: &Candidate, config: &DhtConfig) -> bool {
        let mut of_network = 0;
        for other in &self.candidates {
            // Who is overdue takes its host's turn, and its network's no more: naming the dead keeps nobody out.
            match other.state {
                State::Fresh | State::Failed => continue,
                State::Asked(_) | State::Overdue(_) | State::Answered(_) if other.host == candidate.host => {
                    return false;
                }
                State::Overdue(_) => continue,
                State::Asked(_) | State::Answered(_) => {}
            }
            of_network += u32::from(candidate.network.is_some() && other.network == candidate.network);
        }
        let share = config.max_queries_per_lookup / config.paths * 2;
        let sent = self.sent.get(usize::from(candidate.path)).copied().unwrap_or(0);
        of_network < config.max_asked_per_network && sent < share
    }
}

#[cfg(test)]
mod tests;
