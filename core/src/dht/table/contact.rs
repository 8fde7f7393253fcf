//! A node that is known, and how well.

use crate::border::DhtConfig;
use crate::dht::NodeId;
use crate::journal::canon::{Encoder, Put, canon_struct};
use crate::net_policy::AddrClass;
use crate::time::Time;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// How far a contact can be relied on (BEP 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// "A good node is a node has responded to one of our queries within the last 15 minutes. A node is also good if it has ever
    /// responded to one of our queries and has sent us a query within the last 15 minutes."
    Good,
    /// "After 15 minutes of inactivity, a node becomes questionable."
    Questionable,
    /// "Nodes become bad when they fail to respond to multiple queries in a row."
    Bad,
}

/// A node that has answered us at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its id.
    pub id: NodeId,
    /// Where it is.
    pub addr: SocketAddr,
    /// Since when it is known: who has been there for long stays for long.
    pub since: Time,
    /// When it last answered.
    pub answered: Time,
    /// When it last asked us something.
    pub queried: Option<Time>,
    /// When it was last asked to keep the table fresh.
    pub refreshed: Time,
    /// Questions in a row that it did not answer.
    pub failures: u8,
    /// Its round trip, smoothed: in microseconds, and at most 71 minutes.
    pub rtt: u32,
    /// Whether its id fits its address (BEP 42).
    pub verified: bool,
}

canon_struct!(out Contact { id, addr, since, answered, queried, refreshed, failures, rtt, verified });

impl Contact {
    /// One that has just answered after `rtt`.
    pub fn new(now: Time, id: NodeId, addr: SocketAddr, rtt: Duration) -> Contact {
        Contact {
            id,
            addr,
            since: now,
            answered: now,
            queried: None,
            refreshed: now,
            failures: 0,
            rtt: micros(rtt),
            verified: id.is_valid_for(addr.ip()),
        }
    }

    /// How far it can be relied on.
    pub fn standing(&self, now: Time, config: &DhtConfig) -> Standing {
        if u32::from(self.failures) >= config.max_failures {
            return Standing::Bad;
        }
        match now.since(self.heard()) < config.good_for {
            true => Standing::Good,
            false => Standing::Questionable,
        }
    }

    /// When it was last heard, by answer or query.
    pub fn heard(&self) -> Time {
        self.queried.map_or(self.answered, |queried| queried.max(self.answered))
    }

    /// Its round trip.
    pub fn round_trip(&self) -> Duration {
        Duration::from_micros(u64::from(self.rtt))
    }

    /// When it is to be asked, to keep the table fresh.
    pub(super) fn refresh_at(&self, config: &DhtConfig) -> Time {
        let wait = match u32::from(self.failures) {
            // It gave no answer, and nothing says that it is gone: once more, soon.
            failures if failures > 0 && failures < config.max_failures => config.retry_after,
            _ => config.refresh_after,
        };
        // A query of its own shows that it is there, but not that it can be reached: only answers put off the question.
        self.answered.max(self.refreshed) + wait
    }

    pub(super) fn has_answered(&mut self, now: Time, rtt: Duration) {
        self.answered = now;
        self.failures = 0;
        // The usual smoothing: an eighth of what is new.
        self.rtt = self.rtt - self.rtt / 8 + micros(rtt) / 8;
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

/// Whose an address is, as far as one owner has one of them: an IPv4 address, a /64 of IPv6. In local networks, where many nodes
/// of a test or of a laboratory share an address, the port counts too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(u64, u16);

impl Host {
    /// Whose an address is.
    pub fn of(addr: SocketAddr) -> Host {
        let port = if is_local(addr.ip()) { addr.port() } else { 0 };
        Host(host_number(addr.ip()), port)
    }
}

impl Put for Host {
    fn put(&self, to: &mut Encoder<'_>) {
        let Host(number, port) = self;
        (*number, *port).put(to);
    }
}

/// The network that an address is of, /24 of IPv4 or /48 of IPv6: what one owner gets easily. `None` in local networks, which
/// are trusted as a whole.
pub fn network_of(addr: SocketAddr) -> Option<u64> {
    if is_local(addr.ip()) {
        return None;
    }
    Some(match addr.ip().to_canonical() {
        IpAddr::V4(_) => host_number(addr.ip()) >> 8,
        IpAddr::V6(_) => host_number(addr.ip()) >> 16,
    })
}

/// The address as a number: all of IPv4, the upper half of IPv6.
pub(crate) fn host_number(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        // The upper 64 bits of 128 fit.
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

fn is_local(ip: IpAddr) -> bool {
    AddrClass::of(ip).is_local()
}
