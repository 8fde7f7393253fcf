//! How it is with the storage, and how it gets well by itself.
//!
//! | what failed | what is done | how it ends |
//! |---|---|---|
//! | what is wanted does not fit, or a write found no room | nothing is downloaded; serving goes on | a look finds room for all that is missing |
//! | a write, by any other fault | the same | a look at the files succeeds; the next write shows whether it helped |
//! | a sync or save | [`persist`](super::persist) tries again; the transfer goes on | it succeeds |
//! | a read for a peer | the request is rejected, the piece is doubted: served to nobody and hashed again. If the file is gone or too short, all files are looked at, and what lies in those that are gone is lost | the hash is right, or the piece is lost and, in a download, fetched again |
//! | hashing a doubted piece | it is tried again, [`read_tries`](crate::border::StorageConfig::read_tries) times | as above |
//! | at the start all files are gone that were there | nothing is downloaded or claimed to be lost: the disk is likely not mounted, and a download from nothing would fill another | a look finds one, or the application orders a check |
//! | a look at the start | as if the files were gone | it succeeds |
//!
//! A *look* is [`Work::Check`]. One is made after a wait that doubles from
//! [`retry_min`](crate::border::StorageConfig::retry_min) to [`retry_max`](crate::border::StorageConfig::retry_max), by a torrent that
//! may not download what it misses from time to time as well, up to [`look_max`](crate::border::StorageConfig::look_max): what comes
//! back there is hashed and served again.

use super::resume::homes;
use super::{Peer, Phase, Purpose, Shared, Torrent};
use crate::border::{CloseReason, FileState, IoFault, JobResult, Notice, StorageState, Work};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::metainfo::PieceIndex;
use crate::peer::PeerOrder;
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How many pieces that have come back are hashed at once.
const REGAINS_AT_ONCE: u32 = 8;

/// How many lost pieces peers are told of one by one, 40 KiB for each peer; where more are gone, connections begin anew.
const MAX_RETRACTED: usize = 4096;

/// What is known of the storage.
#[derive(Clone, Debug)]
pub(super) struct Health {
    /// Why nothing is written, or, at the start, looked at.
    ill: Option<StorageState>,
    /// Why the last sync or save failed.
    unsynced: Option<IoFault>,
    failures: u32,
    look_at: Option<Time>,
    looking: bool,
    /// Pieces may be gone: the next look is to find out.
    seek_losses: bool,
    /// The next look for files that may come back, and how many found nothing.
    find_at: Option<Time>,
    finds: u32,
    /// The files as they were when their missing pieces were last hashed.
    seen: Vec<Option<FileState>>,
    /// Missing pieces that are to be hashed.
    back: VecDeque<PieceIndex>,
    hashing: u32,
    told: StorageState,
}

canon_struct!(out Health { ill, unsynced, failures, look_at, looking, seek_losses, find_at, finds, seen, back, hashing, told });

impl Default for Health {
    fn default() -> Health {
        Health {
            ill: None,
            unsynced: None,
            failures: 0,
            look_at: None,
            looking: false,
            seek_losses: false,
            find_at: None,
            finds: 0,
            seen: Vec::new(),
            back: VecDeque::new(),
            hashing: 0,
            told: StorageState::Good,
        }
    }
}

impl Health {
    /// Whether nothing is to be asked for, because it could not be stored.
    pub(super) fn is_ill(&self) -> bool {
        self.ill.is_some()
    }

    pub(super) fn state(&self) -> StorageState {
        self.ill.or(self.unsynced.map(StorageState::Failing)).unwrap_or(StorageState::Good)
    }

    /// When it is looked at next.
    pub(super) fn retry_at(&self) -> Option<Time> {
        self.look_at.filter(|_| self.is_ill())
    }

    /// When there is something to do for a torrent that starts or runs. One that starts does not look for what has come back: it
    /// is looking at everything.
    pub(super) fn deadline(&self, starting: bool) -> Option<Time> {
        let find = self.find_at.filter(|_| !starting);
        self.look_at.into_iter().chain(find).min()
    }

    /// A write has ended well.
    pub(super) fn wrote(&mut self) {
        if !self.is_ill() {
            self.failures = 0;
        }
    }
}

impl Torrent {
    /// A fault that stops the writing, or at the start everything. The first is told.
    pub(super) fn storage_failed(&mut self, cx: &mut Cx, fault: IoFault) {
        let state = match fault {
            IoFault::NoSpace => StorageState::Full { needed: self.picker.missing_bytes(), free: None },
            fault => StorageState::Failing(fault),
        };
        if self.health.ill.is_none() {
            cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
        }
        self.falls_ill(cx, state);
    }

