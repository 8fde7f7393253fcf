//! Files: one thread that does disk work in the order in which it was started.
//!
//! One thread and no queue-jumping gives for free what the border asks for: `Open` comes first, and a `Read`, `Verify` or
//! `Sync` sees every `Write` that ended before. A driver for speed has several, joins neighbouring writes and hashes on
//! the way.
//!
//! Paths need no check here: the core hands out [`SafePath`](parcacik_core::path::SafePath)s only. Resume data lie in
//! the download folder, as `.INFOHASH.resume`, with the generation before and a lock file beside them.

use super::{Message, fault};
use bytes::Bytes;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Event, FileState, IoFault, JobId, JobResult, LayoutFile, PieceHash, Place, RootId, Span, StorageLayout, TorrentId,
    Verdict, Work,
};
use parcacik_core::path::SafePath;
use sha1::{Digest, Sha1};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel};
use std::thread;
use std::time::SystemTime;

/// The length of a block, whose hashes find out who sent a bad one.
const BLOCK: usize = 16 << 10;
/// The most bytes of resume data that are believed to be some.
const RESUME_LIMIT: u64 = 64 << 20;

/// The way to the disk's thread.
#[derive(Debug)]
pub struct Disk {
    orders: Sender<Order>,
}

enum Order {
    Root(RootId, PathBuf),
    Work(JobId, Work),
}

impl Disk {
    pub fn start(tells: SyncSender<Message>) -> Disk {
        let (orders, received) = channel();
        thread::spawn(move || {
            let mut worker = Worker::default();
            for order in received {
                match order {
                    Order::Root(root, path) => _ = worker.roots.insert(root, path),
                    Order::Work(job, work) => {
                        let result = worker.work(work);
                        let _ = tells.send(Message::Event(Event::JobDone { job, result }));
                    }
                }
            }
        });
        Disk { orders }
    }

    pub fn add_root(&self, root: RootId, path: PathBuf) {
        let _ = self.orders.send(Order::Root(root, path));
    }

    /// Hands a job over; it fails when the thread is gone.
    pub fn start_job(&self, job: JobId, work: Work) -> Result<(), IoFault> {
        self.orders.send(Order::Work(job, work)).map_err(|_| IoFault::Other)
    }
}

/// The thread's own.
#[derive(Default)]
struct Worker {
    roots: HashMap<RootId, PathBuf>,
    torrents: HashMap<TorrentId, Torrent>,
}

struct Torrent {
    key: String,
    root: PathBuf,
    layout: Arc<StorageLayout>,
    /// Where the bytes of files that are kept apart lie.
    part: SafePath,
    /// Which files are.
    apart: Bitfield,
    /// Where resume data lie, without an ending.
    state: PathBuf,
    /// Held for as long as the torrent is ours, so that a second process keeps off.
    lock: Option<File>,
}

