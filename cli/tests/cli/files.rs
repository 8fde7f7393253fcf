//! `create`, `inspect` and `verify`.

use crate::Here;
use serde_json::json;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

#[test]
fn what_was_made_can_be_shown_and_checked() {
    let here = Here::new();
    here.file("thing/b", 100_000);
    here.file("thing/a/z", 5);
    here.file("thing/a.txt", 40_000);
    here.write("thing/empty", b"");
    let made = here.done(&[
        "create",
        "thing",
        "-o",
        "t.torrent",
        "--piece-length",
        "32K",
        "--private",
        "--comment",
        "words",
        "--tracker",
        "http://one.example/announce",
        "--tracker",
        "udp://two.example:6969",
        "--json",
    ]);
    let made = made.json();
    assert_eq!((&made["piece_count"], &made["bytes"], &made["files"]), (&json!(5), &json!(140_005), &json!(4)));

    let shown = here.done(&["inspect", "t.torrent", "--json"]).json();
    assert_eq!(shown["name"], "thing");
    assert_eq!(shown["info_hash_v1"], made["info_hash"]);
    assert_eq!(shown["info_hash_v1"].as_str().map(str::len), Some(40));
    assert_eq!((&shown["piece_length"], &shown["piece_count"]), (&json!(32768), &json!(5)));
    assert_eq!((&shown["total_length"], &shown["private"]), (&json!(140_005), &json!(true)));
    assert_eq!(shown["trackers"], json!([["http://one.example/announce"], ["udp://two.example:6969"]]));
    assert_eq!(shown["comment"], "words");
    assert!(shown["created_by"].as_str().unwrap().starts_with("Parcacik"));
    assert!(shown["creation_date"].as_i64().unwrap() > 1_500_000_000);
    for empty in ["web_seeds", "http_seeds", "dht_nodes", "warnings"] {
        assert_eq!(shown[empty], json!([]), "{empty}");
    }
    for null in ["info_hash_v2", "source"] {
        assert!(shown.as_object().unwrap().contains_key(null) && shown[null].is_null(), "{null}");
    }
    let paths: Vec<&str> =
        shown["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["thing/a/z", "thing/a.txt", "thing/b", "thing/empty"]);
    assert_eq!(
        shown["files"][1],
        json!({"index": 2, "path": "thing/a.txt", "length": 40_000, "pad": false, "executable": false, "hidden": false,
               "symlink": null, "pieces_root": null})
    );
    let text = here.done(&["inspect", "t.torrent"]).out;
    assert!(
        text.contains("thing/a.txt") && text.contains("39.1 KiB") && text.contains("udp://two.example:6969"),
        "{text}"
    );

    let checked = here.done(&["verify", "t.torrent", "--data", ".", "--json"]).json();
    assert_eq!(
        (&checked["pieces_ok"], &checked["pieces_bad"], &checked["complete"]),
        (&json!(5), &json!(0), &json!(true))
    );
}

#[test]
fn the_same_files_have_the_same_hash() {
    let (one, other) = (Here::new(), Here::new());
    for here in [&one, &other] {
        here.file("thing/a", 70_000);
    }
    other.file("thing/b", 1);
    other.file("thing/c", 1);
    std::fs::remove_file(other.path().join("thing/c")).unwrap();
    one.file("thing/b", 1);
    let hash = |here: &Here| here.done(&["create", "thing", "-o", "t.torrent", "--json"]).json()["info_hash"].clone();
    assert_eq!(hash(&one), hash(&other));
}

#[test]
fn a_single_file_is_a_torrent_without_a_folder() {
    let here = Here::new();
    // The SHA-1 of this info dictionary was computed by another program: of
    // d6:lengthi5e4:name9:hello.txt12:piece lengthi16384e6:pieces20:<SHA-1 of "hello">e
    here.write("hello.txt", b"hello");
    let made = here.done(&["create", "hello.txt", "-o", "t.torrent", "--json"]).json();
    assert_eq!((&made["name"], &made["piece_length"]), (&json!("hello.txt"), &json!(16384)));
    assert_eq!(made["info_hash"], "0eb2d544ef0c9ae3c0fbba90a71cd742a44aa81d");
    let shown = here.done(&["inspect", "t.torrent", "--json"]).json();
    assert_eq!(shown["files"][0]["path"], "hello.txt");
    here.done(&["verify", "t.torrent", "--data", "."]);
}

#[test]
fn a_bad_piece_is_found_and_named() {
    let here = Here::new();
    here.file("thing/a", 100_000);
    here.file("thing/b", 100_000);
    here.done(&["create", "thing", "-o", "t.torrent", "--piece-length", "16K"]);
    let mut bytes = here.read("thing/b");
    bytes[99_999] ^= 1;
    here.write("thing/b", &bytes);
    let ended = here.run(&["verify", "t.torrent", "--data", ".", "--json"]);
    assert_eq!(ended.code, Some(1));
    let checked = ended.json();
    assert_eq!(checked["bad_pieces"], json!([12]));
    assert_eq!(checked["bad_files"], json!([{"path": "thing/b", "problem": "wrong data", "pieces": 1}]));
    assert_eq!(
        (&checked["pieces_ok"], &checked["pieces_bad"], &checked["complete"]),
        (&json!(12), &json!(1), &json!(false))
    );
    let text = here.run(&["verify", "t.torrent", "--data", "."]).out;
    assert!(text.contains("thing/b") && text.contains("bad pieces: 12"), "{text}");
}

#[test]
fn files_that_are_missing_or_of_the_wrong_length_are_told_apart() {
    let here = Here::new();
    for name in ["a", "b", "c", "d"] {
        here.file(&format!("thing/{name}"), 16 << 10);
    }
    here.write("thing/empty", b"");
    here.done(&["create", "thing", "-o", "t.torrent", "--piece-length", "16K"]);
    std::fs::remove_file(here.path().join("thing/a")).unwrap();
    std::fs::remove_file(here.path().join("thing/empty")).unwrap();
    let bytes = here.read("thing/b");
    here.write("thing/b", &bytes[..100]);
    let mut bytes = here.read("thing/c");
    bytes.push(0);
    here.write("thing/c", &bytes);
    let ended = here.run(&["verify", "t.torrent", "--data", ".", "--json"]);
    assert_eq!(ended.code, Some(1));
    let checked = ended.json();
    assert_eq!(checked["bad_pieces"], json!([0, 1]));
    let problem = |at: usize| (checked["bad_files"][at]["path"].as_str(), checked["bad_files"][at]["problem"].as_str());
    assert_eq!(problem(0), (Some("thing/a"), Some("missing")));
    assert_eq!(problem(1), (Some("thing/b"), Some("too short: 100 of 16384 bytes")));
    assert_eq!(problem(2), (Some("thing/empty"), Some("missing")));
    // One that is too long holds what it should.
    assert_eq!(checked["bad_files"].as_array().map(Vec::len), Some(3));
    assert!(ended.err.contains("thing/c is 1 bytes longer"), "{ended:?}");
}

#[test]
fn create_replaces_nothing_unless_it_is_told_to() {
    let here = Here::new();
    here.file("thing/a", 10);
    here.write("thing/t.torrent", b"precious");
    let ended = here.run(&["create", "thing", "-o", "thing/t.torrent"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("--force"), "{ended:?}");
    assert_eq!(here.read("thing/t.torrent"), b"precious");

    // The output file is no part of the torrent, and no other file is left behind.
    let made = here.done(&["create", "thing", "-o", "thing/t.torrent", "--force", "--json"]).json();
    assert_eq!((&made["files"], &made["bytes"]), (&json!(1), &json!(10)));
    assert_eq!(std::fs::read_dir(here.path().join("thing")).unwrap().count(), 2);
}

#[test]
fn create_leaves_links_out() {
    let here = Here::new();
    here.file("thing/a", 10);
    std::os::unix::fs::symlink("/etc/passwd", here.path().join("thing/link")).unwrap();
    std::os::unix::fs::symlink(".", here.path().join("thing/loop")).unwrap();
    let ended = here.done(&["create", "thing", "-o", "t.torrent", "--json"]);
    assert_eq!(ended.json()["files"], 1);
    assert_eq!(ended.err.matches("symbolic link").count(), 2, "{ended:?}");
}

#[test]
fn create_refuses_what_is_no_torrent() {
    let here = Here::new();
    std::fs::create_dir(here.path().join("nothing")).unwrap();
    here.write("empty", b"");
    for path in ["nothing", "empty", "missing"] {
        let ended = here.run(&["create", path, "-o", "t.torrent"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(!here.path().join("t.torrent").exists());
    }
}

#[test]
fn words_of_strangers_do_not_reach_the_terminal_as_they_are() {
    let here = Here::new();
    here.write(
        "evil.torrent",
        b"d7:comment8:\x1b[2Jevil4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
    );
    let shown = here.done(&["inspect", "evil.torrent"]);
    assert!(!shown.out.contains('\x1b') && shown.out.contains("evil"), "{shown:?}");
    assert_eq!(here.done(&["inspect", "evil.torrent", "--json"]).json()["comment"], "\x1b[2Jevil");
}

#[test]
fn everything_that_create_is_told_is_read_back() {
    let here = Here::new();
    here.file("thing/a", 70_000);
    let args = ["create", "thing", "-o", "t.torrent", "--name", "other", "--source", "SITE", "--private"];
    let more = [
        "--tracker",
        "http://t.example/announce",
        "--web-seed",
        "https://a.example/x/",
        "--web-seed",
        "http://b.example/",
    ];
    let made = here.done(&[&args[..], &more, &["--json"]].concat());
    assert!(made.err.is_empty(), "{made:?}");
    let made = made.json();
    let shown = here.done(&["inspect", "t.torrent", "--json"]).json();
    assert_eq!((&shown["name"], &made["name"]), (&json!("other"), &json!("other")));
    assert_eq!((&shown["source"], &shown["private"]), (&json!("SITE"), &json!(true)));
    assert_eq!(shown["web_seeds"], json!(["https://a.example/x/", "http://b.example/"]));
    assert_eq!(shown["files"][0]["path"], "other/a");
    assert_eq!(shown["warnings"], json!([]));
    let text = here.done(&["inspect", "t.torrent"]).out;
    assert!(text.contains("https://a.example/x/") && text.contains("SITE"), "{text}");
    // `source` makes another torrent of the same files; web seeds and trackers do not.
    let hash = |more: &[&str]| {
        let args = ["create", "thing", "-o", "x.torrent", "--force", "--json"];
        here.done(&[&args[..], more].concat()).json()["info_hash"].clone()
    };
    let plain = hash(&[]);
    assert_ne!(hash(&["--source", "SITE"]), plain);
    assert_ne!(hash(&["--name", "other"]), plain);
    assert_eq!(hash(&["--web-seed", "https://a.example/", "--tracker", "http://t.example/", "--comment", "c"]), plain);
}

#[test]
fn create_leaves_out_what_is_excluded() {
    let here = Here::new();
    for path in
        ["a.txt", "a.tmp", "deep/b.tmp", "deep/c.txt", "drafts/d.txt", "deep/drafts/e.txt", "top/x/f.txt", ".git/g"]
    {
        here.file(&format!("thing/{path}"), 10);
    }
    // A name that is no UTF-8 hinders nobody when it is left out.
    std::fs::write(here.path().join("thing").join(OsStr::from_bytes(b"\xff.tmp")), b"x").unwrap();
    let paths = |excludes: &[&str]| {
        let mut args = vec!["create", "thing", "-o", "t.torrent", "--force"];
        excludes.iter().for_each(|exclude| args.extend(["--exclude", exclude]));
        let made = here.done(&args);
        let shown = here.done(&["inspect", "t.torrent", "--json"]).json();
        let paths = shown["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned());
        (paths.collect::<Vec<_>>(), made.err)
    };
    let (left, said) = paths(&["*.tmp", "drafts/", "top/*/f.*", ".git"]);
    assert_eq!(left, ["thing/a.txt", "thing/deep/c.txt"]);
    assert!(said.contains("left out by --exclude: 7 files and folders"), "{said}");
    let (left, said) = paths(&["*.tmp", "/drafts", "nothing*"]);
    assert!(left.contains(&"thing/deep/drafts/e.txt".to_owned()) && !left.contains(&"thing/drafts/d.txt".to_owned()));
    assert!(said.contains("--exclude nothing* means no file or folder"), "{said}");

    let ended = here.run(&["create", "thing", "-o", "none.torrent", "--exclude", "*"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("nothing of thing is left"), "{ended:?}");
    assert!(!here.path().join("none.torrent").exists());
}

#[test]
fn a_private_torrent_without_a_tracker_is_warned_of() {
    let here = Here::new();
    here.file("a", 10);
    let ended = here.done(&["create", "a", "-o", "t.torrent", "--private"]);
    assert!(ended.err.contains("without a tracker"), "{ended:?}");
}

#[test]
fn a_magnet_link_holds_what_the_torrent_says() {
    let here = Here::new();
    here.write("a b&c.txt", b"hello");
    here.done(&[
        "create",
        "a b&c.txt",
        "-o",
        "t.torrent",
        "--tracker",
        "http://one.example/announce?key=1&x",
        "--tracker",
        "udp://two.example:6969",
        "--web-seed",
        "https://files.example/a",
    ]);
    let hash = here.done(&["inspect", "t.torrent", "--json"]).json()["info_hash_v1"].as_str().unwrap().to_owned();
    let link = here.done(&["magnet", "t.torrent"]);
    assert_eq!(
        link.out.trim_end(),
        format!(
            "magnet:?xt=urn:btih:{hash}&dn=a%20b%26c.txt&xl=5&tr=http%3A%2F%2Fone.example%2Fannounce%3Fkey%3D1%26x\
             &tr=udp%3A%2F%2Ftwo.example%3A6969&ws=https%3A%2F%2Ffiles.example%2Fa"
        )
    );
    assert!(link.err.is_empty(), "{link:?}");
    let short = here.done(&["magnet", "t.torrent", "--no-tracker", "--json"]).json();
    assert_eq!(
        short,
        json!({"magnet": format!("magnet:?xt=urn:btih:{hash}&dn=a%20b%26c.txt&xl=5&ws=https%3A%2F%2Ffiles.example%2Fa"),
               "name": "a b&c.txt", "info_hash_v1": hash, "info_hash_v2": null})
    );
}

#[test]
fn a_magnet_link_of_version_2_has_its_hash() {
    let here = Here::new();
    here.write("v2.torrent", &crate::usage::v2_torrent());
    let shown = here.done(&["inspect", "v2.torrent", "--json"]).json();
    let link = here.done(&["magnet", "v2.torrent"]).out;
    let hash = shown["info_hash_v2"].as_str().unwrap();
    assert_eq!(link.trim_end(), format!("magnet:?xt=urn:btmh:1220{hash}&dn=a.txt&xl=5"));
}
