//! The UDP tracker protocol (BEP 15, with BEP 41's URL data): packets, both sides, and the client's one conversation.
//!
//! All integers are big-endian. Packets may be longer than they need be: what follows is ignored.

mod exchange;

pub use exchange::{UdpAsk, UdpConnection, UdpExchange, UdpSaid};

use super::{
    AnnounceEvent, AnnounceRequest, AnnounceResponse, Ledger, ScrapeCounts, TrackerUrl, clean_text, compact_peers,
    put_compact,
};
use crate::border::{InfoHash, PeerId, Target};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};

/// What every connect request begins with.
pub const PROTOCOL_ID: u64 = 0x0417_2710_1980;
/// The most torrents that fit into one scrape (BEP 15: "up to about 74 torrents can be scraped at once").
pub const MAX_SCRAPE: usize = 74;
/// The most bytes of URL data that are sent (BEP 41). More would not fit into one packet everywhere.
const MAX_URL_DATA: usize = 1024;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpRequest {
    /// Asks for a connection id.
    Connect {
        /// Chosen by the client; the answer repeats it.
        transaction: u32,
    },
    /// An announce.
    Announce {
        /// What the tracker answered to a connect.
        connection: u64,
        /// Chosen by the client; the answer repeats it.
        transaction: u32,
        /// What it says. `num_want` and `key` are always there on the wire; there is no tracker id.
        request: AnnounceRequest,
        /// The address to list instead of the sender's; unspecified: the sender's. Trackers ignore it.
        ip: Ipv4Addr,
        /// Path and query of the URL (BEP 41); empty: none.
        url_data: Vec<u8>,
    },
    /// A scrape.
    Scrape {
        /// What the tracker answered to a connect.
        connection: u64,
        /// Chosen by the client; the answer repeats it.
        transaction: u32,
        /// The torrents; at most [`MAX_SCRAPE`] are read.
        torrents: Vec<InfoHash>,
    },
}

/// What a tracker sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpResponse {
    /// Answers a connect.
    Connected {
        /// The connection id.
        connection: u64,
    },
    /// Answers an announce; without what only HTTP has.
    Announced(AnnounceResponse),
    /// Answers a scrape: counts in the order of the request.
    Scraped(Vec<ScrapeCounts>),
    /// Refuses anything.
    Error(alloc::string::String),
}

/// What goes into URL data (BEP 41): "the concatenation of the URL's path and query". Nothing for a URL without them.
pub fn url_data(url: &TrackerUrl) -> Vec<u8> {
    url.path_and_query().into_bytes()
}

impl UdpRequest {
    /// Writes the packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            UdpRequest::Connect { transaction } => {
                put(&mut out, PROTOCOL_ID.to_be_bytes());
                put(&mut out, CONNECT.to_be_bytes());
                put(&mut out, transaction.to_be_bytes());
            }
            UdpRequest::Announce { connection, transaction, request, ip, url_data } => {
                put(&mut out, connection.to_be_bytes());
                put(&mut out, ANNOUNCE.to_be_bytes());
                put(&mut out, transaction.to_be_bytes());
                put(&mut out, request.info_hash.0);
                put(&mut out, request.peer_id.0);
                put(&mut out, request.ledger.downloaded.to_be_bytes());
                put(&mut out, request.ledger.left.to_be_bytes());
                put(&mut out, request.ledger.uploaded.to_be_bytes());
                put(&mut out, event_number(request.event).to_be_bytes());
                put(&mut out, ip.octets());
                put(&mut out, request.key.unwrap_or(0).to_be_bytes());
                let want = request.num_want.map_or(-1, |want| i32::try_from(want).unwrap_or(i32::MAX));
                put(&mut out, want.to_be_bytes());
                put(&mut out, request.port.to_be_bytes());
                put_url_data(&mut out, url_data);
            }
            UdpRequest::Scrape { connection, transaction, torrents } => {
                put(&mut out, connection.to_be_bytes());
                put(&mut out, SCRAPE.to_be_bytes());
                put(&mut out, transaction.to_be_bytes());
                torrents.iter().take(MAX_SCRAPE).for_each(|torrent| put(&mut out, torrent.0));
            }
        }
        out
    }

    /// Reads a packet; `None` when it is not a request.
    pub fn decode(packet: &[u8]) -> Option<UdpRequest> {
        let mut reader = Reader(packet);
        let connection = reader.u64()?;
        let action = reader.u32()?;
        let transaction = reader.u32()?;
        match action {
            CONNECT => (connection == PROTOCOL_ID).then_some(UdpRequest::Connect { transaction }),
            ANNOUNCE => {
                let info_hash = InfoHash(reader.take()?);
                let peer_id = PeerId(reader.take()?);
                let (downloaded, left, uploaded) = (reader.u64()?, reader.u64()?, reader.u64()?);
                let event = match reader.u32()? {
                    0 => None,
                    1 => Some(AnnounceEvent::Completed),
                    2 => Some(AnnounceEvent::Started),
                    3 => Some(AnnounceEvent::Stopped),
                    // BEP 21 knows "paused" in HTTP only; a number that nobody has defined calls for no event.
                    _ => None,
                };
                let ip = Ipv4Addr::from(reader.take()?);
                let key = reader.u32()?;
                let num_want = u32::try_from(i32::from_be_bytes(reader.take()?)).ok();
                let port = u16::from_be_bytes(reader.take()?);
                let ledger = Ledger { uploaded, downloaded, left };
                let key = Some(key);
                let request = AnnounceRequest {
                    info_hash,
                    peer_id,
                    port,
                    ledger,
                    event,
                    num_want,
                    key,
                    tracker_id: None,
                    own_ips: Vec::new(),
                };
                let url_data = read_url_data(reader.0);
                Some(UdpRequest::Announce { connection, transaction, request, ip, url_data })
            }
            SCRAPE => {
                let torrents = reader.0.chunks_exact(20).take(MAX_SCRAPE);
                let torrents: Vec<InfoHash> = torrents.filter_map(|hash| hash.try_into().ok().map(InfoHash)).collect();
                (!torrents.is_empty()).then_some(UdpRequest::Scrape { connection, transaction, torrents })
            }
            _ => None,
        }
    }
}

