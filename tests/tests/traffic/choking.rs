//! Who gets how much of whom: fairness among leeches, and what a free-rider gets.

use parcacik_core::border::{Command, Config};
use parcacik_testkit::{Content, Limits, NodeId, World, jain};
use std::time::Duration;

/// A fast seed, and leeches that have something for one another at all times, and less to give than all want; the last
/// `riders` of them give nothing.
fn swarm(seed: u8, leeches: usize, riders: usize) -> (World, Vec<NodeId>, Content) {
    let tracker = "http://45.10.0.1:6969/announce";
    let content = Content::with_files("fair.bin", &[("fair.bin", 40_000_000)], 131_072, u64::from(seed), &[tracker]);
    let limits = Limits { upload: 1_000_000, ..Limits::default() };
    // The tracker names everybody; who has how many connections is not the matter here.
    let mut config = Config::default();
    config.pex.enabled = false;
    let mut world = World::with(seed, limits, config);
    let giver = world.add_node();
    world.seed(giver, &content, &[]);
    world.run_for(Duration::from_secs(1));
    let nodes: Vec<NodeId> = (0..leeches).map(|_| world.add_node()).collect();
    for &node in &nodes {
        world.download(node, &content, &[]);
    }
    for (number, &node) in nodes.iter().enumerate() {
        let upload = Some(if number < leeches - riders { 100_000 } else { 1 });
        world.command(node, Command::SetLimits { torrent: None, download: None, upload });
    }
    (world, nodes, content)
}

#[test]
fn equal_leeches_get_the_same() {
    let (mut world, nodes, _) = swarm(1, 20, 0);
    world.run_for(Duration::from_secs(40));
    let before = world.traffic().clone();
    // Some turns at the seed.
    world.run_for(Duration::from_secs(120));
    let shares: Vec<u64> = nodes.iter().map(|&node| world.traffic().read_by(node) - before.read_by(node)).collect();
    assert!(jain(&shares) >= 900, "{shares:?}");
}

#[test]
fn a_free_rider_gets_little_of_those_who_give() {
    // Its share comes from optimistic unchokes: in one minute of one world chance has too large a part.
    let (mut all, mut rest) = (0, 0);
    for seed in 2..10 {
        let (got, mean) = free_ride(seed);
        all += got;
        rest += mean;
    }
    assert!(all * 4 <= rest, "the free-rider got {all}, the others {rest}");
}

/// What a free-rider gets of leeches in a minute, and what another one gets of them on average.
fn free_ride(seed: u8) -> (u64, u64) {
    let (mut world, nodes, content) = swarm(seed, 20, 1);
    // Until it is known who gives.
    world.run_for(Duration::from_secs(100));
    let before = world.traffic().clone();
    world.run_for(Duration::from_secs(60));
    assert!(nodes.iter().all(|&node| !world.is_finished(node, &content)), "all are still at it");
    let (givers, rider) = (&nodes[..19], nodes[19]);
    let from_leeches = |to: NodeId| -> u64 {
        givers.iter().map(|&from| world.traffic().between(from, to) - before.between(from, to)).sum()
    };
    let mean = givers.iter().map(|&giver| from_leeches(giver)).sum::<u64>() / 19;
    let got = from_leeches(rider);
    (got, mean)
}
