//! Files that are wanted and files that are not: what is fetched, what lies where, and what comes back after a restart.

use parcacik_core::border::{
    CloseReason, Command, CommandError, CommandId, Config, InfoHash, Notice, RemoveFiles, RootId, SeedGoal, TorrentId,
    TorrentState,
};
use parcacik_testkit::{Content, Limits, NodeId, Stuck, World};
use std::time::Duration;

const PIECE: usize = 16_384;

/// Pieces 1 (a, b), 4 (b, c) and 6 (c, d) are shared; d lies in piece 6 alone.
const FILES: [(&str, usize); 5] =
    [("a.bin", 25_000), ("sub/b.bin", 50_000), ("c.bin", 26_000), ("d.txt", 1_000), ("empty", 0)];

fn torrent(salt: u64) -> Content {
    Content::with_files("t", &FILES, PIECE as u32, salt, &[])
}

/// The bytes of a file.
fn bytes_of(content: &Content, file: usize) -> &[u8] {
    let start: usize = FILES[..file].iter().map(|file| file.1).sum();
    &content.bytes[start..start + FILES[file].1]
}

fn path(file: usize) -> String {
    format!("t/{}", FILES[file].0)
}

fn part_path(content: &Content) -> String {
    format!("t/.{}.parts", InfoHash(content.info_hash))
}

fn put_all(world: &mut World, node: NodeId, content: &Content) {
    for file in 0..FILES.len() {
        world.disk(node).put(&path(file), bytes_of(content, file).to_vec());
    }
}

/// A seed that runs, and a node that does not yet.
fn pair(seed: u8, content: &Content, limits: Limits) -> (World, NodeId, NodeId) {
    let mut world = World::with(seed, limits, Config::default());
    let (a, b) = (world.add_node(), world.add_node());
    put_all(&mut world, a, content);
    world.add(a, content, &[], |_| ());
    (world, a, b)
}

fn add(world: &mut World, node: NodeId, content: &Content, from: NodeId, priorities: Option<&[u8]>) {
    let at = world.address(from);
    world.add(node, content, &[at], |add| add.priorities = priorities.map(<[u8]>::to_vec));
}

fn wait(world: &mut World, done: impl Fn(&World) -> bool) {
    world.run_until(done).unwrap_or_else(|stuck: Stuck| panic!("{stuck}"));
}

fn finished(world: &World, node: NodeId) -> usize {
    world.notices(node).iter().filter(|notice| matches!(notice, Notice::Finished { .. })).count()
}

fn saved(world: &World, node: NodeId) -> usize {
    world.notices(node).iter().filter(|notice| matches!(notice, Notice::Saved { .. })).count()
}

/// Lets what is there become durable.
fn settle(world: &mut World) {
    world.run_for(Duration::from_secs(40));
}

fn id(world: &World, node: NodeId, content: &Content) -> TorrentId {
    world.session(node).find(InfoHash(content.info_hash)).expect("it was added")
}

/// Sets priorities, and waits for the answer.
fn select(world: &mut World, node: NodeId, content: &Content, files: &[(u32, u8)]) {
    let torrent = id(world, node, content);
    let command = world.command(node, Command::SetPriorities { torrent, files: files.to_vec() });
    wait(world, |world| world.notices(node).contains(&Notice::CommandDone { command }));
}

/// The files on a node's disk, by their place in the torrent; the part file as 99.
fn there(world: &mut World, node: NodeId, content: &Content) -> Vec<usize> {
    let part = part_path(content);
    let disk = world.disk(node);
    let known = |found: &str| if found == part { Some(99) } else { (0..FILES.len()).find(|&file| found == path(file)) };
    let mut files: Vec<usize> =
        disk.paths().map(|found| known(found).unwrap_or_else(|| panic!("{found} is nobody's"))).collect();
    files.sort_unstable();
    files
}

fn assert_right(world: &mut World, node: NodeId, content: &Content, files: &[usize]) {
    for &file in files {
        assert!(world.disk(node).get(&path(file)) == Some(bytes_of(content, file)), "file {file} is not right");
    }
}

fn pieces(world: &World, node: NodeId, content: &Content) -> Vec<u32> {
    world.view(node, content).unwrap().pieces.iter().collect()
}

