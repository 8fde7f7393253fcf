//! What `--json` prints: an object a line.

use parcacik_core::border::{Source, SourceCounts};
use serde::{Serialize, Serializer};
use std::path::Path;

/// Who has named peers: those that have, by name, with how many addresses, and how many of those there is a connection to.
#[derive(Debug)]
pub(super) struct PeerSources(pub SourceCounts);

#[derive(Debug, Serialize)]
struct Count {
    known: u32,
    connected: u32,
}

impl Serialize for PeerSources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = |source| Count { known: self.0.known(source), connected: self.0.connected(source) };
        let counts = Source::ALL.into_iter().map(|source| (source.as_str(), count(source)));
        serializer.collect_map(counts.filter(|(_, count)| count.known > 0))
    }
}

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
        sources: PeerSources,
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
