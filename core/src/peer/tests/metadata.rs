//! The info dictionary (BEP 9), asked for and served, and what is said of pieces before it is there.

use super::*;
use crate::wire::{Extension, METADATA_BLOCK, UtMetadata};

/// The number that the peer gave the extension.
const THEIRS: u8 = 9;

fn of(message: UtMetadata) -> Message {
    Message::Extended { id: Extension::Metadata.our_id(), payload: message.emit().into() }
}

/// What was sent of the extension.
fn answers(held: &mut Held) -> Vec<UtMetadata> {
    let sent = held.sent().into_iter();
    sent.filter_map(|message| match message {
        Message::Extended { id: THEIRS, payload } => UtMetadata::parse(&payload).ok(),
        _ => None,
    })
    .collect()
}

fn introduces() -> Message {
    Message::Extended { id: 0, payload: Bytes::from_static(b"d1:md11:ut_metadatai9eee") }
}

/// A connection to a peer that takes the extension; `info` is what we serve.
fn serving(info: Option<&[u8]>) -> Held {
    let mut world = World::new(1);
    world.metadata = info.map(Bytes::copy_from_slice);
    let mut held = open(world, true);
    assert_eq!(held.hears_one(introduces()), [PeerSaid::Introduced]);
    held.sent();
    held
}

/// A connection of a torrent that seeks its info dictionary.
fn seeking() -> Held {
    let world = World { seeking: true, ..World::new(1) };
    let mut held = Held::dial(world);
    assert_eq!(held.bytes(&greeting(Reserved::OURS)), [PeerSaid::Ready]);
    assert_eq!(held.hears_one(introduces()), [PeerSaid::Introduced]);
    held
}

fn told(message: &Message) -> ExtendedHandshake {
    let Message::Extended { id: 0, payload } = message else { panic!("{message:?}") };
    ExtendedHandshake::parse(payload).unwrap()
}

#[test]
fn blocks_are_served_as_they_are_asked_for_and_the_last_is_shorter() {
    let info: Vec<u8> = (0..20_000u32).map(|at| at as u8).collect();
    let mut held = serving(Some(&info));
    held.hears(&[of(UtMetadata::Request { piece: 1 }), of(UtMetadata::Request { piece: 0 })]);
    let data =
        |piece, part: &[u8]| UtMetadata::Data { piece, total_size: Some(20_000), data: Bytes::copy_from_slice(part) };
    assert_eq!(answers(&mut held), [data(1, &info[16_384..]), data(0, &info[..16_384])]);
}

/// BEHAVIOURS: "A request for a metadata block out of range is rejected, not crashed on."
#[test]
fn what_there_is_not_is_rejected() {
    let mut held = serving(Some(&[1; 100]));
    for piece in [1, 2, u32::MAX] {
        assert_eq!(held.hears_one(of(UtMetadata::Request { piece })), []);
        assert_eq!(answers(&mut held), [UtMetadata::Reject { piece }]);
    }
}

/// BEP 9: "Peers that do not have the entire metadata MUST respond with a `reject` message to any metadata request."
#[test]
fn while_we_look_for_it_ourselves_we_reject() {
    let mut held = seeking();
    let sent = held.sent();
    assert_eq!(sent[0], Message::HaveNone);
    let ours = told(&sent[1]);
    assert_eq!(ours.extensions[0], (Extension::Metadata, 1));
    assert_eq!(ours.metadata_size, None);
    assert_eq!(held.hears_one(of(UtMetadata::Request { piece: 0 })), []);
    assert_eq!(answers(&mut held), [UtMetadata::Reject { piece: 0 }]);
}

#[test]
fn where_it_is_not_offered_nothing_is_answered() {
    let mut held = serving(None);
    assert_eq!(held.hears_one(of(UtMetadata::Request { piece: 0 })), []);
    assert_eq!(held.sent(), []);
}

/// A peer that does not read is sent as much as others, and the rest waits in a queue that has an end.
#[test]
fn a_flood_of_requests_is_served_as_it_is_read_and_rejected_in_the_end() {
    let info = vec![7; 100 * METADATA_BLOCK as usize];
    let mut held = serving(Some(&info));
    for piece in 0..100 {
        held.hears_one(of(UtMetadata::Request { piece }));
    }
    // Nothing has left so far: what is in the queue of the stream is as much as of content.
    let queued = held.conn.queued_bytes();
    assert!((128 << 10..160 << 10).contains(&queued), "{queued}");
    let (mut served, mut rejected) = (0, 0);
    loop {
        let answers = answers(&mut held);
        held.steps();
        if answers.is_empty() {
            break;
        }
        served += answers.iter().filter(|answer| matches!(answer, UtMetadata::Data { .. })).count();
        rejected += answers.iter().filter(|answer| matches!(answer, UtMetadata::Reject { .. })).count();
    }
    assert_eq!(served + rejected, 100);
    assert_eq!(served, 8 + 64, "what had room, and the queue");
}

/// BEP 9: "after a certain number of them have been served. Typically the number of pieces of metadata times a factor."
#[test]
fn who_asks_for_the_whole_again_and_again_is_rejected_for_a_while() {
    let mut held = serving(Some(&[7; 3000]));
    let ask = |held: &mut Held| {
        held.hears_one(of(UtMetadata::Request { piece: 0 }));
        matches!(answers(held)[..], [UtMetadata::Data { .. }])
    };
    let most = held.world.config.metadata.serve_queue + 2;
    for _ in 0..most {
        assert!(ask(&mut held));
    }
    assert!(!ask(&mut held));
    held.wait(60);
    assert!(ask(&mut held));
}

