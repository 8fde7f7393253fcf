//! A whole session under any list of events: it never fails, twice the same list gives the same digest, and its deadline is never behind it.
//!
//! The input is a list of (length, time that passes, event as recordings have it).

use parcacik_core::border::{Actions, Config, Event};
use parcacik_core::journal::canon::decode_event;
use parcacik_core::journal::{Digest, RunningDigest};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;

/// One input.
pub fn run(input: &[u8]) {
    let events = script(input);
    assert_eq!(digest(&events), digest(&events));
}

/// The events of an input, each with its time.
pub(super) fn script(mut input: &[u8]) -> Vec<(Time, Event)> {
    let (mut now, mut events) = (0u64, Vec::new());
    while let [length, high, low, rest @ ..] = input {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        now += u64::from(u16::from_be_bytes([*high, *low])) * 1_000;
        events.extend(decode_event(bytes).map(|event| (Time(now), event)));
        input = rest;
    }
    events
}

fn digest(events: &[(Time, Event)]) -> Digest {
    let mut session = Session::new(Config::default(), Seeds::for_tests(1)).expect("the defaults are good");
    let mut digest = RunningDigest::new(Digest::of(b""));
    let mut actions = Actions::new();
    for (now, event) in events {
        actions.clear();
        session.handle(*now, event.clone(), &mut actions);
        digest.add(*now, event, &actions);
        assert!(session.deadline().is_none_or(|due| due > *now));
    }
    digest.digest()
}
