//! What a session's state comes to: a digest of each of its parts.
//!
//! Actions show what a session has decided; its state is what it will decide from. A run whose state has gone another way may do the same for
//! hours. So a recording holds what the state came to every now and then ([`STATE_EVERY`]), and a replay compares: it finds the part that differs, at most
//! so many events behind the one where it began to.
//!
//! All of a session is in it, by construction: each machine takes its state apart without leaving a field out, and writes it as [`canon`](super::canon) does. A field
//! that has nothing to say is named as such, with the reason: it never changes or follows from the metainfo (geometry, seeds), or is
//! empty between two events. Of content only lengths count.
//!
//! [`STATE`] says what a state is made of. It goes up when a machine gets another field, which changes no behaviour; states of
//! another number are not compared.

use super::canon::{self, DecodeError, Decoder, Encoder, Put};
use alloc::vec::Vec;
use core::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// What a state is made of: goes up with every change of that. States of another number are not compared.
pub const STATE: u32 = 5;

/// How many events lie between two states of a recording. A state of a session of a hundred busy connections is some 100 KB that are hashed.
pub const STATE_EVERY: u64 = 65_536;

/// The parts of a session's state. Numbers are only ever appended.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A part of a session's state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StatePart {
            $($(#[$doc])* $name,)*
        }

        impl StatePart {
            /// All of them, in the order of their numbers.
            pub const ALL: &[StatePart] = &[$(StatePart::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(StatePart::$name => $text,)*
                }
            }
        }
    };
}

parts! {
    /// What the session itself keeps: names, timers, whose turn it is.
    Session = "session",
    /// Listeners and UDP sockets, and what is known of our own addresses.
    Sockets = "sockets",
    /// Streams that have not said which torrent they want.
    Acceptor = "acceptor",
    /// Which torrents run.
    Queue = "queue",
    /// Rate limits and turns under them.
    Limits = "limits",
    /// When trackers are asked, and those that the application asks.
    Announcer = "announcer",
    /// What torrents keep: their lives, goals, what is wanted.
    Torrents = "torrents",
    /// Which blocks are asked of whom.
    Picker = "picker",
    /// Who is served.
    Choker = "choker",
    /// Whom to dial, whom not to.
    Candidates = "candidates",
    /// What is durable.
    Persist = "persist",
    /// Work on the disk that is under way, and how the disk does.
    Disk = "disk",
    /// Connections.
    Peers = "peers",
    /// Nodes of the DHT, and whose turn it is to look up.
    Dht = "dht",
}

impl fmt::Display for StatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a session's state comes to.
///
/// It finds accidents, as [`Digest`](super::Digest) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(super) version: u32,
    pub(super) sums: Vec<u64>,
}

impl State {
    /// The parts in which two states differ; `None`: they are not made of the same things and cannot be compared.
    pub fn differences(&self, other: &State) -> Option<Vec<StatePart>> {
        if (self.version, self.sums.len()) != (other.version, other.sums.len()) {
            return None;
        }
        let both = StatePart::ALL.iter().zip(self.sums.iter().zip(&other.sums));
        Some(both.filter(|(_, (one, other))| one != other).map(|(part, _)| *part).collect())
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        canon::encode_number(u64::from(self.version), out);
        canon::encode_number(self.sums.len() as u64, out);
        self.sums.iter().for_each(|sum| out.extend_from_slice(&sum.to_be_bytes()));
    }

    pub(super) fn take(from: &mut Decoder<'_>) -> Result<State, DecodeError> {
        let version = from.small()?;
        let mut sums = Vec::new();
        // Grows as they come: a count alone allocates nothing.
        for _ in 0..from.number()? {
            sums.push(u64::from_be_bytes(from.array()?));
        }
        Ok(State { version, sums })
    }
}

/// Sums up a state, part by part.
pub(crate) struct Sums {
    sums: Vec<u64>,
    buffer: Vec<u8>,
}

impl Sums {
    pub(crate) fn new() -> Sums {
        Sums { sums: alloc::vec![0; StatePart::ALL.len()], buffer: Vec::new() }
    }

    /// Adds some of a part. What is added to one part in another order is another state.
    pub(crate) fn add(&mut self, part: StatePart, some: &[&dyn Put]) {
        let Some(sum) = self.sums.get_mut(part as usize) else { return };
        self.buffer.clear();
        self.buffer.extend_from_slice(&sum.to_be_bytes());
        let mut to = Encoder::new(&mut self.buffer);
        some.iter().for_each(|one| one.put(&mut to));
        *sum = xxh3_64(&self.buffer);
    }

    pub(crate) fn end(self) -> State {
        State { version: STATE, sums: self.sums }
    }
}
