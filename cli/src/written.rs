//! What is told of a `.torrent` file that was written.

use anyhow::Result;
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What programs get. The keys are a contract.
#[derive(Debug, Serialize)]
pub struct Written {
    /// Where it lies.
    pub path: PathBuf,
    /// The name of the torrent.
    pub name: String,
    /// In hexadecimal digits.
    pub info_hash: String,
    /// Of its files, in sum.
    pub bytes: u64,
    /// In bytes.
    pub piece_length: u32,
    /// How many pieces there are.
    pub piece_count: u32,
    /// How many files there are.
    pub files: usize,
}

impl Written {
    /// Read back, so that what is told is what others will see.
    ///
    /// # Errors
    /// The bytes are no torrent file.
    pub fn read_back(path: &Path, bytes: &[u8]) -> Result<Written> {
        let torrent = Metainfo::parse(bytes, &MetainfoLimits::default())?;
        let geometry = torrent.geometry();
        Ok(Written {
            path: path.to_owned(),
            name: torrent.name().to_owned(),
            info_hash: torrent.hashes().best().to_hex(),
            bytes: geometry.total_length(),
            piece_length: geometry.piece_length(),
            piece_count: geometry.pieces(),
            files: torrent.files().len(),
        })
    }
}
