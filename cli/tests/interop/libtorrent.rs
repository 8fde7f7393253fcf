//! libtorrent, in both directions.

use crate::lab::{self, Content, Libtorrent, Need, Ours, make_torrent, ours};
use std::fs;

const NEEDS: &[Need] = &[Need::Libtorrent];
const MIB: usize = 1 << 20;

/// Files that end in the middle of pieces and blocks, one of nothing, one of a byte, and one of exactly two pieces.
const ODD_FILES: &[(&str, usize)] = &[
    ("a/first.bin", 300_001),
    ("a/nothing", 0),
    ("a/one", 1),
    ("b/c/two pieces.bin", 2 * 65_536),
    ("ıspanak.txt", 16_384),
    ("z.bin", 1_234_567),
];

#[test]
fn it_seeds_a_file_to_us() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 4 * MIB + 12_345);
        let torrent = Libtorrent::make_torrent(lab, &content, "v1", 65_536);
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}

#[test]
fn it_seeds_many_files_to_us() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "odd", ODD_FILES);
        let torrent = Libtorrent::make_torrent(lab, &content, "v1", 65_536);
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}

/// A hybrid torrent has a pad file behind every file that does not end with a piece; by its v1 side we download it.
#[test]
fn it_seeds_pad_files_to_us_and_takes_them_back() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "padded", ODD_FILES);
        let torrent = Libtorrent::make_torrent(lab, &content, "hybrid", 65_536);
        let pads = lab::metainfo(&torrent).layout().files().iter().filter(|file| file.pad).count();
        assert!(pads > 0, "libtorrent has made no pad file");
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .succeeds();
        // No pad file lies among them: those are never written.
        content.assert_same_in(&lab.path("out"));
        drop(seed);

        let downloaded = Content { name: content.name.clone(), dir: lab.path("out") };
        let (_ours, addr) = Ours::seed(lab, &torrent, &downloaded, "127.0.0.3", &["--no-tracker"]);
        let mut leech = Libtorrent::start(&torrent, &lab.folder("back"), "127.0.0.4", &[addr], &[]);
        leech.stored();
        content.assert_same_in(&lab.path("back"));
    });
}

#[test]
fn we_seed_to_it() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "ours", ODD_FILES);
        let torrent = make_torrent(lab, &content, "32K", &[]);
        let (_seed, addr) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker"]);
        let mut leech = Libtorrent::start(&torrent, &lab.folder("out"), "127.0.0.3", &[addr], &[]);
        leech.stored();
        content.assert_same_in(&lab.path("out"));
    });
}

/// The other side may be the one that dials.
#[test]
fn we_dial_it_as_a_seed_that_is_given_a_peer() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", MIB + 1);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let mut leech = Libtorrent::start(&torrent, &lab.folder("out"), "127.0.0.3", &[], &[]);
        let peer = leech.addr.to_string();
        let (_seed, _) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker", "--peer", &peer]);
        leech.stored();
        content.assert_same_in(&lab.path("out"));
    });
}

/// Two of ours, of which one has everything; the other one and libtorrent download from each other and from it, and find each other by our tracker.
#[test]
fn a_swarm_of_two_of_ours_and_it() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 6 * MIB);
        let (_tracker, http, _) = lab::tracker();
        let torrent = make_torrent(lab, &content, "64K", &[&http]);
        let (_seed, _) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &[]);
        lab::tracker_knows(&http, &lab::metainfo(&torrent).hashes().best().to_hex(), 1);
        let mut second =
            Ours::download(lab, &torrent, "second").args(["--listen", "127.0.0.3:0", "--seed", "--json"]).start();
        let mut third = Libtorrent::start(&torrent, &lab.folder("third"), "127.0.0.4", &[], &[&http]);
        third.stored();
        second.says("\"event\":\"finished\"");
        content.assert_same_in(&lab.path("second"));
        content.assert_same_in(&lab.path("third"));
        assert_eq!(second.terminate().code(), Some(130), "SIGTERM ends it cleanly");
    });
}

#[test]
fn by_ipv6_in_both_directions() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", MIB + 54_321);
        let torrent = make_torrent(lab, &content, "32K", &[]);
        let seed = Libtorrent::seed(&torrent, &content, "[::1]", &[]);
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "[::1]:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .succeeds();
        content.assert_same_in(&lab.path("out"));
        drop(seed);

        let (_ours, addr) = Ours::seed(lab, &torrent, &content, "[::1]", &["--no-tracker"]);
        let mut leech = Libtorrent::start(&torrent, &lab.folder("back"), "[::1]", &[addr], &[]);
        leech.stored();
        content.assert_same_in(&lab.path("back"));
    });
}

/// Half a download by libtorrent is found, checked and finished by us.
#[test]
fn we_go_on_where_it_stopped() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 2 * MIB);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let mut bytes = fs::read(content.path()).expect("it was written");
        bytes[MIB..].fill(0);
        fs::write(lab.folder("out").join("file.bin"), bytes).expect("a file can be written");
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .succeeds();
        content.assert_same_in(&lab.path("out"));
        ours(["verify"]).arg(&torrent).arg("--data").arg(lab.path("out")).succeeds();
    });
}

/// What libtorrent made our session do it does again, from the recording alone.
#[test]
fn a_recorded_download_from_it_replays_to_its_digest() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "recorded", ODD_FILES);
        let torrent = Libtorrent::make_torrent(lab, &content, "v1", 32_768);
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        let recording = lab.path("session.rec");
        let said = Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .arg("--record")
            .arg(&recording)
            .succeeds();
        content.assert_same_in(&lab.path("out"));
        let replayed = ours(["replay", "--json"]).arg(&recording).succeeds();
        let replayed: serde_json::Value = serde_json::from_str(&replayed).expect("an object");
        assert_eq!((&replayed["complete"], &replayed["same"]), (&true.into(), &true.into()), "{replayed}");
        let digest = replayed["digest"].as_str().expect("a digest");
        assert!(said.contains(digest), "the recorder said another digest than {digest}:\n{said}");
        let length = fs::metadata(&recording).expect("it was written").len();
        assert!(length < lab::metainfo(&torrent).content_length() / 2, "{length} bytes: it holds the content");
    });
}
