//! The limits of reading a `.torrent` file.

use crate::bencode;

/// How much a `.torrent` file may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetainfoLimits {
    /// The most bytes of the file. The hashes of the most pieces take 40 MiB; the rest is for names.
    pub bytes: usize,
    /// The most lists and dictionaries inside each other (libtorrent: 100). A v2 path takes one for each element.
    pub depth: usize,
    /// The most values in the file (libtorrent: 3,000,000); a list or dictionary costs 8 bytes while the file is read.
    pub tokens: usize,
    /// The most files, pad files included. The largest torrents that are about have some hundred thousand. Each costs
    /// its path twice, with the torrent's name in front; 24 bytes of input may cost a kilobyte.
    pub files: usize,
    /// The greatest piece length, in bytes: libtorrent's, 32,767 blocks. More would not fit into one `Verify`.
    pub piece_length: u32,
    /// The most bytes of one path, the separators counted. Linux takes 4,095 with the folder in front.
    pub path_bytes: usize,
    /// The most files that are renamed because their paths collide (libtorrent: 500).
    pub renames: u32,
    /// The most trackers, web seeds, HTTP seeds and nodes, each, that are looked at. What is over is left out. Real torrents have under a
    /// hundred; each tracker costs an announce now and then.
    pub addresses: usize,
    /// The most bytes of a comment or another text for people. What is over is cut off.
    pub text_bytes: usize,
}

impl Default for MetainfoLimits {
    fn default() -> MetainfoLimits {
        MetainfoLimits {
            bytes: 64 << 20,
            depth: 100,
            tokens: 3_000_000,
            files: 250_000,
            piece_length: 32_767 * 16_384,
            path_bytes: 3_072,
            renames: 500,
            addresses: 1_000,
            text_bytes: 64 << 10,
        }
    }
}

impl MetainfoLimits {
    pub(super) fn bencode(&self) -> bencode::Limits {
        bencode::Limits { bytes: self.bytes, depth: self.depth, tokens: self.tokens }
    }
}
