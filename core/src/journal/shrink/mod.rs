//! A recording made small: what of it makes something go wrong.
//!
//! A [`Shrinker`] takes a recording that *fails*, whatever that means to whoever asks, and looks for the least of it that still does. It is
//! a machine without I/O: it [proposes](Shrinker::propose) recordings, is [told](Shrinker::judge) of each whether it fails, and keeps the
//! smallest that did.
//!
//! ```text
//!            propose                    judge(true): what was left out stays out
//!   +-----> a part is left out -------+---------------------------------------+
//!   |                                 | judge(false): it is needed            |
//!   +---------------------------------+---------------------------------------+
//!   parts: all of it, then connections, windows of time, torrents, single events
//! ```
//!
//! Delta debugging (Zeller's `ddmin`, by complements): in each stage half of the parts are left out at once, then quarters, then eighths, down to
//! one; the single events are gone over again until none of them can be left out. So the result is minimal: without any one of
//! its events it does not fail.
//!
//! **Each proposal is a whole recording.** The events that are left happen at their times, to today's core, and the digests are of that run. The
//! core is total: events for streams or torrents that do not exist any more do no harm. So whether a proposal fails has to be seen
//! in what the session does; that its digests are not those of another core does not survive, and the first proposal, with
//! every event in it, finds that out.
//!
//! **Limits.** It proposes nothing twice. When to stop is the caller's: the smallest so far is there at every moment. For the worst case of `n` events
//! that are all needed it takes some 2 `n` proposals; for a few that are needed among thousands, some dozens.
//!
//! ```
//! use parcacik_core::border::{Actions, Config, Event};
//! use parcacik_core::journal::shrink::Shrinker;
//! use parcacik_core::journal::{Reader, Record, Recorder, Secret};
//! use parcacik_core::rng::Seeds;
//! use parcacik_core::session::Session;
//! use parcacik_core::time::Time;
//!
//! // A thousand ticks, and somewhere among them a date.
//! let (config, seeds) = (Config::default(), Seeds::for_tests(1));
//! let mut recording = Vec::new();
//! let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut recording);
//! let mut session = Session::new(config, seeds).expect("the defaults are good");
//! for second in 0..1_000 {
//!     let (now, mut actions) = (Time::from_secs(second), Actions::new());
//!     let event = if second == 700 { Event::WallClock { unix_seconds: 7 } } else { Event::Tick };
//!     session.handle(now, event.clone(), &mut actions);
//!     recorder.record(now, &event, &actions, &mut recording);
//! }
//! recorder.finish(&mut recording);
//!
//! // What goes wrong: it is told a date.
//! let is_date = |record| matches!(record, Ok(Record::Event { event: Event::WallClock { .. }, .. }));
//! let fails = |bytes: &[u8]| Reader::new(bytes).expect("it is whole").any(is_date);
//! let mut shrinker = Shrinker::new(&recording).expect("it is whole");
//! while let Some(proposal) = shrinker.propose() {
//!     let fails = fails(proposal);
//!     shrinker.judge(fails);
//! }
//! assert_eq!(shrinker.events(), 1);
//! assert!(fails(shrinker.smallest().expect("it failed to begin with")));
//! ```

mod parts;
#[cfg(test)]
mod tests;

use super::{Digest, Extension, ReadError, Reader, Record, Recorder, Secret};
use crate::border::{Actions, Config, ConfigError, Event};
use crate::rng::Seeds;
use crate::session::Session;
use crate::time::Time;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

/// Which parts are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// None: whether it fails at all.
    Whole,
    /// Connections to peers, and dials.
    Connections,
    /// What happened between two moments.
    Windows,
    /// Torrents, with all that was done for them.
    Torrents,
    /// Single events.
    Events,
    /// Nothing more can be left out, or it did not fail to begin with.
    Over,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Whole => "all of it",
            Stage::Connections => "connections",
            Stage::Windows => "windows of time",
            Stage::Torrents => "torrents",
            Stage::Events => "single events",
            Stage::Over => "over",
        })
    }
}

