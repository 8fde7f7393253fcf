//! A file system between a program and a power cut: a cache, a medium, and what has not come from the one to the other.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file, by whatever name.
pub type Inode = usize;

/// What was done and is not safe yet, in order.
#[derive(Clone, Debug)]
pub enum Pending {
    /// Bytes of a file.
    Write {
        /// Which.
        file: Inode,
        /// Where, in bytes.
        at: usize,
        /// What.
        bytes: Bytes,
    },
    /// A file has a name now.
    Name {
        /// Which; `None`: the name is gone.
        file: Option<Inode>,
        /// The name.
        name: String,
    },
    /// A file has another name.
    Rename {
        /// The old one.
        from: String,
        /// The new one; what had it before has no name any more.
        to: String,
        /// Which.
        file: Inode,
    },
}

/// A file as the program sees it, and as the medium has it.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What a read gives.
    pub cached: Vec<u8>,
    /// What is safe. Shared with the images that are made of it.
    pub safe: Arc<Vec<u8>>,
    /// When it was last written to.
    pub modified: i64,
    /// The same, as the medium has it.
    pub safe_modified: i64,
    /// Goes up with every sync: with the writes that wait since, it tells versions of a file apart.
    pub version: u64,
}

/// All files.
#[derive(Clone, Debug, Default)]
pub struct FileSystem {
    nodes: Vec<Node>,
    names: BTreeMap<String, Inode>,
    safe_names: BTreeMap<String, Inode>,
    pending: Vec<Pending>,
    clock: i64,
    /// Goes up with every change.
    changes: u64,
}

impl FileSystem {
    /// One with these files, all safe: name, bytes, time of change.
    pub fn with(files: impl IntoIterator<Item = (String, Vec<u8>, i64)>) -> FileSystem {
        let mut fs = FileSystem::default();
        for (name, bytes, modified) in files {
            fs.clock = fs.clock.max(modified);
            fs.names.insert(name.clone(), fs.nodes.len());
            fs.safe_names.insert(name, fs.nodes.len());
            let safe = Arc::new(bytes.clone());
            fs.nodes.push(Node { cached: bytes, safe, modified, safe_modified: modified, version: 0 });
        }
        fs
    }

    /// Counts changes: where it is the same, everything is.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What a power cut may take.
    pub fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// A file.
    pub fn node(&self, file: Inode) -> &Node {
        &self.nodes[file]
    }

    /// The names that are safe.
    pub fn safe_names(&self) -> &BTreeMap<String, Inode> {
        &self.safe_names
    }

    /// The names as the program sees them.
    pub fn names(&self) -> impl Iterator<Item = (&str, Inode)> {
        self.names.iter().map(|(name, &file)| (name.as_str(), file))
    }

    /// What a name leads to.
    pub fn find(&self, name: &str) -> Option<&Node> {
        self.names.get(name).map(|&file| &self.nodes[file])
    }

    /// Makes a new file of no length, in the place of what had the name.
    pub fn create(&mut self, name: &str) -> Inode {
        self.tick();
        let file = self.nodes.len();
        self.nodes.push(Node { modified: self.clock, safe_modified: self.clock, ..Node::default() });
        self.names.insert(name.to_owned(), file);
        self.pending.push(Pending::Name { file: Some(file), name: name.to_owned() });
        file
    }

    /// Writes; makes the file when it is not there, and grows it when it must.
    pub fn write(&mut self, name: &str, at: usize, bytes: Bytes) {
        let file = self.names.get(name).copied().unwrap_or_else(|| self.create(name));
        self.tick();
        let node = &mut self.nodes[file];
        put(&mut node.cached, at, &bytes);
        node.modified = self.clock;
        self.pending.push(Pending::Write { file, at, bytes });
    }

