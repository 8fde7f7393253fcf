//! What waits for a node's line: the streams that have something to send are served in turn.
//!
//! So does a computer that has a buffer for each stream: whoever takes a lot has its share of the line, and a handshake on another stream
//! does not wait until all of that has gone.

use super::Parcel;
use parcacik_core::border::TcpId;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// The queue of each stream, none of them empty.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    waiting: BTreeMap<TcpId, VecDeque<Parcel>>,
    /// Whose turn it was.
    served: Option<TcpId>,
}

impl Uplink {
    /// Puts something behind what its stream has handed over.
    pub fn push_back(&mut self, parcel: Parcel) {
        self.waiting.entry(parcel.tcp()).or_default().push_back(parcel);
    }

    /// Puts something before what its stream has handed over.
    pub fn push_front(&mut self, parcel: Parcel) {
        self.waiting.entry(parcel.tcp()).or_default().push_front(parcel);
    }

    /// What goes next: something of the stream behind the one whose turn it was.
    pub fn pop(&mut self) -> Option<Parcel> {
        let after = self.served.map_or(Unbounded, Excluded);
        let behind = self.waiting.range((after, Unbounded)).next();
        let &tcp = behind.or_else(|| self.waiting.first_key_value()).map(|(tcp, _)| tcp)?;
        self.served = Some(tcp);
        let queue = self.waiting.get_mut(&tcp)?;
        let parcel = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&tcp);
        }
        parcel
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.served = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_served_in_turn_and_each_in_its_order() {
        let mut uplink = Uplink::default();
        let bytes = |tcp: u64, text: &'static [u8]| Parcel::Bytes { tcp: TcpId(tcp), bytes: text.into() };
        for parcel in [bytes(1, b"a"), bytes(1, b"b"), bytes(1, b"c"), bytes(2, b"d"), Parcel::End { tcp: TcpId(2) }] {
            uplink.push_back(parcel);
        }
        uplink.push_front(bytes(2, b"e"));
        let mut order = Vec::new();
        while let Some(parcel) = uplink.pop() {
            order.push(match parcel {
                Parcel::Bytes { tcp, bytes } => (tcp.0, String::from_utf8_lossy(&bytes).into_owned()),
                Parcel::End { tcp } => (tcp.0, String::new()),
            });
        }
        let order: Vec<_> = order.iter().map(|(tcp, text)| (*tcp, text.as_str())).collect();
        assert_eq!(order, [(1, "a"), (2, "e"), (1, "b"), (2, "d"), (1, "c"), (2, "")]);
    }
}
