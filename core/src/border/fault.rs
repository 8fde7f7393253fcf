//! What can go wrong, in closed lists: never an operating system's number, never a text.

use core::fmt;

/// Why a dial, a stream, a socket or a job failed, as portable words.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IoFault {
    /// No room left on the device, or over a quota.
    NoSpace,
    /// The file, host or name does not exist.
    NotFound,
    /// The operating system or the storage's rules forbid it.
    Denied,
    /// It took too long.
    TimedOut,
    /// Nobody listens there.
    Refused,
    /// The other side ended it abruptly.
    Reset,
    /// No route to the host or network.
    Unreachable,
    /// The address is in use or not ours.
    AddressUnavailable,
    /// Too many open files or sockets.
    TooManyOpen,
    /// The device failed to read or write.
    Device,
    /// The file system is read-only.
    ReadOnly,
    /// A file ended before the bytes that were asked for.
    ShortRead,
    /// A file stands in the way: it is not ours, or not a regular file.
    Exists,
    /// Another process has it.
    Busy,
    /// The answer does not follow its protocol (HTTP, TLS).
    Protocol,
    /// The certificate or host name could not be verified.
    Untrusted,
    /// The answer is larger than the limit that was set.
    TooLarge,
    /// It was cancelled.
    Cancelled,
    /// The driver cannot do this kind of work.
    Unsupported,
    /// Anything else.
    Other,
}

impl fmt::Display for IoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IoFault::NoSpace => "no space left on the disk",
            IoFault::NotFound => "not found",
            IoFault::Denied => "permission denied",
            IoFault::TimedOut => "timed out",
            IoFault::Refused => "connection refused",
            IoFault::Reset => "connection reset",
            IoFault::Unreachable => "unreachable",
            IoFault::AddressUnavailable => "address in use or not available",
            IoFault::TooManyOpen => "too many open files",
            IoFault::Device => "input/output error",
            IoFault::ReadOnly => "read-only file system",
            IoFault::ShortRead => "the file is shorter than it should be",
            IoFault::Exists => "a file that is not ours is in the way",
            IoFault::Busy => "in use by another process",
            IoFault::Protocol => "the answer breaks its protocol",
            IoFault::Untrusted => "the certificate cannot be trusted",
            IoFault::TooLarge => "the answer is too large",
            IoFault::Cancelled => "cancelled",
            IoFault::Unsupported => "not supported",
            IoFault::Other => "failed",
        })
    }
}

impl core::error::Error for IoFault {}

/// What a peer did that ends its connection. The peer's fault, never ours.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerFault {
    /// The first bytes are not a BitTorrent handshake.
    NotBitTorrent,
    /// A handshake for a torrent that we do not have (incoming), or another one than we dialled for.
    WrongInfoHash,
    /// A message longer than any that is allowed.
    MessageTooLong,
    /// A message of fixed size that has another one.
    WrongMessageLength,
    /// `bitfield`, `have all` or `have none` after the first message that takes pieces back.
    LateBitfield,
    /// A bitfield of the wrong length or with spare bits set.
    BadBitfield,
    /// A fast-extension message without the extension agreed on.
    FastNotAgreed,
    /// An extended message without the extension protocol agreed on.
    ExtensionNotAgreed,
    /// A piece number that the torrent does not have.
    PieceOutOfRange,
    /// More requests that are wrong (outside a piece, too long, not ours) than patience allows.
    BadRequests,
    /// More blocks than patience allows that were never asked for.
    UnrequestedBlocks,
    /// More messages of no effect than patience allows.
    Flood,
    /// An extended handshake that is not a bencoded dictionary.
    BadExtendedHandshake,
    /// Data that failed the piece's hash, and nobody else could have sent it.
    CorruptData,
    /// It gave or named an info dictionary that cannot be the right one, and nobody else could have.
    BadMetadata,
    /// A message of peer exchange that is not a bencoded dictionary.
    BadPex,
    /// More messages of peer exchange, or more contacts in one, than patience allows.
    PexFlood,
}

impl fmt::Display for PeerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PeerFault::NotBitTorrent => "not a BitTorrent handshake",
            PeerFault::WrongInfoHash => "handshake for another torrent",
            PeerFault::MessageTooLong => "message too long",
            PeerFault::WrongMessageLength => "message of a wrong length",
            PeerFault::LateBitfield => "a second bitfield without pieces that it had before",
            PeerFault::BadBitfield => "bitfield of the wrong length or with spare bits set",
            PeerFault::FastNotAgreed => "fast-extension message without the extension",
            PeerFault::ExtensionNotAgreed => "extended message without the extension protocol",
            PeerFault::PieceOutOfRange => "piece number out of range",
            PeerFault::BadRequests => "too many bad requests",
            PeerFault::UnrequestedBlocks => "too many blocks that were not requested",
            PeerFault::Flood => "too many messages of no effect",
            PeerFault::BadExtendedHandshake => "malformed extended handshake",
            PeerFault::CorruptData => "sent corrupt data",
            PeerFault::BadMetadata => "lied about the info dictionary",
            PeerFault::BadPex => "malformed peer exchange",
            PeerFault::PexFlood => "too much peer exchange",
        })
    }
}

/// Why a peer connection ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseReason {
    /// The peer broke a rule.
    Fault(PeerFault),
    /// The peer closed the stream.
    ClosedByPeer,
    /// The stream broke.
    Broken(IoFault),
    /// The dial failed.
    DialFailed(IoFault),
    /// No whole handshake in time.
    HandshakeTimeout,
    /// Nothing came for too long.
    Idle,
    /// What we send is not read.
    NotReading,
    /// The other end is ourselves.
    ToSelf,
    /// There is a connection to this peer already.
    Duplicate,
    /// Both sides have everything they want: nothing to exchange.
    BothSeeds,
    /// Neither side was interested for too long, and the place is needed.
    Useless,
    /// Connection limits are reached.
    LimitReached,
    /// The address is banned.
    Banned,
    /// The address is on the list of blocked ones.
    Filtered,
    /// The torrent was stopped or removed, or the session is shutting down.
    Stopped,
    /// The torrent was paused, or is busy with its files: it will be back.
    Paused,
    /// The torrent is private and has gone over to another tracker (BEP 27).
    TrackerSwitched,
    /// The peer wanted something, could have asked for it, and did not for too long.
    NoRequests,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Fault(fault) => write!(f, "peer's fault: {fault}"),
            CloseReason::ClosedByPeer => f.write_str("closed by the peer"),
            CloseReason::Broken(fault) => write!(f, "connection broke: {fault}"),
            CloseReason::DialFailed(fault) => write!(f, "could not connect: {fault}"),
            CloseReason::HandshakeTimeout => f.write_str("no handshake in time"),
            CloseReason::Idle => f.write_str("silent for too long"),
            CloseReason::NotReading => f.write_str("does not read what we send"),
            CloseReason::ToSelf => f.write_str("connected to ourselves"),
            CloseReason::Duplicate => f.write_str("connected twice"),
            CloseReason::BothSeeds => f.write_str("nothing to exchange"),
            CloseReason::Useless => f.write_str("no interest on either side"),
            CloseReason::LimitReached => f.write_str("connection limit reached"),
            CloseReason::Banned => f.write_str("banned"),
            CloseReason::Filtered => f.write_str("on the list of blocked addresses"),
            CloseReason::Stopped => f.write_str("stopped"),
            CloseReason::Paused => f.write_str("paused"),
            CloseReason::NoRequests => f.write_str("asked for nothing though it could"),
            CloseReason::TrackerSwitched => f.write_str("the private torrent has another tracker now"),
        }
    }
}
