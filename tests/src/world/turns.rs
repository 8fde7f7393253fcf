//! What waits for a node's line: the streams that have something on it are served in turn.
//!
//! So do computers that have a buffer for each stream, and streams that share a line: whoever sends a lot has its share, and a handshake on
//! another stream does not wait until all of that has gone.

use parcacik_core::border::TcpId;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// The queue of each stream, none of them empty.
#[derive(Debug)]
pub(super) struct Turns<T> {
    waiting: BTreeMap<TcpId, VecDeque<T>>,
    /// Whose turn it was.
    served: Option<TcpId>,
}

impl<T> Turns<T> {
    /// Nothing waits.
    pub fn new() -> Turns<T> {
        Turns { waiting: BTreeMap::new(), served: None }
    }

    /// Puts something behind what waits of its stream.
    pub fn push_back(&mut self, tcp: TcpId, what: T) {
        self.waiting.entry(tcp).or_default().push_back(what);
    }

    /// Puts something before what waits of its stream.
    pub fn push_front(&mut self, tcp: TcpId, what: T) {
        self.waiting.entry(tcp).or_default().push_front(what);
    }

    /// What goes next: something of the stream behind the one whose turn it was.
    pub fn pop(&mut self) -> Option<(TcpId, T)> {
        let after = self.served.map_or(Unbounded, Excluded);
        let behind = self.waiting.range((after, Unbounded)).next();
        let &tcp = behind.or_else(|| self.waiting.first_key_value()).map(|(tcp, _)| tcp)?;
        self.served = Some(tcp);
        let queue = self.waiting.get_mut(&tcp)?;
        let what = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&tcp);
        }
        what.map(|what| (tcp, what))
    }

    /// Whether something of a stream waits.
    pub fn has(&self, tcp: TcpId) -> bool {
        self.waiting.contains_key(&tcp)
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        *self = Turns::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_served_in_turn_and_each_in_its_order() {
        let mut turns = Turns::new();
        for (tcp, text) in [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (2, "f")] {
            turns.push_back(TcpId(tcp), text);
        }
        turns.push_front(TcpId(2), "e");
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).map(|(tcp, text)| (tcp.0, text)).collect();
        assert_eq!(order, [(1, "a"), (2, "e"), (1, "b"), (2, "d"), (1, "c"), (2, "f")]);
        assert!(!turns.has(TcpId(1)));
    }
}
