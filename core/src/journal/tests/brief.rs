//! Brief frames: known bytes, there and back, one way to write each event, and differences in them.

use crate::border::{Action, Actions, Config, ConfigError, Event, JobId, JobResult, TcpId};
use crate::journal::room::Room;
use crate::journal::{
    Digest, Ending, Machine, Part, ReadProblem, Reader, Record, Recorder, ReplayReport, RunningDigest, Secret, canon,
    replay_with,
};
use crate::rng::Seeds;
use crate::time::Time;
use bytes::Bytes;
use core::ops::Range;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

type Step = (u64, Event, Actions);

fn done(job: u64) -> Event {
    Event::JobDone { job: JobId(job), result: Ok(JobResult::Done) }
}

fn flushed(tcp: u64, bytes: u64) -> Event {
    Event::Flushed { tcp: TcpId(tcp), bytes }
}

fn received(tcp: u64, length: usize) -> Event {
    Event::Received { tcp: TcpId(tcp), bytes: vec![0; length].into() }
}

fn quiet(now: u64, event: Event) -> Step {
    (now, event, Actions::new())
}

fn content(now: u64, event: Event, hole: Range<u32>) -> Step {
    (now, event, Actions { opaque: vec![hole], ..Actions::new() })
}

fn start() -> (Vec<u8>, Recorder) {
    let mut bytes = Vec::new();
    let recorder = Recorder::new(&Config::default(), &Seeds::for_tests(3), Secret::Keep, &mut bytes);
    (bytes, recorder)
}

fn record(steps: &[Step]) -> (Vec<u8>, Digest) {
    let (mut bytes, mut recorder) = start();
    for (now, event, actions) in steps {
        recorder.record(Time(*now), event, actions, &mut bytes);
    }
    let digest = recorder.finish(&mut bytes);
    (bytes, digest)
}

/// What stands in the recording for these events.
fn written(steps: &[Step]) -> Vec<u8> {
    let (mut bytes, mut recorder) = start();
    let head = bytes.len();
    for (now, event, actions) in steps {
        recorder.record(Time(*now), event, actions, &mut bytes);
    }
    bytes.split_off(head)
}

struct Script(vec::IntoIter<Actions>);

impl Machine for Script {
    fn handle(&mut self, _: Time, _: Event, out: &mut Actions) {
        *out = self.0.next().unwrap_or_default();
    }
}

fn run(recording: &[u8], steps: &[Step]) -> ReplayReport {
    let actions: Vec<Actions> = steps.iter().map(|(_, _, actions)| actions.clone()).collect();
    let build = |_: Config, _: Seeds| -> Result<Script, ConfigError> { Ok(Script(actions.into_iter())) };
    replay_with(Reader::new(recording).unwrap(), build).unwrap()
}

#[test]
fn known_events_have_known_brief_frames() {
    // 259 microseconds, job 7 of 5.
    assert_eq!(written(&[quiet(0x103, done(5 << 40 | 7))]), [64 + 3, 0x03, 0x01, 5, 7]);
    assert_eq!(written(&[quiet(2, flushed(0x0102, 17))]), [72 + 5, 2, 0, 17, 0, 0x02, 0x01]);
    assert_eq!(written(&[content(0, received(9, 1_448), 0..1_448)]), [80 + 4, 0, 0, 0xa8, 0x05, 9]);
    // The shortest and the longest.
    assert_eq!(written(&[quiet(0, done(0))]), [64, 0]);
    let longest = done(0xff << 40 | 0xff_ffff_ffff);
    assert_eq!(written(&[quiet(0xffff, longest)]), [&[64 + 7][..], &[0xff; 8]].concat());
}

