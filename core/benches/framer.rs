//! Cutting a stream into messages: a download as it is (pieces of 16 KiB with haves between), and small messages alone,
//! each in chunks of several sizes.
//!
//! A chunk of 64 KiB or more is what a driver reads; one of 1,400 bytes is what a slow line brings (every block is then put
//! together from twelve); one of 100 bytes is as good as nobody sends.

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::wire::{BlockRange, Framer, Message};
use std::hint::black_box;
use std::time::Duration;

const BLOCK: u32 = 16 * 1024;

/// A stream, and how many messages it holds.
fn stream(name: &str) -> (Bytes, u64) {
    let mut rng = Seeds::for_tests(1).decisions(Stream::Session, 0);
    let mut bytes = BytesMut::new();
    let data = Bytes::from(vec![0; BLOCK as usize]);
    let mut messages = 0;
    for number in 0..if name == "download" { 1_000 } else { 100_000u32 } {
        let piece = rng.below(10_000) as u32;
        let range = BlockRange { piece, begin: BLOCK * (number % 16), length: BLOCK };
        let message = match (name, rng.below(10)) {
            // A download: of each ten messages seven blocks, two haves, a request.
            ("download", 0..7) => Message::Piece { piece, begin: range.begin, data: data.clone() },
            ("download", 7..9) => Message::Have(piece),
            // What a seed hears: requests, some haves.
            (_, 0..3) => Message::Have(piece),
            (_, 9) => Message::Cancel(range),
            _ => Message::Request(range),
        };
        message.emit(&mut bytes);
        messages += 1;
    }
    (bytes.freeze(), messages)
}

fn read(chunks: &[Bytes]) -> u64 {
    let mut framer = Framer::new(160 << 10);
    let mut opaque = Vec::new();
    let mut count = 0;
    for chunk in chunks {
        opaque.clear();
        framer.feed(chunk.clone(), 0);
        while let Ok(Some(message)) = framer.next(&mut opaque) {
            black_box(&message);
            count += 1;
        }
    }
    count
}

fn framer(c: &mut Criterion) {
    for name in ["download", "requests"] {
        let (stream, messages) = stream(name);
        for (unit, throughput) in
            [("bytes", Throughput::Bytes(stream.len() as u64)), ("messages", Throughput::Elements(messages))]
        {
            let mut group = c.benchmark_group(format!("framer/{name}/{unit}"));
            group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
            group.throughput(throughput);
            for cut in [262_144, 65_536, 1_400, 100] {
                // A chunk is a buffer of its own, as from a socket.
                let chunks: Vec<Bytes> = stream.chunks(cut).map(Bytes::copy_from_slice).collect();
                assert_eq!(read(&chunks), messages);
                group.bench_function(BenchmarkId::from_parameter(cut), |b| b.iter(|| read(black_box(&chunks))));
            }
            group.finish();
        }
    }
}

criterion_group!(benches, framer);
criterion_main!(benches);
