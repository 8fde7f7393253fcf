//! What is kept for every piece: how many peers have it, its priority, its state, and its place in the order.
//!
//! Four arrays, 13 bytes a piece, and a bitmap of the closed pieces. `order` lists the closed pieces (wanted, not verified,
//! not begun), cut into [`RANKS`] runs: rank = priority first, then copies. Inside a run the sequence means nothing. One more or one
//! less copy moves a piece over one border with one swap; taking a piece out or putting one in moves one entry of each
//! run that lies behind, at most [`RANKS`] steps whatever the size of the torrent.

use crate::bitfield::Bitfield;
use crate::journal::canon::canon_struct;
use alloc::vec;
use alloc::vec::Vec;

/// How many counts of copies are told apart, from the rarest on. Whether a piece has 63 copies more than the rarest or 80
/// makes no difference to anybody.
const COPIES: usize = 64;

/// Priorities 7 down to 1.
const LEVELS: usize = 7;

const RANKS: usize = LEVELS * COPIES;

/// A bitfield with more pieces than this part of the torrent is not applied piece by piece: the order is sorted anew,
/// once, before it is next looked at.
const RESORT_FROM: u32 = 8;

/// What is known of a piece besides its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not verified, no block begun.
    Idle,
    /// Some block asked for or received: the details lie in the slab, under this number.
    Open(u32),
    /// Verified.
    Have,
}

const IDLE: u8 = 0;
const OPEN: u8 = 1 << 3;
const HAVE: u8 = 2 << 3;
const STATE: u8 = 3 << 3;
const PRIORITY: u8 = 7;

#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The closed pieces, by rank.
    order: Vec<u32>,
    /// Where in `order` each rank starts, and at the end its length.
    starts: Vec<u32>,
    /// For a closed piece its index in `order`; for an open one its number in the slab.
    place: Vec<u32>,
    /// Peers with the piece, those in `seeds` not counted. May be below 0: see [`Table::joined`].
    copies: Vec<i32>,
    /// Priority in the low three bits, state in the next two.
    flags: Vec<u8>,
    closed: Bitfield,
    /// Bitfields that were full when they were added, less those that were full when they were taken away.
    seeds: i32,
    /// The copies that stand for rank 0 of a level: the fewest of all closed pieces when `order` was last sorted.
    floor: i32,
    /// `order`, `starts` and `place` are out of date.
    unsorted: bool,
    /// Of the verified pieces before this one each is at a peer.
    spread_to: u32,
}

canon_struct!(out Table { order, starts, place, copies, flags, closed, seeds, floor, unsorted, spread_to });

impl Table {
    pub fn new(have: &Bitfield, pieces: u32, priority: u8) -> Table {
        let mut closed = Bitfield::all(pieces);
        let mut flags = vec![IDLE | (priority & PRIORITY); pieces as usize];
        for piece in have.iter() {
            if let Some(flags) = flags.get_mut(piece as usize) {
                *flags = (*flags & PRIORITY) | HAVE;
                closed.remove(piece);
            }
        }
        Table {
            order: Vec::new(),
            // Made when they are first needed: a torrent that is whole and has no peers needs none of them.
            starts: Vec::new(),
            place: Vec::new(),
            copies: Vec::new(),
            flags,
            closed,
            seeds: 0,
            floor: 0,
            unsorted: true,
            spread_to: 0,
        }
    }

    /// The first verified piece that no peer has.
    pub fn first_unspread(&mut self, have: &Bitfield) -> Option<u32> {
        while self.spread_to < self.pieces() && (!have.get(self.spread_to) || self.availability(self.spread_to) > 0) {
            self.spread_to += 1;
        }
        (self.spread_to < self.pieces()).then_some(self.spread_to)
    }

    pub fn pieces(&self) -> u32 {
        self.flags.len() as u32
    }

    /// The closed pieces: wanted, not verified, not begun.
    pub fn closed(&self) -> &Bitfield {
        &self.closed
    }

    /// 0 to 7; 0 for a piece that does not exist.
    pub fn priority(&self, piece: u32) -> u8 {
        self.flags.get(piece as usize).map_or(0, |flags| flags & PRIORITY)
    }

    /// `Have` for a piece that does not exist, so that nothing is ever done about it.
    pub fn state(&self, piece: u32) -> State {
        match self.flags.get(piece as usize).map(|flags| flags & STATE) {
            Some(IDLE) => State::Idle,
            // Its place was written when it was opened.
            Some(OPEN) => self.place.get(piece as usize).map_or(State::Have, |&slot| State::Open(slot)),
            _ => State::Have,
        }
    }

    pub fn availability(&self, piece: u32) -> u32 {
        let copies = self.copies.get(piece as usize).copied().unwrap_or(0);
        u32::try_from(copies.saturating_add(self.seeds)).unwrap_or(0)
    }

