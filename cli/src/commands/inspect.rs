//! `inspect`: what a `.torrent` file says.

use crate::args::InspectArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::torrent_file;
use crate::values::{clean, hex, size};
use parcacik_core::metainfo::{FileEntry, Metainfo};
use serde::Serialize;
use std::fmt::Write as _;

/// How many files are listed for people; programs get all.
const SHOWN_FILES: usize = 100;

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or is refused.
pub fn run(args: &InspectArgs, output: &Output) -> anyhow::Result<Outcome> {
    let torrent = torrent_file::read(&args.torrent, output)?;
    if args.json {
        output.json(&Inspected::of(&torrent.metainfo))?;
    } else {
        output.result(describe(&torrent.metainfo).trim_end())?;
        for warning in torrent.metainfo.warnings() {
            output.warn(warning);
        }
    }
    Ok(Outcome::Done)
}

/// What programs get. The keys are a contract.
#[derive(Debug, Serialize)]
struct Inspected<'a> {
    name: &'a str,
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    piece_length: u32,
    piece_count: u32,
    total_length: u64,
    private: bool,
    files: Vec<InspectedFile>,
    trackers: &'a [Vec<String>],
    web_seeds: &'a [String],
    http_seeds: &'a [String],
    comment: Option<&'a str>,
    created_by: Option<&'a str>,
    creation_date: Option<i64>,
    dht_nodes: &'a [(String, u16)],
    source: Option<&'a str>,
    warnings: &'a [String],
}

#[derive(Debug, Serialize)]
struct InspectedFile {
    /// What `download --select` calls it.
    index: usize,
    path: String,
    length: u64,
    pad: bool,
    executable: bool,
    hidden: bool,
    symlink: Option<String>,
    pieces_root: Option<String>,
}

impl<'a> Inspected<'a> {
    fn of(torrent: &'a Metainfo) -> Inspected<'a> {
        Inspected {
            name: torrent.name(),
            info_hash_v1: torrent.hashes().v1.map(|hash| hex(&hash)),
            info_hash_v2: torrent.hashes().v2.map(|hash| hex(&hash)),
            piece_length: torrent.geometry().piece_length(),
            piece_count: torrent.geometry().pieces(),
            total_length: torrent.geometry().total_length(),
            private: torrent.private(),
            files: (1..).zip(torrent.files()).map(|(index, file)| InspectedFile::of(index, file)).collect(),
            trackers: torrent.trackers(),
            web_seeds: torrent.web_seeds(),
            http_seeds: torrent.http_seeds(),
            comment: torrent.comment(),
            created_by: torrent.created_by(),
            creation_date: torrent.creation_date(),
            dht_nodes: torrent.nodes(),
            source: torrent.source(),
            warnings: torrent.warnings(),
        }
    }
}

impl InspectedFile {
    fn of(index: usize, file: &FileEntry) -> InspectedFile {
        InspectedFile {
            index,
            path: file.path.to_string(),
            length: file.length,
            pad: file.pad,
            executable: file.executable,
            hidden: file.hidden,
            symlink: file.symlink.as_ref().map(ToString::to_string),
            pieces_root: file.pieces_root.map(|root| hex(&root)),
        }
    }
}

/// The same for people. Words of strangers are made safe for a terminal.
fn describe(torrent: &Metainfo) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<13}{value}");
    };
    let geometry = torrent.geometry();
    line("Name", clean(torrent.name()));
    if let Some(hash) = torrent.hashes().v1 {
        line("Info-hash v1", hex(&hash));
    }
    if let Some(hash) = torrent.hashes().v2 {
        line("Info-hash v2", hex(&hash));
    }
    line("Size", format!("{} ({} bytes)", size(torrent.content_length()), torrent.content_length()));
    line("Pieces", format!("{} of {}", geometry.pieces(), size(u64::from(geometry.piece_length()))));
    line("Private", if torrent.private() { "yes" } else { "no" }.into());
    for (number, tier) in torrent.trackers().iter().enumerate() {
        let label = if number == 0 { "Trackers" } else { "" };
        line(label, tier.iter().map(|url| clean(url)).collect::<Vec<_>>().join(", "));
    }
    let urls = [("Web seed", torrent.web_seeds()), ("HTTP seed", torrent.http_seeds())];
    for (label, url) in urls.iter().flat_map(|(label, urls)| urls.iter().map(move |url| (label, url))) {
        line(label, clean(url));
    }
    for (host, port) in torrent.nodes() {
        line("DHT node", format!("{}:{port}", clean(host)));
    }
    let words = [("Comment", torrent.comment()), ("Made by", torrent.created_by()), ("Source", torrent.source())];
    for (label, words) in words {
        if let Some(words) = words {
            line(label, clean(words));
        }
    }
    if let Some(date) = torrent.creation_date() {
        // A date that no calendar has is shown as it stands.
        let date = jiff::Timestamp::from_second(date).map_or_else(|_| date.to_string(), |date| date.to_string());
        line("Made on", date);
    }
    // Numbered as they stand, so that a number is the same here, in the JSON and to `download --select`.
    let files: Vec<(usize, &FileEntry)> = (1..).zip(torrent.files()).filter(|(_, file)| !file.pad).collect();
    line("Files", files.len().to_string());
    for (index, file) in files.iter().take(SHOWN_FILES) {
        let link = file.symlink.as_ref().map(|to| format!(" -> {}", clean(&to.to_string())));
        let marks = [(file.executable, " [executable]"), (file.hidden, " [hidden]")];
        let marks: String = marks.iter().filter(|mark| mark.0).map(|mark| mark.1).collect();
        let path = clean(&file.path.to_string());
        let _ = writeln!(text, "{index:>6} {:>12}  {path}{}{marks}", size(file.length), link.unwrap_or_default());
    }
    if files.len() > SHOWN_FILES {
        let _ = writeln!(text, "{:>19}  and {} more; --json lists all", "...", files.len() - SHOWN_FILES);
    }
    text
}
