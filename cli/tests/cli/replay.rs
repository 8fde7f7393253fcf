//! `replay`: what is printed of a recording, and what of a difference.

use crate::Here;
use crate::transfers::{download, start_seed};
use serde_json::Value;
use std::process::Stdio;

/// A folder with the recording of a download of four pieces and a bit, session.rec.
fn recorded() -> Here {
    let here = Here::new();
    here.file("there/thing", 140_000);
    here.done(&["create", "there/thing", "-o", "t.torrent", "--piece-length", "32K"]);
    let (_seed, addr) = start_seed(&here, &[]);
    here.done(&download(&addr, &["--no-tracker", "--record", "session.rec"]));
    here
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

#[test]
fn a_transcript_tells_the_conversation_and_ends_where_it_is_told_to() {
    let here = recorded();
    let printed = here.done(&["replay", "session.rec", "--print"]);
    let text = &printed.out;
    assert!(text.starts_with("[0] 0.000000 "), "{text}");
    for word in [
        "command 1 listen",
        "add info-hash",
        "  > tcp 1 (127.0.0.1:",
        ") handshake info-hash",
        "  < extended handshake m [",
        ") request piece 0 begin 16384 length 16384\n",
        "  < piece 0 begin 16384 length 16384\n",
        "start job",
        "verify torrent 0 piece 0 matches yes\n",
        "  * piece done torrent 0 piece 0\n",
        "  * finished torrent 0\n",
        "  * stopped\n",
    ] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    assert!(printed.err.contains("the same actions, digest"), "{printed:?}");
    assert!(text.lines().all(|line| line.len() < 1_000), "{text}");
    // Twice the same, byte for byte.
    assert_eq!(here.done(&["replay", "session.rec", "--print"]).out, *text);

    let events = text.lines().filter(|line| line.starts_with('[')).count();
    let first = here.done(&["replay", "session.rec", "--print", "--until", "3"]);
    assert_eq!(first.out.lines().filter(|line| line.starts_with('[')).count(), 3);
    assert!(text.starts_with(&first.out) && events > 10, "{first:?}");
    // Nothing that was cut off: it was asked for.
    assert!(!first.err.contains("cut off"), "{first:?}");
    let report = here.done(&["replay", "session.rec", "--json", "--until", "0s"]).json();
    let at_once = text.lines().filter(|line| line.starts_with('[') && line.contains("] 0.000000 ")).count();
    assert_eq!(report["events"], at_once);
    assert_eq!((&report["same"], &report["complete"]), (&true.into(), &false.into()));
}

#[test]
fn a_transcript_is_objects_for_programs() {
    let here = recorded();
    let printed = here.done(&["replay", "session.rec", "--print", "--json"]);
    let objects = lines(&printed.out);
    let (report, objects) = objects.split_last().expect("there are some");
    assert_eq!((&report["same"], &report["difference"]), (&true.into(), &Value::Null));
    // Any block but the last one, which is shorter.
    let is_whole = |line: &&Value| line["word"] == "request" && line["with"]["length"] == 16_384;
    let request = objects.iter().find(is_whole).expect("something is asked for");
    assert_eq!((&request["kind"], &request["tcp"], &request["torrent"]), (&"sent".into(), &1.into(), &0.into()));
    assert!(request["seconds"].is_f64() && request["remote"].as_str().is_some_and(|addr| addr.contains(':')));
    let events = objects.iter().filter(|line| line["kind"] == "event").count();
    assert_eq!(report["events"], events);
}

#[test]
fn what_was_decided_about_a_piece_or_a_peer_is_picked_out() {
    let here = recorded();
    let about = here.done(&["replay", "session.rec", "--about", "piece:3"]).out;
    for word in ["request piece 3 begin 0 ", "start job", "verify torrent 0 piece 3", "piece done torrent 0 piece 3"] {
        assert!(about.contains(word), "{word} is not in\n{about}");
    }
    // Of what was done, nothing else is told.
    let others = about.lines().filter(|line| line.starts_with("  >") || line.starts_with("  *"));
    assert!(others.clone().all(|line| line.contains("piece 3")), "{about}");

    let objects = lines(&here.done(&["replay", "session.rec", "--about", "tcp:1", "--about", "piece:3", "--json"]).out);
    let (_, objects) = objects.split_last().expect("there are some");
    let sent: Vec<&Value> = objects.iter().filter(|line| line["kind"] == "sent").collect();
    assert!(!sent.is_empty() && sent.iter().all(|line| line["with"]["piece"] == 3 && line["tcp"] == 1), "{sent:?}");
    assert!(objects.iter().any(|line| line["before"] == true), "{objects:?}");

    let hash = here.done(&["inspect", "t.torrent", "--json"]).json()["info_hash_v1"].as_str().unwrap().to_owned();
    let torrent = here.done(&["replay", "session.rec", "--about", &format!("torrent:{hash}")]).out;
    assert!(torrent.contains("* added torrent 0") && torrent.contains("handshake"), "{torrent}");
    let nobody = here.done(&["replay", "session.rec", "--about", "peer:192.0.2.7"]);
    assert_eq!(nobody.out, "");

    let wrong = here.run(&["replay", "session.rec", "--about", "weather"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("piece:NUMBER"), "{wrong:?}");
}

#[test]
fn a_difference_is_told_with_the_epoch_and_an_exit_code() {
    let here = recorded();
    let mut bytes = here.read("session.rec");
    // The decision seed lies behind the version of the core that recorded.
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let at = bytes.windows(version.len()).position(|part| part == version).expect("the version is in the header");
    bytes[at + version.len()] ^= 1;
    here.write("other.rec", &bytes);
    let ended = here.run(&["replay", "other.rec", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report = ended.json();
    assert_eq!(report["same"], false);
    assert!(report["difference"].is_u64(), "{report}");
    assert!(ended.err.contains("acts in another way; both are of behaviour epoch"), "{ended:?}");
    assert!(ended.err.contains("makes the difference:\n["), "{ended:?}");
}

#[test]
fn who_reads_a_transcript_may_leave() {
    let here = recorded();
    let mut command = here.command(&["replay", "session.rec", "--print"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait().expect("it ends");
    assert!(ended.code().is_some(), "{ended:?}");
}
