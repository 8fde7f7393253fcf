//! What is certain, and what a power cut may take back.
//!
//! A write is in the system's memory first, where every read sees it. It is certain only when a sync has *ended* that *began*
//! after the write had ended: the harshest reading of what operating systems promise. Until then a power cut may lose it, or a
//! part of it, or keep it and lose the one before: any subset, and of each write any sectors. A file that grew or came into
//! being by such writes has the length, or the existence, that the ones left give it.
//!
//! A sync that fails may have thrown away what it was to save, and a later one says that all is well. A driver lets go of what
//! the system remembers of the file then, so reads see what is really there: some of the writes, and none that a later sync could
//! still save.

use super::MemoryDisk;
use bytes::Bytes;
use parcacik_core::border::{InfoHash, JobId, RootId, TorrentId};
use std::collections::BTreeSet;

/// A write that is not certain.
#[derive(Clone, Debug)]
pub(super) struct Unsynced {
    pub torrent: TorrentId,
    path: String,
    at: usize,
    /// How long the file was; `None`: there was none.
    length: Option<usize>,
    /// What was there, as far as the file went.
    before: Vec<u8>,
    after: Vec<u8>,
    /// The write's own job, until it has ended.
    writing: Option<JobId>,
    /// The sync that will make it certain when it ends.
    syncing: Option<JobId>,
}

impl Unsynced {
    pub fn new(
        torrent: TorrentId,
        writing: Option<JobId>,
        path: String,
        at: usize,
        length: Option<usize>,
        before: Vec<u8>,
        after: Vec<u8>,
    ) -> Unsynced {
        Unsynced { torrent, path, at, length, before, after, writing, syncing: None }
    }
}

/// Resume data that are being saved: the copies that there were before.
#[derive(Clone, Debug)]
pub(super) struct Saving {
    pub job: JobId,
    pub key: (InfoHash, RootId),
    pub before: Vec<Bytes>,
}

impl MemoryDisk {
    /// Somebody has been told that the work of a job has ended.
    pub fn ended(&mut self, job: JobId) {
        let certain = |write: &Unsynced| write.syncing == Some(job);
        if self.unsynced.iter().any(certain) {
            let (done, mut left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unsynced).into_iter().partition(certain);
            // That there is such a file, and how long it is at least, is certain too.
            for write in &mut left {
                let ends = done.iter().filter(|done| done.path == write.path).map(|done| done.at + done.after.len());
                if let Some(end) = ends.max() {
                    write.length = Some(write.length.unwrap_or(0).max(end));
                }
            }
            self.unsynced = left;
        }
        for write in self.unsynced.iter_mut().filter(|write| write.writing == Some(job)) {
            write.writing = None;
        }
        self.saving.retain(|saving| saving.job != job);
    }

    pub(super) fn sync_begins(&mut self, torrent: TorrentId) {
        let job = self.job;
        let covered =
            |write: &&mut Unsynced| write.torrent == torrent && write.writing.is_none() && write.syncing.is_none();
        self.unsynced.iter_mut().filter(covered).for_each(|write| write.syncing = job);
    }

    /// A sync fails. What it was to make certain is lost when `lost` says so, sector by sector, and the rest is certain.
    pub fn sync_fails(&mut self, torrent: TorrentId, lost: impl FnMut() -> bool) {
        let covered = |write: &Unsynced| write.torrent == torrent && write.writing.is_none();
        let (covered, mut left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unsynced).into_iter().partition(covered);
        self.take_back(covered, lost);
        for write in &mut left {
            // What is left of the file is certain, and so is its length.
            let certain = self.files.get(&write.path).map(|file| file.bytes.len());
            write.length = certain.map(|certain| write.length.unwrap_or(0).max(certain)).or(write.length);
        }
        // What is being written meanwhile is there all the same.
        for write in &left {
            let file = self.files.entry(write.path.clone()).or_default();
            let end = write.at + write.after.len();
            if file.bytes.len() < end {
                file.bytes.resize(end, 0);
            }
            file.bytes[write.at..end].copy_from_slice(&write.after);
        }
        self.unsynced = left;
    }

    /// The process is gone: no job of its will be told to have ended, and nobody waits for a sync that was under way.
    pub fn crash(&mut self) {
        for write in &mut self.unsynced {
            (write.writing, write.syncing) = (None, None);
        }
        self.layouts.clear();
        self.apart.clear();
    }