    fn falls_ill(&mut self, cx: &mut Cx, state: StorageState) {
        let config = &cx.config.storage;
        let health = &mut self.health;
        health.ill = Some(state);
        if health.look_at.is_none() && !health.looking {
            health.look_at = Some(cx.now + config.backoff(health.failures, config.retry_max));
            health.failures = health.failures.saturating_add(1);
        }
        self.tell_storage(cx);
    }

    /// All is well again.
    pub(super) fn storage_is_well(&mut self, cx: &mut Cx) {
        self.health.look_at = None;
        if self.health.ill.take().is_some() {
            self.refill = true;
            self.hungry.extend(self.peers.keys());
        }
        self.tell_storage(cx);
    }

    /// A sync or save has ended.
    pub(super) fn made_durable(&mut self, cx: &mut Cx, result: Result<(), IoFault>) {
        if let Err(fault) = result {
            cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
        }
        self.health.unsynced = result.err();
        self.tell_storage(cx);
    }

    /// Tells of another state; other figures are no news.
    fn tell_storage(&mut self, cx: &mut Cx) {
        let state = self.health.state();
        let same = match (state, self.health.told) {
            (StorageState::Full { .. }, StorageState::Full { .. }) => true,
            (now, told) => now == told,
        };
        if !same {
            self.health.told = state;
            cx.out.notices.push(Notice::Storage { torrent: self.id, state });
        }
    }

