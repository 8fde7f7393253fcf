//! Which blocks are under way, for a queue that is too deep to be searched with each request.
//!
//! A hash table with open addressing. Nothing ever walks it, so no order comes out of it; and the blocks are of our own choosing, so nobody can have
//! them fall together.

use crate::journal::canon::{Encoder, Put};
use crate::metainfo::{BLOCK_LENGTH, Block};
use alloc::vec;
use alloc::vec::Vec;

/// The smallest table, and one that is kept when nothing is under way.
const LEAST: usize = 16;

/// A set of blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockSet {
    /// Half of them are empty at least; a power of two of them, or none.
    slots: Vec<Option<Block>>,
    len: usize,
}

impl BlockSet {
    pub fn contains(&self, block: Block) -> bool {
        !self.slots.is_empty() && self.find(block).is_ok()
    }

    /// Puts a block in; false when it was there.
    pub fn insert(&mut self, block: Block) -> bool {
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        match self.find(block) {
            Err(empty) => {
                self.slots[empty] = Some(block);
                self.len += 1;
                true
            }
            Ok(_) => false,
        }
    }

    /// Takes a block out; false when it was not there.
    pub fn remove(&mut self, block: Block) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let Ok(mut hole) = self.find(block) else { return false };
        self.len -= 1;
        if self.len == 0 && self.slots.len() > LEAST {
            self.clear();
            return true;
        }
        // Those behind that would have lain here close up, or they would not be found any more.
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let Some(next) = self.slots[at] else { break };
            let home = self.home(next);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = Some(next);
                hole = at;
            }
        }
        self.slots[hole] = None;
        true
    }

    pub fn clear(&mut self) {
        *self = BlockSet::default();
    }

    /// Where a block lies, or would lie. There has to be a table.
    fn find(&self, block: Block) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(block);
        loop {
            // Some slot is empty.
            match self.slots[at] {
                None => return Err(at),
                Some(held) if held == block => return Ok(at),
                Some(_) => at = (at + 1) & mask,
            }
        }
    }

    fn home(&self, block: Block) -> usize {
        let key = u64::from(block.piece().get()) << 20 ^ u64::from(block.begin() / BLOCK_LENGTH);
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let slots = vec![None; (self.slots.len() * 2).max(LEAST)];
        let old = core::mem::replace(&mut self.slots, slots);
        self.len = 0;
        for block in old.into_iter().flatten() {
            self.insert(block);
        }
    }
}

/// As a set in order: where a block lies says when others came, and nothing else.
impl Put for BlockSet {
    fn put(&self, to: &mut Encoder<'_>) {
        let mut blocks: Vec<Block> = self.slots.iter().flatten().copied().collect();
        blocks.sort_unstable();
        blocks.put(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::Geometry;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        /// It holds what a set that is known to be right holds.
        #[test]
        fn it_is_a_set(changes in proptest::collection::vec((0u32..3, 0u32..8, 0u32..12, any::<bool>()), 0..400)) {
            let geometry = Geometry::new(8 * 12 * u64::from(BLOCK_LENGTH), 12 * BLOCK_LENGTH).unwrap();
            let (mut set, mut right) = (BlockSet::default(), BTreeSet::new());
            for (what, piece, number, odd) in changes {
                // One that begins and ends elsewhere is another.
                let odd = u32::from(odd);
                let block = geometry.block(piece, number * BLOCK_LENGTH + odd, BLOCK_LENGTH - 2 * odd).unwrap();
                match what {
                    0 => prop_assert_eq!(set.insert(block), right.insert(block)),
                    1 => prop_assert_eq!(set.remove(block), right.remove(&block)),
                    _ => prop_assert_eq!(set.contains(block), right.contains(&block)),
                }
                prop_assert_eq!(set.len, right.len());
            }
            for block in right {
                prop_assert!(set.contains(block));
            }
        }
    }
}
