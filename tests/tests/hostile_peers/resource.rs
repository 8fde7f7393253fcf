//! Peers that want our memory, our places, our time.

use crate::arena::{Arena, Role, limits};
use parcacik_core::border::{CloseReason, PeerFault};
use parcacik_testkit::Limits;
use parcacik_testkit::hostile::{Drip, Flood, Introduction, LeaveAfter, NeverRead, Peer, Promise, RequestFlood};
use parcacik_testkit::second::{Range, Word};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn handshake_timeout_for_who_dials_us() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer = Peer::leech(&arena.content).with(Drip::handshake());
    let outcome = arena.dials(peer, 1).run(2 * MINUTE);
    outcome.tell("handshake a byte in nine seconds, it dials").within(100);
    assert_eq!(outcome.arena.world.seen(outcome.arena.hostile[0]).ended, 1);
}

#[test]
fn handshake_timeout_for_whom_we_dial() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(Drip::handshake());
    let outcome = arena.listens(peer).run(10 * MINUTE);
    outcome.tell("handshake a byte in nine seconds, we dial").within(100);
    assert!(outcome.closed.iter().all(|&reason| reason == CloseReason::HandshakeTimeout), "{:?}", outcome.closed);
}

#[test]
fn a_stream_of_a_byte_a_second_is_ended() {
    let arena = Arena::new(Role::Downloads, Limits { upload: 3_000, ..limits() });
    let peer = Peer::seed(&arena.content).with(Drip::stream());
    let outcome = arena.listens(peer).run(20 * MINUTE);
    outcome.tell("a byte a second").within(150);
    assert!(outcome.closed.contains(&CloseReason::Idle), "{:?}", outcome.closed);
}

fn flood(name: &str, words: Vec<Word>, role: Role) -> crate::arena::Outcome {
    let arena = Arena::new(role, limits());
    let peer = Peer::leech(&arena.content).with(Flood::of(words));
    let arena = match role {
        Role::Downloads => arena.listens(peer),
        Role::Seeds => arena.dials(peer, 1),
    };
    let mut arena = arena;
    let who = arena.hostile[0];
    arena.world.set_stranger_upload(who, 100_000_000);
    let outcome = arena.run(2 * MINUTE);
    outcome.tell(name);
    outcome
}

#[test]
fn floods_end_the_connection() {
    let block = Range { piece: 0, begin: 0, length: 16_384 };
    let floods = [
        ("a million have", vec![Word::Have(0)]),
        ("a million keep-alives", vec![Word::KeepAlive]),
        ("interested, not interested", vec![Word::Interested, Word::NotInterested]),
        ("choke, unchoke", vec![Word::Choke, Word::Unchoke]),
        ("extended handshakes", vec![Word::Extended(0, b"d1:mdee".to_vec())]),
        ("upload_only on and off", vec![Word::Extended(3, vec![1]), Word::Extended(3, vec![0])]),
        ("ports", vec![Word::Port(1), Word::Port(2)]),
        ("unknown messages", vec![Word::Other(200, vec![0; 100])]),
        ("suggestions", vec![Word::Suggest(1), Word::Suggest(2)]),
        ("allowed fast", vec![Word::AllowedFast(1), Word::AllowedFast(2)]),
        ("cancels", vec![Word::Cancel(block)]),
        ("have all", vec![Word::HaveAll]),
    ];
    for (name, words) in floods {
        let outcome = flood(name, words, Role::Downloads);
        outcome.within(110);
        // One that said it only uploads, when it comes again, has nothing to exchange with us, who have everything by then.
        let fault = CloseReason::Fault(PeerFault::Flood);
        let closed = &outcome.closed;
        assert!(closed.first() == Some(&fault), "{closed:?}");
        assert!(closed.iter().all(|&reason| reason == fault || reason == CloseReason::BothSeeds), "{closed:?}");
    }
    let rejects = flood("rejects of what was not asked for", vec![Word::Reject(block)], Role::Downloads);
    rejects.only_fault(PeerFault::UnrequestedBlocks).within(110);
}

#[test]
fn request_flood_beyond_reqq() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer = Peer::leech(&arena.content).with(RequestFlood(20_000));
    let outcome = arena.dials(peer, 1).run(5 * MINUTE);
    outcome.tell("20,000 requests at once").only_fault(PeerFault::BadRequests).within(250).nobody_banned();
}

#[test]
fn invalid_request() {
    let ranges = [
        Range { piece: 999, begin: 0, length: 16_384 },
        Range { piece: 0, begin: 65_536, length: 16_384 },
        Range { piece: 0, begin: u32::MAX, length: 2 },
        Range { piece: 0, begin: 1, length: u32::MAX },
        Range { piece: 0, begin: 0, length: 0 },
        Range { piece: u32::MAX, begin: u32::MAX, length: u32::MAX },
    ];
    for range in ranges {
        let outcome = flood("senseless requests", vec![Word::Request(range)], Role::Seeds);
        outcome.only_fault(PeerFault::BadRequests).within(110);
    }
}

#[test]
fn a_huge_extended_handshake_is_refused() {
    let mut huge = b"d1:v60000:".to_vec();
    huge.resize(huge.len() + 60_000, b'x');
    huge.push(b'e');
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(Introduction(huge));
    let outcome = arena.listens(peer).run(5 * MINUTE);
    outcome.tell("extended handshake of 60 KB").within(110);
    let mut larger = b"d1:v150000:".to_vec();
    larger.resize(larger.len() + 150_000, b'x');
    larger.push(b'e');
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(Introduction(larger));
    let outcome = arena.listens(peer).run(5 * MINUTE);
    outcome.tell("extended handshake of 150 KB").only_fault(PeerFault::BadExtendedHandshake).within(110);
}

#[test]
fn deep_bencode_is_refused() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(Introduction(vec![b'l'; 60_000]));
    let outcome = arena.listens(peer).run(5 * MINUTE);
    outcome.tell("60,000 lists deep").only_fault(PeerFault::BadExtendedHandshake).within(110);
}

#[test]
fn large_message() {
    for length in [1 << 31, u32::MAX, 200_000] {
        for id in [5, 7, 20, 99] {
            let arena = Arena::new(Role::Downloads, limits());
            let peer = Peer::seed(&arena.content).with(Promise { length, id });
            let outcome = arena.listens(peer).run(MINUTE);
            outcome.tell(&format!("message {id} of {length} bytes"));
            outcome.only_fault(PeerFault::MessageTooLong).within(110);
        }
    }
}

#[test]
fn who_never_reads_is_dropped() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer = Peer::leech(&arena.content).with(NeverRead(400));
    let outcome = arena.dials(peer, 1).run(10 * MINUTE);
    outcome.tell("never reads").within(250);
    assert_eq!(outcome.closed, [CloseReason::NotReading]);
}

#[test]
fn who_comes_back_all_the_time_is_kept_out() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer =
        Peer::leech(&arena.content).with(LeaveAfter(Duration::from_millis(100))).comes_back(Duration::from_millis(10));
    let outcome = arena.dials(peer, 1).run(10 * MINUTE);
    outcome.tell("comes back eight times a second").within(110);
    let (came, greeted) = (outcome.arena.world.seen(outcome.arena.hostile[0]).opened, outcome.arena.peer(0).greeted);
    assert!(came > 1_000 && greeted <= 20 * 11, "it came {came} times and was let in {greeted} times");
}
