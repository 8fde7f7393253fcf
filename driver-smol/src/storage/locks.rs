//! Which process has which torrent: locks in the state folder.
//!
//! A torrent is locked by a byte range of one of sixteen files, `locks.0` to `locks.f`: its place is drawn from the torrent's
//! [`StateName`]. So ten thousand torrents take sixteen descriptors and not ten thousand, and each is still free for another process
//! alone. The locks belong to the open file (Linux: "open file description locks"): another [`Storage`](super::Storage) of the same
//! process is somebody else too, and the system gives all of them back when the process ends in whatever way.
//!
//! Where there are no such locks, each torrent has a file of its own, `NAME.lock`, locked whole.
//!
//! Lock files are empty and never removed: removing one would let two hold "the" lock.

use super::state::{StateName, private};
use crate::fault::io_fault;
use cap_std::fs::Dir;
use parcacik_core::border::IoFault;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Holds a torrent's resume data for this process. Given back when dropped.
#[derive(Debug)]
pub(super) struct StateLock {
    file: Arc<File>,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    place: i64,
}

/// Why a torrent's resume data could not be locked.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateLockError {
    /// Another process, or another [`Storage`](super::Storage), has this torrent.
    #[error("another parcacik process has this torrent")]
    Held,
    /// The lock file could not be opened or locked.
    #[error("the state folder cannot be used: {0}")]
    Io(#[from] io::Error),
}

impl StateLockError {
    /// The word that jobs end with: [`IoFault::Busy`] when it is held by somebody else.
    pub(super) fn fault(&self) -> IoFault {
        match self {
            StateLockError::Held => IoFault::Busy,
            StateLockError::Io(error) => io_fault(error),
        }
    }
}

/// The lock files of one folder that are open.
#[derive(Debug, Default)]
pub(super) struct LockFiles {
    open: BTreeMap<String, Arc<File>>,
}

impl LockFiles {
    /// Locks a torrent for as long as the result lives. The caller asks for each torrent once: what this process holds itself is
    /// not noticed.
    pub(super) fn lock(&mut self, dir: &Dir, key: &StateName) -> Result<StateLock, StateLockError> {
        let name = file_name(key);
        let file = match self.open.get(&name) {
            Some(file) => Arc::clone(file),
            None => {
                let mut options = private();
                options.read(true).write(true).create(true);
                Arc::new(dir.open_with(&name, &options)?.into_std())
            }
        };
        let lock = lock_in(&file, key)?;
        if SHARED {
            self.open.insert(name, file);
        }
        Ok(lock)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod ranges {
    use super::{Arc, File, StateLock, StateLockError, StateName};
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;
    use sha1::{Digest, Sha1};

    /// Whether torrents share files.
    pub(super) const SHARED: bool = true;

    pub(super) fn file_name(key: &StateName) -> String {
        format!("locks.{:x}", Sha1::digest(key.to_string())[0] >> 4)
    }

    /// The byte that stands for a torrent. 62 bits of a hash: two torrents that share one would only be taken for each other.
    fn place(key: &StateName) -> i64 {
        let hash: [u8; 20] = Sha1::digest(key.to_string()).into();
        let [.., a, b, c, d, e, f, g, h] = hash;
        (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 2) as i64
    }

    pub(super) fn lock_in(file: &Arc<File>, key: &StateName) -> Result<StateLock, StateLockError> {
        let place = place(key);
        match set(file, libc::F_WRLCK, place) {
            Ok(()) => Ok(StateLock { file: Arc::clone(file), place }),
            Err(Errno::EAGAIN | Errno::EACCES) => Err(StateLockError::Held),
            Err(error) => Err(StateLockError::Io(error.into())),
        }
    }

    fn set(file: &File, kind: libc::c_int, place: i64) -> Result<(), Errno> {
        let range = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: place,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_OFD_SETLK(&range)).map(drop)
    }

    impl Drop for StateLock {
        fn drop(&mut self) {
            // It cannot fail for a range of an open file; and the end of the process gives it back at the latest.
            let _ = set(&self.file, libc::F_UNLCK, self.place);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod ranges {
    use super::{Arc, File, StateLock, StateLockError, StateName};
    use std::fs::TryLockError;

    pub(super) const SHARED: bool = false;

    pub(super) fn file_name(key: &StateName) -> String {
        format!("{key}.lock")
    }

    pub(super) fn lock_in(file: &Arc<File>, _key: &StateName) -> Result<StateLock, StateLockError> {
        match file.try_lock() {
            Ok(()) => Ok(StateLock { file: Arc::clone(file) }),
            Err(TryLockError::WouldBlock) => Err(StateLockError::Held),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

use ranges::{SHARED, file_name, lock_in};

#[cfg(test)]
mod tests {
    use super::super::state::open_state_dir;
    use super::*;
    use parcacik_core::border::InfoHash;
    use std::path::Path;

    fn key(number: u16) -> StateName {
        let mut hash = [0; 20];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        StateName::new(InfoHash(hash), Path::new("/downloads"))
    }

    #[test]
    fn a_torrent_is_one_process_s_alone_and_others_are_free() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open_state_dir(temp.path()).unwrap();
        let (mut ours, mut theirs) = (LockFiles::default(), LockFiles::default());
        let first = ours.lock(&dir, &key(1)).unwrap();
        let second = ours.lock(&dir, &key(2)).unwrap();
        assert!(matches!(theirs.lock(&dir, &key(1)), Err(StateLockError::Held)));
        let third = theirs.lock(&dir, &key(3)).unwrap();
        assert!(matches!(ours.lock(&dir, &key(3)), Err(StateLockError::Held)));
        drop(first);
        let taken = theirs.lock(&dir, &key(1)).unwrap();
        assert!(matches!(ours.lock(&dir, &key(1)), Err(StateLockError::Held)));
        assert!(
            matches!(theirs.lock(&dir, &key(2)), Err(StateLockError::Held)),
            "giving one back gives back that one alone"
        );
        drop((second, third, taken));
        assert!(ours.lock(&dir, &key(3)).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn thousands_of_torrents_take_few_descriptors() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open_state_dir(temp.path()).unwrap();
        let (mut ours, mut theirs) = (LockFiles::default(), LockFiles::default());
        let locks: Vec<StateLock> = (0..3_000).map(|number| ours.lock(&dir, &key(number)).unwrap()).collect();
        assert!(ours.open.len() <= 16);
        for number in [0, 1_234, 2_999] {
            assert!(matches!(theirs.lock(&dir, &key(number)), Err(StateLockError::Held)));
        }
        drop(locks);
        assert!(theirs.lock(&dir, &key(1_234)).is_ok());
    }
}
