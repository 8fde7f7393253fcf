//! What is on the disk already: opening, looking, checking.
//!
//! 1. `Open` and `Load` run side by side. Resume data that do not parse, or are of another torrent, count as none. A `Load` that fails is
//!    tried [`read_tries`](crate::border::StorageConfig::read_tries) times, after waits: then it counts as none too.
//! 2. `Check` tells which files exist. Where some are kept apart ([`placement`](super::placement)), the storage is told so, as
//!    it was when the resume data were saved. [`reconcile`](super::resume::reconcile) sorts the pieces: trusted, to be hashed, missing. Without
//!    resume data every piece whose bytes all exist is hashed.
//! 3. A few `Verify` run at a time. Pieces that could not be read are hashed once more when all others have been, up to `read_tries` times.
//! 4. When resume data claim pieces and none of the files is there that they lie in, nothing is concluded from that: the disk
//!    is likely not mounted, and a download from nothing would fill another one. It is looked again from time to time, until one
//!    of them is there or the application orders a check. A look that fails is repeated in the same way.
//! 5. A wanted file that was there before us and holds nothing of the torrent is not ours to overwrite. Resume data say that we were here
//!    (they are saved once before the first write), so this is only asked without them.

use super::persist::Persist;
use super::resume::{Reconciled, ResumeData, reconcile};
use super::{Phase, Picker, Placement, Purpose, Shared, Torrent};
use crate::bitfield::Bitfield;
use crate::border::{FileState, IoFault, JobResult, Notice, Work};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::metainfo::PieceIndex;
use crate::rng::Stream;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How many pieces are hashed at once: enough to keep every worker busy while results travel.
const CHECKS_AT_ONCE: u32 = 8;
/// How often progress is told, in pieces.
const TELL_EVERY: u32 = 16;

/// What is known so far of what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Startup {
    /// `Open` is under way, or has succeeded.
    opening: bool,
    opened: bool,
    /// `Load` is under way, how often it has failed, and whether it is over.
    loading: bool,
    load_tries: u32,
    loaded: bool,
    /// The storage knows which files are kept apart.
    known: bool,
    resume: Option<ResumeData>,
    files: Vec<Option<FileState>>,
    /// What is believed of the resume data, and what is to be hashed.
    sorted: Option<Reconciled>,
    /// Pieces that were hashed and are right.
    passed: Bitfield,
    queue: VecDeque<PieceIndex>,
    /// Pieces that could not be read, and how often such have been hashed once more.
    unread: Vec<PieceIndex>,
    read_tries: u32,
    under_way: u32,
    done: u32,
    total: u32,
    /// Room on the device, as last looked at.
    free: Option<u64>,
}

canon_struct!(out Startup {
    opening, opened, loading, load_tries, loaded, known, resume, files, sorted, passed, queue, unread, read_tries, under_way, done, total, free,
});

impl Startup {
    /// For a torrent whose info dictionary has come, and with it perhaps what is known of earlier runs.
    pub(super) fn adopted(resume: Option<ResumeData>) -> Startup {
        Startup { opening: true, loaded: true, resume, ..Startup::default() }
    }

    /// Whether the storage knows the torrent, and what was saved of it is here.
    pub(super) fn has_all(&self) -> bool {
        self.opened && self.loaded
    }

    /// For a torrent that is known to the storage, and has looked at all of it before.
    pub(super) fn again() -> Startup {
        Startup { opening: true, opened: true, loaded: true, known: true, ..Startup::default() }
    }
}

/// Whether it may be different when the same bytes are read again.
fn may_read_again(fault: IoFault) -> bool {
    matches!(fault, IoFault::Device | IoFault::TimedOut | IoFault::TooManyOpen)
}

/// Whether a fault at the start may pass by itself.
fn may_pass(fault: IoFault) -> bool {
    use IoFault::{Device, NoSpace, NotFound, TimedOut, TooManyOpen};
    matches!(fault, Device | NoSpace | NotFound | TimedOut | TooManyOpen)
}

