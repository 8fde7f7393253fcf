//! What a recording keeps of each action and notice: what kind it was, what it was about, and one byte to tell it from another.

use super::canon::{self, DecodeError, Decoder, Problem};
use super::room::Pen;
use crate::border::{Action, Actions, CommandId, DialId, Event, JobId, Notice, SocketId, TcpId, TorrentId, Work};
use alloc::vec::Vec;
use core::fmt;

/// What something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Nothing that has a number.
    Nothing,
    /// A TCP stream.
    Tcp(TcpId),
    /// A torrent.
    Torrent(TorrentId),
    /// A piece of work.
    Job(JobId),
    /// A dial.
    Dial(DialId),
    /// A listener or a UDP socket.
    Socket(SocketId),
    /// A command.
    Command(CommandId),
}

/// The kinds of [`Topic`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Nothing,
    Tcp,
    Torrent,
    Job,
    Dial,
    Socket,
    Command,
}

impl Topic {
    #[inline]
    fn parts(self) -> (Of, u64) {
        match self {
            Topic::Nothing => (Of::Nothing, 0),
            Topic::Tcp(id) => (Of::Tcp, id.0),
            Topic::Torrent(id) => (Of::Torrent, u64::from(id.0)),
            Topic::Job(id) => (Of::Job, id.0),
            Topic::Dial(id) => (Of::Dial, id.0),
            Topic::Socket(id) => (Of::Socket, u64::from(id.0)),
            Topic::Command(id) => (Of::Command, id.0),
        }
    }

    fn from_parts(of: Of, number: u64) -> Option<Topic> {
        Some(match of {
            Of::Nothing => return None,
            Of::Tcp => Topic::Tcp(TcpId(number)),
            Of::Torrent => Topic::Torrent(TorrentId(u32::try_from(number).ok()?)),
            Of::Job => Topic::Job(JobId(number)),
            Of::Dial => Topic::Dial(DialId(number)),
            Of::Socket => Topic::Socket(SocketId(u32::try_from(number).ok()?)),
            Of::Command => Topic::Command(CommandId(number)),
        })
    }

    /// What an event is about.
    pub fn event(event: &Event) -> Topic {
        match event {
            Event::Tick | Event::WallClock { .. } | Event::InterfacesChanged => Topic::Nothing,
            Event::Bound { sock, .. } | Event::BindFailed { sock, .. } | Event::Datagrams { sock, .. } => {
                Topic::Socket(*sock)
            }
            Event::Accepted { tcp, .. }
            | Event::Connected { tcp, .. }
            | Event::Received { tcp, .. }
            | Event::Flushed { tcp, .. }
            | Event::Closed { tcp, .. } => Topic::Tcp(*tcp),
            Event::DialFailed { dial, .. } => Topic::Dial(*dial),
            Event::JobData { job, .. } | Event::JobDone { job, .. } => Topic::Job(*job),
            Event::Command { id, .. } => Topic::Command(*id),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Nothing => f.write_str("nothing"),
            Topic::Tcp(TcpId(id)) => write!(f, "tcp {id}"),
            Topic::Torrent(TorrentId(id)) => write!(f, "torrent {id}"),
            Topic::Job(id) => write!(f, "{id:?}"),
            Topic::Dial(id) => write!(f, "{id:?}"),
            Topic::Socket(SocketId(id)) => write!(f, "socket {id}"),
            Topic::Command(CommandId(id)) => write!(f, "command {id}"),
        }
    }
}

/// What is known of an action or a notice from its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Its kind: see [`Sketch::name`]. Below 128.
    pub kind: u8,
    /// What it was about.
    pub about: Topic,
    /// A byte of the hash of its canonical encoding.
    pub check: u8,
}

