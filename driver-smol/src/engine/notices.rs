//! Notices on their way to the application, in bounded queues.
//!
//! Each [`NoticeReceiver`] has a queue of its own and sees what is told from its making on. The engine never waits for
//! a receiver. When a queue is full, what is least missed goes first:
//!
//! 1. the oldest notice of mere progress: `PieceDone`, `MetadataProgress`, `Checked`, `PeerConnected`, `PeerClosed`;
//! 2. where there is none, the oldest report that comes again and again: `PieceFailed`, `PeerBanned`,
//!    `TrackerAnswered`, `TrackerFailed`, `StorageFailed`, `Saved`;
//! 3. of what is left, only a `State` that a later `State` of the same torrent has made untrue. Answers to commands,
//!    the latest state, `Finished`, `Done`, `Removed` and `Stopped` are never dropped: of those there are as many as
//!    torrents and commands.
//!
//! [`NoticeReceiver::dropped`] counts what was dropped.

use crate::ClientError;
use async_channel::{Receiver, Sender};
use parcacik_core::border::{Notice, TorrentId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Why there will be no more notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The engine was stopped.
    Stopped,
    /// The machine panicked; what it said.
    Broken(String),
}

/// Where the engine puts notices.
#[derive(Debug)]
pub(crate) struct Hub {
    capacity: usize,
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    queues: Vec<Weak<Queue>>,
    end: Option<End>,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<QueueState>,
    signal: Sender<()>,
}

/// Three queues, so that the oldest of a rank is found at once; numbers keep the order over all.
#[derive(Debug, Default)]
struct QueueState {
    last: u64,
    ranks: [VecDeque<(u64, Notice)>; 3],
    dropped: u64,
    end: Option<End>,
}

/// Receives notices. Not tied to any executor.
#[derive(Debug)]
pub struct NoticeReceiver {
    queue: Arc<Queue>,
    signal: Receiver<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A hub whose queues hold `capacity` notices each, and more only of those that are never dropped.
    pub(crate) fn new(capacity: usize) -> Arc<Hub> {
        Arc::new(Hub { capacity, state: Mutex::default() })
    }

    /// A new receiver.
    pub(crate) fn subscribe(&self) -> NoticeReceiver {
        let (signal, wait) = async_channel::bounded(1);
        let mut state = lock(&self.state);
        let queue = Queue { state: Mutex::new(QueueState { end: state.end.clone(), ..QueueState::default() }), signal };
        let queue = Arc::new(queue);
        state.queues.push(Arc::downgrade(&queue));
        NoticeReceiver { queue, signal: wait }
    }

    /// Tells every receiver.
    pub(crate) fn tell(&self, notice: Notice) {
        let mut state = lock(&self.state);
        state.queues.retain(|queue| {
            let Some(queue) = queue.upgrade() else { return false };
            lock(&queue.state).push(notice.clone(), self.capacity);
            // One signal is enough: who takes it empties the queue.
            let _ = queue.signal.try_send(());
            true
        });
    }

    /// No more notices will come.
    pub(crate) fn close(&self, end: End) {
        let mut state = lock(&self.state);
        let end = state.end.get_or_insert(end).clone();
        for queue in state.queues.drain(..).filter_map(|queue| queue.upgrade()) {
            lock(&queue.state).end = Some(end.clone());
            let _ = queue.signal.try_send(());
        }
    }

    /// Why no more notices will come.
    pub(crate) fn end(&self) -> Option<End> {
        lock(&self.state).end.clone()
    }
}

impl QueueState {
    fn push(&mut self, notice: Notice, capacity: usize) {
        while self.len() >= capacity && self.drop_one(&notice) {}
        self.last += 1;
        self.ranks[rank(&notice)].push_back((self.last, notice));
    }

    fn len(&self) -> usize {
        self.ranks.iter().map(VecDeque::len).sum()
    }

    /// Makes room, if there is something to be dropped.
    fn drop_one(&mut self, coming: &Notice) -> bool {
        let [progress, reports, lasting] = &mut self.ranks;
        let found = progress.pop_front().or_else(|| reports.pop_front()).or_else(|| {
            let torrent = state_of(coming)?;
            let stale = lasting.iter().position(|(_, notice)| state_of(notice) == Some(torrent))?;
            lasting.remove(stale)
        });
        self.dropped += u64::from(found.is_some());
        found.is_some()
    }

    fn pop(&mut self) -> Option<Notice> {
        let oldest =
            self.ranks.iter_mut().filter(|rank| !rank.is_empty()).min_by_key(|rank| rank.front().map(|f| f.0))?;
        oldest.pop_front().map(|(_, notice)| notice)
    }
}

fn state_of(notice: &Notice) -> Option<TorrentId> {
    match notice {
        Notice::State { torrent, .. } => Some(*torrent),
        _ => None,
    }
}

/// 0 goes first, 2 last.
fn rank(notice: &Notice) -> usize {
    match notice {
        Notice::PieceDone { .. }
        | Notice::MetadataProgress { .. }
        | Notice::Checked { .. }
        | Notice::PeerConnected { .. }
        | Notice::PeerClosed { .. } => 0,
        Notice::PieceFailed { .. }
        | Notice::PeerBanned { .. }
        | Notice::TrackerAnswered { .. }
        | Notice::TrackerFailed { .. }
        | Notice::StorageFailed { .. }
        | Notice::Saved { .. } => 1,
        _ => 2,
    }
}

impl NoticeReceiver {
    /// Waits for the next notice. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Stopped`] or [`ClientError::Broken`] when the client has ended and every notice was taken.
    pub async fn recv(&mut self) -> Result<Notice, ClientError> {
        loop {
            if let Some(next) = self.try_recv() {
                return next;
            }
            // The sender lives in the queue that we hold: this cannot fail.
            let _ = self.signal.recv().await;
        }
    }

    /// Like [`NoticeReceiver::recv`], for code that may block its thread.
    ///
    /// # Errors
    /// As [`NoticeReceiver::recv`].
    pub fn recv_blocking(&mut self) -> Result<Notice, ClientError> {
        futures_lite::future::block_on(self.recv())
    }

    /// The next notice if there is one now; an error when there will be none. `None`: perhaps later.
    pub fn try_recv(&mut self) -> Option<Result<Notice, ClientError>> {
        let mut state = lock(&self.queue.state);
        match (state.pop(), &state.end) {
            (Some(notice), _) => Some(Ok(notice)),
            (None, Some(end)) => Some(Err(end.clone().into())),
            (None, None) => None,
        }
    }

    /// How many notices were dropped because they were not taken in time.
    pub fn dropped(&self) -> u64 {
        lock(&self.queue.state).dropped
    }
}

#[cfg(test)]
mod tests;
