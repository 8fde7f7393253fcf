//! The rules for serving the peer, one test each.

use super::*;
use crate::border::IoFault;

/// Its allowed-fast set for 80.4.4.200 and the info-hash of the tests, among 40 pieces.
fn fast_set(world: &World) -> Vec<PieceIndex> {
    crate::wire::allowed_fast_set("80.4.4.200".parse().unwrap(), &HASH, &world.geometry, 10)
}

/// A leech, interested and served or not, at our seed.
fn leech(fast: bool, served: bool) -> Held {
    let mut held = Held::dial(World::seed(1));
    held.bytes(&greeting(if fast { Reserved::OURS } else { Reserved::default() }));
    held.hears_one(Message::Interested);
    if served {
        held.order(PeerOrder::Unchoke);
    }
    held.sent();
    held
}

fn ask(piece: u32, number: u32) -> Message {
    Message::Request(range(piece, number * BLOCK_LENGTH, BLOCK_LENGTH))
}

/// The ranges that were sent, and those that were rejected.
fn answers(held: &mut Held) -> (Vec<BlockRange>, Vec<BlockRange>) {
    let (mut pieces, mut rejects) = (Vec::new(), Vec::new());
    for message in held.sent() {
        match message {
            Message::Piece { piece, begin, data } => pieces.push(range(piece, begin, data.len() as u32)),
            Message::Reject(block) => rejects.push(block),
            _ => {}
        }
    }
    (pieces, rejects)
}

#[test]
fn neighbouring_requests_are_read_in_one_run_and_sent_in_their_order() {
    let mut held = leech(true, true);
    held.hears(&[ask(3, 0), ask(3, 1), ask(5, 1), ask(5, 0)]);
    assert_eq!(held.conn.requests_in(), 4);
    let run = held.conn.next_read(1 << 20).unwrap();
    assert_eq!((run.piece.get(), run.begin, run.length), (3, 0, 2 * BLOCK_LENGTH));
    let data: Vec<u8> = (0..run.length).map(|at| (at >> 8) as u8).collect();
    held.call(|conn, cx, facts| conn.loaded(cx, facts, run, Ok(data.into())));
    held.call(|conn, cx, _| conn.finish(cx));
    let kinds: Vec<bool> = held.out.list.iter().map(|action| matches!(action, Action::SendContent { .. })).collect();
    assert_eq!(kinds[kinds.len() - 4..], [false, true, false, true]);
    let sent = held.sent();
    assert!(
        matches!(&sent[..], [Message::Piece { begin: 0, data: a, .. }, Message::Piece { begin: BLOCK_LENGTH, data: b, .. }]
        if a[0] == 0 && b[0] == 64)
    );
    assert_eq!(held.conn.next_read(1 << 20).unwrap().begin, BLOCK_LENGTH, "5/1 alone: 5/0 does not follow it");
    assert_eq!(held.conn.next_read(1 << 20).unwrap().begin, 0);
    assert_eq!(held.conn.next_read(1 << 20), None);
    assert_eq!(held.conn.requests_in(), 2, "being read");
}

#[test]
fn a_run_is_no_longer_than_asked_for_unless_one_request_is() {
    let mut held = leech(true, true);
    held.hears(&[ask(3, 0), ask(3, 1)]);
    assert_eq!(held.conn.next_read(BLOCK_LENGTH + 1).unwrap().length, BLOCK_LENGTH);
    assert_eq!(held.conn.next_read(1).unwrap().length, BLOCK_LENGTH);
}

#[test]
fn nothing_is_read_while_enough_is_on_its_way() {
    let mut held = leech(true, true);
    let asks: Vec<Message> = (0..39).flat_map(|number| [ask(number, 0), ask(number, 1)]).collect();
    held.hears(&asks);
    let reading = std::iter::from_fn(|| held.conn.next_read(BLOCK_LENGTH)).count();
    assert_eq!(reading, 8, "128 KiB");
}

#[test]
fn senseless_requests_are_rejected_and_end_it_in_time() {
    let senseless =
        [range(0, 0, 0), range(0, 32_767, 2), range(0, u32::MAX, 2), range(40, 0, 1), range(0, 0, (128 << 10) + 1)];
    for block in senseless {
        let mut held = leech(true, true);
        assert_eq!(held.hears_one(Message::Request(block)), []);
        assert_eq!(held.sent(), [Message::Reject(block)]);
        let most = held.world.config.peer.max_bad_requests as usize;
        let said = held.hears(&vec![Message::Request(block); most]);
        assert_fault(&mut held, &said, PeerFault::BadRequests);
    }
}

