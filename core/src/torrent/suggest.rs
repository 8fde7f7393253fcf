//! Suggesting pieces that were just read: the seed's side of BEP 6's Suggest Piece.
//!
//! BEP 6: "*Suggest Piece* is an advisory message meaning "you might like to download this piece." The intended usage is for
//! 'super-seeding' without throughput reduction, to avoid redundant downloads, and so that a seed which is disk I/O bound can
//! upload continguous or identical pieces to avoid excessive disk seeks. In all cases, the seed SHOULD operate to maintain a
//! roughly equal number of copies of each piece in the network."
//!
//! When a run of a piece has been read for one peer, the system has it in its cache, and most likely reads ahead in it. The
//! piece is suggested to a few others who are served as well and lack it: who follows is served from memory. Only while we just
//! give: a torrent that downloads has other things on its disk's mind, and what it serves most has just been written.
//!
//! **Told:** that a run was read for somebody ([`Torrent::suggest`]). **Says:** `PeerOrder::Suggest`, to a peer that
//!
//! - has the fast extension: "When the fast extension is disabled, if a peer receives a Suggest Piece message, the peer MUST close
//!   the connection";
//! - is unchoked and interested, and does not have the piece, nor is being sent it;
//! - was not suggested anything for [`ChokeConfig::suggest_rest`](crate::border::ChokeConfig::suggest_rest);
//! - knows that we have all: nothing is suggested by a super seed (BEP 16), nor to a former guest that has not been told of
//!   everything.
//!
//! It is done only while every piece is at some peer besides us. As long as there is one that only we have, "a roughly equal
//! number of copies" means to get that out, and a suggestion has us send another one twice instead: the only seed of a new swarm of a hundred
//! sent a third more because of it, and everybody waited a third longer.
//!
//! # Limits
//! A piece is suggested to [`ChokeConfig::suggest_to`](crate::border::ChokeConfig::suggest_to) peers, while it is among the
//! last [`RECENT`] that were read; so copies stay roughly equal: what is suggested is what somebody else chose (as the rarest,
//! mostly), and a few more take it, not all. A read looks at [`LOOKS`] of those who are served, in turn, and at nobody else.

use super::{Peer, Shared, Torrent};
use crate::border::PeerKey;
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::metainfo::PieceIndex;
use crate::peer::PeerOrder;
use crate::time::Time;
use alloc::collections::VecDeque;
use core::time::Duration;

/// How many pieces that were read last are remembered: two for each of eight slots; with pieces of 4 MiB 64 MiB, which any
/// cache holds.
const RECENT: usize = 16;
/// How many of those who are served are looked at after a read: all of the usual eight slots.
const LOOKS: usize = 8;

/// Which pieces were read last, and whose turn it is to hear of one.
#[derive(Clone, Debug)]
pub(super) struct Suggestions {
    /// Each with how many it was suggested to; the latest last.
    recent: VecDeque<(PieceIndex, u32)>,
    /// Who was told last.
    last: PeerKey,
}

canon_struct!(out Suggestions { recent, last });

impl Suggestions {
    /// Nothing was read yet.
    pub(super) fn new() -> Suggestions {
        Suggestions { recent: VecDeque::new(), last: PeerKey(0) }
    }

    /// A run of a piece was read. How many may be told of it still, of `most`.
    fn read(&mut self, piece: PieceIndex, most: u32) -> u32 {
        if let Some((_, told)) = self.recent.iter().rev().find(|(other, _)| *other == piece) {
            return most.saturating_sub(*told);
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((piece, 0));
        most
    }

    /// Somebody was told of it.
    fn told(&mut self, piece: PieceIndex, key: PeerKey) {
        self.last = key;
        if let Some((_, told)) = self.recent.iter_mut().find(|(other, _)| *other == piece) {
            *told += 1;
        }
    }
}

/// What is remembered of one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// What it was suggested last, and when.
    last: Option<(PieceIndex, Time)>,
    /// Of which piece it was sent something last.
    sent: Option<PieceIndex>,
}

