use super::{ConfigError, require};
use core::time::Duration;

/// Limits on addresses of peers and on dialling them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateConfig {
    /// The most addresses that one torrent remembers. Many times what it can be connected to; about 200 bytes each.
    pub max_known: u32,
    /// The most of them that one source has named which anybody can be behind ([`Source::is_hearsay`](super::super::Source::is_hearsay)), and
    /// no other. A third of the list: three such sources cannot fill it.
    pub max_hearsay: u32,
    /// The most banned addresses of one torrent; the ban of longest ago gives way. A ban is rare and costs 50 bytes.
    pub max_banned: u32,
    /// How long after the n-th failure in a row an address rests: n times this. A peer that restarts is back in a minute.
    pub retry_step: Duration,
    /// How long an address on the open internet rests at least after a failure, where nobody has ever spoken BitTorrent with us: there
    /// may be a victim of whoever named it. Ten minutes, and for all torrents of the session alike.
    pub unproven_rest: Duration,
    /// After so many failures in a row an address is given up. Three, as other clients have it.
    pub max_failures: u32,
    /// How long an address that was given up is not taken up again when somebody names it anew. Ten minutes at least,
    /// so that false addresses in an answer do not make us knock at a stranger's door again and again.
    pub forget_after: Duration,
    /// How often one address (IPv6: one /64) may connect to us in a minute; above, it is refused until the minute is over. A
    /// connection that ends by the peer's own fault counts for five. An honest peer comes once, and a few times when its
    /// network is bad. Loopback is not limited.
    pub max_knocks: u32,
    /// How many addresses are watched for this, those of the last minute; the one that came first gives way. 64 KiB.
    pub max_knockers: u32,
    /// How many ports of one address are remembered on the word of peers that connected from it. Each would be dialled.
    pub max_ports_per_ip: u32,
    /// How long an address rests after a connection that had been ready has ended.
    pub reconnect_after: Duration,
    /// How long a peer that the user named rests after a first failure. It is doubled by every further one.
    pub user_retry_min: Duration,
    /// The longest rest of a peer that the user named; it is never given up.
    pub user_retry_max: Duration,
}

impl Default for CandidateConfig {
    fn default() -> CandidateConfig {
        CandidateConfig {
            max_known: 3_000,
            max_hearsay: 1_000,
            max_banned: 10_000,
            retry_step: Duration::from_secs(60),
            unproven_rest: Duration::from_secs(600),
            max_failures: 3,
            forget_after: Duration::from_secs(600),
            max_knocks: 20,
            max_knockers: 1_000,
            max_ports_per_ip: 8,
            reconnect_after: Duration::from_secs(60),
            user_retry_min: Duration::from_secs(1),
            user_retry_max: Duration::from_secs(30),
        }
    }
}

impl CandidateConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.max_known > 0, "candidates.max_known", "is 0: no peer could be remembered")?;
        require(self.max_banned > 0, "candidates.max_banned", "is 0: nobody could be banned")?;
        require(self.max_knocks > 0, "candidates.max_knocks", "is 0: nobody could connect to us")?;
        require(self.max_knockers > 0, "candidates.max_knockers", "is 0: nobody could be watched")?;
        require(self.max_ports_per_ip > 0, "candidates.max_ports_per_ip", "is 0")?;
        require(self.max_failures > 0, "candidates.max_failures", "is 0: every address would be given up untried")?;
        require(self.retry_step > Duration::ZERO, "candidates.retry_step", "is 0: failures would be repeated at once")?;
        require(
            self.user_retry_min > Duration::ZERO,
            "candidates.user_retry_min",
            "is 0: failures would be repeated at once",
        )?;
        require(
            self.user_retry_max >= self.user_retry_min,
            "candidates.user_retry_max",
            "is less than candidates.user_retry_min",
        )
    }
}
