//! Scenarios that swarms have got wrong before, each by its name.

use parcacik_core::border::{
    Actions, CloseReason, Command, Config, Event, InfoHash, IoFault, Notice, RemoveFiles, SeedGoal, SocketId, TcpId,
    TorrentState,
};
use parcacik_testkit::{Content, Limits, NodeId, Stuck, World};
use std::net::SocketAddr;
use std::time::Duration;

fn wait(world: &mut World, done: impl Fn(&World) -> bool) {
    world.run_until(done).unwrap_or_else(|stuck: Stuck| panic!("{stuck}"));
}

fn closed_for(world: &World, node: NodeId) -> Vec<CloseReason> {
    let notices = world.notices(node).iter();
    notices.filter_map(|n| if let Notice::PeerClosed { reason, .. } = n { Some(*reason) } else { None }).collect()
}

/// A slow pair: the leech needs seconds for the whole.
fn slow_pair(seed: u8, content: &Content) -> (World, NodeId, NodeId) {
    let mut world = World::with(seed, Limits { upload: 200_000, ..Limits::default() }, Config::default());
    let (a, b) = (world.add_node(), world.add_node());
    world.seed(a, content, &[]);
    let at = world.address(a);
    world.download(b, content, &[at]);
    (world, a, b)
}

#[test]
fn stopping_a_torrent_that_refused_a_foreign_file_does_not_claim_the_file() {
    let content = Content::new("mine.txt", 100_000, 16_384, 20);
    let mut world = World::new(20);
    let node = world.add_node();
    world.disk(node).put("mine.txt", b"somebody's diary".to_vec());
    for _ in 0..2 {
        world.download(node, &content, &[]);
        world.run_for(Duration::from_secs(1));
        assert!(world.notices(node).iter().any(|notice| matches!(notice, Notice::ForeignFile { .. })));
        world.command(node, Command::Shutdown);
        let asked = world.now();
        wait(&mut world, |world| world.notices(node).contains(&Notice::Stopped));
        assert!(world.now().since(asked) < Duration::from_secs(1), "there is nothing to wait for");
        assert!(world.disk(node).resume(InfoHash(content.info_hash)).is_empty(), "nothing was saved");
        world.crash(node);
        world.restart(node);
    }
    assert_eq!(world.disk(node).get("mine.txt"), Some(&b"somebody's diary"[..]));
}

