//! Messages between peers: how they read, and what is done about bad ones.

use super::{Cases, array, ensure, hex, same, text, unhex};
use bytes::{Bytes, BytesMut};
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{Action, Actions, Config, InfoHash, PeerId, PeerKey, TcpId, TorrentId};
use parcacik_core::cx::{Cx, IdSource};
use parcacik_core::metainfo::Geometry;
use parcacik_core::net_policy::IpFilter;
use parcacik_core::peer::{PeerConn, PeerFacts};
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use parcacik_core::wire::{
    BlockRange, ExtendedHandshake, Extension, Framer, HANDSHAKE_LENGTH, Handshake, Message, Reserved, UtMetadata,
};
use serde_json::Value;
use std::collections::BTreeSet;

fn decode(bytes: &[u8]) -> Result<Vec<Message>, String> {
    let mut framer = Framer::new(160 << 10);
    framer.feed(Bytes::copy_from_slice(bytes), 0);
    let mut messages = Vec::new();
    while let Some(message) = framer.next(&mut Vec::new()).map_err(|error| error.to_string())? {
        messages.push(message);
    }
    Ok(messages)
}

/// The message that a case is to be read as.
fn due(id: &str) -> Option<Message> {
    let range = BlockRange { piece: 1, begin: 0, length: 16_384 };
    Some(match id {
        "choke" => Message::Choke,
        "not_interested" => Message::NotInterested,
        "bitfield" => Message::Bitfield(Bytes::from_static(&[0xff, 0x80])),
        "piece" => Message::Piece { piece: 1, begin: 16_384, data: Bytes::from_static(b"abc") },
        "cancel" => Message::Cancel(range),
        "suggest" => Message::Suggest(3),
        "have_all" => Message::HaveAll,
        "allowed_fast" => Message::AllowedFast(9),
        _ => return None,
    })
}

#[test]
fn messages() {
    Cases::read("peer_wire", include_str!("data/peer_wire.json")).check(|case| {
        let (id, bytes) = (text(case, "id"), unhex(text(case, "bytes_hex")));
        if case.get("fields").is_some() {
            return handshake(case, &bytes);
        }
        if let Some(action) = case["action"].as_str() {
            return bad(id, action, &bytes);
        }
        let messages = decode(&bytes)?;
        match (id, &messages[..]) {
            ("extended_hs", [Message::Extended { id: 0, payload }]) => introduction(payload)?,
            // There is no transfer of version 2 torrents: its messages are not known, and are ignored.
            ("hash_request" | "hash_reject", [Message::Unknown { id: 21..=23, .. }]) => {}
            (_, [message]) if Some(message) == due(id).as_ref() => {}
            (_, messages) => return Err(format!("read as {messages:?}")),
        }
        let mut again = BytesMut::new();
        messages.iter().for_each(|message| message.emit(&mut again));
        same("written again", hex(&again), hex(&bytes))
    });
}

fn handshake(case: &Value, bytes: &[u8]) -> Result<(), String> {
    let handshake = Handshake::parse(bytes).map_err(|_| "not read")?.ok_or("not whole")?;
    let reserved = handshake.reserved;
    for (field, ours) in
        [("ltep", reserved.extended()), ("dht", reserved.dht()), ("fast", reserved.fast()), ("v2", reserved.v2())]
    {
        same(field, Some(ours), case["fields"][field].as_bool())?;
    }
    same("info-hash", handshake.info_hash, InfoHash(array("000102030405060708090a0b0c0d0e0f10111213")))?;
    same("peer id", handshake.peer_id, PeerId(*b"-XX0100-abcdefghijkl"))?;
    same("written again", handshake.emit().to_vec(), bytes.to_vec())
}

fn introduction(payload: &[u8]) -> Result<(), String> {
    let read = ExtendedHandshake::parse(payload).map_err(|_| "no dictionary")?;
    same("extensions", read.extensions, [(Extension::Metadata, 1), (Extension::Pex, 2)].into_iter().collect())?;
    same("metadata_size", read.metadata_size, Some(31_235))?;
    same("p", read.port, Some(6881))?;
    same("reqq", read.reqq, Some(250))?;
    same("upload_only", read.upload_only, Some(true))?;
    same("v", read.client.as_deref(), Some("X 1.0"))?;
    same("yourip", read.your_ip, Some([1, 2, 3, 4].into()))
}

/// What became of a bad message.
#[derive(Debug, PartialEq)]
enum Outcome {
    Closed,
    Rejected,
    Ignored,
}

