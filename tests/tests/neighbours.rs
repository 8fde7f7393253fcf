//! Peers that find each other without a tracker: by other peers (BEP 11) on the local network (BEP 14) and by the DHT (BEP 5); private torrents
//! (BEP 27) do not. And a seed that has lost a piece says so (BEP 54).

use parcacik_core::border::{Config, InfoHash, Source};
use parcacik_core::torrent::TorrentView;
use parcacik_testkit::oracles::{Oracle, Oracles};
use parcacik_testkit::{Content, Limits, NodeId, Stuck, World};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn wait(world: &mut World, done: impl Fn(&World) -> bool) {
    world.run_until(done).unwrap_or_else(|stuck: Stuck| panic!("{stuck}"));
}

/// A network without a tracker, with all oracles, where a download takes minutes.
fn slow(seed: u8) -> World {
    let mut world = World::with(seed, Limits { upload: 20_000, ..Limits::default() }, Config::default());
    world.set_tracker(false);
    world.watch(Oracles::default());
    world
}

fn view(world: &World, node: NodeId, content: &Content) -> TorrentView {
    world.view(node, content).expect("it is there")
}

fn judged(world: &mut World, oracle: Oracle) -> u64 {
    world.end_watch();
    world.watcher::<Oracles>().expect("they look on").tally().of(oracle)
}

/// Three who know only the first: a seed, and two leeches.
fn three(world: &mut World, content: &Content) -> [NodeId; 3] {
    let nodes = [(); 3].map(|()| world.add_node());
    world.seed(nodes[0], content, &[]);
    let at = world.address(nodes[0]);
    nodes[1..].iter().for_each(|&leech| world.download(leech, content, &[at]));
    nodes
}

#[test]
fn a_third_peer_is_introduced_by_peer_exchange() {
    let content = Content::new("third.bin", 2_000_000, 16_384, 61);
    let mut world = slow(61);
    let [_, a, b] = three(&mut world, &content);
    wait(&mut world, |world| [a, b].iter().all(|&leech| view(world, leech, &content).peers == 2));
    assert!(world.now().since(parcacik_core::time::Time::ZERO) < MINUTE, "the first message does not wait for long");
    let named = [a, b].map(|leech| view(&world, leech, &content).sources.connected(Source::Pex));
    assert!(named.iter().sum::<u32>() >= 1, "{named:?}");
    wait(&mut world, |world| [a, b].iter().all(|&leech| world.is_finished(leech, &content)));
    assert!(judged(&mut world, Oracle::PexModest) > 0);
}

#[test]
fn peers_of_a_private_torrent_are_not_introduced() {
    let content = Content::new("alone.bin", 2_000_000, 16_384, 62).into_private();
    let mut world = slow(62);
    let [_, a, b] = three(&mut world, &content);
    world.run_for(3 * MINUTE);
    for leech in [a, b] {
        let view = view(&world, leech, &content);
        assert_eq!((view.peers, view.known_peers, view.sources.known(Source::Pex)), (1, 1, 0));
    }
    assert_eq!(judged(&mut world, Oracle::PexModest), 0);
    assert!(world.watcher::<Oracles>().unwrap().tally().of(Oracle::PrivateApart) > 0);
}

#[test]
fn neighbours_find_each_other() {
    let content = Content::new("near.bin", 300_000, 16_384, 63);
    let mut world = slow(63);
    world.set_lan(true);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    world.download(leech, &content, &[]);
    wait(&mut world, |world| world.is_finished(leech, &content));
    let found = [seed, leech].map(|node| view(&world, node, &content).sources.known(Source::Lsd));
    assert!(found.iter().sum::<u32>() >= 1, "{found:?}");
    assert!(judged(&mut world, Oracle::PrivateApart) > 0, "announces are looked at");
}

#[test]
fn a_private_torrent_is_not_told_to_neighbours() {
    let private = Content::new("mine.bin", 300_000, 16_384, 64).into_private();
    let public = Content::new("ours.bin", 300_000, 16_384, 65);
    let mut world = slow(64);
    world.set_lan(true);
    let (seed, leech) = (world.add_node(), world.add_node());
    for content in [&private, &public] {
        world.seed(seed, content, &[]);
        world.download(leech, content, &[]);
    }
    wait(&mut world, |world| world.is_finished(leech, &public));
    world.run_for(20 * MINUTE);
    for node in [seed, leech] {
        assert_eq!(view(&world, node, &private).known_peers, 0);
    }
    assert!(judged(&mut world, Oracle::PrivateApart) > 0);
}

