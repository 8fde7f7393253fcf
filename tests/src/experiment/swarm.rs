//! The swarm: nodes, and what goes between them.

use super::idle::{self, Sample};
use super::network::{Arrival, Buffers};
use super::node::{Node, Outside};
use super::options::{Join, Options, OptionsError, Policy};
use super::report::{Cost, FirstCopy, PeerReport, Report};
use super::tracker::{self, Tracker};
use parcacik_core::bencode::encode_dict;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{Actions, AddTorrent, Command, RateLimits, RootId, SeedGoal, SocketId};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::time::{Duration, Instant};

/// An announce takes a connection, and then a question and its answer.
const ANNOUNCE_TRIPS: u32 = 4;

/// Those who come all at once come within so much: nobody's clocks run in step with another's.
const CROWD: Duration = Duration::from_millis(40);

/// Runs an experiment until everybody who comes has everything (and has left, if that is what peers do), or its time is over.
///
/// # Errors
/// When the options make no experiment.
pub fn run(options: &Options) -> Result<Report, OptionsError> {
    options.check()?;
    let (began, used) = (Instant::now(), processor_time());
    let mut swarm = Swarm::new(options)?;
    while swarm.step() {}
    let cost = Cost {
        wall: began.elapsed(),
        processor: processor_time().zip(used).map(|(end, start)| end.saturating_sub(start)),
    };
    Ok(swarm.report(cost))
}

struct Swarm<'o> {
    options: &'o Options,
    nodes: Vec<Node>,
    /// When something happens to each.
    due: Vec<Time>,
    outside: Outside,
    tracker: Tracker,
    now: Time,
    /// Peers that have not got everything yet, or not left.
    unfinished: u32,
    /// Which pieces somebody who is no seed has, and how many notices of pieces were looked at.
    out: Bitfield,
    seen: usize,
    first_copy: Option<FirstCopy>,
    idle: Vec<Sample>,
    next_sample: Time,
}

/// Seeds for one purpose: all chance of an experiment comes from one number.
fn seeds(options: &Options, purpose: u8, number: u32) -> Seeds {
    let mut seeds = Seeds::for_tests(purpose);
    for place in [&mut seeds.decision, &mut seeds.secret] {
        place[1..9].copy_from_slice(&options.seed.to_le_bytes());
        place[9..13].copy_from_slice(&number.to_le_bytes());
    }
    seeds
}

fn chance(options: &Options, purpose: u8) -> Rng {
    seeds(options, purpose, 0).decisions(Stream::Session, 0)
}

fn metainfo(options: &Options) -> Vec<u8> {
    let pieces = options.pieces() as usize;
    let info = encode_dict(|info| {
        info.int("length", options.size as i64)
            .bytes("name", "experiment")
            .int("piece length", i64::from(options.piece_length))
            .bytes("pieces", vec![7; pieces * 20]);
    });
    encode_dict(|file| _ = file.raw("info", &info))
}

/// When each peer comes.
fn coming(options: &Options) -> Vec<Time> {
    let mut chance = chance(options, 1);
    let mut at = Duration::ZERO;
    let peers = (0..options.peers).map(|_| match options.join {
        Join::Crowd => Time::ZERO + Duration::from_micros(chance.below(CROWD.as_micros() as u64)),
        Join::Poisson(gap) => {
            // So many trials until a success have the mean that is asked for; 1000 in a gap are as good as a fluid.
            let trial = gap / 1000;
            let mut trials = 1;
            while chance.below(1000) > 0 {
                trials += 1;
            }
            at += trial * trials;
            Time::ZERO + at
        }
    });
    let seeds = (0..options.seeds).map(|_| Time::ZERO);
    seeds.chain(peers.collect::<Vec<_>>()).collect()
}

