//! The frames that a recording is made of, and the index behind them.

use super::canon::{self, DecodeError, Decoder, Problem};
use super::digest::Digest;
use super::{END_MAGIC, MAGIC, MAX_INDEX, brief, kind};
use crate::time::Time;
use alloc::vec::Vec;

/// A frame and where its body begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) start: usize,
    pub(super) body: &'a [u8],
}

impl Frame<'_> {
    /// Where the next one begins.
    pub(super) fn end(&self) -> usize {
        self.start + self.body.len()
    }

    /// A reader that does not know it passes over it.
    pub(super) fn is_optional(&self) -> bool {
        self.kind >= kind::OPTIONAL
    }
}

/// The frame at `at`; `None` when it is not there whole.
pub(super) fn read(bytes: &[u8], at: usize) -> Result<Option<Frame<'_>>, DecodeError> {
    let rest = bytes.get(at..).unwrap_or_default();
    // Most frames are short.
    if let [kind @ 0..kind::BRIEF, length @ 0..0x80, rest @ ..] = rest
        && let Some(body) = rest.get(..usize::from(*length))
    {
        return Ok(Some(Frame { kind: *kind, start: at + 2, body }));
    }
    if let Some((&kind, rest)) = rest.split_first()
        && let Some(length) = brief::body_length(kind)
    {
        return Ok(rest.get(..length).map(|body| Frame { kind, start: at + 1, body }));
    }
    let mut from = Decoder::new(rest);
    let parts = from.byte().and_then(|kind| {
        let length = from.number()?;
        let start = at + from.at();
        Ok(Frame { kind, start, body: from.raw(length)? })
    });
    match parts {
        Ok(frame) => Ok(Some(frame)),
        Err(DecodeError { problem: Problem::TooShort, .. }) => Ok(None),
        Err(DecodeError { offset, problem }) => Err(DecodeError { offset: at + offset, problem }),
    }
}

/// Puts together one frame: its kind, how long it is, what is in it.
pub(super) fn write(frame: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    frame.clear();
    frame.push(kind);
    canon::encode_number(parts.iter().map(|part| part.len() as u64).sum(), frame);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
}

/// How many bytes of a recording, from its very beginning or from the beginning of one of its frames, are whole frames. What is behind them
/// is a frame that has been cut off, and can be cut away.
pub fn whole_frames(bytes: &[u8]) -> usize {
    let mut at = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
    while let Ok(Some(frame)) = read(bytes, at) {
        at = frame.end();
    }
    at
}

/// A place between two events, and what the run had come to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) events: u64,
    pub(super) now: Time,
    pub(super) digest: Digest,
}

impl Place {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        canon::encode_number(self.events, out);
        canon::encode_number(self.now.0, out);
        out.extend_from_slice(&self.digest.0);
    }

    pub(super) fn take(from: &mut Decoder<'_>) -> Result<Place, DecodeError> {
        Ok(Place { events: from.number()?, now: Time(from.number()?), digest: Digest(from.array()?) })
    }
}

/// Where a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) events: u64,
    pub(super) now: Time,
    /// In bytes, from the first frame that is neither header, secret nor extension.
    pub(super) offset: u64,
}

/// The places of checkpoints: all of them, or every second, fourth, … when they are too many.
#[derive(Clone, Debug)]
pub(super) struct Index {
    entries: Vec<Entry>,
    /// Every how many checkpoints there is an entry.
    stride: u64,
    checkpoints: u64,
}

impl Index {
    pub(super) fn new() -> Index {
        Index { entries: Vec::new(), stride: 1, checkpoints: 0 }
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.checkpoints += 1;
        if !self.checkpoints.is_multiple_of(self.stride) {
            return;
        }
        self.entries.push(entry);
        if self.entries.len() >= MAX_INDEX {
            let mut at = 0u64;
            self.entries.retain(|_| {
                at += 1;
                at.is_multiple_of(2)
            });
            self.stride = self.stride.saturating_mul(2);
        }
    }

    /// Appends the body of the last frame but for the place in front.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        canon::encode_number(self.entries.len() as u64, out);
        let mut last = Entry { events: 0, now: Time::ZERO, offset: 0 };
        for entry in &self.entries {
            canon::encode_number(entry.events - last.events, out);
            canon::encode_number(entry.now.0 - last.now.0, out);
            canon::encode_number(entry.offset - last.offset, out);
            last = *entry;
        }
    }
}

/// The last frame's body.
pub(super) struct End {
    pub(super) place: Place,
    pub(super) entries: Vec<Entry>,
}

/// How many bytes stand behind the index: the length of the frame, and the magic.
const TAIL: usize = 16;

/// Puts together the last frame.
pub(super) fn write_end(frame: &mut Vec<u8>, place: &Place, index: &Index) {
    let mut body = Vec::new();
    place.put(&mut body);
    index.put(&mut body);
    write(frame, kind::END, &[&body, &[0; TAIL]]);
    let length = (frame.len() as u64).to_be_bytes();
    frame.truncate(frame.len() - TAIL);
    frame.extend_from_slice(&length);
    frame.extend_from_slice(END_MAGIC);
}

/// Takes the last frame's body apart; `whole` is the length of the frame.
pub(super) fn take_end(body: &[u8], whole: usize) -> Result<End, DecodeError> {
    let mut from = Decoder::new(body);
    let place = Place::take(&mut from)?;
    // Grows as entries come, of three bytes each at least: a count alone allocates nothing.
    let mut entries = Vec::new();
    let mut last = Entry { events: 0, now: Time::ZERO, offset: 0 };
    for _ in 0..from.number()? {
        let wrong = from.error(Problem::Number);
        let next = |from: &mut Decoder<'_>, last: u64| last.checked_add(from.number()?).ok_or(wrong);
        last = Entry {
            events: next(&mut from, last.events)?,
            now: Time(next(&mut from, last.now.0)?),
            offset: next(&mut from, last.offset)?,
        };
        entries.push(last);
    }
    let wrong = from.error(Problem::Number);
    let (length, magic) = (u64::from_be_bytes(from.array()?), from.array::<8>()?);
    from.end()?;
    if length != whole as u64 || magic != *END_MAGIC {
        return Err(wrong);
    }
    Ok(End { place, entries })
}

/// The index of a recording that has its end, found from behind.
pub(super) fn find_index(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (rest, magic) = bytes.split_last_chunk::<8>()?;
    let (_, length) = rest.split_last_chunk::<8>()?;
    let whole = usize::try_from(u64::from_be_bytes(*length)).ok().filter(|_| magic == END_MAGIC)?;
    let start = bytes.len().checked_sub(whole)?;
    let frame = read(bytes, start).ok()??;
    let is_last = frame.kind == kind::END && frame.end() == bytes.len();
    is_last.then(|| take_end(frame.body, whole).ok()).flatten().map(|end| end.entries)
}
