//! A disk in memory that does what a driver's storage does.

use bytes::Bytes;
use parcacik_core::border::{
    FileState, InfoHash, IoFault, JobResult, PieceHash, StorageLayout, TorrentId, Verdict, Work,
};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Files, resume data, and the faults that a test asks for.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    layouts: BTreeMap<TorrentId, Arc<StorageLayout>>,
    keys: BTreeMap<TorrentId, InfoHash>,
    files: BTreeMap<String, File>,
    state: BTreeMap<InfoHash, Vec<Bytes>>,
    clock: i64,
    /// Room left in bytes; `None`: as much as one likes.
    pub room: Option<u64>,
    /// Kinds of work (as in `counts`) that fail, and how.
    pub faults: BTreeMap<&'static str, IoFault>,
    /// Writes since the last sync: the path, where, and what was there before.
    unsynced: Vec<(String, usize, Vec<u8>)>,
    /// Whether bytes have changed that nobody wrote: what is read from it may be wrong.
    pub damaged: bool,
    /// Work that was done, by kind.
    pub counts: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    modified: i64,
}

impl MemoryDisk {
    /// Puts a file there, as if it had been there before.
    pub fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.clock += 1;
        self.files.insert(path.to_owned(), File { bytes, modified: self.clock });
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|file| &file.bytes[..])
    }

    /// The paths of all files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Flips a bit of a file, as a failing disk would.
    pub fn damage(&mut self, path: &str, offset: usize) {
        self.damaged = true;
        if let Some(byte) = self.files.get_mut(path).and_then(|file| file.bytes.get_mut(offset)) {
            *byte ^= 1;
        }
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// Takes back some of the writes since the last sync, as a power cut may: each is lost when `lost` says so.
    pub fn power_cut(&mut self, mut lost: impl FnMut() -> bool) {
        for (path, at, before) in std::mem::take(&mut self.unsynced).into_iter().rev() {
            if lost()
                && let Some(file) = self.files.get_mut(&path)
            {
                file.bytes[at..at + before.len()].copy_from_slice(&before);
            }
        }
    }

    /// The resume data of a torrent, the newest first.
    pub fn resume(&self, key: InfoHash) -> &[Bytes] {
        self.state.get(&key).map_or(&[], |copies| copies)
    }

    /// Does one piece of work; `None` when it is not disk work.
    pub fn work(&mut self, work: &Work) -> Option<Result<JobResult, IoFault>> {
        let kind = kind_of(work)?;
        *self.counts.entry(kind).or_default() += 1;
        if let Some(&fault) = self.faults.get(kind) {
            return Some(Err(fault));
        }
        let result = match work {
            Work::Open { torrent, key, layout, .. } => {
                self.layouts.insert(*torrent, layout.clone());
                self.keys.insert(*torrent, *key);
                Ok(JobResult::Done)
            }
            Work::Release { torrent } => {
                self.layouts.remove(torrent);
                Ok(JobResult::Done)
            }
            Work::Check { torrent } => self.check(*torrent),
            Work::CreateEmpty { torrent } => self.create_empty(*torrent),
            Work::Sync { torrent } => {
                self.unsynced.clear();
                self.check(*torrent)
            }
            Work::Read { torrent, piece, begin, length } => {
                self.read(*torrent, *piece, *begin, *length).map(|bytes| JobResult::Read(bytes.into()))
            }
            Work::Write { torrent, piece, begin, bytes } => self.write(*torrent, *piece, *begin, bytes),
            Work::Verify { torrent, piece, length, expect, blocks } => {
                Ok(JobResult::Verified(self.verify(*torrent, *piece, *length, expect, *blocks)))
            }
            Work::Save { torrent, bytes } => {
                let copies = self.keys.get(torrent).map(|key| self.state.entry(*key).or_default())?;
                copies.insert(0, bytes.clone());
                copies.truncate(2);
                Ok(JobResult::Done)
            }
            Work::Load { torrent } => {
                let key = *self.keys.get(torrent)?;
                Ok(JobResult::Loaded(self.resume(key).to_vec()))
            }
            _ => return None,
        };
        Some(result)
    }

    fn layout(&self, torrent: TorrentId) -> Result<Arc<StorageLayout>, IoFault> {
        self.layouts.get(&torrent).cloned().ok_or(IoFault::NotFound)
    }

    fn check(&self, torrent: TorrentId) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        let files = layout
            .files()
            .iter()
            .map(|file| {
                let found = self.files.get(&file.path.to_string()).filter(|_| !file.pad)?;
                Some(FileState { length: found.bytes.len() as u64, modified: found.modified })
            })
            .collect();
        Ok(JobResult::Checked { files, free: self.room })
    }

    fn create_empty(&mut self, torrent: TorrentId) -> Result<JobResult, IoFault> {
        for file in self.layout(torrent)?.files().iter().filter(|file| file.length == 0 && !file.pad) {
            self.files.entry(file.path.to_string()).or_default();
        }
        Ok(JobResult::Done)
    }

    fn read(&self, torrent: TorrentId, piece: u32, begin: u32, length: u32) -> Result<Vec<u8>, IoFault> {
        let layout = self.layout(torrent)?;
        let mut bytes = Vec::with_capacity(length as usize);
        for range in layout.ranges(piece, begin, length) {
            let file = &layout.files()[range.file];
            if file.pad {
                bytes.resize(bytes.len() + range.length as usize, 0);
                continue;
            }
            let found = self.files.get(&file.path.to_string()).ok_or(IoFault::NotFound)?;
            let (from, to) = (range.offset as usize, (range.offset + range.length) as usize);
            bytes.extend_from_slice(found.bytes.get(from..to).ok_or(IoFault::ShortRead)?);
        }
        if bytes.len() == length as usize { Ok(bytes) } else { Err(IoFault::ShortRead) }
    }

    fn write(&mut self, torrent: TorrentId, piece: u32, begin: u32, bytes: &Bytes) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(bytes.len() as u64).ok_or(IoFault::NoSpace)?;
        }
        self.clock += 1;
        let mut at = 0;
        for range in layout.ranges(piece, begin, bytes.len() as u32) {
            let length = range.length as usize;
            let file = &layout.files()[range.file];
            if !file.pad {
                let found = self.files.entry(file.path.to_string()).or_default();
                let (from, to) = (range.offset as usize, range.offset as usize + length);
                if found.bytes.len() < to {
                    found.bytes.resize(to, 0);
                }
                self.unsynced.push((file.path.to_string(), from, found.bytes[from..to].to_vec()));
                found.bytes[from..to].copy_from_slice(&bytes[at..at + length]);
                found.modified = self.clock;
            }
            at += length;
        }
        Ok(JobResult::Done)
    }

    fn verify(&self, torrent: TorrentId, piece: u32, length: u32, expect: &PieceHash, blocks: bool) -> Verdict {
        let Ok(bytes) = self.read(torrent, piece, 0, length) else {
            return Verdict { matches: false, blocks: Vec::new() };
        };
        let hash: [u8; 20] = Sha1::digest(&bytes).into();
        let digests =
            if blocks { bytes.chunks(16 * 1024).map(|block| Sha1::digest(block).into()).collect() } else { Vec::new() };
        Verdict { matches: *expect == PieceHash::Sha1(hash), blocks: digests }
    }
}

/// What work on the disk is called in tests; `None` for other work.
fn kind_of(work: &Work) -> Option<&'static str> {
    Some(match work {
        Work::Open { .. } => "open",
        Work::Release { .. } => "release",
        Work::Check { .. } => "check",
        Work::CreateEmpty { .. } => "create",
        Work::Sync { .. } => "sync",
        Work::Read { .. } => "read",
        Work::Write { .. } => "write",
        Work::Verify { .. } => "verify",
        Work::Save { .. } => "save",
        Work::Load { .. } => "load",
        _ => return None,
    })
}
