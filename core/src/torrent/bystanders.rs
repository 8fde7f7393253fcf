//! Connections with no interest on either side, and whose place they hold.
//!
//! Such a connection costs little and may become useful with any `have`; so it stays while there are places. When there are
//! none it goes, by two rules, each for the limit of the torrent and for that of the session:
//!
//! 1. While no place is left to dial anybody, whoever has had no interest either way for
//!    [`no_interest_timeout`](crate::border::SessionConfig::no_interest_timeout) is dropped, the longest first, until a place
//!    is free.
//! 2. A peer that comes in when all places are taken, and would be let in otherwise, replaces the one that has had no interest
//!    either way for longest, if that is [`replaceable_after`](crate::border::SessionConfig::replaceable_after) at least; else
//!    it is refused as before. Nobody that one side wants something of is ever replaced.
//!
//! The clock of a connection begins when it is made, or when the last interest of the two ends. What a peer says again ("not
//! interested", twice) is no news and leaves it alone.
//!
//! # No oscillation
//! A place changes hands once in `replaceable_after` at most, as a newcomer has to be there for so long before it is replaced
//! itself. Who was dropped does not replace anybody for `no_interest_timeout`, by its address; it can come when a place is
//! free.
//!
//! # Cost
//! A list by time for each torrent, and one for the session: O(log connections) when interest changes, O(1) to know the worst.
//! No timer runs while places are free.

use super::{Peer, Shared, Torrent};
use crate::border::{CloseReason, PeerKey, TorrentId};
use crate::cx::Cx;
use crate::journal::canon::{Encoder, Put, canon_struct};
use crate::peer::PeerOrder;
use crate::time::Time;
use crate::torrent::candidates::machine;
use alloc::collections::{BTreeSet, VecDeque};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// How many addresses are remembered that were dropped, of each torrent: as many places change hands in a minute at the usual
/// limits.
const REMEMBERED: usize = 64;

/// Connections with no interest either way, by the time since when.
#[derive(Clone, Debug, Default)]
pub struct Bystanders(BTreeSet<(Time, PeerKey, TorrentId)>);

impl Put for Bystanders {
    fn put(&self, to: &mut Encoder<'_>) {
        let Bystanders(order) = self;
        order.put(to);
    }
}

impl Bystanders {
    /// The one that has had no interest for longest, if for so long.
    pub(crate) fn worst(&self, now: Time, after: Duration) -> Option<(TorrentId, PeerKey)> {
        self.0.first().filter(|&&(since, ..)| since + after <= now).map(|&(_, key, torrent)| (torrent, key))
    }

    /// When there will be such a one.
    pub(crate) fn deadline(&self, after: Duration) -> Option<Time> {
        self.0.first().map(|&(since, ..)| since + after)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a torrent keeps of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    bystanders: Bystanders,
    /// Who was dropped and when, the earliest first.
    dropped: VecDeque<(Time, IpAddr)>,
}

canon_struct!(out Places { bystanders, dropped });

impl Places {
    fn remember(&mut self, now: Time, ip: IpAddr) {
        if self.dropped.len() >= REMEMBERED {
            self.dropped.pop_front();
        }
        self.dropped.push_back((now, machine(ip)));
    }

    /// Whether somebody at this address was dropped within the last `span`. Loopback is many.
    fn was_dropped(&self, now: Time, span: Duration, ip: IpAddr) -> bool {
        let place = machine(ip);
        !place.is_loopback() && self.dropped.iter().any(|&(at, ip)| ip == place && at + span > now)
    }
}

impl Torrent {
    /// Interest may have begun or ended.
    pub(super) fn note_interest(&mut self, now: Time, shared: &mut Shared, peer: &mut Peer) {
        let none = !peer.conn.interested() && !peer.conn.am_interested();
        match (peer.bystander_since, none) {
            (None, true) => {
                let entry = (now, peer.conn.key(), self.id);
                self.places.bystanders.0.insert(entry);
                shared.bystanders.0.insert(entry);
                peer.bystander_since = Some(now);
            }
            (Some(_), false) => self.forget_bystander(shared, peer),
            _ => {}
        }
    }

    /// It is gone, or wanted.
    pub(super) fn forget_bystander(&mut self, shared: &mut Shared, peer: &mut Peer) {
        if let Some(since) = peer.bystander_since.take() {
            let entry = (since, peer.conn.key(), self.id);
            self.places.bystanders.0.remove(&entry);
            shared.bystanders.0.remove(&entry);
        }
    }

