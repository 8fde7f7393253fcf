//! Does drills, by number, and says what they judged and which of them find something wrong.
//!
//! `drill [--from N] [--count N] [--until ORACLE] [--threads N] [--tell N]`. With `--until` it ends at the first that this oracle fires in: the
//! exit code is 0 then, and 1 when none does. Without, it is 1 when anything fires.
//! With `--tell` it does the drill of this number alone, and prints what each node is told and does.

use parcacik_testkit::drill;
use parcacik_testkit::oracles::Oracle;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

struct Arguments {
    from: u64,
    count: u64,
    until: Option<u8>,
    threads: usize,
    tell: Option<u64>,
}

fn arguments() -> Result<Arguments, String> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut found = Arguments { from: 0, count: 200, until: None, threads, tell: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} takes a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("'{value}' is no number"))?;
        match word.as_str() {
            "--from" => found.from = number,
            "--count" => found.count = number,
            "--until" => found.until = Some(number as u8),
            "--threads" => found.threads = number.max(1) as usize,
            "--tell" => found.tell = Some(number),
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok(found)
}

/// The number of the oracle that a panic tells of.
fn oracle_of(text: &str) -> Option<u8> {
    text.strip_prefix("oracle ")?.split(':').next()?.parse().ok()
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    if let Some(number) = arguments.tell {
        drill::tell(number);
        return ExitCode::SUCCESS;
    }
    // Panics are what is looked for; each is told once, below.
    std::panic::set_hook(Box::new(|_| ()));
    let began = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let done = AtomicBool::new(false);
    let sums: Mutex<(BTreeMap<u8, u64>, BTreeMap<u64, String>)> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number - arguments.from >= arguments.count {
                        return;
                    }
                    let result = std::panic::catch_unwind(|| drill::run(number));
                    let mut sums = sums.lock().expect("nobody panics while holding it");
                    match result {
                        Ok(counts) => {
                            for (oracle, count) in counts {
                                *sums.0.entry(oracle).or_default() += count;
                            }
                        }
                        Err(panic) => {
                            let text = panic.downcast_ref::<String>().cloned();
                            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
                            let text = text.unwrap_or_default();
                            let wanted = arguments.until.is_some() && oracle_of(&text) == arguments.until;
                            done.fetch_or(wanted, Ordering::Relaxed);
                            let short: String = text.chars().take(400).collect();
                            sums.1.insert(number, short);
                        }
                    }
                }
            });
        }
    });
    let (counts, failures) = sums.into_inner().expect("nobody panics while holding it");
    for (number, text) in
        failures.iter().filter(|(_, text)| arguments.until.is_none() || oracle_of(text).is_some()).take(20)
    {
        println!("seed {number}: {text}");
    }
    if let Some(oracle) = arguments.until {
        return if done.load(Ordering::Relaxed) { ExitCode::SUCCESS } else { not_found(oracle) };
    }
    for oracle in Oracle::ALL {
        if let Some(count) = counts.get(&oracle.number()) {
            println!("{:>2} {:<20} {count:>12}", oracle.number(), oracle.name());
        }
    }
    println!("{} drills in {:?}, {} failed", arguments.count, began.elapsed(), failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn not_found(oracle: u8) -> ExitCode {
    println!("oracle {oracle} has not fired");
    ExitCode::FAILURE
}
