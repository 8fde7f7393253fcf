//! Finds out who sent the bad blocks of a piece that failed its hash, without ever accusing who did not.
//!
//! A piece's hash says only that some block of it is wrong. So when it fails, the SHA-1 of each of its blocks, as they lay on the
//! disk, is put on record with who sent it. Three things then name the guilty, and nothing else does:
//!
//! 1. one peer sent all of the piece: it was that one ([`Blame::failed`], at once);
//! 2. one peer sent the same block twice and differently: one of the two was wrong ([`Blame::failed`]);
//! 3. the piece passes later: whoever sent a block with another digest than the one that passed was wrong
//!    ([`Blame::passed`]).
//!
//! All three trust that the disk gives back what was written: blocks that a sync may have lost have no sender here. A digest list that is empty (the piece could not be read)
//! therefore accuses nobody, and neither does a block whose sender is not known.
//!
//! BEP 3 has no word on this; that a piece is fetched again from one peer alone (see [`picker`](super::picker)) makes the first
//! rule apply sooner.

use crate::border::PickConfig;
use crate::journal::canon::canon_struct;
use crate::metainfo::PieceIndex;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Whom blame falls on: the address that the blocks came from, as connected.
pub type Culprit = SocketAddr;

/// The digest of a block: SHA-1 over its bytes.
pub type Digest = [u8; 20];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    block: u32,
    sender: Culprit,
    digest: Digest,
}

canon_struct!(out Sent { block, sender, digest });

/// The record of failed pieces. See the [module](self).
#[derive(Clone, Debug)]
pub struct Blame {
    max_pieces: usize,
    max_blocks: usize,
    /// What was sent, of every failed version of a piece.
    records: BTreeMap<PieceIndex, Vec<Sent>>,
    /// The pieces on record, the one that failed first in front.
    ages: VecDeque<PieceIndex>,
    /// Entries of all records.
    blocks: usize,
}

canon_struct!(out Blame { max_pieces, max_blocks, records, ages, blocks });

impl Blame {
    /// An empty record, bounded by [`PickConfig::blame_pieces`] and [`PickConfig::blame_blocks`].
    pub fn new(config: &PickConfig) -> Blame {
        Blame {
            max_pieces: config.blame_pieces as usize,
            max_blocks: config.blame_blocks as usize,
            records: BTreeMap::new(),
            ages: VecDeque::new(),
            blocks: 0,
        }
    }

    /// Whether a failed version of the piece is on record: when it passes, its block digests are wanted.
    pub fn wants_digests(&self, piece: PieceIndex) -> bool {
        self.records.contains_key(&piece)
    }

    /// A piece failed. `blocks` are the digests of all its blocks as they were read back (none when they could not be),
    /// `senders` who sent which; blocks without a sender were there before. Says who is guilty already, sorted.
    pub fn failed(&mut self, piece: PieceIndex, blocks: &[Digest], senders: &[(u32, Culprit)]) -> Vec<Culprit> {
        if blocks.is_empty() {
            return Vec::new();
        }
        if let Some(culprit) = sole_sender(blocks.len(), senders) {
            return Vec::from([culprit]);
        }
        let mut guilty = Vec::new();
        let mut record = self.forget(piece);
        for &(block, sender) in senders {
            let Some(&digest) = blocks.get(block as usize) else { continue };
            let sent = Sent { block, sender, digest };
            if record.iter().any(|old| old.block == block && old.sender == sender && old.digest != digest) {
                guilty.push(sender);
            }
            if !record.contains(&sent) {
                record.push(sent);
            }
        }
        self.keep(piece, record);
        sorted(guilty)
    }

    /// A piece passed. `blocks` are the digests of all its blocks (none when they could not be had). Says who sent other
    /// bytes before, sorted, and closes the record.
    pub fn passed(&mut self, piece: PieceIndex, blocks: &[Digest]) -> Vec<Culprit> {
        let record = self.forget(piece);
        let differs = |sent: &Sent| blocks.get(sent.block as usize).is_some_and(|right| *right != sent.digest);
        sorted(record.iter().filter(|sent| differs(sent)).map(|sent| sent.sender).collect())
    }

    fn keep(&mut self, piece: PieceIndex, record: Vec<Sent>) {
        // A record that is too long on its own is not kept: what is cut off might be the very block that counts.
        if record.is_empty() || record.len() > self.max_blocks {
            return;
        }
        while self.records.len() >= self.max_pieces || self.blocks + record.len() > self.max_blocks {
            let Some(oldest) = self.ages.front().copied() else { break };
            self.forget(oldest);
        }
        self.blocks += record.len();
        self.ages.push_back(piece);
        self.records.insert(piece, record);
    }

    /// Takes a piece off the record.
    fn forget(&mut self, piece: PieceIndex) -> Vec<Sent> {
        let Some(record) = self.records.remove(&piece) else { return Vec::new() };
        self.ages.retain(|&other| other != piece);
        self.blocks -= record.len();
        record
    }
}

/// The one peer that sent every block, when there is one.
fn sole_sender(blocks: usize, senders: &[(u32, Culprit)]) -> Option<Culprit> {
    let &(_, first) = senders.first()?;
    let mut numbers: Vec<u32> = senders.iter().map(|&(block, _)| block).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let every_block = numbers.len() == blocks && numbers.last().is_some_and(|&last| last as usize == blocks - 1);
    (every_block && senders.iter().all(|&(_, sender)| sender == first)).then_some(first)
}

fn sorted(mut culprits: Vec<Culprit>) -> Vec<Culprit> {
    culprits.sort_unstable();
    culprits.dedup();
    culprits
}

#[cfg(test)]
mod tests;
