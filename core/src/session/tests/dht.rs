//! The distributed hash table: nodes on our sockets, what they find for torrents, and that private ones (BEP 27) have no part in it.

use super::*;
use crate::border::Source;
use crate::dht::NodeId;
use crate::dht::krpc::{Body, Message as Krpc, Method};
use crate::dht::table::saved::Saved;
use crate::wire::{Framer, HANDSHAKE_LENGTH, Handshake, Message, Reserved};
use bytes::BytesMut;
use std::format;
use std::string::String;

const TCP: SocketId = SocketId(1);
const UDP: SocketId = SocketId(2);

/// Listens with a node; what was saved of it is given.
fn listen(rig: &mut Rig, at: &str, saved: Option<Bytes>) -> Actions {
    let local = addr(at);
    rig.command(Command::Listen { tcp: TCP, udp: Some(UDP), lsd: None, dht: true, addr: local, device: None });
    rig.tell(Event::Bound { sock: TCP, local });
    let bound = rig.tell(Event::Bound { sock: UDP, local });
    let loads = bound.list.iter().find_map(|action| match action {
        Action::Start { job, work: Work::LoadDht { v6 } } => Some((*job, *v6)),
        _ => None,
    });
    let Some((job, v6)) = loads else { panic!("{bound:?}") };
    assert_eq!(v6, local.is_ipv6());
    rig.tell(Event::JobDone { job, result: Ok(JobResult::Loaded(saved.into_iter().collect())) })
}

