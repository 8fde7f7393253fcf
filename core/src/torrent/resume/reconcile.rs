//! What resume data claim, against the files as they are now.
//!
//! A claimed piece was synced before it was claimed, so it is whole unless somebody else has changed the file or the disk
//! has lost it. What a file's length and time of change say:
//!
//! | file now | its claimed pieces | its other pieces |
//! |---|---|---|
//! | as recorded | believed | not there, when all had been looked at; else checked |
//! | changed later, not shorter | believed after a sample of them has been hashed | checked |
//! | changed *earlier*, or shorter, or not recorded | checked | checked |
//! | missing | lost | not there |
//!
//! The second line is every kill: the files were written to after the last save, so their times are newer. Hashing all of a
//! huge file after each would be wrong, for what we wrote since went into pieces that are not claimed; and pieces of
//! which some other program changed a byte are what the sample is for. A file that has become older or shorter has been put
//! there by somebody (a backup, a copy): nothing is believed. Pieces that are not claimed may be there (written and not
//! yet saved, or the user's own file): those that lie within the files are hashed, which costs reading only.
//!
//! A piece that lies in several files is treated as in the worst of them. The part file is one of them where files are kept
//! apart: what is claimed was claimed of the way in which they were placed then, so it is judged in that way.

use super::ResumeData;
use crate::bitfield::Bitfield;
use crate::border::{FileState, PersistConfig, Place, StorageLayout};
use crate::journal::canon::canon_struct;
use crate::metainfo::Geometry;
use crate::rng::Rng;
use alloc::vec;
use alloc::vec::Vec;

/// What may be believed of resume data, and what must be hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// Claimed and believed, as long as no sample fails.
    pub trusted: Bitfield,
    /// To be hashed before anything else is done; a part of `to_check`. When one fails:
    /// [`Reconciled::sample_failed`].
    pub samples: Bitfield,
    /// To be hashed: they may be there.
    pub to_check: Bitfield,
}

canon_struct!(out Reconciled { trusted, samples, to_check });

/// What a file's state says of its pieces, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    AsRecorded,
    ChangedLater,
    Suspicious,
    Missing,
}

/// Compares claims with the `files` as they are now, in the layout's order, and at last the part file. Samples are drawn from
/// `rng`.
///
/// Total: data of other sizes than the layout's are believed in nothing.
pub fn reconcile(
    resume: &ResumeData,
    files: &[Option<FileState>],
    layout: &StorageLayout,
    config: &PersistConfig,
    rng: &mut Rng,
) -> Reconciled {
    let count = piece_count(layout);
    let mut out =
        Reconciled { trusted: Bitfield::none(count), samples: Bitfield::none(count), to_check: Bitfield::none(count) };
    let apart = &resume.apart;
    let standings: Vec<Standing> = (0..=layout.files().len())
        .map(|file| {
            let recorded = resume.files.get(file).copied().flatten();
            standing(recorded, files.get(file).copied().flatten())
        })
        .collect();
    // Claimed pieces of files that changed later, by file: what samples are drawn from.
    let mut changed: Vec<Vec<u32>> = vec![Vec::new(); standings.len()];
    for piece in 0..count {
        let mut worst = Standing::AsRecorded;
        let mut within = true;
        for (file, end) in homes(layout, piece, apart) {
            worst = worst.max(standings.get(file).copied().unwrap_or(Standing::Missing));
            within &= end <= files.get(file).copied().flatten().map_or(0, |file| file.length);
        }
        if !within || worst == Standing::Missing {
            continue;
        }
        let claimed = resume.pieces.len() == count && resume.pieces.get(piece);
        match (worst, claimed) {
            (Standing::AsRecorded, true) => _ = out.trusted.insert(piece),
            (Standing::AsRecorded, false) if resume.examined => {}
            (Standing::ChangedLater, true) => {
                out.trusted.insert(piece);
                for (file, _) in homes(layout, piece, apart) {
                    if standings.get(file) == Some(&Standing::ChangedLater)
                        && let Some(pieces) = changed.get_mut(file)
                        && pieces.last() != Some(&piece)
                    {
                        pieces.push(piece);
                    }
                }
            }
            _ => _ = out.to_check.insert(piece),
        }
    }
    draw_samples(&mut out, changed, config, rng);
    out
}

