//! The examples in the help texts: each is run as it stands there, but for what [`instead`] says.
//!
//! The folder has what they name: the torrents debian.iso and film, their data in ~/Downloads where an example checks or seeds them, and talk.mp4 and photos/ to make torrents of; session.pcap is a capture. A tracker and seeds run on loopback.

use crate::dht::Node;
use crate::dissect::captured;
use crate::transfers::start_seed_of;
use crate::web::{Page, Site};
use crate::{Here, Running, commands};
use rustix::process::Signal;
use std::cell::Cell;
use std::process::Command;

/// What takes the place of addresses that a test must not use, and what an example needs to end.
struct Stage {
    here: Here,
    tracker: Tracker,
    site: Site,
    seed: (Running, String),
    /// The info-hash of film.
    hash: String,
    /// Two nodes of the DHT.
    nodes: [Node; 2],
    /// An item that is stored there.
    target: String,
    /// How many commands have asked them.
    asked: Cell<u8>,
}

struct Tracker {
    http: String,
    udp: String,
    _running: Running,
}

impl Stage {
    fn set() -> Stage {
        let here = Here::new();
        let running = Running::start(here.command(&["tracker", "--listen", "127.0.0.1:0"]));
        let tracker = Tracker { http: running.line(), udp: running.line(), _running: running };
        here.file("there/debian.iso", 300_000);
        here.file("there/film", 200_000);
        here.file("photos/one.jpg", 50_000);
        here.file("photos/two.raw", 50_000);
        here.file("photos/drafts/letter.txt", 100);
        here.file("talk.mp4", 40_000);
        here.write("session.pcap", &captured("plain.pcap"));
        for name in DATA {
            let (path, torrent) = (format!("there/{name}"), format!("{name}.torrent"));
            here.done(&["create", &path, "-o", &torrent, "--tracker", &tracker.http]);
        }
        for folder in
            ["Downloads", "mnt", ".zfunc", ".config/fish/completions", ".local/share/bash-completion/completions"]
        {
            std::fs::create_dir_all(here.path().join(folder)).unwrap();
        }
        let site = Site::start(vec![Page::ok("/debian.iso.torrent", here.read("debian.iso.torrent"))]);
        let seed = start_seed_of(&here, &["debian.iso.torrent", "film.torrent"], &[]);
        let hash =
            here.done(&["inspect", "film.torrent", "--json"]).json()["info_hash_v1"].as_str().unwrap().to_owned();
        let first = Node::start(&here, 5, None);
        let nodes = [Node::start(&here, 6, Some(&first.addr)), first];
        for node in &nodes {
            node.until(|said| said["contacts"].as_u64() >= Some(1));
        }
        here.write("note.txt", b"a note");
        let from = |ip: &'static str| ["--listen", ip, "--dht-bootstrap", &nodes[0].addr];
        here.done(&[&["dht", "announce", &hash, "--port", "6881"][..], &from("127.0.0.7:0")].concat());
        let put = here.done(&[&["dht", "put", "note.txt"][..], &from("127.0.0.8:0")].concat());
        let target = put.out.trim_end().to_owned();
        Stage { here, tracker, site, seed, hash, nodes, target, asked: Cell::new(0) }
    }

    /// What stands in the place of what, in this order.
    fn instead(&self) -> Vec<(String, String)> {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        vec![
            // Addresses and names for documentation (RFC 2606, RFC 5737) lead nowhere.
            pair("https://example.org", &self.site.url("")),
            pair("http://tracker.example/announce", &self.tracker.http),
            pair("udp://tracker.example:6969", &self.tracker.udp),
            pair("192.0.2.1:6881", &self.seed.1),
            // Nothing is listened on but loopback.
            pair(" --listen 0.0.0.0:6881", ""),
            pair("--listen 0.0.0.0:6969", "--listen 127.0.0.1:0"),
            pair("parcacik download ", "parcacik download --listen 127.0.0.1:0 "),
            pair("parcacik metadata ", "parcacik metadata --listen 127.0.0.1:0 "),
            pair("HASH", &self.hash),
            pair("TARGET", &self.target),
            pair("router.bittorrent.com:6881", &self.nodes[0].addr),
            pair("parcacik seed ", "parcacik seed --listen 127.0.0.1:0 "),
            pair("parcacik announce ", "parcacik announce --listen 127.0.0.1:0 "),
            pair("parcacik scrape ", "parcacik scrape --listen 127.0.0.1:0 "),
            pair("/mnt/films", "mnt"),
            // Not everybody has it.
            pair(" | jq .info_hash_v1", ""),
            pair(" | jq .tcp_streams", ""),
        ]
    }

