//! The machine that keeps one torrent known to its trackers.
//!
//! ```text
//!  Idle --start--> Running --stop--> Stopping --all told, or stop_timeout--> Stopped --start--> Running
//! ```
//!
//! It works in *rounds*. A round begins when an announce is due (the tracker's interval is over, an event has come, peers run
//! dry), goes through the tiers, and ends with the first tracker that answers.
//!
//! There is one *group* of trackers, in which rounds are made; by
//! [`all_tiers`](crate::border::AnnounceConfig::all_tiers) each tier is a group, by
//! [`all_trackers`](crate::border::AnnounceConfig::all_trackers) each tracker. Groups know nothing of each other. A private
//! torrent has one group, and keeps to the tracker that answered until it fails (BEP 27).
//!
//! A tracker is asked in one *lane*, or in two at once where it has addresses of both families and we listen on both. The first lane
//! that answers makes it a success, and the other goes on behind: what it says is passed on, and its failure is
//! nobody's. Only when both have failed, the tracker has.
//!
//! BEP 12, in our words, with the place that each clause has here:
//!
//! 1. A tier is shuffled once, when first read: [`Announcer::new`].
//! 2. Tiers in order; in a tier the present order; the next tier only when all of one have failed: `next_of_round`.
//! 3. A tracker that answers moves to the front of its tier: `promote`.
//! 4. Each announce begins again at the first tier: `next_of_round` begins a round with all of them.
//! 5. One success ends the announce: `succeeded`.
//!
//! A tracker that failed is left out of rounds until its delay is over (5 s + failures² · 12.5 s, at most an hour, at least what
//! `retry in` says); `retry in: never` and status 410 leave it out for good. When all have failed, the next round begins when
//! the first delay ends.
//!
//! Events: each tracker's first announce is `started`; `completed` is told once in a group, to the first that answers and knows us;
//! `stopped` goes to every tracker that has answered a `started`. An event does not wait for an interval, but it does wait for
//! a failing tracker's delay.
//!
//! The list of trackers can be changed at any time ([`add`](Announcer::add), [`replace`](Announcer::replace)): a URL that is
//! in both lists keeps what is known of it, one that is gone is told `stopped` if it knows us. `completed` is told once all the same.
//!
//! Where there are limits over many torrents ([`AnnounceFacts::gated`]), an announce that is due waits for its turn:
//! [`wants_turn`](Announcer::wants_turn) says that one does, [`take_turn`](Announcer::take_turn) begins it. The next one waits again.
//!
//! It is told [`start`](Announcer::start), [`completed`](Announcer::completed), [`need_peers`](Announcer::need_peers),
//! [`reannounce`](Announcer::reannounce), [`scraped`](Announcer::scraped), [`stop`](Announcer::stop), [`tick`](Announcer::tick), [`job_done`](Announcer::job_done) and
//! [`datagram`](Announcer::datagram); it says [`TrackerSaid`]. Its limits are in
//! [`AnnounceConfig`](crate::border::AnnounceConfig), and [`MAX_TRACKERS`].

mod list;
mod rounds;
mod words;

pub use words::{AnnounceFacts, TrackerSaid, TrackerState, TrackerStatus, Turn};

use super::exchange::{Env, Exchange};
use super::{AnnounceEvent, ScrapeCounts, TrackerError, TrackerUrl, UrlError};
use crate::border::{IoFault, JobId, JobResult, NetPolicy};
use crate::cx::Cx;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::net_policy::Scheme;
use crate::rng::Rng;
use crate::time::Time;
use crate::tracker::udp::UdpConnection;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The most trackers of one torrent. Lists of 100 exist; each costs about 300 bytes.
pub const MAX_TRACKERS: usize = 200;

