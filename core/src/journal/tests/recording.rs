//! Whole recordings, of a small machine that answers everything.

use super::values::{event, fault};
use crate::border::{Action, Actions, Config, ConfigError, Event, JobId, JobResult, Notice, TcpId, TorrentId, Work};
use crate::journal::{
    BEHAVIOUR, CHECKPOINT_EVERY, Digest, Ending, FORMAT, FORMAT_MINOR, Machine, ReadError, ReadProblem, Reader, Record,
    Recorder, ReplayError, ReplayReport, RunningDigest, Secret, Sink, canon, replay, replay_with, without_secret,
};
use crate::rng::{Rng, Seeds, Stream};
use crate::time::Time;
use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

/// Remembers a little of everything it is told, and answers out of that. The second half of each buffer is content to it.
#[derive(Clone, Debug)]
struct Toy {
    now: Time,
    memory: u64,
    chance: Rng,
    /// The event that it answers in another way.
    odd: Option<u64>,
    events: u64,
}

impl Toy {
    fn new(_: Config, seeds: Seeds) -> Result<Toy, ConfigError> {
        Ok(Toy { now: Time::ZERO, memory: 0, chance: seeds.secrets(Stream::Session, 0), odd: None, events: 0 })
    }

    fn odd_at(event: u64) -> impl FnOnce(Config, Seeds) -> Result<Toy, ConfigError> {
        move |config, seeds| Ok(Toy { odd: Some(event), ..Toy::new(config, seeds)? })
    }

    fn remember(&mut self, what: u64) {
        self.memory = self.memory.wrapping_mul(0x0100_0000_01b3).wrapping_add(what);
    }
}

impl Machine for Toy {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        // An earlier time counts as the last, as in a session.
        self.now = self.now.max(now);
        self.remember(self.now.0);
        match event {
            Event::Received { bytes, .. } | Event::JobDone { result: Ok(JobResult::Read(bytes)), .. } => {
                let (head, content) = bytes.split_at(bytes.len() / 2);
                head.iter().for_each(|&byte| self.remember(u64::from(byte)));
                if !content.is_empty() {
                    out.opaque.push(head.len() as u32..bytes.len() as u32);
                    let bytes = bytes.slice(head.len()..);
                    let work = Work::Write { torrent: TorrentId(0), piece: 1, begin: 2, bytes: bytes.clone() };
                    out.list.push(Action::Start { job: JobId(self.events), work });
                    out.list.push(Action::SendContent {
                        tcp: TcpId(1),
                        torrent: TorrentId(0),
                        piece: 1,
                        begin: 0,
                        bytes,
                    });
                }
            }
            Event::Flushed { bytes, .. } => self.remember(bytes),
            _ => {}
        }
        let said = self.memory ^ self.chance.next_u64() ^ u64::from(self.odd == Some(self.events));
        self.events += 1;
        out.list.push(Action::Send { tcp: TcpId(1), bytes: Bytes::copy_from_slice(&said.to_be_bytes()) });
        if said.is_multiple_of(4) {
            out.notices.push(Notice::PieceDone { torrent: TorrentId(0), piece: said as u32 });
        }
    }
}

/// A recording, the ends of its frames, and what it came to.
struct Made {
    bytes: Vec<u8>,
    digest: Digest,
}

fn record(events: &[(u64, Event)], secret: Secret) -> Made {
    let (config, seeds) = (Config::default(), Seeds::for_tests(9));
    let mut bytes = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, secret, &mut bytes);
    let mut toy = Toy::new(config, seeds).unwrap();
    let mut actions = Actions::new();
    for (now, event) in events {
        actions.clear();
        toy.handle(Time(*now), event.clone(), &mut actions);
        recorder.record(Time(*now), event, &actions, &mut bytes);
    }
    assert_eq!(recorder.events(), events.len() as u64);
    let digest = recorder.finish(&mut bytes);
    Made { bytes, digest }
}

/// How long the last frame of a recording of 0 to 127 events and milliseconds is, without checkpoints.
const END_OF_NOTHING: usize = 37;

fn run(bytes: &[u8]) -> Result<ReplayReport, ReplayError> {
    replay_with(Reader::new(bytes).map_err(ReplayError::Read)?, Toy::new)
}