/// The tables of kinds: number, name, pattern, and what it is about. Numbers are only ever appended; those of actions lie below 32, of work from 32, of
/// notices from 64.
macro_rules! kinds {
    ($of:ident, $names:ident, $type:ty, {
        $($code:literal $name:literal: $pattern:pat => $about:ident $(($id:expr))?),* $(,)?
    }) => {
        #[inline]
        fn $of(it: &$type) -> (u8, (Of, u64)) {
            match it {
                $($pattern => ($code, Topic::$about $(($id))?.parts()),)*
            }
        }
        const $names: &[(u8, &str, Of)] = &[$(($code, $name, Of::$about)),*];
    };
}

kinds!(of_action, ACTIONS, Action, {
    0 "Bind": Action::Bind { sock, .. } => Socket(*sock),
    1 "Unbind": Action::Unbind { sock } => Socket(*sock),
    2 "Dial": Action::Dial { dial, .. } => Dial(*dial),
    3 "CancelDial": Action::CancelDial { dial } => Dial(*dial),
    4 "Send": Action::Send { tcp, .. } => Tcp(*tcp),
    5 "SendContent": Action::SendContent { tcp, .. } => Tcp(*tcp),
    6 "Grant": Action::Grant { tcp, .. } => Tcp(*tcp),
    7 "Close": Action::Close { tcp, .. } => Tcp(*tcp),
    8 "SendDatagrams": Action::SendDatagrams { sock, .. } => Socket(*sock),
    9 "Start": Action::Start { job, .. } => Job(*job),
    10 "GrantJob": Action::GrantJob { job, .. } => Job(*job),
    11 "Cancel": Action::Cancel { job } => Job(*job),
});

// Work is about its torrent: a job's number says less, and takes more room.
kinds!(of_work, WORK, Work, {
    32 "Start Open": Work::Open { torrent, .. } => Torrent(*torrent),
    33 "Start Release": Work::Release { torrent } => Torrent(*torrent),
    34 "Start Check": Work::Check { torrent } => Torrent(*torrent),
    35 "Start CreateEmpty": Work::CreateEmpty { torrent, .. } => Torrent(*torrent),
    36 "Start Read": Work::Read { torrent, .. } => Torrent(*torrent),
    37 "Start Write": Work::Write { torrent, .. } => Torrent(*torrent),
    38 "Start Verify": Work::Verify { torrent, .. } => Torrent(*torrent),
    39 "Start Sync": Work::Sync { torrent } => Torrent(*torrent),
    40 "Start Save": Work::Save { torrent, .. } => Torrent(*torrent),
    41 "Start Load": Work::Load { torrent } => Torrent(*torrent),
    42 "Start Resolve": Work::Resolve { .. } => Nothing,
    43 "Start Http": Work::Http(_) => Nothing,
    44 "Start Delete": Work::Delete { torrent, .. } => Torrent(*torrent),
    45 "Start Move": Work::Move { torrent, .. } => Torrent(*torrent),
    46 "Start Place": Work::Place { torrent, .. } => Torrent(*torrent),
    47 "Start DropPart": Work::DropPart { torrent } => Torrent(*torrent),
    48 "Start LoadDht": Work::LoadDht { .. } => Nothing,
    49 "Start SaveDht": Work::SaveDht { .. } => Nothing,
});

