//! A download, with a look at every crash point on its way.

use super::disk::{CrashDisk, Job, NEWEST, OLDER, STATE, Step, Trouble};
use super::fs::FileSystem;
use super::image::{Image, Maker};
use super::restart::{Restart, order};
use super::seed::Seed;
use crate::Content;
use bytes::Bytes;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Action, Actions, Command, CommandId, Config, Event, InfoHashes, IoFault, JobId, Notice, TcpId, TorrentId,
    TorrentState, Work,
};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::torrent::resume::ResumeData;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

/// What goes wrong with the disk: at which step of its kind, counted from 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// This sync of a content file fails.
    pub sync: Option<u32>,
    /// This sync of resume data fails.
    pub save: Option<u32>,
    /// This write of content finds no room.
    pub room: Option<u32>,
    /// This write of resume data finds no room.
    pub save_room: Option<u32>,
}

/// A download.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What for, in a failure.
    pub name: &'static str,
    /// The torrent.
    pub content: Arc<Content>,
    /// How much each file is wanted; empty: all alike.
    pub wanted: Vec<u8>,
    /// After so many pieces, how much each file is wanted from then on.
    pub later: Option<(u32, Vec<u8>)>,
    /// What goes wrong.
    pub faults: Faults,
    /// After so many events the program is killed; it starts again on what the cache has.
    pub killed: Option<u64>,
    /// Whether the newest resume data of the images are damaged besides.
    pub damaged: bool,
    /// So many bytes that are verified are synced at once.
    pub sync_bytes: u64,
    /// In which order things happen.
    pub seed: u8,
    /// Of the images that are like none before, one in so many is downloaded to the end.
    pub finish_one_in: u64,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Places where the power could go.
    pub points: u64,
    /// Those of them at which something had changed since the one before.
    pub changed: u64,
    /// Those of them for which not all combinations were made.
    pub sampled: u64,
    /// Images that were made.
    pub images: u64,
    /// Images that were like none before, on each of which a session was started.
    pub restarts: u64,
    /// Of these, the ones that were downloaded to the end.
    pub finished: u64,
    /// Claims of pieces that were held against the bytes.
    pub claims: u64,
    /// Resume data that became durable.
    pub generations: u64,
    /// The most operations that waited at one point.
    pub most_pending: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.points += other.points;
        self.changed += other.changed;
        self.sampled += other.sampled;
        self.images += other.images;
        self.restarts += other.restarts;
        self.finished += other.finished;
        self.claims += other.claims;
        self.generations += other.generations;
        self.most_pending = self.most_pending.max(other.most_pending);
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} crash points ({} with a change, {} of them sampled; {} operations pending at most), {} images, {} restarts, {} of them \
             downloaded to the end, {} claims checked, {} durable generations",
            self.points,
            self.changed,
            self.sampled,
            self.most_pending,
            self.images,
            self.restarts,
            self.finished,
            self.claims,
            self.generations
        )
    }
}

/// What the sessions of the test are told: they sync and save often, so that a small download has many generations.
fn config(plan: &Plan) -> Config {
    let mut config = Config::default();
    config.persist.sync_interval = Duration::from_secs(1);
    config.persist.sync_bytes = plan.sync_bytes;
    config
}

const TORRENT: TorrentId = TorrentId(0);
/// Steps of a whole download are some hundred.
const MAX_STEPS: u64 = 20_000;

/// Downloads, and looks at what each crash point may leave.
///
/// # Panics
/// When something does not hold that has to.
pub fn run(plan: &Plan) -> Count {
    let seeds = Seeds::for_tests(plan.seed);
    let mut live = Live::new(plan, &seeds, FileSystem::default());
    let mut judge = Judge {
        plan,
        config: config(plan),
        maker: Maker::default(),
        rng: seeds.decisions(Stream::Session, 3),
        seen: HashMap::new(),
        durable: None,
        at: u64::MAX,
        count: Count::default(),
    };
    live.disk.trouble = Trouble {
        sync: plan.faults.sync,
        save: plan.faults.save,
        room: plan.faults.room,
        save_room: plan.faults.save_room,
    };
    let mut killed = plan.killed;
    for _ in 0..MAX_STEPS {
        if live.is_at_rest() {
            return judge.count;
        }
        if killed.is_some_and(|at| at <= live.events) {
            killed = None;
            // What was written is there still; what was under way is not done.
            let fs = live.disk.fs.clone();
            live = Live::new(plan, &seeds, fs);
        }
        live.step(&mut judge);
    }
    panic!("{}: the download does not end", plan.name);
}

/// Looks at images.
struct Judge<'p> {
    plan: &'p Plan,
    config: Config,
    maker: Maker,
    rng: Rng,
    /// What was claimed on each image.
    seen: HashMap<u64, Arc<Bitfield>>,
    /// What the last durable resume data claim.
    durable: Option<Bitfield>,
    /// The changes of the file system at the last look.
    at: u64,
    count: Count,
}