    /// How many writes are not certain.
    pub fn uncertain(&self) -> usize {
        self.unsynced.len()
    }

    /// Takes back some of what is not certain, as a power cut may: each write, or each [sector](MemoryDisk::sector) of it, is lost when
    /// `lost` says so.
    pub fn power_cut(&mut self, mut lost: impl FnMut() -> bool) {
        let writes = std::mem::take(&mut self.unsynced);
        self.take_back(writes, &mut lost);
        // Resume data that were being saved: the old, the new, or the new torn.
        for saving in std::mem::take(&mut self.saving) {
            let Some(copies) = self.state.get_mut(&saving.key) else { continue };
            match (lost(), lost()) {
                (true, _) => *copies = saving.before,
                (false, true) if self.sector > 0 => {
                    if let Some(newest) = copies.first_mut() {
                        newest.truncate(newest.len() / 2);
                    }
                }
                (false, _) => {}
            }
        }
    }

    /// Takes some writes back, all of which are there.
    fn take_back(&mut self, writes: Vec<Unsynced>, mut lost: impl FnMut() -> bool) {
        // First the disk as it certainly is.
        for write in writes.iter().rev() {
            let Some(file) = self.files.get_mut(&write.path) else { continue };
            let end = (write.at + write.after.len()).min(file.bytes.len());
            for (at, byte) in file.bytes.get_mut(write.at..end).into_iter().flatten().enumerate() {
                *byte = write.before.get(at).copied().unwrap_or(0);
            }
            match write.length {
                Some(length) => file.bytes.truncate(length),
                None => _ = self.files.remove(&write.path),
            }
        }
        // Then what has reached it.
        let mut touched = BTreeSet::new();
        for write in writes {
            let sector = if self.sector == 0 { write.after.len() } else { self.sector };
            let mut from = 0;
            while from < write.after.len() {
                // Sectors are the disk's, not the write's.
                let border = if self.sector == 0 { sector } else { sector - (write.at + from) % sector };
                let to = (from + border).min(write.after.len());
                if !lost() {
                    let file = self.files.entry(write.path.clone()).or_default();
                    let (start, end) = (write.at + from, write.at + to);
                    if file.bytes.len() < end {
                        file.bytes.resize(end, 0);
                    }
                    file.bytes[start..end].copy_from_slice(&write.after[from..to]);
                }
                from = to;
            }
            touched.insert(write.path);
        }
        for path in touched {
            self.clock += 1;
            if let Some(file) = self.files.get_mut(&path) {
                file.modified = self.clock;
            }
        }
    }

