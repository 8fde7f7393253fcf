//! Speed of reading bencoding: many small values (a file list), one large string (piece hashes), a whole torrent.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parcacik_core::bencode::{Document, Limits, Mode, encode_dict};
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use std::hint::black_box;

/// A torrent of `files` files and `pieces` pieces.
fn torrent(files: usize, pieces: usize) -> Vec<u8> {
    let total = pieces * 16_384;
    encode_dict(|top| {
        top.bytes("announce", "http://tracker.example/announce").dict("info", |info| {
            info.list("files", |list| {
                for file in 0..files {
                    list.dict(|dict| {
                        let length = if file == 0 { total - (files - 1) } else { 1 };
                        dict.int("length", length as i64).list("path", |path| {
                            path.bytes(format!("folder {}", file / 100)).bytes(format!("file number {file}.txt"));
                        });
                    });
                }
            });
            info.bytes("name", "bench").int("piece length", 16_384).bytes("pieces", vec![7; pieces * 20]);
        });
    })
}

fn bencode(criterion: &mut Criterion) {
    let limits = Limits { bytes: 64 << 20, depth: 100, tokens: 3_000_000 };
    for (name, text) in [("10 000 files", torrent(10_000, 10_000)), ("100 000 pieces", torrent(1, 100_000))] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("decode", |bencher| {
            bencher
                .iter(|| Document::decode(black_box(&text), Mode::Lenient, &limits).map(|document| document.length()));
        });
        group.bench_function("metainfo", |bencher| {
            bencher.iter(|| {
                Metainfo::parse(black_box(&text), &MetainfoLimits::default()).map(|torrent| torrent.files().len())
            });
        });
        group.finish();
    }
}

criterion_group!(benches, bencode);
criterion_main!(benches);
