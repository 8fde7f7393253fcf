//! Streams: dials, bandwidth, latency, windows, credit, and how they end.
//!
//! What a session sends goes into its node's uplink, which serves its streams in turn (`turns.rs`), as its downlink does. A stream whose other side does not read
//! holds up nothing but itself: once its window is full, what follows waits in its own [`Pipe`]. Streams keep their order
//! whatever the network does; a lost packet delays everything behind it. Cuts hold up what is about to arrive
//! (`topology.rs`).

use super::queue::Happening;
use super::{End, Host, Moment, NodeId, Parcel, Party, Pipe, Split, Stream_, World};
use crate::second::Audit;
use crate::seed::Draws;
use bytes::{Bytes, BytesMut};
use parcacik_core::border::{DialId, Event, IoFault, TcpId};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a driver waits for an answer to a dial.
const DIAL_LIMIT: Duration = Duration::from_secs(10);

impl World {
    pub(super) fn dial(&mut self, node: NodeId, dial: DialId, to: SocketAddr) {
        let now = self.now;
        self.nodes[node.0].counts.dials.entry(to).or_default().push(now);
        let from_port = 20_000 + (self.seq % 40_000) as u16;
        let faults = self.faults;
        let latency = self.limits.latency + self.nodes[node.0].line.latency;
        let rng = &mut self.nodes[node.0].net_rng;
        let when = now + faults.travel(latency * 2, rng) + faults.resent(1, latency, rng);
        let (refused, lost) = (rng.happens(faults.refuse), rng.happens(faults.blackhole));
        if refused {
            let event = Event::DialFailed { dial, fault: IoFault::Refused };
            self.schedule(when, Happening::Tell(node, event));
        } else if lost {
            self.no_answer(node, dial);
        } else {
            self.schedule(when, Happening::Listened { node, dial, to, from_port });
        }
    }

    fn no_answer(&mut self, node: NodeId, dial: DialId) {
        let event = Event::DialFailed { dial, fault: IoFault::TimedOut };
        self.schedule(self.now + DIAL_LIMIT, Happening::Tell(node, event));
    }

    /// Who listens at an address, or would if it had a session.
    fn host_at(&self, to: SocketAddr) -> Option<NodeId> {
        self.nodes.iter().position(|node| IpAddr::V4(node.ip) == to.ip()).map(NodeId)
    }

