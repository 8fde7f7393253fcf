//! Each part by itself. Whole recordings are redacted in `tests/tests/redact.rs`, where there are sessions that do something.

use super::wire::{Kind, Part, Walker, replaced};
use super::*;
use crate::bencode::{Document, Limits, Mode, encode_dict};
use crate::border::{Action, HttpResponse, Notice, PeerId, SessionConfig, TcpId, TorrentId};
use crate::metainfo::{Metainfo, MetainfoLimits, merkle};
use crate::net_policy::is_public_name;
use crate::tracker::TrackerUrl;
use crate::wire::{ExtendedHandshake, Handshake, Reserved};
use bytes::Bytes;
use proptest::prelude::*;
use std::format;
use std::string::ToString;
use std::vec;

fn mapper() -> Mapper {
    Mapper::new(Key::new([9; 32], 0))
}

/// Asks twice, as a redaction does: what comes of it when all is settled.
fn twice<T>(ask: impl Fn(&mut Mapper) -> T) -> (T, Mapper) {
    let mut mapper = mapper();
    ask(&mut mapper);
    mapper.settle().unwrap();
    (ask(&mut mapper), mapper)
}

#[test]
fn urls_keep_what_the_core_asks_of_them() {
    let policy = crate::net_policy::NetPolicy { allow_idna: true, ..Default::default() };
    for url in [
        "http://tracker.example.org:2710/a1b2c3d4e5f6a7b8/announce",
        "http://tracker.example.org/announce.php?passkey=0123456789abcdef&x",
        "udp://open.demo.net:80",
        "udp://10.1.2.3:6969/announce",
        "https://[2a00:1:2::3]:444/announce?key=ABC",
        "http://nas.lan/announce",
        "http://localhost:8000/announce",
        "HTTP://Tracker.Example.ORG/announce",
        "http://xn--tst-qla.com/announce",
        "http://m\u{fc}nchen.example.com/announce",
    ] {
        let (new, mapper) = twice(|mapper| mapper.url(url));
        let [before, after] = [url, &new].map(|url| TrackerUrl::parse_with(url, &policy));
        let before = before.unwrap();
        let after = after.unwrap_or_else(|error| panic!("{url} became {new}, which {error}"));
        assert_eq!((before.scheme(), before.port()), (after.scheme(), after.port()), "{new}");
        assert_eq!(before.scrape().is_some(), after.scrape().is_some(), "{new}");
        assert_eq!(before.path().starts_with("/announce"), after.path().starts_with("/announce"), "{new}");
        assert_eq!(before.path().len(), after.path().len(), "{new}");
        assert_eq!(before.query().map(str::len), after.query().map(str::len), "{new}");
        let [old_host, new_host] = [&before, &after].map(|url| url.host().to_string());
        assert_eq!(is_public_name(&old_host), is_public_name(&new_host), "{url} became {new}");
        if !matches!(old_host.as_str(), "localhost") {
            assert_ne!(old_host, new_host);
        }
        let found =
            mapper.hidden().keys().find(|original| new.as_bytes().windows(original.len()).any(|w| w == *original));
        assert_eq!(found, None, "{new}");
    }
    // What was refused is refused.
    for url in ["http://user:word@host.org/announce", "ftp://host.org/", "http://0x7f.1/announce", "gibberish", ""] {
        let (new, _) = twice(|mapper| mapper.url(url));
        assert_eq!(TrackerUrl::parse(url).err(), TrackerUrl::parse(&new).err(), "{url} became {new}");
    }
    // The same host is the same, whatever is around it.
    let (hosts, _) = twice(|mapper| {
        ["http://a-tracker.org/x", "udp://A-Tracker.org:1"]
            .map(|url| TrackerUrl::parse(&mapper.url(url)).unwrap().host().clone())
    });
    assert_eq!(hosts[0], hosts[1]);
}

