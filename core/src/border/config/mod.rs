//! Every limit and every interval, each with the reason for its number.

mod addresses;
mod announce;
mod candidates;
mod choke;
mod dht;
mod external;
mod lsd;
mod metadata;
mod net;
mod peer;
mod persist;
mod pex;
mod pick;
mod queue;
mod rate;
mod session;
mod storage;

pub use addresses::AddressTable;
pub use announce::AnnounceConfig;
pub use candidates::CandidateConfig;
pub use choke::ChokeConfig;
pub use dht::DhtConfig;
pub use external::ExternalConfig;
pub use lsd::LsdConfig;
pub use metadata::MetadataConfig;
pub use net::NetPolicy;
pub use peer::PeerConfig;
pub use persist::PersistConfig;
pub use pex::PexConfig;
pub use pick::{PickConfig, PickOrder};
pub use queue::QueueConfig;
pub use rate::RateConfig;
pub use session::SessionConfig;
pub use storage::StorageConfig;

use alloc::sync::Arc;
use core::fmt;

/// What a session is told once, at its start. Part of a recording, defaults written out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The session as a whole: sockets, limits over all torrents.
    pub session: SessionConfig,
    /// Each peer connection.
    pub peer: PeerConfig,
    /// Which blocks are asked for.
    pub pick: PickConfig,
    /// Who is served.
    pub choke: ChokeConfig,
    /// Addresses of peers, and whom to dial.
    pub candidates: CandidateConfig,
    /// Announcing to trackers.
    pub announce: AnnounceConfig,
    /// When what is on the disk may be claimed.
    pub persist: PersistConfig,
    /// Which addresses, ports and schemes may be used.
    pub net: NetPolicy,
    /// How fast bytes may go.
    pub rate: RateConfig,
    /// How our own address is found out.
    pub external: ExternalConfig,
    /// What is done when the storage fails.
    pub storage: StorageConfig,
    /// Which torrents run at once.
    pub queue: QueueConfig,
    /// Info dictionaries from and for peers.
    pub metadata: MetadataConfig,
    /// Peer exchange.
    pub pex: PexConfig,
    /// Local discovery.
    pub lsd: LsdConfig,
    /// Each node of the distributed hash table.
    pub dht: DhtConfig,
    /// What functions of addresses say, where that is not to be computed. Empty, but in a redacted recording.
    pub addresses: Arc<AddressTable>,
}

/// A configuration that cannot work; the text names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field, as `section.name`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {}: {}", self.field, self.problem)
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// Checks every section.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.session.check()?;
        self.peer.check()?;
        self.pick.check()?;
        self.choke.check()?;
        self.candidates.check()?;
        self.announce.check()?;
        self.persist.check()?;
        self.net.check()?;
        self.rate.check()?;
        self.external.check()?;
        self.storage.check()?;
        self.queue.check()?;
        self.metadata.check()?;
        self.pex.check()?;
        self.lsd.check()?;
        self.dht.check()
    }
}

pub(crate) fn require(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, problem }) }
}
