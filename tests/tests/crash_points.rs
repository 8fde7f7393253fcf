//! Crash safety by enumeration: see `parcacik_testkit::crash`.
//!
//! With `PARCACIK_CRASH_SEEDS=n` each download runs in n orders in place of one.

use parcacik_testkit::Content;
use parcacik_testkit::crash::{Count, Faults, Plan, run};
use std::sync::Arc;

/// Four pieces and a part, a block each; every piece is synced for itself.
fn one_file() -> Plan {
    Plan { sync_bytes: 16_384, ..plan("one file", Content::new("one", 4 * 16_384 + 1_000, 16_384, 1)) }
}

/// Pieces of two blocks.
fn two_blocks() -> Plan {
    plan("two blocks a piece", Content::new("two", 2 * 32_768 + 20_000, 32_768, 2))
}

/// Three files, whose pieces run over their borders.
fn three_files() -> Plan {
    let files = [("a", 20_000), ("b", 9_000), ("c", 30_000)];
    plan("three files", Content::with_files("three", &files, 16_384, 3, &[]))
}

/// The same, where nobody wants the one in the middle: what it shares with the others lies in the part file.
fn part_file() -> Plan {
    Plan { name: "part file", wanted: vec![4, 0, 4], ..three_files() }
}

/// The middle one is wanted after all: its bytes move from the part file to its own.
fn wanted_later() -> Plan {
    Plan { name: "wanted later", later: Some((2, vec![4, 4, 4])), ..part_file() }
}

/// The middle one is given up on the way.
fn given_up() -> Plan {
    Plan { name: "given up", later: Some((1, vec![4, 0, 4])), ..three_files() }
}

fn plan(name: &'static str, content: Content) -> Plan {
    let wanted = if content.files.len() > 1 { vec![4; content.files.len()] } else { Vec::new() };
    Plan {
        name,
        content: Arc::new(content),
        wanted,
        later: None,
        faults: Faults::default(),
        killed: None,
        damaged: false,
        sync_bytes: 40_000,
        seed: 1,
        finish_one_in: 16,
    }
}

fn orders() -> u8 {
    std::env::var("PARCACIK_CRASH_SEEDS").map_or(1, |orders| orders.parse().expect("a number of orders, up to 255"))
}

/// Looks at all crash points of all downloads, in so many orders each. Fewer images than `least` would mean that it does not see them.
fn enumerate(plans: impl IntoIterator<Item = Plan>, orders: u8, least: u64) -> Count {
    let mut sum = Count::default();
    for plan in plans {
        let mut of_plan = Count::default();
        for seed in 1..=orders {
            of_plan += run(&Plan { seed, ..plan.clone() });
        }
        println!("{}: {of_plan}", plan.name);
        sum += of_plan;
    }
    println!("in all: {sum}");
    assert!(sum.generations > 0 && sum.claims > 0 && sum.finished > 0, "{sum}");
    assert!(sum.images >= least, "{sum}");
    sum
}

#[test]
fn no_crash_makes_a_false_claim() {
    enumerate([one_file(), two_blocks(), three_files()], 2 * orders(), 20_000);
}

#[test]
fn nor_where_files_are_kept_apart_and_come_and_go() {
    enumerate([part_file(), wanted_later(), given_up()], orders(), 10_000);
}

/// A sync that fails, once: a part of what was written is lost, and the next sync says that all is well.
#[test]
fn nor_after_a_sync_that_failed() {
    let plans = (0..4).flat_map(|nth| {
        [one_file(), three_files()].map(|plan| Plan {
            name: "a sync fails",
            faults: Faults { sync: Some(nth), ..Faults::default() },
            ..plan
        })
    });
    let saves = (0..3).map(|nth| Plan {
        name: "a save fails",
        faults: Faults { save: Some(nth), ..Faults::default() },
        ..two_blocks()
    });
    enumerate(plans.chain(saves), orders(), 20_000);
}

#[test]
fn nor_on_a_disk_that_is_full_for_a_while() {
    let content = [0, 1, 3].map(|nth| Plan {
        name: "no room for content",
        faults: Faults { room: Some(nth), ..Faults::default() },
        ..three_files()
    });
    let saves = [0, 1, 2].map(|nth| Plan {
        name: "no room for resume data",
        faults: Faults { save_room: Some(nth), ..Faults::default() },
        ..one_file()
    });
    enumerate(content.into_iter().chain(saves), orders(), 15_000);
}

/// The program is killed, begins again on what the cache has, and then the power goes.
#[test]
fn nor_when_the_program_was_killed_before() {
    let plans = (4..40)
        .step_by(6)
        .flat_map(|at| [one_file(), wanted_later()].map(|plan| Plan { name: "killed", killed: Some(at), ..plan }));
    enumerate(plans, orders(), 20_000);
}

/// The newest resume data are damaged besides: the ones before are used, or none.
#[test]
fn nor_when_resume_data_are_damaged() {
    enumerate([one_file(), part_file()].map(|plan| Plan { name: "damaged", damaged: true, ..plan }), orders(), 5_000);
}
