//! IPv4 and IPv6: headers, extension headers, fragments; and the ports of what they carry.

use super::packet::{Packet, Transport, Unfollowed, be16, be32, tcp_head};
use super::{CaptureLimits, Stamp};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Extension headers of one packet; RFC 8200 recommends six at most.
const MAX_EXTENSIONS: usize = 16;
/// The most parts that a packet of 64 KiB comes in at the smallest size that a link may carry (RFC 791: 68 bytes, 8 of them
/// data, are for museums; 576 are for links).
const MAX_PARTS: usize = 128;
/// The longest packet.
const MAX_PACKET: usize = 65_535;

/// Reads IP packets, and puts fragments together.
#[derive(Clone, Debug, Default)]
pub(super) struct IpReader {
    partial: BTreeMap<FragmentKey, Partial>,
}

type FragmentKey = (IpAddr, IpAddr, u32, u8);

/// A packet of which fragments have come.
#[derive(Clone, Debug)]
struct Partial {
    first: Stamp,
    parts: Vec<(usize, Bytes)>,
    /// Its length, once the last fragment has come.
    length: Option<usize>,
}

/// What an IP packet carries.
struct Carried {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    payload: Bytes,
    /// So many bytes more are said to be there.
    missing: u32,
    fragment: Option<Fragment>,
}

struct Fragment {
    id: u32,
    offset: usize,
    more: bool,
}

impl IpReader {
    /// Reads a packet.
    pub(super) fn read(&mut self, time: Stamp, packet: &Bytes, limits: &CaptureLimits) -> Result<Packet, Unfollowed> {
        let mut carried = match packet.first().map(|first| first >> 4) {
            Some(4) => ipv4(packet)?,
            Some(6) => ipv6(packet)?,
            _ => return Err(Unfollowed::Malformed),
        };
        if !matches!(carried.protocol, TCP | UDP) {
            return Err(Unfollowed::Other);
        }
        if let Some(fragment) = carried.fragment.take() {
            carried.payload = self.fragment(time, &carried, &fragment, limits)?;
        }
        transport(carried)
    }

    /// Takes a fragment; gives the payload of the packet once it is whole.
    fn fragment(
        &mut self,
        time: Stamp,
        carried: &Carried,
        fragment: &Fragment,
        limits: &CaptureLimits,
    ) -> Result<Bytes, Unfollowed> {
        let end = fragment.offset + carried.payload.len();
        if carried.missing > 0 || end > MAX_PACKET {
            return Err(Unfollowed::Malformed);
        }
        let key = (carried.from, carried.to, fragment.id, carried.protocol);
        if !self.partial.contains_key(&key) {
            self.make_room(time, limits);
        }
        let partial = self.partial.entry(key).or_insert(Partial { first: time, parts: Vec::new(), length: None });
        if partial.parts.len() >= MAX_PARTS {
            return Err(Unfollowed::Fragment);
        }
        if !fragment.more {
            partial.length.get_or_insert(end);
        }
        // Of two that overlap, the first wins: it is written last. Copied, as it may wait for long, and the buffer around it is larger.
        partial.parts.push((fragment.offset, Bytes::copy_from_slice(&carried.payload)));
        let whole = partial.whole().ok_or(Unfollowed::Fragment)?;
        self.partial.remove(&key);
        Ok(whole)
    }

    /// Forgets packets whose fragments take too long, and the oldest when there are too many.
    fn make_room(&mut self, now: Stamp, limits: &CaptureLimits) {
        self.partial.retain(|_, partial| now.since(partial.first) <= limits.fragment_patience);
        if self.partial.len() >= limits.max_fragmented as usize
            && let Some(oldest) = self.partial.iter().min_by_key(|(_, partial)| partial.first).map(|(key, _)| *key)
        {
            self.partial.remove(&oldest);
        }
    }
}

impl Partial {
    /// The payload, when every byte of it is there.
    fn whole(&self) -> Option<Bytes> {
        let length = self.length?;
        let mut order: Vec<(usize, usize)> = self.parts.iter().map(|(at, part)| (*at, at + part.len())).collect();
        order.sort_unstable();
        let covered = order.iter().try_fold(0, |covered, &(start, end)| (start <= covered).then(|| covered.max(end)));
        if covered? < length {
            return None;
        }
        let mut whole = alloc::vec![0; length];
        for (at, part) in self.parts.iter().rev() {
            let end = (at + part.len()).min(length);
            if let Some(place) = whole.get_mut(*at..end) {
                place.copy_from_slice(&part[..place.len()]);
            }
        }
        Some(whole.into())
    }
}

