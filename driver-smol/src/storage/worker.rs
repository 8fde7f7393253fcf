//! A worker: writes blocks in batches, hashes them on their way, reads, verifies.
//!
//! Blocks gather in *windows*: the 256 KiB-aligned ranges of a torrent. A window is written when it is full, when its oldest
//! block has waited for the linger time, and before a read or verification of a piece that it touches. Within a window
//! the blocks are sorted, so that neighbours go out in one call to the system, and are hashed in order.

use super::files::Files;
use super::pieces::{HashCache, PieceKey, Running};
use super::pool::Pool;
use super::queue::{Queue, Taken};
use super::{Answers, Farewell};
use bytes::Bytes;
use parcacik_core::border::{IoFault, JobId, JobResult, PieceHash, Verdict};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much is written at once. Measured: 64 KiB to 256 KiB cost the least, 16 KiB and 1 MiB more.
pub(super) const WINDOW: u64 = 256 << 10;

/// The most bytes that wait in windows: many peers that each fill a piece of their own could hold a batch each. With these
/// and what is queued, memory stays below the core's own limit for the disk.
const MAX_WAITING: u64 = 8 << 20;

/// SHA-1 blame works on blocks of 16 KiB.
const BLOCK: usize = 16 << 10;

/// Something for a worker to do.
#[derive(Debug)]
pub(super) enum Task {
    Write { job: JobId, files: Arc<Files>, part: Part },
    Read { job: JobId, files: Arc<Files>, piece: u32, begin: u32, length: u32 },
    Verify { job: JobId, files: Arc<Files>, check: Check },
    Release(Arc<Farewell>),
}

impl Task {
    /// The job to answer, where it is the worker's alone.
    pub(super) fn job(&self) -> Option<JobId> {
        match self {
            Task::Write { job, .. } | Task::Read { job, .. } | Task::Verify { job, .. } => Some(*job),
            Task::Release(_) => None,
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

/// A piece to verify.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) piece: u32,
    pub(super) length: u32,
    pub(super) expect: PieceHash,
    pub(super) blocks: bool,
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
            windows: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// Works until the queue is closed and every write in it is done.
    pub(super) fn run(mut self) {
        loop {
            let oldest = self.windows.values().map(|window| window.since).min();
            let Taken { tasks, since, closing } = self.queue.take(oldest.map(|oldest| oldest + self.linger));
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
                return;
            }
            if let Some(due) = Instant::now().checked_sub(self.linger) {
                self.flush(|_, window| window.since <= due);
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
                self.answers.say(job, self.read(&files, piece, begin, length));
            }
            Task::Verify { job, files, check } => {
                self.flush_piece(&files, check.piece, check.length);
                let result = self.verify(&files, &check);
                self.answers.say(job, result);
            }
            Task::Release(farewell) => {
                let serial = farewell.serial();
                self.flush(|key, _| key.0 == serial);
                self.hashes.forget_torrent(serial);
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

    /// Writes blocks that touch, hashes them, and answers for each.
    fn write(&mut self, files: &Files, run: &[(JobId, Part)]) {
        let Some((_, first)) = run.first() else { return };
        let slices: Vec<&[u8]> = run.iter().map(|(_, part)| &part.bytes[..]).collect();
        let (written, fault) = match files.write(first.piece, first.begin, &slices) {
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
    }

    fn read(&self, files: &Files, piece: u32, begin: u32, length: u32) -> Result<JobResult, IoFault> {
        if length > self.max_read {
            return Err(IoFault::TooLarge);
        }
        let wanted = usize::try_from(length).map_err(|_| IoFault::TooLarge)?;
        if files.offset(piece, begin, wanted).is_none() {
            return Err(IoFault::ShortRead);
        }
        let mut buffer = self.pool.take(wanted);
        match files.read(piece, begin, buffer.as_mut())? {
            read if read == wanted => Ok(JobResult::Read(buffer.freeze())),
            _ => Err(IoFault::ShortRead),
        }
    }

    fn verify(&mut self, files: &Files, check: &Check) -> Result<JobResult, IoFault> {
        let Check { piece, length, expect: PieceHash::Sha1(expect), blocks: wants_blocks } = *check else {
            return Err(IoFault::Unsupported);
        };
        files.vouch(piece, length);
        let key: PieceKey = (files.serial, piece);
        // Hashed further than is asked for means hashed with bytes that do not belong; and the hashes of blocks need every byte.
        let known = self.hashes.take(key);
        let mut running = if wants_blocks || known.done > length { Running::default() } else { known };
        let mut blocks = Vec::new();
        while running.done < length {
            let wanted = (length - running.done).min(WINDOW as u32);
            let mut buffer = self.pool.take(wanted as usize);
            let read = files.read(piece, running.done, buffer.as_mut())?;
            let bytes = buffer.as_ref().get(..read).unwrap_or_default();
            running.feed(bytes);
            if wants_blocks {
                let whole = bytes.chunks(BLOCK).filter(|block| block.len() == BLOCK || read == wanted as usize);
                blocks.extend(whole.map(|block| <[u8; 20]>::from(Sha1::digest(block))));
            }
            if read < wanted as usize {
                return Ok(JobResult::Verified(Verdict { matches: false, blocks }));
            }
        }
        let matches = <[u8; 20]>::from(running.hasher.finalize()) == expect;
        Ok(JobResult::Verified(Verdict { matches, blocks }))
    }
}
