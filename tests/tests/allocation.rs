//! What a peer makes us allocate is in proportion to what it has sent, whatever it sends.
//!
//! Two figures for each stream. **Held** is the most that is taken at one time, beyond what was taken before the stream: with all that we answer and the
//! peer does not read, at most 4 bytes for each byte sent, 64 KiB, and the peer's bitfield. **Through** is all that is asked for from the first byte to
//! the last, most of it given back at once: it costs time, not memory, and keeps to another bound, [`THROUGH`].

use bytes::{Bytes, BytesMut};
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, Event, InfoHash, IpFilter, JobResult, PeerId, PeerKey,
    RootId, SocketId, TcpId, TorrentId, Work,
};
use parcacik_core::cx::{Cx, IdSource};
use parcacik_core::metainfo::Geometry;
use parcacik_core::peer::{PeerConn, PeerFacts, PeerOrder, PeerSaid};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::wire::{BlockRange, Handshake, Message, Reserved};
use parcacik_testkit::Content;
use std::collections::BTreeSet;

const SLACK: u64 = 64 * 1024;
/// Bytes that may be held for each byte sent.
const HELD: u64 = 4;
/// Bytes that may be asked for in all for each byte sent. What costs most are extended handshakes: the shortest is a message of 8 bytes, and reading it takes
/// some 200 in three pieces, each the least that a list takes. A long one has a token of 12 bytes for each value, of which the shortest is two bytes (`le`), in
/// a list that doubles as it grows, so that it has been asked for twice over.
const THROUGH: u64 = 32;
/// Pieces of the torrents here: a bitfield of 12,500 bytes.
const PIECES: u32 = 100_000;

