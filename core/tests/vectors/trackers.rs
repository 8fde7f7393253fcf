//! Trackers: what they answer by HTTP, packets by UDP, scrape URLs.

use super::{Cases, array, ensure, hex, number, same, text, unhex};
use parcacik_core::border::{AnnounceConfig, InfoHash, PeerId, Target};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::tracker::http::{ResponseLimits, parse_response, parse_scrape_response};
use parcacik_core::tracker::udp::{UdpAsk, UdpExchange, UdpRequest, UdpResponse, UdpSaid, url_data};
use parcacik_core::tracker::{
    AnnounceEvent, AnnounceRequest, Ledger, Question, Reply, RetryIn, ScrapeCounts, TrackerUrl,
};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const LIMITS: ResponseLimits = ResponseLimits { body: 1 << 20, peers: 100, id: 256, text: 200 };
const TRANSACTION: u32 = 0xdead_beef;

fn addresses(peers: &[Target]) -> Value {
    let shown = |peer: &Target| match peer {
        Target::Addr(addr) => addr.to_string(),
        Target::Host { name, port } => format!("{name}:{port}"),
    };
    peers.iter().map(shown).collect::<Vec<_>>().into()
}

/// A number, or the digits of one that JavaScript could not hold.
fn whole(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a whole number")
}

fn scraped(case: &Value, body: &[u8]) -> Result<(), String> {
    let files = case["expect"]["files"].as_object().ok_or("files is an object")?;
    let Ok(Reply::Answer((counts, interval))) = parse_scrape_response(body, &LIMITS) else {
        return Err("no scrape".to_owned());
    };
    for (hash, due) in files {
        let hash = InfoHash(array(hash));
        let ours = counts.iter().find(|(other, _)| *other == hash).map(|(_, counts)| *counts).unwrap_or_default();
        // In the order that the file names.
        let count = |at: usize| due[at].as_u64().unwrap_or(0) as u32;
        let due = ScrapeCounts { complete: count(0), downloaded: count(1), incomplete: count(2) };
        same("counts", ours, due)?;
    }
    same("interval", json!(interval), case["expect"]["min_request_interval"].clone())?;
    same("torrents", counts.len(), files.len())
}

#[test]
fn answers_by_http() {
    Cases::read("http_tracker", include_str!("data/http_tracker.json")).check(|case| {
        let (body, due) = (unhex(text(case, "body_hex")), &case["expect"]);
        if due.get("files").is_some() {
            return scraped(case, &body);
        }
        let answer = match (parse_response(&body, &LIMITS), due["reject"] == true) {
            (Err(_), true) => return Ok(()),
            (Ok(Reply::Failure { reason, retry }), false) => {
                same("failure", json!(reason), due["failure"].clone())?;
                let retry = match retry {
                    Some(RetryIn::Minutes(minutes)) => json!([minutes, null]),
                    Some(RetryIn::Never) => json!([null, "never"]),
                    None => json!([null, null]),
                };
                return same("retry in", retry, json!([due["retry_minutes"], due["retry"]]));
            }
            (Ok(Reply::Answer(answer)), false) => answer,
            (read, reject) => return Err(format!("reject is {reject}, but {read:?}")),
        };
        let mut ours = json!({
            "peers": addresses(&answer.peers),
            "interval": answer.interval,
            "min_interval": answer.min_interval,
            "warning": answer.warning,
            "external_ip": answer.external_ip.map(|ip| ip.to_string()),
            "tracker_id": answer.tracker_id.map(|id| String::from_utf8_lossy(&id).into_owned()),
            "complete": answer.complete,
            "incomplete": answer.incomplete,
            "downloaded": answer.downloaded,
        });
        // What becomes of these is the announcer's; here they are read as they stand.
        ours["interval_default"] = json!(answer.interval.is_none());
        ours["interval_clamped"] = json!(answer.interval == Some(0));
        for (key, due) in due.as_object().ok_or("expect is an object")? {
            ensure(ours.get(key).is_some(), || format!("nothing is known of {key}"))?;
            same(key, &ours[key], due)?;
        }
        Ok(())
    });
}

fn announce(fields: &Value) -> UdpRequest {
    let event = match fields["event"].as_str() {
        Some("started") => Some(AnnounceEvent::Started),
        Some("completed") => Some(AnnounceEvent::Completed),
        Some("stopped") => Some(AnnounceEvent::Stopped),
        _ => None,
    };
    let request = AnnounceRequest {
        info_hash: InfoHash(array(text(fields, "info_hash"))),
        peer_id: PeerId(text(fields, "peer_id").as_bytes().try_into().expect("twenty bytes")),
        port: number(fields, "port") as u16,
        ledger: Ledger {
            uploaded: whole(&fields["uploaded"]),
            downloaded: whole(&fields["downloaded"]),
            left: whole(&fields["left"]),
        },
        event,
        num_want: fields["num_want"].as_i64().and_then(|want| u32::try_from(want).ok()),
        key: Some(number(fields, "key") as u32),
        tracker_id: None,
        own_ips: Vec::new(),
    };
    let connection = u64::from_str_radix(text(fields, "connection_id"), 16).expect("hexadecimal");
    let ip = Ipv4Addr::from_bits(number(fields, "ip") as u32);
    UdpRequest::Announce { connection, transaction: TRANSACTION, request, ip, url_data: Vec::new() }
}

