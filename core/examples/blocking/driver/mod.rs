//! A driver on threads and blocking calls.
//!
//! ```text
//!   listener   UDP    dials   stream readers, writers   disk   HTTP, resolver        one thread each
//!      |        |       |               |                |          |
//!      '--------'-------'------> one channel <-----------'----------'
//!                                     |  Message
//!                                     v
//!                     session.handle(now, event, &mut actions)                       the thread of `run`
//!                                     |  Action
//!                                     v
//!                  start a thread, or pass it on to the one that is there
//! ```
//!
//! One thread owns the session and waits on one channel, no longer than until the session's deadline. Nothing that
//! blocks is done there. The channel has a bound: whoever is ahead of the session waits, so strangers who connect or
//! send datagrams cannot fill the memory. The session's thread itself never sends to it, or it could wait for itself;
//! what it has to say goes on a list of its own.
//!
//! Left out, as the standard library has no words for it: the source address and device of a dial, TLS, symbolic links
//! in the download folder (followed here). The driver on smol has them.

// A driver is where clocks and threads belong; the core's ban on them does not mean it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod disk;
mod http;
mod net;

use disk::Disk;
use net::{Stream, Udp};
use parcacik_core::border::{
    Action, Actions, Command, CommandId, Config, ConfigError, DialId, Event, IoFault, JobId, JobResult, Notice, RootId,
    SocketId, SocketKind, TcpId, Work,
};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// How many messages may wait for the session; with 64 KiB of content in each they are 16 MiB.
const MAX_WAITING: usize = 256;

/// What the other threads send to the one that owns the session.
#[derive(Debug)]
enum Message {
    /// Goes to the session as it is.
    Event(Event),
    /// A dial succeeded.
    Dialled(DialId, TcpStream),
    /// A stream came in.
    Came(SocketId, TcpStream),
}

/// A session and everything outside it.
#[derive(Debug)]
pub struct Driver {
    session: Session,
    /// The session's time is counted from here.
    epoch: Instant,
    inbox: Receiver<Message>,
    /// The other end, for new threads.
    outbox: SyncSender<Message>,
    /// What this thread has to say.
    happened: VecDeque<Event>,
    disk: Disk,
    streams: HashMap<TcpId, Stream>,
    /// Threads that still write what was queued when their stream was closed.
    closing: Vec<JoinHandle<()>>,
    listeners: HashMap<SocketId, net::Listener>,
    udp: HashMap<SocketId, Udp>,
    last_tcp: u64,
    last_command: u64,
    last_root: u32,
}

impl Driver {
    /// A driver without torrents.
    pub fn new(config: Config, seeds: Seeds) -> Result<Driver, ConfigError> {
        let (outbox, inbox) = sync_channel(MAX_WAITING);
        let mut driver = Driver {
            session: Session::new(config, seeds)?,
            epoch: Instant::now(),
            inbox,
            disk: Disk::start(outbox.clone()),
            outbox,
            happened: VecDeque::new(),
            streams: HashMap::new(),
            closing: Vec::new(),
            listeners: HashMap::new(),
            udp: HashMap::new(),
            last_tcp: 0,
            last_command: 0,
            last_root: 0,
        };
        let date = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        driver.tell(Event::WallClock { unix_seconds: date.as_secs().cast_signed() });
        Ok(driver)
    }

    /// Makes a folder known that torrents may be stored under.
    pub fn add_root(&mut self, path: PathBuf) -> io::Result<RootId> {
        std::fs::create_dir_all(&path)?;
        self.last_root += 1;
        self.disk.add_root(RootId(self.last_root), path);
        Ok(RootId(self.last_root))
    }

    /// Gives the session a command. The answer is a notice with this id.
    pub fn command(&mut self, command: Command) -> CommandId {
        self.last_command += 1;
        let id = CommandId(self.last_command);
        self.tell(Event::Command { id, command });
        id
    }

    /// Runs until the session has stopped, which it does once. `told` gets every notice and may answer it with a command.
    pub fn run(&mut self, mut told: impl FnMut(&Session, Notice) -> Option<Command>) {
        let mut actions = Actions::new();
        loop {
            let event = self.next_event();
            actions.clear();
            self.session.handle(self.now(), event, &mut actions);
            for action in actions.list.drain(..) {
                self.perform(action);
            }
            for notice in actions.notices.drain(..) {
                if notice == Notice::Stopped {
                    return self.finish();
                }
                if let Some(command) = told(&self.session, notice) {
                    self.command(command);
                }
            }
        }
    }

