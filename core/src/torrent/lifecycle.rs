//! What the application may ask of a torrent that runs: pausing, checking anew, moving, another goal, deleting.
//!
//! ```text
//!             ┌────────── recheck ──────────┐
//!             v                             │
//!  Starting ──┬──> Running ──> Halted ──────┴──> Stopping
//!             └──────────────────^  │ nothing holds it back
//!                     ^─────────────┘
//! ```
//!
//! *Halted* is one phase with several reasons, any number at a time: it is paused, it is queued, its files are being moved,
//! it is to be checked. It has no connections and makes none. What was under way on the disk comes to its end, and what is
//! dirty is made durable, unless the files are moved or hashed next: then that comes first, and begins when the disk has
//! nothing more to do for the torrent. The phase ends when no reason is left ([`Torrent::adjust`]).
//!
//! Trackers are told `stopped` when it is paused or queued. When it is merely moved or checked they are not: it will be
//! back, and who they send meanwhile is refused by a closed port's manner, a closed connection.
//!
//! A graceful pause lets what has been asked for arrive first: *draining*, in which nothing is asked for, nobody is dialled
//! and nobody let in.
//!
//! # Whose files
//!
//! Deleting touches only what is the torrent's own. That is known once resume data were found (they are saved before the
//! first write), or once all that was there has been looked at: then a file that holds nothing of the torrent is somebody
//! else's until the torrent has written to it. Before that is known, nothing is deleted.

use super::startup::Startup;
use super::{Phase, Purpose, Shared, Standing, Torrent};
use crate::border::{
    Action, CloseReason, CommandError, CommandId, IoFault, JobId, JobResult, Notice, Place, RemoveFiles, RootId,
    SeedGoal, Work,
};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::metainfo::Block;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// What was asked of the torrent, and how far it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Lifecycle {
    /// The application has paused it.
    pub(super) paused: bool,
    /// The application has said in this run whether it is paused: resume data do not matter any more.
    paused_said: bool,
    /// It has no place in the session's queue.
    pub(super) queued: bool,
    /// Its info dictionary has come, and the application wants to have a say first.
    held: bool,
    /// It is paused as soon as what it has asked for has come, and at this time at the latest.
    draining: Option<Time>,
    /// All of it is to be hashed.
    recheck: bool,
    moving: Option<Moving>,
    /// Its files are to be deleted at its end.
    delete: bool,
    /// Files that are not its own; `None`: none of them is known to be.
    owned: Option<BTreeSet<u32>>,
    /// Whether trackers know that it is not there.
    trackers_told: bool,
}

canon_struct!(out Lifecycle { paused, paused_said, queued, held, draining, recheck, moving, delete, owned, trackers_told });

#[derive(Clone, Copy, Debug)]
struct Moving {
    command: CommandId,
    root: RootId,
    job: Option<JobId>,
}

canon_struct!(out Moving { command, root, job });

impl Lifecycle {
    pub(super) fn new(paused: bool) -> Lifecycle {
        Lifecycle { paused, ..Lifecycle::default() }
    }

    /// Whether it is out of the swarm.
    fn rests(&self) -> bool {
        (self.paused && self.draining.is_none()) || self.queued || self.held
    }

    fn halts(&self) -> bool {
        self.rests() || self.moving.is_some() || self.recheck
    }