#[test]
fn stopping_while_checking_keeps_the_resume_data() {
    let content = Content::new("keep.bin", 500_000, 16_384, 21);
    let (mut world, _, leech) = slow_pair(21, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.run_for(Duration::from_secs(1));
    let key = InfoHash(content.info_hash);
    let saved = world.disk(leech).resume(key).to_vec();
    assert!(!saved.is_empty());
    for _ in 0..3 {
        world.crash(leech);
        world.restart(leech);
        world.set_disk_time(leech, Duration::from_millis(50));
        world.add(leech, &content, &[], |add| add.recheck = true);
        world.run_for(Duration::from_millis(180));
        assert_eq!(world.view(leech, &content).unwrap().state, TorrentState::Checking);
        world.command(leech, Command::Shutdown);
        wait(&mut world, |world| world.notices(leech).contains(&Notice::Stopped));
    }
    assert_eq!(world.disk(leech).resume(key), &saved[..]);
}

#[test]
fn files_are_closed_once() {
    let content = Content::new("once.bin", 100_000, 16_384, 22);
    let (mut world, seed, leech) = slow_pair(22, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    for node in [seed, leech] {
        world.command(node, Command::Shutdown);
        wait(&mut world, |world| world.notices(node).contains(&Notice::Stopped));
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.disk(node).counts.get("release"), Some(&1));
    }
}

#[test]
fn removing_a_torrent_gives_its_budgets_back() {
    let content = Content::new("gone.bin", 400_000, 16_384, 23);
    let mut world = World::with(23, Limits::default(), Config::default());
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let (at, nobody) = (world.address(seed), SocketAddr::from(([45, 10, 9, 9], 1)));
    // Its disk never comes to an end with anything.
    world.download(leech, &content, &[at, nobody]);
    wait(&mut world, |world| world.view(leech, &content).is_some_and(|view| view.peers > 0));
    world.set_disk_time(leech, Duration::from_secs(10_000));
    wait(&mut world, |world| world.session(leech).shared().disk_queue > 0);
    let torrent = world.session(leech).find(InfoHash(content.info_hash)).unwrap();
    world.command(leech, Command::Remove { torrent, files: RemoveFiles::Keep });
    wait(&mut world, |world| world.notices(leech).contains(&Notice::Removed { torrent }));
    let shared = world.session(leech).shared();
    assert_eq!((shared.disk_queue, shared.read_ahead, shared.half_open, shared.peers), (0, 0, 0, 0));
}

#[test]
fn a_failed_sync_at_the_end_is_made_good_before_stopping() {
    let content = Content::new("sync.bin", 200_000, 16_384, 24);
    let mut world = World::new(24);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.disk(leech).faults.insert("sync", IoFault::Other);
    world.add(leech, &content, &[at], |add| add.goal = SeedGoal::None);
    let failed = |world: &World| {
        world.notices(leech).iter().any(|notice| matches!(notice, Notice::StorageFailed { fault: IoFault::Other, .. }))
    };
    wait(&mut world, failed);
    world.disk(leech).faults.clear();
    wait(&mut world, |world| world.notices(leech).iter().any(|notice| matches!(notice, Notice::Done { .. })));
    let saved = world.notices(leech).iter().rev().find_map(|notice| match notice {
        Notice::Saved { pieces, .. } => Some(*pieces),
        _ => None,
    });
    assert_eq!(saved, Some(13), "all pieces were hashed again, synced and claimed");
}

#[test]
fn resume_data_that_cannot_be_read_are_as_good_as_none() {
    let content = Content::new("load.bin", 200_000, 16_384, 25);
    let (mut world, _, leech) = slow_pair(25, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.run_for(Duration::from_secs(1));
    world.crash(leech);
    world.restart(leech);
    world.disk(leech).faults.insert("load", IoFault::Other);
    world.download(leech, &content, &[]);
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert!(world.notices(leech).iter().any(|notice| matches!(notice, Notice::Checked { done: 13, .. })));
}

#[test]
fn a_seed_without_peers_announces_at_the_trackers_interval() {
    let content = Content::with_files("idle.bin", &[("idle.bin", 50_000)], 16_384, 26, &["udp://45.10.0.1:6969"]);
    let mut world = World::new(26);
    let seed = world.add_node();
    world.seed(seed, &content, &[]);
    world.run_for(Duration::from_secs(3 * 3600));
    let answers = world.notices(seed).iter().filter(|notice| matches!(notice, Notice::TrackerAnswered { .. })).count();
    assert!((2..=8).contains(&answers), "{answers} announces in three hours");
}

#[test]
fn an_idle_seed_is_hardly_ever_woken() {
    let mut world = World::new(27);
    let seed = world.add_node();
    for number in 0..50 {
        let name = format!("idle{number}");
        let content =
            Content::with_files(&name, &[(&name, 20_000)], 16_384, 100 + number, &["http://45.10.0.1:6969/announce"]);
        world.seed(seed, &content, &[]);
    }
    world.run_for(Duration::from_secs(60));
    let before = world.events;
    world.run_for(Duration::from_secs(3600));
    let per_torrent = (world.events - before) / 50;
    assert!(per_torrent <= 20, "{per_torrent} events a torrent in an hour");
}

#[test]
fn many_torrents_in_one_session_all_get_to_dial() {
    let mut config = Config::default();
    config.session.dials_per_second = 2;
    let mut world = World::with(28, Limits::default(), config);
    let (seed, leech) = (world.add_node(), world.add_node());
    let contents: Vec<Content> = (0..12).map(|n| Content::new(&format!("t{n}"), 60_000, 16_384, 200 + n)).collect();
    // The first has many dead peers to try; the others must not wait until all have been tried.
    let dead: Vec<SocketAddr> = (0..200u8).map(|n| SocketAddr::from(([45, 11, 0, n + 1], 7000))).collect();
    let at = world.address(seed);
    for (number, content) in contents.iter().enumerate() {
        world.seed(seed, content, &[]);
        if number == 0 { world.download(leech, content, &dead) } else { world.download(leech, content, &[at]) }
    }
    world.run_for(Duration::from_secs(30));
    for content in &contents[1..] {
        assert!(world.is_finished(leech, content), "{}", content.name);
    }
}

#[test]
fn dead_peers_are_given_up_and_the_living_one_is_found() {
    let content = Content::new("dead.bin", 100_000, 16_384, 29);
    let mut world = World::new(29);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let mut peers: Vec<SocketAddr> = (0..100u8).map(|n| SocketAddr::from(([45, 12, 0, n + 1], 7000))).collect();
    peers.push(world.address(seed));
    world.download(leech, &content, &peers);
    world.run_for(Duration::from_secs(20));
    assert!(world.is_finished(leech, &content));
}

#[test]
fn self_connect_is_noticed_at_once_and_not_repeated() {
    let content = Content::new("self.bin", 50_000, 16_384, 30);
    let mut world = World::new(30);
    let node = world.add_node();
    let at = world.address(node);
    world.download(node, &content, &[at]);
    world.run_for(Duration::from_secs(300));
    let closed = closed_for(&world, node);
    assert!(closed.contains(&CloseReason::ToSelf), "{closed:?}");
    assert!(closed.len() <= 2, "one for each end, once: {closed:?}");
}

#[test]
fn simultaneous_connect_leaves_one_connection() {
    for seed in 31..39 {
        let content = Content::new("both.bin", 2_000_000, 32_768, 31);
        let mut world = World::with(seed, Limits { upload: 100_000, ..Limits::default() }, Config::default());
        let (a, b) = (world.add_node(), world.add_node());
        let (at_a, at_b) = (world.address(a), world.address(b));
        world.seed(a, &content, &[at_b]);
        world.download(b, &content, &[at_a]);
        world.run_for(Duration::from_secs(10));
        let both = [a, b].map(|node| world.view(node, &content).unwrap().peers);
        assert_eq!(both, [1, 1], "seed {seed}");
        assert!(world.view(b, &content).unwrap().downloaded > 0, "seed {seed}: the one that is left works");
    }
}

#[test]
fn leeches_jointly_complete_without_a_seed() {
    let content = Content::new("joint.bin", 600_000, 16_384, 40);
    let mut world = World::new(40);
    let nodes: Vec<NodeId> = (0..3).map(|_| world.add_node()).collect();
    let pieces = content.bytes.len().div_ceil(16_384);
    for (turn, &node) in nodes.iter().enumerate() {
        // Each has a third of the pieces.
        let mut part = vec![0; content.bytes.len()];
        for piece in (0..pieces).filter(|piece| piece % 3 == turn) {
            let range = piece * 16_384..((piece + 1) * 16_384).min(part.len());
            part[range.clone()].copy_from_slice(&content.bytes[range]);
        }
        world.disk(node).put("joint.bin", part);
        let peers: Vec<SocketAddr> = nodes.iter().map(|&other| world.address(other)).collect();
        world.download(node, &content, &peers);
    }
    wait(&mut world, |world| nodes.iter().all(|&node| world.is_finished(node, &content)));
    for node in nodes {
        assert!(world.has_all(node, &content));
    }
}

#[test]
fn no_seed_then_seed() {
    let content =
        Content::with_files("late.bin", &[("late.bin", 200_000)], 16_384, 41, &["http://45.10.0.1:6969/announce"]);
    let mut world = World::new(41);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.download(leech, &content, &[]);
    world.run_for(Duration::from_secs(7200));
    assert!(!world.is_finished(leech, &content));
    world.seed(seed, &content, &[]);
    world.run_for(Duration::from_secs(60));
    assert!(world.is_finished(leech, &content));
}

#[test]
fn trackers_are_tried_down_the_list() {
    let trackers = ["http://45.99.0.1/announce", "udp://45.99.0.2:80", "http://45.10.0.1:6969/announce"];
    let content = Content::with_files("tiers.bin", &[("tiers.bin", 100_000)], 16_384, 42, &trackers);
    let mut world = World::new(42);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    world.download(leech, &content, &[]);
    wait(&mut world, |world| world.is_finished(leech, &content));
    let failed = world.notices(leech).iter().any(|notice| matches!(notice, Notice::TrackerFailed { .. }));
    assert!(failed, "the first ones did not answer");
}

#[test]
fn a_piece_that_is_gone_from_the_disk_is_fetched_again() {
    let content = Content::new("lost.bin", 300_000, 16_384, 43);
    let mut world = World::new(43);
    let nodes: Vec<NodeId> = (0..3).map(|_| world.add_node()).collect();
    world.seed(nodes[0], &content, &[]);
    let (at_seed, at_mid) = (world.address(nodes[0]), world.address(nodes[1]));
    world.download(nodes[1], &content, &[at_seed]);
    wait(&mut world, |world| world.is_finished(nodes[1], &content));
    world.disk(nodes[1]).remove("lost.bin");
    world.download(nodes[2], &content, &[at_mid]);
    wait(&mut world, |world| {
        world.view(nodes[1], &content).is_some_and(|view| view.state == TorrentState::Downloading)
    });
    wait(&mut world, |world| nodes[1..].iter().all(|&node| world.is_finished(node, &content)));
    assert!(world.has_all(nodes[2], &content));
}

#[test]
fn a_seed_with_missing_pieces_gives_what_it_has() {
    let content = Content::new("part.bin", 200_000, 16_384, 44);
    let mut world = World::new(44);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.disk(seed).put("part.bin", content.bytes[..100_000].to_vec());
    world.add(seed, &content, &[], |add| {
        add.seed_only = true;
        add.goal = SeedGoal::Time(Duration::from_secs(100));
    });
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(50));
    assert_eq!(world.view(leech, &content).unwrap().pieces.count(), 6);
    assert_eq!(world.view(seed, &content).unwrap().state, TorrentState::Seeding);
    assert_eq!(world.disk(seed).get("part.bin").unwrap().len(), 100_000, "a seed writes nothing");
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.view(seed, &content).unwrap().state, TorrentState::Stopped, "its goal counts all the same");
}

