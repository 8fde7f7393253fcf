use super::*;
use crate::rng::{Seeds, Stream};
use core::time::Duration;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::vec;

/// Peers that do what the choker says, and time that passes.
#[derive(Clone, Debug)]
struct Swarm {
    now: Time,
    config: ChokeConfig,
    choker: Choker,
    seeding: bool,
    peers: Vec<ChokePeer>,
    /// Seconds that each peer was served, by key.
    served: BTreeMap<PeerKey, u64>,
}

impl Swarm {
    fn new(seeding: bool) -> Swarm {
        Swarm {
            now: Time::from_secs(1_000),
            config: ChokeConfig::default(),
            choker: Choker::new(Seeds::for_tests(3).decisions(Stream::Choker, 1)),
            seeding,
            peers: Vec::new(),
            served: BTreeMap::new(),
        }
    }

    /// A peer in a network of its own, that wants nothing yet.
    fn join(&mut self, key: u64) {
        let addr = IpAddr::from(Ipv4Addr::new(10, (key >> 8) as u8, key as u8, 1));
        self.peers.push(ChokePeer {
            key: PeerKey(key),
            addr,
            interested: false,
            choked: true,
            download_rate: 0,
            upload_rate: 0,
            uploaded: 0,
            snubbed: false,
            connected_at: self.now,
            upload_only: false,
        });
    }

    fn with(seeding: bool, count: u64) -> Swarm {
        let mut swarm = Swarm::new(seeding);
        for key in 0..count {
            swarm.join(key);
            swarm.interest(key, true);
        }
        swarm
    }

    fn peer(&mut self, key: u64) -> &mut ChokePeer {
        self.peers.iter_mut().find(|peer| peer.key == PeerKey(key)).unwrap()
    }

    fn interest(&mut self, key: u64, interested: bool) -> bool {
        self.peer(key).interested = interested;
        let peer = *self.peer(key);
        let unchoked = self.choker.interest_changed(self.now, &self.config, &peer);
        if unchoked {
            assert!(peer.choked);
            self.peer(key).choked = false;
        }
        unchoked
    }

    fn leave(&mut self, key: u64) {
        let uploaded = self.peers.iter().find(|peer| peer.key == PeerKey(key)).map_or(0, |peer| peer.uploaded);
        self.peers.retain(|peer| peer.key != PeerKey(key));
        self.choker.peer_gone(self.now, &self.config, PeerKey(key), uploaded);
    }

    fn round(&mut self) -> Vec<(PeerKey, bool)> {
        let changes = self.choker.round(self.now, &self.config, self.seeding, &self.peers);
        for &(key, unchoke) in &changes {
            let peer = self.peer(key.0);
            assert_eq!(peer.choked, unchoke, "only changes are said");
            peer.choked = !unchoke;
        }
        self.check();
        changes
    }

    /// Lets time pass, with a round whenever one is due.
    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            for peer in self.peers.iter().filter(|peer| !peer.choked && peer.interested) {
                *self.served.entry(peer.key).or_default() += 1;
            }
            for peer in self.peers.iter_mut().filter(|peer| !peer.choked && peer.interested) {
                peer.uploaded += peer.upload_rate;
            }
            self.now = self.now + Duration::from_secs(1);
            if self.choker.deadline().is_some_and(|due| due <= self.now) {
                self.round();
            }
        }
    }

    fn unchoked(&self) -> Vec<u64> {
        self.peers.iter().filter(|peer| !peer.choked).map(|peer| peer.key.0).collect()
    }

    fn check(&self) {
        let unchoked = self.unchoked();
        assert!(unchoked.len() <= self.config.slots as usize);
        assert_eq!(unchoked.len(), self.choker.served());
        let waiting = self.peers.iter().filter(|peer| peer.choked && peer.wants()).count();
        assert_eq!(waiting, self.choker.waiting());
        assert!(waiting == 0 || unchoked.len() == self.config.slots as usize, "a slot is free and somebody waits");
    }
}

#[test]
fn slots_follow_the_upload_limit() {
    let slots = [1, 9 << 10, 15 << 10, 42 << 10, 100 << 10, 1 << 20, u64::MAX].map(slots_for);
    assert_eq!(slots, [2, 3, 4, 5, 7, 24, 812_223]);
    for kib in 1..2_000 {
        assert!(slots_for(kib << 10) <= slots_for((kib + 1) << 10), "{kib}");
    }
}

