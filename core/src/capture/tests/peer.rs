//! The peer wire protocol: gaps, searches, faults, extensions.

use super::{accounted, emitted, handshake, items, messages, piece, said};
use crate::bencode::encode_dict;
use crate::capture::testing::{A, Segment, addr, connection, dialogue, segments};
use crate::capture::{Capture, DamagedMessage, Protocol, Said, Side, dissect};
use crate::wire::{BlockRange, Message, WireError};
use alloc::vec::Vec;

/// What A says in 100-byte segments, of which some are missing in the capture, and B says nothing but its handshake.
fn without(bytes: &[u8], missing: impl Fn(usize) -> bool) -> Capture {
    let all = connection(bytes, &handshake(2), 100);
    let mut number = 0;
    let kept = all.into_iter().filter(|segment| {
        let is_data = segment.from_a && !segment.payload.is_empty();
        number += usize::from(is_data);
        !(is_data && missing(number - 1))
    });
    dissect(&segments(kept))
}

fn many_messages() -> Vec<Message> {
    let mut messages = Vec::from([Message::Bitfield([0xff; 10].as_slice().into()), Message::Unchoke]);
    for number in 0..40 {
        messages.push(Message::Have(number));
        messages.push(Message::Request(BlockRange { piece: number, begin: 16_384, length: 16_384 }));
    }
    messages
}

#[test]
fn behind_a_gap_messages_are_found_again() {
    let all = many_messages();
    let bytes = [handshake(1), emitted(&all)].concat();
    // 68, 15 and 5 bytes; then 26 bytes for each pair: the fourth segment is lost, and with it parts of two messages and all of three.
    let capture = without(&bytes, |segment| segment == 3);
    accounted(&capture, 0, Side::A);
    let found = messages(&capture, Side::A);
    let lost = all.len() - found.len();
    assert!((7..=11).contains(&lost), "{lost}");
    // In order, and none that is not there.
    let mut rest = all.iter();
    assert!(found.iter().all(|message| rest.any(|other| other == message)));
    assert_eq!(found.last(), all.last());
    let facts = capture.streams[0].facts.side(Side::A);
    assert_eq!(facts.counts.lost, 100);
    assert!(facts.undecoded < 26, "{}", facts.undecoded);
}

#[test]
fn a_gap_inside_a_message_loses_that_message_only() {
    let all = [Message::Have(1), piece(2, 0, 1000), Message::Have(2), piece(3, 16_384, 1000), Message::Have(3)];
    let bytes = [handshake(1), emitted(&all)].concat();
    let capture = without(&bytes, |segment| segment == 2 || segment == 5 || segment == 6);
    accounted(&capture, 0, Side::A);
    assert_eq!(messages(&capture, Side::A), [all[0].clone(), all[2].clone(), all[3].clone(), all[4].clone()]);
    let damaged: Vec<Said> =
        said(&capture, 0, Side::A).into_iter().filter(|said| matches!(said, Said::Damaged(_))).collect();
    let expected = DamagedMessage { id: Some(7), block: Some((2, 0)), missing: 300 };
    assert_eq!(damaged, [Said::Damaged(expected)]);
    assert_eq!(capture.streams[0].facts.side(Side::A).undecoded, 0);
}

#[test]
fn a_gap_over_the_end_of_a_message_is_searched_behind() {
    let mut all = Vec::from([piece(2, 0, 1000)]);
    all.extend(many_messages());
    let bytes = [handshake(1), emitted(&all)].concat();
    // The message ends in the eleventh segment.
    let capture = without(&bytes, |segment| segment == 10);
    accounted(&capture, 0, Side::A);
    assert_eq!(messages(&capture, Side::A).last(), all.last());
    assert!(said(&capture, 0, Side::A).iter().any(|said| matches!(said, Said::Damaged(_))));
}

