//! What a dialogue's trackers do.
//!
//! A request stays until the script answers it; the first that was made comes first.
//!
//! | line | the tracker |
//! |---|---|
//! | `the tracker answers NAME VALUE ...` | by HTTP with status 200: `interval 1800`, `min-interval 60`, `seeds 3`, `leeches 2`, `peers A,B`, `id TEXT`, `external-ip IP`, `list` (peers as dictionaries) |
//! | `the tracker answers body "TEXT"` | with this body |
//! | `the tracker answers status N` | with this status and no body |
//! | `the tracker refuses "TEXT"`, `the tracker refuses "TEXT" retry N`, `... retry never` | with a failure reason, and BEP 31's minutes |
//! | `the tracker counts N N N` | to a scrape: seeds, downloads, leeches of our torrent |
//! | `the tracker redirects to URL` | with status 302 |
//! | `the tracker fails FAULT` | not at all |
//! | `the tracker connects N` | by UDP, to a connect: a connection id |
//! | `the tracker announces NAME VALUE ...` | by UDP, to an announce |
//! | `the tracker errs "TEXT"` | by UDP: an error |
//! | `the tracker answers another transaction` | by UDP: with a number that nobody asked with |

use super::say::quoted;
use super::script::{fault, named};
use super::stage::Stage;
use bytes::Bytes;
use parcacik_core::border::{
    AnnounceResponse, Event, HttpRequest, HttpResponse, InfoHash, JobId, JobResult, PeerId, ScrapeCounts, SocketId,
    Target,
};
use parcacik_core::tracker::RetryIn;
use parcacik_core::tracker::http::{PeerEntry, PeersForm, encode_failure, encode_response, encode_scrape};
use parcacik_core::tracker::udp::{UdpRequest, UdpResponse};
use std::net::SocketAddr;

/// What trackers have been asked and have not answered.
#[derive(Debug, Default)]
pub struct Desk {
    pub(super) requests: Vec<(JobId, HttpRequest)>,
    pub(super) datagrams: Vec<(SocketAddr, Bytes)>,
}

impl Desk {
    /// Whether this was a request, which is gone now.
    pub(super) fn forget(&mut self, job: JobId) -> bool {
        let before = self.requests.len();
        self.requests.retain(|(other, _)| *other != job);
        self.requests.len() < before
    }
}

/// Does what follows `the tracker`.
pub(super) fn step(stage: &mut Stage, text: &str) -> Result<(), String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let plain = |status| HttpResponse { status, location: None, retry_after: None, body: Bytes::new() };
    match verb {
        "answers" if rest == "another transaction" => datagram(stage, UdpResponse::Connected { connection: 1 }, 1),
        "answers" => {
            let response = if let Some(status) = rest.strip_prefix("status ") {
                plain(status.parse().map_err(|_| format!("no status: {status}"))?)
            } else if let Some(body) = rest.strip_prefix("body ") {
                HttpResponse { body: quoted(body)?.into(), ..plain(200) }
            } else {
                let (response, peers, form) = response(rest)?;
                HttpResponse { body: encode_response(&response, &peers, form).into(), ..plain(200) }
            };
            http(stage, Ok(JobResult::Http(response)))
        }
        "refuses" => {
            let (reason, retry) = match rest.rsplit_once(" retry ") {
                Some((reason, "never")) => (reason, Some(RetryIn::Never)),
                Some((reason, minutes)) => {
                    let minutes = minutes.parse().map_err(|_| format!("no minutes: {minutes}"))?;
                    (reason, Some(RetryIn::Minutes(minutes)))
                }
                None => (rest, None),
            };
            let reason = String::from_utf8(quoted(reason)?).map_err(|_| "not text".to_owned())?;
            let body = encode_failure(&reason, retry).into();
            http(stage, Ok(JobResult::Http(HttpResponse { body, ..plain(200) })))
        }
        "counts" => {
            let counts: Result<Vec<u32>, _> = rest.split(' ').map(str::parse).collect();
            let Ok([complete, downloaded, incomplete]) = counts.as_deref() else {
                return Err(format!("not three counts: {rest}"));
            };
            let counts = ScrapeCounts { complete: *complete, downloaded: *downloaded, incomplete: *incomplete };
            let body = encode_scrape(&[(InfoHash(stage.setup.content.info_hash), counts)]).into();
            http(stage, Ok(JobResult::Http(HttpResponse { body, ..plain(200) })))
        }
        "redirects" => {
            let location = rest.strip_prefix("to ").map(str::to_owned);
            http(stage, Ok(JobResult::Http(HttpResponse { location, ..plain(302) })))
        }
        "fails" => {
            let fault = fault(rest)?;
            http(stage, Err(fault))
        }
        "connects" => {
            let connection = rest.parse().map_err(|_| format!("no connection id: {rest}"))?;
            datagram(stage, UdpResponse::Connected { connection }, 0)
        }
        "announces" => {
            let (mut response, peers, _) = response(rest)?;
            response.peers = peers.into_iter().map(|peer| Target::Addr(peer.addr)).collect();
            datagram(stage, UdpResponse::Announced(response), 0)
        }
        "errs" => {
            let why = String::from_utf8(quoted(rest)?).map_err(|_| "not text".to_owned())?;
            datagram(stage, UdpResponse::Error(why), 0)
        }
        _ => Err(format!("the tracker cannot do that: {text}")),
    }
}