canon_struct!(out Told { last, sent });

impl Told {
    fn may_hear(&self, now: Time, rest: Duration, piece: PieceIndex) -> bool {
        self.sent != Some(piece) && self.last.is_none_or(|(last, at)| last != piece && at + rest <= now)
    }
}

impl Torrent {
    /// A run of a piece was read for a peer: a few others might like it too.
    pub(super) fn suggest(&mut self, cx: &mut Cx, shared: &mut Shared, piece: PieceIndex, reader: PeerKey) {
        if !self.only_gives() || self.super_seeds() || self.choker.served() < 2 || self.disk.doubts(piece) {
            return;
        }
        if let Some(Some(peer)) = self.peers.get_mut(reader) {
            peer.suggest.sent = Some(piece);
        }
        let (most, rest) = (cx.config.choke.suggest_to, cx.config.choke.suggest_rest);
        let left = self.suggestions.read(piece, most) as usize;
        if left == 0 || !self.picker.is_spread() {
            return;
        }
        let hears = |key: &PeerKey| match self.peers.get(*key) {
            Some(Some(peer)) => *key != reader && lacks(peer, piece) && peer.suggest.may_hear(cx.now, rest, piece),
            _ => false,
        };
        let served = self.choker.served_after(self.suggestions.last).take(LOOKS);
        let chosen: alloc::vec::Vec<PeerKey> = served.filter(hears).take(left).collect();
        for key in chosen {
            let Some(mut peer) = self.take(key) else { continue };
            peer.suggest.last = Some((piece, cx.now));
            self.suggestions.told(piece, key);
            self.order(cx, shared, &mut peer, PeerOrder::Suggest(piece));
            self.put_back(cx, shared, key, peer);
        }
    }
}

/// Whether a peer could take a piece of us that it does not have.
fn lacks(peer: &Peer, piece: PieceIndex) -> bool {
    let conn = &peer.conn;
    let served = conn.is_ready() && conn.fast() && conn.interested() && !conn.am_choking();
    let told_of_all = peer.shown.is_none() && peer.unveiled.is_none();
    served && told_of_all && conn.pieces_known() && !conn.pieces().get(piece.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::Geometry;

    fn piece(number: u32) -> PieceIndex {
        Geometry::new(100 << 14, 1 << 14).unwrap().piece(number).unwrap()
    }

    #[test]
    fn a_piece_is_suggested_to_a_few_while_it_is_among_the_last_that_were_read() {
        let mut machine = Suggestions::new();
        assert_eq!(machine.read(piece(7), 2), 2);
        machine.told(piece(7), PeerKey(1));
        assert_eq!(machine.read(piece(7), 2), 1, "another run of it");
        machine.told(piece(7), PeerKey(2));
        assert_eq!(machine.read(piece(7), 2), 0);
        for number in 20..20 + RECENT as u32 {
            assert_eq!(machine.read(piece(number), 2), 2);
        }
        assert_eq!(machine.recent.len(), RECENT);
        assert_eq!(machine.read(piece(7), 2), 2, "it was read anew, long after");
        assert_eq!(machine.read(piece(8), 0), 0, "turned off");
    }

    #[test]
    fn a_peer_hears_now_and_then_and_not_of_what_it_is_being_sent() {
        let rest = Duration::from_secs(5);
        let mut told = Told::default();
        let at = Time::from_secs;
        assert!(told.may_hear(at(1), rest, piece(1)));
        told.last = Some((piece(1), at(1)));
        assert!(!told.may_hear(at(5), rest, piece(2)), "too soon");
        assert!(told.may_hear(at(6), rest, piece(2)));
        assert!(!told.may_hear(at(60), rest, piece(1)), "it knows");
        told.sent = Some(piece(2));
        assert!(!told.may_hear(at(6), rest, piece(2)), "it has asked for it already");
    }
}
