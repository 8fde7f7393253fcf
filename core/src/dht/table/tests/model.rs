//! A naive twin of the table: it remembers everything that was said, and judges each step by looking at everybody.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Op {
    Answered(usize, usize),
    Asked(usize, usize),
    Failed(usize, usize),
    FailedUntilForgotten(usize, usize),
    Refresh,
    SetOwn(usize),
    Closest(usize, usize),
    Wait(u64),
}

fn small() -> DhtConfig {
    DhtConfig { k: 2, root_bits: 2, replacements: 2, max_per_network: 3, ..DhtConfig::default() }
}

/// Hosts in six networks, so that some share one; and one host twice, at two ports.
fn addresses() -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> =
        (0..6u8).flat_map(|net| (1..4u8).map(move |host| SocketAddr::from(([50, 0, net, host], 1)))).collect();
    all.push(SocketAddr::from(([50, 0, 0, 1], 2)));
    all
}

/// Ids of all ranges; the first of them fit the address of their number.
fn ids() -> Vec<NodeId> {
    let mut rng = rng();
    let mut all: Vec<NodeId> =
        addresses().iter().take(12).map(|addr| NodeId::for_address(addr.ip(), 1, &mut rng)).collect();
    all.extend((0..16u8).map(|n| NodeId([n * 16 + 1; 20])));
    all.extend([NodeId([1; 20]), NodeId([2; 20]), NodeId([3; 20])]);
    all
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (id, addr) = (0..ids().len(), 0..addresses().len());
    let pair = prop_oneof![(0usize..12).prop_map(|n| (n, n)), (id.clone(), addr)];
    let op = prop_oneof![
        10 => pair.clone().prop_map(|(id, addr)| Op::Answered(id, addr)),
        2 => pair.clone().prop_map(|(id, addr)| Op::Asked(id, addr)),
        4 => pair.clone().prop_map(|(id, addr)| Op::Failed(id, addr)),
        1 => pair.prop_map(|(id, addr)| Op::FailedUntilForgotten(id, addr)),
        1 => Just(Op::Refresh),
        1 => id.clone().prop_map(Op::SetOwn),
        2 => (id, 0usize..6).prop_map(|(id, count)| Op::Closest(id, count)),
        2 => (0u64..1000).prop_map(Op::Wait),
    ];
    proptest::collection::vec(op, 1..120)
}

/// What the twin knows of a pair of id and address: when it last answered, and asked.
type Heard = BTreeMap<(NodeId, SocketAddr), (Time, Option<Time>)>;

fn everybody(table: &Table) -> BTreeSet<(NodeId, SocketAddr)> {
    table.contacts().chain(table.waiting()).map(|contact| (contact.id, contact.addr)).collect()
}

fn laws(table: &Table, now: Time, config: &DhtConfig, heard: &Heard) {
    let mut ranges: BTreeMap<Range, (u32, u32)> = BTreeMap::new();
    let mut networks: BTreeMap<u64, u32> = BTreeMap::new();
    let mut hosts = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (contact, live) in
        table.contacts().map(|contact| (contact, true)).chain(table.waiting().map(|contact| (contact, false)))
    {
        assert_ne!(contact.id, table.own());
        let known = heard.get(&(contact.id, contact.addr));
        let (answered, _) = known.expect("nobody is known who has not answered");
        assert_eq!(contact.answered, *answered);
        assert!(hosts.insert(Host::of(contact.addr)), "{contact:?}: its host is there twice");
        assert!(names.insert(contact.id), "{contact:?}: its id is there twice");
        *networks.entry(network_of(contact.addr).unwrap()).or_default() += 1;
        let counts = ranges.entry(Range::of(table.own(), contact.id, config)).or_default();
        if live { counts.0 += 1 } else { counts.1 += 1 }
    }
    assert!(networks.values().all(|count| *count <= config.max_per_network), "{networks:?}");
    for (range, (live, waiting)) in &ranges {
        assert!(*live <= config.k && *waiting <= config.replacements, "{range:?}");
        let of_range = |contact: &&Contact| Range::of(table.own(), contact.id, config) == *range;
        let good_waits =
            table.waiting().filter(of_range).any(|contact| contact.standing(now, config) == Standing::Good);
        let bad_lives = table.contacts().filter(of_range).any(|c| c.standing(now, config) == Standing::Bad);
        assert!(!good_waits || *live == config.k && !bad_lives, "{range:?}: somebody waits for nothing");
    }
}

