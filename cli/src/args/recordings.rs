//! The arguments of `redact` and `shrink`.

use crate::values;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Make a recording that names nobody, to give it away
///
/// Addresses, host names, keys of trackers, names of torrents and files, info-hashes, peer ids, dates and every text are replaced by others, the same by the same; content is left out. The result is a recording of its own: it is checked that the session does the same in it, event by event, and that nothing of the original is left. Otherwise nothing is written, and the exit code is 1.
///
/// What stays: sizes of files and pieces and the number of files, times between events, ports, rates, what clients peers say they are (the first eight bytes of their ids), numbers that trackers tell. Whoever knows a torrent can know it again by its sizes.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik download debian.iso.torrent --record mine.rec
  parcacik redact mine.rec -o for-others.rec

JSON (--json): {\"path\",\"events\",\"digest\",\"bytes\",\"torrents\",\"addresses\",\"peers\"}")]
pub struct RedactArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to put the new one; must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
}

/// Make a recording smaller, as long as a command says that it still fails
///
/// COMMAND is run again and again with a recording's path as its last argument, and no shell. A recording fails when the command ends with the status that it has for FILE. Connections, windows of time, torrents and at last single events are left out; what remains is recorded anew by this program, so that it can be replayed. The smallest recording so far is always in the output.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik download film.torrent --record long.rec
  parcacik shrink long.rec -o short.rec --check grep -qa film

JSON (--json): {\"path\",\"events\",\"of\",\"bytes\",\"runs\",\"minimal\"}")]
pub struct ShrinkArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to put the smaller one; must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The most runs of the command
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub max_runs: u64,
    /// The longest time for all of it, as in 90s or 10m
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "10m")]
    pub max_time: Duration,
    /// Print one object to stdout
    #[arg(long)]
    pub json: bool,
    /// The command, with its arguments; everything behind it belongs to it
    #[arg(long, value_name = "COMMAND", required = true, num_args = 1.., allow_hyphen_values = true)]
    pub check: Vec<OsString>,
}
