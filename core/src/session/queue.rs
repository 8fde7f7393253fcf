//! Which torrents run at once.
//!
//! Every torrent has a place in one order. Of those that are *managed* ([`AddTorrent::managed`](crate::border::AddTorrent)), only
//! so many run as [`QueueConfig`] allows; the others are queued, which is like being paused but ends by itself. Torrents that
//! are not managed run as they like and take no place; neither do those that are paused, have failed, are stopping or still
//! look at their disk.
//!
//! Places are given in *reviews*:
//!
//! 1. **Downloads** have their places first, in the order of the queue.
//! 2. **Seeds** have what is left of [`max_active`](QueueConfig::max_active), in turns: one that has had its place for less than
//!    [`seed_turn`](QueueConfig::seed_turn) keeps it; then those that wait, the longest first; then those whose turn is over,
//!    the one that had its place longest last. So a seed gives way only when somebody waits, and everybody has a turn.
//! 3. With [`skip_slow`](QueueConfig::skip_slow), one that runs and has been slow for a while runs on without a place.
//!
//! What has no place any more is queued at once; of those that have a new one, one is started in each
//! [`start_spacing`](QueueConfig::start_spacing).
//!
//! A review looks at all torrents, so it is not made on every event, but after [`QueueConfig::review`] and when something has
//! changed that matters: a torrent was added, removed, moved in the queue, has finished, failed, was paused or resumed. Changes
//! that come together are dealt with together: at least [`start_spacing`](QueueConfig::start_spacing) lies between two reviews. Where
//! nothing is limited there are none.

use crate::border::{QueueConfig, QueuePlace, TorrentId};
use crate::journal::canon::canon_struct;
use crate::time::Time;
use crate::torrent::Standing;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

/// The queue of a session.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// The first is the first.
    order: Vec<TorrentId>,
    rows: BTreeMap<TorrentId, Row>,
    /// When the next review is due.
    due: Option<Time>,
    reviewed: Option<Time>,
    started: Option<Time>,
}

canon_struct!(out Queue { order, rows, due, reviewed, started });

#[cfg(test)]
impl Queue {
    /// Changes something that does not show at once.
    pub(crate) fn tamper(&mut self) {
        self.reviewed = Some(Time(u64::MAX));
    }
}

#[derive(Clone, Copy, Debug)]
struct Row {
    managed: bool,
    standing: Standing,
    /// It is not held back.
    runs: bool,
    /// Since when it has run, or waited.
    since: Time,
    /// When it was started last.
    began: Time,
    slow_since: Option<Time>,
}

canon_struct!(out Row { managed, standing, runs, since, began, slow_since });

impl Queue {
    /// A torrent is there, behind all others. Whether it has to wait for a place.
    pub fn add(&mut self, now: Time, config: &QueueConfig, torrent: TorrentId, managed: bool) -> bool {
        let waits = managed && config.is_on();
        self.order.push(torrent);
        let row =
            Row { managed, standing: Standing::Out, runs: !waits, since: now, began: Time::ZERO, slow_since: None };
        self.rows.insert(torrent, row);
        waits
    }

    /// A torrent is gone.
    pub fn remove(&mut self, now: Time, config: &QueueConfig, torrent: TorrentId) {
        if self.rows.remove(&torrent).is_some() {
            self.order.retain(|&other| other != torrent);
            self.changed(now, config);
        }
    }

    /// A torrent has gone on to something else.
    pub fn stands(&mut self, now: Time, config: &QueueConfig, torrent: TorrentId, standing: Standing) {
        let Some(row) = self.rows.get_mut(&torrent) else { return };
        if row.standing != standing {
            (row.standing, row.since, row.slow_since) = (standing, now, None);
            self.changed(now, config);
        }
    }

    /// Whether the queue decides when a torrent runs.
    pub fn set_managed(&mut self, now: Time, config: &QueueConfig, torrent: TorrentId, managed: bool) {
        let Some(row) = self.rows.get_mut(&torrent) else { return };
        if row.managed != managed {
            row.managed = managed;
            self.changed(now, config);
        }
    }

    /// Changes a torrent's place.
    pub fn set_place(&mut self, now: Time, config: &QueueConfig, torrent: TorrentId, place: QueuePlace) {
        let Some(from) = self.order.iter().position(|&other| other == torrent) else { return };
        let last = self.order.len().saturating_sub(1);
        let to = match place {
            QueuePlace::Top => 0,
            QueuePlace::Up => from.saturating_sub(1),
            QueuePlace::Down => from.saturating_add(1),
            QueuePlace::Bottom => last,
            QueuePlace::At(before) => usize::try_from(before).unwrap_or(last),
        };
        let moved = self.order.remove(from);
        self.order.insert(to.min(last), moved);
        self.changed(now, config);
    }

