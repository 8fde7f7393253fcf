use super::*;
use crate::border::{Actions, Config, IpFilter};
use crate::cx::IdSource;
use crate::rng::Seeds;
use proptest::prelude::*;
use std::vec;

fn secs(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn config() -> LsdConfig {
    LsdConfig::default()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn name(number: u8) -> InfoHash {
    InfoHash([number; 20])
}

const V4: LsdSocket = LsdSocket { sock: SocketId(3), v6: false, port: 6881 };
const V6: LsdSocket = LsdSocket { sock: SocketId(4), v6: true, port: 6882 };

/// What is announced at this time.
fn announced(lsd: &mut Lsd, seconds: u64, sockets: &[LsdSocket]) -> Vec<(SocketId, SocketAddr, Vec<u8>)> {
    let (config, filter, seeds) = (Config::default(), IpFilter::new(), Seeds::for_tests(3));
    let (mut out, mut ids, now) = (Actions::new(), IdSource::default(), secs(seconds));
    let mut cx = Cx { now, config: &config, filter: &filter, seeds: &seeds, out: &mut out, ids: &mut ids, owner: 0 };
    lsd.announce(&mut cx, sockets);
    let sent = out.list.into_iter().map(|action| match action {
        Action::SendDatagrams { sock, to, segment, bytes, dont_fragment: false } => {
            assert_eq!(usize::from(segment), bytes.len(), "one datagram");
            assert!(bytes.len() <= LsdMessage::MAX_SENT);
            (sock, to, bytes.to_vec())
        }
        other => panic!("{other:?}"),
    });
    sent.collect()
}

fn hashes(sent: &[(SocketId, SocketAddr, Vec<u8>)]) -> Vec<InfoHash> {
    sent.iter().flat_map(|(_, _, bytes)| LsdMessage::parse(bytes).unwrap().hashes).collect()
}

fn said(port: u16, numbers: &[u8], cookie: Option<&str>) -> Vec<u8> {
    let hashes = numbers.iter().map(|&number| name(number)).collect();
    LsdMessage { port, hashes, cookie: cookie.map(Into::into) }.emit((GROUP_V4, 6771).into())
}

#[test]
fn torrents_are_announced_every_five_minutes_on_each_socket() {
    let mut lsd = Lsd::new();
    lsd.set(secs(10), &config(), TorrentId(1), Some(name(1)));
    assert_eq!(lsd.deadline(), Some(secs(11)));
    assert_eq!(announced(&mut lsd, 10, &[V4]), []);
    assert_eq!(announced(&mut lsd, 11, &[]), [], "no socket: it waits");
    let sent = announced(&mut lsd, 11, &[V4, V6]);
    let to: Vec<_> = sent.iter().map(|(sock, to, _)| (*sock, *to)).collect();
    assert_eq!(to, [(V4.sock, at("239.192.152.143:6771")), (V6.sock, at("[ff15::efc0:988f]:6771"))]);
    let text: Vec<String> = sent.iter().map(|(_, _, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect();
    let cookie = LsdMessage::parse(&sent[0].2).unwrap().cookie.unwrap();
    let expected = |host, port| {
        let hash = name(1).to_hex();
        format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: {host}\r\nPort: {port}\r\nInfohash: {hash}\r\ncookie: {cookie}\r\n\r\n\r\n"
        )
    };
    assert_eq!(text, [expected("239.192.152.143:6771", 6881), expected("[ff15::efc0:988f]:6771", 6882)]);
    assert_eq!(lsd.deadline(), Some(secs(311)));
    lsd.set(secs(12), &config(), TorrentId(1), None);
    assert_eq!(lsd.deadline(), None);
}

#[test]
fn there_is_one_announce_a_minute_with_all_that_are_due() {
    let mut lsd = Lsd::new();
    lsd.set(secs(0), &config(), TorrentId(0), Some(name(0)));
    assert_eq!(hashes(&announced(&mut lsd, 1, &[V4])), [name(0)]);
    lsd.set(secs(2), &config(), TorrentId(1), Some(name(1)));
    lsd.set(secs(30), &config(), TorrentId(2), Some(name(2)));
    assert_eq!(lsd.deadline(), Some(secs(61)));
    assert_eq!(hashes(&announced(&mut lsd, 60, &[V4])), []);
    assert_eq!(hashes(&announced(&mut lsd, 61, &[V4])), [name(1), name(2)]);
    assert_eq!(lsd.deadline(), Some(secs(301)));
}

#[test]
fn of_too_many_torrents_each_has_its_turn() {
    let mut lsd = Lsd::new();
    for number in 0..200u8 {
        lsd.set(secs(0), &config(), TorrentId(number.into()), Some(name(number)));
    }
    let (mut now, mut seen) = (1, BTreeSet::new());
    let room = LsdMessage::room(10);
    assert!(room >= 20, "{room}");
    for _ in 0..200usize.div_ceil(room) {
        seen.extend(hashes(&announced(&mut lsd, now, &[V4])));
        now += 60;
    }
    assert_eq!(seen.len(), 200, "nobody twice before everybody once");
}

#[test]
fn what_neighbours_announce_is_heard() {
    let mut lsd = Lsd::new();
    let mut hear = |from: &str, bytes: &[u8]| lsd.heard(secs(0), &config(), at(from), bytes);
    let expected = |peer: &str, numbers: &[u8]| {
        Some(Heard { peer: at(peer), hashes: numbers.iter().map(|&number| name(number)).collect() })
    };
    assert_eq!(hear("192.168.0.7:6771", &said(5000, &[1, 2], Some("x"))), expected("192.168.0.7:5000", &[1, 2]));
    assert_eq!(hear("127.0.0.1:9", &said(5000, &[1], None)), expected("127.0.0.1:5000", &[1]));
    assert_eq!(
        hear("[fe80::7%3]:6771", &said(5000, &[1], None)),
        expected("[fe80::7%3]:5000", &[1]),
        "the scope stays"
    );
    assert_eq!(hear("[::ffff:10.0.0.7]:6771", &said(5000, &[1], None)), expected("10.0.0.7:5000", &[1]));
    for stranger in ["80.1.1.1:6771", "[2a00::1]:6771", "224.0.0.1:6771"] {
        assert_eq!(hear(stranger, &said(5000, &[1], None)), None, "{stranger}");
    }
    assert_eq!(hear("192.168.0.7:6771", b"M-SEARCH * HTTP/1.1\r\n\r\n"), None);
}

#[test]
fn our_own_announces_are_not_heard_and_tell_who_is_near() {
    let mut lsd = Lsd::new();
    lsd.set(secs(0), &config(), TorrentId(1), Some(name(1)));
    let own = announced(&mut lsd, 1, &[V4]).remove(0).2;
    let near = ["80.1.1.9:6771", "[2a00:1:2:3::9]:6771"];
    let far = ["80.1.2.9:6771", "[2a00:1:2:4::9]:6771"];
    let mut hear = |from: &str, bytes: &[u8]| lsd.heard(secs(2), &config(), at(from), bytes).map(|heard| heard.peer);
    assert_eq!(near.map(|from| hear(from, &said(1, &[1], None))), [None; 2]);
    assert_eq!(["80.1.1.1:6771", "[2a00:1:2:3::1]:6771"].map(|from| hear(from, &own)), [None; 2]);
    assert_eq!(
        near.map(|from| hear(from, &said(1, &[1], None))),
        [at("80.1.1.9:1"), at("[2a00:1:2:3::9]:1")].map(Some)
    );
    assert_eq!(far.map(|from| hear(from, &said(1, &[1], None))), [None; 2]);
    for number in 0..100 {
        lsd.heard(secs(2), &config(), SocketAddr::from(([80, 2, number, 1], 6771)), &own);
    }
    assert_eq!(lsd.own.len(), MAX_OWN);
    lsd.moved(secs(3), &config());
    assert_eq!(lsd.heard(secs(4), &config(), at("80.1.1.9:1"), &said(1, &[1], None)), None);
}

#[test]
fn on_a_new_network_everybody_is_announced_anew() {
    let mut lsd = Lsd::new();
    lsd.set(secs(0), &config(), TorrentId(1), Some(name(1)));
    announced(&mut lsd, 1, &[V4]);
    lsd.moved(secs(100), &config());
    assert_eq!(lsd.deadline(), Some(secs(101)));
    assert_eq!(hashes(&announced(&mut lsd, 101, &[V4])), [name(1)]);
    lsd.moved(secs(102), &config());
    assert_eq!(lsd.deadline(), Some(secs(161)), "not twice within a minute");
}

#[test]
fn a_flood_is_not_read() {
    let mut lsd = Lsd::new();
    let config = LsdConfig { max_heard: 3, max_sources: 4, ..LsdConfig::default() };
    let mut hear = |seconds: u64, last: u8| {
        lsd.heard(secs(seconds), &config, SocketAddr::from(([10, 0, 0, last], 1)), &said(1, &[1], None)).is_some()
    };
    assert_eq!([(); 5].map(|()| hear(0, 1)), [true, true, true, false, false]);
    assert!(hear(0, 2) && !hear(59, 1) && hear(60, 1), "for a minute");
    for last in 10..200 {
        assert!(hear(60, last));
    }
    assert_eq!((lsd.sources.len(), lsd.windows.len()), (4, 4));
}

#[test]
fn what_is_not_as_it_must_be_is_refused() {
    let head = "BT-SEARCH * HTTP/1.1\r\n";
    let hash = format!("Infohash: {}\r\n", name(7).to_hex());
    let read = |rest: &str| LsdMessage::parse(format!("{head}{rest}").as_bytes());
    let good = Ok(LsdMessage { port: 5, hashes: vec![name(7)], cookie: None });
    assert_eq!(read(&format!("Host: x\r\nPort: 5\r\n{hash}\r\n\r\n")), good);
    assert_eq!(read(&format!("pORT:5\r\nX-New: y\r\n{}", hash.replace("Infohash", "INFOHASH"))), Err(LsdError::Header));
    assert_eq!(read(&format!("pORT:5\r\nX-New: y\r\n{}\r\n", hash.replace("Infohash", "INFOHASH"))), good);
    assert_eq!(read(&format!("Port: 5\r\n{hash}\r\nPort: 6\r\n")), good, "behind the end nothing counts");
    for port in ["", "0", "65536", "+5", "5 5", "-1", "0x5"] {
        assert_eq!(read(&format!("Port: {port}\r\n{hash}\r\n")), Err(LsdError::Port), "{port}");
    }
    assert_eq!(read(&format!("{hash}\r\n")), Err(LsdError::Port));
    assert_eq!(read(&format!("Port: 5\r\nPort: 5\r\n{hash}\r\n")), Err(LsdError::Port));
    assert_eq!(read("Port: 5\r\n\r\n"), Err(LsdError::InfoHash));
    for hash in ["", "07", &"g".repeat(40), &"0".repeat(39), &"0".repeat(41), &"0".repeat(42)] {
        assert_eq!(read(&format!("Port: 5\r\nInfohash: {hash}\r\n\r\n")), Err(LsdError::InfoHash), "{hash}");
    }
    assert_eq!(read(&format!("Port 5\r\n{hash}\r\n")), Err(LsdError::Header));
    assert_eq!(read(&format!("Port: 5\n{hash}\r\n")), Err(LsdError::Header));
    assert_eq!(read(&format!("Port: 5\r\n{hash}cookie: {}\r\n\r\n", "x".repeat(65))), Err(LsdError::Cookie));
    assert_eq!(read(&format!("Port: 5\r\n{hash}cookie: a\r\ncookie: b\r\n\r\n")), Err(LsdError::Cookie));
    assert_eq!(read(&" ".repeat(3000)), Err(LsdError::TooLong));
    assert_eq!(LsdMessage::parse(b""), Err(LsdError::NotBtSearch));
    assert_eq!(LsdMessage::parse(b"BT-SEARCH * HTTP/1.0\r\n"), Err(LsdError::NotBtSearch));
}

#[test]
fn as_many_fit_as_is_said() {
    for cookie in ["", "0123456789", "0123456789012345678901234567890123456789"] {
        let room = LsdMessage::room(cookie.len());
        let full = |count| {
            let message = LsdMessage { port: u16::MAX, hashes: vec![name(1); count], cookie: Some(cookie.into()) };
            message.emit((GROUP_V6, u16::MAX).into()).len()
        };
        assert!(full(room) <= LsdMessage::MAX_SENT && full(room + 1) > LsdMessage::MAX_SENT);
    }
}

proptest! {
    #[test]
    fn written_is_read(port in 1u16.., numbers in prop::collection::vec(any::<[u8; 20]>(), 1..24), cookie in "[a-z0-9]{1,20}") {
        let hashes = numbers.into_iter().map(InfoHash).collect();
        let message = LsdMessage { port, hashes, cookie: Some(cookie) };
        for v6 in [false, true] {
            prop_assert_eq!(LsdMessage::parse(&message.emit((group(v6), 6771).into())), Ok(message.clone()));
        }
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100), head in any::<bool>()) {
        let mut datagram = if head { b"BT-SEARCH * HTTP/1.1\r\n".to_vec() } else { vec![] };
        datagram.extend(bytes);
        let _ = LsdMessage::parse(&datagram);
    }
}
