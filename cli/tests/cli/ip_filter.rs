//! Lists of blocked addresses, from a file to the peers that are left alone.

use crate::Here;
use crate::transfers::start_seed;

#[test]
fn who_is_on_the_list_is_left_alone() {
    let here = Here::new();
    here.file("there/thing/a", 300_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    let (_seed, addr) = start_seed(&here, &[]);
    here.write("blocked.dat", b"# Everything here\n127.0.0.0 - 127.255.255.255 , 000 , loopback\nnonsense\n");
    here.write("harmless.p2p", b"Nobody:192.0.2.0-192.0.2.255\n");
    let get = |list: &str, limit: &str| {
        let common =
            ["-v", "download", "t.torrent", "-o", "here", "--listen", "127.0.0.1:0", "--no-tracker", "--peer", &addr];
        here.run(&[&common[..], &["--ip-filter", "harmless.p2p", "--ip-filter", list, "--stop-after", limit]].concat())
    };
    let blocked = get("blocked.dat", "1s");
    assert_eq!(blocked.code, Some(3), "{blocked:?}");
    assert!(blocked.err.contains("1 peers left out, they are on the list of --ip-filter"), "{blocked:?}");
    assert!(
        blocked.err.contains("blocked.dat: 1 lines cannot be read and are left out; the first is line 3"),
        "{blocked:?}"
    );
    let open = get("harmless.p2p", "50s");
    assert_eq!(open.code, Some(0), "{open:?}");
    assert!(here.read("here/thing/a") == here.read("there/thing/a"));
}

#[test]
fn a_list_that_is_none_is_told_before_anything_begins() {
    let here = Here::new();
    here.file("there/thing/a", 300_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    here.write("list", b"1.2.3.4/33\n");
    for command in [&["download", "t.torrent", "-o", "here"][..], &["seed", "t.torrent", "--data", "there"]] {
        let ended = here.run(&[command, &["--ip-filter", "list"]].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("line 1: the length of the prefix is not valid"), "{ended:?}");
    }
    assert!(!here.path().join("here").exists());
}
