//! Magnet links: `download MAGNET` and `metadata`.

use crate::transfers::start_seed_of;
use crate::{Here, Running};

/// Two torrents, and a seed of both; the links.
fn stage(here: &Here) -> (Running, String, [String; 2]) {
    here.file("there/thing/a.txt", 50_000);
    here.file("there/thing/film/b.mkv", 300_003);
    here.file("there/thing/c.txt", 70_000);
    here.file("there/other", 90_000);
    // Small pieces: the info dictionary has several blocks.
    here.done(&["create", "there/thing", "-o", "thing.torrent", "--piece-length", "16K"]);
    here.done(&["create", "there/other", "-o", "other.torrent"]);
    let (seed, addr) = start_seed_of(here, &["thing.torrent", "other.torrent"], &[]);
    let link = |file: &str| here.done(&["magnet", file]).out.trim().to_owned();
    let links = [link("thing.torrent"), link("other.torrent")];
    // Whoever has only the link has only the link.
    for file in ["thing.torrent", "other.torrent"] {
        std::fs::rename(here.path().join(file), here.path().join("there").join(file)).unwrap();
    }
    (seed, addr, links)
}

fn fetch<'a>(command: &'a str, link: &'a str, peer: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [command, link, "--listen", "127.0.0.1:0", "--peer", peer, "--stop-after", "50s"];
    [&common[..], more].concat()
}

#[test]
fn a_link_and_a_peer_are_enough_for_a_download() {
    let here = Here::new();
    let (_seed, peer, [link, _]) = stage(&here);
    let ended = here.done(&fetch("download", &link, &peer, &["-o", "here", "--json"]));
    let lines = ended.lines();
    let known = lines.iter().find(|line| line["event"] == "metadata").unwrap_or_else(|| panic!("{ended:?}"));
    assert_eq!((known["name"].as_str(), known["bytes"].as_u64()), (Some("thing"), Some(420_003)));
    assert_eq!((known["files"].as_u64(), known["source"].as_str()), (Some(3), Some(&*link)));
    let last = ended.json();
    assert_eq!((last["event"].as_str(), last["bytes"].as_u64()), (Some("finished"), Some(420_003)));
    assert!(last["path"].as_str().unwrap().ends_with("here/thing"), "{last}");
    for file in ["a.txt", "film/b.mkv", "c.txt"] {
        assert!(here.read(&format!("here/thing/{file}")) == here.read(&format!("there/thing/{file}")), "{file}");
    }
    // Once more: nobody is needed, for what the link led to was kept.
    let hash = known["info_hash"].as_str().unwrap();
    let again = here.done(&["download", hash, "-o", "here", "--listen", "127.0.0.1:0", "--stop-after", "50s"]);
    assert!(again.out.contains("already complete"), "{again:?}");
}

#[test]
fn links_and_files_are_downloaded_side_by_side_and_each_once() {
    let here = Here::new();
    let (_seed, peer, [thing, other]) = stage(&here);
    let args = fetch("download", &thing, &peer, &["-o", "here", &other, "there/thing.torrent"]);
    let ended = here.done(&args);
    assert!(ended.err.contains("are the same torrent"), "{ended:?}");
    assert!(here.read("here/other") == here.read("there/other"));
    assert!(here.read("here/thing/c.txt") == here.read("there/thing/c.txt"));
}

