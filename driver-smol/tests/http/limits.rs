//! Servers that want to keep us, or to fill our memory.

use super::server::{Peer, Server, Then::Keep};
use super::{WAYS, client, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_lite::future::{poll_fn, zip};
use parcacik_core::border::{HttpRequest, IoFault};
use parcacik_driver_smol::http::{HttpClient, HttpOptions};
use std::cell::Cell;
use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_swallows_packets_ends_with_the_connect_limit() {
    use socket2::{Domain, Socket, Type};
    for way in WAYS {
        // A queue for no connection, which on Linux means one; more are not answered at all.
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let to = listener.local_addr().unwrap();
        let fill: Vec<Socket> = (0..4)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                let _ = socket.connect(&to);
                socket
            })
            .collect();
        let server = Server::answering(Vec::new(), Keep);
        let options = HttpOptions { connect_limit: Duration::from_millis(150), ..HttpOptions::default() };
        let start = Instant::now();
        let request = HttpRequest { to: to.as_socket().unwrap(), ..get(&server, "/") };
        assert_eq!(way.run(&HttpClient::new(options).unwrap(), request), Err(IoFault::TimedOut));
        assert!(start.elapsed() < Duration::from_secs(10));
        drop(fill);
    }
}

/// Both ways against a server that does `serve` after the request.
fn fault_of(
    options: &HttpOptions,
    change: impl Fn(&mut HttpRequest),
    serve: impl Fn(&mut Peer) + Clone + Send + Sync + 'static,
) -> IoFault {
    let [usual, direct] = WAYS.map(|way| {
        let serve = serve.clone();
        let server = Server::start(move |mut peer| {
            if peer.request().is_some() {
                serve(&mut peer);
            }
        });
        let mut request = get(&server, "/");
        change(&mut request);
        let start = Instant::now();
        let fault = way.run(&HttpClient::new(options.clone()).unwrap(), request).expect_err("it should fail");
        // Far below the time limits that are not under test, far above those that are.
        assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
        fault
    });
    assert_eq!(usual, direct);
    usual
}

/// An idle limit short enough to be awaited in a test.
fn impatient() -> HttpOptions {
    HttpOptions { idle_limit: Duration::from_millis(150), ..HttpOptions::default() }
}

const WHOLE: Duration = Duration::from_millis(300);

/// Sends a byte now and then until the client is gone.
fn drip(peer: &mut Peer, byte: u8) {
    while !peer.gone_within(Duration::from_millis(20)) {
        if peer.send(&[byte]).is_err() {
            return;
        }
    }
}

#[test]
fn stalled_or_dripping_heads_time_out() {
    let stalled = |peer: &mut Peer| {
        let _ = peer.send(b"HTTP/1.1 2");
        peer.gone_within(Duration::from_secs(30));
    };
    assert_eq!(fault_of(&impatient(), |_| {}, stalled), IoFault::TimedOut);
    let dripping = |peer: &mut Peer| {
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nX: ");
        drip(peer, b'x');
    };
    assert_eq!(fault_of(&impatient(), |_| {}, dripping), IoFault::TimedOut);
}

#[test]
fn stalled_bodies_time_out() {
    let stalled = |peer: &mut Peer| {
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        peer.gone_within(Duration::from_secs(30));
    };
    assert_eq!(fault_of(&impatient(), |_| {}, stalled), IoFault::TimedOut);
}

#[test]
fn dripping_bodies_end_with_the_whole_time() {
    let dripping = |peer: &mut Peer| {
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        drip(peer, b'x');
    };
    let change = |request: &mut HttpRequest| request.time_limit = WHOLE;
    assert_eq!(fault_of(&HttpOptions::default(), change, dripping), IoFault::TimedOut);
}

