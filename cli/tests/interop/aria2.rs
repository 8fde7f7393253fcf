//! aria2, in both directions. It cannot be given a peer, so it and we meet by our tracker.

use crate::lab::{self, Content, Need, Ours, aria2, make_torrent};

const NEEDS: &[Need] = &[Need::Aria2];

const FILES: &[(&str, usize)] = &[("one.bin", 1_500_000), ("sub/two.bin", 777_777), ("sub/nothing", 0), ("z", 3)];

#[test]
fn it_seeds_to_us() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "files", FILES);
        let (_tracker, http, _) = lab::tracker();
        let torrent = make_torrent(lab, &content, "64K", &[&http]);
        let _seed = aria2(&torrent, &content.dir, "127.0.0.2", true);
        lab::tracker_knows(&http, &lab::metainfo(&torrent).hashes().best().to_hex(), 1);
        Ours::download(lab, &torrent, "out").args(["--listen", "127.0.0.3:0"]).succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}

#[test]
fn we_seed_to_it() {
    lab::run(NEEDS, |lab| {
        let content = Content::folder(&lab.folder("data"), "files", FILES);
        let (_tracker, http, _) = lab::tracker();
        let torrent = make_torrent(lab, &content, "64K", &[&http]);
        let (_seed, _) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &[]);
        lab::tracker_knows(&http, &lab::metainfo(&torrent).hashes().best().to_hex(), 1);
        aria2(&torrent, &lab.folder("out"), "127.0.0.3", false).succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}

#[test]
fn we_seed_a_single_file_to_it() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "single.bin", 3_000_001);
        let (_tracker, http, _) = lab::tracker();
        let torrent = make_torrent(lab, &content, "128K", &[&http]);
        let (_seed, _) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &[]);
        lab::tracker_knows(&http, &lab::metainfo(&torrent).hashes().best().to_hex(), 1);
        aria2(&torrent, &lab.folder("out"), "127.0.0.3", false).succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}
