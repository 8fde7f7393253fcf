//! KRPC: the words of the DHT, one bencoded dictionary in each datagram.
//!
//! BEP 5: "A single query packet is sent out and a single packet is sent in response. There is no retry. There are three message
//! types: query, response, and error."
//!
//! [`Message::parse`] borrows from the datagram, and [`Message::encode`] writes canonically. What a response is, only who asked can
//! tell: it is a bag of fields ([`Response`]), each there or not. Where a field of it cannot be read the others still count, and
//! [`Response::faults`] names it. A query counts as a whole, as something is to be done for it; what is wrong with one, and
//! what to answer, is in [`Refused`].
//!
//! ```
//! use parcacik_core::dht::krpc::{Body, Message, Method};
//!
//! let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
//! let message = Message::parse(ping).unwrap();
//! assert_eq!(message.transaction, b"aa");
//! let Body::Query(query) = &message.body else { panic!("it is a query") };
//! assert_eq!((query.id.0, &query.method), (*b"abcdefghij0123456789", &Method::Ping));
//! assert_eq!(message.encode(), ping);
//!
//! let refused = Message::parse(b"d1:ade1:q4:ping1:t2:aa1:y1:qe").unwrap_err();
//! assert_eq!(refused.to_string(), "field \"id\" (byte 4): missing");
//! let answer = refused.answer().unwrap();
//! assert_eq!(answer.encode(), b"d1:eli203e13:invalid querye1:t2:aa1:y1:ee");
//! ```
//!
//! # What is let pass
//! Keys out of order, leading zeros, integers that are too large for anything, unknown keys, bytes behind the dictionary (all seen
//! in the wild, none means anything), a list of nodes that ends inside one, nodes and peers that cannot be reached (left
//! out), and `values` packed into one string as the first client had it. Not inside an item: BEP 44: "If the
//! value in a `put` request contains invalid bencoding (e.g. a dictionary with unsorted keys), the storing node MUST reject the
//! request".
//!
//! # Limits
//! The constants below. Reading allocates for what is there, never for what is announced: a tape of 8 bytes for each list or dictionary
//! in the datagram, and the addresses that were read. Of what is written, a response keeps within [`MAX_RESPONSE`], whatever it is
//! given.

mod compact;
mod emit;
mod parse;
#[cfg(test)]
mod tests;

pub(super) use parse::is_canonical;
pub use parse::{Fault, Refused, Role};

use super::NodeId;
use crate::bencode::{FieldError, FieldFault};
use crate::border::InfoHash;
use crate::journal::canon::{Encoder, Put, canon_struct};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

/// The most bytes of a datagram that is read. Larger ones were cut into fragments on their way (an Ethernet packet holds 1,500), which
/// nobody does who wants them to arrive; BEP 32 demands 1,024.
pub const MAX_DATAGRAM: usize = 4096;
/// The most bytes of a response or an error that is written. An IPv6 packet of 1,280 bytes, which passes everywhere, holds
/// 1,232; BEP 32 asks for 1,024 at most, which an item of BEP 44 alone exceeds.
pub const MAX_RESPONSE: usize = 1200;
/// The most bytes of a query that is written: a `put` of the largest item, with the longest salt, token and numbers. All others have
/// less than 300.
pub const MAX_QUERY: usize = 1400;
/// The most bytes of a transaction id. Real ones have 1 to 8; each is sent back in the answer.
pub const MAX_TRANSACTION: usize = 32;
/// The most bytes of a token. Real ones have 4 to 20; each is kept until the announce is out.
pub const MAX_TOKEN: usize = 64;
/// The most bytes of a version that are read. BEP 5 has four.
pub const MAX_VERSION: usize = 16;
/// The most bytes of a method's name that are kept, of one that is not known. The longest that is known has 17.
pub const MAX_METHOD: usize = 64;
/// The most nodes of a family that are read from one response. BEP 5 has 8, some send 20.
pub const MAX_NODES: usize = 32;
/// The most peers that are read from one response, and written into one. libtorrent sends 100 at most.
pub const MAX_VALUES: usize = 100;
/// The most info-hashes that are read from one response: more do not fit into a datagram that arrives.
pub const MAX_SAMPLES: usize = 72;
/// The most bytes of an item, bencoded (BEP 44: "it's not safe to assume storing more than 1000 bytes will succeed").
pub const MAX_VALUE: usize = 1000;
/// The most bytes of a salt (BEP 44: "MUST NOT be longer than 64 bytes").
pub const MAX_SALT: usize = 64;
/// The most bytes of an error's text that are read, and written.
pub const MAX_ERROR_TEXT: usize = 200;
/// The longest interval of samples, in seconds (BEP 51: "between 0 and 21600 seconds (inclusive)").
pub const MAX_INTERVAL: u32 = 21_600;

/// A datagram's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `t`: chosen by who asks, repeated in the answer.
    pub transaction: &'a [u8],
    /// `v`: the sender's program, two letters and two bytes of a version. Not everybody says it.
    pub version: Option<&'a [u8]>,
    /// `ip` (BEP 42): where the sender of an answer sees its receiver. Port 0 when it only told the address.
    pub ip: Option<SocketAddr>,
    /// `ro` (BEP 43): the sender of a query answers none itself, so it belongs into nobody's table.
    pub read_only: bool,
    /// What it says.
    pub body: Body<'a>,
}

