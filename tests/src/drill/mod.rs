//! Small worlds that give every oracle something to judge, by number.
//!
//! The simulator's runs are about faults; these are about what sessions do and say: trackers in tiers that fail and come back,
//! private torrents that change theirs, lists of blocked addresses, peers under one id, ourselves as a peer, files that are not
//! wanted, limits, pauses, and whoever breaks the protocol. A drill is a function of its number. It lasts some virtual minutes,
//! and a few hundredths of a second.
//!
//! The mutants under `tests/mutants` are run by it: each has to be found by the oracle that it names.

mod people;

use crate::hostile::tracker::{HostileTracker, Trick, body_with, compact};
use crate::oracles::{Oracle, Oracles};
use crate::sim::Tell;
use crate::{Content, Limits, NodeId, Split, StrangerId, TrackerId, World};
use parcacik_core::border::{
    Command, Config, InfoHash, IoFault, IpFilter, Notice, RemoveFiles, SeedGoal, Target, TorrentId,
};
use parcacik_core::rng::{Rng, Seeds, Stream};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The world's own tracker.
const TRACKERS: [&str; 2] = ["http://45.10.0.1:6969/announce", "udp://45.10.0.1:6969/announce"];
/// Trackers that can be made to fail.
const OTHERS: [(&str, &str); 4] = [
    ("http://one.example/announce", "9.0.0.1"),
    ("http://two.example:8080/announce", "9.0.0.2"),
    ("udp://three.example:7000/announce", "9.0.0.3"),
    ("http://four.example/announce", "9.0.0.4"),
];

/// A drill that is being done.
struct Drill {
    world: World,
    rng: Rng,
    content: Arc<Content>,
    seeds: Vec<NodeId>,
    leeches: Vec<NodeId>,
    strangers: Vec<StrangerId>,
    trackers: Vec<TrackerId>,
    private: bool,
}

/// Does a drill; how often each oracle had something to judge.
///
/// # Panics
/// When something does not hold.
pub fn run(number: u64) -> BTreeMap<u8, u64> {
    go(Drill::new(number))
}

/// The same, and prints what each node is told and does.
///
/// # Panics
/// As [`run`].
pub fn tell(number: u64) -> BTreeMap<u8, u64> {
    let mut drill = Drill::new(number);
    drill.world.watch(Tell::default());
    go(drill)
}

fn go(mut drill: Drill) -> BTreeMap<u8, u64> {
    drill.begin();
    for _ in 0..12 {
        let span = Duration::from_millis(drill.rng.index(6_000) as u64);
        drill.world.run_for(span);
        drill.event();
    }
    if drill.rng.index(8) == 0 {
        // Announces come round, keep-alives, and turns.
        let long = Duration::from_secs(300 + drill.rng.index(2_500) as u64);
        drill.world.run_for(long);
    }
    drill.heal();
    let Drill { world, leeches, content, .. } = &mut drill;
    world
        .run_until(|world| leeches.iter().all(|&leech| world.is_finished(leech, content)))
        .unwrap_or_else(|stuck| panic!("{}", Oracle::Completion.breach(stuck).to_string().as_str()));
    for &leech in leeches.iter() {
        let right = Drill::is_right(world, leech, content);
        assert!(right, "{}", Oracle::WholeFiles.breach(format!("{leech:?} has other bytes")));
    }
    drill.end();
    drill.world.evaluations()
}