impl<'o> Swarm<'o> {
    fn new(options: &'o Options) -> Result<Swarm<'o>, OptionsError> {
        let (config, metainfo) = (options.session_config(), bytes::Bytes::from(metainfo(options)));
        let mut nodes = Vec::with_capacity(options.nodes() as usize);
        for (id, comes) in (0..).zip(coming(options)) {
            let session = Session::new(config.clone(), seeds(options, 2, id));
            let session = session.map_err(|error| OptionsError(error.to_string()))?;
            let mut add = AddTorrent::new(metainfo.clone(), RootId(0));
            add.extra_trackers = vec![tracker::URL.to_owned()];
            add.goal = SeedGoal::Forever;
            add.managed = false;
            add.sequential = Some(options.policy == Policy::Sequential);
            add.super_seed = options.super_seed && options.is_seed(id);
            if options.is_free_rider(id) {
                add.limits = RateLimits { upload: Some(1), download: None };
            }
            let addr = tracker::address(id);
            let listen = Command::Listen { tcp: SocketId(1), udp: None, lsd: None, dht: false, addr, device: None };
            let first = vec![listen, Command::Add(Box::new(add))];
            let mut node = Node::new(id, session, comes, first, options.size, options.uplink(id), options.down);
            node.has_file = options.is_seed(id);
            node.has_come_whole = options.is_seed(id);
            node.leaves = options.leave && !options.is_seed(id);
            nodes.push(node);
        }
        let contacts = options.contacts.unwrap_or(options.links.div_ceil(2));
        Ok(Swarm {
            options,
            due: nodes.iter().map(Node::next).collect(),
            nodes,
            outside: Outside {
                latency: options.latency,
                post: Vec::new(),
                asks: Vec::new(),
                buffers: Buffers::new(),
                actions: Actions::new(),
                events: 0,
                pieces: Vec::new(),
            },
            tracker: Tracker::new(chance(options, 3), options.nodes(), contacts),
            now: Time::ZERO,
            unfinished: options.peers,
            out: Bitfield::none(options.pieces()),
            seen: 0,
            first_copy: None,
            idle: Vec::new(),
            next_sample: Time::ZERO,
        })
    }

    /// One latency: what anybody does in it reaches nobody else before it is over. False: that was all.
    fn step(&mut self) -> bool {
        let begin = self.due.iter().copied().min().unwrap_or(Time::NEVER);
        if self.unfinished == 0 || begin > Time::ZERO + self.options.limit {
            return false;
        }
        self.now = begin;
        let until = begin + self.options.latency;
        for (id, (node, due)) in self.nodes.iter_mut().zip(&mut self.due).enumerate() {
            if *due < until {
                let was = is_finished(node, self.options);
                node.run(until, &mut self.outside);
                *due = node.next();
                let counts = !self.options.is_seed(id as u32);
                self.unfinished -= u32::from(counts && is_finished(node, self.options) && !was);
            }
        }
        self.look_what_is_out();
        if until >= self.next_sample {
            self.next_sample = until + idle::EVERY;
            let counts = |id| !self.options.is_free_rider(id);
            self.idle.push(idle::sample(until, &self.nodes, counts));
        }
        self.answer();
        for (to, at, arrival) in self.outside.post.drain(..) {
            let to = to as usize;
            if let (Some(node), Some(due)) = (self.nodes.get_mut(to), self.due.get_mut(to)) {
                node.expect(at, arrival);
                *due = at.min(*due);
            }
        }
        true
    }

    /// Whether each piece has come to somebody now, for the first time.
    fn look_what_is_out(&mut self) {
        if self.first_copy.is_some() {
            return;
        }
        let mut last = Time::ZERO;
        for &(at, id, piece) in self.outside.pieces.iter().skip(self.seen) {
            if !self.options.is_seed(id) && self.out.insert(piece) {
                last = last.max(at);
            }
        }
        self.seen = self.outside.pieces.len();
        if self.out.is_full() {
            let seeds = self.nodes.iter().take(self.options.seeds as usize);
            self.first_copy = Some(FirstCopy { at: last, sent: seeds.map(|seed| seed.content_sent).sum() });
        }
    }

    /// The tracker answers, in the order in which it was asked. Whoever asks in the same moment is known to the others.
    fn answer(&mut self) {
        self.outside.asks.sort_by_key(|ask| (ask.at, ask.node));
        for ask in &self.outside.asks {
            self.tracker.note(ask);
        }
        for ask in self.outside.asks.drain(..) {
            let body = self.tracker.answer(&ask);
            let at = ask.at + self.options.latency * ANNOUNCE_TRIPS;
            self.outside.post.push((ask.node, at, Arrival::Told { job: ask.job, body }));
        }
    }

    fn report(&self, cost: Cost) -> Report {
        let peer = |(id, node): (u32, &Node)| {
            let view = node.torrent.and_then(|torrent| node.session.as_ref()?.view(torrent));
            PeerReport {
                seed: self.options.is_seed(id),
                free_rider: self.options.is_free_rider(id),
                joined: node.joins_at,
                finished: node.finished_at,
                downloaded: view.as_ref().map_or(0, |view| view.downloaded),
                uploaded: node.content_sent,
                sent: node.sent,
                wasted: view.as_ref().map_or(0, |view| view.wasted),
                links: view.as_ref().map_or(0, |view| view.peers),
                closed: node.closed,
                messages: node.census.clone(),
            }
        };
        Report {
            options: self.options.clone(),
            peers: (0..).zip(&self.nodes).map(peer).collect(),
            ended: self.now,
            events: self.outside.events,
            pieces: self
                .outside
                .pieces
                .iter()
                .filter(|(_, id, _)| !self.options.is_seed(*id))
                .map(|(at, ..)| *at)
                .collect(),
            first_copy: self.first_copy,
            idle: self.idle.clone(),
            cost,
        }
    }
}

fn is_finished(node: &Node, options: &Options) -> bool {
    node.finished_at.is_some() && (node.left || !options.leave)
}

/// What this process has used of processors so far, where the system tells.
fn processor_time() -> Option<Duration> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(used.tv_sec).ok()?, u32::try_from(used.tv_nsec).ok()?))
}
