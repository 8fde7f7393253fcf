//! The choice itself: see "What is asked first" in the [module](super).

use super::open::{Open, Slot};
use super::table::{State, Table};
use super::{PickAsk, Picker, TailKey};
use crate::bitfield::Bitfield;
use crate::border::{PeerKey, PickOrder};
use crate::metainfo::{Block, PieceIndex};
use crate::time::Time;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

/// How often a random position is tried, before the rarest is taken after all (or, where no other is, the next one).
const RANDOM_TRIES: usize = 16;

/// One call of [`Picker::pick`].
pub(super) struct Taker<'a> {
    pub now: Time,
    pub who: PeerKey,
    pub host: Option<IpAddr>,
    pieces: &'a Bitfield,
    fast: bool,
    /// Blocks still to be booked.
    left: u32,
    /// Entries of the order that may still be looked at in vain.
    scan: u32,
    out: &'a mut Vec<Block>,
}

/// Whether a peer may be asked for free blocks of an open piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// It has the piece to itself.
    Own,
    /// Nobody else is asked for any of it.
    Alone,
    /// Others are asked for some of it.
    Shared,
    /// A fast peer has it to itself: only when there is nothing else.
    Guest,
    /// A piece on parole that is for another.
    No,
}

impl Picker {
    /// Chooses blocks to ask of a peer that has `pieces`, books them as asked of it, and appends them to `out` in the order
    /// to send them.
    pub fn pick(&mut self, now: Time, who: PeerKey, pieces: &Bitfield, ask: PickAsk<'_>, out: &mut Vec<Block>) {
        let left = ask.count.min(self.config.max_blocks_per_pick);
        if left == 0 || self.missing == 0 {
            return;
        }
        self.table.settle();
        let taker = &mut Taker { now, who, host: ask.host, pieces, fast: ask.fast, left, scan: self.config.scan, out };
        if let Some(only) = ask.only {
            for piece in only {
                self.take_any(piece.get(), taker);
            }
        } else {
            self.take_urgent(taker);
            let own = self.own_pieces(taker);
            for level in 0..Table::LEVELS {
                if taker.left == 0 {
                    break;
                }
                if !self.partial.level(level).is_empty() || !self.table.level_range(level).is_empty() {
                    self.take_level(level, &own, ask.suggested, taker);
                }
            }
            self.own_scratch = own;
        }
        if taker.left > 0 && !ask.only_free && self.end_game() {
            self.take_again(ask.only, taker);
        }
    }

    fn take_urgent(&mut self, taker: &mut Taker<'_>) {
        if self.urgent.is_empty() {
            return;
        }
        let mut at = (Time::ZERO, 0);
        let mut in_vain = 0;
        while taker.left > 0 && in_vain < self.config.scan {
            let Some(&(deadline, piece)) = self.urgent.range(at..).next() else { return };
            // No piece has the number u32::MAX.
            at = (deadline, piece.saturating_add(1));
            let before = taker.left;
            self.take_any(piece, taker);
            in_vain += u32::from(taker.left == before);
        }
    }

    /// Takes what it may of one piece, begun or not.
    fn take_any(&mut self, piece: u32, taker: &mut Taker<'_>) {
        if taker.left == 0 || !taker.pieces.get(piece) || self.table.priority(piece) == 0 {
            return;
        }
        match self.table.state(piece) {
            State::Idle => {
                self.take_new(piece, taker);
            }
            State::Open(_) => {
                // Without a free block there is nothing to take, unless all of it was received and it is nobody's.
                let done = |open: &Open| open.free == 0 && (open.owner.is_some() || open.asked > 0);
                if self.admission(piece, taker) != Admission::No && !self.open(piece).is_some_and(done) {
                    self.take_open(piece, taker);
                }
            }
            State::Have => {}
        }
    }

    /// What the peer has to itself, rising.
    fn own_pieces(&mut self, taker: &Taker<'_>) -> Vec<u32> {
        let mut own = core::mem::take(&mut self.own_scratch);
        own.clear();
        if self.owned.is_empty() {
            return own;
        }
        own.extend(self.owned.range((taker.who, 0)..=(taker.who, u32::MAX)).map(|&(_, piece)| piece));
        own
    }

