//! Measures lookups in a simulated DHT: how long until the first peers, and how many are found, beside plain Kademlia lookups.

use parcacik_testkit::WorldSeed;
use parcacik_testkit::dht::Experiment;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

const USAGE: &str = "\
Measures lookups in a simulated DHT, beside plain Kademlia lookups in the same network.

Usage: dht [--seed SEED] [--nodes N] [--real N] [--targets N] [--peers N] [--lookups N] [--dead PERCENT]
           [--hostile PERCENT] [--settle SECONDS] [--svg FILE]

  --seed SEED        where all chance comes from: a number, or 64 hexadecimal digits; 1 at first
  --nodes N          light nodes, hostile ones included; 10000 at first
  --real N           nodes of the core that look and announce; 64 at first
  --targets N        info-hashes; 250 at first
  --peers N          peers that announce each; 12 at first
  --lookups N        lookups of each; 4 at first
  --dead PERCENT     how many of the honest light nodes die before the first announce; 30 at first
  --hostile PERCENT  how many of the light nodes are hostile, near the targets; 10 at first
  --settle SECONDS   how long the nodes of the core settle; 1200 at first
  --svg FILE         draw the distribution
";

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn arguments() -> Result<Option<(Experiment, Option<PathBuf>)>, String> {
    let (mut experiment, mut svg) = (Experiment::default(), None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(None);
        }
        let value = words.next().ok_or_else(|| format!("{word}: a value is missing"))?;
        match word.as_str() {
            "--seed" => experiment.seed = WorldSeed::from_str(&value).map_err(|error| format!("--seed: {error}"))?,
            "--nodes" => experiment.nodes = number(&value)?,
            "--real" => experiment.real = number(&value)?,
            "--targets" => experiment.targets = number(&value)?,
            "--peers" => experiment.peers = number(&value)?,
            "--lookups" => experiment.lookups = number(&value)?,
            "--dead" => experiment.dead_percent = number(&value)?,
            "--hostile" => experiment.hostile_percent = number(&value)?,
            "--settle" => experiment.settle = Duration::from_secs(number(&value)?),
            "--svg" => svg = Some(PathBuf::from(value)),
            _ => return Err(format!("{word}: there is no such option")),
        }
    }
    let enough = experiment.nodes >= 16 && experiment.real >= 2 && experiment.targets >= 1;
    if !enough || experiment.dead_percent > 100 || experiment.hostile_percent > 90 {
        return Err("at least 16 nodes, 2 real ones and one target; of a hundred, 90 hostile ones at most".to_owned());
    }
    Ok(Some((experiment, svg)))
}

fn main() -> ExitCode {
    let (experiment, svg) = match arguments() {
        Ok(Some(found)) => found,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("dht: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let report = match experiment.run() {
        Ok(report) => report,
        Err(breach) => {
            eprintln!("dht: seed {}: {breach}", experiment.seed);
            return ExitCode::FAILURE;
        }
    };
    print!("{report}");
    println!("took {:.1} s", began.elapsed().as_secs_f64());
    if let Some(file) = svg {
        let title = format!(
            "{} nodes, {} % of contacts dead, {} % hostile, seed {}",
            experiment.nodes, experiment.dead_percent, experiment.hostile_percent, experiment.seed
        );
        if let Err(error) = std::fs::write(&file, report.plot(&title)) {
            eprintln!("dht: {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
