//! Super seeding (BEP 16) in whole swarms.

use parcacik_core::border::{CloseReason, Command, Config, InfoHash, Notice};
use parcacik_testkit::{Content, Limits, NodeId, World};
use std::time::Duration;

const LENGTH: usize = 4_000_000;

/// One seed and ten leeches that find each other by a tracker.
fn swarm(seed: u8, super_seed: bool) -> (World, NodeId, Vec<NodeId>, Content) {
    let tracker = "http://45.10.0.1:6969/announce";
    let content = Content::with_files("super.bin", &[("super.bin", LENGTH)], 65_536, u64::from(seed), &[tracker]);
    let limits = Limits { upload: 500_000, ..Limits::default() };
    let mut world = World::with(seed, limits, Config::default());
    let giver = world.add_node();
    world.disk(giver).put(&content.name, content.bytes.clone());
    world.add(giver, &content, &[], |add| {
        add.seed_only = true;
        add.super_seed = super_seed;
    });
    world.run_for(Duration::from_secs(1));
    let leeches: Vec<NodeId> = (0..10).map(|_| world.add_node()).collect();
    for &leech in &leeches {
        world.download(leech, &content, &[]);
    }
    (world, giver, leeches, content)
}

fn finish(world: &mut World, leeches: &[NodeId], content: &Content) {
    let done = |world: &World| leeches.iter().all(|&leech| world.is_finished(leech, content));
    world.run_until(done).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(leeches.iter().all(|&leech| world.has_all(leech, content)));
}

#[test]
fn a_super_seed_gives_little_more_than_one_copy() {
    for seed in 1..4 {
        let uploaded = |super_seed: bool| {
            let (mut world, giver, leeches, content) = swarm(seed, super_seed);
            finish(&mut world, &leeches, &content);
            // Nobody took it for useless.
            let lost = |notice: &&Notice| match notice {
                Notice::PeerClosed { reason, .. } => !matches!(
                    reason,
                    CloseReason::Duplicate
                        | CloseReason::BothSeeds
                        | CloseReason::ClosedByPeer
                        | CloseReason::DialFailed(_)
                ),
                _ => false,
            };
            for &node in leeches.iter().chain([&giver]) {
                assert_eq!(world.notices(node).iter().find(lost), None);
            }
            world.view(giver, &content).unwrap().uploaded
        };
        let (hidden, open) = (uploaded(true), uploaded(false));
        let length = LENGTH as u64;
        assert!(hidden >= length, "{hidden}: one copy at least");
        assert!(hidden * 10 <= length * 13, "{hidden} of {length}");
        assert!(open > hidden, "an ordinary seed gives more: {open}");
    }
}

#[test]
fn a_super_seed_alone_with_one_leech_gives_everything() {
    let content = Content::new("alone.bin", 1_000_000, 65_536, 7);
    let mut world = World::new(7);
    let (giver, leech) = (world.add_node(), world.add_node());
    world.disk(giver).put(&content.name, content.bytes.clone());
    world.add(giver, &content, &[], |add| (add.seed_only, add.super_seed) = (true, true));
    let at = world.address(giver);
    world.download(leech, &content, &[at]);
    finish(&mut world, &[leech], &content);
    world.run_for(Duration::from_secs(1));
    let id = world.session(giver).find(InfoHash(content.info_hash)).unwrap();
    assert!(!world.session(giver).torrent(id).unwrap().super_seeds(), "there is another seed now");
}

#[test]
fn leeches_that_cannot_reach_each_other_are_served_in_the_end() {
    let content = Content::new("apart.bin", 300_000, 65_536, 8);
    let mut world = World::new(8);
    let giver = world.add_node();
    world.disk(giver).put(&content.name, content.bytes.clone());
    world.add(giver, &content, &[], |add| (add.seed_only, add.super_seed) = (true, true));
    let leeches = [world.add_node(), world.add_node()];
    let at = world.address(giver);
    for leech in leeches {
        world.download(leech, &content, &[at]);
    }
    finish(&mut world, &leeches, &content);
}

#[test]
fn when_it_is_turned_off_everybody_is_told_of_everything() {
    let (mut world, giver, leeches, content) = swarm(9, true);
    world.run_for(Duration::from_secs(3));
    let id = world.session(giver).find(InfoHash(content.info_hash)).unwrap();
    assert!(world.session(giver).torrent(id).unwrap().super_seeds());
    for peer in world.session(leeches[0]).torrent(id).unwrap().peer_list(world.now()) {
        if peer.addr == world.address(giver) {
            assert!(peer.pieces <= 3, "it is shown a few pieces: {peer:?}");
        }
    }
    let command = world.command(giver, Command::SetSuperSeed { torrent: id, on: false });
    assert!(world.notices(giver).contains(&Notice::CommandDone { command }));
    world.run_for(Duration::from_secs(1));
    let told = world.session(leeches[0]).torrent(id).unwrap().peer_list(world.now());
    assert!(told.iter().any(|peer| peer.pieces == content.bytes.len().div_ceil(65_536) as u32), "{told:?}");
    finish(&mut world, &leeches, &content);
}
