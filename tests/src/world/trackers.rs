//! Trackers of the world besides its honest one.

use super::World;
use crate::hostile::tracker::HostileTracker;
use parcacik_core::border::{HttpRequest, IoFault, JobResult};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A tracker that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrackerId(pub usize);

impl World {
    /// Puts a tracker into the world. Of several with one name, all addresses belong to it.
    pub fn add_tracker(&mut self, tracker: HostileTracker) -> TrackerId {
        self.trackers.push(tracker);
        TrackerId(self.trackers.len() - 1)
    }

    /// A tracker that was added.
    pub fn tracker(&self, id: TrackerId) -> &HostileTracker {
        &self.trackers[id.0]
    }

    /// The same, to be changed.
    pub fn tracker_mut(&mut self, id: TrackerId) -> &mut HostileTracker {
        &mut self.trackers[id.0]
    }

    pub(super) fn resolve(&mut self, host: &str) -> Result<JobResult, IoFault> {
        let now = self.now;
        let named = self.trackers.iter_mut().filter(|tracker| tracker.name == host);
        let found: Vec<Result<Vec<IpAddr>, IoFault>> = named.map(|tracker| tracker.resolve(now)).collect();
        if found.is_empty() {
            return host.parse().map(|ip| JobResult::Resolved(vec![ip])).map_err(|_| IoFault::NotFound);
        }
        let addrs: Vec<IpAddr> = found.into_iter().filter_map(Result::ok).flatten().collect();
        if addrs.is_empty() { Err(IoFault::NotFound) } else { Ok(JobResult::Resolved(addrs)) }
    }

    /// What comes of an HTTP request, and when; `None`: no tracker that was added is there.
    pub(super) fn strange_http(&mut self, request: &HttpRequest) -> Option<(Duration, Result<JobResult, IoFault>)> {
        let (now, latency) = (self.now, self.limits.latency);
        let tracker = self.trackers.iter_mut().find(|tracker| tracker.ip == request.to.ip())?;
        let (whole_time, result) = tracker.http(now, request);
        let delay = if whole_time { request.time_limit } else { latency * 4 };
        Some((delay, result.map(JobResult::Http)))
    }

    /// What a tracker that was added answers to a datagram: from whom, after how many seconds, and what.
    pub(super) fn strange_datagram(&mut self, to: SocketAddr, datagram: &[u8]) -> Vec<(SocketAddr, u64, Vec<u8>)> {
        let now = self.now;
        let found = self.trackers.iter_mut().find(|tracker| tracker.ip == to.ip());
        found.map(|tracker| tracker.udp(now, to, datagram)).unwrap_or_default()
    }
}
