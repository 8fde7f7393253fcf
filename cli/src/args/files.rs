//! The arguments of what works on torrents and data alone: `create`, `verify`, `inspect` and `magnet`.

use crate::globs::Pattern;
use crate::values;
use clap::Args;
use std::path::PathBuf;

/// Make a .torrent file of a file or a folder
///
/// Files are taken in the order of their names. Symbolic links inside the folder, and what is neither a file nor a folder, are left out with a warning. The output file itself is left out too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik create photos/ -o photos.torrent --tracker udp://tracker.example:6969
  parcacik create photos/ -o few.torrent --exclude '*.raw' --exclude drafts/
  parcacik create talk.mp4 -o t.torrent --web-seed https://cdn.example/talk.mp4
  parcacik create talk.mp4 -o p.torrent --private --tracker https://t.example/a

Patterns of --exclude: one without a / means files and folders of that name however deep; one with a / means a path below PATH (/drafts: at the top only). * and ? stand for anything but /,
** for that too. Quote them, or the shell replaces them.

JSON (--json): {\"path\",\"name\",\"info_hash\",\"bytes\",\"piece_length\",\"piece_count\",\"files\"}")]
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
    /// A web server that has the data too (BEP 19); may be repeated. Of a folder it is the URL that the folder's name is appended to
    #[arg(long = "web-seed", value_name = "URL", value_parser = values::web_seed)]
    pub web_seeds: Vec<String>,
    /// What the torrent calls the file or folder [default: its own name]. The data must have that name to be seeded
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Leave files and folders out; may be repeated
    #[arg(long = "exclude", value_name = "GLOB")]
    pub excludes: Vec<Pattern>,
    /// The length of a piece, a power of two: 256K, 1M [default: chosen for about 1000 to 2000 pieces]
    #[arg(long, value_name = "N", value_parser = values::piece_length)]
    pub piece_length: Option<u32>,
    /// Peers may come from the trackers only (BEP 27)
    #[arg(long)]
    pub private: bool,
    /// The site it is made for, as private trackers want it; it changes the info-hash
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
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

/// Check data against a torrent
///
/// Hashes every piece and names the pieces and files that are bad or missing. The exit code is 0 only when everything is right. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik verify debian.iso.torrent --data ~/Downloads

JSON (--json): {\"name\",\"info_hash\",\"bad_pieces\":[..],\"bad_files\":[{\"path\",\"problem\",\"pieces\"}],\"pieces_ok\",\"pieces_bad\",\"complete\"}")]
pub struct VerifyArgs {
    /// The .torrent file, or an http or https URL of one
    #[arg(value_name = "TORRENT")]
    pub torrent: PathBuf,
    /// The folder that contains the torrent's name
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}

/// Show what a .torrent file says
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik inspect debian.iso.torrent --json | jq .info_hash_v1

JSON (--json), one object: name, info_hash_v1 and info_hash_v2 (hex or null), piece_length, piece_count, total_length, private, files ([{path, length, pad, executable, hidden, symlink, pieces_root}]),
trackers (tiers of URLs), web_seeds, http_seeds, comment, created_by, creation_date (Unix seconds), dht_nodes ([[host, port]]), warnings, source.")]
pub struct InspectArgs {
    /// The .torrent file, or an http or https URL of one
    #[arg(value_name = "TORRENT")]
    pub torrent: PathBuf,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}

/// Print the magnet link of a torrent
///
/// With its name, length, trackers, web seeds and DHT nodes. Whoever opens it fetches the rest from peers: `download` does, and `metadata`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik magnet debian.iso.torrent
  parcacik magnet debian.iso.torrent --no-tracker

JSON (--json): {\"magnet\",\"name\",\"info_hash_v1\",\"info_hash_v2\"} (hex or null)")]
pub struct MagnetArgs {
    /// The .torrent file, or an http or https URL of one
    #[arg(value_name = "TORRENT")]
    pub torrent: PathBuf,
    /// Leave the trackers out: a shorter link, for peers that are found elsewhere
    #[arg(long)]
    pub no_tracker: bool,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}
