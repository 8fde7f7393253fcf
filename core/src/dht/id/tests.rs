use super::*;
use crate::rng::{Seeds, Stream};
use std::string::ToString;

fn rng() -> Rng {
    Seeds::for_tests(7).decisions(Stream::Dht, 0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// BEP 42's own five, by address, random byte and the bytes that are given.
#[test]
fn ids_of_addresses_are_those_of_the_bep() {
    let cases = [
        ("124.31.75.21", 1, [0x5f, 0xbf, 0xbf]),
        ("21.75.31.124", 86, [0x5a, 0x3c, 0xe9]),
        ("65.23.51.170", 22, [0xa5, 0xd4, 0x32]),
        ("84.124.73.14", 65, [0x1b, 0x03, 0x21]),
        ("43.213.53.83", 90, [0xe5, 0x6f, 0x6c]),
    ];
    for (address, random, given) in cases {
        let id = NodeId::for_address(ip(address), random, &mut rng());
        assert_eq!(id.0[..2], given[..2], "{address}");
        assert_eq!(id.0[2] & 0xf8, given[2] & 0xf8, "{address}");
        assert_eq!(id.0[19], random);
        assert!(id.is_valid_for(ip(address)));
        assert!(!id.with_bit_flipped(20).is_valid_for(ip(address)), "the 21st bit counts");
        assert!(id.with_bit_flipped(21).is_valid_for(ip(address)), "the 22nd does not");
        assert!(!id.is_valid_for(ip("192.0.2.1")));
    }
}

#[test]
fn every_random_byte_makes_an_id_that_fits() {
    let mut rng = rng();
    for address in ["1.2.3.4", "255.255.255.255", "2001:db8::1", "2a00:1450:4001:81b::200e", "::ffff:84.124.73.14"] {
        for random in 0..=255 {
            let id = NodeId::for_address(ip(address), random, &mut rng);
            assert!(id.is_valid_for(ip(address)), "{address} {random}");
        }
    }
    let mapped = NodeId::for_address(ip("::ffff:84.124.73.14"), 65, &mut rng);
    assert!(mapped.is_valid_for(ip("84.124.73.14")), "a mapped address is the one inside");
}

#[test]
fn an_ipv6_id_is_that_of_the_network() {
    let id = NodeId::for_address(ip("2a00:1450:4001:81b::200e"), 3, &mut rng());
    assert!(id.is_valid_for(ip("2a00:1450:4001:81b:ffff::1")));
    assert!(!id.is_valid_for(ip("2a00:1450:4001:81c::200e")));
}

#[test]
fn local_networks_are_free_in_their_ids() {
    let id = NodeId([0xee; 20]);
    for local in [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.0.1",
        "127.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
    ] {
        assert!(id.is_valid_for(ip(local)), "{local}");
    }
    for global in ["11.0.0.1", "172.32.0.1", "100.64.0.1", "192.0.2.1", "2001:db8::1"] {
        assert!(!id.is_valid_for(ip(global)), "{global}");
    }
}

#[test]
fn distance_is_xor_as_a_number() {
    let (zero, one, top) =
        (NodeId([0; 20]), NodeId([0; 20]).with_bit_flipped(159), NodeId([0; 20]).with_bit_flipped(0));
    assert_eq!(zero.distance(zero), Distance::ZERO);
    assert_eq!(zero.distance(zero).log2(), None);
    assert_eq!(zero.distance(one).log2(), Some(0));
    assert_eq!(zero.distance(top).log2(), Some(159));
    assert_eq!(zero.distance(NodeId([0xff; 20])), Distance::MAX);
    assert!(zero.distance(one) < zero.distance(top));
    assert_eq!(one.distance(top), top.distance(one));
    assert_eq!((zero.shared_prefix(one), zero.shared_prefix(top), zero.shared_prefix(zero)), (159, 0, 160));
}

#[test]
fn bits_are_counted_from_the_most_significant_one() {
    let id = NodeId([0; 20]).with_bit_flipped(9);
    assert_eq!(id.0[1], 0x40);
    assert!(id.bit(9) && !id.bit(8) && !id.bit(10));
    assert!(!NodeId([0xff; 20]).bit(160), "beyond the last there is none");
    assert_eq!(id.with_bit_flipped(160), id);
    assert_eq!(id.with_bit_flipped(u32::MAX), id);
}

#[test]
fn random_ids_lie_where_they_should() {
    let mut rng = rng();
    let own = NodeId::random(&mut rng);
    for bits in 0..160 {
        assert_eq!(own.shared_prefix(own.random_at(bits, &mut rng)), bits);
        assert!(own.shared_prefix(own.random_within(bits, &mut rng)) >= bits);
    }
    assert_eq!(own.random_within(160, &mut rng), own);
    assert_eq!(own.random_at(160, &mut rng), own);
    assert_eq!(own.random_at(u32::MAX, &mut rng), own);
    // What is not given is drawn: 200 draws of 8 free bits are not all one.
    let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| own.random_within(152, &mut rng)).collect();
    assert!(drawn.len() > 50);
}

#[test]
fn written_as_hexadecimal() {
    let id = NodeId([0xab; 20]);
    assert_eq!(id.to_string(), "ab".repeat(20));
    assert_eq!(std::format!("{id:?} {:?}", Distance::ZERO), std::format!("{} {}", "ab".repeat(20), "00".repeat(20)));
    assert_eq!(NodeId::from_slice(&[1; 20]), Some(NodeId([1; 20])));
    assert_eq!(NodeId::from_slice(&[1; 19]), None);
    assert_eq!(NodeId::from(InfoHash::from(id)), id);
}
