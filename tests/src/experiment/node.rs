//! A peer: its session, and everything that a driver, its disk and its lines do for it.
//!
//! [`Node::run`] lets it live until a moment. What happens to it comes from five places, the earliest first: what follows at
//! once from what it did (jobs, bytes that may be read), what others have sent, the end of a burst on its way up, the
//! end of a chunk on its way down, and its session's deadline. What it does to others is only noted; the
//! [`swarm`](super::swarm) hands it out.

use super::census::Census;
use super::network::{Arrival, BURST, Buffers, Life, Line, PACKET, Segment, Sending, Stream};
use super::tracker::{self, Ask, PORT};
use parcacik_core::border::{
    Action, Actions, Command, CommandId, Event, FileState, IoFault, JobId, JobResult, Notice, SocketId, Target, TcpId,
    TorrentId, Verdict, Work,
};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// What is there for all nodes, and where they put what is for others.
#[derive(Debug)]
pub(super) struct Outside {
    pub latency: Duration,
    /// For whom, when, what.
    pub post: Vec<(u32, Time, Arrival)>,
    pub asks: Vec<Ask>,
    pub buffers: Buffers,
    pub actions: Actions,
    /// Calls to sessions.
    pub events: u64,
    /// When which node got which piece.
    pub pieces: Vec<(Time, u32, u32)>,
}

/// A peer.
#[derive(Debug)]
pub(super) struct Node {
    id: u32,
    pub joins_at: Time,
    /// What it is told first, when it comes.
    pub first: Vec<Command>,
    /// From its coming to its going.
    pub session: Option<Box<Session>>,
    pub torrent: Option<TorrentId>,
    /// How long its file is, and whether it is there.
    size: u64,
    pub has_file: bool,
    /// Whether it leaves when it has everything.
    pub leaves: bool,
    now: Time,
    streams: Vec<Stream>,
    arrivals: Vec<(Time, Arrival)>,
    next_arrival: Time,
    soon: VecDeque<Event>,
    deadline: Option<Time>,
    up: Line,
    /// What goes before the queue.
    up_first: Line,
    turns: VecDeque<u64>,
    sending: Option<Sending>,
    down: Line,
    coming: VecDeque<(u64, Come)>,
    touched: Vec<u64>,
    scratch: Vec<Segment>,
    next_command: u64,

    pub finished_at: Option<Time>,
    /// How many pieces it got, unless it had all from the beginning.
    pub pieces: u32,
    pub has_come_whole: bool,
    pub left: bool,
    pub census: Census,
    /// Bytes of content that have left, and all bytes.
    pub content_sent: u64,
    pub sent: u64,
    pub closed: u64,
}

/// What is on its way down.
#[derive(Debug)]
enum Come {
    Bytes { tcp: u64, segments: Vec<Segment> },
    End { tcp: u64 },
}

/// The name of the listening socket.
const LISTENING: SocketId = SocketId(1);

/// When a nanosecond has passed for sure.
fn after(nanos: u64) -> Time {
    Time(nanos.div_ceil(1_000))
}

fn nanos(time: Time) -> u64 {
    time.as_micros() * 1_000
}

impl Node {
    pub fn new(id: u32, session: Session, joins_at: Time, first: Vec<Command>, size: u64, up: u64, down: u64) -> Node {
        Node {
            id,
            joins_at,
            first,
            session: Some(Box::new(session)),
            torrent: None,
            size,
            has_file: false,
            leaves: false,
            now: Time::ZERO,
            streams: Vec::new(),
            arrivals: Vec::new(),
            next_arrival: Time::NEVER,
            soon: VecDeque::new(),
            deadline: None,
            up: Line::new(up),
            up_first: Line::new(up),
            turns: VecDeque::new(),
            sending: None,
            down: Line::new(down),
            coming: VecDeque::new(),
            touched: Vec::new(),
            scratch: Vec::new(),
            next_command: 0,
            finished_at: None,
            pieces: 0,
            has_come_whole: false,
            left: false,
            census: Census::default(),
            content_sent: 0,
            sent: 0,
            closed: 0,
        }
    }

