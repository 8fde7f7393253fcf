//! A tracker on a real address: the core's [`TrackerServer`] behind HTTP (hyper) and UDP on one port.
//!
//! A thread of its own, "parcacik-tracker", owns the machine, both sockets and all connections. What strangers can
//! hold is limited: so many connections at once ([`TrackerOptions::max_connections`]; more wait in the kernel's
//! queue), each for so long ([`TrackerOptions::connection_life`]), each request head so large ([`MAX_HEAD`], its
//! target [`MAX_TARGET`]) and so slow ([`TrackerOptions::head_limit`]). Bodies are not read. What the machine itself
//! may hold is in [`ServerConfig`].

use crate::client::StartError;
use crate::clock::Clock;
use crate::net::socket;
use async_executor::LocalExecutor;
use async_io::{Async, Timer};
use bytes::Bytes;
use futures_lite::FutureExt;
use futures_lite::future::yield_now;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use parcacik_core::rng::Seeds;
pub use parcacik_core::tracker::server::ServerConfig;
use parcacik_core::tracker::server::TrackerServer;
use smol_hyper::rt::{FuturesIo, SmolTimer};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most bytes of a request's head. Announces are below 1 KiB; hyper wants no less than 8 KiB.
pub const MAX_HEAD: usize = 16 << 10;
/// The most bytes of a request's path and query: room for a scrape of more than a hundred torrents.
pub const MAX_TARGET: usize = 8 << 10;
/// How often peers that were not heard of are looked for. They live for an hour.
const TICK: Duration = Duration::from_secs(30);
/// How long to wait before accepting again when it failed, or when there is no room.
const PAUSE: Duration = Duration::from_millis(50);
/// Datagrams and connections that are taken in one turn.
const TURN: u32 = 32;
/// How many ports are tried until one is free for TCP and UDP.
const PORT_TRIES: u32 = 16;

/// What a tracker is made with.
#[derive(Clone, Debug)]
pub struct TrackerOptions {
    /// Where to listen, with TCP and UDP; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Intervals, and how much is kept.
    pub server: ServerConfig,
    /// Where chance comes from; `None`: the operating system.
    pub seeds: Option<Seeds>,
    /// The most HTTP connections at once, 256: each costs a descriptor and some 20 KiB.
    pub max_connections: usize,
    /// How long a request's head may take, and how long a connection may wait for its next one: 10 s.
    pub head_limit: Duration,
    /// How long a connection may be used, however busy it is: 60 s.
    pub connection_life: Duration,
}

impl TrackerOptions {
    /// A tracker with the usual limits.
    pub fn new(addr: SocketAddr) -> TrackerOptions {
        TrackerOptions {
            addr,
            server: ServerConfig::default(),
            seeds: None,
            max_connections: 256,
            head_limit: Duration::from_secs(10),
            connection_life: Duration::from_secs(60),
        }
    }
}

/// A running tracker. Stops when dropped.
#[derive(Debug)]
pub struct TrackerHost {
    local: SocketAddr,
    counts: Arc<Counts>,
    stop: async_channel::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    torrents: AtomicUsize,
    peers: AtomicUsize,
}

impl TrackerHost {
    /// Starts a tracker with the usual limits.
    ///
    /// # Errors
    /// As [`TrackerHost::start_with`].
    pub fn start(addr: SocketAddr) -> Result<TrackerHost, StartError> {
        TrackerHost::start_with(TrackerOptions::new(addr))
    }

