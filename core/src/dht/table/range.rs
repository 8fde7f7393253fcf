//! A range of ids: those that begin with the same bits.

use crate::border::DhtConfig;
use crate::dht::NodeId;
use crate::journal::canon::canon_struct;
use crate::rng::Rng;

/// Ids that share more bits with ours than this are in one range. With 2^28 nodes nobody has more than a few at 32.
const DEEPEST: u32 = 32;

/// The ids whose first `len` bits are those of `bits`.
///
/// The ranges of a table do not overlap, so that any two of them differ within the bits that both have: they have an order, and
/// all ids of one are closer to a key than all ids of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    /// From the top; behind `len` they are 0.
    bits: u64,
    len: u8,
}

canon_struct!(out Range { bits, len });

impl Range {
    /// The range that an id belongs to in the table of a node.
    pub(super) fn of(own: NodeId, id: NodeId, config: &DhtConfig) -> Range {
        let common = own.shared_prefix(id);
        let len = if common < config.root_bits { config.root_bits } else { (common + 1).min(DEEPEST) };
        Range { bits: head(id) & mask(len), len: len as u8 }
    }

    /// How far the nearest id of the range can be from a key: the upper 64 bits of it. Comparable within a table.
    pub(super) fn distance(self, target: NodeId) -> u64 {
        (self.bits ^ head(target)) & mask(u32::from(self.len))
    }

    /// Any id within.
    pub(super) fn random(self, own: NodeId, rng: &mut Rng) -> NodeId {
        let mut start = own;
        let bits = self.bits.to_be_bytes();
        start.0[..8].copy_from_slice(&bits);
        start.random_within(u32::from(self.len), rng)
    }
}

fn head(id: NodeId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The upper `len` bits.
fn mask(len: u32) -> u64 {
    u64::MAX.checked_shl(u64::BITS - len.min(u64::BITS)).unwrap_or(0)
}
