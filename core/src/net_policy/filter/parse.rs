//! Reading lists of blocked addresses, a line at a time.

use super::{FilterError, FilterLimits, FilterProblem, FilterReport, IpFilter, LineProblem};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The lowest access level of a DAT list that lets an address pass: "0 to 127: blocked, 128 to 255: allowed".
const ALLOWED_FROM: u32 = 128;

pub(super) fn parse(list: &[u8], limits: &FilterLimits) -> Result<(IpFilter, FilterReport), FilterError> {
    let list = list.strip_prefix(b"\xef\xbb\xbf").unwrap_or(list);
    // gzip, zip, 7z, PeerGuardian's "P2B" with its four bytes in front.
    let magics: [&[u8]; 4] = [b"\x1f\x8b", b"PK\x03\x04", b"7z\xbc\xaf", b"\xff\xff\xff\xffP2B"];
    if magics.iter().any(|magic| list.starts_with(magic)) {
        return Err(FilterError::NotText);
    }
    let mut filter = IpFilter::new();
    let mut report = FilterReport::default();
    for (number, line) in (1u64..).zip(list.split(|&b| b == b'\n')) {
        let put = match range_of(line, limits) {
            Ok(Line::Nothing) => continue,
            Ok(Line::Allowed) => {
                report.allowed += 1;
                continue;
            }
            Ok(Line::Blocked(first, last)) => filter.put(first, last).map_err(LineProblem::from),
            Err(problem) => Err(problem),
        };
        match put {
            Ok(()) if report.ranges as usize >= limits.ranges => return Err(FilterError::TooMany(number)),
            Ok(()) => report.ranges += 1,
            Err(problem) => {
                report.bad += 1;
                if report.problems.len() < limits.problems.max(1) {
                    report.problems.push(FilterProblem { line: number, problem });
                }
            }
        }
    }
    if report.ranges == 0
        && report.allowed == 0
        && let Some(first) = report.problems.first()
    {
        return Err(FilterError::Unreadable(*first));
    }
    filter.settle();
    Ok((filter, report))
}

enum Line {
    Nothing,
    Allowed,
    Blocked(IpAddr, IpAddr),
}

fn range_of(line: &[u8], limits: &FilterLimits) -> Result<Line, LineProblem> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") || line.starts_with(b"//") {
        return Ok(Line::Nothing);
    }
    if line.len() > limits.line {
        return Err(LineProblem::TooLong);
    }
    // The usual P2P line: what begins with neither digit nor colon is no address, and the range stands behind the last colon.
    let begins_like_address = line.first().is_some_and(|b| b.is_ascii_hexdigit() || *b == b':');
    if !begins_like_address
        && let Some(colon) = line.iter().rposition(|&b| b == b':')
        && let Ok((first, last)) = plain(line.get(colon + 1..).unwrap_or_default())
    {
        return Ok(Line::Blocked(first, last));
    }
    // A network, an address or a range with nothing else; a DAT line is that with commas behind it.
    let mut fields = line.split(|&b| b == b',');
    let bare = fields.next().unwrap_or_default();
    match plain(bare) {
        Ok((first, last)) => match fields.next() {
            None => Ok(Line::Blocked(first, last)),
            Some(level) => match decimal(level.trim_ascii()).ok_or(LineProblem::Level)? {
                0..ALLOWED_FROM => Ok(Line::Blocked(first, last)),
                _ => Ok(Line::Allowed),
            },
        },
        Err(problem) => {
            // P2P: the range stands behind a colon, and the name in front of it may have colons, commas and hyphens of its
            // own. The addresses of an IPv6 range have some too, so colons are tried from the first one on.
            let mut named = Err(problem);
            for (at, _) in line.iter().enumerate().filter(|(_, b)| **b == b':').take(MAX_COLONS) {
                let tail = line.get(at + 1..).unwrap_or_default();
                match plain(tail) {
                    Ok((first, last)) => return Ok(Line::Blocked(first, last)),
                    // What came nearest to a range is the best thing to report.
                    Err(LineProblem::NoAddress) => {}
                    Err(nearer) => named = Err(nearer),
                }
            }
            named
        }
    }
}

