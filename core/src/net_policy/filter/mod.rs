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
//!
//! Inside: sorted ranges that neither overlap nor touch, for each family apart. A look-up is a binary search. An IPv4 range
//! takes 8 bytes, an IPv6 range 32 ([`IpFilter::memory`]): a million of the former are 8 MB, and twice that at most
//! while they are read.

mod parse;

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocked addresses. The default blocks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpFilter {
    /// First and last address of each range; rising, with a gap between any two.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

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

impl IpFilter {
    /// A filter that blocks nothing.
    pub fn new() -> IpFilter {
        IpFilter::default()
    }

    /// Reads a list; see the module's table. Text in any encoding that has ASCII in it.
    ///
    /// # Errors
    /// When it is not text, has too many ranges, or has lines of which none can be read. A list without lines is a filter
    /// that blocks nothing.
    pub fn parse(list: &[u8], limits: &FilterLimits) -> Result<(IpFilter, FilterReport), FilterError> {
        parse::parse(list, limits)
    }

    /// Whether an address is blocked. An IPv4 address that is written as an IPv6 one counts as the former.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => holds(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => holds(&self.v6, ip.to_bits()),
        }
    }

    /// Blocks what another filter blocks too.
    pub fn extend(&mut self, other: &IpFilter) {
        self.v4.extend_from_slice(&other.v4);
        self.v6.extend_from_slice(&other.v6);
        self.settle();
    }

    /// Blocks `first..=last` too. False: they are of different families, or the wrong way round, and nothing changes. Takes time in
    /// proportion to the ranges there are; many are better read as a list.
    pub fn block(&mut self, first: IpAddr, last: IpAddr) -> bool {
        let put = self.put(first.to_canonical(), last.to_canonical()).is_ok();
        if put {
            self.settle();
        }
        put
    }

    /// How many ranges there are, after joining those that overlap or touch.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory that the ranges take.
    pub fn memory(&self) -> usize {
        self.v4.capacity() * size_of::<(u32, u32)>() + self.v6.capacity() * size_of::<(u128, u128)>()
    }

    /// The ranges, IPv4 first, rising.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        let v4 = self
            .v4
            .iter()
            .map(|&(first, last)| (IpAddr::V4(Ipv4Addr::from_bits(first)), IpAddr::V4(Ipv4Addr::from_bits(last))));
        let v6 = self
            .v6
            .iter()
            .map(|&(first, last)| (IpAddr::V6(Ipv6Addr::from_bits(first)), IpAddr::V6(Ipv6Addr::from_bits(last))));
        v4.chain(v6)
    }

    /// Adds a range without keeping the order; [`settle`](IpFilter::settle) has to follow.
    fn put(&mut self, first: IpAddr, last: IpAddr) -> Result<(), LineProblem> {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => self.v4.push((first.to_bits(), last.to_bits())),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => self.v6.push((first.to_bits(), last.to_bits())),
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => return Err(LineProblem::Inverted),
            _ => return Err(LineProblem::MixedFamilies),
        }
        Ok(())
    }

    fn settle(&mut self) {
        // Lists are mostly sorted already, which a stable sort makes use of; this one needs no memory of its own.
        self.v4.sort_unstable();
        self.v4.dedup_by(|next, kept| join(next, kept, kept.1.checked_add(1)));
        self.v4.shrink_to_fit();
        self.v6.sort_unstable();
        self.v6.dedup_by(|next, kept| join(next, kept, kept.1.checked_add(1)));
        self.v6.shrink_to_fit();
    }
}

/// Joins `next` to `kept` when it begins inside it or right behind (`behind`; `None`: `kept` goes to the last address of all).
fn join<T: Ord + Copy>(next: &mut (T, T), kept: &mut (T, T), behind: Option<T>) -> bool {
    let joins = behind.is_none_or(|behind| next.0 <= behind);
    if joins {
        kept.1 = kept.1.max(next.1);
    }
    joins
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], ip: T) -> bool {
    let behind = ranges.partition_point(|&(first, _)| first <= ip);
    behind.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|&(_, last)| ip <= last)
}

#[cfg(test)]
mod tests;
