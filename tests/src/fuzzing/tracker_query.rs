//! What is asked of HTTP trackers, both sides: a query that is taken and asked again, at any URL, is taken as the same.
//!
//! The input is a query and, in a line of its own, the tracker's URL.

use parcacik_core::tracker::TrackerUrl;
use parcacik_core::tracker::http::{announce_target, parse_announce, parse_scrape, scrape_target};

/// One input.
pub fn run(input: &[u8]) {
    let mut lines = input.splitn(2, |&byte| byte == b'\n');
    let query = lines.next().unwrap_or_default();
    let url = lines.next().and_then(|url| std::str::from_utf8(url).ok()).unwrap_or("http://tracker.example/announce");
    let url = TrackerUrl::parse(url).ok();
    if let Ok(announce) = parse_announce(query)
        && let Some(url) = &url
    {
        let target = announce_target(url, &announce.request);
        assert!(target.bytes().all(|byte| byte.is_ascii_graphic()), "a request could be forged: {target:?}");
        // The URL's own parameters come first, and of one that comes twice the first counts.
        let own = url.query().unwrap_or_default();
        let meant = |own: &str| {
            ["numwant=", "key=", "trackerid=", "ipv4=", "ipv6=", "compact=", "no_peer_id="]
                .iter()
                .any(|name| own.contains(name))
        };
        if !meant(own) && own.split('&').count() < 200 {
            let asked = target.split_once('?').expect("there is a query").1;
            let again = parse_announce(asked.as_bytes()).expect("our own queries are good");
            assert_eq!((&again.request, again.compact, again.no_peer_id), (&announce.request, true, true));
        }
    }
    if let Ok(torrents) = parse_scrape(query, 10) {
        assert!((1..=10).contains(&torrents.len()));
        if let Some(url) = url.as_ref().filter(|url| url.query().is_none()) {
            let target = scrape_target(url, &torrents);
            let asked = target.split_once('?').expect("there is a query").1;
            assert_eq!(parse_scrape(asked.as_bytes(), 10), Ok(torrents));
        }
    }
}