    /// The data as they should be before a line is run: in ~/Downloads where it takes them from there, and nowhere else.
    fn lay_out(&self, line: &str) {
        // Each begins as if it were the first: what is gone is not missed.
        let _ = std::fs::remove_dir_all(self.here.path().join("state"));
        for name in DATA {
            for place in ["", "Downloads/", "mnt/"] {
                let _ = std::fs::remove_file(self.here.path().join(format!("{place}{name}")));
            }
            if line.contains("--data ~/Downloads") {
                self.here.write(&format!("Downloads/{name}"), &self.here.read(&format!("there/{name}")));
            }
        }
    }

    /// An example as it is run.
    fn staged(&self, example: &str) -> String {
        let line = self.instead().iter().fold(example.to_owned(), |line, (from, to)| line.replace(from, to));
        if !line.starts_with("parcacik dht ") {
            // A link alone is enough where there is a DHT, which `magnet` shows; here is whom it would lead to.
            let link = line.contains("'magnet:") || line.contains(" --dht-bootstrap ");
            let alone = link && !line.contains(" --peer ") && !line.contains("&tr=");
            return if alone { format!("{line} --peer {}", self.seed.1) } else { line };
        }
        // Each from an address of its own: a node gives one address so many answers a second, and there are two of them.
        let last = self.asked.replace(self.asked.get() + 1) + 1;
        format!("{line} --listen 127.0.1.{last}:0 --dht-bootstrap {}", self.nodes[0].addr)
    }
}

/// The files of the torrents.
const DATA: [&str; 2] = ["debian.iso", "film"];

/// Examples that go on until they are stopped, and what they print first. All others must end by themselves, well.
const RUN_ON: [(&str, &str); 4] = [
    ("parcacik seed ", "listening on "),
    ("parcacik tracker ", "http://127.0.0.1:"),
    (" --seed", ", at "),
    ("parcacik dht run", " 127.0.1."),
];

/// The lines below `Example:` or `Examples:` of a command's help.
fn examples(help: &str) -> Vec<String> {
    let from = help.lines().skip_while(|line| !matches!(*line, "Example:" | "Examples:")).skip(1);
    from.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_example_of_every_help_text_works() {
    let asked = Here::new();
    let stage = Stage::set();
    for command in commands(&asked) {
        let help = asked.done(&[&command, "--help"]).out;
        let examples = examples(&help);
        let own = examples.iter().filter(|line| line.starts_with(&format!("parcacik {command}"))).count();
        assert!(own > 0, "`parcacik {command} --help` has no example:\n{help}");
        for example in examples {
            assert!(example.starts_with("parcacik "), "{example}");
            // clap breaks lines at the width of the terminal, and what is broken cannot be copied.
            assert!(example.len() <= 80, "an example of {} columns: {example}", example.len());
            let staged = stage.staged(&example);
            println!("{example}\n  as: {staged}");
            stage.lay_out(&staged);
            run(&stage.here, &staged);
            if example.contains("--on-complete cp") {
                assert!(stage.here.read("mnt/film") == stage.here.read("there/film"));
            }
        }
    }
}

/// Runs a line by a shell, as a user does.
fn run(here: &Here, line: &str) {
    let mut shell = Command::new("sh");
    let run_on = RUN_ON.iter().find(|(part, _)| line.contains(part));
    // In the place of the shell, so that a signal reaches the program itself.
    shell.args(["-c", &format!("exec {line}")]);
    here.prepare(&mut shell);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_parcacik"));
    let path = std::env::join_paths(
        program.parent().map(Into::into).into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    shell.env("PATH", path.unwrap());
    let running = Running::start(shell);
    let expected = match run_on {
        Some((_, first)) => {
            let said = running.line();
            assert!(said.contains(first), "{line}: {said}");
            running.signal(Signal::TERM);
            130
        }
        None => 0,
    };
    let ended = running.end();
    assert_eq!(ended.code, Some(expected), "{line}: {ended:?}");
}

#[test]
fn examples_are_found_in_a_help_text() {
    let help = "Usage: x\n\nExamples:\n  parcacik a b\n  parcacik c\n\nMore\n  parcacik d\n";
    assert_eq!(examples(help), ["parcacik a b", "parcacik c"]);
    assert!(examples("Usage: parcacik a\n").is_empty());
}
