use super::*;
use crate::border::{Actions, Config, DhtConfig, IpFilter, Target};
use crate::cx::IdSource;
use crate::dht::ImmutableItem;
use crate::dht::krpc::{ErrorCode, ErrorReply};
use crate::rng::Seeds;
use core::time::Duration;
use std::vec;
use std::vec::Vec;

/// A node, and what it sends.
struct Stand {
    node: Node,
    now: Time,
    config: Config,
    seeds: Seeds,
    ids: IdSource,
    filter: IpFilter,
    out: Actions,
    said: Vec<NodeSaid>,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Stand {
    fn new(config: DhtConfig) -> Stand {
        let config = Config { dht: config, ..Config::default() };
        let (seeds, mut ids, filter, mut out) =
            (Seeds::for_tests(4), IdSource::default(), IpFilter::new(), Actions::new());
        let now = Time::from_secs(100);
        let options = NodeOptions { sock: SocketId(7), v6: false, number: 0, saved: None };
        let mut cx =
            Cx { now, config: &config, filter: &filter, seeds: &seeds, out: &mut out, ids: &mut ids, owner: 0 };
        let node = Node::new(&mut cx, options);
        Stand { node, now, config, seeds, ids, filter, out, said: vec![] }
    }

    fn call<R>(&mut self, act: impl FnOnce(&mut Node, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx {
            now: self.now,
            config: &self.config,
            filter: &self.filter,
            seeds: &self.seeds,
            out: &mut self.out,
            ids: &mut self.ids,
            owner: 0,
        };
        let result = act(&mut self.node, &mut cx);
        while let Some(said) = self.node.said() {
            self.said.push(said);
        }
        result
    }

    fn hear(&mut self, from: SocketAddr, message: &Message<'_>) -> Vec<(SocketAddr, Vec<u8>)> {
        let bytes = message.encode();
        self.call(|node, cx| node.datagram(cx, None, from, &bytes));
        self.sent()
    }

    fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let sent = self.out.list.drain(..).filter_map(|action| match action {
            Action::SendDatagrams { to, bytes, sock: SocketId(7), .. } => Some((to, bytes.to_vec())),
            _ => None,
        });
        sent.collect()
    }

    fn wait(&mut self, span: Duration) -> Vec<(SocketAddr, Vec<u8>)> {
        let until = self.now + span;
        let mut sent = vec![];
        for _ in 0..10_000 {
            let Some(due) = self.node.deadline(&self.config.dht).filter(|due| *due <= until) else { break };
            assert!(due > self.now || due <= until);
            self.now = self.now.max(due);
            self.call(|node, cx| node.tick(cx));
            sent.extend(self.sent());
            self.now = Time(self.now.0 + 1);
        }
        self.now = self.now.max(until);
        sent
    }

    /// Answers queries that were sent, as nodes that are there and know nobody; each with an id that fits its address.
    fn answer(&mut self, sent: Vec<(SocketAddr, Vec<u8>)>, ip: Option<SocketAddr>) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = vec![];
        for (to, bytes) in sent {
            let message = Message::parse(&bytes).unwrap();
            if !matches!(message.body, Body::Query(_)) {
                continue;
            }
            let mut response = Response::new(id_at(to));
            response.nodes = Some(vec![]);
            response.token = Some(b"a token");
            let mut answer = Message::response(message.transaction, response);
            answer.ip = ip;
            out.extend(self.hear(to, &answer));
        }
        out
    }
}

fn id_at(addr: SocketAddr) -> NodeId {
    let mut rng = Seeds::for_tests(5).decisions(Stream::Dht, u64::from(addr.port()));
    NodeId::for_address(addr.ip(), 3, &mut rng)
}

fn query<'a>(transaction: &'a [u8], from: SocketAddr, method: Method<'a>) -> Message<'a> {
    Message::query(transaction, id_at(from), method)
}

