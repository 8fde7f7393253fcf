//! Which addresses a session uses: the list of blocked ones, and on whose word peers are dialled.

use super::*;
use crate::border::{CloseReason, HttpResponse};
use std::string::String;

fn filter(ranges: &[(&str, &str)]) -> Command {
    let mut filter = IpFilter::new();
    for (first, last) in ranges {
        assert!(filter.block(first.parse().unwrap(), last.parse().unwrap()));
    }
    Command::SetIpFilter { filter: Arc::new(filter) }
}

fn dialled(actions: &Actions) -> Vec<SocketAddr> {
    let list = actions.list.iter();
    let dials = list.filter_map(|action| match action {
        Action::Dial { to: Target::Addr(to), .. } => Some(*to),
        _ => None,
    });
    dials.collect()
}

fn refused(actions: &Actions) -> Vec<(u32, u32)> {
    let notices = actions.notices.iter();
    let refused = notices.filter_map(|notice| match notice {
        Notice::PeersRefused { filtered, refused, .. } => Some((*filtered, *refused)),
        _ => None,
    });
    refused.collect()
}

/// A running torrent with one HTTP tracker, whose answer to the first announce names these peers.
fn told_by(tracker: &str, change: impl FnOnce(&mut Config), peers: &str) -> (Rig, Actions) {
    let mut rig = Rig::new(change);
    rig.listen(1, "0.0.0.0:6881");
    let info = encode_dict(|info| {
        info.int("length", 20_000).bytes("name", "x").int("piece length", 16_384).bytes("pieces", [1; 40]);
    });
    let file = encode_dict(|file| _ = file.bytes("announce", tracker).raw("info", &info));
    let mut asked = None;
    let mut todo = vec![rig.command(Command::Add(Box::new(AddTorrent::new(file, RootId(0)))))];
    while let Some(actions) = todo.pop() {
        for action in &actions.list {
            let Action::Start { job, work } = action else { continue };
            let result = match work {
                Work::Http(_) => {
                    asked = Some(*job);
                    continue;
                }
                Work::Load { .. } => JobResult::Loaded(vec![]),
                Work::Check { .. } => JobResult::Checked { files: vec![None], part: None, free: None },
                _ => JobResult::Done,
            };
            todo.push(rig.tell(Event::JobDone { job: *job, result: Ok(result) }));
        }
    }
    let peers = peers.split(' ').map(|peer| {
        let (ip, port) = peer.rsplit_once(':').unwrap();
        std::format!("d2:ip{}:{ip}4:porti{port}ee", ip.len())
    });
    let body = std::format!("d8:intervali1800e5:peersl{}ee", peers.collect::<String>());
    let response = HttpResponse { status: 200, location: None, retry_after: None, body: body.into() };
    let answer = rig.tell(Event::JobDone { job: asked.unwrap(), result: Ok(JobResult::Http(response)) });
    (rig, answer)
}

#[test]
fn a_global_tracker_does_not_lead_to_private_peers_and_a_local_one_does() {
    let peers = "127.0.0.1:6881 10.0.0.1:6881 169.254.1.1:6881 1.2.3.4:25 1.2.3.5:6881";
    let (rig, answer) = told_by("http://9.9.9.9:80/announce", |_| (), peers);
    assert_eq!(dialled(&answer), [addr("1.2.3.5:6881")]);
    assert_eq!(refused(&answer), [(0, 4)], "told once");
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().refused_peers.policy, 4);
    let (_, answer) = told_by("http://10.0.0.9:80/announce", |_| (), peers);
    let mut near = dialled(&answer);
    near.sort();
    assert_eq!(near, ["1.2.3.5:6881", "10.0.0.1:6881", "127.0.0.1:6881", "169.254.1.1:6881"].map(addr));
    assert_eq!(refused(&answer), [(0, 1)], "the port of mail");
    let open = |config: &mut Config| config.net.allow_local_from_global = true;
    let (_, answer) = told_by("http://9.9.9.9:80/announce", open, peers);
    assert_eq!((dialled(&answer).len(), refused(&answer)), (3, vec![(0, 2)]));
}