#[test]
fn a_slow_server_within_its_limits_is_awaited() {
    for way in WAYS {
        let server = Server::start(|mut peer| {
            if peer.request().is_some() {
                for part in ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "s", "l", "o", "w"] {
                    peer.gone_within(Duration::from_millis(80));
                    let _ = peer.send(part.as_bytes());
                }
            }
        });
        // Each pause is shorter than the idle limit, all of them are longer.
        let options = HttpOptions { idle_limit: Duration::from_millis(350), ..HttpOptions::default() };
        assert_eq!(way.run(&HttpClient::new(options).unwrap(), get(&server, "/")).unwrap().body, "slow");
    }
}

#[test]
fn a_server_that_never_accepts_times_out() {
    // The queue of a listener that nobody accepts from: the connection comes about, the answer does not.
    for way in WAYS {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::answering(Vec::new(), Keep);
        let request = HttpRequest { to: listener.local_addr().unwrap(), time_limit: WHOLE, ..get(&server, "/") };
        assert_eq!(way.run(&client(), request), Err(IoFault::TimedOut));
    }
}

#[test]
fn heads_have_an_end() {
    let defaults = HttpOptions::default();
    let endless_hints = |peer: &mut Peer| peer.send_endlessly(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n");
    assert_eq!(fault_of(&defaults, |_| {}, endless_hints), IoFault::TooLarge);
    let endless_line = |peer: &mut Peer| {
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nX: ");
        peer.send_endlessly(b"x");
    };
    assert_eq!(fault_of(&defaults, |_| {}, endless_line), IoFault::TooLarge);
    let endless_lines = |peer: &mut Peer| {
        let _ = peer.send(OK.as_bytes());
        peer.send_endlessly(b"X: y\r\n");
    };
    assert_eq!(fault_of(&defaults, |_| {}, endless_lines), IoFault::TooLarge);
    let large = |peer: &mut Peer| {
        let _ = peer.send(format!("{OK}X: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(40_000)).as_bytes());
        peer.gone_within(Duration::from_secs(30));
    };
    assert_eq!(fault_of(&defaults, |_| {}, large), IoFault::TooLarge);
    let many_lines = |peer: &mut Peer| {
        let _ = peer.send(format!("{OK}{}Content-Length: 0\r\n\r\n", "X: y\r\n".repeat(300)).as_bytes());
        peer.gone_within(Duration::from_secs(30));
    };
    assert_eq!(fault_of(&defaults, |_| {}, many_lines), IoFault::TooLarge);
}

#[test]
fn large_heads_within_the_limit_are_taken() {
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200);
    let long_line = format!("{OK}X: {}\r\n", "x".repeat(10_000));
    let many_lines = format!("{OK}{}", "X: y\r\n".repeat(200));
    for head in [format!("{hints}{OK}"), long_line, many_lines] {
        // The body, in one piece with the head, is not counted as head.
        let body = "b".repeat(200_000);
        let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(super::body_of(answer.as_bytes(), Keep), body.as_bytes());
    }
}

#[test]
fn bodies_have_an_end() {
    let defaults = HttpOptions::default();
    let chunked = |peer: &mut Peer| {
        let _ = peer.send(format!("{OK}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
        peer.send_endlessly(format!("400\r\n{}\r\n", "x".repeat(0x400)).as_bytes());
    };
    assert_eq!(fault_of(&defaults, |_| {}, chunked), IoFault::TooLarge);
    let until_close = |peer: &mut Peer| {
        let _ = peer.send(format!("{OK}\r\n").as_bytes());
        peer.send_endlessly(b"x");
    };
    assert_eq!(fault_of(&defaults, |_| {}, until_close), IoFault::TooLarge);
    // Refused at the head: no byte of the body is ever sent.
    let promised = |peer: &mut Peer| {
        let _ = peer.send(format!("{OK}Content-Length: 9223372036854775807\r\n\r\n").as_bytes());
        peer.gone_within(Duration::from_secs(30));
    };
    assert_eq!(fault_of(&defaults, |_| {}, promised), IoFault::TooLarge);
}

#[test]
fn the_limit_of_a_body_is_exact() {
    for way in WAYS {
        for coded in [false, true] {
            let plain = vec![b'x'; 5000];
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).unwrap();
            let body = if coded { encoder.finish().unwrap() } else { plain };
            let answer = [format!("{OK}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
            let server = Server::answering(answer, Keep);
            let with = |body_limit| way.run(&client(), HttpRequest { body_limit, ..get(&server, "/") });
            assert_eq!(with(5000).map(|answer| answer.body.len()), Ok(5000));
            assert_eq!(with(4999), Err(IoFault::TooLarge));
            assert_eq!(with(0), Err(IoFault::TooLarge));
        }
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let answer =
        [format!("{OK}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len()).as_bytes(), &bomb].concat();
    assert_eq!(super::answer_to(&answer, Keep), Err(IoFault::TooLarge));
}

#[test]
fn coding_that_decodes_to_nothing_has_an_end() {
    // A gzip header, then stored blocks of no length (RFC 1951, 3.2.4), for ever.
    let endless = |peer: &mut Peer| {
        let _ = peer.send(format!("{OK}Content-Encoding: gzip\r\n\r\n").as_bytes());
        let _ = peer.send(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        peer.send_endlessly(&[0, 0, 0, 0xff, 0xff]);
    };
    assert_eq!(fault_of(&HttpOptions::default(), |_| {}, endless), IoFault::TooLarge);
}

#[test]
fn a_fast_server_does_not_starve_the_thread() {
    const SIZE: u32 = 32 << 20;
    for way in WAYS {
        let server = Server::start(|mut peer| {
            if peer.request().is_some() {
                let _ = peer.send(format!("{OK}Content-Length: {SIZE}\r\n\r\n").as_bytes());
                let _ = peer.send(&vec![0; SIZE as usize]);
            }
        });
        let request = HttpRequest { body_limit: SIZE, ..get(&server, "/") };
        let (client, polls, done) = (client(), Cell::new(0), Cell::new(false));
        // The other task of the thread gets a turn whenever the exchange gives way.
        let exchange = async {
            let mut exchange = pin!(way.exchange(&client, request));
            let answer = poll_fn(|cx| exchange.as_mut().poll(cx)).await;
            done.set(true);
            answer
        };
        let other = poll_fn(|_| {
            polls.set(polls.get() + 1);
            if done.get() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        let (answer, ()) = async_io::block_on(zip(exchange, other));
        assert_eq!(answer.map(|answer| answer.body.len()), Ok(SIZE as usize));
        // At most 32 reads of at most 64 KiB in a turn.
        assert!(polls.get() >= SIZE / (32 * 64 * 1024), "only {} turns", polls.get());
    }
}

#[test]
fn options_that_cannot_work_are_named() {
    let cases = [
        (HttpOptions { connect_limit: Duration::ZERO, ..HttpOptions::default() }, "http.connect_limit"),
        (HttpOptions { idle_limit: Duration::ZERO, ..HttpOptions::default() }, "http.idle_limit"),
        (HttpOptions { head_limit: 100, ..HttpOptions::default() }, "http.head_limit"),
        (HttpOptions { head_limit: 1 << 20, ..HttpOptions::default() }, "http.head_limit"),
        (HttpOptions { header_lines: 0, ..HttpOptions::default() }, "http.header_lines"),
        (HttpOptions { extra_roots: vec![vec![1, 2, 3].into()], ..HttpOptions::default() }, "http.extra_roots"),
    ];
    for (options, field) in cases {
        assert_eq!(HttpClient::new(options).err().map(|error| error.field), Some(field));
    }
    for head_limit in [8 * 1024, 64 * 1024] {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), Keep);
        let client = HttpClient::new(HttpOptions { head_limit, ..HttpOptions::default() }).unwrap();
        assert!(WAYS.iter().all(|way| way.run(&client, get(&server, "/")).is_ok()));
    }
}
