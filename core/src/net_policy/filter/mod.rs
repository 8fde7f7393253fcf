//! Lists of blocked addresses.
//!
//! [`IpFilter::parse`] reads the three kinds of list that are about, also mixed; each line is taken for what it looks like:
//!
//! | kind | a line | blocks |
//! |---|---|---|
//! | P2P (PeerGuardian) | `Some name:1.2.3.0-1.2.3.255` | the range |
//! | DAT (eMule) | `001.002.003.000 - 001.002.003.255 , 000 , Some name` | the range, when the level is below 128 |
//! | plain | `1.2.3.0/24`, `2001:db8::/32`, `1.2.3.4`, `1.2.3.0-1.2.3.255` | the network, address or range |
//!
//! Empty lines and those that begin with `#`, `;` or `//` are left out. A line that cannot be read is left out too, and
//! reported with its number. There is no such thing as an exception: what any line blocks is blocked.

mod parse;

use crate::border::NotARange;
use alloc::vec::Vec;
use core::fmt;

pub use crate::border::IpFilter;

/// How much a list may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// The most ranges that are read: eight times what the largest public lists have.
    pub ranges: usize,
    /// The longest line in bytes; names in lists are short.
    pub line: usize,
    /// The most lines that are named in a report. All are counted.
    pub problems: usize,
}

impl Default for FilterLimits {
    fn default() -> FilterLimits {
        FilterLimits { ranges: 8_000_000, line: 4096, problems: 20 }
    }
}

/// How reading a list went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterReport {
    /// Lines with a range that is blocked.
    pub ranges: u64,
    /// Lines of a DAT list whose level allows the range.
    pub allowed: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// The first of those.
    pub problems: Vec<FilterProblem>,
}

/// A line that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterProblem {
    /// Which, from 1.
    pub line: u64,
    /// Why.
    pub problem: LineProblem,
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineProblem {
    /// There is no address where one should be.
    NoAddress,
    /// The two ends are of different families.
    MixedFamilies,
    /// The end comes before the start.
    Inverted,
    /// The length of a prefix is no number, or too large for its family.
    Prefix,
    /// The level of a DAT line is no number.
    Level,
    /// It is longer than [`FilterLimits::line`].
    TooLong,
}

impl fmt::Display for FilterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LineProblem::NoAddress => "no address, range or network",
            LineProblem::MixedFamilies => "a range from IPv4 to IPv6",
            LineProblem::Inverted => "the range ends before it begins",
            LineProblem::Prefix => "the length of the prefix is not valid",
            LineProblem::Level => "the access level is not a number",
            LineProblem::TooLong => "the line is too long",
        })
    }
}

/// Why a list is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// It is not text: compressed, or PeerGuardian's binary form.
    NotText,
    /// No line of it could be read; this is the first.
    Unreadable(FilterProblem),
    /// More ranges than [`FilterLimits::ranges`]; the number is the line of the first that is too many.
    TooMany(u64),
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterError::NotText => f.write_str("the list is not text (unpack it first)"),
            FilterError::Unreadable(problem) => write!(f, "the list has no line that can be read; {problem}"),
            FilterError::TooMany(line) => write!(f, "line {line}: the list has too many ranges"),
        }
    }
}

impl core::error::Error for FilterError {}

impl From<NotARange> for LineProblem {
    fn from(why: NotARange) -> LineProblem {
        match why {
            NotARange::MixedFamilies => LineProblem::MixedFamilies,
            NotARange::Inverted => LineProblem::Inverted,
        }
    }
}

impl IpFilter {
    /// Reads a list; see the module's table. Text in any encoding that has ASCII in it.
    ///
    /// # Errors
    /// When it is not text, has too many ranges, or has lines of which none can be read. A list without lines is a filter
    /// that blocks nothing.
    pub fn parse(list: &[u8], limits: &FilterLimits) -> Result<(IpFilter, FilterReport), FilterError> {
        parse::parse(list, limits)
    }
}

#[cfg(test)]
mod tests;
