//! `dht`, in a small network of nodes of our own on loopback.

use crate::{Ended, Here, Running};
use rustix::process::Signal;
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

/// A node that runs.
pub struct Node {
    running: Running,
    /// Where it is.
    pub addr: String,
    id: String,
}

impl Node {
    /// One at 127.0.0.`last`, which begins with another one.
    pub fn start(here: &Here, last: u8, first: Option<&str>) -> Node {
        let (listen, state) = (format!("127.0.0.{last}:0"), format!("node-{last}"));
        let mut args = vec!["dht", "run", "--json", "--interval", "100ms", "--listen", &listen, "--state-dir", &state];
        // A router of its own that is not there: nobody else is to be asked.
        args.extend(["--dht-bootstrap", first.unwrap_or("127.0.0.1:9")]);
        let running = Running::start(here.command(&args));
        let said: Value = serde_json::from_str(&running.line()).unwrap();
        assert_eq!(said["event"], "node");
        let word = |name: &str| said[name].as_str().unwrap().to_owned();
        Node { addr: word("address"), id: word("id"), running }
    }

    /// Waits until it says so of itself.
    pub fn until(&self, what: impl Fn(&Value) -> bool) -> Value {
        loop {
            let said: Value = serde_json::from_str(&self.running.line()).unwrap();
            if what(&said) {
                return said;
            }
        }
    }

    /// Waits until it knows so many others.
    fn knows(&self, contacts: u64) {
        self.until(|said| said["contacts"].as_u64().is_some_and(|known| known >= contacts));
    }
}

/// Six nodes that know each other.
struct Village {
    here: Here,
    nodes: Vec<Node>,
    /// How many commands have been run. Each has an address of its own: a node gives one address five answers a second, and where there are so
    /// few nodes each is asked by every command.
    commands: Cell<u8>,
}

impl Village {
    fn new() -> Village {
        let here = Here::new();
        let mut nodes = vec![Node::start(&here, 1, None)];
        let first = nodes[0].addr.clone();
        nodes.extend((2..7).map(|last| Node::start(&here, last, Some(&first))));
        for node in &nodes {
            node.knows(5);
        }
        Village { here, nodes, commands: Cell::new(0) }
    }

    /// A command, which begins with the third node. The first is at 127.0.0.101, the second at 127.0.0.102, and so on.
    fn command(&self, command: &[&str]) -> Command {
        let last = self.commands.replace(self.commands.get() + 1) + 101;
        let listen = format!("127.0.0.{last}:0");
        self.here.command(&[&["dht"], command, &["--listen", &listen, "--dht-bootstrap", &self.nodes[2].addr]].concat())
    }

    fn run(&self, command: &[&str]) -> Ended {
        Running::start(self.command(command)).end()
    }

    fn done(&self, command: &[&str]) -> Ended {
        let ended = self.run(command);
        assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
        ended
    }
}

#[test]
fn who_announces_is_found() {
    let village = Village::new();
    let announced = village.done(&["announce", HASH, "--port", "7001", "--json"]).json();
    assert!(announced["stored"].as_u64() >= Some(5), "{announced}");
    let told = village.done(&["announce", HASH, "--port", "7002", "--seed"]).out;
    assert!(told.starts_with("announced to ") && told.ends_with(" nodes\n"), "{told}");
    let found = village.done(&["get-peers", HASH]);
    let peers: BTreeSet<&str> = found.out.lines().collect();
    assert_eq!(peers, BTreeSet::from(["127.0.0.101:7001", "127.0.0.102:7002"]));
    let lines = village.done(&["get-peers", HASH, "--scrape", "--json"]).lines();
    let ended = lines.last().unwrap();
    assert_eq!((&ended["event"], &ended["seeds"], &ended["leeches"]), (&"ended".into(), &1.into(), &1.into()));
    assert!(lines[..lines.len() - 1].iter().all(|line| line["event"] == "peers"), "{lines:?}");
    let nobody = village.run(&["get-peers", &"0".repeat(40)]);
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""), "{nobody:?}");
    // Who only asks is in nobody's table.
    let ids: BTreeSet<&str> = village.nodes.iter().map(|node| node.id.as_str()).collect();
    for node in ended["closest"].as_array().unwrap() {
        assert!(ids.contains(node["id"].as_str().unwrap()), "{ended}");
    }
    // Nodes tell what they have (BEP 51).
    let sampled = village.done(&["sample", &village.nodes[0].addr, "--json"]).json();
    assert_eq!((&sampled["num"], &sampled["samples"]), (&1.into(), &serde_json::json!([HASH])));
    assert_eq!(sampled["id"], village.nodes[0].id.as_str());
    let walked = village.done(&["sample", "--nodes", "4"]);
    assert_eq!(walked.out, format!("{HASH}\n"), "{walked:?}");
}

