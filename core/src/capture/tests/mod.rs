//! The whole way, on captures made by hand.

mod http;
mod limits;
mod peer;
mod pieces;
mod udp;

use super::testing::{A, ACK, B, FIN, RST, SYN, Segment, addr, connection, pcap, segments};
use super::{Capture, CaptureLimits, Dissector, Ending, Heard, Item, Protocol, Said, Side, dissect, dissect_with};
use crate::border::{InfoHash, PeerId};
use crate::wire::{Handshake, Message, Reserved};
use alloc::vec::Vec;
use bytes::BytesMut;
use core::time::Duration;
use proptest::prelude::*;

pub(super) fn handshake(id: u8) -> Vec<u8> {
    let handshake = Handshake { reserved: Reserved::OURS, info_hash: InfoHash([7; 20]), peer_id: PeerId([id; 20]) };
    handshake.emit().to_vec()
}

pub(super) fn emitted(messages: &[Message]) -> Vec<u8> {
    let mut out = BytesMut::new();
    messages.iter().for_each(|message| message.emit(&mut out));
    out.to_vec()
}

/// A block of content that holds all bytes.
pub(super) fn piece(piece: u32, begin: u32, length: u32) -> Message {
    let data: Vec<u8> = (0..length).map(|at| (at ^ at >> 8 ^ piece.wrapping_mul(31)) as u8).collect();
    Message::Piece { piece, begin, data: data.into() }
}

/// What a side said, without times.
pub(super) fn said(capture: &Capture, stream: usize, side: Side) -> Vec<Said> {
    items(capture, stream, side).into_iter().map(|item| item.said).collect()
}

pub(super) fn items(capture: &Capture, stream: usize, side: Side) -> Vec<Item> {
    capture.streams[stream].items.iter().filter(|item| item.from == side).cloned().collect()
}

/// The messages that a side said.
pub(super) fn messages(capture: &Capture, side: Side) -> Vec<Message> {
    let message = |said| match said {
        Said::Message { message, .. } => Some(message),
        _ => None,
    };
    said(capture, 0, side).into_iter().filter_map(message).collect()
}

/// The bytes of a side that are accounted for: each is of a message, or told as undecoded, or as missing, and none twice.
pub(super) fn accounted(capture: &Capture, stream: usize, side: Side) {
    let facts = capture.streams[stream].facts.side(side);
    let mut at = 0;
    let mut damaged: Vec<core::ops::Range<u64>> = Vec::new();
    let items = items(capture, stream, side);
    for item in items.iter().filter(|item| matches!(item.said, Said::Damaged(_))) {
        damaged.push(item.range.clone());
    }
    // What is missing inside a damaged message is told twice: as missing, and as part of it.
    let inside =
        |range: &core::ops::Range<u64>| damaged.iter().any(|whole| whole.start < range.end && range.start < whole.end);
    let mut ranges: Vec<(u64, u64)> = items
        .iter()
        .filter(|item| !(item.range.is_empty() || matches!(item.said, Said::Gap) && inside(&item.range)))
        .map(|item| (item.range.start, item.range.end))
        .collect();
    // The part of a gap behind a damaged message.
    for item in items.iter().filter(|item| matches!(item.said, Said::Gap) && inside(&item.range)) {
        let behind = damaged.iter().map(|whole| whole.end).filter(|end| item.range.contains(end)).max();
        ranges.extend(behind.map(|behind| (behind, item.range.end)));
    }
    ranges.sort_unstable();
    for (start, end) in ranges {
        assert_eq!(start, at, "{side:?}: {:?}", items);
        at = end;
    }
    assert_eq!(at, facts.counts.bytes + facts.counts.lost);
}

/// The bytes of a side in its chunks, which follow on each other.
fn bytes_of(capture: &Capture, side: Side) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in capture.streams[0].chunks.iter().filter(|chunk| chunk.from == side) {
        assert_eq!(chunk.start, bytes.len() as u64);
        bytes.extend_from_slice(&chunk.bytes);
    }
    bytes
}

fn a_says() -> Vec<u8> {
    let mut bytes = handshake(1);
    bytes.extend(emitted(&[
        Message::HaveNone,
        Message::KeepAlive,
        Message::Interested,
        Message::Request(crate::wire::BlockRange { piece: 3, begin: 0, length: 16_384 }),
        Message::Unknown { id: 21, payload: alloc::vec![1; 48].into() },
    ]));
    bytes
}

fn b_says() -> Vec<u8> {
    let mut bytes = handshake(2);
    bytes.extend(emitted(&[Message::Bitfield(b"\xff\xf0".as_slice().into()), Message::Unchoke, piece(3, 0, 16_384)]));
    bytes
}

