use super::{Half, HalfCounts, Part};
use crate::capture::packet::TcpHead;
use crate::capture::{CaptureLimits, Stamp};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;

/// A side, and what it said.
struct Wire {
    half: Half,
    limits: CaptureLimits,
    time: Stamp,
    parts: Vec<Part>,
}

const FIRST: u32 = u32::MAX - 2;

impl Wire {
    /// One whose SYN was seen; byte 0 has the number [`FIRST`], so that numbers wrap soon.
    fn new() -> Wire {
        let mut wire = Wire::unknown();
        assert!(wire.half.begin(FIRST.wrapping_sub(1)));
        wire
    }

    fn unknown() -> Wire {
        let half = Half::default();
        Wire { half, limits: CaptureLimits::default(), time: Stamp(1_000_000_000), parts: Vec::new() }
    }

    fn head(at: i64) -> TcpHead {
        let sequence = FIRST.wrapping_add(at as u32);
        TcpHead { sequence, ack: None, syn: false, fin: false, rst: false, window: 1 }
    }

    fn pass(&mut self, time: Duration) {
        self.time.0 += time.as_nanos() as u64;
    }

    fn send(&mut self, at: i64, bytes: &[u8]) -> &mut Wire {
        self.send_cut(at, bytes, 0)
    }

    fn send_cut(&mut self, at: i64, bytes: &[u8], cut: u32) -> &mut Wire {
        self.time.0 += 1_000;
        let bytes = Bytes::copy_from_slice(bytes);
        self.half.segment(self.time, &Wire::head(at), &bytes, cut, &self.limits, &mut self.parts);
        self
    }

    fn end(&mut self, at: i64) -> &mut Wire {
        let head = TcpHead { fin: true, ..Wire::head(at) };
        self.half.segment(self.time, &head, &Bytes::new(), 0, &self.limits, &mut self.parts);
        self
    }

    fn ack(&mut self, at: u32, window: u16) -> &mut Wire {
        let ack = FIRST.wrapping_add(at);
        self.half.acknowledged(self.time, ack, window, &self.limits, &mut self.parts);
        self
    }

    fn finish(&mut self) -> &mut Wire {
        self.half.finish(self.time, &self.limits, &mut self.parts);
        self
    }

    /// What it said: bytes as they are, a gap as `?` for each byte, the end as `.`.
    fn said(&self) -> Vec<u8> {
        let mut said = Vec::new();
        for part in &self.parts {
            match part {
                Part::Data { bytes, .. } => said.extend(bytes),
                Part::Gap { length, .. } => said.extend((0..*length).map(|_| b'?')),
                Part::End { .. } => said.push(b'.'),
            }
        }
        said
    }

    fn counts(&self) -> HalfCounts {
        self.half.counts
    }
}

#[test]
fn sequence_numbers_wrap() {
    let mut wire = Wire::new();
    wire.send(0, b"ab").send(2, b"cdef").send(6, b"g").end(7);
    assert_eq!(wire.said(), b"abcdefg.");
    assert_eq!(wire.counts(), HalfCounts { bytes: 7, ..HalfCounts::default() });
}

#[test]
fn four_gibibytes_and_more_are_counted_on() {
    let mut wire = Wire::new();
    let part = alloc::vec![7; 1 << 20];
    // A little over 2^32 bytes, by gaps: as if all but each 512th MiB had been lost.
    for at in (0..9u64).map(|step| step << 29) {
        wire.send(at as i64, &part);
        let acked = FIRST.wrapping_add((at + (1 << 29)) as u32);
        wire.half.acknowledged(wire.time, acked, 1, &wire.limits, &mut wire.parts);
        wire.pass(wire.limits.gap_patience);
        wire.half.acknowledged(wire.time, acked, 1, &wire.limits, &mut wire.parts);
    }
    assert_eq!(wire.counts().bytes + wire.counts().lost, 9 << 29);
    assert_eq!(wire.counts().bytes, 9 << 20);
}

