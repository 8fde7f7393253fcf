//! The commands, one in each file.

pub mod announce;
pub mod completions;
pub mod create;
pub mod demo;
pub mod dht;
pub mod dissect;
pub mod download;
pub mod inspect;
pub mod magnet;
pub mod man;
pub mod metadata;
pub mod redact;
pub mod replay;
pub mod scrape;
pub mod seed;
pub mod shrink;
pub mod tracker;
pub mod verify;
