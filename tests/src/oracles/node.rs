//! What the oracles know of one session, and the rules about its streams.
//!
//! A call is looked at in its order: first what the session was told, then what it ordered, then what it told the application,
//! and last what has to be so when a call ends.

use super::budget::Budget;
use super::clones::Clones;
use super::dials::Dials;
use super::framing::Framing;
use super::neighbours::{Met, Told};
use super::stream::{AllTerms, Audit, BLOCK, bit};
use super::torrent::{Jobs, TorrentModel};
use super::trackers::Trackers;
use super::{Oracle, Tally};
use crate::disk::torrent_of;
use crate::second::{Range, Unit, Value, Word};
use crate::{Breach, Call};
use bytes::Bytes;
use parcacik_core::border::{
    Action, AddTorrent, CloseReason, Command, CommandId, Config, Event, Notice, PeerFault, Target, TcpId, TorrentId,
    TorrentSource, TorrentState, Work,
};
use parcacik_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// How long interest may be wrong.
const INTEREST_LAG: Duration = Duration::from_secs(1);

/// The addresses of a stream: ours, theirs.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// One end of a stream.
#[derive(Debug)]
pub(super) struct StreamModel {
    pub audit: Audit,
    pub framing: Framing,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub incoming: bool,
    pub torrent: Option<TorrentId>,
    /// Pieces that the peer has and we want.
    pub useful: u32,
    recount: bool,
    wrong_since: Option<Time>,
    /// Since when the peer waits to be unchoked.
    pub waits_since: Option<Time>,
    /// Since when it could be asked for something and was asked for nothing.
    pub idle_since: Option<Time>,
    /// Bytes that may be read.
    pub credit: i64,
    /// Bytes that were sent and have not left.
    pub queued: u64,
    /// Those of them that are content, at most.
    pub content: u64,
    pub bytes_in: u64,
    pub actions_on_bytes: u64,
    /// What it was told of others.
    pub told: Told,
}

/// A session.
#[derive(Debug, Default)]
pub(super) struct NodeModel {
    pub calls: u64,
    /// Goes up with everything that is looked at.
    step: u64,
    /// What it said when it wants to be called.
    promised: Option<Time>,
    /// By how much its driver was late, in all.
    late: Duration,
    pub now: Time,
    adds: BTreeMap<CommandId, Box<AddTorrent>>,
    pub torrents: BTreeMap<TorrentId, TorrentModel>,
    /// Torrents that the world does not know.
    pub unknown: BTreeSet<TorrentId>,
    pub streams: BTreeMap<TcpId, StreamModel>,
    jobs: Jobs,
    pub dials: Dials,
    pub trackers: Trackers,
    pub budget: Budget,
    pub clones: Clones,
    /// Since when it is to stop.
    stop_at: Option<Time>,
    pub stopped: bool,
    /// Whether rates are limited.
    pub limited: bool,
    /// Blocks that came in this call, and are written in it.
    coming: BTreeSet<Range>,
    /// Streams that something came from or went to in this call.
    touched: BTreeSet<TcpId>,
    /// Streams that the session ended in this call: their ends, and who is there.
    ended: Vec<(Ends, Option<[u8; 20]>)>,
    /// Of two connections to one peer, the one that ended and the one that stays.
    pub twins: Vec<(Ends, Ends)>,
    /// Connections that have to end in this call, and why.
    faults: BTreeMap<SocketAddr, PeerFault>,
    /// When streams that said nothing were last looked at.
    pub kept_at: Time,
    pub healed: bool,
    pub met: Met,
}

/// A block that came in this call.
struct Arrival {
    tcp: TcpId,
    range: Range,
    /// Whether it was asked for.
    asked: bool,
    right: bool,
    bytes: Vec<u8>,
    taken: bool,
}

impl NodeModel {
    /// The time without that by which the driver was late: what limits how long a session may take.
    pub fn awake(&self) -> Time {
        Time(self.now.0.saturating_sub(self.late.as_micros() as u64))
    }

