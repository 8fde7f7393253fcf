//! Tokens: what an announce or a put must show, so that nobody stores anything in another's name.
//!
//! BEP 5: "the queried node checks the token against the querying node's IP address. This is to prevent malicious hosts from signing
//! up other hosts for torrents. ... The BitTorrent implementation uses the SHA1 hash of the IP address concatenated onto a secret
//! that changes every five minutes and tokens up to ten minutes old are accepted."
//!
//! Here it is a keyed hash (HMAC with SHA-256) of the address and of the key that was asked for: BEP 44: "the `token` can only be used
//! to store values under that one key". Nothing is remembered of who got one. The port does not count, as translators of
//! addresses change it.

use super::NodeId;
use crate::journal::canon::canon_struct;
use crate::mac::hmac_sha256;
use crate::rng::Rng;
use crate::time::Time;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

#[cfg(test)]
mod tests;

/// How long tokens of one secret are given out. They are accepted as long again, so a token lives between 5 and 10 minutes.
pub const TOKEN_WINDOW: Duration = Duration::from_secs(5 * 60);

/// A token: 64 bits, more than anybody guesses within its life through a limit on queries.
pub type Token = [u8; 8];

/// Makes tokens, and knows them again. See the [module](self).
#[derive(Clone)]
pub struct Tokens {
    rng: Rng,
    /// Which window `secrets[0]` belongs to.
    window: u64,
    /// Of this window, and of the one before.
    secrets: [[u8; 32]; 2],
}

// The secrets are never told, not even by what they hash to; they follow from the generator and the window.
canon_struct!(out Tokens { rng, window } | secrets);

impl fmt::Debug for Tokens {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens {{ window: {} }}", self.window)
    }
}

impl Tokens {
    /// Draws the first secrets from `rng`, which must be a stream of secrets, and later ones as time goes on.
    pub fn new(mut rng: Rng) -> Tokens {
        let secrets = [draw(&mut rng), draw(&mut rng)];
        Tokens { rng, window: 0, secrets }
    }

    /// The token for somebody at `ip` who asks for `target` now.
    pub fn issue(&mut self, now: Time, ip: IpAddr, target: NodeId) -> Token {
        self.turn(now);
        make(&self.secrets[0], ip, target)
    }

    /// Whether somebody at `ip` was given this token for `target` in this window or the one before.
    pub fn accepts(&mut self, now: Time, ip: IpAddr, target: NodeId, token: &[u8]) -> bool {
        self.turn(now);
        // Both are compared in any case, and each in constant time: how long it takes tells nothing.
        self.secrets.iter().fold(false, |known, secret| known | equal(&make(secret, ip, target), token))
    }

    /// Draws the secrets that are due.
    fn turn(&mut self, now: Time) {
        let window = now.as_micros() / (TOKEN_WINDOW.as_secs() * 1_000_000);
        // Two at most, however long nobody called: older ones would be forgotten at once.
        for _ in 0..window.saturating_sub(self.window).min(2) {
            self.secrets = [draw(&mut self.rng), self.secrets[0]];
        }
        self.window = self.window.max(window);
    }
}

fn draw(rng: &mut Rng) -> [u8; 32] {
    let mut secret = [0; 32];
    rng.fill(&mut secret);
    secret
}

fn make(secret: &[u8; 32], ip: IpAddr, target: NodeId) -> Token {
    let ip = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut message = [0; 36];
    message[..16].copy_from_slice(&ip.octets());
    message[16..].copy_from_slice(&target.0);
    let [a, b, c, d, e, f, g, h, ..] = hmac_sha256(secret, &message);
    [a, b, c, d, e, f, g, h]
}

/// Whether two strings are equal, in a time that depends on their lengths only.
fn equal(ours: &Token, theirs: &[u8]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