/// Why a recording cannot be made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShrinkError {
    /// It cannot be read.
    Read(ReadError),
    /// The secret seed was left out of it: no session can be made.
    NoSecret,
    /// Its configuration is refused.
    Config(ConfigError),
}

impl fmt::Display for ShrinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShrinkError::Read(error) => error.fmt(f),
            ShrinkError::NoSecret => f.write_str("the secret seed was left out of the recording"),
            ShrinkError::Config(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ShrinkError {}

/// Makes a recording smaller. See the [module](self).
#[derive(Debug)]
pub struct Shrinker<'r> {
    recording: &'r [u8],
    config: Config,
    seeds: Seeds,
    /// What else the recording says of itself.
    extensions: Vec<Extension>,
    /// The events that are left, by their numbers in the recording; rising.
    left: Vec<u32>,
    stage: Stage,
    /// The parts of this stage that have not been left out: events of each.
    parts: Vec<Vec<u32>>,
    /// How many parts are left out at once, and the first of them.
    at_once: usize,
    next: usize,
    /// Whether anything was left out since the parts were gone over from the start.
    progress: bool,
    /// What has been proposed.
    proposed: BTreeSet<Digest>,
    /// The proposal that waits to be judged: its events, and the recording.
    pending: Option<(Vec<u32>, Vec<u8>)>,
    smallest: Option<Vec<u8>>,
}

impl<'r> Shrinker<'r> {
    /// Begins. A recording that was cut off is taken as far as it goes.
    ///
    /// # Errors
    /// When no session can be run from it.
    pub fn new(recording: &'r [u8]) -> Result<Shrinker<'r>, ShrinkError> {
        let reader = Reader::new(recording).map_err(ShrinkError::Read)?;
        let header = reader.header();
        let (config, seeds) = (header.config.clone(), header.seeds().ok_or(ShrinkError::NoSecret)?);
        let extensions = header.extensions.clone();
        // What will be asked for at every proposal is asked for once here.
        Session::new(config.clone(), seeds.clone()).map_err(ShrinkError::Config)?;
        let events = u32::try_from(happened(recording).count()).unwrap_or(u32::MAX);
        Ok(Shrinker {
            recording,
            config,
            seeds,
            extensions,
            left: (0..events).collect(),
            stage: Stage::Whole,
            parts: Vec::new(),
            at_once: 0,
            next: 0,
            progress: false,
            proposed: BTreeSet::new(),
            pending: None,
            smallest: None,
        })
    }

    /// The next recording to be judged; the same again until it has been. `None`: it is over.
    pub fn propose(&mut self) -> Option<&[u8]> {
        if self.pending.is_none() {
            let events = self.next_events()?;
            let bytes = self.record(&events);
            self.pending = Some((events, bytes));
        }
        self.pending.as_ref().map(|(_, bytes)| bytes.as_slice())
    }

    /// Tells whether what was proposed fails. Without a proposal nothing happens.
    pub fn judge(&mut self, fails: bool) {
        let Some((events, bytes)) = self.pending.take() else { return };
        match (self.stage, fails) {
            (Stage::Whole, false) => self.stage = Stage::Over,
            (Stage::Whole, true) => self.begin(Stage::Connections),
            (_, true) => {
                let end = (self.next + self.at_once).min(self.parts.len());
                self.parts.drain(self.next..end);
                self.progress = true;
            }
            (_, false) => self.next += self.at_once,
        }
        if fails {
            self.left = events;
            self.smallest = Some(bytes);
        }
    }

    /// The smallest recording that failed; `None` until one has.
    pub fn smallest(&self) -> Option<&[u8]> {
        self.smallest.as_deref()
    }

    /// How many events are left.
    pub fn events(&self) -> usize {
        self.left.len()
    }

    /// What is being left out.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    fn begin(&mut self, stage: Stage) {
        self.stage = stage;
        let kept = |number: u32| self.left.binary_search(&number).is_ok();
        self.parts = match stage {
            Stage::Connections => parts::connections(happened(self.recording), kept),
            Stage::Windows => parts::windows(happened(self.recording), kept),
            Stage::Torrents => parts::torrents(self.added(), happened(self.recording), kept),
            Stage::Events => self.left.iter().map(|&number| [number].into()).collect(),
            Stage::Whole | Stage::Over => Vec::new(),
        };
        self.go_over(self.parts.len().div_ceil(2));
    }

