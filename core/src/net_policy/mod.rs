//! Which addresses, ports, schemes and host names may be used, on whose word.
//!
//! A tracker's URL comes out of a torrent, a redirect out of a tracker, a peer's address out of a list that a stranger
//! wrote: none of them may make us talk to places that only this machine can reach and that its user did not name. The
//! decision is taken on addresses, after every look-up and at every hop, never on names: a name can be made to point
//! anywhere, and elsewhere each time.
//!
//! Everything here is pure: no state, no time, no look-up.
//!
//! - [`AddrClass`]: what kind of place an address is.
//! - [`Word`]: on whose word something is done. What the user named himself is his own affair; a torrent and a server in our own
//!   network are believed less; whoever is on the open internet, or has a name that the open internet's name servers answer
//!   for ([`is_public_name`]), is believed least.
//! - [`NetPolicy`]: the switches (plain data, a section of [`Config`](crate::border::Config)), and the rules:
//!   [`may_dial`](NetPolicy::may_dial) for peers, [`may_ask`](NetPolicy::may_ask) for trackers and web seeds,
//!   [`host_name`](NetPolicy::host_name) for names.
//! - [`IpFilter`]: lists of blocked addresses, as users know them from other clients. Nobody's word is stronger than such a list,
//!   the user's own neither: it is his list.
//! - [`NetRules`]: policy and list together, as the machines of a session ask them.
//! - [`idna`]: internationalised names, written so that they cannot pass for others.
//!
//! ```
//! use parcacik_core::net_policy::{NetPolicy, Refusal, Word};
//!
//! let policy = NetPolicy::default();
//! let peer = "192.168.1.1:6881".parse().unwrap();
//! // A tracker on the open internet names a peer in our own network:
//! assert_eq!(policy.may_dial(peer, Word::Global), Err(Refusal::FromGlobalToLocal));
//! // A tracker in our own network does:
//! assert_eq!(policy.may_dial(peer, Word::Local), Ok(()));
//! ```

mod class;
mod filter;
pub mod idna;
mod names;
mod rules;

pub use crate::border::NetPolicy;
pub use class::AddrClass;
pub use filter::{FilterError, FilterLimits, FilterProblem, FilterReport, IpFilter, LineProblem};
pub use names::is_public_name;
pub use rules::NetRules;

use crate::journal::canon::canon_enum;
use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;

/// How a tracker or a web seed is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP (BEP 3).
    Http,
    /// HTTP by TLS.
    Https,
    /// UDP (BEP 15); trackers only.
    Udp,
}

canon_enum!(out Scheme { 0 = Http, 1 = Https, 2 = Udp });

impl Scheme {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Udp => "udp",
        }
    }
}

/// On whose word something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// The user's, who has named it himself. It may lead anywhere that can be asked at all.
    User,
    /// That of a torrent, or of somebody in our own network.
    Local,
    /// That of somebody on the open internet.
    Global,
}

canon_enum!(out Word { 0 = User, 1 = Local, 2 = Global });

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An announce or a scrape.
    Tracker,
    /// Content (BEP 17, BEP 19).
    WebSeed,
    /// What the user named, such as a `.torrent` file, after a redirect ([`fetch`](crate::fetch)).
    Document,
}

/// A request as it is about to be sent: one hop, to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'r> {
    /// What for.
    pub purpose: Purpose,
    /// How.
    pub scheme: Scheme,
    /// To whom: the address that the host's name was found to have.
    pub to: SocketAddr,
    /// The URL's path; empty, or begins with `/`.
    pub path: &'r str,
    /// Whether the URL has a query of its own.
    pub has_query: bool,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The scheme is switched off, or is not for this purpose.
    Scheme,
    /// Port 0, one of another service, or one that is too low.
    Port,
    /// Nobody's address, or one of this link only.
    Address,
    /// Somebody on the open internet names a place that strangers cannot reach.
    FromGlobalToLocal,
    /// A service on this machine or in our own network, and the path is not a tracker's.
    LocalPath,
    /// A web seed in a private network or on this machine, with a query.
    LocalQuery,
    /// An internationalised host name.
    Idna,
    /// Not a host name.
    HostName,
    /// The list of blocked addresses has it.
    Filtered,
}

canon_enum!(out Refusal { 0 = Scheme, 1 = Port, 2 = Address, 3 = FromGlobalToLocal, 4 = LocalPath, 5 = LocalQuery, 6 = Idna, 7 = HostName, 8 = Filtered });

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Scheme => "the scheme is not allowed",
            Refusal::Port => "the port is not allowed",
            Refusal::Address => "the address may not be asked",
            Refusal::FromGlobalToLocal => "it leads from the internet into a private network",
            Refusal::LocalPath => "it leads into a private network, and not to a tracker's path",
            Refusal::LocalQuery => "it leads to a private network, with a query",
            Refusal::Idna => "the host name is internationalised and could pass for another",
            Refusal::HostName => "it names no valid host",
            Refusal::Filtered => "the address is on the list of blocked ones",
        })
    }
}

