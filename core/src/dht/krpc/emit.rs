//! Writing.

use super::{Body, Contact, MAX_ERROR_TEXT, MAX_RESPONSE, MAX_VALUES, Message, Method, Query, Response, Want, compact};
use crate::bencode::{DictEncoder, encode_dict};
use alloc::vec::Vec;
use core::net::SocketAddr;

impl Message<'_> {
    /// Writes the datagram, canonically.
    ///
    /// A response keeps within [`MAX_RESPONSE`]. Who it is from and what it answers are always there; then comes what there is room for,
    /// in this order: the item with its key, signature and number, the filters, the numbers of the samples, the token, `ip`, nodes of IPv4
    /// and of IPv6 (the first ones of each list), the version, peers, samples. So an item of 1,000 bytes comes with few nodes or
    /// none, and filters with fewer peers, as BEP 33 has it: "returning less values".
    pub fn encode(&self) -> Vec<u8> {
        let cut;
        let message = match &self.body {
            Body::Response(response) => {
                cut = fit(self, response);
                &cut
            }
            Body::Query(_) | Body::Error(_) => self,
        };
        encode_dict(|dict| write(message, dict))
    }
}

fn write(message: &Message<'_>, dict: &mut DictEncoder<'_>) {
    if let Some(ip) = &message.ip {
        dict.bytes("ip", address(ip));
    }
    if let Some(version) = message.version {
        dict.bytes("v", version);
    }
    dict.bytes("t", message.transaction);
    match &message.body {
        Body::Query(query) => {
            dict.bytes("y", b"q").bytes("q", query.method.name()).dict("a", |args| write_query(query, args));
            if message.read_only {
                dict.int("ro", 1);
            }
        }
        Body::Response(response) => {
            dict.bytes("y", b"r").dict("r", |values| write_response(response, values));
        }
        Body::Error(error) => {
            let text = error.text.get(..MAX_ERROR_TEXT).unwrap_or(error.text);
            dict.bytes("y", b"e").list("e", |list| {
                list.int(error.code.0).bytes(text);
            });
        }
    }
}

fn write_query(query: &Query<'_>, args: &mut DictEncoder<'_>) {
    args.bytes("id", query.id.0);
    match &query.method {
        Method::Ping => {}
        Method::FindNode { target, want } | Method::SampleInfohashes { target, want } => {
            args.bytes("target", target.0);
            write_want(*want, args);
        }
        Method::GetPeers { info_hash, want, no_seed, scrape } => {
            args.bytes("info_hash", info_hash.0);
            write_want(*want, args);
            write_switch("noseed", *no_seed, args);
            write_switch("scrape", *scrape, args);
        }
        Method::AnnouncePeer { info_hash, port, implied_port, seed, token } => {
            args.bytes("info_hash", info_hash.0).bytes("token", token);
            write_switch("implied_port", *implied_port, args);
            if *port != 0 {
                args.int("port", i64::from(*port));
            }
            write_switch("seed", *seed, args);
        }
        Method::Get { target, seq, want } => {
            args.bytes("target", target.0);
            if let Some(seq) = seq {
                args.int("seq", *seq);
            }
            write_want(*want, args);
        }
        Method::Put { token, value, signed } => {
            args.bytes("token", token).raw("v", value);
            if let Some(signed) = signed {
                args.bytes("k", signed.key).bytes("sig", signed.signature).int("seq", signed.seq);
                if !signed.salt.is_empty() {
                    args.bytes("salt", signed.salt);
                }
                if let Some(cas) = signed.cas {
                    args.int("cas", cas);
                }
            }
        }
        Method::Unknown { target, .. } => {
            if let Some(target) = target {
                args.bytes("target", target.0);
            }
        }
    }
}

fn write_want(want: Option<Want>, args: &mut DictEncoder<'_>) {
    let Some(want) = want else { return };
    args.list("want", |list| {
        for (name, wanted) in [(b"n4", want.v4), (b"n6", want.v6)] {
            if wanted {
                list.bytes(name);
            }
        }
    });
}

fn write_switch(key: &str, on: bool, args: &mut DictEncoder<'_>) {
    if on {
        args.int(key, 1);
    }
}

