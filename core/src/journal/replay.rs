//! Runs a recording again, and finds where the two runs part.

use super::canon::Blank;
use super::difference::Difference;
use super::digest::{Digest, RunningDigest};
use super::reader::{Form, Raw, RawEvent, ReadError, ReadProblem, Reader};
use super::{BEHAVIOUR, State, StatePart};
use crate::border::{Actions, Config, ConfigError, Event};
use crate::rng::Seeds;
use crate::session::Session;
use crate::time::Time;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::time::Duration;

/// A machine that can be run again: the session, or another one that speaks its words.
///
/// One that holds a session and looks at what goes in and comes out is how to see everything that happens in a replay.
pub trait Machine {
    /// Takes an event and says what is to be done about it. `out` is empty.
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions);

    /// What its state comes to, to be compared with the recorded one; `None`: it is not compared.
    fn state(&self) -> Option<State> {
        None
    }
}

impl Machine for Session {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        Session::handle(self, now, event, out);
    }

    fn state(&self) -> Option<State> {
        Some(Session::state(self))
    }
}

/// How far a replay goes. Nothing said: to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// So many events.
    pub events: Option<u64>,
    /// The events until this time, and those at it.
    pub until: Option<Time>,
}

/// What ended a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The recording's end.
    End,
    /// The place where whoever recorded gave up, most likely for a full disk.
    GivenUp,
    /// The place where the recording was cut off.
    CutOff,
    /// The [`Limit`] of the replay.
    Limit,
    /// The difference.
    Difference,
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
    /// The behaviour epoch that the recording was made in.
    pub behaviour: u32,
    /// What ended it.
    pub ending: Ending,
    /// Where this run parted from the recorded one, which ended it; `None`: nowhere.
    pub difference: Option<Difference>,
    /// How many states were compared.
    pub states: u64,
    /// Where the state was another one first; `None`: nowhere.
    pub drift: Option<Drift>,
}

