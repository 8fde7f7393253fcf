//! A driver for one session that does nothing by itself: what is ordered waits until somebody says how it ends.
//!
//! It keeps to the driver's contract of the core's manual and demands what that promises in return: ids are known, nothing is said to
//! a stream that is closed, the deadline lies ahead, content lies in the event. What leaves on streams is judged by a [`Remote`] at each.
//! Resume data are read when they are saved: every piece that they claim has to be on the disk, with the right bytes (oracle 4).

use super::saying::Remote;
use crate::disk::torrent_of;
use crate::{Content, MemoryDisk};
use bytes::Bytes;
use parcacik_core::border::{
    Action, Actions, CommandId, Config, DialId, Event, IoFault, JobId, JobResult, Notice, PieceHash, SocketId,
    SocketKind, Target, TcpId, TorrentId, Work,
};
use parcacik_core::journal::{Digest, RunningDigest};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::torrent::resume::ResumeData;
use sha1::Digest as _;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// The most actions that one event may lead to (oracle 30).
const MAX_ACTIONS: usize = 1_000;

/// A stream, and who is at its other end.
pub(super) struct Stream {
    pub remote: Remote,
    /// What the peer has said and the session has not read.
    unread: VecDeque<u8>,
    credit: u64,
    /// Sent and not flushed, in bytes.
    pub queued: u64,
}

/// A session and its driver.
pub(super) struct Host {
    pub session: Session,
    pub now: Time,
    pub disk: MemoryDisk,
    pub contents: Vec<Arc<Content>>,
    pub jobs: Vec<(JobId, Work)>,
    pub dials: Vec<(DialId, SocketAddr)>,
    pub streams: BTreeMap<TcpId, Stream>,
    pub sockets: Vec<(SocketId, SocketAddr)>,
    pub packets: Vec<(SocketId, SocketAddr, Bytes)>,
    /// The torrents that were added, by what they are about.
    pub torrents: BTreeMap<TorrentId, usize>,
    pub stopped: bool,
    /// Everything is done at once, and well.
    pub prompt: bool,
    events: u64,
    commands: u64,
    next_tcp: u64,
    digest: RunningDigest,
}

impl Host {
    pub fn new(config: Config, contents: Vec<Arc<Content>>) -> Host {
        Host {
            session: Session::new(config, Seeds::for_tests(1)).expect("a good configuration"),
            now: Time::from_secs(1),
            disk: MemoryDisk::default(),
            contents,
            jobs: Vec::new(),
            dials: Vec::new(),
            streams: BTreeMap::new(),
            sockets: Vec::new(),
            packets: Vec::new(),
            torrents: BTreeMap::new(),
            stopped: false,
            prompt: false,
            events: 0,
            commands: 0,
            next_tcp: 0,
            digest: RunningDigest::new(Digest::of(b"")),
        }
    }

    pub fn digest(&self) -> Digest {
        self.digest.digest()
    }

    pub fn command(&mut self, command: parcacik_core::border::Command) {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.tell(Event::Command { id, command });
    }

