//! The query of an announce or a scrape.

use crate::border::{InfoHash, PeerId};
use crate::tracker::{AnnounceEvent, AnnounceRequest, Ledger, TrackerUrl};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::net::IpAddr;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// BEP 3: "must be escaped"; all but RFC 3986's unreserved characters. Never `+` for a space.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most parameters of a query that are looked at.
const MAX_PARAMETERS: usize = 256;

/// Path and query of an announce: the URL's own, byte for byte, then ours.
///
/// BEP 23: "the client ... sends `compact=1`"; `no_peer_id=1` where the tracker sends dictionaries all the same.
pub fn announce_target(url: &TrackerUrl, request: &AnnounceRequest) -> String {
    let mut target = url.path_and_query();
    let mut put = Parameters::behind(&mut target, url);
    put.raw("info_hash", &request.info_hash.0);
    put.raw("peer_id", &request.peer_id.0);
    put.number("port", u64::from(request.port));
    put.number("uploaded", request.ledger.uploaded);
    put.number("downloaded", request.ledger.downloaded);
    put.number("left", request.ledger.left);
    if let Some(event) = request.event {
        put.raw("event", event_name(event).as_bytes());
    }
    put.number("compact", 1);
    put.number("no_peer_id", 1);
    if let Some(num_want) = request.num_want {
        put.number("numwant", u64::from(num_want));
    }
    if let Some(key) = request.key {
        put.formatted("key", format_args!("{key:08x}"));
    }
    if let Some(id) = &request.tracker_id {
        put.raw("trackerid", id);
    }
    for ip in &request.own_ips {
        let name = if ip.is_ipv6() { "ipv6" } else { "ipv4" };
        put.raw(name, format!("{ip}").as_bytes());
    }
    target
}

/// Path and query of a scrape for some torrents. `url` is the scrape URL (see [`TrackerUrl::scrape`]).
pub fn scrape_target(url: &TrackerUrl, torrents: &[InfoHash]) -> String {
    let mut target = url.path_and_query();
    let mut put = Parameters::behind(&mut target, url);
    for torrent in torrents {
        put.raw("info_hash", &torrent.0);
    }
    target
}

struct Parameters<'t> {
    target: &'t mut String,
    /// What comes before the next parameter.
    separator: &'static str,
}

impl<'t> Parameters<'t> {
    fn behind(target: &'t mut String, url: &TrackerUrl) -> Parameters<'t> {
        let separator = match url.query() {
            None => "?",
            Some(query) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        Parameters { target, separator }
    }

    fn formatted(&mut self, name: &str, value: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = write!(self.target, "{}{name}={value}", self.separator);
        self.separator = "&";
    }

    fn raw(&mut self, name: &str, value: &[u8]) {
        self.formatted(name, format_args!("{}", percent_encode(value, NOT_UNRESERVED)));
    }

    fn number(&mut self, name: &str, value: u64) {
        self.formatted(name, format_args!("{value}"));
    }
}

fn event_name(event: AnnounceEvent) -> &'static str {
    match event {
        AnnounceEvent::Started => "started",
        AnnounceEvent::Completed => "completed",
        AnnounceEvent::Stopped => "stopped",
        AnnounceEvent::Paused => "paused",
    }
}

/// An announce as a tracker gets it by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnnounce {
    /// What it says.
    pub request: AnnounceRequest,
    /// Whether a compact list is wanted (BEP 23: servers may send one anyway; it is the default here).
    pub compact: bool,
    /// Whether peer ids may be left out of a list of dictionaries.
    pub no_peer_id: bool,
}

/// Why a query is refused. The text is what the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// A parameter is not there.
    Missing(&'static str),
    /// A parameter is malformed.
    Bad(&'static str),
    /// There are too many parameters.
    TooMany,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::Missing(name) => write!(f, "missing parameter: {name}"),
            QueryError::Bad(name) => write!(f, "malformed parameter: {name}"),
            QueryError::TooMany => f.write_str("too many parameters"),
        }
    }
}

impl core::error::Error for QueryError {}