/// What a hostile peer says behind its handshake, by name.
fn streams() -> Vec<(&'static str, Vec<u8>)> {
    let many = |times: u32, message: &dyn Fn(u32) -> Message| {
        let mut out = BytesMut::new();
        (0..times).for_each(|number| message(number).emit(&mut out));
        out.to_vec()
    };
    let declared = |length: u32, start: &[u8]| [&length.to_be_bytes()[..], start].concat();
    let introduction = |payload: Vec<u8>| Message::Extended { id: 0, payload: payload.into() };
    let range = |number: u32| BlockRange { piece: number % PIECES, begin: 0, length: 16_384 };
    let lists = |count: usize| [b"d1:xl".to_vec(), b"le".repeat(count), b"ee".to_vec()].concat();
    let mut bits = vec![0xff; PIECES.div_ceil(8) as usize];
    bits[0] = 0x7f;
    let bitfield = Message::Bitfield(bits.into());
    vec![
        ("keep-alives", many(6_000, &|_| Message::KeepAlive)),
        ("haves, all different", many(50_000, &Message::Have)),
        ("haves, all the same", many(6_000, &|_| Message::Have(1))),
        ("interested and not", many(6_000, &|n| if n % 2 == 0 { Message::Interested } else { Message::NotInterested })),
        ("choke and unchoke", many(6_000, &|n| if n % 2 == 0 { Message::Unchoke } else { Message::Choke })),
        ("a bitfield", many(1, &|_| bitfield.clone())),
        ("a bitfield, then haves", many(20_000, &|n| if n == 0 { bitfield.clone() } else { Message::Have(0) })),
        ("a bitfield twice", many(2, &|_| bitfield.clone())),
        ("a bitfield that is too long", many(1, &|_| Message::Bitfield(vec![0xff; 100_000].into()))),
        (
            "allowed fast and suggestions",
            many(20_000, &|n| match n % 2 {
                0 => Message::AllowedFast(n),
                _ => Message::Suggest(n),
            }),
        ),
        ("requests up to the queue's end", many(500, &|n| Message::Request(range(n)))),
        ("requests without end", many(20_000, &|n| Message::Request(range(n)))),
        (
            "requests and cancels",
            many(9_000, &|n| match n % 2 {
                0 => Message::Request(range(n)),
                _ => Message::Cancel(range(n - 1)),
            }),
        ),
        ("rejects", many(2_000, &|n| Message::Reject(range(n)))),
        (
            "a block that was not asked for",
            many(1, &|_| Message::Piece { piece: 0, begin: 0, data: vec![7; 16_384].into() }),
        ),
        ("unknown messages", many(6_000, &|n| Message::Unknown { id: 99, payload: vec![0; (n % 7) as usize].into() })),
        ("a DHT port", many(6_000, &|n| Message::Port(n as u16))),
        ("short extended handshakes", many(6_000, &|_| introduction(b"de".to_vec()))),
        ("extended handshakes of lists", many(100, &|_| introduction(lists(4_000)))),
        ("extended handshakes of too many lists", many(1, &|_| introduction(lists(30_000)))),
        (
            "an extended handshake of a long name",
            many(50, &|_| introduction([b"d1:v60000:".to_vec(), vec![0xff; 60_000], b"e".to_vec()].concat())),
        ),
        ("an extended handshake that is deep", many(1, &|_| introduction(b"l".repeat(60_000)))),
        (
            "metadata requests",
            many(6_000, &|n| {
                let payload = format!("d8:msg_typei0e5:piecei{n}ee");
                Message::Extended { id: 1, payload: payload.into_bytes().into() }
            }),
        ),
        ("a message of 2^31 bytes", declared(1 << 31, &[7; 100])),
        ("a message of 2^32 - 1 bytes", declared(u32::MAX, &[20; 100])),
        ("the longest message, of which a byte comes", declared(Config::default().peer.max_message_length, &[20, 0])),
        ("a block of which a byte comes", declared(16_393, &[7, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
    ]
}

fn greeting(info_hash: InfoHash, peer_id: u8) -> Vec<u8> {
    Handshake { reserved: Reserved::OURS, info_hash, peer_id: PeerId([peer_id; 20]) }.emit().to_vec()
}

/// Gives a stream to somebody in chunks of `size`, and compares what that took. `tell` answers whether the connection is still there.
fn weigh(whom: &str, what: &str, size: usize, stream: &[u8], mut tell: impl FnMut(Bytes) -> bool) {
    let mut sent = 0;
    let info = allocation_counter::measure(|| {
        // So many events show what there is to see.
        for chunk in stream.chunks(size).take(50_000) {
            sent += chunk.len() as u64;
            // Counted too, as long as somebody holds a part of it.
            if !tell(Bytes::copy_from_slice(chunk)) {
                break;
            }
        }
    });
    let bitfield = u64::from(PIECES.div_ceil(8));
    let (held, through) = (info.bytes_max, info.bytes_total);
    println!("| {whom} | {what} | {size} | {sent} | {held} | {through} |");
    assert!(held <= HELD * sent + SLACK + bitfield, "{whom}, {what} in chunks of {size}: {held} held for {sent}");
    assert!(through <= THROUGH * sent + SLACK + 2 * bitfield, "{whom}, {what} in {size}: {through} through for {sent}");
}

/// The chunks that streams come in: a byte, what is less than a message, a segment, a read.
const SIZES: [usize; 4] = [1, 7, 1_448, 65_536];

/// A session with a torrent, and a connection that came in to it. What it wants to send is kept in `unread`.
struct Victim {
    session: Session,
    out: Actions,
    unread: Vec<Action>,
    now: Time,
}

const TCP: TcpId = TcpId(1);
const OTHER: TcpId = TcpId(2);

impl Victim {
    fn new(content: &Content) -> Victim {
        let session = Session::new(Config::default(), Seeds::for_tests(1)).expect("the defaults are good");
        let mut victim =
            Victim { session, out: Actions::new(), unread: Vec::with_capacity(60_000), now: Time::from_secs(1) };
        let add = Command::Add(Box::new(AddTorrent::new(content.metainfo.clone(), RootId(0))));
        let mut todo = vec![Event::Command { id: CommandId(1), command: add }];
        while let Some(event) = todo.pop() {
            victim.out.clear();
            victim.session.handle(victim.now, event, &mut victim.out);
            for action in &victim.out.list {
                let Action::Start { job, work } = action else { continue };
                let result = match work {
                    Work::Load { .. } => JobResult::Loaded(vec![]),
                    Work::Check { .. } => JobResult::Checked { files: vec![None], part: None, free: None },
                    _ => JobResult::Done,
                };
                todo.push(Event::JobDone { job: *job, result: Ok(result) });
            }
        }
        // Somebody else has a piece: the tables in which a torrent counts who has what are not the next peer's.
        victim.accepts(OTHER, content);
        let mut have = BytesMut::new();
        Message::Have(5).emit(&mut have);
        victim.hears(OTHER, have.freeze());
        victim.accepts(TCP, content);
        assert_eq!(victim.session.shared().peers, 2);
        victim
    }

    fn accepts(&mut self, tcp: TcpId, content: &Content) {
        let (local, remote) = (([10, 0, 0, 1], 1).into(), ([10, 0, 0, tcp.0 as u8], 2).into());
        self.session.handle(self.now, Event::Accepted { sock: SocketId(1), tcp, local, remote }, &mut self.out);
        self.hears(tcp, greeting(InfoHash(content.info_hash), tcp.0 as u8).into());
    }

    /// False when one of the two is not there any more.
    fn hears(&mut self, tcp: TcpId, bytes: Bytes) -> bool {
        self.out.clear();
        self.session.handle(self.now, Event::Received { tcp, bytes }, &mut self.out);
        self.unread.extend(self.out.list.drain(..).filter(|action| matches!(action, Action::Send { .. })));
        self.session.shared().peers == 2
    }
}

#[test]
fn what_a_peer_makes_a_session_allocate_is_in_proportion_to_what_it_sends() {
    let content = Content::new("content", PIECES as usize * 16, 16, 3);
    for (what, stream) in streams() {
        for size in SIZES {
            let mut victim = Victim::new(&content);
            weigh("session", what, size, &stream, |bytes| victim.hears(TCP, bytes));
        }
    }
}

/// A connection alone, of a torrent that we have whole, and which serves the peer: here requests are queued.
#[test]
fn what_a_peer_makes_a_connection_allocate_is_in_proportion_to_what_it_sends() {
    let geometry = Geometry::new(u64::from(PIECES) * 16_384, 16_384).unwrap();
    let (have, lost) = (Bitfield::all(PIECES), BTreeSet::new());
    let info_hash = InfoHash([9; 20]);
    let info = Bytes::from(vec![0; 2_000_000]);
    let facts = PeerFacts {
        torrent: TorrentId(0),
        info_hash,
        peer_id: PeerId(*b"-XX0001-chosenbyrng!"),
        geometry: Some(&geometry),
        have: &have,
        lost: &lost,
        listen_port: Some(6881),
        metadata: Some(&info),
        upload_only: false,
        private: false,
        node_ports: [None; 2],
    };
    let (config, filter, seeds) = (Config::default(), IpFilter::new(), Seeds::for_tests(1));
    for unchoked in [true, false] {
        for (what, stream) in streams() {
            for size in SIZES {
                let (mut out, mut ids) = (Actions::new(), IdSource::default());
                let mut unread: Vec<Action> = Vec::with_capacity(60_000);
                let now = Time::from_secs(1);
                let (filter, seeds) = (&filter, &seeds);
                let mut cx = Cx { now, config: &config, filter, seeds, out: &mut out, ids: &mut ids, owner: 0 };
                let remote = "192.0.2.1:6881".parse().unwrap();
                let mut conn = PeerConn::dialled(&mut cx, PeerKey(1), TCP, remote, &facts);
                conn.finish(&mut cx);
                conn.feed(&mut cx, greeting(info_hash, 7).into(), 0);
                assert_eq!(conn.step(&mut cx, &facts), Some(PeerSaid::Ready));
                if unchoked {
                    conn.order(&mut cx, &facts, PeerOrder::Unchoke);
                }
                conn.finish(&mut cx);
                cx.out.clear();
                let whom = if unchoked { "connection" } else { "choking connection" };
                weigh(whom, what, size, &stream, |bytes| {
                    conn.feed(&mut cx, bytes, 0);
                    while conn.step(&mut cx, &facts).is_some() {}
                    conn.finish(&mut cx);
                    unread.extend(cx.out.list.drain(..).filter(|action| matches!(action, Action::Send { .. })));
                    cx.out.clear();
                    !conn.is_closed()
                });
            }
        }
    }
}
