//! Torrents of which only the magnet link is known, in whole worlds: from one seed, from liars of each kind, through restarts,
//! private ones.

use parcacik_core::border::{CloseReason, Command, InfoHash, Notice, PeerFault, TorrentSource, TorrentState};
use parcacik_core::torrent::resume::ResumeData;
use parcacik_testkit::hostile::{Gives, Metadata, Peer};
use parcacik_testkit::{Content, NodeId, Stuck, World};
use std::sync::Arc;
use std::time::Duration;

/// Pieces are small, so that the info dictionary has 7 blocks.
fn content() -> Arc<Content> {
    Arc::new(Content::new("wanted.bin", 5_200_000, 1_024, 40))
}

fn wait(world: &mut World, done: impl Fn(&World) -> bool) {
    world.run_until(done).unwrap_or_else(|stuck: Stuck| panic!("{stuck}"));
}

fn state(world: &World, node: NodeId, content: &Content) -> TorrentState {
    world.view(node, content).expect("it was added").state
}

fn knows(world: &World, node: NodeId) -> bool {
    world.notices(node).iter().any(|notice| matches!(notice, Notice::Metadata { .. }))
}

fn banned(world: &World, node: NodeId) -> usize {
    world.notices(node).iter().filter(|notice| matches!(notice, Notice::PeerBanned { .. })).count()
}

#[test]
fn a_magnet_link_and_one_seed_are_enough() {
    let content = content();
    assert!(content.info().len() > 6 * 16_384);
    let mut world = World::new(40);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.magnet(leech, &content, &[at]);
    wait(&mut world, |world| world.is_finished(leech, &content));
    assert!(world.has_all(leech, &content));
    let notices = world.notices(leech);
    let told = notices.iter().filter(|notice| matches!(notice, Notice::MetadataProgress { .. })).count();
    assert_eq!(told, 7);
    // The connection that gave the dictionary gave the content too.
    let connected = notices.iter().filter(|notice| matches!(notice, Notice::PeerConnected { .. })).count();
    assert_eq!(connected, 1);
    let info = notices.iter().find_map(|notice| match notice {
        Notice::Metadata { info, .. } => Some(info.clone()),
        _ => None,
    });
    assert_eq!(info, Some(content.info()));
}

/// Nobody but one seed has the dictionary, and only one magnet knows of it: it goes from one to the other.
#[test]
fn magnets_pass_it_on_to_magnets() {
    let content = content();
    let mut world = World::new(41);
    let seed = world.add_node();
    let magnets: Vec<NodeId> = (0..5).map(|_| world.add_node()).collect();
    let mut before = seed;
    for &node in &magnets {
        let at = world.address(before);
        world.magnet(node, &content, &[at]);
        before = node;
    }
    world.run_for(Duration::from_secs(20));
    assert!(magnets.iter().all(|&node| state(&world, node, &content) == TorrentState::Metadata));
    world.seed(seed, &content, &[]);
    wait(&mut world, |world| magnets.iter().all(|&node| world.is_finished(node, &content)));
    assert!(magnets.iter().all(|&node| banned(&world, node) == 0));
}

