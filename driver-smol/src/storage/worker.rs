//! A worker: writes blocks in batches, hashes them on their way, reads, verifies.
//!
//! Blocks gather in *windows*: the 256 KiB-aligned ranges of a torrent. A window is written when it is full, when its oldest
//! block has waited for the linger time, and before a read or verification of a piece that it touches. Within a window
//! the blocks are sorted, so that neighbours go out in one call to the system.
//!
//! What was written is kept in memory, within a limit, until its piece is verified. A verification waits for others, so that
//! several pieces are hashed in lockstep, until there are enough or the first has waited for its linger time.

use super::files::Files;
use super::homes::{Homes, Placing};
use super::pieces::{HashCache, Known};
use super::pool::Pool;
use super::queue::{Queue, Taken};
use super::verify::{Check, Held, verify, verify_blocks};
use super::{Answers, Farewell};
use crate::sha1_lanes::LANES;
use bytes::Bytes;
use parcacik_core::border::{IoFault, JobId, JobResult};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much is written at once. Measured: 64 KiB to 256 KiB cost the least, 16 KiB and 1 MiB more.
pub(super) const WINDOW: u64 = 256 << 10;

/// The most bytes that wait in windows: many peers that each fill a piece of their own could hold a batch each. With these
/// and what is queued, memory stays below the core's own limit for the disk.
const MAX_WAITING: u64 = 8 << 20;

/// With fewer pieces in lockstep little is won, and what waited has left the processor's cache.
const WORTHWHILE: u64 = 4;

/// Something for a worker to do.
#[derive(Debug)]
pub(super) enum Task {
    Write {
        job: JobId,
        files: Arc<Files>,
        part: Part,
    },
    Read {
        job: JobId,
        files: Arc<Files>,
        piece: u32,
        begin: u32,
        length: u32,
    },
    Verify {
        job: JobId,
        files: Arc<Files>,
        check: Check,
    },
    /// Files are to be kept apart, or no more; the pieces are those of this worker.
    Place(Arc<Placing>, Vec<u32>),
    Release(Arc<Farewell>),
}

impl Task {
    /// The job to answer, where it is the worker's alone.
    pub(super) fn job(&self) -> Option<JobId> {
        match self {
            Task::Write { job, .. } | Task::Read { job, .. } | Task::Verify { job, .. } => Some(*job),
            Task::Place(..) | Task::Release(_) => None,
        }
    }
}

/// A block to write.
#[derive(Debug)]
pub(super) struct Part {
    /// Where in the torrent.
    pub(super) offset: u64,
    pub(super) piece: u32,
    pub(super) begin: u32,
    pub(super) bytes: Bytes,
}

