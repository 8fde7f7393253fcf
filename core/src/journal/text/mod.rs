//! A recording as text: what was told to a session and what it did, in lines that a person can read and that `diff` can compare.
//!
//! [`Transcript`] takes each `(time, event)` with the [`Actions`] it led to, and makes an [`Entry`] of it: one [`Line`] for the
//! event, one for each action, one for each notice, and one for each message that came or went by it. A line is a word and
//! fields with typed [`Value`]s, so whoever wants another form than text (JSON, a table) takes it apart and need not parse.
//!
//! ```text
//! [41] 1.250000 tcp 3 (10.0.0.2:6881) received bytes 22
//!   < unchoke
//!   < have piece 7
//!   - tcp 3 (10.0.0.2:6881) send bytes 17
//!   > tcp 3 (10.0.0.2:6881) request piece 7 begin 0 length 16384
//! ```
//!
//! | mark | is |
//! |---|---|
//! | `[41] 1.250000` | the event: its number, counted from 0, and the seconds since the first |
//! | `<` | what it brought: a message of a peer, a tracker's answer |
//! | `-` | an [`Action`] |
//! | `>` | what goes out by an action: a message to a peer, a request to a tracker |
//! | `*` | a [`Notice`] |
//!
//! Bytes of streams are cut into messages by the core's own [`Framer`](crate::wire::Framer), in both directions, and a message stands
//! with the event or action that brings its last byte. Content is told by its place, long buffers by their length and a checksum.
//! Names of strangers are escaped and cut: a line is a line.
//!
//! Equal runs give equal text. Memory grows with the connections, dials and jobs that are under way.
//!
//! [`Told`] makes the transcript of a replay while it runs, [`Parting`] that of the place where two runs part.
//!
//! # What was it about?
//! [`About`] picks out of the entries what has to do with a piece, a peer or a torrent, and what came before it on the same
//! connection.
//!
//! ```
//! use parcacik_core::border::{Actions, Config, Event};
//! use parcacik_core::journal::text::Transcript;
//! use parcacik_core::time::Time;
//!
//! let mut transcript = Transcript::new(&Config::default());
//! let event = Event::WallClock { unix_seconds: 1_700_000_000 };
//! let entry = transcript.add(Time::from_secs(5), &event, &Actions::new());
//! assert_eq!(entry.to_string(), "[0] 0.000000 date unix-seconds 1700000000\n");
//! ```

mod about;
mod actions;
mod commands;
mod dht;
mod events;
mod neighbours;
mod notices;
#[cfg(test)]
mod tests;
mod told;
mod trackers;
mod value;
mod wire;

pub use about::{About, Found, NotASubject, Subject};
pub use told::{Holes, Parting, Told};
pub use value::{Kind, Line, Value};
pub use wire::message_line;

use crate::border::{Action, Actions, Config, DialId, Event, InfoHash, JobId, Notice, TcpId, TorrentId};
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use value::Fields;
use wire::Stream;

/// Turns events and what they led to into [`Entry`]s. See the [module](self).
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The longest message of a peer that is followed, as the session has it.
    max_message: u32,
    start: Option<Time>,
    events: u64,
    streams: BTreeMap<TcpId, Stream>,
    /// Whom each dial that is under way goes to.
    dials: BTreeMap<DialId, Fields>,
    jobs: BTreeMap<JobId, Job>,
    /// How many pieces each torrent has, where that is known.
    pieces: BTreeMap<TorrentId, u32>,
    /// The torrents by the names that peers use.
    torrents: BTreeMap<InfoHash, TorrentId>,
}

/// A job that is under way.
#[derive(Clone, Debug)]
struct Job {
    /// What to call it when it ends.
    fields: Fields,
    question: Option<Question>,
}

/// What a tracker is asked by HTTP.
#[derive(Clone, Copy, Debug)]
enum Question {
    Announce,
    Scrape,
}

/// One event and all that it led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, counted from 0.
    pub event: u64,
    /// The time since the first event.
    pub at: Duration,
    /// The event, what it brought, what was done, what was told; in this order.
    pub lines: Vec<Line>,
}

impl Transcript {
    /// An empty one, for a session with this configuration.
    pub fn new(config: &Config) -> Transcript {
        Transcript {
            max_message: config.peer.max_message_length,
            start: None,
            events: 0,
            streams: BTreeMap::new(),
            dials: BTreeMap::new(),
            jobs: BTreeMap::new(),
            pieces: BTreeMap::new(),
            torrents: BTreeMap::new(),
        }
    }

    /// Takes an event and what it led to. All of a session's have to be given, in their order: a stream is only understood from
    /// its beginning.
    pub fn add(&mut self, now: Time, event: &Event, actions: &Actions) -> Entry {
        let start = *self.start.get_or_insert(now);
        let mut entry = Entry { event: self.events, at: now.since(start), lines: Vec::new() };
        self.events += 1;
        self.event(event, &mut entry.lines);
        for action in &actions.list {
            self.action(action, &mut entry.lines);
        }
        for notice in &actions.notices {
            self.notice(notice, &mut entry.lines);
        }
        for action in &actions.list {
            if let Action::Close { tcp, .. } = action {
                self.streams.remove(tcp);
            }
        }
        for notice in &actions.notices {
            if let Notice::Removed { torrent } = notice {
                self.torrents.retain(|_, id| id != torrent);
                self.pieces.remove(torrent);
            }
        }
        entry
    }

    /// A line about a stream.
    fn on(&self, tcp: TcpId, kind: Kind, word: &'static str) -> Line {
        let mut line = Line::new(kind, word);
        line.tcp = Some(tcp);
        if let Some(stream) = self.streams.get(&tcp) {
            line.remote = Some(stream.remote);
            line.torrent = stream.torrent;
        }
        line
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line.kind {
                Kind::Event => {
                    writeln!(f, "[{}] {}.{:06} {line}", self.event, self.at.as_secs(), self.at.subsec_micros())?;
                }
                kind => writeln!(f, "  {} {line}", kind.mark())?,
            }
        }
        Ok(())
    }
}
