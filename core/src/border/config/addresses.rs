use crate::border::InfoHash;
use crate::metainfo::{Geometry, PieceIndex};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Values of functions of addresses that are given, and not computed. Empty, but in a
/// [redacted](crate::journal::redact) recording.
///
/// Some decisions depend on an address as a number: BEP 40's order of peers, BEP 6's allowed-fast pieces. In a redacted
/// recording addresses are others, and these functions would say something else of them. So the recording brings along what
/// they said of the addresses that were there. A function that is not given a value is computed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressTable {
    /// [`canonical_priority`](crate::torrent::candidates::canonical_priority) of two different addresses, the lower one first,
    /// IPv4 as IPv4.
    pub priorities: BTreeMap<(IpAddr, IpAddr), u32>,
    /// [`allowed_fast_set`](crate::wire::allowed_fast_set) by the /24 of a peer (its first address) and torrent.
    pub fast_sets: BTreeMap<(Ipv4Addr, InfoHash), Vec<u32>>,
}

impl AddressTable {
    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        self.priorities.is_empty() && self.fast_sets.is_empty()
    }

    /// The priority of a connection between two addresses, where it is given.
    pub fn priority(&self, a: SocketAddr, b: SocketAddr) -> Option<u32> {
        if self.priorities.is_empty() {
            return None;
        }
        let (a, b) = (a.ip().to_canonical(), b.ip().to_canonical());
        self.priorities.get(&(a.min(b), a.max(b))).copied()
    }

    /// The allowed-fast pieces of a peer, at most `count`, where they are given.
    pub fn fast_set(&self, ip: IpAddr, torrent: InfoHash, geometry: &Geometry, count: u32) -> Option<Vec<PieceIndex>> {
        if self.fast_sets.is_empty() {
            return None;
        }
        let IpAddr::V4(ip) = ip.to_canonical() else { return None };
        let network = Ipv4Addr::from_bits(ip.to_bits() & 0xffff_ff00);
        let pieces = self.fast_sets.get(&(network, torrent))?;
        Some(pieces.iter().filter_map(|&piece| geometry.piece(piece)).take(count as usize).collect())
    }
}
