use super::*;
use crate::border::InfoHash;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::string::ToString;
use std::vec;

const ID: NodeId = NodeId(*b"abcdefghij0123456789");
const OTHER: NodeId = NodeId(*b"mnopqrstuvwxyz123456");

/// What comes behind the start of a dictionary that is a query of `method`, with these arguments behind the id.
fn query_text(method: &str, args: &str) -> std::string::String {
    std::format!("d1:ad2:id20:abcdefghij0123456789{args}e1:q{}:{method}1:t2:aa1:y1:qe", method.len())
}

fn method(text: &str) -> Method<'_> {
    match Message::parse(text.as_bytes()).unwrap().body {
        Body::Query(query) => query.method,
        body => panic!("no query: {body:?}"),
    }
}

fn response(text: &[u8]) -> Response<'_> {
    match Message::parse(text).unwrap().body {
        Body::Response(response) => response,
        body => panic!("no response: {body:?}"),
    }
}

fn response_text(fields: &[u8]) -> Vec<u8> {
    [b"d1:rd2:id20:abcdefghij0123456789", fields, b"e1:t2:aa1:y1:re"].concat()
}

/// The code that a query is refused with.
fn refusal(text: &str) -> ErrorCode {
    let refused = Message::parse(text.as_bytes()).unwrap_err();
    match refused.answer().unwrap().body {
        Body::Error(error) => error.code,
        body => panic!("no error: {body:?}"),
    }
}

#[test]
fn the_queries_of_the_beps() {
    let info_hash = InfoHash(OTHER.0);
    let hash = "9:info_hash20:mnopqrstuvwxyz123456";
    assert_eq!(
        method(&query_text("find_node", "6:target20:mnopqrstuvwxyz123456")),
        Method::FindNode { target: OTHER, want: None }
    );
    let get_peers = |want, no_seed, scrape| Method::GetPeers { info_hash, want, no_seed, scrape };
    assert_eq!(method(&query_text("get_peers", hash)), get_peers(None, false, false));
    let text = query_text("get_peers", &std::format!("{hash}6:noseedi1e6:scrapei1e4:wantl2:n42:n62:zze"));
    assert_eq!(method(&text), get_peers(Some(Want { v4: true, v6: true }), true, true));
    let text = query_text("get_peers", &std::format!("{hash}6:noseedi0e6:scrapei2e4:wantle"));
    assert_eq!(method(&text), get_peers(Some(Want::default()), false, false));
    let text = query_text("announce_peer", &std::format!("{hash}4:porti6881e4:seedi1e5:token8:aoeusnth"));
    let token = b"aoeusnth";
    let announce = |port, implied_port, seed| Method::AnnouncePeer { info_hash, port, implied_port, seed, token };
    assert_eq!(method(&text), announce(6881, false, true));
    let text = query_text("announce_peer", &std::format!("12:implied_porti1e{hash}5:token8:aoeusnth"));
    assert_eq!(method(&text), announce(0, true, false), "a port that is implied need not be said");
    let text = query_text("get", "3:seqi7e6:target20:mnopqrstuvwxyz123456");
    assert_eq!(method(&text), Method::Get { target: OTHER, seq: Some(7), want: None });
    let text = query_text("sample_infohashes", "6:target20:mnopqrstuvwxyz123456");
    assert_eq!(method(&text), Method::SampleInfohashes { target: OTHER, want: None });
    assert_eq!(method(&query_text("vote", hash)), Method::Unknown { name: b"vote", target: Some(OTHER) });
    assert_eq!(method(&query_text("vote", "")), Method::Unknown { name: b"vote", target: None });
}

#[test]
fn items_to_store() {
    let immutable = query_text("put", "5:token2:tk1:v12:Hello World!");
    assert_eq!(method(&immutable), Method::Put { token: b"tk", value: b"12:Hello World!", signed: None });
    let key = "k".repeat(32);
    let signature = "s".repeat(64);
    let text =
        query_text("put", &std::format!("3:casi3e1:k32:{key}4:salt3:abc3:seqi4e3:sig64:{signature}5:token2:tk1:vle"));
    let Method::Put { value: b"le", signed: Some(signed), .. } = method(&text) else { panic!("mutable") };
    assert_eq!((signed.seq, signed.cas, signed.salt), (4, Some(3), &b"abc"[..]));
    assert_eq!((signed.key, signed.signature), (&[b'k'; 32], &[b's'; 64]));
}

