//! How far a job is: bars on a terminal, a line now and then when stderr is piped, nothing with `-q`.

use crate::output::Output;
use crate::values::{clean, rate, size, span};
use indicatif::{ProgressBar, ProgressStyle};
use parcacik_core::border::{Source, SourceCounts};
use std::fmt;
use std::time::{Duration, Instant};

/// How often a line is written where there are no bars.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The most torrents that have a bar of their own; more share one.
const MOST_BARS: usize = 8;
/// The most characters of a name in front of a bar.
const NAME_WIDTH: usize = 24;

/// Decides when a line is due.
#[derive(Debug)]
struct Pace {
    last: Option<Instant>,
}

impl Pace {
    fn due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.duration_since(last) >= LINE_EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }
}

/// Progress of one job that is counted in bytes.
#[derive(Debug)]
pub struct Counter<'a> {
    output: &'a Output,
    what: &'static str,
    done: u64,
    total: u64,
    bar: Option<ProgressBar>,
    pace: Pace,
}

impl<'a> Counter<'a> {
    /// A job of `total` bytes, called `what` in front of the figures.
    pub fn start(output: &'a Output, what: &'static str, total: u64) -> Counter<'a> {
        output.detail(format_args!("{what} {}", size(total)));
        let bar = (output.terminal() && !output.quiet()).then(|| {
            let style = style("{prefix} [{wide_bar}] {percent:>3}% {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left");
            output.bars().add(ProgressBar::new(total)).with_style(style).with_prefix(what)
        });
        // The first line is due after a while: a small job has none.
        Counter { output, what, done: 0, total, bar, pace: Pace { last: Some(Instant::now()) } }
    }

    /// So many bytes more are done.
    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        match &self.bar {
            Some(bar) => bar.inc(bytes),
            None if self.pace.due(Instant::now()) => {
                let (done, total) = (size(self.done), size(self.total));
                self.output.say(format_args!("{}: {}%, {done} of {total}", self.what, percent(self.done, self.total)));
            }
            None => {}
        }
    }

    /// The job has ended.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A torrent's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Bytes that are there, or were checked.
    pub done: u64,
    /// All bytes.
    pub total: u64,
    /// Pieces that are there, or were checked.
    pub pieces: u32,
    /// All pieces, or all that are to be checked.
    pub piece_count: u32,
    /// Bytes a second of content.
    pub download_rate: u64,
    /// Bytes a second of content.
    pub upload_rate: u64,
    /// Bytes of content uploaded in this run.
    pub uploaded: u64,
    /// Connections.
    pub peers: u32,
    /// Who has named their addresses.
    pub sources: SourceCounts,
    /// Time left.
    pub left: Option<Duration>,
}

/// What a torrent is doing, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not started.
    #[default]
    Waiting,
    /// Looking at what is there.
    Checking,
    /// Fetching the info dictionary of a magnet link.
    Metadata,
    /// Fetching.
    Downloading,
    /// Serving.
    Seeding,
    /// Held by the user.
    Paused,
    /// Waiting for a place.
    Queued,
    /// On its way to another folder.
    Moving,
    /// What is wanted does not fit on the disk; what is there is served.
    Full,
    /// The disk fails; it is tried again.
    NoDisk,
    /// Ending.
    Stopping,
    /// Ended.
    Stopped,
    /// Ended by a fault.
    Failed,
}

impl State {
    /// One word, the same for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Checking => "checking",
            State::Metadata => "metadata",
            State::Downloading => "downloading",
            State::Seeding => "seeding",
            State::Paused => "paused",
            State::Queued => "queued",
            State::Moving => "moving",
            State::Full => "disk full",
            State::NoDisk => "waiting for the disk",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Failed => "failed",
        }
    }
}

/// Where peers that there is a connection to come from: ` (2 tracker, 1 pex)`. One that several have named counts for each.
struct Origins<'c>(&'c SourceCounts);

impl fmt::Display for Origins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connected = Source::ALL.into_iter().map(|source| (source, self.0.connected(source)));
        let mut before = " (";
        for (source, count) in connected.filter(|(_, count)| *count > 0) {
            write!(f, "{before}{count} {source}")?;
            before = ", ";
        }
        if before == " (" { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, percent) = (self.state.word(), percent(self.done, self.total));
        match self.state {
            State::Checking => write!(f, "{state} {percent}%, {}/{} pieces", self.pieces, self.piece_count),
            State::Metadata if self.total == 0 => write!(f, "fetching {state}, {} peers", self.peers),
            State::Metadata => {
                write!(f, "fetching {state} {percent}% of {}, {} peers", size(self.total), self.peers)
            }
            State::Downloading => {
                write!(f, "{percent}% {}/{} pieces, ", self.pieces, self.piece_count)?;
                write!(f, "{} down, {} up, ", rate(self.download_rate), rate(self.upload_rate))?;
                write!(f, "{} peers{}", self.peers, Origins(&self.sources))?;
                self.left.map_or(Ok(()), |left| write!(f, ", {} left", span(left)))
            }
            State::Seeding => {
                let (now, all) = (rate(self.upload_rate), size(self.uploaded));
                write!(f, "{state}, {percent}% there, {now} up, {all} uploaded, {} peers", self.peers)?;
                write!(f, "{}", Origins(&self.sources))
            }
            _ => f.write_str(state),
        }
    }
}

/// Progress of several torrents.
#[derive(Debug)]
pub struct Board<'a> {
    output: &'a Output,
    bars: Vec<ProgressBar>,
    pace: Pace,
}

