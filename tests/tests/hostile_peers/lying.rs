//! Peers that say what is not so.

use crate::arena::{Arena, Role, content, limits};
use parcacik_core::border::{CloseReason, PeerFault};
use parcacik_testkit::Limits;
use parcacik_testkit::hostile::{
    AlternateAllNone, Chatter, DontHave, Excuse, HaveNothing, Introduction, Mute, Peer, WrongBitfield,
};
use std::net::IpAddr;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn alternate_have_all_have_none() {
    for fast in [true, false] {
        let arena = Arena::new(Role::Downloads, limits());
        let trick = AlternateAllNone { every: Duration::from_secs(1), all: false };
        let mut peer = Peer::seed(&arena.content).with(trick);
        if !fast {
            peer = peer.slow();
        }
        let outcome = arena.listens(peer).run(10 * MINUTE);
        let name = if fast { "has all, then none" } else { "has all, then none, by bitfield" };
        outcome.tell(name).only_fault(PeerFault::LateBitfield).within(110).nobody_banned();
    }
}

#[test]
fn a_peer_that_has_none_and_then_all_is_believed_once() {
    let arena = Arena::new(Role::Downloads, limits());
    let trick = AlternateAllNone { every: Duration::from_secs(1), all: true };
    let peer = Peer::leech(&arena.content).with(trick);
    let outcome = arena.listens(peer).run(10 * MINUTE);
    outcome.tell("has none, then all, then none").within(110).nobody_banned();
    // Then it comes back as a seed while we seed.
    assert_eq!(outcome.closed.first(), Some(&CloseReason::Fault(PeerFault::LateBitfield)), "{:?}", outcome.closed);
}

#[test]
fn a_peer_that_has_not_what_it_says_does_not_hold_the_download_up() {
    for (fast, excuse) in
        [(true, Excuse::Silence), (false, Excuse::Silence), (true, Excuse::Reject), (false, Excuse::Choke)]
    {
        let arena = Arena::new(Role::Downloads, limits());
        let mut peer = Peer::seed(&arena.content).with(HaveNothing(excuse));
        if !fast {
            peer = peer.slow();
        }
        let outcome = arena.listens(peer).run(10 * MINUTE);
        outcome.tell(&format!("has nothing of what it says, {excuse:?}, fast {fast}")).within(150).nobody_banned();
    }
}

#[test]
fn spare_bits_end_the_connection() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(WrongBitfield::SpareBits);
    let outcome = arena.listens(peer).run(10 * MINUTE);
    outcome.tell("spare bits are set").only_fault(PeerFault::BadBitfield).within(100).nobody_banned();
}

#[test]
fn short_bitfield() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(WrongBitfield::Length(-1));
    let outcome = arena.listens(peer).run(10 * MINUTE);
    outcome.tell("bitfield too short").only_fault(PeerFault::BadBitfield).within(100).nobody_banned();
}

#[test]
fn long_bitfield() {
    for more in [1, 100_000] {
        let arena = Arena::new(Role::Downloads, limits());
        let peer = Peer::seed(&arena.content).with(WrongBitfield::Length(more));
        let outcome = arena.listens(peer).run(10 * MINUTE);
        outcome.tell("bitfield too long").only_fault(PeerFault::BadBitfield).within(110).nobody_banned();
    }
}

#[test]
fn pieces_that_are_taken_back_are_rejected_and_come_from_another() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(DontHave::default());
    let outcome = arena.listens(peer).run(10 * MINUTE);
    outcome.tell("takes pieces back (lt_donthave)").within(110).nobody_banned();
}

#[test]
fn any_reqq_is_kept_to() {
    for reqq in ["0", "-1", "1", "2147483648", "99999999999999999999"] {
        let arena = Arena::new(Role::Downloads, limits());
        let introduction = Introduction(format!("d1:mde4:reqqi{reqq}ee").into_bytes());
        let peer = Peer::seed(&arena.content).with(introduction);
        // The audit checks that no more is asked for than it queues.
        let outcome = arena.listens(peer).run(10 * MINUTE);
        outcome.tell(&format!("reqq {reqq}")).within(110).nobody_banned();
    }
}

#[test]
fn a_leech_that_says_it_only_uploads_is_not_served() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer = Peer::leech(&arena.content).with(Introduction(b"d1:mde11:upload_onlyi1ee".to_vec()));
    let outcome = arena.dials(peer, 1).run(10 * MINUTE);
    outcome.tell("false upload_only").within(100).nobody_banned();
    assert_eq!(outcome.arena.peer(0).taken, 0);
}

