//! Running hashes of pieces that are being written.
//!
//! A cache and nothing else: an entry says "the first `done` bytes of this piece, as they are on the disk, bring SHA-1 into
//! this state". Whatever breaks that sentence (a byte below `done` written again, a write that failed) drops the entry, and
//! the piece is read back instead. So a verdict is the same with and without the cache.

use sha1::{Digest, Sha1};
use std::collections::BTreeMap;

/// A piece: the serial number of its open torrent, and its index.
pub(super) type PieceKey = (u64, u32);

/// SHA-1 of the first `done` bytes of a piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Running {
    pub(super) hasher: Sha1,
    pub(super) done: u32,
}

#[derive(Debug)]
pub(super) struct HashCache {
    pieces: BTreeMap<PieceKey, Entry>,
    limit: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    running: Running,
    used: u64,
}

impl HashCache {
    /// A cache of at most `limit` pieces; none is kept when it is 0.
    pub(super) fn new(limit: usize) -> HashCache {
        HashCache { pieces: BTreeMap::new(), limit, clock: 0 }
    }

    /// These bytes of a piece are on the disk now.
    pub(super) fn wrote(&mut self, key: PieceKey, begin: u32, bytes: &[u8]) {
        self.clock += 1;
        if let Some(entry) = self.pieces.get_mut(&key) {
            entry.used = self.clock;
            if begin < entry.running.done {
                // Hashed already, and now something else may lie there.
                self.pieces.remove(&key);
            } else if begin == entry.running.done {
                entry.running.feed(bytes);
            }
            // What lies ahead is read back when the piece is verified.
            return;
        }
        if begin == 0 && self.limit > 0 {
            self.make_room();
            let mut running = Running::default();
            running.feed(bytes);
            self.pieces.insert(key, Entry { running, used: self.clock });
        }
    }

    /// What is on the disk is not known any more.
    pub(super) fn forget(&mut self, key: PieceKey) {
        self.pieces.remove(&key);
    }

    /// Drops all pieces of a torrent.
    pub(super) fn forget_torrent(&mut self, serial: u64) {
        self.pieces.retain(|key, _| key.0 != serial);
    }

    /// Gives out how far a piece has been hashed, and forgets it.
    pub(super) fn take(&mut self, key: PieceKey) -> Running {
        self.pieces.remove(&key).map(|entry| entry.running).unwrap_or_default()
    }

    fn make_room(&mut self) {
        while self.pieces.len() >= self.limit {
            let Some(oldest) = self.pieces.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key) else {
                return;
            };
            self.pieces.remove(&oldest);
        }
    }
}

impl Running {
    /// Hashes the bytes that come next.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        // A piece is shorter than 4 GiB; saturating keeps a wrong count from matching anything.
        self.done = self.done.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
}
