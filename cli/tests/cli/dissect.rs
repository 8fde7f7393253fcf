//! `dissect`, on the project's captures (`tests/captures`).

use crate::{Here, Running};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;

/// A file of the captures' folder.
pub fn captured(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(name)).unwrap()
}

/// A folder with a capture and its torrent.
fn with(name: &str, file: &str) -> Here {
    let here = Here::new();
    here.write(file, &captured(file));
    let torrent = format!("{name}.torrent");
    here.write(&torrent, &captured(&torrent));
    here
}

#[test]
fn the_summary_is_one_object() {
    let here = with("plain", "plain.pcap");
    let ended = here.done(&["dissect", "plain.pcap", "--json", "--summary", "--torrent", "plain.torrent"]);
    assert_eq!(ended.out.lines().count(), 1);
    let summary = ended.json();
    let [stream] = &summary["tcp_streams"].as_array().unwrap()[..] else { panic!("{summary}") };
    // libtorrent dialled Transmission.
    assert!(stream["a"].as_str().unwrap().starts_with("127.0.0.2:"), "{stream}");
    assert_eq!((&stream["b"], &stream["dialled"]), (&json!("127.0.0.3:26881"), &json!(true)));
    assert!(stream["peer_id_a"].as_str().unwrap().starts_with("-LT20"), "{stream}");
    assert!(stream["peer_id_b"].as_str().unwrap().starts_with("-TR3000-"), "{stream}");
    let inspected = here.done(&["inspect", "plain.torrent", "--json"]).json();
    assert_eq!(stream["info_hash"], inspected["info_hash_v1"]);
    assert_eq!(stream["messages_a"]["piece"], 13);
    assert_eq!(stream["messages_b"]["request"], 13);
    assert_eq!(stream["messages_b"]["handshake"], 1);
    assert_eq!(stream["extensions_a"], json!({ "handshake": 1 }));
    assert_eq!((&stream["undecoded_bytes"], &stream["lost_bytes"]), (&json!(0), &json!(0)));
    assert_eq!((&summary["pieces_seen"], &summary["pieces_ok"]), (&json!(7), &json!(7)));
    assert_eq!((&summary["udp"], &summary["http_trackers"]), (&json!({}), &json!([])));
    // A torrent that it is not about.
    here.write("other.torrent", &captured("rqbit.torrent"));
    let other = here.done(&["dissect", "plain.pcap", "--json", "--summary", "--torrent", "other.torrent"]).json();
    assert_eq!((&other["pieces_seen"], &other["piece_count"]), (&json!(0), &json!(5)));
    // Without one, there is nothing about pieces.
    let none = here.done(&["dissect", "plain.pcap", "--json", "--summary"]).json();
    assert_eq!(none.get("pieces_seen"), None);
}

#[test]
fn trackers_are_counted() {
    let here = with("udp-tracker", "udp-tracker.pcap");
    let udp = here.done(&["dissect", "udp-tracker.pcap", "--json", "--summary"]).json();
    for what in ["connect", "announce", "scrape"] {
        let (asked, answered) = (format!("tracker_{what}_request"), format!("tracker_{what}_response"));
        assert!(udp["udp"][&asked].as_u64().unwrap() > 1, "{udp}");
        assert_eq!(udp["udp"][&asked], udp["udp"][&answered], "{udp}");
    }
    here.write("http-tracker.pcap", &captured("http-tracker.pcap"));
    let http = here.done(&["dissect", "http-tracker.pcap", "--json", "--summary"]).json();
    let [tracker] = &http["http_trackers"].as_array().unwrap()[..] else { panic!("{http}") };
    assert_eq!(tracker["tracker"], "127.0.0.9:6969");
    assert!(tracker["announces"].as_u64().unwrap() > 1 && tracker["scrapes"].as_u64().unwrap() > 1, "{tracker}");
    // Their connections are not among those of peers.
    assert!(http["tcp_streams"].as_array().unwrap().iter().all(|stream| stream["protocol"] == "peer"), "{http}");
}

