//! Writing: numbers, bytes, and buffers with holes.

use super::MAX_HOLES;
use alloc::vec::Vec;
use core::ops::Range;

/// Where an encoding goes.
pub(crate) struct Encoder<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// The holes of the next buffer.
    pub(super) holes: &'a [Range<u32>],
}

impl<'a> Encoder<'a> {
    pub(in crate::journal) fn new(out: &'a mut Vec<u8>) -> Encoder<'a> {
        Encoder { out, holes: &[] }
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    #[inline]
    pub(crate) fn number(&mut self, number: u64) {
        if number < 0x80 { self.out.push(number as u8) } else { self.more_bytes(number) }
    }

    #[inline(never)]
    fn more_bytes(&mut self, number: u64) {
        // Most are of four bytes at most: put in at once, they are looked after once.
        let low = |at: u32| (number >> (7 * at)) as u8 | 0x80;
        match number {
            0..0x4000 => self.out.extend_from_slice(&[low(0), (number >> 7) as u8]),
            0x4000..0x20_0000 => self.out.extend_from_slice(&[low(0), low(1), (number >> 14) as u8]),
            0x20_0000..0x1000_0000 => self.out.extend_from_slice(&[low(0), low(1), low(2), (number >> 21) as u8]),
            _ => self.long_number(number),
        }
    }

    fn long_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// Words of eight bytes each, the lowest byte first: for what is never read back, much of which is hashed.
    #[inline]
    pub(super) fn words<const N: usize>(&mut self, words: [u64; N]) {
        let mut bytes = [[0; 8]; N];
        for (place, word) in bytes.iter_mut().zip(&words) {
            *place = word.to_le_bytes();
        }
        self.out.extend_from_slice(bytes.as_flattened());
    }

    /// A length in memory. It fits, on every platform.
    #[inline]
    pub(crate) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn buffer(&mut self, bytes: &[u8]) {
        let ranges = core::mem::take(&mut self.holes);
        if is_plan(ranges, bytes.len()) {
            self.buffer_with(bytes, ranges.iter().map(|range| range.start as usize..range.end as usize));
        } else {
            self.buffer_with(bytes, plan_holes(ranges, bytes.len()).into_iter());
        }
    }

    fn buffer_with(&mut self, bytes: &[u8], holes: impl ExactSizeIterator<Item = Range<usize>> + Clone) {
        self.length(bytes.len());
        self.length(holes.len());
        if holes.len() == 0 {
            return self.raw(bytes);
        }
        let mut at = 0;
        for hole in holes.clone() {
            self.length(hole.start - at);
            self.length(hole.len());
            at = hole.end;
        }
        let mut at = 0;
        for hole in holes {
            self.raw(bytes.get(at..hole.start).unwrap_or_default());
            at = hole.end;
        }
        self.raw(bytes.get(at..).unwrap_or_default());
    }
}

/// Whether [`plan_holes`] would leave these as they are, which is so for all that a session says.
fn is_plan(ranges: &[Range<u32>], length: usize) -> bool {
    let (mut end, mut inside) = (None, 0u64);
    for range in ranges {
        if range.is_empty() || end.is_some_and(|end| range.start <= end) {
            return false;
        }
        end = Some(range.end);
        inside += u64::from(range.end - range.start);
    }
    inside <= MAX_HOLES && end.is_none_or(|end| u64::from(end) <= length as u64)
}

/// Holes within a buffer: rising, not empty, touching ones joined, of [`MAX_HOLES`] bytes in all at most.
pub(super) fn plan_holes(ranges: &[Range<u32>], length: usize) -> Vec<Range<usize>> {
    let mut holes: Vec<Range<usize>> = Vec::new();
    let mut room = usize::try_from(MAX_HOLES).unwrap_or(usize::MAX);
    let mut at = 0;
    for range in ranges {
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).max(at);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(length).min(start.saturating_add(room));
        if start >= end {
            continue;
        }
        room -= end - start;
        at = end;
        match holes.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => holes.push(start..end),
        }
    }
    holes
}
