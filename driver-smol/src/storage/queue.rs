//! A queue into one thread that wakes it seldom.
//!
//! Blocks come one by one but are written 256 KiB at a time, so waking the worker for each would be most of the work. A
//! task has a *weight*; the reader sleeps until there is a batch of it, or something urgent, or the oldest task is due.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon a task must be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// Now.
    Urgent,
    /// When this many bytes have added up to a batch, or the linger time is over.
    Weighs(usize),
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
    batch: usize,
    linger: Duration,
}

#[derive(Debug)]
struct State<T> {
    tasks: VecDeque<T>,
    weight: usize,
    urgent: bool,
    closing: bool,
    /// When the oldest task came.
    since: Option<Instant>,
    /// The reader sleeps, and wants to be woken when this much weight is there.
    wake_at: Option<usize>,
}

/// What was waiting.
#[derive(Debug)]
pub(super) struct Taken<T> {
    pub(super) tasks: VecDeque<T>,
    /// When the oldest of them came.
    pub(super) since: Option<Instant>,
    /// No more will come after these.
    pub(super) closing: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(batch: usize, linger: Duration) -> Queue<T> {
        let state =
            State { tasks: VecDeque::new(), weight: 0, urgent: false, closing: false, since: None, wake_at: None };
        Queue { state: Mutex::new(state), wake: Condvar::new(), batch: batch.max(1), linger }
    }

    /// Adds a task; gives it back when the queue is closed.
    pub(super) fn push(&self, task: T, haste: Haste) -> Result<(), T> {
        let mut state = self.lock();
        if state.closing {
            return Err(task);
        }
        if state.tasks.is_empty() {
            state.since = Some(Instant::now());
        }
        state.tasks.push_back(task);
        match haste {
            Haste::Urgent => state.urgent = true,
            Haste::Weighs(bytes) => state.weight = state.weight.saturating_add(bytes),
        }
        if state.wake_at.is_some_and(|at| state.urgent || state.weight >= at) {
            state.wake_at = None;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes out the first task that `wanted` is true of.
    pub(super) fn remove(&self, wanted: impl FnMut(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        let at = state.tasks.iter().position(wanted)?;
        state.tasks.remove(at)
    }

    /// Lets the reader finish what is there and nothing more.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    /// Waits until there is something to do: a batch, something urgent, the oldest task is due, the queue is closed, or
    /// `deadline` has come. Then takes everything.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Taken<T> {
        let mut state = self.lock();
        // While more may come soon, a block alone is no reason to wake up: a nap ends in time for it anyway.
        let mut napped = self.linger.is_zero();
        while !(state.urgent || state.closing || state.weight >= self.batch) {
            let now = Instant::now();
            let due = state.since.map(|since| since + self.linger).into_iter().chain(deadline).min();
            if due.is_some_and(|due| due <= now) {
                break;
            }
            let asleep = state.since.is_none() && napped;
            let nap = (!asleep).then(|| now + self.linger);
            state.wake_at = Some(if asleep { 0 } else { self.batch });
            state = match due.into_iter().chain(nap).min() {
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => self.wake.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0,
            };
            napped = true;
        }
        state.wake_at = None;
        state.weight = 0;
        state.urgent = false;
        Taken { tasks: std::mem::take(&mut state.tasks), since: state.since.take(), closing: state.closing }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock, so a poisoned one holds a whole state all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
