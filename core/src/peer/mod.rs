//! One peer connection, from the handshake to the end.
//!
//! [`PeerConn`] speaks BEP 3 with BEP 6 (fast) and BEP 10 (extended) over a [`Link`]. It decides what follows from the
//! protocol alone: what may be said when, how many requests belong under way, which requests of the peer are served or
//! rejected, when silence has lasted too long. What needs the rest of the torrent (which block to ask for, whom to unchoke,
//! whether we are interested) is its parent's.
//!
//! # How to drive it
//!
//! 1. Make it with [`dialled`](PeerConn::dialled) or [`accepted`](PeerConn::accepted).
//! 2. On bytes: [`feed`](PeerConn::feed), then [`step`](PeerConn::step) until it says `None`; act on each [`PeerSaid`]
//!    before the next. On time: [`tick`](PeerConn::tick), then `step` likewise. Tell it [`flushed`](PeerConn::flushed),
//!    and [`lost`](PeerConn::lost) when the stream is gone.
//! 3. Give it [`order`](PeerConn::order)s; fetch what the peer wants with [`next_read`](PeerConn::next_read) and hand it
//!    over with [`loaded`](PeerConn::loaded).
//! 4. At the end of one event: [`finish`](PeerConn::finish). Only there do bytes and read credit go out.
//!
//! # States
//!
//! ```text
//! Handshake --68 right bytes--> Open --fault, order, silence, end of stream--> Closed
//!     '-------wrong bytes, too late, ourselves, end of stream------------------^
//! ```
//!
//! All transitions are in `state.rs`, with what each message of the peer means; what the torrent orders is in `orders.rs`,
//! what the peer asks for in `serve.rs`. What is orthogonal has its own file and knows nothing of the rest: our requests
//! (`requests.rs`), the peer's (`upload.rs`), what waits to be sent (`outbox.rs`), read credit (`credit.rs`), the info dictionary
//! (`metadata.rs`), what the peer says of pieces before that is here (`early.rs`).
//!
//! # Limits
//!
//! Everything the peer can make grow has a limit in [`PeerConfig`](crate::border::PeerConfig): the message under way, its
//! request queue, what waits in the send queue, the lists of what it allows and suggests. A request, a block or a message
//! that makes no sense is counted, and a connection that has used up its patience is closed with the
//! [`PeerFault`](crate::border::PeerFault) that names it. The machine never looks at the bytes of a block.
//!
//! # Example
//!
//! What a crawler does: it greets a peer, and learns what that has. Nothing else is needed around the connection.
//!
//! ```
//! use bytes::BytesMut;
//! use parcacik_core::bitfield::Bitfield;
//! use parcacik_core::border::{IpFilter, Action, Actions, Config, InfoHash, PeerId, PeerKey, TcpId, TorrentId};
//! use parcacik_core::cx::{Cx, IdSource};
//! use parcacik_core::metainfo::Geometry;
//! use parcacik_core::peer::{PeerConn, PeerFacts, PeerSaid};
//! use parcacik_core::wire::{Handshake, Message, Reserved};
//! use parcacik_core::{rng::Seeds, time::Time};
//! use std::collections::BTreeSet;
//!
//! let geometry = Geometry::new(40_000, 16_384).unwrap();
//! let facts = PeerFacts {
//!     torrent: TorrentId(0),
//!     info_hash: InfoHash([7; 20]),
//!     peer_id: PeerId(*b"-XX0001-chosenbyrng!"),
//!     geometry: Some(&geometry),
//!     have: &Bitfield::none(geometry.pieces()),
//!     lost: &BTreeSet::new(),
//!     listen_port: None,
//!     metadata: None,
//!     upload_only: false,
//!     private: false,
//!     node_ports: [None; 2],
//! };
//! let (config, filter, seeds) = (Config::default(), IpFilter::new(), Seeds::for_tests(1));
//! let (mut out, mut ids) = (Actions::new(), IdSource::default());
//! let mut cx = Cx { now: Time::ZERO, config: &config, filter: &filter, seeds: &seeds, out: &mut out, ids: &mut ids, owner: 0 };
//!
//! // A stream is open: the connection greets, and wants to read.
//! let remote = "192.0.2.1:6881".parse().unwrap();
//! let mut conn = PeerConn::dialled(&mut cx, PeerKey(1), TcpId(1), remote, &facts);
//! conn.finish(&mut cx);
//! assert!(matches!(&cx.out.list[0], Action::Send { bytes, .. } if bytes.starts_with(b"\x13BitTorrent protocol")));
//! assert!(matches!(&cx.out.list[1], Action::Grant { .. }));
//!
//! // What the peer answers, as it came from the stream.
//! let greeting = Handshake { reserved: Reserved::default(), info_hash: facts.info_hash, peer_id: PeerId([1; 20]) };
//! let mut answer = BytesMut::from(&greeting.emit()[..]);
//! Message::Bitfield(vec![0b1010_0000].into()).emit(&mut answer);
//! conn.feed(&mut cx, answer.freeze(), 0);
//! assert_eq!(conn.step(&mut cx, &facts), Some(PeerSaid::Ready));
//! assert_eq!(conn.step(&mut cx, &facts), Some(PeerSaid::Pieces));
//! assert_eq!(conn.step(&mut cx, &facts), None);
//! assert_eq!(conn.pieces().iter().collect::<Vec<_>>(), [0, 2]);
//! ```

mod asked;
mod canon;
mod credit;
mod early;
mod introduce;
mod metadata;
mod offers;
mod orders;
mod outbox;
mod requests;
mod serve;
mod state;
#[cfg(test)]
mod tests;
mod upload;
mod view;

pub use state::PeerConn;
pub use upload::ReadRun;

