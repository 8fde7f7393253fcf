//! Sockets on loopback, under an engine with a toy machine.

use super::pool::{LARGE, Pool, SMALL};
use super::tcp::LINGER;
use crate::engine::testing::{PATIENCE, Rig};
use bytes::Bytes;
use parcacik_core::border::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const LISTENER: u32 = 1;

/// Bytes of which no two places look alike.
fn pattern(length: usize) -> Bytes {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<u8>>().into()
}

fn send(tcp: TcpId, bytes: Bytes) -> Action {
    Action::Send { tcp, bytes }
}

fn grant(tcp: TcpId, bytes: u32) -> Action {
    Action::Grant { tcp, bytes }
}

fn close(tcp: TcpId, flush: bool) -> Action {
    Action::Close { tcp, flush }
}

fn dial(dial: u64, to: SocketAddr, from: Option<u32>) -> Action {
    Action::Dial { dial: DialId(dial), to: Target::Addr(to), from: from.map(SocketId), via: Route::Direct }
}

/// A stream into the engine from outside.
fn enter(rig: &Rig) -> (TcpId, TcpStream) {
    let addr = rig.bind(LISTENER, SocketKind::TcpListener, "127.0.0.1:0");
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let Event::Accepted { sock: SocketId(LISTENER), tcp, local, remote } = rig.next() else { panic!() };
    assert_eq!((local, remote), (addr, stream.local_addr().unwrap()));
    (tcp, stream)
}

/// A machine that sends back whatever comes in, and reads more when it has left.
fn echo(event: &Event, out: &mut Actions) {
    match event {
        Event::Accepted { tcp, .. } => out.list.push(grant(*tcp, 100_000)),
        Event::Received { tcp, bytes } => out.list.push(send(*tcp, bytes.clone())),
        Event::Flushed { tcp, bytes } => out.list.push(grant(*tcp, u32::try_from(*bytes).unwrap())),
        _ => {}
    }
}

#[test]
fn what_comes_in_can_go_out_again() {
    let rig = Rig::with(|_, event, out| echo(event, out));
    let (_, mut stream) = enter(&rig);
    let sent = pattern(3 << 20);
    let writer = std::thread::spawn({
        let (mut stream, sent) = (stream.try_clone().unwrap(), sent.clone());
        move || stream.write_all(&sent).unwrap()
    });
    let mut back = vec![0; sent.len()];
    stream.read_exact(&mut back).unwrap();
    writer.join().unwrap();
    assert!(back == sent, "what came back is not what was sent");
}

#[test]
fn nothing_is_read_without_credit_and_no_more_than_it_allows() {
    let rig = Rig::new();
    let (tcp, mut stream) = enter(&rig);
    let sent = pattern(200_000);
    stream.write_all(&sent[..100_000]).unwrap();
    let mut got = Vec::new();
    for credit in [1usize, 10, 1_000, 98_989] {
        rig.act([grant(tcp, credit as u32)]);
        let mut left = credit;
        // Whatever is read beyond the credit would come here, and be too much.
        while left > 0 {
            let Event::Received { bytes, .. } = rig.next() else { panic!() };
            assert!(!bytes.is_empty());
            left = left.checked_sub(bytes.len()).expect("more than was allowed");
            got.extend_from_slice(&bytes);
        }
    }
    assert!(got == sent[..100_000]);
    // Without credit even the end goes unseen, so there is no event left.
    drop(stream);
    assert_eq!(rig.stop(), []);
}

#[test]
fn a_peer_that_is_not_read_is_held_back() {
    let rig = Rig::new();
    let (tcp, mut stream) = enter(&rig);
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    // No more than the kernel's buffers take it.
    let block = pattern(1 << 20);
    let mut sent = 0usize;
    let stuck = loop {
        match stream.write(&block) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
        assert!(sent < 256 << 20, "nothing holds it back");
    };
    assert_eq!(stuck.kind(), ErrorKind::WouldBlock);
    // All of it comes once it may.
    rig.act([grant(tcp, u32::MAX)]);
    let mut left = sent;
    while left > 0 {
        let Event::Received { bytes, .. } = rig.next() else { panic!() };
        left -= bytes.len();
    }
}

