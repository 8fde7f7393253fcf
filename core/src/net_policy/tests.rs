use super::*;
use std::string::ToString;

fn ask<'r>(scheme: Scheme, to: &str, path: &'r str) -> Request<'r> {
    Request { purpose: Purpose::Tracker, scheme, to: to.parse().unwrap(), path, has_query: false }
}

#[test]
fn peers_that_a_stranger_may_name() {
    let policy = NetPolicy::default();
    let (ok, port, address, local) =
        (Ok(()), Err(Refusal::Port), Err(Refusal::Address), Err(Refusal::FromGlobalToLocal));
    // (address, on the word of the open internet, of our own network, of the user)
    let table = [
        ("1.2.3.4:6881", ok, ok, ok),
        ("[2a00::1]:6881", ok, ok, ok),
        ("1.2.3.4:0", port, port, port),
        ("1.2.3.4:25", port, port, ok),
        ("1.2.3.4:443", ok, ok, ok),
        ("127.0.0.1:6881", local, ok, ok),
        ("[::1]:6881", local, ok, ok),
        ("[::ffff:127.0.0.1]:6881", local, ok, ok),
        ("10.0.0.1:6881", local, ok, ok),
        ("100.64.0.1:6881", local, ok, ok),
        ("[fd00::1]:6881", local, ok, ok),
        ("[64:ff9b:1::1]:6881", local, ok, ok),
        ("169.254.169.254:80", local, ok, ok),
        ("[fe80::1]:6881", local, ok, ok),
        ("0.0.0.0:6881", address, address, address),
        ("224.0.0.1:6881", address, address, address),
        ("255.255.255.255:6881", address, address, address),
        ("[ff02::1]:6881", address, address, address),
        ("[100::1]:6881", address, address, address),
    ];
    for (to, global, near, user) in table {
        let to: SocketAddr = to.parse().unwrap();
        for (word, expect) in [(Word::Global, global), (Word::Local, near), (Word::User, user)] {
            assert_eq!(policy.may_dial(to, word), expect, "{to} on the word of {word:?}");
        }
    }
}

#[test]
fn each_switch_does_what_it_says_for_peers() {
    let to = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let policy = NetPolicy { allow_local_from_global: true, ..NetPolicy::default() };
    assert_eq!(policy.may_dial(to("10.0.0.1:6881"), Word::Global), Ok(()));
    assert_eq!(policy.may_dial(to("127.0.0.1:6881"), Word::Global), Ok(()));
    // Where clouds keep their secrets, no switch leads on a stranger's word.
    assert_eq!(policy.may_dial(to("169.254.169.254:80"), Word::Global), Err(Refusal::FromGlobalToLocal));
    let policy = NetPolicy { allow_service_ports: true, ..NetPolicy::default() };
    assert_eq!(policy.may_dial(to("1.2.3.4:25"), Word::Global), Ok(()));
    let policy = NetPolicy { min_peer_port: 1024, ..NetPolicy::default() };
    assert_eq!(policy.may_dial(to("1.2.3.4:1023"), Word::Global), Err(Refusal::Port));
    assert_eq!(policy.may_dial(to("1.2.3.4:1024"), Word::Global), Ok(()));
    assert_eq!(policy.may_dial(to("1.2.3.4:80"), Word::User), Ok(()), "the user may name any");
}

#[test]
fn trackers_on_whose_word() {
    let policy = NetPolicy::default();
    let (ok, port, address, inward, path) =
        (Ok(()), Err(Refusal::Port), Err(Refusal::Address), Err(Refusal::FromGlobalToLocal), Err(Refusal::LocalPath));
    // (request, on the word of the open internet, of a torrent, of the user)
    let table = [
        (ask(Scheme::Http, "1.2.3.4:80", "/x"), ok, ok, ok),
        (ask(Scheme::Https, "[2a00::1]:443", "/x"), ok, ok, ok),
        (ask(Scheme::Udp, "1.2.3.4:53", ""), ok, ok, ok),
        (ask(Scheme::Http, "1.2.3.4:25", "/announce"), port, port, ok),
        (ask(Scheme::Udp, "1.2.3.4:0", ""), port, port, port),
        (ask(Scheme::Http, "127.0.0.1:6969", "/announce"), inward, ok, ok),
        (ask(Scheme::Http, "127.0.0.1:6969", "/scrape"), inward, ok, ok),
        (ask(Scheme::Http, "127.0.0.1:6969", "/admin"), inward, path, ok),
        (ask(Scheme::Udp, "127.0.0.1:6969", ""), inward, ok, ok),
        (ask(Scheme::Http, "192.168.1.1:80", "/announce.php"), inward, ok, ok),
        (ask(Scheme::Http, "192.168.1.1:80", "/cgi-bin/reboot"), inward, path, ok),
        (ask(Scheme::Http, "169.254.169.254:80", "/announce"), inward, address, ok),
        (ask(Scheme::Http, "[fe80::1]:80", "/announce"), inward, address, ok),
        (ask(Scheme::Udp, "239.1.1.1:80", ""), address, address, address),
    ];
    for (request, global, torrent, user) in table {
        for (word, expect) in [(Word::Global, global), (Word::Local, torrent), (Word::User, user)] {
            assert_eq!(policy.may_ask(&request, word), expect, "{request:?} on the word of {word:?}");
        }
    }
    let open = NetPolicy { local_needs_announce_path: false, ..NetPolicy::default() };
    assert_eq!(open.may_ask(&ask(Scheme::Http, "127.0.0.1:6969", "/admin"), Word::Local), ok);
    let open = NetPolicy { allow_local_from_global: true, ..NetPolicy::default() };
    assert_eq!(open.may_ask(&ask(Scheme::Http, "127.0.0.1:6969", "/announce"), Word::Global), ok);
    assert_eq!(open.may_ask(&ask(Scheme::Http, "127.0.0.1:6969", "/admin"), Word::Global), path);
    assert_eq!(open.may_ask(&ask(Scheme::Http, "169.254.169.254:80", "/announce"), Word::Global), inward);
}