#[test]
fn files_are_selected_when_they_are_known() {
    let here = Here::new();
    let (_seed, peer, [link, _]) = stage(&here);
    let ended = here.done(&fetch("download", &link, &peer, &["-o", "here", "--json", "--select", "*.mkv"]));
    assert_eq!(ended.json()["bytes"], 300_003);
    let names: Vec<_> =
        std::fs::read_dir(here.path().join("here/thing")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!names.iter().any(|name| name == "a.txt" || name == "c.txt"), "{names:?}");
    let ended = here.run(&fetch("download", &link, &peer, &["-o", "new", "--select", "*.avi"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("--select *.avi") && !here.path().join("new/thing").exists(), "{ended:?}");
    // BEP 53: or by the link itself.
    let link = format!("{link}&so=0");
    let ended = here.done(&fetch("download", &link, &peer, &["-o", "few", "--json"]));
    assert_eq!(ended.json()["bytes"], 50_000, "{ended:?}");
    assert!(here.path().join("few/thing/a.txt").exists() && !here.path().join("few/thing/film/b.mkv").exists());
}

#[test]
fn metadata_writes_the_torrent_file_with_the_trackers_of_the_link() {
    let here = Here::new();
    let (_seed, peer, [link, _]) = stage(&here);
    let link = format!("{link}&tr=http%3A%2F%2Fone.example%2Fann&tr=udp%3A%2F%2Ftwo.example%3A1");
    let ended = here.done(&fetch("metadata", &link, &peer, &["-o", "got.torrent", "--no-tracker", "--json"]));
    let made = ended.json();
    assert_eq!((made["name"].as_str(), made["files"].as_u64()), (Some("thing"), Some(3)), "{made}");
    let (shown, old) =
        (here.done(&["inspect", "got.torrent", "--json"]), here.done(&["inspect", "there/thing.torrent", "--json"]));
    let (shown, old) = (shown.json(), old.json());
    assert_eq!(shown["info_hash_v1"], old["info_hash_v1"]);
    assert_eq!(shown["files"], old["files"]);
    assert_eq!(shown["trackers"], serde_json::json!([["http://one.example/ann"], ["udp://two.example:1"]]));
    // Nothing of the content is there, and nothing else was made.
    assert!(!here.path().join("thing").exists());
    here.done(&["verify", "got.torrent", "--data", "there"]);
    // What is there is not replaced unless that is wanted.
    let ended = here.run(&fetch("metadata", &link, &peer, &["-o", "got.torrent"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("--force"), "{ended:?}");
    here.done(&fetch("metadata", &link, &peer, &["-o", "got.torrent", "--no-tracker", "--force"]));
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    let here = Here::new();
    let (_seed, peer, [link, _]) = stage(&here);
    let nobody = "magnet:?xt=urn:btih:0000000000000000000000000000000000000000";
    let quick = ["--listen", "127.0.0.1:0", "--stop-after", "1s"];
    let ended = here.run(&[&["metadata", nobody, "-o", "x.torrent"][..], &quick].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("add peers with --peer"), "{ended:?}");
    let ended = here.run(&[&["download", nobody][..], &quick].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.err.contains("names neither trackers nor peers, and the DHT is off: leave out --no-dht"),
        "{ended:?}"
    );
    let v2 = format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32));
    for (args, words) in [
        (&["metadata", "magnet:?dn=x", "-o", "x.torrent"][..], "no info-hash"),
        (&["metadata", "http://a.example/", "-o", "x.torrent"], "not a magnet link"),
        (&["metadata", &v2, "-o", "x.torrent", "--listen", "127.0.0.1:0"], "v2 only"),
        (&["download", &v2], "version 2 only"),
        (&["download", "magnet:?dn=x"], "no info-hash"),
        (&["seed", &link, "--data", "there"], "a magnet link is taken by download and metadata only"),
        (&["inspect", &link], "a magnet link is taken by download and metadata only"),
    ] {
        let ended = here.run(args);
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        assert!(ended.err.contains(words), "{words}: {ended:?}");
    }
    // A folder that is not there is not made for a file.
    let ended = here.run(&fetch("metadata", &link, &peer, &["-o", "/nowhere/x.torrent"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("/nowhere"), "{ended:?}");
}

/// The program with a part in the DHT, and nothing else to find peers by. Each has an address of its own: a node gives one address five
/// answers a second.
#[cfg(target_os = "linux")]
fn in_dht(here: &Here, args: &[&str], ip: &str, begin: Option<&str>) -> std::process::Command {
    let listen = format!("{ip}:0");
    let mut command = here.command(args);
    command.env_remove("PARCACIK_NO_DHT").env("PARCACIK_STATE_DIR", here.path().join(format!("state-{ip}")));
    command.args(["--no-tracker", "--no-lsd", "--no-pex", "--listen", &listen]);
    // The first one has nobody to begin with: it waits for others.
    command.args(["--dht-bootstrap", begin.unwrap_or("127.0.0.1:9")]);
    command
}

#[cfg(target_os = "linux")]
#[test]
fn a_link_alone_is_enough_by_the_dht() {
    let listens =
        |running: &Running| running.line().strip_prefix("listening on ").expect("where it listens").to_owned();
    let here = Here::new();
    here.file("there/thing", 300_003);
    here.file("router/other", 20_000);
    here.done(&["create", "there/thing", "-o", "thing.torrent", "--piece-length", "16K"]);
    here.done(&["create", "router/other", "-o", "other.torrent"]);
    let link = here.done(&["magnet", "thing.torrent"]).out.trim().to_owned();
    let first = Running::start(in_dht(&here, &["seed", "other.torrent", "--data", "router"], "127.0.0.11", None));
    let begin = listens(&first);
    let seed = ["seed", "thing.torrent", "--data", "there"];
    let seed = Running::start(in_dht(&here, &seed, "127.0.0.12", Some(&begin)));
    listens(&seed);
    let get = ["-v", "download", &link, "-o", "here", "--stop-after", "50s"];
    let ended = Running::start(in_dht(&here, &get, "127.0.0.13", Some(&begin))).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(here.read("here/thing") == here.read("there/thing"));
    assert!(ended.out.contains("; peers: 1 dht") || ended.out.contains("; peers: dht"), "{ended:?}");
    // Its node is known again by the next run.
    assert!(here.path().join("state-127.0.0.13/dht-4.node").exists());
}