impl<'a> Board<'a> {
    /// A board for so many torrents.
    pub fn new(output: &'a Output, torrents: usize) -> Board<'a> {
        let count = match torrents {
            _ if !output.terminal() || output.quiet() => 0,
            1..=MOST_BARS => torrents,
            _ => 1,
        };
        let bars = (0..count).map(|_| {
            let bar = output.bars().add(ProgressBar::new(0));
            // Two lines, each cut to the terminal's width: one that is broken could not be drawn over.
            bar.with_style(style("{prefix} [{wide_bar}]\n  {wide_msg}"))
        });
        // The first line is due after a while: what is done at once has none.
        Board { output, bars: bars.collect(), pace: Pace { last: Some(Instant::now()) } }
    }

    /// Shows how things are.
    pub fn show(&mut self, rows: &[Row]) {
        if self.bars.is_empty() {
            if self.output.quiet() || !self.pace.due(Instant::now()) {
                return;
            }
            let all;
            for row in if rows.len() > MOST_BARS {
                all = [sum(rows)];
                &all
            } else {
                rows
            } {
                self.output.say(format_args!("{}: {row}", row.name));
            }
        } else if rows.len() == self.bars.len() {
            self.bars.iter().zip(rows).for_each(|(bar, row)| draw(bar, row));
        } else if let Some(bar) = self.bars.first() {
            draw(bar, &sum(rows));
        }
    }

    /// Takes the bars away.
    pub fn clear(&mut self) {
        for bar in self.bars.drain(..) {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, row: &Row) {
    let name = clean(&row.name);
    let short: String = if name.chars().count() > NAME_WIDTH {
        name.chars().take(NAME_WIDTH - 3).chain("...".chars()).collect()
    } else {
        name
    };
    bar.set_length(row.total);
    bar.set_position(row.done);
    bar.set_prefix(short);
    bar.set_message(row.to_string());
}

/// Many torrents as one.
fn sum(rows: &[Row]) -> Row {
    let busy = |state| rows.iter().any(|row| row.state == state);
    let order = [State::Downloading, State::Metadata, State::Checking, State::Seeding, State::Stopping, State::Waiting];
    let whole = rows
        .iter()
        .filter(|row| row.total > 0 && row.done == row.total && !matches!(row.state, State::Checking | State::Metadata))
        .count();
    let add = |of: fn(&Row) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
    let count = |of: fn(&Row) -> u32| rows.iter().map(of).fold(0, u32::saturating_add);
    Row {
        name: format!("{whole} of {} torrents whole", rows.len()),
        state: order.into_iter().find(|&state| busy(state)).unwrap_or(State::Stopped),
        done: add(|row| row.done),
        total: add(|row| row.total),
        pieces: count(|row| row.pieces),
        piece_count: count(|row| row.piece_count),
        download_rate: add(|row| row.download_rate),
        upload_rate: add(|row| row.upload_rate),
        uploaded: add(|row| row.uploaded),
        peers: count(|row| row.peers),
        sources: rows.iter().map(|row| row.sources).sum(),
        left: rows.iter().filter_map(|row| row.left).max(),
    }
}

fn percent(done: u64, total: u64) -> u64 {
    // Rounded down: 100 means that it is whole.
    (u128::from(done) * 100).checked_div(u128::from(total)).map_or(100, |percent| percent.min(100) as u64)
}

fn style(template: &str) -> ProgressStyle {
    // The templates stand in this file; one that is wrong shows itself as a plain bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, done: u64) -> Row {
        Row { name: "a".into(), state, done, total: 1000, pieces: 1, piece_count: 4, ..Row::default() }
    }

    #[test]
    fn a_hundred_percent_is_everything() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(1000, 1000), 100);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }

    #[test]
    fn a_line_tells_what_matters_in_each_state() {
        let downloading = Row { peers: 3, left: Some(Duration::from_secs(61)), ..row(State::Downloading, 250) };
        assert_eq!(downloading.to_string(), "25% 1/4 pieces, 0 B/s down, 0 B/s up, 3 peers, 1m01s left");
        assert_eq!(row(State::Metadata, 500).to_string(), "fetching metadata 50% of 1000 B, 0 peers");
        assert_eq!(Row { total: 0, peers: 2, ..row(State::Metadata, 0) }.to_string(), "fetching metadata, 2 peers");
        let counts = [(Source::Tracker, true), (Source::Tracker, true), (Source::Pex, true), (Source::Lsd, false)];
        let sources = SourceCounts::from_iter(counts);
        let told = Row { peers: 3, sources, ..row(State::Downloading, 250) };
        assert_eq!(told.to_string(), "25% 1/4 pieces, 0 B/s down, 0 B/s up, 3 peers (2 tracker, 1 pex)");
        assert_eq!(row(State::Checking, 250).to_string(), "checking 25%, 1/4 pieces");
        assert_eq!(row(State::Seeding, 1000).to_string(), "seeding, 100% there, 0 B/s up, 0 B uploaded, 0 peers");
    }

    #[test]
    fn many_torrents_are_summed() {
        let all = sum(&[row(State::Seeding, 1000), row(State::Downloading, 250), row(State::Failed, 0)]);
        assert_eq!((all.name.as_str(), all.state, all.done), ("1 of 3 torrents whole", State::Downloading, 1250));
    }

    #[test]
    fn lines_keep_their_distance() {
        let (start, mut pace) = (Instant::now(), Pace { last: None });
        assert!(pace.due(start));
        assert!(!pace.due(start + LINE_EVERY / 2));
        assert!(pace.due(start + LINE_EVERY));
    }
}
