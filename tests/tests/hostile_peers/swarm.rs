//! Swarms of which half mean harm, each by its seed and twice: the honest complete in time and whole, nobody honest is banned,
//! and both runs are the same.
//!
//! A failure prints the seed; `PARCACIK_SEED=n` runs that one alone, `PARCACIK_SEEDS=n` so many.

use parcacik_core::border::{Actions, CloseReason, Config, Notice};
use parcacik_core::journal::{Digest, RunningDigest};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_testkit::hostile::any_peer;
use parcacik_testkit::{Content, Limits, NodeId, Split, StrangerId, World};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const TRACKER: &str = "http://45.10.0.1:6969/announce";
const SEEDS: u64 = 150;

/// Everything that the honest sessions did.
fn run(number: u64) -> Digest {
    let mut rng = Seeds::for_tests((number >> 8) as u8 ^ 0xa5).decisions(Stream::Session, number);
    let length = 60_000 + rng.index(200_000);
    let piece = [16_384, 32_768, 65_536][rng.index(3)];
    let content = Arc::new(Content::with_files("half.bin", &[("half.bin", length)], piece, number, &[TRACKER]));
    let limits = Limits {
        latency: Duration::from_millis(1 + rng.index(80) as u64),
        upload: 10_000 + rng.index(100_000) as u64,
        split: if rng.index(2) == 0 { Split::Whole } else { Split::Random(20_000) },
        disk: Duration::from_micros(rng.index(5_000) as u64),
        ..Limits::default()
    };
    let mut world = World::with(number, limits, Config::default());
    world.keep_logs();
    let honest: Vec<NodeId> = (0..2 + rng.index(3)).map(|_| world.add_node()).collect();
    let hostiles: Vec<StrangerId> = (0..honest.len())
        .map(|_| {
            let mut peer = any_peer(&mut rng, &content);
            for &node in &honest {
                if rng.index(2) == 0 {
                    peer = peer.dials(world.address(node), 1 + rng.index(3));
                }
            }
            let who = world.add_stranger(true, peer);
            world.tracker_knows(&content, world.stranger_address(who));
            who
        })
        .collect();
    world.seed(honest[0], &content, &[]);
    let peers: Vec<SocketAddr> = honest.iter().map(|&node| world.address(node)).collect();
    for &leech in &honest[1..] {
        world.download(leech, &content, &peers);
    }
    // Two minutes, and three times what one uplink takes for all of them.
    let most = 120 + 3 * (length * honest.len()) as u64 / limits.upload;
    while !honest.iter().all(|&node| world.is_finished(node, &content)) {
        let late = world.now().as_micros() / 1_000_000 > most;
        assert!(!late && world.step(), "seed {number}: not whole after {most} s: {} {hostiles:?}", world.stuck());
    }
    let ips: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
    let mut digest = RunningDigest::new(Digest::of(b"half"));
    for &node in &honest {
        assert!(world.has_all(node, &content), "seed {number}: other bytes");
        for notice in world.notices(node) {
            match notice {
                Notice::PeerBanned { addr, .. } => {
                    assert!(!ips.contains(&addr.ip()), "seed {number}: {addr} is honest")
                }
                Notice::PeerClosed { addr, reason: CloseReason::Fault(fault), .. } => {
                    assert!(!ips.contains(&addr.ip()), "seed {number}: honest {addr} is closed for {fault:?}");
                }
                _ => {}
            }
        }
        let wasted = world.view(node, &content).map_or(0, |view| view.wasted);
        // These torrents have few pieces, and each that lies costs one or two.
        assert!(wasted <= 2 * length as u64 + 4 * u64::from(piece), "seed {number}: {wasted} of {length} bytes wasted");
        for entry in world.log(node) {
            let (list, notices, opaque) = (entry.actions.clone(), entry.notices.clone(), entry.opaque.clone());
            digest.add(entry.now, &entry.event, &Actions { list, notices, opaque });
        }
    }
    digest.digest()
}

#[test]
fn half_the_swarm_is_hostile_and_the_honest_complete() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("PARCACIK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PARCACIK_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    for seed in seeds {
        assert_eq!(run(seed), run(seed), "seed {seed}: the second run went another way");
    }
    println!("{count} swarms, each twice");
}
