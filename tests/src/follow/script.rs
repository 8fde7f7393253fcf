//! What one side of a captured conversation did, as a script for whoever takes its place.

use super::{greeting, messages};
use crate::second::Range;
use parcacik_core::capture::{Conversation, Ending, Side, Stamp};
use parcacik_core::metainfo::Geometry;
use parcacik_core::wire::{BlockRange, Handshake, Message};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a client did on a connection.
///
/// Times are counted from the moment when both handshakes had come. Not in it is what only answers the other side: that depends on what is asked.
#[derive(Clone, Debug)]
pub struct Script {
    /// Whether it dialled.
    pub dials: bool,
    /// Its handshake.
    pub handshake: Handshake,
    /// What it said by itself, and when: of itself, of its pieces, of what it serves and whether it wants something.
    pub says: Vec<(Duration, Message)>,
    /// How long it took to answer each request.
    pub latencies: Vec<Duration>,
    /// The most requests that it had under way.
    pub depth: usize,
    /// What it asks for: as it did, then the rest.
    pub asks: Vec<Range>,
    /// Whether it ended the connection, and how.
    pub close: Option<Close>,
}

/// How a client ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// So long after the last block, in either direction.
    pub after: Duration,
    /// In order, or broken off.
    pub ending: Ending,
}

impl Script {
    /// The script of a side; `None` when not both handshakes were captured.
    pub fn of(talk: &Conversation, side: Side, geometry: &Geometry) -> Option<Script> {
        let (greeted, _, handshake) = greeting(talk, side)?;
        let (heard, ..) = greeting(talk, side.other())?;
        let start = greeted.max(heard);
        let asked = asked(talk, side);
        Some(Script {
            dials: side == Side::A,
            handshake,
            says: says(talk, side, start, &asked),
            latencies: latencies(talk, side),
            depth: depth(talk, side),
            asks: asks(&asked, geometry),
            close: close(talk, side),
        })
    }

    /// The pieces that it says that it has when it begins.
    pub fn first_pieces(&self, pieces: u32) -> BTreeSet<u32> {
        self.says.iter().find_map(|(_, message)| pieces_of(message, pieces)).unwrap_or_default()
    }
}

/// The pieces that one of the messages names that say what somebody begins with; `None` of any other.
pub(super) fn pieces_of(message: &Message, pieces: u32) -> Option<BTreeSet<u32>> {
    match message {
        Message::HaveAll => Some((0..pieces).collect()),
        Message::HaveNone => Some(BTreeSet::new()),
        Message::Bitfield(bits) => {
            let has = |piece: &u32| bits.get(*piece as usize / 8).is_some_and(|byte| byte & (0x80 >> (piece % 8)) != 0);
            Some((0..pieces).filter(has).collect())
        }
        _ => None,
    }
}

/// What a side asked for, each range once, in order.
fn asked(talk: &Conversation, side: Side) -> Vec<Range> {
    let mut known = BTreeSet::new();
    messages(talk)
        .filter(|(item, _)| item.from == side)
        .filter_map(|(_, message)| match message {
            Message::Request(range) => Some(range_of(*range)),
            _ => None,
        })
        .filter(|range| known.insert(*range))
        .collect()
}

fn range_of(range: BlockRange) -> Range {
    Range { piece: range.piece, begin: range.begin, length: range.length }
}

/// What a side said by itself. Left out is what comes of what it got or gave here:
///
/// * `have` for what it asked for here: it says so when it has got it from us;
/// * `not interested`: it says so when it has got everything;
/// * a choke behind the last block that it served: that the other side had everything by then is no reason to leave ours without.
fn says(talk: &Conversation, side: Side, start: Stamp, asked: &[Range]) -> Vec<(Duration, Message)> {
    let own = || messages(talk).filter(|(item, _)| item.from == side);
    let served =
        own().filter(|(_, message)| matches!(message, Message::Piece { .. })).map(|(item, _)| item.range.start);
    let last_served = served.last();
    own()
        .filter(|(item, message)| match message {
            Message::Have(piece) => asked.iter().all(|range| range.piece != *piece),
            Message::Choke => last_served.is_none_or(|last| item.range.start < last),
            Message::Extended { id, .. } => *id == 0,
            Message::KeepAlive
            | Message::Unchoke
            | Message::Interested
            | Message::Bitfield(_)
            | Message::HaveAll
            | Message::HaveNone
            | Message::AllowedFast(_)
            | Message::Suggest(_)
            | Message::Port(_) => true,
            _ => false,
        })
        .map(|(item, message)| (item.time.since(start), message.clone()))
        .collect()
}

/// How long a side took to answer each request.
fn latencies(talk: &Conversation, side: Side) -> Vec<Duration> {
    let mut waiting = BTreeMap::new();
    let mut latencies = Vec::new();
    for (item, message) in messages(talk) {
        match message {
            Message::Request(range) if item.from != side => _ = waiting.insert(range_of(*range), item.time),
            Message::Piece { piece, begin, data } if item.from == side => {
                let range = Range { piece: *piece, begin: *begin, length: data.len() as u32 };
                latencies.extend(waiting.remove(&range).map(|asked| item.time.since(asked)));
            }
            _ => {}
        }
    }
    latencies
}

/// The most requests that a side had under way.
fn depth(talk: &Conversation, side: Side) -> usize {
    let (mut under_way, mut most) = (BTreeSet::new(), 0);
    for (item, message) in messages(talk) {
        match message {
            Message::Request(range) if item.from == side => _ = under_way.insert(range_of(*range)),
            Message::Cancel(range) if item.from == side => _ = under_way.remove(&range_of(*range)),
            Message::Reject(range) if item.from != side => _ = under_way.remove(&range_of(*range)),
            Message::Piece { piece, begin, data } if item.from != side => {
                let range = Range { piece: *piece, begin: *begin, length: data.len() as u32 };
                under_way.remove(&range);
            }
            _ => {}
        }
        most = most.max(under_way.len());
    }
    most
}

/// What is to be asked for: the ranges that were asked for, of each piece that they fill, then the blocks of all other pieces.
fn asks(asked: &[Range], geometry: &Geometry) -> Vec<Range> {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    asked.iter().for_each(|range| *sums.entry(range.piece).or_default() += u64::from(range.length));
    let filled = |piece: u32| {
        let length = geometry.piece(piece).map(|piece| u64::from(geometry.length(piece)));
        length.is_some() && sums.get(&piece).copied() == length
    };
    let mut asks: Vec<Range> = asked.iter().copied().filter(|range| filled(range.piece)).collect();
    for piece in geometry.iter().filter(|piece| !filled(piece.get())) {
        let blocks = geometry.blocks_of(piece).map(|block| range_of(block.into()));
        asks.extend(blocks);
    }
    asks
}

/// How a side ended the connection, if it was the first to do so.
fn close(talk: &Conversation, side: Side) -> Option<Close> {
    let (time, ending) = talk.facts.side(side).ended?;
    if talk.facts.side(side.other()).ended.is_some_and(|(other, _)| other < time) {
        return None;
    }
    let blocks = messages(talk).filter(|(_, message)| matches!(message, Message::Piece { .. }));
    let last = blocks.map(|(item, _)| item.time).last()?;
    Some(Close { after: time.since(last), ending })
}
