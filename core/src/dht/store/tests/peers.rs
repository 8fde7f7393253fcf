use super::*;
use crate::border::InfoHash;
use crate::dht::store::{PeerLimits, PeerStore, SwarmCounts};
use crate::time::Time;
use core::net::SocketAddr;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

fn limits() -> PeerLimits {
    PeerLimits { torrents: 4, peers_per_torrent: 5, peers: 12, per_network: 3, ..PeerLimits::default() }
}

fn torrent(n: u8) -> InfoHash {
    key(n).into()
}

fn peer(n: u32) -> SocketAddr {
    SocketAddr::new(ip(n), 6881)
}

#[test]
fn a_peer_is_known_by_its_address_and_told_to_others() {
    let mut store = PeerStore::new(PeerLimits::default());
    let now = Time::ZERO;
    assert!(store.announce(now, OWN, torrent(1), peer(1), false));
    assert!(store.announce(now, OWN, torrent(1), SocketAddr::new(ip(1), 7000), true), "the same one at another port");
    assert!(store.announce(now, OWN, torrent(1), "[2001:db8::1]:6881".parse().unwrap(), false));
    assert!(store.announce(now, OWN, torrent(1), "[::ffff:10.0.0.2]:6881".parse().unwrap(), false));
    assert_eq!((store.torrents(), store.peers()), (1, 3));
    assert_eq!(store.counts(now, torrent(1)), SwarmCounts { seeds: 1, others: 2 });
    let draw = |v6, no_seed| {
        let mut peers = store.draw(now, torrent(1), v6, no_seed, 100, &mut rng());
        peers.sort_unstable();
        peers
    };
    assert_eq!(draw(false, false), [SocketAddr::new(ip(1), 7000), peer(2)]);
    assert_eq!(draw(false, true), [peer(2)], "without seeds");
    assert_eq!(draw(true, false), ["[2001:db8::1]:6881".parse().unwrap()]);
    assert_eq!(store.draw(now, torrent(2), false, false, 100, &mut rng()), []);
}

#[test]
fn a_peer_that_does_not_announce_again_is_forgotten() {
    let mut store = PeerStore::new(PeerLimits::default());
    let life = PeerLimits::default().life;
    assert_eq!(store.deadline(), None);
    store.announce(Time::ZERO, OWN, torrent(1), peer(1), false);
    store.announce(Time::from_secs(60), OWN, torrent(1), peer(2), false);
    store.announce(Time::from_secs(120), OWN, torrent(1), peer(1), false);
    let known = |store: &PeerStore, at| store.draw(at, torrent(1), false, false, 10, &mut rng()).len();
    let end = Time::from_secs(60) + life;
    assert_eq!(known(&store, Time(end.0 - 1)), 2);
    assert_eq!(known(&store, end), 1, "from the moment on that it expires");
    assert_eq!(store.peers(), 2, "and it is thrown out later");
    // Nothing else is needed than the calls that the store asks for.
    while let Some(at) = store.deadline() {
        assert!(at < Time::from_secs(10_000));
        store.tick(at);
    }
    assert_eq!((store.torrents(), store.peers()), (0, 0));
    assert_eq!(store.filters(Time::ZERO, torrent(1)), None);
}

#[test]
fn a_full_torrent_keeps_whom_it_has() {
    let mut store = PeerStore::new(limits());
    let now = Time::ZERO;
    assert!((0..5).all(|n| store.announce(now, OWN, torrent(1), peer(n), false)));
    assert!(!store.has_room(now, torrent(1)), "so nobody is given a token");
    assert!(!store.announce(now, OWN, torrent(1), peer(9), false));
    assert!(store.announce(now, OWN, torrent(1), peer(4), true), "who is in can announce again");
    assert!(store.has_room(now, torrent(2)));
    let later = now + limits().life;
    assert!(store.has_room(later, torrent(1)));
    assert!(store.announce(later, OWN, torrent(1), peer(9), false), "expired ones give way without a sweep");
    assert_eq!(store.peers(), 1);
}

