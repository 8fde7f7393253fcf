//! The project's captures of other clients (`tests/captures`), followed in both modes: a connection of ours in the place of each endpoint, and a
//! session of ours in the place of each client, among scripts made from those that it talked with.

use bytes::Bytes;
use parcacik_core::border::{CloseReason, PeerFault};
use parcacik_core::capture::{Capture, Chunk, Conversation, Said, Side, dissect};
use parcacik_core::journal::replay;
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use parcacik_core::wire::Message;
use parcacik_testkit::follow::{
    Cut, Decoded, Place, Script, captured_content, decode, made_up_content, run, scenes, words,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A capture, and the torrent that it is about.
struct Shipped {
    name: String,
    capture: Capture,
    torrent: Metainfo,
    file: Bytes,
}

/// All that the manifest lists.
fn shipped() -> Vec<Shipped> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("it is there");
    let manifest: Value = serde_json::from_slice(&read("manifest.json")).expect("it is JSON");
    let captures = manifest["captures"].as_array().expect("it lists captures");
    let text = |facts: &Value, key: &str| facts[key].as_str().expect("a text").to_owned();
    captures
        .iter()
        .map(|facts| {
            let file = Bytes::from(read(&text(facts, "torrent")));
            Shipped {
                name: text(facts, "name"),
                capture: dissect(&read(&text(facts, "file"))),
                torrent: Metainfo::parse(&file, &MetainfoLimits::default()).expect("a good torrent"),
                file,
            }
        })
        .collect()
}

/// The connections of a capture in which our side can be put into the place of one of both.
fn places(shipped: &Shipped) -> impl Iterator<Item = (&Conversation, Side, Decoded)> {
    let geometry = shipped.torrent.geometry();
    let sides = shipped.capture.streams.iter().flat_map(|talk| [(talk, Side::A), (talk, Side::B)]);
    sides.filter_map(move |(talk, ours)| {
        decode(talk, ours, geometry, Cut::AsCaptured).map(|decoded| (talk, ours, decoded))
    })
}

/// The messages of a side as they were dissected.
fn dissected(talk: &Conversation, side: Side) -> Vec<Message> {
    let own = talk.items.iter().filter(|item| item.from == side);
    own.filter_map(|item| match &item.said {
        Said::Message { message, .. } => Some(message.clone()),
        _ => None,
    })
    .collect()
}

