//! Decode mode: a connection of ours in the place of a client that was captured.

use super::{greeting, messages};
use bytes::{Bytes, BytesMut};
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Action, Actions, CloseReason, Config, IoFault, IpFilter, PeerFault, PeerId, PeerKey, TcpId, TorrentId,
};
use parcacik_core::capture::{Conversation, Ending, Said, Side, Stamp};
use parcacik_core::cx::{Cx, IdSource};
use parcacik_core::metainfo::Geometry;
use parcacik_core::peer::{PeerConn, PeerFacts, PeerOrder, PeerSaid};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::wire::{BlockRange, ExtendedHandshake, Framer, HANDSHAKE_LENGTH, Handshake, Handshake48, Message};
use std::collections::BTreeSet;

/// How the bytes of a capture are cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As the segments were that brought them.
    AsCaptured,
    /// Segments cut further, into parts of a random length up to this.
    Finer(usize),
    /// All that came between two things that the endpoint did is one event.
    Joined,
}

/// One direction of a conversation, read by our framer alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Bytes in front of the handshake: where clients agreed to encrypt nothing, what they agreed with.
    pub before: u64,
    /// Bytes from the handshake on.
    pub bytes: u64,
    /// The messages behind the handshake.
    pub messages: Vec<Message>,
    /// Bytes at the end that make no message. A connection that is broken off may leave some.
    pub rest: u64,
    /// Whether the bytes stopped making messages.
    pub broken: bool,
}

/// Reads what a side said from its handshake on; `None` when none was captured.
pub fn words(talk: &Conversation, side: Side) -> Option<Words> {
    let (_, start, _) = greeting(talk, side)?;
    let mut framer = Framer::new(Config::default().peer.max_message_length);
    let mut words = Words { before: start, ..Words::default() };
    let mut skip = HANDSHAKE_LENGTH;
    for bytes in stream(talk, side, start).map(|(_, bytes)| bytes) {
        words.bytes += bytes.len() as u64;
        let part = skip.min(bytes.len());
        skip -= part;
        framer.feed(bytes.slice(part..), 0);
        loop {
            match framer.next(&mut Vec::new()) {
                Ok(Some(message)) => words.messages.push(message),
                Ok(None) => break,
                Err(_) => return Some(Words { broken: true, ..words }),
            }
        }
    }
    Some(Words { rest: framer.unfinished() as u64, ..words })
}

/// The bytes of a side from a place on, and when they came.
fn stream(talk: &Conversation, side: Side, start: u64) -> impl Iterator<Item = (Time, Bytes)> {
    talk.chunks.iter().filter(move |chunk| chunk.from == side).filter_map(move |chunk| {
        let skip = usize::try_from(start.saturating_sub(chunk.start)).unwrap_or(usize::MAX).min(chunk.bytes.len());
        let bytes = chunk.bytes.slice(skip..);
        (!bytes.is_empty()).then(|| (Time::ZERO + chunk.time.since(talk.facts.opened), bytes))
    })
}

/// What became of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that the connection was told.
    pub bytes: u64,
    /// Of these, what it took as content.
    pub content: u64,
    /// What it told, in order.
    pub said: Vec<PeerSaid>,
    /// Messages of the endpoint that were given to it as orders.
    pub ordered: u64,
    /// Blocks that it served.
    pub served: u64,
    /// What it sent, as bytes.
    pub sent: BytesMut,
}

impl Decoded {
    /// The breach of the protocol for which our side closed the connection, if it did.
    pub fn fault(&self) -> Option<PeerFault> {
        self.said.iter().find_map(|said| match said {
            PeerSaid::Closing(CloseReason::Fault(fault)) => Some(*fault),
            _ => None,
        })
    }

    /// Why the connection was over, if it was.
    pub fn closed(&self) -> Option<CloseReason> {
        self.said.iter().find_map(|said| match said {
            PeerSaid::Closing(reason) => Some(*reason),
            _ => None,
        })
    }

    /// How many blocks came that had been asked for.
    pub fn blocks(&self) -> usize {
        self.said.iter().filter(|said| matches!(said, PeerSaid::Block { .. })).count()
    }
}

/// What happens to the connection.
#[derive(Clone, Debug)]
enum Step {
    Received(Bytes),
    /// The endpoint said this.
    Did(Message),
    Ended(Ending),
}