impl Drill {
    fn new(number: u64) -> Drill {
        let mut seeds = Seeds::for_tests(0x3c);
        seeds.decision[..8].copy_from_slice(&number.to_le_bytes());
        let mut rng = seeds.decisions(Stream::Session, 1);
        let rng = &mut rng;
        let private = rng.index(4) == 0;
        let piece = [16_384, 32_768, 65_536][rng.index(3)];
        let length = 40_000 + rng.index(500_000);
        let (one, two, three) = (rng.index(30_000), length, rng.index(60_000));
        let many = [("a", one), ("empty", 0), ("sub/b", two), ("sub/c", three)];
        let files = if rng.index(2) == 0 { &many[..] } else { &[("f", length)][..] };
        let name = if files.len() > 1 { "many" } else { "f" };
        let tiers = Drill::tiers(rng);
        let content = Arc::new(Content::with_tiers(name, files, (piece, number), &tiers, private));
        let limits = Limits {
            latency: Duration::from_millis(1 + rng.index(80) as u64),
            upload: 10_000 + rng.index(100_000) as u64,
            split: [Split::Whole, Split::Random(20_000), Split::AtMost(1_000)][rng.index(3)],
            disk: Duration::from_micros(rng.index(10_000) as u64),
            ..Limits::default()
        };
        let mut config = Config::default();
        config.persist.sync_interval = Duration::from_millis(1 + rng.index(3_000) as u64);
        config.choke.slots = 2 + rng.index(2) as u32;
        let mut world = World::with(number as u8, limits, config);
        world.watch(Oracles::default());
        let seeds = (0..1 + rng.index(2)).map(|_| world.add_node()).collect();
        let leeches = (0..2 + rng.index(4)).map(|_| world.add_node()).collect();
        let rng = rng.clone();
        Drill { world, rng, content, seeds, leeches, strangers: Vec::new(), trackers: Vec::new(), private }
    }

