//! What of a torrent may be claimed to be on the disk, and when.
//!
//! Resume data that claim a piece which a power cut has taken away make us serve garbage, and keep a download incomplete
//! for ever. So a piece goes a long way before it is claimed:
//!
//! ```text
//! written, hash right            sync orders it         sync done               save orders it         save done
//!        ──────────▶  dirty  ──────────────▶  syncing  ──────────▶  claimable  ──────────────▶ saving ──────────▶ durable
//!                       ▲                        │ sync failed
//!                       └── hashed again, right ─┴─▶ suspect: unverified, Reverify is ordered
//! ```
//!
//! **Told:** [`Persist::piece_verified`], [`Persist::piece_lost`], [`Persist::examined`], [`Persist::touch`],
//! [`Persist::flush`], and how its orders ended: [`Persist::synced`], [`Persist::saved`].
//! **Says**, by [`Persist::next`]: [`PersistOrder`]s, one in flight at a time (`Reverify` is not waited for).
//!
//! Rules:
//! 1. Only pieces whose sync ended without an error are claimed.
//! 2. A failed sync makes every piece that was not synced yet unverified: the system may have thrown the bytes away, and
//!    a second sync would say "fine" about what is left. They are hashed again from the disk.
//! 3. After a failure nothing is ordered for a while, each time twice as long, up to a cap. The last good resume data stay.
//! 4. A piece that turns out to be lost is taken out of the claims, and resume data that still claim it are replaced.
//! 5. Which files are kept apart ([`Persist::placed`]) is claimed only after a sync that was ordered after the change: until then
//!    the old way is as good as it was, as nothing is taken out of the part file ([`Persist::needs_part`]). No sync
//!    is ordered while the change is under way. What was copied by it is hashed again when that sync fails.
//! 6. Where there were no resume data, a record that claims nothing is saved before anything is written
//!    ([`Persist::may_write`]), so that after a kill at any moment the files are known to be ours.
//!
//! **Sync policy.** A sync covers all files of the torrent that were written since the last, of which there may be
//! thousands; it is never done per piece or per file. It is due [`PersistConfig::sync_interval`] after the first piece that
//! waits for it, or with [`PersistConfig::sync_bytes`] waiting, or at once on [`Persist::flush`] and when the last piece
//! is there. Pieces that are verified while one runs wait for the next; the transfer never waits for either.

use crate::bitfield::Bitfield;
use crate::border::{FileState, IoFault, PersistConfig};
use crate::journal::canon::{canon_enum, canon_struct};
use crate::metainfo::{Geometry, PieceIndex};
use crate::time::Time;
use crate::torrent::resume::ResumeData;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

/// What is to be done for a torrent's persistence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersistOrder {
    /// Sync the torrent's files ([`Work::Sync`](crate::border::Work::Sync)); answered by [`Persist::synced`].
    Sync,
    /// Save resume data with these claims ([`Work::Save`](crate::border::Work::Save)); answered by [`Persist::saved`].
    Save(ResumeClaims),
    /// These pieces are unverified from now on. They are to be hashed from the disk, not from bytes that are remembered
    /// from when they were written; each is answered by [`Persist::piece_verified`] or [`Persist::piece_lost`].
    /// Pieces of which some blocks were written but that were never verified are in the same doubt: when they are
    /// complete, they are to be hashed from the disk too.
    Reverify(Vec<PieceIndex>),
}

/// What resume data may say about the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeClaims {
    /// The number of this save; each is one more than the last.
    pub generation: u64,
    /// Pieces that are whole on the disk, whatever happens to the power.
    pub pieces: Bitfield,
    /// The files as they were after the last sync (or as they were found, before the first), and last the part file.
    pub files: Vec<Option<FileState>>,
    /// The files that are kept apart.
    pub apart: Bitfield,
    /// Whether all that was on the disk at the start has been looked at: what is not claimed is not there.
    pub examined: bool,
}

canon_struct!(out ResumeClaims { generation, pieces, files, apart, examined });

/// The persistence protocol of one torrent.
#[derive(Clone, Debug)]
pub struct Persist {
    geometry: Geometry,
    /// Verified, to be covered by a sync that has not been ordered yet.
    dirty: Bitfield,
    dirty_bytes: u64,
    dirty_since: Option<Time>,
    /// Verified before the sync that is in flight was ordered.
    syncing: Bitfield,
    /// Synced: may be claimed.
    claimable: Bitfield,
    /// What the save in flight claims.
    saving: Option<ResumeClaims>,
    /// What the last good save claims; `None`: there is none.
    durable: Option<ResumeClaims>,
    /// Claims have changed since the last save was ordered.
    save_due: bool,
    /// To be hashed again.
    suspect: Vec<PieceIndex>,
    files: Vec<Option<FileState>>,
    placing: Placing,
    examined: bool,
    generation: u64,
    state: State,
    /// Something that is no claim (totals) has changed since this moment.
    touched: Option<Time>,
    flush: bool,
    /// What is in flight was ordered by a flush.
    flushing: bool,
    failures: u32,
    retry_at: Option<Time>,
}

