use super::*;
use std::string::ToString;

fn ask<'r>(scheme: Scheme, to: &str, path: &'r str) -> Request<'r> {
    Request { purpose: Purpose::Tracker, scheme, to: to.parse().unwrap(), path, has_query: false }
}

#[test]
fn peers_that_a_stranger_may_name() {
    let policy = NetPolicy::default();
    // (address, on a stranger's word, on the user's)
    let (ok, port, address, local) =
        (Ok(()), Err(Refusal::Port), Err(Refusal::Address), Err(Refusal::FromGlobalToLocal));
    let table = [
        ("1.2.3.4:6881", ok, ok),
        ("[2a00::1]:6881", ok, ok),
        ("1.2.3.4:0", port, port),
        ("1.2.3.4:25", port, ok),
        ("1.2.3.4:443", ok, ok),
        ("127.0.0.1:6881", local, ok),
        ("[::1]:6881", local, ok),
        ("[::ffff:127.0.0.1]:6881", local, ok),
        ("10.0.0.1:6881", local, ok),
        ("100.64.0.1:6881", local, ok),
        ("[fd00::1]:6881", local, ok),
        ("169.254.169.254:80", local, ok),
        ("[fe80::1]:6881", local, ok),
        ("0.0.0.0:6881", address, address),
        ("224.0.0.1:6881", address, address),
        ("255.255.255.255:6881", address, address),
        ("[ff02::1]:6881", address, address),
    ];
    for (to, stranger, user) in table {
        let to: SocketAddr = to.parse().unwrap();
        assert_eq!(policy.may_dial(to, true), stranger, "{to} on a stranger's word");
        assert_eq!(policy.may_dial(to, false), user, "{to} on the user's word");
    }
}

#[test]
fn each_switch_does_what_it_says_for_peers() {
    let to = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let policy = NetPolicy { allow_local_from_global: true, ..NetPolicy::default() };
    assert_eq!(policy.may_dial(to("10.0.0.1:6881"), true), Ok(()));
    assert_eq!(policy.may_dial(to("127.0.0.1:6881"), true), Ok(()));
    // Where clouds keep their secrets, no switch leads on a stranger's word.
    assert_eq!(policy.may_dial(to("169.254.169.254:80"), true), Err(Refusal::FromGlobalToLocal));
    let policy = NetPolicy { allow_service_ports: true, ..NetPolicy::default() };
    assert_eq!(policy.may_dial(to("1.2.3.4:25"), true), Ok(()));
    let policy = NetPolicy { min_peer_port: 1024, ..NetPolicy::default() };
    assert_eq!(policy.may_dial(to("1.2.3.4:1023"), true), Err(Refusal::Port));
    assert_eq!(policy.may_dial(to("1.2.3.4:1024"), true), Ok(()));
    assert_eq!(policy.may_dial(to("1.2.3.4:80"), false), Ok(()), "the user may name any");
}

#[test]
fn trackers() {
    let policy = NetPolicy::default();
    let table = [
        (ask(Scheme::Http, "1.2.3.4:80", "/x"), Ok(()), Ok(())),
        (ask(Scheme::Https, "[2a00::1]:443", "/x"), Ok(()), Ok(())),
        (ask(Scheme::Udp, "1.2.3.4:53", ""), Ok(()), Ok(())),
        (ask(Scheme::Http, "1.2.3.4:25", "/announce"), Err(Refusal::Port), Err(Refusal::Port)),
        (ask(Scheme::Udp, "1.2.3.4:0", ""), Err(Refusal::Port), Err(Refusal::Port)),
        (ask(Scheme::Http, "127.0.0.1:6969", "/announce"), Err(Refusal::FromGlobalToLocal), Ok(())),
        (ask(Scheme::Http, "127.0.0.1:6969", "/scrape"), Err(Refusal::FromGlobalToLocal), Ok(())),
        (ask(Scheme::Http, "127.0.0.1:6969", "/admin"), Err(Refusal::FromGlobalToLocal), Err(Refusal::LocalPath)),
        (ask(Scheme::Udp, "127.0.0.1:6969", ""), Err(Refusal::FromGlobalToLocal), Ok(())),
        (ask(Scheme::Http, "192.168.1.1:80", "/admin"), Err(Refusal::FromGlobalToLocal), Ok(())),
        (ask(Scheme::Http, "169.254.169.254:80", "/announce"), Err(Refusal::FromGlobalToLocal), Err(Refusal::Address)),
        (ask(Scheme::Http, "[fe80::1]:80", "/announce"), Err(Refusal::FromGlobalToLocal), Err(Refusal::Address)),
        (ask(Scheme::Udp, "239.1.1.1:80", ""), Err(Refusal::Address), Err(Refusal::Address)),
    ];
    for (request, stranger, user) in table {
        assert_eq!(policy.may_ask(&request, true), stranger, "{request:?} on a stranger's word");
        assert_eq!(policy.may_ask(&request, false), user, "{request:?} on the user's word");
    }
    let open = NetPolicy { loopback_needs_announce_path: false, ..NetPolicy::default() };
    assert_eq!(open.may_ask(&ask(Scheme::Http, "127.0.0.1:6969", "/admin"), false), Ok(()));
}

#[test]
fn web_seeds() {
    let policy = NetPolicy::default();
    let seed =
        |scheme, to: &str, has_query| Request { purpose: Purpose::WebSeed, has_query, ..ask(scheme, to, "/file") };
    assert_eq!(policy.may_ask(&seed(Scheme::Http, "1.2.3.4:80", true), false), Ok(()));
    assert_eq!(policy.may_ask(&seed(Scheme::Http, "192.168.1.1:80", false), false), Ok(()));
    assert_eq!(policy.may_ask(&seed(Scheme::Http, "192.168.1.1:80", true), false), Err(Refusal::LocalQuery));
    assert_eq!(policy.may_ask(&seed(Scheme::Http, "127.0.0.1:80", true), false), Err(Refusal::LocalQuery));
    assert_eq!(policy.may_ask(&seed(Scheme::Http, "127.0.0.1:80", false), true), Err(Refusal::FromGlobalToLocal));
    assert_eq!(policy.may_ask(&seed(Scheme::Udp, "1.2.3.4:80", false), false), Err(Refusal::Scheme));
}

#[test]
fn schemes_can_be_switched_off() {
    let policy = NetPolicy { allow_http: false, allow_udp: false, ..NetPolicy::default() };
    assert_eq!(policy.may_ask(&ask(Scheme::Http, "1.2.3.4:80", "/"), false), Err(Refusal::Scheme));
    assert_eq!(policy.may_ask(&ask(Scheme::Udp, "1.2.3.4:80", ""), false), Err(Refusal::Scheme));
    assert_eq!(policy.may_ask(&ask(Scheme::Https, "1.2.3.4:443", "/"), false), Ok(()));
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
