//! What was decided about a piece, a peer or a torrent, and what the session had been told just before.

use super::value::{Kind, Line, Value};
use super::{Entry, Transcript};
use crate::border::{InfoHash, TcpId, TorrentId};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

/// How many events on the same connection are shown before one that matters.
const BEFORE: usize = 3;
/// The most lines of what one event brought that are shown. A read of 256 KiB can bring thousands of messages.
const MAX_BROUGHT: usize = 16;

/// What somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A piece, of whatever torrent.
    Piece(u32),
    /// A connection.
    Tcp(TcpId),
    /// A peer's address, at one port.
    Addr(SocketAddr),
    /// A peer's address, at any port.
    Ip(IpAddr),
    /// A torrent.
    Torrent(InfoHash),
}

/// Text that names no [`Subject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASubject;

impl fmt::Display for NotASubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of piece:NUMBER, peer:ADDRESS, peer:ADDRESS:PORT, tcp:NUMBER, torrent:INFO-HASH")
    }
}

impl core::error::Error for NotASubject {}

impl FromStr for Subject {
    type Err = NotASubject;

    fn from_str(text: &str) -> Result<Subject, NotASubject> {
        let (what, which) = text.split_once(':').ok_or(NotASubject)?;
        match what {
            "piece" => which.parse().ok().map(Subject::Piece),
            "tcp" => which.parse().ok().map(|tcp| Subject::Tcp(TcpId(tcp))),
            "peer" => {
                let addr = which.parse().ok().map(Subject::Addr);
                let bare = which.strip_prefix('[').and_then(|bare| bare.strip_suffix(']')).unwrap_or(which);
                addr.or_else(|| bare.parse().ok().map(Subject::Ip))
            }
            "torrent" => hash(which).map(Subject::Torrent),
            _ => None,
        }
        .ok_or(NotASubject)
    }
}

fn hash(text: &str) -> Option<InfoHash> {
    let mut hash = [0; 20];
    if text.len() != 40 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..40).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(InfoHash(hash))
}

/// What has to do with the subjects, out of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What had been told on the same connection just before, and was not shown yet: events, and what they brought.
    pub before: Vec<Entry>,
    /// The event, what it brought, and those actions and notices that name all subjects.
    pub entry: Entry,
    /// How many lines of what it brought were left out.
    pub left_out: usize,
}

/// Picks what has to do with all of some subjects out of the entries of a transcript.
///
/// ```
/// use parcacik_core::border::{Actions, Config, Event, TcpId};
/// use parcacik_core::journal::text::{About, Transcript};
/// use parcacik_core::time::Time;
///
/// let mut transcript = Transcript::new(&Config::default());
/// let mut about = About::new(vec!["tcp:7".parse()?]);
/// let mut found = |tcp| {
///     let entry = transcript.add(Time::ZERO, &Event::Flushed { tcp: TcpId(tcp), bytes: 5 }, &Actions::new());
///     about.pick(&transcript, &entry).is_some()
/// };
/// assert!(found(7));
/// assert!(!found(8));
/// # Ok::<(), parcacik_core::journal::text::NotASubject>(())
/// ```
#[derive(Clone, Debug)]
pub struct About {
    subjects: Vec<Subject>,
    /// The last events on each connection that were not shown.
    before: BTreeMap<TcpId, VecDeque<Entry>>,
    /// The addresses of a connection that is asked about.
    addrs: BTreeSet<SocketAddr>,
    /// The torrents that are asked about, by every number they had.
    torrents: BTreeSet<TorrentId>,
}

impl About {
    /// What has to do with all of these.
    pub fn new(subjects: Vec<Subject>) -> About {
        About { subjects, before: BTreeMap::new(), addrs: BTreeSet::new(), torrents: BTreeSet::new() }
    }

