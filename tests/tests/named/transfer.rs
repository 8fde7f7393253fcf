//! Downloads under odd circumstances.

use parcacik_core::border::{Command, Config, Notice, StorageState, TorrentId};
use parcacik_testkit::{Content, Limits, NodeId, World};
use std::time::Duration;

/// Lays all files of a torrent on a disk. Pad files are not kept.
fn put_all(world: &mut World, node: NodeId, content: &Content, files: &[(&str, usize)]) {
    let mut start = 0;
    for (path, length) in files {
        if !path.starts_with(".pad/") {
            let path = format!("{}/{path}", content.name);
            world.disk(node).put(&path, content.bytes[start..start + length].to_vec());
        }
        start += length;
    }
}

/// A torrent of these files goes from a seed to a leech; nothing of the padding is kept or sent.
fn transfer(files: &[(&str, usize)], piece_length: u32) {
    let content = Content::with_files("folder", files, piece_length, 21, &[]);
    let mut world = World::new(21);
    let (seed, leech) = (world.add_node(), world.add_node());
    put_all(&mut world, seed, &content, files);
    world.add(seed, &content, &[], |add| add.seed_only = true);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{files:?}: {stuck}"));
    let (mut start, mut padding) = (0, 0);
    for (path, length) in files {
        let found = world.disk(leech).get(&format!("folder/{path}")).map(<[u8]>::to_vec);
        match path.starts_with(".pad/") {
            true => {
                assert_eq!(found, None, "{path} is kept");
                padding += *length as u64;
            }
            false => assert_eq!(found.as_deref(), Some(&content.bytes[start..start + length]), "{path}"),
        }
        start += length;
    }
    let view = world.view(leech, &content).unwrap();
    assert!(view.downloaded <= content.bytes.len() as u64, "{view:?}");
    assert!(padding > 0 && view.wasted == 0, "{view:?}");
}

#[test]
fn odd_last_pad_file() {
    transfer(&[("a", 40_000), (".pad/25536", 25_536), ("b", 70_000), (".pad/1", 1)], 65_536);
}

#[test]
fn large_pad_file() {
    transfer(&[("a", 1_000), (".pad/300000", 300_000), ("b", 50_000)], 16_384);
}

#[test]
fn unaligned_pad_file() {
    transfer(&[("a", 1_000), (".pad/333", 333), ("b", 50_000), (".pad/17000", 17_000), ("c", 5)], 16_384);
}

#[test]
fn piece_size_pad_file() {
    transfer(&[("a", 32_768), (".pad/32768", 32_768), ("b", 32_768)], 32_768);
}

#[test]
fn block_size_pad_file() {
    transfer(&[("a", 16_384), (".pad/16384", 16_384), ("b", 32_768)], 32_768);
}

#[test]
fn back_to_back_pad_file() {
    transfer(&[("a", 10_000), (".pad/1", 10), (".pad/2", 20_000), (".pad/3", 2_758), ("b", 40_000)], 32_768);
}

fn storage_told(world: &World, node: NodeId) -> Vec<StorageState> {
    let notices = world.notices(node).iter();
    notices.filter_map(|n| if let Notice::Storage { state, .. } = n { Some(*state) } else { None }).collect()
}

/// A disk that is full stays so: the torrent waits in that state, takes no peer's time, and breaks nothing.
#[test]
fn disk_full() {
    let content = Content::new("full.bin", 900_000, 16_384, 22);
    let mut config = Config::default();
    config.storage.check_space = false;
    let mut world = World::with(22, Limits::default(), config);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.disk(leech).room = Some(300_000);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(60));
    // What did not fit as one large write may fit in part: it is Good in between, until nothing fits.
    let told = storage_told(&world, leech);
    assert!(matches!(told.last(), Some(StorageState::Full { .. })), "{told:?}");
    let taken = world.view(leech, &content).unwrap();
    world.run_for(Duration::from_secs(600));
    let later = world.view(leech, &content).unwrap();
    assert_eq!(taken.pieces, later.pieces);
    // Where free space is not looked up, each try is an attempt to write: it is told of, but not more often than it is tried.
    let told = storage_told(&world, leech).len() - told.len();
    assert!(told <= 60, "told {told} times in ten minutes");
    // It asks for a block now and then at the most, to see whether there is room again.
    assert!(later.wasted - taken.wasted < 900_000, "{} bytes for nothing", later.wasted - taken.wasted);
    assert!(matches!(later.storage, StorageState::Full { .. }));
}

/// Pieces that are larger than what fits between two looks at the disk.
#[test]
fn disk_full_recover_large_pieces() {
    let content = Content::new("large.bin", 4 << 20, 1 << 20, 23);
    let mut config = Config::default();
    config.storage.check_space = false;
    let mut world = World::with(23, Limits::default(), config);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    // So much more each time.
    for room in [500_000, 800_000, 1_500_000] {
        world.disk(leech).room = Some(room);
        if world.view(leech, &content).is_none() {
            world.download(leech, &content, &[at]);
        }
        world.run_for(Duration::from_secs(900));
        assert!(!world.is_finished(leech, &content), "it does not fit into {room} more");
    }
    world.disk(leech).room = None;
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.has_all(leech, &content));
}

/// What can be changed while it runs is changed all the time; everybody completes all the same.
#[test]
fn settings_stress_test() {
    let content = Content::with_files("folder", &[("a", 400_000), ("b", 300_000), ("c", 9)], 16_384, 24, &[]);
    let mut world = World::with(24, Limits { upload: 100_000, ..Limits::default() }, Config::default());
    let (seed, leech) = (world.add_node(), world.add_node());
    put_all(&mut world, seed, &content, &[("a", 400_000), ("b", 300_000), ("c", 9)]);
    world.add(seed, &content, &[], |add| add.seed_only = true);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    let torrent = TorrentId(0);
    for round in 0..60u64 {
        for node in [seed, leech] {
            let limit = Some([0, 20_000, 50_000, 1 << 30][(round % 4) as usize]);
            let torrent_of = (round % 3 == 0).then_some(torrent);
            let limits = Command::SetLimits { torrent: torrent_of, download: limit, upload: limit };
            let commands = [
                limits,
                Command::SetSequential { torrent, on: round % 2 == 0 },
                Command::SetSuperSeed { torrent, on: round % 5 == 0 },
                Command::SetManaged { torrent, managed: round % 2 == 1 },
            ];
            for command in commands {
                world.command(node, command);
            }
        }
        let files = vec![((round % 3) as u32, (round % 8) as u8)];
        world.command(leech, Command::SetPriorities { torrent, files });
        match round % 10 {
            3 => _ = world.command(leech, Command::Pause { torrent, graceful: round % 20 == 3 }),
            4 => _ = world.command(leech, Command::Resume { torrent }),
            7 => _ = world.command(seed, Command::Recheck { torrent }),
            _ => {}
        }
        world.run_for(Duration::from_millis(700));
    }
    for node in [seed, leech] {
        world.command(node, Command::SetLimits { torrent: None, download: Some(0), upload: Some(0) });
        world.command(node, Command::SetLimits { torrent: Some(torrent), download: Some(0), upload: Some(0) });
        world.command(node, Command::SetManaged { torrent, managed: false });
        world.command(node, Command::Resume { torrent });
    }
    world.command(leech, Command::SetPriorities { torrent, files: vec![(0, 4), (1, 4), (2, 4)] });
    world.command(leech, Command::AddPeers { torrent, peers: vec![parcacik_core::border::Target::Addr(at)] });
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
}
