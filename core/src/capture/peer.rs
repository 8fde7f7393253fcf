//! A connection of the peer wire protocol, from the outside.
//!
//! Each side is in one of five states: its handshake is not whole; messages follow on each other; it is inside a message of which bytes are
//! missing, and whose end is known all the same; or it is [lost](super::search), and the start of a message is searched for; or it is taken for encrypted.
//! The messages themselves are cut and read by [`wire`](crate::wire).

use super::extensions::ExtensionNames;
use super::said::{DamagedMessage, Ending, Protocol, Said, Side};
use super::search::{Found, MOST_PIECES, Search};
use super::stream::Out;
use super::{CaptureLimits, Stamp};
use crate::wire::{Framer, HANDSHAKE_LENGTH, Handshake, Handshake48, Message};
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;

/// So many bytes of a message are kept to know it by: length, number and, of a `piece`, the piece and where it begins.
const HEAD: usize = 13;
/// How much noise there may be before plain messages, when peers agree on encrypting nothing else. With the longest paddings of 512 bytes, each side
/// sends 96 bytes of a key, 20 + 20 + 8 + 4 + 2 + 2 of what it offers and the padding twice, and 68 of a handshake: 1,244.
const MAX_NOISE: usize = 2048;
/// The number of `piece`.
const PIECE: u8 = 7;

/// A connection between two peers.
#[derive(Clone, Debug)]
pub(super) struct PeerTalk {
    sides: [Talker; 2],
    names: [ExtensionNames; 2],
    /// No piece has a higher number, as far as is known.
    pieces: u32,
    /// A start that is no handshake is searched so far, or without an end.
    within: Option<usize>,
}

#[derive(Clone, Debug)]
struct Talker {
    state: State,
    /// So many bytes of the stream have come; those that are missing are counted.
    at: u64,
}

#[derive(Clone, Debug)]
enum State {
    Handshake(Vec<u8>),
    Messages(Cutter),
    /// Inside a message that ends at `end`.
    Damaged {
        start: u64,
        end: u64,
        message: DamagedMessage,
    },
    Lost(Search),
    /// Nothing is found in it.
    Opaque,
}

/// Cuts messages, and knows where they begin.
#[derive(Clone, Debug)]
struct Cutter {
    framer: Framer,
    /// Where the next message begins in the stream.
    start: u64,
    /// Its first bytes, as far as they have come.
    head: Vec<u8>,
}

impl Cutter {
    fn new(start: u64, limits: &CaptureLimits) -> Cutter {
        Cutter { framer: Framer::new(limits.max_message), start, head: Vec::new() }
    }
}

impl PeerTalk {
    /// A connection of which nothing has been read. Where a side does not begin with a handshake, messages are searched for.
    pub(super) fn new() -> PeerTalk {
        let talker = || Talker { state: State::Handshake(Vec::new()), at: 0 };
        PeerTalk { sides: [talker(), talker()], names: Default::default(), pieces: MOST_PIECES, within: None }
    }

    /// A connection that does not begin with a handshake: it is encrypted, or only its first bytes are.
    pub(super) fn encrypted() -> PeerTalk {
        PeerTalk { within: Some(MAX_NOISE), ..PeerTalk::new() }
    }

    /// How much memory its bytes take.
    pub(super) fn held(&self) -> usize {
        let held = |side: &Talker| match &side.state {
            State::Handshake(bytes) => bytes.len(),
            State::Messages(cutter) => cutter.framer.unfinished(),
            State::Damaged { .. } | State::Opaque => 0,
            State::Lost(search) => search.held(),
        };
        self.sides.iter().map(held).sum()
    }

    /// Takes the next bytes of a side.
    pub(super) fn data(&mut self, side: Side, time: Stamp, bytes: Bytes, limits: &CaptureLimits, out: &mut Out<'_>) {
        let mut todo = Vec::from([(time, bytes)]);
        while let Some((time, bytes)) = todo.pop() {
            if let Some(found) = self.part(side, time, bytes, &mut todo, limits, out) {
                self.go_on(side, found, &mut todo, limits, out);
            }
        }
    }

