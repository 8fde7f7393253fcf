//! One torrent: the machine that owns its pieces, its peers and its claims on the disk.
//!
//! It decides nothing by itself that a part can decide. It passes on what it is told, and carries out what they say:
//!
//! | part | decides |
//! |---|---|
//! | [`picker`] | which block to ask of whom |
//! | [`choker`] | who is served |
//! | [`candidates`] | whom to dial |
//! | [`metadata`], `magnet` | how the info dictionary is had from peers; the torrent of a magnet link until then |
//! | [`pex`] | which peer is told of which others, and what is believed of what they tell |
//! | [`blame`] | who sent bad data |
//! | [`superseed`] | which piece to show to whom, as the only seed |
//! | `suggest` | which piece to suggest to whom, as a seed |
//! | `bystanders` | whose place is given away when there are no more |
//! | [`persist`], [`resume`] | what may be claimed, and when it is made durable |
//! | `selection`, `placement` | which files are wanted, and where their bytes lie |
//! | `health` | whether the storage works, and when it is looked at again |
//! | `lifecycle` | pausing, checking anew, moving, deleting: what the application asks of a torrent that runs |
//! | [`Announcer`] | which tracker to ask, and when |
//! | [`PeerConn`] | everything between the bytes of one connection and their meaning |
//!
//! # States
//!
//! ```text
//!  Opening ─> Looking ─> Checking ──> Halted <──> Running (downloading, then seeding)
//!     │  ^       │  ^       │  ^        │  │          │
//!     │  └─wait──┘──┘       │  └recheck─┘  │          │
//!     └──────────┴──────────┴──> Failed    └──────────┴──> Stopping ──> (deleting) ──> Stopped
//! ```
//!
//! *Opening*: the storage learns the layout and resume data are fetched. *Looking*: which files exist; a storage that is not
//! there yet is waited for. *Checking*: pieces that may be there are hashed. *Running*: peers and trackers. *Halted*: neither, because
//! the torrent is paused, has no place in the [queue](crate::session::queue), or its files are to be moved or hashed again
//! first. Of a magnet link, what stands in for the torrent runs until the info dictionary is here, and then begins at *Opening*
//! once more, with its peers (`magnet`). *Failed*: something that a person has to see to; a check begins anew. *Stopping*, from anywhere: trackers are told,
//! what is dirty is synced and saved, files are deleted if that is wanted, and closed. Each phase has its code in a file of its own.
//!
//! A storage that fails is no phase: a torrent whose disk is full runs on and serves what it has (`health`).
//!
//! # Invariants
//!
//! A block is `Write`n once per time it was accepted; a piece is `Verify`d when all its writes have ended well; only a piece that
//! was verified is announced, served, or given to [`persist`]; only what was synced is claimed in resume data.

pub mod blame;
pub mod brake;
mod bystanders;
pub mod candidates;
pub mod choker;
mod clock;
mod disk;
mod guests;
mod health;
mod jobs;
mod lifecycle;
mod limits;
mod magnet;
pub mod metadata;
mod neighbours;
mod peers;
pub mod persist;
pub mod pex;
pub mod picker;
mod placement;
pub mod resume;
mod selection;
mod shared;
mod startup;
mod state;
mod stop;
mod suggest;
pub mod superseed;
mod swarm;
mod trackers;
mod view;

