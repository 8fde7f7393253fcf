use super::*;
use crate::border::PeerId;
use crate::tracker::http::{ResponseLimits, announce_target, parse_response, parse_scrape_response};
use crate::tracker::{Ledger, Reply, TrackerUrl};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::vec;

const LIMITS: ResponseLimits = ResponseLimits { body: 1 << 20, peers: 1000, id: 256, text: 200 };
const TORRENT: InfoHash = InfoHash([7; 20]);

fn server() -> TrackerServer {
    TrackerServer::new(ServerConfig::default(), &Seeds::for_tests(3))
}

fn request(port: u16, left: u64, event: Option<AnnounceEvent>) -> AnnounceRequest {
    AnnounceRequest {
        info_hash: TORRENT,
        peer_id: PeerId(*b"-Pk0010-abcdefghijkl"),
        port,
        ledger: Ledger { uploaded: 0, downloaded: 0, left },
        event,
        num_want: None,
        key: Some(1),
        tracker_id: None,
        own_ips: Vec::new(),
    }
}

fn from(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 40000)
}

fn by_http(server: &mut TrackerServer, now: u64, ip: &str, request: &AnnounceRequest) -> AnnounceResponse {
    let target = announce_target(&TrackerUrl::parse("http://t.example/announce").unwrap(), request);
    let answer = server.http(Time::from_secs(now), from(ip), target.as_bytes());
    assert_eq!(answer.status, 200);
    match parse_response(&answer.body, &LIMITS) {
        Ok(Reply::Answer(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn connect(server: &mut TrackerServer, now: u64, ip: &str) -> u64 {
    let packet = UdpRequest::Connect { transaction: 1 }.encode();
    let answer = server.udp(Time::from_secs(now), from(ip), &packet).unwrap();
    match UdpResponse::decode(&answer, false, 0, 0) {
        Some((1, UdpResponse::Connected { connection })) => connection,
        other => panic!("{other:?}"),
    }
}

fn by_udp(server: &mut TrackerServer, now: u64, ip: &str, connection: u64, request: AnnounceRequest) -> UdpResponse {
    let announce = UdpRequest::Announce { connection, transaction: 2, request, ip: [9; 4].into(), url_data: vec![] };
    let answer = server.udp(Time::from_secs(now), from(ip), &announce.encode()).unwrap();
    assert!(answer.len() <= MAX_UDP_ANSWER);
    let (transaction, response) = UdpResponse::decode(&answer, ip.contains(':'), 1000, 200).unwrap();
    assert_eq!(transaction, 2);
    response
}

fn addrs(response: &AnnounceResponse) -> BTreeSet<String> {
    response.peers.iter().map(|peer| format!("{peer:?}")).collect()
}

#[test]
fn peers_learn_of_each_other_and_leave() {
    let mut server = server();
    let first = by_http(&mut server, 0, "1.0.0.1", &request(1, 100, Some(AnnounceEvent::Started)));
    assert_eq!((first.complete, first.incomplete, first.interval), (Some(0), Some(1), Some(1800)));
    assert!(first.peers.is_empty(), "a peer is not told of itself");
    assert_eq!(first.external_ip, Some("1.0.0.1".parse().unwrap()));
    let second = by_http(&mut server, 1, "2001:470::2", &request(2, 0, None));
    assert_eq!(second.peers, [Target::Addr("1.0.0.1:1".parse().unwrap())]);
    assert_eq!((second.complete, second.incomplete), (Some(1), Some(1)));
    // BEP 7: the other family in `peers6`.
    let again = by_http(&mut server, 2, "1.0.0.1", &request(1, 100, None));
    assert_eq!(again.peers, [Target::Addr("[2001:470::2]:2".parse().unwrap())]);
    let done = by_http(&mut server, 3, "1.0.0.1", &request(1, 0, Some(AnnounceEvent::Completed)));
    assert!(done.peers.is_empty(), "seeds are of no use to a seed");
    assert_eq!((done.complete, done.downloaded), (Some(2), Some(1)));
    let repeated = by_http(&mut server, 3, "1.0.0.1", &request(1, 0, Some(AnnounceEvent::Completed)));
    assert_eq!(repeated.downloaded, Some(1), "counted once");
    let stopped = by_http(&mut server, 4, "1.0.0.1", &request(1, 0, Some(AnnounceEvent::Stopped)));
    assert!(stopped.peers.is_empty());
    assert_eq!(server.peers(), 1);
}

#[test]
fn a_peer_that_does_not_announce_is_forgotten() {
    let mut server = server();
    by_http(&mut server, 0, "1.0.0.1", &request(1, 1, None));
    by_http(&mut server, 100, "1.0.0.2", &request(1, 1, None));
    by_http(&mut server, 200, "1.0.0.1", &request(1, 1, None));
    assert_eq!(server.deadline(), Some(Time::from_secs(100 + 4200)));
    server.tick(Time::from_secs(4299));
    assert_eq!(server.peers(), 2);
    server.tick(Time::from_secs(4300));
    assert_eq!((server.peers(), server.deadline()), (1, Some(Time::from_secs(4400))));
    server.tick(Time::from_secs(4400));
    assert_eq!((server.peers(), server.torrents(), server.deadline()), (0, 0, None));
}

#[test]
fn who_does_not_listen_is_answered_and_not_listed() {
    let mut server = server();
    by_http(&mut server, 0, "1.0.0.1", &request(1, 0, None));
    let answer = by_http(&mut server, 0, "1.0.0.2", &request(0, 1, None));
    assert_eq!((answer.peers.len(), server.peers()), (1, 1));
}

#[test]
fn udp_needs_an_id_of_its_own_address_and_time() {
    let mut server = server();
    let id = connect(&mut server, 0, "1.0.0.1");
    let mut announce = |now, ip: &str, id| by_udp(&mut server, now, ip, id, request(1, 1, None));
    let refused = UdpResponse::Error("connection id expired".into());
    assert_eq!(announce(0, "1.0.0.2", id), refused);
    assert_eq!(announce(0, "1.0.0.1", id ^ 1), refused);
    assert_eq!(announce(0, "1.0.0.1", 0), refused);
    assert!(matches!(announce(0, "1.0.0.1", id), UdpResponse::Announced(_)));
    // "a tracker accepts it up to 120 s after it sent it"
    assert!(matches!(announce(120, "::ffff:1.0.0.1", id), UdpResponse::Announced(_)));
    assert_eq!(announce(180, "1.0.0.1", id), refused);
    // Two servers with other seeds give out other ids.
    let mut other = TrackerServer::new(ServerConfig::default(), &Seeds::for_tests(4));
    assert_ne!(connect(&mut other, 0, "1.0.0.1"), id);
}

#[test]
fn udp_gives_its_own_family_and_ignores_a_claimed_address() {
    let mut server = server();
    let (four, six) = (connect(&mut server, 0, "1.0.0.1"), connect(&mut server, 0, "2001:470::1"));
    by_udp(&mut server, 0, "1.0.0.1", four, request(1, 1, None));
    by_udp(&mut server, 0, "2001:470::1", six, request(2, 1, None));
    let id = connect(&mut server, 0, "1.0.0.3");
    let UdpResponse::Announced(answer) = by_udp(&mut server, 0, "1.0.0.3", id, request(3, 1, None)) else { panic!() };
    assert_eq!(answer.peers, [Target::Addr("1.0.0.1:1".parse().unwrap())]);
    assert_eq!(answer.incomplete, Some(3));
}

#[test]
fn answers_are_small_enough_and_never_amplify() {
    let mut server = server();
    for peer in 0..1000u16 {
        let ip = format!("2001:470::{:x}", peer + 1);
        by_http(&mut server, 0, &ip, &request(1, 1, None));
        by_http(&mut server, 0, &format!("1.0.{}.{}", peer / 250, peer % 250 + 1), &request(1, 1, None));
    }
    let want = |port| AnnounceRequest { num_want: Some(u32::MAX), ..request(port, 1, None) };
    for (ip, expect) in [("9.9.9.9", 200), ("2001:470::ffff", 76)] {
        let id = connect(&mut server, 0, ip);
        let UdpResponse::Announced(answer) = by_udp(&mut server, 0, ip, id, want(5)) else { panic!() };
        assert_eq!((answer.peers.len(), addrs(&answer).len()), (expect, expect), "all different");
    }
    assert_eq!(by_http(&mut server, 0, "9.9.9.9", &want(5)).peers.len(), 200);
    assert_eq!(by_http(&mut server, 0, "9.9.9.9", &request(5, 1, None)).peers.len(), 50);
    let none = AnnounceRequest { num_want: Some(0), ..request(5, 1, None) };
    assert!(by_http(&mut server, 0, "9.9.9.9", &none).peers.is_empty());
    // To a sender that has proved nothing: not more bytes than it sent.
    for packet in [
        UdpRequest::Connect { transaction: 1 }.encode(),
        UdpRequest::Announce { connection: 0, transaction: 1, request: want(1), ip: [0; 4].into(), url_data: vec![] }
            .encode(),
        UdpRequest::Scrape { connection: 0, transaction: 1, torrents: vec![TORRENT] }.encode(),
    ] {
        let answer = server.udp(Time::ZERO, from("6.6.6.6"), &packet).unwrap();
        assert!(answer.len() <= packet.len(), "{} for {}", answer.len(), packet.len());
    }
}

#[test]
fn choice_is_random_and_every_peer_has_its_turn() {
    let mut server = server();
    for peer in 1..=20u8 {
        by_http(&mut server, 0, &format!("1.0.0.{peer}"), &request(1, u64::from(peer % 2), None));
    }
    let mut given = BTreeSet::new();
    for _ in 0..60 {
        let three = AnnounceRequest { num_want: Some(3), ..request(0, 1, None) };
        let answer = by_http(&mut server, 0, "9.9.9.9", &three);
        assert_eq!(addrs(&answer).len(), 3);
        given.extend(addrs(&answer));
    }
    assert_eq!(given.len(), 20);
}

#[test]
fn limits_hold() {
    let config = ServerConfig { max_torrents: 2, max_peers_per_torrent: 3, max_peers: 4, ..ServerConfig::default() };
    let mut server = TrackerServer::new(config, &Seeds::for_tests(3));
    let on = |torrent: u8, port| AnnounceRequest { info_hash: InfoHash([torrent; 20]), ..request(port, 1, None) };
    for port in 1..10 {
        by_http(&mut server, 0, "1.0.0.1", &on(1, port));
    }
    assert_eq!(server.peers(), 3);
    for port in 1..10 {
        by_http(&mut server, 0, "1.0.0.1", &on(2, port));
    }
    assert_eq!((server.peers(), server.torrents()), (4, 2));
    let target = announce_target(&TrackerUrl::parse("http://t.example/announce").unwrap(), &on(3, 1));
    let answer = server.http(Time::ZERO, from("1.0.0.1"), target.as_bytes());
    assert!(
        matches!(parse_response(&answer.body, &LIMITS), Ok(Reply::Failure { reason, .. }) if reason == "the tracker is full")
    );
}

#[test]
fn what_is_not_an_announce_is_told_so() {
    let mut server = server();
    let mut get = |target: &[u8]| server.http(Time::ZERO, from("1.0.0.1"), target);
    assert_eq!(get(b"/").status, 404);
    assert_eq!(get(b"").status, 404);
    assert_eq!(get(b"/announce").body, b"d14:failure reason23:missing parameter: porte");
    assert_eq!(get(b"/scrape").body, b"d14:failure reason28:missing parameter: info_hashe");
    assert_eq!(server.udp(Time::ZERO, from("1.0.0.1"), b"GET / HTTP/1.1\r\n\r\n"), None);
}

#[test]
fn dictionaries_and_scrapes() {
    let mut server = server();
    by_http(&mut server, 0, "1.0.0.1", &request(1, 0, None));
    let hash = "%07".repeat(20);
    let query = format!("/announce?info_hash={hash}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=2&compact=0");
    let body = server.http(Time::ZERO, from("1.0.0.2"), query.as_bytes()).body;
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("5:peersld2:ip7:1.0.0.17:peer id20:-Pk0010-abcdefghijkl4:porti1eee"), "{text}");
    let unknown = "x".repeat(20);
    let scrape = format!("/scrape?info_hash={hash}&info_hash={unknown}");
    let body = server.http(Time::ZERO, from("1.0.0.2"), scrape.as_bytes()).body;
    let counts = ScrapeCounts { complete: 1, downloaded: 0, incomplete: 1 };
    assert_eq!(parse_scrape_response(&body, &LIMITS), Ok(Reply::Answer((vec![(TORRENT, counts)], None))));
    let connection = connect(&mut server, 0, "1.0.0.2");
    let scrape = UdpRequest::Scrape { connection, transaction: 8, torrents: vec![InfoHash([1; 20]), TORRENT] };
    let answer = server.udp(Time::ZERO, from("1.0.0.2"), &scrape.encode()).unwrap();
    let expect = UdpResponse::Scraped(vec![ScrapeCounts::default(), counts]);
    assert_eq!(UdpResponse::decode(&answer, false, 0, 0), Some((8, expect)));
}

proptest! {
    /// The swarm against a plain table: who is listed, the counts, and that an answer holds only peers that are listed,
    /// each once, not the asker, and as many as it can.
    #[test]
    fn swarms_are_as_a_plain_table_says(
        ops in proptest::collection::vec((0u8..8, 0u8..4, 0u64..2, 0u64..1500, 0u32..6), 1..80),
    ) {
        let mut server = server();
        let mut model: BTreeMap<SocketAddr, (bool, u64)> = BTreeMap::new();
        let mut now = 0;
        for (peer, event, left, later, want) in ops {
            now += later;
            let ip = if peer % 2 == 0 { format!("1.0.0.{}", peer + 1) } else { format!("2001:470::{}", peer + 1) };
            let event = [None, Some(AnnounceEvent::Started), Some(AnnounceEvent::Completed), Some(AnnounceEvent::Stopped)]
                [usize::from(event)];
            let asked = AnnounceRequest { num_want: Some(want), ..request(1, left, event) };
            let answer = by_http(&mut server, now, &ip, &asked);
            let own = SocketAddr::new(ip.parse().unwrap(), 1);
            model.retain(|_, (_, expires)| *expires > now);
            if event == Some(AnnounceEvent::Stopped) {
                model.remove(&own);
            } else {
                model.insert(own, (left == 0, now + 4200));
            }
            let seeds = model.values().filter(|(seed, _)| *seed).count();
            prop_assert_eq!(answer.complete, Some(seeds as u32));
            prop_assert_eq!(answer.incomplete, Some((model.len() - seeds) as u32));
            prop_assert_eq!(server.peers(), model.len());
            prop_assert_eq!(server.torrents(), usize::from(!model.is_empty()));
            let useful = |(addr, (seed, _)): &(&SocketAddr, &(bool, u64))| **addr != own && (left != 0 || !*seed);
            let useful: BTreeSet<String> =
                model.iter().filter(useful).map(|(addr, _)| format!("{:?}", Target::Addr(*addr))).collect();
            let given = addrs(&answer);
            prop_assert_eq!(given.len(), answer.peers.len());
            prop_assert!(given.is_subset(&useful));
            let most = if event == Some(AnnounceEvent::Stopped) { 0 } else { useful.len().min(want as usize) };
            prop_assert_eq!(given.len(), most);
        }
    }

    #[test]
    fn no_request_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..150), action in 0u8..4) {
        let mut server = server();
        let id = connect(&mut server, 0, "1.0.0.1");
        let _ = server.udp(Time::ZERO, from("1.0.0.1"), &bytes);
        let known = [&id.to_be_bytes()[..], &[0, 0, 0, action], &bytes].concat();
        let _ = server.udp(Time::ZERO, from("1.0.0.1"), &known);
        let _ = server.http(Time::ZERO, from("1.0.0.1"), &bytes);
        let _ = server.http(Time::ZERO, from("1.0.0.1"), &[&b"/announce?"[..], &bytes].concat());
    }
}
