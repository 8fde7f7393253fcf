//! Turns off the faults that a failure does not need.

use super::{Failure, Setup, run};
use std::time::{Duration, Instant};

/// Runs a failing seed again and again, each time with a fault less, and keeps what still fails, in whichever way. Then the numbers that are left
/// are halved as long as it does. Ends after `limit` of real time at the latest.
///
/// A seed that fails only by its second run being another one comes back as it is.
pub fn shrink(failure: Failure, setup: Setup, limit: Duration) -> Failure {
    let until = Instant::now() + limit;
    let mut best = failure;
    let smaller = |best: &mut Failure, name: &str, value: u64| {
        if Instant::now() >= until {
            return false;
        }
        let mut options = best.options;
        options.set(name, value);
        match run(best.seed, options, setup) {
            Err(failure) => {
                *best = *failure;
                true
            }
            Ok(_) => false,
        }
    };
    for (name, fault, value) in best.options.list() {
        if fault && value > 0 {
            smaller(&mut best, name, 0);
        }
    }
    for (name, fault, mut value) in best.options.list() {
        let least = u64::from(!fault);
        let counted = ["leeches", "seeds", "pieces", "files", "crashes", "cuts", "hostiles", "commands", "suspends"];
        while counted.contains(&name) && value / 2 > least.max(1) - 1 && value > 1 {
            value /= 2;
            if !smaller(&mut best, name, value) {
                break;
            }
        }
    }
    best
}