use crate::bitfield::Bitfield;
use crate::border::{
    AddTorrent, InfoHash, InfoHashes, IoFault, JobId, JobResult, Notice, PeerId, PeerKey, RootId, SeedGoal,
    StorageLayout, TorrentId, TorrentState, Work,
};
use crate::cx::Cx;
use crate::journal::canon::canon_enum;
use crate::metainfo::{Geometry, Metainfo, PieceHashes, PieceIndex};
use crate::net_policy::Word;
use crate::peer::{PeerConn, PeerFacts};
use crate::rate::Rate;
use crate::rng::Stream;
use crate::rows::Rows;
use crate::time::{Time, earliest};
use crate::timers::Timers;
use crate::tracker::announcer::Announcer;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use blame::Blame;
pub use bystanders::Bystanders;
use bytes::Bytes;
use candidates::Candidates;
use choker::Choker;
use clock::Stopwatch;
use core::net::SocketAddr;
use jobs::{Jobs, Purpose};
pub use limits::Buckets;
pub(crate) use limits::Way;
pub(crate) use neighbours::DhtWish;
use persist::Persist;
use pex::Pex;
use picker::Picker;
use placement::Placement;
pub use selection::FileView;
use selection::Selection;
pub(crate) use selection::check as check_priorities;
pub use shared::{Listening, Shared, Standing};
use startup::Startup;
pub use view::{RefusedPeers, TorrentView};

/// What is fixed about a torrent.
#[derive(Clone, Debug)]
struct Facts {
    hashes: InfoHashes,
    name: String,
    geometry: Geometry,
    piece_hashes: PieceHashes,
    layout: Arc<StorageLayout>,
    private: bool,
    /// The info dictionary.
    info: Bytes,
}

/// Where a torrent stands.
#[derive(Clone, Debug)]
enum Phase {
    /// Finding out what is there.
    Starting(Box<Startup>),
    /// Exchanging pieces.
    Running,
    /// All that is there is known, and nothing is exchanged: see [`lifecycle`].
    Halted,
    /// Stopped by a fault that does not heal by itself.
    Failed(IoFault),
    /// Finishing.
    Stopping {
        /// When it is over whether it is done or not.
        until: Time,
        /// Whether what ended after stopping began has been made durable too.
        flushed: bool,
    },
    /// Finished.
    Stopped,
}

canon_enum!(out Phase { 0 = Starting(a), 1 = Running, 2 = Halted, 3 = Failed(a), 4 = Stopping { until, flushed }, 5 = Stopped });

/// A peer, and what the torrent keeps beside its connection.
#[derive(Clone, Debug)]
struct Peer {
    conn: PeerConn,
    /// The time it is registered for in `Torrent::timers`.
    timer: Option<Time>,
    /// How many pieces it has that we still want.
    interesting: u32,
    /// Whether its pieces are counted in the picker's availability.
    counted: bool,
    /// Whether it has given a block that was of use.
    gave: bool,
    /// Whether its handshake was completed.
    ready: bool,
    /// Whether it has just left blocks to others: it is asked for more after those.
    gave_back: bool,
    /// What it has used of rate limits.
    shares: limits::Shares,
    /// Since when neither side wants anything of the other, as registered in `Torrent::places`.
    bystander_since: Option<Time>,
    /// What it was suggested.
    suggest: suggest::Told,
    /// What it was told of, when it is a guest of super seeding.
    shown: Option<Box<Bitfield>>,
    /// Super seeding has ended, and it has been told of the pieces below this one; these it was shown before.
    unveiled: Option<(u32, Box<Bitfield>)>,
    /// Whether it has said where its node of the DHT is.
    named_node: bool,
}

/// One torrent.
#[derive(Clone, Debug)]
pub struct Torrent {
    id: TorrentId,
    facts: Facts,
    peer_id: PeerId,
    root: RootId,
    goal: SeedGoal,
    overwrite: bool,
    recheck: bool,
    seed_only: bool,
    phase: Phase,
    /// Its info dictionary is not known yet.
    seeking: Option<Box<magnet::Seeking>>,
    /// Whether resume data keep the info dictionary.
    keeps_info: bool,
    /// Whether what is on the disk was looked at to the end: before, there is nothing to make durable, and what is durable
    /// already must not be replaced.
    examined: bool,
    told: Option<TorrentState>,

