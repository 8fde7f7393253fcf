//! The peer's requests: what is queued, what is being read, what is answered.
//!
//! A request is *queued*, then *being read*, then answered. With the fast extension it is answered exactly once, by a
//! `piece` or a `reject`, whatever happens in between; without it, one that will not be served is dropped in silence.

use crate::journal::canon::canon_struct;
use crate::metainfo::{Block, PieceIndex};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// A run of content to be read for a peer: requests that lie next to each other in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRun {
    /// The piece.
    pub piece: PieceIndex,
    /// Where in the piece, in bytes.
    pub begin: u32,
    /// How many bytes.
    pub length: u32,
}

canon_struct!(out ReadRun { piece, begin, length });

#[derive(Clone, Debug, Default)]
pub(super) struct Upload {
    queued: VecDeque<Block>,
    reading: Vec<Reading>,
    /// Bytes of the runs in `reading`.
    bytes_reading: u64,
}

canon_struct!(out Upload { queued, reading, bytes_reading });

#[derive(Clone, Debug)]
struct Reading {
    run: ReadRun,
    /// The requests that it answers, in their order. Some may have been rejected since.
    blocks: Vec<Block>,
}

canon_struct!(out Reading { run, blocks });

impl Upload {
    /// Requests that have not been answered.
    pub fn len(&self) -> u32 {
        let reading: usize = self.reading.iter().map(|reading| reading.blocks.len()).sum();
        (self.queued.len() + reading) as u32
    }

    /// Whether a request waits to be read for.
    pub fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Bytes that have been asked from the disk.
    pub fn bytes_reading(&self) -> u64 {
        self.bytes_reading
    }

    pub fn push(&mut self, block: Block) {
        self.queued.push_back(block);
    }

    /// Takes a queued request out; one that is being read is left: BEP 6, "requests that are being processed are allowed
    /// to complete."
    pub fn cancel(&mut self, block: Block) -> bool {
        match self.queued.iter().position(|&queued| queued == block) {
            Some(at) => self.queued.remove(at).is_some(),
            None => false,
        }
    }

    /// Takes all requests out but those to `keep`, also those that are being read; in the order in which they came.
    pub fn drop_all_but(&mut self, keep: impl Fn(PieceIndex) -> bool) -> Vec<Block> {
        let mut dropped = Vec::new();
        let mut stays = |block: &Block| {
            let stays = keep(block.piece());
            if !stays {
                dropped.push(*block);
            }
            stays
        };
        for reading in &mut self.reading {
            reading.blocks.retain(&mut stays);
        }
        self.queued.retain(&mut stays);
        dropped
    }

    /// The next run to read: the oldest request, and those behind it that follow on, up to `max` bytes (the oldest alone
    /// may be longer).
    pub fn next_read(&mut self, max: u32) -> Option<ReadRun> {
        let first = self.queued.pop_front()?;
        let mut run = ReadRun { piece: first.piece(), begin: first.begin(), length: first.length() };
        let mut blocks = Vec::from([first]);
        while let Some(&next) = self.queued.front() {
            // Neither sum overflows: both ends lie inside a piece.
            let follows = next.piece() == run.piece && next.begin() == run.begin + run.length;
            let longer = run.length.saturating_add(next.length());
            if !follows || longer > max {
                break;
            }
            run.length = longer;
            blocks.push(next);
            self.queued.pop_front();
        }
        self.bytes_reading += u64::from(run.length);
        self.reading.push(Reading { run, blocks });
        Some(run)
    }

    /// A run has been read: the requests that it is to answer; none when nobody waits for it.
    pub fn loaded(&mut self, run: ReadRun) -> Vec<Block> {
        let Some(at) = self.reading.iter().position(|reading| reading.run == run) else { return Vec::new() };
        self.bytes_reading = self.bytes_reading.saturating_sub(u64::from(run.length));
        self.reading.remove(at).blocks
    }
}
