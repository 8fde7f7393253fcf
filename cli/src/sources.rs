//! All torrents that a command names: read and fetched side by side, each once, and a bad one does not stop the others. Magnet links are
//! taken as they are: what they lead to is fetched from peers, later.

use crate::output::Output;
use crate::signals::Interrupt;
use crate::torrent_file::{self, Source, TorrentFile};
use crate::values::clean;
use anyhow::{Context as _, anyhow};
use async_channel::{Receiver, Sender};
use futures_lite::{FutureExt as _, future};
use parcacik_core::border::InfoHashes;
use parcacik_core::metainfo::Magnet;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many are fetched at once: more would be rude to a site that has them all.
const AT_ONCE: usize = 4;

/// What became of the sources.
#[derive(Debug, Default)]
pub struct Sources {
    /// The torrents, in the order they were named in, none twice.
    pub torrents: Vec<Wanted>,
    /// Those that cannot be used, and why; already told.
    pub refused: Vec<Refused>,
}

/// A torrent that is to be run.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All is known of it.
    File(Box<TorrentFile>),
    /// Its hash is known, and whom to ask.
    Link(Box<Link>),
}

/// A magnet link.
#[derive(Clone, Debug)]
pub struct Link {
    /// As the user gave it.
    pub link: String,
    /// What it says.
    pub magnet: Magnet,
}

impl Wanted {
    /// As the user named it.
    pub fn source(&self) -> &str {
        match self {
            Wanted::File(file) => &file.source,
            Wanted::Link(link) => &link.link,
        }
    }

    /// What it is called, as far as that is known.
    pub fn name(&self) -> String {
        match self {
            Wanted::File(file) => file.metainfo.name().to_owned(),
            Wanted::Link(link) => link.magnet.name.clone().unwrap_or_else(|| self.hashes().best().to_hex()),
        }
    }

    /// Its hashes.
    pub fn hashes(&self) -> InfoHashes {
        match self {
            Wanted::File(file) => file.metainfo.hashes(),
            Wanted::Link(link) => link.magnet.hashes,
        }
    }
}

/// A source that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As the user named it.
    pub source: String,
    /// Why not.
    pub why: String,
}

/// Reads them all; `None` when the user has stopped it. `transferred` is what cannot be done with a torrent of version 2 yet;
/// `links`: whether magnet links are taken.
///
/// # Errors
/// When no thread can be started.
pub fn read_all(
    words: &[PathBuf],
    transferred: &str,
    links: bool,
    interrupt: &Interrupt,
    output: &Output,
) -> anyhow::Result<Option<Sources>> {
    for word in words {
        if let Source::Url(url) = Source::of(word) {
            output.say(format_args!("fetching {url}"));
        }
    }
    let results = start(words, links, interrupt)?;
    let mut read: Vec<Option<Wanted>> = words.iter().map(|_| None).collect();
    let mut sources = Sources::default();
    let mut refuse = |word: &Path, error: &anyhow::Error| {
        let why = output.error(error);
        sources.refused.push(Refused { source: word.display().to_string(), why });
    };
    let next = async || {
        let stopped = async {
            interrupt.wait().await;
            None
        };
        stopped.or(async { results.recv().await.ok() }).await
    };
    while let Some((index, result)) = future::block_on(next()) {
        let Some((place, word)) = read.get_mut(index).zip(words.get(index)) else { continue };
        match result {
            Ok(torrent) if torrent.hashes().v1.is_some() => *place = Some(torrent),
            Ok(_) => {
                refuse(word, &anyhow!("{} is of version 2 only, which cannot be {transferred} yet", word.display()))
            }
            Err(error) => refuse(word, &error),
        }
    }
    if interrupt.asked() {
        return Ok(None);
    }
    let mut seen: BTreeMap<_, String> = BTreeMap::new();
    for torrent in read.into_iter().flatten() {
        let hash = torrent.hashes().best();
        match seen.get(&hash) {
            Some(first) => output.warn(format_args!(
                "{} and {} are the same torrent, {}; it is {transferred} once",
                first,
                torrent.source(),
                clean(&torrent.name())
            )),
            None => {
                seen.insert(hash, torrent.source().to_owned());
                sources.torrents.push(torrent);
            }
        }
    }
    Ok(Some(sources))
}

type Results = Receiver<(usize, anyhow::Result<Wanted>)>;

async fn load(word: &Path, links: bool) -> anyhow::Result<Wanted> {
    match Source::of(word) {
        Source::Magnet(link) if links => {
            let magnet = link.parse()?;
            Ok(Wanted::Link(Box::new(Link { link: link.to_owned(), magnet })))
        }
        _ => torrent_file::load(word).await.map(|file| Wanted::File(Box::new(file))),
    }
}

/// Threads that take the next word until there is none. They are not waited for: a file may be a pipe that nobody writes to.
fn start(words: &[PathBuf], links: bool, interrupt: &Interrupt) -> anyhow::Result<Results> {
    let (sender, results): (Sender<_>, Results) = async_channel::bounded(AT_ONCE);
    let words: Arc<[PathBuf]> = words.into();
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..AT_ONCE.min(words.len()) {
        let (sender, words, next, interrupt) =
            (sender.clone(), Arc::clone(&words), Arc::clone(&next), interrupt.clone());
        let work = move || {
            while !interrupt.asked() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(word) = words.get(index) else { return };
                let stopped = async {
                    interrupt.wait().await;
                    Err(anyhow!("stopped"))
                };
                let result = async_io::block_on(load(word, links).or(stopped));
                if sender.send_blocking((index, result)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("sources".into()).spawn(work).context("cannot start a thread")?;
    }
    Ok(results)
}
