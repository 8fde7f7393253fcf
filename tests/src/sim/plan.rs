//! What is done to a swarm, and when: drawn before the run begins, each kind of fault from a stream of its own.

use super::SimOptions;
use crate::seed::{Draws, WorldSeed};
use parcacik_core::time::Time;
use std::time::Duration;

/// How the network is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutKind {
    /// Each host is on one side or the other.
    Uniform,
    /// Half of the nodes, and half.
    Half,
    /// One node alone.
    One,
    /// One node hears nothing, and is heard; or the other way round.
    OneWay,
    /// Some nodes lose everybody, each other too.
    Region,
}

/// Something that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A node crashes once it has ordered so many actions; `heard`: its streams are reset.
    Crash { node: u64, actions: u64, heard: bool },
    /// The network is cut; the number makes the sides.
    Cut { kind: CutKind, sides: u64 },
    /// The oldest cut is mended.
    Mend,
    /// A leech gets another address.
    Move { leech: u64 },
    /// A leech's disk has only so much room left.
    Fill { leech: u64, room: u64 },
    /// It has room again.
    Empty { leech: u64 },
    /// A bit of a leech's file turns over, at this place.
    Flip { leech: u64, at: u64 },
    /// A leech's file is cut off at this place; at 0, it is taken away.
    CutOff { leech: u64, at: u64 },
    /// The tracker is there, or not.
    Tracker { up: bool },
    /// A node is told another date.
    Date { node: u64, unix_seconds: i64 },
    /// A node sleeps.
    Suspend { node: u64 },
    /// And wakes; `counted`: its clock went on.
    Wake { node: u64, counted: bool },
    /// A node's user does something.
    Command { node: u64, which: u64 },
}

/// Everything that is done while faults last, in its order.
pub(super) fn plan(seed: WorldSeed, options: &SimOptions) -> Vec<(Time, Step)> {
    let end = options.span * 1_000_000;
    let mut steps: Vec<(Time, Step)> = Vec::new();
    let mut put = |at: u64, step: Step| steps.push((Time(at.min(end)), step));
    for number in 0..options.crashes {
        let mut rng = seed.rng(&format!("fault/crash/{number}"));
        let step = Step::Crash { node: rng.next_u64(), actions: rng.scale(0, 2_000), heard: rng.below(2) == 0 };
        put(rng.range(0, end), step);
    }
    for number in 0..options.cuts {
        let mut rng = seed.rng(&format!("fault/cut/{number}"));
        let kinds = [CutKind::Uniform, CutKind::Half, CutKind::One, CutKind::OneWay, CutKind::Region];
        let at = rng.range(0, end);
        put(at, Step::Cut { kind: kinds[rng.index(kinds.len())], sides: rng.next_u64() });
        put(at + rng.scale(100_000, 120_000_000), Step::Mend);
    }
    for number in 0..options.moves {
        let mut rng = seed.rng(&format!("fault/move/{number}"));
        put(rng.range(0, end), Step::Move { leech: rng.next_u64() });
    }
    for number in 0..options.disk_full {
        let mut rng = seed.rng(&format!("fault/full/{number}"));
        let (leech, at) = (rng.next_u64(), rng.range(0, end));
        put(at, Step::Fill { leech, room: rng.scale(0, 200_000) });
        put(at + rng.scale(1_000_000, 60_000_000), Step::Empty { leech });
    }
    for number in 0..options.damages {
        let mut rng = seed.rng(&format!("fault/damage/{number}"));
        let (leech, at) = (rng.next_u64(), rng.next_u64());
        let step = match rng.index(3) {
            0 => Step::Flip { leech, at },
            1 => Step::CutOff { leech, at },
            _ => Step::CutOff { leech, at: 0 },
        };
        put(rng.range(0, end), step);
    }
    for number in 0..options.outages {
        let mut rng = seed.rng(&format!("fault/outage/{number}"));
        let at = rng.range(0, end);
        put(at, Step::Tracker { up: false });
        put(at + rng.scale(1_000_000, 60_000_000), Step::Tracker { up: true });
    }
    for number in 0..options.dates {
        let mut rng = seed.rng(&format!("fault/date/{number}"));
        // Ten years around a day of 2026.
        let unix_seconds = 1_780_000_000 - 315_000_000 + rng.below(630_000_000) as i64;
        put(rng.range(0, end), Step::Date { node: rng.next_u64(), unix_seconds });
    }
    for number in 0..options.suspends {
        let mut rng = seed.rng(&format!("fault/suspend/{number}"));
        let (node, at) = (rng.next_u64(), rng.range(0, end));
        put(at, Step::Suspend { node });
        let span = Duration::from_secs(rng.scale(1, 30 * 24 * 3600));
        // A run does not last for a month: what is longer than its faults ends with them.
        put(at + span.as_micros() as u64, Step::Wake { node, counted: rng.below(2) == 0 });
    }
    for number in 0..options.commands {
        let mut rng = seed.rng(&format!("fault/command/{number}"));
        put(rng.range(0, end), Step::Command { node: rng.next_u64(), which: rng.next_u64() });
    }
    // Equal times keep the order in which they were drawn.
    steps.sort_by_key(|(at, _)| *at);
    steps
}
