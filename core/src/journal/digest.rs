//! Running digests of what went in and what came out.

use super::brief::Brief;
use super::canon;
use super::hash::{self, Sum};
use super::room::Room;
use super::sketch::Sketcher;
use crate::border::{Actions, Event};
use crate::time::Time;
use alloc::vec::Vec;
use core::fmt;

/// What a run came to: equal for two runs, if their events and everything that came of them were equal, content apart.
///
/// It finds accidents, not forgeries: whoever wants two runs of one digest can make them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The digest of some bytes: XXH3-128.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(hash::long(bytes))
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

/// What stands in front of an event while it is hashed: the digest before, and the sum of actions and notices. There is room in it for what stands in front
/// of an event in a recording: the kind of the frame, and its length in ten bytes at most.
const FRONT: usize = 16 + 8;

/// A digest that grows by one event at a time:
/// `digest = XXH3-128(digest before ‖ sum ‖ time since the event before ‖ event with holes)`.
///
/// The sum (8 bytes, lowest first) is what the event led to: it begins with how many actions (32 bits) and how many notices (32 bits, the lower ones) there are, and
/// with the XXH3-64 of each one's [encoding](super::canon) it becomes `((sum xor hash) * 0x9e3779b97f4a7c15)`, rotated by 32 bits.
///
/// An event that nothing came of is shorter where it has a [brief form](super): `XXH3-128(digest before ‖ its number (8 bytes) ‖ which of them it is (8 bytes))`, the lowest
/// bytes first.
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
    /// What was hashed last, kept for its memory, and for the recorder: the event behind [`FRONT`] other bytes.
    room: Room,
    /// Where something is encoded that is not written at once.
    scratch: Vec<u8>,
}

impl RunningDigest {
    /// One that starts from the digest of what comes before the events.
    pub fn new(start: Digest) -> RunningDigest {
        RunningDigest { digest: start, events: 0, now: Time::ZERO, room: Room::default(), scratch: Vec::new() }
    }

    /// Adds an event, and what it led to. An earlier `now` than the last counts as the last, as in a session.
    pub fn add(&mut self, now: Time, event: &Event, actions: &Actions) {
        match self.brief(now, event, actions) {
            Some(brief) => self.add_brief(now, brief),
            None => self.add_whole::<false>(now, event, actions),
        }
    }

    /// The brief form of an event, if it has one and nothing came of it.
    #[inline]
    pub(super) fn brief(&self, now: Time, event: &Event, actions: &Actions) -> Option<Brief> {
        if actions.is_empty() { Brief::of(now.0.saturating_sub(self.now.0), event, &actions.opaque) } else { None }
    }

    /// Adds a brief event.
    #[inline]
    pub(super) fn add_brief(&mut self, now: Time, brief: Brief) {
        self.events += 1;
        self.now = now.max(self.now);
        let [word, what] = brief.words();
        hash::next(&mut self.digest.0, word, what);
    }

    /// Adds an event that is not brief. Behind it in its [frame](RunningDigest::last_frame) stand, if they are wanted, the sketches of what it led to, their number in
    /// front.
    #[inline]
    pub(super) fn add_whole<const SKETCHES: bool>(&mut self, now: Time, event: &Event, actions: &Actions) {
        let now = now.max(self.now);
        self.room.begin(FRONT);
        canon::encode_step(now.0 - self.now.0, event, &actions.opaque, &mut self.room, &mut self.scratch);
        let event_end = self.room.len();
        let mut sum = Sum::of_lists(actions.list.len(), actions.notices.len());
        if SKETCHES {
            let count = actions.list.len() + actions.notices.len();
            let mut pen = self.room.pen((1 + count) * Sketcher::MOST);
            pen.number(count as u64);
            let mut sketcher = Sketcher::new(event);
            canon::hash_each(actions, &mut self.scratch, |what, hash| {
                sum.add(hash);
                sketcher.put(what, hash, &mut pen);
            });
            debug_assert!(!pen.is_full(), "there was room for each");
            let left = pen.left();
            self.room.wrote(left);
        } else {
            canon::hash_each(actions, &mut self.scratch, |_, hash| sum.add(hash));
        }
        self.end(now, event_end, sum);
    }

    /// The same for an event that is encoded already, the time since the one before in front of it.
    pub(super) fn add_encoded(&mut self, now: Time, encoded: &[u8], actions: &Actions) {
        self.room.begin(FRONT);
        self.room.extend(encoded);
        let mut sum = Sum::of_lists(actions.list.len(), actions.notices.len());
        canon::hash_each(actions, &mut self.scratch, |_, hash| sum.add(hash));
        self.end(now, self.room.len(), sum);
    }

    #[inline]
    fn end(&mut self, now: Time, event_end: usize, sum: Sum) {
        if let Some(front) = self.room.first_mut::<FRONT>() {
            let (digest, place) = front.split_at_mut(16);
            digest.copy_from_slice(&self.digest.0);
            place.copy_from_slice(&sum.to_bytes());
        }
        self.digest = Digest::of(self.room.bytes().get(..event_end).unwrap_or_default());
        self.events += 1;
        self.now = now;
    }

    /// A frame of the last event, the time that had gone by before it in front, and behind it its sketches and `rest`.
    #[inline]
    pub(super) fn last_frame<const N: usize>(&mut self, kind: u8, rest: [u8; N]) -> &[u8] {
        let mut pen = self.room.pen(N);
        pen.put(rest);
        let left = pen.left();
        self.room.wrote(left);
        let length = self.room.len().saturating_sub(FRONT);
        // Without copying the event: its place is known, and so is how long the head is.
        match length {
            0..0x80 => self.behind([kind, length as u8]),
            0x80..0x4000 => self.behind([kind, length as u8 | 0x80, (length >> 7) as u8]),
            _ => self.behind_long(kind, length as u64),
        }
    }

    #[inline(never)]
    fn behind_long(&mut self, kind: u8, length: u64) -> &[u8] {
        let mut head = Vec::from([kind]);
        canon::encode_number(length, &mut head);
        let start = FRONT.saturating_sub(head.len());
        if let Some(place) = self.room.first_mut::<FRONT>().and_then(|front| front.get_mut(start..)) {
            place.copy_from_slice(&head);
        }
        self.room.bytes().get(start..).unwrap_or_default()
    }

    /// The event behind such a head.
    #[inline]
    fn behind<const N: usize>(&mut self, head: [u8; N]) -> &[u8] {
        if let Some(place) = self.room.first_mut::<FRONT>().and_then(|front| front.last_chunk_mut::<N>()) {
            *place = head;
        }
        self.room.bytes().get(FRONT - N..).unwrap_or_default()
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
