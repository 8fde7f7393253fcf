//! A tracker on loopback, asked by plain sockets.

use super::{MAX_TARGET, TrackerHost, TrackerOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn options() -> TrackerOptions {
    TrackerOptions::new("127.0.0.1:0".parse().unwrap())
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The status and the body of an answer after which the connection ends.
fn ask(mut stream: TcpStream, method: &str, target: &str) -> (u16, Vec<u8>) {
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[head + 4..].to_vec())
}

fn announce(port: u16) -> String {
    let (hash, id) = ("%11".repeat(20), "p".repeat(18));
    format!(
        "/announce?info_hash={hash}&peer_id={id}{:02}&port={port}&uploaded=0&downloaded=0&left=9&compact=1",
        port % 100
    )
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn peers_find_each_other_by_http() {
    let host = TrackerHost::start_with(options()).unwrap();
    let first = ask(connect(host.local_addr()), "GET", &announce(1_001));
    assert_eq!(first.0, 200);
    assert!(contains(&first.1, b"8:intervali1800e"), "{:?}", String::from_utf8_lossy(&first.1));
    let second = ask(connect(host.local_addr()), "GET", &announce(1_002));
    let peer = [127, 0, 0, 1, (1_001u16 >> 8) as u8, 1_001u16 as u8];
    assert!(!contains(&first.1, &peer) && contains(&second.1, &peer), "{:?}", second.1);
    assert_eq!((host.torrents(), host.peers()), (1, 2));
}

#[test]
fn peers_find_each_other_by_udp() {
    // BEP 15: connect (protocol id, action 0, transaction), then announce (connection id, action 1, transaction ...).
    let host = TrackerHost::start_with(options()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(host.local_addr()).unwrap();
    let mut buffer = [0; 2000];
    let connect = [&0x417_2710_1980u64.to_be_bytes()[..], &[0, 0, 0, 0], &[1, 2, 3, 4]].concat();
    socket.send(&connect).unwrap();
    assert_eq!(socket.recv(&mut buffer).unwrap(), 16);
    assert_eq!(buffer[..8], [0, 0, 0, 0, 1, 2, 3, 4]);
    let id: [u8; 8] = buffer[8..16].try_into().unwrap();
    let announce = |port: u16| {
        let mut request = [&id[..], &[0, 0, 0, 1], &[5, 6, 7, 8], &[0x11; 20], &[port as u8; 20]].concat();
        request.extend([0u64.to_be_bytes(), 9u64.to_be_bytes(), 0u64.to_be_bytes()].concat());
        // Event, address, key, numwant.
        request.extend([[0, 0, 0, 2], [0; 4], [0, 0, 0, port as u8], [0xff; 4]].concat());
        request.extend(port.to_be_bytes());
        request
    };
    socket.send(&announce(1_001)).unwrap();
    assert_eq!(socket.recv(&mut buffer).unwrap(), 20);
    socket.send(&announce(1_002)).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..8], [0, 0, 0, 1, 5, 6, 7, 8]);
    assert_eq!(buffer[20..length], [127, 0, 0, 1, (1_001u16 >> 8) as u8, 1_001u16 as u8]);
    assert_eq!(host.peers(), 2);
}

#[test]
fn what_is_no_announce_is_refused() {
    let host = TrackerHost::start_with(options()).unwrap();
    assert_eq!(ask(connect(host.local_addr()), "GET", "/").0, 404);
    assert_eq!(ask(connect(host.local_addr()), "POST", "/announce").0, 405);
    let long = format!("/announce?{}", "x".repeat(MAX_TARGET));
    assert_eq!(ask(connect(host.local_addr()), "GET", &long).0, 414);
    assert_eq!(host.peers(), 0);
}

/// The status of what is answered to bytes that are sent as they stand; `None`: nothing at all.
fn status_of(host: &TrackerHost, request: &[u8]) -> Option<u16> {
    let mut stream = connect(host.local_addr());
    // It may be refused before all of it is read; then there may be no more than a reset.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..length]);
    }
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

#[test]
fn odd_requests() {
    let host = TrackerHost::start_with(options()).unwrap();
    let target = announce(1_001);
    let taken = [
        format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"),
        format!("GET {target} HTTP/1.1\nHost: t\n\n"),
        format!("GET {target} HTTP/1.0\r\n\r\n"),
        // BEP 3 asks for no Host, and old clients send none.
        format!("GET {target} HTTP/1.1\r\n\r\n"),
        format!("GET http://t{target} HTTP/1.1\r\nHost: t\r\n\r\n"),
        format!("\r\nGET {target} HTTP/1.1\r\nHost: t\r\n\r\n"),
    ];
    for request in &taken {
        assert_eq!(status_of(&host, request.as_bytes()), Some(200), "{request}");
    }
    assert_eq!(host.peers(), 1);
    let refused: [(&[u8], u16); 6] = [
        (b"GET /announce\r\n\r\n", 400),
        (b"garbage that is no HTTP\r\n\r\n", 400),
        (b"GET /announce?info_hash=\x01 HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /announce?info_hash=a b HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /announce?info_hash=<a> HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /announce?info_hash=\xff\xfe HTTP/1.1\r\nHost: t\r\n\r\n", 400),
    ];
    for (request, status) in refused {
        assert_eq!(status_of(&host, request), Some(status), "{}", request.escape_ascii());
    }
    let lines = format!("GET /announce HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert_eq!(status_of(&host, lines.as_bytes()), Some(431));
    let long = format!("GET /announce HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(70_000));
    assert!(matches!(status_of(&host, long.as_bytes()), Some(431) | None), "a head without an end is not read");
    // None of it was an announce.
    assert_eq!(host.peers(), 1);
}

#[test]
fn many_requests_on_one_connection_are_answered_in_order() {
    let host = TrackerHost::start_with(options()).unwrap();
    let mut stream = connect(host.local_addr());
    let request = format!("GET {} HTTP/1.1\r\nHost: t\r\n\r\n", announce(1_001));
    stream.write_all(request.repeat(100).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    assert_eq!(answers.windows(15).filter(|at| at == b"HTTP/1.1 200 OK").count(), 100);
}

#[test]
fn a_connection_that_waits_idle_is_closed() {
    let options = TrackerOptions { head_limit: Duration::from_millis(50), ..options() };
    let host = TrackerHost::start_with(options).unwrap();
    let mut stream = connect(host.local_addr());
    write!(stream, "GET {} HTTP/1.1\r\nHost: t\r\n\r\n", announce(1_001)).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(contains(&answer, b"HTTP/1.1 200 OK"));
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let options = TrackerOptions { head_limit: Duration::from_millis(50), ..options() };
    let host = TrackerHost::start_with(options).unwrap();
    let mut stream = connect(host.local_addr());
    stream.write_all(b"GET /announce HTTP/1.1\r\nHost:").unwrap();
    // Whatever is said, the end comes.
    stream.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn there_are_no_more_connections_than_allowed() {
    let host = TrackerHost::start_with(TrackerOptions { max_connections: 1, ..options() }).unwrap();
    let mut first = connect(host.local_addr());
    first.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    // It is being served, and stays open.
    first.read_exact(&mut [0; 12]).unwrap();
    let mut second = connect(host.local_addr());
    second.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let waits = second.read(&mut [0; 12]).unwrap_err();
    assert!(matches!(waits.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waits}");
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    second.read_exact(&mut [0; 12]).unwrap();
}

#[test]
fn a_tracker_that_is_dropped_is_gone() {
    let host = TrackerHost::start_with(options()).unwrap();
    let addr = host.local_addr();
    let mut open = connect(addr);
    drop(host);
    // Connections end, and the port is free.
    assert!(matches!(open.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    drop(open);
    let again = TrackerHost::start(addr).unwrap();
    assert_eq!(again.local_addr(), addr);
    // Nobody else can have it meanwhile.
    assert!(TrackerHost::start(addr).unwrap_err().to_string().contains(&addr.to_string()));
}
