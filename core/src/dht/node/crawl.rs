//! Walking from node to node and asking each what it has peers of (BEP 51).
//!
//! BEP 51: "indexing nodes can perform a keyspace traversal with a single RPC per node by adjusting the target value for each RPC." A walk
//! goes round the id space: it asks the next known node for samples and for the nodes around it, and so learns whom to ask after
//! that. "An indexer should not send a new sampling request to this node for that period of time": whoever was asked is left alone for
//! the interval that it named, by all walks of a node.
//!
//! Limits: the nodes that a walk may ask, [`MAX_QUEUE`] that it has in mind, and [`MAX_SAMPLED`] whose interval is remembered (when
//! these are full, nobody new is asked).

use super::queries::Purpose;
use super::said::{NodeSaid, Outcome, TaskId};
use super::{Node, tasks::Aim};
use crate::cx::Cx;
use crate::dht::NodeId;
use crate::dht::krpc::{Contact, Method, Response};
use crate::dht::table::Host;
use crate::journal::canon::canon_struct;
use crate::net_policy::Word;
use crate::time::Time;
use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;

/// The most nodes that a walk has in mind, at 52 bytes.
pub const MAX_QUEUE: usize = 4096;
/// The most nodes whose interval is remembered, at 24 bytes.
pub const MAX_SAMPLED: usize = 50_000;

/// How long a node is left alone that does not know the query, or names no interval: the longest interval there is.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(21_600);

/// One walk.
#[derive(Clone, Debug)]
pub(super) struct Crawl {
    /// Who is to be asked.
    queue: BTreeMap<NodeId, SocketAddr>,
    /// Where the walk is.
    at: NodeId,
    open: u32,
    /// How many more may be asked.
    left: u32,
    outcome: Outcome,
}

canon_struct!(out Crawl { queue, at, open, left, outcome });

/// All walks, and whom they have asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Crawls {
    walks: BTreeMap<TaskId, Crawl>,
    /// Until when they are left alone.
    sampled: BTreeMap<Host, Time>,
}

canon_struct!(out Crawls { walks, sampled });

impl Crawls {
    pub(super) fn len(&self) -> usize {
        self.walks.len()
    }

    fn may_ask(&self, now: Time, addr: SocketAddr) -> bool {
        self.sampled.get(&Host::of(addr)).is_none_or(|until| *until <= now)
    }
}

impl Node {
    /// Asks one node which torrents it has peers of, and for nodes close to `target`.
    pub fn sample(&mut self, cx: &mut Cx<'_>, addr: SocketAddr, target: NodeId) -> TaskId {
        let id = self.tasks.new_id();
        self.take_on_single(id, target, Aim::Sample);
        let method = Method::SampleInfohashes { target, want: None };
        if !self.usable(cx, addr, Word::User) || !self.query(cx, addr, None, Purpose::Single(id), method) {
            self.single_done(cx, id, None);
        }
        id
    }

    /// Walks through the network from the nodes that are known, and asks `nodes` of them at the most what they have peers of. It
    /// ends sooner when nobody is left who may be asked.
    pub fn crawl(&mut self, cx: &mut Cx<'_>, nodes: u32) -> TaskId {
        let id = self.tasks.new_id();
        let queue = self.table.contacts().map(|contact| (contact.id, contact.addr)).collect();
        let walk = Crawl { queue, at: self.table.own(), open: 0, left: nodes, outcome: Outcome::default() };
        self.crawls.walks.insert(id, walk);
        self.walk_on(cx, id);
        id
    }

    pub(super) fn crawl_cancelled(&mut self, task: TaskId) {
        self.crawls.walks.remove(&task);
    }

    /// A node has answered a step of a walk, or not.
    pub(super) fn crawl_heard(
        &mut self,
        cx: &mut Cx<'_>,
        task: TaskId,
        from: SocketAddr,
        said: Option<(&Response<'_>, &[(NodeId, SocketAddr)])>,
    ) {
        if let Some((response, nodes)) = said {
            self.say_samples(cx.now, task, from, response);
            let now = cx.now;
            if let Some(walk) = self.crawls.walks.get_mut(&task) {
                walk.outcome.answers += 1;
                for (id, addr) in nodes {
                    let free = self.crawls.sampled.get(&Host::of(*addr)).is_none_or(|until| *until <= now);
                    if free && walk.queue.len() < MAX_QUEUE {
                        walk.queue.insert(*id, *addr);
                    }
                }
            }
        }
        if let Some(walk) = self.crawls.walks.get_mut(&task) {
            walk.open = walk.open.saturating_sub(1);
        }
        self.walk_on(cx, task);
    }

    /// Says what is in an answer, and remembers when its sender may be asked again.
    pub(super) fn say_samples(&mut self, now: Time, task: TaskId, from: SocketAddr, response: &Response<'_>) {
        // "Nodes supporting this extension should always include the `samples` field in the response, even when it is zero-length."
        let Some(samples) = &response.samples else { return };
        let interval = Duration::from_secs(u64::from(response.interval.unwrap_or(0)));
        if self.crawls.sampled.len() < MAX_SAMPLED {
            self.crawls.sampled.insert(Host::of(from), now + interval);
        }
        self.said.push_back(NodeSaid::Samples {
            task,
            from: Contact { id: response.id, addr: from },
            num: response.num.unwrap_or(samples.len() as u64),
            interval,
            samples: samples.clone(),
        });
    }

    fn walk_on(&mut self, cx: &mut Cx<'_>, task: TaskId) {
        let config = &cx.config.dht;
        if self.crawls.sampled.len() >= MAX_SAMPLED {
            let now = cx.now;
            self.crawls.sampled.retain(|_, until| *until > now);
        }
        loop {
            let full = self.crawls.sampled.len() >= MAX_SAMPLED;
            let Some(walk) = self.crawls.walks.get_mut(&task) else { return };
            // Round the id space, from where the walk is.
            let next = walk.queue.range(walk.at..).next().or_else(|| walk.queue.iter().next()).map(|(id, _)| *id);
            let (Some(id), false) = (next, walk.left == 0 || full) else {
                if walk.open == 0
                    && let Some(walk) = self.crawls.walks.remove(&task)
                {
                    self.said.push_back(NodeSaid::Ended { task, outcome: walk.outcome });
                }
                return;
            };
            if walk.open >= config.alpha {
                return;
            }
            let Some(addr) = walk.queue.remove(&id) else { return };
            walk.at = id;
            if !self.crawls.may_ask(cx.now, addr) {
                continue;
            }
            // Until it says otherwise. Also keeps the walk from asking it twice.
            self.crawls.sampled.insert(Host::of(addr), cx.now + UNKNOWN_INTERVAL);
            // Around it, but not itself.
            let target = id.with_bit_flipped(NodeId::BITS - 1);
            let sent =
                self.query(cx, addr, Some(id), Purpose::Crawl(task), Method::SampleInfohashes { target, want: None });
            let Some(walk) = self.crawls.walks.get_mut(&task) else { return };
            if sent {
                (walk.open, walk.left) = (walk.open + 1, walk.left - 1);
                walk.outcome.queries += 1;
            } else if walk.open == 0 {
                // Too much is under way: it ends here, rather than wait for nothing.
                walk.left = 0;
            } else {
                return;
            }
        }
    }
}
