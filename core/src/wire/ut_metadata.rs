//! The messages of BEP 9, by which the info dictionary is had from peers.
//!
//! BEP 9: "The metadata is handled in blocks of 16KiB (16384 Bytes). The metadata blocks are indexed starting at 0. All
//! blocks are 16KiB except the last block which may be smaller." A message is a bencoded dictionary; in `data`, "The metadata
//! piece is appended to the bencoded dictionary, it is not a part of the dictionary", so its end has to be found by reading.
//!
//! ```
//! use parcacik_core::wire::UtMetadata;
//!
//! let request = UtMetadata::Request { piece: 0 };
//! assert_eq!(request.emit(), b"d8:msg_typei0e5:piecei0ee");
//! assert_eq!(UtMetadata::parse(&request.emit().into()), Ok(request));
//! ```

use crate::bencode::{Document, Limits, Mode, encode_dict};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// The length of every block but the last, in bytes.
pub const METADATA_BLOCK: u32 = 16 * 1024;

/// How many blocks an info dictionary of so many bytes has.
pub const fn metadata_blocks(size: u32) -> u32 {
    size.div_ceil(METADATA_BLOCK)
}

/// How long a block is in an info dictionary of so many bytes; `None` when there is no such block.
pub const fn metadata_block_length(size: u32, block: u32) -> Option<u32> {
    match block.checked_mul(METADATA_BLOCK) {
        Some(begin) if begin < size => {
            let rest = size - begin;
            Some(if rest < METADATA_BLOCK { rest } else { METADATA_BLOCK })
        }
        _ => None,
    }
}

/// A message of the extension. Numbers are as they came: nothing is checked against any torrent.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UtMetadata {
    /// "The `request` message does not have any additional keys in the dictionary."
    Request {
        /// The block that is wanted.
        piece: u32,
    },
    /// A block.
    Data {
        /// Which.
        piece: u32,
        /// `total_size`, the length of the whole in bytes: "the same semantics as the `metadata_size` in the extension
        /// header". Some leave it out; what is no number of that range counts as left out.
        total_size: Option<u32>,
        /// The bytes behind the dictionary.
        data: Bytes,
    },
    /// "It SHOULD be interpreted as the peer does not have the piece of metadata that was requested."
    Reject {
        /// The block that was asked for.
        piece: u32,
    },
    /// "In order to support future extensability, an unrecognized message ID MUST be ignored."
    Unknown {
        /// Its number.
        kind: i64,
    },
}

/// The payload does not begin with a bencoded dictionary that has a kind and, where the kind is known, a piece of at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtMetadata;

impl fmt::Display for NotUtMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed metadata message")
    }
}

impl core::error::Error for NotUtMetadata {}

impl UtMetadata {
    /// What reading the dictionary may cost: three keys are known; extensions of it have been seen to add a few.
    const LIMITS: Limits = Limits { bytes: 4096, depth: 8, tokens: 64 };

    /// Reads the payload of a message. Data are a slice of it.
    ///
    /// # Errors
    /// When it is no such message.
    pub fn parse(payload: &Bytes) -> Result<UtMetadata, NotUtMetadata> {
        // The limit is of the dictionary; what is behind it has its own, the framer's.
        let head = payload.get(..Self::LIMITS.bytes).unwrap_or(payload);
        let document = Document::decode_prefix(head, Mode::Tolerant, &Self::LIMITS).map_err(|_| NotUtMetadata)?;
        let dict = document.root().dict().ok_or(NotUtMetadata)?;
        let int = |key| dict.get(key).and_then(|value| value.int());
        let kind = int("msg_type").ok_or(NotUtMetadata)?;
        if !(0..=2).contains(&kind) {
            return Ok(UtMetadata::Unknown { kind });
        }
        let piece = int("piece").and_then(|piece| u32::try_from(piece).ok()).ok_or(NotUtMetadata)?;
        Ok(match kind {
            0 => UtMetadata::Request { piece },
            1 => UtMetadata::Data {
                piece,
                total_size: int("total_size").and_then(|size| u32::try_from(size).ok()).filter(|&size| size > 0),
                data: payload.slice(document.length()..),
            },
            _ => UtMetadata::Reject { piece },
        })
    }

