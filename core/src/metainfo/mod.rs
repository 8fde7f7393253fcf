//! What a `.torrent` file says.
//!
//! [`Metainfo::parse`] reads a file of version 1 (BEP 3), version 2 (BEP 52) or both, checks everything that can be
//! checked without the data, and makes every path safe. Unimportant faults are tolerated and listed in
//! [`Metainfo::warnings`]; errors name the field or the byte.
//!
//! ```
//! use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
//!
//! let file = b"d8:announce20:http://a.example/ann4:infod6:lengthi5e4:name5:a.txt12:piece lengthi16384e\
//!     6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
//! let torrent = Metainfo::parse(file, &MetainfoLimits::default()).unwrap();
//! assert_eq!(torrent.name(), "a.txt");
//! assert_eq!(torrent.geometry().pieces(), 1);
//! assert_eq!(torrent.trackers(), [["http://a.example/ann"]]);
//! ```

pub mod builder;
mod error;
mod files;
mod geometry;
mod info;
mod limits;
pub mod magnet;
pub mod merkle;
#[cfg(test)]
mod tests;
mod top;
mod v2;

pub use error::MetainfoError;
pub use files::FileEntry;
pub use geometry::{BLOCK_LENGTH, Block, Geometry, GeometryError, PieceIndex};
pub use limits::MetainfoLimits;
pub use magnet::Magnet;

use crate::bencode::{Dict, Document, Mode};
use crate::border::{InfoHashes, StorageLayout};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;
use error::Within;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use top::Top;

/// A checked `.torrent` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    hashes: InfoHashes,
    info_span: Range<usize>,
    name: String,
    geometry: Geometry,
    piece_hashes: PieceHashes,
    files: Vec<FileEntry>,
    layout: StorageLayout,
    piece_layers: v2::PieceLayers,
    private: bool,
    source: Option<String>,
    top: Top,
    warnings: Vec<String>,
}

/// The SHA-1 hashes of a v1 torrent's pieces; none in a torrent that is v2 only. Clones share the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceHashes {
    /// 20 bytes for each piece.
    bytes: Bytes,
}

impl PieceHashes {
    /// The hash of a piece.
    pub fn get(&self, piece: PieceIndex) -> Option<[u8; 20]> {
        let start = piece.index().checked_mul(20)?;
        self.bytes.get(start..start.checked_add(20)?)?.try_into().ok()
    }

