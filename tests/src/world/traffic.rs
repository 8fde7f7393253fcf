//! Who sent how much to whom.

use super::{NodeId, World};
use std::collections::BTreeMap;

/// Bytes of all streams, by who sent and who read them.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// What was handed to the operating system.
    sent: BTreeMap<(NodeId, NodeId), u64>,
    /// What was read.
    read: BTreeMap<(NodeId, NodeId), u64>,
}

impl Traffic {
    pub(super) fn sent(&mut self, from: NodeId, to: NodeId, bytes: u64) {
        *self.sent.entry((from, to)).or_default() += bytes;
    }

    pub(super) fn read(&mut self, from: NodeId, to: NodeId, bytes: u64) {
        *self.read.entry((from, to)).or_default() += bytes;
    }

    /// What one has sent to another.
    pub fn between(&self, from: NodeId, to: NodeId) -> u64 {
        self.sent.get(&(from, to)).copied().unwrap_or(0)
    }

    /// What one has sent.
    pub fn sent_by(&self, node: NodeId) -> u64 {
        self.sent.iter().filter(|((from, _), _)| *from == node).map(|(_, bytes)| bytes).sum()
    }

    /// What one has read.
    pub fn read_by(&self, node: NodeId) -> u64 {
        self.read.iter().filter(|((_, to), _)| *to == node).map(|(_, bytes)| bytes).sum()
    }

    /// What one has read of another.
    pub fn read_from(&self, node: NodeId, from: NodeId) -> u64 {
        self.read.get(&(from, node)).copied().unwrap_or(0)
    }
}

impl World {
    /// Bytes of all streams since the beginning. Copy it and take the difference for a span of time.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

/// Jain's index of fairness, in thousandths: 1000 when all have the same, 1000 / n when one has everything.
pub fn jain(shares: &[u64]) -> u64 {
    let sum: u128 = shares.iter().map(|&share| u128::from(share)).sum();
    let squares: u128 = shares.iter().map(|&share| u128::from(share) * u128::from(share)).sum();
    if squares == 0 { 1000 } else { (sum * sum * 1000 / (squares * shares.len() as u128)) as u64 }
}
