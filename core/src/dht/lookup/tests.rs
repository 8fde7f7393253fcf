use super::patience::Patience;
use super::*;
use crate::rng::{Rng, Seeds, Stream};
use core::net::Ipv4Addr;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

const PATIENCE: Duration = Duration::from_millis(200);
const OWN: NodeId = NodeId([0x55; 20]);

fn rng(seed: u8) -> Rng {
    Seeds::for_tests(seed).decisions(Stream::Dht, 9)
}

fn config() -> DhtConfig {
    DhtConfig::default()
}

type Node = (NodeId, SocketAddr);

/// Nodes at addresses of their own networks, with ids that fit.
fn network(count: u32, rng: &mut Rng) -> Vec<Node> {
    (0..count)
        .map(|n| {
            let ip = Ipv4Addr::from(0x2000_0001 + (rng.below(0x40_0000) as u32) * 256 + n % 200);
            let last = rng.below(256) as u8;
            (NodeId::for_address(ip.into(), last, rng), SocketAddr::from((ip, 6881)))
        })
        .collect()
}

fn closest(nodes: &[Node], target: NodeId, count: usize) -> Vec<Node> {
    let mut all = nodes.to_vec();
    all.sort_by_key(|(id, _)| id.distance(target));
    all.dedup_by_key(|(_, addr)| addr.ip());
    all.truncate(count);
    all
}

/// Makes an id for an address that lies close to a key: no more than the address allows, when it is to fit.
fn sybil(target: NodeId, n: u8) -> Node {
    let mut id = target;
    id.0[18] ^= n.max(1);
    (id, SocketAddr::from(([7, n, 7, 7], 6881)))
}

struct Run {
    lookup: Lookup,
    now: Time,
    asked: BTreeMap<SocketAddr, Time>,
    longest_list: usize,
}

impl Run {
    fn new(target: NodeId, start: &[Node]) -> Run {
        let begin = Start { now: Time::ZERO, own: OWN, target, neighbourhood: 6 };
        Run {
            lookup: Lookup::begin(&config(), begin, start.iter().copied()),
            now: Time::ZERO,
            asked: BTreeMap::new(),
            longest_list: 0,
        }
    }

    /// Runs it to its end. `answer`: what a node says, and after which time; `None`: nothing.
    fn run(&mut self, mut answer: impl FnMut(Node) -> Option<(Duration, Node, Vec<Node>)>) {
        let mut coming: Vec<(Time, SocketAddr, Node, Vec<Node>)> = vec![];
        for _ in 0..5000 {
            while let Some(node) = self.lookup.next(self.now, &config(), PATIENCE) {
                assert_eq!(self.asked.insert(node.1, self.now), None, "nobody is asked twice");
                if let Some((after, who, nodes)) = answer(node) {
                    coming.push((self.now + after, node.1, who, nodes));
                }
            }
            self.longest_list = self.longest_list.max(self.lookup.candidates.len());
            if self.lookup.is_done(self.now, &config()) {
                return;
            }
            let next = coming.iter().map(|(at, ..)| *at).min().unwrap_or(Time::NEVER);
            let deadline = self.lookup.deadline(self.now);
            assert!(deadline > self.now, "it does not spin");
            self.now = next.min(deadline);
            self.lookup.tick(self.now, &config());
            let (due, rest): (Vec<_>, Vec<_>) = coming.into_iter().partition(|(at, ..)| *at <= self.now);
            coming = rest;
            for (_, addr, who, nodes) in due {
                self.lookup.answered(self.now, &config(), addr, who.0, Some(&[1]), nodes);
            }
        }
        panic!("it does not end")
    }

    fn found(&self) -> Vec<NodeId> {
        self.lookup.closest(&config()).iter().map(|found| found.id).collect()
    }
}

fn ids(nodes: &[Node]) -> Vec<NodeId> {
    nodes.iter().map(|(id, _)| *id).collect()
}

const RTT: Duration = Duration::from_millis(80);

