//! Listening sockets: TCP first, then UDP on the port that TCP got, and multicast for local discovery.
//!
//! A multicast socket is opened anew when interfaces change: whether it could be had before or not.

use crate::border::{Action, CommandError, CommandId, IoFault, Notice, SocketId, SocketKind};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::lsd::{LsdSocket, group};
use crate::torrent::Listening;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The sockets that were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    rows: BTreeMap<SocketId, Row>,
}

canon_struct!(out Sockets { rows });

#[derive(Clone, Debug)]
struct Row {
    command: CommandId,
    kind: SocketKind,
    /// The UDP socket that is to follow a TCP one.
    udp: Option<SocketId>,
    /// The multicast socket that is to follow.
    lsd: Option<SocketId>,
    /// Whether a node of the DHT runs on the UDP socket.
    dht: bool,
    device: Option<String>,
    local: Option<SocketAddr>,
    /// Of a multicast socket, where peers reach us.
    port: u16,
}

/// What is to be listened on.
pub(super) struct Listen {
    pub tcp: SocketId,
    pub udp: Option<SocketId>,
    pub lsd: Option<SocketId>,
    pub dht: bool,
    pub addr: SocketAddr,
    pub device: Option<String>,
}

canon_struct!(out Row { command, kind, udp, lsd, dht, device, local, port });

impl Sockets {
    pub(super) fn listen(&mut self, cx: &mut Cx, command: CommandId, listen: Listen) {
        let Listen { tcp, udp, lsd, dht, addr, device } = listen;
        let names = [Some(tcp), udp, lsd];
        let taken = |name: &SocketId| self.rows.values().any(|row| row.udp == Some(*name) || row.lsd == Some(*name));
        let clash = names.iter().flatten().any(|name| self.rows.contains_key(name) || taken(name))
            || (1..3).any(|at| names[at].is_some() && names[..at].contains(&names[at]));
        if clash {
            let error = CommandError::Bind(IoFault::AddressUnavailable);
            cx.out.notices.push(Notice::CommandFailed { command, error });
            return;
        }
        let kind = SocketKind::TcpListener;
        let lsd = lsd.filter(|_| cx.config.lsd.enabled);
        self.rows.insert(tcp, Row { command, kind, udp, lsd, dht, device: device.clone(), local: None, port: 0 });
        cx.act(Action::Bind { sock: tcp, kind, addr, device });
    }

    pub(super) fn bound(&mut self, cx: &mut Cx, sock: SocketId, local: SocketAddr) {
        let Some(row) = self.rows.get_mut(&sock) else {
            cx.act(Action::Unbind { sock });
            return;
        };
        if row.local.replace(local).is_some() {
            return;
        }
        if let SocketKind::Multicast { .. } = row.kind {
            return;
        }
        let (command, device) = (row.command, row.device.clone());
        let lsd = row.lsd;
        cx.out.notices.push(Notice::Listening { command, sock, local });
        if let Some(udp) = row.udp {
            let kind = SocketKind::Udp;
            let row =
                Row { command, kind, udp: None, lsd: None, dht: false, device: device.clone(), local: None, port: 0 };
            self.rows.insert(udp, row);
            cx.act(Action::Bind { sock: udp, kind, addr: local, device });
        }
        // Neighbours do not reach a socket of this machine alone.
        if let Some(lsd) = lsd.filter(|_| !local.ip().is_loopback()) {
            self.join(cx, sock, lsd);
        }
    }

    /// Opens the multicast socket of a listening one.
    fn join(&mut self, cx: &mut Cx, tcp: SocketId, lsd: SocketId) {
        let Some(Row { command, device, local: Some(local), .. }) = self.rows.get(&tcp) else { return };
        let (command, device, local) = (*command, device.clone(), *local);
        let kind = SocketKind::Multicast { group: group(local.is_ipv6()) };
        let port = local.port();
        let row = Row { command, kind, udp: None, lsd: None, dht: false, device: device.clone(), local: None, port };
        self.rows.insert(lsd, row);
        let addr = SocketAddr::new(local.ip(), cx.config.lsd.port);
        cx.act(Action::Bind { sock: lsd, kind, addr, device });
    }

    /// Interfaces have changed: joins the groups on those that there are now. One that is being opened is left.
    pub(super) fn rejoin(&mut self, cx: &mut Cx) {
        let near = |row: &Row| row.local.is_some_and(|local| !local.ip().is_loopback());
        let wanted: Vec<(SocketId, SocketId)> =
            self.rows.iter().filter_map(|(&tcp, row)| Some((tcp, row.lsd.filter(|_| near(row))?))).collect();
        for (tcp, lsd) in wanted {
            match self.rows.get(&lsd) {
                Some(Row { local: None, .. }) => continue,
                Some(_) => cx.act(Action::Unbind { sock: lsd }),
                None => {}
            }
            self.join(cx, tcp, lsd);
        }
    }

    /// The open sockets for local discovery.
    pub(super) fn discovery(&self) -> Vec<LsdSocket> {
        let socket = |(&sock, row): (&SocketId, &Row)| match (row.kind, row.local) {
            (SocketKind::Multicast { group }, Some(_)) => Some(LsdSocket { sock, v6: group.is_ipv6(), port: row.port }),
            _ => None,
        };
        self.rows.iter().filter_map(socket).collect()
    }

    /// Whether a socket is one for local discovery.
    pub(super) fn is_discovery(&self, sock: SocketId) -> bool {
        self.rows.get(&sock).is_some_and(|row| matches!(row.kind, SocketKind::Multicast { .. }))
    }

    pub(super) fn failed(&mut self, cx: &mut Cx, sock: SocketId, fault: IoFault) {
        let Some(row) = self.rows.remove(&sock) else { return };
        if let SocketKind::Multicast { .. } = row.kind {
            cx.out.notices.push(Notice::DiscoveryFailed { sock, fault });
            return;
        }
        cx.out.notices.push(Notice::CommandFailed { command: row.command, error: CommandError::Bind(fault) });
    }

    /// The pairs that are open, in the order of their ids.
    pub(super) fn open(&self) -> Vec<Listening> {
        self.rows
            .iter()
            .filter(|(_, row)| row.kind == SocketKind::TcpListener)
            .filter_map(|(&sock, row)| {
                let udp = row.udp.and_then(|udp| Some((udp, self.rows.get(&udp)?.local?)));
                Some(Listening { tcp: (sock, row.local?), udp, dht: row.dht && udp.is_some() })
            })
            .collect()
    }

    /// Whether no socket is being opened: announces tell the port of each.
    pub(super) fn is_settled(&self) -> bool {
        let optional = |row: &Row| matches!(row.kind, SocketKind::Multicast { .. });
        self.rows.values().all(|row| row.local.is_some() || optional(row))
    }

    pub(super) fn close_all(&mut self, cx: &mut Cx) {
        for &sock in self.rows.keys() {
            cx.act(Action::Unbind { sock });
        }
        self.rows.clear();
    }

    /// Stops listening, keeps UDP: what trackers answer is still wanted.
    pub(super) fn close_listeners(&mut self, cx: &mut Cx) {
        self.rows.retain(|&sock, row| {
            let stays = row.kind == SocketKind::Udp;
            if !stays {
                cx.act(Action::Unbind { sock });
            }
            stays
        });
    }
}