fn only<'a>(sent: &'a [(SocketAddr, Vec<u8>)], to: SocketAddr) -> Message<'a> {
    let mut to = sent
        .iter()
        .filter(|(addr, bytes)| *addr == to && !matches!(Message::parse(bytes).unwrap().body, Body::Query(_)));
    let (_, bytes) = to.next().expect("it answers");
    assert!(to.next().is_none(), "once");
    Message::parse(bytes).unwrap()
}

const HER: &str = "50.0.0.1:6881";

#[test]
fn a_query_is_answered_with_where_its_sender_is() {
    let mut stand = Stand::new(DhtConfig::default());
    let sent = stand.hear(at(HER), &query(b"aa", at(HER), Method::Ping));
    let answer = only(&sent, at(HER));
    assert_eq!((answer.transaction, answer.ip), (&b"aa"[..], Some(at(HER))));
    assert!(matches!(answer.body, Body::Response(response) if response.id == stand.node.id()));
}

#[test]
fn unknown_methods_and_malformed_queries_are_refused_by_name() {
    let mut stand = Stand::new(DhtConfig::default());
    let strange = Method::Unknown { name: b"vote", target: None };
    let sent = stand.hear(at(HER), &query(b"aa", at(HER), strange));
    let code = |message: Message<'_>| match message.body {
        Body::Error(ErrorReply { code, .. }) => Some(code),
        _ => None,
    };
    assert_eq!(code(only(&sent, at(HER))), Some(ErrorCode::METHOD_UNKNOWN));
    stand.call(|node, cx| node.datagram(cx, None, at(HER), b"d1:ade1:q4:ping1:t2:bb1:y1:qe"));
    let sent = stand.sent();
    assert_eq!(code(only(&sent, at(HER))), Some(ErrorCode::PROTOCOL));
}

#[test]
fn nothing_is_stored_without_a_token_of_its_sender() {
    let mut stand = Stand::new(DhtConfig::default());
    let hash = InfoHash([9; 20]);
    let ask = Method::GetPeers { info_hash: hash, want: None, no_seed: false, scrape: false };
    let sent = stand.hear(at(HER), &query(b"aa", at(HER), ask.clone()));
    let Body::Response(Response { token: Some(token), values: None, .. }) = only(&sent, at(HER)).body else {
        panic!("a token, and no peers yet")
    };
    let announce = |token| Method::AnnouncePeer { info_hash: hash, port: 77, implied_port: false, seed: false, token };
    let other = at("51.0.0.1:6881");
    for (from, token) in [(other, token), (at(HER), &b"12345678"[..])] {
        let sent = stand.hear(from, &query(b"bb", from, announce(token)));
        assert!(matches!(only(&sent, from).body, Body::Error(error) if error.code == ErrorCode::PROTOCOL));
    }
    let sent = stand.hear(at(HER), &query(b"cc", at(HER), announce(token)));
    assert!(matches!(only(&sent, at(HER)).body, Body::Response(_)));
    let sent = stand.hear(other, &query(b"dd", other, ask));
    let Body::Response(response) = only(&sent, other).body else { panic!("it answers") };
    assert_eq!(response.values, Some(vec![at("50.0.0.1:77")]));
    assert_eq!(stand.node.view(stand.now, &stand.config.dht).peers, 1);
}

#[test]
fn an_answer_counts_from_the_address_that_was_asked_and_once() {
    let mut stand = Stand::new(DhtConfig::default());
    let task = stand.call(|node, cx| node.ping(cx, at(HER)));
    let sent = stand.sent();
    let transaction = Message::parse(&sent[0].1).unwrap().transaction.to_vec();
    let right = Message::response(&transaction, Response::new(id_at(at(HER))));
    // Another port, another transaction.
    stand.hear(at("50.0.0.1:6882"), &right);
    stand.hear(at(HER), &Message::response(b"abcd", Response::new(id_at(at(HER)))));
    assert_eq!((stand.node.stats.strays, stand.said.len()), (2, 0));
    stand.now = stand.now + Duration::from_millis(80);
    stand.hear(at(HER), &right);
    let ended = stand.said.iter().find_map(|said| match said {
        NodeSaid::Ended { task: ended, outcome } if *ended == task => Some(outcome.clone()),
        _ => None,
    });
    assert_eq!(ended.unwrap().rtt, Some(Duration::from_millis(80)));
    stand.hear(at(HER), &right);
    assert_eq!(stand.node.stats.strays, 3, "once");
}

