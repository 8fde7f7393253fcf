//! Routing, limits and late events: what the session itself decides.

mod dht;
mod disk;
mod magnet;
mod neighbours;
mod net;
mod places;
mod trackers;

use super::*;
use crate::bencode::encode_dict;
use crate::border::{
    Action, AddTorrent, Command, CommandError, CommandId, DialId, FileState, IoFault, JobId, JobResult, PeerId,
    RateLimits, RemoveFiles, RootId, SeedGoal, SocketId, SocketKind, Target, TorrentState, Verdict, Work,
};
use alloc::collections::VecDeque;
use bytes::Bytes;
use std::vec;
use std::vec::Vec;

struct Rig {
    session: Session,
    now: Time,
    next: u64,
    /// What the store gives for any torrent.
    stored: Vec<Bytes>,
    /// Files are there, and every piece of them is right.
    disk_has_all: bool,
}

const REMOTE: &str = "198.51.100.7:5000";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A torrent of one 20,000-byte file; `salt` makes another one of it. The hashes fit no content.
fn metainfo(salt: u8) -> Bytes {
    let info = encode_dict(|info| {
        info.int("length", 20_000).bytes("name", "x").int("piece length", 16_384).bytes("pieces", [salt; 40]);
    });
    encode_dict(|file| _ = file.raw("info", &info)).into()
}

impl Rig {
    fn new(change: impl FnOnce(&mut Config)) -> Rig {
        let mut config = Config::default();
        change(&mut config);
        Rig {
            session: Session::new(config, Seeds::for_tests(1)).unwrap(),
            now: Time(1_000_000),
            next: 0,
            stored: vec![],
            disk_has_all: false,
        }
    }

    fn tell(&mut self, event: Event) -> Actions {
        let mut out = Actions::new();
        self.session.handle(self.now, event, &mut out);
        assert!(self.session.deadline().is_none_or(|due| due > self.now), "no deadline is in the past");
        out
    }

    fn command(&mut self, command: Command) -> Actions {
        self.next += 1;
        self.tell(Event::Command { id: CommandId(self.next), command })
    }

    /// Listens with the sockets `first` and the next one, TCP and UDP.
    fn listen(&mut self, first: u32, at: &str) {
        let (tcp, udp, local) = (SocketId(first), SocketId(first + 1), addr(at));
        self.command(Command::Listen { tcp, udp: Some(udp), lsd: None, dht: false, addr: local, device: None });
        self.tell(Event::Bound { sock: tcp, local });
        self.tell(Event::Bound { sock: udp, local });
    }

    fn wait(&mut self, span: Duration) -> Actions {
        self.now = self.now + span;
        self.tell(Event::Tick)
    }

    fn add(&mut self, salt: u8, peers: Vec<Target>) -> Actions {
        let metainfo = metainfo(salt);
        self.command(Command::Add(Box::new(AddTorrent {
            peers,
            goal: SeedGoal::Forever,
            ..AddTorrent::new(metainfo, RootId(0))
        })))
    }

    /// Answers every job on the list, and those that follow, as an empty disk would.
    fn serve_disk(&mut self, actions: Actions) -> Actions {
        self.serve_disk_but(actions, |_| false)
    }

    /// The same, but for jobs that are not to end yet.
    fn serve_disk_but(&mut self, actions: Actions, held: impl Fn(&Work) -> bool) -> Actions {
        let mut all = Actions::new();
        let mut todo = VecDeque::from([actions]);
        while let Some(mut actions) = todo.pop_front() {
            for action in &actions.list {
                let Action::Start { job, work } = action else { continue };
                if held(work) {
                    continue;
                }
                let there = self.disk_has_all.then_some(FileState { length: 20_000, modified: 1 });
                let result = match work {
                    Work::Load { .. } => JobResult::Loaded(self.stored.clone()),
                    Work::Check { .. } | Work::Sync { .. } => {
                        JobResult::Checked { files: vec![there; 2], part: None, free: None }
                    }
                    Work::Verify { .. } => JobResult::Verified(Verdict { matches: self.disk_has_all, blocks: vec![] }),
                    _ => JobResult::Done,
                };
                todo.push_back(self.tell(Event::JobDone { job: *job, result: Ok(result) }));
            }
            all.list.append(&mut actions.list);
            all.notices.append(&mut actions.notices);
        }
        all
    }

