//! The stage of a dialogue: one session of ours, its disk, and streams to peers that do what the script says.
//!
//! Settings that `config` knows: `choke.slots`, `pick.end_game_requesters`, `session.max_connections`, `peer.max_message_length`,
//! `announce.prefer_udp`, `announce.all_trackers`.

use super::say;
use super::trackers::Desk;
use crate::content::Content;
use crate::disk::MemoryDisk;
use crate::second::{Range, Word};
use bytes::{Bytes, BytesMut};
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, DialId, Event, InfoHash, IoFault, JobId, Notice, PeerId,
    RootId, SeedGoal, SocketId, SocketKind, Target, TcpId, TorrentId, Work,
};
use parcacik_core::journal::text::{Kind, Line, Transcript, Value};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where we listen.
const US: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(45, 10, 1, 1)), 6881);
/// The most ticks while a script waits once: more is a loop.
const MAX_TICKS: u32 = 100_000;

/// What of a line is left out: numbers of things and secrets.
const HIDDEN_FIELDS: [&str; 15] = [
    "torrent",
    "dial",
    "job",
    "peer",
    "expect",
    "transaction",
    "key",
    "command",
    "user-agent",
    "body-limit",
    "time-limit",
    "socket",
    "from-socket",
    "reserved",
    "hashes",
];
/// Work that is shown.
const SHOWN_WORK: [&str; 5] = ["read", "write", "verify", "resolve", "get"];
/// Notices that are not shown.
const HIDDEN_NOTICES: [&str; 4] = ["checked", "saved", "command done", "listening"];

/// What the script says before anything happens.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) content: Content,
    pub(super) have: Vec<u32>,
    pub(super) config: Config,
    pub(super) add: AddTorrent,
    pub(super) hosts: BTreeMap<String, Vec<IpAddr>>,
    pub(super) delivery: Delivery,
}

/// How what a peer says comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All that is said by one line of the script in one go.
    Lines,
    /// Each message by itself.
    Messages,
    /// Each message by itself, in parts of so many bytes, long ones in some twenty parts.
    Parts(usize),
}

/// A stream to a peer.
#[derive(Debug)]
struct Talk {
    letter: char,
    credit: usize,
    /// What the peer has said and we have not been able to read.
    inbox: VecDeque<Bytes>,
    /// What we have asked for.
    asked: Vec<Range>,
    /// What we have sent and has not left.
    unsent: u64,
    reading: bool,
}

/// The stage.
#[derive(Debug)]
pub(super) struct Stage {
    now: Time,
    session: Session,
    transcript: Transcript,
    disk: MemoryDisk,
    pub(super) setup: Setup,
    torrent: Option<TorrentId>,
    next_tcp: u64,
    next_command: u64,
    talks: BTreeMap<TcpId, Talk>,
    dials: Vec<(DialId, SocketAddr)>,
    happening: VecDeque<Event>,
    /// Work that the disk has not begun; `None`: it does all at once.
    waiting: Option<Vec<(JobId, Work)>>,
    pub(super) desk: Desk,
    /// What our side calls itself.
    pub(super) our_id: [u8; 20],
    /// When the script began to wait.
    since: Option<Time>,
    shown: Vec<String>,
}

/// The address of a peer.
fn address(letter: char) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(45, 11, letter as u8 - b'A', 1)), 6881)
}

