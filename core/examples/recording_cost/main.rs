//! What recording costs, and how fast a recording is replayed.
//!
//! ```text
//! cargo run --release -p parcacik-core --example recording_cost -- FILE
//! ```
//!
//! FILE is a recording (`parcacik download --record FILE`), or the name of a kind of traffic, of which one is made first:
//!
//! | kind | is a download of 1 GiB from |
//! |---|---|
//! | `large` | 50 seeds by reads of up to 64 KiB |
//! | `small` | 50 seeds by reads of 1 to 4 TCP segments |
//! | `loopback` | one seed by reads of up to 256 KiB |
//! | `swarm` | 50 seeds, with 150 other peers that tell of 12 pieces a block |
//!
//! It is replayed five times for the time; then valgrind, where it is installed, counts
//! instructions while the same events go through a session and a recorder: those of `Session::handle`, and those of recording, which are the copy of
//! the event and `Recorder::record`. Hashing is counted apart: it is the price of the digest and grows with what a session says, whoever records.
//! `--make KIND FILE` only makes a recording.
//!
//! The aims: recording is at most 5 % of handling, hashing aside; 1,000,000 events a second are replayed.

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
use std::path::Path;
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

/// Runs all events, and records them. How many events there were, how many blocks were written, and how long the recording is.
fn run(bytes: &[u8]) -> Result<[u64; 3], Box<dyn Error>> {
    let reader = Reader::new(bytes)?;
    let header = reader.header();
    let seeds = header.seeds().ok_or("the recording has no secret seed")?;
    let mut sink = Nowhere(0);
    let mut recorder = Recorder::new(&header.config, &seeds, Secret::Keep, &mut sink);
    let mut session = Session::new(header.config.clone(), seeds).map_err(|e| e.to_string())?;
    let mut actions = Actions::new();
    let mut blocks = 0;
    for record in reader {
        let Record::Event { now, event, .. } = record? else { continue };
        actions.clear();
        let copy = measured_copy(&event);
        measured_handle(&mut session, now, event, &mut actions);
        measured_record(&mut recorder, now, &copy, &actions, &mut sink);
        let is_write = |action: &&Action| matches!(action, Action::Start { work: Work::Write { .. }, .. });
        blocks += actions.list.iter().filter(is_write).count() as u64;
    }
    Ok([recorder.events(), blocks, sink.0])
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

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kind = |name: &str| traffic::KINDS.iter().find(|kind| kind.name == name);
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", file] => {
            let [events, blocks, bytes] = run(&std::fs::read(file)?)?;
            println!("{events} events, {blocks} blocks, {bytes} bytes");
        }
        ["--make", name, file] => std::fs::write(file, traffic::make(kind(name).ok_or("no such kind of traffic")?)?)?,
        [name] => match kind(name) {
            None => measure(Path::new(name))?,
            Some(kind) => {
                println!("{}: {}", kind.name, kind.is);
                let file = std::env::temp_dir().join(format!("parcacik-{}-{}", kind.name, std::process::id()));
                std::fs::write(&file, traffic::make(kind)?)?;
                let measured = measure(&file);
                std::fs::remove_file(&file)?;
                measured?;
            }
        },
        _ => return Err("one argument: a recording, or a kind of traffic".into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(file: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(file)?;
    let [events, blocks, _] = run(&bytes)?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let report = replay(&bytes)?;
        best = best.min(start.elapsed().as_secs_f64());
        if let Some(difference) = report.difference {
            return Err(difference.to_string().into());
        }
    }
    println!(
        "{events} events, {blocks} blocks in {} bytes; replayed in {best:.3} s: {:.0} events, {:.0} blocks a second",
        bytes.len(),
        events as f64 / best,
        blocks as f64 / best
    );
    let handle = count(file, &["measured_handle"])?;
    let record = count(file, &["measured_copy", "measured_record"])?;
    let hash = count(file, &["journal::digest::Digest>::of", "journal::digest::Digest::of", "journal::sketch::check"])?;
    let share = |part: u64| 100.0 * part as f64 / handle as f64;
    let each = |part: u64| part as f64 / events as f64;
    let block = handle as f64 / blocks.max(1) as f64;
    println!("handle  {handle:>14} instructions, {:>8.0} an event, {block:.0} a block", each(handle));
    println!("record  {record:>14} instructions, {:>8.0} an event: {:.2} %", each(record), share(record));
    println!("of that {hash:>14} are hashing,    {:>8.0} an event: {:.2} %", each(hash), share(hash));
    println!("without hashing, recording costs {:.2} % of handling", share(record.saturating_sub(hash)));
    Ok(())
}
