//! Known text, and what holds for any.

use super::{About, Kind, Parting, Subject, Transcript, Value};
use crate::border::{
    Action, Actions, AddTorrent, AnnounceResponse, CloseReason, Command, CommandId, Config, DialId, Event, HttpRequest,
    HttpResponse, InfoHash, InfoHashes, IoFault, JobId, JobResult, Notice, PeerFault, PeerId, PieceHash, RootId, Route,
    SocketId, Target, TcpId, TorrentId, Verdict, Work,
};
use crate::journal::tests::values;
use crate::journal::{Machine, Reader, Recorder, Secret, replay_with};
use crate::time::Time;
use crate::tracker::http::{PeersForm, encode_response};
use crate::tracker::udp::UdpRequest;
use crate::wire::{
    BlockRange, ExtendedHandshake, Extension, Handshake, Message, PexFlags, PexMessage, PexPeer, Reserved,
};
use bytes::{Bytes, BytesMut};
use core::net::SocketAddr;
use core::time::Duration;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const HASH: InfoHash = InfoHash([0xab; 20]);
const TCP: TcpId = TcpId(3);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn text(messages: &[Message]) -> Bytes {
    let mut bytes = BytesMut::new();
    messages.iter().for_each(|message| message.emit(&mut bytes));
    bytes.freeze()
}

fn hello(id: &[u8; 20]) -> Bytes {
    let handshake = Handshake { reserved: Reserved::OURS, info_hash: HASH, peer_id: PeerId(*id) };
    Bytes::copy_from_slice(&handshake.emit())
}

fn introduction() -> Message {
    let handshake = ExtendedHandshake {
        extensions: vec![(Extension::Pex, 2), (Extension::UploadOnly, 7)],
        client: Some("a \"client\"\n".into()),
        reqq: Some(250),
        ..ExtendedHandshake::default()
    };
    Message::Extended { id: 0, payload: handshake.emit().into() }
}

fn received(bytes: Bytes) -> Event {
    Event::Received { tcp: TCP, bytes }
}

fn acting(list: Vec<Action>) -> Actions {
    Actions { list, ..Actions::new() }
}

fn telling(notices: Vec<Notice>) -> Actions {
    Actions { notices, ..Actions::new() }
}

/// A transcript in which a stream is open to a torrent of 11 pieces.
fn begun() -> Transcript {
    let mut transcript = Transcript::new(&Config::default());
    let layout = crate::border::StorageLayout::new([], 16_384);
    let hashes = InfoHashes::v1(HASH.0);
    let work = Work::Open { torrent: TorrentId(0), root: RootId(0), key: HASH, layout: layout.into() };
    let added = Notice::Added { command: CommandId(1), torrent: TorrentId(0), hashes, name: "a".into() };
    let actions = Actions { list: vec![Action::Start { job: JobId(0), work }], notices: vec![added], opaque: vec![] };
    transcript.add(Time::from_secs(1), &Event::Tick, &actions);
    transcript.pieces.insert(TorrentId(0), 11);
    let accepted =
        Event::Accepted { sock: SocketId(1), tcp: TCP, local: addr("10.0.0.1:6881"), remote: addr("10.0.0.2:50000") };
    transcript.add(Time::from_secs(2), &accepted, &Actions::new());
    transcript
}

