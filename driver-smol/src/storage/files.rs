//! The files of one open torrent: byte ranges of pieces in, positional reads and writes out.
//!
//! Every path is opened relative to the handle of the download folder, by a library that refuses to leave it; the last element
//! is never followed when it is a symbolic link, and what is opened must be a regular file. Files and folders come to be on
//! the first write. A file that was there is adopted: never truncated, never made executable.
//!
//! What a power cut could take is kept in [`Dirty`]: files that were written, and folders that got new entries. A file that
//! only was *verified* counts too, once: an earlier run of the program may have written it and been killed before its sync.

use super::handles::Handles;
use super::relocate::{Place, prune};
use super::state::StateName;
use crate::fault::io_fault;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    FileRange, FileState, InfoHash, IoFault, JobResult, LayoutFile, Place as Lies, Span, StorageLayout,
};
use parcacik_core::path::SafePath;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// An open torrent. Shared by the workers and the control thread.
#[derive(Debug)]
pub(super) struct Files {
    /// Unlike the torrent's id it is never used again, so that nothing cached for a torrent that was released is taken for
    /// one that was opened later.
    pub(super) serial: u64,
    pub(super) layout: Arc<StorageLayout>,
    /// The path of the part file. Among the handles and in [`Dirty`] its number is the one behind the last file's.
    part: SafePath,
    place: Mutex<Place>,
    /// The name of its resume data.
    state: Mutex<StateName>,
    handles: Arc<Handles>,
    dirty: Mutex<Dirty>,
    /// The handles for writing that live. Held while a file is opened to be written, and when it is created until its folder is marked:
    /// so no other thread can write to it, answer, and have a sync miss the folder.
    writers: Mutex<BTreeMap<usize, Weak<File>>>,
}

/// How much is copied at once out of the part file.
const COPY: u64 = 256 << 10;

/// What would not survive a power cut.
#[derive(Debug, Default)]
struct Dirty {
    files: BTreeSet<usize>,
    dirs: BTreeSet<PathBuf>,
    /// Files that have been in `files` at least once since the torrent was opened.
    seen: BTreeSet<usize>,
}

impl Files {
    pub(super) fn new(
        serial: u64,
        layout: Arc<StorageLayout>,
        key: InfoHash,
        place: Place,
        state: StateName,
        handles: Arc<Handles>,
    ) -> Files {
        let part = layout.part_path(key);
        let (place, state) = (Mutex::new(place), Mutex::new(state));
        Files { serial, layout, part, place, state, handles, dirty: Mutex::default(), writers: Mutex::default() }
    }

    /// The number of the part file.
    fn part_number(&self) -> usize {
        self.layout.files().len()
    }

    /// The number of the file that bytes lie in; `None` for padding.
    fn number(&self, span: &Span) -> Option<usize> {
        match span.place {
            Lies::File => Some(span.file),
            Lies::PartFile => Some(self.part_number()),
            Lies::Padding => None,
        }
    }

    fn path(&self, number: usize) -> Result<PathBuf, IoFault> {
        match self.layout.files().get(number) {
            Some(file) => Ok(path_of(&file.path)),
            None if number == self.part_number() => Ok(path_of(&self.part)),
            None => Err(IoFault::Other),
        }
    }

    /// The download folder that it lies in.
    pub(super) fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It lies there from now on, with what is to be synced being the same.
    pub(super) fn set_place(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
        self.close();
    }

    /// The name of its resume data.
    pub(super) fn state(&self) -> StateName {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_state(&self, state: StateName) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// All files that it may have on the disk, by number.
    pub(super) fn paths(&self) -> impl Iterator<Item = (usize, PathBuf)> + '_ {
        let files = self.layout.files().iter().enumerate();
        let files = files.filter(|(_, file)| !file.pad).map(|(number, file)| (number, path_of(&file.path)));
        files.chain([(self.part_number(), path_of(&self.part))])
    }

