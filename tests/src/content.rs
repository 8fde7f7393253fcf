//! Torrents whose bytes can be made again at any place.

use bytes::Bytes;
use parcacik_core::bencode::Encoder;
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
}

impl Content {
    /// One file of `length` bytes, different for each `salt`.
    pub fn new(name: &str, length: usize, piece_length: u32, salt: u64) -> Content {
        Content::with_files(name, &[(name, length)], piece_length, salt, &[])
    }

    /// Files of the given lengths; several make a folder. `trackers`: a tier each.
    pub fn with_files(name: &str, files: &[(&str, usize)], piece_length: u32, salt: u64, trackers: &[&str]) -> Content {
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
        let pieces: Vec<u8> = bytes.chunks(piece_length as usize).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();

        let mut info = Encoder::new();
        info.begin_dict();
        if let [(_, only)] = files {
            info.bytes(b"length").int(*only as i64);
        } else {
            info.bytes(b"files").begin_list();
            for (path, length) in files {
                info.begin_dict().bytes(b"length").int(*length as i64).bytes(b"path").begin_list();
                for element in path.split('/') {
                    info.bytes(element.as_bytes());
                }
                info.end().end();
            }
            info.end();
        }
        info.bytes(b"name").bytes(name.as_bytes());
        info.bytes(b"piece length").int(i64::from(piece_length));
        info.bytes(b"pieces").bytes(&pieces);
        info.end();
        let info = info.finish();

        let mut file = Vec::from(&b"d"[..]);
        if let [first, ..] = trackers {
            let mut list = Encoder::new();
            list.begin_list();
            for tracker in trackers {
                list.begin_list().bytes(tracker.as_bytes()).end();
            }
            list.end();
            file.extend(format!("8:announce{}:{first}13:announce-list", first.len()).bytes());
            file.extend(list.finish());
        }
        file.extend(b"4:info");
        file.extend(&info);
        file.push(b'e');
        Content {
            name: name.to_owned(),
            bytes,
            metainfo: Bytes::from(file),
            info_hash: Sha1::digest(&info).into(),
            piece_length,
        }
    }
}
