//! The arguments of what works on torrents and data alone: `create`, `verify` and `inspect`.

use crate::values;
use clap::Args;
use std::path::PathBuf;

/// Make a .torrent file of a file or a folder
///
/// Files are taken in the order of their names. Symbolic links inside the folder, and what is neither a file nor a folder, are left out with a warning. The output file itself is left out too.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik create holiday/ -o holiday.torrent --tracker udp://tracker.example:6969/announce

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

/// Check data against a torrent
///
/// Hashes every piece and names the pieces and files that are bad or missing. The exit code is 0 only when everything is right. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik verify debian.iso.torrent --data ~/Downloads

JSON (--json): {\"name\",\"info_hash\",\"bad_pieces\":[..],\"bad_files\":[{\"path\",\"problem\",\"pieces\"}],\"pieces_ok\",\"pieces_bad\",\"complete\"}")]
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

/// Show what a .torrent file says
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik inspect debian.iso.torrent --json | jq .info_hash_v1

JSON (--json), one object: name, info_hash_v1 and info_hash_v2 (hex or null), piece_length, piece_count, total_length, private, files ([{path, length, pad, executable, hidden, symlink, pieces_root}]),
trackers (tiers of URLs), web_seeds, http_seeds, comment, created_by, creation_date (Unix seconds), dht_nodes ([[host, port]]), warnings, source.")]
pub struct InspectArgs {
    /// The .torrent file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}
