//! Captures made by hand, for the tests of this module.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// Who dials in these captures.
pub(super) const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 50_000);
/// Who is dialled.
pub(super) const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 6881);

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// A segment.
#[derive(Clone, Debug)]
pub(super) struct Segment<'a> {
    pub from_a: bool,
    pub sequence: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// A segment of A's with data, which acknowledges nothing.
    pub(super) fn data(sequence: u32, payload: &'a [u8]) -> Segment<'a> {
        Segment { from_a: true, sequence, ack: 0, flags: 0, window: 1000, payload }
    }

    /// One of A's or B's with these flags.
    pub(super) fn flags(from_a: bool, flags: u8, sequence: u32, ack: u32) -> Segment<'a> {
        Segment { from_a, sequence, ack, flags, window: 1000, payload: &[] }
    }

    /// The TCP segment.
    pub(super) fn tcp(&self) -> Vec<u8> {
        let (from, to) = if self.from_a { (A.port(), B.port()) } else { (B.port(), A.port()) };
        let mut out = Vec::new();
        out.extend(from.to_be_bytes());
        out.extend(to.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.ack.to_be_bytes());
        out.extend([5 << 4, self.flags]);
        out.extend(self.window.to_be_bytes());
        // A checksum that is not computed, and no urgent data.
        out.extend([0; 4]);
        out.extend(self.payload);
        out
    }

    /// The IPv4 packet.
    pub(super) fn packet(&self) -> Vec<u8> {
        let (from, to) = if self.from_a { (A, B) } else { (B, A) };
        ipv4(*from.ip(), *to.ip(), 6, &self.tcp())
    }
}

/// An IPv4 packet.
pub(super) fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(from, to, protocol, payload, 0, 0)
}

/// An IPv4 packet that is a fragment: `place` is the field with the flags and the offset.
pub(super) fn ipv4_fragment(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
    id: u16,
    place: u16,
) -> Vec<u8> {
    let mut out = Vec::from([0x45, 0]);
    out.extend((20 + payload.len() as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(place.to_be_bytes());
    out.extend([64, protocol, 0, 0]);
    out.extend(from.octets());
    out.extend(to.octets());
    out.extend(payload);
    out
}

/// An IPv6 packet whose first header behind its own is `next`.
pub(super) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::from([0x60, 0, 0, 0]);
    out.extend((payload.len() as u16).to_be_bytes());
    out.extend([next, 64]);
    out.extend(from.octets());
    out.extend(to.octets());
    out.extend(payload);
    out
}

/// A UDP datagram in an IPv4 packet.
pub(super) fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    ipv4(*from.ip(), *to.ip(), 17, &udp(from.port(), to.port(), payload))
}

/// A UDP datagram.
pub(super) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(from.to_be_bytes());
    out.extend(to.to_be_bytes());
    out.extend((8 + payload.len() as u16).to_be_bytes());
    out.extend([0; 2]);
    out.extend(payload);
    out
}

/// The raw IP link type.
pub(super) const RAW: u32 = 101;

/// A pcap file (little-endian, microseconds) of these frames, a millisecond apart from each other; of each, `snap` bytes are kept.
pub(super) fn pcap(link: u32, snap: usize, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(0xa1b2_c3d4u32.to_le_bytes());
    out.extend(2u16.to_le_bytes());
    out.extend(4u16.to_le_bytes());
    out.extend([0; 8]);
    out.extend((snap as u32).to_le_bytes());
    out.extend(link.to_le_bytes());
    for (index, frame) in frames.into_iter().enumerate() {
        let micros = 1_700_000_000_000_000 + 1000 * index as u64;
        let kept = frame.len().min(snap);
        out.extend(((micros / 1_000_000) as u32).to_le_bytes());
        out.extend(((micros % 1_000_000) as u32).to_le_bytes());
        out.extend((kept as u32).to_le_bytes());
        out.extend((frame.len() as u32).to_le_bytes());
        out.extend(&frame[..kept]);
    }
    out
}

/// The same of segments, as raw IP.
pub(super) fn segments<'a>(segments: impl IntoIterator<Item = Segment<'a>>) -> Vec<u8> {
    pcap(RAW, 65_535, segments.into_iter().map(|segment| segment.packet()))
}

/// A connection whose three first segments and last four are there, and on which A and B speak at the same time, in parts of so many bytes.
pub(super) fn connection(a: &[u8], b: &[u8], part: usize) -> Vec<Segment<'static>> {
    let mut turns = Vec::new();
    let (mut parts_a, mut parts_b) = (a.chunks(part), b.chunks(part));
    loop {
        let (next_a, next_b) = (parts_a.next(), parts_b.next());
        if next_a.is_none() && next_b.is_none() {
            return dialogue(&turns, part);
        }
        turns.extend(next_a.map(|bytes| (true, bytes)));
        turns.extend(next_b.map(|bytes| (false, bytes)));
    }
}

/// The same of A (true) and B taking turns. The sequence numbers begin near the end of their range.
pub(super) fn dialogue(turns: &[(bool, &[u8])], part: usize) -> Vec<Segment<'static>> {
    const FIRST_A: u32 = u32::MAX - 100;
    const FIRST_B: u32 = u32::MAX - 7;
    let mut out = Vec::from([
        Segment::flags(true, SYN, FIRST_A, 0),
        Segment::flags(false, SYN | ACK, FIRST_B, FIRST_A.wrapping_add(1)),
        Segment::flags(true, ACK, FIRST_A.wrapping_add(1), FIRST_B.wrapping_add(1)),
    ]);
    let (mut at_a, mut at_b) = (FIRST_A.wrapping_add(1), FIRST_B.wrapping_add(1));
    for (from_a, bytes) in turns {
        for payload in bytes.chunks(part) {
            // A test ends soon.
            let payload: &'static [u8] = Vec::leak(payload.to_vec());
            let (own, other) = if *from_a { (&mut at_a, at_b) } else { (&mut at_b, at_a) };
            out.push(Segment { payload, ..Segment::flags(*from_a, ACK, *own, other) });
            *own = own.wrapping_add(payload.len() as u32);
        }
    }
    out.push(Segment::flags(true, FIN | ACK, at_a, at_b));
    out.push(Segment::flags(false, ACK, at_b, at_a.wrapping_add(1)));
    out.push(Segment::flags(false, FIN | ACK, at_b, at_a.wrapping_add(1)));
    out.push(Segment::flags(true, ACK, at_a.wrapping_add(1), at_b.wrapping_add(1)));
    out
}

/// The address as [`SocketAddr`].
pub(super) fn addr(addr: SocketAddrV4) -> SocketAddr {
    SocketAddr::V4(addr)
}
