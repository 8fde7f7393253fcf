//! What a dissection gives: the words of this module.

use crate::border::{AnnounceResponse, InfoHash, PeerId, ScrapeCounts};
use crate::lsd::LsdMessage;
use crate::tracker::Reply;
use crate::tracker::http::{HttpAnnounce, QueryError};
use crate::tracker::udp::{UdpRequest, UdpResponse};
use crate::wire::{Handshake, Message, Reserved, WireError};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

pub use super::dht::DhtDatagram;
pub use super::tcp::HalfCounts;

/// When a frame was captured: nanoseconds since 1970-01-01 00:00 UTC, by the clock of the machine that captured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub u64);

impl Stamp {
    /// How long ago `earlier` was; zero when it lies in the future.
    pub const fn since(self, earlier: Stamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A side of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who dialled.
    A,
    /// Who accepted.
    B,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// A TCP connection of a capture: its place in [`Dissector::streams`](super::Dissector::streams).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// What a TCP connection carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing was sent, or too little to tell.
    #[default]
    Unknown,
    /// The peer wire protocol.
    Peer,
    /// HTTP.
    Http,
    /// Something else, or peers that encrypt.
    Opaque,
}

/// What is known of a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// Who dialled.
    pub a: SocketAddr,
    /// Who accepted.
    pub b: SocketAddr,
    /// Whether that was seen. Otherwise the capture began later, and A is who sent the first bytes in it.
    pub dialled: bool,
    /// When its first segment was captured.
    pub opened: Stamp,
    /// What it carries.
    pub protocol: Protocol,
    /// What is known of A and of B.
    pub sides: [SideFacts; 2],
}

impl StreamFacts {
    /// What is known of a side.
    pub fn side(&self, side: Side) -> &SideFacts {
        let [a, b] = &self.sides;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    /// The address of a side.
    pub fn addr(&self, side: Side) -> SocketAddr {
        match side {
            Side::A => self.a,
            Side::B => self.b,
        }
    }

    /// The torrent that the peers talk about: what A named, or else what B did.
    pub fn info_hash(&self) -> Option<InfoHash> {
        let [a, b] = &self.sides;
        a.info_hash.or(b.info_hash)
    }
}

/// What is known of one side of a TCP connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideFacts {
    /// Of its handshake, or of the 48 bytes that are enough to be answered.
    pub info_hash: Option<InfoHash>,
    /// Of its handshake.
    pub peer_id: Option<PeerId>,
    /// Of its handshake.
    pub reserved: Option<Reserved>,
    /// What was noticed of its segments.
    pub counts: HalfCounts,
    /// Bytes that were captured and belong to nothing that was decoded.
    pub undecoded: u64,
    /// How it ended, if it did.
    pub ended: Option<(Stamp, Ending)>,
}

/// How a side of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said that nothing follows (FIN).
    Closed,
    /// It broke the connection off (RST).
    Reset,
}

/// Bytes of one side of a TCP connection as they came to the other, cut as the segments were that brought them: in order, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// When they were captured, or those that came late before them.
    pub time: Stamp,
    /// Who sent them.
    pub from: Side,
    /// The first of them, counted like [`Item::range`].
    pub start: u64,
    /// They.
    pub bytes: Bytes,
}

/// Something that was said on a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// When its last byte was captured, or the bytes that came late before it.
    pub time: Stamp,
    /// Who said it.
    pub from: Side,
    /// Its bytes, counted from the start of what this side sent; where the start was not captured, from the first that was. Bytes that are
    /// missing in the capture count.
    pub range: Range<u64>,
    /// What it is.
    pub said: Said,
}

