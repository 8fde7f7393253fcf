//! Blocked addresses, as they are handed to a session. How lists of them are read is in
//! [`net_policy`](crate::net_policy).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocked addresses. The default blocks nothing.
///
/// Inside: sorted ranges that neither overlap nor touch, for each family apart. A look-up is a binary search. An IPv4 range
/// takes 8 bytes, an IPv6 range 32 ([`IpFilter::memory`]): a million of the former are 8 MB, and twice that at most
/// while they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpFilter {
    /// First and last address of each range; rising, with a gap between any two.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// Why two addresses are no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotARange {
    /// They are of different families.
    MixedFamilies,
    /// The end comes before the start.
    Inverted,
}

impl IpFilter {
    /// A filter that blocks nothing.
    pub fn new() -> IpFilter {
        IpFilter::default()
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

    /// The IPv4 ranges, rising, with a gap between any two.
    pub(crate) fn v4(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The IPv6 ranges, rising, with a gap between any two.
    pub(crate) fn v6(&self) -> &[(u128, u128)] {
        &self.v6
    }

    /// From what [`v4`](IpFilter::v4) and [`v6`](IpFilter::v6) gave; `None` when the ranges are not as they say.
    pub(crate) fn from_parts(v4: Vec<(u32, u32)>, v6: Vec<(u128, u128)>) -> Option<IpFilter> {
        let good = is_settled(&v4, |last| last.checked_add(1)) && is_settled(&v6, |last| last.checked_add(1));
        good.then_some(IpFilter { v4, v6 })
    }

    /// Adds a range without keeping the order; [`settle`](IpFilter::settle) has to follow.
    pub(crate) fn put(&mut self, first: IpAddr, last: IpAddr) -> Result<(), NotARange> {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => self.v4.push((first.to_bits(), last.to_bits())),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => self.v6.push((first.to_bits(), last.to_bits())),
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => return Err(NotARange::Inverted),
            _ => return Err(NotARange::MixedFamilies),
        }
        Ok(())
    }

    /// Puts the ranges into order, and joins those that overlap or touch.
    pub(crate) fn settle(&mut self) {
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

fn is_settled<T: Ord + Copy>(ranges: &[(T, T)], behind: impl Fn(T) -> Option<T>) -> bool {
    let apart = |pair: &[(T, T)]| match pair {
        [before, after] => behind(before.1).is_some_and(|behind| behind < after.0),
        _ => true,
    };
    ranges.iter().all(|(first, last)| first <= last) && ranges.windows(2).all(apart)
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], ip: T) -> bool {
    let behind = ranges.partition_point(|&(first, _)| first <= ip);
    behind.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|&(_, last)| ip <= last)
}