impl Torrent {
    pub(super) fn startup_step(&mut self, cx: &mut Cx, purpose: &Purpose, result: Result<JobResult, IoFault>) {
        let Phase::Starting(startup) = &mut self.phase else {
            match (purpose, result) {
                (Purpose::CreateEmpty, Err(fault)) => {
                    cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
                }
                // It is being stopped already; but whose the files are matters still, if they are to be deleted.
                (Purpose::Load, Ok(JobResult::Loaded(copies))) => {
                    let (pieces, files) = (self.facts.geometry.pieces(), self.facts.layout.files().len());
                    if let Ok(resume) = ResumeData::choose(&copies, &self.facts.hashes, pieces, files) {
                        self.life.resumed(resume.paused);
                    }
                }
                _ => {}
            }
            return;
        };
        match (purpose, result) {
            (Purpose::Open, Ok(_)) => {
                startup.opened = true;
                if !startup.loaded && !startup.loading {
                    return self.load(cx);
                }
            }
            (Purpose::Load, Ok(JobResult::Loaded(copies))) => {
                (startup.loading, startup.loaded) = (false, true);
                if self.seeking.is_some() {
                    return self.seeking_opens(cx, copies);
                }
                let (pieces, files) = (self.facts.geometry.pieces(), self.facts.layout.files().len());
                startup.resume = ResumeData::choose(&copies, &self.facts.hashes, pieces, files).ok();
                if let Some(resume) = &startup.resume {
                    self.life.resumed(resume.paused);
                }
                self.selection.resume(startup.resume.as_ref());
            }
            (Purpose::Check, Ok(JobResult::Checked { files, part, free })) => {
                startup.free = free;
                self.found_files(files, part);
                if self.all_files_are_gone() {
                    return self.storage_failed(cx, IoFault::NotFound);
                }
                self.storage_is_well(cx);
                self.sort_pieces(cx);
                return;
            }
            (Purpose::Place, Ok(_)) => return self.check_more(cx),
            // Without resume data our own files look like foreign ones, so they are not given up at the first fault.
            (Purpose::Load, Err(fault))
                if may_read_again(fault) && startup.load_tries + 1 < cx.config.storage.read_tries =>
            {
                startup.loading = false;
                startup.load_tries += 1;
                return self.storage_failed(cx, fault);
            }
            // Resume data that cannot be read are as good as none: all that is there is hashed. But what another process has is its own.
            (Purpose::Load, Err(fault)) if fault != IoFault::Busy => {
                (startup.loading, startup.loaded) = (false, true);
                cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
                if self.seeking.is_some() {
                    return self.seeking_opens(cx, Vec::new());
                }
                self.selection.resume(None);
            }
            (_, Ok(_)) if self.seeking.is_some() => return self.seeking_opens(cx, Vec::new()),
            (_, Ok(_)) => {}
            (purpose, Err(fault)) if may_pass(fault) => {
                startup.opening &= !matches!(purpose, Purpose::Open);
                return self.storage_failed(cx, fault);
            }
            (_, Err(fault)) => return self.fail(cx, fault),
        }
        if matches!(&self.phase, Phase::Starting(startup) if startup.has_all()) {
            self.start(cx, Work::Check { torrent: self.id }, Purpose::Check);
        }
    }

    /// Whether files of ours were there at the last run, and not one of them is now.
    fn all_files_are_gone(&self) -> bool {
        let Phase::Starting(startup) = &self.phase else { return false };
        let Some(resume) = startup.resume.as_ref().filter(|resume| resume.pieces.count() > 0) else { return false };
        let held = |state: &Option<FileState>| state.is_some_and(|state| state.length > 0);
        let (was, is) = (resume.files.iter().any(held), startup.files.iter().any(Option::is_some));
        was && !is && !self.recheck
    }

    /// The start got stuck; it is tried once more from there.
    pub(super) fn startup_again(&mut self, cx: &mut Cx) {
        let Phase::Starting(startup) = &self.phase else { return };
        match (startup.opened, startup.loaded) {
            (true, true) if self.seeking.is_some() => self.seeking_opens(cx, Vec::new()),
            (true, true) => _ = self.start(cx, Work::Check { torrent: self.id }, Purpose::Check),
            (true, false) if !startup.loading => self.load(cx),
            (false, _) if !startup.opening => self.start_over(cx),
            // What is under way goes on from there.
            _ => {}
        }
    }

    fn load(&mut self, cx: &mut Cx) {
        let Phase::Starting(startup) = &mut self.phase else { return };
        startup.loading = true;
        self.start(cx, Work::Load { torrent: self.id }, Purpose::Load);
    }

    /// Starts from the very beginning.
    pub(super) fn start_over(&mut self, cx: &mut Cx) {
        self.phase = Phase::Starting(Box::new(Startup { opening: true, ..Startup::default() }));
        let (key, layout) = (self.info_hash(), self.facts.layout.clone());
        self.start(cx, Work::Open { torrent: self.id, root: self.root, key, layout }, Purpose::Open);
        self.load(cx);
        self.tell_state(cx);
    }

    /// Has a start that has not decided yet believe nothing; false when it has, or there is none.
    pub(super) fn startup_distrusts(&mut self, cx: &mut Cx) -> bool {
        let undecided = matches!(&self.phase, Phase::Starting(startup) if startup.sorted.is_none());
        if undecided {
            self.recheck = true;
            if self.health.is_ill() {
                self.storage_is_well(cx);
                self.startup_again(cx);
            }
        }
        undecided
    }