#[test]
fn a_conversation_is_text() {
    let mut transcript = begun();
    let ours = [&hello(b"-PX0100-abcdefghijkl")[..], &text(&[introduction(), Message::HaveNone])].concat();
    let theirs = [
        &hello(b"-XX0000-\x00\x01aaaaaaaaaa")[..],
        &text(&[introduction(), Message::Bitfield(Bytes::from_static(&[0b1011_1000, 0b1000_0000]))]),
    ]
    .concat();
    let actions = Actions {
        list: vec![Action::Send { tcp: TCP, bytes: ours.into() }, Action::Grant { tcp: TCP, bytes: 65_536 }],
        notices: vec![Notice::PeerConnected {
            torrent: TorrentId(0),
            peer: crate::border::PeerKey(5),
            addr: addr("10.0.0.2:50000"),
            id: PeerId(*b"-XX0000-\x00\x01aaaaaaaaaa"),
            incoming: true,
        }],
        opaque: vec![],
    };
    let entry = transcript.add(Time(2_500_001), &received(theirs.into()), &actions);
    let hash = "ab".repeat(20);
    assert_eq!(
        entry.to_string(),
        std::format!(
            "\
[2] 1.500001 tcp 3 (10.0.0.2:50000) received bytes 144
  < handshake info-hash {hash} can [fast, extended] reserved 0000000000100004 peer-id \"-XX0000-\\x00\\x01aaaaaaaaaa\"
  < extended handshake m [ut_pex 2, upload_only 7] client \"a \\\"client\\\"\\n\" reqq 250
  < bitfield pieces 5 of 11 have 0,2-4,8
  - tcp 3 (10.0.0.2:50000) send bytes 142
  > tcp 3 (10.0.0.2:50000) handshake info-hash {hash} can [fast, extended] reserved 0000000000100004 peer-id \"-PX0100-abcdefghijkl\"
  > tcp 3 (10.0.0.2:50000) extended handshake m [ut_pex 2, upload_only 7] client \"a \\\"client\\\"\\n\" reqq 250
  > tcp 3 (10.0.0.2:50000) have none
  - tcp 3 (10.0.0.2:50000) grant bytes 65536
  * peer connected torrent 0 peer 5 addr 10.0.0.2:50000 peer-id \"-XX0000-\\x00\\x01aaaaaaaaaa\" incoming yes
"
        )
    );
    let range = BlockRange { piece: 3, begin: 16_384, length: 5 };
    let contact = |addr: &str, flags| PexPeer { addr: addr.parse().unwrap(), flags };
    let pex = PexMessage {
        added: vec![
            contact("10.0.0.9:1", PexFlags::SEED | PexFlags::REACHABLE),
            contact("10.0.0.8:2", PexFlags::default()),
        ],
        dropped: vec!["[2001:db8::1]:3".parse().unwrap()],
    };
    let words = [
        Message::KeepAlive,
        Message::Choke,
        Message::Unchoke,
        Message::Interested,
        Message::NotInterested,
        Message::Have(7),
        Message::Request(range),
        Message::Piece { piece: 3, begin: 16_384, data: Bytes::from_static(b"12345") },
        Message::Cancel(range),
        Message::Port(6881),
        Message::Suggest(1),
        Message::HaveAll,
        Message::Reject(range),
        Message::AllowedFast(2),
        Message::Extended { id: 7, payload: Bytes::from_static(&[1]) },
        Message::Extended { id: 2, payload: pex.emit().into() },
        Message::Extended { id: 9, payload: Bytes::from_static(b"x") },
        Message::Extended { id: 0, payload: Bytes::from_static(b"x") },
        Message::Unknown { id: 21, payload: Bytes::from_static(b"xyz") },
        Message::Bitfield(Bytes::from_static(&[0xff, 0xff])),
    ];
    let entry = transcript.add(Time::from_secs(3), &received(text(&words)), &Actions::new());
    assert_eq!(
        entry.to_string(),
        "\
[3] 2.000000 tcp 3 (10.0.0.2:50000) received bytes 242
  < keep-alive
  < choke
  < unchoke
  < interested
  < not interested
  < have piece 7
  < request piece 3 begin 16384 length 5
  < piece 3 begin 16384 length 5
  < cancel piece 3 begin 16384 length 5
  < port 6881
  < suggest piece 1
  < have all
  < reject request piece 3 begin 16384 length 5
  < allowed fast piece 2
  < extended upload_only number 7 on yes
  < extended ut_pex number 2 added [10.0.0.9:1/sr, 10.0.0.8:2] dropped [[2001:db8::1]:3]
  < extended number 9 payload 1 bytes (crc a93c5f93)
  < extended handshake payload 1 bytes (crc a93c5f93) \"extended message that is not a dictionary\"
  < unknown message number 21 payload 3 bytes (crc 25236885)
  < bitfield payload 2 bytes (crc ffff0000) of 11 \"malformed\"
"
    );
}

