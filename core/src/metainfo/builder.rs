//! Making a v1 `.torrent` file, without reading one byte of its data.
//!
//! [`Builder::new`] checks the list of files and cuts it into pieces. [`Builder::next_job`] then says which ranges of which
//! files to hash, piece by piece; whoever reads and hashes tells the outcome by [`Builder::piece_hashed`], in any order and
//! as many at once as it likes. When none is missing, [`Builder::finish`] writes the file, canonically.
//!
//! ```
//! use parcacik_core::metainfo::builder::{BuildOptions, Builder, SourceFile};
//!
//! let file = SourceFile { path: vec![], length: 5, executable: false };
//! let options = BuildOptions { name: "hello.txt".into(), ..BuildOptions::default() };
//! let mut builder = Builder::new(vec![file], options).unwrap();
//! while let Some(job) = builder.next_job() {
//!     assert_eq!((job.ranges[0].file, job.ranges[0].length), (0, 5));
//!     let sha1 = *b"\xaa\xf4\xc6\x1d\xdc\xc5\xe8\xa2\xda\xbe\xde\x0f\x3b\x48\x2c\xd9\xae\xa9\x43\x4d"; // of "hello"
//!     builder.piece_hashed(job.piece, sha1);
//! }
//! assert!(builder.finish().unwrap().starts_with(b"d4:infod6:lengthi5e4:name9:hello.txt"));
//! ```

use super::geometry::BLOCK_LENGTH;
use super::{Geometry, GeometryError, MetainfoLimits, PieceIndex};
use crate::bencode::{DictEncoder, encode_dict};
use crate::border::{FileRange, StorageLayout};
use crate::path::SafePath;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

#[cfg(test)]
mod tests;

/// A file that is to be in the torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path inside the torrent's folder, element by element. Empty for the one file of a single-file torrent, which
    /// is called what the torrent is called.
    pub path: Vec<String>,
    /// Its length in bytes.
    pub length: u64,
    /// Whether the owner may run it; written as BEP 47's `x`.
    pub executable: bool,
}

/// What else is to be in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// The name of the file, or of the folder that the files are in.
    pub name: String,
    /// The length of a piece in bytes; `None` for [`auto_piece_length`].
    pub piece_length: Option<u32>,
    /// URLs of trackers by tier (BEP 12). One alone is written as `announce` only.
    pub trackers: Vec<Vec<String>>,
    /// URLs of web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// Whether peers may come from the trackers only (BEP 27).
    pub private: bool,
    /// Words for people.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// Now, in seconds since 1970-01-01 UTC; the core has no clock. Not written when negative.
    pub creation_date: Option<i64>,
    /// The site it is made for; it changes the info-hash.
    pub source: Option<String>,
}

/// Why no torrent can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The torrent or a file has no usable name: empty, `.` or `..`, with a `/` or NUL, too deep, or too long.
    BadName(String),
    /// Two files have the same path, or one lies in another as in a folder.
    SamePath(String),
    /// A file without a path is not alone.
    NotAlone,
    /// A piece length greater than other programs take, in bytes.
    PieceLength(u32),
    /// More files than a torrent may have.
    TooManyFiles(usize),
    /// The sizes do not make a torrent.
    Geometry(GeometryError),
    /// The hashes of so many pieces are missing.
    Missing(u32),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::BadName(name) => write!(f, "{name:?} cannot be the name of a file in a torrent"),
            BuildError::SamePath(path) => write!(f, "two files of the torrent would lie at {path:?}"),
            BuildError::NotAlone => f.write_str("a file without a path must be the only one"),
            BuildError::PieceLength(length) => {
                let most = MetainfoLimits::default().piece_length;
                write!(f, "pieces of {length} bytes: at most {most} are handled")
            }
            BuildError::TooManyFiles(count) => {
                write!(f, "{count} files: at most {} are handled", MetainfoLimits::default().files)
            }
            BuildError::Geometry(error) => fmt::Display::fmt(error, f),
            BuildError::Missing(count) => write!(f, "{count} pieces have not been hashed yet"),
        }
    }
}

impl core::error::Error for BuildError {}

