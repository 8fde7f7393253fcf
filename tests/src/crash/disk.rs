//! The work of a storage on the [model of a file system](super::fs), in the steps in which a driver does it.

use super::fs::FileSystem;
use bytes::Bytes;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{FileState, InfoHash, IoFault, JobResult, PieceHash, Place, StorageLayout, Verdict, Work};
use parcacik_core::rng::Rng;
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The folder of the resume data. Content lies in the other one.
pub const STATE: &str = "state/";
/// The newest resume data, the ones before, and what is being written.
pub const NEWEST: &str = "state/resume";
/// See [`NEWEST`].
pub const OLDER: &str = "state/resume.1";
const TEMPORARY: &str = "state/resume.tmp";
const CONTENT: &str = "content/";

/// What is done at once, as far as a power cut can tell.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes go to a file.
    Write(String, usize, Bytes),
    /// An empty file is made in the place of whatever there is.
    Create(String),
    /// A file of no length is made where there is none.
    Touch(String),
    /// A file is synced.
    SyncFile(String),
    /// A folder is synced.
    SyncNames(&'static str),
    /// A file gets another name.
    Rename(&'static str, &'static str),
    /// A name is taken away.
    Remove(String),
}

/// What goes wrong, and when. Every number counts down at each step of its kind; at 0 that one fails.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// A sync of a content file fails, and with it a part of what waited is lost.
    pub sync: Option<u32>,
    /// A sync of the temporary resume file fails.
    pub save: Option<u32>,
    /// A write of content finds no room, after half of it.
    pub room: Option<u32>,
    /// A write of resume data finds no room, after half of it.
    pub save_room: Option<u32>,
}

