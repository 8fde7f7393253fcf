//! One connection under anything that its peer may say and its torrent may order, at any time.
//!
//! What must hold: what it says keeps all rules of the [audit](crate::second::Audit); it ends once, and nothing comes after the end;
//! its limits hold; its deadline lies ahead; content lies within what came; each request of a fast peer is answered once; and the
//! same list does the same a second time.

use super::operations;
use super::saying::{Remote, Saying};
use crate::Content;
use arbitrary::Arbitrary;
use bytes::Bytes;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Action, Actions, CloseReason, Config, InfoHash, IoFault, IpFilter, PeerId, PeerKey, TcpId, TorrentId,
};
use parcacik_core::cx::{Cx, IdSource};
use parcacik_core::metainfo::{Block, Geometry, PieceIndex};
use parcacik_core::peer::{PeerConn, PeerFacts, PeerOrder, PeerSaid, ReadRun};
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use parcacik_core::wire::{Handshake, Handshake48, Reserved};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const PIECE: u32 = 32_768;
const TCP: TcpId = TcpId(3);

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op<'i> {
    Says(Saying<'i>),
    /// Two at once.
    SaysBoth(Saying<'i>, Saying<'i>),
    Request {
        piece: u8,
        block: u8,
    },
    Cancel {
        which: u8,
    },
    /// We have got one more piece.
    Have(u8),
    /// A disk has lost one.
    Loses(u8),
    Choke,
    Unchoke,
    Interested(bool),
    Suggest(u8),
    Reintroduce(bool),
    Close,
    Read {
        most: u16,
    },
    Loaded {
        which: u8,
        well: bool,
    },
    Flushed(u16),
    Wait {
        tenths: u16,
    },
    ToDeadline,
    Hold(bool),
    Meter(Option<u16>),
    Grant(u16),
    Lost(bool),
}

struct Torrent {
    content: Arc<Content>,
    geometry: Geometry,
    config: Config,
    seeds: Seeds,
}

static TORRENT: LazyLock<Torrent> = LazyLock::new(|| {
    let length = 19 * PIECE + 16_384 + 100;
    Torrent {
        content: Arc::new(Content::new("connection", length as usize, PIECE, 1)),
        geometry: Geometry::new(length.into(), PIECE).expect("a torrent"),
        config: Config::default(),
        seeds: Seeds::for_tests(1),
    }
});

/// The connection, what it is lent, and the peer at its other end.
struct Held {
    conn: PeerConn,
    remote: Remote,
    now: Time,
    events: u64,
    out: Actions,
    ids: IdSource,
    have: Bitfield,
    lost: BTreeSet<PieceIndex>,
    upload_only: bool,
    reading: Vec<ReadRun>,
    in_flight: u64,
    ended: bool,
    /// All that was said and sent, for comparison.
    words: Vec<String>,
}

/// One input. Its first byte says who dialled, and what the peer can do.
pub fn run(input: &[u8]) {
    let Some((&first, input)) = input.split_first() else { return };
    let ops: Vec<Op<'_>> = operations(input, 100).collect();
    assert_eq!(lead(first, &ops), lead(first, &ops), "the same list does not do the same");
}

