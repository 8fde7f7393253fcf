//! The distributed hash table (BEP 5): a [`Node`] for each UDP socket that is to have one, and what goes between those and the torrents.
//!
//! | from | to |
//! |---|---|
//! | datagrams that [look so](Node::is_for) | the node of their socket; all others are for UDP trackers |
//! | torrents that [wish](DhtWish) for peers | a look-up by every node, in [turns](turns) |
//! | what nodes find | the torrent's candidates |
//! | peers' PORT messages, torrent files' `nodes`, the user's | nodes to begin with |
//! | an address of ours that is known | both ways |
//! | what a node is and knows | [`Work::SaveDht`] now and then and at the end; [`Work::LoadDht`] before it begins |
//!
//! BEP 32: IPv4 and IPv6 are two networks. A node of one names to the other what it hears of that.
//!
//! BEP 27: a private torrent "MUST ONLY announce itself to the private tracker, and MUST ONLY initiate connections to peers returned
//! from the private tracker". It has no wish, its file's `nodes` are not asked, its peers are told of no port and theirs is not
//! asked; and what was asked for it before it was known to be private is dropped.

mod turns;

use super::Session;
use crate::border::{Actions, DhtConfig, IoFault, JobId, JobResult, Notice, SocketId, Target, TorrentId, Work};
use crate::cx::Cx;
use crate::dht::node::{Announce, MAX_TARGETS, Node, NodeOptions, NodeSaid, PeerWish, keep_target};
use crate::dht::table::Table;
use crate::dht::table::saved::Saved;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::metainfo::Metainfo;
use crate::rng::{Seeds, Stream};
use crate::time::{Time, earliest};
use crate::torrent::DhtWish;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use turns::DhtTurns;

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Dht {
    rows: BTreeMap<SocketId, Row>,
    /// How many nodes there have been: each has chance of its own.
    begun: u64,
    /// Whom to begin with: the user's, and those of torrent files.
    targets: VecDeque<Target>,
    hints: VecDeque<Target>,
    jobs: BTreeMap<JobId, Job>,
    turns: DhtTurns,
    /// Which version of our own addresses the nodes know.
    own_version: u64,
}

canon_struct!(out Dht { rows, begun, targets, hints, jobs, turns, own_version });

/// A node on its socket.
#[derive(Clone, Debug)]
struct Row {
    /// None while what it was is fetched.
    node: Option<Box<Node>>,
    v6: bool,
    /// Where peers reach us, which is announced.
    port: u16,
    /// Whether it is the one of its family that is saved.
    keeps: bool,
    /// Whether it is being saved, and has something newer than that.
    saving: bool,
    newer: bool,
    /// When it is to be called, as it said last.
    due: Option<Time>,
}

canon_struct!(out Row { node, v6, port, keeps, saving, newer, due });

/// Work of ours that is under way.
#[derive(Clone, Copy, Debug)]
enum Job {
    Load(SocketId),
    Save(SocketId),
}

canon_enum!(out Job { 0 = Load(sock), 1 = Save(sock) });

impl Dht {
    pub(super) fn new(seeds: &Seeds) -> Dht {
        Dht {
            rows: BTreeMap::new(),
            begun: 0,
            targets: VecDeque::new(),
            hints: VecDeque::new(),
            jobs: BTreeMap::new(),
            // Nodes count from 0.
            turns: DhtTurns::new(seeds.decisions(Stream::Dht, u64::from(u32::MAX))),
            own_version: 0,
        }
    }

    /// How many nodes know somebody whom they could ask.
    fn able(&self) -> usize {
        self.rows.values().filter(|row| row.node.as_ref().is_some_and(|node| !node.table().is_empty())).count()
    }

    /// The table of the other family's node.
    fn other(&self, v6: bool) -> Option<&Table> {
        let row = self.rows.values().find(|row| row.v6 != v6 && row.node.is_some())?;
        row.node.as_ref().map(|node| node.table())
    }

    /// What a torrent wishes for from now on.
    pub(super) fn note(&mut self, now: Time, config: &DhtConfig, id: TorrentId, wish: Option<DhtWish>) {
        self.turns.set(now, config, id, wish);
    }

    /// Whether something is still being saved.
    pub(super) fn is_saving(&self) -> bool {
        self.rows.values().any(|row| row.saving)
    }

    /// The nodes that run.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (SocketId, &Node)> {
        self.rows.iter().filter_map(|(sock, row)| Some((*sock, &**row.node.as_ref()?)))
    }

    #[cfg(test)]
    pub(super) fn tamper(&mut self) {
        self.begun += 1;
    }
}

