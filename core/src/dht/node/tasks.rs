//! What a node was asked to do: lookups, and what comes after them.
//!
//! ```text
//! waiting --(there is room, and somebody is known)--> looking --> storing --> ended
//!                                                        +--------------------->
//! ```
//!
//! Who is to store something and says nothing is asked once more: a datagram is lost now and then, and a step of a lookup has others to go to, this has not.

use super::queries::Purpose;
use super::said::{Announce, NodeSaid, Outcome, PeerWish, TaskId};
use super::{Node, items};
use crate::border::InfoHash;
use crate::cx::Cx;
use crate::dht::NodeId;
use crate::dht::bloom::BloomFilter;
use crate::dht::krpc::{Contact, ErrorCode, Method, Response, Want};
use crate::dht::lookup::{Found, Lookup, Start};
use crate::journal::canon::{Encoder, Put, canon_enum, canon_struct};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// What a task is after.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// The nodes closest to a key.
    Find,
    /// Those closest to ourselves.
    Own,
    /// Peers of a torrent; and to be one.
    Peers(Box<Peers>),
    /// An item.
    Get(items::Get),
    /// To store an item.
    Put(Box<items::Put>),
    /// To see whether a node is there.
    Ping,
    /// What one node has peers of.
    Sample,
}

canon_enum!(out Aim { 0 = Find, 1 = Own, 2 = Peers(peers), 3 = Get(get), 4 = Put(put), 5 = Ping, 6 = Sample });

/// What is known of a torrent.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    wish: PeerWish,
    announce: Option<Announce>,
    /// Peers that were told of.
    told: BTreeSet<SocketAddr>,
    /// Addresses out of answers that had no filters although they were asked for.
    unfiltered: BTreeSet<IpAddr>,
    filters: Option<Box<[BloomFilter; 2]>>,
}

impl Put for Peers {
    fn put(&self, to: &mut Encoder<'_>) {
        let Peers { wish, announce, told, unfiltered, filters } = self;
        let parts: &[&dyn Put] = &[wish, announce, told, unfiltered];
        parts.iter().for_each(|part| part.put(to));
        filters.as_deref().map(Vec::from).put(to);
    }
}

#[derive(Clone, Debug)]
enum Stage {
    Waiting,
    Looking(Box<Lookup>),
    Storing {
        /// So many answers are outstanding.
        open: u32,
        /// Who is asked once more when nothing comes from it, and with which token. As many as a lookup finds, at most.
        again: BTreeMap<SocketAddr, (NodeId, Vec<u8>)>,
    },
}

canon_enum!(out Stage { 0 = Waiting, 1 = Looking(lookup), 2 = Storing { open, again } });

#[derive(Clone, Debug)]
struct Task {
    target: NodeId,
    aim: Aim,
    stage: Stage,
    outcome: Outcome,
    /// When it is to be looked at again.
    due: Time,
}

canon_struct!(out Task { target, aim, stage, outcome, due });

/// All tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    last: u64,
    tasks: BTreeMap<TaskId, Task>,
}

canon_struct!(out Tasks { last, tasks });

impl Tasks {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn new_id(&mut self) -> TaskId {
        self.last += 1;
        TaskId(self.last)
    }

    /// The name of the next task.
    pub(super) fn next_id(&self) -> TaskId {
        TaskId(self.last + 1)
    }

    fn waiting(&self) -> usize {
        self.tasks.values().filter(|task| matches!(task.stage, Stage::Waiting)).count()
    }

    /// When a task is to be looked at.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.tasks.values().map(|task| task.due).min().filter(|due| *due != Time::NEVER)
    }

    /// Whether a lookup of our own neighbourhood is under way.
    pub(super) fn own(&self) -> Option<TaskId> {
        self.tasks.iter().find(|(_, task)| matches!(task.aim, Aim::Own)).map(|(id, _)| *id)
    }

    /// The lookup of a task, while it is looking.
    pub(super) fn lookup(&mut self, id: TaskId) -> Option<&mut Lookup> {
        match &mut self.tasks.get_mut(&id)?.stage {
            Stage::Looking(lookup) => Some(lookup),
            Stage::Waiting | Stage::Storing { .. } => None,
        }
    }
}

impl Peers {
    pub(super) fn new(wish: PeerWish, announce: Option<Announce>) -> Peers {
        let (told, unfiltered) = (BTreeSet::new(), BTreeSet::new());
        Peers { wish, announce, told, unfiltered, filters: wish.scrape.then(Box::default) }
    }

