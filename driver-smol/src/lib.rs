//! Runs parcacik-core on smol: sockets, disk, hashing, names, HTTP; and an embeddable [`Client`].
#![deny(missing_docs)]

pub mod client;
mod clock;
mod engine;
pub mod fault;
pub mod http;
mod net;
pub mod storage;
pub mod tracker_server;

pub use client::{
    AddError, AddOptions, Client, ClientConfig, ClientError, Listening, NoticeReceiver, StartError, TorrentStats,
};
pub use engine::jobs::{Answer, DiskService, HttpService, Services};
pub use engine::{Machine, Recorder};
