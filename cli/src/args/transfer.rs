//! The arguments of what transfers: `download` and `seed`.

use crate::select::Choice;
use crate::values;
use clap::{ArgAction, Args};
use parcacik_core::border::Target;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Download torrents
///
/// Fetches everything in the torrents given (or what --select names), checks it, and ends; or seeds on (--seed, --seed-ratio, --seed-time). Started again after an interruption it goes on where it
/// was, and checks only what it must. What is there already is checked and used, also when another program made it. --peer and --tracker are for all torrents. One that fails does not stop
/// the others; the exit code is 1 then.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik download debian.iso.torrent
  parcacik download https://example.org/debian.iso.torrent -o ~/Downloads
  parcacik download *.torrent -o ~/Downloads --seed-ratio 1.5
  parcacik download film.torrent --peer 192.0.2.1:6881 --no-tracker
  parcacik download 'magnet:?xt=urn:btih:HASH'
  parcacik download HASH --dht-bootstrap 192.0.2.1:6881
  parcacik download film.torrent --select 1 --select '*film*' --sequential
  parcacik download film.torrent --on-complete cp -r {path} /mnt/films
  parcacik download film.torrent --on-complete touch {path}.done ';' --seed

The program of --on-complete runs without a shell, once for each torrent that was not there before. In its arguments {path}, {name} and {info_hash} are replaced; they are also in its environment as
PARCACIK_PATH, PARCACIK_NAME and PARCACIK_INFO_HASH. A name is a stranger's word: in a script, quote \"$PARCACIK_PATH\".

JSON (--json), an object a line: {\"event\":\"progress\",\"name\",\"info_hash\",\"state\",\"bytes\",\"total\",\"pieces\",\"piece_count\",\"download_rate\",\"upload_rate\",\"uploaded\",\"peers\",\"sources\",\"seconds_left\"} at most once a
second, where sources says who has named peers: {\"tracker\":{\"known\",\"connected\"},..} for each of user, tracker, dht, pex, lsd, resume and incoming (it connected to us) that has; {\"event\":\"metadata\",\"source\",\"name\",\"info_hash\",\"bytes\",\"piece_count\",\"files\"} when what a magnet link leads to is known; {\"event\":\"finished\",\"name\",\"path\",\"info_hash\",\"bytes\",\"seconds\"} for each torrent that is whole; {\"event\":\"failed\",\"source\",\"name\",\"info_hash\",\"error\"} for each that is not (name and info_hash are null when the
source could not be read).")]
pub struct DownloadArgs {
    /// .torrent files, http and https URLs of them, magnet links, or info-hashes; the same torrent twice is downloaded once
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// The folder to download into; made if it does not exist
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Download only these files: a number or range of numbers as `inspect` shows them (3-7), or a pattern of a name or path (*.mkv, extras/**); may be repeated. Without it
    /// everything is downloaded
    #[arg(long, value_name = "PATTERN|INDEX")]
    pub select: Vec<Choice>,
    /// Ask for pieces in order, to look at what is there while the rest comes. Slower, and of less use to others
    #[arg(long)]
    pub sequential: bool,
    /// Replace files that are in the way and hold nothing of the torrent
    #[arg(long)]
    pub overwrite: bool,
    /// Check every piece that is there, whatever the resume data say
    #[arg(long)]
    pub recheck: bool,
    /// A program to run for each torrent when it is whole, with its arguments up to the end of the line or a `;`. Its failure is a warning
    #[arg(
        long,
        value_names = ["PROGRAM", "ARG"],
        num_args = 1..,
        action = ArgAction::Set,
        allow_hyphen_values = true,
        value_terminator = ";"
    )]
    pub on_complete: Vec<OsString>,
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
/// Checks the data, and serves what is right until it is stopped. Nothing is written to the data. All torrents have their data in the same folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik seed debian.iso.torrent --data ~/Downloads --listen 0.0.0.0:6881
  parcacik seed *.torrent --data ~/Downloads

JSON (--json), an object a line: {\"event\":\"listening\",\"addrs\":[..]} first; then as download has it.")]
pub struct SeedArgs {
    /// .torrent files, or http and https URLs of them
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// The folder that contains the torrent's name
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Super-seed: give each piece away once and let the others pass it on, until another seed is there. For the first seed of a
    /// new torrent
    #[arg(long)]
    pub super_seed: bool,
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
    /// Exchange no peers with peers (BEP 11). For private torrents none are in any case
    #[arg(long)]
    pub no_pex: bool,
    /// Do not look for peers on the local network (BEP 14). For private torrents nobody does in any case
    #[arg(long)]
    pub no_lsd: bool,
    /// Take no part in the DHT (BEP 5). Private torrents do not in any case
    #[arg(long, env = "PARCACIK_NO_DHT", hide_env = true)]
    pub no_dht: bool,
    /// A node of the DHT to begin with, in place of the public ones; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_parser = values::peer)]
    pub dht_bootstrap: Vec<Target>,
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

/// Fetch the .torrent file of a magnet link from peers
///
/// Asks the peers that the link names, those of its trackers, of the DHT and of --peer, checks what they give by the link's hash, and writes it with the link's trackers. Nothing of the content is downloaded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik metadata 'magnet:?xt=urn:btih:HASH' -o f.torrent
  parcacik metadata HASH -o f.torrent --force --peer 192.0.2.1:6881

JSON (--json): {\"path\",\"name\",\"info_hash\",\"bytes\",\"piece_length\",\"piece_count\",\"files\"}")]
pub struct MetadataArgs {
    /// The magnet link, or an info-hash of 40 hexadecimal digits
    #[arg(value_name = "MAGNET")]
    pub magnet: String,
    /// The .torrent file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Replace FILE when it exists
    #[arg(short, long)]
    pub force: bool,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}
