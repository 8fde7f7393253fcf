//! What the announcer is told, and what its answers mean to the torrent.

use super::{Phase, Purpose, Shared, Torrent};
use crate::border::{Action, CloseReason, InfoHash, IoFault, JobId, JobResult, Notice, ScrapeCounts};
use crate::cx::Cx;
use crate::net_policy::Word;
use crate::tracker::announcer::{AnnounceFacts, TrackerSaid, TrackerStatus, Turn};
use crate::tracker::{Ledger, UrlError};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// What the announcer has to know, out of fields that it does not borrow itself.
macro_rules! facts {
    ($torrent:expr, $cx:expr, $shared:expr) => {
        AnnounceFacts {
            info_hash: $torrent.info_hash(),
            peer_id: $torrent.peer_id,
            port: $shared.listen_port().unwrap_or(0),
            ledger: Ledger {
                uploaded: $torrent.uploaded.total(),
                downloaded: $torrent.verified_here,
                left: $torrent.picker.missing_bytes(),
            },
            partial_seed: $torrent.is_partial_seed(),
            wants_peers: $torrent.wants_peers($cx),
            udp: $shared.udp(),
            bind_ip: $shared.bind_ip(),
            ways: $shared.ways(),
            private: $torrent.facts.private,
            own: $shared.own_ips(),
            gated: true,
        }
    };
}

impl Torrent {
    /// Begins to announce, when it runs and peers can reach us. To be called when either may have come about.
    pub(crate) fn announce_start(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if !matches!(self.phase, Phase::Running) || !shared.is_listening() || self.announcer.is_running() {
            return;
        }
        let facts = facts!(self, cx, shared);
        self.announcer.start(cx, &facts);
        self.announce_said(cx, shared);
    }

    pub(super) fn announce_completed(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let facts = facts!(self, cx, shared);
        self.announcer.completed(cx, &facts);
        self.announce_said(cx, shared);
    }

    pub(super) fn announce_stop(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let facts = facts!(self, cx, shared);
        self.announcer.stop(cx, &facts);
        self.announce_said(cx, shared);
    }

    /// Its turn to announce has come.
    pub(crate) fn announce_in_turn(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let facts = facts!(self, cx, shared);
        self.announcer.take_turn(cx, &facts);
        self.announce_said(cx, shared);
        self.settle(cx, shared);
    }

    /// What its next announce waits for.
    pub(crate) fn wants_to_announce(&self) -> Option<Turn> {
        self.announcer.wants_turn()
    }

    /// Whether announces are under way.
    pub(crate) fn is_asking(&self) -> bool {
        self.announcer.is_asking()
    }

    /// How many of its announces by HTTP are under way.
    pub(crate) fn http_asks(&self) -> u32 {
        self.announcer.http_asks()
    }

    /// The user wants it announced.
    pub(crate) fn reannounce(&mut self, cx: &mut Cx, shared: &mut Shared, force: bool) {
        let facts = facts!(self, cx, shared);
        self.announcer.reannounce(cx, &facts, force);
        self.announce_said(cx, shared);
    }

    /// The user knows more trackers.
    pub(crate) fn add_trackers(&mut self, cx: &mut Cx, shared: &mut Shared, tiers: Vec<Vec<String>>) {
        let facts = facts!(self, cx, shared);
        let named: Vec<String> = tiers.iter().flatten().cloned().collect();
        let refused = self.announcer.add(cx, &facts, tiers, &named);
        self.tell_refused_urls(cx, refused);
        self.announce_said(cx, shared);
    }

    /// The user wants other trackers.
    pub(crate) fn replace_trackers(&mut self, cx: &mut Cx, shared: &mut Shared, tiers: Vec<Vec<String>>) {
        let facts = facts!(self, cx, shared);
        let named: Vec<String> = tiers.iter().flatten().cloned().collect();
        let refused = self.announcer.replace(cx, &facts, tiers, &named);
        self.tell_refused_urls(cx, refused);
        self.announce_said(cx, shared);
    }

    pub(super) fn tell_refused_urls(&self, cx: &mut Cx, refused: Vec<(String, UrlError)>) {
        for (url, why) in refused {
            let why = format!("the URL {why}");
            cx.out.notices.push(Notice::TrackerFailed { torrent: self.id, url, why, retry: None });
        }
    }