    fn estimate(&self) -> Option<(u32, u32)> {
        let [seeds, mut peers] = *self.filters.clone()?;
        // BEP 33: "Before inserting values into the filter it should check if the IPs are not present in the seed filters of other
        // nodes to prevent the item from being counted as seed and peer at the same time."
        for ip in self.unfiltered.iter().filter(|ip| !seeds.may_contain(**ip)) {
            peers.insert(*ip);
        }
        Some((seeds.estimate(), peers.estimate()))
    }
}

impl Node {
    /// Takes on a task. Above the limits it ends at once.
    pub(super) fn take_on(&mut self, cx: &mut Cx<'_>, target: NodeId, aim: Aim) -> TaskId {
        let id = self.tasks.new_id();
        let due = cx.now + cx.config.dht.lookup_life;
        let task = Task { target, aim, stage: Stage::Waiting, outcome: Outcome::default(), due };
        let full = self.tasks.waiting() >= cx.config.dht.max_waiting as usize;
        self.tasks.tasks.insert(id, task);
        if full {
            self.end_task(id, |outcome| outcome.starved = true);
        }
        self.start_tasks(cx);
        id
    }

    /// Takes on a task that is one query, which has been sent already.
    pub(super) fn take_on_single(&mut self, id: TaskId, target: NodeId, aim: Aim) {
        let outcome = Outcome { queries: 1, ..Outcome::default() };
        let stage = Stage::Storing { open: 1, again: BTreeMap::new() };
        self.tasks.tasks.insert(id, Task { target, aim, stage, outcome, due: Time::NEVER });
    }

    /// Gives a task up. Nothing more is said of it.
    pub fn cancel(&mut self, cx: &mut Cx<'_>, task: TaskId) {
        self.tasks.tasks.remove(&task);
        self.crawl_cancelled(task);
        self.kept.cancelled(task);
        self.start_tasks(cx);
    }

    /// Starts those that wait, as far as there is room and somebody to ask. Whoever has waited for the life of a lookup is not kept
    /// any longer.
    pub(super) fn start_tasks(&mut self, cx: &mut Cx<'_>) {
        let config = &cx.config.dht;
        let late =
            |(id, task): (&TaskId, &Task)| (matches!(task.stage, Stage::Waiting) && task.due <= cx.now).then_some(*id);
        let late: Vec<TaskId> = self.tasks.tasks.iter().filter_map(late).collect();
        for id in late {
            self.end_task(id, |outcome| outcome.starved = true);
        }
        // Each turn takes one out of those that wait.
        loop {
            let looking = self.tasks.tasks.values().filter(|task| matches!(task.stage, Stage::Looking(_))).count();
            if looking >= config.max_lookups as usize {
                return;
            }
            // Our own neighbourhood first: before that is known, nobody else would get far.
            let known = self.table.len() >= config.k as usize || self.bootstrap.is_settled();
            let own = |task: &Task| matches!(task.aim, Aim::Own);
            let waiting = || self.tasks.tasks.iter().filter(|(_, task)| matches!(task.stage, Stage::Waiting));
            let next = waiting().find(|(_, task)| own(task)).or_else(|| waiting().next().filter(|_| known));
            let Some((id, target)) = next.map(|(id, task)| (*id, task.target)) else { return };
            let contacts = self.table.closest(cx.now, config, target, config.k as usize * 2);
            let start =
                Start { now: cx.now, own: self.table.own(), target, neighbourhood: self.table.neighbourhood(config) };
            let lookup = Lookup::begin(config, start, contacts.iter().map(|contact| (contact.id, contact.addr)));
            if let Some(task) = self.tasks.tasks.get_mut(&id) {
                task.stage = Stage::Looking(Box::new(lookup));
            }
            self.drive(cx, id);
        }
    }

    /// Looks at every task whose time has come.
    pub(super) fn tick_tasks(&mut self, cx: &mut Cx<'_>) {
        let due: Vec<TaskId> = self.tasks.tasks.iter().filter(|(_, t)| t.due <= cx.now).map(|(id, _)| *id).collect();
        for id in due {
            if let Some(lookup) = self.tasks.lookup(id) {
                lookup.tick(cx.now, &cx.config.dht);
                self.drive(cx, id);
            }
        }
        self.start_tasks(cx);
    }

