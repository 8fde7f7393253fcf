//! What a command takes for a torrent: files, URLs, and many of them.

use crate::transfers::{start_seed, start_seed_of};
use crate::web::{Page, Site};
use crate::{Here, Running};
use rustix::process::Signal;
use serde_json::json;
use std::io::Write as _;
use std::net::TcpListener;

/// Torrents of one file each, and their data in `there`.
fn torrents(here: &Here, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        here.file(&format!("there/{name}"), 100_000 + number);
        here.done(&["create", &format!("there/{name}"), "-o", &format!("{name}.torrent")]);
    }
}

const QUIET: [&str; 5] = ["--listen", "127.0.0.1:0", "--no-tracker", "--stop-after", "50s"];

#[test]
fn a_torrent_is_fetched_by_its_url() {
    let here = Here::new();
    torrents(&here, &["t"]);
    let torrent = here.read("t.torrent");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&torrent).unwrap();
    let site = Site::start(vec![
        Page::ok("/t.torrent?key=1", torrent),
        Page::other("/old", "301 Moved\r\nLocation: /packed"),
        Page { head: "200 OK\r\nContent-Encoding: gzip", ..Page::ok("/packed", packed.finish().unwrap()) },
    ]);
    let (url, old) = (site.url("/t.torrent?key=1"), site.url("/old"));
    let (_seed, peer) = start_seed_of(&here, &[&url], &[]);
    let ended = here.done(&[&["download", &url, "-o", "here", "--peer", &peer][..], &QUIET].concat());
    assert!(here.read("here/t") == here.read("there/t"));
    assert!(ended.err.contains(&format!("fetching {url}")), "{ended:?}");
    // The other commands take them too, through a redirect and packed.
    let shown = here.done(&["inspect", &old, "--json"]).json();
    assert_eq!(shown["name"], "t");
    let link = here.done(&["magnet", &old]).out;
    assert!(link.contains(shown["info_hash_v1"].as_str().unwrap()), "{link}");
    here.done(&["verify", &old, "--data", "here"]);
}

#[test]
fn what_cannot_be_fetched_is_told_with_what_to_do() {
    let here = Here::new();
    let site = Site::start(vec![
        Page::ok("/page", " <!DOCTYPE html><title>Log in</title>"),
        Page::ok("/other", "hello"),
        Page::other("/forbidden", "403 Forbidden"),
        Page::other("/busy", "503 Busy\r\nRetry-After: 90"),
        Page::other("/loop", "302 Found\r\nLocation: /loop"),
        Page::other("/magnet", "302 Found\r\nLocation: magnet:?xt=urn:btih:0000000000000000000000000000000000000000"),
        Page::other("/file", "302 Found\r\nLocation: file:///etc/passwd"),
    ]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, words) in [
        (site.url("/page"), "is a web page"),
        (site.url("/other"), "not a torrent file"),
        (site.url("/none"), "status 404; check the URL"),
        (site.url("/forbidden"), "status 403; the site wants you to log in"),
        (site.url("/busy"), "status 503; try again in 1m30s"),
        (site.url("/loop"), "too many redirects"),
        (site.url("/magnet"), "give that link itself to download or metadata: magnet:?xt=urn:btih:0000"),
        (site.url("/file"), "file:///etc/passwd"),
        (format!("http://{closed}/"), "connection refused; check the URL"),
        // RFC 2606: never the name of a host.
        ("http://nowhere.invalid/a.torrent".into(), "there is no host nowhere.invalid; check the URL"),
        ("http://user:word@127.0.0.1/".into(), "password"),
    ] {
        for command in [&["inspect", &url][..], &["download", &url, "-o", "here"]] {
            let ended = here.run(command);
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.err.contains("error: ") && ended.err.contains(&url), "{url}: {ended:?}");
            assert!(ended.err.contains(words), "{words}: {ended:?}");
        }
    }
    assert!(!here.path().join("here").exists());
}

#[test]
fn fetching_can_be_stopped() {
    let here = Here::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let download = Running::start(here.command(&["download", &url]));
    // It waits for an answer now.
    let _connection = silent.accept().unwrap();
    download.signal(Signal::INT);
    assert_eq!(download.end().code, Some(130));
}

