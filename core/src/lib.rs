//! BitTorrent as state machines that do no I/O.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bencode;
pub mod bitfield;
pub mod border;
pub mod crc32c;
pub mod cx;
pub mod journal;
pub mod metainfo;
pub mod net_policy;
pub mod path;
pub mod peer;
pub mod rate;
pub mod rng;
pub mod session;
pub mod time;
mod timers;
pub mod torrent;
pub mod tracker;
pub mod wire;