#[test]
fn how_a_stream_is_cut_makes_no_difference_to_its_messages() {
    let theirs = [
        &hello(b"-XX0000-aaaaaaaaaaaa")[..],
        &text(&[
            introduction(),
            Message::HaveAll,
            Message::Piece { piece: 1, begin: 0, data: vec![7; 300].into() },
            Message::KeepAlive,
        ]),
        &[0, 1, 0, 0, 5],
    ]
    .concat();
    let said = |cut: usize| {
        let mut transcript = begun();
        let mut lines = Vec::new();
        for part in theirs.chunks(cut) {
            let entry = transcript.add(Time::from_secs(3), &received(Bytes::copy_from_slice(part)), &Actions::new());
            lines.extend(entry.lines.into_iter().filter(|line| line.kind == Kind::Received));
        }
        lines
    };
    let whole = said(theirs.len());
    let words: Vec<&str> = whole.iter().map(|line| line.word).collect();
    assert_eq!(words, ["handshake", "extended handshake", "have all", "piece", "keep-alive"]);
    (1..80).for_each(|cut| assert_eq!(said(cut), whole, "parts of {cut} bytes"));
}

#[test]
fn what_is_not_the_protocol_is_told_once() {
    let mut transcript = begun();
    let entry = transcript.add(Time::from_secs(3), &received(Bytes::from_static(b"GET / HTTP/1.1")), &Actions::new());
    assert!(entry.to_string().ends_with("bytes 14\n  < nonsense \"not a BitTorrent handshake\"\n"), "{entry}");
    let entry = transcript.add(Time::from_secs(3), &received(Bytes::from_static(b"more")), &Actions::new());
    assert_eq!(entry.lines.len(), 1);

    let mut transcript = begun();
    transcript.add(Time::from_secs(3), &received(hello(b"-XX0000-aaaaaaaaaaaa")), &Actions::new());
    let entry = transcript.add(Time::from_secs(3), &received(Bytes::from_static(&[1, 0, 0, 0, 5])), &Actions::new());
    let why = "message of 16777216 bytes, longer than any that is allowed";
    assert!(entry.to_string().ends_with(&std::format!("  < nonsense \"{why}\"\n")), "{entry}");
}

#[test]
fn a_bitfield_may_be_longer_than_other_messages() {
    let mut transcript = begun();
    let pieces = 8 * 200_000;
    transcript.pieces.insert(TorrentId(0), pieces);
    let all = Message::Bitfield(vec![0xff; 200_000].into());
    let theirs = [&hello(b"-XX0000-aaaaaaaaaaaa")[..], &text(&[all])].concat();
    let entry = transcript.add(Time::from_secs(3), &received(theirs.into()), &Actions::new());
    assert_eq!(entry.lines[2].to_string(), "bitfield pieces 1600000 of 1600000 have all");
}

#[test]
fn jobs_and_dials_end_by_their_names() {
    let mut transcript = begun();
    let verify = Work::Verify {
        torrent: TorrentId(0),
        piece: 4,
        length: 16_384,
        expect: PieceHash::Sha1([0x11; 20]),
        blocks: false,
    };
    let dial = Action::Dial { dial: DialId(9), to: Target::Addr(addr("10.0.0.9:1")), from: None, via: Route::Direct };
    let start = Action::Start { job: JobId(1 << 40 | 5), work: verify };
    let entry = transcript.add(Time::from_secs(3), &Event::Tick, &acting(vec![start, dial]));
    let expect = "11".repeat(20);
    assert_eq!(
        entry.to_string(),
        std::format!(
            "[2] 2.000000 tick\n  - start job 1/5 verify torrent 0 piece 4 length 16384 expect {expect} hash-blocks no\n  \
             - dial 0/9 to 10.0.0.9:1\n"
        )
    );
    let verdict = Verdict { matches: false, blocks: vec![[0; 20]; 2] };
    let done = Event::JobDone { job: JobId(1 << 40 | 5), result: Ok(JobResult::Verified(verdict)) };
    let failed = Notice::PieceFailed { torrent: TorrentId(0), piece: 4 };
    let entry = transcript.add(Time::from_secs(4), &done, &telling(vec![failed]));
    assert_eq!(
        entry.to_string(),
        "[3] 3.000000 done job 1/5 verify torrent 0 piece 4 matches no block-hashes 2\n  * piece failed torrent 0 piece 4\n"
    );
    let event = Event::DialFailed { dial: DialId(9), fault: IoFault::Refused };
    let reason = CloseReason::DialFailed(IoFault::Refused);
    let closed = Notice::PeerClosed { torrent: TorrentId(0), addr: addr("10.0.0.9:1"), reason };
    let entry = transcript.add(Time::from_secs(5), &event, &telling(vec![closed]));
    assert_eq!(
        entry.to_string(),
        "[4] 4.000000 dial failed dial 0/9 to 10.0.0.9:1 \"connection refused\"\n  \
         * peer closed torrent 0 addr 10.0.0.9:1 \"could not connect: connection refused\"\n"
    );
    assert!(transcript.jobs.len() == 1 && transcript.dials.is_empty(), "{transcript:?}");
}

