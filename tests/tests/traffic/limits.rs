//! Rate limits hold within 5 %, and are shared.

use parcacik_core::border::{Command, CommandError, Config, InfoHash, Notice, RateLimits, TorrentId};
use parcacik_testkit::{Content, Limits, NodeId, Traffic, World, jain};
use std::time::Duration;

const NONE: RateLimits = RateLimits { download: None, upload: None };

fn down(limit: u64) -> RateLimits {
    RateLimits { download: Some(limit), upload: None }
}

fn up(limit: u64) -> RateLimits {
    RateLimits { download: None, upload: Some(limit) }
}

fn set(world: &mut World, node: NodeId, torrent: Option<TorrentId>, limits: RateLimits) {
    let RateLimits { download, upload } = limits;
    let command = world.command(node, Command::SetLimits { torrent, download, upload });
    assert!(world.notices(node).contains(&Notice::CommandDone { command }), "{limits:?}");
}

fn torrent(world: &World, node: NodeId, content: &Content) -> TorrentId {
    world.session(node).find(InfoHash(content.info_hash)).unwrap()
}

/// A network that is no bottleneck, and slots for everybody.
fn world(seed: u8) -> World {
    let mut config = Config::default();
    config.choke.slots = 100;
    World::with(seed, Limits { upload: 1_000_000_000, ..Limits::default() }, config)
}

/// Lets time pass, and says what went meanwhile.
fn watch(world: &mut World, span: Duration) -> (Traffic, Traffic) {
    let before = world.traffic().clone();
    world.run_for(span);
    (before, world.traffic().clone())
}

#[track_caller]
fn assert_rate(bytes: u64, limit: u64, span: Duration) {
    let expected = limit * span.as_millis() as u64 / 1000;
    assert!(bytes * 100 >= expected * 95 && bytes * 100 <= expected * 105, "{bytes} in {span:?}, not {expected}");
}

/// One that downloads from many seeds.
fn from_seeds(
    seed: u8,
    count: usize,
    length: usize,
    change: impl FnOnce(&mut World, NodeId),
) -> (World, NodeId, Vec<NodeId>, Content) {
    let content = Content::new("down.bin", length, 65_536, u64::from(seed));
    let mut world = world(seed);
    let seeds: Vec<NodeId> = (0..count).map(|_| world.add_node()).collect();
    for &seed in &seeds {
        world.seed(seed, &content, &[]);
    }
    world.run_for(Duration::from_secs(1));
    let leech = world.add_node();
    change(&mut world, leech);
    let peers: Vec<_> = seeds.iter().map(|&seed| world.address(seed)).collect();
    world.download(leech, &content, &peers);
    (world, leech, seeds, content)
}

/// One that seeds to many who cannot exchange anything among themselves.
fn to_leeches(
    seed: u8,
    count: usize,
    length: usize,
    change: impl FnOnce(&mut World, NodeId),
) -> (World, NodeId, Vec<NodeId>, Content) {
    let content = Content::new("up.bin", length, 65_536, u64::from(seed));
    let mut world = world(seed);
    let giver = world.add_node();
    world.seed(giver, &content, &[]);
    change(&mut world, giver);
    world.run_for(Duration::from_secs(1));
    let leeches: Vec<NodeId> = (0..count).map(|_| world.add_node()).collect();
    let at = world.address(giver);
    for &leech in &leeches {
        world.download(leech, &content, &[at]);
    }
    (world, giver, leeches, content)
}

#[test]
fn a_download_limit_holds_with_one_peer_and_with_many() {
    for (count, limit) in [(1, 1_000_000), (5, 400_000), (50, 1_000_000)] {
        let (mut world, leech, seeds, _) =
            from_seeds(count as u8, count, 40_000_000, |world, leech| set(world, leech, None, down(limit)));
        world.run_for(Duration::from_secs(5));
        let span = Duration::from_secs(20);
        let (before, after) = watch(&mut world, span);
        assert_rate(after.read_by(leech) - before.read_by(leech), limit, span);
        assert!(after.read_by(leech) <= limit * 25 + limit / 7, "never more than the limit and a burst");
        let shares: Vec<u64> =
            seeds.iter().map(|&seed| after.read_from(leech, seed) - before.read_from(leech, seed)).collect();
        assert!(jain(&shares) >= 950, "{shares:?}");
    }
}

