use super::{ConfigError, require};
use core::time::Duration;

/// Fetching an info dictionary from peers (BEP 9), and serving ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataConfig {
    /// The longest info dictionary that is fetched, in bytes. At 20 bytes for each piece and names besides, the largest torrents that are
    /// about have a few MiB; libtorrent takes 30 MiB at most. So much may be held for each of the collections below.
    pub max_size: u32,
    /// How many blocks a peer is asked for at once. Four are 64 KiB: a dictionary of usual size in one round trip, and no
    /// client's queue is too short for them.
    pub requests_per_peer: u32,
    /// How long a block may take before it is not waited for any more. 16 KiB in 10 s is a modem.
    pub request_timeout: Duration,
    /// After how long another peer that has nothing to do is asked for the same block. Two seconds are above the round trip to
    /// nearly everybody; a peer that never answers costs no more than them.
    pub hurry_after: Duration,
    /// How long a peer is left alone that has rejected a request or not answered it: it does not have the dictionary, or does not
    /// give it now. Longer each time.
    pub retry_after: Duration,
    /// The longest such wait.
    pub retry_max: Duration,
    /// How many of the sizes that peers claim are collected at once: the right one, and a few lies.
    pub sizes_at_once: u32,
    /// How many peers are asked for the whole at once, each alone, when a collection from several of one size was wrong.
    pub alone_at_once: u32,
    /// How long a collection has its place while another waits for one. Most are whole within seconds; in a minute, a peer that sends
    /// 500 KB/s sends the longest.
    pub turn: Duration,
    /// How many `have`s of a peer are kept until the number of pieces is known. Peers begin with a bitfield; a `have` for
    /// each piece that a fast one completes meanwhile is a few a second.
    pub max_early_haves: u32,
    /// How many requests of a peer may wait to be answered (Transmission: 64): a MiB.
    pub serve_queue: u32,
    /// How many times a peer may have the whole within a minute, its queue not counted: once, and again when what others
    /// sent it beside was wrong.
    pub serve_factor: u32,
}

impl Default for MetadataConfig {
    fn default() -> MetadataConfig {
        MetadataConfig {
            max_size: 30 << 20,
            requests_per_peer: 4,
            request_timeout: Duration::from_secs(10),
            hurry_after: Duration::from_secs(2),
            retry_after: Duration::from_secs(30),
            retry_max: Duration::from_secs(300),
            sizes_at_once: 3,
            alone_at_once: 2,
            turn: Duration::from_secs(60),
            max_early_haves: 4096,
            serve_queue: 64,
            serve_factor: 2,
        }
    }
}

impl MetadataConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        require(self.max_size >= 16 << 10, "metadata.max_size", "is less than a block of 16 KiB")?;
        require(self.max_size <= 64 << 20, "metadata.max_size", "is above 64 MiB, more than a torrent file may have")?;
        require(self.requests_per_peer > 0, "metadata.requests_per_peer", "is 0: nothing would be asked for")?;
        require(self.request_timeout >= second, "metadata.request_timeout", "is less than a second")?;
        require(self.hurry_after > Duration::ZERO, "metadata.hurry_after", "is 0: everybody would be asked at once")?;
        require(self.retry_after >= second, "metadata.retry_after", "is less than a second")?;
        require(self.retry_max >= self.retry_after, "metadata.retry_max", "is less than metadata.retry_after")?;
        require(self.sizes_at_once > 0, "metadata.sizes_at_once", "is 0: nothing would be collected")?;
        require(self.alone_at_once > 0, "metadata.alone_at_once", "is 0: a lie would never be found out")?;
        require(self.turn >= second, "metadata.turn", "is less than a second")?;
        require(self.serve_queue > 0, "metadata.serve_queue", "is 0: nobody would be served")?;
        require(self.serve_factor > 0, "metadata.serve_factor", "is 0: nobody would be served")
    }
}
