use super::*;
use crate::border::{InfoHash, PeerId, Target};
use crate::tracker::{
    AnnounceEvent, AnnounceRequest, AnnounceResponse, Ledger, Reply, RetryIn, ScrapeCounts, TrackerUrl,
};
use core::net::{IpAddr, SocketAddr};
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const LIMITS: ResponseLimits = ResponseLimits { body: 1 << 20, peers: 1000, id: 256, text: 200 };

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash(*b"\x12\x34\x56\x78\x9a\xbc\xde\xf1\x23\x45\x67\x89\xab\xcd\xef\x12\x34\x56\x78\x9a"),
        peer_id: PeerId(*b"-XX0100-~._ +&=%/?ab"),
        port: 6881,
        ledger: Ledger { uploaded: 1, downloaded: 2, left: 3 },
        event: Some(AnnounceEvent::Started),
        num_want: Some(200),
        key: Some(0xbeef),
        tracker_id: Some(b"a&b".to_vec()),
        own_ips: Vec::new(),
    }
}

fn answer(body: &[u8]) -> AnnounceResponse {
    match parse_response(body, &LIMITS) {
        Ok(Reply::Answer(answer)) => answer,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(body)),
    }
}

fn peers(body: &[u8]) -> Vec<String> {
    let show = |peer: Target| match peer {
        Target::Addr(addr) => addr.to_string(),
        Target::Host { name, port } => std::format!("{name}:{port}"),
    };
    answer(body).peers.into_iter().map(show).collect()
}

#[test]
fn the_request_is_percent_encoded_behind_the_urls_own_query() {
    let url = TrackerUrl::parse("http://t.example/announce?passkey=A%2fb").unwrap();
    assert_eq!(
        announce_target(&url, &request()),
        "/announce?passkey=A%2fb&info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A\
         &peer_id=-XX0100-~._%20%2B%26%3D%25%2F%3Fab&port=6881&uploaded=1&downloaded=2&left=3&event=started\
         &compact=1&no_peer_id=1&numwant=200&key=0000beef&trackerid=a%26b"
    );
    let plain = TrackerUrl::parse("http://t.example/announce").unwrap();
    let regular = AnnounceRequest { event: None, num_want: None, key: None, tracker_id: None, ..request() };
    let target = announce_target(&plain, &regular);
    assert!(target.starts_with("/announce?info_hash=%124Vx"));
    assert!(target.ends_with("&left=3&compact=1&no_peer_id=1"));
}

#[test]
fn fields_of_an_answer() {
    let all = answer(
        b"d8:completei5e10:downloadedi7e11:external ip4:\x01\x02\x03\x0410:incompletei3e8:intervali1800e\
          12:min intervali600e5:peers12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\xc8\xd510:tracker id3:abc\
          15:warning message10:old cliente",
    );
    assert_eq!(all.interval, Some(1800));
    assert_eq!(all.min_interval, Some(600));
    assert_eq!((all.complete, all.incomplete, all.downloaded), (Some(5), Some(3), Some(7)));
    assert_eq!(all.external_ip, Some(IpAddr::from([1, 2, 3, 4])));
    assert_eq!(all.tracker_id.as_deref(), Some(&b"abc"[..]));
    assert_eq!(all.warning.as_deref(), Some("old client"));
    let addr = |text: &str| Target::Addr(text.parse().unwrap());
    assert_eq!(all.peers, [addr("1.2.3.4:6881"), addr("5.6.7.8:51413")]);
}

#[test]
fn odd_answers_of_the_wild() {
    let six = b"d5:peers0:6:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1e";
    assert_eq!(peers(six), ["[2001:db8::1]:6881"]);
    // Port 0, and a list cut in mid-entry.
    assert_eq!(peers(b"d5:peers15:\x01\x02\x03\x04\0\0\x05\x06\x07\x08\0\x01\x09\x09\x09e"), ["5.6.7.8:1"]);
    // Dictionaries: no port, bad ports, a port as text, a host name, IPv6, something that is no host.
    let list = b"d5:peersl\
        d2:ip7:1.2.3.4e\
        d2:ip7:1.2.3.44:porti-1ee\
        d2:ip7:1.2.3.54:porti65536ee\
        d2:ip7:5.6.7.84:port1:7e\
        d2:ip9:A.example4:porti8ee\
        d2:ip3:::14:porti9ee\
        d2:ip5:a b/c4:porti9ee\
        i3e\
        ee";
    assert_eq!(peers(list), ["5.6.7.8:7", "a.example:8", "[::1]:9"]);
    assert!(peers(b"d5:peersi3ee").is_empty());
    let sloppy = answer(b"d5:peers0:8:intervali1800ee trailing");
    assert_eq!(sloppy.interval, Some(1800));
    assert_eq!(answer(b"d5:peers0:e").interval, None);
    assert_eq!(answer(b"d8:intervali-5e5:peers0:e").interval, None);
    assert_eq!(answer(b"d11:external ip5:123455:peers0:e").external_ip, None);
    let six = answer(b"d11:external ip16:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x095:peers0:e");
    assert_eq!(six.external_ip, Some("2001:db8::9".parse().unwrap()));
    for broken in [&b""[..], b"de5", b"d5:peers6:\x01\x02", b"<html>", b"le", b"i1e"] {
        assert_eq!(parse_response(broken, &LIMITS).is_err(), broken != b"de5", "{broken:?}");
    }
}

