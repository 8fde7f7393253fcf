//! Names of things.
//!
//! The driver's ids name things of the operating system only ([`SocketId`], [`TcpId`], [`RootId`]); the core makes
//! [`PeerKey`], [`DialId`] and [`JobId`]; the application makes [`CommandId`]. None is ever used twice, so a late event for
//! something that is gone can be told from one for its successor.

use alloc::string::String;
use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id! {
    /// A listening TCP socket or a UDP socket. Made by the driver (the application names it in
    /// [`Command::Listen`](super::Command::Listen)).
    SocketId(u32)
}
id! {
    /// A TCP stream, accepted or dialled. Made by the driver.
    TcpId(u64)
}
id! {
    /// A folder that torrents are stored under. Made by the driver.
    RootId(u32)
}
id! {
    /// A torrent of this session. Made by the core, of meaning only here; the world knows it by its [`InfoHashes`].
    TorrentId(u32)
}
id! {
    /// A connection to a peer. Made by the core; unlike an index it is never used again.
    PeerKey(u64)
}
id! {
    /// A request of the application. Made by it; answers carry it.
    CommandId(u64)
}

/// A dial that is under way. Made by the core.
///
/// The upper 24 bits say who asked, so that the answer finds its way without a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// A piece of work that the driver does. Made by the core.
///
/// The upper 24 bits say who asked, so that the answer finds its way without a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

const OWNER_SHIFT: u32 = 40;

impl DialId {
    pub(crate) const fn new(owner: u32, count: u64) -> DialId {
        DialId((owner as u64) << OWNER_SHIFT | count)
    }
    pub(crate) const fn owner(self) -> u32 {
        (self.0 >> OWNER_SHIFT) as u32
    }
}

impl JobId {
    pub(crate) const fn new(owner: u32, count: u64) -> JobId {
        JobId((owner as u64) << OWNER_SHIFT | count)
    }
    pub(crate) const fn owner(self) -> u32 {
        (self.0 >> OWNER_SHIFT) as u32
    }
}

impl fmt::Display for DialId {
    /// Who asked, and the count of what it asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner(), self.0 & ((1 << OWNER_SHIFT) - 1))
    }
}

impl fmt::Debug for DialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DialId({self})")
    }
}

impl fmt::Display for JobId {
    /// Who asked, and the count of what it asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner(), self.0 & ((1 << OWNER_SHIFT) - 1))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// The 20 bytes that name a torrent in handshakes and announces: a v1 info-hash, or the first 20 bytes of a v2 one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; 20]);

impl InfoHash {
    /// Lower-case hexadecimal, 40 digits.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hashes of a torrent: v1 (BEP 3), v2 (BEP 52) or, in a hybrid, both. At least one is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InfoHashes {
    /// SHA-1 of the info dictionary's bytes.
    pub v1: Option<[u8; 20]>,
    /// SHA-256 of the info dictionary's bytes.
    pub v2: Option<[u8; 32]>,
}

impl InfoHashes {
    /// Hashes of a torrent that is v1 only.
    pub const fn v1(hash: [u8; 20]) -> InfoHashes {
        InfoHashes { v1: Some(hash), v2: None }
    }

    /// The hash that the torrent goes by where only one can be said: v1 when there is one.
    pub fn best(&self) -> InfoHash {
        match (self.v1, self.v2) {
            (Some(v1), _) => InfoHash(v1),
            (None, Some(v2)) => InfoHash(truncated(&v2)),
            (None, None) => InfoHash([0; 20]),
        }
    }

    /// Every 20-byte name that peers may use for the torrent.
    pub fn names(&self) -> impl Iterator<Item = InfoHash> + use<> {
        let v2 = self.v2.map(|hash| InfoHash(truncated(&hash)));
        self.v1.map(InfoHash).into_iter().chain(v2)
    }
}

impl fmt::Debug for InfoHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.v1, &self.v2) {
            (Some(v1), None) => write!(f, "v1:{}", hex(v1)),
            (None, Some(v2)) => write!(f, "v2:{}", hex(v2)),
            (Some(v1), Some(v2)) => write!(f, "v1:{} v2:{}", hex(v1), hex(v2)),
            (None, None) => f.write_str("no hash"),
        }
    }
}

fn truncated(hash: &[u8; 32]) -> [u8; 20] {
    let mut short = [0; 20];
    short.copy_from_slice(&hash[..20]);
    short
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

/// The 20 bytes a peer names itself by (BEP 3, BEP 20). Chosen by the peer: never trusted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in &self.0 {
            match byte {
                b' '..=b'~' if byte != b'\\' => write!(f, "{}", byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}