impl Reconciled {
    /// Without resume data: everything that lies within the files is to be checked, with these files kept apart.
    pub fn nothing_claimed(files: &[Option<FileState>], layout: &StorageLayout, apart: &Bitfield) -> Reconciled {
        let count = piece_count(layout);
        let mut to_check = Bitfield::none(count);
        for piece in 0..count {
            let whole = homes(layout, piece, apart)
                .all(|(file, end)| files.get(file).copied().flatten().is_some_and(|file| end <= file.length));
            if whole {
                to_check.insert(piece);
            }
        }
        Reconciled { trusted: Bitfield::none(count), samples: Bitfield::none(count), to_check }
    }

    /// A sample's hash was wrong: nothing is believed any more of the files that it lies in. Their trusted pieces are to
    /// be checked; they are returned. `apart`: the files that were kept apart.
    pub fn sample_failed(&mut self, piece: u32, layout: &StorageLayout, apart: &Bitfield) -> Vec<u32> {
        let mut moved = Vec::new();
        let mut doubt = |other: u32| {
            if self.trusted.remove(other) {
                self.to_check.insert(other);
                moved.push(other);
            }
        };
        for (file, _) in homes(layout, piece, apart) {
            match layout.pieces_of(file) {
                Some((first, last)) => (first..=last).for_each(&mut doubt),
                // The part file.
                None => layout.shared_pieces().iter().copied().for_each(&mut doubt),
            }
        }
        moved
    }
}

/// The files that a piece lies in, with how long each must be for it; the part file has the number behind the last one's.
pub(crate) fn homes<'a>(
    layout: &'a StorageLayout,
    piece: u32,
    apart: &'a Bitfield,
) -> impl Iterator<Item = (usize, u64)> + 'a {
    layout.spans(piece, 0, layout.piece_length(), apart).filter_map(|span| {
        let end = span.offset.saturating_add(span.length);
        match span.place {
            Place::File => Some((span.file, end)),
            Place::PartFile => Some((layout.files().len(), end)),
            Place::Padding => None,
        }
    })
}

fn standing(recorded: Option<FileState>, now: Option<FileState>) -> Standing {
    match (recorded, now) {
        (_, None) => Standing::Missing,
        (None, Some(_)) => Standing::Suspicious,
        (Some(then), Some(now)) if then == now => Standing::AsRecorded,
        (Some(then), Some(now)) if now.length >= then.length && now.modified >= then.modified => Standing::ChangedLater,
        (Some(_), Some(_)) => Standing::Suspicious,
    }
}

/// Moves a random few of each changed file's pieces from the trusted to the samples: at least one of each file.
fn draw_samples(out: &mut Reconciled, changed: Vec<Vec<u32>>, config: &PersistConfig, rng: &mut Rng) {
    let files = changed.iter().filter(|pieces| !pieces.is_empty()).count().max(1);
    let each = (config.max_samples as usize / files).clamp(1, (config.samples_per_file as usize).max(1));
    for mut pieces in changed {
        for drawn in 0..each.min(pieces.len()) {
            let other = drawn + rng.index(pieces.len() - drawn);
            pieces.swap(drawn, other);
            // A piece of two files may have been drawn for the first already; then it serves both.
            if let Some(&piece) = pieces.get(drawn)
                && out.trusted.remove(piece)
            {
                out.samples.insert(piece);
                out.to_check.insert(piece);
            }
        }
    }
}

fn piece_count(layout: &StorageLayout) -> u32 {
    match layout.piece_length() {
        0 => 0,
        // More than a torrent may have is refused long before; here it is treated as nothing at all.
        length => u32::try_from(layout.total_length().div_ceil(u64::from(length)))
            .ok()
            .filter(|&count| count <= Geometry::MAX_PIECES)
            .unwrap_or(0),
    }
}