#[test]
fn a_free_slot_is_given_at_once() {
    let mut swarm = Swarm::new(true);
    assert_eq!(swarm.choker.deadline(), None);
    for key in 0..10 {
        swarm.join(key);
        assert_eq!(swarm.interest(key, true), key < 8, "eight slots");
    }
    assert_eq!(swarm.choker.deadline(), Some(Time::from_secs(1_010)));
}

#[test]
fn a_slot_that_becomes_free_is_given_away_at_once_and_nothing_else_changes() {
    let mut swarm = Swarm::with(false, 10);
    swarm.run(25);
    let gone = swarm.unchoked()[0];
    let before = swarm.unchoked();
    swarm.leave(gone);
    assert_eq!(swarm.choker.deadline(), Some(Time::ZERO));
    let changes = swarm.round();
    assert_eq!(changes.len(), 1);
    assert!(changes[0].1 && !before.contains(&changes[0].0.0));
}

#[test]
fn interest_that_comes_and_goes_changes_nothing_while_nobody_waits() {
    let mut swarm = Swarm::with(false, 3);
    for _ in 0..20 {
        assert!(!swarm.interest(1, false));
        swarm.run(7);
        assert!(!swarm.interest(1, true));
        swarm.run(7);
        assert_eq!(swarm.unchoked(), [0, 1, 2]);
    }
    // When somebody waits, who wants nothing gives way in the next round.
    swarm.interest(1, false);
    for key in 3..9 {
        swarm.join(key);
        swarm.interest(key, true);
    }
    assert!(swarm.unchoked().contains(&1) && !swarm.unchoked().contains(&8));
    swarm.run(10);
    assert!(!swarm.unchoked().contains(&1) && swarm.unchoked().contains(&8));
}

#[test]
fn nobody_is_served_who_wants_nothing_or_never_will() {
    let mut swarm = Swarm::new(false);
    swarm.join(1);
    swarm.join(2);
    swarm.peer(2).upload_only = true;
    assert!(!swarm.interest(2, true));
    assert_eq!(swarm.choker.deadline(), None);
    swarm.round();
    assert_eq!(swarm.unchoked(), []);
}

#[test]
fn those_who_give_most_are_served_while_we_download() {
    let mut swarm = Swarm::with(false, 20);
    for key in 0..20 {
        swarm.peer(key).download_rate = key * 10_000;
    }
    swarm.run(200);
    swarm.served.clear();
    swarm.run(300);
    for best in 13..20 {
        assert_eq!(swarm.served.get(&PeerKey(best)), Some(&300), "{best} of {:?}", swarm.served);
    }
    // The eighth slot goes round.
    let others = (0..13).filter(|&key| swarm.served.contains_key(&PeerKey(key))).count();
    assert!(others >= 9, "{:?}", swarm.served);
    // A free-rider gets far less than a contributor.
    assert!((0..13).all(|key| swarm.served.get(&PeerKey(key)).copied().unwrap_or(0) * 4 <= 300));
}

#[test]
fn a_snubbing_peer_loses_its_slot_to_one_that_gives() {
    let mut swarm = Swarm::with(false, 9);
    for key in 0..9 {
        swarm.peer(key).download_rate = 100_000 + key * 10_000;
    }
    swarm.run(100);
    assert!(swarm.unchoked().contains(&8));
    swarm.peer(8).snubbed = true;
    swarm.run(60);
    swarm.served.clear();
    swarm.run(300);
    assert!(swarm.served.get(&PeerKey(8)).copied().unwrap_or(0) <= 180, "{:?}", swarm.served);
}

#[test]
fn few_change_in_one_round_and_nobody_is_choked_at_once() {
    let mut swarm = Swarm::with(false, 30);
    let mut since: BTreeMap<PeerKey, Time> = BTreeMap::new();
    for round in 0u64..200 {
        for key in 0..30 {
            swarm.peer(key).download_rate = (key * 7_919 + round * 104_729) % 1_000_003;
        }
        swarm.now = swarm.now + Duration::from_secs(10);
        let changes = swarm.round();
        let choked: Vec<PeerKey> = changes.iter().filter(|change| !change.1).map(|change| change.0).collect();
        assert!(choked.len() <= 2, "one for the better, one optimistic");
        for key in choked {
            assert!(since.get(&key).is_none_or(|&since| swarm.now.since(since) >= swarm.config.min_served));
        }
        since.extend(changes.iter().filter(|change| change.1).map(|change| (change.0, swarm.now)));
    }
}

