//! URLs of trackers, redirects and scrape addresses: no URL can forge a request, and written down and read again it is the same.
//!
//! The input is a URL and, in a line of its own, where its answer redirects to.

use parcacik_core::tracker::{TrackerUrl, UrlError};

/// One input.
pub fn run(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (text, location) = input.split_once('\n').unwrap_or((input, "/"));
    let Ok(url) = TrackerUrl::parse(text) else { return };
    check(&url);
    let written = url.to_string();
    match TrackerUrl::parse(&written) {
        Ok(again) => assert_eq!(again, url),
        // Escapes may make it longer than a URL may be.
        Err(error) => assert!(error == UrlError::TooLong && written.len() > text.len(), "{written:?}: {error}"),
    }
    if let Ok(joined) = url.join(location) {
        check(&joined);
    }
    if let Some(scrape) = url.scrape() {
        check(&scrape);
        assert_eq!((scrape.scheme(), scrape.host(), scrape.port()), (url.scheme(), url.host(), url.port()));
    }
}

fn check(url: &TrackerUrl) {
    let line = url.path_and_query();
    assert!(line.bytes().all(|byte| byte.is_ascii_graphic()), "a request could be forged: {line:?}");
    assert!(url.path().is_empty() || url.path().starts_with('/'));
    assert!(url.port() != 0);
    let host = url.host().to_string();
    assert!(!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()), "{host:?}");
}