/// BEP 43.
#[test]
fn read_only_nodes_answer_nothing_and_are_not_remembered() {
    let mut stand = Stand::new(DhtConfig { read_only: true, ..DhtConfig::default() });
    assert_eq!(
        stand
            .hear(at(HER), &query(b"aa", at(HER), Method::Ping))
            .iter()
            .filter(|(_, bytes)| { !matches!(Message::parse(bytes).unwrap().body, Body::Query(_)) })
            .count(),
        0
    );
    stand.call(|node, cx| node.ping(cx, at("50.0.0.2:1")));
    assert!(stand.sent().iter().all(|(_, bytes)| Message::parse(bytes).unwrap().read_only));
    let mut stand = Stand::new(DhtConfig::default());
    let mut asks = query(b"aa", at(HER), Method::Ping);
    asks.read_only = true;
    assert_eq!(stand.hear(at(HER), &asks).len(), 1, "an answer, and no question");
    assert!(stand.wait(Duration::from_secs(10)).is_empty());
    // Who is not read-only is asked back.
    let sent = stand.hear(at("50.0.0.2:1"), &query(b"aa", at("50.0.0.2:1"), Method::Ping));
    let more = stand.wait(Duration::from_secs(1));
    assert!(sent.iter().chain(&more).any(|(_, bytes)| matches!(Message::parse(bytes).unwrap().body, Body::Query(_))));
}

/// BEP 42.
#[test]
fn the_id_follows_what_three_networks_say() {
    let mut stand = Stand::new(DhtConfig::default());
    let seen = at("60.1.2.3:6881");
    let nodes: Vec<SocketAddr> = (1..=4u8).map(|n| SocketAddr::from(([50, n, 0, 1], 6881))).collect();
    let before = stand.node.id();
    for (n, node) in nodes.iter().enumerate() {
        stand.call(|node_, cx| node_.ping(cx, *node));
        let sent = stand.sent().into_iter().filter(|(to, _)| to == node).collect();
        stand.answer(sent, Some(seen));
        let follows = stand.node.id() != before;
        assert_eq!(follows, n >= 2, "after {} networks", n + 1);
    }
    assert!(stand.node.id().is_valid_for(seen.ip()));
    assert!(stand.said.iter().any(|said| matches!(said, NodeSaid::OwnAddress { ip, .. } if *ip == seen.ip())));
}

/// Offline at the start is not the end.
#[test]
fn it_tries_again_until_somebody_answers() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.call(|node, cx| node.bootstrap(cx, [Target::Addr(at(HER))]));
    let mut tries = stand.sent().len();
    assert_eq!(tries, 1);
    let wanted =
        stand.call(|node, cx| node.keep_announced(cx, InfoHash([1; 20]), Announce { port: Some(5), seed: false }));
    assert!(wanted);
    for _ in 0..24 {
        let sent = stand.wait(Duration::from_secs(300));
        assert!(sent.iter().all(|(to, _)| *to == at(HER)));
        assert!(sent.len() <= 12, "{}", sent.len());
        tries += sent.len();
    }
    assert!(tries >= 20, "{tries}");
    // The network is there now.
    let mut announced = false;
    for _ in 0..400 {
        let mut sent = stand.wait(Duration::from_secs(1));
        for _ in 0..20 {
            announced |= sent.iter().any(|(_, bytes)| {
                let query = Message::parse(bytes).unwrap().body;
                matches!(query, Body::Query(krpc) if matches!(krpc.method, Method::AnnouncePeer { .. }))
            });
            if sent.is_empty() {
                break;
            }
            sent = stand.answer(sent, None);
        }
    }
    assert!(announced);
    assert!(stand.said.contains(&NodeSaid::Ready));
    assert_eq!(stand.node.table().len(), 1);
}

