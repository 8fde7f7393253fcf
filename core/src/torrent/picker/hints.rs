//! Each peer's own short list of what to begin next, for peers that lack what is rarest.
//!
//! The order of all pieces is walked from its rarest end, and stops at the first piece that the peer has. A peer that has few
//! pieces, or only common ones, would make that walk long. After [`PickConfig::scan`](crate::border::PickConfig::scan)
//! entries the walk is given up and the peer's hints are used: the best of the pieces that it has and that are closed, found
//! by one pass over both bitmaps, 64 pieces at a time.
//!
//! A pass costs `pieces / 64` words and a look-up for each piece in both bitmaps, and yields up to `pieces / 1024` hints (at least
//! [`LEAST`]): each hint pays for 16 words and at most 1,024 look-ups, whatever the size of the torrent. When the pass found fewer than that, the list is complete and no other pass is due until it changes; and what can
//! change it (a piece comes back to the order, or some peer gains one) is on a shared log that each list reads on from
//! where it stopped. So a peer with nothing for us costs nothing either.
//!
//! What is given up: a listed piece that became more common since is put back to where it belongs when its turn comes, but a
//! piece that became *rarer* since moves forward only with the next pass. Priorities are exact.

use super::table::Table;
use crate::bitfield::Bitfield;
use crate::border::PeerKey;
use crate::journal::canon::canon_struct;
use crate::rng::Rng;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// The fewest hints that a pass keeps, so that small torrents do not scan often.
const LEAST: usize = 64;

/// How many events the log holds. A list that has fallen behind further is made anew.
const LOG: usize = 1024;

#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    lists: BTreeMap<PeerKey, List>,
    log: VecDeque<u32>,
    /// Events that have fallen off the front of the log.
    dropped: u64,
}

canon_struct!(out Hints { lists, log, dropped });

#[derive(Clone, Debug)]
struct List {
    /// Rank, tie breaker, piece.
    best: BTreeSet<(u16, u32, u32)>,
    /// The worst rank that the list speaks for; `None`: it is complete.
    horizon: Option<u16>,
    /// The first event of the log that it has not seen.
    seen: u64,
    salt: u32,
}

canon_struct!(out List { best, horizon, seen, salt });

impl Hints {
    /// A piece may have become available to somebody: it is closed again, its priority changed, or a peer gained it.
    pub fn note(&mut self, piece: u32) {
        if self.lists.is_empty() {
            // Nobody reads it: a list starts with a pass over everything.
            self.dropped += 1 + self.log.len() as u64;
            self.log.clear();
            return;
        }
        self.log.push_back(piece);
        if self.log.len() > LOG {
            self.log.pop_front();
            self.dropped += 1;
        }
    }

    pub fn peer_gone(&mut self, who: PeerKey) {
        self.lists.remove(&who);
    }

    #[cfg(test)]
    pub fn log_len(&self) -> usize {
        self.log.len()
    }

    /// The best closed piece that the peer has, by what its list knows.
    pub fn best(&mut self, who: PeerKey, pieces: &Bitfield, table: &Table, rng: &mut Rng) -> Option<u32> {
        let end = self.dropped + self.log.len() as u64;
        let list = match self.lists.remove(&who) {
            Some(list) if list.seen >= self.dropped => list,
            _ => List::scan(pieces, table, rng, end),
        };
        let list = self.lists.entry(who).or_insert(list);
        let unread = usize::try_from(list.seen - self.dropped).unwrap_or(usize::MAX);
        for &piece in self.log.iter().skip(unread) {
            list.offer(piece, pieces, table);
        }
        list.seen = end;
        loop {
            if let Some(piece) = list.first(pieces, table) {
                return Some(piece);
            }
            list.horizon?;
            *list = List::scan(pieces, table, rng, end);
        }
    }
}

impl List {
    fn scan(pieces: &Bitfield, table: &Table, rng: &mut Rng, seen: u64) -> List {
        let salt = rng.next_u32();
        let keep = (table.pieces() as usize / 1024).max(LEAST);
        let mut found: Vec<(u16, u32, u32)> = Vec::new();
        let mut horizon = None;
        for (at, (theirs, closed)) in pieces.words().iter().zip(table.closed().words()).enumerate() {
            let mut both = theirs & closed;
            while both != 0 {
                let bit = both.leading_zeros();
                both &= !(1 << (63 - bit));
                let piece = at as u32 * 64 + bit;
                let rank = table.rank(piece);
                if horizon.is_some_and(|worst| rank > worst) {
                    continue;
                }
                found.push((rank, tie(piece, salt), piece));
                if found.len() > 2 * keep {
                    horizon = Some(halve(&mut found, keep));
                }
            }
        }
        if found.len() > keep {
            horizon = Some(halve(&mut found, keep));
        }
        List { best: found.into_iter().collect(), horizon, seen, salt }
    }

    /// Takes a piece in, when it is one for this peer.
    fn offer(&mut self, piece: u32, pieces: &Bitfield, table: &Table) {
        let rank = table.rank(piece);
        if pieces.get(piece) && table.closed().get(piece) && self.horizon.is_none_or(|worst| rank <= worst) {
            self.best.insert((rank, tie(piece, self.salt), piece));
        }
    }

    /// The first entry that still holds; those in front of it that do not are thrown out.
    fn first(&mut self, pieces: &Bitfield, table: &Table) -> Option<u32> {
        while let Some(&(rank, tie, piece)) = self.best.first() {
            if pieces.get(piece) && table.closed().get(piece) && table.rank(piece) <= rank {
                return Some(piece);
            }
            self.best.remove(&(rank, tie, piece));
            self.offer(piece, pieces, table);
        }
        None
    }
}

/// Keeps the best `keep` entries, and says the rank of the worst of them.
fn halve(found: &mut Vec<(u16, u32, u32)>, keep: usize) -> u16 {
    // `keep` is at least `LEAST` and there are more entries than that, so the index exists.
    let (_, &mut (worst, ..), _) = found.select_nth_unstable(keep - 1);
    found.truncate(keep);
    worst
}

/// Puts pieces of equal rank in an order of this list's own (a bijection, so no two are equal).
fn tie(piece: u32, salt: u32) -> u32 {
    (piece ^ salt).wrapping_mul(0x9e37_79b1).rotate_left(15).wrapping_mul(0x85eb_ca6b)
}
