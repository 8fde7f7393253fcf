//! Answering others.

use super::Node;
use crate::cx::Cx;
use crate::dht::NodeId;
use crate::dht::krpc::{Contact, ErrorCode, MAX_VALUES, Message, Method, Query, Response, Want};
use crate::dht::store::ItemStore;
use crate::dht::table::Table;
use crate::net_policy::AddrClass;
use alloc::vec::Vec;
use core::net::SocketAddr;

impl Node {
    /// The answer to a query.
    ///
    /// BEP 5: "If the queried node has no peers for the infohash, a key "nodes" is returned". Here nodes are named in any case, as BEP 32
    /// has it: "this change makes the DHT more reliable".
    pub(super) fn serve(
        &mut self,
        cx: &mut Cx<'_>,
        other: Option<&Table>,
        from: SocketAddr,
        transaction: &[u8],
        query: &Query<'_>,
    ) -> Vec<u8> {
        let (now, own, ip) = (cx.now, self.id(), from.ip());
        let mut response = Response::new(own);
        let (token, filters, item);
        match &query.method {
            Method::Ping => {}
            Method::FindNode { target, want } => self.name_nodes(cx, other, from, *target, *want, &mut response),
            Method::GetPeers { info_hash, want, no_seed, scrape } => {
                let target = NodeId::from(*info_hash);
                self.name_nodes(cx, other, from, target, *want, &mut response);
                // BEP 33: a full torrent is told "by not responding with tokens".
                if self.peers.has_room(now, *info_hash) {
                    token = self.tokens.issue(now, ip, target);
                    response.token = Some(&token);
                }
                let peers = self.peers.draw(now, *info_hash, self.v6, *no_seed, MAX_VALUES, &mut self.rng);
                response.values = (!peers.is_empty()).then_some(peers);
                if *scrape && let Some(found) = self.peers.filters(now, *info_hash) {
                    filters = found;
                    (response.seed_filter, response.peer_filter) =
                        (Some(filters.0.as_bytes()), Some(filters.1.as_bytes()));
                }
            }
            Method::AnnouncePeer { info_hash, port, implied_port, seed, token } => {
                let port = if *implied_port { from.port() } else { *port };
                if !self.tokens.accepts(now, ip, NodeId::from(*info_hash), token) || port == 0 {
                    return refuse(cx, from, transaction, ErrorCode::PROTOCOL);
                }
                if !self.peers.announce(now, own, *info_hash, SocketAddr::new(ip, port), *seed) {
                    return refuse(cx, from, transaction, ErrorCode::SERVER);
                }
            }
            Method::Get { target, seq, want } => {
                self.name_nodes(cx, other, from, *target, *want, &mut response);
                token = self.tokens.issue(now, ip, *target);
                response.token = Some(&token);
                item = self.items.get(now, *target).cloned();
                if let Some(item) = &item {
                    item.put_into(*seq, &mut response);
                }
            }
            Method::Put { token, value, signed } => {
                let target = ItemStore::target_of(value, signed.as_ref());
                if !self.tokens.accepts(now, ip, target, token) {
                    return refuse(cx, from, transaction, ErrorCode::PROTOCOL);
                }
                if let Err(code) = self.items.put(now, own, ip, value, signed.as_ref()) {
                    return refuse(cx, from, transaction, code);
                }
            }
            Method::SampleInfohashes { target, want } => {
                self.name_nodes(cx, other, from, *target, *want, &mut response);
                let samples = self.peers.samples(now, &mut self.rng);
                (response.num, response.interval) = (Some(samples.num), Some(samples.interval));
                response.samples = Some(samples.torrents);
            }
            // BEP 5: 204 is "Method Unknown".
            Method::Unknown { .. } => return refuse(cx, from, transaction, ErrorCode::METHOD_UNKNOWN),
        }
        let mut message = Message::response(transaction, response);
        // BEP 42: every answer says where its sender sees the other.
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
            let fit =
                |c: &&crate::dht::table::Contact| c.addr != from && (local || !AddrClass::of(c.addr.ip()).is_local());
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
