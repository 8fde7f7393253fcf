//! What a driver tells the core.

use super::{Command, CommandId, DialId, IoFault, JobId, JobResult, SocketId, TcpId};
use bytes::Bytes;
use core::net::SocketAddr;

/// Something that happened outside. The only way into a machine.
///
/// The list of `(now, event)`, with the config and the seeds, is the complete recording of a session.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The moment that [`deadline`](crate::session::Session::deadline) named has come.
    Tick,
    /// The date, where a protocol needs it: seconds since 1970-01-01 UTC. Sent at the start and after jumps.
    WallClock {
        /// Seconds since 1970-01-01 UTC.
        unix_seconds: i64,
    },
    /// Addresses or interfaces of this machine have changed. Memberships of multicast groups follow only by a new `Bind`.
    InterfacesChanged,
    /// Answers [`Action::Bind`](super::Action::Bind): the socket is open.
    Bound {
        /// The socket.
        sock: SocketId,
        /// The address it has, the port chosen by the system when 0 was asked for.
        local: SocketAddr,
    },
    /// Answers [`Action::Bind`](super::Action::Bind): the socket is not open.
    BindFailed {
        /// The socket that was asked for.
        sock: SocketId,
        /// Why.
        fault: IoFault,
    },
    /// A stream came in on a listening socket.
    Accepted {
        /// The listening socket.
        sock: SocketId,
        /// The new stream.
        tcp: TcpId,
        /// Our end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
    /// A dial succeeded.
    Connected {
        /// The dial.
        dial: DialId,
        /// The new stream.
        tcp: TcpId,
        /// Our end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
    /// A dial failed, or was cancelled.
    DialFailed {
        /// The dial.
        dial: DialId,
        /// Why.
        fault: IoFault,
    },
    /// Bytes came in on a stream, within the credit that [`Action::Grant`](super::Action::Grant) gave.
    Received {
        /// The stream.
        tcp: TcpId,
        /// At least one byte.
        bytes: Bytes,
    },
    /// So many bytes of what was given to [`Action::Send`](super::Action::Send) have left for the operating system.
    Flushed {
        /// The stream.
        tcp: TcpId,
        /// How many, since the last such event.
        bytes: u64,
    },
    /// A stream is gone. The last event for it. Not sent for a stream that [`Action::Close`](super::Action::Close) ended.
    Closed {
        /// The stream.
        tcp: TcpId,
        /// Why it broke; `None` when the other side ended it in order.
        fault: Option<IoFault>,
    },
    /// Datagrams came in: one buffer of one or many, all of `segment` bytes but the last, which may be shorter.
    Datagrams {
        /// The socket.
        sock: SocketId,
        /// Who sent them.
        from: SocketAddr,
        /// The length of each datagram but the last, in bytes.
        segment: u16,
        /// The datagrams, end to end.
        bytes: Bytes,
    },
    /// A part of a job's result, where results are long; within the credit of
    /// [`Action::GrantJob`](super::Action::GrantJob).
    JobData {
        /// The job.
        job: JobId,
        /// The part.
        bytes: Bytes,
    },
    /// The end of a job: exactly one for each [`Action::Start`](super::Action::Start), also when it was cancelled.
    JobDone {
        /// The job.
        job: JobId,
        /// How it went.
        result: Result<JobResult, IoFault>,
    },
    /// The application wants something.
    Command {
        /// The application's name for it; answers carry it.
        id: CommandId,
        /// What it wants.
        command: Command,
    },
}

impl Clone for Event {
    /// Every event that is recorded is copied. The events of block traffic come first and are copied field by field: through the whole of a [`JobResult`] it takes ten times
    /// as long. What calls something is apart, for the others to have nothing to save.
    #[inline]
    fn clone(&self) -> Event {
        match self {
            Event::JobDone { job, result: Ok(JobResult::Done) } => {
                Event::JobDone { job: *job, result: Ok(JobResult::Done) }
            }
            Event::Flushed { tcp, bytes } => Event::Flushed { tcp: *tcp, bytes: *bytes },
            Event::Received { tcp, bytes } => clone_received(*tcp, bytes),
            other => other.clone_any(),
        }
    }
}

#[inline(never)]
fn clone_received(tcp: TcpId, bytes: &Bytes) -> Event {
    Event::Received { tcp, bytes: bytes.clone() }
}

impl Event {
    #[inline(never)]
    fn clone_any(&self) -> Event {
        match self {
            Event::Tick => Event::Tick,
            Event::WallClock { unix_seconds } => Event::WallClock { unix_seconds: *unix_seconds },
            Event::InterfacesChanged => Event::InterfacesChanged,
            Event::Bound { sock, local } => Event::Bound { sock: *sock, local: *local },
            Event::BindFailed { sock, fault } => Event::BindFailed { sock: *sock, fault: *fault },
            Event::Accepted { sock, tcp, local, remote } => {
                Event::Accepted { sock: *sock, tcp: *tcp, local: *local, remote: *remote }
            }
            Event::Connected { dial, tcp, local, remote } => {
                Event::Connected { dial: *dial, tcp: *tcp, local: *local, remote: *remote }
            }
            Event::DialFailed { dial, fault } => Event::DialFailed { dial: *dial, fault: *fault },
            Event::Received { tcp, bytes } => Event::Received { tcp: *tcp, bytes: bytes.clone() },
            Event::Flushed { tcp, bytes } => Event::Flushed { tcp: *tcp, bytes: *bytes },
            Event::Closed { tcp, fault } => Event::Closed { tcp: *tcp, fault: *fault },
            Event::Datagrams { sock, from, segment, bytes } => {
                Event::Datagrams { sock: *sock, from: *from, segment: *segment, bytes: bytes.clone() }
            }
            Event::JobData { job, bytes } => Event::JobData { job: *job, bytes: bytes.clone() },
            Event::JobDone { job, result } => Event::JobDone { job: *job, result: result.clone() },
            Event::Command { id, command } => Event::Command { id: *id, command: command.clone() },
        }
    }
}
