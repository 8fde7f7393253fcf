//! The extension protocol (BEP 10): its handshake, and the numbers of its messages.
//!
//! BEP 10: "The extension IDs are the IDs used to send the extension messages to the peer sending this handshake. i.e. The
//! IDs are local to this particular peer." So there are two tables: ours is [`Extension::our_id`], the same for every
//! peer; the peer's is an [`ExtensionIds`] in each connection.

use crate::bencode::{Dict, Document, Limits, Mode, encode_dict};
use crate::journal::canon::{canon_enum, canon_struct};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An extension that is known here.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extension {
    /// BEP 9: the info dictionary, from peers.
    Metadata,
    /// BEP 11: addresses of other peers.
    Pex,
    /// One byte, 0 or 1: whether the sender has stopped downloading (BEP 21's key, as a message).
    UploadOnly,
    /// BEP 54: a piece that the sender has no more.
    DontHave,
    /// BEP 55: connecting through a common peer. Known only to be told of by [PEX](super::PexFlags::HOLEPUNCH).
    Holepunch,
}

canon_enum!(out Extension { 0 = Metadata, 1 = Pex, 2 = UploadOnly, 3 = DontHave, 4 = Holepunch });

impl Extension {
    const ALL: [Extension; 5] =
        [Extension::Metadata, Extension::Pex, Extension::UploadOnly, Extension::DontHave, Extension::Holepunch];

    /// Its name in the dictionary `m`.
    pub const fn name(self) -> &'static str {
        match self {
            Extension::Metadata => "ut_metadata",
            Extension::Pex => "ut_pex",
            Extension::UploadOnly => "upload_only",
            Extension::DontHave => "lt_donthave",
            Extension::Holepunch => "ut_holepunch",
        }
    }

    /// The number that we give it: peers send it to us under this one.
    pub const fn our_id(self) -> u8 {
        match self {
            Extension::Metadata => 1,
            Extension::Pex => 2,
            Extension::UploadOnly => 3,
            Extension::DontHave => 4,
            Extension::Holepunch => 5,
        }
    }

    /// The extension that we gave this number.
    pub fn from_our_id(id: u8) -> Option<Extension> {
        Self::ALL.into_iter().find(|extension| extension.our_id() == id)
    }
}

/// The numbers that one peer gave to the extensions that are known here; 0 means that it does not take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ExtensionIds {
    ids: [u8; Extension::ALL.len()],
}

canon_struct!(out ExtensionIds { ids });

impl ExtensionIds {
    /// The number under which the peer takes messages of `extension`.
    pub fn get(&self, extension: Extension) -> Option<u8> {
        Some(self.ids[extension as usize]).filter(|&id| id != 0)
    }

    /// Takes over what a further handshake says. BEP 10: "the `m` dictionary is additive. It's enough that it contains the
    /// actual CHANGES to the extension list."
    pub fn update(&mut self, handshake: &ExtendedHandshake) {
        for &(extension, id) in &handshake.extensions {
            self.ids[extension as usize] = id;
        }
    }
}

/// What an extended handshake says. BEP 10: "All items in the dictionary are optional."
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ExtendedHandshake {
    /// `m`: extensions and the numbers that the sender takes them under, those that are known here only. 0: not any more.
    pub extensions: Vec<(Extension, u8)>,
    /// `v`: the client's name and version. Untrusted; made valid UTF-8, not cleaned: see [`clean_name`].
    pub client: Option<String>,
    /// `p`: the port on which the sender listens; never 0.
    pub port: Option<u16>,
    /// `reqq`: how many requests the sender queues; at least 1.
    pub reqq: Option<u32>,
    /// `yourip`: the address under which the sender sees the receiver.
    pub your_ip: Option<IpAddr>,
    /// `ipv4`: the sender's IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// `ipv6`: the sender's IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// `metadata_size` (BEP 9): the length of the info dictionary in bytes; at least 1. May be a lie.
    pub metadata_size: Option<u32>,
    /// `upload_only` (BEP 21): the sender does not download.
    pub upload_only: Option<bool>,
    /// `e`: the sender prefers encryption.
    pub encryption: Option<bool>,
}

canon_struct!(out ExtendedHandshake { extensions, client, port, reqq, your_ip, ipv4, ipv6, metadata_size, upload_only, encryption });

/// The payload of an extended handshake, or of an extension's message, is not a bencoded dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADictionary;

