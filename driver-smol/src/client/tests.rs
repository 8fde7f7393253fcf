//! The client around a toy machine that answers commands as a session would.

use super::{AddError, AddOptions, Client, ClientError, CommandFailure, StartError};
use crate::engine::testing::{PATIENCE, Reflex, Toy, parts};
use futures_lite::future::block_on;
use parcacik_core::border::*;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Answers as a session does: sockets are opened for `Listen`, `Add` succeeds unless the metainfo is empty.
fn answer(event: &Event, out: &mut Actions, stops: bool) {
    match event {
        Event::Command { id, command } => match command {
            Command::Listen { tcp, addr, device, .. } => out.list.push(Action::Bind {
                sock: *tcp,
                kind: SocketKind::TcpListener,
                addr: *addr,
                device: device.clone(),
            }),
            Command::Add(add) => out.notices.push(match add.source == TorrentSource::Metainfo(Default::default()) {
                true => failed(*id, CommandError::BadMetainfo("empty".into())),
                false => Notice::Added {
                    command: *id,
                    torrent: TorrentId(add.root.0),
                    hashes: InfoHashes::v1([1; 20]),
                    name: "toy".into(),
                },
            }),
            Command::Remove { torrent: TorrentId(9), .. } => out.notices.push(failed(*id, CommandError::NoSuchTorrent)),
            Command::Remove { torrent, .. } => out.notices.push(Notice::Removed { torrent: *torrent }),
            Command::AddPeers { torrent: TorrentId(9), .. } => {
                out.notices.push(failed(*id, CommandError::NoSuchTorrent));
            }
            Command::SetIpFilter { filter } if filter.len() > 1 => {
                out.notices.push(failed(*id, CommandError::Limit));
            }
            Command::SetLimits { torrent: None, download: Some(7), upload: None } => {
                out.notices.push(failed(*id, CommandError::ZeroLimit));
            }
            Command::Pause { torrent: TorrentId(9), .. } | Command::Move { torrent: TorrentId(9), .. } => {
                out.notices.push(failed(*id, CommandError::NotNow));
            }
            Command::Pause { .. } | Command::Resume { .. } | Command::Recheck { .. } | Command::Move { .. } => {
                out.notices.push(Notice::CommandDone { command: *id });
            }
            Command::SetGoal { .. } | Command::SetManaged { .. } | Command::SetPlace { .. } => {
                out.notices.push(Notice::CommandDone { command: *id });
            }
            Command::AddPeers { .. } | Command::SetLimits { .. } | Command::SetIpFilter { .. } => {
                out.notices.push(Notice::CommandDone { command: *id })
            }
            Command::Shutdown if stops => out.notices.push(Notice::Stopped),
            _ => {}
        },
        // A pair's sockets are named one after the other: TCP, UDP, local discovery; the first command is the first pair's.
        Event::Bound { sock, local } => {
            let command = CommandId(u64::from(sock.0.div_ceil(3)));
            out.notices.push(Notice::Listening { command, sock: *sock, local: *local });
            if sock.0 % 3 == 1 {
                let (sock, kind) = (SocketId(sock.0 + 1), SocketKind::Udp);
                out.list.push(Action::Bind { sock, kind, addr: *local, device: None });
            }
        }
        Event::BindFailed { sock, fault } => {
            let command = CommandId(u64::from(sock.0.div_ceil(3)));
            out.notices.push(failed(command, CommandError::Bind(*fault)));
        }
        _ => {}
    }
}

fn failed(command: CommandId, error: CommandError) -> Notice {
    Notice::CommandFailed { command, error }
}

