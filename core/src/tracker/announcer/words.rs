//! What an announcer is told and says.

use crate::border::{InfoHash, PeerId, SocketId, Target};
use crate::time::Time;
use crate::tracker::{Ledger, TrackerError};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// What the announcer has to know of its torrent at each call.
#[derive(Clone, Copy, Debug)]
pub struct AnnounceFacts {
    /// The torrent.
    pub info_hash: InfoHash,
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// Where we listen; 0: nowhere.
    pub port: u16,
    /// What has been transferred.
    pub ledger: Ledger,
    /// Whether there are too few peers.
    pub wants_peers: bool,
    /// The UDP socket to use; without one UDP trackers fail.
    pub udp: Option<SocketId>,
    /// The address to announce from; trackers' addresses of the other family are then left out.
    pub bind_ip: Option<IpAddr>,
}

/// What the announcer has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerSaid {
    /// A tracker answered.
    Answered {
        /// The tracker's URL.
        url: String,
        /// Peers to try.
        peers: Vec<Target>,
        /// How long until it is asked again.
        interval: Duration,
        /// What it wants the user to know. Untrusted text, cut and cleaned.
        warning: Option<String>,
        /// The address that it sees us come from. Trust it as a vote.
        external_ip: Option<IpAddr>,
        /// How many seeds it knows.
        complete: Option<u32>,
        /// How many other peers it knows.
        incomplete: Option<u32>,
    },
    /// A tracker failed.
    Failed {
        /// The tracker's URL.
        url: String,
        /// Why.
        why: TrackerError,
        /// How long until it may be tried again; `None`: not in this session.
        retry: Option<Duration>,
    },
}

/// How a tracker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerState {
    /// It has not been asked.
    Untried,
    /// It is being asked.
    Asking,
    /// Its last answer was good.
    Working,
    /// It failed the last time.
    Failing,
    /// It is not asked any more.
    Gone,
}

/// A tracker at a glance, for views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerStatus<'a> {
    /// Its URL.
    pub url: &'a str,
    /// Its tier, from 0.
    pub tier: usize,
    /// How it does.
    pub state: TrackerState,
    /// Why it failed the last time; a success clears it.
    pub last_error: Option<&'a TrackerError>,
    /// When it may be asked next, if that is known.
    pub next_announce: Option<Time>,
    /// How many seeds it knew at its last answer.
    pub complete: Option<u32>,
    /// How many other peers it knew.
    pub incomplete: Option<u32>,
}
