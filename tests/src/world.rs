//! The world: sessions, the network between them, and what their drivers would do.

use crate::content::Content;
use crate::disk::MemoryDisk;
use bytes::{Bytes, BytesMut};
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, DialId, Event, HttpRequest, HttpResponse, InfoHash,
    IoFault, JobId, JobResult, Notice, RootId, SeedGoal, SocketId, SocketKind, Target, TcpId, TorrentId, Work,
};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::tracker::server::TrackerServer;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// A session of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// How streams cut what they deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// As much as credit allows.
    Whole,
    /// At most so many bytes at a time.
    AtMost(usize),
    /// A random number of bytes up to this.
    Random(usize),
}

/// What the network is like.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One way, in time.
    pub latency: Duration,
    /// What a node can send, in bytes a second.
    pub upload: u64,
    /// How streams cut what they deliver.
    pub split: Split,
    /// How long disk work takes.
    pub disk: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            latency: Duration::from_millis(5),
            upload: 10_000_000,
            split: Split::Whole,
            disk: Duration::from_micros(200),
        }
    }
}

/// One call to a session, as it was: enough to make it again.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// When.
    pub now: Time,
    /// What happened.
    pub event: Event,
    /// What the session did.
    pub actions: Vec<Action>,
    /// What it told.
    pub notices: Vec<Notice>,
    /// The ranges of the event's bytes that it took as content.
    pub opaque: Vec<Range<u32>>,
}

/// What was waited for did not come.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// The time at which nothing was left to happen, or patience ended.
    pub at: Time,
    /// What each node was doing.
    pub states: Vec<String>,
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "stuck at {:?}", self.at)?;
        self.states.iter().try_for_each(|state| writeln!(f, "  {state}"))
    }
}

impl std::error::Error for Stuck {}

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
    /// When its uplink is free again.
    uplink_free: Time,
    log: Option<Vec<LogEntry>>,
    alive: bool,
    /// How long its disk takes, where that is not the world's usual.
    disk_time: Option<Duration>,
}

/// One end of a stream.
#[derive(Debug)]
struct Stream_ {
    other: (NodeId, TcpId),
    credit: u64,
    inbox: VecDeque<Bytes>,
    closing: bool,
}

#[derive(Debug)]
enum Happening {
    Tell(NodeId, Event),
    Arrive { node: NodeId, tcp: TcpId, bytes: Bytes },
    Left { node: NodeId, tcp: TcpId, bytes: u64 },
    End { node: NodeId, tcp: TcpId },
    Credit { node: NodeId, tcp: TcpId },
    Tick(NodeId, Time),
    Listened { node: NodeId, dial: DialId, to: SocketAddr, from_port: u16 },
}

