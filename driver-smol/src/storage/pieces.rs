//! What is known of pieces that are being written, so that verifying them reads nothing back.
//!
//! A cache and nothing else: an entry says "the first `hashed` bytes of this piece, as they are on the disk, bring SHA-1 into this
//! state, and these blocks behind them lie there too". Whatever breaks that sentence (a byte written again, a write that
//! failed) drops the entry, and the piece is read back instead. So a verdict is the same with and without the cache.
//!
//! Blocks are not hashed when they come but kept, because several pieces hashed in [lockstep](crate::sha1_lanes) cost half of
//! what they cost one after the other. They wait until enough pieces are whole, or until too much waits.

use crate::sha1_lanes::{LANES, Sha1, update_lanes};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A piece: the serial number of its open torrent, and its index.
pub(super) type PieceKey = (u64, u32);

/// What is known of a piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    sha1: Sha1,
    hashed: u32,
    /// What was written and is not hashed, by where it begins. No two overlap; none begins before `hashed`.
    blocks: BTreeMap<u32, Bytes>,
    /// The bytes of `blocks`.
    waiting: usize,
}

/// What comes next of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// These bytes.
    Kept(Bytes),
    /// So many bytes, which must be read from the disk.
    OnDisk(u32),
}

impl Known {
    /// How far it is hashed.
    pub(super) fn hashed(&self) -> u32 {
        self.hashed
    }

    /// Bytes that are kept for it.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes out what comes next, at most `limit` bytes, which are to be [hashed](hash) before it is asked again.
    pub(super) fn next(&mut self, limit: u32) -> Next {
        let Some((&begin, _)) = self.blocks.first_key_value() else { return Next::OnDisk(limit) };
        if begin > self.hashed {
            return Next::OnDisk(limit.min(begin - self.hashed));
        }
        let mut bytes = self.blocks.pop_first().map(|(_, bytes)| bytes).unwrap_or_default();
        self.waiting = self.waiting.saturating_sub(bytes.len());
        bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Next::Kept(bytes)
    }

    pub(super) fn finish(self) -> [u8; 20] {
        self.sha1.finish()
    }

    /// Keeps a block; says whether it could: not when some of it had been written before.
    fn wrote(&mut self, begin: u32, bytes: &Bytes) -> bool {
        let Some(end) = u32::try_from(bytes.len()).ok().and_then(|length| begin.checked_add(length)) else {
            return false;
        };
        // The one that begins last before its end: when that ends before it begins, all others do.
        let before = self.blocks.range(..end).next_back();
        let taken = before.map_or(0, |(at, block)| u64::from(*at) + block.len() as u64);
        if begin < self.hashed || taken > u64::from(begin) {
            return false;
        }
        self.waiting = self.waiting.saturating_add(bytes.len());
        self.blocks.insert(begin, bytes.clone());
        true
    }

    /// How many of the bytes that wait can be hashed now, because they follow what is hashed.
    fn ready(&self) -> usize {
        let mut end = u64::from(self.hashed);
        let mut ready = 0;
        for (&begin, bytes) in &self.blocks {
            if u64::from(begin) != end {
                break;
            }
            end += bytes.len() as u64;
            ready += bytes.len();
        }
        ready
    }
}

/// Hashes pieces in lockstep. `next` gives what comes next of the piece with that place in the list; nothing when that is
/// all.
pub(super) fn hash<K: AsMut<Known>>(pieces: &mut [K], mut next: impl FnMut(usize, &mut K) -> Option<Bytes>) {
    let mut lanes: Vec<(usize, &mut K, Bytes)> =
        pieces.iter_mut().enumerate().map(|(place, piece)| (place, piece, Bytes::new())).collect();
    loop {
        lanes.retain_mut(|(place, piece, bytes)| {
            if bytes.is_empty() {
                *bytes = next(*place, piece).unwrap_or_default();
            }
            !bytes.is_empty()
        });
        // As much as there is of each, so that no lane is ever alone before its time.
        let Some(common) = lanes.iter().map(|(_, _, bytes)| bytes.len()).min() else { return };
        let parts: Vec<Bytes> = lanes.iter_mut().map(|(_, _, bytes)| bytes.split_to(common)).collect();
        let mut work: Vec<(&mut Sha1, &[u8])> = Vec::with_capacity(lanes.len());
        for ((_, piece, _), part) in lanes.iter_mut().zip(&parts) {
            let known = piece.as_mut();
            // A piece is shorter than 4 GiB; saturating keeps a wrong count from matching anything.
            known.hashed = known.hashed.saturating_add(u32::try_from(common).unwrap_or(u32::MAX));
            work.push((&mut known.sha1, part));
        }
        update_lanes(&mut work);
    }
}