    /// How many hashes there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / 20
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Metainfo {
    /// Reads a `.torrent` file.
    ///
    /// # Errors
    /// The first fault that makes the torrent unusable.
    pub fn parse(bytes: &[u8], limits: &MetainfoLimits) -> Result<Metainfo, MetainfoError> {
        let document = Document::decode_prefix(bytes, Mode::Lenient, &limits.bencode())?;
        let root = document.root().dict().ok_or(MetainfoError::NotADictionary)?;
        let mut warnings = Vec::new();
        let deviations = document.deviations();
        for (offset, what) in [
            (deviations.unsorted_key, "dictionary keys are not sorted"),
            (deviations.duplicate_key, "a dictionary key is there twice, the first one counts"),
            (deviations.leading_zero, "a number has a leading zero"),
            ((document.length() < bytes.len()).then(|| document.length()), "bytes behind the end are ignored"),
        ] {
            warnings.extend(offset.map(|offset| alloc::format!("byte {offset}: {what}")));
        }
        let info = root.require_dict("info").within(String::new)?;
        let top = Top::read(&root, limits, &mut warnings);
        Metainfo::read_info(&info, Some(&root), top, limits, warnings)
    }

    /// Reads an info dictionary alone, as peers send it (BEP 9). Whoever asked for it by its hash must compare that with
    /// [`hashes`](Metainfo::hashes). Trackers and the like are then known from elsewhere.
    ///
    /// # Errors
    /// The first fault that makes the torrent unusable.
    pub fn parse_info(bytes: &[u8], limits: &MetainfoLimits) -> Result<Metainfo, MetainfoError> {
        let document = Document::decode(bytes, Mode::Lenient, &limits.bencode())?;
        let info = document.root().dict().ok_or(MetainfoError::NotADictionary)?;
        Metainfo::read_info(&info, None, Top::default(), limits, Vec::new())
    }

    /// `root` is the dictionary around `info`, where there is one.
    fn read_info(
        info: &Dict<'_, '_>,
        root: Option<&Dict<'_, '_>>,
        mut top: Top,
        limits: &MetainfoLimits,
        mut warnings: Vec<String>,
    ) -> Result<Metainfo, MetainfoError> {
        let raw = info.as_value();
        let is_v2 = v2::is_v2(info)?;
        // A torrent of both versions has the keys of both (BEP 52, "Upgrade Path").
        let is_v1 = !is_v2 || info.get("pieces").is_some();
        let hashes = InfoHashes {
            v1: is_v1.then(|| Sha1::digest(raw.raw()).into()),
            v2: is_v2.then(|| Sha256::digest(raw.raw()).into()),
        };
        let piece_length = info::piece_length(info, limits)?;
        if is_v2 {
            check_canonical(info, limits)?;
            v2::check_piece_length(info, piece_length)?;
        }
        let mut name = info::name(info, || hashes.best().to_hex())?;
        let mut files = if is_v1 { info::v1_files(info, &name, limits)? } else { Vec::new() };
        if is_v1 && is_v2 {
            let folder = info.get("files").is_some().then_some(name.as_str());
            v2::agree(&mut files, &v2::files(info, folder, limits)?, piece_length)?;
        } else if is_v2 {
            let single = v2::single_name(info);
            let tree = v2::files(info, single.is_none().then_some(name.as_str()), limits)?;
            // The file is called what the tree calls it; the torrent's name "is purely advisory".
            if let (Some(_), Some(file)) = (single, tree.first()) {
                file.path.file_name().clone_into(&mut name);
            }
            files = v2::with_gaps(tree, &name, piece_length).ok_or(GeometryError::TooManyPieces(u64::MAX))?;
        }
        // Sums cannot overflow: whoever read the lists checked them.
        let geometry = Geometry::new(files.iter().map(|file| file.length).sum(), piece_length)?;
        let piece_hashes = match is_v1 {
            true => PieceHashes { bytes: info::v1_pieces(info, geometry.pieces())? },
            false => PieceHashes::default(),
        };
        let piece_layers = match is_v2 {
            true => v2::piece_layers(root, &files, piece_length, &mut warnings)?,
            false => v2::PieceLayers::new(),
        };
        files::check_links(&mut files, &mut warnings);
        for (from, to) in files::resolve_collisions(&mut files, limits)? {
            top::warn(&mut warnings, || alloc::format!("two files are called {from}; one is stored as {to}"));
        }
        let layout = files::lay_out(&mut files, piece_length);
        if files.iter().any(|file| file.path.elements().len() > 1) {
            top.make_folders();
        }
        Ok(Metainfo {
            hashes,
            info_span: raw.span(),
            name,
            geometry,
            piece_hashes,
            files,
            layout,
            piece_layers,
            // BEP 27: "private=1"; in the info dictionary only, and no other number.
            private: matches!(info.int("private"), Ok(Some(1))),
            source: top::text(info, &["source"], limits),
            top,
            warnings,
        })
    }

    /// The info-hashes.
    pub fn hashes(&self) -> InfoHashes {
        self.hashes
    }

    /// Where the info dictionary lies in the bytes that were parsed.
    pub fn info_span(&self) -> Range<usize> {
        self.info_span.clone()
    }

    /// The torrent's name, made safe: the file's name, or the folder's when it has many files.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its sizes, pad files included.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The SHA-1 hashes of its pieces; empty when it is v2 only.
    pub fn piece_hashes(&self) -> &PieceHashes {
        &self.piece_hashes
    }

    /// How the data lie in files, for the driver.
    pub fn layout(&self) -> &StorageLayout {
        &self.layout
    }

    /// The SHA-256 hashes of the pieces of a v2 file, 32 bytes each, by the file's root. `None` for a file of one piece,
    /// whose hash is its root, and where the torrent does not have them.
    pub fn piece_layer(&self, pieces_root: &[u8; 32]) -> Option<&[u8]> {
        self.piece_layers.get(pieces_root).map(|layer| &layer[..])
    }

    /// Its files as it describes them, links included.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Its bytes without pad files.
    pub fn content_length(&self) -> u64 {
        self.files.iter().filter(|file| !file.pad).map(|file| file.length).sum()
    }

    /// URLs of trackers by tier (BEP 12), in the order of the file. No tier is empty. Schemes are not checked.
    pub fn trackers(&self) -> &[Vec<String>] {
        &self.top.trackers
    }

    /// URLs of web seeds (BEP 19).
    pub fn web_seeds(&self) -> &[String] {
        &self.top.web_seeds
    }

    /// URLs of HTTP seeds (BEP 17).
    pub fn http_seeds(&self) -> &[String] {
        &self.top.http_seeds
    }

    /// DHT nodes (BEP 5): host and port.
    pub fn nodes(&self) -> &[(String, u16)] {
        &self.top.nodes
    }

    /// Words of whoever made it. Not safe to print as they are.
    pub fn comment(&self) -> Option<&str> {
        self.top.comment.as_deref()
    }

    /// The program that made it. Not safe to print as it is.
    pub fn created_by(&self) -> Option<&str> {
        self.top.created_by.as_deref()
    }

    /// When it was made: seconds since 1970-01-01 UTC, never negative.
    pub fn creation_date(&self) -> Option<i64> {
        self.top.creation_date
    }

    /// The encoding that texts are said to be in. Not used.
    pub fn encoding(&self) -> Option<&str> {
        self.top.encoding.as_deref()
    }

    /// Whether peers may come from its trackers only (BEP 27).
    pub fn private(&self) -> bool {
        self.private
    }

    /// The site it was made for: part of the info dictionary, so that the same data have another hash on each.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Whether it can be downloaded by version 1 of the protocol.
    pub fn is_v1(&self) -> bool {
        self.hashes.v1.is_some()
    }

    /// Whether it can be downloaded by version 2 of the protocol.
    pub fn is_v2(&self) -> bool {
        self.hashes.v2.is_some()
    }

    /// Whether it is of both versions.
    pub fn is_hybrid(&self) -> bool {
        self.is_v1() && self.is_v2()
    }

    /// What was tolerated, for people to read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// BEP 52 lets us "either reject invalid metainfo files or extract the substring directly". For version 1 the second is
/// done, because such files are about; for version 2 the first, as other clients have it.
fn check_canonical(info: &Dict<'_, '_>, limits: &MetainfoLimits) -> Result<(), MetainfoError> {
    let value = info.as_value();
    match Document::decode(value.raw(), Mode::Strict, &limits.bencode()) {
        Ok(_) => Ok(()),
        Err(error) => Err(MetainfoError::NotCanonical(crate::bencode::DecodeError {
            offset: value.span().start + error.offset,
            ..error
        })),
    }
}
