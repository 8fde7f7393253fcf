//! Runs a recording again, and finds where the two runs part.

use super::BEHAVIOUR;
use super::digest::{Digest, RunningDigest};
use super::reader::{ReadError, ReadProblem, Reader, Record};
use crate::border::{Actions, Config, ConfigError, Event};
use crate::rng::Seeds;
use crate::session::Session;
use crate::time::Time;
use core::fmt;
use core::ops::Range;
use core::time::Duration;

/// A machine that can be run again: the session, or another one that speaks its words.
pub trait Machine {
    /// Takes an event and says what is to be done about it. `out` is empty.
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions);
}

impl Machine for Session {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        Session::handle(self, now, event, out);
    }
}

/// How a replay went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayReport {
    /// How many events were run, one that made a difference included.
    pub events: u64,
    /// From the first event to the last, in the time of the recording.
    pub span: Duration,
    /// What this run came to.
    pub digest: Digest,
    /// Whether the recording has its end: `false` when whoever wrote it was stopped.
    pub complete: bool,
    /// Where this run parted from the recorded one, which ended it; `None`: nowhere.
    pub difference: Option<Difference>,
}

impl ReplayReport {
    /// Whether this run went as the recorded one, as far as that goes.
    pub fn is_same(&self) -> bool {
        self.difference.is_none()
    }
}

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The events of which one made the difference, counted from 0. One alone, but for the rare case (1 in 65,536) that only a
    /// checkpoint shows it.
    pub events: Range<u64>,
    /// The time of the last of them.
    pub now: Time,
    /// The last of them, holes filled.
    pub event: Option<Event>,
    /// What this run did about it.
    pub actions: Actions,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { events, now, event, actions } = self;
        match events.end.saturating_sub(events.start) {
            1 => writeln!(f, "event {} of the recording makes a difference, at {now:?}", events.start)?,
            _ => writeln!(f, "one of the events {events:?} of the recording makes a difference, until {now:?}")?,
        }
        if let Some(event) = event {
            writeln!(f, "event: {event:?}")?;
        }
        actions.list.iter().try_for_each(|action| writeln!(f, "this run did: {action:?}"))?;
        actions.notices.iter().try_for_each(|notice| writeln!(f, "this run told: {notice:?}"))
    }
}

/// Why a recording could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// It cannot be read.
    Read(ReadError),
    /// It was made by a core of another behaviour epoch.
    Behaviour {
        /// Its epoch.
        recorded: u32,
        /// Ours.
        ours: u32,
    },
    /// The secret seed was left out of it.
    NoSecret,
    /// Its configuration is refused.
    Config(ConfigError),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Read(error) => error.fmt(f),
            ReplayError::Behaviour { recorded, ours } => write!(
                f,
                "the recording is of behaviour epoch {recorded}, this program of {ours}: it would act in another way"
            ),
            ReplayError::NoSecret => {
                f.write_str("the secret seed was left out of the recording: it can be read but not replayed")
            }
            ReplayError::Config(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReplayError {}

/// Runs a recorded session again. A recording that was cut off is run as far as it goes.
///
/// # Errors
/// A recording that is damaged, of another epoch, or without its secret seed. A run that goes another way is no error: the report says
/// where.
pub fn replay(bytes: &[u8]) -> Result<ReplayReport, ReplayError> {
    replay_with(Reader::new(bytes).map_err(ReplayError::Read)?, Session::new)
}

/// The same with a machine of one's own, and a reader that may have been told how to fill holes.
///
/// # Errors
/// As [`replay`].
pub fn replay_with<M: Machine>(
    reader: Reader<'_>,
    build: impl FnOnce(Config, Seeds) -> Result<M, ConfigError>,
) -> Result<ReplayReport, ReplayError> {
    let header = reader.header();
    if header.behaviour != BEHAVIOUR {
        return Err(ReplayError::Behaviour { recorded: header.behaviour, ours: BEHAVIOUR });
    }
    let seeds = header.seeds().ok_or(ReplayError::NoSecret)?;
    let mut run = RunningDigest::new(header.start);
    let mut machine = build(header.config.clone(), seeds).map_err(ReplayError::Config)?;
    let mut actions = Actions::new();
    let (mut first, mut complete) = (None, false);
    let mut checked = 0;
    let mut difference = None;
    for record in reader {
        match record {
            Ok(Record::Event { now, event, check }) => {
                actions.clear();
                machine.handle(now, event.clone(), &mut actions);
                run.add(now, &event, &actions);
                first.get_or_insert(now);
                if run.digest().check() != check {
                    let events = run.events() - 1..run.events();
                    difference = Some(Difference { events, now, event: Some(event), actions });
                    break;
                }
            }
            Ok(Record::Checkpoint { events, digest } | Record::End { events, digest })
                if (events, digest) != (run.events(), run.digest()) =>
            {
                let events = checked..run.events();
                difference = Some(Difference { events, now: run.now(), event: None, actions: Actions::new() });
                break;
            }
            Ok(Record::Checkpoint { events, .. }) => checked = events,
            Ok(Record::End { .. }) => complete = true,
            Err(ReadError { problem: ReadProblem::Truncated, .. }) => {}
            Err(error) => return Err(ReplayError::Read(error)),
        }
    }
    Ok(ReplayReport {
        events: run.events(),
        span: run.now().since(first.unwrap_or(run.now())),
        digest: run.digest(),
        complete,
        difference,
    })
}
