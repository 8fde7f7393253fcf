//! Runs parcacik-core on smol.

pub mod http;