/// The three kinds of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// `q`.
    Query(Query<'a>),
    /// `r`.
    Response(Response<'a>),
    /// `e`.
    Error(ErrorReply<'a>),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Who asks.
    pub id: NodeId,
    /// What.
    pub method: Method<'a>,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// Are you there? (BEP 5)
    Ping,
    /// Which nodes do you know that are closest to this? (BEP 5)
    FindNode {
        /// To what.
        target: NodeId,
        /// Nodes of which family; `None`: of that which the query came by (BEP 32).
        want: Option<Want>,
    },
    /// Which peers of a torrent do you know, and which nodes that are closer to it? (BEP 5)
    GetPeers {
        /// The torrent.
        info_hash: InfoHash,
        /// Nodes of which family; `None`: of that which the query came by (BEP 32).
        want: Option<Want>,
        /// Rather no seeds, please (BEP 33).
        no_seed: bool,
        /// The two filters too, please (BEP 33).
        scrape: bool,
    },
    /// Remember me as a peer of a torrent (BEP 5).
    AnnouncePeer {
        /// The torrent.
        info_hash: InfoHash,
        /// The port to be reached at. 0 only where it is implied and none is said.
        port: u16,
        /// "the port argument should be ignored and the source port of the UDP packet should be used as the peer's port instead".
        implied_port: bool,
        /// It has everything (BEP 33).
        seed: bool,
        /// What the receiver answered to a `get_peers`.
        token: &'a [u8],
    },
    /// What is stored under this key? (BEP 44)
    Get {
        /// The key.
        target: NodeId,
        /// Only if its number is greater than this.
        seq: Option<i64>,
        /// Nodes of which family; `None`: of that which the query came by.
        want: Option<Want>,
    },
    /// Store an item (BEP 44).
    Put {
        /// What the receiver answered to a `get`.
        token: &'a [u8],
        /// The item: one bencoded value, [`MAX_VALUE`] bytes at most, canonical.
        value: &'a [u8],
        /// What a mutable item has besides; `None` for one that is immutable.
        signed: Option<Signed<'a>>,
    },
    /// Which torrents do you know peers of? (BEP 51)
    SampleInfohashes {
        /// Nodes close to this, please, too.
        target: NodeId,
        /// Nodes of which family; `None`: of that which the query came by.
        want: Option<Want>,
    },
    /// A method that is not known here. The answer is [`ErrorCode::METHOD_UNKNOWN`].
    Unknown {
        /// Its name, [`MAX_METHOD`] bytes at most.
        name: &'a [u8],
        /// The key that it is about (`target` or `info_hash`), if it says one.
        target: Option<NodeId>,
    },
}

/// What the writer of a mutable item adds to it (BEP 44). Sizes are right, nothing else is checked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// `k`: the ed25519 public key.
    pub key: &'a [u8; 32],
    /// `sig`: the signature over salt, number and value.
    pub signature: &'a [u8; 64],
    /// `seq`: its number, not negative, that must grow.
    pub seq: i64,
    /// `salt`: tells items under one key apart; [`MAX_SALT`] bytes at most, empty when there is none.
    pub salt: &'a [u8],
    /// `cas`: store only over this number.
    pub cas: Option<i64>,
}

/// Which families of nodes are asked for (BEP 32). Neither: none are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Want {
    /// `n4`.
    pub v4: bool,
    /// `n6`.
    pub v6: bool,
}

/// A node and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub addr: SocketAddr,
}

canon_struct!(out Contact { id, addr });

/// An answer: what is there depends on what was asked, and on who answers.
///
/// Lists are read in the order they stand in, and cut at the limits of this module. When a response is written, lists and fields
/// are cut to what fits into [`MAX_RESPONSE`]: see [`Message::encode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// Who answers.
    pub id: NodeId,
    /// Nodes at IPv4 addresses; `None`: the field is not there, which is not the same as empty.
    pub nodes: Option<Vec<Contact>>,
    /// Nodes at IPv6 addresses (BEP 32).
    pub nodes6: Option<Vec<Contact>>,
    /// Peers of either family. `None`: the field is not there.
    pub values: Option<Vec<SocketAddr>>,
    /// What a later `announce_peer` or `put` must repeat.
    pub token: Option<&'a [u8]>,
    /// `v`: an item, bencoded and canonical, [`MAX_VALUE`] bytes at most (BEP 44).
    pub value: Option<&'a [u8]>,
    /// `k`: the key of a mutable item.
    pub key: Option<&'a [u8; 32]>,
    /// `sig`: the signature of a mutable item.
    pub signature: Option<&'a [u8; 64]>,
    /// `seq`: the number of a mutable item, not negative; alone where the item itself was not wanted.
    pub seq: Option<i64>,
    /// `BFsd`: the seeds, as a filter (BEP 33).
    pub seed_filter: Option<&'a [u8; 256]>,
    /// `BFpe`: the peers that are no seeds, as a filter (BEP 33).
    pub peer_filter: Option<&'a [u8; 256]>,
    /// Info-hashes that the node has peers of (BEP 51).
    pub samples: Option<Vec<InfoHash>>,
    /// How many it has in all (BEP 51).
    pub num: Option<u64>,
    /// For how many seconds the samples stay the same, [`MAX_INTERVAL`] at most (BEP 51).
    pub interval: Option<u32>,
    /// What could not be read, and is `None` above or was left out of a list. Never written.
    pub faults: Vec<FieldError>,
}