#[test]
fn only_answers_to_what_was_asked_for_are_told_and_each_once() {
    let mut held = seeking();
    let data = UtMetadata::Data { piece: 1, total_size: Some(20_000), data: Bytes::from_static(b"abc") };
    assert_eq!(held.hears_one(of(data.clone())), []);
    held.order(PeerOrder::AskMetadata(1));
    held.order(PeerOrder::AskMetadata(2));
    assert_eq!(answers(&mut held), [UtMetadata::Request { piece: 1 }, UtMetadata::Request { piece: 2 }]);
    assert_eq!(held.hears_one(of(data.clone())), [PeerSaid::Metadata(data.clone())]);
    assert_eq!(held.hears_one(of(data)), []);
    let reject = UtMetadata::Reject { piece: 2 };
    assert_eq!(held.hears_one(of(reject.clone())), [PeerSaid::Metadata(reject)]);
    assert_eq!(held.hears_one(of(UtMetadata::Unknown { kind: 5 })), [], "an unrecognized message MUST be ignored");
}

/// What a peer says of its pieces before we know how many there are counts as if it came afterwards.
#[test]
fn what_was_said_of_pieces_before_is_looked_at_when_it_can_be() {
    let mut held = seeking();
    held.sent();
    let mut bits = Bitfield::none(40);
    bits.insert(3);
    let said = held.hears(&[
        Message::Bitfield(bits.to_wire().into()),
        Message::Unchoke,
        Message::Have(7),
        Message::Have(3),
        Message::Suggest(7),
        Message::AllowedFast(5),
    ]);
    assert_eq!(said, [PeerSaid::Unchoked]);
    assert!(!held.conn.pieces_known());
    held.world.seeking = false;
    held.world.metadata = Some(Bytes::from_static(b"de"));
    held.order(PeerOrder::MetadataKnown);
    let piece = |number| held.world.geometry.piece(number).unwrap();
    let due =
        [PeerSaid::Pieces, PeerSaid::Have(piece(7)), PeerSaid::Suggested(piece(7)), PeerSaid::AllowedFast(piece(5))];
    assert_eq!(held.steps(), due);
    assert_eq!(held.conn.pieces().iter().collect::<Vec<_>>(), [3, 7]);
    let sent = held.sent();
    assert_eq!(told(&sent[0]).metadata_size, Some(2), "it may be asked of us now");
    assert_eq!(held.hears_one(Message::Have(8)), [PeerSaid::Have(held.world.geometry.piece(8).unwrap())]);
}

/// Of a private torrent the dictionary is not served, and that it was offered is taken back.
#[test]
fn what_was_offered_while_we_looked_for_it_is_taken_back() {
    let mut held = seeking();
    held.sent();
    held.world.seeking = false;
    held.order(PeerOrder::MetadataKnown);
    let sent = held.sent();
    let Message::Extended { payload, .. } = &sent[0] else { panic!("{sent:?}") };
    assert!(payload.windows(15).any(|part| part == b"11:ut_metadatai"), "it is named");
    assert!(told(&sent[0]).extensions.contains(&(Extension::Metadata, 0)));
    assert_eq!(held.hears_one(of(UtMetadata::Request { piece: 0 })), []);
    assert_eq!(held.sent(), []);
}

#[test]
fn a_bitfield_of_a_wrong_length_is_found_out_when_the_length_is_known() {
    let mut held = seeking();
    assert_eq!(held.hears_one(Message::Bitfield(Bytes::from_static(&[0xff]))), []);
    held.world.seeking = false;
    held.order(PeerOrder::MetadataKnown);
    assert_eq!(held.steps(), [closing(PeerFault::BadBitfield)]);
}

#[test]
fn so_is_a_piece_that_there_is_not() {
    let mut held = seeking();
    assert_eq!(held.hears(&[Message::HaveNone, Message::Have(40)]), []);
    held.world.seeking = false;
    held.order(PeerOrder::MetadataKnown);
    assert_eq!(held.steps(), [PeerSaid::Pieces, closing(PeerFault::PieceOutOfRange)]);
}

#[test]
fn early_haves_are_bounded_and_a_later_bitfield_makes_up_for_them() {
    let mut held = seeking();
    held.world.config.metadata.max_early_haves = 2;
    held.hears(&[Message::HaveNone, Message::Have(1), Message::Have(2), Message::Have(3)]);
    let mut bits = Bitfield::none(40);
    for piece in [1, 2, 3, 4] {
        bits.insert(piece);
    }
    held.hears(&[Message::Bitfield(bits.to_wire().into())]);
    held.world.seeking = false;
    held.order(PeerOrder::MetadataKnown);
    let said = held.steps();
    assert!(matches!(said[..], [PeerSaid::Pieces, PeerSaid::Gained(_)]), "{said:?}");
    assert_eq!(held.conn.pieces().iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn blocks_make_no_sense_before() {
    let mut held = seeking();
    let said = held.hears_one(Message::Piece { piece: 0, begin: 0, data: Bytes::from_static(b"abc") });
    assert_fault(&mut held, &said, PeerFault::UnrequestedBlocks);
    let mut held = seeking();
    held.sent();
    held.hears_one(Message::Request(range(0, 0, 16_384)));
    assert_eq!(held.sent(), [Message::Reject(range(0, 0, 16_384))]);
}
