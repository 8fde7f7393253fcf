//! Peers that other peers, the local network and the DHT tell of, carried out: what the machine of peer exchange ([`pex`](super::pex)) says
//! goes to the connections, what is heard goes to the [candidates](super::candidates).
//!
//! BEP 27: a private torrent has neither. It "MUST ONLY announce itself to the private tracker, and MUST ONLY initiate connections
//! to peers returned from the private tracker": so there is no machine for it, the extension is not offered, its name is not
//! announced to the network, and what a neighbour says of it is not heard. The same holds for the DHT.

use super::{Peer, Phase, Shared, Torrent};
use crate::border::{CloseReason, InfoHash, PeerKey, Source};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::net_policy::{AddrClass, NetRules, Word};
use crate::peer::PeerOrder;
use crate::torrent::pex::Pex;
use crate::wire::{Extension, PexFlags, PexPeer};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

/// The machine for a torrent, where it may have one.
pub(super) fn exchange(cx: &Cx, private: bool) -> Option<Box<Pex>> {
    (cx.config.pex.enabled && !private).then(Box::default)
}

impl Torrent {
    /// More is known of a peer: where it listens, what it takes.
    pub(super) fn note_contact(&mut self, cx: &Cx, key: PeerKey, peer: &Peer) {
        let Some(pex) = &mut self.pex else { return };
        if let Some(contact) = contact(cx, peer) {
            pex.connected(cx.now, key, contact);
        }
        if peer.conn.extension(Extension::Pex).is_some() {
            pex.listens(cx.now, &cx.config.pex, key, peer.conn.remote());
        }
    }

    /// A connection has ended.
    pub(super) fn contact_closed(&mut self, cx: &Cx, key: PeerKey, reason: CloseReason) {
        // BEP 11: what "qualif[ies] a remote contact for inclusion" though it is not connected.
        let by_us = matches!(
            reason,
            CloseReason::Duplicate | CloseReason::BothSeeds | CloseReason::Useless | CloseReason::LimitReached
        );
        if let Some(pex) = &mut self.pex {
            pex.closed(cx.now, &cx.config.pex, key, by_us);
        }
    }

    /// A peer tells whom it is connected to.
    pub(super) fn told_of_peers(
        &mut self,
        cx: &mut Cx,
        key: PeerKey,
        from: IpAddr,
        payload: &[u8],
    ) -> Option<CloseReason> {
        let news = match self.pex.as_mut()?.heard(cx.now, &cx.config.pex, key, payload) {
            Ok(news) => news,
            Err(fault) => return Some(CloseReason::Fault(fault)),
        };
        let (rules, word, mut refused) = (NetRules::of(cx), word_of(from), Vec::new());
        for PexPeer { addr, flags } in news.added {
            match rules.may_dial(addr, word) {
                Ok(()) => _ = self.candidates.hear_of(cx.now, &cx.config.candidates, addr, flags),
                Err(refusal) => refused.push(refusal),
            }
        }
        for addr in news.dropped {
            self.candidates.is_gone(addr);
        }
        self.tell_refused(cx, &refused);
        None
    }

    /// Sends the messages that are due.
    pub(super) fn exchange_tick(&mut self, cx: &mut Cx, shared: &mut Shared) {
        while let Some((key, message)) = self.pex.as_mut().and_then(|pex| pex.next(cx.now, &cx.config.pex)) {
            let payload = Bytes::from(message.emit());
            self.order_to(cx, shared, key, PeerOrder::Extended { extension: Extension::Pex, payload });
        }
    }

    /// The name under which the local network may know that it takes part; `None`: it does not, or it is nobody's affair.
    pub(crate) fn discovery_name(&self, cx: &Cx) -> Option<InfoHash> {
        let shown = cx.config.lsd.enabled && !self.facts.private && matches!(self.phase, Phase::Running);
        shown.then(|| self.info_hash())
    }

