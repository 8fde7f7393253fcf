//! How long it takes to find peers in a settled network, and how many of them are found.
//!
//! 1. [`nodes`](Experiment::nodes) light nodes, each with a settled table, and [`real`](Experiment::real) of the core that join and
//!    settle for twenty minutes. All have ids that fit their addresses.
//! 2. A tenth of the nodes is hostile, and lies among the nodes closest to the targets: half of them with ids that fit their
//!    addresses (their owner has looked for such addresses), half of them as close as they like.
//! 3. Then [`dead_percent`](Experiment::dead_percent) of the honest light nodes fall silent, all at once, so that so many of all contacts
//!    are dead, those in the tables of the real ones too.
//! 4. For each target, some peers announce themselves, and others look for them. Each announce and each lookup is a world of its
//!    own that begins at this moment: a clone of a settled node, and the light nodes with what was announced before. So none learns
//!    from another's dead contacts.
//! 5. Each lookup is made again in the plain way by the same node: with a table as Kademlia has it (eight contacts for each number of bits
//!    in common), and, to see what the lookup alone does, with the contacts that the node of the core began with.
//!
//! "Peers" are those that were announced: what hostile nodes name does not count.

use super::light::acquaint;
use super::{Host, HostId, Light, Net, Plain, Real, Trick};
use crate::{Breach, WorldSeed};
use parcacik_core::border::{Config, InfoHash, Target};
use parcacik_core::dht::NodeId;
use parcacik_core::dht::krpc::Contact;
use parcacik_core::dht::node::{Announce, NodeSaid, PeerWish};
use parcacik_core::dht::table::saved::Saved;
use parcacik_core::rng::Rng;
use parcacik_core::time::Time;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a lookup is watched, and within which time all peers are to be found.
const WATCHED: Duration = Duration::from_secs(10);

/// Whom nodes of the core would know with plain tables, by their addresses.
type PlainTables = Vec<(SocketAddr, Vec<Contact>)>;

/// What is tried.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Where its chance comes from.
    pub seed: WorldSeed,
    /// Light nodes, hostile ones included.
    pub nodes: usize,
    /// Nodes of the core.
    pub real: usize,
    /// What is announced and looked for.
    pub targets: usize,
    /// Peers of each.
    pub peers: usize,
    /// Lookups of each.
    pub lookups: usize,
    /// How many of a hundred honest nodes die before the first announce.
    pub dead_percent: u64,
    /// How many of a hundred nodes are hostile.
    pub hostile_percent: usize,
    /// How long the real nodes settle.
    pub settle: Duration,
    /// Their configuration.
    pub config: Config,
}

/// One lookup.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Until the first peer was told of.
    pub first: Option<Duration>,
    /// Peers that were found in time.
    pub found: usize,
    /// Peers that there were.
    pub there: usize,
    /// Until it ended.
    pub ended: Option<Duration>,
    /// How many queries it sent.
    pub queries: u32,
}

/// What came of an experiment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The lookups of the core's nodes.
    pub ours: Vec<Measured>,
    /// The same in the plain way, with a plain table.
    pub plain: Vec<Measured>,
    /// The same in the plain way, with the contacts of the core's node.
    pub plain_start: Vec<Measured>,
    /// How many contacts a settled node of the core has, on the average.
    pub contacts: usize,
    /// How many of the announces were stored by so many nodes: 0 to 8.
    pub stored: [u32; 9],
    /// Datagrams in all.
    pub datagrams: u64,
}

impl Default for Experiment {
    fn default() -> Experiment {
        Experiment {
            seed: WorldSeed::from(1),
            nodes: 10_000,
            real: 64,
            targets: 250,
            peers: 12,
            lookups: 4,
            dead_percent: 30,
            hostile_percent: 10,
            settle: Duration::from_secs(20 * 60),
            config: Config::default(),
        }
    }
}

impl Experiment {
    /// A small one, for tests.
    pub fn small() -> Experiment {
        Experiment { nodes: 500, real: 10, targets: 12, peers: 6, lookups: 3, ..Experiment::default() }
    }

