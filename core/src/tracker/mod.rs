//! Trackers: asking them, and being one.
//!
//! Each part stands alone:
//!
//! - [`url`]: what a tracker's URL may be. Which addresses may be asked is decided by [`net_policy`](crate::net_policy).
//! - [`http`] and [`udp`]: the two protocols, both sides, bytes to values and back ([`udp::UdpExchange`] is the client's one
//!   conversation with its retransmissions).
//! - [`announcer`]: the machine that each torrent has: tiers, intervals, events, back-off.
//! - [`scrape`]: the machine that asks one tracker how torrents do.
//! - [`probe`]: the machine that asks some trackers once, without a torrent.
//! - [`server`]: a tracker for both protocols.
//!
//! What both protocols say is the same: [`AnnounceRequest`] and [`AnnounceResponse`].
//!
//! Both sides in one place, by HTTP; sockets would lie between:
//!
//! ```
//! use parcacik_core::border::{InfoHash, PeerId, Target};
//! use parcacik_core::tracker::http::{ResponseLimits, announce_target, parse_response};
//! use parcacik_core::tracker::server::{ServerConfig, TrackerServer};
//! use parcacik_core::tracker::{AnnounceRequest, Ledger, Reply, TrackerUrl};
//! use parcacik_core::{rng::Seeds, time::Time};
//!
//! let mut tracker = TrackerServer::new(ServerConfig::default(), &Seeds::for_tests(1));
//! let url = TrackerUrl::parse("http://tracker.example/announce").unwrap();
//! let mut announce = |name, port, from: &str| {
//!     let request = AnnounceRequest {
//!         info_hash: InfoHash([7; 20]),
//!         peer_id: PeerId([name; 20]),
//!         port,
//!         ledger: Ledger { uploaded: 0, downloaded: 0, left: 1 },
//!         event: None,
//!         num_want: None,
//!         key: None,
//!         tracker_id: None,
//!         own_ips: vec![],
//!     };
//!     let answer = tracker.http(Time::ZERO, from.parse().unwrap(), announce_target(&url, &request).as_bytes());
//!     parse_response(&answer.body, &ResponseLimits { body: 10_000, peers: 50, id: 100, text: 200 })
//! };
//!
//! announce(b'a', 6881, "192.0.2.1:40000").unwrap();
//! let Ok(Reply::Answer(second)) = announce(b'b', 6881, "192.0.2.2:40000") else { panic!("it refuses") };
//! assert_eq!(second.peers, [Target::Addr("192.0.2.1:6881".parse().unwrap())]);
//! ```

pub mod announcer;
mod exchange;
pub mod http;
pub mod probe;
pub mod scrape;
pub mod server;
#[cfg(test)]
mod testkit;
pub mod udp;
pub mod url;

pub use announcer::{AnnounceFacts, Announcer, TrackerSaid, TrackerState, TrackerStatus, Turn};
pub use probe::{Probe, ProbeSaid};
pub use scrape::{Scrape, ScrapeResponse};
pub use url::{TrackerUrl, UrlError};

pub use crate::border::{AnnounceEvent, AnnounceResponse, ScrapeCounts};
pub use crate::net_policy::AddrClass;

use crate::border::{InfoHash, IoFault, PeerId, SocketId};
use crate::journal::canon::{canon_enum, canon_struct};
use crate::net_policy::Refusal;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// What has been transferred, for a tracker's statistics: bytes of content, only what was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Bytes sent to peers in this session.
    pub uploaded: u64,
    /// Bytes received in this session that passed their hash.
    pub downloaded: u64,
    /// Bytes that are still wanting; 0 makes us a seed. Where the size is not known yet: any other number.
    pub left: u64,
}

canon_struct!(out Ledger { uploaded, downloaded, left });

/// An announce, as both protocols can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who asks.
    pub peer_id: PeerId,
    /// Where the asker listens; 0: nowhere.
    pub port: u16,
    /// What has been transferred.
    pub ledger: Ledger,
    /// Why, when it is not just time.
    pub event: Option<AnnounceEvent>,
    /// How many peers are wanted; `None`: as many as the tracker likes.
    pub num_want: Option<u32>,
    /// A secret of the asker by which the tracker knows it again when its address changes.
    pub key: Option<u32>,
    /// What the tracker asked to be told (HTTP only).
    pub tracker_id: Option<Vec<u8>>,
    /// Addresses of ours besides the one that the request comes from (HTTP only): `&ipv4=` and `&ipv6=`. BEP 7 discourages
    /// them, "as they allow an attacker to announce a victim's IP address", so that only trackers of private torrents, which
    /// know their users, are told.
    pub own_ips: Vec<IpAddr>,
}

canon_struct!(out AnnounceRequest { info_hash, peer_id, port, ledger, event, num_want, key, tracker_id, own_ips });

/// What a tracker is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// To list us, and to name peers.
    Announce(AnnounceRequest),
    /// How these torrents do.
    Scrape(Vec<InfoHash>),
}

canon_enum!(out Question { 0 = Announce(a), 1 = Scrape(a) });

/// What a tracker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To an announce.
    Announced(AnnounceResponse),
    /// To a scrape.
    Scraped(ScrapeResponse),
}

/// How a tracker can be reached in one family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The port that peers can reach us at; 0: none.
    pub port: u16,
    /// The UDP socket to use; without one UDP trackers fail.
    pub udp: Option<SocketId>,
    /// The address that HTTP requests come from; the system's choice when `None`.
    pub bind_ip: Option<IpAddr>,
}

/// How trackers can be reached. At addresses of a family without a way none is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// By IPv4.
    pub v4: Option<Way>,
    /// By IPv6.
    pub v6: Option<Way>,
}

