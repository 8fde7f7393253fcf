//! Rate limits over all torrents: whose turn it is. What a turn is, and how a torrent passes it on, is said in the torrent's
//! `limits`.

use super::Session;
use crate::border::{Actions, CommandError, RateLimits, TorrentId};
use crate::journal::canon::canon_struct;
use crate::rate::FairQueue;
use crate::time::Time;
use crate::torrent::{Torrent, Way};
use alloc::vec::Vec;

/// Torrents that could use a turn now, as far as their own limits go.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    pub down: Turn,
    pub up: Turn,
}

canon_struct!(out Turns { down, up });

/// The same, one way.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    wanting: FairQueue<TorrentId>,
    /// When the session's limit has something for them again.
    pub due: Option<Time>,
}

canon_struct!(out Turn { wanting, due });

impl Turns {
    /// Looks anew whether a torrent could use a turn.
    pub fn note(&mut self, id: TorrentId, torrent: &mut Torrent, now: Time) {
        for (turn, way) in [(&mut self.down, Way::Down), (&mut self.up, Way::Up)] {
            if torrent.wants_turn(now, way) {
                turn.wanting.wait(id, torrent.share(way));
            } else {
                turn.wanting.leave(id, torrent.share(way));
            }
        }
    }

    /// A torrent is gone.
    pub fn forget(&mut self, id: TorrentId, torrent: &mut Torrent) {
        self.down.wanting.leave(id, torrent.share(Way::Down));
        self.up.wanting.leave(id, torrent.share(Way::Up));
    }

    fn way(&mut self, way: Way) -> &mut Turn {
        match way {
            Way::Down => &mut self.down,
            Way::Up => &mut self.up,
        }
    }
}

impl Session {
    /// Gives turns, one torrent after the other, while the session's limits have something to give.
    pub(super) fn share_rates(&mut self, out: &mut Actions) {
        for way in [Way::Down, Way::Up] {
            if self.turns.way(way).wanting.is_empty() {
                self.turns.way(way).due = None;
                continue;
            }
            while self.turn_may_be_had(way)
                && let Some(id) = self.turns.way(way).wanting.whose_turn()
            {
                // Each takes from the bucket, or finds that its peer wants nothing any more.
                self.give_turn(out, way, id);
            }
            let waits = !self.turns.way(way).wanting.is_empty() && !self.shared.buckets.ready(way, self.now);
            self.turns.way(way).due = waits.then(|| self.shared.buckets.due(way, self.now));
        }
    }

    fn give_turn(&mut self, out: &mut Actions, way: Way, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id) else { return };
        self.turns.way(way).wanting.leave(id, torrent.share(way));
        self.with_torrent(Some(id), out, |torrent, cx, shared| {
            let bytes = torrent.give_turn(cx, shared, way);
            torrent.share(way).used(bytes);
        });
    }

    /// Room to read ahead comes with the end of a read: no timer is needed for it.
    fn turn_may_be_had(&self, way: Way) -> bool {
        let room = way == Way::Down || self.shared.read_ahead < self.config.session.max_read_ahead;
        room && self.shared.buckets.ready(way, self.now)
    }

    /// Sets the limits of the session, or of one torrent.
    pub(super) fn set_limits(
        &mut self,
        out: &mut Actions,
        torrent: Option<TorrentId>,
        limits: RateLimits,
    ) -> Result<(), CommandError> {
        if !limits.are_sound() {
            return Err(CommandError::ZeroLimit);
        }
        if let Some(id) = torrent {
            let known = self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.set_limits(cx, shared, limits));
            return known.ok_or(CommandError::NoSuchTorrent);
        }
        self.shared.buckets.set(self.now, &self.config.rate, limits);
        let ids: Vec<TorrentId> = self.torrents.keys().copied().collect();
        for id in ids {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.limits_changed(cx, shared));
        }
        Ok(())
    }
}
