//! Why a `.torrent` file is refused.

use super::GeometryError;
use crate::bencode::{DecodeError, FieldError};
use alloc::string::String;
use core::fmt;

/// Why bytes are not a torrent that can be used. The text names the field or the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetainfoError {
    /// The file is not bencoding, or too large.
    Bencode(DecodeError),
    /// The file is bencoding, but no dictionary.
    NotADictionary,
    /// A field is missing or wrong.
    Field {
        /// The dictionary it belongs to, like `info.files[3]`; empty for the outermost.
        within: String,
        /// The field, and what is wrong with it.
        error: FieldError,
    },
    /// The info dictionary of a v2 torrent is not canonical (BEP 52).
    NotCanonical(DecodeError),
    /// The sizes do not make a torrent.
    Geometry(GeometryError),
    /// More files than [`MetainfoLimits::files`](super::MetainfoLimits::files).
    TooManyFiles(usize),
    /// More files of the same path than [`MetainfoLimits::renames`](super::MetainfoLimits::renames).
    TooManyCollisions(u32),
    /// The hybrid's two file lists differ; the number is the first file, counted without pad files, that does.
    HybridMismatch(usize),
    /// The piece layer of a file does not lead to the file's root, or has a wrong length; the text is the file's path.
    PieceLayer(String),
}

impl fmt::Display for MetainfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetainfoError::Bencode(error) => write!(f, "not a torrent file: {error}"),
            MetainfoError::NotADictionary => f.write_str("not a torrent file: byte 0: not a dictionary"),
            MetainfoError::Field { within, error } if within.is_empty() => write!(f, "{error}"),
            MetainfoError::Field { within, error } => write!(f, "{within}: {error}"),
            MetainfoError::NotCanonical(error) => {
                write!(f, "field \"info\": a version 2 torrent must be canonical bencoding: {error}")
            }
            MetainfoError::Geometry(error) => write!(f, "info: {error}"),
            MetainfoError::TooManyFiles(most) => write!(f, "info: more than {most} files"),
            MetainfoError::TooManyCollisions(most) => write!(f, "info: more than {most} files whose paths collide"),
            MetainfoError::HybridMismatch(file) => {
                write!(f, "info: \"files\" and \"file tree\" do not agree on file {file}")
            }
            MetainfoError::PieceLayer(path) => {
                write!(f, "field \"piece layers\": the entry of {path:?} does not match its root")
            }
        }
    }
}

impl core::error::Error for MetainfoError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            MetainfoError::Bencode(error) | MetainfoError::NotCanonical(error) => Some(error),
            MetainfoError::Field { error, .. } => Some(error),
            MetainfoError::Geometry(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DecodeError> for MetainfoError {
    fn from(error: DecodeError) -> MetainfoError {
        MetainfoError::Bencode(error)
    }
}

impl From<GeometryError> for MetainfoError {
    fn from(error: GeometryError) -> MetainfoError {
        MetainfoError::Geometry(error)
    }
}

/// Says which dictionary a field error belongs to.
pub(super) trait Within<T> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T, MetainfoError>;
}

impl<T> Within<T> for Result<T, FieldError> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T, MetainfoError> {
        self.map_err(|error| MetainfoError::Field { within: place(), error })
    }
}
