//! The rules of the handshake, of our requests, of silence and of credit, one test each.

use super::*;
use crate::wire::ExtendedHandshake;

// Handshake.

#[test]
fn the_handshake_is_checked_byte_by_byte() {
    let mut held = Held::dial(World::new(1));
    let said = held.bytes(b"\x13BitTorrent protokol");
    assert_fault(&mut held, &said, PeerFault::NotBitTorrent);

    let mut held = Held::dial(World::new(1));
    assert_eq!(held.bytes(&greeting(Reserved::OURS)[..30]), []);
    let said = held.bytes(&[0; 18]);
    assert_fault(&mut held, &said, PeerFault::WrongInfoHash);
}

#[test]
fn an_acceptor_that_was_routed_wrongly_sends_nothing() {
    let head = Handshake48 { reserved: Reserved::OURS, info_hash: InfoHash([1; 20]) };
    let mut held = Held::accept(World::new(1), &head);
    let said = held.steps();
    assert_fault(&mut held, &said, PeerFault::WrongInfoHash);
    assert_eq!(held.sent_bytes(), []);
}

#[test]
fn a_connection_to_ourselves_is_noticed() {
    let mut held = Held::dial(World::new(1));
    let hello = held.sent_bytes();
    assert_eq!(held.bytes(&hello), [PeerSaid::Closing(CloseReason::ToSelf)]);
}

#[test]
fn a_peer_without_a_handshake_is_dropped_after_ten_seconds() {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(Reserved::OURS)[..67]);
    assert_eq!(held.conn.deadline(), Some(Time::from_secs(11)));
    assert_eq!(held.wait(9), []);
    assert_eq!(held.wait(1), [PeerSaid::Closing(CloseReason::HandshakeTimeout)]);
}

#[test]
fn the_first_message_tells_what_we_have() {
    let first = |world: World, fast: bool| {
        let reserved = if fast { Reserved::OURS } else { Reserved::default() };
        let mut held = Held::dial(world);
        held.bytes(&greeting(reserved));
        held.sent().first().cloned()
    };
    let mut some = World::new(1);
    some.have.insert(0);
    assert_eq!(first(World::new(1), true), Some(Message::HaveNone));
    assert_eq!(first(World::seed(1), true), Some(Message::HaveAll));
    assert_eq!(first(some.clone(), true), Some(Message::Bitfield(Bytes::from_static(&[0x80, 0, 0, 0, 0]))));
    assert_eq!(first(World::new(1), false), None);
    assert_eq!(first(World::seed(1), false), Some(Message::Bitfield(Bytes::from_static(&[0xff; 5]))));
}

#[test]
fn orders_before_the_handshake_have_no_effect() {
    let mut held = Held::dial(World::new(1));
    held.sent();
    held.order(PeerOrder::Interested(true));
    held.request(0, 0);
    assert_eq!(held.sent_bytes(), []);
    assert!(!held.conn.am_interested());
}

// Which pieces the peer has.

#[test]
fn a_later_bitfield_that_takes_pieces_back_ends_it() {
    let bits = || Message::Bitfield(Bytes::from_static(&[0; 5]));
    for (first, second) in [
        (Message::HaveAll, Message::HaveNone),
        (Message::HaveAll, bits()),
        (Message::Have(3), bits()),
        (Message::Have(3), Message::HaveNone),
    ] {
        let mut held = Held::dial(World::new(1));
        held.bytes(&greeting(Reserved::OURS));
        let said = held.hears(&[first, second]);
        assert_fault(&mut held, &said, PeerFault::LateBitfield);
    }
}

#[test]
fn a_later_bitfield_stands_for_many_haves() {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(Reserved::OURS));
    let bits = |first| Message::Bitfield(Bytes::copy_from_slice(&[first, 0, 0, 0, 0]));
    let said =
        held.hears(&[Message::HaveNone, Message::Have(0), bits(0b1010_0000), bits(0b1010_0000), Message::HaveAll]);
    let [PeerSaid::Pieces, PeerSaid::Have(_), PeerSaid::Gained(one), PeerSaid::Gained(rest)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(one.iter().collect::<Vec<_>>(), [2]);
    assert_eq!(rest.count() + 2, rest.len());
    assert!(held.conn.is_seed());
}