proptest! {
    #[test]
    fn the_table_keeps_its_laws(ops in ops()) {
        let (config, ids, addresses) = (small(), ids(), addresses());
        let (mut table, mut now, mut rng) = (Table::new(OWN), Time::ZERO, rng());
        let mut heard: Heard = BTreeMap::new();
        for op in ops {
            let before = table.clone();
            match op {
                Op::Answered(id, addr) => {
                    let (id, addr) = (ids[id], addresses[addr]);
                    let entry = table.answered(now, &config, id, addr, RTT);
                    if matches!(entry, Entry::Added | Entry::Waiting) {
                        heard.insert((id, addr), (now, None));
                    } else if entry == Entry::Known {
                        heard.entry((id, addr)).and_modify(|heard| heard.0 = now);
                    }
                    let inside = everybody(&table).contains(&(id, addr));
                    assert_eq!(inside, !matches!(entry, Entry::Refused(_)), "{entry:?}");
                    // Nobody who is good goes, but for being of an id that does not fit (that one waits), or of the same host.
                    for gone in before.contacts() {
                        if table.contacts().any(|contact| contact.id == gone.id) {
                            continue;
                        }
                        let good = gone.standing(now, &config) == Standing::Good && gone.failures == 0;
                        let changed = gone.addr == addr && entry == Entry::Refused(Refused::IdChanged);
                        let unfit = !gone.verified && id.is_valid_for(addr.ip());
                        assert!(!good || changed || unfit, "{gone:?} went for {id:?}: {entry:?}");
                    }
                }
                Op::Asked(id, addr) => {
                    let (id, addr) = (ids[id], addresses[addr]);
                    let worth = table.asked(now, &config, id, addr);
                    if let Some(heard) = heard.get_mut(&(id, addr)) {
                        heard.1 = Some(now);
                    }
                    if worth {
                        let mut copy = table.clone();
                        let changed = Entry::Refused(Refused::IdChanged);
                        let entry = copy.answered(now, &config, id, addr, RTT);
                        assert!(entry == Entry::Added || entry == changed, "{entry:?}");
                    }
                }
                Op::Failed(id, addr) => table.failed(now, &config, ids[id], addresses[addr]),
                Op::FailedUntilForgotten(id, addr) => {
                    for _ in 0..config.forget_after {
                        table.failed(now, &config, ids[id], addresses[addr]);
                    }
                    assert!(!everybody(&table).contains(&(ids[id], addresses[addr])));
                }
                Op::Refresh => {
                    let due: Vec<_> = table.contacts().filter(|c| c.refresh_at(&config) <= now).map(|c| c.id).collect();
                    let mut asked = Vec::new();
                    while let Some((contact, _)) = table.refresh(now, &config, &mut rng) {
                        asked.push(contact.id);
                        assert!(asked.len() <= due.len());
                    }
                    assert_eq!(asked.iter().collect::<BTreeSet<_>>(), due.iter().collect::<BTreeSet<_>>());
                    let next = table.contacts().map(|contact| contact.refresh_at(&config)).min();
                    assert!(table.refresh_at() <= next || next.is_none());
                }
                Op::SetOwn(id) => {
                    table.set_own(now, &config, ids[id]);
                    assert!(everybody(&table).is_subset(&everybody(&before)));
                }
                Op::Closest(id, count) => {
                    let target = ids[id];
                    let found = table.closest(now, &config, target, count);
                    let of = |standing| {
                        let mut all: Vec<_> =
                            table.contacts().filter(|c| c.standing(now, &config) == standing).map(|c| c.id).collect();
                        all.sort_by_key(|id| id.distance(target));
                        all
                    };
                    let mut naive = of(Standing::Good);
                    naive.truncate(count);
                    naive.extend(of(Standing::Questionable).into_iter().take(count - naive.len()));
                    naive.sort_by_key(|id| id.distance(target));
                    assert_eq!(found.iter().map(|contact| contact.id).collect::<Vec<_>>(), naive);
                }
                Op::Wait(seconds) => now = now + Duration::from_secs(seconds),
            }
            laws(&table, now, &config, &heard);
            assert_eq!(table.len(), table.contacts().count());
        }
    }
}
