//! What the core tells a driver.

use super::{DialId, JobId, Notice, SocketId, TcpId, TorrentId, Work};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

/// Something that the driver is to do. Done in the order of the list.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a socket; answered by `Bound` or `BindFailed`.
    Bind {
        /// The name that the application gave it.
        sock: SocketId,
        /// Listening TCP, UDP, or UDP in a multicast group.
        kind: SocketKind,
        /// The address; port 0 lets the system choose. Of a multicast socket: the port is that of the group, shared with whoever else is
        /// in it, and the address is that of the interface to join it on, or unspecified for all that can.
        addr: SocketAddr,
        /// The network device to bind to, where one was asked for.
        device: Option<String>,
    },
    /// Close a socket. Streams that came in by it live on.
    Unbind {
        /// The socket.
        sock: SocketId,
    },
    /// Open a stream; answered by `Connected` or `DialFailed`.
    Dial {
        /// The dial.
        dial: DialId,
        /// Whom.
        to: Target,
        /// The socket whose address is to be the source; the system's choice when `None`.
        from: Option<SocketId>,
        /// Straight, or by a proxy.
        via: Route,
    },
    /// Give up a dial. It still answers: `DialFailed` with [`IoFault::Cancelled`](super::IoFault::Cancelled), or `Connected` when it was too late.
    CancelDial {
        /// The dial.
        dial: DialId,
    },
    /// Append to a stream's queue. Answered by `Flushed` as it leaves.
    Send {
        /// The stream.
        tcp: TcpId,
        /// Whole messages or parts of them, never empty.
        bytes: Bytes,
    },
    /// Append bytes of a torrent's content to a stream's queue. Like `Send`, but what is sent is known by its place, so
    /// recordings and digests do not hold it.
    SendContent {
        /// The stream.
        tcp: TcpId,
        /// The torrent.
        torrent: TorrentId,
        /// The piece.
        piece: u32,
        /// Where in the piece, in bytes.
        begin: u32,
        /// The content, never empty.
        bytes: Bytes,
    },
    /// The driver may read so many bytes more from a stream than it was allowed before.
    Grant {
        /// The stream.
        tcp: TcpId,
        /// How many bytes more.
        bytes: u32,
    },
    /// End a stream and forget it: no event for it follows. What is queued is sent first, for a moment, if `flush`.
    Close {
        /// The stream.
        tcp: TcpId,
        /// Whether to try sending what is queued.
        flush: bool,
    },
    /// Send datagrams: one buffer of one or many, all of `segment` bytes but the last. Nothing answers; what cannot be sent is lost.
    SendDatagrams {
        /// The socket.
        sock: SocketId,
        /// To whom.
        to: SocketAddr,
        /// The length of each datagram but the last, in bytes.
        segment: u16,
        /// The datagrams, end to end.
        bytes: Bytes,
        /// Whether routers may not cut them up (MTU probes).
        dont_fragment: bool,
    },
    /// Begin work; answered by exactly one `JobDone`.
    Start {
        /// The job.
        job: JobId,
        /// What to do.
        work: Work,
    },
    /// So many bytes more of `JobData` may come.
    GrantJob {
        /// The job.
        job: JobId,
        /// How many bytes more.
        bytes: u32,
    },
    /// The job's result is not wanted any more. It still answers.
    Cancel {
        /// The job.
        job: JobId,
    },
}

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP, listening.
    TcpListener,
    /// UDP.
    Udp,
    /// UDP that is a member of a multicast group, on each interface of `Bind`'s address and device. What is sent to the group goes out on
    /// each of them, no further than the link (TTL 1), and comes back to this machine too; what comes in from the group is told
    /// like other datagrams.
    Multicast {
        /// The group.
        group: IpAddr,
    },
}

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address.
    Addr(SocketAddr),
    /// A name, looked up by whoever makes the connection (a proxy, say).
    Host {
        /// The name.
        name: String,
        /// The port.
        port: u16,
    },
}

/// The way a dial goes.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Straight to the target.
    Direct,
}

/// What one event led to. Owned and reused by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// What to do, in order.
    pub list: Vec<Action>,
    /// What the application may want to know, in order.
    pub notices: Vec<Notice>,
    /// The ranges of the event's bytes that were taken as content of a torrent. The core did not look at them: with
    /// other bytes there, `list` and `notices` would be the same. Rising, not overlapping.
    pub opaque: Vec<Range<u32>>,
}

impl Actions {
    /// An empty list.
    pub fn new() -> Actions {
        Actions::default()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.notices.clear();
        self.opaque.clear();
    }

    /// Whether nothing is to be done or told.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.notices.is_empty()
    }
}