    /// Puts `piece` into another state and, with that, into the order or out of it.
    pub fn set_state(&mut self, piece: u32, state: State) {
        self.leave(piece);
        self.spread_to = self.spread_to.min(piece);
        let Some(flags) = self.flags.get_mut(piece as usize) else { return };
        *flags = (*flags & PRIORITY)
            | match state {
                State::Idle => IDLE,
                State::Open(_) => OPEN,
                State::Have => HAVE,
            };
        if let State::Open(slot) = state {
            self.make_room();
            self.place[piece as usize] = slot;
        }
        self.enter(piece);
    }

    /// Much is going to change: the order is made anew, once, instead of with each change.
    pub fn will_change(&mut self) {
        self.unsorted = true;
    }

    pub fn set_priority(&mut self, piece: u32, priority: u8) {
        let open = match self.state(piece) {
            State::Open(slot) => Some(slot),
            _ => None,
        };
        self.leave(piece);
        if let Some(flags) = self.flags.get_mut(piece as usize) {
            *flags = (*flags & STATE) | (priority & PRIORITY);
        }
        debug_assert!(open.is_none_or(|slot| self.state(piece) == State::Open(slot)));
        self.enter(piece);
    }

    /// Counts a peer's pieces in. A full set costs one addition.
    ///
    /// Counting is linear: a peer that joined with some pieces, gained the rest and leaves as a seed takes one off `seeds` and
    /// leaves `copies` one too high, and the sum, which is all that is ever looked at, is right. So neither side needs to
    /// know how the other peer came or went, and both numbers are signed.
    pub fn joined(&mut self, pieces: &Bitfield) {
        self.count_all(pieces, 1);
    }

    /// Takes a peer's pieces out.
    pub fn left(&mut self, pieces: &Bitfield) {
        self.count_all(pieces, -1);
    }

    fn count_all(&mut self, pieces: &Bitfield, by: i32) {
        if pieces.is_full() && pieces.len() == self.pieces() {
            self.seeds = self.seeds.saturating_add(by);
            if by < 0 {
                self.spread_to = 0;
            }
            return;
        }
        if pieces.count() > self.pieces() / RESORT_FROM {
            self.unsorted = true;
        }
        for piece in pieces.iter() {
            self.count(piece, by);
        }
    }

    /// Counts one more (`by` = 1) or one less (-1) copy of a piece.
    pub fn count(&mut self, piece: u32, by: i32) {
        self.make_room();
        let Some(copies) = self.copies.get_mut(piece as usize) else { return };
        let before = *copies;
        *copies = copies.saturating_add(by);
        let after = *copies;
        if by < 0 {
            self.spread_to = self.spread_to.min(piece);
        }
        if self.unsorted || !self.closed.get(piece) {
            return;
        }
        if after < self.floor {
            self.unsorted = true;
            return;
        }
        let level = self.level(piece);
        let (from, to) = (self.rank_at(level, before), self.rank_at(level, after));
        let at = self.place[piece as usize] as usize;
        if to == from + 1 {
            // Last of its run, then the border moves in front of it.
            let last = self.starts[to] as usize - 1;
            self.swap(at, last);
            self.starts[to] -= 1;
        } else if from == to + 1 {
            let first = self.starts[from] as usize;
            self.swap(at, first);
            self.starts[from] += 1;
        }
    }

    /// The rank of a closed piece: the lower, the sooner. Its level is `rank / COPIES`.
    pub fn rank(&self, piece: u32) -> u16 {
        let copies = self.copies.get(piece as usize).copied().unwrap_or(0);
        // RANKS is below 2^16.
        self.rank_at(self.level(piece), copies) as u16
    }

    /// The level of a rank: 0 is priority 7, 6 is priority 1.
    pub fn level_of(rank: u16) -> usize {
        usize::from(rank) / COPIES
    }

    /// How many levels there are.
    pub const LEVELS: usize = LEVELS;

    /// The level of a wanted piece.
    pub fn level(&self, piece: u32) -> usize {
        LEVELS.saturating_sub(usize::from(self.priority(piece))).min(LEVELS - 1)
    }

    fn rank_at(&self, level: usize, copies: i32) -> usize {
        let over = copies.saturating_sub(self.floor).clamp(0, COPIES as i32 - 1);
        level * COPIES + over as usize
    }

    /// Brings the order up to date. The getters below may be called only after it.
    pub fn settle(&mut self) {
        if self.unsorted {
            self.sort();
        }
    }

    /// Where in the order a level lies.
    pub fn level_range(&self, level: usize) -> core::ops::Range<usize> {
        let level = level.min(LEVELS - 1);
        self.starts[level * COPIES] as usize..self.starts[(level + 1) * COPIES] as usize
    }

