//! Swarms of real sessions in virtual time.

use parcacik_core::border::{Action, Actions, Config, Event, JobResult, Notice, SeedGoal, TorrentState};
use parcacik_core::journal::{Digest, RunningDigest};
use parcacik_core::session::Session;
use parcacik_testkit::{Content, Limits, NodeId, Split, World};
use std::time::Duration;

fn pair(mut world: World, content: &Content) -> (World, NodeId, NodeId) {
    world.keep_logs();
    let seed = world.add_node();
    let leech = world.add_node();
    world.seed(seed, content, &[]);
    let at = world.address(seed);
    world.download(leech, content, &[at]);
    (world, seed, leech)
}

#[test]
fn a_leech_downloads_everything_from_a_seed() {
    let content = Content::new("one.bin", 1_000_000, 65_536, 1);
    let (mut world, _, leech) = pair(World::new(1), &content);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.has_all(leech, &content));
    assert!(world.now().as_micros() < 10_000_000, "it took {:?}", world.now());
    assert!(world.notices(leech).iter().any(|notice| matches!(notice, Notice::Finished { .. })));
}

#[test]
fn ten_leeches_and_one_seed_share_by_a_tracker() {
    for tracker in ["http://45.10.0.1:6969/announce", "udp://45.10.0.1:6969/announce"] {
        let content = Content::with_files("swarm.bin", &[("swarm.bin", 2_000_000)], 32_768, 2, &[tracker]);
        let mut world = World::new(2);
        let seed = world.add_node();
        world.seed(seed, &content, &[]);
        let leeches: Vec<NodeId> = (0..10).map(|_| world.add_node()).collect();
        for &leech in &leeches {
            world.download(leech, &content, &[]);
        }
        world
            .run_until(|world| leeches.iter().all(|&leech| world.is_finished(leech, &content)))
            .unwrap_or_else(|stuck| panic!("{tracker}: {stuck} {:?}", world.notices(leeches[0])));
        for &leech in &leeches {
            assert!(world.has_all(leech, &content));
        }
        let uploaded = world.view(seed, &content).unwrap().uploaded;
        assert!(uploaded < 10 * 2_000_000, "the leeches share among themselves: the seed gave {uploaded}");
    }
}

#[test]
fn a_torrent_of_many_files_with_empty_ones_comes_whole() {
    let files = [("a", 10), ("empty", 0), ("sub/b", 70_000), ("sub/c", 1), ("z", 0)];
    let content = Content::with_files("many", &files, 16_384, 3, &[]);
    let mut world = World::new(3);
    let seed = world.add_node();
    let leech = world.add_node();
    let mut at = 0;
    for (path, length) in files {
        world.disk(seed).put(&format!("many/{path}"), content.bytes[at..at + length].to_vec());
        at += length;
    }
    let address = world.address(seed);
    world.add(seed, &content, &[], |add| add.seed_only = true);
    world.download(leech, &content, &[address]);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    let mut at = 0;
    for (path, length) in files {
        assert_eq!(world.disk(leech).get(&format!("many/{path}")), Some(&content.bytes[at..at + length]), "{path}");
        at += length;
    }
}

#[test]
fn a_crash_at_any_time_loses_nothing_that_was_claimed() {
    let content = Content::new("crash.bin", 3_000_000, 32_768, 4);
    let limits = Limits { upload: 1_000_000, ..Limits::default() };
    let mut config = Config::default();
    config.persist.sync_interval = Duration::from_millis(200);
    let mut world = World::with(4, limits, config);
    let seed = world.add_node();
    let leech = world.add_node();
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    let mut last = 0;
    for round in 0..8 {
        world.run_for(Duration::from_millis(350));
        let view = world.view(leech, &content).unwrap();
        assert!(view.pieces.count() >= last, "round {round}: {} pieces after {last}", view.pieces.count());
        world.crash(leech);
        world.run_for(Duration::from_millis(50));
        world.restart(leech);
        world.download(leech, &content, &[at]);
        world
            .run_until(|world| {
                world
                    .view(leech, &content)
                    .is_some_and(|v| v.state == TorrentState::Downloading || v.missing_bytes == 0)
            })
            .unwrap_or_else(|stuck| panic!("{stuck}"));
        last = world.view(leech, &content).unwrap().pieces.count();
    }
    assert!(last > 0);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.has_all(leech, &content));
}