#[derive(Debug)]
struct Scheduled(Time, u64, Happening);

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
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
            events: 0,
            actions: Actions::new(),
        }
    }

    /// Takes the tracker away, or brings it back.
    pub fn set_tracker(&mut self, up: bool) {
        self.tracker_up = up;
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
            uplink_free: Time::ZERO,
            log: self.keep_logs.then(Vec::new),
            alive: true,
            disk_time: None,
        });
        let addr = SocketAddr::new(IpAddr::V4(ip), PORT);
        self.command(id, Command::Listen { tcp: SocketId(1), udp: Some(SocketId(2)), addr, device: None });
        id
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
        let mut add = AddTorrent {
            metainfo: content.metainfo.clone(),
            root: RootId(0),
            extra_trackers: Vec::new(),
            use_trackers: true,
            peers: peers.iter().map(|&addr| Target::Addr(addr)).collect(),
            goal: SeedGoal::Forever,
            overwrite: false,
            recheck: false,
            seed_only: false,
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
        // Ids begin anew with the next session: what was under way must not answer it.
        self.queue.retain(|Reverse(Scheduled(_, _, what))| {
            !matches!(what, Happening::Tell(to, _) | Happening::Listened { node: to, .. } if *to == node)
        });
        let at = &mut self.nodes[node.0];
        let others: Vec<(NodeId, TcpId)> = std::mem::take(&mut at.streams).into_values().map(|s| s.other).collect();
        for (other, tcp) in others {
            let when = self.now + self.limits.latency;
            self.nodes[other.0].streams.remove(&tcp);
            self.schedule(when, Happening::Tell(other, Event::Closed { tcp, fault: Some(IoFault::Reset) }));
        }
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
                    stream.inbox.push_back(bytes);
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
        }
        true
    }

    fn stuck(&self) -> Stuck {
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

    /// Calls a session and does what it orders.
    fn tell(&mut self, node: NodeId, event: Event) {
        if !self.nodes[node.0].alive {
            return;
        }
        self.events += 1;
        let mut out = std::mem::take(&mut self.actions);
        out.clear();
        let at = &mut self.nodes[node.0];
        let kept = at.log.is_some().then(|| event.clone());
        at.session.handle(self.now, event, &mut out);
        if let (Some(log), Some(event)) = (&mut at.log, kept) {
            log.push(LogEntry {
                now: self.now,
                event,
                actions: out.list.clone(),
                notices: out.notices.clone(),
                opaque: out.opaque.clone(),
            });
        }
        for notice in &out.notices {
            if let Notice::Added { torrent, hashes, .. } = notice {
                at.torrents.insert(hashes.best(), *torrent);
            }
        }
        at.notices.append(&mut out.notices);
        let deadline = at.session.deadline();
        if deadline != at.tick {
            at.tick = deadline;
            if let Some(due) = deadline {
                // A deadline in the past would be a busy loop: the session must have dealt with it.
                assert!(due > self.now, "node {}: deadline {due:?} is not after {:?}", node.0, self.now);
                self.schedule(due, Happening::Tick(node, due));
            }
        }
        for action in out.list.drain(..) {
            self.act(node, action);
        }
        self.actions = out;
    }

    fn act(&mut self, node: NodeId, action: Action) {
        let soon = self.now;
        match action {
            Action::Bind { sock, kind, addr, .. } => {
                if kind == SocketKind::TcpListener {
                    self.nodes[node.0].sockets.insert(sock, addr);
                }
                self.schedule(soon, Happening::Tell(node, Event::Bound { sock, local: addr }));
            }
            Action::Unbind { sock } => {
                self.nodes[node.0].sockets.remove(&sock);
            }
            Action::Dial { dial, to, .. } => {
                let Target::Addr(to) = to else {
                    let event = Event::DialFailed { dial, fault: IoFault::NotFound };
                    return self.schedule(soon, Happening::Tell(node, event));
                };
                let from_port = 20_000 + (self.seq % 40_000) as u16;
                self.schedule(soon + self.limits.latency * 2, Happening::Listened { node, dial, to, from_port });
            }
            Action::CancelDial { .. } => {}
            Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => self.send(node, tcp, bytes),
            Action::Grant { tcp, bytes } => {
                if let Some(stream) = self.nodes[node.0].streams.get_mut(&tcp) {
                    stream.credit += u64::from(bytes);
                    self.schedule(soon, Happening::Credit { node, tcp });
                }
            }
            Action::Close { tcp, flush } => self.close(node, tcp, flush),
            Action::SendDatagrams { sock, to, bytes, .. } => {
                if to == TRACKER && self.tracker_up {
                    let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), PORT);
                    if let Some(answer) = self.tracker.udp(self.now, from, &bytes) {
                        let event = Event::Datagrams {
                            sock,
                            from: to,
                            segment: answer.len() as u16,
                            bytes: Bytes::from(answer),
                        };
                        self.schedule(soon + self.limits.latency * 2, Happening::Tell(node, event));
                    }
                }
            }
            Action::Start { job, work } => self.start(node, job, work),
            Action::GrantJob { .. } | Action::Cancel { .. } => {}
            other => panic!("the world does not know {other:?}"),
        }
    }

    fn start(&mut self, node: NodeId, job: JobId, work: Work) {
        let done = self.nodes[node.0].disk.work(&work);
        let (delay, result) = match (done, work) {
            (Some(result), _) => (self.nodes[node.0].disk_time.unwrap_or(self.limits.disk), result),
            (None, Work::Resolve { host }) => {
                let found = host.parse().map(|ip| JobResult::Resolved(vec![ip])).map_err(|_| IoFault::NotFound);
                (self.limits.latency * 2, found)
            }
            (None, Work::Http(request)) => (self.limits.latency * 4, self.http(node, &request)),
            (None, other) => panic!("the world cannot do {other:?}"),
        };
        self.schedule(self.now + delay, Happening::Tell(node, Event::JobDone { job, result }));
    }

    fn http(&mut self, node: NodeId, request: &HttpRequest) -> Result<JobResult, IoFault> {
        if request.to != TRACKER || !self.tracker_up {
            return Err(IoFault::Refused);
        }
        let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), 40_000);
        let answer = self.tracker.http(self.now, from, request.path.as_bytes());
        Ok(JobResult::Http(HttpResponse {
            status: answer.status,
            location: None,
            retry_after: None,
            body: Bytes::from(answer.body),
        }))
    }

    fn answer_dial(&mut self, node: NodeId, dial: DialId, to: SocketAddr, from_port: u16) {
        let listening =
            self.nodes.iter().position(|other| other.alive && other.sockets.values().any(|&addr| addr == to));
        let Some(other) = listening.map(NodeId) else {
            return self.tell(node, Event::DialFailed { dial, fault: IoFault::Refused });
        };
        let (near, far) = (self.new_tcp(node), self.new_tcp(other));
        let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), from_port);
        let stream = |other| Stream_ { other, credit: 0, inbox: VecDeque::new(), closing: false };
        self.nodes[node.0].streams.insert(near, stream((other, far)));
        self.nodes[other.0].streams.insert(far, stream((node, near)));
        let sock = *self.nodes[other.0].sockets.keys().next().expect("it listens");
        self.schedule(self.now, Happening::Tell(other, Event::Accepted { sock, tcp: far, local: to, remote: from }));
        self.tell(node, Event::Connected { dial, tcp: near, local: from, remote: to });
    }

    fn new_tcp(&mut self, node: NodeId) -> TcpId {
        let at = &mut self.nodes[node.0];
        at.next_tcp += 1;
        TcpId(at.next_tcp)
    }

    fn send(&mut self, node: NodeId, tcp: TcpId, bytes: Bytes) {
        let at = &mut self.nodes[node.0];
        let Some(stream) = at.streams.get(&tcp) else { return };
        let (other, far) = stream.other;
        let span = Duration::from_micros((bytes.len() as u64).saturating_mul(1_000_000) / self.limits.upload.max(1));
        let left = at.uplink_free.max(self.now) + span;
        at.uplink_free = left;
        let count = bytes.len() as u64;
        self.schedule(left, Happening::Left { node, tcp, bytes: count });
        self.schedule(left + self.limits.latency, Happening::Arrive { node: other, tcp: far, bytes });
    }

    /// Hands over what has arrived, within credit; then the end, if it has come.
    fn deliver(&mut self, node: NodeId, tcp: TcpId) {
        loop {
            let split = match self.limits.split {
                Split::Whole => usize::MAX,
                Split::AtMost(most) => most,
                Split::Random(most) => 1 + self.rng.index(most),
            };
            let Some(stream) = self.nodes[node.0].streams.get_mut(&tcp) else { return };
            let room = usize::try_from(stream.credit).unwrap_or(usize::MAX).min(split).min(256 * 1024);
            if stream.inbox.is_empty() {
                if stream.closing {
                    self.nodes[node.0].streams.remove(&tcp);
                    self.tell(node, Event::Closed { tcp, fault: None });
                }
                return;
            }
            if room == 0 {
                return;
            }
            let mut chunk = BytesMut::new();
            while chunk.len() < room {
                let Some(mut next) = stream.inbox.pop_front() else { break };
                let part = next.split_to(next.len().min(room - chunk.len()));
                chunk.extend_from_slice(&part);
                if !next.is_empty() {
                    stream.inbox.push_front(next);
                }
            }
            stream.credit -= chunk.len() as u64;
            self.tell(node, Event::Received { tcp, bytes: chunk.freeze() });
        }
    }

    fn close(&mut self, node: NodeId, tcp: TcpId, _flush: bool) {
        let Some(stream) = self.nodes[node.0].streams.remove(&tcp) else { return };
        let (other, far) = stream.other;
        // Behind everything that is on its way.
        let when = self.nodes[node.0].uplink_free.max(self.now) + self.limits.latency;
        self.schedule(when, Happening::End { node: other, tcp: far });
    }
}
