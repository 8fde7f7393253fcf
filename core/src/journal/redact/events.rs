//! Events and configuration with everything in them replaced. Every kind of event is taken apart without a wildcard: one that is new
//! does not compile before somebody has thought of what it says of whom.

use super::mapper::Mapper;
use super::trackers;
use super::wire::{Kind, Part, Walker, replaced};
use crate::border::{
    AddTorrent, AnnounceOnce, Command, Config, Event, FileState, InfoHash, IpFilter, JobResult, SessionConfig, Target,
    TcpId, TorrentSource, Verdict,
};
use crate::torrent::resume::ResumeData;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// The peer streams of a recording.
#[derive(Debug, Default)]
pub(super) struct Streams {
    rows: BTreeMap<TcpId, Stream>,
}

#[derive(Debug)]
struct Stream {
    remote: Option<SocketAddr>,
    walker: Walker,
    /// Parts that have to be replaced.
    parts: Vec<Part>,
    /// What takes their places: where, and which bytes; `None`: zeros.
    patches: Vec<(u64, u64, Option<Vec<u8>>)>,
    /// The first patch that is not behind.
    next: usize,
    at: u64,
}

impl Streams {
    fn row(&mut self, tcp: TcpId) -> &mut Stream {
        let walker = Walker::new();
        let new = Stream { remote: None, walker, parts: Vec::new(), patches: Vec::new(), next: 0, at: 0 };
        self.rows.entry(tcp).or_insert(new)
    }

    /// Who connects to whom for which torrent.
    pub fn pairs(&self) -> impl Iterator<Item = (SocketAddr, InfoHash)> + '_ {
        self.rows.values().filter_map(|row| Some((row.remote?, row.torrent()?)))
    }

    /// Looks at what was walked through: notes it, and once the mapper has settled makes the patches.
    pub fn patch(&mut self, mapper: &mut Mapper) {
        for row in self.rows.values_mut() {
            let torrent = row.torrent();
            row.patches.clear();
            for part in row.parts.iter().chain(&row.walker.rest()) {
                let new = replaced(mapper, part, torrent);
                if new.is_some() || part.kind == Kind::Ignored {
                    row.patches.push((part.at, part.length, new));
                }
            }
        }
    }

    fn received(&mut self, mapper: &Mapper, tcp: TcpId, bytes: &Bytes) -> Bytes {
        let row = self.row(tcp);
        if !mapper.is_settled() {
            row.walker.feed(bytes, &mut row.parts);
            // Most parts stay as they are: a `have` says nothing of anybody.
            row.parts.retain(|part| !matches!(part.kind, Kind::KeepAlive | Kind::Message(0..=19 | 21..)));
            return bytes.clone();
        }
        let (start, end) = (row.at, row.at + bytes.len() as u64);
        row.at = end;
        while row.patches.get(row.next).is_some_and(|(at, length, _)| at + length <= start) {
            row.next += 1;
        }
        let reaches = |(at, _, _): &&(u64, u64, Option<Vec<u8>>)| *at < end;
        let patches: Vec<_> = row.patches.iter().skip(row.next).take_while(reaches).collect();
        if patches.is_empty() {
            return bytes.clone();
        }
        let mut new = bytes.to_vec();
        for (at, length, with) in patches {
            let from = start.max(*at);
            for place in from..end.min(at + length) {
                // Places are within this buffer and this patch.
                let byte = with.as_ref().and_then(|with| with.get((place - at) as usize)).copied().unwrap_or(0);
                if let Some(slot) = new.get_mut((place - start) as usize) {
                    *slot = byte;
                }
            }
        }
        Bytes::from(new)
    }
}

impl Stream {
    fn torrent(&self) -> Option<InfoHash> {
        let head = self.parts.iter().find(|part| part.kind == Kind::Head)?;
        head.bytes.get(28..48)?.try_into().ok().map(InfoHash)
    }
}

/// The configuration of the new session; its table is filled later.
pub(super) fn config(mapper: &mut Mapper, config: &Config) -> Config {
    let mut new = config.clone();
    new.session.client = client(mapper, &config.session.client);
    new
}

/// What we call ourselves, if somebody has chosen that.
fn client(mapper: &mut Mapper, name: &str) -> String {
    if *name == SessionConfig::default().client { name.into() } else { mapper.text("client name", name) }
}

