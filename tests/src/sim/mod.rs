//! Whole swarms under faults, by seed: the simulator's runs.
//!
//! A run is a function of a [`WorldSeed`] and of [`SimOptions`], which are drawn from that seed where nobody says otherwise:
//!
//! 1. **Setup.** Real sessions, seeds and leeches, a tracker, hostile peers and trackers; who looks on: somebody who records each
//!    session, and with [`oracles`] all that is judged at every call.
//! 2. **Faults**, for [`SimOptions::span`]: the network loses, delays, cuts and resets; disks are slow, fill up, fail, tear and forget;
//!    sessions crash in mid-action and start again; clocks jump; trackers fail; somebody plays with commands. Nobody may claim
//!    what it has not, whatever happens.
//! 3. **Heal.** The faults are over. A declared core is left: an honest seed that can be reached, or, with [`SimOptions::joint`],
//!    leeches that have everything among them. Whoever means harm stays.
//! 4. **Liveness.** Everybody has to have everything in time: 120 s and 1.5 times what the least time would be (three times
//!    without a seed).
//! 5. **Audit.** The disks are read by somebody who knows nothing of sessions, and every recorded session is replayed.
//!
//! [`check`] does all this twice and demands equal digests. What fails is a [`Failure`], which says how to repeat it;
//! [`shrink`] turns off the faults that it does not need.
//!
//! ```
//! use parcacik_testkit::WorldSeed;
//! use parcacik_testkit::sim::{SimOptions, Size, check, nobody};
//!
//! let seed = WorldSeed::from(3);
//! let options = SimOptions::draw(seed, Size::Small);
//! let outcome = check(seed, options, nobody).unwrap_or_else(|failure| panic!("{failure}"));
//! assert!(outcome.events > 100);
//! ```
//!
//! With [`SimOptions`] of one's own, and a [`Setup`] that puts watchers in, it is a laboratory for other policies.

mod options;
mod plan;
mod report;
mod shrink;
mod swarm;
mod watchers;

pub use options::{NotAnOption, SimOptions, Size};
pub use report::Failure;
pub use shrink::shrink;

use crate::oracles::Oracles;
use crate::seed::WorldSeed;
use crate::world::World;
use parcacik_core::journal::Digest;
use parcacik_core::time::Time;
use report::{caught, failed};
use std::collections::BTreeMap;
use std::time::Duration;
use swarm::Swarm;
use watchers::Recording;
pub use watchers::Tell;

/// What is put into each world before it begins: watchers, mostly.
pub type Setup = fn(&mut World);

/// A [`Setup`] that puts nothing in.
pub fn nobody(_: &mut World) {}

/// A [`Setup`] that puts [all oracles](crate::oracles) in. A run takes about a quarter longer with them.
pub fn oracles(world: &mut World) {
    world.watch(Oracles::default());
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Events that sessions were told.
    pub events: u64,
    /// How long it lasted in the world.
    pub lasted: Duration,
    /// How long everybody took to be whole after the faults.
    pub healing: Duration,
    /// What everything came to.
    pub digest: Digest,
    /// How often each oracle had something to judge.
    pub evaluations: BTreeMap<u8, u64>,
}

/// The oracle of a time to be whole in.
const COMPLETION: u8 = 46;
/// Those of what is on the disks at the end, and of what is claimed.
const CONTENT: u8 = 1;
const CLAIMS: u8 = 4;
/// That of equal runs.
const TWICE: u8 = 55;

/// Runs a seed twice.
///
/// # Errors
/// When something did not hold, or the second run was another one.
pub fn check(seed: WorldSeed, options: SimOptions, setup: Setup) -> Result<Outcome, Box<Failure>> {
    let first = run(seed, options, setup)?;
    let second = run(seed, options, setup)?;
    if first == second {
        return Ok(first);
    }
    let what = format!("oracle {TWICE}: the second run is another one: {first:?} and {second:?}");
    Err(Box::new(Failure { seed, options, what, at: Time::ZERO, events: first.events, node: None, trace: Vec::new() }))
}

