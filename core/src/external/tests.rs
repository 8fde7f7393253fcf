use super::*;
use core::time::Duration;
use proptest::prelude::*;
use std::format;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

struct Rig {
    voted: ExternalAddresses,
    config: ExternalConfig,
    now: Time,
}

impl Rig {
    fn new() -> Rig {
        Rig { voted: ExternalAddresses::default(), config: ExternalConfig::default(), now: Time::from_secs(10) }
    }

    fn vote(&mut self, address: &str, voter: &str) -> bool {
        self.voted.vote(self.now, &self.config, ip(address), ip(voter))
    }

    fn v4(&self) -> Option<IpAddr> {
        self.voted.get(false)
    }
}

#[test]
fn one_source_alone_neither_sets_nor_changes_our_address() {
    let mut rig = Rig::new();
    // Its whole network is one source, however often it speaks.
    for last in 1..200 {
        assert!(!rig.vote("44.0.0.1", &format!("80.1.1.{last}")));
    }
    assert_eq!(rig.v4(), None);
    assert!(rig.vote("44.0.0.1", "80.1.2.1"));
    assert_eq!(rig.v4(), Some(ip("44.0.0.1")));
    for last in 1..200 {
        assert!(!rig.vote("44.0.0.2", &format!("80.1.3.{last}")));
    }
    assert_eq!(rig.v4(), Some(ip("44.0.0.1")));
}

#[test]
fn a_new_address_needs_more_votes_than_the_old_one_has() {
    let mut rig = Rig::new();
    for net in 0..3 {
        rig.vote("44.0.0.1", &format!("80.1.{net}.1"));
    }
    for net in 10..13 {
        assert!(!rig.vote("44.0.0.2", &format!("80.1.{net}.1")), "as many are not more");
    }
    assert!(rig.vote("44.0.0.2", "80.1.13.1"));
    assert_eq!(rig.v4(), Some(ip("44.0.0.2")));
    // Those who change their mind take their vote along.
    assert!(rig.vote("44.0.0.1", "80.1.10.1"), "four to three");
    assert!(!rig.vote("44.0.0.1", "80.1.11.1"), "it is believed already");
}

#[test]
fn families_are_apart() {
    let mut rig = Rig::new();
    rig.vote("44.0.0.1", "80.1.1.1");
    rig.vote("44.0.0.1", "80.1.2.1");
    assert!(!rig.vote("2a00:1::1", "2a01:0:1::1"));
    assert!(!rig.vote("2a00:1::1", "2a01:0:1:ffff::1"), "one /48");
    assert!(rig.vote("2a00:1::1", "2a01:0:2::1"));
    assert_eq!((rig.v4(), rig.voted.get(true)), (Some(ip("44.0.0.1")), Some(ip("2a00:1::1"))));
    // Nobody sees us in the other family; IPv4 written as IPv6 is IPv4.
    assert!(!rig.vote("2a00:9::1", "80.1.1.1") && !rig.vote("2a00:9::1", "80.1.2.1"));
    assert!(!rig.vote("::ffff:44.0.0.3", "::ffff:80.1.1.1") && rig.vote("::ffff:44.0.0.3", "80.1.3.1"));
    assert_eq!(rig.v4(), Some(ip("44.0.0.3")));
}

#[test]
fn only_the_open_internet_votes_and_only_for_its_own_addresses() {
    let mut rig = Rig::new();
    for address in ["10.0.0.1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.0.1", "192.168.0.1"] {
        assert!(!rig.vote(address, "80.1.1.1") && !rig.vote(address, "80.1.2.1"), "{address}");
        assert!(!rig.vote("44.0.0.1", address), "{address} does not see us from outside");
    }
    assert_eq!(rig.v4(), None);
}

#[test]
fn votes_grow_old() {
    let mut rig = Rig::new();
    rig.vote("44.0.0.1", "80.1.1.1");
    rig.now = rig.now + rig.config.vote_life + Duration::from_secs(1);
    assert!(!rig.vote("44.0.0.1", "80.1.2.1"), "the first has been forgotten");
    assert!(rig.vote("44.0.0.1", "80.1.3.1"));
    rig.now = rig.now + rig.config.vote_life + Duration::from_secs(1);
    assert!(!rig.vote("44.0.0.2", "80.1.1.1"));
    assert_eq!(rig.v4(), Some(ip("44.0.0.1")), "kept until another one is believed");
    assert!(rig.vote("44.0.0.2", "80.1.2.1"));
}

#[test]
fn a_change_of_interfaces_makes_all_forgotten() {
    let mut rig = Rig::new();
    rig.vote("44.0.0.1", "80.1.1.1");
    rig.vote("44.0.0.1", "80.1.2.1");
    rig.voted.reset();
    assert_eq!(rig.v4(), None);
    assert!(!rig.vote("44.0.0.1", "80.1.1.1"));
}

proptest! {
    /// Memory is bounded, and an address that is believed was named by two networks at least.
    #[test]
    fn no_flood_fills_the_memory(votes in proptest::collection::vec((0u32..5, 0u32..2000, 0u64..4000), 0..400)) {
        let mut rig = Rig::new();
        let mut seen: BTreeMap<IpAddr, std::collections::BTreeSet<u32>> = BTreeMap::new();
        for (address, net, seconds) in votes {
            rig.now = rig.now + Duration::from_secs(seconds);
            let address = IpAddr::from([44, 0, 0, address as u8]);
            let voter = IpAddr::from((80 << 24 | net << 8 | 1).to_be_bytes());
            let changed = rig.voted.vote(rig.now, &rig.config, address, voter);
            seen.entry(address).or_default().insert(net);
            if changed {
                prop_assert_eq!(rig.v4(), Some(address));
                prop_assert!(seen[&address].len() >= 2);
            }
            prop_assert!(rig.voted.v4.votes.len() <= rig.config.max_votes as usize);
        }
    }
}