/// A torrent of one file; what else its top level has is up to `change`.
fn torrent(private: bool, change: impl Fn(&mut crate::bencode::DictEncoder<'_>)) -> Bytes {
    let info = encode_dict(|info| {
        info.int("length", 20_000).bytes("name", "x").int("piece length", 16_384).bytes("pieces", [1; 40]);
        if private {
            info.int("private", 1);
        }
    });
    let file = encode_dict(|file| {
        file.raw("info", &info);
        change(file);
    });
    file.into()
}

fn run(rig: &mut Rig, file: Bytes) -> InfoHash {
    let add = AddTorrent { goal: SeedGoal::Forever, ..AddTorrent::new(file, RootId(0)) };
    let added = rig.command(Command::Add(Box::new(add)));
    rig.serve_disk(added);
    InfoHash(rig.hash())
}

/// The queries in what is sent: to whom, and what.
fn asked(actions: &Actions) -> Vec<(SocketAddr, String)> {
    let mut found = Vec::new();
    for action in &actions.list {
        let Action::SendDatagrams { sock: UDP, to, bytes, .. } = action else { continue };
        let Ok(Krpc { body: Body::Query(query), .. }) = Krpc::parse(bytes) else { continue };
        let what = match query.method {
            Method::FindNode { .. } => "find_node".into(),
            Method::GetPeers { info_hash, no_seed, .. } => format!("get_peers {info_hash} no_seed {no_seed}"),
            Method::AnnouncePeer { info_hash, port, implied_port, seed, .. } => {
                format!("announce_peer {info_hash} port {port} implied {implied_port} seed {seed}")
            }
            other => format!("{other:?}"),
        };
        found.push((*to, what));
    }
    found
}

/// Sessions that reach each other's nodes, each in a network of its own.
struct Net {
    rigs: Vec<(SocketAddr, Rig)>,
    /// Every query that was sent: by whom, to whom, what.
    asked: Vec<(usize, SocketAddr, String)>,
    /// Everything that they told and did.
    told: Vec<(usize, Notice)>,
    dialled: Vec<(usize, SocketAddr)>,
}

impl Net {
    /// So many, of which all but the first begin with that.
    fn new(count: usize) -> Net {
        let mut net = Net { rigs: Vec::new(), asked: Vec::new(), told: Vec::new(), dialled: Vec::new() };
        for number in 0..count {
            let at = format!("80.{number}.1.1:4000");
            let mut rig = Rig::new(|_| ());
            rig.session = Session::new(Config::default(), Seeds::for_tests(number as u8 + 1)).unwrap();
            net.rigs.push((addr(&at), rig));
            let begun = listen(&mut net.rigs[number].1, &at, None);
            net.carry(number, begun);
            if number > 0 {
                let nodes = vec![Target::Addr(net.rigs[0].0)];
                let begun = net.rigs[number].1.command(Command::AddDhtNodes { nodes });
                net.carry(number, begun);
            }
        }
        net
    }

    /// Delivers at once what a session sends, and what comes of it.
    fn carry(&mut self, from: usize, actions: Actions) {
        let mut todo = VecDeque::from([(from, actions)]);
        while let Some((from, actions)) = todo.pop_front() {
            self.asked.extend(asked(&actions).into_iter().map(|(to, what)| (from, to, what)));
            let Actions { list, notices, .. } = actions;
            self.told.extend(notices.into_iter().map(|notice| (from, notice)));
            for action in list {
                match action {
                    Action::Dial { to: Target::Addr(to), .. } => self.dialled.push((from, to)),
                    Action::SendDatagrams { to, bytes, .. } => {
                        let back = self.rigs[from].0;
                        let Some(other) = self.rigs.iter().position(|(at, _)| *at == to) else { continue };
                        let segment = bytes.len() as u16;
                        let event = Event::Datagrams { sock: UDP, from: back, segment, bytes };
                        todo.push_back((other, self.rigs[other].1.tell(event)));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Lets so much time go by, in steps of a tenth of a second.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            for number in 0..self.rigs.len() {
                let rig = &mut self.rigs[number].1;
                rig.now = rig.now + Duration::from_millis(100);
                let ticked = rig.tell(Event::Tick);
                self.carry(number, ticked);
            }
        }
    }

    fn whole(&mut self, number: usize, file: Bytes) -> InfoHash {
        self.rigs[number].1.disk_has_all = true;
        let add = AddTorrent { goal: SeedGoal::Forever, ..AddTorrent::new(file, RootId(0)) };
        let added = self.rigs[number].1.command(Command::Add(Box::new(add)));
        let begun = self.rigs[number].1.serve_disk(added);
        self.carry(number, begun);
        InfoHash(self.rigs[number].1.hash())
    }

    fn said(&self, number: usize, word: &str) -> Vec<&str> {
        let by = self.asked.iter().filter(|(from, _, what)| *from == number && what.starts_with(word));
        by.map(|(_, _, what)| &**what).collect()
    }
}

#[test]
fn a_magnet_finds_a_seed_by_the_dht_alone() {
    let mut net = Net::new(4);
    let hash = net.whole(1, torrent(false, |_| ()));
    net.wait(3);
    let announced = format!("announce_peer {hash} port 4000 implied false seed true");
    assert!(!net.said(1, "announce").is_empty() && net.said(1, "announce").iter().all(|said| *said == announced));
    assert!(net.said(1, "get_peers").iter().all(|said| said.ends_with("no_seed true")), "a seed wants no seeds");

    let link = format!("magnet:?xt=urn:btih:{hash}");
    let add = AddTorrent { goal: SeedGoal::Forever, ..AddTorrent::magnet(link, RootId(0)) };
    let added = net.rigs[2].1.command(Command::Add(Box::new(add)));
    let begun = net.rigs[2].1.serve_disk(added);
    net.carry(2, begun);
    let seed = net.rigs[1].0;
    assert!(net.dialled.contains(&(2, seed)), "found within the event: nothing takes time here");
    let view = net.rigs[2].1.session.view(TorrentId(0)).unwrap();
    assert_eq!((view.sources.known(Source::Dht), view.known_peers), (1, 1));
    net.wait(60);
    assert_eq!(net.said(2, "announce"), [""; 0], "it may be a private one");
    assert!(net.told.iter().any(|(who, notice)| *who == 2 && matches!(notice, Notice::DhtReady { sock: UDP, .. })));
}

#[test]
fn a_download_without_anybody_looks_again_within_a_minute_and_a_seed_after_a_quarter_of_an_hour() {
    let mut net = Net::new(3);
    let file = torrent(false, |_| ());
    let add = AddTorrent { goal: SeedGoal::Forever, ..AddTorrent::new(file.clone(), RootId(0)) };
    let added = net.rigs[2].1.command(Command::Add(Box::new(add)));
    let begun = net.rigs[2].1.serve_disk(added);
    net.carry(2, begun);
    net.whole(1, file);
    net.wait(5);
    let before = [1, 2].map(|who| net.said(who, "get_peers").len());
    assert!(before.iter().all(|count| *count > 0));
    net.wait(60);
    let after = [1, 2].map(|who| net.said(who, "get_peers").len());
    assert!(after[1] > before[1] && after[0] == before[0], "{before:?} {after:?}");
    net.wait(845);
    assert!(net.said(1, "get_peers").len() > before[0]);
}

#[test]
fn a_private_torrent_has_no_part_in_it() {
    let mut net = Net::new(3);
    let hash = net.whole(
        1,
        torrent(true, |file| {
            file.list("nodes", |list| {
                list.list(|node| _ = node.bytes("80.2.1.1").int(4000));
            });
        }),
    );
    net.wait(2000);
    let about = |what: &str| what.contains(&format!("{hash}"));
    assert!(net.asked.iter().all(|(_, _, what)| !about(what)), "{:?}", net.asked);
    // Whoever asks where peers are does not hear of us.
    let link = format!("magnet:?xt=urn:btih:{hash}");
    let added = net.rigs[2].1.command(Command::Add(Box::new(AddTorrent::magnet(link, RootId(0)))));
    let begun = net.rigs[2].1.serve_disk(added);
    net.carry(2, begun);
    net.wait(30);
    assert_eq!(net.dialled, []);
}

#[test]
fn a_paused_torrent_is_not_looked_for() {
    let mut net = Net::new(3);
    net.whole(1, torrent(false, |_| ()));
    net.wait(5);
    let paused = net.rigs[1].1.command(Command::Pause { torrent: TorrentId(0), graceful: false });
    net.carry(1, paused);
    let before = net.said(1, "get_peers").len();
    net.wait(2000);
    assert_eq!(net.said(1, "get_peers").len(), before);
}

/// A peer comes in that can do this, and says these. What is answered.
fn comes(rig: &mut Rig, tcp: u64, from: &str, reserved: Reserved, messages: &[Message]) -> Actions {
    let tcp = TcpId(tcp);
    rig.tell(Event::Accepted { sock: TCP, tcp, local: addr("192.0.2.1:6881"), remote: addr(from) });
    let handshake = Handshake { reserved, info_hash: InfoHash(rig.hash()), peer_id: PeerId([tcp.0 as u8; 20]) };
    let mut bytes = BytesMut::from(&handshake.emit()[..]);
    messages.iter().for_each(|message| message.emit(&mut bytes));
    rig.tell(Event::Received { tcp, bytes: bytes.freeze() })
}

/// What we say that we can do, and the ports that we tell.
fn greeting(actions: &Actions) -> (Reserved, Vec<u16>) {
    let (mut reserved, mut ports, mut sent) = (None, Vec::new(), BytesMut::new());
    for action in &actions.list {
        let Action::Send { bytes, .. } = action else { continue };
        sent.extend_from_slice(bytes);
    }
    let mut framer = Framer::new(1 << 20);
    framer.feed(sent.clone().freeze(), 0);
    if let Ok(Some(handshake)) = Handshake::parse(&sent) {
        reserved = Some(handshake.reserved);
        framer.take_raw(HANDSHAKE_LENGTH);
    }
    while let Ok(Some(message)) = framer.next(&mut Vec::new()) {
        if let Message::Port(port) = message {
            ports.push(port);
        }
    }
    (reserved.expect("a handshake"), ports)
}

#[test]
fn peers_that_have_a_node_are_told_of_ours_and_theirs_is_asked_once() {
    let both = Reserved::OURS.with_dht();
    for (private, reserved, ours, told, asks) in [
        (false, both, both, vec![4000], true),
        (false, Reserved::OURS, both, vec![], true),
        (true, both, Reserved::OURS, vec![], false),
    ] {
        let mut rig = Rig::new(|_| ());
        listen(&mut rig, "80.9.1.1:4000", None);
        run(&mut rig, torrent(private, |_| ()));
        let came = comes(&mut rig, 1, "80.1.1.1:1000", reserved, &[Message::HaveNone, Message::Port(7001)]);
        assert_eq!(greeting(&came), (ours, told));
        let expected = [(addr("80.1.1.1:7001"), "find_node".into())];
        assert_eq!(asked(&came), if asks { &expected[..] } else { &[] });
        let mut again = BytesMut::new();
        Message::Port(7002).emit(&mut again);
        assert_eq!(asked(&rig.tell(Event::Received { tcp: TcpId(1), bytes: again.freeze() })), []);
    }
    // Without a node of ours, all is as ever.
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "80.9.1.1:4000");
    run(&mut rig, torrent(false, |_| ()));
    let came = comes(&mut rig, 1, "80.1.1.1:1000", both, &[Message::HaveNone, Message::Port(7001)]);
    assert_eq!((greeting(&came), asked(&came)), ((Reserved::OURS, vec![]), vec![]));
}

#[test]
fn a_peer_of_the_other_family_is_not_told_of_a_node_that_it_cannot_reach() {
    let mut rig = Rig::new(|_| ());
    listen(&mut rig, "80.9.1.1:4000", None);
    run(&mut rig, torrent(false, |_| ()));
    let came =
        comes(&mut rig, 1, "[2001:4::1]:1000", Reserved::OURS.with_dht(), &[Message::HaveNone, Message::Port(7)]);
    assert_eq!((greeting(&came), asked(&came)), ((Reserved::OURS, vec![]), vec![]));
}

#[test]
fn nodes_of_a_torrent_file_are_asked_and_only_where_a_torrent_may_lead() {
    let mut rig = Rig::new(|_| ());
    let nodes = |file: &mut crate::bencode::DictEncoder<'_>| {
        file.list("nodes", |list| {
            for (host, port) in [("80.2.1.1", 4000), ("80.2.1.1", 22), ("224.0.0.1", 4000), ("node.example", 4001)] {
                list.list(|node| _ = node.bytes(host).int(port));
            }
        });
    };
    let add = AddTorrent { goal: SeedGoal::Forever, ..AddTorrent::new(torrent(false, nodes), RootId(0)) };
    let added = rig.command(Command::Add(Box::new(add)));
    assert_eq!(asked(&added), [], "there is no node yet");
    let begun = listen(&mut rig, "80.9.1.1:4000", None);
    assert_eq!(asked(&begun), [(addr("80.2.1.1:4000"), "find_node".into())]);
    let name = begun.list.iter().find_map(|action| match action {
        Action::Start { job, work: Work::Resolve { host } } => Some((*job, host.clone())),
        _ => None,
    });
    let Some((job, host)) = name else { panic!("{begun:?}") };
    assert_eq!(host, "node.example");
    let result = Ok(JobResult::Resolved(vec![addr("80.3.1.1:1").ip()]));
    let resolved = rig.tell(Event::JobDone { job, result });
    assert_eq!(asked(&resolved), [(addr("80.3.1.1:4001"), "find_node".into())]);
}

#[test]
fn what_it_was_is_saved_at_the_end_and_comes_back() {
    let mut net = Net::new(3);
    net.wait(3);
    let id = net.rigs[1].1.session.dht_nodes().next().unwrap().1.id();
    let rig = &mut net.rigs[1].1;
    let stopping = rig.command(Command::Shutdown);
    let saves: Vec<_> = stopping
        .list
        .iter()
        .filter_map(|action| match action {
            Action::Start { job, work: Work::SaveDht { v6: false, bytes } } => Some((*job, bytes.clone())),
            _ => None,
        })
        .collect();
    let [(job, bytes)] = &saves[..] else { panic!("{stopping:?}") };
    assert!(!stopping.notices.contains(&Notice::Stopped), "it waits for that");
    let saved = Saved::parse(bytes, 300).unwrap();
    assert_eq!((saved.id, saved.nodes.len()), (id, 2));
    let query = Krpc::query(b"aa", NodeId([1; 20]), Method::Ping).encode();
    let (segment, bytes_of) = (query.len() as u16, Bytes::from(query));
    let from = addr("80.0.1.1:4000");
    let late = rig.tell(Event::Datagrams { sock: UDP, from, segment, bytes: bytes_of });
    assert!(late.list.is_empty(), "it answers nobody any more");
    let ended = rig.tell(Event::JobDone { job: *job, result: Ok(JobResult::Done) });
    assert!(ended.notices.contains(&Notice::Stopped));

    let mut rig = Rig::new(|_| ());
    let begun = listen(&mut rig, "80.1.1.1:4000", Some(bytes.clone()));
    assert_eq!(rig.session.dht_nodes().next().unwrap().1.id(), id);
    let mut asked: Vec<SocketAddr> = asked(&begun).into_iter().map(|(to, _)| to).collect();
    asked.sort();
    assert_eq!(asked, [net.rigs[0].0, net.rigs[2].0]);
    let mut damaged = bytes.to_vec();
    damaged[20] ^= 1;
    let mut rig = Rig::new(|_| ());
    listen(&mut rig, "80.1.1.1:4000", Some(damaged.into()));
    assert_ne!(rig.session.dht_nodes().next().unwrap().1.id(), id, "what is damaged is not believed");
}

#[test]
fn that_nobody_is_there_is_told_once() {
    let mut rig = Rig::new(|_| ());
    listen(&mut rig, "80.1.1.1:4000", None);
    rig.command(Command::AddDhtNodes { nodes: vec![Target::Addr(addr("80.9.9.9:4000"))] });
    let mut told = Vec::new();
    for _ in 0..1200 {
        told.extend(rig.wait(Duration::from_secs(1)).notices);
    }
    let retry = Duration::from_secs(10);
    assert_eq!(told, [Notice::DhtUnreachable { sock: UDP, v6: false, retry }]);
}

#[test]
fn a_socket_has_a_node_only_when_it_was_asked_for() {
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "80.9.1.1:4000");
    let query = Bytes::from(Krpc::query(b"aa", NodeId([1; 20]), Method::Ping).encode());
    let (from, segment) = (addr("80.0.1.1:4000"), query.len() as u16);
    assert!(rig.tell(Event::Datagrams { sock: UDP, from, segment, bytes: query.clone() }).list.is_empty());
    assert_eq!(rig.session.dht_nodes().count(), 0);
    let mut rig = Rig::new(|_| ());
    listen(&mut rig, "80.9.1.1:4000", None);
    // Two datagrams at once: a tracker's that nobody waits for, and a query.
    let twice = Bytes::from([&vec![0; query.len()][..], &query[..]].concat());
    let answered = rig.tell(Event::Datagrams { sock: UDP, from, segment, bytes: twice });
    let answers =
        answered.list.iter().filter(|action| matches!(action, Action::SendDatagrams { to, .. } if *to == from));
    assert!(answers.count() >= 1);
}

#[test]
fn thousands_of_torrents_do_not_look_up_at_once() {
    let mut rig = Rig::new(|config| {
        config.queue.max_seeds = Some(5000);
        config.queue.max_active = Some(5000);
        config.queue.max_downloads = Some(5000);
        config.queue.start_spacing = Duration::ZERO;
    });
    listen(&mut rig, "80.9.1.1:4000", None);
    for number in 0..300u32 {
        let info = encode_dict(|info| {
            info.int("length", 20_000).bytes("name", format!("{number}")).int("piece length", 16_384);
            info.bytes("pieces", [1; 40]);
        });
        let file = encode_dict(|file| _ = file.raw("info", &info));
        let added = rig.command(Command::Add(Box::new(AddTorrent::new(file, RootId(0)))));
        rig.serve_disk(added);
    }
    // Somebody asks, and answers what it is asked: it is known from now on.
    let friend = addr("80.0.1.1:4000");
    let mut first = Some(rig.command(Command::AddDhtNodes { nodes: vec![Target::Addr(friend)] }));
    let mut looked = Vec::new();
    for _ in 0..100 {
        let mut todo: VecDeque<Actions> = first.take().into_iter().collect();
        todo.push_back(rig.wait(Duration::from_millis(100)));
        while let Some(actions) = todo.pop_front() {
            for action in &actions.list {
                let Action::SendDatagrams { to, bytes, .. } = action else { continue };
                let Ok(Krpc { transaction, body: Body::Query(query), .. }) = Krpc::parse(bytes) else { continue };
                assert_eq!(*to, friend);
                if let Method::GetPeers { info_hash, .. } = query.method {
                    looked.push((rig.now, info_hash));
                }
                let response = crate::dht::krpc::Response {
                    nodes: Some(vec![]),
                    ..crate::dht::krpc::Response::new(NodeId([9; 20]))
                };
                let answer = Bytes::from(Krpc::response(transaction, response).encode());
                let segment = answer.len() as u16;
                todo.push_back(rig.tell(Event::Datagrams { sock: UDP, from: friend, segment, bytes: answer }));
            }
        }
    }
    let hashes: BTreeSet<InfoHash> = looked.iter().map(|(_, hash)| *hash).collect();
    assert!((36..=44).contains(&hashes.len()), "four a second: {}", hashes.len());
}
