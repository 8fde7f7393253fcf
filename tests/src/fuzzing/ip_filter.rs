//! Lists of blocked addresses: no list breaks the reader or gets past its limit, ranges are in order and apart, and what any line
//! blocks is blocked, whatever else the list has.

use core::net::IpAddr;
use parcacik_core::net_policy::{FilterLimits, IpFilter};

/// One input.
pub fn run(input: &[u8]) {
    let limits = FilterLimits { ranges: 1_000, ..FilterLimits::default() };
    let Ok((filter, report)) = IpFilter::parse(input, &limits) else { return };
    assert!(filter.len() <= limits.ranges && report.problems.len() <= limits.problems);
    assert_eq!(filter.ranges().count(), filter.len());
    let mut before: Option<IpAddr> = None;
    for (first, last) in filter.ranges() {
        assert!(first <= last && before.is_none_or(|before| before < first), "in order and apart");
        assert!(blocks(&filter, first) && blocks(&filter, last));
        before = Some(last);
    }
    // One line more at the end.
    let longer = [input, b"\n198.51.100.0/24"].concat();
    if let Ok((more, _)) = IpFilter::parse(&longer, &limits) {
        assert!(more.blocks(IpAddr::from([198, 51, 100, 7])));
        assert!(filter.ranges().all(|(first, last)| blocks(&more, first) && blocks(&more, last)));
    }
}

/// An IPv4 address that is written as an IPv6 one counts as the former: a range of IPv6 that goes over such does not speak for them.
fn blocks(filter: &IpFilter, ip: IpAddr) -> bool {
    ip.to_canonical() != ip || filter.blocks(ip)
}