#[test]
fn flushed_adds_up_to_what_was_sent() {
    let rig = Rig::new();
    let (tcp, mut stream) = enter(&rig);
    let parts: Vec<Bytes> = (1..=500).map(|n| pattern(n * 7)).collect();
    let whole: Vec<u8> = parts.concat();
    // Blocks of content and other bytes keep their order.
    rig.act(parts.iter().enumerate().map(|(n, bytes)| match n % 2 {
        0 => send(tcp, bytes.clone()),
        _ => Action::SendContent { tcp, torrent: TorrentId(0), piece: 0, begin: 0, bytes: bytes.clone() },
    }));
    let mut got = vec![0; whole.len()];
    stream.read_exact(&mut got).unwrap();
    assert!(got == whole);
    let mut flushed = 0;
    while flushed < whole.len() as u64 {
        let Event::Flushed { bytes, .. } = rig.next() else { panic!() };
        flushed += bytes;
    }
    assert_eq!(flushed, whole.len() as u64);
}

#[test]
fn an_orderly_end_and_an_abrupt_one_are_told_apart() {
    let rig = Rig::new();
    let (tcp, stream) = enter(&rig);
    rig.act([grant(tcp, 100)]);
    drop(stream);
    assert_eq!(rig.next(), Event::Closed { tcp, fault: None });

    let addr = rig.bind(2, SocketKind::TcpListener, "127.0.0.1:0");
    let stream = TcpStream::connect(addr).unwrap();
    let Event::Accepted { tcp, .. } = rig.next() else { panic!() };
    rig.act([grant(tcp, 100)]);
    // A linger time of nothing makes closing a reset.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    assert_eq!(rig.next(), Event::Closed { tcp, fault: Some(IoFault::Reset) });
}

#[test]
fn closing_with_a_flush_sends_what_is_queued() {
    let rig = Rig::new();
    let (tcp, mut stream) = enter(&rig);
    // Bytes that nobody reads any more would make a plain close destroy what is on its way.
    stream.write_all(&pattern(100_000)).unwrap();
    let sent = pattern(8 << 20);
    rig.act([send(tcp, sent.clone()), close(tcp, true)]);
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert!(got == sent);
    // Nothing is told of a stream that the core has closed, not even that its bytes left.
    assert_eq!(rig.stop(), []);
}

#[test]
fn closing_with_a_flush_does_not_wait_for_ever() {
    let rig = Rig::new();
    let (tcp, stream) = enter(&rig);
    // Far more than the kernel takes, to somebody who never reads.
    rig.act((0..64).map(|_| send(tcp, pattern(1 << 20))).chain([close(tcp, true)]));
    let before = Instant::now();
    rig.stop();
    assert!(before.elapsed() < LINGER * 2 + Duration::from_secs(5), "{:?}", before.elapsed());
    drop(stream);
}

#[test]
fn closing_at_once_drops_what_is_queued() {
    let rig = Rig::new();
    let (tcp, mut stream) = enter(&rig);
    // More than the kernel takes.
    rig.act((0..64).map(|_| send(tcp, pattern(1 << 20))).chain([close(tcp, false)]));
    let mut got = Vec::new();
    // Reset or ended, as it comes.
    let _ = stream.read_to_end(&mut got);
    assert!(got.len() < 64 << 20);
    assert!(rig.stop().iter().all(|event| matches!(event, Event::Flushed { .. })));
}

#[test]
fn a_stream_that_is_closed_from_within_its_own_event_is_silent_at_once() {
    let rig = Rig::with(|_, event, out| {
        if let Event::Received { tcp, .. } = event {
            out.list.push(close(*tcp, false));
        }
    });
    let (tcp, mut stream) = enter(&rig);
    stream.write_all(&pattern(100_000)).unwrap();
    rig.act([grant(tcp, 1), grant(tcp, u32::MAX)]);
    let Event::Received { .. } = rig.next() else { panic!() };
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(rig.stop(), []);
}

#[test]
fn actions_on_streams_that_are_gone_do_nothing() {
    let rig = Rig::new();
    let tcp = TcpId(99);
    rig.act([send(tcp, pattern(1)), grant(tcp, 1), close(tcp, true), close(tcp, false)]);
    rig.act([Action::Unbind { sock: SocketId(99) }, Action::CancelDial { dial: DialId(99) }]);
    assert_eq!(rig.stop(), []);
}

