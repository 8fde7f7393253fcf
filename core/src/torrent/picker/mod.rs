//! Decides which blocks to ask of which peer, and keeps the books of every block.
//!
//! # The machine
//!
//! A piece is *idle* (no block begun; *closed* when it is wanted, too), *open* (some block asked for or received) or
//! *verified*. Only open pieces have a state for each block: free, asked of one peer or (in the end game) several, received from one.
//!
//! | told | by | does |
//! |---|---|---|
//! | [`Picker::pick`] | a peer has room in its pipeline | idle → open; free → asked |
//! | [`Picker::returned`], [`Picker::peer_gone`] | reject, choke, time-out, disconnect | asked → free; an open piece with nothing in it → idle |
//! | [`Picker::received`] | a `piece` message | asked → received |
//! | [`Picker::write_failed`] | the disk | received → free |
//! | [`Picker::piece_passed`], [`Picker::piece_failed`] | the hash | open → verified; all received → free, on parole |
//! | [`Picker::piece_lost`] | a check of the disk | verified → idle |
//!
//! It sends nothing and takes no time; `now` is only compared with deadlines of parole.
//!
//! # What is asked first
//!
//! 1. Pieces with a deadline ([`Picker::set_urgent`]), the earliest first; everybody shares them.
//! 2. The higher [`Priority`]; within one priority:
//!    1. the piece that this peer has to itself;
//!    2. pieces that are begun, the nearly complete ones first, so that they can be traded;
//!    3. what the peer suggested (BEP 6: "you might like to download this piece"), the latest first;
//!    4. the rarest closed piece (BEP 3: "Downloaders generally download pieces in random order" has long been taken as:
//!       rarest first, ties at random), except that the first [`PickConfig::random_first`] are any piece at random;
//!       with [`PickOrder::Random`](crate::border::PickOrder::Random) all are;
//!    5. pieces that a fast peer has to itself.
//!
//! **In order** ([`Picker::set_sequential`]): 2.2 to 2.5 are replaced by "the lowest piece that the peer has, begun or not".
//! Fast and slow peers share pieces then, as they do those with a deadline: what counts is that the next piece is whole soon.
//! Suggestions and random first pieces are passed over. The first and last piece of a file are *not* fetched early: who
//! plays a file knows better which parts it needs at once, and has deadlines to say so.
//!
//! A peer that is **the only source** of a closed piece, as far as we know, is asked for such pieces before 2.2 and 2.3, unless what is begun
//! or suggested is its alone as well: whatever else it sends, another could have sent, and what only one has, as the seed of a new torrent, is
//! what all wait for. Not while [`PickConfig::max_partial_pieces`] are begun.
//!
//! A *fast* peer begins a piece for itself and asks for its blocks in order: it shares only when nothing new is left. Slow
//! peers share. When [`PickConfig::max_partial_pieces`] are begun, 5 comes before 3.
//!
//! **End game** (BEP 3: "When download is almost complete, [...] it sends requests for everything to everybody"): begins when no
//! wanted block is free. Then blocks are asked a second and third time, those with fewest requesters first, never twice of
//! the same peer and of at most [`PickConfig::end_game_requesters`]. Outside it no block is asked twice.
//!
//! **Parole**: a piece that failed its hash goes to one peer alone, so that its next version has one sender and both
//! outcomes tell who lied (see [`blame`](crate::torrent::blame)). Those who sent the bad version are asked again only when
//! nobody else has the piece, or [`PickConfig::parole_patience`] went by in vain, and then only for the whole of it; so is whoever
//! else has an address that it came from. A slow owner keeps it to itself no longer than the same patience; further connections
//! from its address ([`PickAsk::host`]) then wait like those who sent the bad version, or a peer with many connections would have
//! it for as many times as long.
//!
//! # What it costs
//!
//! 13 bytes a piece and two bitmaps; 16 bytes a block of open pieces, bounded by [`PickConfig::max_open_blocks`]. With `n`
//! pieces:
//!
//! - **A pick** of a new piece looks at up to [`PickConfig::scan`] entries of an array that holds the closed pieces by (priority,
//!   copies), from the rarest end (`table`). Nearly every peer has one of those. One that does not is served from a short list
//!   of its own, made by one pass over two bitmaps for `n / 1024` pieces (`hints`): that is 16 words and at most 1,024
//!   look-ups a piece, O(1) amortised. The worst single call is that pass over a peer that has many pieces and none of the
//!   rarest: `n / 64` words and up to `n` look-ups, a few milliseconds at a million pieces.
//! - **One more or less copy** (`have`): one swap. **A piece begun or given back**: at most 448 moves, however many pieces.
//! - **A peer that comes or goes**: nothing for a seed; else one addition a piece that it has, and when these are many, one
//!   counting sort before the next pick.
//! - **A new piece at random**, where that is the order: sixteen look-ups; a pass over the pieces of the priority, where the peer
//!   has few of them.
//! - **A new piece in order**: a pass over the two bitmaps from the first piece that is closed, 64 at a time; or over the
//!   pieces of the priority, where these are fewer. Peers that have what comes next are served at once.
//! - **Blocks**: a search in an array of the begun pieces of one priority that have free blocks, and a move by a place or two in it
//!   (`partial`). Priorities of which nothing is closed or partial are not looked at.
//!
//! Everything is ordered and every tie is broken by the picker's own [`Rng`]: the same calls give the same picks.

