//! Peers that announced themselves.

use super::{Network, PeerLimits, Shares, Sweeper};
use crate::border::InfoHash;
use crate::dht::NodeId;
use crate::dht::bloom::{BloomBits, BloomFilter};
use crate::dht::krpc::MAX_INTERVAL;
use crate::journal::canon::canon_struct;
use crate::rng::Rng;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Peers by torrent. See the [module](super).
///
/// BEP 33: "<Infohash,IP> tuples in the database must be unique while port numbers, seed status and other values may be updated."
#[derive(Clone, Debug)]
pub struct PeerStore {
    limits: PeerLimits,
    /// None is empty.
    torrents: BTreeMap<NodeId, Swarm>,
    /// Peers in all torrents.
    peers: usize,
    shares: Shares,
    sample: Option<Sample>,
    sweeper: Sweeper,
}

// Limits do not change.
canon_struct!(out PeerStore { torrents, peers, shares, sample, sweeper } | limits);

/// Peers of one torrent, by address.
#[derive(Clone, Debug, Default)]
struct Swarm {
    peers: Vec<Peer>,
}

canon_struct!(out Swarm { peers });

#[derive(Clone, Debug)]
struct Peer {
    ip: IpAddr,
    port: u16,
    seed: bool,
    /// What it sets in a filter, so that a scrape hashes nothing.
    bits: BloomBits,
    until: Time,
}

// The bits follow from the address.
canon_struct!(out Peer { ip, port, seed, until } | bits);

/// A sample that was drawn.
#[derive(Clone, Debug)]
struct Sample {
    torrents: Vec<NodeId>,
    until: Time,
}

canon_struct!(out Sample { torrents, until });

/// An answer to `sample_infohashes` (BEP 51).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// Some of the torrents, or all.
    pub torrents: Vec<InfoHash>,
    /// How many there are.
    pub num: u64,
    /// For how many seconds asking again yields nothing new; 0 when these are all.
    pub interval: u32,
}

/// How many peers of a torrent are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Those that have everything.
    pub seeds: usize,
    /// Those that have not, or do not say.
    pub others: usize,
}

impl PeerStore {
    /// An empty store.
    pub fn new(limits: PeerLimits) -> PeerStore {
        PeerStore {
            limits,
            torrents: BTreeMap::new(),
            peers: 0,
            shares: Shares::default(),
            sample: None,
            sweeper: Sweeper::default(),
        }
    }

    /// Remembers a peer, at a node whose id is `own`. False: there is no room for it.
    pub fn announce(&mut self, now: Time, own: NodeId, torrent: InfoHash, peer: SocketAddr, seed: bool) -> bool {
        let key = NodeId::from(torrent);
        let ip = peer.ip().to_canonical();
        let until = now + self.limits.life;
        let place = self.torrents.get(&key).map(|swarm| swarm.find(ip));
        if let Some(Ok(at)) = place {
            if let Some(known) = self.torrents.get_mut(&key).and_then(|swarm| swarm.peers.get_mut(at)) {
                (known.port, known.seed, known.until) = (peer.port(), seed, until);
            }
            return true;
        }
        let network = Network::of(ip);
        if self.shares.of(network) >= self.limits.per_network || !self.make_room(now, own, key) {
            return false;
        }
        let swarm = self.torrents.entry(key).or_default();
        // Who was expired is gone now, so the place may be another one.
        let at = swarm.find(ip).unwrap_or_else(|at| at);
        swarm.peers.insert(at, Peer { ip, port: peer.port(), seed, bits: BloomBits::of(ip), until });
        self.peers += 1;
        self.shares.add(network);
        self.sweeper.stored(now);
        true
    }

    /// Whether a peer that is new could be stored as far as this torrent goes. BEP 33: a full one is told "by not responding with tokens".
    pub fn has_room(&self, now: Time, torrent: InfoHash) -> bool {
        let swarm = self.torrents.get(&torrent.into());
        swarm.is_none_or(|swarm| swarm.live(now).count() < self.limits.peers_per_torrent)
    }

    /// Makes room for one peer more under `key`.
    fn make_room(&mut self, now: Time, own: NodeId, key: NodeId) -> bool {
        if self.torrents.get(&key).is_some_and(|swarm| swarm.peers.len() >= self.limits.peers_per_torrent) {
            self.expire(now, key);
            if self.torrents.get(&key).is_some_and(|swarm| swarm.peers.len() >= self.limits.peers_per_torrent) {
                return false;
            }
        }
        let is_new = !self.torrents.contains_key(&key);
        if is_new && self.torrents.len() >= self.limits.torrents || self.peers >= self.limits.peers {
            self.sweep(now);
        }
        let is_new = !self.torrents.contains_key(&key);
        if is_new && self.torrents.len() >= self.limits.torrents || self.peers >= self.limits.peers {
            let farthest = self.torrents.keys().copied().max_by_key(|torrent| torrent.distance(own));
            let Some(farthest) = farthest.filter(|farthest| farthest.distance(own) > key.distance(own)) else {
                return false;
            };
            self.forget(farthest, |_| false);
        }
        // With limits of nothing there is nothing to throw out that would help.
        self.peers < self.limits.peers && (!is_new || self.torrents.len() < self.limits.torrents)
    }