    /// What it wants of the DHT; `None`: nothing, or it is nobody's affair.
    ///
    /// As long as its info dictionary is not known it may be a private one: it asks for peers, as there may be no other way to any,
    /// but does not tell of itself.
    pub(crate) fn dht_wish(&self, cx: &Cx, shared: &Shared) -> Option<DhtWish> {
        let shown = shared.dht && !self.facts.private && matches!(self.phase, Phase::Running);
        shown.then(|| {
            let wanting = !self.only_gives() && self.wants_peers(cx);
            DhtWish {
                name: self.info_hash(),
                announce: self.seeking.is_none(),
                seed: self.seeking.is_none() && self.picker.have().is_full(),
                wanting,
                hungry: wanting && self.ready_peers == 0,
            }
        })
    }

    /// A node of the DHT has named peers.
    pub(crate) fn found_peers(&mut self, cx: &mut Cx, from: SocketAddr, peers: &[SocketAddr]) {
        if self.facts.private || !matches!(self.phase, Phase::Running) {
            return;
        }
        let (rules, word, mut refused) = (NetRules::of(cx), word_of(from.ip()), Vec::new());
        for peer in peers {
            match rules.may_dial(*peer, word) {
                Ok(()) => _ = self.candidates.add(cx.now, &cx.config.candidates, *peer, Source::Dht),
                Err(refusal) => refused.push(refusal),
            }
        }
        self.tell_refused(cx, &refused);
    }

    /// A peer says where its node of the DHT is (BEP 5): "Peers that receive this message should attempt to ping the node on the received
    /// port and IP address of the remote peer." Once for each connection: a peer is not to have us try one port after another.
    pub(super) fn told_of_node(&self, shared: &mut Shared, peer: &mut Peer, port: u16) {
        if shared.dht && !self.facts.private && !core::mem::replace(&mut peer.named_node, true) {
            let ip = peer.conn.remote().ip().to_canonical();
            shared.named_nodes.push(SocketAddr::new(ip, port));
        }
    }

    /// A neighbour has announced that it takes part.
    pub(crate) fn heard_locally(&mut self, cx: &mut Cx, peer: SocketAddr) {
        if self.discovery_name(cx).is_none() {
            return;
        }
        match NetRules::of(cx).may_dial(peer, Word::Local) {
            Ok(()) => _ = self.candidates.add(cx.now, &cx.config.candidates, peer, Source::Lsd),
            Err(refusal) => self.tell_refused(cx, &[refusal]),
        }
    }
}

/// What a torrent wants of the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DhtWish {
    /// The name that it goes by.
    pub name: InfoHash,
    /// Whether others may be told that we take part.
    pub announce: bool,
    /// Whether we have everything.
    pub seed: bool,
    /// Whether it looks for somebody to get something from.
    pub wanting: bool,
    /// Whether it does, and has nobody.
    pub hungry: bool,
}

canon_struct!(out DhtWish { name, announce, seed, wanting, hungry });

/// On whose word a peer at this address speaks.
pub(super) fn word_of(from: IpAddr) -> Word {
    if AddrClass::of(from) == AddrClass::Global { Word::Global } else { Word::Local }
}

/// What others may be told of a peer: where it can be reached, which is known of one that came in only when it has said so.
fn contact(cx: &Cx, peer: &Peer) -> Option<PexPeer> {
    let (conn, remote) = (&peer.conn, peer.conn.remote());
    let told = conn.introduction();
    let addr = if conn.incoming() { SocketAddr::new(remote.ip(), told.port?) } else { remote };
    let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
    NetRules::of(cx).may_dial(addr, word_of(remote.ip())).ok().filter(|()| conn.is_ready())?;
    // uTP is not known of anybody: nobody is spoken to by it.
    let flags = PexFlags::ENCRYPTION.when(told.encryption == Some(true))
        | PexFlags::SEED.when(conn.upload_only())
        | PexFlags::HOLEPUNCH.when(conn.extension(Extension::Holepunch).is_some())
        | PexFlags::REACHABLE.when(!conn.incoming());
    Some(PexPeer { addr, flags })
}