impl Response<'_> {
    /// An answer with nothing in it but who gives it: to a ping, an announce or a put.
    pub fn new(id: NodeId) -> Self {
        Response {
            id,
            nodes: None,
            nodes6: None,
            values: None,
            token: None,
            value: None,
            key: None,
            signature: None,
            seq: None,
            seed_filter: None,
            peer_filter: None,
            samples: None,
            num: None,
            interval: None,
            faults: Vec::new(),
        }
    }

    /// What is wrong with a field of that name (as on the wire), if anything.
    pub fn fault(&self, field: &str) -> Option<FieldFault> {
        self.faults.iter().find(|error| error.field == field).map(|error| error.fault)
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// Why.
    pub code: ErrorCode,
    /// Why, in words: untrusted, [`MAX_ERROR_TEXT`] bytes at most.
    pub text: &'a [u8],
}

impl ErrorReply<'static> {
    /// A refusal in the customary words.
    pub fn new(code: ErrorCode) -> ErrorReply<'static> {
        ErrorReply { code, text: code.text().as_bytes() }
    }
}

/// Why something is refused. Everything else that a stranger may send is a code without a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i64);

impl ErrorCode {
    /// BEP 5: anything.
    pub const GENERIC: ErrorCode = ErrorCode(201);
    /// BEP 5: the node has trouble of its own.
    pub const SERVER: ErrorCode = ErrorCode(202);
    /// BEP 5: "a malformed packet, invalid arguments, or bad token".
    pub const PROTOCOL: ErrorCode = ErrorCode(203);
    /// BEP 5: there is no such method.
    pub const METHOD_UNKNOWN: ErrorCode = ErrorCode(204);
    /// BEP 44: the value is too big.
    pub const TOO_BIG: ErrorCode = ErrorCode(205);
    /// BEP 44: the signature does not fit.
    pub const BAD_SIGNATURE: ErrorCode = ErrorCode(206);
    /// BEP 44: the salt is too big.
    pub const SALT_TOO_BIG: ErrorCode = ErrorCode(207);
    /// BEP 44: "the CAS hash mismatched, re-read value and try again".
    pub const CAS_MISMATCH: ErrorCode = ErrorCode(301);
    /// BEP 44: "sequence number less than current".
    pub const OLD_SEQ: ErrorCode = ErrorCode(302);

    /// What it means.
    pub const fn text(self) -> &'static str {
        match self {
            ErrorCode::GENERIC => "generic error",
            ErrorCode::SERVER => "server error",
            ErrorCode::PROTOCOL => "invalid query",
            ErrorCode::METHOD_UNKNOWN => "unknown method",
            ErrorCode::TOO_BIG => "value too big",
            ErrorCode::BAD_SIGNATURE => "invalid signature",
            ErrorCode::SALT_TOO_BIG => "salt too big",
            ErrorCode::CAS_MISMATCH => "CAS mismatch, read again",
            ErrorCode::OLD_SEQ => "sequence number less than current",
            _ => "unknown error",
        }
    }
}

impl Put for ErrorCode {
    fn put(&self, to: &mut Encoder<'_>) {
        self.0.put(to);
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.text())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Method<'_> {
    /// Its name on the wire.
    pub fn name(&self) -> &[u8] {
        match self {
            Method::Ping => b"ping",
            Method::FindNode { .. } => b"find_node",
            Method::GetPeers { .. } => b"get_peers",
            Method::AnnouncePeer { .. } => b"announce_peer",
            Method::Get { .. } => b"get",
            Method::Put { .. } => b"put",
            Method::SampleInfohashes { .. } => b"sample_infohashes",
            Method::Unknown { name, .. } => name,
        }
    }
}

impl<'a> Message<'a> {
    /// A question of ours.
    pub fn query(transaction: &'a [u8], id: NodeId, method: Method<'a>) -> Message<'a> {
        Message::with(transaction, Body::Query(Query { id, method }))
    }

    /// An answer of ours.
    pub fn response(transaction: &'a [u8], response: Response<'a>) -> Message<'a> {
        Message::with(transaction, Body::Response(response))
    }

    /// A refusal of ours.
    pub fn error(transaction: &'a [u8], code: ErrorCode) -> Message<'a> {
        Message::with(transaction, Body::Error(ErrorReply::new(code)))
    }

    fn with(transaction: &'a [u8], body: Body<'a>) -> Message<'a> {
        Message { transaction, version: None, ip: None, read_only: false, body }
    }
}
