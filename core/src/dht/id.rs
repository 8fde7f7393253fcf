//! Ids of nodes, the distance between them, and the ids that fit an address (BEP 42).
//!
//! ```
//! use parcacik_core::dht::NodeId;
//!
//! let (a, b) = (NodeId([0; 20]), NodeId([0x10; 20]));
//! assert_eq!(a.shared_prefix(b), 3);
//! assert!(a.distance(a) < a.distance(b));
//!
//! // The random byte is the last byte of the id; the other bytes come out of the address or of chance.
//! let mut rng = parcacik_core::rng::Seeds::for_tests(1).secrets(parcacik_core::rng::Stream::Dht, 0);
//! let ip = "84.124.73.14".parse().unwrap();
//! let id = NodeId::for_address(ip, 65, &mut rng);
//! assert!(id.is_valid_for(ip));
//! assert_eq!(id.to_string()[..5], *"1b032");
//! ```

use crate::border::InfoHash;
use crate::crc32c::crc32c;
use crate::journal::canon::{Encoder, Put};
use crate::rng::Rng;
use core::fmt;
use core::net::IpAddr;

impl Put for NodeId {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(&self.0);
    }
}

impl Put for Distance {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(&self.0);
    }
}

#[cfg(test)]
mod tests;

/// The id of a node, or a key to look for: both are of one space, as are info-hashes. Bit 0 is the most significant one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

/// How far two ids are from each other: smaller is closer (BEP 5: XOR, "interpreted as an unsigned integer").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance(pub [u8; 20]);

impl NodeId {
    /// How many bits an id has.
    pub const BITS: u32 = 160;

    /// The id with these bytes; `None` when they are not 20.
    pub fn from_slice(bytes: &[u8]) -> Option<NodeId> {
        bytes.try_into().ok().map(NodeId)
    }

    /// Any id, each equally likely.
    pub fn random(rng: &mut Rng) -> NodeId {
        let mut bytes = [0; 20];
        rng.fill(&mut bytes);
        NodeId(bytes)
    }

    /// How far the other one is.
    pub fn distance(self, other: NodeId) -> Distance {
        let mut bytes = self.0;
        for (byte, other) in bytes.iter_mut().zip(other.0) {
            *byte ^= other;
        }
        Distance(bytes)
    }

    /// How many bits the two begin with in common: 0 to 160.
    pub fn shared_prefix(self, other: NodeId) -> u32 {
        self.distance(other).leading_zeros()
    }

    /// Bit `index`, from the most significant one; false from 160 on.
    pub fn bit(self, index: u32) -> bool {
        self.0.get(index as usize / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }

    /// The id with bit `index` turned over; the same one from 160 on.
    pub fn with_bit_flipped(mut self, index: u32) -> NodeId {
        if let Some(byte) = self.0.get_mut(index as usize / 8) {
            *byte ^= 0x80 >> (index % 8);
        }
        self
    }

    /// Any id that begins with the same `bits` bits; what follows is chance. This very id when they are all of them.
    pub fn random_within(self, bits: u32, rng: &mut Rng) -> NodeId {
        let mut id = NodeId::random(rng);
        for (index, (byte, own)) in (0u32..).zip(id.0.iter_mut().zip(self.0)) {
            // How many bits of this byte are given.
            let given = bits.saturating_sub(index * 8).min(8);
            let mask = (0xff00u32 >> given) as u8;
            *byte = (own & mask) | (*byte & !mask);
        }
        id
    }

    /// Any id that begins with exactly `bits` bits in common with this one: a place in the bucket of that number in a table
    /// of this node. From 160 on it is this id.
    pub fn random_at(self, bits: u32, rng: &mut Rng) -> NodeId {
        self.with_bit_flipped(bits).random_within(bits.saturating_add(1), rng)
    }

    /// An id that a node at `ip` may have (BEP 42), with `random` as its last byte; the rest is drawn. For an address
    /// that is exempt it fits as well as any other.
    pub fn for_address(ip: IpAddr, random: u8, rng: &mut Rng) -> NodeId {
        let [first, second, third, _] = address_hash(ip, random).to_be_bytes();
        let NodeId(mut bytes) = NodeId::random(rng);
        bytes[0] = first;
        bytes[1] = second;
        // 21 bits are given: 5 of the third byte.
        bytes[2] = (third & 0xf8) | (bytes[2] & 0x07);
        bytes[19] = random;
        NodeId(bytes)
    }

    /// Whether a node at `ip` may have this id (BEP 42): its first 21 bits are those of a hash of the address and of the id's last
    /// byte, or the address is one of a local network ([`is_exempt`]).
    pub fn is_valid_for(self, ip: IpAddr) -> bool {
        let [a, b, c, d, ..] = self.0;
        let difference = u32::from_be_bytes([a, b, c, d]) ^ address_hash(ip, self.0[19]);
        is_exempt(ip) || difference & 0xffff_f800 == 0
    }
}

impl Distance {
    /// The least distance: that of an id to itself.
    pub const ZERO: Distance = Distance([0; 20]);
    /// The greatest distance.
    pub const MAX: Distance = Distance([0xff; 20]);

    /// How many bits the two ids begin with in common: 0 to 160.
    pub fn leading_zeros(self) -> u32 {
        let zero_bytes = self.0.iter().take_while(|byte| **byte == 0).count();
        zero_bytes as u32 * 8 + self.0.get(zero_bytes).map_or(0, |byte| byte.leading_zeros())
    }

    /// The number of the highest bit in which the two ids differ, 0 to 159 from the least significant one; `None` for equal ids.
    pub fn log2(self) -> Option<u32> {
        (NodeId::BITS - 1).checked_sub(self.leading_zeros())
    }
}

/// Whether BEP 42 leaves nodes at an address free in their id: those of local networks, whose address on the internet is another one.
///
/// The BEP names 10/8, 172.16/12, 192.168/16, 169.254/16 and 127/8; in IPv6 these are `fc00::/7`, `fe80::/10` and `::1`.
pub fn is_exempt(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// The hash whose first 21 bits a node's id begins with; `random` is the id's last byte, of which three bits count.
///
/// The BEP's prose hashes eight bytes in either family; its example code and its known answers hash the four bytes of an IPv4
/// address, and so does everybody.
fn address_hash(ip: IpAddr, random: u8) -> u32 {
    const MASK_V4: u32 = 0x030f_3fff;
    const MASK_V6: u64 = 0x0103_070f_1f3f_7fff;
    let r = random & 7;
    match ip.to_canonical() {
        IpAddr::V4(ip) => crc32c(&(ip.to_bits() & MASK_V4 | u32::from(r) << 29).to_be_bytes()),
        // Only the network: whoever has one has all of its addresses.
        IpAddr::V6(ip) => crc32c(&((ip.to_bits() >> 64) as u64 & MASK_V6 | u64::from(r) << 61).to_be_bytes()),
    }
}

impl From<InfoHash> for NodeId {
    fn from(hash: InfoHash) -> NodeId {
        NodeId(hash.0)
    }
}

impl From<NodeId> for InfoHash {
    fn from(id: NodeId) -> InfoHash {
        InfoHash(id.0)
    }
}

/// Lower-case hexadecimal, 40 digits.
fn write_hex(bytes: &[u8; 20], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}
