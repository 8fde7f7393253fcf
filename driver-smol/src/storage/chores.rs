//! The chores thread: deleting and moving, which may take minutes, beside everything else.
//!
//! Both begin when every other thread is through with what was submitted for the torrent before (the `Farewell` of
//! [`Storage`](super::Storage)). A move can be called off while it copies.

use super::control::States;
use super::files::Files;
use super::queue::{Queue, Taken};
use super::relocate::{Place, relocate};
use super::state::{self, StateName};
use super::{Answers, relocate::Halt};
use crate::fault::io_fault;
use parcacik_core::border::{IoFault, JobId, JobResult};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something to do with a whole torrent.
#[derive(Debug)]
pub(super) enum Chore {
    /// Delete its files, but those.
    Delete { spare: BTreeSet<usize> },
    /// Move them there.
    Move { to: Place, state: StateName },
}

/// A chore that can begin.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) job: JobId,
    pub(super) files: Arc<Files>,
    pub(super) chore: Chore,
}

/// The chores that are under way, and how to call them off.
#[derive(Debug, Default)]
pub(super) struct Calls {
    closing: AtomicBool,
    open: Mutex<BTreeMap<JobId, Arc<AtomicBool>>>,
}

impl Calls {
    /// A chore was submitted.
    pub(super) fn open(&self, job: JobId) {
        self.lock().insert(job, Arc::default());
    }

    /// Calls one off, if it is one; it is answered by the thread that has it.
    pub(super) fn cancel(&self, job: JobId) {
        if let Some(off) = self.lock().get(&job) {
            off.store(true, Ordering::Relaxed);
        }
    }

    /// Calls all off.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn end(&self, job: JobId) {
        self.lock().remove(&job);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<AtomicBool>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Chores {
    pub(super) queue: Arc<Queue<Task>>,
    pub(super) answers: Answers,
    pub(super) states: Arc<States>,
    pub(super) calls: Arc<Calls>,
    pub(super) max_state: u64,
}

impl Chores {
    /// Works until the queue is closed.
    pub(super) fn run(self) {
        loop {
            let Taken { tasks, closing, .. } = self.queue.take(None);
            for Task { job, files, chore } in tasks {
                let off = self.calls.lock().get(&job).cloned().unwrap_or_default();
                let halt = || off.load(Ordering::Relaxed) || self.calls.closing.load(Ordering::Relaxed);
                let result = match chore {
                    _ if halt() => Err(IoFault::Cancelled),
                    Chore::Delete { spare } => self.delete(&files, &spare),
                    Chore::Move { to, state } => self.relocate(&files, to, state, &halt),
                };
                self.calls.end(job);
                self.answers.say(job, result);
            }
            if closing {
                return;
            }
        }
    }

    fn delete(&self, files: &Files, spare: &BTreeSet<usize>) -> Result<JobResult, IoFault> {
        let key = files.state();
        // First: without files, resume data would only be a riddle. And they are only ours when the lock is.
        let forgotten = match self.states.locked(&key).map_err(|error| error.fault())? {
            Some(dir) => state::remove(&dir, &key).map_err(|error| io_fault(&error)),
            None => Ok(()),
        };
        files.delete(spare)?;
        forgotten.map(|()| JobResult::Done)
    }

    fn relocate(&self, files: &Files, to: Place, new: StateName, halt: Halt<'_>) -> Result<JobResult, IoFault> {
        let old = files.state();
        if old != new {
            self.copy_state(&old, &new)?;
        }
        match relocate(files, to, halt) {
            Ok(()) => {
                files.set_state(new.clone());
                self.drop_state(&old, &new);
                // It is done, whatever the look says: a file that cannot be seen is one to be checked at the next start.
                let none = vec![None; files.layout.files().len()];
                Ok(files.check().unwrap_or(JobResult::Checked { files: none, part: None, free: None }))
            }
            Err(fault) => {
                self.drop_state(&new, &old);
                Err(fault)
            }
        }
    }

    /// Resume data go first: after a crash in the middle, each half of the files is known to be ours where it lies.
    fn copy_state(&self, old: &StateName, new: &StateName) -> Result<(), IoFault> {
        let Some(dir) = self.states.locked(new).map_err(|error| error.fault())? else { return Ok(()) };
        let copied = state::load(&dir, old, self.max_state).and_then(|copies| {
            // The older one first, so that it becomes the one before.
            let mut copies = copies.iter().rev();
            copies.try_for_each(|bytes| state::save(&dir, new, bytes, |_| Ok(())).map_err(|error| io_fault(&error)))
        });
        if copied.is_err() {
            self.drop_state(new, old);
        }
        copied
    }

    /// Takes resume data away and gives their lock back, unless they are the ones to keep.
    fn drop_state(&self, key: &StateName, keep: &StateName) {
        if key == keep {
            return;
        }
        if let Ok(Some(dir)) = self.states.locked(key)
            && let Err(error) = state::remove(&dir, key)
        {
            tracing::warn!(%error, %key, "old resume data could not be removed");
        }
        self.states.unlock(key);
    }
}
