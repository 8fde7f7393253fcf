//! Reads a recording.

use super::brief::{self, Brief};
use super::canon::{self, Blank, DecodeError, Decoder, Problem};
use super::digest::Digest;
use super::frames::{self, Frame, Place};
use super::sketch::{self, Sketch};
use super::{Extension, FORMAT, MAGIC, State, extension, kind};
use crate::border::{Config, Event};
use crate::rng::Seeds;
use crate::time::Time;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// What a recording says before its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The minor version of its format.
    pub minor: u32,
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
    /// What more there is: all that must be understood, and what may be passed over.
    pub extensions: Vec<Extension>,
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
        /// Where content lay in it: those of [`Actions::opaque`](crate::border::Actions::opaque), joined where they touched.
        holes: Vec<Range<u32>>,
        /// What is known of the actions that it led to, and then of the notices.
        did: Vec<Sketch>,
        /// The first bytes of the digest that the run had come to with it; `None` when it led to nothing.
        check: Option<[u8; 2]>,
    },
    /// What the run had come to at this point.
    Checkpoint {
        /// How many events came before.
        events: u64,
        /// The time of the last of them.
        now: Time,
        /// The digest.
        digest: Digest,
    },
    /// What the session's state had come to at this point.
    State(State),
    /// What the run came to. The last record.
    End {
        /// How many events there were.
        events: u64,
        /// The time of the last of them.
        now: Time,
        /// The digest.
        digest: Digest,
    },
    /// Whoever recorded could not go on. The last record.
    GivenUp,
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
    /// Where the first frame behind the header, secret and extensions is.
    first: usize,
    at: usize,
    header: Header,
    now: Time,
    events: u64,
    blank: Blank,
    over: bool,
}

/// A record that has been read as far as a replay needs it.
pub(super) enum Raw<'a> {
    Event(RawEvent<'a>),
    Checkpoint(Place),
    State(State),
    End(Place),
    GivenUp,
}

/// An event, and what came of it.
pub(super) struct RawEvent<'a> {
    pub(super) now: Time,
    pub(super) event: Event,
    /// The event as it is written.
    pub(super) form: Form<'a>,
    /// The sketches and the check; `None`: nothing came of it.
    pub(super) made: Option<(&'a [u8], [u8; 2])>,
}

/// How an event is written in a recording.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    /// In a word.
    Brief(Brief),
    /// Encoded, the time since the one before in front of it.
    Whole(&'a [u8]),
}

impl Form<'_> {
    /// The event once more, content filled with zeros.
    pub(super) fn event(self) -> Option<Event> {
        match self {
            Form::Brief(brief) => Some(brief.event(&mut Blank::default()).1),
            Form::Whole(encoded) => take_event(&mut Decoder::new(encoded), Time::ZERO).ok().map(|(_, event)| event),
        }
    }
}

struct ProblemAt {
    at: usize,
    problem: ReadProblem,
}

