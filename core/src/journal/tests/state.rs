//! States in recordings: a session that has gone another way without showing it is found, and its part is named.

use crate::border::{Actions, Config, Event};
use crate::journal::{
    Drift, Limit, Machine, Reader, Record, Recorder, STATE_EVERY, Secret, State, StatePart, replay, replay_until,
    replay_with,
};
use crate::rng::Seeds;
use crate::session::Session;
use crate::time::Time;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

/// A leech among others: it has connections, work under way, trackers.
const LEECH: &[u8] = include_bytes!("../../../tests/golden/leech.parjrn");

/// A session in which a part is tampered with behind an event.
struct Tampered {
    session: Session,
    left: u64,
    part: StatePart,
}

impl Machine for Tampered {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        self.session.handle(now, event, out);
        if self.left == 1 {
            self.session.tamper(self.part);
        }
        self.left = self.left.saturating_sub(1);
    }

    fn state(&self) -> Option<State> {
        Some(self.session.state())
    }
}

/// The events of a recording, recorded anew with a state after every so many.
fn with_states(recording: &[u8], every: u64) -> Vec<u8> {
    let reader = Reader::new(recording).unwrap();
    let (config, seeds) = (reader.header().config.clone(), reader.header().seeds().unwrap());
    let mut out = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut out);
    let mut session = Session::new(config, seeds).unwrap();
    let mut actions = Actions::new();
    for record in reader {
        let Record::Event { now, event, .. } = record.unwrap() else { continue };
        actions.clear();
        session.handle(now, event.clone(), &mut actions);
        recorder.record(now, &event, &actions, &mut out);
        if recorder.events().is_multiple_of(every) {
            recorder.state(&session.state(), &mut out);
        }
    }
    recorder.finish(&mut out);
    out
}

#[test]
fn each_part_that_was_tampered_with_is_found_and_named() {
    let recording = with_states(LEECH, 10);
    assert!(replay(&recording).unwrap().is_same());
    for &part in StatePart::ALL {
        let build = |config, seeds| Ok(Tampered { session: Session::new(config, seeds)?, left: 135, part });
        let limit = Limit { events: Some(141), until: None };
        let report = replay_until(Reader::new(&recording).unwrap(), limit, build).unwrap();
        let Some(Drift { events, parts, .. }) = report.drift else { panic!("{part} was not found") };
        assert_eq!((events, parts), (130..140, vec![part]));
        assert_eq!((report.difference, report.states), (None, 14), "{part}");
    }
}

#[test]
fn a_drift_is_told_in_words_and_the_replay_goes_on_until_it_shows() {
    let recording = with_states(LEECH, 10);
    let part = StatePart::Choker;
    let build = |config, seeds| Ok(Tampered { session: Session::new(config, seeds)?, left: 135, part });
    let report = replay_with(Reader::new(&recording).unwrap(), build).unwrap();
    assert!(!report.is_same());
    let drift = report.drift.unwrap();
    assert!(report.events > drift.events.end);
    let text = drift.to_string();
    assert!(text.starts_with("the state differs behind one of the events 130..140 of the recording"), "{text}");
    assert!(text.ends_with(": choker"), "{text}");
}

#[test]
fn a_state_is_due_after_so_many_events_and_found_there() {
    let (config, seeds) = (Config::default(), Seeds::for_tests(3));
    let mut bytes = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut bytes);
    let mut session = Session::new(config, seeds).unwrap();
    let mut actions = Actions::new();
    let mut states = Vec::new();
    for at in 0..2 * STATE_EVERY + 100 {
        actions.clear();
        session.handle(Time(at), Event::Tick, &mut actions);
        recorder.record(Time(at), &Event::Tick, &actions, &mut bytes);
        if recorder.state_is_due() {
            states.push(at + 1);
            recorder.state(&session.state(), &mut bytes);
        }
    }
    recorder.state(&session.state(), &mut bytes);
    recorder.finish(&mut bytes);
    assert_eq!(states, [STATE_EVERY, 2 * STATE_EVERY]);
    let report = replay(&bytes).unwrap();
    assert!(report.is_same() && report.is_complete());
    assert_eq!(report.states, 3);

    let left = STATE_EVERY + 7;
    let build = |config, seeds| Ok(Tampered { session: Session::new(config, seeds)?, left, part: StatePart::Queue });
    let report = replay_with(Reader::new(&bytes).unwrap(), build).unwrap();
    // It is said once: from there on all are another one.
    assert_eq!(report.drift.unwrap().events, STATE_EVERY..2 * STATE_EVERY);
    assert_eq!((report.difference, report.states), (None, 2));
}

#[test]
fn states_of_another_making_are_passed_over() {
    let (config, seeds) = (Config::default(), Seeds::for_tests(3));
    let mut bytes = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut bytes);
    let mut session = Session::new(config, seeds).unwrap();
    let old = State { version: 0, ..session.state() };
    session.tamper(StatePart::Queue);
    assert_eq!(old.differences(&session.state()), None);
    recorder.state(&old, &mut bytes);
    recorder.finish(&mut bytes);
    let report = replay(&bytes).unwrap();
    assert!(report.is_same());
    assert_eq!(report.states, 0);
    let records: Vec<_> = Reader::new(&bytes).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.first(), Some(&Record::State(old)));
}
