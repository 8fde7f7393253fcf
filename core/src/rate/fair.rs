//! Who is next, so that all get the same.
//!
//! Members wait for a turn, and each turn is given to the one who has used least. So those who always wait use the same, to within
//! a turn, whatever the size of their turns; and one who wants less than that never waits long, and leaves the rest to the others.
//!
//! Who did not wait for a while gains nothing by it: it begins at what the one who had the last turn had used. (This is start-time
//! fair queueing, of Goyal, Vin and Cheng, 1996, with equal weights.) Ties go to the lower name. Every call is O(log members).

use crate::journal::canon::{Encoder, Put, canon_struct};
use alloc::collections::BTreeSet;

/// Members that wait for a turn; it is given to the one who has used least.
#[derive(Clone, Debug)]
pub struct FairQueue<K: Ord + Copy> {
    waiting: BTreeSet<(u64, K)>,
    /// What the one who had the last turn had used before it.
    floor: u64,
}

impl<K: Put + Ord + Copy> Put for FairQueue<K> {
    fn put(&self, to: &mut Encoder<'_>) {
        let FairQueue { waiting, floor } = self;
        waiting.put(to);
        floor.put(to);
    }
}

/// What a queue knows of one member; the member keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    used: u64,
    waits: bool,
}

canon_struct!(out Share { used, waits });

impl Share {
    /// It has used so much of its turn.
    pub fn used(&mut self, bytes: u64) {
        debug_assert!(!self.waits, "it would not be found again");
        self.used = self.used.saturating_add(bytes);
    }
}

impl<K: Ord + Copy> Default for FairQueue<K> {
    fn default() -> FairQueue<K> {
        FairQueue { waiting: BTreeSet::new(), floor: 0 }
    }
}

impl<K: Ord + Copy> FairQueue<K> {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A member waits, if it did not before.
    pub fn wait(&mut self, key: K, share: &mut Share) {
        if !share.waits {
            share.used = share.used.max(self.floor);
            share.waits = true;
            self.waiting.insert((share.used, key));
        }
    }

    /// A member waits no more.
    pub fn leave(&mut self, key: K, share: &mut Share) {
        if core::mem::take(&mut share.waits) {
            self.waiting.remove(&(share.used, key));
        }
    }

    /// Whose turn it is. It is to [`leave`](FairQueue::leave), and may wait again when it has had its turn.
    pub fn whose_turn(&mut self) -> Option<K> {
        let &(used, key) = self.waiting.first()?;
        self.floor = used;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    /// Gives turns to members of which each always wants turns of its own size, or only at times.
    fn give(turns: u32, sizes: &[u64], wants: impl Fn(u32, usize) -> bool) -> std::vec::Vec<u64> {
        let mut queue = FairQueue::default();
        let mut shares = vec![Share::default(); sizes.len()];
        let mut got = vec![0; sizes.len()];
        for turn in 0..turns {
            for (member, share) in shares.iter_mut().enumerate().filter(|(member, _)| wants(turn, *member)) {
                queue.wait(member, share);
            }
            let Some(member) = queue.whose_turn() else { continue };
            queue.leave(member, &mut shares[member]);
            shares[member].used(sizes[member]);
            got[member] += sizes[member];
        }
        got
    }

    #[test]
    fn who_wants_less_is_served_at_once_and_saves_nothing() {
        // The third wants a turn only every tenth time.
        let got = give(1_000, &[10, 10, 10], |turn, member| member < 2 || turn % 10 == 0);
        assert_eq!(got, [4_500, 4_500, 1_000]);
        // One that comes late gets its share from then on, and nothing for the time before.
        let got = give(1_000, &[10, 10], |turn, member| member == 0 || turn >= 500);
        assert_eq!(got, [7_500, 2_500]);
    }

    #[test]
    fn nobody_who_left_is_next() {
        let (mut queue, mut a, mut b) = (FairQueue::default(), Share::default(), Share::default());
        queue.wait('a', &mut a);
        queue.wait('b', &mut b);
        queue.wait('a', &mut a);
        queue.leave('a', &mut a);
        queue.leave('a', &mut a);
        assert_eq!(queue.whose_turn(), Some('b'));
        queue.leave('b', &mut b);
        assert!(queue.is_empty() && queue.whose_turn().is_none());
    }

    proptest! {
        #[test]
        fn all_get_the_same_to_within_a_turn(sizes in prop::collection::vec(1..200_000u64, 1..20)) {
            let largest = sizes.iter().max().copied().unwrap_or(0);
            let got = give(5_000, &sizes, |_, _| true);
            let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
            prop_assert!(most - least <= largest, "{got:?}");
        }
    }
}
