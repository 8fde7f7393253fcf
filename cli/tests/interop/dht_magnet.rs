//! The DHT (BEP 5), with libtorrent: a magnet link alone, from it to us and from us to it. Nobody is told of anybody; all begin with one node,
//! which is a seed of ours of something else.

use crate::lab::{self, Content, Lab, Libtorrent, Need, Ours, Process, make_torrent, ours};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const ALONE: [&str; 3] = ["--no-tracker", "--no-lsd", "--no-pex"];

/// The first node.
fn router(lab: &Lab) -> (Process, SocketAddr) {
    let other = Content::file(&lab.folder("other"), "other.bin", 40_000);
    let torrent = make_torrent(lab, &other, "16K", &[]);
    // With itself it gets nowhere: others come to it.
    let nobody = "127.0.0.1:9".parse().expect("an address");
    Ours::seed_with(lab, &torrent, &other, "127.0.0.9", &ALONE, &[nobody])
}

fn stage(lab: &Lab) -> (Content, PathBuf, String) {
    let content = Content::file(&lab.folder("data"), "file.bin", 3 << 20);
    let torrent = make_torrent(lab, &content, "16K", &[]);
    let link = ours(["magnet"]).arg(&torrent).succeeds().trim().to_owned();
    (content, torrent, link)
}

#[test]
fn a_magnet_of_ours_finds_libtorrent() {
    lab::run(&[Need::Libtorrent], |lab| {
        let (content, torrent, link) = stage(lab);
        let (_router, node) = router(lab);
        let dht = json!({ "dht": [node.to_string()] });
        let _seed = Libtorrent::start_with(&torrent, &content.dir, "127.0.0.2", &[], &[], dht);
        let said = ours(["-vv", "download", &link, "--json", "--listen", "127.0.0.3:0"])
            .args(ALONE)
            .with_dht(&[node])
            .arg("--output")
            .arg(lab.folder("out"))
            .arg("--state-dir")
            .arg(lab.path("out.state"))
            .succeeds();
        content.assert_same_in(&lab.path("out"));
        assert!(said.contains("\"dht\":{\"known\":"), "{said}");
    });
}

#[test]
fn a_magnet_of_libtorrent_finds_us() {
    lab::run(&[Need::Libtorrent], |lab| {
        let (content, torrent, link) = stage(lab);
        let (_router, node) = router(lab);
        let (_seed, _) = Ours::seed_with(lab, &torrent, &content, "127.0.0.2", &ALONE, &[node]);
        let dht = json!({ "dht": [node.to_string()], "tell": true });
        let mut leech = Libtorrent::start_with(Path::new(&link), &lab.folder("out"), "127.0.0.3", &[], &[], dht);
        leech.process.says("found 127.0.0.2 dht");
        leech.stored();
        content.assert_same_in(&lab.path("out"));
    });
}
