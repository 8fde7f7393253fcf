//! What an application asks of a torrent that runs, and storages that fail and get well.

use parcacik_core::border::{
    CloseReason, Command, CommandError, CommandId, Config, Event, InfoHash, IoFault, Notice, QueuePlace, RemoveFiles,
    RootId, SeedGoal, StorageState, Target, TorrentId, TorrentState,
};
use parcacik_core::time::Time;
use parcacik_core::torrent::TorrentView;
use parcacik_testkit::{Content, Limits, NodeId, Stuck, World};
use std::time::Duration;

const TRACKER: &str = "udp://45.10.0.1:6969";

fn wait(world: &mut World, done: impl Fn(&World) -> bool) {
    world.run_until(done).unwrap_or_else(|stuck: Stuck| panic!("{stuck}"));
}

fn view(world: &World, node: NodeId, content: &Content) -> TorrentView {
    world.view(node, content).expect("the torrent is there")
}

/// The view as of this moment, not of the last event.
fn view_now(world: &mut World, node: NodeId, content: &Content) -> TorrentView {
    world.inject(node, Event::Tick);
    view(world, node, content)
}

fn state(world: &World, node: NodeId, content: &Content) -> TorrentState {
    view(world, node, content).state
}

fn id(world: &World, node: NodeId, content: &Content) -> TorrentId {
    world.session(node).find(InfoHash(content.info_hash)).expect("the torrent is there")
}

fn answer(world: &World, node: NodeId, command: CommandId) -> Option<Result<(), CommandError>> {
    world.notices(node).iter().find_map(|notice| match notice {
        Notice::CommandDone { command: done } if *done == command => Some(Ok(())),
        Notice::CommandFailed { command: failed, error } if *failed == command => Some(Err(error.clone())),
        _ => None,
    })
}

/// Gives a command that is answered at once.
fn order(world: &mut World, node: NodeId, command: Command) -> Result<(), CommandError> {
    let command = world.command(node, command);
    answer(world, node, command).expect("it is answered at once")
}

fn count(world: &World, node: NodeId, wanted: impl Fn(&Notice) -> bool) -> usize {
    world.notices(node).iter().filter(|notice| wanted(notice)).count()
}

/// How often the tracker was told `stopped`, as the bytes of BEP 15 say it (action 1 at 8, event 3 at 80).
fn stops_told(world: &World, node: NodeId) -> usize {
    let actions = world.log(node).iter().flat_map(|entry| &entry.actions);
    actions
        .filter(|action| match action {
            parcacik_core::border::Action::SendDatagrams { bytes, .. } => {
                bytes.get(8..12) == Some(&[0, 0, 0, 1]) && bytes.get(80..84) == Some(&[0, 0, 0, 3])
            }
            _ => false,
        })
        .count()
}

/// A seed and a leech that needs seconds for the whole.
fn slow_pair(seed: u8, content: &Content) -> (World, NodeId, NodeId) {
    slow_pair_with(seed, content, Config::default())
}

fn slow_pair_with(seed: u8, content: &Content, config: Config) -> (World, NodeId, NodeId) {
    let mut world = World::with(seed, Limits { upload: 200_000, ..Limits::default() }, config);
    world.keep_logs();
    let (a, b) = (world.add_node(), world.add_node());
    world.seed(a, content, &[]);
    let at = world.address(a);
    world.download(b, content, &[at]);
    (world, a, b)
}

fn half_done(world: &mut World, leech: NodeId, content: &Content) {
    wait(world, |world| world.view(leech, content).is_some_and(|view| view.pieces.count() >= view.pieces.len() / 2));
}

// Pausing.

#[test]
fn a_paused_torrent_has_no_connections_and_goes_on_where_it_was() {
    let content = Content::with_files("p.bin", &[("p.bin", 900_000)], 16_384, 1, &[TRACKER]);
    let (mut world, seed, leech) = slow_pair(1, &content);
    half_done(&mut world, leech, &content);
    let torrent = id(&world, leech, &content);
    assert_eq!(order(&mut world, leech, Command::Pause { torrent, graceful: false }), Ok(()));
    assert_eq!(state(&world, leech, &content), TorrentState::Paused);
    assert_eq!(view(&world, leech, &content).peers, 0);
    let had = view(&world, leech, &content).pieces.count();
    // Nobody gets in either, and nobody is dialled, however long it lasts.
    let at = world.address(leech);
    let knock = Command::AddPeers { torrent: id(&world, seed, &content), peers: vec![Target::Addr(at)] };
    order(&mut world, seed, knock).unwrap();
    let connected = count(&world, leech, |notice| matches!(notice, Notice::PeerConnected { .. }));
    world.run_for(Duration::from_secs(600));
    assert_eq!(view(&world, leech, &content).peers, 0);
    assert_eq!(count(&world, leech, |notice| matches!(notice, Notice::PeerConnected { .. })), connected);
    assert!(view(&world, leech, &content).pieces.count() <= had + 8, "only what was being written has come");
    assert_eq!(stops_told(&world, leech), 1, "trackers are told");
    let announces = count(&world, leech, |notice| matches!(notice, Notice::TrackerAnswered { .. }));
    assert_eq!(order(&mut world, leech, Command::Resume { torrent }), Ok(()));
    assert_eq!(state(&world, leech, &content), TorrentState::Downloading);
    let resumed = world.now();
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert!(world.now().since(resumed) < Duration::from_secs(10), "it is dialled at once: {:?}", world.now());
    assert!(count(&world, leech, |notice| matches!(notice, Notice::TrackerAnswered { .. })) > announces);
    assert!(world.has_all(leech, &content));
    let closed = Notice::PeerClosed { torrent, addr: world.address(seed), reason: CloseReason::Paused };
    assert!(world.notices(leech).contains(&closed), "{:?}", world.notices(leech));
}

#[test]
fn peers_that_are_added_while_paused_are_kept() {
    let content = Content::new("kept.bin", 200_000, 16_384, 2);
    let mut world = World::new(2);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    world.add(leech, &content, &[], |add| add.paused = true);
    wait(&mut world, |world| state(world, leech, &content) == TorrentState::Paused);
    let torrent = id(&world, leech, &content);
    let peers = vec![Target::Addr(world.address(seed))];
    order(&mut world, leech, Command::AddPeers { torrent, peers }).unwrap();
    world.run_for(Duration::from_secs(300));
    assert_eq!((view(&world, leech, &content).peers, view(&world, leech, &content).known_peers), (0, 1));
    order(&mut world, leech, Command::Resume { torrent }).unwrap();
    wait(&mut world, |world| world.is_finished(leech, &content));
}

