//! Getting into the network, and back into it.
//!
//! ```text
//! seeking --(a node is known)--> looking around --(our neighbours are known)--> settled
//!    ^                                                                             |
//!    +--------------------------(too few nodes are known)--------------------------+
//! ```
//!
//! Whom to begin with: the nodes that were saved, then those that somebody named (routers by the user, a torrent file's `nodes`, peers' PORT
//! messages). Names are looked up each time, as addresses of routers change. When nobody answers, it is tried again after longer
//! and longer waits, from [`bootstrap_wait`](DhtConfig::bootstrap_wait) to
//! [`bootstrap_wait_max`](DhtConfig::bootstrap_wait_max), for ever: a computer that is off the network today is on it tomorrow.
//!
//! BEP 5: "Upon inserting the first node into its routing table and when starting up thereafter, the node should attempt to find
//! the closest nodes in the DHT to itself."

use super::Node;
use super::queries::Purpose;
use super::tasks::Aim;
use crate::border::{DhtConfig, IoFault, JobId, JobResult, Target, Work};
use crate::cx::Cx;
use crate::dht::NodeId;
use crate::dht::krpc::Method;
use crate::journal::canon::canon_struct;
use crate::net_policy::{NetRules, Word};
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// The most names and addresses that are kept to begin with; those named first give way.
pub(crate) const MAX_TARGETS: usize = 64;
/// How many of the saved nodes are asked at once.
const AT_ONCE: usize = 8;

/// The state. See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Bootstrap {
    targets: VecDeque<Target>,
    /// What torrent files name.
    hints: VecDeque<Target>,
    saved: VecDeque<(NodeId, SocketAddr)>,
    /// Names that are looked up: the port that belongs to each, and on whose word.
    jobs: BTreeMap<JobId, (u16, Word)>,
    /// Addresses that names led to: routers, which have enough to do without being in every table.
    routers: BTreeSet<SocketAddr>,
    /// When it is tried again.
    next: Time,
    wait: Duration,
    settled: bool,
    said_ready: bool,
    /// Whether it was said that nobody answers, and nobody has since.
    said_unreachable: bool,
}

canon_struct!(out Bootstrap {
    targets,
    hints,
    saved,
    jobs,
    routers,
    next,
    wait,
    settled,
    said_ready,
    said_unreachable,
});

impl Bootstrap {
    pub(super) fn new(now: Time, saved: Vec<(NodeId, SocketAddr)>) -> Bootstrap {
        Bootstrap { saved: saved.into(), next: now, ..Bootstrap::default() }
    }

    /// Whether we have looked around, so that what is not known now is not there.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    pub(super) fn is_router(&self, addr: SocketAddr) -> bool {
        self.routers.contains(&addr)
    }

    /// The lookup of our own neighbourhood is over.
    pub(super) fn looked_around(&mut self, anybody: bool) {
        self.settled |= anybody;
    }

    /// We have another id: our neighbours are others.
    pub(super) fn moved(&mut self) {
        self.settled = false;
    }

    /// Begins anew, at once.
    pub(super) fn restart(&mut self, now: Time) {
        (self.next, self.wait, self.settled) = (now, Duration::ZERO, false);
    }

    fn has_something(&self) -> bool {
        !self.targets.is_empty() || !self.hints.is_empty() || !self.saved.is_empty()
    }

    /// When there is something to be done.
    pub(super) fn deadline(&self, contacts: usize, config: &DhtConfig) -> Option<Time> {
        let enough = contacts >= config.enough_contacts as usize;
        (self.has_something() && !enough).then_some(self.next)
    }
}

/// Notes a node to begin with, once; who was named first gives way.
pub(crate) fn keep_target(targets: &mut VecDeque<Target>, target: Target) {
    if targets.contains(&target) {
        return;
    }
    if targets.len() >= MAX_TARGETS {
        targets.pop_front();
    }
    targets.push_back(target);
}

impl Node {
    /// Learns of nodes to begin with, from the user: routers.
    pub fn bootstrap(&mut self, cx: &mut Cx<'_>, targets: impl IntoIterator<Item = Target>) {
        targets.into_iter().for_each(|target| keep_target(&mut self.bootstrap.targets, target));
        // It does not wait for the end of a long pause.
        (self.bootstrap.next, self.bootstrap.wait) = (cx.now, Duration::ZERO);
        self.seek(cx);
    }

    /// Learns of nodes to begin with that a torrent file names (BEP 5, `nodes`). They do not push out the user's, and are believed as a
    /// torrent is: no further than [`Word::Local`].
    pub fn hint(&mut self, cx: &mut Cx<'_>, targets: impl IntoIterator<Item = Target>) {
        for target in targets {
            if self.bootstrap.targets.contains(&target) || self.bootstrap.hints.contains(&target) {
                continue;
            }
            if self.table.len() < cx.config.dht.enough_contacts as usize {
                self.begin_with(cx, target.clone(), Word::Local);
            }
            keep_target(&mut self.bootstrap.hints, target);
        }
    }

