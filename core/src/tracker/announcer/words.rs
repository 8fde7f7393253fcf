//! What an announcer is told and says.

use crate::border::{InfoHash, PeerId, SocketId, Target};
use crate::journal::canon::{canon_enum, canon_struct};
use crate::time::Time;
use crate::tracker::{Ledger, TrackerError, Way, Ways};
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
    /// Whether the torrent has all that it wants, and not everything (BEP 21).
    pub partial_seed: bool,
    /// Whether there are too few peers.
    pub wants_peers: bool,
    /// The UDP socket to use; without one UDP trackers fail.
    pub udp: Option<SocketId>,
    /// The address to announce from; trackers' addresses of the other family are then left out.
    pub bind_ip: Option<IpAddr>,
    /// Where we listen in both families apart: how to go out in each, in place of `port`, `udp` and `bind_ip`. A tracker with
    /// addresses of both is then announced to by each, with the port of each.
    pub ways: Option<Ways>,
    /// Whether the torrent is private (BEP 27): one tracker at a time, and [`TrackerSaid::Switched`] when it is another.
    pub private: bool,
    /// Addresses of ours on the open internet that we listen on, by family: told to trackers of private torrents only.
    pub own: [Option<IpAddr>; 2],
    /// Whether each announce waits for a [`Turn`]. Where there is one torrent only nobody else has to be waited for.
    pub gated: bool,
}

/// What an announcer waits for: leave to begin one announce. There are limits over all torrents, of which one announcer
/// cannot know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whether it goes out by HTTP, which costs a connection.
    pub http: bool,
    /// Whether it goes before others: it carries an event, or the user wants it.
    pub urgent: bool,
}

canon_struct!(out Turn { http, urgent });

impl AnnounceFacts {
    /// How to go out in each family.
    pub fn ways(&self) -> Ways {
        let one = Way { port: self.port, udp: self.udp, bind_ip: self.bind_ip };
        let serves = |v6: bool| self.bind_ip.is_none_or(|ip| ip.is_ipv6() == v6).then_some(one);
        self.ways.unwrap_or_else(|| Ways { v4: serves(false), v6: serves(true) })
    }
}

/// What the announcer has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerSaid {
    /// A private torrent has gone over to another tracker. BEP 27: "When switching between trackers, the peer
    /// MUST disconnect from all current peers and connect only to those provided from the new tracker." Said right before what
    /// that one answered.
    Switched {
        /// The tracker that answered before.
        from: String,
        /// The one that answers now.
        to: String,
    },
    /// A tracker answered; once for each family of addresses that it was asked by.
    Answered {
        /// The tracker's URL.
        url: String,
        /// The address that answered.
        from: Option<IpAddr>,
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
        /// Whether it is on the open internet, or was reached by way of it: whom it names is named on that word.
        from_global: bool,
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

canon_enum!(out TrackerSaid {
    0 = Answered { url, from, peers, interval, warning, external_ip, complete, incomplete, from_global },
    1 = Failed { url, why, retry },
    2 = Switched { from, to },
});

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
pub struct TrackerStatus {
    /// Its URL.
    pub url: String,
    /// Its tier, from 0.
    pub tier: usize,
    /// How it does.
    pub state: TrackerState,
    /// Why it failed the last time; a success clears it.
    pub last_error: Option<TrackerError>,
    /// Failures in a row.
    pub fails: u32,
    /// What it wanted the user to know at its last answer. Untrusted text, cut and cleaned.
    pub warning: Option<String>,
    /// When it answered last.
    pub answered_at: Option<Time>,
    /// When it may be asked next, if that is known.
    pub next_announce: Option<Time>,
    /// How many peers its last answer named.
    pub peers: u32,
    /// How many seeds it knew at its last answer to an announce or a scrape.
    pub complete: Option<u32>,
    /// How many other peers it knew.
    pub incomplete: Option<u32>,
    /// How often the torrent was downloaded whole, as it knew.
    pub downloaded: Option<u32>,
}
