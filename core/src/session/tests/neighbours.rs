//! Peers that others tell of: peer exchange (BEP 11), local discovery (BEP 14), and that private torrents (BEP 27) have neither.

use super::*;
use crate::border::{CloseReason, PeerFault, Source};
use crate::lsd::{GROUP_V4, GROUP_V6, LsdMessage};
use crate::wire::{
    ExtendedHandshake, Extension, Framer, HANDSHAKE_LENGTH, Handshake, Message, PexFlags, PexMessage, PexPeer, Reserved,
};
use bytes::BytesMut;

const TCP: SocketId = SocketId(1);
const UDP: SocketId = SocketId(2);
const LSD: SocketId = SocketId(3);

fn second() -> Duration {
    Duration::from_secs(1)
}

/// Adds a torrent, private or not, that runs.
fn run(rig: &mut Rig, private: bool) -> InfoHash {
    let info = encode_dict(|info| {
        info.int("length", 20_000).bytes("name", "x").int("piece length", 16_384).bytes("pieces", [1; 40]);
        if private {
            info.int("private", 1);
        }
    });
    let file = encode_dict(|file| _ = file.raw("info", &info));
    let add = AddTorrent { goal: SeedGoal::Forever, ..AddTorrent::new(file, RootId(0)) };
    let added = rig.command(Command::Add(Box::new(add)));
    rig.serve_disk(added);
    InfoHash(rig.hash())
}

fn listen(rig: &mut Rig, at: &str) -> Actions {
    rig.command(Command::Listen { tcp: TCP, udp: Some(UDP), lsd: Some(LSD), dht: false, addr: addr(at), device: None });
    rig.tell(Event::Bound { sock: TCP, local: addr(at) })
}

fn multicast(actions: &Actions) -> Vec<(SocketId, IpAddr, SocketAddr)> {
    let binds = actions.list.iter().filter_map(|action| match action {
        Action::Bind { sock, kind: SocketKind::Multicast { group }, addr, .. } => Some((*sock, *group, *addr)),
        _ => None,
    });
    binds.collect()
}

fn announced(actions: &Actions) -> Vec<(SocketId, SocketAddr, LsdMessage)> {
    let sent = actions.list.iter().filter_map(|action| match action {
        Action::SendDatagrams { sock, to, bytes, .. } => Some((*sock, *to, LsdMessage::parse(bytes).unwrap())),
        _ => None,
    });
    sent.collect()
}

fn neighbour(rig: &mut Rig, sock: SocketId, from: &str, hash: InfoHash) -> Actions {
    let message = LsdMessage { port: 6881, hashes: vec![InfoHash([9; 20]), hash, hash], cookie: Some("x".into()) };
    let bytes = Bytes::from(message.emit((GROUP_V4, 6771).into()));
    rig.tell(Event::Datagrams { sock, from: addr(from), segment: bytes.len() as u16, bytes })
}

fn dialled(actions: &Actions) -> Vec<SocketAddr> {
    let dials = actions.list.iter().filter_map(|action| match action {
        Action::Dial { to: Target::Addr(to), .. } => Some(*to),
        _ => None,
    });
    dials.collect()
}

#[test]
fn the_groups_are_joined_where_we_listen() {
    for (at, group, interface) in [
        ("0.0.0.0:4000", GROUP_V4, "0.0.0.0:6771"),
        ("192.168.0.5:4000", GROUP_V4, "192.168.0.5:6771"),
        ("[::]:4000", GROUP_V6, "[::]:6771"),
    ] {
        let mut rig = Rig::new(|_| ());
        assert_eq!(multicast(&listen(&mut rig, at)), [(LSD, group, addr(interface))]);
    }
    let mut rig = Rig::new(|_| ());
    assert_eq!(multicast(&listen(&mut rig, "127.0.0.1:4000")), [], "neighbours cannot reach us there");
    assert_eq!(multicast(&rig.tell(Event::InterfacesChanged)), []);
    let mut rig = Rig::new(|config| config.lsd.enabled = false);
    assert_eq!(multicast(&listen(&mut rig, "0.0.0.0:4000")), []);
}