#[test]
fn a_torrent_without_a_seed_goal_stops_and_is_saved() {
    let content = Content::new("done.bin", 300_000, 16_384, 5);
    let mut world = World::new(5);
    let seed = world.add_node();
    let leech = world.add_node();
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.add(leech, &content, &[at], |add| add.goal = SeedGoal::None);
    world
        .run_until(|world| world.notices(leech).iter().any(|notice| matches!(notice, Notice::Done { .. })))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
    let saved: Vec<u32> = world
        .notices(leech)
        .iter()
        .filter_map(|notice| if let Notice::Saved { pieces, .. } = notice { Some(*pieces) } else { None })
        .collect();
    assert_eq!(saved.last(), Some(&19), "{saved:?}");
    assert_eq!(saved.first(), Some(&0), "the first record claims nothing");
}

#[test]
fn a_peer_that_sends_bad_data_is_banned_and_the_honest_are_not() {
    let content = Content::new("bad.bin", 600_000, 65_536, 6);
    let mut world = World::new(6);
    let honest = world.add_node();
    let liar = world.add_node();
    let leech = world.add_node();
    world.seed(honest, &content, &[]);
    world.seed(liar, &content, &[]);
    world.run_for(Duration::from_secs(1));
    // Its pieces were right when it checked them; its disk has gone bad since.
    for block in 0..content.bytes.len() / 16_384 {
        world.disk(liar).damage("bad.bin", block * 16_384 + 5);
    }
    let (a, b) = (world.address(honest), world.address(liar));
    world.download(leech, &content, &[a, b]);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.has_all(leech, &content));
    let banned: Vec<_> = world
        .notices(leech)
        .iter()
        .filter_map(|notice| if let Notice::PeerBanned { addr, .. } = notice { Some(addr.ip()) } else { None })
        .collect();
    assert!(banned.contains(&b.ip()), "the liar is found: {banned:?}");
    assert!(!banned.contains(&a.ip()), "the honest peer is not: {banned:?}");
}

#[test]
fn a_foreign_file_is_not_overwritten() {
    let content = Content::new("mine.txt", 100_000, 16_384, 7);
    let mut world = World::new(7);
    let seed = world.add_node();
    let leech = world.add_node();
    world.seed(seed, &content, &[]);
    world.disk(leech).put("mine.txt", b"somebody's diary".to_vec());
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(10));
    assert!(world.notices(leech).iter().any(|notice| matches!(notice, Notice::ForeignFile { file: 0, .. })));
    assert_eq!(world.disk(leech).get("mine.txt"), Some(&b"somebody's diary"[..]));
}

#[test]
fn a_full_disk_heals_by_itself() {
    let content = Content::new("full.bin", 800_000, 32_768, 8);
    let mut world = World::new(8);
    let seed = world.add_node();
    let leech = world.add_node();
    world.seed(seed, &content, &[]);
    world.disk(leech).room = Some(200_000);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(20));
    assert!(!world.is_finished(leech, &content));
    assert!(world.notices(leech).iter().any(|notice| matches!(notice, Notice::StorageFailed { .. })));
    world.disk(leech).room = None;
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.has_all(leech, &content));
}

/// Makes every call of a log again on a fresh session.
fn replay(world: &World, node: NodeId, change: impl Fn(usize) -> Event) -> Vec<(Vec<Action>, Vec<Notice>)> {
    let mut session = Session::new(world.config().clone(), world.seeds(node)).unwrap();
    let mut out = Actions::new();
    world
        .log(node)
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            out.clear();
            session.handle(entry.now, change(index), &mut out);
            (out.list.clone(), out.notices.clone())
        })
        .collect()
}

#[test]
fn the_same_events_give_the_same_actions() {
    let content = Content::new("same.bin", 500_000, 32_768, 9);
    let (mut world, seed, leech) = pair(World::new(9), &content);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    for node in [seed, leech] {
        let again = replay(&world, node, |index| world.log(node)[index].event.clone());
        for (index, (entry, (actions, notices))) in world.log(node).iter().zip(&again).enumerate() {
            assert_eq!((&entry.actions, &entry.notices), (actions, notices), "call {index}: {:?}", entry.event);
        }
    }
}