    selection: Selection,
    placement: Placement,
    picker: Picker,
    choker: Choker,
    candidates: Candidates,
    /// None for a private torrent.
    pex: Option<Box<Pex>>,
    blame: Blame,
    persist: Persist,
    announcer: Announcer,

    /// A peer is taken out (`None`) while it is being called.
    peers: Rows<PeerKey, Option<Box<Peer>>>,
    ready_peers: u32,
    /// Who of them is whom, of those whose handshake was completed.
    peer_ids: BTreeMap<PeerId, PeerKey>,
    timers: Timers<PeerKey>,
    dials: BTreeMap<crate::border::DialId, SocketAddr>,
    /// Peers that could be asked for more than there was to ask.
    hungry: BTreeSet<PeerKey>,
    /// Nobody is there, and nobody is left to dial: trackers have been asked for more.
    dry: bool,
    /// Something may have become free to ask for.
    refill: bool,
    /// Peers that are not read from because the disk is behind.
    held: bool,
    /// Peers that wait for room to read ahead for.
    waiting_reads: BTreeSet<PeerKey>,
    /// Who of them had its turn last.
    last_reader: PeerKey,

    jobs: Jobs,
    disk: disk::DiskState,
    limits: limits::Limits,
    places: bystanders::Places,
    suggestions: suggest::Suggestions,
    /// Pieces that were ours in this session, and peers were told of, that are not any more.
    lost: BTreeSet<PieceIndex>,
    wants_super_seed: bool,
    super_seed: Option<Box<superseed::SuperSeed>>,
    /// Whether it is counted among the torrents that serve somebody.
    serving: bool,
    health: health::Health,
    life: lifecycle::Lifecycle,

    /// When the hungry may find something merely because time has gone by.
    chance_at: Option<Time>,
    started_at: Time,
    /// Whether all that is wanted is there, as it was told last.
    whole: bool,
    /// Whether it gives only, as peers were told last.
    told_only_gives: bool,
    /// Counts while it runs.
    active: Stopwatch,
    /// Counts while it runs and has all that is wanted.
    seeding: Stopwatch,
    /// When resume data were last saved.
    saved_at: Time,
    /// Whether trackers have been told of the completion, in this run or an earlier one.
    completed_ever: bool,
    goal_reached: bool,
    downloaded: Rate,
    uploaded: Rate,
    uploaded_before: u64,
    downloaded_before: u64,
    /// Verified bytes that were downloaded in this session.
    verified_here: u64,
    wasted: u64,
    refused_peers: RefusedPeers,
    scratch: Vec<crate::metainfo::Block>,
    /// When the session is to call next, as registered there.
    pub(crate) timer: Option<Time>,
    /// When the session is to ask for somebody to dial, as registered there.
    pub(crate) dial_timer: Option<Time>,
    /// What it means to the queue, as registered with the session.
    pub(crate) noted: Standing,
    /// What it wants of the DHT, as registered with the session.
    pub(crate) dht_noted: Option<DhtWish>,
    /// The UDP answers it waits for, as registered with the session.
    pub(crate) udp_keys: Vec<(SocketAddr, u32)>,
    /// Its announces by HTTP under way, as counted in the session.
    pub(crate) http_held: u32,
    /// Which version of our own addresses is known here.
    own_version: u64,
}

impl Torrent {
    /// Starts a torrent. Nothing is said to anybody before what is on the disk has been looked at.
    pub(crate) fn new(
        cx: &mut Cx,
        id: TorrentId,
        peer_id: PeerId,
        meta: &Metainfo,
        info: Bytes,
        add: &AddTorrent,
    ) -> Torrent {
        Torrent::begin(cx, id, peer_id, Facts::of(meta, info), meta.trackers().to_vec(), add, None)
    }

