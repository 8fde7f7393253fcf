//! `magnet`: the magnet link of a torrent.

use crate::args::MagnetArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::torrent_file;
use crate::values::hex;
use parcacik_core::metainfo::Magnet;
use parcacik_core::metainfo::magnet::MagnetLimits;
use serde::Serialize;

/// Runs the command.
///
/// # Errors
/// When the torrent cannot be read or is refused.
pub fn run(args: &MagnetArgs, output: &Output) -> anyhow::Result<Outcome> {
    let torrent = torrent_file::read(&args.torrent, output)?.metainfo;
    let mut magnet = Magnet::of(&torrent);
    let most = MagnetLimits::default().trackers;
    if args.no_tracker {
        magnet.trackers.clear();
    } else if magnet.trackers.len() > most {
        output.warn(format_args!("only the first {most} of {} trackers are in the link", magnet.trackers.len()));
        magnet.trackers.truncate(most);
    }
    if torrent.private() {
        output.warn("the torrent is private: whoever has only the link cannot get the rest of it from peers");
    }
    let hashes = torrent.hashes();
    let link = Link {
        // Every character of a stranger in it is escaped.
        magnet: magnet.to_string(),
        name: torrent.name(),
        info_hash_v1: hashes.v1.map(|hash| hex(&hash)),
        info_hash_v2: hashes.v2.map(|hash| hex(&hash)),
    };
    if args.json {
        output.json(&link)?;
    } else {
        output.result(&link.magnet)?;
    }
    Ok(Outcome::Done)
}

/// What programs get. The keys are a contract.
#[derive(Debug, Serialize)]
struct Link<'a> {
    magnet: String,
    name: &'a str,
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
}
