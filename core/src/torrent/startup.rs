//! What is on the disk already: opening, looking, checking.
//!
//! 1. `Open` and `Load` run side by side. Resume data that cannot be read, do not parse, or are of another torrent, count as none.
//! 2. `Check` tells which files exist. [`reconcile`](super::resume::reconcile) sorts the pieces: trusted, to be hashed, missing. Without
//!    resume data every piece whose bytes all exist is hashed.
//! 3. A few `Verify` run at a time.
//! 4. A file that was there before us and holds nothing of the torrent is not ours to overwrite. Resume data say that we were here
//!    (they are saved once before the first write), so this is only asked without them.

use super::persist::Persist;
use super::resume::{Reconciled, ResumeData, reconcile};
use super::{Phase, Picker, Purpose, Shared, Torrent};
use crate::bitfield::Bitfield;
use crate::border::{FileState, IoFault, JobResult, Notice, Work};
use crate::cx::Cx;
use crate::metainfo::PieceIndex;
use crate::rng::Stream;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How many pieces are hashed at once: enough to keep every worker busy while results travel.
const CHECKS_AT_ONCE: u32 = 8;
/// How often progress is told, in pieces.
const TELL_EVERY: u32 = 16;

/// What is known so far of what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Startup {
    opened: bool,
    loaded: bool,
    resume: Option<ResumeData>,
    files: Vec<Option<FileState>>,
    /// What is believed of the resume data, and what is to be hashed.
    sorted: Option<Reconciled>,
    /// Pieces that were hashed and are right.
    passed: Bitfield,
    queue: VecDeque<PieceIndex>,
    under_way: u32,
    done: u32,
    total: u32,
}

impl Torrent {
    pub(super) fn startup_step(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        purpose: &Purpose,
        result: Result<JobResult, IoFault>,
    ) {
        let Phase::Starting(startup) = &mut self.phase else {
            if let (Purpose::CreateEmpty, Err(fault)) = (purpose, result) {
                cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
            }
            return;
        };
        match (purpose, result) {
            (Purpose::Open, Ok(_)) => startup.opened = true,
            (Purpose::Load, Ok(JobResult::Loaded(copies))) => {
                startup.loaded = true;
                let (pieces, files) = (self.facts.geometry.pieces(), self.facts.layout.files().len());
                startup.resume = ResumeData::choose(&copies, &self.facts.hashes, pieces, files).ok();
            }
            (Purpose::Check, Ok(JobResult::Checked { files, .. })) => {
                startup.files = files;
                self.sort_pieces(cx, shared);
                return;
            }
            // Resume data that cannot be read are as good as none: all that is there is hashed. But what another process has is its own.
            (Purpose::Load, Err(fault)) if fault != IoFault::Busy => {
                startup.loaded = true;
                cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
            }
            (_, Ok(_)) => {}
            (_, Err(fault)) => return self.fail(cx, fault),
        }
        if matches!(&self.phase, Phase::Starting(startup) if startup.opened && startup.loaded) {
            self.start(cx, Work::Check { torrent: self.id }, Purpose::Check);
        }
    }

    /// A fault that needs a person.
    pub(super) fn fail(&mut self, cx: &mut Cx, fault: IoFault) {
        cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
        self.phase = Phase::Failed(fault);
        self.tell_state(cx);
    }

    /// Decides which pieces are trusted and which are hashed.
    fn sort_pieces(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let geometry = self.facts.geometry;
        let Phase::Starting(startup) = &mut self.phase else { return };
        let sorted = match &startup.resume {
            Some(resume) if !self.recheck => {
                let mut rng = cx.seeds.decisions(Stream::Persist, u64::from(self.id.0));
                reconcile(resume, &startup.files, &self.facts.layout, &cx.config.persist, &mut rng)
            }
            _ => Reconciled::nothing_claimed(&startup.files, &self.facts.layout),
        };
        startup.passed = Bitfield::none(geometry.pieces());
        let rest = sorted.to_check.iter().filter(|&number| !sorted.samples.get(number));
        startup.queue = sorted.samples.iter().chain(rest).filter_map(|number| geometry.piece(number)).collect();
        startup.total = startup.queue.len() as u32;
        startup.sorted = Some(sorted);
        self.check_more(cx, shared);
    }

