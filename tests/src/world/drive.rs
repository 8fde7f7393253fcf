//! What a driver does: calls a session, and carries out what it orders.

use super::queue::Happening;
use super::{LogEntry, Moment, NodeId, PORT, TRACKER, World};
use bytes::Bytes;
use parcacik_core::border::{
    Action, Event, HttpRequest, HttpResponse, IoFault, JobId, JobResult, Notice, SocketKind, Target, Work,
};
use std::net::{IpAddr, SocketAddr};

impl World {
    /// Calls a session and does what it orders.
    pub(super) fn tell(&mut self, node: NodeId, event: Event) {
        if !self.nodes[node.0].alive {
            return;
        }
        self.events += 1;
        let mut out = std::mem::take(&mut self.actions);
        out.clear();
        let watched = !self.watchers.is_empty();
        if watched {
            self.watch_before(node, self.now, &event);
        }
        let at = &mut self.nodes[node.0];
        let kept = (watched || at.log.is_some()).then(|| event.clone());
        let bytes = if let Event::Received { bytes, .. } = &event { bytes.len() as u64 } else { 0 };
        at.session.handle(self.now, event, &mut out);
        at.counts.events += 1;
        at.counts.received += bytes;
        at.counts.actions += out.list.len() as u64;
        at.counts.most_actions = at.counts.most_actions.max(out.list.len());
        at.counts.actions_on_bytes += if bytes > 0 { out.list.len() as u64 } else { 0 };
        if let (Some(log), Some(event)) = (&mut at.log, &kept) {
            log.push(LogEntry {
                now: self.now,
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
            self.watch_after(node, self.now, event, &out);
        }
        let at = &mut self.nodes[node.0];
        at.notices.append(&mut out.notices);
        let deadline = at.session.deadline();
        if deadline != at.tick {
            at.tick = deadline;
            if let Some(due) = deadline {
                // A deadline in the past would be a busy loop: the session must have dealt with it.
                assert!(due > self.now, "node {}: deadline {due:?} is not after {:?}", node.0, self.now);
                self.schedule(due, Happening::Tick(node, due));
            }
        }
        for action in out.list.drain(..) {
            self.act(node, action);
        }
        self.actions = out;
    }

    pub(super) fn act(&mut self, node: NodeId, action: Action) {
        let soon = self.now;
        match action {
            Action::Bind { sock, kind, addr, .. } => {
                if kind == SocketKind::TcpListener {
                    self.nodes[node.0].sockets.insert(sock, addr);
                }
                self.schedule(soon, Happening::Tell(node, Event::Bound { sock, local: addr }));
            }
            Action::Unbind { sock } => {
                self.nodes[node.0].sockets.remove(&sock);
            }
            Action::Dial { dial, to, .. } => {
                let Target::Addr(to) = to else {
                    let event = Event::DialFailed { dial, fault: IoFault::NotFound };
                    return self.schedule(soon, Happening::Tell(node, event));
                };
                self.nodes[node.0].counts.dials.entry(to).or_default().push(self.now);
                let from_port = 20_000 + (self.seq % 40_000) as u16;
                self.schedule(soon + self.limits.latency * 2, Happening::Listened { node, dial, to, from_port });
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
            Action::SendDatagrams { sock, to, bytes, .. } => {
                let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), PORT);
                self.moment(&Moment::Datagram { from, to, bytes: &bytes });
                if to == TRACKER
                    && self.tracker_up
                    && let Some(answer) = self.tracker.udp(self.now, from, &bytes)
                {
                    let segment = answer.len() as u16;
                    let event = Event::Datagrams { sock, from: to, segment, bytes: Bytes::from(answer) };
                    self.schedule(soon + self.limits.latency * 2, Happening::Tell(node, event));
                }
                self.strange_datagram(node, sock, to, &bytes);
            }
            Action::Start { job, work } => self.start(node, job, work),
            Action::GrantJob { .. } | Action::Cancel { .. } => {}
            other => panic!("the world does not know {other:?}"),
        }
    }

    pub(super) fn start(&mut self, node: NodeId, job: JobId, work: Work) {
        let done = self.nodes[node.0].disk.work(&work);
        let (delay, result) = match (done, work) {
            (Some(result), _) => (self.nodes[node.0].disk_time.unwrap_or(self.limits.disk), result),
            (None, Work::Resolve { host }) => (self.limits.latency * 2, self.resolve(&host)),
            (None, Work::Http(request)) => match self.strange_http(&request) {
                Some(told) => told,
                None => (self.limits.latency * 4, self.http(node, &request)),
            },
            (None, other) => panic!("the world cannot do {other:?}"),
        };
        self.schedule(self.now + delay, Happening::Tell(node, Event::JobDone { job, result }));
    }

    pub(super) fn http(&mut self, node: NodeId, request: &HttpRequest) -> Result<JobResult, IoFault> {
        if request.to != TRACKER || !self.tracker_up {
            return Err(IoFault::Refused);
        }
        let from = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), 40_000);
        let answer = self.tracker.http(self.now, from, request.path.as_bytes());
        Ok(JobResult::Http(HttpResponse {
            status: answer.status,
            location: None,
            retry_after: None,
            body: Bytes::from(answer.body),
        }))
    }
}