impl Judge<'_> {
    /// The power may go here.
    fn crash_point(&mut self, fs: &FileSystem) {
        self.count.points += 1;
        if std::mem::replace(&mut self.at, fs.changes()) == fs.changes() {
            return;
        }
        self.count.changed += 1;
        self.count.most_pending = self.count.most_pending.max(fs.pending().len() as u64);
        let mut maker = std::mem::take(&mut self.maker);
        let mut rng = self.rng.clone();
        let all = maker.each(fs, &mut rng, |mut image| {
            if self.plan.damaged {
                image.damage(&mut self.rng);
            }
            self.look(&image);
        });
        self.rng = rng;
        self.maker = maker;
        self.count.sampled += u64::from(!all);
    }

    fn look(&mut self, image: &Image) {
        self.count.images += 1;
        let digest = image.digest();
        let claims = match self.seen.get(&digest) {
            Some(claims) => claims.clone(),
            None => {
                let claims = Arc::new(self.restart(image));
                self.seen.insert(digest, claims.clone());
                claims
            }
        };
        if let Some(durable) = self.durable.as_ref().filter(|_| !self.plan.damaged) {
            let name = self.plan.name;
            assert!(claims.contains_all(durable), "{name}: {claims:?} is claimed where {durable:?} was durable");
        }
    }

    /// Starts a session on an image. What it claims.
    fn restart(&mut self, image: &Image) -> Bitfield {
        let (plan, content) = (self.plan, &self.plan.content);
        self.count.restarts += 1;
        let Some(restart) = Restart::new(image, content, &plan.wanted, &self.config) else {
            // Without any resume data, what lies there and holds no piece may be a stranger's; so it is not written to.
            assert!(plan.damaged, "{}: its own files are taken for a stranger's", plan.name);
            return Bitfield::none(content.pieces());
        };
        let claims = restart.claims();
        for piece in claims.iter() {
            self.count.claims += 1;
            assert!(restart.is_whole(piece), "{}: piece {piece} is claimed, and is not there", plan.name);
        }
        // What is stored is held against the bytes itself: a session looks at a part of it before it believes the rest.
        let stored: Vec<&[u8]> =
            [NEWEST, OLDER].iter().filter_map(|name| Some(&image.files.get(*name)?.bytes[..])).collect();
        let files = if plan.wanted.is_empty() { 1 } else { plan.wanted.len() };
        if let Ok(data) = ResumeData::choose(&stored, &InfoHashes::v1(content.info_hash), content.pieces(), files) {
            for piece in data.pieces.iter() {
                self.count.claims += 1;
                assert!(restart.is_whole(piece), "{}: piece {piece} is stored as ours, and is not there", plan.name);
            }
        }
        if self.count.restarts.is_multiple_of(plan.finish_one_in) {
            self.count.finished += 1;
            self.judge_end(&restart.finish());
        }
        claims
    }

    /// A download has ended.
    fn judge_end(&self, disk: &CrashDisk) {
        let content = &self.plan.content;
        let whole = disk.content();
        let mut at = 0;
        for (file, (path, length)) in content.files.iter().enumerate() {
            let bytes = &content.bytes[at..at + length];
            at += length;
            let always = |wanted: &[u8]| wanted.get(file).is_none_or(|&wanted| wanted > 0);
            if always(&self.plan.wanted) && self.plan.later.as_ref().is_none_or(|(_, later)| always(later)) {
                let name = if content.files.len() > 1 {
                    format!("content/{}/{path}", content.name)
                } else {
                    format!("content/{path}")
                };
                assert!(
                    whole.get(&name).is_some_and(|found| found == bytes),
                    "{}: {name} is wrong at last",
                    self.plan.name
                );
            }
        }
    }
}

/// The session that downloads.
struct Live<'p> {
    plan: &'p Plan,
    session: Session,
    disk: CrashDisk,
    rng: Rng,
    now: Time,
    events: u64,
    queue: VecDeque<Event>,
    jobs: Vec<(JobId, Job)>,
    peer: Option<(TcpId, Seed)>,
    streams: u64,
    changed: bool,
    finished: bool,
    /// Everything that it has is claimed by resume data.
    saved: bool,
}