canon_struct!(out Persist { dirty, dirty_bytes, dirty_since, syncing, claimable, saving, durable, save_due, suspect, files, placing, examined, generation, state, touched, flush, flushing, failures, retry_at } | geometry);

#[cfg(test)]
impl Persist {
    /// Changes something that does not show at once.
    pub(crate) fn tamper(&mut self) {
        self.failures += 1;
    }
}

/// Which files are kept apart, and what of that may be claimed.
#[derive(Clone, Debug, Default)]
struct Placing {
    /// As it is now.
    now: Bitfield,
    /// As it was when the sync in flight was ordered.
    syncing: Bitfield,
    /// As it may be claimed.
    claimable: Bitfield,
    /// Pieces that were copied since the last good sync.
    copied: Vec<PieceIndex>,
    /// A change is under way: no sync may be ordered.
    under_way: bool,
}

canon_struct!(out Placing { now, syncing, claimable, copied, under_way });

/// What is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Syncing,
    Saving,
}

canon_enum!(out State { 0 = Idle, 1 = Syncing, 2 = Saving });

impl Persist {
    /// For a torrent without resume data: nothing is claimed, and a first record is ordered at once. `files`: as many as
    /// the layout has, and the part file.
    pub fn fresh(geometry: Geometry, files: usize) -> Persist {
        Persist::new(geometry, vec![None; files], Bitfield::none(geometry.pieces()), None)
    }

    /// For a torrent with resume data, of whose claims `trusted` are still believed, with its `files` as they are now, and last
    /// the part file.
    ///
    /// Pieces that are claimed and not trusted are to be checked: each is answered by [`Persist::piece_verified`] or
    /// [`Persist::piece_lost`]. Until something new is synced or lost, the old resume data stay as they are: a restart
    /// alone lowers no claim.
    pub fn resumed(
        geometry: Geometry,
        resume: &ResumeData,
        trusted: Bitfield,
        files: Vec<Option<FileState>>,
    ) -> Persist {
        // Sets over another number of pieces are another torrent's: they claim nothing here.
        let fits = |set: Bitfield| if set.len() == geometry.pieces() { set } else { Bitfield::none(geometry.pieces()) };
        let durable = ResumeClaims {
            generation: resume.generation,
            pieces: fits(resume.pieces.clone()),
            files: resume.files.clone(),
            apart: resume.apart.clone(),
            examined: resume.examined,
        };
        Persist::new(geometry, files, fits(trusted), Some(durable)).with_apart(&resume.apart)
    }

    /// The files that are kept apart from the start.
    pub fn with_apart(mut self, apart: &Bitfield) -> Persist {
        self.placing = Placing { now: apart.clone(), claimable: apart.clone(), ..Placing::default() };
        self
    }

    /// Its records come after one of this number, which claims nothing any more.
    pub fn following(mut self, generation: u64) -> Persist {
        self.generation = self.generation.max(generation);
        self
    }