    pub(super) fn answer_dial(&mut self, node: NodeId, dial: DialId, to: SocketAddr, from_port: u16) {
        let here = Host::Node(node);
        let both = |world: &World, there| world.reaches(here, there) && world.reaches(there, here);
        let Some(other) = self.host_at(to) else {
            if let Some(who) = self.stranger_at(to)
                && !both(self, Host::Stranger(who))
            {
                return self.no_answer(node, dial);
            }
            if self.meet_stranger(node, dial, to, from_port) {
                return;
            }
            return self.tell(node, Event::DialFailed { dial, fault: IoFault::Refused });
        };
        let nat = self.nodes[other.0].nat;
        if !both(self, Host::Node(other)) || nat.is_some_and(|nat| !nat.refuses && other != node) {
            return self.no_answer(node, dial);
        }
        let listens = self.nodes[other.0].sockets.iter().find(|&(_, &addr)| addr == to).map(|(&sock, _)| sock);
        let Some(sock) = listens.filter(|_| self.nodes[other.0].alive && nat.is_none()) else {
            return self.tell(node, Event::DialFailed { dial, fault: IoFault::Refused });
        };
        let (near, far) = (self.new_tcp(node), self.new_tcp(other));
        let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), from_port);
        self.open(node, near, End::Node(other, far));
        self.open(other, far, End::Node(node, near));
        self.schedule(self.now, Happening::Tell(other, Event::Accepted { sock, tcp: far, local: to, remote: from }));
        self.tell(node, Event::Connected { dial, tcp: near, local: from, remote: to });
    }

    /// Puts a stream in.
    pub(super) fn open(&mut self, node: NodeId, tcp: TcpId, other: End) {
        let audit = self.audit.then(|| Box::new(Audit::new(self.now, self.terms.clone())));
        let name = match other {
            End::Node(to, far) => format!("net/link/{}-{}/{}-{}", node.0, to.0, tcp.0, far.0),
            End::Stranger(who, link) => format!("net/stranger/{}-{}/{}-{}", node.0, who.0, tcp.0, link.0),
        };
        let mut rng = self.seed.rng(&name);
        let pipe = Pipe {
            other,
            stalled: VecDeque::new(),
            window: 0,
            sent: 0,
            doom: self.faults.doom(&mut rng),
            silent: false,
            deaf: false,
            arrives: self.now,
            used: self.now,
            rng,
        };
        let stream = Stream_ { other, credit: 0, inbox: VecDeque::new(), closing: false, audit };
        self.nodes[node.0].streams.insert(tcp, stream);
        self.nodes[node.0].pipes.insert(tcp, pipe);
    }

    pub(super) fn new_tcp(&mut self, node: NodeId) -> TcpId {
        let at = &mut self.nodes[node.0];
        at.next_tcp += 1;
        TcpId(at.next_tcp)
    }

    pub(super) fn send(&mut self, node: NodeId, tcp: TcpId, bytes: Bytes) {
        let at = &mut self.nodes[node.0];
        let Some(stream) = at.streams.get_mut(&tcp) else { return };
        if let Some(audit) = &mut stream.audit {
            audit.check_data = !at.disk.damaged;
            let now = at.clock.reads(self.now);
            if let Err(wrong) = audit.said(now, at.counts.events, &bytes) {
                panic!("{:?}: node {}, stream {}, says what it may not: {wrong}", self.now, node.0, tcp.0);
            }
        }
        if let End::Node(other, _) = stream.other {
            self.traffic.sent(node, other, bytes.len() as u64);
        }
        at.uplink.push_back(tcp, Parcel::Bytes { tcp, bytes });
        self.pump(node);
    }

    /// Lets the uplink of a node go on.
    pub(super) fn pump(&mut self, node: NodeId) {
        while self.nodes[node.0].uplink_free <= self.now
            && let Some((_, parcel)) = self.nodes[node.0].uplink.pop()
        {
            self.transmit(node, parcel);
        }
    }

    fn transmit(&mut self, node: NodeId, parcel: Parcel) {
        let tcp = parcel.tcp();
        let room = self.limits.window;
        let line = self.nodes[node.0].line;
        let Some(pipe) = self.nodes[node.0].pipes.get_mut(&tcp) else { return };
        if !pipe.stalled.is_empty() || (pipe.window >= room && matches!(parcel, Parcel::Bytes { .. })) {
            return pipe.stalled.push_back(parcel);
        }
        let other = pipe.other;
        match parcel {
            Parcel::Bytes { bytes, .. } => self.transmit_bytes(node, tcp, other, bytes),
            Parcel::End { .. } => {
                let when = pipe.arrives.max(self.now + self.limits.latency + line.latency);
                let silent = pipe.silent;
                self.nodes[node.0].pipes.remove(&tcp);
                match other {
                    _ if silent => {}
                    End::Node(other, far) => self.schedule(when, Happening::End { node: other, tcp: far }),
                    End::Stranger(who, link) => self.schedule(when, Happening::LinkEnds { who, link }),
                }
            }
        }
    }

    fn transmit_bytes(&mut self, node: NodeId, tcp: TcpId, other: End, mut bytes: Bytes) {
        if self.forgotten(node, tcp) {
            return;
        }
        let gone = match other {
            End::Node(other, far) => !self.nodes[other.0].streams.contains_key(&far),
            End::Stranger(who, link) => !self.has_link(who, link),
        };
        let latency = self.limits.latency + self.nodes[node.0].line.latency;
        let there = other.host();
        let Some(pipe) = self.nodes[node.0].pipes.get_mut(&tcp) else { return };
        if gone && pipe.deaf {
            // Whoever it was for has hung up in order, and that is on its way: the system drops it.
            return;
        }
        if gone && !matches!(other, End::Node(other, _) if !self.nodes[other.0].alive) {
            // There is a computer, and it knows nothing of the stream.
            if matches!(other, End::Node(..)) && self.reaches(Host::Node(node), there) {
                self.schedule(self.now + latency * 2, Happening::Reset { node, tcp });
            }
            return;
        }
        let Some(pipe) = self.nodes[node.0].pipes.get_mut(&tcp) else { return };
        let doomed = pipe.doom.filter(|doom| pipe.sent + bytes.len() as u64 >= doom.after);
        if let Some(doom) = doomed {
            bytes.truncate((doom.after - pipe.sent) as usize);
        }
        pipe.sent += bytes.len() as u64;
        pipe.used = self.now;
        let count = match other {
            End::Stranger(who, link) => self.link_takes(who, link, bytes.len() as u64),
            End::Node(..) => bytes.len() as u64,
        };
        let at = &mut self.nodes[node.0];
        let span = Duration::from_micros(count.saturating_mul(1_000_000) / at.line.upload.max(1));
        let left = self.now + span;
        at.uplink_free = left;
        let Some(mut pipe) = at.pipes.remove(&tcp) else { return };
        self.took(node, tcp, count, left, &mut pipe);
        self.schedule(left, Happening::Pump(node));
        let mut when = left + self.faults.travel(latency, &mut pipe.rng);
        if self.faults.loss > 0 {
            when = when + self.faults.resent(bytes.len(), latency, &mut pipe.rng);
        }
        pipe.arrives = pipe.arrives.max(when);
        let when = pipe.arrives;
        if let End::Node(..) = other {
            pipe.window += bytes.len() as u64;
        }
        let silent = pipe.silent;
        self.nodes[node.0].pipes.insert(tcp, pipe);
        match other {
            _ if silent || bytes.is_empty() => {}
            End::Node(other, far) => self.schedule(when, Happening::Arrive { node: other, tcp: far, bytes }),
            End::Stranger(who, link) => self.schedule(when, Happening::LinkArrives { who, link, bytes }),
        }
        match doomed {
            Some(doom) if doom.reset => {
                match other {
                    End::Node(other, far) => self.schedule(when, Happening::Reset { node: other, tcp: far }),
                    End::Stranger(who, link) => self.schedule(when, Happening::LinkEnds { who, link }),
                }
                self.schedule(when + latency, Happening::Reset { node, tcp });
            }
            Some(_) => self.silence(node, tcp),
            None => {}
        }
    }

    /// Tells how the system took what was sent: at once, or a little at first.
    fn took(&mut self, node: NodeId, tcp: TcpId, count: u64, left: parcacik_core::time::Time, pipe: &mut Pipe) {
        let mut rest = count;
        if self.faults.short_writes > 0 {
            for _ in 0..3 {
                let bytes = pipe.rng.range(1, self.faults.short_writes).min(rest);
                if bytes == rest {
                    break;
                }
                rest -= bytes;
                self.schedule(left, Happening::Left { node, tcp, bytes });
            }
        }
        if rest > 0 {
            self.schedule(left, Happening::Left { node, tcp, bytes: rest });
        }
    }

    /// From now on, nothing gets through a stream, either way, and nobody is told.
    pub(super) fn silence(&mut self, node: NodeId, tcp: TcpId) {
        let Some(pipe) = self.nodes[node.0].pipes.get_mut(&tcp) else { return };
        pipe.silent = true;
        match pipe.other {
            End::Node(other, far) => {
                if let Some(pipe) = self.nodes[other.0].pipes.get_mut(&far) {
                    pipe.silent = true;
                }
            }
            End::Stranger(who, link) => self.silence_link(who, link),
        }
    }

    /// Whether a translator of addresses has forgotten the stream. Then whoever is behind it is told so, and nobody else.
    fn forgotten(&mut self, node: NodeId, tcp: TcpId) -> bool {
        let at = &self.nodes[node.0];
        let Some(&Pipe { other: End::Node(other, far), used, .. }) = at.pipes.get(&tcp) else { return false };
        let there = &self.nodes[other.0];
        let idle = self.now.since(there.pipes.get(&far).map_or(used, |pipe| pipe.used.max(used)));
        let forgot = |nat: Option<super::Nat>| nat.is_some_and(|nat| idle > nat.forgets);
        let (near, far_nat) = (forgot(at.nat), forgot(there.nat));
        if near {
            self.silence(node, tcp);
            self.schedule(self.now + self.limits.latency * 2, Happening::Reset { node, tcp });
        } else if far_nat {
            self.silence(node, tcp);
        }
        near
    }

    /// Bytes have come over the network.
    pub(super) fn arrive(&mut self, node: NodeId, tcp: TcpId, bytes: Bytes) {
        let at = &mut self.nodes[node.0];
        if at.line.download == 0 {
            return self.enter(node, tcp, bytes);
        }
        at.downlink.push_back(tcp, bytes);
        self.drain(node);
    }

    /// Lets the downlink of a node go on.
    pub(super) fn drain(&mut self, node: NodeId) {
        loop {
            let at = &mut self.nodes[node.0];
            if at.downlink_free > self.now {
                return;
            }
            let Some((tcp, bytes)) = at.downlink.pop() else { return };
            if !at.streams.contains_key(&tcp) {
                continue;
            }
            let micros = (bytes.len() as u64).saturating_mul(1_000_000) / at.line.download.max(1);
            let span = Duration::from_micros(micros.max(1));
            let when = self.now + span;
            (at.downlink_free, at.entering) = (when, Some(tcp));
            self.schedule(when, Happening::Enter { node, tcp, bytes });
            self.schedule(when, Happening::Drain(node));
        }
    }

    /// Bytes are there, to be read.
    pub(super) fn enter(&mut self, node: NodeId, tcp: TcpId, bytes: Bytes) {
        let at = &mut self.nodes[node.0];
        if at.entering == Some(tcp) {
            at.entering = None;
        }
        let Some(stream) = at.streams.get_mut(&tcp) else { return };
        let from = stream.other.party();
        stream.inbox.push_back(bytes.clone());
        self.moment(&Moment::Arrived { from, to: Party::Node(node, tcp), bytes: &bytes });
        let lazy = self.faults.lazy_reads.as_micros() as u64;
        if lazy == 0 {
            return self.deliver(node, tcp);
        }
        let wait = Duration::from_micros(self.nodes[node.0].net_rng.below(lazy));
        self.schedule(self.now + wait, Happening::Credit { node, tcp });
    }

    /// Hands over what has arrived, within credit; then the end, if it has come.
    pub(super) fn deliver(&mut self, node: NodeId, tcp: TcpId) {
        loop {
            let at = &mut self.nodes[node.0];
            if at.clock.is_asleep() {
                return;
            }
            let split = match self.limits.split {
                Split::Whole => usize::MAX,
                Split::AtMost(most) => most,
                Split::Random(most) => 1 + at.net_rng.index(most),
            };
            let Some(stream) = at.streams.get_mut(&tcp) else { return };
            let room = usize::try_from(stream.credit).unwrap_or(usize::MAX).min(split).min(256 * 1024);
            if stream.inbox.is_empty() {
                // What is still under way over the node's own line comes before the end.
                if stream.closing && at.entering != Some(tcp) && !at.downlink.has(tcp) {
                    at.streams.remove(&tcp);
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
            let other = stream.other;
            let event = at.counts.events + 1;
            if let Some(audit) = &mut stream.audit {
                audit.heard(at.clock.reads(self.now), event, &chunk);
            }
            if let End::Node(from, theirs) = other {
                self.traffic.read(from, node, chunk.len() as u64);
                self.window_opens(from, theirs, chunk.len() as u64);
            }
            self.tell(node, Event::Received { tcp, bytes: chunk.freeze() });
        }
    }

    /// So much of what was sent has been read: what waited for that can go.
    fn window_opens(&mut self, node: NodeId, tcp: TcpId, bytes: u64) {
        let room = self.limits.window;
        let at = &mut self.nodes[node.0];
        let Some(pipe) = at.pipes.get_mut(&tcp) else { return };
        pipe.window = pipe.window.saturating_sub(bytes);
        if pipe.window < room && !pipe.stalled.is_empty() {
            let waiting = std::mem::take(&mut pipe.stalled);
            // They were handed over before anything that waits for the uplink now.
            waiting.into_iter().rev().for_each(|parcel| at.uplink.push_front(tcp, parcel));
            let when = at.uplink_free.max(self.now);
            self.schedule(when, Happening::Pump(node));
        }
    }

    pub(super) fn close(&mut self, node: NodeId, tcp: TcpId, flush: bool) {
        let Some(stream) = self.nodes[node.0].streams.remove(&tcp) else { return };
        if let End::Node(other, far) = stream.other {
            let unread: u64 = stream.inbox.iter().map(|bytes| bytes.len() as u64).sum();
            let silent = self.nodes[node.0].pipes.get(&tcp).is_none_or(|pipe| pipe.silent);
            if let Some(pipe) = self.nodes[other.0].pipes.get_mut(&far) {
                pipe.deaf = true;
            }
            if unread > 0 && !flush && !silent {
                // A socket that is closed with bytes unread is reset, and what it has not sent is lost.
                self.nodes[node.0].pipes.remove(&tcp);
                let when = self.now + self.limits.latency + self.nodes[node.0].line.latency;
                return self.schedule(when, Happening::Reset { node: other, tcp: far });
            }
            // What was not read will not be: the other side's window is of no interest any more.
            self.window_opens(other, far, unread);
        }
        // Behind everything that is on its way.
        self.nodes[node.0].uplink.push_back(tcp, Parcel::End { tcp });
        self.pump(node);
    }

    /// A stream breaks, as by a reset.
    pub(super) fn break_stream(&mut self, node: NodeId, tcp: TcpId) {
        let at = &mut self.nodes[node.0];
        at.pipes.remove(&tcp);
        if at.streams.remove(&tcp).is_some() {
            self.tell(node, Event::Closed { tcp, fault: Some(IoFault::Reset) });
        }
    }

    /// Gives a node another address. Its streams fall silent, its sockets go with it, and its session is told that something has
    /// changed.
    pub fn change_address(&mut self, node: NodeId) {
        let number = self.nodes.iter().filter(|node| node.ip.octets()[1] >= 20).count();
        let at = &mut self.nodes[node.0];
        let [a, b, c, d] = at.ip.octets();
        at.ip = [a, 20 + (b + number as u8) % 40, c, d].into();
        let ip = IpAddr::V4(at.ip);
        at.sockets.values_mut().chain(at.udp.values_mut()).for_each(|addr| addr.set_ip(ip));
        for tcp in at.streams.keys().copied().collect::<Vec<_>>() {
            self.silence(node, tcp);
        }
        self.tell(node, Event::InterfacesChanged);
    }

    /// The node and the stream from which something comes that is about to arrive.
    pub(super) fn sender_of(&self, what: &Happening) -> Option<(NodeId, TcpId)> {
        match what {
            Happening::Arrive { node, tcp, .. } | Happening::End { node, tcp } => {
                match self.nodes[node.0].streams.get(tcp)?.other {
                    End::Node(from, theirs) => Some((from, theirs)),
                    End::Stranger(..) => None,
                }
            }
            Happening::LinkArrives { who, link, .. } | Happening::LinkEnds { who, link } => {
                self.link_stream(*who, *link)
            }
            _ => None,
        }
    }
}
