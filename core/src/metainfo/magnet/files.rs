//! A set of files by index, as ranges.

use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

/// A set of file indices, held as ranges: `0-4000000000` takes eight bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRanges {
    /// First and last of each; rising, with a gap between any two.
    ranges: Vec<(u32, u32)>,
}

impl FileRanges {
    /// The empty set.
    pub fn new() -> FileRanges {
        FileRanges::default()
    }

    /// Adds `first..=last`; nothing when it is the wrong way round.
    pub fn insert(&mut self, first: u32, last: u32) {
        if first > last {
            return;
        }
        // Those that overlap or touch the new one lie side by side.
        let from = self.ranges.partition_point(|&(_, end)| end.saturating_add(1) < first);
        let to = self.ranges.partition_point(|&(start, _)| start <= last.saturating_add(1));
        let touched = self.ranges.get(from..to).unwrap_or_default();
        let start = touched.first().map_or(first, |&(start, _)| start.min(first));
        let end = touched.last().map_or(last, |&(_, end)| end.max(last));
        self.ranges.splice(from..to.max(from), [(start, end)]);
    }

    /// Whether a file is in the set.
    pub fn contains(&self, file: u32) -> bool {
        let behind = self.ranges.partition_point(|&(first, _)| first <= file);
        behind.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|&(_, last)| file <= last)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many files there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// The ranges, rising, with a gap between any two.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = RangeInclusive<u32>> + '_ {
        self.ranges.iter().map(|&(first, last)| first..=last)
    }
}

impl fmt::Display for FileRanges {
    /// As BEP 53 writes it: `0,2,4,6-8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &(first, last)) in self.ranges.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}
