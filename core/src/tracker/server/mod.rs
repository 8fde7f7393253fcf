//! A tracker, for HTTP and UDP: a machine that is told requests and gives back answers.
//!
//! It needs no session and starts no work: whoever runs it has the sockets and an HTTP server, and passes
//! [`http`](TrackerServer::http) and [`udp`](TrackerServer::udp) what comes in.
//!
//! A peer is listed under the address that its request came from; what it says of its own address (`ip`) is ignored, so
//! that nobody can send a swarm against somebody else. For the same reason a UDP announce needs a connection id, which only
//! gets to who receives packets at its address. A peer that does not listen (port 0) gets answers and is not listed.
//!
//! Limits: torrents, peers of a torrent, peers in all, peers in an answer ([`ServerConfig`]); a UDP answer has at most
//! [`MAX_UDP_ANSWER`] bytes. A peer that does not announce again is forgotten, and a torrent without peers too.

mod mac;
mod swarm;

use super::http::{
    HttpAnnounce, PeerEntry, PeersForm, encode_failure, encode_response, encode_scrape, parse_announce, parse_scrape,
};
use super::udp::{MAX_SCRAPE, UdpRequest, UdpResponse};
use super::{AnnounceEvent, AnnounceRequest, AnnounceResponse, ScrapeCounts};
use crate::border::{InfoHash, Target};
use crate::rng::{Rng, Seeds, Stream};
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use mac::ConnectionIds;
use swarm::{Swarm, Wish};

/// The most bytes of a UDP answer: what passes every usual path in one packet.
pub const MAX_UDP_ANSWER: usize = 1400;

/// The limits of a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// How often peers are to announce.
    pub interval: Duration,
    /// How often they may at most.
    pub min_interval: Duration,
    /// How long a peer is listed after its last announce: two intervals and some, so that one lost announce does not remove it.
    pub peer_life: Duration,
    /// The most torrents. Each costs about 200 bytes.
    pub max_torrents: u32,
    /// The most peers of one torrent; what comes then gets answers and is not listed.
    pub max_peers_per_torrent: u32,
    /// The most peers of all torrents. Each costs about 250 bytes.
    pub max_peers: u32,
    /// How many peers are in an answer if the request does not say (BEP 3's authors' tracker: 50).
    pub num_want: u32,
    /// The most peers in an answer.
    pub max_num_want: u32,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            interval: Duration::from_secs(1800),
            min_interval: Duration::from_secs(60),
            peer_life: Duration::from_secs(2 * 1800 + 600),
            max_torrents: 100_000,
            max_peers_per_torrent: 20_000,
            max_peers: 1_000_000,
            num_want: 50,
            max_num_want: 200,
        }
    }
}

/// An answer to an HTTP request, of type `text/plain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// A tracker. See the [module](self).
#[derive(Clone, Debug)]
pub struct TrackerServer {
    config: ServerConfig,
    ids: ConnectionIds,
    rng: Rng,
    swarms: BTreeMap<InfoHash, Swarm>,
    /// When which peer is to be forgotten: one entry for each peer of each torrent.
    expiry: BTreeSet<(Time, InfoHash, SocketAddr)>,
}

impl TrackerServer {
    /// A tracker without torrents; it takes whatever it is told of.
    pub fn new(config: ServerConfig, seeds: &Seeds) -> TrackerServer {
        TrackerServer {
            config,
            ids: ConnectionIds::new(&mut seeds.secrets(Stream::TrackerServer, 0)),
            rng: seeds.decisions(Stream::TrackerServer, 0),
            swarms: BTreeMap::new(),
            expiry: BTreeSet::new(),
        }
    }

    /// Answers an HTTP GET. `target`: path and query as they stand in the request line.
    pub fn http(&mut self, now: Time, remote: SocketAddr, target: &[u8]) -> HttpAnswer {
        let mut halves = target.splitn(2, |&b| b == b'?');
        let path = halves.next().unwrap_or_default();
        let query = halves.next().unwrap_or_default();
        let body = match path {
            b"/announce" => match parse_announce(query) {
                Ok(announce) => self.http_announce(now, remote, &announce),
                Err(error) => Err(error.to_string()),
            },
            b"/scrape" => match parse_scrape(query, MAX_SCRAPE) {
                Ok(torrents) => Ok(encode_scrape(
                    &torrents.iter().filter_map(|hash| Some((*hash, self.counts(hash)?))).collect::<Vec<_>>(),
                )),
                Err(error) => Err(error.to_string()),
            },
            _ => return HttpAnswer { status: 404, body: b"not found: this is a BitTorrent tracker\n".to_vec() },
        };
        // BEP 3 has failures in the body of a good answer.
        HttpAnswer { status: 200, body: body.unwrap_or_else(|reason| encode_failure(&reason, None)) }
    }

    /// Answers a datagram; `None`: it deserves no answer.
    pub fn udp(&mut self, now: Time, remote: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let remote = canonical(remote);
        let request = UdpRequest::decode(datagram)?;
        // An answer to a sender that has proved nothing is not longer than the request: 16 bytes for 16, and an error for a
        // longer packet.
        let (transaction, response) = match request {
            UdpRequest::Connect { transaction } => {
                (transaction, UdpResponse::Connected { connection: self.ids.issue(now, remote.ip()) })
            }
            UdpRequest::Announce { connection, transaction, .. }
            | UdpRequest::Scrape { connection, transaction, .. }
                if !self.ids.accepts(now, remote.ip(), connection) =>
            {
                (transaction, UdpResponse::Error(String::from("connection id expired")))
            }
            UdpRequest::Announce { transaction, request, .. } => {
                (transaction, self.udp_announce(now, remote, &request))
            }
            UdpRequest::Scrape { transaction, torrents, .. } => {
                let counts = torrents.iter().map(|hash| self.counts(hash).unwrap_or_default());
                (transaction, UdpResponse::Scraped(counts.collect()))
            }
        };
        Some(response.encode(transaction, remote.is_ipv6()))
    }

