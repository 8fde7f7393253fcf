//! What nodes of the DHT said, for people and as JSON.

use super::json::merge;
use crate::values::hex;
use parcacik_core::capture::DhtDatagram;
use parcacik_core::dht::BloomFilter;
use parcacik_core::dht::krpc::{Body, Contact, Message, Method, Response, Signed, Want};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// How many bytes of a stranger's text are shown to people.
const SHOWN: usize = 60;

/// The line, without its name.
pub fn line(dht: &DhtDatagram) -> String {
    let message = match dht.message() {
        Ok(message) => message,
        Err(refused) => return format!("({refused})"),
    };
    let mut line = hex(message.transaction);
    match &message.body {
        Body::Query(query) => {
            let _ = write!(line, " from {}{}", query.id, of_method(&query.method));
        }
        Body::Response(response) => {
            let _ = write!(line, " from {}{}", response.id, of_response(response));
        }
        Body::Error(error) => {
            let text = error.text.get(..SHOWN).unwrap_or(error.text);
            let _ = write!(line, " {}: {}", error.code.0, String::from_utf8_lossy(text));
        }
    }
    if message.read_only {
        line.push_str(", read-only");
    }
    line
}

fn of_method(method: &Method<'_>) -> String {
    match method {
        Method::Ping => String::new(),
        Method::FindNode { target, .. } | Method::Get { target, .. } | Method::SampleInfohashes { target, .. } => {
            format!(" for {target}")
        }
        Method::GetPeers { info_hash, scrape, .. } => {
            format!(" for {info_hash}{}", if *scrape { ", scrape" } else { "" })
        }
        Method::AnnouncePeer { info_hash, port, implied_port, seed, .. } => {
            let port = if *implied_port { "its own".to_owned() } else { port.to_string() };
            format!(" for {info_hash}, port {port}{}", if *seed { ", seed" } else { "" })
        }
        Method::Put { value, signed, .. } => {
            let signed = signed.as_ref().map(|signed| format!(", key {}, seq {}", hex(signed.key), signed.seq));
            format!(", {} bytes{}", value.len(), signed.unwrap_or_default())
        }
        Method::Unknown { name, .. } => {
            format!(" {}", String::from_utf8_lossy(name.get(..SHOWN).unwrap_or(name)))
        }
    }
}

fn of_response(response: &Response<'_>) -> String {
    let mut line = String::new();
    let count =
        |length: Option<usize>, what: &str| length.map_or_else(String::new, |length| format!(", {length} {what}"));
    line += &count(response.values.as_ref().map(Vec::len), "peers");
    line += &count(response.nodes.as_ref().map(Vec::len), "nodes");
    line += &count(response.nodes6.as_ref().map(Vec::len), "nodes (IPv6)");
    if let Some(value) = response.value {
        let _ = write!(line, ", an item of {} bytes", value.len());
    }
    if let Some(seq) = response.seq {
        let _ = write!(line, ", seq {seq}");
    }
    for (filter, what) in [(response.seed_filter, "seeds"), (response.peer_filter, "others")] {
        if let Some(filter) = filter {
            let _ = write!(line, ", about {} {what}", BloomFilter::from_bytes(*filter).estimate());
        }
    }
    if let Some(samples) = &response.samples {
        let _ = write!(line, ", {} of {} torrents", samples.len(), response.num.unwrap_or_default());
    }
    if response.token.is_some() {
        line.push_str(", a token");
    }
    for fault in &response.faults {
        let _ = write!(line, " ({fault})");
    }
    line
}

