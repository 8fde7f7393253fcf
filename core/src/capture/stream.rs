//! A TCP connection: both directions put together, and what they carry.
//!
//! What it is shows in the first bytes of either side: a handshake, a request or an answer by HTTP, or something else. A connection that
//! begins with none of these may still be one between peers: because its start was not captured, or because the peers only agreed to encrypt nothing.
//! Whether it is shows when [messages are found](super::search).

use super::http::HttpTalk;
use super::peer::{PeerTalk, say_end};
use super::said::{Chunk, Ending, Heard, Item, Protocol, Said, Side, SideFacts, StreamFacts, StreamId};
use super::tcp::{Half, Part};
use super::{CaptureLimits, Stamp};
use crate::capture::packet::TcpHead;
use crate::wire::{Handshake, Handshake48};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::ops::Range;

/// Where what a stream says goes.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub id: StreamId,
    pub facts: &'a mut StreamFacts,
    pub heard: &'a mut VecDeque<Heard>,
    /// Where the bytes go, when somebody wants them.
    pub chunks: Option<&'a mut VecDeque<(StreamId, Chunk)>>,
}

impl Out<'_> {
    /// Says something, and counts it where it is no message.
    pub(super) fn say(&mut self, time: Stamp, from: Side, range: Range<u64>, said: Said) {
        let facts = &mut self.facts.sides[from.index()];
        match &said {
            Said::Undecoded => facts.undecoded += range.end.saturating_sub(range.start),
            Said::End(ending) => _ = facts.ended.get_or_insert((time, *ending)),
            _ => {}
        }
        self.heard.push_back(Heard::Stream(self.id, Item { time, from, range, said }));
    }

    /// Says a handshake, and takes down what it tells.
    pub(super) fn handshake(&mut self, time: Stamp, from: Side, range: Range<u64>, handshake: Handshake) {
        let facts = &mut self.facts.sides[from.index()];
        facts.info_hash = Some(handshake.info_hash);
        facts.peer_id = Some(handshake.peer_id);
        facts.reserved = Some(handshake.reserved);
        self.say(time, from, range, Said::Handshake(handshake));
    }
}

/// A TCP connection that is followed.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    halves: [Half; 2],
    talk: Talk,
    /// Where the bytes of each side were last.
    at: [u64; 2],
}

#[derive(Clone, Debug)]
enum Talk {
    /// What has come, until it can be told: under twenty bytes of each side.
    Unknown(Vec<(Side, Part)>),
    Peer(PeerTalk),
    Http(HttpTalk),
    Opaque,
}

/// What the first bytes of a side look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    Peer,
    Request,
    Answer,
    Other,
    /// Any of them, so far.
    Short,
}

impl Stream {
    /// A connection of which this is the first segment; its sender is A, unless it answers a SYN.
    pub(super) fn new(from: SocketAddr, to: SocketAddr, head: &TcpHead, time: Stamp) -> (Stream, StreamFacts) {
        let answers = head.syn && head.ack.is_some();
        let (a, b) = if answers { (to, from) } else { (from, to) };
        let sides = [SideFacts::default(), SideFacts::default()];
        let facts = StreamFacts { a, b, dialled: head.syn, opened: time, protocol: Protocol::Unknown, sides };
        (Stream { halves: Default::default(), talk: Talk::Unknown(Vec::new()), at: [0; 2] }, facts)
    }

    /// Whether both sides have ended.
    pub(super) fn is_over(&self) -> bool {
        self.halves.iter().all(Half::has_ended)
    }

    /// How much memory the bytes take that it keeps.
    pub(super) fn held(&self) -> usize {
        let talk = match &self.talk {
            // A part is a slice of a larger buffer; under twenty bytes of each side wait, and the last part.
            Talk::Unknown(parts) => parts.iter().map(|(_, part)| part_len(part)).sum(),
            Talk::Peer(talk) => talk.held(),
            Talk::Http(talk) => talk.held(),
            Talk::Opaque => 0,
        };
        talk + self.halves.iter().map(Half::held).sum::<usize>()
    }

    /// Whether a SYN with this number, from this side, begins another connection.
    pub(super) fn is_another(&mut self, side: Side, head: &TcpHead) -> bool {
        let half = &mut self.halves[side.index()];
        head.syn && half.is_begun() && !half.begin(head.sequence)
    }

