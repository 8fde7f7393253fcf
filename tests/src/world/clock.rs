//! The clocks of the nodes: what a session is told of the time, and when it sleeps.
//!
//! The world has one time, and each node a clock of its own, which never goes backwards: it may tick coarsely, its timers may
//! fire late (never early), and while the computer is suspended nothing is told to the session; the clock goes on
//! meanwhile, or stands still, as both kinds exist.

use super::queue::Happening;
use super::{NodeId, World};
use parcacik_core::border::Event;
use parcacik_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// A node's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// How much less it shows than the world's: it stood still.
    behind: Duration,
    /// It shows whole multiples of this; zero: every microsecond.
    grain: Duration,
    /// How late timers fire, at the most.
    late: Duration,
    /// Since when it is suspended.
    asleep: Option<Time>,
    /// How often its timer has run out in which second.
    ticks: (u64, u64),
    /// What happened while it was.
    pub missed: VecDeque<Event>,
}

/// How often a session may be woken in a second. Rate limits are dealt with many times in a second; nothing is a thousand times.
const MOST_TICKS: u64 = 1_000;

impl Clock {
    /// What it shows.
    pub fn reads(&self, world: Time) -> Time {
        let shown = world.0.saturating_sub(micros(self.behind));
        let grain = micros(self.grain).max(1);
        Time(shown / grain * grain)
    }

    /// When it will show this.
    fn shows(&self, local: Time) -> Time {
        let grain = micros(self.grain).max(1);
        Time(local.0.div_ceil(grain).saturating_mul(grain).saturating_add(micros(self.behind)))
    }

    /// The computer starts anew.
    pub fn crash(&mut self) {
        self.asleep = None;
        self.missed.clear();
    }

    pub fn is_asleep(&self) -> bool {
        self.asleep.is_some()
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl World {
    /// Makes a node's clock show only whole multiples of `grain`, and its timers fire up to `late` too late.
    pub fn set_clock(&mut self, node: NodeId, grain: Duration, late: Duration) {
        let clock = &mut self.nodes[node.0].clock;
        (clock.grain, clock.late) = (grain, late);
    }

    /// What a node's clock shows.
    pub fn clock(&self, node: NodeId) -> Time {
        self.nodes[node.0].clock.reads(self.now)
    }

    /// Whether a node is suspended.
    pub fn is_asleep(&self, node: NodeId) -> bool {
        self.nodes[node.0].clock.is_asleep()
    }

    /// Suspends a node's computer: its session is told nothing until [`World::wake`].
    pub fn suspend(&mut self, node: NodeId) {
        let now = self.now;
        self.nodes[node.0].clock.asleep.get_or_insert(now);
    }

    /// Wakes a suspended node. `counted`: its clock has gone on meanwhile.
    pub fn wake(&mut self, node: NodeId, counted: bool) {
        let now = self.now;
        let clock = &mut self.nodes[node.0].clock;
        let Some(since) = clock.asleep.take() else { return };
        if !counted {
            clock.behind += now.since(since);
        }
        for event in std::mem::take(&mut clock.missed) {
            self.tell(node, event);
        }
        for tcp in self.nodes[node.0].streams.keys().copied().collect::<Vec<_>>() {
            self.deliver(node, tcp);
        }
        self.tell(node, Event::Tick);
    }

    /// Tells a node another date.
    pub fn set_date(&mut self, node: NodeId, unix_seconds: i64) {
        self.tell(node, Event::WallClock { unix_seconds });
    }

    /// A timer has run out. It is never told before its time, which is later where the clock stood still meanwhile.
    pub(super) fn timer_fires(&mut self, node: NodeId, due: Time) {
        let at = &mut self.nodes[node.0];
        if at.tick != Some(due) {
            return;
        }
        if at.clock.reads(self.now) < due {
            let when = at.clock.shows(due);
            return self.schedule(when, Happening::Tick(node, due));
        }
        at.tick = None;
        // A session that wakes again and again, and does nothing, is a busy loop.
        let (second, ticks) = &mut at.clock.ticks;
        if *second != self.now.0 / 1_000_000 {
            (*second, *ticks) = (self.now.0 / 1_000_000, 0);
        }
        *ticks += 1;
        assert!(*ticks <= MOST_TICKS, "oracle 33: node {} wakes {ticks} times in a second", node.0);
        self.tell(node, Event::Tick);
    }

    /// Sees to it that a session is told when the moment comes that it has named.
    pub(super) fn set_timer(&mut self, node: NodeId, deadline: Option<Time>) {
        let at = &mut self.nodes[node.0];
        if deadline == at.tick {
            return;
        }
        at.tick = deadline;
        let Some(due) = deadline else { return };
        let local = at.clock.reads(self.now);
        // A deadline in the past would be a busy loop: the session must have dealt with it.
        assert!(due > local, "node {}: deadline {due:?} is not after {local:?}", node.0);
        let late = micros(at.clock.late);
        let lateness = if late > 0 { at.timer_rng.below(late + 1) } else { 0 };
        let when = at.clock.shows(due) + Duration::from_micros(lateness);
        self.schedule(when, Happening::Tick(node, due));
    }
}
