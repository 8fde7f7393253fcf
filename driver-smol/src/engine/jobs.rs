//! Work that takes its time: handed to whoever does it, answered exactly once.
//!
//! | work | done by |
//! |---|---|
//! | [`Work::Http`] | an [`HttpService`], as a task on the engine's thread |
//! | [`Work::Resolve`] | a few threads that call the system's resolver |
//! | all other | a [`DiskService`], on threads of its own |
//!
//! `Cancel` ends the first two at once; the disk answers a cancelled job in its own time.

use super::host::Host;
use crate::http::HttpClient;
use crate::net::resolve::Resolver;
use crate::storage::Storage;
use async_channel::Receiver;
use async_executor::Task;
use futures_lite::future::{BoxedLocal, yield_now};
use parcacik_core::border::{Event, HttpRequest, HttpResponse, IoFault, JobId, JobResult, RootId, Work};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};

/// Results that are taken in one turn.
const TURN: usize = 64;

/// How a job ended.
pub type Answer = (JobId, Result<JobResult, IoFault>);

/// Does work on files. Its answers come by a channel, exactly one for each job.
pub trait DiskService: Send + Sync {
    /// Opens a folder that torrents may be stored under, making it if need be. May block: it is not called on the
    /// engine's thread.
    ///
    /// # Errors
    /// Whatever the operating system has against it.
    fn add_root(&self, root: RootId, path: &Path) -> io::Result<()>;

    /// Begins work. Never blocks.
    fn submit(&self, job: JobId, work: Work);

    /// The result of a job is not wanted any more; it is answered all the same.
    fn cancel(&self, job: JobId);

    /// Ends what was begun and stops, within a bound of its own. The last call.
    fn stop(&self);
}

/// Does HTTP. Called on the engine's thread, so it must never block.
pub trait HttpService: Send {
    /// One request, one answer; within the request's own time limit.
    fn exchange(&self, request: HttpRequest) -> BoxedLocal<Result<HttpResponse, IoFault>>;
}

/// Our own disk, which is gone once it was stopped.
pub(crate) struct Disk(RwLock<Option<Storage>>);

impl Disk {
    pub(crate) fn new(storage: Storage) -> Disk {
        Disk(RwLock::new(Some(storage)))
    }

    fn with<R>(&self, call: impl FnOnce(&Storage) -> R) -> Option<R> {
        // Nothing is ever left half done under this lock.
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(call)
    }
}

impl DiskService for Disk {
    fn add_root(&self, root: RootId, path: &Path) -> io::Result<()> {
        self.with(|storage| storage.add_root(root, path)).unwrap_or(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn submit(&self, job: JobId, work: Work) {
        self.with(|storage| storage.submit(job, work));
    }

    fn cancel(&self, job: JobId) {
        self.with(|storage| storage.cancel(job));
    }

    fn stop(&self) {
        let storage = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        if storage.is_some_and(|storage| !storage.stop()) {
            tracing::warn!("the disk hangs; what it was given last may not be written");
        }
    }
}

impl HttpService for HttpClient {
    fn exchange(&self, request: HttpRequest) -> BoxedLocal<Result<HttpResponse, IoFault>> {
        let client = self.clone();
        Box::pin(async move { HttpClient::exchange(&client, request).await })
    }
}

/// Who does the work of an engine.
pub struct Services {
    /// Files.
    pub disk: Arc<dyn DiskService>,
    /// Where the disk's answers come.
    pub answers: Receiver<Answer>,
    /// HTTP.
    pub http: Box<dyn HttpService>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services { .. }")
    }
}

/// The jobs of one engine.
pub(crate) struct Jobs {
    host: Rc<Host>,
    disk: Arc<dyn DiskService>,
    http: Box<dyn HttpService>,
    resolver: Resolver,
    running: RefCell<BTreeMap<JobId, Running>>,
}

enum Running {
    OnDisk,
    /// A task; dropping its handle ends it.
    Task(#[expect(dead_code, reason = "held for its drop")] Option<Task<()>>),
}

impl Jobs {
    pub(crate) fn new(
        host: Rc<Host>,
        disk: Arc<dyn DiskService>,
        http: Box<dyn HttpService>,
        resolver: Resolver,
    ) -> Rc<Jobs> {
        Rc::new(Jobs { host, disk, http, resolver, running: RefCell::default() })
    }

    /// Begins a job. Two of one name are the core's mistake; the second is not begun, so that there is one answer.
    pub(crate) fn start(self: &Rc<Self>, job: JobId, work: Work) {
        if self.running.borrow().contains_key(&job) {
            tracing::error!(?job, "a job was started twice");
            return;
        }
        match work {
            Work::Http(request) => {
                let exchange = self.http.exchange(request);
                self.spawn(job, async move { exchange.await.map(JobResult::Http) });
            }
            Work::Resolve { host } => {
                let resolver = self.resolver.clone();
                self.spawn(job, async move { resolver.resolve(host).await.map(JobResult::Resolved) });
            }
            work => {
                self.running.borrow_mut().insert(job, Running::OnDisk);
                self.disk.submit(job, work);
            }
        }
    }

    /// The result of a job is not wanted any more.
    pub(crate) fn cancel(&self, job: JobId) {
        let mut running = self.running.borrow_mut();
        match running.get(&job) {
            None => {}
            Some(Running::OnDisk) => {
                self.disk.cancel(job);
            }
            Some(Running::Task(_)) => {
                running.remove(&job);
                drop(running);
                self.host.tell(Event::JobDone { job, result: Err(IoFault::Cancelled) });
            }
        }
    }

    /// Passes the disk's answers on, as long as the disk lives.
    pub(crate) async fn take_answers(self: Rc<Self>, answers: Receiver<Answer>) {
        while let Ok(first) = answers.recv().await {
            self.done(first);
            for _ in 1..TURN {
                match answers.try_recv() {
                    Ok(answer) => self.done(answer),
                    Err(_) => break,
                }
            }
            yield_now().await;
        }
        // The disk is gone before us, which only its own fault can bring about. Its jobs still have to end.
        let orphans: Vec<JobId> = self
            .running
            .borrow()
            .iter()
            .filter_map(|(job, running)| matches!(running, Running::OnDisk).then_some(*job))
            .collect();
        for job in orphans {
            self.done((job, Err(IoFault::Device)));
        }
    }

    /// Stops the disk. What was running is never answered.
    pub(crate) fn stop(&self) {
        self.running.borrow_mut().clear();
        self.disk.stop();
    }

    fn spawn(self: &Rc<Self>, job: JobId, work: impl Future<Output = Result<JobResult, IoFault>> + 'static) {
        let jobs = Rc::clone(self);
        let task = self.host.spawn(async move {
            let result = work.await;
            jobs.done((job, result));
        });
        self.running.borrow_mut().insert(job, Running::Task(task));
    }

    fn done(&self, (job, result): Answer) {
        if self.running.borrow_mut().remove(&job).is_some() {
            self.host.tell(Event::JobDone { job, result });
        }
    }
}
