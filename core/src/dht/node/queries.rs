//! The queries that are under way, each known by a transaction id that nobody guesses, and by the address that was asked.

use super::TaskId;
use crate::dht::NodeId;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::rng::Rng;
use crate::time::Time;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::SocketAddr;
use core::time::Duration;

/// A transaction id: 32 bits. An answer has to repeat it from the address that was asked, within seconds.
pub(super) type Transaction = [u8; 4];

/// What a query was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To see whether a node is there, and to learn of others: the table's own.
    Table,
    /// To begin with.
    Bootstrap,
    /// A step of a task's lookup.
    Lookup(TaskId),
    /// What a task stores in the end.
    Store(TaskId),
    /// A task that is this one query.
    Single(TaskId),
    /// A step of a task that walks from node to node.
    Crawl(TaskId),
}

canon_enum!(out Purpose { 0 = Table, 1 = Bootstrap, 2 = Lookup(task), 3 = Store(task), 4 = Single(task), 5 = Crawl(task) });

/// A query that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    /// Who was asked.
    pub to: SocketAddr,
    /// Under which id it is known, if under any.
    pub id: Option<NodeId>,
    /// When.
    pub sent: Time,
    /// What for.
    pub purpose: Purpose,
}

canon_struct!(out Query { to, id, sent, purpose });

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Queries {
    rng: Rng,
    open: BTreeMap<Transaction, Query>,
    /// In the order they were sent. Those that were answered are passed over.
    order: VecDeque<(Time, Transaction)>,
}

canon_struct!(out Queries { rng, open, order });

impl Queries {
    pub(super) fn new(rng: Rng) -> Queries {
        Queries { rng, open: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether a query to this address is under way that only keeps the table, or begins with it.
    pub(super) fn asks(&self, to: SocketAddr) -> bool {
        self.open.values().any(|query| query.to == to && matches!(query.purpose, Purpose::Table | Purpose::Bootstrap))
    }

    /// Notes a query, and says by which transaction.
    pub(super) fn open(&mut self, query: Query) -> Transaction {
        let mut transaction = self.rng.next_u32().to_be_bytes();
        // Some hundred of 2^32 are taken: the next one is free soon.
        while self.open.contains_key(&transaction) {
            transaction = self.rng.next_u32().to_be_bytes();
        }
        self.open.insert(transaction, query);
        self.order.push_back((query.sent, transaction));
        transaction
    }

    /// An answer came. Which query it answers, if any: that is over now.
    pub(super) fn close(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Query> {
        let transaction: Transaction = transaction.try_into().ok()?;
        if self.open.get(&transaction)?.to != from {
            return None;
        }
        let query = self.open.remove(&transaction);
        while self.order.front().is_some_and(|(_, first)| !self.open.contains_key(first)) {
            self.order.pop_front();
        }
        query
    }

    /// A query that was sent longer ago than `life`: it is over now. To be called until there is none.
    pub(super) fn expire(&mut self, now: Time, life: Duration) -> Option<Query> {
        while let Some((sent, transaction)) = self.order.front().copied() {
            if now < sent + life {
                return None;
            }
            self.order.pop_front();
            if let Some(query) = self.open.remove(&transaction) {
                return Some(query);
            }
        }
        None
    }

    /// When [`expire`](Queries::expire) is due.
    pub(super) fn deadline(&self, life: Duration) -> Option<Time> {
        self.order.front().map(|(sent, _)| *sent + life)
    }
}