#[test]
fn the_closest_are_found_in_a_few_round_trips() {
    let mut rng = rng(1);
    let nodes = network(600, &mut rng);
    let target = NodeId::random(&mut rng);
    let mut run = Run::new(target, &nodes[..8]);
    // Everybody knows a third of the others.
    run.run(|node| {
        let known: Vec<Node> = nodes.iter().copied().filter(|(id, _)| (id.0[5] ^ node.0.0[5]) % 3 == 0).collect();
        Some((RTT, node, closest(&known, target, 8)))
    });
    assert_eq!(run.found(), ids(&closest(&nodes, target, 8)));
    assert!(run.now <= Time::from_millis(600), "{:?}", run.now);
    assert!(run.lookup.queries() <= 60, "{}", run.lookup.queries());
}

/// "unsorted and unresponsive nodes don't stall them".
#[test]
fn the_dead_cost_patience_and_no_more() {
    let mut rng = rng(2);
    let nodes = network(600, &mut rng);
    let target = NodeId::random(&mut rng);
    let alive = |node: &Node| node.0.0[7] % 10 >= 3;
    let mut run = Run::new(target, &nodes[..8]);
    run.run(|node| {
        let mut said = closest(&nodes, target, 16);
        said.reverse();
        alive(&node).then_some((RTT, node, said))
    });
    let living: Vec<Node> = nodes.iter().copied().filter(alive).collect();
    let found = run.found();
    let best = ids(&closest(&living, target, 8));
    assert!(found.iter().filter(|id| best.contains(id)).count() >= 7, "{found:?} {best:?}");
    assert!(run.now <= Time::from_millis(1200), "{:?}", run.now);
}

#[test]
fn a_slow_answer_still_counts() {
    let mut rng = rng(3);
    let nodes = network(3, &mut rng);
    let mut run = Run::new(NodeId([0; 20]), &nodes[..1]);
    let slow = PATIENCE + Duration::from_millis(100);
    run.run(|node| Some((slow, node, nodes[1..].to_vec())));
    assert_eq!(run.lookup.answers(), 3);
}

#[test]
fn more_are_asked_at_once_while_nobody_answers() {
    let mut rng = rng(4);
    let nodes = network(64, &mut rng);
    let mut lookup = Run::new(NodeId([0; 20]), &nodes).lookup;
    let mut ask = |now| core::iter::from_fn(|| lookup.next(now, &config(), PATIENCE)).count() as u32;
    assert_eq!(ask(Time::ZERO), config().alpha);
    lookup.tick(Time::ZERO + PATIENCE, &config());
    let more = core::iter::from_fn(|| lookup.next(Time::ZERO + PATIENCE, &config(), PATIENCE)).count() as u32;
    assert_eq!(more, 2 * config().alpha, "as many again, and one more for each that is overdue");
}

/// "sybils near the info-hash".
#[test]
fn nodes_that_are_closer_than_can_be_do_not_end_a_lookup() {
    let mut rng = rng(5);
    let nodes = network(600, &mut rng);
    let target = NodeId::random(&mut rng);
    let sybils: Vec<Node> = (1..60).map(|n| sybil(target, n)).collect();
    let hostile = |node: &Node| sybils.contains(node) || node.0.0[7].is_multiple_of(10);
    let mut run = Run::new(target, &nodes[..8]);
    // Every tenth node, and all sybils, know sybils only; they answer quickly.
    run.run(|node| match hostile(&node) {
        true => Some((RTT / 4, node, closest(&sybils, node.0, 16))),
        false => Some((RTT, node, closest(&nodes, target, 8))),
    });
    assert_eq!(run.found(), ids(&closest(&nodes, target, 8)));
    assert!(run.asked.keys().filter(|addr| sybils.iter().any(|(_, at)| at == *addr)).count() <= 30);
}

