//! The [`Client`]: a running session that any program can hold.

mod error;
mod lifecycle;
mod options;
mod session;
#[cfg(test)]
mod tests;

pub use crate::engine::notices::NoticeReceiver;
pub use error::{AddError, ClientError, CommandFailure, StartError};
pub use options::{AddOptions, ClientConfig};
pub(crate) use session::draw_seeds;
pub use session::{FileStats, TorrentStats};

use crate::engine::jobs::DiskService;
use crate::engine::notices::{End, Hub};
use crate::engine::{Control, EngineThread, Machine, Parts};
use async_channel::{Receiver, RecvError};
use async_io::Timer;
use futures_lite::FutureExt;
use parcacik_core::border::{
    AddTorrent, AnnounceOnce, Command, CommandError, InfoHash, IpFilter, Notice, RateLimits, RemoveFiles, RootId,
    SocketId, Target, TorrentId,
};
use parcacik_core::session::Session;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much longer than the session's own limit its stopping may take, until the thread is stopped regardless.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// A session that runs on a thread of its own.
///
/// All methods can be called from any thread and any executor; the futures need no particular one, and
/// `futures_lite::future::block_on` will do in a program that is not asynchronous. Share it in an `Arc`.
///
/// Dropping it stops the thread without telling trackers; nothing that was claimed on the disk is lost by that. Use
/// [`Client::shutdown`] to stop in order.
///
/// `M` is the machine that runs: the core's session, unless somebody brings another one that speaks its words.
#[derive(Debug)]
pub struct Client<M: Machine = Session> {
    engine: EngineThread<M>,
    disk: Disk,
    /// Folders that the disk knows.
    roots: Mutex<BTreeMap<PathBuf, RootId>>,
    last_root: AtomicU32,
    /// What is listened on, as far as it is known.
    listening: Vec<Listening>,
    shutdown_limit: Duration,
}

/// Who makes folders known to the disk.
struct Disk(Arc<dyn DiskService>);

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

/// A pair of sockets that peers reach us by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address, with the port that the system chose where 0 was asked for. UDP has the same.
    pub addr: SocketAddr,
    /// The session's name for the TCP socket.
    pub tcp: SocketId,
    /// The session's name for the UDP socket.
    pub udp: SocketId,
}

impl<M: Machine> Client<M> {
    /// Starts a thread for a machine and has it listen. Blocks until the sockets are open.
    pub(crate) fn start_parts(
        parts: Parts<M>,
        listen: &[SocketAddr],
        device: Option<&str>,
        dht: bool,
        shutdown_limit: Duration,
    ) -> Result<Client<M>, StartError> {
        let disk = Disk(Arc::clone(&parts.services.disk));
        let engine = EngineThread::start(parts).map_err(StartError::Thread)?;
        let mut client = Client {
            engine,
            disk,
            roots: Mutex::default(),
            last_root: AtomicU32::new(0),
            listening: Vec::new(),
            shutdown_limit,
        };
        for (&addr, tcp) in listen.iter().zip((1u32..).step_by(3)) {
            let (tcp, udp, lsd) = (SocketId(tcp), SocketId(tcp + 1), Some(SocketId(tcp + 2)));
            let command = Command::Listen { tcp, udp: Some(udp), lsd, dht, addr, device: device.map(str::to_owned) };
            let addr = futures_lite::future::block_on(client.listen(command, addr))?;
            client.listening.push(Listening { addr, tcp, udp });
        }
        Ok(client)
    }

    /// What the client listens on, in the order of the configuration.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// A receiver of notices from now on; any number, each with a queue of its own. What happens when it is not read
    /// is said at [`NoticeReceiver`]'s module: progress is dropped first, what matters never.
    pub fn notices(&self) -> NoticeReceiver {
        self.engine.hub.subscribe()
    }

    /// Adds a torrent and starts it. The folder is made if it does not exist. Of one that is added by a magnet link,
    /// [`Notice::Metadata`] tells when its info dictionary has been had from peers.
    ///
    /// # Errors
    /// [`AddError::Folder`] when the folder cannot be made or opened, [`AddError::Refused`] when the session does not
    /// take the torrent.
    pub async fn add(&self, options: AddOptions) -> Result<TorrentId, AddError> {
        let root = self.root(&options.dir).await?;
        let command = Command::Add(Box::new(AddTorrent {
            source: options.source,
            root,
            extra_trackers: options.extra_trackers,
            use_trackers: options.use_trackers,
            peers: options.peers,
            goal: options.goal,
            overwrite: options.overwrite,
            recheck: options.recheck,
            seed_only: options.seed_only,
            priorities: options.priorities,
            sequential: options.sequential,
            limits: options.limits,
            super_seed: options.super_seed,
            paused: options.paused,
            managed: options.managed,
            hold_at_metadata: options.hold_at_metadata,
        }));
        match self.ask(command).await? {
            Notice::Added { torrent, .. } => Ok(torrent),
            other => Err(AddError::Refused(refusal(other))),
        }
    }