/// What was said.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A handshake (BEP 3).
    Handshake(Handshake),
    /// A message.
    Message {
        /// It.
        message: Message,
        /// Of a message of an extension (BEP 10): the extension's name in the handshake of whom it is sent to; `handshake` for number 0.
        extension: Option<String>,
    },
    /// A message of which bytes are not in the capture.
    Damaged(DamagedMessage),
    /// Bytes that make no message; what follows is searched for the start of one.
    Fault(WireError),
    /// A request by HTTP.
    Request(HttpRequest),
    /// An answer by HTTP.
    Response(HttpResponse),
    /// Bytes that were not decoded.
    Undecoded,
    /// Bytes that are not in the capture.
    Gap,
    /// The side has ended. The range is empty.
    End(Ending),
}

/// What is known of a message of which bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedMessage {
    /// Its number, if that was captured.
    pub id: Option<u8>,
    /// Of a `piece` message: its piece and where in it the data begin.
    pub block: Option<(u32, u32)>,
    /// How many of its bytes are missing.
    pub missing: u64,
}

/// A request by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, mostly.
    pub method: String,
    /// The path and the query, as they stand.
    pub target: String,
    /// The header `Host`.
    pub host: Option<String>,
    /// The header `User-Agent`.
    pub agent: Option<String>,
    /// What is asked for.
    pub asked: HttpAsked,
}

/// What a request by HTTP asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAsked {
    /// It is an announce: its query names a torrent and a peer.
    Announce(alloc::boxed::Box<HttpAnnounce>),
    /// It is a scrape.
    Scrape(Vec<InfoHash>),
    /// It names a torrent, and is neither.
    Bad(QueryError),
    /// Anything else.
    Other,
}

/// An answer by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200, mostly.
    pub status: u16,
    /// The length of its body in bytes.
    pub length: u64,
    /// What it says.
    pub answered: HttpAnswered,
}

/// What an answer by HTTP says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAnswered {
    /// It answers an announce.
    Announced(Reply<AnnounceResponse>),
    /// It answers a scrape.
    Scraped(Reply<Vec<(InfoHash, ScrapeCounts)>>),
    /// It should, but cannot be read; why.
    Bad(String),
    /// It does, but its body is compressed: the header `Content-Encoding`.
    Encoded(String),
    /// Anything else.
    Other,
}

/// A UDP datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When it was captured.
    pub time: Stamp,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom to.
    pub to: SocketAddr,
    /// Its length in bytes.
    pub length: u32,
    /// What it is.
    pub kind: DatagramKind,
}

/// What a UDP datagram is.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatagramKind {
    /// To a tracker (BEP 15).
    TrackerRequest(UdpRequest),
    /// From a tracker (BEP 15).
    TrackerResponse {
        /// Which request it answers.
        transaction: u32,
        /// What it says.
        response: UdpResponse,
    },
    /// Of a uTP connection (BEP 29).
    Utp,
    /// Of the DHT (BEP 5).
    Dht(DhtDatagram),
    /// Of local service discovery (BEP 14): an announce, or (`None`) something that begins like one.
    Lsd(Option<LsdMessage>),
    /// Anything else.
    Other,
}

impl DatagramKind {
    /// A name for counts.
    pub fn name(&self) -> &'static str {
        match self {
            DatagramKind::TrackerRequest(UdpRequest::Connect { .. }) => "tracker_connect_request",
            DatagramKind::TrackerRequest(UdpRequest::Announce { .. }) => "tracker_announce_request",
            DatagramKind::TrackerRequest(UdpRequest::Scrape { .. }) => "tracker_scrape_request",
            DatagramKind::TrackerResponse { response, .. } => match response {
                UdpResponse::Connected { .. } => "tracker_connect_response",
                UdpResponse::Announced(_) => "tracker_announce_response",
                UdpResponse::Scraped(_) => "tracker_scrape_response",
                UdpResponse::Error(_) => "tracker_error",
            },
            DatagramKind::Utp => "utp",
            DatagramKind::Dht(dht) => dht.name(),
            DatagramKind::Lsd(_) => "lsd",
            DatagramKind::Other => "other",
        }
    }
}

/// What was heard: the output of a [`Dissector`](super::Dissector).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something on a TCP connection.
    Stream(StreamId, Item),
    /// A UDP datagram.
    Datagram(Datagram),
}