    /// Deletes its files but some, and the folders that are empty then. What is no regular file is not ours.
    pub(super) fn delete(&self, spare: &BTreeSet<usize>) -> Result<(), IoFault> {
        self.close();
        let root = self.root();
        let mut result = Ok(());
        for (_, path) in self.paths().filter(|(number, _)| !spare.contains(number)) {
            let removed = match root.symlink_metadata(&path) {
                Ok(data) if data.is_file() => root.remove_file(&path),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => result = result.and(Err(io_fault(&error))),
                _ => {}
            }
        }
        prune(&root, self);
        *self.lock() = Dirty::default();
        result
    }

    /// Sees whether the path of the download folder leads to another one now: a disk has been mounted there, or taken away.
    fn find_root(&self) -> Result<(), IoFault> {
        let Place { dir, path } = self.place();
        let now = Dir::open_ambient_dir(&path, ambient_authority()).map_err(|error| io_fault(&error))?;
        let name = |dir: &Dir| dir.dir_metadata().map(|data| (data.dev(), data.ino()));
        if name(&dir).ok() != name(&now).ok() {
            self.set_place(Place { dir: Arc::new(now), path });
        }
        Ok(())
    }

    fn root(&self) -> Arc<Dir> {
        self.place().dir
    }

    /// Where a piece's byte lies in the torrent; `None` when the range does not lie inside it.
    pub(super) fn offset(&self, piece: u32, begin: u32, length: usize) -> Option<u64> {
        let start =
            u64::from(piece).checked_mul(u64::from(self.layout.piece_length()))?.checked_add(u64::from(begin))?;
        let end = start.checked_add(u64::try_from(length).ok()?)?;
        (end <= self.layout.total_length()).then_some(start)
    }

    /// Whether bytes of a pad file are in a range.
    pub(super) fn has_padding(&self, piece: u32, begin: u32, length: usize) -> bool {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.layout.ranges(piece, begin, length).any(|range| self.file(range).is_ok_and(|file| file.pad))
    }

    /// Fills `buffer` from a piece, as far as there are bytes: says how many, counted to the first that is missing.
    pub(super) fn read(&self, piece: u32, begin: u32, buffer: &mut [u8], apart: &Bitfield) -> Result<usize, IoFault> {
        let length = u32::try_from(buffer.len()).map_err(|_| IoFault::TooLarge)?;
        let mut filled = 0usize;
        for span in self.layout.spans(piece, begin, length, apart) {
            let wanted = usize::try_from(span.length).map_err(|_| IoFault::TooLarge)?;
            let Some(part) = buffer.get_mut(filled..).and_then(|rest| rest.get_mut(..wanted)) else { break };
            let Some(number) = self.number(&span) else {
                part.fill(0);
                filled += wanted;
                continue;
            };
            let got = match self.open(number, false) {
                Ok(file) => read_full(&file, part, span.offset).map_err(|error| io_fault(&error))?,
                Err(IoFault::NotFound) => 0,
                Err(fault) => return Err(fault),
            };
            filled += got;
            if got < wanted {
                break;
            }
        }
        Ok(filled)
    }

    /// Has the system fetch a piece, one file range after the other. For pieces that will be read in turns: a spinning disk
    /// would go back and forth between them.
    pub(super) fn prefetch(&self, piece: u32, length: u32, apart: &Bitfield) {
        for span in self.layout.spans(piece, 0, length, apart) {
            if let Some(number) = self.number(&span)
                && let Ok(file) = self.open(number, false)
            {
                // A hint: what goes wrong here goes wrong again when it is read, and is told then.
                let length = std::num::NonZeroU64::new(span.length);
                let _ = rustix::fs::fadvise(&*file, span.offset, length, rustix::fs::Advice::WillNeed);
            }
        }
    }

