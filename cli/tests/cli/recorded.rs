//! `--record`: every command that runs a session has it, and a disk that is full ends the recording alone.

use crate::transfers::{download, start_seed};
use crate::{Here, Running};
use std::process::Command;

#[test]
fn announces_scrapes_and_seeds_are_recorded_too_and_nothing_is_written_over() {
    let here = Here::new();
    let tracker = Running::start(here.command(&["tracker", "--listen", "127.0.0.1:0"]));
    let http = tracker.line();
    let hash = "0123456789abcdef0123456789abcdef01234567";
    for command in ["announce", "scrape"] {
        let file = format!("{command}.rec");
        let args = [command, &http, "--hash", hash, "--listen", "127.0.0.1:0", "--record", &file];
        let told = here.done(&args);
        assert!(told.err.contains("events recorded, digest "), "{told:?}");
        let replayed = here.done(&["replay", &file, "--json"]).json();
        assert_eq!((&replayed["same"], &replayed["complete"]), (&true.into(), &true.into()), "{replayed}");
        assert!(replayed["events"].as_u64() >= Some(4), "{replayed}");
        let before = here.read(&file);
        let again = here.run(&args);
        assert_eq!(again.code, Some(1), "{again:?}");
        assert!(again.err.contains(&file) && again.err.contains("name a new file"), "{again:?}");
        assert!(here.read(&file) == before);
    }
    here.file("there/thing/a", 100_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    let (seed, addr) = start_seed(&here, &["--no-tracker", "--record", "seed.rec"]);
    here.done(&download(&addr, &["--no-tracker"]));
    seed.signal(rustix::process::Signal::INT);
    seed.end();
    here.done(&["replay", "seed.rec"]);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(here.path().join("seed.rec")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it is its owner's alone");
}

/// The file may only be so large: for the program that is a disk that takes no more of it.
#[test]
fn a_recording_that_finds_no_room_is_given_up_and_the_download_is_not() {
    let here = Here::new();
    here.file("there/thing/a", 16_000);
    // A torrent that is larger than its content: it is in the recording.
    let trackers: Vec<String> = (0..400).map(|at| format!("http://{at}.example/{}", "a".repeat(200))).collect();
    let mut create = vec!["create", "there/thing", "-o", "t.torrent"];
    trackers.iter().for_each(|url| create.extend(["--tracker", url]));
    here.done(&create);
    let (_seed, addr) = start_seed(&here, &["--no-tracker"]);
    // Blocks of 512 bytes, or of 1024 in some shells. A signal that would end the program is ignored: then it is an error.
    let limited = "trap '' XFSZ; ulimit -f 60; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited, "sh", env!("CARGO_BIN_EXE_parcacik")]);
    command.args(download(&addr, &["--no-tracker", "--record", "session.rec"]));
    here.prepare(&mut command);
    let ended = Running::start(command).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("the recording session.rec is not whole"), "{ended:?}");
    assert!(here.read("here/thing/a") == here.read("there/thing/a"));
    let recording = here.read("session.rec");
    assert!((300..=61_440).contains(&recording.len()), "{}", recording.len());
    assert!(recording.ends_with(parcacik_core::journal::GIVEN_UP));
    let replayed = here.done(&["replay", "session.rec", "--json"]).json();
    assert_eq!((&replayed["same"], &replayed["complete"]), (&true.into(), &false.into()), "{replayed}");
}
