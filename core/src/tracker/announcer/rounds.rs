//! Rounds: whose turn it is, and what an answer or a failure means.

use super::{AnnounceFacts, Announcer, Ask, Group, Grouping, Phase, Tracker, TrackerSaid, Turn};
use crate::cx::Cx;
use crate::net_policy::{Scheme, Word};
use crate::time::Time;
use crate::tracker::exchange::{Ended, Env, Exchange, Terms};
use crate::tracker::{AnnounceEvent, AnnounceRequest, AnnounceResponse, Answer, Question, TrackerError};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// Who is to be asked next: the tracker, for which group (`None`: it is told `stopped`), and with what event.
type Next = (usize, Option<usize>, Option<AnnounceEvent>);

impl Announcer {
    /// The first start decides what the groups are.
    pub(super) fn make_groups(&mut self, cx: &Cx<'_>, facts: &AnnounceFacts) {
        let config = &cx.config.announce;
        if config.prefer_udp {
            self.put_udp_first();
        }
        // BEP 27: "each peer MUST use only one tracker at a time".
        self.keeps_to_one = facts.private;
        self.grouping = match (config.all_trackers, config.all_tiers) {
            _ if facts.private => Grouping::All,
            (true, _) => Grouping::Tracker,
            (false, true) => Grouping::Tier,
            (false, false) => Grouping::All,
        };
        let count = match self.grouping {
            Grouping::All => 1,
            Grouping::Tier => self.tiers.len(),
            Grouping::Tracker => self.trackers.len(),
        };
        let group = Group { round: None, next_round: Time::NEVER, told: false, last: None, left: None, forced: false };
        self.groups = alloc::vec![group; count];
    }

    /// Where a host is listed with HTTP first and UDP later, the two change places.
    fn put_udp_first(&mut self) {
        let places: Vec<(usize, usize)> =
            self.tiers.iter().enumerate().flat_map(|(tier, list)| (0..list.len()).map(move |at| (tier, at))).collect();
        for (later, &udp) in places.iter().enumerate() {
            let Some(to) = self.at_place(udp) else { continue };
            let Some(url) = self.trackers.get(to).map(|tracker| &tracker.url).filter(|url| url.scheme() == Scheme::Udp)
            else {
                continue;
            };
            let is_slower = |&&place: &&(usize, usize)| {
                let other = self.at_place(place).and_then(|at| self.trackers.get(at)).map(|tracker| &tracker.url);
                other.is_some_and(|other| other.scheme() != Scheme::Udp && other.host() == url.host())
            };
            let Some(&http) = places.iter().take(later).find(is_slower) else { continue };
            let Some(from) = self.at_place(http) else { continue };
            self.put_at(http, to);
            self.put_at(udp, from);
        }
    }

    fn at_place(&self, (tier, at): (usize, usize)) -> Option<usize> {
        self.tiers.get(tier)?.get(at).copied()
    }

    fn put_at(&mut self, (tier, at): (usize, usize), tracker: usize) {
        if let Some(place) = self.tiers.get_mut(tier).and_then(|list| list.get_mut(at)) {
            *place = tracker;
        }
        if let Some(tracker) = self.trackers.get_mut(tracker) {
            tracker.tier = tier;
        }
    }

    /// The trackers of a group, in the order to ask them.
    pub(super) fn members(&self, group: usize) -> VecDeque<usize> {
        match self.grouping {
            Grouping::All => {
                let mut all: VecDeque<usize> = self.tiers.iter().flatten().copied().collect();
                // BEP 27: "... and only switch between trackers when the current tracker fails": not back to a better tier
                // before that.
                let last = self.groups.get(group).and_then(|group| group.last).filter(|_| self.keeps_to_one);
                if let Some(place) = last.and_then(|last| all.iter().position(|&at| at == last)) {
                    all.remove(place).into_iter().for_each(|last| all.push_front(last));
                }
                all
            }
            Grouping::Tier => self.tiers.get(group).into_iter().flatten().copied().collect(),
            Grouping::Tracker => {
                let listed = self.tiers.iter().flatten().any(|&at| at == group);
                listed.then_some(group).into_iter().collect()
            }
        }
    }

