use super::saved::{Saved, SavedError};
use super::*;
use crate::rng::{Seeds, Stream};
use std::vec;
use std::vec::Vec;

mod model;

const RTT: Duration = Duration::from_millis(80);
const OWN: NodeId = NodeId([0; 20]);

fn config() -> DhtConfig {
    DhtConfig::default()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn rng() -> Rng {
    Seeds::for_tests(3).decisions(Stream::Dht, 0)
}

/// Node number `n` of those that begin with the byte `first`; each in a network of its own.
fn node(first: u8, n: u8) -> (NodeId, SocketAddr) {
    let mut id = [n; 20];
    id[0] = first;
    // A last byte that does not happen to fit the address; see `fitting`.
    (NodeId(id), SocketAddr::from(([50, first, n, 1], 6881)))
}

/// Of a node whose id fits its address: the address, for ids that begin with `first`.
fn fitting(first: u8, skip: u32) -> (NodeId, SocketAddr) {
    let mut rng = rng();
    let mut skip = skip;
    for n in 0u32..2_000_000 {
        let ip = core::net::Ipv4Addr::from(0x3c00_0001 + (n << 8));
        let id = NodeId::for_address(ip.into(), 1, &mut rng);
        if id.0[0] == first {
            if skip == 0 {
                return (id, SocketAddr::from((ip, 6881)));
            }
            skip -= 1;
        }
    }
    panic!("there is none")
}

fn fill(table: &mut Table, now: Time, first: u8, count: u8) {
    for n in 0..count {
        let (id, addr) = node(first, n);
        assert_eq!(table.answered(now, &config(), id, addr, RTT), Entry::Added, "{n}");
    }
}

#[test]
fn far_ranges_hold_k_each_and_who_comes_then_waits() {
    let mut table = Table::new(OWN);
    fill(&mut table, Time::ZERO, 0x80, 8);
    // Another range of the same number of bits in common, and one nearer.
    fill(&mut table, Time::ZERO, 0xf0, 8);
    fill(&mut table, Time::ZERO, 0x04, 8);
    let (id, addr) = node(0x80, 100);
    assert!(!table.wants(Time::ZERO, &config(), id, addr));
    assert_eq!(table.answered(Time::ZERO, &config(), id, addr, RTT), Entry::Waiting);
    assert_eq!((table.len(), table.waiting().count()), (24, 1));
    assert_eq!(table.answered(Time::ZERO, &config(), id, addr, RTT), Entry::Known);
}

/// good nodes are not displaced by unknown ones; failing nodes give way to who waits.
#[test]
fn who_fails_twice_gives_way_to_who_waits() {
    let mut table = Table::new(OWN);
    fill(&mut table, Time::ZERO, 0x80, 8);
    let ((new, new_at), (old, old_at)) = (node(0x80, 100), node(0x80, 3));
    table.answered(Time::ZERO, &config(), new, new_at, RTT);
    table.failed(Time::from_secs(1), &config(), old, old_at);
    assert!(table.contacts().any(|contact| contact.id == old), "once is not enough");
    table.failed(Time::from_secs(2), &config(), old, old_at);
    assert!(table.contacts().all(|contact| contact.id != old));
    assert!(table.contacts().any(|contact| contact.id == new));
    assert_eq!(table.len(), 8);
}

#[test]
fn a_bad_contact_that_nobody_replaces_is_kept_for_a_while_and_not_named() {
    let mut table = Table::new(OWN);
    fill(&mut table, Time::ZERO, 0x80, 1);
    let (id, addr) = node(0x80, 0);
    for failure in 1..=5 {
        assert_eq!(table.len(), 1, "{failure}");
        table.failed(Time::ZERO, &config(), id, addr);
        let named = table.closest(Time::ZERO, &config(), id, 8).len();
        assert_eq!(named, usize::from(failure < 2), "{failure}");
    }
    assert!(table.is_empty());
}

#[test]
fn the_contact_that_was_silent_for_longest_is_doubted_when_somebody_waits() {
    let mut table = Table::new(OWN);
    for n in 0..8 {
        let (id, addr) = node(0x80, n);
        table.answered(Time::from_secs(u64::from(n)), &config(), id, addr, RTT);
    }
    let (new, new_at) = node(0x80, 100);
    let late = Time::from_secs(903);
    assert_eq!(table.doubtful(late, &config(), new), None, "nobody waits");
    assert_eq!(table.answered(late, &config(), new, new_at, RTT), Entry::Waiting);
    let (first, first_at) = node(0x80, 0);
    assert_eq!(table.doubtful(late, &config(), new).map(|contact| contact.id), Some(first));
    // A query of its own makes it good again.
    assert!(!table.asked(late, &config(), first, first_at));
    assert_eq!(table.doubtful(late, &config(), new).map(|contact| contact.id), Some(node(0x80, 1).0));
    assert_eq!(table.doubtful(Time::from_secs(800), &config(), new), None, "all are good");
}

#[test]
fn an_address_has_one_place_and_a_network_few() {
    let mut table = Table::new(OWN);
    let add =
        |table: &mut Table, id: u8, addr: &str| table.answered(Time::ZERO, &config(), NodeId([id; 20]), at(addr), RTT);
    assert_eq!(add(&mut table, 0x80, "50.0.0.1:1"), Entry::Added);
    assert_eq!(add(&mut table, 0x90, "50.0.0.1:2"), Entry::Refused(Refused::HostTaken));
    assert_eq!(add(&mut table, 0x81, "50.0.0.2:1"), Entry::Refused(Refused::Network), "the same range");
    for (id, host) in [(0x90, 3), (0xa0, 4), (0xb0, 5)] {
        assert_eq!(add(&mut table, id, &std::format!("50.0.0.{host}:1")), Entry::Added);
    }
    assert_eq!(add(&mut table, 0xc0, "50.0.0.6:1"), Entry::Refused(Refused::Network), "enough in all");
    assert_eq!(add(&mut table, 0xc0, "50.0.1.6:1"), Entry::Added);
    let mut table = Table::new(OWN);
    assert_eq!(add(&mut table, 0x80, "[2600:1:2:3::1]:1"), Entry::Added);
    assert_eq!(add(&mut table, 0x90, "[2600:1:2:3::2]:1"), Entry::Refused(Refused::HostTaken), "a /64 is one host");
    assert_eq!(add(&mut table, 0x81, "[2600:1:2:4::2]:1"), Entry::Refused(Refused::Network), "a /48 is a network");
}

#[test]
fn in_a_local_network_an_address_has_many_nodes() {
    let mut table = Table::new(OWN);
    for n in 0..8u8 {
        let addr = SocketAddr::from(([127, 0, 0, 1], 7000 + u16::from(n)));
        let id = NodeId([0x80 + n % 4; 20]).with_bit_flipped(100 + u32::from(n));
        assert_eq!(table.answered(Time::ZERO, &config(), id, addr, RTT), Entry::Added);
    }
}

#[test]
fn an_id_is_not_taken_over_and_not_changed_at_will() {
    let mut table = Table::new(OWN);
    let (id, addr) = node(0x80, 1);
    let mut answered = |id, addr| table.answered(Time::ZERO, &config(), id, addr, RTT);
    assert_eq!(answered(id, addr), Entry::Added);
    assert_eq!(answered(id, at("60.0.0.1:1")), Entry::Refused(Refused::IdTaken));
    // Whoever changes its id with each answer.
    for n in 10..20 {
        assert_eq!(answered(node(0x80, n).0, addr), Entry::Refused(Refused::IdChanged));
    }
    assert_eq!(answered(node(0x80, 19).0, addr), Entry::Added, "it keeps to one now");
    assert_eq!(table.len(), 1);
}

#[test]
fn a_node_whose_port_changes_is_followed_once_the_old_one_fails() {
    let mut table = Table::new(OWN);
    let (id, addr) = node(0x80, 1);
    let moved = SocketAddr::new(addr.ip(), 9999);
    table.answered(Time::ZERO, &config(), id, addr, RTT);
    assert_eq!(table.answered(Time::ZERO, &config(), id, moved, RTT), Entry::Refused(Refused::HostTaken));
    table.failed(Time::ZERO, &config(), id, addr);
    assert_eq!(table.answered(Time::ZERO, &config(), id, moved, RTT), Entry::Added);
    assert_eq!(table.contacts().map(|contact| contact.addr).collect::<Vec<_>>(), [moved]);
}

#[test]
fn who_has_the_id_of_its_address_is_preferred() {
    let mut table = Table::new(OWN);
    for n in 0..8 {
        let (id, addr) = node(0x80, n);
        assert!(!id.is_valid_for(addr.ip()));
        table.answered(Time::from_secs(u64::from(n)), &config(), id, addr, RTT);
    }
    let (id, addr) = fitting(0x80, 0);
    assert!(table.wants(Time::from_secs(9), &config(), id, addr));
    assert_eq!(table.answered(Time::from_secs(9), &config(), id, addr, RTT), Entry::Added);
    assert!(table.waiting().map(|contact| contact.id).eq([node(0x80, 0).0]), "it waits now");
}

#[test]
fn every_contact_is_asked_once_before_it_is_doubted() {
    let mut table = Table::new(OWN);
    fill(&mut table, Time::ZERO, 0x80, 8);
    fill(&mut table, Time::ZERO, 0x01, 8);
    let (mut rng, config) = (rng(), config());
    assert_eq!(table.refresh(Time::from_secs(779), &config, &mut rng), None);
    assert_eq!(table.refresh_at(), Some(Time::from_secs(780)));
    let now = Time::from_secs(780);
    let mut asked = Vec::new();
    while let Some((contact, target)) = table.refresh(now, &config, &mut rng) {
        let common = OWN.shared_prefix(contact.id);
        assert!(OWN.shared_prefix(target) == common && target != contact.id, "{target:?} lies within its range");
        asked.push(contact.id);
        assert!(asked.len() <= 16);
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 16);
    // One does not answer, and is asked again soon.
    let (id, addr) = node(0x80, 1);
    table.failed(now, &config, id, addr);
    assert_eq!(table.refresh(now + config.retry_after, &config, &mut rng).map(|(c, _)| c.id), Some(id));
}

#[test]
fn another_id_of_ours_sorts_the_table_anew() {
    let mut table = Table::new(OWN);
    for first in [0x80, 0x84, 0x88, 0x8c, 0xf0] {
        fill(&mut table, Time::ZERO, first, 3);
    }
    let own = NodeId([0x81; 20]);
    table.set_own(Time::ZERO, &config(), own);
    assert_eq!((table.own(), table.len()), (own, 15));
    let (id, addr) = node(0x80, 1);
    assert_eq!(table.answered(Time::from_secs(1), &config(), id, addr, RTT), Entry::Known);
    // What was one range is split now, and has room again.
    fill(&mut table, Time::ZERO, 0xc0, 8);
    assert_eq!(table.answered(Time::ZERO, &config(), own, at("60.0.0.1:1"), RTT), Entry::Refused(Refused::OwnId));
}

#[test]
fn what_is_saved_is_read_again_and_nothing_else_is() {
    let nodes = vec![node(0x80, 1), node(0x40, 2)];
    let saved = Saved { id: NodeId([7; 20]), v6: false, nodes };
    let bytes = saved.encode();
    assert_eq!(Saved::parse(&bytes, 2), Ok(saved.clone()));
    assert_eq!(Saved::parse(&bytes, 1), Err(SavedError::TooMany));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Saved::parse(&damaged, 2).is_err(), "byte {at}");
        assert!(Saved::parse(&bytes[..at], 2).is_err(), "{at} bytes");
    }
    let v6 = Saved { v6: true, nodes: vec![node(0x80, 1), (NodeId([1; 20]), at("[2600::1]:5"))], ..saved };
    let read = Saved::parse(&v6.encode(), 9).unwrap();
    assert_eq!(read.nodes, [(NodeId([1; 20]), at("[2600::1]:5"))], "the other family is left out");
}