fn http(stage: &mut Stage, result: Result<JobResult, parcacik_core::border::IoFault>) -> Result<(), String> {
    if stage.desk.requests.is_empty() {
        return Err("no tracker was asked by HTTP".to_owned());
    }
    let (job, _) = stage.desk.requests.remove(0);
    stage.happens(Event::JobDone { job, result });
    Ok(())
}

/// Answers the first datagram, in a transaction so many beside its own. One that nobody asked with leaves the question there.
fn datagram(stage: &mut Stage, response: UdpResponse, beside: u32) -> Result<(), String> {
    let Some((from, asked)) = stage.desk.datagrams.first().cloned() else {
        return Err("no tracker was asked by UDP".to_owned());
    };
    let transaction = match UdpRequest::decode(&asked) {
        Some(
            UdpRequest::Connect { transaction }
            | UdpRequest::Announce { transaction, .. }
            | UdpRequest::Scrape { transaction, .. },
        ) => transaction,
        None => return Err("what was sent by UDP is no request".to_owned()),
    };
    if beside == 0 {
        stage.desk.datagrams.remove(0);
    }
    let bytes = response.encode(transaction.wrapping_add(beside), from.is_ipv6());
    stage.happens(Event::Datagrams { sock: SocketId(2), from, segment: bytes.len() as u16, bytes: bytes.into() });
    Ok(())
}

fn response(text: &str) -> Result<(AnnounceResponse, Vec<PeerEntry>, PeersForm), String> {
    let mut response = AnnounceResponse::default();
    let (mut peers, mut form) = (Vec::new(), PeersForm::Compact);
    let mut words = text.split_whitespace();
    while let Some(name) = words.next() {
        if name == "list" {
            form = PeersForm::Dictionaries { ids: true };
            continue;
        }
        let value = words.next().ok_or(format!("{name} of what?"))?;
        let number = || value.parse().map(Some).map_err(|_| format!("no number: {value}"));
        match name {
            "interval" => response.interval = number()?,
            "min-interval" => response.min_interval = number()?,
            "seeds" => response.complete = number()?,
            "leeches" => response.incomplete = number()?,
            "id" => response.tracker_id = Some(value.as_bytes().to_vec()),
            "external-ip" => response.external_ip = Some(value.parse().map_err(|_| format!("no address: {value}"))?),
            "peers" => {
                for name in value.split(',') {
                    let addr = match name.parse() {
                        Ok(addr) => addr,
                        Err(_) => Stage::address(named(name)?),
                    };
                    peers.push(PeerEntry { addr, id: PeerId(*b"-XX0000-whoever it i") });
                }
            }
            _ => return Err(format!("the tracker cannot answer that: {name}")),
        }
    }
    Ok((response, peers, form))
}
