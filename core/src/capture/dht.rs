//! Messages of the DHT, as they came.

use crate::bencode::{Document, Limits, Mode};
use crate::dht::krpc::{Body, Message, Method, Refused};
use bytes::Bytes;
use core::fmt;

/// What it may cost to tell whether a datagram is a message at all. Some are longer than those that a node reads.
const LIMITS: Limits = Limits { bytes: 65_535, depth: 100, tokens: 1 << 15 };

/// A datagram of the DHT (BEP 5).
#[derive(Clone, PartialEq, Eq)]
pub struct DhtDatagram {
    bytes: Bytes,
    name: &'static str,
}

impl DhtDatagram {
    /// Takes a datagram for one. BEP 5: every message is a dictionary with `y`: "q" for query, "r" for response, or "e" for error.
    pub(super) fn tell(bytes: &Bytes) -> Option<DhtDatagram> {
        let is_message = bytes.first() == Some(&b'd')
            && Document::decode_prefix(bytes, Mode::Tolerant, &LIMITS).is_ok_and(|document| {
                let kind = document.root().dict().and_then(|dict| dict.get("y")).and_then(|kind| kind.bytes());
                matches!(kind, Some(b"q" | b"r" | b"e"))
            });
        if !is_message {
            return None;
        }
        let name = match Message::parse(bytes) {
            Ok(message) => name(&message.body),
            Err(_) => "dht_unreadable",
        };
        Some(DhtDatagram { bytes: bytes.clone(), name })
    }

    /// What it says.
    ///
    /// # Errors
    /// When a node could make nothing of it.
    pub fn message(&self) -> Result<Message<'_>, Refused<'_>> {
        Message::parse(&self.bytes)
    }

    /// A name for counts: `dht_ping` and so on for queries, `dht_response`, `dht_error`; `dht_unknown_method` for a query that is not known,
    /// `dht_unreadable` for what a node could make nothing of.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

fn name(body: &Body<'_>) -> &'static str {
    match body {
        Body::Query(query) => match query.method {
            Method::Ping => "dht_ping",
            Method::FindNode { .. } => "dht_find_node",
            Method::GetPeers { .. } => "dht_get_peers",
            Method::AnnouncePeer { .. } => "dht_announce_peer",
            Method::Get { .. } => "dht_get",
            Method::Put { .. } => "dht_put",
            Method::SampleInfohashes { .. } => "dht_sample_infohashes",
            Method::Unknown { .. } => "dht_unknown_method",
        },
        Body::Response(_) => "dht_response",
        Body::Error(_) => "dht_error",
    }
}

impl fmt::Debug for DhtDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Ok(message) => fmt::Debug::fmt(&message, f),
            Err(refused) => write!(f, "unreadable: {refused}"),
        }
    }
}