/// One torrent's announcer. See the [module](self).
#[derive(Clone, Debug)]
pub struct Announcer {
    /// Those of the tiers, and those that were taken out and still have something under way. Places are used again.
    trackers: Vec<Tracker>,
    /// Places in `trackers`, in the present order.
    tiers: Vec<Vec<usize>>,
    decisions: Rng,
    secret: Rng,
    /// By which trackers know us again: "the same key is used over v4 and v6" (BEP 15).
    key: u32,
    phase: Phase,
    /// Whether the download has ended in this session.
    completed: bool,
    grouping: Grouping,
    /// Whether the torrent is private: a tracker that answers is kept until it fails.
    keeps_to_one: bool,
    /// Made at the first start.
    groups: Vec<Group>,
    asks: Vec<Ask>,
    /// Whether as many are asked as may be at once; then groups whose time has come wait.
    full: bool,
    /// How many asks there have been; names them.
    asked: u64,
    /// Trackers, with their groups, to be told `completed` before they are told `stopped`: the download ended together with the torrent.
    to_complete: VecDeque<(usize, usize)>,
    /// Trackers to be told `stopped`.
    to_stop: VecDeque<usize>,
    /// Trackers that were taken out of the list, to be told `stopped`.
    leaving: VecDeque<usize>,
    /// What the next announce waits for, and since when.
    wants: Option<(Turn, Time)>,
    /// Whether one announce may begin.
    turn: bool,
    stop_limit: Time,
    said: VecDeque<TrackerSaid>,
    /// Jobs that were cancelled and have not answered.
    abandoned: Vec<JobId>,
}

canon_struct!(out Announcer { trackers, tiers, decisions, secret, key, phase, completed, grouping, keeps_to_one, groups, asks, full, asked, to_complete, to_stop, leaving, wants, turn, stop_limit, said, abandoned });

#[cfg(test)]
impl Announcer {
    /// Changes something that does not show at once.
    pub(crate) fn tamper(&mut self) {
        self.asked += 1;
    }
}

/// What makes a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grouping {
    All,
    Tier,
    Tracker,
}

canon_enum!(out Grouping { 0 = All, 1 = Tier, 2 = Tracker });

/// Trackers of which one is enough.
#[derive(Clone, Debug)]
struct Group {
    /// The trackers of the present round that have not had their turn, the next one first.
    round: Option<VecDeque<usize>>,
    /// When the next round begins.
    next_round: Time,
    /// Whether a tracker of it has been told `completed`.
    told: bool,
    /// The tracker that answered last.
    last: Option<usize>,
    /// Its URL, where it has been taken out of the list since.
    left: Option<String>,
    /// Whether the user wants an announce now.
    forced: bool,
}

canon_struct!(out Group { round, next_round, told, last, left, forced });

/// One announce to one tracker.
#[derive(Clone, Debug)]
struct Ask {
    id: u64,
    tracker: usize,
    /// `None`: it tells `stopped`.
    group: Option<usize>,
    event: Option<AnnounceEvent>,
    /// One for each family. Never empty.
    lanes: Vec<Exchange>,
    /// A lane has answered: it counts as done, what the other one says is extra.
    answered: bool,
}

canon_struct!(out Ask { id, tracker, group, event, lanes, answered });

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    Stopping,
    Stopped,
}

canon_enum!(out Phase { 0 = Idle, 1 = Running, 2 = Stopping, 3 = Stopped });

#[derive(Clone, Debug)]
struct Tracker {
    url: TrackerUrl,
    text: String,
    tier: usize,
    /// Whether the user named it himself.
    trusted: bool,
    /// Whether it has answered a `started`, and has not been told `stopped`.
    started: bool,
    /// Not to be asked any more in this session.
    gone: bool,
    /// Not in the list any more.
    removed: bool,
    /// Failures in a row.
    fails: u32,
    /// Not to be asked before, as it failed.
    retry_at: Time,
    /// Not to be asked before unless by an event, as it said.
    not_before: Time,
    answered_at: Option<Time>,
    last_error: Option<TrackerError>,
    tracker_id: Option<Vec<u8>>,
    /// By family.
    connections: [Option<UdpConnection>; 2],
    complete: Option<u32>,
    incomplete: Option<u32>,
    downloaded: Option<u32>,
    warning: Option<String>,
    peers: u32,
}

canon_struct!(out Tracker { url, text, tier, trusted, started, gone, removed, fails, retry_at, not_before, answered_at, last_error, tracker_id, connections, complete, incomplete, downloaded, warning, peers });

impl Announcer {
    /// An announcer for tiers of URLs, and the URLs that are refused. Doubles are left out silently.
    ///
    /// `decisions` shuffles the tiers and spreads retries; `secret` yields the key and the UDP transaction ids.
    pub fn new(tiers: Vec<Vec<String>>, decisions: Rng, secret: Rng) -> (Announcer, Vec<(String, UrlError)>) {
        Announcer::with_policy(tiers, &NetPolicy::default(), decisions, secret)
    }

