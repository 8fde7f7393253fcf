//! Peers that send anything.

use crate::arena::{Arena, Role, limits};
use parcacik_testkit::hostile::{Havoc, Peer, RandomHandshake};
use parcacik_testkit::{Limits, Split};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn havoc_in_a_good_conversation_does_no_harm() {
    for percent in [1, 5, 20, 60] {
        for fast in [true, false] {
            let arena = Arena::new(Role::Downloads, limits());
            let mut peer = Peer::seed(&arena.content).with(Havoc::new(percent));
            if !fast {
                peer = peer.slow();
            }
            let outcome = arena.listens(peer).run(10 * MINUTE);
            outcome.tell(&format!("havoc in {percent} of 100 messages, a seed")).within(200);
            let arena = Arena::new(Role::Seeds, limits());
            let peer = Peer::leech(&arena.content).with(Havoc::new(percent)).comes_back(Duration::from_secs(30));
            let outcome = arena.dials(peer, 2).run(10 * MINUTE);
            outcome.tell(&format!("havoc in {percent} of 100 messages, leeches")).within(400);
        }
    }
}

#[test]
fn random_bytes_are_no_handshake() {
    for (right, length) in [(0, 68), (0, 1), (0, 5_000), (1, 68), (20, 68), (28, 68), (48, 68), (48, 400)] {
        let arena = Arena::new(Role::Downloads, limits());
        let peer = Peer::seed(&arena.content).with(RandomHandshake { right, length });
        let outcome = arena.listens(peer).run(3 * MINUTE);
        outcome.tell(&format!("handshake of {length} bytes, {right} right, we dial")).within(200);
        let arena = Arena::new(Role::Seeds, limits());
        let peer = Peer::leech(&arena.content).with(RandomHandshake { right, length });
        let outcome = arena.dials(peer, 1).run(3 * MINUTE);
        outcome.tell(&format!("handshake of {length} bytes, {right} right, it dials")).within(250);
    }
}

#[test]
fn every_split_of_what_a_hostile_peer_says_is_taken() {
    for split in [Split::AtMost(1), Split::Random(20), Split::AtMost(16_397)] {
        let arena = Arena::new(Role::Downloads, Limits { split, ..limits() });
        let peer = Peer::seed(&arena.content).with(Havoc::new(3));
        let outcome = arena.listens(peer).run(MINUTE);
        outcome.tell(&format!("havoc, {split:?}")).within(200);
    }
}
