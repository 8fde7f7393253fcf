//! Pieces that failed their hash: who is guilty, who is suspected, and whom they may be asked of again.

use super::{Sender, TorrentModel};
use crate::Breach;
use crate::oracles::{Oracle, Tally};
use parcacik_core::border::TcpId;
use parcacik_core::time::Time;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// How long a failed piece is kept from those who sent its bad version: the picker's patience may begin a little later.
const PAROLE: Duration = Duration::from_secs(60);

/// A piece that failed its hash.
#[derive(Clone, Debug)]
pub(in crate::oracles) struct Failure {
    pub at: Time,
    /// Who sent its bad version.
    suspects: BTreeSet<TcpId>,
    /// From where, as far as that is certain: a further connection from there is no stranger.
    places: BTreeSet<IpAddr>,
    /// Those of them that it was asked of again, as there was nobody else: they may have the rest of it too.
    lent: BTreeSet<TcpId>,
}

impl TorrentModel {
    /// A piece is wrong. `digested`: whether it was to be looked at block by block; `gone`: whether there was nothing to look at.
    pub(super) fn fails(&mut self, (now, step): (Time, u64), piece: u32, (digested, gone): (bool, bool)) {
        self.proven.take(piece);
        self.recount = true;
        let was_whole = self.missing_blocks(piece).next().is_none();
        if !was_whole {
            // Nobody sent it: it was looked for on the disk.
            self.doubted.take(piece);
            return;
        }
        let senders: Vec<Sender> =
            self.blocks.range((piece, 0)..=(piece, u32::MAX)).map(|(_, sender)| *sender).collect();
        if digested {
            if self.syncing {
                self.unjudged.insert(piece);
            }
            let (mut suspects, mut places) = (BTreeSet::new(), BTreeSet::new());
            if !gone {
                let clear = || senders.iter().filter(|sender| !sender.unclear);
                let guilty = self.guilty.entry(piece).or_default();
                for sender in clear().filter(|sender| !sender.right) {
                    guilty.entry(sender.ip).or_insert(step);
                }
                places.extend(clear().map(|sender| sender.ip));
                suspects.extend(senders.iter().map(|sender| sender.tcp));
            }
            self.failed.insert(piece, Failure { at: now, suspects, places, lent: BTreeSet::new() });
            // From now on all of it is fetched again.
            self.blocks.retain(|(at, _), _| *at != piece);
        }
    }

    /// Who has to have been banned by now, as a piece has passed.
    pub fn check_blame(&mut self, piece: u32, tally: &mut Tally) -> Result<(), Breach> {
        let guilty = self.guilty.remove(&piece).unwrap_or_default();
        let free = guilty.keys().find(|ip| !self.banned.contains(ip));
        tally.judge(Oracle::BlameJust, free.is_none(), || {
            format!("piece {piece} passed, and {free:?}, who had spoilt it, goes free")
        })
    }

    /// Whether somebody sent a bad version of a piece, or has the address of one who did, and may not be asked for it again as far as
    /// time goes.
    pub fn on_parole(&self, now: Time, piece: u32, (who, ip): (TcpId, IpAddr)) -> bool {
        self.failed.get(&piece).is_some_and(|failure| {
            now.since(failure.at) < PAROLE && (failure.suspects.contains(&who) || failure.places.contains(&ip))
        })
    }

    /// Somebody is asked for a piece. When that is a suspect, all of it is to come from there, so that both outcomes are evidence: what
    /// others sent counts no more.
    pub fn anew_of_suspect(&mut self, piece: u32, (who, ip): (TcpId, IpAddr)) {
        let suspect = |failure: &Failure| failure.suspects.contains(&who) || failure.places.contains(&ip);
        if self.failed.get(&piece).is_some_and(suspect) {
            self.blocks.retain(|&(at, _), sender| at != piece || sender.tcp == who);
        }
    }

    /// Whether a suspect has been asked for the piece again, and rightly.
    pub fn is_lent(&self, piece: u32, who: TcpId) -> bool {
        self.failed.get(&piece).is_some_and(|failure| failure.lent.contains(&who))
    }

    /// A suspect is asked for the piece again, and rightly.
    pub fn lend(&mut self, piece: u32, who: TcpId) {
        if let Some(failure) = self.failed.get_mut(&piece) {
            failure.lent.insert(who);
        }
    }

    /// How many sent the bad version of a piece.
    pub fn suspects(&self, piece: u32) -> usize {
        self.failed.get(&piece).map_or(0, |failure| failure.suspects.len())
    }
}