/// The piece length that suits so many bytes: the smallest power of two that makes at most 2,000 pieces of them, from
/// 16 KiB, one block, to 16 MiB.
///
/// So the `.torrent` file has 20 to 40 KB of hashes from 16 MiB on up to 32 GiB. Smaller pieces spread faster and waste less
/// when they are damaged; more of them make the file, the messages and the bookkeeping larger. Pieces over 16 MiB are not
/// taken by some clients.
pub fn auto_piece_length(total: u64) -> u32 {
    const MOST_PIECES: u64 = 2_000;
    const LONGEST: u32 = 16 << 20;
    let mut length = BLOCK_LENGTH;
    while length < LONGEST && total.div_ceil(u64::from(length)) > MOST_PIECES {
        length *= 2;
    }
    length
}

/// A piece that is to be hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashJob {
    /// Which one.
    pub piece: PieceIndex,
    /// The bytes to hash, in order; `file` counts the files that were given to [`Builder::new`].
    pub ranges: Vec<FileRange>,
}

/// A torrent in the making.
#[derive(Clone, Debug)]
pub struct Builder {
    files: Vec<SourceFile>,
    options: BuildOptions,
    geometry: Geometry,
    layout: StorageLayout,
    /// The number of the next piece to give out.
    next: u32,
    /// 20 bytes for each piece.
    hashes: Vec<u8>,
    hashed: crate::bitfield::Bitfield,
}

impl Builder {
    /// Starts a torrent of these files, in this order.
    ///
    /// # Errors
    /// When there is something that no torrent can hold.
    pub fn new(files: Vec<SourceFile>, options: BuildOptions) -> Result<Builder, BuildError> {
        let limits = MetainfoLimits::default();
        if files.len() > limits.files {
            return Err(BuildError::TooManyFiles(files.len()));
        }
        check_name(&options.name)?;
        check_paths(&files)?;
        let total = files
            .iter()
            .try_fold(0u64, |sum, file| sum.checked_add(file.length))
            .filter(|&sum| i64::try_from(sum).is_ok())
            .ok_or(BuildError::Geometry(GeometryError::TooManyPieces(u64::MAX)))?;
        let piece_length = options.piece_length.unwrap_or_else(|| auto_piece_length(total));
        if piece_length > limits.piece_length {
            return Err(BuildError::PieceLength(piece_length));
        }
        let geometry = Geometry::new(total, piece_length).map_err(BuildError::Geometry)?;
        let mut stored = Vec::with_capacity(files.len());
        for file in &files {
            let path = stored_path(&options.name, file);
            super::info::check_path(&path, file.path.len(), &limits)
                .map_err(|_| BuildError::BadName(file.path.join("/")))?;
            stored.push((path, file.length, false, file.executable));
        }
        let layout = StorageLayout::new(stored, piece_length);
        Ok(Builder {
            layout,
            next: 0,
            // At most 40 MiB, by the limit on pieces.
            hashes: alloc::vec![0; geometry.pieces() as usize * 20],
            hashed: crate::bitfield::Bitfield::none(geometry.pieces()),
            geometry,
            files,
            options,
        })
    }

    /// The sizes.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How the files lie one behind the other. The paths are those under which the files will be *stored*; where a name
    /// is not safe everywhere, that is not the name in the torrent (see [`renamed`](Builder::renamed)).
    pub fn layout(&self) -> &StorageLayout {
        &self.layout
    }

    /// The files whose names are not safe everywhere, so that they are stored under other ones: number of the file, and
    /// that path. The user may want to know, for this program will look for the data there.
    pub fn renamed(&self) -> impl Iterator<Item = (usize, &SafePath)> {
        let files = self.files.iter().zip(self.layout.files()).enumerate();
        files.filter_map(|(at, (source, stored))| {
            let given = core::iter::once(self.options.name.as_str()).chain(source.path.iter().map(String::as_str));
            let same = given.eq(stored.path.elements().iter().map(String::as_str));
            (!same).then_some((at, &stored.path))
        })
    }

    /// The next piece to hash; each is given out once. `None` when all are.
    pub fn next_job(&mut self) -> Option<HashJob> {
        let piece = self.geometry.piece(self.next)?;
        self.next += 1;
        let ranges = self.layout.ranges(piece.get(), 0, self.geometry.length(piece)).collect();
        Some(HashJob { piece, ranges })
    }

