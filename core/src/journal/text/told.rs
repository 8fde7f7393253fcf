//! Replays that are told: every event as it comes, or where two runs part.

use super::{Entry, Kind, Line, Transcript};
use crate::border::{Actions, Config, ConfigError, Event};
use crate::journal::{Difference, Limit, Machine, Part, Reader, ReplayError, State, replay_until};
use crate::rng::Seeds;
use crate::time::Time;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// A machine whose transcript is made as it runs: for [`replay_until`], and for whoever runs a session and wants to see it.
///
/// ```
/// use parcacik_core::border::{Config, Event};
/// use parcacik_core::journal::{Recorder, Reader, Secret, replay_with, text::Told};
/// use parcacik_core::rng::Seeds;
/// use parcacik_core::session::Session;
/// use parcacik_core::time::Time;
///
/// let mut recording = Vec::new();
/// let (config, seeds) = (Config::default(), Seeds::for_tests(1));
/// let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut recording);
/// recorder.record(Time::ZERO, &Event::Tick, &Default::default(), &mut recording);
/// recorder.finish(&mut recording);
///
/// let mut text = String::new();
/// let report = replay_with(Reader::new(&recording).expect("it is whole"), |config, seeds| {
///     let told = |_: &_, entry: &parcacik_core::journal::text::Entry| text.push_str(&entry.to_string());
///     Ok(Told::new(&config.clone(), Session::new(config, seeds)?, told))
/// });
/// assert!(report.is_ok_and(|report| report.is_same()));
/// assert_eq!(text, "[0] 0.000000 tick\n");
/// ```
#[derive(Clone, Debug)]
pub struct Told<M, F> {
    machine: M,
    transcript: Transcript,
    tell: F,
}

impl<M, F: FnMut(&Transcript, &Entry)> Told<M, F> {
    /// Tells of `machine`, which has this configuration, to `tell`.
    pub fn new(config: &Config, machine: M, tell: F) -> Told<M, F> {
        Told { machine, transcript: Transcript::new(config), tell }
    }
}

impl<M: Machine, F: FnMut(&Transcript, &Entry)> Machine for Told<M, F> {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        self.machine.handle(now, event.clone(), out);
        let entry = self.transcript.add(now, &event, out);
        (self.tell)(&self.transcript, &entry);
    }

    fn state(&self) -> Option<State> {
        self.machine.state()
    }
}

/// Where two runs part, as a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// The events of which one made the difference.
    pub events: Range<u64>,
    /// What went before on the same connection, or about the same thing; the latest last. Both runs did the same there.
    pub before: Vec<Entry>,
    /// The last of the events, and what this run did about it.
    pub entry: Option<Entry>,
    /// Both lists side by side, as in [`Difference::parts`].
    pub parts: Vec<Part>,
    /// Where content lay in the event when it was recorded, and where it lies in this run, if that differs.
    pub holes: Option<Holes>,
}

/// Where content lay in one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holes {
    /// When it was recorded.
    pub recorded: Vec<Range<u32>>,
    /// In this run.
    pub now: Vec<Range<u32>>,
}

impl Parting {
    /// Tells of a difference that a replay has found: runs the recording again, up to it.
    ///
    /// # Errors
    /// As [`replay_until`].
    pub fn of<M: Machine>(
        difference: &Difference,
        reader: Reader<'_>,
        build: impl FnOnce(Config, Seeds) -> Result<M, ConfigError>,
    ) -> Result<Parting, ReplayError> {
        let earlier: BTreeSet<u64> = difference.earlier.iter().map(|earlier| earlier.index).collect();
        let last = difference.events.end.saturating_sub(1);
        let (mut before, mut entry) = (Vec::new(), None);
        let told = |_: &Transcript, told: &Entry| {
            if told.event == last {
                entry = Some(told.clone());
            } else if earlier.contains(&told.event) {
                before.push(told.clone());
            }
        };
        let limit = Limit { events: Some(difference.events.end), until: None };
        replay_until(reader, limit, |config, seeds| {
            let machine = build(config.clone(), seeds)?;
            Ok(Told::new(&config, machine, told))
        })?;
        let holes = difference.recorded_holes.clone();
        let holes = holes.map(|recorded| Holes { recorded, now: difference.actions.opaque.clone() });
        Ok(Parting { events: difference.events.clone(), before, entry, parts: difference.parts.clone(), holes })
    }
}

/// The lines of each action (with what goes out by it) and of each notice, in their order.
fn groups(lines: &[Line]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match (line.kind, groups.last_mut()) {
            (Kind::Action | Kind::Notice, _) => groups.push(at..at + 1),
            (Kind::Sent, Some(group)) => group.end = at + 1,
            _ => {}
        }
    }
    groups
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parting { events, before, entry, parts, holes } = self;
        if !before.is_empty() {
            writeln!(f, "before it:")?;
        }
        before.iter().try_for_each(|entry| entry.fmt(f))?;
        match events.end.saturating_sub(events.start) {
            1 => writeln!(f, "event {} makes the difference:", events.start)?,
            _ => writeln!(
                f,
                "one of the events {} to {} makes the difference:",
                events.start,
                events.end.saturating_sub(1)
            )?,
        }
        let Some(entry) = entry else { return Ok(()) };
        let told = entry.lines.iter().filter(|line| matches!(line.kind, Kind::Event | Kind::Received));
        Entry { lines: told.cloned().collect(), ..entry.clone() }.fmt(f)?;
        if let Some(Holes { recorded, now }) = holes {
            writeln!(f, "  recorded  content at {recorded:?}\n  now       content at {now:?}")?;
        }
        let groups = groups(&entry.lines);
        let ours = |f: &mut fmt::Formatter<'_>, who: &str, at: usize| {
            let lines = groups.get(at).and_then(|group| entry.lines.get(group.clone())).unwrap_or_default();
            lines.iter().try_for_each(|line| writeln!(f, "  {who:<9} {} {line}", line.kind.mark()))
        };
        parts.iter().try_for_each(|part| match *part {
            Part::Same { ours: at } => ours(f, "both", at),
            Part::Changed { recorded, ours: at } => {
                writeln!(f, "  recorded  {recorded}")?;
                ours(f, "now", at)
            }
            Part::Missing { recorded } => writeln!(f, "  recorded  {recorded}"),
            Part::Extra { ours: at } => ours(f, "now", at),
        })
    }
}
