use super::{ConfigError, require};
use core::time::Duration;

/// Limits of local discovery (BEP 14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LsdConfig {
    /// Whether torrents that are not private are announced, and announces are listened to, on listening sockets that were given a
    /// name for it ([`Command::Listen`](super::super::Command::Listen)).
    pub enabled: bool,
    /// The port of both groups: BEP 14's 6771. Another one is for tests.
    pub port: u16,
    /// How often a torrent is announced. BEP 14: "a client should send a LSD announce every 5 minutes on each interface".
    pub interval: Duration,
    /// How long there is between two announces, whatever is in them. BEP 14: "To avoid causing multicast storms on large networks a
    /// client should send no more than 1 announce per minute."
    pub spacing: Duration,
    /// How long the first announce of a torrent waits for others to share it: those that an application adds at its start.
    pub gather: Duration,
    /// The most announces that are read of one address in a minute. One each minute is what there should be; but old clients
    /// send one for each torrent, and all at their start.
    pub max_heard: u32,
    /// The most addresses that are counted at once; the one that came first gives way. Above any local network with that many
    /// clients in it; 16 KiB.
    pub max_sources: u32,
}

impl Default for LsdConfig {
    fn default() -> LsdConfig {
        LsdConfig {
            enabled: true,
            port: 6771,
            interval: Duration::from_secs(300),
            spacing: Duration::from_secs(60),
            gather: Duration::from_secs(1),
            max_heard: 200,
            max_sources: 256,
        }
    }
}

impl LsdConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.port > 0, "lsd.port", "is 0: nobody could be met there")?;
        require(self.spacing >= Duration::from_secs(60), "lsd.spacing", "is less than a minute: BEP 14 forbids it")?;
        require(self.interval >= self.spacing, "lsd.interval", "is less than lsd.spacing")?;
        require(self.max_heard > 0, "lsd.max_heard", "is 0: nobody could be heard")?;
        require(self.max_sources > 0, "lsd.max_sources", "is 0: nobody could be heard")
    }
}
