//! What writing and hashing costs: blocks of 16 KiB as a download brings them, through the storage; a piece is verified when all its
//! blocks are written.
//!
//! `cargo run --release -p parcacik-driver-smol --example storage_bench -- [FOLDER] [MIB] [PIECE_KIB] [OPEN] [RUNS]`
//!
//! OPEN pieces are under way at once: each has one peer that sends its blocks in order, and they take turns by chunks of
//! 256 KiB (one socket, read in full) or, with more than one, 64 KiB. Chunks are filled anew for each read, in buffers that
//! are used again, as the network does it: this copy is part of the figure, about 0.1 s/GiB.
//!
//! Three kinds of run take turns, RUNS times: `each`, where what is written is hashed at once, one piece after the other;
//! `lanes`, the default options; and `check`, where the whole file is verified as at a start, eight pieces at a time. Printed
//! are the medians of user and system time, of the wall clock, and the greatest resident size of the process.

use bytes::Bytes;
use parcacik_core::border::{InfoHash, JobId, JobResult, PieceHash, RootId, StorageLayout, TorrentId, Work};
use parcacik_core::path::SafePath;
use parcacik_driver_smol::storage::{Answer, Storage, StorageOptions};
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const BLOCK: u32 = 16 << 10;
const TORRENT: TorrentId = TorrentId(0);
/// The most bytes that are written and not answered, as the core would have it.
const IN_FLIGHT: usize = 4 << 20;
/// Verifications under way at a start.
const CHECKS: u32 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "storage-bench".into());
    let mut number = |default: u32| arguments.next().map_or(Ok(default), |text| text.parse::<u32>());
    let (mib, piece_kib, open, runs) = (number(1024)?, number(1024)?, number(1)?, number(5)?);
    let bench = Bench::new(Path::new(&folder), mib, piece_kib << 10, open);
    let plain = StorageOptions { max_unhashed: 0, verify_linger: Duration::ZERO, ..StorageOptions::default() };
    let mut figures: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for _ in 0..runs {
        for (name, options, check) in [
            ("each", plain.clone(), false),
            ("lanes", StorageOptions::default(), false),
            ("check", plain.clone(), true),
        ] {
            let (start, cpu) = (Instant::now(), cpu_seconds());
            bench.run(options, check)?;
            let gib = f64::from(mib) / 1024.0;
            let figure = ((cpu_seconds() - cpu) / gib, start.elapsed().as_secs_f64() / gib);
            figures.entry(name).or_default().push(figure);
            if name == "each" {
                std::fs::remove_file(bench.folder.join("bench.bin"))?;
            }
        }
        std::fs::remove_file(bench.folder.join("bench.bin"))?;
    }
    for (name, figures) in figures {
        let (cpu, wall): (Vec<f64>, Vec<f64>) = figures.into_iter().unzip();
        println!("{name:5} {:.2} CPU-s/GiB, {:.2} s/GiB wall", median(cpu), median(wall));
    }
    println!("{} KiB at most", status("VmHWM:"));
    Ok(())
}

struct Bench<'a> {
    folder: &'a Path,
    pieces: u32,
    piece_length: u32,
    open: u32,
    content: Vec<u8>,
    expect: PieceHash,
    buffers: Arc<Buffers>,
}