impl UdpResponse {
    /// Writes the packet. Of the peers only addresses of the family `v6` names can be written.
    pub fn encode(&self, transaction: u32, v6: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            UdpResponse::Connected { connection } => {
                put(&mut out, CONNECT.to_be_bytes());
                put(&mut out, transaction.to_be_bytes());
                put(&mut out, connection.to_be_bytes());
            }
            UdpResponse::Announced(response) => {
                put(&mut out, ANNOUNCE.to_be_bytes());
                put(&mut out, transaction.to_be_bytes());
                put(&mut out, response.interval.unwrap_or(0).to_be_bytes());
                put(&mut out, response.incomplete.unwrap_or(0).to_be_bytes());
                put(&mut out, response.complete.unwrap_or(0).to_be_bytes());
                for peer in &response.peers {
                    if let Target::Addr(addr) = peer
                        && addr.is_ipv6() == v6
                    {
                        put_compact(&mut out, addr);
                    }
                }
            }
            UdpResponse::Scraped(counts) => {
                put(&mut out, SCRAPE.to_be_bytes());
                put(&mut out, transaction.to_be_bytes());
                for count in counts {
                    put(&mut out, count.complete.to_be_bytes());
                    put(&mut out, count.downloaded.to_be_bytes());
                    put(&mut out, count.incomplete.to_be_bytes());
                }
            }
            UdpResponse::Error(text) => {
                put(&mut out, ERROR.to_be_bytes());
                put(&mut out, transaction.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
        out
    }

    /// Reads a packet: the transaction it answers, and what it says. `None` when it is not an answer.
    ///
    /// "Peer stride depends on the address family of the UDP packet itself": `v6` says which that was. At most
    /// `max_peers` are taken, and `max_text` characters.
    pub fn decode(packet: &[u8], v6: bool, max_peers: u32, max_text: u32) -> Option<(u32, UdpResponse)> {
        let mut reader = Reader(packet);
        let action = reader.u32()?;
        let transaction = reader.u32()?;
        let response = match action {
            CONNECT => UdpResponse::Connected { connection: reader.u64()? },
            ANNOUNCE => {
                let (interval, incomplete, complete) = (reader.u32()?, reader.u32()?, reader.u32()?);
                let peers = compact_peers(reader.0, v6).take(max_peers as usize).map(Target::Addr).collect();
                UdpResponse::Announced(AnnounceResponse {
                    interval: Some(interval),
                    complete: Some(complete),
                    incomplete: Some(incomplete),
                    peers,
                    ..AnnounceResponse::default()
                })
            }
            SCRAPE => {
                let mut counts = Vec::new();
                while counts.len() < MAX_SCRAPE
                    && let (Some(complete), Some(downloaded), Some(incomplete)) =
                        (reader.u32(), reader.u32(), reader.u32())
                {
                    counts.push(ScrapeCounts { complete, downloaded, incomplete });
                }
                UdpResponse::Scraped(counts)
            }
            ERROR => UdpResponse::Error(clean_text(reader.0, max_text)),
            _ => return None,
        };
        Some((transaction, response))
    }
}

/// "The event numbers differ from the HTTP order."
fn event_number(event: Option<AnnounceEvent>) -> u32 {
    match event {
        None | Some(AnnounceEvent::Paused) => 0,
        Some(AnnounceEvent::Completed) => 1,
        Some(AnnounceEvent::Started) => 2,
        Some(AnnounceEvent::Stopped) => 3,
    }
}

fn put<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&bytes);
}

/// BEP 41: option 2, a length byte, then so many bytes of the URL; longer ones are cut into several options, all of 255
/// bytes but the last.
fn put_url_data(out: &mut Vec<u8>, data: &[u8]) {
    let data = data.get(..MAX_URL_DATA).unwrap_or(data);
    for part in data.chunks(255) {
        out.push(2);
        // A chunk of 255 at most.
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
}

/// BEP 41: option 0 ends the list, 1 is padding without a length, all others have a length byte.
fn read_url_data(mut options: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        options = match options {
            [1, rest @ ..] => rest,
            [kind, length, rest @ ..] if *kind != 0 => {
                let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { return data };
                if *kind == 2 && data.len() + value.len() <= MAX_URL_DATA {
                    data.extend_from_slice(value);
                }
                rest
            }
            _ => return data,
        };
    }
}

/// What is left of a packet.
struct Reader<'p>(&'p [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// Whether two addresses are the same place, one of them perhaps written as IPv4 in IPv6.
pub(crate) fn same_place(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

#[cfg(test)]
mod tests;