use crate::bitfield::Bitfield;
use crate::border::{CloseReason, InfoHash, PeerId, TcpId, TorrentId};
use crate::journal::canon::canon_enum;
use crate::metainfo::{Block, Geometry, PieceIndex};
use crate::wire::{Extension, UtMetadata};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;

/// What carries the bytes of a connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A TCP stream of the driver's.
    Tcp(TcpId),
}

canon_enum!(out Link { 0 = Tcp(a) });

/// What a connection needs to know of its torrent, lent with each call.
#[derive(Clone, Copy, Debug)]
pub struct PeerFacts<'a> {
    /// The torrent.
    pub torrent: TorrentId,
    /// The name that it goes by on this connection.
    pub info_hash: InfoHash,
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// How it is cut into pieces; `None` while its info dictionary is looked for (BEP 9). Once known, the same in all calls, and
    /// told by [`PeerOrder::MetadataKnown`].
    pub geometry: Option<&'a Geometry>,
    /// The pieces that we have and serve.
    pub have: &'a Bitfield,
    /// Pieces that peers were told of and that we have no more (a disk lost them): a request for one is refused, and not held
    /// against the peer.
    pub lost: &'a BTreeSet<PieceIndex>,
    /// The port on which we listen, told to peers that we dial.
    pub listen_port: Option<u16>,
    /// The info dictionary, when we serve it (BEP 9). With `None`, the extension is offered only while we look for it.
    pub metadata: Option<&'a Bytes>,
    /// Whether we do not download (BEP 21).
    pub upload_only: bool,
    /// Whether the torrent is private (BEP 27): nothing that tells of other peers is offered.
    pub private: bool,
    /// The UDP ports of our nodes of the DHT (BEP 5), of IPv4 and IPv6; none for a private torrent.
    pub node_ports: [Option<u16>; 2],
}

/// What a connection tells its torrent.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerSaid {
    /// The handshake is done; orders are taken from now on.
    Ready,
    /// It is known which pieces the peer has: see [`PeerConn::pieces`]. Said once, before any `Have`.
    Pieces,
    /// The peer has got a piece that it did not have.
    Have(PieceIndex),
    /// The peer has this piece no more (BEP 54).
    Lost {
        /// Which.
        piece: PieceIndex,
        /// Requests that are not under way any more; with the fast extension there are none, as each is answered apart.
        returned: Vec<Block>,
    },
    /// The peer has got these pieces, which it did not have.
    Gained(Bitfield),
    /// The peer chokes us. Requests that it will not answer any more are given back; with the fast extension there are
    /// none, as each is answered apart.
    Choked {
        /// Requests that are not under way any more.
        returned: Vec<Block>,
    },
    /// The peer serves us from now on.
    Unchoked,
    /// The peer wants something of us.
    Interested,
    /// The peer wants nothing of us.
    NotInterested,
    /// A block that we asked for. Also one that was given up since.
    Block {
        /// Which.
        block: Block,
        /// Its bytes: as many as `block` says.
        bytes: Bytes,
    },
    /// A request is not under way any more, this one alone: the peer rejected it, or answered later ones for a minute.
    Rejected(Block),
    /// The peer suggests a piece.
    Suggested(PieceIndex),
    /// The peer serves this piece even while it chokes us. It need not have it: BEP 6, "The receiver MUST NOT interpret
    /// an Allowed Fast message as meaning that the message sender has the piece."
    AllowedFast(PieceIndex),
    /// An extended handshake has been read (the first, or a further one).
    Introduced,
    /// An answer to [`PeerOrder::AskMetadata`], once for each: a `data` or a `reject`, of a block that was asked for.
    Metadata(UtMetadata),
    /// A message of an extension.
    Extended {
        /// The extension.
        extension: Extension,
        /// What it says.
        payload: Bytes,
    },
    /// The port of the peer's DHT node, not 0.
    DhtPort(u16),
    /// The peer owes us blocks and has sent none for a minute. Its requests are given back; it is asked for one at a time
    /// until it sends again.
    Snubbed {
        /// Requests that are not under way any more.
        returned: Vec<Block>,
    },
    /// The connection is over. The last word; requests that were under way are in [`PeerConn::outstanding`].
    Closing(CloseReason),
}

/// What a torrent tells a connection. Before [`PeerSaid::Ready`] and after the end only `Close` has any effect.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerOrder {
    /// Ask for a block. Without effect when [`PeerConn::may_request`] is false, or it is under way already.
    Request(Block),
    /// Do not ask for a block any more. It may come all the same, and is then said like any other.
    Cancel(Block),
    /// We have got a piece ([`PeerFacts::have`] has it).
    Have(PieceIndex),
    /// We have a piece no more that the peer was told of ([`PeerFacts::have`] does not have it): what it has asked of that is
    /// refused. It is told where it takes that (BEP 54).
    DontHave(PieceIndex),
    /// Serve the peer no longer.
    Choke,
    /// Serve the peer.
    Unchoke,
    /// Whether we would ask it for something.
    Interested(bool),
    /// BEP 6: suggest a piece. Without effect when the peer has no fast extension.
    Suggest(PieceIndex),
    /// Send a message of an extension. Without effect when the peer does not take it.
    Extended {
        /// The extension.
        extension: Extension,
        /// What to say.
        payload: Bytes,
    },
    /// Ask for a block of the info dictionary (BEP 9). Without effect when the peer does not take such messages.
    AskMetadata(u32),
    /// The info dictionary is here, and [`PeerFacts::geometry`] with it: what the peer has said of its pieces is looked at now.
    MetadataKnown,
    /// Say anew whether we only give (`upload_only` of the facts): it has changed. Without effect when the peer has no extension
    /// protocol.
    Reintroduce,
    /// Close the connection.
    Close(CloseReason),
}