impl Part {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

/// Blocks that wait for their neighbours.
#[derive(Debug)]
struct Window {
    files: Arc<Files>,
    parts: Vec<(JobId, Part)>,
    bytes: u64,
    since: Instant,
}

#[derive(Debug)]
pub(super) struct Worker {
    queue: Arc<Queue<Task>>,
    answers: Answers,
    pool: Arc<Pool>,
    linger: Duration,
    max_read: u32,
    hashes: HashCache,
    homes: Homes,
    /// The most bytes that wait to be hashed.
    max_unhashed: usize,
    verify_linger: Duration,
    /// Verifications that wait for company, the oldest first; fewer than [`LANES`] between two tasks.
    held: Vec<Held>,
    /// By torrent and number of the window.
    windows: BTreeMap<(u64, u64), Window>,
    waiting: u64,
}

impl Worker {
    pub(super) fn new(
        queue: Arc<Queue<Task>>,
        answers: Answers,
        pool: Arc<Pool>,
        options: &super::StorageOptions,
    ) -> Worker {
        Worker {
            queue,
            answers,
            pool,
            linger: options.write_linger,
            max_read: options.max_read,
            hashes: HashCache::new(options.hash_cache_pieces),
            homes: Homes::default(),
            max_unhashed: options.max_unhashed / options.workers.max(1),
            verify_linger: options.verify_linger,
            held: Vec::with_capacity(LANES),
            windows: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// Works until the queue is closed and every write in it is done.
    pub(super) fn run(mut self) {
        loop {
            let written = self.windows.values().map(|window| window.since).min().map(|oldest| oldest + self.linger);
            let verified = self.held.first().map(|oldest| oldest.since + self.verify_linger);
            let Taken { tasks, since, closing } = self.queue.take(written.into_iter().chain(verified).min());
            let since = since.unwrap_or_else(Instant::now);
            for task in tasks {
                match task {
                    Task::Write { job, files, part } => self.gather(job, files, part, since),
                    task if closing => self.refuse(task),
                    task => self.work(task),
                }
            }
            if closing {
                self.flush(|_, _| true);
                self.verify_held();
                return;
            }
            let now = Instant::now();
            if let Some(due) = now.checked_sub(self.linger) {
                self.flush(|_, window| window.since <= due);
            }
            if self.held.first().is_some_and(|oldest| oldest.since + self.verify_linger <= now) {
                self.verify_held();
            }
            if self.waiting > MAX_WAITING {
                self.flush(|_, _| true);
            }
        }
    }

    fn work(&mut self, task: Task) {
        match task {
            // Taken care of by `run`; here too, so that there is no task that cannot be worked on.
            Task::Write { job, files, part } => self.gather(job, files, part, Instant::now()),
            Task::Read { job, files, piece, begin, length } => {
                self.flush_piece(&files, piece, begin.saturating_add(length));
                let result = self.read(&files, piece, begin, length);
                self.answers.say(job, result);
            }
            Task::Verify { job, files, check } => {
                self.flush_piece(&files, check.piece, check.length);
                self.hold(job, files, check);
            }
            Task::Place(placing, pieces) => {
                // What came before is written and verified in the old way.
                let serial = placing.files.serial;
                self.flush(|key, _| key.0 == serial);
                self.verify_held();
                let result = self.homes.place(&placing.files, &placing.apart, &pieces);
                placing.done(result, &self.answers);
            }
            Task::Release(farewell) => {
                let serial = farewell.serial();
                self.flush(|key, _| key.0 == serial);
                self.verify_held();
                self.hashes.forget_torrent(serial);
                if farewell.is_final() {
                    self.homes.forget(serial);
                }
                farewell.bid(&self.answers);
            }
        }
    }

    fn refuse(&mut self, task: Task) {
        match task.job() {
            Some(job) => self.answers.say(job, Err(IoFault::Cancelled)),
            None => self.work(task),
        }
    }

    /// Puts a block into its window; writes the window when it is full.
    fn gather(&mut self, job: JobId, files: Arc<Files>, part: Part, since: Instant) {
        // A verification does not see what is written after it.
        if self.held.iter().any(|held| held.files.serial == files.serial && held.check.piece == part.piece) {
            self.verify_held();
        }
        let number = part.offset / WINDOW;
        let key = (files.serial, number);
        let start = number.saturating_mul(WINDOW);
        let room = files.layout.total_length().saturating_sub(start).min(WINDOW);
        let bytes = part.bytes.len() as u64;
        let window =
            self.windows.entry(key).or_insert_with(|| Window { files, parts: Vec::with_capacity(16), bytes: 0, since });
        window.parts.push((job, part));
        window.bytes = window.bytes.saturating_add(bytes);
        self.waiting = self.waiting.saturating_add(bytes);
        if window.bytes >= room {
            self.flush_window(key);
        }
    }

    fn flush(&mut self, due: impl Fn((u64, u64), &Window) -> bool) {
        let keys: Vec<_> =
            self.windows.iter().filter(|(key, window)| due(**key, window)).map(|(key, _)| *key).collect();
        for key in keys {
            self.flush_window(key);
        }
    }

    /// Writes what waits for the first `length` bytes of a piece. A block lies in the window that it starts in, so the one
    /// before is looked at too.
    fn flush_piece(&mut self, files: &Files, piece: u32, length: u32) {
        let start = u64::from(piece).saturating_mul(u64::from(files.layout.piece_length()));
        let first = (start / WINDOW).saturating_sub(1);
        let last = start.saturating_add(u64::from(length)) / WINDOW;
        self.flush(|key, _| key.0 == files.serial && (first..=last).contains(&key.1));
    }

    fn flush_window(&mut self, key: (u64, u64)) {
        let Some(Window { files, mut parts, bytes, .. }) = self.windows.remove(&key) else { return };
        self.waiting = self.waiting.saturating_sub(bytes);
        let mut sorted: Vec<(u64, u64)> = parts.iter().map(|(_, part)| (part.offset, part.end())).collect();
        sorted.sort_unstable();
        // Blocks that overlap are written in the order they came, so that the last one stands.
        if sorted.iter().zip(sorted.iter().skip(1)).all(|(one, next)| one.1 <= next.0) {
            parts.sort_unstable_by_key(|(_, part)| part.offset);
        }
        let mut rest = parts.as_slice();
        while !rest.is_empty() {
            let joined =
                1 + rest.iter().zip(rest.iter().skip(1)).take_while(|(one, next)| one.1.end() == next.1.offset).count();
            let (run, later) = rest.split_at(joined.min(rest.len()));
            self.write(&files, run);
            rest = later;
        }
    }

    /// Writes blocks that touch, keeps them to be hashed, and answers for each.
    fn write(&mut self, files: &Files, run: &[(JobId, Part)]) {
        let Some((_, first)) = run.first() else { return };
        let slices: Vec<&[u8]> = run.iter().map(|(_, part)| &part.bytes[..]).collect();
        let last = run.last().map_or(first.piece, |(_, part)| part.piece);
        let apart = self.homes.of(files, first.piece, last).map_err(|fault| (0, fault));
        let (written, fault) = match apart.and_then(|apart| files.write(first.piece, first.begin, &slices, &apart)) {
            Ok(()) => (usize::MAX, None),
            Err((written, fault)) => (written, Some(fault)),
        };
        let mut end = 0usize;
        for (job, part) in run {
            end = end.saturating_add(part.bytes.len());
            let key = (files.serial, part.piece);
            match fault {
                Some(fault) if end > written => {
                    self.hashes.forget(key);
                    self.answers.say(*job, Err(fault));
                }
                _ => {
                    // For padding, zeros are hashed, whatever was sent: it is left to be read back.
                    match files.has_padding(part.piece, part.begin, part.bytes.len()) {
                        true => self.hashes.forget(key),
                        false => self.hashes.wrote(key, part.begin, &part.bytes),
                    }
                    self.answers.say(*job, Ok(JobResult::Done));
                }
            }
        }
        self.bound_unhashed(u64::from(files.layout.piece_length()));
    }

    /// Hashes when too much waits for it, or when waiting is of no use.
    fn bound_unhashed(&mut self, piece_length: u64) {
        let fits = piece_length.saturating_mul(WORTHWHILE) <= self.max_unhashed as u64;
        if !fits && ((self.hashes.len() + self.held.len()) as u64) < WORTHWHILE {
            // Few large pieces: they will not be hashed in lockstep, so it is done while they are in the processor's cache.
            while self.hashes.hash_ready() {}
        }
        let held: usize = self.held.iter().map(|held| held.known.waiting()).sum();
        if self.hashes.waiting().saturating_add(held) > self.max_unhashed {
            self.verify_held();
            if self.hashes.waiting() > self.max_unhashed {
                // Down to the half, so that it is done seldom and with much in each lane.
                self.hashes.relieve(self.max_unhashed / 2);
            }
        }
    }

    /// Verifies a piece together with the next ones.
    fn hold(&mut self, job: JobId, files: Arc<Files>, check: Check) {
        let apart = match self.homes.of(&files, check.piece, check.piece) {
            Ok(apart) => apart,
            Err(fault) => return self.answers.say(job, Err(fault)),
        };
        files.vouch(check.piece, check.length, &apart);
        let mut known = self.hashes.take((files.serial, check.piece));
        if check.blocks {
            // The hashes of blocks need every byte.
            return self.answers.say(job, verify_blocks(&files, &apart, &check, &self.pool));
        }
        if known.hashed() > check.length {
            // Hashed further than is asked for means hashed with bytes that do not belong.
            known = Known::default();
        }
        if known.hashed() == 0 && known.waiting() == 0 {
            files.prefetch(check.piece, check.length, &apart);
        }
        self.held.push(Held { job, files, apart, check, known, since: Instant::now() });
        if self.held.len() >= LANES {
            self.verify_held();
        }
    }

    /// Verifies what waits for company, with what company there is.
    fn verify_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        verify(held, &self.pool, |job, result| self.answers.say(job, result));
    }

    fn read(&mut self, files: &Files, piece: u32, begin: u32, length: u32) -> Result<JobResult, IoFault> {
        if length > self.max_read {
            return Err(IoFault::TooLarge);
        }
        let wanted = usize::try_from(length).map_err(|_| IoFault::TooLarge)?;
        if files.offset(piece, begin, wanted).is_none() {
            return Err(IoFault::ShortRead);
        }
        let apart = self.homes.of(files, piece, piece)?;
        let mut buffer = self.pool.take(wanted);
        match files.read(piece, begin, buffer.as_mut(), &apart)? {
            read if read == wanted => Ok(JobResult::Read(buffer.freeze())),
            _ => Err(IoFault::ShortRead),
        }
    }
}
