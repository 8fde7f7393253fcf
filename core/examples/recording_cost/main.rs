//! What recording costs, and how fast a recording is replayed.
//!
//! ```text
//! cargo run --release -p parcacik-core --example recording_cost -- FILE|KIND...
//! ```
//!
//! Each FILE is a recording (`parcacik download --record FILE`, `parcacik seed --record FILE`, the golden ones of the tests), or the name of a kind of traffic,
//! of which a recording is made first:
//!
//! | kind | is a download of 1 GiB from |
//! |---|---|
//! | `large` | 50 seeds by reads of up to 64 KiB |
//! | `small` | 50 seeds by reads of 1 to 4 TCP segments |
//! | `loopback` | one seed by reads of up to 256 KiB |
//! | `swarm` | 50 seeds, with 150 other peers that tell of 12 pieces a block |
//!
//! Its events go through a session and are recorded anew; that is replayed five times for the time, of which the median counts: by the clock, and, where the system
//! tells it, by what the processor spent on it, which other programs do not change as much. Then valgrind, where it is installed, counts instructions
//! while the same happens: those of `Session::handle`, and those of recording, which are the copy of the event and `Recorder::record`. Hashing is counted apart:
//! it is the price of the digest and grows with what a session says, whoever records. `--make KIND FILE` only makes a recording, `--replay FILE` only replays one, once, for profilers.
//!
//! The aims: recording is at most 5 % of handling, hashing aside; 1,000,000 events a second are replayed. What a recording costs of handling depends on how much there
//! is to decide: an event of a download weighs more than one of a seed, which mostly hands on what the disk has read.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement has a clock and files; the core has none"
)]

mod traffic;

use parcacik_core::border::{Action, Actions, Event, Work};
use parcacik_core::journal::{Reader, Record, Recorder, Secret, Sink, replay};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Where a recording goes that nobody wants.
struct Nowhere;

impl Sink for Nowhere {
    fn put(&mut self, _: &[u8]) {}
}

// Functions of their own, for valgrind to know them by their names.

#[inline(never)]
fn measured_handle(session: &mut Session, now: Time, event: Event, actions: &mut Actions) {
    session.handle(now, event, actions);
}

#[inline(never)]
fn measured_copy(event: &Event) -> Event {
    event.clone()
}

#[inline(never)]
fn measured_record(recorder: &mut Recorder, now: Time, event: &Event, actions: &Actions, sink: &mut impl Sink) {
    recorder.record(now, event, actions, sink);
}

/// Runs all events, and records them. How many events there were, and how many blocks were written.
fn run(bytes: &[u8], sink: &mut impl Sink) -> Result<[u64; 2], Box<dyn Error>> {
    let reader = Reader::new(bytes)?;
    let header = reader.header();
    let seeds = header.seeds().ok_or("the recording has no secret seed")?;
    let mut recorder = Recorder::new(&header.config, &seeds, Secret::Keep, sink);
    let mut session = Session::new(header.config.clone(), seeds).map_err(|e| e.to_string())?;
    let mut actions = Actions::new();
    let mut blocks = 0;
    for record in reader {
        let Record::Event { now, event, .. } = record? else { continue };
        actions.clear();
        let copy = measured_copy(&event);
        measured_handle(&mut session, now, event, &mut actions);
        measured_record(&mut recorder, now, &copy, &actions, sink);
        let is_write = |action: &&Action| matches!(action, Action::Start { work: Work::Write { .. }, .. });
        blocks += actions.list.iter().filter(is_write).count() as u64;
    }
    let events = recorder.events();
    recorder.finish(sink);
    Ok([events, blocks])
}

/// How many instructions run while one of these functions does.
fn count(file: &Path, functions: &[&str]) -> Result<u64, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]);
    command.args(functions.iter().map(|name| format!("--toggle-collect=*{name}*")));
    let output = command.arg(std::env::current_exe()?).arg("--run").arg(file).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :"));
    Ok(collected.ok_or_else(|| format!("valgrind says: {text}"))?.1.trim().parse()?)
}