/// BEP 44: 205, 207; and what is no item at all.
#[test]
fn items_that_are_not_stored() {
    let of_length = |length: usize| query_text("put", &std::format!("5:token2:tk1:v{length}:{}", "x".repeat(length)));
    assert!(matches!(method(&of_length(996)), Method::Put { value, .. } if value.len() == 1000));
    assert_eq!(refusal(&of_length(997)), ErrorCode::TOO_BIG);
    for value in ["d1:bi1e1:ai1ee", "i03e", "i-0e", "d1:ai1e1:ai1ee"] {
        assert_eq!(refusal(&query_text("put", &std::format!("5:token2:tk1:v{value}"))), ErrorCode::PROTOCOL, "{value}");
    }
    let signed = |rest: &str| query_text("put", &std::format!("1:k32:{}{rest}5:token2:tk1:v1:x", "k".repeat(32)));
    let salted = |length: usize| {
        signed(&std::format!("4:salt{length}:{}3:seqi1e3:sig64:{}", "s".repeat(length), "s".repeat(64)))
    };
    assert!(matches!(method(&salted(64)), Method::Put { signed: Some(_), .. }));
    assert_eq!(refusal(&salted(65)), ErrorCode::SALT_TOO_BIG);
    assert_eq!(refusal(&signed("3:seqi1e")), ErrorCode::PROTOCOL, "without a signature");
    assert_eq!(refusal(&signed(&std::format!("3:sig64:{}", "s".repeat(64)))), ErrorCode::PROTOCOL, "without a number");
    assert_eq!(refusal(&signed(&std::format!("3:seqi-1e3:sig64:{}", "s".repeat(64)))), ErrorCode::PROTOCOL);
    assert_eq!(refusal(&signed(&std::format!("3:seqi1e3:sig63:{}", "s".repeat(63)))), ErrorCode::PROTOCOL);
}

#[test]
fn queries_that_cannot_be_served_are_answered_with_203() {
    let hash = "9:info_hash20:mnopqrstuvwxyz123456";
    let cases = [
        "d1:ade1:q4:ping1:t2:aa1:y1:qe".into(),
        "d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe".into(),
        "d1:q4:ping1:t2:aa1:y1:qe".into(),
        "d1:ale1:q4:ping1:t2:aa1:y1:qe".into(),
        "d1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe".into(),
        query_text("find_node", ""),
        query_text("find_node", "6:target3:abc"),
        query_text("get_peers", "6:target20:mnopqrstuvwxyz123456"),
        query_text("announce_peer", &std::format!("{hash}4:porti0e5:token1:t")),
        query_text("announce_peer", &std::format!("{hash}4:porti65536e5:token1:t")),
        query_text("announce_peer", &std::format!("{hash}5:token1:t")),
        query_text("announce_peer", &std::format!("{hash}4:porti6881e")),
        query_text("announce_peer", &std::format!("{hash}4:porti6881e5:token65:{}", "t".repeat(65))),
        query_text("put", "1:v1:x"),
        query_text("put", "5:token2:tk"),
    ];
    for case in cases {
        assert_eq!(refusal(&case), ErrorCode::PROTOCOL, "{case}");
    }
}

#[test]
fn nothing_is_answered_to_what_is_no_query() {
    let long = "t".repeat(MAX_TRANSACTION + 1);
    let cases = [
        "li1ei2ee",
        "",
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe",
        &std::format!("d1:ade1:q4:ping1:t{}:{long}1:y1:qe", long.len()),
        "d1:t2:aa1:y1:xe",
        "d1:t2:aae",
        "d1:rde1:t2:aa1:y1:re",
        "d1:e4:oops1:t2:aa1:y1:ee",
        "d1:ele1:t2:aa1:y1:ee",
        "d1:el3:abce1:t2:aa1:y1:ee",
    ];
    for case in cases {
        assert_eq!(Message::parse(case.as_bytes()).unwrap_err().answer(), None, "{case}");
    }
    // But of an answer it is told which query has failed.
    let refused = Message::parse(b"d1:e4:oops1:t2:aa1:y1:ee").unwrap_err();
    assert_eq!((refused.transaction, refused.role), (Some(&b"aa"[..]), Some(Role::Error)));
    assert_eq!(refused.to_string(), "field \"e\" (byte 4): not a list");
}

