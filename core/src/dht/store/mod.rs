//! What a node keeps for others: peers of torrents ([`PeerStore`]) and items ([`ItemStore`]).
//!
//! - **Told:** what somebody wants stored, after the node has checked the token; the time.
//! - **Says:** what is there, or why it is not stored. [`deadline`](PeerStore::deadline) is when expired entries are to be thrown out by
//!   `tick`; before that they are not shown any more, they only take memory.
//!
//! # What goes when it is full
//! Everything ends by itself, after [`PeerLimits::life`] and [`ItemLimits::life`], unless it is announced again. A node is there for the keys that
//! are closest to its id, as only there they are looked for. So when there are too many keys, the farthest one gives way to one that is
//! closer, and one that would itself be the farthest is refused. Whoever is in keeps his place otherwise: peers that come when a torrent is full
//! are refused, as a flood of new ones is cheap. And nobody has more than a share: it is counted by network, which is an IPv4
//! address or an IPv6 /64, what one owner has at the least.
//!
//! ```
//! use parcacik_core::border::InfoHash;
//! use parcacik_core::dht::{NodeId, PeerLimits, PeerStore, Tokens};
//! use parcacik_core::{rng::{Seeds, Stream}, time::Time};
//! use std::net::SocketAddr;
//!
//! let seeds = Seeds::for_tests(1);
//! let (mut tokens, mut rng) = (Tokens::new(seeds.secrets(Stream::Dht, 0)), seeds.decisions(Stream::Dht, 0));
//! let mut peers = PeerStore::new(PeerLimits::default());
//! let (own, torrent) = (NodeId([1; 20]), InfoHash([2; 20]));
//! let from: SocketAddr = "192.0.2.1:6881".parse().unwrap();
//!
//! // Somebody asks for peers: there are none, and a token is given.
//! let token = tokens.issue(Time::ZERO, from.ip(), torrent.into());
//! // He announces himself with it, a minute later.
//! let now = Time::from_secs(60);
//! assert!(tokens.accepts(now, from.ip(), torrent.into(), &token));
//! assert!(peers.announce(now, own, torrent, from, false));
//! // The next one who asks is told of him.
//! assert_eq!(peers.draw(now, torrent, false, false, 100, &mut rng), [from]);
//! ```

mod items;
mod peers;
#[cfg(test)]
mod tests;

pub use items::ItemStore;
pub use peers::{PeerStore, Samples, SwarmCounts};

use crate::journal::canon::{Encoder, Put, canon_enum, canon_struct};
use crate::time::Time;
use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

/// How often expired entries are thrown out. They are not shown from the moment on that they expire.
const SWEEP: Duration = Duration::from_secs(60);

/// Limits of a [`PeerStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// The most torrents. libtorrent's `dht_max_torrents` is 2,000; a node at its place among millions sees some hundred that it
    /// is close to.
    pub torrents: usize,
    /// The most peers of one torrent. BEP 33 wants "max(seeds,peers) below 6000"; an answer holds 100, drawn anew for each asker, so a
    /// thousand serve as well as all. libtorrent has 500.
    pub peers_per_torrent: usize,
    /// The most peers in all: 50,000 take 5 MB at most.
    pub peers: usize,
    /// The most peers of one network in all. A client announces each of its torrents to the eight nodes that are closest to it, so one node
    /// sees few of them; behind one address there may be many clients.
    pub per_network: usize,
    /// How long a peer is remembered. BEP 5 does not say; clients announce every 15 to 30 minutes, so who is late once stays. libtorrent
    /// has 45 minutes too.
    pub life: Duration,
    /// The most info-hashes in an answer to `sample_infohashes`: 40 fit beside eight nodes.
    pub samples: usize,
    /// How long a sample stays the same (BEP 51), 6 hours at most. Short, so that a crawler gets all there is by asking now and then.
    pub sample_life: Duration,
}

impl Default for PeerLimits {
    fn default() -> PeerLimits {
        PeerLimits {
            torrents: 2000,
            peers_per_torrent: 1000,
            peers: 50_000,
            per_network: 64,
            life: Duration::from_secs(45 * 60),
            samples: 40,
            sample_life: Duration::from_secs(10 * 60),
        }
    }
}

/// Limits of an [`ItemStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemLimits {
    /// The most items: a thousand take 1.4 MB at most. libtorrent's `dht_max_dht_items` is 700.
    pub items: usize,
    /// The most items of one network: whoever wants to fill the store needs 63 of them.
    pub per_network: usize,
    /// How long an item is kept (BEP 44: "Without re-announcement, these items MAY expire in 2 hours").
    pub life: Duration,
    /// From when on an item gives way before others (BEP 44: "they SHOULD be re-announced once an hour"; a quarter more for who is late).
    pub stale_after: Duration,
}

impl Default for ItemLimits {
    fn default() -> ItemLimits {
        ItemLimits {
            items: 1000,
            per_network: 16,
            life: Duration::from_secs(2 * 60 * 60),
            stale_after: Duration::from_secs(75 * 60),
        }
    }
}

/// What counts as one owner: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Network {
    V4(u32),
    V6(u64),
}

canon_enum!(out Network { 0 = V4(bits), 1 = V6(bits) });

impl Network {
    fn of(ip: IpAddr) -> Network {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Network::V4(ip.to_bits()),
            IpAddr::V6(ip) => Network::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

/// How much each network has.
#[derive(Clone, Debug, Default)]
struct Shares(BTreeMap<Network, usize>);

impl Shares {
    fn of(&self, network: Network) -> usize {
        self.0.get(&network).copied().unwrap_or(0)
    }

    fn add(&mut self, network: Network) {
        *self.0.entry(network).or_default() += 1;
    }

    fn remove(&mut self, network: Network) {
        if let Some(share) = self.0.get_mut(&network) {
            *share -= 1;
            if *share == 0 {
                self.0.remove(&network);
            }
        }
    }
}

impl Put for Shares {
    fn put(&self, to: &mut Encoder<'_>) {
        self.0.put(to);
    }
}

/// When expired entries are thrown out next.
#[derive(Clone, Copy, Debug, Default)]
struct Sweeper {
    at: Option<Time>,
}

canon_struct!(out Sweeper { at });

impl Sweeper {
    /// Something was stored.
    fn stored(&mut self, now: Time) {
        self.at.get_or_insert(now + SWEEP);
    }

    /// Whether it is time. Then another time must be set, if anything is left.
    fn is_due(&mut self, now: Time) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }
}
