use super::*;
use crate::rng::{Seeds, Stream};
use std::collections::BTreeSet;

fn tokens() -> Tokens {
    Tokens::new(Seeds::for_tests(1).secrets(Stream::Dht, 0))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const TARGET: NodeId = NodeId([7; 20]);

#[test]
fn a_token_is_of_one_address_and_one_key() {
    let mut tokens = tokens();
    let (now, owner) = (Time::ZERO, ip("192.0.2.1"));
    let token = tokens.issue(now, owner, TARGET);
    assert!(tokens.accepts(now, owner, TARGET, &token));
    assert!(tokens.accepts(now, ip("::ffff:192.0.2.1"), TARGET, &token), "the same address, written otherwise");
    for other in ["192.0.2.2", "::192.0.2.1", "2001:db8::1"] {
        assert!(!tokens.accepts(now, ip(other), TARGET, &token), "{other}");
    }
    assert!(!tokens.accepts(now, owner, TARGET.with_bit_flipped(159), &token));
    let v6 = tokens.issue(now, ip("2001:db8::1"), TARGET);
    assert!(!tokens.accepts(now, ip("2001:db8::2"), TARGET, &v6), "the whole address counts, not its network");
}

#[test]
fn any_changed_byte_and_any_other_length_is_refused() {
    let mut tokens = tokens();
    let (now, owner) = (Time::ZERO, ip("192.0.2.1"));
    let token = tokens.issue(now, owner, TARGET);
    for bit in 0..64 {
        let mut changed = token;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!tokens.accepts(now, owner, TARGET, &changed), "bit {bit}");
    }
    assert!(!tokens.accepts(now, owner, TARGET, &token[..7]));
    assert!(!tokens.accepts(now, owner, TARGET, &[&token[..], &[0]].concat()));
    assert!(!tokens.accepts(now, owner, TARGET, b""));
}

/// A write is accepted only with a token that was issued at most ten minutes ago; and for five minutes it must hold.
#[test]
fn a_token_lives_five_to_ten_minutes() {
    let owner = ip("192.0.2.1");
    for issued in [0, 1, 299, 300, 1234] {
        let mut tokens = tokens();
        let token = tokens.issue(Time::from_secs(issued), owner, TARGET);
        let accepted = |age: u64| tokens.clone().accepts(Time::from_secs(issued + age), owner, TARGET, &token);
        assert!((0..=300).all(accepted), "issued at {issued}");
        assert!((600..1300).all(|age| !accepted(age)), "issued at {issued}");
        assert!(!accepted(1_000_000_000));
    }
}

#[test]
fn secrets_change_and_never_come_again() {
    let mut tokens = tokens();
    let owner = ip("192.0.2.1");
    let issued: BTreeSet<_> =
        (0..1000).map(|window| tokens.issue(Time::from_secs(window * 300), owner, TARGET)).collect();
    assert_eq!(issued.len(), 1000);
    let mut other = Tokens::new(Seeds::for_tests(2).secrets(Stream::Dht, 0));
    assert_ne!(other.issue(Time::ZERO, owner, TARGET), tokens.issue(Time::ZERO, owner, TARGET));
}

/// Time that goes back, or a call that comes late, changes nothing of what was given out.
#[test]
fn the_order_of_calls_does_not_matter() {
    let owner = ip("192.0.2.1");
    let mut tokens = tokens();
    let token = tokens.issue(Time::from_secs(900), owner, TARGET);
    assert!(tokens.accepts(Time::from_secs(100), owner, TARGET, &token));
    assert!(tokens.accepts(Time::from_secs(901), owner, TARGET, &token));
    assert_eq!(std::format!("{tokens:?}"), "Tokens { window: 3 }", "no secrets in a log");
}