    /// Runs it.
    ///
    /// # Errors
    /// A breach of an oracle.
    pub fn run(&self) -> Result<Report, Breach> {
        let mut report = Report::default();
        let mut rng = self.seed.rng("dht/experiment");
        let targets: Vec<NodeId> = (0..self.targets).map(|_| NodeId::random(&mut rng)).collect();
        let (mut net, real, plain_tables) = self.build(&targets, &mut rng);
        self.settle(&mut net, &real, &mut rng)?;
        report.contacts = real.iter().map(|id| net.real(*id).node.table().len()).sum::<usize>() / real.len().max(1);
        for id in 0..self.nodes {
            if matches!(net.host(id), Host::Light(light) if light.trick.is_none()) && rng.below(100) < self.dead_percent
            {
                *net.host(id) = Host::Dead;
            }
        }
        let begin = net.now();
        for target in targets {
            let mut members = real.clone();
            rng.shuffle(&mut members);
            let (announcers, seekers) = members.split_at(self.peers.min(members.len() / 2));
            let mut peers = BTreeSet::new();
            for id in announcers {
                let stored = self.announce(&mut net, *id, target, begin)?;
                report.stored[stored.min(8)] += 1;
                // BEP 5: where nobody has stored it, nobody can find it.
                peers.extend((stored > 0).then(|| net.real(*id).addr));
            }
            for id in seekers.iter().take(self.lookups) {
                report.ours.push(self.look(&mut net, *id, target, begin, &peers)?);
                let me = net.real(*id).addr;
                let table = plain_tables.iter().find(|(addr, _)| *addr == me).map(|(_, known)| closest(known, target));
                report.plain.push(self.look_plainly(&mut net, *id, target, begin, table, &peers)?);
                report.plain_start.push(self.look_plainly(&mut net, *id, target, begin, None, &peers)?);
            }
        }
        report.datagrams = net.sent();
        Ok(report)
    }

    /// The network, who in it runs the core, and whom these would know with plain tables.
    fn build(&self, targets: &[NodeId], rng: &mut Rng) -> (Net, Vec<HostId>, PlainTables) {
        let mut net = Net::new(self.seed);
        let hostile = self.nodes * self.hostile_percent / 100;
        let mut used = BTreeSet::new();
        let mut address = |rng: &mut Rng| loop {
            // 32/8 to 95/8: on the open internet, and far from what hostile nodes invent.
            let ip = 0x2000_0000 + rng.below(0x4000_0000) as u32;
            if used.insert(ip >> 8) {
                return SocketAddr::from((Ipv4Addr::from(ip), 6881));
            }
        };
        let mut fitting = |rng: &mut Rng| {
            let addr = address(rng);
            let last = rng.below(256) as u8;
            Contact { id: NodeId::for_address(addr.ip(), last, rng), addr }
        };
        let mut all: Vec<(Contact, Option<Trick>)> = (0..self.nodes - hostile).map(|_| (fitting(rng), None)).collect();
        for n in 0..hostile {
            let target = targets[n % targets.len()];
            let bits = (self.nodes as u64).ilog2() - 2 + rng.below(6) as u32;
            let me = if (n / targets.len()).is_multiple_of(2) {
                // It has looked for an address whose ids come close to the target, as far as the network's size makes that worth while.
                (0..400_000)
                    .map(|_| fitting(rng))
                    .find(|contact| contact.id.shared_prefix(target) >= bits.min(12))
                    .unwrap_or_else(|| fitting(rng))
            } else {
                Contact { id: target.random_within(bits, rng), addr: fitting(rng).addr }
            };
            all.push((me, Some(Trick::ALL[rng.index(4)])));
        }
        let real: Vec<Contact> = (0..self.real).map(|_| fitting(rng)).collect();
        let everybody: Vec<Contact> = all.iter().map(|(contact, _)| *contact).chain(real.iter().copied()).collect();
        let known = acquaint(&everybody, rng);
        let kind: Vec<Contact> = all.iter().filter(|(_, trick)| trick.is_some()).map(|(contact, _)| *contact).collect();
        let plain_tables = real.iter().map(|me| me.addr).zip(known[all.len()..].iter().cloned()).collect();
        for ((me, trick), known) in all.into_iter().zip(known) {
            let mut light = Light::new(me, trick);
            light.known = known;
            if trick == Some(Trick::Capture) {
                let mut friends = kind.clone();
                friends.sort_by_key(|contact| contact.id.distance(me.id));
                friends.truncate(16);
                light.friends = friends;
            }
            net.add(me.addr, Host::Light(Box::new(light)));
        }
        let config = Arc::new(self.config.clone());
        let hosts = real.into_iter().enumerate().map(|(n, me)| {
            let saved = Some(Saved { id: me.id, v6: false, nodes: Vec::new() });
            let node = Real::new(net.now(), self.seed, &format!("dht/real/{n}"), me.addr, Arc::clone(&config), saved);
            net.add(me.addr, Host::Real(Box::new(node)))
        });
        let hosts = hosts.collect();
        (net, hosts, plain_tables)
    }