#[test]
fn the_extended_handshake_and_port_may_come_before_the_bitfield() {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(Reserved::OURS));
    let extended = Message::Extended { id: 0, payload: Bytes::from_static(b"de") };
    let said = held.hears(&[extended, Message::KeepAlive, Message::Port(9), Message::HaveAll]);
    assert_eq!(said, [PeerSaid::Introduced, PeerSaid::DhtPort(9), PeerSaid::Pieces]);
    assert!(held.conn.is_seed());
}

/// Said twice, it would be counted twice: we would stay interested when we have it, and think it less rare than it is.
#[test]
fn a_have_in_place_of_a_bitfield_is_said_once() {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(Reserved::default()));
    assert_eq!(held.hears_one(Message::Have(2)), [PeerSaid::Pieces]);
    assert_eq!(held.conn.pieces().iter().collect::<Vec<_>>(), [2]);
    assert_eq!(held.hears_one(Message::Have(3)), [PeerSaid::Have(held.world.piece(3))]);
}

#[test]
fn a_peer_that_leaves_the_bitfield_out_has_nothing() {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(Reserved::default()));
    assert_eq!(held.hears_one(Message::Choke), [PeerSaid::Pieces]);
    assert_eq!(held.hears_one(Message::Have(2)), [PeerSaid::Have(held.world.piece(2))]);
    assert_eq!(held.conn.pieces().count(), 1);
    assert_eq!(held.hears_one(Message::Have(2)), [], "nothing new");
}

#[test]
fn a_bitfield_must_fit_the_torrent() {
    for bits in [vec![0; 4], vec![0; 6], vec![0, 0, 0, 0, 0], vec![0xff, 0, 0, 0, 1]] {
        let mut held = Held::dial(World::new(1));
        // 33 pieces: seven spare bits.
        held.world.geometry = Geometry::new(33 * 32_768, 32_768).unwrap();
        held.bytes(&greeting(Reserved::default()));
        let fits = bits == [0; 5];
        let said = held.hears_one(Message::Bitfield(bits.into()));
        if fits {
            assert_eq!(said, [PeerSaid::Pieces]);
        } else {
            assert_fault(&mut held, &said, PeerFault::BadBitfield);
        }
    }
}

#[test]
fn piece_numbers_out_of_range_end_it() {
    for message in [Message::Have(40), Message::Have(u32::MAX), Message::Suggest(40), Message::AllowedFast(40)] {
        let mut held = open(World::new(1), true);
        let said = held.hears_one(message);
        assert_fault(&mut held, &said, PeerFault::PieceOutOfRange);
    }
}

#[test]
fn fast_messages_need_the_fast_extension() {
    let block = range(0, 0, 16_384);
    for message in
        [Message::Suggest(0), Message::HaveAll, Message::HaveNone, Message::Reject(block), Message::AllowedFast(0)]
    {
        let mut held = open(World::new(1), false);
        let said = held.hears_one(message);
        assert_fault(&mut held, &said, PeerFault::FastNotAgreed);
    }
}

#[test]
fn too_long_a_message_ends_it_before_it_has_come() {
    let mut held = open(World::new(1), true);
    let said = held.bytes(&[0x7f, 0xff, 0xff, 0xff]);
    assert_fault(&mut held, &said, PeerFault::MessageTooLong);
    let mut held = open(World::new(1), true);
    let said = held.bytes(&[0, 0, 0, 2, 4, 0]);
    assert_fault(&mut held, &said, PeerFault::WrongMessageLength);
}

// Extended.

