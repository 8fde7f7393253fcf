//! Running torrents until they are done: what `download` and `seed` share.

mod hook;
mod job;
mod lines;

use crate::args::NetworkArgs;
use crate::exit::Outcome;
use crate::ip_filter;
use crate::network;
use crate::output::Output;
use crate::progress::{Board, State};
use crate::select::{Choice, select};
use crate::signals::Interrupt;
use crate::sources::{Link, Sources, Wanted};
use crate::values::{size, span};
use async_io::Timer;
use futures_lite::{FutureExt as _, StreamExt as _};
use hook::{Finished, Hook};
use job::{End, Job};
use lines::{Line, PeerSources};
use parcacik_core::border::{
    CloseReason, IoFault, Notice, RemoveFiles, SeedGoal, StorageState, TorrentId, TorrentSource, TorrentState,
};
use parcacik_core::metainfo::{Magnet, Metainfo, MetainfoLimits};
use parcacik_driver_smol::{AddOptions, Client, ClientError, NoticeReceiver};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often figures are fetched and shown.
const REFRESH: Duration = Duration::from_millis(250);
/// How often programs are told (`--json`): a line a second at most.
const JSON_EVERY: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// The torrents, each of version 1 and none twice; and what the user named besides.
    pub sources: Sources,
    /// The folder that holds the data, or will.
    pub dir: PathBuf,
    /// When to stop.
    pub goal: SeedGoal,
    /// Whether nothing may be downloaded.
    pub seed_only: bool,
    /// Whether to super-seed.
    pub super_seed: bool,
    /// Whether foreign files may be replaced.
    pub overwrite: bool,
    /// Whether every piece is to be checked.
    pub recheck: bool,
    /// Whether programs read along.
    pub json: bool,
    /// Which files are wanted, none meaning all; `None`: as in the last run.
    pub select: Option<Vec<Choice>>,
    /// Whether pieces are asked for in order; `None`: as in the last run.
    pub sequential: Option<bool>,
    /// The program to run for each torrent that is finished, and its arguments; empty: none.
    pub on_complete: Vec<OsString>,
}

/// Runs torrents until all have ended, or somebody stops them.
///
/// # Errors
/// When nothing can be run at all. What happens to a single torrent is told, and makes the outcome [`Outcome::Failed`].
pub fn run(plan: Plan, args: &NetworkArgs, interrupt: &Interrupt, output: &Output) -> anyhow::Result<Outcome> {
    tell_refused(&plan, output)?;
    if plan.sources.torrents.is_empty() {
        sum_up(&plan, &[], output);
        return Ok(Outcome::Failed);
    }
    let state_dir = network::state_dir(args)?;
    let filter = ip_filter::load(&args.ip_filter, output)?;
    let (client, recording) = network::start(args, Some(&state_dir))?;
    let listening: Vec<String> = client.listening().iter().map(|socket| socket.addr.to_string()).collect();
    if !plan.seed_only {
        output.detail(format_args!("listening on {}", listening.join(" and ")));
    } else if plan.json {
        output.json(&Line::Listening { addrs: &listening })?;
    } else {
        output.result(format_args!("listening on {}", listening.join(" and ")))?;
    }
    if let Some(filter) = filter {
        // Before there is a torrent that could have a peer.
        futures_lite::future::block_on(client.set_ip_filter(filter))?;
    }
    let until = Until { interrupt, deadline: args.stop_after.map(|after| Instant::now() + after) };
    let mut run = Run {
        notices: client.notices(),
        jobs: plan.sources.torrents.iter().map(|torrent| Job::new(torrent, &plan.dir)).collect(),
        by_id: BTreeMap::new(),
        failed_trackers: BTreeSet::new(),
        board: Board::new(output, if plan.json { 0 } else { plan.sources.torrents.len() }),
        json_turn: (0, Instant::now()),
        hook: if plan.on_complete.is_empty() { None } else { Some(Hook::start(plan.on_complete.clone())?) },
        plan: &plan,
        client: &client,
        output,
    };
    // Names stand in front of the bars from the start.
    let rows: Vec<_> = run.jobs.iter().map(|job| job.row.clone()).collect();
    run.board.show(&rows);
    // The client's own thread runs the reactor; this one only waits, and is woken.
    let ended = futures_lite::future::block_on(run.until_ended(args, &until));
    run.board.clear();
    let outcome = run.outcome(&ended);
    let Run { jobs, hook, .. } = run;
    if outcome == Outcome::Interrupted {
        output.say("stopping; Ctrl-C again ends at once");
    }
    // In order, whatever has ended it: what is there is saved.
    let stopped = futures_lite::future::block_on(client.shutdown());
    if let Some(recording) = recording {
        recording.finish(output);
    }
    let outcome = match hook {
        Some(hook) => finish(hook, outcome, &until, output),
        None => outcome,
    };
    ended?;
    match stopped {
        Ok(()) => {}
        Err(error @ ClientError::TimedOut) => output.warn(error),
        Err(error) => return Err(error.into()),
    }
    let incomplete = jobs.iter().filter(|job| job.end.is_none() && !plan.seed_only && job.whole.is_none());
    match incomplete.collect::<Vec<_>>().as_slice() {
        [] => {}
        [job] => output.say(format_args!("{}: not complete; the same command goes on where it was", job.name())),
        many => {
            output.say(format_args!("{} torrents are not complete; the same command goes on where it was", many.len()))
        }
    }
    sum_up(&plan, &jobs, output);
    Ok(outcome)
}

