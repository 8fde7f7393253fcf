//! Peer streams: where in them lies what has to be replaced.
//!
//! A [`Walker`] is given a stream's bytes as they come and says its parts. It understands no more than what it needs: the handshake,
//! the length and number of each message, and the bodies of those that are short. Content is passed over and held by nobody.
//!
//! What is replaced has the length that it had, so every part keeps its place, however the stream was cut.

use super::bencoded::{Rules, rewrite};
use super::mapper::Mapper;
use crate::bencode::{Document, Limits, Mode};
use crate::border::{InfoHash, PeerId, SessionConfig};
use crate::wire::{Extension, Handshake48};
use alloc::vec::Vec;

/// What a part of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first 48 bytes of the handshake.
    Head,
    /// The peer id behind it.
    Id,
    /// A message without a number.
    KeepAlive,
    /// A message, by its number; the body as far as it is held.
    Message(u8),
    /// A byte that is none of a handshake where there should be one: the last that anybody looks at.
    Wrong,
    /// Bytes that nobody looks at, of which some are not zero.
    Ignored,
}

/// A part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it begins in the stream.
    pub at: u64,
    pub kind: Kind,
    /// Its bytes; of `Message`, the body without the number. None of `Ignored`.
    pub bytes: Vec<u8>,
    /// How long it is in the stream.
    pub length: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Id,
    Length,
    Number(u32),
    Body(u8, u32),
    Skip(u64),
    Lost,
}

/// The longest body that is held: the longest message that peers of today take but for blocks.
const MOST_HELD: u32 = 1 << 20;

/// Takes a stream apart. See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Walker {
    at: u64,
    state: State,
    held: Vec<u8>,
    /// How many bytes of the message come behind what is held.
    left: u32,
}

impl Walker {
    pub fn new() -> Walker {
        Walker { at: 0, state: State::Head, held: Vec::new(), left: 0 }
    }

    /// The next bytes.
    pub fn feed(&mut self, mut bytes: &[u8], parts: &mut Vec<Part>) {
        while !bytes.is_empty() {
            let wanted = match self.state {
                State::Head => {
                    let (fits, rest) = bytes.split_at(self.fitting(bytes));
                    if let [wrong, ..] = rest {
                        // What fits stays as it is, and nothing behind is looked at.
                        self.at += fits.len() as u64;
                        parts.push(Part { at: self.at, kind: Kind::Wrong, bytes: alloc::vec![*wrong], length: 1 });
                        self.at += 1;
                        self.held.clear();
                        self.state = State::Lost;
                        bytes = rest.get(1..).unwrap_or_default();
                        continue;
                    }
                    Handshake48::LENGTH
                }
                State::Id => 20,
                State::Length => 4,
                State::Number(_) => 1,
                State::Body(_, length) => length as usize,
                State::Skip(length) => {
                    let take = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
                    let (skipped, rest) = bytes.split_at(take);
                    self.ignore(skipped, parts);
                    bytes = rest;
                    self.next(State::Skip(length - take as u64));
                    continue;
                }
                State::Lost => {
                    self.ignore(bytes, parts);
                    return;
                }
            };
            let take = wanted.saturating_sub(self.held.len()).min(bytes.len());
            let (taken, rest) = bytes.split_at(take);
            self.held.extend_from_slice(taken);
            self.at += take as u64;
            bytes = rest;
            if self.held.len() == wanted {
                let held = core::mem::take(&mut self.held);
                self.whole(held, parts);
            }
        }
    }

    /// What is left at the end of a stream, or so far: of what it holds, what would be replaced were it whole.
    pub fn rest(&self) -> Option<Part> {
        let start = self.at - self.held.len() as u64;
        // Protocol and reserved bits say nothing of anybody; nor do the short messages.
        let keep = match self.state {
            State::Head => 28,
            State::Id => 0,
            State::Body(20, _) => 1,
            _ => return None,
        };
        let rest = self.held.get(keep..).filter(|rest| rest.iter().any(|byte| *byte != 0))?;
        Some(Part { at: start + keep as u64, kind: Kind::Ignored, bytes: Vec::new(), length: rest.len() as u64 })
    }

