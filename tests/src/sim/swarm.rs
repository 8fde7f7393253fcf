//! A swarm of a run: who is in it, what is done to it, and what has to hold all the time.

use super::plan::{CutKind, Step};
use super::watchers::{Recording, Trace};
use super::{Setup, SimOptions};
use crate::content::Content;
use crate::hostile::any_peer;
use crate::hostile::tracker::{HostileTracker, Trick};
use crate::seed::{Draws, WorldSeed};
use crate::world::{Faults, Host, Limits, Line, Nat, NodeId, Split, Way, World};
use parcacik_core::border::{Command, Config, InfoHash, InfoHashes, SeedGoal, Target, TorrentId};
use parcacik_core::rng::Rng;
use parcacik_core::time::Time;
use parcacik_core::torrent::resume::ResumeData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a crashed node stays down, at the most.
const DOWN: u64 = 15_000;

/// The swarm.
#[derive(Debug)]
pub(super) struct Swarm {
    pub world: World,
    pub options: SimOptions,
    pub content: Arc<Content>,
    /// What nobody has, and nobody is to hear of.
    secret: Content,
    /// The files of the torrent: where each is on a disk, and its length.
    files: Vec<(String, usize)>,
    pub seeds: Vec<NodeId>,
    pub leeches: Vec<NodeId>,
    /// When each crashed node starts again.
    rising: Vec<(Time, NodeId)>,
    cuts: Vec<crate::world::CutId>,
    rng: Rng,
    /// Commands that were given that heal has to take back.
    pub played: bool,
    /// The faults are over, and what they had begun too.
    pub healed: bool,
    /// The faults are over.
    mended: bool,
    /// Who is to blame for what did not hold, where that is not the one who was told something last.
    pub culprit: Option<NodeId>,
}

impl Swarm {
    /// Everybody is there and begins.
    pub fn new(seed: WorldSeed, options: SimOptions, setup: Setup, trace: bool) -> Swarm {
        let (content, files) = content(seed, &options);
        let millis = Duration::from_millis;
        let limits = Limits {
            latency: millis(options.latency_ms),
            upload: options.upload,
            split: if options.split == 0 { Split::Whole } else { Split::Random(options.split as usize) },
            disk: Duration::from_micros(options.disk_us),
            window: options.window_kib << 10,
        };
        let mut config = Config::default();
        config.persist.sync_interval = millis(options.sync_ms);
        if options.dht > 0 {
            // All addresses are of one network here.
            let dht = &mut config.dht;
            (dht.max_per_network_bucket, dht.max_per_network, dht.max_asked_per_network) = (64, 64, 64);
        }
        let mut world = World::with(seed, limits, config);
        if trace {
            world.watch(Trace::default());
        }
        world.watch(Recording::default());
        setup(&mut world);
        world.set_lan(options.lan > 0);
        world.set_dht(options.dht > 0);
        let seeds = (0..options.seeds.max(1)).map(|_| world.add_node()).collect();
        let leeches = (0..options.leeches.max(1)).map(|_| world.add_node()).collect();
        let mut swarm = Swarm {
            world,
            options,
            content: Arc::new(content),
            secret: Content::new("secret", 40_000, 16_384, seed.rng("secret").next_u64()).into_private(),
            files,
            seeds,
            leeches,
            rising: Vec::new(),
            cuts: Vec::new(),
            rng: seed.rng("swarm"),
            played: false,
            healed: false,
            mended: false,
            culprit: None,
        };
        swarm.set_up(seed);
        swarm
    }

