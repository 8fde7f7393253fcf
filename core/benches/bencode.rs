//! Reading bencoding, beside `bt_bencode` in the same run, on three texts: 5,000 files (many small values), 10,000 files, and
//! one file of 100,000 pieces (one large string).
//!
//! | figure | who | does |
//! |---|---|---|
//! | `tree/ours`, `tree/bt_bencode` | `Document`, `bt_bencode::Value` | checks the text and makes something that every field can be looked up in |
//! | `fields/ours`, `fields/bt_bencode` | `Document` and look-ups; `serde` | fills one and the same struct: names, lengths, paths, hashes, all owned |
//! | `metainfo` | `Metainfo` | all that a client needs: the same fields, the info-hash, safe paths without collisions, offsets, limits |
//!
//! The aim: ours takes no longer than `bt_bencode` in either pair.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parcacik_core::bencode::{Dict, Document, FieldError, Limits, Mode, encode_dict};
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use serde::Deserialize;
use std::hint::black_box;
use std::time::Duration;

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

/// What both are to fill.
#[derive(Debug, Deserialize, PartialEq)]
struct Torrent {
    announce: String,
    info: Info,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Info {
    files: Vec<File>,
    name: String,
    #[serde(rename = "piece length")]
    piece_length: u32,
    pieces: bt_bencode::ByteString,
}

#[derive(Debug, Deserialize, PartialEq)]
struct File {
    length: u64,
    path: Vec<String>,
}

const LIMITS: Limits = Limits { bytes: 64 << 20, depth: 100, tokens: 3_000_000 };

fn ours(text: &[u8]) -> Option<Torrent> {
    let document = Document::decode(text, Mode::Strict, &LIMITS).ok()?;
    let top = document.root().dict()?;
    let info = top.dict("info").ok()??;
    let string = |dict: Dict<'_, '_>, key: &str| -> Result<String, FieldError> {
        Ok(String::from_utf8_lossy(dict.require_bytes(key)?).into_owned())
    };
    // What is decoded already can be counted first, so that a list gets its room at once; and where all keys of a dictionary are
    // wanted, one walk over it is quicker than a search for each.
    let list = info.list("files").ok()??;
    let mut files = Vec::with_capacity(list.clone().count());
    for file in list {
        let (mut length, mut path) = (None, None);
        for (key, value) in file.dict()?.iter() {
            match key {
                b"length" => length = Some(value.int()?),
                b"path" => path = Some(value.list()?),
                _ => {}
            }
        }
        let elements = path?;
        let mut path = Vec::with_capacity(elements.clone().count());
        for element in elements {
            path.push(element.text()?.to_owned());
        }
        files.push(File { length: length?.try_into().ok()?, path });
    }
    Some(Torrent {
        announce: string(top, "announce").ok()?,
        info: Info {
            files,
            name: string(info, "name").ok()?,
            piece_length: info.require_int("piece length").ok()?.try_into().ok()?,
            pieces: info.require_bytes("pieces").ok()?.into(),
        },
    })
}

fn bencode(criterion: &mut Criterion) {
    let texts = [
        ("5 000 files", torrent(5_000, 5_000)),
        ("10 000 files", torrent(10_000, 10_000)),
        ("100 000 pieces", torrent(1, 100_000)),
    ];
    for (name, text) in texts {
        assert_eq!(ours(&text), bt_bencode::from_slice(&text).ok(), "both read the same");
        let mut group = criterion.benchmark_group(name);
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("tree/ours", |bencher| {
            bencher
                .iter(|| Document::decode(black_box(&text), Mode::Strict, &LIMITS).map(|document| document.length()));
        });
        group.bench_function("tree/bt_bencode", |bencher| {
            bencher.iter(|| bt_bencode::from_slice::<bt_bencode::Value>(black_box(&text)).is_ok());
        });
        group.bench_function("fields/ours", |bencher| bencher.iter(|| ours(black_box(&text)).is_some()));
        group.bench_function("fields/bt_bencode", |bencher| {
            bencher.iter(|| bt_bencode::from_slice::<Torrent>(black_box(&text)).is_ok());
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