mod books;
mod choose;
mod hints;
mod open;
mod partial;
mod table;
#[cfg(test)]
mod tests;

use crate::bitfield::Bitfield;
use crate::border::{PeerKey, PickConfig};
use crate::journal::canon::canon_struct;
use crate::metainfo::{Block, Geometry, PieceIndex};
use crate::rng::Rng;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use hints::Hints;
use open::{Open, Parole, Slab, Slot};
use partial::Partial;
use table::{State, Table};

/// How much a piece is wanted: 0 (not at all) to 7 (first). The default is 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Never asked for.
    pub const SKIP: Priority = Priority(0);
    /// After everything else.
    pub const LOWEST: Priority = Priority(1);
    /// What every piece starts with.
    pub const NORMAL: Priority = Priority(4);
    /// Before everything else but deadlines.
    pub const HIGHEST: Priority = Priority(7);

    /// The priority of this number; `None` above 7.
    pub const fn new(number: u8) -> Option<Priority> {
        if number <= 7 { Some(Priority(number)) } else { None }
    }

    /// 0 to 7.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Priority {
        Priority::NORMAL
    }
}

/// What a peer is to be asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct PickAsk<'a> {
    /// The most blocks.
    pub count: u32,
    /// Only from these pieces, in this order: what BEP 6 allows while we are choked. `None`: from all.
    pub only: Option<&'a [PieceIndex]>,
    /// The peer is fast enough to have whole pieces to itself.
    pub fast: bool,
    /// What the peer suggested, the latest last.
    pub suggested: &'a [PieceIndex],
    /// Only blocks that nobody else is asked for: the peer takes no part in the end game. For one that lets us wait: it would
    /// take up the place of one that does not.
    pub only_free: bool,
    /// Where the peer is, when its connections are to count as one: a piece on parole is kept only once for each such place. `None`:
    /// it counts for itself.
    pub host: Option<IpAddr>,
}

impl PickAsk<'_> {
    /// The [`host`](PickAsk::host) of a peer at an address. On a loopback there is none: many machines of a test or a laboratory are
    /// one there.
    pub fn host_of(addr: SocketAddr) -> Option<IpAddr> {
        Some(addr.ip().to_canonical()).filter(|ip| !ip.is_loopback())
    }
}

/// What a block that came is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was missing: write it.
    New {
        /// It was the last one of its piece: verify that, when it is written.
        piece_full: bool,
        /// The other peers that it is asked of: cancel it there. They are booked off already.
        also_asked: Vec<PeerKey>,
    },
    /// We have it: drop it.
    Duplicate,
    /// We did not ask for it and do not want it (a range that is no block of ours, a skipped piece, a peer that must not
    /// send it again): drop it.
    Unwanted,
}

/// The end game's order of blocks: on parole, requesters, piece, block.
type TailKey = (bool, u32, u32, u32);

/// When this many pieces are closed again, the end game's index is given up. Above 1, so that a piece that comes and goes
/// does not have it made anew each time.
const TAIL_SLACK: u32 = 16;

