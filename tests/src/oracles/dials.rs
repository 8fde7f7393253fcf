//! Whom a session dials, how often, and whom it lets in (32, 38).

use super::{Oracle, Tally};
use crate::Breach;
use parcacik_core::border::{Config, DialId, IpFilter};
use parcacik_core::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The dials of one session.
#[derive(Debug, Default)]
pub(super) struct Dials {
    under_way: BTreeMap<DialId, SocketAddr>,
    /// When dials of the last ten seconds were begun.
    recent: VecDeque<Time>,
    /// Blocked ranges.
    blocked: Vec<(IpAddr, IpAddr)>,
}

impl Dials {
    pub fn ended(&mut self, dial: DialId) {
        self.under_way.remove(&dial);
    }

    pub fn set_filter(&mut self, filter: &Arc<IpFilter>) {
        self.blocked = filter.ranges().collect();
    }

    fn is_blocked(&self, ip: IpAddr) -> bool {
        self.blocked.iter().any(|(first, last)| *first <= ip && ip <= *last && first.is_ipv4() == ip.is_ipv4())
    }

    /// Somebody has come in.
    pub fn came(&mut self, from: SocketAddr, closed: bool, tally: &mut Tally) -> Result<(), Breach> {
        let holds = closed || !self.is_blocked(from.ip());
        tally.judge(Oracle::DialAllowed, holds, || format!("{from} is blocked, and let in"))
    }

    /// Somebody is dialled. `named`: the user wanted it; `torrents`: how many there are, of which each may.
    pub fn dials(
        &mut self,
        now: Time,
        (dial, to): (DialId, SocketAddr),
        (named, torrents): (bool, usize),
        config: &Config,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let there = self.under_way.values().filter(|other| **other == to).count();
        tally.judge(Oracle::DialsPaced, there < torrents.max(1), || {
            format!("{to} is dialled {} times at once", there + 1)
        })?;
        self.under_way.insert(dial, to);
        let (open, most) = (self.under_way.len(), config.session.max_half_open as usize);
        tally.judge(Oracle::DialsPaced, open <= most, || format!("{open} dials under way, of {most}"))?;
        while self.recent.front().is_some_and(|first| now.since(*first) >= Duration::from_secs(10)) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        // Seconds are counted one after the other, so two halves of them can be full together.
        let rate = config.session.dials_per_second as usize;
        let in_second = self.recent.iter().filter(|at| now.since(**at) < Duration::from_secs(1)).count();
        let paced = in_second <= 2 * rate && self.recent.len() <= 11 * rate;
        tally.judge(Oracle::DialsPaced, paced, || {
            format!("{in_second} dials in a second, {} in ten", self.recent.len())
        })?;
        let ip = to.ip();
        let nobody = ip.is_multicast()
            || ip.is_unspecified()
            || to.port() == 0
            || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        tally.judge(Oracle::DialAllowed, !nobody, || format!("{to} is dialled, where nobody can be"))?;
        tally.judge(Oracle::DialAllowed, !self.is_blocked(ip), || format!("{to} is dialled, and blocked"))?;
        let inside = matches!(ip, IpAddr::V4(ip) if ip.is_loopback() || ip.is_private() || ip.is_link_local());
        tally.judge(Oracle::DialAllowed, named || !inside, || format!("{to} is dialled on a stranger's word"))
    }
}
