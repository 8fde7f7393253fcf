//! A tracker that does one wrong thing, by HTTP and by UDP.
//!
//! Put into a world by [`World::add_tracker`](crate::World::add_tracker), it answers for its name and at its address, and keeps a
//! list of what it was asked. What a driver would make of a transfer (a body that is too long, a bomb, a certificate that
//! nobody vouches for, a drip that never ends) arrives at a session as a fault; real sockets do those things in the tests of
//! the driver (`driver-smol/tests/http`).
//!
//! ```
//! use parcacik_testkit::hostile::tracker::{HostileTracker, Trick};
//! use parcacik_testkit::{Content, World};
//! use std::time::Duration;
//!
//! let mut world = World::new(1);
//! let node = world.add_node();
//! let bad = world.add_tracker(HostileTracker::new("bad.example", "9.9.9.9", Trick::Status(500)));
//! let content = Content::with_files("doc", &[("doc", 40_000)], 16_384, 7, &["http://bad.example/announce"]);
//! world.download(node, &content, &[]);
//! world.run_for(Duration::from_secs(10));
//! assert_eq!(world.tracker(bad).heard.len(), 2, "a look-up, and an announce");
//! ```

use parcacik_core::border::{HttpRequest, HttpResponse, IoFault};
use parcacik_core::time::Time;
use parcacik_core::tracker::http::parse_announce;
use parcacik_core::tracker::udp::{UdpRequest, UdpResponse};
use parcacik_core::tracker::{AnnounceEvent, AnnounceResponse};
use std::net::{IpAddr, SocketAddr};

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Nothing.
    None,
    /// Nobody is at the address.
    Down,
    /// The name leads nowhere.
    NoName,
    /// It takes the request and says nothing.
    Silent,
    /// A byte now and then, without an end: the driver's time limit ends it.
    Drip,
    /// A body that is too large, or becomes so when it is unpacked.
    Bomb,
    /// A certificate that nobody vouches for.
    BadCertificate,
    /// It leads somewhere else.
    Redirect(String),
    /// A status, with an HTML page.
    Status(u16),
    /// A status, and when to come again, in seconds.
    Busy(u16, u32),
    /// A body, as it stands.
    Body(Vec<u8>),
    /// An answer by UDP to somebody else's transaction.
    WrongTransaction,
    /// An answer by UDP that comes from another address, with peers; the tracker itself answers a second later.
    Spoofed(SocketAddr),
    /// A tracker id that is another one each time.
    ChangingIds,
}

/// What it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Time,
    /// What.
    pub what: Asked,
}

/// What a tracker is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Where its name leads.
    Name,
    /// By HTTP.
    Http {
        /// The event, of an announce.
        event: Option<AnnounceEvent>,
        /// What was repeated of its tracker id.
        tracker_id: Option<Vec<u8>>,
        /// Path and query.
        target: String,
    },
    /// By UDP.
    Udp(UdpRequest),
}

/// The tracker.
#[derive(Clone, Debug)]
pub struct HostileTracker {
    /// Its name.
    pub name: String,
    /// Its address; it is there on every port.
    pub ip: IpAddr,
    /// What is wrong.
    pub trick: Trick,
    /// What it was asked, in order.
    pub heard: Vec<Heard>,
}

/// A good answer without peers, by HTTP.
pub const GOOD: &[u8] = b"d8:intervali1800e5:peers0:e";

/// The body of an answer with compact peers.
pub fn body_with(peers: &[u8]) -> Vec<u8> {
    let mut body = format!("d8:intervali1800e5:peers{}:", peers.len()).into_bytes();
    body.extend_from_slice(peers);
    body.push(b'e');
    body
}

/// Addresses as entries of a compact list.
pub fn compact(peers: &[&str]) -> Vec<u8> {
    let entry = |peer: &&str| {
        let addr: SocketAddr = peer.parse().expect("an address");
        let IpAddr::V4(ip) = addr.ip() else { panic!("compact lists here are of IPv4") };
        [&ip.octets()[..], &addr.port().to_be_bytes()].concat()
    };
    peers.iter().flat_map(entry).collect()
}

impl HostileTracker {
    /// One with this name, at this address.
    pub fn new(name: &str, ip: &str, trick: Trick) -> HostileTracker {
        let ip = ip.parse().expect("an address");
        HostileTracker { name: name.to_owned(), ip, trick, heard: Vec::new() }
    }