    fn running(&mut self, salt: u8, peers: Vec<Target>) -> Actions {
        let added = self.add(salt, peers);
        self.serve_disk(added)
    }

    fn accept(&mut self, tcp: u64) -> Actions {
        let (sock, local) = (SocketId(1), addr("192.0.2.1:6881"));
        self.tell(Event::Accepted { sock, tcp: TcpId(tcp), local, remote: addr(REMOTE) })
    }

    fn handshake(&mut self, tcp: u64, hash: [u8; 20], id: u8) -> Actions {
        let mut bytes = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend_from_slice(&hash);
        bytes.extend_from_slice(&[id; 20]);
        self.tell(Event::Received { tcp: TcpId(tcp), bytes: bytes.into() })
    }

    fn hash(&self) -> [u8; 20] {
        self.session.torrent(TorrentId(0)).unwrap().info_hash().0
    }
}

fn closes(actions: &Actions) -> Vec<TcpId> {
    let list = actions.list.iter();
    list.filter_map(|action| if let Action::Close { tcp, .. } = action { Some(*tcp) } else { None }).collect()
}

fn dials(actions: &Actions) -> Vec<DialId> {
    let list = actions.list.iter();
    list.filter_map(|action| if let Action::Dial { dial, .. } = action { Some(*dial) } else { None }).collect()
}

fn targets(count: u16) -> Vec<Target> {
    (0..count).map(|n| Target::Addr(SocketAddr::from(([198, 51, (n >> 8) as u8, n as u8], 6881)))).collect()
}

#[test]
fn a_stream_is_routed_by_its_info_hash_and_a_stranger_learns_nothing() {
    let mut rig = Rig::new(|_| ());
    rig.running(1, vec![]);
    let hash = rig.hash();
    rig.accept(1);
    let answer = rig.handshake(1, hash, 7);
    assert!(answer.list.iter().any(|action| matches!(action, Action::Send { tcp: TcpId(1), .. })));
    assert_eq!(rig.session.shared().peers, 1);
    rig.accept(2);
    let answer = rig.handshake(2, [9; 20], 8);
    assert_eq!(answer.list, [Action::Close { tcp: TcpId(2), flush: false }]);
}

#[test]
fn who_comes_while_a_torrent_is_checking_is_kept_until_it_is_done() {
    let mut rig = Rig::new(|_| ());
    let added = rig.add(1, vec![]);
    let hash = rig.hash();
    rig.accept(1);
    assert!(rig.handshake(1, hash, 7).list.is_empty(), "neither closed nor answered");
    rig.accept(2);
    rig.handshake(2, hash, 8);
    rig.tell(Event::Closed { tcp: TcpId(2), fault: None });
    let started = rig.serve_disk(added);
    assert!(started.list.iter().any(|action| matches!(action, Action::Send { tcp: TcpId(1), .. })));
    assert!(!started.list.iter().any(|action| matches!(action, Action::Send { tcp: TcpId(2), .. })));
    assert_eq!(rig.session.shared().peers, 1);
    let peers = rig.session.torrent(TorrentId(0)).unwrap().peer_list(rig.session.now());
    assert_eq!(peers[0].id, Some(PeerId([7; 20])), "what it said before is not lost");
}

#[test]
fn who_waits_for_a_check_waits_no_longer_than_for_a_handshake() {
    let mut rig = Rig::new(|_| ());
    rig.add(1, vec![]);
    let hash = rig.hash();
    rig.accept(1);
    rig.handshake(1, hash, 7);
    assert_eq!(closes(&rig.wait(Duration::from_secs(10))), [TcpId(1)]);
}

#[test]
fn strangers_are_limited_in_number_time_and_credit() {
    let mut rig = Rig::new(|config| config.session.max_unrouted = 2);
    let granted = rig.accept(1).list;
    assert_eq!(granted, [Action::Grant { tcp: TcpId(1), bytes: 68 }]);
    assert!(closes(&rig.accept(2)).is_empty());
    assert_eq!(closes(&rig.accept(3)), [TcpId(3)], "the newcomer goes, not those in the middle of it");
    assert!(closes(&rig.wait(Duration::from_secs(9))).is_empty());
    assert_eq!(closes(&rig.wait(Duration::from_secs(1))), [TcpId(1), TcpId(2)]);
    assert!(closes(&rig.accept(4)).is_empty());
    let junk = rig.tell(Event::Received { tcp: TcpId(4), bytes: Bytes::from_static(b"GET / HTTP/1.1") });
    assert_eq!(closes(&junk), [TcpId(4)]);
}

