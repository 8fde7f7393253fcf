//! Reads a recording.

use super::canon::{DecodeError, Decoder, Problem};
use super::digest::Digest;
use super::{FORMAT, MAGIC, kind};
use crate::border::{Config, Event};
use crate::rng::Seeds;
use crate::time::Time;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a recording says before its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The behaviour epoch of the core that ran.
    pub behaviour: u32,
    /// Its version. For people.
    pub version: String,
    /// What the session was told at its start. Not checked.
    pub config: Config,
    /// The seed of decisions that anybody may know.
    pub decision: [u8; 32],
    /// The seed of what must not be guessed; `None` when it was left out.
    pub secret: Option<[u8; 32]>,
    /// What the run's digest starts from.
    pub start: Digest,
}

impl Header {
    /// Both seeds, when both are there.
    pub fn seeds(&self) -> Option<Seeds> {
        Some(Seeds { decision: self.decision, secret: self.secret? })
    }
}

/// One thing out of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Something that happened.
    Event {
        /// When.
        now: Time,
        /// What.
        event: Event,
        /// The first bytes of the digest that the run had come to with it.
        check: [u8; 2],
    },
    /// What the run had come to at this point.
    Checkpoint {
        /// How many events came before.
        events: u64,
        /// The digest.
        digest: Digest,
    },
    /// What the run came to. The last record.
    End {
        /// How many events there were.
        events: u64,
        /// The digest.
        digest: Digest,
    },
}

/// A recording that cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Where, in bytes.
    pub offset: u64,
    /// How many events came before.
    pub events: u64,
    /// What is wrong.
    pub problem: ReadProblem,
}

/// What is wrong with a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadProblem {
    /// It does not begin as one.
    NotARecording,
    /// Its format is another one than [`FORMAT`].
    Format(u64),
    /// It ends before its end: whoever wrote it was stopped. What was read is good.
    Truncated,
    /// A frame that does not belong there, by its kind.
    Frame(u8),
    /// Bytes that nobody would have written.
    Damaged(Problem),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadError { offset, events, problem } = self;
        match problem {
            ReadProblem::NotARecording => f.write_str("not a recording"),
            ReadProblem::Format(format) => {
                write!(f, "the recording has format {format}, this program reads format {FORMAT}")
            }
            ReadProblem::Truncated => write!(f, "the recording was cut off after {events} events"),
            ReadProblem::Frame(kind) => {
                write!(f, "the recording is damaged: unexpected frame {kind} at byte {offset}, after {events} events")
            }
            ReadProblem::Damaged(problem) => {
                let error = DecodeError { offset: usize::try_from(*offset).unwrap_or(usize::MAX), problem: *problem };
                write!(f, "the recording is damaged: {error}, after {events} events")
            }
        }
    }
}

impl core::error::Error for ReadError {}

/// Yields the records of a recording, one by one. Total: after an error, or the end, there is nothing more.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    header: Header,
    now: Time,
    events: u64,
    fill: u8,
    over: bool,
}