    fn begin(
        cx: &mut Cx,
        id: TorrentId,
        peer_id: PeerId,
        facts: Facts,
        trackers: Vec<Vec<String>>,
        add: &AddTorrent,
        seeking: Option<magnet::Seeking>,
    ) -> Torrent {
        let (geometry, files) = (facts.geometry, facts.layout.files().len());
        let number = u64::from(id.0);
        let nothing = Bitfield::none(geometry.pieces());
        let mut tiers: Vec<Vec<String>> = Vec::new();
        if add.use_trackers {
            tiers.extend(add.extra_trackers.iter().map(|url| Vec::from([url.clone()])));
            tiers.extend(trackers);
        }
        let (mut announcer, refused) = Announcer::with_policy(
            tiers,
            &cx.config.net,
            cx.seeds.decisions(Stream::Announcer, number),
            cx.seeds.secrets(Stream::Announcer, number),
        );
        announcer.trust(&add.extra_trackers, &cx.config.net);
        let mut torrent = Torrent {
            id,
            peer_id,
            root: add.root,
            goal: add.goal,
            overwrite: add.overwrite,
            recheck: add.recheck,
            seed_only: add.seed_only,
            phase: Phase::Starting(Box::default()),
            keeps_info: seeking.is_some(),
            seeking: seeking.map(Box::new),
            examined: false,
            told: None,
            selection: Selection::new(files, add.priorities.as_deref(), add.sequential),
            placement: Placement::default(),
            picker: Picker::new(geometry, &nothing, &cx.config.pick, cx.seeds.decisions(Stream::Picker, number)),
            choker: Choker::new(cx.seeds.decisions(Stream::Choker, number)),
            candidates: Candidates::new(cx.seeds.decisions(Stream::Candidates, number))
                .with_table(Arc::clone(&cx.config.addresses)),
            pex: neighbours::exchange(cx, facts.private),
            blame: Blame::new(&cx.config.pick),
            persist: Persist::fresh(geometry, files + 1),
            announcer,
            peers: Rows::default(),
            ready_peers: 0,
            peer_ids: BTreeMap::new(),
            timers: Timers::default(),
            dials: BTreeMap::new(),
            hungry: BTreeSet::new(),
            dry: false,
            refill: false,
            held: false,
            waiting_reads: BTreeSet::new(),
            last_reader: PeerKey(0),
            jobs: Jobs::default(),
            disk: disk::DiskState::default(),
            limits: limits::Limits::new(cx.now, &cx.config.rate, add.limits),
            places: bystanders::Places::default(),
            suggestions: suggest::Suggestions::new(),
            wants_super_seed: add.super_seed,
            super_seed: None,
            serving: false,
            lost: BTreeSet::new(),
            health: health::Health::default(),
            life: lifecycle::Lifecycle::new(add.paused),
            chance_at: None,
            started_at: cx.now,
            whole: false,
            told_only_gives: false,
            active: Stopwatch::default(),
            seeding: Stopwatch::default(),
            saved_at: cx.now,
            completed_ever: false,
            goal_reached: false,
            downloaded: Rate::default(),
            uploaded: Rate::default(),
            uploaded_before: 0,
            downloaded_before: 0,
            verified_here: 0,
            wasted: 0,
            refused_peers: RefusedPeers::default(),
            scratch: Vec::new(),
            timer: None,
            dial_timer: None,
            noted: Standing::Out,
            dht_noted: None,
            udp_keys: Vec::new(),
            http_held: 0,
            own_version: 0,
            facts,
        };
        torrent.tell_refused_urls(cx, refused);
        torrent.start_over(cx);
        torrent.add_peers(cx, &add.peers, Word::User);
        torrent
    }

    /// The hash that the torrent goes by.
    pub fn info_hash(&self) -> InfoHash {
        self.facts.hashes.best()
    }

    /// All its hashes.
    pub fn hashes(&self) -> InfoHashes {
        self.facts.hashes
    }