/// In a small network the same few are closest to every range that is thin; once they were asked five times a second for that, all that
/// one address gets.
#[test]
fn a_contact_that_is_alone_is_not_asked_faster_than_it_would_answer() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.call(|node, cx| node.add_node(cx, at(HER)));
    let (mut sent, mut asked) = (stand.sent(), Vec::new());
    for _ in 0..1200 {
        while !sent.is_empty() {
            asked.extend(sent.iter().map(|_| stand.now));
            sent = stand.answer(sent, None);
        }
        sent = stand.wait(Duration::from_millis(100));
    }
    assert!(asked.len() >= 20, "ranges are gone through all the same: {asked:?}");
    for four in asked.windows(4) {
        assert!(four[3].since(four[0]) > Duration::from_secs(1), "{four:?}");
    }
}

#[test]
fn without_a_network_nobody_is_to_blame() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.call(|node, cx| node.add_node(cx, at(HER)));
    let sent = stand.sent();
    stand.answer(sent, None);
    assert_eq!(stand.node.table().len(), 1);
    stand.wait(Duration::from_secs(6 * 3600));
    assert!(stand.node.stats.timeouts >= 5, "{}", stand.node.stats.timeouts);
    assert_eq!(stand.node.table().contacts().map(|contact| contact.failures).max(), Some(0));
}

#[test]
fn what_was_saved_is_where_it_begins_the_next_time() {
    let mut stand = Stand::new(DhtConfig::default());
    for n in 1..=5u8 {
        stand.call(|node, cx| node.add_node(cx, SocketAddr::from(([50, n, 0, 1], 6881))));
        let sent = stand.sent();
        stand.answer(sent, None);
    }
    let saved = stand.node.save(&stand.config.dht);
    assert_eq!((saved.id, saved.nodes.len()), (stand.node.id(), 5));
    let mut next = Stand::new(DhtConfig::default());
    let options = NodeOptions { sock: SocketId(7), v6: false, number: 0, saved: Some(saved.clone()) };
    next.node = next.call(|_, cx| Node::new(cx, options));
    assert!(next.node.table().is_empty(), "nobody is trusted for having been there once");
    let asked: Vec<SocketAddr> = next.wait(Duration::from_secs(1)).into_iter().map(|(to, _)| to).collect();
    assert_eq!(next.node.id(), saved.id);
    assert!(saved.nodes.iter().all(|(_, addr)| asked.contains(addr)), "{asked:?}");
}

#[test]
fn items_come_back_only_when_they_prove_themselves() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.call(|node, cx| node.add_node(cx, at(HER)));
    let sent = stand.sent();
    let sent = stand.answer(sent, None);
    stand.answer(sent, None);
    let item = ImmutableItem::new(b"5:hello".to_vec()).unwrap();
    let target = item.target();
    let mut got = |value: &[u8]| {
        stand.said.clear();
        stand.call(|node, cx| node.get(cx, target, vec![], None));
        let sent = stand.sent();
        let (to, bytes) = sent.iter().find(|(_, bytes)| bytes.windows(5).any(|five| five == b"3:get")).unwrap();
        let message = Message::parse(bytes).unwrap();
        let mut response = Response::new(id_at(*to));
        response.value = Some(value);
        stand.hear(*to, &Message::response(message.transaction, response));
        stand.said.iter().any(|said| matches!(said, NodeSaid::Item { .. }))
    };
    assert!(got(b"5:hello"));
    assert!(!got(b"5:jello"));
}

/// Whom a query went to that was to store something, and under which transaction.
fn stores(sent: &[(SocketAddr, Vec<u8>)]) -> Vec<(SocketAddr, Vec<u8>)> {
    let stores = sent.iter().filter_map(|(to, bytes)| match Message::parse(bytes).unwrap() {
        Message { transaction, body: Body::Query(query), .. } => {
            let stores = match query.method {
                Method::AnnouncePeer { token, .. } | Method::Put { token, .. } => token == b"a token",
                _ => false,
            };
            stores.then(|| (*to, transaction.to_vec()))
        }
        _ => None,
    });
    stores.collect()
}

