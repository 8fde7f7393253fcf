//! Streams that came in and have not said yet what they want.
//!
//! A public machine of its own, so that a front with many sessions behind it can read the head of a handshake, route by
//! info-hash, and hand the stream on. It says nothing: an info-hash is never told to a stranger who has not named it.
//!
//! One who names a torrent that is still looking at its disk is kept until that is done ([`Acceptor::keep`]), so that a peer
//! which dials a moment too early does not have to come again.
//!
//! A stranger may hold a place for as long as a handshake may take, and send the 48 bytes up to the info-hash; credit for
//! no more than a whole handshake is given. When all places are taken the newcomer is refused, so that a flood cannot push out
//! those who are in the middle of their handshake. One address gets a part of the places only.

use crate::border::{Action, InfoHash, TcpId};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::time::Time;
use crate::wire::Handshake48;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::net::{IpAddr, SocketAddr};

/// Bytes of a whole handshake (BEP 3: 1 + 19 + 8 + 20 + 20).
const HANDSHAKE: u32 = 68;

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct Acceptor {
    waiting: BTreeMap<TcpId, Stranger>,
    order: BTreeSet<(Time, TcpId)>,
    /// Those who wait for a torrent to be ready.
    kept: BTreeSet<(InfoHash, TcpId)>,
    /// How many of the places each address has.
    places: BTreeMap<IpAddr, u32>,
}

canon_struct!(out Acceptor { waiting, order, kept, places });

#[cfg(test)]
impl Acceptor {
    /// Changes something that does not show at once.
    pub(crate) fn tamper(&mut self) {
        self.places.insert(core::net::Ipv4Addr::LOCALHOST.into(), 1);
    }
}

#[derive(Clone, Debug)]
struct Stranger {
    remote: SocketAddr,
    until: Time,
    read: BytesMut,
    /// The torrent that it waits for.
    wants: Option<InfoHash>,
}

canon_struct!(out Stranger { remote, until, read, wants });

/// A stream that has named a torrent.
#[derive(Clone, Debug)]
pub struct Routed {
    /// Who it is.
    pub remote: SocketAddr,
    /// When its time for a handshake is up.
    pub until: Time,
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
        let ip = remote.ip().to_canonical();
        let has = self.places.get(&ip).copied().unwrap_or(0);
        let too_many = has >= cx.config.session.max_unrouted_per_ip && !ip.is_loopback();
        if too_many || self.waiting.len() >= cx.config.session.max_unrouted as usize {
            cx.act(Action::Close { tcp, flush: false });
            return;
        }
        let until = cx.now + cx.config.peer.handshake_timeout;
        self.put(tcp, Stranger { remote, until, read: BytesMut::new(), wants: None });
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
        if stranger.wants.is_some() {
            return None;
        }
        match Handshake48::parse(&stranger.read) {
            Ok(None) => None,
            Ok(Some(head)) => {
                let stranger = self.forget(tcp)?;
                let all = stranger.read.freeze();
                let rest = all.slice(Handshake48::LENGTH..);
                let consumed = Handshake48::LENGTH.saturating_sub(before) as u32;
                Some(Routed { remote: stranger.remote, until: stranger.until, head, rest, consumed })
            }
            Err(_) => {
                self.forget(tcp);
                cx.act(Action::Close { tcp, flush: false });
                None
            }
        }
    }

    /// Takes a stream back whose torrent is not ready yet, until it is or the time for a handshake is up.
    pub fn keep(&mut self, tcp: TcpId, routed: Routed) {
        let mut read = BytesMut::from(&routed.head.emit()[..]);
        read.extend_from_slice(&routed.rest);
        let wants = Some(routed.head.info_hash);
        self.put(tcp, Stranger { remote: routed.remote, until: routed.until, read, wants });
        self.order.insert((routed.until, tcp));
        self.kept.insert((routed.head.info_hash, tcp));
    }

    /// Hands over a stream that was kept for this torrent; call until `None` when the torrent is ready.
    pub fn take_kept(&mut self, info_hash: InfoHash) -> Option<(TcpId, Routed)> {
        let &(_, tcp) = self.kept.range((info_hash, TcpId(0))..=(info_hash, TcpId(u64::MAX))).next()?;
        let stranger = self.forget(tcp)?;
        let all = stranger.read.freeze();
        let head = Handshake48::parse(&all).ok().flatten()?;
        let rest = all.slice(Handshake48::LENGTH..);
        Some((tcp, Routed { remote: stranger.remote, until: stranger.until, head, rest, consumed: 0 }))
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

    /// The list of blocked addresses is another one: closes whom it blocks.
    pub fn drop_blocked(&mut self, cx: &mut Cx) {
        let blocked = self.waiting.iter().filter(|(_, stranger)| cx.filter.blocks(stranger.remote.ip()));
        let blocked: Vec<TcpId> = blocked.map(|(&tcp, _)| tcp).collect();
        for tcp in blocked {
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
        self.kept.clear();
        self.places.clear();
    }

    /// When [`Acceptor::tick`] is due.
    pub fn deadline(&self) -> Option<Time> {
        self.order.first().map(|&(time, _)| time)
    }

    fn put(&mut self, tcp: TcpId, stranger: Stranger) {
        *self.places.entry(stranger.remote.ip().to_canonical()).or_default() += 1;
        self.waiting.insert(tcp, stranger);
    }

    fn forget(&mut self, tcp: TcpId) -> Option<Stranger> {
        let stranger = self.waiting.remove(&tcp)?;
        self.order.remove(&(stranger.until, tcp));
        let ip = stranger.remote.ip().to_canonical();
        match self.places.get_mut(&ip) {
            Some(places @ 2..) => *places -= 1,
            _ => _ = self.places.remove(&ip),
        }
        if let Some(wanted) = stranger.wants {
            self.kept.remove(&(wanted, tcp));
        }
        Some(stranger)
    }
}
