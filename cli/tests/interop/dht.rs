//! The DHT with libtorrent: we join a network of its nodes, look up, announce and store in it, and it does in us.

use crate::lab::{self, Lab, LibtorrentDht, Need, Process, ours};
use serde_json::Value;
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const NEEDS: &[Need] = &[Need::Libtorrent];
/// A key of BEP 44, "test 1": the public half, and the private one as libtorrent takes it.
const PUBLIC: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
const PRIVATE: &str = "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d\
                       b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d";

/// A node of ours that stays, and where it is.
fn node(lab: &Lab, begin: Option<SocketAddr>) -> (Process, SocketAddr) {
    // Where nobody is: it knows nobody until it is found.
    let begin = begin.map_or("127.0.0.9:9".to_owned(), |begin| begin.to_string());
    let mut process = ours(["dht", "run", "--json", "--interval", "100ms", "--listen", "127.0.0.2:0"])
        .arg("--state-dir")
        .arg(lab.path("node.state"))
        .args(["--dht-bootstrap", &begin])
        .start();
    let addr = process.line("where it is", |line| {
        let said: Value = serde_json::from_str(line).ok()?;
        said["address"].as_str()?.parse().ok()
    });
    (process, addr)
}

/// Waits until the node says that it is so with it.
fn until(node: &Process, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    lab::until(what, lab::PATIENCE, || {
        let output = node.output();
        let said = output.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        said.into_iter().find(|said| said["event"] == "status").filter(&is_so)
    })
}

fn at_least(said: &Value, name: &str, least: u64) -> bool {
    said[name].as_u64() >= Some(least)
}

/// Runs our commands, each at an address of its own: in so small a network each of them asks every node, and nodes answer one address a few times a second.
struct Asker<'a> {
    lab: &'a Lab,
    commands: Cell<u8>,
}