    /// Its name, safe as a file name.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// When it wants to be called next.
    pub(crate) fn deadline(&self, cx: &Cx) -> Option<Time> {
        let running = matches!(self.phase, Phase::Running);
        let stopping = match self.phase {
            Phase::Stopping { until, .. } => Some(until),
            _ => None,
        };
        let starting = self.is_starting();
        earliest([
            self.timers.first(),
            self.announcer.deadline(),
            stopping,
            if self.may_persist() { self.persist.deadline(&cx.config.persist) } else { None },
            if running || starting { self.health.deadline(starting) } else { None },
            if running { self.choker.deadline() } else { None },
            if running { self.disk.deadline() } else { None },
            if running { self.life.deadline() } else { None },
            if running { self.goal_deadline() } else { None },
            if running { self.chance_at } else { None },
            if running { self.bystander_deadline(cx) } else { None },
            if running { self.seeking_deadline(cx) } else { None },
            if running { self.pex.as_ref().and_then(|pex| pex.deadline()) } else { None },
            self.limits.deadline(cx.now),
            self.super_seed.as_ref().and_then(|machine| machine.deadline()),
        ])
    }

    /// Its time has come.
    pub(crate) fn tick(&mut self, cx: &mut Cx, shared: &mut Shared) {
        while let Some(key) = self.timers.pop_due(cx.now) {
            let Some(mut peer) = self.take(key) else { continue };
            peer.timer = None;
            if peer.conn.deadline().is_some_and(|due| due <= cx.now) {
                let facts = self.facts_for(shared, peer.shown.as_deref());
                peer.conn.tick(cx, &facts);
            }
            self.drive(cx, shared, key, peer);
        }
        self.announce_tick(cx, shared);
        self.health_tick(cx);
        self.doubt_tick(cx);
        self.super_seed_tick(cx, shared);
        self.seeking_tick(cx);
        if matches!(self.phase, Phase::Running) {
            self.drop_bystanders(cx, shared);
            self.exchange_tick(cx, shared);
        }
        if self.chance_at.is_some_and(|due| due <= cx.now) {
            self.refill = true;
        }
        self.settle(cx, shared);
        if let Phase::Stopping { until, .. } = self.phase
            && until <= cx.now
        {
            self.out_of_time(cx);
        }
    }

    /// A job of this torrent has ended.
    pub(crate) fn job_done(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        job: JobId,
        result: Result<JobResult, IoFault>,
    ) {
        match self.jobs.take(job) {
            Some(purpose) => self.work_done(cx, shared, purpose, result),
            None => self.announce_job(cx, shared, job, &result),
        }
        self.settle(cx, shared);
    }

    fn work_done(&mut self, cx: &mut Cx, shared: &mut Shared, purpose: Purpose, result: Result<JobResult, IoFault>) {
        match purpose {
            Purpose::Open | Purpose::Load | Purpose::Check | Purpose::CreateEmpty => {
                self.startup_step(cx, &purpose, result);
            }
            Purpose::Place if self.is_starting() => self.startup_step(cx, &purpose, result),
            Purpose::Place => self.placed(cx, shared, result),
            Purpose::DropPart => self.part_dropped(cx, result),
            Purpose::Recheck(piece) => self.rechecked(cx, shared, piece, result),
            Purpose::Verify(piece) => self.verified(cx, shared, piece, result),
            Purpose::Digest(piece) => self.digested(cx, shared, piece, result),
            Purpose::Write(block) => self.written(cx, block, shared, result),
            Purpose::Upload { peer, run, paid } => self.loaded(cx, shared, peer, run, paid, result),
            Purpose::Sync => self.synced(cx, shared, result),
            Purpose::Save { pieces } => self.saved(cx, pieces, result),
            Purpose::Release => self.ended(cx),
            Purpose::Look => self.looked(cx, shared, result),
            Purpose::Regain(piece) => self.regained(cx, shared, piece, result),
            Purpose::Move => self.moved(cx, result),
            Purpose::Reopen => self.reopened(cx, result),
            Purpose::Delete => self.deleted(cx, result),
            Purpose::Resolve { port, word } => self.resolved(cx, port, word, result),
        }
    }