#[test]
fn torrents_are_announced_to_neighbours_and_theirs_are_heard() {
    let mut rig = Rig::new(|_| ());
    listen(&mut rig, "192.168.0.5:4000");
    let hash = run(&mut rig, false);
    assert_eq!(announced(&rig.wait(second() * 2)), [], "there is no socket yet");
    let bound = rig.tell(Event::Bound { sock: LSD, local: addr("192.168.0.5:6771") });
    let [(LSD, to, message)] = &announced(&bound)[..] else { panic!("{bound:?}") };
    assert_eq!((*to, message.port, &message.hashes), ((GROUP_V4, 6771).into(), 4000, &vec![hash]));
    assert!(bound.notices.is_empty(), "nobody waits for it");

    assert_eq!(dialled(&neighbour(&mut rig, UDP, "192.168.0.7:6771", hash)), [], "only what came by the group");
    assert_eq!(dialled(&neighbour(&mut rig, LSD, "198.51.0.7:6771", hash)), [], "not in our network");
    assert_eq!(dialled(&neighbour(&mut rig, LSD, "192.168.0.7:6771", hash)), [addr("192.168.0.7:6881")]);
    assert_eq!(dialled(&neighbour(&mut rig, LSD, "192.168.0.7:6771", hash)), [], "once");
    let view = rig.session.view(TorrentId(0)).unwrap();
    assert_eq!((view.known_peers, view.sources.known(Source::Lsd), view.sources.connected(Source::Lsd)), (1, 1, 0));

    assert_eq!(announced(&rig.wait(second() * 299)), []);
    assert_eq!(announced(&rig.wait(second())).len(), 1, "after five minutes");
    rig.command(Command::Pause { torrent: TorrentId(0), graceful: false });
    assert_eq!(announced(&rig.wait(second() * 600)), []);
    assert_eq!(dialled(&neighbour(&mut rig, LSD, "192.168.0.8:6771", hash)), [], "paused");
}

#[test]
fn a_private_torrent_is_neither_announced_nor_heard_of() {
    let mut rig = Rig::new(|_| ());
    listen(&mut rig, "192.168.0.5:4000");
    rig.tell(Event::Bound { sock: LSD, local: addr("192.168.0.5:6771") });
    let hash = run(&mut rig, true);
    assert_eq!(announced(&rig.wait(second() * 600)), []);
    assert_eq!(dialled(&neighbour(&mut rig, LSD, "192.168.0.7:6771", hash)), []);
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().known_peers, 0);
}

#[test]
fn a_multicast_socket_is_no_condition_and_is_opened_anew_when_interfaces_change() {
    let mut rig = Rig::new(|_| ());
    let any = "0.0.0.0:4000";
    listen(&mut rig, any);
    rig.tell(Event::Bound { sock: UDP, local: addr(any) });
    assert!(rig.session.shared().is_listening(), "while it is being opened");
    let fault = IoFault::Unreachable;
    let failed = rig.tell(Event::BindFailed { sock: LSD, fault });
    assert_eq!(failed.notices, [Notice::DiscoveryFailed { sock: LSD, fault }]);
    let again = (LSD, GROUP_V4, addr("0.0.0.0:6771"));
    assert_eq!(rig.tell(Event::InterfacesChanged).list.len(), 1);
    assert_eq!(multicast(&rig.tell(Event::InterfacesChanged)), [], "it is being opened");
    rig.tell(Event::Bound { sock: LSD, local: addr("0.0.0.0:6771") });
    let changed = rig.tell(Event::InterfacesChanged);
    assert_eq!((&changed.list[0], multicast(&changed)), (&Action::Unbind { sock: LSD }, vec![again]));
    rig.tell(Event::Bound { sock: LSD, local: addr("0.0.0.0:6771") });
    assert!(rig.command(Command::Shutdown).list.contains(&Action::Unbind { sock: LSD }));
}

#[test]
fn names_of_sockets_are_used_once() {
    for (udp, lsd) in [(Some(TCP), None), (None, Some(TCP)), (Some(LSD), Some(LSD))] {
        let mut rig = Rig::new(|_| ());
        let listen = Command::Listen { tcp: TCP, udp, lsd, dht: false, addr: addr("0.0.0.0:0"), device: None };
        assert_eq!(rig.command(listen).notices.len(), 1);
    }
    let mut rig = Rig::new(|_| ());
    rig.command(Command::Listen {
        tcp: TCP,
        udp: Some(UDP),
        lsd: Some(LSD),
        dht: false,
        addr: addr("0.0.0.0:0"),
        device: None,
    });
    for tcp in [TCP, UDP, LSD] {
        let listen = Command::Listen { tcp, udp: None, lsd: None, dht: false, addr: addr("0.0.0.0:0"), device: None };
        assert_eq!(rig.command(listen).notices.len(), 1, "{tcp:?} will be");
    }
}

