//! Messages of the DHT: what is read is written as what reads the same, within the sizes that are promised; and what is stored of queries
//! keeps to the limits of the stores.

use parcacik_core::dht::krpc::{
    Body, ErrorCode, MAX_NODES, MAX_RESPONSE, MAX_SAMPLES, MAX_TOKEN, MAX_TRANSACTION, MAX_VALUE, MAX_VALUES, Message,
    Method, Response, Role,
};
use parcacik_core::dht::{Item, ItemLimits, ItemStore, NodeId, PeerLimits, PeerStore};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use std::net::{IpAddr, SocketAddr};

/// One input.
pub fn run(input: &[u8]) {
    match Message::parse(input) {
        Ok(message) => read(&message),
        Err(refused) => {
            let Some(answer) = refused.answer() else { return };
            assert_eq!(refused.role, Some(Role::Query), "answers are not answered");
            let text = answer.encode();
            assert!(text.len() <= 100 && Message::parse(&text) == Ok(answer), "{refused:?}");
        }
    }
}

fn read(message: &Message<'_>) {
    assert!(message.transaction.len() <= MAX_TRANSACTION);
    let text = message.encode();
    let again = Message::parse(&text).expect("our own messages are good");
    match &message.body {
        // Of a response, what does not fit is left out, and what could not be read is not written.
        Body::Response(response) => {
            assert!(text.len() <= MAX_RESPONSE, "{} bytes", text.len());
            let Body::Response(read) = &again.body else { panic!("it was a response") };
            assert_eq!((read.id, &read.faults), (response.id, &Vec::new()));
            limits(response);
        }
        _ => assert_eq!(&again, message),
    }
    // A second time nothing is lost any more.
    assert_eq!(again.encode(), text);
    if let Body::Query(query) = &message.body {
        serve(query.id, &query.method);
    }
}

fn limits(response: &Response<'_>) {
    let length = |nodes: &Option<Vec<_>>| nodes.as_ref().map_or(0, Vec::len);
    assert!(length(&response.nodes) <= MAX_NODES && length(&response.nodes6) <= MAX_NODES);
    assert!(response.nodes.iter().flatten().all(|node| node.addr.is_ipv4() && node.addr.port() != 0));
    assert!(response.nodes6.iter().flatten().all(|node| node.addr.is_ipv6() && node.addr.port() != 0));
    assert!(response.values.as_ref().map_or(0, Vec::len) <= MAX_VALUES);
    assert!(response.values.iter().flatten().all(|peer| peer.port() != 0));
    assert!(response.samples.as_ref().map_or(0, Vec::len) <= MAX_SAMPLES);
    assert!(response.token.is_none_or(|token| token.len() <= MAX_TOKEN));
    assert!(response.value.is_none_or(|value| value.len() <= MAX_VALUE));
    // An item is what was asked for or an error, never something else.
    if let Some(key) = response.key {
        let target = parcacik_core::dht::item::mutable_target(key, b"");
        if let Ok(Some(item)) = Item::from_response(target, b"", response) {
            assert_eq!(item.target(), target);
        }
    }
}

/// What a node would store, in stores that hold one thing each.
fn serve(id: NodeId, method: &Method<'_>) {
    let (now, from) = (Time::ZERO, SocketAddr::from(([192, 0, 2, 1], 6881)));
    match method {
        Method::AnnouncePeer { info_hash, port, implied_port, seed, .. } => {
            assert!(*port != 0 || *implied_port);
            let mut store = PeerStore::new(PeerLimits { torrents: 1, peers: 1, ..PeerLimits::default() });
            let peer = SocketAddr::new(from.ip(), if *implied_port { from.port() } else { *port });
            assert!(store.announce(now, id, *info_hash, peer, *seed));
            let mut rng = Seeds::for_tests(1).decisions(Stream::Dht, 0);
            assert_eq!(store.draw(now, *info_hash, false, *seed, 9, &mut rng).len(), usize::from(!*seed));
            assert_eq!(store.draw(now, *info_hash, false, false, 9, &mut rng), [peer]);
        }
        Method::Put { value, signed, .. } => {
            let mut store = ItemStore::new(ItemLimits { items: 1, ..ItemLimits::default() });
            let target = ItemStore::target_of(value, signed.as_ref());
            let put = |store: &mut ItemStore, ip: [u8; 4]| store.put(now, id, IpAddr::from(ip), value, signed.as_ref());
            match put(&mut store, [192, 0, 2, 1]) {
                Ok(()) => {
                    assert_eq!(store.get(now, target).map(Item::value), Some(*value));
                    let again = put(&mut store, [192, 0, 2, 2]);
                    let other = signed.as_ref().is_some_and(|signed| signed.cas.is_some_and(|cas| cas != signed.seq));
                    assert_eq!(again, if other { Err(ErrorCode::CAS_MISMATCH) } else { Ok(()) });
                }
                Err(code) => assert!(signed.is_some() && code == ErrorCode::BAD_SIGNATURE && store.is_empty()),
            }
        }
        _ => {}
    }
}
