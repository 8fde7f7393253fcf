use super::*;
use crate::border::{AnnounceConfig, InfoHash, PeerId};
use crate::rng::{Rng, Seeds, Stream};
use crate::time::Time;
use crate::tracker::testkit::{hex, unhex};
use crate::tracker::{Question, Reply};
use core::net::Ipv6Addr;
use core::time::Duration;
use proptest::prelude::*;
use std::string::String;
use std::vec;

const CONNECTION: u64 = 0x1122_3344_5566_7788;
const TRANSACTION: u32 = 0xdead_beef;

fn hash() -> InfoHash {
    InfoHash(core::array::from_fn(|at| at as u8))
}

fn request(event: Option<AnnounceEvent>) -> AnnounceRequest {
    AnnounceRequest {
        info_hash: hash(),
        peer_id: PeerId(*b"-XX0100-abcdefghijkl"),
        port: 51413,
        ledger: Ledger { uploaded: 0, downloaded: 0, left: 1 << 40 },
        event,
        num_want: Some(200),
        key: Some(0xabcd_ef01),
        tracker_id: None,
        own_ips: Vec::new(),
    }
}

fn announce(request: AnnounceRequest) -> UdpRequest {
    let ip = Ipv4Addr::UNSPECIFIED;
    UdpRequest::Announce { connection: CONNECTION, transaction: TRANSACTION, request, ip, url_data: vec![] }
}

/// Packets computed by hand from BEP 15's tables.
#[test]
fn requests_as_bep_15_lays_them_out() {
    let connect = UdpRequest::Connect { transaction: TRANSACTION };
    assert_eq!(hex(&connect.encode()), "000004172710198000000000deadbeef");

    let common = "000102030405060708090a0b0c0d0e0f101112132d5858303130302d6162636465666768696a6b6c";
    let started = std::format!(
        "112233445566778800000001deadbeef{common}\
         0000000000000000 0000010000000000 0000000000000000 00000002 00000000 abcdef01 000000c8 c8d5"
    );
    assert_eq!(announce(request(Some(AnnounceEvent::Started))).encode(), unhex(&started));

    // The event numbers are not HTTP's order; no wish is -1; downloaded, left, uploaded in this order.
    let mut completed = request(Some(AnnounceEvent::Completed));
    completed.ledger = Ledger { uploaded: 1, downloaded: i64::MAX as u64, left: 0 };
    (completed.num_want, completed.key, completed.port) = (None, Some(1), 1);
    let expect = std::format!(
        "112233445566778800000001deadbeef{common}\
         7fffffffffffffff 0000000000000000 0000000000000001 00000001 00000000 00000001 ffffffff 0001"
    );
    assert_eq!(announce(completed).encode(), unhex(&expect));

    let torrents = vec![hash(), InfoHash(core::array::from_fn(|at| 19 - at as u8))];
    let scrape = UdpRequest::Scrape { connection: CONNECTION, transaction: TRANSACTION, torrents };
    assert_eq!(
        hex(&scrape.encode()),
        "112233445566778800000002deadbeef000102030405060708090a0b0c0d0e0f10111213131211100f0e0d0c0b0a09080706050403020100"
    );
}

#[test]
fn responses_as_bep_15_lays_them_out() {
    let decode = |text: &str, v6: bool| UdpResponse::decode(&unhex(text), v6, 100, 100);
    assert_eq!(
        decode("00000000deadbeef1122334455667788", false),
        Some((TRANSACTION, UdpResponse::Connected { connection: CONNECTION }))
    );
    // A list cut in mid-entry: the whole entries count.
    let Some((_, UdpResponse::Announced(four))) =
        decode("00000001deadbeef000007080000000300000005010203041ae1fffefdfcffff0102", false)
    else {
        panic!("not an announce response")
    };
    assert_eq!((four.interval, four.incomplete, four.complete), (Some(1800), Some(3), Some(5)));
    let addr = |text: &str| Target::Addr(text.parse().unwrap());
    assert_eq!(four.peers, [addr("1.2.3.4:6881"), addr("255.254.253.252:65535")]);
    let Some((_, UdpResponse::Announced(six))) =
        decode("00000001deadbeef00000708000000030000000520010db80000000000000000000000011ae1", true)
    else {
        panic!("not an announce response")
    };
    assert_eq!(six.peers, [addr("[2001:db8::1]:6881")]);
    assert_eq!(
        decode("00000002deadbeef000000010000000200000003000000040000000500000006", false),
        Some((
            TRANSACTION,
            UdpResponse::Scraped(vec![
                ScrapeCounts { complete: 1, downloaded: 2, incomplete: 3 },
                ScrapeCounts { complete: 4, downloaded: 5, incomplete: 6 },
            ])
        ))
    );
    assert_eq!(
        decode("00000003deadbeef746f7272656e74206e6f742072656769737465726564", false),
        Some((TRANSACTION, UdpResponse::Error("torrent not registered".into())))
    );
    assert_eq!(decode("00000003deadbeef", false), Some((TRANSACTION, UdpResponse::Error(String::new()))));
    for short in
        ["", "00000000", "00000000deadbeef11223344556677", "00000001deadbeef0000070800000003000000", "00000009deadbeef"]
    {
        assert_eq!(decode(short, false), None, "{short}");
    }
}

