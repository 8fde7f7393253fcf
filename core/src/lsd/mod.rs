//! Local discovery (BEP 14): peers on the same network, by multicast.
//!
//! **Told:** which torrents take part ([`Lsd::set`]), which sockets there are ([`Lsd::announce`] is handed them), datagrams
//! ([`Lsd::heard`]), that the network is another one ([`Lsd::moved`]).
//! **Says:** announces, as datagrams, when they are due ([`Lsd::deadline`]); and what others announce ([`Heard`]).
//!
//! # Announcing
//! "As long as a client is participating in a swarm it should send a LSD announce every 5 minutes on each interface on which
//! it is listening [...]. To avoid causing multicast storms on large networks a client should send no more than 1 announce per
//! minute. If more than 5 torrents are active a client may either round-robin announce the active torrents or include multiple
//! infohashes per announce." Both is done here: an announce has as many as fit, those whose turn was longest ago first. So with more
//! than 120 torrents each of them is announced more seldom. A private torrent is never set: BEP 27.
//!
//! # Hearing
//! Only addresses of our own networks are believed: private ones, those of the link and of this machine; and such as share their
//! network (/24 of IPv4, /64 of IPv6) with one of our own, which we know from our own announces that came back. The port
//! is whatever the announce says, but the address is that of the sender: whoever forges it has to be on the link.
//!
//! Limits: [`LsdConfig`]. What was heard is not kept here.

mod message;

pub use message::{LsdError, LsdMessage};

use crate::border::{Action, InfoHash, LsdConfig, SocketId, TorrentId};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::net_policy::AddrClass;
use crate::rng::Stream;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;

/// `239.192.152.143:6771` "(org-local)".
pub const GROUP_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 192, 152, 143));
/// `[ff15::efc0:988f]:6771` "(site-local)".
pub const GROUP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f));

/// The group of a family.
pub const fn group(v6: bool) -> IpAddr {
    if v6 { GROUP_V6 } else { GROUP_V4 }
}

/// How many of our own addresses are remembered, the latest: those of one machine.
const MAX_OWN: usize = 16;

/// An open socket that is a member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LsdSocket {
    /// Its name.
    pub sock: SocketId,
    /// Its family.
    pub v6: bool,
    /// The port at which peers of this family reach us.
    pub port: u16,
}

/// What somebody has announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where it listens.
    pub peer: SocketAddr,
    /// The torrents that it has.
    pub hashes: Vec<InfoHash>,
}

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct Lsd {
    members: BTreeMap<TorrentId, (InfoHash, Time)>,
    /// Whose turn comes when.
    turns: BTreeSet<(Time, TorrentId)>,
    /// No announce before then.
    next_at: Time,
    cookie: Option<String>,
    /// How many announces have come from whom in the minute that began then, the earliest first.
    sources: BTreeMap<IpAddr, (Time, u32)>,
    windows: VecDeque<(Time, IpAddr)>,
    own: VecDeque<IpAddr>,
}

canon_struct!(out Lsd { members, turns, next_at, cookie, sources, windows, own });
canon_struct!(out LsdSocket { sock, v6, port });

impl Lsd {
    /// No torrent takes part.
    pub fn new() -> Lsd {
        Lsd::default()
    }

    /// A torrent takes part from now on under this name, or, with `None`, does not.
    pub fn set(&mut self, now: Time, config: &LsdConfig, torrent: TorrentId, name: Option<InfoHash>) {
        let before = self.members.get(&torrent).copied();
        if before.map(|(name, _)| name) == name {
            return;
        }
        if let Some((_, due)) = before {
            self.turns.remove(&(due, torrent));
            self.members.remove(&torrent);
        }
        if let Some(name) = name {
            let due = now + config.gather;
            self.members.insert(torrent, (name, due));
            self.turns.insert((due, torrent));
        }
    }

    /// When [`Lsd::announce`] is due, provided that there is a socket.
    pub fn deadline(&self) -> Option<Time> {
        self.turns.first().map(|&(due, _)| due.max(self.next_at))
    }