/// The most colons of a line that are looked at.
const MAX_COLONS: usize = 64;

/// `a`, `a-b` or `a/n`, with spaces.
fn plain(text: &[u8]) -> Result<(IpAddr, IpAddr), LineProblem> {
    let text = text.trim_ascii();
    if let Some(at) = text.iter().position(|&b| b == b'-') {
        let (first, last) = text.split_at(at);
        let first = address(first.trim_ascii()).ok_or(LineProblem::NoAddress)?;
        let last = address(last.get(1..).unwrap_or_default().trim_ascii()).ok_or(LineProblem::NoAddress)?;
        return match canonical(first, last) {
            (first, last) if first.is_ipv4() != last.is_ipv4() => Err(LineProblem::MixedFamilies),
            (first, last) if first > last => Err(LineProblem::Inverted),
            both => Ok(both),
        };
    }
    if let Some(at) = text.iter().position(|&b| b == b'/') {
        let (ip, length) = text.split_at(at);
        let ip = address(ip.trim_ascii()).ok_or(LineProblem::NoAddress)?;
        let length = decimal(length.get(1..).unwrap_or_default().trim_ascii()).ok_or(LineProblem::Prefix)?;
        return network(ip, length).map(|(first, last)| canonical(first, last)).ok_or(LineProblem::Prefix);
    }
    let ip = address(text).ok_or(LineProblem::NoAddress)?;
    Ok(canonical(ip, ip))
}

/// A range of IPv4 addresses that are written as IPv6 ones, as what it is.
fn canonical(first: IpAddr, last: IpAddr) -> (IpAddr, IpAddr) {
    match (first.to_canonical(), last.to_canonical()) {
        (first @ IpAddr::V4(_), last @ IpAddr::V4(_)) => (first, last),
        _ => (first, last),
    }
}

/// First and last address of a network. Bits behind the prefix do not count: `1.2.3.4/24` is `1.2.3.0/24`.
fn network(ip: IpAddr, length: u32) -> Option<(IpAddr, IpAddr)> {
    match ip {
        IpAddr::V4(ip) => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            let first = ip.to_bits() & !host;
            (length <= 32).then(|| (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | host).into()))
        }
        IpAddr::V6(ip) => {
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            let first = ip.to_bits() & !host;
            (length <= 128).then(|| (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | host).into()))
        }
    }
}

/// An address. Numbers of IPv4 are decimal, zeros in front or not, as DAT lists write them.
fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some(ip) = dotted(text) {
        return Some(IpAddr::V4(ip));
    }
    // Nothing longer is an address; without a colon there is no need to try.
    if text.len() > 45 || !text.contains(&b':') {
        return None;
    }
    let ip: Ipv6Addr = core::str::from_utf8(text).ok()?.parse().ok()?;
    Some(IpAddr::V6(ip))
}

/// Four numbers of one to three digits. In one pass: lists are long, and most of the time of reading one is spent here.
fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut bits, mut octet, mut digits, mut dots) = (0u32, 0u32, 0u32, 0u32);
    for &byte in text {
        match byte {
            b'0'..=b'9' if digits < 3 => (octet, digits) = (octet * 10 + u32::from(byte - b'0'), digits + 1),
            b'.' if digits > 0 && octet <= 255 && dots < 3 => {
                (bits, octet, digits, dots) = (bits << 8 | octet, 0, 0, dots + 1);
            }
            _ => return None,
        }
    }
    (dots == 3 && digits > 0 && octet <= 255).then(|| Ipv4Addr::from_bits(bits << 8 | octet))
}

/// A number of at most nine digits.
fn decimal(digits: &[u8]) -> Option<u32> {
    if !(1..=9).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}