    /// Like [`new`](Announcer::new), where internationalised host names may be allowed.
    pub fn with_policy(
        tiers: Vec<Vec<String>>,
        policy: &NetPolicy,
        decisions: Rng,
        mut secret: Rng,
    ) -> (Announcer, Vec<(String, UrlError)>) {
        let key = secret.next_u32();
        let mut announcer = Announcer {
            trackers: Vec::new(),
            tiers: Vec::new(),
            decisions,
            secret,
            key,
            phase: Phase::Idle,
            completed: false,
            grouping: Grouping::All,
            keeps_to_one: false,
            groups: Vec::new(),
            asks: Vec::new(),
            full: false,
            asked: 0,
            to_complete: VecDeque::new(),
            to_stop: VecDeque::new(),
            leaving: VecDeque::new(),
            wants: None,
            turn: false,
            stop_limit: Time::NEVER,
            said: VecDeque::new(),
            abandoned: Vec::new(),
        };
        let refused = announcer.take_in(policy, tiers);
        (announcer, refused)
    }

    /// The user has named these URLs himself: where they lead is his affair. To be called before the start.
    pub fn trust(&mut self, urls: &[String], policy: &NetPolicy) {
        for tracker in &mut self.trackers {
            tracker.trusted |=
                urls.iter().any(|url| TrackerUrl::parse_with(url, policy).is_ok_and(|url| url == tracker.url));
        }
    }

    /// The torrent starts: the first announce is due. Does nothing while it runs.
    pub fn start(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if self.phase == Phase::Running {
            return;
        }
        self.end_stopping(cx);
        self.leaving.clear();
        if self.groups.is_empty() {
            self.make_groups(cx, facts);
        }
        self.trackers.iter_mut().for_each(|tracker| tracker.started = false);
        self.phase = Phase::Running;
        for group in &mut self.groups {
            (group.round, group.next_round) = (None, cx.now);
        }
        self.advance(cx, facts);
    }

    /// The download has finished in this session; to be told once. Later calls do nothing.
    pub fn completed(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if !self.completed {
            self.completed = true;
            self.groups.iter_mut().for_each(|group| group.next_round = cx.now);
            self.advance(cx, facts);
        }
    }

    /// Peers have run dry: announces as soon as the trackers allow it.
    pub fn need_peers(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if self.phase != Phase::Running {
            return;
        }
        let planned: Vec<Option<Time>> =
            self.groups.iter().map(|group| group.round.is_none().then_some(group.next_round)).collect();
        for (group, _) in self.groups.iter_mut().zip(&planned).filter(|(_, planned)| planned.is_some()) {
            group.next_round = cx.now;
        }
        self.advance(cx, facts);
        for (group, planned) in self.groups.iter_mut().zip(planned) {
            group.next_round = group.next_round.min(planned.unwrap_or(Time::NEVER));
        }
    }

    /// The user wants an announce before its time. Forced, neither a `min interval` nor a failing tracker's delay is kept.
    pub fn reannounce(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts, force: bool) {
        if !force || self.phase != Phase::Running {
            return self.need_peers(cx, facts);
        }
        for tracker in &mut self.trackers {
            (tracker.retry_at, tracker.not_before) = (Time::ZERO, Time::ZERO);
        }
        for group in &mut self.groups {
            (group.next_round, group.forced) = (cx.now, true);
        }
        self.advance(cx, facts);
    }

    /// A tracker has been scraped, and knows so much of the torrent.
    pub fn scraped(&mut self, url: &str, counts: ScrapeCounts) {
        let ScrapeCounts { complete, downloaded, incomplete } = counts;
        for tracker in self.trackers.iter_mut().filter(|tracker| tracker.text == url) {
            tracker.complete = Some(complete);
            tracker.downloaded = Some(downloaded);
            tracker.incomplete = Some(incomplete);
        }
    }

    /// What the next announce waits for, where announces wait for turns.
    pub fn wants_turn(&self) -> Option<Turn> {
        self.wants.map(|(turn, _)| turn)
    }

    /// Begins the announce that has waited for its turn.
    pub fn take_turn(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        self.turn = true;
        self.advance(cx, facts);
        self.turn = false;
    }

    /// Whether announces are under way.
    pub fn is_asking(&self) -> bool {
        !self.asks.is_empty()
    }

    /// How many announces by HTTP are under way.
    pub fn http_asks(&self) -> u32 {
        let by_http = |ask: &&Ask| self.trackers.get(ask.tracker).is_some_and(Tracker::is_http);
        self.asks.iter().filter(by_http).count() as u32
    }