#[test]
fn trackers_are_asked_and_answer_in_words() {
    let mut transcript = begun();
    let hash: String = (0..20).map(|_| "%ab").collect();
    let path = std::format!(
        "/announce?info_hash={hash}&peer_id=-PX0100-abcdefghijkl&port=6881&uploaded=1&downloaded=2&left=3&event=started"
    );
    let request = HttpRequest {
        to: addr("10.0.0.7:80"),
        tls: false,
        host: "tracker.example".into(),
        port: 80,
        path,
        user_agent: None,
        from: None,
        body_limit: 1 << 20,
        time_limit: Duration::from_secs(30),
    };
    let start = Action::Start { job: JobId(6), work: Work::Http(request) };
    let entry = transcript.add(Time::from_secs(3), &Event::Tick, &acting(vec![start]));
    let hash = "ab".repeat(20);
    assert_eq!(
        entry.to_string(),
        std::format!(
            "[2] 2.000000 tick\n  - start job 0/6 get url \"http://tracker.example:80/announce\" to 10.0.0.7:80 body-limit \
             1048576 time-limit 30s\n  > announce info-hash {hash} event started left 3 downloaded 2 uploaded 1 port 6881 \
             peer-id \"-PX0100-abcdefghijkl\"\n"
        )
    );
    let response = AnnounceResponse { interval: Some(1800), complete: Some(5), ..AnnounceResponse::default() };
    let peers = [crate::tracker::http::PeerEntry { addr: addr("10.0.0.8:6881"), id: PeerId([0; 20]) }];
    let body = encode_response(&response, &peers, PeersForm::Compact);
    let response = HttpResponse { status: 200, location: None, retry_after: None, body: body.into() };
    let done = Event::JobDone { job: JobId(6), result: Ok(JobResult::Http(response)) };
    let entry = transcript.add(Time::from_secs(4), &done, &Actions::new());
    assert_eq!(entry.lines[1].to_string(), "announced interval 1800 seeds 5 peers [10.0.0.8:6881]");

    let connect = UdpRequest::Connect { transaction: 0xa1 }.encode();
    let action = Action::SendDatagrams {
        sock: SocketId(2),
        to: addr("10.0.0.7:80"),
        segment: connect.len() as u16,
        bytes: [&connect[..], b"??"].concat().into(),
        dont_fragment: false,
    };
    let entry = transcript.add(Time::from_secs(5), &Event::Tick, &acting(vec![action]));
    let words: Vec<String> = entry.lines.iter().map(ToString::to_string).collect();
    assert_eq!(words[2], "connect transaction 000000a1");
    assert!(words[3].starts_with("unknown datagram payload 2 bytes"), "{words:?}");
    let answer = [&0u32.to_be_bytes()[..], &0xa1u32.to_be_bytes(), &0xc0ffeeu64.to_be_bytes()].concat();
    let event = Event::Datagrams { sock: SocketId(2), from: addr("10.0.0.7:80"), segment: 16, bytes: answer.into() };
    let entry = transcript.add(Time::from_secs(5), &event, &Actions::new());
    assert_eq!(entry.lines[1].to_string(), "connected connection 0000000000c0ffee transaction 000000a1");
}

