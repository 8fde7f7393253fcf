use super::{ConfigError, require};
use core::time::Duration;

/// How many torrents run at once: see [`session::queue`](crate::session::queue). By default there is no limit, and nothing
/// is ever queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// The most managed torrents that download at once; `None`: all.
    pub max_downloads: Option<u32>,
    /// The most managed torrents that seed at once; `None`: all.
    pub max_seeds: Option<u32>,
    /// The most managed torrents that do either; downloads come first. `None`: all.
    pub max_active: Option<u32>,
    /// Whether torrents that hardly move anything take no place.
    pub skip_slow: bool,
    /// Below so many bytes a second a download is slow: 2 KiB are a second's worth of nobody.
    pub slow_download: u64,
    /// Below so many bytes a second a seed is slow.
    pub slow_upload: u64,
    /// How long it must have been slow: finding peers takes a minute.
    pub slow_after: Duration,
    /// The least time between two starts: each announces and dials, and a router may not take a hundred at once.
    pub start_spacing: Duration,
    /// How often places are given anew when nothing has changed but rates and time.
    pub review: Duration,
    /// How long a seed keeps its place while others wait for one. Half an hour: peers that have found it are served for a
    /// while, and a hundred seeds with five places all have a turn within a day.
    pub seed_turn: Duration,
}

impl Default for QueueConfig {
    fn default() -> QueueConfig {
        QueueConfig {
            max_downloads: None,
            max_seeds: None,
            max_active: None,
            skip_slow: true,
            slow_download: 2 << 10,
            slow_upload: 2 << 10,
            slow_after: Duration::from_secs(60),
            start_spacing: Duration::from_millis(500),
            review: Duration::from_secs(30),
            seed_turn: Duration::from_secs(30 * 60),
        }
    }
}

impl QueueConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(
            self.review >= Duration::from_secs(1),
            "queue.review",
            "is less than a second: it looks at all torrents",
        )?;
        require(self.seed_turn >= self.review, "queue.seed_turn", "is less than queue.review")?;
        require(self.start_spacing <= self.review, "queue.start_spacing", "is more than queue.review")
    }

    /// Whether anything is limited at all.
    pub fn is_on(&self) -> bool {
        self.max_downloads.is_some() || self.max_seeds.is_some() || self.max_active.is_some()
    }
}
