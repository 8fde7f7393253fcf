//! The world: sessions, the network between them, and what their drivers would do.
//!
//! What it is made of: `words.rs` has what tests say and read, `queue.rs` what is going to happen, `drive.rs` what a driver
//! does for its session, `net.rs` the streams, `traffic.rs` what went through them, `strangers.rs` whoever is in the world
//! without being a session, `watch.rs` who looks on. Here are the nodes, what a test can do to them, and the clock.

mod drive;
mod net;
mod queue;
mod strangers;
mod trackers;
mod traffic;
mod watch;
mod words;

pub use strangers::{Desk, LinkId, Seen, Stranger, StrangerId};
pub use trackers::TrackerId;
pub use traffic::{Traffic, jain};
pub use watch::{Before, Breach, Call, Moment, Party, Watcher};
pub use words::{Counts, Limits, LogEntry, NodeId, Split, Stuck};

use crate::content::Content;
use crate::disk::MemoryDisk;
use crate::hostile::tracker::HostileTracker;
use crate::oracles::{AllTerms, Oracles, Terms};
use bytes::Bytes;
use parcacik_core::border::{
    Actions, AddTorrent, Command, CommandId, Config, Event, InfoHash, IoFault, Notice, RootId, SeedGoal, SocketId,
    Target, TcpId, TorrentId,
};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::tracker::server::TrackerServer;
use queue::{Happening, Scheduled};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
struct Node {
    session: Session,
    disk: MemoryDisk,
    ip: Ipv4Addr,
    notices: Vec<Notice>,
    torrents: BTreeMap<InfoHash, TorrentId>,
    streams: BTreeMap<TcpId, Stream_>,
    sockets: BTreeMap<SocketId, SocketAddr>,
    next_tcp: u64,
    next_command: u64,
    tick: Option<Time>,
    /// What waits to be sent.
    uplink: VecDeque<Parcel>,
    /// When its uplink is free again.
    uplink_free: Time,
    log: Option<Vec<LogEntry>>,
    alive: bool,
    /// How long its disk takes, where that is not the world's usual.
    disk_time: Option<Duration>,
    counts: Counts,
}

/// What waits for a node's uplink.
#[derive(Debug)]
enum Parcel {
    Bytes { tcp: TcpId, other: End, bytes: Bytes },
    End { other: End },
}

/// Who is at the other end of a stream.
#[derive(Clone, Copy, Debug)]
enum End {
    Node(NodeId, TcpId),
    Stranger(StrangerId, LinkId),
}

impl End {
    fn party(self) -> Party {
        match self {
            End::Node(node, tcp) => Party::Node(node, tcp),
            End::Stranger(who, _) => Party::Stranger(who),
        }
    }
}

/// One end of a stream.
#[derive(Debug)]
struct Stream_ {
    other: End,
    credit: u64,
    inbox: VecDeque<Bytes>,
    closing: bool,
}

/// The world.
#[derive(Debug)]
pub struct World {
    now: Time,
    seq: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    nodes: Vec<Node>,
    rng: Rng,
    seed: u8,
    limits: Limits,
    config: Config,
    tracker: TrackerServer,
    tracker_up: bool,
    keep_logs: bool,
    traffic: Traffic,
    strangers: Vec<strangers::Guest>,
    trackers: Vec<HostileTracker>,
    terms: AllTerms,
    watchers: Vec<Box<dyn Watcher>>,
    /// Calls made to sessions so far.
    pub events: u64,
    actions: Actions,
}

/// Where the tracker of the world is, for HTTP and UDP.
pub const TRACKER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(45, 10, 0, 1)), 6969);

const PORT: u16 = 6881;

impl World {
    /// An empty world.
    pub fn new(seed: u8) -> World {
        World::with(seed, Limits::default(), Config::default())
    }

    /// An empty world with a network and a configuration of one's own.
    pub fn with(seed: u8, limits: Limits, config: Config) -> World {
        let seeds = Seeds::for_tests(seed);
        World {
            now: Time::ZERO,
            seq: 0,
            queue: BinaryHeap::new(),
            nodes: Vec::new(),
            rng: seeds.decisions(Stream::Session, 0xffff),
            seed,
            limits,
            config,
            tracker: TrackerServer::new(Default::default(), &seeds),
            tracker_up: true,
            keep_logs: false,
            traffic: Traffic::default(),
            strangers: Vec::new(),
            trackers: Vec::new(),
            terms: AllTerms::new(),
            watchers: vec![Box::new(Oracles::default())],
            events: 0,
            actions: Actions::new(),
        }
    }

