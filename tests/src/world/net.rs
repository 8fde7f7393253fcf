//! Streams between the nodes: latency, bandwidth, credit, and the end.

use super::queue::Happening;
use super::{End, NodeId, Parcel, Split, Stream_, World};
use bytes::{Bytes, BytesMut};
use parcacik_core::border::{DialId, Event, IoFault, TcpId};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl World {
    pub(super) fn answer_dial(&mut self, node: NodeId, dial: DialId, to: SocketAddr, from_port: u16) {
        let listening =
            self.nodes.iter().position(|other| other.alive && other.sockets.values().any(|&addr| addr == to));
        let Some(other) = listening.map(NodeId) else {
            if self.meet_stranger(node, dial, to, from_port) {
                return;
            }
            return self.tell(node, Event::DialFailed { dial, fault: IoFault::Refused });
        };
        let (near, far) = (self.new_tcp(node), self.new_tcp(other));
        let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), from_port);
        self.open(node, near, End::Node(other, far));
        self.open(other, far, End::Node(node, near));
        let sock = *self.nodes[other.0].sockets.keys().next().expect("it listens");
        self.schedule(self.now, Happening::Tell(other, Event::Accepted { sock, tcp: far, local: to, remote: from }));
        self.tell(node, Event::Connected { dial, tcp: near, local: from, remote: to });
    }

    /// Puts a stream in.
    pub(super) fn open(&mut self, node: NodeId, tcp: TcpId, other: End) {
        let stream = Stream_ { other, credit: 0, inbox: VecDeque::new(), closing: false };
        self.nodes[node.0].streams.insert(tcp, stream);
    }

    pub(super) fn new_tcp(&mut self, node: NodeId) -> TcpId {
        let at = &mut self.nodes[node.0];
        at.next_tcp += 1;
        TcpId(at.next_tcp)
    }

    pub(super) fn send(&mut self, node: NodeId, tcp: TcpId, bytes: Bytes) {
        let at = &mut self.nodes[node.0];
        let Some(stream) = at.streams.get_mut(&tcp) else { return };
        let other = stream.other;
        if let End::Node(other, _) = other {
            self.traffic.sent(node, other, bytes.len() as u64);
        }
        at.uplink.push_back(Parcel::Bytes { tcp, other, bytes });
        self.pump(node);
    }

    /// Lets the uplink of a node go on: one thing after the other, in the order in which they were handed over.
    pub(super) fn pump(&mut self, node: NodeId) {
        while self.nodes[node.0].uplink_free <= self.now
            && let Some(parcel) = self.nodes[node.0].uplink.pop_front()
        {
            match parcel {
                Parcel::Bytes { tcp, other, bytes } => self.transmit(node, tcp, other, bytes),
                Parcel::End { other } => {
                    let when = self.now + self.limits.latency;
                    match other {
                        End::Node(other, far) => self.schedule(when, Happening::End { node: other, tcp: far }),
                        End::Stranger(who, link) => self.schedule(when, Happening::LinkEnds { who, link }),
                    }
                }
            }
        }
    }

    fn transmit(&mut self, node: NodeId, tcp: TcpId, other: End, bytes: Bytes) {
        let count = match other {
            End::Node(other, far) if self.nodes[other.0].streams.contains_key(&far) => bytes.len() as u64,
            End::Stranger(who, link) if self.has_link(who, link) => self.link_takes(who, link, bytes.len() as u64),
            // Whoever it was for has hung up: the system drops it.
            _ => return,
        };
        let span = Duration::from_micros(count.saturating_mul(1_000_000) / self.limits.upload.max(1));
        let left = self.now + span;
        self.nodes[node.0].uplink_free = left;
        if count > 0 {
            self.schedule(left, Happening::Left { node, tcp, bytes: count });
        }
        self.schedule(left, Happening::Pump(node));
        let when = left + self.limits.latency;
        match other {
            End::Node(other, far) => self.schedule(when, Happening::Arrive { node: other, tcp: far, bytes }),
            End::Stranger(who, link) => self.schedule(when, Happening::LinkArrives { who, link, bytes }),
        }
    }

    /// Hands over what has arrived, within credit; then the end, if it has come.
    pub(super) fn deliver(&mut self, node: NodeId, tcp: TcpId) {
        loop {
            let split = match self.limits.split {
                Split::Whole => usize::MAX,
                Split::AtMost(most) => most,
                Split::Random(most) => 1 + self.rng.index(most),
            };
            let at = &mut self.nodes[node.0];
            let Some(stream) = at.streams.get_mut(&tcp) else { return };
            let room = usize::try_from(stream.credit).unwrap_or(usize::MAX).min(split).min(256 * 1024);
            if stream.inbox.is_empty() {
                if stream.closing {
                    self.nodes[node.0].streams.remove(&tcp);
                    self.tell(node, Event::Closed { tcp, fault: None });
                }
                return;
            }
            if room == 0 {
                return;
            }
            let mut chunk = BytesMut::new();
            while chunk.len() < room {
                let Some(mut next) = stream.inbox.pop_front() else { break };
                let part = next.split_to(next.len().min(room - chunk.len()));
                chunk.extend_from_slice(&part);
                if !next.is_empty() {
                    stream.inbox.push_front(next);
                }
            }
            stream.credit -= chunk.len() as u64;
            if let End::Node(from, _) = stream.other {
                self.traffic.read(from, node, chunk.len() as u64);
            }
            self.tell(node, Event::Received { tcp, bytes: chunk.freeze() });
        }
    }

    pub(super) fn close(&mut self, node: NodeId, tcp: TcpId, _flush: bool) {
        let Some(stream) = self.nodes[node.0].streams.remove(&tcp) else { return };
        // Behind everything that is on its way.
        self.nodes[node.0].uplink.push_back(Parcel::End { other: stream.other });
        self.pump(node);
    }
}