#[test]
fn a_slow_disk_holds_the_peers() {
    let mut config = Config::default();
    config.session.max_disk_queue = 1 << 20;
    let content = Content::new("slow.bin", 6_000_000, 65_536, 45);
    let mut world = World::with(45, Limits { upload: 50_000_000, ..Limits::default() }, config.clone());
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    world.run_for(Duration::from_secs(1));
    world.set_disk_time(leech, Duration::from_millis(400));
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    // One more read may be on its way, of one peer.
    let bound = config.session.max_disk_queue + u64::from(config.peer.read_window_fast) + 16_384;
    let mut most = 0;
    while !world.is_finished(leech, &content) {
        assert!(world.step() && world.now().as_micros() < 600_000_000, "it goes on");
        most = most.max(world.session(leech).shared().disk_queue);
    }
    assert!(most > config.session.max_disk_queue, "the limit was reached: {most}");
    assert!(most <= bound, "{most} of {bound}");
    assert!(world.has_all(leech, &content));
}

#[test]
fn reading_ahead_goes_round_all_peers_of_all_torrents() {
    let mut config = Config::default();
    config.session.max_read_ahead = 1 << 20;
    let mut world = World::with(46, Limits { upload: 50_000_000, ..Limits::default() }, config.clone());
    let seed = world.add_node();
    let at = world.address(seed);
    let contents: Vec<Content> = (0..3).map(|n| Content::new(&format!("r{n}"), 3_000_000, 65_536, 300 + n)).collect();
    contents.iter().for_each(|content| world.seed(seed, content, &[]));
    world.run_for(Duration::from_secs(1));
    world.set_disk_time(seed, Duration::from_millis(50));
    let mut leeches = Vec::new();
    for content in &contents {
        for _ in 0..3 {
            let leech = world.add_node();
            world.download(leech, content, &[at]);
            leeches.push((leech, content));
        }
    }
    let start = world.now();
    wait(&mut world, |world| leeches.iter().all(|&(leech, content)| world.is_finished(leech, content)));
    assert!(world.now().since(start) < Duration::from_secs(30), "{:?}", world.now());
    assert_eq!(world.session(seed).shared().read_ahead, 0);
}

