//! Drills: nothing that has to hold is broken, nothing that is judged is judged in vain, and all of it can be had again.

use parcacik_core::border::{Actions, Config};
use parcacik_core::session::Session;
use parcacik_testkit::oracles::{Judged, Oracle};
use parcacik_testkit::{Content, World, drill};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many are done, from 0 on; `PARCACIK_DRILLS=n` does so many.
const DRILLS: u64 = 110;
/// How often each oracle has to have had something to judge.
const ENOUGH: u64 = 1_000;

fn drills() -> BTreeMap<u8, u64> {
    let wanted = std::env::var("PARCACIK_DRILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(DRILLS);
    let (next, sums) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= wanted {
                        return;
                    }
                    let counts = drill::run(number);
                    let mut sums = sums.lock().unwrap();
                    for (oracle, count) in counts {
                        *sums.entry(oracle).or_default() += count;
                    }
                }
            });
        }
    });
    sums.into_inner().unwrap()
}

#[test]
fn no_drill_fails_and_no_oracle_is_vacuous() {
    let counts = drills();
    let mut vacuous = Vec::new();
    for oracle in Oracle::ALL {
        let count = counts.get(&oracle.number()).copied().unwrap_or(0);
        println!("{oracle:<24} {count:>10}  {}", oracle.says());
        if matches!(oracle.judged(), Judged::EveryCall | Judged::Healed) && count < ENOUGH {
            vacuous.push((oracle.to_string(), count));
        }
    }
    assert!(vacuous.is_empty(), "oracle 58: not-vacuous: {vacuous:?}");
}

#[test]
fn every_number_of_the_list_is_there_once() {
    let numbers: Vec<u8> = Oracle::ALL.iter().map(|oracle| oracle.number()).collect();
    assert_eq!(numbers, (1..=58).collect::<Vec<u8>>());
    for oracle in Oracle::ALL {
        assert_eq!(Oracle::of(oracle.number()), Some(*oracle));
        assert!(oracle.says().ends_with('.') && !oracle.name().contains(' '), "{oracle}");
        if let Judged::Test(path) = oracle.judged() {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            assert!(path.exists(), "{oracle} is judged by {path:?}, which is not there");
        }
    }
}

/// A world of two that speak for a while, with a log.
fn recorded(seed: u8) -> (World, Vec<parcacik_testkit::NodeId>) {
    let content = Content::new("twice", 200_000, 16_384, u64::from(seed));
    let mut world = World::new(seed);
    world.keep_logs();
    let nodes: Vec<_> = (0..3).map(|_| world.add_node()).collect();
    world.seed(nodes[0], &content, &[]);
    let peers: Vec<_> = nodes.iter().map(|&node| world.address(node)).collect();
    nodes[1..].iter().for_each(|&node| world.download(node, &content, &peers));
    world.run_for(Duration::from_secs(20));
    (world, nodes)
}

#[test]
fn oracle_55_the_same_seed_gives_the_same_actions() {
    let mut compared = 0;
    for seed in 0..4 {
        let ((first, nodes), (second, _)) = (recorded(seed), recorded(seed));
        for &node in &nodes {
            assert_eq!(first.log(node).len(), second.log(node).len());
            for (a, b) in first.log(node).iter().zip(second.log(node)) {
                assert_eq!((a.now, &a.event, &a.actions), (b.now, &b.event, &b.actions), "oracle 55: same-twice");
                compared += 1;
            }
        }
    }
    assert!(compared >= ENOUGH, "{compared}");
}

#[test]
fn oracle_56_what_was_recorded_replays_to_the_same_actions() {
    let mut compared = 0;
    for seed in 0..4 {
        let (world, nodes) = recorded(seed);
        for &node in &nodes {
            let mut session = Session::new(Config::default(), world.seeds(node)).unwrap();
            for entry in world.log(node) {
                let mut actions = Actions::new();
                session.handle(entry.now, entry.event.clone(), &mut actions);
                assert_eq!(actions.list, entry.actions, "oracle 56: replay-same, at {:?}", entry.now);
                assert_eq!(actions.notices, entry.notices, "oracle 56: replay-same, at {:?}", entry.now);
                compared += 1;
            }
        }
    }
    assert!(compared >= ENOUGH, "{compared}");
}
