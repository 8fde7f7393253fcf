//! A disk in memory that does what a driver's storage does.

use bytes::Bytes;
use parcacik_core::border::{
    FileState, InfoHash, IoFault, JobResult, LayoutFile, PieceHash, RootId, StorageLayout, TorrentId, Verdict, Work,
};
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Files, resume data, and the faults that a test asks for.
///
/// The files of the first folder go by their path; those of another one have `NUMBER:` before it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    layouts: BTreeMap<TorrentId, Arc<StorageLayout>>,
    keys: BTreeMap<TorrentId, (InfoHash, RootId)>,
    files: BTreeMap<String, File>,
    /// The files, while the disk is not mounted.
    away: Option<BTreeMap<String, File>>,
    state: BTreeMap<(InfoHash, RootId), Vec<Bytes>>,
    clock: i64,
    /// Room left in bytes; `None`: as much as one likes.
    pub room: Option<u64>,
    /// Kinds of work (as in `counts`) that fail, and how.
    pub faults: BTreeMap<&'static str, IoFault>,
    /// How what is read for peers is spoilt; what is verified is not. `damaged` says whether it has been yet.
    pub lie: Option<Lie>,
    /// The (piece, block) that were read for peers so far, and the pieces of which the first was the first block.
    told: BTreeSet<(u32, u32)>,
    begun_in_order: BTreeMap<u32, bool>,
    /// Writes since the last sync: the path, where, and what was there before.
    unsynced: Vec<(String, usize, Vec<u8>)>,
    /// Whether bytes have changed that nobody wrote: what is read from it may be wrong.
    pub damaged: bool,
    /// Work that was done, by kind.
    pub counts: BTreeMap<&'static str, u64>,
}

