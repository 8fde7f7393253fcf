//! One direction of a TCP connection, put together from the segments that were captured.
//!
//! A [`Half`] is told of each segment of its sender and of each acknowledgement that comes back, and says which bytes come next in the
//! stream: [`Part::Data`] as soon as they follow on what was said before, [`Part::Gap`] for bytes that are not in the capture.
//!
//! - Sequence numbers are unwrapped: bytes are counted from 0 with 64 bits. 0 is what follows the SYN; where none was captured, it is the
//!   first sequence number seen.
//! - What comes out of order waits, up to a limit. What was there before is left out. Where two segments overlap, the first to be captured
//!   wins; where they differ, the bytes are counted ([`HalfCounts::conflicting`]). Differences are noticed in what waits and in the last
//!   [`history`](super::CaptureLimits::history) bytes.
//! - The byte of a keep-alive lies before what was sent, and is left out as any other. A single byte that is sent into a window of zero
//!   is kept apart until it is sent again or acknowledged.
//! - Bytes are lost when they are acknowledged and do not come within [`gap_patience`](super::CaptureLimits::gap_patience), when too much
//!   waits for them, when the capture ends, and at once when they were cut off by the snapshot length.

use super::packet::TcpHead;
use super::{CaptureLimits, Stamp};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// RFC 7323: a window is "less than 2^30" bytes; what lies further off than that is not of this connection.
const MAX_WINDOW: u64 = 1 << 30;

/// What comes next in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Bytes; known to the receiver in order at this time.
    Data { time: Stamp, bytes: Bytes },
    /// So many bytes that were not captured.
    Gap { time: Stamp, length: u64 },
    /// The sender has closed its side.
    End { time: Stamp },
}

/// What was noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfCounts {
    /// Bytes of the stream that are in the capture.
    pub bytes: u64,
    /// Bytes of the stream that are not.
    pub lost: u64,
    /// Bytes that were captured again.
    pub retransmitted: u64,
    /// Bytes that were captured again and were others then.
    pub conflicting: u64,
    /// Segments that came before bytes in front of them.
    pub out_of_order: u64,
}

/// What waits for bytes before it.
#[derive(Clone, Debug)]
enum Waiting {
    Bytes(Stamp, Bytes),
    /// So many bytes that were sent, and cut off by the snapshot length.
    Cut(Stamp, u64),
}

impl Waiting {
    fn length(&self) -> u64 {
        match self {
            Waiting::Bytes(_, bytes) => bytes.len() as u64,
            Waiting::Cut(_, length) => *length,
        }
    }

    fn held(&self) -> usize {
        match self {
            Waiting::Bytes(_, bytes) => bytes.len(),
            Waiting::Cut(..) => 0,
        }
    }
}

/// One direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Half {
    pub counts: HalfCounts,
    /// The sequence number of byte 0, once anything is known of this side.
    first: Option<u32>,
    /// Whether byte 0 is the first of the stream: a SYN was seen.
    sure: bool,
    /// The next byte to be said.
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    waiting_bytes: usize,
    /// All before this was acknowledged.
    acked: u64,
    /// Since when something is acknowledged that is not there.
    overdue: Option<Stamp>,
    /// Where the stream ends.
    end: Option<u64>,
    ended: bool,
    /// The other side said last that it takes nothing.
    shut: bool,
    /// A byte that was sent all the same.
    probe: Option<(u64, Stamp, Bytes)>,
    history: VecDeque<u8>,
    /// When the last part was said.
    last: Stamp,
}

impl Half {
    /// Whether anything is known of this side.
    pub(super) fn is_begun(&self) -> bool {
        self.first.is_some()
    }

    /// Whether its first byte is the first of the stream.
    pub(super) fn is_sure(&self) -> bool {
        self.sure
    }

    /// Whether any byte was said, or is known to be missing.
    pub(super) fn has_content(&self) -> bool {
        self.next > 0 || !self.waiting.is_empty()
    }

    /// Whether its end was said.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// How much memory the bytes take that it keeps.
    pub(super) fn held(&self) -> usize {
        self.waiting_bytes + self.history.len()
    }

    /// When the last part was said.
    pub(super) fn latest(&self) -> Stamp {
        self.last
    }