    fn has_all_its_peers(&self, cx: &Cx) -> bool {
        self.peers.len() >= cx.config.session.max_peers_per_torrent as usize
    }

    fn is_crowded(&self, cx: &Cx) -> bool {
        self.peers.len() + self.dials.len() >= cx.config.session.max_peers_per_torrent as usize
    }

    /// When [`Torrent::drop_bystanders`] is due.
    pub(super) fn bystander_deadline(&self, cx: &Cx) -> Option<Time> {
        let due = || self.places.bystanders.deadline(cx.config.session.no_interest_timeout);
        if self.is_crowded(cx) { due() } else { None }
    }

    /// The first rule, for the torrent's own limit.
    pub(super) fn drop_bystanders(&mut self, cx: &mut Cx, shared: &mut Shared) {
        while self.is_crowded(cx)
            && let Some((_, key)) = self.places.bystanders.worst(cx.now, cx.config.session.no_interest_timeout)
        {
            if !self.drop_bystander(cx, shared, key) {
                return;
            }
        }
    }

    fn drop_bystander(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey) -> bool {
        let Some(Some(peer)) = self.peers.get(key) else { return false };
        self.places.remember(cx.now, peer.conn.remote().ip());
        self.order_to(cx, shared, key, PeerOrder::Close(CloseReason::Useless));
        true
    }

    /// The session needs the place of this one. Whether it was there.
    pub(crate) fn give_up_place(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey) -> bool {
        let was_there = self.drop_bystander(cx, shared, key);
        self.settle(cx, shared);
        was_there
    }

    /// Whether there is a place for who comes from `remote`, or one that it may have by the second rule.
    pub(super) fn has_place_for(&self, cx: &Cx, shared: &Shared, remote: SocketAddr) -> bool {
        let config = &cx.config.session;
        let own = self.has_all_its_peers(cx);
        if !own && shared.peers < config.max_peers {
            return true;
        }
        let list = if own { &self.places.bystanders } else { &shared.bystanders };
        list.worst(cx.now, config.replaceable_after).is_some()
            && !self.places.was_dropped(cx.now, config.no_interest_timeout, remote.ip())
    }

    /// Makes place for one who comes in, as far as the torrent's own limit wants it. The session sees to its own afterwards.
    pub(super) fn make_place(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if self.has_all_its_peers(cx)
            && let Some((_, key)) = self.places.bystanders.worst(cx.now, cx.config.session.replaceable_after)
        {
            self.drop_bystander(cx, shared, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_worst_is_who_has_had_no_interest_for_longest_and_only_after_a_while() {
        let mut list = Bystanders::default();
        assert_eq!((list.worst(Time::from_secs(99), MINUTE), list.deadline(MINUTE)), (None, None));
        list.0.insert((Time::from_secs(20), PeerKey(1), TorrentId(0)));
        list.0.insert((Time::from_secs(10), PeerKey(2), TorrentId(3)));
        assert_eq!(list.deadline(MINUTE), Some(Time::from_secs(70)));
        assert_eq!(list.worst(Time::from_secs(69), MINUTE), None);
        assert_eq!(list.worst(Time::from_secs(70), MINUTE), Some((TorrentId(3), PeerKey(2))));
    }

    #[test]
    fn who_was_dropped_is_remembered_for_a_while_and_so_are_only_a_few() {
        let ip = |last: u8| IpAddr::from([198, 51, 100, last]);
        let mut places = Places::default();
        places.remember(Time::from_secs(1), ip(1));
        assert!(places.was_dropped(Time::from_secs(60), MINUTE, ip(1)));
        assert!(!places.was_dropped(Time::from_secs(60), MINUTE, ip(2)));
        assert!(!places.was_dropped(Time::from_secs(61), MINUTE, ip(1)));
        for last in 2..=REMEMBERED as u8 + 1 {
            places.remember(Time::from_secs(2), ip(last));
        }
        assert_eq!(places.dropped.len(), REMEMBERED);
        assert!(!places.was_dropped(Time::from_secs(3), MINUTE, ip(1)), "the earliest is forgotten");
        let home = IpAddr::from([127, 0, 0, 1]);
        places.remember(Time::from_secs(3), home);
        assert!(!places.was_dropped(Time::from_secs(3), MINUTE, home));
    }
}
