//! `demo`: the main job with nothing else installed. A tracker, a seed and two leeches of our own on loopback, a random file on a real disk.

use crate::args::DemoArgs;
use crate::exit::Outcome;
use crate::hashing;
use crate::network;
use crate::output::Output;
use crate::progress::{Board, Row, State};
use crate::record::Recording;
use crate::signals::Interrupt;
use crate::values::{hex, rate, size};
use anyhow::{Context as _, anyhow, bail};
use async_io::Timer;
use bytes::Bytes;
use futures_lite::{FutureExt as _, StreamExt as _};
use parcacik_core::border::{Notice, SeedGoal, TorrentId, TorrentState};
use parcacik_core::metainfo::builder::{BuildOptions, Builder, SourceFile};
use parcacik_driver_smol::tracker_server::TrackerHost;
use parcacik_driver_smol::{AddOptions, Client, ClientConfig, NoticeReceiver};
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of the file.
const LENGTH: u64 = 64 << 20;
/// Its name.
const NAME: &str = "demo.bin";
/// How often figures are shown.
const REFRESH: Duration = Duration::from_millis(100);
/// How long it may take before something must be wrong. A slow machine needs some seconds.
const LIMIT: Duration = Duration::from_secs(300);
/// What is written or read at once.
const CHUNK: usize = 1 << 20;

/// Runs the command.
///
/// # Errors
/// When a step fails; the text says which.
pub fn run(args: &DemoArgs, output: &Output) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    if let Some(dir) = &args.record {
        fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    }
    let folder = Folder::make()?;
    let outcome = demonstrate(&folder.0, args.record.as_deref(), &interrupt, output);
    match folder.remove() {
        Ok(()) => output.say("cleaned up"),
        Err(error) => output.warn(error),
    }
    outcome
}

fn demonstrate(
    folder: &Path,
    record: Option<&Path>,
    interrupt: &Interrupt,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let source = folder.join("seed");
    fs::create_dir(&source)?;
    output.say(format_args!("making {} of random data in {}", size(LENGTH), folder.display()));
    let expected = make_file(&source.join(NAME)).context("cannot make the file")?;

    let record = |name: &str| record.map(|dir| dir.join(name).with_extension("rec"));
    let tracker = TrackerHost::start(loopback()).context("cannot start a tracker")?;
    let url = format!("http://{}/announce", tracker.local_addr());
    let metainfo = make_torrent(&source, &url, interrupt)?;
    if interrupt.asked() {
        return Ok(Outcome::Interrupted);
    }
    output.say(format_args!("tracker at {url}"));

    let ended = futures_lite::future::block_on(async {
        let swarm = async { swarm(folder, &metainfo, &tracker, record, output).await.map(Some) };
        let interrupted = async {
            interrupt.wait().await;
            Ok(None)
        };
        let limit = async {
            Timer::after(LIMIT).await;
            Err(anyhow!("it took more than {} s; something is wrong", LIMIT.as_secs()))
        };
        interrupted.or(limit).or(swarm).await
    })?;
    let Some(swarm) = ended else { return Ok(Outcome::Interrupted) };

    for peer in &swarm.leeches {
        let at = peer.dir.join(NAME);
        let found = sha256(&at).with_context(|| format!("cannot read {}", at.display()))?;
        if found != expected {
            bail!("{} has SHA-256 {}, not {}", at.display(), hex(&found), hex(&expected));
        }
        let (name, up) = (peer.name, size(peer.uploaded));
        output.result(format_args!("{name}: {} downloaded, {up} uploaded, SHA-256 is right", size(LENGTH)))?;
    }
    let both = LENGTH * swarm.leeches.len() as u64;
    let millis = swarm.took.as_millis().max(1);
    let per_second = u64::try_from(u128::from(both) * 1000 / millis).unwrap_or(u64::MAX);
    output.result(format_args!(
        "seed: {} uploaded\ndone: {} transferred in {:.1} s ({}), SHA-256 {}, {:.1} s in all",
        size(swarm.seed_uploaded),
        size(both),
        swarm.took.as_secs_f64(),
        rate(per_second),
        hex(&expected),
        started.elapsed().as_secs_f64(),
    ))?;
    Ok(Outcome::Done)
}

/// A client with the one torrent.
struct Peer {
    name: &'static str,
    dir: PathBuf,
    client: Client,
    torrent: TorrentId,
    recording: Option<Recording>,
}

impl Peer {
    async fn start(
        name: &'static str,
        dir: PathBuf,
        metainfo: &Bytes,
        seed_only: bool,
        record: Option<PathBuf>,
    ) -> anyhow::Result<(Peer, NoticeReceiver)> {
        let config =
            ClientConfig { state_dir: Some(dir.join("state")), listen: vec![loopback()], ..ClientConfig::default() };
        let (client, recording) =
            network::start_with(config, record.as_deref()).with_context(|| format!("cannot start the {name}"))?;
        let notices = client.notices();
        // It serves until all have everything.
        let options = AddOptions { seed_only, goal: SeedGoal::Forever, ..AddOptions::new(metainfo.clone(), &dir) };
        let torrent = client.add(options).await?;
        Ok((Peer { name, dir, client, torrent, recording }, notices))
    }

    async fn end(self, output: &Output) -> anyhow::Result<()> {
        self.client.shutdown().await.with_context(|| format!("cannot stop the {}", self.name))?;
        if let Some(recording) = self.recording {
            recording.finish(output);
        }
        Ok(())
    }