/// The event log of an endpoint.
fn log(talk: &Conversation, ours: Side, start: u64, cut: Cut) -> Vec<(Time, Step)> {
    let at = |time: Stamp| Time::ZERO + time.since(talk.facts.opened);
    let mut steps: Vec<(Time, Step)> = messages(talk)
        .filter(|(item, _)| item.from == ours)
        .map(|(item, message)| (at(item.time), Step::Did(message.clone())))
        .collect();
    steps.extend(stream(talk, ours.other(), start).map(|(time, bytes)| (time, Step::Received(bytes))));
    steps.extend(talk.items.iter().filter(|item| item.from != ours).filter_map(|item| match item.said {
        Said::End(ending) => Some((at(item.time), Step::Ended(ending))),
        _ => None,
    }));
    // What was said at the same time as something came was said before: it is asked for what comes.
    steps.sort_by_key(|(time, _)| *time);
    let mut rng = Seeds::for_tests(1).decisions(Stream::Session, 0);
    let mut out: Vec<(Time, Step)> = Vec::new();
    for (time, step) in steps {
        match (step, cut) {
            (Step::Received(mut bytes), Cut::Finer(most)) => {
                while !bytes.is_empty() {
                    let part = bytes.split_to((1 + rng.index(most)).min(bytes.len()));
                    out.push((time, Step::Received(part)));
                }
            }
            (Step::Received(bytes), Cut::Joined) => match out.last_mut() {
                Some((last, Step::Received(known))) => {
                    (*last, *known) = (time, Bytes::from([&known[..], &bytes].concat()));
                }
                _ => out.push((time, Step::Received(bytes))),
            },
            (step, _) => out.push((time, step)),
        }
    }
    out
}

/// Puts a connection of ours in the place of side `ours`; `None` when the other side's handshake was not captured.
pub fn decode(talk: &Conversation, ours: Side, geometry: Geometry, cut: Cut) -> Option<Decoded> {
    let (_, start, theirs) = greeting(talk, ours.other())?;
    let mut seat = Seat::new(talk, ours, geometry, theirs);
    for (time, step) in log(talk, ours, start, cut) {
        seat.wait(time);
        match step {
            Step::Received(bytes) => seat.received(bytes),
            Step::Did(message) => seat.does(message),
            Step::Ended(ending) => seat.ended(ending),
        }
    }
    Some(seat.result)
}

/// The connection, and what it is lent.
struct Seat {
    now: Time,
    config: Config,
    filter: IpFilter,
    seeds: Seeds,
    ids: IdSource,
    out: Actions,
    facts: (PeerId, Handshake),
    geometry: Geometry,
    have: Bitfield,
    remote: std::net::SocketAddr,
    conn: Option<PeerConn>,
    /// The start of a connection that came in.
    head: BytesMut,
    result: Decoded,
}

impl Seat {
    fn new(talk: &Conversation, ours: Side, geometry: Geometry, theirs: Handshake) -> Seat {
        let mut config = Config::default();
        // The other side counts on what the endpoint said that it queues.
        let reqq = messages(talk).filter(|(item, _)| item.from == ours).find_map(|(_, message)| match message {
            Message::Extended { id: 0, payload } => ExtendedHandshake::parse(payload).ok()?.reqq,
            _ => None,
        });
        config.peer.reqq = config.peer.reqq.max(reqq.unwrap_or_default());
        // And it asks for as much as the endpoint did.
        config.peer.depth_max = u32::MAX;
        let mut have = Bitfield::none(geometry.pieces());
        for (_, message) in messages(talk).filter(|(item, _)| item.from == ours) {
            match message {
                Message::HaveAll => have = Bitfield::all(geometry.pieces()),
                Message::Bitfield(bits) => have = Bitfield::from_wire(bits, geometry.pieces()).unwrap_or(have),
                _ => continue,
            }
            break;
        }
        let name = greeting(talk, ours).map_or(PeerId(*b"-XX0000-in the place"), |(_, _, ours)| ours.peer_id);
        let mut seat = Seat {
            now: Time::ZERO,
            config,
            filter: IpFilter::new(),
            seeds: Seeds::for_tests(1),
            ids: IdSource::default(),
            out: Actions::new(),
            facts: (name, theirs),
            geometry,
            have,
            remote: talk.facts.addr(ours.other()),
            conn: None,
            head: BytesMut::new(),
            result: Decoded { bytes: 0, content: 0, said: Vec::new(), ordered: 0, served: 0, sent: BytesMut::new() },
        };
        if ours == Side::A {
            let remote = seat.remote;
            seat.lend(|conn, cx, facts| *conn = Some(PeerConn::dialled(cx, PeerKey(1), TcpId(1), remote, facts)));
        }
        seat
    }

