//! What a torrent's jobs are for.

use crate::border::{JobId, PeerKey};
use crate::metainfo::{Block, PieceIndex};
use crate::net_policy::Word;
use crate::peer::ReadRun;
use alloc::collections::VecDeque;

/// Why a job was started; decides what its result means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Tell the driver where the torrent lies.
    Open,
    /// Fetch resume data.
    Load,
    /// See which files exist.
    Check,
    /// Create files of no length.
    CreateEmpty,
    /// Keep files apart, or no more.
    Place,
    /// Remove the part file.
    DropPart,
    /// Hash a piece that is said to be on the disk: at the start, or when it has come into doubt.
    Recheck(PieceIndex),
    /// Hash a piece whose blocks have all been written.
    Verify(PieceIndex),
    /// Hash the blocks of a piece that failed, to find who sent bad ones.
    Digest(PieceIndex),
    /// Write a block that came from a peer.
    Write(Block),
    /// Read a run of blocks for a peer; `paid`: out of the rate limits.
    Upload { peer: PeerKey, run: ReadRun, paid: bool },
    /// Make writes durable.
    Sync,
    /// Store resume data.
    Save { pieces: u32 },
    /// Let go of the files.
    Release,
    /// See how it is with the storage, after it has failed or something is missing.
    Look,
    /// Hash a piece that was missing and may have come back.
    Regain(PieceIndex),
    /// Move the files to another folder.
    Move,
    /// Tell the driver once more where the torrent lies, to delete its files.
    Reopen,
    /// Delete the files.
    Delete,
    /// Find the addresses of a peer given by name.
    Resolve { port: u16, word: Word },
}

/// So many places of jobs that have ended may lie between those that are under way, and as many as there are of those.
const SLACK: usize = 64;

/// The jobs that are under way.
///
/// Their ids rise, and most end in the order in which they began: so they stand in a row, and one that ends leaves its place empty
/// until those before it have ended, or too much is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    open: VecDeque<(JobId, Option<Purpose>)>,
    /// How many have not ended.
    len: usize,
}

impl Jobs {
    pub(super) fn add(&mut self, job: JobId, purpose: Purpose) {
        debug_assert!(self.open.back().is_none_or(|&(last, _)| last < job));
        self.open.push_back((job, Some(purpose)));
        self.len += 1;
    }

    pub(super) fn take(&mut self, job: JobId) -> Option<Purpose> {
        let at = match self.open.front() {
            Some(&(first, _)) if first == job => 0,
            _ => self.open.binary_search_by_key(&job, |&(job, _)| job).ok()?,
        };
        let purpose = self.open.get_mut(at)?.1.take()?;
        self.len -= 1;
        while self.open.front().is_some_and(|(_, purpose)| purpose.is_none()) {
            self.open.pop_front();
        }
        if self.open.len() > 2 * self.len + SLACK {
            self.open.retain(|(_, purpose)| purpose.is_some());
        }
        Some(purpose)
    }

    /// Forgets jobs whose results are of no use any more.
    pub(super) fn forget(&mut self, useless: impl Fn(&Purpose) -> bool) {
        self.open.retain(|(_, purpose)| purpose.as_ref().is_some_and(|purpose| !useless(purpose)));
        self.len = self.open.len();
    }

    pub(super) fn purposes(&self) -> impl Iterator<Item = &Purpose> + '_ {
        self.open.iter().filter_map(|(_, purpose)| purpose.as_ref())
    }

    pub(super) fn any(&self, wanted: impl Fn(&Purpose) -> bool) -> bool {
        self.purposes().any(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_taken_once_in_whatever_order_and_one_that_lasts_does_not_keep_the_places_of_others() {
        let mut jobs = Jobs::default();
        let job = |count| JobId::new(1, count);
        jobs.add(job(1), Purpose::Sync);
        for count in 2..10_000 {
            jobs.add(job(count), Purpose::Open);
            assert_eq!(jobs.take(job(count)), Some(Purpose::Open));
            assert_eq!(jobs.take(job(count)), None);
        }
        assert!(jobs.open.len() <= 2 + SLACK, "{}", jobs.open.len());
        jobs.add(job(100_000), Purpose::Load);
        jobs.forget(|purpose| *purpose == Purpose::Load);
        assert_eq!(jobs.take(job(100_000)), None);
        assert!(jobs.any(|purpose| *purpose == Purpose::Sync));
        assert_eq!(jobs.take(job(0)), None);
        assert_eq!(jobs.take(job(1)), Some(Purpose::Sync));
        assert_eq!((jobs.purposes().count(), jobs.open.len()), (0, 0));
        for count in 200_000..200_100 {
            jobs.add(job(count), Purpose::Sync);
        }
        for count in (200_000..200_100).rev() {
            assert_eq!(jobs.take(job(count)), Some(Purpose::Sync));
        }
        assert!(jobs.open.is_empty());
    }
}
