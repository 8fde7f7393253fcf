//! Ends that are not the usual one: goals of seeding, interruptions, a second signal.

use crate::transfers::start_seed;
use crate::{Here, LIMIT, Running};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn a_second_signal_ends_it_at_once() {
    let here = Here::new();
    here.file("there/a", 100_000);
    // A tracker that takes the farewell and never answers: a stop in order would wait for it.
    let tracker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", tracker.local_addr().unwrap());
    here.done(&["create", "there/a", "-o", "t.torrent", "--tracker", &url]);
    let seed = Running::start(here.command(&["seed", "t.torrent", "--data", "there", "--listen", "127.0.0.1:0"]));
    let (mut first, _) = tracker.accept().unwrap();
    first.set_read_timeout(Some(LIMIT)).unwrap();
    let announce = read_head(&mut first);
    assert!(announce.contains("event=started"), "{announce}");
    let body = b"d8:intervali1800e5:peers0:e";
    write!(first, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
    first.write_all(body).unwrap();
    seed.signal(Signal::INT);
    // On the same connection or on another one.
    let farewell = read_head(&mut first);
    assert!(farewell.contains("event=stopped"), "{farewell}");
    let second = Instant::now();
    seed.signal(Signal::INT);
    assert_eq!(seed.end().code, Some(130));
    // In order, it would have waited for the answer for as long as this.
    let patience = parcacik_core::border::Config::default().session.shutdown_limit;
    assert!(second.elapsed() < patience, "{:?}", second.elapsed());
}

fn read_head(stream: &mut std::net::TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn seeding_ends_when_its_time_is_over() {
    let here = Here::new();
    here.file("there/a", 100_000);
    here.done(&["create", "there/a", "-o", "t.torrent"]);
    let started = Instant::now();
    let args = ["download", "t.torrent", "-o", "there", "--listen", "127.0.0.1:0", "--no-tracker"];
    let ended = here.done(&[&args[..], &["--seed-time", "1s", "--json"]].concat());
    assert_eq!(ended.json()["event"], "finished", "{ended:?}");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn seeding_ends_when_its_ratio_is_reached() {
    let here = Here::new();
    here.file("there/t", 300_000);
    here.done(&["create", "there/t", "-o", "t.torrent"]);
    let (first, peer) = start_seed(&here, &[]);
    let common = ["download", "t.torrent", "--no-tracker", "--json", "--stop-after", "55s"];
    let more = ["-o", "middle", "--listen", "127.0.0.1:0", "--peer", &peer, "--seed-ratio", "1", "-v"];
    let middle = Running::start(here.command(&[&common[..], &more].concat()));
    let line = middle.error_line();
    let addr = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    loop {
        let line = middle.line();
        if line.contains("\"finished\"") {
            break;
        }
    }
    // Whoever still had the first could take from that one.
    first.signal(Signal::TERM);
    assert_eq!(first.end().code, Some(130));
    let more = ["-o", "last", "--listen", "127.0.0.1:0", "--peer", &addr];
    here.done(&[&common[..], &more].concat());
    assert!(here.read("last/t") == here.read("there/t"));
    // It has given away as much as it has: that is the goal.
    let ended = middle.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A torrent so large (sparse) that hashing it goes on until it is stopped, as far as this test is concerned.
fn large(here: &Here) {
    here.write("large/a", b"");
    let file = std::fs::File::options().write(true).open(here.path().join("large/a")).unwrap();
    file.set_len(400 << 30).unwrap();
}

#[test]
fn creating_can_be_interrupted_and_leaves_nothing() {
    let here = Here::new();
    large(&here);
    let create =
        Running::start(here.command(&["create", "-v", "large", "-o", "large.torrent", "--piece-length", "16M"]));
    // It is at work.
    let line = create.error_line();
    assert!(line == "hashing 400.0 GiB", "{line}");
    create.signal(Signal::INT);
    let ended = create.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.err.contains("nothing was written"), "{ended:?}");
    let left: Vec<_> = std::fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["large"]);
}

#[test]
fn verifying_can_be_interrupted_and_says_so() {
    let here = Here::new();
    large(&here);
    // 400 GiB in pieces of 16 MiB, whose hashes are all wrong.
    let pieces = (400u64 << 30) / (16 << 20);
    let mut torrent = format!(
        "d4:infod5:filesld6:lengthi{}e4:pathl1:aeee4:name5:large12:piece lengthi{}e6:pieces{}:",
        400u64 << 30,
        16 << 20,
        pieces * 20
    )
    .into_bytes();
    torrent.resize(torrent.len() + (pieces * 20) as usize, 1);
    torrent.extend(b"ee");
    here.write("large.torrent", &torrent);
    let verify = Running::start(here.command(&["verify", "-v", "large.torrent", "--data", "."]));
    let line = verify.error_line();
    assert!(line == "checking 400.0 GiB", "{line}");
    verify.signal(Signal::TERM);
    let ended = verify.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.err.contains("not everything was checked") && ended.out.is_empty(), "{ended:?}");
}