/// Programs learn of sources that were not even begun.
fn tell_refused(plan: &Plan, output: &Output) -> anyhow::Result<()> {
    for refused in plan.sources.refused.iter().filter(|_| plan.json) {
        let (source, error) = (&refused.source, &refused.why);
        output.json(&Line::Failed { source, name: None, info_hash: None, error })?;
    }
    Ok(())
}

/// Waits for programs that were started for finished torrents; what that makes of the outcome.
fn finish(hook: Hook, outcome: Outcome, until: &Until<'_>, output: &Output) -> Outcome {
    if hook.waiting() > 0 && outcome != Outcome::Interrupted {
        output.detail("waiting for the program of --on-complete; Ctrl-C leaves it alone");
    }
    let (faults, stopped) = futures_lite::future::block_on(hook.finish(until.stopped()));
    for fault in faults {
        output.warn(format_args!("--on-complete: {fault}"));
    }
    match stopped {
        Some(stopped) if outcome == Outcome::Done => stopped,
        _ => outcome,
    }
}

/// Until when it may go on: until the user stops it, or the time is over that he has given it.
struct Until<'a> {
    interrupt: &'a Interrupt,
    deadline: Option<Instant>,
}

impl Until<'_> {
    /// Waits for it.
    async fn stopped(&self) -> Outcome {
        let interrupted = async {
            self.interrupt.wait().await;
            Outcome::Interrupted
        };
        let out_of_time = async {
            self.deadline.map_or_else(Timer::never, Timer::at).await;
            Outcome::OutOfTime
        };
        interrupted.or(out_of_time).await
    }
}

/// Of several sources, those that failed are named again at the end: what was told of them may have gone by hours ago.
fn sum_up(plan: &Plan, jobs: &[Job], output: &Output) {
    // Why a source was refused names it already.
    let refused = plan.sources.refused.iter().map(|refused| refused.why.clone());
    let failed = jobs.iter().filter_map(|job| job.failure.as_ref().map(|why| format!("{}: {why}", job.name())));
    let failed: Vec<_> = refused.chain(failed).collect();
    let all = jobs.len() + plan.sources.refused.len();
    if all < 2 || failed.is_empty() {
        return;
    }
    output.say(format_args!("{} of {all} failed:", failed.len()));
    for line in failed {
        output.say(format_args!("  {line}"));
    }
}

/// What there is to react to.
enum Wake {
    Notice(Notice),
    Refresh,
    /// A program has ended, and what went wrong.
    Hook(Option<String>),
    Stop(Outcome),
    Ended(ClientError),
}

struct Run<'a> {
    plan: &'a Plan,
    client: &'a Client,
    notices: NoticeReceiver,
    jobs: Vec<Job>,
    by_id: BTreeMap<TorrentId, usize>,
    hook: Option<Hook>,
    output: &'a Output,
    board: Board<'a>,
    /// Trackers whose failure has been told. Bounded by those of all torrents.
    failed_trackers: BTreeSet<String>,
    /// Whose turn it is to be told of to programs, and when the last one was.
    json_turn: (usize, Instant),
}

