//! The client of a whole session: the core's own machine with our own disk and HTTP.

use super::{Client, ClientConfig, StartError};
use crate::engine::jobs::{Disk, Services};
use crate::engine::{Machine, Parts};
use crate::http::HttpClient;
use crate::storage::{Storage, StorageOptions};
use parcacik_core::border::{Actions, Event, TorrentId};
use parcacik_core::dht::node::NodeView;
use parcacik_core::journal::State;
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::fs::DirBuilder;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file of a torrent: how much of it is there, and how much it is wanted.
pub use parcacik_core::torrent::FileView as FileStats;
/// A torrent at a glance.
pub use parcacik_core::torrent::TorrentView as TorrentStats;

impl Machine for Session {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        Session::handle(self, now, event, out);
    }

    fn deadline(&self) -> Option<Time> {
        Session::deadline(self)
    }

    fn state(&self) -> Option<State> {
        Some(Session::state(self))
    }
}

impl Client<Session> {
    /// Starts a session on a thread of its own, with our own disk and HTTP on theirs. Blocks for the moment that
    /// opening sockets takes.
    ///
    /// # Errors
    /// [`StartError`] says what could not be had; nothing runs then.
    pub fn start(config: ClientConfig) -> Result<Client, StartError> {
        if let Some(path) = &config.state_dir {
            make_private(path).map_err(|error| StartError::State { path: path.clone(), error })?;
        }
        let http = HttpClient::new(config.http.clone())?;
        // Bounded by what the core has under way.
        let (results, answers) = async_channel::unbounded();
        let options = StorageOptions { state_dir: config.state_dir.clone(), ..config.storage.clone() };
        let disk = Arc::new(Disk::new(Storage::start(options, results)));
        Client::start_with(config, Services { disk, answers, http: Box::new(http) })
    }

    /// Starts a session whose files and HTTP are done by somebody else. Blocks for the moment that opening sockets
    /// takes.
    ///
    /// # Errors
    /// As [`Client::start`].
    pub fn start_with(config: ClientConfig, services: Services) -> Result<Client, StartError> {
        let seeds = match config.seeds {
            Some(seeds) => seeds,
            None => draw_seeds().map_err(StartError::Seeds)?,
        };
        let shutdown_limit = config.core.session.shutdown_limit;
        let machine = Session::new(config.core, seeds)?;
        let parts = Parts {
            machine,
            recorder: config.recorder,
            services,
            max_pinned: config.max_pinned,
            max_notices: config.max_notices,
        };
        let client = Client::start_parts(parts, &config.listen, config.device.as_deref(), config.dht, shutdown_limit)?;
        if config.dht && !config.dht_nodes.is_empty() {
            // Only a session that is stopping refuses them, and nobody has stopped it yet.
            let _ = futures_lite::future::block_on(client.add_dht_nodes(config.dht_nodes));
        }
        Ok(client)
    }

    /// How the nodes of the DHT are, one for each UDP socket; none when the client has ended.
    pub async fn dht(&self) -> Vec<NodeView> {
        let look = |session: &Session| {
            let now = session.now();
            session.dht_nodes().map(|(_, node)| node.view(now, session.dht_config())).collect()
        };
        self.with_session(look).await.unwrap_or_default()
    }

    /// A torrent at a glance; `None` when it does not exist or the client has ended.
    pub async fn stats(&self, torrent: TorrentId) -> Option<TorrentStats> {
        self.with_session(move |session| session.view(torrent)).await.ok().flatten()
    }

    /// The files of a torrent, in the layout's order; `None` when it does not exist or the client has ended.
    pub async fn files(&self, torrent: TorrentId) -> Option<Vec<FileStats>> {
        self.with_session(move |session| session.torrent(torrent).map(|torrent| torrent.files())).await.ok().flatten()
    }
}

/// Makes a folder that only its owner may look into, if it does not exist.
fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Seeds out of the operating system's randomness.
pub(crate) fn draw_seeds() -> Result<Seeds, getrandom::Error> {
    let mut seeds = Seeds { decision: [0; 32], secret: [0; 32] };
    getrandom::fill(&mut seeds.decision)?;
    getrandom::fill(&mut seeds.secret)?;
    Ok(seeds)
}
