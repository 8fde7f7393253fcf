//! The files of a torrent, as they will lie under the download folder.

use super::{MetainfoError, MetainfoLimits, top};
use crate::border::StorageLayout;
use crate::path::SafePath;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

/// One file as a torrent describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it lies under the download folder; the torrent's name comes first when it has many files.
    pub path: SafePath,
    /// Its length in bytes; 0 for a link.
    pub length: u64,
    /// Where it starts, counted from the first byte of the torrent.
    pub offset: u64,
    /// A pad file (BEP 47). In a v2 torrent, which has none, the gaps between its files.
    pub pad: bool,
    /// Whether the owner may run it (BEP 47 `x`).
    pub executable: bool,
    /// Whether it is to be hidden (BEP 47 `h`).
    pub hidden: bool,
    /// What a symbolic link (BEP 47 `l`) points to, as a path like `path`: a file of this torrent, or the link itself
    /// where the torrent names nothing such. Links are never made.
    pub symlink: Option<SafePath>,
    /// The root of the file's Merkle tree (BEP 52); `None` in v1 torrents and for empty files.
    pub pieces_root: Option<[u8; 32]>,
    /// Its place in the [`StorageLayout`]; `None` for links, which have no data.
    pub layout: Option<usize>,
}

/// The letters of BEP 47's `attr`; ones that are not known are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub pad: bool,
    pub executable: bool,
    pub hidden: bool,
    pub symlink: bool,
}

impl Attributes {
    pub fn read(letters: &[u8]) -> Attributes {
        let has = |letter| letters.contains(&letter);
        Attributes { pad: has(b'p'), executable: has(b'x'), hidden: has(b'h'), symlink: has(b'l') }
    }
}

/// Gives every file a path of its own, and says which ones were renamed.
///
/// Paths are compared without regard to case, as the file systems of Windows and macOS do. A file whose path another
/// file has, or lies in as in a folder, gets a number: `bar.txt`, `bar.1.txt`. Pad files and links are not looked at;
/// they are never made.
pub(super) fn resolve_collisions(
    files: &mut [FileEntry],
    limits: &MetainfoLimits,
) -> Result<Vec<(SafePath, SafePath)>, MetainfoError> {
    let real: Vec<usize> =
        (0..files.len()).filter(|&at| files.get(at).is_some_and(|file| !file.pad && file.symlink.is_none())).collect();
    // In sorted order, what lies in a folder comes straight behind the path of that folder, because the separator is
    // smaller than any character a path can hold.
    let mut keys: Vec<(String, usize)> = real.iter().filter_map(|&at| Some((key(&files.get(at)?.path), at))).collect();
    keys.sort();
    let mut colliding: Vec<usize> = Vec::new();
    for (at, (path, file)) in keys.iter().enumerate() {
        let repeated = at.checked_sub(1).and_then(|before| keys.get(before)).is_some_and(|(before, _)| before == path);
        let has_inside = match keys.get(at + 1) {
            None => false,
            Some((next, _)) if next == path => is_folder(&keys, path),
            Some((next, _)) => next.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with(SEPARATOR)),
        };
        if repeated || has_inside {
            colliding.push(*file);
        }
    }
    colliding.sort_unstable();
    let mut given: BTreeSet<String> = BTreeSet::new();
    let mut renamed = Vec::new();
    for file in colliding {
        if renamed.len() >= limits.renames as usize {
            return Err(MetainfoError::TooManyCollisions(limits.renames));
        }
        let Some(file) = files.get_mut(file) else { continue };
        let free = (1..=limits.renames).map(|number| file.path.numbered(number)).find(|candidate| {
            let key = key(candidate);
            !given.contains(&key)
                && !is_folder(&keys, &key)
                && keys.binary_search_by(|(path, _)| path.cmp(&key)).is_err()
        });
        let Some(free) = free else { return Err(MetainfoError::TooManyCollisions(limits.renames)) };
        given.insert(key(&free));
        renamed.push((core::mem::replace(&mut file.path, free.clone()), free));
    }
    Ok(renamed)
}

/// Whether some file lies in `path` as in a folder.
fn is_folder(keys: &[(String, usize)], path: &str) -> bool {
    let mut prefix = path.to_owned();
    prefix.push(SEPARATOR);
    let first = keys.partition_point(|(key, _)| key.as_str() < prefix.as_str());
    keys.get(first).is_some_and(|(key, _)| key.starts_with(&prefix))
}

const SEPARATOR: char = '\0';

fn key(path: &SafePath) -> String {
    let mut key = String::with_capacity(path.elements().iter().map(|element| element.len() + 1).sum());
    for (at, element) in path.elements().iter().enumerate() {
        if at > 0 {
            key.push(SEPARATOR);
        }
        if element.is_ascii() {
            let start = key.len();
            key.push_str(element);
            key[start..].make_ascii_lowercase();
        } else {
            key.extend(element.chars().flat_map(char::to_lowercase));
        }
    }
    key
}

/// Links point to files of the torrent or to themselves (BEP 47 says the first; the second is harmless).
pub(super) fn check_links(files: &mut [FileEntry], warnings: &mut Vec<String>) {
    if files.iter().all(|file| file.symlink.is_none()) {
        return;
    }
    let targets: BTreeSet<SafePath> =
        files.iter().filter(|file| !file.pad && file.symlink.is_none()).map(|file| file.path.clone()).collect();
    for file in files {
        if let Some(target) = &file.symlink
            && !targets.contains(target)
        {
            top::warn(warnings, || alloc::format!("the link {} does not lead to a file of the torrent", file.path));
            file.symlink = Some(file.path.clone());
        }
    }
}

/// Counts the offsets, and makes the layout of what has data or is to be made.
pub(super) fn lay_out(files: &mut [FileEntry], piece_length: u32) -> StorageLayout {
    let mut offset = 0u64;
    let mut stored = 0usize;
    for file in files.iter_mut() {
        file.offset = offset;
        // The sum was checked when the files were read.
        offset = offset.saturating_add(file.length);
        file.layout = file.symlink.is_none().then(|| {
            stored += 1;
            stored - 1
        });
    }
    let kept = files.iter().filter(|file| file.layout.is_some());
    StorageLayout::new(kept.map(|file| (file.path.clone(), file.length, file.pad, file.executable)), piece_length)
}
