//! What resume data claim, and whether it is true.

use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use parcacik_core::torrent::resume::ResumeData;
use sha1::{Digest as _, Sha1};
use std::fs;
use std::path::{Path, PathBuf};

/// The pieces that resume data claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Their numbers, ascending.
    pub pieces: Vec<u32>,
}

impl Claims {
    /// Of the bytes of a resume file; `None` when they are not whole.
    pub fn parse(bytes: &[u8]) -> Option<Claims> {
        let data = ResumeData::parse(bytes).ok()?;
        Some(Claims { pieces: data.pieces.iter().collect() })
    }

    /// Of the newest resume data in a state folder that holds those of one torrent. None there claim nothing.
    pub fn newest(state: &Path) -> Claims {
        let Ok(entries) = fs::read_dir(state) else { return Claims::default() };
        let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
        // Between two renames of a save only the older one has its name.
        for ending in [".resume", ".resume.1"] {
            let mut found = paths.iter().filter(|path| path.to_string_lossy().ends_with(ending));
            if let Some(path) = found.next() {
                assert!(found.next().is_none(), "one torrent, one {ending}");
                let bytes = fs::read(path).expect("resume data can be read");
                return Claims::parse(&bytes).unwrap_or_else(|| panic!("{} is damaged", path.display()));
            }
        }
        Claims::default()
    }

    /// Fails unless each piece claimed lies in `dir` with the right SHA-1.
    pub fn assert_true(&self, torrent: &Path, dir: &Path) {
        let torrent = metainfo(torrent);
        let (layout, geometry) = (torrent.layout(), torrent.geometry());
        for &number in &self.pieces {
            let piece = geometry.piece(number).expect("resume data are of this torrent");
            let mut hasher = Sha1::new();
            for range in layout.ranges(number, 0, geometry.length(piece)) {
                let file = &layout.files()[range.file];
                if file.pad {
                    hasher.update(vec![0; range.length as usize]);
                    continue;
                }
                let path = dir.join(file.path.elements().iter().collect::<PathBuf>());
                let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let (from, to) = (range.offset as usize, (range.offset + range.length) as usize);
                assert!(to <= bytes.len(), "piece {number} is claimed, and {} ends before it", path.display());
                hasher.update(&bytes[from..to]);
            }
            let right = torrent.piece_hashes().get(piece).expect("a v1 torrent has them");
            assert_eq!(<[u8; 20]>::from(hasher.finalize()), right, "piece {number} is claimed");
        }
    }
}

/// A torrent file.
pub fn metainfo(torrent: &Path) -> Metainfo {
    let bytes = fs::read(torrent).expect("the torrent can be read");
    Metainfo::parse(&bytes, &MetainfoLimits::default()).expect("the torrent is right")
}