#[test]
fn what_has_no_room_or_is_not_quiet_is_not_brief() {
    let grant = || Actions { list: vec![Action::Grant { tcp: TcpId(1), bytes: 1 }], ..Actions::new() };
    for (step, kind) in [
        (quiet(0x1_0000, done(1)), 3),
        (quiet(0, done(0x100 << 40)), 3),
        (quiet(0, flushed(1, 0x1_0000)), 3),
        (quiet(0, flushed(0x1_0000_0000, 1)), 3),
        (content(0, received(1, 0x1_0000), 0..0x1_0000), 3),
        (content(0, received(1, 100), 1..100), 3),
        (content(0, received(1, 100), 0..99), 3),
        (quiet(0, received(1, 100)), 3),
        (quiet(0, received(1, 0)), 3),
        (quiet(0, Event::JobDone { job: JobId(1), result: Ok(JobResult::Read(Bytes::new())) }), 3),
        (quiet(0, Event::Tick), 3),
        ((0, done(1), grant()), 2),
        ((0, flushed(1, 1), grant()), 2),
    ] {
        assert_eq!(written(std::slice::from_ref(&step))[0], kind, "{:?}", step.1);
        let (bytes, digest) = record(std::slice::from_ref(&step));
        let report = run(&bytes, &[step]);
        assert_eq!((report.is_same(), report.digest), (true, digest));
    }
}

#[test]
fn the_digest_of_a_brief_event_is_the_same_on_every_machine() {
    // Frozen, as that of all others.
    let mut run = RunningDigest::new(Digest::of(b"start"));
    run.add(Time(3), &flushed(2, 17), &Actions::new());
    let mut whole = Digest::of(b"start").0.to_vec();
    whole.extend([3, 0, 17, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(run.digest(), Digest::of(&whole));
}

#[test]
fn an_event_that_can_be_brief_is_not_read_in_another_way() {
    let (mut bytes, _) = start();
    let head = bytes.len();
    // Flushed, as it would be written if something came of it.
    bytes.extend([3, 4, 2, 9, 1, 17]);
    let error = Reader::new(&bytes).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.problem, ReadProblem::Damaged(canon::Problem::Variant));
    // A last byte that could have been left out, content of no length.
    for (frame, problem) in [(&[65, 1, 0][..], canon::Problem::Number), (&[82, 1, 0, 0], canon::Problem::Number)] {
        let bytes = [&bytes[..head], frame].concat();
        let error = Reader::new(&bytes).unwrap().next().unwrap().unwrap_err();
        assert_eq!(error.problem, ReadProblem::Damaged(problem), "{frame:?}");
    }
    let bytes = [&bytes[..head], &[84, 1, 0, 0, 0, 1]].concat();
    let error = Reader::new(&bytes).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.problem, ReadProblem::Damaged(canon::Problem::Holes));
}

#[test]
fn a_brief_event_that_something_comes_of_now_is_named_and_so_is_the_reverse() {
    let grant = Action::Grant { tcp: TcpId(1), bytes: 1 };
    let steps: Vec<Step> = (0..9).map(|at| quiet(at * 10, flushed(at, 5))).collect();
    let mut loud = steps.clone();
    loud[6].2.list.push(grant);
    for (recorded, ours) in [(&steps, &loud), (&loud, &steps)] {
        let (bytes, _) = record(recorded);
        let report = run(&bytes, ours);
        assert_eq!((report.events, report.ending), (7, Ending::Difference));
        let difference = report.difference.unwrap();
        assert_eq!(difference.events, 6..7);
        assert!(matches!(difference.parts[..], [Part::Missing { .. } | Part::Extra { .. }]), "{:?}", difference.parts);
        // What this run came to, whatever was recorded.
        assert_eq!(report.digest, record(&ours[..7]).1);
    }
}

#[test]
fn brief_content_that_is_none_now_is_a_difference() {
    let (bytes, _) = record(&[content(0, received(1, 50), 0..50)]);
    let difference = run(&bytes, &[quiet(0, received(1, 50))]).difference.unwrap();
    let holes: Vec<Range<u32>> = core::iter::once(0..50).collect();
    assert_eq!((difference.events, difference.recorded_holes), (0..1, Some(holes)));
}