    /// Writes parts that touch, the first of them at `begin` of `piece`: one call to the system for each file they lie in.
    /// Says how many bytes are written when it fails.
    pub(super) fn write(
        &self,
        piece: u32,
        begin: u32,
        parts: &[&[u8]],
        apart: &Bitfield,
    ) -> Result<(), (usize, IoFault)> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).map_err(|_| (0, IoFault::TooLarge))?;
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        let mut written = 0usize;
        for span in self.layout.spans(piece, begin, length, apart) {
            let wanted = usize::try_from(span.length).map_err(|_| (written, IoFault::TooLarge))?;
            let Some(number) = self.number(&span) else {
                IoSlice::advance_slices(&mut slices, wanted);
                written += wanted;
                continue;
            };
            let file = self.open(number, true).map_err(|fault| (written, fault))?;
            let (done, result) = write_full(&file, &mut slices, wanted, span.offset);
            // Before anybody is told, so that a sync that begins after the answer sees it; also when it failed half-way.
            self.mark(number);
            written += done;
            result.map_err(|error| (written, io_fault(&error)))?;
        }
        Ok(())
    }

    /// Bytes of this piece are about to be vouched for: sees to it that the next sync covers its files.
    pub(super) fn vouch(&self, piece: u32, length: u32, apart: &Bitfield) {
        let mut dirty = self.lock();
        for number in self.layout.spans(piece, 0, length, apart).filter_map(|span| self.number(&span)) {
            if dirty.seen.insert(number)
                && let Ok(path) = self.path(number)
            {
                dirty.files.insert(number);
                dirty.dirs.extend(folders(&path));
            }
        }
    }

    /// Copies what the part file holds of a shared piece into the file that it belongs to; as far as it holds it.
    pub(super) fn carry(&self, piece: u32, file: usize) -> Result<(), IoFault> {
        let Some((range, start)) = self.layout.kept(file, piece) else { return Ok(()) };
        let part = match self.open(self.part_number(), false) {
            Ok(part) => part,
            // Lost: so are these bytes, and whoever wants them finds that out.
            Err(IoFault::NotFound) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let mut buffer = vec![0; usize::try_from(range.length.min(COPY)).map_err(|_| IoFault::TooLarge)?];
        let mut done = 0u64;
        while done < range.length {
            let wanted = usize::try_from((range.length - done).min(COPY)).map_err(|_| IoFault::TooLarge)?;
            let room = buffer.get_mut(..wanted).ok_or(IoFault::Other)?;
            let got = read_full(&part, room, start.saturating_add(done)).map_err(|error| io_fault(&error))?;
            if got > 0 {
                let target = self.open(file, true)?;
                let written = target.write_all_at(room.get(..got).unwrap_or_default(), range.offset + done);
                self.mark(file);
                written.map_err(|error| io_fault(&error))?;
            }
            if got < wanted {
                break;
            }
            done += got as u64;
        }
        Ok(())
    }

    /// Removes the part file, if there is one.
    pub(super) fn drop_part(&self) -> Result<(), IoFault> {
        self.handles.close_one((self.serial, self.part_number()));
        self.writers().remove(&self.part_number());
        let path = self.path(self.part_number())?;
        match self.root().remove_file(&path) {
            Ok(()) => {
                self.lock().dirs.extend(path.parent().map(Path::to_path_buf));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_fault(&error)),
        }
    }

    /// Creates files of no length, and the folders that they lie in.
    pub(super) fn create_empty(&self, files: &[u32]) -> Result<(), IoFault> {
        for index in files.iter().filter_map(|&file| usize::try_from(file).ok()) {
            self.open(index, true)?;
            self.mark(index);
        }
        Ok(())
    }

    /// The files as they are, the part file, and the room on their device.
    pub(super) fn check(&self) -> Result<JobResult, IoFault> {
        self.find_root()?;
        let files = self.layout.files().iter();
        let files = files.map(|file| if file.pad { Ok(None) } else { self.stat(&path_of(&file.path)) });
        let files = files.collect::<Result<_, IoFault>>()?;
        let part = self.stat(&path_of(&self.part))?;
        let free = rustix::fs::fstatvfs(&*self.root()).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        Ok(JobResult::Checked { files, part, free })
    }

    /// Makes everything written so far survive a power cut. Goes on after an error, so that no file is forgotten, and
    /// gives the first.
    ///
    /// A file that failed stays marked, and what the system has cached of it is dropped where possible: after a failed sync
    /// Linux takes the lost pages for clean, and hashing them would vouch for bytes that are only in memory.
    pub(super) fn sync(&self) -> Result<(), IoFault> {
        let (files, dirs) = {
            let mut dirty = self.lock();
            (std::mem::take(&mut dirty.files), std::mem::take(&mut dirty.dirs))
        };
        let mut result = Ok(());
        for index in files {
            if let Err(fault) = self.sync_file(index) {
                self.mark(index);
                result = result.and(Err(fault));
            }
        }
        // After the files: an entry in a folder must not last longer than what it names.
        for dir in dirs {
            match self.sync_dir(&dir) {
                Ok(()) => {}
                // Somebody removed it; so it has no entries that could be lost.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.lock().dirs.insert(dir);
                    result = result.and(Err(io_fault(&error)));
                }
            }
        }
        result
    }

    /// Closes the torrent's files: what the handles led to may lie elsewhere now, or nowhere.
    pub(super) fn close(&self) {
        self.handles.close(self.serial);
        self.writers().clear();
    }

    fn writers(&self) -> MutexGuard<'_, BTreeMap<usize, Weak<File>>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next sync will cover.
    #[cfg(test)]
    pub(super) fn unsynced(&self) -> (Vec<usize>, Vec<PathBuf>) {
        let dirty = self.lock();
        (dirty.files.iter().copied().collect(), dirty.dirs.iter().cloned().collect())
    }

    fn sync_file(&self, index: usize) -> Result<(), IoFault> {
        // `sync_all`, not `sync_data`: the time of change is part of what the resume data claim.
        let file = match self.open(index, false) {
            Ok(file) => file,
            // Somebody removed it: there is nothing to lose, and `check` says that it is gone.
            Err(IoFault::NotFound) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        file.sync_all().map_err(|error| {
            // Best effort, as the error that is given tells what matters.
            let _ = rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::DontNeed);
            io_fault(&error)
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let path = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let mut options = OpenOptions::new();
        // A plain read handle: the ones that folders are walked by cannot be synced.
        options.read(true).custom_flags(flags(OFlags::DIRECTORY));
        self.root().open_with(path, &options)?.sync_all()
    }

    fn stat(&self, path: &Path) -> Result<Option<FileState>, IoFault> {
        match self.root().symlink_metadata(path) {
            Ok(data) if data.is_file() => {
                let modified = data.mtime().saturating_mul(1_000_000_000).saturating_add(data.mtime_nsec());
                Ok(Some(FileState { length: data.len(), modified }))
            }
            Ok(_) => Err(IoFault::Exists),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_fault(&error)),
        }
    }

    /// A handle for a file, opened when there is none. With `write`, the file and its folders are created when missing.
    fn open(&self, index: usize, write: bool) -> Result<Arc<File>, IoFault> {
        let key = (self.serial, index);
        if let Some(file) = self.handles.get(key, write) {
            return Ok(file);
        }
        let path = self.path(index)?;
        if write {
            return self.open_to_write(index, &path);
        }
        let file = Arc::new(self.open_path(&path, false).map_err(open_fault)?);
        regular(&file)?;
        Ok(self.handles.put(key, file, false))
    }

    /// A file that is written is locked against other writers: two processes that download one torrent into one folder would each
    /// count what the other does for its own, whatever folders their resume data lie in.
    fn open_to_write(&self, index: usize, path: &Path) -> Result<Arc<File>, IoFault> {
        let key = (self.serial, index);
        let mut writers = self.writers();
        // Somebody may have opened it meanwhile, or works on with a handle that is not kept any more.
        if let Some(file) = writers.get(&index).and_then(Weak::upgrade) {
            return Ok(self.handles.put(key, file, true));
        }
        let file = match self.open_path(path, true) {
            Err(Errno::NOENT) => self.create(path)?,
            other => other.map_err(open_fault)?,
        };
        regular(&file)?;
        self.claim(&file)?;
        let file = Arc::new(file);
        writers.retain(|_, file| file.strong_count() > 0);
        writers.insert(index, Arc::downgrade(&file));
        Ok(self.handles.put(key, file, true))
    }

    /// Where the file system knows no locks, there is no claim, and no harm.
    fn claim(&self, file: &File) -> Result<(), IoFault> {
        if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(());
        }
        // It may be another torrent of ours, which is done with it.
        self.handles.close_all();
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(IoFault::Busy),
            _ => Ok(()),
        }
    }

    fn create(&self, path: &Path) -> Result<File, IoFault> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.root().create_dir_all(parent).map_err(|error| open_fault(errno_of(&error)))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).custom_flags(flags(SAFE));
        let opened = self.root().open_with(path, &options);
        self.lock().dirs.extend(folders(path));
        opened.map(|file| file.into_std()).map_err(|error| open_fault(errno_of(&error)))
    }

    fn open_path(&self, path: &Path, write: bool) -> Result<File, Errno> {
        let mut options = OpenOptions::new();
        options.read(true).write(write).custom_flags(flags(SAFE));
        let open = || self.root().open_with(path, &options).map_err(|error| errno_of(&error));
        let opened = match open() {
            Err(Errno::MFILE | Errno::NFILE) => {
                self.handles.close_all();
                open()
            }
            other => other,
        };
        opened.map(|file| file.into_std())
    }

    fn file(&self, range: FileRange) -> Result<&LayoutFile, IoFault> {
        self.layout.files().get(range.file).ok_or(IoFault::Other)
    }

    fn mark(&self, index: usize) {
        let mut dirty = self.lock();
        dirty.files.insert(index);
        dirty.seen.insert(index);
    }

    fn lock(&self) -> MutexGuard<'_, Dirty> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last element is not followed when it is a link, and opening something that is not a file (a pipe, a terminal)
