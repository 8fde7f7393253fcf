//! Content files, piece hashes and resume data: the disk work of a session, on threads of its own.
//!
//! A [`Storage`] is told of work by [`submit`](Storage::submit), from any thread and without waiting, and says through a channel how
//! each ended: exactly once a job, also when it was cancelled or the storage was stopped.
//!
//! - **Workers** ([`StorageOptions::workers`]) read, write and hash. All work on a piece goes to the same one, so it is done in order.
//!   Blocks that touch are joined to 256 KiB and written by one call. They stay in memory, within a limit, until their piece is
//!   verified, so that this reads nothing back; and verifications wait some milliseconds for each other, because several
//!   pieces hashed in lockstep cost little more than one.
//! - **One control thread** syncs, looks at files and keeps resume data, so that none of this holds up a block.
//! - **One thread for chores** deletes and moves, which may take minutes.
//!
//! What it keeps to:
//!
//! - Nothing outside the download folder is opened, whatever a torrent's paths or the links in the folder say; nothing but regular
//!   files is. What stands in the way of a file ends the job with [`IoFault::Exists`]; a way out of the folder with
//!   [`IoFault::Denied`].
//! - Files that are kept apart ([`Work::Place`]) are not created for the bytes that they share with others: these go to
//!   the torrent's part file, which is synced and looked at like any other.
//! - Deleting and moving touch regular files in the torrent's places and nothing else, and a move replaces nothing.
//! - A file is never truncated nor made executable. Pad files (BEP 47) are hashed and read as zeros and never written.
//! - When `Sync` ends well, every write that had ended before it was started survives a power cut, as does what was
//!   verified before; when it fails, the error is given, and the sync is not tried again in silence.
//! - Resume data are replaced whole, and locked against a second process while a torrent is open ([`IoFault::Busy`]).
//!
//! Jobs that are no disk work end with [`IoFault::Unsupported`], those for a torrent that is not open with [`IoFault::NotFound`].

mod chores;
mod control;
mod files;
mod handles;
mod homes;
mod locks;
pub(crate) mod node_file;
mod options;
mod pieces;
mod pool;
mod queue;
mod relocate;
mod state;
#[cfg(test)]
mod tests;
mod verify;
mod worker;

pub use options::StorageOptions;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use chores::{Calls, Chore, Chores};
use control::{Control, States};
use files::Files;
use handles::Handles;
use homes::Placing;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{InfoHash, IoFault, JobId, JobResult, RootId, StorageLayout, TorrentId, Work};
use pool::Pool;
use queue::{Haste, Queue};
use relocate::Place;
use state::StateName;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use verify::Check;
use worker::{Part, WINDOW, Worker};

/// How a job ended.
pub type Answer = (JobId, Result<JobResult, IoFault>);

/// The disk work of a session. See the [module](self).
///
/// Dropped without [`stop`](Storage::stop) it finishes in the background what was submitted.
#[derive(Debug)]
pub struct Storage {
    answers: Answers,
    table: Mutex<Table>,
    handles: Arc<Handles>,
    states: Arc<States>,
    workers: Vec<Arc<Queue<worker::Task>>>,
    control: Arc<Queue<control::Task>>,
    chores: Arc<Queue<chores::Task>>,
    calls: Arc<Calls>,
    running: Arc<Running>,
    stop_limit: Duration,
}

/// Which folders and torrents there are.
#[derive(Debug, Default)]
struct Table {
    roots: BTreeMap<RootId, Place>,
    torrents: BTreeMap<TorrentId, Arc<Files>>,
    opened: u64,
}

