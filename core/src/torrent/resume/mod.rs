//! Resume data: what is kept of a torrent between two runs.
//!
//! ```text
//! magic "PkResume" | version u16 | flags u16 | length u32 | v1 hash 20 | v2 hash 32 | generation u64
//! | uploaded u64 | downloaded u64 | pieces u32 | files u32 | with a flag: active u64, seeding u64, in microseconds
//! | for each file, and at last the part file: present u8, length u64, modified i64
//! | for each file: priority u8, and 8 more when it was kept apart
//! | with a flag: length u32, so many bytes of info dictionary
//! | bitfield, as BEP 3 has it | SHA-256 of all before
//! ```
//!
//! Numbers are big-endian; `length` counts every byte, the trailer too, and `files` the part file too. A hash that a torrent
//! does not have is zeros, and its flag is 0; times that are both 0 are left out. There is one way to write given data, and
//! [`ResumeData::parse`] refuses every other.
//!
//! The info dictionary is kept of a torrent that was added by a magnet link, which nobody might be there to give again. While it
//! is not known, there is one piece, no file and the part file: nothing that any torrent could claim.
//!
//! [`reconcile`] compares what the data claim with the files as they are now.

mod reconcile;

pub(crate) use reconcile::homes;
pub use reconcile::{Reconciled, reconcile};

use crate::bitfield::{Bitfield, BitfieldError};
use crate::border::{FileState, InfoHashes};
use crate::journal::canon::canon_struct;
use crate::metainfo::Geometry;
use crate::torrent::metadata::MetadataFetch;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;
use sha2::{Digest, Sha256};

/// What is kept of a torrent between two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeData {
    /// Which torrent.
    pub hashes: InfoHashes,
    /// The number of the save that made them; later ones are higher.
    pub generation: u64,
    /// Bytes of content sent in all runs.
    pub uploaded: u64,
    /// Bytes of verified content received in all runs.
    pub downloaded: u64,
    /// Whether the application had paused it.
    pub paused: bool,
    /// How long it has run in all runs, to the microsecond.
    pub active: Duration,
    /// How long of that it had all that was wanted, to the microsecond.
    pub seeding: Duration,
    /// Whether trackers have been told that the download completed; that is done once in a torrent's life.
    pub completed: bool,
    /// Whether all that was on the disk had been looked at: then what is not claimed was not there.
    pub examined: bool,
    /// The pieces that were whole on the disk, synced.
    pub pieces: Bitfield,
    /// Each file as it was after that sync, in the layout's order, and at last the part file; `None`: it was not there,
    /// or is a pad file.
    pub files: Vec<Option<FileState>>,
    /// The files that were kept apart then, by their place in the layout.
    pub apart: Bitfield,
    /// How much each file is wanted, 0 to 7, in the layout's order.
    pub priorities: Vec<u8>,
    /// Whether pieces are asked for in order.
    pub sequential: bool,
    /// The info dictionary, of a torrent that was added by a magnet link; whoever uses it compares its hash.
    pub info: Option<Bytes>,
}

canon_struct!(out ResumeData { hashes, generation, uploaded, downloaded, paused, active, seeding, completed, examined, pieces, files, apart, priorities, sequential, info });

/// Why bytes are not usable resume data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeError {
    /// Something else, or cut short before its length could be read.
    NotResumeData,
    /// Written by a version that we do not know.
    Version(u16),
    /// Cut short or lengthened.
    Length {
        /// Bytes that there should be.
        declared: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// The checksum is wrong: damaged.
    Checksum,
    /// More pieces than [`Geometry::MAX_PIECES`].
    TooManyPieces(u32),
    /// More files than [`ResumeData::MAX_FILES`].
    TooManyFiles(u32),
    /// The bitfield has spare bits set or does not fill the rest.
    Bitfield(BitfieldError),
    /// A flag or a field has a value that is never written.
    Field(&'static str),
    /// They belong to another torrent, or to other sizes of it.
    OtherTorrent,
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResumeError::NotResumeData => f.write_str("not resume data"),
            ResumeError::Version(version) => write!(f, "resume data of unknown version {version}"),
            ResumeError::Length { declared, got } => write!(f, "resume data of {got} bytes where {declared} are due"),
            ResumeError::Checksum => f.write_str("damaged resume data"),
            ResumeError::TooManyPieces(count) => write!(f, "resume data of {count} pieces"),
            ResumeError::TooManyFiles(count) => write!(f, "resume data of {count} files"),
            ResumeError::Bitfield(why) => write!(f, "resume data: {why}"),
            ResumeError::Field(name) => write!(f, "resume data: bad value of {name}"),
            ResumeError::OtherTorrent => f.write_str("resume data of another torrent"),
        }
    }
}

impl core::error::Error for ResumeError {}

