//! Filters of BEP 33: how many peers a torrent has, counted together by nodes that each know some of them.
//!
//! Two bits of 2,048 are set for each address. Filters of several nodes are laid over each other ([`BloomFilter::union`]), so who is known to
//! several counts once; from how many bits are set follows about how many addresses there are ([`BloomFilter::estimate`]).
//!
//! BEP 33: "all implementations must be functionally equivalent" to its pseudocode.
//!
//! ```
//! use parcacik_core::dht::BloomFilter;
//!
//! let (mut here, mut there) = (BloomFilter::new(), BloomFilter::new());
//! here.insert("192.0.2.1".parse().unwrap());
//! here.insert("192.0.2.2".parse().unwrap());
//! there.insert("192.0.2.2".parse().unwrap());
//! there.insert("2001:db8::1".parse().unwrap());
//! here.union(&there);
//! assert_eq!(here.estimate(), 3);
//! ```

use crate::journal::canon::{Encoder, Put};
use core::fmt;
use core::net::IpAddr;
use sha1::{Digest, Sha1};

impl Put for BloomFilter {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(&self.0);
    }
}

impl Put for BloomBits {
    fn put(&self, to: &mut Encoder<'_>) {
        self.0.iter().for_each(|bit| bit.put(to));
    }
}

#[cfg(test)]
mod tests;

/// Bits of a filter ("m").
const BITS: u32 = 256 * 8;

/// A filter. See the [module](self).
#[derive(Clone, PartialEq, Eq)]
pub struct BloomFilter([u8; 256]);

/// The bits that an address sets.
///
/// Kept beside an address, they save hashing it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BloomBits([u16; 2]);

impl BloomBits {
    /// Those of an address: the first two pairs of bytes of its SHA-1, the lower byte first, modulo the size of the filter.
    pub fn of(ip: IpAddr) -> BloomBits {
        let hash: [u8; 20] = match ip.to_canonical() {
            IpAddr::V4(ip) => Sha1::digest(ip.octets()).into(),
            IpAddr::V6(ip) => Sha1::digest(ip.octets()).into(),
        };
        let [a, b, c, d, ..] = hash;
        BloomBits([[a, b], [c, d]].map(|pair| u16::from_le_bytes(pair) % BITS as u16))
    }
}

impl Default for BloomFilter {
    fn default() -> BloomFilter {
        BloomFilter::new()
    }
}

impl fmt::Debug for BloomFilter {
    /// How many are in it, and not the bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BloomFilter(about {})", self.estimate())
    }
}

impl BloomFilter {
    /// A filter with nothing in it.
    pub const fn new() -> BloomFilter {
        BloomFilter([0; 256])
    }

    /// The filter that somebody sent.
    pub const fn from_bytes(bytes: [u8; 256]) -> BloomFilter {
        BloomFilter(bytes)
    }

    /// The filter as it is sent.
    pub const fn as_bytes(&self) -> &[u8; 256] {
        &self.0
    }

    /// Puts an address in.
    pub fn insert(&mut self, ip: IpAddr) {
        self.set(BloomBits::of(ip));
    }

    /// Puts an address in whose bits are known.
    pub fn set(&mut self, bits: BloomBits) {
        for bit in bits.0 {
            // Both are below the number of bits: there is a byte for each.
            if let Some(byte) = self.0.get_mut(usize::from(bit / 8)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// Whether an address may be in it. False: it is not. True: it is, or others happen to have set its bits.
    pub fn may_contain(&self, ip: IpAddr) -> bool {
        let is_set = |bit: u16| self.0.get(usize::from(bit / 8)).is_some_and(|byte| byte & (1 << (bit % 8)) != 0);
        BloomBits::of(ip).0.into_iter().all(is_set)
    }

    /// Puts everything in that is in another one.
    pub fn union(&mut self, other: &BloomFilter) {
        for (byte, other) in self.0.iter_mut().zip(other.0) {
            *byte |= other;
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.zeros() == BITS
    }

    /// About how many addresses are in it, to the nearest whole number. See [`estimate_thousandths`](BloomFilter::estimate_thousandths).
    pub fn estimate(&self) -> u32 {
        match self.is_empty() {
            // The formula has a half for none.
            true => 0,
            false => self.estimate_thousandths().saturating_add(500) / 1000,
        }
    }

    /// About how many addresses are in it, in thousandths.
    ///
    /// BEP 33: `c = min(m-1, countZeroBits(bloom))`, `size = log(c/m) / (k * log(1 - 1/m))`, with `m` 2,048 and `k` 2. It is computed in
    /// integers, so that it is the same everywhere. Of a filter that is full there is no estimate; it counts as one with a
    /// single bit left, which is about 7,806. From some 6,000 on, the BEP says, estimates are worth nothing.
    pub fn estimate_thousandths(&self) -> u32 {
        let zeros = self.zeros().clamp(1, BITS - 1);
        let size = u128::from(log2_of_ratio(BITS, zeros)) * 1000;
        let one = u128::from(log2_of_ratio(BITS, BITS - 1)) * 2;
        // The quotient is below 8,000,000: 11 bits over two times 0.0007.
        u32::try_from((size + one / 2) / one).unwrap_or(u32::MAX)
    }

    fn zeros(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_zeros()).sum()
    }
}

/// How many bits behind the point a logarithm has: enough for a millionth of a peer.
const FRACTION: u32 = 48;

/// The logarithm to the base of 2 of `over / under`, with [`FRACTION`] bits behind the point. `under` is not 0 and not greater than `over`.
///
/// The quotient is brought between 1 and 2, which gives the bits before the point; each squaring gives one of those behind it.
fn log2_of_ratio(over: u32, under: u32) -> u64 {
    let quotient = (u128::from(over) << 63) / u128::from(under.max(1));
    let whole = quotient.max(1).ilog2().saturating_sub(63);
    // 63 bits behind the point, so the square has 126 and fits.
    let mut rest = quotient >> whole;
    let mut log = u64::from(whole);
    for _ in 0..FRACTION {
        rest = (rest * rest) >> 63;
        let bit = rest >> 64;
        rest >>= bit;
        log = log << 1 | bit as u64;
    }
    log
}
