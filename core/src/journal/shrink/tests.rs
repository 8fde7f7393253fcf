use super::*;
use crate::border::{IoFault, TcpId};
use bytes::Bytes;
use std::format;
use std::net::SocketAddr;

/// A recording of some thousand events: 30 streams that come in and send junk, ticks, and dates.
fn recording(events: u64) -> Vec<u8> {
    let (config, seeds) = (Config::default(), Seeds::for_tests(3));
    let mut out = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut out);
    let mut session = Session::new(config, seeds).unwrap();
    let mut actions = Actions::new();
    for number in 0..events {
        let (now, tcp) = (Time::from_millis(number * 10), TcpId(number % 30));
        let remote = SocketAddr::from(([45, 0, 0, (number % 30) as u8], 5000));
        let event = match number {
            0..30 => Event::Accepted { sock: crate::border::SocketId(1), tcp, local: remote, remote },
            _ if number % 7 == 0 => Event::Tick,
            _ if number % 11 == 0 => Event::WallClock { unix_seconds: number as i64 },
            _ if number % 500 == 33 => Event::Closed { tcp, fault: Some(IoFault::Reset) },
            _ => Event::Received { tcp, bytes: Bytes::from(format!("event {number} of the stream")) },
        };
        actions.clear();
        session.handle(now, event.clone(), &mut actions);
        recorder.record(now, &event, &actions, &mut out);
    }
    recorder.finish(&mut out);
    out
}

fn all(recording: &[u8]) -> Vec<(Time, Event)> {
    happened(recording).collect()
}

/// Shrinks; says the smallest, how many proposals it took, and the events of each.
fn shrink(recording: &[u8], fails: impl Fn(&[(Time, Event)]) -> bool) -> (Vec<(Time, Event)>, usize, Vec<usize>) {
    let mut shrinker = Shrinker::new(recording).unwrap();
    let mut sizes = Vec::new();
    while let Some(proposal) = shrinker.propose() {
        let events = all(proposal);
        sizes.push(events.len());
        assert!(sizes.len() < 20_000, "it ends");
        shrinker.judge(fails(&events));
    }
    assert_eq!(shrinker.stage(), Stage::Over);
    let smallest = shrinker.smallest().map(all).unwrap_or_default();
    let runs = sizes.len();
    (smallest, runs, sizes)
}

#[test]
fn a_pair_among_thousands_is_found() {
    let recording = recording(4_000);
    let has =
        |events: &[(Time, Event)], number: u64| events.iter().any(|(now, _)| *now == Time::from_millis(number * 10));
    let (smallest, runs, _) = shrink(&recording, |events| has(events, 1_234) && has(events, 3_456));
    assert_eq!(smallest.iter().map(|(now, _)| now.as_micros() / 10_000).collect::<Vec<_>>(), [1_234, 3_456]);
    assert!(runs < 250, "{runs} proposals");
}

#[test]
fn what_is_left_is_a_recording_that_replays() {
    let recording = recording(500);
    let mut shrinker = Shrinker::new(&recording).unwrap();
    while let Some(proposal) = shrinker.propose() {
        let report = crate::journal::replay(proposal).unwrap();
        assert!(report.is_same() && report.ending == crate::journal::Ending::End);
        let fails = all(proposal).iter().filter(|(_, event)| matches!(event, Event::WallClock { .. })).count() >= 3;
        shrinker.judge(fails);
    }
    let smallest = shrinker.smallest().unwrap();
    assert_eq!((all(smallest).len(), shrinker.events()), (3, 3));
    assert!(crate::journal::replay(smallest).unwrap().is_same());
}

#[test]
fn the_result_is_minimal_and_the_same_each_time() {
    // Three streams are needed, and of each something that was received.
    let fails = |events: &[(Time, Event)]| {
        [3, 9, 27].iter().all(|wanted| {
            events.iter().any(|(_, event)| matches!(event, Event::Received { tcp, .. } if tcp.0 == *wanted))
        })
    };
    let recording = recording(1_500);
    let (smallest, runs, sizes) = shrink(&recording, fails);
    assert_eq!(smallest.len(), 3, "{smallest:?}");
    let (again, same_runs, same_sizes) = shrink(&recording, fails);
    assert_eq!((smallest, runs, sizes), (again, same_runs, same_sizes));
}

#[test]
fn what_does_not_fail_is_proposed_once() {
    let recording = recording(100);
    let (smallest, runs, _) = shrink(&recording, |_| false);
    assert_eq!((smallest.len(), runs), (0, 1));
}

#[test]
fn what_always_fails_becomes_nothing() {
    let recording = recording(1_000);
    let (smallest, runs, _) = shrink(&recording, |_| true);
    assert_eq!(smallest.len(), 0);
    assert!(runs < 30, "{runs} proposals");
}

#[test]
fn what_is_all_needed_stays_and_ends() {
    let recording = recording(300);
    let count = all(&recording).len();
    let (smallest, runs, _) = shrink(&recording, |events| events.len() == count);
    assert_eq!(smallest.len(), count);
    assert!(runs < 1_000, "{runs} proposals");
}

#[test]
fn a_proposal_waits_until_it_is_judged() {
    let recording = recording(50);
    let mut shrinker = Shrinker::new(&recording).unwrap();
    let first = shrinker.propose().unwrap().to_vec();
    assert_eq!(shrinker.propose().unwrap(), first);
    assert_eq!(all(&first), all(&recording));
    assert_eq!(shrinker.smallest(), None);
    shrinker.judge(true);
    assert_eq!((shrinker.smallest().unwrap(), shrinker.stage()), (&first[..], Stage::Connections));
    // Nothing is proposed: nothing is judged.
    shrinker.judge(true);
    assert_eq!(shrinker.events(), 50);
}

#[test]
fn a_recording_without_its_seed_cannot_be_shrunk() {
    let recording = crate::journal::without_secret(&recording(10)).unwrap();
    assert_eq!(Shrinker::new(&recording).unwrap_err(), ShrinkError::NoSecret);
    assert!(matches!(Shrinker::new(b"no").unwrap_err(), ShrinkError::Read(_)));
}
