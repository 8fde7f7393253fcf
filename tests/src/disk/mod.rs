//! A disk in memory that does what a driver's storage does. What a power cut leaves of it is in `power.rs`.

mod power;

use bytes::Bytes;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    FileState, InfoHash, IoFault, JobId, JobResult, LayoutFile, PieceHash, Place, RootId, Span, StorageLayout,
    TorrentId, Verdict, Work,
};
use parcacik_core::path::SafePath;
use power::{Saving, Unsynced};
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
    /// Files that are kept apart, in torrents that have some.
    apart: BTreeMap<TorrentId, Bitfield>,
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
    /// Writes that no sync has made certain yet.
    unsynced: Vec<Unsynced>,
    /// Resume data that are being saved.
    saving: Vec<Saving>,
    /// Work that was begun and has not been told to have ended.
    job: Option<JobId>,
    /// What a disk writes at once, in bytes: a power cut may tear a write at such borders. 0: it tears none.
    pub sector: usize,
    /// Whether bytes have changed that nobody wrote: what is read from it may be wrong.
    pub damaged: bool,
    /// Work that was done, by kind.
    pub counts: BTreeMap<&'static str, u64>,
    /// What nodes of the DHT were, by family.
    dht: BTreeMap<bool, Bytes>,
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
        self.damaged |= self.files.remove(path).is_some();
        self.forget_unsynced(path, 0);
    }

    /// Cuts a file off, as somebody else may.
    pub fn truncate(&mut self, path: &str, length: usize) {
        let Some(file) = self.files.get_mut(path) else { return };
        self.damaged |= file.bytes.len() > length;
        file.bytes.truncate(length);
        self.clock += 1;
        file.modified = self.clock;
        self.forget_unsynced(path, length);
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

    /// Whether these bytes lie where a piece begins; `None` when that cannot be told: bytes have changed that nobody wrote, or
    /// the disk is not there.
    pub fn holds(&self, torrent: TorrentId, piece: u32, bytes: &[u8]) -> Option<bool> {
        if self.damaged || self.away.is_some() || !self.keys.contains_key(&torrent) {
            return None;
        }
        let layout = self.layouts.get(&torrent)?;
        let mut rest = bytes;
        for (path, span) in self.spans(torrent, layout, (piece, 0, bytes.len() as u32)) {
            let (here, more) = rest.split_at_checked(span.length as usize)?;
            rest = more;
            let (from, to) = (span.offset as usize, (span.offset + span.length) as usize);
            let right = match path {
                Some(path) => self.files.get(&path).and_then(|file| file.bytes.get(from..to)) == Some(here),
                None => here.iter().all(|&byte| byte == 0),
            };
            if !right {
                return Some(false);
            }
        }
        Some(rest.is_empty())
    }

    /// How long a file of a torrent is, by its place in the layout, where it is there at all; `None` when that cannot be told.
    pub fn length_of(&self, torrent: TorrentId, file: usize) -> Option<Option<u64>> {
        if self.damaged || self.away.is_some() || !self.keys.contains_key(&torrent) {
            return None;
        }
        let file = self.layouts.get(&torrent)?.files().get(file)?;
        Some(self.files.get(&self.name(torrent, file)).map(|found| found.bytes.len() as u64))
    }

    /// Does one piece of work, from beginning to end; `None` when it is not disk work.
    pub fn work(&mut self, work: &Work) -> Option<Result<JobResult, IoFault>> {
        let job = JobId(u64::MAX);
        let result = self.begin(job, work);
        self.ended(job);
        result
    }

    /// Does one piece of work. Until [`MemoryDisk::ended`] nobody has been told of it: a power cut may take it back.
    pub fn begin(&mut self, job: JobId, work: &Work) -> Option<Result<JobResult, IoFault>> {
        self.job = Some(job);
        let result = self.does(work);
        self.job = None;
        result
    }

    fn does(&mut self, work: &Work) -> Option<Result<JobResult, IoFault>> {
        let kind = kind_of(work)?;
        *self.counts.entry(kind).or_default() += 1;
        if let Some(&fault) = self.faults.get(kind) {
            return Some(Err(fault));
        }
        let result = match work {
            Work::Open { torrent, root, key, layout } => {
                self.layouts.insert(*torrent, layout.clone());
                self.keys.insert(*torrent, (*key, *root));
                self.apart.remove(torrent);
                Ok(JobResult::Done)
            }
            Work::Release { torrent } => {
                self.layouts.remove(torrent);
                self.apart.remove(torrent);
                Ok(JobResult::Done)
            }
            Work::Check { torrent } => self.check(*torrent),
            Work::CreateEmpty { torrent, files } => self.create_empty(*torrent, files),
            Work::Place { torrent, apart, pieces } => self.place(*torrent, apart, pieces),
            Work::DropPart { torrent } => self.layout(*torrent).map(|layout| {
                self.files.remove(&self.part_path(*torrent, &layout));
                JobResult::Done
            }),
            Work::Sync { torrent } => {
                self.sync_begins(*torrent);
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
                self.saving.extend(self.job.map(|job| Saving { job, key: *key, before: copies.clone() }));
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
            Work::LoadDht { v6 } => Ok(JobResult::Loaded(self.dht.get(v6).cloned().into_iter().collect())),
            Work::SaveDht { v6, bytes } => {
                self.dht.insert(*v6, bytes.clone());
                Ok(JobResult::Done)
            }
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
                let name = self.name(torrent, file);
                self.files.remove(&name);
                self.forget_unsynced(&name, 0);
            }
        }
        self.files.remove(&self.part_path(torrent, &layout));
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
        let part = layout.part_path(key);
        let names: Vec<_> = names.into_iter().chain([(path_in(old, &part), path_in(root, &part))]).collect();
        if names.iter().any(|(_, to)| self.files.contains_key(to)) {
            return Err(IoFault::Exists);
        }
        for (from, to) in names {
            if let Some(file) = self.files.remove(&from) {
                self.files.insert(to.clone(), file);
            }
        }
        if let Some(copies) = self.state.remove(&(key, old)) {
            self.state.insert((key, root), copies);
        }
        self.keys.insert(torrent, (key, root));
        // What was moved is certain when it is said to be.
        self.unsynced.retain(|write| write.torrent != torrent);
        self.saving.retain(|saving| saving.key != (key, old));
        self.check(torrent)
    }

    fn part_path(&self, torrent: TorrentId, layout: &StorageLayout) -> String {
        let (key, root) = self.keys[&torrent];
        path_in(root, &layout.part_path(key))
    }

    /// Where bytes lie: the path (none for padding), where in that file, and how many.
    fn spans(&self, torrent: TorrentId, layout: &StorageLayout, at: (u32, u32, u32)) -> Vec<(Option<String>, Span)> {
        let none = Bitfield::default();
        let apart = self.apart.get(&torrent).unwrap_or(&none);
        let path = |span: &Span| match span.place {
            Place::File => Some(self.name(torrent, &layout.files()[span.file])),
            Place::PartFile => Some(self.part_path(torrent, layout)),
            Place::Padding => None,
        };
        layout.spans(at.0, at.1, at.2, apart).map(|span| (path(&span), span)).collect()
    }

    fn state(&self, path: &str) -> Option<FileState> {
        self.files.get(path).map(|file| FileState { length: file.bytes.len() as u64, modified: file.modified })
    }

    fn check(&self, torrent: TorrentId) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        let state = |path: String| self.state(&path);
        let files =
            layout.files().iter().map(|file| (!file.pad).then(|| state(self.name(torrent, file))).flatten()).collect();
        let part = self.state(&self.part_path(torrent, &layout));
        Ok(JobResult::Checked { files, part, free: self.room })
    }

    fn create_empty(&mut self, torrent: TorrentId, files: &[u32]) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        for &file in files {
            let file = &layout.files()[file as usize];
            assert!(file.length == 0 && !file.pad, "only files of no length are created before they are written");
            let name = self.name(torrent, file);
            self.files.entry(name).or_default();
        }
        Ok(JobResult::Done)
    }

    fn place(&mut self, torrent: TorrentId, apart: &Bitfield, pieces: &[u32]) -> Result<JobResult, IoFault> {
        let layout = self.layout(torrent)?;
        let before = self.apart.insert(torrent, apart.clone()).unwrap_or_default();
        for file in before.iter().filter(|&file| !apart.get(file)).map(|file| file as usize) {
            for (range, at) in pieces.iter().filter_map(|&piece| layout.kept(file, piece)) {
                let Some(part) = self.files.get(&self.part_path(torrent, &layout)) else { continue };
                let end = part.bytes.len().min((at + range.length) as usize);
                let Some(bytes) = part.bytes.get(at as usize..end).map(<[u8]>::to_vec) else { continue };
                self.put_at(torrent, self.name(torrent, &layout.files()[file]), range.offset as usize, &bytes);
            }
        }
        Ok(JobResult::Done)
    }

    fn read(&self, torrent: TorrentId, piece: u32, begin: u32, length: u32) -> Result<Vec<u8>, IoFault> {
        let layout = self.layout(torrent)?;
        let mut bytes = Vec::with_capacity(length as usize);
        for (path, span) in self.spans(torrent, &layout, (piece, begin, length)) {
            let Some(path) = path else {
                bytes.resize(bytes.len() + span.length as usize, 0);
                continue;
            };
            let found = self.files.get(&path).ok_or(IoFault::NotFound)?;
            let (from, to) = (span.offset as usize, (span.offset + span.length) as usize);
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
        let mut at = 0;
        for (path, span) in self.spans(torrent, &layout, (piece, begin, bytes.len() as u32)) {
            let length = span.length as usize;
            if let Some(path) = path {
                self.put_at(torrent, path, span.offset as usize, &bytes[at..at + length]);
            }
            at += length;
        }
        Ok(JobResult::Done)
    }

    /// Puts bytes into a file, which is created or grown when it has to be.
    fn put_at(&mut self, torrent: TorrentId, path: String, from: usize, bytes: &[u8]) {
        self.clock += 1;
        let existed = self.files.contains_key(&path);
        let found = self.files.entry(path.clone()).or_default();
        let to = from + bytes.len();
        let length = found.bytes.len();
        let before = found.bytes.get(from..length.min(to)).unwrap_or_default().to_vec();
        if length < to {
            found.bytes.resize(to, 0);
        }
        found.bytes[from..to].copy_from_slice(bytes);
        found.modified = self.clock;
        let after = bytes.to_vec();
        self.unsynced.push(Unsynced::new(torrent, self.job, path, from, existed.then_some(length), before, after));
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
    path_in(root, &file.path)
}

fn path_in(root: RootId, path: &SafePath) -> String {
    if root == RootId(0) { path.to_string() } else { format!("{}:{path}", root.0) }
}

/// What work on the disk is called in tests; `None` for other work.
fn kind_of(work: &Work) -> Option<&'static str> {
    Some(match work {
        Work::Open { .. } => "open",
        Work::Release { .. } => "release",
        Work::Check { .. } => "check",
        Work::CreateEmpty { .. } => "create",
        Work::Place { .. } => "place",
        Work::DropPart { .. } => "drop",
        Work::Sync { .. } => "sync",
        Work::Read { .. } => "read",
        Work::Write { .. } => "write",
        Work::Verify { .. } => "verify",
        Work::Save { .. } => "save",
        Work::Load { .. } => "load",
        Work::LoadDht { .. } => "load dht",
        Work::SaveDht { .. } => "save dht",
        Work::Delete { .. } => "delete",
        Work::Move { .. } => "move",
        _ => return None,
    })
}

/// The torrent that work on the disk is for.
pub(crate) fn torrent_of(work: &Work) -> Option<TorrentId> {
    match work {
        Work::Open { torrent, .. }
        | Work::Release { torrent }
        | Work::Check { torrent }
        | Work::CreateEmpty { torrent, .. }
        | Work::Place { torrent, .. }
        | Work::DropPart { torrent }
        | Work::Read { torrent, .. }
        | Work::Write { torrent, .. }
        | Work::Verify { torrent, .. }
        | Work::Sync { torrent }
        | Work::Save { torrent, .. }
        | Work::Load { torrent }
        | Work::Delete { torrent, .. }
        | Work::Move { torrent, .. } => Some(*torrent),
        _ => None,
    }
}
