//! Getting and putting items (BEP 44).

use crate::dht::krpc::{Method, Response, Signed};
use crate::dht::{Item, NodeId};
use crate::journal::canon::canon_struct;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Looks for an item.
#[derive(Clone, Debug)]
pub(super) struct Get {
    /// What the asker has for a mutable one.
    salt: Vec<u8>,
    /// The newest number that is known.
    newest: Option<i64>,
}

canon_struct!(out Get { salt, newest });

impl Get {
    pub(super) fn new(salt: Vec<u8>, newer_than: Option<i64>) -> Get {
        Get { salt, newest: newer_than }
    }

    /// What to ask for: only what is newer than what we have. BEP 44: "The optional `seq` field specifies that an item's value
    /// should only be sent if its sequence number is greater than the given value."
    pub(super) fn seq(&self) -> Option<i64> {
        self.newest
    }

    /// Reads an answer: the item in it, if it proves itself and is newer than what came before.
    pub(super) fn heard(&mut self, target: NodeId, response: &Response<'_>) -> Option<Item> {
        // A signature costs more than a comparison, and answers with the same number are the rule.
        if response.key.is_some() && response.seq.is_none_or(|seq| self.newest.is_some_and(|newest| seq <= newest)) {
            return None;
        }
        let item = Item::from_response(target, &self.salt, response).ok()??;
        self.newest = item.seq().max(self.newest);
        Some(item)
    }
}

/// Stores an item.
#[derive(Clone, Debug)]
pub(super) struct Put {
    item: Item,
    cas: Option<i64>,
    /// Who has an item under the key already.
    holders: BTreeSet<SocketAddr>,
}

canon_struct!(out Put { item, cas, holders });

impl Put {
    pub(super) fn new(item: Item, cas: Option<i64>) -> Put {
        Put { item, cas, holders: BTreeSet::new() }
    }

    /// Reads an answer on the way.
    pub(super) fn heard(&mut self, from: SocketAddr, response: &Response<'_>) {
        if response.value.is_some() || response.seq.is_some() {
            self.holders.insert(from);
        }
    }

    /// What to send to a node. BEP 44: "When sending a `put` request to a node that did not return any data for the `get`, the
    /// `cas` field SHOULD NOT be included."
    pub(super) fn method<'a>(&'a self, to: SocketAddr, token: &'a [u8]) -> Method<'a> {
        let signed = match &self.item {
            Item::Immutable(_) => None,
            Item::Mutable(item) => Some(Signed {
                key: item.key(),
                signature: item.signature(),
                seq: item.seq(),
                salt: item.salt(),
                cas: self.cas.filter(|_| self.holders.contains(&to)),
            }),
        };
        Method::Put { token, value: self.item.value(), signed }
    }
}