    /// How often it was asked by HTTP or UDP.
    pub fn asked(&self) -> usize {
        self.heard.iter().filter(|heard| heard.what != Asked::Name).count()
    }

    /// Where its name leads.
    pub(crate) fn resolve(&mut self, at: Time) -> Result<Vec<IpAddr>, IoFault> {
        self.heard.push(Heard { at, what: Asked::Name });
        if self.trick == Trick::NoName { Err(IoFault::NotFound) } else { Ok(vec![self.ip]) }
    }

    /// What comes of a request, and whether only after the request's whole time.
    pub(crate) fn http(&mut self, at: Time, request: &HttpRequest) -> (bool, Result<HttpResponse, IoFault>) {
        let query = request.path.split_once('?').map(|(_, query)| query.as_bytes()).unwrap_or_default();
        let announce = parse_announce(query).ok().map(|announce| announce.request);
        let event = announce.as_ref().and_then(|announce| announce.event);
        let tracker_id = announce.and_then(|announce| announce.tracker_id);
        self.heard.push(Heard { at, what: Asked::Http { event, tracker_id, target: request.path.clone() } });
        let answer = |status, body: Vec<u8>, location| {
            // A driver takes no more of a body than it may.
            if body.len() > request.body_limit as usize {
                return Err(IoFault::TooLarge);
            }
            Ok(HttpResponse { status, location, retry_after: None, body: body.into() })
        };
        let page = b"<html>no tracker</html>".to_vec();
        match &self.trick {
            Trick::Down => (false, Err(IoFault::Refused)),
            Trick::Silent | Trick::Drip => (true, Err(IoFault::TimedOut)),
            Trick::Bomb => (false, Err(IoFault::TooLarge)),
            Trick::BadCertificate => (false, Err(IoFault::Untrusted)),
            Trick::Redirect(to) => (false, answer(302, page, Some(to.clone()))),
            Trick::Status(status) => (false, answer(*status, page, None)),
            Trick::Busy(status, seconds) => {
                let told = answer(*status, page, None);
                (false, told.map(|told| HttpResponse { retry_after: Some(*seconds), ..told }))
            }
            Trick::Body(body) => (false, answer(200, body.clone(), None)),
            Trick::ChangingIds => {
                let id = self.asked();
                let body = format!("d8:intervali60e5:peers0:10:tracker id2:{:02}e", id % 100);
                (false, answer(200, body.into_bytes(), None))
            }
            Trick::None | Trick::NoName | Trick::WrongTransaction | Trick::Spoofed(_) => {
                (false, answer(200, GOOD.to_vec(), None))
            }
        }
    }

    /// What comes back for a datagram: from whom it seems to come, and after how many seconds.
    pub(crate) fn udp(&mut self, at: Time, to: SocketAddr, datagram: &[u8]) -> Vec<(SocketAddr, u64, Vec<u8>)> {
        let Some(request) = UdpRequest::decode(datagram) else { return Vec::new() };
        self.heard.push(Heard { at, what: Asked::Udp(request.clone()) });
        let (transaction, response) = match request {
            UdpRequest::Connect { transaction } => (transaction, UdpResponse::Connected { connection: 77 }),
            UdpRequest::Announce { transaction, .. } => {
                let answer = AnnounceResponse { interval: Some(1800), ..AnnounceResponse::default() };
                (transaction, UdpResponse::Announced(answer))
            }
            UdpRequest::Scrape { transaction, torrents, .. } => {
                (transaction, UdpResponse::Scraped(vec![Default::default(); torrents.len()]))
            }
        };
        match &self.trick {
            Trick::Down | Trick::Silent | Trick::Drip => Vec::new(),
            Trick::WrongTransaction => vec![(to, 0, response.encode(transaction ^ 1, false))],
            Trick::Spoofed(from) => {
                let peers = vec![parcacik_core::border::Target::Addr("66.66.66.66:6666".parse().expect("an address"))];
                let lie = match &response {
                    UdpResponse::Announced(answer) => {
                        UdpResponse::Announced(AnnounceResponse { peers, ..answer.clone() })
                    }
                    other => other.clone(),
                };
                vec![(*from, 0, lie.encode(transaction, false)), (to, 1, response.encode(transaction, false))]
            }
            _ => vec![(to, 0, response.encode(transaction, false))],
        }
    }
}