    /// The tracker that a private torrent keeps to, or the one that would be asked first.
    pub fn in_use(&self) -> Option<&TrackerUrl> {
        let last = self.groups.first().and_then(|group| group.last);
        let at = last.or_else(|| self.tiers.iter().flatten().next().copied())?;
        self.trackers.get(at).map(|tracker| &tracker.url)
    }

    /// Whether it has been started, and not been stopped since.
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// The torrent stops: tells `stopped` to every tracker that knows of it, within
    /// [`stop_timeout`](crate::border::AnnounceConfig::stop_timeout). Then [`is_stopped`](Announcer::is_stopped) turns true.
    pub fn stop(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if self.phase != Phase::Running {
            // Nobody has been told anything, or everybody is being told already.
            self.phase = if self.phase == Phase::Idle { Phase::Stopped } else { self.phase };
            return;
        }
        self.phase = Phase::Stopping;
        self.leaving.clear();
        self.stop_limit = cx.now + cx.config.announce.stop_timeout;
        self.groups.iter_mut().for_each(|group| group.round = None);
        let half = cx.now + cx.config.announce.stop_timeout / 2;
        for mut ask in core::mem::take(&mut self.asks) {
            // An announce that the tracker may be reading: a `stopped` that overtook it would leave us listed. After a
            // `started`, the answer also says whether a `stopped` is due at all.
            ask.lanes.retain_mut(|lane| {
                if !ask.answered && lane.reached() {
                    lane.limit_to(half);
                    return true;
                }
                lane.abandon(cx, &mut self.abandoned);
                false
            });
            if !ask.lanes.is_empty() {
                self.asks.push(ask);
            }
        }
        // The one that answered last is the likeliest to answer again.
        let is_free = |at: &usize| self.is_due_stopped(*at) && !self.asks.iter().any(|ask| ask.tracker == *at);
        let mut known: Vec<usize> = (0..self.trackers.len()).filter(is_free).collect();
        known.sort_by_key(|&at| core::cmp::Reverse(self.trackers.get(at).and_then(|tracker| tracker.answered_at)));
        self.to_stop = known.into();
        for group in 0..self.groups.len() {
            let free = |at: &usize| self.group_of(*at) == group && self.owes_completed(cx.now, *at);
            if let Some(place) = self.to_stop.iter().position(free)
                && let Some(at) = self.to_stop.remove(place)
            {
                self.to_complete.push_back((at, group));
            }
        }
        self.advance(cx, facts);
    }

    /// The moment that [`deadline`](Announcer::deadline) named has come.
    pub fn tick(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if self.phase == Phase::Stopping && cx.now >= self.stop_limit {
            self.end_stopping(cx);
            return;
        }
        let mut env = Env { ways: facts.ways(), secret: &mut self.secret, abandoned: &mut self.abandoned };
        let mut over = Vec::new();
        for ask in &mut self.asks {
            for lane in &mut ask.lanes {
                let ended = lane.tick(cx, &mut env);
                over.extend(ended.map(|ended| (ask.id, lane.family(), ended)));
            }
        }
        for (ask, lane, ended) in over {
            self.ended(cx, facts, ask, lane, ended);
        }
        self.advance(cx, facts);
    }

    /// A job is done. `false`: it is not this machine's.
    pub fn job_done(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &AnnounceFacts,
        job: JobId,
        result: &Result<JobResult, IoFault>,
    ) -> bool {
        if let Some(place) = self.abandoned.iter().position(|&abandoned| abandoned == job) {
            self.abandoned.swap_remove(place);
            return true;
        }
        let find = |ask: &mut Ask| ask.lanes.iter().position(|lane| lane.is_job(job));
        let Some((ask, at)) = self.asks.iter_mut().find_map(|ask| find(ask).map(|at| (ask, at))) else { return false };
        let id = ask.id;
        let Some(lane) = ask.lanes.get_mut(at) else { return false };
        let mut env = Env { ways: facts.ways(), secret: &mut self.secret, abandoned: &mut self.abandoned };
        let ended = lane.job_done(cx, &mut env, result);
        self.set_out(cx, facts, (id, at), ended);
        self.advance(cx, facts);
        true
    }

