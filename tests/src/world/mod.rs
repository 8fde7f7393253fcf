//! The world: sessions, the network between them, and what their drivers would do.
//!
//! What it is made of: `words.rs` has what tests say and read, `queue.rs` what is going to happen, `drive.rs` what a driver
//! does for its session, `net.rs` the streams, `datagrams.rs` the datagrams, `topology.rs` who reaches whom, `clock.rs` the
//! nodes' clocks, `faults.rs` what goes wrong by chance, `traffic.rs` what went through them, `strangers.rs` whoever is in the world
//! without being a session, `watch.rs` who looks on. Here are the nodes, what a test can do to them, and the clock.

mod clock;
mod datagrams;
mod drive;
mod faults;
mod net;
mod queue;
mod strangers;
mod topology;
mod trackers;
mod traffic;
mod turns;
mod watch;
mod words;

pub use faults::{Faults, Line};
pub use strangers::{Desk, LinkId, Seen, Stranger, StrangerId};
pub use topology::{CutId, Host, Nat, Way};
pub use trackers::TrackerId;
pub use traffic::{Traffic, jain};
pub use watch::{Before, Breach, Call, Moment, Party, Watcher};
pub use words::{Counts, Limits, LogEntry, NodeId, Split, Stuck};

use crate::content::Content;
use crate::disk::MemoryDisk;
use crate::hostile::tracker::HostileTracker;
use crate::second::{Audit, Terms};
use crate::seed::WorldSeed;
use bytes::Bytes;
use clock::Clock;
use faults::Doom;
use parcacik_core::border::{
    Actions, AddTorrent, Command, CommandId, Config, Event, InfoHash, JobId, Notice, RootId, SeedGoal, SocketId,
    Target, TcpId, TorrentId, TorrentSource,
};
use parcacik_core::rng::{Rng, Seeds};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::tracker::server::TrackerServer;
use queue::{Happening, Scheduled};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use topology::Cut;
use turns::Turns;

#[derive(Debug)]
struct Node {
    session: Session,
    disk: MemoryDisk,
    ip: Ipv4Addr,
    notices: Vec<Notice>,
    torrents: BTreeMap<InfoHash, TorrentId>,
    streams: BTreeMap<TcpId, Stream_>,
    sockets: BTreeMap<SocketId, SocketAddr>,
    udp: BTreeMap<SocketId, SocketAddr>,
    /// Sockets that are members of a multicast group: the group.
    members: BTreeMap<SocketId, SocketAddr>,
    next_tcp: u64,
    next_command: u64,
    tick: Option<Time>,
    /// What waits to be sent.
    uplink: Turns<Parcel>,
    /// When its uplink is free again.
    uplink_free: Time,
    /// What came over the network and waits for its own line.
    downlink: Turns<Bytes>,
    /// The stream of what is on that line.
    entering: Option<TcpId>,
    /// When its downlink is free again.
    downlink_free: Time,
    /// The sending halves of its streams. One outlives its stream until all has been sent.
    pipes: BTreeMap<TcpId, Pipe>,
    line: Line,
    nat: Option<Nat>,
    clock: Clock,
    timer_rng: Rng,
    net_rng: Rng,
    disk_rng: Rng,
    /// Syncs that are going to fail.
    failing: BTreeMap<JobId, TorrentId>,
    log: Option<Vec<LogEntry>>,
    alive: bool,
    /// How many sessions it has had.
    life: u64,
    /// Actions until it crashes.
    crash_in: Option<u64>,
    /// How long its disk takes, where that is not the world's usual.
    disk_time: Option<Duration>,
    counts: Counts,
}

/// What waits for a node's uplink.
#[derive(Debug)]
enum Parcel {
    Bytes { tcp: TcpId, bytes: Bytes },
    End { tcp: TcpId },
}

impl Parcel {
    /// The stream it belongs to.
    fn tcp(&self) -> TcpId {
        let (Parcel::Bytes { tcp, .. } | Parcel::End { tcp }) = self;
        *tcp
    }
}

/// The sending half of a stream.
#[derive(Debug)]
struct Pipe {
    other: End,
    /// What has to wait until the other side reads.
    stalled: VecDeque<Parcel>,
    /// Bytes that were sent and not read yet.
    window: u64,
    /// Bytes that were sent, all in all.
    sent: u64,
    doom: Option<Doom>,
    /// Nothing gets through any more, and nobody says so.
    silent: bool,
    /// The other side has hung up in order.
    deaf: bool,
    /// Nothing that is sent now arrives before this: streams keep their order.
    arrives: Time,
    used: Time,
    rng: Rng,
}

/// Who is at the other end of a stream.
#[derive(Clone, Copy, Debug)]
enum End {
    Node(NodeId, TcpId),
    Stranger(StrangerId, LinkId),
}