#[test]
fn one_path_that_invents_nodes_without_end_does_not_hold_up_the_others() {
    let mut rng = rng(6);
    let nodes = network(600, &mut rng);
    let target = NodeId::random(&mut rng);
    let liar = nodes[0];
    let mut made = 0u32;
    let mut run = Run::new(target, &nodes[..8]);
    run.run(|node| {
        if node != liar && nodes.contains(&node) {
            return Some((RTT, node, closest(&nodes, target, 8)));
        }
        // Each invention fits its address: whoever invents addresses can have that.
        let mut said = vec![];
        while said.len() < 16 && made < 3_000_000 {
            made += 1;
            let ip = Ipv4Addr::from(0x6000_0001 + made * 16);
            let id = NodeId::for_address(ip.into(), 1, &mut rng);
            if id.shared_prefix(target) >= 10 {
                said.push((id, SocketAddr::from((ip, 1))));
            }
        }
        (node == liar).then_some((RTT, node, said))
    });
    let best = ids(&closest(&nodes, target, 8));
    assert_eq!(run.found().iter().filter(|id| best.contains(id)).count(), 8);
    assert!(run.now <= Time::from_secs(3), "{:?}", run.now);
}

#[test]
fn what_floods_it_with_nodes_takes_no_more_than_its_room() {
    let mut rng = rng(7);
    let nodes = network(30, &mut rng);
    let mut run = Run::new(NodeId([0; 20]), &nodes);
    let mut n = 0u32;
    run.run(|node| {
        let made = (0..1000u32).map(|_| {
            n += 1;
            (NodeId::random(&mut rng), SocketAddr::from((Ipv4Addr::from(0x5000_0000 + n * 77), 1)))
        });
        Some((RTT, node, made.collect()))
    });
    assert!(run.longest_list <= config().max_candidates as usize, "{}", run.longest_list);
    assert!(run.lookup.queries() <= config().max_queries_per_lookup);
}

#[test]
fn a_network_is_asked_a_few_times_only() {
    let target = NodeId([0; 20]);
    let crowd: Vec<Node> = (1..200u8).map(|n| (NodeId([n; 20]), SocketAddr::from(([60, 1, 1, n], 6881)))).collect();
    let mut run = Run::new(target, &crowd);
    run.run(|node| Some((RTT, node, crowd.clone())));
    assert_eq!(run.asked.len() as u32, config().max_asked_per_network);
}

#[test]
fn who_answers_by_another_id_is_taken_for_that() {
    let (target, real) = (NodeId([0; 20]), NodeId([9; 20]));
    let named = (NodeId([1; 20]), SocketAddr::from(([60, 1, 1, 1], 6881)));
    let mut run = Run::new(target, &[named]);
    run.run(|node| Some((RTT, (real, node.1), vec![])));
    assert_eq!(run.found(), [real]);
}

/// BEP 42, where nobody keeps to it: those who answer have to do.
#[test]
fn without_anybody_to_trust_the_others_do() {
    let mut rng = rng(8);
    let nodes: Vec<Node> = (0..200u32)
        .map(|n| (NodeId::random(&mut rng), SocketAddr::from((Ipv4Addr::from(0x2000_0001 + n * 256), 1))))
        .filter(|(id, addr)| !id.is_valid_for(addr.ip()))
        .collect();
    let target = NodeId::random(&mut rng);
    let mut run = Run::new(target, &nodes[..8]);
    run.run(|node| Some((RTT, node, closest(&nodes, target, 8))));
    assert_eq!(run.found(), ids(&closest(&nodes, target, 8)));
    assert!(run.lookup.queries() <= 40, "{}", run.lookup.queries());
    assert!(run.lookup.closest(&config()).iter().all(|found| !found.trusted));
}

#[test]
fn patience_is_what_most_answers_take() {
    let config = config();
    let mut patience = Patience::default();
    assert_eq!(patience.get(&config), config.first_patience);
    for n in 1..=100u64 {
        patience.heard(Duration::from_millis(n));
    }
    // The last 64: from 37 to 100.
    assert_eq!(patience.get(&config), Duration::from_millis(88) * 6 / 5);
    for _ in 0..64 {
        patience.heard(Duration::from_micros(10));
    }
    assert_eq!(patience.get(&config), config.min_patience);
}
