//! What the operating system says about sockets, in the core's portable words.

use parcacik_core::border::IoFault;
use rustix::io::Errno;
use std::io::{Error, ErrorKind};

/// The portable word for a socket's error.
pub(crate) fn socket_fault(error: &Error) -> IoFault {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => return IoFault::TooManyOpen,
        // No socket of this family at all: a machine without IPv6, say.
        Some(Errno::AFNOSUPPORT) => return IoFault::Unreachable,
        _ => {}
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => IoFault::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => IoFault::Reset,
        ErrorKind::NotConnected => IoFault::Reset,
        ErrorKind::TimedOut => IoFault::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => IoFault::Unreachable,
        ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => IoFault::AddressUnavailable,
        ErrorKind::PermissionDenied => IoFault::Denied,
        ErrorKind::NotFound => IoFault::NotFound,
        ErrorKind::Unsupported => IoFault::Unsupported,
        _ => IoFault::Other,
    }
}