#[test]
fn one_address_cannot_take_all_places_of_strangers() {
    let mut rig = Rig::new(|config| config.session.max_unrouted_per_ip = 2);
    let accept = |rig: &mut Rig, tcp: u64, from: &str| {
        closes(&rig.tell(Event::Accepted {
            sock: SocketId(1),
            tcp: TcpId(tcp),
            local: addr("10.0.0.9:1"),
            remote: addr(from),
        }))
    };
    assert!(accept(&mut rig, 1, "192.0.2.1:1").is_empty());
    assert!(accept(&mut rig, 2, "192.0.2.1:2").is_empty());
    assert_eq!(accept(&mut rig, 3, "192.0.2.1:3"), [TcpId(3)]);
    assert!(accept(&mut rig, 4, "192.0.2.2:1").is_empty(), "others come in");
    // A place that becomes free can be had again.
    rig.tell(Event::Closed { tcp: TcpId(1), fault: None });
    assert!(accept(&mut rig, 5, "192.0.2.1:5").is_empty());
    assert_eq!(accept(&mut rig, 6, "192.0.2.1:6"), [TcpId(6)]);
    for tcp in 10..30 {
        assert!(accept(&mut rig, tcp, &std::format!("127.0.0.1:{tcp}")).is_empty(), "loopback is not limited");
    }
}

#[test]
fn late_events_for_the_dead_do_nothing() {
    let mut rig = Rig::new(|_| ());
    rig.running(1, vec![]);
    let hash = rig.hash();
    rig.accept(1);
    rig.handshake(1, hash, 7);
    rig.tell(Event::Closed { tcp: TcpId(1), fault: None });
    let before = std::format!("{:?}", rig.session);
    let late = [
        Event::Closed { tcp: TcpId(1), fault: Some(IoFault::Reset) },
        Event::Received { tcp: TcpId(1), bytes: Bytes::from_static(b"late") },
        Event::Flushed { tcp: TcpId(1), bytes: 68 },
        Event::JobDone { job: JobId::new(99, 1), result: Ok(JobResult::Done) },
        Event::JobDone { job: JobId::new(1, 9_999), result: Ok(JobResult::Done) },
        Event::DialFailed { dial: DialId::new(1, 77), fault: IoFault::Refused },
        Event::DialFailed { dial: DialId::new(55, 77), fault: IoFault::Refused },
        Event::Datagrams { sock: SocketId(2), from: addr(REMOTE), segment: 16, bytes: Bytes::from_static(&[0; 40]) },
        Event::Datagrams { sock: SocketId(2), from: addr(REMOTE), segment: 0, bytes: Bytes::from_static(&[0; 40]) },
        Event::Datagrams { sock: SocketId(2), from: addr(REMOTE), segment: 3, bytes: Bytes::from_static(&[0; 40]) },
        Event::InterfacesChanged,
    ];
    for event in late {
        let done = rig.tell(event.clone());
        assert!(done.is_empty(), "{event:?}: {done:?}");
    }
    assert_eq!(std::format!("{:?}", rig.session), before);
}

#[test]
fn a_dial_that_nobody_waits_for_any_more_is_closed() {
    let mut rig = Rig::new(|_| ());
    let begun = rig.running(1, targets(1));
    let [dial] = dials(&begun)[..] else { panic!("{begun:?}") };
    let removed = rig.command(Command::Remove { torrent: TorrentId(0), files: RemoveFiles::Keep });
    assert!(removed.list.contains(&Action::CancelDial { dial }));
    rig.serve_disk(removed);
    assert_eq!(rig.session.torrents().count(), 0);
    assert_eq!(rig.session.shared().half_open, 0);
    let (tcp, local) = (TcpId(5), addr("192.0.2.1:1024"));
    let late = rig.tell(Event::Connected { dial, tcp, local, remote: addr(REMOTE) });
    assert_eq!(late.list, [Action::Close { tcp, flush: false }]);
    assert_eq!(rig.session.shared().half_open, 0);
}

