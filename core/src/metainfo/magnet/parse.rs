//! Reading links.

use super::digits::{unbase32, unhex};
use super::{Magnet, MagnetError, MagnetLimits, MagnetProblem, MagnetWarning};
use crate::border::{InfoHashes, Target};
use crate::net_policy::{AddrClass, idna};
use crate::path;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Schemes that trackers have, those of WebTorrent included.
const TRACKERS: &[&str] = &["http", "https", "udp", "ws", "wss"];
/// Schemes that web seeds have.
const WEB_SEEDS: &[&str] = &["http", "https", "ftp"];

/// Whether a link may name this as a web seed. Torrents have been seen with a path alone.
pub(super) fn is_web_seed(url: &str) -> bool {
    is_url(url, Some(WEB_SEEDS))
}

fn is_url(url: &str, schemes: Option<&[&str]>) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let known = schemes.is_none_or(|schemes| schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)));
    known && !url.is_empty() && !url.chars().any(char::is_control)
}

pub(super) fn parse(text: &str, limits: &MagnetLimits) -> Result<(Magnet, Vec<MagnetWarning>), MagnetError> {
    let text = text.trim();
    if text.len() > limits.bytes {
        return Err(MagnetError::TooLong);
    }
    let mut reading = Reading { magnet: Magnet::default(), warnings: Vec::new(), limits };
    let Some(query) = query(text) else {
        // An info-hash alone, as other clients take it.
        reading.magnet.hashes = match (v1_hash(text.as_bytes()), v2_hash(text.as_bytes())) {
            (None, None) => return Err(MagnetError::NotMagnet),
            (v1, v2) => InfoHashes { v1, v2 },
        };
        return Ok((reading.magnet, reading.warnings));
    };
    for part in query.split('&') {
        // Links copied out of a page's source have "&amp;" between their parameters.
        let part = part.strip_prefix("amp;").unwrap_or(part);
        if let Some((name, value)) = part.split_once('=') {
            reading.parameter(name, value)?;
        }
    }
    match reading.magnet.hashes {
        InfoHashes { v1: None, v2: None } => Err(MagnetError::NoInfoHash),
        _ => Ok((reading.magnet, reading.warnings)),
    }
}

/// What follows the `?` of a link. Some write `magnet://?` or `magnet:///?`.
fn query(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked("magnet:".len())?;
    let rest = scheme.eq_ignore_ascii_case("magnet:").then_some(rest)?;
    rest.trim_start_matches('/').strip_prefix('?')
}

struct Reading<'l> {
    magnet: Magnet,
    warnings: Vec<MagnetWarning>,
    limits: &'l MagnetLimits,
}

