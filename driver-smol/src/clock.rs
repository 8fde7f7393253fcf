//! The clocks: the monotonic one that times the machine, and the date.

use parcacik_core::time::Time;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Counts microseconds from its own making: the epoch of every [`Time`] that the engine hands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that stands at zero.
    pub(crate) fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Time {
        Time(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The operating system's word for a time; `None` when it lies too far ahead to be said.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        self.start.checked_add(Duration::from_micros(time.as_micros()))
    }
}

/// The date in seconds since 1970-01-01 UTC, negative before it.
pub(crate) fn unix_seconds() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}
