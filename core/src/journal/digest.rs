//! Running digests of what went in and what came out.

use super::canon;
use crate::border::{Actions, Event};
use crate::time::Time;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
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
    /// Where each action, and then each notice, lies in it.
    items: Vec<Range<usize>>,
}

impl RunningDigest {
    /// One that starts from the digest of what comes before the events.
    pub fn new(start: Digest) -> RunningDigest {
        RunningDigest { digest: start, events: 0, now: Time::ZERO, buffer: Vec::new(), event_end: 0, items: Vec::new() }
    }

    /// Adds an event, and what it led to. An earlier `now` than the last counts as the last, as in a session.
    pub fn add(&mut self, now: Time, event: &Event, actions: &Actions) {
        let now = now.max(self.now);
        self.begin();
        canon::encode_number(now.0 - self.now.0, &mut self.buffer);
        canon::encode_event(event, &actions.opaque, &mut self.buffer);
        self.end(now, actions);
    }

    /// The same for an event that is encoded already, the time since the one before in front of it.
    pub(super) fn add_encoded(&mut self, now: Time, encoded: &[u8], actions: &Actions) {
        self.begin();
        self.buffer.extend_from_slice(encoded);
        self.end(now, actions);
    }

    fn begin(&mut self) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.digest.0);
    }

    fn end(&mut self, now: Time, actions: &Actions) {
        self.event_end = self.buffer.len();
        self.items.clear();
        let items = &mut self.items;
        canon::encode_each(actions, &mut self.buffer, |place| items.push(place));
        self.digest = Digest::of(&self.buffer);
        self.events += 1;
        self.now = now;
    }

    /// The last event as it was encoded, the time that had gone by before it.
    pub(super) fn last_event(&self) -> &[u8] {
        self.buffer.get(size_of::<Digest>()..self.event_end).unwrap_or_default()
    }

    /// The encodings of what it led to: each action, and then each notice.
    pub(super) fn last_items(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().map(|place| self.buffer.get(place.clone()).unwrap_or_default())
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