#[test]
fn metainfo_keeps_its_sizes_and_loses_its_words() {
    let pieces = [[1; 20], [2; 20], [1; 20], [3; 20]].concat();
    let file = |length: i64, path: &'static [&'static str]| (length, path);
    let files = [
        file(40_000, &["cd 1", "song.flac"]),
        file(9_000, &[".pad", "9000"]),
        file(5, &["cd 1", "a"]),
        file(16_000, &["b"]),
    ];
    let bytes = encode_dict(|dict| {
        dict.bytes("announce", "http://private.site.org/SECRETKEY/announce").bytes("comment", "for eva only");
        dict.int("creation date", 1_700_000_000).bytes("created by", "somebody's tool");
        dict.list("nodes", |nodes| {
            nodes.list(|node| _ = node.bytes("45.9.8.7").int(6881));
        });
        dict.dict("info", |info| {
            info.bytes("name", "eva's album").int("piece length", 16_384).bytes("pieces", &pieces);
            info.int("private", 1).bytes("source", "SITE").list("files", |list| {
                for (length, path) in files {
                    list.dict(|file| {
                        if path[0] == ".pad" {
                            file.bytes("attr", "p");
                        }
                        file.int("length", length)
                            .list("path", |list| path.iter().for_each(|part| _ = list.bytes(part)));
                    });
                }
            });
        });
    });
    let bytes = Bytes::from(bytes);
    let (new, mapper) = twice(|mapper| mapper.metainfo(&bytes));
    let [before, after] = [&bytes, &new].map(|bytes| Metainfo::parse(bytes, &MetainfoLimits::default()).unwrap());
    assert_eq!((before.geometry(), before.private()), (after.geometry(), after.private()));
    let lie =
        |meta: &Metainfo| meta.files().iter().map(|file| (file.length, file.offset, file.pad)).collect::<Vec<_>>();
    assert_eq!(lie(&before), lie(&after));
    assert_eq!(before.info_span().len(), after.info_span().len());
    assert_ne!(before.hashes(), after.hashes());
    assert_eq!(mapper.hashes().find(|(old, _)| *old == before.hashes().best()).unwrap().1, after.hashes().best());
    let hash = |meta: &Metainfo, piece: u32| meta.piece_hashes().get(meta.geometry().piece(piece).unwrap()).unwrap();
    assert_eq!(hash(&after, 0), hash(&after, 2), "equal pieces are equal");
    assert_ne!(hash(&after, 0), hash(&after, 1));
    let paths = |meta: &Metainfo| meta.files().iter().map(|file| file.path.to_string()).collect::<Vec<_>>();
    let new_paths = paths(&after);
    let folder = |path: &str| path.rsplit_once('/').unwrap().0.to_string();
    assert_eq!(folder(&new_paths[0]), folder(&new_paths[2]), "files of one folder stay in one folder");
    for word in ["private.site", "SECRETKEY", "eva", "somebody", "45.9.8.7", "album", "cd 1", "song", "flac", "SITE"] {
        assert!(!new.windows(word.len()).any(|part| part == word.as_bytes()), "{word} is left");
    }
}

#[test]
fn what_is_no_torrent_is_none_afterwards() {
    for bad in [&b""[..], b"hello", b"d4:infodee", b"d4:infod6:lengthi5e4:name1:a12:piece lengthi16384eee", b"le"] {
        let bad = Bytes::copy_from_slice(bad);
        let (new, _) = twice(|mapper| mapper.metainfo(&bad));
        assert!(Metainfo::parse(&bad, &MetainfoLimits::default()).is_err());
        assert!(Metainfo::parse(&new, &MetainfoLimits::default()).is_err(), "{new:?}");
    }
}

