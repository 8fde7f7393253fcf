//! Magnet links: a torrent's hash, and whom to ask for the rest.
//!
//! BEP 9: "`magnet:?xt=urn:btih:<info-hash>&dn=<name>&tr=<tracker-url>&x.pe=<peer-address>`". Read are:
//!
//! | parameter | means | limits |
//! |---|---|---|
//! | `xt` | `urn:btih:` with 40 hexadecimal digits or 32 of base32 (v1), `urn:btmh:1220` with 64 hexadecimal ones (v2); both make a hybrid | one torrent |
//! | `dn` | the name to show until the real one is known | [`MagnetLimits::name`] |
//! | `xl` | the length in bytes | |
//! | `tr` | a tracker; each is a tier of its own | [`MagnetLimits::trackers`] |
//! | `ws` | a web seed | [`MagnetLimits::web_seeds`] |
//! | `xs`, `as` | other places, kept as they are | [`MagnetLimits::sources`] |
//! | `x.pe`, `dht` | a peer, a DHT node: `host:port` or `[v6]:port` | [`MagnetLimits::peers`] |
//! | `so` | which files to fetch (BEP 53) | [`MagnetLimits::ranges`] |
//!
//! Names count in any case, with a number (`tr.1`) or without, in any order. What is unknown is left out; what is known and
//! malformed is left out alone, with a [`MagnetWarning`]. Only a link without a usable `xt` is refused.
//!
//! ```
//! use parcacik_core::metainfo::Magnet;
//!
//! let magnet: Magnet = "magnet:?xt=urn:btih:MFRGCYTBMJQWEYLCMFRGCYTBMJQWEYLC&dn=a+file&so=0,6-8".parse().unwrap();
//! assert_eq!(magnet.hashes.v1, Some(*b"abababababababababab"));
//! assert_eq!(magnet.name.as_deref(), Some("a file"));
//! assert!(magnet.selected.contains(7) && !magnet.selected.contains(1));
//! assert_eq!(
//!     magnet.to_string(),
//!     "magnet:?xt=urn:btih:6162616261626162616261626162616261626162&dn=a%20file&so=0,6-8"
//! );
//! ```

mod digits;
mod files;
mod parse;

pub use files::FileRanges;

use super::Metainfo;
use crate::bencode::encode_dict;
use crate::border::{InfoHash, InfoHashes, Target};
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A magnet link. Everything in it but the hashes is a stranger's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Magnet {
    /// The torrent. At least one hash is there.
    pub hashes: InfoHashes,
    /// What to call it until its metadata are here. Fit to be shown, not to be a path
    /// ([`SafePath`](crate::path::SafePath) makes one).
    pub name: Option<String>,
    /// Its length in bytes, as the link says.
    pub length: Option<u64>,
    /// URLs of trackers, each a tier of its own.
    pub trackers: Vec<String>,
    /// URLs of web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// `xs`: where the torrent file may lie, or the same content in another network.
    pub sources: Vec<String>,
    /// `as`: where the content may lie.
    pub alternatives: Vec<String>,
    /// Peers.
    pub peers: Vec<Target>,
    /// DHT nodes.
    pub nodes: Vec<Target>,
    /// The files to fetch, by index; empty: all.
    pub selected: FileRanges,
}

/// How much a magnet link may ask of us. What is over is left out with a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MagnetLimits {
    /// The most bytes of a link; a longer one is refused. Long ones carry a hundred trackers, and have 10 KB.
    pub bytes: usize,
    /// The most bytes of a name. File systems allow 255 for a file's.
    pub name: usize,
    /// The most bytes of a URL; web servers refuse longer request lines.
    pub url: usize,
    /// The most trackers: as many as an announcer takes.
    pub trackers: usize,
    /// The most web seeds.
    pub web_seeds: usize,
    /// The most of `xs`, and of `as`.
    pub sources: usize,
    /// The most peers, and DHT nodes.
    pub peers: usize,
    /// The most ranges of selected files.
    pub ranges: usize,
    /// Indices of files are below this: [`MetainfoLimits::files`](super::MetainfoLimits::files).
    pub files: u32,
    /// The most warnings.
    pub warnings: usize,
}

impl Default for MagnetLimits {
    fn default() -> MagnetLimits {
        MagnetLimits {
            bytes: 64 << 10,
            name: 512,
            url: 2048,
            trackers: 200,
            web_seeds: 100,
            sources: 20,
            peers: 100,
            ranges: 1000,
            files: 250_000,
            warnings: 20,
        }
    }
}

/// Why a link is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagnetError {
    /// Longer than [`MagnetLimits::bytes`].
    TooLong,
    /// It does not begin with `magnet:?`, and is no hash alone.
    NotMagnet,
    /// There is no `xt` that names a torrent.
    NoInfoHash,
    /// An info-hash of a wrong length, with wrong digits, or with a broken escape.
    BadInfoHash,
    /// Two different info-hashes of one kind: these are two torrents.
    SeveralTorrents,
}

impl fmt::Display for MagnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MagnetError::TooLong => "the magnet link is too long",
            MagnetError::NotMagnet => "not a magnet link: it does not begin with \"magnet:?\"",
            MagnetError::NoInfoHash => "the magnet link has no info-hash (xt=urn:btih: or xt=urn:btmh:)",
            MagnetError::BadInfoHash => "the magnet link's info-hash is malformed",
            MagnetError::SeveralTorrents => "the magnet link names several torrents",
        })
    }
}

impl core::error::Error for MagnetError {}

