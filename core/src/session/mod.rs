//! All torrents, sockets and limits: the machine that a driver runs.
//!
//! [`Session::handle`] is the only way in. It has one arm for each [`Event`]: the arm finds the owner of the thing that the
//! event is about, calls it, and afterwards brings the session's indexes up to date with what the owner now waits for. An
//! event for something that is gone finds no owner and ends there.
//!
//! | index | from | to |
//! |---|---|---|
//! | `names` | info-hash | torrent |
//! | `streams` | [`TcpId`] | torrent and connection |
//! | `answers` | (sender, transaction id) of a datagram that is waited for | torrent |
//! | `timers` | time | torrent |
//! | `dialers` | time at which it may have somebody to dial | torrent |
//! | `announce_turns` | who came first | torrent that waits to announce |
//! | `ready_dialers`, `readers`, `turns`, `held` | (sets) what dials in turn, reads in turn, waits for a rate limit, waits for the disk | torrent |
//!
//! What the nodes of the DHT look up for whom is kept by their turns (`dht`). Jobs and dials need no index: their ids say whose they are. Nothing here scans all torrents, or all peers of one, on an
//! event, but for sockets that open and for stopping.
//!
//! # Limits
//! Connections, dials under way and dials a second, bytes that wait for the disk, bytes read ahead, accepted streams without a
//! torrent: see [`SessionConfig`](crate::border::SessionConfig). When all connections are taken, those make way that have had
//! no interest on either side for long.

/// A context for a call to a machine: only some of the session's fields are borrowed, so the machine may be one of the others.
macro_rules! cx {
    ($session:expr, $out:expr, $owner:expr) => {
        crate::cx::Cx {
            now: $session.now,
            config: &$session.config,
            filter: &$session.filter,
            seeds: &$session.seeds,
            out: $out,
            ids: &mut $session.ids,
            owner: $owner,
        }
    };
}

mod acceptor;
mod announce_turns;
mod commands;
mod dht;
mod discovery;
mod probes;
pub mod queue;
mod rates;
mod sockets;
mod state;
mod streams;
#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, Routed};

use crate::border::{
    Actions, Config, ConfigError, Event, InfoHash, IpFilter, JobResult, Notice, PeerKey, TcpId, TorrentId,
};
use crate::cx::{Cx, IdSource};
use crate::journal::canon::canon_struct;
use crate::lsd::{Lsd, LsdSocket};
use crate::rng::Seeds;
use crate::rows::Rows;
use crate::time::{Time, earliest};
use crate::timers::Timers;
use crate::torrent::{Shared, Torrent, TorrentView};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use announce_turns::AnnounceTurns;
use core::net::{IpAddr, SocketAddr};
use core::ops::Bound;
use core::time::Duration;
use dht::Dht;
use probes::Probes;
use queue::Queue;
use rates::Turns;
use sockets::Sockets;

/// A BitTorrent engine: a pure function of its config, its seeds and the list of `(time, event)`.
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    filter: Arc<IpFilter>,
    seeds: Seeds,
    now: Time,
    ids: IdSource,
    shared: Shared,
    sockets: Sockets,
    acceptor: Acceptor,
    torrents: BTreeMap<TorrentId, Box<Torrent>>,
    /// How many of them have not stopped.
    alive: usize,
    next_torrent: u32,
    names: BTreeMap<InfoHash, TorrentId>,
    streams: Rows<TcpId, (TorrentId, PeerKey)>,
    answers: BTreeMap<(SocketAddr, u32), TorrentId>,
    timers: Timers<TorrentId>,
    dialers: Timers<TorrentId>,
    /// Torrents that have somebody to dial now.
    ready_dialers: BTreeSet<TorrentId>,
    /// Who dialled last: the turn is the next one's.
    last_dialler: TorrentId,
    /// Torrents with peers that wait for room to read ahead.
    readers: BTreeSet<TorrentId>,
    last_reader: TorrentId,
    /// Torrents with peers that wait for a turn under rate limits.
    turns: Turns,
    /// Torrents that read from nobody because the disk is behind.
    held: BTreeSet<TorrentId>,
    /// Torrents that were asked to go.
    removing: BTreeSet<TorrentId>,
    queue: Queue,
    dial_window: (Time, u32),
    /// Torrents that wait to announce.
    announce_turns: AnnounceTurns,
    /// Trackers that the application has asked.
    probes: Probes,
    lsd: Lsd,
    /// The open sockets for it.
    discovery: Vec<LsdSocket>,
    dht: Dht,
    /// Torrents that have looked at their disk during this event.
    started: Vec<TorrentId>,
    stopping: Option<Stopping>,
    unix_seconds: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Stopping {
    until: Time,
    told: bool,
}

