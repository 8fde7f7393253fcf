//! What is going to happen, in its order.

use super::{LinkId, NodeId, StrangerId};
use bytes::Bytes;
use parcacik_core::border::{DialId, Event, IoFault, JobId, JobResult, TcpId};
use parcacik_core::time::Time;
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) enum Happening {
    Tell(NodeId, Event),
    /// Work is done: its effects are certain now.
    Done(NodeId, JobId, Result<JobResult, IoFault>),
    /// Bytes have come over the node's own line, after they came over the network.
    Enter {
        node: NodeId,
        tcp: TcpId,
        bytes: Bytes,
    },
    Arrive {
        node: NodeId,
        tcp: TcpId,
        bytes: Bytes,
    },
    Left {
        node: NodeId,
        tcp: TcpId,
        bytes: u64,
    },
    End {
        node: NodeId,
        tcp: TcpId,
    },
    Reset {
        node: NodeId,
        tcp: TcpId,
    },
    Wake {
        who: StrangerId,
        token: u64,
    },
    LinkArrives {
        who: StrangerId,
        link: LinkId,
        bytes: Bytes,
    },
    LinkEnds {
        who: StrangerId,
        link: LinkId,
    },
    LinkDials {
        who: StrangerId,
        link: LinkId,
        to: SocketAddr,
    },
    Credit {
        node: NodeId,
        tcp: TcpId,
    },
    Pump(NodeId),
    Drain(NodeId),
    Tick(NodeId, Time),
    Listened {
        node: NodeId,
        dial: DialId,
        to: SocketAddr,
        from_port: u16,
    },
}

#[derive(Debug)]
pub(super) struct Scheduled(pub Time, pub u64, pub Happening);

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}