#[test]
fn a_hash_failure_with_many_peers_bans_no_honest_one() {
    let content = Content::new("many.bin", 1_000_000, 262_144, 47);
    let mut world = World::with(47, Limits { upload: 300_000, ..Limits::default() }, Config::default());
    let honest: Vec<NodeId> = (0..5).map(|_| world.add_node()).collect();
    let (liar, leech) = (world.add_node(), world.add_node());
    for &node in honest.iter().chain([&liar]) {
        world.seed(node, &content, &[]);
    }
    world.run_for(Duration::from_secs(1));
    for block in 0..content.bytes.len() / 16_384 {
        world.disk(liar).damage("many.bin", block * 16_384 + 9);
    }
    let peers: Vec<SocketAddr> = honest.iter().chain([&liar]).map(|&node| world.address(node)).collect();
    world.download(leech, &content, &peers);
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert!(world.has_all(leech, &content));
    let liar = world.address(liar).ip();
    for notice in world.notices(leech) {
        if let Notice::PeerBanned { addr, .. } = notice {
            assert_eq!(addr.ip(), liar);
        }
    }
    assert!(world.notices(leech).iter().any(|notice| matches!(notice, Notice::PieceFailed { .. })));
}

#[test]
fn a_bitfield_of_the_wrong_length_ends_the_connection() {
    for length in [2, 4] {
        let content = Content::new("bits.bin", 300_000, 16_384, 48);
        let mut world = World::new(48);
        let node = world.add_node();
        world.seed(node, &content, &[]);
        world.run_for(Duration::from_secs(1));
        let remote = SocketAddr::from(([45, 13, 0, 1], 999));
        let tcp = TcpId(77);
        world.inject(node, Event::Accepted { sock: SocketId(1), tcp, local: world.address(node), remote });
        let mut bytes = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend_from_slice(&content.info_hash);
        bytes.extend_from_slice(b"-XX0000-abcdefghijkl");
        bytes.extend_from_slice(&[0, 0, 0, 1 + length, 5]);
        bytes.resize(bytes.len() + length as usize, 0);
        world.inject(node, Event::Received { tcp, bytes: bytes.into() });
        let fault = CloseReason::Fault(parcacik_core::border::PeerFault::BadBitfield);
        assert_eq!(closed_for(&world, node), [fault], "{length} bytes for 19 pieces");
        assert_eq!(world.session(node).shared().peers, 0);
    }
}

#[test]
fn a_forked_session_does_the_same() {
    let content = Content::new("fork.bin", 300_000, 16_384, 49);
    let mut world = World::new(49);
    world.keep_logs();
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    let mut fork = None;
    let mut from = 0;
    while !world.is_finished(leech, &content) {
        assert!(world.step());
        if fork.is_none() && world.view(leech, &content).is_some_and(|view| view.downloaded > 100_000) {
            fork = Some(world.session(leech).clone());
            from = world.log(leech).len();
        }
    }
    let mut fork = fork.expect("it was half way once");
    let mut out = Actions::new();
    assert!(world.log(leech).len() > from + 20);
    for entry in &world.log(leech)[from..] {
        out.clear();
        fork.handle(entry.now, entry.event.clone(), &mut out);
        assert_eq!((&out.list, &out.notices, &out.opaque), (&entry.actions, &entry.notices, &entry.opaque));
    }
}
