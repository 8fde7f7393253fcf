//! What a UDP datagram is.
//!
//! Only a connect request to a tracker (BEP 15) says so by itself. What follows between the same two addresses is taken for tracker traffic when it
//! can be read as such: requests by their shape, answers by the transaction of a request. Everything else is known by its first bytes: local
//! discovery by its address and method, the DHT by being a dictionary with the key `y`, uTP by its header. A datagram that is none of these and has
//! the exact shape of a tracker's request is one whose connect came before the capture.

use super::CaptureLimits;
use super::dht::DhtDatagram;
use super::said::DatagramKind;
use crate::lsd::{GROUP_V4, GROUP_V6, LsdMessage};
use crate::tracker::udp::{UdpRequest, UdpResponse};
use alloc::collections::{BTreeMap, VecDeque};
use bytes::Bytes;
use core::net::SocketAddr;

/// So many requests of a client to a tracker may be unanswered; a client sends each again eight times at most.
const MAX_UNANSWERED: usize = 64;
/// BEP 14's groups.
const LSD_V4: SocketAddr = SocketAddr::new(GROUP_V4, 6771);
const LSD_V6: SocketAddr = SocketAddr::new(GROUP_V6, 6771);

/// Tells datagrams apart.
#[derive(Clone, Debug, Default)]
pub(super) struct UdpTalk {
    /// By client and tracker: transactions, and the action of the request.
    flows: BTreeMap<(SocketAddr, SocketAddr), VecDeque<(u32, u32)>>,
}

impl UdpTalk {
    /// What a datagram is.
    pub(super) fn tell(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &Bytes,
        limits: &CaptureLimits,
    ) -> DatagramKind {
        if let Some(kind) = self.tracker(from, to, bytes, limits) {
            return kind;
        }
        if (to == LSD_V4 || to == LSD_V6) && bytes.starts_with(b"BT-SEARCH") {
            DatagramKind::Lsd(LsdMessage::parse(bytes).ok())
        } else if let Some(dht) = DhtDatagram::tell(bytes) {
            DatagramKind::Dht(dht)
        } else if is_utp(bytes) {
            DatagramKind::Utp
        } else if let Some(request) = UdpRequest::decode(bytes).filter(|_| has_request_shape(bytes)) {
            self.learn(from, to, &request, limits);
            DatagramKind::TrackerRequest(request)
        } else {
            DatagramKind::Other
        }
    }

    /// What it is between a client and a tracker that are known, or if it makes them known.
    fn tracker(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        limits: &CaptureLimits,
    ) -> Option<DatagramKind> {
        match UdpRequest::decode(bytes) {
            Some(request @ UdpRequest::Connect { .. }) => {
                self.learn(from, to, &request, limits);
                return Some(DatagramKind::TrackerRequest(request));
            }
            Some(request) if self.flows.contains_key(&(from, to)) => {
                self.learn(from, to, &request, limits);
                return Some(DatagramKind::TrackerRequest(request));
            }
            _ => {}
        }
        let asked = self.flows.get_mut(&(to, from))?;
        let v6 = from.is_ipv6();
        let (transaction, response) = UdpResponse::decode(bytes, v6, limits.max_peers, limits.max_text)?;
        let answers = match response {
            UdpResponse::Connected { .. } => Some(0),
            UdpResponse::Announced(_) => Some(1),
            UdpResponse::Scraped(_) => Some(2),
            // An error answers anything.
            UdpResponse::Error(_) => None,
        };
        // An answer may come twice: what it answers is remembered until newer requests take its place.
        let fits =
            |&(known, action): &(u32, u32)| known == transaction && answers.is_none_or(|answers| answers == action);
        asked.iter().any(fits).then_some(DatagramKind::TrackerResponse { transaction, response })
    }

    fn learn(&mut self, from: SocketAddr, to: SocketAddr, request: &UdpRequest, limits: &CaptureLimits) {
        let asked = match request {
            UdpRequest::Connect { transaction } => (*transaction, 0),
            UdpRequest::Announce { transaction, .. } => (*transaction, 1),
            UdpRequest::Scrape { transaction, .. } => (*transaction, 2),
        };
        if self.flows.len() >= limits.max_udp_flows as usize && !self.flows.contains_key(&(from, to)) {
            return;
        }
        let flow = self.flows.entry((from, to)).or_default();
        if flow.len() >= MAX_UNANSWERED {
            flow.pop_front();
        }
        flow.push_back(asked);
    }
}

/// Whether it is exactly as long as a request, with an event that there is.
fn has_request_shape(bytes: &[u8]) -> bool {
    let number = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map(u32::from_be_bytes);
    match number(8) {
        // Behind 98 bytes, options of BEP 41 may follow.
        Some(1) => bytes.len() >= 98 && number(80).is_some_and(|event| event <= 3),
        Some(2) => bytes.len() > 16 && (bytes.len() - 16).is_multiple_of(20),
        _ => false,
    }
}

/// BEP 29: version 1, a type of 0 to 4, and a chain of extensions that ends inside the packet.
fn is_utp(bytes: &[u8]) -> bool {
    const HEADER: usize = 20;
    let Some(&[first, mut extension, ..]) = bytes.first_chunk::<2>() else { return false };
    if bytes.len() < HEADER || first & 15 != 1 || first >> 4 > 4 {
        return false;
    }
    let mut at = HEADER;
    // Each takes two bytes at least.
    while extension != 0 {
        let (Some(&next), Some(&length)) = (bytes.get(at), bytes.get(at + 1)) else { return false };
        extension = next;
        at += 2 + usize::from(length);
    }
    at <= bytes.len()
}
