//! The arguments of `announce` and `scrape`.

use crate::values;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Ask trackers for peers, once
///
/// Announces to every tracker of the torrents, or to the trackers given with --hash, shows what each answers, and takes itself off their lists again. Nothing is downloaded. The exit code is 1 when no tracker answered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik announce debian.iso.torrent
  parcacik announce debian.iso.torrent --json

A tracker's URL needs a torrent to ask about: announce URL --hash HEX.

JSON (--json), an object a line for each tracker and address family:
  {\"tracker\",\"info_hash\",\"address\",\"interval\",\"min_interval\",\"seeds\",
  \"leeches\",\"downloaded\",\"peers\":[..],\"external_ip\",\"warning\",\"error\"}")]
pub struct AnnounceArgs {
    #[command(flatten)]
    pub ask: AskArgs,
    /// How many peers to ask for
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub peers: u32,
}

/// Ask trackers how torrents do
///
/// Shows how many seeds and leeches each tracker knows of each torrent, without being listed there. The exit code is 1 when no tracker answered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik scrape debian.iso.torrent
  parcacik scrape debian.iso.torrent --json

A tracker's URL needs a torrent to ask about: scrape URL --hash HEX.

JSON (--json), an object a line for each tracker: {\"tracker\",\"error\",
  \"torrents\":[{\"info_hash\",\"seeds\",\"leeches\",\"downloaded\"}]}")]
pub struct ScrapeArgs {
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Whom to ask, and about what.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// .torrent files, whose trackers are asked; or announce URLs of trackers
    #[arg(required = true, value_name = "TORRENT|URL")]
    pub sources: Vec<String>,
    /// The info-hash of a torrent, 40 hexadecimal digits; may be repeated. Trackers given as URLs are asked about these
    #[arg(long = "hash", value_name = "HEX", value_parser = values::info_hash)]
    pub hashes: Vec<[u8; 20]>,
    /// The address to ask from; may be repeated [default: every address, ports chosen by the system]
    #[arg(long, value_name = "IP:PORT", value_parser = values::listen)]
    pub listen: Vec<SocketAddr>,
    /// Print an object a line to stdout
    #[arg(long)]
    pub json: bool,
    /// Record the session in a new file, for `replay`. Secrets and what trackers said are in it: keep it to yourself
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}
