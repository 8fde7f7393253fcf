//! Torrents whose bytes can be made again at any place.

use crate::second::{Range, Word};
use bytes::Bytes;
use parcacik_core::bencode::encode_dict;
use parcacik_core::metainfo::{Magnet, Metainfo, MetainfoLimits};
use sha1::{Digest, Sha1};

/// A torrent made up for a test: content by a formula, and the metainfo for it.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The `.torrent` file, with trackers where some were asked for.
    pub metainfo: Bytes,
    /// Its v1 info-hash.
    pub info_hash: [u8; 20],
    /// Piece length in bytes.
    pub piece_length: u32,
    /// The files: path within the torrent (of a single one: its name) and length.
    pub files: Vec<(String, usize)>,
}

impl Content {
    /// One file of `length` bytes, different for each `salt`.
    pub fn new(name: &str, length: usize, piece_length: u32, salt: u64) -> Content {
        Content::with_files(name, &[(name, length)], piece_length, salt, &[])
    }

    /// Files of the given lengths; several make a folder. One in the folder `.pad` is a pad file (BEP 47): zeros that nobody keeps.
    /// `trackers`: a tier each.
    pub fn with_files(name: &str, files: &[(&str, usize)], piece_length: u32, salt: u64, trackers: &[&str]) -> Content {
        let tiers: Vec<Vec<&str>> = trackers.iter().map(|&tracker| vec![tracker]).collect();
        Content::with_tiers(name, files, (piece_length, salt), &tiers, false)
    }

    /// Its info dictionary.
    ///
    /// # Panics
    /// When somebody has made its metainfo another text than such.
    pub fn info(&self) -> Bytes {
        let parsed = Metainfo::parse(&self.metainfo, &MetainfoLimits::default()).expect("metainfo");
        self.metainfo.slice(parsed.info_span())
    }

    /// Its magnet link, with its trackers.
    ///
    /// # Panics
    /// As [`Content::info`].
    pub fn magnet(&self) -> String {
        let parsed = Metainfo::parse(&self.metainfo, &MetainfoLimits::default()).expect("metainfo");
        Magnet::of(&parsed).to_string()
    }

    /// The same with tiers of several trackers, and private (BEP 27) or not.
    pub fn with_tiers(
        name: &str,
        files: &[(&str, usize)],
        (piece_length, salt): (u32, u64),
        tiers: &[Vec<&str>],
        private: bool,
    ) -> Content {
        let length: usize = files.iter().map(|(_, length)| length).sum();
        let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            // xorshift: every block differs from every other.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(length);
        let mut start = 0;
        for (path, length) in files {
            if is_pad(path) {
                bytes[start..start + length].fill(0);
            }
            start += length;
        }
        let pieces: Vec<u8> =
            bytes.chunks(piece_length as usize).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();

        let info = encode_dict(|info| {
            if let [(_, only)] = files {
                info.int("length", *only as i64);
            } else {
                info.list("files", |list| {
                    for (path, length) in files {
                        list.dict(|file| {
                            if is_pad(path) {
                                file.bytes("attr", "p");
                            }
                            file.int("length", *length as i64).list("path", |elements| {
                                for element in path.split('/') {
                                    elements.bytes(element);
                                }
                            });
                        });
                    }
                });
            }
            info.bytes("name", name).int("piece length", i64::from(piece_length)).bytes("pieces", &pieces);
            if private {
                info.int("private", 1);
            }
        });
        let file = encode_dict(|file| {
            if let Some(first) = tiers.iter().flatten().next() {
                file.bytes("announce", first).list("announce-list", |list| {
                    for tier in tiers {
                        list.list(|urls| tier.iter().for_each(|url| _ = urls.bytes(url)));
                    }
                });
            }
            file.raw("info", &info);
        });
        Content {
            name: name.to_owned(),
            bytes,
            files: files.iter().map(|&(path, length)| (path.to_owned(), length)).collect(),
            metainfo: Bytes::from(file),
            info_hash: Sha1::digest(&info).into(),
            piece_length,
        }
    }

    /// The same of a private torrent (BEP 27).
    pub fn into_private(self) -> Content {
        let (from, key) = (b"4:infod6:length", b"7:privatei1e");
        let at = self.metainfo.windows(from.len()).position(|part| part == from).expect("it has one file");
        // `private` comes last in an info dictionary that has no key behind it.
        let end = self.metainfo.len() - 1;
        let info = [&self.metainfo[at + 6..end - 1], key, b"e"].concat();
        let metainfo = [&self.metainfo[..at + 6], &info, b"e"].concat();
        Content { info_hash: Sha1::digest(&info).into(), metainfo: metainfo.into(), ..self }
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> u32 {
        self.bytes.len().div_ceil(self.piece_length as usize) as u32
    }

    /// The `piece` message that answers a request; `None` where it lies outside.
    pub fn block(&self, asked: Range) -> Option<Word> {
        let start =
            (asked.piece as usize).checked_mul(self.piece_length as usize)?.checked_add(asked.begin as usize)?;
        let data = self.bytes.get(start..start.checked_add(asked.length as usize)?)?;
        Some(Word::Piece(asked.piece, asked.begin, data.to_vec()))
    }
}

/// Whether a file is there to fill a piece.
fn is_pad(path: &str) -> bool {
    path.starts_with(".pad/")
}