    /// Takes the sequence number of a SYN; false when it is that of another connection.
    pub(super) fn begin(&mut self, sequence: u32) -> bool {
        let first = sequence.wrapping_add(1);
        match self.first {
            None => {
                self.first = Some(first);
                self.sure = true;
                true
            }
            // The SYN again, or late.
            Some(known) if known == first => {
                self.sure = true;
                true
            }
            Some(_) => false,
        }
    }

    /// Takes a segment of this side's sender: `bytes`, and `cut` more that were not captured.
    pub(super) fn segment(
        &mut self,
        time: Stamp,
        head: &TcpHead,
        bytes: &Bytes,
        cut: u32,
        limits: &CaptureLimits,
        out: &mut Vec<Part>,
    ) {
        // A SYN takes a number of its own, in front of what it carries.
        let sequence = if head.syn { head.sequence.wrapping_add(1) } else { head.sequence };
        let first = *self.first.get_or_insert(sequence);
        let Some(start) = self.place(first, sequence) else { return };
        let length = bytes.len() as i64 + i64::from(cut);
        if head.fin
            && self.end.is_none()
            && let Ok(end) = u64::try_from(start + length)
            && end >= self.next
        {
            self.ends_at(end);
        }
        let is_probe = self.shut && length == 1 && cut == 0 && !head.fin && start == self.next as i64;
        if is_probe {
            // Told twice, it is the same byte.
            self.probe.get_or_insert((self.next, time, Bytes::copy_from_slice(bytes)));
        } else if length > 0 {
            self.insert(time, start, bytes.clone(), limits, out);
            if cut > 0 {
                self.insert_cut(time, start + bytes.len() as i64, u64::from(cut));
            }
        }
        self.advance(Some(time), limits, out);
        self.settle(time, limits, out);
    }

    /// Takes an acknowledgement by the other side, with the window that it has left.
    pub(super) fn acknowledged(
        &mut self,
        time: Stamp,
        ack: u32,
        window: u16,
        limits: &CaptureLimits,
        out: &mut Vec<Part>,
    ) {
        self.shut = window == 0;
        let Some(first) = self.first else { return };
        let Some(place) = self.place(first, ack).and_then(|place| u64::try_from(place).ok()) else { return };
        // The FIN has a number too, and no byte.
        let place = self.end.map_or(place, |end| place.min(end));
        self.acked = self.acked.max(place);
        if let Some((at, sent, byte)) = self.probe.take_if(|(at, ..)| *at < self.acked)
            && at == self.next
        {
            self.insert(sent, at as i64, byte, limits, out);
            self.advance(Some(time), limits, out);
        }
        self.settle(time, limits, out);
    }

    /// Says what is left when nothing more comes.
    pub(super) fn finish(&mut self, time: Stamp, limits: &CaptureLimits, out: &mut Vec<Part>) {
        if let Some((at, sent, byte)) = self.probe.take()
            && at == self.next
        {
            self.insert(sent, at as i64, byte, limits, out);
        }
        self.relieve(time, limits, out);
        let target = self.acked.max(self.end.unwrap_or(0));
        self.give_up(time, target, limits, out);
    }

    /// Gives up what is kept: nothing waits any more, and nothing is compared.
    pub(super) fn relieve(&mut self, time: Stamp, limits: &CaptureLimits, out: &mut Vec<Part>) {
        // Each round takes one out at least.
        while let Some((&start, _)) = self.waiting.first_key_value() {
            self.give_up(time, start, limits, out);
        }
        self.history = VecDeque::new();
    }

    /// Takes note of where the stream ends: what waits behind it is of nobody.
    fn ends_at(&mut self, end: u64) {
        self.end = Some(end);
        self.acked = self.acked.min(end);
        for waiting in self.waiting.split_off(&end).values() {
            self.waiting_bytes -= waiting.held();
        }
        if let Some(mut last) = self.waiting.last_entry()
            && let Some(over) = (*last.key() + last.get().length()).checked_sub(end).filter(|&over| over > 0)
        {
            let held = last.get().held();
            match last.get_mut() {
                Waiting::Bytes(_, bytes) => bytes.truncate(bytes.len() - over as usize),
                Waiting::Cut(_, length) => *length -= over,
            }
            self.waiting_bytes -= held - last.get().held();
        }
    }

