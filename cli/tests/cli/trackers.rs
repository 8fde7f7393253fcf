//! `announce` and `scrape` with trackers of our own.

use crate::{Here, Running};
use serde_json::{Value, json};
use std::net::TcpListener;

/// A tracker, its HTTP URL, its UDP URL.
fn tracker(here: &Here) -> (Running, String, String) {
    let running = Running::start(here.command(&["tracker", "--listen", "127.0.0.1:0"]));
    let (http, udp) = (running.line(), running.line());
    (running, http, udp)
}

const FROM: [&str; 2] = ["--listen", "127.0.0.1:0"];
const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn announce_and_scrape_by_both_protocols() {
    let here = Here::new();
    let (_tracker, http, udp) = tracker(&here);
    let announced = here.done(&[&["announce", &http, &udp, "--hash", HASH, "--json"][..], &FROM].concat());
    let mut lines = announced.lines();
    lines.sort_by_key(|line| line["tracker"].as_str().map(str::to_owned));
    assert_eq!(lines.len(), 2, "{announced:?}");
    for (line, url) in lines.iter().zip([&http, &udp]) {
        assert_eq!((&line["tracker"], &line["error"]), (&json!(url), &Value::Null));
        assert_eq!((&line["address"], &line["info_hash"]), (&json!("127.0.0.1"), &json!(HASH)));
        assert_eq!(line["interval"], json!(1800));
        assert_eq!(line["leeches"], json!(1), "itself: {line}");
    }
    // It has taken itself off the list again.
    let scraped = here.done(&[&["scrape", &http, &udp, "--hash", HASH, "--json"][..], &FROM].concat());
    let mut lines = scraped.lines();
    lines.sort_by_key(|line| line["tracker"].as_str().map(str::to_owned));
    assert_eq!(lines[0]["torrents"], json!([]), "HTTP leaves out what it does not know");
    let zero = json!([{"info_hash": HASH, "seeds": 0, "leeches": 0, "downloaded": 0}]);
    assert_eq!(lines[1]["torrents"], zero, "UDP has a place for each");
}

#[test]
fn the_trackers_of_a_torrent_file_are_asked_and_each_answers_for_itself() {
    let here = Here::new();
    let (_tracker, http, _) = tracker(&here);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("http://{free}/announce");
    here.file("a.bin", 50_000);
    here.done(&["create", "a.bin", "-o", "a.torrent", "--tracker", &dead, "--tracker", &http]);
    for command in ["announce", "scrape"] {
        let told = here.done(&[&[command, "a.torrent"][..], &FROM].concat());
        assert!(told.out.contains(&dead) && told.out.contains("failed: "), "{told:?}");
        assert!(
            told.out.lines().any(|line| line.starts_with(&http) && !line.contains("failed")) || command == "scrape"
        );
    }
    // When nobody answers, that is the exit code.
    let told = here.run(&[&["announce", &dead, "--hash", HASH][..], &FROM].concat());
    assert_eq!(told.code, Some(1), "{told:?}");
}

#[test]
fn what_cannot_be_asked_is_said() {
    let here = Here::new();
    let told = here.run(&["scrape", "http://tracker.example/announce"]);
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("--hash"), "{told:?}");
    assert_eq!(here.run(&["scrape", "http://tracker.example/announce", "--hash", "12"]).code, Some(2));
    here.file("a.bin", 50_000);
    here.done(&["create", "a.bin", "-o", "a.torrent"]);
    let told = here.run(&["announce", "a.torrent"]);
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("no tracker"), "{told:?}");
}
