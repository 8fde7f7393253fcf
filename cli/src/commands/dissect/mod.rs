//! `dissect`: what peers and trackers said in a capture.
//!
//! Reading, and what it means, is `parcacik_core::capture`; here it is shown: [`lines`] for people, [`json`] for programs, [`summary`] for both.

mod dht;
mod json;
mod lines;
mod summary;

use crate::args::DissectArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::torrent_file;
use anyhow::Context as _;
use parcacik_core::capture::{CaptureLimits, Dissector, Heard, PieceCheck, Summary};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::Path;

/// How much is read at once.
const READ: usize = 256 << 10;

/// Runs the command.
///
/// # Errors
/// When the capture or the torrent cannot be read. What is wrong inside a capture is told, and ends with exit code 1 when it could not be read on.
pub fn run(args: &DissectArgs, output: &Output) -> anyhow::Result<Outcome> {
    let shown = args.capture.display();
    let torrent = args.torrent.as_deref().map(|torrent| torrent_file::read(torrent, output)).transpose()?;
    let limits = CaptureLimits::default();
    let mut pieces = torrent.as_ref().map(|torrent| PieceCheck::new(&torrent.metainfo, &limits));
    let mut file = open(&args.capture).with_context(|| format!("cannot open {shown}"))?;
    let interrupt = Interrupt::listen()?;
    let mut dissector = Dissector::new(limits);
    let mut summary = Summary::default();
    // Lines are many: not each is written by itself.
    let mut out = BufWriter::new(io::stdout().lock());
    let mut buffer = vec![0; READ];
    loop {
        let length = file.read(&mut buffer).with_context(|| format!("cannot read {shown}"))?;
        dissector.feed(buffer.get(..length).unwrap_or_default());
        // Where it cannot be read on, what is open ends as well.
        let ends = length == 0 || dissector.facts().fault.is_some();
        if ends {
            dissector.finish();
        }
        while let Some(heard) = dissector.heard() {
            let facts = match &heard {
                Heard::Stream(id, _) => dissector.stream(*id),
                Heard::Datagram(_) => None,
            };
            summary.count(&heard, facts);
            if let Some(pieces) = &mut pieces {
                pieces.look(&heard, facts);
            }
            match (args.summary, args.json) {
                (true, _) => {}
                (false, true) => writeln!(out, "{}", json::line(&heard, facts)?)?,
                (false, false) => writeln!(out, "{}", lines::line(&heard, facts, dissector.facts()))?,
            }
        }
        if ends {
            break;
        }
        if interrupt.asked() {
            return Ok(Outcome::Interrupted);
        }
    }
    if args.summary {
        let summed = summary::Summed::of(&dissector, &summary, pieces.as_ref().zip(torrent.as_ref()));
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&summed)?)?;
        } else {
            write!(out, "{}", summed.text())?;
        }
    } else if let Some((pieces, torrent)) = pieces.as_ref().zip(torrent.as_ref()) {
        let text = summary::pieces_text(pieces, &torrent.metainfo);
        if args.json { output.say(text) } else { writeln!(out, "{text}")? }
    }
    out.flush()?;
    drop(out);
    told(&dissector, &shown.to_string(), output)
}

/// Tells what was wrong with the file itself.
fn told(dissector: &Dissector, shown: &str, output: &Output) -> anyhow::Result<Outcome> {
    let facts = dissector.facts();
    if facts.cut_off {
        output.warn(format_args!("{shown} ends in the middle of a record; it was read as far as it goes"));
    }
    if facts.unknown_link > 0 {
        output.warn(format_args!("{} frames are of a link type that is not known", facts.unknown_link));
    }
    if facts.unfollowed > 0 {
        output.warn(format_args!("{} segments are of connections beyond those that are followed", facts.unfollowed));
    }
    match &facts.fault {
        None => Ok(Outcome::Done),
        Some(fault) => {
            output.fault(format_args!("{shown}: {fault}"));
            Ok(Outcome::Failed)
        }
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    Ok(Box::new(file))
}