impl core::error::Error for Refusal {}

/// Ports of services that a few bytes from a stranger could harm, rising: those that browsers do not fetch from (the
/// "port blocking" of the Fetch standard). Mail, shells, name and file services, chat, and the like.
const SERVICE_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
    540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
    6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

impl NetPolicy {
    /// Whether a peer may be dialled.
    ///
    /// # Errors
    /// Why not.
    pub fn may_dial(&self, to: SocketAddr, word: Word) -> Result<(), Refusal> {
        let other_service = to.port() < self.min_peer_port || self.is_service(to.port());
        if to.port() == 0 || (word != Word::User && other_service) {
            return Err(Refusal::Port);
        }
        match AddrClass::of(to.ip()) {
            AddrClass::Unusable => Err(Refusal::Address),
            // Peers on this link are found by those that are on it too. Never by others: clouds keep secrets there.
            AddrClass::LinkLocal if word == Word::Global => Err(Refusal::FromGlobalToLocal),
            AddrClass::Private | AddrClass::Loopback if word == Word::Global && !self.allow_local_from_global => {
                Err(Refusal::FromGlobalToLocal)
            }
            _ => Ok(()),
        }
    }

    /// Whether a tracker or a web seed may be asked. To be called for each hop and each address. `word`: whose the URL is; after a
    /// redirect that is the server that sent it.
    ///
    /// # Errors
    /// Why not.
    pub fn may_ask(&self, request: &Request<'_>, word: Word) -> Result<(), Refusal> {
        self.may_use(request.scheme)?;
        if request.scheme == Scheme::Udp && request.purpose != Purpose::Tracker {
            return Err(Refusal::Scheme);
        }
        let (port, class) = (request.to.port(), AddrClass::of(request.to.ip()));
        if port == 0 {
            return Err(Refusal::Port);
        }
        if class == AddrClass::Unusable {
            return Err(Refusal::Address);
        }
        if word == Word::User {
            return Ok(());
        }
        // A UDP tracker's first packet is 16 bytes that no other service takes for its own.
        if request.scheme != Scheme::Udp && self.is_service(port) {
            return Err(Refusal::Port);
        }
        let local = word == Word::Global && class.is_local();
        if local && (class == AddrClass::LinkLocal || !self.allow_local_from_global) {
            return Err(Refusal::FromGlobalToLocal);
        }
        if class == AddrClass::LinkLocal {
            return Err(Refusal::Address);
        }
        match request.purpose {
            Purpose::Tracker => {
                let http = class.is_local() && request.scheme != Scheme::Udp;
                let tracker = ["/announce", "/scrape"].iter().any(|start| request.path.starts_with(start));
                if http && self.local_needs_announce_path && !tracker {
                    return Err(Refusal::LocalPath);
                }
            }
            // A torrent chooses path and query of a web seed's URL. Services in a home network take orders by query.
            Purpose::WebSeed if class.is_local() && request.has_query => return Err(Refusal::LocalQuery),
            Purpose::WebSeed | Purpose::Document => {}
        }
        Ok(())
    }

    /// Whether a scheme may be used at all.
    ///
    /// # Errors
    /// When it is switched off.
    pub fn may_use(&self, scheme: Scheme) -> Result<(), Refusal> {
        let allowed = match scheme {
            Scheme::Http => self.allow_http,
            Scheme::Https => self.allow_https,
            Scheme::Udp => self.allow_udp,
        };
        if allowed { Ok(()) } else { Err(Refusal::Scheme) }
    }

    /// A host's name as it is to be looked up: ASCII, in lower case.
    ///
    /// # Errors
    /// When it is no host name (one that systems would read as an address, `0x7f.1`, is none), or an internationalised one
    /// and those are switched off.
    pub fn host_name(&self, name: &str) -> Result<String, Refusal> {
        let plain = idna::to_ascii(name).ok_or(Refusal::HostName)?;
        if names::is_address_in_disguise(&plain) {
            return Err(Refusal::HostName);
        }
        if !self.allow_idna && idna::is_internationalised(&plain) {
            return Err(Refusal::Idna);
        }
        Ok(plain)
    }

    fn is_service(&self, port: u16) -> bool {
        !self.allow_service_ports && SERVICE_PORTS.binary_search(&port).is_ok()
    }
}

#[cfg(test)]
mod tests;
