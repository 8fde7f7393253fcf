//! Limits that a user sets.

/// How fast bytes may go, in bytes a second; `None`: as fast as they can. 0 is refused: who wants nothing to go stops the torrent.
///
/// What counts is said at [`RateConfig`](super::RateConfig).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// From peers to us.
    pub download: Option<u64>,
    /// From us to peers.
    pub upload: Option<u64>,
}

impl RateLimits {
    /// Whether neither is 0.
    pub(crate) fn are_sound(&self) -> bool {
        self.download != Some(0) && self.upload != Some(0)
    }
}
