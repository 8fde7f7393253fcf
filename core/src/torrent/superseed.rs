//! Super seeding (BEP 16): the only seed gives each piece away once, and lets the swarm do the rest.
//!
//! BEP 16 has the seed hide that it is one, and show its pieces to each peer one at a time: "When a client connects, it will then inform
//! the client that it received a piece -- a piece that was never sent, or if all pieces were already sent, is very rare. [...] When the
//! client has finished downloading the piece, the seed will not inform it of any other pieces until it has seen the piece it had sent
//! previously present on at least one other client."
//!
//! **Told:** which pieces guests have ([`SuperSeed::joined`], [`SuperSeed::gained`]), who is gone ([`SuperSeed::left`]), that time goes by
//! ([`SuperSeed::tick`]). **Says:** which piece to show to whom. A *guest* is a connection that began while super seeding was on:
//! who was told all our pieces before cannot be made to forget them.
//!
//! | a guest is | means | until |
//! |---|---|---|
//! | taking | it was shown a piece that it does not have | it has it. After a while others may be shown the same piece |
//! | passing on | it has what it was shown, and nobody else has | another guest has it, or there is no other; or for a while |
//! | idle | every piece is at some guest, or shown to one | a piece is free; or for a while, and then it is shown the rarest |
//!
//! "A while" is [`ChokeConfig::super_seed_patience`](crate::border::ChokeConfig::super_seed_patience): a guest that nobody can reach, or
//! that passes nothing on, gets a piece that often and no more; one that was shown a piece and does not take it blocks nobody for
//! longer.
//!
//! It is strict: a request for a piece that was not shown to that guest is refused like one for a piece that we do not have. The torrent
//! turns it off when it sees another seed, when it is not whole itself any more, or when it is told to; then all guests are told
//! of every piece.
//!
//! It costs 24 bytes a piece and a bitfield a guest. What a guest gains is O(log) in the pieces, and O(guests) when that makes a piece free.

use crate::bitfield::Bitfield;
use crate::border::PeerKey;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::rng::Rng;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// A piece that is to be shown to a guest.
pub type Show = (PeerKey, u32);

/// The machine. See the [module](self).
#[derive(Clone, Debug)]
pub struct SuperSeed {
    patience: Duration,
    pieces: Vec<Piece>,
    /// The pieces, that with the fewest copies first.
    order: BTreeSet<(u32, u32, u32)>,
    guests: BTreeMap<PeerKey, Guest>,
    /// Who has a piece that nobody else had when it got it.
    passing: BTreeMap<u32, BTreeSet<PeerKey>>,
    idle: BTreeSet<PeerKey>,
    /// When patience with each guest ends.
    ends: BTreeSet<(Time, PeerKey)>,
}

canon_struct!(out SuperSeed { patience, pieces, order, guests, passing, idle, ends });

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Guests that have it, and such as were shown it and may still take it.
    copies: u32,
    /// Where it comes among equals, at random.
    place: u32,
}

canon_struct!(out Piece { copies, place });

#[derive(Clone, Debug)]
struct Guest {
    has: Bitfield,
    stage: Stage,
    /// When patience with it ends, as registered in `ends`.
    until: Option<Time>,
}

canon_struct!(out Guest { has, stage, until });

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// `counted`: it counts as a copy.
    Taking {
        piece: u32,
        counted: bool,
    },
    Passing(u32),
    Idle,
}

canon_enum!(out Stage { 0 = Taking { piece, counted }, 1 = Passing(a), 2 = Idle });

impl SuperSeed {
    /// For a torrent of so many pieces. `rng` orders pieces that are equally rare.
    pub fn new(pieces: u32, patience: Duration, rng: &mut Rng) -> SuperSeed {
        let mut places: Vec<u32> = (0..pieces).collect();
        rng.shuffle(&mut places);
        SuperSeed {
            patience,
            order: places.iter().zip(0..).map(|(&place, piece)| (0, place, piece)).collect(),
            pieces: places.into_iter().map(|place| Piece { copies: 0, place }).collect(),
            guests: BTreeMap::new(),
            passing: BTreeMap::new(),
            idle: BTreeSet::new(),
            ends: BTreeSet::new(),
        }
    }

    /// A guest has told what it has; it is no seed.
    pub fn joined(&mut self, now: Time, key: PeerKey, has: &Bitfield) -> Vec<Show> {
        if self.guests.contains_key(&key) {
            return Vec::new();
        }
        for piece in has.iter() {
            self.count(piece, 1);
        }
        self.guests.insert(key, Guest { has: has.clone(), stage: Stage::Idle, until: None });
        let mut shows = Vec::new();
        self.offer(now, key, false, &mut shows);
        for piece in has.iter() {
            self.seen(now, piece, key, &mut shows);
        }
        shows
    }

    /// A guest has one more piece.
    pub fn gained(&mut self, now: Time, key: PeerKey, piece: u32) -> Vec<Show> {
        let mut shows = Vec::new();
        let Some(guest) = self.guests.get_mut(&key) else { return shows };
        if !guest.has.insert(piece) {
            return shows;
        }
        match guest.stage {
            Stage::Taking { piece: shown, counted } if shown == piece => {
                if !counted {
                    self.count(piece, 1);
                }
                self.pass_on(now, key, piece, &mut shows);
            }
            _ => self.count(piece, 1),
        }
        self.seen(now, piece, key, &mut shows);
        shows
    }