    /// Keeps a few checks under way; goes on when all are done.
    fn check_more(&mut self, cx: &mut Cx, shared: &mut Shared) {
        loop {
            let Phase::Starting(startup) = &mut self.phase else { return };
            if startup.under_way >= CHECKS_AT_ONCE {
                return;
            }
            let Some(piece) = startup.queue.pop_front() else { break };
            startup.under_way += 1;
            self.hash(cx, piece, false, Purpose::Recheck(piece));
        }
        if matches!(&self.phase, Phase::Starting(startup) if startup.under_way == 0) {
            self.checked(cx, shared);
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
                startup.done += 1;
                if matches {
                    startup.passed.insert(piece.get());
                } else if let Some(sorted) = startup.sorted.as_mut().filter(|sorted| sorted.samples.get(piece.get())) {
                    let doubted = sorted.sample_failed(piece.get(), &self.facts.layout);
                    startup.total += doubted.len() as u32;
                    startup.queue.extend(doubted.into_iter().filter_map(|number| self.facts.geometry.piece(number)));
                }
                if startup.done.is_multiple_of(TELL_EVERY) || startup.done == startup.total {
                    cx.out.notices.push(Notice::Checked { torrent: self.id, done: startup.done, total: startup.total });
                }
                self.check_more(cx, shared);
            }
            Phase::Running | Phase::Stopping { .. } if self.examined => self.doubt_ends(cx, shared, piece, matches),
            _ => {}
        }
    }

    /// Everything that may be there has been looked at.
    fn checked(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let geometry = self.facts.geometry;
        let Phase::Starting(startup) = &mut self.phase else { return };
        let startup = *core::mem::take(startup);
        let trusted = startup.sorted.map(|sorted| sorted.trusted).unwrap_or_default();
        let mut found = startup.passed;
        for number in trusted.iter() {
            found.insert(number);
        }
        if startup.resume.is_none()
            && !self.overwrite
            && !self.seed_only
            && let Some(file) = self.foreign_file(&startup.files, &found)
        {
            cx.out.notices.push(Notice::ForeignFile { torrent: self.id, file: file as u32 });
            return self.fail(cx, IoFault::Exists);
        }
        self.persist = match &startup.resume {
            Some(resume) => {
                self.uploaded_before = resume.uploaded;
                self.downloaded_before = resume.downloaded;
                self.completed_ever = resume.completed;
                Persist::resumed(geometry, resume, trusted.clone(), startup.files)
            }
            None => Persist::fresh(geometry, startup.files.len()),
        };
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
        self.run(cx, shared);
    }

    /// Begins to exchange pieces.
    fn run(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.phase = Phase::Running;
        self.examined = true;
        self.started_at = cx.now;
        if !self.seed_only {
            self.start(cx, Work::CreateEmpty { torrent: self.id }, Purpose::CreateEmpty);
        }
        self.candidates.set_seeding(self.only_gives());
        if self.only_gives() {
            // What is missing is not to be fetched: the goal counts from now on all the same.
            self.finished_at = Some(cx.now);
        }
        if self.picker.missing_bytes() == 0 {
            self.completed_ever = true;
            self.persist.flush(cx.now);
            cx.out.notices.push(Notice::Finished { torrent: self.id });
        }
        self.tell_state(cx);
        self.announce_start(cx, shared);
    }

    /// A file that was there before, of which no piece is right.
    fn foreign_file(&self, files: &[Option<FileState>], found: &Bitfield) -> Option<usize> {
        let layout = &self.facts.layout;
        let piece_length = u64::from(layout.piece_length());
        layout.files().iter().enumerate().find_map(|(index, file)| {
            let state = files.get(index).copied().flatten().filter(|state| state.length > 0 && !file.pad)?;
            let (first, last) = layout.pieces_of(index).unwrap_or((0, 0));
            if file.length > 0 && (first..=last).any(|piece| found.get(piece)) {
                return None;
            }
            // A file without a whole piece of its own cannot be judged by its pieces: the right length must do.
            let whole_from = file.offset.next_multiple_of(piece_length.max(1));
            let has_whole_piece = whole_from + piece_length <= file.offset + file.length;
            (has_whole_piece || state.length != file.length).then_some(index)
        })
    }
}