/// Events on both sides of what is brief.
fn near() -> impl Strategy<Value = Event> {
    let tcp = || prop_oneof![0u64..300, 0xffff_fff0u64..0x1_0000_0010];
    let bytes = || prop_oneof![0u64..300, 0xfff0u64..0x1_0010];
    prop_oneof![
        (prop_oneof![0u64..3, 0xfe_u64..0x102], 0u64..70_000).prop_map(|(owner, count)| done(owner << 40 | count)),
        (tcp(), bytes()).prop_map(|(tcp, bytes)| flushed(tcp, bytes)),
        (tcp(), bytes()).prop_map(|(tcp, bytes)| received(tcp, bytes as usize)),
    ]
}

#[test]
fn holes_of_every_length_are_written_at_once_as_they_are_apart() {
    let lengths = [1, 0x7f, 0x80, 0x3fff, 0x4000, 0x4000, 0x1f_ffff, 0x20_0000];
    for gap in [0, 1, 13, 0x7f, 0x80] {
        let (mut end, mut opaque) = (0, Vec::new());
        for (length, gap) in lengths.into_iter().zip([gap].into_iter().chain([gap.max(1); 7])) {
            opaque.push(end + gap..end + gap + length);
            end += gap + length;
        }
        let bytes: Vec<u8> = (0..end + 20).map(|at| (at % 251) as u8).collect();
        let event = Event::Received { tcp: TcpId(9), bytes: bytes.into() };
        let (mut apart, mut at_once) = (Vec::new(), Room::default());
        canon::encode_number(7, &mut apart);
        canon::encode_event(&event, &opaque, &mut apart);
        canon::encode_step(7, &event, &opaque, &mut at_once, &mut Vec::new());
        assert_eq!(apart, at_once.bytes(), "{gap}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn events_come_back_whether_they_are_brief_or_not(
        events in proptest::collection::vec((prop_oneof![0u64..300, 65_530u64..65_540], near(), any::<bool>()), 0..12),
    ) {
        let mut now = 0;
        let mut steps = Vec::new();
        for (gap, event, whole) in events {
            now += gap;
            let hole = match &event {
                Event::Received { bytes, .. } if whole && !bytes.is_empty() => core::iter::once(0..bytes.len() as u32).collect(),
                _ => Vec::new(),
            };
            steps.push((now, event, Actions { opaque: hole, ..Actions::new() }));
        }
        let (bytes, digest) = record(&steps);
        let report = run(&bytes, &steps);
        prop_assert!(report.is_same() && report.is_complete());
        prop_assert_eq!(report.digest, digest);
        let read: Vec<(u64, Event, Vec<Range<u32>>)> = Reader::new(&bytes).unwrap().filter_map(|record| match record {
            Ok(Record::Event { now, event, holes, .. }) => Some((now.0, event, holes)),
            _ => None,
        }).collect();
        let want: Vec<_> = steps.iter().map(|(now, event, actions)| (*now, event.clone(), actions.opaque.clone())).collect();
        prop_assert!(read == want);
    }

    #[test]
    fn received_bytes_are_written_at_once_as_they_are_apart(
        since in any::<u64>(),
        tcp in any::<u64>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        cuts in proptest::collection::vec(0u32..450, 0..12),
        sorted in any::<bool>(),
    ) {
        let mut cuts = cuts;
        if sorted {
            cuts.sort_unstable();
            cuts.dedup();
        }
        let opaque: Vec<Range<u32>> = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
        let event = Event::Received { tcp: TcpId(tcp), bytes: bytes.into() };
        let (mut apart, mut at_once) = (Vec::new(), Room::default());
        canon::encode_number(since, &mut apart);
        canon::encode_event(&event, &opaque, &mut apart);
        canon::encode_step(since, &event, &opaque, &mut at_once, &mut Vec::new());
        prop_assert_eq!(apart, at_once.bytes());
    }
}
