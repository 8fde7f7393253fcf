//! One of ours, one honest peer, and whoever means harm: what became of them, beside the same without the harm.

use parcacik_core::border::{CloseReason, Config, Notice, PeerFault};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_testkit::hostile::Peer;
use parcacik_testkit::{Content, Limits, NodeId, StrangerId, World};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub const PIECE: u32 = 65_536;
pub const LENGTH: usize = 1_500_000;
const KIB: u64 = 1024;

/// What the victim does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It downloads, from an honest seed and the hostile peers that it was told of.
    Downloads,
    /// It seeds to an honest leech, and to whoever dials it.
    Seeds,
}

pub struct Arena {
    pub world: World,
    pub content: Arc<Content>,
    pub role: Role,
    pub victim: NodeId,
    pub honest: NodeId,
    pub hostile: Vec<StrangerId>,
    /// When the victim, or the honest leech, had everything.
    finished: Option<Time>,
    started: Time,
    /// The most that the victim's session took in memory, in bytes.
    pub heap: u64,
}

pub fn content() -> Arc<Content> {
    let tracker = "http://45.10.0.1:6969/announce";
    Arc::new(Content::with_files("prize.bin", &[("prize.bin", LENGTH)], PIECE, 99, &[tracker]))
}

/// 100 KB/s for each: the honest seed alone takes 15 s.
pub fn limits() -> Limits {
    Limits { upload: 100_000, ..Limits::default() }
}

/// The bytes on the heap that a session owns: what its clone has to allocate. Blocks are not among them, as the session keeps
/// none.
pub fn heap_of(session: &Session) -> u64 {
    allocation_counter::measure(|| drop(session.clone())).bytes_max
}

impl Arena {
    pub fn new(role: Role, limits: Limits) -> Arena {
        Arena::with(role, limits, Config::default())
    }

    pub fn with(role: Role, limits: Limits, config: Config) -> Arena {
        let content = content();
        let mut world = World::with(7, limits, config);
        let (victim, honest) = (world.add_node(), world.add_node());
        let arena = Arena {
            world,
            content,
            role,
            victim,
            honest,
            hostile: Vec::new(),
            finished: None,
            started: Time::ZERO,
            heap: 0,
        };
        arena.prepared()
    }

    fn prepared(mut self) -> Arena {
        let seed = if self.role == Role::Downloads { self.honest } else { self.victim };
        let content = self.content.clone();
        self.world.disk(seed).put(&content.name, content.bytes.clone());
        self.world.add(seed, &content, &[], |add| {
            add.seed_only = true;
            add.use_trackers = false;
        });
        self.world.run_for(Duration::from_secs(1));
        self
    }

    /// A hostile peer that waits to be dialled; the tracker names it.
    pub fn listens(mut self, peer: Peer) -> Arena {
        let who = self.world.add_stranger(true, peer);
        self.world.tracker_knows(&self.content, self.world.stranger_address(who));
        self.hostile.push(who);
        self
    }

    /// A hostile peer that dials the victim, so often at once.
    pub fn dials(mut self, peer: Peer, times: usize) -> Arena {
        let victim = self.world.address(self.victim);
        self.hostile.push(self.world.add_stranger(false, peer.dials(victim, times)));
        self
    }

    /// Lets the victim and the honest peer begin.
    pub fn start(&mut self) {
        self.started = self.world.now();
        let (victim, honest) = (self.world.address(self.victim), self.world.address(self.honest));
        match self.role {
            Role::Downloads => {
                self.world.download(self.victim, &self.content, &[honest]);
            }
            Role::Seeds => {
                let content = self.content.clone();
                self.world.add(self.honest, &content, &[victim], |add| add.use_trackers = false);
            }
        }
    }

    /// Lets so much time pass, and looks at the victim every second.
    pub fn goes_on(&mut self, span: Duration) {
        let until = self.world.now() + span;
        while self.world.now() < until {
            self.world.run_for(Duration::from_secs(1));
            self.heap = self.heap.max(heap_of(self.world.session(self.victim)));
            let whose = if self.role == Role::Downloads { self.victim } else { self.honest };
            if self.finished.is_none() && self.world.is_finished(whose, &self.content) {
                self.finished = Some(self.world.now());
            }
        }
    }

    /// Runs all of it: the start, so much time, and the same without the hostile peers, for comparison.
    pub fn run(mut self, span: Duration) -> Outcome {
        let mut twin = Arena::with(self.role, self.world.limits(), self.world.config().clone());
        twin.start();
        twin.goes_on(span);
        self.start();
        self.goes_on(span);
        let took = self.took();
        let most_links: usize = self.hostile.iter().map(|&who| self.world.seen(who).most_open).sum();
        let outcome = Outcome {
            closed: self.closed(),
            took,
            alone: twin.took(),
            wasted: self.world.view(self.victim, &self.content).map_or(0, |view| view.wasted),
            banned: self.banned(),
            heap: self.heap.saturating_sub(twin.heap),
            most_links,
            arena: self,
        };
        outcome.holds();
        outcome
    }

    fn took(&self) -> Duration {
        let finished = self.finished.unwrap_or_else(|| panic!("it did not finish: {:?}", self.closed()));
        finished.since(self.started)
    }