    /// Gives a file another name, in the place of what had it.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(file) = self.names.remove(from) {
            self.changes += 1;
            self.names.insert(to.to_owned(), file);
            self.pending.push(Pending::Rename { from: from.to_owned(), to: to.to_owned(), file });
        }
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &str) {
        if self.names.remove(name).is_some() {
            self.changes += 1;
            self.pending.push(Pending::Name { file: None, name: name.to_owned() });
        }
    }

    /// Whether something of this file would not be left.
    pub fn is_dirty(&self, name: &str) -> bool {
        let wanted = self.names.get(name);
        self.pending.iter().any(|pending| matches!(pending, Pending::Write { file, .. } if Some(file) == wanted))
    }

    /// Makes a file's bytes and time of change safe; not its name.
    pub fn sync_file(&mut self, name: &str) {
        let Some(&file) = self.names.get(name) else { return };
        self.changes += 1;
        self.settle(file, |_| true);
    }

    /// The same, and it fails: of the writes that waited, those are safe for which `kept` says so. The rest is lost, and as
    /// systems do, the file is "clean" from then on: another sync of it will find nothing to do. Who reads it now finds what
    /// the medium has, for a driver drops what was cached.
    pub fn sync_fails(&mut self, name: &str, kept: impl FnMut(usize) -> bool) {
        let Some(&file) = self.names.get(name) else { return };
        self.changes += 1;
        self.settle(file, kept);
        let node = &mut self.nodes[file];
        node.cached = node.safe.to_vec();
    }

    fn settle(&mut self, file: Inode, mut kept: impl FnMut(usize) -> bool) {
        let node = &mut self.nodes[file];
        let mut safe = node.safe.to_vec();
        let mut number = 0;
        self.pending.retain(|pending| match pending {
            Pending::Write { file: other, at, bytes } if *other == file => {
                if kept(number) {
                    put(&mut safe, *at, bytes);
                }
                number += 1;
                false
            }
            _ => true,
        });
        node.safe = Arc::new(safe);
        node.safe_modified = node.modified;
        node.version += 1;
    }

    /// Makes the names safe that begin so: those of a folder.
    pub fn sync_names(&mut self, folder: &str) {
        self.changes += 1;
        let (now, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| matches!(pending, Pending::Name { name, .. } | Pending::Rename { to: name, .. } if name.starts_with(folder)));
        self.pending = later;
        for pending in Vec::from_iter::<Vec<Pending>>(now) {
            apply(&mut self.safe_names, &pending);
        }
    }

    fn tick(&mut self) {
        self.changes += 1;
        self.clock += 1;
    }
}

/// Puts bytes into a file.
pub(super) fn put(into: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[at..end].copy_from_slice(bytes);
}

/// Changes names.
pub(super) fn apply(names: &mut BTreeMap<String, Inode>, pending: &Pending) {
    match pending {
        Pending::Write { .. } => {}
        Pending::Name { file: Some(file), name } => _ = names.insert(name.clone(), *file),
        Pending::Name { file: None, name } => _ = names.remove(name),
        Pending::Rename { from, to, file } => {
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_synced_is_safe_and_names_apart_from_bytes() {
        let mut fs = FileSystem::default();
        fs.write("a", 0, Bytes::from_static(b"one"));
        fs.write("b", 2, Bytes::from_static(b"two"));
        assert_eq!(fs.find("b").unwrap().cached, b"\0\0two");
        fs.sync_file("a");
        assert_eq!((&fs.find("a").unwrap().safe[..], fs.safe_names().len()), (&b"one"[..], 0));
        assert!(fs.is_dirty("b") && !fs.is_dirty("a"));
        fs.sync_names("");
        assert_eq!(fs.safe_names().len(), 2);
        fs.rename("b", "a");
        assert!(fs.find("b").is_none());
        assert_eq!(fs.safe_names()["a"], 0, "the old one is what a power cut leaves");
        fs.sync_names("a");
        assert_eq!(fs.safe_names().iter().collect::<Vec<_>>(), [(&"a".to_owned(), &1)]);
    }

    #[test]
    fn a_sync_that_fails_loses_what_waited_and_the_next_has_nothing_to_do() {
        let mut fs = FileSystem::default();
        fs.write("a", 0, Bytes::from_static(b"one"));
        fs.write("a", 3, Bytes::from_static(b"two"));
        fs.sync_fails("a", |number| number == 1);
        assert_eq!(fs.find("a").unwrap().cached, b"\0\0\0two");
        fs.sync_file("a");
        assert_eq!(fs.find("a").unwrap().safe[..], b"\0\0\0two"[..]);
    }
}
