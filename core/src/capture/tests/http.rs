//! Trackers by HTTP.

use super::{accounted, said};
use crate::border::InfoHash;
use crate::capture::testing::{B, addr, dialogue, segments};
use crate::capture::{Capture, Heard, HttpAnswered, HttpAsked, Protocol, Said, Side, Summary, dissect};
use crate::tracker::Reply;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const HASH: &str = "%01%01%01%01%01%01%01%01%01%01%01%01%01%01%01%01%01%01%01%01";
const ANSWER: &str = "d8:completei1e10:incompletei2e8:intervali1800e5:peers6:\u{7f}\0\0\u{1}\u{1a}\u{e1}e";

fn announce() -> String {
    format!(
        "GET /announce?info_hash={HASH}&peer_id=-PC0001-abcdefghijkl&port=6881&left=0 HTTP/1.1\r\nHost: t\r\nUser-Agent: x/1\r\n\r\n"
    )
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes(), body].concat()
}

/// ANSWER with the bytes that it stands for.
fn body() -> Vec<u8> {
    ANSWER.chars().map(|c| c as u8).collect()
}

fn talk(a: &[u8], b: &[u8], part: usize) -> Capture {
    let capture = dissect(&segments(dialogue(&[(true, a), (false, b)], part)));
    accounted(&capture, 0, Side::A);
    accounted(&capture, 0, Side::B);
    assert_eq!(capture.streams[0].facts.protocol, Protocol::Http);
    capture
}

fn answered(capture: &Capture) -> Vec<HttpAnswered> {
    let answered = |said| match said {
        Said::Response(response) => Some(response.answered),
        _ => None,
    };
    said(capture, 0, Side::B).into_iter().filter_map(answered).collect()
}

#[test]
fn an_announce_and_its_answer_however_long_it_is_said_to_be() {
    let body = body();
    let chunked = {
        let (one, two) = body.split_at(10);
        let mut out = format!("{:x};ext=1\r\n", one.len()).into_bytes();
        out.extend(one);
        out.extend(format!("\r\n{:X}\r\n", two.len()).into_bytes());
        out.extend(two);
        out.extend(b"\r\n0\r\nTrailer: x\r\n\r\n");
        out
    };
    for part in [1, 13, 10_000] {
        for bytes in [
            answer(&format!("Content-Length: {}\r\n", body.len()), &body),
            answer("Transfer-Encoding: chunked\r\n", &chunked),
            answer("", &body),
        ] {
            let capture = talk(announce().as_bytes(), &bytes, part);
            let [Said::Request(request), ..] = &said(&capture, 0, Side::A)[..] else { panic!("nothing was asked") };
            let HttpAsked::Announce(announce) = &request.asked else { panic!("{request:?}") };
            assert_eq!((announce.request.info_hash, announce.request.port), (InfoHash([1; 20]), 6881));
            assert_eq!((request.host.as_deref(), request.agent.as_deref()), (Some("t"), Some("x/1")));
            let [HttpAnswered::Announced(Reply::Answer(answer))] = &answered(&capture)[..] else { panic!("no answer") };
            assert_eq!((answer.interval, answer.peers.len()), (Some(1800), 1));
            assert_eq!(capture.streams[0].facts.side(Side::B).undecoded, 0);
        }
    }
}