    /// Takes the SHA-1 hash of a piece. Told again, the later one counts.
    pub fn piece_hashed(&mut self, piece: PieceIndex, hash: [u8; 20]) {
        // A piece of another torrent may lie behind the end; it is ignored.
        if let Some(place) = self.hashes.as_chunks_mut::<20>().0.get_mut(piece.index()) {
            *place = hash;
            self.hashed.insert(piece.get());
        }
    }

    /// How many pieces have no hash yet.
    pub fn missing(&self) -> u32 {
        self.hashed.len() - self.hashed.count()
    }

    /// The bytes of the `.torrent` file.
    ///
    /// # Errors
    /// [`BuildError::Missing`] while a piece has no hash.
    pub fn finish(&self) -> Result<Vec<u8>, BuildError> {
        if self.missing() > 0 {
            return Err(BuildError::Missing(self.missing()));
        }
        let options = &self.options;
        Ok(encode_dict(|top| {
            let urls = || options.trackers.iter().flatten();
            if let Some(first) = urls().next() {
                top.bytes("announce", first);
            }
            // BEP 12: a list of tiers, each a list of URLs. A reader that does not know it uses `announce`.
            if urls().nth(1).is_some() {
                top.list("announce-list", |tiers| {
                    for tier in options.trackers.iter().filter(|tier| !tier.is_empty()) {
                        tiers.list(|urls| {
                            for url in tier {
                                urls.bytes(url);
                            }
                        });
                    }
                });
            }
            optional(top, "comment", options.comment.as_deref());
            optional(top, "created by", options.created_by.as_deref());
            if let Some(date) = options.creation_date.filter(|&date| date >= 0) {
                top.int("creation date", date);
            }
            top.dict("info", |info| self.write_info(info));
            match options.web_seeds.as_slice() {
                [] => {}
                [one] => {
                    top.bytes("url-list", one);
                }
                many => {
                    top.list("url-list", |urls| {
                        for url in many {
                            urls.bytes(url);
                        }
                    });
                }
            }
        }))
    }

    fn write_info(&self, info: &mut DictEncoder<'_>) {
        match self.files.as_slice() {
            // BEP 3: "If `length` is present then the download represents a single file".
            [only] if only.path.is_empty() => write_file(info, only),
            files => {
                info.list("files", |list| {
                    for file in files {
                        list.dict(|dict| {
                            write_file(dict, file);
                            dict.list("path", |path| {
                                for element in &file.path {
                                    path.bytes(element);
                                }
                            });
                        });
                    }
                });
            }
        }
        info.bytes("name", &self.options.name);
        info.int("piece length", i64::from(self.geometry.piece_length()));
        info.bytes("pieces", &self.hashes);
        if self.options.private {
            info.int("private", 1);
        }
        optional(info, "source", self.options.source.as_deref());
    }
}

fn write_file(dict: &mut DictEncoder<'_>, file: &SourceFile) {
    // The sum of all lengths was checked to fit.
    dict.int("length", i64::try_from(file.length).unwrap_or(i64::MAX));
    if file.executable {
        dict.bytes("attr", "x");
    }
}

fn optional(dict: &mut DictEncoder<'_>, key: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        dict.bytes(key, text);
    }
}

fn stored_path(name: &str, file: &SourceFile) -> SafePath {
    SafePath::sanitize(core::iter::once(name).chain(file.path.iter().map(String::as_str)).map(str::as_bytes))
}

fn check_name(name: &str) -> Result<(), BuildError> {
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    if bad { Err(BuildError::BadName(name.into())) } else { Ok(()) }
}

fn check_paths(files: &[SourceFile]) -> Result<(), BuildError> {
    if files.iter().any(|file| file.path.is_empty()) {
        return if files.len() == 1 { Ok(()) } else { Err(BuildError::NotAlone) };
    }
    for file in files {
        file.path.iter().try_for_each(|element| check_name(element))?;
    }
    let mut paths: Vec<&[String]> = files.iter().map(|file| file.path.as_slice()).collect();
    paths.sort_unstable();
    // Sorted, what lies in a folder comes straight behind the folder.
    match paths.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        Some(pair) => Err(BuildError::SamePath(pair[0].join("/"))),
        None => Ok(()),
    }
}
