//! The pieces that are begun: which block is asked of whom, and who sent it.

use super::partial::{Key, Listing};
use super::{Received, TailKey};
use crate::border::PeerKey;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::time::Time;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

/// What is known of one block. 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// To be asked for.
    Free,
    /// Asked of this peer; of more in the end game: [`Open::extra`].
    Asked(PeerKey),
    /// Received from this peer, and given to the disk.
    Got(PeerKey),
}

canon_enum!(out Slot { 0 = Free, 1 = Asked(a), 2 = Got(a) });

/// A piece that failed its hash and is fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parole {
    /// Who sent the version that failed, sorted.
    pub suspects: Vec<PeerKey>,
    /// The places that it came from, sorted: who comes back from one, or has a second connection from it, is no stranger.
    pub hosts: Vec<IpAddr>,
    /// Until when it is kept for its owner, or, while it has none, from the suspects. `None`: it was not looked at since
    /// that began.
    pub until: Option<Time>,
    /// The places for whose peers it was kept, the latest last.
    pub owners: Vec<IpAddr>,
}

canon_struct!(out Parole { suspects, hosts, until, owners });

/// The most places that are remembered for a piece on parole: with a minute each, who has more addresses than that has half an hour.
const MAX_OWNERS: usize = 32;

impl Parole {
    /// Whether a part of the version that failed came from a peer or its place.
    pub fn suspects(&self, who: PeerKey, host: Option<IpAddr>) -> bool {
        self.suspects.binary_search(&who).is_ok() || host.is_some_and(|host| self.hosts.binary_search(&host).is_ok())
    }

    /// Whether a peer has to wait: it is a suspect, or another connection from its place had the piece to itself.
    pub fn bars(&self, who: PeerKey, host: Option<IpAddr>) -> bool {
        self.suspects(who, host) || host.is_some_and(|host| self.owners.contains(&host))
    }

    /// It is kept for somebody at this place now.
    pub fn is_kept_for(&mut self, host: Option<IpAddr>) {
        let Some(host) = host.filter(|host| !self.owners.contains(host)) else { return };
        if self.owners.len() >= MAX_OWNERS {
            self.owners.remove(0);
        }
        self.owners.push(host);
    }
}

/// A piece that is begun.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub piece: u32,
    pub slots: Vec<Slot>,
    /// Second and further requesters of a block, sorted.
    pub extra: Vec<(u32, PeerKey)>,
    /// How many slots are `Free`.
    pub free: u32,
    /// How many slots are `Asked`.
    pub asked: u32,
    /// No block below this number is free.
    pub first_free: u32,
    /// The peer that has the piece to itself.
    pub owner: Option<PeerKey>,
    /// How many blocks are asked of the owner.
    pub owner_asked: u32,
    pub parole: Option<Parole>,
    /// Where it stands among the pieces with free blocks.
    pub listed: Option<Listing>,
    /// How many of its free blocks are counted among those that are wanted.
    pub counted: u32,
}

// Where it is listed follows from the rest, and from where on a free block is looked for is nobody's business.
canon_struct!(out Open { piece, slots, extra, free, asked, owner, owner_asked, parole } | first_free, listed, counted);

impl Open {
    pub fn new(piece: u32, blocks: u32) -> Open {
        Open {
            piece,
            slots: vec![Slot::Free; blocks as usize],
            extra: Vec::new(),
            free: blocks,
            asked: 0,
            first_free: 0,
            owner: None,
            owner_asked: 0,
            parole: None,
            listed: None,
            counted: 0,
        }
    }

    /// Where it belongs among the pieces with free blocks.
    pub fn listing(&self, priority: u8) -> Option<Listing> {
        let kept = self.owner.is_some() && self.parole.is_none();
        (self.free > 0).then(|| Listing {
            level: 7u8.saturating_sub(priority),
            kept,
            key: Key::new(self.remaining(), self.piece),
        })
    }

    pub fn blocks(&self) -> u32 {
        self.slots.len() as u32
    }

    /// How many blocks are not received.
    pub fn remaining(&self) -> u32 {
        self.free + self.asked
    }

    /// Every block was received: it waits for its hash.
    pub fn is_full(&self) -> bool {
        self.free == 0 && self.asked == 0
    }

    /// `None` when there is no such block.
    pub fn slot(&self, number: u32) -> Option<Slot> {
        self.slots.get(number as usize).copied()
    }

    /// Puts a block into another state, and counts. The further requesters are the caller's.
    pub fn set(&mut self, number: u32, slot: Slot) {
        let Some(held) = self.slots.get_mut(number as usize) else { return };
        match *held {
            Slot::Free => self.free -= 1,
            Slot::Asked(_) => self.asked -= 1,
            Slot::Got(_) => {}
        }
        *held = slot;
        match slot {
            Slot::Free => {
                self.free += 1;
                self.first_free = self.first_free.min(number);
            }
            Slot::Asked(_) => self.asked += 1,
            Slot::Got(_) => {}
        }
    }

    /// The lowest free block.
    pub fn next_free(&mut self) -> Option<u32> {
        let from = self.first_free as usize;
        let found = self.slots.get(from..)?.iter().position(|slot| *slot == Slot::Free);
        // No free block at all: the next one that becomes free lowers it again.
        self.first_free = found.map_or(self.blocks(), |ahead| (from + ahead) as u32);
        found.map(|_| self.first_free)
    }