/// BEP 41: 255 bytes fill one option; one more begins a second.
#[test]
fn url_data_is_cut_into_options() {
    let data = [&b"/"[..], &[b'y'; 254]].concat();
    let with = |url_data: Vec<u8>| {
        let UdpRequest::Announce { connection, transaction, request, ip, .. } = announce(request(None)) else {
            unreachable!()
        };
        UdpRequest::Announce { connection, transaction, request, ip, url_data }
    };
    let packet = with(data.clone()).encode();
    assert_eq!(packet[98..100], [2, 255]);
    assert_eq!(packet[100..], data[..]);
    let longer = with([&data[..], b"?q"].concat());
    let packet = longer.encode();
    assert_eq!(packet[98 + 257..], *b"\x02\x02?q");
    assert_eq!(UdpRequest::decode(&packet), Some(longer));
    // Padding, an unknown option, the end; what follows is not read.
    let mut odd = with(vec![]).encode();
    odd.extend_from_slice(b"\x01\x07\x02ab\x02\x02/x\x00\x02\x01y");
    assert_eq!(UdpRequest::decode(&odd), Some(with(b"/x".to_vec())));
}

struct Bench {
    config: AnnounceConfig,
    rng: Rng,
    to: SocketAddr,
}

impl Bench {
    fn new() -> Bench {
        let rng = Seeds::for_tests(1).secrets(Stream::UdpTracker, 0);
        Bench { config: AnnounceConfig::default(), rng, to: "192.0.2.1:6969".parse().unwrap() }
    }

    fn begin(&mut self, now: Time, known: Option<UdpConnection>, patient: bool) -> (UdpExchange, UdpRequest) {
        let what =
            UdpAsk { to: self.to, known, question: Question::Announce(request(None)), url_data: vec![], patient };
        let (exchange, packet) = UdpExchange::begin(now, &self.config, what, &mut self.rng);
        (exchange, UdpRequest::decode(&packet).unwrap())
    }

    fn answer(&mut self, exchange: &mut UdpExchange, now: Time, response: &UdpResponse) -> UdpSaid {
        let packet = response.encode(exchange.transaction(), false);
        exchange.datagram(now, &self.config, self.to, &packet, &mut self.rng)
    }

    /// Lets time pass without an answer: when something was sent and what, and when it was given up.
    fn silence(&mut self, exchange: &mut UdpExchange) -> (Vec<(u64, &'static str)>, u64) {
        let mut sent = vec![];
        loop {
            let now = exchange.deadline();
            let seconds = now.as_micros() / 1_000_000;
            match exchange.tick(now, &self.config, &mut self.rng) {
                UdpSaid::Send(packet) => sent.push((seconds, kind(&packet))),
                UdpSaid::TimedOut => return (sent, seconds),
                said => panic!("{said:?}"),
            }
        }
    }
}

fn kind(packet: &[u8]) -> &'static str {
    match UdpRequest::decode(packet) {
        Some(UdpRequest::Connect { .. }) => "connect",
        Some(UdpRequest::Announce { .. }) => "announce",
        _ => "other",
    }
}

/// "15 * 2 ^ n seconds, ... n starts at 0 and is increased up to 8 (3840 seconds) after every retransmission."
#[test]
fn a_lost_connect_is_sent_again_at_the_times_of_bep_15() {
    let mut bench = Bench::new();
    let (mut exchange, first) = bench.begin(Time::ZERO, None, true);
    assert_eq!(first, UdpRequest::Connect { transaction: exchange.transaction() });
    let (sent, over) = bench.silence(&mut exchange);
    let times: Vec<u64> = sent.iter().map(|(when, _)| *when).collect();
    assert_eq!(times, [15, 45, 105, 225, 465, 945, 1905, 3825]);
    assert_eq!(over, 7665);
}

