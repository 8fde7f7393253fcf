//! Who keeps its place when there are no more.

use super::*;
use crate::border::CloseReason;

const SECOND: Duration = Duration::from_secs(1);
const NOT_INTERESTED: [u8; 5] = [0, 0, 0, 1, 3];
const INTERESTED: [u8; 5] = [0, 0, 0, 1, 2];

/// A session of these limits, with a torrent of each salt. A bystander is dropped after 100 s, and may be replaced after 60 s.
fn rig(max_peers: u32, max_peers_per_torrent: u32, salts: &[u8]) -> Rig {
    let mut rig = Rig::new(|config| {
        config.session.max_peers = max_peers;
        config.session.max_peers_per_torrent = max_peers_per_torrent;
        config.session.no_interest_timeout = 100 * SECOND;
        // Nothing else ends a connection here: nobody asks for anything, reads, or keeps alive.
        let patience = 10_000 * SECOND;
        (config.peer.no_request_timeout, config.peer.send_timeout, config.peer.idle_timeout) =
            (patience, patience, patience);
        assert_eq!(config.session.replaceable_after, 60 * SECOND);
    });
    for &salt in salts {
        rig.running(salt, vec![]);
    }
    rig
}

/// A peer of the torrent with this number comes in, from an address of its own; whom it cost its place, itself perhaps.
fn comes(rig: &mut Rig, tcp: u8, torrent: u32) -> Vec<TcpId> {
    comes_from(rig, tcp, torrent, tcp)
}

fn comes_from(rig: &mut Rig, tcp: u8, torrent: u32, host: u8) -> Vec<TcpId> {
    let remote = SocketAddr::from(([198, 51, 100, host], 5000 + u16::from(tcp)));
    let (sock, local) = (SocketId(1), addr("192.0.2.1:6881"));
    let mut closed = closes(&rig.tell(Event::Accepted { sock, tcp: TcpId(tcp.into()), local, remote }));
    let hash = rig.session.torrent(TorrentId(torrent)).unwrap().info_hash().0;
    closed.extend(closes(&rig.handshake(tcp.into(), hash, tcp)));
    closed
}

fn says(rig: &mut Rig, tcp: u64, word: [u8; 5]) {
    let told = rig.tell(Event::Received { tcp: TcpId(tcp), bytes: Bytes::copy_from_slice(&word) });
    assert_eq!(closes(&told), []);
}

fn peers(rig: &Rig) -> u32 {
    rig.session.shared().peers
}