impl Bench<'_> {
    fn new(folder: &Path, mib: u32, piece_length: u32, open: u32) -> Bench<'_> {
        let content: Vec<u8> = (0..piece_length).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let expect = PieceHash::Sha1(Sha1::digest(&content).into());
        let pieces = ((u64::from(mib) << 20) / u64::from(piece_length)) as u32;
        Bench { folder, pieces, piece_length, open: open.max(1), content, expect, buffers: Arc::default() }
    }

    fn run(&self, options: StorageOptions, check: bool) -> Result<(), Box<dyn Error>> {
        let (sender, results) = async_channel::unbounded();
        let storage = Storage::start(options, sender);
        storage.add_root(RootId(0), self.folder)?;
        let total = u64::from(self.pieces) * u64::from(self.piece_length);
        let path = SafePath::sanitize([&b"bench.bin"[..]]);
        let layout = Arc::new(StorageLayout::new([(path, total, false, false)], self.piece_length));
        storage.submit(JobId(0), Work::Open { torrent: TORRENT, root: RootId(0), key: InfoHash([0; 20]), layout });
        results.recv_blocking()?.1?;
        match check {
            true => self.check(&storage, &results)?,
            false => self.download(&storage, &results)?,
        }
        storage.stop();
        Ok(())
    }

    fn check(&self, storage: &Storage, results: &async_channel::Receiver<Answer>) -> Result<(), Box<dyn Error>> {
        let (mut begun, mut done) = (0, 0);
        while done < self.pieces {
            while begun < self.pieces && begun < done + CHECKS {
                self.verify(storage, begun);
                begun += 1;
            }
            done += self.verified(&results.recv_blocking()?)?;
        }
        Ok(())
    }

    fn download(&self, storage: &Storage, results: &async_channel::Receiver<Answer>) -> Result<(), Box<dyn Error>> {
        let chunk = if self.open == 1 { 256 << 10 } else { 64 << 10 };
        // Pieces that are being sent, and where they are.
        let mut open: VecDeque<(u32, u32)> = (0..self.open.min(self.pieces)).map(|piece| (piece, 0)).collect();
        let mut left = vec![self.piece_length.div_ceil(BLOCK); self.pieces as usize];
        let (mut begun, mut done, mut in_flight) = (self.open, 0, 0usize);
        while done < self.pieces {
            while in_flight < IN_FLIGHT
                && let Some((piece, from)) = open.pop_front()
            {
                let to = self.piece_length.min(from + chunk);
                let bytes = self.buffers.fill(&self.content[from as usize..to as usize]);
                for begin in (from..to).step_by(BLOCK as usize) {
                    let bytes = bytes.slice((begin - from) as usize..((begin + BLOCK).min(to) - from) as usize);
                    in_flight += bytes.len();
                    storage.submit(JobId(u64::from(piece)), Work::Write { torrent: TORRENT, piece, begin, bytes });
                }
                if to < self.piece_length {
                    open.push_back((piece, to));
                } else if begun < self.pieces {
                    open.push_back((begun, 0));
                    begun += 1;
                }
            }
            let answer = results.recv_blocking()?;
            if let (JobId(piece), Ok(JobResult::Done)) = answer {
                let left = &mut left[piece as usize];
                *left -= 1;
                in_flight = in_flight.saturating_sub(BLOCK as usize);
                if *left == 0 {
                    self.verify(storage, piece as u32);
                }
            } else {
                done += self.verified(&answer)?;
            }
        }
        Ok(())
    }

    fn verify(&self, storage: &Storage, piece: u32) {
        let (length, expect) = (self.piece_length, self.expect);
        let work = Work::Verify { torrent: TORRENT, piece, length, expect, blocks: false };
        storage.submit(JobId(u64::from(piece)), work);
    }

    fn verified(&self, answer: &Answer) -> Result<u32, Box<dyn Error>> {
        match answer {
            (_, Ok(JobResult::Verified(verdict))) if verdict.matches => Ok(1),
            (JobId(piece), other) => Err(format!("piece {piece}: {other:?}").into()),
        }
    }
}

/// Buffers that are used again.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

struct Filled(Vec<u8>, Arc<Buffers>);

impl Buffers {
    fn fill(self: &Arc<Buffers>, content: &[u8]) -> Bytes {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(content);
        Bytes::from_owner(Filled(buffer, Arc::clone(self)))
    }
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.1.0.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.0));
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15 of /proc/self/stat, in ticks of 10 ms; counted behind the name, which may contain spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A number of this process's status.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
