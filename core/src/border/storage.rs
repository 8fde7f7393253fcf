//! How a torrent's bytes lie in files, as the driver needs to know it.
//!
//! # The part file
//!
//! Where some files of a torrent are not wanted, pieces that they share with wanted ones are fetched all the same, and hold
//! bytes that have no file to go to. These go to the *part file*, of which a torrent has one at most:
//! [`StorageLayout::part_path`]. A file that is kept *apart* has its bytes of shared pieces there; all its other bytes
//! would lie in the file itself, which is not created for the sake of the shared ones. Which files are apart is told by
//! [`Work::Place`](super::Work::Place), and [`StorageLayout::spans`] says where each byte lies then.
//!
//! A *shared* piece holds bytes of two files or more, pad files not counted. The part file has a slot for each, in their
//! order, of one piece length: so its form depends on the torrent alone, and it has no header that could be damaged. What
//! was never written in it is a hole. A torrent whose files begin at pieces (BEP 47) has no shared pieces, and never a
//! part file.

use super::InfoHash;
use crate::bitfield::Bitfield;
use crate::path::SafePath;
use alloc::vec::Vec;

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutFile {
    /// Where it lies under the download folder; the torrent's name comes first when it has many files.
    pub path: SafePath,
    /// Its length in bytes.
    pub length: u64,
    /// Where it starts, counted from the first byte of the torrent.
    pub offset: u64,
    /// A pad file (BEP 47): zeros that are hashed and served, and never written.
    pub pad: bool,
    /// Whether the owner may run it (BEP 47 `x`). Not applied by default.
    pub executable: bool,
}

/// All files of a torrent, in order: they touch, and the last ends at the torrent's total length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageLayout {
    files: Vec<LayoutFile>,
    piece_length: u32,
    total_length: u64,
    /// Pieces with bytes of several files, rising.
    shared: Vec<u32>,
}

/// A range of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// The file's place in [`StorageLayout::files`].
    pub file: usize,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// How many bytes; at least 1.
    pub length: u64,
}

/// Where bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file that they belong to.
    File,
    /// In the part file.
    PartFile,
    /// Nowhere: they are zeros of a pad file.
    Padding,
}

/// A range of bytes that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The file that they belong to: its place in [`StorageLayout::files`].
    pub file: usize,
    /// Where they lie.
    pub place: Place,
    /// Where in that file or in the part file, in bytes.
    pub offset: u64,
    /// How many bytes; at least 1.
    pub length: u64,
}

impl StorageLayout {
    /// A layout of files given as (path, length, pad, executable); offsets are counted here.
    ///
    /// # Panics
    /// Never on checked metainfo: sums that overflow are refused there, and saturate here.
    pub fn new(files: impl IntoIterator<Item = (SafePath, u64, bool, bool)>, piece_length: u32) -> StorageLayout {
        let mut offset = 0u64;
        let files: Vec<LayoutFile> = files
            .into_iter()
            .map(|(path, length, pad, executable)| {
                let file = LayoutFile { path, length, offset, pad, executable };
                offset = offset.saturating_add(length);
                file
            })
            .collect();
        let shared = shared_pieces(&files, piece_length);
        StorageLayout { files, piece_length, total_length: offset, shared }
    }

    /// The files in order.
    pub fn files(&self) -> &[LayoutFile] {
        &self.files
    }

    /// The piece length in bytes.
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// All bytes, pad files included.
    pub fn total_length(&self) -> u64 {
        self.total_length
    }

