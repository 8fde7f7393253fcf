//! Networks of DHT nodes in virtual time. The whole size is `cargo run --release -p parcacik-testkit --bin dht`.

use parcacik_core::border::{Config, InfoHash, Target};
use parcacik_core::dht::krpc::{Contact, Message, Method};
use parcacik_core::dht::node::{Announce, NodeSaid, Outcome, PeerWish, TaskId};
use parcacik_core::dht::table::saved::Saved;
use parcacik_core::dht::{ImmutableItem, Item, MutableItem, NodeId, SecretKey};
use parcacik_core::time::Time;
use parcacik_testkit::WorldSeed;
use parcacik_testkit::dht::{Experiment, Host, HostId, Measured, Net, Real};
use parcacik_testkit::oracles::Oracle;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The goals of the large network hold in a small one too.
#[test]
fn peers_are_found_quickly_among_dead_and_hostile_nodes() {
    let report = Experiment::small().run().unwrap();
    let shown = report.to_string();
    let (ours, plain) = (&report.ours, &report.plain);
    assert!(ours.len() >= 30, "{shown}");
    assert!(Measured::first_at(ours, 500) < Duration::from_millis(200), "{shown}");
    assert!(Measured::first_at(ours, 990) < Duration::from_secs(1), "{shown}");
    assert!(Measured::found_of_thousand(ours) >= 990, "{shown}");
    assert!(Measured::first_at(ours, 500) * 2 <= Measured::first_at(plain, 500), "{shown}");
    assert!(report.plot("test").ends_with("</svg>\n"));
}

#[test]
fn the_same_seed_gives_the_same_network() {
    let run = || {
        let experiment = Experiment { targets: 2, settle: Duration::from_secs(60), ..Experiment::small() };
        experiment.run().unwrap().to_string()
    };
    assert_eq!(run(), run());
}

/// Nodes of the core only, all of which begin with the first.
struct Village {
    net: Net,
    ids: Vec<HostId>,
}

impl Village {
    fn new(count: u8) -> Village {
        let seed = WorldSeed::from(5);
        let mut net = Net::new(seed);
        net.watch();
        let config = Arc::new(Config::default());
        let mut rng = seed.rng("village");
        let mut ids = Vec::new();
        let first = SocketAddr::from(([40, 0, 0, 1], 6881));
        for n in 0..count {
            let addr = SocketAddr::from(([40, n, 0, 1], 6881));
            let id = NodeId::for_address(addr.ip(), n, &mut rng);
            let saved = Some(Saved { id, v6: false, nodes: Vec::new() });
            let real = Real::new(net.now(), seed, &format!("village/{n}"), addr, Arc::clone(&config), saved);
            ids.push(net.add(addr, Host::Real(Box::new(real))));
        }
        for id in &ids {
            net.call(*id, |node, cx| node.bootstrap(cx, [Target::Addr(first)])).unwrap();
        }
        let mut village = Village { net, ids };
        village.pass(Duration::from_secs(120));
        village
    }

    fn pass(&mut self, span: Duration) {
        let until = self.net.now() + span;
        self.net.run(until, |_| false).unwrap();
    }

    fn ended(&mut self, id: HostId, task: TaskId) -> Outcome {
        let until = self.net.now() + Duration::from_secs(30);
        let find = |net: &mut Net| {
            net.real(id).said.iter().find_map(|(_, said)| match said {
                NodeSaid::Ended { task: ended, outcome } if *ended == task => Some(outcome.clone()),
                _ => None,
            })
        };
        self.net.run(until, |net| find(net).is_some()).unwrap();
        find(&mut self.net).expect("it ends")
    }