const MAGIC: &[u8; 8] = b"PkResume";
const VERSION: u16 = 2;
const FLAG_V1: u16 = 1;
const FLAG_V2: u16 = 2;
const FLAG_COMPLETED: u16 = 4;
const FLAG_EXAMINED: u16 = 8;
const FLAG_PAUSED: u16 = 16;
/// Times follow the counts.
const FLAG_TIMES: u16 = 32;
const FLAG_SEQUENTIAL: u16 = 64;
/// The info dictionary follows the priorities.
const FLAG_INFO: u16 = 128;
const ALL_FLAGS: u16 =
    FLAG_V1 | FLAG_V2 | FLAG_COMPLETED | FLAG_EXAMINED | FLAG_PAUSED | FLAG_TIMES | FLAG_SEQUENTIAL | FLAG_INFO;
/// Added to the priority of a file that is kept apart.
const APART: u8 = 8;
const FIXED_LENGTH: usize = 8 + 2 + 2 + 4 + 20 + 32 + 8 + 8 + 8 + 4 + 4;
const TIMES_LENGTH: usize = 8 + 8;
const FILE_LENGTH: usize = 1 + 8 + 8;
const TRAILER_LENGTH: usize = 32;

impl ResumeData {
    /// The most files that are read: 18 bytes each, so 18 MB; many times the largest torrents there are.
    pub const MAX_FILES: u32 = 1_000_000;