/// Which blocks to ask of whom. See the [module](self).
#[derive(Clone, Debug)]
pub struct Picker {
    geometry: Geometry,
    config: PickConfig,
    rng: Rng,
    have: Bitfield,
    table: Table,
    slab: Slab,
    hints: Hints,
    /// Open pieces with free blocks.
    partial: Partial,
    /// Free blocks of wanted open pieces.
    free: u64,
    /// Who has which open piece to itself.
    owned: BTreeSet<(PeerKey, u32)>,
    /// Memory for a list of those of one peer.
    own_scratch: Vec<u32>,
    /// Open pieces on parole.
    parole: BTreeSet<u32>,
    urgent: BTreeSet<(Time, u32)>,
    deadlines: BTreeMap<u32, Time>,
    /// Blocks of wanted open pieces that are asked for; kept only near the end game.
    tail: Option<BTreeSet<TailKey>>,
    /// Bytes of the wanted pieces that are not verified.
    missing: u64,
    /// Bytes of the wanted pieces.
    wanted: u64,
    /// Whether pieces are asked for in order.
    sequential: bool,
    /// In order, no closed piece lies before this one.
    first_closed: u32,
}

canon_struct!(out Picker { config, rng, have, table, slab, hints, partial, free, owned, parole, urgent, deadlines, tail, missing, wanted, sequential, first_closed } | geometry, own_scratch);

#[cfg(test)]
impl Picker {
    /// Changes something that does not show at once.
    pub(crate) fn tamper(&mut self) {
        self.rng.next_u32();
    }
}

impl Picker {
    /// A picker for a torrent of which `have` is verified. Bits of `have` behind the last piece mean nothing.
    pub fn new(geometry: Geometry, have: &Bitfield, config: &PickConfig, rng: Rng) -> Picker {
        let pieces = geometry.pieces();
        let mut verified = Bitfield::none(pieces);
        let mut missing = geometry.total_length();
        for piece in geometry.iter().filter(|piece| have.get(piece.get())) {
            verified.insert(piece.get());
            missing -= u64::from(geometry.length(piece));
        }
        Picker {
            table: Table::new(&verified, pieces, Priority::NORMAL.get()),
            have: verified,
            geometry,
            config: config.clone(),
            rng,
            slab: Slab::default(),
            hints: Hints::default(),
            partial: Partial::default(),
            free: 0,
            owned: BTreeSet::new(),
            own_scratch: Vec::new(),
            parole: BTreeSet::new(),
            urgent: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            tail: None,
            missing,
            wanted: geometry.total_length(),
            sequential: false,
            first_closed: 0,
        }
    }

    /// The verified pieces.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Whether every piece is verified, skipped ones too. That every *wanted* one is: `missing_bytes() == 0`.
    pub fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// Bytes of the pieces that are wanted and not verified.
    pub fn missing_bytes(&self) -> u64 {
        self.missing
    }

    /// Bytes of the pieces that are wanted.
    pub fn wanted_bytes(&self) -> u64 {
        self.wanted
    }

    /// Whether pieces are asked for in order.
    pub fn sequential(&self) -> bool {
        self.sequential
    }

    /// Has pieces asked for in order, or the rarest first. What is under way goes on.
    pub fn set_sequential(&mut self, on: bool) {
        self.sequential = on;
        self.first_closed = 0;
        if on {
            // Nobody keeps a piece to itself any more, but for blame.
            let owned: Vec<u32> = self.owned.iter().map(|&(_, piece)| piece).collect();
            for piece in owned {
                if self.open(piece).is_some_and(|open| open.parole.is_none()) {
                    self.release(piece);
                }
            }
        }
    }

    /// Whether a piece is wanted and not verified.
    pub fn wants(&self, piece: PieceIndex) -> bool {
        self.table.priority(piece.get()) > 0 && self.table.state(piece.get()) != State::Have
    }

    /// The priority of a piece.
    pub fn priority(&self, piece: PieceIndex) -> Priority {
        Priority(self.table.priority(piece.get()))
    }

    /// How many connected peers have a piece, seeds counted.
    pub fn availability(&self, piece: PieceIndex) -> u32 {
        self.table.availability(piece.get())
    }

    /// Whether every piece that we have is also at a connected peer. O(1), amortised over the pieces and those who leave.
    pub fn is_spread(&mut self) -> bool {
        self.table.first_unspread(&self.have).is_none()
    }

    /// Whether blocks are asked of several peers now: some are asked for, and no wanted one is free.
    pub fn end_game(&self) -> bool {
        self.missing > 0 && self.free == 0 && self.table.closed().count() == 0
    }

