//! One torrent.

pub mod candidates;
pub mod choker;
pub mod persist;
pub mod resume;
