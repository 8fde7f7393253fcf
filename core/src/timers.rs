//! An ordered index of who wants to be called when.

use crate::journal::canon::{Encoder, Put};
use crate::time::Time;
use alloc::collections::BTreeSet;

/// Wake-up times of many machines, the earliest first.
///
/// Each machine remembers the time it is registered for (`slot`). A time that moves back is not touched: the old entry
/// fires early, the machine finds nothing to do and registers again. So a deadline that is pushed out with every message
/// costs nothing, and finding the earliest stays O(log n).
#[derive(Clone, Debug)]
pub(crate) struct Timers<K: Ord + Copy> {
    order: BTreeSet<(Time, K)>,
}

impl<K: Put + Ord + Copy> Put for Timers<K> {
    fn put(&self, to: &mut Encoder<'_>) {
        let Timers { order } = self;
        order.put(to);
    }
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers { order: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Makes sure that `key` is woken no later than at `wanted`. `slot` is the entry that it has.
    pub(crate) fn set(&mut self, key: K, slot: &mut Option<Time>, wanted: Option<Time>) {
        let Some(wanted) = wanted else { return };
        match *slot {
            Some(registered) if registered <= wanted => {}
            Some(registered) => {
                self.order.remove(&(registered, key));
                self.order.insert((wanted, key));
                *slot = Some(wanted);
            }
            None => {
                self.order.insert((wanted, key));
                *slot = Some(wanted);
            }
        }
    }

    /// Takes `key` out altogether.
    pub(crate) fn clear(&mut self, key: K, slot: &mut Option<Time>) {
        if let Some(registered) = slot.take() {
            self.order.remove(&(registered, key));
        }
    }

    /// The earliest entry.
    pub(crate) fn first(&self) -> Option<Time> {
        self.order.first().map(|&(time, _)| time)
    }

    /// Takes out the earliest entry that is due at `now`. The caller empties the machine's slot.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<K> {
        let &(time, _) = self.order.first()?;
        if time > now {
            return None;
        }
        self.order.pop_first().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_back_leaves_the_entry_and_moving_forward_replaces_it() {
        let mut timers: Timers<u32> = Timers::default();
        let mut slot = None;
        timers.set(1, &mut slot, Some(Time(10)));
        timers.set(1, &mut slot, Some(Time(20)));
        assert_eq!((timers.first(), slot), (Some(Time(10)), Some(Time(10))));
        timers.set(1, &mut slot, Some(Time(5)));
        assert_eq!(timers.first(), Some(Time(5)));
        assert_eq!(timers.pop_due(Time(4)), None);
        assert_eq!(timers.pop_due(Time(5)), Some(1));
        assert_eq!(timers.first(), None);
        slot = None;
        timers.set(1, &mut slot, Some(Time(7)));
        timers.clear(1, &mut slot);
        assert_eq!((timers.first(), slot), (None, None));
    }
}