impl Session {
    /// The nodes of the DHT that run, by their sockets.
    pub fn dht_nodes(&self) -> impl Iterator<Item = (SocketId, &Node)> {
        self.dht.nodes()
    }

    /// The limits that they keep to, which [`Node::view`] wants.
    pub fn dht_config(&self) -> &DhtConfig {
        &self.config.dht
    }

    /// Sockets have been opened: those that are to have a node get one.
    pub(super) fn dht_sockets(&mut self, out: &mut Actions) {
        if self.stopping.is_some() {
            return;
        }
        let wanted = self.shared.sockets.iter().filter(|listening| listening.dht);
        let wanted = wanted.filter_map(|listening| Some((listening.udp?, listening.tcp.1.port())));
        let wanted: Vec<_> = wanted.filter(|((sock, _), _)| !self.dht.rows.contains_key(sock)).collect();
        for ((sock, local), port) in wanted {
            let v6 = local.is_ipv6();
            let keeps = !self.dht.rows.values().any(|row| row.v6 == v6 && row.keeps);
            let row = Row { node: None, v6, port, keeps, saving: false, newer: false, due: None };
            self.dht.rows.insert(sock, row);
            if keeps {
                let job = cx!(self, out, 0).start(Work::LoadDht { v6 });
                self.dht.jobs.insert(job, Job::Load(sock));
            } else {
                self.begin_node(out, sock, None);
            }
        }
    }

    fn begin_node(&mut self, out: &mut Actions, sock: SocketId, saved: Option<Saved>) {
        let number = self.dht.begun;
        let Some(row) = self.dht.rows.get_mut(&sock) else { return };
        self.dht.begun += 1;
        let mut cx = cx!(self, out, 0);
        let v6 = row.v6;
        let mut node = Node::new(&mut cx, NodeOptions { sock, v6, number, saved });
        if let Some(ip) = self.shared.external.get(v6) {
            node.own_address(&mut cx, ip);
        }
        node.bootstrap(&mut cx, self.dht.targets.iter().cloned());
        row.node = Some(Box::new(node));
        let both = [false, true].map(|v6| self.dht.rows.values().any(|row| row.v6 == v6)) == [true; 2];
        let socks: Vec<SocketId> = self.dht.rows.keys().copied().collect();
        for sock in socks {
            self.with_node(out, sock, |node, cx, _| {
                node.want_other_family(both);
                node.tick(cx);
            });
        }
        self.hint_all(out);
    }