    /// Nothing is to be taken back of a file beyond a length that others have given it.
    pub(super) fn forget_unsynced(&mut self, path: &str, length: usize) {
        self.unsynced.retain(|write| write.path != path || write.at + write.after.len() <= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use parcacik_core::border::{StorageLayout, Work};
    use parcacik_core::path::SafePath;
    use std::sync::Arc;

    const TORRENT: TorrentId = TorrentId(1);

    fn disk() -> (MemoryDisk, Content) {
        let content = Content::new("f", 40_000, 16_384, 1);
        let mut disk = MemoryDisk::default();
        let path = SafePath::sanitize([&b"f"[..]]);
        let layout = Arc::new(StorageLayout::new([(path, 40_000, false, false)], 16_384));
        let key = InfoHash(content.info_hash);
        disk.work(&Work::Open { torrent: TORRENT, root: RootId(0), key, layout });
        (disk, content)
    }

    fn write(content: &Content, piece: u32) -> Work {
        let from = piece as usize * 16_384;
        let bytes = content.bytes[from..(from + 16_384).min(40_000)].to_vec();
        Work::Write { torrent: TORRENT, piece, begin: 0, bytes: bytes.into() }
    }

    #[test]
    fn a_write_is_certain_when_a_sync_ended_that_began_after_it_had_ended() {
        let (mut disk, content) = disk();
        disk.begin(JobId(1), &write(&content, 0));
        // Not ended: the sync covers nothing.
        disk.begin(JobId(2), &Work::Sync { torrent: TORRENT });
        disk.ended(JobId(1));
        disk.ended(JobId(2));
        assert_eq!(disk.uncertain(), 1);
        // Begun and not ended.
        disk.begin(JobId(3), &Work::Sync { torrent: TORRENT });
        let mut cut = disk.clone();
        cut.power_cut(|| true);
        assert_eq!(cut.get("f"), None);
        disk.ended(JobId(3));
        assert_eq!(disk.uncertain(), 0);
        disk.power_cut(|| true);
        assert_eq!(disk.get("f"), Some(&content.bytes[..16_384]));
    }

    #[test]
    fn any_subset_of_writes_may_be_left() {
        for kept in 0..8u32 {
            let (mut disk, content) = disk();
            (0..3).for_each(|piece| _ = disk.work(&write(&content, piece)));
            let mut number = 0;
            disk.power_cut(|| {
                number += 1;
                kept & (1 << (number - 1)) == 0
            });
            let found = disk.get("f").unwrap_or_default().to_vec();
            let length =
                (0..3).filter(|piece| kept & (1 << piece) != 0).map(|piece| (16_384 * (piece + 1)).min(40_000));
            assert_eq!(found.len(), length.max().unwrap_or(0));
            for piece in 0..3 {
                let range = piece * 16_384..((piece + 1) * 16_384).min(40_000);
                if kept & (1 << piece) != 0 {
                    assert_eq!(found[range.clone()], content.bytes[range]);
                } else if let Some(hole) = found.get(range) {
                    assert!(hole.iter().all(|&byte| byte == 0));
                }
            }
        }
    }

    #[test]
    fn a_write_over_another_leaves_one_of_both_in_each_sector() {
        let (mut disk, content) = disk();
        disk.sector = 512;
        let old = Work::Write { torrent: TORRENT, piece: 0, begin: 0, bytes: vec![1; 16_384].into() };
        disk.work(&old);
        disk.work(&Work::Sync { torrent: TORRENT });
        disk.work(&write(&content, 0));
        let mut number = 0;
        disk.power_cut(|| {
            number += 1;
            number % 3 == 0
        });
        assert_eq!(number, 32);
        let found = disk.get("f").expect("it was synced once");
        for (at, (found, new)) in found.chunks(512).zip(content.bytes.chunks(512)).enumerate() {
            let expected = if (at + 1) % 3 == 0 { &[1; 512][..] } else { new };
            assert!(found == expected, "sector {at}");
        }
    }

    #[test]
    fn a_sync_that_failed_has_thrown_its_writes_away() {
        let (mut disk, content) = disk();
        disk.work(&write(&content, 0));
        disk.work(&write(&content, 1));
        let mut number = 0;
        disk.sync_fails(TORRENT, || {
            number += 1;
            number == 1
        });
        disk.work(&Work::Sync { torrent: TORRENT });
        assert_eq!(disk.uncertain(), 0);
        let found = disk.get("f").expect("the second write is certain");
        assert!(found[..16_384].iter().all(|&byte| byte == 0), "reads see what is there");
        assert_eq!(found[16_384..], content.bytes[16_384..32_768]);
    }

    #[test]
    fn a_write_under_way_takes_nothing_with_it_that_a_failed_sync_has_left() {
        let (mut disk, content) = disk();
        disk.work(&write(&content, 0));
        disk.begin(JobId(1), &write(&content, 1));
        disk.work(&write(&content, 2));
        disk.sync_fails(TORRENT, || false);
        disk.power_cut(|| true);
        let found = disk.get("f").expect("two writes are certain");
        assert_eq!((&found[..16_384], &found[32_768..]), (&content.bytes[..16_384], &content.bytes[32_768..]));
    }

    #[test]
    fn resume_data_that_were_being_saved_are_old_or_new_or_torn() {
        let (mut disk, content) = disk();
        disk.sector = 512;
        let key = InfoHash(content.info_hash);
        let save = |bytes: &'static [u8]| Work::Save { torrent: TORRENT, bytes: bytes.into() };
        disk.work(&save(b"old!"));
        disk.begin(JobId(1), &save(b"new!"));
        for (coins, newest) in [([true, true], b"old!" as &[u8]), ([false, false], b"new!"), ([false, true], b"ne")] {
            let mut disk = disk.clone();
            let mut coins = coins.into_iter();
            disk.power_cut(|| coins.next().unwrap());
            assert_eq!(disk.resume(key)[0], newest);
        }
        disk.ended(JobId(1));
        disk.power_cut(|| true);
        assert_eq!(disk.resume(key)[0], &b"new!"[..]);
    }
}
