//! opentracker, by HTTP and UDP: it tells us of a seed, and of itself what it knows.

use crate::lab::{self, Content, Lab, Libtorrent, Need, Ours, make_torrent, ours};
use serde_json::Value;

const NEEDS: &[Need] = &[Need::Libtorrent, Need::Opentracker];

/// The objects that a command prints, a line each.
fn objects(said: &str) -> Vec<Value> {
    said.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// libtorrent seeds, and we find it by one of the tracker's two addresses; then we ask that one by command.
fn meets_libtorrent(lab: &Lab, by_udp: bool) {
    let content = Content::file(&lab.folder("data"), "file.bin", 1_000_000);
    let bare = make_torrent(lab, &content, "64K", &[]);
    let hash = lab::metainfo(&bare).hashes().best().to_hex();
    let (_tracker, http, udp) = lab::opentracker(lab, &hash);
    let url = if by_udp { &udp } else { &http };
    let torrent = make_torrent(lab, &content, "64K", &[url]);
    let _seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[url]);
    lab::tracker_knows(&http, &hash, 1);

    let said = Ours::download(lab, &torrent, "out")
        .args(["--listen", "127.0.0.3:0"])
        .under("strace", ["-f", "-e", "trace=network,write,writev", "-s", "300"])
        .succeeds();
    std::fs::write("/tmp/ot.txt", &said).unwrap();
    content.assert_same_in(&lab.path("out"));

    let scraped = objects(&ours(["scrape", "--json"]).arg(&torrent).succeeds());
    assert_eq!(scraped.len(), 1, "{scraped:?}");
    assert_eq!(scraped[0]["tracker"], **url);
    let counts = &scraped[0]["torrents"][0];
    assert_eq!(counts["info_hash"], *hash);
    // Ours has left it again.
    assert_eq!((&counts["seeds"], &counts["leeches"]), (&1.into(), &0.into()), "{counts}");
    assert!(counts["downloaded"].as_u64().is_some_and(|count| count >= 1), "our completion was counted: {counts}");

    let announced = objects(&ours(["announce", "--json"]).arg(&torrent).succeeds());
    assert_eq!(announced.len(), 1, "{announced:?}");
    assert!(announced[0]["interval"].as_u64().is_some_and(|seconds| seconds > 0), "{announced:?}");
    let peers = announced[0]["peers"].as_array().expect("a list");
    assert!(peers.iter().any(|peer| peer.as_str().is_some_and(|peer| peer.starts_with("127.0.0.2:"))), "{peers:?}");
}

#[test]
fn by_http() {
    lab::run(NEEDS, |lab| meets_libtorrent(lab, false));
}

#[test]
fn by_udp() {
    lab::run(NEEDS, |lab| meets_libtorrent(lab, true));
}

/// Debian's opentracker serves those torrents only that it was told of: a failure that says so.
#[test]
fn a_torrent_that_it_does_not_serve_is_refused_in_words() {
    lab::run(NEEDS, |lab| {
        let (_tracker, http, _) = lab::opentracker(lab, &"11".repeat(20));
        let mut asked = ours(["announce", "--json", &http, "--hash", &"22".repeat(20)]).start();
        assert_eq!(asked.wait_within(lab::PATIENCE).code(), Some(1));
        let said = objects(&asked.output());
        assert!(said[0]["error"].as_str().is_some_and(|why| why.contains("not authorized")), "{said:?}");
    });
}