impl Worker {
    fn work(&mut self, work: Work) -> Result<JobResult, IoFault> {
        match work {
            Work::Open { torrent, root, key, layout } => {
                let root = self.roots.get(&root).ok_or(IoFault::NotFound)?.clone();
                let (key_hash, key, lock) = (key, key.to_string(), None);
                let state = root.join(format!(".{key}"));
                let part = layout.part_path(key_hash);
                let apart = Bitfield::default();
                self.torrents.insert(torrent, Torrent { key, root, layout, part, apart, state, lock });
                Ok(JobResult::Done)
            }
            Work::Release { torrent } => {
                self.torrents.remove(&torrent);
                Ok(JobResult::Done)
            }
            Work::Delete { torrent, spare } => self.torrent(torrent)?.delete(&spare),
            Work::Move { torrent, root } => {
                let root = self.roots.get(&root).ok_or(IoFault::NotFound)?.clone();
                let torrent = self.torrents.get_mut(&torrent).ok_or(IoFault::NotFound)?;
                torrent.move_to(root)?;
                torrent.check()
            }
            Work::Check { torrent } => self.torrent(torrent)?.check(),
            Work::CreateEmpty { torrent, files } => self.torrent(torrent)?.create_empty(&files),
            Work::Place { torrent, apart, pieces } => {
                self.torrents.get_mut(&torrent).ok_or(IoFault::NotFound)?.place(apart, &pieces)
            }
            Work::DropPart { torrent } => self.torrent(torrent)?.drop_part(),
            Work::Read { torrent, piece, begin, length } => {
                let bytes = self.torrent(torrent)?.read(piece, begin, length)?;
                Ok(JobResult::Read(Bytes::from(bytes)))
            }
            Work::Write { torrent, piece, begin, bytes } => self.torrent(torrent)?.write(piece, begin, &bytes),
            Work::Verify { torrent, piece, length, expect, blocks } => {
                self.torrent(torrent)?.verify(piece, length, expect, blocks)
            }
            Work::Sync { torrent } => {
                let torrent = self.torrent(torrent)?;
                torrent.sync().map_err(|error| fault(&error))?;
                torrent.check()
            }
            Work::Save { torrent, bytes } => {
                let torrent = self.torrent(torrent)?;
                torrent.save(&bytes).map_err(|error| fault(&error))?;
                Ok(JobResult::Done)
            }
            Work::Load { torrent } => self.torrents.get_mut(&torrent).ok_or(IoFault::NotFound)?.load(),
            _ => Err(IoFault::Unsupported),
        }
    }

    fn torrent(&self, torrent: TorrentId) -> Result<&Torrent, IoFault> {
        self.torrents.get(&torrent).ok_or(IoFault::NotFound)
    }
}

impl Torrent {
    fn path(&self, file: usize) -> Result<PathBuf, IoFault> {
        let file = self.layout.files().get(file).ok_or(IoFault::Other)?;
        Ok(below(&self.root, &file.path))
    }

    fn part_path(&self) -> PathBuf {
        below(&self.root, &self.part)
    }

    /// The file that some bytes lie in; none for padding.
    fn home(&self, span: &Span) -> Result<Option<PathBuf>, IoFault> {
        match span.place {
            Place::File => self.path(span.file).map(Some),
            Place::PartFile => Ok(Some(self.part_path())),
            Place::Padding => Ok(None),
        }
    }

    /// The files as they are, or `Exists` where something stands that is no file.
    fn check(&self) -> Result<JobResult, IoFault> {
        let files = self.layout.files().iter();
        let files = files.map(|file| if file.pad { Ok(None) } else { state(&below(&self.root, &file.path)) });
        Ok(JobResult::Checked { files: files.collect::<Result<_, _>>()?, part: state(&self.part_path())?, free: None })
    }

    fn create_empty(&self, files: &[u32]) -> Result<JobResult, IoFault> {
        for &file in files {
            open_to_write(&self.path(file as usize)?).map_err(|error| fault(&error))?;
        }
        Ok(JobResult::Done)
    }

    /// Copies first: when that fails, the old way still holds.
    fn place(&mut self, apart: Bitfield, pieces: &[u32]) -> Result<JobResult, IoFault> {
        for file in self.apart.iter().filter(|&file| !apart.get(file)).map(|file| file as usize) {
            let path = self.path(file)?;
            for (range, at) in pieces.iter().filter_map(|&piece| self.layout.kept(file, piece)) {
                copy(&self.part_path(), at, &path, range.offset, range.length).map_err(|error| fault(&error))?;
            }
        }
        self.apart = apart;
        Ok(JobResult::Done)
    }

