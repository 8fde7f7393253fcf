//! Trackers asked at the application's command: scrapes, and announces without a torrent.

use super::Session;
use crate::border::{
    Actions, AnnounceOnce, CommandError, CommandId, InfoHash, IoFault, JobId, JobResult, Notice, PeerId, TorrentId,
};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::net_policy::Word;
use crate::rng::Stream;
use crate::time::Time;
use crate::tracker::probe::{Asked, Probe, ProbeSaid};
use crate::tracker::{AnnounceRequest, Ledger, Ways};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The most commands of this kind that are under way at once. A program that wants more waits for the first ones.
const MAX_PROBES: usize = 16;

/// Those that are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    rows: BTreeMap<CommandId, Row>,
    begun: u64,
}

canon_struct!(out Probes { rows, begun });

#[derive(Clone, Debug)]
struct Row {
    probe: Box<Probe>,
    /// The torrent whose counts these are.
    torrent: Option<TorrentId>,
}

canon_struct!(out Row { probe, torrent });

impl Probes {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.rows.values().filter_map(|row| row.probe.deadline()).min()
    }

    fn find(&self, wanted: impl Fn(&Probe) -> bool) -> Option<CommandId> {
        self.rows.iter().find(|(_, row)| wanted(&row.probe)).map(|(&command, _)| command)
    }
}

impl Session {
    pub(super) fn scrape_torrent(
        &mut self,
        out: &mut Actions,
        command: CommandId,
        id: TorrentId,
    ) -> Result<(), CommandError> {
        let torrent = self.torrents.get(&id).ok_or(CommandError::NoSuchTorrent)?;
        let (trackers, hash) = (torrent.trackers_to_scrape(), torrent.info_hash());
        self.probe(out, command, &trackers, Asked::Scrape(Vec::from([hash])), Some(id))
    }

    pub(super) fn scrape(
        &mut self,
        out: &mut Actions,
        command: CommandId,
        trackers: &[String],
        torrents: Vec<InfoHash>,
    ) -> Result<(), CommandError> {
        self.probe(out, command, trackers, Asked::Scrape(torrents), None)
    }

    pub(super) fn announce_once(
        &mut self,
        out: &mut Actions,
        command: CommandId,
        once: &AnnounceOnce,
    ) -> Result<(), CommandError> {
        // One name and one key for the whole session, so that a later `stopped` is for the same one.
        let mut secret = self.seeds.secrets(Stream::Probe, 0);
        let mut peer_id = PeerId([0; 20]);
        peer_id.0[..8].copy_from_slice(&self.config.session.peer_id_prefix);
        secret.fill(&mut peer_id.0[8..]);
        let request = AnnounceRequest {
            info_hash: once.info_hash,
            peer_id,
            port: 0,
            ledger: Ledger { uploaded: 0, downloaded: 0, left: once.left },
            event: once.event,
            num_want: once.num_want,
            key: Some(secret.next_u32()),
            tracker_id: None,
            own_ips: Vec::new(),
        };
        self.probe(out, command, &once.trackers, Asked::Announce(request), None)
    }

    fn probe(
        &mut self,
        out: &mut Actions,
        command: CommandId,
        trackers: &[String],
        asked: Asked,
        torrent: Option<TorrentId>,
    ) -> Result<(), CommandError> {
        if self.probes.rows.len() >= MAX_PROBES || self.probes.rows.contains_key(&command) {
            return Err(CommandError::Limit);
        }
        self.probes.begun += 1;
        let (number, ways) = (self.probes.begun, self.shared.all_ways());
        // What the command names is the user's affair; what a torrent names is not.
        let word = if torrent.is_some() { Word::Local } else { Word::User };
        let mut cx = cx!(self, out, 0);
        let probe = Box::new(Probe::begin(&mut cx, ways, trackers, asked, (word, number)));
        self.probes.rows.insert(command, Row { probe, torrent });
        self.probe_said(out, command);
        Ok(())
    }

    /// A job of the session itself has ended.
    pub(super) fn probe_job(&mut self, out: &mut Actions, job: JobId, result: &Result<JobResult, IoFault>) {
        let commands: Vec<CommandId> = self.probes.rows.keys().copied().collect();
        for command in commands {
            if self.with_probe(out, command, |probe, cx, ways| probe.job_done(cx, ways, job, result)) == Some(true) {
                return;
            }
        }
    }

    /// A datagram that no torrent waits for.
    pub(super) fn probe_datagram(&mut self, out: &mut Actions, from: SocketAddr, transaction: u32, bytes: &[u8]) {
        let waits = |probe: &Probe| probe.awaited().any(|awaited| awaited == (from, transaction));
        if let Some(command) = self.probes.find(waits) {
            self.with_probe(out, command, |probe, cx, ways| probe.datagram(cx, ways, from, bytes));
        }
    }

    pub(super) fn probes_tick(&mut self, out: &mut Actions) {
        let now = self.now;
        while let Some(command) = self.probes.find(|probe| probe.deadline().is_some_and(|due| due <= now)) {
            self.with_probe(out, command, |probe, cx, ways| probe.tick(cx, ways));
        }
    }

    /// Gives all of them up: the session stops.
    pub(super) fn cancel_probes(&mut self, out: &mut Actions) {
        let commands: Vec<CommandId> = self.probes.rows.keys().copied().collect();
        for command in commands {
            self.with_probe(out, command, |probe, cx, _| probe.cancel(cx));
        }
    }

    fn with_probe<R>(
        &mut self,
        out: &mut Actions,
        command: CommandId,
        call: impl FnOnce(&mut Probe, &mut Cx<'_>, Ways) -> R,
    ) -> Option<R> {
        let ways = self.shared.all_ways();
        let row = self.probes.rows.get_mut(&command)?;
        let mut cx = cx!(self, out, 0);
        let result = call(&mut row.probe, &mut cx, ways);
        self.probe_said(out, command);
        Some(result)
    }

    /// Tells what a probe has to say, and ends it when all is said.
    fn probe_said(&mut self, out: &mut Actions, command: CommandId) {
        let Some(row) = self.probes.rows.get_mut(&command) else { return };
        while let Some(said) = row.probe.said() {
            match said {
                ProbeSaid::Announced { url, from, answer } => {
                    out.notices.push(Notice::Announced { command, url, from, answer });
                }
                ProbeSaid::Scraped { url, counts, failure } => {
                    if let Some(torrent) = row.torrent.and_then(|id| self.torrents.get_mut(&id)) {
                        torrent.scraped(&url, &counts);
                    }
                    out.notices.push(Notice::Scraped { command, url, counts, failure });
                }
            }
        }
        if row.probe.is_done() {
            self.probes.rows.remove(&command);
            out.notices.push(Notice::CommandDone { command });
        }
    }
}