    /// So many bytes of a side are missing.
    pub(super) fn gap(&mut self, side: Side, time: Stamp, length: u64, limits: &CaptureLimits, out: &mut Out<'_>) {
        self.flush(side, limits, out);
        let talker = &mut self.sides[side.index()];
        let start = talker.at;
        talker.at = talker.at.saturating_add(length);
        let end = talker.at;
        out.say(time, side, start..end, Said::Gap);
        let mut todo = Vec::new();
        match &mut talker.state {
            State::Damaged { end: stop, message, .. } if end <= *stop => message.missing += length,
            State::Damaged { start: from, end: stop, message } => {
                let (range, missing) = (*from..*stop, message.missing + (*stop - start));
                out.say(time, side, range, Said::Damaged(DamagedMessage { missing, ..*message }));
                talker.state = State::Lost(Search::new(end, self.within));
            }
            State::Messages(cutter) => match damaged(cutter) {
                Some((stop, message)) if end <= stop => {
                    let message = DamagedMessage { missing: length, ..message };
                    talker.state = State::Damaged { start: cutter.start, end: stop, message };
                }
                // Its end is missing, and where the next one begins.
                Some((stop, message)) => {
                    let (range, missing) = (cutter.start..stop, stop - start);
                    out.say(time, side, range, Said::Damaged(DamagedMessage { missing, ..message }));
                    talker.state = State::Lost(Search::new(end, self.within));
                }
                None => {
                    let from = cutter.start;
                    if from < start {
                        out.say(time, side, from..start, Said::Undecoded);
                    }
                    talker.state = State::Lost(Search::new(end, self.within));
                }
            },
            State::Handshake(bytes) => {
                let from = start - bytes.len() as u64;
                if from < start {
                    out.say(time, side, from..start, Said::Undecoded);
                }
                talker.state = State::Lost(Search::new(end, self.within));
            }
            State::Opaque => {}
            // It was emptied above.
            State::Lost(_) => talker.state = State::Lost(Search::new(end, self.within)),
        }
        self.leave_damaged(side, time, &mut todo, Bytes::new(), limits, out);
    }

    /// Nothing follows on a side.
    pub(super) fn end(&mut self, side: Side, time: Stamp, limits: &CaptureLimits, out: &mut Out<'_>) {
        self.flush(side, limits, out);
        let talker = &mut self.sides[side.index()];
        let at = talker.at;
        match core::mem::replace(&mut talker.state, State::Lost(Search::new(at, self.within))) {
            State::Handshake(bytes) if !bytes.is_empty() => {
                // Enough to be answered, and what some send who only test a port.
                if let Ok(Some(head)) = Handshake48::parse(&bytes) {
                    out.facts.sides[side.index()].info_hash.get_or_insert(head.info_hash);
                    out.facts.sides[side.index()].reserved.get_or_insert(head.reserved);
                }
                out.say(time, side, at - bytes.len() as u64..at, Said::Undecoded);
            }
            State::Messages(cutter) if cutter.start < at => out.say(time, side, cutter.start..at, Said::Undecoded),
            State::Damaged { start, end, message } => {
                // What it ends with was never sent, or nobody knows.
                let missing = message.missing.saturating_add(end - at);
                out.say(time, side, start..at, Said::Damaged(DamagedMessage { missing, ..message }));
            }
            _ => {}
        }
    }

    /// Gives up what is kept.
    pub(super) fn relieve(&mut self, time: Stamp, limits: &CaptureLimits, out: &mut Out<'_>) {
        for side in [Side::A, Side::B] {
            self.flush(side, limits, out);
            let talker = &mut self.sides[side.index()];
            if let State::Messages(cutter) = &talker.state
                && cutter.start < talker.at
            {
                out.say(time, side, cutter.start..talker.at, Said::Undecoded);
                talker.state = State::Lost(Search::new(talker.at, self.within));
            }
        }
    }