/// `count` events of all sizes, 10 ms apart.
fn plain(count: u64) -> Vec<(u64, Event)> {
    let one = |at: u64| match at % 3 {
        0 => Event::Received { tcp: TcpId(at), bytes: vec![at as u8; (at % 50) as usize].into() },
        1 => Event::Flushed { tcp: TcpId(at), bytes: at },
        _ => Event::JobDone { job: JobId(at), result: Ok(JobResult::Read(vec![at as u8; 40].into())) },
    };
    (0..count).map(|at| (5_000 + at * 10_000, one(at))).collect()
}

#[test]
fn a_replay_comes_to_the_same() {
    let made = record(&plain(3_000), Secret::Keep);
    let report = run(&made.bytes).unwrap();
    assert_eq!(
        report,
        ReplayReport {
            events: 3_000,
            span: Duration::from_millis(29_990),
            digest: made.digest,
            behaviour: BEHAVIOUR,
            ending: Ending::End,
            difference: None,
            states: 0,
            drift: None,
        }
    );
}

#[test]
fn a_recording_has_checkpoints_and_an_end() {
    let made = record(&plain(2_500), Secret::Keep);
    let records: Vec<Record> = Reader::new(&made.bytes).unwrap().map(Result::unwrap).collect();
    let at = |wanted: fn(&Record) -> Option<u64>| records.iter().filter_map(wanted).collect::<Vec<u64>>();
    let checkpoints = at(|record| if let Record::Checkpoint { events, .. } = record { Some(*events) } else { None });
    assert_eq!(checkpoints, [CHECKPOINT_EVERY, 2 * CHECKPOINT_EVERY]);
    assert_eq!(records.last(), Some(&Record::End { events: 2_500, now: Time(24_995_000), digest: made.digest }));
    assert_eq!(records.len(), 2_500 + 2 + 1);
}

#[test]
fn the_header_says_what_the_session_was_made_with() {
    let made = record(&[], Secret::Keep);
    let reader = Reader::new(&made.bytes).unwrap();
    let header = reader.header();
    assert_eq!(header.config, Config::default());
    assert_eq!(header.seeds(), Some(Seeds::for_tests(9)));
    assert_eq!((header.behaviour, header.version.as_str()), (BEHAVIOUR, env!("CARGO_PKG_VERSION")));
}

#[test]
fn content_is_not_in_the_recording_and_does_not_matter() {
    let content = |fill: u8| {
        let bytes: Bytes = [vec![1; 500], vec![fill; 500]].concat().into();
        vec![
            (0, Event::Received { tcp: TcpId(1), bytes: bytes.clone() }),
            (1, Event::JobDone { job: JobId(1), result: Ok(JobResult::Read(bytes)) }),
        ]
    };
    let made = record(&content(0xee), Secret::Keep);
    assert_eq!(made.bytes, record(&content(0x11), Secret::Keep).bytes);
    for fill in [0, 0xee, 0xff] {
        let reader = Reader::new(&made.bytes).unwrap().filled_with(fill);
        assert_eq!(replay_with(reader, Toy::new).unwrap().digest, made.digest, "filled with {fill}");
    }
    // What comes before the content does matter.
    let other = vec![(0, Event::Received { tcp: TcpId(1), bytes: vec![2; 1000].into() })];
    assert_ne!(record(&other, Secret::Keep).digest, record(&content(2)[..1], Secret::Keep).digest);
}

#[test]
fn a_machine_that_acts_otherwise_is_found_at_the_event() {
    let made = record(&plain(2_000), Secret::Keep);
    for odd in [0, 1, 1_023, 1_024, 1_999] {
        let report = replay_with(Reader::new(&made.bytes).unwrap(), Toy::odd_at(odd)).unwrap();
        let difference = report.difference.clone().expect("it is found");
        assert_eq!(difference.events, odd..odd + 1);
        assert_eq!(difference.event, Some(zero_content(plain(2_000)[odd as usize].1.clone())));
        assert!(!difference.actions.list.is_empty());
        assert!(difference.to_string().starts_with(&std::format!("event {odd} of the recording")));
        assert!(!report.is_same() && !report.is_complete());
    }
}

fn zero_content(event: Event) -> Event {
    let zeroed = |bytes: Bytes| {
        let half = bytes.len() / 2;
        Bytes::from([&bytes[..half], &vec![0; bytes.len() - half]].concat())
    };
    match event {
        Event::Received { tcp, bytes } => Event::Received { tcp, bytes: zeroed(bytes) },
        Event::JobDone { job, result: Ok(JobResult::Read(bytes)) } => {
            Event::JobDone { job, result: Ok(JobResult::Read(zeroed(bytes))) }
        }
        other => other,
    }
}

