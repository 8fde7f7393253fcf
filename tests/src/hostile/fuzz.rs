//! Peers that send anything.

use super::trick::{Me, Trick};
use parcacik_core::rng::Rng;

/// Damages what is sent, message by message.
#[derive(Clone, Debug)]
pub struct Havoc {
    /// How many messages in a hundred.
    pub percent: usize,
    kept: Vec<u8>,
}

impl Havoc {
    /// Damages so many messages in a hundred.
    pub fn new(percent: usize) -> Havoc {
        Havoc { percent, kept: Vec::new() }
    }
}

impl Trick for Havoc {
    fn sending(&mut self, me: &mut Me<'_>, bytes: &mut Vec<u8>) {
        if me.rng.index(100) < self.percent {
            damage(me.rng, bytes, &mut self.kept);
        }
    }
}

/// Damages one message in one of seven ways. `kept` is a message that is held back for a later one.
pub fn damage(rng: &mut Rng, bytes: &mut Vec<u8>, kept: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    match rng.index(7) {
        // One bit.
        0 => {
            let at = rng.index(bytes.len());
            bytes[at] ^= 1 << rng.index(8);
        }
        // Cut short.
        1 => bytes.truncate(rng.index(bytes.len())),
        // Twice.
        2 => bytes.extend_from_within(..),
        // Something between.
        3 => {
            let at = rng.index(bytes.len() + 1);
            let mut new = vec![0; 1 + rng.index(40)];
            rng.fill(&mut new);
            bytes.splice(at..at, new);
        }
        // Not now: instead of the next that this happens to, which takes its place.
        4 => std::mem::swap(bytes, kept),
        // Two bytes change places.
        5 => {
            let (one, other) = (rng.index(bytes.len()), rng.index(bytes.len()));
            bytes.swap(one, other);
        }
        // Another message altogether, well-formed in its length.
        _ => {
            let mut body = vec![0; 1 + rng.index(60)];
            rng.fill(&mut body);
            body[0] %= 24;
            *bytes = (body.len() as u32).to_be_bytes().to_vec();
            bytes.extend_from_slice(&body);
        }
    }
}

/// The handshake is random bytes; how many of them begin as one should.
#[derive(Clone, Debug)]
pub struct RandomHandshake {
    /// How many bytes are right.
    pub right: usize,
    /// How many there are.
    pub length: usize,
}

impl Trick for RandomHandshake {
    fn handshake(&mut self, me: &mut Me<'_>, bytes: &mut Vec<u8>) {
        let right = self.right.min(bytes.len());
        bytes.resize(self.length.max(right), 0);
        me.rng.fill(&mut bytes[right..]);
    }
}
