//! A map whose keys rise as they come: ids that are given out in order and never used again.
//!
//! The entries stand in a row. A new one goes to the end; one that is taken out leaves its place empty, and when half of all places are empty the row
//! closes up. So each change is O(1), amortised, and walking it is in the order of the keys. Looking one up is O(1) while the keys
//! follow each other without gaps, as they do where nobody else is given them, and else a search in a sorted array. An event looks up its stream,
//! its connection and its job, each once at least: that is why this is not a tree.

use crate::journal::canon::{Encoder, Put};
use alloc::vec::Vec;

/// So many places may be empty, and as many as are not.
const SLACK: usize = 16;

/// An id that is a number.
pub(crate) trait RowKey: Copy + Ord {
    /// The number.
    fn number(self) -> u64;
}

impl RowKey for crate::border::PeerKey {
    fn number(self) -> u64 {
        self.0
    }
}

impl RowKey for crate::border::TcpId {
    fn number(self) -> u64 {
        self.0
    }
}

impl RowKey for crate::border::JobId {
    fn number(self) -> u64 {
        self.0
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Rows<K, V> {
    /// Rising.
    rows: Vec<(K, Option<V>)>,
    /// How many are not empty.
    len: usize,
}

impl<K, V> Default for Rows<K, V> {
    fn default() -> Rows<K, V> {
        Rows { rows: Vec::new(), len: 0 }
    }
}

impl<K: RowKey, V> Rows<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an entry in; what was there before. One whose key does not rise costs a move of all behind it.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = match self.rows.last() {
            Some(&(last, _)) if last >= key => match self.find(key) {
                Ok(at) => self.rows[at].1.replace(value),
                Err(at) => {
                    self.rows.insert(at, (key, Some(value)));
                    None
                }
            },
            _ => {
                self.rows.push((key, Some(value)));
                None
            }
        };
        self.len += usize::from(old.is_none());
        old
    }

    pub fn remove(&mut self, key: K) -> Option<V> {
        let at = self.find(key).ok()?;
        let value = self.rows[at].1.take()?;
        self.len -= 1;
        if self.rows.len() > 2 * self.len + SLACK {
            self.rows.retain(|(_, value)| value.is_some());
            self.rows.shrink_to(4 * self.len + SLACK);
        }
        Some(value)
    }

    pub fn get(&self, key: K) -> Option<&V> {
        self.rows[self.find(key).ok()?].1.as_ref()
    }

    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        self.rows[at].1.as_mut()
    }

    pub fn contains_key(&self, key: K) -> bool {
        self.get(key).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> + '_ {
        self.rows.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> + '_ {
        self.rows.iter_mut().filter_map(|(key, value)| Some((*key, value.as_mut()?)))
    }

    pub fn keys(&self) -> impl Iterator<Item = K> + '_ {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> + '_ {
        self.iter().map(|(_, value)| value)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> + '_ {
        self.iter_mut().map(|(_, value)| value)
    }

    /// Takes out what does not hold.
    pub fn retain(&mut self, holds: impl Fn(&V) -> bool) {
        self.rows.retain(|(_, value)| value.as_ref().is_some_and(&holds));
        self.len = self.rows.len();
    }

    /// Where a key stands, or would.
    fn find(&self, key: K) -> Result<usize, usize> {
        let Some(&(first, _)) = self.rows.first() else { return Err(0) };
        // Keys rise by one at least, so it stands no further than this, and exactly here where none is left out.
        let ahead = usize::try_from(key.number().saturating_sub(first.number())).unwrap_or(usize::MAX);
        match self.rows.get(ahead) {
            Some(&(there, _)) if there == key => Ok(ahead),
            _ => {
                let end = self.rows.len().min(ahead.saturating_add(1));
                self.rows[..end].binary_search_by_key(&key, |&(key, _)| key)
            }
        }
    }
}

/// As a map.
impl<K: RowKey + Put, V: Put> Put for Rows<K, V> {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.len);
        self.iter().for_each(|entry| entry.put(to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::border::PeerKey;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        /// It holds what a map that is known to be right holds, in the same order.
        #[test]
        fn it_is_a_map(changes in proptest::collection::vec((0u32..6, 0u64..80), 0..400)) {
            let (mut rows, mut right, mut next) = (Rows::default(), BTreeMap::new(), 7);
            for (what, number) in changes {
                match what {
                    // Mostly a new one that rises, with a gap now and then.
                    0..3 => {
                        next += 1 + number / 60;
                        prop_assert_eq!(rows.insert(PeerKey(next), number), right.insert(PeerKey(next), number));
                    }
                    3 => {
                        let key = PeerKey(number);
                        prop_assert_eq!(rows.insert(key, number), right.insert(key, number));
                        next = next.max(number);
                    }
                    _ => {
                        let key = PeerKey(number);
                        prop_assert_eq!(rows.get(key), right.get(&key));
                        prop_assert_eq!(rows.get_mut(key), right.get_mut(&key));
                        prop_assert_eq!(rows.remove(key), right.remove(&key));
                        prop_assert!(!rows.contains_key(key));
                    }
                }
                prop_assert_eq!((rows.len(), rows.is_empty()), (right.len(), right.is_empty()));
                prop_assert!(rows.rows.len() <= 2 * rows.len + SLACK);
            }
            rows.retain(|number| number % 2 == 0);
            right.retain(|_, number| *number % 2 == 0);
            prop_assert_eq!(rows.len(), right.len());
            prop_assert!(rows.iter().eq(right.iter().map(|(&key, value)| (key, value))));
            prop_assert!(rows.iter_mut().eq(right.iter_mut().map(|(&key, value)| (key, value))));
            prop_assert!(rows.keys().eq(right.keys().copied()));
            prop_assert!(rows.values().eq(right.values()));
            prop_assert!(rows.values_mut().eq(right.values_mut()));
        }
    }
}