    /// Forgets peers whose time is over.
    pub fn tick(&mut self, now: Time) {
        while let Some(&(when, hash, addr)) = self.expiry.first()
            && when <= now
        {
            self.forget(hash, addr);
        }
    }

    /// When [`tick`](TrackerServer::tick) is due.
    pub fn deadline(&self) -> Option<Time> {
        self.expiry.first().map(|(when, ..)| *when)
    }

    /// The counts of a torrent; `None`: it has no peers.
    pub fn counts(&self, torrent: &InfoHash) -> Option<ScrapeCounts> {
        self.swarms.get(torrent).map(Swarm::counts)
    }

    /// How many torrents have peers.
    pub fn torrents(&self) -> usize {
        self.swarms.len()
    }

    /// How many peers are listed, over all torrents.
    pub fn peers(&self) -> usize {
        self.expiry.len()
    }

    fn http_announce(&mut self, now: Time, remote: SocketAddr, said: &HttpAnnounce) -> Result<Vec<u8>, String> {
        let remote = canonical(remote);
        let (mut response, peers) = self.announce(now, remote, &said.request, (true, true), usize::MAX)?;
        // BEP 24.
        response.external_ip = Some(remote.ip());
        let form = match said.compact {
            true => PeersForm::Compact,
            false => PeersForm::Dictionaries { ids: !said.no_peer_id },
        };
        Ok(encode_response(&response, &peers, form))
    }

    fn udp_announce(&mut self, now: Time, remote: SocketAddr, request: &AnnounceRequest) -> UdpResponse {
        let v6 = remote.is_ipv6();
        let fit = (MAX_UDP_ANSWER - 20) / if v6 { 18 } else { 6 };
        match self.announce(now, remote, request, (!v6, v6), fit) {
            Ok((mut response, peers)) => {
                response.peers = peers.iter().map(|peer| Target::Addr(peer.addr)).collect();
                UdpResponse::Announced(response)
            }
            Err(reason) => UdpResponse::Error(reason),
        }
    }

    /// Enters what is said into the swarm, and draws peers: at most `fit`, of the `families` IPv4 and IPv6.
    fn announce(
        &mut self,
        now: Time,
        remote: SocketAddr,
        request: &AnnounceRequest,
        families: (bool, bool),
        fit: usize,
    ) -> Result<(AnnounceResponse, Vec<PeerEntry>), String> {
        self.tick(now);
        let addr = SocketAddr::new(remote.ip(), request.port);
        let hash = request.info_hash;
        let seed = request.ledger.left == 0;
        let stopped = request.event == Some(AnnounceEvent::Stopped);
        if stopped {
            self.forget(hash, addr);
        } else if request.port != 0 {
            self.enter(now, addr, request)?;
        }
        let asked = request.num_want.unwrap_or(self.config.num_want).min(self.config.max_num_want) as usize;
        let count = if stopped { 0 } else { asked.min(fit) };
        let swarm = self.swarms.get(&hash);
        let peers = swarm.map(|swarm| swarm.draw(&addr, Wish { count, families, seed }, &mut self.rng));
        let counts = self.counts(&hash).unwrap_or_default();
        let seconds = |span: Duration| u32::try_from(span.as_secs()).ok();
        let response = AnnounceResponse {
            interval: seconds(self.config.interval),
            min_interval: seconds(self.config.min_interval),
            complete: Some(counts.complete),
            incomplete: Some(counts.incomplete),
            downloaded: Some(counts.downloaded),
            ..AnnounceResponse::default()
        };
        Ok((response, peers.unwrap_or_default()))
    }

    /// Lists a peer, or renews it. Above the limits new ones are not listed.
    fn enter(&mut self, now: Time, addr: SocketAddr, request: &AnnounceRequest) -> Result<(), String> {
        let hash = request.info_hash;
        if !self.swarms.contains_key(&hash) && self.swarms.len() >= self.config.max_torrents as usize {
            return Err(String::from("the tracker is full"));
        }
        let full = self.expiry.len() >= self.config.max_peers as usize;
        let known = self.swarms.get(&hash).map(|swarm| (swarm.len(), swarm.expires(&addr)));
        let (members, expires) = known.unwrap_or((0, None));
        if expires.is_none() && (full || members >= self.config.max_peers_per_torrent as usize) {
            return Ok(());
        }
        if let Some(when) = expires {
            self.expiry.remove(&(when, hash, addr));
        }
        let expires = now + self.config.peer_life;
        let finished = request.event == Some(AnnounceEvent::Completed);
        let swarm = self.swarms.entry(hash).or_default();
        swarm.put(addr, request.peer_id, request.ledger.left == 0, finished, expires);
        self.expiry.insert((expires, hash, addr));
        Ok(())
    }

    fn forget(&mut self, hash: InfoHash, addr: SocketAddr) {
        let Some(swarm) = self.swarms.get_mut(&hash) else { return };
        if let Some(when) = swarm.expires(&addr) {
            self.expiry.remove(&(when, hash, addr));
            swarm.remove(&addr);
        }
        if swarm.is_empty() {
            self.swarms.remove(&hash);
        }
    }
}

/// The address as its own family has it, where a dual-stack socket shows IPv4 as IPv6.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests;