    /// Announces whose turn it is, on each socket, if it is time.
    pub fn announce(&mut self, cx: &mut Cx<'_>, sockets: &[LsdSocket]) {
        if sockets.is_empty() || self.deadline().is_none_or(|due| due > cx.now) {
            return;
        }
        let config = &cx.config.lsd;
        let cookie = self.cookie.get_or_insert_with(|| {
            // It is no secret: whoever sends it back to us is not listened to.
            format!("pk{:08x}", cx.seeds.decisions(Stream::Lsd, 0).next_u32())
        });
        let mut message = LsdMessage { port: 0, hashes: Vec::new(), cookie: Some(cookie.clone()) };
        let room = LsdMessage::room(cookie.len());
        while message.hashes.len() < room
            && let Some(&(due, torrent)) = self.turns.first()
            && due <= cx.now
        {
            self.turns.pop_first();
            let Some((name, turn)) = self.members.get_mut(&torrent) else { continue };
            *turn = cx.now + config.interval;
            self.turns.insert((*turn, torrent));
            message.hashes.push(*name);
        }
        self.next_at = cx.now + config.spacing;
        for socket in sockets {
            let to = SocketAddr::new(group(socket.v6), config.port);
            message.port = socket.port;
            let bytes = Bytes::from(message.emit(to));
            let segment = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            cx.act(Action::SendDatagrams { sock: socket.sock, to, segment, bytes, dont_fragment: false });
        }
    }

    /// A datagram has come on one of the sockets. `None`: it is our own, or nothing that is believed.
    pub fn heard(&mut self, now: Time, config: &LsdConfig, from: SocketAddr, bytes: &[u8]) -> Option<Heard> {
        let ip = from.ip().to_canonical();
        let class = AddrClass::of(ip);
        if class == AddrClass::Unusable || !self.may_speak(now, config, ip) {
            return None;
        }
        let message = LsdMessage::parse(bytes).ok()?;
        if message.cookie.is_some() && message.cookie == self.cookie {
            self.own.retain(|own| *own != ip);
            self.own.push_back(ip);
            if self.own.len() > MAX_OWN {
                self.own.pop_front();
            }
            return None;
        }
        let near = class.is_local() || self.own.iter().any(|own| network(*own) == network(ip));
        let peer = match from {
            // A peer of the link is reached through the same interface.
            SocketAddr::V6(from) if ip.is_ipv6() => {
                SocketAddrV6::new(*from.ip(), message.port, 0, from.scope_id()).into()
            }
            _ => SocketAddr::new(ip, message.port),
        };
        near.then_some(Heard { peer, hashes: message.hashes })
    }

    /// We may be on another network now: everybody is announced there, as soon as the last announce is a minute old.
    pub fn moved(&mut self, now: Time, config: &LsdConfig) {
        self.own.clear();
        self.turns.clear();
        for (&torrent, (_, due)) in &mut self.members {
            *due = (*due).min(now + config.gather);
            self.turns.insert((*due, torrent));
        }
    }

    /// Whether one more announce of this address is read.
    fn may_speak(&mut self, now: Time, config: &LsdConfig, ip: IpAddr) -> bool {
        while let Some(&(since, oldest)) = self.windows.front() {
            let over = now.since(since) >= Duration::from_secs(60);
            let full = self.windows.len() >= config.max_sources as usize && !self.sources.contains_key(&ip);
            if !over && !full {
                break;
            }
            self.windows.pop_front();
            self.sources.remove(&oldest);
        }
        let (_, count) = self.sources.entry(ip).or_insert_with(|| {
            self.windows.push_back((now, ip));
            (now, 0)
        });
        *count = count.saturating_add(1);
        *count <= config.max_heard
    }
}

/// The network of an address: a usual one of IPv4, or the one that an interface has of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::from((u32::from(ip) & 0xffff_ff00).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) >> 64 << 64).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests;