#[test]
fn what_real_clients_send_is_taken() {
    // Unsorted keys, a leading zero, an integer beyond 64 bits, bytes behind the end.
    let text = b"d1:y1:q1:q4:ping1:ad2:id20:abcdefghij01234567893:zzzi99999999999999999999e4:porti01ee1:t2:aae\r\n";
    assert!(matches!(Message::parse(text).unwrap().body, Body::Query(Query { method: Method::Ping, .. })));
    // The first client's list of peers: one string.
    let packed = response_text(b"6:valuesl12:axje.uidhtnme");
    let peers = ["97.120.106.101:11893", "105.100.104.116:28269"].map(|addr| addr.parse::<SocketAddr>().unwrap());
    assert_eq!(response(&packed).values.as_deref(), Some(&peers[..]));
    // BEP 42 as it was first: `ip` without a port.
    let message = Message::parse(b"d2:ip4:\x01\x02\x03\x041:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re").unwrap();
    assert_eq!(message.ip, Some("1.2.3.4:0".parse().unwrap()));
    // An error without text.
    let message = Message::parse(b"d1:eli201ee1:t2:aa1:y1:ee").unwrap();
    assert_eq!(message.body, Body::Error(ErrorReply { code: ErrorCode::GENERIC, text: b"" }));
    // A version that is no version, an `ip` that is no address, a `ro` that is no switch.
    let message =
        Message::parse(b"d1:ad2:id20:abcdefghij0123456789e2:ip3:abc1:q4:ping2:ro1:11:t2:aa1:vi1e1:y1:qe").unwrap();
    assert_eq!((message.version, message.ip, message.read_only), (None, None, false));
}

#[test]
fn each_field_of_a_response_counts_for_itself() {
    let text = response_text(b"5:nodes9:def456...5:token8:aoeusnth");
    let read = response(&text);
    assert_eq!((read.nodes.as_deref(), read.token), (Some(&[][..]), Some(&b"aoeusnth"[..])));
    assert_eq!(read.fault("nodes"), Some(FieldFault::Bad("ends inside a node")));
    assert_eq!(read.fault("token"), None);
    let text = response_text(b"1:k3:abc3:seqi-1e3:sigi1e6:valuesl3:abc6:axje.ue1:vi01e");
    let read = response(&text);
    assert_eq!((read.key, read.seq, read.signature, read.value), (None, None, None, None));
    assert_eq!(read.values.as_deref().map(<[_]>::len), Some(1));
    for field in ["k", "seq", "sig", "values", "v"] {
        assert!(read.fault(field).is_some(), "{field}");
    }
    // The samples, their number and the interval (BEP 51).
    let text = response_text(b"8:intervali21601e3:numi2e7:samples41:abcdefghij0123456789mnopqrstuvwxyz123456x");
    let read = response(&text);
    assert_eq!((read.interval, read.num), (None, Some(2)));
    assert_eq!(read.samples, Some(vec![InfoHash(ID.0), InfoHash(OTHER.0)]));
    assert!(read.fault("samples").is_some() && read.fault("interval").is_some());
}

#[test]
fn nodes_and_peers_that_cannot_be_reached_are_left_out() {
    let node = |addr: &[u8]| [&ID.0, addr].concat();
    let nodes = [
        node(&[1, 2, 3, 4, 0, 1]),
        node(&[9, 9, 9, 9, 0, 0]),
        node(&[0, 0, 0, 0, 0, 1]),
        node(&[224, 0, 0, 1, 0, 1]),
        node(&[255, 255, 255, 255, 0, 1]),
        node(&[127, 0, 0, 1, 0, 1]),
    ]
    .concat();
    let text = response_text(
        &[b"5:nodes156:", &nodes[..], b"6:valuesl6:\x01\x02\x03\x04\x00\x006:\x01\x02\x03\x04\x00\x01e"].concat(),
    );
    let read = response(&text);
    let places: Vec<_> = read.nodes.unwrap().iter().map(|node| node.addr.to_string()).collect();
    assert_eq!(places, ["1.2.3.4:1", "127.0.0.1:1"]);
    assert_eq!(read.values.unwrap(), ["1.2.3.4:1".parse().unwrap()]);
    assert_eq!(read.faults, []);
}