#[test]
fn a_hybrid_stays_one_with_its_files_in_their_order() {
    const PIECE: i64 = 32_768;
    // The order of the tree is that of the names.
    let names: Vec<String> = (0..60).map(|n| format!("{n:02}{}", ["", "x", "yz"][n % 3])).collect();
    let layer: Vec<u8> = (0..3u8).flat_map(|n| [n; 32]).collect();
    let root = merkle::root(layer.as_chunks::<32>().0.iter().copied(), 1).unwrap();
    let length = |at: usize| if at == 7 { 3 * PIECE - 5 } else { PIECE };
    let bytes = encode_dict(|dict| {
        dict.dict("info", |info| {
            info.dict("file tree", |tree| {
                for (at, name) in names.iter().enumerate() {
                    tree.dict(name, |node| {
                        node.dict("", |leaf| {
                            let own = [at as u8 | 128; 32];
                            leaf.int("length", length(at)).bytes("pieces root", if at == 7 { root } else { own });
                        });
                    });
                }
            });
            info.list("files", |list| {
                for (at, name) in names.iter().enumerate() {
                    list.dict(|file| {
                        file.int("length", length(at)).list("path", |path| _ = path.bytes(name));
                    });
                    if at == 7 {
                        list.dict(|pad| {
                            pad.bytes("attr", "p").int("length", 5);
                            pad.list("path", |path| _ = path.bytes(".pad").bytes("5"));
                        });
                    }
                }
            });
            info.int("meta version", 2).bytes("name", "family").int("piece length", PIECE);
            info.bytes("pieces", vec![5; 62 * 20]);
        });
        dict.dict("piece layers", |layers| _ = layers.bytes(root, &layer));
    });
    let bytes = Bytes::from(bytes);
    let (new, mapper) = twice(|mapper| mapper.metainfo(&bytes));
    let [before, after] = [&bytes, &new].map(|bytes| Metainfo::parse(bytes, &MetainfoLimits::default()).unwrap());
    assert!(before.is_hybrid() && after.is_hybrid());
    let lie =
        |meta: &Metainfo| meta.files().iter().map(|file| (file.length, file.offset, file.pad)).collect::<Vec<_>>();
    assert_eq!(lie(&before), lie(&after));
    assert!(after.piece_layer(&after.files()[7].pieces_root.unwrap()).is_some(), "the layer fits its new root");
    let names: Vec<_> = before.hashes().names().collect();
    for (old, new) in names.into_iter().zip(after.hashes().names()) {
        assert!(mapper.hashes().any(|pair| pair == (old, new)));
    }
}

#[test]
fn hashes_keep_their_order_where_that_counts() {
    let torrent = |n: u8| {
        let info = encode_dict(|info| {
            info.int("length", 5).bytes("name", [b'n', n]).int("piece length", 16_384).bytes("pieces", [n; 20]);
        });
        Bytes::from(encode_dict(|dict| _ = dict.raw("info", &info)))
    };
    let (_, mapper) = twice(|mapper| {
        mapper.ordered = true;
        (0..12).for_each(|n| _ = mapper.metainfo(&torrent(b'a' + n)));
        (0..12).for_each(|n| _ = mapper.hash(InfoHash([n * 20; 20])));
    });
    let new: Vec<InfoHash> = mapper.hashes().map(|(_, new)| new).collect();
    assert!(new.len() == 24 && new.is_sorted_by(|a, b| a < b), "{new:?}");
}

/// A stream as it is cut, put together again after a redaction.
fn walked(stream: &[u8], cut: usize) -> Vec<Part> {
    let (mut walker, mut parts) = (Walker::new(), Vec::new());
    stream.chunks(cut).for_each(|chunk| walker.feed(chunk, &mut parts));
    parts.extend(walker.rest());
    parts
}

fn handshake(id: &[u8; 20]) -> Vec<u8> {
    Handshake { reserved: Reserved::OURS, info_hash: InfoHash([7; 20]), peer_id: PeerId(*id) }.emit().to_vec()
}

fn message(id: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 1).to_be_bytes()[..], &[id], body].concat()
}

