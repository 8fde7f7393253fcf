//! `dissect` against tshark, message by message, over the project's captures.
//!
//! Every message that tshark decodes must be there, the same and in the same order. It does not decode everything: behind a message that it does not know (BEP 52) it leaves
//! out the rest of the segment, and what comes first behind an encrypted start.

use super::lab::{self, Need, Process, ours};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is compared of a message; what tshark does not show is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    /// Of a handshake.
    info_hash: Option<String>,
    length: Option<u64>,
    id: Option<u64>,
    piece: Option<u64>,
    begin: Option<u64>,
    /// Of a request and its like.
    block: Option<u64>,
    extension: Option<u64>,
}

impl Said {
    /// Whether everything that is known of this is the same in the other.
    fn is_shown_by(&self, other: &Said) -> bool {
        let number = |own: Option<u64>, other: Option<u64>| own.is_none() || own == other;
        number(self.length, other.length)
            && number(self.id, other.id)
            && number(self.piece, other.piece)
            && number(self.begin, other.begin)
            && number(self.block, other.block)
            && number(self.extension, other.extension)
            && self.info_hash == other.info_hash
    }
}

/// Messages by who said them to whom.
type Talk = BTreeMap<(String, String), Vec<Said>>;

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures")
}

#[test]
fn every_message_that_tshark_decodes_is_decoded_the_same() {
    lab::run(&[Need::Tshark], |_| {
        let mut compared = 0;
        for described in manifest() {
            let name = described["file"].as_str().expect("a file is named");
            let file = captures().join(name);
            let (ours, theirs) = (decoded_by_us(&file), decoded_by_tshark(&file));
            for (who, messages) in &theirs {
                let mut own = ours.get(who).unwrap_or_else(|| panic!("{name}: nothing of {who:?}")).iter();
                for message in messages {
                    assert!(own.any(|own| message.is_shown_by(own)), "{name}, {who:?}: {message:?}");
                    compared += 1;
                }
            }
            let count = |talk: &Talk| talk.values().map(Vec::len).sum::<usize>();
            let (ours, theirs) = (count(&ours), count(&theirs));
            match name {
                "encrypted.pcap" => assert_eq!((ours, theirs), (0, 0)),
                "hybrid.pcap" | "aria2.pcap" => assert!(theirs > 20 && ours > theirs, "{name}: {ours}, {theirs}"),
                _ => assert_eq!(ours, theirs, "{name}"),
            }
        }
        assert!(compared > 300, "{compared}");
    });
}

/// What is compared of a message of the DHT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DhtSaid {
    /// The name of a query; `response` or `error`.
    kind: String,
    transaction: String,
    version: Option<String>,
    id: Option<String>,
    /// What a query is about: `target` or `info_hash`.
    about: Option<String>,
    token: Option<String>,
    /// How many nodes there are, and how many peers.
    nodes: Option<usize>,
    peers: Option<usize>,
}

/// Messages of the DHT by who said them to whom.
type DhtTalk = BTreeMap<(String, String), Vec<DhtSaid>>;

#[test]
fn every_message_of_the_dht_is_decoded_as_tshark_does() {
    lab::run(&[Need::Tshark], |_| {
        let mut compared = 0;
        for described in manifest() {
            let name = described["file"].as_str().expect("a file is named");
            let file = captures().join(name);
            let (ours, theirs) = (dht_by_us(&file), dht_by_tshark(&file));
            let theirs_count = theirs.values().map(Vec::len).sum::<usize>();
            assert_eq!(described["tshark"]["dht"].as_u64().unwrap_or(0), theirs_count as u64, "{name}");
            assert_eq!(ours, theirs, "{name}");
            compared += theirs_count;
        }
        assert!(compared > 60, "{compared}");
    });
}

fn dht_by_us(file: &Path) -> DhtTalk {
    let mut talk = DhtTalk::new();
    for line in ours(["dissect", "--json"]).arg(file).succeeds().lines() {
        let line: Value = serde_json::from_str(line).expect("each line is JSON");
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        let Some(kind) = text("kind").and_then(|kind| Some(kind.strip_prefix("dht_")?.to_owned())) else { continue };
        let length = |key: &str| line[key].as_array().map(Vec::len);
        let said = DhtSaid {
            kind,
            transaction: text("transaction").unwrap_or_default(),
            version: text("version"),
            id: text("id"),
            about: text("target").or(text("info_hash")),
            token: text("token"),
            nodes: length("nodes"),
            peers: length("values"),
        };
        let address = |key: &str| text(key).unwrap_or_default();
        talk.entry((address("from_addr"), address("to_addr"))).or_default().push(said);
    }
    talk
}