    fn items(&mut self, id: HostId) -> Vec<Item> {
        let said = self.net.real(id).said.iter();
        said.filter_map(|(_, said)| match said {
            NodeSaid::Item { item, .. } => Some(item.clone()),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn a_network_of_our_own_keeps_to_the_rules() {
    let mut village = Village::new(40);
    for id in village.ids.clone() {
        let contacts = village.net.real(id).node.table().len();
        assert!(contacts >= 30, "host {id} knows {contacts}");
    }
    let hash = InfoHash([0xb7; 20]);
    for place in 1..6 {
        let id = village.ids[place];
        let announce = Announce { port: Some(7000), seed: id.is_multiple_of(2) };
        let task = village.net.call(id, |node, cx| node.announce(cx, hash, announce, PeerWish::default())).unwrap();
        let outcome = village.ended(id, task);
        assert!(outcome.stored >= 6, "{outcome:?}");
    }
    // Peers, and how many there are.
    let seeker = village.ids[20];
    let wish = PeerWish { no_seed: false, scrape: true };
    let task = village.net.call(seeker, |node, cx| node.find_peers(cx, hash, wish)).unwrap();
    let outcome = village.ended(seeker, task);
    assert_eq!(outcome.scrape, Some((2, 3)));
    let mut peers: Vec<SocketAddr> = Vec::new();
    for (_, said) in &village.net.real(seeker).said {
        if let NodeSaid::Peers { peers: named, .. } = said {
            peers.extend(named);
        }
    }
    peers.sort();
    let there: Vec<SocketAddr> = (1..6u8).map(|n| SocketAddr::from(([40, n, 0, 1], 7000))).collect();
    assert_eq!(peers, there);
    // What is stored can be sampled.
    let task = village.net.call(seeker, |node, cx| node.crawl(cx, 100)).unwrap();
    let outcome = village.ended(seeker, task);
    assert!(outcome.answers >= 30, "{outcome:?}");
    let sampled = village
        .net
        .real(seeker)
        .said
        .iter()
        .any(|(_, said)| matches!(said, NodeSaid::Samples { samples, .. } if samples.contains(&hash)));
    assert!(sampled);
    let tally = village.net.judge().unwrap().tally();
    for oracle in [Oracle::QueuesBounded, Oracle::DatagramsModest, Oracle::DhtPolite] {
        assert!(tally.of(oracle) > 100, "{oracle}: {}", tally.of(oracle));
    }
}

#[test]
fn items_are_put_replaced_and_compared() {
    let mut village = Village::new(24);
    let (writer, reader) = (village.ids[3], village.ids[17]);
    let plain = ImmutableItem::new(b"11:hello world".to_vec()).unwrap();
    let target = plain.target();
    let task = village.net.call(writer, |node, cx| node.put(cx, Item::Immutable(plain.clone()), None)).unwrap();
    assert!(village.ended(writer, task).stored >= 6);
    let task = village.net.call(reader, |node, cx| node.get(cx, target, Vec::new(), None)).unwrap();
    village.ended(reader, task);
    assert_eq!(village.items(reader), [Item::Immutable(plain)]);
    let secret = SecretKey::from_seed(&[5; 32]);
    let version = |seq: i64, text: &[u8]| MutableItem::sign(&secret, b"salt".to_vec(), seq, text.to_vec()).unwrap();
    let target = version(1, b"1:a").target();
    let mut put = |item: MutableItem, cas| {
        let task = village.net.call(writer, |node, cx| node.put(cx, Item::Mutable(item), cas)).unwrap();
        let outcome = village.ended(writer, task);
        // Five answers a second is what a node gives to one asker.
        village.pass(Duration::from_secs(2));
        outcome
    };
    assert!(put(version(1, b"1:a"), None).stored >= 6);
    assert!(put(version(2, b"1:b"), Some(1)).stored >= 6);
    let outcome = put(version(3, b"1:c"), Some(1));
    assert!(outcome.refused.len() >= 6 && outcome.stored <= 2, "{outcome:?}");
    village.net.real(reader).said.clear();
    let task = village.net.call(reader, |node, cx| node.get(cx, target, b"salt".to_vec(), None)).unwrap();
    village.ended(reader, task);
    let newest = village.items(reader).pop().expect("it is found");
    assert!(newest.seq() >= Some(2), "{newest:?}");
}

/// BEP 44: what nobody puts again is forgotten after two hours.
#[test]
fn an_item_that_is_kept_is_still_there_and_one_that_was_put_once_is_not() {
    let mut village = Village::new(8);
    let (writer, reader) = (village.ids[3], village.ids[7]);
    let item = |text: &[u8]| Item::Immutable(ImmutableItem::new(text.to_vec()).unwrap());
    let (kept, once) = (item(b"4:kept"), item(b"4:once"));
    let task = village.net.call(writer, |node, cx| node.keep_put(cx, kept.clone(), None)).unwrap().unwrap();
    assert!(village.ended(writer, task).stored >= 6);
    // Everybody is asked each time, and gives one address five answers a second.
    village.pass(Duration::from_secs(5));
    let task = village.net.call(writer, |node, cx| node.put(cx, once.clone(), None)).unwrap();
    assert!(village.ended(writer, task).stored >= 6);
    let get = |village: &mut Village, item: &Item| {
        let task = village.net.call(reader, |node, cx| node.get(cx, item.target(), Vec::new(), None)).unwrap();
        village.ended(reader, task);
        village.items(reader).contains(item)
    };
    village.pass(Duration::from_secs(8_000));
    assert!(!get(&mut village, &once));
    assert!(get(&mut village, &kept));
    // Until it is let go.
    village.net.call(writer, |node, _| node.forget_put(kept.target())).unwrap();
    village.net.real(reader).said.clear();
    village.pass(Duration::from_secs(8_000));
    assert!(!get(&mut village, &kept));
}

/// A flood, also under the address of somebody else, and an announce with another's token.
#[test]
fn who_floods_a_node_is_ignored() {
    let mut village = Village::new(12);
    let victim = village.net.real(village.ids[0]).addr;
    let flooder = SocketAddr::from(([70, 0, 0, 1], 1234));
    let ping = Message::query(b"xx", NodeId([3; 20]), Method::Ping).encode();
    for _ in 0..40 {
        for _ in 0..20 {
            village.net.inject(flooder, victim, ping.clone());
        }
        village.pass(Duration::from_millis(500));
    }
    let stats = village.net.real(village.ids[0]).node.view(Time::ZERO, &Config::default().dht).stats;
    assert!(stats.ignored >= 600, "{stats:?}");
    // It says nothing for five minutes, and then it does again.
    village.pass(Duration::from_secs(320));
    let before = village.net.real(village.ids[0]).node.view(Time::ZERO, &Config::default().dht).stats.replies;
    village.net.inject(flooder, victim, ping.clone());
    village.net.inject(flooder, victim, ping);
    village.pass(Duration::from_secs(1));
    let after = village.net.real(village.ids[0]).node.view(Time::ZERO, &Config::default().dht).stats.replies;
    assert!(after > before);
    assert!(village.net.judge().unwrap().tally().of(Oracle::DhtLimits) > 0);
}

/// The judge is not blind: what it is there for, it sees.
#[test]
fn the_judge_sees_a_node_that_breaks_the_rules() {
    let mut config = Config::default();
    config.dht.replies_per_second = 15;
    config.dht.block_after = 60_000;
    let seed = WorldSeed::from(6);
    let mut net = Net::new(seed);
    net.watch();
    let addr = SocketAddr::from(([40, 0, 0, 1], 6881));
    let real = Real::new(net.now(), seed, "lax", addr, Arc::new(config), None);
    net.add(addr, Host::Real(Box::new(real)));
    let ping = Message::query(b"xx", NodeId([3; 20]), Method::Ping).encode();
    for _ in 0..40 {
        net.inject(SocketAddr::from(([70, 0, 0, 1], 1234)), addr, ping.clone());
    }
    let breach = net.run(Time::from_secs(10), |_| false).unwrap_err();
    assert!(breach.to_string().contains("answers to 70.0.0.1 within a second"), "{breach}");
}

/// What a node with a full table takes, stores apart. The number stands in the manual of the node.
#[test]
fn a_full_table_takes_little_memory() {
    let seed = WorldSeed::from(7);
    let mut net = Net::new(seed);
    let addr = SocketAddr::from(([40, 0, 0, 1], 6881));
    let real = Real::new(net.now(), seed, "full", addr, Arc::new(Config::default()), None);
    let id = net.add(addr, Host::Real(Box::new(real)));
    let mut rng = seed.rng("full");
    // Everybody who is asked is there. Ids are drawn until the table takes no more.
    for n in 0..6000u32 {
        let place = SocketAddr::from(((0x3c00_0000u32 + n * 256).to_be_bytes(), 6881));
        let me = Contact { id: NodeId::for_address(place.ip(), n as u8, &mut rng), addr: place };
        net.add(place, Host::Light(Box::new(parcacik_testkit::dht::Light::new(me, None))));
        if n % 40 == 0 {
            let until = net.now() + Duration::from_secs(5);
            net.run(until, |_| false).unwrap();
        }
        net.call(id, |node, cx| node.add_node(cx, place)).unwrap();
    }
    let until = net.now() + Duration::from_secs(60);
    net.run(until, |_| false).unwrap();
    let real = net.real(id);
    let view = real.node.view(until, &real.config.dht);
    assert!(view.contacts >= 250 && view.waiting >= 200, "{view:?}");
    let mut copy = None;
    let taken = allocation_counter::measure(|| copy = Some(real.node.clone()));
    let bytes = taken.bytes_current + i64::try_from(size_of_val(&real.node)).unwrap();
    println!("{} contacts, {} waiting: {bytes} bytes", view.contacts, view.waiting);
    assert!(bytes < 200_000, "{bytes}");
}
