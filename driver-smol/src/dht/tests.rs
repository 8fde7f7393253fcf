//! Nodes on loopback.

use super::*;
use futures_lite::FutureExt;
use futures_lite::future::block_on;
use parcacik_core::dht::ImmutableItem;
use parcacik_core::dht::node::{NodeSaid, Outcome};
use std::future::Future;
use std::time::Duration;

/// How long anything may take. A loaded machine is slow.
const LIMIT: Duration = Duration::from_secs(60);

fn within<T>(what: impl Future<Output = T>) -> T {
    let limit = async {
        async_io::Timer::after(LIMIT).await;
        panic!("it takes too long")
    };
    block_on(what.or(limit))
}

fn start(ip: &str, more: DhtOptions) -> DhtClient {
    let listen = vec![SocketAddr::new(ip.parse().unwrap(), 0)];
    DhtClient::start(DhtOptions { listen, ..more }).unwrap()
}

/// The options of who begins with that one.
fn with(first: &DhtClient) -> DhtOptions {
    DhtOptions { bootstrap: vec![Target::Addr(first.local_addrs()[0])], ..DhtOptions::default() }
}

/// Waits until a node has so many contacts. It says nothing of them by itself.
fn knows(client: &DhtClient, contacts: usize) {
    within(async {
        while client.views().await.unwrap()[0].contacts < contacts {
            async_io::Timer::after(Duration::from_millis(10)).await;
        }
    });
}

fn outcome(task: DhtTask) -> Outcome {
    let mut outcomes = within(task.outcomes(|_| {}));
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[test]
fn nodes_find_each_other_and_what_they_store() {
    let first = start("127.0.0.1", DhtOptions::default());
    let others: Vec<DhtClient> = (2..6).map(|n| start(&format!("127.0.0.{n}"), with(&first))).collect();
    knows(&first, others.len());
    for other in &others {
        knows(other, 3);
    }
    let (writer, reader) = (&others[0], &others[3]);
    let item = Item::Immutable(ImmutableItem::new(b"4:item".to_vec()).unwrap());
    assert!(outcome(writer.put(item.clone(), None)).stored >= 2);
    let mut found = Vec::new();
    within(reader.get(item.target(), Vec::new(), None).outcomes(|said| found.push(said)));
    assert!(matches!(&found[..], [NodeSaid::Item { item: got, .. }] if *got == item), "{found:?}");
    let announce = Announce { port: Some(7000), seed: false };
    let hash = InfoHash([9; 20]);
    assert!(outcome(writer.announce(hash, announce, PeerWish::default())).stored >= 2);
    let mut peers = Vec::new();
    within(reader.find_peers(hash, PeerWish::default()).outcomes(|said| match said {
        NodeSaid::Peers { peers: named, .. } => peers.extend(named),
        other => panic!("{other:?}"),
    }));
    assert_eq!(peers, [SocketAddr::new(writer.local_addrs()[0].ip(), 7000)]);
    // By somebody who has not asked yet: a node answers so many times a second.
    let pinged = outcome(others[1].ping(first.local_addrs()[0]));
    assert_eq!(pinged.closest[0].id, within(first.views()).unwrap()[0].id);
    assert!(pinged.rtt.is_some() && pinged.version.is_some());
}

/// BEP 32: who knows a node of IPv4 only hears from it of nodes of IPv6.
#[test]
fn a_node_of_one_family_leads_to_the_other() {
    let both = |bootstrap: Vec<Target>| {
        let listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        DhtClient::start(DhtOptions { listen, bootstrap, ..DhtOptions::default() }).unwrap()
    };
    let first = both(Vec::new());
    let second = both(first.local_addrs().iter().map(|addr| Target::Addr(*addr)).collect());
    let knows = |client: &DhtClient, place: usize, addr: SocketAddr| {
        within(async {
            while !client.saved().await.unwrap()[place].nodes.iter().any(|(_, at)| *at == addr) {
                async_io::Timer::after(Duration::from_millis(10)).await;
            }
        });
    };
    knows(&first, 1, second.local_addrs()[1]);
    let third = both(vec![Target::Addr(first.local_addrs()[0])]);
    knows(&third, 1, second.local_addrs()[1]);
    // A wish is for both.
    let item = Item::Immutable(ImmutableItem::new(b"4:both".to_vec()).unwrap());
    let outcomes = within(second.put(item.clone(), None).outcomes(|_| {}));
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|outcome| outcome.stored > 0), "{outcomes:?}");
}

