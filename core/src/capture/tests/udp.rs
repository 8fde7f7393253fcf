//! Datagrams.

use crate::border::{InfoHash, PeerId};
use crate::capture::testing::{A, B, RAW, datagram, pcap};
use crate::capture::{DatagramKind, dissect};
use crate::lsd::LsdMessage;
use crate::tracker::udp::{UdpRequest, UdpResponse};
use crate::tracker::{AnnounceRequest, AnnounceResponse, Ledger, ScrapeCounts};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

/// Datagrams from A to B (true) and back, as the names of what they are.
fn names(datagrams: &[(bool, Vec<u8>)]) -> Vec<&'static str> {
    let packets =
        datagrams.iter().map(|(from_a, bytes)| if *from_a { datagram(A, B, bytes) } else { datagram(B, A, bytes) });
    let capture = dissect(&pcap(RAW, 65_535, packets));
    assert_eq!(capture.facts.udp, datagrams.len() as u64);
    capture.datagrams.iter().map(|datagram| datagram.kind.name()).collect()
}

fn announce(transaction: u32) -> Vec<u8> {
    let request = AnnounceRequest {
        info_hash: InfoHash([3; 20]),
        peer_id: PeerId([4; 20]),
        port: 6881,
        ledger: Ledger::default(),
        event: None,
        num_want: None,
        key: None,
        tracker_id: None,
        own_ips: Vec::new(),
    };
    // A connection id that looks like the start of a uTP packet.
    let connection = 0x2100_0000_0000_0000;
    UdpRequest::Announce { connection, transaction, request, ip: Ipv4Addr::UNSPECIFIED, url_data: Vec::new() }.encode()
}

fn scrape(transaction: u32) -> Vec<u8> {
    UdpRequest::Scrape { connection: 5, transaction, torrents: Vec::from([InfoHash([3; 20])]) }.encode()
}

#[test]
fn tracker_traffic_is_known_by_its_connect() {
    let connect = UdpRequest::Connect { transaction: 1 }.encode();
    let talk = [
        (true, connect),
        (false, UdpResponse::Connected { connection: 9 }.encode(1, false)),
        (true, announce(2)),
        (false, UdpResponse::Announced(AnnounceResponse::default()).encode(2, false)),
        (true, scrape(3)),
        (false, UdpResponse::Scraped(Vec::from([ScrapeCounts::default()])).encode(3, false)),
        (true, scrape(4)),
        (false, UdpResponse::Error("no".into()).encode(4, false)),
        // Of no transaction; of another kind than what was asked.
        (false, UdpResponse::Error("no".into()).encode(99, false)),
        (false, UdpResponse::Connected { connection: 9 }.encode(4, false)),
    ];
    let expected = [
        "tracker_connect_request",
        "tracker_connect_response",
        "tracker_announce_request",
        "tracker_announce_response",
        "tracker_scrape_request",
        "tracker_scrape_response",
        "tracker_scrape_request",
        "tracker_error",
        "other",
        "other",
    ];
    assert_eq!(names(&talk), expected);
    // Without the connect, requests of exact length are known, and with them the answers to them.
    let late = names(&talk[4..8]);
    assert_eq!(late, expected[4..8]);
    let mut long = scrape(3);
    long.push(0);
    assert_eq!(names(&[(true, long)]), ["other"]);
}

#[test]
fn other_protocols_are_told_apart() {
    let utp = |first: u8, extension: u8, rest: &[u8]| [&[first, extension][..], &[0; 18], rest].concat();
    let lsd = SocketAddrV4::new(Ipv4Addr::new(239, 192, 152, 143), 6771);
    let search = b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n\r\n";
    assert_eq!(
        names(&[
            (true, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe".to_vec()),
            (false, b"d1:eli201e5:errore1:t2:aa1:y1:ee".to_vec()),
            (true, b"d1:t2:aa1:y1:ze".to_vec()),
            (true, b"d4:infoe".to_vec()),
            (true, utp(0x41, 0, b"")),
            (true, utp(0x01, 0, b"payload")),
            // A selective acknowledgement.
            (true, utp(0x21, 1, &[0, 4, 1, 2, 3, 4])),
            // A chain that ends outside, a type and a version that there is not, one that is too short.
            (true, utp(0x21, 1, &[0, 5, 1, 2, 3, 4])),
            (true, utp(0x51, 0, b"")),
            (true, utp(0x42, 0, b"")),
            (true, Vec::from([0x41, 0, 0])),
            (true, search.to_vec()),
            (true, Vec::new()),
        ]),
        [
            "dht_ping",
            "dht_error",
            "other",
            "other",
            "utp",
            "utp",
            "utp",
            "other",
            "other",
            "other",
            "other",
            "other",
            "other"
        ]
    );
    let capture = dissect(&pcap(RAW, 65_535, [datagram(A, lsd, search)]));
    assert_eq!(capture.datagrams[0].kind, DatagramKind::Lsd(None), "it begins like one, and says nothing");
    let message = LsdMessage { port: 6881, hashes: Vec::from([InfoHash([7; 20])]), cookie: None };
    let capture = dissect(&pcap(RAW, 65_535, [datagram(A, lsd, &message.emit(lsd.into()))]));
    assert_eq!(capture.datagrams[0].kind, DatagramKind::Lsd(Some(message)));
}

#[test]
fn messages_of_the_dht_are_told_by_what_they_say() {
    let id = "2:id20:abcdefghij0123456789";
    let query = |method: &str, args: &str| {
        std::format!("d1:ad{id}{args}e1:q{}:{method}1:t2:aa1:y1:qe", method.len()).into_bytes()
    };
    let target = "6:target20:mnopqrstuvwxyz123456";
    let info_hash = "9:info_hash20:mnopqrstuvwxyz123456";
    let response = std::format!("d1:rd{id}e1:t2:aa1:y1:re").into_bytes();
    let announce = std::format!("{info_hash}4:porti6881e5:token2:tk");
    assert_eq!(
        names(&[
            (true, query("find_node", target)),
            (true, query("get_peers", info_hash)),
            (true, query("announce_peer", &announce)),
            (true, query("get", target)),
            (true, query("put", "5:token2:tk1:vle")),
            (true, query("sample_infohashes", target)),
            (true, query("vote", target)),
            (true, query("find_node", "")),
            (false, response.clone()),
            // Longer than what a node reads; cut off on the way.
            (false, [&response[..response.len() - 1], b"2:zz5000:", &[0; 5000], b"e"].concat()),
            (false, response[..response.len() - 1].to_vec()),
        ]),
        [
            "dht_find_node",
            "dht_get_peers",
            "dht_announce_peer",
            "dht_get",
            "dht_put",
            "dht_sample_infohashes",
            "dht_unknown_method",
            "dht_unreadable",
            "dht_response",
            "dht_unreadable",
            "other",
        ]
    );
    let capture = dissect(&pcap(RAW, 65_535, [datagram(A, B, &response)]));
    let DatagramKind::Dht(dht) = &capture.datagrams[0].kind else { panic!("it is one of the DHT") };
    assert_eq!(dht.message().unwrap().transaction, b"aa");
}