/// neither waits nor makes it ours.
pub(super) const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

pub(super) fn flags(flags: OFlags) -> i32 {
    // The kernel's flags are 31 bits; the cast changes the type only.
    flags.bits() as i32
}

/// The error of an open: what stands in the way of a file has its own word.
fn open_fault(errno: Errno) -> IoFault {
    match errno {
        // ENXIO: a socket, or a pipe that nobody reads.
        Errno::NXIO => IoFault::Exists,
        // An escape through a link: refused by the kernel, or by the library where the kernel cannot.
        Errno::XDEV => IoFault::Denied,
        other => io_fault(&other.into()),
    }
}

/// The number of an error; of those made by the path library, which have none, there is only "it led outside".
pub(super) fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(match error.kind() {
        io::ErrorKind::NotFound => Errno::NOENT,
        io::ErrorKind::AlreadyExists => Errno::EXIST,
        io::ErrorKind::PermissionDenied => Errno::ACCESS,
        _ => Errno::INVAL,
    })
}

fn regular(file: &File) -> Result<(), IoFault> {
    match file.metadata() {
        Ok(data) if data.is_file() => Ok(()),
        Ok(_) => Err(IoFault::Exists),
        Err(error) => Err(io_fault(&error)),
    }
}

fn path_of(path: &SafePath) -> PathBuf {
    path.elements().iter().collect()
}

