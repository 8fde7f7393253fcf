use super::IpReader;
use crate::capture::packet::{Packet, Transport, Unfollowed, ip_of};
use crate::capture::testing::{A, ACK, B, SYN, Segment, datagram, ipv4, ipv4_fragment, ipv6, udp};
use crate::capture::{CaptureLimits, Stamp};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::Ipv6Addr;
use core::time::Duration;
use proptest::prelude::*;

fn read(link: u16, frame: &[u8]) -> Result<Packet, Unfollowed> {
    let packet = ip_of(link, &Bytes::copy_from_slice(frame))?;
    IpReader::default().read(Stamp(0), &packet, &CaptureLimits::default())
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const V6_A: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const V6_B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

#[test]
fn every_link_type_leads_to_the_same_packet() {
    let segment = Segment { payload: b"abc", ..Segment::flags(true, SYN | ACK, 7, 9) };
    let packet = segment.packet();
    let expected = read(101, &packet).expect("it is raw");
    assert_eq!((expected.from, expected.to), (A.into(), B.into()));
    assert_eq!(&expected.payload[..], b"abc");
    let Transport::Tcp(head) = expected.transport else { panic!("it is TCP") };
    assert_eq!(
        (head.sequence, head.ack, head.syn, head.fin, head.rst, head.window),
        (7, Some(9), true, false, false, 1000)
    );
    let macs = [0; 12];
    let tag = [0x81, 0, 0, 5];
    for (link, frame) in [
        (1, joined(&[&macs, &[8, 0], &packet])),
        // A short frame is padded.
        (1, joined(&[&macs, &[8, 0], &packet, &[0; 6]])),
        (1, joined(&[&macs, &tag, &[8, 0], &packet])),
        (1, joined(&[&macs, &[0x88, 0xa8, 0, 1], &tag, &[8, 0], &packet])),
        (0, joined(&[&2u32.to_le_bytes(), &packet])),
        (0, joined(&[&2u32.to_be_bytes(), &packet])),
        (108, joined(&[&2u32.to_be_bytes(), &packet])),
        (12, packet.clone()),
        (14, packet.clone()),
        (228, packet.clone()),
        (113, joined(&[&[0; 14], &[8, 0], &packet])),
        (276, joined(&[&[8, 0], &[0; 18], &packet])),
    ] {
        assert_eq!(read(link, &frame), Ok(expected.clone()), "{link}");
    }
}

#[test]
fn what_is_not_followed_is_told_apart() {
    let packet = Segment::data(0, b"abc").packet();
    assert_eq!(read(147, &packet), Err(Unfollowed::Link));
    // ARP; a family that is no IP; ICMP.
    assert_eq!(read(1, &joined(&[&[0; 12], &[8, 6], &[0; 28]])), Err(Unfollowed::Other));
    assert_eq!(read(0, &joined(&[&7u32.to_le_bytes(), &packet])), Err(Unfollowed::Other));
    assert_eq!(read(101, &ipv4(*A.ip(), *B.ip(), 1, b"ping")), Err(Unfollowed::Other));
    // More tags than anybody has.
    assert_eq!(read(1, &joined(&[&[0; 12], &[0x81, 0, 0, 1].repeat(5), &[8, 0], &packet])), Err(Unfollowed::Other));
    for length in 0..packet.len() - 3 {
        // A header of which a part is missing; 32 bytes have ports, numbers and flags.
        let cut = read(101, &packet[..length]);
        assert!(cut == Err(Unfollowed::Malformed), "{length}: {cut:?}");
    }
}

#[test]
fn what_the_capture_cut_off_is_missing() {
    let packet = Segment::data(5, b"abcdef").packet();
    let cut = read(101, &packet[..packet.len() - 4]).expect("the header is whole");
    assert_eq!((&cut.payload[..], cut.missing), (&b"ab"[..], 4));
}

#[test]
fn a_length_of_zero_is_all_there_is() {
    let mut packet = Segment::data(5, b"abcdef").packet();
    packet[2..4].fill(0);
    assert_eq!(&read(101, &packet).expect("it is large").payload[..], b"abcdef");
    let mut packet = ipv6(V6_A, V6_B, 6, &Segment::data(5, b"abcdef").tcp());
    packet[4..6].fill(0);
    assert_eq!(&read(101, &packet).expect("it is large").payload[..], b"abcdef");
}

#[test]
fn headers_of_ipv6_are_passed_over() {
    let tcp = Segment::data(5, b"abc").tcp();
    let plain = read(229, &ipv6(V6_A, V6_B, 6, &tcp)).expect("it is plain");
    assert_eq!((plain.from.ip(), plain.from.port()), (V6_A.into(), A.port()));
    // Hop-by-hop options of 8 bytes, routing of 24, authentication of 24, destination options of 8, an atomic fragment.
    let chain = joined(&[
        &[43, 0, 1, 4, 0, 0, 0, 0],
        &[51, 2],
        &[0; 22],
        &[60, 4],
        &[0; 22],
        &[44, 0, 1, 4, 0, 0, 0, 0],
        &[6, 0, 0, 0, 0, 0, 0, 9],
        &tcp,
    ]);
    assert_eq!(read(101, &ipv6(V6_A, V6_B, 0, &chain)), Ok(plain));
    // A chain without an end; one that ends outside.
    let endless = [0, 0, 1, 4, 0, 0, 0, 0].repeat(40);
    assert_eq!(read(101, &ipv6(V6_A, V6_B, 0, &endless)), Err(Unfollowed::Other));
    assert_eq!(read(101, &ipv6(V6_A, V6_B, 0, &[6, 9, 0, 0])), Err(Unfollowed::Malformed));
}

/// Reads fragments, in this order; gives what came of each.
fn feed(reader: &mut IpReader, fragments: &[Vec<u8>]) -> Vec<Result<Packet, Unfollowed>> {
    let limits = CaptureLimits::default();
    fragments.iter().map(|packet| reader.read(Stamp(0), &Bytes::copy_from_slice(packet), &limits)).collect()
}

/// A datagram of 60 bytes in three IPv4 fragments.
fn fragments(id: u16) -> [Vec<u8>; 3] {
    let whole = udp(A.port(), B.port(), &[b'x'; 52]);
    let part = |range: core::ops::Range<usize>, more: u16| {
        let place = more << 13 | (range.start / 8) as u16;
        ipv4_fragment(*A.ip(), *B.ip(), 17, &whole[range], id, place)
    };
    [part(0..24, 1), part(24..48, 1), part(48..60, 0)]
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let expected = read(101, &datagram(A, B, &[b'x'; 52]));
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let parts = fragments(1);
        let mut reader = IpReader::default();
        let got = feed(&mut reader, &order.map(|index| parts[index].clone()));
        assert_eq!(got[..2], [Err(Unfollowed::Fragment), Err(Unfollowed::Fragment)]);
        assert_eq!(got[2], expected);
        assert!(reader.partial.is_empty());
    }
    // IPv6, with the header for it.
    let whole = udp(A.port(), B.port(), &[b'x'; 52]);
    let part = |range: core::ops::Range<usize>, more: u16| {
        let place = (range.start as u16 | more).to_be_bytes();
        let payload = joined(&[&[17, 0], &place, &7u32.to_be_bytes(), &whole[range]]);
        ipv6(V6_A, V6_B, 44, &payload)
    };
    let got = feed(&mut IpReader::default(), &[part(24..60, 0), part(0..24, 1)]);
    assert_eq!(got[0], Err(Unfollowed::Fragment));
    assert_eq!(&got[1].as_ref().expect("it is whole").payload[..], &[b'x'; 52]);
}

