//! Which connections are used again.

use super::server::{Server, Then::Keep};
use super::{WAYS, client, get};
use futures_lite::future::{poll_once, zip};
use parcacik_core::border::{HttpRequest, IoFault};
use parcacik_driver_smol::http::{HttpClient, HttpOptions};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How many connections five requests one after another take.
fn connections_for(answer: &[u8]) -> [usize; 2] {
    WAYS.map(|way| {
        let server = Server::answering(answer.to_vec(), Keep);
        let client = client();
        for _ in 0..5 {
            assert_eq!(way.run(&client, get(&server, "/")).unwrap().body, "d1:ae");
        }
        server.connections()
    })
}

#[test]
fn a_connection_serves_many_requests() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nd1:ae\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nd1:ae",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae",
    ];
    for answer in answers {
        assert_eq!(connections_for(answer.as_bytes()), [1, 1], "{answer}");
    }
}

#[test]
fn a_connection_that_says_so_or_says_too_much_is_not_used_again() {
    let answers = [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nd1:ae",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:aeHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
    ];
    for answer in answers {
        assert_eq!(connections_for(answer.as_bytes()), [5, 5], "{answer}");
    }
}

/// 256 parts of one MiB, as a web seed gives them: each whole and in its place, all over one connection.
#[test]
fn a_file_in_large_parts_comes_over_one_connection() {
    const PART: usize = 1 << 20;
    // 251 is prime: no two parts that lie near each other are the same.
    let pattern: Arc<[u8]> = (0..PART + 251).map(|at| (at % 251) as u8).collect();
    for (way, parts) in WAYS.into_iter().zip([256, 16]) {
        let bytes = Arc::clone(&pattern);
        let server = Server::start(move |mut peer| {
            for part in 0..parts {
                let (from, to) = (part * PART, (part + 1) * PART);
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {PART}\r\n\r\n",
                    to - 1,
                    parts * PART
                );
                let body = &bytes[from % 251..][..PART];
                if peer.request().is_none() || peer.send(head.as_bytes()).is_err() || peer.send(body).is_err() {
                    return;
                }
            }
        });
        let client = client();
        for part in 0..parts {
            let answer = way.run(&client, get(&server, &format!("/file?part={part}"))).unwrap();
            assert_eq!(answer.status, 206);
            assert!(answer.body == pattern[part * PART % 251..][..PART], "{way:?}, part {part}");
        }
        assert_eq!(server.connections(), 1, "{way:?}");
    }
}

#[test]
fn another_host_or_source_gets_another_connection() {
    for way in WAYS {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), Keep);
        let client = client();
        let first = get(&server, "/");
        let others = [
            HttpRequest { host: "other.test".into(), ..first.clone() },
            HttpRequest { port: 1, ..first.clone() },
            HttpRequest { from: Some([127, 0, 0, 1].into()), ..first.clone() },
        ];
        way.run(&client, first.clone()).unwrap();
        for request in others {
            way.run(&client, request).unwrap();
        }
        assert_eq!(server.connections(), 4);
        way.run(&client, HttpRequest { host: "TRACKER.test".into(), ..first }).unwrap();
        assert_eq!(server.connections(), 4, "case does not matter in names");
    }
}

#[test]
fn a_connection_that_ended_meanwhile_is_replaced_unseen() {
    // The first connection ends: while idle, or only when the next request is there already.
    for after_request in [false, true] {
        for way in WAYS {
            let (closed, is_closed) = mpsc::channel();
            let server = Server::start(move |mut peer| {
                let mut served = 0;
                while peer.request().is_some() {
                    if peer.number == 0 && served == 1 {
                        return;
                    }
                    let _ = peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae");
                    served += 1;
                    if peer.number == 0 && !after_request {
                        drop(peer);
                        let _ = closed.send(());
                        return;
                    }
                }
            });
            let client = client();
            assert_eq!(way.run(&client, get(&server, "/1")).unwrap().body, "d1:ae");
            if !after_request {
                is_closed.recv().unwrap();
            }
            assert_eq!(way.run(&client, get(&server, "/2")).unwrap().body, "d1:ae");
            assert_eq!(server.connections(), 2);
            let twice: &[&str] = if after_request { &["GET /2 HTTP/1.1"; 2] } else { &["GET /2 HTTP/1.1"] };
            assert_eq!(server.lines()[1..], *twice);
        }
    }
}

#[test]
fn a_request_is_not_sent_again_once_an_answer_began() {
    for way in WAYS {
        let server = Server::start(|mut peer| {
            let mut served = 0;
            while peer.request().is_some() {
                let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae";
                let _ = peer.send(if served == 0 { whole } else { &whole[..9] });
                served += 1;
                if served == 2 {
                    return;
                }
            }
        });
        let client = client();
        way.run(&client, get(&server, "/1")).unwrap();
        assert_eq!(way.run(&client, get(&server, "/2")), Err(IoFault::Reset));
        assert_eq!(server.lines(), ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
    }
}

#[test]
fn a_failed_fresh_connection_is_not_tried_again() {
    for way in WAYS {
        let server = Server::start(|mut peer| drop(peer.request()));
        assert_eq!(way.run(&client(), get(&server, "/")), Err(IoFault::Reset));
        assert_eq!(server.lines(), ["GET / HTTP/1.1"]);
    }
}

#[test]
fn dropping_an_exchange_closes_its_connection_and_harms_no_other() {
    for way in WAYS {
        let (left, has_left) = mpsc::channel();
        let (asked, is_asked) = mpsc::channel();
        let server = Server::start(move |mut peer| {
            while peer.request().is_some() {
                let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst";
                let _ = peer.send(begun);
                if peer.number == 0 {
                    let _ = asked.send(());
                    let _ = left.send(peer.gone_within(Duration::from_secs(20)));
                    return;
                }
                let _ = peer.send(b"after");
            }
        });
        let client = client();
        async_io::block_on(async {
            let mut dropped = pin!(way.exchange(&client, get(&server, "/")));
            // Until the server has sent half a body.
            while is_asked.try_recv().is_err() {
                assert!(poll_once(dropped.as_mut()).await.is_none());
                futures_lite::future::yield_now().await;
            }
        });
        assert_eq!(has_left.recv(), Ok(true));
        assert_eq!(way.run(&client, get(&server, "/")).unwrap().body, "firstafter");
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn requests_at_once_each_have_a_connection() {
    for way in WAYS {
        let server = Server::start(|mut peer| {
            while let Some(head) = peer.request() {
                let body = head[4..6].to_vec();
                let _ = peer.send(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", &body[..]].concat());
            }
        });
        let client = client();
        async_io::block_on(async {
            let a = way.exchange(&client, get(&server, "/a"));
            let b = way.exchange(&client, get(&server, "/b"));
            let (a, b) = zip(a, b).await;
            assert_eq!((&a.unwrap().body[..], &b.unwrap().body[..]), (&b"/a"[..], &b"/b"[..]));
        });
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn idle_connections_are_closed_when_told() {
    for way in WAYS {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), Keep);
        let client = client();
        way.run(&client, get(&server, "/")).unwrap();
        client.clone().close_idle();
        way.run(&client, get(&server, "/")).unwrap();
        assert_eq!(server.connections(), 2);
        // And none is kept when none may be.
        let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), Keep);
        let client = HttpClient::new(HttpOptions { idle_connections: 0, ..HttpOptions::default() }).unwrap();
        way.run(&client, get(&server, "/")).unwrap();
        way.run(&client, get(&server, "/")).unwrap();
        assert_eq!(server.connections(), 2);
    }
}
