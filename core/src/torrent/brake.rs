//! How often strangers' addresses are knocked at, over all torrents of a session.
//!
//! Whoever can put addresses into a swarm's lists (a tracker, its users) could point everybody in it at a victim. Two rules keep
//! our part of that small:
//!
//! - An address where nobody has spoken BitTorrent, and a dial has failed, is left alone by every torrent for
//!   [`CandidateConfig::unproven_rest`](crate::border::CandidateConfig::unproven_rest).
//! - A network (/24 of IPv4, /48 of IPv6: [`network`]) gets
//!   [`SessionConfig::dials_per_network`](crate::border::SessionConfig::dials_per_network) dials a minute at most.
//!
//! They hold on the open internet. Our own networks cannot be named by strangers
//! ([`net_policy`](crate::net_policy)), and what the user names is not asked about here.
//!
//! Limits: a network is remembered for a minute, so their number is bounded by the limit of dials a second; of addresses that
//! failed [`MAX_FAILED`] are, the latest ones.

use crate::border::{CandidateConfig, SessionConfig};
use crate::journal::canon::canon_struct;
use crate::net_policy::AddrClass;
use crate::time::Time;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// The most addresses that failed and are remembered; 10 minutes of dials at 15 a second, and some 600 KB.
pub const MAX_FAILED: usize = 10_000;

/// How long dials into a network count.
const WINDOW: Duration = Duration::from_secs(60);

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct DialBrake {
    /// Since when dials into a network are counted, and how many there were.
    networks: BTreeMap<IpAddr, (Time, u32)>,
    windows: VecDeque<(Time, IpAddr)>,
    /// Until when an address is left alone.
    failed: BTreeMap<SocketAddr, Time>,
    failures: VecDeque<(Time, SocketAddr)>,
}

canon_struct!(out DialBrake { networks, windows, failed, failures });

impl DialBrake {
    /// When an address may be dialled, where that is not now. `proven`: somebody there has spoken BitTorrent before.
    pub fn wait(&self, now: Time, config: &SessionConfig, addr: SocketAddr, proven: bool) -> Option<Time> {
        if !applies(addr) {
            return None;
        }
        let failed = self.failed.get(&addr).copied().filter(|until| !proven && *until > now);
        let counted = self.networks.get(&network(addr.ip()));
        let full = counted.filter(|(since, count)| *count >= config.dials_per_network && *since + WINDOW > now);
        failed.max(full.map(|(since, _)| *since + WINDOW))
    }

    /// An address is dialled.
    pub fn dialled(&mut self, now: Time, addr: SocketAddr) {
        if !applies(addr) {
            return;
        }
        while let Some(&(since, network)) = self.windows.front()
            && since + WINDOW <= now
        {
            self.windows.pop_front();
            self.networks.remove(&network);
        }
        let network = network(addr.ip());
        let (_, count) = self.networks.entry(network).or_insert_with(|| {
            self.windows.push_back((now, network));
            (now, 0)
        });
        *count += 1;
    }

    /// Nobody at an address has spoken BitTorrent: the dial failed, or what came of it did before the handshake was done.
    pub fn failed(&mut self, now: Time, config: &CandidateConfig, addr: SocketAddr) {
        if !applies(addr) {
            return;
        }
        let until = now + config.unproven_rest;
        self.failed.insert(addr, until);
        self.failures.push_back((until, addr));
        while let Some(&(over, addr)) = self.failures.front()
            && (over <= now || self.failures.len() > MAX_FAILED)
        {
            self.failures.pop_front();
            // Unless it has failed again since.
            if self.failed.get(&addr) == Some(&over) {
                self.failed.remove(&addr);
            }
        }
    }
}

fn applies(addr: SocketAddr) -> bool {
    AddrClass::of(addr.ip()) == AddrClass::Global
}

/// The network that an address is counted under: what one customer of a provider can easily have.
pub fn network(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(addr) => IpAddr::from((u32::from(addr) & 0xffff_ff00).to_be_bytes()),
        IpAddr::V6(addr) => IpAddr::from((u128::from(addr) >> 80 << 80).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_failed_is_left_alone_for_ten_minutes() {
        let (session, config) = (SessionConfig::default(), CandidateConfig::default());
        let (mut brake, victim, t) = (DialBrake::default(), addr("1.2.3.4:80"), Time::from_secs);
        assert_eq!(brake.wait(t(0), &session, victim, false), None);
        brake.failed(t(0), &config, victim);
        assert_eq!(brake.wait(t(1), &session, victim, false), Some(t(600)));
        assert_eq!(brake.wait(t(1), &session, victim, true), None, "somebody is there, it is known");
        assert_eq!(brake.wait(t(1), &session, addr("1.2.3.4:81"), false), None, "each port is an address of its own");
        assert_eq!(brake.wait(t(600), &session, victim, false), None);
        brake.failed(t(5), &config, addr("10.0.0.1:80"));
        assert_eq!(brake.wait(t(5), &session, addr("10.0.0.1:80"), false), None, "in our own network");
    }

    #[test]
    fn a_network_gets_so_many_dials_a_minute() {
        let config = SessionConfig { dials_per_network: 3, ..SessionConfig::default() };
        let (mut brake, t) = (DialBrake::default(), Time::from_secs);
        for (second, host) in [(0, 1), (10, 2), (20, 3)] {
            let to = addr(&format!("1.2.3.{host}:6881"));
            assert_eq!(brake.wait(t(second), &config, to, false), None);
            brake.dialled(t(second), to);
        }
        assert_eq!(brake.wait(t(30), &config, addr("1.2.3.9:6881"), true), Some(t(60)));
        assert_eq!(brake.wait(t(30), &config, addr("1.2.4.9:6881"), false), None);
        assert_eq!(brake.wait(t(60), &config, addr("1.2.3.9:6881"), false), None);
        brake.dialled(t(60), addr("1.2.3.9:6881"));
        assert_eq!(brake.networks.len(), 1, "the old count is forgotten");
        for host in 1..=3 {
            brake.dialled(t(70), addr(&format!("[2a00:1:2:{host}::1]:6881")));
        }
        assert_eq!(brake.wait(t(70), &config, addr("[2a00:1:2:9::1]:6881"), false), Some(t(130)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (session, config) = (SessionConfig::default(), CandidateConfig::default());
        let mut brake = DialBrake::default();
        let nth = |n: u32| SocketAddr::from(((0x0200_0000 + n).to_be_bytes(), 6881));
        for n in 0..12_000 {
            brake.failed(Time::from_secs(0), &config, nth(n));
        }
        assert_eq!((brake.failed.len(), brake.failures.len()), (MAX_FAILED, MAX_FAILED));
        assert_eq!(brake.wait(Time::from_secs(1), &session, nth(0), false), None, "the oldest gave way");
        assert!(brake.wait(Time::from_secs(1), &session, nth(11_999), false).is_some());
        for n in 0..50_000 {
            brake.dialled(Time::from_secs(u64::from(n)), nth(n << 8));
        }
        assert_eq!(brake.networks.len(), 60);
    }
}