impl Run<'_> {
    /// Runs until all torrents have ended (`None`), or somebody stops them.
    async fn until_ended(&mut self, args: &NetworkArgs, until: &Until<'_>) -> anyhow::Result<Option<Outcome>> {
        let mut refresh = Timer::interval(REFRESH);
        self.add(args).await?;
        while self.jobs.iter().any(|job| job.end.is_none()) {
            let notices = &mut self.notices;
            let notice = async { notices.recv().await.map_or_else(Wake::Ended, Wake::Notice) };
            let tick = async {
                refresh.next().await;
                Wake::Refresh
            };
            let stopped = async { Wake::Stop(until.stopped().await) };
            let hook = &mut self.hook;
            let program = async {
                match hook {
                    Some(hook) => Wake::Hook(hook.ended().await),
                    None => pending().await,
                }
            };
            match stopped.or(program).or(tick).or(notice).await {
                Wake::Notice(notice) => self.notice(notice).await?,
                Wake::Refresh => self.refresh().await?,
                Wake::Hook(None) => {}
                Wake::Hook(Some(fault)) => self.output.warn(format_args!("--on-complete: {fault}")),
                Wake::Stop(outcome) => return Ok(Some(outcome)),
                Wake::Ended(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    async fn add(&mut self, args: &NetworkArgs) -> anyhow::Result<()> {
        for (index, torrent) in self.plan.sources.torrents.iter().enumerate() {
            let (source, chosen) = match torrent {
                Wanted::File(file) => {
                    let choose = |choices: &Vec<Choice>| select(choices, &file.metainfo);
                    let source = TorrentSource::Metainfo(file.bytes.clone());
                    (source, self.plan.select.as_ref().map(choose).transpose())
                }
                Wanted::Link(link) => {
                    self.warn_if_alone(&link.magnet, args, index);
                    (TorrentSource::Magnet(link.link.clone()), Ok(None))
                }
            };
            let chosen = match chosen {
                Ok(chosen) => chosen,
                Err(why) => {
                    self.fail(index, why)?;
                    continue;
                }
            };
            if let Some(chosen) = &chosen {
                self.jobs[index].size = chosen.bytes;
            }
            let selects = |link: &Link| !link.magnet.selected.is_empty();
            let options = AddOptions {
                priorities: match torrent {
                    Wanted::File(_) => chosen.map(|chosen| chosen.priorities),
                    // None chosen are all, if the link does not say otherwise.
                    Wanted::Link(link) if selects(link) => None,
                    Wanted::Link(_) => self.plan.select.as_ref().map(|_| Vec::new()),
                },
                // Its files are not known before.
                hold_at_metadata: self.chooses_late(torrent),
                sequential: self.plan.sequential,
                peers: args.peers.clone(),
                extra_trackers: args.trackers.clone(),
                use_trackers: !args.no_tracker,
                goal: self.plan.goal,
                overwrite: self.plan.overwrite,
                recheck: self.plan.recheck,
                seed_only: self.plan.seed_only,
                super_seed: self.plan.super_seed,
                ..AddOptions::of(source, &self.plan.dir)
            };
            match self.client.add(options).await {
                Ok(id) => {
                    self.by_id.insert(id, index);
                    self.jobs[index].id = Some(id);
                }
                Err(error) => self.fail(index, error.to_string())?,
            }
        }
        Ok(())
    }

    /// Whether files are chosen when the info dictionary has come.
    fn chooses_late(&self, torrent: &Wanted) -> bool {
        matches!(torrent, Wanted::Link(_)) && self.plan.select.as_ref().is_some_and(|choices| !choices.is_empty())
    }

    fn warn_if_alone(&self, magnet: &Magnet, args: &NetworkArgs, index: usize) {
        let trackers = !args.no_tracker && (!magnet.trackers.is_empty() || !args.trackers.is_empty());
        if !trackers && magnet.peers.is_empty() && args.peers.is_empty() && args.no_dht {
            self.output.warn(format_args!(
                "{}: the link names neither trackers nor peers, and the DHT is off: leave out --no-dht (or PARCACIK_NO_DHT) to look there, or add --tracker or --peer",
                self.jobs[index].name()
            ));
        }
    }

    /// What a magnet link leads to is known.
    async fn metadata(&mut self, index: usize, info: &[u8]) -> anyhow::Result<()> {
        // The core has read it already, by the same rules.
        let torrent = Metainfo::parse_info(info, &MetainfoLimits::default())?;
        let wanted = &self.plan.sources.torrents[index];
        self.jobs[index].learn(&torrent);
        if let (Wanted::Link(link), false) = (wanted, self.chooses_late(wanted)) {
            self.jobs[index].wants_only(&link.magnet.selected);
        }
        if let (Some(choices), true, Some(id)) = (&self.plan.select, self.chooses_late(wanted), self.jobs[index].id) {
            match select(choices, &torrent) {
                Ok(chosen) => {
                    self.jobs[index].size = chosen.bytes;
                    let files = (0..).zip(chosen.priorities).collect();
                    self.client.set_priorities(id, files).await?;
                    self.client.resume(id).await?;
                }
                Err(why) => {
                    self.fail(index, why)?;
                    let _ = self.client.remove(id, RemoveFiles::Keep).await;
                    return Ok(());
                }
            }
        }
        let (job, files) = (&self.jobs[index], torrent.files().len());
        let (bytes, piece_count) = (torrent.geometry().total_length(), torrent.geometry().pieces());
        if self.plan.json {
            let (source, name, info_hash) = (&job.source, &job.name, &job.info_hash);
            self.output.json(&Line::Metadata { source, name, info_hash, bytes, piece_count, files })?;
        } else {
            let plural = if files == 1 { "" } else { "s" };
            self.output.say(format_args!("{}: metadata received, {} in {files} file{plural}", job.name(), size(bytes)));
        }
        Ok(())
    }

    async fn notice(&mut self, notice: Notice) -> anyhow::Result<()> {
        network::tell_of_dht(&notice, self.output);
        let Some(index) = torrent_of(&notice).and_then(|id| self.by_id.get(&id).copied()) else { return Ok(()) };
        let job = &mut self.jobs[index];
        if job.end.is_some() {
            return Ok(());
        }
        let name = job.name();
        match notice {
            Notice::State { state, .. } => return self.state(index, state).await,
            Notice::Metadata { info, .. } => return self.metadata(index, &info).await,
            Notice::MetadataFailed { why, .. } => {
                self.fail(index, format!("what the magnet link leads to cannot be used: {why}"))?;
            }
            Notice::Checked { done, total, .. } => job.checked(done, total),
            Notice::Finished { .. } => {
                job.whole.get_or_insert(job.started.elapsed());
                // Without a goal it is about to stop; it is told of when all of it is safely stored.
                if self.plan.goal != SeedGoal::None && !self.plan.seed_only {
                    self.finished(index).await?;
                }
            }
            Notice::Done { .. } => {
                job.end = Some(End::Done);
                if self.plan.goal == SeedGoal::None {
                    self.finished(index).await?;
                }
            }
            Notice::ForeignFile { file, .. } => {
                let path = job.file(file);
                let why = format!(
                    "{} is there already and holds nothing of this torrent; move it away, choose another folder with \
                     --output, or add --overwrite to replace it",
                    path.display()
                );
                self.fail(index, why)?;
            }
            Notice::StorageFailed { fault, .. } if !self.plan.seed_only && needs_a_person(fault) => {
                let why = storage_fault(fault, &self.plan.dir);
                let id = job.id;
                self.fail(index, why)?;
                if let Some(id) = id {
                    // Its files are closed and what it has is saved. When that fails too, there is nobody left to tell.
                    let _ = self.client.remove(id, RemoveFiles::Keep).await;
                }
            }
            Notice::StorageFailed { fault, .. } => job.fault = Some(fault),
            Notice::Storage { torrent, state: StorageState::Failing(IoFault::NotFound) } => {
                let view = self.client.stats(torrent).await;
                if view.is_some_and(|view| view.state == TorrentState::Checking) {
                    let why = format!(
                        "its files are gone from {}, where they were at the last run; if a disk is missing, mount it, \
                         else begin anew with --recheck",
                        self.plan.dir.display()
                    );
                    self.fail(index, why)?;
                    let _ = self.client.remove(torrent, RemoveFiles::Keep).await;
                }
            }
            Notice::TrackerFailed { url, why, retry, .. } => {
                let again = retry.map_or("not tried again".into(), |after| format!("next try in {}", span(after)));
                let line = format!("{name}: tracker {url}: {why}; {again}");
                // The first time everybody is told; that it stays dead is no news, nor that it is dead for other torrents too.
                if self.failed_trackers.insert(url) { self.output.warn(line) } else { self.output.detail(line) }
            }
            Notice::TrackerAnswered { url, peers, interval, warning, .. } => {
                self.output.detail(format_args!("{name}: tracker {url}: {peers} peers, next in {}", span(interval)));
                if let Some(warning) = warning {
                    self.output.warn(format_args!("{name}: tracker {url} says: {warning}"));
                }
            }
            Notice::PieceFailed { piece, .. } => {
                self.output.detail(format_args!("{name}: piece {piece} came damaged, it is fetched again"));
            }
            Notice::PeersRefused { filtered, refused, .. } => {
                if filtered > 0 {
                    self.output
                        .detail(format_args!("{name}: {filtered} peers left out, they are on the list of --ip-filter"));
                }
                if refused > 0 {
                    let why = "they are in private networks or at ports of other services (--allow-local-from-global)";
                    self.output.detail(format_args!("{name}: {refused} peers left out, {why}"));
                }
            }
            Notice::PeerBanned { addr, .. } => {
                self.output.detail(format_args!("{name}: {} is banned: it sent damaged data", addr.ip()));
            }
            Notice::PeerConnected { addr, incoming, id, .. } => {
                let way = if incoming { "from" } else { "to" };
                self.output.detail_at(2, format_args!("{name}: connected {way} {addr} ({id:?})"));
            }
            Notice::PeerClosed { addr, reason, .. } if reason != CloseReason::Stopped => {
                self.output.detail_at(2, format_args!("{name}: {addr} closed: {reason:?}"));
            }
            Notice::Saved { pieces, .. } => {
                self.output.detail_at(2, format_args!("{name}: resume data saved, {pieces} pieces"));
            }
            _ => {}
        }
        Ok(())
    }

    async fn state(&mut self, index: usize, state: TorrentState) -> anyhow::Result<()> {
        let plan = self.plan;
        let job = &mut self.jobs[index];
        match state {
            TorrentState::Downloading => job.has_downloaded = true,
            TorrentState::Seeding if plan.seed_only && !job.looked => {
                job.looked = true;
                self.refresh().await?;
                let row = &self.jobs[index].row;
                let (have, all, dir) = (row.pieces, row.piece_count, plan.dir.display());
                let name = self.jobs[index].name();
                if have == 0 {
                    let why = format!("nothing of it is in {dir}; --data is the folder that contains {name}");
                    self.fail(index, why)?;
                } else if have < all {
                    self.output.warn(format_args!("{name}: only {have} of {all} pieces are right, and are seeded"));
                } else {
                    self.output.say(format_args!("{name}: seeding"));
                }
            }
            TorrentState::Failed(fault) => {
                let why = storage_fault(fault, &plan.dir);
                self.fail(index, why)?;
            }
            // Nobody told it to.
            TorrentState::Stopped if plan.seed_only => self.jobs[index].end = Some(End::Done),
            _ => {}
        }
        Ok(())
    }

    /// Everything of a download is there.
    async fn finished(&mut self, index: usize) -> anyhow::Result<()> {
        let job = &mut self.jobs[index];
        let took = *job.whole.get_or_insert(job.started.elapsed());
        if let Some(id) = job.id
            && let Some(view) = self.client.stats(id).await
        {
            job.update(&view);
        }
        if self.plan.json {
            self.output.json(&Line::Finished {
                name: &job.name,
                path: &job.path,
                info_hash: &job.info_hash,
                bytes: job.size,
                seconds: took.as_millis() as f64 / 1000.0,
            })?;
        } else {
            self.output.result(job.summary(took))?;
        }
        // What was there already has been somebody's before.
        if let Some(hook) = self.hook.as_mut().filter(|_| job.has_downloaded) {
            hook.finished(Finished {
                path: job.path.clone(),
                name: job.name.clone(),
                info_hash: job.info_hash.clone(),
            });
        }
        Ok(())
    }

    fn fail(&mut self, index: usize, why: String) -> anyhow::Result<()> {
        let job = &mut self.jobs[index];
        job.end = Some(End::Failed);
        job.row.state = State::Failed;
        self.output.fault(format_args!("{}: {why}", job.name()));
        if self.plan.json {
            let (source, name, info_hash) = (&job.source, Some(job.name.as_str()), Some(job.info_hash.as_str()));
            self.output.json(&Line::Failed { source, name, info_hash, error: &why })?;
        }
        job.failure = Some(why);
        Ok(())
    }

    /// Fetches figures of all torrents at once, and shows them.
    async fn refresh(&mut self) -> anyhow::Result<()> {
        let ids: Vec<TorrentId> = self.by_id.keys().copied().collect();
        let views = self
            .client
            .with_session(move |session| ids.into_iter().filter_map(|id| session.view(id)).collect::<Vec<_>>())
            .await?;
        for view in &views {
            if let Some(&index) = self.by_id.get(&view.torrent) {
                self.jobs[index].update(view);
            }
        }
        for job in self.jobs.iter_mut().filter(|job| job.end.is_none()) {
            if let Some(fault) = job.fault.take() {
                self.output.warn(format_args!("{}: storage: {fault}; it is tried again", job.name()));
            }
        }
        if self.plan.json {
            return self.tell_programs();
        }
        let rows: Vec<_> = self.jobs.iter().map(|job| job.row.clone()).collect();
        self.board.show(&rows);
        Ok(())
    }

    /// One line a second at most, so that torrents take turns.
    fn tell_programs(&mut self) -> anyhow::Result<()> {
        let (turn, last) = self.json_turn;
        if last.elapsed() < JSON_EVERY {
            return Ok(());
        }
        let count = self.jobs.len();
        // `finished` is a torrent's last line, also when it is seeded on.
        let due = |index: &usize| self.jobs[*index].end.is_none() && self.jobs[*index].told_whole(self.plan).is_none();
        let Some(index) = (turn..turn + count).map(|turn| turn % count).find(due) else { return Ok(()) };
        let (name, info_hash, row) = (&self.jobs[index].name, &self.jobs[index].info_hash, &self.jobs[index].row);
        self.output.json(&Line::Progress {
            name,
            info_hash,
            state: row.state.word(),
            bytes: row.done,
            total: row.total,
            pieces: row.pieces,
            piece_count: row.piece_count,
            download_rate: row.download_rate,
            upload_rate: row.upload_rate,
            uploaded: row.uploaded,
            peers: row.peers,
            sources: PeerSources(row.sources),
            seconds_left: row.left.map(|left| left.as_secs()),
        })?;
        self.json_turn = ((index + 1) % count, Instant::now());
        Ok(())
    }

    fn outcome(&self, ended: &anyhow::Result<Option<Outcome>>) -> Outcome {
        match ended {
            Ok(Some(stopped)) => *stopped,
            Ok(None)
                if self.plan.sources.refused.is_empty() && self.jobs.iter().all(|job| job.end == Some(End::Done)) =>
            {
                Outcome::Done
            }
            _ => Outcome::Failed,
        }
    }
}

fn torrent_of(notice: &Notice) -> Option<TorrentId> {
    match notice {
        Notice::State { torrent, .. }
        | Notice::MetadataProgress { torrent, .. }
        | Notice::Metadata { torrent, .. }
        | Notice::MetadataFailed { torrent, .. }
        | Notice::PieceDone { torrent, .. }
        | Notice::PieceFailed { torrent, .. }
        | Notice::Finished { torrent }
        | Notice::Done { torrent }
        | Notice::PeerConnected { torrent, .. }
        | Notice::PeerClosed { torrent, .. }
        | Notice::PeersRefused { torrent, .. }
        | Notice::PeerBanned { torrent, .. }
        | Notice::TrackerAnswered { torrent, .. }
        | Notice::TrackerFailed { torrent, .. }
        | Notice::ForeignFile { torrent, .. }
        | Notice::Checked { torrent, .. }
        | Notice::StorageFailed { torrent, .. }
        | Notice::Storage { torrent, .. }
        | Notice::Saved { torrent, .. } => Some(*torrent),
        _ => None,
    }
}

/// Faults that trying again does not heal. The core tries again all the same; a program that somebody waits for had better say so and end.
fn needs_a_person(fault: IoFault) -> bool {
    matches!(fault, IoFault::NoSpace | IoFault::ReadOnly | IoFault::Denied | IoFault::Busy)
}

fn storage_fault(fault: IoFault, dir: &Path) -> String {
    let dir = dir.display();
    match fault {
        IoFault::NoSpace => {
            format!(
                "no space left for {dir} or the state folder; make room and give the same command again, it goes on where it was"
            )
        }
        IoFault::ReadOnly => format!("{dir} is on a read-only file system; choose another folder with --output"),
        IoFault::Denied => format!("permission denied in {dir} (or a link there leads out of it)"),
        IoFault::Busy => format!(
            "another parcacik is running this torrent in {dir} already; wait for it, or give this one another folder"
        ),
        IoFault::Exists => {
            format!("something in {dir} that is not a regular file stands where a file belongs; move it away")
        }
        IoFault::Device => format!("{dir}: input/output error; the disk may be damaged"),
        other => format!("{dir}: {other}"),
    }
}
