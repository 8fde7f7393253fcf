//! Recordings of real sessions, run again.

use bytes::Bytes;
use parcacik_core::border::{Action, Actions, Event, JobResult, TcpId};
use parcacik_core::journal::text::{Kind, Parting, Transcript};
use parcacik_core::journal::{Digest, Reader, Record, Recorder, RunningDigest, Secret, replay, replay_with};
use parcacik_core::session::Session;
use parcacik_testkit::second::Decoder;
use parcacik_testkit::{Content, Limits, LogEntry, NodeId, Split, World};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a swarm of a seed and two leeches did, a tracker between them.
fn swarm(limits: Limits) -> (World, [NodeId; 3], Content) {
    let files = [("a", 150_000), ("sub/b", 350_001)];
    let content = Content::with_files("recorded", &files, 32_768, 6, &["udp://45.10.0.1:6969/announce"]);
    let mut world = World::with(11, limits, Default::default());
    world.keep_logs();
    let nodes = [world.add_node(), world.add_node(), world.add_node()];
    let (first, second) = content.bytes.split_at(150_000);
    world.disk(nodes[0]).put("recorded/a", first.to_vec());
    world.disk(nodes[0]).put("recorded/sub/b", second.to_vec());
    world.add(nodes[0], &content, &[], |add| add.seed_only = true);
    world.download(nodes[1], &content, &[]);
    world.download(nodes[2], &content, &[]);
    world
        .run_until(|world| nodes[1..].iter().all(|&leech| world.is_finished(leech, &content)))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
    (world, nodes, content)
}

fn actions(entry: &LogEntry) -> Actions {
    Actions { list: entry.actions.clone(), notices: entry.notices.clone(), opaque: entry.opaque.clone() }
}

fn record(world: &World, node: NodeId, log: &[LogEntry]) -> (Vec<u8>, Digest) {
    let mut recording = Vec::new();
    let mut recorder = Recorder::new(world.config(), &world.seeds(node), Secret::Keep, &mut recording);
    for entry in log {
        recorder.record(entry.now, &entry.event, &actions(entry), &mut recording);
    }
    let digest = recorder.finish(&mut recording);
    (recording, digest)
}

/// The event with other content.
fn filled(event: &Event, opaque: &[Range<u32>], fill: u8) -> Event {
    let change = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        opaque.iter().for_each(|range| bytes[range.start as usize..range.end as usize].fill(fill));
        Bytes::from(bytes)
    };
    match event {
        Event::Received { tcp, bytes } => Event::Received { tcp: *tcp, bytes: change(bytes) },
        Event::JobDone { job, result: Ok(JobResult::Read(bytes)) } => {
            Event::JobDone { job: *job, result: Ok(JobResult::Read(change(bytes))) }
        }
        other => {
            assert!(opaque.is_empty(), "content in {other:?}");
            other.clone()
        }
    }
}

#[test]
fn every_node_of_a_swarm_replays_to_its_digest() {
    for split in [Split::Whole, Split::Random(700)] {
        let (world, nodes, content) = swarm(Limits { split, ..Limits::default() });
        for node in nodes {
            let log = world.log(node);
            let (recording, digest) = record(&world, node, log);
            let report = replay(&recording).expect("it can be read");
            assert!(report.is_same(), "{split:?}, {node:?}: {}", report.difference.unwrap());
            assert_eq!((report.digest, report.events), (digest, log.len() as u64));
            assert!(report.is_complete());
            assert_eq!(report.span, log.last().unwrap().now.since(log[0].now));
            // Holes filled with anything else than zeros make no difference.
            let reader = Reader::new(&recording).unwrap().filled_with(0xa5);
            let report = replay_with(reader, Session::new).unwrap();
            assert!(report.is_same(), "{split:?}, {node:?}: {}", report.difference.unwrap());
            // No piece of content is in it.
            for at in (0..content.bytes.len() - 64).step_by(1_000) {
                let part = &content.bytes[at..at + 64];
                assert!(
                    !recording.windows(64).any(|window| window == part),
                    "content of byte {at} is in the recording"
                );
            }
        }
    }
}

#[test]
fn a_recording_takes_little_of_what_was_transferred() {
    let (world, nodes, content) = swarm(Limits::default());
    // The metainfo and the session's start aside.
    let log = world.log(nodes[1]);
    let (recording, _) = record(&world, nodes[1], log);
    assert!(recording.len() < content.bytes.len() / 10, "{} bytes for {}", recording.len(), content.bytes.len());
}

#[test]
fn sessions_that_are_given_other_content_act_the_same() {
    let (world, nodes, _) = swarm(Limits::default());
    for node in nodes {
        let log = world.log(node);
        let mut runs = [0, 0xff].map(|fill| {
            let session = Session::new(world.config().clone(), world.seeds(node)).unwrap();
            (fill, session, RunningDigest::new(Digest::of(b"")))
        });
        let mut recorded = RunningDigest::new(Digest::of(b""));
        let mut taken = 0;
        for (index, entry) in log.iter().enumerate() {
            recorded.add(entry.now, &entry.event, &actions(entry));
            taken += entry.opaque.iter().map(|range| u64::from(range.end - range.start)).sum::<u64>();
            for (fill, session, run) in &mut runs {
                let event = filled(&entry.event, &entry.opaque, *fill);
                let mut out = Actions::new();
                session.handle(entry.now, event.clone(), &mut out);
                run.add(entry.now, &event, &out);
                assert_eq!(out.opaque, entry.opaque, "event {index} of {node:?}");
                assert_eq!(run.digest(), recorded.digest(), "event {index} of {node:?}: {event:?}");
            }
        }
        assert!(taken >= 100_000, "{node:?} has seen only {taken} bytes of content");
    }
}