#[test]
fn the_extended_handshake_is_read_cleaned_and_added_to() {
    let mut held = open(World::new(1), true);
    let say = |text: &'static [u8]| Message::Extended { id: 0, payload: Bytes::from_static(text) };
    let said = held
        .hears_one(say("d1:md11:upload_onlyi7ee1:pi6999e4:reqqi9e1:v16:X\u{202e} 1.0\u{7}\u{200b}wxyze".as_bytes()));
    assert_eq!(said, [PeerSaid::Introduced]);
    assert_eq!(held.conn.client(), Some("X 1.0wxyz"));
    assert_eq!(held.conn.introduction().port, Some(6999));
    held.order(PeerOrder::Extended { extension: Extension::UploadOnly, payload: Bytes::from_static(b"\x01") });
    assert_eq!(held.sent(), [Message::Extended { id: 7, payload: Bytes::from_static(b"\x01") }]);
    assert_eq!(held.hears_one(say(b"d1:md11:upload_onlyi0eee")), [PeerSaid::Introduced]);
    assert_eq!(held.conn.introduction().port, Some(6999), "what is not said again stays");
    held.order(PeerOrder::Extended { extension: Extension::UploadOnly, payload: Bytes::from_static(b"\x01") });
    assert_eq!(held.sent(), [], "0 turns an extension off");
}

#[test]
fn extended_messages_go_by_our_numbers_and_only_when_offered() {
    let metadata = || Message::Extended {
        id: Extension::Metadata.our_id(),
        payload: Bytes::from_static(b"d8:msg_typei0e5:piecei0ee"),
    };
    let mut held = open(World::new(1), true);
    assert_eq!(held.hears_one(metadata()), [], "not offered: we have nothing to give");
    let upload_only = Message::Extended { id: Extension::UploadOnly.our_id(), payload: Bytes::from_static(b"\x01") };
    assert_eq!(held.hears_one(upload_only), [PeerSaid::Introduced]);
    assert!(held.conn.upload_only());
}

#[test]
fn what_we_tell_in_the_extended_handshake() {
    let mut world = World::new(1);
    world.metadata = Some(Bytes::from_static(&[b'x'; 77]));
    let mut held = Held::dial(world);
    held.bytes(&greeting(Reserved::OURS));
    let sent = held.sent();
    let [Message::HaveNone, Message::Extended { id: 0, payload }] = &sent[..] else { panic!("{sent:?}") };
    let told = ExtendedHandshake::parse(payload).unwrap();
    assert_eq!(
        told.extensions,
        [(Extension::Metadata, 1), (Extension::Pex, 2), (Extension::UploadOnly, 3), (Extension::DontHave, 4),]
    );
    assert_eq!((told.metadata_size, told.reqq, told.port), (Some(77), Some(500), Some(6881)));
    assert_eq!(told.your_ip, Some("80.4.4.200".parse().unwrap()));
}

#[test]
fn extended_messages_need_the_bit_and_a_dictionary() {
    let mut held = open(World::new(1), false);
    let said = held.hears_one(Message::Extended { id: 0, payload: Bytes::from_static(b"de") });
    assert_fault(&mut held, &said, PeerFault::ExtensionNotAgreed);
    let mut held = open(World::new(1), true);
    let said = held.hears_one(Message::Extended { id: 0, payload: Bytes::from_static(b"not bencode") });
    assert_fault(&mut held, &said, PeerFault::BadExtendedHandshake);
}

// Our requests.

/// A torrent of 1 GiB.
fn large() -> World {
    let mut world = World::new(1);
    world.geometry = Geometry::new(1 << 30, 1 << 20).unwrap();
    world.have = Bitfield::none(world.geometry.pieces());
    world
}

#[test]
fn nothing_is_asked_for_while_choked_but_what_is_allowed_fast() {
    let mut held = open(World::new(1), true);
    held.request(5, 0);
    assert_eq!((held.sent(), held.conn.room(held.now), held.conn.fast_room()), (vec![], 0, 0));
    assert_eq!(held.hears_one(Message::AllowedFast(5)), [PeerSaid::AllowedFast(held.world.piece(5))]);
    assert_eq!((held.conn.room(held.now), held.conn.fast_room()), (0, 4));
    let block = held.request(5, 0);
    held.request(6, 0);
    assert_eq!(held.sent(), [Message::Request(block.into())]);
    // It may think better of it, and is not asked again and again.
    assert_eq!(held.hears_one(Message::Reject(block.into())), [PeerSaid::Rejected(block)]);
    assert_eq!((held.conn.allowed_fast(), held.conn.fast_room()), (&[][..], 0));
}

