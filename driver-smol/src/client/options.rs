//! What a client is told at its start and with each torrent.

use crate::engine::Recorder;
use crate::http::HttpOptions;
use crate::storage::StorageOptions;
use bytes::Bytes;
use parcacik_core::border::{Config, RateLimits, SeedGoal, Target, TorrentSource};
use parcacik_core::rng::Seeds;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// What a client is made with. `ClientConfig::default()` listens on IPv4 and IPv6, on ports that the system chooses,
/// and keeps no state.
pub struct ClientConfig {
    /// The session's own configuration.
    pub core: Config,
    /// Where resume data lie; made if it does not exist. `None`: nothing is kept, and every start checks every piece.
    pub state_dir: Option<PathBuf>,
    /// The addresses to listen on, TCP and UDP on the same port; port 0 lets the system choose. Dials leave from these
    /// addresses, and neighbours are looked for on their interfaces ([`LsdConfig`](parcacik_core::border::LsdConfig)).
    pub listen: Vec<SocketAddr>,
    /// Whether a node of the distributed hash table (BEP 5) runs on each UDP socket, for torrents that are not private. What it was
    /// and whom it knew lies in the state folder.
    pub dht: bool,
    /// Nodes of the DHT to begin with, routers or any; names are looked up.
    pub dht_nodes: Vec<Target>,
    /// Threads, descriptors and buffers of the disk. Its `state_dir` is overridden by the one above.
    pub storage: StorageOptions,
    /// Limits and certificates of HTTP.
    pub http: HttpOptions,
    /// The network device that all listening sockets are bound to, by name; `None`: any.
    pub device: Option<String>,
    /// Where chance comes from; `None`: the operating system. Never fixed seeds on the open internet.
    pub seeds: Option<Seeds>,
    /// Who sees every event and action.
    pub recorder: Option<Box<dyn Recorder>>,
    /// The most bytes of read buffers that may wait for the disk at once; above it, what is read is copied. 16 MiB:
    /// what the session may have in its queue to the disk.
    pub max_pinned: usize,
    /// The most notices that wait for one receiver, 4096: some seconds of a fast download of small pieces.
    pub max_notices: usize,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            core: Config::default(),
            state_dir: None,
            listen: vec![
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
                SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
            ],
            dht: false,
            dht_nodes: Vec::new(),
            storage: StorageOptions::default(),
            http: HttpOptions::default(),
            device: None,
            seeds: None,
            recorder: None,
            max_pinned: 16 << 20,
            max_notices: 4096,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("core", &self.core)
            .field("state_dir", &self.state_dir)
            .field("listen", &self.listen)
            .field("dht", &self.dht)
            .field("dht_nodes", &self.dht_nodes)
            .field("storage", &self.storage)
            .field("http", &self.http)
            .field("device", &self.device)
            .field("seeds", &self.seeds)
            .field("recorder", &self.recorder.is_some())
            .field("max_pinned", &self.max_pinned)
            .field("max_notices", &self.max_notices)
            .finish()
    }
}

/// A torrent to be added.
#[derive(Clone, Debug)]
pub struct AddOptions {
    /// The bytes of a `.torrent` file, or a magnet link.
    pub source: TorrentSource,
    /// The folder to store it under; made if it does not exist.
    pub dir: PathBuf,
    /// Peers that are known from elsewhere; they are dialled for as long as the torrent runs.
    pub peers: Vec<Target>,
    /// Trackers to use besides the torrent's own.
    pub extra_trackers: Vec<String>,
    /// Whether to use trackers at all.
    pub use_trackers: bool,
    /// When to stop once everything is there.
    pub goal: SeedGoal,
    /// Whether files that were there before and hold nothing of the torrent may be overwritten.
    pub overwrite: bool,
    /// Whether to distrust the resume data and check every piece.
    pub recheck: bool,
    /// Whether nothing may be downloaded.
    pub seed_only: bool,
    /// How much each file is wanted, in the layout's order: 0 (not wanted) to 7 (first); 4 for those behind the end of
    /// the list. `None`: as in the last run, and every file in the first.
    pub priorities: Option<Vec<u8>>,
    /// Whether pieces are asked for in order. `None`: as in the last run, and the rarest first in the first.
    pub sequential: Option<bool>,
    /// How fast it may go, within what the client may.
    pub limits: RateLimits,
    /// Whether to super-seed (BEP 16) while it is whole and no other seed is seen.
    pub super_seed: bool,
    /// Whether it waits for [`Client::resume`](crate::Client::resume).
    pub paused: bool,
    /// Whether the session's queue decides when it runs; without limits in its configuration, it always does.
    pub managed: bool,
    /// Of a magnet link: whether it waits for [`Client::resume`](crate::Client::resume) when its info dictionary has come, before
    /// anything is made of it on the disk.
    pub hold_at_metadata: bool,
}

impl AddOptions {
    /// A download into `dir` that uses the torrent's trackers and stops when it is done.
    pub fn new(metainfo: impl Into<Bytes>, dir: impl Into<PathBuf>) -> AddOptions {
        AddOptions::of(TorrentSource::Metainfo(metainfo.into()), dir)
    }

    /// The same, of a magnet link or an info-hash.
    pub fn magnet(link: impl Into<String>, dir: impl Into<PathBuf>) -> AddOptions {
        AddOptions::of(TorrentSource::Magnet(link.into()), dir)
    }

    /// The same, of either.
    pub fn of(source: TorrentSource, dir: impl Into<PathBuf>) -> AddOptions {
        AddOptions {
            source,
            dir: dir.into(),
            peers: Vec::new(),
            extra_trackers: Vec::new(),
            use_trackers: true,
            goal: SeedGoal::None,
            overwrite: false,
            recheck: false,
            seed_only: false,
            priorities: None,
            sequential: None,
            limits: RateLimits::default(),
            super_seed: false,
            paused: false,
            managed: true,
            hold_at_metadata: false,
        }
    }
}
