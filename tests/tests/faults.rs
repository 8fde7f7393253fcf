//! Swarms under random faults: first nothing wrong may be claimed or kept, then all is healed and everybody must complete.
//!
//! What happens is a function of the seed. A failure prints it; `PARCACIK_SEED=n` runs that one alone, `PARCACIK_SEEDS=n` so many.

use parcacik_core::border::{Config, InfoHash, InfoHashes, SeedGoal};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::torrent::resume::ResumeData;
use parcacik_testkit::{Content, Limits, NodeId, Split, World};
use std::net::SocketAddr;
use std::time::Duration;

const PIECE: usize = 16_384;
const TRACKER: &str = "http://45.10.0.1:6969/announce";

struct Swarm {
    world: World,
    rng: Rng,
    content: Content,
    seed: NodeId,
    leeches: Vec<NodeId>,
    tracker: bool,
}

impl Swarm {
    fn new(number: u64) -> Swarm {
        let mut rng = Seeds::for_tests((number >> 8) as u8 ^ 0x5a).decisions(Stream::Session, number);
        let length = 60_000 + rng.index(200_000);
        let content = Content::with_files("f.bin", &[("f.bin", length)], PIECE as u32, number, &[TRACKER]);
        let limits = Limits {
            latency: Duration::from_millis(1 + rng.index(100) as u64),
            upload: 20_000 + rng.index(300_000) as u64,
            split: if rng.index(2) == 0 { Split::Whole } else { Split::Random(30_000) },
            disk: Duration::from_micros(rng.index(20_000) as u64),
            ..Limits::default()
        };
        let mut config = Config::default();
        config.persist.sync_interval = Duration::from_millis(1 + rng.index(3_000) as u64);
        let mut world = World::with(number, limits, config);
        let seed = world.add_node();
        let leeches = (0..3).map(|_| world.add_node()).collect();
        Swarm { world, rng, content, seed, leeches, tracker: true }
    }

    fn start(&mut self, node: NodeId) {
        if node == self.seed {
            return self.world.seed(node, &self.content, &[]);
        }
        let peers: Vec<SocketAddr> = [self.seed].iter().chain(&self.leeches).map(|&n| self.world.address(n)).collect();
        self.world.add(node, &self.content, &peers, |add| add.goal = SeedGoal::Forever);
    }

    fn any_leech(&mut self) -> NodeId {
        self.leeches[self.rng.index(self.leeches.len())]
    }

    fn fault(&mut self) {
        let leech = self.any_leech();
        match self.rng.index(8) {
            0 | 1 if self.world.is_alive(leech) => {
                self.world.crash(leech);
                if self.rng.index(2) == 0 {
                    let rng = &mut self.rng;
                    self.world.power_cut(leech, || rng.index(2) == 0);
                }
            }
            0 | 1 => {
                self.world.restart(leech);
                self.start(leech);
            }
            2 => {
                self.tracker = !self.tracker;
                self.world.set_tracker(self.tracker);
            }
            3 => {
                let room = self.rng.index(100_000) as u64;
                self.world.disk(leech).room = Some(room);
            }
            4 => self.world.disk(leech).room = None,
            5 => {
                let kind = ["write", "sync", "save", "read"][self.rng.index(4)];
                self.world.disk(leech).faults.insert(kind, parcacik_core::border::IoFault::Device);
            }
            6 => self.world.disk(leech).faults.clear(),
            _ => {
                let time = Duration::from_millis(self.rng.index(2_000) as u64);
                self.world.set_disk_time(leech, time);
            }
        }
    }

    /// The pieces whose bytes are right on a node's disk.
    fn is_right(&mut self, node: NodeId, piece: u32) -> bool {
        let range = piece as usize * PIECE..((piece as usize + 1) * PIECE).min(self.content.bytes.len());
        self.world.disk(node).get("f.bin").and_then(|bytes| bytes.get(range.clone()))
            == Some(&self.content.bytes[range])
    }

    /// Nobody says that it has what it has not: a session of its pieces, resume data of what is on the disk.
    fn check(&mut self, number: u64) {
        let hashes = InfoHashes { v1: Some(self.content.info_hash), v2: None };
        let pieces = self.content.bytes.len().div_ceil(PIECE) as u32;
        for node in self.leeches.clone() {
            let had = self.world.view(node, &self.content).map(|view| view.pieces);
            if self.world.is_alive(node) {
                for piece in had.iter().flat_map(|had| had.iter()) {
                    assert!(self.is_right(node, piece), "seed {number}: {node:?} has a wrong piece {piece}");
                }
            }
            let copies = self.world.disk(node).resume(InfoHash(self.content.info_hash)).to_vec();
            if let Ok(resume) = ResumeData::choose(&copies, &hashes, pieces, 1) {
                for piece in resume.pieces.iter() {
                    assert!(self.is_right(node, piece), "seed {number}: {node:?} claims a wrong piece {piece}");
                }
            }
        }
    }

    fn heal(&mut self) {
        self.world.set_tracker(true);
        for node in self.leeches.clone() {
            let disk = self.world.disk(node);
            disk.room = None;
            disk.faults.clear();
            self.world.set_disk_time(node, Duration::from_millis(1));
            if !self.world.is_alive(node) {
                self.world.restart(node);
                self.start(node);
            }
        }
    }
}

fn run(number: u64) {
    let mut swarm = Swarm::new(number);
    swarm.start(swarm.seed);
    for leech in swarm.leeches.clone() {
        swarm.start(leech);
    }
    for _ in 0..15 {
        let span = Duration::from_millis(swarm.rng.index(2_500) as u64);
        swarm.world.run_for(span);
        swarm.check(number);
        swarm.fault();
        swarm.check(number);
    }
    swarm.heal();
    let Swarm { world, content, leeches, .. } = &mut swarm;
    world
        .run_until(|world| leeches.iter().all(|&leech| world.is_finished(leech, content)))
        .unwrap_or_else(|stuck| panic!("seed {number}: {stuck}"));
    for &leech in leeches.iter() {
        assert!(world.has_all(leech, content), "seed {number}: {leech:?} has other bytes");
    }
    swarm.check(number);
}

#[test]
fn no_fault_makes_a_false_claim_and_all_heals() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("PARCACIK_SEED") {
        Some(seed) => run(seed),
        None => (0..number("PARCACIK_SEEDS").unwrap_or(200)).for_each(run),
    }
}