/// A session's state that went another way, whatever it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The events of which one made the difference, counted from 0.
    pub events: Range<u64>,
    /// The time of the last of them.
    pub now: Time,
    /// The parts that differ behind the last of them.
    pub parts: Vec<StatePart>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drift { events, now, parts } = self;
        write!(f, "the state differs behind one of the events {events:?} of the recording, until {now:?}: ")?;
        for (at, part) in parts.iter().enumerate() {
            write!(f, "{}{part}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl ReplayReport {
    /// Whether this run went as the recorded one, as far as that goes.
    pub fn is_same(&self) -> bool {
        self.difference.is_none() && self.drift.is_none()
    }

    /// Whether the recording was run to its end.
    pub fn is_complete(&self) -> bool {
        self.ending == Ending::End
    }

    /// Whether the recording is of another behaviour epoch than this core: a difference is to be expected then.
    pub fn epoch_changed(&self) -> bool {
        self.behaviour != BEHAVIOUR
    }
}

/// Why a recording could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// It cannot be read.
    Read(ReadError),
    /// The secret seed was left out of it.
    NoSecret,
    /// Its configuration is refused.
    Config(ConfigError),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Read(error) => error.fmt(f),
            ReplayError::NoSecret => {
                f.write_str("the secret seed was left out of the recording: it can be read but not replayed")
            }
            ReplayError::Config(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReplayError {}

/// Runs a recorded session again. A recording that was cut off is run as far as it goes, one of another behaviour epoch as far as it is the same.
///
/// # Errors
/// A recording that is damaged, or without its secret seed. A run that goes another way is no error: the report says where.
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
    replay_until(reader, Limit::default(), build)
}

/// The same, and not further than `limit`.
///
/// # Errors
/// As [`replay`].
pub fn replay_until<M: Machine>(
    mut reader: Reader<'_>,
    limit: Limit,
    build: impl FnOnce(Config, Seeds) -> Result<M, ConfigError>,
) -> Result<ReplayReport, ReplayError> {
    // A machine starts at the beginning, wherever the reader has been.
    reader.seek(0);
    let header = reader.header();
    let behaviour = header.behaviour;
    let seeds = header.seeds().ok_or(ReplayError::NoSecret)?;
    let run = RunningDigest::new(header.start);
    let machine = build(header.config.clone(), seeds).map_err(ReplayError::Config)?;
    let mut replay =
        Replay { run, machine, actions: Actions::new(), first: None, checked: 0, states: 0, stated: 0, drift: None };
    let again = reader.clone();
    let parted = loop {
        if limit.events.is_some_and(|most| replay.run.events() >= most) {
            break Err(Ending::Limit);
        }
        // Before the next event is read: its buffer may be that of the last one.
        replay.actions.clear();
        match reader.next_raw() {
            None => break Err(Ending::End),
            Some(Ok(Raw::Event(event))) => {
                if limit.until.is_some_and(|until| event.now > until) {
                    break Err(Ending::Limit);
                }
                if let Some(parted) = replay.event(event, reader.blank()) {
                    break Ok(parted);
                }
            }
            Some(Ok(Raw::Checkpoint(place) | Raw::End(place))) => {
                let events = replay.checked..place.events;
                if place.digest != replay.run.digest() {
                    break Ok(Parted { events, at: None });
                }
                replay.checked = place.events;
            }
            Some(Ok(Raw::State(recorded))) => replay.state(&recorded),
            Some(Ok(Raw::GivenUp)) => break Err(Ending::GivenUp),
            Some(Err(ReadError { problem: ReadProblem::Truncated, .. })) => break Err(Ending::CutOff),
            Some(Err(error)) => return Err(ReplayError::Read(error)),
        }
    };
    let Replay { run, actions, first, states, drift, .. } = replay;
    let difference = parted.clone().ok().map(|Parted { events, at }| match at {
        None => Difference::unseen(events, run.now()),
        Some(content) => Difference::find(again, events, run.now(), actions, content == Content::Same),
    });
    let ending = parted.err().unwrap_or(Ending::Difference);
    Ok(ReplayReport {
        events: run.events(),
        span: run.now().since(first.unwrap_or(run.now())),
        digest: run.digest(),
        behaviour,
        ending,
        difference,
        states,
        drift,
    })
}

/// Where two runs parted.
#[derive(Clone, Debug)]
struct Parted {
    /// The events of which one made the difference.
    events: Range<u64>,
    /// Whether content lay in the last of them where it did before; `None`: only a checkpoint showed it.
    at: Option<Content>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Same,
    Elsewhere,
}

/// A replay under way.
struct Replay<M> {
    run: RunningDigest,
    machine: M,
    /// What the last event led to.
    actions: Actions,
    first: Option<Time>,
    /// How many events are known to have gone as recorded.
    checked: u64,
    /// How many states were compared.
    states: u64,
    /// How many events lay in front of the last one that was the same.
    stated: u64,
    drift: Option<Drift>,
}

impl<M: Machine> Replay<M> {
    /// Compares states, until two differ: from there on they do.
    fn state(&mut self, recorded: &State) {
        if self.drift.is_some() {
            return;
        }
        let Some(parts) = self.machine.state().and_then(|ours| ours.differences(recorded)) else { return };
        let events = self.run.events();
        self.states += 1;
        if !parts.is_empty() {
            self.drift = Some(Drift { events: self.stated..events, now: self.run.now(), parts });
        }
        self.stated = events;
    }

    /// Runs an event, and says if and how that went another way than recorded.
    fn event(&mut self, recorded: RawEvent<'_>, blank: &Blank) -> Option<Parted> {
        let RawEvent { now, event, form, made } = recorded;
        self.first.get_or_insert(now);
        self.machine.handle(now, event, &mut self.actions);
        match form {
            _ if made.is_none() != self.actions.is_empty() => {
                // Written in another way than it would be now.
                if let Some(event) = form.event() {
                    self.run.add(now, &event, &self.actions);
                }
            }
            Form::Brief(brief) => self.run.add_brief(now, brief),
            Form::Whole(encoded) => self.run.add_encoded(now, encoded, &self.actions),
        }
        let events = self.run.events();
        // Not in the digest, to which the event has been added as it was recorded.
        if !blank.has_holes_of(&self.actions.opaque) {
            return Some(Parted { events: events - 1..events, at: Some(Content::Elsewhere) });
        }
        match made {
            None if self.actions.is_empty() => None,
            Some((_, check)) if !self.actions.is_empty() && check == self.run.digest().check() => {
                self.checked = events;
                None
            }
            _ => Some(Parted { events: self.checked..events, at: Some(Content::Same) }),
        }
    }
}