/// The peer at an address.
fn letter_at(ip: IpAddr) -> Option<char> {
    match ip {
        IpAddr::V4(ip) => match ip.octets() {
            [45, 11, number @ 0..26, 1] => Some((b'A' + number) as char),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

impl Stage {
    pub(super) fn new(setup: Setup) -> Stage {
        let seeds = Seeds::for_tests(1);
        let transcript = Transcript::new(&setup.config);
        let session = Session::new(setup.config.clone(), seeds).expect("settings that a script can name are sound");
        let mut disk = MemoryDisk::default();
        if !setup.have.is_empty() {
            let mut bytes = setup.content.bytes.clone();
            let length = setup.content.piece_length as usize;
            let parts = bytes.chunks_mut(length).enumerate();
            parts.filter(|(at, _)| !setup.have.contains(&(*at as u32))).for_each(|(_, piece)| piece.fill(0));
            disk.put(&setup.content.name, bytes);
        }
        Stage {
            now: Time::ZERO,
            session,
            transcript,
            disk,
            setup,
            torrent: None,
            next_tcp: 1,
            next_command: 1,
            talks: BTreeMap::new(),
            dials: Vec::new(),
            happening: VecDeque::new(),
            waiting: None,
            desk: Desk::default(),
            our_id: [0; 20],
            since: None,
            shown: Vec::new(),
        }
    }

    /// Listens and adds the torrent.
    pub(super) fn begin(&mut self) {
        let listen =
            Command::Listen { tcp: SocketId(1), udp: Some(SocketId(2)), lsd: None, dht: false, addr: US, device: None };
        self.command(listen);
        self.settle();
        self.shown.clear();
        let add = Command::Add(Box::new(self.setup.add.clone()));
        self.command(add);
        self.settle();
    }

    /// Takes what was shown since the last time.
    pub(super) fn take_shown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.shown)
    }

    pub(super) fn torrent(&self) -> Result<TorrentId, String> {
        self.torrent.ok_or_else(|| "there is no torrent yet".to_owned())
    }

    pub(super) fn command(&mut self, command: Command) {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.happens(Event::Command { id, command });
    }

    pub(super) fn happens(&mut self, event: Event) {
        self.happening.push_back(event);
    }

    /// Tells the session everything that has happened, and what follows from it, until nothing is left for now.
    pub(super) fn settle(&mut self) {
        loop {
            if let Some(event) = self.happening.pop_front() {
                self.tell(event);
            } else if let Some(event) = self.readable() {
                self.tell(event);
            } else if let Some(event) = self.flushed() {
                self.tell(event);
            } else {
                return;
            }
        }
    }

    /// What a stream brings next, as far as there is credit.
    fn readable(&mut self) -> Option<Event> {
        let delivery = self.setup.delivery;
        let (tcp, talk) = self.talks.iter_mut().find(|(_, talk)| talk.credit > 0 && !talk.inbox.is_empty())?;
        let mut bytes = BytesMut::new();
        while let Some(first) = talk.inbox.front_mut()
            && talk.credit > 0
        {
            let most = if let Delivery::Parts(most) = delivery { most.max(first.len() / 8) } else { usize::MAX };
            let part = first.split_to(first.len().min(talk.credit).min(most));
            talk.credit -= part.len();
            bytes.extend_from_slice(&part);
            if first.is_empty() {
                talk.inbox.pop_front();
            }
            if delivery != Delivery::Lines {
                break;
            }
        }
        Some(Event::Received { tcp: *tcp, bytes: bytes.freeze() })
    }

    fn flushed(&mut self) -> Option<Event> {
        let (tcp, talk) = self.talks.iter_mut().find(|(_, talk)| talk.reading && talk.unsent > 0)?;
        Some(Event::Flushed { tcp: *tcp, bytes: std::mem::take(&mut talk.unsent) })
    }

    fn tell(&mut self, event: Event) {
        let mut out = Actions::new();
        self.session.handle(self.now, event.clone(), &mut out);
        let entry = self.transcript.add(self.now, &event, &out);
        for line in entry.lines {
            self.note(&line);
            self.show(line);
        }
        for notice in &out.notices {
            if let Notice::Added { torrent, .. } = notice {
                self.torrent = Some(*torrent);
            }
        }
        for action in out.list {
            self.act(action);
        }
    }

    /// Takes down what our side has asked for, and its name.
    fn note(&mut self, line: &Line) {
        if line.kind != Kind::Sent {
            return;
        }
        let id = line.fields.iter().find_map(|(_, value)| match value {
            Value::PeerId(id) => Some(*id),
            _ => None,
        });
        if let Some(PeerId(id)) = id {
            self.our_id = id;
        }
        let Some(talk) = line.tcp.and_then(|tcp| self.talks.get_mut(&tcp)) else { return };
        let number = |name| {
            line.fields.iter().find_map(|(found, value)| match value {
                Value::Piece(number) if *found == name => Some(*number),
                Value::Number(number) if *found == name => u32::try_from(*number).ok(),
                _ => None,
            })
        };
        let (Some(piece), Some(begin), Some(length)) = (number("piece"), number("begin"), number("length")) else {
            return;
        };
        let range = Range { piece, begin, length };
        match line.word {
            "request" => talk.asked.push(range),
            "cancel" => talk.asked.retain(|asked| *asked != range),
            _ => {}
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Bind { sock, kind, addr, .. } => {
                debug_assert!(matches!(kind, SocketKind::TcpListener | SocketKind::Udp));
                self.happens(Event::Bound { sock, local: addr });
            }
            Action::Dial { dial, to: Target::Addr(to), .. } => self.dials.push((dial, to)),
            Action::Dial { dial, .. } => self.happens(Event::DialFailed { dial, fault: IoFault::NotFound }),
            Action::CancelDial { dial } => {
                self.dials.retain(|(other, _)| *other != dial);
                self.happens(Event::DialFailed { dial, fault: IoFault::Cancelled });
            }
            Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => {
                if let Some(talk) = self.talks.get_mut(&tcp) {
                    talk.unsent += bytes.len() as u64;
                }
            }
            Action::Grant { tcp, bytes } => {
                if let Some(talk) = self.talks.get_mut(&tcp) {
                    talk.credit += bytes as usize;
                }
            }
            Action::Close { tcp, .. } => _ = self.talks.remove(&tcp),
            Action::SendDatagrams { to, bytes, .. } => self.desk.datagrams.push((to, bytes)),
            Action::Start { job, work } => self.start(job, work),
            Action::Cancel { job } if self.desk.forget(job) => {
                self.happens(Event::JobDone { job, result: Err(IoFault::Cancelled) });
            }
            _ => {}
        }
    }

    fn start(&mut self, job: JobId, work: Work) {
        match work {
            Work::Resolve { host } => {
                let found = self.setup.hosts.get(&host).cloned().ok_or(IoFault::NotFound);
                let result = found.map(parcacik_core::border::JobResult::Resolved);
                self.happens(Event::JobDone { job, result });
            }
            Work::Http(request) => self.desk.requests.push((job, request)),
            work => match &mut self.waiting {
                Some(waiting) => waiting.push((job, work)),
                None => {
                    let result = self.disk.work(&work).expect("it is disk work");
                    self.happens(Event::JobDone { job, result });
                }
            },
        }
    }

    /// Lets time pass, and the session be called whenever it wants to.
    pub(super) fn wait(&mut self, span: Duration) -> Result<(), String> {
        let until = self.now + span;
        self.since = Some(self.now);
        for _ in 0..MAX_TICKS {
            match self.session.deadline() {
                Some(due) if due <= until => {
                    self.now = self.now.max(due);
                    self.happens(Event::Tick);
                    self.settle();
                }
                _ => {
                    self.now = until;
                    self.since = None;
                    return Ok(());
                }
            }
        }
        Err("the session wants to be called again and again".to_owned())
    }

    /// A stream from a peer.
    pub(super) fn dialled_by(&mut self, letter: char) {
        let tcp = self.open(letter);
        let remote = SocketAddr::new(address(letter).ip(), 50_000 + tcp.0 as u16);
        self.happens(Event::Accepted { sock: SocketId(1), tcp, local: US, remote });
    }

    /// The peer takes our dial, or does not.
    pub(super) fn dial_ends(&mut self, letter: char, accepts: bool) -> Result<(), String> {
        let at = self.dials.iter().position(|(_, to)| letter_at(to.ip()) == Some(letter));
        let (dial, remote) = self.dials.remove(at.ok_or(format!("we do not dial {letter}"))?);
        let event = if accepts {
            Event::Connected { dial, tcp: self.open(letter), local: SocketAddr::new(US.ip(), 40_000), remote }
        } else {
            Event::DialFailed { dial, fault: IoFault::Refused }
        };
        self.happens(event);
        Ok(())
    }

    fn open(&mut self, letter: char) -> TcpId {
        let tcp = TcpId(self.next_tcp);
        self.next_tcp += 1;
        let talk = Talk { letter, credit: 0, inbox: VecDeque::new(), asked: Vec::new(), unsent: 0, reading: true };
        self.talks.insert(tcp, talk);
        tcp
    }

    /// The stream of a peer that was opened last.
    fn talk(&mut self, letter: char) -> Result<(TcpId, &mut Talk), String> {
        let found = self.talks.iter_mut().rev().find(|(_, talk)| talk.letter == letter);
        found.map(|(tcp, talk)| (*tcp, talk)).ok_or(format!("there is no stream to {letter}"))
    }

    /// The peer says a message.
    pub(super) fn says(&mut self, letter: char, message: Vec<u8>) -> Result<(), String> {
        self.talk(letter)?.1.inbox.push_back(message.into());
        Ok(())
    }

    /// The peer answers the first `count` requests, by blocks or by rejecting them.
    pub(super) fn answers(
        &mut self,
        letter: char,
        count: Option<usize>,
        answer: fn(Range, &Content) -> Word,
    ) -> Result<(), String> {
        let (_, talk) = self.talk(letter)?;
        let count = count.unwrap_or(talk.asked.len());
        if count == 0 || count > talk.asked.len() {
            return Err(format!("{letter} was asked for {} blocks", talk.asked.len()));
        }
        let ranges: Vec<Range> = talk.asked.drain(..count).collect();
        ranges.into_iter().try_for_each(|range| {
            let message = answer(range, &self.setup.content).bytes();
            self.says(letter, message)
        })
    }

    pub(super) fn ends(&mut self, letter: char, fault: Option<IoFault>) -> Result<(), String> {
        let (tcp, _) = self.talk(letter)?;
        self.talks.remove(&tcp);
        self.happens(Event::Closed { tcp, fault });
        Ok(())
    }

    pub(super) fn reads(&mut self, letter: char, reading: bool) -> Result<(), String> {
        self.talk(letter)?.1.reading = reading;
        Ok(())
    }

    pub(super) fn address(letter: char) -> SocketAddr {
        address(letter)
    }

    pub(super) fn disk_fails(&mut self, work: &'static str, fault: IoFault) {
        self.disk.faults.insert(work, fault);
    }

    pub(super) fn disk_works(&mut self) {
        self.disk.faults.clear();
    }

    pub(super) fn disk_waits(&mut self) {
        self.waiting.get_or_insert_with(Vec::new);
    }

    pub(super) fn disk_goes_on(&mut self) {
        for (job, work) in self.waiting.take().unwrap_or_default() {
            self.start(job, work);
        }
    }

    /// Writes down a line, if it is one that is shown.
    fn show(&mut self, mut line: Line) {
        let work = line.fields.iter().find_map(|(name, value)| match value {
            Value::Word(word) if *name == "work" => Some(*word),
            _ => None,
        });
        let shown = match line.kind {
            Kind::Event | Kind::Received => false,
            Kind::Sent => true,
            Kind::Notice => !HIDDEN_NOTICES.contains(&line.word),
            Kind::Action => match line.word {
                "start" | "cancel job" => work.is_some_and(|work| SHOWN_WORK.contains(&work)),
                "dial" | "cancel dial" | "close" => true,
                _ => false,
            },
        };
        if !shown {
            return;
        }
        let whom = match (line.tcp, line.remote) {
            (Some(_), Some(remote)) => letter_at(remote.ip()).map_or_else(|| remote.to_string(), String::from),
            _ if line.kind == Kind::Sent => "tracker".to_owned(),
            _ => String::new(),
        };
        line.fields.retain(|(name, value)| !HIDDEN_FIELDS.contains(name) && *value != Value::Flag(false));
        let from_us = line.kind == Kind::Sent;
        line.fields.iter_mut().for_each(|(name, value)| self.rename(name, value, from_us));
        let passed = self.since.map_or_else(String::new, |since| format!("+{} ", span(self.now.since(since))));
        let whom = if whom.is_empty() { whom } else { format!("{whom}: ") };
        self.shown.push(format!("{passed}{} {whom}{}", line.kind.mark(), line.plain()));
    }

    /// Puts names in the place of what would be a number, or change with our version.
    fn rename(&self, name: &str, value: &mut Value, from_us: bool) {
        let named = match value {
            Value::Addr(addr) => letter_at(addr.ip()).map(String::from),
            Value::Ip(ip) => letter_at(*ip).map(String::from),
            Value::Hash(hash) if *hash == InfoHash(self.setup.content.info_hash) => Some("ours".to_owned()),
            Value::PeerId(PeerId(id)) if *id == self.our_id => Some("ours".to_owned()),
            Value::Text(_) if name == "client" && from_us => Some("ours".to_owned()),
            Value::List(items) => {
                items.iter_mut().for_each(|item| self.rename(name, item, from_us));
                None
            }
            _ => None,
        };
        if let Some(named) = named {
            *value = Value::Id(named);
        }
    }

    /// The bytes of a message.
    pub(super) fn message(&self, letter: char, text: &str) -> Result<Vec<u8>, String> {
        say::bytes(text, letter, &self.setup.content, self.our_id)
    }
}

/// A span as it is written in scripts, to a thousandth of a second.
fn span(span: Duration) -> String {
    let text = format!("{}.{:03}", span.as_secs(), span.subsec_millis());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// An empty torrent to add, as scripts add it: to seed forever.
pub(super) fn usual_add(content: &Content) -> AddTorrent {
    let mut add = AddTorrent::new(content.metainfo.clone(), RootId(0));
    add.goal = SeedGoal::Forever;
    add.overwrite = true;
    add
}