/// BEP 31, both examples; their number is a string.
#[test]
fn failures() {
    let failure = |body: &[u8]| match parse_response(body, &LIMITS) {
        Ok(Reply::Failure { reason, retry }) => (reason, retry),
        other => panic!("{other:?}"),
    };
    let minutes = |body| failure(body).1;
    assert_eq!(
        failure(b"d14:failure reason10:overloaded8:retry ini5ee"),
        ("overloaded".into(), Some(RetryIn::Minutes(5)))
    );
    assert_eq!(minutes(b"d14:failure reason10:Overloaded8:retry in1:5e"), Some(RetryIn::Minutes(5)));
    assert_eq!(failure(b"d14:failure reason6:banned8:retry in5:nevere"), ("banned".into(), Some(RetryIn::Never)));
    assert_eq!(minutes(b"d14:failure reason0:8:retry ini-5ee"), None);
    assert_eq!(minutes(b"d14:failure reason0:8:retry ini0ee"), None);
    // "no other keys count": peers beside a failure are not taken.
    assert_eq!(failure(b"d14:failure reason2:no5:peers6:\x01\x02\x03\x04\0\x01e").0, "no");
}

#[test]
fn texts_are_cut_and_cleaned() {
    let body = [&b"d5:peers0:15:warning message12:\x1b[31mred\x07\xe2\x80\xaee"[..]].concat();
    assert_eq!(answer(&body).warning.as_deref(), Some("[31mred"));
    let long = std::format!("d5:peers0:15:warning message900:{}e", "x".repeat(900));
    assert_eq!(answer(long.as_bytes()).warning.map(|text| text.len()), Some(200));
}

#[test]
fn no_more_than_the_limit_is_taken() {
    let limits = ResponseLimits { peers: 3, id: 4, ..LIMITS };
    let body = [&b"d5:peers60:"[..], &[7; 60], b"10:tracker id5:12345e"].concat();
    let Ok(Reply::Answer(answer)) = parse_response(&body, &limits) else { panic!() };
    assert_eq!((answer.peers.len(), answer.tracker_id), (3, None));
    assert!(parse_response(&body, &ResponseLimits { body: 20, ..LIMITS }).is_err());
}

/// BEP 48's example, with the ends of the dictionaries that the text lacks.
#[test]
fn scrapes() {
    let counts = |complete, downloaded, incomplete| ScrapeCounts { complete, downloaded, incomplete };
    let torrents = [(InfoHash([b'x'; 20]), counts(11, 13772, 19)), (InfoHash([b'y'; 20]), counts(21, 206, 20))];
    let body = b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee\
        20:yyyyyyyyyyyyyyyyyyyyd8:completei21e10:downloadedi206e10:incompletei20eeee";
    assert_eq!(parse_scrape_response(body, &LIMITS), Ok(Reply::Answer((torrents.to_vec(), None))));
    assert_eq!(encode_scrape(&torrents), body);
    let flags = b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei1e10:downloadedi2e11:downloadersi9e10:incompletei3e\
        4:name1:nee5:flagsd20:min_request_intervali3600eee";
    let expect = vec![(InfoHash([b'x'; 20]), counts(1, 2, 3))];
    assert_eq!(parse_scrape_response(flags, &LIMITS), Ok(Reply::Answer((expect, Some(3600)))));
    let url = TrackerUrl::parse("http://t.example/scrape?k").unwrap();
    let target = scrape_target(&url, &[InfoHash([b'x'; 20]), InfoHash([0xff; 20])]);
    assert_eq!(target, std::format!("/scrape?k&info_hash={}&info_hash={}", "x".repeat(20), "%FF".repeat(20)));
    let query = target.split_once('?').unwrap().1;
    assert_eq!(parse_scrape(query.as_bytes(), 10), Ok(vec![InfoHash([b'x'; 20]), InfoHash([0xff; 20])]));
    assert_eq!(parse_scrape(b"k", 10), Err(QueryError::Missing("info_hash")));
}

