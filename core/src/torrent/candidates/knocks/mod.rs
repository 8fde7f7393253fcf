//! Who has connected to us how often within a minute.
//!
//! Each connection is a knock; one that ends by the peer's own fault is five more. Whoever has used up its knocks is refused
//! until a minute has passed since the first of them. Refusals are not counted: patience makes good.
//!
//! The table holds those of the last minute, [`CandidateConfig::max_knockers`] at most.

use crate::border::CandidateConfig;
use crate::journal::canon::canon_struct;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

/// How long knocks are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// What a connection counts besides that ended by the peer's own fault.
const FAULT: u32 = 5;

/// The table.
#[derive(Clone, Debug, Default)]
pub(super) struct Knocks {
    table: BTreeMap<IpAddr, (Time, u32)>,
    order: BTreeSet<(Time, IpAddr)>,
}

canon_struct!(out Knocks { table, order });

impl Knocks {
    /// Somebody connects. Whether it may come in.
    pub fn knock(&mut self, now: Time, config: &CandidateConfig, ip: IpAddr) -> bool {
        ip.to_canonical().is_loopback() || self.count(now, config, ip, 1)
    }

    /// A connection that came from there has ended by the peer's fault.
    pub fn fault(&mut self, now: Time, config: &CandidateConfig, ip: IpAddr) {
        if !ip.to_canonical().is_loopback() {
            self.count(now, config, ip, FAULT);
        }
    }

    /// Counts so many knocks more; false when they were used up already.
    fn count(&mut self, now: Time, config: &CandidateConfig, ip: IpAddr, more: u32) -> bool {
        while let Some(&(since, oldest)) = self.order.first()
            && since + WINDOW <= now
        {
            self.forget(since, oldest);
        }
        let machine = machine(ip);
        if let Some((_, count)) = self.table.get_mut(&machine) {
            let welcome = *count < config.max_knocks;
            *count = count.saturating_add(more).min(config.max_knocks);
            return welcome;
        }
        if self.table.len() >= config.max_knockers as usize
            && let Some(&(since, oldest)) = self.order.first()
        {
            self.forget(since, oldest);
        }
        self.table.insert(machine, (now, more.min(config.max_knocks)));
        self.order.insert((now, machine));
        true
    }

    fn forget(&mut self, since: Time, machine: IpAddr) {
        self.order.remove(&(since, machine));
        self.table.remove(&machine);
    }
}

/// What of an address names one machine, as far as can be told: all of IPv4, a /64 of IPv6, as every host has at least one of
/// those to itself.
pub fn machine(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests;