canon_struct!(out Stopping { until, told });

impl Session {
    /// A session without sockets or torrents.
    pub fn new(config: Config, seeds: Seeds) -> Result<Session, ConfigError> {
        config.check()?;
        let (mut shared, dht) = (Shared::default(), Dht::new(&seeds));
        shared.buckets.set(Time::ZERO, &config.rate, config.rate.limits);
        Ok(Session {
            config,
            filter: Arc::default(),
            seeds,
            now: Time::ZERO,
            ids: IdSource::default(),
            shared,
            sockets: Sockets::default(),
            acceptor: Acceptor::default(),
            torrents: BTreeMap::new(),
            alive: 0,
            next_torrent: 0,
            names: BTreeMap::new(),
            streams: Rows::default(),
            answers: BTreeMap::new(),
            timers: Timers::default(),
            dialers: Timers::default(),
            ready_dialers: BTreeSet::new(),
            last_dialler: TorrentId(0),
            readers: BTreeSet::new(),
            last_reader: TorrentId(0),
            turns: Turns::default(),
            held: BTreeSet::new(),
            removing: BTreeSet::new(),
            queue: Queue::default(),
            dial_window: (Time::ZERO, 0),
            announce_turns: AnnounceTurns::default(),
            probes: Probes::default(),
            lsd: Lsd::new(),
            discovery: Vec::new(),
            dht,
            started: Vec::new(),
            stopping: None,
            unix_seconds: None,
        })
    }

