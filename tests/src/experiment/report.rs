//! What came of an experiment, in figures, as text and as JSON.

use super::bound::shortest;
use super::census::Census;
use super::idle::Sample;
use super::options::{Join, Options};
use parcacik_core::metainfo::BLOCK_LENGTH;
use parcacik_core::time::Time;
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// What it cost to compute: the only part of a [`Report`] that is not the same each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// By the clock.
    pub wall: Duration,
    /// Of processors, where the system tells.
    pub processor: Option<Duration>,
}

/// How it went for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// It had everything from the beginning.
    pub seed: bool,
    /// It gave nothing.
    pub free_rider: bool,
    /// When it came.
    pub joined: Time,
    /// When it had everything.
    pub finished: Option<Time>,
    /// Bytes of pieces that it got.
    pub downloaded: u64,
    /// Bytes of content that it gave.
    pub uploaded: u64,
    /// All bytes that it sent.
    pub sent: u64,
    /// Bytes of content that came twice, or were not wanted.
    pub wasted: u64,
    /// Connections in the end.
    pub links: u32,
    /// Connections that ended before.
    pub closed: u64,
    /// Messages that it sent.
    pub messages: Census,
}

impl PeerReport {
    /// How long it took, in seconds.
    pub fn took(&self) -> Option<f64> {
        self.finished.map(|finished| finished.since(self.joined).as_secs_f64())
    }
}

/// When each piece was whole at somebody who had not got it from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstCopy {
    /// When.
    pub at: Time,
    /// Bytes of content that the seeds had given until then.
    pub sent: u64,
}

/// What came of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was asked.
    pub options: Options,
    /// Each peer, the seeds first.
    pub peers: Vec<PeerReport>,
    /// When it ended.
    pub ended: Time,
    /// Calls to sessions.
    pub events: u64,
    /// When somebody who is no seed got a piece, rising by and large.
    pub pieces: Vec<Time>,
    /// When all pieces were out; `None`: they never were.
    pub first_copy: Option<FirstCopy>,
    /// How it stood with the uplinks, second by second.
    pub idle: Vec<Sample>,
    /// What it cost.
    pub cost: Cost,
}

/// Jain's index of fairness: 1 when all are alike, 1 / n when one has everything.
fn jain(shares: &[f64]) -> Option<f64> {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    (squares > 0.0).then(|| sum * sum / (squares * shares.len() as f64))
}

/// The value below which so many hundredths of them lie; of a rising list.
fn percentile(rising: &[f64], hundredths: usize) -> Option<f64> {
    let last = rising.len().checked_sub(1)?;
    rising.get((rising.len() * hundredths).div_ceil(100).saturating_sub(1).min(last)).copied()
}

impl Report {
    /// Those who wanted the file.
    pub fn leeches(&self) -> impl Iterator<Item = &PeerReport> {
        self.peers.iter().filter(|peer| !peer.seed)
    }

    /// How many of them have it.
    pub fn finished(&self) -> usize {
        self.leeches().filter(|peer| peer.finished.is_some()).count()
    }

    /// How long each took that has it, in seconds, rising.
    pub fn completions(&self) -> Vec<f64> {
        let mut took: Vec<f64> = self.leeches().filter_map(PeerReport::took).collect();
        took.sort_by(f64::total_cmp);
        took
    }

    /// When the last had it, in seconds; `None`: not all have it.
    pub fn last(&self) -> Option<f64> {
        let all: Option<Vec<Time>> = self.leeches().map(|peer| peer.finished).collect();
        Some(all?.into_iter().max()?.as_micros() as f64 / 1e6)
    }

    /// The shortest possible time until all have it, in seconds.
    pub fn bound(&self) -> f64 {
        let last = self.leeches().map(|peer| peer.joined).max().unwrap_or_default();
        shortest(&self.options, last.as_micros() as f64 / 1e6)
    }

    /// The shortest possible time by the time it took; `None`: not all have it.
    pub fn efficiency(&self) -> Option<f64> {
        self.last().map(|last| self.bound() / last)
    }

    /// Jain's index of the download rates of those who have it.
    pub fn fairness(&self) -> Option<f64> {
        jain(&self.leeches().filter_map(PeerReport::took).map(|took| 1.0 / took.max(1e-6)).collect::<Vec<_>>())
    }

    /// Content given by content had, of each who is no seed; rising.
    pub fn ratios(&self) -> Vec<f64> {
        let had = self.leeches().filter(|peer| peer.downloaded > 0);
        let mut ratios: Vec<f64> = had.map(|peer| peer.uploaded as f64 / peer.downloaded as f64).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }

    /// Content that came for nothing, of all that came.
    pub fn waste(&self) -> f64 {
        let (got, wasted) = self.leeches().fold((0, 0), |sum, peer| (sum.0 + peer.downloaded, sum.1 + peer.wasted));
        wasted as f64 / ((got + wasted) as f64).max(1.0)
    }

