//! What trackers are asked and what they answer, by HTTP and UDP.

use super::Question;
use super::value::{Kind, Line, Value};
use crate::border::{AnnounceEvent, AnnounceResponse, HttpRequest, HttpResponse, InfoHash, ScrapeCounts};
use crate::tracker::http::{ResponseLimits, parse_announce, parse_response, parse_scrape, parse_scrape_response};
use crate::tracker::udp::{UdpRequest, UdpResponse};
use crate::tracker::{AnnounceRequest, Ledger, Reply, RetryIn};
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// How much of an answer is read: whatever the session was ready to take.
const LIMITS: ResponseLimits = ResponseLimits { body: 16 << 20, peers: 10_000, id: 1024, text: 1000 };
/// More torrents than a scrape is ever asked about.
const MAX_SCRAPED: usize = 1000;

/// Each datagram of a buffer: a tracker's, a neighbour's, or one of the DHT. `other` is its sender or receiver.
pub(super) fn datagrams(kind: Kind, other: SocketAddr, segment: u16, bytes: &Bytes, lines: &mut Vec<Line>) {
    for datagram in bytes.chunks(usize::from(segment).max(1)) {
        let line = match kind {
            Kind::Received => udp_answer(datagram, other.is_ipv6()),
            _ => udp_question(datagram),
        };
        let line = line
            .or_else(|| super::neighbours::announce(kind, datagram))
            .or_else(|| super::dht::message(kind, datagram));
        lines.push(line.unwrap_or_else(|| Line::new(kind, "unknown datagram").with("payload", Value::bytes(datagram))));
    }
}

fn udp_question(datagram: &[u8]) -> Option<Line> {
    let line = |word| Line::new(Kind::Sent, word);
    let number = |number: u32| Value::Id(format!("{number:08x}"));
    let connected = |connection: u64| Value::Id(format!("{connection:016x}"));
    Some(match UdpRequest::decode(datagram)? {
        UdpRequest::Connect { transaction } => line("connect").with("transaction", number(transaction)),
        UdpRequest::Announce { connection, transaction, request, ip: _, url_data } => announce(&request)
            .with("transaction", number(transaction))
            .with("connection", connected(connection))
            .maybe("url-data", core::str::from_utf8(&url_data).ok().filter(|data| !data.is_empty())),
        UdpRequest::Scrape { connection, transaction, torrents } => {
            scrape(&torrents).with("transaction", number(transaction)).with("connection", connected(connection))
        }
    })
}

fn udp_answer(datagram: &[u8], v6: bool) -> Option<Line> {
    let line = |word| Line::new(Kind::Received, word);
    let (transaction, response) = UdpResponse::decode(datagram, v6, LIMITS.peers, LIMITS.text)?;
    let answer = match response {
        UdpResponse::Connected { connection } => {
            line("connected").with("connection", Value::Id(format!("{connection:016x}")))
        }
        UdpResponse::Announced(response) => announced(&response),
        UdpResponse::Scraped(counts) => line("scraped").with("counts", Value::list(counts.iter().map(as_value))),
        UdpResponse::Error(why) => line("tracker error").why(&why),
    };
    Some(answer.with("transaction", Value::Id(format!("{transaction:08x}"))))
}

/// What an HTTP request asks of a tracker; `None`: it is none to a tracker.
pub(super) fn http_question(request: &HttpRequest) -> Option<(Question, Line)> {
    let (_, query) = request.path.split_once('?')?;
    if let Ok(asked) = parse_announce(query.as_bytes()) {
        return Some((Question::Announce, announce(&asked.request)));
    }
    let torrents = parse_scrape(query.as_bytes(), MAX_SCRAPED).ok()?;
    Some((Question::Scrape, scrape(&torrents)))
}

/// What a tracker answered by HTTP; `None`: nothing that is bencoded.
pub(super) fn http_answer(question: Question, response: &HttpResponse) -> Option<Line> {
    match question {
        Question::Announce => parse_response(&response.body, &LIMITS).ok().map(|reply| match reply {
            Reply::Answer(response) => announced(&response),
            Reply::Failure { reason, retry } => refused(&reason, retry),
        }),
        Question::Scrape => parse_scrape_response(&response.body, &LIMITS).ok().map(|reply| match reply {
            Reply::Answer((counts, interval)) => {
                let counts = counts.iter().map(|(hash, counts)| Value::List([hash.into(), as_value(counts)].into()));
                Line::new(Kind::Received, "scraped")
                    .with("counts", Value::List(counts.collect()))
                    .maybe("min-interval", interval)
            }
            Reply::Failure { reason, retry } => refused(&reason, retry),
        }),
    }
}

fn refused(reason: &str, retry: Option<RetryIn>) -> Line {
    let retry = retry.map(|retry| match retry {
        RetryIn::Minutes(minutes) => Value::Number(minutes.into()),
        RetryIn::Never => Value::Word("never"),
    });
    Line::new(Kind::Received, "tracker error").why(&reason).maybe("retry-minutes", retry)
}

fn announce(request: &AnnounceRequest) -> Line {
    let AnnounceRequest { info_hash, peer_id, port, ledger, event, num_want, key, tracker_id, own_ips } = request;
    let Ledger { uploaded, downloaded, left } = ledger;
    Line::new(Kind::Sent, "announce")
        .with("info-hash", *info_hash)
        .maybe("event", event.map(event_word))
        .with("left", *left)
        .with("downloaded", *downloaded)
        .with("uploaded", *uploaded)
        .with("port", *port)
        .maybe("num-want", *num_want)
        .with("peer-id", *peer_id)
        .maybe("key", key.map(|key| Value::Id(format!("{key:08x}"))))
        .maybe("tracker-id", tracker_id.as_deref().map(Value::bytes))
        .maybe("own-ips", Some(own_ips).filter(|ips| !ips.is_empty()).map(|ips| Value::list(ips.iter().copied())))
}

fn scrape(torrents: &[InfoHash]) -> Line {
    Line::new(Kind::Sent, "scrape").with("info-hashes", Value::list(torrents))
}

/// The answer to an announce.
pub(super) fn announced(response: &AnnounceResponse) -> Line {
    let AnnounceResponse {
        interval,
        min_interval,
        tracker_id,
        complete,
        incomplete,
        downloaded,
        peers,
        external_ip,
        warning,
    } = response;
    Line::new(Kind::Received, "announced")
        .maybe("interval", *interval)
        .maybe("min-interval", *min_interval)
        .maybe("seeds", *complete)
        .maybe("leeches", *incomplete)
        .maybe("downloaded", *downloaded)
        .with("peers", Value::list(peers))
        .maybe("tracker-id", tracker_id.as_deref().map(Value::bytes))
        .maybe("external-ip", *external_ip)
        .maybe("warning", warning.as_deref())
}

/// The word for why an announce is made.
pub(super) fn event_word(event: AnnounceEvent) -> Value {
    Value::Word(match event {
        AnnounceEvent::Started => "started",
        AnnounceEvent::Completed => "completed",
        AnnounceEvent::Stopped => "stopped",
        AnnounceEvent::Paused => "paused",
    })
}

/// Counts: seeds, downloads, leeches.
pub(super) fn as_value(counts: &ScrapeCounts) -> Value {
    let ScrapeCounts { complete, downloaded, incomplete } = *counts;
    Value::Id(format!("{complete} seeds {downloaded} downloads {incomplete} leeches"))
}
