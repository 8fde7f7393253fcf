//! Our requests: which are under way, and how many should be.
//!
//! Two sets. *Outstanding* requests await an answer, in the order in which they were sent. *Given up* are those we stopped
//! waiting for (cancelled, returned by a choke or a snub): their blocks may still be on the way and are welcome, and with
//! the fast extension each still gets its one answer. BEP 6: "every request is guaranteed to result in EXACTLY ONE
//! response".
//!
//! Depth: enough requests are kept under way to cover the round trip and a margin at the rate that the peer has shown. Until
//! its rate stops growing it is in a slow start: each block that arrives adds one, which doubles the depth each round trip.
//! A snubbing peer is asked for one block at a time. One that does not choke us and rejects all that it is asked for is, after some
//! patience, asked again after a wait, which is doubled each time; a block that comes ends that.

use super::asked::BlockSet;
use crate::border::PeerConfig;
use crate::journal::canon::canon_struct;
use crate::metainfo::{BLOCK_LENGTH, Block, PieceIndex};
use crate::rate::Rate;
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

/// How long a rate is measured before it is compared with the one before, in the slow start.
const ROUND: Duration = Duration::from_millis(500);

/// Our requests to one peer.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    outstanding: VecDeque<Request>,
    /// The blocks of these.
    asked: BlockSet,
    given_up: VecDeque<Block>,
    max_given_up: usize,
    /// How many requests should be under way.
    target: u32,
    slow_start: bool,
    snubbed: bool,
    /// How often in a row it has choked us when it was asked, without a block between.
    fruitless: u32,
    refusals: Refusals,
    round: Round,
    /// The shortest time that a block took to come.
    round_trip: Option<Duration>,
    received: Rate,
    /// When a block last came, or it was learnt otherwise that the peer works on our requests.
    progress_at: Time,
    last_block_at: Option<Time>,
}

canon_struct!(out Requests { outstanding, asked, given_up, max_given_up, target, slow_start, snubbed, fruitless, refusals, round, round_trip, received, progress_at, last_block_at });

#[derive(Clone, Copy, Debug)]
struct Request {
    block: Block,
    sent_at: Time,
}

canon_struct!(out Request { block, sent_at });

/// Rejects of a peer that does not choke us, with no block in between.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    /// How many, before the first wait.
    count: u32,
    /// How often we have waited because of them.
    waits: u32,
    /// It is not asked for anything before.
    until: Option<Time>,
}

canon_struct!(out Refusals { count, waits, until });

/// One measurement of the slow start.
#[derive(Clone, Copy, Debug)]
struct Round {
    since: Time,
    bytes: u64,
    /// Bytes a second in the round before.
    before: u64,
}

canon_struct!(out Round { since, bytes, before });

/// What became of a block that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was under way, or given up.
    Wanted,
    /// Nobody asked for it.
    Unrequested,
}

/// What became of a reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The request was under way, and is not any more.
    Rejected,
    /// It had been given up already.
    GivenUp,
    /// Nobody asked for it.
    Unrequested,
}

impl Requests {
    pub fn new(now: Time, config: &PeerConfig) -> Requests {
        Requests {
            outstanding: VecDeque::new(),
            asked: BlockSet::default(),
            given_up: VecDeque::new(),
            max_given_up: config.max_given_up as usize,
            target: config.depth_min,
            slow_start: true,
            snubbed: false,
            fruitless: 0,
            refusals: Refusals::default(),
            round: Round { since: now, bytes: 0, before: 0 },
            round_trip: None,
            received: Rate::default(),
            progress_at: now,
            last_block_at: None,
        }
    }

