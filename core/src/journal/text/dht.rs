//! What nodes of the DHT ask and answer (BEP 5, 32, 33, 42, 43, 44, 51).

use super::value::{Kind, Line, Value};
use crate::dht::NodeId;
use crate::dht::krpc::{Body, Contact, ErrorReply, Message, Method, Query, Response, Want};
use alloc::format;
use alloc::string::{String, ToString};

/// A datagram that is a message of the DHT, or would like to be one. `None`: it is none.
pub(super) fn message(kind: Kind, datagram: &[u8]) -> Option<Line> {
    let message = match Message::parse(datagram) {
        Ok(message) => message,
        // Nobody else sends dictionaries.
        Err(refused) if datagram.first() == Some(&b'd') => {
            return Some(Line::new(kind, "dht unreadable").with("payload", Value::bytes(datagram)).why(&refused));
        }
        Err(_) => return None,
    };
    let line = match &message.body {
        Body::Query(query) => question(kind, query),
        Body::Response(response) => answer(kind, response),
        Body::Error(ErrorReply { code, text }) => {
            let text = String::from_utf8_lossy(text);
            Line::new(kind, "dht error").with("code", Value::Id(code.to_string())).with("text", &*text)
        }
    };
    let line = line.with("transaction", Value::Id(hex(message.transaction)));
    let line = line.maybe("version", message.version.map(|version| Value::text(&String::from_utf8_lossy(version))));
    Some(line.maybe("your-address", message.ip).maybe("read-only", Some(true).filter(|_| message.read_only)))
}

fn question(kind: Kind, Query { id, method }: &Query<'_>) -> Line {
    let line = |word| Line::new(kind, word);
    let line = match *method {
        Method::Ping => line("dht ping"),
        Method::FindNode { target, want } => {
            line("dht find_node").with("target", node(target)).maybe("want", want.map(families))
        }
        Method::GetPeers { info_hash, want, no_seed, scrape } => line("dht get_peers")
            .with("info-hash", info_hash)
            .maybe("want", want.map(families))
            .maybe("no-seed", flag(no_seed))
            .maybe("scrape", flag(scrape)),
        Method::AnnouncePeer { info_hash, port, implied_port, seed, token } => line("dht announce_peer")
            .with("info-hash", info_hash)
            .with("port", port)
            .maybe("implied-port", flag(implied_port))
            .maybe("seed", flag(seed))
            .with("token", Value::Id(hex(token))),
        Method::Get { target, seq, want } => {
            line("dht get").with("target", node(target)).maybe("seq", seq).maybe("want", want.map(families))
        }
        Method::Put { token, value, ref signed } => line("dht put")
            .with("value", Value::bytes(value))
            .maybe("key", signed.as_ref().map(|signed| Value::Id(hex(signed.key))))
            .maybe("seq", signed.as_ref().map(|signed| signed.seq))
            .maybe(
                "salt",
                signed.as_ref().filter(|signed| !signed.salt.is_empty()).map(|signed| Value::bytes(signed.salt)),
            )
            .maybe("cas", signed.as_ref().and_then(|signed| signed.cas))
            .with("token", Value::Id(hex(token))),
        Method::SampleInfohashes { target, want } => {
            line("dht sample_infohashes").with("target", node(target)).maybe("want", want.map(families))
        }
        Method::Unknown { name, target } => {
            line("dht unknown").with("method", &*String::from_utf8_lossy(name)).maybe("target", target.map(node))
        }
    };
    line.with("node", node(*id))
}

fn answer(kind: Kind, response: &Response<'_>) -> Line {
    let Response {
        id,
        nodes,
        nodes6,
        values,
        token,
        value,
        key,
        signature: _,
        seq,
        seed_filter,
        peer_filter,
        samples,
        num,
        interval,
        faults,
    } = response;
    let contacts = |contacts: &alloc::vec::Vec<Contact>| Value::List(contacts.iter().map(contact).collect());
    Line::new(kind, "dht response")
        .maybe("peers", values.as_ref().map(|values| Value::list(values.iter().copied())))
        .maybe("nodes", nodes.as_ref().map(contacts))
        .maybe("nodes6", nodes6.as_ref().map(contacts))
        .maybe("value", value.map(Value::bytes))
        .maybe("key", key.map(|key| Value::Id(hex(key))))
        .maybe("seq", *seq)
        .maybe("seed-filter", seed_filter.map(|filter| Value::bytes(filter)))
        .maybe("peer-filter", peer_filter.map(|filter| Value::bytes(filter)))
        .maybe("samples", samples.as_ref().map(|samples| Value::list(samples.iter().copied())))
        .maybe("num", *num)
        .maybe("interval", *interval)
        .maybe("token", token.map(|token| Value::Id(hex(token))))
        .maybe(
            "faults",
            Some(faults).filter(|faults| !faults.is_empty()).map(|faults| Value::list(faults.iter().map(Value::said))),
        )
        .with("node", node(*id))
}

fn flag(set: bool) -> Option<bool> {
    set.then_some(true)
}

fn node(id: NodeId) -> Value {
    Value::Id(id.to_string())
}

/// A node with the first four bytes of its id: they tell how close it is, and which it is.
fn contact(contact: &Contact) -> Value {
    Value::Id(format!("{}@{}", hex(&contact.id.0[..4]), contact.addr))
}

fn families(want: Want) -> Value {
    Value::Word(match (want.v4, want.v6) {
        (true, true) => "both",
        (true, false) => "n4",
        (false, true) => "n6",
        (false, false) => "neither",
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