    /// The place of a sequence number in the stream, which may lie before its start; `None` when it is too far off.
    fn place(&self, first: u32, sequence: u32) -> Option<i64> {
        // Half of all numbers lie behind `next`, half before it. The count wraps as sequence numbers do.
        let near = first.wrapping_add(self.next as u32);
        let distance = i64::from(sequence.wrapping_sub(near) as i32);
        (distance.unsigned_abs() <= MAX_WINDOW)
            .then(|| i64::try_from(self.next).unwrap_or(i64::MAX).saturating_add(distance))
    }

    /// Takes bytes at a place; those that are new go where they belong.
    fn insert(&mut self, time: Stamp, start: i64, mut bytes: Bytes, limits: &CaptureLimits, out: &mut Vec<Part>) {
        let next = i64::try_from(self.next).unwrap_or(i64::MAX);
        let old = (next - start).clamp(0, bytes.len() as i64) as usize;
        if old > 0 {
            self.counts.retransmitted += old as u64;
            self.compare_history(start, &bytes.slice(..old));
            bytes = bytes.slice(old..);
        }
        let start = (start + old as i64).unsigned_abs();
        if let Some(end) = self.end {
            bytes.truncate(usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX));
        }
        if bytes.is_empty() {
            return;
        }
        let end = start + bytes.len() as u64;
        if start == self.next && self.waiting.is_empty() {
            // As it nearly always is.
            return self.say(time, bytes, limits, out);
        }
        if start > self.next {
            self.counts.out_of_order += 1;
        }
        self.carve(start, end);
        let mut fresh = start;
        let mut holes: Vec<(u64, u64)> = Vec::new();
        let before = self.waiting.range(..=start).next_back().map_or(start, |(&at, _)| at);
        for (&at, waiting) in self.waiting.range(before..end) {
            let Waiting::Bytes(_, known) = waiting else { continue };
            let known_end = at + known.len() as u64;
            if known_end <= start {
                continue;
            }
            if fresh < at {
                holes.push((fresh, at));
            }
            let (from, to) = (at.max(start), known_end.min(end));
            self.counts.retransmitted += to - from;
            let (one, other) = (
                &known[(from - at) as usize..(to - at) as usize],
                &bytes[(from - start) as usize..(to - start) as usize],
            );
            self.counts.conflicting += differing(one.iter(), other);
            fresh = fresh.max(known_end);
        }
        if fresh < end {
            holes.push((fresh, end));
        }
        for (from, to) in holes {
            // Copied: it may wait for long, and the buffer around it is larger.
            let part = Bytes::copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
            self.waiting_bytes += part.len();
            self.waiting.insert(from, Waiting::Bytes(time, part));
        }
    }

    /// Takes out of `start..end` what waits there as cut off: it has come after all.
    fn carve(&mut self, start: u64, end: u64) {
        let before = self.waiting.range(..=start).next_back().map_or(start, |(&at, _)| at);
        let cut: Vec<(u64, Stamp, u64)> = self
            .waiting
            .range(before..end)
            .filter_map(|(&at, waiting)| match waiting {
                Waiting::Cut(time, length) if at + length > start => Some((at, *time, *length)),
                _ => None,
            })
            .collect();
        for (at, time, length) in cut {
            self.waiting.remove(&at);
            if at < start {
                self.waiting.insert(at, Waiting::Cut(time, start - at));
            }
            if at + length > end {
                self.waiting.insert(end, Waiting::Cut(time, at + length - end));
            }
        }
    }

    /// Takes note of bytes that were sent and are not in the capture, where nothing else is known.
    fn insert_cut(&mut self, time: Stamp, start: i64, length: u64) {
        let Ok(end) = u64::try_from(start.saturating_add_unsigned(length)) else { return };
        let end = self.end.map_or(end, |last| end.min(last));
        let mut at = u64::try_from(start).unwrap_or(0).max(self.next);
        while at < end {
            let covered = self.waiting.range(..=at).next_back().map(|(&from, waiting)| from + waiting.length());
            if let Some(covered) = covered.filter(|&covered| covered > at) {
                at = covered;
                continue;
            }
            let stop = self.waiting.range(at..end).next().map_or(end, |(&from, _)| from);
            self.waiting.insert(at, Waiting::Cut(time, stop - at));
            at = stop;
        }
    }

    /// Says what follows on what was said. `filled` is when the bytes came that were missing; without it, each part has its own time.
    fn advance(&mut self, filled: Option<Stamp>, limits: &CaptureLimits, out: &mut Vec<Part>) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() <= self.next) {
            match entry.remove() {
                Waiting::Bytes(time, bytes) => {
                    self.waiting_bytes -= bytes.len();
                    self.say(filled.unwrap_or(time), bytes, limits, out);
                }
                Waiting::Cut(time, length) => self.say_gap(filled.unwrap_or(time), length, out),
            }
        }
        if self.acked <= self.next {
            self.overdue = None;
        }
        if self.end == Some(self.next) && !self.ended {
            self.ended = true;
            self.last = self.last.max(filled.unwrap_or(self.last));
            out.push(Part::End { time: self.last });
            self.history = VecDeque::new();
        }
    }

    /// Gives up what has been waited for too long, or by too much.
    fn settle(&mut self, time: Stamp, limits: &CaptureLimits, out: &mut Vec<Part>) {
        if self.acked > self.next {
            let since = *self.overdue.get_or_insert(time);
            if time.since(since) >= limits.gap_patience {
                self.give_up(time, self.acked, limits, out);
            }
        }
        while (self.waiting_bytes > limits.max_out_of_order as usize
            || self.waiting.len() > limits.max_segments as usize)
            && let Some((&start, _)) = self.waiting.first_key_value()
        {
            self.give_up(time, start, limits, out);
        }
    }

    /// Counts as lost what is missing before `target`.
    fn give_up(&mut self, time: Stamp, target: u64, limits: &CaptureLimits, out: &mut Vec<Part>) {
        self.advance(None, limits, out);
        while self.next < target && !self.ended {
            let stop = self.waiting.first_key_value().map_or(target, |(&start, _)| start.min(target));
            // The receiver had them when what follows was captured; that is not known of what comes last.
            let at = self.waiting.first_key_value().map_or(time, |(_, waiting)| match waiting {
                Waiting::Bytes(time, _) | Waiting::Cut(time, _) => *time,
            });
            self.say_gap(at, stop - self.next, out);
            self.advance(None, limits, out);
        }
    }

    fn say(&mut self, time: Stamp, bytes: Bytes, limits: &CaptureLimits, out: &mut Vec<Part>) {
        self.last = self.last.max(time);
        self.next += bytes.len() as u64;
        self.counts.bytes += bytes.len() as u64;
        self.remember(&bytes, limits.history as usize);
        if self.probe.as_ref().is_some_and(|(at, ..)| *at < self.next) {
            self.probe = None;
        }
        out.push(Part::Data { time: self.last, bytes });
    }

    fn say_gap(&mut self, time: Stamp, length: u64, out: &mut Vec<Part>) {
        self.last = self.last.max(time);
        self.next += length;
        self.counts.lost += length;
        self.history.clear();
        out.push(Part::Gap { time: self.last, length });
    }

    fn remember(&mut self, bytes: &[u8], limit: usize) {
        let bytes = bytes.get(bytes.len().saturating_sub(limit)..).unwrap_or(bytes);
        let old = (self.history.len() + bytes.len()).saturating_sub(limit);
        self.history.drain(..old.min(self.history.len()));
        self.history.extend(bytes);
    }

    /// Compares bytes that end at `next` or before with what was said.
    fn compare_history(&mut self, start: i64, bytes: &[u8]) {
        let oldest = i64::try_from(self.next).unwrap_or(i64::MAX) - self.history.len() as i64;
        let skipped = (oldest - start).clamp(0, bytes.len() as i64) as usize;
        let from = (start + skipped as i64 - oldest).max(0) as usize;
        let bytes = &bytes[skipped..];
        // The byte of a keep-alive may be any: RFC 9293, "may or may not contain one garbage octet".
        if bytes.len() > 1 {
            self.counts.conflicting += differing(self.history.range(from.min(self.history.len())..), bytes);
        }
    }
}

fn differing<'a>(one: impl Iterator<Item = &'a u8>, other: &[u8]) -> u64 {
    one.zip(other).filter(|(one, other)| one != other).count() as u64
}

#[cfg(test)]
mod tests;