#[test]
fn equal_rates_change_nothing_but_the_optimistic_slot() {
    let mut swarm = Swarm::with(false, 12);
    (0..12).for_each(|key| swarm.peer(key).download_rate = 50_000 + key);
    swarm.run(30);
    let mut kept: BTreeSet<u64> = swarm.unchoked().into_iter().collect();
    for _ in 0..30 {
        swarm.run(10);
        let unchoked: BTreeSet<u64> = swarm.unchoked().into_iter().collect();
        kept.retain(|key| unchoked.contains(key));
    }
    assert_eq!(kept.len(), 7);
}

/// Oracle: every interested peer gets an optimistic turn within 30 s times their number.
#[test]
fn the_optimistic_slot_reaches_everybody() {
    for count in [9u64, 20, 60] {
        let mut swarm = Swarm::with(false, count);
        // Seven unbeatable ones: all others depend on the optimistic slot.
        (0..7).for_each(|key| swarm.peer(key).download_rate = 1_000_000);
        swarm.run(60);
        swarm.served.clear();
        swarm.run(30 * count);
        for key in 7..count {
            let time = swarm.served.get(&PeerKey(key)).copied().unwrap_or(0);
            let share = 30 * count / (count - 7);
            assert!((30..=share + 30).contains(&time), "{key} of {count}: {time} s, {:?}", swarm.served);
        }
    }
}

#[test]
fn new_connections_are_three_times_as_likely_to_come_first() {
    let mut swarm = Swarm::new(false);
    let mut first = 0;
    let mut elsewhere = vec![0u32; 10];
    for trial in 0..2_400u64 {
        swarm.choker.rotation = (0..9).map(PeerKey).collect();
        let newcomer = PeerKey(100 + trial);
        swarm.join(newcomer.0);
        let mut peers: BTreeMap<PeerKey, &ChokePeer> = BTreeMap::new();
        let template = swarm.peers[0];
        let old: Vec<ChokePeer> = (0..9).map(|key| ChokePeer { key: PeerKey(key), ..template }).collect();
        peers.extend(old.iter().map(|peer| (peer.key, peer)));
        peers.insert(newcomer, &template);
        swarm.choker.take_stock(swarm.now, &swarm.config, &peers);
        match swarm.choker.rotation.iter().position(|&key| key == newcomer).unwrap() {
            0 => first += 1,
            at => elsewhere[at] += 1,
        }
    }
    // Weights 3 and nine times 1: 600 and 200 each of 2,400.
    assert!((530..670).contains(&first), "{first}");
    assert!(elsewhere[1..].iter().all(|count| (150..250).contains(count)), "{elsewhere:?}");
}

#[test]
fn a_seed_serves_everybody_the_same_and_the_fast_no_longer() {
    let mut swarm = Swarm::with(true, 32);
    (0..4).for_each(|key| swarm.peer(key).upload_rate = 100_000_000);
    swarm.run(32 * 60);
    swarm.served.clear();
    swarm.run(32 * 60 * 2);
    let times: Vec<u64> = (0..32).map(|key| swarm.served.get(&PeerKey(key)).copied().unwrap_or(0)).collect();
    // Jain's index: 1 when all are equal.
    let (fast, others) = times.split_at(4);
    let (sum, squares) = (others.iter().sum::<u64>(), others.iter().map(|time| time * time).sum::<u64>());
    assert!(sum * sum * 100 >= 95 * 28 * squares, "{times:?}");
    // What they take in ten seconds is more than the others take in all.
    assert!(fast.iter().all(|&time| 0 < time && time <= sum / 28), "{times:?}");
}

#[test]
fn a_seed_does_not_change_all_slots_at_once() {
    let mut swarm = Swarm::with(true, 32);
    for _ in 0..100 {
        swarm.now = swarm.now + Duration::from_secs(10);
        let unchoked = swarm.round().iter().filter(|change| change.1).count();
        assert!(unchoked <= 2, "{unchoked}");
    }
}