    /// How many of these bytes fit the head that is being read; the one behind them, if there is one, does not.
    fn fitting(&self, bytes: &[u8]) -> usize {
        let mut head = self.held.clone();
        let room = Handshake48::LENGTH - head.len();
        head.extend(bytes.iter().take(room));
        let fits = |end: &usize| Handshake48::parse(head.get(..*end).unwrap_or_default()).is_ok();
        let good = if fits(&head.len()) { head.len() } else { (0..=head.len()).take_while(fits).count() - 1 };
        if good == head.len() { bytes.len() } else { good - self.held.len() }
    }

    fn ignore(&mut self, bytes: &[u8], parts: &mut Vec<Part>) {
        if bytes.iter().any(|byte| *byte != 0) {
            parts.push(Part { at: self.at, kind: Kind::Ignored, bytes: Vec::new(), length: bytes.len() as u64 });
        }
        self.at += bytes.len() as u64;
    }

    /// Goes on; what has no length is over at once.
    fn next(&mut self, state: State) {
        self.state = if state == State::Skip(0) { State::Length } else { state };
    }

    fn whole(&mut self, held: Vec<u8>, parts: &mut Vec<Part>) {
        let length = held.len() as u64;
        let part = |kind| Part { at: self.at - length, kind, bytes: held.clone(), length };
        match self.state {
            State::Head => {
                parts.push(part(Kind::Head));
                self.next(State::Id);
            }
            State::Id => {
                parts.push(part(Kind::Id));
                self.next(State::Length);
            }
            State::Length => {
                let length = u32::from_be_bytes(held.try_into().unwrap_or_default());
                if length == 0 {
                    parts.push(Part { at: self.at - 4, kind: Kind::KeepAlive, bytes: Vec::new(), length: 4 });
                    return;
                }
                self.next(State::Number(length - 1));
            }
            State::Number(length) => {
                let number = held.first().copied().unwrap_or(0);
                match body(number, length) {
                    0 => {
                        parts.push(Part { at: self.at, kind: Kind::Message(number), bytes: Vec::new(), length: 0 });
                        self.next(State::Skip(u64::from(length)));
                    }
                    held => {
                        self.left = length - held;
                        self.next(State::Body(number, held));
                    }
                }
            }
            State::Body(number, _) => {
                parts.push(part(Kind::Message(number)));
                let left = core::mem::take(&mut self.left);
                self.next(State::Skip(u64::from(left)));
            }
            State::Skip(_) | State::Lost => {}
        }
    }
}

/// How much of a message's body is held.
fn body(number: u8, length: u32) -> u32 {
    match (number, length) {
        // `have`, `suggest`, `allowed fast`, `port`, `request`, `cancel`, `reject`: whole, when they are as long as they should be.
        (4 | 13 | 17, 4) | (9, 2) | (6 | 8 | 16, 12) => length,
        // `bitfield`, as long as the longest torrent has.
        (5, _) if length <= MOST_HELD => length,
        // `piece`: which block it is.
        (7, 8..) => 8,
        (20, 1..=MOST_HELD) => length,
        _ => 0,
    }
}

/// What takes the place of a part; `None`: it stays. `torrent`: the one of the stream's handshake, before.
pub(super) fn replaced(mapper: &mut Mapper, part: &Part, torrent: Option<InfoHash>) -> Option<Vec<u8>> {
    match part.kind {
        Kind::Head => {
            let head = Handshake48::parse(&part.bytes).ok()??;
            let info_hash = mapper.hash(head.info_hash);
            Some(Handshake48 { info_hash, ..head }.emit().to_vec())
        }
        Kind::Id => {
            let id = PeerId(part.bytes.as_slice().try_into().ok()?);
            let new = match torrent {
                Some(torrent) => mapper.id_in(id, torrent),
                None => mapper.id(id),
            };
            Some(new.0.to_vec())
        }
        Kind::Message(20) => {
            let (number, payload) = part.bytes.split_first()?;
            let mut new = alloc::vec![*number];
            new.extend(extended(mapper, *number, payload));
            Some(new)
        }
        // Wrong in every place of a handshake.
        Kind::Wrong => Some(alloc::vec![0xff]),
        Kind::Ignored => None,
        Kind::KeepAlive | Kind::Message(_) => None,
    }
}

