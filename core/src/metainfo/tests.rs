mod table;

use super::*;
use crate::bencode::{DictEncoder, ListEncoder, encode_dict};
use crate::path::SafePath;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

fn parse(bytes: &[u8]) -> Result<Metainfo, MetainfoError> {
    Metainfo::parse(bytes, &MetainfoLimits::default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All that a torrent says, one thing a line.
fn describe(torrent: &Metainfo) -> Vec<String> {
    let geometry = torrent.geometry();
    let mut lines = vec![
        format!("{:?}", torrent.hashes()),
        format!("name {}", torrent.name()),
        format!("{} x {}, {}", geometry.pieces(), geometry.piece_length(), geometry.total_length()),
    ];
    let mut add = |there: bool, line: String| lines.extend(there.then_some(line));
    add(torrent.private(), "private".into());
    add(!torrent.trackers().is_empty(), format!("trackers {:?}", torrent.trackers()));
    add(!torrent.web_seeds().is_empty(), format!("web seeds {:?}", torrent.web_seeds()));
    add(!torrent.nodes().is_empty(), format!("nodes {:?}", torrent.nodes()));
    add(torrent.creation_date().is_some(), format!("date {:?}", torrent.creation_date()));
    for file in torrent.files() {
        let mut line = format!("file {}, {}", file.path, file.length);
        line += if file.pad { ", pad" } else { "" };
        line += if file.executable { ", executable" } else { "" };
        line += if file.hidden { ", hidden" } else { "" };
        line += &file.symlink.as_ref().map_or(String::new(), |target| format!(", link to {target}"));
        line += &file.pieces_root.map_or(String::new(), |root| format!(", root {}", hex(&root)));
        add(true, line);
    }
    torrent.warnings().iter().for_each(|warning| add(true, format!("warning {warning}")));
    lines
}

/// What holds of every torrent that is taken, whatever its bytes.
fn check_invariants(torrent: &Metainfo, bytes: &[u8]) {
    let info = &bytes[torrent.info_span()];
    assert_eq!(torrent.hashes().v1, torrent.is_v1().then(|| Sha1::digest(info).into()));
    assert_eq!(torrent.hashes().v2, torrent.is_v2().then(|| Sha256::digest(info).into()));
    assert!(torrent.is_v1() || torrent.is_v2());
    let (geometry, layout) = (torrent.geometry(), torrent.layout());
    assert_eq!(layout.total_length(), geometry.total_length());
    assert_eq!(layout.piece_length(), geometry.piece_length());
    assert_eq!(torrent.piece_hashes().len(), if torrent.is_v1() { geometry.pieces() as usize } else { 0 });
    assert_eq!(SafePath::sanitize([torrent.name().as_bytes()]).file_name(), torrent.name());
    let mut stored = std::collections::BTreeSet::new();
    for file in torrent.files() {
        assert_eq!(SafePath::sanitize(file.path.elements().iter().map(String::as_bytes)), file.path);
        assert_eq!(file.layout.is_none(), file.symlink.is_some());
        let Some(at) = file.layout else { continue };
        let twin = &layout.files()[at];
        assert_eq!((&twin.path, twin.length, twin.offset, twin.pad), (&file.path, file.length, file.offset, file.pad));
        assert!(file.pad || stored.insert(file.path.to_string().to_lowercase()), "{} twice", file.path);
    }
    let folder = |path: &String| {
        stored.range(format!("{path}/")..).next().is_some_and(|next| next.starts_with(&format!("{path}/")))
    };
    assert!(!stored.iter().any(folder), "a file is a folder, too");
    assert!(torrent.trackers().iter().all(|tier| !tier.is_empty()));
}

#[test]
fn known_torrents_say_what_they_should() {
    for (id, bytes, expected) in table::CASES {
        match (parse(bytes), expected) {
            (Ok(torrent), Ok(lines)) => {
                assert_eq!(describe(&torrent), *lines, "{id}");
                check_invariants(&torrent, bytes);
            }
            (Err(error), Err(text)) => assert_eq!(error.to_string(), *text, "{id}"),
            (got, expected) => panic!("{id}: {got:?}, not {expected:?}"),
        }
    }
}

#[test]
fn no_cut_of_a_torrent_is_taken() {
    for (id, bytes, _) in table::CASES.iter().filter(|(_, _, expected)| expected.is_ok()) {
        for end in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..end]), Err(MetainfoError::Bencode(_))), "{id} cut at {end}");
        }
    }
}