#[test]
fn a_conversation_is_told_with_its_sides() {
    let capture = dissect(&segments(connection(&a_says(), &b_says(), 1000)));
    let [stream] = &capture.streams[..] else { panic!("there is one connection") };
    let facts = &stream.facts;
    assert_eq!((facts.a, facts.b, facts.dialled, facts.protocol), (addr(A), addr(B), true, Protocol::Peer));
    assert_eq!(facts.info_hash(), Some(InfoHash([7; 20])));
    assert_eq!(facts.side(Side::A).peer_id, Some(PeerId([1; 20])));
    assert_eq!(facts.side(Side::B).peer_id, Some(PeerId([2; 20])));
    for side in [Side::A, Side::B] {
        assert!(matches!(facts.side(side).ended, Some((_, Ending::Closed))));
        assert_eq!(facts.side(side).undecoded, 0);
        accounted(&capture, 0, side);
    }
    assert_eq!(messages(&capture, Side::A).len(), 5);
    assert_eq!(messages(&capture, Side::B).last(), Some(&piece(3, 0, 16_384)));
    // They are told in the order of time.
    assert!(stream.items.is_sorted_by_key(|item| item.time));
    // Its bytes are kept as they came.
    assert!(stream.chunks.is_sorted_by_key(|chunk| chunk.time));
    assert_eq!((bytes_of(&capture, Side::A), bytes_of(&capture, Side::B)), (a_says(), b_says()));
    assert!(stream.chunks.iter().all(|chunk| chunk.bytes.len() <= 1000));
}

#[test]
fn who_dialled_is_seen_in_a_syn_or_its_answer_or_taken_to_be_who_speaks_first() {
    let all = connection(&a_says(), &b_says(), 1000);
    for (skipped, dialled) in [(0, true), (1, true), (2, false), (3, false)] {
        let capture = dissect(&segments(all[skipped..].iter().cloned()));
        let facts = &capture.streams[0].facts;
        assert_eq!((facts.a, facts.dialled), (addr(A), dialled), "{skipped}");
        assert_eq!(messages(&capture, Side::A).len(), 5, "{skipped}");
        assert_eq!(messages(&capture, Side::B).len(), 3, "{skipped}");
    }
    // The first segment is an acknowledgement by who was dialled.
    let mut late = Vec::from([Segment::flags(false, ACK, all[2].ack, all[2].sequence)]);
    late.extend(all[3..].iter().cloned());
    let capture = dissect(&segments(late));
    assert_eq!((capture.streams[0].facts.a, capture.streams.len()), (addr(A), 1));
    assert_eq!(messages(&capture, Side::B).len(), 3);
}

#[test]
fn ports_are_used_again() {
    let first = connection(&a_says(), &b_says(), 1000);
    let again = first.iter().map(|segment| Segment {
        sequence: segment.sequence.wrapping_add(1 << 20),
        ack: segment.ack.wrapping_add(1 << 21),
        ..segment.clone()
    });
    let again: Vec<Segment> = again
        .map(|segment| match segment.from_a {
            true => segment,
            false => Segment {
                sequence: segment.sequence.wrapping_add(1 << 20),
                ack: segment.ack.wrapping_sub(1 << 20),
                ..segment
            },
        })
        .collect();
    let whole = dissect(&segments(first.iter().chain(&again).cloned()));
    assert_eq!(whole.streams.len(), 2);
    // Or the first is not ended when the next begins.
    let broken = dissect(&segments(first[..6].iter().chain(&again).cloned()));
    assert_eq!(broken.streams.len(), 2);
    for capture in [whole, broken] {
        assert_eq!(said(&capture, 1, Side::B).len(), 1 + 3 + 1);
    }
}

#[test]
fn a_reset_is_told() {
    let mut all = connection(&a_says(), &b_says(), 1000);
    all.truncate(10);
    all.push(Segment::flags(false, RST, 0, 0));
    let capture = dissect(&segments(all));
    assert!(matches!(capture.streams[0].facts.side(Side::B).ended, Some((_, Ending::Reset))));
    assert_eq!(capture.streams[0].facts.side(Side::A).ended, None);
}

#[test]
fn a_dial_that_is_refused_says_nothing() {
    let refused = [Segment::flags(true, SYN, 5, 0), Segment::flags(false, RST | ACK, 0, 6)];
    let capture = dissect(&segments(refused));
    assert_eq!(capture.streams[0].facts.protocol, Protocol::Unknown);
    assert_eq!(said(&capture, 0, Side::B), [Said::End(Ending::Reset)]);
    assert!(said(&capture, 0, Side::A).is_empty());
}