impl AsMut<Known> for Known {
    fn as_mut(&mut self) -> &mut Known {
        self
    }
}

#[derive(Debug)]
pub(super) struct HashCache {
    pieces: BTreeMap<PieceKey, Entry>,
    limit: usize,
    clock: u64,
    waiting: usize,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    used: u64,
}

impl AsMut<Known> for &mut Entry {
    fn as_mut(&mut self) -> &mut Known {
        &mut self.known
    }
}

impl HashCache {
    /// A cache of at most `limit` pieces; none is kept when it is 0.
    pub(super) fn new(limit: usize) -> HashCache {
        HashCache { pieces: BTreeMap::new(), limit, clock: 0, waiting: 0 }
    }

    /// Pieces that something is known of.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Bytes that are kept and not hashed yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// These bytes of a piece are on the disk now.
    pub(super) fn wrote(&mut self, key: PieceKey, begin: u32, bytes: &Bytes) {
        if self.limit == 0 {
            return;
        }
        self.clock += 1;
        if let Some(entry) = self.pieces.get_mut(&key) {
            if entry.known.wrote(begin, bytes) {
                entry.used = self.clock;
                self.waiting = self.waiting.saturating_add(bytes.len());
                return;
            }
            // What was known of it is so no more; but the new block lies there.
            self.forget(key);
        }
        let mut known = Known::default();
        if known.wrote(begin, bytes) {
            self.make_room();
            self.waiting = self.waiting.saturating_add(bytes.len());
            self.pieces.insert(key, Entry { known, used: self.clock });
        }
    }

    /// What is on the disk is not known any more.
    pub(super) fn forget(&mut self, key: PieceKey) {
        self.take(key);
    }

    /// Drops all pieces of a torrent.
    pub(super) fn forget_torrent(&mut self, serial: u64) {
        self.pieces.retain(|key, _| key.0 != serial);
        self.waiting = self.pieces.values().map(|entry| entry.known.waiting).sum();
    }

    /// Gives out what is known of a piece, and forgets it.
    pub(super) fn take(&mut self, key: PieceKey) -> Known {
        let known = self.pieces.remove(&key).map(|entry| entry.known).unwrap_or_default();
        self.waiting = self.waiting.saturating_sub(known.waiting);
        known
    }

    /// Lets no more than `limit` bytes wait: hashes what can be hashed, and drops what came early and cannot.
    pub(super) fn relieve(&mut self, limit: usize) {
        while self.waiting > limit {
            if !self.hash_ready() {
                // Read back later, it costs no memory.
                self.pieces.values_mut().for_each(|entry| {
                    entry.known.blocks.clear();
                    entry.known.waiting = 0;
                });
                self.waiting = 0;
            }
        }
    }

    /// Hashes what follows what is hashed, of as many pieces as there are lanes; says whether there was something.
    pub(super) fn hash_ready(&mut self) -> bool {
        let mut ready: Vec<(usize, &mut Entry)> =
            self.pieces.values_mut().map(|entry| (entry.known.ready(), entry)).collect();
        // Those with the most: the lanes are full the longest then.
        ready.sort_unstable_by_key(|(ready, entry)| (std::cmp::Reverse(*ready), entry.used));
        ready.truncate(LANES);
        ready.retain(|(ready, _)| *ready > 0);
        let mut entries: Vec<&mut Entry> = ready.into_iter().map(|(_, entry)| entry).collect();
        let before: usize = entries.iter().map(|entry| entry.known.waiting).sum();
        hash(&mut entries, |_, entry| match entry.known.next(u32::MAX) {
            Next::Kept(bytes) => Some(bytes),
            Next::OnDisk(_) => None,
        });
        let after: usize = entries.iter().map(|entry| entry.known.waiting).sum();
        self.waiting = self.waiting.saturating_sub(before.saturating_sub(after));
        after < before
    }