    /// Sends what a lookup wants to ask now; goes on to what is next when it is over.
    pub(super) fn drive(&mut self, cx: &mut Cx<'_>, id: TaskId) {
        let config = &cx.config.dht;
        let patience = self.patience.get(config);
        while self.queries.len() < config.max_queries as usize
            && let Some((node, addr)) = self.tasks.lookup(id).and_then(|lookup| lookup.next(cx.now, config, patience))
        {
            let Some(task) = self.tasks.tasks.get_mut(&id) else { return };
            task.outcome.queries += 1;
            let both = self.wants_other_family.then_some(Want { v4: true, v6: true });
            let method = match &task.aim {
                Aim::Peers(peers) => Method::GetPeers {
                    info_hash: task.target.into(),
                    want: None,
                    no_seed: peers.wish.no_seed,
                    scrape: peers.wish.scrape,
                },
                Aim::Get(get) => Method::Get { target: task.target, seq: get.seq(), want: None },
                Aim::Put(_) => Method::Get { target: task.target, seq: None, want: None },
                Aim::Own => Method::FindNode { target: task.target, want: both },
                Aim::Find | Aim::Ping | Aim::Sample => Method::FindNode { target: task.target, want: None },
            };
            self.query(cx, addr, Some(node), Purpose::Lookup(id), method);
        }
        let Some(task) = self.tasks.tasks.get_mut(&id) else { return };
        let Stage::Looking(lookup) = &task.stage else { return };
        if !lookup.is_done(cx.now, config) {
            task.due = lookup.deadline(cx.now);
            return;
        }
        let found = lookup.closest(config);
        task.outcome.closest = found.iter().map(|found| Contact { id: found.id, addr: found.addr }).collect();
        task.outcome.answers = lookup.answers();
        task.stage = Stage::Storing { open: 0, again: BTreeMap::new() };
        task.due = Time::NEVER;
        self.store(cx, id, &found);
        self.end_if_stored(cx, id);
    }

    /// The lookup of a task is over: stores what is to be stored at the nodes that it found.
    fn store(&mut self, cx: &mut Cx<'_>, id: TaskId, found: &[Found]) {
        for Found { id: node, addr, token, .. } in found {
            // BEP 33: "If a node does not return a token it indicates that it currently cannot accept announces for this infohash."
            let Some(token) = token else { continue };
            if self.store_at(cx, id, (*node, *addr), token)
                && let Some(Task { stage: Stage::Storing { open, again }, .. }) = self.tasks.tasks.get_mut(&id)
            {
                *open += 1;
                again.insert(*addr, (*node, token.clone()));
            }
        }
    }

    /// Stores what a task is to store at one node. `false`: there is nothing to be stored, or no room for another query.
    fn store_at(&mut self, cx: &mut Cx<'_>, id: TaskId, (node, addr): (NodeId, SocketAddr), token: &[u8]) -> bool {
        let Some(task) = self.tasks.tasks.get(&id) else { return false };
        let (target, to, purpose) = (task.target, Some(node), Purpose::Store(id));
        let sent = match &task.aim {
            Aim::Peers(peers) => match peers.announce {
                Some(Announce { port, seed }) => {
                    let (implied_port, port) = (port.is_none(), port.unwrap_or(0));
                    let method = Method::AnnouncePeer { info_hash: target.into(), port, implied_port, seed, token };
                    self.query(cx, addr, to, purpose, method)
                }
                None => false,
            },
            Aim::Put(put) => {
                let put = put.clone();
                self.query(cx, addr, to, purpose, put.method(addr, token))
            }
            Aim::Find | Aim::Own | Aim::Get(_) | Aim::Ping | Aim::Sample => false,
        };
        if sent && let Some(task) = self.tasks.tasks.get_mut(&id) {
            task.outcome.queries += 1;
        }
        sent
    }

