//! What has to come at some time, once a world is healed (46, 48 to 51): looked at once a second at each session.

use super::node::NodeModel;
use super::stream::{BLOCK, REQUEST_LIFE};
use super::torrent::TorrentModel;
use super::{Oracle, Tally};
use crate::second::Range;
use crate::{Breach, Call, NodeId, World};
use parcacik_core::border::{Config, StorageState, TorrentState};
use std::time::Duration;

/// How long nobody may be asked for anything.
const WEDGE: Duration = Duration::from_secs(10);
/// How long a block may be owed by somebody silent, when others could send it: a request's life, and the time to notice.
const STUCK: Duration = Duration::from_secs(75);

/// The longest that a peer or a tracker is left alone after faults.
const PATIENCE: Duration = Duration::from_secs(3_600);

impl NodeModel {
    /// From now on what has to come has to come in time.
    pub fn heal(&mut self, world: &World, node: NodeId) {
        self.healed = true;
        let awake = self.awake();
        for torrent in self.torrents.values_mut() {
            let view = world.session(node).view(torrent.id);
            torrent.wasted_before = view.map_or(0, |view| view.wasted);
        }
        for stream in self.streams.values_mut() {
            stream.idle_since = None;
            stream.waits_since = stream.waits_since.map(|_| awake);
        }
    }

    pub(super) fn progress(&mut self, call: &Call<'_>, config: &Config, tally: &mut Tally) -> Result<(), Breach> {
        let (awake, now) = (self.awake(), self.now);
        let (upload, nodes) = (call.world.limits().upload.max(1), call.world.nodes() as u32);
        self.note_idle();
        for torrent in self.torrents.values_mut() {
            // All of it through one line, for every one of them, and the longest rest of a peer or tracker: no schedule
            // that makes any sense takes longer. Who runs a world knows better, and may demand more.
            let line = Duration::from_micros(torrent.terms.bytes.len() as u64 * 3_000_000 / upload);
            torrent.due.get_or_insert(awake + PATIENCE + line * nodes);
        }
        let busy = |torrent: &TorrentModel| torrent.has_trouble(now) || torrent.writing_bytes > 0;
        for torrent in self.torrents.values() {
            let view = call.session().view(torrent.id);
            let good = view.as_ref().is_some_and(|view| view.storage == StorageState::Good);
            let downloads = torrent.state == TorrentState::Downloading && !torrent.leaving && !torrent.seed_only;
            if downloads && let Some(due) = torrent.due {
                tally.judge(Oracle::Completion, awake <= due, || format!("{:?} should be finished", torrent.id))?;
            }
            if !downloads || !good || self.limited || torrent.limited || busy(torrent) || !torrent.is_certain() {
                continue;
            }
            let mine = || self.streams.iter().filter(|(_, stream)| stream.torrent == Some(torrent.id));
            let willing = mine().find(|(_, stream)| stream.idle_since.is_some_and(|since| awake.since(since) > WEDGE));
            let nothing = mine().all(|(_, stream)| stream.audit.requests.is_empty());
            let quiet = nothing && awake.since(torrent.asked_at) > WEDGE;
            tally.judge(Oracle::NoWedge, willing.is_none() || !quiet, || {
                format!(
                    "{:?} asks for nothing, and {:?} would send something",
                    torrent.id,
                    willing.map(|(_, s)| s.remote)
                )
            })?;
            let Some((_, willing)) = willing else {
                tally.judge(Oracle::SnubRecovery, true, || "")?;
                continue;
            };
            let stuck = mine().find_map(|(_, stream)| {
                let silent = now.since(stream.audit.block_at) > STUCK;
                let owed = stream.audit.requests.iter().find(|(range, at)| {
                    now.since(**at) > STUCK
                        && willing.audit.serves(range.piece)
                        && torrent.lacks(range.piece)
                        && !torrent.has_block(range.piece, range.begin)
                });
                owed.filter(|_| silent).map(|(range, _)| (stream.remote, *range))
            });
            let elsewhere = |range: Range| {
                mine().any(|(_, stream)| {
                    stream.audit.requests.get(&range).is_some_and(|&at| now.since(at) < REQUEST_LIFE)
                })
            };
            let stuck = stuck.filter(|(_, range)| !elsewhere(*range));
            tally.judge(Oracle::SnubRecovery, stuck.is_none(), || {
                format!("{stuck:?} is owed for long, and {} is not asked", willing.remote)
            })?;
        }
        self.waste(call.world, call.node, tally)?;
        self.turns(config, tally)
    }

