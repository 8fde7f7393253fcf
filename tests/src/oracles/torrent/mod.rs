//! What the oracles know of a torrent of one session, from what it was told and what it ordered: never by asking it.
//!
//! The rules about its content are here: what is claimed (2, 4, 5), what is written (3, 6, 8, 22), what is there in the end (1).

mod parole;

use super::resume::Claims;
use super::stream::{BLOCK, Pieces, Terms};
use super::{Oracle, Tally};
use crate::second::Range;
use crate::{Breach, MemoryDisk};
use parcacik_core::border::{
    AddTorrent, InfoHash, JobId, JobResult, RootId, StorageLayout, TcpId, TorrentId, TorrentState, Work,
};
use parcacik_core::time::Time;
use parole::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A torrent of one session.
#[derive(Debug)]
pub(super) struct TorrentModel {
    pub id: TorrentId,
    pub hash: [u8; 20],
    pub terms: Terms,
    pub pieces: u32,
    pub root: RootId,
    pub layout: Option<Arc<StorageLayout>>,
    pub seed_only: bool,
    pub private: bool,
    /// Peers that the user named.
    pub named: BTreeSet<SocketAddr>,
    /// How much each file is wanted, where that is known.
    priorities: Option<Vec<u8>>,
    /// What the application said of it at first, and what before it was known.
    told_priorities: Option<Vec<u8>>,
    told_early: Vec<(u32, u8)>,
    /// Pieces that somebody wants; counted when the layout is known.
    wanted: Option<Pieces>,
    /// Pieces that are ours: verified here, or claimed by resume data that were loaded.
    pub proven: Pieces,
    /// Those of them that a fault has put in doubt.
    pub doubted: Pieces,
    /// Blocks that were handed to the disk and not lost since, and who sent them.
    blocks: BTreeMap<(u32, u32), Sender>,
    /// Writes under way, by piece.
    writing: BTreeMap<u32, u32>,
    /// Bytes of them.
    pub writing_bytes: u64,
    /// Bytes that are being read.
    pub reading_bytes: u64,
    /// When a piece was last written to, in steps.
    written_at: BTreeMap<u32, u64>,
    /// Everything that ended before this step is synced.
    synced_to: u64,
    /// When a sync failed last, in steps.
    unsynced_at: u64,
    /// A sync is under way.
    syncing: bool,
    /// Pieces that failed meanwhile: they are fetched again when it has ended, as nobody is judged before.
    unjudged: BTreeSet<u32>,
    /// Pieces that failed, and have not passed since.
    pub failed: BTreeMap<u32, Failure>,
    /// Who sent a wrong block of a version that failed and was looked at block by block, and the step in which that was found.
    guilty: BTreeMap<u32, BTreeMap<IpAddr, u64>>,
    /// Everybody who sent a wrong block.
    pub liars: BTreeSet<IpAddr>,
    pub banned: BTreeSet<IpAddr>,
    pub state: TorrentState,
    /// What the newest resume data claim that are durable.
    durable: Option<Pieces>,
    /// The same, as they were when it was added.
    loaded: Option<Pieces>,
    pub looked: bool,
    /// When its disk last failed.
    pub trouble_at: Option<Time>,
    /// Whether a graceful pause, a removal or the like is under way.
    pub leaving: bool,
    /// All that was ever missing: from so many bytes to so many, as pieces may be in doubt.
    pub was_left: Vec<RangeInclusive<u64>>,
    /// Content that was sent to peers, in bytes.
    pub uploaded: u64,
    /// Whether interest has to be counted anew with all peers.
    pub recount: bool,
    /// Whether it has a limit of its own.
    pub limited: bool,
    /// When something was last asked for.
    pub asked_at: Time,
    /// What was wasted when the world was healed.
    pub wasted_before: u64,
    /// By when it has to be finished, since it was healed.
    pub due: Option<Time>,
    anew: Anew,
}

/// Whether everything is to be looked at anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anew {
    No,
    /// As soon as what is under way has ended.
    Due,
    /// In this call.
    Begins,
}

/// Who sent a block, and whether it was right.
#[derive(Clone, Copy, Debug)]
struct Sender {
    tcp: TcpId,
    ip: IpAddr,
    right: bool,
    /// A sync has failed since: perhaps what it sent is gone, and it is to blame for nothing.
    unclear: bool,
}

