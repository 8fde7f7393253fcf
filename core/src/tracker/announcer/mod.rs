//! The machine that keeps one torrent known to its trackers.
//!
//! ```text
//!  Idle --start--> Running --stop--> Stopping --all told, or stop_timeout--> Stopped --start--> Running
//! ```
//!
//! It works in *rounds*. A round begins when an announce is due (the tracker's interval is over, an event has come, peers run
//! dry), goes through the tiers, and ends with the first tracker that answers. One exchange is under way at a time.
//!
//! BEP 12, in our words, with the place that each clause has here:
//!
//! 1. A tier is shuffled once, when first read: [`Announcer::new`].
//! 2. Tiers in order; in a tier the present order; the next tier only when all of one have failed: `advance`.
//! 3. A tracker that answers moves to the front of its tier: `promote`.
//! 4. Each announce begins again at the first tier: `advance` begins a round with all of them.
//! 5. One success ends the announce: `succeeded`.
//!
//! A tracker that failed is left out of rounds until its delay is over (5 s + failures² · 12.5 s, at most an hour, at least what
//! `retry in` says); `retry in: never` and status 410 leave it out for good. When all have failed, the next round begins when
//! the first delay ends.
//!
//! Events: each tracker's first announce is `started`; `completed` is told once, to the first tracker that answers and knows us;
//! `stopped` goes to every tracker that has answered a `started`. An event does not wait for an interval, but it does wait for
//! a failing tracker's delay.
//!
//! It is told [`start`](Announcer::start), [`completed`](Announcer::completed), [`need_peers`](Announcer::need_peers),
//! [`stop`](Announcer::stop), [`tick`](Announcer::tick), [`job_done`](Announcer::job_done) and
//! [`datagram`](Announcer::datagram); it says [`TrackerSaid`]. Its limits are in
//! [`AnnounceConfig`](crate::border::AnnounceConfig), and [`MAX_TRACKERS`].

mod exchange;
mod words;

pub use words::{AnnounceFacts, TrackerSaid, TrackerState, TrackerStatus};

use super::url::MAX_URL;
use super::{AnnounceEvent, AnnounceRequest, AnnounceResponse, TrackerError, TrackerUrl, UrlError, clean_text};
use crate::border::{IoFault, JobId, JobResult};
use crate::cx::Cx;
use crate::rng::Rng;
use crate::time::Time;
use crate::tracker::udp::UdpConnection;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use exchange::{Ended, Env, Exchange};

/// The most trackers of one torrent. Lists of 100 exist; each costs about 300 bytes.
pub const MAX_TRACKERS: usize = 200;

/// One torrent's announcer. See the [module](self).
#[derive(Clone, Debug)]
pub struct Announcer {
    trackers: Vec<Tracker>,
    /// Places in `trackers`, in the present order.
    tiers: Vec<Vec<usize>>,
    decisions: Rng,
    secret: Rng,
    /// By which trackers know us again: "the same key is used over v4 and v6" (BEP 15).
    key: u32,
    phase: Phase,
    completed: Completed,
    /// The trackers of the present round that have not had their turn, the next one first.
    round: Option<VecDeque<usize>>,
    current: Option<Current>,
    /// When the next round begins.
    next_round: Time,
    /// Trackers to be told `stopped`.
    to_stop: VecDeque<usize>,
    stop_limit: Time,
    said: VecDeque<TrackerSaid>,
    /// Jobs that were cancelled and have not answered.
    abandoned: Vec<JobId>,
}

#[derive(Clone, Debug)]
struct Current {
    tracker: usize,
    event: Option<AnnounceEvent>,
    exchange: Exchange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    Stopping,
    Stopped,
}

/// Whether the download has ended in this session, and a tracker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completed {
    No,
    ToTell,
    Told,
}