#[test]
fn many_addresses_of_one_network_get_one_slot_while_others_wait() {
    let mut swarm = Swarm::new(true);
    for key in 0..40 {
        swarm.join(key);
        swarm.peer(key).addr = IpAddr::from(Ipv4Addr::new(192, 0, 2, key as u8 + 1));
        swarm.interest(key, true);
    }
    assert_eq!(swarm.unchoked().len(), 8, "alone, they may have all");
    for key in 100..110 {
        swarm.join(key);
        swarm.interest(key, true);
    }
    swarm.run(300);
    swarm.served.clear();
    swarm.run(600);
    let sybils: u64 = (0..40).filter_map(|key| swarm.served.get(&PeerKey(key))).sum();
    let honest: u64 = (100..110).filter_map(|key| swarm.served.get(&PeerKey(key))).sum();
    assert!(sybils * 4 <= honest, "{sybils} s against {honest} s");
}

#[test]
fn networks_are_what_one_customer_has() {
    let of = |text: &str| network(text.parse().unwrap());
    assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
    assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.7"));
    assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
    assert_eq!(of("2001:db8:1::1"), of("2001:db8:1:ffff::1"));
    assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
}

#[test]
fn fewer_slots_choke_the_last_in_rank() {
    let mut swarm = Swarm::with(false, 8);
    (0..8).for_each(|key| swarm.peer(key).download_rate = key * 100_000);
    swarm.config.slots = 3;
    swarm.round();
    assert_eq!(swarm.unchoked(), [5, 6, 7]);
}

#[derive(Clone, Debug)]
enum Op {
    Join,
    Leave(u64),
    Interest(u64, bool),
    Rate(u64, u64),
    Snub(u64, bool),
    UploadOnly(u64),
    Seeding(bool),
    Slots(u32),
    Wait(u64),
    Round,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0u64..30;
    prop_oneof![
        4 => Just(Op::Join),
        1 => key.clone().prop_map(Op::Leave),
        6 => (key.clone(), any::<bool>()).prop_map(|(key, on)| Op::Interest(key, on)),
        3 => (key.clone(), 0u64..1_000_000).prop_map(|(key, rate)| Op::Rate(key, rate)),
        1 => (key.clone(), any::<bool>()).prop_map(|(key, on)| Op::Snub(key, on)),
        1 => key.prop_map(Op::UploadOnly),
        1 => any::<bool>().prop_map(Op::Seeding),
        1 => (2u32..10).prop_map(Op::Slots),
        4 => (1u64..40).prop_map(Op::Wait),
        1 => Just(Op::Round),
    ]
}

proptest! {
    /// Whatever happens: what was said adds up, slots are never exceeded, none stays free while somebody waits, a round
    /// that is not due chokes nobody, and two chokers told the same say the same.
    #[test]
    fn slots_are_kept_and_used(ops in proptest::collection::vec(op(), 0..200)) {
        let mut swarm = Swarm::new(false);
        let mut joined = 0;
        for op in ops {
            let there = |swarm: &Swarm, key: u64| swarm.peers.iter().any(|peer| peer.key == PeerKey(key));
            match op {
                Op::Join => {
                    swarm.join(joined);
                    joined += 1;
                }
                Op::Leave(key) => swarm.leave(key),
                Op::Interest(key, on) if there(&swarm, key) => _ = swarm.interest(key, on),
                Op::Rate(key, rate) if there(&swarm, key) => swarm.peer(key).download_rate = rate,
                Op::Snub(key, on) if there(&swarm, key) => swarm.peer(key).snubbed = on,
                Op::UploadOnly(key) if there(&swarm, key) => {
                    swarm.peer(key).upload_only = true;
                    let interested = swarm.peer(key).interested;
                    swarm.interest(key, interested);
                }
                Op::Seeding(seeding) => swarm.seeding = seeding,
                Op::Slots(slots) => swarm.config.slots = slots,
                Op::Wait(seconds) => swarm.run(seconds),
                Op::Round => {
                    let early = swarm.now < swarm.choker.next_round && swarm.choker.served() <= swarm.config.slots as usize;
                    let mut twin = swarm.clone();
                    let changes = swarm.round();
                    prop_assert_eq!(&twin.round(), &changes);
                    prop_assert!(!early || changes.iter().all(|change| change.1));
                }
                _ => {}
            }
            if swarm.choker.deadline().is_none() {
                prop_assert!(swarm.peers.iter().all(|peer| !peer.wants()));
            }
        }
        // Everybody is served in the end: nobody is forgotten.
        let all: Vec<u64> = swarm.peers.iter().filter(|peer| !peer.upload_only).map(|peer| peer.key.0).collect();
        for &key in &all {
            swarm.interest(key, true);
            swarm.peer(key).download_rate = 0;
        }
        swarm.served.clear();
        swarm.run(40 * (all.len() as u64 + 2));
        for key in all {
            prop_assert!(swarm.served.contains_key(&PeerKey(key)), "{} was never served", key);
        }
    }
}

