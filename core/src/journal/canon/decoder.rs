//! Reading back what was written, and nothing else.

use super::{Blank, DecodeError, MAX_HOLES, Problem, Take};
use bytes::Bytes;

/// Where an encoding is read from.
#[derive(Debug)]
pub(in crate::journal) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    blank: Blank,
    /// Whether a buffer has been read: only the first has holes.
    behind_first: bool,
}

impl<'a> Decoder<'a> {
    pub(in crate::journal) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder::filling(bytes, Blank::default())
    }

    /// One that takes the buffers of content from `blank`.
    pub(in crate::journal) fn filling(bytes: &'a [u8], mut blank: Blank) -> Decoder<'a> {
        blank.forget();
        Decoder { bytes, at: 0, blank, behind_first: false }
    }

    pub(in crate::journal) fn into_blank(self) -> Blank {
        self.blank
    }

    pub(in crate::journal) fn at(&self) -> usize {
        self.at
    }

    pub(in crate::journal) fn take<T: Take>(&mut self) -> Result<T, DecodeError> {
        T::take(self)
    }

    /// Nothing may be left.
    pub(in crate::journal) fn end(&self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error(Problem::TooLong)) }
    }

    pub(in crate::journal) fn error(&self, problem: Problem) -> DecodeError {
        DecodeError { offset: self.at, problem }
    }

    pub(in crate::journal) fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(self.error(Problem::TooShort))?;
        self.at += 1;
        Ok(byte)
    }

    pub(in crate::journal) fn number(&mut self) -> Result<u64, DecodeError> {
        let wrong = self.error(Problem::Number);
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte holds the one bit that is left; a last byte of nothing could have been left out.
            if (shift == 63 && bits > 1) || (shift > 0 && byte == 0) {
                return Err(wrong);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(wrong)
    }

    pub(in crate::journal) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        let wrong = self.error(Problem::Number);
        T::try_from(self.number()?).map_err(|_| wrong)
    }

    pub(in crate::journal) fn raw(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let part = end.and_then(|end| self.bytes.get(self.at..end)).ok_or(self.error(Problem::TooShort))?;
        self.at += part.len();
        Ok(part)
    }

    pub(in crate::journal) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let short = self.error(Problem::TooShort);
        let part = self.raw(N as u64)?;
        part.try_into().map_err(|_| short)
    }

    pub(in crate::journal) fn buffer(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.number()?;
        let count = self.number()?;
        let wrong = self.error(Problem::Holes);
        let first = !core::mem::replace(&mut self.behind_first, true);
        if !first && count > 0 {
            return Err(wrong);
        }
        let (mut end, mut inside) = (0u64, 0u64);
        for index in 0..count {
            let (gap, hole) = (self.number()?, self.number()?);
            if hole == 0 || (gap == 0 && index > 0) {
                return Err(wrong);
            }
            let start = end.checked_add(gap).ok_or(wrong)?;
            end = start.checked_add(hole).filter(|&next| next <= length).ok_or(wrong)?;
            inside += hole;
            if inside > MAX_HOLES {
                return Err(wrong);
            }
            // Places in a buffer are of 32 bits, as in `Actions::opaque`.
            let place = |at: u64| u32::try_from(at).map_err(|_| wrong);
            self.blank.holes.push(place(start)?..place(end)?);
        }
        let kept = self.raw(length - inside)?;
        if first {
            self.blank.length = kept.len().saturating_add(inside as usize);
        }
        if count == 0 {
            return Ok(Bytes::copy_from_slice(kept));
        }
        // Both parts are bounded by now: the bytes are there, the holes are few enough.
        Ok(self.blank.make(kept))
    }
}
