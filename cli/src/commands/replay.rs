//! `replay`: runs a recorded session again, without network, disk or clock, and compares.

use crate::args::ReplayArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::values::span;
use anyhow::{Context as _, anyhow};
use async_io::Timer;
use futures_lite::{FutureExt as _, StreamExt as _};
use parcacik_core::border::{Actions, Event};
use parcacik_core::journal::{self, Machine, ReplayError, ReplayReport};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use serde::Serialize;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
///
/// # Errors
/// When the recording cannot be read. A run that goes another way is a result.
pub fn run(args: &ReplayArgs, output: &Output) -> anyhow::Result<Outcome> {
    let path = args.file.display();
    let bytes = fs::read(&args.file).with_context(|| format!("cannot read {path}"))?;
    let interrupt = Interrupt::listen()?;
    let Some(report) = watch(bytes, &interrupt, output)? else {
        return Ok(Outcome::Interrupted);
    };
    let report = report.with_context(|| format!("{path} cannot be replayed"))?;
    if !report.is_complete() && report.is_same() {
        output.warn(format_args!("{path} was cut off; it was replayed as far as it goes"));
    }
    if args.json {
        output.json(&Replayed {
            events: report.events,
            seconds: report.span.as_micros() as f64 / 1e6,
            digest: report.digest.to_string(),
            complete: report.is_complete(),
            same: report.is_same(),
        })?;
    } else if report.is_same() {
        let (events, long) = (report.events, span(report.span));
        output.result(format_args!("{path}: {events} events in {long}, the same actions, digest {}", report.digest))?;
    }
    match report.difference {
        None => Ok(Outcome::Done),
        Some(difference) => {
            output.fault(format_args!("{path}: this program acts in another way\n{difference}"));
            Ok(Outcome::Failed)
        }
    }
}

/// What programs get.
#[derive(Debug, Serialize)]
struct Replayed {
    events: u64,
    seconds: f64,
    digest: String,
    complete: bool,
    same: bool,
}

/// Replays on a thread of its own, so that it can be left when somebody interrupts: `None`. It holds nothing that would have to be cleaned up.
fn watch(
    bytes: Vec<u8>,
    interrupt: &Interrupt,
    output: &Output,
) -> anyhow::Result<Option<Result<ReplayReport, ReplayError>>> {
    let events = Arc::new(AtomicU64::new(0));
    let (result, ready) = async_channel::bounded(1);
    std::thread::Builder::new()
        .name("replay".to_owned())
        .spawn({
            let events = Arc::clone(&events);
            move || {
                // Nobody takes it when the program is ending.
                let _ = result.try_send(replay(&bytes, events));
            }
        })
        .context("cannot start a thread")?;
    futures_lite::future::block_on(async {
        let ready =
            async { ready.recv().await.map(Some).map_err(|_| anyhow!("the core has panicked, which is a bug in it")) };
        let interrupted = async {
            interrupt.wait().await;
            Ok(None)
        };
        let told = async {
            let mut pace = Timer::interval(TELL_EVERY);
            loop {
                pace.next().await;
                output.say(format_args!("replaying: {} events", events.load(Ordering::Relaxed)));
            }
        };
        interrupted.or(ready).or(told).await
    })
}

fn replay(bytes: &[u8], events: Arc<AtomicU64>) -> Result<ReplayReport, ReplayError> {
    let reader = journal::Reader::new(bytes).map_err(ReplayError::Read)?;
    journal::replay_with(reader, |config, seeds| Ok(Counted { session: Session::new(config, seeds)?, events }))
}

/// A session whose events are counted.
struct Counted {
    session: Session,
    events: Arc<AtomicU64>,
}

impl Machine for Counted {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.session.handle(now, event, out);
    }
}