    /// A guest is gone.
    pub fn left(&mut self, now: Time, key: PeerKey) -> Vec<Show> {
        let mut shows = Vec::new();
        self.set_stage(key, Stage::Idle, None);
        let Some(guest) = self.guests.remove(&key) else { return shows };
        self.idle.remove(&key);
        for piece in guest.has.iter() {
            self.count(piece, -1);
        }
        self.offer_to_idle(now, &mut shows);
        // Who is alone has nobody to pass anything on to.
        if self.guests.len() == 1
            && let Some((&last, guest)) = self.guests.first_key_value()
            && matches!(guest.stage, Stage::Passing(_))
        {
            self.offer(now, last, false, &mut shows);
        }
        shows
    }

    /// Ends patience with those with whom it is over.
    pub fn tick(&mut self, now: Time) -> Vec<Show> {
        let mut shows = Vec::new();
        while let Some(&(until, key)) = self.ends.first() {
            if until > now {
                break;
            }
            match self.guests.get(&key).map(|guest| guest.stage) {
                Some(Stage::Taking { piece, .. }) => {
                    // It may still take it, but nobody counts on that.
                    self.set_stage(key, Stage::Taking { piece, counted: false }, None);
                    self.offer_to_idle(now, &mut shows);
                }
                Some(Stage::Passing(_) | Stage::Idle) => self.offer(now, key, true, &mut shows),
                None => _ = self.ends.pop_first(),
            }
        }
        shows
    }

    /// When [`SuperSeed::tick`] is due.
    pub fn deadline(&self) -> Option<Time> {
        self.ends.first().map(|&(time, _)| time)
    }

    /// A guest has got what it was shown.
    fn pass_on(&mut self, now: Time, key: PeerKey, piece: u32, shows: &mut Vec<Show>) {
        let elsewhere = self.guests.iter().any(|(&other, guest)| other != key && guest.has.get(piece));
        if elsewhere || self.guests.len() == 1 {
            self.offer(now, key, false, shows);
        } else {
            self.set_stage(key, Stage::Passing(piece), Some(now + self.patience));
        }
    }

    /// A piece was seen at a guest: who was to pass it on has done so.
    fn seen(&mut self, now: Time, piece: u32, at: PeerKey, shows: &mut Vec<Show>) {
        let Some(passing) = self.passing.get(&piece) else { return };
        let done: Vec<PeerKey> = passing.iter().copied().filter(|&key| key != at).collect();
        for key in done {
            self.offer(now, key, false, shows);
        }
    }

    fn offer_to_idle(&mut self, now: Time, shows: &mut Vec<Show>) {
        for key in self.idle.clone() {
            if self.order.first().is_none_or(|&(copies, ..)| copies > 0) {
                return;
            }
            self.offer(now, key, false, shows);
        }
    }

    /// Shows a guest its next piece: one that nobody has or was shown; the rarest, if `any`; else it waits.
    fn offer(&mut self, now: Time, key: PeerKey, any: bool, shows: &mut Vec<Show>) {
        let Some(guest) = self.guests.get(&key) else { return };
        let next = self.order.iter().find(|&&(.., piece)| !guest.has.get(piece)).copied();
        match next {
            Some((copies, _, piece)) if copies == 0 || any => {
                self.set_stage(key, Stage::Taking { piece, counted: true }, Some(now + self.patience));
                shows.push((key, piece));
            }
            Some(_) if guest.stage == Stage::Idle && guest.until.is_some() => {}
            Some(_) => self.set_stage(key, Stage::Idle, Some(now + self.patience)),
            // It has everything: it is a seed, and this is about to end.
            None => self.set_stage(key, Stage::Idle, None),
        }
    }

    /// Moves a guest to another stage, and keeps the books of both.
    fn set_stage(&mut self, key: PeerKey, stage: Stage, until: Option<Time>) {
        let Some(guest) = self.guests.get_mut(&key) else { return };
        let before = core::mem::replace(&mut guest.stage, stage);
        if let Some(old) = core::mem::replace(&mut guest.until, until) {
            self.ends.remove(&(old, key));
        }
        if let Some(until) = until {
            self.ends.insert((until, key));
        }
        // What it has now is counted as such.
        let has = |piece| guest.has.get(piece);
        let freed = match before {
            Stage::Taking { piece, counted: true } if !has(piece) => Some(piece),
            _ => None,
        };
        let promised = match stage {
            Stage::Taking { piece, counted: true } => Some(piece),
            _ => None,
        };
        if let Stage::Passing(piece) = before
            && let Some(passing) = self.passing.get_mut(&piece)
        {
            passing.remove(&key);
            if passing.is_empty() {
                self.passing.remove(&piece);
            }
        }
        if let Stage::Passing(piece) = stage {
            self.passing.entry(piece).or_default().insert(key);
        }
        if stage == Stage::Idle {
            self.idle.insert(key);
        } else {
            self.idle.remove(&key);
        }
        if let Some(piece) = freed {
            self.count(piece, -1);
        }
        if let Some(piece) = promised {
            self.count(piece, 1);
        }
    }

    fn count(&mut self, piece: u32, change: i32) {
        let Some(entry) = self.pieces.get_mut(piece as usize) else { return };
        self.order.remove(&(entry.copies, entry.place, piece));
        entry.copies = entry.copies.saturating_add_signed(change);
        self.order.insert((entry.copies, entry.place, piece));
    }
}

#[cfg(test)]
mod tests;
