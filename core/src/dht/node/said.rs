//! The words between a node and whoever runs it.

use crate::border::InfoHash;
use crate::dht::krpc::{Contact, ErrorCode};
use crate::dht::{Item, NodeId};
use crate::journal::canon::{Encoder, Put, canon_struct};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Something that a node was asked to do: its name in what the node says of it. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// How peers are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerWish {
    /// Rather peers that are no seeds (BEP 33): we are one ourselves.
    pub no_seed: bool,
    /// How many there are, too (BEP 33).
    pub scrape: bool,
}

canon_struct!(out PeerWish { no_seed, scrape });

impl Put for TaskId {
    fn put(&self, to: &mut Encoder<'_>) {
        self.0.put(to);
    }
}

/// What is announced of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The port to be reached at; `None`: the one that the node's datagrams come from (BEP 5, "implied_port").
    pub port: Option<u16>,
    /// Whether we have everything (BEP 33).
    pub seed: bool,
}

canon_struct!(out Announce { port, seed });

/// What a node has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeSaid {
    /// Peers of a torrent, each told once in a task. Hints: whoever answered may lie.
    Peers {
        /// The task.
        task: TaskId,
        /// The torrent.
        info_hash: InfoHash,
        /// Who named them.
        from: SocketAddr,
        /// Where they are.
        peers: Vec<SocketAddr>,
    },
    /// A version of an item that proves itself, newer than those said before.
    Item {
        /// The task.
        task: TaskId,
        /// The item.
        item: Item,
    },
    /// What a node has peers of (BEP 51).
    Samples {
        /// The task.
        task: TaskId,
        /// Who says so.
        from: Contact,
        /// How many torrents it knows in all.
        num: u64,
        /// For how long it will say the same.
        interval: Duration,
        /// Some of them.
        samples: Vec<InfoHash>,
    },
    /// A task is over.
    Ended {
        /// The task.
        task: TaskId,
        /// What came of it.
        outcome: Outcome,
    },
    /// Nodes of the other family, for its node to begin with.
    OtherFamily(Vec<Contact>),
    /// Enough nodes are known to find anything.
    Ready,
    /// Nobody that it could begin with has answered. It tries again, after longer and longer waits; this is said once, and again only
    /// after somebody had answered.
    Unreachable {
        /// How long until it is tried again.
        retry: Duration,
    },
    /// Enough others see us at this address, and the node's id is one that fits it (BEP 42).
    OwnAddress {
        /// The address.
        ip: IpAddr,
        /// The id from now on.
        id: NodeId,
    },
    /// What [`Node::save`](super::Node::save) gives is worth storing.
    SaveDue,
}

/// What came of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many queries were sent.
    pub queries: u32,
    /// How many were answered.
    pub answers: u32,
    /// The closest nodes that answered; of a ping, the node, and of a lookup of a node, where it is if it is there.
    pub closest: Vec<Contact>,
    /// How many of the closest have stored what was announced or put.
    pub stored: u32,
    /// Who refused to, and why.
    pub refused: Vec<(SocketAddr, ErrorCode)>,
    /// How many torrent's seeds and other peers there are, as far as that can be told from filters of addresses (BEP 33).
    pub scrape: Option<(u32, u32)>,
    /// Of a ping: how long it took.
    pub rtt: Option<Duration>,
    /// Of a ping: what the node says that it runs (BEP 5, `v`), as it says it: any bytes, [`MAX_VERSION`](crate::dht::krpc::MAX_VERSION) of them at the
    /// most.
    pub version: Option<Vec<u8>>,
    /// It was given up: nobody was known who could have been asked, or the node is overburdened.
    pub starved: bool,
}

canon_struct!(out Outcome { queries, answers, closest, stored, refused, scrape, rtt, version, starved });

/// What a node has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams that came.
    pub received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Queries that were sent.
    pub queries: u64,
    /// Answers to them.
    pub answers: u64,
    /// Refusals of them.
    pub errors: u64,
    /// Queries that nobody answered.
    pub timeouts: u64,
    /// Queries of others.
    pub asked: u64,
    /// Answers and refusals that were given.
    pub replies: u64,
    /// Queries that got none, because their sender, or everybody together, had had enough.
    pub silenced: u64,
    /// Datagrams that were not read, because their sender is blocked.
    pub ignored: u64,
    /// Answers that nobody had asked for.
    pub strays: u64,
    /// Datagrams that are no messages, or were refused as such.
    pub malformed: u64,
}

canon_struct!(out Stats {
    received,
    bytes_received,
    sent,
    bytes_sent,
    queries,
    answers,
    errors,
    timeouts,
    asked,
    replies,
    silenced,
    ignored,
    strays,
    malformed,
});

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Where others see it, as far as enough of them agree.
    pub external: Option<IpAddr>,
    /// How many contacts have a place in its table.
    pub contacts: usize,
    /// How many of them are good.
    pub good: usize,
    /// How many wait for a place.
    pub waiting: usize,
    /// Lookups and other tasks under way.
    pub tasks: usize,
    /// Queries under way.
    pub queries: usize,
    /// Senders whose rate is watched.
    pub sources: usize,
    /// Torrents that it stores peers of.
    pub torrents: usize,
    /// Peers that it stores.
    pub peers: usize,
    /// Items that it stores.
    pub items: usize,
    /// How many nodes there are in all, by how close the closest are to us: right to within a factor of about two.
    pub network: u64,
    /// What it has done.
    pub stats: Stats,
}
