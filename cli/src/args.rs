//! The command line.

use crate::values;
use clap::{ArgAction, Args, Parser, Subcommand};
use parcacik_core::border::Target;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0    the job was done
  1    it failed; stderr says why
  2    wrong usage
  3    stopped by --stop-after
  130  stopped by Ctrl-C or SIGTERM, after a clean stop (a second one ends at once)

Results go to stdout; progress, warnings and errors to stderr.";

/// A BitTorrent client: downloads, seeds, makes, checks and shows torrents.
#[derive(Debug, Parser)]
#[command(name = "parcacik", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell more: trackers, peers that misbehave; twice: every connection
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Download torrents
    ///
    /// Fetches everything in the .torrent files given, checks it, and ends; or seeds on (--seed, --seed-ratio, --seed-time). Started again after an interruption it goes on where it
    /// was, and checks only what it must. What is there already is checked and used, also when another program made it.
    #[command(after_help = "\
Examples:
  parcacik download debian.iso.torrent
  parcacik download *.torrent -o ~/Downloads --seed-ratio 1.5
  parcacik download film.torrent --listen 0.0.0.0:6881 --peer 192.0.2.1:6881 --no-tracker

JSON (--json), an object a line: {\"event\":\"progress\",\"name\",\"info_hash\",\"state\",\"bytes\",\"total\",\"pieces\",\"piece_count\",\"download_rate\",\"upload_rate\",\"uploaded\",\"peers\",\"seconds_left\"} at most once a
second; {\"event\":\"finished\",\"name\",\"path\",\"info_hash\",\"bytes\",\"seconds\"} for each torrent that is whole; {\"event\":\"failed\",\"name\",\"info_hash\",\"error\"} for each that is not.")]
    Download(DownloadArgs),
    /// Seed data that are there
    ///
    /// Checks the data, and serves what is right until it is stopped. Nothing is written to the data.
    #[command(after_help = "\
Example:
  parcacik seed debian.iso.torrent --data ~/Downloads --listen 0.0.0.0:6881")]
    Seed(SeedArgs),
    /// Make a .torrent file of a file or a folder
    ///
    /// Files are taken in the order of their names. Symbolic links inside the folder, and what is neither a file nor a folder, are left out with a warning. The output file itself is left out too.
    #[command(after_help = "\
Example:
  parcacik create holiday/ -o holiday.torrent --tracker udp://tracker.example:6969/announce

JSON (--json): {\"path\",\"name\",\"info_hash\",\"bytes\",\"piece_length\",\"piece_count\",\"files\"}")]
    Create(CreateArgs),
    /// Check data against a torrent
    ///
    /// Hashes every piece and names the pieces and files that are bad or missing. The exit code is 0 only when everything is right. Nothing is changed.
    #[command(after_help = "\
Example:
  parcacik verify debian.iso.torrent --data ~/Downloads

JSON (--json): {\"name\",\"info_hash\",\"bad_pieces\":[..],\"bad_files\":[{\"path\",\"problem\",\"pieces\"}],\"pieces_ok\",\"pieces_bad\",\"complete\"}")]
    Verify(VerifyArgs),
    /// Show what a .torrent file says
    #[command(after_help = "\
Example:
  parcacik inspect debian.iso.torrent --json | jq .info_hash_v1

JSON (--json), one object: name, info_hash_v1 and info_hash_v2 (hex or null), piece_length, piece_count, total_length, private, files ([{path, length, pad, executable, hidden, symlink, pieces_root}]),
trackers (tiers of URLs), web_seeds, http_seeds, comment, created_by, creation_date (Unix seconds), dht_nodes ([[host, port]]), warnings, source.")]
    Inspect(InspectArgs),
    /// Run a tracker, for HTTP and UDP on one port
    ///
    /// Lists peers of any torrent, in memory only. Runs until it is stopped.
    #[command(after_help = "\
Example:
  parcacik tracker --listen 0.0.0.0:6969")]
    Tracker(TrackerArgs),
    /// Run a recorded session again and compare
    ///
    /// Feeds what was recorded with --record to the same state machine, without network, disk or clock. The exit code is 0 when it takes the same decisions; otherwise the first event that makes a difference is shown.
    #[command(after_help = "\