#[test]
fn lists_are_read_up_to_their_limits() {
    let nodes = [&ID.0[..], &[1, 2, 3, 4, 0, 1]].concat().repeat(40);
    let peers = b"6:\x01\x02\x03\x04\x00\x01".repeat(200);
    let samples = ID.0.repeat(100);
    let text =
        response_text(&[b"5:nodes1040:", &nodes[..], b"7:samples2000:", &samples, b"6:valuesl", &peers, b"e"].concat());
    assert!(text.len() > MAX_DATAGRAM && Message::parse(&text).is_err(), "too long as a whole");
    let text = response_text(&[b"5:nodes1040:", &nodes[..], b"7:samples2000:", &samples].concat());
    assert_eq!(response(&text).nodes.unwrap().len(), MAX_NODES);
    assert_eq!(response(&text).samples.unwrap().len(), MAX_SAMPLES);
    let text = response_text(&[b"6:valuesl", &peers[..], b"e"].concat());
    assert_eq!(response(&text).values.unwrap().len(), MAX_VALUES);
    let packed = response_text(&[b"6:valuesl1200:", &b"\x01\x02\x03\x04\x00\x01".repeat(200)[..], b"e"].concat());
    assert_eq!(response(&packed).values.unwrap().len(), MAX_VALUES);
}

#[test]
fn what_is_deep_is_refused_without_recursion() {
    let deep = query_text("put", &std::format!("5:token2:tk1:v{}{}", "l".repeat(400), "e".repeat(400)));
    assert!(matches!(Message::parse(deep.as_bytes()).unwrap_err().fault, Fault::Bencoding(_)));
    let deeper = "l".repeat(MAX_DATAGRAM);
    assert!(Message::parse(deeper.as_bytes()).is_err());
}

fn contact(n: u8, v6: bool) -> Contact {
    let addr = match v6 {
        false => SocketAddr::from((Ipv4Addr::new(1, 2, 3, n), 6881)),
        true => SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n)), 6881)),
    };
    Contact { id: NodeId([n; 20]), addr }
}

/// Everything that a response can have, and more of it than there is room for.
fn full(value: &[u8]) -> Response<'_> {
    Response {
        nodes: Some((0..8).map(|n| contact(n, false)).collect()),
        nodes6: Some((0..8).map(|n| contact(n, true)).collect()),
        values: Some((0..200).map(|n| contact(n, false).addr).collect()),
        token: Some(b"aoeusnth"),
        value: Some(value),
        key: Some(&[7; 32]),
        signature: Some(&[8; 64]),
        seq: Some(i64::MAX),
        ..Response::new(ID)
    }
}

#[test]
fn a_response_fits_whatever_it_is_given() {
    let value = crate::bencode::encode_list(|list| {
        list.bytes([b'x'; 994]);
    });
    assert_eq!(value.len(), MAX_VALUE);
    let message = Message {
        version: Some(b"PK01"),
        ip: Some("[2001:db8::1]:6881".parse().unwrap()),
        ..Message::response(b"aa", full(&value))
    };
    let text = message.encode();
    assert!(text.len() <= MAX_RESPONSE, "{}", text.len());
    let read = response(&text);
    assert_eq!(
        (read.value, read.key.is_some(), read.signature.is_some(), read.seq),
        (Some(&value[..]), true, true, Some(i64::MAX))
    );
    // Without the item everything else has room, and peers fill what is left.
    let message = Message::response(b"aa", Response { value: None, key: None, signature: None, ..full(&value) });
    let text = message.encode();
    assert!(text.len() <= MAX_RESPONSE && text.len() > MAX_RESPONSE - 8, "{}", text.len());
    let read = response(&text);
    assert_eq!((read.nodes.unwrap().len(), read.nodes6.unwrap().len()), (8, 8));
    assert!(read.values.unwrap().len() > 50);
}