    /// Looks at one call.
    pub fn look(&mut self, call: &Call<'_>, terms: &AllTerms, tally: &mut Tally) -> Result<(), Breach> {
        let config = call.world.config();
        self.calls += 1;
        self.now = self.now.max(call.now);
        if let Some(promised) = self.promised.filter(|&promised| promised < self.now) {
            self.late += self.now.since(promised);
        }
        let deadline = call.session().deadline();
        self.promised = deadline;
        self.budget.look(self.now, call, deadline, tally)?;
        self.clones.look(call, tally)?;
        self.touched.clear();
        self.coming.clear();
        self.ended.clear();
        self.faults.clear();
        self.expect(call, terms);
        let mut arrivals = self.told(call, config, terms, tally)?;
        // What trackers have done is known before what follows from it.
        let mut switched = Vec::new();
        for notice in &call.actions.notices {
            match notice {
                Notice::TrackerAnswered { torrent, url, .. } => {
                    let other = self.trackers.answered(self.now, *torrent, url, config, tally)?;
                    switched.extend(other.then_some(*torrent));
                }
                Notice::TrackerFailed { torrent, url, retry, .. } => {
                    self.trackers.failed(self.now, *torrent, url, *retry, config, tally)?;
                }
                _ => {}
            }
        }
        for action in &call.actions.list {
            self.step += 1;
            self.ordered(call, action, &mut arrivals, terms, tally)?;
        }
        for notice in &call.actions.notices {
            self.noticed(call, notice, tally)?;
        }
        for torrent in switched {
            let left = self.streams.values().find(|stream| stream.torrent == Some(torrent));
            tally.judge(Oracle::PrivateApart, left.is_none(), || {
                format!("the tracker has changed, and {:?} stays", left.map(|stream| stream.remote))
            })?;
        }
        self.torrents.values_mut().for_each(TorrentModel::end_call);
        self.end_blocks(&arrivals, tally)?;
        self.end_streams(call, tally)?;
        self.trackers.end_call();
        if self.now.since(self.kept_at) >= Duration::from_secs(1) {
            self.kept_at = self.now;
            self.keep(call, config, tally)?;
        }
        Ok(())
    }

    /// What is told in a call is so before what is ordered in it.
    fn expect(&mut self, call: &Call<'_>, terms: &AllTerms) {
        if let Event::Command { id, command: Command::Add(add) } = call.event {
            self.adds.insert(*id, add.clone());
        }
        for notice in &call.actions.notices {
            if let Notice::Finished { torrent } = notice {
                self.trackers.finished(*torrent);
            }
            let Notice::Added { command, torrent, hashes, .. } = notice else { continue };
            let hash = hashes.best().0;
            let add = self.adds.remove(command);
            // Of a magnet link the rules about pieces hold only from some moment on, which is not looked for here.
            let file = add.as_deref().and_then(|add| match &add.source {
                TorrentSource::Metainfo(file) => Some((add, file)),
                TorrentSource::Magnet(_) => None,
            });
            match (terms.get(&hash), file) {
                (Some(terms), Some((add, file))) => {
                    let private = is_private(file);
                    self.trackers.added(*torrent, hash, add, private);
                    self.torrents.insert(*torrent, TorrentModel::new(*torrent, hash, terms.clone(), add, private));
                }
                _ => _ = self.unknown.insert(*torrent),
            }
        }
    }

