use super::{ConfigError, require};
use crate::border::RateLimits;
use core::time::Duration;

/// Limits of what goes over peer connections, all torrents together, and how they are kept.
///
/// What counts is every byte of the streams, both ways: content, and what the protocol needs besides. What TCP and IP add, trackers
/// and name servers do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateConfig {
    /// The limits to begin with, over all torrents; [`Command::SetLimits`](crate::border::Command::SetLimits) sets others.
    pub limits: RateLimits,
    /// For how long what is not used is saved, besides one turn. As long as a tick may be late without loss: an
    /// eighth of a second is above the coarsest clock, and 3 % too much in four seconds.
    pub burst: Duration,
    /// How much is given at once, at least 256 bytes: what comes in within this. 16 ms are some sixty wake-ups a second; less
    /// would be smoother than anybody can see.
    pub turn: Duration,
}

impl Default for RateConfig {
    fn default() -> RateConfig {
        RateConfig { limits: RateLimits::default(), burst: Duration::from_millis(125), turn: Duration::from_millis(16) }
    }
}

impl RateConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.limits.are_sound(), "rate.limits", "is 0 a second: nothing would ever go; None is no limit")?;
        require(self.turn >= Duration::from_millis(1), "rate.turn", "is less than a millisecond")?;
        require(self.burst >= self.turn, "rate.burst", "is less than rate.turn")?;
        require(self.burst <= Duration::from_secs(60), "rate.burst", "is above a minute: that is no limit")
    }
}