impl Asker<'_> {
    /// The address of the next command.
    fn next(&self) -> String {
        format!("127.0.2.{}", self.commands.get() + 1)
    }

    /// Runs a command that begins with this node; gives its exit code and what it says.
    fn run(&self, begin: SocketAddr, args: &[&str]) -> (Option<i32>, String) {
        let listen = format!("{}:0", self.next());
        self.commands.set(self.commands.get() + 1);
        let mut process = ours(["-q", "dht"])
            .args(args)
            .args(["--listen", &listen, "--dht-bootstrap", &begin.to_string(), "--state-dir"])
            .arg(self.lab.path("asks.state"))
            .start();
        let status = process.wait_within(lab::PATIENCE);
        (status.code(), process.output())
    }

    /// The same of one that must do its job.
    fn done(&self, begin: SocketAddr, args: &[&str]) -> String {
        let (code, out) = self.run(begin, args);
        assert_eq!(code, Some(0), "{args:?}: {out}");
        out
    }

    /// What one prints that must do its job, as an object.
    fn json(&self, begin: SocketAddr, args: &[&str]) -> Value {
        let out = self.done(begin, &[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
    }

    /// Runs a command, and again every second, until it says what it should: nobody tells when libtorrent is done.
    fn until<T>(&self, begin: SocketAddr, args: &[&str], find: impl Fn(&str) -> Option<T>) -> T {
        let mut next = Instant::now();
        lab::until(&format!("{args:?} to lead to something"), lab::PATIENCE, || {
            if Instant::now() < next {
                return None;
            }
            next = Instant::now() + Duration::from_secs(1);
            find(&self.run(begin, args).1)
        })
    }
}

#[test]
fn a_network_of_libtorrent_and_we_find_and_store_for_each_other() {
    lab::run(NEEDS, |lab| {
        let ips: Vec<String> = (1..=10).map(|n| format!("127.0.1.{n}")).collect();
        let theirs = LibtorrentDht::start(&ips, None);
        let first = theirs.nodes[0];
        let (node, _) = node(lab, Some(first));
        until(&node, "us to know the network", |said| at_least(said, "contacts", 8));

        let ask = Asker { lab, commands: Cell::new(0) };
        // Peers, from us to them and from them to us.
        let hash = "a1".repeat(20);
        let us = format!("{}:7001", ask.next());
        let announced = ask.json(first, &["announce", &hash, "--port", "7001"]);
        assert!(at_least(&announced, "stored", 4), "{announced}");
        theirs.order_until(&format!("peers 7 {hash}"), |line| {
            (line.starts_with(&format!("peers 7 {hash}")) && line.contains(&us)).then_some(())
        });
        let hash = "b2".repeat(20);
        theirs.order(&format!("announce 4 {hash} 7002"));
        ask.until(theirs.nodes[8], &["get-peers", &hash], |out| {
            out.lines().any(|line| line == "127.0.1.5:7002").then_some(())
        });

        // Items that nobody can change.
        std::fs::write(lab.path("note"), "from-us").expect("a file can be written");
        let note = lab.path("note").display().to_string();
        let target = ask.done(first, &["put", &note]);
        let item = format!("item 3 {target} from-us");
        theirs.order_until(&format!("get 3 {target}"), |line| (line == item).then_some(()));
        let target = theirs.order_until("put 2 from-libtorrent", |line| {
            let (target, count) = line.strip_prefix("put 2 ")?.split_once(' ')?;
            (count != "0").then(|| target.to_owned())
        });
        assert_eq!(ask.done(theirs.nodes[6], &["get", &target]), "from-libtorrent");

        // Items of one key, of which each replaces the one before.
        std::fs::write(lab.path("key"), format!("{PRIVATE}\n")).expect("a file can be written");
        let key = lab.path("key").display().to_string();
        let put = ask.json(first, &["put", &note, "--key", &key, "--salt", "s"]);
        assert_eq!((put["key"].as_str(), put["seq"].as_i64()), (Some(PUBLIC), Some(1)));
        let signed = format!("signed 9 {PUBLIC} 1 from-us");
        theirs.order_until(&format!("find 9 {PUBLIC} s"), |line| (line == signed).then_some(()));
        theirs.order(&format!("sign 5 {PRIVATE} {PUBLIC} s by-libtorrent"));
        let got = ask.until(first, &["get", PUBLIC, "--salt", "s", "--json"], |out| {
            let got: Value = serde_json::from_str(out).ok()?;
            (got["seq"].as_i64()? > 1).then_some(got)
        });
        assert_eq!((got["text"].as_str(), got["seq"].as_i64()), (Some("by-libtorrent"), Some(2)));
        let put = ask.json(first, &["put", &note, "--key", &key, "--salt", "s"]);
        assert_eq!((put["cas"].as_i64(), put["seq"].as_i64()), (Some(2), Some(3)));

        // What they say of themselves.
        let pinged = ask.done(first, &["ping", &theirs.nodes[4].to_string()]);
        assert!(pinged.contains(" ms LT "), "{pinged}");
        let sampled = ask.done(first, &["sample", "--nodes", "20"]);
        assert!(sampled.lines().any(|line| line == hash), "{sampled}");
        let said = until(&node, "libtorrent to ask us", |said| at_least(said, "asked", 1));
        assert_eq!(said["malformed"], 0, "{said}");
    });
}

/// Two that know only us: what they store is stored by us, and they meet through us.
#[test]
fn libtorrent_looks_up_announces_and_stores_in_us() {
    lab::run(NEEDS, |lab| {
        let (node, at) = node(lab, None);
        let theirs = LibtorrentDht::start(&["127.0.1.1".to_owned(), "127.0.1.2".to_owned()], Some(at));
        let hash = "c3".repeat(20);
        theirs.order_until(&format!("announce 0 {hash} 7003"), |_| {
            let output = node.output();
            let said = output.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            said.into_iter().find(|said| said["event"] == "status").filter(|said| at_least(said, "peers", 1))
        });
        theirs.order_until(&format!("peers 1 {hash}"), |line| {
            (line.starts_with(&format!("peers 1 {hash}")) && line.contains("127.0.1.1:7003")).then_some(())
        });
        let target = theirs.order_until("put 0 stored-in-us", |line| {
            let (target, count) = line.strip_prefix("put 0 ")?.split_once(' ')?;
            (count != "0").then(|| target.to_owned())
        });
        until(&node, "the item to be stored by us", |said| at_least(said, "items", 1));
        let item = format!("item 1 {target} stored-in-us");
        theirs.order_until(&format!("get 1 {target}"), |line| (line == item).then_some(()));
        theirs.order_until(&format!("sign 1 {PRIVATE} {PUBLIC} t signed-in-us"), |line| {
            line.strip_prefix(&format!("put 1 {PUBLIC} ")).filter(|count| *count != "0").map(drop)
        });
        let said = until(&node, "the signed item to be stored by us", |said| at_least(said, "items", 2));
        let signed = format!("signed 0 {PUBLIC} 1 signed-in-us");
        theirs.order_until(&format!("find 0 {PUBLIC} t"), |line| (line == signed).then_some(()));
        assert_eq!(said["malformed"], 0, "{said}");
    });
}