#[test]
fn a_torrent_is_added_once_and_can_come_back_after_it_was_removed() {
    let mut rig = Rig::new(|_| ());
    rig.running(1, vec![]);
    let error = CommandError::Duplicate(TorrentId(0));
    assert_eq!(rig.add(1, vec![]).notices, [Notice::CommandFailed { command: CommandId(2), error }]);
    let removed = rig.command(Command::Remove { torrent: TorrentId(0), files: RemoveFiles::Keep });
    let removed = rig.serve_disk(removed);
    assert!(removed.notices.contains(&Notice::Removed { torrent: TorrentId(0) }));
    let again = rig.add(1, vec![]).notices;
    assert!(matches!(again[0], Notice::Added { torrent: TorrentId(1), .. }), "ids are not used twice: {again:?}");
}

#[test]
fn commands_that_cannot_be_done_say_why() {
    let mut rig = Rig::new(|config| config.session.max_torrents = 1);
    let failed = |actions: Actions| match &actions.notices[..] {
        [Notice::CommandFailed { error, .. }] => error.clone(),
        other => panic!("{other:?}"),
    };
    let torrent = TorrentId(3);
    assert_eq!(failed(rig.command(Command::Remove { torrent, files: RemoveFiles::Keep })), CommandError::NoSuchTorrent);
    assert_eq!(failed(rig.command(Command::AddPeers { torrent, peers: vec![] })), CommandError::NoSuchTorrent);
    rig.add(1, vec![]);
    let told = rig.command(Command::AddPeers { torrent: TorrentId(0), peers: vec![] }).notices;
    assert!(matches!(told[..], [Notice::CommandDone { .. }]), "what can be done is answered too: {told:?}");
    assert_eq!(failed(rig.add(2, vec![])), CommandError::Limit);
    rig.command(Command::Shutdown);
    assert_eq!(failed(rig.command(Command::Remove { torrent, files: RemoveFiles::Keep })), CommandError::Stopping);
}

#[test]
fn a_torrent_of_version_2_alone_is_refused() {
    let tree = encode_dict(|tree| {
        tree.dict("x", |file| {
            file.dict("", |leaf| _ = leaf.int("length", 100).bytes("pieces root", [1; 32]));
        });
    });
    let info = encode_dict(|info| {
        info.raw("file tree", &tree).int("meta version", 2).bytes("name", "x").int("piece length", 16_384);
    });
    let file = encode_dict(|file| _ = file.raw("info", &info));
    let mut rig = Rig::new(|_| ());
    let metainfo = Bytes::from(file);
    let done = rig.command(Command::Add(Box::new(AddTorrent::new(metainfo, RootId(0)))));
    assert_eq!(done.notices, [Notice::CommandFailed { command: CommandId(1), error: CommandError::V2Only }]);
}

#[test]
fn dials_keep_to_their_limits() {
    let mut rig = Rig::new(|config| {
        config.session.dials_per_second = 10;
        config.session.max_half_open = 25;
    });
    let mut under_way = dials(&rig.running(1, targets(100)));
    assert_eq!(under_way.len(), 10);
    assert!(dials(&rig.wait(Duration::from_millis(500))).is_empty());
    assert_eq!(rig.session.deadline(), Some(rig.now + Duration::from_millis(500)));
    under_way.extend(dials(&rig.wait(Duration::from_millis(500))));
    under_way.extend(dials(&rig.wait(Duration::from_secs(1))));
    assert_eq!(under_way.len(), 25, "no more at once");
    assert!(dials(&rig.wait(Duration::from_secs(5))).is_empty());
    let next = rig.tell(Event::DialFailed { dial: under_way[0], fault: IoFault::Refused });
    assert_eq!(dials(&next).len(), 1, "a place has become free");
}