fn reason(actions: &Actions) -> Option<CloseReason> {
    actions.notices.iter().find_map(|notice| match notice {
        Notice::PeerClosed { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// By the torrent's limit, and by the session's.
const LIMITS: [(u32, u32); 2] = [(9, 1), (1, 9)];

#[test]
fn no_interest_timeout_at_the_limit() {
    for (all, each) in LIMITS {
        let mut rig = rig(all, each, &[1]);
        assert_eq!(comes(&mut rig, 1, 0), []);
        assert_eq!(rig.session.shared().bystanders.len(), 1);
        // To say it again does not make it true anew.
        assert_eq!(closes(&rig.wait(50 * SECOND)), []);
        says(&mut rig, 1, NOT_INTERESTED);
        assert_eq!(closes(&rig.wait(49 * SECOND)), []);
        assert!(rig.session.deadline().is_some_and(|due| due.since(rig.now) <= SECOND));
        let told = rig.wait(SECOND);
        assert_eq!((closes(&told), reason(&told)), (vec![TcpId(1)], Some(CloseReason::Useless)));
        assert_eq!(peers(&rig), 0);
        assert!(rig.session.shared().bystanders.is_empty());
    }
}

#[test]
fn no_interest_timeout_while_there_are_places() {
    for (all, each) in [(9, 2), (2, 9)] {
        let mut rig = rig(all, each, &[1]);
        comes(&mut rig, 1, 0);
        for _ in 0..10 {
            assert_eq!(closes(&rig.wait(100 * SECOND)), []);
            says(&mut rig, 1, NOT_INTERESTED);
        }
        // The last place is taken: now it has been there for too long.
        assert_eq!(comes(&mut rig, 2, 0), [TcpId(1)]);
        assert_eq!(peers(&rig), 1);
    }
}

#[test]
fn no_interest_timeout_begins_anew_when_interest_ends() {
    for (all, each) in LIMITS {
        let mut rig = rig(all, each, &[1]);
        comes(&mut rig, 1, 0);
        rig.wait(90 * SECOND);
        says(&mut rig, 1, INTERESTED);
        assert!(rig.session.shared().bystanders.is_empty());
        assert_eq!(closes(&rig.wait(30 * SECOND)), []);
        says(&mut rig, 1, NOT_INTERESTED);
        assert_eq!(closes(&rig.wait(99 * SECOND)), []);
        assert_eq!(closes(&rig.wait(SECOND)), [TcpId(1)]);
    }
}

#[test]
fn a_newcomer_replaces_who_was_without_interest_for_a_minute() {
    for (all, each) in [(9, 2), (2, 9)] {
        let mut rig = rig(all, each, &[1]);
        comes(&mut rig, 1, 0);
        rig.wait(SECOND);
        comes(&mut rig, 2, 0);
        rig.wait(58 * SECOND);
        assert_eq!(comes(&mut rig, 3, 0), [TcpId(3)], "a second too early");
        rig.wait(SECOND);
        assert_eq!(comes(&mut rig, 4, 0), [TcpId(1)]);
        assert_eq!(comes(&mut rig, 5, 0), [TcpId(5)], "one place, one newcomer");
        assert_eq!(peers(&rig), 2);
        rig.wait(SECOND);
        assert_eq!(comes(&mut rig, 6, 0), [TcpId(2)]);
        assert_eq!(peers(&rig), 2);
    }
}

#[test]
fn nobody_replaces_a_peer_that_wants_something() {
    for (all, each) in LIMITS {
        let mut rig = rig(all, each, &[1]);
        comes(&mut rig, 1, 0);
        says(&mut rig, 1, INTERESTED);
        for tcp in 2..5 {
            assert_eq!(closes(&rig.wait(30 * SECOND)), []);
            assert_eq!(comes(&mut rig, tcp, 0), [TcpId(tcp.into())]);
        }
        assert_eq!(peers(&rig), 1);
    }
}

#[test]
fn who_was_dropped_does_not_replace_anybody() {
    for (all, each) in LIMITS {
        let mut rig = rig(all, each, &[1]);
        comes(&mut rig, 1, 0);
        rig.wait(60 * SECOND);
        assert_eq!(comes(&mut rig, 2, 0), [TcpId(1)]);
        rig.wait(60 * SECOND);
        assert_eq!(comes_from(&mut rig, 3, 0, 1), [TcpId(3)], "it has just been here");
        assert_eq!(comes(&mut rig, 4, 0), [TcpId(2)]);
        rig.tell(Event::Closed { tcp: TcpId(4), fault: None });
        assert_eq!(comes_from(&mut rig, 5, 0, 1), [], "there is a free place");
        assert_eq!(peers(&rig), 1);
    }
}

#[test]
fn the_place_in_the_session_may_be_one_of_another_torrent() {
    let mut rig = rig(2, 2, &[1, 2]);
    comes(&mut rig, 1, 0);
    comes(&mut rig, 2, 0);
    says(&mut rig, 2, INTERESTED);
    rig.wait(60 * SECOND);
    assert_eq!(comes(&mut rig, 3, 1), [TcpId(1)]);
    says(&mut rig, 3, INTERESTED);
    rig.wait(60 * SECOND);
    assert_eq!(comes(&mut rig, 4, 1), [TcpId(4)]);
    let view = |rig: &Rig, id| rig.session.view(TorrentId(id)).unwrap().peers;
    assert_eq!((view(&rig, 0), view(&rig, 1), peers(&rig)), (1, 1, 2));
}

/// One who would be refused anyway costs nobody its place.
#[test]
fn a_newcomer_that_is_not_let_in_replaces_nobody() {
    let mut rig = rig(9, 5, &[1]);
    for tcp in 1..6 {
        // Four of one address, and another one.
        assert_eq!(comes_from(&mut rig, tcp, 0, if tcp == 5 { 2 } else { 1 }), [], "{tcp}");
        if tcp == 4 {
            assert_eq!(comes_from(&mut rig, 60, 0, 1), [TcpId(60)], "a fifth of it");
            rig.wait(SECOND);
        }
    }
    rig.wait(60 * SECOND);
    assert_eq!(comes_from(&mut rig, 61, 0, 1), [TcpId(61)]);
    assert_eq!(peers(&rig), 5);
}

/// BEHAVIOUR: limits hold under any mix of dials and newcomers.
#[test]
fn limits_hold_while_places_change_hands() {
    let mut rig = Rig::new(|config| {
        (config.session.max_peers, config.session.max_peers_per_torrent) = (7, 4);
    });
    let mut pending: Vec<DialId> = vec![];
    for salt in 1..=3 {
        pending.extend(dials(&rig.running(salt, targets(40))));
    }
    let mut replaced = 0;
    for turn in 0..120u8 {
        let mut told = vec![rig.wait(7 * SECOND)];
        if let Some(dial) = pending.pop() {
            let (tcp, local) = (TcpId(1_000 + u64::from(turn)), addr("192.0.2.1:1024"));
            told.push(rig.tell(Event::Connected { dial, tcp, local, remote: addr("198.51.0.0:6881") }));
        }
        replaced +=
            comes(&mut rig, turn + 1, u32::from(turn) % 3).iter().filter(|tcp| tcp.0 != u64::from(turn) + 1).count();
        for actions in &told {
            pending.extend(dials(actions));
        }
        let each: Vec<usize> =
            (0..3).map(|id| rig.session.torrent(TorrentId(id)).unwrap().peer_list(rig.now).len()).collect();
        assert!(each.iter().all(|&count| count <= 4) && each.iter().sum::<usize>() <= 7, "{each:?}");
        assert_eq!(each.iter().sum::<usize>() as u32, peers(&rig));
        assert!(rig.session.shared().bystanders.len() <= 7);
    }
    assert!(replaced >= 5, "{replaced}");
}

/// Two that have nothing for each other and a crowd outside: nobody's place changes hands more than once a minute.
#[test]
fn a_place_changes_hands_once_a_minute_at_most() {
    let mut rig = rig(9, 3, &[1]);
    let mut changes = 0;
    for second in 0..240u64 {
        let tcp = (second + 1) as u8;
        changes += comes(&mut rig, tcp, 0).iter().filter(|closed| closed.0 != u64::from(tcp)).count();
        rig.wait(SECOND);
    }
    // Three places, four minutes, the first of which nobody has been there for a minute.
    assert!((1..=9).contains(&changes), "{changes}");
}