fn state(world: &World, node: NodeId, content: &Content) -> TorrentState {
    world.view(node, content).unwrap().state
}

#[test]
fn a_subset_is_downloaded_and_nothing_else_is_created() {
    let content = torrent(1);
    let (mut world, a, b) = pair(1, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0, 7, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_eq!(there(&mut world, b, &content), [1, 99], "the empty file is not wanted either");
    assert_right(&mut world, b, &content, &[1]);
    let view = world.view(b, &content).unwrap();
    assert_eq!(pieces(&world, b, &content), [1, 2, 3, 4], "those that it has bytes in");
    assert_eq!((view.wanted_bytes, view.missing_bytes), (4 * PIECE as u64, 0));
    assert_eq!((view.state, view.total_bytes), (TorrentState::Seeding, 102_000));
    let files = world.session(b).torrent(id(&world, b, &content)).unwrap().files();
    let done: Vec<(u64, u8)> = files.iter().map(|file| (file.done, file.priority)).collect();
    // Of its neighbours, what the shared pieces have of them.
    assert_eq!(done, [(25_000 - 16_384, 0), (50_000, 7), (5 * 16_384 - 75_000, 0), (0, 0), (0, 0)]);
    // Half of a torrent is served as well as a whole one.
    let c = world.add_node();
    add(&mut world, c, &content, b, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, c) == 1);
    assert_right(&mut world, c, &content, &[1]);
}

