//! A set of pieces, in the order that BEP 3 puts on the wire.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// A set of the numbers `0..len`.
///
/// BEP 3: "The high bit in the first byte corresponds to piece index 0. [...] Spare bits at the end are set to zero."
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bitfield {
    words: Vec<u64>,
    len: u32,
    ones: u32,
}

impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitfield({}/{})", self.ones, self.len)
    }
}

/// Why bytes are not a bitfield of the expected length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitfieldError {
    /// The number of bytes is not `len / 8`, rounded up.
    WrongLength {
        /// Bytes that a set of this length takes.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A bit behind the last piece is set.
    SpareBits,
}

impl fmt::Display for BitfieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BitfieldError::WrongLength { expected, got } => {
                write!(f, "bitfield of {got} bytes where {expected} are due")
            }
            BitfieldError::SpareBits => f.write_str("bitfield with spare bits set"),
        }
    }
}

impl core::error::Error for BitfieldError {}

impl Bitfield {
    /// The empty set of a torrent of `len` pieces.
    pub fn none(len: u32) -> Bitfield {
        Bitfield { words: vec![0; (len as usize).div_ceil(64)], len, ones: 0 }
    }

    /// The full set of a torrent of `len` pieces.
    pub fn all(len: u32) -> Bitfield {
        let mut words = vec![u64::MAX; (len as usize).div_ceil(64)];
        if let (Some(last), spare @ 1..) = (words.last_mut(), len % 64) {
            *last = u64::MAX << (64 - spare);
        }
        Bitfield { words, len, ones: len }
    }

    /// Reads the bytes of a `bitfield` message.
    pub fn from_wire(bytes: &[u8], len: u32) -> Result<Bitfield, BitfieldError> {
        let expected = (len as usize).div_ceil(8);
        if bytes.len() != expected {
            return Err(BitfieldError::WrongLength { expected, got: bytes.len() });
        }
        let mut words: Vec<u64> = Vec::with_capacity((len as usize).div_ceil(64));
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            words.push(u64::from_be_bytes(word));
        }
        if let (Some(last), spare @ 1..) = (words.last(), len % 64)
            && last & (u64::MAX >> spare) != 0
        {
            return Err(BitfieldError::SpareBits);
        }
        let ones = words.iter().map(|word| word.count_ones()).sum();
        Ok(Bitfield { words, len, ones })
    }

    /// The bytes of a `bitfield` message.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.truncate((self.len as usize).div_ceil(8));
        bytes
    }

    /// How many numbers the set is over (not how many it holds).
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the set is over no numbers at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many numbers the set holds.
    pub fn count(&self) -> u32 {
        self.ones
    }

    /// Whether the set holds every number.
    pub fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether the set holds `index`; false when out of range.
    pub fn get(&self, index: u32) -> bool {
        self.words.get(index as usize / 64).is_some_and(|word| word & mask(index) != 0)
    }

    /// Puts `index` in; true when it was not there. Out of range: nothing happens, false.
    pub fn insert(&mut self, index: u32) -> bool {
        if index >= self.len || self.get(index) {
            return false;
        }
        self.words[index as usize / 64] |= mask(index);
        self.ones += 1;
        true
    }

    /// Takes `index` out; true when it was there.
    pub fn remove(&mut self, index: u32) -> bool {
        if index >= self.len || !self.get(index) {
            return false;
        }
        self.words[index as usize / 64] &= !mask(index);
        self.ones -= 1;
        true
    }

    /// The numbers in the set, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut left = word;
            core::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.leading_zeros();
                left &= !(1u64 << (63 - bit));
                Some(at as u32 * 64 + bit)
            })
        })
    }

    /// How many numbers are in `self` and not in `other`.
    pub fn count_not_in(&self, other: &Bitfield) -> u32 {
        let mut count = 0;
        for (at, word) in self.words.iter().enumerate() {
            count += (word & !other.words.get(at).copied().unwrap_or(0)).count_ones();
        }
        count
    }

    /// Whether every number of `other` is in `self` too.
    pub fn contains_all(&self, other: &Bitfield) -> bool {
        other.count_not_in(self) == 0
    }

    /// The numbers that are in `self` and not in `other`.
    pub fn minus(&self, other: &Bitfield) -> Bitfield {
        let theirs = other.words.iter().copied().chain(core::iter::repeat(0));
        let words: Vec<u64> = self.words.iter().zip(theirs).map(|(ours, theirs)| ours & !theirs).collect();
        let ones = words.iter().map(|word| word.count_ones()).sum();
        Bitfield { words, len: self.len, ones }
    }

    /// The set as 64-bit words; piece 0 is the high bit of the first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

fn mask(index: u32) -> u64 {
    1u64 << (63 - index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_set(len in 1u32..300, ops in proptest::collection::vec((any::<bool>(), 0u32..320), 0..200)) {
            let mut ours = Bitfield::none(len);
            let mut model = BTreeSet::new();
            for (put, index) in ops {
                let (a, b) = if put {
                    (ours.insert(index), index < len && model.insert(index))
                } else {
                    (ours.remove(index), model.remove(&index))
                };
                prop_assert_eq!(a, b);
            }
            prop_assert_eq!(ours.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(ours.count() as usize, model.len());
            prop_assert_eq!(&Bitfield::from_wire(&ours.to_wire(), len).unwrap(), &ours);
        }
    }

    #[test]
    fn spare_bits_and_lengths_are_refused() {
        assert_eq!(Bitfield::from_wire(&[0xff], 7), Err(BitfieldError::SpareBits));
        assert_eq!(Bitfield::from_wire(&[0xfe], 7).unwrap(), Bitfield::all(7));
        assert_eq!(Bitfield::from_wire(&[0, 0], 7), Err(BitfieldError::WrongLength { expected: 1, got: 2 }));
        assert_eq!(Bitfield::all(128).to_wire(), vec![0xff; 16]);
        assert_eq!(Bitfield::all(65).count_not_in(&Bitfield::none(65)), 65);
        let mut some = Bitfield::none(65);
        some.insert(64);
        let rest = Bitfield::all(65).minus(&some);
        assert_eq!((rest.count(), rest.get(64), rest.get(0)), (64, false, true));
        assert!(Bitfield::all(65).contains_all(&some) && !some.contains_all(&rest));
    }
}