#[test]
fn a_torrent_that_is_added_paused_tells_no_tracker() {
    let content = Content::with_files("quiet.bin", &[("quiet.bin", 50_000)], 16_384, 3, &[TRACKER]);
    let mut world = World::new(3);
    let node = world.add_node();
    world.add(node, &content, &[], |add| add.paused = true);
    world.run_for(Duration::from_secs(3600));
    assert_eq!(count(&world, node, |notice| matches!(notice, Notice::TrackerAnswered { .. })), 0);
    assert_eq!(view(&world, node, &content).active, Duration::ZERO);
    let torrent = id(&world, node, &content);
    order(&mut world, node, Command::Resume { torrent }).unwrap();
    world.run_for(Duration::from_secs(5));
    assert_eq!(count(&world, node, |notice| matches!(notice, Notice::TrackerAnswered { .. })), 1);
}

/// BEHAVIOURS 140: "No announces when paused, or in flight at pause (the answer is ignored)".
#[test]
fn an_announce_that_is_in_flight_when_paused_brings_no_peers() {
    let content = Content::with_files("fly.bin", &[("fly.bin", 50_000)], 16_384, 4, &[TRACKER]);
    let mut world =
        World::with(4, Limits { latency: Duration::from_millis(500), ..Limits::default() }, Config::default());
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    world.run_for(Duration::from_secs(10));
    world.download(leech, &content, &[]);
    world.run_for(Duration::from_millis(1_300));
    let torrent = id(&world, leech, &content);
    order(&mut world, leech, Command::Pause { torrent, graceful: false }).unwrap();
    world.run_for(Duration::from_secs(60));
    assert_eq!(view(&world, leech, &content).known_peers, 0);
    order(&mut world, leech, Command::Resume { torrent }).unwrap();
    wait(&mut world, |world| world.is_finished(leech, &content));
}

/// BEHAVIOURS 84, libtorrent's `stop_start_download_graceful`.
#[test]
fn a_graceful_pause_finishes_outstanding_blocks_first() {
    let content = Content::new("grace.bin", 900_000, 16_384, 5);
    let (mut world, _, leech) = slow_pair(5, &content);
    half_done(&mut world, leech, &content);
    let torrent = id(&world, leech, &content);
    let owed = |world: &World| {
        world.session(leech).torrent(torrent).unwrap().peer_list(world.now()).iter().map(|peer| peer.requests_out).sum()
    };
    let (before, outstanding): (u64, u32) = (view(&world, leech, &content).downloaded, owed(&world));
    assert!(outstanding > 0);
    let asked = world.now();
    order(&mut world, leech, Command::Pause { torrent, graceful: true }).unwrap();
    assert_eq!(state(&world, leech, &content), TorrentState::Downloading, "not yet");
    wait(&mut world, |world| state(world, leech, &content) == TorrentState::Paused);
    assert!(world.now() > asked);
    world.run_for(Duration::from_secs(5));
    let came = view(&world, leech, &content).downloaded - before;
    let wanted = u64::from(outstanding) * 16_384;
    assert!(came >= wanted.saturating_sub(16_384) && came <= wanted + 2 * 16_384, "{came} of {wanted}");
    assert_eq!(view(&world, leech, &content).wasted, 0);
}

#[test]
fn a_graceful_pause_does_not_wait_for_ever() {
    let content = Content::new("stuck.bin", 900_000, 16_384, 6);
    let (mut world, seed, leech) = slow_pair(6, &content);
    half_done(&mut world, leech, &content);
    // The seed's disk hangs: what was asked of it does not come.
    world.set_disk_time(seed, Duration::from_secs(10_000));
    let torrent = id(&world, leech, &content);
    let asked = world.now();
    order(&mut world, leech, Command::Pause { torrent, graceful: true }).unwrap();
    wait(&mut world, |world| state(world, leech, &content) == TorrentState::Paused);
    let (took, limit) = (world.now().since(asked), world.config().session.pause_limit);
    assert!(took > Duration::from_secs(5) && took <= limit, "{took:?}");
}

