//! Which files are kept apart: so that files which nobody wants are not created for the bytes that they share with others.
//!
//! What *apart* means for bytes is said at [`StorageLayout`](crate::border::StorageLayout): the bytes of shared pieces lie in the
//! part file, everything else where it always does. This part decides which files are, tells the driver by
//! [`Work::Place`], and knows what has to be copied when one is wanted after all.
//!
//! # Rules
//!
//! 1. A wanted file is in its place.
//! 2. An unwanted file is kept apart, unless it has bytes of its own in its place: one that was there before and holds something
//!    of the torrent, or that was written to while it was wanted, stays and is used. One that was there before and holds
//!    nothing of the torrent is left alone: it is kept apart.
//! 3. At the start, everything is as the resume data say, until it has been looked at; without them, unwanted files that
//!    exist are looked at in their place.
//! 4. What was copied out of the part file is hashed again, where it was claimed: a part file may be lost or cut, and then its
//!    pieces are fetched again.
//! 5. One change at a time, and not before the resume data say that the files are ours.
//! 6. The part file is removed when no file is kept apart, and durable resume data say so. So a power cut at any moment
//!    leaves what is claimed where it is looked for: see [`persist`](super::persist), rule 5.
//!
//! A change that fails (the disk is full) is tried again with the other work of the disk. Until then the torrent is not whole
//! and nothing new is claimed.

use super::{Phase, Purpose, Shared, Torrent};
use crate::bitfield::Bitfield;
use crate::border::{FileState, IoFault, JobResult, Notice, Place, StorageLayout, Work};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::metainfo::{Block, PieceIndex};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Where the files of a torrent are.
#[derive(Clone, Debug, Default)]
pub(super) struct Placement {
    /// The files that are kept apart, as the driver was told last.
    apart: Bitfield,
    /// Files that have something of the torrent in their place.
    rooted: Bitfield,
    /// Shared pieces of which the part file may hold something.
    parted: BTreeSet<u32>,
    /// A `Place` or `DropPart` is under way.
    busy: bool,
    /// Something has changed that may ask for another `Place`.
    due: bool,
    /// The last `Place` ended with a fault, and is to be told again.
    failed: bool,
    /// What the one under way copies.
    copies: Vec<u32>,
    /// Copied pieces that are being hashed.
    doubted: BTreeSet<PieceIndex>,
}

canon_struct!(out Placement { apart, rooted, parted, busy, due, failed, copies, doubted });

impl Placement {
    /// The files that are kept apart.
    pub(super) fn apart(&self) -> &Bitfield {
        &self.apart
    }

    /// Whether everything is where it is to be.
    pub(super) fn is_settled(&self) -> bool {
        !self.due && !self.failed && self.copies.is_empty() && self.doubted.is_empty()
    }

    /// Everything is hashed anew: what was in doubt is no more.
    pub(super) fn forget(&mut self) {
        self.doubted.clear();
    }

    /// Whether it was told to the driver, who could not do it.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Which files are apart while the torrent is looked at: those that a torrent without resume data does not want and that
    /// do not exist.
    pub(super) fn at_first(
        layout: &StorageLayout,
        files: &[Option<FileState>],
        wants: impl Fn(usize) -> bool,
    ) -> Bitfield {
        let exists = |file: usize| files.get(file).copied().flatten().is_some();
        pick(layout, |file| !wants(file) && !exists(file))
    }

    /// Takes over how things are at the start.
    pub(super) fn begin(&mut self, apart: Bitfield) {
        self.apart = apart;
    }

    /// All that is there has been looked at: these files have something of the torrent in their place, and these pieces were
    /// found.
    pub(super) fn examined(&mut self, layout: &StorageLayout, rooted: impl Fn(usize) -> bool, found: &Bitfield) {
        let apart = &self.apart;
        self.rooted = pick(layout, |file| !apart.get(file as u32) && rooted(file));
        let lies_apart =
            |piece: u32| layout.spans(piece, 0, layout.piece_length(), apart).any(|span| span.place == Place::PartFile);
        let shared = layout.shared_pieces().iter().copied();
        self.parted = shared.filter(|&piece| found.get(piece) && lies_apart(piece)).collect();
    }

    /// A block is going to be written.
    pub(super) fn writes(&mut self, layout: &StorageLayout, block: Block) {
        if layout.shared_pieces().is_empty() {
            return;
        }
        let piece = block.piece().get();
        for span in layout.spans(piece, block.begin(), block.length(), &self.apart) {
            match span.place {
                Place::File => _ = self.rooted.insert(span.file as u32),
                Place::PartFile => _ = self.parted.insert(piece),
                Place::Padding => {}
            }
        }
        // A driver that fails may still do it in the old way.
        if (self.failed || self.busy) && layout.shared_pieces().binary_search(&piece).is_ok() {
            self.parted.insert(piece);
        }
    }