impl<'p> Live<'p> {
    fn new(plan: &'p Plan, seeds: &Seeds, fs: FileSystem) -> Live<'p> {
        let session = Session::new(config(plan), seeds.clone()).expect("a good configuration");
        let command = order(&plan.content, &plan.wanted);
        Live {
            plan,
            session,
            disk: CrashDisk::new(fs, seeds.decisions(Stream::Session, 1)),
            rng: seeds.decisions(Stream::Session, 2),
            now: Time::from_secs(1),
            events: 0,
            queue: VecDeque::from([Event::Command { id: CommandId(1), command }]),
            jobs: Vec::new(),
            peer: None,
            streams: 0,
            changed: plan.later.is_none(),
            finished: false,
            saved: false,
        }
    }

    fn is_at_rest(&self) -> bool {
        self.finished && self.changed && self.saved && self.jobs.is_empty() && self.queue.is_empty()
    }

    /// One thing happens: an event, a step of a job, a word of the peer, or nothing but time.
    fn step(&mut self, judge: &mut Judge<'_>) {
        judge.crash_point(&self.disk.fs);
        if let Some(event) = self.queue.pop_front() {
            return self.tell(judge, event);
        }
        // The peer is slower than the disk, mostly; else nothing would ever wait to be synced.
        let said = if self.jobs.is_empty() || self.rng.index(3) == 0 { self.peer_says() } else { None };
        if let Some(event) = said {
            return self.tell(judge, event);
        }
        if self.jobs.is_empty() {
            self.now = self.session.deadline().expect("it waits for something").max(self.now);
            return self.tell(judge, Event::Tick);
        }
        let at = self.rng.index(self.jobs.len());
        let (_, job) = &mut self.jobs[at];
        if !job.is_done() {
            let publishes = matches!(job.next(), Some(Step::SyncNames(STATE)));
            self.disk.step(job);
            if let (true, Work::Save { bytes, .. }) = (publishes, job.work()) {
                judge.durable = Some(ResumeData::parse(bytes).expect("our own resume data are good").pieces);
                judge.count.generations += 1;
            }
            return;
        }
        let (id, job) = self.jobs.swap_remove(at);
        let result = self.disk.end(&job);
        self.tell(judge, Event::JobDone { job: id, result });
    }

    fn peer_says(&mut self) -> Option<Event> {
        let (tcp, seed) = self.peer.as_mut()?;
        let bytes = seed.says();
        (!bytes.is_empty()).then(|| Event::Received { tcp: *tcp, bytes: Bytes::from(bytes) })
    }

    fn tell(&mut self, judge: &mut Judge<'_>, event: Event) {
        self.events += 1;
        let mut out = Actions::new();
        self.session.handle(self.now, event, &mut out);
        for notice in out.notices {
            match notice {
                Notice::PieceDone { .. } => self.saved = false,
                Notice::Finished { .. } => self.finished = true,
                // Whatever the disk does, it is not the peer's fault (9).
                Notice::PeerBanned { addr, .. } => panic!("{}: {addr} is banned", self.plan.name),
                Notice::State { state: TorrentState::Failed(fault), .. } => panic!("the torrent fails: {fault}"),
                Notice::Saved { pieces, .. } => {
                    self.saved = self.session.view(TORRENT).is_some_and(|view| view.pieces.count() == pieces);
                }
                _ => {}
            }
        }
        let pieces = self.session.view(TORRENT).map_or(0, |view| view.pieces.count());
        if let Some((after, later)) = &self.plan.later
            && !self.changed
            && *after <= pieces
        {
            self.changed = true;
            (self.finished, self.saved) = (false, false);
            let files = (0..).zip(later.iter().copied()).collect();
            let command = Command::SetPriorities { torrent: TORRENT, files };
            self.queue.push_back(Event::Command { id: CommandId(2), command });
        }
        for action in out.list {
            judge.crash_point(&self.disk.fs);
            self.act(judge, action);
        }
    }

    fn act(&mut self, judge: &mut Judge<'_>, action: Action) {
        match action {
            Action::Start { job: id, work } => {
                let at_once = matches!(work, Work::Place { .. });
                let mut job = self.disk.begin(work);
                // What is started later finds bytes where they are to be from now on.
                while at_once && !job.is_done() {
                    self.disk.step(&mut job);
                    judge.crash_point(&self.disk.fs);
                }
                self.jobs.push((id, job));
            }
            Action::Dial { dial, .. } if self.peer.is_some() => {
                self.queue.push_back(Event::DialFailed { dial, fault: IoFault::Refused });
            }
            Action::Dial { dial, .. } => {
                self.streams += 1;
                let tcp = TcpId(self.streams);
                self.peer = Some((tcp, Seed::new(self.plan.content.clone())));
                let (local, remote) = (([10, 0, 0, 1], 40_000).into(), ([192, 0, 2, 1], 6881).into());
                self.queue.push_back(Event::Connected { dial, tcp, local, remote });
            }
            Action::Send { tcp, bytes } => {
                if let Some((_, seed)) = &mut self.peer {
                    seed.hears(&bytes);
                }
                self.queue.push_back(Event::Flushed { tcp, bytes: bytes.len() as u64 });
            }
            Action::Grant { bytes, .. } => {
                if let Some((_, seed)) = &mut self.peer {
                    seed.credit += bytes as usize;
                }
            }
            Action::Close { .. } => self.peer = None,
            _ => {}
        }
    }
}
