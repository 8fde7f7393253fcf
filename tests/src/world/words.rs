//! The words that a test and the world share.

use parcacik_core::border::{Action, Event, Notice};
use parcacik_core::time::Time;
use std::collections::BTreeMap;
use std::net::SocketAddr;
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
    /// What can be under way on a stream, in each direction, in bytes: the buffers of both systems.
    pub window: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            latency: Duration::from_millis(5),
            upload: 10_000_000,
            split: Split::Whole,
            disk: Duration::from_micros(200),
            window: 4 << 20,
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

/// What a session was given and what it did about it, counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Calls.
    pub events: u64,
    /// Actions, over all calls.
    pub actions: u64,
    /// The most actions of one call.
    pub most_actions: usize,
    /// Bytes that came from peers.
    pub received: u64,
    /// Actions of the calls that brought bytes from peers.
    pub actions_on_bytes: u64,
    /// When each address was dialled.
    pub dials: BTreeMap<SocketAddr, Vec<Time>>,
}