#[test]
fn an_upload_limit_holds_with_one_peer_and_with_many() {
    for (count, limit) in [(1, 1_000_000), (5, 400_000), (50, 5_000_000)] {
        let (mut world, giver, leeches, _) =
            to_leeches(count as u8, count, 40_000_000, |world, giver| set(world, giver, None, up(limit)));
        world.run_for(Duration::from_secs(2));
        let span = Duration::from_secs(10);
        let (before, after) = watch(&mut world, span);
        assert_rate(after.sent_by(giver) - before.sent_by(giver), limit, span);
        assert!(after.sent_by(giver) <= limit * 13 + limit / 7 + 16_384, "the limit, a burst and a block");
        let shares: Vec<u64> =
            leeches.iter().map(|&leech| after.between(giver, leech) - before.between(giver, leech)).collect();
        assert!(jain(&shares) >= 950, "{shares:?}");
    }
}

#[test]
fn the_smallest_limit_holds_over_a_long_time() {
    let span = Duration::from_secs(1200);
    let (mut world, giver, _, _) = to_leeches(70, 1, 4_000_000, |world, giver| set(world, giver, None, up(1024)));
    let (before, after) = watch(&mut world, span);
    assert_rate(after.sent_by(giver) - before.sent_by(giver), 1024, span);
    let (mut world, leech, _, _) = from_seeds(71, 1, 4_000_000, |world, leech| set(world, leech, None, down(1024)));
    let (before, after) = watch(&mut world, span);
    assert_rate(after.read_by(leech) - before.read_by(leech), 1024, span);
    assert!(
        !world.notices(leech).iter().any(|notice| matches!(notice, Notice::PeerClosed { .. })),
        "and nobody is lost"
    );
}

#[test]
fn a_limit_that_changes_on_the_way_holds_from_then_on() {
    let (mut world, leech, _, content) = from_seeds(72, 5, 70_000_000, |_, _| {});
    world.run_for(Duration::from_millis(40));
    let id = torrent(&world, leech, &content);
    for (limits, torrent, expected) in [
        (down(300_000), None, 300_000),
        (down(1_000_000), None, 1_000_000),
        (down(200_000), Some(id), 200_000),
        (down(100_000), None, 100_000),
    ] {
        set(&mut world, leech, torrent, limits);
        // What was on its way under the limit before comes first, and is paid.
        let span = Duration::from_secs(30);
        let (before, after) = watch(&mut world, span);
        assert_rate(after.read_by(leech) - before.read_by(leech), expected, span);
    }
    set(&mut world, leech, None, NONE);
    set(&mut world, leech, Some(id), NONE);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.has_all(leech, &content));
}

#[test]
fn an_upload_limit_that_changes_on_the_way_holds_from_then_on() {
    let (mut world, giver, leeches, content) = to_leeches(73, 2, 60_000_000, |_, _| {});
    world.run_for(Duration::from_millis(20));
    let id = torrent(&world, giver, &content);
    for (limits, torrent, expected) in
        [(up(300_000), None, 300_000), (up(600_000), None, 600_000), (up(100_000), Some(id), 100_000)]
    {
        set(&mut world, giver, torrent, limits);
        let span = Duration::from_secs(30);
        let (before, after) = watch(&mut world, span);
        assert_rate(after.sent_by(giver) - before.sent_by(giver), expected, span);
    }
    set(&mut world, giver, None, NONE);
    set(&mut world, giver, Some(id), NONE);
    let done = |world: &World| leeches.iter().all(|&leech| world.is_finished(leech, &content));
    world.run_until(done).unwrap_or_else(|stuck| panic!("{stuck}"));
}