/// One honest peer among liars of a kind: the dictionary comes, who lied for sure is named, and nobody else is.
#[test]
fn liars_of_each_kind_keep_nobody_from_it() {
    use Gives::*;
    let content = content();
    let size = content.info().len() as u32;
    let kinds = [
        (WrongBytes, true),
        (OneWrongBlock, true),
        (OtherSize(size + 5_000), true),
        (OtherSize(100), true),
        (ShortBlocks, true),
        (OtherTotal, true),
        (Rejects, false),
        (Nothing, false),
        (Unasked, false),
        (NoSize, false),
    ];
    for (kind, named) in kinds {
        let mut world = World::new(42);
        let (seed, leech) = (world.add_node(), world.add_node());
        world.seed(seed, &content, &[]);
        world.run_for(Duration::from_secs(1));
        let liars: Vec<_> = (0..3)
            .map(|_| {
                let peer = Peer::leech(&content).with(Metadata::new(content.info(), kind));
                let who = world.add_stranger(true, peer);
                world.stranger_address(who)
            })
            .collect();
        let honest = world.address(seed);
        let peers: Vec<_> = liars.iter().copied().chain([honest]).collect();
        world.magnet(leech, &content, &peers);
        let began = world.now();
        wait(&mut world, |world| knows(world, leech));
        let took = world.now().since(began);
        println!("{kind:?}: {took:?}, {} banned", banned(&world, leech));
        assert!(took < Duration::from_secs(90), "{kind:?}: {took:?}");
        wait(&mut world, |world| world.is_finished(leech, &content));
        let faults: Vec<_> = world
            .notices(leech)
            .iter()
            .filter_map(|notice| match notice {
                Notice::PeerClosed { addr, reason: CloseReason::Fault(fault), .. } => Some((*addr, *fault)),
                _ => None,
            })
            .collect();
        assert!(faults.iter().all(|(addr, _)| *addr != honest), "{kind:?}: {faults:?}");
        if named {
            assert!(!faults.is_empty() && faults.iter().all(|(_, fault)| *fault == PeerFault::BadMetadata), "{kind:?}");
            assert!(banned(&world, leech) > 0, "{kind:?}");
        } else {
            assert!(faults.is_empty() && banned(&world, leech) == 0, "{kind:?}: {faults:?}");
        }
    }
}

/// A peer that names no size, as one that got the dictionary after it had introduced itself, is asked all the same.
#[test]
fn who_does_not_tell_the_size_is_asked_when_there_is_nobody_else() {
    let content = content();
    let mut world = World::new(43);
    let leech = world.add_node();
    let giver = Peer::seed(&content).with(Metadata::new(content.info(), Gives::RightWithoutSize));
    let giver = world.add_stranger(true, giver);
    let at = world.stranger_address(giver);
    world.magnet(leech, &content, &[at]);
    wait(&mut world, |world| world.is_finished(leech, &content));
}

#[test]
fn it_is_killed_at_any_moment_and_goes_on() {
    let content = content();
    for millis in [20, 60, 150, 400, 1_000, 3_000] {
        let mut world = World::new(44);
        let (seed, leech) = (world.add_node(), world.add_node());
        world.seed(seed, &content, &[]);
        world.run_for(Duration::from_secs(1));
        let at = world.address(seed);
        world.magnet(leech, &content, &[at]);
        world.run_for(Duration::from_millis(millis));
        world.crash(leech);
        world.restart(leech);
        world.magnet(leech, &content, &[at]);
        wait(&mut world, |world| world.is_finished(leech, &content));
        assert!(world.has_all(leech, &content), "killed after {millis} ms");
    }
}

/// With its dictionary in the resume data it needs nobody, and what it had is still there.
#[test]
fn a_finished_magnet_seeds_after_a_restart_without_anybody() {
    let content = content();
    let mut world = World::new(45);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.magnet(leech, &content, &[at]);
    wait(&mut world, |world| world.is_finished(leech, &content));
    world.command(leech, Command::Shutdown);
    wait(&mut world, |world| world.notices(leech).contains(&Notice::Stopped));
    let stored = world.disk(leech).resume(InfoHash(content.info_hash)).to_vec();
    assert_eq!(ResumeData::parse(&stored[0]).unwrap().info, Some(content.info()));
    world.crash(leech);
    world.vanish(seed);
    world.restart(leech);
    world.magnet(leech, &content, &[]);
    world.run_for(Duration::from_secs(5));
    assert_eq!(state(&world, leech, &content), TorrentState::Seeding);
    assert!(!world.notices(leech).iter().any(|notice| matches!(notice, Notice::MetadataProgress { .. })));
    // And it gives it to the next one.
    let next = world.add_node();
    let at = world.address(leech);
    world.magnet(next, &content, &[at]);
    wait(&mut world, |world| world.is_finished(next, &content));
}

