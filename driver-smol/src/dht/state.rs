//! What is kept of nodes between two runs.
//!
//! In the state folder lie
//!
//! | file | what |
//! |---|---|
//! | `dht-4.state`, `dht-6.state` | the node of IPv4, that of IPv6, as [`Saved`] writes it; of a second one of a family `dht-4-2.state` |
//! | `*.tmp` | what is being written, or what a crash left; never read |
//! | `dht.lock` | empty; locked by who writes the others |
//!
//! A file is written whole under the other name, synced, and renamed. What cannot be read (damaged, of another version) counts as not there: it names nothing but
//! nodes to begin with, and there are routers for that.

use parcacik_core::dht::table::saved::Saved;
use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// More than a file may have: the head, the sum, and [`max_saved`](parcacik_core::border::DhtConfig::max_saved) nodes of 38 bytes at its greatest.
const MAX_FILE: u64 = 512 << 10;

/// The state folder.
#[derive(Debug)]
pub struct StateFiles {
    dir: PathBuf,
    /// Held for as long as we live.
    lock: Option<File>,
    last_version: AtomicU64,
    /// The version that was written last: an older one that comes later is dropped.
    written: Mutex<u64>,
}

impl StateFiles {
    /// Opens the folder; creates it, for the owner alone, when missing. Tries to get the lock.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(dir: &Path) -> io::Result<StateFiles> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let file = private().read(true).write(true).create(true).truncate(false).open(dir.join("dht.lock"))?;
        let lock = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Some(file),
            Err(rustix::io::Errno::WOULDBLOCK) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(StateFiles { dir: dir.to_owned(), lock, last_version: AtomicU64::new(0), written: Mutex::new(0) })
    }

    /// Whether nobody else has it.
    pub fn is_ours(&self) -> bool {
        self.lock.is_some()
    }

    /// What was kept of nodes at these addresses, with at most so many others each.
    pub fn load(&self, local: &[SocketAddr], max_nodes: u32) -> Vec<Option<Saved>> {
        names(local).map(|name| self.read(&name, max_nodes)).collect()
    }

    fn read(&self, name: &str, max_nodes: u32) -> Option<Saved> {
        let mut bytes = Vec::new();
        let file = private().read(true).open(self.dir.join(name)).ok()?;
        file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        match Saved::parse(&bytes, max_nodes) {
            Ok(saved) => Some(saved),
            Err(why) => {
                tracing::warn!(name, %why, "what was kept of the DHT is not used");
                None
            }
        }
    }

    /// Names a version, before it is taken.
    pub fn next_version(&self) -> u64 {
        self.last_version.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes a version of the state of nodes at these addresses, unless a newer one has been written already.
    ///
    /// # Errors
    /// When the folder is not ours, or a file cannot be written; the one before is still there then.
    pub fn store(&self, version: u64, local: &[SocketAddr], saved: &[Saved]) -> io::Result<()> {
        if !self.is_ours() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if version <= *written {
            return Ok(());
        }
        for (name, saved) in names(local).zip(saved) {
            // Nothing was learnt: what was known before is worth more.
            if saved.nodes.is_empty() && self.dir.join(&name).exists() {
                continue;
            }
            let temporary = self.dir.join(format!("{name}.tmp"));
            let mut file = private().write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all(&saved.encode()).and_then(|()| file.sync_all())?;
            std::fs::rename(&temporary, self.dir.join(name))?;
        }
        *written = version;
        Ok(())
    }
}

/// The names of the files of nodes, in the order of their addresses.
fn names(local: &[SocketAddr]) -> impl Iterator<Item = String> {
    let mut count = [0u32; 2];
    local.iter().map(move |addr| {
        let v6 = addr.is_ipv6();
        let number = &mut count[usize::from(v6)];
        *number += 1;
        let family = if v6 { 6 } else { 4 };
        if *number == 1 { format!("dht-{family}.state") } else { format!("dht-{family}-{number}.state") }
    })
}

/// Readable by the owner alone (it says whom we talk to), and never through a link.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
    options
}
