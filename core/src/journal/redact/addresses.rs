//! Pseudonyms of addresses.
//!
//! What the core asks of an address stays as it was: its [class](crate::net_policy::AddrClass), which others share its network
//! (/24 of IPv4; /48 and /64 of IPv6), and which of two of a class is the lower. All else is random. Addresses are collected
//! first and given their pseudonyms together: networks of a class are spread at random, in their order, over the ranges below;
//! so are hosts in a network.
//!
//! | class | IPv4 | IPv6 |
//! |---|---|---|
//! | global | blocks of a defence department that are not routed: 11/8, 21/8, 22/8, 26/8, 28/8, 29/8, 30/8, 33/8, 55/8 | 3fff::/20, for documentation (RFC 9637) |
//! | private | 198.18/15, for benchmarks (RFC 2544), or 10/8 when there are many | fd00::/8 (RFC 4193) |
//! | loopback | 127/8 | |
//! | link-local | 169.254/16 | fe80::/16 |
//! | multicast | 234/8 | ff0e::/16 |
//! | nobody's | 0/8 for what is in it, else 240/5 | fec0::/16 |
//!
//! The ranges of documentation for IPv4 are of no use for global addresses: the core treats them as private, as they lead nowhere.
//! An IPv4 address inside an IPv6 one has its pseudonym there too. `0.0.0.0`, `255.255.255.255`, `::` and `::1` stay: they are
//! nobody's own. No pseudonym lies in a network that an original lies in.

use super::key::Key;
use crate::net_policy::AddrClass;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of a recording, and their pseudonyms once they are [given](Addresses::assign).
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    v4: BTreeMap<Ipv4Addr, Ipv4Addr>,
    v6: BTreeMap<Ipv6Addr, Ipv6Addr>,
}

/// More addresses of one class than there are pseudonyms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Inclusive ranges of networks, rising.
type Ranges = &'static [(u64, u64)];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pool {
    Global,
    Private,
    Loopback,
    LinkLocal,
    Multicast,
    /// `0.0.0.0/8`, which trackers' lists may not hold either.
    ThisNetwork,
    Unusable,
}

/// Numbers of /24 networks: the upper 24 bits.
const GLOBAL_V4: Ranges = &[
    (11 << 16, (12 << 16) - 1),
    (21 << 16, (23 << 16) - 1),
    (26 << 16, (27 << 16) - 1),
    (28 << 16, (31 << 16) - 1),
    (33 << 16, (34 << 16) - 1),
    (55 << 16, (56 << 16) - 1),
];
const BENCHMARK_V4: Ranges = &[(0x00c6_1200, 0x00c6_13ff)];
const PRIVATE_V4: Ranges = &[(10 << 16, (11 << 16) - 1)];
const LOOPBACK_V4: Ranges = &[(127 << 16, (128 << 16) - 1)];
const LINK_LOCAL_V4: Ranges = &[(0x00a9_fe00, 0x00a9_feff)];
const MULTICAST_V4: Ranges = &[(234 << 16, (235 << 16) - 1)];
const THIS_NETWORK: Ranges = &[(1, (1 << 16) - 1)];
const UNUSABLE_V4: Ranges = &[(240 << 16, (248 << 16) - 1)];

/// Up to so many private networks go into the range for benchmarks.
const FEW: usize = 128;

/// Numbers of /48 networks: the upper 48 bits.
const GLOBAL_V6: Ranges = &[(0x3fff_0000_0000, 0x3fff_0fff_ffff)];
const PRIVATE_V6: Ranges = &[(0xfd00_0000_0000, 0xfdff_ffff_ffff)];
const LINK_LOCAL_V6: Ranges = &[(0xfe80_0000_0000, 0xfe80_ffff_ffff)];
const MULTICAST_V6: Ranges = &[(0xff0e_0000_0000, 0xff0e_ffff_ffff)];
const UNUSABLE_V6: Ranges = &[(0xfec0_0000_0000, 0xfec0_ffff_ffff)];

impl Addresses {
    /// Notes an address.
    pub fn note(&mut self, ip: IpAddr) {
        match ip.to_canonical() {
            IpAddr::V4(ip) => _ = self.v4.insert(ip, ip),
            IpAddr::V6(ip) => {
                self.v6.insert(ip, ip);
                self.v4.extend(inside(ip).map(|(inner, _)| (inner, inner)));
            }
        }
    }

