//! Fetching a document under any answers: the work has a bound, an end is an end, TLS is never left, and once the open internet has
//! answered nothing leads into private networks.
//!
//! The input is a URL in a line of its own, and then a list of (kind, length, bytes): results.

use bytes::Bytes;
use parcacik_core::border::{HttpResponse, IoFault, JobResult, Work};
use parcacik_core::fetch::{Fetch, FetchOptions, FetchStep};
use parcacik_core::time::Time;
use parcacik_core::tracker::AddrClass;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// One input.
pub fn run(input: &[u8]) {
    let mut lines = input.splitn(2, |&byte| byte == b'\n');
    let Ok(url) = std::str::from_utf8(lines.next().unwrap_or_default()) else { return };
    let options = FetchOptions::default();
    let most = (options.redirects as usize + 1) * (options.addresses + 1);
    let mut now = Time::from_secs(1);
    let Ok((mut fetch, mut work)) = Fetch::begin(now, url, options.clone()) else { return };
    let (mut input, mut global, mut tls, mut works) = (lines.next().unwrap_or_default(), false, false, 1);
    while let [kind, length, rest @ ..] = input {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        input = rest;
        if let Work::Http(request) = &work {
            let class = AddrClass::of(request.to.ip());
            assert!(!global || class == AddrClass::Global, "from the internet into {}", request.to);
            assert!(request.tls || !tls, "from TLS to plain HTTP");
            assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic()), "a request could be forged");
            assert!(request.time_limit <= options.time && !request.time_limit.is_zero());
        }
        now = now + Duration::from_millis(u64::from(kind >> 3) * 100);
        let result = answer(&work, kind % 8, bytes);
        if let (Work::Http(request), Ok(JobResult::Http(_))) = (&work, &result) {
            global |= AddrClass::of(request.to.ip()) == AddrClass::Global;
            tls |= request.tls;
        }
        match fetch.done(now, result) {
            FetchStep::Work(next) => {
                works += 1;
                assert!(works <= most, "work without end");
                assert!(matches!(next, Work::Http(_) | Work::Resolve { .. }));
                work = next;
            }
            FetchStep::Got(document) => {
                assert!(!tls || document.url.starts_with("https://"));
                return ended(fetch, now);
            }
            FetchStep::Failed(error) => {
                assert!(!error.to_string().chars().any(char::is_control));
                return ended(fetch, now);
            }
        }
    }
}

fn ended(mut fetch: Fetch, now: Time) {
    for result in [Err(IoFault::Other), Ok(JobResult::Done)] {
        assert!(matches!(fetch.done(now, result), FetchStep::Failed(_)), "there is something after the end");
    }
}

fn answer(work: &Work, kind: u8, bytes: &[u8]) -> Result<JobResult, IoFault> {
    match (work, kind) {
        (_, 0) => Err(IoFault::Refused),
        (_, 1) => Err(IoFault::TooLarge),
        (_, 2) => Ok(JobResult::Done),
        (Work::Resolve { .. }, _) => Ok(JobResult::Resolved(
            bytes
                .chunks(4)
                .filter_map(|four| Some(IpAddr::from(<[u8; 4]>::try_from(four).ok()?)))
                .chain(bytes.first_chunk::<16>().map(|sixteen| Ipv6Addr::from(*sixteen).into()))
                .collect(),
        )),
        (Work::Http(_), _) => Ok(JobResult::Http(HttpResponse {
            status: [200, 301, 302, 307, 404][usize::from(kind - 3)],
            location: (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned()),
            retry_after: None,
            body: Bytes::copy_from_slice(bytes),
        })),
        _ => Err(IoFault::Unsupported),
    }
}
