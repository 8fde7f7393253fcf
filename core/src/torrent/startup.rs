//! What is on the disk already: opening, looking, checking.
//!
//! 1. `Open` and `Load` run side by side. Resume data that do not parse, or are of another torrent, count as none.
//! 2. `Check` tells which files exist. [`reconcile`](super::resume::reconcile) sorts the pieces: trusted, to be hashed, missing. Without
//!    resume data every piece whose bytes all exist is hashed.
//! 3. A few `Verify` run at a time.
//! 4. A file that was there before us and holds nothing of the torrent is not ours to overwrite. Resume data say that we were here
//!    (they are saved once before the first write), so this is only asked without them.

use super::persist::Persist;
use super::resume::{self, ResumeData};
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
    /// Pieces that are there, trusted or hashed.
    found: Bitfield,
    /// Pieces that resume data claim and that are trusted.
    trusted: Bitfield,
    /// Claimed pieces that are hashed first, to see whether the others can be trusted, each with the file it stands for.
    queue: VecDeque<PieceIndex>,
    checks: Option<resume::Reconciled>,
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
                startup.resume = copies.iter().filter_map(|bytes| ResumeData::parse(bytes).ok()).find(|data| {
                    data.info_hash == self.facts.hashes.best()
                        && data.piece_count == self.facts.geometry.pieces()
                        && data.total_length == self.facts.geometry.total_length()
                        && data.files.len() == self.facts.layout.files().len()
                });
            }
            (Purpose::Check, Ok(JobResult::Checked { files, .. })) => {
                startup.files = files;
                self.sort_pieces(cx, shared);
                return;
            }
            (_, Ok(_)) => {}
            (_, Err(fault)) => return self.fail(cx, fault),
        }
        if let Phase::Starting(Startup { opened: true, loaded: true, .. }) = self.phase {
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
        let nothing = Bitfield::none(geometry.pieces());
        let Phase::Starting(startup) = &mut self.phase else { return };
        startup.found = nothing.clone();
        startup.trusted = nothing;
        if let (Some(resume), false) = (&startup.resume, self.recheck) {
            let mut rng = cx.seeds.decisions(Stream::Persist, u64::from(self.id.0));
            let sorted = resume::reconcile(resume, &startup.files, &self.facts.layout, &mut rng);
            startup.found = sorted.trusted.clone();
            startup.trusted = sorted.trusted.clone();
            startup.queue = sorted.to_check.iter().filter_map(|number| geometry.piece(number)).collect();
            startup.checks = Some(sorted);
        } else {
            let layout = self.facts.layout.clone();
            let files = &startup.files;
            startup.queue = geometry
                .iter()
                .filter(|&piece| {
                    let mut ranges = layout.ranges(piece.get(), 0, geometry.length(piece));
                    ranges.all(|range| {
                        layout.files()[range.file].pad
                            || files.get(range.file).copied().flatten().is_some_and(|file| file.length >= range.offset + range.length)
                    })
                })
                .collect();
        }
        startup.total = startup.queue.len() as u32;
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
                    startup.found.insert(piece.get());
                }
                if startup.done % TELL_EVERY == 0 || startup.done == startup.total {
                    cx.out.notices.push(Notice::Checked {
                        torrent: self.id,
                        done: startup.done,
                        total: startup.total,
                    });
                }
                self.check_more(cx, shared);
            }
            Phase::Running if matches => self.persist.piece_verified(cx.now, piece),
            Phase::Running => self.lose(cx, shared, piece),
            _ => {}
        }
    }

    /// Everything that may be there has been looked at.
    fn checked(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let geometry = self.facts.geometry;
        let Phase::Starting(startup) = &self.phase else { return };
        if startup.resume.is_none()
            && !self.overwrite
            && !self.seed_only
            && let Some(file) = self.foreign_file(startup)
        {
            cx.out.notices.push(Notice::ForeignFile { torrent: self.id, file: file as u32 });
            return self.fail(cx, IoFault::Exists);
        }
        let had_resume = startup.resume.is_some();
        if let Some(resume) = &startup.resume {
            self.uploaded_before = resume.uploaded;
            self.downloaded_before = resume.downloaded;
        }
        let found = startup.found.clone();
        let durable = startup.trusted.clone();
        self.picker = Picker::new(
            geometry,
            &found,
            &cx.config.pick,
            cx.seeds.decisions(Stream::Picker, u64::from(self.id.0)),
        );
        self.persist = Persist::new(geometry, &durable, had_resume);
        for piece in found.iter().filter(|&number| !durable.get(number)).filter_map(|number| geometry.piece(number)) {
            self.persist.piece_verified(cx.now, piece);
        }
        self.phase = Phase::Running;
        self.started_at = cx.now;
        if !self.seed_only {
            self.start(cx, Work::CreateEmpty { torrent: self.id }, Purpose::CreateEmpty);
        }
        self.candidates.set_seeding(self.picker.is_complete() || self.seed_only);
        if self.picker.is_complete() {
            self.finished_at = Some(cx.now);
            self.persist.flush(cx.now);
            cx.out.notices.push(Notice::Finished { torrent: self.id });
        }
        self.tell_state(cx);
        self.announce_start(cx, shared);
    }

    /// A file that was there before, of which no piece is right.
    fn foreign_file(&self, startup: &Startup) -> Option<usize> {
        let layout = &self.facts.layout;
        let piece_length = u64::from(layout.piece_length());
        layout.files().iter().enumerate().find_map(|(index, file)| {
            let state = startup.files.get(index).copied().flatten().filter(|state| state.length > 0 && !file.pad)?;
            let (first, last) = layout.pieces_of(index).unwrap_or((0, 0));
            if file.length > 0 && (first..=last).any(|piece| startup.found.get(piece)) {
                return None;
            }
            // A file without a whole piece of its own cannot be judged by its pieces: the right length must do.
            let whole_from = file.offset.next_multiple_of(piece_length.max(1));
            let has_whole_piece = whole_from + piece_length <= file.offset + file.length;
            (has_whole_piece || state.length != file.length).then_some(index)
        })
    }
}