    fn has_come(&self) -> bool {
        self.first.is_empty()
    }

    /// Something will come to it.
    pub fn expect(&mut self, at: Time, arrival: Arrival) {
        self.arrivals.push((at, arrival));
        self.next_arrival = self.next_arrival.min(at);
    }

    /// Whether something of it is on its way up.
    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// When something happens to it next.
    pub fn next(&self) -> Time {
        let own = if self.has_come() { self.next_own() } else { self.joins_at };
        own.min(self.next_arrival)
    }

    /// The same, without what comes from others.
    fn next_own(&self) -> Time {
        if !self.soon.is_empty() {
            return self.now;
        }
        let up = self.sending.as_ref().map_or(Time::NEVER, |sending| after(sending.end));
        let down = self.coming.front().map_or(Time::NEVER, |&(at, _)| after(at));
        up.min(down).min(self.deadline.unwrap_or(Time::NEVER))
    }

    /// Lives until a moment, that moment not included.
    pub fn run(&mut self, until: Time, out: &mut Outside) {
        if !self.has_come() && self.joins_at < until {
            self.now = self.joins_at;
            for command in std::mem::take(&mut self.first) {
                self.command(command, out);
            }
        }
        // In order of time; of the same time in the order in which they were sent.
        self.arrivals.sort_by_key(|&(at, _)| at);
        let due = self.arrivals.partition_point(|&(at, _)| at < until);
        let mut arrivals = std::mem::take(&mut self.arrivals);
        for (at, arrival) in arrivals.drain(..due) {
            self.live(at, out);
            self.now = self.now.max(at);
            self.arrive(arrival, out);
        }
        self.next_arrival = arrivals.first().map_or(Time::NEVER, |&(at, _)| at);
        self.arrivals = arrivals;
        self.live(until, out);
    }

    /// Does what is its own until a moment.
    fn live(&mut self, until: Time, out: &mut Outside) {
        if !self.has_come() {
            return;
        }
        loop {
            if let Some(event) = self.soon.pop_front() {
                self.tell(event, out);
                continue;
            }
            let next = self.next_own();
            if next >= until {
                return;
            }
            self.now = self.now.max(next);
            if self.sending.as_ref().is_some_and(|sending| after(sending.end) <= next) {
                self.sent_burst(out);
            } else if self.coming.front().is_some_and(|(at, _)| after(*at) <= next) {
                match self.coming.pop_front() {
                    Some((_, Come::Bytes { tcp, segments })) => self.came(tcp, segments, out),
                    Some((_, Come::End { tcp })) => self.ended(tcp, out),
                    None => {}
                }
            } else {
                self.tell(Event::Tick, out);
            }
        }
    }

    fn command(&mut self, command: Command, out: &mut Outside) {
        self.next_command += 1;
        self.tell(Event::Command { id: CommandId(self.next_command), command }, out);
    }

    /// Calls the session and does what it says.
    fn tell(&mut self, event: Event, out: &mut Outside) {
        let Some(session) = &mut self.session else { return };
        out.events += 1;
        let mut actions = std::mem::take(&mut out.actions);
        actions.clear();
        session.handle(self.now, event, &mut actions);
        self.deadline = session.deadline();
        for action in actions.list.drain(..) {
            self.act(action, out);
        }
        self.send_touched(out);
        for notice in actions.notices.drain(..) {
            self.note(notice, out);
        }
        out.actions = actions;
    }