    /// Tells the session, does what can be done at once, and goes on as long as that has answers.
    pub fn tell(&mut self, event: Event) {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            let actions = self.handle(event);
            for action in actions {
                queue.extend(self.act(action));
            }
        }
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        self.events += 1;
        let length = match &event {
            Event::Received { bytes, .. } | Event::JobDone { result: Ok(JobResult::Read(bytes)), .. } => bytes.len(),
            _ => 0,
        };
        let mut out = Actions::new();
        self.session.handle(self.now, event.clone(), &mut out);
        self.digest.add(self.now, &event, &out);
        assert!(out.list.len() <= MAX_ACTIONS, "{} actions", out.list.len());
        let mut end = 0;
        for range in &out.opaque {
            assert!(end <= range.start && range.start <= range.end, "content is told in order");
            end = range.end;
        }
        assert!(end as usize <= length, "content lies in the event");
        assert!(self.session.deadline().is_none_or(|due| due > self.now), "due and not done");
        for notice in out.notices {
            self.note(notice);
        }
        out.list
    }

    fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Added { torrent, hashes, .. } => {
                let about = self.contents.iter().position(|content| Some(content.info_hash) == hashes.v1);
                self.torrents.insert(torrent, about.expect("one of those that were added"));
            }
            Notice::Removed { torrent } => _ = self.torrents.remove(&torrent),
            Notice::PieceDone { torrent, piece } => {
                assert!(self.is_whole(torrent, piece), "piece {piece} is not there")
            }
            Notice::Stopped => {
                assert!(!self.stopped, "stopped twice");
                self.stopped = true;
            }
            _ => {}
        }
    }

    /// Whether a piece is on the disk as it should be.
    fn is_whole(&mut self, torrent: TorrentId, piece: u32) -> bool {
        let content = self.contents[self.torrents[&torrent]].clone();
        let start = piece as usize * content.piece_length as usize;
        let bytes = &content.bytes[start..content.bytes.len().min(start + content.piece_length as usize)];
        let expect = PieceHash::Sha1(sha1::Sha1::digest(bytes).into());
        let work = Work::Verify { torrent, piece, length: bytes.len() as u32, expect, blocks: false };
        matches!(self.disk.work(&work), Some(Ok(JobResult::Verified(verdict))) if verdict.matches)
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Bind { sock, kind, addr, .. } => {
                let local = SocketAddr::new(addr.ip(), if addr.port() == 0 { 50_000 } else { addr.port() });
                if kind == SocketKind::TcpListener {
                    self.sockets.push((sock, local));
                }
                return Some(Event::Bound { sock, local });
            }
            Action::Unbind { sock } => self.sockets.retain(|(other, _)| *other != sock),
            Action::Dial { dial, to, .. } => {
                let Target::Addr(to) = to else { return Some(Event::DialFailed { dial, fault: IoFault::NotFound }) };
                assert!(!self.dials.iter().any(|(other, _)| *other == dial), "a dial's name twice");
                self.dials.push((dial, to));
            }
            Action::CancelDial { .. } | Action::Cancel { .. } => {}
            Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => {
                assert!(!bytes.is_empty());
                let stream = self.streams.get_mut(&tcp).expect("said to a stream that is closed");
                stream.remote.hears(self.now, self.events, &bytes);
                if self.prompt {
                    return Some(Event::Flushed { tcp, bytes: bytes.len() as u64 });
                }
                stream.queued += bytes.len() as u64;
            }
            Action::Grant { tcp, bytes } => {
                assert!(bytes > 0);
                self.streams.get_mut(&tcp).expect("granted to a stream that is closed").credit += u64::from(bytes);
            }
            Action::Close { tcp, .. } => _ = self.streams.remove(&tcp).expect("closed twice"),
            Action::SendDatagrams { sock, to, bytes, .. } => self.packets.push((sock, to, bytes)),
            Action::Start { job, work } => {
                assert!(!self.jobs.iter().any(|(other, _)| *other == job), "a job's name twice");
                // What comes after these finds them done, whether they have ended or not.
                if matches!(work, Work::Open { .. } | Work::Place { .. }) {
                    self.disk.work(&work);
                }
                if self.prompt {
                    let result = self.do_well(&work);
                    return Some(Event::JobDone { job, result });
                }
                self.jobs.push((job, work));
            }
            other => panic!("nothing of today orders {other:?}"),
        }
        None
    }

    /// Does work of the disk. No other work is expected here.
    pub fn do_well(&mut self, work: &Work) -> Result<JobResult, IoFault> {
        if let Work::Save { torrent, bytes } = work {
            self.judge(*torrent, bytes);
        }
        self.disk.work(work).unwrap_or(Err(IoFault::NotFound))
    }

    fn judge(&mut self, torrent: TorrentId, bytes: &[u8]) {
        let data = ResumeData::parse(bytes).expect("our own resume data are good");
        // One that is being removed is known no more.
        if self.torrents.contains_key(&torrent) {
            for piece in data.pieces.iter() {
                assert!(self.is_whole(torrent, piece), "piece {piece} is claimed and not there");
            }
        }
    }

    /// Somebody connects to us; `None` where we do not listen.
    pub fn accept(&mut self, remote: SocketAddr, about: usize) -> Option<TcpId> {
        let &(sock, local) = self.sockets.first()?;
        let tcp = self.open(about);
        self.tell(Event::Accepted { sock, tcp, local, remote });
        Some(tcp)
    }

    /// A dial has become a stream.
    pub fn connect(&mut self, at: usize, about: usize) -> TcpId {
        let (dial, remote) = self.dials.remove(at);
        let tcp = self.open(about);
        let local = SocketAddr::from(([10, 0, 0, 1], 40_000));
        self.tell(Event::Connected { dial, tcp, local, remote });
        tcp
    }

    fn open(&mut self, about: usize) -> TcpId {
        self.next_tcp += 1;
        let remote = Remote::new(self.now, self.contents[about].clone());
        let stream = Stream { remote, unread: VecDeque::new(), credit: 0, queued: 0 };
        self.streams.insert(TcpId(self.next_tcp), stream);
        TcpId(self.next_tcp)
    }

    /// The peer at a stream says something; as much of it is read as the session has granted, in parts of `most` bytes.
    pub fn hear(&mut self, tcp: TcpId, bytes: &[u8], most: usize) {
        if let Some(stream) = self.streams.get_mut(&tcp) {
            stream.unread.extend(bytes);
        }
        while let Some(stream) = self.streams.get_mut(&tcp) {
            let part = most.min(stream.unread.len()).min(stream.credit as usize);
            if part == 0 {
                return;
            }
            stream.credit -= part as u64;
            let bytes: Vec<u8> = stream.unread.drain(..part).collect();
            stream.remote.told(self.now, self.events + 1, &bytes);
            self.tell(Event::Received { tcp, bytes: Bytes::from(bytes) });
        }
    }

    /// So many bytes leave.
    pub fn flush(&mut self, tcp: TcpId, bytes: u64) {
        if let Some(stream) = self.streams.get_mut(&tcp) {
            let bytes = bytes.min(stream.queued);
            stream.queued -= bytes;
            if bytes > 0 {
                self.tell(Event::Flushed { tcp, bytes });
            }
        }
    }

    /// A stream ends by itself.
    pub fn drop_stream(&mut self, tcp: TcpId, fault: Option<IoFault>) {
        if self.streams.remove(&tcp).is_some() {
            self.tell(Event::Closed { tcp, fault });
        }
    }

    /// Ends a job, after those of its torrent that it has to wait for.
    pub fn end_job(&mut self, at: usize, result: impl FnOnce(&mut Host, &Work) -> Result<JobResult, IoFault>) {
        let at = match &self.jobs[at].1 {
            Work::Delete { torrent, .. } | Work::Release { torrent } => {
                self.jobs.iter().position(|(_, other)| torrent_of(other) == Some(*torrent)).unwrap_or(at)
            }
            _ => at,
        };
        let (job, work) = self.jobs.remove(at);
        let result = result(self, &work);
        self.tell(Event::JobDone { job, result });
    }

    /// Time goes on, and the session is called when it wants to be.
    pub fn wait(&mut self, until: Time) {
        while let Some(due) = self.session.deadline().filter(|&due| due <= until) {
            self.now = due;
            self.tell(Event::Tick);
        }
        self.now = self.now.max(until);
    }
}
