//! Local discovery: announcing torrents on all multicast sockets, and telling torrents of their neighbours.

use super::Session;
use crate::border::{Actions, TorrentId};
use crate::time::Time;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

impl Session {
    /// When the next announce is due; `None`: nobody could be told, or there is nothing to tell.
    pub(super) fn discovery_deadline(&self) -> Option<Time> {
        if self.discovery.is_empty() || self.stopping.is_some() { None } else { self.lsd.deadline() }
    }

    /// Announces what is due.
    pub(super) fn discovery_round(&mut self, out: &mut Actions) {
        if self.discovery_deadline().is_some_and(|due| due <= self.now) {
            self.lsd.announce(&mut cx!(self, out, 0), &self.discovery);
        }
    }

    /// Neighbours have announced something.
    pub(super) fn heard_locally(&mut self, out: &mut Actions, from: SocketAddr, segment: u16, bytes: &Bytes) {
        for datagram in bytes.chunks(usize::from(segment).max(1)) {
            let Some(heard) = self.lsd.heard(self.now, &self.config.lsd, from, datagram) else { continue };
            let mut ids: Vec<TorrentId> =
                heard.hashes.iter().filter_map(|name| self.names.get(name).copied()).collect();
            ids.sort_unstable();
            ids.dedup();
            for id in ids {
                self.with_torrent(Some(id), out, |torrent, cx, _| torrent.heard_locally(cx, heard.peer));
            }
        }
    }

    /// The network is another one, or may be.
    pub(super) fn discovery_moves(&mut self, out: &mut Actions) {
        self.with_cx(out, |this, cx| this.sockets.rejoin(cx));
        self.lsd.moved(self.now, &self.config.lsd);
        self.sockets_changed(out);
    }
}