/// An event of the new session.
pub(super) fn event(mapper: &mut Mapper, streams: &mut Streams, event: &Event) -> Event {
    match event {
        Event::WallClock { unix_seconds } => Event::WallClock { unix_seconds: mapper.seconds(*unix_seconds) },
        Event::Bound { sock, local } => Event::Bound { sock: *sock, local: mapper.addr(*local) },
        Event::Accepted { sock, tcp, local, remote } => {
            streams.row(*tcp).remote = Some(*remote);
            let (local, remote) = (mapper.addr(*local), mapper.addr(*remote));
            Event::Accepted { sock: *sock, tcp: *tcp, local, remote }
        }
        Event::Connected { dial, tcp, local, remote } => {
            streams.row(*tcp).remote = Some(*remote);
            let (local, remote) = (mapper.addr(*local), mapper.addr(*remote));
            Event::Connected { dial: *dial, tcp: *tcp, local, remote }
        }
        Event::Received { tcp, bytes } => Event::Received { tcp: *tcp, bytes: streams.received(mapper, *tcp, bytes) },
        Event::Datagrams { sock, from, segment, bytes } => {
            let new = trackers::datagrams(mapper, *from, *segment, bytes);
            let from = mapper.addr(*from);
            Event::Datagrams { sock: *sock, from, segment: *segment, bytes: Bytes::from(new) }
        }
        Event::JobData { job, bytes } => Event::JobData { job: *job, bytes: zeros(bytes) },
        Event::JobDone { job, result } => {
            let result = result.as_ref().map(|result| job_result(mapper, result)).map_err(|fault| *fault);
            Event::JobDone { job: *job, result }
        }
        Event::Command { id, command: asked } => Event::Command { id: *id, command: command(mapper, asked) },
        Event::Tick
        | Event::InterfacesChanged
        | Event::BindFailed { .. }
        | Event::DialFailed { .. }
        | Event::Flushed { .. }
        | Event::Closed { .. } => event.clone(),
    }
}

/// Content that was read is not looked at.
fn zeros(bytes: &Bytes) -> Bytes {
    Bytes::from(alloc::vec![0; bytes.len()])
}

fn job_result(mapper: &mut Mapper, result: &JobResult) -> JobResult {
    match result {
        JobResult::Done => JobResult::Done,
        JobResult::Read(bytes) => JobResult::Read(zeros(bytes)),
        JobResult::Verified(Verdict { matches, blocks }) => JobResult::Verified(Verdict {
            matches: *matches,
            blocks: blocks.iter().map(|block| mapper.digest(block)).collect(),
        }),
        JobResult::Checked { files, part, free } => JobResult::Checked {
            files: files.iter().map(|file| file.map(|file| state(mapper, file))).collect(),
            part: part.map(|part| state(mapper, part)),
            free: *free,
        },
        JobResult::Loaded(records) => {
            JobResult::Loaded(records.iter().map(|record| Bytes::from(resume(mapper, record))).collect())
        }
        JobResult::Resolved(addresses) => {
            JobResult::Resolved(addresses.iter().map(|&address| mapper.ip(address)).collect())
        }
        JobResult::Http(response) => JobResult::Http(trackers::http(mapper, response)),
    }
}

fn state(mapper: &mut Mapper, file: FileState) -> FileState {
    FileState { length: file.length, modified: mapper.date(file.modified) }
}

/// Resume data of the new torrent. What is none becomes zeros.
pub(super) fn resume(mapper: &mut Mapper, bytes: &[u8]) -> Vec<u8> {
    let Ok(mut data) = ResumeData::parse(bytes) else { return alloc::vec![0; bytes.len()] };
    data.hashes = mapper.info_hashes(data.hashes);
    for file in data.files.iter_mut().flatten() {
        *file = state(mapper, *file);
    }
    // Nobody can find the new one's: who replays it sees a torrent that has to ask its peers.
    data.info = data.info.map(|info| Bytes::from(alloc::vec![0; info.len()]));
    data.emit()
}

/// Whom to dial.
pub(super) fn target(mapper: &mut Mapper, target: &Target) -> Target {
    match target {
        Target::Addr(addr) => Target::Addr(mapper.addr(*addr)),
        Target::Host { name, port } => Target::Host { name: mapper.host(name), port: *port },
    }
}

fn targets(mapper: &mut Mapper, list: &[Target]) -> Vec<Target> {
    list.iter().map(|one| target(mapper, one)).collect()
}