#[test]
fn filters_come_before_peers() {
    let filters = Response { seed_filter: Some(&[1; 256]), peer_filter: Some(&[2; 256]), nodes6: None, ..full(b"le") };
    let filters = Response { value: None, key: None, signature: None, seq: None, ..filters };
    let message = Message::response(b"aa", filters);
    let text = message.encode();
    assert!(text.len() <= MAX_RESPONSE);
    let read = response(&text);
    assert_eq!((read.seed_filter, read.peer_filter), (Some(&[1; 256]), Some(&[2; 256])));
    assert_eq!(read.nodes.unwrap().len(), 8);
    assert!((40..60).contains(&read.values.unwrap().len()));
}

#[test]
fn samples_fill_what_is_left() {
    let samples = Response {
        nodes: Some((0..8).map(|n| contact(n, false)).collect()),
        samples: Some((0..72).map(|n| InfoHash([n; 20])).collect()),
        num: Some(72),
        interval: Some(MAX_INTERVAL),
        ..Response::new(ID)
    };
    let text = Message::response(b"aa", samples).encode();
    assert!(text.len() <= MAX_RESPONSE && text.len() > MAX_RESPONSE - 20, "{}", text.len());
    assert!(response(&text).samples.unwrap().len() > 40);
}

/// The largest query that can be made keeps within its limit.
#[test]
fn the_largest_query() {
    let value = std::format!("996:{}", "x".repeat(996));
    let signed =
        Signed { key: &[1; 32], signature: &[2; 64], seq: i64::MAX, salt: &[3; MAX_SALT], cas: Some(i64::MIN) };
    let method = Method::Put { token: &[4; MAX_TOKEN], value: value.as_bytes(), signed: Some(signed) };
    let message = Message { version: Some(b"PK01"), read_only: true, ..Message::query(b"aaaa", ID, method) };
    let text = message.encode();
    assert!(text.len() <= MAX_QUERY, "{}", text.len());
    assert_eq!(Message::parse(&text).unwrap(), message);
}

/// What a message is made of, so that it can be borrowed from.
#[derive(Clone, Debug)]
struct Parts {
    transaction: Vec<u8>,
    version: Option<Vec<u8>>,
    ip: Option<SocketAddr>,
    ids: [NodeId; 2],
    token: Vec<u8>,
    value: Vec<u8>,
    salt: Vec<u8>,
    seq: i64,
    cas: Option<i64>,
    want: Option<(bool, bool)>,
    switches: [bool; 4],
    port: u16,
    contacts: Vec<Contact>,
    contacts6: Vec<Contact>,
    peers: Vec<SocketAddr>,
    code: i64,
    numbers: (u32, u32),
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

fn id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 20]>().prop_map(NodeId)
}

fn place(v6: bool) -> impl Strategy<Value = SocketAddr> {
    (any::<u64>(), 1u16..)
        .prop_map(move |(n, port)| match v6 {
            false => SocketAddr::from(([n as u8 % 200 + 1, (n >> 8) as u8, (n >> 16) as u8, 1], port)),
            true => SocketAddr::from((Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n)), port)),
        })
        .prop_filter("a place", compact::is_place)
}

fn parts() -> impl Strategy<Value = Parts> {
    let contacts = |v6| prop::collection::vec((id(), place(v6)).prop_map(|(id, addr)| Contact { id, addr }), 0..4);
    let head =
        (bytes(MAX_TRANSACTION), prop::option::of(bytes(MAX_VERSION)), prop::option::of(place(false)), [id(), id()]);
    let item = (bytes(MAX_TOKEN), bytes(200), bytes(MAX_SALT), 0i64.., prop::option::of(any::<i64>()));
    let rest = (prop::option::of(any::<(bool, bool)>()), any::<[bool; 4]>(), 1u16.., any::<i64>(), any::<(u32, u32)>());
    let lists = (contacts(false), contacts(true), prop::collection::vec(prop_oneof![place(false), place(true)], 0..6));
    (head, item, rest, lists).prop_map(|(head, item, rest, lists)| Parts {
        transaction: head.0,
        version: head.1,
        ip: head.2,
        ids: head.3,
        token: item.0,
        value: crate::bencode::encode_list(|list| {
            list.bytes(item.1);
        }),
        salt: item.2,
        seq: item.3,
        cas: item.4,
        want: rest.0,
        switches: rest.1,
        port: rest.2,
        contacts: lists.0,
        contacts6: lists.1,
        peers: lists.2,
        code: rest.3,
        numbers: rest.4,
    })
}

