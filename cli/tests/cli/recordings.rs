//! `redact` and `shrink`, with recordings of real sessions over loopback.

use crate::transfers::start_seed_of;
use crate::{Here, Running};
use parcacik_core::border::{Event, JobResult};
use parcacik_core::journal::{Reader, Record};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

/// A download by a tracker, by HTTP or UDP, recorded as mine.rec; what its URL is.
fn recorded(here: &Here, udp: bool) -> String {
    let tracker = Running::start(here.command(&["tracker", "--listen", "127.0.0.1:0"]));
    let urls = [tracker.line(), tracker.line()];
    let url = format!("{}?passkey=0ff1ce5ecret", urls[usize::from(udp)]);
    here.file("there/diary of eva/summer.txt", 300_000);
    here.file("there/diary of eva/autumn/leaves.jpeg", 70_000);
    let create =
        ["create", "there/diary of eva", "-o", "d.torrent", "--tracker", &url, "--comment", "not for everybody"];
    here.done(&create);
    let (_seed, addr) = start_seed_of(here, &["d.torrent"], &[]);
    let download =
        ["download", "d.torrent", "-o", "here", "--listen", "127.0.0.1:0", "--peer", &addr, "--record", "mine.rec"];
    here.done(&download);
    url
}

fn events(bytes: &[u8]) -> Vec<Event> {
    let events = Reader::new(bytes).unwrap().filter_map(|record| match record.unwrap() {
        Record::Event { event, .. } => Some(event),
        _ => None,
    });
    events.collect()
}

#[test]
fn a_redacted_recording_replays_and_names_nobody() {
    for udp in [false, true] {
        redacted_recording(&Here::new(), udp);
    }
}

fn redacted_recording(here: &Here, udp: bool) {
    let tracker = recorded(here, udp);
    let made = here.done(&["redact", "mine.rec", "-o", "for-others.rec", "--json"]).json();
    let (mine, others) = (here.read("mine.rec"), here.read("for-others.rec"));
    assert_eq!(made["bytes"], others.len());
    assert_eq!(made["torrents"], 1);
    assert!(made["addresses"].as_u64().unwrap() >= 1 && made["peers"].as_u64().unwrap() >= 2, "{made}");
    let replayed = here.done(&["replay", "for-others.rec", "--json"]).json();
    assert_eq!((&replayed["digest"], &replayed["events"]), (&made["digest"], &made["events"]));

    let hash = here.done(&["inspect", "d.torrent", "--json"]).json()["info_hash_v1"].as_str().unwrap().to_owned();
    let binary: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mut originals: Vec<Vec<u8>> = [
        "diary",
        "summer.txt",
        "autumn",
        "leaves",
        "not for everybody",
        "0ff1ce5ecret",
        "127.0.0.1",
        &hash,
        &hash.to_uppercase(),
    ]
    .map(|word| word.as_bytes().to_vec())
    .into();
    originals.push(binary);
    originals.push(Reader::new(&mine).unwrap().header().secret.unwrap().to_vec());
    let port: u16 = tracker.split([':', '/', '?']).find_map(|part| part.parse().ok()).unwrap();
    originals.push([&[127, 0, 0, 1][..], &port.to_be_bytes()].concat());
    let mut streams: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    let mut answers = 0;
    for event in events(&mine) {
        match event {
            Event::Received { tcp, bytes } => streams.entry(tcp).or_default().extend_from_slice(&bytes),
            Event::Datagrams { .. } if udp => answers += 1,
            Event::JobDone { result: Ok(JobResult::Http(_)), .. } if !udp => answers += 1,
            _ => {}
        }
    }
    assert!(answers >= 1, "the tracker answered");
    assert!(!streams.is_empty());
    originals.extend(streams.values().map(|stream| stream[56..68].to_vec()));
    for original in originals {
        let has = |file: &[u8]| file.windows(original.len()).any(|part| part == original);
        assert!(!has(&others), "{:?} is left", String::from_utf8_lossy(&original));
    }
    // Nothing is overwritten, and what is no recording makes none.
    let again = here.run(&["redact", "mine.rec", "-o", "for-others.rec"]);
    assert!(again.code == Some(1) && again.err.contains("exists"), "{again:?}");
    let bad = here.run(&["redact", "d.torrent", "-o", "new.rec"]);
    assert!(bad.code == Some(1) && bad.err.contains("not a recording"), "{bad:?}");
    assert!(!here.path().join("new.rec").exists());
}

#[test]
fn a_recording_shrinks_while_the_command_says_the_same() {
    let here = Here::new();
    recorded(&here, true);
    let of = events(&here.read("mine.rec")).len();
    let shrink = ["shrink", "mine.rec", "-o", "short.rec", "--json", "--check", "grep", "-qa", "diary of eva"];
    let made = here.done(&shrink).json();
    assert_eq!((&made["of"], &made["events"], &made["minimal"]), (&of.into(), &1.into(), &true.into()), "{made}");
    assert_eq!(events(&here.read("short.rec")).len(), 1);
    here.done(&["replay", "short.rec"]);
    let mode = std::fs::metadata(here.path().join("short.rec")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds what the recording held");

    // The status counts, whichever it is; and limits end it with what there is.
    let script = "#!/bin/sh\ngrep -qa 'diary of eva' \"$1\" && exit 7\nexit 0\n";
    here.write("check.sh", script.as_bytes());
    std::fs::set_permissions(here.path().join("check.sh"), Permissions::from_mode(0o755)).unwrap();
    let few = ["shrink", "mine.rec", "-o", "few.rec", "--max-runs", "4", "--json", "--check", "./check.sh"];
    let made = here.done(&few).json();
    assert_eq!((&made["runs"], &made["minimal"]), (&4.into(), &false.into()), "{made}");
    let left = events(&here.read("few.rec")).len();
    assert!(left >= 1 && left as u64 == made["events"].as_u64().unwrap() && left <= of, "{made}");
    here.done(&["replay", "few.rec"]);

    // A command that does not end is ended with the time.
    let ended = here.run(&["shrink", "mine.rec", "-o", "none.rec", "--max-time", "500ms", "--check", "tail", "-f"]);
    assert!(ended.code == Some(1) && ended.err.contains("limits"), "{ended:?}");
    let missing = here.run(&["shrink", "mine.rec", "-o", "none.rec", "--check", "./there-is-no-such-command"]);
    assert!(missing.code == Some(1) && missing.err.contains("there-is-no-such-command"), "{missing:?}");
    let left: Vec<_> = std::fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("proposal")), "{left:?}");
    assert!(!here.path().join("none.rec").exists());
}

#[test]
fn what_only_another_program_did_cannot_be_shrunk() {
    let here = Here::new();
    recorded(&here, true);
    // The last digest of the file: recorded anew it is the same, so a check of its place alone is not.
    let mut bytes = here.read("mine.rec");
    bytes.truncate(bytes.len() - 30);
    here.write("cut.rec", &bytes);
    here.write("check.sh", b"#!/bin/sh\ncmp -s \"$1\" cut.rec\n");
    std::fs::set_permissions(here.path().join("check.sh"), Permissions::from_mode(0o755)).unwrap();
    let ended = here.run(&["shrink", "cut.rec", "-o", "none.rec", "--check", "./check.sh"]);
    assert!(ended.code == Some(1) && ended.err.contains("recorded by this program"), "{ended:?}");
    assert!(!here.path().join("none.rec").exists());
}
