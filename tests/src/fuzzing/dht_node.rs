//! A node of the DHT among honest, hostile and dead ones, with any datagrams, wishes and time.
//!
//! What must hold is what the [`Judge`](crate::dht::Judge) of a network says at every call, and that every task ends.

use super::operations;
use crate::WorldSeed;
use crate::dht::{Host, Light, Net, Real, Trick};
use arbitrary::Arbitrary;
use parcacik_core::border::{Config, InfoHash, Target};
use parcacik_core::dht::krpc::{Contact, Message, Method};
use parcacik_core::dht::node::{Announce, PeerWish};
use parcacik_core::dht::{ImmutableItem, Item, NodeId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Arbitrary, Debug)]
enum Op {
    /// Any bytes from somebody.
    Noise {
        from: u8,
        bytes: Vec<u8>,
    },
    /// A query from somebody who may be in the network.
    Query {
        from: u8,
        id: u8,
        method: u8,
        key: u8,
        token: Vec<u8>,
        read_only: bool,
    },
    Bootstrap(u8),
    Port(u8),
    Find(u8),
    Peers {
        key: u8,
        scrape: bool,
    },
    Announce {
        key: u8,
        port: Option<u16>,
    },
    Keep(u8),
    Forget(u8),
    Get {
        key: u8,
        seq: Option<i64>,
    },
    Put(u8),
    Ping(u8),
    Sample(u8),
    Crawl(u8),
    Cancel(u8),
    Restart,
    OwnAddress([u8; 4]),
    ReadOnly(bool),
    Flood {
        from: u8,
        count: u8,
    },
    Wait {
        tenths: u16,
    },
}

/// So many others there are: some honest, some hostile, some dead.
const OTHERS: u8 = 24;

fn place(n: u8) -> SocketAddr {
    SocketAddr::from(([50, n % (OTHERS + 8), 0, 1], 6881))
}

fn key(n: u8) -> NodeId {
    NodeId([n % 8; 20])
}

fn method(number: u8, key: NodeId, token: &[u8]) -> Method<'_> {
    match number % 7 {
        0 => Method::Ping,
        1 => Method::FindNode { target: key, want: None },
        2 => Method::GetPeers { info_hash: key.into(), want: None, no_seed: false, scrape: number > 100 },
        3 => Method::AnnouncePeer { info_hash: key.into(), port: 7, implied_port: number > 100, seed: false, token },
        4 => Method::Get { target: key, seq: None, want: None },
        5 => Method::Put { token, value: b"1:a", signed: None },
        _ => Method::SampleInfohashes { target: key, want: None },
    }
}

/// Runs one input.
///
/// # Panics
/// When something does not hold.
pub fn run(input: &[u8]) {
    let seed = WorldSeed::from(1);
    let mut net = Net::new(seed);
    net.watch();
    let mut rng = seed.rng("fuzz/dht");
    let others: Vec<Contact> =
        (0..OTHERS).map(|n| Contact { id: NodeId::for_address(place(n).ip(), n, &mut rng), addr: place(n) }).collect();
    for (n, me) in (0u8..).zip(&others) {
        let trick = (n % 5 == 4).then(|| Trick::ALL[usize::from(n / 5) % 4]);
        let mut light = Light::new(*me, trick);
        (light.known, light.friends) = (others.clone(), others.clone());
        net.add(me.addr, if n % 6 == 5 { Host::Dead } else { Host::Light(Box::new(light)) });
    }
    let addr = SocketAddr::from(([40, 0, 0, 1], 6881));
    let real = Real::new(net.now(), seed, "fuzz/node", addr, Arc::new(Config::default()), None);
    let node = net.add(addr, Host::Real(Box::new(real)));
    let mut tasks = Vec::new();
    for op in operations::<Op>(input, 200) {
        let done = match op {
            Op::Noise { from, bytes } => {
                net.inject(place(from), addr, bytes);
                Ok(())
            }
            Op::Query { from, id, method: number, key: about, token, read_only } => {
                let token = token.get(..8).unwrap_or(&token);
                let mut query = Message::query(b"fz", NodeId([id; 20]), method(number, key(about), token));
                query.read_only = read_only;
                net.inject(place(from), addr, query.encode());
                Ok(())
            }
            Op::Bootstrap(n) => net.call(node, |node, cx| node.bootstrap(cx, [Target::Addr(place(n))])),
            Op::Port(n) => net.call(node, |node, cx| node.add_node(cx, place(n))),
            Op::Find(n) => net.call(node, |node, cx| node.find_node(cx, key(n))).map(|task| tasks.push(task)),
            Op::Peers { key: n, scrape } => {
                let wish = PeerWish { no_seed: false, scrape };
                net.call(node, |node, cx| node.find_peers(cx, key(n).into(), wish)).map(|task| tasks.push(task))
            }
            Op::Announce { key: n, port } => {
                let announce = Announce { port, seed: false };
                let act = net.call(node, |node, cx| node.announce(cx, key(n).into(), announce, PeerWish::default()));
                act.map(|task| tasks.push(task))
            }
            Op::Keep(n) => {
                let announce = Announce { port: Some(7), seed: true };
                net.call(node, |node, cx| node.keep_announced(cx, key(n).into(), announce)).map(|_| ())
            }
            Op::Forget(n) => net.call(node, |node, _| node.forget_announce(key(n).into())),
            Op::Get { key: n, seq } => {
                net.call(node, |node, cx| node.get(cx, key(n), Vec::new(), seq)).map(|task| tasks.push(task))
            }
            Op::Put(n) => {
                let item = ImmutableItem::new(format!("i{n}e").into_bytes()).expect("an integer");
                net.call(node, |node, cx| node.put(cx, Item::Immutable(item), None)).map(|task| tasks.push(task))
            }
            Op::Ping(n) => net.call(node, |node, cx| node.ping(cx, place(n))).map(|task| tasks.push(task)),
            Op::Sample(n) => net.call(node, |node, cx| node.sample(cx, place(n), key(n))).map(|task| tasks.push(task)),
            Op::Crawl(n) => net.call(node, |node, cx| node.crawl(cx, n.into())).map(|task| tasks.push(task)),
            Op::Cancel(n) => match tasks.get(usize::from(n) % tasks.len().max(1)).copied() {
                Some(task) => net.call(node, |node, cx| node.cancel(cx, task)),
                None => Ok(()),
            },
            Op::Restart => net.call(node, |node, cx| node.restart(cx)),
            Op::OwnAddress(ip) => net.tell_address(node, ip.into()),
            Op::ReadOnly(on) => net.call(node, |node, _| node.set_read_only(on)),
            Op::Flood { from, count } => {
                let ping = Message::query(b"fl", NodeId([9; 20]), Method::Ping).encode();
                (0..count).for_each(|_| net.inject(place(from), addr, ping.clone()));
                Ok(())
            }
            Op::Wait { tenths } => {
                let until = net.now() + Duration::from_millis(u64::from(tenths) * 100);
                net.run(until, |_| false)
            }
        };
        done.unwrap_or_else(|breach| panic!("{breach}"));
    }
    // Everything that was begun ends.
    for n in 0..8 {
        net.call(node, |node, _| node.forget_announce(InfoHash(key(n).0))).expect("it forgets");
    }
    let until = net.now() + Duration::from_secs(600);
    let tasks = |net: &mut Net| net.real(node).node.view(until, &Config::default().dht).tasks;
    net.run(until, |net| tasks(net) == 0).unwrap_or_else(|breach| panic!("{breach}"));
    assert_eq!(tasks(&mut net), 0, "{:?}", net.real(node).node.view(until, &Config::default().dht));
}