    pub fn is_hostile(&self, addr: SocketAddr) -> bool {
        self.hostile.iter().any(|&who| self.world.stranger_address(who).ip() == addr.ip())
    }

    /// Why the victim's connections to the hostile peers ended.
    pub fn closed(&self) -> Vec<CloseReason> {
        let notices = self.world.notices(self.victim).iter();
        notices
            .filter_map(|notice| match notice {
                Notice::PeerClosed { addr, reason, .. } if self.is_hostile(*addr) => Some(*reason),
                _ => None,
            })
            .collect()
    }

    fn banned(&self) -> Vec<IpAddr> {
        let notices = self.world.notices(self.victim).iter();
        notices
            .filter_map(|notice| if let Notice::PeerBanned { addr, .. } = notice { Some(addr.ip()) } else { None })
            .collect()
    }

    pub fn peer(&self, number: usize) -> &Peer {
        self.world.stranger(self.hostile[number])
    }
}

pub struct Outcome {
    pub arena: Arena,
    pub closed: Vec<CloseReason>,
    pub took: Duration,
    /// How long it takes without the hostile peers.
    pub alone: Duration,
    pub wasted: u64,
    pub banned: Vec<IpAddr>,
    /// What the victim's session took more than without them, at the most, in bytes.
    pub heap: u64,
    most_links: usize,
}

impl Outcome {
    /// What has to hold whoever comes.
    fn holds(&self) {
        let Arena { world, content, victim, honest, .. } = &self.arena;
        let whose = if self.arena.role == Role::Downloads { *victim } else { *honest };
        assert!(world.has_all(whose, content));
        // Nobody honest is harmed.
        let honest_ip = world.address(*honest).ip();
        assert!(!self.banned.contains(&honest_ip));
        for notice in world.notices(*victim) {
            if let Notice::PeerClosed { addr, reason: CloseReason::Fault(fault), .. } = notice {
                assert!(addr.ip() != honest_ip, "the honest peer is closed for {fault:?}");
            }
        }
        // A peer's share of memory: 8 KiB, a bitfield, the longest message.
        let bitfield = u64::from(content.pieces().div_ceil(8));
        let share = 8 * KIB + bitfield + u64::from(world.config().peer.max_message_length);
        let most = share * self.most_links as u64;
        assert!(self.heap <= most, "{} bytes for {} connections", self.heap, self.most_links);
        // No event is amplified.
        let counts = world.counts(*victim);
        assert!(counts.most_actions <= 1_000, "{} actions on one event", counts.most_actions);
        assert!(counts.actions_on_bytes <= 4 * counts.received, "{counts:?}");
        // Knocking keeps to its limits.
        for (addr, times) in &counts.dials {
            if self.arena.is_hostile(*addr) {
                let span = self.arena.world.now().since(Time::ZERO).as_secs();
                assert!(times.len() as u64 <= 4 + span / 60, "{} dials in {span} s", times.len());
            }
        }
        for &who in &self.arena.hostile {
            let peer: &Peer = world.stranger(who);
            assert!(peer.nonsense.is_empty(), "{:?}", peer.nonsense);
        }
    }

    /// Prints a line of the table of what our side does.
    pub fn tell(&self, line: &str) -> &Outcome {
        let mut reasons: Vec<(CloseReason, usize)> = Vec::new();
        for reason in &self.closed {
            match reasons.iter_mut().find(|(other, _)| other == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((*reason, 1)),
            }
        }
        let ends: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} x {reason}")).collect();
        let ended: u64 = self.arena.hostile.iter().map(|&who| self.arena.world.seen(who).ended).sum();
        let ends = match (ends.is_empty(), ended) {
            (false, _) => ends.join(", "),
            (true, 0) => "tolerated".to_owned(),
            (true, _) => format!("{ended} x closed before it named the torrent, or refused"),
        };
        println!(
            "| {line} | {ends} | {} | {} | {:.0} s ({:.0} s) |",
            self.wasted,
            self.heap,
            self.took.as_secs_f64(),
            self.alone.as_secs_f64()
        );
        self
    }

    /// All connections ended for this fault, and there were some.
    pub fn only_fault(&self, fault: PeerFault) -> &Outcome {
        let wanted = CloseReason::Fault(fault);
        assert!(!self.closed.is_empty() && self.closed.iter().all(|&reason| reason == wanted), "{:?}", self.closed);
        self
    }

    pub fn wasted_at_most(&self, bytes: u64) -> &Outcome {
        assert!(self.wasted <= bytes, "{} bytes wasted", self.wasted);
        self
    }

    /// It took no longer than so many hundredths of the time that it takes without them, and a few seconds.
    pub fn within(&self, percent: u32) -> &Outcome {
        let most = self.alone * percent / 100 + Duration::from_secs(3);
        assert!(self.took <= most, "{:?} instead of {:?}", self.took, self.alone);
        self
    }

    pub fn nobody_banned(&self) -> &Outcome {
        assert!(self.banned.is_empty(), "{:?}", self.banned);
        self
    }

    /// Every hostile peer is banned.
    pub fn all_banned(&self) -> &Outcome {
        for &who in &self.arena.hostile {
            assert!(self.banned.contains(&self.arena.world.stranger_address(who).ip()), "{:?}", self.banned);
        }
        self
    }
}
