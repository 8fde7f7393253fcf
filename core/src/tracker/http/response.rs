//! The body of an answer to an announce or a scrape.

use crate::bencode::{Dict, DictEncoder, Document, Limits, Mode, Value, encode_dict};
use crate::border::{InfoHash, PeerId, Target};
use crate::tracker::{
    AnnounceResponse, Reply, RetryIn, ScrapeCounts, clean_text, compact_peers, is_dialable, put_compact,
};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// How much is taken out of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseLimits {
    /// The most bytes of a body.
    pub body: u32,
    /// The most peers.
    pub peers: u32,
    /// The longest tracker id or host name of a peer, in bytes.
    pub id: u32,
    /// The longest text, in characters.
    pub text: u32,
}

impl ResponseLimits {
    fn bencode(&self) -> Limits {
        Limits { bytes: self.body as usize, ..Limits::default() }
    }
}

/// Reads the answer to an announce.
///
/// Lenient, as trackers are old and of many kinds: keys in any order, what follows the dictionary is ignored, a field of the
/// wrong type counts as missing, a broken peer is skipped.
///
/// # Errors
/// A text that says where it breaks, when the body is not a bencoded dictionary.
pub fn parse_response(body: &[u8], limits: &ResponseLimits) -> Result<Reply<AnnounceResponse>, String> {
    let document = decode(body, limits)?;
    let dict = document.root().dict().ok_or("not a dictionary")?;
    if let Some(failure) = failure(&dict, limits) {
        return Ok(failure);
    }
    let mut peers = Vec::new();
    let room = limits.peers as usize;
    if let Some(value) = dict.get("peers") {
        read_peers(&value, false, room, limits, &mut peers);
    }
    if let Some(value) = dict.get("peers6") {
        read_peers(&value, true, room, limits, &mut peers);
    }
    let text = |key: &str| dict.get(key).and_then(|value| value.bytes());
    Ok(Reply::Answer(AnnounceResponse {
        interval: number(&dict, "interval"),
        min_interval: number(&dict, "min interval"),
        tracker_id: text("tracker id").filter(|id| id.len() <= limits.id as usize).map(<[u8]>::to_vec),
        complete: number(&dict, "complete"),
        incomplete: number(&dict, "incomplete"),
        downloaded: number(&dict, "downloaded"),
        peers,
        // BEP 24: "the IPv4 address as a 32 bit binary or ... the IPv6 address as a 128 bit binary".
        external_ip: text("external ip").and_then(packed_ip),
        warning: text("warning message").map(|text| clean_text(text, limits.text)).filter(|text| !text.is_empty()),
    }))
}

/// Reads the answer to a scrape: counts by torrent, and the seconds that must lie between two scrapes where the tracker
/// says so (`flags`, `min_request_interval`).
///
/// # Errors
/// A text that says where it breaks, when the body is not a bencoded dictionary with `files`.
#[allow(clippy::type_complexity)] // A list of pairs and one number; a type of its own would say no more.
pub fn parse_scrape_response(
    body: &[u8],
    limits: &ResponseLimits,
) -> Result<Reply<(Vec<(InfoHash, ScrapeCounts)>, Option<u32>)>, String> {
    let document = decode(body, limits)?;
    let dict = document.root().dict().ok_or("not a dictionary")?;
    if let Some(failure) = failure(&dict, limits) {
        return Ok(failure);
    }
    let files = dict.require_dict("files").map_err(|error| error.to_string())?;
    let counts = files.iter().filter_map(|(hash, value)| {
        let (hash, entry) = (<[u8; 20]>::try_from(hash).ok()?, value.dict()?);
        let count = |key| number(&entry, key).unwrap_or(0);
        let counts = ScrapeCounts {
            complete: count("complete"),
            downloaded: count("downloaded"),
            incomplete: count("incomplete"),
        };
        Some((InfoHash(hash), counts))
    });
    let interval = dict.get("flags").and_then(|value| value.dict()).and_then(|f| number(&f, "min_request_interval"));
    Ok(Reply::Answer((counts.collect(), interval)))
}

fn decode<'a>(body: &'a [u8], limits: &ResponseLimits) -> Result<Document<'a>, String> {
    Document::decode_prefix(body, Mode::Lenient, &limits.bencode()).map_err(|error| error.to_string())
}

/// BEP 3: "If a tracker response has a key `failure reason` ... no other keys are required."
fn failure<T>(dict: &Dict<'_, '_>, limits: &ResponseLimits) -> Option<Reply<T>> {
    let reason = clean_text(dict.get("failure reason")?.bytes()?, limits.text);
    // BEP 31: "either a positive integer or the value "never"". Its example has the number as a string.
    let retry = dict.get("retry in").and_then(|value| match (value.int(), value.bytes()) {
        (_, Some(b"never")) => Some(RetryIn::Never),
        (Some(minutes), _) => u32::try_from(minutes).ok().map(RetryIn::Minutes),
        (None, Some(text)) => core::str::from_utf8(text).ok()?.parse().ok().map(RetryIn::Minutes),
        (None, None) => None,
    });
    let retry = retry.filter(|retry| *retry != RetryIn::Minutes(0));
    Some(Reply::Failure { reason, retry })
}