#[test]
fn allowed_fast_does_not_mean_that_the_peer_has_it() {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(Reserved::OURS));
    held.hears(&[Message::HaveNone, Message::AllowedFast(5)]);
    assert_eq!(held.conn.pieces().count(), 0);
    assert!(!held.conn.may_request(held.world.piece(5)));
    held.hears_one(Message::Have(5));
    assert!(held.conn.may_request(held.world.piece(5)));
}

#[test]
fn a_block_is_said_once_and_only_when_asked_for() {
    let mut held = open_unchoked(false);
    let block = held.request(0, 0);
    held.request(0, 0);
    assert_eq!(held.sent(), [Message::Request(block.into())], "asked for once");
    let said = held.hears_one(piece(block, 1));
    assert!(matches!(&said[..], [PeerSaid::Block { block: got, .. }] if *got == block));
    assert_eq!(held.hears_one(piece(block, 1)), [], "not a second time");
    assert_eq!(held.conn.download_rate().total(), 16_384);
}

#[test]
fn a_block_that_nobody_asked_for_ends_it_with_fast_and_in_time_without() {
    let mut held = open_unchoked(true);
    let block = held.world.block(0, 0);
    let said = held.hears_one(piece(block, 1));
    assert_fault(&mut held, &said, PeerFault::UnrequestedBlocks);

    let mut held = open_unchoked(false);
    for _ in 0..held.world.config.peer.max_unrequested {
        assert_eq!(held.hears_one(piece(block, 1)), []);
    }
    let said = held.hears_one(Message::Piece { piece: 0, begin: u32::MAX, data: Bytes::from_static(b"abc") });
    assert_fault(&mut held, &said, PeerFault::UnrequestedBlocks);
}

#[test]
fn a_choke_returns_requests_without_fast_and_their_blocks_are_still_welcome() {
    let mut held = open_unchoked(false);
    let blocks = [held.request(0, 0), held.request(0, 1)];
    assert_eq!(held.hears_one(Message::Choke), [PeerSaid::Choked { returned: blocks.to_vec() }]);
    assert_eq!(held.conn.requests_out(), 0);
    assert!(matches!(&held.hears_one(piece(blocks[1], 1))[..], [PeerSaid::Block { .. }]));
}

#[test]
fn a_choke_leaves_requests_to_be_answered_with_fast() {
    let mut held = open_unchoked(true);
    let blocks = [held.request(0, 0), held.request(0, 1)];
    assert_eq!(held.hears_one(Message::Choke), [PeerSaid::Choked { returned: vec![] }]);
    assert_eq!(held.conn.outstanding().collect::<Vec<_>>(), blocks);
    assert!(matches!(&held.hears_one(piece(blocks[0], 1))[..], [PeerSaid::Block { .. }]));
    assert_eq!(held.hears_one(Message::Reject(blocks[1].into())), [PeerSaid::Rejected(blocks[1])]);
    assert_eq!(held.conn.requests_out(), 0);
}

#[test]
fn a_cancelled_request_gets_its_one_answer() {
    let mut held = open_unchoked(true);
    let block = held.request(0, 0);
    held.order(PeerOrder::Cancel(block));
    held.order(PeerOrder::Cancel(block));
    assert_eq!(held.sent(), [Message::Request(block.into()), Message::Cancel(block.into())]);
    assert_eq!(held.conn.requests_out(), 0);
    // Asked for again: the reject belongs to the first, the block to the second.
    held.request(0, 0);
    assert_eq!(held.hears_one(Message::Reject(block.into())), []);
    assert_eq!(held.conn.requests_out(), 1);
    assert!(matches!(&held.hears_one(piece(block, 1))[..], [PeerSaid::Block { .. }]));
    assert_eq!(held.conn.requests_out(), 0);
}

#[test]
fn rejects_of_what_was_never_asked_for_use_up_patience() {
    let mut held = open_unchoked(true);
    let reject = Message::Reject(range(0, 0, 16_384));
    for _ in 0..held.world.config.peer.max_unrequested {
        assert_eq!(held.hears_one(reject.clone()), []);
    }
    let said = held.hears_one(reject);
    assert_fault(&mut held, &said, PeerFault::UnrequestedBlocks);
}