#[test]
fn pausing_and_times_survive_a_restart() {
    let content = Content::new("again.bin", 300_000, 16_384, 7);
    let (mut world, seed, leech) = slow_pair(7, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.run_for(Duration::from_secs(1000));
    let torrent = id(&world, leech, &content);
    order(&mut world, leech, Command::Pause { torrent, graceful: false }).unwrap();
    world.run_for(Duration::from_secs(500));
    let before = view_now(&mut world, leech, &content);
    assert!(before.seeding >= Duration::from_secs(999) && before.seeding < Duration::from_secs(1010), "{before:?}");
    assert!(before.active >= before.seeding && before.active < before.seeding + Duration::from_secs(10));
    world.crash(leech);
    world.restart(leech);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(100));
    let after = view(&world, leech, &content);
    assert_eq!((after.state, after.paused, after.peers), (TorrentState::Paused, true, 0));
    assert_eq!((after.seeding, after.active), (before.seeding, before.active));
    let torrent = id(&world, leech, &content);
    order(&mut world, leech, Command::Resume { torrent }).unwrap();
    world.run_for(Duration::from_secs(10));
    assert_eq!(view_now(&mut world, leech, &content).seeding, before.seeding + Duration::from_secs(10));
    // And that it is not paused any more survives as well.
    world.crash(leech);
    world.restart(leech);
    world.download(leech, &content, &[]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(state(&world, leech, &content), TorrentState::Seeding);
}

#[test]
fn a_command_given_while_checking_outdoes_resume_data() {
    let content = Content::new("race.bin", 100_000, 16_384, 8);
    let (mut world, _, leech) = slow_pair(8, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    let torrent = id(&world, leech, &content);
    order(&mut world, leech, Command::Pause { torrent, graceful: false }).unwrap();
    world.run_for(Duration::from_secs(1));
    for _ in 0..2 {
        world.crash(leech);
        world.restart(leech);
        world.download(leech, &content, &[]);
        let torrent = id(&world, leech, &content);
        order(&mut world, leech, Command::Resume { torrent }).unwrap();
        world.run_for(Duration::from_secs(1));
        assert_eq!(state(&world, leech, &content), TorrentState::Seeding);
    }
}

// Removing.

#[test]
fn deleting_takes_only_its_own_files_and_empty_folders() {
    let files = [("one.bin", 50_000), ("sub/two.bin", 60_000), ("empty", 0)];
    let content = Content::with_files("pack", &files, 16_384, 10, &[]);
    let mut world = World::new(10);
    let (seed, leech) = (world.add_node(), world.add_node());
    for (path, range) in [("pack/one.bin", 0..50_000), ("pack/sub/two.bin", 50_000..110_000), ("pack/empty", 0..0)] {
        world.disk(seed).put(path, content.bytes[range].to_vec());
    }
    world.add(seed, &content, &[], |add| add.seed_only = true);
    let at = world.address(seed);
    world.disk(leech).put("pack/notes.txt", b"mine".to_vec());
    world.download(leech, &content, &[at]);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.run_for(Duration::from_secs(1));
    let torrent = id(&world, leech, &content);
    assert!(!world.disk(leech).resume(InfoHash(content.info_hash)).is_empty());
    world.command(leech, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(leech).contains(&Notice::Removed { torrent }));
    assert_eq!(world.disk(leech).paths().collect::<Vec<_>>(), ["pack/notes.txt"]);
    assert!(world.disk(leech).resume(InfoHash(content.info_hash)).is_empty());
    assert_eq!(world.disk(leech).counts["release"], 1);
    assert_eq!(world.session(leech).torrents().count(), 0);
}

#[test]
fn removing_without_files_keeps_them_and_their_resume_data() {
    let content = Content::new("stay.bin", 200_000, 16_384, 11);
    let (mut world, _, leech) = slow_pair(11, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    let torrent = id(&world, leech, &content);
    world.command(leech, Command::Remove { torrent, files: RemoveFiles::Keep });
    wait(&mut world, |world| world.notices(leech).contains(&Notice::Removed { torrent }));
    assert!(world.has_all(leech, &content));
    assert!(!world.disk(leech).resume(InfoHash(content.info_hash)).is_empty());
    assert!(!world.disk(leech).counts.contains_key("delete"));
}

/// A file that was refused is not ours, and deleting the torrent does not touch it.
#[test]
fn deleting_never_takes_a_foreign_file() {
    let content = Content::new("mine.txt", 100_000, 16_384, 12);
    let mut world = World::new(12);
    let node = world.add_node();
    world.disk(node).put("mine.txt", b"somebody's diary".to_vec());
    world.download(node, &content, &[]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(state(&world, node, &content), TorrentState::Failed(IoFault::Exists));
    let torrent = id(&world, node, &content);
    world.command(node, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(node).contains(&Notice::Removed { torrent }));
    assert_eq!(world.disk(node).get("mine.txt"), Some(&b"somebody's diary"[..]));
    // Nor does it while nothing is known yet.
    world.set_disk_time(node, Duration::from_secs(1));
    world.download(node, &content, &[]);
    let torrent = id(&world, node, &content);
    world.command(node, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(node).contains(&Notice::Removed { torrent }));
    assert_eq!(world.disk(node).get("mine.txt"), Some(&b"somebody's diary"[..]));
}

/// With `overwrite`, a foreign file is ours once we have written to it, and not before.
#[test]
fn a_foreign_file_that_may_be_overwritten_is_ours_only_when_it_was() {
    let files = [("a.bin", 65_536), ("b.bin", 65_536)];
    let content = Content::with_files("two", &files, 16_384, 13, &[]);
    for wrote in [false, true] {
        let mut world = World::new(13);
        let (seed, leech) = (world.add_node(), world.add_node());
        world.disk(seed).put("two/a.bin", content.bytes[..65_536].to_vec());
        world.disk(seed).put("two/b.bin", content.bytes[65_536..].to_vec());
        world.add(seed, &content, &[], |add| add.seed_only = true);
        world.disk(leech).put("two/b.bin", b"an old letter".to_vec());
        let peers = if wrote { vec![world.address(seed)] } else { vec![] };
        world.add(leech, &content, &peers, |add| add.overwrite = true);
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.is_finished(leech, &content), wrote);
        let torrent = id(&world, leech, &content);
        world.command(leech, Command::Remove { torrent, files: RemoveFiles::Delete });
        wait(&mut world, |world| world.notices(leech).contains(&Notice::Removed { torrent }));
        let left: Vec<&str> = if wrote { vec![] } else { vec!["two/b.bin"] };
        assert_eq!(world.disk(leech).paths().collect::<Vec<_>>(), left);
    }
}

#[test]
fn a_torrent_that_has_stopped_by_its_goal_can_be_deleted() {
    let content = Content::new("done.bin", 100_000, 16_384, 14);
    let (mut world, seed, _) = slow_pair(14, &content);
    let leech = world.add_node();
    let at = world.address(seed);
    world.add(leech, &content, &[at], |add| add.goal = SeedGoal::None);
    wait(&mut world, |world| count(world, leech, |notice| matches!(notice, Notice::Done { .. })) == 1);
    let torrent = id(&world, leech, &content);
    assert_eq!(state(&world, leech, &content), TorrentState::Stopped);
    let refused = order(&mut world, leech, Command::Pause { torrent, graceful: false });
    assert_eq!(refused, Err(CommandError::NotNow));
    world.command(leech, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(leech).contains(&Notice::Removed { torrent }));
    assert_eq!(world.disk(leech).paths().count(), 0);
    // The session still knows when everything has stopped.
    world.command(leech, Command::Shutdown);
    wait(&mut world, |world| world.notices(leech).last() == Some(&Notice::Stopped));
}

#[test]
fn what_cannot_be_deleted_is_told_and_the_torrent_goes_all_the_same() {
    let content = Content::new("hard.bin", 100_000, 16_384, 15);
    let (mut world, _, leech) = slow_pair(15, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.disk(leech).faults.insert("delete", IoFault::ReadOnly);
    let torrent = id(&world, leech, &content);
    world.command(leech, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(leech).contains(&Notice::Removed { torrent }));
    assert!(world.notices(leech).contains(&Notice::StorageFailed { torrent, fault: IoFault::ReadOnly }));
    // A disk that hangs holds it up for a bounded time.
    world.disk(leech).faults.clear();
    world.download(leech, &content, &[]);
    world.run_for(Duration::from_secs(1));
    world.set_disk_time(leech, Duration::from_secs(10_000));
    let (torrent, asked) = (id(&world, leech, &content), world.now());
    world.command(leech, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(leech).contains(&Notice::Removed { torrent }));
    let config = world.config();
    let limit = config.session.shutdown_limit + config.storage.delete_limit;
    assert!(world.now().since(asked) <= limit, "{:?}", world.now().since(asked));
}

// Checking anew.

/// BEHAVIOURS 54, libtorrent's `seeding_time_survives_force_recheck`.
#[test]
fn a_recheck_while_seeding_keeps_counters_and_seeding_time() {
    let content = Content::new("count.bin", 400_000, 16_384, 20);
    let (mut world, seed, leech) = slow_pair(20, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.run_for(Duration::from_secs(300));
    let (torrent, before) = (id(&world, seed, &content), view_now(&mut world, seed, &content));
    let verified = world.disk(seed).counts["verify"];
    world.set_disk_time(seed, Duration::from_secs(10));
    order(&mut world, seed, Command::Recheck { torrent }).unwrap();
    assert_eq!(state(&world, seed, &content), TorrentState::Checking);
    assert_eq!(view(&world, seed, &content).peers, 0);
    wait(&mut world, |world| state(world, seed, &content) == TorrentState::Seeding);
    assert_eq!(world.disk(seed).counts["verify"] - verified, 25, "all of it is hashed");
    world.run_for(Duration::from_secs(100));
    let after = view_now(&mut world, seed, &content);
    assert_eq!((after.uploaded, after.pieces.is_full()), (before.uploaded, true));
    let grown = after.seeding - before.seeding;
    assert_eq!(grown, Duration::from_secs(100), "it counts on, and not while it checks");
    assert_eq!(count(&world, seed, |notice| matches!(notice, Notice::Finished { .. })), 1, "no news");
}

#[test]
fn a_recheck_while_downloading_finds_damage_and_goes_on() {
    let content = Content::new("dam.bin", 900_000, 16_384, 21);
    let (mut world, _, leech) = slow_pair(21, &content);
    half_done(&mut world, leech, &content);
    let have = view(&world, leech, &content).pieces;
    let piece = have.iter().next().unwrap();
    world.disk(leech).damage("dam.bin", piece as usize * 16_384 + 5);
    let torrent = id(&world, leech, &content);
    order(&mut world, leech, Command::Recheck { torrent }).unwrap();
    wait(&mut world, |world| state(world, leech, &content) == TorrentState::Downloading);
    let found = view(&world, leech, &content).pieces;
    assert!(!found.get(piece), "the damage is found");
    assert!(have.iter().all(|other| other == piece || found.get(other)), "nothing else is lost");
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert!(world.has_all(leech, &content));
}

#[test]
fn a_recheck_begins_a_failed_torrent_anew() {
    let content = Content::new("room.txt", 100_000, 16_384, 22);
    let mut world = World::new(22);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    world.disk(leech).put("room.txt", b"a letter".to_vec());
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(state(&world, leech, &content), TorrentState::Failed(IoFault::Exists));
    let torrent = id(&world, leech, &content);
    order(&mut world, leech, Command::Recheck { torrent }).unwrap();
    world.run_for(Duration::from_secs(1));
    assert_eq!(state(&world, leech, &content), TorrentState::Failed(IoFault::Exists), "it is there still");
    world.disk(leech).remove("room.txt");
    order(&mut world, leech, Command::Recheck { torrent }).unwrap();
    wait(&mut world, |world| world.is_finished(leech, &content));
}

// Moving.

#[test]
fn a_move_keeps_what_is_there_and_goes_on() {
    let content = Content::new("moved.bin", 900_000, 16_384, 30);
    let (mut world, _, leech) = slow_pair(30, &content);
    half_done(&mut world, leech, &content);
    world.set_disk_time(leech, Duration::from_millis(300));
    let (torrent, key) = (id(&world, leech, &content), InfoHash(content.info_hash));
    let command = world.command(leech, Command::Move { torrent, root: RootId(1) });
    wait(&mut world, |world| state(world, leech, &content) == TorrentState::Moving);
    assert_eq!(answer(&world, leech, command), None, "not yet");
    assert_eq!(order(&mut world, leech, Command::Move { torrent, root: RootId(2) }), Err(CommandError::NotNow));
    let have = view(&world, leech, &content).pieces.count();
    wait(&mut world, |world| answer(world, leech, command) == Some(Ok(())));
    world.set_disk_time(leech, Duration::from_micros(200));
    assert!(view(&world, leech, &content).pieces.count() >= have);
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert_eq!(world.disk(leech).get("1:moved.bin"), Some(&content.bytes[..]));
    assert_eq!(world.disk(leech).get("moved.bin"), None);
    world.run_for(Duration::from_secs(1));
    // What is claimed is claimed there, and found again there.
    assert!(world.disk(leech).resume(key).is_empty());
    let verified = world.disk(leech).counts["verify"];
    world.crash(leech);
    world.restart(leech);
    world.add(leech, &content, &[], |add| add.root = RootId(1));
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert_eq!(world.disk(leech).counts["verify"], verified, "all of it is believed");
}

/// BEHAVIOURS 47: "a failed move leaves the old state".
#[test]
fn a_failed_move_leaves_everything_as_it_was() {
    let content = Content::new("kept.bin", 900_000, 16_384, 31);
    let (mut world, _, leech) = slow_pair(31, &content);
    half_done(&mut world, leech, &content);
    let torrent = id(&world, leech, &content);
    world.disk(leech).put("1:kept.bin", b"something else".to_vec());
    let command = world.command(leech, Command::Move { torrent, root: RootId(1) });
    wait(&mut world, |world| answer(world, leech, command).is_some());
    let exists = Some(Err(CommandError::Storage(IoFault::Exists)));
    assert_eq!(answer(&world, leech, command), exists);
    assert_eq!(world.disk(leech).get("1:kept.bin"), Some(&b"something else"[..]));
    world.disk(leech).faults.insert("move", IoFault::NoSpace);
    let command = world.command(leech, Command::Move { torrent, root: RootId(2) });
    wait(&mut world, |world| answer(world, leech, command).is_some());
    assert_eq!(answer(&world, leech, command), Some(Err(CommandError::Storage(IoFault::NoSpace))));
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert!(world.has_all(leech, &content));
}

#[test]
fn stopping_while_moving_answers_the_move() {
    let content = Content::new("halt.bin", 300_000, 16_384, 32);
    let (mut world, seed, leech) = slow_pair(32, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    for (node, time) in [(seed, Duration::from_secs(1)), (leech, Duration::from_secs(3600))] {
        let torrent = id(&world, node, &content);
        world.set_disk_time(node, time);
        let command = world.command(node, Command::Move { torrent, root: RootId(1) });
        world.run_for(Duration::from_millis(100));
        let asked = world.now();
        world.command(node, Command::Shutdown);
        wait(&mut world, |world| world.notices(node).last() == Some(&Notice::Stopped));
        assert!(world.now().since(asked) <= world.config().session.shutdown_limit);
        // The one that hangs can say nothing; nobody waits for it.
        assert_eq!(answer(&world, node, command).is_some(), node == seed);
    }
}

// Storages that fail.

fn storage_told(world: &World, node: NodeId) -> Vec<StorageState> {
    let notices = world.notices(node).iter();
    notices.filter_map(|n| if let Notice::Storage { state, .. } = n { Some(*state) } else { None }).collect()
}

/// libtorrent's `disk_full_recover`: downloading stops, uploading goes on, and it recovers by itself.
#[test]
fn disk_full_recover() {
    let content = Content::new("fill.bin", 900_000, 16_384, 40);
    let mut config = Config::default();
    config.storage.check_space = false;
    let (mut world, _, leech) = slow_pair_with(40, &content, config);
    world.disk(leech).room = Some(500_000);
    let is_full = |world: &World| matches!(view(world, leech, &content).storage, StorageState::Full { .. });
    wait(&mut world, is_full);
    assert!(matches!(storage_told(&world, leech)[..], [StorageState::Full { .. }]));
    assert!(view(&world, leech, &content).storage_retry.is_some());
    assert_eq!(state(&world, leech, &content), TorrentState::Downloading);
    // What it has is served meanwhile.
    let other = world.add_node();
    let at = world.address(leech);
    world.download(other, &content, &[at]);
    let have = view(&world, leech, &content).pieces.count();
    wait(&mut world, |world| world.view(other, &content).is_some_and(|view| view.pieces.count() >= have - 1));
    let probes = world.disk(leech).counts["check"];
    world.run_for(Duration::from_secs(600));
    let probes = world.disk(leech).counts["check"] - probes;
    assert!((5..=30).contains(&probes), "{probes} looks in ten minutes");
    world.disk(leech).room = None;
    let freed = world.now();
    wait(&mut world, |world| world.is_finished(leech, &content));
    let took = world.now().since(freed);
    assert!(took < world.config().storage.retry_max + Duration::from_secs(20), "{took:?}");
    assert_eq!(view(&world, leech, &content).storage, StorageState::Good);
    assert_eq!(storage_told(&world, leech).last(), Some(&StorageState::Good));
    assert!(world.has_all(leech, &content));
}

#[test]
fn what_does_not_fit_is_not_begun_and_said_at_once() {
    let content = Content::new("big.bin", 900_000, 16_384, 41);
    let mut config = Config::default();
    config.storage.reserve = 0;
    let mut world = World::with(41, Limits::default(), config);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.disk(leech).room = Some(899_999);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(1));
    let full = StorageState::Full { needed: 900_000, free: Some(899_999) };
    assert_eq!((storage_told(&world, leech), view(&world, leech, &content).storage), (vec![full], full));
    world.run_for(Duration::from_secs(300));
    assert!(!world.disk(leech).counts.contains_key("write"), "nothing is begun");
    assert_eq!(storage_told(&world, leech), [full], "and it is said once");
    world.disk(leech).room = Some(900_000);
    wait(&mut world, |world| world.is_finished(leech, &content));
    // A restart with all of it there needs no room.
    world.run_for(Duration::from_secs(1));
    world.crash(leech);
    world.restart(leech);
    world.disk(leech).room = Some(0);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(5));
    assert_eq!(view(&world, leech, &content).storage, StorageState::Good);
    assert_eq!(state(&world, leech, &content), TorrentState::Seeding);
}

/// BEHAVIOURS 44: the request is rejected, nothing else happens, and the piece is found to be good again.
#[test]
fn a_read_error_while_serving_is_no_end() {
    let content = Content::new("read.bin", 600_000, 16_384, 42);
    let (mut world, seed, leech) = slow_pair(42, &content);
    half_done(&mut world, leech, &content);
    let verified = world.disk(seed).counts["verify"];
    world.disk(seed).faults.insert("read", IoFault::Device);
    world.run_for(Duration::from_secs(2));
    assert!(count(&world, seed, |n| matches!(n, Notice::StorageFailed { fault: IoFault::Device, .. })) > 0);
    assert!(world.disk(seed).counts["verify"] > verified, "what could not be read is hashed");
    assert_eq!(state(&world, seed, &content), TorrentState::Seeding);
    assert!(view(&world, seed, &content).pieces.is_full(), "the hash was right");
    world.disk(seed).faults.clear();
    wait(&mut world, |world| world.is_finished(leech, &content));
}

/// One that cannot be hashed either is tried a few times, and then it counts as lost.
#[test]
fn a_piece_that_stays_unreadable_is_lost_after_some_tries() {
    let content = Content::new("sector.bin", 300_000, 16_384, 43);
    let (mut world, seed, leech) = slow_pair(43, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    let other = world.add_node();
    world.disk(leech).faults.insert("read", IoFault::Device);
    world.disk(leech).faults.insert("verify", IoFault::TooManyOpen);
    let at = world.address(leech);
    world.download(other, &content, &[at]);
    // Passing faults lose nothing.
    world.run_for(Duration::from_millis(1_500));
    assert!(view(&world, leech, &content).pieces.is_full());
    wait(&mut world, |world| !view(world, leech, &content).pieces.is_full());
    assert_eq!(state(&world, leech, &content), TorrentState::Downloading);
    world.disk(leech).faults.clear();
    let at = world.address(seed);
    let torrent = id(&world, leech, &content);
    order(&mut world, leech, Command::AddPeers { torrent, peers: vec![Target::Addr(at)] }).unwrap();
    wait(&mut world, |world| world.is_finished(leech, &content) && world.is_finished(other, &content));
}

/// One file of two is gone: all of its pieces are given up at once, those of the other stay, and it is fetched again.
#[test]
fn a_file_that_vanishes_is_fetched_again() {
    let files = [("a.bin", 163_840), ("b.bin", 163_840)];
    let content = Content::with_files("pair", &files, 16_384, 44, &[]);
    let mut world = World::with(44, Limits { upload: 200_000, ..Limits::default() }, Config::default());
    let (seed, mid, last) = (world.add_node(), world.add_node(), world.add_node());
    world.disk(seed).put("pair/a.bin", content.bytes[..163_840].to_vec());
    world.disk(seed).put("pair/b.bin", content.bytes[163_840..].to_vec());
    world.add(seed, &content, &[], |add| add.seed_only = true);
    let at = world.address(seed);
    world.download(mid, &content, &[at]);
    wait(&mut world, |world| world.is_finished(mid, &content));
    world.run_for(Duration::from_secs(1));
    for cut in [false, true] {
        if cut {
            let half = content.bytes[163_840..163_840 + 100_000].to_vec();
            world.disk(mid).put("pair/b.bin", half);
        } else {
            world.disk(mid).remove("pair/b.bin");
        }
        let at = world.address(mid);
        let node = if cut { world.add_node() } else { last };
        world.download(node, &content, &[at]);
        let left = if cut { 16 } else { 10 };
        wait(&mut world, |world| view(world, mid, &content).pieces.count() <= left);
        let have = view(&world, mid, &content).pieces;
        assert_eq!((have.count(), (0..10).all(|piece| have.get(piece))), (left, true), "{have:?}");
        wait(&mut world, |world| world.is_finished(mid, &content) && world.is_finished(node, &content));
        assert_eq!(world.disk(mid).get("pair/b.bin"), Some(&content.bytes[163_840..]));
        world.run_for(Duration::from_secs(1));
    }
}

/// For a torrent that may not download it is just lost, and served again when it is back.
#[test]
fn a_seed_picks_a_file_up_again_when_it_comes_back() {
    let content = Content::new("back.bin", 300_000, 16_384, 45);
    let (mut world, seed, leech) = slow_pair(45, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.disk(seed).remove("back.bin");
    let other = world.add_node();
    let at = world.address(seed);
    world.download(other, &content, &[at]);
    wait(&mut world, |world| view(world, seed, &content).pieces.count() == 0);
    assert_eq!(state(&world, seed, &content), TorrentState::Seeding);
    world.run_for(Duration::from_secs(3600));
    assert_eq!(world.disk(seed).get("back.bin"), None, "it writes nothing");
    world.disk(seed).put("back.bin", content.bytes.clone());
    let back = world.now();
    wait(&mut world, |world| view(world, seed, &content).pieces.is_full());
    assert!(world.now().since(back) <= world.config().storage.look_max + Duration::from_secs(1));
    wait(&mut world, |world| world.is_finished(other, &content));
}

#[test]
fn a_seed_whose_files_are_not_whole_yet_looks_now_and_then() {
    let content = Content::new("part.bin", 300_000, 16_384, 46);
    let mut world = World::new(46);
    let seed = world.add_node();
    world.disk(seed).put("part.bin", content.bytes[..150_000].to_vec());
    world.add(seed, &content, &[], |add| {
        add.seed_only = true;
        add.goal = SeedGoal::Forever;
    });
    world.run_for(Duration::from_secs(4 * 3600));
    let looks = world.disk(seed).counts["check"];
    assert!(looks < 60, "{looks} looks in four hours");
    let verified = world.disk(seed).counts["verify"];
    assert_eq!(verified, 9, "what has not changed is not hashed again");
    world.disk(seed).put("part.bin", content.bytes.clone());
    wait(&mut world, |world| view(world, seed, &content).pieces.is_full());
    assert_eq!(count(&world, seed, |notice| matches!(notice, Notice::Finished { .. })), 1);
}

/// qBittorrent's issue 13199: a download that is started while its disk is not mounted must not begin from nothing.
#[test]
fn a_root_that_is_missing_at_the_start_is_waited_for() {
    let content = Content::new("usb.bin", 300_000, 16_384, 47);
    let (mut world, seed, leech) = slow_pair(47, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.run_for(Duration::from_secs(1));
    let (key, at) = (InfoHash(content.info_hash), world.address(seed));
    let saved = world.disk(leech).resume(key).to_vec();
    world.crash(leech);
    world.disk(leech).unmount();
    world.restart(leech);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(1800));
    let away = view(&world, leech, &content);
    assert_eq!((away.state, away.storage), (TorrentState::Checking, StorageState::Failing(IoFault::NotFound)));
    assert!(away.storage_retry.is_some() && away.peers == 0);
    assert_eq!(world.disk(leech).resume(key), &saved[..], "no claim is given up");
    // Nothing is lost when it is stopped like this either.
    world.command(leech, Command::Shutdown);
    wait(&mut world, |world| world.notices(leech).last() == Some(&Notice::Stopped));
    assert_eq!(world.disk(leech).resume(key), &saved[..]);
    world.crash(leech);
    world.restart(leech);
    world.download(leech, &content, &[]);
    world.run_for(Duration::from_secs(100));
    assert_eq!(world.disk(leech).mount(), Vec::<String>::new(), "nothing was written to the mount point");
    let back = world.now();
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert!(world.now().since(back) <= world.config().storage.retry_max + Duration::from_secs(1));
    assert_eq!(storage_told(&world, leech), [StorageState::Failing(IoFault::NotFound), StorageState::Good]);
}

/// The other way out: somebody has deleted the files and wants them anew.
#[test]
fn a_recheck_makes_a_torrent_whose_files_are_gone_begin_anew() {
    let content = Content::new("anew.bin", 300_000, 16_384, 48);
    for at_add in [false, true] {
        let (mut world, seed, leech) = slow_pair(48, &content);
        wait(&mut world, |world| world.is_finished(leech, &content));
        world.run_for(Duration::from_secs(1));
        world.crash(leech);
        world.disk(leech).remove("anew.bin");
        world.restart(leech);
        let at = world.address(seed);
        world.add(leech, &content, &[at], |add| add.recheck = at_add);
        if !at_add {
            world.run_for(Duration::from_secs(10));
            assert_eq!(state(&world, leech, &content), TorrentState::Checking);
            let torrent = id(&world, leech, &content);
            order(&mut world, leech, Command::Recheck { torrent }).unwrap();
        }
        wait(&mut world, |world| world.is_finished(leech, &content));
        assert!(world.has_all(leech, &content));
    }
}

/// Found by the simulator: the session looked for what may have come back for ever, without end in one call.
#[test]
fn a_seed_that_lacks_a_piece_is_rechecked_on_a_slow_disk() {
    let content = Content::new("slow.bin", 100_000, 16_384, 49);
    let mut world = World::new(49);
    let seed = world.add_node();
    world.disk(seed).put("slow.bin", content.bytes[..90_000].to_vec());
    world.add(seed, &content, &[], |add| (add.seed_only, add.goal) = (true, SeedGoal::Forever));
    world.run_for(Duration::from_secs(1));
    assert_eq!(view(&world, seed, &content).pieces.count(), 5);
    world.disk(seed).put("slow.bin", content.bytes.clone());
    world.set_disk_time(seed, Duration::from_secs(20));
    let torrent = id(&world, seed, &content);
    world.command(seed, Command::Recheck { torrent });
    // The moment at which it would have looked for the piece comes in the middle of that.
    world.run_for(Duration::from_secs(600));
    assert!(world.is_finished(seed, &content), "{:?}", view(&world, seed, &content));
}

/// Faults of each kind, at each kind of work: whatever it is, it passes by itself.
#[test]
fn faults_that_pass_leave_no_trace() {
    let content = Content::new("weather.bin", 600_000, 16_384, 49);
    let faults = [IoFault::ReadOnly, IoFault::TooManyOpen, IoFault::Device, IoFault::NoSpace, IoFault::TimedOut];
    for (number, fault) in faults.into_iter().enumerate() {
        for work in ["write", "sync", "save", "verify", "check"] {
            let (mut world, _, leech) = slow_pair(50 + number as u8, &content);
            wait(&mut world, |world| world.view(leech, &content).is_some_and(|view| view.pieces.count() >= 3));
            world.disk(leech).faults.insert(work, fault);
            world.run_for(Duration::from_secs(40));
            world.disk(leech).faults.clear();
            wait(&mut world, |world| world.is_finished(leech, &content));
            assert!(world.has_all(leech, &content), "{work} {fault:?}");
            world.run_for(Duration::from_secs(400));
            assert_eq!(view(&world, leech, &content).storage, StorageState::Good, "{work} {fault:?}");
            let claimed = world.notices(leech).iter().rev().find_map(|notice| match notice {
                Notice::Saved { pieces, .. } => Some(*pieces),
                _ => None,
            });
            assert_eq!(claimed, Some(37), "{work} {fault:?}");
        }
    }
}

#[test]
fn a_look_that_fails_at_the_start_is_repeated() {
    let content = Content::new("slowusb.bin", 300_000, 16_384, 60);
    let mut world = World::new(60);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    for work in ["check", "open"] {
        world.disk(leech).faults.insert(work, IoFault::NotFound);
    }
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(60));
    assert_eq!(view(&world, leech, &content).storage, StorageState::Failing(IoFault::NotFound));
    world.disk(leech).faults.remove("open");
    world.run_for(Duration::from_secs(60));
    assert_eq!(view(&world, leech, &content).storage, StorageState::Failing(IoFault::NotFound));
    world.disk(leech).faults.clear();
    wait(&mut world, |world| world.is_finished(leech, &content));
}

// Goals.

#[test]
fn goals_of_ratio_time_and_whichever_comes_first() {
    let content = Content::new("goal.bin", 400_000, 16_384, 61);
    let hour = Duration::from_secs(3600);
    // What one other peer fetches is a ratio of one.
    let either = |thousandths, time| SeedGoal::Either { thousandths, time };
    for (goal, fetched, after) in [
        (SeedGoal::Ratio(1000), true, Duration::ZERO),
        (SeedGoal::Ratio(1001), true, Duration::MAX),
        (SeedGoal::Time(hour), false, hour),
        (either(1000, hour), true, Duration::ZERO),
        (either(1000, hour), false, hour),
        (either(5000, hour), true, hour),
    ] {
        let mut world = World::with(61, Limits { upload: 200_000, ..Limits::default() }, Config::default());
        let (seed, leech) = (world.add_node(), world.add_node());
        world.disk(seed).put("goal.bin", content.bytes.clone());
        world.add(seed, &content, &[], |add| (add.seed_only, add.goal) = (true, goal));
        if fetched {
            let at = world.address(seed);
            world.download(leech, &content, &[at]);
            wait(&mut world, |world| world.is_finished(leech, &content));
        }
        let is_over = |world: &World| state(world, seed, &content) == TorrentState::Stopped;
        if after == Duration::MAX {
            world.run_for(hour * 10);
            assert!(!is_over(&world), "{goal:?}");
        } else {
            world.run_for(after.saturating_sub(Duration::from_secs(1)));
            wait(&mut world, is_over);
            let lasted = world.now().since(Time::ZERO);
            assert!(lasted >= after && lasted < after + Duration::from_secs(60), "{goal:?}: {lasted:?}");
            assert_eq!(count(&world, seed, |notice| matches!(notice, Notice::Done { .. })), 1);
        }
    }
}

#[test]
fn a_goal_can_be_changed_and_time_spent_paused_does_not_count() {
    let content = Content::new("change.bin", 100_000, 16_384, 62);
    let mut world = World::new(62);
    let seed = world.add_node();
    world.seed(seed, &content, &[]);
    world.run_for(Duration::from_secs(100));
    let torrent = id(&world, seed, &content);
    order(&mut world, seed, Command::SetGoal { torrent, goal: SeedGoal::Time(Duration::from_secs(1000)) }).unwrap();
    order(&mut world, seed, Command::Pause { torrent, graceful: false }).unwrap();
    world.run_for(Duration::from_secs(20_000));
    assert_eq!(state(&world, seed, &content), TorrentState::Paused);
    order(&mut world, seed, Command::Resume { torrent }).unwrap();
    world.run_for(Duration::from_secs(899));
    assert_eq!(state(&world, seed, &content), TorrentState::Seeding);
    world.run_for(Duration::from_secs(5));
    assert_eq!(state(&world, seed, &content), TorrentState::Stopped);
    // One that is reached already ends it at once.
    let other = Content::new("other.bin", 100_000, 16_384, 63);
    world.seed(seed, &other, &[]);
    world.run_for(Duration::from_secs(100));
    let torrent = id(&world, seed, &other);
    order(&mut world, seed, Command::SetGoal { torrent, goal: SeedGoal::Time(Duration::from_secs(50)) }).unwrap();
    world.run_for(Duration::from_secs(1));
    assert_eq!(state(&world, seed, &other), TorrentState::Stopped);
}

/// BEHAVIOURS 197: "Status timers stay right over pauses and 20 h".
#[test]
fn clocks_stay_right_over_pauses_and_twenty_hours() {
    let content = Content::new("clock.bin", 100_000, 16_384, 64);
    let (mut world, _, leech) = slow_pair(64, &content);
    wait(&mut world, |world| world.is_finished(leech, &content));
    let (torrent, since) = (id(&world, leech, &content), world.now());
    for _ in 0..20 {
        world.run_for(Duration::from_secs(1800));
        order(&mut world, leech, Command::Pause { torrent, graceful: false }).unwrap();
        world.run_for(Duration::from_secs(1800));
        order(&mut world, leech, Command::Resume { torrent }).unwrap();
    }
    let view = view_now(&mut world, leech, &content);
    assert_eq!(view.seeding, Duration::from_secs(10 * 3600));
    assert_eq!(view.active, view.seeding + since.since(first_active(&world, leech)));
}

/// When a node's torrent began to run.
fn first_active(world: &World, node: NodeId) -> Time {
    let runs = |notice: &Notice| matches!(notice, Notice::State { state: TorrentState::Downloading, .. });
    world.log(node).iter().find(|entry| entry.notices.iter().any(runs)).expect("it ran").now
}

// The queue.

fn queue_world(seed: u8, change: impl FnOnce(&mut Config)) -> (World, NodeId, NodeId, Vec<Content>) {
    let mut config = Config::default();
    config.queue.skip_slow = false;
    change(&mut config);
    let mut world = World::with(seed, Limits { upload: 40_000, ..Limits::default() }, config);
    let (seeds, leech) = (world.add_node(), world.add_node());
    let contents = (0..6).map(|n| Content::new(&format!("q{n}.bin"), 400_000, 16_384, 300 + n)).collect();
    (world, seeds, leech, contents)
}

fn states(world: &World, node: NodeId, contents: &[Content]) -> Vec<TorrentState> {
    contents.iter().map(|content| state(world, node, content)).collect()
}

fn how_many(world: &World, node: NodeId, wanted: TorrentState) -> usize {
    let session = world.session(node);
    session.torrents().filter(|&id| session.view(id).is_some_and(|view| view.state == wanted)).count()
}

#[test]
fn downloads_are_queued_and_come_one_after_the_other() {
    let (mut world, seed, leech, contents) = queue_world(70, |config| config.queue.max_downloads = Some(2));
    let at = world.address(seed);
    for content in &contents {
        world.seed(seed, content, &[]);
        world.download(leech, content, &[at]);
    }
    world.run_for(Duration::from_secs(2));
    use TorrentState::{Downloading, Queued};
    assert_eq!(states(&world, leech, &contents), [Downloading, Downloading, Queued, Queued, Queued, Queued]);
    let last = id(&world, leech, &contents[5]);
    order(&mut world, leech, Command::SetPlace { torrent: last, place: QueuePlace::Top }).unwrap();
    world.run_for(Duration::from_secs(2));
    assert_eq!(states(&world, leech, &contents), [Downloading, Queued, Queued, Queued, Queued, Downloading]);
    assert_eq!(world.session(leech).queue().first(), Some(&last));
    let free = id(&world, leech, &contents[4]);
    order(&mut world, leech, Command::SetManaged { torrent: free, managed: false }).unwrap();
    world.run_for(Duration::from_secs(2));
    assert_eq!(state(&world, leech, &contents[4]), Downloading, "it asks nobody");
    for _ in 0..1000 {
        assert!(how_many(&world, leech, Downloading) <= 3);
        if contents.iter().all(|content| world.is_finished(leech, content)) {
            return;
        }
        world.run_for(Duration::from_millis(500));
    }
    panic!("{:?}", states(&world, leech, &contents));
}

#[test]
fn a_paused_torrent_gives_its_place_to_the_next() {
    let (mut world, _, leech, contents) = queue_world(71, |config| config.queue.max_active = Some(1));
    contents.iter().for_each(|content| world.download(leech, content, &[]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(how_many(&world, leech, TorrentState::Downloading), 1);
    for content in &contents[..5] {
        let torrent = id(&world, leech, content);
        order(&mut world, leech, Command::Pause { torrent, graceful: false }).unwrap();
        world.run_for(Duration::from_secs(2));
        assert_eq!(how_many(&world, leech, TorrentState::Downloading), 1);
    }
    assert_eq!(state(&world, leech, &contents[5]), TorrentState::Downloading);
    // One that is resumed has its old place before the others.
    let torrent = id(&world, leech, &contents[0]);
    order(&mut world, leech, Command::Resume { torrent }).unwrap();
    world.run_for(Duration::from_secs(2));
    assert_eq!(state(&world, leech, &contents[0]), TorrentState::Downloading);
    assert_eq!(state(&world, leech, &contents[5]), TorrentState::Queued);
}

#[test]
fn seeds_take_turns_and_their_clocks_stand_meanwhile() {
    let turn = Duration::from_secs(600);
    let (mut world, seed, _, contents) = queue_world(72, |config| {
        config.queue.max_seeds = Some(2);
        config.queue.seed_turn = turn;
    });
    contents.iter().for_each(|content| world.seed(seed, content, &[]));
    world.run_for(Duration::from_secs(10));
    for _ in 0..60 {
        world.run_for(Duration::from_secs(100));
        assert_eq!(how_many(&world, seed, TorrentState::Seeding), 2, "{:?}", states(&world, seed, &contents));
        assert_eq!(how_many(&world, seed, TorrentState::Queued), 4);
    }
    let times: Vec<Duration> = contents.iter().map(|content| view(&world, seed, content).seeding).collect();
    let sum: Duration = times.iter().sum();
    assert!(sum > Duration::from_secs(2 * 6000 - 60) && sum <= Duration::from_secs(2 * 6010), "{times:?}");
    assert!(times.iter().all(|&time| time >= turn * 2), "everybody had a turn: {times:?}");
}

#[test]
fn a_session_without_limits_queues_nothing_and_is_not_woken_for_it() {
    let mut world = World::new(73);
    let node = world.add_node();
    for number in 0..20 {
        world.seed(node, &Content::new(&format!("n{number}"), 20_000, 16_384, 400 + number), &[]);
    }
    world.run_for(Duration::from_secs(5));
    assert_eq!(how_many(&world, node, TorrentState::Seeding), 20);
    let before = world.events;
    world.run_for(Duration::from_secs(3600));
    assert!(world.events - before < 200, "{} events", world.events - before);
}

#[test]
fn commands_for_nobody_are_answered() {
    let mut world = World::new(74);
    let node = world.add_node();
    let torrent = TorrentId(77);
    for command in [
        Command::Pause { torrent, graceful: true },
        Command::Resume { torrent },
        Command::Recheck { torrent },
        Command::Move { torrent, root: RootId(1) },
        Command::SetGoal { torrent, goal: SeedGoal::Forever },
        Command::SetManaged { torrent, managed: false },
        Command::SetPlace { torrent, place: QueuePlace::Down },
        Command::Remove { torrent, files: RemoveFiles::Delete },
    ] {
        assert_eq!(order(&mut world, node, command), Err(CommandError::NoSuchTorrent));
    }
}
