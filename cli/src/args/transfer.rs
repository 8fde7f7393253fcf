//! The arguments of what transfers: `download` and `seed`.

use crate::values;
use clap::Args;
use parcacik_core::border::Target;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Download torrents
///
/// Fetches everything in the .torrent files given, checks it, and ends; or seeds on (--seed, --seed-ratio, --seed-time). Started again after an interruption it goes on where it
/// was, and checks only what it must. What is there already is checked and used, also when another program made it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik download debian.iso.torrent
  parcacik download *.torrent -o ~/Downloads --seed-ratio 1.5
  parcacik download film.torrent --listen 0.0.0.0:6881 --peer 192.0.2.1:6881 --no-tracker

JSON (--json), an object a line: {\"event\":\"progress\",\"name\",\"info_hash\",\"state\",\"bytes\",\"total\",\"pieces\",\"piece_count\",\"download_rate\",\"upload_rate\",\"uploaded\",\"peers\",\"seconds_left\"} at most once a
second; {\"event\":\"finished\",\"name\",\"path\",\"info_hash\",\"bytes\",\"seconds\"} for each torrent that is whole; {\"event\":\"failed\",\"name\",\"info_hash\",\"error\"} for each that is not.")]
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

/// Seed data that are there
///
/// Checks the data, and serves what is right until it is stopped. Nothing is written to the data.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik seed debian.iso.torrent --data ~/Downloads --listen 0.0.0.0:6881")]
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
    /// A list of addresses to have nothing to do with, peers and trackers alike: P2P, DAT or CIDR lines, packed with gzip or not; may be repeated
    #[arg(long, value_name = "FILE")]
    pub ip_filter: Vec<PathBuf>,
    /// Let trackers, redirects and public names on the internet lead to private networks and to this machine
    #[arg(long)]
    pub allow_local_from_global: bool,
    /// The address to listen on and to connect from; may be repeated [default: every address, ports chosen by the system]
    #[arg(long, value_name = "IP:PORT", value_parser = values::listen)]
    pub listen: Vec<SocketAddr>,
    /// Stop after so long, with exit code 3: 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub stop_after: Option<Duration>,
    /// The most connections to peers, over all torrents
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_peers: u32,
    /// The most bytes a second from peers, over all torrents: 500K, 2M (K and M are 1024) [default: no limit]
    #[arg(long, value_name = "RATE", value_parser = values::rate_limit)]
    pub max_download: Option<u64>,
    /// The most bytes a second to peers, over all torrents: 500K, 2M (K and M are 1024) [default: no limit]
    #[arg(long, value_name = "RATE", value_parser = values::rate_limit)]
    pub max_upload: Option<u64>,
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
