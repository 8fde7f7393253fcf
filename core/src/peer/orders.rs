//! What the torrent has the connection say, and how much it should ask for.

use super::{PeerConn, PeerFacts, PeerOrder};
use crate::cx::Cx;
use crate::metainfo::{Block, PieceIndex};
use crate::time::Time;
use crate::wire::{Extension, Message, REQUEST_LENGTH};
use bytes::Bytes;

impl PeerConn {
    /// Does what the torrent wants.
    pub fn order(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, order: PeerOrder) {
        let now = cx.now;
        match order {
            PeerOrder::Close(reason) if !self.is_closed() => self.close(cx, reason),
            _ if !self.is_ready() => {}
            PeerOrder::Close(_) => {}
            PeerOrder::Request(block) => self.request(cx, &[block]),
            PeerOrder::Cancel(block) => {
                if self.requests.cancel(block) {
                    self.outbox.message(now, &Message::Cancel(block.into()));
                }
            }
            PeerOrder::Have(piece) => self.outbox.message(now, &Message::Have(piece.get())),
            PeerOrder::DontHave(piece) => self.dont_have(cx, piece),
            PeerOrder::Choke => self.choke(cx),
            PeerOrder::Unchoke => {
                if self.am_choking {
                    self.am_choking = false;
                    self.asked_at = now;
                    self.patience.choked_requests = 0;
                    self.outbox.message(now, &Message::Unchoke);
                }
            }
            PeerOrder::Interested(interested) => {
                if self.am_interested != interested {
                    self.am_interested = interested;
                    let message = if interested { Message::Interested } else { Message::NotInterested };
                    self.outbox.message(now, &message);
                }
            }
            PeerOrder::Suggest(piece) => {
                if self.fast && facts.have.get(piece.get()) {
                    self.outbox.message(now, &Message::Suggest(piece.get()));
                }
            }
            PeerOrder::AskMetadata(piece) => self.ask_metadata(cx, piece),
            PeerOrder::MetadataKnown => self.catch_up(cx, facts),
            PeerOrder::Reintroduce => self.reintroduce(cx, facts),
            PeerOrder::Extended { extension, payload } => {
                if let Some(id) = self.extension_ids.get(extension) {
                    self.outbox.message(now, &Message::Extended { id, payload });
                }
            }
        }
    }

    /// The same as [`PeerOrder::Request`] for each of these, in order.
    pub fn request(&mut self, cx: &mut Cx<'_>, blocks: &[Block]) {
        self.outbox.expect(blocks.len() * REQUEST_LENGTH);
        for &block in blocks {
            if self.may_request(block.piece()) && !self.requests.contains(block) {
                self.requests.sent(cx.now, block);
                self.outbox.message(cx.now, &Message::Request(block.into()));
            }
        }
    }

    /// BEP 54: "When the local node discards a piece with index *n*, it sends a *DontHave* message for that piece to every peer that
    /// has advertised support for the *lt_donthave* extension".
    fn dont_have(&mut self, cx: &mut Cx<'_>, piece: PieceIndex) {
        if let Some(id) = self.extension_ids.get(Extension::DontHave) {
            let payload = Bytes::copy_from_slice(&piece.get().to_be_bytes());
            self.outbox.message(cx.now, &Message::Extended { id, payload });
        }
        // "If the *Fast* extension has been negotiated, then any outstanding requests for a chunk of the discarded piece are
        // rejected"; else "silently dropped".
        for block in self.upload.drop_all_but(|other| other != piece) {
            self.refuse(cx.now, block.into());
        }
    }

    fn choke(&mut self, cx: &mut Cx<'_>) {
        if self.am_choking {
            return;
        }
        self.am_choking = true;
        self.patience.choked_requests = 0;
        // BEP 6: "A peer SHOULD choke first and then reject requests so that the peer receiving the choke does not
        // re-request the pieces." And: "it SHOULD NOT reject requests for pieces that are in the allowed fast set."
        self.outbox.message(cx.now, &Message::Choke);
        let our_fast = &self.our_fast;
        let dropped = self.upload.drop_all_but(|piece| our_fast.iter().any(|&(fast, _)| fast == piece));
        for block in dropped {
            self.refuse(cx.now, block.into());
        }
    }

    /// Whether the peer may be asked for blocks of this piece: it has it, it serves us (or this piece at least), and not
    /// as much is under way as it queues.
    pub fn may_request(&self, piece: PieceIndex) -> bool {
        let served = !self.choking_us || self.allowed_fast.contains(&piece);
        let most = self.depth_max.min(self.peer_reqq);
        self.is_ready() && served && self.pieces.get(piece.get()) && self.requests.len() < most
    }

    /// How many blocks more it should be asked for now; 0 while it chokes us, for a while after it rejected what it was asked
    /// for, and in a deep queue until there is room for a whole batch.
    pub fn room(&self, _now: Time) -> u32 {
        if !self.is_ready() || self.choking_us { 0 } else { self.requests.room(self.peer_reqq, self.refill_batch) }
    }

    /// How many blocks of [`allowed_fast`](PeerConn::allowed_fast) pieces it should be asked for while it chokes us.
    pub fn fast_room(&self) -> u32 {
        if !self.is_ready() || !self.choking_us || self.allowed_fast.is_empty() || self.requests.is_snubbed() {
            return 0;
        }
        self.depth_min.min(self.peer_reqq).saturating_sub(self.requests.len())
    }
}
