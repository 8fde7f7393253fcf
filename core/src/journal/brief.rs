//! Brief frames: the events that most of a recording is, each in a word of eight bytes.
//!
//! Of a download nine events in ten are of three kinds and lead to nothing: a job is done, bytes have left, or more of a block has come. Recording one costs a
//! small part of what deciding about it does, but only if nothing is looked at number by number.

use super::canon::{Blank, COUNT_BITS, DecodeError, Problem};
use super::kind;
use crate::border::{Event, JobId, JobResult, TcpId};
use core::ops::Range;

/// An event that led to nothing, and the time since the one before.
///
/// | what | is | bits of the word, from the lowest |
/// |---|---|---|
/// | 0 | `JobDone` with `Done` | 16 of microseconds, 8 of who asked for the job, 40 of the rest of its number |
/// | 1 | `Flushed` | 16 of microseconds, 16 of bytes, 32 of the stream |
/// | 2 | `Received`, all of it content, and not empty | 16 of microseconds, 16 of bytes, 32 of the stream |
///
/// One whose numbers have no room is in a frame as all others are. In the recording it is a byte (64, 8 for each `what`, and the bytes that follow less one) and
/// the word, lowest byte first, up to its last byte that is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    what: u8,
    word: u64,
}

const DONE: u8 = 0;
const FLUSHED: u8 = 1;
const CONTENT: u8 = 2;

/// How many bits the microseconds have.
const SINCE: u32 = 16;

/// The same with the bytes behind them.
const BYTES: u32 = 32;

/// How many bits who asked for a job has.
const OWNER: u32 = 8;

/// The rest of a job's number.
const COUNT: u64 = (1 << COUNT_BITS) - 1;

impl Brief {
    /// The brief form of an event, if it has one: it has no other then.
    #[inline]
    pub(super) fn of(since: u64, event: &Event, opaque: &[Range<u32>]) -> Option<Brief> {
        let (what, rest) = match event {
            // Who asked is small, and stands in front: the word is as short as the rest is then.
            Event::JobDone { job, result: Ok(JobResult::Done) } => {
                let owner = job.0 >> COUNT_BITS;
                if owner >> OWNER != 0 {
                    return None;
                }
                (DONE, (job.0 & COUNT) << OWNER | owner)
            }
            Event::Flushed { tcp, bytes } => (FLUSHED, stream(*tcp, *bytes)?),
            Event::Received { tcp, bytes } => {
                let [Range { start: 0, end }] = *opaque else { return None };
                if end == 0 || bytes.len() != end as usize {
                    return None;
                }
                (CONTENT, stream(*tcp, u64::from(end))?)
            }
            _ => return None,
        };
        (since >> SINCE == 0).then_some(Brief { what, word: rest << SINCE | since })
    }

    /// The event again, its content as `blank` fills it, and the time since the one before.
    pub(super) fn event(self, blank: &mut Blank) -> (u64, Event) {
        let rest = self.word >> SINCE;
        let (tcp, bytes) = (TcpId(self.word >> BYTES), rest & 0xffff);
        let event = match self.what {
            DONE => {
                let job = JobId((rest & ((1 << OWNER) - 1)) << COUNT_BITS | rest >> OWNER);
                Event::JobDone { job, result: Ok(JobResult::Done) }
            }
            FLUSHED => Event::Flushed { tcp, bytes },
            // There are no others: see `read`.
            _ => Event::Received { tcp, bytes: blank.content(bytes as u32) },
        };
        (self.word & ((1 << SINCE) - 1), event)
    }

    /// Its frame: so many of these bytes.
    #[inline]
    pub(super) fn frame(self) -> ([u8; 9], usize) {
        let length = 8 - (self.word | 1).leading_zeros() as usize / 8;
        let mut frame = [0; 9];
        let [first, rest @ ..] = &mut frame;
        *first = kind::BRIEF | self.what << 3 | (length - 1) as u8;
        *rest = self.word.to_le_bytes();
        (frame, 1 + length)
    }

    /// Reads one from a frame of that kind. Its length is right: the kind says it ([`body_length`]).
    pub(super) fn read(kind: u8, body: &[u8]) -> Result<Brief, DecodeError> {
        let wrong = |offset, problem| DecodeError { offset, problem };
        // One of the three: the kind of the frame says so.
        let what = kind.wrapping_sub(kind::BRIEF) >> 3;
        let mut bytes = [0; 8];
        if let Some(place) = bytes.get_mut(..body.len()) {
            place.copy_from_slice(body);
        }
        let brief = Brief { what, word: u64::from_le_bytes(bytes) };
        if body.len() > 1 && body.last() == Some(&0) {
            return Err(wrong(body.len() - 1, Problem::Number));
        }
        if what == CONTENT && (brief.word >> SINCE) & 0xffff == 0 {
            return Err(wrong(0, Problem::Holes));
        }
        Ok(brief)
    }

    /// What it is and all of it, for a digest.
    #[inline]
    pub(super) fn words(self) -> [u64; 2] {
        [self.word, u64::from(self.what)]
    }
}

/// A stream and so many bytes, if there is room.
#[inline]
fn stream(tcp: TcpId, bytes: u64) -> Option<u64> {
    (tcp.0 >> 32 == 0 && bytes >> 16 == 0).then_some(tcp.0 << 16 | bytes)
}

/// How long the body of a frame of this kind is, if it is one of those that say so themselves.
#[inline]
pub(super) fn body_length(kind: u8) -> Option<usize> {
    matches!(kind, kind::BRIEF..kind::BEHIND_BRIEF).then_some(usize::from(kind & 7) + 1)
}
