//! Hosts, datagrams, time.

use super::{Judge, Light, Plain, Real};
use crate::{Breach, WorldSeed};
use parcacik_core::rng::Rng;
use parcacik_core::time::Time;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

/// The log-normal distribution with a median of 80 ms and a sigma of 0.5, clipped to 20 to 300 ms: its quantiles in steps of a 64th, in
/// microseconds. A table, so that every machine has the same.
const QUANTILES: [u64; 65] = [
    20000, 27250, 31521, 34607, 37150, 39374, 41389, 43254, 45008, 46677, 48280, 49830, 51339, 52813, 54261, 55688,
    57098, 58497, 59887, 61271, 62654, 64038, 65424, 66817, 68217, 69629, 71052, 72492, 73948, 75425, 76924, 78448,
    80000, 81582, 83198, 84852, 86546, 88285, 90073, 91915, 93817, 95783, 97822, 99940, 102147, 104452, 106867, 109407,
    112086, 114925, 117947, 121180, 124661, 128434, 132558, 137110, 142195, 147962, 154629, 162540, 172274, 184933,
    203037, 234853, 300000,
];

/// One datagram in so many is lost.
const LOST_OF: u64 = 100;

/// The name of a host: its place in the network's list.
pub type HostId = usize;

/// Somebody in the network.
#[derive(Clone, Debug)]
pub enum Host {
    /// A node of the core.
    Real(Box<Real>),
    /// A node in a few lines.
    Light(Box<Light>),
    /// A lookup of the plain kind.
    Plain(Box<Plain>),
    /// A node that was there, and whom others still know.
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Datagram { to: SocketAddr, from: SocketAddr, bytes: Vec<u8> },
    Timer { host: HostId },
}

/// The network.
#[derive(Debug)]
pub struct Net {
    now: Time,
    hosts: Vec<Host>,
    places: BTreeMap<SocketAddr, HostId>,
    queue: BinaryHeap<Reverse<(Time, u64, What)>>,
    number: u64,
    seed: WorldSeed,
    loss: Rng,
    judge: Option<Judge>,
    sent: u64,
}

impl Net {
    /// An empty one.
    pub fn new(seed: WorldSeed) -> Net {
        Net {
            now: Time::from_secs(1),
            hosts: Vec::new(),
            places: BTreeMap::new(),
            queue: BinaryHeap::new(),
            number: 0,
            seed,
            loss: seed.rng("dht/loss"),
            judge: None,
            sent: 0,
        }
    }

    /// Has every call to a real node judged from now on.
    pub fn watch(&mut self) {
        self.judge = Some(Judge::default());
    }

    /// Who judges.
    pub fn judge(&self) -> Option<&Judge> {
        self.judge.as_ref()
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many datagrams were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// A host, to be changed.
    pub fn host(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id]
    }

    /// Adds a host. Whoever was at the address before is unreachable now.
    pub fn add(&mut self, addr: SocketAddr, host: Host) -> HostId {
        let id = self.hosts.len();
        self.hosts.push(host);
        self.places.insert(addr, id);
        id
    }

    /// Calls a real node: `act` is told the node in its context. What it orders is carried out.
    ///
    /// # Panics
    /// When the host is none.
    ///
    /// # Errors
    /// A breach of an oracle.
    pub fn call<R>(
        &mut self,
        id: HostId,
        act: impl FnOnce(&mut parcacik_core::dht::node::Node, &mut parcacik_core::cx::Cx<'_>) -> R,
    ) -> Result<R, Breach> {
        let now = self.now;
        let Host::Real(real) = &mut self.hosts[id] else { panic!("host {id} is no node of the core") };
        let result = real.call(now, act);
        self.after(id, None)?;
        Ok(result)
    }

    /// Tells a real node its address, as an application does that knows better than the network.
    ///
    /// # Errors
    /// What the judge says.
    ///
    /// # Panics
    /// When the host is no real node.
    pub fn tell_address(&mut self, id: HostId, ip: std::net::IpAddr) -> Result<(), Breach> {
        if let Some(judge) = &mut self.judge {
            judge.told_its_address(id);
        }
        self.call(id, |node, cx| node.own_address(cx, ip))
    }

    /// A real node.
    ///
    /// # Panics
    /// When the host is none.
    pub fn real(&mut self, id: HostId) -> &mut Real {
        match &mut self.hosts[id] {
            Host::Real(real) => real,
            _ => panic!("host {id} is no node of the core"),
        }
    }

    /// Begins a plain lookup that was added.
    pub fn begin_plain(&mut self, id: HostId) {
        let Host::Plain(plain) = &mut self.hosts[id] else { return };
        let out = plain.begin(self.now);
        let (from, wake) = (plain.addr(), plain.deadline());
        self.send_all(from, out);
        self.wake(id, wake);
    }

    /// Somebody sends a datagram under an address that may be anybody's.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.send_all(from, vec![(to, bytes)]);
    }