    fn note(&mut self, notice: Notice, out: &mut Outside) {
        match notice {
            Notice::Added { torrent, .. } => self.torrent = Some(torrent),
            Notice::PieceDone { piece, .. } => {
                self.pieces += 1;
                out.pieces.push((self.now, self.id, piece));
            }
            Notice::PeerClosed { .. } => self.closed += 1,
            Notice::Finished { .. } if self.finished_at.is_none() => {
                self.finished_at = Some(self.now);
                if self.leaves {
                    self.next_command += 1;
                    self.soon
                        .push_back(Event::Command { id: CommandId(self.next_command), command: Command::Shutdown });
                }
            }
            Notice::Stopped => self.left = true,
            Notice::CommandFailed { error, .. } => panic!("node {}: {error:?}", self.id),
            _ => {}
        }
    }

    fn act(&mut self, action: Action, out: &mut Outside) {
        match action {
            Action::Bind { sock, addr, .. } => self.soon.push_back(Event::Bound { sock, local: addr }),
            Action::Dial { dial, to, .. } => self.dial(dial, &to, out),
            Action::Send { tcp, bytes } => self.queue(tcp, Segment::Plain(bytes)),
            Action::SendContent { tcp, bytes, .. } => self.queue(tcp, Segment::Content(bytes.len() as u32)),
            Action::Grant { tcp, bytes } => {
                if let Some(stream) = self.streams.get_mut(tcp.0 as usize) {
                    stream.credit += u64::from(bytes);
                    self.read(tcp.0, out);
                }
            }
            Action::Close { tcp, flush } => self.close(tcp.0, flush, out),
            Action::Start { job, work } => self.start(job, work, out),
            Action::Unbind { .. } | Action::Cancel { .. } | Action::CancelDial { .. } => {}
            other => panic!("the experiment does not know {other:?}"),
        }
    }

    fn queue(&mut self, tcp: TcpId, segment: Segment) {
        let stream = self.streams.get_mut(tcp.0 as usize).filter(|stream| stream.life == Life::Open);
        let Some(stream) = stream else { return };
        if let Segment::Plain(bytes) = &segment {
            self.census.read(&mut stream.greeted, bytes);
        }
        stream.sending.push(segment);
        if !std::mem::replace(&mut stream.touched, true) {
            self.touched.push(tcp.0);
        }
    }

    fn start(&mut self, job: JobId, work: Work, out: &mut Outside) {
        let result = match work {
            Work::Http(request) => {
                return out.asks.push(Ask { at: self.now, node: self.id, job, path: request.path });
            }
            Work::Write { .. } => {
                self.has_file = true;
                Ok(JobResult::Done)
            }
            Work::Read { length, .. } => Ok(JobResult::Read(out.buffers.zeros.slice(..length as usize))),
            Work::Verify { .. } => Ok(JobResult::Verified(Verdict { matches: self.has_file, blocks: Vec::new() })),
            Work::Check { .. } | Work::Sync { .. } => {
                let file = self.has_file.then_some(FileState { length: self.size, modified: 1 });
                Ok(JobResult::Checked { files: vec![file], part: None, free: None })
            }
            Work::Load { .. } => Ok(JobResult::Loaded(Vec::new())),
            Work::Open { .. }
            | Work::Release { .. }
            | Work::Save { .. }
            | Work::CreateEmpty { .. }
            | Work::Place { .. }
            | Work::DropPart { .. } => Ok(JobResult::Done),
            _ => Err(IoFault::Unsupported),
        };
        self.soon.push_back(Event::JobDone { job, result });
    }
}

/// Streams.
impl Node {
    fn dial(&mut self, dial: parcacik_core::border::DialId, to: &Target, out: &mut Outside) {
        let Some(peer) = (match to {
            Target::Addr(addr) => tracker::node_at(*addr),
            Target::Host { .. } => None,
        }) else {
            self.soon.push_back(Event::DialFailed { dial, fault: IoFault::Refused });
            return;
        };
        let tcp = self.streams.len() as u64;
        self.streams.push(Stream::new(Life::Dialled(dial), peer, 0));
        out.post.push((peer, self.now + out.latency, Arrival::Syn { from: self.id, theirs: tcp }));
    }