// Peer exchange.

/// A peer comes in from this address, and says these.
fn comes(rig: &mut Rig, tcp: u64, from: &str, messages: &[Message]) -> Actions {
    let tcp = TcpId(tcp);
    rig.tell(Event::Accepted { sock: TCP, tcp, local: addr("192.0.2.1:6881"), remote: addr(from) });
    let handshake =
        Handshake { reserved: Reserved::OURS, info_hash: InfoHash(rig.hash()), peer_id: PeerId([tcp.0 as u8; 20]) };
    let mut bytes = BytesMut::from(&handshake.emit()[..]);
    messages.iter().for_each(|message| message.emit(&mut bytes));
    rig.tell(Event::Received { tcp, bytes: bytes.freeze() })
}

fn says(rig: &mut Rig, tcp: u64, message: &Message) -> Actions {
    let mut bytes = BytesMut::new();
    message.emit(&mut bytes);
    rig.tell(Event::Received { tcp: TcpId(tcp), bytes: bytes.freeze() })
}

/// Takes peer exchange under number 7, and listens at this port.
fn introduces(port: u16) -> Message {
    let extensions = vec![(Extension::Pex, 7)];
    let handshake = ExtendedHandshake { extensions, port: Some(port), ..ExtendedHandshake::default() };
    Message::Extended { id: 0, payload: handshake.emit().into() }
}

/// The peer exchange in what is sent.
fn exchanged(actions: &Actions) -> Vec<(TcpId, PexMessage)> {
    let mut found = Vec::new();
    for action in &actions.list {
        let Action::Send { tcp, bytes } = action else { continue };
        let mut framer = Framer::new(1 << 20);
        framer.feed(bytes.clone(), 0);
        if bytes.starts_with(b"\x13BitTorrent") {
            framer.take_raw(HANDSHAKE_LENGTH);
        }
        while let Ok(Some(message)) = framer.next(&mut Vec::new()) {
            if let Message::Extended { id: 7, payload } = message {
                found.push((*tcp, PexMessage::parse(&payload).unwrap()));
            }
        }
    }
    found
}

fn contact(at: &str, flags: PexFlags) -> PexPeer {
    PexPeer { addr: addr(at), flags }
}

fn named(added: &[&str], dropped: &[&str]) -> Message {
    let added = added.iter().map(|at| contact(at, PexFlags::REACHABLE)).collect();
    let dropped = dropped.iter().map(|at| addr(at)).collect();
    Message::Extended { id: Extension::Pex.our_id(), payload: PexMessage { added, dropped }.emit().into() }
}

#[test]
fn peers_are_told_of_each_other_once_they_have_said_where_they_listen() {
    let mut rig = Rig::new(|_| ());
    run(&mut rig, false);
    comes(&mut rig, 1, "80.1.1.1:1000", &[introduces(6001)]);
    comes(&mut rig, 2, "80.1.2.1:1000", &[]);
    comes(&mut rig, 3, "80.1.3.1:1000", &[introduces(6003), Message::HaveAll]);
    let told = exchanged(&rig.wait(second() * 5));
    let expected = |at, flags| PexMessage { added: vec![contact(at, flags)], dropped: vec![] };
    assert_eq!(
        told,
        [
            (TcpId(1), expected("80.1.3.1:6003", PexFlags::SEED)),
            (TcpId(3), expected("80.1.1.1:6001", PexFlags::default())),
        ]
    );
    rig.tell(Event::Closed { tcp: TcpId(3), fault: None });
    assert_eq!(exchanged(&rig.wait(second() * 59)), []);
    let dropped = PexMessage { added: vec![], dropped: vec![addr("80.1.3.1:6003")] };
    assert_eq!(exchanged(&rig.wait(second())), [(TcpId(1), dropped)]);
}

