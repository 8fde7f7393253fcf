//! `shrink`: leaves out of a recording what a failure does not need. The core proposes; a command of the user's judges.

use crate::args::ShrinkArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::values::span;
use anyhow::{Context as _, anyhow, bail};
use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::{FutureExt as _, StreamExt as _};
use parcacik_core::journal::shrink::{Shrinker, Stage};
use serde::Serialize;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
///
/// # Errors
/// When the recording cannot be read or run, the check cannot be started, or what the check says of the recording it does not say of the
/// same events recorded anew.
pub fn run(args: &ShrinkArgs, output: &Output) -> anyhow::Result<Outcome> {
    let path = args.file.display();
    if args.output.symlink_metadata().is_ok() {
        bail!("{} exists; name a new file", args.output.display());
    }
    let bytes = fs::read(&args.file).with_context(|| format!("cannot read {path}"))?;
    let mut shrinker = Shrinker::new(&bytes).with_context(|| format!("{path} cannot be shrunk"))?;
    let mut check = Check::new(args)?;
    let Some(fails) = check.status_of(&args.file)? else { return Ok(check.left(output)) };
    output.say(format_args!("{path}: {} events, {fails}; looking for fewer", shrinker.events()));
    let of = shrinker.events();
    let proposal = Proposal(beside(&args.output));
    let mut told = Instant::now();
    let minimal = loop {
        if check.runs >= args.max_runs {
            break false;
        }
        let stage = shrinker.stage();
        let proposed = catch_unwind(AssertUnwindSafe(|| shrinker.propose().map(|bytes| proposal.write(bytes))));
        let proposed = proposed.map_err(|_| anyhow!("the core has panicked, which is a bug in it"))?;
        let Some(written) = proposed else { break true };
        written.with_context(|| format!("cannot write {}", proposal.0.display()))?;
        let Some(status) = check.status_of(&proposal.0)? else { break false };
        let again = status == fails;
        if stage == Stage::Whole && !again {
            bail!("{path} has {fails}, and its events recorded by this program have {status}");
        }
        shrinker.judge(again);
        if again {
            fs::rename(&proposal.0, &args.output).with_context(|| format!("cannot write {}", args.output.display()))?;
        }
        if told.elapsed() >= TELL_EVERY || shrinker.stage() != stage {
            told = Instant::now();
            let (events, runs) = (shrinker.events(), check.runs);
            output.say(format_args!("{events} of {of} events after {runs} runs; leaving out {}", shrinker.stage()));
        }
    };
    let Some(smallest) = shrinker.smallest() else { return Ok(check.left(output)) };
    if args.json {
        let (path, runs) = (&args.output, check.runs);
        output.json(&Made { path, events: shrinker.events(), of, bytes: smallest.len(), runs, minimal })?;
    } else {
        output.result(format_args!(
            "{}: {} of {of} events, after {} runs in {}{}",
            args.output.display(),
            shrinker.events(),
            check.runs,
            span(check.begun.elapsed()),
            if minimal { "" } else { "; there may be fewer" },
        ))?;
    }
    if check.interrupt.asked() { Ok(Outcome::Interrupted) } else { Ok(Outcome::Done) }
}

/// What programs get.
#[derive(Debug, Serialize)]
struct Made<'p> {
    path: &'p Path,
    events: usize,
    of: usize,
    bytes: usize,
    runs: u64,
    /// Whether nothing more can be left out.
    minimal: bool,
}

/// A file for what is to be judged, in the output's folder, so that it can take the output's place. Gone at the end.
struct Proposal(PathBuf);

fn beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(format!(".{}.proposal", std::process::id()));
    PathBuf::from(name)
}

impl Proposal {
    /// It holds what the recording held, and is its owner's alone like that.
    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.0)?;
        file.write_all(bytes)
    }
}

impl Drop for Proposal {
    fn drop(&mut self) {
        // It has become the output, or nobody wants it.
        let _ = fs::remove_file(&self.0);
    }
}

/// The user's command.
struct Check<'a> {
    command: &'a [OsString],
    signals: Signals,
    interrupt: Interrupt,
    begun: Instant,
    limit: Duration,
    runs: u64,
}

impl<'a> Check<'a> {
    fn new(args: &'a ShrinkArgs) -> anyhow::Result<Check<'a>> {
        Ok(Check {
            command: &args.check,
            // Before the first child, so that the end of none is missed.
            signals: Signals::new([Signal::Child]).context("cannot watch the command")?,
            interrupt: Interrupt::listen()?,
            begun: Instant::now(),
            limit: args.max_time,
            runs: 0,
        })
    }

    /// How the command ends for this file; `None`: somebody interrupts, or the time is up, and the command was ended.
    fn status_of(&mut self, file: &Path) -> anyhow::Result<Option<ExitStatus>> {
        let Some((program, arguments)) = self.command.split_first() else { bail!("no command to check with") };
        self.runs += 1;
        let mut child = Command::new(program)
            .args(arguments)
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let left = self.limit.saturating_sub(self.begun.elapsed());
        let (signals, interrupt) = (&mut self.signals, &self.interrupt);
        let ended = futures_lite::future::block_on(async {
            let ended = async {
                loop {
                    if let Some(status) = child.try_wait()? {
                        return Ok::<_, std::io::Error>(Some(status));
                    }
                    // A signal that cannot be read is one all the same: somebody has ended.
                    let _ = signals.next().await;
                }
            };
            let stopped = async {
                interrupt.wait().await;
                Ok(None)
            };
            let late = async {
                Timer::after(left).await;
                Ok(None)
            };
            ended.or(stopped).or(late).await
        })?;
        if ended.is_none() {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            child.wait()?;
        }
        Ok(ended)
    }

    /// It was left before anything was found.
    fn left(&self, output: &Output) -> Outcome {
        if self.interrupt.asked() {
            output.say("stopped; nothing was written");
            return Outcome::Interrupted;
        }
        output.fault("the limits were reached before anything could be left out");
        Outcome::Failed
    }
}
