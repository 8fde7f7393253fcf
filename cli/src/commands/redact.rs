//! `redact`: makes a recording that can be given away.

use crate::args::RedactArgs;
use crate::aside::watch;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::values::size;
use anyhow::{Context as _, bail};
use parcacik_core::journal::redact::{RedactError, Redacted, redact};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

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
    let redacted = match watch("redact", &interrupt, || output.say("redacting"), move |_| redact(&bytes, key))? {
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
