//! `verify`: whether data are what a torrent says.
//!
//! A file that is longer than it should be is warned of and does not count as bad: what belongs to the torrent is right. Links in the
//! data folder are followed, since nothing is written.

use crate::args::VerifyArgs;
use crate::exit::Outcome;
use crate::hashing::{self, ReadFault};
use crate::output::Output;
use crate::progress::Counter;
use crate::signals::Interrupt;
use crate::torrent_file;
use crate::values::clean;
use anyhow::{Context as _, bail};
use parcacik_core::border::StorageLayout;
use parcacik_core::metainfo::Metainfo;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// How many bad pieces and files are listed for people.
const SHOWN: usize = 50;

/// Runs the command.
///
/// # Errors
/// When the torrent or the folder cannot be used. Data that are wrong are a result.
pub fn run(args: &VerifyArgs, output: &Output) -> anyhow::Result<Outcome> {
    let torrent = torrent_file::read(&args.torrent, output)?.metainfo;
    if !torrent.is_v1() {
        bail!("{} is of version 2 only, which cannot be checked yet", args.torrent.display());
    }
    std::fs::read_dir(&args.data).with_context(|| format!("cannot use the data folder {}", args.data.display()))?;
    let interrupt = Interrupt::listen()?;
    let checked = check(&torrent, &args.data, &interrupt, output)?;
    if interrupt.asked() {
        output.say("stopped; not everything was checked");
        return Ok(Outcome::Interrupted);
    }
    if args.json {
        output.json(&checked)?;
    } else {
        checked.print(output)?;
    }
    Ok(if checked.complete { Outcome::Done } else { Outcome::Failed })
}

/// What was found.
#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    info_hash: String,
    bad_pieces: Vec<u32>,
    bad_files: Vec<BadFile>,
    pieces_ok: u32,
    pieces_bad: u32,
    complete: bool,
}

/// A file that is not whole.
#[derive(Debug, Serialize)]
struct BadFile {
    path: String,
    /// `missing`, `too short`, `not readable` with the reason, or `wrong data`.
    problem: String,
    /// How many of its pieces are bad. One that it shares with another file may be bad because of that one.
    pieces: usize,
}

fn check(torrent: &Metainfo, data: &Path, interrupt: &Interrupt, output: &Output) -> anyhow::Result<Checked> {
    let layout = torrent.layout();
    let paths = paths(layout, data);
    let mut problems = look(layout, &paths, output);
    let mut bad = BTreeSet::new();
    let mut counter = Counter::start(output, "checking", torrent.geometry().total_length());
    hashing::hash_pieces(layout, &paths, interrupt, |number, hash| {
        let Some(piece) = torrent.geometry().piece(number) else { return Ok(()) };
        match hash {
            Ok(hash) if torrent.piece_hashes().get(piece) == Some(hash) => {}
            Ok(_) => {
                bad.insert(number);
            }
            Err(ReadFault { file, error }) => {
                bad.insert(number);
                problems.entry(file).or_insert_with(|| unreadable(&error));
            }
        }
        counter.add(u64::from(torrent.geometry().length(piece)));
        Ok(())
    })?;
    counter.finish();
    let mut bad_files = Vec::new();
    for (index, file) in layout.files().iter().enumerate().filter(|(_, file)| !file.pad) {
        let pieces = layout.pieces_of(index).map_or(0, |(first, last)| bad.range(first..=last).count());
        let problem = problems.remove(&index);
        if pieces > 0 || problem.is_some() {
            let problem = problem.unwrap_or_else(|| "wrong data".to_owned());
            bad_files.push(BadFile { path: file.path.to_string(), problem, pieces });
        }
    }
    let pieces_bad = bad.len() as u32;
    Ok(Checked {
        name: torrent.name().to_owned(),
        info_hash: torrent.hashes().best().to_hex(),
        pieces_ok: torrent.geometry().pieces() - pieces_bad,
        pieces_bad,
        // An empty file has no piece that could be bad.
        complete: bad.is_empty() && bad_files.is_empty(),
        bad_pieces: bad.into_iter().collect(),
        bad_files,
    })
}

/// Where the files of a layout lie.
fn paths(layout: &StorageLayout, data: &Path) -> Vec<PathBuf> {
    layout.files().iter().map(|file| data.join(file.path.elements().iter().collect::<PathBuf>())).collect()
}

/// What can be seen without reading: files that are missing or of the wrong length.
fn look(layout: &StorageLayout, paths: &[PathBuf], output: &Output) -> BTreeMap<usize, String> {
    let mut problems = BTreeMap::new();
    for (index, (file, path)) in layout.files().iter().zip(paths).enumerate().filter(|(_, (file, _))| !file.pad) {
        match std::fs::metadata(path) {
            Err(error) => {
                problems.insert(index, unreadable(&error));
            }
            Ok(found) if !found.is_file() => {
                problems.insert(index, "not a regular file".to_owned());
            }
            Ok(found) if found.len() < file.length => {
                problems.insert(index, format!("too short: {} of {} bytes", found.len(), file.length));
            }
            Ok(found) if found.len() > file.length => {
                output.warn(format_args!(
                    "{} is {} bytes longer than in the torrent",
                    file.path,
                    found.len() - file.length
                ));
            }
            Ok(_) => {}
        }
    }
    problems
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "missing".to_owned(),
        io::ErrorKind::UnexpectedEof => "too short".to_owned(),
        _ => format!("not readable: {error}"),
    }
}

impl Checked {
    fn print(&self, output: &Output) -> io::Result<()> {
        if self.complete {
            return output.result(format_args!(
                "{}: complete, all {} pieces are right",
                clean(&self.name),
                self.pieces_ok
            ));
        }
        for file in self.bad_files.iter().take(SHOWN) {
            let (path, problem) = (clean(&file.path), &file.problem);
            let pieces = if file.pieces == 1 { "piece" } else { "pieces" };
            output.result(format_args!("{path}: {problem} ({} bad {pieces})", file.pieces))?;
        }
        if self.bad_files.len() > SHOWN {
            output.result(format_args!("... and {} more files", self.bad_files.len() - SHOWN))?;
        }
        if !self.bad_pieces.is_empty() {
            output.result(format_args!("bad pieces: {}", runs(&self.bad_pieces)))?;
        }
        let (name, bad, all) = (clean(&self.name), self.pieces_bad, self.pieces_bad + self.pieces_ok);
        output.result(format_args!("{name}: not complete, {bad} of {all} pieces are bad or missing"))
    }
}

/// Sorted numbers as `1, 4-7`.
fn runs(numbers: &[u32]) -> String {
    let runs: Vec<&[u32]> = numbers.chunk_by(|a, b| a + 1 == *b).collect();
    let mut shown: Vec<String> = runs
        .iter()
        .take(SHOWN)
        .map(|run| match run {
            [only] => only.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            // `chunk_by` gives no empty chunks.
            [] => String::new(),
        })
        .collect();
    if runs.len() > SHOWN {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_shown_as_a_range() {
        assert_eq!(runs(&[1, 4, 5, 6, 9, 10]), "1, 4-6, 9-10");
        assert_eq!(runs(&[0]), "0");
        assert!(runs(&(0..200).map(|n| n * 2).collect::<Vec<_>>()).ends_with("98, ..."));
    }
}
