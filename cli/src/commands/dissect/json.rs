//! A line of JSON for everything that was said. The keys are a contract.

use super::summary::peer_id;
use crate::values::hex;
use parcacik_core::bencode::{Document, Limits, Mode, Value as Bencode};
use parcacik_core::border::{AnnounceResponse, ScrapeCounts, Target};
use parcacik_core::capture::{
    Datagram, DatagramKind, Ending, Heard, HttpAnswered, HttpAsked, Item, Said, Side, Stamp, StreamFacts, message_name,
};
use parcacik_core::lsd::LsdMessage;
use parcacik_core::tracker::udp::{UdpRequest, UdpResponse};
use parcacik_core::tracker::{AnnounceEvent, AnnounceRequest, Reply};
use parcacik_core::wire::{Message, PexMessage};
use serde_json::{Map, Value, json};

/// What reading an extension's message may cost.
const LIMITS: Limits = Limits { bytes: 1 << 20, depth: 32, tokens: 100_000 };

/// The line.
pub fn line(heard: &Heard, facts: Option<&StreamFacts>) -> serde_json::Result<String> {
    let object = match heard {
        Heard::Datagram(datagram) => of_datagram(datagram),
        Heard::Stream(id, item) => of_item(id.0, item, facts),
    };
    serde_json::to_string(&object)
}

/// Seconds since 1970. A double tells times of this century apart down to less than a microsecond.
fn seconds(time: Stamp) -> f64 {
    time.0 as f64 / 1e9
}

fn of_item(stream: u32, item: &Item, facts: Option<&StreamFacts>) -> Map<String, Value> {
    let (kind, what) = match &item.said {
        Said::Handshake(handshake) => (
            "handshake",
            json!({
                "info_hash": handshake.info_hash.to_hex(), "peer_id": peer_id(&handshake.peer_id),
                "reserved": hex(&handshake.reserved.0),
            }),
        ),
        Said::Message { message, extension } => ("message", of_message(message, extension.as_deref())),
        Said::Damaged(damaged) => {
            let (piece, begin) = damaged.block.unzip();
            ("damaged", json!({ "id": damaged.id, "missing": damaged.missing, "piece": piece, "begin": begin }))
        }
        Said::Fault(error) => ("fault", json!({ "error": error.to_string() })),
        Said::Request(request) => {
            let mut what = json!({
                "method": request.method, "target": request.target, "host": request.host, "user_agent": request.agent,
            });
            let (asked, more) = match &request.asked {
                HttpAsked::Announce(announce) => ("announce", json!({ "announce": of_announce(&announce.request) })),
                HttpAsked::Scrape(torrents) => {
                    let torrents: Vec<String> = torrents.iter().map(|torrent| torrent.to_hex()).collect();
                    ("scrape", json!({ "info_hashes": torrents }))
                }
                HttpAsked::Bad(error) => ("bad", json!({ "error": error.to_string() })),
                HttpAsked::Other => ("other", json!({})),
            };
            what["asked"] = asked.into();
            merge(&mut what, more);
            ("request", what)
        }
        Said::Response(response) => {
            let mut what = json!({ "status": response.status, "length": response.length });
            let (answered, more) = match &response.answered {
                HttpAnswered::Announced(Reply::Answer(answer)) => ("announce", json!({ "answer": of_answer(answer) })),
                HttpAnswered::Scraped(Reply::Answer(counts)) => {
                    let files: Map<String, Value> =
                        counts.iter().map(|(hash, counts)| (hash.to_hex(), of_counts(counts))).collect();
                    ("scrape", json!({ "files": files }))
                }
                HttpAnswered::Announced(Reply::Failure { reason, .. })
                | HttpAnswered::Scraped(Reply::Failure { reason, .. }) => ("failure", json!({ "reason": reason })),
                HttpAnswered::Bad(error) => ("bad", json!({ "error": error })),
                HttpAnswered::Encoded(encoding) => ("encoded", json!({ "encoding": encoding })),
                HttpAnswered::Other => ("other", json!({})),
            };
            what["answered"] = answered.into();
            merge(&mut what, more);
            ("response", what)
        }
        Said::Undecoded => ("undecoded", json!({})),
        Said::Gap => ("gap", json!({})),
        Said::End(Ending::Closed) => ("end", json!({ "how": "closed" })),
        Said::End(Ending::Reset) => ("end", json!({ "how": "reset" })),
        // The list may grow.
        _ => ("other", json!({})),
    };
    let from = if item.from == Side::A { "a" } else { "b" };
    let mut object = json!({
        "type": kind, "time": seconds(item.time), "stream": stream, "from": from,
        "start": item.range.start, "end": item.range.end,
    });
    if let Some(facts) = facts {
        object["from_addr"] = facts.addr(item.from).to_string().into();
        object["to_addr"] = facts.addr(item.from.other()).to_string().into();
    }
    merge(&mut object, what);
    into_map(object)
}

