//! What the peer has, and what it offers: bitfields, suggestions, allowed-fast pieces.

use super::{PeerConn, PeerFacts, PeerSaid};
use crate::bitfield::Bitfield;
use crate::border::PeerFault;
use crate::cx::Cx;
use crate::metainfo::{Geometry, PieceIndex};
use crate::wire::{Message, allowed_fast_set};

impl PeerConn {
    pub(super) fn on_pieces(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, geometry: &Geometry, pieces: Bitfield) {
        if self.pieces_known {
            return self.on_late_pieces(cx, pieces);
        }
        self.pieces_known = true;
        self.pieces = pieces;
        self.said.push_back(PeerSaid::Pieces);
        let count = cx.config.peer.allowed_fast;
        // BEP 6: "A peer SHOULD send Allowed Fast messages to any starting peer".
        if self.fast && self.pieces.count() <= count {
            let (ip, hash) = (self.remote.ip(), facts.info_hash);
            let given = cx.config.addresses.fast_set(ip, hash, geometry, count);
            for piece in given.unwrap_or_else(|| allowed_fast_set(ip, &hash, geometry, count)) {
                if facts.have.get(piece.get()) && !self.pieces.get(piece.get()) {
                    self.our_fast.push((piece, geometry.length(piece)));
                    self.outbox.message(cx.now, &Message::AllowedFast(piece.get()));
                }
            }
        }
    }

    /// BEP 3: "It is only ever sent as the first message", but aria2 sends one in place of many `have`s when that is shorter.
    /// What it adds is taken as such; one that takes pieces back is a lie, then or before.
    fn on_late_pieces(&mut self, cx: &mut Cx<'_>, pieces: Bitfield) {
        if !pieces.contains_all(&self.pieces) {
            return self.fault(cx, PeerFault::LateBitfield);
        }
        let gained = pieces.minus(&self.pieces);
        if gained.count() == 0 {
            return self.useless(cx);
        }
        self.pieces = pieces;
        self.said.push_back(PeerSaid::Gained(gained));
    }

    pub(super) fn on_suggest(&mut self, cx: &mut Cx<'_>, piece: PieceIndex) {
        if self.suggested.contains(&piece) || cx.config.peer.max_suggested == 0 {
            return self.useless(cx);
        }
        if self.suggested.len() >= cx.config.peer.max_suggested as usize {
            self.suggested.remove(0);
        }
        self.suggested.push(piece);
        self.said.push_back(PeerSaid::Suggested(piece));
    }

    pub(super) fn on_allowed_fast(&mut self, cx: &mut Cx<'_>, piece: PieceIndex) {
        let full = self.allowed_fast.len() >= cx.config.peer.max_allowed_fast as usize;
        if full || self.allowed_fast.contains(&piece) {
            return self.useless(cx);
        }
        self.allowed_fast.push(piece);
        self.said.push_back(PeerSaid::AllowedFast(piece));
    }
}