    /// How it should be now.
    fn target(&self, layout: &StorageLayout, wants: impl Fn(usize) -> bool) -> Bitfield {
        pick(layout, |file| {
            let number = file as u32;
            !wants(file) && (self.apart.get(number) || !self.rooted.get(number))
        })
    }
}

/// The files that share pieces with others and of which something holds.
fn pick(layout: &StorageLayout, holds: impl Fn(usize) -> bool) -> Bitfield {
    let count = layout.files().len();
    let mut set = Bitfield::none(u32::try_from(count).unwrap_or(u32::MAX));
    for file in (0..count).filter(|&file| layout.shared_pieces_of(file).next().is_some() && holds(file)) {
        set.insert(file as u32);
    }
    set
}

impl Torrent {
    /// What is wanted has changed, or is known now: looks whether files are to be placed in another way.
    pub(super) fn placement_changed(&mut self) {
        let target = self.placement.target(&self.facts.layout, |file| self.selection.wants(file));
        self.placement.due = self.placement.failed || target != self.placement.apart;
    }

    /// Has the driver place files as they should be, where that has changed.
    pub(super) fn placement_step(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let ready = matches!(self.phase, Phase::Running) && self.persist.may_write() && !self.health.is_ill();
        if !self.placement.due || self.placement.busy || self.seed_only || !ready {
            return;
        }
        let layout = self.facts.layout.clone();
        let target = self.placement.target(&layout, |file| self.selection.wants(file));
        self.placement.due = false;
        if target == self.placement.apart && !self.placement.failed {
            // It was changed back meanwhile.
            return self.look_whether_whole(cx, shared);
        }
        let apart = core::mem::replace(&mut self.placement.apart, target.clone());
        let mut copies: BTreeSet<u32> = core::mem::take(&mut self.placement.copies).into_iter().collect();
        for file in apart.iter().filter(|&file| !target.get(file)) {
            let own: Vec<u32> =
                layout.shared_pieces_of(file as usize).filter(|piece| self.placement.parted.contains(piece)).collect();
            if !own.is_empty() {
                self.placement.rooted.insert(file);
            }
            copies.extend(own);
        }
        if self.placement.failed {
            // Those too that were written since in the old way.
            copies.extend(self.placement.parted.iter().copied());
        }
        let pieces: Vec<u32> = copies.into_iter().collect();
        self.placement.copies.clone_from(&pieces);
        self.placement.busy = true;
        self.persist.placing();
        self.start(cx, Work::Place { torrent: self.id, apart: target, pieces }, Purpose::Place);
    }

    /// The driver has placed files, or could not.
    pub(super) fn placed(&mut self, cx: &mut Cx, shared: &mut Shared, result: Result<JobResult, IoFault>) {
        self.placement.busy = false;
        if let Err(fault) = result {
            self.placement.failed = true;
            self.placement.due = true;
            return self.storage_failed(cx, fault);
        }
        self.placement.failed = false;
        let geometry = self.facts.geometry;
        let copied: Vec<PieceIndex> = core::mem::take(&mut self.placement.copies)
            .into_iter()
            .filter(|&piece| self.picker.have().get(piece))
            .filter_map(|piece| geometry.piece(piece))
            .collect();
        self.persist.placed(cx.now, &self.placement.apart, copied.iter().copied());
        let (layout, apart) = (self.facts.layout.clone(), &self.placement.apart);
        self.placement.parted.retain(|&piece| {
            layout.spans(piece, 0, layout.piece_length(), apart).any(|span| span.place == Place::PartFile)
        });
        for piece in copied {
            self.placement.doubted.insert(piece);
            self.doubt(cx, piece);
        }
        self.look_whether_whole(cx, shared);
    }

    /// A piece has been hashed after it was in doubt.
    pub(super) fn placement_checked(&mut self, piece: PieceIndex) {
        self.placement.doubted.remove(&piece);
    }

    /// Removes the part file once nothing depends on it.
    pub(super) fn drop_part(&mut self, cx: &mut Cx) {
        let running = matches!(self.phase, Phase::Running | Phase::Halted | Phase::Stopping { .. });
        let ready = running && !self.placement.busy && !self.placement.failed;
        if ready && self.persist.has_part() && !self.persist.needs_part() {
            self.placement.busy = true;
            self.start(cx, Work::DropPart { torrent: self.id }, Purpose::DropPart);
        }
    }

    /// The part file was removed, or could not be.
    pub(super) fn part_dropped(&mut self, cx: &mut Cx, result: Result<JobResult, IoFault>) {
        self.placement.busy = false;
        match result {
            Ok(_) => self.persist.part_dropped(),
            // It does no harm where it is; the next save is another chance.
            Err(fault) => cx.out.notices.push(Notice::StorageFailed { torrent: self.id, fault }),
        }
    }
}
