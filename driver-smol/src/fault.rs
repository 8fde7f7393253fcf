//! An operating system's errors as the core's portable words: the one place where they are translated.

use parcacik_core::border::IoFault;
use rustix::io::Errno;
use std::io;

/// The portable word for an error of the operating system.
///
/// Error numbers are looked at first, since the standard library folds several that the core treats differently into one
/// kind; errors that were made without a number (by a library, or by us) are told by their kind.
pub fn io_fault(error: &io::Error) -> IoFault {
    match Errno::from_io_error(error) {
        Some(errno) => errno_fault(errno).unwrap_or_else(|| kind_fault(error.kind())),
        None => kind_fault(error.kind()),
    }
}

fn errno_fault(errno: Errno) -> Option<IoFault> {
    Some(match errno {
        // A file that may grow no further (RLIMIT_FSIZE, or the file system's own limit) has no room left either.
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => IoFault::NoSpace,
        Errno::MFILE | Errno::NFILE => IoFault::TooManyOpen,
        // EUCLEAN ("structure needs cleaning") is not listed: ext4 and xfs report damage by EIO too.
        Errno::IO | Errno::NXIO | Errno::NODEV => IoFault::Device,
        Errno::ROFS => IoFault::ReadOnly,
        Errno::LOOP | Errno::ISDIR | Errno::NOTDIR => IoFault::Exists,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => IoFault::Unreachable,
        Errno::ADDRINUSE | Errno::ADDRNOTAVAIL => IoFault::AddressUnavailable,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT => IoFault::Unsupported,
        _ => return None,
    })
}

fn kind_fault(kind: io::ErrorKind) -> IoFault {
    match kind {
        io::ErrorKind::NotFound => IoFault::NotFound,
        io::ErrorKind::PermissionDenied => IoFault::Denied,
        io::ErrorKind::ConnectionRefused => IoFault::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => IoFault::Reset,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            IoFault::Unreachable
        }
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => IoFault::AddressUnavailable,
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => IoFault::Exists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => IoFault::NoSpace,
        io::ErrorKind::ReadOnlyFilesystem => IoFault::ReadOnly,
        io::ErrorKind::TimedOut => IoFault::TimedOut,
        io::ErrorKind::UnexpectedEof => IoFault::ShortRead,
        io::ErrorKind::InvalidData => IoFault::Protocol,
        io::ErrorKind::Unsupported => IoFault::Unsupported,
        _ => IoFault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_the_standard_library_folds_are_told_apart() {
        for (errno, fault) in [
            (Errno::NOSPC, IoFault::NoSpace),
            (Errno::DQUOT, IoFault::NoSpace),
            (Errno::MFILE, IoFault::TooManyOpen),
            (Errno::IO, IoFault::Device),
            (Errno::ROFS, IoFault::ReadOnly),
            (Errno::LOOP, IoFault::Exists),
            (Errno::NOTDIR, IoFault::Exists),
            (Errno::NOENT, IoFault::NotFound),
            (Errno::ACCESS, IoFault::Denied),
            (Errno::PERM, IoFault::Denied),
            (Errno::CONNREFUSED, IoFault::Refused),
            (Errno::CONNRESET, IoFault::Reset),
            (Errno::PIPE, IoFault::Reset),
            (Errno::TIMEDOUT, IoFault::TimedOut),
            (Errno::NETUNREACH, IoFault::Unreachable),
            (Errno::ADDRINUSE, IoFault::AddressUnavailable),
            (Errno::OPNOTSUPP, IoFault::Unsupported),
            (Errno::CHILD, IoFault::Other),
        ] {
            assert_eq!(io_fault(&io::Error::from(errno)), fault, "{errno:?}");
        }
    }

    #[test]
    fn errors_without_a_number_are_told_by_their_kind() {
        assert_eq!(io_fault(&io::Error::new(io::ErrorKind::PermissionDenied, "left the folder")), IoFault::Denied);
        assert_eq!(io_fault(&io::ErrorKind::UnexpectedEof.into()), IoFault::ShortRead);
        assert_eq!(io_fault(&io::Error::other("?")), IoFault::Other);
    }
}