    /// When [`Picker::pick`] may find more only because time went by: a piece on parole ends its patience. `None`: never.
    pub fn next_chance(&self, now: Time) -> Option<Time> {
        let ends = self.parole.iter().filter_map(|&piece| self.open(piece)?.parole.as_ref()?.until);
        ends.filter(|&end| end > now).min()
    }

    /// Sets how much a piece is wanted. Blocks that are asked for stay so.
    pub fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let number = piece.get();
        if self.geometry.piece(number).is_none() || self.table.priority(number) == priority.get() {
            return;
        }
        let wanted = self.wants(piece);
        let length = u64::from(self.geometry.length(piece));
        match (self.table.priority(number) > 0, priority.get() > 0) {
            (false, true) => self.wanted += length,
            (true, false) => self.wanted -= length,
            _ => {}
        }
        self.unindex(number);
        self.table.set_priority(number, priority.get());
        self.index(number);
        match (wanted, self.wants(piece)) {
            (false, true) => self.missing += u64::from(self.geometry.length(piece)),
            (true, false) => self.missing -= u64::from(self.geometry.length(piece)),
            _ => {}
        }
        self.closed_changed(number);
    }

    /// Sets how much every piece is wanted, in their order; those behind the end of the list stay as they are. Costs a pass
    /// over all pieces, and one sort before the next pick.
    pub fn set_priorities(&mut self, priorities: &[Priority]) {
        self.table.will_change();
        for (piece, &priority) in self.geometry.iter().zip(priorities) {
            self.set_priority(piece, priority);
        }
    }

    /// Sets by when a piece is needed, or with `None` that it is not pressing. Has no effect on a piece with priority 0 until
    /// it has another; forgotten when the piece is verified.
    pub fn set_urgent(&mut self, piece: PieceIndex, deadline: Option<Time>) {
        let number = piece.get();
        if let Some(before) = self.deadlines.remove(&number) {
            self.urgent.remove(&(before, number));
        }
        if let Some(deadline) = deadline
            && self.table.state(number) != State::Have
        {
            self.deadlines.insert(number, deadline);
            self.urgent.insert((deadline, number));
        }
    }

    /// A peer told what it has. A seed costs O(1).
    pub fn peer_joined(&mut self, pieces: &Bitfield) {
        self.table.joined(pieces);
    }

    /// A peer is gone that had these pieces in the end.
    pub fn peer_left(&mut self, pieces: &Bitfield) {
        self.table.left(pieces);
    }

    /// A peer that was counted has one more piece.
    pub fn peer_gained(&mut self, piece: PieceIndex) {
        self.table.count(piece.get(), 1);
        if self.table.closed().get(piece.get()) {
            self.hints.note(piece.get());
        }
    }

    /// A peer that was counted has a piece no more (BEP 54).
    pub fn peer_lost(&mut self, piece: PieceIndex) {
        self.table.count(piece.get(), -1);
    }

    /// A block is no longer asked of a peer: it was rejected or took too long, or the peer choked us.
    pub fn returned(&mut self, who: PeerKey, block: Block) {
        let number = block.piece().get();
        if !self.is_ours(block) {
            return;
        }
        self.unindex_block(block);
        let mut released = false;
        if let Some(open) = self.open_mut(number) {
            open.unask(block.number(), who);
            released = open.owner == Some(who) && open.owner_asked == 0;
        }
        if released {
            // It is not coming back for the rest soon: somebody else may have it.
            self.release(number);
        }
        self.index_block(block);
        self.close_if_empty(number);
    }

    /// A peer is gone while these blocks were asked of it. Tell [`Picker::peer_left`] as well. Whether others may find something
    /// now that they did not before.
    pub fn peer_gone(&mut self, who: PeerKey, outstanding: &[Block]) -> bool {
        // Of a piece on parole it may have been the only other owner.
        let mut freed = !outstanding.is_empty() || !self.parole.is_empty();
        for &block in outstanding {
            self.returned(who, block);
        }
        while let Some(&(_, piece)) = self.owned.range((who, 0)..=(who, u32::MAX)).next() {
            self.release(piece);
            freed = true;
        }
        self.hints.peer_gone(who);
        freed
    }

    /// A block came from a peer.
    ///
    /// One that is no longer asked of that peer (it took too long, say) is taken all the same while it is missing, but not for
    /// a piece on parole, and not for one that is not wanted any more.
    pub fn received(&mut self, who: PeerKey, block: Block) -> Received {
        if !self.is_ours(block) {
            return Received::Unwanted;
        }
        let piece = block.piece().get();
        match self.table.state(piece) {
            State::Have => return Received::Duplicate,
            _ if self.open(piece).is_some_and(|open| matches!(open.slot(block.number()), Some(Slot::Got(_)))) => {
                return Received::Duplicate;
            }
            _ if self.table.priority(piece) == 0 => {
                // It was asked for before its piece was skipped: it is not any more.
                self.returned(who, block);
                return Received::Unwanted;
            }
            State::Idle if !self.begin(block.piece()) => return Received::Unwanted,
            State::Idle | State::Open(_) => {}
        }
        self.unindex_block(block);
        let received = match self.open_mut(piece) {
            Some(open) => open.take(block.number(), who),
            None => Received::Unwanted,
        };
        self.index_block(block);
        received
    }

    /// An open piece was read back and has its hash; or a check found that a piece is there.
    pub fn piece_passed(&mut self, piece: PieceIndex) {
        let number = piece.get();
        if self.geometry.piece(number).is_none() || self.table.state(number) == State::Have {
            return;
        }
        if self.wants(piece) {
            self.missing -= u64::from(self.geometry.length(piece));
        }
        self.discard(number);
        self.table.set_state(number, State::Have);
        self.have.insert(number);
        self.set_urgent(piece, None);
    }

    /// An open piece does not have its hash: its received blocks are free again, and it is on parole.
    ///
    /// `hosts` are the places that its blocks came from, as in [`PickAsk::host`], in any order. Ask for [`Picker::senders`] first.
    pub fn piece_failed(&mut self, piece: PieceIndex, mut hosts: Vec<IpAddr>) {
        let number = piece.get();
        self.unindex(number);
        self.release(number);
        let mut failed = false;
        if let Some(open) = self.open_mut(number) {
            let mut suspects: Vec<PeerKey> = open.senders().map(|(_, who)| who).collect();
            suspects.sort_unstable();
            suspects.dedup();
            if !suspects.is_empty() {
                open.free_received(None);
                hosts.sort_unstable();
                hosts.dedup();
                open.parole = Some(Parole { suspects, hosts, until: None, owners: Vec::new() });
                failed = true;
            }
        }
        if failed {
            self.parole.insert(number);
        }
        self.index(number);
    }

    /// A received block could not be written: it is free again.
    pub fn write_failed(&mut self, block: Block) {
        let piece = block.piece().get();
        if !self.is_ours(block) {
            return;
        }
        self.unindex_block(block);
        if let Some(open) = self.open_mut(piece)
            && let Some(Slot::Got(_)) = open.slot(block.number())
        {
            open.set(block.number(), Slot::Free);
        }
        self.index_block(block);
        self.close_if_empty(piece);
    }

    /// A verified piece was found damaged on the disk.
    pub fn piece_lost(&mut self, piece: PieceIndex) {
        let number = piece.get();
        if !self.have.remove(number) {
            return;
        }
        self.table.set_state(number, State::Idle);
        if self.wants(piece) {
            self.missing += u64::from(self.geometry.length(piece));
        }
        self.closed_changed(number);
    }

    /// Who sent which block of an open piece; nothing for blocks that were not received. Rising by block.
    pub fn senders(&self, piece: PieceIndex) -> Vec<(u32, PeerKey)> {
        self.open(piece.get()).map(|open| open.senders().collect()).unwrap_or_default()
    }

    /// Whether a block is one that we ask for. A [`Block`] of another torrent may lie behind our last piece.
    fn is_ours(&self, block: Block) -> bool {
        self.geometry.piece(block.piece().get()).is_some() && self.geometry.is_standard(block)
    }

    fn open(&self, piece: u32) -> Option<&Open> {
        match self.table.state(piece) {
            State::Open(number) => self.slab.get(number),
            State::Idle | State::Have => None,
        }
    }

    fn open_mut(&mut self, piece: u32) -> Option<&mut Open> {
        match self.table.state(piece) {
            State::Open(number) => self.slab.get_mut(number),
            State::Idle | State::Have => None,
        }
    }
}
