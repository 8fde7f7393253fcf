//! Moving a torrent's files to another folder: all or nothing, and never over anything.
//!
//! 1. Nothing may exist where the files are to go, and what is to go must be regular files.
//! 2. Each file is renamed, by the call that refuses to replace. Where that cannot be, because the folder is on another file
//!    system, it is copied: holes stay holes, the time of change and the permissions stay, and the copy is synced.
//! 3. The folders that got new entries are synced.
//! 4. Only then the originals of copies are removed, and the folders that are empty now.
//!
//! Before step 4 everything can be undone, and is when something fails or the move is called off. In step 4 nothing can
//! fail any more that matters: a file that is left over is in nobody's way.

use super::files::{Files, SAFE, errno_of, flags, folders};
use crate::fault::io_fault;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use parcacik_core::border::IoFault;
use rustix::fs::{OFlags, RenameFlags, SeekFrom, renameat_with};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much is copied between two looks at whether the move was called off.
const CHUNK: usize = 1 << 20;

/// A download folder.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dir: Arc<Dir>,
    /// Its real path.
    pub(super) path: PathBuf,
}

/// Says whether the move was called off.
pub(super) type Halt<'a> = &'a dyn Fn() -> bool;

/// What has been done, to be undone.
#[derive(Default)]
struct Done {
    renamed: Vec<PathBuf>,
    copied: Vec<PathBuf>,
    /// Folders that were made, the outer ones first.
    made: Vec<PathBuf>,
}

/// Moves all files of a torrent; they are opened there from then on. The caller sees to it that nobody uses them meanwhile.
pub(super) fn relocate(files: &Files, to: Place, halt: Halt<'_>) -> Result<(), IoFault> {
    let from = files.place();
    if from.path == to.path {
        return Ok(());
    }
    let paths = plan(files, &from.dir, &to.dir)?;
    files.close();
    let mut done = Done::default();
    if let Err(fault) = carry_over(&paths, &from.dir, &to.dir, &mut done, halt) {
        undo(&done, &from.dir, &to.dir);
        return Err(fault);
    }
    for path in &done.copied {
        if let Err(error) = from.dir.remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "left behind by a move");
        }
    }
    files.set_place(to);
    prune(&from.dir, files);
    Ok(())
}

/// The files that exist, when all of them may go.
fn plan(files: &Files, from: &Dir, to: &Dir) -> Result<Vec<PathBuf>, IoFault> {
    let mut found = Vec::new();
    for (_, path) in files.paths() {
        match to.symlink_metadata(&path) {
            Ok(_) => return Err(IoFault::Exists),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_fault(&error)),
        }
        match from.symlink_metadata(&path) {
            Ok(data) if data.is_file() => found.push(path),
            Ok(_) => return Err(IoFault::Exists),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_fault(&error)),
        }
    }
    Ok(found)
}

fn carry_over(paths: &[PathBuf], from: &Dir, to: &Dir, done: &mut Done, halt: Halt<'_>) -> Result<(), IoFault> {
    let dirs: BTreeSet<PathBuf> = paths.iter().flat_map(|path| folders(path)).collect();
    // In order, so the outer ones come first.
    for dir in dirs.iter().filter(|dir| !dir.as_os_str().is_empty()) {
        match to.create_dir(dir) {
            Ok(()) => done.made.push(dir.clone()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_fault(&error)),
        }
    }
    for path in paths {
        if halt() {
            return Err(IoFault::Cancelled);
        }
        match rename(from, to, path) {
            Ok(()) => done.renamed.push(path.clone()),
            Err(Errno::XDEV) => copy(from, to, path, done, halt)?,
            Err(errno) => return Err(io_fault(&errno.into())),
        }
    }
    for dir in dirs {
        sync_dir(to, &dir).map_err(|error| io_fault(&error))?;
        if !done.renamed.is_empty() {
            sync_dir(from, &dir).map_err(|error| io_fault(&error))?;
        }
    }
    Ok(())
}