/// Reads the query (what follows the `?`) of an announce. Unknown parameters are ignored; of one that comes twice the first
/// counts. `uploaded` and `downloaded` may be missing, as they are of no use to a tracker; `left` missing means not a seed.
///
/// # Errors
/// When the torrent, the peer id or the port is missing or malformed, or anything else is malformed.
pub fn parse_announce(query: &[u8]) -> Result<HttpAnnounce, QueryError> {
    let parameters = parameters(query)?;
    let find = |name: &str| parameters.iter().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value);
    let twenty = |name: &'static str| -> Result<[u8; 20], QueryError> {
        let value = find(name).ok_or(QueryError::Missing(name))?;
        <[u8; 20]>::try_from(value.as_slice()).map_err(|_| QueryError::Bad(name))
    };
    let number = |name: &'static str| find(name).map(|value| decimal(value).ok_or(QueryError::Bad(name))).transpose();
    let port = number("port")?.ok_or(QueryError::Missing("port"))?;
    let event = match find("event").map(Vec::as_slice) {
        None | Some(b"" | b"empty" | b"none") => None,
        Some(b"paused") => Some(AnnounceEvent::Paused),
        Some(b"started") => Some(AnnounceEvent::Started),
        Some(b"completed") => Some(AnnounceEvent::Completed),
        Some(b"stopped") => Some(AnnounceEvent::Stopped),
        Some(_) => return Err(QueryError::Bad("event")),
    };
    // Some clients send -1 or nonsense; it is a wish, so what cannot be read is no wish.
    let num_want = find("numwant").and_then(|value| decimal(value)).map(|want| u32::try_from(want).unwrap_or(u32::MAX));
    // A key is opaque text. What is not eight hexadecimal digits or less does not fit and is left out.
    let key = find("key").and_then(|value| core::str::from_utf8(value).ok()).and_then(hexadecimal);
    Ok(HttpAnnounce {
        request: AnnounceRequest {
            info_hash: InfoHash(twenty("info_hash")?),
            peer_id: PeerId(twenty("peer_id")?),
            port: u16::try_from(port).map_err(|_| QueryError::Bad("port"))?,
            ledger: Ledger {
                uploaded: number("uploaded")?.unwrap_or(0),
                downloaded: number("downloaded")?.unwrap_or(0),
                left: number("left")?.unwrap_or(u64::MAX),
            },
            event,
            num_want,
            key,
            tracker_id: find("trackerid").cloned(),
            own_ips: [find("ipv4"), find("ipv6")].into_iter().flatten().filter_map(|ip| address(ip)).collect(),
        },
        compact: find("compact").is_none_or(|value| value != b"0"),
        no_peer_id: find("no_peer_id").is_some_and(|value| value != b"0"),
    })
}

/// Reads the query of a scrape: the torrents it asks for, at most `limit`.
///
/// # Errors
/// When an info-hash is malformed, or none is there (a scrape of everything is not served).
pub fn parse_scrape(query: &[u8], limit: usize) -> Result<Vec<InfoHash>, QueryError> {
    let mut torrents = Vec::new();
    for (name, value) in parameters(query)? {
        if name == b"info_hash" && torrents.len() < limit {
            torrents.push(InfoHash(<[u8; 20]>::try_from(value.as_slice()).map_err(|_| QueryError::Bad("info_hash"))?));
        }
    }
    if torrents.is_empty() { Err(QueryError::Missing("info_hash")) } else { Ok(torrents) }
}

/// A name as it stands, and its value decoded.
type Parameter<'q> = (&'q [u8], Vec<u8>);

fn parameters(query: &[u8]) -> Result<Vec<Parameter<'_>>, QueryError> {
    let mut found = Vec::new();
    for part in query.split(|&b| b == b'&').filter(|part| !part.is_empty()) {
        if found.len() >= MAX_PARAMETERS {
            return Err(QueryError::TooMany);
        }
        let mut sides = part.splitn(2, |&b| b == b'=');
        let name = sides.next().unwrap_or_default();
        let value = sides.next().unwrap_or_default();
        found.push((name, percent_decode(value).collect()));
    }
    Ok(found)
}

fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

fn address(value: &[u8]) -> Option<IpAddr> {
    core::str::from_utf8(value).ok()?.parse().ok()
}

fn hexadecimal(value: &str) -> Option<u32> {
    let digits = value.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(value, 16).ok().filter(|_| digits)
}
