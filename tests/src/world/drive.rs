//! What a driver does: calls a session, and carries out what it orders.

use super::queue::Happening;
use super::{Host, LogEntry, NodeId, TRACKER, World};
use bytes::Bytes;
use parcacik_core::border::{
    Action, Event, HttpRequest, HttpResponse, IoFault, JobId, JobResult, Notice, SocketKind, Target, Work,
};
use std::net::SocketAddr;
use std::time::Duration;

impl World {
    /// Calls a session and does what it orders.
    pub(super) fn tell(&mut self, node: NodeId, event: Event) {
        let at = &mut self.nodes[node.0];
        if !at.alive {
            return;
        }
        if at.clock.is_asleep() {
            return at.clock.missed.push_back(event);
        }
        let now = at.clock.reads(self.now);
        self.events += 1;
        let mut out = std::mem::take(&mut self.actions);
        out.clear();
        let watched = !self.watchers.is_empty();
        if watched {
            self.watch_before(node, now, &event);
        }
        let at = &mut self.nodes[node.0];
        let kept = (watched || at.log.is_some()).then(|| event.clone());
        let bytes = if let Event::Received { bytes, .. } = &event { bytes.len() as u64 } else { 0 };
        at.session.handle(now, event, &mut out);
        at.counts.events += 1;
        at.counts.received += bytes;
        at.counts.actions += out.list.len() as u64;
        at.counts.most_actions = at.counts.most_actions.max(out.list.len());
        at.counts.actions_on_bytes += if bytes > 0 { out.list.len() as u64 } else { 0 };
        if let (Some(log), Some(event)) = (&mut at.log, &kept) {
            log.push(LogEntry {
                now,
                event: event.clone(),
                actions: out.list.clone(),
                notices: out.notices.clone(),
                opaque: out.opaque.clone(),
            });
        }
        for notice in &out.notices {
            if let Notice::Added { torrent, hashes, .. } = notice {
                at.torrents.insert(hashes.best(), *torrent);
            }
        }
        if let (true, Some(event)) = (watched, &kept) {
            self.watch_after(node, now, event, &out);
        }
        let at = &mut self.nodes[node.0];
        at.notices.append(&mut out.notices);
        let deadline = at.session.deadline();
        self.set_timer(node, deadline);
        for action in out.list.drain(..) {
            if let Some(left) = &mut self.nodes[node.0].crash_in {
                if *left == 0 {
                    self.crash(node);
                    break;
                }
                *left -= 1;
            }
            self.act(node, action);
        }
        self.actions = out;
    }

    pub(super) fn act(&mut self, node: NodeId, action: Action) {
        let soon = self.now;
        match action {
            Action::Bind { sock, kind, addr, .. } => {
                let at = &mut self.nodes[node.0];
                match kind {
                    SocketKind::TcpListener => at.sockets.insert(sock, addr),
                    SocketKind::Udp => at.udp.insert(sock, addr),
                    SocketKind::Multicast { group } => at.members.insert(sock, SocketAddr::new(group, addr.port())),
                };
                self.schedule(soon, Happening::Tell(node, Event::Bound { sock, local: addr }));
            }
            Action::Unbind { sock } => {
                self.nodes[node.0].sockets.remove(&sock);
                self.nodes[node.0].udp.remove(&sock);
                self.nodes[node.0].members.remove(&sock);
            }
            Action::Dial { dial, to, .. } => {
                let Target::Addr(to) = to else {
                    let event = Event::DialFailed { dial, fault: IoFault::NotFound };
                    return self.schedule(soon, Happening::Tell(node, event));
                };
                self.dial(node, dial, to);
            }
            Action::CancelDial { .. } => {}
            Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => self.send(node, tcp, bytes),
            Action::Grant { tcp, bytes } => {
                if let Some(stream) = self.nodes[node.0].streams.get_mut(&tcp) {
                    stream.credit += u64::from(bytes);
                    self.schedule(soon, Happening::Credit { node, tcp });
                }
            }
            Action::Close { tcp, flush } => self.close(node, tcp, flush),
            Action::SendDatagrams { sock, to, segment, bytes, .. } => {
                self.send_datagrams(node, sock, to, segment, &bytes);
            }
            Action::Start { job, work } => self.start(node, job, work),
            Action::GrantJob { .. } | Action::Cancel { .. } => {}
            other => panic!("the world does not know {other:?}"),
        }
    }

    pub(super) fn start(&mut self, node: NodeId, job: JobId, work: Work) {
        let done = match self.disk_fails(node, job, &work) {
            Some(failed) => Some(failed),
            None => self.nodes[node.0].disk.begin(job, &work),
        };
        let (delay, result) = match (done, work) {
            (Some(result), _) => (self.disk_takes(node), result),
            (None, Work::Resolve { host }) => (self.limits.latency * 2, self.resolve(&host)),
            (None, Work::Http(request)) => self.http(node, &request),
            (None, other) => panic!("the world cannot do {other:?}"),
        };
        self.schedule(self.now + delay, Happening::Done(node, job, result));
    }

    fn http(&mut self, node: NodeId, request: &HttpRequest) -> (Duration, Result<JobResult, IoFault>) {
        let here = Host::Node(node);
        if !self.reaches(here, Host::Trackers) || !self.reaches(Host::Trackers, here) {
            return (request.time_limit, Err(IoFault::TimedOut));
        }
        let (delay, result) = match self.strange_http(request) {
            Some(told) => told,
            None => (self.limits.latency * 4, self.honest_http(node, request)),
        };
        let delay = delay + self.tracker_takes(node);
        if delay > request.time_limit { (request.time_limit, Err(IoFault::TimedOut)) } else { (delay, result) }
    }

    fn honest_http(&mut self, node: NodeId, request: &HttpRequest) -> Result<JobResult, IoFault> {
        if request.to != TRACKER || !self.tracker_up {
            return Err(IoFault::Refused);
        }
        let answer = self.tracker.http(self.now, self.web_address(node), request.path.as_bytes());
        Ok(JobResult::Http(HttpResponse {
            status: answer.status,
            location: None,
            retry_after: None,
            body: Bytes::from(answer.body),
        }))
    }
}