/// Where victims of false peer exchange are.
fn is_victim(ip: IpAddr) -> bool {
    ip.to_string().starts_with("81.")
}

#[test]
fn a_flood_of_peer_exchange_ends_the_connection_and_knocks_once_at_each_victim() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(Chatter::pex(Duration::from_millis(100), 50));
    let outcome = arena.listens(peer).run(10 * MINUTE);
    outcome.tell("false peer exchange").only_fault(PeerFault::PexFlood).within(110).nobody_banned();
    let counts = outcome.arena.world.counts(outcome.arena.victim);
    let knocks: Vec<usize> =
        counts.dials.iter().filter(|(addr, _)| is_victim(addr.ip())).map(|(_, times)| times.len()).collect();
    assert!(!knocks.is_empty() && knocks.len() <= 50 && knocks.iter().all(|knocks| *knocks <= 1), "{knocks:?}");
}

#[test]
fn patient_false_peer_exchange_leads_to_few_victims() {
    let arena = Arena::new(Role::Downloads, Limits { upload: 10_000, ..limits() });
    let peer = Peer::seed(&arena.content).with(Chatter::pex(MINUTE / 3, 2_000));
    let outcome = arena.listens(peer).run(10 * MINUTE);
    let counts = outcome.arena.world.counts(outcome.arena.victim);
    let victims: Vec<_> = counts.dials.iter().filter(|(addr, _)| is_victim(addr.ip())).collect();
    assert!(!victims.is_empty() && victims.len() <= 200, "one peer names 200 at most, here {}", victims.len());
    assert!(victims.iter().all(|(_, times)| times.len() <= 1), "{victims:?}");
}

#[test]
fn metadata_and_hashes_that_nobody_asked_for_are_passed_over() {
    for (name, trick) in [("false metadata", Chatter::metadata()), ("false hashes (BEP 52)", Chatter::hashes())] {
        let arena = Arena::new(Role::Downloads, limits());
        let peer = Peer::seed(&arena.content).with(trick);
        let outcome = arena.listens(peer).run(10 * MINUTE);
        outcome.tell(name).within(110).nobody_banned();
        assert_eq!(outcome.arena.peer(0).extended, 0, "nothing is answered");
    }
}

#[test]
fn a_peer_that_unchokes_and_answers_nothing_is_snubbed() {
    for fast in [true, false] {
        let arena = Arena::new(Role::Downloads, limits());
        let mut peer = Peer::seed(&arena.content).with(Mute);
        if !fast {
            peer = peer.slow();
        }
        let outcome = arena.listens(peer).run(10 * MINUTE);
        outcome.tell("unchokes and answers nothing").within(150).nobody_banned();
    }
}

#[test]
fn the_last_blocks_are_not_left_to_peers_that_never_answer() {
    for fast in [true, false] {
        // They dial: each is there before the honest one is met, and each of them can have two connections.
        let mut arena = Arena::new(Role::Downloads, limits());
        for _ in 0..4 {
            let mut peer = Peer::seed(&arena.content).with(Mute);
            if !fast {
                peer = peer.slow();
            }
            arena = arena.listens(peer).dials(Peer::seed(&content()).with(Mute), 2);
        }
        let outcome = arena.run(10 * MINUTE);
        outcome.tell("twelve that unchoke and answer nothing");
        // A minute until they are found out.
        assert!(outcome.took < outcome.alone + Duration::from_secs(75), "{:?}", outcome.took);
    }
}

#[test]
fn the_last_blocks_are_not_left_to_peers_that_choke_whenever_they_are_asked() {
    for (fast, excuse) in [(false, Excuse::Choke), (true, Excuse::Choke), (true, Excuse::Reject)] {
        // A long way: so seldom that it is no flood.
        let far = Limits { latency: Duration::from_millis(80), ..limits() };
        let mut arena = Arena::new(Role::Downloads, far);
        for _ in 0..4 {
            let mut peer = Peer::seed(&arena.content).with(HaveNothing(excuse));
            if !fast {
                peer = peer.slow();
            }
            arena = arena.listens(peer);
        }
        let outcome = arena.run(10 * MINUTE);
        outcome.tell(&format!("four that refuse whatever is asked, {excuse:?}, fast {fast}")).within(150);
    }
}