    /// Tries to get in again now, as when the computer has come back to a network.
    pub fn restart(&mut self, cx: &mut Cx<'_>) {
        self.bootstrap.restart(cx.now);
        self.external.reset();
        self.look_around(cx);
        self.seek(cx);
    }

    /// A job is done. `false`: it is not this machine's.
    pub fn job_done(&mut self, cx: &mut Cx<'_>, job: JobId, result: &Result<JobResult, IoFault>) -> bool {
        let Some((port, word)) = self.bootstrap.jobs.remove(&job) else { return false };
        if let Ok(JobResult::Resolved(addresses)) = result {
            let v6 = self.v6;
            for ip in addresses.iter().filter(|ip| ip.is_ipv6() == v6).take(AT_ONCE) {
                let addr = SocketAddr::new(*ip, port);
                if word == Word::User && self.bootstrap.routers.len() < MAX_TARGETS {
                    self.bootstrap.routers.insert(addr);
                }
                self.knock(cx, None, addr, word);
            }
        }
        true
    }

    /// Asks those that we could begin with, if it is time and too few nodes are known.
    pub(super) fn seek(&mut self, cx: &mut Cx<'_>) {
        let config = &cx.config.dht;
        let due = self.bootstrap.deadline(self.table.len(), config);
        if due.is_none_or(|due| cx.now < due) {
            return;
        }
        let wait = self.bootstrap.wait;
        let next_wait = if wait.is_zero() { config.bootstrap_wait } else { (wait * 2).min(config.bootstrap_wait_max) };
        (self.bootstrap.wait, self.bootstrap.next) = (next_wait, cx.now + next_wait);
        if !wait.is_zero() && self.table.is_empty() && !self.bootstrap.said_unreachable {
            self.bootstrap.said_unreachable = true;
            self.said.push_back(super::NodeSaid::Unreachable { retry: next_wait });
        }
        // Those that are asked go to the end: once all have been, they are asked again.
        for _ in 0..self.bootstrap.saved.len().min(AT_ONCE) {
            if let Some((id, addr)) = self.bootstrap.saved.pop_front() {
                self.bootstrap.saved.push_back((id, addr));
                self.knock(cx, Some(id), addr, Word::User);
            }
        }
        for target in self.bootstrap.targets.clone() {
            self.begin_with(cx, target, Word::User);
        }
        for target in self.bootstrap.hints.clone() {
            self.begin_with(cx, target, Word::Local);
        }
    }

    fn begin_with(&mut self, cx: &mut Cx<'_>, target: Target, word: Word) {
        match target {
            Target::Addr(addr) => self.knock(cx, None, addr, word),
            Target::Host { name, port } => self.resolve(cx, name, port, word),
        }
    }

    fn resolve(&mut self, cx: &mut Cx<'_>, name: String, port: u16, word: Word) {
        if self.bootstrap.jobs.len() < MAX_TARGETS {
            let job = cx.start(Work::Resolve { host: name });
            self.bootstrap.jobs.insert(job, (port, word));
        }
    }

    fn knock(&mut self, cx: &mut Cx<'_>, id: Option<NodeId>, addr: SocketAddr, word: Word) {
        if self.usable(cx, addr, word) && !self.queries.asks(addr) {
            let method = Method::FindNode { target: self.table.own(), want: self.want() };
            self.query(cx, addr, id, Purpose::Bootstrap, method);
        }
    }

    /// Somebody has answered whom we began with. What it names goes into a lookup of our own neighbourhood.
    pub(super) fn bootstrap_answered(&mut self, cx: &mut Cx<'_>, nodes: &[(NodeId, SocketAddr)]) {
        self.look_around(cx);
        if let Some(own) = self.tasks.own() {
            if let Some(lookup) = self.tasks.lookup(own) {
                lookup.also(&cx.config.dht, nodes.iter().copied());
            }
            self.drive(cx, own);
        }
    }

    /// Looks for the nodes that are closest to us, unless that has been done or is being done.
    pub(super) fn look_around(&mut self, cx: &mut Cx<'_>) {
        if !self.bootstrap.is_settled() && self.tasks.own().is_none() {
            self.take_on(cx, self.table.own(), Aim::Own);
        }
    }

    /// Says once that enough nodes are known.
    pub(super) fn see_whether_ready(&mut self, config: &DhtConfig) {
        self.bootstrap.said_unreachable &= self.table.is_empty();
        let enough = self.table.len() >= config.enough_contacts as usize;
        if !self.bootstrap.said_ready && (enough || self.bootstrap.settled && !self.table.is_empty()) {
            self.bootstrap.said_ready = true;
            self.said.push_back(super::NodeSaid::Ready);
        }
    }

    /// Whether a node at this address may be asked, on that word.
    pub(super) fn usable(&self, cx: &Cx<'_>, addr: SocketAddr, word: Word) -> bool {
        addr.is_ipv6() == self.v6 && NetRules::of(cx).may_dial(addr, word).is_ok()
    }
}
