//! How long a peer that does next to nothing is kept, and how much is taken of one that says next to nothing.

use super::*;

#[test]
fn a_byte_now_and_then_is_silence() {
    let mut held = open_unchoked(true);
    let block = held.request(3, 0);
    let message = emitted(&[piece(block, 7)]);
    let mut said = Vec::new();
    for byte in &message[..200] {
        said.extend(held.bytes(&[*byte]));
        if said.contains(&PeerSaid::Closing(CloseReason::Idle)) {
            break;
        }
        held.now = Time(held.now.0 + 1_000_000);
        said.extend(held.wait(0));
        held.sent();
    }
    assert_eq!(said.last(), Some(&PeerSaid::Closing(CloseReason::Idle)), "{said:?}");
    assert_eq!(held.now, Time::from_secs(151), "as long as a silent one");
}

#[test]
fn a_slow_message_is_waited_for_while_it_comes_on() {
    let mut held = open_unchoked(true);
    let block = held.request(3, 0);
    let message = emitted(&[piece(block, 7)]);
    let mut said = Vec::new();
    // A kibibyte in a hundred seconds, ten bytes each second.
    for part in message.chunks(10) {
        held.now = Time(held.now.0 + 1_000_000);
        said.extend(held.wait(0));
        said.extend(held.bytes(part));
        held.sent();
    }
    assert!(said.iter().all(|said| !matches!(said, PeerSaid::Closing(_))), "{said:?}");
    assert!(said.iter().any(|said| matches!(said, PeerSaid::Block { .. })), "given up and snubbed, but still welcome");
}

#[test]
fn how_far_a_message_has_come_does_not_depend_on_how_it_was_cut() {
    let deadline = |cuts: &[usize]| {
        let mut held = open_unchoked(true);
        held.now = Time::from_secs(20);
        let block = held.request(3, 0);
        let message = emitted(&[Message::Have(0), piece(block, 7)]);
        let mut at = 0;
        for &cut in cuts {
            held.bytes(&message[at..at + cut]);
            at += cut;
        }
        assert_eq!(at, 5_000);
        // What comes a while later starts from the same.
        held.now = Time::from_secs(30);
        held.bytes(&message[at..at + 300]);
        held.conn.last_received_at
    };
    let whole = deadline(&[5_000]);
    assert_eq!(deadline(&[9, 1_500, 1_000, 2_491]), whole);
    assert_eq!(deadline(&[1, 8, 4_000, 991]), whole);
}

#[test]
fn what_is_said_and_taken_back_again_and_again_is_a_flood() {
    let introduction = |flag: u8| Message::Extended { id: 3, payload: Bytes::copy_from_slice(&[flag]) };
    let floods = [
        vec![Message::Interested, Message::NotInterested],
        vec![Message::Choke, Message::Unchoke],
        vec![introduction(0), introduction(1)],
        vec![Message::Extended { id: 0, payload: Bytes::from_static(b"de") }],
        vec![Message::Port(1), Message::Port(2)],
    ];
    for flood in floods {
        let mut held = open(World::new(1), true);
        let most = held.world.config.peer.max_useless_per_minute as usize;
        let said = held.hears(&flood.iter().cycle().take(flood.len() * (most + 1)).cloned().collect::<Vec<_>>());
        assert_fault(&mut held, &said, PeerFault::Flood);
    }
}

#[test]
fn the_time_for_a_handshake_runs_from_when_the_stream_came_in() {
    let mut held = Held::dial(World::new(1));
    held.conn.limit_handshake(Time::from_secs(4));
    assert_eq!(held.conn.deadline(), Some(Time::from_secs(4)));
    assert_eq!(held.wait(3), [PeerSaid::Closing(CloseReason::HandshakeTimeout)]);
    let mut held = Held::dial(World::new(1));
    held.conn.limit_handshake(Time::from_secs(400));
    assert_eq!(held.conn.deadline(), Some(Time::from_secs(11)), "it is never longer");
}

#[test]
fn a_peer_that_chokes_whenever_it_is_asked_counts_as_snubbing_until_it_sends() {
    for fast in [true, false] {
        let mut held = open_unchoked(fast);
        let most = held.world.config.peer.max_fruitless;
        for turn in 0..most {
            assert!(!held.conn.snubbed(), "turn {turn}");
            held.request(3, turn % 2);
            held.sent();
            held.hears(&[Message::Choke, Message::Unchoke]);
        }
        assert!(held.conn.snubbed());
        let block = held.world.block(3, 0);
        held.order(PeerOrder::Request(block));
        held.hears_one(piece(block, 1));
        assert!(!held.conn.snubbed());
    }
}