/// A part of a link that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MagnetWarning {
    /// The name of the parameter, such as `x.pe`.
    pub parameter: &'static str,
    /// Why.
    pub problem: MagnetProblem,
}

/// Why a part of a link was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagnetProblem {
    /// A `%` without two hexadecimal digits behind it, or what is not UTF-8.
    Escape,
    /// Not what it should be: a URL, an address, a number, a range of files.
    Malformed,
    /// A kind of hash that is not known.
    UnknownHash,
    /// A URL that is too long.
    TooLong,
    /// There were as many of its kind as are taken.
    TooMany,
    /// There was one already.
    Twice,
}

impl fmt::Display for MagnetWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            MagnetProblem::Escape => "a broken escape",
            MagnetProblem::Malformed => "malformed",
            MagnetProblem::UnknownHash => "a kind of hash that is not known",
            MagnetProblem::TooLong => "too long",
            MagnetProblem::TooMany => "too many",
            MagnetProblem::Twice => "given twice, the first one counts",
        };
        write!(f, "\"{}\" ignored: {problem}", self.parameter)
    }
}

impl Magnet {
    /// Reads a link, or an info-hash alone (40 hexadecimal digits, 32 of base32, or a multihash). Gives what was left out, too.
    ///
    /// # Errors
    /// When it is no link, is too long, or does not name exactly one torrent.
    pub fn parse(text: &str, limits: &MagnetLimits) -> Result<(Magnet, Vec<MagnetWarning>), MagnetError> {
        parse::parse(text, limits)
    }

    /// A `.torrent` file of the info dictionary that the link led to, with the trackers, web seeds and DHT nodes of the link. The
    /// dictionary goes in as it is; whether it is the right one was for the caller to see.
    pub fn torrent_file(&self, info: &[u8]) -> Vec<u8> {
        let place = |target: &Target| match target {
            Target::Addr(addr) => (addr.ip().to_string(), addr.port()),
            Target::Host { name, port } => (name.clone(), *port),
        };
        encode_dict(|file| {
            if let Some(first) = self.trackers.first() {
                file.bytes("announce", first);
            }
            if self.trackers.len() > 1 {
                file.list("announce-list", |tiers| {
                    for url in &self.trackers {
                        tiers.list(|tier| _ = tier.bytes(url));
                    }
                });
            }
            file.raw("info", info);
            if !self.nodes.is_empty() {
                file.list("nodes", |nodes| {
                    for (host, port) in self.nodes.iter().map(place) {
                        nodes.list(|node| _ = node.bytes(host).int(port.into()));
                    }
                });
            }
            if !self.web_seeds.is_empty() {
                file.list("url-list", |urls| self.web_seeds.iter().for_each(|url| _ = urls.bytes(url)));
            }
        })
    }

    /// The link to a torrent. Of a private one, DHT nodes are left out; others cannot get its metadata from peers that
    /// they find elsewhere.
    pub fn of(torrent: &Metainfo) -> Magnet {
        let mut trackers: Vec<String> = Vec::new();
        for url in torrent.trackers().iter().flatten() {
            if !trackers.contains(url) {
                trackers.push(url.clone());
            }
        }
        let nodes = torrent.nodes().iter().filter(|_| !torrent.private());
        Magnet {
            hashes: torrent.hashes(),
            name: Some(torrent.name().to_owned()),
            length: Some(torrent.content_length()),
            trackers,
            web_seeds: torrent.web_seeds().iter().filter(|url| parse::is_web_seed(url)).cloned().collect(),
            nodes: nodes.filter_map(|(host, port)| parse::target(host, *port)).collect(),
            ..Magnet::default()
        }
    }

    /// The trackers as tiers, for the announcer.
    pub fn tiers(&self) -> Vec<Vec<String>> {
        self.trackers.iter().map(|url| alloc::vec![url.clone()]).collect()
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    /// [`Magnet::parse`] with the default limits.
    fn from_str(text: &str) -> Result<Magnet, MagnetError> {
        Magnet::parse(text, &MagnetLimits::default()).map(|(magnet, _)| magnet)
    }
}

/// RFC 3986's unreserved characters stay as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl fmt::Display for Magnet {
    /// The link. Reading it gives the same again, as far as it is within the limits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("magnet:?")?;
        let mut separator = "";
        if let Some(v1) = &self.hashes.v1 {
            write!(f, "xt=urn:btih:{}", InfoHash(*v1))?;
            separator = "&";
        }
        // BEP 9: "'btmh' and 'btih' exact topics may exist in the same magnet if they describe the same hybrid torrent". 0x12, 0x20: SHA-256, 32 bytes.
        if let Some(v2) = &self.hashes.v2 {
            write!(f, "{separator}xt=urn:btmh:1220")?;
            v2.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        if let Some(name) = &self.name {
            write!(f, "&dn={}", utf8_percent_encode(name, ESCAPED))?;
        }
        if let Some(length) = self.length {
            write!(f, "&xl={length}")?;
        }
        let lists =
            [("tr", &self.trackers), ("ws", &self.web_seeds), ("xs", &self.sources), ("as", &self.alternatives)];
        for (name, list) in lists {
            for url in list {
                write!(f, "&{name}={}", utf8_percent_encode(url, ESCAPED))?;
            }
        }
        for (name, list) in [("x.pe", &self.peers), ("dht", &self.nodes)] {
            for target in list {
                match target {
                    Target::Addr(addr) => write!(f, "&{name}={addr}")?,
                    Target::Host { name: host, port } => write!(f, "&{name}={host}:{port}")?,
                }
            }
        }
        if !self.selected.is_empty() {
            write!(f, "&so={}", self.selected)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