/// The folders above a path, the download folder itself (the empty path) included.
pub(super) fn folders(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    path.ancestors().skip(1).map(Path::to_path_buf)
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// How many slices go into one call: well under the 1,024 that POSIX systems take.
const MAX_SLICES: usize = 512;

/// Writes the first `length` bytes of `slices` and moves past them; says how many were written in any case.
fn write_full(file: &File, slices: &mut &mut [IoSlice<'_>], length: usize, offset: u64) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < length {
        match write_some(file, slices, length - written, offset.saturating_add(written as u64)) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                written += count;
                IoSlice::advance_slices(slices, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// One call: as many slices as belong wholly to the first `length` bytes, or the part of the first one that does.
fn write_some(file: &File, slices: &[IoSlice<'_>], length: usize, offset: u64) -> io::Result<usize> {
    let mut room = length;
    let whole = slices
        .iter()
        .take(MAX_SLICES)
        .take_while(|slice| {
            let fits = slice.len() <= room;
            room = room.saturating_sub(slice.len());
            fits
        })
        .count();
    match (slices.get(..whole), slices.first()) {
        (Some(several), _) if whole > 1 => write_vectored_at(file, several, offset),
        (_, Some(first)) => file.write_at(first.get(..length.min(first.len())).unwrap_or_default(), offset),
        _ => Ok(0),
    }
}

#[cfg(target_os = "linux")]
fn write_vectored_at(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, slices, offset)?)
}

#[cfg(not(target_os = "linux"))]
fn write_vectored_at(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    slices.first().map_or(Ok(0), |first| file.write_at(first, offset))
}
