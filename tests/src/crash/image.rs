//! What a power cut may leave.

use super::disk::{NEWEST, OLDER};
use super::fs::{FileSystem, Inode, Pending, apply, put};
use parcacik_core::rng::Rng;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Combinations of everything are made up to so many; above, and up to as many, those of "whole or not at all".
pub const ALL_UP_TO: usize = 4_096;
/// So many are drawn where not all are made.
pub const SAMPLE: usize = 128;

/// What becomes of one thing that was not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nothing of it is there.
    Lost,
    /// All of it is there.
    Whole,
    /// Of a write, the units of 512 bytes are there whose bits are set (the last bit counts for all after it).
    Torn512(u32),
    /// The same with units of 4 KiB.
    Torn4K(u32),
    /// Of a write, only the length of the file.
    Length,
}

/// What a write comes to where all combinations are made.
const WRITE: [Fate; 5] = [Fate::Lost, Fate::Whole, Fate::Torn512(0x0000_ffff), Fate::Torn4K(0xffff_fffe), Fate::Length];
/// What a name comes to.
const NAME: [Fate; 2] = [Fate::Lost, Fate::Whole];

/// A file on an image.
#[derive(Clone, Debug)]
pub struct Left {
    /// Its bytes.
    pub bytes: Arc<Vec<u8>>,
    /// Its time of change.
    pub modified: i64,
    digest: u64,
}

/// All that is left, by name.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The files.
    pub files: BTreeMap<String, Left>,
}

impl Image {
    /// The same for images that are the same.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (name, left) in &self.files {
            (name, left.modified, left.digest).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// As a file system in which everything is safe.
    pub fn file_system(&self) -> FileSystem {
        let files = self.files.iter();
        FileSystem::with(files.map(|(name, left)| (name.clone(), left.bytes.to_vec(), left.modified)))
    }

    /// With the newest resume data damaged: cut, or a bit changed, or gone.
    pub fn damage(&mut self, rng: &mut Rng) {
        let Some(left) = self.files.get_mut(NEWEST) else { return };
        let mut bytes = left.bytes.to_vec();
        let at = rng.index(bytes.len().max(1));
        match rng.index(3) {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.index(8)),
            _ => {
                self.files.remove(NEWEST);
                return;
            }
        }
        left.digest = digest(&bytes);
        left.bytes = Arc::new(bytes);
    }
}

/// A version of a file, and what became of the writes that waited: all that its bytes depend on.
type Version = (Inode, u64, Vec<Fate>);

/// Makes images of one file system after another, and remembers the files that it has made.
#[derive(Debug, Default)]
pub struct Maker {
    /// The bytes, and their digest.
    made: HashMap<Version, (Arc<Vec<u8>>, u64)>,
}

impl Maker {
    /// Calls `see` with each image that a power cut may leave now, or a sample of them. Says whether these were all.
    pub fn each(&mut self, fs: &FileSystem, rng: &mut Rng, mut see: impl FnMut(Image)) -> bool {
        let pending = fs.pending();
        // The files that may have one or the other time of change.
        let mut touched: Vec<Inode> = Vec::new();
        for pending in pending {
            if let Pending::Write { file, .. } = pending
                && !touched.contains(file)
            {
                touched.push(*file);
            }
        }
        let options: Vec<&[Fate]> = pending
            .iter()
            .map(|pending| if matches!(pending, Pending::Write { .. }) { &WRITE[..] } else { &NAME })
            .collect();
        let times_more =
            |product: usize, more: usize| product.checked_mul(more).filter(|&product| product <= ALL_UP_TO);
        let times = 1usize << touched.len().min(12);
        let all = options.iter().map(|options| options.len()).try_fold(times, times_more);
        let halves = pending.iter().map(|_| 2).try_fold(1, times_more);
        if let Some(all) = all {
            for mut number in 0..all {
                let mut pick = |length: usize| {
                    let picked = number % length;
                    number /= length;
                    picked
                };
                let fates: Vec<Fate> = options.iter().map(|options| options[pick(options.len())]).collect();
                let old = pick(times);
                see(self.image(fs, &fates, |at| old & (1 << at) != 0, &touched));
            }
            return true;
        }
        if let Some(halves) = halves {
            for number in 0..halves {
                let fates: Vec<Fate> = (0..pending.len())
                    .map(|at| if number & (1 << at) == 0 { Fate::Lost } else { Fate::Whole })
                    .collect();
                let old = rng.next_u32();
                see(self.image(fs, &fates, |at| old & (1 << (at % 32)) != 0, &touched));
            }
        }
        for _ in 0..SAMPLE {
            let fates: Vec<Fate> = pending
                .iter()
                .map(|pending| match (pending, rng.index(6)) {
                    (Pending::Write { .. }, 0) => Fate::Torn512(rng.next_u32()),
                    (Pending::Write { .. }, 1) => Fate::Torn4K(rng.next_u32()),
                    (Pending::Write { .. }, 2) => Fate::Length,
                    (_, 3 | 5) => Fate::Lost,
                    _ => Fate::Whole,
                })
                .collect();
            let old = rng.next_u32();
            see(self.image(fs, &fates, |at| old & (1 << (at % 32)) != 0, &touched));
        }
        false
    }

