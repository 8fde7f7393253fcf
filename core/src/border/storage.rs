//! How a torrent's bytes lie in files, as the driver needs to know it.

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
        StorageLayout { files, piece_length, total_length: offset }
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