    /// The group of a tracker.
    pub(super) fn group_of(&self, tracker: usize) -> usize {
        match self.grouping {
            Grouping::All => 0,
            Grouping::Tier => self.trackers.get(tracker).map_or(0, |tracker| tracker.tier),
            Grouping::Tracker => tracker,
        }
    }

    /// Whether a tracker of the group is being asked.
    pub(super) fn is_busy(&self, group: usize) -> bool {
        self.asks.iter().any(|ask| ask.group == Some(group) && !ask.answered)
    }

    /// Goes on as far as it goes without an answer.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts) {
        self.wants = None;
        // Each turn asks one tracker, and those that end at once are then out of the round or of `to_stop`.
        loop {
            let under_way = self.asks.iter().filter(|ask| !ask.answered).count();
            self.full = under_way >= cx.config.announce.max_asks as usize;
            if self.full {
                break;
            }
            let Some(next) = self.next(cx.now) else { break };
            if facts.gated && !core::mem::take(&mut self.turn) {
                self.wants = Some((self.turn_of(next), cx.now));
                self.put_back(next);
                break;
            }
            let (at, group, event) = next;
            if let Some(group) = group.and_then(|group| self.groups.get_mut(group)) {
                group.forced = false;
            }
            self.ask(cx, facts, at, group, event);
        }
        let nobody = self.to_complete.is_empty() && self.to_stop.is_empty();
        if self.phase == Phase::Stopping && nobody && self.asks.iter().all(|ask| ask.answered) {
            self.end_stopping(cx);
        }
    }

    /// Who is to be asked now; taken out of where it waits.
    fn next(&mut self, now: Time) -> Option<Next> {
        match self.phase {
            Phase::Running => {
                let leaving = self.next_to_stop(false);
                leaving.or_else(|| {
                    (0..self.groups.len())
                        .filter(|&group| !self.is_busy(group))
                        .collect::<Vec<_>>()
                        .into_iter()
                        .find_map(|group| self.next_of_round(now, group).map(|(at, event)| (at, Some(group), event)))
                })
            }
            Phase::Stopping => match self.to_complete.pop_front() {
                Some((at, group)) => Some((at, Some(group), Some(AnnounceEvent::Completed))),
                None => self.next_to_stop(true),
            },
            Phase::Idle | Phase::Stopped => None,
        }
    }

    /// Who is to be told `stopped` next: of all, or of those that are not in the list any more.
    fn next_to_stop(&mut self, all: bool) -> Option<Next> {
        loop {
            let at = if all { self.to_stop.pop_front() } else { self.leaving.pop_front() }?;
            // What a tracker answered since may be that it never wants to be asked again.
            if self.is_due_stopped(at) {
                return Some((at, None, Some(AnnounceEvent::Stopped)));
            }
        }
    }

    fn put_back(&mut self, (at, group, _): Next) {
        if let (Phase::Stopping, Some(group)) = (self.phase, group) {
            return self.to_complete.push_front((at, group));
        }
        let round = group.and_then(|group| self.groups.get_mut(group)).and_then(|group| group.round.as_mut());
        match (group, round) {
            (Some(_), Some(round)) => round.push_front(at),
            (Some(_), None) => {}
            (None, _) if self.phase == Phase::Stopping => self.to_stop.push_front(at),
            (None, _) => self.leaving.push_front(at),
        }
    }

    fn turn_of(&self, (at, group, event): Next) -> Turn {
        let forced = group.and_then(|group| self.groups.get(group)).is_some_and(|group| group.forced);
        Turn { http: self.trackers.get(at).is_some_and(Tracker::is_http), urgent: event.is_some() || forced }
    }

    /// The tracker of a group whose turn it is. Begins a round when one is due; ends it when nobody is left.
    fn next_of_round(&mut self, now: Time, at: usize) -> Option<(usize, Option<AnnounceEvent>)> {
        let members = self.members(at);
        let mut round = self.groups.get_mut(at)?.round.take();
        let mut next_round = self.groups.get(at)?.next_round;
        let found = loop {
            let Some(left) = &mut round else {
                if now < next_round {
                    break None;
                }
                round = Some(members.clone());
                continue;
            };
            let Some(place) = left.pop_front() else {
                round = None;
                // All failed. A delay may be over already, where the others took long to fail: then the next round begins
                // now, and this loop ends as it has somebody to ask.
                let all = members.iter().filter_map(|&member| self.trackers.get(member));
                let delays = all.filter(|tracker| !tracker.gone).map(|tracker| tracker.retry_at);
                next_round = delays.min().unwrap_or(Time::NEVER);
                continue;
            };
            let event = self.event_for(place);
            let Some(tracker) = self.trackers.get(place).filter(|tracker| !tracker.gone && tracker.retry_at <= now)
            else {
                continue;
            };
            if event.is_none() && tracker.not_before > now {
                // It works, and does not want to be asked yet: to ask another one instead would be against its tier.
                (next_round, round) = (tracker.not_before, None);
                break None;
            }
            break Some((place, event));
        };
        if let Some(group) = self.groups.get_mut(at) {
            (group.round, group.next_round) = (round, next_round);
        }
        found
    }

    /// Whether this tracker is to be told of the completion, as far as its group goes, and may be asked now.
    pub(super) fn owes_completed(&self, now: Time, at: usize) -> bool {
        let group = self.group_of(at);
        // One for the group is enough.
        let under_way = self.is_busy(group) || self.to_complete.iter().any(|(_, other)| *other == group);
        let rests = self.trackers.get(at).is_none_or(|tracker| tracker.retry_at > now);
        !under_way && !rests && self.event_for(at) == Some(AnnounceEvent::Completed)
    }

    /// The event that an announce to this tracker would carry now.
    fn event_for(&self, at: usize) -> Option<AnnounceEvent> {
        let told = self.groups.get(self.group_of(at)).is_some_and(|group| group.told);
        match self.trackers.get(at) {
            Some(tracker) if !tracker.started => Some(AnnounceEvent::Started),
            _ if self.completed && !told => Some(AnnounceEvent::Completed),
            _ => None,
        }
    }

    fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &AnnounceFacts,
        at: usize,
        group: Option<usize>,
        event: Option<AnnounceEvent>,
    ) {
        // What is left of the last announce to it would only confuse its books.
        for mut ask in self.asks.extract_if(.., |ask| ask.tracker == at) {
            ask.lanes.iter_mut().for_each(|lane| lane.abandon(cx, &mut self.abandoned));
        }
        let others = group.map(|group| self.members(group)).unwrap_or_default();
        let is_left = |other: &usize| *other != at && self.trackers.get(*other).is_some_and(|tracker| !tracker.gone);
        let others = group.is_none() || others.iter().any(is_left);
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
            // "Every announce" is not those that say something else by the one event there is.
            event: event.or(facts.partial_seed.then_some(AnnounceEvent::Paused)),
            num_want: Some(num_want),
            key: Some(self.key),
            tracker_id: tracker.tracker_id.clone(),
            // "Our IPv6 address goes into `&ipv6=` only for private torrents."
            own_ips: facts.own.into_iter().flatten().filter(|_| facts.private && !config.hide_client).collect(),
        };
        let limit = match (self.phase, event) {
            // So that there is time left for the `stopped`.
            (Phase::Stopping, Some(AnnounceEvent::Completed)) => self.stop_limit.min(cx.now + config.stop_timeout / 2),
            (Phase::Stopping, _) => self.stop_limit,
            (_, Some(AnnounceEvent::Stopped)) => cx.now + config.stop_timeout,
            _ => Time::NEVER,
        };
        let (url, known) = (tracker.url.clone(), tracker.connections);
        let word = if tracker.trusted { Word::User } else { Word::Local };
        let named = facts.private || !config.hide_client;
        let terms = Terms { word, patient: !others, limit, named };
        let mut env = Env { ways: facts.ways(), secret: &mut self.secret, abandoned: &mut self.abandoned };
        let (lane, ended) = Exchange::begin(cx, &mut env, url, Question::Announce(request), known, terms);
        self.asked += 1;
        let id = self.asked;
        self.asks.push(Ask { id, tracker: at, group, event, lanes: Vec::from([lane]), answered: false });
        self.set_out(cx, facts, (id, 0), ended);
    }

    /// A lane has gone a step, and ended if it has. Gives it its twin, when it has learned that it needs one.
    pub(super) fn set_out(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &AnnounceFacts,
        (id, at): (u64, usize),
        ended: Option<Ended>,
    ) {
        let Some(ask) = self.asks.iter_mut().find(|ask| ask.id == id) else { return };
        let Some(lane) = ask.lanes.get_mut(at) else { return };
        let mut env = Env { ways: facts.ways(), secret: &mut self.secret, abandoned: &mut self.abandoned };
        let twin = lane.split(cx, &mut env);
        let family = lane.family();
        let twin = twin.map(|(twin, ended)| {
            let family = twin.family();
            ask.lanes.push(twin);
            (family, ended)
        });
        for (family, ended) in core::iter::once((family, ended)).chain(twin) {
            if let Some(ended) = ended {
                self.ended(cx, facts, id, family, ended);
            }
        }
    }

    /// A lane has ended.
    pub(super) fn ended(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &AnnounceFacts,
        id: u64,
        family: Option<bool>,
        ended: Ended,
    ) {
        let Some(place) = self.asks.iter().position(|ask| ask.id == id) else { return };
        let Some(ask) = self.asks.get_mut(place) else { return };
        let Some(lane) = ask.lanes.iter().position(|lane| lane.family() == family) else { return };
        let lane = ask.lanes.swap_remove(lane);
        let (tracker, group, event, late) = (ask.tracker, ask.group, ask.event, ask.answered);
        if let Some(tracker) = self.trackers.get_mut(tracker) {
            for (known, new) in tracker.connections.iter_mut().zip(lane.connections()).enumerate().filter_map(
                // A lane knows of its own family only.
                |(at, pair)| (family.is_none_or(|v6| usize::from(v6) == at)).then_some(pair),
            ) {
                *known = new;
            }
        }
        let global = lane.asked_global();
        let answered = matches!(ended, Ended::Answer(_));
        let from = lane.asked();
        let last = ask.lanes.is_empty();
        if answered && !late {
            ask.answered = true;
            let limit = cx.now + cx.config.announce.http_timeout;
            ask.lanes.iter_mut().for_each(|lane| lane.limit_to(limit));
        }
        if last {
            self.asks.remove(place);
        }
        match ended {
            Ended::Answer(Answer::Announced(response)) if late => {
                self.say_answer(cx, (tracker, from, global), response)
            }
            Ended::Answer(Answer::Announced(response)) => {
                self.succeeded(cx, facts, (tracker, group, event), (response, from, global));
            }
            // No announce is answered by counts.
            Ended::Answer(Answer::Scraped(_)) => {}
            // "One family failing does not make the tracker failed if the other works."
            Ended::Failed { .. } if late || !last => {}
            Ended::Failed { error, retry } => self.failed(cx, (tracker, event), error, retry),
        }
        // What was under way when we stopped is over: now it can be told.
        let was_first = !late && (answered || last) && event != Some(AnnounceEvent::Stopped);
        if was_first && self.is_due_stopped(tracker) {
            match self.phase {
                Phase::Stopping => match group.filter(|_| event != Some(AnnounceEvent::Completed)) {
                    Some(group) if self.owes_completed(cx.now, tracker) => {
                        self.to_complete.push_front((tracker, group))
                    }
                    _ => self.to_stop.push_front(tracker),
                },
                _ if self.trackers.get(tracker).is_some_and(|tracker| tracker.removed) => {
                    self.leaving.push_back(tracker);
                }
                _ => {}
            }
        }
    }

    fn succeeded(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &AnnounceFacts,
        (at, group, event): Next,
        (response, from, global): (AnnounceResponse, Option<IpAddr>, bool),
    ) {
        let (interval, min_interval) = intervals(cx, &response);
        let Some(tracker) = self.trackers.get_mut(at) else { return };
        tracker.fails = 0;
        tracker.retry_at = Time::ZERO;
        tracker.last_error = None;
        tracker.answered_at = Some(cx.now);
        tracker.not_before = cx.now + min_interval;
        tracker.started = event != Some(AnnounceEvent::Stopped);
        if tracker.removed {
            return;
        }
        if let Some(group) = group.and_then(|group| self.groups.get_mut(group)) {
            group.told |= event == Some(AnnounceEvent::Completed);
            group.round = None;
            // A `completed` that came meanwhile, or to a tracker that first had to be told `started`, is due at once.
            group.next_round = if self.completed && !group.told { cx.now } else { cx.now + interval };
            let (before, left) = (group.last.replace(at), group.left.take());
            let url = |at: usize| self.trackers.get(at).map(|tracker| tracker.text.clone()).unwrap_or_default();
            let before = left.or(before.filter(|before| *before != at).map(url));
            if let Some(from) = before.filter(|_| facts.private) {
                let to = url(at);
                self.say(TrackerSaid::Switched { from, to });
            }
        }
        self.say_answer(cx, (at, from, global), response);
        self.promote(at);
    }

    fn say_answer(
        &mut self,
        cx: &Cx<'_>,
        (at, from, from_global): (usize, Option<IpAddr>, bool),
        response: AnnounceResponse,
    ) {
        let (interval, _) = intervals(cx, &response);
        let Some(tracker) = self.trackers.get_mut(at).filter(|tracker| !tracker.removed) else { return };
        tracker.complete = response.complete.or(tracker.complete);
        tracker.incomplete = response.incomplete.or(tracker.incomplete);
        tracker.downloaded = response.downloaded.or(tracker.downloaded);
        tracker.peers = response.peers.len() as u32;
        tracker.warning.clone_from(&response.warning);
        // "If a tracker id was sent and the next answer has none, keep the old one."
        if response.tracker_id.is_some() {
            tracker.tracker_id = response.tracker_id;
        }
        let said = TrackerSaid::Answered {
            url: tracker.text.clone(),
            from,
            peers: response.peers,
            interval,
            warning: response.warning,
            external_ip: response.external_ip,
            complete: response.complete,
            incomplete: response.incomplete,
            from_global,
        };
        self.say(said);
    }

    fn failed(
        &mut self,
        cx: &mut Cx<'_>,
        (at, event): (usize, Option<AnnounceEvent>),
        error: TrackerError,
        told: Option<Duration>,
    ) {
        let config = &cx.config.announce;
        let jitter_micros = u64::try_from(config.retry_jitter.as_micros()).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(self.decisions.below(jitter_micros));
        let stopping = event == Some(AnnounceEvent::Stopped);
        let Some(tracker) = self.trackers.get_mut(at) else { return };
        tracker.fails = tracker.fails.saturating_add(1);
        tracker.gone |= matches!(error, TrackerError::Gone(_));
        tracker.started &= !stopping;
        if tracker.removed {
            return;
        }
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

    pub(super) fn is_due_stopped(&self, at: usize) -> bool {
        self.trackers.get(at).is_some_and(|tracker| tracker.started && !tracker.gone)
    }

    pub(super) fn end_stopping(&mut self, cx: &mut Cx<'_>) {
        for mut ask in core::mem::take(&mut self.asks) {
            ask.lanes.iter_mut().for_each(|lane| lane.abandon(cx, &mut self.abandoned));
        }
        self.to_complete.clear();
        self.to_stop.clear();
        self.wants = None;
        self.stop_limit = Time::NEVER;
        self.phase = Phase::Stopped;
    }
}

/// How long until the next announce, and at least until one that no event calls for; within our own limits.
fn intervals(cx: &Cx<'_>, response: &AnnounceResponse) -> (Duration, Duration) {
    let config = &cx.config.announce;
    let believed = |seconds: Option<u32>, otherwise: Duration| {
        let told = seconds.map_or(otherwise, |seconds| Duration::from_secs(u64::from(seconds)));
        told.clamp(config.min_interval, config.max_interval.max(config.min_interval))
    };
    let min_interval = believed(response.min_interval, config.min_interval);
    (believed(response.interval, config.default_interval).max(min_interval), min_interval)
}
