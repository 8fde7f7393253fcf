//! `metadata`: the `.torrent` file of a magnet link, from peers.

use crate::args::MetadataArgs;
use crate::exit::Outcome;
use crate::ip_filter;
use crate::network;
use crate::output::Output;
use crate::progress::{Board, Row, State};
use crate::publish::publish;
use crate::signals::Interrupt;
use crate::values::{clean, size, span};
use crate::written::Written;
use anyhow::{Context as _, bail};
use async_io::Timer;
use bytes::Bytes;
use futures_lite::{FutureExt as _, StreamExt as _};
use parcacik_core::border::{Notice, SeedGoal, TorrentId};
use parcacik_core::metainfo::Magnet;
use parcacik_core::metainfo::magnet::MagnetLimits;
use parcacik_driver_smol::{AddOptions, Client};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often figures are fetched and shown.
const REFRESH: Duration = Duration::from_millis(250);

/// Runs the command.
///
/// # Errors
/// When the link cannot be used, the network cannot, the torrent is not usable, or the file cannot be written.
pub fn run(args: &MetadataArgs, output: &Output) -> anyhow::Result<Outcome> {
    if !args.force && args.output.symlink_metadata().is_ok() {
        bail!("{} exists; choose another name, or add --force to replace it", args.output.display());
    }
    let dir = folder(&args.output);
    if !dir.is_dir() {
        bail!("the folder {} does not exist", dir.display());
    }
    let (magnet, warnings) = Magnet::parse(&args.magnet, &MagnetLimits::default())?;
    for warning in warnings {
        output.warn(format_args!("magnet link: {warning}"));
    }
    let interrupt = Interrupt::listen()?;
    let filter = ip_filter::load(&args.network.ip_filter, output)?;
    let (client, recording) = network::start(&args.network, None)?;
    let name = magnet.name.clone().unwrap_or_else(|| magnet.hashes.best().to_hex());
    let mut board = Board::new(output, if args.json { 0 } else { 1 });
    let found = futures_lite::future::block_on(async {
        if let Some(filter) = filter {
            client.set_ip_filter(filter).await?;
        }
        let mut fetch = Fetch { client: &client, output, board: &mut board, name: clean(&name), told: BTreeSet::new() };
        fetch.run(args, &interrupt).await
    });
    board.clear();
    // Trackers are told; how that goes does not matter to who has the file.
    if let Err(error) = futures_lite::future::block_on(client.shutdown()) {
        output.detail(error);
    }
    if let Some(recording) = recording {
        recording.finish(output);
    }
    let info = match found? {
        Ok(info) => info,
        Err(Outcome::OutOfTime) => {
            output.say(format_args!(
                "{}: nobody has given it in time; add peers with --peer or trackers with --tracker, or wait longer",
                clean(&name)
            ));
            return Ok(Outcome::OutOfTime);
        }
        Err(outcome) => return Ok(outcome),
    };
    let bytes = magnet.torrent_file(&info);
    publish(&args.output, &bytes, args.force).with_context(|| format!("cannot write {}", args.output.display()))?;
    report(args, &bytes, output)?;
    Ok(Outcome::Done)
}

/// The folder that a file lies in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

struct Fetch<'a, 'o> {
    client: &'a Client,
    output: &'a Output,
    board: &'a mut Board<'o>,
    name: String,
    /// Trackers whose failure has been told.
    told: BTreeSet<String>,
}

impl Fetch<'_, '_> {
    /// The info dictionary; or what has ended the wait for it.
    async fn run(&mut self, args: &MetadataArgs, interrupt: &Interrupt) -> anyhow::Result<Result<Bytes, Outcome>> {
        let mut notices = self.client.notices();
        // Nothing is made there: the torrent is held before it comes to that.
        let network = &args.network;
        let options = AddOptions {
            peers: network.peers.clone(),
            extra_trackers: network.trackers.clone(),
            use_trackers: !network.no_tracker,
            goal: SeedGoal::Forever,
            hold_at_metadata: true,
            ..AddOptions::magnet(&args.magnet, folder(&args.output))
        };
        let torrent = self.client.add(options).await?;
        let deadline = network.stop_after.map(|after| Instant::now() + after);
        let mut refresh = Timer::interval(REFRESH);
        loop {
            let stopped = async {
                interrupt.wait().await;
                Ok(Wake::Stop(Outcome::Interrupted))
            };
            let late = async {
                deadline.map_or_else(Timer::never, Timer::at).await;
                Ok(Wake::Stop(Outcome::OutOfTime))
            };
            let tick = async {
                refresh.next().await;
                Ok(Wake::Refresh)
            };
            let notice = async { notices.recv().await.map(Wake::Notice) };
            match stopped.or(late).or(tick).or(notice).await? {
                Wake::Notice(Notice::Metadata { info, .. }) => return Ok(Ok(info)),
                Wake::Notice(Notice::MetadataFailed { why, .. }) => {
                    bail!("what the magnet link leads to cannot be used: {why}")
                }
                Wake::Notice(notice) => self.notice(notice),
                Wake::Refresh => self.show(torrent).await,
                Wake::Stop(outcome) => return Ok(Err(outcome)),
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        let (name, output) = (&self.name, self.output);
        network::tell_of_dht(&notice, output);
        match notice {
            Notice::TrackerFailed { url, why, retry, .. } => {
                let again = retry.map_or("not tried again".into(), |after| format!("next try in {}", span(after)));
                let line = format!("{name}: tracker {url}: {why}; {again}");
                if self.told.insert(url) { output.warn(line) } else { output.detail(line) }
            }
            Notice::TrackerAnswered { url, peers, .. } => {
                output.detail(format_args!("{name}: tracker {url}: {peers} peers"));
            }
            Notice::PeerBanned { addr, .. } => {
                output.detail(format_args!("{name}: {} is banned: what it sent is not of this torrent", addr.ip()));
            }
            Notice::PeerClosed { addr, reason, .. } => {
                output.detail_at(2, format_args!("{name}: {addr} closed: {reason}"));
            }
            _ => {}
        }
    }

    async fn show(&mut self, torrent: TorrentId) {
        let Some(view) = self.client.stats(torrent).await else { return };
        let (have, all) = view.metadata.unwrap_or_default();
        self.board.show(&[Row {
            name: self.name.clone(),
            state: State::Metadata,
            done: have.into(),
            total: all.into(),
            peers: view.peers,
            ..Row::default()
        }]);
    }
}

enum Wake {
    Notice(Notice),
    Refresh,
    Stop(Outcome),
}

fn report(args: &MetadataArgs, bytes: &[u8], output: &Output) -> anyhow::Result<()> {
    let fetched = Written::read_back(&args.output, bytes)?;
    if args.json {
        return Ok(output.json(&fetched)?);
    }
    let (path, files, plural) = (fetched.path.display(), fetched.files, if fetched.files == 1 { "" } else { "s" });
    output.result(format_args!("{path}: {}, {} in {files} file{plural}", clean(&fetched.name), size(fetched.bytes)))?;
    Ok(())
}
