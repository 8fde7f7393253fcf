//! Room for what is put together in many small steps: it is made once for many of them, kept, and not looked after at each.

use alloc::vec::Vec;

/// How many bytes are copied at once, which is much quicker than some bytes.
const SHORT: usize = 16;

/// Bytes that are put together, in memory that is there already.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    /// What is behind `used` is room, whatever it holds.
    bytes: Vec<u8>,
    used: usize,
}

impl Room {
    /// Begins anew, with so many bytes in front that are filled in later: they are whatever they were.
    #[inline]
    pub(super) fn begin(&mut self, front: usize) {
        self.used = 0;
        self.pen(front);
        self.used = front;
    }

    /// How many bytes there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// The first of them, to be changed.
    #[inline]
    pub(super) fn first_mut<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.bytes.first_chunk_mut()
    }

    /// What writes up to so many bytes behind those that are there. What it has written is there once [`Room::wrote`] is told.
    #[inline]
    pub(super) fn pen(&mut self, most: usize) -> Pen<'_> {
        if self.bytes.len() - self.used < most {
            self.grow(most);
        }
        Pen { rest: self.bytes.get_mut(self.used..).unwrap_or_default(), full: false }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, most: usize) {
        self.bytes.resize((self.used + most).next_power_of_two(), 0);
    }

    /// Takes what a pen wrote, by what [`Pen::left`] says.
    #[inline]
    pub(super) fn wrote(&mut self, left: usize) {
        self.used = self.bytes.len().saturating_sub(left).max(self.used);
    }

    /// Appends bytes.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let mut pen = self.pen(bytes.len());
        pen.copy(bytes);
        let left = pen.left();
        self.wrote(left);
    }
}

/// Writes into a [`Room`]. What has no room any more is not written, and it [says so](Pen::is_full).
pub(super) struct Pen<'a> {
    rest: &'a mut [u8],
    full: bool,
}

impl Pen<'_> {
    /// Writes these bytes.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        match core::mem::take(&mut self.rest).split_first_chunk_mut() {
            Some((place, rest)) => {
                *place = bytes;
                self.rest = rest;
            }
            None => self.full = true,
        }
    }

    /// Writes a number as the [canonical encoding](super::canon) has it.
    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        let low = |at: u32| (number >> (7 * at)) as u8 | 0x80;
        match number {
            0..0x80 => self.put([number as u8]),
            0x80..0x4000 => self.put([low(0), (number >> 7) as u8]),
            0x4000..0x20_0000 => self.put([low(0), low(1), (number >> 14) as u8]),
            _ => *self = Pen { rest: core::mem::take(&mut self.rest), full: self.full }.long_number(number),
        }
    }

    /// By value: so it stays in registers where this is not called.
    #[cold]
    #[inline(never)]
    fn long_number(mut self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.put([number as u8 | 0x80]);
            number >>= 7;
        }
        self.put([number as u8]);
        self
    }

    /// Writes the first bytes of `from`: so many.
    #[inline]
    pub(super) fn part(&mut self, from: &[u8], length: usize) {
        if length <= SHORT
            && let Some(bytes) = from.first_chunk::<SHORT>()
            && let Some(place) = self.rest.first_chunk_mut::<SHORT>()
        {
            *place = *bytes;
            self.rest = core::mem::take(&mut self.rest).get_mut(length..).unwrap_or_default();
        } else {
            match from.get(..length) {
                Some(part) => self.copy(part),
                None => self.full = true,
            }
        }
    }

    /// Writes these bytes.
    #[inline]
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        match core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            Some((place, rest)) => {
                place.copy_from_slice(bytes);
                self.rest = rest;
            }
            None => self.full = true,
        }
    }

    /// Whether something had no room, or was not there.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// How much room is left.
    #[inline]
    pub(super) fn left(self) -> usize {
        self.rest.len()
    }
}
