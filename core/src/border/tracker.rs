//! Words of trackers that pass between the core and the application.

use super::{InfoHash, Target};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Why an announce is made, when it is not just time for it (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnnounceEvent {
    /// "sent when a download first begins".
    Started,
    /// "sent when the download is complete. No `completed` is sent if the file was complete when started."
    Completed,
    /// "sent when the downloader ceases downloading".
    Stopped,
    /// BEP 21, of one that has all it wants and not everything: "it MUST send an `event=paused` parameter in every
    /// announce while it is a partial seed". HTTP only; by UDP it is sent as no event.
    Paused,
}

/// A tracker's answer to an announce, as far as it may be used: what is malformed in it is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceResponse {
    /// Seconds to the next announce, as the tracker said.
    pub interval: Option<u32>,
    /// Seconds that must lie between two announces.
    pub min_interval: Option<u32>,
    /// To be sent back with the next announce.
    pub tracker_id: Option<Vec<u8>>,
    /// How many seeds there are.
    pub complete: Option<u32>,
    /// How many other peers there are.
    pub incomplete: Option<u32>,
    /// How often the torrent was downloaded whole.
    pub downloaded: Option<u32>,
    /// Peers to try. Port 0 and addresses that nobody can have are left out.
    pub peers: Vec<Target>,
    /// The address that the tracker sees us come from (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// What the tracker wants the user to know, cut and cleaned.
    pub warning: Option<String>,
}

/// The counts of one torrent in a scrape (BEP 48, BEP 15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScrapeCounts {
    /// Seeds now.
    pub complete: u32,
    /// How often it was downloaded whole.
    pub downloaded: u32,
    /// Other peers now.
    pub incomplete: u32,
}

/// One announce without a torrent in the session: to look at a tracker, or to take back such an announce. Which peers
/// it names is told and used for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceOnce {
    /// The trackers, all of which are asked; each URL once.
    pub trackers: Vec<String>,
    /// The torrent.
    pub info_hash: InfoHash,
    /// What is told.
    pub event: Option<AnnounceEvent>,
    /// Bytes that are still wanting; 0 makes us a seed.
    pub left: u64,
    /// How many peers are wanted; `None`: as many as the tracker likes.
    pub num_want: Option<u32>,
}
