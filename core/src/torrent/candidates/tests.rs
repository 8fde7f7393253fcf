use super::*;
use crate::border::{IoFault, PeerFault};
use crate::border::{Source, Sources};
use crate::rng::{Seeds, Stream};
use core::time::Duration;
use proptest::prelude::*;
use std::vec;

fn list() -> Candidates {
    Candidates::new(Seeds::for_tests(5).decisions(Stream::Candidates, 1))
}

fn config() -> CandidateConfig {
    CandidateConfig::default()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn secs(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

const REFUSED: CloseReason = CloseReason::DialFailed(IoFault::Refused);

/// BEP 40's two examples; the others computed from its text with an independent CRC-32C.
#[test]
fn priorities_are_those_of_the_text() {
    let cases = [
        ("123.213.32.10:0", "98.76.54.32:0", 0xec2d_7224),
        ("98.76.54.32:0", "123.213.32.10:0", 0xec2d_7224),
        ("123.213.32.10:0", "123.213.32.234:0", 0x9956_8189),
        ("230.12.123.1:1234", "230.12.123.3:300", 0x99c5_4d79),
        ("230.12.23.1:1234", "230.12.123.3:300", 0x21fd_5f80),
        ("230.120.23.1:1234", "230.12.123.3:300", 0xfa9a_860e),
        ("[2001:db8:1:ffff:ffff:ffff:ffff:ffff]:1", "[2001:db8:2:ffff:ffff:ffff:ffff:ffff]:2", 0x3cb7_138f),
        ("[2001:db8:1:12ff:ffff::1]:1", "[2001:db8:1:34ff:ffff::1]:2", 0x0e4c_1c36),
        ("10.0.0.1:1", "10.1.0.1:1", 0x7a73_72a8),
        ("255.255.255.255:65535", "0.0.0.0:0", 0xcc00_7181),
    ];
    for (a, b, priority) in cases {
        assert_eq!(canonical_priority(at(a), at(b)), priority, "{a} {b}");
        assert_eq!(canonical_priority(at(b), at(a)), priority, "{b} {a}");
    }
    assert_eq!(canonical_priority(at("10.0.0.1:258"), at("10.0.0.1:1")), crate::crc32c::crc32c(&[0, 1, 1, 2]), "ports");
    assert_eq!(canonical_priority(at("10.0.0.1:1"), at("[2001:db8::1]:1")), 0);
}

/// Some dial from the port where they listen. Found by fuzzing: the end of the dial was taken for that of the connection, and the address
/// counted as being dialled for ever.
#[test]
fn where_a_connection_comes_from_is_not_dialled_meanwhile() {
    let peer = at("10.0.0.1:6881");
    for known_before in [true, false] {
        let mut list = list();
        if known_before {
            list.add(secs(0), &config(), peer, Source::Tracker);
        }
        assert_eq!(list.incoming(secs(0), &config(), peer), Ok(()));
        list.add(secs(0), &config(), peer, Source::Tracker);
        assert_eq!((list.next(secs(0), &config()), list.deadline(secs(0))), (None, None));
        list.closed(secs(5), &config(), peer, CloseReason::ClosedByPeer, true);
        let rest = config().reconnect_after;
        assert_eq!(list.deadline(secs(5)), Some(secs(5) + rest), "it rests like any other");
        assert_eq!(list.next(secs(5) + rest, &config()), Some(peer));
        list.closed(secs(70), &config(), peer, REFUSED, false);
        assert_eq!(list.counts(), CandidateCounts { known: 1, resting: 1, ..CandidateCounts::default() });
    }
}

/// Found by the simulator: an address that a tracker had named, and that had failed, was dialled a minute after the user had named it.
#[test]
fn the_word_of_the_user_ends_a_rest_once() {
    let (mut list, peer) = (list(), at("10.0.0.1:6881"));
    list.add(secs(0), &config(), peer, Source::Tracker);
    assert_eq!(list.next(secs(0), &config()), Some(peer));
    list.closed(secs(1), &config(), peer, REFUSED, false);
    // Another stranger's does not.
    list.add(secs(1), &config(), peer, Source::Dht);
    assert_eq!(list.next(secs(1), &config()), None);
    assert!(!list.add(secs(2), &config(), peer, Source::User), "it is not new");
    assert_eq!(list.next(secs(2), &config()), Some(peer));
    // It failed on the user's word: saying it again changes nothing, and it has failed once.
    list.closed(secs(3), &config(), peer, REFUSED, false);
    list.add(secs(3), &config(), peer, Source::User);
    assert_eq!(list.next(secs(3), &config()), None);
    assert_eq!(list.deadline(secs(3)), Some(secs(3) + config().user_retry_min));
}

/// Found by the same: after a connection of a peer that had told the same port, its address was ready at once.
#[test]
fn an_address_rests_after_a_connection_from_its_own_port() {
    let (mut list, peer) = (list(), at("10.0.0.1:6881"));
    assert_eq!(list.incoming(secs(0), &config(), peer), Ok(()));
    assert!(!list.listen_port(&config(), peer, 6881));
    assert_eq!(list.counts(), CandidateCounts { known: 1, linked: 1, ..CandidateCounts::default() });
    list.closed(secs(5), &config(), peer, CloseReason::ClosedByPeer, true);
    assert_eq!(list.deadline(secs(5)), Some(secs(5) + config().reconnect_after));
}

/// Found by fuzzing.
#[test]
fn who_is_banned_between_its_turn_and_its_dial_is_not_dialled_later() {
    let (mut list, peer) = (list(), at("10.0.0.1:6881"));
    list.add(secs(0), &config(), peer, Source::Tracker);
    assert_eq!(list.next(secs(0), &config()), Some(peer));
    list.ban(&config(), peer.ip());
    list.postpone(peer, secs(1));
    assert_eq!((list.counts().known, list.next(secs(2), &config())), (0, None));
}

#[test]
fn an_address_is_remembered_and_dialled_once() {
    let mut list = list();
    assert!(list.add(secs(0), &config(), at("10.0.0.1:6881"), Source::Tracker));
    assert!(!list.add(secs(0), &config(), at("10.0.0.1:6881"), Source::Tracker));
    assert!(!list.add(secs(0), &config(), at("[::ffff:10.0.0.1]:6881"), Source::Tracker), "the same in other words");
    assert_eq!(list.deadline(secs(9)), Some(secs(9)));
    assert_eq!(list.next(secs(0), &config()), Some(at("10.0.0.1:6881")));
    assert_eq!(list.next(secs(0), &config()), None);
    assert_eq!(list.deadline(secs(9)), None);
    assert_eq!(list.counts(), CandidateCounts { known: 1, dialling: 1, ..CandidateCounts::default() });
    list.connected(secs(0), at("10.0.0.1:6881"));
    assert_eq!(list.counts(), CandidateCounts { known: 1, linked: 1, ..CandidateCounts::default() });
    assert_eq!(list.incoming(secs(0), &config(), at("10.0.0.1:6881")), Err(CloseReason::Duplicate));
    assert_eq!(list.incoming(secs(0), &config(), at("10.0.0.1:50000")), Ok(()), "another port may be another peer");
}

#[test]
fn what_cannot_be_a_peer_is_not_taken() {
    let mut list = list();
    for bad in [
        "10.0.0.1:0",
        "0.0.0.0:1",
        "[::]:1",
        "224.0.0.1:6881",
        "[ff02::1]:6881",
        "255.255.255.255:6881",
        "[::ffff:0.0.0.0]:9",
    ] {
        assert!(!list.add(secs(0), &config(), at(bad), Source::User), "{bad}");
    }
    assert_eq!(list.counts().known, 0);
}

#[test]
fn failures_wait_longer_and_three_are_the_end() {
    let mut list = list();
    let peer = at("10.0.0.1:6881");
    list.add(secs(0), &config(), peer, Source::Tracker);
    let mut now = secs(0);
    for wait in [60, 120] {
        assert_eq!(list.next(now, &config()), Some(peer));
        list.closed(now, &config(), peer, REFUSED, false);
        let due = list.deadline(now).unwrap();
        assert_eq!(due.since(now).as_secs(), wait);
        assert_eq!(list.next(Time(due.0 - 1), &config()), None);
        now = due;
    }
    assert_eq!(list.next(now, &config()), Some(peer));
    list.closed(now, &config(), peer, CloseReason::HandshakeTimeout, false);
    assert_eq!(list.deadline(now), None);
    // Named again by a tracker: only after a while.
    assert!(!list.add(now, &config(), peer, Source::Tracker));
    assert_eq!(list.deadline(now), None);
    let later = now + config().forget_after;
    list.add(later, &config(), peer, Source::Tracker);
    assert_eq!(list.next(later, &config()), Some(peer));
}

/// An address where nobody has ever spoken BitTorrent may be a victim of whoever named it.
#[test]
fn a_stranger_that_failed_is_left_alone_for_ten_minutes() {
    let wait = |reason, ready_once: bool| {
        let (mut list, peer) = (list(), at("1.2.3.4:6881"));
        list.add(secs(0), &config(), peer, Source::Tracker);
        assert_eq!(list.next(secs(0), &config()), Some(peer));
        if ready_once {
            list.connected(secs(0), peer);
            list.closed(secs(0), &config(), peer, CloseReason::ClosedByPeer, true);
            assert_eq!(list.next(secs(60), &config()), Some(peer));
        }
        list.closed(secs(60), &config(), peer, reason, false);
        list.deadline(secs(60)).unwrap().since(secs(60)).as_secs()
    };
    for reason in [REFUSED, CloseReason::HandshakeTimeout, CloseReason::Fault(PeerFault::NotBitTorrent)] {
        assert_eq!(wait(reason, false), 600, "{reason:?}");
    }
    assert_eq!(wait(REFUSED, true), 60, "a peer that restarts is back in a minute");
    assert_eq!(wait(CloseReason::DialFailed(IoFault::TooManyOpen), false), 60, "nobody was knocked at");
}

#[test]
fn the_users_peer_is_tried_for_ever() {
    let mut list = list();
    let peer = at("10.0.0.1:80");
    list.add(secs(0), &config(), peer, Source::Tracker);
    list.add(secs(0), &config(), peer, Source::User);
    let mut now = secs(0);
    let mut waits = vec![];
    for _ in 0..50 {
        assert_eq!(list.next(now, &config()), Some(peer));
        list.closed(now, &config(), peer, REFUSED, false);
        let due = list.deadline(now).unwrap();
        waits.push(due.since(now).as_secs());
        now = due;
    }
    assert_eq!(waits[..7], [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(waits[49], 30);
    // A connection that lasted makes it fresh again; one that did not, does not.
    assert_eq!(list.next(now, &config()), Some(peer));
    list.connected(now, peer);
    list.closed(now, &config(), peer, CloseReason::ClosedByPeer, true);
    assert_eq!(list.deadline(now).unwrap().since(now).as_secs(), 30);
    now = now + Duration::from_secs(30);
    assert_eq!(list.next(now, &config()), Some(peer));
    list.connected(now, peer);
    now = now + Duration::from_secs(31);
    list.closed(now, &config(), peer, CloseReason::ClosedByPeer, true);
    assert_eq!(list.deadline(now).unwrap().since(now).as_secs(), 1);
}

#[test]
fn a_given_up_peer_that_the_user_names_is_tried_at_once() {
    let mut list = list();
    let hasty = CandidateConfig { max_failures: 1, ..config() };
    let peer = at("10.0.0.1:6881");
    list.add(secs(0), &hasty, peer, Source::Tracker);
    list.next(secs(0), &hasty);
    list.closed(secs(0), &hasty, peer, REFUSED, false);
    assert_eq!(list.next(secs(1), &hasty), None);
    list.add(secs(1), &hasty, peer, Source::User);
    assert_eq!(list.next(secs(1), &hasty), Some(peer));
}

#[test]
fn the_order_is_user_then_failures_then_priority_and_well_known_ports_last() {
    let mut list = list();
    let us = at("123.213.32.10:6881");
    let peers = [at("98.76.54.32:6881"), at("123.213.32.234:6881"), at("10.0.0.1:6881")];
    list.add(secs(0), &config(), at("10.0.0.2:25"), Source::Tracker);
    for peer in peers {
        list.add(secs(0), &config(), peer, Source::Tracker);
    }
    list.set_external([Some(us), None]);
    list.add(secs(0), &config(), at("10.0.0.9:6881"), Source::User);
    let mut by_priority = peers.to_vec();
    by_priority.sort_by_key(|&peer| Reverse(canonical_priority(us, peer)));
    let order: Vec<SocketAddr> = core::iter::from_fn(|| list.next(secs(0), &config())).collect();
    assert_eq!(order[0], at("10.0.0.9:6881"));
    assert_eq!(order[1..4], by_priority);
    assert_eq!(order[4..], [at("10.0.0.2:25")]);
    // One that has failed comes behind the others, whatever its priority.
    let best = by_priority[0];
    for peer in peers {
        let reason = if peer == best { REFUSED } else { CloseReason::ClosedByPeer };
        list.closed(secs(0), &config(), peer, reason, peer != best);
    }
    let order: Vec<SocketAddr> = core::iter::from_fn(|| list.next(secs(700), &config())).collect();
    assert_eq!(order, [by_priority[1], by_priority[2], best]);
}

#[test]
fn a_full_list_gives_up_the_least_useful_and_never_a_connected_one() {
    let mut list = list();
    let small = CandidateConfig { max_known: 3, max_failures: 1, ..config() };
    let (linked, spent, user) = (at("10.0.0.1:6881"), at("10.0.0.2:6881"), at("10.0.0.3:6881"));
    list.add(secs(0), &small, linked, Source::Tracker);
    list.next(secs(0), &small);
    list.connected(secs(0), linked);
    list.add(secs(0), &small, spent, Source::Tracker);
    list.next(secs(0), &small);
    list.closed(secs(0), &small, spent, REFUSED, false);
    list.add(secs(0), &small, user, Source::User);
    assert!(list.add(secs(0), &small, at("10.0.0.4:25"), Source::Tracker), "better than one that is given up");
    assert!(list.add(secs(0), &small, at("10.0.0.5:6881"), Source::Tracker), "better than a well-known port");
    assert!(!list.add(secs(0), &small, at("10.0.0.6:25"), Source::Tracker), "worse than all there are");
    assert!(list.add(secs(0), &small, at("10.0.0.7:25"), Source::User), "what the user wants");
    assert!(!list.add(secs(0), &small, at("10.0.0.8:6881"), Source::User), "nobody is left to give way");
    let known: Vec<SocketAddr> = list.entries.keys().copied().collect();
    assert_eq!(known, [linked, user, at("10.0.0.7:25")]);
}

#[test]
fn bans_hold_and_the_oldest_gives_way() {
    let mut list = list();
    let two = CandidateConfig { max_banned: 2, ..config() };
    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    for port in [1_000, 2_000, 65_535] {
        list.add(secs(0), &two, SocketAddr::new(ip("10.0.0.1"), port), Source::User);
        list.add(secs(0), &two, SocketAddr::new(ip("2001:db8::1"), port), Source::Tracker);
    }
    list.add(secs(0), &two, at("10.0.0.2:1000"), Source::Tracker);
    list.ban(&two, ip("::ffff:10.0.0.1"));
    assert!(list.is_banned(ip("10.0.0.1")));
    assert_eq!(list.counts().known, 4);
    list.ban(&two, ip("2001:db8::1"));
    assert_eq!(list.counts().known, 1);
    assert!(!list.add(secs(0), &two, at("10.0.0.1:7"), Source::User));
    assert_eq!(list.incoming(secs(0), &config(), at("10.0.0.1:50000")), Err(CloseReason::Banned));
    list.ban(&two, ip("10.0.0.9"));
    assert!(!list.is_banned(ip("10.0.0.1")) && list.is_banned(ip("2001:db8::1")) && list.is_banned(ip("10.0.0.9")));
    // One that is connected goes when its connection does.
    assert_eq!(list.next(secs(0), &two), Some(at("10.0.0.2:1000")));
    list.connected(secs(0), at("10.0.0.2:1000"));
    list.ban(&two, ip("10.0.0.2"));
    assert_eq!(list.counts().linked, 1);
    list.closed(secs(0), &two, at("10.0.0.2:1000"), CloseReason::Banned, true);
    assert_eq!(list.counts().known, 0);
}

#[test]
fn ports_that_peers_of_one_address_claim_are_bounded() {
    let (mut list, config) = (list(), CandidateConfig { max_knocks: 1_000, ..CandidateConfig::default() });
    for port in 1..100 {
        let from = SocketAddr::new("10.0.0.1".parse().unwrap(), 50_000 + port);
        assert_eq!(list.incoming(secs(0), &config, from), Ok(()));
        list.listen_port(&config, from, 2_000 + port);
    }
    assert_eq!(list.counts().known, config.max_ports_per_ip as usize);
    assert!(list.add(secs(0), &config, at("10.0.0.1:9"), Source::Tracker), "others may name more");
}

#[test]
fn ourselves_are_never_dialled_again() {
    let mut list = list();
    let us = at("10.0.0.1:6881");
    list.add(secs(0), &config(), us, Source::User);
    assert_eq!(list.next(secs(0), &config()), Some(us));
    list.connected(secs(0), us);
    list.closed(secs(0), &config(), us, CloseReason::ToSelf, false);
    assert!(!list.add(secs(0), &config(), us, Source::User));
    assert_eq!(list.deadline(secs(0)), None);
    assert_eq!(list.incoming(secs(0), &config(), us), Err(CloseReason::ToSelf));
    assert_eq!(list.counts(), CandidateCounts::default());
}

#[test]
fn an_incoming_peer_is_known_by_the_port_it_listens_at() {
    let mut list = list();
    let (from, listens) = (at("10.0.0.1:50000"), at("10.0.0.1:6881"));
    assert_eq!(list.incoming(secs(0), &config(), from), Ok(()));
    assert_eq!(list.incoming(secs(0), &config(), from), Err(CloseReason::Duplicate));
    assert_eq!(list.counts().known, 0, "nobody can be dialled there");
    assert!(!list.listen_port(&config(), from, 6881));
    assert_eq!(list.counts(), CandidateCounts { known: 1, linked: 1, ..CandidateCounts::default() });
    assert!(!list.add(secs(0), &config(), listens, Source::Tracker), "the tracker's entry is the same");
    assert_eq!(list.next(secs(0), &config()), None, "connected already");
    list.closed(secs(5), &config(), from, CloseReason::ClosedByPeer, true);
    assert_eq!(list.next(secs(64), &config()), None);
    assert_eq!(list.next(secs(65), &config()), Some(listens));
    // While it is dialled, it connects to us: the dial goes on, and both are counted for one entry.
    assert_eq!(list.incoming(secs(66), &config(), from), Ok(()));
    assert!(!list.listen_port(&config(), from, 6881));
    list.connected(secs(67), listens);
    assert_eq!(list.incoming(secs(68), &config(), at("10.0.0.1:50001")), Ok(()));
    assert!(list.listen_port(&config(), at("10.0.0.1:50001"), 6881), "there is a connection already");
    list.closed(secs(69), &config(), listens, CloseReason::Duplicate, false);
    assert_eq!(list.counts().linked, 1);
    list.closed(secs(70), &config(), from, CloseReason::ClosedByPeer, true);
    list.closed(secs(70), &config(), at("10.0.0.1:50001"), CloseReason::Duplicate, true);
    assert_eq!(list.counts(), CandidateCounts { known: 1, resting: 1, ..CandidateCounts::default() });
}

#[test]
fn a_seed_dials_no_seeds_but_the_users() {
    let mut list = list();
    let (seed, other, users) = (at("10.0.0.1:6881"), at("10.0.0.2:6881"), at("10.0.0.3:6881"));
    for (peer, source) in [(seed, Source::Tracker), (other, Source::Tracker), (users, Source::User)] {
        list.add(secs(0), &config(), peer, source);
    }
    for _ in 0..3 {
        let peer = list.next(secs(0), &config()).unwrap();
        list.connected(secs(0), peer);
        let reason = if peer == other { CloseReason::ClosedByPeer } else { CloseReason::BothSeeds };
        list.closed(secs(0), &config(), peer, reason, true);
    }
    list.set_seeding(true);
    assert_eq!(list.next(secs(29), &config()), None);
    assert_eq!(list.next(secs(30), &config()), Some(users));
    assert_eq!(list.next(secs(999), &config()), Some(other));
    assert_eq!(list.next(secs(999), &config()), None);
    list.peer_is_seed(other);
    list.closed(secs(999), &config(), other, CloseReason::Useless, true);
    assert_eq!(list.next(secs(9_999), &config()), None);
    // Files were added, or a piece was lost: they are of use again.
    list.set_seeding(false);
    assert!(list.next(secs(9_999), &config()).is_some() && list.next(secs(9_999), &config()).is_some());
}

#[test]
fn breaking_the_protocol_counts_as_failure() {
    let mut list = list();
    let peer = at("10.0.0.1:6881");
    list.add(secs(0), &config(), peer, Source::Tracker);
    for round in 0..3u64 {
        let now = secs(round * 1_000);
        assert_eq!(list.next(now, &config()), Some(peer));
        list.connected(now, peer);
        list.closed(now, &config(), peer, CloseReason::Fault(PeerFault::Flood), true);
    }
    assert_eq!(list.next(secs(9_000), &config()), None);
}

#[test]
fn late_words_about_strangers_change_nothing() {
    let mut list = list();
    list.connected(secs(0), at("10.0.0.1:6881"));
    list.closed(secs(0), &config(), at("10.0.0.1:6881"), REFUSED, false);
    assert!(!list.listen_port(&config(), at("10.0.0.1:6881"), 5));
    list.peer_is_seed(at("10.0.0.1:6881"));
    list.add(secs(0), &config(), at("10.0.0.2:6881"), Source::Tracker);
    list.closed(secs(0), &config(), at("10.0.0.2:6881"), REFUSED, false);
    assert_eq!(list.counts(), CandidateCounts { known: 1, ready: 1, ..CandidateCounts::default() });
}

#[derive(Clone, Debug)]
enum Op {
    Add(u16, u16, bool),
    Next,
    Connected(usize),
    Closed(usize, u8, bool),
    Incoming(u16, u16),
    ListenPort(usize, u16),
    Ban(u16),
    Wait(u64),
    Seeding(bool),
    External(u16),
    IsSelf(u16, u16),
}

fn op() -> impl Strategy<Value = Op> {
    let (host, port) = (0u16..6, 1_022u16..1_027);
    let index = 0usize..8;
    prop_oneof![
        8 => (host.clone(), port.clone(), prop::bool::weighted(0.1)).prop_map(|(host, port, user)| Op::Add(host, port, user)),
        8 => Just(Op::Next),
        4 => index.clone().prop_map(Op::Connected),
        6 => (index.clone(), 0u8..8, any::<bool>()).prop_map(|(at, reason, ready)| Op::Closed(at, reason, ready)),
        3 => (host.clone(), port.clone()).prop_map(|(host, port)| Op::Incoming(host, port)),
        3 => (index, port.clone()).prop_map(|(at, port)| Op::ListenPort(at, port)),
        1 => host.clone().prop_map(Op::Ban),
        4 => (0u64..200).prop_map(Op::Wait),
        1 => any::<bool>().prop_map(Op::Seeding),
        1 => host.clone().prop_map(Op::External),
        1 => (host, port).prop_map(|(host, port)| Op::IsSelf(host, port)),
    ]
}

fn host(number: u16, port: u16) -> SocketAddr {
    match number % 2 {
        0 => SocketAddr::from(([10, 0, 0, number as u8], port)),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], port)),
    }
}

fn reason(number: u8) -> CloseReason {
    match number {
        0 => REFUSED,
        1 => CloseReason::ClosedByPeer,
        2 => CloseReason::BothSeeds,
        3 => CloseReason::Duplicate,
        4 => CloseReason::Fault(PeerFault::Flood),
        5 => CloseReason::Banned,
        6 => CloseReason::HandshakeTimeout,
        _ => CloseReason::ToSelf,
    }
}

/// What the indexes should hold, found by looking at every entry.
fn audit(list: &Candidates, config: &CandidateConfig) {
    let mut fresh = list.clone();
    fresh.reorder(|_| {});
    assert_eq!(list.ready, fresh.ready);
    assert_eq!(list.resting, fresh.resting);
    assert_eq!(list.expendable, fresh.expendable);
    assert_eq!(list.counts(), fresh.counts());
    let busy = list.entries.values().filter(|entry| entry.is_busy()).count();
    assert!(list.entries.len() <= (config.max_known as usize).max(busy));
    assert_eq!(list.banned.len(), list.banned_in_order.len());
    for (from, key) in &list.inbound {
        assert!(key.is_none_or(|key| list.entries.contains_key(&key)), "{from} leads nowhere");
    }
    for (addr, entry) in &list.entries {
        let inbound = list.inbound.values().filter(|key| **key == Some(*addr)).count();
        assert_eq!(entry.inbound as usize, inbound);
    }
}

proptest! {
    /// Whatever happens: the indexes agree with the entries, no address is dialled twice at a time, nor when banned, ours,
    /// connected, or before it has rested.
    #[test]
    fn only_who_may_be_dialled_is_dialled(ops in proptest::collection::vec(op(), 0..150)) {
        let config = CandidateConfig { max_known: 9, max_banned: 2, ..config() };
        let mut list = list();
        let mut now = secs(0);
        let (mut dialling, mut linked, mut inbound) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed_at: BTreeMap<SocketAddr, Time> = BTreeMap::new();
        let mut ours = BTreeSet::new();
        for op in ops {
            match op {
                Op::Add(number, port, user) => {
                    let source = if user { Source::User } else { Source::Tracker };
                    let addr = canonical(host(number, port));
                    // The user's word ends a rest, the first time.
                    if user && !list.standing(addr).0 {
                        failed_at.remove(&addr);
                    }
                    list.add(now, &config, addr, source);
                }
                Op::Next => {
                    let due = list.deadline(now);
                    let next = list.next(now, &config);
                    prop_assert_eq!(next.is_some(), due.is_some_and(|due| due <= now));
                    if let Some(addr) = next {
                        prop_assert!(!dialling.contains(&addr) && !linked.contains(&addr) && !ours.contains(&addr));
                        prop_assert!(!list.is_banned(addr.ip()));
                        // A second is the shortest rest there is, of the user's peers.
                        prop_assert!(failed_at.get(&addr).is_none_or(|&at| now.since(at).as_secs() >= 1));
                        dialling.push(addr);
                    }
                }
                Op::Connected(at) if at < dialling.len() => {
                    let addr = dialling.swap_remove(at);
                    list.connected(now, addr);
                    linked.push(addr);
                }
                Op::Closed(at, number, ready) => {
                    let all = [&mut dialling, &mut linked, &mut inbound];
                    let Some(group) = all.into_iter().nth(at % 3).filter(|group| !group.is_empty()) else { continue };
                    let addr = group.swap_remove(at % group.len());
                    if !inbound.contains(&addr) && at % 3 < 2 {
                        if reason(number) == CloseReason::ToSelf {
                            ours.insert(addr);
                        } else {
                            failed_at.insert(addr, now);
                        }
                    }
                    list.closed(now, &config, addr, reason(number), ready);
                    // Others than the caller's may be ours now: what an incoming connection said of itself.
                    ours.extend(list.ours.iter().copied());
                }
                Op::Incoming(number, port) => {
                    let addr = host(number, port + 100);
                    if list.incoming(now, &config, addr).is_ok() {
                        prop_assert!(!inbound.contains(&addr));
                        inbound.push(addr);
                    }
                }
                Op::ListenPort(at, port) if at < inbound.len() => _ = list.listen_port(&config, inbound[at], port),
                Op::Ban(number) => list.ban(&config, host(number, 1).ip()),
                Op::Wait(seconds) => now = now + Duration::from_secs(seconds),
                Op::Seeding(seeding) => list.set_seeding(seeding),
                Op::External(number) => list.set_external([Some(host(number, 9_999)), None]),
                Op::IsSelf(number, port) => {
                    list.is_self(host(number, port));
                    ours.insert(host(number, port));
                    failed_at.remove(&host(number, port));
                }
                _ => {}
            }
            audit(&list, &config);
            // What had to give way in a full list is new when heard of again.
            failed_at.retain(|addr, _| list.entries.contains_key(addr));
            prop_assert_eq!(list.counts().dialling, dialling.len());
        }
    }
}

#[test]
fn priorities_that_are_given_are_not_computed() {
    let (own, one, other) = (at("45.1.0.1:6881"), at("45.2.0.1:2000"), at("45.3.0.1:2000"));
    let computed = [one, other].map(|peer| canonical_priority(own, peer));
    let (first, second) = if computed[0] > computed[1] { (one, other) } else { (other, one) };
    for (given, expected) in [(None, [first, second]), (Some(second), [second, first])] {
        let highest = given.map(|peer: SocketAddr| ((own.ip().min(peer.ip()), own.ip().max(peer.ip())), u32::MAX));
        let table = AddressTable { priorities: highest.into_iter().collect(), ..AddressTable::default() };
        let (mut list, config) = (list().with_table(Arc::new(table)), config());
        list.set_external([Some(own), None]);
        [one, other].iter().for_each(|&peer| assert!(list.add(Time::ZERO, &config, peer, Source::Tracker)));
        let order = [list.next(Time::ZERO, &config), list.next(Time::ZERO, &config)];
        assert_eq!(order, expected.map(Some));
    }
}

#[test]
fn an_address_that_several_name_is_dialled_once_and_keeps_them_all() {
    let (mut list, peer) = (list(), at("80.0.0.1:6881"));
    assert!(list.hear_of(secs(0), &config(), peer, PexFlags::REACHABLE));
    assert!(!list.add(secs(0), &config(), peer, Source::Tracker));
    assert!(!list.add(secs(0), &config(), peer, Source::Lsd));
    let all = Sources::from(Source::Pex) | Source::Tracker.into() | Source::Lsd.into();
    assert_eq!((list.sources(peer), list.counts().known), (all, 1));
    assert_eq!((list.next(secs(0), &config()), list.next(secs(0), &config())), (Some(peer), None));
    list.connected(secs(0), peer);
    list.add(secs(0), &config(), peer, Source::Pex);
    assert_eq!(list.next(secs(0), &config()), None);
    let counts = list.by_source();
    for source in [Source::Pex, Source::Tracker, Source::Lsd] {
        assert_eq!((counts.known(source), counts.connected(source)), (1, 1), "{source}");
    }
    assert_eq!(counts.known(Source::User), 0);
}

#[test]
fn a_connection_that_came_in_counts_as_such_before_and_after_it_tells_its_port() {
    let (mut list, from) = (list(), at("80.0.0.1:40000"));
    list.add(secs(0), &config(), at("80.0.0.1:6881"), Source::Tracker);
    list.incoming(secs(0), &config(), from).unwrap();
    let counts =
        |list: &Candidates| (list.by_source().known(Source::Incoming), list.by_source().connected(Source::Incoming));
    assert_eq!((counts(&list), list.sources(from)), ((1, 1), Source::Incoming.into()));
    list.listen_port(&config(), from, 6881);
    assert_eq!((counts(&list), list.sources(from)), ((1, 1), Sources::from(Source::Incoming) | Source::Tracker.into()));
    list.closed(secs(1), &config(), from, CloseReason::ClosedByPeer, true);
    assert_eq!(counts(&list), (1, 0));
}

#[test]
fn hearsay_gets_a_part_of_the_list_only() {
    let config = CandidateConfig { max_known: 200, max_hearsay: 30, ..config() };
    let nth = |n: u32| SocketAddr::from(((0x5000_0000 + n * 256).to_be_bytes(), 6881));
    let mut list = list();
    for n in 0..1_000 {
        list.add(secs(0), &config, nth(n), Source::Pex);
        list.add(secs(0), &config, nth(10_000 + n), Source::Lsd);
    }
    let known = |list: &Candidates, source| list.by_source().known(source);
    assert_eq!((known(&list, Source::Pex), known(&list, Source::Lsd)), (30, 30));
    for n in 0..40 {
        assert!(list.add(secs(0), &config, nth(20_000 + n), Source::Tracker), "there is room for a tracker's");
    }
    for n in 1_000..2_000 {
        list.add(secs(0), &config, nth(n), Source::Pex);
    }
    assert_eq!((known(&list, Source::Tracker), known(&list, Source::Pex)), (40, 30));
    // What a tracker names besides is not hearsay any more, and makes room.
    let pex: Vec<SocketAddr> = (0..2_000).map(nth).filter(|&addr| list.sources(addr).has(Source::Pex)).collect();
    for &addr in &pex[..10] {
        list.add(secs(0), &config, addr, Source::Tracker);
    }
    for n in 2_000..2_100 {
        list.add(secs(0), &config, nth(n), Source::Pex);
    }
    assert_eq!((list.counts().known, list.lone[Source::Pex as usize]), (110, 30));
}

#[test]
fn what_nobody_is_known_to_have_reached_is_dialled_last() {
    let mut list = list();
    let [doubtful, reachable, gone, tracker] =
        ["80.0.1.1:6881", "80.0.2.1:6881", "80.0.3.1:6881", "80.0.4.1:6881"].map(at);
    list.hear_of(secs(0), &config(), doubtful, PexFlags::default());
    list.hear_of(secs(0), &config(), reachable, PexFlags::REACHABLE);
    list.hear_of(secs(0), &config(), gone, PexFlags::REACHABLE);
    list.add(secs(0), &config(), tracker, Source::Tracker);
    list.is_gone(gone);
    list.is_gone(tracker);
    let order: Vec<SocketAddr> = core::iter::from_fn(|| list.next(secs(0), &config())).collect();
    let sound: BTreeSet<_> = order[..2].iter().copied().collect();
    assert_eq!(sound, BTreeSet::from([reachable, tracker]), "a peer cannot talk us out of what a tracker names");
}

#[test]
fn a_peer_cannot_pass_off_as_seeds_whom_others_name() {
    let mut list = list();
    let (known, unknown) = (at("80.0.1.1:6881"), at("80.0.2.1:6881"));
    list.add(secs(0), &config(), known, Source::Tracker);
    for addr in [known, unknown] {
        list.hear_of(secs(0), &config(), addr, PexFlags::SEED | PexFlags::REACHABLE);
    }
    list.set_seeding(true);
    assert_eq!((list.next(secs(0), &config()), list.next(secs(0), &config())), (Some(known), None));
    list.set_seeding(false);
    assert_eq!(list.next(secs(0), &config()), Some(unknown), "a download wants seeds");
}

#[test]
fn an_address_that_turns_out_to_be_ours_while_it_is_dialled_is_not_dialled_again() {
    for postponed in [true, false] {
        let (mut list, us) = (list(), at("80.4.4.3:6882"));
        list.add(secs(0), &config(), us, Source::Tracker);
        assert_eq!(list.next(secs(0), &config()), Some(us));
        list.set_external([Some(us), None]);
        if postponed {
            list.postpone(us, secs(1));
        } else {
            list.closed(secs(1), &config(), us, REFUSED, false);
        }
        assert_eq!(list.deadline(secs(1)), None);
        assert_eq!(list.next(secs(100_000), &config()), None);
    }
}
