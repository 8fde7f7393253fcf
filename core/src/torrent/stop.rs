//! The end of a torrent: its goal, stopping in order, and what is done when stopping takes too long.

use super::{Phase, Purpose, Shared, Torrent};
use crate::border::{CloseReason, IoFault, Notice, SeedGoal, Work};
use crate::cx::Cx;
use crate::time::Time;
use core::time::Duration;

/// Resume data are saved once more at the end when the times in them are older than this. Losing less is no matter, and not
/// worth a write.
const TIME_WORTH_SAVING: Duration = Duration::from_secs(60);

impl Torrent {
    /// When the goal may be reached by time alone.
    pub(super) fn goal_deadline(&self) -> Option<Time> {
        match self.goal {
            SeedGoal::Time(time) | SeedGoal::Either { time, .. } if !self.goal_reached => self.seeding.reaches(time),
            _ => None,
        }
    }

    /// Stops the torrent once it has done what it was to do.
    pub(super) fn check_goal(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if self.goal_reached || !matches!(self.phase, Phase::Running) || !self.has_all() {
            return;
        }
        let has_seeded = |time: Duration| self.seeding.total(cx.now) >= time;
        let has_given = |thousandths: u32| {
            let due = u128::from(self.picker.wanted_bytes()) * u128::from(thousandths);
            u128::from(self.total_uploaded()) * 1000 >= due
        };
        let reached = match self.goal {
            SeedGoal::None => true,
            SeedGoal::Forever => false,
            SeedGoal::Time(time) => has_seeded(time),
            SeedGoal::Ratio(thousandths) => has_given(thousandths),
            SeedGoal::Either { thousandths, time } => has_given(thousandths) || has_seeded(time),
        };
        if reached {
            self.goal_reached = true;
            self.stop(cx, shared);
        }
    }

    /// Begins to stop. [`Torrent::is_stopped`] turns true within
    /// [`SessionConfig::shutdown_limit`](crate::border::SessionConfig::shutdown_limit).
    pub(crate) fn stop(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let until = cx.now + cx.config.session.shutdown_limit;
        match self.phase {
            Phase::Stopping { .. } | Phase::Stopped => return,
            // Nothing is saved: a record made now would claim nothing, in place of one that may claim everything, or would
            // say that files are ours which were not even looked at.
            Phase::Starting(_) | Phase::Failed(_) if !self.examined => {
                self.phase = Phase::Stopping { until, flushed: true };
            }
            Phase::Starting(_) | Phase::Failed(_) | Phase::Running | Phase::Halted => {
                self.phase = Phase::Stopping { until, flushed: false };
                let unsaved = cx.now.since(self.saved_at) >= TIME_WORTH_SAVING;
                if unsaved && self.active.total(cx.now) > Duration::ZERO {
                    self.persist.touch(cx.now);
                }
                self.persist.flush(cx.now);
            }
        }
        self.run_clocks(cx.now);
        self.give_up_moving(cx);
        // Where no tracker has been told anything, this ends at once.
        self.announce_stop(cx, shared);
        self.tell_state(cx);
        self.close_all(cx, shared, CloseReason::Stopped);
        self.drop_dials(cx, shared, CloseReason::Stopped);
        self.persist_orders(cx);
        self.stop_step(cx);
    }

    /// Goes on stopping as far as it can.
    pub(super) fn stop_step(&mut self, cx: &mut Cx) {
        if !matches!(self.phase, Phase::Stopping { .. }) || self.jobs.any(|purpose| *purpose == Purpose::Release) {
            return;
        }
        // Files are closed when nothing uses them any more; trackers may take longer.
        let disk_idle = self.disk_is_idle();
        if disk_idle && self.life.wants_delete() {
            return self.delete(cx);
        }
        if let Phase::Stopping { flushed: flushed @ false, .. } = &mut self.phase
            && disk_idle
        {
            // Pieces that were verified while the first sync ran are not in it. Once more only: a disk that fails is not
            // asked over and over.
            *flushed = true;
            self.persist.flush(cx.now);
            self.persist_orders(cx);
            return self.stop_step(cx);
        }
        if disk_idle
            && (self.persist.is_clean() || !self.examined || self.placement.has_failed())
            && self.announcer.is_stopped()
            && self.peers.is_empty()
        {
            self.start(cx, Work::Release { torrent: self.id }, Purpose::Release);
        }
    }

    /// Time is up: the files are closed whatever is still under way. The driver deletes them before that, if they are to be.
    pub(super) fn out_of_time(&mut self, cx: &mut Cx) {
        if self.life.wants_delete() {
            return self.delete(cx);
        }
        if self.jobs.any(|purpose| *purpose == Purpose::Delete) {
            cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault: IoFault::TimedOut });
        }
        if !self.jobs.any(|purpose| *purpose == Purpose::Release) {
            self.start(cx, Work::Release { torrent: self.id }, Purpose::Release);
        }
        self.ended(cx);
    }

    /// It is over, in order or because the time was up.
    pub(super) fn ended(&mut self, cx: &mut Cx) {
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        // It was asked for when the files were being closed already.
        if self.life.wants_delete() {
            return self.open_to_delete(cx);
        }
        self.phase = Phase::Stopped;
        self.tell_state(cx);
        if self.goal_reached {
            cx.out.notices.push(Notice::Done { torrent: self.id });
        }
    }

    /// Gives back what it holds of the shared budgets: it is forgotten, and the answers to its jobs will find nobody.
    pub(crate) fn forgotten(&self, shared: &mut Shared) {
        for purpose in self.jobs.purposes() {
            match purpose {
                Purpose::Write(block) => {
                    shared.disk_queue = shared.disk_queue.saturating_sub(u64::from(block.length()));
                }
                Purpose::Upload { run, .. } => {
                    shared.read_ahead = shared.read_ahead.saturating_sub(u64::from(run.length));
                }
                _ => {}
            }
        }
    }

    /// Whether it has nothing more to do.
    pub fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }
}