impl Storage {
    /// Starts the threads. Answers go to `results`, which had better be unbounded: a full channel holds up the disk.
    ///
    /// A state folder that cannot be used is not reported here: use [`set_state_dir`](Storage::set_state_dir) to learn why. Jobs
    /// that need it end as if there were none.
    pub fn start(options: StorageOptions, results: async_channel::Sender<Answer>) -> Storage {
        let answers = Answers { results };
        let pool = Pool::new(options.pool_bytes);
        let states = Arc::new(States::default());
        let running = Arc::new(Running::default());
        let batch = WINDOW as usize;
        let workers: Vec<_> =
            (0..options.workers.max(1)).map(|_| Arc::new(Queue::new(batch, options.write_linger))).collect();
        let control = Arc::new(Queue::new(batch, options.write_linger));
        for (number, queue) in workers.iter().enumerate() {
            let worker = Worker::new(Arc::clone(queue), answers.clone(), Arc::clone(&pool), &options);
            if !running.spawn(format!("disk-{number}"), move || worker.run()) {
                queue.close();
            }
        }
        let thread = Control {
            queue: Arc::clone(&control),
            answers: answers.clone(),
            states: Arc::clone(&states),
            max_state: options.max_state,
        };
        if !running.spawn("disk-control".into(), move || thread.run()) {
            control.close();
        }
        let chores = Arc::new(Queue::new(batch, options.write_linger));
        let calls = Arc::new(Calls::default());
        let thread = Chores {
            queue: Arc::clone(&chores),
            answers: answers.clone(),
            states: Arc::clone(&states),
            calls: Arc::clone(&calls),
            max_state: options.max_state,
        };
        if !running.spawn("disk-chores".into(), move || thread.run()) {
            chores.close();
        }
        let storage = Storage {
            answers,
            table: Mutex::default(),
            handles: Handles::new(options.max_open_files),
            states,
            workers,
            control,
            chores,
            calls,
            running,
            stop_limit: options.stop_limit,
        };
        if let Some(dir) = &options.state_dir
            && let Err(error) = storage.set_state_dir(dir)
        {
            tracing::warn!(dir = %dir.display(), %error, "no resume data: the state folder cannot be used");
        }
        storage
    }

