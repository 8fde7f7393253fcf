//! Datagrams: between sessions and trackers, and from session to session. They are lost, doubled, overtaken, damaged, and dropped where
//! the sender's queue is full.

use super::queue::Happening;
use super::{Host, Moment, NodeId, TRACKER, World};
use crate::seed::Draws;
use bytes::Bytes;
use parcacik_core::border::{Event, SocketId};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl World {
    /// A session sends datagrams of `segment` bytes each; the last may be shorter.
    pub(super) fn send_datagrams(&mut self, node: NodeId, sock: SocketId, to: SocketAddr, segment: u16, bytes: &Bytes) {
        let from = self.nodes[node.0].udp.get(&sock).copied().unwrap_or_else(|| self.address(node));
        let queue = self.faults.queue;
        for start in (0..bytes.len()).step_by(usize::from(segment).max(1)) {
            let datagram = bytes.slice(start..bytes.len().min(start + usize::from(segment).max(1)));
            let at = &mut self.nodes[node.0];
            if queue > Duration::ZERO && at.uplink_free.since(self.now) > queue {
                continue;
            }
            let span = Duration::from_micros((datagram.len() as u64).saturating_mul(1_000_000) / at.line.upload.max(1));
            at.uplink_free = at.uplink_free.max(self.now) + span;
            self.schedule(self.nodes[node.0].uplink_free, Happening::Pump(node));
            for (wait, datagram) in self.fate(node, datagram) {
                self.datagram_goes(node, sock, from, to, wait, datagram);
            }
        }
    }

    /// What becomes of a datagram on its way from or to a node: how long it takes, each time that it arrives.
    fn fate(&mut self, node: NodeId, datagram: Bytes) -> Vec<(Duration, Bytes)> {
        let faults = self.faults;
        let latency = self.limits.latency + self.nodes[node.0].line.latency;
        let rng = &mut self.nodes[node.0].net_rng;
        let mut arrivals = Vec::new();
        let times = if rng.happens(faults.duplicate) { 2 } else { 1 };
        for _ in 0..times {
            if rng.happens(faults.loss) {
                continue;
            }
            let mut wait = faults.travel(latency, rng);
            if rng.happens(faults.reorder) {
                wait += latency * rng.range(1, 10) as u32;
            }
            let mut datagram = datagram.clone();
            if rng.happens(faults.corrupt) && !datagram.is_empty() {
                let mut damaged = datagram.to_vec();
                let bit = rng.index(damaged.len() * 8);
                damaged[bit / 8] ^= 1 << (bit % 8);
                datagram = damaged.into();
            }
            arrivals.push((wait, datagram));
        }
        arrivals
    }

    fn datagram_goes(
        &mut self,
        node: NodeId,
        sock: SocketId,
        from: SocketAddr,
        to: SocketAddr,
        wait: Duration,
        datagram: Bytes,
    ) {
        let here = Host::Node(node);
        if to.ip().is_multicast() {
            return self.multicast(node, to, wait, &datagram);
        }
        let other = self.nodes.iter().position(|other| other.alive && other.udp.values().any(|&addr| addr == to));
        if let Some(other) = other.map(NodeId) {
            let sock = self.nodes[other.0].udp.iter().find(|&(_, &addr)| addr == to).map(|(&sock, _)| sock);
            if let Some(sock) = sock.filter(|_| self.reaches(here, Host::Node(other))) {
                self.datagram_comes(other, sock, from, wait, datagram);
            }
            return;
        }
        if !self.reaches(here, Host::Trackers) {
            return;
        }
        self.moment(&Moment::Datagram { from, to, bytes: &datagram });
        let mut answers: Vec<(SocketAddr, u64, Vec<u8>)> = Vec::new();
        if to == TRACKER && self.tracker_up {
            answers.extend(self.tracker.udp(self.now, from, &datagram).map(|answer| (to, 0, answer)));
        }
        answers.extend(self.strange_datagram(to, &datagram));
        for (from, seconds, answer) in answers {
            if !self.reaches(Host::Trackers, here) {
                continue;
            }
            for (back, answer) in self.fate(node, answer.into()) {
                let slow = self.tracker_takes(node);
                self.datagram_comes(node, sock, from, wait + back + slow + Duration::from_secs(seconds), answer);
            }
        }
    }

    /// A datagram to a group comes to each of its members on the link, and back.
    fn multicast(&mut self, node: NodeId, group: SocketAddr, wait: Duration, datagram: &Bytes) {
        let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), group.port());
        for other in (0..self.nodes.len()).map(NodeId) {
            let at = &self.nodes[other.0];
            let member = at.members.iter().find(|&(_, &joined)| joined == group && at.alive).map(|(&sock, _)| sock);
            if let Some(sock) = member.filter(|_| self.reaches(Host::Node(node), Host::Node(other))) {
                self.datagram_comes(other, sock, from, wait, datagram.clone());
            }
        }
    }

    fn datagram_comes(&mut self, node: NodeId, sock: SocketId, from: SocketAddr, wait: Duration, datagram: Bytes) {
        let event = Event::Datagrams { sock, from, segment: datagram.len() as u16, bytes: datagram };
        self.schedule(self.now + wait, Happening::Tell(node, event));
    }

    /// How much longer than the network alone an answer of a tracker takes.
    pub(super) fn tracker_takes(&mut self, node: NodeId) -> Duration {
        let most = self.faults.tracker_slow.as_micros() as u64;
        if most == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(self.nodes[node.0].net_rng.below(most))
    }

    /// The address from which a node's requests to web servers come.
    pub(super) fn web_address(&self, node: NodeId) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), 40_000)
    }
}
