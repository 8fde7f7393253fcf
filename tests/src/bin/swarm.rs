//! A swarm as an experiment: see `parcacik_testkit::experiment`, which does it.

use clap::{Parser, ValueEnum};
use parcacik_core::border::Config;
use parcacik_testkit::experiment::{Join, Options, Policy, Report, plot, run, table};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs a swarm of real sessions in virtual time and says how long it took them.
#[derive(Parser)]
#[command(name = "swarm")]
struct Arguments {
    /// How many want the file
    #[arg(long, default_value_t = 100)]
    peers: u32,
    /// How many have it from the beginning
    #[arg(long, default_value_t = 1)]
    seeds: u32,
    /// How many of the peers give nothing
    #[arg(long, default_value_t = 0)]
    free_riders: u32,
    /// The length of the file in KiB
    #[arg(long, default_value_t = 262_144)]
    size: u64,
    /// The length of a piece in KiB
    #[arg(long, default_value_t = 256)]
    piece: u32,
    /// Every uplink in kbit/s
    #[arg(long, default_value_t = 10_000)]
    up: u64,
    /// Every downlink in kbit/s
    #[arg(long, default_value_t = 10_000)]
    down: u64,
    /// The uplink of seeds in kbit/s, where it is another
    #[arg(long)]
    seed_up: Option<u64>,
    /// How long a byte is under way, in milliseconds, one way
    #[arg(long, default_value_t = 50)]
    latency: u64,
    /// The most connections of a peer
    #[arg(long, default_value_t = 50)]
    links: u32,
    /// How many addresses the tracker gives [default: half of the links]
    #[arg(long)]
    contacts: Option<u32>,
    /// How pieces are chosen; `all` compares them
    #[arg(long, value_enum, default_value_t = Choice::Rarest)]
    policy: Choice,
    /// The seeds super-seed
    #[arg(long)]
    super_seed: bool,
    /// How many peers a session serves at once [default: as the core has it]
    #[arg(long)]
    slots: Option<u32>,
    /// To how many others a piece is suggested that was read for one [default: as the core has it]
    #[arg(long)]
    suggest_to: Option<u32>,
    /// Peers come one after the other with this mean gap in milliseconds [default: all at once]
    #[arg(long)]
    gap: Option<u64>,
    /// Who has everything leaves
    #[arg(long)]
    leave: bool,
    /// Where all chance comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// When to end at the latest, in virtual seconds
    #[arg(long, default_value_t = 86_400)]
    limit: u64,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Draw it
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Rarest,
    Random,
    Sequential,
    All,
}

impl Choice {
    fn policies(self) -> &'static [Policy] {
        match self {
            Choice::Rarest => &[Policy::Rarest],
            Choice::Random => &[Policy::Random],
            Choice::Sequential => &[Policy::Sequential],
            Choice::All => &Policy::ALL,
        }
    }
}

impl Arguments {
    fn options(&self, policy: Policy) -> Options {
        let bytes = |kilobits: u64| kilobits.saturating_mul(125);
        let mut config = Config::default();
        config.choke.slots = self.slots.unwrap_or(config.choke.slots);
        config.choke.suggest_to = self.suggest_to.unwrap_or(config.choke.suggest_to);
        Options {
            peers: self.peers,
            seeds: self.seeds,
            free_riders: self.free_riders,
            size: self.size.saturating_mul(1 << 10),
            piece_length: self.piece.saturating_mul(1 << 10),
            up: bytes(self.up),
            down: bytes(self.down),
            seed_up: self.seed_up.map(bytes),
            latency: Duration::from_millis(self.latency),
            links: self.links,
            contacts: self.contacts,
            policy,
            super_seed: self.super_seed,
            join: self.gap.map_or(Join::Crowd, |gap| Join::Poisson(Duration::from_millis(gap))),
            leave: self.leave,
            seed: self.seed,
            limit: Duration::from_secs(self.limit),
            config,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut reports: Vec<Report> = Vec::new();
    for &policy in arguments.policy.policies() {
        match run(&arguments.options(policy)) {
            Ok(report) => reports.push(report),
            Err(error) => {
                eprintln!("swarm: {error}");
                return ExitCode::from(2);
            }
        }
    }
    if arguments.json {
        let all: Vec<_> = reports.iter().map(Report::to_json).collect();
        let printed = if let [one] = &all[..] { one.clone() } else { all.into() };
        println!("{printed}");
    } else {
        for report in &reports {
            println!("{report}");
        }
        if reports.len() > 1 {
            print!("{}", table(&reports));
        }
    }
    if let Some(path) = &arguments.svg
        && let Err(error) = std::fs::write(path, plot(&reports))
    {
        eprintln!("swarm: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    let whole = reports.iter().all(|report| report.finished() == report.leeches().count());
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