/// One announce in seven had missed a node, for one datagram in fifty that was lost on its way there or back.
#[test]
fn who_says_nothing_to_a_store_is_asked_once_more() {
    let item = Item::Immutable(ImmutableItem::new(b"5:hello".to_vec()).unwrap());
    let announce = Announce { port: Some(6881), seed: false };
    for (puts, answers) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut stand = Stand::new(DhtConfig::default());
        stand.call(|node, cx| node.add_node(cx, at(HER)));
        let sent = stand.sent();
        let sent = stand.answer(sent, None);
        stand.answer(sent, None);
        stand.said.clear();
        stand.call(|node, cx| match puts {
            true => node.put(cx, item.clone(), None),
            false => node.announce(cx, InfoHash([3; 20]), announce, PeerWish::default()),
        });
        let sent = stand.sent();
        let sent = stand.answer(sent, None);
        let [(to, first)] = &stores(&sent)[..] else { panic!("one node, one store") };
        assert_eq!(*to, at(HER));
        // Nothing comes back.
        let life = stand.config.dht.query_life;
        let sent = stand.wait(life);
        let again = stores(&sent);
        let [(to, second)] = &again[..] else { panic!("{again:?}") };
        assert!(*to == at(HER) && first != second, "a query of its own");
        assert!(stand.said.is_empty(), "it is not over: {:?}", stand.said);
        if answers {
            stand.hear(at(HER), &Message::response(second, Response::new(id_at(at(HER)))));
        } else {
            assert_eq!(stores(&stand.wait(life * 3)), [], "once");
        }
        let ended = stand.said.iter().find_map(|said| match said {
            NodeSaid::Ended { outcome, .. } => Some(outcome.stored),
            _ => None,
        });
        assert_eq!(ended, Some(u32::from(answers)), "{puts}");
    }
}

#[test]
fn nobody_is_asked_where_nobody_should_be() {
    let mut stand = Stand::new(DhtConfig::default());
    stand.call(|node, cx| node.add_node(cx, at(HER)));
    let sent = stand.sent();
    let (to, bytes) = &sent[0];
    let mut response = Response::new(id_at(*to));
    // This machine, a private network, another service, ourselves' other family.
    let named = ["127.0.0.1:80", "10.0.0.1:6881", "50.0.0.9:53", "224.0.0.1:6881"];
    response.nodes = Some(named.iter().map(|addr| Contact { id: NodeId([1; 20]), addr: at(addr) }).collect());
    let transaction = Message::parse(bytes).unwrap().transaction.to_vec();
    let mut sent = stand.hear(*to, &Message::response(&transaction, response));
    sent.extend(stand.wait(Duration::from_secs(30)));
    assert!(sent.iter().all(|(to, _)| *to == at(HER)), "{sent:?}");
}

/// Whatever is thrown at it: it stands, and what it holds is bounded.
#[test]
fn noise_does_it_no_harm() {
    let mut stand = Stand::new(DhtConfig { max_sources: 100, ..DhtConfig::default() });
    let mut rng = Seeds::for_tests(9).decisions(Stream::Dht, 77);
    for n in 0..5000u32 {
        let from = SocketAddr::from((rng.next_u32().to_be_bytes(), 1 + (n % 60_000) as u16));
        let mut bytes = query(b"aa", at(HER), Method::Ping).encode();
        for _ in 0..rng.below(4) {
            let place = rng.index(bytes.len());
            bytes[place] = rng.next_u32().to_be_bytes()[0];
        }
        stand.call(|node, cx| node.datagram(cx, None, from, &bytes));
        stand.now = Time(stand.now.0 + 1000);
        stand.sent();
    }
    let view = stand.node.view(stand.now, &stand.config.dht);
    assert!(view.sources <= 100 && view.contacts == 0, "{view:?}");
    assert!(view.queries <= stand.config.dht.max_queries as usize);
}