#[test]
fn the_peers_reqq_bounds_what_is_asked_for() {
    let mut held = open_unchoked(true);
    held.hears_one(Message::Extended { id: 0, payload: Bytes::from_static(b"d4:reqqi2ee") });
    assert_eq!(held.conn.room(held.now), 2);
    for number in 0..3 {
        held.request(number, 0);
    }
    assert_eq!((held.conn.requests_out(), held.conn.room(held.now)), (2, 0));
}

#[test]
fn the_depth_grows_with_what_comes_and_follows_the_rate() {
    let mut held = open(large(), true);
    held.hears_one(Message::Unchoke);
    held.hears_one(Message::Extended { id: 0, payload: Bytes::from_static(b"d4:reqqi2000ee") });
    let geometry = held.world.geometry;
    let mut wanted = geometry.iter().flat_map(|piece| geometry.blocks_of(piece).collect::<Vec<_>>());
    // A peer at the speed of loopback, with a round trip of 1 ms: the deepest queue within 20 of them.
    let mut refills = Vec::new();
    for _ in 0..20 {
        let room = held.conn.room(held.now);
        refills.push(room);
        wanted.by_ref().take(room as usize).for_each(|block| held.order(PeerOrder::Request(block)));
        held.now = Time(held.now.0 + 1000);
        let blocks: Vec<Block> = held.conn.outstanding().collect();
        for block in blocks {
            held.hears_one(piece(block, 0));
        }
    }
    assert_eq!(refills[..4], [4, 8, 16, 32], "doubling");
    assert_eq!(*refills.last().unwrap(), held.world.config.peer.depth_max);
    // Then a block each 100 ms: 160 KB/s, ten blocks a second.
    for block in wanted.by_ref().take(200) {
        held.order(PeerOrder::Request(block));
        held.now = Time(held.now.0 + 100_000);
        held.hears_one(piece(block, 0));
    }
    let room = held.conn.room(held.now);
    assert!((8..=13).contains(&room), "{room} at ten blocks a second");
}

#[test]
fn a_deep_queue_is_refilled_a_batch_at_a_time() {
    let mut held = open(large(), true);
    held.hears_one(Message::Unchoke);
    let geometry = held.world.geometry;
    let mut wanted = geometry.iter().flat_map(|piece| geometry.blocks_of(piece).collect::<Vec<_>>());
    let mut rooms = Vec::new();
    for _ in 0..200 {
        let room = held.conn.room(held.now);
        rooms.push(room);
        wanted.by_ref().take(room as usize).for_each(|block| held.order(PeerOrder::Request(block)));
        let first = held.conn.outstanding().next().unwrap();
        held.hears_one(piece(first, 0));
    }
    // While it is shallow, each arrival is made up for at once.
    assert_eq!(rooms[..4], [4, 2, 2, 2]);
    assert!(rooms[100..].iter().all(|&room| room == 0 || room >= 16), "{rooms:?}");
    assert!(rooms[100..].contains(&0) && rooms[100..].iter().any(|&room| room >= 16), "{rooms:?}");
}

// Silence.

#[test]
fn a_peer_that_owes_blocks_for_a_minute_is_snubbing_until_it_sends() {
    let mut held = open_unchoked(true);
    let blocks = [held.request(0, 0), held.request(0, 1)];
    assert_eq!(held.wait(59), []);
    assert_eq!(held.wait_for_deadline(), [PeerSaid::Snubbed { returned: blocks.to_vec() }]);
    assert!(held.conn.snubbed());
    assert_eq!((held.conn.requests_out(), held.conn.room(held.now)), (0, 1), "one at a time");
    assert!(matches!(&held.hears_one(piece(blocks[0], 1))[..], [PeerSaid::Block { .. }]), "late, and welcome");
    assert!(!held.conn.snubbed());
    assert_eq!(held.conn.room(held.now), 4);
}

