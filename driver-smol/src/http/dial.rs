//! A TCP connection to one address, from one address.

use async_io::Async;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

/// Connects. Takes as long as the system lets it: the caller holds the clock. Dropping the future closes the socket.
pub(super) async fn dial(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Async<TcpStream>> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        if from.is_ipv4() != to.is_ipv4() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        // Port 0: the system chooses one.
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => {}
        Err(error) => return Err(error),
    }
    let stream = Async::new_nonblocking(TcpStream::from(socket))?;
    // A connect ends, either way, by the socket becoming writable.
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || Errno::from_io_error(error) == Some(Errno::INPROGRESS)
}