/// Runs a seed once.
///
/// # Errors
/// When something did not hold.
pub fn run(seed: WorldSeed, options: SimOptions, setup: Setup) -> Result<Outcome, Box<Failure>> {
    let mut swarm = None;
    match caught(|| phases(&mut swarm, seed, options, setup, false)) {
        Ok(outcome) => Ok(outcome),
        Err(what) => {
            // Again, with somebody who writes down what happens.
            let mut again = None;
            let same = caught(|| phases(&mut again, seed, options, setup, true));
            let what = match same {
                Err(second) if second == what => what,
                other => format!("{what}; and when it was run again: {other:?}"),
            };
            Err(Box::new(failed(again.or(swarm), seed, options, what)))
        }
    }
}

fn phases(place: &mut Option<Swarm>, seed: WorldSeed, options: SimOptions, setup: Setup, trace: bool) -> Outcome {
    let swarm = place.insert(Swarm::new(seed, options, setup, trace));
    let mut claims = 0;
    let mut claimed = |swarm: &mut Swarm| {
        claims += 1;
        if let Err((node, wrong)) = swarm.claims() {
            swarm.culprit = Some(node);
            panic!("oracle {CLAIMS}: {wrong}");
        }
    };
    for (at, step) in plan::plan(seed, &options) {
        swarm.passes(at);
        claimed(swarm);
        swarm.step(step);
        claimed(swarm);
    }
    swarm.passes(Time::from_secs(options.span));
    claimed(swarm);
    swarm.heal();
    // Sessions that have just begun have to look at their disks before they know what they miss, and work that is slow or fails was
    // begun before.
    let slow = if options.disk_slow > 0 { 31 } else { 1 };
    swarm.passes(swarm.world.now() + Duration::from_secs(slow));
    swarm.undo();
    swarm.passes(swarm.world.now() + Duration::from_secs(1));
    swarm.world.healed();
    let alone = options.joint > 0 && swarm.leeches_suffice();
    if alone {
        swarm.seeds_leave();
    }
    let healed = swarm.world.now();
    let limit = patience(swarm, alone);
    while let Some(node) = swarm.unfinished() {
        let late = swarm.world.now().since(healed) > limit;
        if late || !swarm.world.step() {
            swarm.culprit = Some(node);
            panic!("oracle {COMPLETION}: not whole {limit:?} after the faults: {}", swarm.world.stuck());
        }
    }
    let healing = swarm.world.now().since(healed);
    swarm.healed = true;
    // What was synced last is saved, and what is under way ends.
    swarm.passes(swarm.world.now() + Duration::from_millis(options.sync_ms + 1_000));
    claimed(swarm);
    swarm.audit().unwrap_or_else(|wrong| panic!("oracle {CONTENT}: {wrong}"));
    swarm.world.end_watch();
    let mut evaluations = swarm.world.evaluations();
    for (oracle, count) in [(CLAIMS, claims), (COMPLETION, 1), (CONTENT, 1), (TWICE, 1)] {
        *evaluations.entry(oracle).or_default() += count;
    }
    Outcome {
        events: swarm.world.events,
        lasted: swarm.world.now().since(Time::ZERO),
        healing,
        digest: swarm.world.watcher::<Recording>().expect("it looks on in every run").digest(),
        evaluations,
    }
}

/// How long everybody may take: 120 s, and the least time that the bytes take over the lines, 1.5 times with a seed, three times
/// without. A stream whose other end went without a word is known to be dead only by its silence, and until then its peer is not
/// dialled again: where there may be such streams, that time comes on top.
fn patience(swarm: &Swarm, alone: bool) -> Duration {
    let options = swarm.options;
    let (most, sum) = swarm.missing();
    let givers = if alone { swarm.leeches.len() } else { swarm.seeds.len() } as u64;
    let give = (givers * options.upload).max(1);
    let take = if options.download == 0 { u64::MAX } else { options.download };
    // All that is missing goes over the core's lines at worst; what one misses, over its own.
    let least = (sum * 1_000_000 / give).max(most.saturating_mul(1_000_000) / take);
    let config = swarm.world.config();
    let faults = [options.silences, options.moves, options.nats, options.crashes, options.cuts, options.suspends];
    let silence = config.peer.idle_timeout + config.candidates.reconnect_after;
    let silence = if faults.iter().any(|&fault| fault > 0) { silence } else { Duration::ZERO };
    Duration::from_secs(120) + silence + Duration::from_micros(if alone { least * 3 } else { least * 3 / 2 })
}
