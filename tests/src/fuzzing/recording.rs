//! Recordings of sessions under any list of events: each replays to the digest that it holds, can be read whole, and its transcript can
//! be written; a redacted one replays too, and has as many events.
//!
//! The input is a list of (length, time that passes, event as recordings have it), as for `session`.

use super::session::script;
use parcacik_core::border::{Actions, Config};
use parcacik_core::journal::redact::redact;
use parcacik_core::journal::text::Transcript;
use parcacik_core::journal::{Reader, Recorder, Secret, replay};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;

/// One input.
pub fn run(input: &[u8]) {
    let (config, seeds) = (Config::default(), Seeds::for_tests(1));
    let mut recording = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut recording);
    let mut transcript = Transcript::new(&config);
    let mut session = Session::new(config, seeds).expect("the defaults are good");
    let mut actions = Actions::new();
    let mut events = 0;
    for (now, event) in script(input) {
        actions.clear();
        session.handle(now, event.clone(), &mut actions);
        recorder.record(now, &event, &actions, &mut recording);
        assert_eq!(transcript.add(now, &event, &actions).event, events);
        events += 1;
    }
    recorder.finish(&mut recording);
    let report = replay(&recording).expect("our own recordings are good");
    assert!(report.is_same() && report.is_complete(), "{report:?}");
    let reader = Reader::new(&recording).expect("our own recordings are good");
    assert!(reader.into_iter().all(|record| record.is_ok()));
    // Words that are short may stand by chance where they were; then it says so.
    if let Ok(redacted) = redact(&recording, [7; 32]) {
        assert_eq!(redacted.events, events);
        let report = replay(&redacted.bytes).expect("our own recordings are good");
        assert!(report.is_same() && report.is_complete(), "{report:?}");
    }
}
