//! Which files of a torrent are wanted, how much, and in which order.
//!
//! Files have priorities, pieces are what is fetched: a piece is wanted as much as the file that is wanted most of those with
//! bytes in it. Pad files are nobody's wish and do not count. What is *missing* and *wanted* is counted in whole pieces, as
//! these must come whole.
//!
//! | told | does |
//! |---|---|
//! | [`AddTorrent::priorities`](crate::border::AddTorrent::priorities), `sequential` | from the start; resume data do not count then |
//! | resume data | as it was in the last run, where nothing was given |
//! | `SetPriorities`, `SetSequential` | at once: requests for what is not wanted any more are cancelled, interest in every peer is counted anew, resume data are saved |
//!
//! # Whole
//!
//! A torrent is *whole* when every wanted piece is there and lies in its file ([`placement`](super::placement) may be moving
//! some). Whichever way it comes to be whole, by the last piece or because less is wanted, it is told as
//! [`Notice::Finished`](crate::border::Notice::Finished) and the seed goal counts from then; when more is wanted later it is a
//! download again. A torrent of which nothing is wanted is whole.
//!
//! # Partial seeds (BEP 21)
//!
//! A torrent that has all that it wants and not everything there is "is incomplete without downloading anything more". It
//! says `upload_only` in its extended handshake, and when that changes to everybody connected; it leaves those that only
//! give as well, and goes on serving the others. Trackers are told of `completed` only when everything is there.

use super::{Phase, Purpose, Shared, Torrent};
use crate::border::{CommandError, Notice, PeerKey, StorageLayout, Work};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::metainfo::Block;
use crate::metainfo::magnet::FileRanges;
use crate::path::SafePath;
use crate::peer::PeerOrder;
use crate::torrent::picker::Priority;
use crate::torrent::resume::ResumeData;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// What is wanted of a torrent.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// Of every file of the layout.
    priorities: Vec<Priority>,
    sequential: bool,
    /// What was said before resume data came; `None`: they have.
    early: Option<Early>,
}

canon_struct!(out Selection { priorities, sequential, early });

/// What resume data do not change.
#[derive(Clone, Debug, Default)]
struct Early {
    /// All priorities were given when the torrent was added.
    given: bool,
    files: BTreeMap<u32, Priority>,
    sequential: Option<bool>,
}

canon_struct!(out Early { given, files, sequential });

impl Selection {
    /// For a torrent of so many files. What is given was checked by [`check`].
    pub(super) fn new(files: usize, given: Option<&[u8]>, sequential: Option<bool>) -> Selection {
        let mut priorities = vec![Priority::NORMAL; files];
        for (priority, number) in priorities.iter_mut().zip(given.unwrap_or_default()) {
            *priority = Priority::new(*number).unwrap_or_default();
        }
        let early = Early { given: given.is_some(), files: BTreeMap::new(), sequential };
        Selection { priorities, sequential: sequential.unwrap_or(false), early: Some(early) }
    }

    /// Takes over what resume data say, where nothing else was said; `None`: there are none.
    pub(super) fn resume(&mut self, data: Option<&ResumeData>) {
        let Some(early) = self.early.take() else { return };
        let Some(data) = data else { return };
        if !early.given {
            for (priority, &number) in self.priorities.iter_mut().zip(&data.priorities) {
                *priority = Priority::new(number).unwrap_or_default();
            }
            for (file, priority) in early.files {
                self.set(file, priority);
            }
        }
        self.sequential = early.sequential.unwrap_or(data.sequential);
    }

    fn set(&mut self, file: u32, priority: Priority) {
        if let Some(place) = self.priorities.get_mut(file as usize) {
            *place = priority;
        }
        if let Some(early) = &mut self.early {
            early.files.insert(file, priority);
        }
    }

    fn set_sequential(&mut self, on: bool) {
        self.sequential = on;
        if let Some(early) = &mut self.early {
            early.sequential = Some(on);
        }
    }

    /// Wants of all files only these, where nothing else was said or is in resume data. A link that selects none of the files that
    /// there are selects nothing: nobody adds a torrent to fetch none of it.
    pub(super) fn only(&mut self, selected: &FileRanges) {
        let chosen = |file: usize| u32::try_from(file).is_ok_and(|file| selected.contains(file));
        if (0..self.priorities.len()).any(chosen) {
            for (_, priority) in self.priorities.iter_mut().enumerate().filter(|(file, _)| !chosen(*file)) {
                *priority = Priority::SKIP;
            }
        }
    }

    /// Before there are files: takes over from resume data whether pieces are asked for in order.
    pub(super) fn keep_sequential(&mut self, data: Option<&ResumeData>) {
        let said = self.early.as_ref().and_then(|early| early.sequential);
        if let Some(data) = data.filter(|_| said.is_none()) {
            self.set_sequential(data.sequential);
        }
    }