    /// Takes in what happened, and appends to `out` what is to be done and told. Total: no event makes it fail. An earlier
    /// `now` than the last counts as the last.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        self.now = self.now.max(now);
        match event {
            Event::Tick => {}
            Event::WallClock { unix_seconds } => self.unix_seconds = Some(unix_seconds),
            // We may be somebody else now.
            Event::InterfacesChanged => {
                let known = [false, true].map(|v6| self.shared.external.get(v6));
                self.shared.external.reset();
                for v6 in known.into_iter().flatten().map(|ip| ip.is_ipv6()) {
                    self.shared.own_version += 1;
                    out.notices.push(Notice::ExternalAddress { v6, ip: None });
                }
                self.discovery_moves(out);
                self.dht_moves(out);
            }
            Event::Bound { sock, local } => {
                self.with_cx(out, |this, cx| this.sockets.bound(cx, sock, local));
                self.sockets_changed(out);
            }
            Event::BindFailed { sock, fault } => {
                self.with_cx(out, |this, cx| this.sockets.failed(cx, sock, fault));
                self.sockets_changed(out);
            }
            Event::Accepted { tcp, remote, .. } => self.accepted(out, tcp, remote),
            Event::Connected { dial, tcp, .. } => self.connected(out, dial, tcp),
            Event::DialFailed { dial, fault } => {
                let owner = Self::torrent_of(dial.owner());
                self.with_torrent(owner, out, |torrent, cx, shared| torrent.dial_failed(cx, shared, dial, fault));
            }
            Event::Received { tcp, bytes } => self.received(out, tcp, bytes),
            Event::Flushed { tcp, bytes } => {
                if let Some(&(id, key)) = self.streams.get(tcp) {
                    self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.flushed(cx, shared, key, bytes));
                }
            }
            Event::Closed { tcp, fault } => {
                if let Some(&(id, key)) = self.streams.get(tcp) {
                    self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.lost(cx, shared, key, fault));
                } else {
                    self.acceptor.lost(tcp);
                }
            }
            Event::Datagrams { sock, from, segment, bytes } if self.sockets.is_discovery(sock) => {
                self.heard_locally(out, from, segment, &bytes);
            }
            Event::Datagrams { sock, from, segment, bytes } => self.datagrams(out, sock, from, segment, &bytes),
            Event::JobData { .. } => {}
            Event::JobDone { job, result } => {
                // Also for one who is gone: nobody looks at content.
                if let Ok(JobResult::Read(bytes)) = &result
                    && !bytes.is_empty()
                {
                    out.opaque.push(0..u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                }
                match Self::torrent_of(job.owner()) {
                    Some(owner) => {
                        _ = self.with_torrent(Some(owner), out, |torrent, cx, shared| {
                            torrent.job_done(cx, shared, job, result)
                        })
                    }
                    None if self.dht_job(out, job, &result) => {}
                    None => self.probe_job(out, job, &result),
                }
                self.release_held(out);
                self.read_on(out);
            }
            Event::Command { id, command } => self.command(out, id, command),
        }
        self.run_due(out);
        self.queue_round(out);
        self.let_in(out);
        self.dial_round(out);
        self.announce_round(out);
        self.discovery_round(out);
        self.dht_round(out);
        self.share_rates(out);
        self.stop_step(out);
    }

    /// When [`Event::Tick`] is due; `None`: not before something else happens.
    pub fn deadline(&self) -> Option<Time> {
        let dial = match (self.may_dial(), self.ready_dialers.is_empty()) {
            (false, _) => None,
            (true, false) => Some(self.next_dial_time()),
            (true, true) => self.dialers.first(),
        };
        let queue = self.queue.deadline().filter(|_| self.stopping.is_none());
        let stop = self.stopping.filter(|stopping| !stopping.told).map(|stopping| stopping.until);
        let (down, up) = (self.turns.down.due, self.turns.up.due);
        let announce = self.announce_turns.deadline(&self.config.session, self.shared.http_announces);
        let (stranger, probe, local) = (self.acceptor.deadline(), self.probes.deadline(), self.discovery_deadline());
        let no_interest = || self.shared.bystanders.deadline(self.config.session.no_interest_timeout);
        let bystander = if self.is_crowded() { no_interest() } else { None };
        earliest([
            self.timers.first(),
            self.dht_deadline(),
            stranger,
            dial,
            down,
            up,
            announce,
            probe,
            local,
            queue,
            stop,
            bystander,
        ])
    }

    /// A torrent at a glance, as of the last event.
    pub fn view(&self, torrent: TorrentId) -> Option<TorrentView> {
        self.torrents.get(&torrent).map(|torrent| torrent.view(self.now))
    }

    /// A torrent, for everything that can be read of it.
    pub fn torrent(&self, torrent: TorrentId) -> Option<&Torrent> {
        self.torrents.get(&torrent).map(|torrent| &**torrent)
    }

    /// All torrents, in the order they were added.
    pub fn torrents(&self) -> impl Iterator<Item = TorrentId> + '_ {
        self.torrents.keys().copied()
    }

    /// All torrents, in the order of the queue.
    pub fn queue(&self) -> &[TorrentId] {
        self.queue.order()
    }

    /// Whether the queue decides when a torrent runs.
    pub fn is_managed(&self, torrent: TorrentId) -> bool {
        self.queue.is_managed(torrent)
    }

    /// The torrent of this info-hash.
    pub fn find(&self, name: InfoHash) -> Option<TorrentId> {
        self.names.get(&name).copied()
    }

    /// The time of the last event.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The list of blocked addresses in use.
    pub fn ip_filter(&self) -> &Arc<IpFilter> {
        &self.filter
    }

    /// Counters over all torrents.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Our own address in a family as others see it, once enough of them agree.
    pub fn external_ip(&self, v6: bool) -> Option<IpAddr> {
        self.shared.external.get(v6)
    }

    /// The sockets that there are have changed: torrents that waited to be reachable announce themselves.
    fn sockets_changed(&mut self, out: &mut Actions) {
        let sockets = self.sockets.open();
        self.discovery = self.sockets.discovery();
        self.shared.own_version += u64::from(sockets != self.shared.sockets);
        self.shared.sockets = sockets;
        let dht = self.shared.sockets.iter().any(|listening| listening.dht);
        let had_dht = core::mem::replace(&mut self.shared.dht, dht);
        self.dht_sockets(out);
        let listening = !self.shared.sockets.is_empty() && self.sockets.is_settled();
        let was_listening = core::mem::replace(&mut self.shared.listening, listening);
        if (listening && !was_listening) || dht != had_dht {
            let ids: Vec<TorrentId> = self.torrents.keys().copied().collect();
            for id in ids {
                self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.announce_start(cx, shared));
            }
        }
    }

    fn torrent_of(owner: u32) -> Option<TorrentId> {
        owner.checked_sub(1).map(TorrentId)
    }

    /// Calls one of the session's own machines.
    fn with_cx<R>(&mut self, out: &mut Actions, call: impl FnOnce(&mut SessionParts, &mut Cx) -> R) -> R {
        let mut cx = cx!(self, out, 0);
        let mut parts = SessionParts { sockets: &mut self.sockets, acceptor: &mut self.acceptor };
        call(&mut parts, &mut cx)
    }

    /// Calls a torrent, and notes afterwards what it waits for.
    fn with_torrent<R>(
        &mut self,
        id: Option<TorrentId>,
        out: &mut Actions,
        call: impl FnOnce(&mut Torrent, &mut Cx, &mut Shared) -> R,
    ) -> Option<R> {
        let id = id?;
        let torrent = self.torrents.get_mut(&id)?;
        let mut cx = cx!(self, out, id.0 + 1);
        let was_stopped = torrent.is_stopped();
        let was_starting = torrent.is_starting();
        let was_seeking = torrent.seeks_metadata();
        let result = call(torrent, &mut cx, &mut self.shared);
        if was_starting && !torrent.is_starting() {
            self.started.push(id);
        }
        // The indexes follow.
        let deadline = torrent.deadline(&cx);
        self.timers.set(id, &mut torrent.timer, deadline);
        match torrent.dial_deadline(&cx) {
            Some(due) if due <= self.now => _ = self.ready_dialers.insert(id),
            later => {
                self.ready_dialers.remove(&id);
                self.dialers.set(id, &mut torrent.dial_timer, later);
            }
        }
        if torrent.waits_to_read() {
            self.readers.insert(id);
        } else {
            self.readers.remove(&id);
        }
        self.turns.note(id, torrent, self.now);
        let asks = torrent.is_asking() || !torrent.udp_keys.is_empty();
        if asks && !torrent.awaits_datagrams().eq(torrent.udp_keys.iter().copied()) {
            for old in core::mem::take(&mut torrent.udp_keys) {
                self.answers.remove(&old);
            }
            torrent.udp_keys = torrent.awaits_datagrams().collect();
            self.answers.extend(torrent.udp_keys.iter().map(|&new| (new, id)));
        }
        if torrent.is_held() {
            self.held.insert(id);
        }
        let http = torrent.http_asks();
        self.shared.http_announces += http;
        self.shared.http_announces -= core::mem::replace(&mut torrent.http_held, http);
        self.announce_turns.set(id, torrent.wants_to_announce());
        // A magnet link may have turned out to be of a hybrid. A name that another torrent has stays with that.
        if was_seeking && !torrent.seeks_metadata() {
            for name in torrent.hashes().names() {
                self.names.entry(name).or_insert(id);
            }
        }
        self.lsd.set(self.now, &self.config.lsd, id, torrent.discovery_name(&cx));
        let wish = torrent.dht_wish(&cx, &self.shared);
        if core::mem::replace(&mut torrent.dht_noted, wish) != wish {
            self.dht.note(self.now, &self.config.dht, id, wish);
        }
        let standing = torrent.standing();
        if core::mem::replace(&mut torrent.noted, standing) != standing {
            self.queue.stands(self.now, &self.config.queue, id, standing);
        }
        while let Some(tcp) = self.shared.gone.pop() {
            self.streams.remove(tcp);
        }
        if !torrent.is_stopped() {
            // One that is removed with its files has to be opened again for that.
            self.alive += usize::from(was_stopped);
        } else {
            self.alive -= usize::from(!was_stopped);
            if self.removing.remove(&id) {
                self.forget(out, id);
            }
        }
        Some(result)
    }

    /// Takes a torrent that has stopped out of everything.
    fn forget(&mut self, out: &mut Actions, id: TorrentId) {
        let Some(mut torrent) = self.torrents.remove(&id) else { return };
        self.timers.clear(id, &mut torrent.timer);
        self.dialers.clear(id, &mut torrent.dial_timer);
        for key in &torrent.udp_keys {
            self.answers.remove(key);
        }
        self.shared.http_announces = self.shared.http_announces.saturating_sub(torrent.http_held);
        self.announce_turns.set(id, None);
        self.lsd.set(self.now, &self.config.lsd, id, None);
        self.dht.note(self.now, &self.config.dht, id, None);
        self.held.remove(&id);
        self.queue.remove(self.now, &self.config.queue, id);
        self.ready_dialers.remove(&id);
        self.readers.remove(&id);
        self.turns.forget(id, &mut torrent);
        torrent.forgotten(&mut self.shared);
        for name in torrent.hashes().names() {
            if self.names.get(&name) == Some(&id) {
                self.names.remove(&name);
            }
        }
        out.notices.push(Notice::Removed { torrent: id });
    }

    /// Calls everybody whose time has come.
    fn run_due(&mut self, out: &mut Actions) {
        if self.acceptor.deadline().is_some_and(|due| due <= self.now) {
            self.with_cx(out, |this, cx| this.acceptor.tick(cx));
        }
        self.probes_tick(out);
        while let Some(id) = self.timers.pop_due(self.now) {
            if let Some(torrent) = self.torrents.get_mut(&id) {
                torrent.timer = None;
            }
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.tick(cx, shared));
        }
        self.drop_bystanders(out);
    }

    /// Gives places in the queue anew, when that is due.
    fn queue_round(&mut self, out: &mut Actions) {
        if self.stopping.is_some() || self.queue.deadline().is_none_or(|due| due > self.now) {
            return;
        }
        let (torrents, now) = (&self.torrents, self.now);
        let rates = |id| torrents.get(&id).map_or((0, 0), |torrent| torrent.rates(now));
        for (id, runs) in self.queue.review(now, &self.config.queue, rates) {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.set_queued(cx, shared, !runs));
        }
    }

    fn release_held(&mut self, out: &mut Actions) {
        if self.held.is_empty() || self.shared.disk_queue > self.config.session.max_disk_queue / 2 {
            return;
        }
        for id in core::mem::take(&mut self.held) {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.release(cx, shared));
        }
    }

    /// Lets those who wait for room to read ahead go on: torrents in turn, and in each its peers in turn.
    fn read_on(&mut self, out: &mut Actions) {
        while self.shared.read_ahead < self.config.session.max_read_ahead
            && let Some(id) = next_turn(&self.readers, self.last_reader)
        {
            self.last_reader = id;
            // Each turn takes one peer off the list, or fills the room.
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.read_on(cx, shared));
        }
    }

    /// Lets those in who came while a torrent was still looking at its disk.
    fn let_in(&mut self, out: &mut Actions) {
        while let Some(id) = self.started.pop() {
            let Some(hashes) = self.torrents.get(&id).map(|torrent| torrent.hashes()) else { continue };
            for name in hashes.names() {
                while let Some((tcp, routed)) = self.acceptor.take_kept(name) {
                    self.route(out, tcp, routed);
                }
            }
        }
    }

    /// Whether nobody more can be dialled, as all places of the session are taken.
    fn is_crowded(&self) -> bool {
        self.shared.peers + self.shared.half_open >= self.config.session.max_peers
    }

    /// Who came in has been let in by a torrent in place of somebody else, perhaps of another torrent's.
    fn make_place(&mut self, out: &mut Actions) {
        if self.shared.peers > self.config.session.max_peers
            && let Some((id, key)) = self.shared.bystanders.worst(self.now, self.config.session.replaceable_after)
        {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.give_up_place(cx, shared, key));
        }
    }

    /// While all places are taken, connections end that have had no interest either way for long.
    fn drop_bystanders(&mut self, out: &mut Actions) {
        while self.is_crowded()
            && let Some((id, key)) = self.shared.bystanders.worst(self.now, self.config.session.no_interest_timeout)
        {
            let was_there =
                self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.give_up_place(cx, shared, key));
            if was_there != Some(true) {
                return;
            }
        }
    }

    fn may_dial(&self) -> bool {
        self.stopping.is_none() && self.shared.half_open < self.config.session.max_half_open && !self.is_crowded()
    }

    /// When the next dial is allowed, by the limit of dials a second.
    fn next_dial_time(&self) -> Time {
        let (window, count) = self.dial_window;
        if count >= self.config.session.dials_per_second { window + Duration::from_secs(1) } else { window }
    }

    /// Lets torrents dial in turn, as far as limits allow.
    fn dial_round(&mut self, out: &mut Actions) {
        while let Some(id) = self.dialers.pop_due(self.now) {
            if let Some(torrent) = self.torrents.get_mut(&id) {
                torrent.dial_timer = None;
            }
            // Looks again whether it has somebody, and when.
            self.with_torrent(Some(id), out, |_, _, _| ());
        }
        while self.may_dial()
            && let Some(id) = next_turn(&self.ready_dialers, self.last_dialler)
        {
            if self.now.since(self.dial_window.0) >= Duration::from_secs(1) {
                self.dial_window = (self.now, 0);
            }
            if self.dial_window.1 >= self.config.session.dials_per_second {
                return;
            }
            self.last_dialler = id;
            // One that has nobody after all is not ready any more now.
            let dialled = self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.dial(cx, shared));
            self.dial_window.1 += u32::from(dialled == Some(true));
        }
    }

    /// Lets torrents announce in turn, as far as limits allow.
    fn announce_round(&mut self, out: &mut Actions) {
        while let Some(id) = self.announce_turns.next(self.now, &self.config.session, self.shared.http_announces) {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.announce_in_turn(cx, shared));
        }
    }

    fn shutdown(&mut self, out: &mut Actions) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Stopping { until: self.now + self.config.session.shutdown_limit, told: false });
        self.with_cx(out, |this, cx| {
            this.acceptor.close_all(cx);
            this.sockets.close_listeners(cx);
        });
        self.cancel_probes(out);
        self.stop_dht(out);
        let ids: Vec<TorrentId> = self.torrents.keys().copied().collect();
        for id in ids {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.stop(cx, shared));
        }
    }

    fn stop_step(&mut self, out: &mut Actions) {
        let Some(Stopping { until, told: false }) = self.stopping else { return };
        if self.now < until && (self.alive > 0 || self.dht.is_saving()) {
            return;
        }
        self.stopping = Some(Stopping { until, told: true });
        self.with_cx(out, |this, cx| this.sockets.close_all(cx));
        out.notices.push(Notice::Stopped);
    }
}

/// Whose turn it is, of those who want one, after `last` had it.
fn next_turn(wanting: &BTreeSet<TorrentId>, last: TorrentId) -> Option<TorrentId> {
    if wanting.is_empty() {
        return None;
    }
    wanting.range((Bound::Excluded(last), Bound::Unbounded)).next().or_else(|| wanting.first()).copied()
}

/// The session's own machines, apart from what a context borrows.
struct SessionParts<'a> {
    sockets: &'a mut Sockets,
    acceptor: &'a mut Acceptor,
}
