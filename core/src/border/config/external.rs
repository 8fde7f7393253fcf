use super::{ConfigError, require};
use core::time::Duration;

/// How our own address is found out, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalConfig {
    /// How many networks (/24 of IPv4, /48 of IPv6) must name an address before it is believed. With two no single tracker
    /// and no single peer decides.
    pub min_networks: u32,
    /// The most votes that are remembered in a family, one a network; the oldest gives way. Enough for a usual number of
    /// peers; each costs 60 bytes.
    pub max_votes: u32,
    /// How long a vote counts. Addresses of homes change daily; peers and trackers speak more often than that.
    pub vote_life: Duration,
}

impl Default for ExternalConfig {
    fn default() -> ExternalConfig {
        ExternalConfig { min_networks: 2, max_votes: 64, vote_life: Duration::from_secs(2 * 3600) }
    }
}

impl ExternalConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.min_networks > 0, "external.min_networks", "is 0: addresses would be believed unheard")?;
        require(
            self.max_votes >= self.min_networks && self.max_votes <= 10_000,
            "external.max_votes",
            "is not in external.min_networks..=10000",
        )?;
        require(!self.vote_life.is_zero(), "external.vote_life", "is 0: no vote would count")
    }
}