#[test]
fn datagrams_of_the_dht_are_read() {
    let mut transcript = Transcript::new(&Config::default());
    let mut told = |datagram: &[u8]| {
        let segment = datagram.len() as u16;
        let bytes = Bytes::copy_from_slice(datagram);
        let event = Event::Datagrams { sock: SocketId(2), from: addr("10.0.0.7:6881"), segment, bytes };
        transcript.add(Time::from_secs(1), &event, &Actions::new()).lines[1].to_string()
    };
    let (id, hash) = ("6162636465666768696a30313233343536373839", "6d6e6f707172737475767778797a313233343536");
    assert_eq!(
        told(b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers2:roi1e1:t2:aa1:y1:qe"),
        std::format!("dht get_peers info-hash {hash} node {id} transaction 6161 read-only yes")
    );
    let contact = b"ABCDEFGHIJKLMNOPQRST\x0a\0\0\x01\x1a\xe1";
    let mut answer = b"d1:rd2:id20:abcdefghij01234567895:nodes26:".to_vec();
    answer.extend(contact);
    answer.extend(b"5:token2:to6:valuesl6:\x0a\0\0\x02\x1a\xe2ee1:t2:aa1:v4:LT\x02\x011:y1:re");
    assert_eq!(
        told(&answer),
        std::format!(
            "dht response peers [10.0.0.2:6882] nodes [41424344@10.0.0.1:6881] token 746f node {id} transaction 6161 version \
             \"LT\\u{{2}}\\u{{1}}\""
        )
    );
    assert_eq!(
        told(b"d1:eli203e3:bade1:t1:x1:y1:ee"),
        "dht error code 203 (invalid query) text \"bad\" transaction 78"
    );
    assert!(told(b"d1:ade1:q4:ping1:t2:aa1:y1:qe").starts_with("dht unreadable payload 29 bytes"));
}

#[test]
fn a_torrent_that_is_added_is_told_by_its_name() {
    let mut transcript = Transcript::new(&Config::default());
    let mut metainfo = b"d4:infod6:lengthi5e4:name5:a.txt12:piece lengthi16384e6:pieces20:".to_vec();
    metainfo.extend([1; 20]);
    metainfo.extend(b"ee");
    let mut add = AddTorrent::new(metainfo, RootId(0));
    add.super_seed = true;
    let event = Event::Command { id: CommandId(1), command: Command::Add(add.into()) };
    let entry = transcript.add(Time::from_secs(3), &event, &Actions::new());
    let line = entry.to_string();
    assert!(line.starts_with("[0] 0.000000 command 1 add info-hash "), "{line}");
    assert!(
        line.contains(" name \"a.txt\" pieces 1 piece-length 16384 total-length 5 metainfo 87 bytes (crc "),
        "{line}"
    );
    assert!(line.ends_with(" root 0 goal none with [super seed]\n"), "{line}");
}

#[test]
fn subjects_are_read() {
    let read = |text: &str| text.parse::<Subject>().ok();
    assert_eq!(read("piece:7"), Some(Subject::Piece(7)));
    assert_eq!(read("tcp:3"), Some(Subject::Tcp(TcpId(3))));
    assert_eq!(read("peer:10.0.0.2:6881"), Some(Subject::Addr(addr("10.0.0.2:6881"))));
    assert_eq!(read("peer:10.0.0.2"), Some(Subject::Ip("10.0.0.2".parse().unwrap())));
    assert_eq!(read("peer:[::1]:5"), Some(Subject::Addr(addr("[::1]:5"))));
    assert_eq!(read("peer:[::1]"), Some(Subject::Ip("::1".parse().unwrap())));
    assert_eq!(read("peer:::1"), Some(Subject::Ip("::1".parse().unwrap())));
    assert_eq!(read(&std::format!("torrent:{}", "ab".repeat(20))), Some(Subject::Torrent(HASH)));
    for wrong in ["", "piece", "piece:", "piece:-1", "peer:x", "torrent:ab", "tcp:3x", "who:3"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn what_was_decided_about_a_piece_comes_with_what_was_told_before() {
    let mut transcript = begun();
    let mut about = About::new(vec![Subject::Piece(7)]);
    let mut pick = |event: Event, actions: Actions| {
        let entry = transcript.add(Time::from_secs(9), &event, &actions);
        about.pick(&transcript, &entry).map(|found| found.to_string())
    };
    let none = Actions::new;
    let ours = Action::Send { tcp: TCP, bytes: hello(b"-PX0100-abcdefghijkl") };
    assert_eq!(pick(received(hello(b"-XX0000-aaaaaaaaaaaa")), acting(vec![ours])), None);
    assert_eq!(pick(received(text(&[Message::HaveAll])), none()), None);
    // An event of another connection is not among what came before.
    let other = Event::Flushed { tcp: TcpId(4), bytes: 1 };
    assert_eq!(pick(other, none()), None);
    let request = |piece| Message::Request(BlockRange { piece, begin: 0, length: 16_384 });
    let send = Action::Send { tcp: TCP, bytes: text(&[request(6), request(7)]) };
    assert_eq!(
        pick(received(text(&[Message::Unchoke])), acting(vec![send])).expect("it asks for the piece"),
        std::format!(
            "\
[2] 8.000000 tcp 3 (10.0.0.2:50000) received bytes 68
  < handshake info-hash {} can [fast, extended] reserved 0000000000100004 peer-id \"-XX0000-aaaaaaaaaaaa\"
[3] 8.000000 tcp 3 (10.0.0.2:50000) received bytes 5
  < have all
[5] 8.000000 tcp 3 (10.0.0.2:50000) received bytes 5
  < unchoke
  > tcp 3 (10.0.0.2:50000) request piece 7 begin 0 length 16384
",
            "ab".repeat(20)
        )
    );
    // What was shown is not shown again, and what one event brought is bounded.
    let many: Vec<Message> = (0..40).map(|_| Message::KeepAlive).chain([Message::Have(7)]).collect();
    let found = pick(received(text(&many)), none()).expect("it names the piece");
    assert_eq!(found.lines().filter(|line| line.contains("keep-alive")).count(), 16);
    assert!(found.ends_with("  < have piece 7\n  < and 24 more\n"), "{found}");
    let done = Notice::PieceDone { torrent: TorrentId(0), piece: 7 };
    assert!(pick(Event::Tick, telling(vec![done])).is_some());
}

#[test]
fn what_was_decided_about_a_connection_an_address_and_a_torrent() {
    let subjects = |text: &str| vec![text.parse::<Subject>().unwrap()];
    let banned = Notice::PeerBanned { torrent: TorrentId(0), addr: addr("10.0.0.2:50000") };
    let elsewhere = Notice::PeerBanned { torrent: TorrentId(0), addr: addr("10.0.0.3:50000") };
    let fault = CloseReason::Fault(PeerFault::Flood);
    let closed = Notice::PeerClosed { torrent: TorrentId(1), addr: addr("10.0.0.2:9"), reason: fault };
    for (subject, expected) in [
        ("tcp:3", [true, true, false, false]),
        ("peer:10.0.0.2:50000", [true, true, false, false]),
        ("peer:10.0.0.2", [true, true, false, true]),
        ("peer:10.0.0.4", [false, false, false, false]),
        ("torrent:abababababababababababababababababababab", [true, true, true, false]),
        ("torrent:0000000000000000000000000000000000000000", [false, false, false, false]),
    ] {
        let mut transcript = begun();
        let mut about = About::new(subjects(subject));
        let mut pick = |event: Event, actions: Actions| {
            let entry = transcript.add(Time::from_secs(9), &event, &actions);
            about.pick(&transcript, &entry).is_some()
        };
        let found = [
            pick(received(hello(b"-XX0000-aaaaaaaaaaaa")), Actions::new()),
            pick(Event::Tick, telling(vec![banned.clone()])),
            pick(Event::Tick, telling(vec![elsewhere.clone()])),
            pick(Event::Tick, telling(vec![closed.clone()])),
        ];
        assert_eq!(found, expected, "{subject}");
    }
    // All of them have to be named.
    let mut transcript = begun();
    let mut about = About::new(vec![Subject::Tcp(TCP), Subject::Piece(1)]);
    let entry = transcript.add(Time::from_secs(9), &Event::Flushed { tcp: TCP, bytes: 1 }, &Actions::new());
    assert_eq!(about.pick(&transcript, &entry), None);
}

#[test]
fn long_text_and_long_lists_are_cut() {
    let long = Value::text(&"x".repeat(1000));
    assert_eq!(long.to_string().chars().count(), 163);
    let list = Value::list(0u32..12);
    assert_eq!(list.to_string(), "[0, 1, 2, 3, 4, 5, 6, 7 and 4 more]");
}

/// A machine that has a peer be told of a piece by each tick, from an odd one on of another piece.
struct Herald {
    said: u32,
    odd: u32,
}

impl Machine for Herald {
    fn handle(&mut self, _: Time, event: Event, out: &mut Actions) {
        out.list.push(Action::Grant { tcp: TCP, bytes: 5 });
        if let Event::Received { .. } = event {
            let piece = if self.said >= self.odd { 100 } else { self.said };
            self.said += 1;
            out.list.push(Action::Send { tcp: TCP, bytes: text(&[Message::Have(piece)]) });
            out.notices.push(Notice::PieceDone { torrent: TorrentId(0), piece });
        }
    }
}

#[test]
fn where_two_runs_part_is_told_with_what_went_before() {
    let (config, seeds) = (Config::default(), crate::rng::Seeds::for_tests(1));
    let mut recording = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut recording);
    let mut herald = Herald { said: 0, odd: 9 };
    let accepted =
        Event::Accepted { sock: SocketId(1), tcp: TCP, local: addr("10.0.0.1:6881"), remote: addr("10.0.0.2:50000") };
    let ours = hello(b"-PX0100-abcdefghijkl");
    let mut actions = Actions { list: vec![Action::Send { tcp: TCP, bytes: ours.clone() }], ..Actions::new() };
    recorder.record(Time::from_secs(1), &accepted, &actions, &mut recording);
    for second in 2..5 {
        for event in [Event::Tick, received(text(&[Message::KeepAlive]))] {
            actions.clear();
            herald.handle(Time::from_secs(second), event.clone(), &mut actions);
            recorder.record(Time::from_secs(second), &event, &actions, &mut recording);
        }
    }
    recorder.finish(&mut recording);

    /// What was recorded first, and then the herald.
    struct Greeting(Bytes, Herald);
    impl Machine for Greeting {
        fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
            match event {
                Event::Accepted { .. } => out.list.push(Action::Send { tcp: TCP, bytes: self.0.clone() }),
                event => self.1.handle(now, event, out),
            }
        }
    }
    let build = |_, _| Ok(Greeting(ours.clone(), Herald { said: 0, odd: 2 }));
    let report = replay_with(Reader::new(&recording).unwrap(), build).unwrap();
    let difference = report.difference.expect("it is another machine at the end");
    let parting = Parting::of(&difference, Reader::new(&recording).unwrap(), build).unwrap();
    assert_eq!(parting.before.len(), 6);
    let text = parting.to_string();
    assert!(text.starts_with("before it:\n[0] 0.000000 tcp 3 (10.0.0.2:50000) accepted "), "{text}");
    let end = "\
event 6 makes the difference:
[6] 3.000000 tcp 3 (10.0.0.2:50000) received bytes 4
  both      - tcp 3 (10.0.0.2:50000) grant bytes 5
  recorded  Send(tcp 3)
  now       - tcp 3 (10.0.0.2:50000) send bytes 9
  now       > tcp 3 (10.0.0.2:50000) have piece 100
  recorded  PieceDone(torrent 0)
  now       * piece done torrent 0 piece 100
";
    assert!(text.ends_with(end), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens is told in lines, the event's first, and equally for equal runs.
    #[test]
    fn every_event_is_lines(events in proptest::collection::vec(values::event(), 1..8)) {
        let (mut one, mut other) = (begun(), begun());
        for event in &events {
            let entry = one.add(Time::from_secs(3), event, &Actions::new());
            prop_assert_eq!(&entry, &other.add(Time::from_secs(3), event, &Actions::new()));
            prop_assert_eq!(entry.lines[0].kind, Kind::Event);
            let shown = entry.to_string();
            prop_assert_eq!(shown.lines().count(), entry.lines.len());
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{:?}", shown);
        }
    }
}
