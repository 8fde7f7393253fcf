//! Finding, meeting and serving peers.

use super::neighbours::word_of;
use super::{Peer, Phase, Purpose, Shared, Torrent};
use crate::border::{
    Action, ChokeConfig, CloseReason, DialId, IoFault, JobResult, Notice, PeerKey, Route, Target, TcpId, Work,
};
use crate::cx::Cx;
use crate::net_policy::{NetRules, Refusal, Word};
use crate::peer::{PeerConn, PeerOrder};
use crate::time::Time;
use crate::torrent::candidates::{Source, has_reached, machine};
use crate::torrent::choker::{ChokePeer, slots_for};
use crate::wire::Handshake48;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Names that are looked up out of one list of peers: trackers that answer with names are rare, and each costs a lookup.
const NAMES_PER_LIST: usize = 16;

impl Torrent {
    /// Learns of peers by name or address, on somebody's word.
    pub(crate) fn add_peers(&mut self, cx: &mut Cx, peers: &[Target], word: Word) {
        let (mut names, mut refused) = (0, Vec::new());
        for peer in peers {
            match peer {
                Target::Addr(addr) => refused.extend(self.add_peer(cx, *addr, word).err()),
                Target::Host { name, port } => {
                    names += 1;
                    if names <= NAMES_PER_LIST {
                        let work = Work::Resolve { host: name.clone() };
                        self.start(cx, work, Purpose::Resolve { port: *port, word });
                    }
                }
            }
        }
        self.tell_refused(cx, &refused);
    }

    fn add_peer(&mut self, cx: &mut Cx, addr: SocketAddr, word: Word) -> Result<(), Refusal> {
        NetRules::of(cx).may_dial(addr, word)?;
        let source = if word == Word::User { Source::User } else { Source::Tracker };
        self.candidates.add(cx.now, &cx.config.candidates, addr, source);
        Ok(())
    }

    /// The addresses of a peer that was named by name are known. Decides now, not by the name: whoever owns it says where it leads.
    pub(super) fn resolved(&mut self, cx: &mut Cx, port: u16, word: Word, result: Result<JobResult, IoFault>) {
        let Ok(JobResult::Resolved(addresses)) = result else { return };
        let first = addresses.iter().find_map(|&ip| match self.add_peer(cx, SocketAddr::new(ip, port), word) {
            Ok(()) => Some(Ok(())),
            Err(_) if addresses.last() != Some(&ip) => None,
            Err(refusal) => Some(Err(refusal)),
        });
        if let Some(Err(refusal)) = first {
            self.tell_refused(cx, &[refusal]);
        }
    }

    /// A peer that came in says where it listens. That it is at its address is proven, but not that the port is its own.
    pub(super) fn learn_port(&mut self, cx: &Cx, from: SocketAddr, port: u16) {
        let word = word_of(from.ip());
        if NetRules::of(cx).may_dial(SocketAddr::new(from.ip(), port), word).is_ok() {
            self.candidates.listen_port(&cx.config.candidates, from, port);
        }
    }

    /// Tells of peers that are left out, once for each list of them.
    pub(super) fn tell_refused(&mut self, cx: &mut Cx, refused: &[Refusal]) {
        if refused.is_empty() {
            return;
        }
        let filtered = refused.iter().filter(|refusal| **refusal == Refusal::Filtered).count() as u32;
        let refused = refused.len() as u32 - filtered;
        self.refused_peers.filtered += u64::from(filtered);
        self.refused_peers.policy += u64::from(refused);
        cx.out.notices.push(Notice::PeersRefused { torrent: self.id, filtered, refused });
    }

    /// The list of blocked addresses is another one: closes and forgets whom it blocks. Who is being dialled is refused when the
    /// dial has ended.
    pub(crate) fn drop_blocked(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let is_blocked = |peer: &Peer| cx.filter.blocks(peer.conn.remote().ip());
        let blocked = self.peers.iter().filter(|(_, slot)| slot.as_deref().is_some_and(is_blocked));
        let blocked: Vec<PeerKey> = blocked.map(|(key, _)| key).collect();
        for key in blocked {
            self.order_to(cx, shared, key, PeerOrder::Close(CloseReason::Filtered));
        }
        self.candidates.forget_blocked(cx.filter);
        self.settle(cx, shared);
    }

