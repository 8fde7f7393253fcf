//! Peers that send wrong data.

use crate::arena::{Arena, LENGTH, PIECE, Role, limits};
use parcacik_core::border::{CloseReason, PeerFault};
use parcacik_testkit::hostile::{Corrupt, Peer};
use parcacik_testkit::{Content, Limits};
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn who_sends_wrong_data_is_banned_and_nobody_else() {
    let other = Content::new("other.bin", LENGTH, PIECE, 5).bytes;
    let tricks = [
        ("wrong bytes in every block", Corrupt::EveryBlock),
        ("wrong bytes in one block of ten", Corrupt::OneIn(10)),
        ("one bit of every block", Corrupt::OneBit),
        ("data of another torrent", Corrupt::OtherTorrent(other)),
        ("wrong bytes only in shared pieces", Corrupt::WhenShared(BTreeMap::new())),
    ];
    for (name, trick) in tricks {
        for fast in [true, false] {
            // So slow that pieces are shared.
            let arena = Arena::new(Role::Downloads, Limits { upload: 8_000, ..limits() });
            let mut peer = Peer::seed(&arena.content).with(trick.clone());
            if !fast {
                peer = peer.slow();
            }
            let outcome = arena.listens(peer).run(10 * MINUTE);
            outcome.tell(name).within(120).wasted_at_most(4 * u64::from(PIECE)).all_banned();
            outcome.only_fault(PeerFault::CorruptData);
        }
    }
}

#[test]
fn right_bytes_at_a_wrong_place_end_the_connection() {
    for fast in [true, false] {
        let arena = Arena::new(Role::Downloads, limits());
        let mut peer = Peer::seed(&arena.content).with(Corrupt::WrongOffset);
        if !fast {
            peer = peer.slow();
        }
        let outcome = arena.listens(peer).run(10 * MINUTE);
        outcome.tell("right bytes, wrong offset").within(200);
        assert!(
            outcome.closed.iter().all(|reason| matches!(
                reason,
                CloseReason::Fault(PeerFault::UnrequestedBlocks | PeerFault::CorruptData)
            ))
        );
    }
}

#[test]
fn who_is_banned_is_not_let_in_again() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(Corrupt::EveryBlock).comes_back(Duration::from_secs(1));
    let outcome = arena.dials(peer, 1).run(10 * MINUTE);
    outcome.tell("corrupts, is banned, comes back").within(150).all_banned().only_fault(PeerFault::CorruptData);
    assert_eq!(outcome.closed.len(), 1, "it had one connection");
}