#[test]
fn a_dial_leaves_from_the_socket_that_it_is_told() {
    let rig = Rig::new();
    // All of 127/8 is loopback on Linux.
    rig.bind(1, SocketKind::Udp, "127.0.0.2:0");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.act([dial(7, listener.local_addr().unwrap(), Some(1))]);
    let (_, from) = listener.accept().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.2");
    let Event::Connected { dial: DialId(7), local, remote, .. } = rig.next() else { panic!() };
    assert_eq!((local, remote), (from, listener.local_addr().unwrap()));
}

#[test]
fn dials_that_come_to_nothing_say_why() {
    let rig = Rig::new();
    // A port that was just given back: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    rig.act([dial(1, nobody, None)]);
    assert_eq!(rig.next(), Event::DialFailed { dial: DialId(1), fault: IoFault::Refused });
    rig.act([dial(2, nobody, Some(55))]);
    assert_eq!(rig.next(), Event::DialFailed { dial: DialId(2), fault: IoFault::AddressUnavailable });
    // From an IPv4 address to an IPv6 one.
    rig.bind(1, SocketKind::Udp, "127.0.0.1:0");
    rig.act([dial(3, "[::1]:9".parse().unwrap(), Some(1))]);
    assert_eq!(rig.next(), Event::DialFailed { dial: DialId(3), fault: IoFault::AddressUnavailable });
    rig.act([dial(4, nobody, None), Action::CancelDial { dial: DialId(4) }]);
    assert_eq!(rig.next(), Event::DialFailed { dial: DialId(4), fault: IoFault::Cancelled });
    assert_eq!(rig.stop(), []);
}

#[test]
fn a_dial_to_a_name_looks_it_up() {
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = Target::Host { name: "localhost".into(), port };
    rig.act([Action::Dial { dial: DialId(1), to, from: None, via: Route::Direct }]);
    let Event::Connected { remote, .. } = rig.next() else { panic!() };
    assert_eq!(remote, listener.local_addr().unwrap());
}