/// A name that a stranger gives is judged by where it leads.
#[test]
fn a_peer_named_by_name_is_judged_by_its_address() {
    let (mut rig, answer) = told_by("http://9.9.9.9:80/announce", |_| (), "inside.example.org:6881");
    let lookup = |actions: &Actions| match actions.list[..] {
        [Action::Start { job, work: Work::Resolve { .. } }] => job,
        _ => panic!("{actions:?}"),
    };
    let job = lookup(&answer);
    let inside = vec!["10.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    let told = rig.tell(Event::JobDone { job, result: Ok(JobResult::Resolved(inside.clone())) });
    assert_eq!((dialled(&told), refused(&told)), (vec![], vec![(0, 1)]));
    // On the user's word it leads there.
    let mine = Target::Host { name: "inside.example.org".into(), port: 6881 };
    let asked = rig.command(Command::AddPeers { torrent: TorrentId(0), peers: vec![mine] });
    let job = lookup(&asked);
    let told = rig.tell(Event::JobDone { job, result: Ok(JobResult::Resolved(inside)) });
    assert_eq!(dialled(&told), [addr("10.0.0.1:6881")]);
}

#[test]
fn who_is_blocked_is_closed_before_a_byte_is_read() {
    let mut rig = Rig::new(|_| ());
    rig.running(1, vec![]);
    let done = rig.command(filter(&[("198.51.100.0", "198.51.100.255")]));
    assert_eq!(done.notices, [Notice::CommandDone { command: CommandId(2) }]);
    assert_eq!(rig.accept(1).list, [Action::Close { tcp: TcpId(1), flush: false }], "nothing is granted");
    assert_eq!(rig.session.shared().blocked_incoming, 1);
    // Another list takes its place whole.
    rig.command(filter(&[("198.51.101.0", "198.51.101.255")]));
    assert_eq!(rig.accept(2).list, [Action::Grant { tcp: TcpId(2), bytes: 68 }]);
}

#[test]
fn blocked_peers_are_not_dialled_whoever_named_them() {
    let mut rig = Rig::new(|_| ());
    rig.command(filter(&[("1.2.3.0", "1.2.3.255")]));
    let begun = rig.running(1, vec![Target::Addr(addr("1.2.3.4:6881")), Target::Addr(addr("1.2.4.4:6881"))]);
    assert_eq!(dialled(&begun), [addr("1.2.4.4:6881")]);
    assert_eq!(refused(&begun), [(1, 0)]);
    let view = rig.session.view(TorrentId(0)).unwrap();
    assert_eq!((view.refused_peers.filtered, view.known_peers), (1, 1));
}

/// A new list holds for those who are there already: strangers, connections, dials, and addresses that wait.
#[test]
fn a_new_list_closes_and_forgets_whom_it_blocks() {
    let mut rig = Rig::new(|config| config.session.max_half_open = 1);
    let begun = rig.running(1, targets(3));
    let [dial] = dials(&begun)[..] else { panic!("{begun:?}") };
    let hash = rig.hash();
    rig.accept(1);
    rig.handshake(1, hash, 7);
    rig.tell(Event::Accepted {
        sock: SocketId(1),
        tcp: TcpId(2),
        local: addr("192.0.2.1:6881"),
        remote: addr("198.51.100.8:1"),
    });
    assert_eq!(rig.session.shared().peers, 1);
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().known_peers, 3);
    let told = rig.command(filter(&[("198.51.0.0", "198.51.255.255")]));
    assert_eq!(closes(&told), [TcpId(2), TcpId(1)]);
    let ended = told.notices.iter().find_map(|notice| match notice {
        Notice::PeerClosed { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(ended, Some(CloseReason::Filtered));
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().known_peers, 1, "the one that is being dialled");
    let (tcp, local) = (TcpId(3), addr("192.0.2.1:1024"));
    let late = rig.tell(Event::Connected { dial, tcp, local, remote: addr("198.51.0.0:6881") });
    assert_eq!(late.list, [Action::Close { tcp, flush: false }], "not a byte is said");
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().known_peers, 0);
    assert_eq!(dialled(&rig.wait(Duration::from_secs(3600))), []);
}

#[test]
fn a_list_that_is_too_long_is_refused() {
    let mut rig = Rig::new(|config| config.net.max_filter_ranges = 1);
    let told = rig.command(filter(&[("1.0.0.0", "1.0.0.1"), ("2.0.0.0", "2.0.0.1")]));
    assert_eq!(told.notices, [Notice::CommandFailed { command: CommandId(1), error: CommandError::Limit }]);
    assert!(rig.session.ip_filter().is_empty());
}

/// A peer that came in says where it listens: at its own address, but perhaps at the port of somebody else.
#[test]
fn the_port_that_a_peer_tells_is_not_that_of_another_service() {
    for (port, known) in [(25, 0), (6881, 1)] {
        let mut rig = Rig::new(|_| ());
        rig.running(1, vec![]);
        let hash = rig.hash();
        rig.accept(1);
        let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0".to_vec();
        hello.extend_from_slice(&hash);
        hello.extend_from_slice(&[7; 20]);
        let body = std::format!("d1:pi{port}ee");
        hello.extend_from_slice(&(body.len() as u32 + 2).to_be_bytes());
        hello.extend_from_slice(&[20, 0]);
        hello.extend_from_slice(body.as_bytes());
        rig.tell(Event::Received { tcp: TcpId(1), bytes: hello.into() });
        assert_eq!(rig.session.view(TorrentId(0)).unwrap().known_peers, known, "port {port}");
    }
}

/// A list that was made to flood somebody's network is dialled slowly, by all torrents together.
#[test]
fn a_network_that_a_stranger_names_is_dialled_slowly() {
    let peers: Vec<String> = (1..=60).map(|host| std::format!("5.6.7.{host}:6881")).collect();
    let easy = |config: &mut Config| {
        (config.session.dials_per_second, config.session.max_half_open) = (1_000, 1_000);
    };
    let (mut rig, answer) = told_by("http://9.9.9.9:80/announce", easy, &peers.join(" "));
    let mut victims: Vec<SocketAddr> = dialled(&answer);
    assert_eq!(victims.len(), 20);
    for dial in dials(&answer) {
        assert_eq!(dialled(&rig.tell(Event::DialFailed { dial, fault: IoFault::Refused })), []);
    }
    assert_eq!(dialled(&rig.wait(Duration::from_secs(59))), []);
    victims.extend(dialled(&rig.wait(Duration::from_secs(1))));
    victims.sort();
    victims.dedup();
    assert_eq!(victims.len(), 40, "the next ones, and none twice");
    // Another torrent that was told the same leaves those alone that have failed, and the network that has had enough.
    let salt = 9;
    rig.running(salt, vec![]);
    let other = TorrentId(1);
    let mine = Command::AddPeers { torrent: other, peers: vec![Target::Addr(addr("5.6.7.1:6881"))] };
    assert_eq!(dialled(&rig.command(mine)), [addr("5.6.7.1:6881")], "the user's word counts");
}

/// Whoever has many addresses of one network makes no piece look common: few count before they have given something.
#[test]
fn many_peers_of_one_network_do_not_decide_what_is_rare() {
    let mut rig = Rig::new(|_| ());
    rig.running(1, vec![]);
    let hash = rig.hash();
    let mut came = 0;
    let mut join = |rig: &mut Rig, remote: String| {
        came += 1;
        let (sock, local, tcp) = (SocketId(1), addr("192.0.2.1:6881"), TcpId(came));
        rig.tell(Event::Accepted { sock, tcp, local, remote: addr(&remote) });
        let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
        hello.extend_from_slice(&hash);
        hello.extend_from_slice(&[came as u8; 20]);
        hello.extend_from_slice(&[0, 0, 0, 2, 5, 0b1000_0000]);
        rig.tell(Event::Received { tcp, bytes: hello.into() });
    };
    let rare = |rig: &Rig| {
        let torrent = rig.session.torrent(TorrentId(0)).unwrap();
        let pieces = crate::metainfo::Geometry::new(20_000, 16_384).unwrap();
        torrent.availability(pieces.piece(0).unwrap())
    };
    for host in 1..=10 {
        join(&mut rig, std::format!("5.6.7.{host}:999"));
    }
    assert_eq!((rig.session.shared().peers, rare(&rig)), (10, 4));
    join(&mut rig, "5.6.8.1:999".into());
    assert_eq!(rare(&rig), 5, "of another network");
    for host in 1..=10 {
        join(&mut rig, std::format!("10.0.0.{host}:999"));
    }
    assert_eq!(rare(&rig), 15, "our own network is believed");
}

/// What the handshakes of two torrents of one session say, of the session with these seeds.
fn peer_ids(seeds: Seeds) -> Vec<[u8; 20]> {
    let session = Session::new(Config::default(), seeds).unwrap();
    let mut rig = Rig { session, now: Time(1_000_000), next: 0, stored: vec![], disk_has_all: false };
    let mut ids = Vec::new();
    for salt in [1, 2] {
        rig.running(salt, vec![]);
        let hash = rig.session.torrent(TorrentId(u32::from(salt) - 1)).unwrap().info_hash().0;
        rig.accept(u64::from(salt));
        let answer = rig.handshake(u64::from(salt), hash, 40 + salt);
        let said = answer.list.iter().find_map(|action| match action {
            Action::Send { bytes, .. } => bytes.get(48..68).map(|id| id.try_into().unwrap()),
            _ => None,
        });
        ids.push(said.unwrap());
    }
    ids
}

/// Nobody can tell by the peer id that two torrents are one client's, nor guess it.
#[test]
fn a_peer_id_is_fresh_for_each_torrent_and_comes_from_the_secret_seed() {
    let seeds = |decision, secret| Seeds { decision: [decision; 32], secret: [secret; 32] };
    let ids = peer_ids(seeds(1, 1));
    assert_eq!(ids[0][..8], ids[1][..8], "the client's own prefix");
    assert_ne!(ids[0][8..], ids[1][8..]);
    assert_eq!(peer_ids(seeds(2, 1)), ids, "chance that anybody may know has no part in it");
    let other = peer_ids(seeds(1, 2));
    assert!(other.iter().all(|id| !ids.contains(id)));
}
