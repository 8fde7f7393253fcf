//! Recordings without names: they replay, they are the same sessions, and nothing of the originals is left in them. Recordings made small: by
//! what the session does in them.
//!
//! A failure prints the seed of its swarm; `PARCACIK_SEEDS=n` runs so many of the hostile ones.

use parcacik_core::border::{Action, Actions, AddressTable, Command, Config, Event, InfoHash, IpFilter, Notice, TcpId};
use parcacik_core::journal::redact::{RedactError, Redacted, redact};
use parcacik_core::journal::shrink::Shrinker;
use parcacik_core::journal::{Ending, Reader, Record, Recorder, Secret, replay};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_testkit::hostile::{
    Chatter, Corrupt, DontHave, Flood, Havoc, Introduction, Mute, Peer, RandomHandshake, RequestFlood, WrongBitfield,
};
use parcacik_testkit::second::Word;
use parcacik_testkit::{Content, Limits, NodeId, Split, World};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const FILES: [(&str, usize); 3] =
    [("holiday pictures/beach.jpeg", 150_000), ("letters/to grandmother.txt", 9_001), ("b", 191_000)];
/// What the trackers, torrents and peers of these tests are called.
const WORDS: [&str; 9] = [
    "family archive",
    "holiday",
    "pictures",
    "beach.jpeg",
    "letters",
    "grandmother",
    "d41d8cd98f00",
    "9e107d9d372b",
    "Eva's own client",
];
const TRACKER: &str = "udp://45.10.0.1:6969/announce?passkey=d41d8cd98f00";
const HTTP_TRACKER: &str = "http://45.10.0.1:6969/announce/9e107d9d372b";

fn content() -> Content {
    Content::with_files("family archive", &FILES, 32_768, 6, &[TRACKER, HTTP_TRACKER])
}

fn put(world: &mut World, node: NodeId, content: &Content) {
    let mut at = 0;
    for (path, length) in FILES {
        world.disk(node).put(&format!("family archive/{path}"), content.bytes[at..at + length].to_vec());
        at += length;
    }
}

/// A seed and two leeches, trackers between them.
fn swarm(limits: Limits, config: Config) -> (World, Vec<NodeId>, Content) {
    let content = content();
    let mut world = World::with(11, limits, config);
    world.keep_logs();
    let nodes = vec![world.add_node(), world.add_node(), world.add_node()];
    put(&mut world, nodes[0], &content);
    world.add(nodes[0], &content, &[], |add| add.seed_only = true);
    world.download(nodes[1], &content, &[]);
    world.download(nodes[2], &content, &[]);
    finish(&mut world, &nodes[1..], &content);
    (world, nodes, content)
}

fn finish(world: &mut World, nodes: &[NodeId], content: &Content) {
    world
        .run_until(|world| nodes.iter().all(|&leech| world.is_finished(leech, content)))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
}

fn record(world: &World, node: NodeId) -> Vec<u8> {
    let mut recording = Vec::new();
    let mut recorder = Recorder::new(world.config(), &world.seeds(node), Secret::Keep, &mut recording);
    for entry in world.log(node) {
        let (list, notices) = (entry.actions.clone(), entry.notices.clone());
        let actions = Actions { list, notices, opaque: entry.opaque.clone() };
        recorder.record(entry.now, &entry.event, &actions, &mut recording);
    }
    recorder.state(&world.session(node).state(), &mut recording);
    recorder.finish(&mut recording);
    recording
}

fn events(recording: &[u8]) -> Vec<(Time, Event)> {
    let records = Reader::new(recording).unwrap().map(Result::unwrap);
    let events = records.filter_map(|record| match record {
        Record::Event { now, event, .. } => Some((now, event)),
        _ => None,
    });
    events.collect()
}

