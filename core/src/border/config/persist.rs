use super::{ConfigError, require};
use core::time::Duration;

/// When data are synced and resume data saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistConfig {
    /// How long a checked piece waits for the disk to be synced: what a power cut may cost. A sync of thousands of files
    /// takes seconds on a slow disk; one in 30 seconds leaves the disk to the transfer.
    pub sync_interval: Duration,
    /// So many checked bytes that wait are synced before the interval has passed. 256 MiB is what a fast disk writes in
    /// a second or so: the wait at the end of a download stays short.
    pub sync_bytes: u64,
    /// How often totals alone (uploaded, downloaded) are saved. They are statistics: rarely, for thousands of torrents.
    pub totals_interval: Duration,
    /// How long after a failed sync or save the next is tried. It is doubled by every further failure.
    pub retry_min: Duration,
    /// The longest wait after a failure: somebody who has made room on the disk should not wait longer.
    pub retry_max: Duration,
    /// After an unclean stop: how many of a changed file's claimed pieces are hashed before the others are believed. A
    /// disk that lost a tenth of them is caught by eight samples with a probability of 57 %, one that lost half of them
    /// with 99.6 %; eight pieces cost a fraction of a second.
    pub samples_per_file: u32,
    /// The most such samples in one torrent: a bound for torrents of thousands of files.
    pub max_samples: u32,
}

impl Default for PersistConfig {
    fn default() -> PersistConfig {
        PersistConfig {
            sync_interval: Duration::from_secs(30),
            sync_bytes: 256 << 20,
            totals_interval: Duration::from_secs(600),
            retry_min: Duration::from_secs(5),
            retry_max: Duration::from_secs(300),
            samples_per_file: 8,
            max_samples: 1_000,
        }
    }
}

impl PersistConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.sync_bytes > 0, "persist.sync_bytes", "is 0")?;
        require(self.totals_interval >= Duration::from_secs(1), "persist.totals_interval", "is less than a second")?;
        require(self.retry_min > Duration::ZERO, "persist.retry_min", "is 0: failures would be repeated at once")?;
        require(self.retry_max >= self.retry_min, "persist.retry_max", "is less than persist.retry_min")?;
        require(
            self.samples_per_file > 0,
            "persist.samples_per_file",
            "is 0: a changed file would be believed unseen",
        )?;
        require(self.max_samples > 0, "persist.max_samples", "is 0: changed files would be believed unseen")
    }
}