/// Work that is under way.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Write { piece: u32, begin: u32, bytes: u64 },
    Read { piece: u32, bytes: u64 },
    Verify { piece: u32, blocks: bool, began: u64 },
    Sync { began: u64 },
    Save { claims: Option<Claims> },
    Load,
    Look,
    Other,
}

impl TorrentModel {
    pub fn new(id: TorrentId, hash: [u8; 20], terms: Terms, add: &AddTorrent, private: bool) -> TorrentModel {
        TorrentModel {
            id,
            hash,
            pieces: terms.pieces(),
            terms,
            root: add.root,
            layout: None,
            seed_only: add.seed_only,
            private,
            named: add
                .peers
                .iter()
                .filter_map(|peer| match peer {
                    parcacik_core::border::Target::Addr(addr) => Some(*addr),
                    _ => None,
                })
                .collect(),
            priorities: None,
            told_priorities: add.priorities.clone(),
            told_early: Vec::new(),
            wanted: None,
            proven: Pieces::default(),
            doubted: Pieces::default(),
            blocks: BTreeMap::new(),
            writing: BTreeMap::new(),
            writing_bytes: 0,
            reading_bytes: 0,
            written_at: BTreeMap::new(),
            synced_to: 0,
            unsynced_at: 0,
            syncing: false,
            unjudged: BTreeSet::new(),
            failed: BTreeMap::new(),
            guilty: BTreeMap::new(),
            liars: BTreeSet::new(),
            banned: BTreeSet::new(),
            state: TorrentState::Checking,
            durable: None,
            loaded: None,
            looked: false,
            trouble_at: None,
            leaving: false,
            was_left: Vec::new(),
            uploaded: 0,
            recount: true,
            limited: add.limits != Default::default(),
            asked_at: Time::ZERO,
            wasted_before: 0,
            due: None,
            anew: Anew::No,
        }
    }

    /// Whether a piece is wanted; `None` while that is not known.
    pub fn wants(&self, piece: u32) -> Option<bool> {
        self.wanted.as_ref().map(|wanted| wanted.has(piece))
    }

    /// Whether a piece is wanted and missing for certain.
    pub fn lacks(&self, piece: u32) -> bool {
        self.wants(piece) == Some(true) && !self.proven.has(piece)
    }

    /// Whether it may be asked for, too.
    pub fn may_ask(&self, piece: u32) -> bool {
        self.lacks(piece) && !self.unjudged.contains(&piece)
    }

    /// Whether all that is known of its pieces is certain.
    pub fn is_certain(&self) -> bool {
        self.wanted.is_some() && self.doubted.count() == 0 && self.looked
    }

    /// Whether a block is on its way to the disk or there.
    pub fn has_block(&self, piece: u32, begin: u32) -> bool {
        (self.proven.has(piece) && !self.doubted.has(piece)) || self.blocks.contains_key(&(piece, begin))
    }

