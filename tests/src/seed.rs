//! The seed of a world, and the streams of chance that come from it.
//!
//! Everything random in a world is drawn from a stream with a *name* ("net/link/3-7", "fault/crash"). So a draw more in one
//! place shifts no draw of another, and a run whose faults are turned off one by one stays the same run elsewhere.

use parcacik_core::rng::{Rng, Seeds, Stream};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// 256 bits from which a world makes all its chance.
///
/// ```
/// use parcacik_testkit::WorldSeed;
///
/// let seed = WorldSeed::from(7);
/// assert_eq!(seed.to_string(), "7");
/// assert_eq!("7".parse(), Ok(seed));
/// assert_eq!(seed.rng("net/link/3-7").next_u64(), seed.rng("net/link/3-7").next_u64());
/// assert_ne!(seed.rng("net/link/3-7").next_u64(), seed.rng("net/link/3-8").next_u64());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorldSeed(pub [u8; 32]);

impl WorldSeed {
    /// The stream of a name.
    pub fn rng(&self, name: &str) -> Rng {
        self.seeds(name).decisions(Stream::Session, 0)
    }

    /// Both seeds of a session of a name.
    pub fn seeds(&self, name: &str) -> Seeds {
        let of = |kind: &[u8]| {
            let hash = Sha256::new_with_prefix(self.0).chain_update(kind).chain_update(name.as_bytes());
            hash.finalize().into()
        };
        Seeds { decision: of(b"d/"), secret: of(b"s/") }
    }
}

impl From<u64> for WorldSeed {
    fn from(number: u64) -> WorldSeed {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        WorldSeed(bytes)
    }
}

impl From<u8> for WorldSeed {
    fn from(number: u8) -> WorldSeed {
        WorldSeed::from(u64::from(number))
    }
}

/// So that a number can be written as it is: `World::new(3)`.
impl From<i32> for WorldSeed {
    fn from(number: i32) -> WorldSeed {
        WorldSeed::from(u64::from(number.unsigned_abs()))
    }
}

/// A number where it is one of 64 bits, else 64 hexadecimal digits.
impl fmt::Display for WorldSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((high, low)) = self.0.split_last_chunk::<8>()
            && high.iter().all(|&byte| byte == 0)
        {
            return write!(f, "{}", u64::from_be_bytes(*low));
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for WorldSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not a seed: neither a number of 64 bits nor 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASeed;

impl fmt::Display for NotASeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a seed is a number of 64 bits or 64 hexadecimal digits")
    }
}

impl std::error::Error for NotASeed {}

impl FromStr for WorldSeed {
    type Err = NotASeed;

    fn from_str(text: &str) -> Result<WorldSeed, NotASeed> {
        if text.len() != 64 {
            return text.parse::<u64>().map(WorldSeed::from).map_err(|_| NotASeed);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(|_| NotASeed)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotASeed)?;
        }
        Ok(WorldSeed(bytes))
    }
}

/// What is drawn from a stream besides whole numbers. There is no float in it: the same on every machine.
pub trait Draws {
    /// A number in a range, both ends included, each equally likely.
    fn range(&mut self, least: u64, most: u64) -> u64;
    /// A number in a range whose length in bits is equally likely: small ones are as likely as large ones.
    fn scale(&mut self, least: u64, most: u64) -> u64;
    /// Whether something happens that does so many times in a million.
    fn happens(&mut self, per_million: u64) -> bool;
    /// A number that is spread exponentially around a mean: many small ones, a few large ones, at most 16 times the mean.
    fn exponential(&mut self, mean: u64) -> u64;
}

impl Draws for Rng {
    fn range(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least).saturating_add(1).max(1))
    }

    fn scale(&mut self, least: u64, most: u64) -> u64 {
        let bits = |number: u64| u64::from(64 - number.leading_zeros());
        let length = self.range(bits(least), bits(most));
        let (low, high) = match length {
            0 => (0, 0),
            64 => (1 << 63, u64::MAX),
            bits => (1 << (bits - 1), (1 << bits) - 1),
        };
        self.range(low.max(least), high.min(most))
    }

    fn happens(&mut self, per_million: u64) -> bool {
        per_million > 0 && self.below(1_000_000) < per_million
    }

    fn exponential(&mut self, mean: u64) -> u64 {
        // -ln(u) by halves: how often in a row a coin falls on one side, with a part of the next half.
        let drawn = self.next_u64();
        let whole = u64::from(drawn.leading_zeros().min(16));
        let part = drawn & 0xffff;
        // ln 2 = 0.693147
        let thousandths = (whole * 1000 + part * 1000 / 0x1_0000) * 693 / 1000;
        mean.saturating_mul(thousandths) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_they_are_written() {
        let long = WorldSeed([0xa5; 32]);
        for seed in [WorldSeed::from(0), WorldSeed::from(u64::MAX), long] {
            assert_eq!(seed.to_string().parse(), Ok(seed));
        }
        for bad in ["", "-1", "18446744073709551616", "xy", &"g".repeat(64), &"ä".repeat(32)] {
            assert_eq!(bad.parse::<WorldSeed>(), Err(NotASeed), "{bad}");
        }
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        let mut rng = WorldSeed::from(1).rng("draws");
        let (mut sum, mut small) = (0, 0);
        for _ in 0..10_000 {
            assert!((3..=9).contains(&rng.range(3, 9)));
            let scaled = rng.scale(5, 1_000_000);
            assert!((5..=1_000_000).contains(&scaled));
            small += u64::from(scaled < 1_000);
            let drawn = rng.exponential(1_000);
            assert!(drawn < 16_000);
            sum += drawn;
        }
        assert!((700..=1_300).contains(&(sum / 10_000)), "the mean is {}", sum / 10_000);
        assert!(small > 3_000, "{small} of a small scale");
        assert_eq!((rng.range(4, 4), rng.scale(0, 0), rng.range(7, 3)), (4, 0, 7));
    }
}