#[test]
fn both_directions_are_read_to_their_last_byte() {
    let mut counts = BTreeMap::new();
    for shipped in shipped() {
        let name = &shipped.name;
        let mut count = (0, 0);
        for (talk, side) in shipped.capture.streams.iter().flat_map(|talk| [(talk, Side::A), (talk, Side::B)]) {
            let Some(words) = words(talk, side) else { continue };
            assert_eq!((words.broken, words.rest), (false, 0), "{name}");
            assert_eq!(words.before + words.bytes, talk.facts.side(side).counts.bytes, "{name}");
            assert!(words.before == 0 || name == "aria2", "{name}: {}", words.before);
            assert_eq!(words.messages, dissected(talk, side), "{name}");
            let sum: u64 = words.messages.iter().map(Message::encoded_len).sum();
            assert_eq!(words.bytes, 68 + sum, "{name}");
            count.0 += 1;
            count.1 += words.messages.len();
        }
        counts.insert(name.clone(), count);
    }
    let expected = [
        ("plain", (2, 40)),
        ("aria2", (4, 37)),
        ("fast", (28, 118)),
        ("hybrid", (2, 55)),
        ("udp-tracker", (4, 27)),
        ("http-tracker", (4, 24)),
        ("encrypted", (0, 0)),
        ("rqbit", (2, 27)),
        ("dht", (5, 24)),
    ];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn a_connection_in_the_place_of_an_endpoint_finds_no_fault() {
    let mut counts = BTreeMap::new();
    for shipped in shipped() {
        let name = &shipped.name;
        let mut count = (0, 0);
        for (talk, ours, decoded) in places(&shipped) {
            assert_eq!(decoded.fault(), None, "{name}: {} - {}", talk.facts.a, talk.facts.b);
            // It heard everything to the end: its own timers close nothing either.
            let theirs = words(talk, ours.other()).expect("it has greeted");
            assert_eq!(decoded.bytes, theirs.bytes, "{name}");
            let itself = decoded.closed() == Some(CloseReason::ToSelf);
            let ended = matches!(decoded.closed(), None | Some(CloseReason::ClosedByPeer | CloseReason::Broken(_)));
            assert!(ended || itself, "{name}: {:?}", decoded.closed());
            let data =
                |message: &Message| if let Message::Piece { data, .. } = message { data.len() as u64 } else { 0 };
            assert_eq!(decoded.content, theirs.messages.iter().map(data).sum::<u64>(), "{name}");
            // Each block that came had been asked for.
            let pieces = |messages: &[Message]| messages.iter().filter(|message| message.id() == Some(7)).count();
            assert_eq!(decoded.blocks(), pieces(&theirs.messages), "{name}");
            assert!(decoded.served as usize <= pieces(&dissected(talk, ours)), "{name}");
            count.0 += decoded.blocks();
            count.1 += decoded.served;
        }
        counts.insert(name.clone(), count);
    }
    // Two blocks of `fast` were given while their sender choked: what is allowed all the same is everybody's own choice, and ours another.
    let expected = [
        ("plain", (13, 13)),
        ("aria2", (9, 9)),
        ("fast", (15, 13)),
        ("hybrid", (12, 12)),
        ("udp-tracker", (5, 5)),
        ("http-tracker", (5, 5)),
        ("encrypted", (0, 0)),
        ("rqbit", (10, 10)),
        ("dht", (3, 3)),
    ];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn however_a_capture_is_cut_it_says_the_same() {
    for shipped in shipped() {
        for (talk, ours, decoded) in places(&shipped) {
            for cut in [Cut::Finer(1), Cut::Finer(700), Cut::Joined] {
                let other = decode(talk, ours, shipped.torrent.geometry(), cut).expect("it was decoded before");
                assert!(other == decoded, "{}: {} - {}, {cut:?}", shipped.name, talk.facts.a, talk.facts.b);
            }
        }
    }
}

/// The test can fail: a peer that gives what nobody asked for, and one that says what is no message.
#[test]
fn what_no_honest_client_says_is_a_fault() {
    let shipped = shipped().into_iter().find(|shipped| shipped.name == "plain").expect("it is shipped");
    let geometry = shipped.torrent.geometry();
    // BEP 6: "if a peer receives a piece that was never requested, the peer MUST close the connection."
    let mut talk = shipped.capture.streams[0].clone();
    talk.items.retain(|item| !matches!(item.said, Said::Message { message: Message::Request(_), .. }));
    let decoded = decode(&talk, Side::B, geometry, Cut::AsCaptured).expect("both have greeted");
    assert_eq!(decoded.fault(), Some(PeerFault::UnrequestedBlocks));
    let mut talk = shipped.capture.streams[0].clone();
    let last = talk.chunks.iter().rfind(|chunk| chunk.from == Side::A).expect("it said something").clone();
    talk.chunks.push(Chunk {
        start: last.start + last.bytes.len() as u64,
        bytes: Bytes::from_static(&[0xff; 40]),
        ..last
    });
    let decoded = decode(&talk, Side::B, geometry, Cut::AsCaptured).expect("both have greeted");
    assert_eq!(decoded.fault(), Some(PeerFault::MessageTooLong));
}

#[test]
fn scripts_have_what_the_clients_did() {
    let shipped = shipped();
    let script = |name: &str, stream: usize, side| {
        let shipped = shipped.iter().find(|shipped| shipped.name == name).expect("it is shipped");
        Script::of(&shipped.capture.streams[stream], side, &shipped.torrent.geometry()).expect("both have greeted")
    };
    let (rqbit, seed) = (script("rqbit", 0, Side::A), script("rqbit", 0, Side::B));
    assert!(rqbit.dials && !seed.dials);
    assert_eq!((rqbit.asks.len(), rqbit.depth, rqbit.latencies.len()), (10, 10, 0));
    assert_eq!((seed.depth, seed.latencies.len()), (0, 10));
    assert_eq!((rqbit.first_pieces(5).len(), seed.first_pieces(5).len()), (0, 5));
    assert!(seed.says.iter().any(|(_, message)| *message == Message::Unchoke));
    assert!(seed.says.is_sorted_by_key(|(after, _)| *after));
}

/// What a capture has in the closed loop: each scene's place, the pieces that ours has in the end, and the blocks that went by: those that a
/// seed gave, or the least that a leech had to get. (Of the last ones it may ask two for the same.)
type Played = Vec<(Place, u32, u64)>;

#[test]
fn a_session_in_the_place_of_a_client_ends_whole_and_replays() {
    let mut all = BTreeMap::new();
    let mut closed = 0;
    for shipped in shipped() {
        let name = &shipped.name;
        let mut played = Played::new();
        let found = scenes(&shipped.capture, &shipped.torrent);
        if name == "encrypted" {
            assert!(found.is_empty());
            continue;
        }
        let content = captured_content(&shipped.capture, &shipped.torrent, &shipped.file);
        let content = Arc::new(content.expect("everything went by"));
        for scene in found {
            let outcome = run(&scene, &shipped.torrent, &content, 1);
            let about = format!("{name}, in place of {}", scene.client);
            assert!(outcome.whole, "{about}: {}", outcome.stuck);
            assert_eq!(outcome.nonsense, Vec::<String>::new(), "{about}");
            // They ask no deeper than the clients did.
            let most = scene.scripts.iter().map(|script| script.depth.max(1)).max();
            assert!(outcome.depths.iter().max().copied() <= most, "{about}: {:?}", outcome.depths);
            assert!(run(&scene, &shipped.torrent, &content, 1) == outcome, "{about}: another run is another");
            let report = replay(&outcome.recording).expect("it can be read");
            assert!(report.is_same() && report.is_complete(), "{about}: {:?}", report.difference);
            assert!(report.events > 20, "{about}: {}", report.events);
            closed += outcome.closed;
            let blocks = match scene.place {
                Place::Seed => outcome.given,
                Place::Leech => {
                    let blocks = |piece| u64::from(shipped.torrent.geometry().blocks(piece));
                    let least = shipped.torrent.geometry().iter().map(blocks).sum();
                    assert!(outcome.served.0 >= least, "{about}: {:?}", outcome.served);
                    assert!(outcome.served.0 <= 2 * least, "{about}: {:?}", outcome.served);
                    least
                }
            };
            // Among other leeches it gives as well as takes.
            let gives = scene.place == Place::Seed || name == "fast";
            assert_eq!(outcome.given > 0, gives, "{about}: {}", outcome.given);
            played.push((scene.place, outcome.pieces, blocks));
        }
        all.insert(name.clone(), played);
    }
    let (leech, seed) = (Place::Leech, Place::Seed);
    let expected: [(&str, Played); 8] = [
        ("plain", vec![(seed, 7, 13), (leech, 7, 13)]),
        ("aria2", vec![(seed, 9, 9), (leech, 9, 9)]),
        ("fast", vec![(seed, 6, 12), (leech, 6, 6), (leech, 6, 6)]),
        ("hybrid", vec![(leech, 12, 12), (seed, 12, 12)]),
        ("udp-tracker", vec![(seed, 5, 5), (leech, 5, 5)]),
        ("http-tracker", vec![(seed, 5, 5), (leech, 5, 5)]),
        ("rqbit", vec![(leech, 5, 10), (seed, 5, 10)]),
        ("dht", vec![(seed, 3, 3), (leech, 3, 3)]),
    ];
    assert_eq!(all, expected.map(|(name, played)| (name.to_owned(), played)).into());
    // Some of the clients ended a connection when everything was there, and so did their scripts.
    assert_eq!(closed, 6);
}

#[test]
fn scripts_fit_other_content_of_the_same_shape() {
    let shipped = shipped().into_iter().find(|shipped| shipped.name == "fast").expect("it is shipped");
    let (torrent, content) = made_up_content(&shipped.torrent, 7).expect("a good torrent");
    assert_ne!(torrent.hashes(), shipped.torrent.hashes());
    let (content, scenes) = (Arc::new(content), scenes(&shipped.capture, &shipped.torrent));
    assert_eq!(scenes.len(), 3);
    for scene in scenes {
        for seed in 2..6 {
            let outcome = run(&scene, &torrent, &content, seed);
            assert!(outcome.whole && outcome.nonsense.is_empty(), "{} ({seed}): {}", scene.client, outcome.stuck);
        }
    }
}