/// How long this thread has run, in seconds. `None`: the system does not tell.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

/// Replays a recording, and says how long that took: by the clock, and on the processor.
fn time_replay(recording: &[u8]) -> Result<[f64; 2], Box<dyn Error>> {
    let (start, spent) = (Instant::now(), processor_seconds());
    let report = replay(recording)?;
    let seconds = start.elapsed().as_secs_f64();
    if !report.is_same() {
        return Err(report.difference.map_or("the state differs".into(), |difference| difference.to_string()).into());
    }
    let spent = spent.zip(processor_seconds()).map_or(seconds, |(start, end)| end - start);
    Ok([seconds, spent])
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::INFINITY)
}

/// What one recording comes to.
struct Row {
    events: u64,
    blocks: u64,
    bytes: usize,
    /// Of a replay, by the clock.
    seconds: f64,
    /// On the processor.
    spent: f64,
    handle: u64,
    record: u64,
    hash: u64,
}

impl Row {
    const TITLE: &str =
        "   events  blocks       bytes   events/s  and of CPU    handle a block   record  hashing    in all  less hash";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { events, blocks, bytes, seconds, spent, handle, record, hash } = *self;
        let each = |part: u64| part as f64 / events as f64;
        let share = |part: u64| 100.0 * part as f64 / handle as f64;
        let speeds = [events as f64 / seconds, events as f64 / spent];
        write!(f, "{events:>9} {blocks:>7} {bytes:>11} {:>10.0} {:>11.0}", speeds[0], speeds[1])?;
        write!(f, " {:>9.0} {:>7.0}", each(handle), handle as f64 / blocks.max(1) as f64)?;
        write!(f, " {:>8.0} {:>8.0}", each(record), each(hash))?;
        write!(f, " {:>7.2} % {:>8.2} %", share(record), share(record.saturating_sub(hash)))
    }
}

fn measure(file: &Path) -> Result<Row, Box<dyn Error>> {
    let mut recording = Vec::new();
    let [events, blocks] = run(&std::fs::read(file)?, &mut recording)?;
    let (mut seconds, mut spent) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let times = time_replay(&recording)?;
        seconds.push(times[0]);
        spent.push(times[1]);
    }
    Ok(Row {
        events,
        blocks,
        bytes: recording.len(),
        seconds: median(seconds),
        spent: median(spent),
        handle: count(file, &["measured_handle"])?,
        record: count(file, &["measured_copy", "measured_record"])?,
        hash: count(file, &["journal::hash::"])?,
    })
}

/// Measures a recording, or one that is made of a kind of traffic.
fn measure_any(name: &str) -> Result<Row, Box<dyn Error>> {
    let Some(kind) = kind(name) else { return measure(Path::new(name)) };
    let file = std::env::temp_dir().join(format!("parcacik-{}-{}", kind.name, std::process::id()));
    std::fs::write(&file, traffic::make(kind)?)?;
    let measured = measure(&file);
    std::fs::remove_file(&file)?;
    measured
}

fn kind(name: &str) -> Option<&'static traffic::Kind> {
    traffic::KINDS.iter().find(|kind| kind.name == name)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => return Err("recordings or kinds of traffic are wanted".into()),
        ["--run", file] => {
            let [events, blocks] = run(&std::fs::read(file)?, &mut Nowhere)?;
            println!("{events} events, {blocks} blocks");
        }
        ["--replay", file] => {
            let [seconds, spent] = time_replay(&std::fs::read(file)?)?;
            println!("{seconds:.3} s, {spent:.3} s of them on the processor");
        }
        ["--make", name, file] => std::fs::write(file, traffic::make(kind(name).ok_or("no such kind of traffic")?)?)?,
        ref names => {
            println!(
                "instructions an event (of handling, a block too), and recording in percent of handling:\n{}",
                Row::TITLE
            );
            for name in names {
                let what = kind(name).map_or(String::new(), |kind| format!(": {}", kind.is));
                println!("{}  {name}{what}", measure_any(name)?);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