#[test]
fn requests_on_one_connection_are_answered_in_their_order() {
    let a = [
        announce(),
        format!("GET /scrape?info_hash={HASH} HTTP/1.1\r\nHost: t\r\n\r\n"),
        "GET /index.html HTTP/1.1\r\n\r\n".into(),
        "HEAD /announce HTTP/1.1\r\n\r\n".into(),
        "POST /upload HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".into(),
        "GET /announce?port=1 HTTP/1.1\r\n\r\n".into(),
    ]
    .concat();
    let files = b"d5:filesd20:\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01d8:completei5e10:downloadedi0e10:incompletei1eeee";
    let b = [
        b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
        answer("Content-Length: 27\r\n", b"d14:failure reason5:nothinge".get(..27).unwrap()),
        answer(&format!("Content-Length: {}\r\n", files.len()), files),
        answer("Content-Length: 2\r\n", b"hi"),
        answer("Content-Length: 999\r\n", b""),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        answer("Content-Encoding: gzip\r\nContent-Length: 4\r\n", b"\x1f\x8b\x08\0"),
    ]
    .concat();
    let capture = talk(a.as_bytes(), &b, 100);
    let asked: Vec<bool> = said(&capture, 0, Side::A)
        .into_iter()
        .filter_map(|said| match said {
            Said::Request(request) => Some(request.asked == HttpAsked::Other),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [false, false, true, true, true, false]);
    let answered = answered(&capture);
    assert_eq!(answered.len(), 7);
    assert!(matches!(answered[1], HttpAnswered::Announced(Reply::Failure { .. }) | HttpAnswered::Bad(_)));
    let HttpAnswered::Scraped(Reply::Answer(counts)) = &answered[2] else { panic!("{answered:?}") };
    assert_eq!((counts[0].0, counts[0].1.complete), (InfoHash([1; 20]), 5));
    assert_eq!(answered[3..6], [HttpAnswered::Other, HttpAnswered::Other, HttpAnswered::Other]);
    assert_eq!(answered[6], HttpAnswered::Encoded("gzip".into()));
    // The same as counts.
    let mut summary = Summary::default();
    let facts = &capture.streams[0].facts;
    for item in &capture.streams[0].items {
        summary.count(&Heard::Stream(crate::capture::StreamId(0), item.clone()), Some(facts));
    }
    let tracker = &summary.http_trackers[&addr(B)];
    assert_eq!((tracker.announces, tracker.scrapes, tracker.scraped), (1, 1, 1));
    assert_eq!(tracker.info_hashes.len(), 1);
    assert!(summary.streams.values().all(|stream| stream.is_tracker && stream.http == [6, 7]));
}

#[test]
fn what_cannot_be_read_ends_the_reading_of_its_side() {
    let ok = answer(&format!("Content-Length: {}\r\n", body().len()), &body());
    for bad in [
        answer("Content-Length: many\r\n", &body()),
        answer("Transfer-Encoding: secret\r\n", &body()),
        answer("Transfer-Encoding: chunked\r\n", b"nonsense\r\n"),
        b"HTTP/1.1 nonsense\r\n\r\n".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\nanything".to_vec(),
    ] {
        let capture = talk(announce().as_bytes(), &bad, 1000);
        assert_eq!(capture.streams[0].facts.side(Side::B).undecoded, bad.len() as u64);
        let capture = talk(&[announce(), announce()].concat().into_bytes(), &[&ok[..], &bad, &ok].concat(), 1000);
        assert_eq!(answered(&capture).len(), 1);
        assert_eq!(capture.streams[0].facts.side(Side::B).undecoded, (bad.len() + ok.len()) as u64);
    }
    // A head, and a line of a chunk, that never end.
    let head = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 100_000]].concat();
    let capture = talk(announce().as_bytes(), &head, 1000);
    assert_eq!(capture.streams[0].facts.side(Side::B).undecoded, head.len() as u64);
    let line = answer("Transfer-Encoding: chunked\r\n", &[&b"5;"[..], &[b'x'; 10_000]].concat());
    let capture = talk(announce().as_bytes(), &line, 1000);
    assert_eq!(capture.streams[0].facts.side(Side::B).undecoded, line.len() as u64);
}

#[test]
fn a_gap_ends_the_reading_of_its_side() {
    let ok = answer(&format!("Content-Length: {}\r\n", body().len()), &body());
    let all = dialogue(&[(true, announce().as_bytes()), (false, &ok)], 50);
    let mut number = 0;
    let kept = all.into_iter().filter(|segment| {
        number += usize::from(!segment.from_a && !segment.payload.is_empty());
        segment.from_a || number != 2
    });
    let capture = dissect(&segments(kept));
    accounted(&capture, 0, Side::B);
    assert!(answered(&capture).is_empty());
    assert_eq!(capture.streams[0].facts.side(Side::B).counts.lost, 50);
}

#[test]
fn a_long_body_is_not_kept_whole() {
    let body = alloc::vec![b'x'; 2 << 20];
    let bytes = answer(&format!("Content-Length: {}\r\n", body.len()), &body);
    let capture = talk(announce().as_bytes(), &bytes, 60_000);
    assert_eq!(answered(&capture), [HttpAnswered::Bad("longer than 1048576 bytes".into())]);
}