    /// The non-empty runs of equal rank of a level, rarest first.
    pub fn runs(&self, level: usize) -> impl Iterator<Item = &[u32]> + '_ {
        let core::ops::Range { mut start, end } = self.level_range(level);
        core::iter::from_fn(move || {
            // The first piece of a run knows its rank, so empty runs are not looked at.
            let first = *self.order[..end].get(start)?;
            let from = core::mem::replace(&mut start, self.starts[usize::from(self.rank(first)) + 1] as usize);
            Some(&self.order[from..start])
        })
    }

    /// The piece at an index of the order.
    pub fn at(&self, index: usize) -> Option<u32> {
        self.order.get(index).copied()
    }

    /// Counting sort: two passes over the closed pieces.
    fn sort(&mut self) {
        self.make_room();
        self.unsorted = false;
        self.floor = self.closed.iter().map(|piece| self.copies[piece as usize]).min().unwrap_or(0);
        let mut counts = vec![0u32; RANKS + 1];
        for piece in self.closed.iter() {
            counts[usize::from(self.rank(piece)) + 1] += 1;
        }
        for rank in 0..RANKS {
            counts[rank + 1] += counts[rank];
        }
        self.starts.clone_from(&counts);
        self.order.clear();
        self.order.resize(self.closed.count() as usize, 0);
        for piece in 0..self.pieces() {
            if self.closed.get(piece) {
                let next = &mut counts[usize::from(self.rank(piece))];
                self.order[*next as usize] = piece;
                self.place[piece as usize] = *next;
                *next += 1;
            }
        }
    }

    /// Makes the arrays that have an entry for each piece.
    fn make_room(&mut self) {
        if self.copies.is_empty() {
            self.copies = vec![0; self.flags.len()];
            self.place = vec![0; self.flags.len()];
        }
    }

    /// Puts a piece into the order, when it belongs there.
    fn enter(&mut self, piece: u32) {
        if self.state(piece) != State::Idle || self.priority(piece) == 0 || !self.closed.insert(piece) {
            return;
        }
        // What was sorted once has its arrays.
        if self.unsorted || self.copies[piece as usize] < self.floor {
            self.unsorted = true;
            return;
        }
        let rank = usize::from(self.rank(piece));
        let end = self.starts[rank + 1] as usize;
        let mut hole = self.order.len();
        self.order.push(piece);
        while hole > end {
            // The last run's first entry goes to its end, so that the run starts one later. Empty runs have nothing to move.
            let last = self.order[hole - 1];
            let first = self.starts[usize::from(self.rank(last))] as usize;
            self.put(hole, self.order[first]);
            hole = first;
        }
        self.put(hole, piece);
        for start in &mut self.starts[rank + 1..] {
            *start += 1;
        }
    }

    /// Takes a piece out of the order, when it is there.
    fn leave(&mut self, piece: u32) {
        if !self.closed.get(piece) {
            return;
        }
        let rank = usize::from(self.rank(piece));
        self.closed.remove(piece);
        if self.unsorted {
            return;
        }
        let mut hole = self.place[piece as usize] as usize;
        let mut run = rank;
        loop {
            // The run's last entry fills the hole; what is left over belongs to the next run. Empty runs have nothing to move.
            let last = self.starts[run + 1] as usize - 1;
            if last != hole {
                self.put(hole, self.order[last]);
            }
            hole = last;
            match self.order.get(last + 1) {
                Some(&next) => run = usize::from(self.rank(next)),
                None => break,
            }
        }
        self.order.pop();
        for start in &mut self.starts[rank + 1..] {
            *start -= 1;
        }
    }

    fn put(&mut self, at: usize, piece: u32) {
        self.order[at] = piece;
        self.place[piece as usize] = at as u32;
    }

    fn swap(&mut self, one: usize, other: usize) {
        let (a, b) = (self.order[one], self.order[other]);
        self.put(one, b);
        self.put(other, a);
    }

    /// Everything that must hold between the arrays; for tests.
    #[cfg(test)]
    pub fn assert_consistent(&self) {
        for piece in 0..self.pieces() {
            let due = self.state(piece) == State::Idle && self.priority(piece) > 0;
            assert_eq!(self.closed.get(piece), due, "piece {piece}");
        }
        if self.unsorted {
            return;
        }
        assert_eq!(self.order.len(), self.closed.count() as usize);
        assert_eq!(self.starts[RANKS] as usize, self.order.len());
        for rank in 0..RANKS {
            for at in self.starts[rank] as usize..self.starts[rank + 1] as usize {
                let piece = self.order[at];
                assert_eq!(usize::from(self.rank(piece)), rank, "piece {piece}");
                assert_eq!(self.place[piece as usize] as usize, at, "piece {piece}");
            }
        }
    }
}