#[derive(Clone, Debug)]
struct Tracker {
    url: TrackerUrl,
    text: String,
    tier: usize,
    /// Whether it has answered a `started`, and has not been told `stopped`.
    started: bool,
    /// Not to be asked any more in this session.
    gone: bool,
    /// Failures in a row.
    fails: u32,
    /// Not to be asked before, as it failed.
    retry_at: Time,
    /// Not to be asked before unless by an event, as it said.
    not_before: Time,
    answered_at: Option<Time>,
    last_error: Option<TrackerError>,
    tracker_id: Option<Vec<u8>>,
    connection: Option<UdpConnection>,
    complete: Option<u32>,
    incomplete: Option<u32>,
}

impl Announcer {
    /// An announcer for tiers of URLs, and the URLs that are refused. Doubles are left out silently.
    ///
    /// `decisions` shuffles the tiers and spreads retries; `secret` yields the key and the UDP transaction ids.
    pub fn new(tiers: Vec<Vec<String>>, mut decisions: Rng, mut secret: Rng) -> (Announcer, Vec<(String, UrlError)>) {
        let mut trackers: Vec<Tracker> = Vec::new();
        let mut refused = Vec::new();
        let mut order = Vec::new();
        for tier in tiers {
            let mut places = Vec::new();
            for text in tier {
                let parsed = match TrackerUrl::parse(&text) {
                    Ok(_) if trackers.len() >= MAX_TRACKERS => Err(UrlError::TooMany),
                    parsed => parsed,
                };
                match parsed {
                    Ok(url) if trackers.iter().any(|known| known.url == url) => {}
                    Ok(url) => {
                        places.push(trackers.len());
                        trackers.push(Tracker::new(url, order.len()));
                    }
                    Err(error) => refused.push((clean_text(text.as_bytes(), MAX_URL as u32), error)),
                }
            }
            if !places.is_empty() {
                decisions.shuffle(&mut places);
                order.push(places);
            }
        }
        let key = secret.next_u32();
        let announcer = Announcer {
            trackers,
            tiers: order,
            decisions,
            secret,
            key,
            phase: Phase::Idle,
            completed: Completed::No,
            round: None,
            current: None,
            next_round: Time::NEVER,
            to_stop: VecDeque::new(),
            stop_limit: Time::NEVER,
            said: VecDeque::new(),
            abandoned: Vec::new(),
        };
        (announcer, refused)
    }

    /// The torrent starts: the first announce is due. Does nothing while it runs.
    pub fn start(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if self.phase == Phase::Running {
            return;
        }
        self.end_stopping(cx);
        self.trackers.iter_mut().for_each(|tracker| tracker.started = false);
        self.phase = Phase::Running;
        self.next_round = cx.now;
        self.advance(cx, facts);
    }

    /// The download has finished in this session; to be told once. Later calls do nothing.
    pub fn completed(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if self.completed == Completed::No {
            self.completed = Completed::ToTell;
            self.next_round = cx.now;
            self.advance(cx, facts);
        }
    }

