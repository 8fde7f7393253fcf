//! Whole transfers between programs on this machine.

use crate::{Here, LIMIT, Running};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::Read as _;
use std::net::TcpListener;
use std::sync::mpsc;

/// A torrent of two files, and a seed of it.
fn seed(here: &Here) -> (Running, String) {
    here.file("there/thing/a", 1_000_003);
    here.file("there/thing/b", 70_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    start_seed(here, &[])
}

pub fn start_seed(here: &Here, more: &[&str]) -> (Running, String) {
    start_seed_of(here, &["t.torrent"], more)
}

/// A seed of what lies in `there`, and where it listens.
pub fn start_seed_of(here: &Here, sources: &[&str], more: &[&str]) -> (Running, String) {
    let seed = [&["seed"], sources, &["--data", "there", "--listen", "127.0.0.1:0"], more].concat();
    let seed = Running::start(here.command(&seed));
    let line = seed.line();
    let addr = match line.strip_prefix("listening on ") {
        Some(addr) => addr.to_owned(),
        None => serde_json::from_str::<Value>(&line).unwrap()["addrs"][0].as_str().unwrap().to_owned(),
    };
    (seed, addr)
}

pub fn download<'a>(peer: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args =
        vec!["download", "t.torrent", "-o", "here", "--listen", "127.0.0.1:0", "--peer", peer, "--stop-after", "50s"];
    args.extend(more);
    args
}

#[test]
fn a_download_from_a_seed_is_whole_and_then_complete() {
    let here = Here::new();
    let (seed, addr) = seed(&here);
    let ended = here.done(&download(&addr, &["--json", "--no-tracker"]));
    let last = ended.json();
    assert_eq!(
        (&last["event"], &last["name"], &last["bytes"]),
        (&json!("finished"), &json!("thing"), &json!(1_070_003))
    );
    assert!(last["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{last}");
    let hash = here.done(&["inspect", "t.torrent", "--json"]).json()["info_hash_v1"].clone();
    assert_eq!(last["info_hash"], hash);
    let path = last["path"].as_str().unwrap();
    assert_eq!(std::fs::canonicalize(path).unwrap(), here.path().join("here/thing").canonicalize().unwrap());
    assert_eq!(ended.lines().iter().filter(|line| line["event"] == "finished").count(), 1, "{ended:?}");
    for file in ["a", "b"] {
        assert!(
            here.read(&format!("here/thing/{file}")) == here.read(&format!("there/thing/{file}")),
            "{file} differs"
        );
    }
    here.done(&["verify", "t.torrent", "--data", "here"]);

    seed.signal(Signal::TERM);
    assert_eq!(seed.end().code, Some(130));
    // Nobody is needed any more: it is there.
    let again = here.done(&download(&addr, &["--no-tracker"]));
    assert!(again.out.contains("already complete"), "{again:?}");
}

#[test]
fn peers_find_each_other_by_the_tracker_of_this_program() {
    let here = Here::new();
    let tracker = Running::start(here.command(&["tracker", "--listen", "127.0.0.1:0"]));
    let (http, udp) = (tracker.line(), tracker.line());
    assert!(http.starts_with("http://127.0.0.1:") && udp.starts_with("udp://127.0.0.1:"), "{http} {udp}");
    here.file("there/thing/a", 300_000);
    here.done(&["create", "there/thing", "-o", "t.torrent", "--tracker", &udp]);

    // The seed is told of the leech by the second tracker, or the other way round: whoever comes later finds the other.
    let (seed, addr) = start_seed(&here, &["--tracker", &http]);
    here.done(&download(&addr, &["--tracker", &http]));
    assert!(here.read("here/thing/a") == here.read("there/thing/a"));

    seed.signal(Signal::INT);
    assert_eq!(seed.end().code, Some(130));
    tracker.signal(Signal::INT);
    assert_eq!(tracker.end().code, Some(130));
}

#[test]
fn a_seed_keeps_trying_the_peers_it_was_given() {
    let here = Here::new();
    here.file("there/thing/a", 300_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = peer.local_addr().unwrap().to_string();
    let (seed, _) = start_seed(&here, &["--no-tracker", "--peer", &addr]);
    let (dialled, dials) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in peer.incoming() {
            // It takes the handshake and goes away.
            let mut handshake = [0; 68];
            let read = stream.and_then(|mut stream| stream.read_exact(&mut handshake));
            if dialled.send(read.map(|()| handshake)).is_err() {
                return;
            }
        }
    });
    for _ in 0..2 {
        let handshake = dials.recv_timeout(LIMIT).expect("the seed does not dial").unwrap();
        assert_eq!(&handshake[..20], b"\x13BitTorrent protocol");
    }
    seed.signal(Signal::TERM);
    assert_eq!(seed.end().code, Some(130));
}

