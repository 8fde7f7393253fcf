//! What `--json` prints: an object a line.

use serde::Serialize;
use std::path::Path;

/// What is printed for programs.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Line<'a> {
    Listening {
        addrs: &'a [String],
    },
    Progress {
        name: &'a str,
        info_hash: &'a str,
        state: &'static str,
        bytes: u64,
        total: u64,
        pieces: u32,
        piece_count: u32,
        download_rate: u64,
        upload_rate: u64,
        uploaded: u64,
        peers: u32,
        seconds_left: Option<u64>,
    },
    /// What a magnet link leads to is known.
    Metadata {
        source: &'a str,
        name: &'a str,
        info_hash: &'a str,
        bytes: u64,
        piece_count: u32,
        files: usize,
    },
    Finished {
        name: &'a str,
        path: &'a Path,
        info_hash: &'a str,
        bytes: u64,
        seconds: f64,
    },
    /// `name` and `info_hash` are null when the source could not be read.
    Failed {
        source: &'a str,
        name: Option<&'a str>,
        info_hash: Option<&'a str>,
        error: &'a str,
    },
}
