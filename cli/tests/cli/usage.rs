//! Wrong usage, and what is refused before anything is done.

use crate::Here;

#[test]
fn wrong_usage_is_exit_code_2() {
    let here = Here::new();
    for wrong in [
        &[][..],
        &["fetch"],
        &["download"],
        &["download", "a.torrent", "--peer", "nowhere"],
        &["download", "a.torrent", "--listen", "localhost"],
        &["download", "a.torrent", "--tracker", "ftp://tracker.example/"],
        &["download", "a.torrent", "--tracker", "http://tracker.example/", "--no-tracker"],
        &["download", "a.torrent", "--stop-after", "soon"],
        &["download", "a.torrent", "--seed", "--seed-ratio", "1"],
        &["download", "a.torrent", "--seed-ratio", "much"],
        &["download", "a.torrent", "--max-peers", "0"],
        &["download", "a.torrent", "--max-download", "0"],
        &["seed", "a.torrent", "--data", ".", "--max-upload", "fast"],
        &["seed", "a.torrent"],
        &["create", "thing"],
        &["create", "thing", "-o", "t", "--piece-length", "1000"],
        &["verify", "a.torrent"],
        &["inspect"],
        &["tracker"],
        &["dht"],
        &["dht", "get-peers", "12"],
        &["dht", "get", "0123"],
        &["dht", "announce", "0123456789abcdef0123456789abcdef01234567"],
        &["dht", "announce", "0123456789abcdef0123456789abcdef01234567", "--port", "0"],
        &["dht", "put", "note", "--salt", "without a key"],
        &["dht", "sample", "127.0.0.1:1", "--nodes", "3"],
        &["dht", "ping", "127.0.0.1"],
        &["replay"],
        &["dissect"],
        &["redact", "a.rec"],
        &["shrink", "a.rec", "-o", "b.rec"],
        &["inspect", "a", "-q", "-v"],
    ] {
        let ended = here.run(wrong);
        assert_eq!(ended.code, Some(2), "{wrong:?}: {ended:?}");
        assert!(ended.out.is_empty() && !ended.err.is_empty(), "{wrong:?}: {ended:?}");
    }
}

#[test]
fn the_help_names_exit_codes_and_the_version() {
    let here = Here::new();
    assert!(here.done(&["--help"]).out.contains("Exit codes"));
    assert!(here.done(&["--version"]).out.starts_with("parcacik "));
}

#[test]
fn what_is_no_torrent_is_refused_with_the_place() {
    let here = Here::new();
    for (bytes, words) in [
        (&b"d4:infoi5ee"[..], "\"info\" (byte 7)"),
        (b"hello", "byte 0"),
        (b"", "byte 0"),
        (b"d4:infod6:lengthi5e4:name1:a12:piece lengthi16384eee", "pieces"),
        (b"d4:infod6:lengthi-5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", "length"),
    ] {
        here.write("bad.torrent", bytes);
        for command in
            [&["inspect", "bad.torrent"][..], &["download", "bad.torrent"], &["verify", "bad.torrent", "--data", "."]]
        {
            let ended = here.run(command);
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.err.contains("bad.torrent") && ended.err.contains(words), "{words}: {ended:?}");
            assert!(ended.out.is_empty(), "{ended:?}");
        }
    }
}

#[test]
fn what_cannot_be_done_is_told_with_what_to_do() {
    let here = Here::new();
    here.file("a", 100);
    here.done(&["create", "a", "-o", "a.torrent"]);
    for (args, words) in [
        (&["download", "nothing.torrent"][..], "nothing.torrent"),
        (
            &["verify", "magnet:?xt=urn:btih:0000000000000000000000000000000000000000", "--data", "."],
            "a magnet link is taken by download and metadata only",
        ),
        (&["download", "magnet:?dn=nothing"], "no info-hash"),
        (&["download", "."], "folder"),
        (&["seed", "a.torrent", "--data", "nowhere"], "nowhere"),
        (&["verify", "a.torrent", "--data", "nowhere"], "nowhere"),
        // An address for documentation (RFC 5737): never one of this machine's.
        (&["seed", "a.torrent", "--data", ".", "--listen", "192.0.2.1:0"], "--listen"),
        (&["tracker", "--listen", "192.0.2.1:0"], "192.0.2.1"),
    ] {
        let ended = here.run(args);
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        assert!(ended.err.starts_with("error: ") && ended.err.contains(words), "{args:?}: {ended:?}");
    }
}

/// One file of 5 bytes; "meta version" 2 and a file tree (BEP 52), no "pieces".
pub fn v2_torrent() -> Vec<u8> {
    let mut bytes = b"d4:infod9:file treed5:a.txtd0:d6:lengthi5e11:pieces root32:".to_vec();
    bytes.extend([7; 32]);
    bytes.extend(b"eee12:meta versioni2e4:name5:a.txt12:piece lengthi16384eee");
    bytes
}

#[test]
fn a_torrent_of_version_2_only_is_shown_and_not_transferred() {
    let here = Here::new();
    here.write("v2.torrent", &v2_torrent());
    let shown = here.done(&["inspect", "v2.torrent", "--json"]).json();
    assert!(shown["info_hash_v1"].is_null(), "{shown}");
    assert_eq!(shown["info_hash_v2"].as_str().map(str::len), Some(64));
    assert_eq!(shown["files"][0]["pieces_root"], "07".repeat(32));
    for args in [
        &["download", "v2.torrent"][..],
        &["seed", "v2.torrent", "--data", "."],
        &["verify", "v2.torrent", "--data", "."],
    ] {
        let ended = here.run(args);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("version 2 only"), "{ended:?}");
    }
}
