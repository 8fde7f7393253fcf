//! What a pick costs as torrents grow: 1,000, 100,000 and 1,000,000 pieces.
//!
//! `drain` begins, receives and verifies 256 pieces of one block from one peer, from a fresh picker whose peer list is made
//! of random halves; the figure is for all 256, a peer's list of hints included when it needs one:
//!
//! - `seed`: a peer that has everything;
//! - `half`: a random half;
//! - `few`: 300 pieces, spread;
//! - `common`: all but the rarer half, the worst case for a walk from the rarest end.
//!
//! With a million pieces `half` and `common` hold one pass for 976 hints, of which 256 are used up here.
//!
//! `nothing` asks a peer that has only what we have or have asked for, `have` counts one `have` message, and `join` a bitfield
//! with a random half, with the pick after it that sorts the order anew (the one figure that grows with the torrent).

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{PeerKey, PickConfig};
use parcacik_core::metainfo::{BLOCK_LENGTH, Geometry};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::torrent::picker::{PickAsk, Picker, Received};
use std::hint::black_box;
use std::time::Duration;

const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];
const DRAINED: u32 = 256;
const WHO: PeerKey = PeerKey(1);

fn rng(id: u64) -> Rng {
    Seeds::for_tests(1).decisions(Stream::Picker, id)
}

fn geometry(pieces: u32) -> Geometry {
    Geometry::new(u64::from(pieces) * u64::from(BLOCK_LENGTH), BLOCK_LENGTH).expect("sizes that make a torrent")
}

fn filtered(pieces: u32, mut keep: impl FnMut(u32) -> bool) -> Bitfield {
    let mut set = Bitfield::none(pieces);
    for piece in (0..pieces).filter(|&piece| keep(piece)) {
        set.insert(piece);
    }
    set
}

fn half(pieces: u32, id: u64) -> Bitfield {
    let mut rng = rng(id);
    filtered(pieces, |_| rng.below(2) == 0)
}

/// A torrent in a swarm of ten peers with random halves and a seed; the upper half of the pieces is everywhere twice more.
fn swarm(pieces: u32) -> Picker {
    let config = PickConfig { random_first: 0, ..PickConfig::default() };
    let mut picker = Picker::new(geometry(pieces), &Bitfield::none(pieces), &config, rng(0));
    for id in 10..20 {
        picker.peer_joined(&half(pieces, id));
    }
    for _ in 0..12 {
        picker.peer_joined(&filtered(pieces, |piece| piece >= pieces / 2));
    }
    picker.peer_joined(&Bitfield::all(pieces));
    // The first pick sorts; it is not what is measured.
    let mut out = Vec::new();
    picker.pick(Time::ZERO, WHO, &Bitfield::all(pieces), PickAsk { count: 1, ..PickAsk::default() }, &mut out);
    picker.peer_gone(WHO, &out);
    picker
}

fn drain(picker: &mut Picker, pieces: &Bitfield) {
    let mut out = Vec::with_capacity(1);
    for _ in 0..DRAINED {
        out.clear();
        picker.pick(Time::ZERO, WHO, pieces, PickAsk { count: 1, ..PickAsk::default() }, &mut out);
        for &block in &out {
            assert!(matches!(picker.received(WHO, block), Received::New { piece_full: true, .. }));
            picker.piece_passed(block.piece());
        }
    }
}

fn picks(c: &mut Criterion) {
    let mut group = c.benchmark_group("picker");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for pieces in SIZES {
        let picker = swarm(pieces);
        let kinds = [
            ("seed", Bitfield::all(pieces)),
            ("half", half(pieces, 99)),
            ("few", filtered(pieces, |piece| piece % (pieces / 300) == 0)),
            ("common", filtered(pieces, |piece| piece >= pieces / 2)),
        ];
        group.throughput(Throughput::Elements(u64::from(DRAINED)));
        for (kind, theirs) in &kinds {
            group.bench_with_input(BenchmarkId::new(format!("drain/{kind}"), pieces), theirs, |b, theirs| {
                b.iter_batched_ref(|| picker.clone(), |picker| drain(picker, theirs), BatchSize::PerIteration);
            });
        }
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("nothing", pieces), |b| {
            let theirs = filtered(pieces, |piece| piece % (pieces / 100) == 0);
            let mut picker = picker.clone();
            let mut out = Vec::new();
            let ask = PickAsk { count: 1_000, ..PickAsk::default() };
            picker.pick(Time::ZERO, WHO, &theirs, ask, &mut out);
            b.iter(|| {
                out.clear();
                picker.pick(Time::ZERO, WHO, &theirs, ask, &mut out);
                assert!(out.is_empty());
            });
        });
        group.bench_function(BenchmarkId::new("have", pieces), |b| {
            let mut picker = picker.clone();
            let mut rng = rng(5);
            let geometry = geometry(pieces);
            b.iter(|| {
                let piece = geometry.piece(rng.below(u64::from(pieces)) as u32).expect("a piece of this torrent");
                picker.peer_gained(piece);
                picker.peer_lost(piece);
                black_box(&picker);
            });
        });
        group.bench_function(BenchmarkId::new("join", pieces), |b| {
            let theirs = half(pieces, 77);
            let mut picker = picker.clone();
            let mut out = Vec::new();
            b.iter(|| {
                out.clear();
                picker.peer_joined(&theirs);
                picker.pick(Time::ZERO, WHO, &theirs, PickAsk { count: 1, ..PickAsk::default() }, &mut out);
                picker.peer_gone(WHO, &out);
                picker.peer_left(&theirs);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, picks);
criterion_main!(benches);