    /// A node has answered a step of a lookup.
    pub(super) fn lookup_answered(
        &mut self,
        cx: &mut Cx<'_>,
        id: TaskId,
        from: SocketAddr,
        response: &Response<'_>,
        nodes: &[(NodeId, SocketAddr)],
    ) {
        let config = &cx.config.dht;
        if let Some(lookup) = self.tasks.lookup(id) {
            lookup.answered(cx.now, config, from, response.id, response.token, nodes.iter().copied());
        }
        let Some(task) = self.tasks.tasks.get_mut(&id) else { return };
        match &mut task.aim {
            Aim::Peers(peers) => {
                let mut new = Vec::new();
                for peer in response.values.iter().flatten().take(config.max_peers_per_answer as usize) {
                    if peers.told.len() >= config.max_peers_per_lookup as usize {
                        break;
                    }
                    if peers.told.insert(*peer) {
                        new.push(*peer);
                    }
                }
                if let Some(filters) = &mut peers.filters {
                    match (response.seed_filter, response.peer_filter) {
                        (None, None) => {
                            let values = response.values.iter().flatten().take(config.max_peers_per_answer as usize);
                            peers.unfiltered.extend(values.map(SocketAddr::ip));
                        }
                        (seeds, others) => {
                            for (filter, said) in filters.iter_mut().zip([seeds, others]) {
                                if let Some(said) = said {
                                    filter.union(&BloomFilter::from_bytes(*said));
                                }
                            }
                        }
                    }
                }
                if !new.is_empty() {
                    let info_hash = InfoHash::from(task.target);
                    self.said.push_back(NodeSaid::Peers { task: id, info_hash, from, peers: new });
                }
            }
            Aim::Get(get) => {
                if let Some(item) = get.heard(task.target, response) {
                    let whole = item.seq().is_none();
                    self.said.push_back(NodeSaid::Item { task: id, item });
                    if whole {
                        // What proves itself by its hash cannot come in another version.
                        self.end_task(id, |_| {});
                        self.start_tasks(cx);
                        return;
                    }
                }
            }
            Aim::Put(put) => put.heard(from, response),
            Aim::Find | Aim::Own | Aim::Ping | Aim::Sample => {}
        }
        self.drive(cx, id);
    }

    /// A node that was asked for a lookup will not answer.
    pub(super) fn lookup_failed(&mut self, cx: &mut Cx<'_>, id: TaskId, from: SocketAddr) {
        if let Some(lookup) = self.tasks.lookup(id) {
            lookup.failed(from);
            self.drive(cx, id);
        }
    }

    /// A node has said whether it stores; `None`: it said nothing.
    pub(super) fn stored(
        &mut self,
        cx: &mut Cx<'_>,
        id: TaskId,
        from: SocketAddr,
        said: Option<Result<(), ErrorCode>>,
    ) {
        let Some(task) = self.tasks.tasks.get_mut(&id) else { return };
        let Stage::Storing { again, .. } = &mut task.stage else { return };
        let once_more = again.remove(&from);
        if said.is_none()
            && let Some((node, token)) = once_more
            && self.store_at(cx, id, (node, from), &token)
        {
            return;
        }
        let Some(task) = self.tasks.tasks.get_mut(&id) else { return };
        if let Stage::Storing { open, .. } = &mut task.stage {
            *open = open.saturating_sub(1);
        }
        match said {
            Some(Ok(())) => task.outcome.stored += 1,
            Some(Err(code)) => task.outcome.refused.push((from, code)),
            None => {}
        }
        self.end_if_stored(cx, id);
    }

    /// The one query of a task was answered, or not.
    pub(super) fn single_done(
        &mut self,
        cx: &mut Cx<'_>,
        id: TaskId,
        answer: Option<(Contact, core::time::Duration, Option<&[u8]>)>,
    ) {
        self.end_task(id, |outcome| {
            if let Some((contact, rtt, version)) = answer {
                outcome.version = version.map(Vec::from);
                outcome.answers = 1;
                outcome.closest.push(contact);
                outcome.rtt = Some(rtt);
            }
        });
        self.start_tasks(cx);
    }

    fn end_if_stored(&mut self, cx: &mut Cx<'_>, id: TaskId) {
        let stored = |task: &Task| matches!(task.stage, Stage::Storing { open: 0, .. });
        if self.tasks.tasks.get(&id).is_some_and(stored) {
            self.end_task(id, |_| {});
            self.start_tasks(cx);
        }
    }

    /// A task is over.
    fn end_task(&mut self, id: TaskId, change: impl FnOnce(&mut Outcome)) {
        let Some(mut task) = self.tasks.tasks.remove(&id) else { return };
        if let Stage::Looking(lookup) = &task.stage {
            task.outcome.answers = lookup.answers();
        }
        if let Aim::Peers(peers) = &task.aim {
            task.outcome.scrape = peers.estimate();
        }
        change(&mut task.outcome);
        if matches!(task.aim, Aim::Own) {
            self.bootstrap.looked_around(task.outcome.answers > 0);
            return;
        }
        self.kept.ended(id, &task.outcome);
        self.said.push_back(NodeSaid::Ended { task: id, outcome: task.outcome });
    }
}
