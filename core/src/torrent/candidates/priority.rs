//! BEP 40: the order of peers on which both ends of a connection agree.

use crate::crc32c::crc32c;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The canonical priority of a connection between two addresses, higher first; the same from both ends.
///
/// BEP 40: "*priority = crc32-c(sort(masked_client_ip, masked_peer_ip))*. If the IP addresses are the same, the port
/// numbers (16-bit integers) should be used instead". Of two families, which cannot be connected, it is 0.
pub fn canonical_priority(a: SocketAddr, b: SocketAddr) -> u32 {
    let (low, high) = match (a.ip().to_canonical(), b.ip().to_canonical()) {
        (one, other) if one == other => sorted(a.port().to_be_bytes().to_vec(), b.port().to_be_bytes().to_vec()),
        // "For an IPv4 address, the mask to be used should be *FF.FF.55.55* unless the IP addresses are in the same /16. In
        // that case [...] *FF.FF.FF.55*. If the IP addresses are in the same /24, the entire address should be used".
        (IpAddr::V4(one), IpAddr::V4(other)) => masked(&one.octets(), &other.octets(), 2),
        // "For an IPv6 address, the mask should be derived in the same way, beginning with
        // *FFFF:FFFF:FFFF:5555:5555:5555:5555:5555*. If [...] in the same /48, [...] *FFFF:FFFF:FFFF:FF55:[...]*".
        (IpAddr::V6(one), IpAddr::V6(other)) => masked(&one.octets(), &other.octets(), 6),
        _ => return 0,
    };
    crc32c(&[low, high].concat())
}

/// Both addresses with every second bit of what lies behind the kept bytes, sorted. `kept` bytes are kept whole, and one
/// more for each byte from there on up to which the addresses are equal.
fn masked(a: &[u8], b: &[u8], kept: usize) -> (Vec<u8>, Vec<u8>) {
    let equal = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let whole = if equal >= kept { equal + 1 } else { kept };
    let mask = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().enumerate().map(|(at, &byte)| if at < whole { byte } else { byte & 0x55 }).collect()
    };
    sorted(mask(a), mask(b))
}

fn sorted(a: Vec<u8>, b: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    if a <= b { (a, b) } else { (b, a) }
}