#[test]
fn a_request_that_was_passed_over_is_given_back_alone() {
    let mut held = open_unchoked(false);
    let passed_over = held.request(0, 0);
    held.now = Time(held.now.0 + 30_000_000);
    let answered = held.request(0, 1);
    held.hears_one(piece(answered, 1));
    let waiting = held.request(1, 0);
    assert_eq!(held.wait(30), [PeerSaid::Rejected(passed_over)]);
    assert!(!held.conn.snubbed());
    assert_eq!(held.conn.outstanding().collect::<Vec<_>>(), [waiting]);
}

#[test]
fn choking_and_unchoking_does_not_hold_a_request_for_ever() {
    let mut held = open_unchoked(true);
    let block = held.request(0, 0);
    for _ in 0..5 {
        held.hears(&[Message::Choke, Message::Unchoke]);
        assert_eq!(held.wait(10), []);
    }
    held.hears(&[Message::Choke, Message::Unchoke]);
    assert_eq!(held.wait(10), [PeerSaid::Rejected(block)]);
}

#[test]
fn a_silent_peer_is_dropped_and_one_that_keeps_alive_is_not() {
    let mut held = open(World::new(1), true);
    held.wait(120);
    held.sent();
    assert_eq!(held.hears_one(Message::KeepAlive), []);
    assert_eq!(held.wait(149), []);
    held.sent();
    assert_eq!(held.wait(1), [PeerSaid::Closing(CloseReason::Idle)]);
}

#[test]
fn we_keep_alive_after_a_hundred_seconds_of_our_own_silence() {
    let mut held = open(World::new(1), true);
    held.wait(99);
    assert_eq!(held.sent(), []);
    held.wait_for_deadline();
    assert_eq!(held.sent(), [Message::KeepAlive]);
    held.order(PeerOrder::Interested(true));
    held.sent();
    held.hears_one(Message::KeepAlive);
    assert_eq!(held.conn.deadline(), Some(Time(held.now.0 + 100_000_000)));
}

#[test]
fn a_peer_that_does_not_read_is_dropped() {
    let mut held = open(World::new(1), true);
    held.order(PeerOrder::Interested(true));
    held.call(|conn, cx, _| conn.flushed(cx, 4));
    for _ in 0..2 {
        assert_eq!(held.wait(40), []);
        held.hears_one(Message::Unchoke);
    }
    assert_eq!(held.wait(10), [PeerSaid::Closing(CloseReason::NotReading)]);
}

#[test]
fn a_peer_cannot_make_our_send_queue_grow() {
    let mut held = open(World::seed(1), true);
    held.world.config.peer.max_bad_requests = u32::MAX;
    let bad = vec![Message::Request(range(99, 0, 0)); 1000];
    let mut said = Vec::new();
    for _ in 0..1000 {
        said = held.hears(&bad);
        if !said.is_empty() {
            break;
        }
        // What was handed out stays queued, as it is not flushed.
        held.out.clear();
    }
    assert_eq!(said, [PeerSaid::Closing(CloseReason::NotReading)]);
    let one_answer = 17;
    assert!(held.conn.queued_bytes() <= (5 << 20) + one_answer, "{}", held.conn.queued_bytes());
}

#[test]
fn too_many_messages_of_no_effect_end_it() {
    let mut held = open(World::new(1), true);
    let most = held.world.config.peer.max_useless_per_minute as usize;
    assert_eq!(held.hears(&vec![Message::KeepAlive; most]), []);
    held.wait(60);
    assert_eq!(held.hears(&vec![Message::Have(1); most]), [], "a minute later it may again");
    let said = held.hears_one(Message::Unknown { id: 99, payload: Bytes::new() });
    assert_fault(&mut held, &said, PeerFault::Flood);
}

#[test]
fn a_stream_that_breaks_says_why_and_keeps_what_was_under_way() {
    let mut held = open_unchoked(true);
    let block = held.request(0, 0);
    held.out.clear();
    held.conn.lost(Some(crate::border::IoFault::Reset));
    assert_eq!(held.steps(), [PeerSaid::Closing(CloseReason::Broken(crate::border::IoFault::Reset))]);
    assert!(held.out.list.is_empty(), "the stream is gone already");
    assert_eq!(held.conn.outstanding().collect::<Vec<_>>(), [block]);
    held.conn.lost(None);
    held.order(PeerOrder::Close(CloseReason::Stopped));
    assert_eq!(held.steps(), [], "it ends once");
}