fn of_message(message: &Message, extension: Option<&str>) -> Value {
    let mut what = match message {
        Message::Have(piece) | Message::Suggest(piece) | Message::AllowedFast(piece) => json!({ "piece": piece }),
        Message::Bitfield(bits) => json!({ "bitfield": hex(bits) }),
        Message::Request(range) | Message::Cancel(range) | Message::Reject(range) => {
            json!({ "piece": range.piece, "begin": range.begin, "length": range.length })
        }
        Message::Piece { piece, begin, data } => json!({ "piece": piece, "begin": begin, "length": data.len() }),
        Message::Port(port) => json!({ "port": port }),
        Message::Extended { id, payload } => {
            let mut what = json!({ "extension": extension, "extension_id": id });
            merge(&mut what, of_extension(extension, payload).unwrap_or_else(|| of_payload(payload)));
            what
        }
        Message::Unknown { payload, .. } => json!({ "payload": hex(payload) }),
        _ => json!({}),
    };
    what["name"] = message_name(message).into();
    what["id"] = message.id().into();
    what
}

/// What peers tell of each other, and of pieces that they have no more; `None`: it is none of these, or cannot be read.
fn of_extension(extension: Option<&str>, payload: &[u8]) -> Option<Value> {
    match extension? {
        "ut_pex" => {
            let PexMessage { added, dropped } = PexMessage::parse(payload).ok()?;
            let added = added.iter().map(|peer| json!({ "addr": peer.addr.to_string(), "flags": peer.flags.0 }));
            let dropped = dropped.iter().map(ToString::to_string);
            Some(json!({ "added": added.collect::<Vec<_>>(), "dropped": dropped.collect::<Vec<_>>() }))
        }
        "lt_donthave" => Some(json!({ "piece": u32::from_be_bytes(payload.try_into().ok()?) })),
        _ => None,
    }
}

/// What an extension says: mostly a bencoded value, and bytes behind it, which may be content or metadata.
fn of_payload(payload: &[u8]) -> Value {
    match Document::decode_prefix(payload, Mode::Tolerant, &LIMITS) {
        Ok(document) => {
            let rest = payload.len() - document.length();
            json!({ "body": of_bencode(&document.root()), "trailing_bytes": rest })
        }
        Err(_) => json!({ "payload": hex(payload) }),
    }
}

/// Bencode as JSON: text as it is, other strings as `{"hex": ..}`.
fn of_bencode(value: &Bencode<'_, '_>) -> Value {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.into(),
        _ => json!({ "hex": hex(bytes) }),
    };
    if let Some(number) = value.int() {
        number.into()
    } else if let Some(bytes) = value.bytes() {
        text(bytes)
    } else if let Some(list) = value.list() {
        list.map(|value| of_bencode(&value)).collect()
    } else if let Some(dict) = value.dict() {
        let entries = dict.iter().map(|(key, value)| {
            let key = std::str::from_utf8(key).map_or_else(|_| format!("hex:{}", hex(key)), str::to_owned);
            (key, of_bencode(&value))
        });
        Value::Object(entries.collect())
    } else {
        Value::Null
    }
}

