//! What a torrent's jobs are for.

use crate::border::{JobId, PeerKey};
use crate::journal::canon::{canon_enum, canon_struct};
use crate::metainfo::{Block, PieceIndex};
use crate::net_policy::Word;
use crate::peer::ReadRun;
use crate::rows::Rows;

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

canon_enum!(out Purpose { 0 = Open, 1 = Load, 2 = Check, 3 = CreateEmpty, 4 = Place, 5 = DropPart, 6 = Recheck(a), 7 = Verify(a), 8 = Digest(a), 9 = Write(a), 10 = Upload { peer, run, paid }, 11 = Sync, 12 = Save { pieces }, 13 = Release, 14 = Look, 15 = Regain(a), 16 = Move, 17 = Reopen, 18 = Delete, 19 = Resolve { port, word } });

/// The jobs that are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    open: Rows<JobId, Purpose>,
}

canon_struct!(out Jobs { open });

impl Jobs {
    pub(super) fn add(&mut self, job: JobId, purpose: Purpose) {
        self.open.insert(job, purpose);
    }

    pub(super) fn take(&mut self, job: JobId) -> Option<Purpose> {
        self.open.remove(job)
    }

    /// Forgets jobs whose results are of no use any more.
    pub(super) fn forget(&mut self, useless: impl Fn(&Purpose) -> bool) {
        self.open.retain(|purpose| !useless(purpose));
    }

    pub(super) fn purposes(&self) -> impl Iterator<Item = &Purpose> + '_ {
        self.open.values()
    }

    pub(super) fn any(&self, wanted: impl Fn(&Purpose) -> bool) -> bool {
        self.purposes().any(wanted)
    }
}