    fn image(&mut self, fs: &FileSystem, fates: &[Fate], old_time: impl Fn(usize) -> bool, touched: &[Inode]) -> Image {
        let mut names = fs.safe_names().clone();
        for (pending, &fate) in fs.pending().iter().zip(fates) {
            if fate == Fate::Whole {
                apply(&mut names, pending);
            }
        }
        let content = |name: &str| name == NEWEST || name == OLDER || name.starts_with("content/");
        let files = names.into_iter().filter(|(name, _)| content(name)).map(|(name, file)| {
            let node = fs.node(file);
            let writes = || {
                fs.pending().iter().zip(fates).filter_map(|(pending, &fate)| match pending {
                    Pending::Write { file: other, at, bytes } if *other == file => Some((*at, bytes, fate)),
                    _ => None,
                })
            };
            let key = (file, node.version, writes().map(|(.., fate)| fate).collect());
            let (bytes, digest) = self.made.entry(key).or_insert_with(|| {
                let mut left = node.safe.to_vec();
                writes().for_each(|(at, bytes, fate)| land(&mut left, at, bytes, fate));
                let digest = digest(&left);
                (Arc::new(left), digest)
            });
            let is_old = touched.iter().position(|&touched| touched == file).is_none_or(&old_time);
            let modified = if is_old { node.safe_modified } else { node.modified };
            (name, Left { bytes: bytes.clone(), modified, digest: *digest })
        });
        Image { files: files.collect() }
    }
}

/// Lets as much of a write come to the medium as its fate says.
fn land(into: &mut Vec<u8>, at: usize, bytes: &[u8], fate: Fate) {
    let (unit, kept) = match fate {
        Fate::Lost => return,
        Fate::Whole => return put(into, at, bytes),
        Fate::Length => return put(into, at + bytes.len(), &[]),
        Fate::Torn512(kept) => (512, kept),
        Fate::Torn4K(kept) => (4_096, kept),
    };
    // The units are those of the medium, not of the write.
    let mut from = at;
    let mut number = 0;
    while from < at + bytes.len() {
        let to = ((from / unit + 1) * unit).min(at + bytes.len());
        if kept & (1 << number.min(31)) != 0 {
            put(into, from, &bytes[from - at..to - at]);
        }
        (from, number) = (to, number + 1);
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use parcacik_core::rng::{Seeds, Stream};
    use std::collections::BTreeSet;

    #[test]
    fn a_write_and_its_name_leave_what_they_may_and_nothing_else() {
        let mut fs = FileSystem::with([("content/a".to_owned(), vec![1; 100], 5)]);
        fs.write("content/a", 0, Bytes::from(vec![2; 1_000]));
        fs.rename("content/a", "content/b");
        let mut rng = Seeds::for_tests(1).decisions(Stream::Session, 0);
        let mut seen = BTreeSet::new();
        let all = Maker::default().each(&fs, &mut rng, |image| {
            let (name, left) = image.files.first_key_value().expect("one file");
            let ones = left.bytes.iter().filter(|&&byte| byte == 1).count();
            let twos = left.bytes.iter().filter(|&&byte| byte == 2).count();
            seen.insert((name.clone(), left.bytes.len(), ones, twos, left.modified > 5));
        });
        assert!(all);
        // Lost, whole (as well as torn in the first units: there are no more), all but the first 4 KiB, and the length.
        let bytes = [(100, 100, 0), (1_000, 0, 1_000), (1_000, 100, 0)];
        let expected: BTreeSet<_> = ["content/a", "content/b"]
            .iter()
            .flat_map(|name| bytes.map(|(length, ones, twos)| (*name, length, ones, twos)))
            .flat_map(|(name, length, ones, twos)| [false, true].map(|new| (name.to_owned(), length, ones, twos, new)))
            .collect();
        assert_eq!(seen, expected);
    }
}
