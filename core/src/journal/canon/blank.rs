//! Buffers whose content was left out.
//!
//! Filling the holes of a recording of 4 GiB would be most of the work of a replay. So the buffers are used again: once nobody holds one, only
//! what was written between its holes is filled over.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::ops::Range;

/// The most buffers that are kept: a session holds on to one for each connection that is in the middle of a block.
const MAX_KEPT: usize = 64;

/// The longest buffer that is kept: above what a driver reads at once. With [`MAX_KEPT`] it bounds what is kept to 64 MiB.
const MAX_LENGTH: usize = 1 << 20;

/// Makes buffers of holes, and remembers where the last one's were.
#[derive(Debug, Default)]
pub(in crate::journal) struct Blank {
    /// What holes are filled with.
    fill: u8,
    kept: VecDeque<Kept>,
    /// The holes of the last buffer that was read: rising, apart.
    pub(super) holes: Vec<Range<u32>>,
    /// How long it was.
    pub(super) length: usize,
}

/// A buffer that may still be in use.
#[derive(Debug)]
struct Kept {
    whole: Bytes,
    /// Where it is not `fill`.
    written: Vec<Range<usize>>,
}

impl Clone for Blank {
    /// The buffers are not shared.
    fn clone(&self) -> Blank {
        Blank { fill: self.fill, kept: VecDeque::new(), holes: self.holes.clone(), length: self.length }
    }
}

impl Blank {
    pub(in crate::journal) fn filling(fill: u8) -> Blank {
        Blank { fill, ..Blank::default() }
    }

    /// Forgets the last buffer.
    pub(in crate::journal) fn forget(&mut self) {
        self.holes.clear();
        self.length = 0;
    }

    /// Where the holes of the last buffer were.
    pub(in crate::journal) fn holes(&self) -> &[Range<u32>] {
        &self.holes
    }

    /// Whether a buffer like the last one, with content at `opaque`, would be written with the same holes.
    pub(in crate::journal) fn has_holes_of(&self, opaque: &[Range<u32>]) -> bool {
        let planned = || super::plan_holes(opaque, self.length);
        opaque == self.holes || planned().iter().map(|hole| (hole.start, hole.end)).eq(self.places())
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.holes.iter().map(|hole| (hole.start as usize, hole.end as usize))
    }

    /// A buffer of so many bytes that are all content.
    pub(in crate::journal) fn content(&mut self, length: u32) -> Bytes {
        self.holes.clear();
        self.holes.push(0..length);
        self.length = length as usize;
        self.make(&[])
    }

    /// A buffer of [`Blank::length`] with [`Blank::holes`], and `literal` outside of them.
    pub(super) fn make(&mut self, literal: &[u8]) -> Bytes {
        let length = self.length;
        let (mut bytes, mut written) = self.take(length);
        let (mut at, mut rest) = (0, literal);
        for (start, end) in self.places().chain([(length, length)]) {
            let (part, behind) = rest.split_at_checked(start.saturating_sub(at)).unwrap_or((rest, &[]));
            if let Some(place) = bytes.get_mut(at..at + part.len())
                && !part.is_empty()
            {
                place.copy_from_slice(part);
                written.push(at..at + part.len());
            }
            (at, rest) = (end, behind);
        }
        let whole = bytes.freeze();
        let made = whole.slice(..length);
        if whole.len() <= MAX_LENGTH {
            self.kept.push_back(Kept { whole, written });
        }
        made
    }

    /// A buffer of at least `length` bytes, all of them `fill`.
    fn take(&mut self, length: usize) -> (BytesMut, Vec<Range<usize>>) {
        if let Some(Kept { whole, mut written }) = self.kept.pop_front() {
            match whole.try_into_mut() {
                Ok(mut bytes) => {
                    for part in written.drain(..) {
                        bytes.get_mut(part).unwrap_or_default().fill(self.fill);
                    }
                    if bytes.len() < length {
                        bytes.resize(length, self.fill);
                    }
                    return (bytes, written);
                }
                Err(whole) if self.kept.len() + 1 < MAX_KEPT => self.kept.push_back(Kept { whole, written }),
                Err(_) => {}
            }
        }
        let mut bytes = BytesMut::new();
        bytes.resize(length, self.fill);
        (bytes, Vec::new())
    }
}
