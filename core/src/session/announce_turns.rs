//! Whose turn it is to announce.
//!
//! Thousands of torrents often have one tracker, and all start together: each announce waits here for its turn, so that
//! they are spread. Torrents are served in the order in which they came; those with an event to tell, or whom the user
//! wants announced, go before the others. One turn is one announce to one tracker; who wants another goes to the end.
//!
//! Limits: [`max_http_announces`](crate::border::SessionConfig::max_http_announces) under way at once, and
//! [`announces_per_second`](crate::border::SessionConfig::announces_per_second) begun. While no HTTP announce may begin,
//! those by UDP go on.

use crate::border::{SessionConfig, TorrentId};
use crate::journal::canon::canon_struct;
use crate::time::Time;
use crate::tracker::Turn;
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

/// Not urgent, how many came before, and which torrent.
type Place = (bool, u64, TorrentId);

/// Those who wait.
#[derive(Clone, Debug, Default)]
pub(super) struct AnnounceTurns {
    /// By UDP, and by HTTP.
    queues: [BTreeSet<Place>; 2],
    waiting: BTreeMap<TorrentId, (Turn, u64)>,
    came: u64,
    /// A second, and how many have begun in it.
    window: (Time, u32),
}

canon_struct!(out AnnounceTurns { queues, waiting, came, window });

impl AnnounceTurns {
    /// What a torrent waits for now. One that waits for the same as before keeps its place.
    pub(super) fn set(&mut self, id: TorrentId, wants: Option<Turn>) {
        let before = self.waiting.get(&id).copied();
        if before.map(|(turn, _)| turn) == wants {
            return;
        }
        if let Some((turn, number)) = before {
            self.queue(turn).remove(&(!turn.urgent, number, id));
            self.waiting.remove(&id);
        }
        if let Some(turn) = wants {
            self.came += 1;
            // What it waits for may become another thing while it waits: it came when it first came.
            let number = before.map_or(self.came, |(_, number)| number);
            self.queue(turn).insert((!turn.urgent, number, id));
            self.waiting.insert(id, (turn, number));
        }
    }

    /// Whose turn it is; it is taken off the list.
    pub(super) fn next(&mut self, now: Time, config: &SessionConfig, http_busy: u32) -> Option<TorrentId> {
        let (_, _, id) = self.first(config, http_busy)?;
        if now.since(self.window.0) >= Duration::from_secs(1) {
            self.window = (now, 0);
        }
        if self.window.1 >= config.announces_per_second {
            return None;
        }
        self.window.1 += 1;
        self.set(id, None);
        Some(id)
    }

    /// When somebody's turn comes by time alone.
    pub(super) fn deadline(&self, config: &SessionConfig, http_busy: u32) -> Option<Time> {
        self.first(config, http_busy)?;
        Some(self.window.0 + Duration::from_secs(1))
    }

    fn first(&self, config: &SessionConfig, http_busy: u32) -> Option<Place> {
        if self.waiting.is_empty() {
            return None;
        }
        let [udp, http] = &self.queues;
        let http = http.first().filter(|_| http_busy < config.max_http_announces);
        [udp.first(), http].into_iter().flatten().min().copied()
    }

    fn queue(&mut self, turn: Turn) -> &mut BTreeSet<Place> {
        let [udp, http] = &mut self.queues;
        if turn.http { http } else { udp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn turn(http: bool, urgent: bool) -> Option<Turn> {
        Some(Turn { http, urgent })
    }

    fn take_all(turns: &mut AnnounceTurns, now: Time, config: &SessionConfig, busy: u32) -> Vec<u32> {
        core::iter::from_fn(|| turns.next(now, config, busy)).map(|id| id.0).collect()
    }

    #[test]
    fn urgent_ones_first_and_else_in_the_order_they_came() {
        let mut turns = AnnounceTurns::default();
        for (id, urgent) in [(5, false), (4, true), (3, false), (2, true)] {
            turns.set(TorrentId(id), turn(id % 2 == 0, urgent));
        }
        // It keeps its place, also when it wants something else; one that wants nothing more is not served.
        turns.set(TorrentId(5), turn(true, false));
        turns.set(TorrentId(3), None);
        assert_eq!(take_all(&mut turns, Time::ZERO, &SessionConfig::default(), 0), [4, 2, 5]);
    }

    #[test]
    fn udp_does_not_wait_for_http() {
        let mut turns = AnnounceTurns::default();
        turns.set(TorrentId(1), turn(true, true));
        turns.set(TorrentId(2), turn(false, false));
        let config = SessionConfig::default();
        assert_eq!(take_all(&mut turns, Time::ZERO, &config, config.max_http_announces), [2]);
        assert_eq!(turns.deadline(&config, config.max_http_announces), None, "time alone helps nobody");
        assert_eq!(take_all(&mut turns, Time::ZERO, &config, config.max_http_announces - 1), [1]);
    }

    #[test]
    fn so_many_a_second_and_no_more() {
        let config = SessionConfig { announces_per_second: 3, ..SessionConfig::default() };
        let mut turns = AnnounceTurns::default();
        for id in 0..7 {
            turns.set(TorrentId(id), turn(false, false));
        }
        let mut now = Time::from_secs(5);
        assert_eq!(take_all(&mut turns, now, &config, 0), [0, 1, 2]);
        now = turns.deadline(&config, 0).unwrap();
        assert_eq!(now, Time::from_secs(6));
        assert_eq!(take_all(&mut turns, now, &config, 0), [3, 4, 5]);
        assert_eq!(take_all(&mut turns, now + Duration::from_secs(9), &config, 0), [6]);
        assert_eq!(turns.deadline(&config, 0), None);
    }
}
