//! Open content files, a bounded number over all torrents.
//!
//! The least recently used is closed when there is no room. One that a thread is working on then lives until it is done,
//! so at most one more for each thread is open. Closing loses nothing: what was written is with the system, and a later
//! sync of another handle covers it.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file: the serial number of its torrent, and its place in the layout.
pub(super) type FileKey = (u64, usize);

#[derive(Debug)]
pub(super) struct Handles {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: BTreeMap<FileKey, Entry>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    file: Arc<File>,
    writable: bool,
    used: u64,
}

impl Handles {
    pub(super) fn new(limit: usize) -> Arc<Handles> {
        Arc::new(Handles { limit: limit.max(1), open: Mutex::default() })
    }

    /// The handle of a file, when it is open and good for what it is wanted for.
    pub(super) fn get(&self, key: FileKey, write: bool) -> Option<Arc<File>> {
        let mut open = self.lock();
        open.clock += 1;
        let clock = open.clock;
        let entry = open.files.get_mut(&key).filter(|entry| entry.writable || !write)?;
        entry.used = clock;
        Some(Arc::clone(&entry.file))
    }

    /// Keeps a handle. Gives the one to use.
    pub(super) fn put(&self, key: FileKey, file: Arc<File>, writable: bool) -> Arc<File> {
        // Closing may take time (a network file system writes out then): it happens after the lock is given back.
        let mut closed = Vec::new();
        let mut open = self.lock();
        open.clock += 1;
        let used = open.clock;
        closed.extend(open.files.insert(key, Entry { file: Arc::clone(&file), writable, used }));
        while open.files.len() > self.limit {
            let oldest = open.files.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            closed.extend(oldest.and_then(|key| open.files.remove(&key)));
        }
        drop(open);
        file
    }

    /// Closes the files of a torrent.
    pub(super) fn close(&self, serial: u64) {
        let mut open = self.lock();
        let mut closed = open.files.split_off(&(serial, 0));
        if let Some(next) = serial.checked_add(1) {
            let mut later = closed.split_off(&(next, 0));
            open.files.append(&mut later);
        }
        drop(open);
        drop(closed);
    }

    /// Closes one file.
    pub(super) fn close_one(&self, key: FileKey) {
        let closed = self.lock().files.remove(&key);
        drop(closed);
    }

    /// Closes all files.
    pub(super) fn close_all(&self) {
        let closed = std::mem::take(&mut self.lock().files);
        drop(closed);
    }

    /// How many are open.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().files.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_is_closed() {
        let handles = Handles::new(2);
        let file = Arc::new(tempfile::tempfile().unwrap());
        handles.put((1, 0), Arc::clone(&file), true);
        handles.put((1, 1), Arc::clone(&file), false);
        assert!(handles.get((1, 0), true).is_some());
        handles.put((2, 0), Arc::clone(&file), true);
        assert!(handles.get((1, 1), false).is_none());
        assert!(handles.get((1, 0), true).is_some());
        handles.close(1);
        assert!(handles.get((1, 0), true).is_none());
        assert!(handles.get((2, 0), true).is_some());
        handles.close_all();
        assert_eq!(Arc::strong_count(&file), 1);
    }

    #[test]
    fn a_handle_for_reading_does_not_serve_a_write() {
        let handles = Handles::new(2);
        handles.put((1, 0), Arc::new(tempfile::tempfile().unwrap()), false);
        assert!(handles.get((1, 0), false).is_some());
        assert!(handles.get((1, 0), true).is_none());
    }
}
