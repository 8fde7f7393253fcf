//! Running digests of what went in and what came out.

use super::canon::{self, Item};
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
    // A function of its own, so that a profile can tell hashing from the rest.
    #[inline(never)]
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

/// Room for what stands in front of an event in a recording: the kind of the frame, and its length.
const HEAD: usize = 11;

/// A digest that grows by one event at a time:
/// `digest = XXH3-128(time since the event before ‖ event with holes ‖ actions and notices ‖ digest before)`.
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
    /// What was hashed last, kept for its memory, and for the recorder: behind [`HEAD`] free bytes.
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
        self.add_each(now, event, actions, |_, _| {});
    }

    /// The same, and hands out each action and notice with its encoding.
    #[inline]
    pub(super) fn add_each(&mut self, now: Time, event: &Event, actions: &Actions, each: impl FnMut(Item<'_>, &[u8])) {
        let now = now.max(self.now);
        self.begin();
        canon::encode_number(now.0 - self.now.0, &mut self.buffer);
        canon::encode_event(event, &actions.opaque, &mut self.buffer);
        self.end(now, actions, each);
    }

    /// The same for an event that is encoded already, the time since the one before in front of it.
    pub(super) fn add_encoded(&mut self, now: Time, encoded: &[u8], actions: &Actions) {
        self.begin();
        self.buffer.extend_from_slice(encoded);
        self.end(now, actions, |_, _| {});
    }

    fn begin(&mut self) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; HEAD]);
    }

    #[inline]
    fn end(&mut self, now: Time, actions: &Actions, each: impl FnMut(Item<'_>, &[u8])) {
        self.event_end = self.buffer.len();
        canon::encode_each(actions, &mut self.buffer, each);
        self.buffer.extend_from_slice(&self.digest.0);
        self.digest = Digest::of(self.buffer.get(HEAD..).unwrap_or_default());
        self.events += 1;
        self.now = now;
    }

    /// A frame of the last event, the time that had gone by before it in front, and `rest` behind it. What it led to is forgotten.
    pub(super) fn last_frame(&mut self, kind: u8, rest: &[u8]) -> &[u8] {
        self.buffer.truncate(self.event_end);
        self.buffer.extend_from_slice(rest);
        let length = self.buffer.len().saturating_sub(HEAD);
        let mut start = HEAD - 2;
        // Without copying the event: its place is known, and so is how long the head is.
        if let (0..0x80, Some(head)) = (length, self.buffer.get_mut(start..HEAD)) {
            head.copy_from_slice(&[kind, length as u8]);
        } else {
            let mut head = Vec::from([kind]);
            canon::encode_number(length as u64, &mut head);
            start = HEAD.saturating_sub(head.len());
            if let Some(place) = self.buffer.get_mut(start..HEAD) {
                place.copy_from_slice(&head);
            }
        }
        self.buffer.get(start..).unwrap_or_default()
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