    /// Lets closed streams send what was queued; each has a bound of its own.
    fn finish(&mut self) {
        // Nobody handles events any more: whoever waits to tell one must not wait forever.
        self.inbox = sync_channel(0).1;
        for thread in self.closing.drain(..) {
            // A thread that has panicked has ended too.
            let _ = thread.join();
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.epoch.elapsed()
    }

    fn tell(&mut self, event: Event) {
        self.happened.push_back(event);
    }

    /// Waits for something to happen, or for the session's deadline.
    fn next_event(&mut self) -> Event {
        if let Some(event) = self.happened.pop_front() {
            return event;
        }
        loop {
            let deadline = self.session.deadline().unwrap_or(Time::NEVER);
            // A bound on the wait, as not every system can wait for half a million years. A tick too many does no harm.
            let wait = deadline.since(self.now()).min(Duration::from_secs(3600));
            match self.inbox.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Event::Tick,
                Ok(Message::Event(event)) if self.is_late(&event) => {}
                Ok(Message::Event(event)) => return event,
                Ok(Message::Dialled(dial, stream)) => return self.dialled(dial, stream),
                Ok(Message::Came(sock, stream)) => {
                    if let Some(event) = self.accepted(sock, stream) {
                        return event;
                    }
                }
            }
        }
    }

    /// Whether an event is about a stream that the session has closed, or that has ended twice (both of its threads
    /// notice). [`Event::Closed`] is the last word on a stream, [`Action::Close`] too.
    fn is_late(&mut self, event: &Event) -> bool {
        match event {
            Event::Received { tcp, .. } | Event::Flushed { tcp, .. } => !self.streams.contains_key(tcp),
            Event::Closed { tcp, .. } => self.streams.remove(tcp).is_none(),
            _ => false,
        }
    }

    fn dialled(&mut self, dial: DialId, stream: TcpStream) -> Event {
        match self.adopt(stream) {
            Ok((tcp, local, remote)) => Event::Connected { dial, tcp, local, remote },
            Err(error) => Event::DialFailed { dial, fault: fault(&error) },
        }
    }

    fn accepted(&mut self, sock: SocketId, stream: TcpStream) -> Option<Event> {
        // One that is gone already is none.
        let (tcp, local, remote) = self.adopt(stream).ok()?;
        Some(Event::Accepted { sock, tcp, local, remote })
    }