#[test]
fn what_we_do_not_have_is_rejected() {
    let mut held = leech(true, true);
    held.world.have.remove(4);
    held.hears_one(ask(4, 0));
    assert_eq!(answers(&mut held), (vec![], vec![range(4, 0, BLOCK_LENGTH)]));
}

#[test]
fn without_fast_what_is_not_served_is_passed_over_in_silence() {
    let mut held = leech(false, false);
    held.hears(&[ask(4, 0), Message::Request(range(99, 0, 1))]);
    assert_eq!((held.sent(), held.conn.requests_in()), (vec![], 0));
}

#[test]
fn a_choke_rejects_what_is_queued_and_what_is_being_read_but_the_allowed_fast() {
    let mut held = leech(true, true);
    let fast = fast_set(&held.world)[0].get();
    let slow = (0..39).find(|number| fast_set(&held.world).iter().all(|piece| piece.get() != *number)).unwrap();
    held.hears(&[ask(slow, 0), ask(fast, 0), ask(slow, 1)]);
    let run = held.conn.next_read(BLOCK_LENGTH).unwrap();
    assert_eq!(run.piece.get(), slow);
    held.order(PeerOrder::Choke);
    let sent = held.sent();
    let reject = |number| Message::Reject(range(slow, number * BLOCK_LENGTH, BLOCK_LENGTH));
    assert_eq!(sent, [Message::Choke, reject(0), reject(1)], "first the choke, then the rejects");
    held.call(|conn, cx, facts| conn.loaded(cx, facts, run, Ok(vec![0; run.length as usize].into())));
    held.serve(1);
    assert_eq!(answers(&mut held), (vec![range(fast, 0, BLOCK_LENGTH)], vec![]));
    assert_eq!(held.conn.requests_in(), 0);
}

#[test]
fn without_fast_a_choke_drops_everything() {
    let mut held = leech(false, true);
    held.hears(&[ask(0, 0), ask(1, 0)]);
    let run = held.conn.next_read(BLOCK_LENGTH).unwrap();
    held.order(PeerOrder::Choke);
    held.call(|conn, cx, facts| conn.loaded(cx, facts, run, Ok(vec![0; run.length as usize].into())));
    held.serve(1);
    assert_eq!(held.sent(), [Message::Choke]);
}

#[test]
fn a_starting_peer_is_told_its_allowed_fast_set_and_served_from_it_once() {
    let mut held = Held::dial(World::seed(1));
    held.bytes(&greeting(Reserved::OURS));
    held.sent();
    held.hears_one(Message::HaveNone);
    let set = fast_set(&held.world);
    assert_eq!(held.sent(), set.iter().map(|piece| Message::AllowedFast(piece.get())).collect::<Vec<_>>());
    let fast = set[0].get();
    let whole = [ask(fast, 0), ask(fast, 1)];
    held.hears(&whole);
    held.serve(1);
    assert_eq!(answers(&mut held).0.len(), 2);
    held.hears(&whole);
    held.serve(1);
    assert_eq!(
        answers(&mut held),
        (vec![], vec![range(fast, 0, BLOCK_LENGTH), range(fast, BLOCK_LENGTH, BLOCK_LENGTH)])
    );
    // Once it has more than ten pieces it is no starting peer any more.
    held.hears(&(0..11).map(Message::Have).collect::<Vec<_>>());
    held.hears_one(ask(set[1].get(), 0));
    assert_eq!(answers(&mut held).1.len(), 1);
}

#[test]
fn nobody_is_told_of_pieces_that_we_do_not_have() {
    let mut held = Held::dial(World::new(1));
    held.bytes(&greeting(Reserved::OURS));
    held.sent();
    held.hears_one(Message::HaveNone);
    assert_eq!(held.sent(), []);
}

#[test]
fn requests_while_choked_are_rejected_and_end_it_in_time() {
    let mut held = leech(true, false);
    let fast = fast_set(&held.world);
    let slow = (0..39).find(|number| fast.iter().all(|piece| piece.get() != *number)).unwrap();
    let most = held.world.config.peer.reqq as usize;
    assert_eq!(held.hears(&vec![ask(slow, 0); most]), []);
    assert_eq!(answers(&mut held).1.len(), most);
    let said = held.hears_one(ask(slow, 0));
    assert_fault(&mut held, &said, PeerFault::BadRequests);
}

