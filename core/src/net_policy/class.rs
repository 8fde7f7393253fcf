//! What kind of place an address is, as far as asking it for something on another's behalf goes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddrClass {
    /// The open internet.
    Global,
    /// A private network: RFC 1918, carrier NAT (RFC 6598), unique local IPv6 (RFC 4193); and the ranges for documentation and
    /// benchmarks, which lead nowhere but in a laboratory.
    Private,
    /// This machine.
    Loopback,
    /// This link: RFC 3927 (where clouds keep their metadata service) and `fe80::/10`.
    LinkLocal,
    /// Nobody's: unspecified, multicast, broadcast and reserved. Nothing may be asked there.
    Unusable,
}

impl AddrClass {
    /// The class of an address. An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) has the class of the former, so that
    /// a private one cannot hide there.
    pub fn of(ip: IpAddr) -> AddrClass {
        match ip {
            IpAddr::V4(ip) => of_v4(ip),
            IpAddr::V6(ip) => of_v6(ip),
        }
    }

    /// Whether a tracker may be asked there at all.
    pub fn may_be_asked(self) -> bool {
        matches!(self, AddrClass::Global | AddrClass::Private | AddrClass::Loopback)
    }

    /// Whether it is a place that strangers cannot reach, while we can.
    pub fn is_local(self) -> bool {
        matches!(self, AddrClass::Private | AddrClass::Loopback | AddrClass::LinkLocal)
    }
}

fn of_v4(ip: Ipv4Addr) -> AddrClass {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (127, ..) => AddrClass::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => AddrClass::Private,
        (169, 254, _) => AddrClass::LinkLocal,
        // Documentation (RFC 5737), benchmarks (RFC 2544).
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) => AddrClass::Private,
        // "This network", protocol assignments, multicast, reserved with broadcast.
        (0, ..) | (192, 0, 0) | (224..=255, ..) => AddrClass::Unusable,
        _ => AddrClass::Global,
    }
}

fn of_v6(ip: Ipv6Addr) -> AddrClass {
    let s = ip.segments();
    let low_v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddrClass::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => AddrClass::Unusable,
        // IPv4-mapped, IPv4-compatible (obsolete) and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => low_v4(high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => low_v4(high, low),
        // Unique local, documentation (RFC 3849), NAT64 of one's own (RFC 8215).
        [0xfc00..=0xfdff, ..] | [0x2001, 0xdb8, ..] | [0x64, 0xff9b, 1, ..] => AddrClass::Private,
        [0xfe80..=0xfebf, ..] => AddrClass::LinkLocal,
        // Site-local (obsolete), multicast, discard-only (RFC 6666).
        [0xfec0..=0xfeff, ..] | [0xff00..=0xffff, ..] | [0x100, 0, 0, 0, ..] => AddrClass::Unusable,
        _ => AddrClass::Global,
    }
}

#[cfg(test)]
mod tests;