    /// What the session was told.
    fn told(
        &mut self,
        call: &Call<'_>,
        config: &Config,
        terms: &AllTerms,
        tally: &mut Tally,
    ) -> Result<Vec<Arrival>, Breach> {
        self.step += 1;
        let awake = self.awake();
        match call.event {
            Event::Accepted { tcp, local, remote, .. } | Event::Connected { tcp, local, remote, .. } => {
                let incoming = matches!(call.event, Event::Accepted { .. });
                let longest = config.peer.max_message_length;
                let stream = StreamModel {
                    audit: Audit::new(awake, config.peer.depth_max, longest),
                    framing: Framing::new(longest),
                    local: *local,
                    remote: *remote,
                    incoming,
                    torrent: None,
                    useful: 0,
                    recount: false,
                    wrong_since: None,
                    waits_since: None,
                    idle_since: None,
                    credit: 0,
                    queued: 0,
                    content: 0,
                    bytes_in: 0,
                    actions_on_bytes: 0,
                    told: Told::default(),
                };
                self.streams.insert(*tcp, stream);
                if let Event::Connected { dial, .. } = call.event {
                    self.dials.ended(*dial);
                } else {
                    let closed = call
                        .actions
                        .list
                        .iter()
                        .any(|action| matches!(action, Action::Close { tcp: other, .. } if other == tcp));
                    self.dials.came(*remote, closed, tally)?;
                }
            }
            Event::Closed { tcp, .. } => _ = self.streams.remove(tcp),
            Event::DialFailed { dial, .. } => self.dials.ended(*dial),
            Event::Received { tcp, bytes } => return self.received(*tcp, bytes, terms, call, tally),
            Event::Flushed { tcp, bytes } => {
                if let Some(stream) = self.streams.get_mut(tcp) {
                    stream.queued = stream.queued.saturating_sub(*bytes);
                    stream.content = stream.content.min(stream.queued);
                }
            }
            Event::JobDone { job, result } => {
                self.trackers.job_done(*job, result.as_ref().ok());
                if let Some((torrent, job)) = self.jobs.remove(job) {
                    let at = (self.now, self.step);
                    if let Some(torrent) = torrent.and_then(|torrent| self.torrents.get_mut(&torrent)) {
                        let (ok, found) = (result.is_ok(), result.as_ref().ok());
                        torrent.job_ends(at, &job, ok, found, tally)?;
                    }
                }
            }
            Event::Datagrams { from, bytes, .. } => self.trackers.heard(self.now, *from, bytes, call.actions, tally)?,
            Event::Command { id, command } => {
                let refused =
                    |notice: &Notice| matches!(notice, Notice::CommandFailed { command, .. } if command == id);
                if !call.actions.notices.iter().any(refused) {
                    self.commanded(command);
                }
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    fn commanded(&mut self, command: &Command) {
        match command {
            Command::Shutdown => {
                self.stop_at.get_or_insert(self.awake());
                self.torrents.values_mut().for_each(|torrent| torrent.leaving = true);
                self.trackers.stops(None);
            }
            Command::Remove { torrent, .. } | Command::Pause { torrent, .. } | Command::Move { torrent, .. } => {
                if let Some(model) = self.torrents.get_mut(torrent) {
                    model.leaving = true;
                }
                self.trackers.stops(Some(*torrent));
            }
            Command::Recheck { torrent } => {
                // One that is being checked goes on with that.
                let model = self.torrents.get_mut(torrent).filter(|model| model.state != TorrentState::Checking);
                if let Some(model) = model {
                    model.is_to_begin_anew();
                    model.leaving = true;
                    self.trackers.stops(Some(*torrent));
                }
            }
            Command::Resume { torrent } => {
                if let Some(model) = self.torrents.get_mut(torrent) {
                    model.leaving = false;
                }
            }
            Command::SetPriorities { torrent, files } => {
                if let Some(model) = self.torrents.get_mut(torrent) {
                    model.set_priorities(files);
                }
            }
            Command::AddPeers { torrent, peers } => {
                if let Some(model) = self.torrents.get_mut(torrent) {
                    model.named.extend(peers.iter().filter_map(|peer| match peer {
                        Target::Addr(addr) => Some(*addr),
                        _ => None,
                    }));
                }
            }
            Command::SetLimits { torrent: None, download, upload } => {
                self.limited = download.is_some() || upload.is_some();
            }
            Command::SetLimits { torrent: Some(torrent), download, upload } => {
                if let Some(model) = self.torrents.get_mut(torrent) {
                    model.limited = download.is_some() || upload.is_some();
                }
            }
            Command::SetIpFilter { filter } => self.dials.set_filter(filter),
            Command::Reannounce { torrent, force } => self.trackers.forced(*torrent, *force),
            Command::ScrapeTorrent { .. } | Command::Scrape { .. } => self.trackers.scrapes(),
            Command::AddTrackers { torrent, .. } | Command::ReplaceTrackers { torrent, .. } => {
                self.trackers.changed(*torrent);
            }
            _ => {}
        }
    }

    /// Bytes came from a peer.
    fn received(
        &mut self,
        tcp: TcpId,
        bytes: &Bytes,
        terms: &AllTerms,
        call: &Call<'_>,
        tally: &mut Tally,
    ) -> Result<Vec<Arrival>, Breach> {
        let (now, calls, awake) = (self.now, self.calls, self.awake());
        let (mut arrivals, mut met) = (Vec::new(), Vec::new());
        let Some(stream) = self.streams.get_mut(&tcp) else { return Ok(arrivals) };
        self.touched.insert(tcp);
        stream.credit -= bytes.len() as i64;
        stream.bytes_in += bytes.len() as u64;
        stream.actions_on_bytes += call.actions.list.len() as u64;
        let units = stream.audit.heard(now, calls, bytes, terms);
        stream.framing.look(bytes, calls, &units, stream.audit.lost, tally)?;
        let remote = stream.remote;
        for (unit, asked) in units {
            match unit {
                Unit::Word(Word::Piece(piece, begin, data)) => {
                    let range = Range { piece, begin, length: data.len() as u32 };
                    let right = stream.audit.terms().is_none_or(|terms| terms.data(range) == Some(&data[..]));
                    self.coming.insert(range);
                    arrivals.push(Arrival { tcp, range, asked, right, bytes: data, taken: false });
                }
                Unit::Word(Word::Have(_) | Word::Bitfield(_) | Word::HaveAll) => stream.recount = true,
                Unit::Word(Word::Extended(4, _)) => stream.recount = true,
                Unit::Word(Word::Interested | Word::NotInterested) => {
                    stream.waits_since = (stream.audit.they_want && stream.audit.choking).then_some(awake);
                }
                Unit::Word(Word::Extended(0, payload)) => {
                    let port = Value::read(&payload).ok().and_then(|dict| dict.get("p").and_then(Value::int));
                    let port = port.and_then(|port| u16::try_from(port).ok());
                    if let Some(port) = port {
                        self.trackers.met(SocketAddr::new(remote.ip(), port));
                    }
                    met.push(port);
                }
                Unit::Handshake { .. } => met.push(None),
                _ => {}
            }
        }
        met.into_iter().for_each(|port| self.meets(tcp, port));
        Ok(arrivals)
    }

    /// What the session ordered.
    fn ordered(
        &mut self,
        call: &Call<'_>,
        action: &Action,
        arrivals: &mut [Arrival],
        terms: &AllTerms,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        match action {
            Action::Dial { dial, to: Target::Addr(to), .. } => {
                let named = self.torrents.values().any(|torrent| torrent.named.contains(to));
                let config = call.world.config();
                let torrents = self.torrents.len() + self.unknown.len();
                self.dials.dials(self.now, (*dial, *to), (named, torrents), config, tally)?;
                let banned = !self.torrents.is_empty()
                    && self.unknown.is_empty()
                    && self.torrents.values().all(|torrent| torrent.banned.contains(&to.ip()));
                tally.judge(Oracle::DialAllowed, !banned, || format!("{to} is banned, and dialled"))?;
                let all_private = self.unknown.is_empty() && self.torrents.values().all(|torrent| torrent.private);
                if all_private && !self.torrents.is_empty() {
                    self.trackers.may_dial_private(*to, named, tally)?;
                }
            }
            Action::CancelDial { dial } => self.dials.ended(*dial),
            Action::Grant { tcp, bytes } => {
                if let Some(stream) = self.streams.get_mut(tcp) {
                    stream.credit += i64::from(*bytes);
                    // The handshake's own is counted apart.
                    let most = i64::from(call.world.config().peer.read_window_fast) + 68;
                    tally.judge(Oracle::QueuesBounded, stream.credit <= most, || {
                        format!("stream {} may send {} bytes unhandled", tcp.0, stream.credit)
                    })?;
                }
            }
            Action::Send { tcp, bytes } => self.sends(call, *tcp, bytes, 0, terms, tally)?,
            Action::SendContent { tcp, bytes, .. } => {
                self.sends(call, *tcp, bytes, bytes.len() as u64, terms, tally)?;
            }
            Action::Close { tcp, .. } => self.close_stream(*tcp, tally)?,
            Action::Start { job, work } => {
                self.trackers.starts(self.now, *job, work, &self.torrents, tally)?;
                let Some(id) = torrent_of(work) else { return Ok(()) };
                let Some(torrent) = self.torrents.get_mut(&id) else { return Ok(()) };
                if let Work::Write { piece, begin, bytes, .. } = work {
                    let place = Range { piece: *piece, begin: *begin, length: bytes.len() as u32 };
                    let found = arrivals.iter_mut().find(|arrival| {
                        !arrival.taken && arrival.asked && arrival.range == place && arrival.bytes == bytes[..]
                    });
                    let lost =
                        self.touched.iter().any(|tcp| self.streams.get(tcp).is_none_or(|stream| stream.audit.lost));
                    tally.judge(Oracle::TakeAsked, found.is_some() || lost, || {
                        format!("{place:?} is stored, which nobody was asked for")
                    })?;
                    if let Some(arrival) = found {
                        arrival.taken = true;
                        if let Some(stream) = self.streams.get(&arrival.tcp) {
                            torrent.takes(place, (arrival.tcp, stream.remote.ip()), arrival.right);
                        }
                    }
                }
                let started = torrent.starts(self.step, work, call.disk(), tally)?;
                self.jobs.insert(*job, (Some(id), started));
                let writing: u64 = self.torrents.values().map(|torrent| torrent.writing_bytes).sum();
                let reading: u64 = self.torrents.values().map(|torrent| torrent.reading_bytes).sum();
                let config = call.world.config();
                self.budget.disk(writing, reading, self.streams.len(), config, tally)?;
            }
            Action::SendDatagrams { to, bytes, .. } if to.ip().is_multicast() => {
                self.announces_locally(bytes, tally)?;
            }
            // The connection id of a UDP tracker may begin with any byte, but hardly with a dictionary's first key of less than ten letters.
            Action::SendDatagrams { bytes, .. } if matches!(bytes[..], [b'd', b'1'..=b'9', b':', .., b'e']) => {
                self.asks_nodes(bytes, tally)?
            }
            Action::SendDatagrams { to, bytes, .. } => {
                self.trackers.sends(self.now, *to, bytes, &self.torrents, tally)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The session says something to a peer.
    fn sends(
        &mut self,
        call: &Call<'_>,
        tcp: TcpId,
        bytes: &Bytes,
        content: u64,
        terms: &AllTerms,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let (now, awake, calls) = (self.now, self.awake(), self.calls);
        let Some(stream) = self.streams.get_mut(&tcp) else { return Ok(()) };
        self.touched.insert(tcp);
        let before = stream.audit.our_hash;
        stream.audit.check_data = !call.disk().damaged;
        let in_stream = |mut breach: Breach| {
            breach.what = format!("{} (stream {})", breach.what, tcp.0);
            breach
        };
        let sent = stream.audit.sent;
        let units = stream.audit.said((now, awake, calls), bytes, terms, tally).map_err(in_stream)?;
        stream.queued += bytes.len() as u64;
        stream.content += content;
        if before.is_none()
            && let Some(hash) = stream.audit.our_hash
        {
            if stream.incoming {
                let named = stream.audit.has_named(hash);
                tally.judge(Oracle::HashUnasked, named, || {
                    format!("stream {} came in, and is told an info-hash", tcp.0)
                })?;
            }
            stream.torrent = self.torrents.values().find(|torrent| torrent.hash == hash).map(|torrent| torrent.id);
            let private = self.torrents.values().any(|torrent| torrent.private && torrent.hash == hash);
            let told = stream.audit.our_reserved[7] & 1 != 0;
            if private || told {
                tally.judge(
                    Oracle::PrivateApart,
                    !(private && told),
                    || "a node is offered to peers of a private torrent",
                )?;
            }
        }
        let config = call.world.config();
        let waiting = stream.queued.saturating_sub(stream.content);
        self.budget.queue(tcp, stream.queued, waiting, config, tally)?;
        let torrent = stream.torrent;
        let sent = stream.audit.sent - sent;
        if let Some(torrent) = torrent.and_then(|torrent| self.torrents.get_mut(&torrent)) {
            torrent.uploaded += sent;
        }
        for unit in units {
            let Unit::Word(word) = unit else { continue };
            self.says(tcp, torrent, &word, tally).map_err(in_stream)?;
        }
        Ok(())
    }

    /// What a message means beyond its stream.
    fn says(&mut self, tcp: TcpId, torrent: Option<TorrentId>, word: &Word, tally: &mut Tally) -> Result<(), Breach> {
        if let Word::Extended(id, payload) = word {
            return self.exchanges(tcp, *id, payload, tally);
        }
        let (awake, now) = (self.awake(), self.now);
        let Some(torrent) = torrent.and_then(|torrent| self.torrents.get_mut(&torrent)) else { return Ok(()) };
        match word {
            Word::Have(piece) => torrent.announces(*piece, tally)?,
            Word::HaveAll => (0..torrent.pieces).try_for_each(|piece| torrent.announces(piece, tally))?,
            Word::Bitfield(bits) => {
                let told = (0..torrent.pieces).filter(|&piece| bit(bits, piece));
                told.collect::<Vec<_>>().into_iter().try_for_each(|piece| torrent.announces(piece, tally))?;
            }
            Word::Choke | Word::Unchoke => {
                let Some(stream) = self.streams.get_mut(&tcp) else { return Ok(()) };
                stream.waits_since = (stream.audit.they_want && stream.audit.choking).then_some(awake);
            }
            Word::Request(range) => {
                torrent.asked_at = awake;
                let (piece, begin) = (range.piece, range.begin);
                let ours = torrent.proven.has(piece) && !torrent.doubted.has(piece);
                tally.judge(Oracle::AskSensibly, !ours, || format!("{range:?} is asked for, and ours"))?;
                let wanted = torrent.wants(piece) != Some(false) && !torrent.seed_only;
                tally.judge(Oracle::AskSensibly, wanted, || format!("{range:?} is asked for, and not wanted"))?;
                if let Some(stream) = self.streams.get(&tcp) {
                    torrent.anew_of_suspect(piece, (tcp, stream.remote.ip()));
                }
                // Of a piece in doubt the disk may have lost what was written: it was cut short, or cannot be read.
                let there = torrent.has_block(piece, begin) && !torrent.doubted.has(piece);
                tally.judge(Oracle::AskOnce, !there, || format!("{range:?} is asked for, and there already"))?;
                self.asks_elsewhere(tcp, *range, now, tally)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A block is asked for: of whom else it is asked, and whether that may be.
    fn asks_elsewhere(&mut self, tcp: TcpId, range: Range, now: Time, tally: &mut Tally) -> Result<(), Breach> {
        let Some(asked) = self.streams.get(&tcp) else { return Ok(()) };
        let Some(torrent) = asked.torrent.and_then(|torrent| self.torrents.get(&torrent)) else { return Ok(()) };
        let parole = torrent.on_parole(now, range.piece, (tcp, asked.remote.ip()));
        let fellows =
            || self.streams.iter().filter(|(other, stream)| **other != tcp && stream.torrent == asked.torrent);
        if !parole || torrent.is_lent(range.piece, tcp) {
            tally.judge(Oracle::FailedAnew, true, || "")?;
        } else {
            // Those that have given something count for what they say that they have. Suspects count also when they are gone.
            let others = fellows().filter(|(other, stream)| {
                let suspect = torrent.on_parole(now, range.piece, (**other, stream.remote.ip()));
                !suspect
                    && stream.audit.is_open()
                    && stream.audit.block_at > Time::ZERO
                    && stream.audit.heard.has(range.piece)
            });
            let (others, suspects) = (others.count(), torrent.suspects(range.piece));
            tally.judge(Oracle::FailedAnew, others <= suspects, || {
                format!("{range:?} is asked of {} that sent its bad version, and {others} others have it", asked.remote)
            })?;
        }
        let id = torrent.id;
        if parole && let Some(torrent) = self.torrents.get_mut(&id) {
            torrent.lend(range.piece, tcp);
        }
        let Some(asked) = self.streams.get(&tcp) else { return Ok(()) };
        let Some(torrent) = self.torrents.get(&id) else { return Ok(()) };
        let fellows =
            || self.streams.iter().filter(|(other, stream)| **other != tcp && stream.torrent == asked.torrent);
        let under_way = |stream: &StreamModel| {
            !stream.audit.lost && !stream.audit.is_stale(now) && stream.audit.requests.contains_key(&range)
        };
        let others = fellows().filter(|(_, stream)| under_way(stream)).count();
        tally.judge(Oracle::AskOnce, others < 3, || format!("{range:?} is asked of {} at a time", others + 1))?;
        // What is asked of a stream that cannot be followed is not known.
        let followed = !asked.audit.lost && fellows().all(|(_, stream)| !stream.audit.lost);
        if others > 0 && followed && torrent.pieces <= 4_096 {
            // The end game: every block that is missing is asked for.
            let free = (0..torrent.pieces).filter(|&piece| torrent.may_ask(piece)).find_map(|piece| {
                let asked_for = |begin: u32| {
                    let length = (torrent.terms.length_of(piece) - begin).min(BLOCK);
                    let block = Range { piece, begin, length };
                    if self.coming.contains(&block) {
                        return true;
                    }
                    self.streams
                        .values()
                        .any(|stream| stream.torrent == asked.torrent && stream.audit.is_asked_in(self.calls, block))
                };
                torrent.missing_blocks(piece).find(|&begin| !asked_for(begin)).map(|begin| (piece, begin))
            });
            tally.judge(Oracle::AskOnce, free.is_none() || !torrent.is_certain(), || {
                let holders: Vec<_> = fellows()
                    .filter(|(_, stream)| under_way(stream))
                    .map(|(tcp, stream)| (tcp, &stream.audit.requests, stream.audit.block_at))
                    .collect();
                format!(
                    "{range:?} is asked for twice, while {free:?} is asked of nobody; it is under way at {holders:?}"
                )
            })?;
        }
        Ok(())
    }

    /// The session ends a stream.
    fn close_stream(&mut self, tcp: TcpId, tally: &mut Tally) -> Result<(), Breach> {
        let Some(stream) = self.streams.get(&tcp) else { return Ok(()) };
        if let Some((fault, _)) = &stream.audit.fault {
            tally.judge(Oracle::FaultNamed, true, || "")?;
            self.faults.insert(stream.remote, *fault);
        }
        self.ended.push(((stream.local, stream.remote), stream.audit.their_id));
        self.streams.remove(&tcp);
        Ok(())
    }

    /// What the session told the application.
    fn noticed(&mut self, call: &Call<'_>, notice: &Notice, tally: &mut Tally) -> Result<(), Breach> {
        match notice {
            Notice::State { torrent, state } => {
                let session = call.session();
                if let Some(model) = self.torrents.get_mut(torrent) {
                    let was = std::mem::replace(&mut model.state, *state);
                    if was == TorrentState::Checking
                        && !model.looked
                        && !matches!(state, TorrentState::Failed(_) | TorrentState::Stopping | TorrentState::Stopped)
                    {
                        let view = session.view(*torrent);
                        let has = |piece: u32| view.as_ref().is_some_and(|view| view.pieces.get(piece));
                        model.was_looked_at(has, call.disk(), tally)?;
                    }
                    if *state == TorrentState::Checking {
                        model.checks();
                    }
                    if matches!(state, TorrentState::Downloading | TorrentState::Seeding) {
                        model.leaving = self.stop_at.is_some();
                    }
                }
            }
            Notice::PieceDone { torrent, piece } => {
                if let Some(model) = self.torrents.get_mut(torrent) {
                    model.announces(*piece, tally)?;
                    model.check_blame(*piece, tally)?;
                }
            }
            Notice::Finished { torrent } => {
                if let Some(model) = self.torrents.get(torrent) {
                    model.finishes(call.disk(), tally)?;
                }
            }
            Notice::PeerBanned { torrent, addr } => {
                let open = self
                    .streams
                    .values()
                    .find(|stream| stream.remote.ip() == addr.ip() && stream.torrent == Some(*torrent));
                tally
                    .judge(Oracle::DialAllowed, open.is_none(), || format!("{addr} is banned, and stays connected"))?;
                if let Some(model) = self.torrents.get_mut(torrent) {
                    model.banned.insert(addr.ip());
                    let lied = model.liars.contains(&addr.ip()) || call.disk().damaged;
                    tally.judge(Oracle::BlameJust, lied, || format!("{addr} is banned, and sent nothing wrong"))?;
                }
            }
            Notice::PeerClosed { torrent, addr, reason: CloseReason::Duplicate } => {
                let gone = self.ended.iter().find(|((_, remote), _)| remote == addr);
                let stays = gone.and_then(|(_, id)| {
                    self.streams
                        .values()
                        .find(|stream| stream.torrent == Some(*torrent) && stream.audit.their_id == *id)
                });
                if let (Some((gone, _)), Some(stays)) = (gone, stays) {
                    self.twins.push((*gone, (stays.local, stays.remote)));
                }
            }
            Notice::PeerClosed { addr, reason: CloseReason::Fault(fault), .. } => {
                // These come of many messages, of which the last need not be the worst.
                let by_count =
                    [PeerFault::Flood, PeerFault::BadRequests, PeerFault::UnrequestedBlocks, PeerFault::CorruptData];
                if let Some(due) = self.faults.get(addr).filter(|_| !by_count.contains(fault)) {
                    tally.judge(Oracle::FaultNamed, due == fault, || {
                        format!("{addr} is told to have done {fault:?}, and did {due:?}")
                    })?;
                }
            }
            Notice::Removed { torrent } => {
                self.trackers.gone(*torrent, tally)?;
                self.torrents.remove(torrent);
                self.unknown.remove(torrent);
            }
            Notice::Stopped => {
                self.stopped = true;
                let ids: Vec<TorrentId> = self.torrents.keys().copied().collect();
                for id in ids {
                    self.trackers.gone(id, tally)?;
                }
                let busy: BTreeSet<TorrentId> = self.jobs.values().filter_map(|(torrent, _)| *torrent).collect();
                let idle = |torrent: &&TorrentModel| {
                    torrent.looked && torrent.trouble_at.is_none() && !busy.contains(&torrent.id)
                };
                for torrent in self.torrents.values().filter(idle) {
                    let holds = torrent.is_saved() || !torrent.is_certain() || call.disk().damaged;
                    tally.judge(Oracle::StopsInTime, holds, || {
                        format!("{:?} is stopped, and its resume data do not claim all there is", torrent.id)
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Blocks that came: where else they are asked for, that is taken back.
    fn end_blocks(&mut self, arrivals: &[Arrival], tally: &mut Tally) -> Result<(), Breach> {
        for arrival in arrivals.iter().filter(|arrival| arrival.taken) {
            let torrent = self.streams.get(&arrival.tcp).and_then(|stream| stream.torrent);
            if torrent.is_none() {
                continue;
            }
            for (tcp, stream) in &self.streams {
                let same = *tcp != arrival.tcp && stream.torrent == torrent && !stream.audit.lost;
                if !same || stream.audit.is_stale(self.now) {
                    continue;
                }
                let left = stream.audit.requests.contains_key(&arrival.range);
                tally.judge(Oracle::AskOnce, !left, || {
                    format!("{:?} has come, and is still asked of stream {}", arrival.range, tcp.0)
                })?;
            }
        }
        Ok(())
    }

    /// What has to be so of every stream that was touched, when a call ends.
    fn end_streams(&mut self, call: &Call<'_>, tally: &mut Tally) -> Result<(), Breach> {
        let calls = self.calls;
        let touched = match call.event {
            Event::Received { tcp, .. } => Some(*tcp),
            _ => None,
        };
        for tcp in &self.touched {
            if let Some(stream) = self.streams.get_mut(tcp) {
                stream.audit.end_event(calls, tally)?;
            }
        }
        if let Some(stream) = touched.and_then(|tcp| self.streams.get(&tcp)) {
            if let Some((fault, what)) = &stream.audit.fault {
                return tally.judge(Oracle::FaultNamed, false, || {
                    format!("{what}: the connection to {} should end with {fault:?}", stream.remote)
                });
            }
            let ourselves = stream.audit.is_open() && stream.audit.our_id == stream.audit.their_id;
            if stream.audit.is_open() {
                tally.judge(Oracle::NotOurselves, !ourselves, || format!("{} is ourselves", stream.remote))?;
                self.one_each(stream, tally)?;
            }
            let allowed = 4 * stream.bytes_in + 64 + self.streams.len() as u64 * 4;
            tally.judge(Oracle::NoAmplifying, stream.actions_on_bytes <= allowed.max(1_000), || {
                format!("{} actions for {} bytes", stream.actions_on_bytes, stream.bytes_in)
            })?;
        }
        self.interest(false, tally)
    }

    fn one_each(&self, stream: &StreamModel, tally: &mut Tally) -> Result<(), Breach> {
        let twins = self.streams.values().filter(|other| {
            other.torrent.is_some() && other.torrent == stream.torrent && other.audit.their_id == stream.audit.their_id
        });
        let twins = twins.count();
        tally.judge(Oracle::OneEach, twins <= 1, || format!("{twins} connections to the peer at {}", stream.remote))
    }

    /// "Interest state must be kept up to date at all times" (BEP 3).
    fn interest(&mut self, all: bool, tally: &mut Tally) -> Result<(), Breach> {
        let awake = self.awake();
        let all = all || self.torrents.values().any(|torrent| torrent.recount);
        for (tcp, stream) in &mut self.streams {
            if !all && !self.touched.contains(tcp) {
                continue;
            }
            let Some(torrent) = stream.torrent.and_then(|torrent| self.torrents.get(&torrent)) else { continue };
            if stream.recount || torrent.recount {
                stream.recount = false;
                stream.useful = stream.audit.heard.iter().filter(|&piece| torrent.lacks(piece)).count() as u32;
            }
            let judged = stream.audit.is_open() && !stream.audit.lost && torrent.is_certain() && !torrent.leaving;
            let should = stream.useful > 0 && !torrent.seed_only;
            if !judged || should == stream.audit.interested {
                stream.wrong_since = None;
                continue;
            }
            let since = *stream.wrong_since.get_or_insert(awake);
            tally.judge(Oracle::InterestTrue, awake.since(since) <= INTEREST_LAG, || {
                let (useful, interested) = (stream.useful, stream.audit.interested);
                let (has, ours) = (stream.audit.heard.count(), torrent.proven.count());
                format!(
                    "{} has {has} pieces, {useful} that we want; we have {ours}, and are interested: {interested}",
                    stream.remote
                )
            })?;
        }
        for torrent in self.torrents.values_mut().filter(|torrent| torrent.recount) {
            torrent.recount = false;
            torrent.note_left();
        }
        Ok(())
    }

    /// What is looked at once a second: silence, and what has to come at some time.
    fn keep(&mut self, call: &Call<'_>, config: &Config, tally: &mut Tally) -> Result<(), Breach> {
        let awake = self.awake();
        self.interest(true, tally)?;
        for stream in self.streams.values() {
            if stream.audit.our_id.is_some() && !stream.audit.off {
                stream.audit.check_silence(awake, tally)?;
            }
            let judged = stream.audit.is_open() && !stream.audit.lost && stream.torrent.is_some();
            if judged && stream.wrong_since.is_none() {
                tally.judge(Oracle::InterestTrue, true, || "")?;
            }
        }
        if let Some(since) = self.stop_at.filter(|_| !self.stopped) {
            let most = config.session.shutdown_limit + Duration::from_secs(1);
            tally.judge(Oracle::StopsInTime, awake.since(since) <= most, || format!("stopping since {since:?}"))?;
        }
        if self.healed {
            self.progress(call, config, tally)?;
        }
        Ok(())
    }
}

fn is_private(metainfo: &[u8]) -> bool {
    let value = Value::read(metainfo).ok();
    let info = value.as_ref().and_then(|value| value.get("info"));
    info.and_then(|info| info.get("private")).and_then(Value::int) == Some(1)
}