    /// What is due after every call: nothing in it may depend on how the call came about.
    fn settle(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.note_own_address(shared);
        self.seek(cx, shared, None);
        self.adopt_step(cx, shared);
        if matches!(self.phase, Phase::Running) && self.choker.deadline().is_some_and(|due| due <= cx.now) {
            self.choke_round(cx, shared);
        }
        self.adjust(cx, shared);
        self.run_clocks(cx.now);
        if self.refill {
            self.refill = false;
            self.feed_hungry(cx, shared);
            // Somebody may get more of a piece on parole by waiting alone.
            self.chance_at = if self.hungry.is_empty() { None } else { self.picker.next_chance(cx.now) };
        }
        self.ask_for_peers(cx, shared);
        self.placement_step(cx, shared);
        self.check_goal(cx, shared);
        self.persist_orders(cx);
        self.stop_step(cx);
    }

    /// Lets the clocks of [`TorrentView`] and the goal run or stand.
    fn run_clocks(&mut self, now: Time) {
        let running = matches!(self.phase, Phase::Running);
        self.active.set(now, running);
        self.seeding.set(now, running && self.has_all());
    }

    fn start(&mut self, cx: &mut Cx, work: Work, purpose: Purpose) -> JobId {
        let job = cx.start(work);
        self.jobs.add(job, purpose);
        job
    }

    fn take(&mut self, key: PeerKey) -> Option<Box<Peer>> {
        self.peers.get_mut(key)?.take()
    }

    fn peer_facts(&self, shared: &Shared) -> PeerFacts<'_> {
        PeerFacts {
            torrent: self.id,
            info_hash: self.info_hash(),
            peer_id: self.peer_id,
            geometry: if self.seeking.is_some() { None } else { Some(&self.facts.geometry) },
            have: self.picker.have(),
            lost: &self.lost,
            listen_port: shared.listen_port(),
            metadata: Some(&self.facts.info).filter(|_| self.seeking.is_none() && !self.facts.private),
            upload_only: self.only_gives(),
            private: self.facts.private,
            node_ports: if self.facts.private { [None; 2] } else { shared.node_ports() },
        }
    }

    fn state(&self) -> TorrentState {
        match self.phase {
            Phase::Starting(_) => TorrentState::Checking,
            Phase::Halted if self.life.is_moving() => TorrentState::Moving,
            Phase::Halted if self.life.needs_the_disk() => TorrentState::Checking,
            Phase::Halted if self.life.paused || self.life.is_held() => TorrentState::Paused,
            Phase::Halted if self.life.queued => TorrentState::Queued,
            Phase::Running | Phase::Halted if self.seeking.is_some() => TorrentState::Metadata,
            Phase::Running | Phase::Halted if self.has_all() => TorrentState::Seeding,
            Phase::Running | Phase::Halted => TorrentState::Downloading,
            Phase::Failed(fault) => TorrentState::Failed(fault),
            Phase::Stopping { .. } => TorrentState::Stopping,
            Phase::Stopped => TorrentState::Stopped,
        }
    }

    /// Whether nothing is to be downloaded (any more): everything wanted has come, the info dictionary before all.
    fn only_gives(&self) -> bool {
        self.seeking.is_none() && (self.seed_only || self.picker.missing_bytes() == 0)
    }

    /// Whether it is still finding out what is on the disk.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting(_))
    }

    /// Whether a connection is still there.
    pub(crate) fn has_peer(&self, key: PeerKey) -> bool {
        self.peers.contains_key(key)
    }

    /// Tells the application of a new state, once.
    fn tell_state(&mut self, cx: &mut Cx) {
        let state = self.state();
        if self.told != Some(state) {
            self.told = Some(state);
            cx.out.notices.push(Notice::State { torrent: self.id, state });
        }
    }
}