    /// Some of the trackers, in some tiers; the world's own is always one.
    fn tiers(rng: &mut Rng) -> Vec<Vec<&'static str>> {
        let mut tiers = vec![Vec::new(); 1 + rng.index(3)];
        let own = rng.index(2);
        let place = rng.index(tiers.len());
        tiers[place].push(TRACKERS[own]);
        for (url, _) in OTHERS {
            if rng.index(2) == 0 {
                let place = rng.index(tiers.len());
                tiers[place].push(url);
            }
        }
        tiers.retain(|tier| !tier.is_empty());
        tiers
    }

    fn begin(&mut self) {
        for (url, ip) in OTHERS {
            let name = url.split("://").nth(1).and_then(|rest| rest.split([':', '/']).next()).unwrap_or_default();
            let trick = self.trick();
            self.trackers.push(self.world.add_tracker(HostileTracker::new(name, ip, trick)));
        }
        for _ in 0..1 + self.rng.index(4) {
            let (listens, who) = people::draw(&mut self.rng, &self.content, self.world.address(self.leeches[0]));
            self.strangers.push(self.world.add_stranger(listens, who));
        }
        if self.rng.index(3) == 0 {
            self.world.tracker_knows(&self.content, "127.0.0.1:6881".parse().expect("an address"));
        }
        for &stranger in &self.strangers {
            let address = self.world.stranger_address(stranger);
            self.world.tracker_knows(&self.content, address);
        }
        for seed in self.seeds.clone() {
            self.start(seed);
        }
        for leech in self.leeches.clone() {
            self.start(leech);
        }
    }

    /// What another tracker does.
    fn trick(&mut self) -> Trick {
        let peer = self.anybody();
        let address = self.world.address(peer).to_string();
        match self.rng.index(9) {
            0 => Trick::Down,
            1 => Trick::NoName,
            2 => Trick::Silent,
            3 => Trick::Status(if self.rng.index(3) == 0 { 410 } else { 503 }),
            4 => Trick::Body(b"d14:failure reason4:busy8:retry in5:never".iter().chain(b"e").copied().collect()),
            5 => Trick::Body(body_with(&compact(&["127.0.0.1:80", "10.0.0.1:6881", "224.0.0.1:6881", &address]))),
            6 => Trick::WrongTransaction,
            7 => Trick::Spoofed("66.0.0.1:1234".parse().expect("an address")),
            _ => Trick::None,
        }
    }

    fn anybody(&mut self) -> NodeId {
        let all = self.seeds.len() + self.leeches.len();
        let at = self.rng.index(all);
        self.seeds.iter().chain(&self.leeches).nth(at).copied().expect("there are some")
    }

    fn any_leech(&mut self) -> NodeId {
        self.leeches[self.rng.index(self.leeches.len())]
    }

    fn torrent(&self, node: NodeId) -> Option<TorrentId> {
        self.world.session(node).find(InfoHash(self.content.info_hash))
    }

    fn start(&mut self, node: NodeId) {
        if self.seeds.contains(&node) {
            let mut at = 0;
            let files = files_of(&self.content);
            for (path, length) in files {
                if self.world.disk(node).get(&path).is_none() {
                    let bytes = self.content.bytes[at..at + length].to_vec();
                    self.world.disk(node).put(&path, bytes);
                }
                at += length;
            }
            let only = self.rng.index(2) == 0;
            let fancy = self.rng.index(4) == 0;
            return self.world.add(node, &self.content, &[], |add| {
                add.seed_only = only;
                add.super_seed = fancy;
                add.goal = SeedGoal::Forever;
            });
        }
        let mut peers: Vec<SocketAddr> = Vec::new();
        if !self.private || self.rng.index(2) == 0 {
            let others: Vec<NodeId> = self.seeds.iter().chain(&self.leeches).copied().collect();
            peers.extend(others.iter().map(|&other| self.world.address(other)));
            peers.extend(self.strangers.iter().map(|&stranger| self.world.stranger_address(stranger)));
            peers.retain(|_| self.rng.index(3) > 0);
        }
        let some = if self.rng.index(4) == 0 { Some(vec![self.rng.index(8) as u8]) } else { None };
        let in_order = self.rng.index(3) == 0;
        self.world.add(node, &self.content, &peers, |add| {
            add.priorities = some;
            add.sequential = in_order.then_some(true);
        });
    }

    /// Something happens.
    fn event(&mut self) {
        let leech = self.any_leech();
        let Some(torrent) = self.torrent(leech).filter(|_| self.world.is_alive(leech)) else {
            if !self.world.is_alive(leech) {
                self.world.restart(leech);
            }
            return self.start(leech);
        };
        match self.rng.index(22) {
            0 | 20 | 21 => {
                self.world.crash(leech);
                if self.rng.index(2) == 0 {
                    let rng = &mut self.rng;
                    self.world.power_cut(leech, || rng.index(2) == 0);
                }
            }
            1 => {
                let kind = ["write", "sync", "save", "read", "verify"][self.rng.index(5)];
                let fault = [IoFault::Device, IoFault::NoSpace][self.rng.index(2)];
                self.world.disk(leech).faults.insert(kind, fault);
            }
            2 | 3 => {
                self.world.disk(leech).faults.clear();
                self.world.disk(leech).room = None;
            }
            4 => {
                let room = self.rng.index(200_000) as u64;
                self.world.disk(leech).room = Some(room);
            }
            5 => {
                let graceful = self.rng.index(2) == 0;
                _ = self.world.command(leech, Command::Pause { torrent, graceful });
            }
            6 | 7 => _ = self.world.command(leech, Command::Resume { torrent }),
            8 => _ = self.world.command(leech, Command::Recheck { torrent }),
            9 | 10 => {
                let count = files_of(&self.content).len() as u32;
                let files = (0..count).map(|file| (file, [0, 1, 4, 7][self.rng.index(4)])).collect();
                _ = self.world.command(leech, Command::SetPriorities { torrent, files });
            }
            11 => {
                let force = self.rng.index(3) == 0;
                _ = self.world.command(leech, Command::Reannounce { torrent, force });
            }
            12 => {
                // Ourselves, and whoever is known already.
                let peers =
                    vec![Target::Addr(self.world.address(leech)), Target::Addr(self.world.address(self.seeds[0]))];
                _ = self.world.command(leech, Command::AddPeers { torrent, peers });
            }
            13 => self.block(leech),
            14 => {
                let download = (self.rng.index(2) == 0).then_some(20_000 + self.rng.index(100_000) as u64);
                let upload = (self.rng.index(2) == 0).then_some(20_000 + self.rng.index(100_000) as u64);
                _ = self.world.command(leech, Command::SetLimits { torrent: None, download, upload });
            }
            15 | 16 => {
                let at = self.rng.index(self.trackers.len());
                let trick = self.trick();
                self.world.tracker_mut(self.trackers[at]).trick = trick;
            }
            17 => {
                let up = self.rng.index(2) == 0;
                self.world.set_tracker(up);
            }
            18 => {
                let seed = self.seeds[0];
                if let Some(torrent) = self.torrent(seed) {
                    let on = self.rng.index(2) == 0;
                    _ = self.world.command(seed, Command::SetSuperSeed { torrent, on });
                }
            }
            _ => {
                _ = self.world.command(leech, Command::Remove { torrent, files: RemoveFiles::Keep });
            }
        }
    }

    /// Somebody blocks somebody.
    fn block(&mut self, leech: NodeId) {
        let mut filter = IpFilter::new();
        let other = self.anybody();
        let mut addresses = vec![self.world.address(other)];
        addresses.extend(self.strangers.iter().map(|&stranger| self.world.stranger_address(stranger)));
        for address in addresses {
            if self.rng.index(2) == 0 {
                filter.block(address.ip(), address.ip());
            }
        }
        self.world.command(leech, Command::SetIpFilter { filter: Arc::new(filter) });
    }

    fn heal(&mut self) {
        self.world.set_tracker(true);
        for tracker in self.trackers.clone() {
            self.world.tracker_mut(tracker).trick = Trick::None;
        }
        let all: Vec<NodeId> = self.seeds.iter().chain(&self.leeches).copied().collect();
        let peers: Vec<Target> = all.iter().map(|&node| Target::Addr(self.world.address(node))).collect();
        for node in all {
            let disk = self.world.disk(node);
            disk.room = None;
            disk.faults.clear();
            if !self.world.is_alive(node) {
                self.world.restart(node);
            }
            self.world.command(node, Command::SetIpFilter { filter: Arc::new(IpFilter::new()) });
            self.world.command(node, Command::SetLimits { torrent: None, download: None, upload: None });
            // One that is being removed has to be gone before it comes again.
            self.world.run_for(Duration::from_secs(8));
            if self.torrent(node).is_none() {
                self.start(node);
            }
            if let Some(torrent) = self.torrent(node) {
                let files = (0..files_of(&self.content).len() as u32).map(|file| (file, 4)).collect();
                self.world.command(node, Command::SetPriorities { torrent, files });
                self.world.command(node, Command::Resume { torrent });
                self.world.command(node, Command::AddPeers { torrent, peers: peers.clone() });
            }
        }
        self.world.healed();
        // Somebody has everything to get still.
        for _ in 0..2 + self.rng.index(2) {
            let late = self.world.add_node();
            self.leeches.push(late);
            self.world.add(late, &self.content, &[], |_| {});
            if let Some(torrent) = self.torrent(late) {
                self.world.command(late, Command::AddPeers { torrent, peers: peers.clone() });
            }
        }
    }

    fn is_right(world: &World, node: NodeId, content: &Content) -> bool {
        let mut at = 0;
        files_of(content).into_iter().all(|(path, length)| {
            let part = &content.bytes[at..at + length];
            at += length;
            world.disk_of(node).damaged || world.disk_of(node).get(&path) == Some(part)
        })
    }

    /// Everybody stops.
    fn end(&mut self) {
        let all: Vec<NodeId> = self.seeds.iter().chain(&self.leeches).copied().collect();
        for &node in &all {
            let span = Duration::from_millis(self.rng.index(3_000) as u64);
            self.world.run_for(span);
            self.world.command(node, Command::Shutdown);
        }
        self.world.run_for(Duration::from_secs(20));
        for node in all {
            let stopped = self.world.notices(node).contains(&Notice::Stopped);
            assert!(stopped, "{}", Oracle::StopsInTime.breach(format!("{node:?} does not stop")));
        }
        self.world.end_watch();
        debug_assert!(self.world.watcher::<Oracles>().is_some());
    }
}

/// The files of a drill's torrent, as they are called on a disk.
fn files_of(content: &Content) -> Vec<(String, usize)> {
    let meta = parcacik_core::metainfo::Metainfo::parse(&content.metainfo, &Default::default());
    let meta = meta.expect("it is made for tests");
    meta.layout().files().iter().map(|file| (file.path.to_string(), file.length as usize)).collect()
}