fn damaged(start: usize) -> impl Fn(DecodeError) -> ProblemAt {
    move |e| ProblemAt { at: start + e.offset, problem: ReadProblem::Damaged(e.problem) }
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// A header that is not there whole, of another format, or with an extension that is not known and must be.
    pub fn new(bytes: &'a [u8]) -> Result<Reader<'a>, ReadError> {
        Reader::open(bytes).map_err(|ProblemAt { at, problem }| ReadError { offset: at as u64, events: 0, problem })
    }

    fn open(bytes: &'a [u8]) -> Result<Reader<'a>, ProblemAt> {
        if bytes.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(ProblemAt { at: 0, problem: ReadProblem::NotARecording });
        }
        let cut = ProblemAt { at: bytes.len(), problem: ReadProblem::Truncated };
        let head = frames::read(bytes, MAGIC.len()).map_err(damaged(0))?.ok_or(cut)?;
        if head.kind != kind::HEADER {
            return Err(ProblemAt { at: MAGIC.len(), problem: ReadProblem::Frame(head.kind) });
        }
        let mut from = Decoder::new(head.body);
        let format = from.number().map_err(damaged(head.start))?;
        if format != u64::from(FORMAT) {
            return Err(ProblemAt { at: head.start, problem: ReadProblem::Format(format) });
        }
        let mut header = take_header(&mut from, Digest::of(head.body)).map_err(damaged(head.start))?;
        let mut at = head.end();
        if let Ok(Some(secret)) = frames::read(bytes, at)
            && secret.kind == kind::SECRET
        {
            let mut from = Decoder::new(secret.body);
            let seed = from.array().and_then(|seed| from.end().map(|()| seed)).map_err(damaged(secret.start))?;
            header.secret = Some(seed);
            at = secret.end();
        }
        while let Ok(Some(frame)) = frames::read(bytes, at) {
            let extension = Extension { kind: frame.kind, body: frame.body.to_vec() };
            if !extension.is_one() {
                break;
            }
            if !frame.is_optional() && !extension::KNOWN.contains(&frame.kind) {
                return Err(ProblemAt { at, problem: ReadProblem::Frame(frame.kind) });
            }
            header.start = extension.added_to(header.start);
            if frame.kind == extension::ADDRESSES {
                let table = canon::decode_addresses(frame.body).map_err(damaged(frame.start))?;
                // One at most, and none without anything in it.
                if table.is_empty() || !header.config.addresses.is_empty() {
                    return Err(ProblemAt { at, problem: ReadProblem::Frame(frame.kind) });
                }
                header.config.addresses = Arc::new(table);
            } else {
                header.extensions.push(extension);
            }
            at = frame.end();
        }
        let blank = Blank::default();
        Ok(Reader { bytes, first: at, at, header, now: Time::ZERO, events: 0, blank, over: false })
    }

    /// Fills holes with another byte than 0. Nothing that a session does depends on it.
    #[must_use]
    pub fn filled_with(mut self, fill: u8) -> Reader<'a> {
        self.blank = Blank::filling(fill);
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

    /// How many events lie in front of the next record.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The time of the last of them.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Goes to the last checkpoint that has at most so many events in front of it, or to the beginning: [`Reader::events`] says where that is.
    ///
    /// It goes by the index, and by the lengths of frames where the recording has none, or a wrong one.
    pub fn seek(&mut self, events: u64) {
        self.seek_by(|place| place.events <= events);
    }

    /// Goes to the last checkpoint that lies not behind this time, or to the beginning.
    pub fn seek_time(&mut self, now: Time) {
        self.seek_by(|place| place.now <= now);
    }

    fn seek_by(&mut self, fits: impl Fn(&Place) -> bool) {
        let mut best = (self.first, Place { events: 0, now: Time::ZERO, digest: self.header.start });
        let entries = frames::find_index(self.bytes).unwrap_or_default();
        for entry in entries.iter().rev() {
            let at = usize::try_from(entry.offset).ok().and_then(|offset| self.first.checked_add(offset));
            let found = at.and_then(|at| Some((at, self.checkpoint_at(at)?)));
            match found {
                // One that is not where the index says: so are all others, perhaps.
                None => break,
                Some((at, place)) if fits(&place) => {
                    best = (at, place);
                    break;
                }
                Some(_) => {}
            }
        }
        let mut at = best.0;
        while let Ok(Some(frame)) = frames::read(self.bytes, at) {
            if frame.kind == kind::CHECKPOINT {
                match self.checkpoint_at(at).filter(|place| fits(place)) {
                    Some(place) => best = (at, place),
                    None => break,
                }
            }
            at = frame.end();
        }
        (self.at, self.events, self.now, self.over) = (best.0, best.1.events, best.1.now, false);
    }

    fn checkpoint_at(&self, at: usize) -> Option<Place> {
        let frame = frames::read(self.bytes, at).ok()?.filter(|frame| frame.kind == kind::CHECKPOINT)?;
        take_place(frame.body).ok()
    }

    /// What is known of the content of the event that was read last.
    pub(super) fn blank(&self) -> &Blank {
        &self.blank
    }

    /// The next record; `None` behind the last.
    pub(super) fn next_raw(&mut self) -> Option<Result<Raw<'a>, ReadError>> {
        if self.over {
            return None;
        }
        Some(self.read().map_err(|ProblemAt { at, problem }| {
            self.over = true;
            ReadError { offset: at as u64, events: self.events, problem }
        }))
    }

    fn read(&mut self) -> Result<Raw<'a>, ProblemAt> {
        loop {
            let start = self.at;
            let frame = frames::read(self.bytes, start).map_err(damaged(0))?;
            let frame = frame.ok_or(ProblemAt { at: self.bytes.len(), problem: ReadProblem::Truncated })?;
            let record = match frame.kind {
                kind::EVENT | kind::QUIET => self.take_event(&frame).map(Raw::Event),
                kind::CHECKPOINT => take_place(frame.body).map(Raw::Checkpoint),
                kind::STATE => take_state(frame.body).map(Raw::State),
                kind::END => frames::take_end(frame.body, frame.end() - start).map(|end| Raw::End(end.place)),
                kind::GIVEN_UP => Decoder::new(frame.body).end().map(|()| Raw::GivenUp),
                kind if brief::body_length(kind).is_some() => self.take_brief(&frame).map(Raw::Event),
                _ if frame.is_optional() => {
                    self.at = frame.end();
                    continue;
                }
                other => return Err(ProblemAt { at: start, problem: ReadProblem::Frame(other) }),
            };
            let record = record.map_err(damaged(frame.start))?;
            match &record {
                Raw::Event(RawEvent { now, .. }) => {
                    self.now = *now;
                    self.events += 1;
                }
                Raw::Checkpoint(place) | Raw::End(place) if (place.events, place.now) != (self.events, self.now) => {
                    return Err(ProblemAt { at: frame.start, problem: ReadProblem::Damaged(Problem::Number) });
                }
                Raw::Checkpoint(_) | Raw::State(_) => {}
                Raw::End(_) | Raw::GivenUp if frame.end() < self.bytes.len() => {
                    return Err(ProblemAt { at: frame.end(), problem: ReadProblem::Damaged(Problem::TooLong) });
                }
                Raw::End(_) | Raw::GivenUp => self.over = true,
            }
            self.at = frame.end();
            return Ok(record);
        }
    }

    fn take_brief(&mut self, frame: &Frame<'a>) -> Result<RawEvent<'a>, DecodeError> {
        let brief = Brief::read(frame.kind, frame.body)?;
        self.blank.forget();
        let (since, event) = brief.event(&mut self.blank);
        let wrong = DecodeError { offset: 0, problem: Problem::Number };
        let now = self.now.0.checked_add(since).map(Time).ok_or(wrong)?;
        Ok(RawEvent { now, event, form: Form::Brief(brief), made: None })
    }

    fn take_event(&mut self, frame: &Frame<'a>) -> Result<RawEvent<'a>, DecodeError> {
        let mut from = Decoder::filling(frame.body, core::mem::take(&mut self.blank));
        let taken = take_event(&mut from, self.now);
        let at = from.at();
        self.blank = from.into_blank();
        let (now, event) = taken?;
        let (encoded, rest) = frame.body.split_at_checked(at).unwrap_or_default();
        let error = |offset: usize, problem| DecodeError { offset, problem };
        let made = match frame.kind {
            // It would be brief.
            kind::QUIET if Brief::of(now.0 - self.now.0, &event, self.blank.holes()).is_some() => {
                return Err(error(0, Problem::Variant));
            }
            kind::QUIET if rest.is_empty() => None,
            kind::QUIET => return Err(error(at, Problem::TooLong)),
            _ => {
                let (sketches, check) = rest.split_last_chunk().ok_or(error(at, Problem::TooShort))?;
                Some((sketches, *check))
            }
        };
        Ok(RawEvent { now, event, form: Form::Whole(encoded), made })
    }

    /// The events from here on with their numbers, until something cannot be read.
    pub(super) fn zip_events(mut self) -> impl Iterator<Item = (u64, Record)> {
        core::iter::from_fn(move || {
            loop {
                let index = self.events;
                if let event @ Record::Event { .. } = self.next()?.ok()? {
                    return Some((index, event));
                }
            }
        })
    }

    /// The whole of what has been read.
    fn record(&self, raw: Raw<'a>) -> Result<Record, DecodeError> {
        Ok(match raw {
            Raw::Event(RawEvent { now, event, made, form: _ }) => {
                let (mut did, mut check) = (Vec::new(), None);
                if let Some((sketches, bytes)) = made {
                    let mut from = Decoder::new(sketches);
                    did = sketch::take(&event, &mut from)?;
                    from.end()?;
                    check = Some(bytes);
                }
                Record::Event { now, event, holes: self.blank.holes().to_vec(), did, check }
            }
            Raw::Checkpoint(Place { events, now, digest }) => Record::Checkpoint { events, now, digest },
            Raw::End(Place { events, now, digest }) => Record::End { events, now, digest },
            Raw::State(state) => Record::State(state),
            Raw::GivenUp => Record::GivenUp,
        })
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (at, events) = (self.at, self.events);
        let record = self.next_raw()?.and_then(|raw| {
            // The place within the frame is not known any more: its beginning then.
            self.record(raw).map_err(|e| ReadError {
                offset: at as u64,
                events,
                problem: ReadProblem::Damaged(e.problem),
            })
        });
        self.over |= record.is_err();
        Some(record)
    }
}

fn take_event(from: &mut Decoder<'_>, last: Time) -> Result<(Time, Event), DecodeError> {
    let wrong = from.error(Problem::Number);
    // Times that a session can have been given add up to no more than the last there is.
    let now = last.0.checked_add(from.number()?).map(Time).ok_or(wrong)?;
    Ok((now, from.take()?))
}

fn take_place(body: &[u8]) -> Result<Place, DecodeError> {
    let mut from = Decoder::new(body);
    let place = Place::take(&mut from)?;
    from.end()?;
    Ok(place)
}

fn take_state(body: &[u8]) -> Result<State, DecodeError> {
    let mut from = Decoder::new(body);
    let state = State::take(&mut from)?;
    from.end()?;
    Ok(state)
}

fn take_header(from: &mut Decoder<'_>, start: Digest) -> Result<Header, DecodeError> {
    let minor = from.small()?;
    let behaviour = from.small()?;
    let version = from.take()?;
    let decision = from.array()?;
    let config = from.take()?;
    from.end()?;
    Ok(Header { minor, behaviour, version, config, decision, secret: None, extensions: Vec::new(), start })
}

/// The same recording without the secret seed, for somebody else to look at. Addresses, names of torrents and what peers said are
/// still in it, and so is what the session was told in answer to its secrets (a tracker's reply, say).
///
/// # Errors
/// As [`Reader::new`]. What follows the header is not looked at.
pub fn without_secret(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    Reader::new(bytes)?;
    let head = frames::read(bytes, MAGIC.len()).ok().flatten().map_or(0, |frame| frame.end());
    let secret = frames::read(bytes, head).ok().flatten().filter(|frame| frame.kind == kind::SECRET);
    let rest = secret.map_or(head, |frame| frame.end());
    Ok([bytes.get(..head).unwrap_or_default(), bytes.get(rest..).unwrap_or_default()].concat())
}