/// The payload of an extended message, of the length that it had.
fn extended(mapper: &mut Mapper, number: u8, payload: &[u8]) -> Vec<u8> {
    let zeros = alloc::vec![0; payload.len()];
    if number != 0 {
        // Flags, and the dictionary in front of a part of the metadata (BEP 9): numbers only. What follows is content.
        if payload.len() <= 1 {
            return payload.to_vec();
        }
        // BEP 54: the number of a piece.
        if number == Extension::DontHave.our_id() && payload.len() == 4 {
            return payload.to_vec();
        }
        if let Some(new) = contacts(mapper, payload) {
            return new;
        }
        let kept = numbers_in_front(payload);
        return payload.iter().take(kept).copied().chain(zeros).take(payload.len()).collect();
    }
    let limits = Limits { bytes: 64 * 1024, depth: 16, tokens: 4096 };
    let Ok(document) = Document::decode(payload, Mode::Tolerant, &limits) else { return zeros };
    let mut out = Vec::with_capacity(payload.len());
    rewrite(document.root(), &mut Vec::new(), &mut Introduction(mapper), &mut out);
    // Another length could only come of a length that was not written in its shortest form.
    if out.len() == payload.len() { out } else { zeros }
}

/// A message of peer exchange (BEP 11), whatever its number is; `None`: it is none.
pub(super) fn contacts(mapper: &mut Mapper, payload: &[u8]) -> Option<Vec<u8>> {
    let limits = Limits { bytes: MOST_HELD as usize, depth: 8, tokens: 256 };
    let document = Document::decode(payload, Mode::Tolerant, &limits).ok()?;
    let dict = document.root().dict()?;
    ["added", "added6", "dropped", "dropped6"].iter().find_map(|key| dict.get(key))?;
    let mut out = Vec::with_capacity(payload.len());
    rewrite(document.root(), &mut Vec::new(), &mut Contacts(mapper), &mut out);
    (out.len() == payload.len()).then_some(out)
}

/// Peer exchange.
struct Contacts<'m>(&'m mut Mapper);

impl Rules for Contacts<'_> {
    fn string(&mut self, path: &[&[u8]], value: &[u8]) -> Vec<u8> {
        match path {
            [b"added" | b"dropped"] => self.0.compact(value, false),
            [b"added6" | b"dropped6"] => self.0.compact(value, true),
            [b"added.f" | b"added6.f"] => value.to_vec(),
            _ => self.0.letters("text of a peer", value),
        }
    }
}

/// How long the bencoded dictionary at the start is, when it holds nothing but numbers.
pub(super) fn numbers_in_front(payload: &[u8]) -> usize {
    let limits = Limits { bytes: MOST_HELD as usize, depth: 4, tokens: 64 };
    let Ok(document) = Document::decode_prefix(payload, Mode::Lenient, &limits) else { return 0 };
    let numbers = document.root().dict().is_some_and(|dict| dict.iter().all(|(_, value)| value.int().is_some()));
    if numbers { document.length() } else { 0 }
}

/// The handshake of BEP 10.
struct Introduction<'m>(&'m mut Mapper);

impl Rules for Introduction<'_> {
    fn string(&mut self, path: &[&[u8]], value: &[u8]) -> Vec<u8> {
        match path {
            [b"yourip" | b"ipv4" | b"ipv6"] => match self.0.packed(value) {
                Some(new) => new,
                None => self.0.letters("address", value),
            },
            [b"v"] if value == SessionConfig::default().client.as_bytes() => value.to_vec(),
            [b"v"] => self.0.letters("client name", value),
            _ => self.0.letters("text of a peer", value),
        }
    }
}
