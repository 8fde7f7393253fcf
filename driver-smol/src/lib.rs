//! BitTorrent for programs: `parcacik-core` acts through this crate, on smol.
//!
//! The core decides and does nothing; this crate does what it decides, and decides nothing. It holds sockets and
//! files, hashes, looks up names, speaks HTTP, and tells the core what came of it.
//!
//! ```no_run
//! use parcacik_core::border::Notice;
//! use parcacik_driver_smol::{AddOptions, Client, ClientConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! futures_lite::future::block_on(async {
//!     let client = Client::start(ClientConfig {
//!         state_dir: Some("/var/lib/example".into()),
//!         ..ClientConfig::default()
//!     })?;
//!     let mut notices = client.notices();
//!     let metainfo = std::fs::read("debian.iso.torrent")?;
//!     let torrent = client.add(AddOptions::new(metainfo, "downloads")).await?;
//!     loop {
//!         match notices.recv().await? {
//!             Notice::Done { .. } => break,
//!             Notice::PieceDone { .. } => {
//!                 if let Some(stats) = client.stats(torrent).await {
//!                     println!("{} bytes to go", stats.missing_bytes);
//!                 }
//!             }
//!             _ => {}
//!         }
//!     }
//!     client.shutdown().await?;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! Any executor will do, `block_on` too: nothing runs on the caller's. There is no global executor and no runtime to
//! set up.
//!
//! # Threads
//!
//! | thread | does |
//! |---|---|
//! | `parcacik` | the core and all peer, UDP and HTTP sockets, on a single-threaded executor; never blocks on a file |
//! | `disk-N`, `disk-control` | files and hashing: cores − 1, and one for what may take long (sync, resume data) |
//! | those of `blocking` | names, at most 4 at once; opening of download folders |
//! | `async-io` | the reactor's own, idle while `parcacik` runs |
//! | `parcacik-tracker` | a [tracker](tracker_server), where one was started |
//! | `parcacik-dht` | nodes of the [DHT](dht) without a session, where they were started |
//!
//! # The way of a block
//!
//! ```text
//! in:   socket -> 64 or 256 KiB chunk of a pool -> Received -> core: a slice of it -> Write
//!       -> disk thread: joined with its neighbours, hashed, written
//! out:  disk thread: one read of many blocks -> core: slices of it -> SendContent -> queue
//!       -> one vectored write -> socket
//! ```
//!
//! No channel lies between a socket and the core, no lock but that of the buffers (twice a chunk), and a block is not copied between a socket and the disk
//! (but for one that is split over two chunks). What is read is bounded by credit that the core gives, what is queued
//! to be sent by what it was told has left, and read buffers that wait for the disk by [`ClientConfig::max_pinned`].
//!
//! # Notices
//!
//! [`Client::notices`] gives a queue of [`ClientConfig::max_notices`] that the engine never waits for. When it is
//! full, the oldest notice of progress (`PieceDone`, `Checked`, `PeerConnected`, `PeerClosed`) is dropped, then the
//! oldest report (`PieceFailed`, `PeerBanned`, `TrackerAnswered`, `TrackerFailed`, `StorageFailed`, `Saved`). Answers
//! to commands, the latest state of a torrent, `Finished`, `Done`, `Removed` and `Stopped` always arrive.
//! [`NoticeReceiver::dropped`] counts what did not.
//!
//! # Ends
//!
//! [`Client::shutdown`] tells trackers and saves, within a bound. Dropping a client stops it at once, and waits for
//! nothing. Should the core panic, which is a bug in it, the thread survives, files are closed in order, the recording
//! is kept, and every call says [`ClientError::Broken`].
//!
//! # Parts that stand alone
//!
//! [`storage`] (files and hashing by [`Work`](parcacik_core::border::Work)), [`http`] (one GET to one address),
//! [`tracker_server`] and [`dht`] can be used without a client. An engine runs any [`Machine`] of the core's words, and
//! [`Client::start_with`] takes any [`DiskService`] and [`HttpService`].
// `sha1_lanes` alone is allowed it, and says why.
#![deny(missing_docs, unsafe_code)]

pub mod client;
mod clock;
pub mod dht;
mod engine;
pub mod fault;
pub mod http;
mod net;
pub mod record;
mod sha1_lanes;
pub mod storage;
pub mod tracker_server;

pub use client::{
    AddError, AddOptions, Client, ClientConfig, ClientError, CommandFailure, FileStats, Listening, NoticeReceiver,
    StartError, TorrentStats,
};
pub use engine::jobs::{Answer, DiskService, HttpService, Services};
pub use engine::{Machine, Recorder};