/// Greets, as a peer with the fast extension and BEP 10, and says these bytes to a connection of ours.
fn outcome(bytes: &[u8]) -> (Outcome, PeerConn) {
    let geometry = Geometry::new(100 * 262_144, 262_144).expect("a torrent");
    let facts = PeerFacts {
        torrent: TorrentId(0),
        info_hash: InfoHash([7; 20]),
        peer_id: PeerId([8; 20]),
        geometry: Some(&geometry),
        have: &Bitfield::all(100),
        lost: &BTreeSet::new(),
        listen_port: None,
        metadata: None,
        upload_only: false,
        private: false,
        node_ports: [None; 2],
    };
    let (config, seeds, mut ids) = (Config::default(), Seeds::for_tests(1), IdSource::default());
    let mut out = Actions::new();
    let filter = IpFilter::new();
    let mut cx =
        Cx { now: Time::ZERO, config: &config, filter: &filter, seeds: &seeds, out: &mut out, ids: &mut ids, owner: 0 };
    let remote = "192.0.2.1:6881".parse().expect("an address");
    let mut conn = PeerConn::dialled(&mut cx, PeerKey(1), TcpId(1), remote, &facts);
    let greeting = Handshake { reserved: Reserved::OURS, info_hash: facts.info_hash, peer_id: PeerId([1; 20]) };
    for bytes in [&greeting.emit()[..], bytes] {
        conn.feed(&mut cx, Bytes::copy_from_slice(bytes), 0);
        while conn.step(&mut cx, &facts).is_some() {}
        conn.finish(&mut cx);
    }
    let mut sent = Vec::new();
    for action in &out.list {
        if let Action::Send { bytes, .. } = action {
            sent.extend_from_slice(bytes);
        }
    }
    let messages = decode(&sent[HANDSHAKE_LENGTH..]).expect("we write what can be read");
    let rejected = messages.iter().any(|message| matches!(message, Message::Reject(_)));
    let outcome = match (conn.is_closed(), rejected) {
        (true, _) => Outcome::Closed,
        (false, true) => Outcome::Rejected,
        (false, false) => Outcome::Ignored,
    };
    (outcome, conn)
}

fn bad(id: &str, action: &str, bytes: &[u8]) -> Result<(), String> {
    let (outcome, conn) = outcome(bytes);
    let due = match id {
        "bad-have-max" | "bad-bitfield-spare" | "bad-bitfield-late" | "bad-piece-short" => Outcome::Closed,
        // BEP 6: "the peer MUST close the connection."
        "bad-piece-overflow" => Outcome::Closed,
        "bad-suggest-oob" | "bad-allowed_fast-oob" | "bad-ext-hs-garbage" => Outcome::Closed,
        "bad-request-len0" | "bad-request-past-end" => Outcome::Rejected,
        "bad-port-0" | "bad-reject-unknown" | "bad-ext-hs-huge-metadata" => Outcome::Ignored,
        // Asked for hash_reject; but the messages of BEP 52 are not known here, and a peer that we have not told otherwise
        // has no reason to send them.
        "bad-hash_req-oob" | "bad-hash_req-odd" => return same(id, outcome, Outcome::Ignored),
        _ => return Err(format!("no outcome is known for {action:?}")),
    };
    let allowed = match due {
        Outcome::Closed => action.contains("disconnect"),
        Outcome::Rejected => action.contains("reject"),
        Outcome::Ignored => action.contains("ignore") || action.contains("drop"),
    };
    ensure(allowed, || format!("{due:?} is not among {action:?}"))?;
    if id == "bad-ext-hs-huge-metadata" {
        same("metadata_size", conn.introduction().metadata_size, None)?;
    }
    same(id, outcome, due)
}

#[test]
fn metadata_messages() {
    Cases::read("ut_metadata", include_str!("data/ut_metadata.json")).check(|case| {
        let payload = Bytes::from(unhex(text(case, "payload_hex")));
        let is = &case["is"];
        let number = |field: &str| is[field].as_u64().map(|number| number as u32);
        match UtMetadata::parse(&payload) {
            Err(_) => return ensure(is.is_null(), || "refused".to_owned()),
            Ok(UtMetadata::Request { piece }) => {
                same("request", (is["type"].as_str(), number("piece")), (Some("request"), Some(piece)))?
            }
            Ok(UtMetadata::Reject { piece }) => {
                same("reject", (is["type"].as_str(), number("piece")), (Some("reject"), Some(piece)))?
            }
            Ok(UtMetadata::Data { piece, total_size, data }) => {
                same("data", (is["type"].as_str(), number("piece")), (Some("data"), Some(piece)))?;
                same("size", total_size, number("total_size"))?;
                same("length", Some(data.len() as u32), number("length"))?;
            }
            Ok(_) => return same("type", is["type"].as_str(), Some("unknown")),
        }
        same("written again", UtMetadata::parse(&payload).map(|message| message.emit()), Ok(payload.to_vec()))
    });
}
