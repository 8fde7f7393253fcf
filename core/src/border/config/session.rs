use super::{ConfigError, require};
use alloc::string::String;
use core::time::Duration;

/// Limits over the whole session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// What we call ourselves in the extended handshake and to HTTP trackers.
    pub client: String,
    /// The first eight bytes of our peer ids (BEP 20): `-` two letters, four version characters, `-`.
    pub peer_id_prefix: [u8; 8],
    /// The most torrents. Each costs its hashes and a bitfield; ten thousand idle ones are normal.
    pub max_torrents: u32,
    /// The most peer connections over all torrents, 200 as the other clients have it; each costs a socket.
    pub max_peers: u32,
    /// The most peer connections of one torrent.
    pub max_peers_per_torrent: u32,
    /// The most accepted connections that have not told their torrent yet. A stranger holds one for at most
    /// [`PeerConfig::handshake_timeout`](super::PeerConfig::handshake_timeout).
    pub max_unrouted: u32,
    /// How many of these may come from one address, so that one machine cannot keep all others out. Loopback is not limited.
    pub max_unrouted_per_ip: u32,
    /// The most connections of one torrent to one address (IPv6: one /64), however many ids there are behind it. libtorrent
    /// takes one; four leave room for a household behind one address. Loopback, and addresses that the user named, are not
    /// limited.
    pub max_peers_per_ip: u32,
    /// How long a connection may be without interest on either side while no place is left (libtorrent: 600 s): long enough for
    /// a peer to get something that we lack, which is the only use that it can have.
    pub no_interest_timeout: Duration,
    /// How long there must have been no interest before a peer that comes in takes the place: interest shows within seconds of
    /// a connection, as soon as both have told what they have. A minute leaves time for it on the worst line, and lets a place
    /// change hands once a minute at most.
    pub replaceable_after: Duration,
    /// The most dials under way at once. Home routers drop state when there are many.
    pub max_half_open: u32,
    /// The most dials begun in a second (libtorrent: 30).
    pub dials_per_second: u32,
    /// The most dials in a minute into one network (/24 of IPv4, /48 of IPv6) of the open internet, but for what the user named. A
    /// real swarm seldom has more of one network; a list that was made to flood somebody has nothing else.
    pub dials_per_network: u32,
    /// The most announces by HTTP under way at once, over all torrents (libtorrent: 50). The others wait for their turn: each
    /// costs a socket, and thousands of torrents often have one tracker.
    pub max_http_announces: u32,
    /// The most announces begun in a second, over all torrents and both protocols. Ten thousand torrents that start together
    /// are spread over some minutes by it, as are their next announces.
    pub announces_per_second: u32,
    /// The most bytes handed to the disk and not yet written; above it nothing is read from peers. 32 batches of 256 KiB keep
    /// every worker busy; twice as much made a download on a fast disk 6 % cheaper and took 10 MB more memory.
    pub max_disk_queue: u64,
    /// The most bytes that are being read from the disk for peers, over all of them. What has been read waits in the peers'
    /// send queues, each with a limit of its own ([`PeerConfig::send_watermark_max`](super::PeerConfig::send_watermark_max)).
    pub max_read_ahead: u64,
    /// How long a torrent that is paused gracefully may take to get what it has asked for. A block that does not come in
    /// half a minute comes from somebody who will not send it.
    pub pause_limit: Duration,
    /// How long stopping may take, trackers included (libtorrent's `stop_tracker_timeout`: 5 s).
    pub shutdown_limit: Duration,
}

impl Default for SessionConfig {
    fn default() -> SessionConfig {
        SessionConfig {
            client: String::from(concat!("Parcacik ", env!("CARGO_PKG_VERSION"))),
            peer_id_prefix: *b"-Pk0010-",
            max_torrents: 50_000,
            max_peers: 200,
            max_peers_per_torrent: 100,
            max_unrouted: 50,
            max_unrouted_per_ip: 10,
            max_peers_per_ip: 4,
            no_interest_timeout: Duration::from_secs(600),
            replaceable_after: Duration::from_secs(60),
            max_half_open: 50,
            dials_per_second: 30,
            dials_per_network: 20,
            max_http_announces: 50,
            announces_per_second: 100,
            max_disk_queue: 8 << 20,
            max_read_ahead: 16 << 20,
            pause_limit: Duration::from_secs(30),
            shutdown_limit: Duration::from_secs(5),
        }
    }
}

impl SessionConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.client.len() <= 100, "session.client", "is longer than 100 bytes")?;
        require(self.max_torrents > 0 && self.max_torrents < 1 << 24, "session.max_torrents", "is not in 1..2^24")?;
        require(self.max_peers > 0, "session.max_peers", "is 0")?;
        require(self.max_peers_per_torrent > 0, "session.max_peers_per_torrent", "is 0")?;
        require(self.max_unrouted_per_ip > 0, "session.max_unrouted_per_ip", "is 0: nobody could connect to us")?;
        require(self.max_peers_per_ip > 0, "session.max_peers_per_ip", "is 0: nobody could be connected to")?;
        require(
            self.replaceable_after >= Duration::from_secs(1),
            "session.replaceable_after",
            "is less than a second: nobody could show interest before",
        )?;
        require(
            self.no_interest_timeout >= self.replaceable_after,
            "session.no_interest_timeout",
            "is less than session.replaceable_after",
        )?;
        require(self.max_half_open > 0, "session.max_half_open", "is 0: nobody could be dialled")?;
        require(self.dials_per_second > 0, "session.dials_per_second", "is 0: nobody could be dialled")?;
        require(self.dials_per_network > 0, "session.dials_per_network", "is 0: nobody could be dialled")?;
        require(self.max_http_announces > 0, "session.max_http_announces", "is 0: no HTTP tracker could be asked")?;
        require(self.announces_per_second > 0, "session.announces_per_second", "is 0: no tracker could be asked")?;
        require(self.max_disk_queue >= 1 << 20, "session.max_disk_queue", "is less than 1 MiB")?;
        require(self.max_read_ahead >= 1 << 20, "session.max_read_ahead", "is less than 1 MiB")
    }
}