fn ipv4(packet: &Bytes) -> Result<Carried, Unfollowed> {
    let head = packet.first_chunk::<20>().ok_or(Unfollowed::Malformed)?;
    let header = usize::from(head[0] & 15) * 4;
    let total = usize::from(be16(head, 2).unwrap_or(0));
    // A network card that is handed more than fits is told no length.
    let total = if total == 0 { packet.len() } else { total };
    if header < 20 || total < header || packet.len() < header {
        return Err(Unfollowed::Malformed);
    }
    let flags = be16(head, 6).unwrap_or(0);
    let (offset, more) = (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let fragment = (offset > 0 || more).then(|| Fragment { id: u32::from(be16(head, 4).unwrap_or(0)), offset, more });
    let ip = |at: usize| IpAddr::V4(Ipv4Addr::from(be32(head, at).unwrap_or(0)));
    // A short frame is padded to the least that its link carries: what lies behind the packet's length is not of it.
    let payload = packet.slice(header..total.min(packet.len()));
    let missing = (total - header - payload.len()) as u32;
    Ok(Carried { from: ip(12), to: ip(16), protocol: head[9], payload, missing, fragment })
}

fn ipv6(packet: &Bytes) -> Result<Carried, Unfollowed> {
    let head = packet.first_chunk::<40>().ok_or(Unfollowed::Malformed)?;
    let ip = |at: usize| {
        let bytes = head.get(at..).and_then(|rest| rest.first_chunk::<16>()).copied().unwrap_or_default();
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    let length = usize::from(be16(head, 4).unwrap_or(0));
    // 0 with a jumbo payload (RFC 2675), which a loopback device may have.
    let total = if length == 0 { packet.len() } else { 40 + length };
    let (mut protocol, mut at, mut fragment) = (head[6], 40, None);
    for _ in 0..MAX_EXTENSIONS {
        let field = |offset: usize| packet.get(at + offset).copied().ok_or(Unfollowed::Malformed);
        let step = match protocol {
            // Hop-by-hop options, routing, destination options: counted in 8 bytes, the first not counted.
            0 | 43 | 60 => (usize::from(field(1)?) + 1) * 8,
            // Authentication: counted in 4 bytes, the first two not counted.
            51 => (usize::from(field(1)?) + 2) * 4,
            44 => {
                let place = be16(packet, at + 2).ok_or(Unfollowed::Malformed)?;
                let id = be32(packet, at + 4).ok_or(Unfollowed::Malformed)?;
                let (offset, more) = (usize::from(place & 0xfff8), place & 1 != 0);
                // An "atomic" fragment (RFC 6946) is the whole packet.
                fragment = (offset > 0 || more).then_some(Fragment { id, offset, more });
                8
            }
            _ => break,
        };
        protocol = field(0)?;
        at += step;
        if fragment.as_ref().is_some_and(|fragment| fragment.offset > 0) {
            // What follows is the middle of something.
            break;
        }
    }
    if at > packet.len() || total < at {
        return Err(Unfollowed::Malformed);
    }
    let payload = packet.slice(at..total.min(packet.len()).max(at));
    let missing = (total - at - payload.len()) as u32;
    Ok(Carried { from: ip(8), to: ip(24), protocol, payload, missing, fragment })
}

/// The ports, and what lies behind the header.
fn transport(carried: Carried) -> Result<Packet, Unfollowed> {
    let Carried { from, to, protocol, payload, missing, .. } = carried;
    let (source, target, transport, header) = if protocol == TCP {
        let (source, target, tcp, header) = tcp_head(&payload).ok_or(Unfollowed::Malformed)?;
        (source, target, Transport::Tcp(tcp), header)
    } else {
        let ports = be16(&payload, 0).zip(be16(&payload, 2)).ok_or(Unfollowed::Malformed)?;
        (ports.0, ports.1, Transport::Udp, 8)
    };
    let declared = payload.len().saturating_add(missing as usize);
    if header > declared {
        return Err(Unfollowed::Malformed);
    }
    // The options of a header may be cut off, and nothing else be missing but what they are followed by.
    let start = header.min(payload.len());
    let cut = (header - start) as u32;
    let packet = Packet {
        from: SocketAddr::new(from, source),
        to: SocketAddr::new(to, target),
        transport,
        payload: payload.slice(start..),
        missing: missing.saturating_sub(cut),
    };
    Ok(packet)
}

#[cfg(test)]
mod tests;