    /// The bytes to store.
    pub fn emit(&self) -> Vec<u8> {
        let bitfield = self.pieces.to_wire();
        let times = [self.active, self.seeding].map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let timed = times != [0, 0];
        let length = FIXED_LENGTH
            + if timed { TIMES_LENGTH } else { 0 }
            + self.files.len() * FILE_LENGTH
            + self.priorities.len()
            + self.info.as_ref().map_or(0, |info| 4 + info.len())
            + bitfield.len()
            + TRAILER_LENGTH;
        let flag = |holds: bool, flag: u16| if holds { flag } else { 0 };
        let flags = flag(self.hashes.v1.is_some(), FLAG_V1)
            | flag(self.hashes.v2.is_some(), FLAG_V2)
            | flag(self.completed, FLAG_COMPLETED)
            | flag(self.examined, FLAG_EXAMINED)
            | flag(self.paused, FLAG_PAUSED)
            | flag(timed, FLAG_TIMES)
            | flag(self.sequential, FLAG_SEQUENTIAL)
            | flag(self.info.is_some(), FLAG_INFO);
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&(length as u32).to_be_bytes());
        out.extend_from_slice(&self.hashes.v1.unwrap_or_default());
        out.extend_from_slice(&self.hashes.v2.unwrap_or_default());
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.uploaded.to_be_bytes());
        out.extend_from_slice(&self.downloaded.to_be_bytes());
        out.extend_from_slice(&self.pieces.len().to_be_bytes());
        out.extend_from_slice(&(self.files.len() as u32).to_be_bytes());
        for time in times.iter().filter(|_| timed) {
            out.extend_from_slice(&time.to_be_bytes());
        }
        for file in &self.files {
            let state = file.unwrap_or(FileState { length: 0, modified: 0 });
            out.push(u8::from(file.is_some()));
            out.extend_from_slice(&state.length.to_be_bytes());
            out.extend_from_slice(&state.modified.to_be_bytes());
        }
        for (file, &priority) in (0..).zip(&self.priorities) {
            out.push(priority | if self.apart.get(file) { APART } else { 0 });
        }
        if let Some(info) = &self.info {
            out.extend_from_slice(&(info.len() as u32).to_be_bytes());
            out.extend_from_slice(info);
        }
        out.extend_from_slice(&bitfield);
        let digest = Sha256::digest(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// Reads stored bytes. Allocates no more than a small multiple of them, and nothing before their checksum is right.
    pub fn parse(bytes: &[u8]) -> Result<ResumeData, ResumeError> {
        let mut header = Reader(bytes);
        if header.take::<8>() != Some(*MAGIC) {
            return Err(ResumeError::NotResumeData);
        }
        let version = header.take().map(u16::from_be_bytes).ok_or(ResumeError::NotResumeData)?;
        if version != VERSION {
            return Err(ResumeError::Version(version));
        }
        let flags = header.take().map(u16::from_be_bytes).ok_or(ResumeError::NotResumeData)?;
        let declared = header.take().map(u32::from_be_bytes).ok_or(ResumeError::NotResumeData)?;
        let wrong_length = ResumeError::Length { declared: u64::from(declared), got: bytes.len() as u64 };
        if u64::from(declared) != bytes.len() as u64 {
            return Err(wrong_length);
        }
        let Some((body, trailer)) = bytes.split_last_chunk::<TRAILER_LENGTH>().map(|(body, trailer)| (body, *trailer))
        else {
            return Err(wrong_length);
        };
        if <[u8; TRAILER_LENGTH]>::from(Sha256::digest(body)) != trailer {
            return Err(ResumeError::Checksum);
        }
        if flags & !ALL_FLAGS != 0 {
            return Err(ResumeError::Field("flags"));
        }
        // The header has been read from the same bytes, so skipping as much again cannot fail.
        let mut reader = Reader(body.get(16..).unwrap_or_default());
        reader.rest(flags).ok_or(wrong_length)?
    }

    /// Of what a store has ([`JobResult::Loaded`](crate::border::JobResult::Loaded), the newest first), the first that is
    /// whole and of this torrent, with `pieces` pieces and `files` files (the part file not counted). When none is, why: of the newest; `None` when
    /// the store had nothing.
    pub fn choose<B: AsRef<[u8]>>(
        stored: &[B],
        hashes: &InfoHashes,
        pieces: u32,
        files: usize,
    ) -> Result<ResumeData, Option<ResumeError>> {
        let mut first_error = None;
        for bytes in stored {
            match ResumeData::parse(bytes.as_ref()) {
                Ok(data) if data.hashes == *hashes && data.pieces.len() == pieces && data.priorities.len() == files => {
                    return Ok(data);
                }
                Ok(_) => _ = first_error.get_or_insert(ResumeError::OtherTorrent),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error)
    }

    /// Of what a store has, the info dictionary of a torrent that is known by these hashes, when it is there and right.
    pub fn info_of<B: AsRef<[u8]>>(stored: &[B], hashes: &InfoHashes) -> Option<Bytes> {
        let infos = stored.iter().filter_map(|bytes| ResumeData::parse(bytes.as_ref()).ok()?.info);
        infos.into_iter().find(|info| MetadataFetch::is_right(hashes, info))
    }
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Everything between the header and the trailer; `None` when it is too short.
    fn rest(&mut self, flags: u16) -> Option<Result<ResumeData, ResumeError>> {
        let v1 = self.take::<20>()?;
        let v2 = self.take::<32>()?;
        let generation = u64::from_be_bytes(self.take()?);
        let uploaded = u64::from_be_bytes(self.take()?);
        let downloaded = u64::from_be_bytes(self.take()?);
        let pieces = u32::from_be_bytes(self.take()?);
        let count = u32::from_be_bytes(self.take()?);
        if (flags & FLAG_V1 == 0 && v1 != [0; 20]) || (flags & FLAG_V2 == 0 && v2 != [0; 32]) {
            return Some(Err(ResumeError::Field("hash")));
        }
        if pieces > Geometry::MAX_PIECES {
            return Some(Err(ResumeError::TooManyPieces(pieces)));
        }
        if count > ResumeData::MAX_FILES {
            return Some(Err(ResumeError::TooManyFiles(count)));
        }
        let [active, seeding] = match flags & FLAG_TIMES != 0 {
            true => [u64::from_be_bytes(self.take()?), u64::from_be_bytes(self.take()?)],
            false => [0, 0],
        };
        if flags & FLAG_TIMES != 0 && (active, seeding) == (0, 0) {
            return Some(Err(ResumeError::Field("times")));
        }
        if self.0.len() < count as usize * FILE_LENGTH {
            return None;
        }
        let mut files = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let present = u8::from_be_bytes(self.take()?);
            let state =
                FileState { length: u64::from_be_bytes(self.take()?), modified: i64::from_be_bytes(self.take()?) };
            match present {
                1 => files.push(Some(state)),
                0 if state == (FileState { length: 0, modified: 0 }) => files.push(None),
                _ => return Some(Err(ResumeError::Field("file"))),
            }
        }
        let mut apart = Bitfield::none(count.saturating_sub(1));
        let mut priorities = Vec::with_capacity(count.saturating_sub(1) as usize);
        for file in 0..count.saturating_sub(1) {
            let priority = u8::from_be_bytes(self.take()?);
            if priority & APART != 0 {
                apart.insert(file);
            }
            match priority & !APART {
                priority @ 0..=7 => priorities.push(priority),
                _ => return Some(Err(ResumeError::Field("priority"))),
            }
        }
        let info = match flags & FLAG_INFO != 0 {
            true => {
                let length = u32::from_be_bytes(self.take()?) as usize;
                let (info, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Some(Bytes::copy_from_slice(info))
            }
            false => None,
        };
        Some(Bitfield::from_wire(self.0, pieces).map_err(ResumeError::Bitfield).map(|pieces| ResumeData {
            hashes: InfoHashes { v1: (flags & FLAG_V1 != 0).then_some(v1), v2: (flags & FLAG_V2 != 0).then_some(v2) },
            generation,
            uploaded,
            downloaded,
            paused: flags & FLAG_PAUSED != 0,
            active: Duration::from_micros(active),
            seeding: Duration::from_micros(seeding),
            completed: flags & FLAG_COMPLETED != 0,
            examined: flags & FLAG_EXAMINED != 0,
            pieces,
            files,
            apart,
            priorities,
            sequential: flags & FLAG_SEQUENTIAL != 0,
            info,
        }))
    }
}

#[cfg(test)]
mod tests;