    fn lend<R>(&mut self, call: impl FnOnce(&mut Option<PeerConn>, &mut Cx<'_>, &PeerFacts<'_>) -> R) -> R {
        let (peer_id, theirs) = self.facts;
        let facts = PeerFacts {
            torrent: TorrentId(0),
            // Either name of a hybrid torrent is as good.
            info_hash: theirs.info_hash,
            peer_id,
            geometry: Some(&self.geometry),
            have: &self.have,
            lost: &BTreeSet::new(),
            listen_port: None,
            metadata: None,
            upload_only: false,
            private: false,
            node_ports: [None; 2],
        };
        let mut cx = Cx {
            now: self.now,
            config: &self.config,
            filter: &self.filter,
            seeds: &self.seeds,
            out: &mut self.out,
            ids: &mut self.ids,
            owner: 0,
        };
        call(&mut self.conn, &mut cx, &facts)
    }

    /// Something was done to the connection: hears what it says, and takes what it sends.
    fn settle(&mut self) {
        let said = self.lend(|conn, cx, facts| {
            let conn = conn.as_mut()?;
            let said: Vec<PeerSaid> = std::iter::from_fn(|| conn.step(cx, facts)).collect();
            conn.finish(cx);
            Some(said)
        });
        self.result.said.extend(said.unwrap_or_default());
        self.result.content += self.out.opaque.iter().map(|range| u64::from(range.end - range.start)).sum::<u64>();
        let mut flushed = 0;
        for action in &self.out.list {
            if let Action::Send { bytes, .. } | Action::SendContent { bytes, .. } = action {
                flushed += bytes.len() as u64;
                self.result.sent.extend_from_slice(bytes);
            }
        }
        self.out.clear();
        self.lend(|conn, cx, _| conn.iter_mut().for_each(|conn| conn.flushed(cx, flushed)));
    }

    /// Time passes.
    fn wait(&mut self, until: Time) {
        // More moments than any connection has in a day.
        for _ in 0..100_000 {
            let Some(due) = self.conn.as_ref().and_then(PeerConn::deadline).filter(|&due| due <= until) else { break };
            self.now = self.now.max(due);
            self.lend(|conn, cx, facts| conn.iter_mut().for_each(|conn| conn.tick(cx, facts)));
            self.settle();
        }
        self.now = self.now.max(until);
    }

    fn received(&mut self, bytes: Bytes) {
        self.result.bytes += bytes.len() as u64;
        let rest = if self.conn.is_some() {
            bytes
        } else {
            self.head.extend_from_slice(&bytes);
            let Ok(Some(head)) = Handshake48::parse(&self.head) else { return };
            let remote = self.remote;
            self.lend(|conn, cx, facts| {
                *conn = Some(PeerConn::accepted(cx, PeerKey(1), TcpId(1), remote, facts, &head));
            });
            self.head.split_off(Handshake48::LENGTH).freeze()
        };
        self.lend(|conn, cx, _| conn.iter_mut().for_each(|conn| conn.feed(cx, rest.clone(), 0)));
        self.settle();
    }

    /// The endpoint said something: so does the connection.
    fn does(&mut self, message: Message) {
        let block = |range: BlockRange| self.geometry.block(range.piece, range.begin, range.length);
        let order = match message {
            Message::Request(range) => block(range).map(PeerOrder::Request),
            Message::Cancel(range) => block(range).map(PeerOrder::Cancel),
            Message::Have(piece) => {
                self.have.insert(piece);
                self.geometry.piece(piece).map(PeerOrder::Have)
            }
            Message::Choke => Some(PeerOrder::Choke),
            Message::Unchoke => Some(PeerOrder::Unchoke),
            Message::Interested => Some(PeerOrder::Interested(true)),
            Message::NotInterested => Some(PeerOrder::Interested(false)),
            Message::Suggest(piece) => self.geometry.piece(piece).map(PeerOrder::Suggest),
            Message::Piece { .. } => return self.serve(),
            _ => None,
        };
        if let Some(order) = order {
            self.result.ordered += 1;
            self.lend(|conn, cx, facts| conn.iter_mut().for_each(|conn| conn.order(cx, facts, order.clone())));
            self.settle();
        }
    }

    /// Serves the next of what the other side has asked for, with zeros.
    fn serve(&mut self) {
        if let Some(run) = self.conn.as_mut().and_then(|conn| conn.next_read(1)) {
            self.result.served += 1;
            let zeros = Bytes::from(vec![0; run.length as usize]);
            self.lend(|conn, cx, facts| {
                conn.iter_mut().for_each(|conn| conn.loaded(cx, facts, run, Ok(zeros.clone())));
            });
            self.settle();
        }
    }

    fn ended(&mut self, ending: Ending) {
        let fault = (ending == Ending::Reset).then_some(IoFault::Reset);
        if let Some(conn) = &mut self.conn {
            conn.lost(fault);
        }
        self.settle();
    }
}