    /// When [`Torrent::dial`] may have somebody to dial; `None`: not before something else happens.
    pub(crate) fn dial_deadline(&self, cx: &Cx) -> Option<Time> {
        self.wants_peers(cx).then(|| self.candidates.deadline(cx.now)).flatten()
    }

    /// Whether more connections are wanted.
    pub(super) fn wants_peers(&self, cx: &Cx) -> bool {
        matches!(self.phase, Phase::Running)
            && !self.life.is_draining()
            && self.peers.len() + self.dials.len() < cx.config.session.max_peers_per_torrent as usize
    }

    /// Dials the best candidate, if there is one to be dialled now.
    pub(crate) fn dial(&mut self, cx: &mut Cx, shared: &mut Shared) -> bool {
        if !self.wants_peers(cx) {
            return false;
        }
        self.note_own_address(shared);
        let Some(addr) = self.next_to_dial(cx, shared) else { return false };
        shared.brake.dialled(cx.now, addr);
        let dial = cx.ids.dial(cx.owner);
        let from = shared.source_for(addr.ip());
        cx.act(Action::Dial { dial, to: Target::Addr(addr), from, via: Route::Direct });
        self.dials.insert(dial, addr);
        shared.half_open += 1;
        true
    }

    /// The next address that may be dialled now. Those that have to wait are put back: each turn takes one off the list.
    fn next_to_dial(&mut self, cx: &Cx, shared: &Shared) -> Option<SocketAddr> {
        loop {
            let addr = self.candidates.next(cx.now, &cx.config.candidates)?;
            let (user, proven) = self.candidates.standing(addr);
            if !user && !self.has_room_for(cx, addr) {
                self.candidates.closed(cx.now, &cx.config.candidates, addr, CloseReason::LimitReached, false);
                continue;
            }
            match shared.brake.wait(cx.now, &cx.config.session, addr, proven) {
                Some(until) if !user => self.candidates.postpone(addr, until),
                _ => return Some(addr),
            }
        }
    }

    /// A dial succeeded. The new connection, or `None` when it is not wanted any more.
    pub(crate) fn dialled(&mut self, cx: &mut Cx, shared: &mut Shared, dial: DialId, tcp: TcpId) -> Option<PeerKey> {
        let known = self.dials.remove(&dial);
        if known.is_some() {
            shared.half_open = shared.half_open.saturating_sub(1);
        }
        let Some(addr) = known.filter(|_| matches!(self.phase, Phase::Running | Phase::Starting(_))) else {
            Self::refuse(cx, tcp);
            return None;
        };
        if self.life.is_draining() {
            self.candidates.closed(cx.now, &cx.config.candidates, addr, CloseReason::Paused, false);
            Self::refuse(cx, tcp);
            return None;
        }
        // Others may have come in while it was dialled, or it was blocked.
        let blocked = cx.filter.blocks(addr.ip());
        if blocked || self.is_full(cx, shared) {
            let reason = if blocked { CloseReason::Filtered } else { CloseReason::LimitReached };
            self.candidates.closed(cx.now, &cx.config.candidates, addr, reason, false);
            Self::refuse(cx, tcp);
            return None;
        }
        self.candidates.connected(cx.now, addr);
        let key = shared.new_peer();
        let facts = self.peer_facts(shared);
        let conn = PeerConn::dialled(cx, key, tcp, addr, &facts);
        self.insert_peer(cx, shared, key, conn);
        Some(key)
    }

    /// A dial failed.
    pub(crate) fn dial_failed(&mut self, cx: &mut Cx, shared: &mut Shared, dial: DialId, fault: IoFault) {
        let Some(addr) = self.dials.remove(&dial) else { return };
        shared.half_open = shared.half_open.saturating_sub(1);
        let reason = CloseReason::DialFailed(fault);
        self.not_answered(cx, shared, addr, reason);
        self.candidates.closed(cx.now, &cx.config.candidates, addr, reason, false);
    }

    /// A dial ended before the other side had spoken BitTorrent.
    pub(super) fn not_answered(&mut self, cx: &Cx, shared: &mut Shared, addr: SocketAddr, reason: CloseReason) {
        let ours = matches!(reason, CloseReason::Filtered | CloseReason::LimitReached | CloseReason::Stopped);
        if !ours && has_reached(reason) && self.candidates.standing(addr) == (false, false) {
            shared.brake.failed(cx.now, &cx.config.candidates, addr);
        }
    }

