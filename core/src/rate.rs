//! How fast bytes go, without floats: measuring it ([`Rate`]), limiting it ([`Bucket`]), and
//! sharing it ([`FairQueue`]).

mod bucket;
mod fair;

pub use bucket::Bucket;
pub use fair::{FairQueue, Share};

use crate::journal::canon::canon_struct;
use crate::time::Time;
use core::time::Duration;

/// Bytes a second over the last few seconds.
///
/// An average over `SLOTS` half-second slots. Everything is integer arithmetic over the times that the driver handed in,
/// so two runs of the same events measure the same.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    slots: [u64; SLOTS],
    /// Number of the half-second that `slots[latest % SLOTS]` stands for.
    latest: u64,
    /// The half-second of the first byte; before the window has filled, the average is over what has passed.
    first: Option<u64>,
    total: u64,
}

canon_struct!(out Rate { slots, latest, first, total });

const SLOTS: usize = 12;
const SLOT_MICROS: u64 = 500_000;

impl Rate {
    /// Counts `bytes` at `now`.
    pub fn add(&mut self, now: Time, bytes: u64) {
        self.advance(now);
        self.first.get_or_insert(self.latest);
        self.slots[(self.latest % SLOTS as u64) as usize] += bytes;
        self.total += bytes;
    }

    /// All bytes ever counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes a second at `now`, over the last six seconds or since the first byte.
    pub fn per_second(&self, now: Time) -> u64 {
        let Some(first) = self.first else { return 0 };
        let slot = now.as_micros() / SLOT_MICROS;
        let oldest = (slot + 1).saturating_sub(SLOTS as u64).max(first);
        let mut sum = 0u64;
        let mut at = oldest.max((self.latest + 1).saturating_sub(SLOTS as u64));
        while at <= self.latest.min(slot) {
            sum += self.slots[(at % SLOTS as u64) as usize];
            at += 1;
        }
        let from = oldest.saturating_mul(SLOT_MICROS);
        // At least half a second, or the very first bytes would look like an enormous rate.
        let span = now.as_micros().saturating_sub(from).max(SLOT_MICROS);
        match sum.checked_mul(1_000_000) {
            Some(sum) => sum / span,
            None => (u128::from(sum) * 1_000_000 / u128::from(span)) as u64,
        }
    }

    /// How long `bytes` take at the present rate; `None` when nothing moves.
    pub fn time_for(&self, now: Time, bytes: u64) -> Option<Duration> {
        let rate = self.per_second(now);
        (rate > 0).then(|| {
            Duration::from_micros((u128::from(bytes) * 1_000_000 / u128::from(rate)).min(u128::from(u64::MAX)) as u64)
        })
    }

    fn advance(&mut self, now: Time) {
        let slot = now.as_micros() / SLOT_MICROS;
        if slot <= self.latest {
            return;
        }
        let skipped = (slot - self.latest).min(SLOTS as u64);
        for step in 1..=skipped {
            self.slots[((self.latest + step) % SLOTS as u64) as usize] = 0;
        }
        // A jump over the whole window has cleared every slot, whichever they were.
        self.latest = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_measured_within_a_tenth() {
        let mut rate = Rate::default();
        for tenth in 0..200 {
            rate.add(Time::from_millis(tenth * 100), 10_000);
        }
        let measured = rate.per_second(Time::from_millis(20_000));
        assert!((90_000..=110_000).contains(&measured), "{measured}");
        assert_eq!(rate.per_second(Time::from_secs(60)), 0);
        assert_eq!(rate.total(), 2_000_000);
    }

    #[test]
    fn the_first_bytes_are_not_an_enormous_rate() {
        let mut rate = Rate::default();
        rate.add(Time::from_millis(1), 1000);
        assert!(rate.per_second(Time::from_millis(2)) <= 2000);
        assert_eq!(rate.time_for(Time::from_millis(2), 4000), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_long_pause_clears_the_window() {
        let mut rate = Rate::default();
        rate.add(Time::from_millis(0), 1_000_000);
        rate.add(Time::from_secs(3600), 600);
        assert!(rate.per_second(Time::from_secs(3600)) <= 1200);
    }
}