    /// Whether nothing more is to be begun with peers.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    pub(super) fn is_moving(&self) -> bool {
        self.moving.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.draining
    }

    /// Whether it waits for the application, which has its info dictionary now.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// Whether the files are wanted as they are, and nothing may be synced or saved beside.
    pub(super) fn needs_the_disk(&self) -> bool {
        self.moving.is_some() || self.recheck
    }

    /// Whether there are files to be deleted before the end.
    pub(super) fn wants_delete(&self) -> bool {
        self.delete && self.owned.is_some()
    }

    /// Resume data were found: what lies there is the torrent's.
    pub(super) fn resumed(&mut self, paused: bool) {
        self.owned.get_or_insert_default();
        if !self.paused_said {
            self.paused |= paused;
        }
    }

    /// The files are others than before: it is not known whose they are.
    pub(super) fn forget_owned(&mut self) {
        self.owned = None;
    }

    /// Whether the application has said in this run whether it is paused.
    pub(super) fn is_paused_by_command(&self) -> bool {
        self.paused_said
    }

    /// All that was there has been looked at, for the first time; `foreign` hold nothing of the torrent.
    pub(super) fn looked_at(&mut self, foreign: impl Iterator<Item = usize>) {
        self.owned.get_or_insert_with(|| foreign.filter_map(|file| u32::try_from(file).ok()).collect());
    }
}

impl Torrent {
    /// Pauses the torrent.
    pub(crate) fn pause(&mut self, cx: &mut Cx, shared: &mut Shared, graceful: bool) -> Result<(), CommandError> {
        self.is_not_ending()?;
        let life = &mut self.life;
        if graceful && matches!(self.phase, Phase::Running) {
            if !life.paused {
                life.draining = Some(cx.now + cx.config.session.pause_limit);
            }
        } else {
            life.draining = None;
        }
        (life.paused, life.paused_said) = (true, true);
        self.persist.touch(cx.now);
        self.persist.flush(cx.now);
        self.settle(cx, shared);
        Ok(())
    }

    /// Lets it go on, as far as the application is concerned.
    pub(crate) fn resume(&mut self, cx: &mut Cx, shared: &mut Shared) -> Result<(), CommandError> {
        self.is_not_ending()?;
        if self.life.paused {
            (self.life.paused, self.life.draining) = (false, None);
            self.persist.touch(cx.now);
            self.persist.flush(cx.now);
            // Who was not asked while it drained may be asked again.
            self.hungry.extend(self.peers.keys());
            self.refill = true;
        }
        (self.life.paused_said, self.life.held) = (true, false);
        self.settle(cx, shared);
        Ok(())
    }

    /// Takes its place in the queue from it, or gives it one.
    pub(crate) fn set_queued(&mut self, cx: &mut Cx, shared: &mut Shared, queued: bool) {
        self.life.queued = queued;
        self.settle(cx, shared);
    }

    /// Changes when it is done.
    pub(crate) fn set_goal(&mut self, cx: &mut Cx, shared: &mut Shared, goal: SeedGoal) -> Result<(), CommandError> {
        self.is_not_ending()?;
        self.goal = goal;
        self.settle(cx, shared);
        Ok(())
    }

    /// Hashes all of it that is there.
    pub(crate) fn check_anew(&mut self, cx: &mut Cx, shared: &mut Shared) -> Result<(), CommandError> {
        self.is_not_ending()?;
        if matches!(self.phase, Phase::Failed(_)) {
            self.recheck = true;
            self.start_over(cx);
        } else if self.startup_distrusts(cx) {
            // Nothing was decided yet: then it is all hashed anyway.
        } else if self.seeking.is_some() {
            // So it will be when there is something to hash.
            self.recheck = true;
        } else {
            self.life.recheck = true;
        }
        self.settle(cx, shared);
        Ok(())
    }

    /// Moves its files. Answered when that is done, unless it is refused here.
    pub(crate) fn move_to(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        command: CommandId,
        root: RootId,
    ) -> Result<(), CommandError> {
        self.is_not_ending()?;
        let lost = self.is_starting() && self.health.is_ill();
        if matches!(self.phase, Phase::Failed(_)) || self.life.moving.is_some() || lost {
            return Err(CommandError::NotNow);
        }
        if root == self.root {
            cx.out.notices.push(Notice::CommandDone { command });
            return Ok(());
        }
        self.life.moving = Some(Moving { command, root, job: None });
        self.settle(cx, shared);
        Ok(())
    }