impl fmt::Display for NotADictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("extended message that is not a dictionary")
    }
}

impl core::error::Error for NotADictionary {}

impl ExtendedHandshake {
    /// The largest `metadata_size` that is believed, in bytes: what libtorrent takes, above any torrent seen so far.
    pub const MAX_METADATA: u32 = 30 << 20;

    /// What reading one may cost: a token for each two bytes of the largest that makes sense (hundreds of extensions and
    /// then some), and no deep nesting. The length is bounded by the framer.
    const LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 16, tokens: 4096 };

    /// Reads the payload of an extended message with number 0.
    ///
    /// Values of a wrong type or out of range are left out one by one; only what is no dictionary at all is an error.
    pub fn parse(payload: &[u8]) -> Result<ExtendedHandshake, NotADictionary> {
        let document = Document::decode(payload, Mode::Tolerant, &Self::LIMITS).map_err(|_| NotADictionary)?;
        let dict = document.root().dict().ok_or(NotADictionary)?;
        let bytes = |key| dict.get(key).and_then(|value| value.bytes());
        Ok(ExtendedHandshake {
            extensions: dict.get("m").and_then(|value| value.dict()).map(|m| extensions(&m)).unwrap_or_default(),
            client: bytes("v").map(|name| String::from_utf8_lossy(name).into_owned()),
            port: number(&dict, "p").filter(|&port| port > 0),
            reqq: number(&dict, "reqq").filter(|&reqq| reqq > 0),
            your_ip: bytes("yourip").and_then(address),
            ipv4: bytes("ipv4").and_then(|ip| <[u8; 4]>::try_from(ip).ok()).map(Ipv4Addr::from),
            ipv6: bytes("ipv6").and_then(|ip| <[u8; 16]>::try_from(ip).ok()).map(Ipv6Addr::from),
            metadata_size: number(&dict, "metadata_size").filter(|&size| (1..=Self::MAX_METADATA).contains(&size)),
            upload_only: number::<i64>(&dict, "upload_only").map(|flag| flag != 0),
            encryption: number::<i64>(&dict, "e").map(|flag| flag != 0),
        })
    }

    /// The payload of an extended message with number 0, canonical.
    pub fn emit(&self) -> Vec<u8> {
        encode_dict(|dict| {
            if let Some(encryption) = self.encryption {
                dict.int("e", encryption.into());
            }
            if let Some(ip) = self.ipv4 {
                dict.bytes("ipv4", ip.octets());
            }
            if let Some(ip) = self.ipv6 {
                dict.bytes("ipv6", ip.octets());
            }
            dict.dict("m", |m| {
                for &(extension, id) in &self.extensions {
                    m.int(extension.name(), id.into());
                }
            });
            if let Some(size) = self.metadata_size {
                dict.int("metadata_size", size.into());
            }
            if let Some(port) = self.port {
                dict.int("p", port.into());
            }
            if let Some(reqq) = self.reqq {
                dict.int("reqq", reqq.into());
            }
            if let Some(upload_only) = self.upload_only {
                dict.int("upload_only", upload_only.into());
            }
            if let Some(client) = &self.client {
                dict.bytes("v", client);
            }
            match self.your_ip {
                Some(IpAddr::V4(ip)) => _ = dict.bytes("yourip", ip.octets()),
                Some(IpAddr::V6(ip)) => _ = dict.bytes("yourip", ip.octets()),
                None => {}
            }
        })
    }
}

/// A stranger's text as it may be shown: no control characters, none that turn or hide the text around them, at most
/// `max_chars` characters.
pub fn clean_name(name: &str, max_chars: u32) -> String {
    let shown = |c: &char| {
        let hidden = matches!(*c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
        !c.is_control() && !hidden
    };
    let cut: String = name.chars().filter(shown).take(max_chars as usize).collect();
    String::from(cut.trim())
}

fn extensions(m: &Dict<'_, '_>) -> Vec<(Extension, u8)> {
    let id = |extension: Extension| number(m, extension.name()).map(|id| (extension, id));
    Extension::ALL.into_iter().filter_map(id).collect()
}

/// The integer under `key`, when it is one and fits.
fn number<T: TryFrom<i64>>(dict: &Dict<'_, '_>, key: &str) -> Option<T> {
    dict.get(key).and_then(|value| value.int()).and_then(|number| T::try_from(number).ok())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(v4.into()));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| IpAddr::V6(v6.into()))
}
