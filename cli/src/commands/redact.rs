//! `redact`: makes a recording that can be given away.

use crate::args::RedactArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::values::size;
use anyhow::{Context as _, anyhow, bail};
use async_io::Timer;
use futures_lite::{FutureExt as _, StreamExt as _};
use parcacik_core::journal::redact::{RedactError, Redacted, redact};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// How often it is told that it is not done yet.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
///
/// # Errors
/// When the recording cannot be read or redacted, or the result cannot be written.
pub fn run(args: &RedactArgs, output: &Output) -> anyhow::Result<Outcome> {
    let path = args.file.display();
    if args.output.symlink_metadata().is_ok() {
        bail!("{} exists; name a new file", args.output.display());
    }
    let bytes = fs::read(&args.file).with_context(|| format!("cannot read {path}"))?;
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let interrupt = Interrupt::listen()?;
    let redacted = match watch(bytes, key, &interrupt, output)? {
        None => {
            output.say("stopped; nothing was written");
            return Ok(Outcome::Interrupted);
        }
        Some(Err(RedactError::Differs(report))) => {
            let difference = report.difference.map(|difference| difference.to_string()).unwrap_or_default();
            bail!(
                "{path} cannot be redacted: this program acts in another way than the one that recorded it\n{difference}"
            );
        }
        Some(result) => result.with_context(|| format!("{path} cannot be redacted"))?,
    };
    write(&args.output, &redacted.bytes).with_context(|| format!("cannot write {}", args.output.display()))?;
    let Redacted { bytes, digest, events, torrents, addresses, peers } = redacted;
    if args.json {
        output.json(&Made {
            path: &args.output,
            events,
            digest: digest.to_string(),
            bytes: bytes.len(),
            torrents,
            addresses,
            peers,
        })?;
    } else {
        output.result(format_args!(
            "{}: {events} events, {}, digest {digest}\nreplaced: {torrents} torrents, {addresses} addresses, {peers} peer ids, and all texts",
            args.output.display(),
            size(bytes.len() as u64),
        ))?;
    }
    Ok(Outcome::Done)
}

/// What programs get.
#[derive(Debug, Serialize)]
struct Made<'p> {
    path: &'p Path,
    events: u64,
    digest: String,
    bytes: usize,
    torrents: usize,
    addresses: usize,
    peers: usize,
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Redacts on a thread of its own, so that it can be left when somebody interrupts: `None`.
fn watch(
    bytes: Vec<u8>,
    key: [u8; 32],
    interrupt: &Interrupt,
    output: &Output,
) -> anyhow::Result<Option<Result<Redacted, RedactError>>> {
    let (result, ready) = async_channel::bounded(1);
    std::thread::Builder::new()
        .name("redact".to_owned())
        .spawn(move || {
            // Nobody takes it when the program is ending.
            let _ = result.try_send(redact(&bytes, key));
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
                output.say("redacting");
            }
        };
        interrupted.or(ready).or(told).await
    })
}
