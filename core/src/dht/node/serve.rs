//! Answering others.

use super::Node;
use crate::cx::Cx;
use crate::dht::NodeId;
use crate::dht::krpc::{Contact, ErrorCode, Message, Method, Query, Response, Want};
use crate::dht::table::Table;
use crate::net_policy::AddrClass;
use alloc::vec::Vec;
use core::net::SocketAddr;

impl Node {
    /// The answer to a query.
    pub(super) fn serve(
        &mut self,
        cx: &mut Cx<'_>,
        other: Option<&Table>,
        from: SocketAddr,
        transaction: &[u8],
        query: &Query<'_>,
    ) -> Vec<u8> {
        let mut response = Response::new(self.id());
        let token;
        match &query.method {
            Method::Ping => {}
            Method::FindNode { target, want } => self.name_nodes(cx, other, from, *target, *want, &mut response),
            Method::GetPeers { info_hash, want, .. } => {
                let target = NodeId::from(*info_hash);
                self.name_nodes(cx, other, from, target, *want, &mut response);
                token = self.tokens.issue(cx.now, from.ip(), target);
                response.token = Some(&token);
                response.values = self.store.peers.get(&target).map(|p| p.iter().copied().collect());
            }
            Method::AnnouncePeer { info_hash, port, implied_port, token, .. } => {
                let target = NodeId::from(*info_hash);
                if !self.tokens.accepts(cx.now, from.ip(), target, token) {
                    return refuse(cx, from, transaction, ErrorCode::PROTOCOL);
                }
                self.store.peers.entry(target).or_default().insert(SocketAddr::new(from.ip(), if *implied_port { from.port() } else { *port }));
            }
            _ => return refuse(cx, from, transaction, ErrorCode::METHOD_UNKNOWN),
        }
        let mut message = Message::response(transaction, response);
        message.ip = Some(from);
        message.version = (!cx.config.announce.hide_client).then_some(super::VERSION);
        message.encode()
    }

    /// Puts the nodes into an answer that its asker wants: those of the family that the query came by, if it does not say (BEP 32).
    fn name_nodes(
        &self,
        cx: &Cx<'_>,
        other: Option<&Table>,
        from: SocketAddr,
        target: NodeId,
        want: Option<Want>,
        response: &mut Response<'_>,
    ) {
        let want = want.unwrap_or(Want { v4: !self.v6, v6: self.v6 });
        let (own, others) = (Some(&self.table), other);
        let (v4, v6) = if self.v6 { (others, own) } else { (own, others) };
        let local = AddrClass::of(from.ip()).is_local();
        let closest = |table: Option<&Table>| {
            let k = cx.config.dht.k as usize;
            let named = table.map(|table| table.closest(cx.now, &cx.config.dht, target, k)).unwrap_or_default();
            // Not the asker itself, and to the internet nobody who is in our own network.
            let fit = |c: &&crate::dht::table::Contact| c.addr != from && (local || !AddrClass::of(c.addr.ip()).is_local());
            named.iter().filter(fit).map(|contact| Contact { id: contact.id, addr: contact.addr }).collect()
        };
        response.nodes = want.v4.then(|| closest(v4));
        response.nodes6 = want.v6.then(|| closest(v6));
    }
}

fn refuse(cx: &Cx<'_>, to: SocketAddr, transaction: &[u8], code: ErrorCode) -> Vec<u8> {
    let mut message = Message::error(transaction, code);
    message.ip = Some(to);
    message.version = (!cx.config.announce.hide_client).then_some(super::VERSION);
    message.encode()
}