    /// Takes the next entry of a transcript. `None`: it has nothing to do with it.
    pub fn pick(&mut self, transcript: &Transcript, entry: &Entry) -> Option<Found> {
        self.learn(transcript, entry);
        let tcp = entry.lines.iter().find(|line| line.kind == Kind::Event).and_then(|line| line.tcp);
        if !entry.lines.iter().any(|line| self.names(line)) {
            self.keep(tcp, entry);
            return None;
        }
        let before = tcp.and_then(|tcp| self.before.remove(&tcp)).unwrap_or_default().into();
        let mut brought = 0;
        let mut lines = Vec::new();
        for line in &entry.lines {
            let shown = match line.kind {
                Kind::Event => true,
                // What was told is the cause of what was done, whether it names the subject or not.
                Kind::Received => {
                    brought += 1;
                    brought <= MAX_BROUGHT || self.names(line)
                }
                Kind::Action | Kind::Sent | Kind::Notice => self.names(line),
            };
            if shown {
                lines.push(line.clone());
            }
        }
        let shown = lines.iter().filter(|line| line.kind == Kind::Received).count();
        let left_out = brought - shown;
        Some(Found { before, entry: Entry { lines, ..entry.clone() }, left_out })
    }

    /// Notes by which other names what is asked about goes.
    fn learn(&mut self, transcript: &Transcript, entry: &Entry) {
        for line in &entry.lines {
            if let (Some(tcp), Some(remote)) = (line.tcp, line.remote)
                && self.subjects.contains(&Subject::Tcp(tcp))
            {
                self.addrs.insert(remote);
            }
        }
        for subject in &self.subjects {
            if let Subject::Torrent(hash) = subject
                && let Some(&torrent) = transcript.torrents.get(hash)
            {
                self.torrents.insert(torrent);
            }
        }
    }

    /// Keeps an event for when it turns out to have come just before something.
    fn keep(&mut self, tcp: Option<TcpId>, entry: &Entry) {
        let Some(tcp) = tcp else { return };
        let told = entry.lines.iter().filter(|line| matches!(line.kind, Kind::Event | Kind::Received));
        let lines: Vec<Line> = told.take(1 + MAX_BROUGHT).cloned().collect();
        let ended = lines.iter().any(|line| line.kind == Kind::Event && line.word == "closed");
        let closed = entry.lines.iter().any(|line| line.kind == Kind::Action && line.word == "close");
        if ended || closed {
            self.before.remove(&tcp);
            return;
        }
        let kept = self.before.entry(tcp).or_default();
        if kept.len() == BEFORE {
            kept.pop_front();
        }
        kept.push_back(Entry { lines, ..entry.clone() });
    }

    /// Whether a line names every subject.
    fn names(&self, line: &Line) -> bool {
        self.subjects.iter().all(|subject| self.names_one(line, subject))
    }

    fn names_one(&self, line: &Line, subject: &Subject) -> bool {
        let addr = |wanted: &dyn Fn(&SocketAddr) -> bool| {
            line.remote.as_ref().is_some_and(wanted)
                || any(line, &|value| matches!(value, Value::Addr(addr) if wanted(addr)))
        };
        match subject {
            Subject::Piece(piece) => any(line, &|value| *value == Value::Piece(*piece)),
            Subject::Tcp(tcp) if line.tcp.is_some() => line.tcp == Some(*tcp),
            Subject::Tcp(_) => addr(&|addr| self.addrs.contains(addr)),
            Subject::Addr(wanted) => addr(&|addr| addr == wanted),
            Subject::Ip(ip) => addr(&|addr| addr.ip() == *ip),
            Subject::Torrent(hash) => {
                line.torrent.is_some_and(|torrent| self.torrents.contains(&torrent))
                    || any(line, &|value| match value {
                        Value::Torrent(torrent) => self.torrents.contains(torrent),
                        Value::Hash(found) => found == hash,
                        _ => false,
                    })
            }
        }
    }
}

/// Whether any value of the line, those in lists too, is wanted.
fn any(line: &Line, wanted: &dyn Fn(&Value) -> bool) -> bool {
    fn holds(value: &Value, wanted: &dyn Fn(&Value) -> bool) -> bool {
        match value {
            Value::List(items) => items.iter().any(|item| holds(item, wanted)),
            value => wanted(value),
        }
    }
    line.fields.iter().any(|(_, value)| holds(value, wanted))
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.before.iter().try_for_each(|entry| entry.fmt(f))?;
        self.entry.fmt(f)?;
        if self.left_out > 0 {
            writeln!(f, "  < and {} more", self.left_out)?;
        }
        Ok(())
    }
}
