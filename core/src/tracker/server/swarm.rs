//! Who shares one torrent.

use super::super::ScrapeCounts;
use crate::border::PeerId;
use crate::rng::Rng;
use crate::time::Time;
use crate::tracker::http::PeerEntry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The peers of one torrent. A peer is known by its address and port; its id may change.
#[derive(Clone, Debug, Default)]
pub(super) struct Swarm {
    peers: BTreeMap<SocketAddr, Member>,
    /// The same peers, by kind, for drawing at random.
    lists: [Vec<SocketAddr>; 4],
    /// How often somebody finished here.
    downloaded: u32,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    id: PeerId,
    seed: bool,
    expires: Time,
    /// Its place in its list.
    place: usize,
}

/// What a peer may be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub count: usize,
    /// Addresses of IPv4, and of IPv6.
    pub families: (bool, bool),
    /// Whether the asker is a seed, to whom other seeds are of no use.
    pub seed: bool,
}

fn list_of(addr: &SocketAddr, seed: bool) -> usize {
    usize::from(seed) * 2 + usize::from(addr.is_ipv6())
}

impl Swarm {
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn counts(&self) -> ScrapeCounts {
        let sum =
            |lists: &[Vec<SocketAddr>]| lists.iter().fold(0u32, |sum, list| sum.saturating_add(list.len() as u32));
        let (others, seeds) = self.lists.split_at(2);
        ScrapeCounts { complete: sum(seeds), downloaded: self.downloaded, incomplete: sum(others) }
    }

    /// When a peer is to be forgotten; `None`: it is not here.
    pub(super) fn expires(&self, addr: &SocketAddr) -> Option<Time> {
        self.peers.get(addr).map(|member| member.expires)
    }

    /// Adds a peer, or renews it. `finished`: it says that it has just completed; counted once, of a peer that was known
    /// without being a seed, so that a repeated packet does not count again.
    pub(super) fn put(&mut self, addr: SocketAddr, id: PeerId, seed: bool, finished: bool, expires: Time) {
        let was_seed = self.peers.get(&addr).map(|member| member.seed);
        if finished && was_seed == Some(false) {
            self.downloaded = self.downloaded.saturating_add(1);
        }
        self.remove(&addr);
        if let Some(list) = self.lists.get_mut(list_of(&addr, seed)) {
            self.peers.insert(addr, Member { id, seed, expires, place: list.len() });
            list.push(addr);
        }
    }

    /// Removes a peer, if it is here.
    pub(super) fn remove(&mut self, addr: &SocketAddr) {
        let Some(member) = self.peers.remove(addr) else { return };
        let Some(list) = self.lists.get_mut(list_of(addr, member.seed)) else { return };
        if member.place < list.len() {
            list.swap_remove(member.place);
        }
        if let Some(moved) = list.get(member.place).and_then(|moved| self.peers.get_mut(moved)) {
            moved.place = member.place;
        }
    }

    /// Peers for `asker`, each choice equally likely, without itself.
    pub(super) fn draw(&self, asker: &SocketAddr, wish: Wish, rng: &mut Rng) -> Vec<PeerEntry> {
        let kinds = [
            (wish.families.0, 0),
            (wish.families.1, 1),
            (wish.families.0 && !wish.seed, 2),
            (wish.families.1 && !wish.seed, 3),
        ];
        let lists: Vec<&[SocketAddr]> = kinds
            .iter()
            .filter(|(wanted, _)| *wanted)
            .filter_map(|(_, at)| self.lists.get(*at))
            .map(Vec::as_slice)
            .collect();
        let total: usize = lists.iter().map(|list| list.len()).sum();
        // One more, in case the asker is among them.
        let places = distinct(total, wish.count.saturating_add(1), rng);
        let find = |mut place: usize| {
            lists.iter().find_map(|list| {
                let found = list.get(place).copied();
                place = place.wrapping_sub(list.len());
                found
            })
        };
        let others = places.into_iter().filter_map(find).filter(|addr| addr != asker).take(wish.count);
        others.filter_map(|addr| self.peers.get(&addr).map(|member| PeerEntry { addr, id: member.id })).collect()
    }
}

/// `count` different numbers below `total`, or all of them, in random order: Floyd's sampling, which costs as much as
/// what it draws and not as much as what there is.
fn distinct(total: usize, count: usize, rng: &mut Rng) -> Vec<usize> {
    let count = count.min(total);
    let mut seen = BTreeSet::new();
    let mut drawn = Vec::with_capacity(count);
    for last in total - count..total {
        let candidate = rng.index(last + 1);
        let number = if seen.insert(candidate) { candidate } else { last };
        seen.insert(number);
        drawn.push(number);
    }
    rng.shuffle(&mut drawn);
    drawn
}
