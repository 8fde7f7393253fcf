//! Rate limits between programs on this machine.

use crate::Here;
use crate::transfers::{download, start_seed};
use rustix::process::Signal;

/// Downloads 10 MiB with these options on either side; how many seconds it took from one program to the end of the other.
fn seconds_of_ten_mib(seeding: &[&str], downloading: &[&str]) -> f64 {
    let here = Here::new();
    here.file("there/thing", 10 << 20);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    let (seed, addr) = start_seed(&here, seeding);
    let mut more = vec!["--json", "--no-tracker"];
    more.extend(downloading);
    let ended = here.done(&download(&addr, &more));
    assert!(here.read("here/thing") == here.read("there/thing"));
    seed.signal(Signal::TERM);
    assert_eq!(seed.end().code, Some(130));
    ended.json()["seconds"].as_f64().unwrap()
}

#[test]
fn rate_limits_hold() {
    // 10 MiB at 2 MiB/s are five seconds. Faster by more than 5 % it must never be; a loaded machine may be slower.
    for (seeding, downloading) in [(&[][..], &["--max-download", "2M"][..]), (&["--max-upload", "2M"], &[])] {
        let seconds = seconds_of_ten_mib(seeding, downloading);
        assert!((5.0 * 0.95..15.0).contains(&seconds), "{seeding:?} {downloading:?}: {seconds} s");
    }
}

#[test]
fn a_super_seed_seeds() {
    let here = Here::new();
    here.file("there/thing", 2 << 20);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    let (seed, addr) = start_seed(&here, &["--super-seed"]);
    here.done(&download(&addr, &["--no-tracker"]));
    assert!(here.read("here/thing") == here.read("there/thing"));
    seed.signal(Signal::TERM);
    assert_eq!(seed.end().code, Some(130));
}
