//! Finding the start of a message in the middle of a stream.
//!
//! Behind bytes that were not captured, and where a capture begins late, nobody knows where a message starts. So every place is tried: a
//! message starts where a length and a number make sense together with the numbers behind them, and where two further such messages follow.
//! Where the bytes end sooner, it is enough that one whole message ends exactly there, or that what follows it is the start of one; or that
//! the head of a `piece` message of a block as everybody asks for them is all there.
//!
//! Keep-alives do not count: four zeros are found in any content. A handshake may stand in the place of the first message.
//!
//! Peers that agree on encryption may agree on none: then plain messages follow on a start of noise. There, only the first bytes are
//! searched, since noise that goes on is encrypted.

use super::Stamp;
use crate::metainfo::{BLOCK_LENGTH, Geometry};
use crate::wire::Handshake48;
use alloc::vec::Vec;
use core::ops::Range;

/// So many messages must follow on each other.
const AGREEING: u32 = 3;
/// The longest block that peers take.
const MAX_BLOCK: u32 = 128 << 10;
/// The longest head that is looked at: length, number, three numbers.
const HEAD: usize = 17;
/// What the three messages of BEP 52 begin with: a root, and four numbers.
const HASH_REQUEST_LENGTH: u32 = 32 + 4 * 4;
/// The most places that wait for further bytes to be judged. There is one in about 100 KiB of random bytes.
const MAX_UNDECIDED: usize = 64;

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// Where `bytes` begins in the stream.
    at: u64,
    bytes: Vec<u8>,
    /// Up to where in `bytes` they came when.
    marks: Vec<(usize, Stamp)>,
    /// All places before this have been tried, and are undecided or wrong.
    tried: usize,
    undecided: Vec<usize>,
    /// Nothing begins behind this place.
    within: usize,
}

/// What a place looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Messages start here.
    Start,
    /// They may. It would do if nothing followed.
    Likely,
    /// They may.
    Possible,
    /// They do not.
    Wrong,
}

/// What a head looks like.
enum Head {
    /// That of a message of so many bytes in all; whether it could hardly be anything else.
    Whole(usize, bool),
    KeepAlive,
    /// As far as it can be seen.
    Cut,
    Wrong,
}

/// What has been found.
#[derive(Debug)]
pub(super) struct Found {
    /// Bytes of the stream in front of the message, which belong to nothing, by when they were captured.
    pub skipped: Vec<(Stamp, Range<u64>)>,
    /// Where the message begins.
    pub start: u64,
    /// It, and what follows, by when it was captured.
    pub rest: Vec<(Stamp, Vec<u8>)>,
}

impl Found {
    /// Whether it is a handshake.
    pub(super) fn is_handshake(&self) -> bool {
        // The length of a message begins with a zero.
        self.rest.first().is_some_and(|(_, bytes)| bytes.first() != Some(&0))
    }
}

impl Search {
    /// A search in what begins at `at` in the stream; with `within`, in the first bytes only.
    pub(super) fn new(at: u64, within: Option<usize>) -> Search {
        let within = within.unwrap_or(usize::MAX);
        Search { at, bytes: Vec::new(), marks: Vec::new(), tried: 0, undecided: Vec::new(), within }
    }

    /// Whether nothing can be found any more, whatever follows.
    pub(super) fn is_hopeless(&self) -> bool {
        self.undecided.is_empty() && self.tried >= self.within
    }

    /// How much memory its bytes take.
    pub(super) fn held(&self) -> usize {
        self.bytes.len() + self.marks.len() * size_of::<(usize, Stamp)>()
    }

    /// Takes bytes; gives the start of a message, if it is there. `pieces` is a limit for their numbers.
    pub(super) fn push(&mut self, time: Stamp, bytes: &[u8], pieces: u32, max_message: u32) -> Option<Found> {
        self.bytes.extend_from_slice(bytes);
        self.marks.push((self.bytes.len(), time));
        let judge = |at: usize| judge(self.bytes.get(at..).unwrap_or_default(), pieces, max_message);
        let mut undecided = Vec::new();
        let mut start = None;
        let fresh = self.tried..self.bytes.len().saturating_sub(HEAD).min(self.within);
        self.tried = fresh.end.max(self.tried);
        for at in self.undecided.iter().copied().chain(fresh) {
            match judge(at) {
                Place::Start => {
                    start = Some(at);
                    break;
                }
                Place::Likely | Place::Possible if undecided.len() < MAX_UNDECIDED => undecided.push(at),
                _ => {}
            }
        }
        self.undecided = undecided;
        start.map(|at| self.found(at))
    }

    /// No bytes follow on these. Gives the start of a message, if it is likely enough, or else what belongs to nothing.
    pub(super) fn end(&mut self, pieces: u32, max_message: u32) -> Found {
        let mut places = self.undecided.iter().copied().chain(self.tried..self.bytes.len().min(self.within));
        let judge = |at: usize| judge(self.bytes.get(at..).unwrap_or_default(), pieces, max_message);
        let start = places.find(|&at| matches!(judge(at), Place::Start | Place::Likely));
        self.found(start.unwrap_or(self.bytes.len()))
    }

    /// All of it belongs to nothing.
    pub(super) fn give_up(&mut self) -> Vec<(Stamp, Range<u64>)> {
        self.found(self.bytes.len()).skipped
    }

