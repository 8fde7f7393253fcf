//! Runs parcacik-core on smol.

pub mod fault;
pub mod http;
pub mod storage;
