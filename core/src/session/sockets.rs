//! Listening sockets: TCP first, then UDP on the port that TCP got.

use crate::border::{Action, CommandError, CommandId, IoFault, Notice, SocketId, SocketKind};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
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
    device: Option<String>,
    local: Option<SocketAddr>,
}

canon_struct!(out Row { command, kind, udp, device, local });

impl Sockets {
    pub(super) fn listen(
        &mut self,
        cx: &mut Cx,
        command: CommandId,
        tcp: SocketId,
        udp: Option<SocketId>,
        addr: SocketAddr,
        device: Option<String>,
    ) {
        if self.rows.contains_key(&tcp) || udp.is_some_and(|udp| self.rows.contains_key(&udp) || udp == tcp) {
            let error = CommandError::Bind(IoFault::AddressUnavailable);
            cx.out.notices.push(Notice::CommandFailed { command, error });
            return;
        }
        let kind = SocketKind::TcpListener;
        self.rows.insert(tcp, Row { command, kind, udp, device: device.clone(), local: None });
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
        let (command, device) = (row.command, row.device.clone());
        cx.out.notices.push(Notice::Listening { command, sock, local });
        if let Some(udp) = row.udp {
            let kind = SocketKind::Udp;
            self.rows.insert(udp, Row { command, kind, udp: None, device: device.clone(), local: None });
            cx.act(Action::Bind { sock: udp, kind, addr: local, device });
        }
    }

    pub(super) fn failed(&mut self, cx: &mut Cx, sock: SocketId, fault: IoFault) {
        let Some(row) = self.rows.remove(&sock) else { return };
        cx.out.notices.push(Notice::CommandFailed { command: row.command, error: CommandError::Bind(fault) });
    }

    /// The pairs that are open, in the order of their ids.
    pub(super) fn open(&self) -> Vec<Listening> {
        self.rows
            .iter()
            .filter(|(_, row)| row.kind == SocketKind::TcpListener)
            .filter_map(|(&sock, row)| {
                let udp = row.udp.and_then(|udp| Some((udp, self.rows.get(&udp)?.local?)));
                Some(Listening { tcp: (sock, row.local?), udp })
            })
            .collect()
    }

    /// Whether no socket is being opened: announces tell the port of each.
    pub(super) fn is_settled(&self) -> bool {
        self.rows.values().all(|row| row.local.is_some())
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