    /// A fault that needs a person.
    pub(super) fn fail(&mut self, cx: &mut Cx, fault: IoFault) {
        cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
        self.phase = Phase::Failed(fault);
        self.tell_state(cx);
    }

    /// Notes which files exist, and which of them are kept apart while they are looked at.
    fn found_files(&mut self, files: Vec<Option<FileState>>, part: Option<FileState>) {
        let table = self.table(files, part);
        let Phase::Starting(startup) = &mut self.phase else { return };
        let apart = match &startup.resume {
            _ if self.examined => self.placement.apart().clone(),
            Some(resume) => resume.apart.clone(),
            None => Placement::at_first(&self.facts.layout, &table, |file| self.selection.wants(file)),
        };
        startup.files = table;
        self.placement.begin(apart);
    }

    /// Decides which pieces are trusted and which are hashed.
    fn sort_pieces(&mut self, cx: &mut Cx) {
        let geometry = self.facts.geometry;
        let Phase::Starting(startup) = &mut self.phase else { return };
        let sorted = match &startup.resume {
            Some(resume) if !self.recheck => {
                let mut rng = cx.seeds.decisions(Stream::Persist, u64::from(self.id.0));
                reconcile(resume, &startup.files, &self.facts.layout, &cx.config.persist, &mut rng)
            }
            _ => Reconciled::nothing_claimed(&startup.files, &self.facts.layout, self.placement.apart()),
        };
        startup.passed = Bitfield::none(geometry.pieces());
        let rest = sorted.to_check.iter().filter(|&number| !sorted.samples.get(number));
        startup.queue = sorted.samples.iter().chain(rest).filter_map(|number| geometry.piece(number)).collect();
        (startup.unread, startup.read_tries) = (Vec::new(), 0);
        startup.total = startup.queue.len() as u32;
        startup.sorted = Some(sorted);
        let (apart, known) = (self.placement.apart().clone(), startup.known);
        if apart.count() == 0 || known {
            return self.check_more(cx);
        }
        // Everything that follows finds bytes by it.
        self.start(cx, Work::Place { torrent: self.id, apart, pieces: Vec::new() }, Purpose::Place);
    }

    /// Keeps a few checks under way; goes on when all are done.
    fn check_more(&mut self, cx: &mut Cx) {
        loop {
            let Phase::Starting(startup) = &mut self.phase else { return };
            if startup.under_way >= CHECKS_AT_ONCE {
                return;
            }
            if startup.queue.is_empty() && startup.under_way == 0 {
                startup.read_tries += u32::from(!startup.unread.is_empty());
                startup.queue.extend(startup.unread.drain(..));
            }
            let Some(piece) = startup.queue.pop_front() else { break };
            startup.under_way += 1;
            self.hash(cx, piece, false, Purpose::Recheck(piece));
        }
        if matches!(&self.phase, Phase::Starting(startup) if startup.under_way == 0) {
            self.checked(cx);
        }
    }

    /// A piece that may have been there has been hashed.
    pub(super) fn rechecked(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        piece: PieceIndex,
        result: Result<JobResult, IoFault>,
    ) {
        let matches = matches!(&result, Ok(JobResult::Verified(verdict)) if verdict.matches);
        match &mut self.phase {
            Phase::Starting(startup) => {
                startup.under_way = startup.under_way.saturating_sub(1);
                if matches!(&result, Err(fault) if may_read_again(*fault))
                    && startup.read_tries + 1 < cx.config.storage.read_tries
                {
                    startup.unread.push(piece);
                    return self.check_more(cx);
                }
                startup.done += 1;
                if matches {
                    startup.passed.insert(piece.get());
                } else if let Some(sorted) = startup.sorted.as_mut().filter(|sorted| sorted.samples.get(piece.get())) {
                    let doubted = sorted.sample_failed(piece.get(), &self.facts.layout, self.placement.apart());
                    startup.total += doubted.len() as u32;
                    startup.queue.extend(doubted.into_iter().filter_map(|number| self.facts.geometry.piece(number)));
                }
                if startup.done.is_multiple_of(TELL_EVERY) || startup.done == startup.total {
                    cx.out.notices.push(Notice::Checked { torrent: self.id, done: startup.done, total: startup.total });
                }
                self.check_more(cx);
            }
            Phase::Running | Phase::Halted | Phase::Stopping { .. } if self.examined => {
                self.doubt_ends(cx, shared, piece, result);
            }
            _ => {}
        }
    }