    /// Blocks that were received.
    pub fn blocks(&self) -> u64 {
        self.leeches().map(|peer| (peer.downloaded + peer.wasted).div_ceil(u64::from(BLOCK_LENGTH))).sum()
    }

    /// All messages.
    pub fn messages(&self) -> Census {
        let mut all = Census::default();
        for peer in &self.peers {
            all.add(&peer.messages);
        }
        all
    }

    /// What the seeds gave, in copies of the file.
    pub fn copies_of_seeds(&self) -> f64 {
        let given: u64 = self.peers.iter().filter(|peer| peer.seed).map(|peer| peer.uploaded).sum();
        given as f64 / self.options.size as f64
    }

    /// How much of what the seeds gave until the first copy was out had been given before, of all that they gave until then.
    pub fn given_twice(&self) -> Option<f64> {
        self.first_copy.map(|copy| copy.sent.saturating_sub(self.options.size) as f64 / copy.sent.max(1) as f64)
    }

    /// How long after the first copy was out so many hundredths of the peers had everything, in seconds.
    pub fn after_first_copy(&self, hundredths: usize) -> Option<f64> {
        let mut finished: Vec<f64> = Vec::new();
        for peer in self.leeches() {
            finished.push(peer.finished?.as_micros() as f64 / 1e6);
        }
        finished.sort_by(f64::total_cmp);
        Some(percentile(&finished, hundredths)? - self.first_copy?.at.as_micros() as f64 / 1e6)
    }

    /// The shares of uplinks that stood still until the last peer had everything, by why: see [`Sample::idle`].
    pub fn idle_shares(&self) -> [f64; 4] {
        let until = self.leeches().filter_map(|peer| peer.finished).max().unwrap_or(self.ended);
        let samples: Vec<&Sample> = self.idle.iter().filter(|sample| sample.at <= until).collect();
        let mut shares = [0.0; 4];
        for sample in &samples {
            for (sum, share) in shares.iter_mut().zip(sample.idle()) {
                *sum += share / samples.len() as f64;
            }
        }
        shares
    }

    /// Blocks by seconds of processor time, or by the clock where that is not known.
    pub fn blocks_per_second(&self) -> f64 {
        self.blocks() as f64 / self.seconds()
    }

    fn seconds(&self) -> f64 {
        self.cost.processor.unwrap_or(self.cost.wall).as_secs_f64().max(1e-9)
    }

    /// Seconds that passed in the swarm, by seconds that it cost.
    pub fn speed(&self) -> f64 {
        self.ended.as_micros() as f64 / 1e6 / self.seconds()
    }

    /// Everything, as JSON. All but `cost` is the same each time.
    pub fn to_json(&self) -> Value {
        let o = &self.options;
        let join = match o.join {
            Join::Crowd => json!("crowd"),
            Join::Poisson(gap) => json!({ "poisson_gap_seconds": gap.as_secs_f64() }),
        };
        let took = self.completions();
        let seconds = |time: Time| time.as_micros() as f64 / 1e6;
        let peers = self.peers.iter().map(|peer| {
            json!({
                "seed": peer.seed,
                "free_rider": peer.free_rider,
                "joined": seconds(peer.joined),
                "finished": peer.finished.map(seconds),
                "downloaded": peer.downloaded,
                "uploaded": peer.uploaded,
                "sent": peer.sent,
                "wasted": peer.wasted,
                "links": peer.links,
                "closed": peer.closed,
            })
        });
        let idle = self.idle_shares();
        let samples = self.idle.iter().map(|sample| {
            json!([
                seconds(sample.at),
                sample.sent,
                sample.busy,
                sample.unwanted,
                sample.choking,
                sample.unasked,
                sample.waiting,
                sample.fewest,
                sample.most
            ])
        });
        let messages: Map<String, Value> =
            self.messages().iter().map(|(kind, count)| (kind.to_owned(), count.into())).collect();
        json!({
            "options": {
                "peers": o.peers,
                "seeds": o.seeds,
                "free_riders": o.free_riders,
                "size": o.size,
                "piece_length": o.piece_length,
                "up": o.up,
                "down": o.down,
                "seed_up": o.seed_up.unwrap_or(o.up),
                "latency_seconds": o.latency.as_secs_f64(),
                "links": o.links,
                "contacts": o.contacts,
                "policy": o.policy.name(),
                "super_seed": o.super_seed,
                "join": join,
                "leave": o.leave,
                "seed": o.seed,
            },
            "finished": self.finished(),
            "bound_seconds": self.bound(),
            "last_seconds": self.last(),
            "efficiency": self.efficiency(),
            "completion_seconds": {
                "min": took.first(),
                "median": percentile(&took, 50),
                "p95": percentile(&took, 95),
                "max": took.last(),
                "all": took,
            },
            "fairness": self.fairness(),
            "share_ratios": self.ratios(),
            "waste": self.waste(),
            "wasted_bytes": self.leeches().map(|peer| peer.wasted).sum::<u64>(),
            "copies_of_seeds": self.copies_of_seeds(),
            "first_copy": self.first_copy.map(|copy| json!({
                "at_seconds": seconds(copy.at),
                "sent_by_seeds": copy.sent,
                "given_twice": self.given_twice(),
                "to_median_seconds": self.after_first_copy(50),
                "to_p95_seconds": self.after_first_copy(95),
                "to_last_seconds": self.after_first_copy(100),
            })),
            "idle": {
                "unwanted": idle[0],
                "choking": idle[1],
                "unasked": idle[2],
                "waiting": idle[3],
                "samples": samples.collect::<Vec<_>>(),
            },
            "blocks": self.blocks(),
            "messages": messages,
            "events": self.events,
            "ended_seconds": seconds(self.ended),
            "peers": peers.collect::<Vec<_>>(),
            "cost": {
                "wall_seconds": self.cost.wall.as_secs_f64(),
                "processor_seconds": self.cost.processor.map(|used| used.as_secs_f64()),
                "blocks_per_second": self.blocks_per_second(),
                "speed": self.speed(),
            },
        })
    }
}