/// How a peer spoils what it sends: the corrupting peers of the fault catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Every block, all of it.
    EveryBlock,
    /// One block of so many, whichever by its place.
    OneBlockOf(u32),
    /// One bit in each block.
    OneBit,
    /// The right piece at another offset: the neighbouring block.
    WrongOffset,
    /// The data of another torrent.
    OtherTorrent,
    /// Only pieces that others send a part of, as far as it can know: such as it was not asked for from the beginning on.
    SharedPieces,
    /// Only the first time that it is asked for a block: it is honest when it is tested.
    FirstTime,
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

    /// Takes the disk away. What is written meanwhile lies in its mount point.
    pub fn unmount(&mut self) {
        self.away.get_or_insert_with(|| std::mem::take(&mut self.files));
    }

    /// Brings the disk back; what was written to the mount point is hidden by it, and given here.
    pub fn mount(&mut self) -> Vec<String> {
        let back = self.away.take().map(|back| std::mem::replace(&mut self.files, back));
        back.unwrap_or_default().into_keys().collect()
    }

    /// The resume data of a torrent in the first folder, the newest first.
    pub fn resume(&self, key: InfoHash) -> &[Bytes] {
        self.resume_in(key, RootId(0))
    }

    /// The resume data of a torrent in a folder, the newest first.
    pub fn resume_in(&self, key: InfoHash, root: RootId) -> &[Bytes] {
        self.state.get(&(key, root)).map_or(&[], |copies| copies)
    }

    /// Does one piece of work; `None` when it is not disk work.
    pub fn work(&mut self, work: &Work) -> Option<Result<JobResult, IoFault>> {
        let kind = kind_of(work)?;
        *self.counts.entry(kind).or_default() += 1;
        if let Some(&fault) = self.faults.get(kind) {
            return Some(Err(fault));
        }
        let result = match work {
            Work::Open { torrent, root, key, layout } => {
                self.layouts.insert(*torrent, layout.clone());
                self.keys.insert(*torrent, (*key, *root));
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
                let read = self.read(*torrent, *piece, *begin, *length);
                read.map(|bytes| JobResult::Read(self.spoil(*torrent, *piece, *begin, bytes).into()))
            }
            Work::Write { torrent, piece, begin, bytes } => self.write(*torrent, *piece, *begin, bytes),
            Work::Verify { torrent, piece, length, expect, blocks } => {
                Ok(JobResult::Verified(self.verify(*torrent, *piece, *length, expect, *blocks)))
            }
            Work::Save { torrent, bytes } => {
                let Some(key) = self.keys.get(torrent) else { return Some(Err(IoFault::NotFound)) };
                let copies = self.state.entry(*key).or_default();
                copies.insert(0, bytes.clone());
                copies.truncate(2);
                Ok(JobResult::Done)
            }
            Work::Load { torrent } => {
                let Some(&(key, root)) = self.keys.get(torrent) else { return Some(Err(IoFault::NotFound)) };
                Ok(JobResult::Loaded(self.resume_in(key, root).to_vec()))
            }
            Work::Delete { torrent, spare } => self.delete(*torrent, spare),
            Work::Move { torrent, root } => self.move_to(*torrent, *root),
            _ => return None,
        };
        Some(result)
    }

    fn layout(&self, torrent: TorrentId) -> Result<Arc<StorageLayout>, IoFault> {
        self.layouts.get(&torrent).cloned().ok_or(IoFault::NotFound)
    }

    /// What a file is called here.
    fn name(&self, torrent: TorrentId, file: &LayoutFile) -> String {
        name_in(self.keys.get(&torrent).map_or(RootId(0), |&(_, root)| root), file)
    }

    fn delete(&mut self, torrent: TorrentId, spare: &[u32]) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        for (index, file) in layout.files().iter().enumerate() {
            if !spare.contains(&(index as u32)) && !file.pad {
                self.files.remove(&self.name(torrent, file));
            }
        }
        if let Some(key) = self.keys.get(&torrent) {
            self.state.remove(key);
        }
        Ok(JobResult::Done)
    }

    fn move_to(&mut self, torrent: TorrentId, root: RootId) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        let &(key, old) = self.keys.get(&torrent).ok_or(IoFault::NotFound)?;
        let names: Vec<(String, String)> =
            layout.files().iter().filter(|file| !file.pad).map(|f| (name_in(old, f), name_in(root, f))).collect();
        if names.iter().any(|(_, to)| self.files.contains_key(to)) {
            return Err(IoFault::Exists);
        }
        for (from, to) in names {
            if let Some(file) = self.files.remove(&from) {
                self.files.insert(to.clone(), file);
            }
            self.unsynced.iter_mut().filter(|(path, ..)| *path == from).for_each(|(path, ..)| path.clone_from(&to));
        }
        if let Some(copies) = self.state.remove(&(key, old)) {
            self.state.insert((key, root), copies);
        }
        self.keys.insert(torrent, (key, root));
        self.unsynced.clear();
        self.check(torrent)
    }

    fn check(&self, torrent: TorrentId) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        let files = layout
            .files()
            .iter()
            .map(|file| {
                let found = self.files.get(&self.name(torrent, file)).filter(|_| !file.pad)?;
                Some(FileState { length: found.bytes.len() as u64, modified: found.modified })
            })
            .collect();
        Ok(JobResult::Checked { files, free: self.room })
    }

    fn create_empty(&mut self, torrent: TorrentId) -> Result<JobResult, IoFault> {
        for file in self.layout(torrent)?.files().iter().filter(|file| file.length == 0 && !file.pad) {
            self.files.entry(self.name(torrent, file)).or_default();
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
            let found = self.files.get(&self.name(torrent, file)).ok_or(IoFault::NotFound)?;
            let (from, to) = (range.offset as usize, (range.offset + range.length) as usize);
            bytes.extend_from_slice(found.bytes.get(from..to).ok_or(IoFault::ShortRead)?);
        }
        if bytes.len() == length as usize { Ok(bytes) } else { Err(IoFault::ShortRead) }
    }

    /// Tells the lie, block by block.
    fn spoil(&mut self, torrent: TorrentId, piece: u32, begin: u32, mut bytes: Vec<u8>) -> Vec<u8> {
        const BLOCK: u32 = 16 * 1024;
        let Some(lie) = self.lie else { return bytes };
        for (number, part) in (begin / BLOCK..).zip(bytes.chunks_mut(BLOCK as usize)) {
            let in_order = *self.begun_in_order.entry(piece).or_insert(number == 0);
            let first = self.told.insert((piece, number));
            let now = match lie {
                Lie::EveryBlock | Lie::OneBit | Lie::WrongOffset | Lie::OtherTorrent => true,
                Lie::OneBlockOf(count) => (piece.wrapping_mul(31) + number).is_multiple_of(count),
                Lie::SharedPieces => !in_order,
                Lie::FirstTime => first,
            };
            if !now {
                continue;
            }
            self.damaged = true;
            match lie {
                Lie::OneBit => part[0] ^= 1,
                Lie::WrongOffset => {
                    let other = if number == 0 { BLOCK } else { (number - 1) * BLOCK };
                    let found = self.read(torrent, piece, other, part.len() as u32).unwrap_or_default();
                    part.iter_mut().zip(found).for_each(|(byte, wrong)| *byte = wrong);
                }
                Lie::OtherTorrent => part.iter_mut().zip(0u32..).for_each(|(byte, at)| *byte = (at * 7 + piece) as u8),
                _ => part.iter_mut().for_each(|byte| *byte = !*byte),
            }
        }
        bytes
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
                let name = self.name(torrent, file);
                let found = self.files.entry(name.clone()).or_default();
                let (from, to) = (range.offset as usize, range.offset as usize + length);
                if found.bytes.len() < to {
                    found.bytes.resize(to, 0);
                }
                self.unsynced.push((name, from, found.bytes[from..to].to_vec()));
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

/// What a file is called in a folder.
fn name_in(root: RootId, file: &LayoutFile) -> String {
    if root == RootId(0) { file.path.to_string() } else { format!("{}:{}", root.0, file.path) }
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
        Work::Delete { .. } => "delete",
        Work::Move { .. } => "move",
        _ => return None,
    })
}