// Credit.

#[test]
fn credit_is_one_window_given_anew_when_half_is_used() {
    let mut held = Held::dial(World::new(1));
    assert_eq!(held.granted(), 65_536);
    held.bytes(&greeting(Reserved::OURS));
    assert_eq!(held.granted(), 0);
    held.hears_one(Message::Bitfield(Bytes::from_static(&[0xff; 5])));
    held.hears_one(Message::Unknown { id: 99, payload: Bytes::from(vec![0; 32_700]) });
    assert_eq!(held.granted(), 68 + 10 + 32_705);
}

#[test]
fn a_fast_peer_gets_the_large_window_and_a_held_one_none() {
    let mut held = open_unchoked(true);
    for number in 0..39 {
        let block = held.request(number, 0);
        held.hears_one(piece(block, 0));
    }
    held.granted();
    held.conn.hold_reading(true);
    for number in 0..39 {
        let block = held.request(number, 1);
        held.hears_one(piece(block, 0));
    }
    assert_eq!(held.granted(), 0);
    held.conn.hold_reading(false);
    held.steps();
    assert!(held.granted() >= 256 << 10);
}

#[test]
fn silence_while_we_do_not_read_is_not_held_against_the_peer() {
    let mut held = open_unchoked(true);
    held.request(0, 0);
    held.conn.hold_reading(true);
    held.sent();
    assert_eq!(held.wait(1000), []);
    held.sent();
    held.conn.hold_reading(false);
    assert_eq!(held.steps(), []);
    assert_eq!(held.wait(59), []);
    assert!(matches!(&held.wait(1)[..], [PeerSaid::Snubbed { .. }]));
}

#[test]
fn what_the_data_of_a_piece_are_is_told_whole_or_not() {
    let mut held = open_unchoked(true);
    let block = held.request(0, 0);
    let bytes = emitted(&[Message::Have(1), piece(block, 7), Message::KeepAlive]);
    assert_eq!(held.bytes(&bytes[..100]), []);
    assert_eq!(held.out.opaque, vec![Range { start: 9 + 13, end: 100 }]);
    held.bytes(&bytes[100..]);
    assert_eq!(held.out.opaque, vec![Range { start: 0, end: 16_384 - 78 }]);
    assert_eq!(opaque_bytes(&held.out.opaque), BLOCK_LENGTH - 78);
}

#[test]
fn who_serves_us_and_rejects_everything_is_asked_less_and_less() {
    let mut held = open_unchoked(true);
    let mut asked = 0;
    let start = held.now;
    while held.now.since(start).as_secs() < 600 {
        while held.conn.room(held.now) > 0 {
            let block = held.request(asked % 39, 0);
            asked += 1;
            assert_eq!(held.hears_one(Message::Reject(block.into())), [PeerSaid::Rejected(block)]);
            held.sent();
        }
        held.hears_one(Message::KeepAlive);
        held.wait_for_deadline();
    }
    let asked = asked - held.world.config.peer.reject_grace;
    assert!((8..=20).contains(&asked), "1, 2, 4 .. 60 seconds lie between: {asked}");
    // A block ends it.
    while held.conn.room(held.now) == 0 {
        held.hears_one(Message::KeepAlive);
        held.wait_for_deadline();
    }
    let (first, second) = (held.request(1, 0), held.request(1, 1));
    held.hears_one(Message::Reject(first.into()));
    assert_eq!(held.conn.room(held.now), 0, "and not before");
    held.hears_one(piece(second, 1));
    assert!(held.conn.room(held.now) > 0);
    // Rejects that come with a choke are no refusal.
    let block = held.request(2, 0);
    held.hears(&[Message::Choke, Message::Reject(block.into()), Message::Unchoke]);
    assert!(held.conn.room(held.now) > 0);
}