#[test]
fn a_ping_of_the_other_family_is_over_at_once() {
    let client = start("127.0.0.1", DhtOptions::default());
    assert_eq!(within(client.ping("[::1]:6881".parse().unwrap()).outcomes(|_| {})), []);
}

#[test]
fn a_client_that_has_ended_says_so_and_its_tasks_end() {
    let client = start("127.0.0.1", DhtOptions::default());
    let task = client.find_node(NodeId([1; 20]));
    let orders = client.orders.clone();
    within(client.shutdown()).unwrap();
    assert!(orders.is_closed());
    assert_eq!(within(task.outcomes(|_| {})), []);
}

#[test]
fn what_was_kept_is_where_the_next_one_begins() {
    let first = start("127.0.0.1", DhtOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let state_dir = Some(dir.path().join("state"));
    let kept = start("127.0.0.2", DhtOptions { state_dir: state_dir.clone(), ..with(&first) });
    assert!(kept.keeps_state());
    within(kept.ready()).unwrap();
    let id = within(kept.views()).unwrap()[0].id;
    within(kept.shutdown()).unwrap();
    // Told of nobody.
    let again = start("127.0.0.2", DhtOptions { state_dir: state_dir.clone(), ..DhtOptions::default() });
    assert_eq!(within(again.views()).unwrap()[0].id, id);
    within(again.ready()).unwrap();
    assert_eq!(within(again.saved()).unwrap()[0].nodes[0].1, first.local_addrs()[0]);
    // A second one at the same time learns from it, and is somebody else.
    let second = start("127.0.0.3", DhtOptions { state_dir, ..DhtOptions::default() });
    assert!(!second.keeps_state());
    within(second.ready()).unwrap();
    assert_ne!(within(second.views()).unwrap()[0].id, id);
    let mode = std::os::unix::fs::MetadataExt::mode(&dir.path().join("state/dht-4.node").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn damaged_state_counts_as_none_and_an_older_version_does_not_take_the_place_of_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let local = ["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()];
    let state = StateFiles::open(dir.path(), &local).unwrap();
    let mut rng = Seeds::for_tests(1).secrets(Stream::Dht, 0);
    let saved = |n: u8| Saved { id: NodeId([n; 20]), v6: false, nodes: vec![(NodeId([n; 20]), local[0])] };
    let (older, newer) = (state.next_version(), state.next_version());
    state.store(newer, &[saved(1), saved(2)]).unwrap();
    state.store(older, &[saved(3), saved(4)]).unwrap();
    assert_eq!(state.load(10, &mut rng), [Some(saved(1)), Some(saved(2))]);
    // Who has learnt nothing does not forget what was known.
    let empty = Saved { nodes: Vec::new(), ..saved(5) };
    state.store(state.next_version(), &[empty]).unwrap();
    assert_eq!(state.load(10, &mut rng), [Some(saved(1)), Some(saved(2))]);
    std::fs::write(dir.path().join("dht-4.node"), b"PkDhtNod and no more").unwrap();
    assert_eq!(state.load(10, &mut rng), [None, Some(saved(2))]);
    // Who comes second has the nodes and not the id, and stores nothing.
    let other = StateFiles::open(dir.path(), &local).unwrap();
    assert!(!other.is_ours());
    let [None, Some(found)] = &other.load(10, &mut rng)[..] else { panic!("the second is there") };
    assert!(found.nodes == saved(2).nodes && found.id != saved(2).id);
    other.store(1, &[saved(6), saved(6)]).unwrap();
    assert_eq!(state.load(10, &mut rng), [None, Some(saved(2))]);
}

#[test]
fn who_can_send_nothing_is_told_at_once() {
    // No system lets anything out from loopback.
    let target = Target::Addr("10.255.255.1:6881".parse().unwrap());
    let client = start("127.0.0.1", DhtOptions { bootstrap: vec![target], ..DhtOptions::default() });
    let DhtNotice::CutOff(why) = within(client.notice()).unwrap() else { panic!("something else") };
    assert!(why.starts_with("nothing can be sent to 10.255.255.1:6881: "), "{why}");
    // Who has somebody is told nothing of those that it cannot reach.
    let first = start("127.0.0.1", DhtOptions::default());
    let bootstrap = vec!["10.255.255.1:6881".parse().map(Target::Addr).unwrap(), Target::Addr(first.local_addrs()[0])];
    let client = start("127.0.0.2", DhtOptions { bootstrap, ..DhtOptions::default() });
    assert_eq!(within(client.notice()).unwrap(), DhtNotice::Ready(client.local_addrs()[0]));
}