    /// The payload of the message, canonical.
    pub fn emit(&self) -> Vec<u8> {
        let (kind, piece) = match *self {
            UtMetadata::Request { piece } => (0, Some(piece)),
            UtMetadata::Data { piece, .. } => (1, Some(piece)),
            UtMetadata::Reject { piece } => (2, Some(piece)),
            UtMetadata::Unknown { kind } => (kind, None),
        };
        let mut out = encode_dict(|dict| {
            dict.int("msg_type", kind);
            if let Some(piece) = piece {
                dict.int("piece", piece.into());
            }
            if let UtMetadata::Data { total_size: Some(size), .. } = self {
                dict.int("total_size", (*size).into());
            }
        });
        if let UtMetadata::Data { data, .. } = self {
            out.extend_from_slice(data);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn parse(payload: &[u8]) -> Result<UtMetadata, NotUtMetadata> {
        UtMetadata::parse(&Bytes::copy_from_slice(payload))
    }

    #[test]
    fn what_is_written_is_read() {
        let all = [
            UtMetadata::Request { piece: 7 },
            UtMetadata::Reject { piece: u32::MAX },
            UtMetadata::Data { piece: 0, total_size: Some(34_256), data: Bytes::from(vec![b'e'; 16_384]) },
            UtMetadata::Data { piece: 1, total_size: None, data: Bytes::new() },
            UtMetadata::Unknown { kind: 9 },
        ];
        for message in all {
            assert_eq!(parse(&message.emit()), Ok(message));
        }
    }

    #[test]
    fn data_begin_right_behind_the_dictionary_whatever_they_look_like() {
        let read = parse(b"d8:msg_typei1e5:piecei0e10:total_sizei3425eed1:ai1ee");
        assert_eq!(
            read,
            Ok(UtMetadata::Data { piece: 0, total_size: Some(3425), data: Bytes::from_static(b"d1:ai1ee") })
        );
    }

    #[test]
    fn sizes_that_cannot_be_are_left_out() {
        for size in ["0", "-1", "99999999999", "99999999999999999999999"] {
            let payload = std::format!("d8:msg_typei1e5:piecei0e10:total_sizei{size}eex");
            let Ok(UtMetadata::Data { total_size, data, .. }) = parse(payload.as_bytes()) else { panic!("{size}") };
            assert_eq!((total_size, &data[..]), (None, &b"x"[..]), "{size}");
        }
    }

    #[test]
    fn unknown_kinds_are_no_error_and_nonsense_is() {
        assert_eq!(parse(b"d8:msg_typei3ee"), Ok(UtMetadata::Unknown { kind: 3 }));
        assert_eq!(parse(b"d8:msg_typei-1e5:piecei0ee"), Ok(UtMetadata::Unknown { kind: -1 }));
        let bad: [&[u8]; 7] = [
            b"",
            b"le",
            b"i1e",
            b"de",
            b"d8:msg_typei0ee",
            b"d8:msg_typei0e5:piecei-1ee",
            b"d8:msg_typei0e5:piecei4294967296ee",
        ];
        for payload in bad {
            assert_eq!(parse(payload), Err(NotUtMetadata), "{payload:?}");
        }
        let deep = [&b"d1:a"[..], &vec![b'l'; 100_000], b"e"].concat();
        assert_eq!(parse(&deep), Err(NotUtMetadata));
    }

    #[test]
    fn blocks_are_16_kib_and_the_last_is_what_is_left() {
        assert_eq!([1, 16_384, 16_385, 34_256].map(metadata_blocks), [1, 1, 2, 3]);
        assert_eq!(metadata_block_length(34_256, 0), Some(16_384));
        assert_eq!(metadata_block_length(34_256, 2), Some(1488));
        assert_eq!(metadata_block_length(32_768, 1), Some(16_384));
        assert_eq!(metadata_block_length(32_768, 2), None);
        assert_eq!(metadata_block_length(u32::MAX, u32::MAX), None);
    }
}
