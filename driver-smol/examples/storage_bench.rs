//! What writing and hashing costs: 1 GiB in blocks of 16 KiB through the storage, piece by piece, each verified when written.
//!
//! `cargo run --release -p parcacik-driver-smol --example storage_bench -- [FOLDER] [MIB] [PIECE_KIB]`

use bytes::Bytes;
use parcacik_core::border::{JobId, JobResult, PieceHash, RootId, StorageLayout, TorrentId, Work};
use parcacik_core::path::SafePath;
use parcacik_driver_smol::storage::{Storage, StorageOptions};
use sha1::{Digest, Sha1};
use std::sync::Arc;
use std::time::Instant;

const BLOCK: u32 = 16 << 10;
/// Pieces that are written before the first of them must be verified.
const AHEAD: u32 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "storage-bench".into());
    let mib: u32 = arguments.next().map_or(Ok(1024), |text| text.parse())?;
    let piece_length = arguments.next().map_or(Ok(1024), |text| text.parse::<u32>())? << 10;

    let folder = std::path::Path::new(&folder);
    let (sender, results) = async_channel::unbounded();
    let storage = Storage::start(StorageOptions::default(), sender);
    storage.add_root(RootId(0), folder)?;
    let total = u64::from(mib) << 20;
    let path = SafePath::sanitize([&b"bench.bin"[..]]);
    let layout = Arc::new(StorageLayout::new([(path, total, false, false)], piece_length));
    let torrent = TorrentId(0);
    storage.submit(
        JobId(0),
        Work::Open { torrent, root: RootId(0), key: parcacik_core::border::InfoHash([0; 20]), layout },
    );
    results.recv_blocking()?.1?;

    let content =
        Bytes::from((0..piece_length).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
    let expect = PieceHash::Sha1(Sha1::digest(&content).into());
    let pieces = u32::try_from(total / u64::from(piece_length))?;
    let (mut begun, mut verified) = (0, 0);
    let mut left = vec![piece_length.div_ceil(BLOCK); pieces as usize];
    let (start, cpu) = (Instant::now(), cpu_seconds());
    while verified < pieces {
        while begun < pieces && begun < verified + AHEAD {
            for begin in (0..piece_length).step_by(BLOCK as usize) {
                let bytes = content.slice(begin as usize..(begin + BLOCK).min(piece_length) as usize);
                storage.submit(JobId(u64::from(begun)), Work::Write { torrent, piece: begun, begin, bytes });
            }
            begun += 1;
        }
        let (job, result) = results.recv_blocking()?;
        match result? {
            JobResult::Done => {
                let piece = u32::try_from(job.0)?;
                let left = &mut left[piece as usize];
                *left -= 1;
                if *left == 0 {
                    let work = Work::Verify { torrent, piece, length: piece_length, expect, blocks: false };
                    storage.submit(job, work);
                }
            }
            JobResult::Verified(verdict) if verdict.matches => verified += 1,
            other => return Err(format!("piece {}: {other:?}", job.0).into()),
        }
    }
    let gib = total as f64 / f64::from(1 << 30);
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{:.2} CPU-s/GiB, {:.2} s/GiB wall", cpu / gib, wall / gib);
    storage.stop();
    std::fs::remove_file(folder.join("bench.bin"))?;
    Ok(())
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15 of /proc/self/stat, in ticks of 10 ms; counted behind the name, which may contain spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