    /// The blocks of a piece that are missing.
    pub fn missing_blocks(&self, piece: u32) -> impl Iterator<Item = u32> + '_ {
        let length = self.terms.length_of(piece);
        (0..length).step_by(BLOCK as usize).filter(move |&begin| !self.has_block(piece, begin))
    }

    /// Bytes of wanted pieces that are missing; `None` while that is not certain.
    pub fn left(&self) -> Option<u64> {
        let wanted = self.wanted.as_ref().filter(|_| self.is_certain())?;
        Some(
            wanted
                .iter()
                .filter(|&piece| !self.proven.has(piece))
                .map(|piece| u64::from(self.terms.length_of(piece)))
                .sum(),
        )
    }

    /// Notes how much is missing now. Pieces in doubt may count as missing or not: a session makes up its mind when they are hashed.
    pub fn note_left(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        let sum = |missing: &dyn Fn(u32) -> bool| -> u64 {
            wanted.iter().filter(|&piece| missing(piece)).map(|piece| u64::from(self.terms.length_of(piece))).sum()
        };
        let least = sum(&|piece| !self.proven.has(piece) && !self.doubted.has(piece));
        let most = sum(&|piece| !self.proven.has(piece) || self.doubted.has(piece));
        let range = least..=most;
        if !self.was_left.contains(&range) {
            self.was_left.push(range);
        }
    }

    /// Other files are wanted.
    pub fn set_priorities(&mut self, changes: &[(u32, u8)]) {
        if let Some(priorities) = &mut self.priorities {
            for &(file, priority) in changes {
                if let Some(place) = priorities.get_mut(file as usize) {
                    *place = priority;
                }
            }
        } else {
            self.told_early.extend_from_slice(changes);
        }
        self.count_wanted();
    }

    fn count_wanted(&mut self) {
        self.recount = true;
        let (Some(layout), Some(priorities)) = (&self.layout, &self.priorities) else { return };
        let mut wanted = Pieces::default();
        for (number, file) in layout.files().iter().enumerate() {
            if file.pad || priorities.get(number).is_some_and(|&priority| priority == 0) {
                continue;
            }
            if let Some((first, last)) = layout.pieces_of(number) {
                (first..=last).for_each(|piece| _ = wanted.put(piece, self.pieces));
            }
        }
        self.wanted = Some(wanted);
    }

    /// It is being checked.
    pub fn checks(&mut self) {
        if self.anew == Anew::No {
            self.begin_anew();
        }
    }

    /// Everything is to be looked at anew. Until that begins, what was known before is what is known.
    pub fn is_to_begin_anew(&mut self) {
        self.doubt_all();
        self.anew = Anew::Due;
    }

    /// A call has been looked at.
    pub fn end_call(&mut self) {
        if self.anew == Anew::Begins {
            self.anew = Anew::No;
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        self.proven.clear();
        self.doubt_all();
        self.blocks.clear();
        self.failed.clear();
        self.looked = false;
        self.loaded = None;
    }

    /// Nothing is certain any more of what is on the disk.
    fn doubt_all(&mut self) {
        (0..self.pieces).for_each(|piece| _ = self.doubted.put(piece, self.pieces));
        self.recount = true;
    }

    /// It orders work.
    pub fn starts(&mut self, step: u64, work: &Work, disk: &MemoryDisk, tally: &mut Tally) -> Result<Job, Breach> {
        Ok(match work {
            Work::Open { layout, root, .. } => {
                self.root = *root;
                check_layout(layout, tally)?;
                self.layout = Some(layout.clone());
                self.count_wanted();
                Job::Other
            }
            Work::Load { .. } => Job::Load,
            Work::Check { .. } => {
                if self.anew == Anew::Due {
                    self.anew = Anew::Begins;
                }
                Job::Look
            }
            Work::Move { root, .. } => {
                self.root = *root;
                self.doubt_all();
                Job::Look
            }
            Work::CreateEmpty { files, .. } => {
                let layout = self.layout.as_ref();
                let known = files.iter().all(|&file| {
                    layout.is_some_and(|layout| layout.files().get(file as usize).is_some_and(|file| file.length == 0))
                });
                tally.judge(Oracle::InsideRoot, known, || format!("{files:?} are to be created"))?;
                Job::Other
            }
            Work::Delete { spare, .. } => {
                let files = self.layout.as_ref().map_or(0, |layout| layout.files().len());
                tally.judge(
                    Oracle::InsideRoot,
                    spare.iter().all(|&file| (file as usize) < files),
                    || "spares what is not there",
                )?;
                self.doubt_all();
                Job::Other
            }
            Work::Write { piece, begin, bytes, .. } => {
                let range = Range { piece: *piece, begin: *begin, length: bytes.len() as u32 };
                self.inside(range, tally)?;
                let kept = !self.proven.has(*piece) || self.doubted.has(*piece);
                tally.judge(Oracle::KeepVerified, kept, || format!("piece {piece} is verified, and written to"))?;
                *self.writing.entry(*piece).or_default() += 1;
                self.writing_bytes += bytes.len() as u64;
                // A write may reach the disk in part before it is said to have ended.
                self.written_at.insert(*piece, u64::MAX);
                Job::Write { piece: *piece, begin: *begin, bytes: bytes.len() as u64 }
            }
            Work::Read { piece, begin, length, .. } => {
                self.inside(Range { piece: *piece, begin: *begin, length: *length }, tally)?;
                self.reading_bytes += u64::from(*length);
                Job::Read { piece: *piece, bytes: u64::from(*length) }
            }
            Work::Verify { piece, length, blocks, .. } => {
                let whole = self.terms.length_of(*piece) == *length && *length > 0;
                tally.judge(Oracle::InsideRoot, whole, || format!("{length} bytes of piece {piece} are hashed"))?;
                Job::Verify { piece: *piece, blocks: *blocks, began: step }
            }
            Work::Sync { .. } => {
                self.syncing = true;
                Job::Sync { began: step }
            }
            Work::Save { bytes, .. } => {
                let claims = Claims::read(bytes, self.pieces);
                tally.judge(Oracle::ResumeTrue, claims.is_some(), || "resume data that cannot be read")?;
                for piece in claims.iter().flat_map(|claims| claims.pieces.iter()) {
                    let durable = self.written_at.get(&piece).is_none_or(|&at| at < self.synced_to);
                    let known = self.proven.has(piece);
                    tally.judge(Oracle::ResumeTrue, durable && known, || {
                        let why = if known { "was not synced" } else { "is not verified" };
                        format!("piece {piece} is claimed and {why}")
                    })?;
                    self.is_right(disk, piece, tally, Oracle::ResumeTrue)?;
                }
                Job::Save { claims }
            }
            _ => Job::Other,
        })
    }

    fn inside(&self, range: Range, tally: &mut Tally) -> Result<(), Breach> {
        let holds = self.terms.data(range).is_some() && range.length > 0;
        tally.judge(Oracle::InsideRoot, holds, || format!("{range:?} lies outside of the torrent"))
    }

    /// Whether a piece that is claimed is right on the disk, as far as that can be told.
    fn is_right(&self, disk: &MemoryDisk, piece: u32, tally: &mut Tally, oracle: Oracle) -> Result<(), Breach> {
        if self.doubted.has(piece) {
            return Ok(());
        }
        let range = Range { piece, begin: 0, length: self.terms.length_of(piece) };
        let Some(bytes) = self.terms.data(range) else { return Ok(()) };
        match disk.holds(self.id, piece, bytes) {
            Some(right) => {
                tally.judge(oracle, right, || format!("piece {piece} is claimed, and other bytes are on the disk"))
            }
            None => Ok(()),
        }
    }

    /// A block that was asked for is handed to the disk.
    pub fn takes(&mut self, range: Range, (tcp, ip): (TcpId, IpAddr), right: bool) {
        self.blocks.insert((range.piece, range.begin), Sender { tcp, ip, right, unclear: false });
        if !right {
            self.liars.insert(ip);
        }
    }

    /// A write, a read or the like has ended. `step` is one that nothing else has.
    pub fn job_ends(
        &mut self,
        (now, step): (Time, u64),
        job: &Job,
        ok: bool,
        result: Option<&JobResult>,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        if !ok {
            self.trouble_at = Some(now);
        }
        if matches!(job, Job::Sync { .. }) {
            self.syncing = false;
            self.unjudged.clear();
        }
        match job {
            Job::Write { piece, begin, bytes } => {
                self.writing_bytes = self.writing_bytes.saturating_sub(*bytes);
                let left = self.writing.get(piece).map_or(0, |left| left.saturating_sub(1));
                if left == 0 {
                    self.writing.remove(piece);
                    self.written_at.insert(*piece, step);
                } else {
                    self.writing.insert(*piece, left);
                }
                if !ok {
                    self.blocks.remove(&(*piece, *begin));
                }
            }
            Job::Read { piece, bytes } => {
                self.reading_bytes = self.reading_bytes.saturating_sub(*bytes);
                if !ok {
                    self.doubted.put(*piece, self.pieces);
                    self.recount = true;
                }
            }
            Job::Verify { piece, blocks, began } => match result {
                // It may have read what a sync that failed meanwhile has thrown away.
                Some(JobResult::Verified(verdict)) if verdict.matches && self.unsynced_at >= *began => {}
                Some(JobResult::Verified(verdict)) if verdict.matches => {
                    return self.passes(*piece, !verdict.blocks.is_empty(), tally);
                }
                // What is not on the disk any more has no blocks: then nobody is found, and all of it is fetched again.
                Some(JobResult::Verified(verdict)) => {
                    self.fails((now, step), *piece, (*blocks, verdict.blocks.is_empty()))
                }
                _ => {
                    self.doubted.put(*piece, self.pieces);
                    self.recount = true;
                    self.blocks.retain(|(at, _), _| at != piece);
                    self.guilty.remove(piece);
                }
            },
            Job::Sync { began } if ok => {
                self.synced_to = self.synced_to.max(*began);
                self.looks(result);
            }
            Job::Look => self.looks(result),
            // Pieces that it was to make durable may be lost, and are hashed again.
            Job::Sync { began } => {
                self.unsynced_at = step;
                // Of what is not proven yet nobody knows what it was that is read back, and what was found meanwhile is no proof.
                self.blocks.values_mut().for_each(|sender| sender.unclear = true);
                self.guilty.values_mut().for_each(|found| found.retain(|_, at| *at < *began));
                let unsynced: Vec<u32> =
                    self.written_at.iter().filter(|(_, at)| **at >= self.synced_to).map(|(piece, _)| *piece).collect();
                unsynced.into_iter().for_each(|piece| _ = self.doubted.put(piece, self.pieces));
                self.recount = true;
            }
            Job::Save { claims: Some(claims) } if ok => self.durable = Some(claims.pieces.clone()),
            Job::Load => {
                if let Some(JobResult::Loaded(copies)) = result {
                    self.load(copies);
                }
            }
            Job::Save { .. } | Job::Other => {}
        }
        Ok(())
    }

    /// Files that are missing or cut short put everything in doubt.
    fn looks(&mut self, result: Option<&JobResult>) {
        let Some(JobResult::Checked { files, .. }) = result else { return };
        let Some(layout) = &self.layout else { return };
        let short = layout.files().iter().zip(files).enumerate().any(|(number, (file, found))| {
            let ours = layout
                .pieces_of(number)
                .and_then(|(first, last)| (first..=last).rev().find(|&piece| self.proven.has(piece)));
            let claimed = ours.is_some();
            let end = ours.map_or(0, |piece| {
                let end = (u64::from(piece) + 1) * u64::from(layout.piece_length());
                end.saturating_sub(file.offset).min(file.length)
            });
            !file.pad && file.length > 0 && claimed && found.is_none_or(|found| found.length < end)
        });
        if short {
            self.doubt_all();
        }
    }

    /// Resume data are found.
    fn load(&mut self, copies: &[bytes::Bytes]) {
        let all: Vec<Claims> = copies.iter().filter_map(|copy| Claims::read(copy, self.pieces)).collect();
        let newest = all.iter().max_by_key(|claims| claims.generation);
        let files = self.layout.as_ref().map_or(0, |layout| layout.files().len());
        self.priorities = Some(match (&self.told_priorities, newest) {
            (Some(told), _) => {
                let mut told = told.clone();
                told.resize(files, 4);
                told
            }
            (None, Some(claims)) => claims.priorities.clone(),
            (None, None) => vec![4; files],
        });
        // They may be trusted as they are.
        for piece in newest.iter().flat_map(|claims| claims.pieces.iter()) {
            self.proven.put(piece, self.pieces);
        }
        self.loaded = newest.map(|claims| claims.pieces.clone());
        self.durable = self.loaded.clone();
        let early = std::mem::take(&mut self.told_early);
        self.set_priorities(&early);
    }

    /// What was on the disk has been looked at. `has` is what the session says that it has.
    pub fn was_looked_at(
        &mut self,
        has: impl Fn(u32) -> bool,
        disk: &MemoryDisk,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        self.looked = true;
        self.recount = true;
        for piece in self.loaded.take().iter().flat_map(|loaded| loaded.iter()) {
            if has(piece) {
                tally.judge(Oracle::ResumeKept, true, || "")?;
                continue;
            }
            // It may be gone: then it is not ours any more.
            self.proven.take(piece);
            let range = Range { piece, begin: 0, length: self.terms.length_of(piece) };
            let there = self.terms.data(range).and_then(|bytes| disk.holds(self.id, piece, bytes)).unwrap_or(false);
            let lost = there && self.trouble_at.is_none();
            tally.judge(Oracle::ResumeKept, !lost, || {
                format!("piece {piece} was claimed by durable resume data and is on the disk, and is not found")
            })?;
        }
        // What is not found was not there; of what is there, all is known now.
        let certain: Vec<u32> = self.doubted.iter().filter(|&piece| has(piece) == self.proven.has(piece)).collect();
        certain.into_iter().for_each(|piece| self.doubted.take(piece));
        Ok(())
    }

    fn passes(&mut self, piece: u32, digested: bool, tally: &mut Tally) -> Result<(), Breach> {
        if self.failed.remove(&piece).is_some() {
            let anew = self.missing_blocks(piece).next();
            tally.judge(Oracle::FailedAnew, anew.is_none(), || {
                format!("piece {piece} failed, and passes with block {anew:?} not fetched anew")
            })?;
        }
        self.proven.put(piece, self.pieces);
        self.doubted.take(piece);
        self.blocks.retain(|(at, _), _| *at != piece);
        self.recount = true;
        let at_large = |guilty: &BTreeMap<IpAddr, u64>| guilty.keys().any(|ip| !self.banned.contains(ip));
        if !digested && self.looked && self.guilty.get(&piece).is_some_and(at_large) {
            // It was not looked at block by block, though a failed version was known: nobody can be found.
            let guilty = self.guilty.remove(&piece);
            return tally
                .judge(Oracle::BlameJust, false, || format!("piece {piece} passed unseen: {guilty:?} go free"));
        }
        Ok(())
    }

    /// A piece is announced.
    pub fn announces(&self, piece: u32, tally: &mut Tally) -> Result<(), Breach> {
        let holds = self.proven.has(piece) && !self.writing.contains_key(&piece);
        tally.judge(Oracle::AnnounceProven, holds, || {
            let why = if self.writing.contains_key(&piece) { "is being written" } else { "has not passed its hash" };
            format!("piece {piece} is announced and {why}")
        })
    }

    /// It says that all that is wanted is there.
    pub fn finishes(&self, disk: &MemoryDisk, tally: &mut Tally) -> Result<(), Breach> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        for piece in wanted.iter() {
            tally.judge(Oracle::WholeFiles, self.proven.has(piece), || format!("finished without piece {piece}"))?;
            self.is_right(disk, piece, tally, Oracle::WholeFiles)?;
        }
        let Some(layout) = self.layout.as_ref().filter(|_| self.doubted.count() == 0 && self.trouble_at.is_none())
        else {
            return Ok(());
        };
        for (number, file) in layout.files().iter().enumerate() {
            let all =
                layout.pieces_of(number).is_none_or(|(first, last)| (first..=last).all(|piece| wanted.has(piece)));
            let kept = self.priorities.as_ref().is_some_and(|all| all.get(number) == Some(&0));
            let Some(length) = disk.length_of(self.id, number) else { continue };
            if file.pad {
                tally.judge(Oracle::WholeFiles, length.is_none(), || format!("{} is padding, and there", file.path))?;
            } else if all && !kept && file.length > 0 && self.root == RootId(0) {
                tally.judge(Oracle::WholeFiles, length == Some(file.length), || {
                    format!("{} has {length:?} bytes, and not {}", file.path, file.length)
                })?;
            }
        }
        Ok(())
    }

    /// What its newest resume data claim is right on a disk that it has crashed on, or lost power.
    pub fn crashed(&self, disk: &MemoryDisk, tally: &mut Tally) -> Result<(), Breach> {
        let copies = disk.resume_in(InfoHash(self.hash), self.root);
        let newest =
            copies.iter().filter_map(|copy| Claims::read(copy, self.pieces)).max_by_key(|claims| claims.generation);
        newest
            .iter()
            .flat_map(|claims| claims.pieces.iter())
            .try_for_each(|piece| self.is_right(disk, piece, tally, Oracle::ResumeTrue))
    }

    /// Whether durable resume data claim all that there is.
    pub fn is_saved(&self) -> bool {
        let durable = self.durable.clone().unwrap_or_default();
        self.proven.iter().all(|piece| durable.has(piece))
    }

    /// Whether the disk has failed in the last minutes.
    pub fn has_trouble(&self, now: Time) -> bool {
        self.trouble_at.is_some_and(|at| now.since(at) < Duration::from_secs(400))
    }
}

/// Nothing of a layout lies outside of the torrent's folder, and no two files are one, however a file system compares
/// names.
fn check_layout(layout: &StorageLayout, tally: &mut Tally) -> Result<(), Breach> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for file in layout.files() {
        let elements = file.path.elements();
        let bad = |element: &String| {
            element.is_empty() || element == "." || element == ".." || element.contains(['/', '\\', '\0', ':'])
        };
        tally.judge(Oracle::InsideRoot, !elements.is_empty() && !elements.iter().any(bad), || {
            format!("the path {:?}", elements)
        })?;
        if !file.pad {
            let folded = elements.join("/").to_lowercase();
            tally.judge(Oracle::InsideRoot, seen.insert(folded), || format!("{:?} is there twice", elements))?;
        }
    }
    Ok(())
}

/// Jobs by their number.
pub(super) type Jobs = BTreeMap<JobId, (Option<TorrentId>, Job)>;