/// Redacts, and looks at the result in every way that the redaction itself does not.
fn redacted(recording: &[u8], hash: InfoHash) -> Redacted {
    let redacted = redact(recording, [7; 32]).unwrap_or_else(|error| panic!("{error}"));
    let report = replay(&redacted.bytes).expect("it is whole");
    assert!(report.is_same() && report.ending == Ending::End, "{:?}", report.difference);
    assert_eq!((report.digest, report.events), (redacted.digest, redacted.events));
    let (before, after) = (events(recording), events(&redacted.bytes));
    assert_eq!(before.len(), after.len());
    for ((old_now, old), (new_now, new)) in before.iter().zip(&after) {
        assert_eq!((old_now, discriminant(old)), (new_now, discriminant(new)));
        if let (Event::Received { tcp, bytes }, Event::Received { tcp: new_tcp, bytes: new_bytes }) = (old, new) {
            assert_eq!((tcp, bytes.len()), (new_tcp, new_bytes.len()));
        }
    }
    let originals = originals(recording, &before, hash);
    let mut haystack = redacted.bytes.clone();
    // Streams as they are put together again, so that nothing hides in a cut.
    streams(&after).into_values().for_each(|stream| haystack.extend(stream));
    for (what, original) in &originals {
        let found = haystack.windows(original.len()).position(|window| window == original);
        assert_eq!(found, None, "{what} {:?} is left", String::from_utf8_lossy(original));
    }
    assert!(originals.len() > 20, "only {} originals were looked for", originals.len());
    redacted
}

fn streams(events: &[(Time, Event)]) -> BTreeMap<TcpId, Vec<u8>> {
    let mut streams: BTreeMap<TcpId, Vec<u8>> = BTreeMap::new();
    for (_, event) in events {
        if let Event::Received { tcp, bytes } = event {
            streams.entry(*tcp).or_default().extend_from_slice(bytes);
        }
    }
    streams
}

