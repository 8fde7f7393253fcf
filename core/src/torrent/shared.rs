//! What the torrents of one session share: budgets, limits and the sockets they may use.

use super::brake::DialBrake;
use super::{Buckets, Bystanders};
use crate::border::{Actions, Notice, PeerKey, SocketId, TcpId};
use crate::cx::Cx;
use crate::external::ExternalAddresses;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::net_policy::AddrClass;
use crate::tracker::{Way, Ways};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Counters over all torrents, owned by the session and handed to each torrent with a call.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Bytes handed to the disk and not yet written.
    pub disk_queue: u64,
    /// Bytes asked from the disk for peers and not yet handed to them.
    pub read_ahead: u64,
    /// Peer connections, ready or not.
    pub peers: u32,
    /// Dials under way.
    pub half_open: u32,
    /// Those of the connections with no interest either way.
    pub bystanders: Bystanders,
    /// Streams that came in from blocked addresses, and were closed unread.
    pub blocked_incoming: u64,
    /// The session's rate limits.
    pub buckets: Buckets,
    /// Torrents that serve somebody.
    pub serving: u32,
    /// How often strangers' addresses are dialled.
    pub brake: DialBrake,
    /// The sockets that are open.
    pub sockets: Vec<Listening>,
    /// Whether there are some, and none is being opened.
    pub(crate) listening: bool,
    /// Whether there is a node of the DHT, or will be.
    pub(crate) dht: bool,
    /// Where peers say that they have one.
    pub(crate) named_nodes: Vec<SocketAddr>,
    /// Announces by HTTP under way.
    pub http_announces: u32,
    /// Our own addresses, as others see them.
    pub external: ExternalAddresses,
    /// Goes up when what is known of our own addresses and ports changes.
    pub(crate) own_version: u64,
    /// Streams that torrents have let go of since the session last looked.
    pub(crate) gone: Vec<TcpId>,
    pub(crate) next_peer: u64,
}

/// What a torrent means to the [queue](crate::session::queue).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It would not run anyway.
    #[default]
    Out,
    /// It has something to fetch.
    Download,
    /// It has all that it wants.
    Seed,
}

canon_enum!(out Standing { 0 = Out, 1 = Download, 2 = Seed });

/// An open pair of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The listening TCP socket and its address.
    pub tcp: (SocketId, SocketAddr),
    /// The UDP socket.
    pub udp: Option<(SocketId, SocketAddr)>,
    /// Whether a node of the DHT runs on that.
    pub dht: bool,
}

canon_struct!(out Listening { tcp, udp, dht });

impl Shared {
    pub(crate) fn new_peer(&mut self) -> PeerKey {
        self.next_peer += 1;
        PeerKey(self.next_peer)
    }

    /// Whether peers can reach us, and what we listen on is decided: before, nothing is told to trackers.
    pub fn is_listening(&self) -> bool {
        self.listening
    }

    /// Somebody says under which address he sees us.
    pub(crate) fn seen_as(&mut self, cx: &mut Cx<'_>, ip: IpAddr, voter: IpAddr) {
        if self.external.vote(cx.now, &cx.config.external, ip, voter) {
            self.own_version += 1;
            let ip = ip.to_canonical();
            cx.out.notices.push(Notice::ExternalAddress { v6: ip.is_ipv6(), ip: Some(ip) });
        }
    }

    /// A node of the DHT has found out where others see us, by votes of its own.
    pub(crate) fn found_own_address(&mut self, out: &mut Actions, ip: IpAddr) {
        if self.external.believe(ip) {
            self.own_version += 1;
            out.notices.push(Notice::ExternalAddress { v6: ip.is_ipv6(), ip: Some(ip) });
        }
    }

    /// The ports of our nodes of the DHT, of IPv4 and IPv6.
    pub(crate) fn node_ports(&self) -> [Option<u16>; 2] {
        [false, true].map(|v6| {
            let nodes = self.sockets.iter().filter(|listening| listening.dht).filter_map(|listening| listening.udp);
            nodes.map(|(_, local)| local).find(|local| local.is_ipv6() == v6).map(|local| local.port())
        })
    }

    /// Where others can reach us in a family, as far as it is known.
    pub(crate) fn external_addr(&self, v6: bool) -> Option<SocketAddr> {
        let ip = self.external.get(v6)?;
        let family = self.sockets.iter().find(|listening| listening.tcp.1.is_ipv6() == v6);
        let port = family.map(|listening| listening.tcp.1.port()).or(self.listen_port())?;
        Some(SocketAddr::new(ip, port))
    }

    /// Addresses on the open internet that we listen on, one of each family.
    pub(crate) fn own_ips(&self) -> [Option<IpAddr>; 2] {
        [false, true].map(|v6| {
            let ips = self.sockets.iter().map(|listening| listening.tcp.1.ip());
            ips.filter(|ip| ip.is_ipv6() == v6).find(|ip| AddrClass::of(*ip) == AddrClass::Global)
        })
    }

    /// The port that peers can reach us at; the first socket's.
    pub fn listen_port(&self) -> Option<u16> {
        self.sockets.first().map(|listening| listening.tcp.1.port())
    }

    /// The socket to dial `remote` from, where we listen on one address only (else the system's routes decide).
    pub(crate) fn source_for(&self, remote: IpAddr) -> Option<SocketId> {
        self.sockets
            .iter()
            .find(|listening| {
                let local = listening.tcp.1.ip();
                local.is_ipv4() == remote.is_ipv4() && !local.is_unspecified()
            })
            .map(|listening| listening.tcp.0)
    }

    /// The address that other requests (trackers) are to come from, where we listen on one address only.
    pub(crate) fn bind_ip(&self) -> Option<IpAddr> {
        let ip = self.sockets.first()?.tcp.1.ip();
        (!ip.is_unspecified()).then_some(ip)
    }

    /// How trackers can be asked in each family, where we listen in both apart.
    pub(crate) fn ways(&self) -> Option<Ways> {
        let way = |v6: bool| {
            let listening = self.sockets.iter().find(|listening| listening.tcp.1.is_ipv6() == v6)?;
            let ip = listening.tcp.1.ip();
            Some(Way {
                port: listening.tcp.1.port(),
                udp: listening.udp.map(|(sock, _)| sock),
                bind_ip: (!ip.is_unspecified()).then_some(ip),
            })
        };
        let ways = Ways { v4: way(false), v6: way(true) };
        (ways.v4.is_some() && ways.v6.is_some()).then_some(ways)
    }

    /// How trackers can be asked, whatever we listen on.
    pub(crate) fn all_ways(&self) -> Ways {
        let one = Way { port: self.listen_port().unwrap_or(0), udp: self.udp(), bind_ip: self.bind_ip() };
        let serves = |v6: bool| one.bind_ip.is_none_or(|ip| ip.is_ipv6() == v6).then_some(one);
        self.ways().unwrap_or_else(|| Ways { v4: serves(false), v6: serves(true) })
    }

    /// A UDP socket for asking trackers.
    pub(crate) fn udp(&self) -> Option<SocketId> {
        self.sockets.iter().find_map(|listening| listening.udp).map(|(sock, _)| sock)
    }
}
