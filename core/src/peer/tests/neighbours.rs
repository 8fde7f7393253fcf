//! Extensions that tell of others, and of what is gone: which messages are taken (BEP 11, BEP 27), `lt_donthave` (BEP 54).

use super::*;
use crate::wire::{ExtendedHandshake, Extension};

/// The extension protocol, and not the fast one.
fn slow() -> Reserved {
    let mut reserved = Reserved::default();
    reserved.0[5] |= 0x10;
    assert!(reserved.extended() && !reserved.fast());
    reserved
}

/// A connection to a seed that serves us.
fn served(reserved: Reserved) -> Held {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(reserved));
    let bits = Bitfield::all(held.world.geometry.pieces()).to_wire();
    held.hears(&[Message::Bitfield(bits.into()), Message::Unchoke]);
    held.sent();
    held
}

fn dont_have(piece: u32) -> Message {
    let payload = Bytes::copy_from_slice(&piece.to_be_bytes());
    Message::Extended { id: Extension::DontHave.our_id(), payload }
}

#[test]
fn a_peer_without_fast_takes_its_requests_with_the_piece() {
    let mut held = served(slow());
    let [lost, _, other] = [(3, 0), (3, 1), (4, 0)].map(|(piece, number)| held.request(piece, number));
    let piece = held.world.piece(3);
    let returned = vec![lost, held.world.block(3, 1)];
    assert_eq!(held.hears_one(dont_have(3)), [PeerSaid::Lost { piece, returned }]);
    assert_eq!(held.conn.outstanding().collect::<Vec<_>>(), [other]);
    assert!(!held.conn.pieces().get(3) && !held.conn.is_seed() && !held.conn.may_request(piece));
    let bytes = Bytes::from(vec![0; BLOCK_LENGTH as usize]);
    assert_eq!(held.hears_one(super::piece(lost, 0)), [PeerSaid::Block { block: lost, bytes }], "it was on its way");
    assert_eq!(held.hears_one(dont_have(3)), [], "it is no news");
    assert_eq!(held.hears_one(Message::Have(3)), [PeerSaid::Have(piece)], "it has it again");
}

#[test]
fn a_peer_with_fast_rejects_them_one_by_one() {
    let mut held = served(Reserved::OURS);
    let block = held.request(3, 0);
    let piece = held.world.piece(3);
    assert_eq!(held.hears_one(dont_have(3)), [PeerSaid::Lost { piece, returned: vec![] }]);
    assert_eq!(held.conn.requests_out(), 1);
    assert_eq!(held.hears_one(Message::Reject(block.into())), [PeerSaid::Rejected(block)]);
}

#[test]
fn a_piece_that_there_is_not_cannot_be_lost() {
    for (payload, fault) in [
        (&b"\x00\x00\x00\x28"[..], PeerFault::PieceOutOfRange),
        (b"\xff\xff\xff\xff", PeerFault::PieceOutOfRange),
        (b"\x00\x00\x03", PeerFault::WrongMessageLength),
        (b"", PeerFault::WrongMessageLength),
    ] {
        let mut held = served(Reserved::OURS);
        let payload = Bytes::from_static(payload);
        let said = held.hears_one(Message::Extended { id: Extension::DontHave.our_id(), payload });
        assert_fault(&mut held, &said, fault);
    }
}

#[test]
fn to_have_and_not_to_have_by_turns_is_a_flood() {
    let mut world = World::new(1);
    world.config.peer.max_useless_per_minute = 50;
    let mut held = open(world, true);
    let said: Vec<PeerSaid> = (0..60).flat_map(|_| held.hears(&[dont_have(5), Message::Have(5)])).collect();
    assert_fault(&mut held, &said, PeerFault::Flood);
}

/// A leech at our seed, with requests for two pieces.
fn at_our_seed(reserved: Reserved, takes_it: bool) -> Held {
    let mut held = Held::dial(World::seed(1));
    held.bytes(&greeting(reserved));
    if takes_it {
        let extensions = vec![(Extension::DontHave, 9)];
        let payload = ExtendedHandshake { extensions, ..ExtendedHandshake::default() }.emit().into();
        held.hears_one(Message::Extended { id: 0, payload });
    }
    held.hears_one(Message::Interested);
    held.order(PeerOrder::Unchoke);
    held.hears(&[3, 4].map(|piece| Message::Request(range(piece, 0, BLOCK_LENGTH))));
    held.sent();
    held
}

#[test]
fn a_piece_that_we_lost_is_retracted_and_what_was_asked_of_it_refused() {
    let told = Message::Extended { id: 9, payload: Bytes::from_static(&[0, 0, 0, 3]) };
    let reject = Message::Reject(range(3, 0, BLOCK_LENGTH));
    for (reserved, takes_it, expected) in [
        (Reserved::OURS, true, vec![told.clone(), reject.clone()]),
        (Reserved::OURS, false, vec![reject]),
        (slow(), true, vec![told]),
        (slow(), false, vec![]),
    ] {
        let mut held = at_our_seed(reserved, takes_it);
        let piece = held.world.piece(3);
        held.order(PeerOrder::DontHave(piece));
        assert_eq!(held.sent(), expected);
        assert_eq!(held.conn.requests_in(), 1, "the other is still wanted");
    }
}

#[test]
fn a_private_torrent_has_no_peer_exchange() {
    for (private, enabled, taken) in [(false, true, true), (true, true, false), (false, false, false)] {
        let mut world = World::new(1);
        (world.private, world.config.pex.enabled) = (private, enabled);
        let mut held = Held::dial(world);
        held.bytes(&greeting(Reserved::OURS));
        let sent = held.sent();
        let [Message::HaveNone, Message::Extended { id: 0, payload }] = &sent[..] else { panic!("{sent:?}") };
        let told = ExtendedHandshake::parse(payload).unwrap();
        assert_eq!(told.extensions.iter().any(|(extension, _)| *extension == Extension::Pex), taken);
        let payload = Bytes::from_static(b"de");
        let said = held.hears_one(Message::Extended { id: Extension::Pex.our_id(), payload: payload.clone() });
        let heard = PeerSaid::Extended { extension: Extension::Pex, payload };
        assert_eq!(said, if taken { vec![heard] } else { vec![] });
    }
}