    /// Stops the torrent for good, and deletes its files if that is wanted.
    pub(crate) fn remove(&mut self, cx: &mut Cx, shared: &mut Shared, files: RemoveFiles) {
        self.life.delete |= files == RemoveFiles::Delete;
        if matches!(self.phase, Phase::Stopped) && self.life.wants_delete() {
            return self.open_to_delete(cx);
        }
        self.stop(cx, shared);
        self.settle(cx, shared);
    }

    /// What it means to the queue.
    pub(crate) fn standing(&self) -> Standing {
        match self.phase {
            _ if self.life.paused || self.life.held => Standing::Out,
            Phase::Running | Phase::Halted if self.only_gives() => Standing::Seed,
            Phase::Running | Phase::Halted => Standing::Download,
            _ => Standing::Out,
        }
    }

    /// What it moves, in bytes a second: down, up.
    pub(crate) fn rates(&self, now: Time) -> (u64, u64) {
        (self.downloaded.per_second(now), self.uploaded.per_second(now))
    }

    pub(super) fn is_not_ending(&self) -> Result<(), CommandError> {
        match self.phase {
            Phase::Stopping { .. } | Phase::Stopped => Err(CommandError::NotNow),
            _ => Ok(()),
        }
    }

    /// Goes into the phase that what was asked of it wants, one step at a time as the disk allows.
    pub(super) fn adjust(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if let Some(until) = self.life.draining {
            let running = matches!(self.phase, Phase::Running);
            let waits = self.peers.values().flatten().any(|peer| peer.conn.requests_out() > 0);
            if !running || !waits || until <= cx.now {
                self.life.draining = None;
            }
        }
        if matches!(self.phase, Phase::Running) && self.life.halts() {
            self.halt(cx, shared);
        }
        if matches!(self.phase, Phase::Failed(_)) {
            return self.leave(cx, shared, CloseReason::Stopped);
        }
        if !matches!(self.phase, Phase::Halted) {
            return;
        }
        if self.life.halts() && !self.peers.is_empty() {
            // Those who stayed while the info dictionary of a magnet link was taken in.
            self.close_all(cx, shared, CloseReason::Paused);
            self.drop_dials(cx, shared, CloseReason::Paused);
        }
        if self.life.rests() && !core::mem::replace(&mut self.life.trackers_told, true) {
            self.announce_stop(cx, shared);
        }
        if self.life.needs_the_disk() {
            if self.disk_is_idle() {
                self.use_the_disk(cx);
            }
        } else if !self.life.halts() {
            self.go_on(cx, shared);
        }
        self.tell_state(cx);
    }

    fn halt(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.phase = Phase::Halted;
        self.close_all(cx, shared, CloseReason::Paused);
        self.drop_dials(cx, shared, CloseReason::Paused);
        self.chance_at = None;
        // Who waits for nothing is not to wait for the interval of a sync.
        self.persist.touch(cx.now);
        self.persist.flush(cx.now);
    }

    /// It has failed with peers about: they go, and trackers are told.
    fn leave(&mut self, cx: &mut Cx, shared: &mut Shared, reason: CloseReason) {
        if !self.peers.is_empty() || !self.dials.is_empty() {
            self.close_all(cx, shared, reason);
            self.drop_dials(cx, shared, reason);
        }
        if self.announcer.is_running() {
            self.announce_stop(cx, shared);
        }
    }

    /// What they answer is not waited for.
    pub(super) fn drop_dials(&mut self, cx: &mut Cx, shared: &mut Shared, reason: CloseReason) {
        for (dial, addr) in core::mem::take(&mut self.dials) {
            shared.half_open = shared.half_open.saturating_sub(1);
            cx.act(Action::CancelDial { dial });
            self.candidates.closed(cx.now, &cx.config.candidates, addr, reason, false);
        }
    }

    /// Nothing holds it back (any more).
    pub(super) fn go_on(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.phase = Phase::Running;
        self.life.trackers_told = false;
        self.refill = true;
        self.peers_meet_pieces(cx, shared);
        self.announce_start(cx, shared);
    }

