//! Which files of a torrent are kept apart, as one worker knows it.
//!
//! Only shared pieces are concerned, and all work on a piece goes to the same worker in order. So each worker changes over
//! when its turn comes, without waiting for the others: it copies what is to be copied of its own pieces, and from then on
//! finds bytes in the new way. The last one answers the job.
//!
//! What could not be copied is *owed*: work on such a piece copies it first, or ends with the same fault.

use super::Answers;
use super::files::Files;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{IoFault, JobId, JobResult};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A change of which files are apart, on its way through all workers.
#[derive(Debug)]
pub(super) struct Placing {
    pub(super) job: JobId,
    pub(super) files: Arc<Files>,
    pub(super) apart: Arc<Bitfield>,
    /// Workers that have not done their part.
    pub(super) left: AtomicUsize,
    /// The first fault of any.
    pub(super) fault: Mutex<Option<IoFault>>,
}

impl Placing {
    /// A worker has done its part.
    pub(super) fn done(&self, result: Result<(), IoFault>, answers: &Answers) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        *fault = fault.or(result.err());
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            answers.say(self.job, fault.map_or(Ok(JobResult::Done), Err));
        }
    }
}

/// One torrent's, in one worker.
#[derive(Debug)]
struct Home {
    apart: Arc<Bitfield>,
    /// Pieces and files that are still to be copied.
    owed: BTreeSet<(u32, usize)>,
}

/// Of all torrents that have or had files apart.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// By the torrent's serial number.
    homes: BTreeMap<u64, Home>,
    /// What holds for all others: nothing is apart.
    none: Arc<Bitfield>,
}

impl Homes {
    /// Changes over: `pieces` are this worker's own.
    pub(super) fn place(&mut self, files: &Files, apart: &Arc<Bitfield>, pieces: &[u32]) -> Result<(), IoFault> {
        let new = || Home { apart: Arc::clone(&self.none), owed: BTreeSet::new() };
        let home = self.homes.entry(files.serial).or_insert_with(new);
        let before = std::mem::replace(&mut home.apart, Arc::clone(apart));
        for file in before.iter().filter(|&file| !apart.get(file)).filter_map(|file| usize::try_from(file).ok()) {
            home.owed.extend(pieces.iter().map(|&piece| (piece, file)));
        }
        home.pay(files, |_| true)
    }

    /// The files that are apart, for work on the pieces from `first` to `last`; copies first what is owed of these.
    pub(super) fn of(&mut self, files: &Files, first: u32, last: u32) -> Result<Arc<Bitfield>, IoFault> {
        let Some(home) = self.homes.get_mut(&files.serial) else { return Ok(Arc::clone(&self.none)) };
        home.pay(files, |piece| (first..=last).contains(&piece))?;
        Ok(Arc::clone(&home.apart))
    }

    pub(super) fn forget(&mut self, serial: u64) {
        self.homes.remove(&serial);
    }
}

impl Home {
    fn pay(&mut self, files: &Files, due: impl Fn(u32) -> bool) -> Result<(), IoFault> {
        let mut result = Ok(());
        self.owed.retain(|&(piece, file)| {
            let copied = if due(piece) { files.carry(piece, file) } else { return true };
            result = result.and(copied);
            copied.is_err()
        });
        result
    }
}
