//! The books of begun pieces: how one is opened, given up and closed, whose it is, and the indices that follow its blocks.

use super::choose::Taker;
use super::open::Open;
use super::table::State;
use super::{Picker, TAIL_SLACK};
use crate::metainfo::{Block, PieceIndex};

impl Picker {
    /// Opens an idle piece, giving up another one when there are too many. False: no room. The caller indexes it, when it has
    /// done with it what it was opened for.
    pub(super) fn begin(&mut self, piece: PieceIndex) -> bool {
        let blocks = self.geometry.blocks(piece);
        // One piece is always allowed, however long.
        while self.slab.blocks() > 0 && self.slab.blocks().saturating_add(blocks) > self.config.max_open_blocks {
            if !self.give_up_one() {
                return false;
            }
        }
        let number = self.slab.insert(Open::new(piece.get(), blocks));
        self.table.set_state(piece.get(), State::Open(number));
        true
    }

    /// Closes the begun piece that is worth least and that nobody is asked for: skipped ones first, then the lowest
    /// priority and the least received. What was received of it is lost.
    pub(super) fn give_up_one(&mut self) -> bool {
        // Nobody is asked for most begun pieces with free blocks; where many are, the disk or the peers are at their
        // limit and a new piece would not help.
        const LOOKED_AT: usize = 256;
        let mut victim = None;
        for piece in self.partial.worst_first().take(LOOKED_AT) {
            match self.open(piece) {
                Some(open) if open.asked == 0 && open.parole.is_none() => {
                    victim = Some(piece);
                    break;
                }
                // Giving up one on parole gives up blame: only when there is no other.
                Some(open) if open.asked == 0 => victim = victim.or(Some(piece)),
                _ => {}
            }
        }
        let Some(piece) = victim else { return false };
        self.discard(piece);
        self.table.set_state(piece, State::Idle);
        self.closed_changed(piece);
        // It may be rarer than the order allowed for, and the pick that needed the room reads on in it.
        self.table.settle();
        true
    }

    /// An open piece of which nothing is asked for and nothing was received needs no books. One on parole keeps its suspects.
    pub(super) fn close_if_empty(&mut self, piece: u32) {
        if self.open(piece).is_some_and(|open| open.free == open.blocks() && open.parole.is_none()) {
            self.discard(piece);
            self.table.set_state(piece, State::Idle);
            self.closed_changed(piece);
        }
    }

    /// Takes an open piece out of the slab and of every index. The caller sets its next state.
    pub(super) fn discard(&mut self, piece: u32) {
        self.unindex(piece);
        self.release(piece);
        self.parole.remove(&piece);
        if let State::Open(number) = self.table.state(piece)
            && let Some(open) = self.slab.remove(number)
        {
            self.partial.relist(open.listed, None);
            self.free = self.free.saturating_sub(u64::from(open.counted));
        }
    }

    /// A piece that belongs to one peer belongs to nobody.
    pub(super) fn release(&mut self, piece: u32) {
        let Some(open) = self.open_mut(piece) else { return };
        let owner = open.owner.take();
        open.owner_asked = 0;
        if let Some(parole) = &mut open.parole {
            parole.until = None;
        }
        if let Some(owner) = owner {
            self.owned.remove(&(owner, piece));
            self.relist(piece);
        }
    }

    /// A piece belongs to one peer, until the patience of parole ends.
    pub(super) fn own(&mut self, piece: u32, taker: &Taker<'_>) {
        let (who, now) = (taker.who, taker.now);
        let patience = self.config.parole_patience;
        let Some(open) = self.open_mut(piece) else { return };
        open.owner = Some(who);
        open.owner_asked = open.asked_of(who);
        if let Some(parole) = &mut open.parole {
            parole.until = Some(now + patience);
            parole.is_kept_for(taker.host);
        }
        self.owned.insert((who, piece));
    }

    /// A piece is in the order again, or stands elsewhere in it.
    pub(super) fn closed_changed(&mut self, piece: u32) {
        if self.table.closed().get(piece) {
            self.hints.note(piece);
            self.first_closed = self.first_closed.min(piece);
        }
        if self.table.closed().count() > TAIL_SLACK {
            self.tail = None;
        }
    }

    /// Brings the indices that follow a piece's blocks up to date with it. To be called after each change; before it,
    /// [`Picker::unindex`] or [`Picker::unindex_block`].
    pub(super) fn index(&mut self, piece: u32) {
        self.relist(piece);
        self.tail_changes(piece, None, true);
    }

    /// The same, when only this block has changed.
    pub(super) fn index_block(&mut self, block: Block) {
        self.relist(block.piece().get());
        self.tail_changes(block.piece().get(), Some(block.number()), true);
    }

    /// Something is about to change in a piece.
    pub(super) fn unindex(&mut self, piece: u32) {
        self.tail_changes(piece, None, false);
    }

    /// Only this block is going to change.
    pub(super) fn unindex_block(&mut self, block: Block) {
        self.tail_changes(block.piece().get(), Some(block.number()), false);
    }

    fn relist(&mut self, piece: u32) {
        let State::Open(number) = self.table.state(piece) else { return };
        let priority = self.table.priority(piece);
        let Some(open) = self.slab.get_mut(number) else { return };
        let listing = open.listing(priority);
        if open.listed != listing {
            self.partial.relist(open.listed, listing);
            open.listed = listing;
        }
        let counted = if priority > 0 { open.free } else { 0 };
        self.free = (self.free + u64::from(counted)).saturating_sub(u64::from(open.counted));
        open.counted = counted;
    }

    fn tail_changes(&mut self, piece: u32, block: Option<u32>, put: bool) {
        if self.tail.is_none() || self.table.priority(piece) == 0 {
            return;
        }
        let State::Open(number) = self.table.state(piece) else { return };
        let (Some(open), Some(tail)) = (self.slab.get(number), &mut self.tail) else { return };
        let keys = block.map_or(0..open.blocks(), |number| number..number.saturating_add(1));
        for key in keys.filter_map(|number| open.tail_key(number)) {
            if put {
                tail.insert(key)
            } else {
                tail.remove(&key)
            };
        }
    }
}