    /// Forgets the first half when there is too much; gives where that was in the stream.
    pub(super) fn shorten(&mut self, window: usize) -> Vec<(Stamp, Range<u64>)> {
        if self.bytes.len() <= window {
            return Vec::new();
        }
        let half = self.bytes.len() / 2;
        let forgotten = self.before(half);
        self.bytes.drain(..half);
        self.at += half as u64;
        self.tried = self.tried.saturating_sub(half);
        self.undecided.retain(|&at| at >= half);
        self.undecided.iter_mut().for_each(|at| *at -= half);
        self.marks.retain(|&(end, _)| end > half);
        self.marks.iter_mut().for_each(|(end, _)| *end -= half);
        self.within = self.within.saturating_sub(half);
        forgotten
    }

    /// What lies before a place, by when it was captured.
    fn before(&self, place: usize) -> Vec<(Stamp, Range<u64>)> {
        let mut ranges = Vec::new();
        let mut from = 0;
        for &(end, time) in &self.marks {
            let end = end.min(place);
            if from < end {
                ranges.push((time, self.at + from as u64..self.at + end as u64));
                from = end;
            }
        }
        ranges
    }

    fn found(&mut self, start: usize) -> Found {
        let skipped = self.before(start);
        let bytes = core::mem::take(&mut self.bytes);
        let mut rest = Vec::new();
        let mut from = start;
        for (end, time) in self.marks.drain(..) {
            if end > from {
                rest.push((time, bytes.get(from..end).unwrap_or_default().to_vec()));
                from = end;
            }
        }
        Found { skipped, start: self.at + start as u64, rest }
    }
}

/// What the place looks like where these bytes begin.
fn judge(bytes: &[u8], pieces: u32, max_message: u32) -> Place {
    if bytes.len() >= Handshake48::LENGTH && Handshake48::parse(bytes).is_ok() {
        return Place::Start;
    }
    if bytes.first() != Some(&0) {
        // Neither a length nor, as far as can be seen, a handshake.
        return if Handshake48::parse(bytes).is_ok() { Place::Possible } else { Place::Wrong };
    }
    let mut at = 0;
    let mut messages = 0;
    loop {
        match head(bytes.get(at..).unwrap_or_default(), pieces, max_message) {
            Head::Wrong => return Place::Wrong,
            Head::Cut if messages > 0 => return Place::Likely,
            Head::Cut => return Place::Possible,
            Head::KeepAlive if messages == 0 => return Place::Wrong,
            Head::KeepAlive => at += 4,
            Head::Whole(length, sure) => {
                messages += 1;
                at = at.saturating_add(length);
                if messages == AGREEING {
                    return Place::Start;
                }
                if at > bytes.len() {
                    return if sure || messages > 1 { Place::Likely } else { Place::Possible };
                }
                if at == bytes.len() {
                    return Place::Likely;
                }
            }
        }
    }
}

/// What the head of a message looks like.
fn head(bytes: &[u8], pieces: u32, max_message: u32) -> Head {
    let number = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map(u32::from_be_bytes);
    let Some(length) = number(0) else {
        return Head::Cut;
    };
    if length == 0 {
        return Head::KeepAlive;
    }
    // A length begins with a zero, or it would be 16 MiB at least.
    if length > max_message.min(0xff_ffff) {
        return Head::Wrong;
    }
    let Some(&id) = bytes.get(4) else { return Head::Cut };
    let is_piece = |at| number(at).map(|piece| piece < pieces);
    // Whether the numbers make sense, when they can be seen, and whether the message could hardly be another.
    let (fits, sense, sure) = match id {
        0..=3 | 14 | 15 => (length == 1, Some(true), false),
        4 | 13 | 17 => (length == 5, is_piece(5), false),
        5 => (length >= 2 && length - 1 <= pieces.div_ceil(8), Some(true), false),
        6 | 8 | 16 => {
            let range = number(9).zip(number(13)).map(|(begin, length)| {
                (1..=MAX_BLOCK).contains(&length) && begin.checked_add(length).is_some_and(|end| end <= i32::MAX as u32)
            });
            (length == 13, is_piece(5).zip(range).map(|(piece, range)| piece && range), false)
        }
        7 => {
            let begin = number(9);
            let whole = begin.is_some_and(|begin| begin % BLOCK_LENGTH == 0) && length == 9 + BLOCK_LENGTH;
            let sense = is_piece(5).zip(begin).map(|(piece, begin)| piece && begin <= i32::MAX as u32);
            (length > 9 && length - 9 <= MAX_BLOCK, sense, whole)
        }
        9 => (length == 3, Some(true), false),
        20 => (length >= 2, Some(true), false),
        // BEP 52: a hash request, its answer and its refusal begin with the same 48 bytes.
        21 | 23 => (length == 1 + HASH_REQUEST_LENGTH, Some(true), false),
        22 => (
            length > 1 + HASH_REQUEST_LENGTH && (length - 1 - HASH_REQUEST_LENGTH).is_multiple_of(32),
            Some(true),
            false,
        ),
        _ => return Head::Wrong,
    };
    match (fits, sense) {
        (false, _) | (_, Some(false)) => Head::Wrong,
        (true, None) => Head::Cut,
        (true, Some(true)) => Head::Whole(4 + length as usize, sure),
    }
}

/// The limit for numbers of pieces where nothing else is known.
pub(super) const MOST_PIECES: u32 = Geometry::MAX_PIECES;
