//! What torrents cost that have nothing to do: memory, wake-ups and the time to start, with many torrents that are whole and seeded, and
//! that nobody asks for.
//!
//! `cargo run --release -p parcacik-driver-smol --example idle_bench -- [FOLDER] [TORRENTS] [PIECES] [SECONDS]`
//!
//! Each torrent is one file of PIECES pieces of 16 KiB (default 10,000 torrents of 8). The files are sparse: all bytes are zero, and
//! only the name tells torrents apart. A first client hashes everything and is stopped; a second one starts from its resume
//! data, as a program does every day. Printed are, for both: the time until the last torrent is seeded, the growth of the resident size and of the
//! heap for each torrent, and for the second the wake-ups (voluntary context switches of all threads) and the CPU time of SECONDS at rest. The
//! bytes of a torrent's file that the application hands over are part of the figure; their length is printed.

use parcacik_core::border::{Notice, SeedGoal, TorrentState};
use parcacik_driver_smol::{AddOptions, Client, ClientConfig};
use sha1::{Digest, Sha1};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

const PIECE: usize = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "idle-bench".into());
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (torrents, pieces, seconds) = (number(10_000)?, number(8)?, number(20)?);
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder.join("data"))?;
    for number in 0..torrents {
        std::fs::File::create(folder.join("data").join(name(number)))?.set_len((pieces * PIECE) as u64)?;
    }
    println!("{torrents} torrents of {pieces} pieces, each a file of {} bytes", metainfo(0, pieces).len());
    for round in ["first", "second"] {
        let (before, heap) = (status("VmRSS:"), heap());
        let start = Instant::now();
        let config = ClientConfig {
            state_dir: Some(folder.join("state")),
            listen: vec!["127.0.0.1:0".parse()?],
            max_notices: 64 * torrents,
            ..ClientConfig::default()
        };
        let client = Client::start(config)?;
        futures_lite::future::block_on(seed_all(&client, folder, torrents, pieces))?;
        let started = start.elapsed();
        std::thread::sleep(Duration::from_secs(2));
        let grown = |now: u64, before: u64| now.saturating_sub(before) as f64 * 1024.0 / torrents as f64;
        println!(
            "{round}: all seeded after {:.2} s, {:.0} bytes resident a torrent, {:.0} of it on the heap; {} files open",
            started.as_secs_f64(),
            grown(status("VmRSS:"), before),
            grown(self::heap(), heap),
            std::fs::read_dir("/proc/self/fd")?.count(),
        );
        if round == "second" {
            let (wakes, cpu) = (wake_ups()?, cpu_seconds()?);
            std::thread::sleep(Duration::from_secs(seconds as u64));
            println!(
                "at rest: {:.1} wake-ups a second, {:.4} of a core",
                (wake_ups()? - wakes) as f64 / seconds as f64,
                (cpu_seconds()? - cpu) / seconds as f64
            );
        }
        let stop = Instant::now();
        futures_lite::future::block_on(client.shutdown())?;
        println!("{round}: stopped after {:.2} s", stop.elapsed().as_secs_f64());
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn seed_all(client: &Client, folder: &Path, torrents: usize, pieces: usize) -> Result<(), Box<dyn Error>> {
    let mut notices = client.notices();
    for number in 0..torrents {
        let options = AddOptions {
            goal: SeedGoal::Forever,
            seed_only: true,
            use_trackers: false,
            ..AddOptions::new(metainfo(number, pieces), folder.join("data"))
        };
        client.add(options).await?;
    }
    let mut seeding = 0;
    while seeding < torrents {
        match notices.recv().await? {
            Notice::State { state: TorrentState::Seeding, .. } => seeding += 1,
            Notice::State { state: TorrentState::Failed(fault), .. } => return Err(fault.to_string().into()),
            _ => {}
        }
    }
    Ok(())
}

fn name(number: usize) -> String {
    format!("{number:06}.bin")
}

fn metainfo(number: usize, pieces: usize) -> Vec<u8> {
    let (name, length) = (name(number), pieces * PIECE);
    let hash = Sha1::digest(vec![0; PIECE]);
    let head = format!(
        "d4:infod6:lengthi{length}e4:name{}:{name}12:piece lengthi{PIECE}e6:pieces{}:",
        name.len(),
        20 * pieces
    );
    [head.as_bytes(), &hash.repeat(pieces), b"ee"].concat()
}

/// A line of `/proc/self/status`, in KiB.
fn status(line: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = text.lines().find_map(|text| text.strip_prefix(line));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Private memory, in KiB: the heap and the stacks.
fn heap() -> u64 {
    status("RssAnon:")
}

/// How often threads of this process have gone to sleep, and so been woken.
fn wake_ups() -> std::io::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += value.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

fn cpu_seconds() -> std::io::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold spaces: user and system time are the 12th and 13th, in hundredths.
    let fields = text.rsplit(')').next().unwrap_or_default();
    Ok(fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0)
}
