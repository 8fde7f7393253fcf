//! What is kept of nodes between two runs.
//!
//! In the state folder lie `dht-4.node` and `dht-6.node`, the node of IPv4 and that of IPv6, as [`Saved`] writes them; of a second one of a family
//! `dht-4-2.node`. They are those of a session in the same folder too: whoever comes second, a session or a client, begins with the nodes that it finds
//! there, under an id of its own, and saves nothing.
//!
//! A file is written whole under another name, synced, and renamed. What cannot be read (damaged, of another version) counts as not there.

use crate::storage::node_file::{self, NodeFile};
use parcacik_core::dht::NodeId;
use parcacik_core::dht::table::saved::Saved;
use parcacik_core::rng::Rng;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The files of a client's nodes, in the order of their addresses.
#[derive(Debug)]
pub struct StateFiles {
    files: Vec<NodeFile>,
    last_version: AtomicU64,
    /// The version that was written last: an older one that comes later is dropped.
    written: Mutex<u64>,
}

impl StateFiles {
    /// Opens the folder for nodes at these addresses; creates it, for the owner alone, when missing. Tries to get the locks, and holds them for as long as it lives.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(dir: &Path, local: &[SocketAddr]) -> io::Result<StateFiles> {
        let files = node_file::open(dir, local.iter().map(SocketAddr::is_ipv6))?;
        Ok(StateFiles { files, last_version: AtomicU64::new(0), written: Mutex::new(0) })
    }

    /// Whether all of them are ours to write.
    pub fn is_ours(&self) -> bool {
        self.files.iter().all(NodeFile::is_ours)
    }

    /// What was kept of the nodes, with at most so many others each. Ids of nodes that somebody else has are drawn from `rng`.
    pub fn load(&self, max_nodes: u32, rng: &mut Rng) -> Vec<Option<Saved>> {
        self.files.iter().map(|file| file.load(max_nodes, || Some(NodeId::random(rng)))).collect()
    }

    /// Names a version, before it is taken.
    pub fn next_version(&self) -> u64 {
        self.last_version.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes a version of the state of the nodes that nobody else has, unless a newer one has been written already.
    ///
    /// # Errors
    /// When a file cannot be written; the one before is still there then.
    pub fn store(&self, version: u64, saved: &[Saved]) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if version <= *written {
            return Ok(());
        }
        for (file, saved) in self.files.iter().zip(saved).filter(|(file, _)| file.is_ours()) {
            // Nothing was learnt: what was known before is worth more.
            if !saved.nodes.is_empty() || !file.exists() {
                file.store(&saved.encode())?;
            }
        }
        *written = version;
        Ok(())
    }
}