    /// Ends a search: nothing follows on its bytes.
    fn flush(&mut self, side: Side, limits: &CaptureLimits, out: &mut Out<'_>) {
        let pieces = self.pieces;
        let talker = &mut self.sides[side.index()];
        let State::Lost(search) = &mut talker.state else { return };
        let found = search.end(pieces, limits.max_message);
        if found.rest.is_empty() {
            undecoded(side, found.skipped, out);
            talker.state = State::Lost(Search::new(talker.at, self.within));
            return;
        }
        let mut todo = Vec::new();
        self.go_on(side, found, &mut todo, limits, out);
        while let Some((time, bytes)) = todo.pop() {
            if let Some(found) = self.part(side, time, bytes, &mut todo, limits, out) {
                self.go_on(side, found, &mut todo, limits, out);
            }
        }
    }

    /// Messages follow again, from what a search has found.
    fn go_on(
        &mut self,
        side: Side,
        found: Found,
        todo: &mut Vec<(Stamp, Bytes)>,
        limits: &CaptureLimits,
        out: &mut Out<'_>,
    ) {
        let start = found.start;
        let talker = &mut self.sides[side.index()];
        talker.state = if found.is_handshake() {
            State::Handshake(Vec::new())
        } else {
            State::Messages(Cutter::new(start, limits))
        };
        out.facts.protocol = Protocol::Peer;
        undecoded(side, found.skipped, out);
        // They are fed again.
        talker.at = start;
        todo.extend(found.rest.into_iter().rev().map(|(time, bytes)| (time, Bytes::from(bytes))));
    }

    /// Takes bytes in one state, and leaves to `todo` what belongs to the next.
    fn part(
        &mut self,
        side: Side,
        time: Stamp,
        bytes: Bytes,
        todo: &mut Vec<(Stamp, Bytes)>,
        limits: &CaptureLimits,
        out: &mut Out<'_>,
    ) -> Option<Found> {
        let talker = &mut self.sides[side.index()];
        let start = talker.at;
        talker.at += bytes.len() as u64;
        match &mut talker.state {
            State::Handshake(known) => {
                let (part, rest) = split(&bytes, HANDSHAKE_LENGTH - known.len());
                known.extend_from_slice(&part);
                let from = start + part.len() as u64 - known.len() as u64;
                talker.at = start + part.len() as u64;
                match Handshake::parse(known) {
                    Ok(Some(handshake)) => {
                        talker.state = State::Messages(Cutter::new(talker.at, limits));
                        out.handshake(time, side, from..from + HANDSHAKE_LENGTH as u64, handshake);
                    }
                    Ok(None) => {}
                    Err(_) => {
                        let known = core::mem::take(known);
                        talker.state = State::Lost(Search::new(from, self.within));
                        talker.at = from;
                        push_rest(todo, time, rest);
                        push_rest(todo, time, Bytes::from(known));
                        return None;
                    }
                }
                push_rest(todo, time, rest);
            }
            State::Messages(_) => self.messages(side, time, start, bytes, todo, out),
            State::Damaged { end, .. } => {
                let (_, rest) = split(&bytes, usize::try_from(*end - start).unwrap_or(usize::MAX));
                talker.at -= rest.len() as u64;
                self.leave_damaged(side, time, todo, rest, limits, out);
            }
            State::Lost(search) => {
                let found = search.push(time, &bytes, self.pieces, limits.max_message);
                if found.is_none() {
                    if search.is_hopeless() {
                        undecoded(side, search.give_up(), out);
                        talker.state = State::Opaque;
                    } else {
                        undecoded(side, search.shorten(limits.search_window as usize), out);
                    }
                }
                return found;
            }
            State::Opaque => {
                let end = talker.at;
                out.say(time, side, start..end, Said::Undecoded);
            }
        }
        None
    }

    /// When the end of a damaged message has been reached, messages follow on it.
    fn leave_damaged(
        &mut self,
        side: Side,
        time: Stamp,
        todo: &mut Vec<(Stamp, Bytes)>,
        rest: Bytes,
        limits: &CaptureLimits,
        out: &mut Out<'_>,
    ) {
        let talker = &mut self.sides[side.index()];
        if let State::Damaged { start, end, message } = talker.state
            && talker.at >= end
        {
            talker.state = State::Messages(Cutter::new(end, limits));
            out.say(time, side, start..end, Said::Damaged(message));
            push_rest(todo, time, rest);
        }
    }

