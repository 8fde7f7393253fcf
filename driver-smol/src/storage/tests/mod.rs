//! The storage as its user sees it: work in, answers out, files on a real file system in a temporary folder.

mod chores;
mod content;
mod full_disk;
mod part;
mod resume;
mod safety;

use super::*;
use bytes::Bytes;
use parcacik_core::border::{PieceHash, Verdict};
use parcacik_core::path::SafePath;
use sha1::{Digest, Sha1};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;

const TORRENT: TorrentId = TorrentId(7);
const KEY: InfoHash = InfoHash([0xab; 20]);

/// A storage with one download folder and (once opened) one torrent.
struct Lab {
    storage: Storage,
    results: async_channel::Receiver<Answer>,
    root: PathBuf,
    _folder: Option<tempfile::TempDir>,
    next: Cell<u64>,
    early: RefCell<BTreeMap<JobId, Result<JobResult, IoFault>>>,
}

impl Lab {
    fn new(options: StorageOptions) -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("downloads");
        Lab { _folder: Some(folder), ..Lab::at(root, options) }
    }

    /// In a folder that outlives it.
    fn at(root: PathBuf, options: StorageOptions) -> Lab {
        let (sender, results) = async_channel::unbounded();
        let storage = Storage::start(options, sender);
        storage.add_root(RootId(0), &root).unwrap();
        Lab { storage, results, root, _folder: None, next: Cell::new(0), early: RefCell::default() }
    }

    fn start(&self, work: Work) -> JobId {
        let job = JobId(self.next.get());
        self.next.set(job.0 + 1);
        self.storage.submit(job, work);
        job
    }

    fn wait(&self, job: JobId) -> Result<JobResult, IoFault> {
        loop {
            if let Some(result) = self.early.borrow_mut().remove(&job) {
                return result;
            }
            let (done, result) = self.results.recv_blocking().unwrap();
            assert_eq!(self.early.borrow_mut().insert(done, result), None, "{done:?} answered twice");
        }
    }

    fn run(&self, work: Work) -> Result<JobResult, IoFault> {
        self.wait(self.start(work))
    }

    fn open(&self, layout: StorageLayout) {
        let work = Work::Open { torrent: TORRENT, root: RootId(0), key: KEY, layout: Arc::new(layout) };
        assert_eq!(self.run(work), Ok(JobResult::Done));
    }

    fn files(&self) -> Arc<Files> {
        self.storage.files(TORRENT).unwrap()
    }

    fn write(&self, piece: u32, begin: u32, bytes: &[u8]) -> Result<JobResult, IoFault> {
        self.run(write(piece, begin, bytes))
    }

    fn read(&self, piece: u32, begin: u32, length: u32) -> Result<Vec<u8>, IoFault> {
        match self.run(Work::Read { torrent: TORRENT, piece, begin, length })? {
            JobResult::Read(bytes) => Ok(bytes.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    /// Whether a piece is these bytes.
    fn verify(&self, piece: u32, expect: &[u8]) -> Result<bool, IoFault> {
        self.verdict(piece, expect, false).map(|verdict| verdict.matches)
    }

    fn verdict(&self, piece: u32, expect: &[u8], blocks: bool) -> Result<Verdict, IoFault> {
        let (length, expect) = (expect.len() as u32, PieceHash::Sha1(Sha1::digest(expect).into()));
        match self.run(Work::Verify { torrent: TORRENT, piece, length, expect, blocks })? {
            JobResult::Verified(verdict) => Ok(verdict),
            other => panic!("{other:?}"),
        }
    }

    fn on_disk(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.root.join(path)).unwrap()
    }
}

fn write(piece: u32, begin: u32, bytes: &[u8]) -> Work {
    Work::Write { torrent: TORRENT, piece, begin, bytes: Bytes::copy_from_slice(bytes) }
}

/// A file of a layout; one that is called `.pad` is a pad file.
fn layout(files: &[(&str, u64)], piece_length: u32) -> StorageLayout {
    let files = files.iter().map(|(path, length)| {
        let elements = path.split('/').map(str::as_bytes);
        (SafePath::sanitize(elements), *length, path.ends_with(".pad"), true)
    });
    StorageLayout::new(files, piece_length)
}

/// Bytes that do not repeat soon.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Nothing is written but in full batches, or because something asked for it.
fn patient() -> StorageOptions {
    StorageOptions { write_linger: Duration::from_secs(3600), workers: 1, ..StorageOptions::default() }
}