#[test]
fn everything_that_was_said_is_a_line() {
    let here = with("hybrid", "hybrid.pcap");
    let lines = here.done(&["dissect", "hybrid.pcap", "--json"]).lines();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((of("handshake"), of("undecoded"), of("gap"), of("fault")), (2, 0, 0, 0));
    let message = |name: &str| lines.iter().find(|line| line["name"] == name).unwrap();
    let asked = lines.iter().find(|line| line["extension"] == "ut_metadata").unwrap();
    assert_eq!(asked["body"], json!({ "msg_type": 0, "piece": 0 }));
    assert_eq!(message("request")["length"], 16_384);
    assert_eq!(message("hash_request")["id"], 21);
    assert!(message("extended")["body"]["m"]["ut_pex"].is_u64());
    assert!(lines.iter().all(|line| line["time"].as_f64().unwrap() > 1.7e9));
    // For people.
    let text = here.done(&["dissect", "hybrid.pcap"]).out;
    for words in ["handshake ", "extended ut_metadata {msg_type: 0, piece: 0}", "request ", "[::1]:7001", "piece "] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let page = here.done(&["dissect", "hybrid.pcap", "--summary", "--torrent", "hybrid.torrent"]).out;
    assert!(page.contains("pieces: 12 of 12 seen whole, 12 right"), "{page}");
    assert!(page.contains("1 ut_metadata"), "{page}");
}

#[test]
fn nodes_of_the_dht_are_heard() {
    let here = with("dht", "dht.pcap");
    let lines = here.done(&["dissect", "dht.pcap", "--json"]).lines();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let info_hash = &here.done(&["inspect", "dht.torrent", "--json"]).json()["info_hash_v1"];
    // Both announce, and one is told where the other is.
    assert!(of("dht_announce_peer").iter().any(|line| line["info_hash"] == *info_hash && line["seed"] == true));
    let told = of("dht_response").into_iter().find(|line| line["values"].is_array()).unwrap();
    assert_eq!(told["values"], json!(["127.0.0.3:27002"]));
    assert!(told["ip"].as_str().unwrap().starts_with("127.0.0."), "{told}");
    // The item that was put is the one that is got, "an item" as a string.
    let item = of("dht_put")[0];
    assert_eq!(item["value"], "373a616e206974656d");
    assert!(of("dht_response").iter().any(|line| line["value"] == item["value"]));
    let target = of("dht_get")[0]["target"].as_str().unwrap();
    let sampled = of("dht_response").into_iter().find(|line| line["samples"].is_array()).unwrap();
    assert_eq!((&sampled["samples"], &sampled["num"]), (&json!([info_hash]), &json!(1)));
    // For people, and counted.
    let text = here.done(&["dissect", "dht.pcap"]).out;
    let about = format!(" for {target}");
    for words in ["UDP dht_get_peers ", "1 peers", "UDP dht_put ", ", 9 bytes", "1 of 1 torrents", ", a token", &about]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let counts = &here.done(&["dissect", "dht.pcap", "--json", "--summary"]).json()["udp"];
    assert_eq!(counts["dht_response"], 31);
    assert_eq!(counts["dht_sample_infohashes"], 1);
}

#[test]
fn standard_input_is_read() {
    let here = with("plain", "plain.pcap");
    let mut command = here.command(&["dissect", "-", "--json", "--summary"]);
    command.stdin(File::open(here.path().join("plain.pcap")).unwrap());
    let ended = Running::start(command).end();
    assert_eq!((ended.code, ended.json()["capture"]["cut_off"].clone()), (Some(0), json!(false)));
}

#[test]
fn what_is_wrong_with_a_capture_is_told() {
    let here = with("plain", "plain.pcap");
    let file = captured("plain.pcap");
    // Cut off, it is read as far as it goes.
    here.write("cut.pcap", &file[..file.len() - 5]);
    let cut = here.done(&["dissect", "cut.pcap", "--json", "--summary"]);
    assert!(cut.err.contains("ends in the middle"), "{cut:?}");
    assert_eq!(cut.json()["capture"]["cut_off"], true);
    // Damaged, too; but it failed.
    let mut damaged = file.clone();
    let middle = damaged.len() / 2;
    damaged.truncate(middle);
    damaged.extend([0xff; 40_000]);
    here.write("damaged.pcap", &damaged);
    let ended = here.run(&["dissect", "damaged.pcap", "--json", "--summary"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("damaged.pcap: damaged at byte"), "{ended:?}");
    let summary: Value = ended.json();
    assert!(summary["tcp_streams"][0]["messages_a"]["piece"].as_u64().unwrap() > 0, "{summary}");
    // What is none.
    for (name, words) in
        [("plain.torrent", "neither pcap nor pcapng"), ("nothing", "cannot open nothing"), (".", "folder")]
    {
        let ended = here.run(&["dissect", name]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(words), "{words}: {ended:?}");
    }
}
