//! From a frame to a TCP segment or a UDP datagram: link layer, IP (in [`ip`](super::ip)), ports.
//!
//! Checksums are not looked at: in captures of the sending machine they are mostly left to the network card, and wrong.

use bytes::Bytes;
use core::net::SocketAddr;

/// What of a frame can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub transport: Transport,
    /// What it carries, as far as it was captured.
    pub payload: Bytes,
    /// So many further bytes of it were not captured.
    pub missing: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp(TcpHead),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpHead {
    pub sequence: u32,
    /// The acknowledgement number, when there is one.
    pub ack: Option<u32>,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    pub window: u16,
}

/// Why a frame is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfollowed {
    /// A link type that is not known.
    Link,
    /// No IP, or neither TCP nor UDP.
    Other,
    /// A header that contradicts itself or was not captured whole.
    Malformed,
    /// A part of a packet whose other parts are still to come.
    Fragment,
}

const ETHER_IPV4: u16 = 0x0800;
const ETHER_IPV6: u16 = 0x86dd;
/// The tags of IEEE 802.1Q and 802.1ad, and what stood for the latter before it was a standard.
const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Tags within tags: two are in use.
const MAX_TAGS: usize = 4;

/// The IP packet in a frame of this link type.
pub(super) fn ip_of(link: u16, frame: &Bytes) -> Result<Bytes, Unfollowed> {
    match link {
        // Ethernet: two addresses of six bytes, the type.
        1 => ether(frame, 12),
        // Linux "cooked" captures (`tcpdump -i any`): 16 bytes with the type at the end; 20 bytes with the type in front.
        113 => ether(frame, 14),
        276 => {
            let kind = be16(frame, 0).ok_or(Unfollowed::Malformed)?;
            tagged(frame, kind, 20)
        }
        // BSD loopback: the address family in four bytes, in the order of the machine or (108) big-endian.
        0 | 108 => {
            let family: [u8; 4] = *frame.first_chunk().ok_or(Unfollowed::Malformed)?;
            let family = match u32::from_be_bytes(family) {
                small if small <= 0xffff => small,
                _ => u32::from_le_bytes(family),
            };
            match family {
                // 2 everywhere; IPv6 is 24 in NetBSD and OpenBSD, 28 in FreeBSD, 30 in macOS, 10 in Linux, 23 in Windows.
                2 | 10 | 23 | 24 | 28 | 30 => Ok(frame.slice(4..)),
                _ => Err(Unfollowed::Other),
            }
        }
        // Raw IP: its own number, two that systems used for it, and those for one version alone.
        101 | 12 | 14 | 228 | 229 => Ok(frame.clone()),
        _ => Err(Unfollowed::Link),
    }
}

/// A frame with its type at `at` and what it carries behind that.
fn ether(frame: &Bytes, at: usize) -> Result<Bytes, Unfollowed> {
    let kind = be16(frame, at).ok_or(Unfollowed::Malformed)?;
    tagged(frame, kind, at + 2)
}

/// What lies at `at`, of this type, behind tags.
fn tagged(frame: &Bytes, mut kind: u16, mut at: usize) -> Result<Bytes, Unfollowed> {
    for _ in 0..MAX_TAGS {
        if !VLAN.contains(&kind) {
            break;
        }
        kind = be16(frame, at + 2).ok_or(Unfollowed::Malformed)?;
        at += 4;
    }
    match kind {
        ETHER_IPV4 | ETHER_IPV6 if at <= frame.len() => Ok(frame.slice(at..)),
        ETHER_IPV4 | ETHER_IPV6 => Err(Unfollowed::Malformed),
        _ => Err(Unfollowed::Other),
    }
}

/// Reads a TCP header: what it says, and how long it is.
pub(super) fn tcp_head(bytes: &[u8]) -> Option<(u16, u16, TcpHead, usize)> {
    let head = bytes.first_chunk::<20>()?;
    let length = usize::from(head[12] >> 4) * 4;
    let flags = head[13];
    let sequence = be32(head, 4)?;
    let ack = if flags & 0x10 != 0 { be32(head, 8) } else { None };
    let window = be16(head, 14)?;
    let (fin, syn, rst) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
    let tcp = TcpHead { sequence, ack, syn, fin, rst, window };
    (length >= 20).then_some((be16(head, 0)?, be16(head, 2)?, tcp, length))
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
