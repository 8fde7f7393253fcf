use super::*;
use proptest::prelude::*;
use std::format;

fn key() -> Key {
    Key::new([3; 32], 0)
}

fn assigned(ips: &[IpAddr]) -> Addresses {
    let mut addresses = Addresses::default();
    ips.iter().for_each(|&ip| addresses.note(ip));
    addresses.assign(&key()).expect("there are enough");
    addresses
}

/// What the core calls a network: /24 of IPv4; /48, and /64 where it means one machine.
fn network(ip: IpAddr, bits: u32) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits() >> 8),
        IpAddr::V6(ip) => ip.to_bits() >> (128 - bits) | 1 << 127,
    }
}

fn v4() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        // Many in few networks.
        (0u8..3, 0u8..4).prop_map(|(net, host)| IpAddr::from([45, 10, net, host])),
        (0u8..3, 0u8..4).prop_map(|(net, host)| IpAddr::from([192, 168, net, host])),
        (0u8..3, 0u8..4).prop_map(|(net, host)| IpAddr::from([11, 0, net, host])),
        any::<u8>().prop_map(|host| IpAddr::from([127, 0, 0, host])),
        any::<[u8; 2]>().prop_map(|[a, b]| IpAddr::from([169, 254, a, b])),
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([224, a, b, c])),
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([0, a, b, c])),
    ]
}

fn v6() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u16; 8]>().prop_map(IpAddr::from),
        (0u16..3, 0u16..3, 0u16..9).prop_map(|(net, sub, host)| IpAddr::from([0x2a00, 1, net, sub, 0, 0, 0, host])),
        (0u16..3, 0u16..9).prop_map(|(net, host)| IpAddr::from([0xfd00, 7, net, 0, 0, 0, 0, host])),
        (0u16..9).prop_map(|host| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, host])),
        v4().prop_map(|ip| match ip {
            IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
            ip => ip,
        }),
        any::<[u16; 3]>().prop_map(|[a, b, c]| IpAddr::from([0x2002, a, b, c, 0, 0, 0, 1])),
        any::<[u16; 2]>().prop_map(|[a, b]| IpAddr::from([0x64, 0xff9b, 0, 0, 0, 0, a, b])),
    ]
}

proptest! {
    #[test]
    fn what_the_core_asks_of_addresses_stays(ips in prop::collection::vec(prop_oneof![v4(), v6()], 1..120)) {
        let addresses = assigned(&ips);
        let pairs: Vec<(IpAddr, IpAddr)> = ips.iter().map(|&ip| (ip, addresses.get(ip).unwrap())).collect();
        for &(old, new) in &pairs {
            prop_assert_eq!(AddrClass::of(old), AddrClass::of(new), "{} became {}", old, new);
            prop_assert_eq!(old.is_ipv4(), new.is_ipv4());
            prop_assert_eq!(old.to_canonical().is_ipv4(), new.to_canonical().is_ipv4());
            prop_assert_eq!(old.is_multicast(), new.is_multicast());
            prop_assert_eq!(old.is_unspecified(), new.is_unspecified());
            let first = |ip: IpAddr| matches!(ip.to_canonical(), IpAddr::V4(ip) if ip.octets()[0] == 0);
            prop_assert_eq!(first(old), first(new), "{} became {}", old, new);
        }
        for &(old, new) in &pairs {
            for &(other, other_new) in &pairs {
                for bits in [48, 64] {
                    let together = network(old, bits) == network(other, bits);
                    prop_assert_eq!(together, network(new, bits) == network(other_new, bits), "{} and {}", old, other);
                }
                prop_assert_eq!(old.to_canonical() == other.to_canonical(), new.to_canonical() == other_new.to_canonical());
            }
        }
    }

    #[test]
    fn those_of_a_class_keep_their_order(ips in prop::collection::vec(v4(), 1..120)) {
        let addresses = assigned(&ips);
        let mut sorted = ips.clone();
        sorted.sort();
        sorted.dedup();
        for class in [Pool::Global, Pool::Private, Pool::Loopback, Pool::LinkLocal, Pool::Multicast, Pool::Unusable] {
            let of_it = sorted.iter().filter(|ip| pool(**ip) == class && !stays(**ip));
            let new: Vec<IpAddr> = of_it.map(|&ip| addresses.get(ip).unwrap()).collect();
            prop_assert!(new.is_sorted_by(|a, b| a < b), "{class:?}: {new:?}");
        }
    }

    #[test]
    fn no_pseudonym_lies_where_an_original_does(ips in prop::collection::vec(v4(), 1..120)) {
        let addresses = assigned(&ips);
        let networks: BTreeSet<u128> = ips.iter().filter(|ip| !stays(**ip)).map(|&ip| network(ip, 48)).collect();
        for &ip in ips.iter().filter(|ip| !stays(**ip)) {
            prop_assert!(!networks.contains(&network(addresses.get(ip).unwrap(), 48)), "{ip}");
        }
    }
}

#[test]
fn addresses_that_say_nothing_stay() {
    let ips = ["0.0.0.0", "255.255.255.255", "::", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
    let addresses = assigned(&ips);
    assert_eq!(ips.map(|ip| addresses.get(ip)), ips.map(Some));
    assert_eq!(addresses.get("1.2.3.4".parse().unwrap()), None, "it was not noted");
}

#[test]
fn an_address_within_another_has_its_pseudonym_there_too() {
    let inner: IpAddr = "45.1.2.3".parse().unwrap();
    let around = ["::ffff:45.1.2.3", "2002:2d01:203::1", "64:ff9b::45.1.2.3"].map(|ip| ip.parse::<IpAddr>().unwrap());
    let addresses = assigned(&around);
    let IpAddr::V4(new) = addresses.get(inner).unwrap() else { panic!("another family") };
    let [mapped, six, nat] = around.map(|ip| addresses.get(ip).unwrap());
    assert_eq!(mapped, IpAddr::V6(new.to_ipv6_mapped()));
    let [a, b, c, d] = new.octets();
    let IpAddr::V6(six) = six else { panic!("another family") };
    assert_eq!(six.octets()[..6], [0x20, 0x02, a, b, c, d]);
    assert_eq!(nat, format!("64:ff9b::{new}").parse::<IpAddr>().unwrap());
}

#[test]
fn another_key_makes_other_pseudonyms_and_many_find_a_place() {
    let many: Vec<IpAddr> = (0..60_000u32).map(|n| IpAddr::from((0x2d00_0000 + n * 256).to_be_bytes())).collect();
    let one = assigned(&many);
    let mut other = Addresses::default();
    many.iter().for_each(|&ip| other.note(ip));
    other.assign(&Key::new([4; 32], 0)).unwrap();
    let equal = many.iter().filter(|&&ip| one.get(ip) == other.get(ip)).count();
    assert!(equal < 600, "{equal} of {}", many.len());
    // All link-local networks: none is left for pseudonyms.
    let mut full = Addresses::default();
    (0..=255).for_each(|net| full.note(IpAddr::from([169, 254, net, 1])));
    assert_eq!(full.assign(&key()), Err(TooMany));
}