#[test]
fn binding_fails_with_a_reason_and_an_unbound_address_is_free() {
    let rig = Rig::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let bind = |addr, device: Option<&str>| Action::Bind {
        sock: SocketId(5),
        kind: SocketKind::TcpListener,
        addr,
        device: device.map(str::to_owned),
    };
    rig.act([bind(addr, None)]);
    assert_eq!(rig.next(), Event::BindFailed { sock: SocketId(5), fault: IoFault::AddressUnavailable });
    rig.act([bind("127.0.0.1:0".parse().unwrap(), Some("no-such-device"))]);
    assert!(matches!(rig.next(), Event::BindFailed { .. }));

    let addr = rig.bind(6, SocketKind::TcpListener, "127.0.0.1:0");
    TcpStream::connect(addr).unwrap();
    let Event::Accepted { .. } = rig.next() else { panic!() };
    rig.act([Action::Unbind { sock: SocketId(6) }]);
    rig.stop();
    let refused = TcpStream::connect(addr).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn datagrams_go_out_in_segments_and_come_in_whole() {
    let rig = Rig::new();
    for (family, loopback) in [(10, "127.0.0.1:0"), (20, "[::1]:0")] {
        let from = rig.bind(family, SocketKind::Udp, loopback);
        let to = rig.bind(family + 1, SocketKind::Udp, loopback);
        for dont_fragment in [false, true] {
            let bytes = pattern(2_500);
            let sock = SocketId(family);
            rig.act([Action::SendDatagrams { sock, to, segment: 1_000, bytes: bytes.clone(), dont_fragment }]);
            for (begin, length) in [(0, 1_000), (1_000, 1_000), (2_000, 500)] {
                let bytes = bytes.slice(begin..begin + length);
                let segment = length as u16;
                assert_eq!(rig.next(), Event::Datagrams { sock: SocketId(family + 1), from, segment, bytes });
            }
        }
    }
}

#[test]
fn a_flood_of_datagrams_does_not_starve_the_streams() {
    let rig = Rig::with(|_, event, out| match event {
        Event::Accepted { tcp, .. } => out.list.push(grant(*tcp, u32::MAX)),
        // Every datagram is answered, to its sender: the two sockets play without end.
        Event::Datagrams { sock, from, segment, bytes } => out.list.push(Action::SendDatagrams {
            sock: *sock,
            to: *from,
            segment: *segment,
            bytes: bytes.clone(),
            dont_fragment: false,
        }),
        _ => {}
    });
    let a = rig.bind(10, SocketKind::Udp, "127.0.0.1:0");
    rig.bind(11, SocketKind::Udp, "127.0.0.1:0");
    let kick =
        |_| Action::SendDatagrams { sock: SocketId(11), to: a, segment: 1, bytes: pattern(100), dont_fragment: false };
    rig.act((0..10).map(kick));
    let addr = rig.bind_among(LISTENER, "127.0.0.1:0");
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut got = Vec::new();
    while got.len() < 5 {
        if let Event::Received { bytes, .. } = rig.next() {
            got.extend_from_slice(&bytes);
        }
    }
    assert_eq!(got, b"hello");
}

#[test]
fn many_streams_at_once() {
    const PEERS: u64 = 100;
    const EACH: usize = 300_000;
    // Both ends in one engine: those who were accepted echo, those who dialled send and count.
    let mut accepted = std::collections::BTreeSet::new();
    let mut left = std::collections::BTreeMap::new();
    let (done, wait) = async_channel::unbounded();
    let sent = pattern(EACH);
    let rig = Rig::with(move |_, event, out| match event {
        Event::Accepted { tcp, .. } => {
            accepted.insert(*tcp);
            echo(event, out);
        }
        Event::Connected { tcp, .. } => {
            left.insert(*tcp, sent.clone());
            out.list.extend([send(*tcp, sent.clone()), grant(*tcp, EACH as u32)]);
        }
        Event::Received { tcp, bytes } => match left.get_mut(tcp) {
            None => echo(event, out),
            Some(expected) => {
                assert!(bytes == &expected.split_to(bytes.len()));
                if expected.is_empty() {
                    out.list.push(close(*tcp, false));
                    done.try_send(*tcp).unwrap();
                }
            }
        },
        Event::Flushed { tcp, .. } if accepted.contains(tcp) => echo(event, out),
        _ => {}
    });
    let addr = rig.bind(LISTENER, SocketKind::TcpListener, "127.0.0.1:0");
    rig.act((0..PEERS).map(|n| dial(n, addr, None)));
    for _ in 0..PEERS {
        wait.recv_blocking().unwrap();
    }
}

#[test]
fn a_chunk_that_is_hardly_filled_pins_nothing() {
    let pool = Pool::new(1 << 20);
    let mut chunk = pool.take(SMALL);
    chunk.space()[..17].copy_from_slice(&[7; 17]);
    let bytes = chunk.freeze(17);
    assert_eq!((&bytes[..], pool.pinned()), (&[7; 17][..], 0));
}

#[test]
fn a_chunk_is_handed_out_without_a_copy_and_comes_back() {
    let pool = Pool::new(1 << 20);
    let mut chunk = pool.take(LARGE);
    assert_eq!(chunk.space().len(), LARGE);
    let place = chunk.space().as_ptr();
    let bytes = chunk.freeze(LARGE);
    assert_eq!((bytes.as_ptr(), bytes.len(), pool.pinned()), (place, LARGE, LARGE));
    let block = bytes.slice(1_000..2_000);
    drop(bytes);
    // A slice of it, on another thread, holds all of it.
    assert_eq!(pool.pinned(), LARGE);
    std::thread::spawn(move || drop(block)).join().unwrap();
    assert_eq!(pool.pinned(), 0);
    assert_eq!(pool.take(LARGE).space().as_ptr(), place);
}

#[test]
fn a_pool_at_its_limit_copies() {
    let pool = Pool::new(LARGE + SMALL);
    let first = pool.take(LARGE).freeze(LARGE);
    // No room for another large one.
    let mut second = pool.take(LARGE);
    assert_eq!(second.space().len(), SMALL);
    let second = second.freeze(SMALL);
    assert_eq!(pool.pinned(), LARGE + SMALL);
    let third = pool.take(SMALL).freeze(SMALL);
    assert_eq!((third.len(), pool.pinned()), (SMALL, LARGE + SMALL));
    drop((first, second, third));
    assert_eq!(pool.pinned(), 0);
}