/// Takes back what has been done, the last first.
fn undo(done: &Done, from: &Dir, to: &Dir) {
    for path in done.renamed.iter().rev() {
        if let Err(errno) = rename(to, from, path) {
            tracing::error!(%errno, path = %path.display(), "a move failed, and this file could not be moved back");
        }
    }
    for path in &done.copied {
        if let Err(error) = to.remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "left behind by a move that failed");
        }
    }
    for dir in done.made.iter().rev() {
        // Somebody may have put something in it.
        let _ = to.remove_dir(dir);
    }
}

/// Removes the torrent's folders that are empty, the inner ones first; never the download folder.
pub(super) fn prune(root: &Dir, files: &Files) {
    let dirs: BTreeSet<PathBuf> = files.paths().flat_map(|(_, path)| folders(&path).collect::<Vec<_>>()).collect();
    for dir in dirs.iter().rev().filter(|dir| !dir.as_os_str().is_empty()) {
        // What is not empty is refused by the system; what is not there is fine too.
        let _ = root.remove_dir(dir);
    }
}

/// Renames a file from one folder to the same path in another; never replaces.
fn rename(from: &Dir, to: &Dir, path: &Path) -> Result<(), Errno> {
    let (old, name) = parent(from, path)?;
    let (new, _) = parent(to, path)?;
    match renameat_with(&old, &name, &new, &name, RenameFlags::NOREPLACE) {
        // Some file systems cannot promise that. That nothing is there has been looked at; here it is once more.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match new.symlink_metadata(&name) {
            Ok(_) => Err(Errno::EXIST),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                old.rename(&name, &new, &name).map_err(|error| errno_of(&error))
            }
            Err(error) => Err(errno_of(&error)),
        },
        other => other,
    }
}

/// The folder that a path lies in, opened without leaving the root, and the last element.
fn parent(root: &Dir, path: &Path) -> Result<(Dir, OsString), Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?.to_owned();
    let dir = match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => root.open_dir(dir),
        None => root.try_clone(),
    };
    Ok((dir.map_err(|error| errno_of(&error))?, name))
}

fn copy(from: &Dir, to: &Dir, path: &Path, done: &mut Done, halt: Halt<'_>) -> Result<(), IoFault> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags(SAFE));
    let source = from.open_with(path, &options).map_err(|error| io_fault(&error))?.into_std();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).custom_flags(flags(SAFE));
    let target = to.open_with(path, &options).map_err(|error| io_fault(&error))?.into_std();
    // From here on there is half of a copy, to be undone. What somebody else has put there meanwhile was not opened.
    done.copied.push(path.to_owned());
    let data = source.metadata().map_err(|error| io_fault(&error))?;
    copy_data(&source, &target, data.len(), halt)?;
    let finished = target
        .set_len(data.len())
        .and_then(|()| target.set_permissions(data.permissions()))
        .and_then(|()| data.modified())
        .and_then(|time| target.set_modified(time))
        .and_then(|()| target.sync_all());
    finished.map_err(|error| io_fault(&error))
}

/// Copies what a file holds, leaving out its holes.
fn copy_data(source: &File, target: &File, length: u64, halt: Halt<'_>) -> Result<(), IoFault> {
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => return Ok(()),
            // The file system does not know.
            Err(_) => at,
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(start)).unwrap_or(length).clamp(start, length);
        at = start;
        while at < end {
            if halt() {
                return Err(IoFault::Cancelled);
            }
            let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let room = buffer.get_mut(..wanted).unwrap_or_default();
            let got = match source.read_at(room, at) {
                // Somebody has cut it short: it is not the file that was asked for any more.
                Ok(0) => return Err(IoFault::ShortRead),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(io_fault(&error)),
            };
            target.write_all_at(room.get(..got).unwrap_or_default(), at).map_err(|error| io_fault(&error))?;
            at += got as u64;
        }
    }
    Ok(())
}

fn sync_dir(root: &Dir, dir: &Path) -> io::Result<()> {
    let path = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags(OFlags::DIRECTORY));
    root.open_with(path, &options)?.sync_all()
}
