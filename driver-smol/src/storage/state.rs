//! Resume data: one file a torrent, two generations, locked against a second process.
//!
//! In the state folder lie, for each torrent in each download folder, under the [`StateName`] of both:
//!
//! | file | what |
//! |---|---|
//! | `NAME.resume` | the newest resume data |
//! | `NAME.resume.1` | the ones before |
//! | `NAME.resume.tmp` | what is being written, or what a crash left; never read |
//! | `dht-4.node`, `dht-6.node` | what the node of the DHT of a family was, and whom it knew: see [`node_file`](super::node_file); of a second one of a family `dht-4-2.node` |
//! | `locks.0` to `locks.f` | who has which torrent: see [`locks`](super::locks) |
//!
//! [`save`] writes the temporary file, syncs it, renames the newest to `.1`, renames the temporary file to the newest and
//! syncs the folder. Between any two of these steps one whole generation at least has its name.

use crate::fault::io_fault;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use parcacik_core::border::{InfoHash, IoFault};
use rustix::fs::OFlags;
use sha1::{Digest, Sha1};
use std::fmt;
use std::fs::DirBuilder;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The name of a torrent's files in the state folder: the info-hash in 40 hexadecimal digits, and 8 more that stand for the
/// download folder. The same torrent in two folders is two downloads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StateName(String);

impl StateName {
    /// The name for a torrent under a download folder, which is named by its real path.
    pub(super) fn new(key: InfoHash, root: &Path) -> StateName {
        StateName(format!("{key}-{}", place(root)))
    }
}

impl StateName {
    /// The name for the `number`th node of the DHT of a family, from 1.
    pub(super) fn node(v6: bool, number: u32) -> StateName {
        let family = if v6 { 6 } else { 4 };
        StateName(if number == 1 { format!("dht-{family}") } else { format!("dht-{family}-{number}") })
    }

    /// The name for the same torrent under another download folder.
    pub(super) fn under(&self, root: &Path) -> StateName {
        let key = self.0.split('-').next().unwrap_or_default();
        StateName(format!("{key}-{}", place(root)))
    }
}

/// What stands for a download folder.
fn place(root: &Path) -> String {
    Sha1::digest(root.as_os_str().as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens a state folder; creates it, for the owner alone, when missing.
pub(super) fn open_state_dir(path: &Path) -> io::Result<Dir> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    Dir::open_ambient_dir(path, ambient_authority())
}

/// What [`save`] is about to do. Tests stop it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write the temporary file (so far: nothing).
    Write,
    /// Sync it.
    Sync,
    /// Rename the newest generation to the older one.
    KeepOld,
    /// Rename the temporary file to the newest generation.
    Publish,
    /// Sync the folder.
    SyncDir,
}

/// Stores resume data, whole or not at all. The caller holds the torrent's [`StateLock`](super::locks::StateLock).
///
/// `before` is called before each step; its error ends the call there, as a crash would.
pub(super) fn save(
    dir: &Dir,
    key: &StateName,
    bytes: &[u8],
    mut before: impl FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let (newest, older, temporary) = (newest(key), older(key), format!("{key}.resume.tmp"));
    write(dir, &temporary, bytes, &mut before)?;
    before(Step::KeepOld)?;
    match dir.rename(&newest, dir, &older) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    before(Step::Publish)?;
    dir.rename(&temporary, dir, &newest)?;
    before(Step::SyncDir)?;
    sync_dir(dir)
}

/// Writes a file of its own, and syncs it.
fn write(dir: &Dir, temporary: &str, bytes: &[u8], mut before: impl FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    before(Step::Write)?;
    let mut options = private();
    options.write(true).create(true).truncate(true);
    let mut file = dir.open_with(temporary, &options)?.into_std();
    let written = file.write_all(bytes).and_then(|()| {
        before(Step::Sync)?;
        file.sync_all()
    });
    if written.is_err() {
        // It may be half of a file on a full disk: its room is given back. When that fails too it is never read anyway.
        drop(file);
        let _ = dir.remove_file(temporary);
    }
    written
}

fn sync_dir(dir: &Dir) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::DIRECTORY.bits() as i32);
    dir.open_with(".", &options)?.sync_all()
}

/// More than the state of a node that knows ten thousand others, as many as may be configured.
const MAX_NODE: u64 = 1 << 20;

/// Stores what a node of the DHT is, whole or not at all. It is of less worth than resume data: one generation is enough.
pub(super) fn save_node(dir: &Dir, key: &StateName, bytes: &[u8]) -> io::Result<()> {
    let (name, temporary) = (format!("{key}.node"), format!("{key}.node.tmp"));
    write(dir, &temporary, bytes, |_| Ok(()))?;
    dir.rename(&temporary, dir, &name)?;
    sync_dir(dir)
}

/// What a node of the DHT was, if anything is kept of it.
pub(super) fn load_node(dir: &Dir, key: &StateName) -> Result<Option<Bytes>, IoFault> {
    match read(dir, &format!("{key}.node"), MAX_NODE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(IoFault::NotFound) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Resume data, the newest first; at most two. What is longer than `limit` or cannot be read is left out: the older
/// generation is there for that. An error is given only when it leaves nothing.
pub(super) fn load(dir: &Dir, key: &StateName, limit: u64) -> Result<Vec<Bytes>, IoFault> {
    let mut found = Vec::new();
    let mut fault = None;
    for name in [newest(key), older(key)] {
        match read(dir, &name, limit) {
            Ok(bytes) => found.push(bytes),
            Err(IoFault::NotFound) => {}
            Err(other) => fault = fault.or(Some(other)),
        }
    }
    match fault {
        Some(fault) if found.is_empty() => Err(fault),
        _ => Ok(found),
    }
}

/// Removes resume data, also half of a save. The lock's file stays.
pub(super) fn remove(dir: &Dir, key: &StateName) -> io::Result<()> {
    for name in [format!("{key}.resume.tmp"), older(key), newest(key)] {
        match dir.remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn read(dir: &Dir, name: &str, limit: u64) -> Result<Bytes, IoFault> {
    let mut options = private();
    options.read(true);
    let file = dir.open_with(name, &options).map_err(|error| io_fault(&error))?;
    // One byte more than is allowed, to tell "full" from "too long": the length that the system states is not trusted.
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| io_fault(&error))?;
    if bytes.len() as u64 > limit {
        return Err(IoFault::TooLarge);
    }
    Ok(Bytes::from(bytes))
}

/// Readable by the owner alone (it names what somebody downloads), and never through a link.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
    options
}

fn newest(key: &StateName) -> String {
    format!("{key}.resume")
}

fn older(key: &StateName) -> String {
    format!("{key}.resume.1")
}
