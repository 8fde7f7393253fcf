//! A line for people for everything that was said.

use super::json::event_name;
use super::summary::peer_id;
use crate::values::clean;
use parcacik_core::bencode::{Document, Limits, Mode, Value};
use parcacik_core::border::{AnnounceResponse, ScrapeCounts};
use parcacik_core::capture::{
    CaptureFacts, Datagram, DatagramKind, Ending, Heard, HttpAnswered, HttpAsked, HttpRequest, HttpResponse, Item,
    Said, StreamFacts, message_name,
};
use parcacik_core::lsd::LsdMessage;
use parcacik_core::tracker::udp::{UdpRequest, UdpResponse};
use parcacik_core::tracker::{AnnounceRequest, Reply};
use parcacik_core::wire::{Handshake, Message, PexMessage};
use std::net::SocketAddr;

/// What reading an extension's message may cost.
const LIMITS: Limits = Limits { bytes: 1 << 20, depth: 32, tokens: 100_000 };
/// How much of a stranger's text is shown, in characters.
const SHOWN: usize = 60;

/// The line. Times are seconds since the capture's first frame.
pub fn line(heard: &Heard, facts: Option<&StreamFacts>, capture: &CaptureFacts) -> String {
    let (time, ends, what) = match heard {
        Heard::Datagram(datagram) => (datagram.time, Some((datagram.from, datagram.to)), of_datagram(datagram)),
        Heard::Stream(_, item) => {
            let ends = facts.map(|facts| (facts.addr(item.from), facts.addr(item.from.other())));
            (item.time, ends, of_item(item))
        }
    };
    let seconds = time.since(capture.first.unwrap_or_default()).as_secs_f64();
    let arrow = |(from, to): (SocketAddr, SocketAddr)| format!("{from} > {to}");
    // Strangers' words are in it.
    format!("{seconds:11.6}  {:<43}  {}", ends.map(arrow).unwrap_or_default(), clean(&what))
}

fn of_item(item: &Item) -> String {
    let length = item.range.end.saturating_sub(item.range.start);
    match &item.said {
        Said::Handshake(handshake) => of_handshake(handshake),
        Said::Message { message, extension } => of_message(message, extension.as_deref()),
        Said::Damaged(damaged) => {
            let block = damaged.block.map(|(piece, begin)| format!(" {piece}+{begin}")).unwrap_or_default();
            let id = damaged.id.map_or_else(|| "of an unknown number".to_owned(), |id| format!("number {id}"));
            format!("(a message, {id}{block}: {} of its {length} bytes are not in the capture)", damaged.missing)
        }
        Said::Fault(error) => format!("(no message: {error})"),
        Said::Request(request) => of_request(request),
        Said::Response(response) => of_response(response),
        Said::Undecoded => format!("({length} bytes, not decoded)"),
        Said::Gap => format!("({length} bytes are not in the capture)"),
        Said::End(Ending::Closed) => "(closed)".into(),
        Said::End(Ending::Reset) => "(reset)".into(),
        // The list may grow.
        _ => format!("({length} bytes)"),
    }
}

fn of_handshake(handshake: &Handshake) -> String {
    let reserved = handshake.reserved;
    let can =
        [(reserved.dht(), "dht"), (reserved.fast(), "fast"), (reserved.extended(), "extended"), (reserved.v2(), "v2")];
    let can: Vec<&str> = can.iter().filter(|(can, _)| *can).map(|(_, name)| *name).collect();
    format!("handshake {} {} [{}]", handshake.info_hash, peer_id(&handshake.peer_id), can.join(" "))
}

fn of_message(message: &Message, extension: Option<&str>) -> String {
    let name = message_name(message);
    match message {
        Message::Have(piece) | Message::Suggest(piece) | Message::AllowedFast(piece) => format!("{name} {piece}"),
        Message::Bitfield(bits) => {
            let set: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
            format!("{name} {set} pieces, {} bytes", bits.len())
        }
        Message::Request(range) | Message::Cancel(range) | Message::Reject(range) => {
            format!("{name} {}+{}:{}", range.piece, range.begin, range.length)
        }
        Message::Piece { piece, begin, data } => format!("{name} {piece}+{begin}:{}", data.len()),
        Message::Port(port) => format!("{name} {port}"),
        Message::Extended { id, payload } => {
            let extension = extension.map_or_else(|| format!("number {id}"), str::to_owned);
            let said = of_extension(&extension, payload).unwrap_or_else(|| of_payload(payload));
            format!("{name} {extension} {said}")
        }
        Message::Unknown { payload, .. } => format!("{name} {} bytes", payload.len()),
        _ => name.into_owned(),
    }
}

/// What peers tell of each other, and of pieces that they have no more; `None`: it is none of these, or cannot be read.
fn of_extension(extension: &str, payload: &[u8]) -> Option<String> {
    match extension {
        "ut_pex" => {
            let PexMessage { added, dropped } = PexMessage::parse(payload).ok()?;
            let added = added.iter().map(|peer| format!(" +{}/{:02x}", peer.addr, peer.flags.0));
            let dropped = dropped.iter().map(|addr| format!(" -{addr}"));
            Some(added.chain(dropped).collect::<String>().trim_start().to_owned())
        }
        "lt_donthave" => Some(u32::from_be_bytes(payload.try_into().ok()?).to_string()),
        _ => None,
    }
}