    fn set_up(&mut self, seed: WorldSeed) {
        let options = self.options;
        let millis = Duration::from_millis;
        self.world.set_faults(Faults {
            jitter: millis(options.jitter_ms),
            loss: options.loss,
            reorder: options.reorder,
            duplicate: options.duplicate,
            corrupt: options.corrupt,
            queue: millis(options.queue_ms),
            reset: options.resets,
            silence: options.silences,
            refuse: options.refusals,
            blackhole: options.blackholes,
            short_writes: options.short_writes,
            lazy_reads: millis(options.lazy_ms),
            disk_jitter: millis(options.disk_jitter_ms),
            disk_slow: options.disk_slow,
            disk_fault: options.disk_fault,
            tracker_slow: millis(options.tracker_ms),
        });
        for node in self.all() {
            let upload = options.upload;
            self.world.set_line(node, Line { upload, download: options.download, latency: Duration::ZERO });
            self.world.set_clock(node, millis(options.grain_ms), millis(options.late_ms));
            if options.sector_bits > 0 {
                self.world.disk(node).sector = 1 << options.sector_bits.min(16);
            }
        }
        for (number, &leech) in self.leeches.clone().iter().enumerate().take(options.nats as usize) {
            let mut rng = seed.rng(&format!("nat/{number}"));
            let forgets = Duration::from_secs(rng.range(15, 600));
            self.world.set_nat(leech, Some(Nat { forgets, refuses: rng.below(2) == 0 }));
        }
        for number in 0..options.bad_trackers {
            let mut rng = seed.rng(&format!("tracker/bad/{number}"));
            let name = format!("bad{number}.example");
            let ip = format!("45.20.0.{}", 1 + number % 250);
            self.world.add_tracker(HostileTracker::new(&name, &ip, trick(&mut rng)));
        }
        let addresses: Vec<SocketAddr> = self.all().iter().map(|&node| self.world.address(node)).collect();
        for number in 0..options.hostiles {
            let mut rng = seed.rng(&format!("hostile/{number}"));
            let mut peer = any_peer(&mut rng, &self.content);
            for &addr in &addresses {
                if rng.below(2) == 0 {
                    peer = peer.dials(addr, 1 + rng.index(2));
                }
            }
            let who = self.world.add_stranger(true, peer);
            self.world.tracker_knows(&self.content, self.world.stranger_address(who));
        }
        for node in self.seeds.clone() {
            self.lay(node);
        }
        for node in self.all() {
            self.start(node);
        }
    }

    /// All nodes, the seeds first.
    pub fn all(&self) -> Vec<NodeId> {
        self.seeds.iter().chain(&self.leeches).copied().collect()
    }

    /// Puts the content on a disk.
    fn lay(&mut self, node: NodeId) {
        let mut at = 0;
        for (path, length) in &self.files {
            self.world.disk(node).put(path, self.content.bytes[at..at + length].to_vec());
            at += length;
        }
    }

    /// A node's user adds the torrent.
    fn start(&mut self, node: NodeId) {
        let mut peers: Vec<SocketAddr> = self.all().iter().map(|&node| self.world.address(node)).collect();
        let alone = self.options.dht > 1 && !self.mended;
        if alone {
            peers.clear();
        }
        let seeds = self.seeds.contains(&node);
        let content = self.content.clone();
        self.world.add(node, &content, &peers, |add| {
            add.goal = SeedGoal::Forever;
            add.seed_only = seeds;
            add.use_trackers = !alone;
        });
        if self.options.dht > 0 {
            let secret = self.secret.clone();
            self.world.add(node, &secret, &[], |add| add.goal = SeedGoal::Forever);
        }
    }

    fn torrent(&self, node: NodeId) -> Option<TorrentId> {
        self.world.session(node).find(InfoHash(self.content.info_hash))
    }

    fn pick(&self, number: u64) -> NodeId {
        let all = self.all();
        all[(number % all.len() as u64) as usize]
    }

    fn leech(&self, number: u64) -> NodeId {
        self.leeches[(number % self.leeches.len() as u64) as usize]
    }