/// The event with zeros in place of everything that the session said it does not look at.
fn with_holes(event: &Event, opaque: &[std::ops::Range<u32>]) -> Event {
    let zeroed = |bytes: &bytes::Bytes| {
        let mut bytes = bytes.to_vec();
        for range in opaque {
            bytes[range.start as usize..range.end as usize].fill(0);
        }
        bytes::Bytes::from(bytes)
    };
    match event {
        Event::Received { tcp, bytes } => Event::Received { tcp: *tcp, bytes: zeroed(bytes) },
        Event::JobDone { job, result: Ok(JobResult::Read(bytes)) } => {
            Event::JobDone { job: *job, result: Ok(JobResult::Read(zeroed(bytes))) }
        }
        other => other.clone(),
    }
}

/// An action without the content that it carries: only its place.
fn placed(action: &Action) -> String {
    match action {
        Action::SendContent { tcp, torrent, piece, begin, bytes } => {
            format!("content {tcp:?} {torrent:?} {piece} {begin} {}", bytes.len())
        }
        Action::Start { job, work: parcacik_core::border::Work::Write { torrent, piece, begin, bytes } } => {
            format!("write {job:?} {torrent:?} {piece} {begin} {}", bytes.len())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn content_is_never_looked_at() {
    let content = Content::new("blind.bin", 500_000, 32_768, 10);
    let limits = Limits { split: Split::Random(40_000), ..Limits::default() };
    let (mut world, seed, leech) = pair(World::with(10, limits, Config::default()), &content);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    for node in [seed, leech] {
        let log = world.log(node);
        let again = replay(&world, node, |index| with_holes(&log[index].event, &log[index].opaque));
        for (index, (entry, (actions, notices))) in log.iter().zip(&again).enumerate() {
            let before: Vec<String> = entry.actions.iter().map(placed).collect();
            let after: Vec<String> = actions.iter().map(placed).collect();
            assert_eq!((before, &entry.notices), (after, notices), "call {index}: {:?}", entry.event);
        }
    }
    let holes: u64 =
        world.log(leech).iter().flat_map(|entry| &entry.opaque).map(|range| u64::from(range.end - range.start)).sum();
    assert!(holes >= 500_000, "all content was declared: {holes}");
}

#[test]
fn any_split_of_the_stream_downloads_the_same() {
    let content = Content::new("split.bin", 60_000, 16_384, 11);
    for split in [Split::AtMost(1), Split::Random(17), Split::AtMost(16_397), Split::Whole] {
        let limits = Limits { split, ..Limits::default() };
        let (mut world, _, leech) = pair(World::with(11, limits, Config::default()), &content);
        world
            .run_until(|world| world.is_finished(leech, &content))
            .unwrap_or_else(|stuck| panic!("{split:?}: {stuck}"));
        assert!(world.has_all(leech, &content));
    }
}

#[test]
fn shutting_down_ends_within_its_bound() {
    let tracker = "udp://45.10.0.1:6969/announce";
    let content = Content::with_files("stop.bin", &[("stop.bin", 2_000_000)], 32_768, 12, &[tracker]);
    let limits = Limits { upload: 200_000, ..Limits::default() };
    let mut world = World::with(12, limits, Config::default());
    let seed = world.add_node();
    let leech = world.add_node();
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(3));
    world.set_tracker(false);
    let asked = world.now();
    world.command(leech, parcacik_core::border::Command::Shutdown);
    world
        .run_until(|world| world.notices(leech).last() == Some(&Notice::Stopped))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.now().since(asked) <= Duration::from_secs(6), "{:?}", world.now().since(asked));
}

#[test]
fn a_torrent_that_failed_at_its_start_stops_at_once() {
    let tracker = "udp://45.10.0.1:6969/announce";
    let content = Content::with_files("mine.txt", &[("mine.txt", 100_000)], 16_384, 7, &[tracker]);
    let mut world = World::new(13);
    let leech = world.add_node();
    world.disk(leech).put("mine.txt", b"somebody's diary".to_vec());
    world.download(leech, &content, &[]);
    world
        .run_until(|world| world.notices(leech).iter().any(|notice| matches!(notice, Notice::ForeignFile { .. })))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
    let asked = world.now();
    world.command(leech, parcacik_core::border::Command::Shutdown);
    world
        .run_until(|world| world.notices(leech).last() == Some(&Notice::Stopped))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
    // No tracker has been told of it, so none has to be told of its end.
    assert!(world.now().since(asked) < Duration::from_secs(1), "{:?}", world.now().since(asked));
}

#[test]
fn a_foreign_file_is_still_foreign_the_second_time() {
    let content = Content::new("mine.txt", 100_000, 16_384, 7);
    let mut world = World::new(14);
    let seed = world.add_node();
    let leech = world.add_node();
    world.seed(seed, &content, &[]);
    world.disk(leech).put("mine.txt", b"somebody's diary".to_vec());
    let at = world.address(seed);
    for _ in 0..2 {
        world.download(leech, &content, &[at]);
        world.run_for(Duration::from_secs(5));
        world.command(leech, parcacik_core::border::Command::Shutdown);
        world.run_for(Duration::from_secs(10));
        world.restart(leech);
    }
    assert_eq!(world.disk(leech).get("mine.txt"), Some(&b"somebody's diary"[..]));
}

/// What a session sent on each stream, joined, and what it gave to the disk.
#[derive(Debug, Default, PartialEq)]
struct Said {
    streams: std::collections::BTreeMap<u64, Vec<u8>>,
    work: Vec<String>,
    notices: Vec<Notice>,
}

impl Said {
    fn add(&mut self, actions: &Actions) {
        for action in &actions.list {
            match action {
                Action::Send { tcp, bytes } => self.streams.entry(tcp.0).or_default().extend_from_slice(bytes),
                // Credit follows what was read, cut by cut.
                Action::Grant { .. } => {}
                other => self.work.push(placed(other)),
            }
        }
        self.notices.extend_from_slice(&actions.notices);
    }
}

#[test]
fn how_a_stream_is_cut_changes_no_action() {
    let content = Content::new("cut.bin", 700_000, 65_536, 13);
    let (mut world, _, leech) = pair(World::new(13), &content);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    let run = |mut cut: Box<dyn FnMut(usize) -> usize>| {
        let mut session = Session::new(world.config().clone(), world.seeds(leech)).unwrap();
        let (mut said, mut out) = (Said::default(), Actions::new());
        for entry in world.log(leech) {
            let mut events = vec![entry.event.clone()];
            if let Event::Received { tcp, bytes } = &entry.event {
                let (mut rest, mut parts) = (bytes.clone(), Vec::new());
                while !rest.is_empty() {
                    let part = rest.split_to(cut(rest.len()).clamp(1, rest.len()));
                    parts.push(Event::Received { tcp: *tcp, bytes: part });
                }
                events = parts;
            }
            for event in events {
                out.clear();
                session.handle(entry.now, event, &mut out);
                said.add(&out);
            }
        }
        said
    };
    let whole = run(Box::new(|length| length));
    assert!(whole.streams.values().map(Vec::len).sum::<usize>() > 43 * 17, "handshakes and a request for each block");
    let mut state = 1u32;
    let random = move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 16) as usize % 5_000
    };
    for (name, other) in [("random", run(Box::new(random))), ("in small parts", run(Box::new(|_| 31)))] {
        assert!(whole.streams == other.streams, "{name}: the same bytes on each stream");
        assert_eq!((&whole.work, &whole.notices), (&other.work, &other.notices), "{name}");
    }
}

#[test]
fn two_runs_of_a_world_have_equal_digests() {
    let digests = || {
        let content = Content::new("twice.bin", 500_000, 32_768, 14);
        let limits = Limits { split: Split::Random(9_000), ..Limits::default() };
        let (mut world, seed, leech) = pair(World::with(14, limits, Config::default()), &content);
        world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
        [seed, leech].map(|node| {
            let mut running = RunningDigest::new(Digest::of(b"world"));
            for entry in world.log(node) {
                let actions = Actions {
                    list: entry.actions.clone(),
                    notices: entry.notices.clone(),
                    opaque: entry.opaque.clone(),
                };
                running.add(entry.now, &entry.event, &actions);
            }
            running.digest()
        })
    };
    assert_eq!(digests(), digests());
}