    /// Takes a segment.
    #[allow(clippy::too_many_arguments)] // What a segment has, and where what it says goes.
    pub(super) fn segment(
        &mut self,
        side: Side,
        time: Stamp,
        head: &TcpHead,
        payload: &Bytes,
        cut: u32,
        limits: &CaptureLimits,
        out: &mut Out<'_>,
    ) {
        let side = self.oriented(side, head, payload, out);
        let mut parts = Vec::new();
        if head.syn {
            self.halves[side.index()].begin(head.sequence);
            // What it acknowledges is the other's SYN.
            if let Some(ack) = head.ack
                && !self.halves[side.other().index()].is_begun()
            {
                self.halves[side.other().index()].begin(ack.wrapping_sub(1));
            }
        }
        if !head.rst {
            self.halves[side.index()].segment(time, head, payload, cut, limits, &mut parts);
            self.take(side, &mut parts, limits, out);
        }
        if let Some(ack) = head.ack {
            self.halves[side.other().index()].acknowledged(time, ack, head.window, limits, &mut parts);
            self.take(side.other(), &mut parts, limits, out);
        }
        if head.rst && out.facts.sides[side.index()].ended.is_none() {
            say_end(side, time, Ending::Reset, out);
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, limits: &CaptureLimits, out: &mut Out<'_>) {
        for side in [Side::A, Side::B] {
            let half = &mut self.halves[side.index()];
            if half.has_ended() {
                continue;
            }
            let mut parts = Vec::new();
            let time = half.latest();
            half.finish(time, limits, &mut parts);
            self.take(side, &mut parts, limits, out);
        }
        // One that was too short to be told.
        if matches!(self.talk, Talk::Unknown(_)) {
            self.become_known(Talk::Opaque, limits, out);
        }
        for side in [Side::A, Side::B] {
            let half = &self.halves[side.index()];
            if !half.has_ended() {
                self.ended(side, half.latest(), limits, out);
            }
        }
        let bytes: u64 = self.halves.iter().map(|half| half.counts.bytes).sum();
        if out.facts.protocol == Protocol::Unknown && bytes > 0 {
            out.facts.protocol = Protocol::Opaque;
        }
    }

    /// Gives up what is kept.
    pub(super) fn relieve(&mut self, time: Stamp, limits: &CaptureLimits, out: &mut Out<'_>) {
        for side in [Side::A, Side::B] {
            let mut parts = Vec::new();
            self.halves[side.index()].relieve(time, limits, &mut parts);
            self.take(side, &mut parts, limits, out);
        }
        match &mut self.talk {
            Talk::Peer(talk) => talk.relieve(time, limits, out),
            Talk::Http(talk) => talk.relieve(time, out),
            Talk::Unknown(_) | Talk::Opaque => {}
        }
    }

    /// Which side it is. Where nobody was seen to dial, who sends the first bytes is A.
    fn oriented(&mut self, side: Side, head: &TcpHead, payload: &Bytes, out: &mut Out<'_>) -> Side {
        if out.facts.dialled || self.halves.iter().any(Half::has_content) {
            return side;
        }
        let is_dialler = if head.syn { head.ack.is_none() } else { side == Side::A || !payload.is_empty() };
        let knows = head.syn || !payload.is_empty();
        out.facts.dialled |= head.syn;
        if knows && is_dialler == (side == Side::B) {
            core::mem::swap(&mut out.facts.a, &mut out.facts.b);
            self.halves.swap(0, 1);
            out.facts.sides.swap(0, 1);
            return side.other();
        }
        side
    }

    /// Takes what comes next on a side.
    fn take(&mut self, side: Side, parts: &mut Vec<Part>, limits: &CaptureLimits, out: &mut Out<'_>) {
        for part in parts.drain(..) {
            out.facts.sides[side.index()].counts = self.halves[side.index()].counts;
            let Talk::Unknown(waiting) = &mut self.talk else {
                self.part(side, part, limits, out);
                continue;
            };
            waiting.push((side, part));
            let looks = looks(waiting, side);
            let half = &self.halves[side.index()];
            let talk = match looks {
                Looks::Short => continue,
                Looks::Peer => Talk::Peer(PeerTalk::new()),
                Looks::Request => Talk::Http(HttpTalk::new(side)),
                Looks::Answer => Talk::Http(HttpTalk::new(side.other())),
                Looks::Other if half.is_sure() && !begins_with_gap(waiting, side) => Talk::Peer(PeerTalk::encrypted()),
                Looks::Other => Talk::Peer(PeerTalk::new()),
            };
            out.facts.protocol = match (&talk, looks) {
                (Talk::Peer(_), Looks::Peer) => Protocol::Peer,
                (Talk::Http(_), _) => Protocol::Http,
                _ => Protocol::Unknown,
            };
            self.become_known(talk, limits, out);
        }
        out.facts.sides[side.index()].counts = self.halves[side.index()].counts;
    }

    /// It is known what it is: what has waited is looked at.
    fn become_known(&mut self, talk: Talk, limits: &CaptureLimits, out: &mut Out<'_>) {
        if let Talk::Unknown(waiting) = core::mem::replace(&mut self.talk, talk) {
            for (side, part) in waiting {
                self.part(side, part, limits, out);
            }
        }
    }

    fn part(&mut self, side: Side, part: Part, limits: &CaptureLimits, out: &mut Out<'_>) {
        let start = self.at[side.index()];
        match part {
            Part::Data { time, bytes } => {
                let end = start + bytes.len() as u64;
                self.at[side.index()] = end;
                if let Some(chunks) = &mut out.chunks {
                    chunks.push_back((out.id, Chunk { time, from: side, start, bytes: bytes.clone() }));
                }
                match &mut self.talk {
                    Talk::Peer(talk) => talk.data(side, time, bytes, limits, out),
                    Talk::Http(talk) => talk.data(side, time, start, &bytes, limits, out),
                    Talk::Unknown(_) | Talk::Opaque => out.say(time, side, start..end, Said::Undecoded),
                }
            }
            Part::Gap { time, length } => {
                let end = start.saturating_add(length);
                self.at[side.index()] = end;
                match &mut self.talk {
                    Talk::Peer(talk) => talk.gap(side, time, length, limits, out),
                    Talk::Http(talk) => {
                        talk.gap(side, time, start, out);
                        out.say(time, side, start..end, Said::Gap);
                    }
                    Talk::Unknown(_) | Talk::Opaque => out.say(time, side, start..end, Said::Gap),
                }
            }
            Part::End { time } => {
                self.ended(side, time, limits, out);
                out.say(time, side, start..start, Said::End(Ending::Closed));
            }
        }
    }

    /// Nothing follows on a side.
    fn ended(&mut self, side: Side, time: Stamp, limits: &CaptureLimits, out: &mut Out<'_>) {
        match &mut self.talk {
            Talk::Peer(talk) => talk.end(side, time, limits, out),
            Talk::Http(talk) => talk.end(side, time, self.at[side.index()], limits, out),
            Talk::Unknown(_) | Talk::Opaque => {}
        }
    }
}

fn part_len(part: &Part) -> usize {
    match part {
        Part::Data { bytes, .. } => bytes.len(),
        Part::Gap { .. } | Part::End { .. } => 0,
    }
}

/// Whether the first of a side's bytes are missing.
fn begins_with_gap(parts: &[(Side, Part)], side: Side) -> bool {
    matches!(parts.iter().find(|(from, _)| *from == side), Some((_, Part::Gap { .. })))
}

/// What the first bytes of a side look like; those behind the first gap do not count.
fn looks(parts: &[(Side, Part)], side: Side) -> Looks {
    const METHODS: [&[u8]; 3] = [b"GET ", b"POST ", b"HEAD "];
    const ANSWER: &[u8] = b"HTTP/1.";
    let mut start = Vec::new();
    let mut last = false;
    if !parts.iter().any(|(from, part)| *from == side && !matches!(part, Part::End { .. })) {
        return Looks::Short;
    }
    for (_, part) in parts.iter().filter(|(from, _)| *from == side) {
        match part {
            Part::Data { bytes, .. } => start.extend(bytes.iter().take(20 - start.len().min(20))),
            Part::Gap { .. } | Part::End { .. } => {
                last = true;
                break;
            }
        }
    }
    let fits = |whole: &[u8]| whole.starts_with(start.get(..whole.len()).unwrap_or(&start));
    let whole = |whole: &[u8]| start.starts_with(whole);
    if start.len() >= 20 && Handshake48::parse(&start).is_ok() {
        Looks::Peer
    } else if METHODS.iter().any(|method| whole(method)) {
        Looks::Request
    } else if whole(ANSWER) {
        Looks::Answer
    } else if !last && (Handshake48::parse(&start).is_ok() || METHODS.iter().any(|method| fits(method)) || fits(ANSWER))
    {
        Looks::Short
    } else {
        Looks::Other
    }
}