#[test]
fn any_byte_may_be_wrong() {
    for (_, bytes, _) in table::CASES {
        for at in 0..bytes.len() {
            for byte in [0, b'0', b'9', b'd', b'e', b'i', b'l', b':', 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                if let Ok(torrent) = parse(&changed) {
                    check_invariants(&torrent, &changed);
                }
            }
        }
    }
}

/// A torrent of files given as (path, length), with a piece of 16 KiB for all of them.
fn folder(files: &[(&[&str], i64)]) -> Vec<u8> {
    torrent(|info| {
        info.list("files", |list| {
            for (path, length) in files {
                list.dict(|file| put_file(file, path, *length));
            }
        });
    })
}

fn put_file(file: &mut DictEncoder<'_>, path: &[&str], length: i64) {
    file.int("length", length);
    file.list("path", |list: &mut ListEncoder<'_>| {
        for element in path {
            list.bytes(element);
        }
    });
}

/// A torrent of one piece of 16 KiB called `t`, whose info dictionary is filled.
fn torrent(fill: impl FnOnce(&mut DictEncoder<'_>)) -> Vec<u8> {
    encode_dict(|top| {
        top.dict("info", |info| {
            info.bytes("name", "t").int("piece length", 16_384).bytes("pieces", [b'a'; 20]);
            fill(info);
        });
    })
}

fn paths(torrent: &Metainfo) -> Vec<String> {
    torrent.files().iter().map(|file| file.path.to_string()).collect()
}

#[test]
fn colliding_paths_get_numbers() {
    let bytes = folder(&[
        (&["foo", "bar.txt"], 1),
        (&["foo", "BAR.txt"], 1),
        (&["foo", "bar.1.txt"], 1),
        (&["foo", "bar.txt"], 1),
        (&["x"], 1),
        (&["X", "y"], 1),
        (&["a:b"], 1),
        (&["a|b"], 1),
    ]);
    let torrent = parse(&bytes).unwrap();
    assert_eq!(
        paths(&torrent),
        [
            "t/foo/bar.txt",
            "t/foo/BAR.2.txt",
            "t/foo/bar.1.txt",
            "t/foo/bar.3.txt",
            "t/x.1",
            "t/X/y",
            "t/a_b",
            "t/a_b.1"
        ]
    );
    assert_eq!(torrent.warnings().len(), 4);
    check_invariants(&torrent, &bytes);
}

#[test]
fn thousands_of_collisions_are_refused() {
    let same = |count: usize| folder(&vec![(&["same"][..], 1); count]);
    assert_eq!(parse(&same(501)).map(|torrent| torrent.files().len()), Ok(501));
    assert_eq!(parse(&same(502)), Err(MetainfoError::TooManyCollisions(500)));
}

#[test]
fn limits_hold() {
    let limits = MetainfoLimits { files: 2, path_bytes: 20, addresses: 2, text_bytes: 3, ..MetainfoLimits::default() };
    let parse = |bytes: &[u8]| Metainfo::parse(bytes, &limits);
    assert!(parse(&folder(&[(&["a"], 1), (&["b"], 1)])).is_ok());
    assert_eq!(parse(&folder(&[(&["a"], 1), (&["b"], 1), (&["c"], 1)])), Err(MetainfoError::TooManyFiles(2)));
    assert!(parse(&folder(&[(&["1234567890", "12345"], 1)])).is_ok_and(|torrent| paths(&torrent)[0].len() == 18));
    assert_eq!(
        parse(&folder(&[(&["1234567890", "12345678"], 1)])).unwrap_err().to_string(),
        "info.files[0]: field \"path\" (byte 34): longer than is allowed"
    );
    let many = encode_dict(|top| {
        top.bytes("comment", "äöü").list("url-list", |list| {
            list.bytes("http://a/").bytes("http://b/").bytes("http://c/");
        });
        top.raw("info", b"d6:lengthi1e4:name1:t12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
    });
    let torrent = parse(&many).unwrap();
    assert_eq!((torrent.web_seeds().len(), torrent.comment(), torrent.warnings().len()), (2, Some("ä"), 1));
    let deep: Vec<&str> = vec!["d"; 99];
    assert!(super::tests::parse(&folder(&[(&deep[..], 1)])).is_ok());
    let deeper: Vec<&str> = vec!["d"; 100];
    assert!(super::tests::parse(&folder(&[(&deeper[..], 1)])).is_err());
}

#[test]
fn sizes_are_checked_without_overflow() {
    let single = |length: i64, piece_length: i64| {
        let bytes = torrent(|info| {
            info.int("length", length).int("piece length", piece_length);
        });
        parse(&bytes).map(|torrent| torrent.geometry().pieces()).map_err(|error| error.to_string())
    };
    assert_eq!(single(16_384, 16_384), Ok(1));
    assert_eq!(single(1, 32_767 * 16_384), Ok(1));
    for (length, piece_length, problem) in [
        (16_385, 16_384, "it does not have one hash for each piece"),
        (-1, 16_384, "negative"),
        (0, 16_384, "the torrent holds no data"),
        (1, 0, "0"),
        (1, -5, "negative"),
        (1, 32_767 * 16_384 + 1, "greater than is handled"),
        (1, i64::MAX, "greater than is handled"),
        (2_097_153, 1, "2097153 pieces, more than the 2097152 that are handled"),
        (i64::MAX, 1, "9223372036854775807 pieces, more than the 2097152 that are handled"),
    ] {
        let got = single(length, piece_length).unwrap_err();
        assert!(got.ends_with(&format!(": {problem}")), "{length} {piece_length}: {got}");
    }
    let sum = folder(&[(&["a"], i64::MAX), (&["b"], 1)]);
    assert!(parse(&sum).unwrap_err().to_string().contains("the lengths add up to more than 64 bits"));
}

#[test]
fn links_and_pads_are_not_files() {
    let bytes = torrent(|info| {
        info.list("files", |list| {
            list.dict(|file| put_file(file, &["dir", "real"], 5));
            for target in [&["dir", "real"][..], &["..", "etc"], &["dir"], &["dir", "nothing"]] {
                list.dict(|file| {
                    put_file(file, &["link"], 99);
                    file.bytes("attr", "lhx").list("symlink path", |path| {
                        for element in target {
                            path.bytes(element);
                        }
                    });
                });
            }
            list.dict(|file| put_file(file, &["_____padding_file_0"], 3));
        });
    });
    let torrent = parse(&bytes).unwrap();
    let targets: Vec<String> =
        torrent.files().iter().filter_map(|file| file.symlink.as_ref()).map(|path| path.to_string()).collect();
    assert_eq!(targets, ["t/dir/real", "t/link", "t/link", "t/link"]);
    assert_eq!(torrent.layout().files().len(), 2);
    assert!(torrent.layout().files()[1].pad && torrent.files()[5].layout == Some(1));
    assert_eq!((torrent.geometry().total_length(), torrent.content_length()), (8, 5));
    assert!(torrent.files()[1].hidden && torrent.files()[1].executable);
}

#[test]
fn a_name_of_nothing_becomes_the_hash() {
    let bytes = torrent(|info| {
        info.bytes("name", "..").int("length", 1);
    });
    let torrent = parse(&bytes).unwrap();
    assert_eq!(torrent.name(), torrent.hashes().best().to_hex());
    assert_eq!(paths(&torrent), [torrent.name()]);
}

#[test]
fn what_stands_outside_is_forgiven() {
    let parse_with = |fill: &dyn Fn(&mut DictEncoder<'_>)| {
        parse(&encode_dict(|top| {
            top.raw("info", b"d6:lengthi1e4:name1:t12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
            fill(top);
        }))
        .unwrap()
    };
    // Trackers are trimmed; what is no tracker is left out, and a list of nothing falls back.
    let torrent = parse_with(&|top| {
        top.bytes("announce", " http://a/x\n").list("announce-list", |list| {
            list.list(|tier| {
                tier.bytes("").bytes("dht://").int(1);
            });
        });
    });
    assert_eq!(torrent.trackers(), [["http://a/x"]]);
    assert_eq!(torrent.warnings().len(), 2);
    let flat = parse_with(&|top| {
        top.list("announce-list", |list| {
            list.bytes("UDP://a:1").bytes("http://b/");
        });
    });
    assert_eq!(flat.trackers(), [["UDP://a:1"], ["http://b/"]]);
    let wrong = parse_with(&|top| {
        top.int("announce", 1).int("announce-list", 2).int("comment", 3).int("nodes", 4).int("url-list", 5);
        top.bytes("creation date", "now").int("httpseeds", 6).int("encoding", 7).int("created by", 8);
    });
    assert!(wrong.trackers().is_empty() && wrong.web_seeds().is_empty() && wrong.nodes().is_empty());
    assert_eq!(
        (wrong.comment(), wrong.created_by(), wrong.creation_date(), wrong.encoding()),
        (None, None, None, None)
    );
    let nodes = parse_with(&|top| {
        top.list("nodes", |list| {
            list.bytes("a.example:1").bytes("[::1]:2").bytes("x").bytes("udp://x:80").bytes("a.example:1");
        });
    });
    assert_eq!(nodes.nodes(), [("a.example".to_string(), 1), ("::1".to_string(), 2)]);
    let text = parse_with(&|top| {
        top.bytes("comment", "old").bytes("comment.utf-8", b"new \xff").bytes("httpseeds", "http://h");
    });
    assert_eq!((text.comment(), text.http_seeds()), (Some("new \u{fffd}"), &["http://h".to_string()][..]));
}

#[test]
fn web_seeds_of_folders_end_in_a_slash() {
    let bytes = encode_dict(|top| {
        top.list("url-list", |list| {
            list.bytes("http://a/d").bytes("http://b/");
        });
        let info = folder(&[(&["a"], 1)]);
        top.raw("info", &info[7..info.len() - 1]);
    });
    assert_eq!(parse(&bytes).unwrap().web_seeds(), ["http://a/d/", "http://b/"]);
}

#[test]
fn bytes_behind_the_end_are_reported() {
    let mut bytes = table::CASES[0].1.to_vec();
    let length = bytes.len();
    bytes.extend_from_slice(b"\n");
    assert_eq!(parse(&bytes).unwrap().warnings(), [format!("byte {length}: bytes behind the end are ignored")]);
}

#[test]
fn an_info_dictionary_alone_is_no_torrent_and_is_read_as_what_it_is() {
    for (id, bytes, expected) in table::CASES {
        let Ok(torrent) = parse(bytes) else { continue };
        let info = &bytes[torrent.info_span()];
        assert!(parse(info).unwrap_err().to_string().starts_with("field \"info\""), "{id}");
        let alone = Metainfo::parse_info(info, &MetainfoLimits::default()).unwrap();
        check_invariants(&alone, info);
        assert_eq!((alone.hashes(), alone.layout()), (torrent.hashes(), torrent.layout()), "{id}");
        assert!(expected.is_ok());
    }
    let trailing = Metainfo::parse_info(b"de\n", &MetainfoLimits::default()).unwrap_err();
    assert_eq!(trailing.to_string(), "not a torrent file: byte 2: there are bytes behind the end of the value");
}

#[test]
fn a_million_addresses_take_no_time() {
    let bytes = encode_dict(|top| {
        top.raw("info", b"d6:lengthi1e4:name1:t12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
        top.list("announce-list", |list| {
            list.list(|tier| {
                for number in 0..500_000 {
                    tier.bytes(format!("http://{}", number % 999));
                }
            });
        });
    });
    let torrent = parse(&bytes).unwrap();
    assert_eq!(torrent.trackers()[0].len(), 999);
    assert_eq!(torrent.warnings().len(), 100, "warnings are limited, too");
}

#[test]
fn a_newer_version_is_said_to_be_one() {
    let bytes = torrent(|info| {
        info.int("meta version", 3);
    });
    let error = parse(&bytes).unwrap_err().to_string();
    assert!(error.contains("\"meta version\"") && error.ends_with("a version that is not known here"), "{error}");
}

#[test]
fn gaps_of_version_2_are_pad_files() {
    let root = [7u8; 32];
    let bytes = encode_dict(|top| {
        top.dict("info", |info| {
            info.bytes("name", "t").int("piece length", 16_384).int("meta version", 2).dict("file tree", |tree| {
                for (name, length) in [("a", 100), ("b", 0), ("c", 16_384), ("d", 1)] {
                    tree.dict(name, |node| {
                        node.dict("", |leaf| {
                            leaf.int("length", length);
                            if length > 0 {
                                leaf.bytes("pieces root", root);
                            }
                        });
                    });
                }
            });
        });
    });
    let torrent = parse(&bytes).unwrap();
    assert!(torrent.is_v2() && !torrent.is_v1() && torrent.piece_hashes().is_empty());
    assert_eq!(paths(&torrent), ["t/a", "t/b", "t/.pad/16284", "t/c", "t/d"]);
    assert_eq!(torrent.geometry().pieces(), 3);
    assert_eq!(torrent.content_length(), 16_485);
    check_invariants(&torrent, &bytes);
}

#[test]
fn a_piece_layer_that_is_wrong_anywhere_is_refused() {
    let (_, good, _) = table::CASES.iter().find(|(id, ..)| *id == "v2-ok").unwrap();
    let torrent = parse(good).unwrap();
    let root = torrent.files()[0].pieces_root.unwrap();
    let layer = torrent.piece_layer(&root).unwrap();
    assert_eq!((layer.len(), torrent.piece_layer(&[0; 32])), (64, None));
    let start = good.windows(64).position(|window| window == layer).unwrap();
    for at in start..start + 64 {
        let mut wrong = good.to_vec();
        wrong[at] ^= 1;
        assert_eq!(parse(&wrong), Err(MetainfoError::PieceLayer("a.bin".to_string())), "byte {at}");
    }
}

#[test]
fn version_2_must_be_canonical_and_keep_its_piece_length() {
    let (_, good, _) = table::CASES.iter().find(|(id, ..)| *id == "v2-ok").unwrap();
    let replaced = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        parse(&[&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()).unwrap_err().to_string()
    };
    let zero = replaced("i20000e", "i020000e");
    assert!(zero.contains("must be canonical") && zero.ends_with("a number has a leading zero"), "{zero}");
    for length in ["i8192e", "i16385e", "i49152e"] {
        let text = replaced("i16384e", length);
        assert!(text.ends_with("not a power of two of at least 16 KiB"), "{text}");
    }
    let pad = replaced("d6:lengthi20000e", "d4:attr1:p6:lengthi20000e");
    assert!(pad.ends_with("version 2 has no pad files"), "{pad}");
}

#[test]
fn merkle_roots_are_as_known() {
    // Data of SHA-256(seed || counter), counter in 64 bits from 0; roots as libtorrent computes them.
    let leaves = |seed: &str, size: usize| -> Vec<merkle::Node> {
        let hash = |counter: u64| -> [u8; 32] {
            Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize().into()
        };
        let data: Vec<u8> = (0..size.div_ceil(32) as u64).flat_map(hash).take(size).collect();
        data.chunks(16_384).map(|block| Sha256::digest(block).into()).collect()
    };
    for (seed, size, piece_length, expected) in [
        ("merkle0", 1, 16_384, "50868f20258bbc9cce0da2719e8654c108733dd2f663b8737c574ec0ead93eb3"),
        ("merkle4", 32_768, 16_384, "afcb9147b3e0ca1085adf440d2123e7244db8e55098e59eb986ffd6cfcf6e919"),
        ("merkle5", 49_153, 16_384, "b3d873258b3c0cec2e21d568c28fae3d4eaf44ea740922c6942ffcf53e8a8401"),
        ("merkle6", 65_536, 65_536, "498198bb902eb929c6a979ec7bfeaff5c41bc8e2ae78a5690f08bdb13129c692"),
        ("merkle8", 100_000, 32_768, "76dbb51beb4f6d6e64202f7a340132bf11d89032c9c6f9fe5c19932cc1037ce5"),
        ("merkle10", 1_048_577, 262_144, "f661f3677e50c307a40a93ca8d246205b164dd24ce41a8f30926d32038876de2"),
    ] {
        let leaves = leaves(seed, size);
        let root = merkle::root(leaves.iter().copied(), 0).unwrap();
        assert_eq!(hex(&root), expected, "{seed}");
        // And by way of the piece layer, where the last piece is filled up to a whole one.
        let blocks: usize = piece_length / 16_384;
        let level = blocks.trailing_zeros();
        if leaves.len() > blocks {
            let filled = |piece: &[merkle::Node]| {
                merkle::root(piece.iter().copied().chain([[0; 32]].into_iter().cycle()).take(blocks), 0).unwrap()
            };
            assert_eq!(merkle::root(leaves.chunks(blocks).map(filled), level), Some(root), "{seed}");
        }
    }
    assert_eq!(merkle::root([], 0), None);
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&bytes).is_err());
    }

    #[test]
    fn no_names_break_it(files in prop::collection::vec((prop::collection::vec("\\PC{0,6}|[a-b.]{1,2}", 1..4), 0i64..50), 1..30)) {
        let borrowed: Vec<(Vec<&str>, i64)> = files.iter().map(|(path, length)| (path.iter().map(String::as_str).collect(), *length)).collect();
        let slices: Vec<(&[&str], i64)> = borrowed.iter().map(|(path, length)| (&path[..], *length)).collect();
        let bytes = folder(&slices);
        match parse(&bytes) {
            Ok(torrent) => check_invariants(&torrent, &bytes),
            Err(error) => prop_assert_eq!(error, MetainfoError::Geometry(GeometryError::Empty)),
        }
    }

    #[test]
    fn no_change_breaks_it(case in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = case.get(table::CASES).1.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(torrent) = parse(&bytes) {
            check_invariants(&torrent, &bytes);
        }
    }
}