kinds!(of_notice, NOTICES, Notice, {
    64 "CommandFailed": Notice::CommandFailed { command, .. } => Command(*command),
    65 "Listening": Notice::Listening { command, .. } => Command(*command),
    66 "Added": Notice::Added { torrent, .. } => Torrent(*torrent),
    67 "State": Notice::State { torrent, .. } => Torrent(*torrent),
    68 "PieceDone": Notice::PieceDone { torrent, .. } => Torrent(*torrent),
    69 "PieceFailed": Notice::PieceFailed { torrent, .. } => Torrent(*torrent),
    70 "Finished": Notice::Finished { torrent } => Torrent(*torrent),
    71 "Done": Notice::Done { torrent } => Torrent(*torrent),
    72 "Removed": Notice::Removed { torrent } => Torrent(*torrent),
    73 "PeerConnected": Notice::PeerConnected { torrent, .. } => Torrent(*torrent),
    74 "PeerClosed": Notice::PeerClosed { torrent, .. } => Torrent(*torrent),
    75 "PeerBanned": Notice::PeerBanned { torrent, .. } => Torrent(*torrent),
    76 "TrackerAnswered": Notice::TrackerAnswered { torrent, .. } => Torrent(*torrent),
    77 "TrackerFailed": Notice::TrackerFailed { torrent, .. } => Torrent(*torrent),
    78 "ForeignFile": Notice::ForeignFile { torrent, .. } => Torrent(*torrent),
    79 "Checked": Notice::Checked { torrent, .. } => Torrent(*torrent),
    80 "StorageFailed": Notice::StorageFailed { torrent, .. } => Torrent(*torrent),
    81 "Saved": Notice::Saved { torrent, .. } => Torrent(*torrent),
    82 "Stopped": Notice::Stopped => Nothing,
    83 "CommandDone": Notice::CommandDone { command } => Command(*command),
    84 "PeersRefused": Notice::PeersRefused { torrent, .. } => Torrent(*torrent),
    85 "Scraped": Notice::Scraped { command, .. } => Command(*command),
    86 "Announced": Notice::Announced { command, .. } => Command(*command),
    87 "ExternalAddress": Notice::ExternalAddress { .. } => Nothing,
    88 "Storage": Notice::Storage { torrent, .. } => Torrent(*torrent),
    89 "DiscoveryFailed": Notice::DiscoveryFailed { sock, .. } => Socket(*sock),
    90 "MetadataProgress": Notice::MetadataProgress { torrent, .. } => Torrent(*torrent),
    91 "Metadata": Notice::Metadata { torrent, .. } => Torrent(*torrent),
    92 "MetadataFailed": Notice::MetadataFailed { torrent, .. } => Torrent(*torrent),
    93 "DhtReady": Notice::DhtReady { sock, .. } => Socket(*sock),
    94 "DhtUnreachable": Notice::DhtUnreachable { sock, .. } => Socket(*sock),
});

/// The top bit of a sketch's first byte: the number of what it is about follows.
const NUMBER: u8 = 0x80;

/// What numbers were about last, one of each kind: starts with what the event is about. [`NONE`]: there was none.
#[derive(Clone, Debug)]
struct Last([u64; 8]);

/// Stands for a number that there was none of. Nothing is numbered so; if something were, the first sketch about it would leave the number out, and be read as it was meant.
const NONE: u64 = u64::MAX;

impl Last {
    #[inline]
    fn of(event: &Event) -> Last {
        let mut last = Last([NONE; 8]);
        // Of nothing there is one number, and it is the last.
        last.note(Of::Nothing, 0);
        let (of, number) = Topic::event(event).parts();
        last.note(of, number);
        last
    }

    /// The last one.
    fn get(&self, of: Of) -> u64 {
        self.0[of as usize & 7]
    }

    /// Whether it is another one than the last.
    #[inline]
    fn note(&mut self, of: Of, number: u64) -> bool {
        // Eight, of which seven are used: so none needs a look whether it is there.
        let last = &mut self.0[of as usize & 7];
        core::mem::replace(last, number) != number
    }
}

/// Sketches of everything that an event led to: its actions, and then its notices, in their order.
pub fn sketches(actions: &Actions) -> Vec<Sketch> {
    let mut all = Vec::new();
    canon::hash_each(actions, &mut Vec::new(), |What { kind, of, number }, hash| {
        let about = Topic::from_parts(of, number).unwrap_or(Topic::Nothing);
        all.push(Sketch { kind, about, check: hash as u8 });
    });
    all
}

/// The kind of an action or a notice, and what it is about.
#[derive(Clone, Copy)]
pub(super) struct What {
    kind: u8,
    of: Of,
    number: u64,
}

