//! What one event costs a whole session with 50, 1,000 and 5,000 connected peers.
//!
//! `one` has all of them in one torrent of 16,384 pieces, `spread` has them in 100 such torrents. Each peer has a random half of
//! the pieces and wants something of us; 50 of them serve us, and 50 a torrent are served. The figure is for one
//! event: [`Session::handle`], going through its actions, and [`Session::deadline`].
//!
//! | figure | the event |
//! |---|---|
//! | `have` | any peer has got a piece that it did not have |
//! | `request` | a peer that we serve asks for a block: a read is started |
//! | `read` | that read ends: the block is sent |
//! | `flushed` | the block has left |
//! | `block` | a block that we asked for comes: it is written, and another one is asked for |
//! | `written` | that write ends |
//! | `piece` | a piece has its hash: all peers are told, so this one grows with them |
//! | `tick` | a tick that is not due |
//! | `churn` | (three events) a peer comes in, has nothing, and goes |
//!
//! The aim: `have` under 400 ns with 5,000 peers, and no figure but `piece` that grows with the number of peers by more than
//! the processor's caches explain.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark has a clock; the core has none")]

mod world;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parcacik_core::border::{Event, JobResult, TcpId, Verdict, Work};
use parcacik_core::metainfo::BLOCK_LENGTH;
use parcacik_core::wire::{BlockRange, Message, emit_piece_head};
use std::time::{Duration, Instant};
use world::{HAD, PIECE_LENGTH, PIECES, World, message, rng};

const PEERS: [usize; 3] = [50, 1_000, 5_000];
const TORRENTS: [(&str, usize); 2] = [("one", 1), ("spread", 100)];

/// So many events are measured together, from a session as it was at the start.
const BATCH: usize = 20_000;

/// How long these events take, one after the other.
fn timed(world: &mut World, events: Vec<Event>) -> Duration {
    let start = Instant::now();
    for event in events {
        world.tell(event);
    }
    start.elapsed()
}

/// New `have` messages of random peers, in random order.
fn haves(world: &World, count: usize) -> Vec<Event> {
    let mut rng = rng(3);
    let mut pieces: Vec<_> = world.peers.iter().map(|peer| peer.pieces.clone()).collect();
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        let peer = rng.index(pieces.len());
        let piece = rng.below(u64::from(PIECES)) as u32;
        if pieces[peer].insert(piece) {
            let bytes = message(&Message::Have(piece));
            events.push(Event::Received { tcp: world.peers[peer].tcp, bytes });
        }
    }
    events
}

fn have(world: &World, count: usize) -> Duration {
    let events = haves(world, count);
    timed(&mut world.clone(), events)
}

/// What is measured of a block's way.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Request,
    Read,
    Flushed,
    Block,
    Written,
    Piece,
}

/// Serves blocks to those who are served, until `count` of them have been.
fn serve(world: &World, count: usize, step: Step) -> Duration {
    let mut world = world.clone();
    let mut rng = rng(4);
    let content = Bytes::from(vec![0; BLOCK_LENGTH as usize]);
    let served: Vec<TcpId> = world.peers.iter().filter(|peer| peer.served).map(|peer| peer.tcp).collect();
    assert!(!served.is_empty(), "somebody is served");
    let mut sum = Duration::ZERO;
    let mut done = 0;
    while done < count {
        let tcps = &served[..served.len().min(count - done)];
        let requests = tcps.iter().map(|&tcp| {
            let begin = BLOCK_LENGTH * rng.below(u64::from(PIECE_LENGTH / BLOCK_LENGTH)) as u32;
            let range = BlockRange { piece: rng.below(u64::from(HAD)) as u32, begin, length: BLOCK_LENGTH };
            Event::Received { tcp, bytes: message(&Message::Request(range)) }
        });
        let took = timed(&mut world, requests.collect());
        sum += if step == Step::Request { took } else { Duration::ZERO };
        let reads = std::mem::take(&mut world.jobs).into_iter();
        let reads = reads.map(|(job, _)| Event::JobDone { job, result: Ok(JobResult::Read(content.clone())) });
        let reads: Vec<Event> = reads.collect();
        assert_eq!(reads.len(), tcps.len(), "each request leads to a read");
        let took = timed(&mut world, reads);
        sum += if step == Step::Read { took } else { Duration::ZERO };
        let flushes = tcps.iter().map(|&tcp| Event::Flushed { tcp, bytes: u64::from(BLOCK_LENGTH) + 13 });
        let took = timed(&mut world, flushes.collect());
        sum += if step == Step::Flushed { took } else { Duration::ZERO };
        world.sent.clear();
        done += tcps.len();
    }
    sum
}

