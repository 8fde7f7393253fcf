//! A token bucket: a limit of bytes a second, kept in integers.
//!
//! **Told:** the limit, what was taken, and what was taken and not used. **Says:** whether something may be taken now, and when it
//! may. It waits for nobody and sets no timer.
//!
//! Tokens are counted in millionths of a byte, so that no rounding is lost: what has come in by a moment is the same however
//! often it was asked before. There is room for a turn, and what comes in within
//! [`RateConfig::burst`](crate::border::RateConfig::burst); what comes in when it is full is lost. A bucket that gets a limit begins empty.
//!
//! # Laws
//!
//! With `t` seconds since the limit was set:
//!
//! - By [`Bucket::take`] after [`Bucket::has`] of as much, no more than limit × t + burst is ever taken.
//! - By `take` of `n` bytes after `has(1)`, no more than limit × t + burst + n: what is taken is owed, and paid before the next.
//! - Who asks at [`Bucket::due`] for a turn, or up to [`RateConfig::burst`] after that, and takes what there is, gets limit × t.
//! - `has` comes true at last, whatever was taken.

use crate::border::RateConfig;
use crate::journal::canon::canon_struct;
use crate::time::Time;
use core::time::Duration;

/// Millionths of a byte in a byte.
const BYTE: i128 = 1_000_000;

/// The fewest bytes that are given at once: below it, there is more to do about them than they are.
const LEAST: u64 = 256;

/// The greatest limit that is told apart from a greater one: 256 TiB a second.
const GREATEST: u64 = 1 << 48;

/// A limit of bytes a second, or none: a token bucket, kept in integers.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    limit: Option<Limit>,
}

canon_struct!(out Bucket { limit });

#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Bytes a second, that is millionths of a byte a microsecond.
    per_second: u64,
    /// What there is room for, in bytes.
    burst: u64,
    /// What is given in one turn, in bytes.
    turn: u64,
    /// In millionths of a byte, as of `at`; below 0 what is owed.
    level: i128,
    at: Time,
}

canon_struct!(out Limit { per_second, burst, turn, level, at });

impl Limit {
    fn level(&self, now: Time) -> i128 {
        let micros = now.since(self.at).as_micros();
        // Below 2^48 × 2^64.
        let came = i128::try_from(micros).unwrap_or(i128::MAX >> 48).saturating_mul(i128::from(self.per_second));
        (self.level.saturating_add(came)).min(i128::from(self.burst) * BYTE).max(self.level)
    }

    fn change(&mut self, now: Time, change: impl FnOnce(i128) -> i128) {
        self.level = change(self.level(now)).min(i128::from(self.burst) * BYTE);
        self.at = now;
    }
}

impl Bucket {
    /// Sets another limit, in bytes a second, or takes it away. It begins anew: nothing is saved and nothing owed. 0 counts as 1.
    pub fn set(&mut self, now: Time, config: &RateConfig, per_second: Option<u64>) {
        self.limit = per_second.map(|per_second| {
            let per_second = per_second.clamp(1, GREATEST);
            let turn = within(per_second, config.turn).max(LEAST);
            Limit { per_second, burst: within(per_second, config.burst).saturating_add(turn), turn, level: 0, at: now }
        });
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// The limit, in bytes a second.
    pub fn limit(&self) -> Option<u64> {
        self.limit.map(|limit| limit.per_second)
    }

    /// How much is to be given at once: what comes in within [`RateConfig::turn`]. Without a limit there is none to this either.
    pub fn turn(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.turn)
    }

    /// Whether there are so many bytes; more than the bucket has room for there never are.
    pub fn has(&self, now: Time, bytes: u64) -> bool {
        self.limit.is_none_or(|limit| limit.level(now) >= i128::from(bytes) * BYTE)
    }

    /// How many bytes there are.
    pub fn there(&self, now: Time) -> u64 {
        self.limit.map_or(u64::MAX, |limit| u64::try_from(limit.level(now) / BYTE).unwrap_or(0))
    }

    /// When there will be so many bytes, if nothing is taken; `now` when there are, never when there is no room for so many.
    pub fn due(&self, now: Time, bytes: u64) -> Time {
        let Some(limit) = self.limit else { return now };
        if bytes > limit.burst {
            return Time::NEVER;
        }
        let missing = (i128::from(bytes) * BYTE).saturating_sub(limit.level(now)).max(0);
        let per_micro = i128::from(limit.per_second);
        let micros = u64::try_from((missing + per_micro - 1) / per_micro).unwrap_or(u64::MAX);
        now + Duration::from_micros(micros)
    }

    /// Takes so many bytes, whether they are there or not: what is not is owed.
    pub fn take(&mut self, now: Time, bytes: u64) {
        if let Some(limit) = &mut self.limit {
            limit.change(now, |level| level.saturating_sub(i128::from(bytes) * BYTE));
        }
    }

    /// Takes so many bytes of what is sent whether the limit allows it or not. It owes no more than a burst by that, or what it
    /// owes already: where there is more of it than the limit allows, the rest still gets its turn.
    pub fn take_unasked(&mut self, now: Time, bytes: u64) {
        if let Some(limit) = &mut self.limit {
            let floor = -(i128::from(limit.burst) * BYTE);
            limit.change(now, |level| (level - i128::from(bytes) * BYTE).max(level.min(floor)));
        }
    }

    /// So many of the bytes that were taken have not been used.
    pub fn put_back(&mut self, now: Time, bytes: u64) {
        if let Some(limit) = &mut self.limit {
            limit.change(now, |level| level.saturating_add(i128::from(bytes) * BYTE));
        }
    }
}

/// How many bytes a rate is in a span.
fn within(per_second: u64, span: Duration) -> u64 {
    u64::try_from(u128::from(per_second).saturating_mul(span.as_micros()) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