impl End {
    fn host(self) -> Host {
        match self {
            End::Node(node, _) => Host::Node(node),
            End::Stranger(who, _) => Host::Stranger(who),
        }
    }

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
    audit: Option<Box<Audit>>,
}

/// The world.
#[derive(Debug)]
pub struct World {
    now: Time,
    seq: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    nodes: Vec<Node>,
    seed: WorldSeed,
    limits: Limits,
    faults: Faults,
    cuts: Vec<Cut>,
    next_cut: u64,
    /// What could not get through.
    held: Vec<Happening>,
    config: Config,
    tracker: TrackerServer,
    tracker_up: bool,
    keep_logs: bool,
    traffic: Traffic,
    strangers: Vec<strangers::Guest>,
    trackers: Vec<HostileTracker>,
    terms: Arc<BTreeMap<[u8; 20], Terms>>,
    audit: bool,
    /// Whether nodes look for their neighbours.
    lan: bool,
    /// Whether they take part in the DHT.
    dht: bool,
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
    pub fn new(seed: impl Into<WorldSeed>) -> World {
        World::with(seed, Limits::default(), Config::default())
    }

    /// An empty world with a network and a configuration of one's own.
    pub fn with(seed: impl Into<WorldSeed>, limits: Limits, config: Config) -> World {
        let seed = seed.into();
        World {
            now: Time::ZERO,
            seq: 0,
            queue: BinaryHeap::new(),
            nodes: Vec::new(),
            seed,
            limits,
            faults: Faults::default(),
            cuts: Vec::new(),
            next_cut: 0,
            held: Vec::new(),
            config,
            tracker: TrackerServer::new(Default::default(), &seed.seeds("tracker")),
            tracker_up: true,
            keep_logs: false,
            traffic: Traffic::default(),
            strangers: Vec::new(),
            trackers: Vec::new(),
            terms: Arc::default(),
            audit: true,
            lan: false,
            dht: false,
            watchers: Vec::new(),
            events: 0,
            actions: Actions::new(),
        }
    }

    /// Puts nodes that are added from now on into one local network, where they look for each other (BEP 14).
    pub fn set_lan(&mut self, lan: bool) {
        self.lan = lan;
    }

    /// Has nodes that are added from now on take part in the DHT, and begin with the first node of the world.
    ///
    /// All are in one network here, and networks have their shares of a table: the configuration has to allow for that.
    pub fn set_dht(&mut self, dht: bool) {
        self.dht = dht;
    }

    fn begins(&mut self, node: NodeId) {
        let addr = self.address(node);
        let listen = self.listen(addr);
        self.command(node, listen);
        if self.dht {
            let nodes = vec![Target::Addr(self.address(NodeId(0)))];
            self.command(node, Command::AddDhtNodes { nodes });
        }
    }

    fn listen(&self, addr: SocketAddr) -> Command {
        let (tcp, udp, lsd) = (SocketId(1), Some(SocketId(2)), self.lan.then_some(SocketId(3)));
        Command::Listen { tcp, udp, lsd, dht: self.dht, addr, device: None }
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
        let ip = Ipv4Addr::new(45, 10, 1 + (id.0 / 200) as u8, 1 + (id.0 % 200) as u8);
        let session = Session::new(self.config.clone(), self.life_seeds(id, 0))
            .expect("the configuration is checked by the caller");
        self.nodes.push(Node {
            session,
            disk: MemoryDisk::default(),
            ip,
            notices: Vec::new(),
            torrents: BTreeMap::new(),
            streams: BTreeMap::new(),
            sockets: BTreeMap::new(),
            udp: BTreeMap::new(),
            members: BTreeMap::new(),
            next_tcp: 0,
            next_command: 0,
            tick: None,
            uplink: Turns::new(),
            downlink: Turns::new(),
            entering: None,
            uplink_free: Time::ZERO,
            downlink_free: Time::ZERO,
            pipes: BTreeMap::new(),
            line: Line { upload: self.limits.upload, download: 0, latency: Duration::ZERO },
            nat: None,
            clock: Clock::default(),
            timer_rng: self.seed.rng(&format!("clock/{}", id.0)),
            net_rng: self.seed.rng(&format!("net/node/{}", id.0)),
            disk_rng: self.seed.rng(&format!("disk/{}", id.0)),
            failing: BTreeMap::new(),
            log: self.keep_logs.then(Vec::new),
            alive: true,
            life: 0,
            crash_in: None,
            disk_time: None,
            counts: Counts::default(),
        });
        self.moment(&Moment::Began { node: id });
        self.begins(id);
        id
    }

    /// Whether every byte that a session sends to a peer is read by the [second decoder](crate::second) and held against the
    /// protocol's rules; a breach is a panic. It is at first.
    pub fn set_audit(&mut self, audit: bool) {
        self.audit = audit;
    }