#[test]
fn out_of_order_waits_for_what_comes_before() {
    let mut wire = Wire::new();
    wire.send(4, b"ef").send(2, b"cd");
    assert_eq!(wire.said(), b"");
    let filled = Stamp(wire.time.0 + 1_000);
    wire.send(0, b"ab");
    assert_eq!(wire.said(), b"abcdef");
    // All of it is known from the moment on that the first of it came.
    assert!(wire.parts.iter().all(|part| matches!(part, Part::Data { time, .. } if *time == filled)));
    assert_eq!(wire.counts().out_of_order, 2);
}

#[test]
fn what_comes_again_is_left_out() {
    let mut wire = Wire::new();
    wire.send(0, b"abcd").send(0, b"abcd").send(2, b"cdef").send(-5, b"?????abc").send(5, b"fgh");
    assert_eq!(wire.said(), b"abcdefgh");
    assert_eq!(wire.counts().retransmitted, 4 + 2 + 8 + 1);
}

#[test]
fn the_first_wins_and_differences_are_counted() {
    // In what waits.
    let mut wire = Wire::new();
    wire.send(2, b"cd").send(1, b"XYZ!e").send(0, b"a");
    assert_eq!(wire.said(), b"aXcd!e");
    assert_eq!(wire.counts().conflicting, 2);
    // In what was said.
    let mut wire = Wire::new();
    wire.send(0, b"abcd").send(1, b"bXd");
    assert_eq!(wire.said(), b"abcd");
    assert_eq!(wire.counts().conflicting, 1);
}

#[test]
fn a_segment_that_lies_over_many_fills_their_holes() {
    let mut wire = Wire::new();
    wire.send(2, b"c").send(4, b"e").send(6, b"g").send(1, b"bcdefgh").send(0, b"a");
    assert_eq!(wire.said(), b"abcdefgh");
    assert_eq!(wire.counts().conflicting, 0);
}

#[test]
fn keep_alives_say_nothing() {
    let mut wire = Wire::new();
    // With the byte before the next one, which may be any, or without.
    wire.send(0, b"abc").send(2, b"\0").send(2, b"").send(3, b"d");
    assert_eq!(wire.said(), b"abcd");
    assert_eq!(wire.counts().conflicting, 0);
}

#[test]
fn a_probe_of_a_window_of_zero_says_nothing_until_it_is_taken() {
    let mut wire = Wire::new();
    wire.send(0, b"abc").ack(3, 0).send(3, b"d").send(3, b"d");
    assert_eq!(wire.said(), b"abc");
    // The window opens, and it is sent again with more.
    wire.ack(3, 10).send(3, b"def");
    assert_eq!(wire.said(), b"abcdef");
    // Or it was taken after all.
    wire.ack(6, 0).send(6, b"g");
    assert_eq!(wire.said(), b"abcdef");
    wire.ack(7, 0);
    assert_eq!(wire.said(), b"abcdefg");
    // Or nobody will ever say.
    wire.send(7, b"h").finish();
    assert_eq!(wire.said(), b"abcdefgh");
}

#[test]
fn without_a_syn_the_first_number_seen_is_the_start() {
    let mut wire = Wire::unknown();
    wire.send(500, b"abc").send(400, b"before").send(503, b"d");
    assert_eq!(wire.said(), b"abcd");
    assert!(!wire.half.is_sure());
}

#[test]
fn a_syn_of_another_number_is_of_another_connection() {
    let mut wire = Wire::new();
    assert!(wire.half.begin(FIRST.wrapping_sub(1)));
    assert!(!wire.half.begin(FIRST.wrapping_add(1_000)));
}