    /// The number of the last record that was ordered.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn new(
        geometry: Geometry,
        files: Vec<Option<FileState>>,
        claimable: Bitfield,
        durable: Option<ResumeClaims>,
    ) -> Persist {
        Persist {
            geometry,
            dirty: Bitfield::none(geometry.pieces()),
            dirty_bytes: 0,
            dirty_since: None,
            syncing: Bitfield::none(geometry.pieces()),
            claimable,
            saving: None,
            suspect: Vec::new(),
            files,
            placing: Placing::default(),
            examined: false,
            generation: durable.as_ref().map_or(0, |claims| claims.generation),
            save_due: durable.is_none(),
            durable,
            state: State::Idle,
            touched: None,
            flush: false,
            flushing: false,
            failures: 0,
            retry_at: None,
        }
    }

    /// Whether content may be written yet: a record that the files are ours is durable.
    pub fn may_write(&self) -> bool {
        self.durable.is_some()
    }

    /// Whether nothing is left to do: every piece that was verified is claimed by resume data that are durable.
    pub fn is_clean(&self) -> bool {
        self.state == State::Idle
            && self.dirty.count() == 0
            && self.suspect.is_empty()
            && !self.placing.under_way
            && self.placing.now == self.placing.claimable
            && !self.save_due
            && !(self.flush && self.touched.is_some())
    }

    /// Whether a sync or save is in flight.
    pub fn is_busy(&self) -> bool {
        self.state != State::Idle
    }

    /// Whether a sync is in flight.
    pub fn is_syncing(&self) -> bool {
        self.state == State::Syncing
    }

    /// How many pieces the durable resume data claim.
    pub fn durable_pieces(&self) -> u32 {
        self.durable.as_ref().map_or(0, |claims| claims.pieces.count())
    }

    /// The pieces that may be claimed now: synced without an error.
    pub fn claimable(&self) -> &Bitfield {
        &self.claimable
    }

    /// A piece is whole: its writes have ended, and its hash is right.
    pub fn piece_verified(&mut self, now: Time, piece: PieceIndex) {
        let number = piece.get();
        if self.claimable.get(number) || self.syncing.get(number) || !self.dirty.insert(number) {
            return;
        }
        self.dirty_bytes = self.dirty_bytes.saturating_add(u64::from(self.geometry.length(piece)));
        self.dirty_since.get_or_insert(now);
        self.suspect.retain(|&suspect| suspect != piece);
    }

    /// A piece is not, or no longer, whole on the disk.
    pub fn piece_lost(&mut self, piece: PieceIndex) {
        let number = piece.get();
        if self.dirty.remove(number) {
            self.dirty_bytes = self.dirty_bytes.saturating_sub(u64::from(self.geometry.length(piece)));
            if self.dirty.count() == 0 && self.placing.now == self.placing.claimable {
                self.dirty_since = None;
            }
        }
        self.syncing.remove(number);
        self.claimable.remove(number);
        let claimed = |claims: &Option<ResumeClaims>| claims.as_ref().is_some_and(|claims| claims.pieces.get(number));
        if claimed(&self.durable) || claimed(&self.saving) {
            self.save_due = true;
        }
        self.suspect.retain(|&suspect| suspect != piece);
    }

    /// All that was on the disk at the start has been looked at.
    pub fn examined(&mut self) {
        if !mem::replace(&mut self.examined, true) && !self.durable.as_ref().is_some_and(|claims| claims.examined) {
            self.save_due = true;
        }
    }

    /// Which files are kept apart is going to change ([`Work::Place`](crate::border::Work::Place) was started).
    pub fn placing(&mut self) {
        self.placing.under_way = true;
    }

    /// These files are kept apart from now on, and what these pieces had in the part file was copied. To be made durable.
    pub fn placed(&mut self, now: Time, apart: &Bitfield, copied: impl IntoIterator<Item = PieceIndex>) {
        self.placing.under_way = false;
        self.placing.now.clone_from(apart);
        self.placing.copied.extend(copied);
        if self.placing.now != self.placing.claimable {
            self.dirty_since.get_or_insert(now);
        }
    }

    /// Whether the part file holds something that durable resume data may rely on, or that is in use.
    pub fn needs_part(&self) -> bool {
        let relies = |claims: &Option<ResumeClaims>| claims.as_ref().is_some_and(|claims| claims.apart.count() > 0);
        self.placing.under_way
            || self.placing.now.count() > 0
            || self.placing.claimable.count() > 0
            || relies(&self.saving)
            || relies(&self.durable)
    }

    /// Whether there is a part file, as of the last sync (or the start).
    pub fn has_part(&self) -> bool {
        self.files.last().is_some_and(Option::is_some)
    }

    /// The part file was removed.
    pub fn part_dropped(&mut self) {
        if let Some(part) = self.files.last_mut() {
            *part = None;
        }
    }

    /// Something else that resume data hold was changed by somebody who wants it kept (priorities): saved at once.
    pub fn changed(&mut self) {
        self.save_due = true;
    }

    /// Something else that resume data hold has changed (totals): they are to be saved now and then.
    pub fn touch(&mut self, now: Time) {
        self.touched.get_or_insert(now);
    }

    /// The files have been moved, and are like this in their new place: what is claimed there is saved anew.
    pub fn moved(&mut self, files: Vec<Option<FileState>>) {
        if files.len() == self.files.len() {
            self.files = files;
        }
        self.save_due = true;
    }

    /// Everything is to be made durable as soon as possible: the torrent is complete, or is being stopped. Tries at once also
    /// when it would wait after a failure.
    pub fn flush(&mut self, _now: Time) {
        self.flush = true;
        self.retry_at = None;
    }

    /// The sync that was ordered has ended: with the files as they are now, or badly.
    pub fn synced(&mut self, now: Time, config: &PersistConfig, result: Result<Vec<Option<FileState>>, IoFault>) {
        if self.state != State::Syncing {
            return;
        }
        self.state = State::Idle;
        let synced = mem::replace(&mut self.syncing, Bitfield::none(self.geometry.pieces()));
        match result {
            Ok(files) => {
                self.failures = 0;
                // A list of another torrent's length is no use; with the old one, claims are doubted sooner, never later.
                if files.len() == self.files.len() {
                    self.files = files;
                }
                for piece in synced.iter() {
                    self.save_due |= self.claimable.insert(piece);
                }
                self.placing.claim(&mut self.save_due);
                if self.placing.now != self.placing.claimable {
                    self.dirty_since.get_or_insert(now);
                }
            }
            Err(_) => {
                // Rule 2. Pieces verified while it ran are suspects too: nobody knows which bytes were given up.
                let dirty = mem::replace(&mut self.dirty, Bitfield::none(self.geometry.pieces()));
                self.dirty_bytes = 0;
                self.dirty_since = None;
                let mut suspect: Vec<u32> = synced.iter().chain(dirty.iter()).collect();
                suspect.sort_unstable();
                self.suspect.extend(suspect.into_iter().filter_map(|number| self.geometry.piece(number)));
                for &piece in &self.placing.copied {
                    if !self.suspect.contains(&piece) {
                        self.suspect.push(piece);
                    }
                }
                if self.placing.now != self.placing.claimable {
                    self.dirty_since = Some(now);
                }
                self.back_off(now, config);
            }
        }
    }

    /// The save that was ordered has ended.
    pub fn saved(&mut self, now: Time, config: &PersistConfig, result: Result<(), IoFault>) {
        let Some(claims) = self.saving.take() else { return };
        self.state = State::Idle;
        match result {
            Ok(()) => {
                self.failures = 0;
                self.durable = Some(claims);
            }
            Err(_) => {
                self.save_due = true;
                self.back_off(now, config);
            }
        }
    }

    /// What is to be done now; call until `None`.
    pub fn next(&mut self, now: Time, config: &PersistConfig) -> Option<PersistOrder> {
        if !self.suspect.is_empty() {
            return Some(PersistOrder::Reverify(mem::take(&mut self.suspect)));
        }
        match self.due(config) {
            Some((due, what)) if due <= now => Some(match what {
                Due::Sync => self.order_sync(),
                Due::Save => self.order_save(),
            }),
            _ => None,
        }
    }

    /// When [`Persist::next`] has something to say; `None`: not before it is told something. In the past means: at once.
    pub fn deadline(&self, config: &PersistConfig) -> Option<Time> {
        if !self.suspect.is_empty() {
            return Some(Time::ZERO);
        }
        self.due(config).map(|(due, _)| due)
    }

    fn due(&self, config: &PersistConfig) -> Option<(Time, Due)> {
        if self.state != State::Idle {
            return None;
        }
        let (due, what) = if self.save_due {
            (Time::ZERO, Due::Save)
        } else if let Some(since) = self.dirty_since.filter(|_| !self.placing.under_way) {
            let verified = self.claimable.count().saturating_add(self.dirty.count());
            let now = self.flush || self.dirty_bytes >= config.sync_bytes || verified == self.geometry.pieces();
            (if now { Time::ZERO } else { since + config.sync_interval }, Due::Sync)
        } else if let Some(since) = self.touched {
            (if self.flush { Time::ZERO } else { since + config.totals_interval }, Due::Save)
        } else {
            return None;
        };
        Some((due.max(self.retry_at.unwrap_or(Time::ZERO)), what))
    }

    fn order_sync(&mut self) -> PersistOrder {
        self.state = State::Syncing;
        self.retry_at = None;
        self.flushing = mem::take(&mut self.flush);
        self.syncing = mem::replace(&mut self.dirty, Bitfield::none(self.geometry.pieces()));
        self.placing.syncing.clone_from(&self.placing.now);
        self.dirty_bytes = 0;
        self.dirty_since = None;
        PersistOrder::Sync
    }

    fn order_save(&mut self) -> PersistOrder {
        self.state = State::Saving;
        self.retry_at = None;
        self.touched = None;
        self.save_due = false;
        // What is dirty still is to be synced at once as well.
        self.flushing = self.flush;
        self.flush &= self.dirty.count() > 0;
        self.generation = self.generation.saturating_add(1);
        let claims = ResumeClaims {
            generation: self.generation,
            pieces: self.claimable.clone(),
            files: self.files.clone(),
            apart: self.placing.claimable.clone(),
            examined: self.examined,
        };
        self.saving = Some(claims.clone());
        PersistOrder::Save(claims)
    }

    fn back_off(&mut self, now: Time, config: &PersistConfig) {
        self.flush |= self.flushing;
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let wait: Duration = config.retry_min.saturating_mul(factor).min(config.retry_max);
        self.failures = self.failures.saturating_add(1).min(31);
        self.retry_at = Some(now + wait);
    }
}

impl Placing {
    /// The sync is done: what was so when it was ordered may be claimed.
    fn claim(&mut self, save_due: &mut bool) {
        if self.syncing == self.now {
            self.copied.clear();
        }
        if self.claimable != self.syncing {
            self.claimable.clone_from(&self.syncing);
            *save_due = true;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Sync,
    Save,
}

#[cfg(test)]
mod tests;
