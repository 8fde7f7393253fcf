//! Streams and datagrams: whose they are.

use super::{Routed, Session};
use crate::border::{Action, Actions, DialId, PeerKey, SocketId, TcpId, TorrentId};
use crate::net_policy::NetRules;
use bytes::Bytes;
use core::net::SocketAddr;

impl Session {
    pub(super) fn accepted(&mut self, out: &mut Actions, tcp: TcpId, remote: SocketAddr) {
        // Before a byte of it is read.
        let rules = NetRules { policy: &self.config.net, filter: &self.filter };
        let blocked = rules.may_come(remote.ip()).is_err();
        self.shared.blocked_incoming += u64::from(blocked);
        // When all places are taken it may still replace somebody: for that, its torrent has to be known.
        let limits = &self.config.session;
        let full = self.shared.peers >= limits.max_peers
            && self.shared.bystanders.worst(self.now, limits.replaceable_after).is_none();
        if blocked || self.stopping.is_some() || full {
            out.list.push(Action::Close { tcp, flush: false });
            return;
        }
        self.with_cx(out, |this, cx| this.acceptor.accepted(cx, tcp, remote));
    }

    pub(super) fn connected(&mut self, out: &mut Actions, dial: DialId, tcp: TcpId) {
        let owner = Self::torrent_of(dial.owner());
        let made = self.with_torrent(owner, out, |torrent, cx, shared| torrent.dialled(cx, shared, dial, tcp));
        match (made, owner) {
            (Some(Some(key)), Some(id)) => self.own_stream(tcp, id, key),
            (Some(None), _) => {}
            // The torrent is gone.
            _ => out.list.push(Action::Close { tcp, flush: false }),
        }
    }

    /// Notes whose a new stream is, unless its connection has ended within the same call.
    fn own_stream(&mut self, tcp: TcpId, id: TorrentId, key: PeerKey) {
        if self.torrents.get(&id).is_some_and(|torrent| torrent.has_peer(key)) {
            self.streams.insert(tcp, (id, key));
        }
    }

    pub(super) fn received(&mut self, out: &mut Actions, tcp: TcpId, bytes: Bytes) {
        if let Some(&(id, key)) = self.streams.get(tcp) {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.received(cx, shared, key, bytes, 0));
            return;
        }
        let routed = self.with_cx(out, |this, cx| this.acceptor.received(cx, tcp, &bytes));
        if let Some(routed) = routed {
            self.route(out, tcp, routed);
        }
    }

    /// Hands a stream that came in to the torrent that it named.
    pub(super) fn route(&mut self, out: &mut Actions, tcp: TcpId, routed: Routed) {
        // A torrent that we do not have gets no answer: who asks must not learn what we have.
        let Some(&id) = self.names.get(&routed.head.info_hash) else {
            out.list.push(Action::Close { tcp, flush: false });
            return;
        };
        if self.torrents.get(&id).is_some_and(|torrent| torrent.is_starting()) {
            self.acceptor.keep(tcp, routed);
            return;
        }
        let Routed { remote, until, head, rest, consumed } = routed;
        let made = self
            .with_torrent(Some(id), out, |torrent, cx, shared| torrent.accepted(cx, shared, tcp, remote, until, &head))
            .flatten();
        let Some(key) = made else { return };
        self.own_stream(tcp, id, key);
        self.make_place(out);
        if !rest.is_empty() {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.received(cx, shared, key, rest, consumed));
        }
    }

    /// Finds whom each datagram is for: a node of the DHT, or who waits for a UDP tracker (an action and the transaction id come
    /// first, BEP 15).
    pub(super) fn datagrams(
        &mut self,
        out: &mut Actions,
        sock: SocketId,
        from: SocketAddr,
        segment: u16,
        bytes: &Bytes,
    ) {
        if segment == 0 {
            return;
        }
        for datagram in bytes.chunks(usize::from(segment)) {
            if self.dht_datagram(out, sock, from, datagram) {
                continue;
            }
            let Some(id) = datagram.get(4..8) else { continue };
            let transaction = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
            match self.answers.get(&(from, transaction)).copied() {
                Some(owner) => {
                    _ = self.with_torrent(Some(owner), out, |torrent, cx, shared| {
                        torrent.datagram(cx, shared, from, datagram)
                    })
                }
                None => self.probe_datagram(out, from, transaction, datagram),
            }
        }
    }
}