    fn make_room(&mut self) {
        while self.pieces.len() >= self.limit {
            let Some(oldest) = self.pieces.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key) else {
                return;
            };
            self.forget(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PieceKey = (1, 0);

    fn block(byte: u8, length: usize) -> Bytes {
        Bytes::from(vec![byte; length])
    }

    #[test]
    fn what_came_early_is_kept_until_the_gap_closes() {
        let mut cache = HashCache::new(4);
        cache.wrote(KEY, 100, &block(2, 100));
        cache.wrote(KEY, 300, &block(4, 100));
        cache.wrote(KEY, 0, &block(1, 100));
        let mut known = cache.take(KEY);
        assert_eq!((known.waiting(), known.ready(), cache.waiting()), (300, 200, 0));
        let mut seen = Vec::new();
        hash(std::slice::from_mut(&mut known), |_, known| {
            let next = known.next(400 - known.hashed());
            seen.push((known.hashed(), next.clone()));
            match next {
                Next::Kept(bytes) => Some(bytes),
                Next::OnDisk(length) => Some(block(9, length as usize)).filter(|bytes| !bytes.is_empty()),
            }
        });
        let wanted = [
            (0, Next::Kept(block(1, 100))),
            (100, Next::Kept(block(2, 100))),
            (200, Next::OnDisk(100)),
            (300, Next::Kept(block(4, 100))),
            (400, Next::OnDisk(0)),
        ];
        assert_eq!(seen, wanted);
        let mut whole = Sha1::default();
        [1, 2, 9, 4].into_iter().for_each(|byte| whole.update(&[byte; 100]));
        assert_eq!(known.finish(), whole.finish());
    }

    #[test]
    fn what_overlaps_is_not_known_but_what_came_last_is() {
        for (begin, length) in [(50, 10), (0, 1), (199, 1), (150, 100), (0, 1_000)] {
            let mut cache = HashCache::new(4);
            cache.wrote(KEY, 0, &block(1, 100));
            cache.wrote(KEY, 100, &block(2, 100));
            cache.wrote(KEY, begin, &block(3, length));
            assert_eq!(cache.waiting(), length);
            let known = cache.take(KEY);
            assert_eq!((known.waiting(), known.blocks.keys().copied().collect::<Vec<_>>()), (length, vec![begin]));
        }
        // Behind what is hashed it is the same.
        let mut cache = HashCache::new(4);
        cache.wrote(KEY, 0, &block(1, 100));
        cache.relieve(0);
        cache.wrote(KEY, 99, &block(3, 1));
        let known = cache.take(KEY);
        assert_eq!((known.hashed(), known.waiting()), (0, 1));
    }

    #[test]
    fn no_more_waits_than_allowed() {
        let mut cache = HashCache::new(100);
        for piece in 0..20 {
            cache.wrote((1, piece), 0, &block(1, 100 + piece as usize));
        }
        cache.relieve(1_500);
        // The longest are hashed, as many at once as there are lanes.
        assert!(cache.waiting() <= 1_500);
        let hashed: Vec<u32> = (0..20).map(|piece| cache.take((1, piece)).hashed()).collect();
        assert!(hashed.is_sorted() && hashed[0] == 0 && hashed[19] == 119, "{hashed:?}");
        assert_eq!(cache.waiting(), 0);
        // What cannot be hashed is let go.
        cache.wrote(KEY, 5, &block(1, 100));
        cache.relieve(99);
        assert_eq!((cache.waiting(), cache.take(KEY).waiting()), (0, 0));
    }

    #[test]
    fn the_least_recently_written_makes_room() {
        let mut cache = HashCache::new(2);
        for piece in [0, 1, 2] {
            cache.wrote((1, piece), 0, &block(1, 10));
            cache.wrote((1, 0), 10 + 10 * piece, &block(1, 10));
        }
        assert_eq!(cache.waiting(), 50);
        assert_eq!([0, 1, 2].map(|piece| cache.take((1, piece)).waiting()), [40, 0, 10]);
        cache.wrote((1, 5), 0, &block(1, 10));
        cache.wrote((2, 5), 0, &block(1, 7));
        cache.forget_torrent(1);
        assert_eq!(cache.waiting(), 7);
    }
}
