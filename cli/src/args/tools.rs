//! The arguments of `tracker`, `replay`, `demo`, `completions` and `man`.

use crate::values::{self, Until};
use clap::Args;
use clap_complete::Shell;
use parcacik_core::journal::text::Subject;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run a tracker, for HTTP and UDP on one port
///
/// Lists peers of any torrent, in memory only. Runs until it is stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik tracker --listen 0.0.0.0:6969")]
pub struct TrackerArgs {
    /// Where to listen, with TCP and UDP; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", value_parser = values::listen)]
    pub listen: SocketAddr,
}

/// Run a recorded session again and compare, or tell what happened in it
///
/// Feeds what was recorded with --record to the same state machine, without network, disk or clock. The exit code is 0 when it takes the same decisions; otherwise the first event that makes a difference is shown, with what was done then and now, and what went before.
///
/// In what is printed, `[41] 1.250000` is an event by its number and its time in seconds since the first; below it stand what it brought (`<`), what was to be done (`-`), what went out by that (`>`) and what the user was told (`*`).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik download debian.iso.torrent --record session.rec
  parcacik replay session.rec
  parcacik replay session.rec --print --until 30s
  parcacik replay session.rec --about piece:3
  parcacik replay session.rec --about tcp:1 --about piece:3 --json

JSON (--json): {\"events\",\"seconds\",\"digest\",\"complete\",\"same\",\"behaviour\",\"difference\"} (the number of the event that makes a difference, or null).
With --print or --about an object a line before it: {\"event\",\"seconds\",\"kind\" (event, received, action, sent, notice),\"tcp\",\"remote\",\"torrent\" (where they are known),\"word\",\"with\":{..},\"before\" (true where it only came before what was asked for)}")]
pub struct ReplayArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Stop after so many events (a number), or so long after the first event (a span: 90s, 1h30m)
    #[arg(long, value_name = "N|TIME", value_parser = values::until)]
    pub until: Option<Until>,
    /// Print every event and what was done about it
    #[arg(long, conflicts_with = "about")]
    pub print: bool,
    /// Print what was decided about piece:N, peer:IP, peer:IP:PORT, tcp:N or torrent:INFO-HASH, and what the session had been told just before; with several of them, what is about all
    #[arg(long, value_name = "WHAT", value_parser = str::parse::<Subject>)]
    pub about: Vec<Subject>,
    /// Print objects to stdout
    #[arg(long)]
    pub json: bool,
}

/// Show that it works: a tracker, a seed and two downloads on this machine
///
/// Makes a random file of 64 MiB in a temporary folder, seeds it, downloads it twice over loopback, compares, and cleans up. Needs no network.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik demo")]
pub struct DemoArgs {
    /// Record the three sessions in this folder, for `replay`: seed.rec, first.rec and second.rec
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

/// Print what a shell needs to complete this program's arguments
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik completions bash > ~/.local/share/bash-completion/completions/parcacik
  parcacik completions zsh > ~/.zfunc/_parcacik
  parcacik completions fish > ~/.config/fish/completions/parcacik.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik man > parcacik.1
  parcacik man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write parcacik.1 and parcacik-COMMAND.1 into this folder; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