fn start(listen: &[SocketAddr], stops: bool) -> Result<Client<Toy>, StartError> {
    let reflex: Reflex = Box::new(move |_, event, out| answer(event, out, stops));
    Client::start_parts(parts(reflex, None).0, listen, None, false, Duration::from_millis(100))
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn a_client_listens_on_tcp_and_udp_of_one_port() {
    let client = start(&[loopback(), "[::1]:0".parse().unwrap()], true).unwrap();
    let [v4, v6] = client.listening() else { panic!() };
    for listening in [v4, v6] {
        assert_ne!(listening.addr.port(), 0);
        TcpStream::connect(listening.addr).unwrap();
        UdpSocket::bind(listening.addr).unwrap_err();
    }
    assert!(v4.addr.is_ipv4() && v6.addr.is_ipv6());
    block_on(client.shutdown()).unwrap();
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let taken = TcpListener::bind(loopback()).unwrap();
    let taken = taken.local_addr().unwrap();
    match start(&[loopback(), taken], true) {
        Err(StartError::Listen { addr, error }) => {
            assert_eq!((addr, error), (taken, CommandError::Bind(IoFault::AddressUnavailable)));
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn torrents_are_added_refused_and_removed() {
    let client = start(&[], true).unwrap();
    block_on(async {
        let add = |metainfo: &'static [u8], dir: &str| client.add(AddOptions::new(metainfo, dir));
        assert_eq!(add(b"x", "/one").await.unwrap(), TorrentId(0));
        // A folder is opened once; another one gets another name.
        assert_eq!(add(b"x", "/one").await.unwrap(), TorrentId(0));
        assert_eq!(add(b"x", "/two").await.unwrap(), TorrentId(1));
        let refused = add(b"", "/one").await;
        assert!(matches!(refused, Err(AddError::Refused(CommandError::BadMetainfo(_)))), "{refused:?}");
        let folder = add(b"x", "/forbidden").await.unwrap_err();
        assert!(folder.to_string().contains("/forbidden"), "{folder}");

        client.remove(TorrentId(1), RemoveFiles::Keep).await.unwrap();
        let refused = client.remove(TorrentId(9), RemoveFiles::Delete).await;
        assert!(matches!(refused, Err(CommandFailure::Refused(CommandError::NoSuchTorrent))), "{refused:?}");
    });
}

#[test]
fn a_command_without_an_answer_of_its_own_is_waited_for() {
    let client = start(&[], true).unwrap();
    block_on(async {
        client.add_peers(TorrentId(1), Vec::new()).await.unwrap();
        let limits = RateLimits { download: Some(7), upload: None };
        client.set_limits(Some(TorrentId(1)), limits).await.unwrap();
        let refused = client.set_limits(None, limits).await;
        assert!(matches!(refused, Err(CommandFailure::Refused(CommandError::ZeroLimit))), "{refused:?}");
        let torrent = TorrentId(1);
        client.pause(torrent, true).await.unwrap();
        client.resume(torrent).await.unwrap();
        client.recheck(torrent).await.unwrap();
        client.set_goal(torrent, SeedGoal::Forever).await.unwrap();
        client.set_managed(torrent, false).await.unwrap();
        client.set_place(torrent, QueuePlace::Top).await.unwrap();
        let refused = client.pause(TorrentId(9), false).await;
        assert!(matches!(refused, Err(CommandFailure::Refused(CommandError::NotNow))), "{refused:?}");
        let folder = tempfile::tempdir().unwrap();
        client.move_to(torrent, folder.path()).await.unwrap();
        let refused = client.move_to(TorrentId(9), folder.path()).await;
        assert!(matches!(refused, Err(AddError::Refused(CommandError::NotNow))), "{refused:?}");
        let refused = client.add_peers(TorrentId(9), Vec::new()).await;
        assert!(matches!(refused, Err(CommandFailure::Refused(CommandError::NoSuchTorrent))), "{refused:?}");
        let mut filter = IpFilter::new();
        filter.block(loopback().ip(), loopback().ip());
        client.set_ip_filter(filter.clone().into()).await.unwrap();
        filter.block("::1".parse().unwrap(), "::1".parse().unwrap());
        let refused = client.set_ip_filter(filter.into()).await;
        assert!(matches!(refused, Err(CommandFailure::Refused(CommandError::Limit))), "{refused:?}");
    });
}

#[test]
fn notices_go_to_every_receiver_and_end_with_the_client() {
    let client = start(&[], true).unwrap();
    let mut receivers = [client.notices(), client.notices()];
    block_on(client.add(AddOptions::new(&b"x"[..], "/one"))).unwrap();
    block_on(client.shutdown()).unwrap();
    for receiver in &mut receivers {
        assert!(matches!(receiver.recv_blocking(), Ok(Notice::Added { .. })));
        assert_eq!(receiver.recv_blocking(), Ok(Notice::Stopped));
        assert_eq!(receiver.recv_blocking(), Err(ClientError::Stopped));
        assert_eq!(receiver.try_recv(), Some(Err(ClientError::Stopped)));
    }
}

#[test]
fn a_look_at_the_session_gives_what_it_saw() {
    let client = start(&[], true).unwrap();
    assert_eq!(block_on(client.with_session(|toy| toy.deadline)), Ok(None));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = block_on(client.with_session(|_| -> () { panic!("the caller's own fault") }));
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"the caller's own fault"));
    // It was not the session's.
    assert_eq!(block_on(client.with_session(|_| 7)), Ok(7));
}

#[test]
fn shutting_down_ends_in_time_whatever_the_session_does() {
    let client = start(&[loopback()], false).unwrap();
    let before = Instant::now();
    assert_eq!(block_on(client.shutdown()), Err(ClientError::TimedOut));
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(1_100) && took < PATIENCE, "{took:?}");
}

#[test]
fn dropping_a_client_stops_it_and_does_not_wait() {
    let client = start(&[loopback()], false).unwrap();
    let mut notices = client.notices();
    drop(client);
    assert_eq!(notices.recv_blocking(), Err(ClientError::Stopped));
}

#[test]
fn a_client_that_broke_says_so_to_everybody() {
    let reflex: Reflex = Box::new(|_, event, _| {
        if let Event::Command { command: Command::Add(_), .. } = event {
            panic!("broken on purpose")
        }
    });
    let client = Client::start_parts(parts(reflex, None).0, &[], None, false, Duration::ZERO).unwrap();
    let broken = ClientError::Broken("broken on purpose".into());
    let mut notices = client.notices();
    match block_on(client.add(AddOptions::new(&b"x"[..], "/one"))) {
        Err(AddError::Client(error)) => assert_eq!(error, broken),
        other => panic!("{other:?}"),
    }
    assert_eq!(notices.recv_blocking(), Err(broken.clone()));
    assert_eq!(block_on(client.with_session(|_| ())), Err(broken.clone()));
    assert_eq!(client.notices().recv_blocking(), Err(broken.clone()));
    assert_eq!(block_on(client.shutdown()), Err(broken));
}

/// Seeds come from the operating system: no two sessions have the same, and neither half is left as it was.
#[test]
fn seeds_are_drawn_anew_for_each_session() {
    let (one, other) = (super::draw_seeds().unwrap(), super::draw_seeds().unwrap());
    for bytes in [one.decision, one.secret, other.decision, other.secret] {
        assert!(bytes.iter().any(|byte| *byte != 0));
    }
    assert_ne!(one.decision, other.decision);
    assert_ne!(one.secret, other.secret);
    assert_ne!(one.decision, one.secret);
}