#[test]
fn two_recordings_part_at_the_event_that_was_changed() {
    let (world, nodes, _) = swarm(Limits::default());
    let log = world.log(nodes[1]);
    let (one, digest) = record(&world, nodes[1], log);
    let changed =
        log.iter().rposition(|entry| matches!(entry.event, Event::Flushed { .. })).expect("it sent something");
    let mut forged = log.to_vec();
    if let Event::Flushed { bytes, .. } = &mut forged[changed].event {
        *bytes += 1;
    }
    let (other, other_digest) = record(&world, nodes[1], &forged);
    assert_ne!(digest, other_digest);
    let events = |recording| {
        let records = Reader::new(recording).unwrap().map(Result::unwrap);
        records.filter(|record| matches!(record, Record::Event { .. })).collect::<Vec<_>>()
    };
    assert_eq!(events(&one).iter().zip(&events(&other)).position(|(one, other)| one != other), Some(changed));
}

#[test]
fn a_damaged_event_and_another_action_are_named() {
    let (world, nodes, _) = swarm(Limits::default());
    let leech = nodes[1];
    let log = world.log(leech);
    let at = log.iter().position(|entry| matches!(entry.event, Event::Received { .. })).expect("it heard something");
    // The session that was recorded acted in another way than today's does.
    let mut forged = log.to_vec();
    let changed = forged.iter().skip(at).position(|entry| !entry.actions.is_empty()).expect("it acted") + at;
    forged[changed].actions.pop();
    let (recording, _) = record(&world, leech, &forged);
    let difference = replay(&recording).unwrap().difference.expect("it is seen");
    assert_eq!(difference.events, changed as u64..changed as u64 + 1);
    assert_eq!(difference.actions.list, log[changed].actions);
    // One bit of what a peer said is turned over in the file.
    let (mut recording, _) = record(&world, leech, log);
    let Event::Received { bytes, .. } = &log[at].event else { unreachable!() };
    let place = recording.windows(20).position(|window| window == &bytes[..20]).expect("it is in the file");
    recording[place] ^= 1;
    let difference = replay(&recording).unwrap().difference.expect("it is seen");
    assert_eq!(difference.events, at as u64..at as u64 + 1);
}

#[test]
fn where_a_session_parts_from_its_recording_is_told_in_words() {
    let (world, nodes, _) = swarm(Limits::default());
    let leech = nodes[1];
    let log = world.log(leech);
    // The session that was recorded asked a peer for one block less.
    let asks = |entry: &LogEntry| matches!((&entry.event, entry.actions.last()), (Event::Received { .. }, Some(Action::Send { bytes, .. })) if bytes.len() == 17);
    let changed = log.iter().rposition(asks).expect("it asked for something");
    let mut forged = log.to_vec();
    forged[changed].actions.pop();
    let (recording, _) = record(&world, leech, &forged);
    let difference = replay(&recording).unwrap().difference.expect("it is seen");
    let parting = Parting::of(&difference, Reader::new(&recording).unwrap(), Session::new).unwrap();
    let text = parting.to_string();
    assert!(text.starts_with("before it:\n["), "{text}");
    assert!(text.contains(&format!("event {changed} makes the difference:\n[{changed}] ")), "{text}");
    assert!(text.contains("  now       > tcp ") && text.contains(") request piece "), "{text}");
    // What went before is about the same connection, and there is no more of it than a person reads.
    assert!((1..=20).contains(&parting.before.len()), "{text}");
    assert_eq!(parting.entry.map(|entry| entry.event), Some(changed as u64));
}

#[test]
fn a_transcript_has_every_message_that_the_second_decoder_reads() {
    let (world, nodes, _) = swarm(Limits { split: Split::Random(40_000), ..Limits::default() });
    for node in nodes {
        let mut transcript = Transcript::new(world.config());
        let mut decoders: BTreeMap<(TcpId, Kind), Decoder> = BTreeMap::new();
        let mut read: BTreeMap<(TcpId, Kind), u64> = BTreeMap::new();
        let mut told: BTreeMap<(TcpId, Kind), u64> = BTreeMap::new();
        for entry in world.log(node) {
            let received = match &entry.event {
                Event::Received { tcp, bytes } => Some((*tcp, Kind::Received, bytes)),
                _ => None,
            };
            let sent = entry.actions.iter().filter_map(|action| match action {
                Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => Some((*tcp, Kind::Sent, bytes)),
                _ => None,
            });
            for (tcp, kind, bytes) in received.into_iter().chain(sent) {
                let decoder = decoders.entry((tcp, kind)).or_default();
                decoder.feed(bytes);
                while decoder.take().expect("sessions speak the protocol").is_some() {
                    *read.entry((tcp, kind)).or_default() += 1;
                }
            }
            for line in transcript.add(entry.now, &entry.event, &actions(entry)).lines {
                assert_ne!(line.word, "nonsense", "{line}");
                if let (Some(tcp), Kind::Received | Kind::Sent) = (line.tcp, line.kind) {
                    *told.entry((tcp, line.kind)).or_default() += 1;
                }
            }
        }
        assert_eq!(told, read);
        assert!(told.values().sum::<u64>() > 40, "{told:?}");
    }
}