fn of_datagram(datagram: &Datagram) -> Map<String, Value> {
    let more = match &datagram.kind {
        DatagramKind::TrackerRequest(UdpRequest::Connect { transaction }) => json!({ "transaction": transaction }),
        DatagramKind::TrackerRequest(UdpRequest::Announce { connection, transaction, request, url_data, .. }) => {
            json!({
                "transaction": transaction, "connection": connection, "announce": of_announce(request),
                "url_data": String::from_utf8_lossy(url_data),
            })
        }
        DatagramKind::TrackerRequest(UdpRequest::Scrape { connection, transaction, torrents }) => {
            let torrents: Vec<String> = torrents.iter().map(|torrent| torrent.to_hex()).collect();
            json!({ "transaction": transaction, "connection": connection, "info_hashes": torrents })
        }
        DatagramKind::TrackerResponse { transaction, response } => {
            let mut what = json!({ "transaction": transaction });
            let more = match response {
                UdpResponse::Connected { connection } => json!({ "connection": connection }),
                UdpResponse::Announced(answer) => json!({ "answer": of_answer(answer) }),
                UdpResponse::Scraped(counts) => {
                    json!({ "counts": counts.iter().map(of_counts).collect::<Vec<Value>>() })
                }
                UdpResponse::Error(reason) => json!({ "reason": reason }),
            };
            merge(&mut what, more);
            what
        }
        DatagramKind::Dht(dht) => super::dht::json(dht),
        DatagramKind::Lsd(Some(LsdMessage { port, hashes, cookie })) => {
            let hashes: Vec<String> = hashes.iter().map(|hash| hash.to_hex()).collect();
            json!({ "port": port, "info_hashes": hashes, "cookie": cookie })
        }
        _ => json!({}),
    };
    let mut object = json!({
        "type": "datagram", "time": seconds(datagram.time), "from_addr": datagram.from.to_string(),
        "to_addr": datagram.to.to_string(), "length": datagram.length, "kind": datagram.kind.name(),
    });
    merge(&mut object, more);
    into_map(object)
}

fn of_announce(request: &AnnounceRequest) -> Value {
    json!({
        "info_hash": request.info_hash.to_hex(), "peer_id": peer_id(&request.peer_id), "port": request.port,
        "uploaded": request.ledger.uploaded, "downloaded": request.ledger.downloaded, "left": request.ledger.left,
        "event": request.event.map(event_name), "numwant": request.num_want,
    })
}

/// The name of an event.
pub fn event_name(event: AnnounceEvent) -> &'static str {
    match event {
        AnnounceEvent::Started => "started",
        AnnounceEvent::Completed => "completed",
        AnnounceEvent::Stopped => "stopped",
        AnnounceEvent::Paused => "paused",
    }
}

fn of_answer(answer: &AnnounceResponse) -> Value {
    let peers: Vec<String> = answer.peers.iter().map(target).collect();
    json!({
        "interval": answer.interval, "min_interval": answer.min_interval, "complete": answer.complete,
        "incomplete": answer.incomplete, "downloaded": answer.downloaded, "peers": peers, "warning": answer.warning,
    })
}

fn target(target: &Target) -> String {
    match target {
        Target::Addr(addr) => addr.to_string(),
        Target::Host { name, port } => format!("{name}:{port}"),
    }
}

fn of_counts(counts: &ScrapeCounts) -> Value {
    json!({ "complete": counts.complete, "downloaded": counts.downloaded, "incomplete": counts.incomplete })
}

/// Puts the fields of one object into another.
pub(super) fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        // Everything above makes objects.
        _ => Map::new(),
    }
}
