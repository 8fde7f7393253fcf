//! From the errors of the layers below to the border's closed list.
//!
//! `hyper::Error` prints only its own level and says little; the cause lies further down its `source()` chain. So the deepest error that
//! means something to us decides.

use parcacik_core::border::IoFault;
use rustix::io::Errno;
use std::error::Error;
use std::fmt;
use std::io;

/// All heads of an answer together are over their limit. Raised by our stream, below hyper.
#[derive(Debug)]
pub(super) struct HeadTooLarge;

impl fmt::Display for HeadTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the heads of the answer are too large")
    }
}

impl Error for HeadTooLarge {}

/// The fault that an error amounts to. Writes the whole chain to the log, because the fault alone would not help to find the cause.
pub(super) fn of(error: &(dyn Error + 'static)) -> IoFault {
    let fault = classify(error).unwrap_or(IoFault::Other);
    tracing::debug!(%fault, cause = %Chain(error), "HTTP exchange failed");
    fault
}

fn classify(error: &(dyn Error + 'static)) -> Option<IoFault> {
    if let Some(fault) = below(error).and_then(classify) {
        return Some(fault);
    }
    if error.is::<HeadTooLarge>() {
        return Some(IoFault::TooLarge);
    }
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(tls));
    }
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        return Some(of_http(http));
    }
    error.downcast_ref::<io::Error>().map(of_io)
}

/// The next error down. `io::Error::source` skips the error it wraps, so that one is asked for by `get_ref`.
fn below<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn of_tls(error: &rustls::Error) -> IoFault {
    match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::UnsupportedNameType
        | rustls::Error::InvalidCertRevocationList(_) => IoFault::Untrusted,
        _ => IoFault::Protocol,
    }
}

fn of_http(error: &hyper::Error) -> IoFault {
    if error.is_parse_too_large() {
        IoFault::TooLarge
    } else if error.is_timeout() {
        IoFault::TimedOut
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || error.is_body_write_aborted()
    {
        IoFault::Reset
    } else {
        IoFault::Protocol
    }
}

fn of_io(error: &io::Error) -> IoFault {
    if matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE)) {
        return IoFault::TooManyOpen;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => IoFault::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        // The connection ended in the middle of a chunk or of the TLS handshake.
        | io::ErrorKind::UnexpectedEof => IoFault::Reset,
        io::ErrorKind::TimedOut => IoFault::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            IoFault::Unreachable
        }
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => IoFault::AddressUnavailable,
        io::ErrorKind::PermissionDenied => IoFault::Denied,
        io::ErrorKind::NotFound => IoFault::NotFound,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => IoFault::Protocol,
        _ => IoFault::Other,
    }
}

/// An error with everything below it, in one line.
struct Chain<'e>(&'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = below(self.0);
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = below(error);
        }
        Ok(())
    }
}