    pub fn outstanding(&self) -> impl ExactSizeIterator<Item = Block> + '_ {
        self.outstanding.iter().map(|request| request.block)
    }

    pub fn len(&self) -> u32 {
        self.outstanding.len() as u32
    }

    pub fn contains(&self, block: Block) -> bool {
        self.asked.contains(block)
    }

    pub fn is_snubbed(&self) -> bool {
        self.snubbed
    }

    pub fn rate(&self) -> &Rate {
        &self.received
    }

    pub fn last_block_at(&self) -> Option<Time> {
        self.last_block_at
    }

    /// How many requests should be under way at most, for a peer that queues `reqq`.
    pub fn depth(&self, reqq: u32) -> u32 {
        if self.snubbed { 1 } else { self.target.min(reqq) }
    }

    /// How many requests more belong under way. A deep queue is refilled `batch` at a time.
    pub fn room(&self, reqq: u32, batch: u32) -> u32 {
        if self.refusals.until.is_some() {
            return 0;
        }
        let depth = self.depth(reqq);
        let room = depth.saturating_sub(self.len());
        let is_deep = depth >= batch.saturating_mul(2);
        // With less than a batch under way it would run dry before there is room for one.
        if is_deep && room < batch && self.len() > batch { 0 } else { room }
    }

    pub fn sent(&mut self, now: Time, block: Block) {
        if self.outstanding.is_empty() {
            self.progress_at = now;
        }
        self.outstanding.push_back(Request { block, sent_at: now });
        self.asked.insert(block);
    }

    /// A block came.
    pub fn arrived(&mut self, now: Time, block: Block, config: &PeerConfig) -> Arrival {
        let Some(sent_at) = self.take(block) else {
            return match self.forgive(block) {
                true => {
                    self.counted(now, block, config);
                    Arrival::Wanted
                }
                false => Arrival::Unrequested,
            };
        };
        let took = now.since(sent_at);
        self.round_trip = Some(self.round_trip.map_or(took, |shortest| shortest.min(took)));
        self.counted(now, block, config);
        Arrival::Wanted
    }

    /// The peer rejected a request. The answers come in the order of the requests, so one that was given up goes first.
    pub fn rejected(&mut self, now: Time, block: Block, serves_us: bool, config: &PeerConfig) -> Rejection {
        if self.forgive(block) {
            Rejection::GivenUp
        } else if self.take(block).is_some() {
            self.progress_at = now;
            if serves_us && self.refusals.until.is_none() {
                // What was asked for before is rejected as well, most likely: that is one refusal.
                self.refusals.count = self.refusals.count.saturating_add(1);
                if self.refusals.count <= config.reject_grace {
                    return Rejection::Rejected;
                }
                let doubled = config.reject_wait.saturating_mul(1 << self.refusals.waits.min(20));
                self.refusals.waits = self.refusals.waits.saturating_add(1);
                self.refusals.until = Some(now + doubled.min(config.reject_wait_max));
            }
            Rejection::Rejected
        } else {
            Rejection::Unrequested
        }
    }

    /// Stops waiting for one request; false when it was not under way.
    pub fn cancel(&mut self, block: Block) -> bool {
        let was = self.take(block).is_some();
        if was {
            self.give_up(block);
        }
        was
    }

    /// Stops waiting for all requests of a piece.
    pub fn return_piece(&mut self, piece: PieceIndex) -> Vec<Block> {
        let of_piece = self.outstanding.iter().map(|request| request.block).filter(|block| block.piece() == piece);
        let returned: Vec<Block> = of_piece.collect();
        for &block in &returned {
            self.cancel(block);
        }
        returned
    }

    /// Stops waiting for all requests.
    pub fn return_all(&mut self) -> Vec<Block> {
        self.asked.clear();
        let returned: Vec<Block> = self.outstanding.drain(..).map(|request| request.block).collect();
        for &block in &returned {
            self.give_up(block);
        }
        returned
    }

    /// The peer answers what it was asked for by a choke. One that does nothing else is as good as one that is silent.
    pub fn choked_us(&mut self, config: &PeerConfig) {
        self.fruitless = self.fruitless.saturating_add(1);
        if self.fruitless >= config.max_fruitless {
            self.snubbed = true;
            self.slow_start = false;
            self.target = config.depth_min;
        }
    }

    /// The peer serves us again, and shows its rate anew. Requests from before the choke that it has not answered keep
    /// their time: a peer that chokes and unchokes could hold them for ever.
    pub fn unchoked(&mut self, now: Time) {
        self.progress_at = now;
        self.slow_start = true;
        self.round = Round { since: now, bytes: 0, before: 0 };
    }

    /// Gives all requests their full time again, as after a time in which we did not read.
    pub fn restart_clocks(&mut self, now: Time) {
        self.progress_at = now;
        for request in &mut self.outstanding {
            request.sent_at = now;
        }
    }

    /// When a peer that rejected what it was asked for may be asked again.
    pub fn asks_again_at(&self) -> Time {
        self.refusals.until.unwrap_or(Time::NEVER)
    }

    /// Lets it be asked again, if that time has come.
    pub fn ask_again(&mut self, now: Time) {
        if self.refusals.until.is_some_and(|until| until <= now) {
            self.refusals.until = None;
        }
    }

    /// When [`overdue`](Requests::overdue) is to be asked next.
    pub fn deadline(&self, timeout: Duration) -> Time {
        self.outstanding.front().map_or(Time::NEVER, |oldest| oldest.sent_at + timeout)
    }

    /// What has waited too long.
    pub fn overdue(&mut self, now: Time, timeout: Duration, config: &PeerConfig) -> Overdue {
        if now < self.deadline(timeout) {
            return Overdue::Nothing;
        }
        if self.progress_at + timeout <= now {
            self.snubbed = true;
            self.slow_start = false;
            self.target = config.depth_min;
            return Overdue::All(self.return_all());
        }
        // Others were answered meanwhile, so this one was passed over.
        match self.outstanding.pop_front() {
            Some(oldest) => {
                self.asked.remove(oldest.block);
                self.give_up(oldest.block);
                Overdue::One(oldest.block)
            }
            None => Overdue::Nothing,
        }
    }

    fn counted(&mut self, now: Time, block: Block, config: &PeerConfig) {
        let bytes = u64::from(block.length());
        self.snubbed = false;
        self.fruitless = 0;
        self.refusals = Refusals::default();
        self.progress_at = now;
        self.last_block_at = Some(now);
        self.received.add(now, bytes);
        self.round.bytes += bytes;
        if self.slow_start {
            self.target = self.target.saturating_add(1).min(config.depth_max);
        }
        let span = now.since(self.round.since);
        if span >= ROUND {
            self.end_round(now, span, config);
        }
    }

    fn end_round(&mut self, now: Time, span: Duration, config: &PeerConfig) {
        let micros = span.as_micros().max(1);
        let rate = u64::try_from(u128::from(self.round.bytes) * 1_000_000 / micros).unwrap_or(u64::MAX);
        // A tenth more is growth; less is noise.
        if self.round.before > 0 && rate <= self.round.before.saturating_add(self.round.before / 10) {
            self.slow_start = false;
        }
        self.round = Round { since: now, bytes: 0, before: rate };
        if !self.slow_start {
            let covered = self.round_trip.unwrap_or_default().saturating_add(config.depth_margin);
            let bytes = u128::from(self.received.per_second(now)) * covered.as_micros() / 1_000_000;
            let blocks = u32::try_from(bytes / u128::from(BLOCK_LENGTH)).unwrap_or(u32::MAX);
            self.target = blocks.clamp(config.depth_min, config.depth_max);
        }
    }

    /// Takes a request out; when it was sent. Answers come mostly in order, so it is nearly always the first.
    fn take(&mut self, block: Block) -> Option<Time> {
        if !self.asked.remove(block) {
            return None;
        }
        let at = self.outstanding.iter().position(|request| request.block == block)?;
        self.outstanding.remove(at).map(|request| request.sent_at)
    }

    fn forgive(&mut self, block: Block) -> bool {
        match self.given_up.iter().position(|&given_up| given_up == block) {
            Some(at) => self.given_up.remove(at).is_some(),
            None => false,
        }
    }

    fn give_up(&mut self, block: Block) {
        if self.given_up.len() >= self.max_given_up {
            self.given_up.pop_front();
        }
        if self.max_given_up > 0 {
            self.given_up.push_back(block);
        }
    }
}

/// Requests that have waited too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// None.
    Nothing,
    /// One was passed over.
    One(Block),
    /// The peer has sent nothing at all.
    All(Vec<Block>),
}
