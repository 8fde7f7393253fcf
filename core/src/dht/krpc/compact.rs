//! Addresses as they stand in messages: "compact" (BEP 5, BEP 32): the address, then the port in two bytes.

use super::Contact;
use crate::dht::NodeId;
use crate::net_policy::AddrClass;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The address in these 6 or 18 bytes.
pub(super) fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    Some(SocketAddr::new(self::ip(ip)?, u16::from_be_bytes(*port)))
}

/// The address in these 4 or 16 bytes.
pub(super) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

/// The node in these 26 or 38 bytes.
pub(super) fn contact(bytes: &[u8]) -> Option<Contact> {
    let (id, addr) = bytes.split_first_chunk::<20>()?;
    Some(Contact { id: NodeId(*id), addr: address(addr)? })
}

/// How many bytes a node or a peer takes.
pub(super) const fn address_length(v6: bool) -> usize {
    if v6 { 18 } else { 6 }
}

/// Whether something can be at an address: not at port 0, nor where nobody is.
pub(super) fn is_place(addr: &SocketAddr) -> bool {
    addr.port() != 0 && AddrClass::of(addr.ip()) != AddrClass::Unusable
}

/// Writes an address.
pub(super) fn put(out: &mut Vec<u8>, addr: &SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}
