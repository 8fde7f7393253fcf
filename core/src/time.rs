//! Time as the core knows it: a count of microseconds that the driver hands in.
//!
//! The core never reads a clock. [`Time`] counts from an epoch that the driver picks (normally its own start), only ever
//! grows, and has nothing to do with the wall clock; where a protocol needs the date, it comes as an event.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment: microseconds since the driver's epoch.
///
/// Arithmetic saturates, so that no configuration and no tracker's answer can make it overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// The driver's epoch.
    pub const ZERO: Time = Time(0);
    /// Later than every other moment; used for "never".
    pub const NEVER: Time = Time(u64::MAX);

    /// The moment `seconds` after the epoch.
    pub const fn from_secs(seconds: u64) -> Time {
        Time(seconds.saturating_mul(1_000_000))
    }

    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The earliest of several moments of which some may never come. Asked after each event: a plain loop, because a chain of iterator
/// adapters here took half of all instructions of an event.
pub(crate) fn earliest<const N: usize>(moments: [Option<Time>; N]) -> Option<Time> {
    let mut first = Time::NEVER;
    for moment in moments {
        let moment = moment.unwrap_or(Time::NEVER);
        first = if moment < first { moment } else { first };
    }
    (first < Time::NEVER).then_some(first)
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, span: Duration) -> Time {
        // In 64 bits: deadlines are sums, and there are a dozen after each event.
        let micros = span.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(span.subsec_micros()));
        Time(self.0.saturating_add(micros))
    }
}

impl Sub<Time> for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_found_wherever_it_stands() {
        let (one, two) = (Some(Time(1)), Some(Time(2)));
        assert_eq!(earliest([None, None]), None);
        assert_eq!(earliest([one, None, two]), one);
        assert_eq!(earliest([None, two, one, None]), one);
        assert_eq!(earliest([two]), two);
    }
}