/// The messages that can be made of the parts.
fn messages(parts: &Parts) -> Vec<Message<'_>> {
    let [id, target] = parts.ids;
    let want = parts.want.map(|(v4, v6)| Want { v4, v6 });
    let [no_seed, scrape, seed, implied_port] = parts.switches;
    let info_hash = InfoHash(target.0);
    let (token, value) = (&parts.token[..], &parts.value[..]);
    let signed = Signed { key: &[1; 32], signature: &[2; 64], seq: parts.seq, salt: &parts.salt, cas: parts.cas };
    let methods = [
        Method::Ping,
        Method::FindNode { target, want },
        Method::GetPeers { info_hash, want, no_seed, scrape },
        Method::AnnouncePeer { info_hash, port: parts.port, implied_port, seed, token },
        Method::Get { target, seq: parts.cas, want },
        Method::Put { token, value, signed: None },
        Method::Put { token, value, signed: Some(signed) },
        Method::SampleInfohashes { target, want },
        Method::Unknown { name: b"vote", target: implied_port.then_some(target) },
    ];
    let on = |index: usize| parts.switches[index];
    let answer = Response {
        nodes: on(0).then(|| parts.contacts.clone()),
        nodes6: on(1).then(|| parts.contacts6.clone()),
        values: on(2).then(|| parts.peers.clone()),
        token: on(3).then_some(token),
        ..Response::new(id)
    };
    let item = Response {
        value: on(0).then_some(value),
        key: on(1).then_some(&[1; 32]),
        signature: on(2).then_some(&[2; 64]),
        seq: on(3).then_some(parts.seq),
        ..Response::new(id)
    };
    let (num, interval) = parts.numbers;
    let samples = Response {
        samples: on(0).then(|| parts.contacts.iter().map(|contact| InfoHash(contact.id.0)).collect()),
        num: on(1).then_some(u64::from(num)),
        interval: on(2).then_some(interval % (MAX_INTERVAL + 1)),
        ..Response::new(id)
    };
    let filters =
        Response { seed_filter: on(0).then_some(&[3; 256]), peer_filter: on(1).then_some(&[4; 256]), ..answer.clone() };
    let error = Body::Error(ErrorReply { code: ErrorCode(parts.code), text: value });
    let queries = methods.map(|method| Body::Query(Query { id, method }));
    let responses = [answer, item, samples, filters].map(Body::Response);
    let all = queries.into_iter().chain(responses).chain([error]);
    let version = parts.version.as_deref();
    all.map(|body| Message {
        transaction: &parts.transaction,
        version,
        ip: parts.ip,
        read_only: on(1) && matches!(body, Body::Query(_)),
        body,
    })
    .collect()
}

proptest! {
    #[test]
    fn what_is_written_reads_as_it_was(parts in parts()) {
        for message in messages(&parts) {
            let text = message.encode();
            let canonical = crate::bencode::Document::decode(&text, crate::bencode::Mode::Strict, &Default::default());
            prop_assert!(canonical.is_ok(), "not canonical: {canonical:?}");
            let read = Message::parse(&text);
            // A text of an error may be longer than is written.
            let expected = match &message.body {
                Body::Error(error) => Message {
                    body: Body::Error(ErrorReply { text: &error.text[..error.text.len().min(MAX_ERROR_TEXT)], ..*error }),
                    ..message.clone()
                },
                _ => message.clone(),
            };
            prop_assert_eq!(read.as_ref(), Ok(&expected));
            prop_assert_eq!(read.unwrap().encode(), text);
        }
    }

    #[test]
    fn nothing_that_is_read_does_harm(parts in parts(), changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        for message in messages(&parts) {
            let mut text = message.encode();
            for (at, byte) in &changes {
                let at = usize::from(*at) % text.len();
                text[at] = *byte;
            }
            match Message::parse(&text) {
                // What could be read can be written, and is what it was.
                Ok(read) => {
                    let again = read.encode();
                    prop_assert!(matches!(read.body, Body::Query(_)) || again.len() <= MAX_RESPONSE);
                    prop_assert!(Message::parse(&again).is_ok());
                }
                Err(refused) => prop_assert!(refused.answer().is_none_or(|answer| answer.encode().len() <= MAX_RESPONSE)),
            }
        }
    }
}