fn written(case: &Value) -> Result<(), String> {
    let fields = &case["fields"];
    let request = if fields.get("peer_id").is_some() {
        announce(fields)
    } else if let Some(hashes) = fields["info_hashes"].as_array() {
        let torrents = hashes.iter().filter_map(Value::as_str).map(|hash| InfoHash(array(hash))).collect();
        UdpRequest::Scrape { connection: 0x1122_3344_5566_7788, transaction: TRANSACTION, torrents }
    } else {
        UdpRequest::Connect { transaction: number(fields, "transaction_id") as u32 }
    };
    let packet = unhex(text(case, "packet_hex"));
    same("packet", hex(&request.encode()), hex(&packet))?;
    same("read back", UdpRequest::decode(&packet), Some(request))
}

fn read(case: &Value) -> Result<(), String> {
    let decoded = UdpResponse::decode(&unhex(text(case, "packet_hex")), case["family"] == 6, 100, 200);
    let Some((transaction, response)) = decoded else {
        return ensure(case["accept"] != true, || "refused".to_owned());
    };
    same("transaction", transaction, TRANSACTION)?;
    match response {
        UdpResponse::Connected { connection } => {
            same("id", format!("{connection:016x}").as_str(), text(&case["fields"], "connection_id"))
        }
        UdpResponse::Announced(answer) => same("peers", addresses(&answer.peers), case["peers"].clone()),
        UdpResponse::Scraped(counts) => {
            let shown = |count: &ScrapeCounts| json!({"seeders": count.complete, "completed": count.downloaded, "leechers": count.incomplete});
            same("counts", counts.iter().map(shown).collect::<Vec<_>>().into(), case["files"].clone())
        }
        UdpResponse::Error(reason) => same("error", reason.as_str(), text(case, "error")),
    }
}

/// BEP 41: what stands behind the 98 bytes of an announce.
fn options(case: &Value) -> Result<(), String> {
    let path = text(case, "url_path_query");
    let url = TrackerUrl::parse(&format!("udp://t.example:80{path}")).map_err(|error| error.to_string())?;
    let UdpRequest::Announce { connection, transaction, request, ip, .. } = announce(&json!({
        "info_hash": "00".repeat(20), "peer_id": "-XX0100-abcdefghijkl", "port": 1, "uploaded": 0, "downloaded": 0,
        "left": 0, "key": 0, "num_want": 0, "ip": 0, "connection_id": "0",
    })) else {
        return Err("no announce".to_owned());
    };
    let request = UdpRequest::Announce { connection, transaction, request, ip, url_data: url_data(&url) };
    same("options", hex(&request.encode()[98..]).as_str(), text(case, "options_hex"))
}

/// When an unanswered connect is sent: BEP 15's waits of 15·2ⁿ seconds.
fn retransmissions(case: &Value) -> Result<(), String> {
    let config = AnnounceConfig::default();
    let mut rng = Seeds::for_tests(1).secrets(Stream::UdpTracker, 0);
    let to = "192.0.2.1:80".parse().expect("an address");
    let question = Question::Scrape(vec![InfoHash([1; 20])]);
    let ask = UdpAsk { to, known: None, question, url_data: Vec::new(), patient: true };
    let (mut exchange, _) = UdpExchange::begin(Time::ZERO, &config, ask, &mut rng);
    let mut times = vec![0];
    loop {
        let now = exchange.deadline();
        times.push(now.since(Time::ZERO).as_secs());
        if exchange.tick(now, &config, &mut rng) == UdpSaid::TimedOut {
            break;
        }
    }
    same("times", json!(times), case["times_s"].clone())
}

#[test]
fn packets_by_udp() {
    Cases::read("udp_tracker", include_str!("data/udp_tracker.json")).check(|case| {
        if case.get("times_s").is_some() {
            return retransmissions(case);
        }
        if case.get("url_path_query").is_some() {
            return options(case);
        }
        if text(case, "dir") == "out" { written(case) } else { read(case) }
    });
}

#[test]
fn scrape_urls() {
    Cases::read("scrape_url", include_str!("data/scrape_url.json")).check(|case| {
        let url = TrackerUrl::parse(text(case, "announce")).map_err(|error| error.to_string())?;
        let ours = url.scrape().map(|url| url.to_string());
        match (case["scrape"].as_str(), ours) {
            (None, None) => Ok(()),
            (Some(due), Some(ours)) => ensure(due.split('|').any(|due| due == ours), || format!("{ours}, not {due}")),
            (due, ours) => Err(format!("{ours:?}, not {due:?}")),
        }
    });
}