/// What may not be found, in every form that it may have.
fn originals(recording: &[u8], events: &[(Time, Event)], hash: InfoHash) -> Vec<(&'static str, Vec<u8>)> {
    let mut originals: Vec<(&'static str, Vec<u8>)> = Vec::new();
    originals.push(("secret seed", Reader::new(recording).unwrap().header().secret.unwrap().to_vec()));
    originals.extend(WORDS.iter().map(|word| ("word", word.as_bytes().to_vec())));
    let hex = hash.to_hex();
    originals
        .extend([hash.0.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()].map(|form| ("info-hash", form)));
    let mut addresses: BTreeSet<SocketAddr> = BTreeSet::new();
    for (_, event) in events {
        match event {
            Event::Accepted { local, remote, .. } | Event::Connected { local, remote, .. } => {
                addresses.extend([*local, *remote]);
            }
            Event::Bound { local, .. } => _ = addresses.insert(*local),
            Event::Datagrams { from, bytes, .. } => {
                addresses.insert(*from);
                if bytes.starts_with(&[0, 0, 0, 1]) {
                    let peers = bytes.get(20..).unwrap_or_default().as_chunks::<6>().0;
                    addresses.extend(peers.iter().map(|[a, b, c, d, high, low]| {
                        SocketAddr::from(([*a, *b, *c, *d], u16::from_be_bytes([*high, *low])))
                    }));
                }
            }
            _ => {}
        }
    }
    for addr in addresses {
        originals.push(("address", addr.ip().to_string().into_bytes()));
        if let IpAddr::V4(ip) = addr.ip() {
            originals.push(("address", [&ip.octets()[..], &addr.port().to_be_bytes()].concat()));
        }
    }
    for stream in streams(events).values() {
        // The random part of the id, of those that sent a whole handshake.
        let id = stream.get(56..68).filter(|_| stream.starts_with(b"\x13BitTorrent protocol"));
        if let Some(id) = id.filter(|id| id.iter().any(|byte| *byte != id[0])) {
            originals.push(("peer id", id.to_vec()));
        }
    }
    originals
}

#[test]
fn every_node_of_a_swarm_is_redacted() {
    let mut config = Config::default();
    config.session.client = "Eva's own client".into();
    for split in [Split::Whole, Split::Random(300), Split::AtMost(700)] {
        let (world, nodes, content) = swarm(Limits { split, ..Limits::default() }, config.clone());
        for node in nodes {
            let result = redacted(&record(&world, node), InfoHash(content.info_hash));
            assert_eq!(result.torrents, 1);
            assert!(result.addresses >= 4 && result.peers >= 3, "{result:?}");
        }
    }
}

#[test]
fn the_same_key_makes_the_same_recording_and_another_one_another() {
    let (world, nodes, _) = swarm(Limits::default(), Config::default());
    let recording = record(&world, nodes[1]);
    let [one, same, other] = [1, 1, 2].map(|key| redact(&recording, [key; 32]).unwrap());
    assert_eq!(one, same);
    assert_ne!(one.digest, other.digest);
    // What is redacted can be redacted again.
    let again = redact(&one.bytes, [3; 32]).unwrap();
    assert_eq!((again.events, again.torrents), (one.events, one.torrents));
}

/// BEP 40 has the say about who is dialled next, and pseudonyms have another order by it.
#[test]
fn functions_of_addresses_go_with_the_recording() {
    let content = content();
    let mut config = Config::default();
    config.session.dials_per_second = 1;
    config.session.max_half_open = 2;
    // One peer that says how it sees us is enough.
    config.external.min_networks = 1;
    let mut world = World::with(5, Limits::default(), config);
    world.keep_logs();
    let nodes = [world.add_node(), world.add_node()];
    put(&mut world, nodes[0], &content);
    world.add(nodes[0], &content, &[], |add| add.seed_only = true);
    for host in 0..60u8 {
        world.tracker_knows(&content, SocketAddr::from(([50 + host, 3 * host, 7, host], 7_000 + u16::from(host))));
    }
    // The seed is named, so it is dialled first: our own address, which the order depends on, is known before the others are.
    let seed = world.address(nodes[0]);
    world.download(nodes[1], &content, &[seed]);
    finish(&mut world, &nodes[1..], &content);
    world.run_for(Duration::from_secs(200));
    let recording = record(&world, nodes[1]);
    let result = redacted(&recording, InfoHash(content.info_hash));
    let reader = Reader::new(&result.bytes).unwrap();
    let config = reader.header().config.clone();
    assert!(config.addresses.priorities.len() >= 60, "{}", config.addresses.priorities.len());
    assert!(!config.addresses.fast_sets.is_empty());
    // Without the table the session does something else.
    let run = |config: Config| {
        let mut session = Session::new(config, reader.header().seeds().unwrap()).unwrap();
        let mut dials = Vec::new();
        for (now, event) in events(&result.bytes) {
            let mut actions = Actions::new();
            session.handle(now, event, &mut actions);
            dials.extend(actions.list.into_iter().filter(|action| matches!(action, Action::Dial { .. })));
        }
        dials
    };
    let dials = run(config.clone());
    assert!(dials.len() > 20, "{} dials", dials.len());
    assert_ne!(dials, run(Config { addresses: Arc::new(AddressTable::default()), ..config }));
}

/// Peers of all kinds, lists of blocked addresses, a restart with resume data, scrapes.
#[test]
fn sessions_with_hostile_peers_are_redacted() {
    let seeds = std::env::var("PARCACIK_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(6);
    for seed in 0..seeds {
        println!("seed {seed}");
        let content = Arc::new(content());
        let mut rng = Seeds::for_tests(seed).decisions(Stream::Session, 1);
        let split = [Split::Whole, Split::Random(900), Split::AtMost(1_400)][rng.index(3)];
        let mut world = World::with(seed, Limits { split, ..Limits::default() }, Config::default());
        world.keep_logs();
        let nodes = [world.add_node(), world.add_node()];
        put(&mut world, nodes[0], &content);
        world.add(nodes[0], &content, &[], |add| add.seed_only = true);
        for _ in 0..10 {
            let peer = stranger(&mut rng, &content);
            let id = world.add_stranger(true, peer);
            let address = world.stranger_address(id);
            world.tracker_knows(&content, address);
        }
        for host in 0..20u8 {
            world.tracker_knows(&content, SocketAddr::from(([10 + 9 * host, host, 7, host], 80 * u16::from(host) + 1)));
        }
        let mut filter = IpFilter::new();
        assert!(filter.block([19, 0, 0, 0].into(), [28, 255, 0, 0].into()));
        world.command(nodes[1], Command::SetIpFilter { filter: Arc::new(filter) });
        world.download(nodes[1], &content, &[]);
        world.run_for(Duration::from_secs(40));
        let (trackers, other) =
            (vec![HTTP_TRACKER.to_owned(), TRACKER.to_owned()], InfoHash([seed.wrapping_mul(91); 20]));
        let torrents = vec![InfoHash(content.info_hash), other, InfoHash([0x77; 20])];
        world.command(nodes[1], Command::Scrape { trackers, torrents });
        finish(&mut world, &nodes[1..], &content);
        world.run_for(Duration::from_secs(20));
        for node in nodes {
            redacted(&record(&world, node), InfoHash(content.info_hash));
        }
    }
}

fn stranger(rng: &mut Rng, content: &Arc<Content>) -> Peer {
    let (seed, leech) = (Peer::seed(content), Peer::leech(content));
    let peer = match rng.index(12) {
        0 => seed.with(WrongBitfield::SpareBits),
        1 => seed.with(DontHave::default()),
        2 => seed.with(Introduction(
            b"d4:ipv44:\x2d\x05\x06\x071:mde4:reqqi1e1:v16:Eva's own client6:yourip4:\x2d\x0a\x01\x02e".to_vec(),
        )),
        3 => seed.with(Introduction(b"no dictionary, from holiday".to_vec())),
        4 => seed.with(Chatter::metadata()),
        5 => seed.with(Chatter::pex(Duration::from_millis(100), 50)),
        6 => seed.with(Mute),
        7 => seed.with(Corrupt::EveryBlock),
        8 => seed.with(Corrupt::OneIn(4)),
        9 => seed.with(Flood { words: vec![Word::Have(0)], times: 20, every: Duration::from_millis(100), rounds: 20 }),
        10 => leech.with(RequestFlood(500)),
        _ => leech.with(RandomHandshake { right: rng.index(68), length: 1 + rng.index(200) }),
    };
    if rng.index(3) == 0 { peer.with(Havoc::new(1 + rng.index(20))) } else { peer }
}

#[test]
fn what_cannot_be_replayed_is_not_redacted() {
    let (world, nodes, _) = swarm(Limits::default(), Config::default());
    let recording = record(&world, nodes[1]);
    assert!(matches!(redact(b"something else", [0; 32]), Err(RedactError::Replay(_))));
    let without = parcacik_core::journal::without_secret(&recording).unwrap();
    assert!(matches!(redact(&without, [0; 32]), Err(RedactError::Replay(_))));
    // A session that did one thing more than this one does.
    let mut forged = Vec::new();
    let mut recorder = Recorder::new(world.config(), &world.seeds(nodes[1]), Secret::Keep, &mut forged);
    for entry in world.log(nodes[1]) {
        let mut actions = Actions { list: entry.actions.clone(), notices: vec![], opaque: entry.opaque.clone() };
        actions.list.truncate(3);
        recorder.record(entry.now, &entry.event, &actions, &mut forged);
    }
    recorder.finish(&mut forged);
    assert!(matches!(redact(&forged, [0; 32]), Err(RedactError::Differs(report)) if !report.is_same()));
    // One that was cut off is redacted as far as it goes, and then ends in order.
    let cut = redact(&recording[..recording.len() / 2], [0; 32]).unwrap();
    let report = replay(&cut.bytes).unwrap();
    assert!(report.ending == Ending::End && report.is_same() && report.events == cut.events && cut.events > 10);
}

/// A check that looks at what the session does, as a replay would show it.
#[test]
fn a_recording_shrinks_to_what_makes_the_session_do_something() {
    let (world, nodes, _) = swarm(Limits { split: Split::AtMost(4_000), ..Limits::default() }, Config::default());
    let recording = record(&world, nodes[1]);
    let all = events(&recording).len();
    assert!(all > 250, "{all} events");
    let fails = |recording: &[u8]| {
        let reader = Reader::new(recording).unwrap();
        let header = reader.header();
        let mut session = Session::new(header.config.clone(), header.seeds().unwrap()).unwrap();
        let mut actions = Actions::new();
        events(recording).into_iter().any(|(now, event)| {
            actions.clear();
            session.handle(now, event, &mut actions);
            actions.notices.iter().any(|notice| matches!(notice, Notice::PeerConnected { .. }))
        })
    };
    let mut shrinker = Shrinker::new(&recording).unwrap();
    let mut runs = 0;
    while let Some(proposal) = shrinker.propose() {
        runs += 1;
        let verdict = fails(proposal);
        shrinker.judge(verdict);
    }
    let smallest = shrinker.smallest().expect("it failed to begin with");
    let left = events(smallest);
    // The torrent, its start from the disk, a stream, and a handshake on it.
    assert!(left.len() <= 12, "{} of {all} events after {runs} runs: {left:?}", left.len());
    assert!(left.iter().any(|(_, event)| matches!(event, Event::Command { command: Command::Add(_), .. })));
    assert!(left.iter().any(|(_, event)| matches!(event, Event::Received { .. })));
    assert!(replay(smallest).unwrap().is_same() && fails(smallest));
}
