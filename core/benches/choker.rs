//! What a round of choking costs with 50, 1,000 and 5,000 peers, of whom half want something; and what a peer costs that
//! comes, wants something and goes.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parcacik_core::border::{ChokeConfig, PeerKey};
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::torrent::choker::{ChokePeer, Choker};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

fn rng(id: u64) -> Rng {
    Seeds::for_tests(1).decisions(Stream::Choker, id)
}

fn peers(count: usize) -> Vec<ChokePeer> {
    let mut rng = rng(1);
    (0..count)
        .map(|number| ChokePeer {
            key: PeerKey(number as u64 + 1),
            addr: IpAddr::V4(Ipv4Addr::from_bits(rng.next_u32())),
            interested: rng.below(2) == 0,
            choked: true,
            download_rate: rng.below(1 << 20),
            upload_rate: rng.below(1 << 20),
            uploaded: rng.below(1 << 30),
            snubbed: false,
            connected_at: Time::from_secs(number as u64),
            upload_only: false,
        })
        .collect()
}

/// One round, and the peers do as they are told.
fn round(choker: &mut Choker, peers: &mut [ChokePeer], now: Time, seeding: bool) {
    for (key, unchoke) in choker.round(now, &ChokeConfig::default(), seeding, peers) {
        // Keys are places plus one.
        peers[key.0 as usize - 1].choked = !unchoke;
    }
}

fn choker(c: &mut Criterion) {
    let mut group = c.benchmark_group("choker");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for count in [50, 1_000, 5_000] {
        group.throughput(Throughput::Elements(count as u64));
        for (name, seeding) in [("round/download", false), ("round/seed", true)] {
            group.bench_function(BenchmarkId::new(name, count), |b| {
                let (mut choker, mut peers) = (Choker::new(rng(0)), peers(count));
                let mut now = Time::from_secs(100_000);
                b.iter(|| {
                    now = now + Duration::from_secs(10);
                    round(&mut choker, &mut peers, now, seeding);
                    black_box(choker.served());
                });
            });
        }
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("comes_and_goes", count), |b| {
            let (mut choker, mut peers) = (Choker::new(rng(0)), peers(count));
            let now = Time::from_secs(100_000);
            round(&mut choker, &mut peers, now, true);
            let guest = ChokePeer { key: PeerKey(1 << 40), interested: true, ..peers[0] };
            b.iter(|| {
                black_box(choker.interest_changed(now, &ChokeConfig::default(), &guest));
                choker.peer_gone(now, &ChokeConfig::default(), guest.key, 0);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, choker);
criterion_main!(benches);
