//! Runs the simulator's seeds, each twice, on all cores, and says what they cost and which fail. Or once, and says what each came to.

use parcacik_testkit::WorldSeed;
use parcacik_testkit::sim::{Failure, Outcome, Setup, SimOptions, Size, check, nobody, oracles, run, shrink};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "\
Runs seeds of the simulator, each twice, and demands equal digests.

Usage: seeds [--from SEED] [--count N] [--time SPAN] [--options FILE] [--small | --full] [--threads N] [--shrink SPAN]
             [--digests] [--no-oracles]

  --from SEED     the first seed: a number, or 64 hexadecimal digits (then it is the only one); 0 at first
  --count N       how many seeds at most; 1000 at first, no end with --time alone
  --time SPAN     begin no seed after this long, as in 90s, 8m, 1h
  --options FILE  name=value pairs that override what is drawn; as PARCACIK_SIM_OPTIONS does
  --small         few nodes and pieces, as it is at first
  --full          up to twenty leeches and hundreds of pieces
  --threads N     as many seeds at once; as many as there are cores at first
  --shrink SPAN   how long to look for faults that a failing seed does not need; 20s at first, 0s for not at all
  --digests       run each seed once and print a line for each, in their order: the seed, how many events it had, and the digest of
                  all sessions' runs. Every build on every machine prints the same
  --no-oracles    judge only what each run judges by itself, without the oracles that look on at every call: a fifth faster

A seed that fails is told with the last 60 events of the node that it is about, or with as many as PARCACIK_SIM_EVENTS says.
";

struct Arguments {
    from: WorldSeed,
    number: Option<u64>,
    count: u64,
    time: Option<Duration>,
    overrides: String,
    size: Size,
    threads: usize,
    shrink: Duration,
    digests: bool,
    oracles: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().map_err(|_| format!("'{text}' is no span of time"))?;
    let unit = match &text[digits.len()..] {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(format!("'{text}' is no span of time")),
    };
    Ok(Duration::from_secs(number * unit))
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn arguments() -> Result<Option<Arguments>, String> {
    let mut found = Arguments {
        from: WorldSeed::from(0),
        number: Some(0),
        count: 0,
        time: None,
        overrides: std::env::var("PARCACIK_SIM_OPTIONS").unwrap_or_default(),
        size: Size::Small,
        threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        shrink: Duration::from_secs(20),
        digests: false,
        oracles: true,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} takes a value"));
        match word.as_str() {
            "--from" => {
                let text = value()?;
                found.from = text.parse().map_err(|error| format!("'{text}': {error}"))?;
                found.number = text.parse().ok();
            }
            "--count" => found.count = number(&value()?)?,
            "--time" => found.time = Some(span(&value()?)?),
            "--options" => {
                let path = value()?;
                found.overrides = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            }
            "--small" => found.size = Size::Small,
            "--full" => found.size = Size::Full,
            "--threads" => found.threads = number::<usize>(&value()?)?.max(1),
            "--shrink" => found.shrink = span(&value()?)?,
            "--digests" => found.digests = true,
            "--no-oracles" => found.oracles = false,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("{other} is unknown; see --help")),
        }
    }
    if found.count == 0 {
        found.count = if found.time.is_some() { u64::MAX } else { 1000 };
    }
    if found.number.is_none() {
        found.count = 1;
    }
    Ok(Some(found))
}

/// What all runs came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    events: u64,
    lasted: Duration,
    longest: Duration,
    evaluations: BTreeMap<u8, u64>,
    failures: Vec<Failure>,
    /// What each seed came to, by its number.
    digests: BTreeMap<u64, String>,
}

impl Sum {
    fn add(&mut self, number: u64, seed: WorldSeed, result: Result<Outcome, Box<Failure>>) {
        self.seeds += 1;
        match result {
            Ok(outcome) => {
                self.digests.insert(number, format!("{seed} {} {}", outcome.events, outcome.digest));
                // Each seed was run twice.
                self.events += 2 * outcome.events;
                self.lasted += 2 * outcome.lasted;
                self.longest = self.longest.max(outcome.healing);
                for (oracle, count) in outcome.evaluations {
                    *self.evaluations.entry(oracle).or_default() += count;
                }
            }
            Err(failure) => self.failures.push(*failure),
        }
    }
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = SimOptions::draw(arguments.from, arguments.size).read(&arguments.overrides) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    let setup: Setup = if arguments.oracles && !arguments.digests { oracles } else { nobody };
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while arguments.time.is_none_or(|time| began.elapsed() < time) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.count {
                        break;
                    }
                    let from = arguments.number.map(|first| WorldSeed::from(first.wrapping_add(number)));
                    let seed = from.unwrap_or(arguments.from);
                    let options = SimOptions::draw(seed, arguments.size);
                    let options = options.read(&arguments.overrides).expect("it was read before");
                    let runs = if arguments.digests { run } else { check };
                    let mut result = runs(seed, options, setup);
                    if let Err(failure) = &mut result {
                        let small = shrink((**failure).clone(), setup, arguments.shrink);
                        println!("{failure}and with fewer faults: {small}");
                        if !arguments.oracles {
                            println!("with --no-oracles");
                        }
                    }
                    sum.lock().expect("nobody panics with it").add(number, seed, result);
                }
            });
        }
    });
    let sum = sum.into_inner().expect("nobody panics with it");
    let took = began.elapsed();
    if arguments.digests {
        sum.digests.values().for_each(|line| println!("{line}"));
    } else {
        report(&sum, took, arguments.threads);
    }
    if sum.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(sum: &Sum, took: Duration, threads: usize) {
    let seconds = took.as_secs_f64().max(1e-9);
    println!(
        "{} seeds, each run twice, {} failed, in {seconds:.1} s on {threads} threads",
        sum.seeds,
        sum.failures.len()
    );
    println!("{} events, {:.0} a second", sum.events, sum.events as f64 / seconds);
    let simulated = sum.lasted.as_secs_f64();
    println!(
        "{simulated:.0} s of simulated time, {:.0} times as fast as real time, {:.0} times on each thread",
        simulated / seconds,
        simulated / seconds / threads as f64
    );
    println!("the longest healing took {:.1} s", sum.longest.as_secs_f64());
    let counts: Vec<String> = sum.evaluations.iter().map(|(oracle, count)| format!("{oracle}: {count}")).collect();
    println!("judgements by oracle: {}", counts.join(", "));
    for failure in &sum.failures {
        let line = failure.what.lines().take(2).collect::<Vec<_>>().join(" ");
        println!("seed {} failed: {}", failure.seed, line.chars().take(200).collect::<String>());
        println!("  {}", failure.command());
    }
}