    /// The pseudonym of an address that was noted. IPv4 written as IPv6 stays so.
    pub fn get(&self, ip: IpAddr) -> Option<IpAddr> {
        match ip {
            IpAddr::V4(ip) => self.v4.get(&ip).map(|&ip| IpAddr::V4(ip)),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(inner) => self.v4.get(&inner).map(|inner| IpAddr::V6(inner.to_ipv6_mapped())),
                None => self.v6.get(&ip).map(|&ip| IpAddr::V6(ip)),
            },
        }
    }

    /// The originals with their pseudonyms, both canonical.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        let v4 = self.v4.iter().map(|(&from, &to)| (IpAddr::V4(from), IpAddr::V4(to)));
        v4.chain(self.v6.iter().map(|(&from, &to)| (IpAddr::V6(from), IpAddr::V6(to))))
    }

    /// Gives every address that was noted its pseudonym.
    pub fn assign(&mut self, key: &Key) -> Result<(), TooMany> {
        self.assign_v4(key)?;
        self.assign_v6(key)
    }

    fn assign_v4(&mut self, key: &Key) -> Result<(), TooMany> {
        let mut pools: BTreeMap<Pool, BTreeMap<u64, BTreeSet<u64>>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for ip in self.v4.keys().filter(|ip| !stays_v4(**ip)) {
            let (network, host) = (u64::from(ip.to_bits() >> 8), u64::from(ip.to_bits() & 0xff));
            taken.insert(network);
            let pool = pool(IpAddr::V4(*ip));
            pools.entry(pool).or_default().entry(network).or_default().insert(host);
        }
        for (pool, networks) in pools {
            let ranges = match pool {
                Pool::Global => GLOBAL_V4,
                Pool::Private if networks.len() <= FEW => BENCHMARK_V4,
                Pool::Private => PRIVATE_V4,
                Pool::Loopback => LOOPBACK_V4,
                Pool::LinkLocal => LINK_LOCAL_V4,
                Pool::Multicast => MULTICAST_V4,
                Pool::ThisNetwork => THIS_NETWORK,
                Pool::Unusable => UNUSABLE_V4,
            };
            let new = spread(key, ("network", 0), networks.len(), ranges, &taken)?;
            for ((network, hosts), new) in networks.into_iter().zip(new) {
                let new_hosts = spread(key, ("host", new), hosts.len(), &[(0, 255)], &BTreeSet::new())?;
                for (host, new_host) in hosts.into_iter().zip(new_hosts) {
                    // Both halves are within their bits.
                    let join = |network: u64, host: u64| Ipv4Addr::from_bits((network << 8 | host) as u32);
                    self.v4.insert(join(network, host), join(new, new_host));
                }
            }
        }
        Ok(())
    }

    fn assign_v6(&mut self, key: &Key) -> Result<(), TooMany> {
        type Subnets = BTreeMap<u64, BTreeSet<u64>>;
        let mut pools: BTreeMap<Pool, BTreeMap<u64, Subnets>> = BTreeMap::new();
        let (mut taken, mut carriers) = (BTreeSet::new(), Vec::new());
        for &ip in self.v6.keys().filter(|ip| !stays_v6(**ip)) {
            if let Some((inner, shift)) = inside(ip) {
                carriers.push((ip, inner, shift));
                continue;
            }
            let bits = ip.to_bits();
            let (network, subnet, host) = ((bits >> 80) as u64, (bits >> 64) as u64 & 0xffff, bits as u64);
            taken.insert(network);
            let subnets = pools.entry(pool(IpAddr::V6(ip))).or_default().entry(network).or_default();
            subnets.entry(subnet).or_default().insert(host);
        }
        for (pool, networks) in pools {
            let ranges = match pool {
                Pool::Global | Pool::Loopback => GLOBAL_V6,
                Pool::Private => PRIVATE_V6,
                Pool::LinkLocal => LINK_LOCAL_V6,
                Pool::Multicast => MULTICAST_V6,
                Pool::ThisNetwork | Pool::Unusable => UNUSABLE_V6,
            };
            let new = spread(key, ("network", 0), networks.len(), ranges, &taken)?;
            for ((network, subnets), new) in networks.into_iter().zip(new) {
                let new_subnets = spread(key, ("subnet", new), subnets.len(), &[(0, 0xffff)], &BTreeSet::new())?;
                for ((subnet, hosts), new_subnet) in subnets.into_iter().zip(new_subnets) {
                    let all = &[(0, u64::MAX - 1)];
                    let new_hosts = spread(key, ("host", new << 16 | new_subnet), hosts.len(), all, &BTreeSet::new())?;
                    for (host, new_host) in hosts.into_iter().zip(new_hosts) {
                        let join = |network: u64, subnet: u64, host: u64| {
                            Ipv6Addr::from_bits(u128::from(network) << 80 | u128::from(subnet) << 64 | u128::from(host))
                        };
                        self.v6.insert(join(network, subnet, host), join(new, new_subnet, new_host));
                    }
                }
            }
        }
        for (ip, inner, shift) in carriers {
            let inner = self.v4.get(&inner).copied().unwrap_or(inner);
            let mut bits = ip.to_bits() & !(0xffff_ffff << shift) | u128::from(inner.to_bits()) << shift;
            if shift == 80 {
                // 6to4: what lies behind the IPv4 address is drawn, the same for the same.
                let (subnet, host) = ((ip.to_bits() >> 64) as u16, ip.to_bits() as u64);
                let new_subnet: [u8; 2] = key.array("6to4 subnet", &subnet.to_be_bytes());
                let new_host: [u8; 8] = key.array("6to4 host", &host.to_be_bytes());
                bits = bits >> 80 << 80;
                bits |= u128::from(u16::from_be_bytes(new_subnet)) << 64 | u128::from(u64::from_be_bytes(new_host));
            }
            self.v6.insert(ip, Ipv6Addr::from_bits(bits));
        }
        Ok(())
    }
}