    /// Whether what is wanted does not fit: then it is not begun.
    pub(super) fn check_room(&mut self, cx: &mut Cx, free: Option<u64>) {
        if let Some(full) = self.lacks_room(cx, free) {
            cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault: IoFault::NoSpace });
            self.falls_ill(cx, full);
        }
    }

    fn lacks_room(&self, cx: &Cx, free: Option<u64>) -> Option<StorageState> {
        let config = &cx.config.storage;
        let needed = self.picker.missing_bytes();
        let short = free.is_some_and(|free| free < needed.saturating_add(config.reserve));
        (config.check_space && !self.only_gives() && short).then_some(StorageState::Full { needed, free })
    }

    /// Its time has come, for whatever has one here.
    pub(super) fn health_tick(&mut self, cx: &mut Cx) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= cx.now);
        let (look, find) = (due(self.health.look_at), due(self.health.find_at));
        if look && matches!(self.phase, Phase::Starting(_)) {
            self.health.look_at = None;
            self.startup_again(cx);
        } else if (look || find) && matches!(self.phase, Phase::Running) {
            self.look(cx);
        }
    }

    fn look(&mut self, cx: &mut Cx) {
        (self.health.look_at, self.health.find_at) = (None, None);
        if !core::mem::replace(&mut self.health.looking, true) {
            self.start(cx, Work::Check { torrent: self.id }, Purpose::Look);
        }
    }

    /// A read for a peer failed: what was there is damaged or gone. RELIABILITY: "a short read or missing file un-claims the
    /// pieces, it is never a fatal torrent error".
    pub(super) fn read_failed(&mut self, cx: &mut Cx, piece: PieceIndex, fault: IoFault) {
        cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
        if !self.picker.have().get(piece.get()) {
            return;
        }
        self.doubt(cx, piece);
        if matches!(fault, IoFault::ShortRead | IoFault::NotFound) && matches!(self.phase, Phase::Running) {
            self.health.seek_losses = true;
            self.look(cx);
        }
    }

    /// The files have been looked at.
    pub(super) fn looked(&mut self, cx: &mut Cx, shared: &mut Shared, result: Result<JobResult, IoFault>) {
        self.health.looking = false;
        if !matches!(self.phase, Phase::Running | Phase::Halted) {
            return;
        }
        let (files, free) = match result {
            Ok(JobResult::Checked { files, part, free }) => (self.table(files, part), free),
            Ok(_) => return self.storage_failed(cx, IoFault::Other),
            Err(fault) => return self.storage_failed(cx, fault),
        };
        if core::mem::take(&mut self.health.seek_losses) {
            self.lose_what_is_gone(cx, shared, &files);
        }
        if self.seed_only {
            self.find_what_is_back(cx, &files);
        }
        if self.health.is_ill() {
            match self.lacks_room(cx, free) {
                Some(full) => self.falls_ill(cx, full),
                None => self.storage_is_well(cx),
            }
        }
    }

    fn lose_what_is_gone(&mut self, cx: &mut Cx, shared: &mut Shared, files: &[Option<FileState>]) {
        let gone: Vec<PieceIndex> = self
            .picker
            .have()
            .iter()
            .filter(|&piece| !self.lies_within(piece, files))
            .filter_map(|piece| self.facts.geometry.piece(piece))
            .collect();
        if !gone.is_empty() {
            self.lose(cx, shared, &gone);
        }
    }

    /// Whether files as these hold every byte of a piece.
    fn lies_within(&self, piece: u32, files: &[Option<FileState>]) -> bool {
        homes(&self.facts.layout, piece, self.placement.apart())
            .all(|(file, end)| files.get(file).copied().flatten().is_some_and(|file| end <= file.length))
    }

    /// The files as they were at the start: what is missing in them is missing.
    pub(super) fn first_look(&mut self, cx: &Cx, files: Vec<Option<FileState>>) {
        if self.seed_only {
            self.health.seen = files;
            self.look_for_the_missing(cx);
        }
    }

    /// In a torrent that may not download, what was lost can only come back by itself.
    fn look_for_the_missing(&mut self, cx: &Cx) {
        if self.seed_only && self.picker.missing_bytes() > 0 && self.health.find_at.is_none() && !self.health.looking {
            let config = &cx.config.storage;
            self.health.find_at = Some(cx.now + config.backoff(self.health.finds, config.look_max));
            self.health.finds = self.health.finds.saturating_add(1);
        }
    }

    fn find_what_is_back(&mut self, cx: &mut Cx, files: &[Option<FileState>]) {
        let layout = self.facts.layout.clone();
        let seen = core::mem::replace(&mut self.health.seen, files.to_vec());
        let changed = |file: usize| files.get(file).copied().flatten() != seen.get(file).copied().flatten();
        if self.health.back.is_empty() {
            for piece in self.facts.geometry.iter().filter(|piece| !self.picker.have().get(piece.get())) {
                let mut files_of = homes(&layout, piece.get(), self.placement.apart());
                if files_of.any(|(file, _)| changed(file)) && self.lies_within(piece.get(), files) {
                    self.health.back.push_back(piece);
                }
            }
        }
        self.hash_what_is_back(cx);
        self.look_for_the_missing(cx);
    }

    fn hash_what_is_back(&mut self, cx: &mut Cx) {
        while self.health.hashing < REGAINS_AT_ONCE
            && let Some(piece) = self.health.back.pop_front()
        {
            self.health.hashing += 1;
            self.hash(cx, piece, false, Purpose::Regain(piece));
        }
    }

    /// A piece that may have come back has been hashed.
    pub(super) fn regained(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        piece: PieceIndex,
        result: Result<JobResult, IoFault>,
    ) {
        self.health.hashing = self.health.hashing.saturating_sub(1);
        if matches!(result, Ok(JobResult::Verified(verdict)) if verdict.matches) && !self.picker.have().get(piece.get())
        {
            self.health.finds = 0;
            self.piece_is_ours(cx, shared, piece);
            // It came from the disk, not from peers: no tracker is to count it as a download.
            self.completed_ever |= self.picker.is_complete();
            self.look_whether_whole(cx, shared);
        }
        self.hash_what_is_back(cx);
    }

    /// Peers that were told of these pieces learn that they are gone (BEP 54), as far as that is shorter than to tell anew what is left.
    fn retract(&mut self, cx: &mut Cx, shared: &mut Shared, pieces: &[PieceIndex]) {
        if pieces.len() > MAX_RETRACTED {
            return self.close_all(cx, shared, CloseReason::Paused);
        }
        self.each_peer(cx, shared, |this, cx, shared, _, peer| {
            for &piece in pieces {
                if was_told(peer, piece) {
                    this.order(cx, shared, peer, PeerOrder::DontHave(piece));
                }
            }
        });
    }

    /// Pieces that were ours are not there any more.
    pub(super) fn lose(&mut self, cx: &mut Cx, shared: &mut Shared, pieces: &[PieceIndex]) {
        for &piece in pieces {
            self.disk.trusts(piece);
            self.picker.piece_lost(piece);
            self.lost.insert(piece);
            self.persist.piece_lost(piece);
            self.placement_checked(piece);
            for (file, _) in homes(&self.facts.layout, piece.get(), self.placement.apart()) {
                if let Some(seen) = self.health.seen.get_mut(file) {
                    *seen = None;
                }
            }
        }
        self.retract(cx, shared, pieces);
        self.end_super_seed(cx, shared, None);
        if !self.only_gives() {
            // It is a download again: seeds are of use.
            self.candidates.set_seeding(false);
        }
        self.health.finds = 0;
        self.look_for_the_missing(cx);
        self.recount_interest(cx, shared);
        self.look_whether_whole(cx, shared);
        self.upload_only_changed(cx, shared);
    }
}

/// Whether a peer was told that we have a piece: a guest of super seeding knows only of some.
fn was_told(peer: &Peer, piece: PieceIndex) -> bool {
    match (&peer.shown, &peer.unveiled) {
        (Some(shown), _) => shown.get(piece.get()),
        (None, Some((told, shown))) => piece.get() < *told || shown.get(piece.get()),
        (None, None) => true,
    }
}
