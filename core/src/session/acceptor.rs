//! Streams that came in and have not said yet what they want.
//!
//! A public machine of its own, so that a front with many sessions behind it can read the head of a handshake, route by
//! info-hash, and hand the stream on. It says nothing: an info-hash is never told to a stranger who has not named it.
//!
//! A stranger may hold a place for as long as a handshake may take, and send the 48 bytes up to the info-hash; credit for
//! no more than a whole handshake is given. When all places are taken the newcomer is refused, so that a flood cannot push out
//! those who are in the middle of their handshake.

use crate::border::{Action, TcpId};
use crate::cx::Cx;
use crate::time::Time;
use crate::wire::Handshake48;
use alloc::collections::{BTreeMap, BTreeSet};
use bytes::{Bytes, BytesMut};
use core::net::SocketAddr;

/// Bytes of a whole handshake (BEP 3: 1 + 19 + 8 + 20 + 20).
const HANDSHAKE: u32 = 68;

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct Acceptor {
    waiting: BTreeMap<TcpId, Stranger>,
    order: BTreeSet<(Time, TcpId)>,
}

#[derive(Clone, Debug)]
struct Stranger {
    remote: SocketAddr,
    until: Time,
    read: BytesMut,
}

/// A stream that has named a torrent.
#[derive(Clone, Debug)]
pub struct Routed {
    /// Who it is.
    pub remote: SocketAddr,
    /// What it said: reserved bits and info-hash.
    pub head: Handshake48,
    /// What it said after that.
    pub rest: Bytes,
    /// How many of the bytes just read belong to the head: `rest` ends where the read ended.
    pub consumed: u32,
}

impl Acceptor {
    /// A stream came in. It is closed at once when there is no place.
    pub fn accepted(&mut self, cx: &mut Cx, tcp: TcpId, remote: SocketAddr) {
        if self.waiting.len() >= cx.config.session.max_unrouted as usize {
            cx.act(Action::Close { tcp, flush: false });
            return;
        }
        let until = cx.now + cx.config.peer.handshake_timeout;
        self.waiting.insert(tcp, Stranger { remote, until, read: BytesMut::new() });
        self.order.insert((until, tcp));
        cx.act(Action::Grant { tcp, bytes: HANDSHAKE });
    }

    /// Whether the stream is one of ours.
    pub fn holds(&self, tcp: TcpId) -> bool {
        self.waiting.contains_key(&tcp)
    }

    /// Bytes came in. A stream that is not BitTorrent is closed; one that has named its torrent is handed over and forgotten.
    pub fn received(&mut self, cx: &mut Cx, tcp: TcpId, bytes: &[u8]) -> Option<Routed> {
        let stranger = self.waiting.get_mut(&tcp)?;
        let before = stranger.read.len();
        stranger.read.extend_from_slice(bytes);
        match Handshake48::parse(&stranger.read) {
            Ok(None) => None,
            Ok(Some(head)) => {
                let stranger = self.forget(tcp)?;
                let all = stranger.read.freeze();
                let rest = all.slice(Handshake48::LENGTH..);
                let consumed = Handshake48::LENGTH.saturating_sub(before) as u32;
                Some(Routed { remote: stranger.remote, head, rest, consumed })
            }
            Err(_) => {
                self.forget(tcp);
                cx.act(Action::Close { tcp, flush: false });
                None
            }
        }
    }

    /// The stream is gone.
    pub fn lost(&mut self, tcp: TcpId) {
        self.forget(tcp);
    }

    /// Closes those whose time is up.
    pub fn tick(&mut self, cx: &mut Cx) {
        while let Some(&(until, tcp)) = self.order.first() {
            if until > cx.now {
                break;
            }
            self.forget(tcp);
            cx.act(Action::Close { tcp, flush: false });
        }
    }

    /// Closes all.
    pub fn close_all(&mut self, cx: &mut Cx) {
        for &tcp in self.waiting.keys() {
            cx.act(Action::Close { tcp, flush: false });
        }
        self.waiting.clear();
        self.order.clear();
    }

    /// When [`Acceptor::tick`] is due.
    pub fn deadline(&self) -> Option<Time> {
        self.order.first().map(|&(time, _)| time)
    }

    fn forget(&mut self, tcp: TcpId) -> Option<Stranger> {
        let stranger = self.waiting.remove(&tcp)?;
        self.order.remove(&(stranger.until, tcp));
        Some(stranger)
    }
}