    fn arrive(&mut self, arrival: Arrival, out: &mut Outside) {
        match arrival {
            Arrival::Syn { from, theirs } => {
                if !self.has_come() || self.left {
                    out.post.push((from, self.now + out.latency, Arrival::Refused { tcp: theirs }));
                    return;
                }
                let tcp = self.streams.len() as u64;
                self.streams.push(Stream::new(Life::Open, from, theirs));
                out.post.push((from, self.now + out.latency, Arrival::Answered { tcp: theirs, theirs: tcp }));
                let local = tracker::address(self.id);
                let mut remote = tracker::address(from);
                remote.set_port(PORT + 1 + (theirs % 50_000) as u16);
                self.tell(Event::Accepted { sock: LISTENING, tcp: TcpId(tcp), local, remote }, out);
            }
            Arrival::Answered { tcp, theirs } => {
                let stream = &mut self.streams[tcp as usize];
                let Life::Dialled(dial) = stream.life else { return };
                stream.life = Life::Open;
                stream.theirs = theirs;
                let (local, remote) = (tracker::address(self.id), tracker::address(stream.peer));
                self.tell(Event::Connected { dial, tcp: TcpId(tcp), local, remote }, out);
            }
            Arrival::Refused { tcp } => {
                let stream = &mut self.streams[tcp as usize];
                let Life::Dialled(dial) = stream.life else { return };
                stream.life = Life::Closed;
                self.tell(Event::DialFailed { dial, fault: IoFault::Refused }, out);
            }
            Arrival::Chunk { tcp, start, segments, bytes } => {
                let first = start + out.latency.as_nanos() as u64;
                let (_, through) = self.down.serve(first, bytes);
                // Not before its last byte has come.
                let through = through.max(nanos(self.now));
                self.down.free = through;
                if through == nanos(self.now) && self.coming.is_empty() {
                    self.came(tcp, segments, out);
                } else {
                    self.coming.push_back((through, Come::Bytes { tcp, segments }));
                }
            }
            Arrival::End { tcp } => {
                if self.coming.is_empty() {
                    self.ended(tcp, out);
                } else {
                    let through = self.down.free.max(nanos(self.now));
                    self.coming.push_back((through, Come::End { tcp }));
                }
            }
            Arrival::Told { job, body } => {
                let result = Ok(tracker::http(body));
                self.tell(Event::JobDone { job, result }, out);
            }
        }
    }

    /// Bytes are through the downlink.
    fn came(&mut self, tcp: u64, mut segments: Vec<Segment>, out: &mut Outside) {
        let stream = &mut self.streams[tcp as usize];
        if stream.life == Life::Closed || stream.life == Life::Ending {
            return;
        }
        for segment in segments.drain(..) {
            stream.unread.push(segment);
        }
        out.buffers.emptied(segments);
        self.read(tcp, out);
    }

    /// Reads as much as the session allows.
    fn read(&mut self, tcp: u64, out: &mut Outside) {
        let stream = &mut self.streams[tcp as usize];
        while stream.credit > 0 && stream.unread.len() > 0 {
            let most = usize::try_from(stream.credit).unwrap_or(BURST).min(BURST);
            let taken = stream.unread.take(most, &mut self.scratch);
            stream.credit -= taken as u64;
            let bytes = out.buffers.join(&mut self.scratch);
            self.soon.push_back(Event::Received { tcp: TcpId(tcp), bytes });
        }
        if stream.ended && stream.unread.len() == 0 && stream.life == Life::Open {
            stream.life = Life::Closed;
            stream.sending.clear();
            self.soon.push_back(Event::Closed { tcp: TcpId(tcp), fault: None });
        }
    }

    fn ended(&mut self, tcp: u64, out: &mut Outside) {
        self.streams[tcp as usize].ended = true;
        self.read(tcp, out);
    }

