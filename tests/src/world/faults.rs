//! What goes wrong by chance, all over the world, and the lines of the nodes.

use super::{NodeId, World};
use crate::seed::Draws;
use parcacik_core::border::{IoFault, JobId, JobResult, Work};
use parcacik_core::rng::Rng;
use std::time::Duration;

/// What goes wrong by chance. All of it is off at first. A chance is one in a million; 0 turns the fault off.
///
/// On the difference between streams and datagrams: a stream loses, doubles and reorders nothing; there a lost packet is a delay,
/// until it has been sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// What each packet takes longer than the latency: the mean of an exponential spread.
    pub jitter: Duration,
    /// That a packet is lost.
    pub loss: u64,
    /// That a datagram is overtaken: it takes up to ten latencies longer.
    pub reorder: u64,
    /// That a datagram comes twice.
    pub duplicate: u64,
    /// That a bit of a datagram is turned over.
    pub corrupt: u64,
    /// How long a sender's queue may be before datagrams are dropped; zero: as long as it likes.
    pub queue: Duration,
    /// That a stream is reset, after a number of bytes of one direction that can be anything up to a MiB.
    pub reset: u64,
    /// That a stream falls silent in the same way: the other end is gone, and nobody says so.
    pub silence: u64,
    /// That a dial is refused.
    pub refuse: u64,
    /// That a dial is never answered.
    pub blackhole: u64,
    /// What a socket takes of a write at first, in bytes, before it takes the rest; 0: everything at once.
    pub short_writes: u64,
    /// How long a node waits at the most before it reads what has come, so that much of it comes together.
    pub lazy_reads: Duration,
    /// How much longer than usual disk work takes, at the most. Jobs overtake each other by it.
    pub disk_jitter: Duration,
    /// That disk work takes up to half a minute.
    pub disk_slow: u64,
    /// That disk work fails with [`IoFault::Device`]; a write may have been done in part, a failed sync loses what it was
    /// to save, and the next one says that all is well.
    pub disk_fault: u64,
    /// What an answer of a tracker takes longer, at the most.
    pub tracker_slow: Duration,
}

/// What a node's line can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it can send, in bytes a second.
    pub upload: u64,
    /// What it can take, in bytes a second; 0: as much as comes.
    pub download: u64,
    /// What a packet takes to leave it or to come to it, besides the world's latency.
    pub latency: Duration,
}

/// A stream's end that was decided when it began: after so many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doom {
    pub after: u64,
    /// By a reset, which is heard, or without a word.
    pub reset: bool,
}

impl Faults {
    /// How long a packet takes: the latency, and its jitter.
    pub(super) fn travel(&self, latency: Duration, rng: &mut Rng) -> Duration {
        match self.jitter {
            Duration::ZERO => latency,
            jitter => latency + Duration::from_micros(rng.exponential(jitter.as_micros() as u64)),
        }
    }

    /// How much later so many bytes of a stream come because packets had to be sent again.
    pub(super) fn resent(&self, bytes: usize, latency: Duration, rng: &mut Rng) -> Duration {
        let packets = (bytes as u64).div_ceil(1460).max(1);
        let mut wait = Duration::from_millis(200).max(latency * 4);
        let mut sum = Duration::ZERO;
        let mut chance = self.loss.saturating_mul(packets).min(900_000);
        while rng.happens(chance) && sum < Duration::from_secs(20) {
            sum += wait;
            wait *= 2;
            chance = self.loss.min(900_000);
        }
        sum
    }

    /// How a new direction of a stream will end, if chance says so.
    pub(super) fn doom(&self, rng: &mut Rng) -> Option<Doom> {
        let reset = rng.happens(self.reset);
        (reset || rng.happens(self.silence)).then(|| Doom { after: rng.scale(0, 1 << 20), reset })
    }
}

impl World {
    /// Lets these things go wrong from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// What goes wrong by chance now.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Gives a node a line of its own.
    pub fn set_line(&mut self, node: NodeId, line: Line) {
        self.nodes[node.0].line = line;
    }

    /// A node's line.
    pub fn line(&self, node: NodeId) -> Line {
        self.nodes[node.0].line
    }

    /// Has work on a disk fail by chance. `None`: it does not.
    pub(super) fn disk_fails(&mut self, node: NodeId, job: JobId, work: &Work) -> Option<Result<JobResult, IoFault>> {
        if self.faults.disk_fault == 0 {
            return None;
        }
        let at = &mut self.nodes[node.0];
        // The network is no disk, and a torrent that cannot be opened is another test.
        let other = matches!(work, Work::Open { .. } | Work::Release { .. } | Work::Resolve { .. } | Work::Http(_));
        if other || !at.disk_rng.happens(self.faults.disk_fault) {
            return None;
        }
        match work {
            // What it was to save is lost when the session hears of it: nobody can know it before.
            Work::Sync { torrent } => _ = at.failing.insert(job, *torrent),
            Work::Write { torrent, piece, begin, bytes } => {
                let some = bytes.slice(..at.disk_rng.index(bytes.len() + 1));
                let part = Work::Write { torrent: *torrent, piece: *piece, begin: *begin, bytes: some };
                _ = at.disk.begin(job, &part);
            }
            _ => {}
        }
        Some(Err(IoFault::Device))
    }

    /// How long disk work takes.
    pub(super) fn disk_takes(&mut self, node: NodeId) -> Duration {
        let faults = self.faults;
        let usual = self.limits.disk;
        let at = &mut self.nodes[node.0];
        let mut span = at.disk_time.unwrap_or(usual);
        if faults.disk_jitter > Duration::ZERO {
            span += Duration::from_micros(at.disk_rng.range(0, faults.disk_jitter.as_micros() as u64));
        }
        if at.disk_rng.happens(faults.disk_slow) {
            span += Duration::from_millis(at.disk_rng.range(100, 30_000));
        }
        span
    }
}
