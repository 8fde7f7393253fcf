//! What recording costs, and how fast a recording is replayed.
//!
//! ```text
//! cargo run --release -p parcacik-core --example recording_cost -- FILE...
//! ```
//!
//! Each FILE is a recording (`parcacik download --record FILE`, `parcacik seed --record FILE`, the golden ones of the tests). Its events go through a session and are
//! recorded anew; that is replayed five times for the time. Then valgrind, where it is installed, counts instructions while the same happens: those of
//! `Session::handle`, and those of recording, which are the copy of the event and `Recorder::record`. Hashing is counted apart: it is the price of the digest
//! and grows with what a session says, whoever records.
//!
//! The aims: recording is at most 5 % of handling, hashing aside; 1,000,000 events a second are replayed. What a recording costs of handling depends on how much there
//! is to decide: an event of a download weighs more than one of a seed, which mostly hands on what the disk has read.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement has a clock and files; the core has none"
)]

use parcacik_core::border::{Actions, Event};
use parcacik_core::journal::{Reader, Record, Recorder, Secret, Sink, replay};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Where a recording goes that nobody wants.
struct Nowhere(u64);

impl Sink for Nowhere {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
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

/// Runs all events, and records them.
fn run(bytes: &[u8], sink: &mut impl Sink) -> Result<u64, Box<dyn Error>> {
    let reader = Reader::new(bytes)?;
    let header = reader.header();
    let seeds = header.seeds().ok_or("the recording has no secret seed")?;
    let mut recorder = Recorder::new(&header.config, &seeds, Secret::Keep, sink);
    let mut session = Session::new(header.config.clone(), seeds).map_err(|e| e.to_string())?;
    let mut actions = Actions::new();
    for record in reader {
        let Record::Event { now, event, .. } = record? else { continue };
        actions.clear();
        let copy = measured_copy(&event);
        measured_handle(&mut session, now, event, &mut actions);
        measured_record(&mut recorder, now, &copy, &actions, sink);
    }
    let events = recorder.events();
    recorder.finish(sink);
    Ok(events)
}

/// How many instructions run while one of these functions does.
fn count(file: &str, functions: &[&str]) -> Result<u64, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]);
    command.args(functions.iter().map(|name| format!("--toggle-collect=*{name}*")));
    let output = command.arg(std::env::current_exe()?).args(["--run", file]).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :"));
    Ok(collected.ok_or_else(|| format!("valgrind says: {text}"))?.1.trim().parse()?)
}

/// What one recording comes to.
struct Row {
    file: String,
    events: u64,
    bytes: usize,
    a_second: f64,
    handle: u64,
    record: u64,
    hash: u64,
}

fn measure(file: &str) -> Result<Row, Box<dyn Error>> {
    let mut recording = Vec::new();
    let events = run(&std::fs::read(file)?, &mut recording)?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let report = replay(&recording)?;
        best = best.min(start.elapsed().as_secs_f64());
        if let Some(difference) = report.difference {
            return Err(difference.to_string().into());
        }
    }
    Ok(Row {
        file: String::from(file),
        events,
        bytes: recording.len(),
        a_second: events as f64 / best,
        handle: count(file, &["measured_handle"])?,
        record: count(file, &["measured_copy", "measured_record"])?,
        hash: count(file, &["journal::digest::Digest>::of", "journal::digest::Digest::of", "journal::sketch::check"])?,
    })
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [] => return Err("recordings are wanted".into()),
        [run_it, file] if run_it == "--run" => {
            run(&std::fs::read(file)?, &mut Nowhere(0))?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    println!("instructions an event, and in percent of handling:");
    println!(
        "{:>9} {:>11} {:>10} {:>8} {:>8} {:>8} {:>9} {:>9}  recording",
        "events", "bytes", "replayed/s", "handle", "record", "hashing", "in all", "less hash"
    );
    for file in &args {
        let Row { file, events, bytes, a_second, handle, record, hash } = measure(file)?;
        let each = |part: u64| part as f64 / events as f64;
        let share = |part: u64| 100.0 * part as f64 / handle as f64;
        println!(
            "{events:>9} {bytes:>11} {a_second:>10.0} {:>8.0} {:>8.0} {:>8.0} {:>7.2} % {:>7.2} %  {file}",
            each(handle),
            each(record),
            each(hash),
            share(record),
            share(record.saturating_sub(hash)),
        );
    }
    Ok(ExitCode::SUCCESS)
}