#[test]
fn bytes_that_are_acknowledged_and_do_not_come_are_lost() {
    let mut wire = Wire::new();
    wire.send(0, b"ab").send(5, b"fg").ack(7, 1);
    // They may be on their way through the machine that captures.
    assert_eq!(wire.said(), b"ab");
    let sent = wire.time;
    wire.pass(wire.limits.gap_patience);
    wire.ack(7, 1);
    assert_eq!(wire.said(), b"ab???fg");
    assert_eq!(wire.counts(), HalfCounts { bytes: 4, lost: 3, out_of_order: 1, ..HalfCounts::default() });
    // What follows on a gap has its own time.
    assert_eq!(wire.parts.last(), Some(&Part::Data { time: sent, bytes: Bytes::from_static(b"fg") }));
    // Too late.
    wire.send(2, b"cde");
    assert_eq!(wire.said(), b"ab???fg");
}

#[test]
fn bytes_that_come_in_time_are_not_lost() {
    let mut wire = Wire::new();
    wire.send(5, b"fg").ack(7, 1);
    wire.pass(wire.limits.gap_patience / 2);
    wire.send(0, b"abcde");
    wire.pass(wire.limits.gap_patience);
    wire.ack(7, 1).send(7, b"h");
    assert_eq!(wire.said(), b"abcdefgh");
    assert_eq!(wire.counts().lost, 0);
}

#[test]
fn what_nobody_acknowledges_is_lost_at_the_end() {
    let mut wire = Wire::new();
    wire.send(2, b"cd").send(6, b"gh").end(9).finish();
    assert_eq!(wire.said(), b"??cd??gh?.");
}

#[test]
fn too_much_that_waits_is_not_waited_for() {
    let mut wire = Wire::new();
    wire.limits.max_out_of_order = 8;
    wire.send(1, b"bcdef").send(8, b"ijk");
    assert_eq!(wire.said(), b"");
    wire.send(20, b"u");
    assert_eq!(wire.said(), b"?bcdef");
    let mut wire = Wire::new();
    wire.limits.max_segments = 2;
    wire.send(1, b"b").send(3, b"d").send(5, b"f");
    assert_eq!(wire.said(), b"?b");
    assert_eq!(wire.half.held(), 2 + 1);
}

#[test]
fn what_the_snapshot_length_cut_off_is_missing_at_once() {
    let mut wire = Wire::new();
    wire.send_cut(0, b"ab", 3).send(5, b"fg");
    assert_eq!(wire.said(), b"ab???fg");
    // Out of order, it may come whole before it is missed.
    let mut wire = Wire::new();
    wire.send_cut(2, b"c", 4).send(4, b"ef").send(0, b"ab");
    assert_eq!(wire.said(), b"abc?ef?");
    assert_eq!(wire.counts().lost, 2);
}

#[test]
fn what_lies_behind_the_end_is_of_nobody() {
    let mut wire = Wire::new();
    wire.send(4, b"efgh").end(5).send(0, b"abcd").send(5, b"more");
    assert_eq!(wire.said(), b"abcde.");
    let mut wire = Wire::new();
    wire.end(2).send(0, b"abcd").ack(3, 1);
    wire.pass(wire.limits.gap_patience);
    wire.ack(3, 1).finish();
    assert_eq!(wire.said(), b"ab.");
}

#[test]
fn numbers_far_off_are_not_of_this_connection() {
    let mut wire = Wire::new();
    wire.send(0, b"ab").send(1 << 31, b"far").ack(1 << 31, 1).finish();
    assert_eq!(wire.said(), b"ab");
}

/// Segments that cover a stream, in any order, many of them twice or over each other.
fn any_cover() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, usize)>)> {
    proptest::collection::vec(any::<u8>(), 1..400).prop_flat_map(|stream| {
        let length = stream.len();
        let cuts = proptest::collection::btree_set(1..length.max(2), 0..20);
        let more = proptest::collection::vec((0..length, 0..60usize), 0..20);
        let cover = (cuts, more).prop_flat_map(move |(cuts, more)| {
            let mut segments = Vec::new();
            let mut start = 0;
            for cut in cuts.into_iter().filter(|cut| *cut < length).chain([length]) {
                segments.push((start, cut));
                start = cut;
            }
            segments.extend(more.into_iter().map(|(start, size)| (start, (start + size).min(length))));
            Just(segments).prop_shuffle()
        });
        (Just(stream), cover)
    })
}