/// The memory of a full table, as far as it can be counted without an allocator: see the manual of `Node` for all of it.
#[test]
fn a_contact_is_small() {
    assert!(size_of::<Contact>() <= 104, "{}", size_of::<Contact>());
}

#[test]
fn thin_ranges_are_named_in_turn() {
    let mut table = Table::new(OWN);
    fill(&mut table, Time::ZERO, 0x80, 8);
    let (mut rng, config) = (rng(), config());
    let mut named = Vec::new();
    let mut from = 0;
    while let Some((number, target)) = table.thin(&config, from, &mut rng) {
        assert_eq!(u32::from(target.0[0] >> 3), number);
        named.push(number);
        from = number + 1;
    }
    // All but our own, and the one that is full.
    assert!(named.iter().copied().eq((1..32).filter(|number| *number != 16)), "{named:?}");
}

#[test]
fn the_size_of_the_network_is_told_by_how_close_the_closest_are() {
    let (mut table, mut rng, config) = (Table::new(OWN), rng(), config());
    assert_eq!((table.network(&config), table.neighbourhood(&config)), (0, 0));
    for n in 0..4000u32 {
        let addr = SocketAddr::from((core::net::Ipv4Addr::from(0x3200_0001 + n * 256), 1));
        table.answered(Time::ZERO, &config, NodeId::random(&mut rng), addr, RTT);
    }
    let network = table.network(&config);
    assert!((1500..10_000).contains(&network), "{network}");
    assert!((7..11).contains(&table.neighbourhood(&config)));
}