fn of_payload(payload: &[u8]) -> String {
    match Document::decode_prefix(payload, Mode::Tolerant, &LIMITS) {
        Ok(document) => {
            let rest = payload.len() - document.length();
            let behind = if rest > 0 { format!(" and {rest} bytes") } else { String::new() };
            format!("{}{behind}", of_bencode(&document.root()))
        }
        Err(_) => format!("{} bytes", payload.len()),
    }
}

/// Bencode for reading; what is not text, or long, as its length.
fn of_bencode(value: &Value<'_, '_>) -> String {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().count() <= SHOWN && !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("<{} bytes>", bytes.len()),
    };
    if let Some(number) = value.int() {
        number.to_string()
    } else if let Some(bytes) = value.bytes() {
        text(bytes)
    } else if let Some(list) = value.list() {
        format!("[{}]", list.map(|value| of_bencode(&value)).collect::<Vec<_>>().join(", "))
    } else if let Some(dict) = value.dict() {
        let entries = dict.iter().map(|(key, value)| format!("{}: {}", text(key), of_bencode(&value)));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    } else {
        String::new()
    }
}

fn of_request(request: &HttpRequest) -> String {
    match &request.asked {
        HttpAsked::Announce(announce) => format!("HTTP announce {}", of_announce(&announce.request)),
        HttpAsked::Scrape(torrents) => {
            format!("HTTP scrape {}", torrents.iter().map(|torrent| torrent.to_hex()).collect::<Vec<_>>().join(" "))
        }
        HttpAsked::Bad(error) => format!("HTTP {} {} ({error})", request.method, cut(&request.target)),
        HttpAsked::Other => format!("HTTP {} {}", request.method, cut(&request.target)),
    }
}

fn of_response(response: &HttpResponse) -> String {
    let (status, length) = (response.status, response.length);
    match &response.answered {
        HttpAnswered::Announced(Reply::Answer(answer)) => format!("HTTP {status} {}", of_answer(answer)),
        HttpAnswered::Scraped(Reply::Answer(counts)) => {
            let counts = counts.iter().map(|(hash, counts)| format!("{hash}: {}", of_counts(counts)));
            format!("HTTP {status} {}", counts.collect::<Vec<_>>().join("; "))
        }
        HttpAnswered::Announced(Reply::Failure { reason, .. })
        | HttpAnswered::Scraped(Reply::Failure { reason, .. }) => format!("HTTP {status} refused: {reason}"),
        HttpAnswered::Bad(error) => format!("HTTP {status}, {length} bytes that cannot be read: {error}"),
        HttpAnswered::Encoded(encoding) => format!("HTTP {status}, {length} bytes in {}", cut(encoding)),
        HttpAnswered::Other => format!("HTTP {status}, {length} bytes"),
    }
}

fn of_datagram(datagram: &Datagram) -> String {
    let what = match &datagram.kind {
        DatagramKind::TrackerRequest(UdpRequest::Announce { request, .. }) => of_announce(request),
        DatagramKind::TrackerRequest(UdpRequest::Scrape { torrents, .. }) => {
            torrents.iter().map(|torrent| torrent.to_hex()).collect::<Vec<_>>().join(" ")
        }
        DatagramKind::TrackerResponse { response, .. } => match response {
            UdpResponse::Connected { .. } => String::new(),
            UdpResponse::Announced(answer) => of_answer(answer),
            UdpResponse::Scraped(counts) => counts.iter().map(of_counts).collect::<Vec<_>>().join("; "),
            UdpResponse::Error(reason) => reason.clone(),
        },
        DatagramKind::TrackerRequest(UdpRequest::Connect { .. }) => String::new(),
        DatagramKind::Dht(dht) => super::dht::line(dht),
        DatagramKind::Lsd(Some(LsdMessage { port, hashes, .. })) => {
            let hashes: Vec<String> = hashes.iter().map(|hash| hash.to_hex()).collect();
            format!("port {port} {}", hashes.join(" "))
        }
        _ => format!("{} bytes", datagram.length),
    };
    format!("UDP {} {what}", datagram.kind.name()).trim_end().to_owned()
}

fn of_announce(request: &AnnounceRequest) -> String {
    let event = request.event.map_or_else(String::new, |event| format!(" {}", event_name(event)));
    let ledger = request.ledger;
    format!(
        "{} {} port {}{event}, uploaded {}, downloaded {}, left {}",
        request.info_hash,
        peer_id(&request.peer_id),
        request.port,
        ledger.uploaded,
        ledger.downloaded,
        ledger.left
    )
}

fn of_answer(answer: &AnnounceResponse) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    format!(
        "{} peers, {} complete, {} incomplete, again in {} s",
        answer.peers.len(),
        number(answer.complete),
        number(answer.incomplete),
        number(answer.interval)
    )
}

fn of_counts(counts: &ScrapeCounts) -> String {
    format!("{} complete, {} incomplete, {} downloaded", counts.complete, counts.incomplete, counts.downloaded)
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