/// Those of which there are most, as the tables have them.
impl What {
    #[inline]
    pub(super) fn send(tcp: TcpId) -> What {
        What { kind: 4, of: Of::Tcp, number: tcp.0 }
    }

    #[inline]
    pub(super) fn send_content(tcp: TcpId) -> What {
        What { kind: 5, of: Of::Tcp, number: tcp.0 }
    }

    #[inline]
    pub(super) fn grant(tcp: TcpId) -> What {
        What { kind: 6, of: Of::Tcp, number: tcp.0 }
    }

    #[inline]
    pub(super) fn read(torrent: TorrentId) -> What {
        What { kind: 36, of: Of::Torrent, number: torrent.0.into() }
    }

    #[inline]
    pub(super) fn write(torrent: TorrentId) -> What {
        What { kind: 37, of: Of::Torrent, number: torrent.0.into() }
    }
}

impl What {
    #[inline]
    pub(super) fn action(action: &Action) -> What {
        let (kind, (of, number)) = match action {
            Action::Start { work, .. } => of_work(work),
            action => of_action(action),
        };
        What { kind, of, number }
    }

    #[inline]
    pub(super) fn notice(notice: &Notice) -> What {
        let (kind, (of, number)) = of_notice(notice);
        What { kind, of, number }
    }
}

/// Writes the sketches of what an event led to, one by one. How many there are stands in front of the first.
pub(super) struct Sketcher {
    last: Last,
}

impl Sketcher {
    /// The most bytes of one.
    pub(super) const MOST: usize = 2 + 10;

    #[inline]
    pub(super) fn new(event: &Event) -> Sketcher {
        Sketcher { last: Last::of(event) }
    }

    #[inline]
    pub(super) fn put(&mut self, What { kind, of, number }: What, hash: u64, out: &mut Pen<'_>) {
        let check = hash as u8;
        if self.last.note(of, number) {
            out.put([kind | NUMBER, check]);
            out.number(number);
        } else {
            out.put([kind, check]);
        }
    }
}

/// Reads them back.
pub(super) fn take(event: &Event, from: &mut Decoder<'_>) -> Result<Vec<Sketch>, DecodeError> {
    let mut last = Last::of(event);
    let mut all = Vec::new();
    // Grows as they come, of two bytes each at least: a count alone allocates nothing.
    for _ in 0..from.number()? {
        let wrong = from.error(Problem::Variant);
        let (first, check) = (from.byte()?, from.byte()?);
        let kind = first & !NUMBER;
        let number = if first & NUMBER == 0 { None } else { Some(from.number()?) };
        let about = match (entry(kind).map(|(_, _, of)| *of), number) {
            // A kind that this program does not know: it is one all the same.
            (None, _) | (Some(Of::Nothing), None) => Topic::Nothing,
            (Some(of), number) => {
                let about = Topic::from_parts(of, number.unwrap_or(last.get(of))).ok_or(wrong)?;
                if last.note(of, about.parts().1) != number.is_some() {
                    return Err(wrong);
                }
                about
            }
        };
        all.push(Sketch { kind, about, check });
    }
    Ok(all)
}

/// What the tables say of a kind.
fn entry(kind: u8) -> Option<&'static (u8, &'static str, Of)> {
    [ACTIONS, WORK, NOTICES].into_iter().flatten().find(|entry| entry.0 == kind)
}

impl Sketch {
    /// What kind of action or notice it was, by its name in [`border`](crate::border); `None`: this program does not know it.
    pub fn name(&self) -> Option<&'static str> {
        entry(self.kind).map(|(_, name, _)| *name)
    }

    /// Whether it was a notice.
    pub fn is_notice(&self) -> bool {
        self.kind >= 64
    }
}

impl fmt::Display for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "something of kind {}", self.kind)?,
        }
        match self.about {
            Topic::Nothing => Ok(()),
            about => write!(f, "({about})"),
        }
    }
}