fn pool(ip: IpAddr) -> Pool {
    match AddrClass::of(ip) {
        _ if ip.is_multicast() => Pool::Multicast,
        _ if matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 0) => Pool::ThisNetwork,
        AddrClass::Global => Pool::Global,
        AddrClass::Private => Pool::Private,
        AddrClass::Loopback => Pool::Loopback,
        AddrClass::LinkLocal => Pool::LinkLocal,
        AddrClass::Unusable => Pool::Unusable,
    }
}

fn stays_v4(ip: Ipv4Addr) -> bool {
    ip.is_unspecified() || ip.is_broadcast()
}

fn stays_v6(ip: Ipv6Addr) -> bool {
    ip.is_unspecified() || ip.is_loopback()
}

/// Whether an address says nothing of anybody.
pub(super) fn stays(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => stays_v4(ip),
        IpAddr::V6(ip) => stays_v6(ip),
    }
}

/// The IPv4 address inside an IPv6 one (6to4, NAT64, the obsolete compatible form), and how many bits lie behind it.
fn inside(ip: Ipv6Addr) -> Option<(Ipv4Addr, u32)> {
    let shift = match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => 0,
        [0x2002, ..] => 80,
        _ => return None,
    };
    // The 32 bits above the shift.
    Some((Ipv4Addr::from_bits((ip.to_bits() >> shift) as u32), shift))
}

/// So many numbers out of ranges, rising, none of them taken: one at random out of each of equal parts.
fn spread(
    key: &Key,
    (kind, salt): (&str, u64),
    count: usize,
    ranges: &[(u64, u64)],
    taken: &BTreeSet<u64>,
) -> Result<Vec<u64>, TooMany> {
    let total: u64 = ranges.iter().map(|(first, last)| last - first + 1).sum();
    let width = total.checked_div(count as u64).unwrap_or(0);
    let place = |mut at: u64| {
        for &(first, last) in ranges {
            let length = last - first + 1;
            if at < length {
                return Some(first + at);
            }
            at -= length;
        }
        None
    };
    let mut out = Vec::with_capacity(count);
    for part in 0..count as u64 {
        let start = ranges.first().map_or(0, |range| range.0);
        let seed = [part, count as u64, start, salt].map(u64::to_be_bytes);
        let drawn = key.below(kind, &seed.concat(), width);
        // What is taken is met only where originals lie in these very ranges.
        let free = (0..width.min(1 << 16)).map(|step| (drawn + step) % width.max(1));
        let number = free.filter_map(|at| place(part * width + at)).find(|number| !taken.contains(number));
        out.push(number.ok_or(TooMany)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