/// Seconds of service, by network.
fn by_network(swarm: &Swarm, addrs: &BTreeMap<PeerKey, IpAddr>) -> BTreeMap<IpAddr, u64> {
    let mut seconds = BTreeMap::new();
    for (key, served) in &swarm.served {
        *seconds.entry(network(addrs[key])).or_default() += served;
    }
    seconds
}

#[test]
fn a_fast_peer_does_not_drain_a_seed() {
    let mut swarm = Swarm::with(true, 10);
    swarm.config.slots = 4;
    for key in 0..10 {
        swarm.peer(key).upload_rate = if key == 0 { 10 << 20 } else { 50 << 10 };
    }
    swarm.run(3_600);
    let fast = swarm.served[&PeerKey(0)];
    let others: u64 = (1..10).map(|key| swarm.served[&PeerKey(key)]).sum();
    // A turn of ten seconds gives it its quota six times over; it comes last when a slot is passed on.
    assert!(fast * 9 <= others / 2, "{fast} against {others} of nine");
    assert!(fast >= 60, "and yet it is served: {fast}");
}

#[test]
fn a_network_of_many_addresses_or_many_names_does_not_drain_a_seed() {
    for comes_again in [false, true] {
        let mut swarm = Swarm::with(true, 12);
        swarm.config.slots = 4;
        let mut addrs: BTreeMap<PeerKey, IpAddr> = swarm.peers.iter().map(|peer| (peer.key, peer.addr)).collect();
        let mut thief = 100;
        let attack = |swarm: &mut Swarm, addrs: &mut BTreeMap<PeerKey, IpAddr>, key: u64| {
            swarm.join(key);
            let addr = IpAddr::from(Ipv4Addr::new(99, 9, 9, key as u8));
            swarm.peer(key).addr = addr;
            swarm.interest(key, true);
            addrs.insert(PeerKey(key), addr);
        };
        for _ in 0..if comes_again { 1 } else { 30 } {
            attack(&mut swarm, &mut addrs, thief);
            thief += 1;
        }
        for peer in &mut swarm.peers {
            peer.upload_rate = 50 << 10;
        }
        for second in 0..3_600 {
            swarm.run(1);
            let last = thief - 1;
            // It has lost its slot: it comes again as somebody else.
            if comes_again && second % 15 == 14 && swarm.peer(last).choked {
                swarm.leave(last);
                attack(&mut swarm, &mut addrs, thief);
                swarm.peer(thief).upload_rate = 50 << 10;
                thief += 1;
            }
        }
        let seconds = by_network(&swarm, &addrs);
        let theirs = seconds[&network(IpAddr::from(Ipv4Addr::new(99, 9, 9, 1)))];
        let honest = (seconds.values().sum::<u64>() - theirs) / 12;
        assert!(theirs * 4 <= honest * 5, "{comes_again}: {theirs} seconds against {honest}");
    }
}

#[test]
fn the_optimistic_slot_goes_round_networks() {
    let mut swarm = Swarm::new(false);
    swarm.config.slots = 2;
    // The best one holds the other slot.
    swarm.join(0);
    swarm.interest(0, true);
    swarm.peer(0).download_rate = 1 << 20;
    let mut addrs: BTreeMap<PeerKey, IpAddr> = BTreeMap::new();
    for key in 1..26 {
        swarm.join(key);
        if key >= 6 {
            swarm.peer(key).addr = IpAddr::from(Ipv4Addr::new(99, 9, 9, key as u8));
        }
        swarm.interest(key, true);
    }
    addrs.extend(swarm.peers.iter().map(|peer| (peer.key, peer.addr)));
    swarm.run(3_600);
    let mut seconds = by_network(&swarm, &addrs);
    seconds.remove(&network(addrs[&PeerKey(0)]));
    let (least, most) = (seconds.values().min().unwrap(), seconds.values().max().unwrap());
    assert_eq!(seconds.len(), 6);
    assert!(*most <= least * 5 / 4 + 60, "{seconds:?}");
}