/// Takes blocks from those who serve us, until `count` of the step have been measured or all is there.
fn fetch(world: &World, count: usize, step: Step) -> (Duration, usize) {
    let mut world = world.clone();
    let mut chunk = BytesMut::new();
    let (mut sum, mut done) = (Duration::ZERO, 0);
    while done < count {
        let mut blocks = Vec::new();
        for peer in &mut world.peers {
            let Some(range) = peer.asked.pop_front() else { continue };
            emit_piece_head(&mut chunk, range);
            chunk.resize(chunk.len() + range.length as usize, 0);
            blocks.push(Event::Received { tcp: peer.tcp, bytes: chunk.split().freeze() });
        }
        if blocks.is_empty() {
            break;
        }
        let mut measure = |world: &mut World, events: Vec<Event>, this: Step| {
            let events: Vec<Event> =
                events.into_iter().take(if this == step { count - done } else { usize::MAX }).collect();
            let number = events.len();
            let took = timed(world, events);
            if this == step {
                sum += took;
                done += number;
            }
        };
        measure(&mut world, blocks, Step::Block);
        let written = std::mem::take(&mut world.jobs).into_iter();
        let written = written.map(|(job, work)| Event::JobDone { job, result: World::result_of(&work) }).collect();
        measure(&mut world, written, Step::Written);
        let mut hashed = Vec::new();
        for (job, work) in std::mem::take(&mut world.jobs) {
            let right = Ok(JobResult::Verified(Verdict { matches: true, blocks: vec![] }));
            match work {
                Work::Verify { .. } => hashed.push(Event::JobDone { job, result: right }),
                work => world.tell(Event::JobDone { job, result: World::result_of(&work) }),
            }
        }
        measure(&mut world, hashed, Step::Piece);
        world.work();
        // The peers read what they are told, so that nothing queues up.
        for at in 0..world.sent.len() {
            let (tcp, bytes) = (world.sent[at].0, world.sent[at].1.len() as u64);
            world.tell(Event::Flushed { tcp, bytes });
        }
        world.read_sent();
    }
    (sum, done)
}

fn churn(world: &World, count: usize) -> Duration {
    let mut world = world.clone();
    let torrents = world.hashes.len();
    let mut sum = Duration::ZERO;
    for number in 0..count {
        let tcp = TcpId(1_000_000 + number as u64);
        let start = Instant::now();
        world.greet(tcp, number % torrents);
        world.tell(Event::Received { tcp, bytes: message(&Message::HaveNone) });
        world.tell(Event::Closed { tcp, fault: None });
        sum += start.elapsed();
        world.sent.clear();
    }
    sum
}

/// What `count` events cost, by whole batches, each from the same session: a few events alone would measure how cold the
/// caches are after it was copied.
fn batched(count: u64, mut batch: impl FnMut(usize) -> (Duration, usize)) -> Duration {
    let (mut sum, mut done) = (Duration::ZERO, 0u64);
    while done < count {
        let (took, number) = batch(BATCH);
        assert!(number > 0, "something was measured");
        sum += took;
        done += number as u64;
    }
    Duration::from_nanos((sum.as_nanos() * u128::from(count) / u128::from(done)) as u64)
}

fn events(c: &mut Criterion) {
    for (place, torrents) in TORRENTS {
        let mut group = c.benchmark_group(format!("session/{place}"));
        group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        group.throughput(Throughput::Elements(1));
        for peers in PEERS {
            // Made when it is needed: a filter may leave it out.
            let made = std::cell::OnceCell::new();
            let world = || made.get_or_init(|| World::new(peers, torrents));
            group.bench_function(BenchmarkId::new("have", peers), |b| {
                b.iter_custom(|count| batched(count, |n| (have(world(), n), n)));
            });
            for (name, step) in [("request", Step::Request), ("read", Step::Read), ("flushed", Step::Flushed)] {
                group.bench_function(BenchmarkId::new(name, peers), |b| {
                    b.iter_custom(|count| batched(count, |n| (serve(world(), n, step), n)));
                });
            }
            for (name, step) in [("block", Step::Block), ("written", Step::Written), ("piece", Step::Piece)] {
                group.bench_function(BenchmarkId::new(name, peers), |b| {
                    b.iter_custom(|count| batched(count, |n| fetch(world(), n, step)));
                });
            }
            group.bench_function(BenchmarkId::new("tick", peers), |b| {
                b.iter_custom(|count| batched(count, |n| (timed(&mut world().clone(), vec![Event::Tick; n]), n)));
            });
            group.bench_function(BenchmarkId::new("churn", peers), |b| {
                b.iter_custom(|count| batched(count, |n| (churn(world(), n), n)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, events);
criterion_main!(benches);