    /// Everything that may be there has been looked at.
    fn checked(&mut self, cx: &mut Cx) {
        let geometry = self.facts.geometry;
        let Phase::Starting(startup) = &mut self.phase else { return };
        let startup = *core::mem::take(startup);
        let trusted = startup.sorted.map(|sorted| sorted.trusted).unwrap_or_default();
        let mut found = startup.passed;
        for number in trusted.iter() {
            found.insert(number);
        }
        let first = !self.examined;
        if first && startup.resume.is_none() {
            let foreign = self.foreign_files(&startup.files, &found);
            // What is not wanted is not written to.
            let in_the_way = foreign.iter().find(|&&file| self.selection.wants(file));
            if let Some(&file) = in_the_way.filter(|_| !self.overwrite && !self.seed_only) {
                cx.out.notices.push(Notice::ForeignFile { torrent: self.id, file: file as u32 });
                return self.fail(cx, IoFault::Exists);
            }
            self.life.looked_at(foreign.into_iter());
        }
        let (layout, selection, known) = (&self.facts.layout, &self.selection, !first || startup.resume.is_some());
        let exists = |file: usize| startup.files.get(file).copied().flatten().is_some();
        let holds_some =
            |file| layout.pieces_of(file).is_some_and(|(first, last)| (first..=last).any(|piece| found.get(piece)));
        let rooted = |file| exists(file) && (known || selection.wants(file) || holds_some(file));
        self.placement.examined(layout, rooted, &found);
        let (files, free) = (if self.seed_only { startup.files.clone() } else { Vec::new() }, startup.free);
        match &startup.resume {
            // Claims go on, and each is found to be true or not below.
            _ if !first => {}
            Some(resume) => {
                self.uploaded_before = resume.uploaded;
                self.downloaded_before = resume.downloaded;
                self.active.add(resume.active);
                self.seeding.add(resume.seeding);
                self.completed_ever = resume.completed;
                self.persist = Persist::resumed(geometry, resume, trusted.clone(), startup.files);
                if resume.paused != self.life.paused && self.life.is_paused_by_command() {
                    self.persist.touch(cx.now);
                    self.persist.flush(cx.now);
                }
            }
            None => {
                self.persist = Persist::fresh(geometry, startup.files.len())
                    .with_apart(self.placement.apart())
                    .following(self.persist.generation());
            }
        }
        for piece in geometry.iter() {
            match (found.get(piece.get()), trusted.get(piece.get())) {
                (true, false) => self.persist.piece_verified(cx.now, piece),
                (false, _) => self.persist.piece_lost(piece),
                _ => {}
            }
        }
        self.persist.examined();
        let rng = cx.seeds.decisions(Stream::Picker, u64::from(self.id.0));
        self.picker = Picker::new(geometry, &found, &cx.config.pick, rng);
        // Peers that have stayed meanwhile are counted when it runs.
        for peer in self.peers.values_mut().flatten() {
            (peer.counted, peer.interesting) = (false, 0);
        }
        self.apply_selection();
        self.examined = true;
        self.run(cx, first, free);
        self.first_look(cx, files);
    }

    /// What is there is known: the torrent may begin to exchange pieces, if nothing holds it back.
    fn run(&mut self, cx: &mut Cx, first: bool, free: Option<u64>) {
        let was_whole = !first && self.whole;
        if first {
            self.started_at = cx.now;
            self.create_empty(cx, 0..self.facts.layout.files().len() as u32);
        }
        self.candidates.set_seeding(self.only_gives());
        self.told_only_gives = self.only_gives();
        self.completed_ever |= self.picker.is_complete();
        self.whole = self.is_whole();
        if self.whole {
            self.persist.flush(cx.now);
            if !was_whole {
                cx.out.notices.push(Notice::Finished { torrent: self.id });
            }
        }
        self.check_room(cx, free);
        // Whether it goes on from there is seen to when the call is over.
        self.phase = Phase::Halted;
    }

    /// The files that were there before, of which no piece is right.
    fn foreign_files(&self, files: &[Option<FileState>], found: &Bitfield) -> Vec<usize> {
        let layout = &self.facts.layout;
        let piece_length = u64::from(layout.piece_length());
        let foreign = layout.files().iter().enumerate().filter_map(|(index, file)| {
            let state = files.get(index).copied().flatten().filter(|state| state.length > 0 && !file.pad)?;
            let (first, last) = layout.pieces_of(index).unwrap_or((0, 0));
            if file.length > 0 && (first..=last).any(|piece| found.get(piece)) {
                return None;
            }
            // A file without a whole piece of its own cannot be judged by its pieces: the right length must do.
            let whole_from = file.offset.next_multiple_of(piece_length.max(1));
            let has_whole_piece = whole_from + piece_length <= file.offset + file.length;
            (has_whole_piece || state.length != file.length).then_some(index)
        });
        foreign.collect()
    }
}