#[test]
fn no_more_than_reqq_are_queued() {
    let mut held = leech(true, true);
    let most = held.world.config.peer.reqq as usize;
    held.hears(&vec![ask(0, 0); most + 3]);
    assert_eq!(held.conn.requests_in() as usize, most);
    assert_eq!(answers(&mut held).1.len(), 3);
}

#[test]
fn a_cancel_is_answered_by_the_reject_or_the_piece_never_both() {
    let mut held = leech(true, true);
    let cancel = Message::Cancel(range(0, 0, BLOCK_LENGTH));
    held.hears(&[ask(0, 0), cancel.clone()]);
    held.serve(1);
    assert_eq!(answers(&mut held), (vec![], vec![range(0, 0, BLOCK_LENGTH)]));
    held.hears_one(ask(0, 0));
    let run = held.conn.next_read(1 << 20).unwrap();
    held.hears(&[cancel.clone(), cancel]);
    held.call(|conn, cx, facts| conn.loaded(cx, facts, run, Ok(vec![0; run.length as usize].into())));
    held.steps();
    assert_eq!(answers(&mut held), (vec![range(0, 0, BLOCK_LENGTH)], vec![]));
}

#[test]
fn what_cannot_be_read_is_rejected() {
    for data in [Err(IoFault::Device), Ok(Bytes::from_static(b"short"))] {
        let mut held = leech(true, true);
        held.hears(&[ask(0, 0), ask(0, 1)]);
        let run = held.conn.next_read(1 << 20).unwrap();
        held.call(|conn, cx, facts| conn.loaded(cx, facts, run, data));
        held.steps();
        assert_eq!(answers(&mut held).1.len(), 2);
        assert_eq!(held.conn.requests_in(), 0);
    }
}

#[test]
fn an_order_that_changes_nothing_says_nothing() {
    let mut held = leech(true, true);
    held.order(PeerOrder::Unchoke);
    held.order(PeerOrder::Interested(false));
    held.order(PeerOrder::Choke);
    held.order(PeerOrder::Choke);
    assert_eq!(held.sent(), [Message::Choke]);
}

#[test]
fn requests_for_a_piece_that_we_told_of_and_lost_are_not_held_against_the_peer() {
    let mut held = leech(true, true);
    let patience = held.world.config.peer.max_bad_requests;
    let piece = held.world.piece(3);
    held.world.have.remove(3);
    held.world.lost.insert(piece);
    for _ in 0..3 * patience {
        held.hears_one(ask(3, 0));
        assert_eq!(answers(&mut held), (vec![], vec![range(3, 0, BLOCK_LENGTH)]));
    }
    // One that it was never told of is.
    held.world.lost.clear();
    for _ in 0..patience {
        assert_eq!(held.hears_one(ask(3, 0)), []);
    }
    let said = held.hears_one(ask(3, 0));
    assert_fault(&mut held, &said, PeerFault::BadRequests);
}

#[test]
fn who_may_ask_and_does_not_is_let_go() {
    let mut held = leech(true, true);
    let patience = held.world.config.peer.no_request_timeout.as_secs();
    // While it is owed something it may be silent.
    held.hears_one(ask(0, 0));
    let run = held.conn.next_read(1 << 20).unwrap();
    for _ in 0..3 {
        assert_eq!(held.wait(patience), []);
        held.hears_one(Message::KeepAlive);
        held.sent();
    }
    let data = Bytes::from(vec![0; run.length as usize]);
    held.call(|conn, cx, facts| conn.loaded(cx, facts, run, Ok(data)));
    held.call(|conn, cx, _| conn.finish(cx));
    held.sent();
    // A keep-alive is no request.
    assert_eq!(held.wait(patience - 1), []);
    held.hears_one(Message::KeepAlive);
    held.sent();
    assert_eq!(held.wait(1), [PeerSaid::Closing(CloseReason::NoRequests)]);
    // One that wants nothing, or may not have it, stays.
    for served in [true, false] {
        let mut held = leech(true, served);
        if served {
            held.hears_one(Message::NotInterested);
        }
        for _ in 0..5 {
            assert_eq!(held.wait(patience), []);
            held.hears_one(Message::KeepAlive);
            held.sent();
        }
    }
}