    fn drop_part(&self) -> Result<JobResult, IoFault> {
        match fs::remove_file(self.part_path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault(&error)),
            _ => Ok(JobResult::Done),
        }
    }

    fn read(&self, piece: u32, begin: u32, length: u32) -> Result<Vec<u8>, IoFault> {
        let mut bytes = Vec::new();
        for span in self.layout.spans(piece, begin, length, &self.apart) {
            let from = bytes.len();
            // A part of one piece: it fits the memory.
            bytes.resize(from + span.length as usize, 0);
            let Some(path) = self.home(&span)? else { continue };
            let mut open = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(IoFault::ShortRead),
                other => other.map_err(|error| fault(&error))?,
            };
            open.seek(SeekFrom::Start(span.offset)).map_err(|error| fault(&error))?;
            open.read_exact(&mut bytes[from..]).map_err(|error| fault(&error))?;
        }
        if bytes.len() == length as usize { Ok(bytes) } else { Err(IoFault::ShortRead) }
    }

    fn write(&self, piece: u32, begin: u32, bytes: &Bytes) -> Result<JobResult, IoFault> {
        let mut rest = &bytes[..];
        for span in self.layout.spans(piece, begin, bytes.len() as u32, &self.apart) {
            let (part, behind) = rest.split_at_checked(span.length as usize).ok_or(IoFault::Other)?;
            rest = behind;
            if let Some(path) = self.home(&span)? {
                let mut open = open_to_write(&path).map_err(|error| fault(&error))?;
                open.seek(SeekFrom::Start(span.offset)).map_err(|error| fault(&error))?;
                open.write_all(part).map_err(|error| fault(&error))?;
            }
        }
        Ok(JobResult::Done)
    }

    fn verify(&self, piece: u32, length: u32, expect: PieceHash, blocks: bool) -> Result<JobResult, IoFault> {
        let bytes = match self.read(piece, 0, length) {
            Ok(bytes) => bytes,
            // A file that is missing or short makes a mismatch, not a fault.
            Err(IoFault::ShortRead) => return Ok(JobResult::Verified(Verdict { matches: false, blocks: Vec::new() })),
            Err(fault) => return Err(fault),
        };
        let matches = expect == PieceHash::Sha1(Sha1::digest(&bytes).into());
        let blocks = match blocks {
            true => bytes.chunks(BLOCK).map(|block| Sha1::digest(block).into()).collect(),
            false => Vec::new(),
        };
        Ok(JobResult::Verified(Verdict { matches, blocks }))
    }

    /// Syncs every file that is there, and the folders that name them.
    fn sync(&self) -> io::Result<()> {
        let files = self.layout.files().iter().filter(|file| !file.pad).map(|file| below(&self.root, &file.path));
        for path in files.chain([self.part_path()]) {
            match File::open(&path) {
                Ok(open) => open.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root)) {
                sync_folder(folder)?;
            }
        }
        Ok(())
    }

    /// Whole or not at all: between any two of these steps one whole generation has its name.
    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        let (newest, older, unfinished) = (self.state("resume"), self.state("resume.1"), self.state("resume.tmp"));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::rename(&newest, older) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::rename(unfinished, newest)?,
        }
        sync_folder(&self.root)
    }

    fn load(&mut self) -> Result<JobResult, IoFault> {
        let lock = File::create(self.state("lock")).map_err(|error| fault(&error))?;
        match lock.try_lock() {
            Ok(()) => self.lock = Some(lock),
            Err(TryLockError::WouldBlock) => return Err(IoFault::Busy),
            Err(TryLockError::Error(error)) => return Err(fault(&error)),
        }
        let mut found = Vec::new();
        for name in [self.state("resume"), self.state("resume.1")] {
            let mut bytes = Vec::new();
            // Unreadable is as good as none: the pieces are hashed then.
            if let Ok(file) = File::open(name)
                && file.take(RESUME_LIMIT).read_to_end(&mut bytes).is_ok()
            {
                found.push(Bytes::from(bytes));
            }
        }
        Ok(JobResult::Loaded(found))
    }

    /// Deletes the torrent's files but some, the folders that are empty then, and its resume data.
    fn delete(&self, spare: &[u32]) -> Result<JobResult, IoFault> {
        let mut result = Ok(JobResult::Done);
        let mut remove = |path: &Path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => result = Err(fault(&error)),
            _ => {}
        };
        ["resume.tmp", "resume.1", "resume"].iter().for_each(|ending| remove(&self.state(ending)));
        for (number, file) in (0u32..).zip(self.layout.files()) {
            let path = place_in(&self.root, file);
            // A link, or whatever else is no file, is not ours.
            let is_file = fs::symlink_metadata(&path).is_ok_and(|data| data.is_file());
            if is_file && !file.pad && !spare.contains(&number) {
                remove(&path);
            }
        }
        remove(&self.part_path());
        self.remove_empty_folders(&self.root);
        result
    }

    /// Removes folders of the layout that are empty, the inner ones first.
    fn remove_empty_folders(&self, root: &Path) {
        let paths = self.layout.files().iter().map(|file| place_in(root, file));
        let folders: BTreeSet<PathBuf> =
            paths.flat_map(|path| path.ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>()).collect();
        for folder in folders.iter().rev().filter(|folder| folder.starts_with(root) && *folder != root) {
            // The system refuses to remove what is not empty.
            let _ = fs::remove_dir(folder);
        }
    }

    /// Moves files and resume data to another folder; when anything fails, back.
    fn move_to(&mut self, root: PathBuf) -> Result<(), IoFault> {
        let files = self.layout.files().iter().filter(|file| !file.pad);
        let mut pairs: Vec<(PathBuf, PathBuf)> =
            files.map(|file| (place_in(&self.root, file), place_in(&root, file))).collect();
        pairs.push((self.part_path(), below(&root, &self.part)));
        let state = root.join(format!(".{}", self.key));
        for ending in ["resume.1", "resume", "lock"] {
            pairs.push((self.state(ending), with_ending(&state, ending)));
        }
        if pairs.iter().any(|(_, to)| fs::symlink_metadata(to).is_ok()) {
            return Err(IoFault::Exists);
        }
        pairs.retain(|(from, _)| fs::symlink_metadata(from).is_ok());
        let mut moved = 0;
        let result = pairs.iter().try_for_each(|(from, to)| {
            fs::create_dir_all(to.parent().unwrap_or(&root))?;
            carry(from, to)?;
            moved += 1;
            Ok(())
        });
        match result {
            Ok(()) => {
                self.remove_empty_folders(&self.root);
                (self.root, self.state) = (root, state);
                self.sync().map_err(|error| fault(&error))
            }
            Err(error) => {
                pairs.iter().take(moved).for_each(|(from, to)| _ = carry(to, from));
                self.remove_empty_folders(&root);
                Err(fault(&error))
            }
        }
    }

    fn state(&self, ending: &str) -> PathBuf {
        with_ending(&self.state, ending)
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Where a file lies under a folder.
fn place_in(root: &Path, file: &LayoutFile) -> PathBuf {
    file.path.elements().iter().fold(root.to_path_buf(), |path, element| path.join(element))
}

/// Renames a file, or copies it to another file system. That nothing is there has been looked at.
fn carry(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let copied = fs::copy(from, to).and_then(|_| {
                let file = File::options().write(true).open(to)?;
                file.set_modified(fs::metadata(from)?.modified()?)?;
                file.sync_all()
            });
            match copied {
                Ok(()) => fs::remove_file(from),
                Err(error) => {
                    let _ = fs::remove_file(to);
                    Err(error)
                }
            }
        }
        other => other,
    }
}

/// Where a path leads from a folder.
fn below(folder: &Path, path: &SafePath) -> PathBuf {
    path.elements().iter().fold(folder.to_owned(), |folder, element| folder.join(element))
}

/// A file as it is.
fn state(path: &Path) -> Result<Option<FileState>, IoFault> {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_file() => Ok(Some(FileState { length: data.len(), modified: modified(&data) })),
        Ok(_) => Err(IoFault::Exists),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(&error)),
    }
}

/// Never truncates: what is there already may be right.
fn open_to_write(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// Copies bytes from one file to another, as far as the first has them.
fn copy(from: &Path, start: u64, to: &Path, offset: u64, length: u64) -> io::Result<()> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    source.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    source.take(length).read_to_end(&mut bytes)?;
    let mut target = open_to_write(to)?;
    target.seek(SeekFrom::Start(offset))?;
    target.write_all(&bytes)
}

/// A new file survives a power cut only when its folder is synced too. Other systems than Unix do that by themselves.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// When a file was last changed, in nanoseconds since 1970.
fn modified(data: &fs::Metadata) -> i64 {
    let since = data.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}