fn strikes(count: &mut Option<u32>) -> bool {
    match count {
        Some(0) => {
            *count = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

/// The storage of one torrent.
#[derive(Clone, Debug)]
pub struct CrashDisk {
    /// The files.
    pub fs: FileSystem,
    /// What goes wrong.
    pub trouble: Trouble,
    layout: Option<(InfoHash, Arc<StorageLayout>)>,
    apart: Bitfield,
    rng: Rng,
}

/// Work that has been begun.
#[derive(Clone, Debug)]
pub struct Job {
    work: Work,
    steps: VecDeque<Step>,
    failed: Option<IoFault>,
}

impl Job {
    /// Whether nothing is left but to say so.
    pub fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// The work.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// What comes next.
    pub fn next(&self) -> Option<&Step> {
        self.steps.front()
    }
}

impl CrashDisk {
    /// A storage with these files.
    pub fn new(fs: FileSystem, rng: Rng) -> CrashDisk {
        CrashDisk { fs, trouble: Trouble::default(), layout: None, apart: Bitfield::default(), rng }
    }

    /// Begins work: what steps it takes.
    pub fn begin(&mut self, work: Work) -> Job {
        let steps = match &work {
            Work::Open { key, layout, .. } => {
                self.layout = Some((*key, layout.clone()));
                self.apart = Bitfield::none(layout.files().len() as u32);
                VecDeque::new()
            }
            Work::Write { piece, begin, bytes, .. } => self.writes(*piece, *begin, bytes),
            Work::CreateEmpty { files, .. } => {
                files.iter().map(|&file| Step::Touch(self.file_name(file as usize))).collect()
            }
            Work::Place { apart, pieces, .. } => self.place(apart.clone(), pieces),
            Work::DropPart { .. } => [Step::Remove(self.part_name())].into(),
            Work::Sync { .. } => {
                let dirty = self
                    .fs
                    .names()
                    .map(|(name, _)| name)
                    .filter(|name| name.starts_with(CONTENT) && self.fs.is_dirty(name));
                dirty.map(|name| Step::SyncFile(name.to_owned())).chain([Step::SyncNames(CONTENT)]).collect()
            }
            Work::Save { bytes, .. } => {
                let mut steps = VecDeque::from([
                    Step::Create(TEMPORARY.to_owned()),
                    Step::Write(TEMPORARY.to_owned(), 0, bytes.clone()),
                ]);
                steps.push_back(Step::SyncFile(TEMPORARY.to_owned()));
                if self.fs.find(NEWEST).is_some() {
                    steps.push_back(Step::Rename(NEWEST, OLDER));
                }
                steps.extend([Step::Rename(TEMPORARY, NEWEST), Step::SyncNames(STATE)]);
                steps
            }
            _ => VecDeque::new(),
        };
        Job { work, steps, failed: None }
    }

    /// Does the next step of a job.
    pub fn step(&mut self, job: &mut Job) {
        let Some(step) = job.steps.pop_front() else { return };
        let is_content = |name: &str| name.starts_with(CONTENT);
        let failed = match step {
            Step::Write(name, at, bytes) => {
                let trouble = &mut self.trouble;
                let full = strikes(if is_content(&name) { &mut trouble.room } else { &mut trouble.save_room });
                let fits = if full { bytes.slice(..bytes.len() / 2) } else { bytes };
                self.fs.write(&name, at, fits);
                full.then_some(IoFault::NoSpace)
            }
            Step::Create(name) => {
                self.fs.create(&name);
                None
            }
            Step::Touch(name) => {
                if self.fs.find(&name).is_none() {
                    self.fs.create(&name);
                }
                None
            }
            Step::SyncFile(name) => {
                let trouble = &mut self.trouble;
                if strikes(if is_content(&name) { &mut trouble.sync } else { &mut trouble.save }) {
                    let kept = self.rng.next_u32();
                    self.fs.sync_fails(&name, |number| kept & (1 << (number % 32)) != 0);
                    Some(IoFault::Device)
                } else {
                    self.fs.sync_file(&name);
                    None
                }
            }
            Step::SyncNames(folder) => {
                self.fs.sync_names(folder);
                None
            }
            Step::Rename(from, to) => {
                self.fs.rename(from, to);
                None
            }
            Step::Remove(name) => {
                self.fs.remove(&name);
                None
            }
        };
        if let Some(fault) = failed {
            job.failed.get_or_insert(fault);
            match job.work {
                // The other files are synced all the same.
                Work::Sync { .. } => {}
                // Half of a file is of no use.
                Work::Save { .. } => job.steps = [Step::Remove(TEMPORARY.to_owned())].into(),
                _ => job.steps.clear(),
            }
        }
    }

    /// How a job whose steps are done has ended.
    pub fn end(&mut self, job: &Job) -> Result<JobResult, IoFault> {
        if let Some(fault) = job.failed {
            return Err(fault);
        }
        Ok(match &job.work {
            Work::Check { .. } | Work::Sync { .. } => self.check(),
            Work::Read { piece, begin, length, .. } => {
                JobResult::Read(self.read(*piece, *begin, *length).ok_or(IoFault::ShortRead)?.into())
            }
            Work::Verify { piece, length, expect, blocks, .. } => {
                JobResult::Verified(self.verify(*piece, *length, expect, *blocks))
            }
            Work::Load { .. } => {
                let stored = [NEWEST, OLDER].into_iter().filter_map(|name| self.fs.find(name));
                JobResult::Loaded(stored.map(|node| Bytes::copy_from_slice(&node.cached)).collect())
            }
            Work::Open { .. }
            | Work::Release { .. }
            | Work::CreateEmpty { .. }
            | Work::Place { .. }
            | Work::DropPart { .. }
            | Work::Write { .. }
            | Work::Save { .. } => JobResult::Done,
            _ => return Err(IoFault::Unsupported),
        })
    }

    /// Does all of it.
    pub fn work(&mut self, work: Work) -> Result<JobResult, IoFault> {
        let mut job = self.begin(work);
        while !job.is_done() {
            self.step(&mut job);
        }
        self.end(&job)
    }

    fn layout(&self) -> &Arc<StorageLayout> {
        &self.layout.as_ref().expect("opened before anything else").1
    }

    fn file_name(&self, file: usize) -> String {
        format!("{CONTENT}{}", self.layout().files()[file].path)
    }

    fn part_name(&self) -> String {
        let (key, layout) = self.layout.as_ref().expect("opened before anything else");
        format!("{CONTENT}{}", layout.part_path(*key))
    }

    /// Where bytes lie: the file, where in it, how many.
    fn spans(&self, piece: u32, begin: u32, length: u32) -> Vec<(String, usize, usize)> {
        let layout = self.layout();
        let place = |span: parcacik_core::border::Span| {
            let name = match span.place {
                Place::File => self.file_name(span.file),
                Place::PartFile => self.part_name(),
                Place::Padding => panic!("there are no pad files here"),
            };
            (name, span.offset as usize, span.length as usize)
        };
        layout.spans(piece, begin, length, &self.apart).map(place).collect()
    }

    fn writes(&self, piece: u32, begin: u32, bytes: &Bytes) -> VecDeque<Step> {
        let mut from = 0;
        let spans = self.spans(piece, begin, bytes.len() as u32).into_iter();
        spans
            .map(|(name, at, length)| {
                from += length;
                Step::Write(name, at, bytes.slice(from - length..from))
            })
            .collect()
    }

    fn place(&mut self, apart: Bitfield, pieces: &[u32]) -> VecDeque<Step> {
        let layout = self.layout().clone();
        let before = std::mem::replace(&mut self.apart, apart);
        let mut steps = VecDeque::new();
        for file in before.iter().filter(|&file| !self.apart.get(file)).map(|file| file as usize) {
            for (range, at) in pieces.iter().filter_map(|&piece| layout.kept(file, piece)) {
                let Some(part) = self.fs.find(&self.part_name()) else { continue };
                let end = part.cached.len().min((at + range.length) as usize);
                if let Some(bytes) = part.cached.get(at as usize..end) {
                    steps.push_back(Step::Write(
                        self.file_name(file),
                        range.offset as usize,
                        Bytes::copy_from_slice(bytes),
                    ));
                }
            }
        }
        steps
    }

    fn check(&self) -> JobResult {
        let state = |name: String| {
            self.fs.find(&name).map(|node| FileState { length: node.cached.len() as u64, modified: node.modified })
        };
        let files = (0..self.layout().files().len()).map(|file| state(self.file_name(file))).collect();
        JobResult::Checked { files, part: state(self.part_name()), free: None }
    }

    fn read(&self, piece: u32, begin: u32, length: u32) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length as usize);
        for (name, at, length) in self.spans(piece, begin, length) {
            bytes.extend_from_slice(self.fs.find(&name)?.cached.get(at..at + length)?);
        }
        (bytes.len() == length as usize).then_some(bytes)
    }

    /// What a piece hashes to.
    pub fn verify(&self, piece: u32, length: u32, expect: &PieceHash, blocks: bool) -> Verdict {
        let Some(bytes) = self.read(piece, 0, length) else { return Verdict { matches: false, blocks: Vec::new() } };
        let matches = *expect == PieceHash::Sha1(Sha1::digest(&bytes).into());
        let digest = |block: &[u8]| Sha1::digest(block).into();
        Verdict { matches, blocks: if blocks { bytes.chunks(16 * 1024).map(digest).collect() } else { Vec::new() } }
    }

    /// The content files as the program sees them, without the part file.
    pub fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let names: BTreeSet<String> = (0..self.layout().files().len()).map(|file| self.file_name(file)).collect();
        let files = names.into_iter().filter_map(|name| Some((name.clone(), self.fs.find(&name)?.cached.clone())));
        files.collect()
    }
}