/// A count that does not fit is left out: a negative one is nonsense, and so is one beyond four billion.
fn number(dict: &Dict<'_, '_>, key: &str) -> Option<u32> {
    u32::try_from(dict.get(key)?.int()?).ok()
}

fn packed_ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// BEP 23: "the `peers` value may be a string ... or a list of dictionaries", whatever `compact` asked for.
fn read_peers(value: &Value<'_, '_>, v6: bool, room: usize, limits: &ResponseLimits, into: &mut Vec<Target>) {
    let left = room.saturating_sub(into.len());
    if let Some(compact) = value.bytes() {
        into.extend(compact_peers(compact, v6).map(Target::Addr).take(left));
    } else if let Some(list) = value.list() {
        into.extend(list.filter_map(|entry| read_peer(&entry.dict()?, limits)).take(left));
    }
}

fn read_peer(entry: &Dict<'_, '_>, limits: &ResponseLimits) -> Option<Target> {
    let port = entry.get("port")?;
    let port = match (port.int(), port.text()) {
        (Some(port), _) => u16::try_from(port).ok()?,
        (None, Some(digits)) => digits.parse().ok()?,
        (None, None) => return None,
    };
    let host = entry.get("ip")?.text()?;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port)).filter(is_dialable).map(Target::Addr);
    }
    // BEP 3: "IP address (either IPv6 (hexed) or IPv4 (dotted quad)) or DNS name (string)".
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let is_name = !host.is_empty() && host.len() <= limits.id.min(253) as usize && host.bytes().all(allowed);
    (is_name && port != 0).then(|| Target::Host { name: host.to_ascii_lowercase(), port })
}

/// A peer as a tracker lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerEntry {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it calls itself.
    pub id: PeerId,
}

/// How the peers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeersForm {
    /// BEP 23 and BEP 7: strings.
    Compact,
    /// BEP 3: a list of dictionaries.
    Dictionaries {
        /// Whether with their ids.
        ids: bool,
    },
}

/// Writes the answer to an announce. Everything is taken from `response` but the peers.
pub fn encode_response(response: &AnnounceResponse, peers: &[PeerEntry], form: PeersForm) -> Vec<u8> {
    encode_dict(|dict| {
        put_number(dict, "complete", response.complete);
        put_number(dict, "downloaded", response.downloaded);
        match response.external_ip {
            Some(IpAddr::V4(ip)) => _ = dict.bytes("external ip", ip.octets()),
            Some(IpAddr::V6(ip)) => _ = dict.bytes("external ip", ip.octets()),
            None => {}
        }
        put_number(dict, "incomplete", response.incomplete);
        put_number(dict, "interval", response.interval);
        put_number(dict, "min interval", response.min_interval);
        match form {
            PeersForm::Compact => {
                let packed = |v6: bool| {
                    let mut packed = Vec::new();
                    peers
                        .iter()
                        .filter(|peer| peer.addr.is_ipv6() == v6)
                        .for_each(|p| put_compact(&mut packed, &p.addr));
                    packed
                };
                dict.bytes("peers", packed(false));
                let six = packed(true);
                if !six.is_empty() {
                    dict.bytes("peers6", six);
                }
            }
            PeersForm::Dictionaries { ids } => {
                dict.list("peers", |list| {
                    for peer in peers {
                        list.dict(|entry| {
                            entry.bytes("ip", format!("{}", peer.addr.ip()));
                            if ids {
                                entry.bytes("peer id", peer.id.0);
                            }
                            entry.int("port", i64::from(peer.addr.port()));
                        });
                    }
                });
            }
        }
        if let Some(id) = &response.tracker_id {
            dict.bytes("tracker id", id);
        }
        if let Some(warning) = &response.warning {
            dict.bytes("warning message", warning);
        }
    })
}

fn put_number(dict: &mut DictEncoder<'_>, key: &str, value: Option<u32>) {
    if let Some(value) = value {
        dict.int(key, i64::from(value));
    }
}

/// Writes a refusal.
pub fn encode_failure(reason: &str, retry: Option<RetryIn>) -> Vec<u8> {
    encode_dict(|dict| {
        dict.bytes("failure reason", reason);
        match retry {
            Some(RetryIn::Minutes(minutes)) => _ = dict.int("retry in", i64::from(minutes)),
            Some(RetryIn::Never) => _ = dict.bytes("retry in", "never"),
            None => {}
        }
    })
}

/// Writes the answer to a scrape.
pub fn encode_scrape(torrents: &[(InfoHash, ScrapeCounts)]) -> Vec<u8> {
    encode_dict(|dict| {
        dict.dict("files", |files| {
            for (hash, counts) in torrents {
                files.dict(hash.0, |entry| {
                    put_number(entry, "complete", Some(counts.complete));
                    put_number(entry, "downloaded", Some(counts.downloaded));
                    put_number(entry, "incomplete", Some(counts.incomplete));
                });
            }
        });
    })
}
