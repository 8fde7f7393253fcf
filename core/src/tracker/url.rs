//! Tracker URLs: what is allowed, and where it leads.
//!
//! A small total parser for what trackers need: `http`, `https` and `udp`, a host, a port, and a path with query that go to the
//! tracker as they stand (private trackers keep a passkey there). It is stricter than a browser: no credentials, no
//! internationalised names (they can look like others), no other schemes.

pub use crate::net_policy::Scheme;

use crate::journal::canon::{canon_enum, canon_struct};
use crate::net_policy::{NetPolicy, NetRules, Purpose, Refusal, Request, Word, is_public_name};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The longest URL that is taken, in bytes. Web servers refuse longer request lines too.
pub const MAX_URL: usize = 2048;

/// What may not stand in a request line, and is encoded; everything else stays byte for byte.
const NOT_IN_A_REQUEST: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

/// Parameters of an announce that are ours to set (BEP 3, BEP 23). Not `key`, by which some trackers mean a passkey.
const OURS: &[&str] = &["info_hash", "peer_id", "port", "ip", "uploaded", "downloaded", "left", "event"];

/// Who a URL names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, in lower case, to be looked up.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

canon_enum!(out Host { 0 = Name(a), 1 = Ip(a) });

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A tracker's URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackerUrl {
    scheme: Scheme,
    host: Host,
    port: u16,
    /// Empty (UDP only), or begins with `/`.
    path: String,
    /// What follows the `?`.
    query: Option<String>,
}

canon_struct!(out TrackerUrl { scheme, host, port, path, query });

/// Why a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Nothing but white space.
    Empty,
    /// Longer than [`MAX_URL`].
    TooLong,
    /// Neither `http`, `https` nor `udp`.
    Scheme,
    /// A user name or password.
    Credentials,
    /// The host is missing or not a host name.
    Host,
    /// An internationalised host name.
    Idna,
    /// The port is not in 1..=65535, or missing for UDP.
    Port,
    /// Its query has a parameter that is ours to set: whoever made the URL could announce others in our name.
    OurParameter,
    /// The torrent has too many trackers already.
    TooMany,
}

canon_enum!(out UrlError { 0 = Empty, 1 = TooLong, 2 = Scheme, 3 = Credentials, 4 = Host, 5 = Idna, 6 = Port, 7 = OurParameter, 8 = TooMany });

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::Empty => "is empty",
            UrlError::TooLong => "is longer than 2048 bytes",
            UrlError::Scheme => "does not begin with http://, https:// or udp://",
            UrlError::Credentials => "holds a user name or password, which is not supported",
            UrlError::Host => "names no valid host",
            UrlError::Idna => "has an internationalised host name, which could pass for another",
            UrlError::Port => "has no valid port (UDP trackers need one)",
            UrlError::OurParameter => "sets a parameter of announces that is not its to set (info_hash, port ...)",
            UrlError::TooMany => "comes after too many other trackers",
        })
    }
}

impl core::error::Error for UrlError {}

impl TrackerUrl {
    /// Takes a URL apart. White space around it is dropped, and so is a fragment.
    ///
    /// # Errors
    /// When it is not a URL of a tracker; see [`UrlError`].
    pub fn parse(text: &str) -> Result<TrackerUrl, UrlError> {
        TrackerUrl::parse_with(text, &NetPolicy::default())
    }

    /// Like [`parse`](TrackerUrl::parse), where internationalised host names may be allowed; they are then written in
    /// Punycode.
    ///
    /// # Errors
    /// When it is not a URL of a tracker.
    pub fn parse_with(text: &str, policy: &NetPolicy) -> Result<TrackerUrl, UrlError> {
        let url = TrackerUrl::parse_any(text, policy)?;
        let query = url.query.as_deref().unwrap_or_default();
        let name = |parameter: &'_ str| parameter.split('=').next().unwrap_or_default().to_ascii_lowercase();
        if query.split('&').any(|parameter| OURS.contains(&name(parameter).as_str())) {
            return Err(UrlError::OurParameter);
        }
        Ok(url)
    }

