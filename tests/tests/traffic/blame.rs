//! Who sends bad data is found by at most one more download of the piece, and nobody else is accused.

use parcacik_core::border::{Config, Notice};
use parcacik_testkit::{Content, Lie, Limits, NodeId, World};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What became of one download from honest seeds and liars.
struct Outcome {
    /// How often each piece failed that failed before all liars who sent something bad were known.
    failures: BTreeMap<u32, u32>,
    banned: Vec<IpAddr>,
    liars: Vec<IpAddr>,
    /// Whether each of the liars sent anything bad.
    lied: Vec<bool>,
}

fn run(seed: u8, lie: Lie, honest: usize, liars: usize, latency: u64) -> Outcome {
    let content = Content::new("blame.bin", 1_500_000, 131_072, u64::from(seed));
    let limits = Limits { upload: 300_000, latency: Duration::from_millis(latency), ..Limits::default() };
    let mut world = World::with(seed, limits, Config::default());
    let seeds: Vec<NodeId> = (0..honest + liars).map(|_| world.add_node()).collect();
    for &node in &seeds {
        world.seed(node, &content, &[]);
    }
    world.run_for(Duration::from_secs(1));
    // Whoever comes first is not always the same.
    let liars: Vec<NodeId> = (0..liars).map(|at| seeds[(at * 2 + usize::from(seed)) % seeds.len()]).collect();
    for &liar in &liars {
        world.disk(liar).lie = Some(lie);
    }
    let leech = world.add_node();
    let peers: Vec<_> = seeds.iter().map(|&node| world.address(node)).collect();
    world.download(leech, &content, &peers);
    world
        .run_until(|world| world.is_finished(leech, &content))
        .unwrap_or_else(|stuck| panic!("{lie:?} {seed}: {stuck}"));
    assert!(world.has_all(leech, &content), "{lie:?} {seed}");
    let mut failures: BTreeMap<u32, u32> = BTreeMap::new();
    let mut banned = Vec::new();
    for notice in world.notices(leech) {
        match notice {
            Notice::PieceFailed { piece, .. } => *failures.entry(*piece).or_default() += 1,
            Notice::PeerBanned { addr, .. } => banned.push(addr.ip()),
            _ => {}
        }
    }
    Outcome {
        failures,
        banned,
        lied: liars.iter().map(|&liar| world.disk(liar).damaged).collect(),
        liars: liars.iter().map(|&liar| world.address(liar).ip()).collect(),
    }
}

const LIES: [Lie; 7] = [
    Lie::EveryBlock,
    Lie::OneBlockOf(5),
    Lie::OneBit,
    Lie::WrongOffset,
    Lie::OtherTorrent,
    Lie::SharedPieces,
    Lie::FirstTime,
];

#[test]
fn one_liar_is_found_by_one_more_download_and_no_honest_peer_is_banned() {
    let mut failed = 0;
    for lie in LIES {
        for (seed, honest) in (0..8u8).map(|seed| (seed, 1 + usize::from(seed % 4))) {
            let outcome = run(seed, lie, honest, 1, 5 + u64::from(seed) * 7);
            let liar = outcome.liars[0];
            // A piece fails once; the download after that passes, or has one sender: either names the liar. It fails a second time
            // only when it was the liar who was asked for all of it.
            assert!(outcome.failures.values().all(|&times| times <= 2), "{lie:?} {seed}: {:?}", outcome.failures);
            assert!(outcome.banned.iter().all(|&addr| addr == liar), "{lie:?} {seed}: {:?}", outcome.banned);
            // What it sent may have come second, and been dropped.
            let failures = &outcome.failures;
            assert_eq!(outcome.banned.len(), usize::from(!failures.is_empty()), "{lie:?} {seed}: {failures:?}");
            failed += outcome.failures.len();
        }
    }
    assert!(failed > 50, "the test tests something: {failed}");
}

#[test]
fn two_liars_among_many_are_both_found() {
    for lie in [Lie::EveryBlock, Lie::OneBlockOf(3), Lie::FirstTime] {
        for seed in 0..6 {
            let outcome = run(seed, lie, 3, 2, 10);
            assert!(outcome.banned.iter().all(|addr| outcome.liars.contains(addr)), "{lie:?} {seed}");
            let used = outcome.lied.iter().filter(|&&lied| lied).count();
            assert!((1..=used).contains(&outcome.banned.len()), "{lie:?} {seed}: {:?}", outcome.failures);
            // Each failure is one of theirs, and each is found by one more.
            assert!(outcome.failures.values().all(|&times| times <= 3), "{lie:?} {seed}: {:?}", outcome.failures);
        }
    }
}
