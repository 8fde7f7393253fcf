//! `parcacik`: a BitTorrent client for the command line.
//!
//! Thin: `parcacik-core` decides, `parcacik-driver-smol` acts, and this program reads arguments and shows what goes on. One file for each command lies in
//! [`commands`]; what they share lies beside this file.
//!
//! Results go to stdout. Progress, warnings and errors go to stderr.

mod args;
mod aside;
mod asking;
mod commands;
mod exit;
mod globs;
mod hashing;
mod ip_filter;
mod network;
mod open_files;
mod output;
mod progress;
mod publish;
mod record;
mod select;
mod signals;
mod sources;
mod torrent_file;
mod transcript;
mod transfer;
mod values;
mod written;

use args::{Cli, Command};
use clap::Parser as _;
use exit::Outcome;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let cli = Cli::parse();
    let output = Output::new(cli.quiet, cli.verbose);
    open_files::raise_limit();
    match run(&cli, &output) {
        Ok(outcome) => outcome.into(),
        // Nobody reads the results any more: `parcacik inspect FILE | head`.
        Err(error) if output::is_broken_pipe(&error) => Outcome::Failed.into(),
        Err(error) => {
            output.error(&error);
            Outcome::Failed.into()
        }
    }
}

fn run(cli: &Cli, output: &Output) -> anyhow::Result<Outcome> {
    match &cli.command {
        Command::Download(args) => commands::download::run(args, output),
        Command::Seed(args) => commands::seed::run(args, output),
        Command::Create(args) => commands::create::run(args, output),
        Command::Verify(args) => commands::verify::run(args, output),
        Command::Inspect(args) => commands::inspect::run(args, output),
        Command::Magnet(args) => commands::magnet::run(args, output),
        Command::Metadata(args) => commands::metadata::run(args, output),
        Command::Announce(args) => commands::announce::run(args, output),
        Command::Scrape(args) => commands::scrape::run(args, output),
        Command::Dht(args) => commands::dht::run(args, output),
        Command::Tracker(args) => commands::tracker::run(args, output),
        Command::Replay(args) => commands::replay::run(args, output),
        Command::Redact(args) => commands::redact::run(args, output),
        Command::Shrink(args) => commands::shrink::run(args, output),
        Command::Dissect(args) => commands::dissect::run(args, output),
        Command::Demo(args) => commands::demo::run(args, output),
        Command::Completions(args) => commands::completions::run(args, output),
        Command::Man(args) => commands::man::run(args, output),
    }
}
