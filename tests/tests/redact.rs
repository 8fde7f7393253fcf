//! Recordings without names: they replay, they are the same sessions, and nothing of the originals is left in them.

use parcacik_core::border::{Actions, Command, Event, JobResult, Target};
use parcacik_core::journal::redact::{Redacted, redact};
use parcacik_core::journal::{Reader, Record, Recorder, Secret, replay};
use parcacik_core::time::Time;
use parcacik_testkit::{Content, Limits, NodeId, Split, World};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

const FILES: [(&str, usize); 3] =
    [("holiday pictures/one.jpeg", 150_000), ("letters/to grandmother.txt", 9_001), ("b", 191_000)];
const NAMES: [&str; 6] =
    ["family archive", "holiday pictures", "one.jpeg", "letters", "to grandmother.txt", "45.10.0.1"];
const TRACKER: &str = "udp://45.10.0.1:6969/announce?passkey=d41d8cd98f00";
const HTTP_TRACKER: &str = "http://45.10.0.1:6969/announce/9e107d9d372b";

/// What a swarm of a seed and two leeches did, trackers between them.
fn swarm(split: Split) -> (World, Vec<NodeId>, Content) {
    let content = Content::with_files("family archive", &FILES, 32_768, 6, &[TRACKER, HTTP_TRACKER]);
    let mut world = World::with(11, Limits { split, ..Limits::default() }, Default::default());
    world.keep_logs();
    let nodes = vec![world.add_node(), world.add_node(), world.add_node()];
    let mut at = 0;
    for (path, length) in FILES {
        world.disk(nodes[0]).put(&format!("family archive/{path}"), content.bytes[at..at + length].to_vec());
        at += length;
    }
    world.add(nodes[0], &content, &[], |add| add.seed_only = true);
    world.download(nodes[1], &content, &[]);
    world.download(nodes[2], &content, &[]);
    world
        .run_until(|world| nodes[1..].iter().all(|&leech| world.is_finished(leech, &content)))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
    (world, nodes, content)
}

fn record(world: &World, node: NodeId) -> Vec<u8> {
    let mut recording = Vec::new();
    let mut recorder = Recorder::new(world.config(), &world.seeds(node), Secret::Keep, &mut recording);
    for entry in world.log(node) {
        let actions =
            Actions { list: entry.actions.clone(), notices: entry.notices.clone(), opaque: entry.opaque.clone() };
        recorder.record(entry.now, &entry.event, &actions, &mut recording);
    }
    recorder.finish(&mut recording);
    recording
}

fn redacted(recording: &[u8]) -> Redacted {
    let redacted = redact(recording, [7; 32]).unwrap_or_else(|error| panic!("{error}"));
    let report = replay(&redacted.bytes).expect("it is whole");
    assert!(report.is_same() && report.complete, "{:?}", report.difference);
    assert_eq!((report.digest, report.events), (redacted.digest, redacted.events));
    redacted
}

fn events(recording: &[u8]) -> Vec<(Time, Event)> {
    let records = Reader::new(recording).unwrap().map(Result::unwrap);
    let events = records.filter_map(|record| match record {
        Record::Event { now, event, .. } => Some((now, event)),
        _ => None,
    });
    events.collect()
}

#[test]
fn every_node_of_a_swarm_is_redacted() {
    for split in [Split::Whole, Split::Random(300), Split::AtMost(7)] {
        let (world, nodes, content) = swarm(split);
        for node in nodes {
            let recording = record(&world, node);
            let result = redacted(&recording);
            let (before, after) = (events(&recording), events(&result.bytes));
            assert_eq!(before.len(), after.len());
        }
    }
}