#[test]
fn a_stream_is_taken_apart_however_it_is_cut() {
    let introduction = ExtendedHandshake {
        client: Some("Tool 1.2 of eva".into()),
        your_ip: Some([45, 1, 2, 3].into()),
        ..Default::default()
    };
    let mut stream = handshake(b"-XX0001-abcdefghijkl");
    stream.extend([0; 4]);
    stream.extend(message(4, &[0, 0, 0, 9]));
    stream.extend(message(20, &[&[0][..], &introduction.emit()].concat()));
    stream.extend(message(7, &[&[0; 8][..], b"content of a block"].concat()));
    stream.extend(message(99, b"nobody knows this"));
    stream.extend(message(20, &[&[3][..], b"\x01"].concat()));
    stream.extend(message(4, &[0, 0, 0, 8])[..6].iter());
    let whole = walked(&stream, stream.len());
    let kinds: Vec<Kind> = whole.iter().map(|part| part.kind).collect();
    use Kind::{Head, Id, Ignored, KeepAlive, Message};
    assert_eq!(
        kinds,
        [Head, Id, KeepAlive, Message(4), Message(20), Message(7), Ignored, Message(99), Ignored, Message(20)]
    );
    for cut in 1..40 {
        let known = |parts: &[Part]| parts.iter().filter(|part| part.kind != Ignored).cloned().collect::<Vec<_>>();
        let ignored = |parts: &[Part]| {
            parts
                .iter()
                .filter(|part| part.kind == Ignored)
                .flat_map(|part| part.at..part.at + part.length)
                .collect::<Vec<_>>()
        };
        let parts = walked(&stream, cut);
        assert_eq!((known(&parts), ignored(&parts)), (known(&whole), ignored(&whole)), "cut into {cut}");
    }
    let (new, _) =
        twice(|mapper| whole.iter().map(|part| replaced(mapper, part, Some(InfoHash([7; 20])))).collect::<Vec<_>>());
    for (part, new) in whole.iter().zip(&new) {
        assert!(new.as_ref().is_none_or(|new| new.len() == part.bytes.len()), "{part:?}");
    }
    assert!(new[1].as_ref().unwrap().starts_with(b"-XX0001-"));
    let introduced = ExtendedHandshake::parse(&new[4].as_ref().unwrap()[1..]).unwrap();
    assert_ne!(
        (introduced.client.as_deref(), introduced.your_ip),
        (introduction.client.as_deref(), introduction.your_ip)
    );
    assert_eq!(introduced.client.unwrap().len(), 15);
}

#[test]
fn what_is_no_handshake_is_none_afterwards() {
    for (stream, good) in
        [(&b"GET / HTTP/1.1\r\nHost: eva.example\r\n"[..], 0), (b"\x13BitTorrent protocoX and more", 19)]
    {
        for cut in [1, 5, 100] {
            let parts = walked(stream, cut);
            assert_eq!((parts[0].kind, parts[0].at), (Kind::Wrong, good));
            let behind: Vec<u64> = parts[1..].iter().flat_map(|part| part.at..part.at + part.length).collect();
            assert_eq!(behind, (good + 1..stream.len() as u64).collect::<Vec<_>>(), "cut into {cut}");
        }
    }
    // Cut off within the hash, and within the id.
    let stream = handshake(b"-XX0001-abcdefghijkl");
    assert_eq!(
        walked(&stream[..40], 7).last().map(|part| (part.kind, part.at, part.length)),
        Some((Kind::Ignored, 28, 12))
    );
    assert_eq!(
        walked(&stream[..60], 7).last().map(|part| (part.kind, part.at, part.length)),
        Some((Kind::Ignored, 48, 12))
    );
}

#[test]
fn answers_of_trackers_keep_their_numbers() {
    let hash = InfoHash([200; 20]);
    let body = encode_dict(|dict| {
        dict.int("interval", 1800).bytes("peers", [45, 1, 2, 3, 0x1a, 0xe1, 45, 1, 2, 4, 0, 80, 9]);
        dict.bytes("external ip", [45, 7, 7, 7])
            .bytes("tracker id", "the-id-of-eva")
            .bytes("warning message", "dear eva!");
        dict.dict("files", |files| _ = files.dict(hash.0, |file| _ = file.int("complete", 5)));
    });
    let response = HttpResponse {
        status: 200,
        location: Some("/x/announce?passkey=eva99eva".into()),
        retry_after: Some(9),
        body: body.into(),
    };
    let (new, mapper) = twice(|mapper| trackers::http(mapper, &response));
    assert_eq!((new.status, new.retry_after, new.body.len()), (200, Some(9), response.body.len()));
    let document = Document::decode(&new.body, Mode::Strict, &Limits::default()).unwrap();
    let dict = document.root().dict().unwrap();
    assert_eq!(dict.int("interval"), Ok(Some(1800)));
    let peers = dict.get("peers").unwrap().bytes().unwrap();
    assert_eq!((peers.len(), &peers[4..6], &peers[10..]), (13, &[0x1a, 0xe1][..], &[0, 80, 0][..]));
    assert_eq!(peers[..3], peers[6..9], "of one network");
    let new_hash = mapper.hashes().find(|(old, _)| *old == hash).unwrap().1;
    assert_eq!(dict.get("files").unwrap().dict().unwrap().iter().next().unwrap().0, new_hash.0);
    assert!(!new.body.windows(3).any(|part| part == b"eva") && !new.location.unwrap().contains("eva"));
    // A page for people is no answer afterwards.
    let page = HttpResponse { body: Bytes::from_static(b"<html>eva"), ..response };
    let (new, _) = twice(|mapper| trackers::http(mapper, &page));
    assert!(new.body.len() == 9 && Document::decode_prefix(&new.body, Mode::Lenient, &Limits::default()).is_err());
}