#[test]
fn a_recording_that_was_cut_off_is_replayed_as_far_as_it_goes() {
    let events = plain(6);
    let made = record(&events, Secret::Keep);
    let head = record(&[], Secret::Keep).bytes.len() - END_OF_NOTHING;
    let (mut seen, whole) = (Vec::new(), made.bytes.len());
    for end in 0..whole {
        match run(&made.bytes[..end]) {
            Ok(report) => {
                assert!(end >= head, "the header is needed");
                assert!(report.is_same() && !report.is_complete(), "cut at {end}");
                seen.push(report.events);
            }
            Err(ReplayError::NoSecret) => assert!(end < head && end + 34 >= head),
            Err(ReplayError::Read(ReadError { problem, .. })) => {
                assert!(matches!(problem, ReadProblem::Truncated | ReadProblem::NotARecording), "{problem:?} at {end}");
                assert!(end < head);
            }
            Err(other) => panic!("cut at {end}: {other}"),
        }
    }
    assert!(seen.is_sorted());
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_recording_can_be_shared_without_the_secret() {
    let made = record(&plain(10), Secret::Keep);
    let shared = without_secret(&made.bytes).unwrap();
    assert_eq!(shared, record(&plain(10), Secret::LeaveOut).bytes);
    assert_eq!(without_secret(&shared).unwrap(), shared);
    let secret = Seeds::for_tests(9).secret;
    assert!(!shared.windows(secret.len()).any(|window| window == secret));
    assert_eq!(run(&shared), Err(ReplayError::NoSecret));
    let again = Reader::new(&shared).unwrap().with_secret(secret);
    assert_eq!(replay_with(again, Toy::new).unwrap().digest, made.digest);
    let wrong = Reader::new(&shared).unwrap().with_secret([0; 32]);
    assert_eq!(replay_with(wrong, Toy::new).unwrap().difference.unwrap().events, 0..1);
}

#[test]
fn other_formats_are_refused_and_a_later_minor_one_is_not() {
    let made = record(&plain(1), Secret::Keep);
    // Behind the magic: kind, two bytes of length, format, its minor version, epoch.
    assert_eq!(made.bytes[11..14], [FORMAT as u8, FORMAT_MINOR as u8, BEHAVIOUR as u8]);
    let changed = |at: usize| {
        let mut bytes = made.bytes.clone();
        bytes[at] = 99;
        bytes
    };
    let refused = |at: usize| run(&changed(at)).unwrap_err();
    assert!(matches!(refused(11), ReplayError::Read(ReadError { problem: ReadProblem::Format(99), .. })));
    assert!(matches!(refused(0), ReplayError::Read(ReadError { problem: ReadProblem::NotARecording, .. })));
    assert!(matches!(refused(8), ReplayError::Read(ReadError { problem: ReadProblem::Frame(99), .. })));
    assert_eq!(Reader::new(&changed(12)).unwrap().header().minor, 99);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let mut config = Config::default();
    config.session.max_peers = 0;
    let mut bytes = Vec::new();
    Recorder::new(&config, &Seeds::for_tests(1), Secret::Keep, &mut bytes).finish(&mut bytes);
    assert!(matches!(replay(&bytes), Err(ReplayError::Config(ConfigError { field: "session.max_peers", .. }))));
}

#[test]
fn nothing_may_follow_the_end() {
    let mut made = record(&plain(3), Secret::Keep);
    made.bytes.push(0);
    let error = Reader::new(&made.bytes).unwrap().last().unwrap().unwrap_err();
    assert_eq!((error.events, error.offset), (3, made.bytes.len() as u64 - 1));
}

#[test]
fn a_changed_byte_of_an_event_is_found_at_that_event() {
    let made = record(&plain(40), Secret::Keep);
    let frames = frames(&made.bytes);
    assert_eq!(frames.len(), 1 + 1 + 40 + 1);
    let records: Vec<Record> = Reader::new(&made.bytes).unwrap().map(Result::unwrap).collect();
    let without_sketches = |mut record: Record| {
        if let Record::Event { did, .. } = &mut record {
            did.clear();
        }
        record
    };
    for (index, frame) in frames[2..42].iter().enumerate() {
        for at in frame.clone() {
            let mut bytes = made.bytes.clone();
            bytes[at] ^= 1;
            match run(&bytes) {
                Ok(report) if report.is_same() => {
                    // Sketches are for people, and not part of what is compared: all else is as it was.
                    let changed = Reader::new(&bytes).unwrap().nth(index).unwrap();
                    if let Ok(changed) = changed {
                        assert_eq!(without_sketches(changed), without_sketches(records[index].clone()), "byte {at}");
                    }
                }
                Ok(report) => {
                    let difference = report.difference.unwrap();
                    assert_eq!(difference.events, index as u64..index as u64 + 1, "byte {at}");
                }
                Err(ReplayError::Read(error)) => assert_eq!(error.events, index as u64, "byte {at}: {error}"),
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
}

/// The bodies of all frames.
fn frames(bytes: &[u8]) -> Vec<core::ops::Range<usize>> {
    let mut at = 8;
    let mut found = Vec::new();
    while at < bytes.len() {
        at += 1;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = bytes[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        found.push(at..at + length);
        at += length;
    }
    found
}

#[test]
fn an_earlier_time_counts_as_the_last() {
    let (mut one, mut other) = (RunningDigest::new(Digest([0; 16])), RunningDigest::new(Digest([0; 16])));
    for now in [5, 3] {
        one.add(Time(now), &Event::Tick, &Actions::new());
        other.add(Time(5), &Event::Tick, &Actions::new());
    }
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.now(), Time(5));
}

#[test]
fn the_digest_is_the_same_on_every_machine() {
    // Frozen: a change here makes every recording there is unreadable, and calls for a new format.
    let mut run = RunningDigest::new(Digest::of(b"start"));
    let event = Event::Received { tcp: TcpId(7), bytes: Bytes::from_static(b"head-content") };
    let mut actions = Actions::new();
    actions.opaque.push(5..12);
    actions.list.push(Action::Grant { tcp: TcpId(7), bytes: 12 });
    run.add(Time(1_000), &event, &actions);
    // One action and no notice, and the hash of the action.
    let action = xxh3_64(&[6, 12, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    let sum = (1u64 << 32 ^ action).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    let mut whole = Digest::of(b"start").0.to_vec();
    whole.extend(sum.to_le_bytes());
    whole.extend([0xe8, 0x07, 8, 7, 12, 1, 5, 7]);
    whole.extend(b"head-");
    assert_eq!(run.digest(), Digest::of(&whole));
    assert_eq!(Digest::of(b"").to_string(), "99aa06d3014798d86001c324468d497f", "XXH3-128 of nothing");
}

/// Counts instead of keeping.
struct Count(usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

#[test]
fn a_recording_of_blocks_is_small() {
    let (config, seeds) = (Config::default(), Seeds::for_tests(1));
    let mut count = Count(0);
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut count);
    let head = count.0;
    let chunk = Bytes::from(vec![0; 65_536]);
    let mut actions = Actions::new();
    actions.opaque.extend([13..16_397, 16_410..32_794, 32_807..49_191, 49_204..65_536]);
    for at in 0..1_000 {
        recorder.record(Time(at * 500), &Event::Received { tcp: TcpId(1), bytes: chunk.clone() }, &actions, &mut count);
    }
    recorder.finish(&mut count);
    let each = (count.0 - head) / 1_000;
    assert!(each < 100, "{each} bytes for 64 KiB");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_events_replay(events in proptest::collection::vec((0u64..1_000_000, event()), 0..30)) {
        let made = record(&events, Secret::Keep);
        let report = run(&made.bytes).unwrap();
        prop_assert!(report.is_same() && report.is_complete());
        prop_assert_eq!(report.digest, made.digest);
        prop_assert_eq!(report.events, events.len() as u64);
    }

    #[test]
    fn another_event_makes_another_digest(
        mut events in proptest::collection::vec((0u64..1_000_000, event()), 1..10),
        at in any::<proptest::sample::Index>(),
        fault in fault(),
    ) {
        let before = record(&events, Secret::Keep).digest;
        let place = at.index(events.len());
        let changed = Event::BindFailed { sock: crate::border::SocketId(3), fault };
        prop_assume!(events[place].1 != changed);
        events[place].1 = changed;
        prop_assert_ne!(record(&events, Secret::Keep).digest, before);
    }

    #[test]
    fn garbage_is_never_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut all = record(&plain(2), Secret::Keep).bytes;
        all.truncate(all.len() - END_OF_NOTHING);
        all.extend(&bytes);
        let reader = Reader::new(&all).unwrap();
        prop_assert!(reader.count() >= 3, "the two events are there, and then something is said");
        let _ = canon::decode_config(&bytes);
        let _ = Reader::new(&bytes);
    }
}
