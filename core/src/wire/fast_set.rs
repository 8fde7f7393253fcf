//! The allowed-fast set of BEP 6.

use crate::border::InfoHash;
use crate::metainfo::{Geometry, PieceIndex};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use sha1::{Digest, Sha1};

/// The pieces that a peer at `ip` may have while it is choked, at most `count`, in the order that BEP 6 makes them.
///
/// Empty for IPv6: "We currently have no provisions for IPv6."
pub fn allowed_fast_set(ip: IpAddr, info_hash: &InfoHash, geometry: &Geometry, count: u32) -> Vec<PieceIndex> {
    let Some(ip) = v4(ip) else { return Vec::new() };
    // A set cannot be larger than the torrent: the loop would never end.
    let count = count.min(geometry.pieces()) as usize;
    let mut set: Vec<PieceIndex> = Vec::new();
    // "x = 0xFFFFFF00 & ip (1), x.append(infohash) (2)"
    let [a, b, c, _] = ip.octets();
    let mut hash = Sha1::new();
    hash.update([a, b, c, 0]);
    hash.update(info_hash.0);
    let mut x = hash.finalize();
    while set.len() < count {
        // "for i in [0:5] and |a| < k: y = x[j:j+4], index = y % sz, if index not in a: add index to a"
        for word in x.as_slice().chunks_exact(4) {
            let number = word.iter().fold(0u32, |number, &byte| number << 8 | u32::from(byte));
            let piece = geometry.piece(number % geometry.pieces());
            if let Some(piece) = piece.filter(|piece| set.len() < count && !set.contains(piece)) {
                set.push(piece);
            }
        }
        x = Sha1::digest(x);
    }
    set
}

fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
    }
}
