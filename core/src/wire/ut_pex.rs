//! Peer exchange (BEP 11): the payload of a `ut_pex` message.
//!
//! A message is a dictionary: who has been connected since the last one (`added`, with a byte of flags for each), and who is not
//! any more (`dropped`), IPv4 and IPv6 apart. Clients in the wild leave out what they have nothing for, send flags that are fewer
//! or more than the contacts, and cut a contact off in the middle; what is whole is read.
//!
//! ```
//! use parcacik_core::wire::{PexFlags, PexMessage, PexPeer};
//!
//! let peer = PexPeer { addr: "192.0.2.1:6881".parse().unwrap(), flags: PexFlags::SEED | PexFlags::REACHABLE };
//! let message = PexMessage { added: vec![peer], dropped: vec![] };
//! assert_eq!(message.emit(), b"d5:added6:\xc0\x00\x02\x01\x1a\xe17:added.f1:\x12e");
//! assert_eq!(PexMessage::parse(&message.emit()).unwrap(), message);
//! ```

use super::NotADictionary;
use crate::bencode::{Document, Limits, Mode, encode_dict};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::BitOr;

/// What a contact is said to be: BEP 11's flags. Hearsay, never more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// "prefers encryption, as indicated by `e` field in extension handshake".
    pub const ENCRYPTION: PexFlags = PexFlags(0x01);
    /// "seed/upload_only".
    pub const SEED: PexFlags = PexFlags(0x02);
    /// "supports uTP".
    pub const UTP: PexFlags = PexFlags(0x04);
    /// "peer indicated `ut_holepunch` support in extension handshake".
    pub const HOLEPUNCH: PexFlags = PexFlags(0x08);
    /// "outgoing connection, peer is reachable".
    pub const REACHABLE: PexFlags = PexFlags(0x10);

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: PexFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags where `condition` holds, else none.
    #[must_use]
    pub const fn when(self, condition: bool) -> PexFlags {
        if condition { self } else { PexFlags(0) }
    }
}

impl BitOr for PexFlags {
    type Output = PexFlags;

    fn bitor(self, other: PexFlags) -> PexFlags {
        PexFlags(self.0 | other.0)
    }
}

/// A contact that somebody is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PexPeer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it is said to be.
    pub flags: PexFlags,
}

/// A `ut_pex` message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PexMessage {
    /// Who has been connected, IPv4 first, in the order of the message. As they were named: nothing of it is checked.
    pub added: Vec<PexPeer>,
    /// Who is not connected any more.
    pub dropped: Vec<SocketAddr>,
}

impl PexMessage {
    /// Six strings, and room for keys that others add. The length is bounded by the framer.
    const LIMITS: Limits = Limits { bytes: 1 << 20, depth: 8, tokens: 256 };

    /// Reads a payload. A value of a wrong type is left out, as is half a contact; flags that are missing are 0.
    ///
    /// # Errors
    /// Only for what is no dictionary at all.
    pub fn parse(payload: &[u8]) -> Result<PexMessage, NotADictionary> {
        let document = Document::decode(payload, Mode::Tolerant, &Self::LIMITS).map_err(|_| NotADictionary)?;
        let dict = document.root().dict().ok_or(NotADictionary)?;
        let bytes = |key| dict.get(key).and_then(|value| value.bytes()).unwrap_or_default();
        let mut message = PexMessage::default();
        for (key, flags, contacts) in [
            ("added", "added.f", contacts_v4 as fn(&[u8]) -> Vec<SocketAddr>),
            ("added6", "added6.f", contacts_v6 as fn(&[u8]) -> Vec<SocketAddr>),
        ] {
            let flags = bytes(flags).iter().map(|&flags| PexFlags(flags)).chain(core::iter::repeat(PexFlags(0)));
            let peers = contacts(bytes(key)).into_iter().zip(flags).map(|(addr, flags)| PexPeer { addr, flags });
            message.added.extend(peers);
        }
        message.dropped = contacts_v4(bytes("dropped"));
        message.dropped.extend(contacts_v6(bytes("dropped6")));
        Ok(message)
    }

    /// The payload, canonical: keys for which there is nothing are left out. IPv4 addresses inside IPv6 ones are written as IPv4.
    pub fn emit(&self) -> Vec<u8> {
        let [mut added, mut flags, mut dropped] = [const { [const { Vec::new() }; 2] }; 3];
        for peer in &self.added {
            let family = usize::from(put_contact(&mut added, peer.addr));
            flags[family].push(peer.flags.0);
        }
        for &addr in &self.dropped {
            put_contact(&mut dropped, addr);
        }
        encode_dict(|dict| {
            for (family, [key_added, key_flags, key_dropped]) in
                [["added", "added.f", "dropped"], ["added6", "added6.f", "dropped6"]].into_iter().enumerate()
            {
                for (key, value) in
                    [(key_added, &added[family]), (key_flags, &flags[family]), (key_dropped, &dropped[family])]
                {
                    if !value.is_empty() {
                        dict.bytes(key, value);
                    }
                }
            }
        })
    }

    /// Whether it says nothing. BEP 11: "Messages must contain at least one of the following fields: `added, added6, dropped,
    /// dropped6`."
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }
}

/// Appends a contact to the list of its family; true: IPv6.
fn put_contact(lists: &mut [Vec<u8>; 2], addr: SocketAddr) -> bool {
    let v6 = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            lists[0].extend(ip.octets());
            false
        }
        IpAddr::V6(ip) => {
            lists[1].extend(ip.octets());
            true
        }
    };
    lists[usize::from(v6)].extend(addr.port().to_be_bytes());
    v6
}

fn contacts_v4(bytes: &[u8]) -> Vec<SocketAddr> {
    let contact = |[a, b, c, d, high, low]: [u8; 6]| {
        SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
    };
    bytes.as_chunks().0.iter().copied().map(contact).collect()
}

fn contacts_v6(bytes: &[u8]) -> Vec<SocketAddr> {
    let contact = |bytes: &[u8; 18]| {
        let (mut ip, mut port) = ([0; 16], [0; 2]);
        ip.copy_from_slice(&bytes[..16]);
        port.copy_from_slice(&bytes[16..]);
        SocketAddr::from((Ipv6Addr::from(ip), u16::from_be_bytes(port)))
    };
    bytes.as_chunks().0.iter().map(contact).collect()
}

#[cfg(test)]
mod tests;