#[test]
fn no_network_has_more_than_its_share() {
    let mut store = PeerStore::new(limits());
    let now = Time::ZERO;
    assert!((1..4).all(|n| store.announce(now, OWN, torrent(n), peer(1), false)));
    assert!(!store.announce(now, OWN, torrent(4), peer(1), false));
    assert!(store.announce(now, OWN, torrent(3), peer(1), true), "an old one counts once");
    // A /64 is one network.
    let v6 = |n: u128| SocketAddr::new(IpAddr::V6((0x2001_0db8 << 96 | n).into()), 6881);
    assert!((0..3).all(|n| store.announce(now, OWN, torrent(1), v6(n), false)));
    assert!(!store.announce(now, OWN, torrent(1), v6(3), false));
    assert!(store.announce(now, OWN, torrent(1), v6(1 << 64), false));
}

/// The farthest torrent gives way to one that is closer; one that would be the farthest is refused.
#[test]
fn the_farthest_torrent_gives_way() {
    let mut store = PeerStore::new(limits());
    let now = Time::ZERO;
    for n in [10, 20, 30, 40] {
        assert!(store.announce(now, OWN, torrent(n), peer(u32::from(n)), false));
    }
    assert!(!store.announce(now, OWN, torrent(50), peer(50), false));
    assert!(store.announce(now, OWN, torrent(25), peer(25), false));
    assert_eq!(store.counts(now, torrent(40)), SwarmCounts::default());
    assert_eq!((store.torrents(), store.peers()), (4, 4));
    // What is far from one id is near to another.
    assert!(store.announce(now, key(50), torrent(50), peer(50), false));
}

#[test]
fn draws_are_even_and_of_the_size_that_was_asked_for() {
    let mut store = PeerStore::new(PeerLimits::default());
    let mut rng = rng();
    (0..50).for_each(|n| assert!(store.announce(Time::ZERO, OWN, torrent(1), peer(n), n % 2 == 0)));
    let mut seen: BTreeMap<SocketAddr, u32> = BTreeMap::new();
    for _ in 0..1000 {
        let drawn = store.draw(Time::ZERO, torrent(1), false, false, 10, &mut rng);
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 10, "none comes twice");
        drawn.into_iter().for_each(|peer| *seen.entry(peer).or_default() += 1);
    }
    assert_eq!(seen.len(), 50);
    assert!(seen.values().all(|times| (130..270).contains(times)), "200 each, about: {seen:?}");
}

#[test]
fn filters_hold_seeds_and_others_apart() {
    let mut store = PeerStore::new(PeerLimits::default());
    (0..20).for_each(|n| assert!(store.announce(Time::ZERO, OWN, torrent(1), peer(n), n < 5)));
    let (seeds, others) = store.filters(Time::ZERO, torrent(1)).unwrap();
    assert_eq!((seeds.estimate(), others.estimate()), (5, 15));
    assert!((0..5).all(|n| seeds.may_contain(ip(n))) && (5..20).all(|n| others.may_contain(ip(n))));
    // A seed that has become none changes sides.
    store.announce(Time::ZERO, OWN, torrent(1), peer(0), false);
    let (seeds, others) = store.filters(Time::ZERO, torrent(1)).unwrap();
    assert_eq!((seeds.estimate(), others.estimate()), (4, 16));
}

#[test]
fn samples_are_all_or_a_draw_that_stays() {
    let mut store =
        PeerStore::new(PeerLimits { samples: 3, sample_life: Duration::from_secs(10), ..PeerLimits::default() });
    let mut rng = rng();
    let empty = store.samples(Time::ZERO, &mut rng);
    assert_eq!((empty.torrents.len(), empty.num, empty.interval), (0, 0, 0));
    (0..3).for_each(|n| assert!(store.announce(Time::ZERO, OWN, torrent(n), peer(u32::from(n)), false)));
    let all = store.samples(Time::ZERO, &mut rng);
    assert_eq!((all.torrents, all.num, all.interval), ((0..3).map(torrent).collect(), 3, 0));
    (3..30).for_each(|n| assert!(store.announce(Time::ZERO, OWN, torrent(n), peer(u32::from(n)), false)));
    let some = store.samples(Time::ZERO, &mut rng);
    assert_eq!((some.torrents.len(), some.num, some.interval), (3, 30, 10));
    let same = store.samples(Time::from_millis(9500), &mut rng);
    assert_eq!((&same.torrents, same.interval), (&some.torrents, 1));
    // Over time each has its turn.
    let turns = (1..100).flat_map(|turn| store.samples(Time::from_secs(turn * 10), &mut rng).torrents);
    assert_eq!(turns.collect::<BTreeSet<_>>().len(), 30);
    // And none that has expired is named.
    let late = store.samples(Time::ZERO + PeerLimits::default().life, &mut rng);
    assert_eq!((late.torrents.len(), late.num), (0, 0));
}