    /// Who could be asked for something, and is asked for nothing.
    fn note_idle(&mut self) {
        let (awake, now) = (self.awake(), self.now);
        for stream in self.streams.values_mut() {
            let torrent = stream.torrent.and_then(|torrent| self.torrents.get(&torrent));
            let refused = stream.audit.reject_at.is_some_and(|at| now.since(at) < Duration::from_secs(70));
            let could = torrent.filter(|_| {
                stream.audit.is_open()
                    && !stream.audit.lost
                    && !stream.audit.choked
                    && stream.audit.requests.is_empty()
                    && stream.useful > 0
                    && !refused
            });
            let has_some = could.is_some_and(|torrent| {
                let asked = |piece: u32| torrent.lacks(piece) && !torrent.failed.contains_key(&piece);
                stream.audit.heard.iter().any(|piece| asked(piece) && torrent.missing_blocks(piece).next().is_some())
            });
            match (has_some, stream.idle_since) {
                (true, None) => stream.idle_since = Some(awake),
                (false, Some(_)) => stream.idle_since = None,
                _ => {}
            }
        }
    }

    /// Everybody who is interested has its turn.
    fn turns(&self, config: &Config, tally: &mut Tally) -> Result<(), Breach> {
        let awake = self.awake();
        for torrent in self.torrents.values() {
            let running =
                matches!(torrent.state, TorrentState::Downloading | TorrentState::Seeding) && !torrent.leaving;
            if !running || torrent.has_trouble(self.now) || self.limited || torrent.limited {
                continue;
            }
            let waiting = self.streams.values().filter(|stream| {
                stream.torrent == Some(torrent.id)
                    && stream.audit.is_open()
                    && !stream.audit.lost
                    && stream.audit.they_want
                    && !stream.audit.they_only_give
                    && stream.audit.heard.count() < torrent.pieces
            });
            let count = waiting.clone().count() as u32;
            // Networks have their turns, and in a network its peers: with two networks one of them may hold half of all turns.
            let turn = config.choke.optimistic_turn.max(config.choke.seed_turn) + config.choke.round;
            let most = turn * (2 * count + 1);
            for stream in waiting {
                let Some(since) = stream.waits_since else { continue };
                tally.judge(Oracle::Fairness, awake.since(since) <= most, || {
                    format!("{} waits since {since:?} to be unchoked, with {count} that want something", stream.remote)
                })?;
            }
        }
        Ok(())
    }

    /// Little is downloaded in vain since the world was healed: a fiftieth where everybody is honest, a tenth where not.
    pub fn waste(&self, world: &World, node: NodeId, tally: &mut Tally) -> Result<(), Breach> {
        if !self.healed || world.disk_of(node).damaged {
            return Ok(());
        }
        // Some blocks of the end game are on their way when they are taken back, and some pieces come wrong before it is known of
        // whom.
        let (part, blocks) = if world.strangers() == 0 { (50, 32) } else { (10, 128) };
        for torrent in self.torrents.values() {
            let Some(view) = world.session(node).view(torrent.id) else { continue };
            let wasted = view.wasted.saturating_sub(torrent.wasted_before);
            let most = view.downloaded / part + u64::from(blocks * BLOCK);
            tally.judge(Oracle::LittleWaste, wasted <= most, || {
                format!("{wasted} bytes in vain of {}", view.downloaded)
            })?;
        }
        Ok(())
    }
}