proptest! {
    #[test]
    fn any_order_and_any_overlap_gives_the_same_stream((stream, cover) in any_cover()) {
        let mut wire = Wire::new();
        for (start, end) in cover {
            wire.send(start as i64, &stream[start..end]);
        }
        prop_assert_eq!(wire.said(), stream);
        prop_assert_eq!(wire.counts().conflicting, 0);
        prop_assert_eq!(wire.counts().lost, 0);
        prop_assert_eq!(wire.half.waiting_bytes, 0);
        prop_assert!(wire.half.waiting.is_empty());
    }

    #[test]
    fn whatever_is_missing_the_rest_lies_where_it_was(
        (stream, cover) in any_cover(),
        kept in proptest::collection::vec(any::<bool>(), 64),
        cut in proptest::collection::vec(0..8u32, 64),
        most in 1..200u32,
    ) {
        let mut wire = Wire::new();
        wire.limits.max_out_of_order = most;
        for (index, (start, end)) in cover.into_iter().enumerate().filter(|(index, _)| kept[index % 64]) {
            let cut = (cut[index % 64] as usize).min(end - start);
            wire.send_cut(start as i64, &stream[start..end - cut], cut as u32);
            prop_assert!(wire.half.waiting_bytes <= most as usize);
        }
        wire.end(stream.len() as i64).finish();
        let mut at = 0;
        for part in &wire.parts {
            match part {
                Part::Data { bytes, .. } => {
                    prop_assert_eq!(&bytes[..], &stream[at..at + bytes.len()]);
                    at += bytes.len();
                }
                Part::Gap { length, .. } => at += *length as usize,
                Part::End { .. } => {}
            }
        }
        prop_assert_eq!(at, stream.len());
        prop_assert_eq!(wire.counts().bytes + wire.counts().lost, stream.len() as u64);
        prop_assert_eq!(wire.counts().conflicting, 0);
        prop_assert_eq!(wire.half.waiting_bytes, 0);
    }

    #[test]
    fn nothing_that_is_sent_makes_it_fail(
        steps in proptest::collection::vec((any::<u8>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..9), any::<u16>()), 0..60),
    ) {
        let mut wire = Wire::unknown();
        wire.limits.max_out_of_order = 40;
        for (kind, number, bytes, window) in steps {
            // Near each other, mostly.
            let sequence = if kind & 32 == 0 { FIRST.wrapping_add(number % 64) } else { number };
            let head = TcpHead { sequence, ack: None, syn: kind & 8 != 0, fin: kind & 16 != 0, rst: false, window };
            match kind & 3 {
                0 => _ = wire.half.begin(sequence),
                1 => wire.half.acknowledged(wire.time, sequence, window & 1, &wire.limits, &mut wire.parts),
                _ => {
                    let cut = u32::from(window) % 5;
                    wire.half.segment(wire.time, &head, &Bytes::from(bytes), cut, &wire.limits, &mut wire.parts);
                }
            }
            wire.pass(Duration::from_millis(u64::from(kind)));
        }
        wire.finish();
        let said: u64 = wire.parts.iter().map(|part| match part {
            Part::Data { bytes, .. } => bytes.len() as u64,
            Part::Gap { length, .. } => *length,
            Part::End { .. } => 0,
        }).sum();
        prop_assert_eq!(said, wire.counts().bytes + wire.counts().lost);
        prop_assert_eq!(wire.half.waiting_bytes, 0);
        let ends = wire.parts.iter().filter(|part| matches!(part, Part::End { .. })).count();
        prop_assert!(ends <= 1);
    }
}
