//! What can be asked of a connection. Nothing here changes it.

use super::PeerConn;
use crate::bitfield::Bitfield;
use crate::border::{PeerId, PeerKey, TcpId};
use crate::metainfo::{Block, PieceIndex};
use crate::rate::Rate;
use crate::time::Time;
use crate::wire::ExtendedHandshake;
use core::net::SocketAddr;

impl PeerConn {
    /// Its name in the session.
    pub fn key(&self) -> PeerKey {
        self.key
    }

    /// The stream that carries it.
    pub fn tcp(&self) -> TcpId {
        let super::Link::Tcp(tcp) = self.link;
        tcp
    }

    /// The peer's end of the stream.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// What the peer calls itself, once it has. Never trusted.
    pub fn peer_id(&self) -> Option<PeerId> {
        self.peer_id
    }

    /// Whether the peer dialled us.
    pub fn incoming(&self) -> bool {
        self.incoming
    }

    /// When the connection was made.
    pub fn connected_at(&self) -> Time {
        self.connected_at
    }

    /// Whether the fast extension is agreed on.
    pub fn fast(&self) -> bool {
        self.fast
    }

    /// What the peer has said in its extended handshakes. The client's name is cleaned and cut; the numbers of extensions
    /// are asked of [`extension`](PeerConn::extension).
    pub fn introduction(&self) -> &ExtendedHandshake {
        &self.introduction
    }

    /// What the peer's client calls itself: cleaned, cut, untrusted.
    pub fn client(&self) -> Option<&str> {
        self.introduction.client.as_deref()
    }

    /// The pieces that the peer has; none before [`PeerSaid::Pieces`](super::PeerSaid::Pieces).
    pub fn pieces(&self) -> &Bitfield {
        &self.pieces
    }

    /// Whether [`PeerSaid::Pieces`](super::PeerSaid::Pieces) has been said.
    pub fn pieces_known(&self) -> bool {
        self.pieces_known
    }

    /// Whether the peer has every piece.
    pub fn is_seed(&self) -> bool {
        self.pieces_known && self.pieces.is_full()
    }

    /// Whether the peer does not download: it is a seed, or says so (BEP 21).
    pub fn upload_only(&self) -> bool {
        self.is_seed() || self.introduction.upload_only == Some(true)
    }

    /// The pieces that the peer serves even while it chokes us, as far as it has them.
    pub fn allowed_fast(&self) -> &[PieceIndex] {
        &self.allowed_fast
    }

    /// The pieces that the peer suggested last, oldest first.
    pub fn suggested(&self) -> &[PieceIndex] {
        &self.suggested
    }

    /// Whether the peer chokes us.
    pub fn choking_us(&self) -> bool {
        self.choking_us
    }

    /// Whether we choke the peer.
    pub fn am_choking(&self) -> bool {
        self.am_choking
    }

    /// Whether the peer wants something of us.
    pub fn interested(&self) -> bool {
        self.interested
    }

    /// Whether we have told the peer that we want something of it.
    pub fn am_interested(&self) -> bool {
        self.am_interested
    }

    /// The blocks that we have asked for and not got, oldest first.
    pub fn outstanding(&self) -> impl ExactSizeIterator<Item = Block> + '_ {
        self.requests.outstanding()
    }

    /// How many blocks we have asked for and not got.
    pub fn requests_out(&self) -> u32 {
        self.requests.len()
    }

    /// How many requests of the peer we have not answered.
    pub fn requests_in(&self) -> u32 {
        self.upload.len()
    }

    /// Content that came, that was asked for.
    pub fn download_rate(&self) -> &Rate {
        self.requests.rate()
    }

    /// How much read credit a metered connection wants, in bytes; 0: none for now. See
    /// [`meter_reading`](PeerConn::meter_reading).
    pub fn read_wanted(&self) -> u32 {
        if self.is_closed() { 0 } else { self.credit.wanted() }
    }

    /// How much of what a metered connection was granted has not been used, in bytes.
    pub fn read_unused(&self) -> u32 {
        self.credit.unused()
    }

    /// Whether [`next_read`](PeerConn::next_read) would name something to read.
    pub fn wants_read(&self) -> bool {
        self.is_ready() && self.upload.has_queued() && self.content_under_way() < self.watermark
    }

    /// Content that was queued for the peer.
    pub fn upload_rate(&self) -> &Rate {
        &self.uploaded
    }

    /// When a block last came that was asked for.
    pub fn last_piece_at(&self) -> Option<Time> {
        self.requests.last_block_at()
    }

    /// Whether the peer owes us blocks and has sent none for a minute.
    pub fn snubbed(&self) -> bool {
        self.requests.is_snubbed()
    }
}
