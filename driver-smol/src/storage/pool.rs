//! Read buffers that are used again.
//!
//! A fresh buffer costs page faults and clearing; a recycled one neither. Buffers stay initialised, so no unsafe code is
//! needed to fill them, and go back when the last [`Bytes`] that looks at them is dropped, on whatever thread.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Sizes that buffers come in: what a request, a short run and a long run need. A read of another length takes the next
/// larger one, so that at most three quarters of a buffer is waste.
const CLASSES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];

#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<[Vec<Vec<u8>>; CLASSES.len()]>,
    /// The most bytes kept in each class.
    class_bytes: usize,
}

impl Pool {
    pub(super) fn new(bytes: usize) -> Arc<Pool> {
        Arc::new(Pool { free: Mutex::default(), class_bytes: bytes / CLASSES.len() })
    }

    /// A buffer of `length` bytes, of whatever content.
    pub(super) fn take(self: &Arc<Pool>, length: usize) -> Buffer {
        let class = CLASSES.iter().position(|&size| length <= size);
        let recycled = class.and_then(|class| self.lock().get_mut(class)?.pop());
        let size = class.and_then(|class| CLASSES.get(class).copied()).unwrap_or(length);
        let bytes = recycled.unwrap_or_else(|| vec![0; size]);
        Buffer { bytes, length, class, pool: Arc::clone(self) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Vec<Vec<u8>>; CLASSES.len()]> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that goes back to its pool.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    class: Option<usize>,
    pool: Arc<Pool>,
}

impl Buffer {
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(class) = self.class else { return };
        let bytes = std::mem::take(&mut self.bytes);
        let keep = self.pool.class_bytes / bytes.len().max(1);
        if let Some(free) = self.pool.lock().get_mut(class)
            && free.len() < keep
        {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_view_is_dropped() {
        let pool = Pool::new(4 << 20);
        let mut buffer = pool.take(20_000);
        buffer.as_mut().fill(7);
        let bytes = buffer.freeze();
        let view = bytes.slice(1..5);
        drop(bytes);
        assert!(pool.lock().iter().all(Vec::is_empty));
        assert_eq!(&view[..], [7; 4]);
        drop(view);
        assert_eq!(pool.lock()[1].len(), 1);
        assert_eq!(pool.take(65_536).as_ref().len(), 65_536);
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let pool = Pool::new(1 << 20);
        let many: Vec<Buffer> = (0..40).map(|_| pool.take(16_384)).collect();
        let large = pool.take(2 << 20);
        drop((many, large));
        assert_eq!(pool.lock()[0].len(), 16);
        assert_eq!(pool.lock().iter().map(Vec::len).sum::<usize>(), 16);
    }
}
