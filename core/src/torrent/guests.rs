//! Super seeding, carried out: what the machine ([`superseed`](super::superseed)) says is shown to the connections.
//!
//! A connection that begins while super seeding is on is a guest: it is greeted as by one who has nothing, and what it may ask for is
//! what it was shown ([`Peer::shown`]). When super seeding ends it is told of all the rest, a part at a time, as far as it takes
//! them: a torrent of a million pieces is 9 MB of `have`s.

use super::superseed::{Show, SuperSeed};
use super::{Peer, Phase, Shared, Torrent};
use crate::bitfield::Bitfield;
use crate::border::PeerKey;
use crate::cx::Cx;
use crate::metainfo::PieceIndex;
use crate::peer::{PeerFacts, PeerOrder};
use crate::rng::Stream;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// How many `have`s are sent at once when super seeding ends: 36 KiB.
const REVEALED_AT_ONCE: u32 = 4096;

impl Torrent {
    /// Whether to super-seed, from now on.
    pub(crate) fn set_super_seed(&mut self, cx: &mut Cx, shared: &mut Shared, on: bool) {
        self.wants_super_seed = on;
        if !on {
            self.end_super_seed(cx, shared, None);
        }
        self.settle(cx, shared);
    }

    /// Whether super seeding is in force: connections that begin now are guests.
    pub fn super_seeds(&self) -> bool {
        self.wants_super_seed && matches!(self.phase, Phase::Running) && self.picker.is_complete()
    }

    /// Makes a guest of a new connection, while super seeding is on.
    pub(super) fn welcome(&mut self, cx: &Cx, peer: &mut Peer) {
        if !self.super_seeds() {
            return;
        }
        let pieces = self.facts.geometry.pieces();
        peer.shown = Some(Box::new(Bitfield::none(pieces)));
        self.super_seed.get_or_insert_with(|| {
            let mut rng = cx.seeds.decisions(Stream::SuperSeed, u64::from(self.id.0));
            Box::new(SuperSeed::new(pieces, cx.config.choke.super_seed_patience, &mut rng))
        });
    }

    /// What a connection is lent: a guest knows only of what it was shown, and not that we only give.
    pub(super) fn facts_for<'a>(&'a self, shared: &Shared, shown: Option<&'a Bitfield>) -> PeerFacts<'a> {
        let facts = self.peer_facts(shared);
        match shown {
            Some(have) => PeerFacts { have, upload_only: false, ..facts },
            None => facts,
        }
    }

    /// A peer has told of pieces that it has: all of them, or some more.
    pub(super) fn saw_pieces(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        key: PeerKey,
        peer: &mut Peer,
        gained: Option<&[PieceIndex]>,
    ) {
        if self.super_seed.is_none() {
            return;
        }
        if peer.conn.is_seed() {
            // There is another seed: nobody needs to be kept from anything any more.
            self.wants_super_seed = false;
            return self.end_super_seed(cx, shared, Some((key, peer)));
        }
        let Some(machine) = self.super_seed.as_mut().filter(|_| peer.shown.is_some()) else { return };
        let shows = match gained {
            None => machine.joined(cx.now, key, peer.conn.pieces()),
            Some(pieces) => pieces.iter().flat_map(|piece| machine.gained(cx.now, key, piece.get())).collect(),
        };
        self.show(cx, shared, &shows, Some((key, peer)));
    }

    /// A connection is gone.
    pub(super) fn guest_left(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey) {
        if let Some(machine) = &mut self.super_seed {
            let shows = machine.left(cx.now, key);
            self.show(cx, shared, &shows, None);
        }
    }

    /// Ends patience with guests that had their time.
    pub(super) fn super_seed_tick(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if let Some(machine) = &mut self.super_seed {
            let shows = machine.tick(cx.now);
            self.show(cx, shared, &shows, None);
        }
    }

    /// Tells guests of pieces. `current` is one who is out of its place.
    fn show(&mut self, cx: &mut Cx, shared: &mut Shared, shows: &[Show], mut current: Option<(PeerKey, &mut Peer)>) {
        for &(key, number) in shows {
            let Some(piece) = self.facts.geometry.piece(number) else { continue };
            if let Some((_, peer)) = current.as_mut().filter(|(at, _)| *at == key) {
                self.show_one(cx, shared, peer, piece);
            } else if let Some(mut peer) = self.take(key) {
                self.show_one(cx, shared, &mut peer, piece);
                self.put_back(cx, shared, key, peer);
            }
        }
    }

    fn show_one(&mut self, cx: &mut Cx, shared: &Shared, peer: &mut Peer, piece: PieceIndex) {
        if let Some(shown) = &mut peer.shown {
            shown.insert(piece.get());
            self.order(cx, shared, peer, PeerOrder::Have(piece));
        }
    }

    /// Ends super seeding: everybody may know everything. `current` is one who is out of its place.
    pub(super) fn end_super_seed(&mut self, cx: &mut Cx, shared: &mut Shared, current: Option<(PeerKey, &mut Peer)>) {
        if self.super_seed.take().is_none() {
            return;
        }
        if let Some((_, peer)) = current {
            self.unveil(cx, shared, peer);
        }
        let keys: Vec<PeerKey> = self.peers.keys().collect();
        for key in keys {
            if let Some(mut peer) = self.take(key) {
                self.unveil(cx, shared, &mut peer);
                self.put_back(cx, shared, key, peer);
            }
        }
    }

    fn unveil(&mut self, cx: &mut Cx, shared: &Shared, peer: &mut Peer) {
        // One that has not greeted yet is greeted as by any seed.
        if let Some(shown) = peer.shown.take().filter(|_| peer.conn.is_ready()) {
            peer.unveiled = Some((0, shown));
            self.reveal(cx, shared, peer);
        }
    }

    /// Tells a former guest of more pieces, when it has taken what it was told: of all that it was not shown, also such as it
    /// has, so that it knows us for a seed.
    pub(super) fn reveal(&mut self, cx: &mut Cx, shared: &Shared, peer: &mut Peer) {
        let ready = |from: u32| from == 0 || peer.conn.queued_bytes() == 0;
        let Some((mut at, shown)) = peer.unveiled.take_if(|(from, _)| ready(*from)) else { return };
        let mut told = 0;
        while told < REVEALED_AT_ONCE
            && let Some(piece) = self.facts.geometry.piece(at)
        {
            if self.picker.have().get(at) && !shown.get(at) {
                self.order(cx, shared, peer, PeerOrder::Have(piece));
                told += 1;
            }
            at += 1;
        }
        if at < self.facts.geometry.pieces() {
            peer.unveiled = Some((at, shown));
        }
    }
}
