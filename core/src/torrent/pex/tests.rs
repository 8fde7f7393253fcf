use super::*;
use crate::wire::PexFlags;
use proptest::prelude::*;
use std::vec;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn nth(number: u32) -> SocketAddr {
    SocketAddr::from(((0x5000_0000 + (number << 8) + 1).to_be_bytes(), 6881))
}

fn contact(addr: SocketAddr) -> PexPeer {
    PexPeer { addr, flags: PexFlags::REACHABLE }
}

fn secs(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn config() -> PexConfig {
    PexConfig::default()
}

/// One that listens, number 0, and contacts from 1 to `count`.
fn with_contacts(count: u32) -> Pex {
    let mut pex = Pex::new();
    pex.connected(secs(0), PeerKey(0), contact(nth(0)));
    pex.listens(secs(0), &config(), PeerKey(0), nth(0));
    for number in 1..=count {
        pex.connected(secs(0), PeerKey(number.into()), contact(nth(number)));
    }
    pex
}

/// What number 0 is told at this time.
fn told(pex: &mut Pex, seconds: u64) -> Option<PexMessage> {
    let (key, message) = pex.next(secs(seconds), &config())?;
    assert_eq!((key, pex.next(secs(seconds), &config())), (PeerKey(0), None));
    Some(message)
}

fn added(message: &PexMessage) -> Vec<SocketAddr> {
    message.added.iter().map(|peer| peer.addr).collect()
}

#[test]
fn a_peer_is_told_who_is_connected_and_then_what_has_changed() {
    let mut pex = with_contacts(2);
    assert_eq!(pex.deadline(), Some(secs(5)));
    assert_eq!(told(&mut pex, 4), None);
    assert_eq!(told(&mut pex, 5).unwrap().added, [contact(nth(1)), contact(nth(2))], "not of itself");
    assert_eq!(pex.deadline(), None, "nothing has changed");
    pex.closed(secs(20), &config(), PeerKey(1), false);
    pex.connected(secs(21), PeerKey(3), contact(nth(3)));
    assert_eq!(pex.deadline(), Some(secs(65)), "at most one message a minute");
    assert_eq!(told(&mut pex, 64), None);
    let message = told(&mut pex, 65).unwrap();
    assert_eq!((added(&message), message.dropped), (vec![nth(3)], vec![nth(1)]));
    assert_eq!(pex.deadline(), None);
    pex.connected(secs(300), PeerKey(4), contact(nth(4)));
    assert_eq!(pex.deadline(), Some(secs(300)), "the minute is over long since");
}

#[test]
fn who_comes_and_goes_between_two_messages_is_not_mentioned() {
    let mut pex = with_contacts(1);
    told(&mut pex, 5).unwrap();
    pex.connected(secs(10), PeerKey(7), contact(nth(7)));
    pex.closed(secs(20), &config(), PeerKey(7), false);
    pex.closed(secs(21), &config(), PeerKey(1), false);
    pex.connected(secs(22), PeerKey(8), contact(nth(1)));
    assert_eq!(told(&mut pex, 65), None);
    assert_eq!(pex.deadline(), None);
}

#[test]
fn messages_are_no_longer_than_they_may_be() {
    let mut pex = with_contacts(180);
    let sizes = |message: PexMessage| (message.added.len(), message.dropped.len());
    assert_eq!(sizes(told(&mut pex, 5).unwrap()), (100, 0), "the first may be longer");
    assert_eq!(sizes(told(&mut pex, 65).unwrap()), (50, 0));
    assert_eq!(sizes(told(&mut pex, 125).unwrap()), (30, 0));
    for number in 1..=180 {
        pex.closed(secs(130), &config(), PeerKey(number), false);
    }
    let after: Vec<_> = [185, 245, 305, 365].map(|time| sizes(told(&mut pex, time).unwrap())).into();
    assert_eq!(after, [(0, 50), (0, 50), (0, 50), (0, 30)]);
    assert_eq!(pex.deadline(), None);
}

#[test]
fn where_connections_come_and_go_quickly_what_is_remembered_is_bounded() {
    let mut pex = with_contacts(0);
    for round in 0..20u32 {
        for number in 1..=400 {
            pex.connected(secs(60 * u64::from(round)), PeerKey(number.into()), contact(nth(400 * round + number)));
        }
        while let Some((_, message)) = pex.next(secs(60 * u64::from(round) + 5), &config()) {
            assert!(message.added.len() <= 100 && message.dropped.len() <= 50);
        }
        assert!(pex.listeners[&PeerKey(0)].told.len() <= MAX_TOLD);
    }
}

#[test]
fn addresses_of_our_own_networks_stay_in_them() {
    let all =
        ["80.1.1.1:1", "192.168.0.9:1", "127.0.0.1:9", "169.254.1.1:1", "[fe80::9]:1", "[2a00::9]:1", "[fd00::9]:1"];
    let told_to = |listener: &str| {
        let mut pex = Pex::new();
        pex.listens(secs(0), &config(), PeerKey(0), at(listener));
        for (number, addr) in all.iter().enumerate() {
            pex.connected(secs(0), PeerKey(1 + number as u64), contact(at(addr)));
        }
        added(&told(&mut pex, 5).unwrap())
    };
    assert_eq!(told_to("81.1.1.1:5"), [at("80.1.1.1:1"), at("[2a00::9]:1")]);
    let private = ["80.1.1.1:1", "192.168.0.9:1", "[2a00::9]:1", "[fd00::9]:1"].map(at);
    assert_eq!(told_to("192.168.0.3:5"), private);
    let here = ["80.1.1.1:1", "192.168.0.9:1", "127.0.0.1:9", "[2a00::9]:1", "[fd00::9]:1"].map(at);
    assert_eq!(told_to("127.0.0.1:5"), here);
}

#[test]
fn the_same_address_is_named_once() {
    let mut pex = with_contacts(1);
    pex.connected(secs(1), PeerKey(9), contact(nth(1)));
    assert_eq!(added(&told(&mut pex, 5).unwrap()), [nth(1)]);
    pex.closed(secs(6), &config(), PeerKey(9), false);
    assert_eq!(told(&mut pex, 65), None, "one connection is left");
}

/// BEP 11, "Filling underpopulated lists".
#[test]
fn connections_that_we_ended_are_named_once_and_dropped_with_the_next_message() {
    let mut pex = with_contacts(2);
    told(&mut pex, 5).unwrap();
    pex.connected(secs(10), PeerKey(7), contact(nth(7)));
    pex.closed(secs(20), &config(), PeerKey(7), true);
    assert_eq!(added(&told(&mut pex, 65).unwrap()), [nth(7)]);
    let next = told(&mut pex, 125).unwrap();
    assert_eq!((added(&next), next.dropped), (vec![], vec![nth(7)]));
    assert_eq!(pex.deadline(), None);
    // One that was told of while it was connected is dropped, and not named again.
    pex.closed(secs(200), &config(), PeerKey(1), true);
    let next = told(&mut pex, 200).unwrap();
    assert_eq!((added(&next), next.dropped), (vec![], vec![nth(1)]));
    // Who comes later learns of both.
    pex.listens(secs(300), &config(), PeerKey(50), nth(50));
    let (key, message) = pex.next(secs(305), &config()).unwrap();
    assert_eq!((key, added(&message)), (PeerKey(50), vec![nth(0), nth(2), nth(7), nth(1)]));
}

#[test]
fn with_enough_connections_only_live_ones_are_named() {
    let mut pex = with_contacts(24);
    pex.connected(secs(1), PeerKey(99), contact(at("[2a00::1]:1")));
    pex.connected(secs(1), PeerKey(98), contact(nth(98)));
    pex.closed(secs(2), &config(), PeerKey(98), true);
    pex.closed(secs(2), &config(), PeerKey(99), true);
    let message = told(&mut pex, 5).unwrap();
    assert!(!added(&message).contains(&nth(98)), "there are 25 of IPv4");
    assert!(added(&message).contains(&at("[2a00::1]:1")), "and none of IPv6");
}

#[test]
fn so_many_ended_connections_are_remembered() {
    let mut pex = with_contacts(0);
    for number in 1..=40 {
        pex.connected(secs(1), PeerKey(number), contact(nth(number as u32)));
        pex.closed(secs(1), &config(), PeerKey(number), true);
    }
    assert_eq!(added(&told(&mut pex, 5).unwrap()), (16..=40).map(nth).collect::<Vec<_>>(), "the latest 25");
}

fn says(added: &[SocketAddr], dropped: &[SocketAddr]) -> Vec<u8> {
    PexMessage { added: added.iter().copied().map(contact).collect(), dropped: dropped.to_vec() }.emit()
}

#[test]
fn what_is_news_is_told_once() {
    let (mut pex, key) = (Pex::new(), PeerKey(1));
    let mut hear = |seconds, payload: Vec<u8>| pex.heard(secs(seconds), &config(), key, &payload).unwrap();
    assert_eq!(hear(0, says(&[nth(1), nth(2)], &[])).added, [contact(nth(1)), contact(nth(2))]);
    assert_eq!(hear(60, says(&[nth(1), nth(3)], &[])).added, [contact(nth(3))], "it has named the other already");
    let news = hear(120, says(&[], &[nth(1), nth(9)]));
    assert_eq!(news, PexNews { added: vec![], dropped: vec![nth(1)] }, "what it has not named it cannot drop");
    assert_eq!(hear(180, says(&[nth(1)], &[])).added, [contact(nth(1))]);
}

/// BEP 11: "Duplicate IP addresses (e.g. with different ports) should be ignored."
#[test]
fn one_address_of_a_peer_has_one_port() {
    let mut pex = Pex::new();
    let mut hear = |key, payload: Vec<u8>| pex.heard(secs(0), &config(), PeerKey(key), &payload).unwrap().added.len();
    let ports: Vec<SocketAddr> = (1..=60).map(|port| SocketAddr::new(nth(1).ip(), port)).collect();
    assert_eq!(hear(1, says(&ports, &[])), 1);
    assert_eq!(hear(1, says(&[SocketAddr::new(nth(1).ip(), 7)], &[])), 0);
    assert_eq!(hear(2, says(&ports[9..], &[])), 1, "another peer may know another");
    assert_eq!(hear(3, says(&[at("127.0.0.1:1"), at("127.0.0.1:2"), at("127.0.0.1:2")], &[])), 2, "this machine");
}

#[test]
fn who_floods_is_closed() {
    let mut pex = Pex::new();
    let empty = says(&[], &[]);
    for second in 0..6 {
        assert!(pex.heard(secs(second), &config(), PeerKey(1), &empty).is_ok());
    }
    assert!(pex.heard(secs(6), &config(), PeerKey(2), &empty).is_ok(), "each for itself");
    assert_eq!(pex.heard(secs(59), &config(), PeerKey(1), &empty), Err(PeerFault::PexFlood));
    assert!(pex.heard(secs(60), &config(), PeerKey(1), &empty).is_ok(), "the minute is over");
    assert_eq!(pex.heard(secs(0), &config(), PeerKey(3), b"le"), Err(PeerFault::BadPex));
    let many: Vec<SocketAddr> = (0..3_001).map(nth).collect();
    assert_eq!(pex.heard(secs(0), &config(), PeerKey(4), &says(&many, &[])), Err(PeerFault::PexFlood));
    assert_eq!(pex.heard(secs(0), &config(), PeerKey(5), &says(&[], &many)), Err(PeerFault::PexFlood));
}

#[test]
fn of_what_one_peer_names_a_part_is_taken() {
    let (mut pex, key) = (Pex::new(), PeerKey(1));
    let mut hear = |minute: u64, range: std::ops::Range<u32>, dropped: std::ops::Range<u32>| {
        let (added, dropped): (Vec<_>, Vec<_>) = (range.map(nth).collect(), dropped.map(nth).collect());
        pex.heard(secs(60 * minute), &config(), key, &says(&added, &dropped)).unwrap().added.len()
    };
    assert_eq!(hear(0, 0..150, 0..0), 100);
    assert_eq!(hear(1, 200..400, 0..0), 100);
    assert_eq!(hear(2, 500..600, 0..0), 0, "it has named 200");
    assert_eq!(hear(3, 500..600, 0..30), 30);
    pex.closed(secs(300), &config(), key, false);
    assert_eq!(pex.speakers.len(), 0);
}

proptest! {
    /// What a peer takes to be connected, as it follows from the messages, is what it was told; within a few messages after things have
    /// calmed down that is who is connected.
    #[test]
    fn what_a_peer_believes_comes_true(
        steps in prop::collection::vec((0u8..4, 1u64..12, 0u32..12, 0u64..40), 0..60),
    ) {
        let (mut pex, mut live) = (Pex::new(), BTreeMap::new());
        pex.listens(secs(0), &config(), PeerKey(0), nth(100));
        let (mut believed, mut now, mut last) = (BTreeSet::new(), 0, None);
        let mut take = |pex: &mut Pex, now: u64| -> Result<(), TestCaseError> {
            while let Some((_, message)) = pex.next(secs(now), &config()) {
                prop_assert!(!message.is_empty());
                prop_assert!(last.is_none_or(|last| now >= last + 60));
                last = Some(now);
                for addr in &message.dropped {
                    prop_assert!(believed.remove(addr), "dropped what was not added");
                }
                for peer in &message.added {
                    prop_assert!(!message.dropped.contains(&peer.addr));
                    prop_assert!(believed.insert(peer.addr), "added twice");
                }
            }
            Ok(())
        };
        for (kind, key, number, wait) in steps {
            match kind {
                0 | 1 => {
                    pex.connected(secs(now), PeerKey(key), contact(nth(number)));
                    live.insert(key, nth(number));
                }
                _ => {
                    pex.closed(secs(now), &config(), PeerKey(key), kind == 3);
                    live.remove(&key);
                }
            }
            now += wait;
            take(&mut pex, now)?;
        }
        for _ in 0..4 {
            now += 60;
            take(&mut pex, now)?;
        }
        prop_assert_eq!(pex.deadline(), None);
        prop_assert_eq!(believed, live.into_values().collect::<BTreeSet<_>>());
    }
}
