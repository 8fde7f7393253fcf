//! Connection ids that a tracker need not remember and nobody else can make.
//!
//! BEP 15: "the connection ID ... should not be guessable by the client". An id is a keyed hash of the client's address and of
//! the minute, so it proves that its sender gets packets at that address, and no flood of connects fills a table.

use crate::mac::hmac_sha256;
use crate::rng::Rng;
use crate::time::Time;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

/// How long an id is given out before another one takes its place.
const WINDOW: Duration = Duration::from_secs(60);
/// How many windows an id is accepted after its own: "a tracker accepts it up to 120 s after it sent it".
const ACCEPTED_WINDOWS: u64 = 2;

#[derive(Clone)]
pub(super) struct ConnectionIds {
    key: [u8; 32],
}

impl fmt::Debug for ConnectionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionIds")
    }
}

impl ConnectionIds {
    pub(super) fn new(secret: &mut Rng) -> ConnectionIds {
        let mut key = [0; 32];
        secret.fill(&mut key);
        ConnectionIds { key }
    }

    /// The id for a client now.
    pub(super) fn issue(&self, now: Time, ip: IpAddr) -> u64 {
        self.of_window(window(now), ip)
    }

    /// Whether a client may use this id now.
    pub(super) fn accepts(&self, now: Time, ip: IpAddr, id: u64) -> bool {
        let now = window(now);
        (now.saturating_sub(ACCEPTED_WINDOWS)..=now).any(|window| self.of_window(window, ip) == id)
    }

    fn of_window(&self, window: u64, ip: IpAddr) -> u64 {
        let mut message = [0u8; 24];
        let ip = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        message[..16].copy_from_slice(&ip.octets());
        message[16..].copy_from_slice(&window.to_be_bytes());
        let [a, b, c, d, e, f, g, h, ..] = hmac_sha256(&self.key, &message);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

fn window(now: Time) -> u64 {
    now.as_micros() / (WINDOW.as_secs() * 1_000_000)
}
