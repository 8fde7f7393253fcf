//! The list of trackers, and how it changes while announces are under way.

use super::{AnnounceFacts, Announcer, Ask, Group, Grouping, MAX_TRACKERS, Phase, Tracker};
use crate::border::NetPolicy;
use crate::cx::Cx;
use crate::time::Time;
use crate::tracker::url::MAX_URL;
use crate::tracker::{AnnounceEvent, TrackerUrl, UrlError, clean_text};
use alloc::string::String;
use alloc::vec::Vec;

/// URLs that were not taken, as far as they can be shown.
type Refused = Vec<(String, UrlError)>;

impl Announcer {
    /// More tiers, behind the present ones. URLs that are there already are left out. What is refused comes back. `named`: those
    /// that the user has named himself.
    pub fn add(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &AnnounceFacts,
        tiers: Vec<Vec<String>>,
        named: &[String],
    ) -> Refused {
        let old = self.tiers.clone();
        let refused = self.take_in(&cx.config.net, tiers);
        self.trust(named, &cx.config.net);
        self.regroup(cx, facts, &old, false);
        refused
    }

    /// Other tiers in place of the present ones. A tracker in both lists is the same as before; one that is gone is told
    /// `stopped` if it knows us, and nothing that it still says counts. What is refused comes back.
    pub fn replace(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &AnnounceFacts,
        tiers: Vec<Vec<String>>,
        named: &[String],
    ) -> Refused {
        let old = core::mem::take(&mut self.tiers);
        let refused = self.take_in(&cx.config.net, tiers);
        self.trust(named, &cx.config.net);
        let gone: Vec<usize> = old.iter().flatten().copied().filter(|at| !self.is_listed(*at)).collect();
        for at in gone {
            if let Some(tracker) = self.trackers.get_mut(at) {
                tracker.removed = true;
            }
            // Where the tracker may be reading already, its answer says whether a `stopped` is due.
            let limit = cx.now + cx.config.announce.stop_timeout;
            for ask in self.asks.iter_mut().filter(|ask| ask.tracker == at) {
                ask.lanes.retain_mut(|lane| {
                    if lane.reached() {
                        lane.limit_to(limit);
                        return true;
                    }
                    lane.abandon(cx, &mut self.abandoned);
                    false
                });
            }
            self.asks.retain(|ask| !ask.lanes.is_empty());
            let busy = self.asks.iter().any(|ask| ask.tracker == at);
            if self.phase == Phase::Running && self.is_due_stopped(at) && !busy {
                self.leaving.push_back(at);
            }
        }
        self.regroup(cx, facts, &old, true);
        refused
    }

    fn is_listed(&self, at: usize) -> bool {
        self.tiers.iter().flatten().any(|&listed| listed == at)
    }

    /// Puts tiers of URLs behind the present ones.
    pub(super) fn take_in(&mut self, policy: &NetPolicy, tiers: Vec<Vec<String>>) -> Refused {
        let mut refused = Vec::new();
        for tier in tiers {
            let mut places = Vec::new();
            for text in tier {
                let full = self.tiers.iter().flatten().count() + places.len() >= MAX_TRACKERS;
                match TrackerUrl::parse_with(&text, policy) {
                    Ok(url) => {
                        let known = self.trackers.iter().position(|tracker| tracker.url == url);
                        match known {
                            Some(at) if self.is_listed(at) || places.contains(&at) => {}
                            _ if full => refused.push((clean_text(text.as_bytes(), MAX_URL as u32), UrlError::TooMany)),
                            Some(at) => {
                                self.leaving.retain(|&leaving| leaving != at);
                                places.push(at);
                            }
                            None => places.push(self.place_for(Tracker::new(url, 0))),
                        }
                    }
                    Err(error) => refused.push((clean_text(text.as_bytes(), MAX_URL as u32), error)),
                }
                for &at in &places {
                    if let Some(tracker) = self.trackers.get_mut(at) {
                        (tracker.tier, tracker.removed) = (self.tiers.len(), false);
                    }
                }
            }
            if !places.is_empty() {
                self.decisions.shuffle(&mut places);
                self.tiers.push(places);
            }
        }
        refused
    }

    /// A place for a new tracker: one that nothing refers to any more, or a further one.
    fn place_for(&mut self, tracker: Tracker) -> usize {
        let is_free = |at: usize| {
            self.trackers.get(at).is_some_and(|tracker| tracker.removed)
                && !self.asks.iter().any(|ask| ask.tracker == at)
                && !self.leaving.contains(&at)
                && !self.to_stop.contains(&at)
        };
        let free = (0..self.trackers.len()).find(|&at| is_free(at));
        match free.and_then(|at| Some((at, self.trackers.get_mut(at)?))) {
            Some((at, place)) => {
                *place = tracker;
                at
            }
            None => {
                self.trackers.push(tracker);
                self.trackers.len() - 1
            }
        }
    }

    /// Makes the groups anew after the list has changed: what is known of those that stay goes along. `anew`: where all tiers are
    /// one group, a round begins at the first of them.
    fn regroup(&mut self, cx: &mut Cx<'_>, facts: &AnnounceFacts, old: &[Vec<usize>], anew: bool) {
        if self.groups.is_empty() {
            return;
        }
        let before = core::mem::take(&mut self.groups);
        // What a tracker that is gone may be reading now counts as told.
        let is_told = |ask: &Ask| ask.event == Some(AnnounceEvent::Completed) && !self.is_listed(ask.tracker);
        let tells = self.asks.iter().any(is_told);
        let told = tells || before.iter().any(|group| group.told);
        self.make_groups(cx, facts);
        for at in 0..self.groups.len() {
            let members = self.members(at);
            let same = match self.grouping {
                Grouping::All => before.first(),
                Grouping::Tier => {
                    let was_in = |tier: &Vec<usize>| tier.iter().any(|tracker| members.contains(tracker));
                    old.iter().position(was_in).and_then(|tier| before.get(tier))
                }
                Grouping::Tracker => {
                    before.get(at).filter(|_| old.iter().flatten().any(|tracker| members.contains(tracker)))
                }
            };
            let works = |at: &usize| {
                self.trackers
                    .get(*at)
                    .is_some_and(|tracker| tracker.answered_at.is_some() && tracker.last_error.is_none())
            };
            let mut group = match same {
                // A round goes on with those that there are now.
                Some(same) => Group { round: None, told: same.told || tells, ..same.clone() },
                None => Group { round: None, next_round: cx.now, told, last: None, left: None, forced: false },
            };
            let keeps = group.last.filter(|last| members.contains(last));
            if keeps.is_none()
                && let Some(last) = group.last.take()
            {
                group.left = self.trackers.get(last).map(|tracker| tracker.text.clone());
            }
            if self.phase != Phase::Running {
                group.next_round = Time::NEVER;
            } else if !keeps.is_some_and(|last| works(&last)) || (anew && self.grouping == Grouping::All) {
                group.next_round = cx.now;
            }
            if let Some(place) = self.groups.get_mut(at) {
                *place = group;
            }
        }
        for at in 0..self.asks.len() {
            let Some(tracker) = self.asks.get(at).map(|ask| ask.tracker) else { continue };
            let group = self.is_listed(tracker).then(|| self.group_of(tracker));
            if let Some(ask) = self.asks.get_mut(at) {
                ask.group = ask.group.and(group);
            }
        }
        self.advance(cx, facts);
    }
}
