use super::{ConfigError, require};
use core::time::Duration;

/// What is done when a torrent's storage fails, and how long its slow work may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// How long after a failed write the storage is looked at again, and after files were found missing. It is doubled by
    /// every further failure.
    pub retry_min: Duration,
    /// The longest such wait: somebody who has made room or mounted a disk should not wait longer than a minute.
    pub retry_max: Duration,
    /// The longest wait between two looks for files of a torrent that may not download what is missing. There may be
    /// thousands of such torrents, and nothing is lost by waiting.
    pub look_max: Duration,
    /// How often a piece that could not be read is tried before it counts as lost. An error that passes (too many open
    /// files, a cable) has passed after the second time or so; a bad sector never does.
    pub read_tries: u32,
    /// Whether nothing is downloaded before all that is wanted fits. It does not see that room was set aside for a file
    /// before, as some clients do: then it is to be switched off.
    pub check_space: bool,
    /// Bytes that are left free beyond what is wanted, 16 MiB: resume data, and the file system's own tables.
    pub reserve: u64,
    /// How long deleting may take until the torrent is forgotten regardless. Thousands of files on a slow disk take
    /// seconds.
    pub delete_limit: Duration,
}

impl Default for StorageConfig {
    fn default() -> StorageConfig {
        StorageConfig {
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            look_max: Duration::from_secs(600),
            read_tries: 3,
            check_space: true,
            reserve: 16 << 20,
            delete_limit: Duration::from_secs(60),
        }
    }
}

impl StorageConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.retry_min > Duration::ZERO, "storage.retry_min", "is 0: failures would be repeated at once")?;
        require(self.retry_max >= self.retry_min, "storage.retry_max", "is less than storage.retry_min")?;
        require(self.look_max >= self.retry_min, "storage.look_max", "is less than storage.retry_min")?;
        require(self.read_tries > 0, "storage.read_tries", "is 0: nothing would be read")
    }

    /// How long to wait after so many failures in a row, `most` at most.
    pub(crate) fn backoff(&self, failures: u32, most: Duration) -> Duration {
        self.retry_min.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX)).min(most)
    }
}