#[derive(Clone, Debug)]
enum Op {
    Announce { torrent: u8, peer: u32, v6: bool, seed: bool },
    Wait(u64),
    Tick,
    Samples,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u8..8, 0u32..12, any::<bool>(), any::<bool>())
            .prop_map(|(torrent, peer, v6, seed)| Op::Announce { torrent, peer, v6, seed }),
        2 => (0u64..3000).prop_map(Op::Wait),
        1 => Just(Op::Tick),
        1 => Just(Op::Samples),
    ]
}

proptest! {
    /// Limits hold, counts are right, nothing is told that was not announced within its life, and what was accepted is told unless its
    /// torrent gave way.
    #[test]
    fn peers_are_as_plain_books_say(ops in prop::collection::vec(op(), 0..200)) {
        let limits = limits();
        let mut store = PeerStore::new(limits);
        let (mut now, mut rng) = (Time::ZERO, rng());
        let mut books: BTreeMap<(u8, IpAddr), (Time, bool)> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Announce { torrent: n, peer: who, v6, seed } => {
                    let addr = if v6 { SocketAddr::new(IpAddr::V6((0x2001_0db8u128 << 96 | u128::from(who) << 63).into()), 1) } else { peer(who) };
                    let had_room = store.has_room(now, torrent(n));
                    let known = books.get(&(n, addr.ip())).is_some_and(|(until, _)| *until > now);
                    let accepted = store.announce(now, OWN, torrent(n), addr, seed);
                    prop_assert!(accepted || !known, "who is in can announce again");
                    prop_assert!(!accepted || known || had_room, "without a token nobody new gets in");
                    if accepted {
                        books.insert((n, addr.ip()), (now + limits.life, seed));
                    }
                }
                Op::Wait(seconds) => now = now + Duration::from_secs(seconds),
                Op::Tick => store.tick(now),
                Op::Samples => {
                    let samples = store.samples(now, &mut rng);
                    prop_assert!(samples.torrents.iter().all(|torrent| store.counts(now, *torrent) != SwarmCounts::default()));
                    prop_assert_eq!(samples.torrents.len() as u64, samples.num);
                }
            }
            let mut networks: BTreeMap<_, usize> = BTreeMap::new();
            let mut total = 0;
            for n in 0..8 {
                let told: Vec<SocketAddr> =
                    [false, true].iter().flat_map(|v6| store.draw(now, torrent(n), *v6, false, 100, &mut rng)).collect();
                let counts = store.counts(now, torrent(n));
                prop_assert_eq!(told.len(), counts.seeds + counts.others);
                prop_assert!(told.len() <= limits.peers_per_torrent);
                total += told.len();
                for addr in &told {
                    *networks.entry(crate::dht::store::Network::of(addr.ip())).or_default() += 1;
                    prop_assert!(books.get(&(n, addr.ip())).is_some_and(|(until, _)| *until > now), "{} of {} is dead", addr, n);
                }
                let due = books.iter().filter(|((torrent, _), (until, _))| *torrent == n && *until > now).count();
                if told.len() != due {
                    prop_assert!(told.is_empty(), "a part of a torrent is gone");
                    books.retain(|(torrent, _), _| *torrent != n);
                }
            }
            prop_assert!(networks.values().all(|share| *share <= limits.per_network));
            prop_assert!(total <= store.peers() && store.peers() <= limits.peers && store.torrents() <= limits.torrents);
        }
    }
}