#[test]
fn torrents_dial_in_turn() {
    let mut rig = Rig::new(|config| config.session.dials_per_second = 10);
    rig.running(1, targets(200));
    rig.running(2, targets(200));
    let mut by_owner = [0; 2];
    for _ in 0..4 {
        for dial in dials(&rig.wait(Duration::from_secs(1))) {
            by_owner[dial.owner() as usize - 1] += 1;
            rig.tell(Event::DialFailed { dial, fault: IoFault::Refused });
        }
    }
    assert_eq!(by_owner, [20, 20]);
}

#[test]
fn a_dial_that_comes_through_when_all_places_are_taken_is_closed() {
    let mut rig = Rig::new(|config| config.session.max_peers_per_torrent = 1);
    let begun = rig.running(1, targets(1));
    let [dial] = dials(&begun)[..] else { panic!("{begun:?}") };
    let hash = rig.hash();
    rig.accept(1);
    rig.handshake(1, hash, 7);
    assert_eq!(rig.session.shared().peers, 1);
    let (tcp, local) = (TcpId(2), addr("192.0.2.1:1024"));
    let late = rig.tell(Event::Connected { dial, tcp, local, remote: addr("198.51.0.0:6881") });
    assert_eq!(closes(&late), [tcp]);
    assert_eq!((rig.session.shared().peers, rig.session.shared().half_open), (1, 0));
}

#[test]
fn listening_begins_with_tcp_and_goes_on_with_udp() {
    let mut rig = Rig::new(|_| ());
    let (tcp, udp, any) = (SocketId(1), SocketId(2), addr("0.0.0.0:0"));
    let bind = rig.command(Command::Listen { tcp, udp: Some(udp), lsd: None, dht: false, addr: any, device: None });
    assert_eq!(bind.list, [Action::Bind { sock: tcp, kind: SocketKind::TcpListener, addr: any, device: None }]);
    let local = addr("0.0.0.0:4567");
    let bound = rig.tell(Event::Bound { sock: tcp, local });
    assert_eq!(bound.list, [Action::Bind { sock: udp, kind: SocketKind::Udp, addr: local, device: None }]);
    assert!(rig.tell(Event::Bound { sock: tcp, local }).is_empty(), "once is enough");
    assert_eq!(rig.session.shared().listen_port(), Some(4567));
    let fault = IoFault::AddressUnavailable;
    let failed = rig.tell(Event::BindFailed { sock: udp, fault });
    let error = CommandError::Bind(fault);
    assert_eq!(failed.notices, [Notice::CommandFailed { command: CommandId(1), error }]);
    assert_eq!(rig.session.shared().listen_port(), Some(4567), "TCP stays");
    assert_eq!(rig.session.shared().udp(), None);
    // What nobody asked for is given back.
    let stray = rig.tell(Event::Bound { sock: SocketId(9), local });
    assert_eq!(stray.list, [Action::Unbind { sock: SocketId(9) }]);
}

#[test]
fn a_listener_that_fails_can_be_tried_again() {
    let mut rig = Rig::new(|_| ());
    let listen =
        Command::Listen { tcp: SocketId(1), udp: None, lsd: None, dht: false, addr: addr("0.0.0.0:80"), device: None };
    rig.command(listen.clone());
    assert_eq!(rig.command(listen.clone()).notices.len(), 1, "the socket is taken");
    rig.tell(Event::BindFailed { sock: SocketId(1), fault: IoFault::Denied });
    assert_eq!(rig.command(listen).list.len(), 1);
}

