use super::*;
use std::net::Ipv4Addr;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn secs(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

#[test]
fn who_comes_too_often_is_refused_until_the_minute_is_over() {
    let (mut knocks, config) = (Knocks::default(), CandidateConfig::default());
    for _ in 0..config.max_knocks {
        assert!(knocks.knock(secs(5), &config, ip("192.0.2.1")));
    }
    for now in 5..65 {
        assert!(!knocks.knock(secs(now), &config, ip("192.0.2.1")));
    }
    assert!(knocks.knock(secs(30), &config, ip("192.0.2.2")), "somebody else");
    assert!(knocks.knock(secs(65), &config, ip("192.0.2.1")));
}

#[test]
fn a_fault_counts_for_five() {
    let (mut knocks, config) = (Knocks::default(), CandidateConfig::default());
    let mut let_in = 0;
    while knocks.knock(secs(1), &config, ip("192.0.2.1")) {
        knocks.fault(secs(1), &config, ip("192.0.2.1"));
        let_in += 1;
    }
    assert_eq!(let_in, 4);
}

#[test]
fn a_network_of_ipv6_is_one_and_loopback_is_not_counted() {
    let (mut knocks, config) = (Knocks::default(), CandidateConfig { max_knocks: 1, ..CandidateConfig::default() });
    assert!(knocks.knock(secs(1), &config, ip("2001:db8::1")));
    assert!(!knocks.knock(secs(1), &config, ip("2001:db8::2")));
    assert!(knocks.knock(secs(1), &config, ip("2001:db8:0:1::1")));
    assert!(knocks.knock(secs(1), &config, ip("192.0.2.1")));
    assert!(!knocks.knock(secs(1), &config, ip("::ffff:192.0.2.1")), "the same in other words");
    for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        assert!((0..100).all(|_| knocks.knock(secs(1), &config, ip(loopback))), "{loopback}");
    }
}

#[test]
fn the_table_is_bounded_and_empties_itself() {
    let (mut knocks, config) = (Knocks::default(), CandidateConfig { max_knockers: 3, ..CandidateConfig::default() });
    for host in 0..100 {
        assert!(knocks.knock(secs(1), &config, Ipv4Addr::from(host).into()));
        assert!(knocks.table.len() <= 3 && knocks.order.len() == knocks.table.len());
    }
    assert!(knocks.knock(secs(61), &config, ip("192.0.2.1")));
    assert_eq!(knocks.table.len(), 1);
}