    async fn row(&self) -> Row {
        // A client that has ended has no figures; why it has, its notices tell.
        let Some(stats) = self.client.stats(self.torrent).await else { return Row::default() };
        Row {
            name: self.name.to_owned(),
            state: if stats.missing_bytes > 0 { State::Downloading } else { State::Seeding },
            done: stats.total_bytes - stats.missing_bytes,
            total: stats.total_bytes,
            pieces: stats.pieces.count(),
            piece_count: stats.pieces.len(),
            download_rate: stats.download_rate,
            upload_rate: stats.upload_rate,
            uploaded: stats.uploaded,
            peers: stats.peers,
            sources: stats.sources,
            left: stats.eta,
        }
    }
}

/// Waits until a peer has everything.
async fn whole(name: &str, notices: &mut NoticeReceiver) -> anyhow::Result<()> {
    loop {
        match notices.recv().await? {
            Notice::Finished { .. } => return Ok(()),
            Notice::State { state: TorrentState::Failed(fault), .. } => bail!("the {name} failed: {fault}"),
            _ => {}
        }
    }
}

/// What became of the swarm.
struct Swarm {
    took: Duration,
    seed_uploaded: u64,
    leeches: Vec<Leech>,
}

struct Leech {
    name: &'static str,
    dir: PathBuf,
    uploaded: u64,
}

async fn swarm(
    folder: &Path,
    metainfo: &Bytes,
    tracker: &TrackerHost,
    record: impl Fn(&str) -> Option<PathBuf>,
    output: &Output,
) -> anyhow::Result<Swarm> {
    let (seed, mut notices) = Peer::start("seed", folder.join("seed"), metainfo, true, record("seed")).await?;
    whole(seed.name, &mut notices).await?;
    // A leech that asks before the seed is listed would ask again after a minute only.
    while tracker.peers() == 0 {
        Timer::after(REFRESH / 10).await;
    }
    output.say("the seed has checked its file, and the tracker knows it");

    let started = Instant::now();
    let (first, mut first_notices) =
        Peer::start("first leech", folder.join("first"), metainfo, false, record("first")).await?;
    let (second, mut second_notices) =
        Peer::start("second leech", folder.join("second"), metainfo, false, record("second")).await?;
    let mut board = Board::new(output, 2);
    let both = async {
        let both = (whole(first.name, &mut first_notices), whole(second.name, &mut second_notices));
        futures_lite::future::try_zip(both.0, both.1).await.map(|_| started.elapsed())
    };
    let show = async {
        let mut refresh = Timer::interval(REFRESH);
        loop {
            refresh.next().await;
            board.show(&[first.row().await, second.row().await]);
        }
    };
    let took = both.or(show).await?;
    board.clear();

    let seed_uploaded = seed.row().await.uploaded;
    let mut leeches = Vec::new();
    for peer in [first, second] {
        let uploaded = peer.row().await.uploaded;
        leeches.push(Leech { name: peer.name, dir: peer.dir.clone(), uploaded });
        peer.end(output).await?;
    }
    seed.end(output).await?;
    Ok(Swarm { took, seed_uploaded, leeches })
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Writes the random file; gives its SHA-256.
fn make_file(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut file = File::create_new(path)?;
    let mut chunk = vec![0; CHUNK];
    let mut hasher = Sha256::new();
    for _ in 0..LENGTH / CHUNK as u64 {
        getrandom::fill(&mut chunk)?;
        hasher.update(&chunk);
        file.write_all(&chunk)?;
    }
    Ok(hasher.finalize().into())
}

fn make_torrent(dir: &Path, tracker: &str, interrupt: &Interrupt) -> anyhow::Result<Bytes> {
    let options = BuildOptions {
        name: NAME.to_owned(),
        trackers: vec![vec![tracker.to_owned()]],
        private: true,
        ..BuildOptions::default()
    };
    let source = SourceFile { path: Vec::new(), length: LENGTH, executable: false };
    let mut builder = Builder::new(vec![source], options)?;
    let (layout, geometry) = (builder.layout().clone(), builder.geometry());
    hashing::hash_pieces(&layout, &[dir.join(NAME)], interrupt, |number, hash| {
        let hash = hash.map_err(|fault| fault.error).context("cannot read the file")?;
        if let Some(piece) = geometry.piece(number) {
            builder.piece_hashed(piece, hash);
        }
        Ok(())
    })?;
    if interrupt.asked() {
        return Ok(Bytes::new());
    }
    Ok(builder.finish()?.into())
}

fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    let mut hasher = Sha256::new();
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finalize().into()),
            length => hasher.update(&chunk[..length]),
        }
    }
}

/// A temporary folder of the demo's own. Removed when dropped, too, unless that fails.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Folder> {
        let mut name = [0; 8];
        getrandom::fill(&mut name)?;
        let path = std::env::temp_dir().join(format!("parcacik-demo-{}", hex(&name)));
        // Not recursive: a folder that is there already is not ours.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make a folder in {}; set TMPDIR", std::env::temp_dir().display()))?;
        Ok(Folder(path))
    }

    fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("cannot remove {}", self.0.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // On the way out of an error, or after `remove`; what is wrong has been told.
        let _ = fs::remove_dir_all(&self.0);
    }
}