    /// Does one thing of the plan.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Crash { node, actions, heard } => {
                let node = self.pick(node);
                if !self.world.is_alive(node) {
                } else if heard {
                    self.world.crash_in(node, actions);
                } else {
                    self.world.vanish(node);
                }
            }
            Step::Cut { kind, sides } => {
                let id = self.cut(kind, sides);
                self.cuts.push(id);
            }
            Step::Mend => {
                if !self.cuts.is_empty() {
                    let id = self.cuts.remove(0);
                    self.world.mend(id);
                }
            }
            Step::Move { leech } => {
                let node = self.leech(leech);
                self.world.change_address(node);
            }
            Step::Fill { leech, room } => {
                let node = self.leech(leech);
                self.world.disk(node).room = Some(room);
            }
            Step::Empty { leech } => {
                let node = self.leech(leech);
                self.world.disk(node).room = None;
            }
            Step::Flip { leech, at } => {
                let node = self.leech(leech);
                if let Some((path, length)) = self.a_file(node, at) {
                    self.world.disk(node).damage(&path, (at % length.max(1) as u64) as usize);
                }
            }
            Step::CutOff { leech, at } => {
                let node = self.leech(leech);
                match self.a_file(node, at) {
                    Some((path, _)) if at == 0 => self.world.disk(node).remove(&path),
                    Some((path, length)) => self.world.disk(node).truncate(&path, (at % length.max(1) as u64) as usize),
                    None => {}
                }
            }
            Step::Tracker { up } => self.world.set_tracker(up),
            Step::Date { node, unix_seconds } => {
                let node = self.pick(node);
                self.world.set_date(node, unix_seconds);
            }
            Step::Suspend { node } => {
                let node = self.pick(node);
                if self.world.is_alive(node) {
                    self.world.suspend(node);
                }
            }
            Step::Wake { node, counted } => {
                let node = self.pick(node);
                self.world.wake(node, counted);
            }
            Step::Command { node, which } => {
                let node = self.pick(node);
                self.play(node, which);
            }
        }
    }

    fn a_file(&mut self, node: NodeId, at: u64) -> Option<(String, usize)> {
        let paths: Vec<String> = self.world.disk(node).paths().map(str::to_owned).collect();
        let path = paths.get((at % paths.len().max(1) as u64) as usize)?;
        let length = self.world.disk(node).get(path)?.len();
        Some((path.clone(), length))
    }

    fn cut(&mut self, kind: CutKind, sides: u64) -> crate::world::CutId {
        let all = self.all();
        let some = |half: usize| -> Vec<Host> {
            let start = (sides % all.len() as u64) as usize;
            (0..half).map(|at| Host::Node(all[(start + at) % all.len()])).collect()
        };
        let (side, way, inside) = match kind {
            CutKind::Uniform => {
                let mut side: Vec<Host> = Vec::new();
                side.extend(
                    all.iter().enumerate().filter(|(at, _)| sides >> (at % 60) & 1 == 1).map(|(_, &n)| Host::Node(n)),
                );
                side.extend((sides >> 61 & 1 == 1).then_some(Host::Trackers));
                (side, Way::Both, false)
            }
            CutKind::Half => (some(all.len() / 2), Way::Both, false),
            CutKind::One => (some(1), Way::Both, false),
            CutKind::OneWay => (some(1), if sides >> 32 & 1 == 0 { Way::In } else { Way::Out }, false),
            CutKind::Region => (some(all.len().div_ceil(2)), Way::Both, true),
        };
        self.world.cut(side, way, inside)
    }

    /// Somebody plays with the program.
    fn play(&mut self, node: NodeId, which: u64) {
        let Some(torrent) = self.torrent(node).filter(|_| self.world.is_alive(node)) else { return };
        self.played = true;
        let limit = Some(5_000 + which / 16 % 100_000);
        let command = match which % 12 {
            0 => Command::Pause { torrent, graceful: false },
            1 => Command::Pause { torrent, graceful: true },
            2 | 3 => Command::Resume { torrent },
            4 => Command::Recheck { torrent },
            5 => Command::Reannounce { torrent, force: which & 16 == 0 },
            6 => Command::SetLimits { torrent: None, download: limit, upload: None },
            7 => Command::SetLimits { torrent: Some(torrent), download: None, upload: limit },
            8 => Command::SetSequential { torrent, on: which & 16 == 0 },
            9 => Command::SetSuperSeed { torrent, on: which & 16 == 0 },
            10 => Command::SetPriorities { torrent, files: vec![((which / 16 % self.files.len() as u64) as u32, 7)] },
            _ => Command::ScrapeTorrent { torrent },
        };
        self.world.command(node, command);
    }

    /// Lets time pass. Who has crashed is dealt with: the power may be gone too, and after a while there is a new session.
    pub fn passes(&mut self, until: Time) {
        while self.world.now() < until {
            let next = self.rising.iter().map(|&(at, _)| at).min().unwrap_or(until);
            // Looked at every now and then, as a crash in mid-action comes when it comes.
            let slice = self.world.now() + Duration::from_millis(500);
            let to = until.min(slice).min(next.max(self.world.now() + Duration::from_micros(1)));
            self.world.run_for(to.since(self.world.now()));
            self.fall_and_rise();
        }
    }

    fn fall_and_rise(&mut self) {
        let now = self.world.now();
        for node in self.all() {
            if self.world.is_alive(node) || self.rising.iter().any(|&(_, rising)| rising == node) {
                continue;
            }
            if self.rng.happens(self.options.power) {
                let rng = &mut self.rng;
                self.world.power_cut(node, || rng.below(2) == 0);
            }
            let down = Duration::from_millis(self.rng.scale(0, DOWN));
            self.rising.push((now + down, node));
        }
        for (_, node) in self.rising.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            self.rise(node);
        }
    }

    fn rise(&mut self, node: NodeId) {
        self.world.restart(node);
        self.start(node);
    }

    /// Takes all faults away, save the hostile peers and trackers.
    pub fn heal(&mut self) {
        self.mended = true;
        self.world.set_faults(Faults::default());
        self.world.set_tracker(true);
        self.world.mend_all();
        self.cuts.clear();
        for node in self.all() {
            self.world.no_crash(node);
            self.world.wake(node, true);
            self.world.set_clock(node, Duration::ZERO, Duration::ZERO);
            self.world.disk(node).room = None;
            // What came from an honest peer was found wrong, perhaps, where a disk changed it: its user starts anew, and nobody is
            // banned any more.
            if self.world.disk(node).damaged && self.world.is_alive(node) {
                self.world.crash(node);
            }
            if !self.world.is_alive(node) {
                self.rise(node);
            }
        }
        self.rising.clear();
        if self.options.joint > 0 {
            self.leeches.clone().into_iter().for_each(|leech| self.world.set_nat(leech, None));
        }
    }

    /// What users do when it is over whose disks were bad, whose addresses have changed, or who have played.
    pub fn undo(&mut self) {
        for node in self.all() {
            self.undo_at(node);
        }
    }

    fn undo_at(&mut self, node: NodeId) {
        let Some(torrent) = self.torrent(node) else { return };
        if self.played {
            self.world.command(node, Command::Resume { torrent });
            for torrent in [None, Some(torrent)] {
                self.world.command(node, Command::SetLimits { torrent, download: None, upload: None });
            }
            self.world.command(node, Command::SetSuperSeed { torrent, on: false });
        }
        // A seed that could not read a piece has given it up.
        let lacks = self.seeds.contains(&node) && !self.world.is_finished(node, &self.content);
        if lacks || self.world.disk(node).damaged {
            self.world.command(node, Command::Recheck { torrent });
        }
        // Who had the DHT alone has it only every quarter of an hour by then.
        if self.options.moves > 0 || self.options.dht > 1 {
            let peers = self.all().iter().map(|&node| Target::Addr(self.world.address(node))).collect();
            self.world.command(node, Command::AddPeers { torrent, peers });
        }
    }

    /// Whether the leeches have every piece among them, and nobody's disk was damaged.
    pub fn leeches_suffice(&mut self) -> bool {
        let mut lacking: Vec<u32> = (0..self.content.pieces()).collect();
        for leech in self.leeches.clone() {
            if self.world.disk(leech).damaged {
                return false;
            }
            if let Some(view) = self.world.view(leech, &self.content) {
                lacking.retain(|&piece| piece >= view.pieces.len() || !view.pieces.get(piece));
            }
        }
        lacking.is_empty()
    }

    /// The seeds leave for good.
    pub fn seeds_leave(&mut self) {
        for node in std::mem::take(&mut self.seeds) {
            self.world.crash(node);
        }
    }

    /// Somebody who does not have everything.
    pub fn unfinished(&self) -> Option<NodeId> {
        self.leeches.iter().copied().find(|&leech| !self.world.is_finished(leech, &self.content))
    }

    /// What is missing to the one who misses the most, and to all together, in bytes.
    pub fn missing(&self) -> (u64, u64) {
        let of = |&leech: &NodeId| self.world.view(leech, &self.content).map(|view| view.missing_bytes);
        // One that does not know yet misses everything.
        let all: Vec<u64> =
            self.leeches.iter().map(|leech| of(leech).unwrap_or(self.content.bytes.len() as u64)).collect();
        (all.iter().copied().max().unwrap_or(0), all.iter().sum())
    }

    /// The bytes of a piece on a disk, as a stranger reads them; `None` where some are missing.
    fn piece_on<'a>(&self, disk: &'a crate::MemoryDisk, piece: u32) -> Option<Vec<u8>> {
        let length = self.content.piece_length as usize;
        let (from, to) = (piece as usize * length, ((piece as usize + 1) * length).min(self.content.bytes.len()));
        let (mut start, mut bytes) = (0, Vec::new());
        for (path, length) in &self.files {
            let (first, last) = (from.max(start), to.min(start + length));
            if first < last {
                let file: &'a [u8] = disk.get(path)?;
                bytes.extend_from_slice(file.get(first - start..last - start)?);
            }
            start += length;
        }
        Some(bytes)
    }

    fn is_right(&self, disk: &crate::MemoryDisk, piece: u32) -> bool {
        let length = self.content.piece_length as usize;
        let range = piece as usize * length..((piece as usize + 1) * length).min(self.content.bytes.len());
        self.piece_on(disk, piece).is_some_and(|bytes| bytes == self.content.bytes[range])
    }

    /// Nobody claims what it has not: a session of what it has, resume data of what a power cut leaves at the least.
    ///
    /// After a sync that failed, a session doubts what it has until it has been hashed again: it serves nothing of it (the
    /// judges of the streams see to that), and does not take back what peers were told. So where syncs fail, what a session has is
    /// not held against it until the faults are over.
    ///
    /// # Errors
    /// With the false claim.
    pub fn claims(&self) -> Result<(), (NodeId, String)> {
        let hashes = InfoHashes { v1: Some(self.content.info_hash), v2: None };
        for node in self.all() {
            let disk = self.world.disk_of(node);
            if disk.damaged {
                continue;
            }
            let doubts = self.options.disk_fault > 0 && !self.healed;
            if self.world.is_alive(node)
                && !doubts
                && let Some(view) = self.world.view(node, &self.content)
                && let Some(piece) = view.pieces.iter().find(|&piece| !self.is_right(disk, piece))
            {
                return Err((node, format!("node {} has a wrong piece {piece}", node.0)));
            }
            let copies = disk.resume(InfoHash(self.content.info_hash));
            let Ok(resume) = ResumeData::choose(copies, &hashes, self.content.pieces(), self.files.len()) else {
                continue;
            };
            let mut left = disk.clone();
            left.power_cut(|| true);
            if let Some(piece) = resume.pieces.iter().find(|&piece| !self.is_right(&left, piece)) {
                return Err((node, format!("node {} claims a piece {piece} that a power cut takes away", node.0)));
            }
        }
        Ok(())
    }

    /// Reads all disks as a stranger would.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn audit(&self) -> Result<(), String> {
        for node in self.all() {
            let disk = self.world.disk_of(node);
            let mut start = 0;
            for (path, length) in &self.files {
                let right = &self.content.bytes[start..start + length];
                if disk.get(path) != Some(right) {
                    let found = disk.get(path).map(<[u8]>::len);
                    return Err(format!("node {}: {path} has other bytes ({found:?} of {length})", node.0));
                }
                start += length;
            }
            if let Some(path) = disk.paths().find(|path| !self.files.iter().any(|(ours, _)| ours == path)) {
                return Err(format!("node {}: nobody asked for {path}", node.0));
            }
        }
        Ok(())
    }
}

