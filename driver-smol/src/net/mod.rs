//! Sockets: everything that the engine does with the network, and nothing that it decides.
//!
//! [`Net`] holds a table each of sockets, dials and streams, and does the core's actions on them. What happens on them
//! is told to the core from the task that sees it: there is no lock and no channel in between, all of this lives on
//! one thread.

pub(crate) mod interfaces;
mod multicast;
pub(crate) mod pool;
pub(crate) mod resolve;
pub(crate) mod socket;
pub(crate) mod tcp;
pub(crate) mod udp;

#[cfg(test)]
mod multicast_tests;
#[cfg(test)]
mod tests;

use crate::engine::host::Host;
use crate::fault::io_fault;
use async_executor::Task;
use async_io::{Async, Timer};
use futures_lite::FutureExt;
use futures_lite::future::yield_now;
use interfaces::Interface;
use parcacik_core::border::{Action, DialId, Event, IoFault, Route, SocketId, SocketKind, Target, TcpId};
use pool::Pool;
use resolve::Resolver;
use socket::Source;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;
use std::time::Duration;
use tcp::Stream;

/// The longest that a dial may take here. The core gives up much earlier; this only keeps a dial that it forgot from
/// staying for ever.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// How many addresses of a name are tried.
const DIAL_ADDRESSES: usize = 4;
/// Streams that are accepted in one turn.
const ACCEPT_TURN: u32 = 16;
/// How long to wait before accepting again when it failed: out of descriptors, most likely, which takes a while to
/// pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The network of one engine.
pub(crate) struct Net {
    pub(crate) host: Rc<Host>,
    pub(crate) pool: Pool,
    resolver: Resolver,
    sockets: RefCell<HashMap<SocketId, Socket>>,
    dials: RefCell<HashMap<DialId, Option<Task<()>>>>,
    streams: RefCell<HashMap<TcpId, Stream>>,
    /// What looks after changes of interfaces, once there is a socket that they matter to.
    watches: RefCell<Option<Task<()>>>,
    last_tcp: Cell<u64>,
    /// Streams that were closed and are still sending.
    lingering: Cell<usize>,
}

/// A socket that listens, or UDP. Dropping it ends its task, and so closes it.
struct Socket {
    local: SocketAddr,
    device: Option<String>,
    udp: Option<Rc<Async<UdpSocket>>>,
    /// Of a member of a multicast group, where it is one.
    member: Vec<Interface>,
    _task: Option<Task<()>>,
}

impl Net {
    pub(crate) fn new(host: Rc<Host>, pool: Pool, resolver: Resolver) -> Rc<Net> {
        Rc::new(Net {
            host,
            pool,
            resolver,
            sockets: RefCell::default(),
            dials: RefCell::default(),
            streams: RefCell::default(),
            watches: RefCell::default(),
            last_tcp: Cell::new(0),
            lingering: Cell::new(0),
        })
    }

    /// Does an action on the network; gives back one that is none.
    pub(crate) fn perform(self: &Rc<Self>, action: Action) -> Option<Action> {
        match action {
            Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => {
                if let Some(stream) = self.streams.borrow().get(&tcp) {
                    stream.send(bytes);
                }
            }
            Action::Grant { tcp, bytes } => {
                if let Some(stream) = self.streams.borrow().get(&tcp) {
                    stream.grant(bytes);
                }
            }
            Action::Close { tcp, flush } => self.close(tcp, flush),
            Action::Dial { dial, to, from, via } => self.dial(dial, to, from, via),
            Action::CancelDial { dial } => {
                if self.dials.borrow_mut().remove(&dial).is_some() {
                    self.host.tell(Event::DialFailed { dial, fault: IoFault::Cancelled });
                }
            }
            Action::SendDatagrams { sock, to, segment, bytes, dont_fragment } => {
                if let Some(Socket { udp: Some(udp), member, .. }) = self.sockets.borrow().get(&sock) {
                    if member.is_empty() {
                        // Lost, as it could be on any link.
                        let _ = udp::send(udp.get_ref(), to, segment, &bytes, dont_fragment);
                    } else {
                        multicast::send(udp.get_ref(), member, to, segment, &bytes);
                    }
                }
            }
            Action::Bind { sock, kind, addr, device } => self.host.tell(match self.bind(sock, kind, addr, device) {
                Ok(local) => Event::Bound { sock, local },
                Err(fault) => Event::BindFailed { sock, fault },
            }),
            Action::Unbind { sock } => {
                self.sockets.borrow_mut().remove(&sock);
            }
            other => return Some(other),
        }
        None
    }

    /// A stream ended by itself: tells the core, unless it has closed it already.
    pub(crate) fn stream_ended(&self, tcp: TcpId, fault: Option<IoFault>) {
        let ended = self.streams.borrow_mut().remove(&tcp);
        if ended.is_some() {
            self.host.tell(Event::Closed { tcp, fault });
        }
    }

    /// Ends everything at once, but for streams that are still sending what was queued.
    pub(crate) fn close_all(&self) {
        self.sockets.borrow_mut().clear();
        self.watches.borrow_mut().take();
        self.dials.borrow_mut().clear();
        self.streams.borrow_mut().clear();
    }

    /// Whether closed streams are still sending.
    pub(crate) fn is_lingering(&self) -> bool {
        self.lingering.get() > 0
    }

