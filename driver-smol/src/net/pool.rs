//! The buffers that streams are read into.
//!
//! A chunk that was read is handed to the core as [`Bytes`] without copying: a block of content is a slice of it, all
//! the way to the disk. The buffer comes back when the last slice is dropped, on whatever thread that happens; so the
//! list of free buffers is behind a lock, taken twice for each chunk (not for each block) and never for long.
//!
//! Two rules keep memory bounded, whatever the core holds on to:
//! - a buffer that was filled to less than a quarter is not handed out: its bytes are copied, so that 17 bytes do not
//!   pin 64 KiB;
//! - once the buffers that are out there come to the pool's limit, everything is copied, out of one buffer of the small
//!   size.
//!
//! Buffers are made of zeros once and keep what they held: memory that lives on is what makes reading cheap, fresh
//! pages are what makes it dear.

use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is read at once from a stream of which nothing is known, in bytes.
pub(crate) const SMALL: usize = 64 << 10;
/// What is read at once from a stream that fills a small buffer, in bytes.
pub(crate) const LARGE: usize = 256 << 10;
/// How many free buffers of each size are kept: as many large ones as the disk gives back at once when it has hashed
/// eight pieces of 1 MiB.
const KEEP: usize = 32;

/// A bounded store of read buffers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The most bytes of buffers that may be in the core's hands.
    limit: usize,
    pinned: AtomicUsize,
    small: Mutex<Vec<Vec<u8>>>,
    large: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    fn shelf(&self, size: usize) -> &Mutex<Vec<Vec<u8>>> {
        if size == LARGE { &self.large } else { &self.small }
    }

    fn put(&self, buffer: Vec<u8>) {
        // A list of buffers is whole between any two statements: a poisoned lock is as good as a sound one.
        let mut shelf = self.shelf(buffer.len()).lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.len() < KEEP {
            shelf.push(buffer);
        }
    }
}

/// A buffer to read into. Goes back when dropped.
#[derive(Debug)]
pub(crate) struct Chunk {
    buffer: Vec<u8>,
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool of which at most `limit` bytes are handed out at once.
    pub(crate) fn new(limit: usize) -> Pool {
        let shared = Shared { limit, pinned: AtomicUsize::new(0), small: Mutex::default(), large: Mutex::default() };
        Pool { shared: Arc::new(shared) }
    }

    /// A buffer of at least `want` bytes, where that is within what the pool gives: else of [`SMALL`].
    pub(crate) fn take(&self, want: usize) -> Chunk {
        let pinned = self.shared.pinned.load(Ordering::Relaxed);
        let size = if want > SMALL && pinned + LARGE <= self.shared.limit { LARGE } else { SMALL };
        let kept = self.shared.shelf(size).lock().unwrap_or_else(PoisonError::into_inner).pop();
        Chunk { buffer: kept.unwrap_or_else(|| vec![0; size]), shared: Arc::clone(&self.shared) }
    }

    /// The bytes of buffers that are handed out now.
    #[cfg(test)]
    pub(crate) fn pinned(&self) -> usize {
        self.shared.pinned.load(Ordering::Relaxed)
    }
}

impl Chunk {
    /// All of it, to read into.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Hands out its first `length` bytes.
    pub(crate) fn freeze(mut self, length: usize) -> Bytes {
        let size = self.buffer.len();
        let length = length.min(size);
        let pinned = self.shared.pinned.load(Ordering::Relaxed);
        if length < size / 4 || pinned + size > self.shared.limit {
            return Bytes::copy_from_slice(&self.buffer[..length]);
        }
        self.shared.pinned.fetch_add(size, Ordering::Relaxed);
        let buffer = std::mem::take(&mut self.buffer);
        Bytes::from_owner(Filled { buffer, length, shared: Arc::clone(&self.shared) })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if !self.buffer.is_empty() {
            self.shared.put(std::mem::take(&mut self.buffer));
        }
    }
}

/// A buffer in the core's hands.
struct Filled {
    buffer: Vec<u8>,
    length: usize,
    shared: Arc<Shared>,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.shared.pinned.fetch_sub(self.buffer.len(), Ordering::Relaxed);
        self.shared.put(std::mem::take(&mut self.buffer));
    }
}
