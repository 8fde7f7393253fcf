//! Contents, and whether two are the same.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file, or a folder of files, whose bytes are a function of its name.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// The folder that holds it.
    pub dir: PathBuf,
}

impl Content {
    /// One file.
    pub fn file(dir: &Path, name: &str, length: usize) -> Content {
        fs::write(dir.join(name), noise(name, length)).expect("a file can be written");
        Content { name: name.to_owned(), dir: dir.to_owned() }
    }

    /// A folder of files, whose paths are separated by `/`.
    pub fn folder(dir: &Path, name: &str, files: &[(&str, usize)]) -> Content {
        for (path, length) in files {
            let at = dir.join(name).join(path);
            fs::create_dir_all(at.parent().expect("it is in a folder")).expect("a folder can be made");
            fs::write(at, noise(path, *length)).expect("a file can be written");
        }
        Content { name: name.to_owned(), dir: dir.to_owned() }
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Fails unless the same files, and no others, lie in `dir`, with the same SHA-256.
    #[track_caller]
    pub fn assert_same_in(&self, dir: &Path) {
        assert_eq!(digests(&dir.join(&self.name)), digests(&self.path()), "what lies in {}", dir.display());
    }
}

/// A file's SHA-256, in hexadecimal.
fn sha256(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each file's path below `root`, and SHA-256.
fn digests(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    if root.is_file() {
        folders.clear();
        found.insert(PathBuf::new(), sha256(root));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).expect("it is below").to_owned(), sha256(&path));
            }
        }
    }
    found
}

/// Bytes that look random (xorshift), so that no block is like another.
fn noise(name: &str, length: usize) -> Vec<u8> {
    let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    }) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
