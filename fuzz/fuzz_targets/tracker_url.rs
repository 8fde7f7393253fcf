//! URLs of trackers, redirects and scrape addresses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parcacik_core::tracker::TrackerUrl;

fuzz_target!(|input: &str| {
    let (text, location) = input.split_once('\n').unwrap_or((input, "/"));
    if let Ok(url) = TrackerUrl::parse(text) {
        let line = url.path_and_query();
        assert!(!line.contains(['\r', '\n', ' ']), "a request could be forged");
        let _ = url.join(location);
        let _ = url.scrape();
    }
});
