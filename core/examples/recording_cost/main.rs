//! What recording costs, and how fast a recording is replayed.
//!
//! ```text
//! cargo run --release -p parcacik-core --example recording_cost -- FILE
//! ```
//!
//! FILE is a recording (`parcacik download --record FILE`). It is replayed five times for the time; then valgrind, where it is installed, counts
//! instructions while the same events go through a session and a recorder: those of `Session::handle`, and those of recording, which are the copy of
//! the event and `Recorder::record`. Hashing is counted apart: it is the price of the digest and grows with what a session says, whoever records.
//!
//! The aims: recording is at most 5 % of handling, hashing aside; 1,000,000 events a second are replayed.

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
fn measured_record(recorder: &mut Recorder, now: Time, event: &Event, actions: &Actions, sink: &mut Nowhere) {
    recorder.record(now, event, actions, sink);
}

/// Runs all events, and records them.
fn run(bytes: &[u8]) -> Result<(u64, u64), Box<dyn Error>> {
    let reader = Reader::new(bytes)?;
    let header = reader.header();
    let seeds = header.seeds().ok_or("the recording has no secret seed")?;
    let mut sink = Nowhere(0);
    let mut recorder = Recorder::new(&header.config, &seeds, Secret::Keep, &mut sink);
    let mut session = Session::new(header.config.clone(), seeds).map_err(|e| e.to_string())?;
    let mut actions = Actions::new();
    for record in reader {
        let Record::Event { now, event, .. } = record? else { continue };
        actions.clear();
        let copy = measured_copy(&event);
        measured_handle(&mut session, now, event, &mut actions);
        measured_record(&mut recorder, now, &copy, &actions, &mut sink);
    }
    Ok((recorder.events(), sink.0))
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

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let file = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", file] => {
            let (events, bytes) = run(&std::fs::read(file)?)?;
            println!("{events} events, {bytes} bytes");
            return Ok(ExitCode::SUCCESS);
        }
        [file] => file,
        _ => return Err("one argument: a recording".into()),
    };
    let bytes = std::fs::read(file)?;
    let mut best = f64::INFINITY;
    let mut events = 0;
    for _ in 0..5 {
        let start = Instant::now();
        let report = replay(&bytes)?;
        best = best.min(start.elapsed().as_secs_f64());
        events = report.events;
        if let Some(difference) = report.difference {
            return Err(difference.to_string().into());
        }
    }
    println!(
        "{events} events in {} bytes; replayed in {best:.3} s: {:.0} events a second",
        bytes.len(),
        events as f64 / best
    );
    let handle = count(file, &["measured_handle"])?;
    let record = count(file, &["measured_copy", "measured_record"])?;
    let hash = count(file, &["journal::digest::Digest>::of", "journal::digest::Digest::of", "journal::sketch::check"])?;
    let share = |part: u64| 100.0 * part as f64 / handle as f64;
    let each = |part: u64| part as f64 / events as f64;
    println!("handle  {handle:>14} instructions, {:>8.0} an event", each(handle));
    println!("record  {record:>14} instructions, {:>8.0} an event: {:.2} %", each(record), share(record));
    println!("of that {hash:>14} are hashing,    {:>8.0} an event: {:.2} %", each(hash), share(hash));
    println!("without hashing, recording costs {:.2} % of handling", share(record.saturating_sub(hash)));
    Ok(ExitCode::SUCCESS)
}
