//! Pseudonyms of host names and URLs.
//!
//! What the core asks of them stays: the scheme, the port, whether the host is an address and of which class, whether a name is one
//! that [the open internet answers for](crate::net_policy::is_public_name) or internationalised, where a path begins with
//! `announce` or `scrape`, which parameters are ours. Every other word is replaced by one of its length, the same by the same.

use super::mapper::Mapper;
use crate::border::{InfoHash, PeerId};
use crate::net_policy::is_public_name;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Endings of names that say that a name is local, and labels that say nothing.
const KEPT_LABELS: &[&str] = &[
    "localhost",
    "local",
    "test",
    "example",
    "invalid",
    "home",
    "arpa",
    "internal",
    "intranet",
    "private",
    "localdomain",
    "lan",
    "corp",
];

/// What paths of trackers are made of.
const KEPT_IN_PATHS: &[&str] = &["announce", "scrape", "php"];

/// Names of parameters, which do not name anybody.
const KEPT_PARAMETERS: &[&str] = &[
    "info_hash",
    "peer_id",
    "port",
    "ip",
    "uploaded",
    "downloaded",
    "left",
    "event",
    "compact",
    "no_peer_id",
    "numwant",
    "key",
    "trackerid",
    "ipv4",
    "ipv6",
    "passkey",
    "authkey",
    "uk",
    "pid",
    "torrent_pass",
];

impl Mapper {
    /// A host as it stands in a URL, a command or a request: an address, one in brackets, or a name.
    pub fn host(&mut self, host: &str) -> String {
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return self.ip(IpAddr::V4(ip)).to_string();
        }
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = inner.unwrap_or(host).parse::<Ipv6Addr>() {
            let ip = self.ip(IpAddr::V6(ip)).to_string();
            return if inner.is_some() { alloc::format!("[{ip}]") } else { ip };
        }
        self.name(host)
    }

    fn name(&mut self, host: &str) -> String {
        let lower = host.to_lowercase();
        let kept = |label: &str| label.is_empty() || KEPT_LABELS.contains(&label);
        let mut labels: Vec<String> = Vec::new();
        let (all, last) = (lower.split('.').count(), lower.trim_end_matches('.').split('.').count());
        for (at, label) in lower.split('.').enumerate().take(all) {
            // A name whose last label is a number is refused; so it has to stay one.
            let number = at + 1 == last && label.starts_with(|c: char| c.is_ascii_digit());
            let kept_here = kept(label) && !is_public_name(&lower);
            labels.push(match label.strip_prefix("xn--") {
                _ if label.is_empty() || kept_here => label.to_string(),
                Some(rest) => alloc::format!("xn--{}", self.key.words(rest, |_| false)),
                None if number => alloc::format!("0{}", self.key.words(label.get(1..).unwrap_or_default(), |_| false)),
                None => self.label(label),
            });
        }
        let new = labels.join(".");
        self.hide("host name", host.as_bytes(), new.as_bytes());
        new
    }

    /// A label: never one of the local endings by chance.
    fn label(&self, label: &str) -> String {
        if !label.is_ascii() {
            // An internationalised name stays one: a letter that is not ASCII, and the rest of it plain.
            let rest = self.key.letters_of("word", label);
            return alloc::format!("\u{e9}{}", rest.get(2..).unwrap_or_default());
        }
        (0..8u8)
            .map(|turn| {
                let salted = if turn == 0 { label.to_string() } else { alloc::format!("{label}{turn}") };
                let word = self.key.words(&salted, |_| false);
                word.get(..label.len()).unwrap_or_default().to_string()
            })
            .find(|new| !KEPT_LABELS.contains(&new.as_str()))
            .unwrap_or_default()
    }

    /// A URL, or what somebody took for one.
    pub fn url(&mut self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("://") else { return self.tail(url) };
        if !scheme.trim_start().bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return self.tail(url);
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let new = if authority.contains('@') {
            // Refused for its credentials, whatever they are.
            self.key.words(authority, |_| false)
        } else if let Some((host, port)) = split_port(authority) {
            let host = self.host(host);
            alloc::format!("{host}{port}")
        } else {
            self.host(authority)
        };
        if authority.contains('@') {
            self.hide("credentials", authority.as_bytes(), new.as_bytes());
        }
        alloc::format!("{scheme}://{new}{}", self.tail(tail))
    }

    /// Path, query and fragment.
    pub fn tail(&mut self, tail: &str) -> String {
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        let kept = |word: &str| KEPT_IN_PATHS.contains(&word);
        let mut out = String::new();
        for (at, segment) in path.split('/').enumerate() {
            if at > 0 {
                out.push('/');
            }
            // `announce1` and the like keep what they begin with.
            let head = ["announce", "scrape"].into_iter().find(|head| segment.starts_with(head)).unwrap_or_default();
            let rest = segment.get(head.len()..).unwrap_or_default();
            let new = self.key.words(rest, kept);
            self.hide("path of a URL", rest.as_bytes(), new.as_bytes());
            out.push_str(head);
            out.push_str(&new);
        }
        let Some(query) = query else { return out };
        for (at, parameter) in query.split('&').enumerate() {
            out.push(if at == 0 { '?' } else { '&' });
            let new = self.parameter(parameter);
            out.push_str(&new);
        }
        out
    }

    fn parameter(&mut self, parameter: &str) -> String {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (parameter, None),
        };
        let known = KEPT_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
        let new_name = if known { name.to_string() } else { self.key.words(name, |_| false) };
        if !known {
            self.hide("parameter", name.as_bytes(), new_name.as_bytes());
        }
        let Some(value) = value else { return new_name };
        let decoded: Vec<u8> = percent_decode_str(value).collect();
        let twenty = <[u8; 20]>::try_from(decoded.as_slice()).ok();
        let new = match (name, twenty) {
            ("info_hash", Some(hash)) => escaped(&self.hash(InfoHash(hash)).0),
            ("peer_id", Some(id)) => escaped(&self.id(PeerId(id)).0),
            ("ip" | "ipv4" | "ipv6", _) => self.host(&String::from_utf8_lossy(&decoded)),
            ("port" | "uploaded" | "downloaded" | "left" | "event" | "compact" | "no_peer_id" | "numwant", _) => {
                value.to_string()
            }
            _ => self.key.words(value, |_| false),
        };
        self.hide("parameter", value.as_bytes(), new.as_bytes());
        alloc::format!("{new_name}={new}")
    }
}

fn escaped(bytes: &[u8]) -> String {
    percent_encode(bytes, NON_ALPHANUMERIC).to_string()
}

/// Host and port, with its colon, of what has one.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let from = authority.rfind(']').unwrap_or(0);
    let colon = authority.get(from..)?.find(':')? + from;
    Some(authority.split_at(colon))
}