    fn bind(
        self: &Rc<Self>,
        sock: SocketId,
        kind: SocketKind,
        addr: SocketAddr,
        device: Option<String>,
    ) -> Result<SocketAddr, IoFault> {
        let fault = |error: std::io::Error| io_fault(&error);
        let mut member = Vec::new();
        let (local, udp, task) = match kind {
            SocketKind::TcpListener => {
                let listener = socket::listen(addr, device.as_deref()).map_err(fault)?;
                let local = listener.get_ref().local_addr().map_err(fault)?;
                (local, None, self.host.spawn(accept(Rc::clone(self), sock, listener)))
            }
            SocketKind::Udp => {
                let socket = Rc::new(socket::udp(addr, device.as_deref()).map_err(fault)?);
                let local = socket.get_ref().local_addr().map_err(fault)?;
                let task = self.host.spawn(udp::receive(Rc::clone(self), sock, Rc::clone(&socket)));
                (local, Some(socket), task)
            }
            SocketKind::Multicast { group } => {
                let (socket, interfaces) = multicast::join(group, addr, device.as_deref()).map_err(fault)?;
                let socket = Rc::new(socket);
                let port = socket.get_ref().local_addr().map_err(fault)?.port();
                let local = SocketAddr::new(addr.ip(), port);
                let task = self.host.spawn(udp::receive(Rc::clone(self), sock, Rc::clone(&socket)));
                member = interfaces;
                (local, Some(socket), task)
            }
        };
        self.sockets.borrow_mut().insert(sock, Socket { local, device, udp, member, _task: task });
        if !local.ip().is_loopback() && self.watches.borrow().is_none() {
            let watch = interfaces::watch(Rc::clone(&self.host), Rc::downgrade(self));
            *self.watches.borrow_mut() = self.host.spawn(watch);
        }
        Ok(local)
    }

    fn dial(self: &Rc<Self>, dial: DialId, to: Target, from: Option<SocketId>, via: Route) {
        let source = match (from, via) {
            (None, Route::Direct) => Ok(None),
            (Some(sock), Route::Direct) => match self.sockets.borrow().get(&sock) {
                Some(socket) => Ok(Some(Source { local: socket.local.ip(), device: socket.device.clone() })),
                None => Err(IoFault::AddressUnavailable),
            },
            _ => Err(IoFault::Unsupported),
        };
        let source = match source {
            Ok(source) => source,
            Err(fault) => return self.host.tell(Event::DialFailed { dial, fault }),
        };
        let net = Rc::clone(self);
        let task = self.host.spawn(async move {
            let connect = connect_to(&net.resolver, to, source);
            let limit = async {
                Timer::after(DIAL_LIMIT).await;
                Err(IoFault::TimedOut)
            };
            let result = connect.or(limit).await;
            // No await from here on: the handle of this very task is dropped with the entry.
            net.dials.borrow_mut().remove(&dial);
            let adopted = result.and_then(|stream| {
                let ends = ends(&stream)?;
                Ok((net.adopt(stream), ends))
            });
            net.host.tell(match adopted {
                Ok((tcp, (local, remote))) => Event::Connected { dial, tcp, local, remote },
                Err(fault) => Event::DialFailed { dial, fault },
            });
        });
        self.dials.borrow_mut().insert(dial, task);
    }

    /// Gives a stream a name and starts its tasks.
    fn adopt(self: &Rc<Self>, stream: Async<TcpStream>) -> TcpId {
        let tcp = TcpId(self.last_tcp.get() + 1);
        self.last_tcp.set(tcp.0);
        self.streams.borrow_mut().insert(tcp, Stream::start(self, tcp, stream));
        tcp
    }

    fn close(self: &Rc<Self>, tcp: TcpId, flush: bool) {
        let Some(stream) = self.streams.borrow_mut().remove(&tcp) else { return };
        if let Some(farewell) = stream.close(flush) {
            self.lingering.set(self.lingering.get() + 1);
            let net = Rc::clone(self);
            self.host.spawn_detached(async move {
                farewell.await;
                net.lingering.set(net.lingering.get().saturating_sub(1));
            });
        }
    }
}

/// Accepts streams, as long as the task lives.
async fn accept(net: Rc<Net>, sock: SocketId, listener: Async<TcpListener>) {
    let mut turn = 0u32;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.get_ref().set_nodelay(true);
                // One that is gone already has no address, and is nobody's loss.
                if let Ok((local, remote)) = ends(&stream) {
                    let tcp = net.adopt(stream);
                    net.host.tell(Event::Accepted { sock, tcp, local, remote });
                }
            }
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(?sock, %error, "cannot accept");
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(ACCEPT_TURN) {
            yield_now().await;
        }
    }
}

async fn connect_to(resolver: &Resolver, to: Target, source: Option<Source>) -> Result<Async<TcpStream>, IoFault> {
    let (host, port) = match to {
        Target::Addr(addr) => return socket::connect(addr, source.as_ref()).await,
        Target::Host { name, port } => (name, port),
    };
    let mut last = IoFault::NotFound;
    for ip in resolver.resolve(host).await?.into_iter().take(DIAL_ADDRESSES) {
        match socket::connect(SocketAddr::new(ip, port), source.as_ref()).await {
            Ok(stream) => return Ok(stream),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

fn ends(stream: &Async<TcpStream>) -> Result<(SocketAddr, SocketAddr), IoFault> {
    let ends = || Ok((stream.get_ref().local_addr()?, stream.get_ref().peer_addr()?));
    ends().map_err(|error: std::io::Error| io_fault(&error))
}
