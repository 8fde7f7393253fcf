//! Hashing files on all cores, for `create` and `verify`.
//!
//! Each thread takes the next piece, reads it and hashes it. Results come back in whatever order they are ready, over a bounded channel,
//! to the thread that asked; so what it does with them needs no lock, and memory does not grow with the torrent.

use crate::signals::Interrupt;
use parcacik_core::border::StorageLayout;
use sha1::{Digest as _, Sha1};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;

/// How much is read at once. Larger reads are not faster; smaller ones cost more calls.
const READ: usize = 256 << 10;

/// Why a piece could not be hashed.
#[derive(Debug)]
pub struct ReadFault {
    /// The file, by its place in the layout.
    pub file: usize,
    /// What came of reading it.
    pub error: io::Error,
}

/// Hashes the pieces of a layout whose files lie at `paths`, one for each; pad files are zeros and not read. `told` gets every piece once; when it says
/// no, or the user wants to stop, the rest is left out.
///
/// # Errors
/// Whether threads could be started at all, and what `told` gives.
pub fn hash_pieces(
    layout: &StorageLayout,
    paths: &[PathBuf],
    interrupt: &Interrupt,
    mut told: impl FnMut(u32, Result<[u8; 20], ReadFault>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let pieces = pieces(layout);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.max(1) as usize);
    let next = AtomicU32::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (results, ready) = mpsc::sync_channel(threads * 4);
        for _ in 0..threads {
            let (results, next, stop) = (results.clone(), &next, &stop);
            let mut reader = Reader { layout, paths, open: None, buffer: vec![0; READ] };
            std::thread::Builder::new().name("hash".into()).spawn_scoped(scope, move || {
                while !stop.load(Ordering::Relaxed) && !interrupt.asked() {
                    let piece = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens when `told` has failed.
                    if piece >= pieces || results.send((piece, reader.hash(piece))).is_err() {
                        break;
                    }
                }
            })?;
        }
        drop(results);
        let outcome = ready.iter().try_for_each(|(piece, result)| told(piece, result));
        stop.store(true, Ordering::Relaxed);
        // Threads that wait to send must learn that nobody listens, before the scope waits for them.
        drop(ready);
        outcome
    })
}

/// How many pieces there are.
fn pieces(layout: &StorageLayout) -> u32 {
    let count = layout.total_length().div_ceil(u64::from(layout.piece_length().max(1)));
    // Checked metainfo has at most two million.
    u32::try_from(count).unwrap_or(u32::MAX)
}

struct Reader<'a> {
    layout: &'a StorageLayout,
    paths: &'a [PathBuf],
    /// The file read last: neighbouring pieces are mostly of one file.
    open: Option<(usize, File)>,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    fn hash(&mut self, piece: u32) -> Result<[u8; 20], ReadFault> {
        let layout = self.layout;
        let mut hasher = Sha1::new();
        for range in layout.ranges(piece, 0, layout.piece_length()) {
            let pad = layout.files().get(range.file).is_some_and(|file| file.pad);
            let mut offset = range.offset;
            let mut left = range.length;
            while left > 0 {
                let part = left.min(READ as u64);
                // At most `READ`.
                let length = part as usize;
                if pad {
                    self.buffer[..length].fill(0);
                } else {
                    self.read(range.file, offset, length).map_err(|error| ReadFault { file: range.file, error })?;
                }
                hasher.update(&self.buffer[..length]);
                offset += part;
                left -= part;
            }
        }
        Ok(hasher.finalize().into())
    }

    fn read(&mut self, file: usize, offset: u64, length: usize) -> io::Result<()> {
        let handle = match &mut self.open {
            Some((open, handle)) if *open == file => handle,
            open => {
                let path = self.paths.get(file).ok_or(io::ErrorKind::NotFound)?;
                &mut open.insert((file, open_regular(path)?)).1
            }
        };
        handle.read_exact_at(&mut self.buffer[..length], offset)
    }
}

/// Opens a regular file. A FIFO of the name is not waited for.
fn open_regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}