fn urls(mapper: &mut Mapper, list: &[String]) -> Vec<String> {
    list.iter().map(|url| mapper.url(url)).collect()
}

fn tiers(mapper: &mut Mapper, list: &[Vec<String>]) -> Vec<Vec<String>> {
    list.iter().map(|tier| urls(mapper, tier)).collect()
}

fn command(mapper: &mut Mapper, command: &Command) -> Command {
    match command {
        Command::Listen { tcp, udp, lsd, dht, addr, device } => Command::Listen {
            tcp: *tcp,
            udp: *udp,
            lsd: *lsd,
            dht: *dht,
            addr: mapper.addr(*addr),
            device: device.as_ref().map(|device| mapper.text("device", device)),
        },
        Command::Add(add) => {
            let AddTorrent {
                source,
                root,
                extra_trackers,
                use_trackers,
                peers,
                goal,
                overwrite,
                recheck,
                seed_only,
                priorities,
                sequential,
                limits,
                super_seed,
                paused,
                managed,
                hold_at_metadata,
            } = &**add;
            Command::Add(Box::new(AddTorrent {
                source: match source {
                    TorrentSource::Metainfo(file) => TorrentSource::Metainfo(mapper.metainfo(file)),
                    TorrentSource::Magnet(link) => TorrentSource::Magnet(mapper.magnet(link)),
                },
                root: *root,
                extra_trackers: urls(mapper, extra_trackers),
                use_trackers: *use_trackers,
                peers: targets(mapper, peers),
                goal: *goal,
                overwrite: *overwrite,
                recheck: *recheck,
                seed_only: *seed_only,
                priorities: priorities.clone(),
                sequential: *sequential,
                limits: *limits,
                super_seed: *super_seed,
                paused: *paused,
                managed: *managed,
                hold_at_metadata: *hold_at_metadata,
            }))
        }
        Command::AddPeers { torrent, peers } => Command::AddPeers { torrent: *torrent, peers: targets(mapper, peers) },
        Command::AddTrackers { torrent, tiers: list } => {
            Command::AddTrackers { torrent: *torrent, tiers: tiers(mapper, list) }
        }
        Command::ReplaceTrackers { torrent, tiers: list } => {
            Command::ReplaceTrackers { torrent: *torrent, tiers: tiers(mapper, list) }
        }
        Command::Scrape { trackers, torrents } => {
            mapper.ordered |= torrents.len() > 1;
            let hashes = torrents.iter().map(|&torrent| mapper.hash(torrent)).collect();
            Command::Scrape { trackers: urls(mapper, trackers), torrents: hashes }
        }
        Command::Announce(once) => {
            let AnnounceOnce { trackers, info_hash, event, left, num_want } = &**once;
            Command::Announce(Box::new(AnnounceOnce {
                trackers: urls(mapper, trackers),
                info_hash: mapper.hash(*info_hash),
                event: *event,
                left: *left,
                num_want: *num_want,
            }))
        }
        Command::AddDhtNodes { nodes } => Command::AddDhtNodes { nodes: targets(mapper, nodes) },
        Command::SetIpFilter { filter } => Command::SetIpFilter { filter: blocked(mapper, filter) },
        Command::Reannounce { .. }
        | Command::ScrapeTorrent { .. }
        | Command::Remove { .. }
        | Command::Pause { .. }
        | Command::Resume { .. }
        | Command::Recheck { .. }
        | Command::Move { .. }
        | Command::SetGoal { .. }
        | Command::SetManaged { .. }
        | Command::SetPlace { .. }
        | Command::SetPriorities { .. }
        | Command::SetSequential { .. }
        | Command::SetLimits { .. }
        | Command::SetSuperSeed { .. }
        | Command::Shutdown => command.clone(),
    }
}

/// A list that says the same of all the addresses of the recording, and nothing of any other.
fn blocked(mapper: &Mapper, filter: &Arc<IpFilter>) -> Arc<IpFilter> {
    if !mapper.is_settled() {
        return Arc::clone(filter);
    }
    let mut new = IpFilter::new();
    for (_, pseudonym) in mapper.addresses.iter().filter(|(old, _)| filter.blocks(*old)) {
        // One address is a range of itself.
        let _ = new.put(pseudonym, pseudonym);
    }
    new.settle();
    Arc::new(new)
}
