//! The first 68 bytes of a connection.
//!
//! BEP 3: "The handshake starts with character ninteen (decimal) followed by the string 'BitTorrent protocol'. [...] After
//! the fixed headers come eight reserved bytes [...] Next comes the 20 byte sha1 hash of the bencoded form of the info
//! value [...] After the download hash comes the 20-byte peer id".

use crate::border::{InfoHash, PeerId};
use core::fmt;

/// The length of a handshake in bytes.
pub const HANDSHAKE_LENGTH: usize = 68;

const PREFIX: &[u8; 20] = b"\x13BitTorrent protocol";

/// The eight reserved bytes: what each side can do. Unknown bits are kept and mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// What we can always do: the fast extension (BEP 6) and the extension protocol (BEP 10).
    pub const OURS: Reserved = Reserved([0, 0, 0, 0, 0, Self::EXTENDED, 0, Self::FAST]);

    /// These, and that we run a DHT node.
    #[must_use]
    pub const fn with_dht(mut self) -> Reserved {
        self.0[7] |= Self::DHT;
        self
    }

    const EXTENDED: u8 = 0x10;
    const DHT: u8 = 0x01;
    const FAST: u8 = 0x04;
    const V2: u8 = 0x10;

    /// BEP 10: "(reserved_byte\[5\] & 0x10) is the expression to use".
    pub const fn extended(self) -> bool {
        self.0[5] & Self::EXTENDED != 0
    }

    /// BEP 5: the last bit of the last byte says that the peer runs a DHT node.
    pub const fn dht(self) -> bool {
        self.0[7] & Self::DHT != 0
    }

    /// BEP 6: "reserved\[7\] |= 0x04".
    pub const fn fast(self) -> bool {
        self.0[7] & Self::FAST != 0
    }

    /// BEP 52: the peer knows the torrent's v2 form, or could.
    pub const fn v2(self) -> bool {
        self.0[7] & Self::V2 != 0
    }
}

/// The bytes are not the start of a BitTorrent handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBitTorrent;

impl fmt::Display for NotBitTorrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a BitTorrent handshake")
    }
}

impl core::error::Error for NotBitTorrent {}

/// The first 48 bytes of a handshake: all that an acceptor needs to answer.
///
/// Some who connect, trackers that test whether a port is open among them, send no more until they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake48 {
    /// What the sender can do.
    pub reserved: Reserved,
    /// The torrent it wants to talk about.
    pub info_hash: InfoHash,
}

impl Handshake48 {
    /// How many bytes it takes.
    pub const LENGTH: usize = 48;

    /// Reads the start of a handshake: `None` while there are less than 48 bytes and those that are there fit; an error
    /// as soon as one does not.
    pub fn parse(bytes: &[u8]) -> Result<Option<Handshake48>, NotBitTorrent> {
        let known = bytes.len().min(PREFIX.len());
        if bytes[..known] != PREFIX[..known] {
            return Err(NotBitTorrent);
        }
        let (Some(reserved), Some(hash)) = (array(bytes, 20), array(bytes, 28)) else { return Ok(None) };
        Ok(Some(Handshake48 { reserved: Reserved(reserved), info_hash: InfoHash(hash) }))
    }

    /// The 48 bytes.
    pub fn emit(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..20].copy_from_slice(PREFIX);
        bytes[20..28].copy_from_slice(&self.reserved.0);
        bytes[28..].copy_from_slice(&self.info_hash.0);
        bytes
    }
}

/// A whole handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// What the sender can do.
    pub reserved: Reserved,
    /// The torrent it wants to talk about.
    pub info_hash: InfoHash,
    /// What the sender calls itself. Never trusted.
    pub peer_id: PeerId,
}

impl Handshake {
    /// Reads a handshake: `None` while there are less than 68 bytes and those that are there fit.
    pub fn parse(bytes: &[u8]) -> Result<Option<Handshake>, NotBitTorrent> {
        let Some(Handshake48 { reserved, info_hash }) = Handshake48::parse(bytes)? else { return Ok(None) };
        Ok(array(bytes, Handshake48::LENGTH).map(|id| Handshake { reserved, info_hash, peer_id: PeerId(id) }))
    }

    /// The 68 bytes.
    pub fn emit(&self) -> [u8; HANDSHAKE_LENGTH] {
        let mut bytes = [0; HANDSHAKE_LENGTH];
        let head = Handshake48 { reserved: self.reserved, info_hash: self.info_hash };
        bytes[..Handshake48::LENGTH].copy_from_slice(&head.emit());
        bytes[Handshake48::LENGTH..].copy_from_slice(&self.peer_id.0);
        bytes
    }
}

/// The `N` bytes from `at` on, when there are so many.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