#[test]
fn with_another_tracker_left_one_packet_must_do() {
    let mut bench = Bench::new();
    let (mut exchange, _) = bench.begin(Time::ZERO, None, false);
    assert_eq!(bench.silence(&mut exchange), (vec![], 15));
}

/// BEP 15's time line: connect at 0, answered at 1, announce at 2 (here: at once), 17, 47; then the id has expired.
#[test]
fn an_announce_that_is_not_answered_asks_for_a_new_id_when_the_old_one_expired() {
    let mut bench = Bench::new();
    let (mut exchange, _) = bench.begin(Time::ZERO, None, true);
    let said = bench.answer(&mut exchange, Time::from_secs(2), &UdpResponse::Connected { connection: CONNECTION });
    assert!(matches!(&said, UdpSaid::Send(packet) if kind(packet) == "announce"));
    assert!(exchange.has_asked());
    let (sent, over) = bench.silence(&mut exchange);
    assert_eq!(sent[..4], [(17, "announce"), (47, "announce"), (107, "connect"), (227, "connect")]);
    assert_eq!(over, 7667);
}

/// "ids reused at 2, 4 and 60, a new connect at 62."
#[test]
fn an_id_is_used_for_sixty_seconds() {
    let mut bench = Bench::new();
    let known = UdpConnection { from: bench.to, id: CONNECTION, since: Time::from_secs(1) };
    for (when, expect) in [(2, "announce"), (60, "announce"), (61, "announce"), (62, "connect")] {
        let (_, first) = bench.begin(Time::from_secs(when), Some(known), true);
        assert_eq!(kind(&first.encode()), expect, "at {when} s");
    }
    let elsewhere = Some(UdpConnection { from: "192.0.2.2:6969".parse().unwrap(), ..known });
    assert_eq!(kind(&bench.begin(Time::from_secs(2), elsewhere, true).1.encode()), "connect");
}

#[test]
fn a_tracker_that_answers_only_connects_is_given_up() {
    let mut bench = Bench::new();
    let (mut exchange, _) = bench.begin(Time::ZERO, None, true);
    let mut now = Time::ZERO;
    let mut packets = 1;
    loop {
        let connecting = UdpResponse::Connected { connection: CONNECTION };
        if let UdpSaid::Send(_) = bench.answer(&mut exchange, now, &connecting) {
            packets += 1;
        }
        now = exchange.deadline();
        match exchange.tick(now, &bench.config, &mut bench.rng) {
            UdpSaid::Send(_) => packets += 1,
            said => break assert_eq!(said, UdpSaid::TimedOut),
        }
        assert!(packets < 30);
    }
    assert!(now <= Time::from_secs(7665 + 15));
}

/// "wrong txid/action/source/size ignored"
#[test]
fn what_is_not_the_answer_is_ignored() {
    let mut bench = Bench::new();
    let (mut exchange, _) = bench.begin(Time::ZERO, None, true);
    let good = UdpResponse::Connected { connection: CONNECTION }.encode(exchange.transaction(), false);
    let mut hear = |from: SocketAddr, packet: &[u8]| {
        exchange.clone().datagram(Time::ZERO, &bench.config, from, packet, &mut bench.rng)
    };
    let to: SocketAddr = "192.0.2.1:6969".parse().unwrap();
    assert_eq!(hear("192.0.2.1:6970".parse().unwrap(), &good), UdpSaid::Nothing);
    assert_eq!(hear("192.0.2.9:6969".parse().unwrap(), &good), UdpSaid::Nothing);
    assert_eq!(hear(to, &good[..15]), UdpSaid::Nothing);
    let mut wrong = good.clone();
    wrong[7] ^= 1;
    assert_eq!(hear(to, &wrong), UdpSaid::Nothing);
    let mut action = good.clone();
    action[3] = 1;
    action.resize(20, 0);
    assert_eq!(hear(to, &action), UdpSaid::Nothing);
    assert!(matches!(hear(to, &good), UdpSaid::Send(_)));
    // Trailing bytes are allowed, and so is an IPv4 address that a dual-stack socket shows.
    let mapped = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into(), 6969);
    assert!(matches!(hear(mapped, &[&good[..], b"more"].concat()), UdpSaid::Send(_)));
    let error = UdpResponse::Error("no".into()).encode(exchange.transaction(), false);
    let said = exchange.datagram(Time::ZERO, &bench.config, to, &error, &mut bench.rng);
    assert_eq!(said, UdpSaid::Replied(Reply::Failure { reason: "no".into(), retry: None }));
    // It is over: the good answer comes too late.
    assert_eq!(exchange.datagram(Time::ZERO, &bench.config, to, &good, &mut bench.rng), UdpSaid::Nothing);
    assert_eq!(exchange.deadline(), Time::NEVER);
}