    /// Lets time pass until there is nothing to do before `until`, or `done` says so after an event.
    ///
    /// # Errors
    /// A breach of an oracle.
    pub fn run(&mut self, until: Time, mut done: impl FnMut(&mut Net) -> bool) -> Result<(), Breach> {
        while let Some(Reverse((at, _, _))) = self.queue.peek()
            && *at <= until
        {
            let Some(Reverse((at, _, what))) = self.queue.pop() else { break };
            self.now = at;
            match what {
                What::Datagram { to, from, bytes } => self.deliver(to, from, bytes)?,
                What::Timer { host } => self.timer(host)?,
            }
            if done(self) {
                return Ok(());
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Drops whatever is under way, and goes to another time: what follows has nothing to do with what was before.
    pub fn rewind(&mut self, now: Time) {
        self.queue.clear();
        self.now = now;
        for host in &mut self.hosts {
            if let Host::Real(real) = host {
                real.timer = None;
            }
        }
    }

    fn deliver(&mut self, to: SocketAddr, from: SocketAddr, bytes: Vec<u8>) -> Result<(), Breach> {
        let Some(&id) = self.places.get(&to) else { return Ok(()) };
        let now = self.now;
        match &mut self.hosts[id] {
            Host::Dead => {}
            Host::Light(light) => {
                let out = light.datagram(now, from, &bytes);
                self.send_all(to, out.into_iter().map(|bytes| (from, bytes)).collect());
            }
            Host::Plain(plain) => {
                let out = plain.datagram(now, from, &bytes);
                let wake = plain.deadline();
                self.send_all(to, out);
                self.wake(id, wake);
            }
            Host::Real(real) => {
                real.call(now, |node, cx| node.datagram(cx, None, from, &bytes));
                self.after(id, Some((from, bytes)))?;
            }
        }
        Ok(())
    }

    fn timer(&mut self, id: HostId) -> Result<(), Breach> {
        let now = self.now;
        match &mut self.hosts[id] {
            Host::Real(real) => {
                // An entry that was moved forward is there twice.
                if real.timer.is_some_and(|at| at <= now) {
                    real.timer = None;
                    real.call(now, |node, cx| node.tick(cx));
                    self.after(id, None)?;
                }
            }
            Host::Plain(plain) => {
                let out = plain.tick(now);
                let (from, wake) = (plain.addr(), plain.deadline());
                self.send_all(from, out);
                self.wake(id, wake);
            }
            Host::Light(_) | Host::Dead => {}
        }
        Ok(())
    }

    /// A real node was called: carries out its orders.
    fn after(&mut self, id: HostId, input: Option<(SocketAddr, Vec<u8>)>) -> Result<(), Breach> {
        let now = self.now;
        let Host::Real(real) = &mut self.hosts[id] else { return Ok(()) };
        let out = real.take_sent();
        if let Some(judge) = &mut self.judge {
            judge.look(now, id, real, input.as_ref().map(|(from, bytes)| (*from, bytes.as_slice())), &out)?;
        }
        let from = real.addr;
        let wake = real.deadline().map(|at| at.max(Time(now.0 + 1)));
        let sooner = wake.filter(|wake| real.timer.is_none_or(|timer| *wake < timer));
        if let Some(wake) = sooner {
            real.timer = Some(wake);
            self.push(wake, What::Timer { host: id });
        }
        self.send_all(from, out);
        Ok(())
    }

    fn wake(&mut self, host: HostId, at: Option<Time>) {
        if let Some(at) = at {
            self.push(at.max(Time(self.now.0 + 1)), What::Timer { host });
        }
    }

    fn push(&mut self, at: Time, what: What) {
        self.number += 1;
        self.queue.push(Reverse((at, self.number, what)));
    }

    fn send_all(&mut self, from: SocketAddr, datagrams: Vec<(SocketAddr, Vec<u8>)>) {
        for (to, bytes) in datagrams {
            self.sent += 1;
            if self.loss.below(LOST_OF) == 0 {
                continue;
            }
            let at = self.now + self.round_trip(from, to) / 2;
            self.push(at, What::Datagram { to, from, bytes });
        }
    }

    /// The round trip between two hosts: the same each time.
    pub fn round_trip(&self, a: SocketAddr, b: SocketAddr) -> Duration {
        let number = |addr: SocketAddr| match addr {
            SocketAddr::V4(v4) => (u64::from(v4.ip().to_bits()) << 16) | u64::from(addr.port()),
            SocketAddr::V6(v6) => (v6.ip().to_bits() ^ (v6.ip().to_bits() >> 64)) as u64 ^ u64::from(addr.port()),
        };
        let (low, high) = (number(a.min(b)), number(a.max(b)));
        let salt = u64::from_be_bytes(self.seed.0[..8].try_into().unwrap_or_default());
        let hash = mix(mix(mix(salt ^ 0x6468_7400) ^ low) ^ high);
        let (step, rest) = ((hash >> 40) as usize % 64, hash & 0xffff);
        let (here, next) = (QUANTILES[step], QUANTILES[step + 1]);
        Duration::from_micros(here + (next - here) * rest / 0x1_0000)
    }
}

/// Spreads the bits of a number over all of it (the finaliser of SplitMix64).
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