    fn settle(&self, net: &mut Net, real: &[HostId], rng: &mut Rng) -> Result<(), Breach> {
        for id in real {
            let routers: Vec<Target> = (0..3)
                .filter_map(|_| match &net.hosts()[rng.index(self.nodes)] {
                    Host::Light(light) => Some(Target::Addr(light.me.addr)),
                    _ => None,
                })
                .collect();
            net.call(*id, |node, cx| node.bootstrap(cx, routers))?;
        }
        let until = net.now() + self.settle;
        net.run(until, |_| false)
    }

    /// How many nodes have stored an announce of a settled node.
    fn announce(&self, net: &mut Net, id: HostId, target: NodeId, begin: Time) -> Result<usize, Breach> {
        let settled = net.hosts()[id].clone();
        net.rewind(begin);
        net.real(id).said.clear();
        let announce = Announce { port: None, seed: false };
        let task = net.call(id, |node, cx| node.announce(cx, InfoHash(target.0), announce, PeerWish::default()))?;
        let mut stored = None;
        net.run(begin + WATCHED * 3, |net| {
            stored = net.real(id).said.iter().find_map(|(_, said)| match said {
                NodeSaid::Ended { task: ended, outcome } if *ended == task => Some(outcome.stored as usize),
                _ => None,
            });
            stored.is_some()
        })?;
        *net.host(id) = settled;
        Ok(stored.unwrap_or(0))
    }

    fn look(
        &self,
        net: &mut Net,
        id: HostId,
        target: NodeId,
        begin: Time,
        peers: &BTreeSet<SocketAddr>,
    ) -> Result<Measured, Breach> {
        let settled = net.hosts()[id].clone();
        net.rewind(begin);
        net.real(id).said.clear();
        net.call(id, |node, cx| node.find_peers(cx, InfoHash(target.0), PeerWish::default()))?;
        let ended = |net: &mut Net| net.real(id).said.iter().any(|(_, said)| matches!(said, NodeSaid::Ended { .. }));
        net.run(begin + WATCHED, ended)?;
        let mut measured = Measured { there: peers.len(), ..Measured::default() };
        for (at, said) in &net.real(id).said {
            match said {
                NodeSaid::Peers { peers: named, .. } => {
                    let right = named.iter().filter(|peer| peers.contains(peer)).count();
                    measured.found += right;
                    if right > 0 {
                        measured.first.get_or_insert(at.since(begin));
                    }
                }
                NodeSaid::Ended { outcome, .. } => {
                    measured.ended = Some(at.since(begin));
                    measured.queries = outcome.queries;
                }
                _ => {}
            }
        }
        *net.host(id) = settled;
        Ok(measured)
    }