#[test]
fn who_was_dialled_is_told_of_as_reachable() {
    let mut rig = Rig::new(|_| ());
    let info = metainfo(1);
    let peers = vec![Target::Addr(addr("80.1.9.1:7000"))];
    let add = AddTorrent { peers, goal: SeedGoal::Forever, ..AddTorrent::new(info, RootId(0)) };
    let added = rig.command(Command::Add(Box::new(add)));
    let begun = rig.serve_disk(added);
    let [dial] = dials(&begun)[..] else { panic!("{begun:?}") };
    let (tcp, remote) = (TcpId(9), addr("80.1.9.1:7000"));
    rig.tell(Event::Connected { dial, tcp, local: addr("192.0.2.1:1024"), remote });
    let handshake = Handshake { reserved: Reserved::OURS, info_hash: InfoHash(rig.hash()), peer_id: PeerId([9; 20]) };
    rig.tell(Event::Received { tcp, bytes: handshake.emit().to_vec().into() });
    says(&mut rig, 9, &Message::HaveAll);
    comes(&mut rig, 1, "80.1.1.1:1000", &[introduces(6001)]);
    let flags = PexFlags::SEED | PexFlags::REACHABLE;
    let message = PexMessage { added: vec![contact("80.1.9.1:7000", flags)], dropped: vec![] };
    assert_eq!(exchanged(&rig.wait(second() * 5)), [(TcpId(1), message)]);
}

#[test]
fn who_is_named_is_dialled_unless_the_policy_forbids_it() {
    let mut rig = Rig::new(|_| ());
    run(&mut rig, false);
    comes(&mut rig, 1, "80.1.1.1:1000", &[introduces(6001)]);
    let names = ["80.2.2.2:5000", "192.168.0.1:80", "80.2.3.3:25", "127.0.0.1:5000", "224.0.0.1:5000"];
    let heard = says(&mut rig, 1, &named(&names, &[]));
    assert_eq!(dialled(&heard), [addr("80.2.2.2:5000")]);
    let refused = Notice::PeersRefused { torrent: TorrentId(0), filtered: 0, refused: 4 };
    assert_eq!(heard.notices, [refused]);
    let view = rig.session.view(TorrentId(0)).unwrap();
    assert_eq!((view.sources.known(Source::Pex), view.sources.known(Source::Incoming)), (1, 1));
    assert_eq!(view.sources.connected(Source::Incoming), 1);
    comes(&mut rig, 2, "192.168.0.9:1000", &[introduces(6001)]);
    let heard = says(&mut rig, 2, &named(&["192.168.0.1:5000"], &[]));
    assert_eq!(dialled(&heard), [addr("192.168.0.1:5000")], "a neighbour knows neighbours");
}

#[test]
fn who_floods_is_closed_by_name() {
    let mut rig = Rig::new(|_| ());
    run(&mut rig, false);
    comes(&mut rig, 1, "80.1.1.1:1000", &[introduces(6001)]);
    for _ in 0..6 {
        assert!(says(&mut rig, 1, &named(&[], &[])).notices.is_empty());
    }
    let closed = |fault, at| {
        let reason = CloseReason::Fault(fault);
        Notice::PeerClosed { torrent: TorrentId(0), addr: addr(at), reason }
    };
    assert_eq!(says(&mut rig, 1, &named(&[], &[])).notices, [closed(PeerFault::PexFlood, "80.1.1.1:1000")]);
    comes(&mut rig, 2, "80.1.2.1:1000", &[introduces(6001)]);
    let garbage = Message::Extended { id: Extension::Pex.our_id(), payload: Bytes::from_static(b"i1e") };
    assert_eq!(says(&mut rig, 2, &garbage).notices, [closed(PeerFault::BadPex, "80.1.2.1:1000")]);
}

#[test]
fn a_private_torrent_exchanges_nothing_either_way() {
    let mut rig = Rig::new(|_| ());
    run(&mut rig, true);
    let first = comes(&mut rig, 1, "80.1.1.1:1000", &[introduces(6001)]);
    let text = std::format!("{first:?}");
    assert!(!text.contains("ut_pex") && text.contains("lt_donthave"), "{text}");
    comes(&mut rig, 3, "80.1.3.1:1000", &[introduces(6003)]);
    assert_eq!(dialled(&says(&mut rig, 1, &named(&["80.2.2.2:5000"], &[]))), []);
    assert_eq!(exchanged(&rig.wait(second() * 65)), []);
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().sources.known(Source::Pex), 0);
}
