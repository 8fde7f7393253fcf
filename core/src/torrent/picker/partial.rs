//! The begun pieces that have free blocks, in the order in which peers are given them.
//!
//! For each level of priority two lists, sorted by (blocks not received, piece): what is open to all, and what a fast peer keeps for
//! itself. Most picks look at the first alone. A block that comes moves its piece by a place or two, so a sorted array
//! is enough: it holds [`PickConfig::max_partial_pieces`](crate::border::PickConfig::max_partial_pieces) or little more, as
//! above that nothing new is begun. Pieces that are wanted no more lie in a level of their own, where nobody looks who wants a block.

use crate::journal::canon::{Encoder, Put};
use alloc::vec::Vec;

/// Priorities 7 down to 0.
const LEVELS: usize = 8;

/// Where a piece stands in its list: blocks not received, piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    pub fn new(remaining: u32, piece: u32) -> Key {
        Key(u64::from(remaining) << 32 | u64::from(piece))
    }

    pub fn piece(self) -> u32 {
        self.0 as u32
    }

    fn remaining(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Where a piece is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// 7 less the priority.
    pub level: u8,
    /// A peer has it to itself, and not for parole's sake.
    pub kept: bool,
    pub key: Key,
}

/// The pieces of one priority, each list sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    pub shared: Vec<Key>,
    pub kept: Vec<Key>,
}

impl Level {
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.kept.is_empty()
    }

    /// Both lists, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        self.shared.iter().chain(&self.kept).copied()
    }

    /// The first key behind `last`, of both lists.
    pub fn after(&self, last: Option<Key>) -> Option<Key> {
        let next = |list: &Vec<Key>| list.get(last.map_or(0, |last| list.partition_point(|&key| key <= last))).copied();
        match (next(&self.shared), next(&self.kept)) {
            (Some(shared), Some(kept)) => Some(shared.min(kept)),
            (shared, kept) => shared.or(kept),
        }
    }

    /// The last key before `first`, of both lists.
    fn before(&self, first: Option<Key>) -> Option<Key> {
        let next = |list: &Vec<Key>| {
            let end = first.map_or(list.len(), |first| list.partition_point(|&key| key < first));
            end.checked_sub(1).and_then(|at| list.get(at)).copied()
        };
        next(&self.shared).max(next(&self.kept))
    }

    fn list(&mut self, kept: bool) -> &mut Vec<Key> {
        if kept { &mut self.kept } else { &mut self.shared }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Partial {
    levels: [Level; LEVELS],
    len: usize,
}

impl Partial {
    /// How many there are, those that are wanted no more too.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The pieces of a level: 7 less the priority.
    pub fn level(&self, level: usize) -> &Level {
        &self.levels[level.min(LEVELS - 1)]
    }

    /// A piece that was listed at `before` belongs to `after` now.
    pub fn relist(&mut self, before: Option<Listing>, after: Option<Listing>) {
        if before == after {
            return;
        }
        if let (Some(old), Some(new)) = (before, after)
            && (old.level, old.kept) == (new.level, new.kept)
        {
            return shift(self.list(old), old.key, new.key);
        }
        if let Some(old) = before
            && let Ok(at) = self.list(old).binary_search(&old.key)
        {
            self.list(old).remove(at);
            self.len -= 1;
        }
        if let Some(new) = after
            && let Err(at) = self.list(new).binary_search(&new.key)
        {
            self.list(new).insert(at, new.key);
            self.len += 1;
        }
    }

    fn list(&mut self, listing: Listing) -> &mut Vec<Key> {
        self.levels[usize::from(listing.level).min(LEVELS - 1)].list(listing.kept)
    }

    /// All pieces, from the one that is worth least: those that are wanted no more, then the lowest priority and the least received.
    pub fn worst_first(&self) -> impl Iterator<Item = u32> + '_ {
        self.levels.iter().rev().flat_map(|level| {
            let mut last = level.before(None);
            core::iter::from_fn(move || {
                let key = last?;
                last = level.before(Some(key));
                Some(key.piece())
            })
        })
    }
}

/// As one set of (level, blocks not received, piece): whose a piece is stands with the piece.
impl Put for Partial {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.len);
        for (number, level) in (0u8..).zip(&self.levels) {
            let mut last = None;
            while let Some(key) = level.after(last) {
                (number, key.remaining(), key.piece()).put(to);
                last = Some(key);
            }
        }
    }
}

/// Puts another key in the place of one that is there, and moves it to where it belongs.
fn shift(list: &mut [Key], old: Key, new: Key) {
    let Ok(from) = list.binary_search(&old) else { return };
    // Mostly one block less, and few pieces that stand between.
    let to = if new < old {
        let to = list[..from].partition_point(|&key| key < new);
        list.copy_within(to..from, to + 1);
        to
    } else {
        let to = from + list[from + 1..].partition_point(|&key| key < new);
        list.copy_within(from + 1..=to, from);
        to
    };
    list[to] = new;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    fn listing() -> impl Strategy<Value = Option<(u8, bool, u32)>> {
        proptest::option::weighted(0.8, (0u8..8, any::<bool>(), 1u32..5))
    }

    proptest! {
        /// Each list holds what a set would.
        #[test]
        fn lists_stay_sorted(moves in proptest::collection::vec((0u32..12, listing()), 0..200)) {
            let mut partial = Partial::default();
            let mut listed = [None; 12];
            for (piece, to) in moves {
                let after = to.map(|(level, kept, left)| Listing { level, kept, key: Key::new(left, piece) });
                partial.relist(listed[piece as usize], after);
                listed[piece as usize] = after;
                let all: BTreeSet<(u8, Key)> = listed.iter().flatten().map(|at| (at.level, at.key)).collect();
                prop_assert_eq!(partial.len(), all.len());
                let worst: Vec<u32> = all.iter().rev().map(|(_, key)| key.piece()).collect();
                prop_assert_eq!(partial.worst_first().collect::<Vec<_>>(), worst);
                for level in 0..8 {
                    let of = |kept: Option<bool>| {
                        let all = listed.iter().flatten().filter(|at| at.level == level);
                        let some = all.filter(|at| kept.is_none_or(|kept| at.kept == kept));
                        some.map(|at| at.key).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
                    };
                    let held = partial.level(level.into());
                    prop_assert_eq!(&held.shared, &of(Some(false)));
                    prop_assert_eq!(&held.kept, &of(Some(true)));
                    let mut last = None;
                    let merged = core::iter::from_fn(|| {
                        last = held.after(last);
                        last
                    });
                    prop_assert_eq!(merged.collect::<Vec<_>>(), of(None));
                }
            }
        }
    }
}
