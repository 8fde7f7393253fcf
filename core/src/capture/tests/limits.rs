//! What a capture can make a dissector hold.

use super::{emitted, handshake, piece};
use crate::capture::testing::{ACK, RAW, SYN, Segment, connection, pcap, segments};
use crate::capture::{CaptureLimits, Dissector, dissect_with};
use alloc::vec::Vec;

#[test]
fn connections_beyond_the_limit_are_counted() {
    // Each SYN of another number is another connection.
    let many = (0..50u32).map(|number| Segment::flags(true, SYN, number * 1000, 0));
    let limits = CaptureLimits { max_streams: 10, ..CaptureLimits::default() };
    let capture = dissect_with(&segments(many), limits);
    assert_eq!((capture.streams.len(), capture.facts.unfollowed), (10, 40));
}

#[test]
fn what_all_hold_together_is_bounded() {
    let limits = CaptureLimits { max_held: 300_000, ..CaptureLimits::default() };
    let mut dissector = Dissector::new(limits.clone());
    // Connections of 50 ports, each in the middle of a long message and with bytes that wait.
    let mut most = 0;
    let message = emitted(&[piece(0, 0, 100_000)]);
    let bytes = [&handshake(1)[..], &message[..50_000]].concat();
    let mut file = pcap(RAW, 65_535, Vec::<Vec<u8>>::new());
    dissector.feed(&file);
    for port in 0..50u16 {
        let all = connection(&bytes, &handshake(2), 1000);
        let end = all.len() - 4;
        let frames = all[..end].iter().enumerate().filter(|(index, _)| *index != 10).map(|(_, segment)| {
            let mut packet = segment.packet();
            let at = if segment.from_a { 20 } else { 22 };
            packet[at..at + 2].copy_from_slice(&(1000 + port).to_be_bytes());
            packet
        });
        file = pcap(RAW, 65_535, frames);
        dissector.feed(&file[24..]);
        most = most.max(dissector.held());
        while dissector.heard().is_some() {}
    }
    assert!(most > 200_000, "{most}");
    assert!(most <= limits.max_held + 200_000, "{most}");
    dissector.finish();
    assert_eq!(dissector.held(), 0);
}

#[test]
fn a_search_keeps_no_more_than_its_window() {
    let limits = CaptureLimits { search_window: 1000, ..CaptureLimits::default() };
    let mut dissector = Dissector::new(limits);
    // The head of a message that is longer than the window, over and over.
    let head = emitted(&[piece(0, 0, 120_000)])[..13].repeat(2000);
    let all: Vec<Segment> = connection(&head, b"", 500).into_iter().skip(3).collect();
    for segment in &all[..all.len() - 4] {
        let file = segments([Segment { flags: ACK, ..segment.clone() }]);
        dissector.feed(if dissector.facts().frames == 0 { &file } else { &file[24..] });
        assert!(dissector.held() < 70_000 + 3_000, "{}", dissector.held());
    }
}
