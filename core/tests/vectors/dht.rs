//! The DHT: messages, distances, filters, ids of addresses, items.

use super::{Cases, array, ensure, hex, number, same, text, unhex};
use parcacik_core::dht::krpc::{Body, ErrorCode, MAX_SALT, MAX_VALUE, Message, Method, Signed};
use parcacik_core::dht::{BloomFilter, ImmutableItem, ItemLimits, ItemStore, MutableItem, NodeId, SecretKey};
use parcacik_core::time::Time;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn id(case: &Value, field: &str) -> NodeId {
    NodeId(array(text(case, field)))
}

#[test]
fn messages() {
    Cases::read("dht_messages", include_str!("data/dht_messages.json")).check(|case| {
        let packet = unhex(text(case, "packet_hex"));
        let (read, name) = (Message::parse(&packet), text(case, "id"));
        let Some(true) = case["well_formed"].as_bool() else {
            return match (read, name) {
                // The rest of it counts: "keep token, drop nodes".
                (Ok(message), "bep5-get_peers-r-nodes9") => match message.body {
                    Body::Response(read) => {
                        same("what is read", (read.token, read.nodes), (Some(&b"aoeusnth"[..]), Some(vec![])))
                    }
                    body => Err(format!("{body:?}")),
                },
                (Ok(message), _) => Err(format!("it is taken: {message:?}")),
                (Err(refused), _) => {
                    let code = match refused.answer().map(|answer| answer.body) {
                        Some(Body::Error(error)) => Some(error.code),
                        _ => None,
                    };
                    let due = match text(case, "note") {
                        note if note.contains("error 203") => Some(ErrorCode::PROTOCOL),
                        note if note.contains("error 205") => Some(ErrorCode::TOO_BIG),
                        _ => None,
                    };
                    same("code", code, due)
                }
            };
        };
        let message = read.map_err(|refused| refused.to_string())?;
        match (&message.body, name) {
            (Body::Response(read), "nodes3") => return same("nodes", read.nodes.as_ref().map(Vec::len), Some(2)),
            (Body::Query(query), "extra-args") => return same("method", &query.method, &Method::Ping),
            (Body::Response(read), "bep5-get_peers-r-values") => {
                let peers: Vec<String> = read.values.iter().flatten().map(ToString::to_string).collect();
                same("peers", peers, vec!["97.120.106.101:11893".into(), "105.100.104.116:28269".into()])?;
            }
            _ => {}
        }
        // All others are in the form that we write.
        same("written again", hex(&message.encode()), hex(&packet))
    });
}

#[test]
fn distances() {
    Cases::read("dht_distance", include_str!("data/dht_distance.json")).check(|case| {
        let distance = id(case, "a").distance(id(case, "b"));
        same("distance", hex(&distance.0), text(case, "xor").to_owned())?;
        same("from the other side", id(case, "b").distance(id(case, "a")), distance)?;
        same("log2", distance.log2().map_or(-1, i64::from), case["log2"].as_i64().expect("a number"))
    });
}

#[test]
fn scrape_filters() {
    Cases::read("bep33_bloom", include_str!("data/bep33_bloom.json")).check(|case| {
        let addresses: Vec<IpAddr> = match case["insert"].as_array() {
            Some(list) => list.iter().map(|ip| ip.as_str().expect("a text").parse().expect("an address")).collect(),
            // Ranges, which the file names in words. The BEP's own:
            None if text(case, "id") == "bep33" => (0..=255)
                .map(|n| Ipv4Addr::new(192, 0, 2, n).into())
                .chain((0..=0x3e7).map(|n| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()))
                .collect(),
            // 10.0.0.0 to 10.0.0.249, and so on to 10.0.7.249.
            None => (0..8).flat_map(|c| (0..250).map(move |d| Ipv4Addr::new(10, 0, c, d).into())).collect(),
        };
        same("addresses", addresses.len() as u64, number(case, "count"))?;
        let mut filter = BloomFilter::new();
        addresses.iter().for_each(|ip| filter.insert(*ip));
        same("filter", hex(filter.as_bytes()), text(case, "filter_hex").to_owned())?;
        ensure(addresses.iter().all(|ip| filter.may_contain(*ip)), || "an address is missing".to_owned())?;
        // The file has four digits behind the point, we have three.
        let (ours, due) = (filter.estimate_thousandths(), case["estimate"].as_f64().expect("a number") * 1000.0);
        ensure((f64::from(ours) - due).abs() <= 0.55, || format!("estimate is {ours}, not {due}"))
    });
}