#[test]
fn an_answer_by_udp_finds_its_torrent_by_sender_and_transaction() {
    let mut rig = Rig::new(|_| ());
    rig.command(Command::Listen {
        tcp: SocketId(1),
        udp: Some(SocketId(2)),
        lsd: None,
        dht: false,
        addr: addr("0.0.0.0:4567"),
        device: None,
    });
    rig.tell(Event::Bound { sock: SocketId(1), local: addr("0.0.0.0:4567") });
    rig.tell(Event::Bound { sock: SocketId(2), local: addr("0.0.0.0:4567") });
    let added = rig.command(Command::Add(Box::new(AddTorrent {
        extra_trackers: vec!["udp://198.51.100.9:80".into()],
        goal: SeedGoal::Forever,
        ..AddTorrent::new(metainfo(1), RootId(0))
    })));
    let done = rig.serve_disk(added);
    let asked = done.list.iter().find_map(|action| match action {
        Action::SendDatagrams { to, bytes, .. } => Some((*to, bytes.clone())),
        _ => None,
    });
    let (to, request) = asked.expect("it asks the tracker");
    // BEP 15, connect answer: action 0, the request's transaction id, a connection id.
    let mut answer = vec![0; 4];
    answer.extend_from_slice(&request[12..16]);
    answer.extend_from_slice(&[7; 8]);
    let datagram = |from, bytes: &[u8]| Event::Datagrams {
        sock: SocketId(2),
        from,
        segment: 16,
        bytes: Bytes::copy_from_slice(bytes),
    };
    assert!(rig.tell(datagram(addr("203.0.113.1:80"), &answer)).is_empty(), "somebody else");
    let mut wrong = answer.clone();
    wrong[4] ^= 1;
    assert!(rig.tell(datagram(to, &wrong)).is_empty(), "another transaction");
    // Among others in one buffer.
    let both = [wrong, answer].concat();
    let next = rig.tell(datagram(to, &both));
    assert!(next.list.iter().any(|action| matches!(action, Action::SendDatagrams { .. })), "it announces: {next:?}");
}

#[test]
fn shutting_down_an_empty_session_ends_at_once() {
    let mut rig = Rig::new(|_| ());
    let done = rig.command(Command::Shutdown);
    assert_eq!(done.notices, [Notice::Stopped]);
    assert_eq!(rig.session.deadline(), None);
    assert_eq!(closes(&rig.accept(1)), [TcpId(1)]);
}

#[test]
fn shutting_down_does_not_wait_for_a_disk_that_hangs() {
    let mut rig = Rig::new(|_| ());
    rig.add(1, vec![]);
    let asked = rig.command(Command::Shutdown);
    assert!(!asked.notices.contains(&Notice::Stopped));
    let limit = rig.session.config.session.shutdown_limit;
    assert_eq!(rig.session.deadline(), Some(rig.now + limit));
    let over = rig.wait(limit);
    assert_eq!(over.notices.last(), Some(&Notice::Stopped));
    let closed = over.list.iter().any(|action| matches!(action, Action::Start { work: Work::Release { .. }, .. }));
    assert!(closed, "files are closed all the same");
}

#[test]
fn time_never_runs_back() {
    let mut rig = Rig::new(|_| ());
    rig.tell(Event::Tick);
    let before = rig.session.now();
    let mut out = Actions::new();
    rig.session.handle(Time::ZERO, Event::Tick, &mut out);
    assert_eq!(rig.session.now(), before);
}

#[test]
fn a_view_shows_the_limits_of_the_torrent() {
    let mut rig = Rig::new(|config| config.rate.limits.download = Some(9_000));
    rig.running(1, vec![]);
    let limits = |rig: &Rig| rig.session.view(TorrentId(0)).unwrap().limits;
    assert_eq!(limits(&rig), RateLimits::default(), "those of the session are others");
    let (torrent, download, upload) = (Some(TorrentId(0)), Some(5_000), Some(7_000));
    rig.command(Command::SetLimits { torrent, download, upload });
    assert_eq!(limits(&rig), RateLimits { download, upload });
    rig.command(Command::SetLimits { torrent, download: None, upload: None });
    assert_eq!(limits(&rig), RateLimits::default());
}

/// Found by fuzzing: the moment to look for what may come back passed while all was being hashed anew, and the tick never ended.
#[test]
fn a_check_of_a_torrent_that_may_not_download_goes_past_its_next_look() {
    let mut rig = Rig::new(|_| {});
    let mut add = AddTorrent::new(metainfo(1), RootId(0));
    (add.seed_only, add.goal) = (true, SeedGoal::Forever);
    let added = rig.command(Command::Add(Box::new(add)));
    rig.serve_disk(added);
    let look = rig.session.deadline().expect("what is missing may come back");
    let check = rig.command(Command::Recheck { torrent: TorrentId(0) });
    // Its work ends late.
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().state, TorrentState::Checking);
    rig.wait(look.since(rig.now) * 2);
    rig.serve_disk(check);
    assert_ne!(rig.session.view(TorrentId(0)).unwrap().state, TorrentState::Checking);
    rig.wait(Duration::from_secs(1));
}
