//! Peers that are found without a tracker: by other peers (BEP 11) and on the local network (BEP 14), between us and libtorrent.

use crate::lab::{self, Content, Libtorrent, Need, Ours, Process};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const NEEDS: &[Need] = &[Need::Libtorrent];
const MIB: usize = 1 << 20;
/// libtorrent sends what it has to tell once a minute.
const A_MINUTE_AND_SOME: Duration = Duration::from_secs(150);

/// How many peers a source has named, by the last line that says so.
fn named(process: &Process, source: &str) -> Option<u64> {
    let lines = process.output();
    let lines = lines.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["sources"][source]["known"].as_u64()).find(|known| *known > 0)
}

/// Two that know only us learn of each other.
#[test]
fn we_introduce_peers_of_libtorrent_to_each_other() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 4 * MIB);
        let torrent = Libtorrent::make_torrent(lab, &content, "v1", 65_536);
        let (_seed, at) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker", "--max-upload", "50K"]);
        let peer = |ip: &str, dir: &str| {
            Libtorrent::start_with(&torrent, &lab.folder(dir), ip, &[at], &[], json!({ "tell": true }))
        };
        let (first, second) = (peer("127.0.0.3", "first"), peer("127.0.0.4", "second"));
        lab::until("one to find the other by us", lab::PATIENCE, || {
            let says = |peer: &Libtorrent, words: &str| peer.process.output().contains(words);
            (says(&first, "found 127.0.0.4 pex") || says(&second, "found 127.0.0.3 pex")).then_some(())
        });
    });
}

#[test]
fn libtorrent_introduces_a_peer_to_us() {
    lab::run(NEEDS, |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 4 * MIB);
        let torrent = Libtorrent::make_torrent(lab, &content, "v1", 65_536);
        let seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[]);
        // Neither is done before they know of each other.
        let slow = json!({ "limit": 10_000 });
        let _other = Libtorrent::start_with(&torrent, &lab.folder("other"), "127.0.0.4", &[seed.addr], &[], slow);
        let ours = Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &seed.addr.to_string()])
            .args(["--max-download", "10K", "--json"])
            .start();
        lab::until("libtorrent to name the other", A_MINUTE_AND_SOME, || named(&ours, "pex"));
    });
}

/// A network of this namespace alone, with two addresses on it.
fn network() {
    for args in [
        // A cable, whose other end nobody holds.
        "link add lan0 type veth peer name lan1",
        "addr add 10.77.0.1/24 dev lan0",
        "addr add 10.77.0.2/24 dev lan0",
        "addr add fd77::1/64 dev lan0 nodad",
        "link set lan1 up",
        "link set lan0 up",
    ] {
        let status = Command::new("ip").args(args.split(' ')).status().expect("ip can be run");
        assert!(status.success(), "ip {args}");
    }
}

#[test]
fn libtorrent_hears_that_we_are_near() {
    lab::run(NEEDS, |lab| {
        network();
        let content = Content::file(&lab.folder("data"), "file.bin", MIB);
        let torrent = Libtorrent::make_torrent(lab, &content, "v1", 65_536);
        let options = json!({ "lsd": true, "tell": true });
        let mut seed = Libtorrent::start_with(&torrent, &content.dir, "10.77.0.2", &[], &[], options);
        seed.process.says("complete");
        // It has announced itself; only by ours do they meet.
        Ours::download(lab, &torrent, "out").args(["--listen", "10.77.0.1:0", "--no-tracker"]).succeeds();
        content.assert_same_in(&lab.path("out"));
        assert!(seed.process.output().contains("found 10.77.0.1 lsd"), "{}", seed.process.output());
    });
}

#[test]
fn we_hear_that_libtorrent_is_near() {
    lab::run(NEEDS, |lab| {
        network();
        let content = Content::file(&lab.folder("data"), "file.bin", MIB);
        let torrent = Libtorrent::make_torrent(lab, &content, "v1", 65_536);
        let (seed, _) = Ours::seed(lab, &torrent, &content, "10.77.0.1", &["--no-tracker"]);
        // Slow enough for us to say twice how it goes.
        let options = json!({ "lsd": true, "limit": 60_000 });
        let mut leech = Libtorrent::start_with(&torrent, &lab.folder("out"), "10.77.0.2", &[], &[], options);
        // Whoever dialled whom: we know of it by what it announced.
        lab::until("us to have heard it", lab::PATIENCE, || seed.output().contains("1 lsd").then_some(()));
        leech.stored();
        content.assert_same_in(&lab.path("out"));
    });
}

/// Both of ours: IPv4 and IPv6, on every interface that has neighbours.
#[test]
fn two_of_us_find_each_other_on_every_interface() {
    lab::run(&[], |lab| {
        network();
        let content = Content::file(&lab.folder("data"), "file.bin", MIB);
        let torrent = lab::make_torrent(lab, &content, "64K", &[]);
        for any in ["0.0.0.0", "[::]"] {
            let (_seed, _) = Ours::seed(lab, &torrent, &content, any, &["--no-tracker"]);
            let name = if any == "[::]" { "six" } else { "four" };
            Ours::download(lab, &torrent, name).args(["--listen", &format!("{any}:0"), "--no-tracker"]).succeeds();
            content.assert_same_in(&lab.path(name));
        }
    });
}

#[test]
fn with_no_lsd_nobody_is_told() {
    lab::run(&[], |lab| {
        network();
        let content = Content::file(&lab.folder("data"), "file.bin", MIB);
        let torrent = lab::make_torrent(lab, &content, "64K", &[]);
        let (_seed, _) = Ours::seed(lab, &torrent, &content, "10.77.0.1", &["--no-tracker", "--no-lsd"]);
        let mut alone = Ours::download(lab, &torrent, "out")
            .args(["--listen", "10.77.0.2:0", "--no-tracker", "--stop-after", "3s", "--json"])
            .start();
        assert_eq!(alone.wait_within(lab::PATIENCE).code(), Some(3));
        assert_eq!(named(&alone, "lsd"), None, "{}", alone.output());
    });
}
