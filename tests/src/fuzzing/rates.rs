//! Rate limits and turns. A bucket is held against one that is filled at every step, and against its laws; a fair queue against a list that
//! is searched through.

use super::operations;
use arbitrary::Arbitrary;
use parcacik_core::border::RateConfig;
use parcacik_core::rate::Bucket;
use parcacik_core::rate::{FairQueue, Share};
use parcacik_core::time::Time;
use std::time::Duration;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    Set {
        per_second: u32,
        shift: u8,
    },
    Unlimit,
    Take {
        bytes: u16,
    },
    /// What there is, as one would who waits for its turn.
    TakeTurn,
    TakeUnasked {
        bytes: u16,
    },
    PutBack {
        bytes: u16,
    },
    Wait {
        micros: u16,
        shift: u8,
    },
    /// To when there will be so many bytes.
    WaitFor {
        bytes: u16,
    },
    Join {
        member: u8,
    },
    Leave {
        member: u8,
    },
    GiveTurn {
        used: u16,
    },
}

/// A bucket in millionths of bytes, filled whenever it is looked at.
struct Plain {
    rate: i128,
    burst: i128,
    level: i128,
    /// What has come in and what may still be owed, since the limit was set.
    since: Time,
    asked: i128,
}

const MEMBERS: usize = 6;

/// One input.
pub fn run(input: &[u8]) {
    let config = RateConfig::default();
    let (mut bucket, mut plain) = (Bucket::default(), None::<Plain>);
    let (mut queue, mut shares) = (FairQueue::default(), [Share::default(); MEMBERS]);
    // Whether each waits, what it has used, and what who had the last turn had used.
    let (mut books, mut floor) = ([(false, 0u64); MEMBERS], 0);
    let mut now = Time::from_secs(1);
    for op in operations(input, 300) {
        match op {
            Op::Set { per_second, shift } => {
                let limit = u64::from(per_second) << (shift % 20);
                bucket.set(now, &config, Some(limit));
                let limit = limit.clamp(1, 1 << 48);
                let within = |span: Duration| u128::from(limit) * span.as_micros() / 1_000_000;
                let burst = (within(config.burst) + within(config.turn).max(256)) as i128 * 1_000_000;
                plain = Some(Plain { rate: limit.into(), burst, level: 0, since: now, asked: 0 });
                assert_eq!(bucket.limit(), Some(limit));
            }
            Op::Unlimit => {
                bucket.set(now, &config, None);
                plain = None;
            }
            Op::Take { bytes } => {
                if let Some(plain) = &mut plain {
                    // Taking without asking is not bounded by the laws.
                    plain.since = now;
                    plain.asked = 0;
                    plain.level -= i128::from(bytes) * 1_000_000;
                }
                bucket.take(now, bytes.into());
            }
            Op::TakeTurn => {
                let bytes = bucket.there(now).min(bucket.turn());
                if let Some(plain) = &mut plain
                    && bucket.has(now, bytes)
                {
                    plain.level -= i128::from(bytes) * 1_000_000;
                    plain.asked += i128::from(bytes) * 1_000_000;
                    bucket.take(now, bytes);
                    let came = plain.rate * now.since(plain.since).as_micros() as i128;
                    assert!(plain.asked <= came + plain.burst, "more than the limit allows");
                }
            }
            Op::TakeUnasked { bytes } => {
                if let Some(plain) = &mut plain {
                    let floor = plain.level.min(-plain.burst);
                    plain.level = (plain.level - i128::from(bytes) * 1_000_000).max(floor);
                }
                bucket.take_unasked(now, bytes.into());
            }
            Op::PutBack { bytes } => {
                if let Some(plain) = &mut plain {
                    plain.level = (plain.level + i128::from(bytes) * 1_000_000).min(plain.burst);
                    plain.since = now;
                    plain.asked = 0;
                }
                bucket.put_back(now, bytes.into());
            }
            Op::Wait { micros, shift } => {
                let waited = Duration::from_micros(u64::from(micros) << (shift % 16));
                now = now + waited;
                fill(&mut plain, waited);
            }
            Op::WaitFor { bytes } => {
                let due = bucket.due(now, bytes.into());
                if due == Time::NEVER || due.since(now) > Duration::from_secs(1 << 20) {
                    continue;
                }
                if due > now {
                    let just_before = Time(due.0 - 1);
                    assert!(!bucket.has(just_before, bytes.into()), "it was due before");
                }
                fill(&mut plain, due.since(now));
                now = now.max(due);
                assert!(bucket.has(now, bytes.into()), "it is not there when it is due");
            }
            Op::Join { member } => {
                let member = usize::from(member) % MEMBERS;
                let (waits, used) = &mut books[member];
                if !std::mem::replace(waits, true) {
                    *used = (*used).max(floor);
                }
                queue.wait(member, &mut shares[member]);
            }
            Op::Leave { member } => {
                let member = usize::from(member) % MEMBERS;
                books[member].0 = false;
                queue.leave(member, &mut shares[member]);
            }
            Op::GiveTurn { used } => {
                let waiting = (0..MEMBERS).filter(|&member| books[member].0);
                let first = waiting.min_by_key(|&member| (books[member].1, member));
                assert_eq!(queue.whose_turn(), first);
                if let Some(member) = first {
                    floor = books[member].1;
                    books[member] = (false, floor + u64::from(used));
                    queue.leave(member, &mut shares[member]);
                    shares[member].used(used.into());
                }
            }
        }
        assert_eq!(bucket.is_limited(), plain.is_some());
        assert_eq!(queue.is_empty(), books.iter().all(|(waits, _)| !waits));
        let there = plain.as_ref().map_or(u64::MAX, |plain| u64::try_from(plain.level / 1_000_000).unwrap_or(0));
        assert_eq!(bucket.there(now), there);
    }
}

fn fill(plain: &mut Option<Plain>, waited: Duration) {
    if let Some(plain) = plain {
        let came = plain.rate * waited.as_micros() as i128;
        plain.level = (plain.level + came).min(plain.burst).max(plain.level);
    }
}
