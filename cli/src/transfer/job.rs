//! One torrent that is run.

use super::Plan;
use crate::progress::{Row, State};
use crate::sources::Wanted;
use crate::values::{clean, rate, size, span};
use parcacik_core::border::{IoFault, Source, StorageLayout, StorageState, TorrentId, TorrentState};
use parcacik_core::metainfo::Metainfo;
use parcacik_core::metainfo::magnet::FileRanges;
use parcacik_driver_smol::TorrentStats;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a torrent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Done,
    /// By a fault, which has been told.
    Failed,
}

#[derive(Debug)]
pub(super) struct Job {
    /// As the user named it.
    pub source: String,
    pub name: String,
    pub info_hash: String,
    /// Where the data lie: a file, or the folder of many.
    pub path: PathBuf,
    /// Bytes of the files that are wanted, without pad files.
    pub size: u64,
    pub id: Option<TorrentId>,
    pub started: Instant,
    /// Whether anything was missing.
    pub has_downloaded: bool,
    /// Whether it has been told what of a seed's data is right.
    pub looked: bool,
    /// When everything was there, counted from the start.
    pub whole: Option<Duration>,
    pub end: Option<End>,
    /// Why it has failed, when it has.
    pub failure: Option<String>,
    /// A fault of the storage that has not been told yet.
    pub fault: Option<IoFault>,
    pub row: Row,
    /// `None`: its info dictionary is still fetched.
    layout: Option<StorageLayout>,
    dir: PathBuf,
    checked: (u32, u32),
}

impl Job {
    pub fn new(wanted: &Wanted, dir: &Path) -> Job {
        // A path that cannot be made absolute (the current folder is gone) is told as it was given.
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let name = wanted.name();
        let mut job = Job {
            source: wanted.source().to_owned(),
            row: Row { name: name.clone(), ..Row::default() },
            name,
            info_hash: wanted.hashes().best().to_hex(),
            // The name in a link is not safe to be a path.
            path: dir.clone(),
            size: 0,
            id: None,
            started: Instant::now(),
            has_downloaded: false,
            looked: false,
            whole: None,
            end: None,
            failure: None,
            fault: None,
            layout: None,
            dir,
            checked: (0, 0),
        };
        if let Wanted::File(file) = wanted {
            job.learn(&file.metainfo);
        }
        job
    }

    /// The torrent is known.
    pub fn learn(&mut self, torrent: &Metainfo) {
        torrent.name().clone_into(&mut self.name);
        self.row.name.clone_from(&self.name);
        self.row.total = torrent.geometry().total_length();
        self.row.piece_count = torrent.geometry().pieces();
        self.path = self.dir.join(torrent.name());
        self.size = torrent.content_length();
        self.layout = Some(torrent.layout().clone());
    }

    /// Only these files are wanted.
    pub fn wants_only(&mut self, selected: &FileRanges) {
        let files = self.layout.iter().flat_map(|layout| (0..).zip(layout.files()));
        let wanted: Vec<u64> =
            files.filter(|(at, file)| selected.contains(*at) && !file.pad).map(|(_, file)| file.length).collect();
        if !wanted.is_empty() {
            self.size = wanted.iter().sum();
        }
    }

    /// The name, for a terminal.
    pub fn name(&self) -> String {
        clean(&self.name)
    }

    /// When the end of the download was told to programs, if it was.
    pub fn told_whole(&self, plan: &Plan) -> Option<Duration> {
        self.whole.filter(|_| !plan.seed_only)
    }

    /// Where a file lies.
    pub fn file(&self, index: u32) -> PathBuf {
        let file = self.layout.as_ref().and_then(|layout| layout.files().get(index as usize));
        file.map_or_else(|| self.path.clone(), |file| self.dir.join(file.path.elements().iter().collect::<PathBuf>()))
    }

    /// So many pieces of what was there have been looked at.
    pub fn checked(&mut self, done: u32, total: u32) {
        self.checked = (done, total);
    }

    /// Takes over new figures.
    pub fn update(&mut self, view: &TorrentStats) {
        if self.end == Some(End::Failed) {
            return;
        }
        self.row = Row {
            name: self.name.clone(),
            state: match (view.state, view.storage) {
                (TorrentState::Checking, StorageState::Failing(_)) => State::NoDisk,
                (TorrentState::Downloading, StorageState::Full { .. }) => State::Full,
                (TorrentState::Downloading, StorageState::Failing(_)) => State::NoDisk,
                (state, _) => state_of(state),
            },
            done: view.wanted_bytes.saturating_sub(view.missing_bytes),
            total: view.wanted_bytes,
            pieces: view.pieces.count(),
            piece_count: view.pieces.len(),
            download_rate: view.download_rate,
            upload_rate: view.upload_rate,
            uploaded: view.uploaded,
            peers: view.peers,
            sources: view.sources,
            left: view.eta,
        };
        if let Some((have, size)) = view.metadata {
            (self.row.done, self.row.total) = (have.into(), size.into());
        }
        if view.state == TorrentState::Checking {
            let piece_length = self.layout.as_ref().map_or(0, |layout| u64::from(layout.piece_length()));
            (self.row.pieces, self.row.piece_count) = self.checked;
            self.row.done = u64::from(self.checked.0) * piece_length;
            self.row.total = u64::from(self.checked.1) * piece_length;
        }
    }

    /// What is told in the end.
    pub fn summary(&self, took: Duration) -> String {
        let (name, path) = (self.name(), clean(&self.path.display().to_string()));
        if !self.has_downloaded {
            return format!("{name}: already complete, at {path}");
        }
        let millis = took.as_millis().max(1);
        let per_second = u64::try_from(u128::from(self.size) * 1000 / millis).unwrap_or(u64::MAX);
        let named = Source::ALL.into_iter().map(|source| (source, self.row.sources.known(source)));
        let named: Vec<String> =
            named.filter(|(_, count)| *count > 0).map(|(source, count)| format!("{count} {source}")).collect();
        let sources = if named.is_empty() { String::new() } else { format!("; peers: {}", named.join(", ")) };
        format!("{name}: finished, {} in {} ({}), at {path}{sources}", size(self.size), span(took), rate(per_second))
    }
}

fn state_of(state: TorrentState) -> State {
    match state {
        TorrentState::Checking => State::Checking,
        TorrentState::Metadata => State::Metadata,
        TorrentState::Downloading => State::Downloading,
        TorrentState::Seeding => State::Seeding,
        TorrentState::Paused => State::Paused,
        TorrentState::Queued => State::Queued,
        TorrentState::Moving => State::Moving,
        TorrentState::Failed(_) => State::Failed,
        TorrentState::Stopping => State::Stopping,
        TorrentState::Stopped => State::Stopped,
        _ => State::Waiting,
    }
}
