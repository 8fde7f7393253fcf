//! Captures of other clients (`tests/captures`): every byte is accounted for, every message that tshark found is found, and frames that are out of order, doubled, lost
//! or cut off do what they should.

use parcacik_core::capture::{
    Capture, CaptureLimits, Conversation, Dissector, Heard, PieceCheck, Protocol, Said, Side, Summary, dissect,
    dissect_with,
};
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use parcacik_core::wire::Message;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// A capture as the manifest describes it.
struct Described {
    name: String,
    facts: Value,
    bytes: Vec<u8>,
    torrent: Metainfo,
}

fn all() -> Vec<Described> {
    let manifest = std::fs::read(folder().join("manifest.json")).expect("there is a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("it is JSON");
    let captures = manifest["captures"].as_array().expect("it lists captures");
    captures
        .iter()
        .map(|facts| {
            let file = |key: &str| {
                let name = facts[key].as_str().expect("a file is named");
                std::fs::read(folder().join(name)).expect("it is there")
            };
            Described {
                name: facts["name"].as_str().expect("it has a name").to_owned(),
                facts: facts.clone(),
                bytes: file("file"),
                torrent: Metainfo::parse(&file("torrent"), &MetainfoLimits::default()).expect("a good torrent"),
            }
        })
        .collect()
}

fn named(name: &str) -> Described {
    all().into_iter().find(|capture| capture.name == name).expect("it is in the manifest")
}

/// What a side of a connection said as messages.
fn messages(conversation: &Conversation, side: Side) -> Vec<Message> {
    let said = conversation.items.iter().filter(|item| item.from == side);
    said.filter_map(|item| match &item.said {
        Said::Message { message, .. } => Some(message.clone()),
        _ => None,
    })
    .collect()
}

/// All connections: who with whom, and what each side said.
type Talks = Vec<(std::net::SocketAddr, std::net::SocketAddr, Vec<Message>, Vec<Message>)>;

fn talks(capture: &Capture) -> Talks {
    capture
        .streams
        .iter()
        .map(|talk| (talk.facts.a, talk.facts.b, messages(talk, Side::A), messages(talk, Side::B)))
        .collect()
}

/// Messages by number, over everything.
fn by_number(capture: &Capture) -> BTreeMap<u8, u64> {
    let mut counts = BTreeMap::new();
    for talk in &capture.streams {
        for side in [Side::A, Side::B] {
            messages(talk, side).iter().filter_map(Message::id).for_each(|id| *counts.entry(id).or_default() += 1);
        }
    }
    counts
}

#[test]
fn files_are_those_of_the_manifest() {
    for capture in all() {
        let digest: String = Sha256::digest(&capture.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(capture.facts["sha256"], digest.as_str(), "{}", capture.name);
        assert_eq!(capture.facts["length"], capture.bytes.len(), "{}", capture.name);
        assert!(capture.bytes.len() <= 300_000, "{}", capture.name);
    }
    assert!(all().len() >= 6);
}

#[test]
fn every_byte_is_accounted_for() {
    for described in all() {
        let name = &described.name;
        let capture = dissect(&described.bytes);
        let facts = &capture.facts;
        assert_eq!((facts.fault.as_ref(), facts.cut_off), (None, false), "{name}");
        assert_eq!(facts.unknown_link + facts.malformed + facts.fragments + facts.unfollowed, 0, "{name}");
        for talk in &capture.streams {
            for side in [Side::A, Side::B] {
                let facts = talk.facts.side(side);
                let counts = facts.counts;
                assert_eq!((counts.lost, counts.conflicting), (0, 0), "{name}");
                let mut at = 0;
                for item in talk.items.iter().filter(|item| item.from == side) {
                    assert_eq!(item.range.start, at, "{name}: {item:?}");
                    at = item.range.end;
                    assert!(!matches!(item.said, Said::Fault(_) | Said::Damaged(_) | Said::Gap), "{name}: {item:?}");
                }
                assert_eq!(at, counts.bytes, "{name}");
                // Only what is encrypted is not decoded.
                match name.as_str() {
                    "encrypted" => assert_eq!(facts.undecoded, counts.bytes),
                    "aria2" => assert!(facts.undecoded < 1_244, "{}", facts.undecoded),
                    _ => assert_eq!(facts.undecoded, 0, "{name}"),
                }
            }
        }
    }
}

#[test]
fn what_tshark_found_is_found() {
    for described in all() {
        let name = &described.name;
        let ours = by_number(&dissect(&described.bytes));
        let theirs = described.facts["tshark"]["messages"].as_object().expect("tshark has looked");
        let mut equal = true;
        for (id, count) in theirs {
            let id: u8 = id.parse().expect("a number");
            let count = count.as_u64().expect("a count");
            let own = ours.get(&id).copied().unwrap_or_default();
            assert!(own >= count, "{name}: message {id}: {own} of {count}");
            equal &= own == count;
        }
        // It does not go on behind messages of BEP 52.
        assert!(equal || *name == "hybrid", "{name}: {ours:?}, {theirs:?}");
        assert!(!theirs.is_empty() || *name == "encrypted", "{name}");
    }
}

/// And all of them can be read.
#[test]
fn every_message_of_the_dht_that_tshark_found_is_found() {
    let mut kinds = BTreeMap::new();
    for described in all() {
        let capture = dissect(&described.bytes);
        let names =
            capture.datagrams.iter().map(|datagram| datagram.kind.name()).filter(|name| name.starts_with("dht_"));
        let mut count = 0;
        for name in names {
            *kinds.entry(name).or_insert(0) += 1;
            count += 1;
        }
        assert_eq!(described.facts["tshark"]["dht"].as_u64().unwrap_or(0), count, "{}", described.name);
    }
    for kind in ["dht_get_peers", "dht_announce_peer", "dht_get", "dht_put", "dht_sample_infohashes", "dht_response"] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
    assert!(!kinds.contains_key("dht_unreadable"), "{kinds:?}");
}

#[test]
fn the_peers_and_the_torrent_are_those_of_the_manifest() {
    for described in all() {
        let name = &described.name;
        let capture = dissect(&described.bytes);
        let clients = described.facts["clients"].as_array().expect("clients are listed");
        let known: Vec<&str> = clients.iter().filter_map(|client| client["client"].as_str()).collect();
        let mut seen = Vec::new();
        for talk in capture.streams.iter().filter(|talk| talk.facts.protocol == Protocol::Peer) {
            let names: Vec<_> = described.torrent.hashes().names().collect();
            for side in &talk.facts.sides {
                assert!(side.info_hash.is_none_or(|hash| names.contains(&hash)), "{name}");
                seen.extend(side.peer_id.map(|id| match id.0 {
                    [b'-', b'L', b'T', ..] => "libtorrent",
                    [b'-', b'T', b'R', ..] => "transmission",
                    [b'A', b'2', b'-', ..] => "aria2",
                    [b'-', b'r', b'Q', ..] => "rqbit",
                    other => panic!("{name}: nobody is called {}", String::from_utf8_lossy(&other)),
                }));
            }
        }
        for client in &known {
            assert!(seen.contains(client) || name == "encrypted", "{name}: {client}: {seen:?}");
        }
        assert!(seen.iter().all(|client| known.contains(client)), "{name}: {seen:?}");
    }
}

#[test]
fn every_piece_goes_by_and_is_right() {
    for described in all() {
        let limits = CaptureLimits::default();
        let mut pieces = PieceCheck::new(&described.torrent, &limits);
        let mut summary = Summary::default();
        let mut dissector = Dissector::new(limits);
        dissector.feed(&described.bytes);
        dissector.finish();
        while let Some(heard) = dissector.heard() {
            let facts = match &heard {
                Heard::Stream(id, _) => dissector.stream(*id),
                Heard::Datagram(_) => None,
            };
            pieces.look(&heard, facts);
            summary.count(&heard, facts);
        }
        let count = described.facts["pieces"].as_u64().expect("they are counted") as u32;
        let count = if described.name == "encrypted" { 0 } else { count };
        assert_eq!((pieces.seen(), pieces.good(), pieces.bad()), (count, count, 0), "{}", described.name);
        // And what trackers were asked.
        let udp = |kind: &str| summary.udp.get(kind).copied().unwrap_or_default();
        let torrent = described.torrent.hashes().best();
        match described.name.as_str() {
            "udp-tracker" => {
                for what in ["announce", "scrape", "connect"] {
                    let asked = udp(&format!("tracker_{what}_request"));
                    assert!(asked >= 2, "{what}");
                    assert_eq!(udp(&format!("tracker_{what}_response")), asked, "{what}");
                }
                assert_eq!(udp("other"), 0);
            }
            "http-tracker" | "aria2" => {
                let [tracker] = &summary.http_trackers.values().collect::<Vec<_>>()[..] else { panic!("one tracker") };
                assert!(tracker.announces >= 2 && tracker.announced == tracker.announces, "{tracker:?}");
                assert_eq!(tracker.scraped, tracker.scrapes);
                assert_eq!(tracker.scrapes > 0, described.name == "http-tracker");
                assert_eq!((tracker.unreadable, tracker.failures), (0, 0));
                assert!(tracker.info_hashes.iter().eq([&torrent]));
            }
            "dht" => {
                assert!(summary.http_trackers.is_empty());
                // Each query is answered, and there is nothing else.
                let (total, answers) = (summary.udp.values().sum::<u64>(), udp("dht_response"));
                assert_eq!((total, udp("dht_error"), udp("dht_unreadable")), (2 * answers, 0, 0), "{:?}", summary.udp);
            }
            _ => assert!(summary.http_trackers.is_empty() && summary.udp.is_empty(), "{}", described.name),
        }
    }
}

/// The frames of a pcap file with little-endian microseconds, without their heads.
fn frames(file: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(file[..4], 0xa1b2_c3d4u32.to_le_bytes());
    let mut frames = Vec::new();
    let mut rest = &file[24..];
    while let Some((head, behind)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        frames.push(behind[..length].to_vec());
        rest = &behind[length..];
    }
    frames
}

/// A file of these frames, a millisecond apart; of each so many bytes are kept.
fn file(link_of: &[u8], frames: &[Vec<u8>], snap: usize) -> Vec<u8> {
    let mut out = link_of[..24].to_vec();
    for (index, frame) in frames.iter().enumerate() {
        let kept = &frame[..frame.len().min(snap)];
        let millis = index as u32;
        for number in [1_700_000_000 + millis / 1000, millis % 1000 * 1000, kept.len() as u32, frame.len() as u32] {
            out.extend(number.to_le_bytes());
        }
        out.extend(kept);
    }
    out
}

/// Whether a frame (Ethernet, IPv4 or IPv6, TCP) has a SYN, a FIN or a RST.
fn is_special(frame: &[u8]) -> bool {
    let tcp = if frame[12..14] == [0x86, 0xdd] { 54 } else { 34 };
    frame[tcp + 13] & 7 != 0
}

/// A small generator: the same numbers for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

const ETHERNET: [&str; 3] = ["plain", "hybrid", "rqbit"];
const SEEDS: u64 = 30;

#[test]
fn frames_out_of_order_and_doubled_say_the_same() {
    // An acknowledgement may come long before what it acknowledges.
    let patient = || CaptureLimits { gap_patience: Duration::from_secs(3600), ..CaptureLimits::default() };
    let mut moved = 0;
    for name in ETHERNET {
        let described = named(name);
        let straight = talks(&dissect(&described.bytes));
        let frames = frames(&described.bytes);
        for seed in 0..SEEDS {
            let mut numbers = Numbers(seed);
            let mut shuffled = frames.clone();
            for index in 0..shuffled.len() - 1 {
                // Within a few frames, and none over the start or the end of a connection.
                let other = (index + numbers.below(6)).min(shuffled.len() - 1);
                if !shuffled[index..=other].iter().any(|frame| is_special(frame)) {
                    moved += usize::from(index != other);
                    shuffled.swap(index, other);
                }
                if numbers.below(8) == 0 {
                    let again = shuffled[index].clone();
                    shuffled.insert(index + 1, again);
                }
            }
            let capture = dissect_with(&file(&described.bytes, &shuffled, usize::MAX), patient());
            assert_eq!(talks(&capture), straight, "{name}, seed {seed}");
            let lost: u64 =
                capture.streams.iter().flat_map(|talk| &talk.facts.sides).map(|side| side.counts.lost).sum();
            assert_eq!(lost, 0, "{name}, seed {seed}");
        }
    }
    assert!(moved > 1_000, "{moved}");
}

/// Whether all of `some` are in `all`, in their order.
fn are_among(some: &[Message], all: &[Message]) -> bool {
    let mut rest = all.iter();
    some.iter().all(|one| rest.any(|other| other == one))
}

#[test]
fn behind_lost_frames_only_true_messages_are_found() {
    let (mut lost, mut found, mut there) = (0, 0, 0);
    for name in ETHERNET {
        let described = named(name);
        let straight = talks(&dissect(&described.bytes));
        let frames = frames(&described.bytes);
        for seed in 0..SEEDS {
            let mut numbers = Numbers(seed);
            let kept: Vec<Vec<u8>> =
                frames.iter().filter(|frame| is_special(frame) || numbers.below(6) != 0).cloned().collect();
            let capture = dissect(&file(&described.bytes, &kept, usize::MAX));
            assert_eq!(capture.streams.len(), straight.len(), "{name}, seed {seed}");
            for (talk, (a, b, said_a, said_b)) in talks(&capture).iter().zip(&straight) {
                assert_eq!((&talk.0, &talk.1), (a, b), "{name}, seed {seed}");
                assert!(are_among(&talk.2, said_a) && are_among(&talk.3, said_b), "{name}, seed {seed}");
                found += talk.2.len() + talk.3.len();
                there += said_a.len() + said_b.len();
            }
            lost += capture.streams.iter().flat_map(|talk| &talk.facts.sides).map(|side| side.counts.lost).sum::<u64>();
        }
    }
    assert!(lost > 1_000_000, "{lost}");
    // A sixth of the frames is gone, and in each many messages.
    assert!(found * 2 > there, "{found} of {there}");
}

#[test]
fn of_frames_that_are_cut_off_the_small_messages_are_left() {
    for name in ETHERNET {
        let described = named(name);
        let straight = talks(&dissect(&described.bytes));
        let capture = dissect(&file(&described.bytes, &frames(&described.bytes), 200));
        for (talk, (_, _, said_a, said_b)) in capture.streams.iter().zip(&straight) {
            let (a, b) = (messages(talk, Side::A), messages(talk, Side::B));
            assert!(are_among(&a, said_a) && are_among(&b, said_b), "{name}");
            assert!(talk.facts.sides.iter().all(|side| side.peer_id.is_some()), "{name}");
            // A block is not whole, and known all the same.
            let damaged =
                talk.items.iter().filter(|item| matches!(item.said, Said::Damaged(message) if message.id == Some(7)));
            assert!(damaged.count() > 0, "{name}");
            assert!(a.iter().chain(&b).any(|message| matches!(message, Message::Request(_))), "{name}");
        }
    }
}