    /// Everybody whom a block is asked of, the first one first.
    pub fn requesters(&self, number: u32) -> impl Iterator<Item = PeerKey> + '_ {
        let first = match self.slot(number) {
            Some(Slot::Asked(who)) => Some(who),
            _ => None,
        };
        first.into_iter().chain(self.extra_of(number).iter().map(|&(_, who)| who))
    }

    /// Whether a block is asked of a peer.
    pub fn is_asked_of(&self, number: u32, who: PeerKey) -> bool {
        self.slot(number) == Some(Slot::Asked(who)) || self.extra.binary_search(&(number, who)).is_ok()
    }

    fn extra_of(&self, number: u32) -> &[(u32, PeerKey)] {
        let from = self.extra.partition_point(|&(block, _)| block < number);
        let rest = self.extra.get(from..).unwrap_or_default();
        let count = rest.partition_point(|&(block, _)| block == number);
        rest.get(..count).unwrap_or_default()
    }

    /// Books a further requester of a block that is asked of another.
    pub fn ask_again(&mut self, number: u32, who: PeerKey) {
        if let Err(at) = self.extra.binary_search(&(number, who)) {
            self.extra.insert(at, (number, who));
            if self.owner == Some(who) {
                self.owner_asked += 1;
            }
        }
    }

    /// How many of the blocks are asked of a peer.
    pub fn asked_of(&self, who: PeerKey) -> u32 {
        let firsts = self.slots.iter().filter(|slot| **slot == Slot::Asked(who)).count();
        let extras = self.extra.iter().filter(|(_, other)| *other == who).count();
        (firsts + extras) as u32
    }

    /// Takes a requester off a block; the block is free when nobody else was asked. False: it was not asked of that peer.
    pub fn unask(&mut self, number: u32, who: PeerKey) -> bool {
        if let Ok(at) = self.extra.binary_search(&(number, who)) {
            self.extra.remove(at);
        } else if self.slot(number) == Some(Slot::Asked(who)) {
            match self.extra_of(number).first().copied() {
                Some(heir) => {
                    self.extra.retain(|&entry| entry != heir);
                    self.set(number, Slot::Asked(heir.1));
                }
                None => self.set(number, Slot::Free),
            }
        } else {
            return false;
        }
        if self.owner == Some(who) {
            self.owner_asked = self.owner_asked.saturating_sub(1);
        }
        true
    }

    /// Who sent the received blocks.
    pub fn senders(&self) -> impl Iterator<Item = (u32, PeerKey)> + '_ {
        self.slots.iter().enumerate().filter_map(|(number, slot)| match slot {
            Slot::Got(who) => Some((number as u32, *who)),
            _ => None,
        })
    }

    /// Books a block that came.
    pub fn take(&mut self, number: u32, who: PeerKey) -> Received {
        match self.slot(number) {
            None => return Received::Unwanted,
            Some(Slot::Got(_)) => return Received::Duplicate,
            Some(Slot::Asked(asked)) if asked == who && self.extra.is_empty() => {
                // It is nearly always so.
                if self.owner == Some(who) {
                    self.owner_asked = self.owner_asked.saturating_sub(1);
                }
                self.set(number, Slot::Got(who));
                return Received::New { piece_full: self.is_full(), also_asked: Vec::new() };
            }
            // On parole it matters who sends: a late copy of what failed would spoil the test.
            Some(Slot::Free | Slot::Asked(_)) if self.parole.is_some() && !self.is_asked_of(number, who) => {
                return Received::Unwanted;
            }
            Some(Slot::Free | Slot::Asked(_)) => {}
        }
        let also_asked: Vec<PeerKey> = self.requesters(number).filter(|&requester| requester != who).collect();
        if let Some(owner) = self.owner
            && self.is_asked_of(number, owner)
        {
            self.owner_asked = self.owner_asked.saturating_sub(1);
        }
        self.extra.retain(|&(block, _)| block != number);
        self.set(number, Slot::Got(who));
        Received::New { piece_full: self.is_full(), also_asked }
    }

    /// Every received block is free, save those that `kept` sent.
    pub fn free_received(&mut self, kept: Option<PeerKey>) {
        for number in 0..self.blocks() {
            if let Some(Slot::Got(sender)) = self.slot(number)
                && Some(sender) != kept
            {
                self.set(number, Slot::Free);
            }
        }
    }

    /// An asked block as the end game orders it.
    pub fn tail_key(&self, number: u32) -> Option<TailKey> {
        let requesters = self.requesters(number).count() as u32;
        (requesters > 0).then_some((self.parole.is_some(), requesters, self.piece, number))
    }

    pub fn tail_keys(&self) -> impl Iterator<Item = TailKey> + '_ {
        let blocks = if self.asked == 0 { 0 } else { self.blocks() };
        (0..blocks).filter_map(|number| self.tail_key(number))
    }
}

/// The begun pieces, by number. A number is used again when its piece is done with.
#[derive(Clone, Debug, Default)]
pub(super) struct Slab {
    entries: Vec<Option<Open>>,
    vacant: Vec<u32>,
    /// Blocks of all entries.
    blocks: u32,
}

canon_struct!(out Slab { entries, vacant, blocks });

impl Slab {
    pub fn insert(&mut self, open: Open) -> u32 {
        self.blocks = self.blocks.saturating_add(open.blocks());
        if let Some(number) = self.vacant.pop()
            && let Some(entry) = self.entries.get_mut(number as usize)
        {
            *entry = Some(open);
            return number;
        }
        self.entries.push(Some(open));
        self.entries.len() as u32 - 1
    }

    pub fn remove(&mut self, number: u32) -> Option<Open> {
        let open = self.entries.get_mut(number as usize)?.take()?;
        self.blocks = self.blocks.saturating_sub(open.blocks());
        self.vacant.push(number);
        Some(open)
    }

    pub fn get(&self, number: u32) -> Option<&Open> {
        self.entries.get(number as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut Open> {
        self.entries.get_mut(number as usize)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Open> + '_ {
        self.entries.iter().flatten()
    }

    pub fn blocks(&self) -> u32 {
        self.blocks
    }
}