impl Ways {
    /// The way to an address.
    pub fn to(&self, ip: IpAddr) -> Option<Way> {
        if ip.is_ipv6() { self.v6 } else { self.v4 }
    }
}

/// What a tracker has to say to an announce or a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// The answer.
    Answer(T),
    /// It refuses.
    Failure {
        /// Why, cut and cleaned. Untrusted text.
        reason: String,
        /// When it may be asked again (BEP 31), when it says so.
        retry: Option<RetryIn>,
    },
}

/// When a tracker that refused may be asked again (BEP 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryIn {
    /// After so many minutes.
    Minutes(u32),
    /// "the client should never send this query again".
    Never,
}

/// Why an announce failed.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerError {
    /// The tracker refused, in its own words (untrusted, cut and cleaned).
    Refused(String),
    /// The tracker refused for good: `retry in: never` or status 410 (Gone).
    Gone(String),
    /// An HTTP status that is no answer, with the tracker's reason where the body has one.
    Status(u16, Option<String>),
    /// The host's addresses could not be found.
    Resolve(IoFault),
    /// The exchange failed at every address; this is the last failure.
    Io(IoFault),
    /// The answer cannot be read; the text says where it breaks.
    BadAnswer(String),
    /// None of the host's addresses is of the family in use.
    NoAddress,
    /// None of the host's addresses may be asked; why the first may not.
    NotAllowed(Refusal),
    /// A UDP tracker, and there is no UDP socket.
    NoUdpSocket,
    /// A redirect that is not followed.
    Redirect(RedirectError),
    /// A scrape, and the tracker's URL is none that leads to one (BEP 48).
    NoScrape,
}

canon_enum!(out TrackerError { 0 = Refused(a), 1 = Gone(a), 2 = Status(a, b), 3 = Resolve(a), 4 = Io(a), 5 = BadAnswer(a), 6 = NoAddress, 7 = NotAllowed(a), 8 = NoUdpSocket, 9 = Redirect(a), 10 = NoScrape });

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectError {
    /// There were too many in one announce.
    TooMany,
    /// It does not say whereto.
    NoLocation,
    /// It leads to something that is not a tracker's URL.
    BadLocation(UrlError),
    /// It leads out of HTTP.
    Scheme,
    /// It leads from TLS to plain HTTP.
    Downgrade,
    /// It leads from the open internet to an address that only we can reach.
    ToPrivate,
}

canon_enum!(out RedirectError { 0 = TooMany, 1 = NoLocation, 2 = BadLocation(a), 3 = Scheme, 4 = Downgrade, 5 = ToPrivate });

impl fmt::Display for TrackerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrackerError::Refused(reason) => write!(f, "the tracker refuses: {reason}"),
            TrackerError::Gone(reason) => write!(f, "the tracker refuses for good: {reason}"),
            TrackerError::Status(status, None) => write!(f, "HTTP status {status}"),
            TrackerError::Status(status, Some(reason)) => write!(f, "HTTP status {status}: {reason}"),
            TrackerError::Resolve(fault) => write!(f, "looking up the host: {fault}"),
            TrackerError::Io(fault) => write!(f, "{fault}"),
            TrackerError::BadAnswer(problem) => write!(f, "the answer cannot be read: {problem}"),
            TrackerError::NoAddress => f.write_str("the host has no address of the family in use"),
            TrackerError::NotAllowed(refusal) => write!(f, "not asked: {refusal}"),
            TrackerError::NoUdpSocket => f.write_str("there is no UDP socket"),
            TrackerError::Redirect(error) => write!(f, "redirect: {error}"),
            TrackerError::NoScrape => f.write_str("the tracker's URL does not lead to a scrape"),
        }
    }
}

impl core::error::Error for TrackerError {}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectError::TooMany => f.write_str("too many"),
            RedirectError::NoLocation => f.write_str("without a location"),
            RedirectError::BadLocation(error) => write!(f, "the location {error}"),
            RedirectError::Scheme => f.write_str("out of HTTP"),
            RedirectError::Downgrade => f.write_str("from TLS to plain HTTP"),
            RedirectError::ToPrivate => f.write_str("from the internet into a private network"),
        }
    }
}

/// Text that somebody else wrote, fit to be shown: at most `limit` characters, none that controls a terminal or turns the
/// direction of writing.
pub(crate) fn clean_text(bytes: &[u8], limit: u32) -> String {
    // A character has at most four bytes; what lies behind that many need not be looked at.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let bytes = bytes.get(..limit.saturating_mul(4)).unwrap_or(bytes);
    let shown = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    String::from_utf8_lossy(bytes).chars().filter(shown).take(limit).collect()
}

/// Whether a peer's address out of an answer can be an address at all. Loopback and private ones can: swarms in one network
/// are normal, and who is dialled is decided elsewhere.
pub(crate) fn is_dialable(addr: &SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// The peers of a compact list (BEP 23: 6 bytes each, BEP 7: 18). A rest that is no whole entry is dropped.
pub(crate) fn compact_peers(bytes: &[u8], v6: bool) -> impl Iterator<Item = SocketAddr> + '_ {
    let split = |entry: &[u8]| -> Option<SocketAddr> {
        let (ip, port) = entry.split_last_chunk::<2>()?;
        let ip = match ip.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
            _ => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
    };
    bytes.chunks_exact(if v6 { 18 } else { 6 }).filter_map(split).filter(is_dialable)
}

/// Writes an address as an entry of a compact list.
pub(crate) fn put_compact(out: &mut Vec<u8>, addr: &SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}