    /// Whether nothing is under way on the disk.
    pub(super) fn disk_is_idle(&self) -> bool {
        !self.jobs.any(|purpose| !matches!(purpose, Purpose::Resolve { .. }))
    }

    /// The disk has nothing more to do for the torrent: what needs all of it begins.
    fn use_the_disk(&mut self, cx: &mut Cx) {
        if let Some(Moving { root, .. }) = self.life.moving {
            let job = self.start(cx, Work::Move { torrent: self.id, root }, Purpose::Move);
            if let Some(moving) = &mut self.life.moving {
                moving.job = Some(job);
            }
            return;
        }
        self.life.recheck = false;
        self.disk.forget();
        self.placement.forget();
        self.super_seed = None;
        self.phase = Phase::Starting(Box::new(Startup::again()));
        self.start(cx, Work::Check { torrent: self.id }, Purpose::Check);
    }

    /// The files have been moved, or could not be.
    pub(super) fn moved(&mut self, cx: &mut Cx, result: Result<JobResult, IoFault>) {
        let Some(Moving { command, root, .. }) = self.life.moving.take() else { return };
        cx.out.notices.push(match result {
            Ok(JobResult::Checked { files, part, .. }) => {
                self.root = root;
                let table = self.table(files, part);
                self.persist.moved(table);
                Notice::CommandDone { command }
            }
            Ok(_) => Notice::CommandFailed { command, error: CommandError::Storage(IoFault::Other) },
            Err(fault) => Notice::CommandFailed { command, error: CommandError::Storage(fault) },
        });
    }

    /// The torrent is being stopped: what has not begun will not, and what has is to end.
    pub(super) fn give_up_moving(&mut self, cx: &mut Cx) {
        match self.life.moving {
            Some(Moving { job: Some(job), .. }) => cx.act(Action::Cancel { job }),
            Some(Moving { command, .. }) => {
                self.life.moving = None;
                cx.out.notices.push(Notice::CommandFailed { command, error: CommandError::Stopping });
            }
            None => {}
        }
        self.life.recheck = false;
    }

    /// Begins to delete. The torrent stops when that has ended.
    pub(super) fn delete(&mut self, cx: &mut Cx) {
        self.life.delete = false;
        let spare: Vec<u32> = self.life.owned.iter().flatten().copied().collect();
        self.start(cx, Work::Delete { torrent: self.id, spare }, Purpose::Delete);
        self.phase = Phase::Stopping { until: cx.now + cx.config.storage.delete_limit, flushed: true };
    }

    pub(super) fn deleted(&mut self, cx: &mut Cx, result: Result<JobResult, IoFault>) {
        if let Err(fault) = result {
            cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
        }
    }

    /// The storage has forgotten the torrent, and is to delete its files.
    pub(super) fn open_to_delete(&mut self, cx: &mut Cx) {
        self.phase = Phase::Stopping { until: cx.now + cx.config.storage.delete_limit, flushed: true };
        let (key, layout) = (self.info_hash(), self.facts.layout.clone());
        self.start(cx, Work::Open { torrent: self.id, root: self.root, key, layout }, Purpose::Reopen);
    }

    pub(super) fn reopened(&mut self, cx: &mut Cx, result: Result<JobResult, IoFault>) {
        if let Err(fault) = result {
            self.life.delete = false;
            cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault });
        }
    }

    /// A block has been written: the files that it lies in are the torrent's own now.
    pub(super) fn wrote_to(&mut self, block: Block) {
        if let Some(foreign) = self.life.owned.as_mut().filter(|foreign| !foreign.is_empty()) {
            let (layout, apart) = (&self.facts.layout, self.placement.apart());
            let spans = layout.spans(block.piece().get(), block.begin(), block.length(), apart);
            for span in spans.filter(|span| span.place == Place::File) {
                foreign.remove(&(span.file as u32));
            }
        }
    }
}