fn lead(first: u8, ops: &[Op<'_>]) -> Vec<String> {
    let torrent = &*TORRENT;
    let reserved = if first & 2 == 0 { Reserved::OURS } else { Reserved::default() };
    let greeting = Handshake { reserved, info_hash: InfoHash(torrent.content.info_hash), peer_id: PeerId([9; 20]) };
    let mut have = Bitfield::none(torrent.geometry.pieces());
    (0..torrent.geometry.pieces())
        .filter(|piece| piece % 2 == 0 || first & 4 != 0)
        .for_each(|piece| _ = have.insert(piece));
    let mut held = Held::new(first & 1 == 0, &greeting, have);
    for &op in ops {
        held.step(op);
        held.check();
    }
    held.words
}

/// Lends the connection what it needs for one call.
macro_rules! lend {
    ($held:ident, $call:expr) => {{
        let torrent = &*TORRENT;
        let facts = PeerFacts {
            torrent: TorrentId(0),
            info_hash: InfoHash(torrent.content.info_hash),
            peer_id: PeerId([1; 20]),
            geometry: Some(&torrent.geometry),
            have: &$held.have,
            lost: &$held.lost,
            listen_port: Some(6881),
            metadata: None,
            upload_only: $held.upload_only,
            private: false,
            node_ports: [None; 2],
        };
        let mut cx = Cx {
            now: $held.now,
            config: &torrent.config,
            filter: &IpFilter::new(),
            seeds: &torrent.seeds,
            out: &mut $held.out,
            ids: &mut $held.ids,
            owner: 1,
        };
        let call: &mut dyn FnMut(&mut PeerConn, &mut Cx<'_>, &PeerFacts<'_>) = &mut $call;
        call(&mut $held.conn, &mut cx, &facts)
    }};
}

impl Held {
    fn new(dials: bool, greeting: &Handshake, have: Bitfield) -> Held {
        let torrent = &*TORRENT;
        let (mut out, mut ids, now, lost) = (Actions::new(), IdSource::default(), Time::from_secs(1), BTreeSet::new());
        let bytes = greeting.emit();
        let conn = {
            let facts = PeerFacts {
                torrent: TorrentId(0),
                info_hash: greeting.info_hash,
                peer_id: PeerId([1; 20]),
                geometry: Some(&torrent.geometry),
                have: &have,
                lost: &lost,
                listen_port: Some(6881),
                metadata: None,
                upload_only: false,
                private: false,
                node_ports: [None; 2],
            };
            let (config, seeds, filter) = (&torrent.config, &torrent.seeds, &IpFilter::new());
            let mut cx = Cx { now, config, filter, seeds, out: &mut out, ids: &mut ids, owner: 1 };
            let remote = ([80, 4, 4, 200], 6881).into();
            if dials {
                PeerConn::dialled(&mut cx, PeerKey(7), TCP, remote, &facts)
            } else {
                let head = Handshake48::parse(&bytes).ok().flatten().expect("a good beginning");
                PeerConn::accepted(&mut cx, PeerKey(7), TCP, remote, &facts, &head)
            }
        };
        let remote = Remote::new(now, torrent.content.clone());
        let mut held = Held {
            conn,
            remote,
            now,
            events: 0,
            out,
            ids,
            have,
            lost,
            upload_only: false,
            reading: Vec::new(),
            in_flight: 0,
            ended: false,
            words: Vec::new(),
        };
        lend!(held, |conn, cx, _| conn.finish(cx));
        held.sent();
        held.remote.told(now, 0, &bytes);
        held.hear(&bytes[if dials { 0 } else { Handshake48::LENGTH }..]);
        held
    }

    /// These bytes come, in one event.
    fn hear(&mut self, bytes: &[u8]) {
        /// Content is counted from the start of the event's buffer, of which these bytes are a part.
        const OFFSET: u32 = 1_000;
        self.out.opaque.clear();
        let part = Bytes::copy_from_slice(bytes);
        lend!(self, |conn, cx, _| conn.feed(cx, part.clone(), OFFSET));
        self.speak();
        let mut end = OFFSET;
        for range in &self.out.opaque {
            assert!(end <= range.start && range.start < range.end, "content is told in order");
            end = range.end;
        }
        assert!(end as usize <= OFFSET as usize + bytes.len(), "content lies in what came");
    }

    /// What it has to say is said, and what it sends is judged.
    fn speak(&mut self) {
        loop {
            let mut said = None;
            lend!(self, |conn, cx, facts| said = conn.step(cx, facts));
            let Some(said) = said else { break };
            assert!(!self.ended, "{said:?} after the end");
            self.ended = matches!(said, PeerSaid::Closing(_));
            if let PeerSaid::Block { block, bytes } = &said {
                assert_eq!(block.length() as usize, bytes.len());
            }
            self.words.push(match said {
                PeerSaid::Block { block, .. } => format!("{block:?}"),
                said => format!("{said:?}"),
            });
        }
        lend!(self, |conn, cx, _| conn.finish(cx));
        self.sent();
    }

    fn sent(&mut self) {
        for action in std::mem::take(&mut self.out.list) {
            match action {
                Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => {
                    assert!(tcp == TCP && !bytes.is_empty());
                    self.in_flight += bytes.len() as u64;
                    self.words.push(format!("{} bytes", bytes.len()));
                    self.remote.hears(self.now, self.events, &bytes);
                }
                Action::Close { tcp, .. } => assert_eq!(tcp, TCP),
                Action::Grant { bytes, .. } => assert!(bytes > 0),
                other => panic!("a connection has nothing to do with {other:?}"),
            }
        }
    }

    fn order(&mut self, order: PeerOrder) {
        lend!(self, |conn, cx, facts| conn.order(cx, facts, order.clone()));
        self.speak();
    }

    fn piece(&self, number: u8) -> PieceIndex {
        let geometry = &TORRENT.geometry;
        geometry.piece(u32::from(number) % geometry.pieces()).expect("a piece of it")
    }

    fn says(&mut self, sayings: &[Saying<'_>]) {
        let bytes: Vec<u8> = sayings.iter().flat_map(|&saying| self.remote.bytes(saying)).collect();
        if !bytes.is_empty() {
            self.remote.told(self.now, self.events, &bytes);
            self.hear(&bytes);
        }
    }

    fn step(&mut self, op: Op<'_>) {
        self.events += 1;
        match op {
            Op::Says(saying) => self.says(&[saying]),
            Op::SaysBoth(one, other) => self.says(&[one, other]),
            Op::Request { piece, block } => {
                let piece = self.piece(piece);
                let blocks: Vec<Block> = TORRENT.geometry.blocks_of(piece).collect();
                self.order(PeerOrder::Request(blocks[usize::from(block) % blocks.len()]));
            }
            Op::Cancel { which } => {
                let mut blocks = self.conn.outstanding();
                let which = usize::from(which) % blocks.len().max(1);
                if let Some(block) = blocks.nth(which) {
                    drop(blocks);
                    self.order(PeerOrder::Cancel(block));
                }
            }
            Op::Have(piece) => {
                let piece = self.piece(piece);
                if self.have.insert(piece.get()) {
                    self.lost.remove(&piece);
                    self.order(PeerOrder::Have(piece));
                }
            }
            Op::Loses(piece) => {
                let piece = self.piece(piece);
                if self.have.remove(piece.get()) {
                    self.lost.insert(piece);
                }
            }
            Op::Choke => self.order(PeerOrder::Choke),
            Op::Unchoke => self.order(PeerOrder::Unchoke),
            Op::Interested(on) => self.order(PeerOrder::Interested(on)),
            Op::Suggest(piece) => {
                // Its torrent suggests only what makes sense.
                let piece = self.piece(piece);
                if self.have.get(piece.get()) && !self.conn.pieces().get(piece.get()) && !self.conn.am_choking() {
                    self.order(PeerOrder::Suggest(piece));
                }
            }
            Op::Reintroduce(upload_only) => {
                self.upload_only = upload_only;
                self.order(PeerOrder::Reintroduce);
            }
            Op::Close => self.order(PeerOrder::Close(CloseReason::Stopped)),
            Op::Read { most } => self.reading.extend(self.conn.next_read(u32::from(most))),
            Op::Loaded { which, well } => self.loaded(which, well),
            Op::Flushed(bytes) => {
                let bytes = self.in_flight.min(bytes.into());
                self.in_flight -= bytes;
                lend!(self, |conn, cx, _| conn.flushed(cx, bytes));
                self.speak();
            }
            Op::Wait { tenths } => self.wait(self.now + Duration::from_millis(u64::from(tenths % 2_000) * 100)),
            Op::ToDeadline => {
                if let Some(due) = self.conn.deadline().filter(|due| due.since(self.now) < Duration::from_secs(86_400))
                {
                    self.wait(due);
                }
            }
            Op::Hold(hold) => {
                self.conn.hold_reading(hold);
                self.speak();
            }
            Op::Meter(window) => {
                self.conn.meter_reading(window.map(u32::from));
                self.speak();
            }
            Op::Grant(bytes) => {
                lend!(self, |conn, cx, _| conn.grant(cx, bytes.into()));
                self.speak();
            }
            Op::Lost(broken) => {
                self.conn.lost(broken.then_some(IoFault::Reset));
                self.speak();
            }
        }
    }

    fn loaded(&mut self, which: u8, well: bool) {
        let Some(at) = usize::from(which).checked_rem(self.reading.len()) else { return };
        let run = self.reading.remove(at);
        let start = (run.piece.get() * PIECE + run.begin) as usize;
        let data = TORRENT.content.bytes.get(start..start + run.length as usize).expect("it reads within the torrent");
        let data = if well { Ok(Bytes::copy_from_slice(data)) } else { Err(IoFault::Device) };
        lend!(self, |conn, cx, facts| conn.loaded(cx, facts, run, data.clone()));
        self.speak();
    }

    /// Time goes on, and what is due is done when it is.
    fn wait(&mut self, until: Time) {
        while let Some(due) = self.conn.deadline().filter(|&due| due <= until) {
            assert!(due > self.now, "a deadline that is past and undone");
            self.now = due;
            lend!(self, |conn, cx, facts| conn.tick(cx, facts));
            self.speak();
        }
        self.now = self.now.max(until);
    }

    fn check(&self) {
        assert_eq!(self.conn.is_closed(), self.ended);
        let config = &TORRENT.config.peer;
        if self.conn.is_ready() {
            assert!(self.conn.requests_out() <= config.depth_max.min(config.default_reqq));
            assert!(self.conn.requests_in() <= config.reqq);
            assert!(self.conn.allowed_fast().len() <= config.max_allowed_fast as usize);
            assert!(self.conn.deadline().is_some_and(|due| due > self.now), "a deadline that is past and undone");
        }
    }
}
