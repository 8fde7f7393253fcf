//! `replay`: runs a recorded session again, without network, disk or clock, compares, and tells what happened.

use crate::args::ReplayArgs;
use crate::aside::watch;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::transcript::Printer;
use crate::values::{Until, span};
use anyhow::Context as _;
use parcacik_core::border::{Actions, Event};
use parcacik_core::journal::text::{Parting, Subject, Told};
use parcacik_core::journal::{BEHAVIOUR, Ending, Limit, Machine, Reader, Record, ReplayReport, State, replay_until};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use serde::Serialize;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs the command.
///
/// # Errors
/// When the recording cannot be read. A run that goes another way is a result.
pub fn run(args: &ReplayArgs, output: &Output) -> anyhow::Result<Outcome> {
    let path = args.file.display();
    let bytes = fs::read(&args.file).with_context(|| format!("cannot read {path}"))?;
    let printed = args.print || !args.about.is_empty();
    let job = Job {
        bytes,
        until: args.until,
        print: printed.then(|| (args.json, args.about.clone())),
        events: Arc::new(AtomicU64::new(0)),
    };
    let interrupt = Interrupt::listen()?;
    let events = Arc::clone(&job.events);
    let tell = || output.say(format_args!("replaying: {} events", events.load(Ordering::Relaxed)));
    let Some(played) = watch("replay", &interrupt, tell, |result| job.play(result))? else {
        return Ok(Outcome::Interrupted);
    };
    let Played { report, parting } = match played {
        Err(error) if error.is::<io::Error>() => return Err(error),
        played => played.with_context(|| format!("{path} cannot be replayed"))?,
    };
    if report.is_same() && matches!(report.ending, Ending::CutOff | Ending::GivenUp) {
        output.warn(format_args!("{path} was cut off; it was replayed as far as it goes"));
    }
    if args.json {
        output.json(&Replayed {
            events: report.events,
            seconds: report.span.as_micros() as f64 / 1e6,
            digest: report.digest.to_string(),
            complete: report.is_complete(),
            same: report.is_same(),
            behaviour: report.behaviour,
            difference: report.difference.as_ref().map(|difference| difference.events.end.saturating_sub(1)),
            states: report.states,
            drift: report.drift.as_ref().map(|drift| Drifted {
                event: drift.events.end.saturating_sub(1),
                parts: drift.parts.iter().map(|part| part.name()).collect(),
            }),
        })?;
    } else if report.is_same() {
        let (events, long) = (report.events, span(report.span));
        let line = format!("{path}: {events} events in {long}, the same actions, digest {}", report.digest);
        // A transcript is compared line by line: what is not of the recording is told beside it.
        if printed { output.say(line) } else { output.result(line)? }
    }
    if let Some(drift) = &report.drift {
        output.fault(format_args!("{path}: {drift}"));
    }
    let Some(parting) = parting else {
        return Ok(if report.is_same() { Outcome::Done } else { Outcome::Failed });
    };
    let epoch = if report.epoch_changed() {
        format!(
            "it was recorded in behaviour epoch {}, this program has {BEHAVIOUR}: a difference is to be expected",
            report.behaviour
        )
    } else {
        format!("both are of behaviour epoch {BEHAVIOUR}, so they should act alike")
    };
    output.fault(format_args!("{path}: this program acts in another way; {epoch}\n{parting}"));
    Ok(Outcome::Failed)
}

/// What programs get.
#[derive(Debug, Serialize)]
struct Replayed {
    events: u64,
    seconds: f64,
    digest: String,
    complete: bool,
    same: bool,
    behaviour: u32,
    /// The number of the event that made the difference.
    difference: Option<u64>,
    /// How many states were compared.
    states: u64,
    /// Where the state was another one first.
    drift: Option<Drifted>,
}

/// A state that went another way.
#[derive(Debug, Serialize)]
struct Drifted {
    /// The number of the event behind which it was found.
    event: u64,
    /// The parts that differ, by their names.
    parts: Vec<&'static str>,
}

/// What is to be done, on a thread of its own.
struct Job {
    bytes: Vec<u8>,
    until: Option<Until>,
    /// What is printed: whether as JSON, and about what.
    print: Option<(bool, Vec<Subject>)>,
    /// How many events have been run.
    events: Arc<AtomicU64>,
}

/// What came of it.
struct Played {
    report: ReplayReport,
    parting: Option<Parting>,
}

impl Job {
    fn play(self, result: &async_channel::Sender<anyhow::Result<Played>>) -> anyhow::Result<Played> {
        let Job { bytes, until, print, events } = self;
        let reader = Reader::new(&bytes)?;
        let limit = match until {
            None => Limit::default(),
            Some(Until::Events(most)) => Limit { events: Some(most), until: None },
            Some(Until::Span(span)) => Limit { events: None, until: Some(start(&reader) + span) },
        };
        let report = match print {
            None => replay_until(reader, limit, |config, seeds| {
                Ok(Counted { machine: Session::new(config, seeds)?, events })
            })?,
            Some((json, about)) => {
                let mut printer = Printer::new(json, &about);
                let report = replay_until(reader, limit, |config, seeds| {
                    let session = Session::new(config.clone(), seeds)?;
                    let told = Told::new(&config, session, |transcript, entry| {
                        if !printer.print(transcript, entry) {
                            // Whoever read has gone: nobody waits for the rest of it.
                            let gone = io::Error::from(io::ErrorKind::BrokenPipe);
                            let _ = result.try_send(Err(gone.into()));
                        }
                    });
                    Ok(Counted { machine: told, events })
                })?;
                printer.finish()?;
                report
            }
        };
        let parting = report.difference.as_ref().map(|difference| {
            let reader = Reader::new(&bytes)?;
            anyhow::Ok(Parting::of(difference, reader, Session::new)?)
        });
        Ok(Played { parting: parting.transpose()?, report })
    }
}

/// The time of the first event.
fn start(reader: &Reader<'_>) -> Time {
    let first = reader.clone().find_map(|record| match record {
        Ok(Record::Event { now, .. }) => Some(now),
        _ => None,
    });
    first.unwrap_or(Time::ZERO)
}

/// A machine whose events are counted.
struct Counted<M> {
    machine: M,
    events: Arc<AtomicU64>,
}

impl<M: Machine> Machine for Counted<M> {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.machine.handle(now, event, out);
    }

    fn state(&self) -> Option<State> {
        self.machine.state()
    }
}