#[test]
fn torrents_share_alike_and_one_has_a_limit_of_its_own() {
    let contents: Vec<Content> =
        (0..3).map(|number| Content::new(&format!("t{number}.bin"), 40_000_000, 65_536, 100 + number)).collect();
    let mut world = world(74);
    let (giver, leech) = (world.add_node(), world.add_node());
    for content in &contents {
        world.seed(giver, content, &[]);
    }
    world.run_for(Duration::from_secs(1));
    set(&mut world, leech, None, down(900_000));
    let at = world.address(giver);
    world.add(leech, &contents[0], &[at], |add| add.limits = down(100_000));
    for content in &contents[1..] {
        world.download(leech, content, &[at]);
    }
    world.run_for(Duration::from_secs(5));
    let got = |world: &World| -> Vec<u64> {
        contents
            .iter()
            .map(|content| {
                let view = world.view(leech, content).unwrap();
                view.downloaded + view.wasted
            })
            .collect()
    };
    let before = got(&world);
    let span = Duration::from_secs(40);
    world.run_for(span);
    let shares: Vec<u64> = got(&world).iter().zip(before).map(|(after, before)| after - before).collect();
    // What the first may not use goes to the others. Pieces that are begun are not counted, so a little is missing.
    for (share, limit) in shares.iter().zip([100_000, 400_000, 400_000]) {
        let expected = limit * span.as_secs();
        assert!(share.abs_diff(expected) * 100 <= expected * 8, "{share} of {expected}: {shares:?}");
    }
}

#[test]
fn a_slow_peer_leaves_its_share_to_the_others() {
    let limit = 1_000_000;
    let (mut world, leech, seeds, _) = from_seeds(75, 4, 60_000_000, |world, leech| {
        set(world, NodeId(0), None, up(50_000));
        set(world, leech, None, down(limit));
    });
    world.run_for(Duration::from_secs(5));
    let span = Duration::from_secs(20);
    let (before, after) = watch(&mut world, span);
    assert_rate(after.read_by(leech) - before.read_by(leech), limit, span);
    let slow = after.read_from(leech, seeds[0]) - before.read_from(leech, seeds[0]);
    assert_rate(slow, 50_000, span);
}

#[test]
fn reads_for_peers_do_not_wait_in_memory_for_their_turn() {
    let (mut world, giver, leeches, _) =
        to_leeches(76, 5, 40_000_000, |world, giver| set(world, giver, None, up(100_000)));
    for _ in 0..200 {
        world.run_for(Duration::from_millis(50));
        let read = world.disk(giver).counts.get("read").copied().unwrap_or(0) * 16_384;
        let sent: u64 = leeches.iter().map(|&leech| world.traffic().between(giver, leech)).sum();
        assert!(read <= sent + 2 * 16_384, "{read} read, {sent} sent");
    }
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let content = Content::new("zero.bin", 100_000, 16_384, 77);
    let mut world = world(77);
    let node = world.add_node();
    for (download, upload) in [(Some(0), None), (None, Some(0))] {
        let command = world.command(node, Command::SetLimits { torrent: None, download, upload });
        let refused = Notice::CommandFailed { command, error: CommandError::ZeroLimit };
        assert!(world.notices(node).contains(&refused));
    }
    let command = world.command(node, Command::SetLimits { torrent: Some(TorrentId(5)), download: None, upload: None });
    let refused = Notice::CommandFailed { command, error: CommandError::NoSuchTorrent };
    assert!(world.notices(node).contains(&refused));
    world.add(node, &content, &[], |add| add.limits = up(0));
    let refused = |notice: &Notice| matches!(notice, Notice::CommandFailed { error: CommandError::ZeroLimit, .. });
    assert_eq!(world.notices(node).iter().filter(|notice| refused(notice)).count(), 3);
    let mut config = Config::default();
    config.rate.limits.upload = Some(0);
    assert_eq!(config.check().unwrap_err().field, "rate.limits");
}

#[test]
fn without_limits_nothing_is_timed() {
    let run = |limits: Option<RateLimits>| {
        let (mut world, leech, _, content) = from_seeds(78, 3, 4_000_000, |world, leech| {
            if let Some(limits) = limits {
                set(world, leech, None, limits);
                set(world, leech, None, NONE);
            }
        });
        world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
        (world.now(), world.events)
    };
    let (when, events) = run(None);
    let (when_set, events_set) = run(Some(down(1_000)));
    assert_eq!((when, events + 2), (when_set, events_set), "a limit that is gone leaves nothing behind");
}