#[test]
fn ids_of_addresses() {
    Cases::read("bep42_node_id", include_str!("data/bep42_node_id.json")).check(|case| {
        let ip: IpAddr = text(case, "ip").parse().expect("an address");
        same("valid", id(case, "node_id").is_valid_for(ip), case["valid"].as_bool().expect("a verdict"))
    });
}

#[test]
fn items() {
    Cases::read("bep44_items", include_str!("data/bep44_items.json")).check(|case| match text(case, "type") {
        "limits" => limits(case),
        "immutable" => {
            let item = ImmutableItem::new(unhex(text(case, "v_hex"))).map_err(|error| error.to_string())?;
            same("target", item.target(), id(case, "target"))
        }
        _ => mutable(case),
    });
}

fn mutable(case: &Value) -> Result<(), String> {
    let (salt, value) = (unhex(text(case, "salt_hex")), unhex(text(case, "v_hex")));
    let seq = case["seq"].as_i64().expect("a number");
    let (key, signature) = (array(text(case, "public_key")), array(text(case, "signature")));
    same("target", parcacik_core::dht::item::mutable_target(&key, &salt), id(case, "target"))?;
    let signed = parcacik_core::dht::item::signed_text(&salt, seq, &value);
    let due = case["signed_buffer_hex"].as_str().map(unhex);
    if let Some(due) = due.or(case["signed_buffer"].as_str().map(|text| text.as_bytes().to_vec())) {
        same("what is signed", hex(&signed), hex(&due))?;
    }
    let verified = MutableItem::verify(key, salt.clone(), seq, value.clone(), signature);
    same("valid", verified.is_ok(), case["valid"].as_bool().expect("a verdict"))?;
    let secret = match (case["seed"].as_str(), case["expanded_private_key"].as_str()) {
        (Some(seed), _) => SecretKey::from_seed(&array(seed)),
        (None, Some(expanded)) => SecretKey::from_expanded(&array(expanded)),
        (None, None) => return Ok(()),
    };
    same("public key", secret.public(), key)?;
    let ours = MutableItem::sign(&secret, salt, seq, value).map_err(|error| error.to_string())?;
    same("signature", hex(ours.signature()), hex(&signature))
}

/// A `put` of a value and a salt of such lengths, as it is read and stored.
fn limits(case: &Value) -> Result<(), String> {
    let (length, salt) = (number(case, "v_len") as usize, number(case, "salt_len") as usize);
    // The string that has this length when it is bencoded.
    let content = (0..=length).rev().find(|content| content.to_string().len() + 1 + content == length);
    let content = content.ok_or("no string has that length")?;
    let value = format!("{content}:{}", "x".repeat(content)).into_bytes();
    let salt = vec![b's'; salt];
    // What may be signed; what may not is refused before its signature matters.
    let signable = if length <= MAX_VALUE { value.clone() } else { b"le".to_vec() };
    let item = MutableItem::sign(&SecretKey::from_seed(&[1; 32]), salt[..salt.len().min(MAX_SALT)].into(), 1, signable);
    let item = item.map_err(|error| error.to_string())?;
    let signed = Signed { key: item.key(), signature: item.signature(), seq: 1, salt: &salt, cas: None };
    let signed = (!salt.is_empty()).then_some(signed);
    let method = Method::Put { token: b"tk", value: &value, signed: signed.clone() };
    let packet = Message::query(b"aa", NodeId([1; 20]), method).encode();
    let due = case["expect_error"].as_i64().map(ErrorCode);
    let code = match Message::parse(&packet) {
        Ok(message) => {
            same("written again", message.encode(), packet.clone())?;
            let mut store = ItemStore::new(ItemLimits::default());
            store.put(Time::ZERO, NodeId([0; 20]), Ipv4Addr::LOCALHOST.into(), &value, signed.as_ref()).err()
        }
        Err(refused) => refused.answer().and_then(|answer| match answer.body {
            Body::Error(error) => Some(error.code),
            _ => None,
        }),
    };
    same("code", code, due)
}