Example:
  parcacik download debian.iso.torrent --record session.rec
  parcacik replay session.rec

JSON (--json): {\"events\",\"seconds\",\"digest\",\"complete\",\"same\"}")]
    Replay(ReplayArgs),
    /// Show that it works: a tracker, a seed and two downloads on this machine
    ///
    /// Makes a random file of 64 MiB in a temporary folder, seeds it, downloads it twice over loopback, compares, and cleans up. Needs no network.
    #[command(after_help = "\
Example:
  parcacik demo")]
    Demo(DemoArgs),
}

/// `download`.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// The .torrent files
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// The folder to download into; made if it does not exist
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Replace files that are in the way and hold nothing of the torrent
    #[arg(long)]
    pub overwrite: bool,
    /// Check every piece that is there, whatever the resume data say
    #[arg(long)]
    pub recheck: bool,
    /// Print an object a line to stdout
    #[arg(long)]
    pub json: bool,
}

/// When to stop seeding.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct GoalArgs {
    /// Seed on when everything is there, until stopped
    #[arg(long)]
    pub seed: bool,
    /// Seed until so many times the size has been uploaded
    #[arg(long, value_name = "RATIO", value_parser = values::ratio)]
    pub seed_ratio: Option<u32>,
    /// Seed for so long: 30m, 2h
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub seed_time: Option<Duration>,
}

/// `seed`.
#[derive(Debug, Args)]
pub struct SeedArgs {
    /// The .torrent file
    #[arg(value_name = "TORRENT")]
    pub torrent: PathBuf,
    /// The folder that contains the torrent's name
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Print an object a line to stdout
    #[arg(long)]
    pub json: bool,
}

/// What transfers have in common.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// A peer to connect to, besides those of trackers; may be repeated. It is tried again and again
    #[arg(long = "peer", value_name = "HOST:PORT", value_parser = values::peer)]
    pub peers: Vec<Target>,
    /// A tracker to use besides the torrent's own; may be repeated
    #[arg(long = "tracker", value_name = "URL", value_parser = values::tracker)]
    pub trackers: Vec<String>,
    /// Use no tracker at all
    #[arg(long, conflicts_with = "trackers")]
    pub no_tracker: bool,
    /// The address to listen on and to connect from; may be repeated [default: every address, ports chosen by the system]
    #[arg(long, value_name = "IP:PORT", value_parser = values::listen)]
    pub listen: Vec<SocketAddr>,
    /// Stop after so long, with exit code 3: 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub stop_after: Option<Duration>,
    /// The most connections to peers, over all torrents
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_peers: u32,
    /// Where resume data are kept [default: $XDG_STATE_HOME/parcacik]
    #[arg(long, value_name = "DIR", env = "PARCACIK_STATE_DIR", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// Record the session in a new file, for `replay`. Content is left out; peers and secrets are not: keep it to yourself
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// How long a checked piece may wait until it is safe from a power cut: 5s. Shorter keeps the disk busier [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub sync_interval: Option<Duration>,
}

/// `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The file or folder
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// The .torrent file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// A tracker; may be repeated: the later ones are tried when the earlier ones fail
    #[arg(long = "tracker", value_name = "URL", value_parser = values::tracker)]
    pub trackers: Vec<String>,
    /// The length of a piece, a power of two: 256K, 1M [default: chosen for about 1000 to 2000 pieces]
    #[arg(long, value_name = "N", value_parser = values::piece_length)]
    pub piece_length: Option<u32>,
    /// Peers may come from the trackers only (BEP 27)
    #[arg(long)]
    pub private: bool,
    /// Words for people
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Replace FILE when it exists
    #[arg(short, long)]
    pub force: bool,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The .torrent file
    #[arg(value_name = "TORRENT")]
    pub torrent: PathBuf,
    /// The folder that contains the torrent's name
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}

/// `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The .torrent file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}

/// `tracker`.
#[derive(Debug, Args)]
pub struct TrackerArgs {
    /// Where to listen, with TCP and UDP; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", value_parser = values::listen)]
    pub listen: SocketAddr,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Record the three sessions in this folder, for `replay`: seed.rec, first.rec and second.rec
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}