#[test]
fn a_difference_between_two_sessions_is_named() {
    let (mut said, mut mapper) = (Said::default(), mapper());
    mapper.settle().unwrap();
    let actions = |list: Vec<Action>, notices: Vec<Notice>| Actions { list, notices, opaque: vec![] };
    let grant = |bytes| Action::Grant { tcp: TcpId(1), bytes };
    let send = |bytes: &'static [u8]| Action::Send { tcp: TcpId(1), bytes: Bytes::from_static(bytes) };
    let done = |piece| Notice::PieceDone { torrent: TorrentId(1), piece };
    let same = actions(vec![grant(5)], vec![done(1)]);
    assert_eq!(said.compare(&mut mapper, &same, &same.clone()), Ok(()));
    let mut differs = |old: &Actions, new: &Actions, what: &str| {
        let error = said.compare(&mut mapper, old, new).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    differs(&same, &actions(vec![grant(6)], vec![done(1)]), "action");
    differs(&same, &actions(vec![], vec![done(1)]), "number of actions");
    differs(&same, &actions(vec![grant(5)], vec![done(2)]), "notice");
    differs(&same, &actions(vec![grant(5)], vec![]), "number of notices");
    differs(&actions(vec![send(b"one")], vec![]), &actions(vec![send(b"four")], vec![]), "length of what is sent");
    differs(&actions(vec![send(b"\x13BitT")], vec![]), &actions(vec![send(b"\x13Bitt")], vec![]), "number of messages");
}

#[test]
fn a_session_with_a_node_of_the_dht_is_refused_by_name() {
    use crate::border::{CommandId, SocketId};
    use crate::journal::Secret;
    let (config, seeds) = (Config::default(), Seeds::for_tests(4));
    for (dht, refused) in [(false, None), (true, Some(RedactError::Dht))] {
        let mut bytes = Vec::new();
        let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut bytes);
        let mut session = Session::new(config.clone(), seeds.clone()).unwrap();
        let addr = "80.1.2.3:4000".parse().unwrap();
        let command = Command::Listen { tcp: SocketId(1), udp: Some(SocketId(2)), lsd: None, dht, addr, device: None };
        let event = Event::Command { id: CommandId(1), command };
        let mut actions = Actions::new();
        session.handle(Time(1), event.clone(), &mut actions);
        recorder.record(Time(1), &event, &actions, &mut bytes);
        recorder.finish(&mut bytes);
        assert_eq!(redact(&bytes, [9; 32]).err(), refused);
    }
    assert!(RedactError::Dht.to_string().contains("--no-dht"));
}