    /// The torrents that the world knows, by info-hash.
    pub(crate) fn terms(&self) -> &BTreeMap<[u8; 20], Terms> {
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

    /// The seeds of a node's session. Each that it has after a crash has others.
    pub fn seeds(&self, node: NodeId) -> Seeds {
        self.life_seeds(node, self.nodes[node.0].life)
    }

    fn life_seeds(&self, node: NodeId, life: u64) -> Seeds {
        self.seed.seeds(&format!("node/{}/life/{life}", node.0))
    }

    /// The seed of the world.
    pub fn seed_of_all(&self) -> WorldSeed {
        self.seed
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

    /// Has a node download content of which it knows the magnet link alone, and stay to seed.
    pub fn magnet(&mut self, node: NodeId, content: &Content, peers: &[SocketAddr]) {
        self.add(node, content, peers, |add| add.source = TorrentSource::Magnet(content.magnet()));
    }

    /// Adds a torrent with options of one's own.
    pub fn add(&mut self, node: NodeId, content: &Content, peers: &[SocketAddr], change: impl FnOnce(&mut AddTorrent)) {
        if !self.terms.contains_key(&content.info_hash) {
            let terms = Terms { bytes: Arc::new(content.bytes.clone()), piece_length: content.piece_length };
            Arc::make_mut(&mut self.terms).insert(content.info_hash, terms);
        }
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
    /// [`World::power_cut`].
    pub fn crash(&mut self, node: NodeId) {
        self.ends(node, true);
    }

    /// Ends a node as a computer that loses its power: nobody hears of it.
    pub fn vanish(&mut self, node: NodeId) {
        self.ends(node, false);
    }

    /// Has a node crash once its session has ordered so many actions more: before the next one is done.
    pub fn crash_in(&mut self, node: NodeId, actions: u64) {
        self.nodes[node.0].crash_in = Some(actions);
    }

    /// Takes [`World::crash_in`] back.
    pub fn no_crash(&mut self, node: NodeId) {
        self.nodes[node.0].crash_in = None;
    }

    fn ends(&mut self, node: NodeId, heard: bool) {
        let at = &mut self.nodes[node.0];
        at.alive = false;
        at.tick = None;
        at.crash_in = None;
        at.sockets.clear();
        at.udp.clear();
        at.uplink.clear();
        at.downlink.clear();
        at.entering = None;
        at.pipes.clear();
        at.failing.clear();
        at.clock.crash();
        at.disk.crash();
        let others: Vec<End> = std::mem::take(&mut at.streams).into_values().map(|s| s.other).collect();
        // Ids begin anew with the next session: what was under way must not answer it.
        self.queue.retain(|Reverse(Scheduled(_, _, what))| {
            let to = match what {
                Happening::Tell(to, _) | Happening::Done(to, ..) | Happening::Listened { node: to, .. } => Some(*to),
                _ => None,
            };
            to != Some(node)
        });
        for other in others {
            let when = self.now + self.limits.latency;
            match other {
                End::Node(other, tcp) if heard => self.schedule(when, Happening::Reset { node: other, tcp }),
                End::Node(other, tcp) => {
                    if let Some(pipe) = self.nodes[other.0].pipes.get_mut(&tcp) {
                        pipe.silent = true;
                    }
                }
                End::Stranger(who, link) => self.schedule(when, Happening::LinkEnds { who, link }),
            }
        }
        self.moment(&Moment::Crashed { node });
    }

    /// Starts a new session in place of one that crashed, on the same disk.
    pub fn restart(&mut self, node: NodeId) {
        self.nodes[node.0].life += 1;
        let seeds = self.seeds(node);
        let at = &mut self.nodes[node.0];
        at.session = Session::new(self.config.clone(), seeds).expect("it worked before");
        at.alive = true;
        at.notices.clear();
        at.torrents.clear();
        self.moment(&Moment::Began { node });
        self.begins(node);
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
        let Some(what) = self.hold(what) else { return true };
        match what {
            Happening::Tell(node, event) => self.tell(node, event),
            Happening::Done(node, job, result) => {
                let at = &mut self.nodes[node.0];
                if let Some(torrent) = at.failing.remove(&job) {
                    let rng = &mut at.disk_rng;
                    at.disk.sync_fails(torrent, || rng.below(2) == 0);
                }
                at.disk.ended(job);
                self.tell(node, Event::JobDone { job, result });
            }
            Happening::Tick(node, due) => self.timer_fires(node, due),
            Happening::Arrive { node, tcp, bytes } => self.arrive(node, tcp, bytes),
            Happening::Enter { node, tcp, bytes } => self.enter(node, tcp, bytes),
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
            Happening::Drain(node) => self.drain(node),
            Happening::Reset { node, tcp } => self.break_stream(node, tcp),
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
