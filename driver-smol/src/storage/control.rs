//! The control thread: what takes long or is about files as a whole, so that it holds up no block.
//!
//! A sync of thousands of files takes seconds; blocks are written meanwhile. Saving comes after the sync that it builds on,
//! because the core starts it only when that has ended.

use super::files::Files;
use super::locks::{LockFiles, StateLock, StateLockError};
use super::node_file::NodeFile;
use super::queue::{Queue, Taken};
use super::state::{self, StateName};
use super::{Answers, Farewell};
use crate::client::draw_seeds;
use crate::fault::io_fault;
use bytes::Bytes;
use cap_std::fs::Dir;
use parcacik_core::border::{IoFault, JobId, JobResult};
use parcacik_core::dht::NodeId;
use parcacik_core::rng::Stream;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Something for the control thread to do.
#[derive(Debug)]
pub(super) enum Task {
    Check { job: JobId, files: Arc<Files> },
    CreateEmpty { job: JobId, files: Arc<Files>, empty: Vec<u32> },
    DropPart { job: JobId, files: Arc<Files> },
    Sync { job: JobId, files: Arc<Files> },
    Save { job: JobId, files: Arc<Files>, bytes: Bytes },
    Load { job: JobId, files: Arc<Files> },
    SaveDht { job: JobId, v6: bool, bytes: Bytes },
    LoadDht { job: JobId, v6: bool },
    Release(Arc<Farewell>),
}

impl Task {
    /// The job to answer, where it is this thread's alone.
    pub(super) fn job(&self) -> Option<JobId> {
        match self {
            Task::Check { job, .. }
            | Task::CreateEmpty { job, .. }
            | Task::DropPart { job, .. }
            | Task::Sync { job, .. }
            | Task::Save { job, .. }
            | Task::Load { job, .. }
            | Task::SaveDht { job, .. }
            | Task::LoadDht { job, .. } => Some(*job),
            Task::Release(_) => None,
        }
    }
}

/// The state folder, and which torrents are locked in it.
#[derive(Debug, Default)]
pub(super) struct States {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    dir: Option<Arc<Dir>>,
    files: LockFiles,
    locks: BTreeMap<StateName, StateLock>,
    /// Those of the session's nodes of the DHT, by family.
    nodes: BTreeMap<bool, Arc<NodeFile>>,
}

impl States {
    /// Uses another folder from now on; the locks in the one before are given back.
    pub(super) fn set_dir(&self, dir: Dir) {
        *self.lock() = Inner { dir: Some(Arc::new(dir)), ..Inner::default() };
    }

    /// The folder, with this torrent locked in it; `None` when there is no folder.
    pub(super) fn locked(&self, key: &StateName) -> Result<Option<Arc<Dir>>, StateLockError> {
        let mut inner = self.lock();
        let Inner { dir, files, locks, .. } = &mut *inner;
        let Some(dir) = dir.clone() else { return Ok(None) };
        if let Entry::Vacant(place) = locks.entry(key.clone()) {
            place.insert(files.lock(&dir, key)?);
        }
        Ok(Some(dir))
    }

    /// The file of the node of a family; `None` when there is no folder.
    fn node(&self, v6: bool) -> io::Result<Option<Arc<NodeFile>>> {
        let mut inner = self.lock();
        let Inner { dir, files, nodes, .. } = &mut *inner;
        let Some(dir) = dir else { return Ok(None) };
        let file = match nodes.entry(v6) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => {
                let file = NodeFile::of(dir, files, v6, 1)?;
                if !file.is_ours() {
                    tracing::info!(
                        v6,
                        "another process keeps the DHT's state in this folder: nothing is kept of what this one learns"
                    );
                }
                place.insert(Arc::new(file))
            }
        };
        Ok(Some(Arc::clone(file)))
    }

    pub(super) fn unlock(&self, key: &StateName) {
        self.lock().locks.remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Control {
    pub(super) queue: Arc<Queue<Task>>,
    pub(super) answers: Answers,
    pub(super) states: Arc<States>,
    pub(super) max_state: u64,
}

impl Control {
    /// Works until the queue is closed and every save and sync in it is done.
    pub(super) fn run(self) {
        loop {
            let Taken { tasks, closing, .. } = self.queue.take(None);
            for task in tasks {
                self.work(task, closing);
            }
            if closing {
                return;
            }
        }
    }

    fn work(&self, task: Task, closing: bool) {
        let (job, result) = match task {
            Task::Release(farewell) => return farewell.bid(&self.answers),
            Task::Sync { job, files } => (job, files.sync().and_then(|()| files.check())),
            Task::Save { job, files, bytes } => (job, self.save(&files.state(), &bytes)),
            Task::SaveDht { job, v6, bytes } => (job, self.save_dht(v6, &bytes)),
            Task::Check { job, .. }
            | Task::CreateEmpty { job, .. }
            | Task::DropPart { job, .. }
            | Task::Load { job, .. }
            | Task::LoadDht { job, .. }
                if closing =>
            {
                (job, Err(IoFault::Cancelled))
            }
            Task::Check { job, files } => (job, files.check()),
            Task::CreateEmpty { job, files, empty } => (job, files.create_empty(&empty).map(|()| JobResult::Done)),
            Task::DropPart { job, files } => (job, files.drop_part().map(|()| JobResult::Done)),
            Task::Load { job, files } => (job, self.load(&files.state())),
            Task::LoadDht { job, v6 } => (job, self.load_dht(v6)),
        };
        self.answers.say(job, result);
    }

    fn save(&self, key: &StateName, bytes: &[u8]) -> Result<JobResult, IoFault> {
        if let Some(dir) = self.states.locked(key).map_err(|error| error.fault())? {
            state::save(&dir, key, bytes, |_| Ok(())).map_err(|error| io_fault(&error))?;
        }
        Ok(JobResult::Done)
    }

    fn save_dht(&self, v6: bool, bytes: &[u8]) -> Result<JobResult, IoFault> {
        if let Some(file) = self.states.node(v6).map_err(|error| io_fault(&error))? {
            if !file.is_ours() {
                return Err(IoFault::Busy);
            }
            file.store(bytes).map_err(|error| io_fault(&error))?;
        }
        Ok(JobResult::Done)
    }

    fn load_dht(&self, v6: bool) -> Result<JobResult, IoFault> {
        let file = self.states.node(v6).map_err(|error| io_fault(&error))?;
        // How many others it may name is for the session to say; here the length of the file is the limit.
        let other_id = || Some(NodeId::random(&mut draw_seeds().ok()?.secrets(Stream::Dht, u64::MAX)));
        let found = file.and_then(|file| file.load(u32::MAX, other_id));
        Ok(JobResult::Loaded(found.into_iter().map(|saved| saved.encode().into()).collect()))
    }

    fn load(&self, key: &StateName) -> Result<JobResult, IoFault> {
        let found = match self.states.locked(key).map_err(|error| error.fault())? {
            Some(dir) => state::load(&dir, key, self.max_state)?,
            None => Vec::new(),
        };
        Ok(JobResult::Loaded(found))
    }
}