fn write_response(response: &Response<'_>, values: &mut DictEncoder<'_>) {
    values.bytes("id", response.id.0);
    for (key, filter) in [("BFpe", response.peer_filter), ("BFsd", response.seed_filter)] {
        if let Some(filter) = filter {
            values.bytes(key, filter);
        }
    }
    for (key, nodes) in [("nodes", &response.nodes), ("nodes6", &response.nodes6)] {
        if let Some(nodes) = nodes {
            values.bytes(key, contacts(nodes));
        }
    }
    if let Some(interval) = response.interval {
        values.int("interval", i64::from(interval));
    }
    if let Some(num) = response.num {
        values.int("num", i64::try_from(num).unwrap_or(i64::MAX));
    }
    if let Some(samples) = &response.samples {
        values.bytes("samples", samples.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>());
    }
    if let Some(seq) = response.seq {
        values.int("seq", seq);
    }
    if let Some(key) = response.key {
        values.bytes("k", key);
    }
    if let Some(signature) = response.signature {
        values.bytes("sig", signature);
    }
    if let Some(token) = response.token {
        values.bytes("token", token);
    }
    if let Some(value) = response.value {
        values.raw("v", value);
    }
    if let Some(peers) = &response.values {
        values.list("values", |list| {
            for peer in peers {
                list.bytes(address(peer));
            }
        });
    }
}

fn address(addr: &SocketAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(18);
    compact::put(&mut out, addr);
    out
}

fn contacts(nodes: &[Contact]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nodes.len() * 38);
    for node in nodes {
        out.extend_from_slice(&node.id.0);
        compact::put(&mut out, &node.addr);
    }
    out
}

/// What is left of the room of a response.
struct Room {
    left: usize,
}

impl Room {
    /// Takes `bytes`, if they are there.
    fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left;
        if fits {
            self.left -= bytes;
        }
        fits
    }

    /// The value, if it fits.
    fn keep<T>(&mut self, value: Option<T>, bytes: impl FnOnce(&T) -> usize) -> Option<T> {
        value.filter(|value| self.take(bytes(value)))
    }

    /// As many items from the front as fit into a string under `key`, each of so many bytes.
    fn keep_packed<T: Copy>(&mut self, key: &str, items: &Option<Vec<T>>, each: usize) -> Option<Vec<T>> {
        let items = items.as_ref()?;
        let mut fitting = items.len();
        while !self.take(string(key.len()) + string(fitting * each)) {
            fitting = fitting.checked_sub(1)?;
        }
        Some(items.get(..fitting).unwrap_or_default().to_vec())
    }
}

/// How many bytes a string of so many takes.
fn string(length: usize) -> usize {
    digits(length as u64) + 1 + length
}

/// How many bytes an integer takes; those that are written here are none below zero.
fn integer(value: i64) -> usize {
    digits(value.unsigned_abs()) + usize::from(value < 0) + 2
}

fn digits(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// The message with as much of its response as there is room for.
fn fit<'a>(message: &Message<'a>, full: &Response<'a>) -> Message<'a> {
    // `d`, `1:rd`, `e`, `1:y1:r`, `e`; the transaction; the id.
    let fixed = 13 + string(1) + string(message.transaction.len()) + string(2) + string(20);
    let mut room = Room { left: MAX_RESPONSE.saturating_sub(fixed) };
    let text = |key: &str, length| string(key.len()) + string(length);
    let int = |key: &str, value| string(key.len()) + integer(value);

    let mut response = Response::new(full.id);
    response.seq = room.keep(full.seq, |seq| int("seq", *seq));
    let item = full.value.map_or(0, |value| string(1) + value.len())
        + full.key.map_or(0, |key| text("k", key.len()))
        + full.signature.map_or(0, |signature| text("sig", signature.len()));
    if room.take(item) {
        (response.value, response.key, response.signature) = (full.value, full.key, full.signature);
    }
    response.seed_filter = room.keep(full.seed_filter, |filter| text("BFsd", filter.len()));
    response.peer_filter = room.keep(full.peer_filter, |filter| text("BFpe", filter.len()));
    response.num = room.keep(full.num, |num| int("num", i64::try_from(*num).unwrap_or(i64::MAX)));
    response.interval = room.keep(full.interval, |interval| int("interval", i64::from(*interval)));
    response.token = room.keep(full.token, |token| text("token", token.len()));
    let ip = room.keep(message.ip, |ip| text("ip", compact::address_length(ip.is_ipv6())));
    response.nodes = room.keep_packed("nodes", &full.nodes, 20 + compact::address_length(false));
    response.nodes6 = room.keep_packed("nodes6", &full.nodes6, 20 + compact::address_length(true));
    let version = room.keep(message.version, |version| text("v", version.len()));
    response.values = full.values.as_ref().filter(|_| room.take(string(6) + 2)).map(|peers| {
        let fits = |peer: &&SocketAddr| room.take(string(compact::address_length(peer.is_ipv6())));
        peers.iter().take(MAX_VALUES).take_while(fits).copied().collect()
    });
    response.samples = room.keep_packed("samples", &full.samples, 20);
    Message { version, ip, body: Body::Response(response), ..message.clone() }
}