#[test]
fn a_capture_that_begins_late_is_understood() {
    let bytes = emitted(&many_messages());
    let all = connection(&bytes, &emitted(&[piece(1, 0, 16_384), piece(1, 16_384, 16_384), piece(2, 0, 16_384)]), 100);
    // From the middle of messages on, and without any segment that opens the connection.
    let capture = dissect(&segments(all.into_iter().skip(3 + 2 * 2)));
    let facts = &capture.streams[0].facts;
    assert_eq!((facts.protocol, facts.dialled, facts.a), (Protocol::Peer, false, addr(A)));
    accounted(&capture, 0, Side::A);
    accounted(&capture, 0, Side::B);
    assert_eq!(messages(&capture, Side::A).last(), many_messages().last());
    assert!(messages(&capture, Side::A).len() > 60);
    // Of three blocks of which the first has begun, two are whole.
    assert_eq!(messages(&capture, Side::B), [piece(1, 16_384, 16_384), piece(2, 0, 16_384)]);
}

#[test]
fn noise_that_begins_late_is_no_conversation() {
    let noise: Vec<u8> = (0..200_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
    let all = connection(&noise, &noise, 1000);
    let capture = dissect(&segments(all.into_iter().skip(3)));
    let facts = &capture.streams[0].facts;
    assert_eq!(facts.protocol, Protocol::Opaque);
    assert_eq!(facts.side(Side::A).undecoded, 200_000);
    assert_eq!(facts.info_hash(), None);
}

#[test]
fn zeros_are_no_conversation() {
    let all = connection(&[0; 50_000], b"", 1000);
    let capture = dissect(&segments(all.into_iter().skip(3)));
    assert_eq!(capture.streams[0].facts.side(Side::A).undecoded, 50_000);
    assert!(messages(&capture, Side::A).is_empty());
}

#[test]
fn what_makes_no_message_is_told_and_passed_over() {
    // A length of 2 for a choke; one that is longer than anything.
    for (bad, error) in [
        (&b"\0\0\0\x02\0\0"[..], WireError::WrongLength { id: 0, length: 2 }),
        (b"\xff\xff\xff\xff\x07", WireError::TooLong { length: u32::MAX }),
    ] {
        let bytes = [&handshake(1)[..], &emitted(&[Message::Have(1)]), bad, &emitted(&many_messages())].concat();
        for part in [1, 7, 1 << 15] {
            let capture = dissect(&segments(connection(&bytes, &handshake(2), part)));
            accounted(&capture, 0, Side::A);
            assert!(said(&capture, 0, Side::A).contains(&Said::Fault(error)));
            let found = messages(&capture, Side::A);
            assert_eq!(found.first(), Some(&Message::Have(1)));
            assert_eq!(found[1..], many_messages(), "{part}");
            assert_eq!(capture.streams[0].facts.side(Side::A).undecoded, bad.len() as u64);
        }
    }
}

#[test]
fn ranges_are_those_of_the_bytes() {
    let all = many_messages();
    let bytes = [handshake(1), emitted(&all)].concat();
    let capture = dissect(&segments(connection(&bytes, &handshake(2), 77)));
    for item in items(&capture, 0, Side::A) {
        let range = item.range.start as usize..item.range.end as usize;
        match item.said {
            Said::Handshake(handshake) => assert_eq!(bytes[range], handshake.emit()),
            Said::Message { message, .. } => assert_eq!(bytes[range], emitted(&[message])),
            _ => assert!(range.is_empty()),
        }
    }
}

#[test]
fn extensions_are_named_by_whom_they_are_sent_to() {
    let handshakes = |numbers: &[(&str, i64)]| {
        let payload = encode_dict(|dict| {
            dict.dict("m", |m| numbers.iter().for_each(|(name, number)| _ = m.int(*name, *number)));
        });
        Message::Extended { id: 0, payload: payload.into() }
    };
    let extended = |id| Message::Extended { id, payload: b"de".as_slice().into() };
    let a = [handshakes(&[("lt_donthave", 7), ("ut_pex", 1)]), extended(3), extended(4)];
    let b = [handshakes(&[("ut_metadata", 3)]), extended(7), extended(1), handshakes(&[]), extended(9)];
    let parts = |id, all: &[Message]| ([handshake(id), emitted(&all[..1])].concat(), emitted(&all[1..]));
    let (open_a, rest_a) = parts(1, &a);
    let (open_b, rest_b) = parts(2, &b);
    let turns = [(true, &open_a[..]), (false, &open_b), (true, &rest_a), (false, &rest_b)];
    let capture = dissect(&segments(dialogue(&turns, 1000)));
    let names = |side| -> Vec<Option<alloc::string::String>> {
        let name = |said| match said {
            Said::Message { extension, .. } => Some(extension),
            _ => None,
        };
        said(&capture, 0, side).into_iter().filter_map(name).collect()
    };
    let some = |name: &str| Some(alloc::string::String::from(name));
    assert_eq!(names(Side::A), [some("handshake"), some("ut_metadata"), None]);
    assert_eq!(names(Side::B), [some("handshake"), some("lt_donthave"), some("ut_pex"), some("handshake"), None]);
}

#[test]
fn a_test_of_a_port_names_its_torrent() {
    let capture = dissect(&segments(connection(&handshake(1)[..48], b"", 48)));
    let facts = &capture.streams[0].facts;
    assert_eq!(facts.info_hash(), Some(crate::border::InfoHash([7; 20])));
    assert_eq!((facts.side(Side::A).peer_id, facts.side(Side::A).undecoded), (None, 48));
}

#[test]
fn a_byte_at_a_time_is_the_same() {
    let bytes = [handshake(1), emitted(&many_messages())].concat();
    let all = connection(&bytes, &handshake(2), 1);
    let capture = dissect(&segments(all));
    assert_eq!(messages(&capture, Side::A), many_messages());
}

#[test]
fn one_side_that_was_not_captured_does_not_hinder_the_other() {
    let bytes = [handshake(1), emitted(&many_messages())].concat();
    let all = connection(&bytes, &handshake(2), 50);
    let capture = dissect(&segments(all.into_iter().filter(|segment: &Segment| segment.from_a)));
    assert_eq!(messages(&capture, Side::A), many_messages());
    assert_eq!(capture.streams[0].facts.side(Side::A).undecoded, 0);
}

#[test]
fn plain_messages_behind_an_encrypted_start_are_found() {
    // What peers send that agree to encrypt nothing but the start: noise of A's, in which its handshake is, and of B's.
    let noise = |length: u32, seed: u32| -> Vec<u8> {
        (0..length).map(|at| ((at + seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    };
    let all = many_messages();
    let (a, b) = (emitted(&all), [handshake(2), emitted(&[Message::Unchoke])].concat());
    for part in [13, 1400] {
        let (start_a, start_b) = (noise(900, 1), noise(700, 5));
        let turns = [(true, &start_a[..]), (false, &start_b), (true, &a), (false, &b)];
        let capture = dissect(&segments(dialogue(&turns, part)));
        let facts = &capture.streams[0].facts;
        assert_eq!((facts.protocol, facts.info_hash()), (Protocol::Peer, Some(crate::border::InfoHash([7; 20]))));
        assert_eq!((facts.side(Side::A).undecoded, facts.side(Side::B).undecoded), (900, 700));
        assert_eq!(messages(&capture, Side::A), all);
        assert_eq!(messages(&capture, Side::B), [Message::Unchoke]);
        accounted(&capture, 0, Side::A);
        accounted(&capture, 0, Side::B);
    }
    // Nobody looks for them in what goes on as noise.
    let long = noise(100_000, 1);
    let capture = dissect(&segments(dialogue(&[(true, &long), (true, &a)], 1400)));
    assert_eq!(capture.streams[0].facts.protocol, Protocol::Opaque);
    assert_eq!(capture.streams[0].facts.side(Side::A).undecoded, (100_000 + a.len()) as u64);
}