#[test]
fn originals_are_found_in_every_form() {
    let hash = InfoHash(core::array::from_fn(|at| at as u8 * 11));
    let (_, mapper) = twice(|mapper| {
        mapper.addr("45.1.2.3:6881".parse().unwrap());
        mapper.ip("2a00:1:2::3".parse().unwrap());
        mapper.hash(hash);
        mapper.id(PeerId(*b"-XX0001-abcdefghijkl"));
        mapper.text("name", "holiday");
        mapper.text("name", "abc");
        mapper.text("name", "metadata");
    });
    let scanner = Scanner::new(&mapper, &[77; 32]);
    let find = |text: &[u8]| scanner.find(&[b"before ", text, b" after"].concat());
    assert_eq!(find(b"45.1.2.3"), Some("address"));
    assert_eq!(find(&[45, 1, 2, 3, 0x1a, 0xe1]), Some("address"));
    assert_eq!(find(b"4:\x2d\x01\x02\x03"), Some("address"));
    assert_eq!(find(b"2a00:1:2::3"), Some("address"));
    assert_eq!(find(&hash.0), Some("info-hash"));
    assert_eq!(find(hash.to_hex().to_uppercase().as_bytes()), Some("info-hash"));
    assert_eq!(find(b"abcdefghijkl"), Some("peer id"));
    assert_eq!(find(b"a holiday in"), Some("name"));
    for clean in [&b"145.1.2.3"[..], b"45.1.2.34", b"abc", b"ut_metadata", b"-XX0001-", b""] {
        assert_eq!(find(clean), None, "{}", String::from_utf8_lossy(clean));
    }
}

#[test]
fn our_own_name_stays_and_a_chosen_one_goes() {
    let mut config = Config::default();
    let (new, _) = twice(|mapper| events::config(mapper, &config));
    assert_eq!(new.session.client, SessionConfig::default().client);
    config.session.client = "The client of Eva".into();
    let (new, _) = twice(|mapper| events::config(mapper, &config));
    assert_ne!(new.session.client, config.session.client);
    assert_eq!(new.session.client.len(), config.session.client.len());
}

/// Bencoded and not, with what the rules look for.
fn told() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("d"),
        Just("l"),
        Just("e"),
        Just("i7e"),
        Just("4:info"),
        Just("4:name"),
        Just("5:files"),
        Just("4:path"),
        Just("9:file tree"),
        Just("0:"),
        Just("11:pieces root"),
        Just("6:pieces"),
        Just("12:piece layers"),
        Just("5:peers"),
        Just("6:yourip4:abcd"),
        Just("1:v3:eva"),
        Just("8:announce8:udp://a:"),
        Just("12:piece lengthi16384e"),
        Just("2:x"),
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(word, 0..30).prop_map(|words| words.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_is_replaced_by_as_much(bytes in told(), text in "\\PC{0,60}", segment in 0u16..40) {
        let bytes = Bytes::from(bytes);
        let response = HttpResponse { status: 200, location: Some(text.clone()), retry_after: None, body: bytes.clone() };
        twice(|mapper| {
            mapper.metainfo(&bytes);
            mapper.url(&text);
            mapper.host(&text);
            trackers::http(mapper, &response);
            let from = "45.1.2.3:6969".parse().unwrap();
            assert_eq!(trackers::datagrams(mapper, from, segment, &bytes).len(), bytes.len());
            assert!(mapper.compact(&bytes, false).len() == bytes.len() && mapper.compact(&bytes, true).len() == bytes.len());
        });
    }

    #[test]
    fn any_stream_is_taken_apart_however_it_is_cut(
        start in 0usize..69,
        bodies in prop::collection::vec((any::<u8>(), told()), 0..6),
        rest in prop::collection::vec(any::<u8>(), 0..40),
        cut in 1usize..60,
    ) {
        let mut stream = handshake(b"-XX0001-abcdefghijkl")[..start.min(68)].to_vec();
        bodies.iter().for_each(|(id, body)| stream.extend(message(id % 24, body)));
        stream.extend(rest);
        let known = |parts: &[Part]| parts.iter().filter(|part| part.kind != Kind::Ignored).cloned().collect::<Vec<_>>();
        let (whole, cut) = (walked(&stream, stream.len().max(1)), walked(&stream, cut));
        prop_assert_eq!(known(&whole), known(&cut));
        let (mut end, mut mapper) = (0, mapper());
        for part in &whole {
            prop_assert!(part.at >= end, "{:?} begins before {}", part, end);
            end = part.at + part.length;
            let new = replaced(&mut mapper, part, None);
            prop_assert!(new.is_none_or(|new| new.len() as u64 == part.length));
        }
        prop_assert!(end <= stream.len() as u64);
    }
}