/// BEP 27: who has no business with a private torrent is not to get it from peers, as other clients have it too.
#[test]
fn a_private_torrent_is_not_given_away() {
    let files = [("secret.bin", 300_000)];
    let content = Arc::new(Content::with_tiers("secret.bin", &files, (16_384, 46), &[], true));
    let mut world = World::new(46);
    let (seed, leech, third) = (world.add_node(), world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.magnet(leech, &content, &[at]);
    world.run_for(Duration::from_secs(120));
    assert_eq!(state(&world, leech, &content), TorrentState::Metadata);
    // Somebody gives it; it is private then, and is not passed on.
    let giver = Peer::leech(&content).with(Metadata::new(content.info(), Gives::Right));
    let giver = world.add_stranger(true, giver);
    let torrent = world.session(leech).find(InfoHash(content.info_hash)).unwrap();
    let peers = vec![parcacik_core::border::Target::Addr(world.stranger_address(giver))];
    world.command(leech, Command::AddPeers { torrent, peers });
    wait(&mut world, |world| world.is_finished(leech, &content));
    let at = world.address(leech);
    world.magnet(third, &content, &[at]);
    world.run_for(Duration::from_secs(120));
    assert_eq!(state(&world, third, &content), TorrentState::Metadata);
}

/// The application may choose files before anything is made of the torrent.
#[test]
fn files_can_be_chosen_when_the_dictionary_has_come() {
    let files = [("a", 100_000), ("b", 100_000), ("c", 100_000)];
    let content = Content::with_files("three", &files, 16_384, 47, &[]);
    let mut world = World::new(47);
    let (seed, leech) = (world.add_node(), world.add_node());
    for (number, (name, length)) in files.iter().enumerate() {
        let from = number * length;
        world.disk(seed).put(&format!("three/{name}"), content.bytes[from..from + length].to_vec());
    }
    world.add(seed, &content, &[], |add| add.seed_only = true);
    let at = world.address(seed);
    world.add(leech, &content, &[at], |add| {
        add.source = TorrentSource::Magnet(content.magnet());
        add.hold_at_metadata = true;
    });
    wait(&mut world, |world| knows(world, leech));
    world.run_for(Duration::from_secs(10));
    assert_eq!(state(&world, leech, &content), TorrentState::Paused);
    let torrent = world.session(leech).find(InfoHash(content.info_hash)).unwrap();
    let refused = world.command(leech, Command::SetPriorities { torrent, files: vec![(3, 0)] });
    world.command(leech, Command::SetPriorities { torrent, files: vec![(0, 0), (2, 0)] });
    world.run_for(Duration::from_secs(1));
    let failed = |notice: &Notice| matches!(notice, Notice::CommandFailed { command, .. } if *command == refused);
    assert!(world.notices(leech).iter().any(failed));
    assert!(world.disk(leech).get("three/b").is_none());
    world.command(leech, Command::Resume { torrent });
    wait(&mut world, |world| world.notices(leech).iter().any(|notice| matches!(notice, Notice::Finished { .. })));
    assert_eq!(world.disk(leech).get("three/b"), Some(&content.bytes[100_000..200_000]));
    assert!(world.disk(leech).get("three/a").is_none() && world.disk(leech).get("three/c").is_none());
}

/// The same seed gives the same run, whatever lies in it.
#[test]
fn every_run_is_the_same() {
    let content = content();
    let run = || {
        let mut world = World::new(48);
        let (seed, leech) = (world.add_node(), world.add_node());
        world.seed(seed, &content, &[]);
        let liar = Peer::seed(&content).with(Metadata::new(content.info(), Gives::OneWrongBlock));
        let liar = world.add_stranger(true, liar);
        let peers = [world.stranger_address(liar), world.address(seed)];
        world.magnet(leech, &content, &peers);
        wait(&mut world, |world| world.is_finished(leech, &content));
        (world.now(), world.notices(leech).to_vec())
    };
    assert_eq!(run(), run());
}
