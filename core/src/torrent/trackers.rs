//! What the announcer is told, and what its answers mean to the torrent.

use super::{Phase, Shared, Torrent};
use crate::border::{CloseReason, IoFault, JobId, JobResult, Notice};
use crate::cx::Cx;
use crate::net_policy::Word;
use crate::tracker::Ledger;
use crate::tracker::announcer::{AnnounceFacts, TrackerSaid};
use alloc::string::ToString;
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
        }
    };
}

impl Torrent {
    pub(super) fn announce_start(&mut self, cx: &mut Cx, shared: &mut Shared) {
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
                TrackerSaid::Answered { url, peers, interval, warning, external_ip, from_global, .. } => {
                    if let (Some(ip), Some(port)) = (external_ip, shared.listen_port()) {
                        self.candidates.set_external(SocketAddr::new(ip, port));
                    }
                    cx.out.notices.push(Notice::TrackerAnswered {
                        torrent: self.id,
                        url,
                        peers: peers.len() as u32,
                        interval,
                        warning,
                    });
                    if matches!(self.phase, Phase::Running) {
                        let word = if from_global { Word::Global } else { Word::Local };
                        self.add_peers(cx, &peers, word);
                    }
                }
                // "The peer MUST disconnect from all current peers" (BEP 27).
                TrackerSaid::Switched { .. } => self.close_all(cx, shared, CloseReason::TrackerSwitched),
                TrackerSaid::Failed { url, why, retry } => {
                    cx.out.notices.push(Notice::TrackerFailed { torrent: self.id, url, why: why.to_string(), retry });
                }
            }
        }
    }
}
