//! What `announce` and `scrape` have in common: whom to ask, and a client that does nothing else.

use crate::args::AskArgs;
use crate::network;
use crate::output::Output;
use crate::record::Recording;
use crate::torrent_file;
use anyhow::bail;
use parcacik_core::border::InfoHash;
use parcacik_core::tracker::TrackerUrl;
use parcacik_driver_smol::{Client, ClientConfig};
use std::path::Path;

/// Some torrents, and the trackers to ask about them.
#[derive(Debug)]
pub struct Question {
    /// The trackers' announce URLs.
    pub trackers: Vec<String>,
    /// The torrents.
    pub torrents: Vec<Asked>,
}

/// One torrent.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// By which trackers know it.
    pub hash: InfoHash,
    /// Its bytes, where they are known: what a new peer would be wanting.
    pub length: Option<u64>,
}

/// What is to be asked: each file's trackers about its torrent, and all URLs about the hashes.
///
/// # Errors
/// When a file cannot be read or has no tracker, or a URL has no hash to ask about, or none is a hash for.
pub fn questions(args: &AskArgs, output: &Output) -> anyhow::Result<Vec<Question>> {
    let is_url = |source: &&String| TrackerUrl::parse(source).is_ok() && !Path::new(source).exists();
    let urls: Vec<String> = args.sources.iter().filter(is_url).cloned().collect();
    match (urls.is_empty(), args.hashes.is_empty()) {
        (false, true) => bail!("{} is a tracker; say about which torrent to ask it, with --hash HEX", urls[0]),
        (true, false) => bail!("--hash is for trackers given as URLs, and there is none"),
        _ => {}
    }
    let mut questions = Vec::new();
    for file in args.sources.iter().filter(|source| !is_url(source)) {
        let torrent = torrent_file::read(Path::new(file), output)?;
        let trackers: Vec<String> = torrent.metainfo.trackers().iter().flatten().cloned().collect();
        if trackers.is_empty() {
            bail!("{file} has no tracker; give one as URL, with --hash {}", torrent.metainfo.hashes().best());
        }
        let length = Some(torrent.metainfo.geometry().total_length());
        questions.push(Question { trackers, torrents: vec![Asked { hash: torrent.metainfo.hashes().best(), length }] });
    }
    if !urls.is_empty() {
        let torrents = args.hashes.iter().map(|&hash| Asked { hash: InfoHash(hash), length: None }).collect();
        questions.push(Question { trackers: urls, torrents });
    }
    Ok(questions)
}

/// A client without torrents, that keeps nothing.
///
/// # Errors
/// As [`network::start`].
pub fn client(args: &AskArgs) -> anyhow::Result<(Client, Option<Recording>)> {
    let listen = if args.listen.is_empty() { network::everywhere() } else { args.listen.clone() };
    network::start_with(ClientConfig { listen, ..ClientConfig::default() }, args.record.as_deref())
}

/// Ends it.
pub fn end(client: Client, recording: Option<Recording>, output: &Output) {
    // Nothing is lost when it does not end in time: there is nothing in it.
    let _ = async_io::block_on(client.shutdown());
    if let Some(recording) = recording {
        recording.finish(output);
    }
}