/// A figure, or a dash where there is none.
fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (o, took, ratios) = (&self.options, self.completions(), self.ratios());
        writeln!(
            f,
            "{} peers, {} seeds, {} KiB in pieces of {} KiB, seed {}, {} first",
            o.peers,
            o.seeds,
            o.size >> 10,
            o.piece_length >> 10,
            o.seed,
            o.policy.name()
        )?;
        writeln!(
            f,
            "completion   {} of {}: min {} s, median {} s, p95 {} s, max {} s",
            self.finished(),
            o.peers,
            figure(took.first().copied(), 1),
            figure(percentile(&took, 50), 1),
            figure(percentile(&took, 95), 1),
            figure(took.last().copied(), 1)
        )?;
        writeln!(
            f,
            "efficiency   {} (at least {:.1} s are needed; the seeds gave {:.2} copies)",
            figure(self.efficiency(), 3),
            self.bound(),
            self.copies_of_seeds()
        )?;
        writeln!(
            f,
            "first copy   {} s, of what the seeds gave until then {} % was there already; after it {} s to the median, {} s to p95, {} s to \
             the last",
            figure(self.first_copy.map(|copy| copy.at.as_micros() as f64 / 1e6), 1),
            figure(self.given_twice().map(|share| share * 100.0), 1),
            figure(self.after_first_copy(50), 1),
            figure(self.after_first_copy(95), 1),
            figure(self.after_first_copy(100), 1)
        )?;
        let idle = self.idle_shares();
        writeln!(
            f,
            "idle         {:.1} % of uplinks: nobody wants anything {:.1}, all who do are choked {:.1}, nobody asks {:.1}, a request is on \
             its way {:.1}",
            idle.iter().sum::<f64>() * 100.0,
            idle[0] * 100.0,
            idle[1] * 100.0,
            idle[2] * 100.0,
            idle[3] * 100.0
        )?;
        writeln!(
            f,
            "fairness     {} (Jain); share ratio min {}, median {}, max {}",
            figure(self.fairness(), 4),
            figure(ratios.first().copied(), 2),
            figure(percentile(&ratios, 50), 2),
            figure(ratios.last().copied(), 2)
        )?;
        writeln!(f, "waste        {:.3} % of {} blocks", self.waste() * 100.0, self.blocks())?;
        let messages: Vec<String> = self.messages().iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "messages     {}", messages.join(", "))?;
        writeln!(
            f,
            "cost         {} events, {:.2} s by the clock, {} s of processor: {:.0} blocks a second, {:.2} x real time",
            self.events,
            self.cost.wall.as_secs_f64(),
            figure(self.cost.processor.map(|used| used.as_secs_f64()), 2),
            self.blocks_per_second(),
            self.speed()
        )
    }
}

/// Several experiments beside each other.
pub fn table(reports: &[Report]) -> String {
    let mut out = String::from(
        "policy      efficiency  min s  median s  p95 s  max s  Jain    waste %  seed copies  first copy s  idle %  finished\n",
    );
    for report in reports {
        let took = report.completions();
        out.push_str(&format!(
            "{:<11} {:>10} {:>6} {:>9} {:>6} {:>6}  {:<6} {:>8.3} {:>12.2} {:>13} {:>7.1} {:>9}\n",
            report.options.policy.name(),
            figure(report.efficiency(), 3),
            figure(took.first().copied(), 1),
            figure(percentile(&took, 50), 1),
            figure(percentile(&took, 95), 1),
            figure(took.last().copied(), 1),
            figure(report.fairness(), 4),
            report.waste() * 100.0,
            report.copies_of_seeds(),
            figure(report.first_copy.map(|copy| copy.at.as_micros() as f64 / 1e6), 1),
            report.idle_shares().iter().sum::<f64>() * 100.0,
            report.finished(),
        ));
    }
    out
}