    /// Takes from the pieces of one level, of which `own` are the peer's.
    fn take_level(&mut self, level: usize, own: &[u32], suggested: &[PieceIndex], taker: &mut Taker<'_>) {
        for &piece in own {
            if self.table.level(piece) == level {
                self.take_any(piece, taker);
            }
        }
        if taker.left == 0 {
            return;
        }
        if self.sequential {
            return self.take_in_order(level, taker);
        }
        let crowded = self.partial.len() >= self.config.max_partial_pieces as usize;
        // What nobody else has comes before what others can finish; only what the peer has to itself goes on.
        let others = !self.partial.level(level).shared.is_empty() || !suggested.is_empty();
        let only_source = others && !crowded && self.is_only_source(level, taker);
        let last_copy = |table: &Table, piece| table.availability(piece) <= 1;
        self.take_shared(level, only_source, taker);
        if crowded {
            self.take_rest(level, taker);
        }
        for piece in suggested.iter().rev().take(self.config.max_suggested as usize).map(|piece| piece.get()) {
            if taker.left > 0
                && taker.pieces.get(piece)
                && self.table.closed().get(piece)
                && self.table.level(piece) == level
                && (!only_source || last_copy(&self.table, piece))
            {
                self.take_new(piece, taker);
            }
        }
        while taker.left > 0
            && let Some(piece) = self.next_new(level, taker)
        {
            if !self.take_new(piece, taker) {
                break;
            }
        }
        if !crowded {
            self.take_rest(level, taker);
        }
    }

    /// Whether a peer has a closed piece of a level that no other has, as far as we know. Its time is worth most then: what it
    /// sends of anything else, another could have sent. Only the rarest are looked at, and not more of them than for a pick.
    fn is_only_source(&self, level: usize, taker: &Taker<'_>) -> bool {
        let rarest = self.table.runs(level).next().unwrap_or_default();
        let alone = rarest.first().is_some_and(|&piece| self.table.availability(piece) <= 1);
        alone && rarest.iter().take(self.config.scan as usize).any(|&piece| taker.pieces.get(piece))
    }

    /// Takes the lowest pieces of a level, begun or not.
    fn take_in_order(&mut self, level: usize, taker: &mut Taker<'_>) {
        let begun = self.partial.level(level).iter().map(|key| key.piece());
        let mut begun: Vec<u32> = begun.filter(|&piece| taker.pieces.get(piece)).collect();
        begun.sort_unstable();
        let mut begun = begun.into_iter().peekable();
        let mut new = self.next_in_order(level, taker.pieces, self.first_closed);
        while taker.left > 0 {
            match (begun.peek().copied(), new) {
                (Some(piece), next) if next.is_none_or(|next| piece < next) => {
                    begun.next();
                    if self.admission(piece, taker) != Admission::No {
                        self.take_open(piece, taker);
                    }
                }
                (_, Some(piece)) => {
                    if !self.take_new(piece, taker) {
                        // No room for another: what is begun has to do.
                        new = None;
                        continue;
                    }
                    new = self.next_in_order(level, taker.pieces, piece + 1);
                }
                (Some(_), None) | (None, None) => return,
            }
        }
    }

    /// The lowest closed piece of a level, from `from` on, that a peer has.
    fn next_in_order(&mut self, level: usize, pieces: &Bitfield, from: u32) -> Option<u32> {
        let range = self.table.level_range(level);
        if range.len() < self.table.closed().words().len() {
            // Making the order anew for a few is dearer than looking at each.
            return range.filter_map(|at| self.table.at(at)).filter(|&piece| piece >= from && pieces.get(piece)).min();
        }
        let closed = self.table.closed();
        while self.first_closed < closed.len() && !closed.get(self.first_closed) {
            self.first_closed += 1;
        }
        let from = from.max(self.first_closed);
        let words = closed.words().iter().zip(pieces.words()).enumerate().skip(from as usize / 64);
        for (at, (closed, theirs)) in words {
            let mut both = closed & theirs;
            if at == from as usize / 64 {
                both &= u64::MAX >> (from % 64);
            }
            while both != 0 {
                let bit = both.leading_zeros();
                both &= !(1 << (63 - bit));
                let piece = at as u32 * 64 + bit;
                if self.table.level(piece) == level {
                    return Some(piece);
                }
            }
        }
        None
    }