#[test]
fn a_bad_source_does_not_stop_the_others() {
    let here = Here::new();
    torrents(&here, &["a", "b"]);
    here.write("bad.torrent", b"hello");
    let (_seed, peer) = start_seed_of(&here, &["a.torrent", "b.torrent"], &[]);
    let sources = ["download", "a.torrent", "missing.torrent", "bad.torrent", "b.torrent"];
    let ended = here.run(&[&sources[..], &["-o", "here", "--peer", &peer, "--json"], &QUIET].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for name in ["a", "b"] {
        assert!(here.read(&format!("here/{name}")) == here.read(&format!("there/{name}")), "{name}");
    }
    let lines = ended.lines();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!(of("finished").len(), 2, "{ended:?}");
    let mut failed: Vec<_> = of("failed").iter().map(|line| line["source"].as_str().unwrap()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["bad.torrent", "missing.torrent"]);
    assert!(of("failed").iter().all(|line| line["name"].is_null() && line["error"].is_string()));
    // Told when it happens, and again at the end.
    assert!(ended.err.contains("2 of 4 failed:"), "{ended:?}");
    assert_eq!(ended.err.matches("\n  cannot open missing.torrent").count(), 1, "{ended:?}");
    assert_eq!(ended.err.matches("error: cannot open missing.torrent").count(), 1, "{ended:?}");
}

#[test]
fn a_torrent_that_fails_later_does_not_stop_the_others() {
    let here = Here::new();
    torrents(&here, &["a", "b"]);
    here.write("here/a", &vec![b'x'; 100_000]);
    let (_seed, peer) = start_seed_of(&here, &["a.torrent", "b.torrent"], &[]);
    let ended =
        here.run(&[&["download", "a.torrent", "b.torrent", "-o", "here", "--peer", &peer][..], &QUIET].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(here.read("here/b") == here.read("there/b"));
    assert!(ended.err.contains("1 of 2 failed:") && ended.err.contains("--overwrite"), "{ended:?}");
}

#[test]
fn the_same_torrent_twice_is_downloaded_once() {
    let here = Here::new();
    torrents(&here, &["t"]);
    let (_seed, peer) = start_seed(&here, &[]);
    let sources = ["download", "t.torrent", "./t.torrent", "-o", "here", "--json", "--peer", &peer];
    let ended = here.done(&[&sources[..], &QUIET].concat());
    assert_eq!(ended.lines().iter().filter(|line| line["event"] == "finished").count(), 1, "{ended:?}");
    assert!(
        ended.err.contains("t.torrent and ./t.torrent are the same torrent, t; it is downloaded once"),
        "{ended:?}"
    );
}

#[test]
fn several_torrents_are_seeded_and_one_that_is_not_there_is_told() {
    let here = Here::new();
    torrents(&here, &["a", "b", "gone"]);
    std::fs::remove_file(here.path().join("there/gone")).unwrap();
    let sources = ["a.torrent", "b.torrent", "gone.torrent"];
    let (seed, peer) = start_seed_of(&here, &sources, &["--json"]);
    let ended =
        here.done(&[&["download", "a.torrent", "b.torrent", "-o", "here", "--peer", &peer][..], &QUIET].concat());
    assert_eq!(ended.out.matches("finished").count(), 2, "{ended:?}");
    seed.signal(Signal::TERM);
    let ended = seed.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let failed: Vec<_> = ended.lines().into_iter().filter(|line| line["event"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{ended:?}");
    assert_eq!((&failed[0]["source"], &failed[0]["name"]), (&json!("gone.torrent"), &json!("gone")));
}

#[test]
fn a_dead_tracker_of_many_torrents_is_told_once() {
    let here = Here::new();
    torrents(&here, &["a", "b"]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/announce");
    let args = ["download", "-v", "a.torrent", "b.torrent", "-o", "here", "--listen", "127.0.0.1:0", "--tracker", &url];
    let download = Running::start(here.command(&args));
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(Some(download.error_line()).filter(|line| line.contains("connection refused")));
    }
    let warned = |line: &String| line.starts_with("warning: ");
    assert!(told.iter().filter(|line| warned(line)).count() == 1 && warned(&told[0]), "{told:?}");
    download.signal(Signal::TERM);
    let ended = download.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.err.contains("2 torrents are not complete"), "{ended:?}");
}