    fn go_over(&mut self, at_once: usize) {
        (self.at_once, self.next, self.progress) = (at_once, 0, false);
    }

    /// The events of the next proposal that has not been made yet.
    fn next_events(&mut self) -> Option<Vec<u32>> {
        loop {
            let events = match self.stage {
                Stage::Over => return None,
                Stage::Whole => self.left.clone(),
                _ if self.next < self.parts.len() => {
                    let out: BTreeSet<u32> =
                        self.parts.iter().skip(self.next).take(self.at_once).flatten().copied().collect();
                    self.left.iter().copied().filter(|number| !out.contains(number)).collect()
                }
                stage => {
                    match self.at_once {
                        2.. => self.go_over(self.at_once.div_ceil(2).min(self.parts.len().div_ceil(2)).max(1)),
                        1 if self.progress => self.go_over(1),
                        _ => self.begin(after(stage)),
                    }
                    continue;
                }
            };
            let numbers: Vec<u8> = events.iter().flat_map(|number| number.to_be_bytes()).collect();
            if self.proposed.insert(Digest::of(&numbers)) {
                return Some(events);
            }
            self.next += self.at_once;
        }
    }

    /// Runs a session on these events and records it.
    fn record(&self, events: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut recorder = Recorder::new(&self.config, &self.seeds, Secret::Keep, &mut out);
        for extension in &self.extensions {
            // It was one before.
            let _ = recorder.extend(extension, &mut out);
        }
        // It could be made before.
        if let Ok(mut session) = Session::new(self.config.clone(), self.seeds.clone()) {
            let mut actions = Actions::new();
            let mut wanted = events.iter().peekable();
            for (number, (now, event)) in (0u32..).zip(happened(self.recording)) {
                if wanted.next_if(|&&next| next == number).is_none() {
                    continue;
                }
                actions.clear();
                session.handle(now, event.clone(), &mut actions);
                recorder.record(now, &event, &actions, &mut out);
                if recorder.state_is_due() {
                    recorder.state(&session.state(), &mut out);
                }
            }
            recorder.state(&session.state(), &mut out);
        }
        recorder.finish(&mut out);
        out
    }

    /// Which command added which torrent, as far as events are left.
    fn added(&self) -> parts::Added {
        let mut added = parts::Added::default();
        if let Ok(mut session) = Session::new(self.config.clone(), self.seeds.clone()) {
            let mut actions = Actions::new();
            for (number, (now, event)) in (0u32..).zip(happened(self.recording)) {
                if self.left.binary_search(&number).is_err() {
                    continue;
                }
                actions.clear();
                session.handle(now, event, &mut actions);
                added.note(&actions.notices);
            }
        }
        added
    }
}

fn after(stage: Stage) -> Stage {
    match stage {
        Stage::Whole => Stage::Connections,
        Stage::Connections => Stage::Windows,
        Stage::Windows => Stage::Torrents,
        Stage::Torrents => Stage::Events,
        Stage::Events | Stage::Over => Stage::Over,
    }
}

/// The events of a recording, as far as it can be read.
fn happened(recording: &[u8]) -> impl Iterator<Item = (Time, Event)> + '_ {
    let records = Reader::new(recording).into_iter().flatten();
    records.filter_map(|record| match record {
        Ok(Record::Event { now, event, .. }) => Some((now, event)),
        _ => None,
    })
}