    /// Takes from the begun pieces of a level that nobody has to itself, the nearly complete ones first. What the peer has to
    /// itself it has been given before.
    fn take_shared(&mut self, level: usize, only_source: bool, taker: &mut Taker<'_>) {
        // A fast peer leaves to the slow ones what they share, while there is something new.
        let fast = taker.fast;
        let mut at = 0;
        while taker.left > 0
            && let Some(&key) = self.partial.level(level).shared.get(at)
        {
            at += 1;
            let piece = key.piece();
            if !taker.pieces.get(piece) {
                continue;
            }
            let takes = match self.admission(piece, taker) {
                Admission::Own => true,
                Admission::Alone => !only_source || self.table.availability(piece) <= 1,
                Admission::Shared => !fast && (!only_source || self.table.availability(piece) <= 1),
                Admission::Guest | Admission::No => false,
            };
            if takes {
                self.take_open(piece, taker);
                // It is not there any more when nothing of it is free, or the peer has it to itself now.
                let there = self.partial.level(level).shared.get(at - 1) == Some(&key);
                at -= usize::from(!there);
            }
        }
    }

    /// Takes from the begun pieces of a level, also from those that others have to themselves.
    fn take_rest(&mut self, level: usize, taker: &mut Taker<'_>) {
        let mut last = None;
        while taker.left > 0
            && let Some(key) = self.partial.level(level).after(last)
        {
            last = Some(key);
            let piece = key.piece();
            if taker.pieces.get(piece) && self.admission(piece, taker) != Admission::No {
                self.take_open(piece, taker);
            }
        }
    }

    fn admission(&mut self, piece: u32, taker: &Taker<'_>) -> Admission {
        let availability = self.table.availability(piece);
        let patience = self.config.parole_patience;
        let Some(open) = self.open_mut(piece) else { return Admission::No };
        if open.owner == Some(taker.who) {
            return Admission::Own;
        }
        let Some(parole) = &mut open.parole else {
            return match open.owner {
                Some(_) => Admission::Guest,
                None if open.asked == 0 => Admission::Alone,
                None => Admission::Shared,
            };
        };
        let over = *parole.until.get_or_insert(taker.now + patience) <= taker.now;
        let others = availability as usize > parole.suspects.len() + parole.owners.len();
        match (open.owner, parole.bars(taker.who, taker.host)) {
            // Nobody else has it, it seems, or nobody else came for it.
            (None, true) if open.asked == 0 && (over || !others) => Admission::Alone,
            (None, false) if open.asked == 0 => Admission::Alone,
            (None, false) => Admission::Shared,
            (Some(_), false) if over => Admission::Shared,
            (None, true) | (Some(_), _) => Admission::No,
        }
    }

    /// Begins a piece; false when there is no room for it.
    fn take_new(&mut self, piece: u32, taker: &mut Taker<'_>) -> bool {
        match self.geometry.piece(piece) {
            Some(index) if self.begin(index) => {
                self.take_open(piece, taker);
                true
            }
            _ => false,
        }
    }

    /// Books free blocks of an open piece, in order. Admission was checked.
    fn take_open(&mut self, piece: u32, taker: &mut Taker<'_>) {
        let Some(index) = self.geometry.piece(piece) else { return };
        let geometry = self.geometry;
        let urgent = self.deadlines.contains_key(&piece);
        self.unindex(piece);
        let Some(open) = self.open_mut(piece) else { return };
        let alone = open.owner.is_none() && open.asked == 0;
        let on_parole = open.parole.is_some();
        if let Some(parole) = &open.parole
            && alone
            && parole.suspects(taker.who, taker.host)
        {
            // A suspect gets the whole of it: with all blocks from one sender both outcomes are evidence.
            open.free_received(Some(taker.who));
        }
        if alone && (on_parole || (taker.fast && !urgent && !self.sequential)) {
            self.own(piece, taker);
        }
        let Some(open) = self.open_mut(piece) else { return };
        while taker.left > 0
            && let Some(number) = open.next_free()
            && let Some(block) = geometry.nth_block(index, number)
        {
            open.set(number, Slot::Asked(taker.who));
            if open.owner == Some(taker.who) {
                open.owner_asked += 1;
            }
            taker.out.push(block);
            taker.left -= 1;
        }
        self.index(piece);
    }

