//! Oracles that compare runs, or need a run of their own.

use parcacik_core::border::Config;
use parcacik_testkit::hostile::{Corrupt, Excuse, HaveNothing, NeverUnchoke, Peer, RequestFlood};
use parcacik_testkit::{Content, Limits, World};
use std::sync::Arc;
use std::time::Duration;

/// Oracle 47: after the start, a leech takes nine tenths of what the seed can send, in any minute.
#[test]
fn oracle_47_a_download_uses_the_line() {
    const UPLOAD: u64 = 100_000;
    const STEP: Duration = Duration::from_millis(250);
    let mut judged = 0;
    for (seed, latency) in [(1u8, 5), (2, 40), (3, 100)] {
        let content = Content::new("line", 14_000_000, 65_536, u64::from(seed));
        let limits = Limits { latency: Duration::from_millis(latency), upload: UPLOAD, ..Limits::default() };
        let mut world = World::with(seed, limits, Config::default());
        let (giver, taker) = (world.add_node(), world.add_node());
        world.seed(giver, &content, &[]);
        let address = world.address(giver);
        world.download(taker, &content, &[address]);
        world.run_for(Duration::from_secs(10));
        let mut came = Vec::new();
        while !world.is_finished(taker, &content) {
            came.push(world.traffic().read_by(taker));
            world.run_for(STEP);
        }
        let window = (Duration::from_secs(60).as_millis() / STEP.as_millis()) as usize;
        // The last of it is less than a window's worth of asking.
        let whole = came.len().saturating_sub(8);
        for at in 0..whole.saturating_sub(window) {
            let bytes = came[at + window] - came[at];
            assert!(bytes * 10 >= UPLOAD * 60 * 9, "oracle 47: utilisation: seed {seed}: {bytes} bytes in a minute");
            judged += 1;
        }
    }
    assert!(judged >= 500, "{judged}");
}

/// How long four leeches take, with so many who mean harm.
fn time(seed: u8, hostile: usize) -> Duration {
    let content = Arc::new(Content::new("robust", 600_000, 32_768, u64::from(seed)));
    let limits = Limits { upload: 60_000, latency: Duration::from_millis(20), ..Limits::default() };
    let mut world = World::with(seed, limits, Config::default());
    let seeds = [world.add_node(), world.add_node()];
    let leeches: Vec<_> = (0..4).map(|_| world.add_node()).collect();
    let victim = world.address(leeches[0]);
    let strangers: Vec<_> = (0..hostile)
        .map(|number| {
            let who = match number % 5 {
                0 => Peer::seed(&content).with(Corrupt::EveryBlock),
                1 => Peer::seed(&content).with(NeverUnchoke),
                2 => Peer::seed(&content).with(HaveNothing(Excuse::Silence)),
                3 => Peer::leech(&content).with(RequestFlood(200)).dials(victim, 1),
                _ => Peer::seed(&content).with(Corrupt::OneIn(3)),
            };
            world.add_stranger(true, who)
        })
        .collect();
    seeds.iter().for_each(|&node| world.seed(node, &content, &[]));
    let mut peers: Vec<_> = seeds.iter().chain(&leeches).map(|&node| world.address(node)).collect();
    peers.extend(strangers.iter().map(|&stranger| world.stranger_address(stranger)));
    leeches.iter().for_each(|&node| world.download(node, &content, &peers));
    world
        .run_until(|world| leeches.iter().all(|&leech| world.is_finished(leech, &content)))
        .unwrap_or_else(|stuck| panic!("seed {seed}: {stuck}"));
    Duration::from_micros(world.now().as_micros())
}

/// Oracle 52: half of all being hostile costs at most twice the time, over some seeds.
#[test]
fn oracle_52_half_being_hostile_costs_twice_the_time_at_most() {
    let (mut without, mut with) = (Duration::ZERO, Duration::ZERO);
    for seed in 0..12 {
        let (alone, among) = (time(seed, 0), time(seed, 6));
        println!("| {seed} | {alone:?} | {among:?} |");
        (without, with) = (without + alone, with + among);
    }
    assert!(with <= without * 2, "oracle 52: robustness: {with:?} with them, {without:?} without");
}