    fn close(&mut self, tcp: u64, flush: bool, out: &mut Outside) {
        let Some(stream) = self.streams.get_mut(tcp as usize) else { return };
        if stream.life != Life::Open {
            return;
        }
        stream.unread.clear();
        stream.life = Life::Ending;
        if !flush {
            stream.sending.clear();
        }
        if stream.sending.len() == 0 && !stream.in_turn {
            self.end(tcp, self.now, out);
        }
    }

    /// Tells the other side that a stream is over, behind what left for it until `at`.
    fn end(&mut self, tcp: u64, at: Time, out: &mut Outside) {
        let stream = &mut self.streams[tcp as usize];
        stream.life = Life::Closed;
        out.post.push((stream.peer, at + out.latency, Arrival::End { tcp: stream.theirs }));
    }

    /// Has what was queued during an event take its place.
    fn send_touched(&mut self, out: &mut Outside) {
        let mut touched = std::mem::take(&mut self.touched);
        for tcp in touched.drain(..) {
            let stream = &mut self.streams[tcp as usize];
            stream.touched = false;
            if stream.in_turn || stream.sending.len() == 0 {
                continue;
            }
            if stream.sending.len() <= PACKET {
                self.send_at_once(tcp, out);
            } else {
                stream.in_turn = true;
                self.turns.push_back(tcp);
            }
        }
        self.touched = touched;
        if self.sending.is_none() {
            self.next_burst(out);
        }
    }

    /// A packet that goes before the queue: what is on its way up ends later by so much.
    fn send_at_once(&mut self, tcp: u64, out: &mut Outside) {
        let now = nanos(self.now);
        let stream = &mut self.streams[tcp as usize];
        let mut segments = out.buffers.list();
        let bytes = stream.sending.take(PACKET, &mut segments);
        let (start, end) = self.up_first.serve(now, bytes);
        let took = self.up.takes(bytes);
        match &mut self.sending {
            Some(sending) => {
                sending.end += took;
                self.up.free += took;
            }
            None => self.up.free = self.up.free.max(now) + took,
        }
        self.left_home(tcp, start, end, segments, bytes, out);
        if self.streams[tcp as usize].life == Life::Ending {
            self.end(tcp, after(end), out);
        }
    }

    /// The next stream has its turn.
    fn next_burst(&mut self, out: &mut Outside) {
        let now = nanos(self.now);
        while let Some(tcp) = self.turns.pop_front() {
            let stream = &mut self.streams[tcp as usize];
            let mut segments = out.buffers.list();
            let bytes = stream.sending.take(BURST, &mut segments);
            if bytes == 0 {
                out.buffers.emptied(segments);
                stream.in_turn = false;
                continue;
            }
            let (start, end) = self.up.serve(now, bytes);
            self.sending = Some(Sending { tcp, start, end, segments, bytes });
            return;
        }
    }

    /// A burst has left.
    fn sent_burst(&mut self, out: &mut Outside) {
        let Some(Sending { tcp, start, end, segments, bytes }) = self.sending.take() else { return };
        self.left_home(tcp, start, end, segments, bytes, out);
        let stream = &mut self.streams[tcp as usize];
        if stream.sending.len() > 0 {
            self.turns.push_back(tcp);
        } else {
            stream.in_turn = false;
            if stream.life == Life::Ending {
                self.end(tcp, after(end), out);
            }
        }
        self.next_burst(out);
    }

    fn left_home(&mut self, tcp: u64, start: u64, end: u64, segments: Vec<Segment>, bytes: usize, out: &mut Outside) {
        self.sent += bytes as u64;
        let content = segments.iter().map(|segment| match segment {
            Segment::Content(length) => u64::from(*length),
            Segment::Plain(_) => 0,
        });
        self.content_sent += content.sum::<u64>();
        let stream = &self.streams[tcp as usize];
        let chunk = Arrival::Chunk { tcp: stream.theirs, start, segments, bytes };
        out.post.push((stream.peer, after(end) + out.latency, chunk));
        if stream.life == Life::Open {
            self.soon.push_back(Event::Flushed { tcp: TcpId(tcp), bytes: bytes as u64 });
        }
    }
}