fn dht_by_tshark(file: &Path) -> DhtTalk {
    let mut command = Command::new("tshark");
    command.args(["-Y", "bt-dht", "-T", "pdml", "-r"]).arg(file);
    let mut process = Process::start("tshark", &mut command);
    process.succeeds();
    let mut talk = DhtTalk::new();
    let mut ends: [String; 4] = Default::default();
    for line in process.output().lines() {
        let attribute = |name: &str| Some(line.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0);
        let Some(name) = attribute("name") else { continue };
        let shown = || attribute("show").unwrap_or_default().to_owned();
        let who = (format!("{}:{}", ends[0], ends[1]), format!("{}:{}", ends[2], ends[3]));
        match name {
            "ip.src" => ends[0] = shown(),
            "udp.srcport" => ends[1] = shown(),
            "ip.dst" => ends[2] = shown(),
            "udp.dstport" => ends[3] = shown(),
            "bt-dht" => talk.entry(who).or_default().push(DhtSaid::default()),
            // An entry of a dictionary, shown as what it means.
            "bt-dht.bencoded.dict_entry" => {
                let Some(said) = talk.get_mut(&who).and_then(|said| said.last_mut()) else { continue };
                let Some((key, value)) = attribute("showname").and_then(|entry| entry.split_once(": ")) else {
                    continue;
                };
                let text = || Some(value.to_owned());
                let number = || value.split(' ').next().and_then(|number| number.parse().ok());
                match key {
                    "Request type" => said.kind = value.to_owned(),
                    "Message type" if value == "Response" => said.kind = "response".to_owned(),
                    "Message type" if value == "Error" => said.kind = "error".to_owned(),
                    "Transaction ID" => said.transaction = value.to_owned(),
                    "Version" => said.version = text(),
                    "id" => said.id = text(),
                    "target" | "info_hash" => said.about = text(),
                    "token" => said.token = text(),
                    "nodes" => said.nodes = number(),
                    "values" => said.peers = number(),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    talk
}

fn manifest() -> Vec<Value> {
    let bytes = std::fs::read(captures().join("manifest.json")).expect("there is a manifest");
    let manifest: Value = serde_json::from_slice(&bytes).expect("it is JSON");
    manifest["captures"].as_array().expect("it lists captures").clone()
}

fn decoded_by_us(file: &Path) -> Talk {
    let mut talk = Talk::new();
    for line in ours(["dissect", "--json"]).arg(file).succeeds().lines() {
        let line: Value = serde_json::from_str(line).expect("each line is JSON");
        let number = |key: &str| line[key].as_u64();
        let said = match line["type"].as_str() {
            Some("handshake") => Said { info_hash: line["info_hash"].as_str().map(str::to_owned), ..Said::default() },
            Some("message") => Said {
                length: number("end").zip(number("start")).map(|(end, start)| end - start - 4),
                id: number("id"),
                piece: number("piece"),
                begin: number("begin"),
                // Of `piece` it is the length of the data, which tshark does not show.
                block: number("length").filter(|_| line["name"] != "piece"),
                extension: number("extension_id"),
                ..Said::default()
            },
            _ => continue,
        };
        let address = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        talk.entry((address("from_addr"), address("to_addr"))).or_default().push(said);
    }
    talk
}

fn decoded_by_tshark(file: &Path) -> Talk {
    let mut command = Command::new("tshark");
    command.args(["-o", "tcp.reassemble_out_of_order:TRUE", "-T", "pdml", "-r"]).arg(file);
    let mut process = Process::start("tshark", &mut command);
    process.succeeds();
    let mut talk = Talk::new();
    let mut ends: [String; 4] = Default::default();
    let who = |ends: &[String; 4]| {
        let address =
            |ip: &str, port: &str| if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
        (address(&ends[0], &ends[1]), address(&ends[2], &ends[3]))
    };
    for line in process.output().lines() {
        let attribute = |name: &str| Some(line.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0);
        let (Some(name), Some(show)) = (attribute("name"), attribute("show")) else { continue };
        let number = || match show.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => show.parse().ok(),
        };
        match name {
            "ip.src" | "ipv6.src" => ends[0] = show.to_owned(),
            "tcp.srcport" => ends[1] = show.to_owned(),
            "ip.dst" | "ipv6.dst" => ends[2] = show.to_owned(),
            "tcp.dstport" => ends[3] = show.to_owned(),
            "bittorrent.info_hash" => {
                let said = Said { info_hash: Some(show.replace(':', "")), ..Said::default() };
                talk.entry(who(&ends)).or_default().push(said);
            }
            "bittorrent.msg" => talk.entry(who(&ends)).or_default().push(Said::default()),
            _ => {
                // Fields of a message follow on it.
                let Some(message) = talk.get_mut(&who(&ends)).and_then(|said| said.last_mut()) else { continue };
                match name {
                    "bittorrent.msg.length" => message.length = number(),
                    "bittorrent.msg.type" => message.id = number(),
                    "bittorrent.piece.index" => message.piece = number(),
                    "bittorrent.piece.begin" => message.begin = number(),
                    "bittorrent.piece.length" => message.block = number(),
                    "bittorrent.extended.id" => message.extension = number(),
                    _ => {}
                }
            }
        }
    }
    talk
}