    /// The closed piece of a level to begin next.
    fn next_new(&mut self, level: usize, taker: &mut Taker<'_>) -> Option<u32> {
        let range = self.table.level_range(level);
        if range.is_empty() || taker.pieces.count() == 0 {
            return None;
        }
        let always = self.config.order == PickOrder::Random;
        if always || self.have.count() < self.config.random_first {
            for _ in 0..RANDOM_TRIES {
                let piece = self.table.at(range.start + self.rng.index(range.len()));
                if let Some(piece) = piece.filter(|&piece| taker.pieces.get(piece)) {
                    return Some(piece);
                }
            }
        }
        if always {
            // It has few of them: the next one from anywhere, once round.
            let start = self.rng.index(range.len());
            let round = (range.start + start..range.end).chain(range.start..range.start + start);
            return round.filter_map(|at| self.table.at(at)).find(|&piece| taker.pieces.get(piece));
        }
        for run in self.table.runs(level) {
            // Ties at random: from anywhere in the run, once round.
            let start = self.rng.index(run.len());
            for &piece in run[start..].iter().chain(&run[..start]) {
                if taker.pieces.get(piece) {
                    return Some(piece);
                }
                if taker.scan == 0 {
                    let best = self.hints.best(taker.who, taker.pieces, &self.table, &mut self.rng)?;
                    // A worse level comes later, with the same answer.
                    return (Table::level_of(self.table.rank(best)) <= level).then_some(best);
                }
                taker.scan -= 1;
            }
        }
        None
    }

    /// The end game: asks for blocks that are asked of others.
    fn take_again(&mut self, only: Option<&[PieceIndex]>, taker: &mut Taker<'_>) {
        if self.tail.is_none() {
            let table = &self.table;
            let wanted = self.slab.iter().filter(|open| table.priority(open.piece) > 0);
            self.tail = Some(wanted.flat_map(|open| open.tail_keys()).collect::<BTreeSet<_>>());
        }
        let mut at = (false, 0, 0, 0);
        while taker.left > 0
            && let Some(key) = self.next_again(at, only, taker)
        {
            let (on_parole, requesters, piece, number) = key;
            at = (on_parole, requesters, piece, number.saturating_add(1));
            let Some(index) = self.geometry.piece(piece) else { continue };
            let Some(block) = self.geometry.nth_block(index, number) else { continue };
            let Some(open) = self.open_mut(piece) else { continue };
            open.ask_again(number, taker.who);
            if let Some(tail) = &mut self.tail {
                tail.remove(&key);
                tail.insert((on_parole, requesters + 1, piece, number));
            }
            taker.out.push(block);
            taker.left -= 1;
        }
    }

    /// The first block from `at` on that a peer may be asked for though others are.
    fn next_again(&self, mut at: TailKey, only: Option<&[PieceIndex]>, taker: &Taker<'_>) -> Option<TailKey> {
        let tail = self.tail.as_ref()?;
        'jump: loop {
            let mut checked = None;
            for &key in tail.range(at..) {
                let (on_parole, requesters, piece, number) = key;
                if requesters >= self.config.end_game_requesters {
                    if on_parole {
                        return None;
                    }
                    at = (true, 0, 0, 0);
                    continue 'jump;
                }
                if checked != Some(piece) {
                    let theirs = only.is_none_or(|only| only.iter().any(|one| one.get() == piece));
                    if !theirs || !taker.pieces.get(piece) || !self.may_join(piece, taker) {
                        at = (on_parole, requesters, piece.saturating_add(1), 0);
                        continue 'jump;
                    }
                    checked = Some(piece);
                }
                if self.open(piece).is_some_and(|open| !open.is_asked_of(number, taker.who)) {
                    return Some(key);
                }
            }
            return None;
        }
    }

    /// Whether a peer may be asked a second time for blocks of a piece: on parole only when its owner had its time.
    fn may_join(&self, piece: u32, taker: &Taker<'_>) -> bool {
        let Some(parole) = self.open(piece).and_then(|open| open.parole.as_ref()) else { return true };
        !parole.bars(taker.who, taker.host) && parole.until.is_some_and(|until| until <= taker.now)
    }
}