#[test]
fn the_wait_cannot_overflow() {
    let mut bench = Bench::new();
    bench.config.udp_wait = Duration::MAX;
    let (exchange, _) = bench.begin(Time::from_secs(5), None, true);
    assert_eq!(exchange.deadline(), Time::NEVER);
}

fn any_request() -> impl Strategy<Value = AnnounceRequest> {
    let ledger = (any::<u64>(), any::<u64>(), any::<u64>());
    let event = prop_oneof![
        Just(None),
        Just(Some(AnnounceEvent::Started)),
        Just(Some(AnnounceEvent::Completed)),
        Just(Some(AnnounceEvent::Stopped))
    ];
    (
        any::<[u8; 20]>(),
        any::<[u8; 20]>(),
        any::<u16>(),
        ledger,
        event,
        proptest::option::of(0..=i32::MAX as u32),
        any::<u32>(),
    )
        .prop_map(|(hash, id, port, (uploaded, downloaded, left), event, num_want, key)| AnnounceRequest {
            info_hash: InfoHash(hash),
            peer_id: PeerId(id),
            port,
            ledger: Ledger { uploaded, downloaded, left },
            event,
            num_want,
            key: Some(key),
            tracker_id: None,
            own_ips: Vec::new(),
        })
}

proptest! {
    #[test]
    fn requests_come_back(
        request in any_request(), connection: u64, transaction: u32, ip: [u8; 4],
        url_data in proptest::collection::vec(any::<u8>(), 0..700),
        hashes in proptest::collection::vec(any::<[u8; 20]>(), 1..MAX_SCRAPE),
    ) {
        let announce = UdpRequest::Announce { connection, transaction, request, ip: ip.into(), url_data };
        prop_assert_eq!(UdpRequest::decode(&announce.encode()), Some(announce));
        let scrape = UdpRequest::Scrape { connection, transaction, torrents: hashes.into_iter().map(InfoHash).collect() };
        prop_assert_eq!(UdpRequest::decode(&scrape.encode()), Some(scrape));
        let connect = UdpRequest::Connect { transaction };
        prop_assert_eq!(UdpRequest::decode(&connect.encode()), Some(connect));
    }

    #[test]
    fn responses_come_back(
        transaction: u32, interval: u32, complete: u32, incomplete: u32, v6: bool,
        peers in proptest::collection::vec((any::<u128>(), any::<u16>()), 0..50),
    ) {
        let addr = |(ip, port): (u128, u16)| if v6 {
            SocketAddr::new(Ipv6Addr::from_bits(ip).into(), port)
        } else {
            SocketAddr::new(Ipv4Addr::from_bits(ip as u32).into(), port)
        };
        let peers = peers.into_iter().map(addr).filter(crate::tracker::is_dialable).map(Target::Addr).collect();
        let response = UdpResponse::Announced(AnnounceResponse {
            interval: Some(interval), complete: Some(complete), incomplete: Some(incomplete), peers,
            ..AnnounceResponse::default()
        });
        prop_assert_eq!(
            UdpResponse::decode(&response.encode(transaction, v6), v6, 1000, 200),
            Some((transaction, response))
        );
    }

    #[test]
    fn no_packet_makes_it_panic(packet in proptest::collection::vec(any::<u8>(), 0..200), v6: bool, action in 0u8..5) {
        let _ = UdpRequest::decode(&packet);
        let _ = UdpResponse::decode(&packet, v6, 10, 10);
        // Packets that get further than the action.
        let mut likely = [&[0, 0, 0, action][..], &packet].concat();
        let _ = UdpResponse::decode(&likely, v6, 10, 10);
        likely.splice(0..0, 0u64.to_be_bytes());
        let _ = UdpRequest::decode(&likely);
    }
}