    fn look_plainly(
        &self,
        net: &mut Net,
        id: HostId,
        target: NodeId,
        begin: Time,
        start: Option<Vec<Contact>>,
        peers: &BTreeSet<SocketAddr>,
    ) -> Result<Measured, Breach> {
        let settled = net.hosts()[id].clone();
        let real = net.real(id);
        let start = start.unwrap_or_else(|| {
            let start = real.node.table().closest(begin, &real.config.dht, target, 8);
            start.iter().map(|contact| Contact { id: contact.id, addr: contact.addr }).collect()
        });
        net.rewind(begin);
        let real = net.real(id);
        let me = Contact { id: real.node.id(), addr: real.addr };
        *net.host(id) = Host::Plain(Box::new(Plain::new(me, target, &start)));
        net.begin_plain(id);
        net.run(begin + WATCHED * 3, |net| matches!(&net.hosts()[id], Host::Plain(plain) if plain.ended.is_some()))?;
        let mut measured = Measured { there: peers.len(), ..Measured::default() };
        if let Host::Plain(plain) = &net.hosts()[id] {
            let right = || plain.found.iter().filter(|(_, peer)| peers.contains(peer));
            measured.first = right().map(|(at, _)| at.since(begin)).min();
            measured.found = right().filter(|(at, _)| at.since(begin) <= WATCHED).count();
            measured.ended = plain.ended.map(|at| at.since(begin));
            measured.queries = plain.queries;
        }
        *net.host(id) = settled;
        Ok(measured)
    }
}

/// Of these contacts, the eight that are closest to a key.
fn closest(known: &[Contact], target: NodeId) -> Vec<Contact> {
    let mut all = known.to_vec();
    all.sort_by_key(|contact| contact.id.distance(target));
    all.truncate(8);
    all
}

impl Measured {
    /// The time to the first peer below which so many of a thousand lookups stay; those that found none took for ever.
    pub fn first_at(all: &[Measured], thousandth: usize) -> Duration {
        let mut times: Vec<Duration> = all.iter().map(|one| one.first.unwrap_or(Duration::MAX)).collect();
        times.sort_unstable();
        let at = (times.len() * thousandth).div_ceil(1000).saturating_sub(1);
        times.get(at).copied().unwrap_or(Duration::MAX)
    }

    /// How many of a thousand peers were found in time.
    pub fn found_of_thousand(all: &[Measured]) -> usize {
        let there: usize = all.iter().map(|one| one.there).sum();
        all.iter().map(|one| one.found).sum::<usize>() * 1000 / there.max(1)
    }

    fn queries(all: &[Measured]) -> u32 {
        all.iter().map(|one| one.queries).sum::<u32>() / u32::try_from(all.len().max(1)).unwrap_or(u32::MAX)
    }

    fn ended_at(all: &[Measured], thousandth: usize) -> Duration {
        let ends: Vec<Measured> = all.iter().map(|one| Measured { first: one.ended, ..*one }).collect();
        Measured::first_at(&ends, thousandth)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "contacts of a settled node: {}; datagrams in all: {}", self.contacts, self.datagrams)?;
        writeln!(f, "announces by how many nodes stored them (0 to 8): {:?}", self.stored)?;
        writeln!(f, "{:>28} {:>12} {:>12} {:>20}", "", "ours", "plain", "plain, our contacts")?;
        let mut row = |name: &str, of: &dyn Fn(&[Measured]) -> String| {
            writeln!(f, "{name:>28} {:>12} {:>12} {:>20}", of(&self.ours), of(&self.plain), of(&self.plain_start))
        };
        let millis = |span: Duration| match span {
            Duration::MAX => "never".to_owned(),
            _ => format!("{} ms", span.as_millis()),
        };
        row("lookups", &|all| all.len().to_string())?;
        for (name, at) in [("first peer, median", 500), ("first peer, 90 %", 900), ("first peer, 99 %", 990)] {
            row(name, &|all| millis(Measured::first_at(all, at)))?;
        }
        row("end, median", &|all| millis(Measured::ended_at(all, 500)))?;
        row("end, 99 %", &|all| millis(Measured::ended_at(all, 990)))?;
        row("peers found within 10 s", &|all| {
            let found = Measured::found_of_thousand(all);
            format!("{}.{} %", found / 10, found % 10)
        })?;
        row("queries of a lookup", &|all| Measured::queries(all).to_string())
    }
}