    /// Peers of one family, drawn at random, `most` at most. `no_seed` (BEP 33): only such as are not known to have everything.
    pub fn draw(
        &self,
        now: Time,
        torrent: InfoHash,
        v6: bool,
        no_seed: bool,
        most: usize,
        rng: &mut Rng,
    ) -> Vec<SocketAddr> {
        let Some(swarm) = self.torrents.get(&torrent.into()) else { return Vec::new() };
        let wanted = |peer: &&Peer| peer.ip.is_ipv6() == v6 && !(no_seed && peer.seed);
        let mut peers: Vec<SocketAddr> =
            swarm.live(now).filter(wanted).map(|peer| SocketAddr::new(peer.ip, peer.port)).collect();
        // The first places of a shuffle are enough.
        for place in 0..most.min(peers.len()) {
            let other = place + rng.index(peers.len() - place);
            peers.swap(place, other);
        }
        peers.truncate(most);
        peers
    }

    /// The filters of BEP 33: of the seeds, and of the others. `None`: no peer of the torrent is known.
    pub fn filters(&self, now: Time, torrent: InfoHash) -> Option<(BloomFilter, BloomFilter)> {
        let swarm = self.torrents.get(&torrent.into())?;
        let (mut seeds, mut others) = (BloomFilter::new(), BloomFilter::new());
        for peer in swarm.live(now) {
            if peer.seed { &mut seeds } else { &mut others }.set(peer.bits);
        }
        (!seeds.is_empty() || !others.is_empty()).then_some((seeds, others))
    }

    /// How many peers of a torrent are known.
    pub fn counts(&self, now: Time, torrent: InfoHash) -> SwarmCounts {
        let mut counts = SwarmCounts::default();
        for peer in self.torrents.get(&torrent.into()).iter().flat_map(|swarm| swarm.live(now)) {
            *if peer.seed { &mut counts.seeds } else { &mut counts.others } += 1;
        }
        counts
    }

    /// Torrents for whoever collects them (BEP 51): all when they fit, else some, drawn anew every
    /// [`sample_life`](PeerLimits::sample_life).
    pub fn samples(&mut self, now: Time, rng: &mut Rng) -> Samples {
        let live = |(key, swarm): (&NodeId, &Swarm)| swarm.live(now).next().map(|_| *key);
        let num = self.torrents.iter().filter_map(live).count();
        let infohashes = |keys: Vec<NodeId>| keys.into_iter().map(InfoHash::from).collect();
        if num <= self.limits.samples {
            let torrents = infohashes(self.torrents.iter().filter_map(live).collect());
            return Samples { torrents, num: num as u64, interval: 0 };
        }
        let sample = match self.sample.take().filter(|sample| sample.until > now) {
            Some(sample) => sample,
            None => {
                // Each of those that are left has the same chance of a place that is left.
                let mut places = self.limits.samples;
                let torrents = self.torrents.iter().filter_map(live).enumerate();
                let drawn = torrents.filter(|(at, _)| {
                    let hit = rng.index(num - at) < places;
                    places -= usize::from(hit);
                    hit
                });
                Sample { torrents: drawn.map(|(_, key)| key).collect(), until: now + self.limits.sample_life }
            }
        };
        let left = sample.until.since(now).as_millis().div_ceil(1000);
        let interval = u32::try_from(left).unwrap_or(MAX_INTERVAL).min(MAX_INTERVAL);
        // One that has been forgotten since is not stored any more.
        let stored = sample.torrents.iter().copied().filter(|key| self.torrents.contains_key(key)).collect();
        let samples = Samples { torrents: infohashes(stored), num: num as u64, interval };
        self.sample = Some(sample);
        samples
    }

    /// How many torrents there are, with those that have expired and are not thrown out yet.
    pub fn torrents(&self) -> usize {
        self.torrents.len()
    }

    /// How many peers there are in all, with those that have expired and are not thrown out yet.
    pub fn peers(&self) -> usize {
        self.peers
    }

    /// When [`tick`](PeerStore::tick) is to be called next.
    pub fn deadline(&self) -> Option<Time> {
        self.sweeper.at
    }

    /// Throws out what has expired, if it is time.
    pub fn tick(&mut self, now: Time) {
        if self.sweeper.is_due(now) {
            self.sweep(now);
            if self.peers > 0 {
                self.sweeper.stored(now);
            }
        }
    }

    fn sweep(&mut self, now: Time) {
        let keys: Vec<NodeId> = self.torrents.keys().copied().collect();
        keys.into_iter().for_each(|key| self.expire(now, key));
    }

    fn expire(&mut self, now: Time, key: NodeId) {
        self.forget(key, |peer| peer.until > now);
    }

    /// Forgets peers of a torrent, and the torrent with the last of them.
    fn forget(&mut self, key: NodeId, keep: impl Fn(&Peer) -> bool) {
        let Some(swarm) = self.torrents.get_mut(&key) else { return };
        for gone in swarm.peers.extract_if(.., |peer| !keep(peer)) {
            self.shares.remove(Network::of(gone.ip));
            self.peers -= 1;
        }
        if swarm.peers.is_empty() {
            self.torrents.remove(&key);
        } else if swarm.peers.len() < swarm.peers.capacity() / 2 {
            swarm.peers.shrink_to_fit();
        }
    }
}

impl Swarm {
    fn find(&self, ip: IpAddr) -> Result<usize, usize> {
        self.peers.binary_search_by_key(&ip, |peer| peer.ip)
    }

    fn live(&self, now: Time) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(move |peer| peer.until > now)
    }
}