#[test]
fn queries_that_are_refused() {
    let good = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1";
    assert!(parse_announce(good.as_bytes()).is_ok());
    let table = [
        ("", QueryError::Missing("port")),
        ("port=1", QueryError::Missing("info_hash")),
        ("port=1&info_hash=short", QueryError::Bad("info_hash")),
        ("port=65536&info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb", QueryError::Bad("port")),
        ("port=-1&info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb", QueryError::Bad("port")),
    ];
    for (query, error) in table {
        assert_eq!(parse_announce(query.as_bytes()), Err(error), "{query}");
    }
    let with = |more: &str| parse_announce(std::format!("{good}{more}").as_bytes());
    assert_eq!(with("&left=x"), Err(QueryError::Bad("left")));
    assert_eq!(with("&event=dance"), Err(QueryError::Bad("event")));
    assert_eq!(with(&"&a".repeat(300)), Err(QueryError::TooMany));
    // Not a seed unless it says so; a wish that cannot be read is none.
    let bare = with("&numwant=-1&key=xyz").unwrap();
    assert_eq!((bare.request.ledger.left, bare.request.num_want, bare.request.key), (u64::MAX, None, None));
    assert!(bare.compact);
}

fn any_request() -> impl Strategy<Value = AnnounceRequest> {
    let event = prop_oneof![
        Just(None),
        Just(Some(AnnounceEvent::Started)),
        Just(Some(AnnounceEvent::Completed)),
        Just(Some(AnnounceEvent::Stopped)),
        Just(Some(AnnounceEvent::Paused))
    ];
    let optional = proptest::option::of::<proptest::arbitrary::StrategyFor<u32>>;
    let id = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20));
    (any::<([u8; 20], [u8; 20], u16, [u64; 3])>(), event, optional(any::<u32>()), optional(any::<u32>()), id).prop_map(
        |((hash, peer, port, [uploaded, downloaded, left]), event, num_want, key, tracker_id)| AnnounceRequest {
            info_hash: InfoHash(hash),
            peer_id: PeerId(peer),
            port,
            ledger: Ledger { uploaded, downloaded, left },
            event,
            num_want,
            key,
            tracker_id,
            own_ips: Vec::new(),
        },
    )
}

fn any_peer() -> impl Strategy<Value = PeerEntry> {
    (any::<[u8; 20]>(), any::<IpAddr>(), 1u16..)
        .prop_map(|(id, ip, port)| PeerEntry { id: PeerId(id), addr: SocketAddr::new(ip, port) })
        .prop_filter("an address that a peer can have", |peer| crate::tracker::is_dialable(&peer.addr))
}

proptest! {
    #[test]
    fn requests_come_back(request in any_request()) {
        let url = TrackerUrl::parse("http://t.example/announce?pass=1").unwrap();
        let target = announce_target(&url, &request);
        prop_assert!(target.bytes().all(|b| b.is_ascii_graphic()));
        let query = target.split_once('?').unwrap().1;
        let parsed = parse_announce(query.as_bytes());
        prop_assert_eq!(parsed, Ok(HttpAnnounce { request, compact: true, no_peer_id: true }));
    }

    #[test]
    fn responses_come_back(
        numbers: [Option<u32>; 5], external_ip: Option<IpAddr>, ids: bool, compact: bool,
        tracker_id in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
        warning in proptest::option::of("[a-z ]{1,50}"),
        list in proptest::collection::vec(any_peer(), 0..20),
    ) {
        let [interval, min_interval, complete, incomplete, downloaded] = numbers;
        let mut response = AnnounceResponse {
            interval, min_interval, tracker_id, complete, incomplete, downloaded, peers: vec![], external_ip, warning,
        };
        let form = if compact { PeersForm::Compact } else { PeersForm::Dictionaries { ids } };
        let body = encode_response(&response, &list, form);
        // Compact lists have IPv4 first.
        let (four, six): (Vec<_>, Vec<_>) = list.iter().map(|peer| peer.addr).partition(|addr| addr.is_ipv4());
        let in_order = if compact { [four, six].concat() } else { list.iter().map(|peer| peer.addr).collect() };
        response.peers = in_order.into_iter().map(Target::Addr).collect();
        prop_assert_eq!(parse_response(&body, &LIMITS), Ok(Reply::Answer(response)));
    }

    #[test]
    fn failures_come_back(reason in "[ -~]{0,100}", minutes in proptest::option::of(1u32..), never: bool) {
        let retry = if never { Some(RetryIn::Never) } else { minutes.map(RetryIn::Minutes) };
        let body = encode_failure(&reason, retry);
        prop_assert_eq!(parse_response(&body, &LIMITS), Ok(Reply::Failure { reason, retry }));
    }

    #[test]
    fn no_body_and_no_query_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        let _ = parse_response(&bytes, &LIMITS);
        let _ = parse_announce(&bytes);
        let _ = parse_scrape(&bytes, 3);
        let good = b"d8:completei5e5:peersld2:ip7:1.2.3.44:porti1eee6:peers60:10:tracker id3:abce";
        let _ = parse_response(&good[..cut.min(good.len())], &LIMITS);
        let _ = parse_scrape_response(&bytes, &LIMITS);
    }
}
