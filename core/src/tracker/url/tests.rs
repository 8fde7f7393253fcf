use super::*;
use proptest::prelude::*;
use std::string::ToString;

fn url(text: &str) -> TrackerUrl {
    TrackerUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn parts_are_told_apart() {
    let plain = url(" http://Tracker.Example/announce?passkey=a%2Bb&x#frag\n");
    assert_eq!(plain.scheme(), Scheme::Http);
    assert_eq!(plain.host(), &Host::Name("tracker.example".into()));
    assert_eq!(plain.port(), 80);
    assert_eq!(plain.path(), "/announce");
    assert_eq!(plain.query(), Some("passkey=a%2Bb&x"));
    assert_eq!(url("HTTPS://t.example").port(), 443);
    assert_eq!(url("https://t.example").path_and_query(), "/");
    assert_eq!(url("http://t.example?k=v").path_and_query(), "/?k=v");
    let six = url("udp://[2001:db8::1]:6969");
    assert_eq!((six.port(), six.path()), (6969, ""));
    assert_eq!(six.to_string(), "udp://[2001:db8::1]:6969");
    assert_eq!(url("http://1.2.3.4:8080/a b\u{e9}").path(), "/a%20b%C3%A9");
}

#[test]
fn what_is_refused() {
    let table = [
        ("", UrlError::Empty),
        ("  \n", UrlError::Empty),
        ("ftp://t.example/", UrlError::Scheme),
        ("file:///etc/passwd", UrlError::Scheme),
        ("wss://t.example/", UrlError::Scheme),
        ("t.example/announce", UrlError::Scheme),
        ("http://user:pass@t.example/", UrlError::Credentials),
        ("http://t.example@evil.example/", UrlError::Credentials),
        ("http:///announce", UrlError::Host),
        ("http://[::1/announce", UrlError::Host),
        ("http://[::1]x/announce", UrlError::Host),
        ("http://a..b/", UrlError::Host),
        ("http://a b/", UrlError::Host),
        ("http://t.ex\u{e4}mple/", UrlError::Idna),
        ("http://xn--tst-qla.example/", UrlError::Idna),
        ("udp://t.example/announce", UrlError::Port),
        ("udp://t.example:0/announce", UrlError::Port),
        ("http://t.example:65536/", UrlError::Port),
        ("http://t.example:+80/", UrlError::Port),
    ];
    for (text, error) in table {
        assert_eq!(TrackerUrl::parse(text), Err(error), "{text}");
    }
    let long = std::format!("http://t.example/{}", "a".repeat(MAX_URL));
    assert_eq!(TrackerUrl::parse(&long), Err(UrlError::TooLong));
}

/// RFC 3986, 5.4, as far as it can occur in a tracker's redirect.
#[test]
fn locations_are_resolved() {
    let base = url("http://a.example/b/c/d?q");
    let table = [
        ("g", "http://a.example/b/c/g"),
        ("./g", "http://a.example/b/c/g"),
        ("/g", "http://a.example/g"),
        ("//h.example:81/x", "http://h.example:81/x"),
        ("?y", "http://a.example/b/c/d?y"),
        ("g?y", "http://a.example/b/c/g?y"),
        ("..", "http://a.example/b/"),
        ("../g", "http://a.example/b/g"),
        ("../../../g", "http://a.example/g"),
        ("https://z.example/announce?a=b:c", "https://z.example/announce?a=b:c"),
        ("g?x=http://y/", "http://a.example/b/c/g?x=http://y/"),
    ];
    for (location, expect) in table {
        assert_eq!(base.join(location).unwrap().to_string(), expect, "{location}");
    }
    assert_eq!(base.join("file:/etc/passwd"), Err(UrlError::Scheme));
    assert_eq!(base.join(""), Err(UrlError::Empty));
}

/// BEP 48: replace `announce` by `scrape`, only where it begins the text behind the last slash.
#[test]
fn scrape_urls() {
    let table = [
        ("http://t.example/announce", Some("http://t.example/scrape")),
        ("http://t.example/x/announce.php?k=1", Some("http://t.example/x/scrape.php?k=1")),
        ("http://t.example/x", None),
        ("http://t.example/a?announce=1", None),
        ("udp://t.example:80/announce", Some("udp://t.example:80/scrape")),
        ("http://t.example/announce/announce", Some("http://t.example/announce/scrape")),
        ("http://t.example/ANNOUNCE", None),
        ("udp://t.example:80", None),
    ];
    for (announce, scrape) in table {
        assert_eq!(url(announce).scrape().map(|scrape| scrape.to_string()).as_deref(), scrape, "{announce}");
    }
}

#[test]
fn on_loopback_only_what_looks_like_a_tracker() {
    let (policy, filter) = (NetPolicy::default(), crate::net_policy::IpFilter::new());
    let rules = NetRules { policy: &policy, filter: &filter };
    let may = |text: &str, ip: &str| url(text).may_ask(ip.parse().unwrap(), &rules, Word::Local);
    assert_eq!(may("http://127.0.0.1:6969/announce", "127.0.0.1"), Ok(()));
    assert_eq!(may("http://127.0.0.1:6969/admin?do=it", "127.0.0.1"), Err(Refusal::LocalPath));
    assert_eq!(may("http://t.example/x", "1.2.3.4"), Ok(()));
    assert_eq!(may("udp://t.example:1", "127.0.0.1"), Ok(()));
    assert_eq!(may("http://t.example/announce", "169.254.169.254"), Err(Refusal::Address));
    assert_eq!(may("http://t.example:25/announce", "1.2.3.4"), Err(Refusal::Port));
}

/// A URL that sets our parameters could announce somebody else in our name. Where a tracker redirects to, they are its copy of
/// ours.
#[test]
fn parameters_of_announces_are_ours_to_set() {
    for query in ["info_hash=x", "a=b&port=25", "IP=1.2.3.4", "event", "x&peer_id=&y"] {
        assert_eq!(
            TrackerUrl::parse(&format!("http://t.example/announce?{query}")),
            Err(UrlError::OurParameter),
            "{query}"
        );
    }
    for query in ["passkey=x", "key=1", "support=1", "info=1", ""] {
        url(&format!("http://t.example/announce?{query}"));
    }
    assert!(url("http://t.example/a").join("http://u.example/announce?info_hash=x&port=1").is_ok());
    assert!(url("http://t.example/a").join("/announce?info_hash=x&port=1").is_ok());
}

#[test]
fn a_public_name_stands_on_the_word_of_the_internet() {
    assert_eq!(url("http://tracker.org/announce").word(Word::Local), Word::Global);
    assert_eq!(url("http://tracker.org/announce").word(Word::User), Word::User);
    assert_eq!(url("http://tracker.lan/announce").word(Word::Local), Word::Local);
    assert_eq!(url("http://192.168.1.1/announce").word(Word::Local), Word::Local);
}

proptest! {
    /// What was taken apart and written again is the same URL; and nothing panics.
    #[test]
    fn parse_of_display_is_the_same(text in ".*|(http|udp|https)://[a-z.\\[\\]:0-9]{1,20}[/?a-z%#. ]{0,20}") {
        if let Ok(url) = TrackerUrl::parse(&text) {
            let again = TrackerUrl::parse(&url.to_string());
            prop_assert_eq!(again, Ok(url.clone()));
            prop_assert!(url.path_and_query().bytes().all(|b| b.is_ascii_graphic()));
        }
    }

    #[test]
    fn join_is_total(location in ".{0,60}|[a-z/.?:#]{0,30}") {
        let base = url("http://a.example/b/c?d");
        if let Ok(joined) = base.join(&location) {
            prop_assert!(joined.path().starts_with('/') || joined.scheme() == Scheme::Udp);
        }
    }
}