impl Reading<'_> {
    fn parameter(&mut self, name: &str, value: &str) -> Result<(), MagnetError> {
        let is = |known: &str| {
            let number = name.get(known.len()..).unwrap_or("?");
            let numbered =
                number.strip_prefix('.').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
            name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known))
                && (number.is_empty() || numbered)
        };
        let limits = self.limits;
        if is("xt") {
            return self.topic(value);
        } else if is("dn") {
            self.name(value);
        } else if is("xl") {
            match value.parse() {
                Ok(length) if self.magnet.length.is_none() => self.magnet.length = Some(length),
                Ok(_) => self.warn("xl", MagnetProblem::Twice),
                Err(_) => self.warn("xl", MagnetProblem::Malformed),
            }
        } else if is("tr") {
            self.url("tr", value, Some(TRACKERS), limits.trackers, |magnet| &mut magnet.trackers);
        } else if is("ws") {
            self.url("ws", value, Some(WEB_SEEDS), limits.web_seeds, |magnet| &mut magnet.web_seeds);
        } else if is("xs") {
            self.url("xs", value, None, limits.sources, |magnet| &mut magnet.sources);
        } else if is("as") {
            self.url("as", value, None, limits.sources, |magnet| &mut magnet.alternatives);
        } else if is("x.pe") {
            self.target("x.pe", value, |magnet| &mut magnet.peers);
        } else if is("dht") {
            self.target("dht", value, |magnet| &mut magnet.nodes);
        } else if is("so") {
            self.select(value);
        }
        Ok(())
    }

    /// BEP 9: "the info-hash hex encoded, for a total of 40 characters. For compatability with existing links in the wild,
    /// clients should also support the 32 character base32 encoded info-hash"; for v2 "the multihash formatted, hex encoded
    /// full infohash".
    fn topic(&mut self, value: &str) -> Result<(), MagnetError> {
        let value = unescape(value, false).ok_or(MagnetError::BadInfoHash)?;
        let urn = |prefix: &str| {
            let (start, hash) = value.split_at_checked(prefix.len())?;
            start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(hash)
        };
        let hashes = &mut self.magnet.hashes;
        if let Some(hash) = urn("urn:btih:") {
            let hash = v1_hash(hash).ok_or(MagnetError::BadInfoHash)?;
            if hashes.v1.is_some_and(|known| known != hash) {
                return Err(MagnetError::SeveralTorrents);
            }
            hashes.v1 = Some(hash);
        } else if let Some(hash) = urn("urn:btmh:") {
            match v2_hash(hash) {
                Some(hash) if hashes.v2.is_some_and(|known| known != hash) => return Err(MagnetError::SeveralTorrents),
                Some(hash) => hashes.v2 = Some(hash),
                None if hash.starts_with(SHA2_256) => return Err(MagnetError::BadInfoHash),
                None => self.warn("xt", MagnetProblem::UnknownHash),
            }
        }
        // Others name the content in other networks (`urn:ed2k:`, `urn:tree:tiger:`).
        Ok(())
    }

    fn name(&mut self, value: &str) {
        // Forms write a space as `+`; this is the one parameter that people type into forms.
        let Some(bytes) = unescape(value, true) else { return self.warn("dn", MagnetProblem::Escape) };
        let shown: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !path::is_invisible(*c)).collect();
        let name = path::cut(shown.trim(), self.limits.name).trim_end();
        match (&self.magnet.name, name) {
            (_, "") => {}
            (None, name) => self.magnet.name = Some(name.to_owned()),
            (Some(_), _) => self.warn("dn", MagnetProblem::Twice),
        }
    }

    fn url(
        &mut self,
        parameter: &'static str,
        value: &str,
        schemes: Option<&[&str]>,
        most: usize,
        list: impl FnOnce(&mut Magnet) -> &mut Vec<String>,
    ) {
        let Some(url) = unescape(value, false).and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return self.warn(parameter, MagnetProblem::Escape);
        };
        let url = url.trim();
        if url.len() > self.limits.url {
            return self.warn(parameter, MagnetProblem::TooLong);
        }
        if !is_url(url, schemes) {
            return self.warn(parameter, MagnetProblem::Malformed);
        }
        let list = list(&mut self.magnet);
        if list.iter().any(|have| have == url) {
        } else if list.len() >= most {
            self.warn(parameter, MagnetProblem::TooMany);
        } else {
            list.push(url.to_owned());
        }
    }

    /// BEP 9: "A peer address expressed as hostname:port, ipv4-literal:port or [ipv6-literal]:port."
    fn target(&mut self, parameter: &'static str, value: &str, list: impl FnOnce(&mut Magnet) -> &mut Vec<Target>) {
        let text = unescape(value, false).and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = text else { return self.warn(parameter, MagnetProblem::Escape) };
        let Some(found) = host_and_port(text.trim()) else { return self.warn(parameter, MagnetProblem::Malformed) };
        let list = list(&mut self.magnet);
        if list.contains(&found) {
        } else if list.len() >= self.limits.peers {
            self.warn(parameter, MagnetProblem::TooMany);
        } else {
            list.push(found);
        }
    }

    /// BEP 53: "`so=0,2,4,6-8` ... Files are zero-indexed. Dashes mean inclusive ranges". Several `so` add up.
    fn select(&mut self, value: &str) {
        let text = unescape(value, false).and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = text else { return self.warn("so", MagnetProblem::Escape) };
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let range = index(first).zip(index(last));
            match range.filter(|(first, last)| first <= last && *last < self.limits.files) {
                None => self.warn("so", MagnetProblem::Malformed),
                Some(_) if self.magnet.selected.ranges().len() >= self.limits.ranges => {
                    return self.warn("so", MagnetProblem::TooMany);
                }
                Some((first, last)) => self.magnet.selected.insert(first, last),
            }
        }
    }

    fn warn(&mut self, parameter: &'static str, problem: MagnetProblem) {
        if self.warnings.len() < self.limits.warnings {
            self.warnings.push(MagnetWarning { parameter, problem });
        }
    }
}

/// The multihash prefix of SHA-256: its code, and its length of 32 bytes.
const SHA2_256: &[u8] = b"1220";

fn v1_hash(text: &[u8]) -> Option<[u8; 20]> {
    unhex(text).or_else(|| unbase32(text))
}

fn v2_hash(text: &[u8]) -> Option<[u8; 32]> {
    unhex(text.strip_prefix(SHA2_256)?)
}

/// Digits only: `parse` would take a `+`.
fn index(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn host_and_port(text: &str) -> Option<Target> {
    if let Some((ip, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        let ip: core::net::Ipv6Addr = ip.parse().ok()?;
        return address(ip.into(), port_number(port)?);
    }
    let (host, port) = text.rsplit_once(':')?;
    // Without brackets it cannot be told where an IPv6 address ends.
    if host.contains(':') { None } else { target(host, port_number(port)?) }
}

fn port_number(digits: &str) -> Option<u16> {
    index(digits).and_then(|port| u16::try_from(port).ok())
}

/// A host with its port, when somebody can be there.
pub(super) fn target(host: &str, port: u16) -> Option<Target> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return address(ip, port);
    }
    let name = idna::to_ascii(host)?;
    // What ends in a number is a malformed address and no name; an internationalised one can pass for another.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or("");
    let is_name = !last.bytes().all(|b| b.is_ascii_digit()) && host.is_ascii() && !idna::is_internationalised(&name);
    (is_name && port != 0).then_some(Target::Host { name, port })
}

fn address(ip: IpAddr, port: u16) -> Option<Target> {
    let addr = SocketAddr::new(ip.to_canonical(), port);
    (port != 0 && AddrClass::of(addr.ip()) != AddrClass::Unusable).then_some(Target::Addr(addr))
}

/// The bytes that a value stands for; `None` when a `%` is not followed by two hexadecimal digits.
fn unescape(value: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                out.extend(unhex::<1>(digits)?);
                rest = tail;
            }
            b'+' if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
    }
    Some(out)
}
