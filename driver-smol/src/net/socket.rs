//! Opening sockets.

use async_io::Async;
use parcacik_core::border::IoFault;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use crate::fault::io_fault;

/// How many connections may wait to be accepted. A swarm finds a new peer within seconds of an announce.
const BACKLOG: i32 = 256;
/// The kernel's buffer for datagrams: a burst of half a thousand full ones while the thread is busy. Only asked for.
const UDP_BUFFER: usize = 1 << 20;

/// Opens a listening TCP socket.
pub(crate) fn listen(addr: SocketAddr, device: Option<&str>) -> io::Result<Async<TcpListener>> {
    let socket = open(Domain::for_address(addr), Type::STREAM, Protocol::TCP, device)?;
    // So that a restart does not have to wait for the connections of the run before to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Async::new_nonblocking(socket.into())
}

/// Opens a UDP socket.
pub(crate) fn udp(addr: SocketAddr, device: Option<&str>) -> io::Result<Async<UdpSocket>> {
    let socket = open(Domain::for_address(addr), Type::DGRAM, Protocol::UDP, device)?;
    // The system may give less, and we do with it.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    socket.bind(&addr.into())?;
    Async::new_nonblocking(socket.into())
}

/// Every address of a family.
pub(super) fn any(v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// Where a dial leaves from: the address and device of a socket of ours.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The address of the socket, of which only the IP counts.
    pub(crate) local: IpAddr,
    /// The device that the socket is bound to.
    pub(crate) device: Option<String>,
}

/// Connects. Takes as long as the operating system tries: the caller limits it.
pub(crate) async fn connect(to: SocketAddr, from: Option<&Source>) -> Result<Async<TcpStream>, IoFault> {
    let stream = start_connect(to, from)?;
    stream.writable().await.map_err(|e| io_fault(&e))?;
    match stream.get_ref().take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Err(io_fault(&error)),
    }
    // Whole messages are handed over at once: waiting for more only delays requests.
    stream.get_ref().set_nodelay(true).map_err(|e| io_fault(&e))?;
    Ok(stream)
}

fn start_connect(to: SocketAddr, from: Option<&Source>) -> Result<Async<TcpStream>, IoFault> {
    let fault = |error: io::Error| io_fault(&error);
    let socket = open(Domain::for_address(to), Type::STREAM, Protocol::TCP, from.and_then(|f| f.device.as_deref()))
        .map_err(fault)?;
    if let Some(source) = from {
        if source.local.is_ipv4() != to.is_ipv4() {
            return Err(IoFault::AddressUnavailable);
        }
        // An unspecified address binds to nothing: the system chooses then, as it would anyway.
        if !source.local.is_unspecified() {
            socket.bind(&SocketAddr::new(source.local, 0).into()).map_err(fault)?;
        }
    }
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(fault(error)),
    }
    Async::new_nonblocking(socket.into()).map_err(fault)
}

pub(super) fn open(domain: Domain, kind: Type, protocol: Protocol, device: Option<&str>) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if domain == Domain::IPV6 {
        // IPv4 has sockets of its own: one family in each keeps addresses what they look like.
        socket.set_only_v6(true)?;
    }
    if let Some(device) = device {
        bind_device(&socket, device)?;
    }
    Ok(socket)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
fn bind_device(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "fuchsia")))]
fn bind_device(_socket: &Socket, _device: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