    /// The files that `length` bytes from `begin` of `piece` lie in, in order, files of no length left out. What would
    /// lie behind the end of the torrent is left out too.
    pub fn ranges(&self, piece: u32, begin: u32, length: u32) -> impl Iterator<Item = FileRange> + '_ {
        let start = u64::from(piece) * u64::from(self.piece_length) + u64::from(begin);
        let end = start.saturating_add(u64::from(length)).min(self.total_length);
        // The last file that starts at or before `start`; files of no length share an offset with their successor.
        let first = self.files.partition_point(|file| file.offset + file.length <= start);
        self.files.iter().enumerate().skip(first).take_while(move |(_, file)| file.offset < end).filter_map(
            move |(index, file)| {
                let from = start.max(file.offset);
                let to = end.min(file.offset + file.length);
                (from < to).then(|| FileRange { file: index, offset: from - file.offset, length: to - from })
            },
        )
    }

    /// Where `length` bytes from `begin` of `piece` lie, in order, when the files in `apart` are kept apart; otherwise as
    /// [`StorageLayout::ranges`].
    pub fn spans<'a>(
        &'a self,
        piece: u32,
        begin: u32,
        length: u32,
        apart: &'a Bitfield,
    ) -> impl Iterator<Item = Span> + 'a {
        self.ranges(piece, begin, length).flat_map(move |range| {
            let mut done = 0;
            core::iter::from_fn(move || {
                let span = self.span(range, done, apart)?;
                done += span.length;
                Some(span)
            })
        })
    }

    /// The part of a range that starts `done` bytes into it and lies together.
    fn span(&self, range: FileRange, done: u64, apart: &Bitfield) -> Option<Span> {
        let file = self.files.get(range.file)?;
        let left = range.length.checked_sub(done).filter(|&left| left > 0)?;
        let offset = range.offset + done;
        let here = |place, offset, length| Some(Span { file: range.file, place, offset, length });
        if file.pad {
            return here(Place::Padding, offset, left);
        }
        if !apart.get(u32::try_from(range.file).ok()?) {
            return here(Place::File, offset, left);
        }
        // One of several pieces: each may be shared or not.
        let piece_length = u64::from(self.piece_length);
        let (at, within) = ((file.offset + offset) / piece_length, (file.offset + offset) % piece_length);
        let length = left.min(piece_length - within);
        match u32::try_from(at).ok().and_then(|piece| self.slot(piece)) {
            Some(slot) => here(Place::PartFile, slot + within, length),
            None => here(Place::File, offset, length),
        }
    }

    /// Where in the part file a piece has its slot; `None` for one that is not shared.
    fn slot(&self, piece: u32) -> Option<u64> {
        let number = self.shared.binary_search(&piece).ok()?;
        Some(number as u64 * u64::from(self.piece_length))
    }

    /// The pieces that hold bytes of several files, pad files not counted; rising.
    pub fn shared_pieces(&self) -> &[u32] {
        &self.shared
    }

    /// The pieces that a file shares with others: its first, its last, or none.
    pub fn shared_pieces_of(&self, file: usize) -> impl Iterator<Item = u32> + '_ {
        let ends = self.files.get(file).filter(|file| !file.pad).and_then(|_| self.pieces_of(file));
        let first = ends.map(|(first, _)| first);
        let last = ends.map(|(_, last)| last).filter(|&last| Some(last) != first);
        first.into_iter().chain(last).filter(|piece| self.shared.binary_search(piece).is_ok())
    }

    /// What a file has of a shared piece: the range in the file, and where the part file holds it while the file is apart.
    /// `None` when the piece is not shared, or not with this file.
    pub fn kept(&self, file: usize, piece: u32) -> Option<(FileRange, u64)> {
        let slot = self.slot(piece)?;
        let range = self.ranges(piece, 0, self.piece_length).find(|range| range.file == file)?;
        let start = self.files.get(file).filter(|file| !file.pad)?.offset + range.offset;
        Some((range, slot + start % u64::from(self.piece_length)))
    }

    /// The path of the part file, beside the torrent's other files. It is hidden where names with a dot in front are, and no
    /// file of the torrent can have it: `key` is the torrent's hash, which no name can hold that the hash is made from.
    pub fn part_path(&self, key: InfoHash) -> SafePath {
        let name = alloc::format!(".{key}.parts");
        let folder = self.files.first().and_then(|file| file.path.elements().split_last()).map(|(_, folder)| folder);
        // Of the torrent's own folder only: its first file may lie deeper.
        let folder = folder.and_then(|folder| folder.first()).map(|folder| folder.as_bytes());
        SafePath::sanitize(folder.into_iter().chain([name.as_bytes()]))
    }

    /// The pieces that hold bytes of a file, as first and last; `None` for a file of no length.
    pub fn pieces_of(&self, file: usize) -> Option<(u32, u32)> {
        let file = self.files.get(file)?;
        if file.length == 0 || self.piece_length == 0 {
            return None;
        }
        let length = u64::from(self.piece_length);
        Some(((file.offset / length) as u32, ((file.offset + file.length - 1) / length) as u32))
    }
}