#[test]
fn what_is_encrypted_is_counted() {
    let noise: Vec<u8> = (0..500u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    let capture = dissect(&segments(connection(&noise, &noise[100..], 50)));
    let facts = &capture.streams[0].facts;
    assert_eq!(facts.protocol, Protocol::Opaque);
    assert_eq!((facts.side(Side::A).undecoded, facts.side(Side::B).undecoded), (500, 400));
    accounted(&capture, 0, Side::A);
    // Each part has its time.
    assert_eq!(said(&capture, 0, Side::A).iter().filter(|said| **said == Said::Undecoded).count(), 10);
}

#[test]
fn parts_of_a_file_say_what_the_whole_says() {
    let file = segments(connection(&a_says(), &b_says(), 700));
    let whole = dissect(&file);
    for size in [1, 7, 1000] {
        let mut dissector = Dissector::new(CaptureLimits::default());
        let mut heard = Vec::new();
        for part in file.chunks(size) {
            dissector.feed(part);
            heard.extend(core::iter::from_fn(|| dissector.heard()));
        }
        dissector.finish();
        heard.extend(core::iter::from_fn(|| dissector.heard()));
        let mut items: Vec<Item> = heard
            .into_iter()
            .filter_map(|heard| match heard {
                Heard::Stream(_, item) => Some(item),
                Heard::Datagram(_) => None,
            })
            .collect();
        items.sort_by_key(|item| item.time);
        assert_eq!(items, whole.streams[0].items);
        assert_eq!(dissector.held(), 0);
    }
}

#[test]
fn what_is_wrong_with_the_file_is_told() {
    let file = segments(connection(&a_says(), &b_says(), 700));
    let cut = dissect(&file[..file.len() - 3]);
    assert!(cut.facts.cut_off && cut.facts.fault.is_none());
    assert!(dissect(b"nothing").facts.fault.is_some());
    let empty = dissect(b"");
    assert_eq!(empty, Capture::default());
    let other = dissect(&pcap(147, 100, [alloc::vec![0; 60]]));
    assert_eq!((other.facts.frames, other.facts.unknown_link), (1, 1));
}

/// The segments of a connection, some of them again, all of those with data in any order.
fn any_order() -> impl Strategy<Value = Vec<Segment<'static>>> {
    (30..3000usize, proptest::collection::vec((any::<prop::sample::Index>(), 0..40u32), 0..10)).prop_flat_map(
        |(part, again)| {
            let all = connection(&a_says(), &b_says(), part);
            let (open, rest) = all.split_at(3);
            let (data, close) = rest.split_at(rest.len() - 4);
            let mut data = data.to_vec();
            for (index, earlier) in again {
                let mut segment = index.get(&data).clone();
                // Again, but for some bytes at its start.
                let skipped = (earlier as usize).min(segment.payload.len());
                segment.payload = &segment.payload[skipped..];
                segment.sequence = segment.sequence.wrapping_add(skipped as u32);
                data.push(segment);
            }
            let (open, close) = (open.to_vec(), close.to_vec());
            Just(data).prop_shuffle().prop_map(move |data| [&open[..], &data, &close].concat())
        },
    )
}

proptest! {
    #[test]
    fn any_order_of_segments_is_the_same_conversation(all in any_order()) {
        let straight = dissect(&segments(connection(&a_says(), &b_says(), 500)));
        // An acknowledgement may come long before what it acknowledges.
        let limits = CaptureLimits { gap_patience: Duration::from_secs(3600), ..CaptureLimits::default() };
        let capture = dissect_with(&segments(all), limits);
        prop_assert_eq!(capture.streams.len(), 1);
        for side in [Side::A, Side::B] {
            prop_assert_eq!(said(&capture, 0, side), said(&straight, 0, side));
            prop_assert_eq!(bytes_of(&capture, side), bytes_of(&straight, side));
            prop_assert_eq!(capture.streams[0].facts.side(side).counts.conflicting, 0);
        }
    }

    #[test]
    fn no_file_makes_it_fail(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = segments(connection(&a_says(), &b_says(), 300));
        for (index, byte) in damage {
            *index.get_mut(&mut file[24..]) = byte;
        }
        file.truncate(cut.index(file.len()) + 1);
        let capture = dissect(&file);
        for (index, _) in capture.streams.iter().enumerate() {
            accounted(&capture, index, Side::A);
            accounted(&capture, index, Side::B);
        }
    }
}

#[test]
fn flags_of_the_end_come_with_data() {
    let bytes = b_says();
    let mut all = connection(&a_says(), &bytes, 1 << 15);
    // The last segment of B's data carries its FIN.
    let end = all.len() - 4;
    all.truncate(end);
    all[end - 1].flags |= FIN;
    let capture = dissect(&segments(all));
    assert!(matches!(capture.streams[0].facts.side(Side::B).ended, Some((_, Ending::Closed))));
    assert_eq!(messages(&capture, Side::B).len(), 3);
}
