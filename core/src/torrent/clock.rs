//! Time that is counted only while something holds.

use crate::journal::canon::canon_struct;
use crate::time::Time;
use core::time::Duration;

/// A stopwatch that goes on from run to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stopwatch {
    before: Duration,
    since: Option<Time>,
}

canon_struct!(out Stopwatch { before, since });

impl Stopwatch {
    /// Adds what earlier runs have counted.
    pub(super) fn add(&mut self, earlier: Duration) {
        self.before = self.before.saturating_add(earlier);
    }

    /// Counts from now on, or does not.
    pub(super) fn set(&mut self, now: Time, runs: bool) {
        match (self.since, runs) {
            (None, true) => self.since = Some(now),
            (Some(since), false) => {
                self.before = self.before.saturating_add(now.since(since));
                self.since = None;
            }
            _ => {}
        }
    }

    /// All that was counted until now.
    pub(super) fn total(&self, now: Time) -> Duration {
        self.before.saturating_add(self.since.map_or(Duration::ZERO, |since| now.since(since)))
    }

    /// When it will have counted so much; `None` while it stands still. In the past means: it has.
    pub(super) fn reaches(&self, total: Duration) -> Option<Time> {
        self.since.map(|since| since + total.saturating_sub(self.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_only_while_it_runs() {
        let mut watch = Stopwatch::default();
        watch.add(Duration::from_secs(10));
        assert_eq!(
            (watch.total(Time::from_secs(5)), watch.reaches(Duration::from_secs(12))),
            (Duration::from_secs(10), None)
        );
        watch.set(Time::from_secs(5), true);
        watch.set(Time::from_secs(6), true);
        assert_eq!(watch.reaches(Duration::from_secs(12)), Some(Time::from_secs(7)));
        watch.set(Time::from_secs(8), false);
        assert_eq!(watch.total(Time::from_secs(100)), Duration::from_secs(13));
        watch.set(Time::from_secs(100), true);
        assert_eq!(watch.reaches(Duration::from_secs(1)), Some(Time::from_secs(100)), "long ago");
    }
}