#[test]
fn web_seeds() {
    let policy = NetPolicy::default();
    let seed =
        |scheme, to: &str, has_query| Request { purpose: Purpose::WebSeed, has_query, ..ask(scheme, to, "/file") };
    let may = |scheme, to, has_query, word| policy.may_ask(&seed(scheme, to, has_query), word);
    assert_eq!(may(Scheme::Http, "1.2.3.4:80", true, Word::Local), Ok(()));
    assert_eq!(may(Scheme::Http, "192.168.1.1:80", false, Word::Local), Ok(()));
    assert_eq!(may(Scheme::Http, "192.168.1.1:80", true, Word::Local), Err(Refusal::LocalQuery));
    assert_eq!(may(Scheme::Http, "127.0.0.1:80", true, Word::Local), Err(Refusal::LocalQuery));
    assert_eq!(may(Scheme::Http, "127.0.0.1:80", false, Word::Global), Err(Refusal::FromGlobalToLocal));
    assert_eq!(may(Scheme::Udp, "1.2.3.4:80", false, Word::Local), Err(Refusal::Scheme));
}

/// A list of blocked addresses is stronger than anybody's word.
#[test]
fn nobodys_word_is_stronger_than_the_list() {
    let mut filter = IpFilter::new();
    filter.block("1.2.3.0".parse().unwrap(), "1.2.3.255".parse().unwrap());
    let policy = NetPolicy::default();
    let rules = NetRules { policy: &policy, filter: &filter };
    let peer = "1.2.3.4:6881".parse().unwrap();
    for word in [Word::User, Word::Local, Word::Global] {
        assert_eq!(rules.may_dial(peer, word), Err(Refusal::Filtered));
        assert_eq!(rules.may_dial("1.2.4.4:6881".parse().unwrap(), word), Ok(()));
        let tracker = ask(Scheme::Http, "1.2.3.4:80", "/announce");
        assert_eq!(rules.may_ask(&tracker, word), Err(Refusal::Filtered));
        let policy = NetPolicy { filter_trackers: false, ..NetPolicy::default() };
        assert_eq!(NetRules { policy: &policy, filter: &filter }.may_ask(&tracker, word), Ok(()));
    }
    assert_eq!(rules.may_come("::ffff:1.2.3.4".parse().unwrap()), Err(Refusal::Filtered));
    assert_eq!(rules.may_come("1.2.4.4".parse().unwrap()), Ok(()));
}

#[test]
fn names_that_the_open_internet_answers_for() {
    for public in ["tracker.org", "a.b.co.uk", "tracker.org.", "localhost.evil.org", "xlocal.io", "mylan.de"] {
        assert!(is_public_name(public), "{public}");
    }
    for own in
        ["localhost", "nas", "nas.", "tracker.local", "tracker.lan", "x.home.arpa", "a.localhost.", "tracker.example"]
    {
        assert!(!is_public_name(own), "{own}");
    }
}

/// What `inet_aton` would take for 127.0.0.1 is no name.
#[test]
fn addresses_in_disguise_are_no_names() {
    let policy = NetPolicy::default();
    for text in
        ["127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.0.0.01", "1.2.3.256", "0x", "1.2.3.4."]
    {
        assert_eq!(policy.host_name(text), Err(Refusal::HostName), "{text}");
    }
    for text in ["1.example", "0x7f.org", "a1", "1a"] {
        assert_eq!(policy.host_name(text).as_deref(), Ok(text));
    }
}

#[test]
fn schemes_can_be_switched_off() {
    let policy = NetPolicy { allow_http: false, allow_udp: false, ..NetPolicy::default() };
    assert_eq!(policy.may_ask(&ask(Scheme::Http, "1.2.3.4:80", "/"), Word::Local), Err(Refusal::Scheme));
    assert_eq!(policy.may_ask(&ask(Scheme::Udp, "1.2.3.4:80", ""), Word::Local), Err(Refusal::Scheme));
    assert_eq!(policy.may_ask(&ask(Scheme::Https, "1.2.3.4:443", "/"), Word::Local), Ok(()));
    let policy = NetPolicy { allow_https: false, ..NetPolicy::default() };
    assert_eq!(policy.may_use(Scheme::Https), Err(Refusal::Scheme));
}

#[test]
fn internationalised_names_are_refused_by_default() {
    let policy = NetPolicy::default();
    assert_eq!(policy.host_name("Tracker.Example").as_deref(), Ok("tracker.example"));
    assert_eq!(policy.host_name("bt1.archiv\u{ff45}.org"), Err(Refusal::Idna));
    assert_eq!(policy.host_name("xn--bcher-kva.example"), Err(Refusal::Idna));
    assert_eq!(policy.host_name("a b"), Err(Refusal::HostName));
    let policy = NetPolicy { allow_idna: true, ..NetPolicy::default() };
    assert_eq!(policy.host_name("Bücher.example").as_deref(), Ok("xn--bcher-kva.example"));
}

/// The look-up is a binary search.
#[test]
fn service_ports_are_sorted() {
    assert!(SERVICE_PORTS.is_sorted_by(|a, b| a < b));
    for common in [80, 443, 1337, 2710, 6881, 6969, 8080, 51413] {
        assert!(!SERVICE_PORTS.contains(&common));
    }
    assert_eq!(Refusal::Port.to_string(), "the port is not allowed");
}
