//! What is taken for an answer, and what is not.

use super::server::Then::{Close, Keep};
use super::server::{Server, Then};
use super::{WAYS, answer_to, body_of, client, get};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use parcacik_core::border::IoFault;
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with_length(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[test]
fn every_way_to_delimit_a_body() {
    let cases: [(&str, Then, &str); 12] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae", Keep, "d1:ae"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nd1:ae", Keep, "d1:ae"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Keep, ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", Keep, ""),
        ("HTTP/1.0 200 OK\r\n\r\nd1:ae", Close, "d1:ae"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae", Close, "d1:ae"),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nd1:ae", Keep, "d1:ae"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nd1:ae", Close, "d1:ae"),
        ("HTTP/1.1 200 OK\r\n\r\nd1:ae", Close, "d1:ae"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nd1\r\n3\r\n:ae\r\n0\r\nT: r\r\n\r\n",
            Keep,
            "d1:ae",
        ),
        // Transfer-Encoding wins over a length (RFC 9112, 6.3).
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n5\r\nd1:ae\r\n0\r\n\r\n",
            Keep,
            "d1:ae",
        ),
        // What follows is somebody's attempt at a second answer.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:aeHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
            Keep,
            "d1:ae",
        ),
    ];
    for (answer, then, body) in cases {
        assert_eq!(body_of(answer.as_bytes(), then), body.as_bytes(), "{answer}");
    }
}

#[test]
fn broken_bodies() {
    let cases: [(&str, IoFault); 9] = [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nd1:ae\n0\n\n", IoFault::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", IoFault::Reset),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nd1:", IoFault::Reset),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nd1:ae\r\n", IoFault::Reset),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", IoFault::Protocol),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", IoFault::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nd1:ae", IoFault::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nd1:ae", IoFault::Protocol),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nd1:ae\r\n0\r\n\r\n", IoFault::Protocol),
    ];
    for (answer, fault) in cases {
        assert_eq!(answer_to(answer.as_bytes(), Close), Err(fault), "{answer}");
    }
}

#[test]
fn odd_heads_that_are_taken() {
    let heads: [&[u8]; 14] = [
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 200 \r\n",
        b"HTTP/1.1 200 Tr\xe8s bien\r\n",
        b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\n",
        b"HTTP/1.1 200 OK\nServer: x\n",
        b"\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nthis line has no colon\r\n",
        b"HTTP/1.1 200 OK\r\nb@d name: x\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n",
        b"HTTP/1.1 200 OK\r\nServer : x\r\n",
        b"HTTP/1.1 200 OK\r\nX: folded\r\n line\r\n",
        b"HTTP/1.1 200 OK\r\nX: contr\x01l\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\n",
    ];
    for head in heads {
        let answer = [head, b"Content-Length: 5\r\n\r\nd1:ae"].concat();
        let taken = answer_to(&answer, Keep);
        assert_eq!(taken.map(|a| (a.status, a.body.to_vec())), Ok((200, b"d1:ae".to_vec())), "{}", head.escape_ascii());
    }
}

#[test]
fn no_http() {
    let heads: [&str; 10] = [
        "http/1.1 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1 200 OK\rServer: x\r\n",
        "ICY 200 OK\r\n",
        "HTTP/1.2 200 OK\r\n",
        "HTTP/2 200 OK\r\n",
        "garbage\r\nHTTP/1.1 200 OK\r\n",
        "d8:intervali1800e5:peers0:e",
        "HTTP/1.1 2000 OK\r\n",
    ];
    for head in heads {
        let answer = format!("{head}Content-Length: 5\r\n\r\nd1:ae");
        assert_eq!(answer_to(answer.as_bytes(), Close), Err(IoFault::Protocol), "{head}");
    }
    assert_eq!(answer_to(b"", Close), Err(IoFault::Reset), "closed without a word");
}

#[test]
fn an_upgrade_nobody_asked_for_is_an_error() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(answer_to(answer, Keep), Err(IoFault::Protocol));
}

#[test]
fn every_status_comes_as_it_is() {
    for status in [200, 206, 299, 304, 400, 404, 418, 499, 500, 503, 599, 700, 999] {
        let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer_to(answer.as_bytes(), Keep).map(|a| a.status), Ok(status));
    }
}

#[test]
fn redirects_are_told_and_not_followed() {
    for way in WAYS {
        let answer =
            b"HTTP/1.1 302 Found\r\nLocation:  http://other.test/a?h=%12%ff\xe9 \r\nContent-Length: 3\r\n\r\ngo!";
        let server = Server::answering(answer.to_vec(), Keep);
        let told = way.run(&client(), get(&server, "/")).unwrap();
        assert_eq!(told.status, 302);
        // The byte beyond ASCII is escaped, the rest is as it came.
        assert_eq!(told.location.as_deref(), Some("http://other.test/a?h=%12%ff%E9"));
        assert_eq!(&told.body[..], b"go!");
        assert_eq!(server.lines(), ["GET / HTTP/1.1"]);
    }
}

#[test]
fn retry_after_counts_when_it_is_a_number() {
    let cases = [
        ("120", Some(120)),
        ("0", Some(0)),
        ("99999999999999999999", Some(u32::MAX)),
        ("-1", None),
        ("+1", None),
        ("soon", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("", None),
    ];
    for (value, expect) in cases {
        let answer = format!("HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer_to(answer.as_bytes(), Keep).map(|a| a.retry_after), Ok(expect), "{value}");
    }
}

#[test]
fn coded_bodies_are_decoded() {
    let plain = b"d8:intervali1800e5:peers0:e".repeat(20);
    let coded = gzip(&plain);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&plain).unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(&plain).unwrap();
    let cases = [
        with_length("Content-Encoding: gzip\r\n", &coded),
        with_length("Content-Encoding: x-gzip\r\n", &coded),
        with_length("", &coded),
        with_length("Content-Encoding: utf-8\r\n", &coded),
        with_length("Content-Encoding: gzip\r\n", &plain),
        with_length("Content-Encoding: deflate\r\n", &zlib.finish().unwrap()),
        with_length("Content-Encoding: Deflate\r\n", &raw.finish().unwrap()),
        with_length("Content-Encoding: gzip\r\n", &[coded.clone(), b"\0\0\0padding".to_vec()].concat()),
    ];
    for answer in cases {
        assert_eq!(body_of(&answer, Keep), plain);
    }
    // Two members are one body.
    let twice = with_length("Content-Encoding: gzip\r\n", &[coded.clone(), coded.clone()].concat());
    assert_eq!(body_of(&twice, Keep), plain.repeat(2));
    // In chunks of one byte.
    let mut chunked = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for &byte in &coded {
        chunked.extend_from_slice(&[b"1\r\n", &[byte][..], b"\r\n"].concat());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(body_of(&chunked, Keep), plain);
    // Cut: the length is right for what came, but gzip is not at its end.
    let cut = with_length("Content-Encoding: gzip\r\n", &coded[..coded.len() - 9]);
    assert_eq!(answer_to(&cut, Keep), Err(IoFault::Protocol));
}