    /// Its trackers, in the order in which they are asked.
    pub fn trackers(&self) -> impl Iterator<Item = TrackerStatus> + '_ {
        self.announcer.status()
    }

    /// Who may be asked how it does. BEP 27: a private torrent "MUST ONLY announce itself to the private tracker", and uses one
    /// at a time: the others learn nothing of it by a scrape either.
    pub(crate) fn trackers_to_scrape(&self) -> Vec<String> {
        if self.facts.private {
            return self.announcer.in_use().map(ToString::to_string).into_iter().collect();
        }
        self.announcer.status().map(|tracker| tracker.url).collect()
    }

    /// A tracker has been scraped.
    pub(crate) fn scraped(&mut self, url: &str, counts: &[(InfoHash, ScrapeCounts)]) {
        let own = self.info_hash();
        for (_, counts) in counts.iter().filter(|(hash, _)| *hash == own) {
            self.announcer.scraped(url, *counts);
        }
    }

    /// What is known of our own addresses may have changed.
    pub(super) fn note_own_address(&mut self, shared: &Shared) {
        if core::mem::replace(&mut self.own_version, shared.own_version) != shared.own_version {
            self.candidates.set_external([shared.external_addr(false), shared.external_addr(true)]);
        }
    }

    /// BEP 27: "When switching between trackers, the peer MUST disconnect from all current peers and connect only to those
    /// provided from the new tracker." What the old one named is forgotten; what the user named is nobody's.
    fn tracker_switched(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.close_all(cx, shared, CloseReason::TrackerSwitched);
        for (dial, addr) in core::mem::take(&mut self.dials) {
            shared.half_open = shared.half_open.saturating_sub(1);
            cx.act(Action::CancelDial { dial });
            let reason = CloseReason::TrackerSwitched;
            self.candidates.closed(cx.now, &cx.config.candidates, addr, reason, false);
        }
        self.jobs.forget(|purpose| matches!(purpose, Purpose::Resolve { word: Word::Local | Word::Global, .. }));
        self.candidates.forget_strangers();
    }

    pub(super) fn announce_tick(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let facts = facts!(self, cx, shared);
        self.announcer.tick(cx, &facts);
        self.announce_said(cx, shared);
    }

    /// A download that has nobody to ask, and nobody left to dial, does not wait for the tracker's interval. A seed does: who
    /// wants something finds it.
    pub(super) fn ask_for_peers(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let alone = matches!(self.phase, Phase::Running) && self.peers.is_empty() && self.dials.is_empty();
        let dry = alone && !self.only_gives() && self.candidates.deadline(cx.now).is_none_or(|due| due > cx.now);
        if dry && !core::mem::replace(&mut self.dry, dry) {
            let facts = facts!(self, cx, shared);
            self.announcer.need_peers(cx, &facts);
            self.announce_said(cx, shared);
        }
        self.dry = dry;
    }

    pub(super) fn announce_job(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        job: JobId,
        result: &Result<JobResult, IoFault>,
    ) {
        let facts = facts!(self, cx, shared);
        self.announcer.job_done(cx, &facts, job, result);
        self.announce_said(cx, shared);
    }

    /// A datagram that answers what the announcer asked.
    pub(crate) fn datagram(&mut self, cx: &mut Cx, shared: &mut Shared, from: SocketAddr, bytes: &[u8]) {
        let facts = facts!(self, cx, shared);
        self.announcer.datagram(cx, &facts, from, bytes);
        self.announce_said(cx, shared);
        self.settle(cx, shared);
    }

    /// The UDP answers it waits for: who sends each, and its transaction id.
    pub(crate) fn awaits_datagrams(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.announcer.awaited()
    }

    fn announce_said(&mut self, cx: &mut Cx, shared: &mut Shared) {
        while let Some(said) = self.announcer.said() {
            match said {
                TrackerSaid::Answered { url, from, peers, interval, warning, external_ip, from_global, .. } => {
                    if let (Some(ip), Some(from)) = (external_ip, from) {
                        shared.seen_as(cx, ip, from);
                    }
                    cx.out.notices.push(Notice::TrackerAnswered {
                        torrent: self.id,
                        url,
                        peers: peers.len() as u32,
                        interval,
                        warning,
                    });
                    if matches!(self.phase, Phase::Running | Phase::Starting(_)) {
                        let word = if from_global { Word::Global } else { Word::Local };
                        self.add_peers(cx, &peers, word);
                    }
                }
                TrackerSaid::Switched { .. } => self.tracker_switched(cx, shared),
                TrackerSaid::Failed { url, why, retry } => {
                    cx.out.notices.push(Notice::TrackerFailed { torrent: self.id, url, why: why.to_string(), retry });
                }
            }
        }
    }
}