    /// Also a URL that has our parameters: where a tracker redirects to, they have been put in by it.
    fn parse_any(text: &str, policy: &NetPolicy) -> Result<TrackerUrl, UrlError> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = [Scheme::Http, Scheme::Https, Scheme::Udp]
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known.as_str()))
            .ok_or(UrlError::Scheme)?;
        let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(authority_end);
        let (host, port) = parse_authority(authority, scheme, policy)?;
        let (path, query) = parse_tail(tail);
        // "If the path is empty, it is sent as /" (RFC 9112, 3.2.1). For UDP it means that there is no URL data.
        let path = if path.is_empty() && scheme != Scheme::Udp { String::from("/") } else { path };
        Ok(TrackerUrl { scheme, host, port, path, query })
    }

    /// How the tracker is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port; the scheme's own where the URL has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path: empty (UDP only), or begins with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows the `?`, when there is one.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Path and query as they go into a request.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// On whose word its host's addresses are used, when the URL stands on somebody's word: with a public name, on that of the
    /// open internet too, which says where the name leads.
    pub fn word(&self, of: Word) -> Word {
        match &self.host {
            Host::Name(name) if of == Word::Local && is_public_name(name) => Word::Global,
            _ => of,
        }
    }

    /// Whether the tracker may be asked at one of its host's addresses. See [`NetRules::may_ask`].
    ///
    /// # Errors
    /// Why not.
    pub fn may_ask(&self, ip: IpAddr, rules: &NetRules<'_>, word: Word) -> Result<(), Refusal> {
        let request = Request {
            purpose: Purpose::Tracker,
            scheme: self.scheme,
            to: SocketAddr::new(ip, self.port),
            path: &self.path,
            has_query: self.query.is_some(),
        };
        rules.may_ask(&request, word)
    }

    /// The URL that a `Location` of this one's answer leads to (RFC 3986, 5.2).
    ///
    /// # Errors
    /// When that is not a URL of a tracker.
    pub fn join(&self, location: &str) -> Result<TrackerUrl, UrlError> {
        let location = location.trim();
        if location.is_empty() {
            return Err(UrlError::Empty);
        }
        if location.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        if let Some(network_path) = location.strip_prefix("//") {
            let text = format!("{}://{network_path}", self.scheme.as_str());
            return TrackerUrl::parse_any(&text, &NetPolicy::default());
        }
        let names_scheme =
            location.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains(['/', '?', '#']));
        if names_scheme {
            return TrackerUrl::parse_any(location, &NetPolicy::default());
        }
        let (path, query) = parse_tail(location);
        let path = if path.is_empty() {
            self.path.clone()
        } else if path.starts_with('/') {
            without_dots(&path)
        } else {
            let folder = self.path.rfind('/').map_or("/", |slash| &self.path[..=slash]);
            without_dots(&format!("{folder}{path}"))
        };
        Ok(TrackerUrl { path, query, ..self.clone() })
    }

    /// The URL for a scrape (BEP 48), when this tracker has one.
    ///
    /// The older and narrower practice: only when `announce` begins the text behind the last `/` of the path.
    pub fn scrape(&self) -> Option<TrackerUrl> {
        let (folder, last) = self.path.rsplit_once('/')?;
        let rest = last.strip_prefix("announce")?;
        Some(TrackerUrl { path: format!("{folder}/scrape{rest}"), ..self.clone() })
    }
}

impl fmt::Display for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        let default = match self.scheme {
            Scheme::Http => Some(80),
            Scheme::Https => Some(443),
            Scheme::Udp => None,
        };
        if default != Some(self.port) {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

fn parse_authority(authority: &str, scheme: Scheme, policy: &NetPolicy) -> Result<(Host, u16), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::Credentials);
    }
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (ip, rest) = inner.split_once(']').ok_or(UrlError::Host)?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| UrlError::Host)?;
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':').ok_or(UrlError::Host)?),
        };
        (Host::Ip(IpAddr::V6(ip)), port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (parse_host(host, policy)?, Some(port)),
            None => (parse_host(authority, policy)?, None),
        }
    };
    let port = match (port, scheme) {
        (Some("") | None, Scheme::Http) => 80,
        (Some("") | None, Scheme::Https) => 443,
        (Some("") | None, Scheme::Udp) => return Err(UrlError::Port),
        (Some(digits), _) => {
            let digits_only = digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|&port| digits_only && port != 0).ok_or(UrlError::Port)?
        }
    };
    Ok((host, port))
}

fn parse_host(text: &str, policy: &NetPolicy) -> Result<Host, UrlError> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    policy.host_name(text).map(Host::Name).map_err(|refusal| match refusal {
        Refusal::Idna => UrlError::Idna,
        _ => UrlError::Host,
    })
}

/// Path and query of what follows the authority.
fn parse_tail(tail: &str) -> (String, Option<String>) {
    let tail = tail.split_once('#').map_or(tail, |(tail, _)| tail);
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    let sendable = |part: &str| -> String { utf8_percent_encode(part, NOT_IN_A_REQUEST).collect() };
    // Browsers take a backslash for a slash; here it must at least not be taken for a part of the host.
    let path = if path.starts_with('\\') { format!("/{}", sendable(path)) } else { sendable(path) };
    (path, query.map(sendable))
}

/// "remove_dot_segments" (RFC 3986, 5.2.4) of a path that begins with `/`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    let mut out = "/".to_owned();
    out.push_str(&kept.join("/"));
    out
}

#[cfg(test)]
mod tests;