    /// Starts a tracker.
    ///
    /// # Errors
    /// [`StartError::Socket`] when the address cannot be had for both TCP and UDP.
    pub fn start_with(options: TrackerOptions) -> Result<TrackerHost, StartError> {
        let seeds = match options.seeds {
            Some(seeds) => seeds,
            None => crate::client::draw_seeds().map_err(StartError::Seeds)?,
        };
        let (listener, udp) = open(options.addr).map_err(|error| StartError::Socket { addr: options.addr, error })?;
        let local =
            listener.get_ref().local_addr().map_err(|error| StartError::Socket { addr: options.addr, error })?;
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = async_channel::bounded(1);
        let thread = std::thread::Builder::new()
            .name("parcacik-tracker".to_owned())
            .spawn({
                let counts = Arc::clone(&counts);
                move || {
                    let tracker = Rc::new(Tracker {
                        server: RefCell::new(TrackerServer::new(options.server, &seeds)),
                        clock: Clock::start(),
                        counts,
                        connections: Cell::new(0),
                        max_connections: options.max_connections,
                        head_limit: options.head_limit,
                        connection_life: options.connection_life,
                    });
                    // All tasks, and with them all sockets, go with the executor; so none may hold it.
                    let executor = Rc::new(LocalExecutor::new());
                    executor.spawn(serve_udp(Rc::clone(&tracker), udp)).detach();
                    executor.spawn(forget(Rc::clone(&tracker))).detach();
                    executor.spawn(accept(Rc::downgrade(&executor), tracker, listener)).detach();
                    let _ = async_io::block_on(executor.run(stopped.recv()));
                }
            })
            .map_err(StartError::Thread)?;
        Ok(TrackerHost { local, counts, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How many torrents have peers.
    pub fn torrents(&self) -> usize {
        self.counts.torrents.load(Ordering::Relaxed)
    }

    /// How many peers are listed, over all torrents.
    pub fn peers(&self) -> usize {
        self.counts.peers.load(Ordering::Relaxed)
    }
}

impl Drop for TrackerHost {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            // It never waits for anything but its sockets and this; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

struct Tracker {
    server: RefCell<TrackerServer>,
    clock: Clock,
    counts: Arc<Counts>,
    connections: Cell<usize>,
    max_connections: usize,
    head_limit: Duration,
    connection_life: Duration,
}

impl Tracker {
    fn with<R>(&self, call: impl FnOnce(&mut TrackerServer, parcacik_core::time::Time) -> R) -> R {
        let mut server = self.server.borrow_mut();
        let result = call(&mut server, self.clock.now());
        self.counts.torrents.store(server.torrents(), Ordering::Relaxed);
        self.counts.peers.store(server.peers(), Ordering::Relaxed);
        result
    }
}

/// TCP and UDP on one port. Where the system chooses, a port that is free for one may be taken for the other: then the
/// next one is tried.
fn open(addr: SocketAddr) -> io::Result<(Async<TcpListener>, Async<UdpSocket>)> {
    let mut tries = 0;
    loop {
        let listener = socket::listen(addr, None)?;
        match socket::udp(listener.get_ref().local_addr()?, None) {
            Ok(udp) => return Ok((listener, udp)),
            Err(error) if error.kind() == ErrorKind::AddrInUse && addr.port() == 0 && tries < PORT_TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn forget(tracker: Rc<Tracker>) {
    loop {
        Timer::after(TICK).await;
        tracker.with(|server, now| server.tick(now));
    }
}

async fn serve_udp(tracker: Rc<Tracker>, socket: Async<UdpSocket>) {
    // Longer than any request there is; what is cut is none of ours.
    let mut buffer = vec![0; 2048];
    while socket.readable().await.is_ok() {
        for _ in 0..TURN {
            match socket.get_ref().recv_from(&mut buffer) {
                Ok((length, from)) => {
                    if let Some(answer) = tracker.with(|server, now| server.udp(now, from, &buffer[..length])) {
                        // Lost where there is no room: the client asks again.
                        let _ = socket.get_ref().send_to(&answer, from);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // What an earlier answer met on its way.
                Err(_) => {}
            }
        }
        yield_now().await;
    }
}

async fn accept(executor: Weak<LocalExecutor<'static>>, tracker: Rc<Tracker>, listener: Async<TcpListener>) {
    let mut turn = 0u32;
    loop {
        if tracker.connections.get() >= tracker.max_connections {
            Timer::after(PAUSE).await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, remote)) => {
                let Some(executor) = executor.upgrade() else { return };
                executor.spawn(connection(Place::take(&tracker), stream, remote)).detach();
            }
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                Timer::after(PAUSE).await;
            }
        }
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(TURN) {
            yield_now().await;
        }
    }
}

/// One of the connections that may be. Given back when dropped.
struct Place(Rc<Tracker>);

impl Place {
    fn take(tracker: &Rc<Tracker>) -> Place {
        tracker.connections.set(tracker.connections.get() + 1);
        Place(Rc::clone(tracker))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get().saturating_sub(1));
    }
}

async fn connection(place: Place, stream: Async<TcpStream>, remote: SocketAddr) {
    let _ = stream.get_ref().set_nodelay(true);
    let tracker = &place.0;
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(tracker, remote, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let serve = async {
        // An error is the client's: it went away, was too slow, or did not speak HTTP.
        let _ = http1::Builder::new()
            .timer(SmolTimer::new())
            .header_read_timeout(tracker.head_limit)
            // Who has said all that it wants to say may close its side and still wait for the answer.
            .half_close(true)
            .max_buf_size(MAX_HEAD)
            .serve_connection(FuturesIo::new(stream), service)
            .await;
    };
    serve
        .or(async {
            Timer::after(tracker.connection_life).await;
        })
        .await;
}

fn answer(tracker: &Tracker, remote: SocketAddr, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let (status, body) = if request.method() != Method::GET {
        (StatusCode::METHOD_NOT_ALLOWED, b"only GET is served here\n".to_vec())
    } else if target.len() > MAX_TARGET {
        (StatusCode::URI_TOO_LONG, b"the request is too long\n".to_vec())
    } else {
        let answer = tracker.with(|server, now| server.http(now, remote, target.as_bytes()));
        (StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer.body)
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests;
