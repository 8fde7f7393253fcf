//! Addresses: one way to write each, and which of them a peer can have.

use crate::border::{CloseReason, IoFault};
use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use core::ops::RangeInclusive;

/// Every port of an address.
pub(super) fn all_of(ip: IpAddr) -> RangeInclusive<SocketAddr> {
    match ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, 0))..=SocketAddr::from((ip, u16::MAX)),
        IpAddr::V6(ip) => {
            SocketAddrV6::new(ip, 0, 0, 0).into()..=SocketAddrV6::new(ip, u16::MAX, u32::MAX, u32::MAX).into()
        }
    }
}

/// Whether anything of ours can have come to the other end.
pub(crate) fn has_reached(reason: CloseReason) -> bool {
    use IoFault::{AddressUnavailable, Cancelled, TooManyOpen, Unsupported};
    !matches!(reason, CloseReason::DialFailed(AddressUnavailable | Cancelled | TooManyOpen | Unsupported))
}

/// One way to write each address: IPv4 as IPv4, no flow label.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    match (addr.ip().to_canonical(), addr) {
        (IpAddr::V6(ip), SocketAddr::V6(addr)) => SocketAddrV6::new(ip, addr.port(), 0, addr.scope_id()).into(),
        (ip, _) => SocketAddr::new(ip, addr.port()),
    }
}

/// Whether a peer can be there at all.
pub(super) fn is_dialable(addr: SocketAddr) -> bool {
    let possible = match addr.ip() {
        IpAddr::V4(ip) => !ip.is_broadcast(),
        IpAddr::V6(_) => true,
    };
    possible && addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast()
}

/// Ports below 1024 belong to other services; to name one may be an attempt to have us knock there.
pub(super) fn is_well_known(addr: SocketAddr) -> bool {
    addr.port() < 1024
}