    /// Whether pieces are asked for in order, where that was said.
    pub(super) fn sequential_said(&self) -> Option<bool> {
        self.early.as_ref().and_then(|early| early.sequential)
    }

    /// Whether a file is wanted.
    pub(super) fn wants(&self, file: usize) -> bool {
        self.priority(file) > Priority::SKIP
    }

    fn priority(&self, file: usize) -> Priority {
        self.priorities.get(file).copied().unwrap_or(Priority::SKIP)
    }

    /// As resume data have them.
    pub(super) fn numbers(&self) -> Vec<u8> {
        self.priorities.iter().map(|priority| priority.get()).collect()
    }

    pub(super) fn sequential(&self) -> bool {
        self.sequential
    }

    /// Of every piece: as much as the file that is wanted most of those in it. A piece that is nothing but padding is wanted
    /// as much as anything, so that a torrent of which everything is wanted becomes complete.
    fn of_pieces(&self, layout: &StorageLayout, pieces: u32) -> Vec<Priority> {
        let most =
            self.priorities.iter().zip(layout.files()).filter(|(_, file)| !file.pad).map(|(&most, _)| most).max();
        let mut wanted: Vec<Option<Priority>> = vec![None; pieces as usize];
        for (index, file) in layout.files().iter().enumerate().filter(|(_, file)| !file.pad) {
            debug_assert!(file.offset <= layout.total_length());
            let Some((first, last)) = layout.pieces_of(index) else { continue };
            let own = self.priority(index);
            for place in wanted.get_mut(first as usize..=last as usize).unwrap_or_default() {
                *place = (*place).max(Some(own));
            }
        }
        wanted.into_iter().map(|priority| priority.or(most).unwrap_or_default()).collect()
    }
}

/// Whether these can be priorities of a torrent of so many files.
pub(crate) fn check(files: usize, priorities: &[u8]) -> Result<(), CommandError> {
    if priorities.len() > files {
        return Err(CommandError::NoSuchFile(u32::try_from(files).unwrap_or(u32::MAX)));
    }
    match priorities.iter().find(|&&number| Priority::new(number).is_none()) {
        Some(&number) => Err(CommandError::BadPriority(number)),
        None => Ok(()),
    }
}

/// A file of a torrent, for views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileView {
    /// Where it lies under the download folder.
    pub path: SafePath,
    /// Its length in bytes.
    pub length: u64,
    /// Bytes of it that lie in verified pieces.
    pub done: u64,
    /// How much it is wanted, 0 to 7.
    pub priority: u8,
    /// A pad file (BEP 47), which never lies on the disk.
    pub pad: bool,
}

impl Torrent {
    /// Its files, in the layout's order. A pass over all pieces and files.
    pub fn files(&self) -> Vec<FileView> {
        let layout = &self.facts.layout;
        let piece_length = u64::from(layout.piece_length());
        let done = |index: usize, start: u64, length: u64| {
            let (first, last) = layout.pieces_of(index).unwrap_or((1, 0));
            let mine = |piece: u32| {
                let from = u64::from(piece) * piece_length;
                (from + piece_length).min(start + length).saturating_sub(from.max(start))
            };
            (first..=last).filter(|&piece| self.picker.have().get(piece)).map(mine).sum()
        };
        let view = |(index, file): (usize, &crate::border::LayoutFile)| FileView {
            path: file.path.clone(),
            length: file.length,
            done: done(index, file.offset, file.length),
            priority: self.selection.priority(index).get(),
            pad: file.pad,
        };
        layout.files().iter().enumerate().map(view).collect()
    }

    /// Whether pieces are asked for in order.
    pub fn sequential(&self) -> bool {
        self.selection.sequential()
    }

    /// Changes how much files are wanted.
    pub(crate) fn set_priorities(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        files: &[(u32, u8)],
    ) -> Result<(), CommandError> {
        self.is_not_ending()?;
        if self.seeks_metadata() {
            return self.choose_before(files);
        }
        let mut changes = Vec::with_capacity(files.len());
        for &(file, number) in files {
            if file as usize >= self.facts.layout.files().len() {
                return Err(CommandError::NoSuchFile(file));
            }
            changes.push((file, Priority::new(number).ok_or(CommandError::BadPriority(number))?));
        }
        let mut newly_wanted = Vec::new();
        for (file, priority) in changes {
            let wanted = self.selection.wants(file as usize);
            self.selection.set(file, priority);
            if !wanted && self.selection.wants(file as usize) {
                newly_wanted.push(file);
            }
        }
        // While what is there is looked at, only the wish is noted; it counts when that is done.
        if self.examined {
            self.apply_selection();
            self.persist.changed();
            if matches!(self.phase, Phase::Running | Phase::Halted) {
                self.create_empty(cx, newly_wanted.into_iter());
                self.selection_changed(cx, shared);
            }
            self.settle(cx, shared);
        }
        Ok(())
    }