    /// Names a download folder; creates it, and the folders above it, when missing.
    pub fn add_root(&self, root: RootId, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.exists()).collect();
        std::fs::create_dir_all(path)?;
        // The entries of new folders must last as long as what will be synced inside them.
        for parent in missing.iter().filter_map(|dir| dir.parent()) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(parent)?.sync_all()?;
        }
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        let real = path.canonicalize()?;
        self.table().roots.insert(root, Place { dir: Arc::new(dir), path: real });
        Ok(())
    }

    /// Says where resume data and locks lie; the folder is created, for the owner alone, when missing. Without it `Save` stores
    /// nothing and `Load` finds nothing. Locks that are held in another folder are given back.
    pub fn set_state_dir(&self, path: &Path) -> io::Result<()> {
        self.states.set_dir(state::open_state_dir(path)?);
        Ok(())
    }

    /// Takes work over. Never waits for the disk; the caller bounds how much is under way.
    pub fn submit(&self, job: JobId, work: Work) {
        if let Err(fault) = self.route(job, work) {
            self.answers.say(job, Err(fault));
        }
    }

    /// The job is not wanted any more. It ends with [`IoFault::Cancelled`] when nobody has begun it, else as it would have.
    pub fn cancel(&self, job: JobId) {
        let cancelled = self.workers.iter().any(|queue| queue.remove(|task| task.job() == Some(job)).is_some())
            || self.control.remove(|task| task.job() == Some(job)).is_some();
        if cancelled {
            self.answers.say(job, Err(IoFault::Cancelled));
        } else {
            self.calls.cancel(job);
        }
    }

    /// Finishes the writes, syncs and saves that were submitted, answers what else is queued with [`IoFault::Cancelled`], and
    /// ends the threads. Says whether that was done within [`StorageOptions::stop_limit`]; a disk that hangs is left behind.
    pub fn stop(self) -> bool {
        self.close();
        self.running.wait(self.stop_limit)
    }

    fn route(&self, job: JobId, work: Work) -> Result<(), IoFault> {
        match work {
            Work::Open { torrent, root, key, layout } => {
                self.open(torrent, root, key, layout)?;
                self.answers.say(job, Ok(JobResult::Done));
                Ok(())
            }
            Work::Release { torrent } => {
                let files = self.table().torrents.remove(&torrent).ok_or(IoFault::NotFound)?;
                self.bid_farewell(job, files, None);
                Ok(())
            }
            Work::Delete { torrent, spare } => {
                let spare = spare.into_iter().filter_map(|file| usize::try_from(file).ok()).collect();
                let files = self.files(torrent)?;
                self.bid_farewell(job, files, Some(Chore::Delete { spare }));
                Ok(())
            }
            Work::Move { torrent, root } => {
                let files = self.files(torrent)?;
                let to = self.table().roots.get(&root).cloned().ok_or(IoFault::NotFound)?;
                let state = files.state().under(&to.path);
                self.bid_farewell(job, files, Some(Chore::Move { to, state }));
                Ok(())
            }
            Work::Read { torrent, piece, begin, length } => {
                let files = self.files(torrent)?;
                self.to_worker(piece, worker::Task::Read { job, files, piece, begin, length })
            }
            Work::Write { torrent, piece, begin, bytes } => {
                let files = self.files(torrent)?;
                // Beyond the end of the torrent there is no file to write to.
                let offset = files.offset(piece, begin, bytes.len()).ok_or(IoFault::Other)?;
                if bytes.is_empty() {
                    self.answers.say(job, Ok(JobResult::Done));
                    return Ok(());
                }
                let part = Part { offset, piece, begin, bytes };
                self.to_worker(piece, worker::Task::Write { job, files, part })
            }
            Work::Verify { torrent, piece, length, expect, blocks } => {
                let files = self.files(torrent)?;
                let check = Check { piece, length, expect, blocks };
                self.to_worker(piece, worker::Task::Verify { job, files, check })
            }
            Work::Check { torrent } => self.to_control(control::Task::Check { job, files: self.files(torrent)? }),
            Work::CreateEmpty { torrent, files: empty } => {
                self.to_control(control::Task::CreateEmpty { job, files: self.files(torrent)?, empty })
            }
            Work::Place { torrent, apart, pieces } => self.place(job, self.files(torrent)?, apart, &pieces),
            Work::DropPart { torrent } => self.to_control(control::Task::DropPart { job, files: self.files(torrent)? }),
            Work::Sync { torrent } => self.to_control(control::Task::Sync { job, files: self.files(torrent)? }),
            Work::Save { torrent, bytes } => {
                self.to_control(control::Task::Save { job, files: self.files(torrent)?, bytes })
            }
            Work::SaveDht { v6, bytes } => self.to_control(control::Task::SaveDht { job, v6, bytes }),
            Work::LoadDht { v6 } => self.to_control(control::Task::LoadDht { job, v6 }),
            Work::Load { torrent } => self.to_control(control::Task::Load { job, files: self.files(torrent)? }),
            _ => Err(IoFault::Unsupported),
        }
    }

    fn open(&self, torrent: TorrentId, root: RootId, key: InfoHash, layout: Arc<StorageLayout>) -> Result<(), IoFault> {
        let mut table = self.table();
        let place = table.roots.get(&root).ok_or(IoFault::NotFound)?.clone();
        let state = StateName::new(key, &place.path);
        table.opened += 1;
        let files = Files::new(table.opened, layout, key, place, state, Arc::clone(&self.handles));
        if let Some(before) = table.torrents.insert(torrent, Arc::new(files)) {
            before.close();
        }
        Ok(())
    }

    /// Every thread says farewell to the torrent once it is through with what was submitted before; the last one closes
    /// the files and answers, or has the chore begin.
    fn bid_farewell(&self, job: JobId, files: Arc<Files>, chore: Option<Chore>) {
        if chore.is_some() {
            self.calls.open(job);
        }
        let farewell = Arc::new(Farewell {
            job,
            files,
            left: AtomicUsize::new(self.workers.len() + 1),
            states: Arc::clone(&self.states),
            chore: Mutex::new(chore),
            chores: Arc::clone(&self.chores),
        });
        for queue in &self.workers {
            if queue.push(worker::Task::Release(Arc::clone(&farewell)), Haste::Urgent).is_err() {
                farewell.bid(&self.answers);
            }
        }
        if self.control.push(control::Task::Release(Arc::clone(&farewell)), Haste::Urgent).is_err() {
            farewell.bid(&self.answers);
        }
    }

    /// Every worker changes over when its turn comes, and has its own pieces to copy; the last one answers.
    fn place(&self, job: JobId, files: Arc<Files>, apart: Bitfield, pieces: &[u32]) -> Result<(), IoFault> {
        let piece_length = u64::from(files.layout.piece_length());
        let placing = Arc::new(Placing {
            job,
            files,
            apart: Arc::new(apart),
            left: AtomicUsize::new(self.workers.len()),
            fault: Mutex::default(),
        });
        for (number, queue) in self.workers.iter().enumerate() {
            let own = pieces.iter().copied().filter(|&piece| self.worker_of(piece, piece_length) == number);
            let task = worker::Task::Place(Arc::clone(&placing), own.collect());
            if queue.push(task, Haste::Urgent).is_err() {
                placing.done(Err(IoFault::Cancelled), &self.answers);
            }
        }
        Ok(())
    }

    /// Which worker has all work on a piece. Small pieces that share a window share a worker too, or they could not be
    /// joined.
    fn worker_of(&self, piece: u32, piece_length: u64) -> usize {
        let group = (u64::from(piece) * piece_length) / WINDOW.max(piece_length);
        usize::try_from(group % self.workers.len().max(1) as u64).unwrap_or(0)
    }

    fn to_worker(&self, piece: u32, task: worker::Task) -> Result<(), IoFault> {
        let haste = match &task {
            worker::Task::Write { part, .. } => Haste::Weighs(part.bytes.len()),
            _ => Haste::Urgent,
        };
        let piece_length = match &task {
            worker::Task::Write { files, .. }
            | worker::Task::Read { files, .. }
            | worker::Task::Verify { files, .. } => u64::from(files.layout.piece_length()),
            worker::Task::Place(..) | worker::Task::Release(_) => WINDOW,
        };
        let queue = self.workers.get(self.worker_of(piece, piece_length)).ok_or(IoFault::Other)?;
        queue.push(task, haste).map_err(|_| IoFault::Cancelled)
    }

    fn to_control(&self, task: control::Task) -> Result<(), IoFault> {
        self.control.push(task, Haste::Urgent).map_err(|_| IoFault::Cancelled)
    }

    fn files(&self, torrent: TorrentId) -> Result<Arc<Files>, IoFault> {
        self.table().torrents.get(&torrent).cloned().ok_or(IoFault::NotFound)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        for queue in &self.workers {
            queue.close();
        }
        self.control.close();
        self.calls.close();
        self.chores.close();
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where answers go.
#[derive(Clone, Debug)]
struct Answers {
    results: async_channel::Sender<Answer>,
}

impl Answers {
    fn say(&self, job: JobId, result: Result<JobResult, IoFault>) {
        if let Err(async_channel::TrySendError::Full(answer)) = self.results.try_send((job, result)) {
            // A closed channel is somebody who has left and wants no answers.
            let _ = self.results.send_blocking(answer);
        }
    }
}

/// A torrent that is being released, or has a chore coming that nobody else may be in the way of.
#[derive(Debug)]
struct Farewell {
    job: JobId,
    files: Arc<Files>,
    /// Threads that may still be working on it.
    left: AtomicUsize,
    /// Where its resume data are locked.
    states: Arc<States>,
    chore: Mutex<Option<Chore>>,
    chores: Arc<Queue<chores::Task>>,
}

impl Farewell {
    fn serial(&self) -> u64 {
        self.files.serial
    }

    /// Whether the torrent is forgotten after it, and not only moved.
    fn is_final(&self) -> bool {
        self.chore.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn bid(&self, answers: &Answers) {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let chore = self.chore.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(chore) = chore {
            let task = chores::Task { job: self.job, files: Arc::clone(&self.files), chore };
            if self.chores.push(task, Haste::Urgent).is_err() {
                answers.say(self.job, Err(IoFault::Cancelled));
            }
            return;
        }
        self.files.close();
        self.states.unlock(&self.files.state());
        answers.say(self.job, Ok(JobResult::Done));
    }
}

/// Counts the threads that are running, so that their end can be waited for within a bound.
#[derive(Debug, Default)]
struct Running {
    threads: Mutex<usize>,
    ended: Condvar,
}

impl Running {
    /// Starts a thread; says whether there was room for it. What would be queued for one that was not started must be refused.
    fn spawn(self: &Arc<Running>, name: String, work: impl FnOnce() + Send + 'static) -> bool {
        *self.threads.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        // Dropped with the closure when the thread cannot be started, so the count is right either way.
        let ending = Ending(Arc::clone(self));
        let spawned = std::thread::Builder::new().name(name).spawn(move || {
            let _ending = ending;
            work();
        });
        if let Err(error) = &spawned {
            tracing::error!(%error, "no thread for the disk could be started");
        }
        spawned.is_ok()
    }

    fn wait(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while *threads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            threads = self.ended.wait_timeout(threads, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Counts a thread off when it ends, in whatever way.
#[derive(Debug)]
struct Ending(Arc<Running>);

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
