//! Transmission, in both directions. It dials nobody on loopback, so we dial it. It unchokes every ten seconds only, so these tests take a while.

use crate::lab::{self, Content, Need, Ours, Transmission, make_torrent};

const NEEDS: &[Need] = &[Need::Transmission];

/// None without bytes: Transmission 3.00 does not make such files.
const FILES: &[(&str, usize)] = &[("one.bin", 1_500_000), ("sub/two.bin", 777_777), ("z", 3)];

#[test]
fn it_seeds_to_us() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "files", FILES);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let mut seed = Transmission::start(lab, &torrent, &content.dir, "127.0.0.2");
        seed.completes();
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}

#[test]
fn we_seed_to_it() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "files", FILES);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let mut leech = Transmission::start(lab, &torrent, &lab.folder("out"), "127.0.0.2");
        assert!(!leech.is_complete());
        let peer = leech.addr.to_string();
        let (_seed, _) = Ours::seed(lab, &torrent, &content, "127.0.0.3", &["--no-tracker", "--peer", &peer]);
        leech.completes();
        content.assert_same_in(&lab.path("out"));
    });
}

/// Half of it is there already on either side: both give and take.
#[test]
fn it_and_we_complete_each_other() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 4 << 20);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let whole = std::fs::read(content.path()).expect("it was written");
        let half = |name: &str, gone: std::ops::Range<usize>| {
            let mut bytes = whole.clone();
            bytes[gone].fill(0);
            std::fs::write(lab.folder(name).join("file.bin"), bytes).expect("a file can be written");
        };
        half("theirs", 0..2 << 20);
        half("ours", 2 << 20..4 << 20);
        let mut other = Transmission::start(lab, &torrent, &lab.path("theirs"), "127.0.0.2");
        let mut ours = Ours::download(lab, &torrent, "ours")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--seed", "--json", "--peer", &other.addr.to_string()])
            .start();
        ours.says("\"event\":\"finished\"");
        other.completes();
        content.assert_same_in(&lab.path("ours"));
        content.assert_same_in(&lab.path("theirs"));
        assert_eq!(ours.terminate().code(), Some(130), "SIGTERM ends it cleanly");
    });
}