    /// Gives a stream a name and its two threads. Nothing is read before the session grants credit.
    fn adopt(&mut self, stream: TcpStream) -> io::Result<(TcpId, std::net::SocketAddr, std::net::SocketAddr)> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        self.last_tcp += 1;
        let tcp = TcpId(self.last_tcp);
        self.streams.insert(tcp, Stream::start(tcp, stream, &self.outbox)?);
        Ok((tcp, local, remote))
    }

    /// Does what the session wants. The whole of a driver's duty is in these arms.
    fn perform(&mut self, action: Action) {
        match action {
            Action::Bind { sock, kind, addr, .. } => {
                let bound = match kind {
                    SocketKind::TcpListener => TcpListener::bind(addr).and_then(|listener| {
                        let local = listener.local_addr()?;
                        self.listeners.insert(sock, net::Listener::start(sock, listener, &self.outbox)?);
                        Ok(local)
                    }),
                    SocketKind::Udp => Udp::bind(sock, addr, &self.outbox).map(|(udp, local)| {
                        self.udp.insert(sock, udp);
                        local
                    }),
                    SocketKind::Multicast { group } => {
                        Udp::join(sock, group, addr, &self.outbox).map(|(udp, local)| {
                            self.udp.insert(sock, udp);
                            local
                        })
                    }
                };
                self.tell(match bound {
                    Ok(local) => Event::Bound { sock, local },
                    Err(error) => Event::BindFailed { sock, fault: fault(&error) },
                });
            }
            Action::Unbind { sock } => {
                self.listeners.remove(&sock);
                self.udp.remove(&sock);
            }
            Action::Dial { dial, to, .. } => {
                if net::dial(dial, to, &self.outbox).is_err() {
                    self.tell(Event::DialFailed { dial, fault: IoFault::TooManyOpen });
                }
            }
            // It answers all the same, in a few seconds.
            Action::CancelDial { .. } => {}
            Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => {
                if let Some(stream) = self.streams.get(&tcp) {
                    stream.send(bytes);
                }
            }
            Action::Grant { tcp, bytes } => {
                if let Some(stream) = self.streams.get(&tcp) {
                    stream.grant(bytes);
                }
            }
            Action::Close { tcp, flush } => {
                if let Some(stream) = self.streams.remove(&tcp) {
                    self.closing.retain(|thread| !thread.is_finished());
                    self.closing.push(stream.close(flush));
                }
            }
            Action::SendDatagrams { sock, to, segment, bytes, .. } => {
                if let Some(udp) = self.udp.get(&sock) {
                    udp.send(to, segment, &bytes);
                }
            }
            Action::Start { job, work } => self.start(job, work),
            // A cancelled job answers like any other, so nothing need be done; no work streams its result yet.
            Action::Cancel { .. } | Action::GrantJob { .. } => {}
            // The border may get new words. None is sent that nobody asked for by its configuration.
            other => eprintln!("an action that this driver does not know: {other:?}"),
        }
    }

    fn start(&mut self, job: JobId, work: Work) {
        match work {
            Work::Resolve { host } => self.in_thread(job, move || {
                let found = (host.as_str(), 0).to_socket_addrs().map_err(|error| fault(&error))?;
                let addresses: Vec<_> = found.map(|addr| addr.ip()).collect();
                if addresses.is_empty() { Err(IoFault::NotFound) } else { Ok(JobResult::Resolved(addresses)) }
            }),
            Work::Http(request) => self.in_thread(job, move || http::exchange(&request).map(JobResult::Http)),
            on_disk => {
                if let Err(fault) = self.disk.start_job(job, on_disk) {
                    // Its thread is gone, which only a fault of its own can bring about. Every job is answered all the same.
                    self.tell(Event::JobDone { job, result: Err(fault) });
                }
            }
        }
    }

    /// Does a job that may take long, and answers it: exactly once, whatever happens.
    fn in_thread(&mut self, job: JobId, work: impl FnOnce() -> Result<JobResult, IoFault> + Send + 'static) {
        let outbox = self.outbox.clone();
        let started = thread::Builder::new().spawn(move || {
            let _ = outbox.send(Message::Event(Event::JobDone { job, result: work() }));
        });
        if started.is_err() {
            self.tell(Event::JobDone { job, result: Err(IoFault::TooManyOpen) });
        }
    }
}

/// Seeds that nobody can guess. The standard library's only chance is the keys that it makes for hash maps; a program
/// for the internet asks the operating system (the `getrandom` crate, say).
pub fn random_seeds() -> Seeds {
    let seed = || {
        let mut seed = [0; 32];
        for (number, eight) in seed.chunks_exact_mut(8).enumerate() {
            eight.copy_from_slice(&RandomState::new().hash_one(number).to_le_bytes());
        }
        seed
    };
    Seeds { decision: seed(), secret: seed() }
}

/// The portable word for an error of the operating system.
fn fault(error: &io::Error) -> IoFault {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => IoFault::NotFound,
        Kind::PermissionDenied => IoFault::Denied,
        Kind::ConnectionRefused => IoFault::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::NotConnected => IoFault::Reset,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => IoFault::Unreachable,
        Kind::AddrInUse | Kind::AddrNotAvailable => IoFault::AddressUnavailable,
        Kind::AlreadyExists | Kind::IsADirectory | Kind::NotADirectory => IoFault::Exists,
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => IoFault::NoSpace,
        Kind::ReadOnlyFilesystem => IoFault::ReadOnly,
        Kind::UnexpectedEof => IoFault::ShortRead,
        // A blocking socket whose time is over says one or the other, by system.
        Kind::TimedOut | Kind::WouldBlock => IoFault::TimedOut,
        Kind::InvalidData => IoFault::Protocol,
        Kind::Unsupported => IoFault::Unsupported,
        _ => IoFault::Other,
    }
}
