//! What is kept of a node of the DHT between two runs: a file in the state folder, the same for a session's node and for one that stands alone.
//!
//! A node is one process's alone, since two with the same id would be in each other's way: who has the lock goes by the id that was kept, and saves. Who has it not
//! begins with the nodes that it finds in the file, under an id of its own, and saves nothing.
//!
//! What cannot be read (damaged, of another version) counts as not there: it names nothing but nodes to begin with, and there are routers for that.

use super::locks::{LockFiles, StateLock, StateLockError};
use super::state::{self, StateName};
use cap_std::fs::Dir;
use parcacik_core::dht::NodeId;
use parcacik_core::dht::table::saved::Saved;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The file of a node, and the lock that goes with it, for as long as this lives.
#[derive(Debug)]
pub(crate) struct NodeFile {
    dir: Arc<Dir>,
    name: StateName,
    /// `None`: somebody else has it.
    lock: Option<StateLock>,
}

impl NodeFile {
    /// The file of the `number`th node of a family that one process has, from 1. Tries to get its lock.
    ///
    /// # Errors
    /// When there can be no lock in this folder.
    pub(super) fn of(dir: &Arc<Dir>, locks: &mut LockFiles, v6: bool, number: u32) -> io::Result<NodeFile> {
        let name = StateName::node(v6, number);
        let lock = match locks.lock(dir, &name) {
            Ok(lock) => Some(lock),
            Err(StateLockError::Held) => None,
            Err(StateLockError::Io(error)) => return Err(error),
        };
        Ok(NodeFile { dir: Arc::clone(dir), name, lock })
    }

    /// Whether nobody else has it.
    pub(crate) fn is_ours(&self) -> bool {
        self.lock.is_some()
    }

    /// What was kept, if there is anything, with at most so many others. Under an id that `other_id` gives, if somebody else goes by the one that was kept.
    pub(crate) fn load(&self, max_nodes: u32, other_id: impl FnOnce() -> Option<NodeId>) -> Option<Saved> {
        let name = &self.name;
        let bytes = match state::load_node(&self.dir, name) {
            Ok(bytes) => bytes?,
            Err(fault) => {
                tracing::warn!(%name, %fault, "what was kept of the DHT cannot be read");
                return None;
            }
        };
        match Saved::parse(&bytes, max_nodes) {
            Ok(saved) if self.is_ours() => Some(saved),
            Ok(saved) => Some(Saved { id: other_id()?, ..saved }),
            Err(why) => {
                tracing::warn!(%name, %why, "what was kept of the DHT is not used");
                None
            }
        }
    }

    /// Keeps what [`Saved::encode`] gave, whole or not at all.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when it is not ours; or it cannot be written, and what was kept before still is.
    pub(crate) fn store(&self, saved: &[u8]) -> io::Result<()> {
        if !self.is_ours() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        state::save_node(&self.dir, &self.name, saved)
    }

    /// Whether anything is kept.
    pub(crate) fn exists(&self) -> bool {
        self.dir.exists(format!("{}.node", self.name))
    }
}

/// The files of nodes of these families (IPv6 or not), in their order. The folder is created, for the owner alone, when missing.
///
/// # Errors
/// When the folder cannot be used.
pub(crate) fn open(dir: &Path, families: impl IntoIterator<Item = bool>) -> io::Result<Vec<NodeFile>> {
    let (dir, mut locks) = (Arc::new(state::open_state_dir(dir)?), LockFiles::default());
    let mut count = [0u32; 2];
    let files = families.into_iter().map(|v6| {
        count[usize::from(v6)] += 1;
        NodeFile::of(&dir, &mut locks, v6, count[usize::from(v6)])
    });
    files.collect()
}