#[test]
fn wanted_files_of_no_length_are_created_and_files_at_pieces_need_no_part_file() {
    let content = torrent(2);
    let (mut world, a, b) = pair(2, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    assert_eq!(there(&mut world, b, &content), [4]);

    let files = [("x", 2 * PIECE), ("y", PIECE), ("z", 100)];
    let aligned = Content::with_files("al", &files, PIECE as u32, 2, &[]);
    let mut world = World::new(2);
    let (a, b) = (world.add_node(), world.add_node());
    let mut start = 0;
    for (name, length) in files {
        world.disk(a).put(&format!("al/{name}"), aligned.bytes[start..start + length].to_vec());
        start += length;
    }
    world.add(a, &aligned, &[], |_| ());
    add(&mut world, b, &aligned, a, Some(&[0, 4, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_eq!(world.disk(b).paths().collect::<Vec<_>>(), ["al/y"]);
    assert!(!world.disk(b).counts.contains_key("place"), "there is nothing to place");
}

#[test]
fn nothing_wanted_is_finished_and_wishes_can_come_later() {
    let content = torrent(3);
    let (mut world, a, b) = pair(3, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0; 5]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_eq!(there(&mut world, b, &content), [0_usize; 0]);
    assert_eq!(state(&world, b, &content), TorrentState::Seeding);
    select(&mut world, b, &content, &[(2, 4)]);
    assert_eq!(state(&world, b, &content), TorrentState::Downloading);
    wait(&mut world, |world| finished(world, b) == 2);
    assert_right(&mut world, b, &content, &[2]);
    assert_eq!(there(&mut world, b, &content), [2, 99]);
}

#[test]
fn more_is_wanted_of_a_finished_torrent() {
    let content = torrent(4);
    let (mut world, a, b) = pair(4, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[4, 0, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_eq!(there(&mut world, b, &content), [0, 99]);
    select(&mut world, b, &content, &[(1, 4), (2, 4), (3, 4), (4, 4)]);
    wait(&mut world, |world| finished(world, b) == 2);
    settle(&mut world);
    assert_right(&mut world, b, &content, &[0, 1, 2, 3, 4]);
    assert_eq!(there(&mut world, b, &content), [0, 1, 2, 3, 4], "the part file is of no use any more");
    assert_eq!(world.disk(b).counts["drop"], 1);
}

#[test]
fn less_is_wanted_while_it_downloads() {
    let content = torrent(5);
    let slow = Limits { upload: 20_000, ..Limits::default() };
    let (mut world, a, b) = pair(5, &content, slow);
    add(&mut world, b, &content, a, Some(&[0, 4, 1, 0, 0]));
    wait(&mut world, |world| world.view(b, &content).is_some_and(|view| view.pieces.count() >= 2));
    // Two at first; now only the one that is nearly there. What is under way of the other is taken back.
    select(&mut world, b, &content, &[(2, 0)]);
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_right(&mut world, b, &content, &[1]);
    let fetched = world.view(b, &content).unwrap();
    assert!(!fetched.pieces.get(5), "nobody wants the middle of the other file");
    let wanted_after: usize =
        world.notices(b).iter().filter(|notice| matches!(notice, Notice::PieceDone { .. })).count();
    assert!(wanted_after <= 5, "{wanted_after} pieces came");
}

#[test]
fn a_file_that_was_begun_stays_where_it_is_when_it_is_not_wanted_any_more() {
    let content = torrent(6);
    let slow = Limits { upload: 20_000, ..Limits::default() };
    let (mut world, a, b) = pair(6, &content, slow);
    add(&mut world, b, &content, a, Some(&[0, 1, 4, 0, 0]));
    wait(&mut world, |world| world.view(b, &content).is_some_and(|view| view.pieces.get(4)));
    select(&mut world, b, &content, &[(1, 0)]);
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_right(&mut world, b, &content, &[2]);
    // It has bytes in its place, and goes on having them.
    assert!(world.view(b, &content).unwrap().pieces.count() < 6);
    assert!(there(&mut world, b, &content).contains(&1));
    select(&mut world, b, &content, &[(1, 4)]);
    wait(&mut world, |world| finished(world, b) == 2);
    assert_right(&mut world, b, &content, &[1, 2]);
}

#[test]
fn the_selection_and_the_part_file_come_back_after_a_restart() {
    let content = torrent(7);
    let (mut world, a, b) = pair(7, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0, 5, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    let torrent = id(&world, b, &content);
    world.command(b, Command::SetSequential { torrent, on: true });
    settle(&mut world);
    world.crash(b);
    world.restart(b);
    world.add(b, &content, &[], |_| ());
    wait(&mut world, |world| finished(world, b) == 1);
    assert_eq!(pieces(&world, b, &content), [1, 2, 3, 4]);
    let read = world.disk(b).counts["verify"];
    let session = world.session(b).torrent(id(&world, b, &content)).unwrap();
    assert!(session.sequential());
    assert_eq!(session.files().iter().map(|file| file.priority).collect::<Vec<_>>(), [0, 5, 0, 0, 0]);
    // What is given explicitly wins; and what lies in the part file is used.
    settle(&mut world);
    world.crash(b);
    world.restart(b);
    let at = world.address(a);
    world.add(b, &content, &[at], |add| {
        add.priorities = Some(vec![4, 4, 4]);
        add.sequential = Some(false);
    });
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_right(&mut world, b, &content, &[0, 1, 2, 3, 4]);
    assert_eq!(there(&mut world, b, &content), [0, 1, 2, 3, 4]);
    let fetched = world.notices(b).iter().filter(|notice| matches!(notice, Notice::PieceDone { .. })).count();
    assert_eq!(fetched, 3, "pieces 0, 5 and 6; the shared ones were there");
    assert!(!world.session(b).torrent(id(&world, b, &content)).unwrap().sequential());
    assert!(read < 20, "what is claimed is not hashed at every start: {read}");
}

#[test]
fn a_lost_part_file_loses_its_pieces_only() {
    let content = torrent(8);
    let (mut world, a, b) = pair(8, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    world.crash(b);
    world.disk(b).remove(&part_path(&content));
    world.restart(b);
    world.add(b, &content, &[], |_| ());
    wait(&mut world, |world| world.view(b, &content).is_some_and(|view| view.state == TorrentState::Downloading));
    assert_eq!(pieces(&world, b, &content), [2, 3]);
    let torrent = id(&world, b, &content);
    let peers = vec![parcacik_core::border::Target::Addr(world.address(a))];
    world.command(b, Command::AddPeers { torrent, peers });
    wait(&mut world, |world| finished(world, b) == 1);
    assert_right(&mut world, b, &content, &[1]);
    assert_eq!(there(&mut world, b, &content), [1, 99]);
}

#[test]
fn a_part_file_that_is_gone_when_it_is_needed_is_fetched_again() {
    let content = torrent(9);
    let (mut world, a, b) = pair(9, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    world.disk(b).remove(&part_path(&content));
    // All that the last file has lies in a piece that is not there; of the first, one shared piece was claimed.
    select(&mut world, b, &content, &[(0, 4)]);
    wait(&mut world, |world| finished(world, b) == 2);
    assert_right(&mut world, b, &content, &[0, 1]);
}

#[test]
fn an_unwanted_file_that_was_there_is_used_and_not_damaged() {
    let content = torrent(10);
    let (mut world, a, b) = pair(10, &content, Limits::default());
    // One is the torrent's own, one is not: neither is wanted.
    world.disk(b).put(&path(0), bytes_of(&content, 0).to_vec());
    world.disk(b).put(&path(2), vec![7; FILES[2].1]);
    add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_right(&mut world, b, &content, &[0, 1]);
    assert!(world.disk(b).get(&path(2)) == Some(&vec![7; FILES[2].1][..]), "somebody's own file");
    assert_eq!(pieces(&world, b, &content), [0, 1, 2, 3, 4]);
    assert_eq!(there(&mut world, b, &content), [0, 1, 2, 99]);
}

#[test]
fn claims_are_true_after_a_power_cut_at_any_moment_of_a_change() {
    let content = torrent(11);
    for cut in 0..40u64 {
        let limits = Limits { disk: Duration::from_millis(20), ..Limits::default() };
        let (mut world, a, b) = pair(11, &content, limits);
        add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
        wait(&mut world, |world| finished(world, b) == 1);
        settle(&mut world);
        let claimed = pieces(&world, b, &content);
        let torrent = id(&world, b, &content);
        world.command(b, Command::SetPriorities { torrent, files: vec![(0, 4), (2, 4)] });
        world.run_for(Duration::from_millis(cut * 15));
        world.crash(b);
        let mut chance = cut;
        world.disk(b).power_cut(|| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            chance >> 63 == 0
        });
        world.restart(b);
        world.add(b, &content, &[], |_| ());
        world.run_for(Duration::from_secs(5));
        let kept = pieces(&world, b, &content);
        for piece in claimed {
            assert!(kept.contains(&piece), "piece {piece} was claimed, and is gone after a cut at {} ms", cut * 15);
        }
        let peers = vec![parcacik_core::border::Target::Addr(world.address(a))];
        let torrent = id(&world, b, &content);
        world.command(b, Command::AddPeers { torrent, peers });
        select(&mut world, b, &content, &[(0, 4), (2, 4), (3, 4)]);
        wait(&mut world, |world| finished(world, b) >= 1 && world.view(b, &content).unwrap().missing_bytes == 0);
        settle(&mut world);
        assert_right(&mut world, b, &content, &[0, 1, 2, 3]);
    }
}

#[test]
fn a_change_that_the_disk_refuses_is_made_when_it_can() {
    let content = torrent(12);
    let (mut world, a, b) = pair(12, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    let before = saved(&world, b);
    world.disk(b).faults.insert("place", parcacik_core::border::IoFault::NoSpace);
    select(&mut world, b, &content, &[(0, 4), (2, 4)]);
    world.run_for(Duration::from_secs(20));
    assert_eq!(finished(&world, b), 1, "it is not in its place yet");
    assert!(world.notices(b).iter().any(|notice| matches!(notice, Notice::StorageFailed { .. })));
    world.disk(b).faults.clear();
    wait(&mut world, |world| finished(world, b) == 2);
    settle(&mut world);
    assert_right(&mut world, b, &content, &[0, 1, 2]);
    assert!(saved(&world, b) > before);
    assert!(!world.notices(b).iter().any(|notice| matches!(notice, Notice::PieceFailed { .. })), "nobody is blamed");
}

#[test]
fn in_order_pieces_come_one_after_the_other() {
    let content = Content::new("film.bin", 40 * PIECE, PIECE as u32, 13);
    let mut world = World::new(13);
    let (a, b) = (world.add_node(), world.add_node());
    world.seed(a, &content, &[]);
    let at = world.address(a);
    world.add(b, &content, &[at], |add| add.sequential = Some(true));
    wait(&mut world, |world| finished(world, b) == 1);
    let order: Vec<u32> = world
        .notices(b)
        .iter()
        .filter_map(|notice| if let Notice::PieceDone { piece, .. } = notice { Some(*piece) } else { None })
        .collect();
    // The first may be those that a peer gives while it chokes (BEP 6), of which there are ten.
    assert!(order[10..].is_sorted(), "{order:?}");
}

#[test]
fn a_partial_seed_leaves_a_seed_and_comes_back_when_it_wants_more() {
    let content = torrent(14);
    let (mut world, a, b) = pair(14, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[4, 0, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    wait(&mut world, |world| world.view(b, &content).is_some_and(|view| view.peers == 0));
    let both = |notice: &Notice| matches!(notice, Notice::PeerClosed { reason: CloseReason::BothSeeds, .. });
    assert!(world.notices(b).iter().any(both));
    world.run_for(Duration::from_secs(300));
    assert_eq!(world.view(b, &content).unwrap().peers, 0, "nor is it dialled again");
    select(&mut world, b, &content, &[(1, 4)]);
    wait(&mut world, |world| finished(world, b) == 2);
    assert_right(&mut world, b, &content, &[0, 1]);
}

#[test]
fn partial_seeds_serve_who_wants_something_and_leave_each_other() {
    let content = Content::with_files("al", &[("x", 8 * PIECE), ("y", 8 * PIECE)], PIECE as u32, 15, &[]);
    let (x, y) = content.bytes.split_at(8 * PIECE);
    let slow = Limits { upload: 40_000, ..Limits::default() };
    let mut world = World::with(15, slow, Config::default());
    let (a, b) = (world.add_node(), world.add_node());
    world.disk(a).put("al/x", x.to_vec());
    world.add(a, &content, &[], |_| ());
    world.disk(b).put("al/y", y.to_vec());
    let at = world.address(a);
    // Each wants what the other has; then the second has had enough.
    world.add(b, &content, &[at], |_| ());
    wait(&mut world, |world| world.view(b, &content).is_some_and(|view| view.pieces.count() > 9));
    select(&mut world, b, &content, &[(0, 0)]);
    wait(&mut world, |world| finished(world, b) == 1);
    assert!(world.view(b, &content).unwrap().pieces.count() < 16, "it has had enough before it had all");
    let peers = |world: &World, node| world.view(node, &content).map_or(0, |view| view.peers);
    assert_eq!((peers(&world, a), peers(&world, b)), (1, 1), "the other still wants something");
    wait(&mut world, |world| finished(world, a) == 1);
    assert!(world.disk(a).get("al/y") == Some(y));
    wait(&mut world, |world| peers(world, a) == 0 && peers(world, b) == 0);
}

#[test]
fn a_goal_counts_what_is_wanted() {
    let content = torrent(16);
    let (mut world, a, b) = pair(16, &content, Limits::default());
    let at = world.address(a);
    world.add(b, &content, &[at], |add| {
        add.priorities = Some(vec![0, 4, 0, 0, 0]);
        add.goal = SeedGoal::None;
    });
    wait(&mut world, |world| world.notices(b).iter().any(|notice| matches!(notice, Notice::Done { .. })));
    assert_eq!(there(&mut world, b, &content), [1, 99]);
    assert_right(&mut world, b, &content, &[1]);
}

#[test]
fn numbers_out_of_range_are_refused_whole() {
    let content = torrent(17);
    let (mut world, a, b) = pair(17, &content, Limits::default());
    let refused = |world: &World, command: CommandId| {
        world.notices(b).iter().find_map(|notice| match notice {
            Notice::CommandFailed { command: failed, error } if *failed == command => Some(error.clone()),
            _ => None,
        })
    };
    for (priorities, error) in [(vec![4, 8], CommandError::BadPriority(8)), (vec![4; 6], CommandError::NoSuchFile(5))] {
        let at = world.address(a);
        world.add(b, &content, &[at], |add| add.priorities = Some(priorities));
        world.run_for(Duration::from_millis(10));
        assert!(world.notices(b).iter().any(|n| matches!(n, Notice::CommandFailed { error: e, .. } if *e == error)));
    }
    add(&mut world, b, &content, a, Some(&[0; 5]));
    wait(&mut world, |world| finished(world, b) == 1);
    let torrent = id(&world, b, &content);
    for (files, error) in
        [(vec![(1, 4), (5, 4)], CommandError::NoSuchFile(5)), (vec![(1, 4), (0, 8)], CommandError::BadPriority(8))]
    {
        let command = world.command(b, Command::SetPriorities { torrent, files });
        world.run_for(Duration::from_millis(10));
        assert_eq!(refused(&world, command), Some(error));
    }
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.view(b, &content).unwrap().wanted_bytes, 0, "nothing of it was done");
}

#[test]
fn what_is_said_while_the_disk_is_looked_at_counts_from_then_on() {
    let content = torrent(18);
    let (mut world, a, b) = pair(18, &content, Limits::default());
    world.set_disk_time(b, Duration::from_millis(100));
    add(&mut world, b, &content, a, None);
    world.run_for(Duration::from_millis(20));
    select(&mut world, b, &content, &[(0, 0), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(state(&world, b, &content), TorrentState::Checking);
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    assert_eq!(there(&mut world, b, &content), [1, 99]);
}

/// Gives a command and waits until it is done.
fn order(world: &mut World, node: NodeId, command: Command) {
    let command = world.command(node, command);
    wait(world, |world| world.notices(node).contains(&Notice::CommandDone { command }));
}

#[test]
fn the_part_file_is_moved_checked_and_deleted_with_the_files() {
    let content = torrent(19);
    let (mut world, a, b) = pair(19, &content, Limits::default());
    world.disk(b).put(&path(2), vec![7; FILES[2].1]);
    add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    let torrent = id(&world, b, &content);
    // Checked anew: what lies in the part file is found there, and nothing is fetched.
    order(&mut world, b, Command::Recheck { torrent });
    wait(&mut world, |world| world.view(b, &content).is_some_and(|view| view.state == TorrentState::Seeding));
    assert_eq!(pieces(&world, b, &content), [1, 2, 3, 4]);
    assert_eq!(finished(&world, b), 1, "it was finished before");
    world.disk(b).remove(&path(2));
    order(&mut world, b, Command::Move { torrent, root: RootId(1) });
    settle(&mut world);
    let moved: Vec<String> = [part_path(&content), path(1)].iter().map(|path| format!("1:{path}")).collect();
    assert_eq!(world.disk(b).paths().collect::<Vec<_>>(), moved);
    // It goes on from there.
    select(&mut world, b, &content, &[(3, 4)]);
    wait(&mut world, |world| finished(world, b) == 2);
    assert!(world.disk(b).get(&format!("1:{}", path(3))) == Some(bytes_of(&content, 3)));
    world.command(b, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(b).contains(&Notice::Removed { torrent }));
    assert_eq!(world.disk(b).paths().count(), 0);
}

#[test]
fn deleting_spares_an_unwanted_file_that_holds_nothing_of_the_torrent() {
    let content = torrent(20);
    let (mut world, a, b) = pair(20, &content, Limits::default());
    world.disk(b).put(&path(2), vec![7; FILES[2].1]);
    add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    let torrent = id(&world, b, &content);
    world.command(b, Command::Remove { torrent, files: RemoveFiles::Delete });
    wait(&mut world, |world| world.notices(b).contains(&Notice::Removed { torrent }));
    assert_eq!(there(&mut world, b, &content), [2], "its shared bytes went to the part file, not into it");
    assert!(world.disk(b).get(&path(2)) == Some(&vec![7; FILES[2].1][..]));
}

#[test]
fn wishes_of_a_paused_torrent_count_when_it_goes_on() {
    let content = torrent(21);
    let (mut world, a, b) = pair(21, &content, Limits::default());
    add(&mut world, b, &content, a, Some(&[0, 4, 0, 0, 0]));
    wait(&mut world, |world| finished(world, b) == 1);
    settle(&mut world);
    let torrent = id(&world, b, &content);
    order(&mut world, b, Command::Pause { torrent, graceful: false });
    select(&mut world, b, &content, &[(0, 4), (4, 4)]);
    world.run_for(Duration::from_secs(60));
    assert_eq!(state(&world, b, &content), TorrentState::Paused);
    assert_eq!(finished(&world, b), 1);
    // Also when it was not running in between.
    world.crash(b);
    world.restart(b);
    add(&mut world, b, &content, a, None);
    world.run_for(Duration::from_secs(5));
    let torrent = id(&world, b, &content);
    assert_eq!(state(&world, b, &content), TorrentState::Paused);
    order(&mut world, b, Command::Resume { torrent });
    wait(&mut world, |world| finished(world, b) == 1);
    assert_right(&mut world, b, &content, &[0, 1, 4]);
}