    /// Peers have run dry: announces as soon as the tracker allows it.
    pub fn need_peers(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        if self.phase == Phase::Running && self.round.is_none() {
            let planned = self.next_round;
            self.next_round = cx.now;
            self.advance(cx, facts);
            self.next_round = self.next_round.min(planned);
        }
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
        self.stop_limit = cx.now + cx.config.announce.stop_timeout;
        self.round = None;
        // The one that answered last is the likeliest to answer again.
        let mut known: Vec<usize> = (0..self.trackers.len()).filter(|&at| self.is_due_stopped(at)).collect();
        known.sort_by_key(|&at| core::cmp::Reverse(self.trackers.get(at).and_then(|tracker| tracker.answered_at)));
        self.to_stop = known.into();
        if let Some(current) = &mut self.current {
            let half = cx.now + cx.config.announce.stop_timeout / 2;
            // An announce that the tracker may have seen is waited for: handled after our `stopped`, it would list us again.
            // And the answer to a `started` says whether a `stopped` is due, a `completed` is told only once.
            if current.exchange.reached() {
                current.exchange.limit_to(half);
            } else {
                current.exchange.abandon(cx, &mut self.abandoned);
                self.current = None;
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
        let ended = match &mut self.current {
            Some(current) => {
                let mut env = Env { facts, secret: &mut self.secret, abandoned: &mut self.abandoned };
                current.exchange.tick(cx, &mut env)
            }
            None => None,
        };
        self.ended(cx, ended);
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
        let Some(current) = self.current.as_mut().filter(|current| current.exchange.is_job(job)) else { return false };
        let mut env = Env { facts, secret: &mut self.secret, abandoned: &mut self.abandoned };
        let ended = current.exchange.job_done(cx, &mut env, result);
        self.ended(cx, ended);
        self.advance(cx, facts);
        true
    }

    /// A datagram came. `false`: it is not the answer that is awaited.
    pub fn datagram(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts, from: SocketAddr, bytes: &[u8]) -> bool {
        let Some(current) = &mut self.current else { return false };
        let mut env = Env { facts, secret: &mut self.secret, abandoned: &mut self.abandoned };
        let (mine, ended) = current.exchange.datagram(cx, &mut env, from, bytes);
        self.ended(cx, ended);
        self.advance(cx, facts);
        mine
    }

    /// The UDP answer that is awaited: its source and transaction id (bytes 4 to 8 of the packet).
    pub fn awaiting(&self) -> Option<(SocketAddr, u32)> {
        self.current.as_ref().and_then(|current| current.exchange.awaiting())
    }

    /// What there is to say, oldest first. To be drained after each call.
    pub fn said(&mut self) -> Option<TrackerSaid> {
        self.said.pop_front()
    }

    /// When [`tick`](Announcer::tick) is due.
    pub fn deadline(&self) -> Option<Time> {
        let exchange = self.current.as_ref().map(|current| current.exchange.deadline());
        let due = match self.phase {
            Phase::Idle | Phase::Stopped => Time::NEVER,
            Phase::Running => exchange.unwrap_or(self.next_round),
            Phase::Stopping => exchange.unwrap_or(Time::NEVER).min(self.stop_limit),
        };
        (due != Time::NEVER).then_some(due)
    }

    /// Whether nothing more will be told, after [`stop`](Announcer::stop).
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// Each tracker, in the present order of the tiers.
    pub fn status(&self) -> impl Iterator<Item = TrackerStatus<'_>> {
        self.tiers.iter().flatten().filter_map(|&at| {
            let tracker = self.trackers.get(at)?;
            let asking = self.current.as_ref().is_some_and(|current| current.tracker == at);
            let (state, next) = match tracker {
                Tracker { gone: true, .. } => (TrackerState::Gone, None),
                _ if asking => (TrackerState::Asking, None),
                Tracker { last_error: Some(_), .. } => (TrackerState::Failing, Some(tracker.retry_at)),
                Tracker { answered_at: Some(_), .. } => (TrackerState::Working, Some(self.next_round)),
                _ => (TrackerState::Untried, None),
            };
            Some(TrackerStatus {
                url: &tracker.text,
                tier: tracker.tier,
                state,
                last_error: tracker.last_error.as_ref(),
                next_announce: next.filter(|_| self.phase == Phase::Running),
                complete: tracker.complete,
                incomplete: tracker.incomplete,
            })
        })
    }

    /// Goes on as far as it goes without an answer.
    fn advance(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        // Each turn asks one tracker, and those that end at once are then out of the round or of `to_stop`.
        while self.current.is_none() {
            let next = match self.phase {
                Phase::Running => self.next_of_round(cx.now),
                Phase::Stopping => match self.to_stop.pop_front() {
                    // What it answered since stopping began was that it never wants to be asked again.
                    Some(at) if !self.is_due_stopped(at) => continue,
                    Some(at) => Some((at, Some(AnnounceEvent::Stopped))),
                    None => {
                        self.end_stopping(cx);
                        None
                    }
                },
                Phase::Idle | Phase::Stopped => None,
            };
            let Some((at, event)) = next else { return };
            self.ask(cx, facts, at, event);
        }
    }

    /// The tracker whose turn it is. Begins a round when one is due; ends it when nobody is left.
    fn next_of_round(&mut self, now: Time) -> Option<(usize, Option<AnnounceEvent>)> {
        loop {
            if self.round.is_none() {
                if now < self.next_round {
                    return None;
                }
                self.round = Some(self.tiers.iter().flatten().copied().collect());
            }
            while let Some(at) = self.round.as_mut().and_then(VecDeque::pop_front) {
                let event = self.event_for(at);
                let Some(tracker) = self.trackers.get(at).filter(|tracker| !tracker.gone && tracker.retry_at <= now)
                else {
                    continue;
                };
                if event.is_none() && tracker.not_before > now {
                    // It works, and does not want to be asked yet: to ask another one instead would be against its tier.
                    self.next_round = tracker.not_before;
                    self.round = None;
                    return None;
                }
                return Some((at, event));
            }
            self.round = None;
            // All failed. A delay may be over already, where the others took long to fail: then the next round begins now, and
            // this loop ends as it has somebody to ask.
            let delays = self.trackers.iter().filter(|tracker| !tracker.gone).map(|tracker| tracker.retry_at);
            self.next_round = delays.min().unwrap_or(Time::NEVER);
        }
    }

    /// The event that an announce to this tracker would carry now.
    fn event_for(&self, at: usize) -> Option<AnnounceEvent> {
        match self.trackers.get(at) {
            Some(tracker) if !tracker.started => Some(AnnounceEvent::Started),
            _ if self.completed == Completed::ToTell => Some(AnnounceEvent::Completed),
            _ => None,
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts, at: usize, event: Option<AnnounceEvent>) {
        let others = self.trackers.iter().enumerate().any(|(other, tracker)| other != at && !tracker.gone);
        let Some(tracker) = self.trackers.get(at) else { return };
        let config = &cx.config.announce;
        let num_want = match event {
            Some(AnnounceEvent::Stopped) => 0,
            _ if facts.wants_peers => config.num_want,
            _ => config.num_want_enough,
        };
        let request = AnnounceRequest {
            info_hash: facts.info_hash,
            peer_id: facts.peer_id,
            port: facts.port,
            ledger: facts.ledger,
            event,
            num_want: Some(num_want),
            key: Some(self.key),
            tracker_id: tracker.tracker_id.clone(),
        };
        let limit = if self.phase == Phase::Stopping { self.stop_limit } else { Time::NEVER };
        let (url, known) = (tracker.url.clone(), tracker.connection);
        let mut env = Env { facts, secret: &mut self.secret, abandoned: &mut self.abandoned };
        let (exchange, ended) = Exchange::begin(cx, &mut env, url, request, known, (!others, limit));
        self.current = Some(Current { tracker: at, event, exchange });
        self.ended(cx, ended);
    }

    /// The exchange under way has ended, if it has.
    fn ended(&mut self, cx: &mut Cx<'_>, ended: Option<Ended>) {
        let Some(ended) = ended else { return };
        let Some(current) = self.current.take() else { return };
        if let Some(tracker) = self.trackers.get_mut(current.tracker) {
            tracker.connection = current.exchange.connection();
        }
        match ended {
            Ended::Answer(response) => self.succeeded(cx, current, response),
            Ended::Failed { error, retry } => self.failed(cx, current, error, retry),
        }
    }

    fn succeeded(&mut self, cx: &mut Cx<'_>, current: Current, response: AnnounceResponse) {
        let config = &cx.config.announce;
        let believed = |seconds: Option<u32>, otherwise: Duration| {
            let told = seconds.map_or(otherwise, |seconds| Duration::from_secs(u64::from(seconds)));
            told.clamp(config.min_interval, config.max_interval.max(config.min_interval))
        };
        let min_interval = believed(response.min_interval, config.min_interval);
        let interval = believed(response.interval, config.default_interval).max(min_interval);
        let Some(tracker) = self.trackers.get_mut(current.tracker) else { return };
        tracker.fails = 0;
        tracker.retry_at = Time::ZERO;
        tracker.last_error = None;
        tracker.answered_at = Some(cx.now);
        tracker.not_before = cx.now + min_interval;
        tracker.complete = response.complete;
        tracker.incomplete = response.incomplete;
        // "If a tracker id was sent and the next answer has none, keep the old one."
        if response.tracker_id.is_some() {
            tracker.tracker_id = response.tracker_id;
        }
        tracker.started = current.event != Some(AnnounceEvent::Stopped);
        self.say(TrackerSaid::Answered {
            url: self.trackers.get(current.tracker).map(|tracker| tracker.text.clone()).unwrap_or_default(),
            peers: response.peers,
            interval,
            warning: response.warning,
            external_ip: response.external_ip,
            complete: response.complete,
            incomplete: response.incomplete,
        });
        if current.event == Some(AnnounceEvent::Completed) {
            self.completed = Completed::Told;
        }
        if self.phase == Phase::Stopping && self.is_due_stopped(current.tracker) {
            self.to_stop.retain(|&at| at != current.tracker);
            self.to_stop.push_front(current.tracker);
        }
        self.promote(current.tracker);
        self.round = None;
        // A `completed` that came meanwhile, or to a tracker that first had to be told `started`, is due at once.
        self.next_round = match self.completed {
            Completed::ToTell => cx.now,
            Completed::No | Completed::Told => cx.now + interval,
        };
    }

    fn failed(&mut self, cx: &mut Cx<'_>, current: Current, error: TrackerError, told: Option<Duration>) {
        let config = &cx.config.announce;
        let jitter_micros = u64::try_from(config.retry_jitter.as_micros()).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(self.decisions.below(jitter_micros));
        let stopping = current.event == Some(AnnounceEvent::Stopped);
        let Some(tracker) = self.trackers.get_mut(current.tracker) else { return };
        tracker.fails = tracker.fails.saturating_add(1);
        tracker.gone |= matches!(error, TrackerError::Gone(_));
        tracker.started &= !stopping;
        // "`5 + fails² · 12.5` s, at most an hour, at least what `retry in` says", which is believed up to a day.
        let square = tracker.fails.saturating_mul(tracker.fails);
        let growing = config.retry_step.checked_mul(square).unwrap_or(config.retry_max);
        let own = config.retry_base.saturating_add(growing).saturating_add(jitter).min(config.retry_max);
        let delay = own.max(told.unwrap_or_default().min(config.max_interval));
        tracker.retry_at = cx.now + delay;
        tracker.last_error = Some(error.clone());
        let retry = (!tracker.gone && !stopping).then_some(delay);
        let url = tracker.text.clone();
        self.say(TrackerSaid::Failed { url, why: error, retry });
    }

    /// "When a tracker answers it is moved to the front of its own tier (the others keep their relative order)."
    fn promote(&mut self, at: usize) {
        let Some(tier) = self.trackers.get(at).and_then(|tracker| self.tiers.get_mut(tracker.tier)) else { return };
        if let Some(place) = tier.iter().position(|&other| other == at)
            && let Some(front) = tier.get_mut(..=place)
        {
            front.rotate_right(1);
        }
    }

    fn is_due_stopped(&self, at: usize) -> bool {
        self.trackers.get(at).is_some_and(|tracker| tracker.started && !tracker.gone)
    }

    fn end_stopping(&mut self, cx: &mut Cx<'_>) {
        if let Some(mut current) = self.current.take() {
            current.exchange.abandon(cx, &mut self.abandoned);
        }
        self.to_stop.clear();
        self.stop_limit = Time::NEVER;
        self.phase = Phase::Stopped;
    }

    fn say(&mut self, said: TrackerSaid) {
        // Drained after each call, it holds at most one word for each tracker; this bounds it if nobody listens.
        if self.said.len() > 2 * MAX_TRACKERS {
            self.said.pop_front();
        }
        self.said.push_back(said);
    }
}

impl Tracker {
    fn new(url: TrackerUrl, tier: usize) -> Tracker {
        Tracker {
            text: url.to_string(),
            url,
            tier,
            started: false,
            gone: false,
            fails: 0,
            retry_at: Time::ZERO,
            not_before: Time::ZERO,
            answered_at: None,
            last_error: None,
            tracker_id: None,
            connection: None,
            complete: None,
            incomplete: None,
        }
    }
}

#[cfg(test)]
mod tests;
