//! A connection held by hand: the other end is messages that a test writes, or a second connection.

mod dialogue;
mod laws;
mod metadata;
mod neighbours;
mod patience;
mod rules;
mod rules_upload;

use super::*;
use crate::border::{Action, Actions, Config, IpFilter, PeerFault, PeerKey};
use crate::cx::{Cx, IdSource};
use crate::metainfo::BLOCK_LENGTH;
use crate::rng::Seeds;
use crate::time::Time;
use crate::wire::{BlockRange, ExtendedHandshake, Framer, Handshake, Handshake48, Message, Reserved};
use bytes::BytesMut;
use core::net::SocketAddr;
use core::ops::Range;
use std::vec;

pub(super) const HASH: InfoHash = InfoHash([0xaa; 20]);
const TCP: TcpId = TcpId(3);

/// What stays the same for a connection, and what it is lent.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub config: Config,
    seeds: Seeds,
    pub geometry: Geometry,
    pub have: Bitfield,
    pub lost: BTreeSet<PieceIndex>,
    id: PeerId,
    pub metadata: Option<Bytes>,
    /// The info dictionary is looked for.
    pub seeking: bool,
    pub private: bool,
    pub node_ports: [Option<u16>; 2],
}

impl World {
    /// 40 pieces of two blocks, the last a short one of 100 bytes.
    pub fn new(id: u8) -> World {
        let geometry = Geometry::new(39 * 32_768 + 100, 32_768).unwrap();
        World {
            config: Config::default(),
            seeds: Seeds::for_tests(id),
            have: Bitfield::none(geometry.pieces()),
            lost: BTreeSet::new(),
            geometry,
            id: PeerId([id; 20]),
            metadata: None,
            seeking: false,
            private: false,
            node_ports: [None; 2],
        }
    }

    pub fn seed(id: u8) -> World {
        let mut world = World::new(id);
        world.have = Bitfield::all(world.geometry.pieces());
        world
    }

    pub fn block(&self, piece: u32, number: u32) -> Block {
        self.geometry.nth_block(self.geometry.piece(piece).unwrap(), number).unwrap()
    }

    pub fn piece(&self, piece: u32) -> PieceIndex {
        self.geometry.piece(piece).unwrap()
    }
}

/// A connection and everything around it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub world: World,
    pub conn: PeerConn,
    pub now: Time,
    pub out: Actions,
    ids: IdSource,
    sent: Framer,
    greeted: bool,
}

/// Lends a world for one call.
fn lend<R>(
    world: &World,
    now: Time,
    out: &mut Actions,
    ids: &mut IdSource,
    call: impl FnOnce(&mut Cx<'_>, &PeerFacts<'_>) -> R,
) -> R {
    let mut cx = Cx { now, config: &world.config, filter: &IpFilter::new(), seeds: &world.seeds, out, ids, owner: 1 };
    let facts = PeerFacts {
        torrent: TorrentId(0),
        info_hash: HASH,
        peer_id: world.id,
        geometry: Some(&world.geometry).filter(|_| !world.seeking),
        have: &world.have,
        lost: &world.lost,
        listen_port: Some(6881),
        metadata: world.metadata.as_ref(),
        upload_only: false,
        private: world.private,
        node_ports: world.node_ports,
    };
    call(&mut cx, &facts)
}

impl Held {
    pub fn dial(world: World) -> Held {
        let (mut out, mut ids, now) = (Actions::new(), IdSource::default(), Time::from_secs(1));
        let remote: SocketAddr = "80.4.4.200:6881".parse().unwrap();
        let conn =
            lend(&world, now, &mut out, &mut ids, |cx, facts| PeerConn::dialled(cx, PeerKey(7), TCP, remote, facts));
        Held::hold(world, conn, now, out, ids)
    }

    pub fn accept(world: World, head: &Handshake48) -> Held {
        let (mut out, mut ids, now) = (Actions::new(), IdSource::default(), Time::from_secs(1));
        let remote: SocketAddr = "80.4.4.200:40000".parse().unwrap();
        let conn = lend(&world, now, &mut out, &mut ids, |cx, facts| {
            PeerConn::accepted(cx, PeerKey(8), TCP, remote, facts, head)
        });
        Held::hold(world, conn, now, out, ids)
    }

    fn hold(world: World, conn: PeerConn, now: Time, out: Actions, ids: IdSource) -> Held {
        let mut held = Held { world, conn, now, out, ids, sent: Framer::new(1 << 20), greeted: false };
        held.call(|conn, cx, _| conn.finish(cx));
        held
    }

    pub fn call<R>(&mut self, call: impl FnOnce(&mut PeerConn, &mut Cx<'_>, &PeerFacts<'_>) -> R) -> R {
        let Held { world, conn, now, out, ids, .. } = self;
        lend(world, *now, out, ids, |cx, facts| call(conn, cx, facts))
    }

    /// Feeds bytes as one event, and says what came of it.
    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<PeerSaid> {
        let bytes = Bytes::copy_from_slice(bytes);
        self.out.opaque.clear();
        self.call(|conn, cx, _| conn.feed(cx, bytes, 0));
        self.steps()
    }

    pub fn steps(&mut self) -> Vec<PeerSaid> {
        let mut said = Vec::new();
        while let Some(one) = self.call(|conn, cx, facts| conn.step(cx, facts)) {
            said.push(one);
        }
        self.call(|conn, cx, _| conn.finish(cx));
        said
    }

    /// The peer says these, in one event.
    pub fn hears(&mut self, messages: &[Message]) -> Vec<PeerSaid> {
        self.bytes(&emitted(messages))
    }

