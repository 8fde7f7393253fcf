//! Magnet links (BEP 9), from libtorrent and Transmission to us and from us to them: the info dictionary, and then the content.

use crate::lab::{self, Content, Lab, Libtorrent, Need, Ours, Transmission, make_torrent, ours};
use std::path::{Path, PathBuf};

/// None without bytes: Transmission 3.00 does not make such files.
const FILES: &[(&str, usize)] = &[("one.bin", 1_500_000), ("sub/two.bin", 777_777), ("z", 3)];

/// A torrent whose info dictionary has three blocks, and its link.
fn torrent(lab: &Lab, content: &Content) -> (PathBuf, String) {
    let torrent = make_torrent(lab, content, "16K", &[]);
    let info = lab::metainfo(&torrent).info_span();
    assert!(info.len() > 2_000, "{info:?}");
    let link = ours(["magnet"]).arg(&torrent).succeeds();
    (torrent, link.trim().to_owned())
}

/// Downloads by the link alone, from one peer.
fn download(lab: &Lab, link: &str, peer: &str) -> String {
    let state = lab.path("out.state");
    ours(["-vv", "download", link, "--no-tracker", "--listen", "127.0.0.3:0", "--peer", peer])
        .arg("--output")
        .arg(lab.folder("out"))
        .arg("--state-dir")
        .arg(state)
        .succeeds()
}

#[test]
fn libtorrent_gives_us_the_dictionary_and_the_content() {
    lab::run(&[Need::Libtorrent], |lab| {
        // Pieces of 16 KiB and 24 MiB: several blocks.
        let content = Content::file(&lab.folder("data"), "file.bin", 24 << 20);
        let (torrent, link) = torrent(lab, &content);
        assert!(lab::metainfo(&torrent).info_span().len() > 16_384);
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        let said = download(lab, &link, &seed.addr.to_string());
        assert!(said.contains("metadata received"), "{said}");
        content.assert_same_in(&lab.path("out"));
        // The same, as a file: what it says is what the torrent's own says.
        let made = lab.path("made.torrent");
        ours(["metadata", &link, "--no-tracker", "--listen", "127.0.0.4:0", "--peer", &seed.addr.to_string()])
            .arg("--output")
            .arg(&made)
            .succeeds();
        assert_eq!(lab::metainfo(&made).hashes(), lab::metainfo(&torrent).hashes());
    });
}

#[test]
fn we_give_libtorrent_the_dictionary_and_the_content() {
    lab::run(&[Need::Libtorrent], |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 24 << 20);
        let (torrent, link) = torrent(lab, &content);
        let (_seed, addr) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker"]);
        let mut leech = Libtorrent::start(Path::new(&link), &lab.folder("out"), "127.0.0.3", &[addr], &[]);
        leech.stored();
        content.assert_same_in(&lab.path("out"));
    });
}

/// One of ours that has the link only, between libtorrent, which has everything, and libtorrent, which has the link only.
#[test]
fn a_magnet_of_ours_passes_on_what_it_got() {
    lab::run(&[Need::Libtorrent], |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 24 << 20);
        let (torrent, link) = torrent(lab, &content);
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        let mut ours = ours(["-vv", "download", &link, "--no-tracker", "--seed", "--json"])
            .args(["--listen", "127.0.0.3:26883", "--peer", &seed.addr.to_string()])
            .arg("--output")
            .arg(lab.folder("ours"))
            .arg("--state-dir")
            .arg(lab.path("ours.state"))
            .start();
        let between = "127.0.0.3:26883".parse().expect("an address");
        let mut leech = Libtorrent::start(Path::new(&link), &lab.folder("out"), "127.0.0.4", &[between], &[]);
        ours.says("\"event\":\"finished\"");
        leech.stored();
        content.assert_same_in(&lab.path("ours"));
        content.assert_same_in(&lab.path("out"));
        assert_eq!(ours.terminate().code(), Some(130), "SIGTERM ends it cleanly");
    });
}

#[test]
fn transmission_gives_us_the_dictionary_and_the_content() {
    lab::run(&[Need::Transmission], |lab| {
        let content = Content::folder(&lab.folder("data"), "files", FILES);
        let (torrent, link) = torrent(lab, &content);
        let mut seed = Transmission::start(lab, &torrent, &content.dir, "127.0.0.2");
        seed.completes();
        download(lab, &link, &seed.addr.to_string());
        content.assert_same_in(&lab.path("out"));
    });
}

#[test]
fn we_give_transmission_the_dictionary_and_the_content() {
    lab::run(&[Need::Transmission], |lab| {
        let content = Content::folder(&lab.folder("data"), "files", FILES);
        let (torrent, link) = torrent(lab, &content);
        let mut leech = Transmission::start(lab, Path::new(&link), &lab.folder("out"), "127.0.0.2");
        assert!(!leech.is_complete());
        // It dials nobody here.
        let peer = leech.addr.to_string();
        let (_seed, _) = Ours::seed(lab, &torrent, &content, "127.0.0.3", &["--no-tracker", "--peer", &peer]);
        leech.completes();
        content.assert_same_in(&lab.path("out"));
    });
}
