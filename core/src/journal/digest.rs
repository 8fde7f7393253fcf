//! Running digests of what went in and what came out.

use super::canon;
use crate::border::{Actions, Event};
use crate::time::Time;
use alloc::vec::Vec;
use core::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// What a run came to: equal for two runs, if their events and everything that came of them were equal, content apart.
///
/// It finds accidents, not forgeries: whoever wants two runs of one digest can make them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(xxh3_128(bytes).to_be_bytes())
    }

    /// Its first two bytes: enough to say, for each event, whether it is still the same run.
    pub(super) fn check(&self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest that grows by one event at a time:
/// `digest = XXH3-128(digest before ‖ time since the event before ‖ event with holes ‖ actions and notices)`.
///
/// ```
/// use parcacik_core::border::{Actions, Event};
/// use parcacik_core::journal::{Digest, RunningDigest};
/// use parcacik_core::time::Time;
///
/// let (mut one, mut other) = (RunningDigest::new(Digest::of(b"")), RunningDigest::new(Digest::of(b"")));
/// one.add(Time(5), &Event::Tick, &Actions::new());
/// other.add(Time(6), &Event::Tick, &Actions::new());
/// assert_ne!(one.digest(), other.digest());
/// ```
#[derive(Clone, Debug)]
pub struct RunningDigest {
    digest: Digest,
    events: u64,
    now: Time,
    /// What was hashed last, kept for its memory, and for the recorder.
    buffer: Vec<u8>,
    /// Where the event ends in it.
    event_end: usize,
}

impl RunningDigest {
    /// One that starts from the digest of what comes before the events.
    pub fn new(start: Digest) -> RunningDigest {
        RunningDigest { digest: start, events: 0, now: Time::ZERO, buffer: Vec::new(), event_end: 0 }
    }

    /// Adds an event, and what it led to. An earlier `now` than the last counts as the last, as in a session.
    pub fn add(&mut self, now: Time, event: &Event, actions: &Actions) {
        let now = now.max(self.now);
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.extend_from_slice(&self.digest.0);
        canon::encode_number(now.0 - self.now.0, buffer);
        canon::encode_event(event, &actions.opaque, buffer);
        self.event_end = buffer.len();
        canon::encode_actions(actions, buffer);
        self.digest = Digest::of(buffer);
        self.events += 1;
        self.now = now;
    }

    /// The last event as it was encoded, the time that had gone by before it.
    pub(super) fn last_event(&self) -> &[u8] {
        self.buffer.get(size_of::<Digest>()..self.event_end).unwrap_or_default()
    }

    /// What it has come to.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many events went in.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The time of the last event.
    pub fn now(&self) -> Time {
        self.now
    }
}