fn content(seed: WorldSeed, options: &SimOptions) -> (Content, Vec<(String, usize)>) {
    let length = options.length(seed);
    let mut rng = seed.rng("content/files");
    let mut borders: Vec<usize> = (1..options.files).map(|_| rng.index(length + 1)).collect();
    borders.sort_unstable();
    borders.push(length);
    let mut start = 0;
    let names: Vec<String> = (0..borders.len()).map(|number| format!("part{number}")).collect();
    let mut lengths = Vec::new();
    for border in borders {
        lengths.push(border - start);
        start = border;
    }
    let parts: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(lengths.iter().copied()).collect();
    let scheme = if options.udp > 0 { "udp" } else { "http" };
    let mut trackers = vec![format!("{scheme}://45.10.0.1:6969/announce")];
    for number in 0..options.bad_trackers {
        let scheme = if rng.below(2) == 0 { "udp" } else { "http" };
        trackers.insert(rng.index(trackers.len() + 1), format!("{scheme}://bad{number}.example:80/announce"));
    }
    let trackers: Vec<&str> = trackers.iter().map(String::as_str).collect();
    let salt = seed.rng("content").next_u64();
    let content = match &parts[..] {
        [(_, length)] => Content::with_files("f", &[("f", *length)], options.piece_length(), salt, &trackers),
        parts => Content::with_files("f", parts, options.piece_length(), salt, &trackers),
    };
    let files = match &parts[..] {
        [(_, length)] => vec![("f".to_owned(), *length)],
        parts => parts.iter().map(|(name, length)| (format!("f/{name}"), *length)).collect(),
    };
    (content, files)
}

fn trick(rng: &mut Rng) -> Trick {
    match rng.index(12) {
        0 => Trick::Down,
        1 => Trick::NoName,
        2 => Trick::Silent,
        3 => Trick::Bomb,
        4 => Trick::BadCertificate,
        5 => Trick::Redirect("http://127.0.0.1/announce".to_owned()),
        6 => Trick::Status([404, 410, 500, 503][rng.index(4)]),
        7 => Trick::Busy(503, rng.range(0, 100_000) as u32),
        8 => Trick::Body(b"d14:failure reason2:noe".to_vec()),
        9 => Trick::WrongTransaction,
        10 => Trick::ChangingIds,
        _ => Trick::None,
    }
}