    /// A stream came in whose handshake names this torrent. The connection, or `None` when it is refused (and closed).
    pub(crate) fn accepted(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        tcp: TcpId,
        remote: SocketAddr,
        until: Time,
        head: &Handshake48,
    ) -> Option<PeerKey> {
        let welcome = matches!(self.phase, Phase::Running)
            && !self.life.is_draining()
            && self.has_place_for(cx, shared, remote)
            && self.has_room_for(cx, remote)
            && self.candidates.incoming(cx.now, &cx.config.candidates, remote).is_ok();
        if !welcome {
            Self::refuse(cx, tcp);
            return None;
        }
        self.make_place(cx, shared);
        let key = shared.new_peer();
        let facts = self.peer_facts(shared);
        let mut conn = PeerConn::accepted(cx, key, tcp, remote, &facts, head);
        conn.limit_handshake(until);
        self.insert_peer(cx, shared, key, conn);
        Some(key)
    }

    /// Whether one connection more to this address is within its share: many ids at one address are one machine, as far as
    /// we can tell.
    fn has_room_for(&self, cx: &Cx, addr: SocketAddr) -> bool {
        let place = machine(addr.ip());
        let connected = self.peers.values().flatten().map(|peer| peer.conn.remote());
        let all = connected.chain(self.dials.values().copied());
        let there = all.filter(|other| machine(other.ip()) == place).count();
        place.is_loopback() || there < cx.config.session.max_peers_per_ip as usize
    }

    fn is_full(&self, cx: &Cx, shared: &Shared) -> bool {
        self.peers.len() >= cx.config.session.max_peers_per_torrent as usize
            || shared.peers >= cx.config.session.max_peers
    }

    /// A peer wants something of us, or does not any more. A free place is given away at once.
    pub(super) fn interest_changed(&mut self, cx: &mut Cx, shared: &mut Shared, peer: &mut Peer) {
        let config = self.choke_config(cx, shared);
        let unchoke = self.choker.interest_changed(cx.now, &config, &choke_peer(cx, peer));
        self.note_serving(shared);
        if unchoke && peer.conn.am_choking() {
            self.order(cx, shared, peer, PeerOrder::Unchoke);
        }
    }

    /// The configuration of the choker, with as many slots as the upload limit is good for.
    fn choke_config(&self, cx: &Cx, shared: &Shared) -> ChokeConfig {
        let config = cx.config.choke.clone();
        match self.upload_limit(shared) {
            None => config,
            Some(limit) => ChokeConfig { slots: slots_for(limit).min(config.slots), ..config },
        }
    }

    /// Whether it serves anybody has an influence on the share of the others.
    pub(super) fn note_serving(&mut self, shared: &mut Shared) {
        let serving = self.choker.served() > 0;
        match (self.serving, serving) {
            (false, true) => shared.serving += 1,
            (true, false) => shared.serving = shared.serving.saturating_sub(1),
            _ => {}
        }
        self.serving = serving;
    }

    /// Decides anew who is served.
    pub(super) fn choke_round(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let seeding = self.only_gives();
        let peers: Vec<ChokePeer> = self
            .peers
            .values()
            .flatten()
            .filter(|peer| peer.conn.is_ready())
            .map(|peer| choke_peer(cx, peer))
            .collect();
        let config = self.choke_config(cx, shared);
        let changes = self.choker.round(cx.now, &config, seeding, &peers);
        self.note_serving(shared);
        for (key, unchoke) in changes {
            self.order_to(cx, shared, key, if unchoke { PeerOrder::Unchoke } else { PeerOrder::Choke });
        }
    }
}

fn choke_peer(cx: &Cx, peer: &Peer) -> ChokePeer {
    let conn = &peer.conn;
    ChokePeer {
        key: conn.key(),
        addr: conn.remote().ip(),
        interested: conn.interested(),
        choked: conn.am_choking(),
        download_rate: conn.download_rate().per_second(cx.now),
        upload_rate: conn.upload_rate().per_second(cx.now),
        uploaded: conn.upload_rate().total(),
        snubbed: conn.snubbed(),
        connected_at: conn.connected_at(),
        upload_only: conn.upload_only() || conn.is_seed(),
    }
}
