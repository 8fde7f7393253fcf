//! Every word between the core and a driver.
//!
//! Floor 0: nothing here knows a protocol. [`Event`] and [`Action`] name ids, bytes, addresses, time and work; every
//! machine of the core can emit them, so one that is used alone (a tracker server, a crawler's node) speaks the same words
//! as the whole session.

mod action;
mod command;
mod config;
mod event;
mod fault;
mod ids;
mod ip_filter;
mod notice;
mod rates;
mod source;
mod storage;
mod tracker;
mod work;

pub use action::{Action, Actions, Route, SocketKind, Target};
pub use command::{AddTorrent, Command, QueuePlace, RemoveFiles, SeedGoal, TorrentSource};
pub use config::{
    AddressTable, AnnounceConfig, CandidateConfig, ChokeConfig, Config, ConfigError, ExternalConfig, LsdConfig,
    MetadataConfig, NetPolicy, PeerConfig, PersistConfig, PexConfig, PickConfig, PickOrder, QueueConfig, RateConfig,
    SessionConfig, StorageConfig,
};
pub use event::Event;
pub use fault::{CloseReason, IoFault, PeerFault};
pub(crate) use ids::hex;
pub use ids::{CommandId, DialId, InfoHash, InfoHashes, JobId, PeerId, PeerKey, RootId, SocketId, TcpId, TorrentId};
pub use ip_filter::IpFilter;
pub(crate) use ip_filter::NotARange;
pub use notice::{CommandError, Notice, PeerSummary, StorageState, TorrentState};
pub use rates::RateLimits;
pub use source::{Source, SourceCounts, Sources};
pub use storage::{FileRange, LayoutFile, Place, Span, StorageLayout};
pub use tracker::{AnnounceEvent, AnnounceOnce, AnnounceResponse, ScrapeCounts};
pub use work::{FileState, HttpRequest, HttpResponse, JobResult, PieceHash, Verdict, Work};