#[test]
fn items_are_stored_found_and_replaced() {
    let village = Village::new();
    let here = &village.here;
    let note = b"line one\nline two \xff\x00".to_vec();
    here.write("note", &note);
    let target = village.done(&["put", "note"]).out.trim_end().to_owned();
    // Bytes that are no text are shown as JSON here: what is printed is UTF-8 in these tests.
    let got = village.done(&["get", &target, "--json"]).json();
    let value: String = [b"20:", &note[..]].concat().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&got["value"], &got["text"], &got["seq"]), (&value.into(), &Value::Null, &Value::Null));
    // Signed, twice.
    here.write("first", b"one\n");
    here.write("second", b"two\n");
    let first = village.done(&["put", "first", "--key", "my.key", "--salt", "s", "--json"]).json();
    assert_eq!((&first["seq"], &first["cas"]), (&1.into(), &Value::Null));
    assert!(first["stored"].as_u64() >= Some(5), "{first}");
    let mode = fs::metadata(here.path().join("my.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = village.done(&["put", "second", "--key", "my.key", "--salt", "s", "--json"]).json();
    assert_eq!((&second["seq"], &second["cas"], &second["key"]), (&2.into(), &1.into(), &first["key"]));
    let key = first["key"].as_str().unwrap();
    assert_eq!(village.done(&["get", key, "--salt", "s"]).out, "two\n");
    let by_target = village.done(&["get", first["target"].as_str().unwrap(), "--salt", "s", "--bencoded"]).out;
    assert_eq!(by_target, "4:two\n");
    // Another salt is another item, and another key has none.
    assert_eq!(village.run(&["get", key, "--salt", "t"]).code, Some(1));
    let nothing = village.run(&["get", &"0".repeat(40)]);
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(1), ""), "{nothing:?}");
    // What is no item is not tried.
    here.write("long", &[b'a'; 997]);
    here.write("list", b"l1:a");
    for (args, words) in [
        (&["put", "long"][..], "too long"),
        (&["put", "list", "--bencoded"], "no item"),
        (&["put", "nothing"], "nothing"),
        (&["put", "note", "--key", "note"], "note"),
    ] {
        let refused = village.run(args);
        assert!(refused.code == Some(1) && refused.err.contains(words), "{args:?}: {refused:?}");
    }
    here.write("most", &[b'a'; 996]);
    village.done(&["put", "most"]);
    here.write("list", b"l1:ae");
    let target = village.done(&["put", "list", "--bencoded"]).out.trim_end().to_owned();
    assert_eq!(village.done(&["get", &target]).out, "l1:ae");
}

#[test]
fn an_item_is_kept_until_it_is_stopped() {
    let village = Village::new();
    village.here.write("note", b"kept");
    let keep = Running::start(village.command(&["put", "note", "--keep"]));
    let target = keep.line();
    assert_eq!(village.done(&["get", &target]).out, "kept");
    keep.signal(Signal::TERM);
    assert_eq!(keep.end().code, Some(130));
}

#[test]
fn a_node_is_pinged_and_is_the_same_after_a_restart() {
    let here = Here::new();
    let first = Node::start(&here, 1, None);
    let second = Node::start(&here, 2, Some(&first.addr));
    second.knows(1);
    let pinged = here.done(&["dht", "ping", &second.addr, "--listen", "127.0.0.20:0"]).out;
    assert!(pinged.starts_with(&format!("{} {} ", second.id, second.addr)) && pinged.contains(" ms Pk "), "{pinged}");
    let pinged = here.done(&["dht", "ping", &second.addr, "--listen", "127.0.0.20:0", "--json"]).json();
    assert!(pinged["milliseconds"].as_f64() > Some(0.0), "{pinged}");
    second.running.signal(Signal::INT);
    assert_eq!(second.running.end().code, Some(130));
    // It is told of nobody that is there, and knows the first all the same.
    let again = Node::start(&here, 2, None);
    assert_eq!(again.id, second.id);
    again.until(|said| said["event"] == "ready");
    again.knows(1);
    let gone = here.run(&["dht", "ping", &second.addr, "--listen", "127.0.0.20:0"]);
    assert!(gone.code == Some(1) && gone.err.contains("does not answer"), "{gone:?}");
}

#[test]
fn without_a_network_a_node_waits_and_a_question_ends() {
    let here = Here::new();
    // The port is nobody's yet.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let waiting = Node::start(&here, 2, Some(&free));
    let status = waiting.until(|said| said["event"] == "status");
    assert_eq!(status["contacts"], 0);
    let late = ["dht", "get-peers", HASH, "--listen", "127.0.0.3:0", "--dht-bootstrap", &free, "--stop-after", "500ms"];
    assert_eq!(here.run(&late).code, Some(3));
    // Now there is somebody: it is found without another word.
    let somebody = Running::start(here.command(&["dht", "run", "--listen", &free, "--dht-bootstrap", "127.0.0.1:9"]));
    assert!(somebody.line().ends_with(&free));
    waiting.until(|said| said["event"] == "ready");
    let ended = here.run(&["dht", "run", "--listen", "127.0.0.4:0", "--dht-bootstrap", &free, "--stop-after", "1s"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
}