    /// Calls a node, and acts on what it says.
    fn with_node(
        &mut self,
        out: &mut Actions,
        sock: SocketId,
        call: impl FnOnce(&mut Node, &mut Cx<'_>, Option<&Table>),
    ) {
        // It is taken out meanwhile: it may be handed the other's table.
        let Some((mut node, v6)) = self.dht.rows.get_mut(&sock).and_then(|row| Some((row.node.take()?, row.v6))) else {
            return;
        };
        let other = self.dht.other(v6);
        call(&mut node, &mut cx!(self, out, 0), other);
        let mut heard = Vec::new();
        while let Some(said) = node.said() {
            heard.push(said);
        }
        let (due, known) = (node.deadline(&self.config.dht), node.table().len());
        if let Some(row) = self.dht.rows.get_mut(&sock) {
            (row.node, row.due) = (Some(node), due);
        }
        for said in heard {
            self.node_said(out, sock, v6, known, said);
        }
    }

    fn node_said(&mut self, out: &mut Actions, sock: SocketId, v6: bool, known: usize, said: NodeSaid) {
        match said {
            NodeSaid::Peers { task, from, peers, .. } => {
                if let Some(id) = self.dht.turns.whose((sock, task)) {
                    self.with_torrent(Some(id), out, |torrent, cx, _| torrent.found_peers(cx, from, &peers));
                }
            }
            NodeSaid::Ended { task, outcome } => {
                self.dht.turns.ended(self.now, &self.config.dht, (sock, task), &outcome);
            }
            NodeSaid::OtherFamily(nodes) => {
                if let Some(other) = self.dht.rows.iter().find(|(_, row)| row.v6 != v6).map(|(sock, _)| *sock) {
                    self.with_node(out, other, |node, cx, _| nodes.iter().for_each(|at| node.add_node(cx, at.addr)));
                }
            }
            NodeSaid::Ready => {
                self.dht.turns.ready(self.now);
                // A table holds some hundred.
                out.notices.push(Notice::DhtReady { sock, v6, nodes: u32::try_from(known).unwrap_or(u32::MAX) });
            }
            NodeSaid::Unreachable { retry } => out.notices.push(Notice::DhtUnreachable { sock, v6, retry }),
            NodeSaid::OwnAddress { ip, .. } => self.shared.found_own_address(out, ip),
            NodeSaid::SaveDue => self.save_node(out, sock),
            // Nobody asks for them.
            NodeSaid::Item { .. } | NodeSaid::Samples { .. } => {}
        }
    }

    /// Stores what a node is, if it is the one of its family, and knows anybody.
    fn save_node(&mut self, out: &mut Actions, sock: SocketId) {
        let Some(row) = self.dht.rows.get_mut(&sock).filter(|row| row.keeps) else { return };
        if row.saving {
            row.newer = true;
            return;
        }
        let Some(saved) = row.node.as_ref().map(|node| node.save(&self.config.dht)) else { return };
        if saved.nodes.is_empty() {
            return;
        }
        (row.saving, row.newer) = (true, false);
        let work = Work::SaveDht { v6: row.v6, bytes: saved.encode().into() };
        let job = cx!(self, out, 0).start(work);
        self.dht.jobs.insert(job, Job::Save(sock));
    }

    /// A job of the session itself has ended. `false`: it is not the DHT's.
    pub(super) fn dht_job(&mut self, out: &mut Actions, job: JobId, result: &Result<JobResult, IoFault>) -> bool {
        match self.dht.jobs.remove(&job) {
            Some(Job::Load(sock)) => {
                // What cannot be read is as good as nothing: it begins as another node then.
                let saved = match result {
                    Ok(JobResult::Loaded(all)) => {
                        all.first().and_then(|bytes| Saved::parse(bytes, self.config.dht.max_saved).ok())
                    }
                    _ => None,
                };
                if self.stopping.is_none() {
                    self.begin_node(out, sock, saved);
                }
                return true;
            }
            Some(Job::Save(sock)) => {
                if let Some(row) = self.dht.rows.get_mut(&sock) {
                    row.saving = false;
                    if row.newer {
                        self.save_node(out, sock);
                    }
                }
                self.forget_saved();
                return true;
            }
            None => {}
        }
        let socks: Vec<SocketId> = self.dht.rows.keys().copied().collect();
        for sock in socks {
            let mut its = false;
            self.with_node(out, sock, |node, cx, _| its = node.job_done(cx, job, result));
            if its {
                return true;
            }
        }
        false
    }

    /// A datagram that is for a node. `false`: there is none on that socket.
    pub(super) fn dht_datagram(&mut self, out: &mut Actions, sock: SocketId, from: SocketAddr, bytes: &[u8]) -> bool {
        if !Node::is_for(bytes) || !self.dht.rows.contains_key(&sock) {
            return false;
        }
        if self.stopping.is_none() {
            self.with_node(out, sock, |node, cx, other| node.datagram(cx, other, from, bytes));
        }
        true
    }

    /// The user names nodes to begin with.
    pub(super) fn add_dht_nodes(&mut self, out: &mut Actions, nodes: Vec<Target>) {
        nodes.into_iter().for_each(|target| keep_target(&mut self.dht.targets, target));
        self.with_nodes(out, |session, out, sock| {
            let targets = session.dht.targets.clone();
            session.with_node(out, sock, |node, cx, _| node.bootstrap(cx, targets));
        });
    }

    /// BEP 5: "A trackerless torrent dictionary does not have an "announce" key. Instead, a trackerless torrent has a "nodes" key." Those of a
    /// private torrent are nobody's affair.
    pub(super) fn note_nodes(&mut self, out: &mut Actions, meta: &Metainfo) {
        if meta.private() || meta.nodes().is_empty() {
            return;
        }
        let most = self.config.dht.max_nodes_per_torrent as usize;
        let named = meta.nodes().iter().take(most).filter(|(_, port)| *port > 0);
        let target = |(host, port): &(alloc::string::String, u16)| match host.parse::<IpAddr>() {
            Ok(ip) => Target::Addr(SocketAddr::new(ip, *port)),
            Err(_) => Target::Host { name: host.clone(), port: *port },
        };
        self.dht.hints.extend(named.map(target));
        while self.dht.hints.len() > MAX_TARGETS {
            self.dht.hints.pop_front();
        }
        self.hint_all(out);
    }

    fn hint_all(&mut self, out: &mut Actions) {
        if self.dht.hints.is_empty() {
            return;
        }
        self.with_nodes(out, |session, out, sock| {
            let hints = session.dht.hints.clone();
            session.with_node(out, sock, |node, cx, _| node.hint(cx, hints));
        });
    }

    fn with_nodes(&mut self, out: &mut Actions, mut call: impl FnMut(&mut Session, &mut Actions, SocketId)) {
        let socks: Vec<SocketId> = self.dht.rows.keys().copied().collect();
        socks.into_iter().for_each(|sock| call(self, out, sock));
    }

    /// We may be on another network now.
    pub(super) fn dht_moves(&mut self, out: &mut Actions) {
        self.with_nodes(out, |session, out, sock| session.with_node(out, sock, |node, cx, _| node.restart(cx)));
    }

    /// The list of blocked addresses is another one.
    pub(super) fn dht_filter_changed(&mut self, out: &mut Actions) {
        self.with_nodes(out, |session, out, sock| session.with_node(out, sock, |node, cx, _| node.filter_changed(cx)));
    }

    /// When there is something to be done.
    pub(super) fn dht_deadline(&self) -> Option<Time> {
        if self.dht.rows.is_empty() || self.stopping.is_some() {
            return None;
        }
        let nodes = self.dht.rows.values().filter_map(|row| row.due).min();
        earliest([nodes, self.dht.turns.deadline(&self.config.dht, self.dht.able())])
    }

    /// Does what is due.
    pub(super) fn dht_round(&mut self, out: &mut Actions) {
        if self.dht.rows.is_empty() || self.stopping.is_some() {
            self.shared.named_nodes.clear();
            return;
        }
        let now = self.now;
        let due = self.dht.rows.iter().filter(|(_, row)| row.due.is_some_and(|due| due <= now));
        let due: Vec<SocketId> = due.map(|(sock, _)| *sock).collect();
        for sock in due {
            self.with_node(out, sock, |node, cx, _| node.tick(cx));
        }
        while let Some(addr) = self.shared.named_nodes.pop() {
            let v6 = addr.is_ipv6();
            if let Some(sock) = self.dht.rows.iter().find(|(_, row)| row.v6 == v6).map(|(sock, _)| *sock) {
                self.with_node(out, sock, |node, cx, _| node.add_node(cx, addr));
            }
        }
        let version = self.shared.own_version;
        if core::mem::replace(&mut self.dht.own_version, version) != version {
            let known = [false, true].map(|v6| self.shared.external.get(v6));
            for ip in known.into_iter().flatten() {
                self.with_nodes(out, |session, out, sock| {
                    session.with_node(out, sock, |node, cx, _| node.own_address(cx, ip));
                });
            }
        }
        while let Some((sock, task)) = self.dht.turns.dropped() {
            self.with_node(out, sock, |node, cx, _| node.cancel(cx, task));
        }
        while let Some((id, wish)) = self.dht.turns.next(now, &self.config.dht, self.dht.able()) {
            self.with_nodes(out, |session, out, sock| session.look_up(out, sock, id, wish));
            self.dht.turns.waits(now, &self.config.dht, id);
        }
    }

    /// Has a node look for peers of a torrent, and announce us where that is wanted.
    fn look_up(&mut self, out: &mut Actions, sock: SocketId, id: TorrentId, wish: DhtWish) {
        let Some(port) = self.dht.rows.get(&sock).map(|row| row.port) else { return };
        let peers = PeerWish { no_seed: !wish.wanting, scrape: false };
        let row = self.dht.rows.get_mut(&sock);
        let Some(node) = row.and_then(|row| row.node.as_mut()).filter(|node| !node.table().is_empty()) else { return };
        let mut cx = cx!(self, out, 0);
        let announce = Announce { port: Some(port), seed: wish.seed };
        let task = if wish.announce {
            node.announce(&mut cx, wish.name, announce, peers)
        } else {
            node.find_peers(&mut cx, wish.name, peers)
        };
        self.dht.turns.began(id, (sock, task));
        // What it has said already.
        self.with_node(out, sock, |_, _, _| ());
    }

    /// The session stops: nodes are saved, and answer nobody any more.
    pub(super) fn stop_dht(&mut self, out: &mut Actions) {
        self.with_nodes(out, |session, out, sock| session.save_node(out, sock));
        self.dht.turns.stop();
        self.dht.jobs.retain(|_, job| matches!(job, Job::Save(_)));
        self.forget_saved();
    }

    /// While the session stops: nodes that need not be saved any more are gone.
    fn forget_saved(&mut self) {
        if self.stopping.is_some() {
            self.dht.rows.retain(|_, row| row.saving);
        }
    }
}