#[test]
fn time_runs_out_with_exit_code_3() {
    let here = Here::new();
    here.file("there/thing/a", 100_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    let ended = here.run(&[
        "download",
        "t.torrent",
        "-o",
        "here",
        "--listen",
        "127.0.0.1:0",
        "--no-tracker",
        "--stop-after",
        "300ms",
    ]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("goes on where it was"), "{ended:?}");
}

#[test]
fn a_foreign_file_is_named_and_left_alone() {
    let here = Here::new();
    let (_seed, addr) = seed(&here);
    here.write("here/thing/a", &vec![b'x'; 1_000_003]);
    // The second time as well: having been refused does not make it ours.
    for _ in 0..2 {
        let ended = here.run(&download(&addr, &["--no-tracker", "--json"]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("here/thing/a is there already") && ended.err.contains("--overwrite"), "{ended:?}");
        assert_eq!(ended.json()["event"], "failed");
        assert!(here.read("here/thing/a").iter().all(|&byte| byte == b'x'));
    }

    here.done(&download(&addr, &["--no-tracker", "--overwrite"]));
    assert!(here.read("here/thing/a") == here.read("there/thing/a"));
}

#[test]
fn two_programs_do_not_download_one_torrent() {
    let here = Here::new();
    here.file("there/thing/a", 100_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    let args = ["download", "t.torrent", "-o", "here", "--listen", "127.0.0.1:0", "--no-tracker", "--json", "--seed"];
    let first = Running::start(here.command(&args));
    // It runs, and so it has the lock.
    assert!(first.line().contains("\"progress\""));
    let second = here.run(&args);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("another parcacik") && second.err.contains("another folder"), "{second:?}");
    first.signal(Signal::TERM);
    assert_eq!(first.end().code, Some(130));
}

#[test]
fn a_seed_without_its_data_says_so() {
    let here = Here::new();
    here.file("there/thing/a", 100_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    // The usual mistake: the folder itself, not the one that contains it.
    let ended = here.run(&["seed", "t.torrent", "--data", "there/thing", "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("--data is the folder that contains thing"), "{ended:?}");
}

#[test]
fn the_demo_does_the_main_job_and_cleans_up() {
    let here = Here::new();
    let temporary = here.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = here.command(&["demo", "--record", "recordings"]);
    command.env("TMPDIR", &temporary);
    let ended = Running::start(command).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out.matches("SHA-256 is right").count(), 2, "{ended:?}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    for name in ["seed", "first", "second"] {
        here.done(&["replay", &format!("recordings/{name}.rec")]);
    }
}

#[test]
fn a_recorded_download_replays_to_its_digest() {
    let here = Here::new();
    let (_seed, addr) = seed(&here);
    let ended = here.done(&download(&addr, &["--no-tracker", "--record", "session.rec"]));
    let digest = ended.err.lines().find_map(|line| line.split_once("digest ")).expect("no digest is told").1.to_owned();
    let replayed = here.done(&["replay", "session.rec", "--json"]).json();
    assert_eq!(
        (&replayed["digest"], &replayed["same"], &replayed["complete"]),
        (&json!(digest), &json!(true), &json!(true))
    );
    // Content is left out.
    let bytes = here.read("session.rec");
    assert!(bytes.len() < 500_000, "{}", bytes.len());

    // Nothing is overwritten, and what was cut off or is damaged is told.
    let ended = here.run(&download(&addr, &["--no-tracker", "--record", "session.rec"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    here.write("cut.rec", &bytes[..bytes.len() - 10]);
    let cut = here.done(&["replay", "cut.rec", "--json"]);
    assert_eq!(cut.json()["complete"], false);
    assert!(cut.err.contains("cut off"), "{cut:?}");
    here.write("bad.rec", b"hello");
    let bad = here.run(&["replay", "bad.rec"]);
    assert_eq!(bad.code, Some(1));
    assert!(bad.err.contains("bad.rec") && bad.err.contains("not a recording"), "{bad:?}");
}

/// Who sets a proxy for a browser has not asked for one here, and a tracker's key is nothing to hand around.
#[test]
fn proxies_of_the_environment_are_not_used() {
    let here = Here::new();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let tracker = Running::start(here.command(&["tracker", "--listen", "127.0.0.1:0"]));
    let http = tracker.line();
    here.file("there/thing/a", 300_000);
    here.done(&["create", "there/thing", "-o", "t.torrent", "--tracker", &http]);
    let (_seed, addr) = start_seed(&here, &[]);
    let mut command = here.command(&download(&addr, &["-v"]));
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &url);
    }
    let ended = Running::start(command).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    proxy.set_nonblocking(true).unwrap();
    // Whoever had dialled it before the program ended would be in its queue.
    assert!(proxy.accept().is_err(), "somebody came by the proxy");
}

/// With resume data in another folder, it is the files that tell them of each other.
#[test]
fn a_second_download_into_the_same_folder_is_refused() {
    let here = Here::new();
    here.file("there/thing/a", 2_000_003);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    // Slow enough to be under way for as long as this takes.
    let (_seed, addr) = start_seed(&here, &["--max-upload", "64K"]);
    let first = Running::start(here.command(&download(&addr, &["--no-tracker"])));
    let until = std::time::Instant::now() + LIMIT;
    while std::fs::metadata(here.path().join("here/thing/a")).is_err() {
        assert!(std::time::Instant::now() < until, "the first download writes nothing");
        std::thread::yield_now();
    }
    let mut command = here.command(&download(&addr, &["--no-tracker", "--overwrite"]));
    command.env("PARCACIK_STATE_DIR", here.path().join("other-state"));
    let second = Running::start(command).end();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("another parcacik") && second.err.contains("thing"), "{second:?}");
    first.signal(Signal::TERM);
    assert_eq!(first.end().code, Some(130), "the first one goes on undisturbed");
}

/// A disk that is not mounted must not make a download begin from nothing; somebody who has deleted the files says so.
#[test]
fn files_that_are_gone_are_missed_and_fetched_again_when_that_is_wanted() {
    let here = Here::new();
    let (_seed, peer) = seed(&here);
    let start = ["download", "t.torrent", "-o", "here", "--listen", "127.0.0.1:0", "--no-tracker", "--peer", &peer];
    here.done(&start);
    std::fs::remove_dir_all(here.path().join("here")).unwrap();
    let missed = here.run(&start);
    assert_eq!(missed.code, Some(1), "{missed:?}");
    assert!(missed.err.contains("are gone from here") && missed.err.contains("--recheck"), "{missed:?}");
    let again = here.done(&[&start[..], &["--recheck"]].concat());
    assert!(again.out.contains("finished"), "{again:?}");
}