    #[allow(clippy::too_many_arguments)] // What a part has, and where it lies.
    fn messages(
        &mut self,
        side: Side,
        time: Stamp,
        at: u64,
        bytes: Bytes,
        todo: &mut Vec<(Stamp, Bytes)>,
        out: &mut Out<'_>,
    ) {
        let talker = &mut self.sides[side.index()];
        let State::Messages(cutter) = &mut talker.state else { return };
        let mut opaque = Vec::new();
        cutter.framer.feed(bytes.clone(), 0);
        loop {
            opaque.clear();
            match cutter.framer.next(&mut opaque) {
                Ok(Some(message)) => {
                    let start = cutter.start;
                    cutter.start += message.encoded_len();
                    cutter.head.clear();
                    let range = start..cutter.start;
                    let extension = match &message {
                        Message::Extended { id: 0, payload } => {
                            self.names[side.index()].learn(payload);
                            Some("handshake".into())
                        }
                        Message::Extended { id, .. } => self.names[side.other().index()].get(*id),
                        // No piece of the torrent is behind the last bit.
                        Message::Bitfield(bits) => {
                            let most = u32::try_from(bits.len()).unwrap_or(u32::MAX).saturating_mul(8);
                            self.pieces = self.pieces.min(most.max(1));
                            None
                        }
                        _ => None,
                    };
                    out.say(time, side, range, Said::Message { message, extension });
                }
                Ok(None) => break,
                Err(error) => {
                    // Whatever these bytes are, a message may begin behind the first of them.
                    let start = cutter.start;
                    out.say(time, side, start..start, Said::Fault(error));
                    let from = at.max(start + 1);
                    out.say(time, side, start..from, Said::Undecoded);
                    let (_, rest) = split(&bytes, usize::try_from(from - at).unwrap_or(usize::MAX));
                    talker.at = from;
                    talker.state = State::Lost(Search::new(from, self.within));
                    push_rest(todo, time, rest);
                    return;
                }
            }
        }
        // Of the message that is not whole, what it is known by.
        let known = cutter.start + cutter.head.len() as u64;
        let new = usize::try_from(known.saturating_sub(at)).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
        cutter.head.extend(new.iter().take(HEAD - cutter.head.len()));
    }
}

/// Of a message that has begun: where it ends, and what is known of it. `None` when that is not known, or when none has begun.
fn damaged(cutter: &Cutter) -> Option<(u64, DamagedMessage)> {
    let number = |at: usize| cutter.head.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
    let length = number(0)?;
    let id = cutter.head.get(4).copied();
    let block = if id == Some(PIECE) { number(5).zip(number(9)) } else { None };
    Some((cutter.start + 4 + u64::from(length), DamagedMessage { id, block, missing: 0 }))
}

/// Says that bytes belong to nothing.
fn undecoded(side: Side, ranges: Vec<(Stamp, Range<u64>)>, out: &mut Out<'_>) {
    for (time, range) in ranges {
        out.say(time, side, range, Said::Undecoded);
    }
}

fn split(bytes: &Bytes, at: usize) -> (Bytes, Bytes) {
    let at = at.min(bytes.len());
    (bytes.slice(..at), bytes.slice(at..))
}

fn push_rest(todo: &mut Vec<(Stamp, Bytes)>, time: Stamp, rest: Bytes) {
    if !rest.is_empty() {
        todo.push((time, rest));
    }
}

/// A side has ended: told apart from the bytes, which a reset may leave in the middle of a message.
pub(super) fn say_end(side: Side, time: Stamp, ending: Ending, out: &mut Out<'_>) {
    let counts = out.facts.sides[side.index()].counts;
    let at = counts.bytes + counts.lost;
    out.say(time, side, at..at, Said::End(ending));
}