/// A frame and where its body begins.
struct Frame<'a> {
    kind: u8,
    start: usize,
    body: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// A header that is not there whole, or of another format.
    pub fn new(bytes: &'a [u8]) -> Result<Reader<'a>, ReadError> {
        let error = |offset: usize, problem| ReadError { offset: offset as u64, events: 0, problem };
        let damaged = |start: usize| move |e: DecodeError| error(start + e.offset, ReadProblem::Damaged(e.problem));
        if bytes.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(error(0, ReadProblem::NotARecording));
        }
        let cut = || error(bytes.len(), ReadProblem::Truncated);
        let (head, mut at) = frame(bytes, MAGIC.len()).map_err(damaged(0))?.ok_or_else(cut)?;
        if head.kind != kind::HEADER {
            return Err(error(MAGIC.len(), ReadProblem::Frame(head.kind)));
        }
        let mut from = Decoder::new(head.body);
        let format = from.number().map_err(damaged(head.start))?;
        if format != u64::from(FORMAT) {
            return Err(error(head.start, ReadProblem::Format(format)));
        }
        let header = take_header(&mut from, Digest::of(head.body)).map_err(damaged(head.start))?;
        let mut reader = Reader { bytes, at, header, now: Time::ZERO, events: 0, fill: 0, over: false };
        if let Ok(Some((secret, end))) = frame(bytes, at)
            && secret.kind == kind::SECRET
        {
            let mut from = Decoder::new(secret.body);
            let seed = from.array().and_then(|seed| from.end().map(|()| seed)).map_err(damaged(secret.start))?;
            reader.header.secret = Some(seed);
            at = end;
        }
        reader.at = at;
        Ok(reader)
    }

    /// Fills holes with another byte than 0. Nothing that a session does depends on it.
    #[must_use]
    pub fn filled_with(mut self, fill: u8) -> Reader<'a> {
        self.fill = fill;
        self
    }

    /// Gives the recording the secret seed that was left out of it.
    #[must_use]
    pub fn with_secret(mut self, secret: [u8; 32]) -> Reader<'a> {
        self.header.secret = Some(secret);
        self
    }

    /// What the recording says before its events.
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self) -> Result<Record, ReadProblemAt> {
        let damaged = |start: usize| {
            move |e: DecodeError| ReadProblemAt { at: start + e.offset, problem: ReadProblem::Damaged(e.problem) }
        };
        let start = self.at;
        let (frame, end) = frame(self.bytes, start)
            .map_err(damaged(0))?
            .ok_or(ReadProblemAt { at: self.bytes.len(), problem: ReadProblem::Truncated })?;
        let record = match frame.kind {
            kind::EVENT => self.take_event(frame.body),
            kind::CHECKPOINT => take_digest(frame.body).map(|(events, digest)| Record::Checkpoint { events, digest }),
            kind::END => take_digest(frame.body).map(|(events, digest)| Record::End { events, digest }),
            other => return Err(ReadProblemAt { at: start, problem: ReadProblem::Frame(other) }),
        };
        let record = record.map_err(damaged(frame.start))?;
        match &record {
            Record::Event { now, .. } => {
                self.now = *now;
                self.events += 1;
            }
            Record::Checkpoint { .. } => {}
            Record::End { .. } if end < self.bytes.len() => {
                return Err(ReadProblemAt { at: end, problem: ReadProblem::Damaged(Problem::TooLong) });
            }
            Record::End { .. } => self.over = true,
        }
        self.at = end;
        Ok(record)
    }

    fn take_event(&self, body: &[u8]) -> Result<Record, DecodeError> {
        let mut from = Decoder::filling(body, self.fill);
        let wrong = from.error(Problem::Number);
        // Times that a session can have been given add up to no more than the last there is.
        let now = self.now.0.checked_add(from.number()?).map(Time).ok_or(wrong)?;
        let event = from.take()?;
        let check = from.array()?;
        from.end()?;
        Ok(Record::Event { now, event, check })
    }
}

struct ReadProblemAt {
    at: usize,
    problem: ReadProblem,
}

impl Iterator for Reader<'_> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let record = self.read().map_err(|ReadProblemAt { at, problem }| {
            self.over = true;
            ReadError { offset: at as u64, events: self.events, problem }
        });
        Some(record)
    }
}

/// The frame at `at`, and where it ends; `None` when it is not there whole.
fn frame(bytes: &[u8], at: usize) -> Result<Option<(Frame<'_>, usize)>, DecodeError> {
    let place = |error: DecodeError| DecodeError { offset: at + error.offset, ..error };
    let mut from = Decoder::new(bytes.get(at..).unwrap_or_default());
    let parts = from.byte().and_then(|kind| {
        let length = from.number()?;
        let start = at + from.at();
        Ok(Frame { kind, start, body: from.raw(length)? })
    });
    match parts {
        Ok(frame) => {
            let end = frame.start + frame.body.len();
            Ok(Some((frame, end)))
        }
        Err(DecodeError { problem: Problem::TooShort, .. }) => Ok(None),
        Err(error) => Err(place(error)),
    }
}

fn take_header(from: &mut Decoder<'_>, start: Digest) -> Result<Header, DecodeError> {
    let behaviour = from.small()?;
    let version = from.take()?;
    let decision = from.array()?;
    let config = from.take()?;
    from.end()?;
    Ok(Header { behaviour, version, config, decision, secret: None, start })
}

fn take_digest(body: &[u8]) -> Result<(u64, Digest), DecodeError> {
    let mut from = Decoder::new(body);
    let digest = (from.number()?, Digest(from.array()?));
    from.end()?;
    Ok(digest)
}

/// The same recording without the secret seed, for somebody else to look at. Addresses, names of torrents and what peers said are
/// still in it, and so is what the session was told in answer to its secrets (a tracker's reply, say).
///
/// # Errors
/// As [`Reader::new`]. What follows the header is not looked at.
pub fn without_secret(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    let reader = Reader::new(bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    let head = frame(bytes, MAGIC.len()).ok().flatten().map_or(0, |(_, end)| end);
    out.extend_from_slice(bytes.get(..head).unwrap_or_default());
    out.extend_from_slice(bytes.get(reader.at..).unwrap_or_default());
    Ok(out)
}