    /// All torrents, the first in the queue first.
    pub fn order(&self) -> &[TorrentId] {
        &self.order
    }

    /// Whether the queue decides when it runs.
    pub fn is_managed(&self, torrent: TorrentId) -> bool {
        self.rows.get(&torrent).is_some_and(|row| row.managed)
    }

    /// When [`Queue::review`] is due.
    pub fn deadline(&self) -> Option<Time> {
        self.due
    }

    fn changed(&mut self, now: Time, config: &QueueConfig) {
        if config.is_on() {
            let soonest = self.reviewed.map_or(now, |last| now.max(last + spacing(config)));
            self.due = Some(self.due.map_or(soonest, |due| due.min(soonest)));
        }
    }

    /// Gives places anew. `rates` says what a torrent moves, in bytes a second: down, up. The answer: who is to run from now on
    /// (true) and who is not.
    pub fn review(
        &mut self,
        now: Time,
        config: &QueueConfig,
        rates: impl Fn(TorrentId) -> (u64, u64),
    ) -> Vec<(TorrentId, bool)> {
        (self.due, self.reviewed) = (Some(now + config.review), Some(now));
        let mut downloads = Vec::new();
        let mut seeds = Vec::new();
        let mut wanted = Vec::new();
        for &id in &self.order {
            let Some(row) = self.rows.get_mut(&id) else { continue };
            if !row.managed {
                wanted.push((id, true));
                continue;
            }
            let (down, up) = if row.runs { rates(id) } else { (0, 0) };
            let slow = match row.standing {
                // It takes no place, and is not begun before it may.
                Standing::Out => continue,
                Standing::Download => down < config.slow_download,
                Standing::Seed => up < config.slow_upload,
            };
            row.slow_since = if row.runs && slow { row.slow_since.or(Some(now)) } else { None };
            let free = config.skip_slow && row.slow_since.is_some_and(|since| now.since(since) >= config.slow_after);
            if free {
                wanted.push((id, true));
            } else if row.standing == Standing::Download {
                downloads.push(id);
            } else {
                let over = row.runs && now.since(row.since) >= config.seed_turn;
                let turn = match (row.runs, over) {
                    (true, false) => 0,
                    (false, _) => 1,
                    (true, true) => 2,
                };
                let (first, last) = if over { (Time::ZERO, row.since) } else { (row.since, Time::ZERO) };
                seeds.push((turn, first, Reverse(last), row.began, id));
            }
        }
        // Of those that have waited alike, the one whose turn before was earlier; what is equal in all stays in the order of
        // the queue.
        seeds.sort_by_key(|&(turn, first, last, began, _)| (turn, first, last, began));
        let mut left = config.max_active.unwrap_or(u32::MAX);
        let mut give = |ids: &mut dyn Iterator<Item = TorrentId>, most: Option<u32>| {
            let mut places = most.unwrap_or(u32::MAX);
            for id in ids {
                let has = places > 0 && left > 0;
                (places, left) = (places - u32::from(has), left - u32::from(has));
                wanted.push((id, has));
            }
        };
        give(&mut downloads.into_iter(), config.max_downloads);
        give(&mut seeds.into_iter().map(|(.., id)| id), config.max_seeds);
        self.change(now, config, wanted)
    }

    fn change(&mut self, now: Time, config: &QueueConfig, wanted: Vec<(TorrentId, bool)>) -> Vec<(TorrentId, bool)> {
        let mut changes = Vec::new();
        for (id, runs) in wanted {
            let Some(row) = self.rows.get_mut(&id).filter(|row| row.runs != runs) else { continue };
            if runs && row.managed {
                let next = self.started.map_or(now, |last| last + spacing(config));
                if next > now {
                    // Others have their turn with the reviews that follow.
                    self.due = self.due.map(|due| due.min(next));
                    continue;
                }
                self.started = Some(now);
                row.began = now;
            }
            (row.runs, row.since, row.slow_since) = (runs, now, None);
            changes.push((id, runs));
        }
        changes
    }
}

/// The least time between two reviews and two starts.
fn spacing(config: &QueueConfig) -> Duration {
    config.start_spacing.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