#[test]
fn of_fragments_over_each_other_the_first_wins() {
    let [first, second, third] = fragments(1);
    let mut other = second.clone();
    other[20..].fill(b'y');
    let got = feed(&mut IpReader::default(), &[second, other, third, first]);
    assert_eq!(&got[3].as_ref().expect("it is whole").payload[..], &[b'x'; 52]);
}

#[test]
fn fragments_are_not_kept_for_ever() {
    let limits = CaptureLimits { max_fragmented: 3, ..CaptureLimits::default() };
    let mut reader = IpReader::default();
    for id in 0..10 {
        let [first, ..] = fragments(id);
        let time = Stamp(u64::from(id));
        assert_eq!(reader.read(time, &Bytes::from(first), &limits), Err(Unfollowed::Fragment));
        assert!(reader.partial.len() <= 3);
    }
    // The oldest were given up; and all of them after a while.
    assert!(reader.partial.keys().all(|key| key.2 >= 7));
    let late = Stamp(10).0 + (limits.fragment_patience + Duration::from_secs(1)).as_nanos() as u64;
    let [first, ..] = fragments(99);
    assert_eq!(reader.read(Stamp(late), &Bytes::from(first), &limits), Err(Unfollowed::Fragment));
    assert_eq!(reader.partial.len(), 1);
    // One packet has so many parts, and no more.
    for _ in 0..1000 {
        let [_, second, _] = fragments(99);
        assert_eq!(reader.read(Stamp(late), &Bytes::from(second), &limits), Err(Unfollowed::Fragment));
    }
    assert!(reader.partial.values().all(|partial| partial.parts.len() <= super::MAX_PARTS));
}

proptest! {
    #[test]
    fn no_frame_makes_it_fail(
        link in prop_oneof![Just(0u16), Just(1), Just(101), Just(108), Just(113), Just(276)],
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..20),
        first in prop_oneof![Just(0x45u8), Just(0x60), any::<u8>()],
    ) {
        let mut reader = IpReader::default();
        let limits = CaptureLimits::default();
        for mut frame in frames {
            if let Some(byte) = frame.first_mut() {
                *byte = first;
            }
            if let Ok(packet) = ip_of(link, &Bytes::from(frame)) {
                let _ = reader.read(Stamp(0), &packet, &limits);
            }
        }
    }
}