    /// Asks for pieces in order, or for the rarest first.
    pub(crate) fn set_sequential(&mut self, cx: &mut Cx, shared: &mut Shared, on: bool) -> Result<(), CommandError> {
        self.is_not_ending()?;
        self.selection.set_sequential(on);
        if self.examined {
            self.picker.set_sequential(on);
            self.persist.changed();
            self.refill = true;
            self.settle(cx, shared);
        }
        Ok(())
    }

    /// Has the picker do as the selection says.
    pub(super) fn apply_selection(&mut self) {
        let pieces = self.selection.of_pieces(&self.facts.layout, self.facts.geometry.pieces());
        self.picker.set_priorities(&pieces);
        self.picker.set_sequential(self.selection.sequential());
        self.placement_changed();
    }

    /// Creates those of some files that are wanted and have no length: no write ever will.
    pub(super) fn create_empty(&mut self, cx: &mut Cx, files: impl Iterator<Item = u32>) {
        let empty = |&file: &u32| {
            let found = self.facts.layout.files().get(file as usize);
            self.selection.wants(file as usize) && found.is_some_and(|file| file.length == 0 && !file.pad)
        };
        let files: Vec<u32> = files.filter(empty).collect();
        if !self.seed_only && !files.is_empty() {
            self.start(cx, Work::CreateEmpty { torrent: self.id, files }, Purpose::CreateEmpty);
        }
    }

    /// Other files are wanted than before.
    fn selection_changed(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.cancel_unwanted(cx, shared);
        self.recount_interest(cx, shared);
        self.look_whether_whole(cx, shared);
        self.upload_only_changed(cx, shared);
    }

    /// Takes back requests for what is not wanted any more.
    fn cancel_unwanted(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let keys: Vec<PeerKey> = self.peers.keys().collect();
        for key in keys {
            let Some(mut peer) = self.take(key) else { continue };
            let unwanted = |block: &Block| !self.picker.wants(block.piece());
            let blocks: Vec<Block> = peer.conn.outstanding().filter(unwanted).collect();
            for block in blocks {
                self.picker.returned(key, block);
                self.order(cx, shared, &mut peer, PeerOrder::Cancel(block));
            }
            self.put_back(cx, shared, key, peer);
        }
    }

    /// Whether all that is wanted is there, and in its place.
    pub(super) fn is_whole(&self) -> bool {
        self.picker.missing_bytes() == 0 && (self.seed_only || self.placement.is_settled())
    }

    /// Whether it does what a torrent does that has all that it may have.
    pub(super) fn has_all(&self) -> bool {
        self.seeking.is_none() && (self.seed_only || self.is_whole())
    }

    /// Tells when all that is wanted has come to be there, and takes note when it is not any more.
    pub(super) fn look_whether_whole(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if !matches!(self.phase, Phase::Running | Phase::Halted | Phase::Stopping { .. }) {
            return;
        }
        match (self.whole, self.is_whole()) {
            (false, true) => {
                self.whole = true;
                self.all_there(cx, shared);
            }
            (true, false) => {
                self.whole = false;
                if !self.only_gives() {
                    // It is a download again: seeds are of use.
                    self.candidates.set_seeding(false);
                }
                self.tell_state(cx);
            }
            _ => self.tell_state(cx),
        }
    }

    /// Tells everybody when we have come to give only, or to want something again, and leaves those who only give too.
    pub(super) fn upload_only_changed(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let only_gives = self.only_gives();
        if core::mem::replace(&mut self.told_only_gives, only_gives) == only_gives {
            return;
        }
        // Of a complete torrent everybody knows it by its pieces.
        let tell = !self.picker.is_complete();
        let keys: Vec<PeerKey> = self.peers.keys().collect();
        for key in keys {
            let Some(mut peer) = self.take(key) else { continue };
            if tell {
                self.order(cx, shared, &mut peer, PeerOrder::Reintroduce);
            }
            if let Some(reason) = self.nothing_to_exchange(&peer) {
                self.order(cx, shared, &mut peer, PeerOrder::Close(reason));
            }
            self.drive(cx, shared, key, peer);
        }
    }

    /// Whether it has all that it wants and not everything: a partial seed (BEP 21).
    pub(super) fn is_partial_seed(&self) -> bool {
        self.only_gives() && !self.picker.is_complete()
    }

    /// All that was wanted is there: what happens once each time.
    fn all_there(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.candidates.set_seeding(true);
        self.persist.flush(cx.now);
        // BEP 3: "completed is sent when the download completes": of a part, nobody is told.
        if self.picker.is_complete() && !core::mem::replace(&mut self.completed_ever, true) {
            self.announce_completed(cx, shared);
        }
        cx.out.notices.push(Notice::Finished { torrent: self.id });
        self.tell_state(cx);
        self.check_goal(cx, shared);
    }
}
