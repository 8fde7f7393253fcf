//! One torrent.
pub mod blame;
pub mod picker;