    /// Takes the tracker away, or brings it back.
    pub fn set_tracker(&mut self, up: bool) {
        self.tracker_up = up;
    }

    /// Lets the tracker know of a peer of a torrent, as if that had announced itself.
    pub fn tracker_knows(&mut self, content: &Content, peer: SocketAddr) {
        let escaped: String = content.info_hash.iter().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!(
            "/announce?info_hash={escaped}&peer_id=-XX0000-{:012}&port={}&uploaded=0&downloaded=0&left=1&compact=1",
            self.seq,
            peer.port()
        );
        let answer = self.tracker.http(self.now, SocketAddr::new(peer.ip(), 40_000), path.as_bytes());
        assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body));
    }

    /// A new session that listens.
    pub fn add_node(&mut self) -> NodeId {
        let id = NodeId(self.nodes.len());
        let ip = Ipv4Addr::new(45, 10, 1, 1 + id.0 as u8);
        let mut seeds = Seeds::for_tests(self.seed);
        seeds.decision[1] = id.0 as u8;
        seeds.secret[1] = id.0 as u8;
        let session = Session::new(self.config.clone(), seeds).expect("the configuration is checked by the caller");
        self.nodes.push(Node {
            session,
            disk: MemoryDisk::default(),
            ip,
            notices: Vec::new(),
            torrents: BTreeMap::new(),
            streams: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next_tcp: 0,
            next_command: 0,
            tick: None,
            uplink: VecDeque::new(),
            uplink_free: Time::ZERO,
            log: self.keep_logs.then(Vec::new),
            alive: true,
            disk_time: None,
            counts: Counts::default(),
        });
        self.moment(&Moment::Began { node: id });
        let addr = SocketAddr::new(IpAddr::V4(ip), PORT);
        self.command(id, Command::Listen { tcp: SocketId(1), udp: Some(SocketId(2)), addr, device: None });
        id
    }

    /// Takes the [oracles](crate::oracles) out, which are in at first: for experiments that are large, or that break rules on
    /// purpose.
    pub fn without_oracles(&mut self) {
        self.watchers.retain(|watcher| {
            let watcher: &dyn std::any::Any = &**watcher;
            !watcher.is::<Oracles>()
        });
    }

    /// The torrents that the world knows, by info-hash.
    pub(crate) fn terms(&self) -> &AllTerms {
        &self.terms
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many strangers there are.
    pub(crate) fn strangers(&self) -> usize {
        self.strangers.len()
    }

    /// What was counted of a node's session.
    pub fn counts(&self, node: NodeId) -> &Counts {
        &self.nodes[node.0].counts
    }

    /// Notes every call to the sessions that are made from now on.
    pub fn keep_logs(&mut self) {
        self.keep_logs = true;
    }

    /// What was noted.
    pub fn log(&self, node: NodeId) -> &[LogEntry] {
        self.nodes[node.0].log.as_deref().unwrap_or(&[])
    }

    /// The seeds of a node's session.
    pub fn seeds(&self, node: NodeId) -> Seeds {
        let mut seeds = Seeds::for_tests(self.seed);
        seeds.decision[1] = node.0 as u8;
        seeds.secret[1] = node.0 as u8;
        seeds
    }

    /// Whether a node has a session now.
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.nodes[node.0].alive
    }

    /// Makes a node's disk take so long for each piece of work.
    pub fn set_disk_time(&mut self, node: NodeId, time: Duration) {
        self.nodes[node.0].disk_time = Some(time);
    }

    /// Tells a node's session something that did not happen.
    pub fn inject(&mut self, node: NodeId, event: Event) {
        self.tell(node, event);
    }

    /// The configuration of all sessions.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the network is like.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Where a node listens.
    pub fn address(&self, node: NodeId) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), PORT)
    }

    /// The time it is.
    pub fn now(&self) -> Time {
        self.now
    }

    /// A node's disk.
    pub fn disk(&mut self, node: NodeId) -> &mut MemoryDisk {
        &mut self.nodes[node.0].disk
    }

    /// A node's disk, to look at.
    pub fn disk_of(&self, node: NodeId) -> &MemoryDisk {
        &self.nodes[node.0].disk
    }

    /// Cuts the power of a node that has crashed: what it wrote since the last sync may be lost, each write when `lost` says so.
    pub fn power_cut(&mut self, node: NodeId, lost: impl FnMut() -> bool) {
        assert!(!self.nodes[node.0].alive, "a node without power has no session");
        self.nodes[node.0].disk.power_cut(lost);
        self.moment(&Moment::PowerCut { node });
    }

    /// A node's session, to look at.
    pub fn session(&self, node: NodeId) -> &Session {
        &self.nodes[node.0].session
    }

    /// What a node's session has told.
    pub fn notices(&self, node: NodeId) -> &[Notice] {
        &self.nodes[node.0].notices
    }

    /// Has a node seed content that lies on its disk.
    pub fn seed(&mut self, node: NodeId, content: &Content, peers: &[SocketAddr]) {
        self.nodes[node.0].disk.put(&content.name, content.bytes.clone());
        self.add(node, content, peers, |add| {
            add.seed_only = true;
            add.goal = SeedGoal::Forever;
        });
    }

    /// Has a node download content, and stay to seed.
    pub fn download(&mut self, node: NodeId, content: &Content, peers: &[SocketAddr]) {
        self.add(node, content, peers, |_| {});
    }

    /// Adds a torrent with options of one's own.
    pub fn add(&mut self, node: NodeId, content: &Content, peers: &[SocketAddr], change: impl FnOnce(&mut AddTorrent)) {
        self.terms
            .entry(content.info_hash)
            .or_insert_with(|| Terms { bytes: Arc::new(content.bytes.clone()), piece_length: content.piece_length });
        let mut add = AddTorrent {
            peers: peers.iter().map(|&addr| Target::Addr(addr)).collect(),
            goal: SeedGoal::Forever,
            ..AddTorrent::new(content.metainfo.clone(), RootId(0))
        };
        change(&mut add);
        self.command(node, Command::Add(Box::new(add)));
    }

    /// Gives a command.
    pub fn command(&mut self, node: NodeId, command: Command) -> CommandId {
        let at = &mut self.nodes[node.0];
        at.next_command += 1;
        let id = CommandId(at.next_command);
        self.tell(node, Event::Command { id, command });
        id
    }

    /// The view of a node's torrent.
    pub fn view(&self, node: NodeId, content: &Content) -> Option<parcacik_core::torrent::TorrentView> {
        let session = &self.nodes[node.0].session;
        session.view(session.find(InfoHash(content.info_hash))?)
    }

    /// Whether a node has every piece verified.
    pub fn is_finished(&self, node: NodeId, content: &Content) -> bool {
        self.view(node, content).is_some_and(|view| !view.pieces.is_empty() && view.pieces.is_full())
    }

    /// Whether a single-file torrent lies on a node's disk byte for byte.
    pub fn has_all(&self, node: NodeId, content: &Content) -> bool {
        self.nodes[node.0].disk.get(&content.name) == Some(&content.bytes[..])
    }

    /// Ends a node as a kill would: its streams break, its session is gone; its disk stays as it is. For a power cut see
    /// [`MemoryDisk::power_cut`].
    pub fn crash(&mut self, node: NodeId) {
        let at = &mut self.nodes[node.0];
        at.alive = false;
        at.tick = None;
        at.sockets.clear();
        at.uplink.clear();
        // Ids begin anew with the next session: what was under way must not answer it.
        self.queue.retain(|Reverse(Scheduled(_, _, what))| {
            !matches!(what, Happening::Tell(to, _) | Happening::Listened { node: to, .. } if *to == node)
        });
        let at = &mut self.nodes[node.0];
        let others: Vec<End> = std::mem::take(&mut at.streams).into_values().map(|s| s.other).collect();
        for other in others {
            let when = self.now + self.limits.latency;
            match other {
                End::Node(other, tcp) => {
                    self.nodes[other.0].streams.remove(&tcp);
                    self.schedule(when, Happening::Tell(other, Event::Closed { tcp, fault: Some(IoFault::Reset) }));
                }
                End::Stranger(who, link) => self.schedule(when, Happening::LinkEnds { who, link }),
            }
        }
        self.moment(&Moment::Crashed { node });
    }

    /// Starts a new session in place of one that crashed, on the same disk.
    pub fn restart(&mut self, node: NodeId) {
        let seeds = self.seeds(node);
        let at = &mut self.nodes[node.0];
        at.session = Session::new(self.config.clone(), seeds).expect("it worked before");
        at.alive = true;
        at.notices.clear();
        at.torrents.clear();
        let addr = SocketAddr::new(IpAddr::V4(at.ip), PORT);
        self.moment(&Moment::Began { node });
        self.command(node, Command::Listen { tcp: SocketId(1), udp: Some(SocketId(2)), addr, device: None });
    }

    /// Lets time pass until `done`, an hour of it at most.
    pub fn run_until(&mut self, done: impl Fn(&World) -> bool) -> Result<(), Stuck> {
        let limit = self.now + Duration::from_secs(3600);
        while !done(self) {
            if self.now > limit || !self.step() {
                return Err(self.stuck());
            }
        }
        Ok(())
    }

    /// Lets so much time pass.
    pub fn run_for(&mut self, span: Duration) {
        let limit = self.now + span;
        while self.queue.peek().is_some_and(|Reverse(next)| next.0 <= limit) {
            self.step();
        }
        self.now = limit;
    }

    /// Lets the next thing happen; false when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some(Reverse(Scheduled(time, _, what))) = self.queue.pop() else { return false };
        self.now = self.now.max(time);
        match what {
            Happening::Tell(node, event) => self.tell(node, event),
            Happening::Tick(node, due) => {
                if self.nodes[node.0].tick == Some(due) {
                    self.nodes[node.0].tick = None;
                    self.tell(node, Event::Tick);
                }
            }
            Happening::Arrive { node, tcp, bytes } => {
                if let Some(stream) = self.nodes[node.0].streams.get_mut(&tcp) {
                    let (from, kept) = (stream.other, bytes.clone());
                    stream.inbox.push_back(bytes);
                    self.moment(&Moment::Arrived { from: from.party(), to: Party::Node(node, tcp), bytes: &kept });
                    self.deliver(node, tcp);
                }
            }
            Happening::Left { node, tcp, bytes } => {
                if self.nodes[node.0].streams.contains_key(&tcp) {
                    self.tell(node, Event::Flushed { tcp, bytes });
                }
            }
            Happening::End { node, tcp } => {
                if let Some(stream) = self.nodes[node.0].streams.get_mut(&tcp) {
                    stream.closing = true;
                    self.deliver(node, tcp);
                }
            }
            Happening::Credit { node, tcp } => self.deliver(node, tcp),
            Happening::Listened { node, dial, to, from_port } => self.answer_dial(node, dial, to, from_port),
            Happening::Pump(node) => self.pump(node),
            Happening::Reset { node, tcp } => {
                if self.nodes[node.0].streams.remove(&tcp).is_some() {
                    self.tell(node, Event::Closed { tcp, fault: Some(IoFault::Reset) });
                }
            }
            Happening::Wake { who, token } => self.wake_stranger(who, token),
            Happening::LinkArrives { who, link, bytes } => self.link_arrives(who, link, &bytes),
            Happening::LinkEnds { who, link } => self.link_ends(who, link),
            Happening::LinkDials { who, link, to } => self.link_dials(who, link, to),
        }
        true
    }

    /// What every node is doing.
    pub fn stuck(&self) -> Stuck {
        let states = self
            .nodes
            .iter()
            .enumerate()
            .map(|(number, node)| {
                let torrents: Vec<String> = node
                    .session
                    .torrents()
                    .filter_map(|id| {
                        let view = node.session.view(id)?;
                        let peers = node.session.torrent(id)?.peer_list(self.now);
                        Some(format!(
                            "{:?} {:?} missing {} peers {peers:?}",
                            view.state, view.pieces, view.missing_bytes
                        ))
                    })
                    .collect();
                format!("node {number}: {torrents:?} deadline {:?}", node.session.deadline())
            })
            .collect();
        Stuck { at: self.now, states }
    }

    fn schedule(&mut self, when: Time, what: Happening) {
        self.seq += 1;
        self.queue.push(Reverse(Scheduled(when, self.seq, what)));
    }
}