    /// A datagram came. `false`: it is not an answer that is awaited.
    pub fn datagram(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts, from: SocketAddr, bytes: &[u8]) -> bool {
        let mut env = Env { ways: facts.ways(), secret: &mut self.secret, abandoned: &mut self.abandoned };
        let mut heard = None;
        'found: for ask in &mut self.asks {
            for lane in &mut ask.lanes {
                let (mine, ended) = lane.datagram(cx, &mut env, from, bytes);
                if mine {
                    heard = Some((ask.id, lane.family(), ended));
                    break 'found;
                }
            }
        }
        let Some((ask, lane, ended)) = heard else { return false };
        if let Some(ended) = ended {
            self.ended(cx, facts, ask, lane, ended);
        }
        self.advance(cx, facts);
        true
    }

    /// The UDP answers that are awaited: the source and transaction id (bytes 4 to 8 of the packet) of each.
    pub fn awaited(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.asks.iter().flat_map(|ask| &ask.lanes).filter_map(Exchange::awaiting)
    }

    /// The first of [`awaited`](Announcer::awaited).
    pub fn awaiting(&self) -> Option<(SocketAddr, u32)> {
        self.awaited().next()
    }

    /// What there is to say, oldest first. To be drained after each call.
    pub fn said(&mut self) -> Option<TrackerSaid> {
        self.said.pop_front()
    }

    /// When [`tick`](Announcer::tick) is due.
    pub fn deadline(&self) -> Option<Time> {
        let lanes = self.asks.iter().flat_map(|ask| &ask.lanes).map(Exchange::deadline);
        let lanes = lanes.min().unwrap_or(Time::NEVER);
        let due = match self.phase {
            Phase::Idle | Phase::Stopped => Time::NEVER,
            // A group whose turn has come waits for whoever is asked in its place, or for its own tracker.
            Phase::Running => {
                let idle = self.groups.iter().enumerate().filter(|(at, _)| !self.is_busy(*at));
                // What waits for a turn is not brought about by time.
                let waits = |due: &Time| self.full || self.wants.is_some_and(|(_, since)| *due <= since);
                let next = idle.map(|(_, group)| group.next_round).filter(|due| !waits(due));
                next.min().unwrap_or(Time::NEVER).min(lanes)
            }
            Phase::Stopping => lanes.min(self.stop_limit),
        };
        (due != Time::NEVER).then_some(due)
    }

    /// Whether nothing more will be told, after [`stop`](Announcer::stop).
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// Each tracker, in the present order of the tiers.
    pub fn status(&self) -> impl Iterator<Item = TrackerStatus> {
        self.tiers.iter().flatten().filter_map(|&at| {
            let tracker = self.trackers.get(at)?;
            let asking = self.asks.iter().any(|ask| ask.tracker == at && !ask.answered);
            let next_round = || self.groups.get(self.group_of(at)).map(|group| group.next_round);
            let (state, next) = match tracker {
                Tracker { gone: true, .. } => (TrackerState::Gone, None),
                _ if asking => (TrackerState::Asking, None),
                Tracker { last_error: Some(_), .. } => (TrackerState::Failing, Some(tracker.retry_at)),
                Tracker { answered_at: Some(_), .. } => (TrackerState::Working, next_round()),
                _ => (TrackerState::Untried, None),
            };
            Some(TrackerStatus {
                url: tracker.text.clone(),
                tier: tracker.tier,
                state,
                last_error: tracker.last_error.clone(),
                fails: tracker.fails,
                warning: tracker.warning.clone(),
                answered_at: tracker.answered_at,
                peers: tracker.peers,
                next_announce: next.filter(|_| self.phase == Phase::Running),
                complete: tracker.complete,
                incomplete: tracker.incomplete,
                downloaded: tracker.downloaded,
            })
        })
    }

    fn say(&mut self, said: TrackerSaid) {
        // Drained after each call, it holds at most a few words for each tracker; this bounds it if nobody listens.
        if self.said.len() > 4 * MAX_TRACKERS {
            self.said.pop_front();
        }
        self.said.push_back(said);
    }
}

impl Tracker {
    fn is_http(&self) -> bool {
        self.url.scheme() != Scheme::Udp
    }

    fn new(url: TrackerUrl, tier: usize) -> Tracker {
        Tracker {
            text: url.to_string(),
            url,
            tier,
            trusted: false,
            started: false,
            gone: false,
            removed: false,
            fails: 0,
            retry_at: Time::ZERO,
            not_before: Time::ZERO,
            answered_at: None,
            last_error: None,
            tracker_id: None,
            connections: [None; 2],
            complete: None,
            incomplete: None,
            downloaded: None,
            warning: None,
            peers: 0,
        }
    }
}

#[cfg(test)]
mod tests;