/// A world whose nodes take part in the DHT. All are in one network there.
fn with_dht(seed: u8) -> World {
    let mut config = Config::default();
    let dht = &mut config.dht;
    (dht.max_per_network_bucket, dht.max_per_network, dht.max_asked_per_network) = (64, 64, 64);
    let mut world = World::with(seed, Limits { upload: 200_000, ..Limits::default() }, config);
    world.set_tracker(false);
    world.set_dht(true);
    world.watch(Oracles::default());
    world
}

#[test]
fn a_magnet_is_had_by_the_dht_alone() {
    let content = Content::new("far.bin", 300_000, 16_384, 68);
    let mut world = with_dht(68);
    let nodes = [(); 6].map(|()| world.add_node());
    world.seed(nodes[1], &content, &[]);
    world.run_for(Duration::from_secs(10));
    for leech in [nodes[3], nodes[5]] {
        world.magnet(leech, &content, &[]);
    }
    wait(&mut world, |world| [nodes[3], nodes[5]].iter().all(|&leech| world.is_finished(leech, &content)));
    assert!(world.now().since(parcacik_core::time::Time::ZERO) < 2 * MINUTE, "{:?}", world.now());
    for leech in [nodes[3], nodes[5]] {
        assert!(view(&world, leech, &content).sources.known(Source::Dht) >= 1);
    }
    assert!(judged(&mut world, Oracle::PrivateApart) > 0, "what is said to nodes is looked at");
}

#[test]
fn a_node_that_was_there_before_comes_back_without_anybody_to_begin_with() {
    let content = Content::new("again.bin", 300_000, 16_384, 69);
    let mut world = with_dht(69);
    let nodes = [(); 4].map(|()| world.add_node());
    world.seed(nodes[1], &content, &[]);
    // What it knows is saved by then.
    world.run_for(6 * MINUTE);
    world.crash(nodes[3]);
    world.crash(nodes[0]);
    world.restart(nodes[3]);
    world.download(nodes[3], &content, &[]);
    wait(&mut world, |world| world.is_finished(nodes[3], &content));
}

#[test]
fn a_private_torrent_is_not_told_to_the_dht() {
    let private = Content::new("mine.bin", 300_000, 16_384, 70).into_private();
    let public = Content::new("ours.bin", 300_000, 16_384, 71);
    let mut world = with_dht(70);
    let nodes = [(); 4].map(|()| world.add_node());
    for content in [&private, &public] {
        world.seed(nodes[1], content, &[]);
        world.download(nodes[2], content, &[]);
    }
    wait(&mut world, |world| world.is_finished(nodes[2], &public));
    world.run_for(40 * MINUTE);
    for node in &nodes[1..3] {
        assert_eq!(view(&world, *node, &private).known_peers, 0);
    }
    assert!(judged(&mut world, Oracle::PrivateApart) > 100);
}

#[test]
fn a_seed_that_has_lost_pieces_takes_them_back() {
    let content = Content::new("loses.bin", 2_000_000, 16_384, 67);
    let mut world = slow(67);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    wait(&mut world, |world| view(world, leech, &content).pieces.count() > 4);
    let last = content.pieces() - 1;
    let seen = |world: &World| {
        let torrent = world.session(leech).find(InfoHash(content.info_hash)).expect("it is there");
        let torrent = world.session(leech).torrent(torrent).expect("it is there");
        let peers = torrent.peer_list(world.now());
        peers.first().map(|peer| (peers.len(), peer.pieces))
    };
    assert_eq!(seen(&world), Some((1, content.pieces())));
    let kept = 16_384 * last as usize;
    world.disk(seed).truncate("loses.bin", kept);
    // It finds out when it is asked for what is gone, and says so on the connection that there is.
    wait(&mut world, |world| seen(world).is_some_and(|(_, pieces)| pieces < content.pieces()));
    assert_eq!(seen(&world), Some((1, content.pieces() - 1)));
    world.run_for(10 * MINUTE);
    let view = view(&world, leech, &content);
    assert_eq!((view.pieces.count(), view.pieces.get(last)), (last, false), "all else comes");
}