/// The fields besides those that every datagram has.
pub fn json(dht: &DhtDatagram) -> Value {
    let message = match dht.message() {
        Ok(message) => message,
        Err(refused) => {
            return fields([
                ("transaction", refused.transaction.map(|id| hex(id).into())),
                ("error", Some(refused.to_string().into())),
            ]);
        }
    };
    let Message { transaction, version, ip, read_only, body } = &message;
    let head = [
        ("transaction", Some(hex(transaction).into())),
        ("version", version.map(|version| hex(version).into())),
        ("ip", ip.map(|ip| ip.to_string().into())),
        ("read_only", read_only.then_some(true.into())),
    ];
    let body = match body {
        Body::Query(query) => {
            let mut all = fields([("id", Some(query.id.to_string().into()))]);
            merge(&mut all, json_of_method(&query.method));
            all
        }
        Body::Response(response) => json_of_response(response),
        Body::Error(error) => json!({ "code": error.code.0, "text": String::from_utf8_lossy(error.text) }),
    };
    let mut all = fields(head);
    merge(&mut all, body);
    all
}

fn json_of_method(method: &Method<'_>) -> Value {
    match method {
        Method::Ping => json!({}),
        Method::FindNode { target, want } | Method::SampleInfohashes { target, want } => {
            fields([("target", Some(target.to_string().into())), ("want", want.map(json_of_want))])
        }
        Method::GetPeers { info_hash, want, no_seed, scrape } => fields([
            ("info_hash", Some(info_hash.to_hex().into())),
            ("want", want.map(json_of_want)),
            ("noseed", no_seed.then_some(true.into())),
            ("scrape", scrape.then_some(true.into())),
        ]),
        Method::AnnouncePeer { info_hash, port, implied_port, seed, token } => json!({
            "info_hash": info_hash.to_hex(), "port": port, "implied_port": implied_port, "seed": seed, "token": hex(token),
        }),
        Method::Get { target, seq, want } => fields([
            ("target", Some(target.to_string().into())),
            ("seq", seq.map(Value::from)),
            ("want", want.map(json_of_want)),
        ]),
        Method::Put { token, value, signed } => {
            let mut all = json!({ "token": hex(token), "value": hex(value) });
            if let Some(Signed { key, signature, seq, salt, cas }) = signed {
                let signed = json!({ "key": hex(*key), "signature": hex(*signature), "seq": seq, "salt": hex(salt), "cas": cas });
                merge(&mut all, signed);
            }
            all
        }
        Method::Unknown { name, target } => fields([
            ("method", Some(String::from_utf8_lossy(name).into())),
            ("target", target.map(|target| target.to_string().into())),
        ]),
    }
}

fn json_of_response(response: &Response<'_>) -> Value {
    let nodes = |nodes: &Option<Vec<Contact>>| {
        let node = |node: &Contact| json!({ "id": node.id.to_string(), "addr": node.addr.to_string() });
        nodes.as_ref().map(|nodes| nodes.iter().map(node).collect::<Vec<Value>>().into())
    };
    let texts = |texts: Option<Vec<String>>| texts.map(Value::from);
    let faults: Vec<String> = response.faults.iter().map(ToString::to_string).collect();
    fields([
        ("id", Some(response.id.to_string().into())),
        ("nodes", nodes(&response.nodes)),
        ("nodes6", nodes(&response.nodes6)),
        ("values", texts(response.values.as_ref().map(|peers| peers.iter().map(ToString::to_string).collect()))),
        ("token", response.token.map(|token| hex(token).into())),
        ("value", response.value.map(|value| hex(value).into())),
        ("key", response.key.map(|key| hex(key).into())),
        ("signature", response.signature.map(|signature| hex(signature).into())),
        ("seq", response.seq.map(Value::from)),
        ("seeds", response.seed_filter.map(|filter| BloomFilter::from_bytes(*filter).estimate().into())),
        ("others", response.peer_filter.map(|filter| BloomFilter::from_bytes(*filter).estimate().into())),
        ("samples", texts(response.samples.as_ref().map(|hashes| hashes.iter().map(|hash| hash.to_hex()).collect()))),
        ("num", response.num.map(Value::from)),
        ("interval", response.interval.map(Value::from)),
        ("faults", (!faults.is_empty()).then_some(faults.into())),
    ])
}

fn json_of_want(want: Want) -> Value {
    let names = [(want.v4, "n4"), (want.v6, "n6")];
    names.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect::<Vec<_>>().into()
}

/// An object of the fields that are there.
fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}