/// The pieces that hold bytes of two files or more.
fn shared_pieces(files: &[LayoutFile], piece_length: u32) -> Vec<u32> {
    let length = u64::from(piece_length.max(1));
    let mut shared: Vec<u32> = Vec::new();
    let mut last_piece = None;
    for file in files.iter().filter(|file| !file.pad && file.length > 0) {
        let first = u32::try_from(file.offset / length).unwrap_or(u32::MAX);
        if last_piece == Some(first) && shared.last() != Some(&first) {
            shared.push(first);
        }
        last_piece = u32::try_from((file.offset + file.length - 1) / length).ok();
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn layout(files: &[(&str, u64, bool)]) -> StorageLayout {
        let path = |name: &str| SafePath::sanitize(["t", name].map(str::as_bytes));
        StorageLayout::new(files.iter().map(|&(name, length, pad)| (path(name), length, pad, false)), 100)
    }

    fn apart(layout: &StorageLayout, files: &[u32]) -> Bitfield {
        let mut set = Bitfield::none(layout.files().len() as u32);
        files.iter().for_each(|&file| _ = set.insert(file));
        set
    }

    fn span(file: usize, place: Place, offset: u64, length: u64) -> Span {
        Span { file, place, offset, length }
    }

    #[test]
    fn pieces_of_several_files_are_shared() {
        // 0..50, 50..100, 100..420 (of no length at 420), 420..430, pad to 500, 500..600
        let files = layout(&[
            ("a", 50, false),
            ("b", 50, false),
            ("c", 320, false),
            ("e", 0, false),
            ("d", 10, false),
            ("p", 70, true),
            ("f", 100, false),
        ]);
        assert_eq!(files.shared_pieces(), [0, 4]);
        assert_eq!(files.shared_pieces_of(0).collect::<Vec<_>>(), [0]);
        assert_eq!(files.shared_pieces_of(2).collect::<Vec<_>>(), [4]);
        assert_eq!(files.shared_pieces_of(3).count(), 0, "no bytes, no pieces");
        assert_eq!(files.shared_pieces_of(5).count() + files.shared_pieces_of(6).count(), 0);
    }

    #[test]
    fn files_that_begin_at_pieces_share_none() {
        let files = layout(&[("a", 150, false), ("p", 50, true), ("b", 100, false), ("c", 70, false)]);
        assert_eq!(files.shared_pieces(), []);
        let all = apart(&files, &[0, 1, 2, 3]);
        let lie = files.spans(0, 0, 400, &all).map(|span| span.place).collect::<Vec<_>>();
        assert_eq!(lie, [Place::File, Place::File, Place::Padding, Place::File, Place::File]);
    }

    #[test]
    fn a_file_that_is_apart_has_its_shared_ends_in_the_part_file() {
        // a 0..150, b 150..380, c 380..450: pieces 1 and 3 are shared.
        let files = layout(&[("a", 150, false), ("b", 230, false), ("c", 70, false)]);
        assert_eq!(files.shared_pieces(), [1, 3]);
        let lie: Vec<Span> = files.spans(0, 0, 450, &apart(&files, &[1])).collect();
        assert_eq!(
            lie,
            [
                span(0, Place::File, 0, 150),
                span(1, Place::PartFile, 50, 50),
                span(1, Place::File, 50, 100),
                span(1, Place::PartFile, 100, 80),
                span(2, Place::File, 0, 70),
            ]
        );
        let inside: Vec<Span> = files.spans(3, 10, 20, &apart(&files, &[1])).collect();
        assert_eq!(inside, [span(1, Place::PartFile, 110, 20)]);
        assert_eq!(files.kept(1, 3), Some((FileRange { file: 1, offset: 150, length: 80 }, 100)));
        assert_eq!(files.kept(2, 3), Some((FileRange { file: 2, offset: 0, length: 20 }, 180)));
        assert_eq!((files.kept(1, 2), files.kept(0, 3)), (None, None));
    }

    #[test]
    fn spans_without_files_apart_are_the_ranges() {
        let files = layout(&[("a", 150, false), ("b", 230, false), ("c", 70, false)]);
        let ranges = vec![(0, 0, 150), (1, 0, 230), (2, 0, 70)];
        let lie: Vec<_> = files.spans(0, 0, 500, &Bitfield::default()).map(|s| (s.file, s.offset, s.length)).collect();
        assert_eq!(lie, ranges);
    }

    #[test]
    fn the_part_file_is_hidden_in_the_torrents_folder() {
        let files = layout(&[("a", 150, false), ("b", 230, false)]);
        let path = files.part_path(InfoHash([0xab; 20]));
        assert_eq!(std::format!("{path}"), std::format!("t/.{}.parts", "ab".repeat(20)));
    }
}