    pub fn hears_one(&mut self, message: Message) -> Vec<PeerSaid> {
        self.hears(&[message])
    }

    /// The torrent orders this.
    pub fn order(&mut self, order: PeerOrder) {
        self.call(|conn, cx, facts| {
            conn.order(cx, facts, order);
            conn.finish(cx);
        });
    }

    pub fn request(&mut self, piece: u32, number: u32) -> Block {
        let block = self.world.block(piece, number);
        self.order(PeerOrder::Request(block));
        block
    }

    /// Time goes on by so many seconds; what is due is done.
    pub fn wait(&mut self, seconds: u64) -> Vec<PeerSaid> {
        self.now = Time(self.now.0 + seconds * 1_000_000);
        self.call(|conn, cx, facts| conn.tick(cx, facts));
        self.steps()
    }

    /// Goes to the deadline.
    pub fn wait_for_deadline(&mut self) -> Vec<PeerSaid> {
        self.now = self.conn.deadline().unwrap();
        self.wait(0)
    }

    /// Everything that was sent since the last look, as bytes; what was sent counts as flushed.
    pub fn sent_bytes(&mut self) -> Vec<u8> {
        let bytes = stream(&self.out.list);
        self.out.list.retain(|action| !matches!(action, Action::Send { .. } | Action::SendContent { .. }));
        self.call(|conn, cx, _| conn.flushed(cx, bytes.len() as u64));
        bytes
    }

    /// The messages that were sent since the last look, the handshake left out.
    pub fn sent(&mut self) -> Vec<Message> {
        let bytes = Bytes::from(self.sent_bytes());
        if bytes.is_empty() {
            return Vec::new();
        }
        self.sent.feed(bytes, 0);
        if !self.greeted {
            let handshake = Handshake::parse(&self.sent.take_raw(68)).unwrap().unwrap();
            assert_eq!((handshake.info_hash, handshake.reserved), (HASH, Reserved::OURS));
            self.greeted = true;
        }
        let mut messages = Vec::new();
        while let Some(message) = self.sent.next(&mut Vec::new()).unwrap() {
            messages.push(message);
        }
        messages
    }

    /// What has been granted since the last look.
    pub fn granted(&mut self) -> u32 {
        let mut granted = 0;
        self.out.list.retain(|action| match action {
            Action::Grant { bytes, .. } => {
                granted += bytes;
                false
            }
            _ => true,
        });
        granted
    }

    /// Serves what the peer wants, with this content.
    pub fn serve(&mut self, content: u8) -> u32 {
        let mut runs = 0;
        while let Some(run) = self.conn.next_read(1 << 18) {
            let data = Bytes::from(vec![content; run.length as usize]);
            self.call(|conn, cx, facts| conn.loaded(cx, facts, run, Ok(data)));
            runs += 1;
        }
        self.call(|conn, cx, _| conn.finish(cx));
        runs
    }
}

/// What leaves on the stream.
pub(super) fn stream(actions: &[Action]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for action in actions {
        match action {
            Action::Send { bytes: part, .. } | Action::SendContent { bytes: part, .. } => bytes.extend_from_slice(part),
            _ => {}
        }
    }
    bytes
}

pub(super) fn emitted(messages: &[Message]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for message in messages {
        message.emit(&mut bytes);
    }
    bytes.to_vec()
}

pub(super) fn greeting(reserved: Reserved) -> Vec<u8> {
    Handshake { reserved, info_hash: HASH, peer_id: PeerId(*b"-XX0001-abcdefghijkl") }.emit().to_vec()
}

/// A connection whose peer has said hello and has everything; with the fast extension or without.
pub(super) fn open(world: World, fast: bool) -> Held {
    let mut held = Held::dial(world);
    let reserved = if fast { Reserved::OURS } else { Reserved::default() };
    assert_eq!(held.bytes(&greeting(reserved)), [PeerSaid::Ready]);
    let bits = Bitfield::all(held.world.geometry.pieces()).to_wire();
    assert_eq!(held.hears_one(Message::Bitfield(bits.into())), [PeerSaid::Pieces]);
    held.sent();
    held.granted();
    held
}

/// The same, and the peer serves us.
pub(super) fn open_unchoked(fast: bool) -> Held {
    let mut held = open(World::new(1), fast);
    assert_eq!(held.hears_one(Message::Unchoke), [PeerSaid::Unchoked]);
    held
}

/// A `piece` message of a block.
pub(super) fn piece(block: Block, content: u8) -> Message {
    let data = Bytes::from(vec![content; block.length() as usize]);
    Message::Piece { piece: block.piece().get(), begin: block.begin(), data }
}

pub(super) fn range(piece: u32, begin: u32, length: u32) -> BlockRange {
    BlockRange { piece, begin, length }
}

pub(super) fn closing(fault: PeerFault) -> PeerSaid {
    PeerSaid::Closing(CloseReason::Fault(fault))
}

/// The only thing said is the end, by this fault, and the stream was closed.
#[track_caller]
pub(super) fn assert_fault(held: &mut Held, said: &[PeerSaid], fault: PeerFault) {
    assert_eq!(said.last(), Some(&closing(fault)), "{said:?}");
    assert!(held.out.list.contains(&Action::Close { tcp: TCP, flush: false }));
    assert_eq!(held.steps(), [], "nothing is said after the end");
    assert_eq!(held.conn.deadline(), None);
}

pub(super) fn opaque_bytes(ranges: &[Range<u32>]) -> u32 {
    ranges.iter().map(|range| range.end - range.start).sum()
}