    /// Tells a torrent of peers; names are resolved.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn add_peers(&self, torrent: TorrentId, peers: Vec<Target>) -> Result<(), CommandFailure> {
        self.carry_out(Command::AddPeers { torrent, peers }).await
    }

    /// Tells the nodes of the DHT of others to begin with; names are looked up. See [`Command::AddDhtNodes`].
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when the session is stopping.
    pub async fn add_dht_nodes(&self, nodes: Vec<Target>) -> Result<(), CommandFailure> {
        self.carry_out(Command::AddDhtNodes { nodes }).await
    }

    /// Says how much files of a torrent are wanted: each by its place in the layout, with 0 (not wanted) to 7 (first). A
    /// finished torrent downloads again when more is wanted; files that are not wanted are not created, and those that
    /// are there stay.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent, file or priority; nothing is changed then.
    pub async fn set_priorities(&self, torrent: TorrentId, files: Vec<(u32, u8)>) -> Result<(), CommandFailure> {
        self.carry_out(Command::SetPriorities { torrent, files }).await
    }

    /// Has pieces of a torrent asked for in order, or the rarest first.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn set_sequential(&self, torrent: TorrentId, on: bool) -> Result<(), CommandFailure> {
        self.carry_out(Command::SetSequential { torrent, on }).await
    }

    /// Announces a torrent before its time. Unless it is forced, trackers' `min interval` and the delay of failing ones are
    /// kept.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn reannounce(&self, torrent: TorrentId, force: bool) -> Result<(), CommandFailure> {
        self.carry_out(Command::Reannounce { torrent, force }).await
    }

    /// Gives a torrent more trackers, in tiers behind those that it has. URLs that are refused are told as notices.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn add_trackers(&self, torrent: TorrentId, tiers: Vec<Vec<String>>) -> Result<(), CommandFailure> {
        self.carry_out(Command::AddTrackers { torrent, tiers }).await
    }

    /// Gives a torrent other trackers. URLs that are refused are told as notices.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn replace_trackers(&self, torrent: TorrentId, tiers: Vec<Vec<String>>) -> Result<(), CommandFailure> {
        self.carry_out(Command::ReplaceTrackers { torrent, tiers }).await
    }

    /// Asks trackers how torrents do, without being listed there: a [`Notice::Scraped`] for each tracker.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when too many such questions are under way.
    pub async fn scrape(&self, trackers: Vec<String>, torrents: Vec<InfoHash>) -> Result<Vec<Notice>, CommandFailure> {
        self.ask_all(Command::Scrape { trackers, torrents }).await
    }

    /// Asks a torrent's trackers how it does; of a private torrent the one in use.
    ///
    /// # Errors
    /// As [`Client::scrape`], and when there is no such torrent.
    pub async fn scrape_torrent(&self, torrent: TorrentId) -> Result<Vec<Notice>, CommandFailure> {
        self.ask_all(Command::ScrapeTorrent { torrent }).await
    }

    /// Announces once, without a torrent in the session: a [`Notice::Announced`] for each tracker and family.
    ///
    /// # Errors
    /// As [`Client::scrape`].
    pub async fn announce(&self, once: AnnounceOnce) -> Result<Vec<Notice>, CommandFailure> {
        self.ask_all(Command::Announce(Box::new(once))).await
    }

    /// Stops a torrent and forgets it; with [`RemoveFiles::Delete`], deletes its files too. Ends when that is done.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn remove(&self, torrent: TorrentId, files: RemoveFiles) -> Result<(), CommandFailure> {
        match self.ask(Command::Remove { torrent, files }).await? {
            Notice::Removed { .. } => Ok(()),
            other => Err(CommandFailure::Refused(refusal(other))),
        }
    }

    /// Uses this list of blocked addresses in place of the one before. Whom it blocks is closed and forgotten; see
    /// [`Command::SetIpFilter`]. The list is shared, not copied.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when it has more ranges than
    /// [`NetPolicy::max_filter_ranges`](parcacik_core::border::NetPolicy::max_filter_ranges).
    pub async fn set_ip_filter(&self, filter: Arc<IpFilter>) -> Result<(), CommandFailure> {
        self.carry_out(Command::SetIpFilter { filter }).await
    }

    /// Limits how fast bytes go, from now on: over all torrents, or (within that) of one.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent, or a limit is 0.
    pub async fn set_limits(&self, torrent: Option<TorrentId>, limits: RateLimits) -> Result<(), CommandFailure> {
        let RateLimits { download, upload } = limits;
        self.carry_out(Command::SetLimits { torrent, download, upload }).await
    }

    /// Begins or ends super seeding (BEP 16) of a torrent; see [`Command::SetSuperSeed`].
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn set_super_seed(&self, torrent: TorrentId, on: bool) -> Result<(), CommandFailure> {
        self.carry_out(Command::SetSuperSeed { torrent, on }).await
    }

    /// Looks at the machine, between two of its events. `look` runs on the engine's thread: it must be quick, and
    /// should copy out what it needs. A panic in it comes back to the caller.
    ///
    /// # Errors
    /// [`ClientError`] when the client has ended.
    pub async fn with_session<R: Send + 'static>(
        &self,
        look: impl FnOnce(&M) -> R + Send + 'static,
    ) -> Result<R, ClientError> {
        let (reply, answer) = async_channel::bounded(1);
        self.order(Control::Look(Box::new(move |machine| {
            let seen = catch_unwind(AssertUnwindSafe(|| look(machine)));
            let _ = reply.try_send(seen);
        })))?;
        match self.wait(&answer).await? {
            Ok(seen) => Ok(seen),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Stops in order: trackers are told, resume data saved, connections closed. Ends within the session's
    /// [`shutdown_limit`](parcacik_core::border::SessionConfig::shutdown_limit) and a second, and then what the disk
    /// needs to end what it was given.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] when the session was not done in time and was stopped regardless;
    /// [`ClientError::Broken`] when it had panicked.
    pub async fn shutdown(mut self) -> Result<(), ClientError> {
        let stopped = self.wait_for_stopped().await;
        self.engine.stop();
        if let Some(thread) = self.engine.take_thread() {
            // A panic of the thread has been told by the hub already.
            let _ = blocking::unblock(move || thread.join()).await;
        }
        stopped
    }

    async fn wait_for_stopped(&self) -> Result<(), ClientError> {
        let mut notices = self.notices();
        self.order(Control::Command(Command::Shutdown, None))?;
        let stopped = async {
            loop {
                if notices.recv().await? == Notice::Stopped {
                    return Ok(());
                }
            }
        };
        let limit = async {
            Timer::after(self.shutdown_limit + SHUTDOWN_GRACE).await;
            Err(ClientError::TimedOut)
        };
        stopped.or(limit).await
    }

    async fn listen(&self, command: Command, addr: SocketAddr) -> Result<SocketAddr, StartError> {
        // One answer for TCP, one for UDP; TCP comes first, for UDP takes its port.
        let (reply, answers) = async_channel::bounded(2);
        self.order(Control::Command(command, Some((reply, 2))))?;
        let mut local = addr;
        for _ in 0..2 {
            match self.wait(&answers).await? {
                Notice::Listening { local: bound, .. } => local = bound,
                other => return Err(StartError::Listen { addr, error: refusal(other) }),
            }
        }
        Ok(local)
    }

    /// The name of a folder, which is opened when it is a new one.
    async fn root(&self, dir: &Path) -> Result<RootId, AddError> {
        let folder = |error| AddError::Folder { path: dir.to_owned(), error };
        let path = std::path::absolute(dir).map_err(folder)?;
        // The lock is never held over an await: two callers with one new folder open it twice, and that does no harm.
        let known = self.roots.lock().unwrap_or_else(PoisonError::into_inner).get(&path).copied();
        if let Some(root) = known {
            return Ok(root);
        }
        let root = RootId(self.last_root.fetch_add(1, Ordering::Relaxed));
        let disk = Arc::clone(&self.disk.0);
        let path = blocking::unblock(move || disk.add_root(root, &path).map(|()| path)).await.map_err(folder)?;
        self.roots.lock().unwrap_or_else(PoisonError::into_inner).insert(path, root);
        Ok(root)
    }

    /// Gives a command that has one answer.
    async fn ask(&self, command: Command) -> Result<Notice, ClientError> {
        let (reply, answer) = async_channel::bounded(1);
        self.order(Control::Command(command, Some((reply, 1))))?;
        self.wait(&answer).await
    }

    /// Gives a command that is answered by [`Notice::CommandDone`], and waits for that.
    async fn carry_out(&self, command: Command) -> Result<(), CommandFailure> {
        match self.ask(command).await? {
            Notice::CommandDone { .. } => Ok(()),
            other => Err(CommandFailure::Refused(refusal(other))),
        }
    }

    /// Gives a command that is answered by any number of notices and then [`Notice::CommandDone`].
    async fn ask_all(&self, command: Command) -> Result<Vec<Notice>, CommandFailure> {
        // There are as many as trackers, of which there is a limit.
        let (reply, answers) = async_channel::unbounded();
        self.order(Control::Command(command, Some((reply, usize::MAX))))?;
        let mut all = Vec::new();
        loop {
            match self.wait(&answers).await? {
                Notice::CommandDone { .. } => return Ok(all),
                refused @ Notice::CommandFailed { .. } => return Err(CommandFailure::Refused(refusal(refused))),
                notice => all.push(notice),
            }
        }
    }

    fn order(&self, order: Control<M>) -> Result<(), ClientError> {
        self.engine.control.try_send(order).map_err(|_| ended(&self.engine.hub))
    }

    async fn wait<T>(&self, answer: &Receiver<T>) -> Result<T, ClientError> {
        answer.recv().await.map_err(|RecvError| ended(&self.engine.hub))
    }
}

impl<M: Machine> Drop for Client<M> {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

/// Why the engine does not answer.
fn ended(hub: &Arc<Hub>) -> ClientError {
    hub.end().unwrap_or(End::Stopped).into()
}

/// What a notice says that is not the answer hoped for.
fn refusal(notice: Notice) -> CommandError {
    match notice {
        Notice::CommandFailed { error, .. } => error,
        // The engine passes on nothing else as an answer to what was asked.
        _ => CommandError::Stopping,
    }
}
