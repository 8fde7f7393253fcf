//! Laws of the format, and what a replay says of a difference.

use super::values::event;
use crate::border::{
    Action, Actions, AddressTable, CloseReason, CommandId, Config, ConfigError, DialId, Event, JobId, Notice, SocketId,
    TcpId, TorrentId, Work,
};
use crate::journal::frames::{self, Entry, Index};
use crate::journal::{
    BEHAVIOUR, BadExtension, CHECKPOINT_EVERY, Difference, Digest, Ending, Extension, GIVEN_UP, Limit, MAX_INDEX,
    Machine, Part, ReadError, ReadProblem, Reader, Record, Recorder, ReplayReport, RunningDigest, Secret, Sketch,
    Topic, replay_until, replay_with, sketches, whole_frames,
};
use crate::rng::Seeds;
use crate::time::Time;
use bytes::Bytes;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

/// What happened, and what came of it.
type Step = (u64, Event, Actions);

/// Does what is written down for it.
struct Script(vec::IntoIter<Actions>);

impl Script {
    fn of(steps: &[Step]) -> impl FnOnce(Config, Seeds) -> Result<Script, ConfigError> + use<> {
        let actions: Vec<Actions> = steps.iter().map(|(_, _, actions)| actions.clone()).collect();
        move |_, _| Ok(Script(actions.into_iter()))
    }
}

impl Machine for Script {
    fn handle(&mut self, _: Time, _: Event, out: &mut Actions) {
        *out = self.0.next().unwrap_or_default();
    }
}

fn recorder(bytes: &mut Vec<u8>) -> Recorder {
    Recorder::new(&Config::default(), &Seeds::for_tests(2), Secret::Keep, bytes)
}

fn write(mut recorder: Recorder, steps: &[Step], bytes: &mut Vec<u8>) -> Digest {
    for (now, event, actions) in steps {
        recorder.record(Time(*now), event, actions, bytes);
    }
    recorder.finish(bytes)
}

fn record(steps: &[Step]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let recorder = recorder(&mut bytes);
    write(recorder, steps, &mut bytes);
    bytes
}

fn run(recording: &[u8], steps: &[Step]) -> ReplayReport {
    replay_with(Reader::new(recording).unwrap(), Script::of(steps)).unwrap()
}

fn difference(recorded: &[Step], ours: &[Step]) -> Difference {
    run(&record(recorded), ours).difference.expect("they differ")
}

fn does(list: Vec<Action>) -> Actions {
    Actions { list, ..Actions::new() }
}

fn grant(tcp: u64) -> Action {
    Action::Grant { tcp: TcpId(tcp), bytes: 100 }
}

fn send(tcp: u64, text: &'static str) -> Action {
    Action::Send { tcp: TcpId(tcp), bytes: Bytes::from_static(text.as_bytes()) }
}

fn close(tcp: u64) -> Action {
    Action::Close { tcp: TcpId(tcp), flush: false }
}

fn heard(tcp: u64) -> Event {
    Event::Received { tcp: TcpId(tcp), bytes: Bytes::from_static(b"hello") }
}

/// `count` events 1 ms apart on streams 0 to 4, every second of them quiet.
fn plain(count: u64) -> Vec<Step> {
    let actions = |at: u64| if at.is_multiple_of(2) { does(vec![send(at % 5, "x")]) } else { Actions::new() };
    (0..count).map(|at| (at * 1_000, heard(at % 5), actions(at))).collect()
}

#[test]
fn a_difference_names_what_was_recorded_and_what_is_done_now() {
    let tell = |list| Actions { notices: vec![Notice::PieceDone { torrent: TorrentId(3), piece: 1 }], ..does(list) };
    let recorded = [(7, heard(5), tell(vec![grant(5), send(5, "have")]))];
    let ours = [(7, heard(5), tell(vec![grant(5), close(5)]))];
    let found = difference(&recorded, &ours);
    assert_eq!((found.events.clone(), found.now, found.event.as_ref()), (0..1, Time(7), Some(&heard(5))));
    let [Part::Same { ours: 0 }, Part::Changed { recorded: was, ours: 1 }, Part::Same { ours: 2 }] = found.parts[..]
    else {
        panic!("{:?}", found.parts);
    };
    assert_eq!((was.name(), was.about), (Some("Send"), Topic::Tcp(TcpId(5))));
    let text = found.to_string();
    assert!(text.contains("- the recording did: Send(tcp 5)\n+ this run did: Close { tcp: TcpId(5)"), "{text}");
    assert!(text.contains("both did 2 other things"), "{text}");
}

#[test]
fn missing_and_extra_actions_are_told_apart() {
    let one = |list| [(0, heard(5), does(list))];
    let lost = difference(&one(vec![grant(5), send(5, "a"), send(5, "b")]), &one(vec![grant(5), send(5, "b")]));
    let [Part::Same { ours: 0 }, Part::Missing { recorded }, Part::Same { ours: 1 }] = lost.parts[..] else {
        panic!("{:?}", lost.parts);
    };
    assert_eq!(recorded, sketches(&does(vec![send(5, "a")]))[0]);
    let new =
        difference(&one(vec![grant(5), send(6, "b")]), &one(vec![send(5, "a"), grant(5), send(5, "c"), send(6, "b")]));
    let kinds = [Part::Extra { ours: 0 }, Part::Same { ours: 1 }, Part::Extra { ours: 2 }, Part::Same { ours: 3 }];
    assert_eq!(new.parts, kinds);
    // The content of a message counts: same kind, same stream, another text.
    let other = difference(&one(vec![send(5, "a")]), &one(vec![send(5, "c")]));
    assert!(matches!(other.parts[..], [Part::Changed { .. }]), "{:?}", other.parts);
}

#[test]
fn long_lists_are_compared_in_bounded_time() {
    let many = |count: u64, from: u64| (0..count).map(|at| grant(from + at)).collect();
    let found = difference(&[(0, Event::Tick, does(many(3_000, 0)))], &[(0, Event::Tick, does(many(3_001, 7_000)))]);
    assert_eq!(found.parts.len(), 3_001);
    assert_eq!(found.parts[3_000], Part::Extra { ours: 3_000 });
}

#[test]
fn an_event_that_was_quiet_and_is_not_any_more_is_named_and_so_is_the_reverse() {
    let mut loud = plain(9);
    loud[7].2 = does(vec![close(2)]);
    for (recorded, ours) in [(plain(9), loud.clone()), (loud, plain(9))] {
        let found = difference(&recorded, &ours);
        assert_eq!(found.events, 7..8);
        assert!(matches!(found.parts[..], [Part::Missing { .. } | Part::Extra { .. }]), "{:?}", found.parts);
    }
}

#[test]
fn what_went_before_on_the_connection_is_told() {
    let recorded = plain(200);
    let mut ours = recorded.clone();
    ours[154].2 = does(vec![close(4)]);
    let found = difference(&recorded, &ours);
    assert_eq!(found.events, 154..155);
    let places: Vec<u64> = found.earlier.iter().map(|earlier| earlier.index).collect();
    assert_eq!(places, (0..20).map(|at| 54 + at * 5).collect::<Vec<u64>>());
    assert!(found.earlier.iter().all(|earlier| earlier.event == heard(4)));
    assert_eq!(found.earlier[0].now, Time(54_000));
    assert_eq!(found.earlier[0].did, sketches(&does(vec![send(4, "x")])));
    assert!(found.to_string().contains("event 149 at"));
}

#[test]
fn a_tick_that_parts_tells_what_went_before_on_the_connection_that_it_acts_on() {
    let mut recorded = plain(50);
    recorded.push((60_000, Event::Tick, does(vec![close(3)])));
    let mut ours = recorded.clone();
    ours[50].2 = Actions::new();
    let found = difference(&recorded, &ours);
    assert_eq!(found.earlier.len(), 10);
    assert!(found.earlier.iter().all(|earlier| earlier.event == heard(3)));
}

#[test]
fn content_that_lies_elsewhere_is_a_difference() {
    let step = |opaque| [(0, heard(1), Actions { opaque: vec![opaque], ..Actions::new() })];
    let found = difference(&step(1..3), &step(1..4));
    assert_eq!((found.events, found.recorded_holes), (0..1, Some(core::iter::once(1..3).collect())));
    // Ranges that come to the same holes are the same: empty ones, touching ones, what is behind the buffer.
    let split = [(0, heard(1), Actions { opaque: vec![1..2, 2..2, 2..5, 9..12], ..Actions::new() })];
    assert!(run(&record(&step(1..5)), &split).is_same());
}

#[test]
fn a_difference_is_short_however_much_was_said() {
    let long = Event::Received { tcp: TcpId(1), bytes: vec![0; 1 << 20].into() };
    let bytes: Bytes = vec![7; 1 << 20].into();
    let ours = does(vec![Action::Send { tcp: TcpId(1), bytes }]);
    let text = difference(&[(0, long.clone(), Actions::new())], &[(0, long, ours)]).to_string();
    assert!(text.len() < 1_200 && text.contains('…'), "{} bytes", text.len());
}

/// One action or notice for each kind of thing that they can be about.
fn one_of_each_topic() -> Actions {
    let list = vec![
        Action::Unbind { sock: SocketId(4) },
        Action::CancelDial { dial: DialId(1 << 50) },
        grant(9),
        grant(9),
        close(8),
        Action::Cancel { job: JobId(77) },
        Action::Start { job: JobId(5), work: Work::Sync { torrent: TorrentId(2) } },
        Action::Start { job: JobId(6), work: Work::Resolve { host: String::from("host") } },
    ];
    let closed =
        Notice::PeerClosed { torrent: TorrentId(2), addr: "10.0.0.1:1".parse().unwrap(), reason: CloseReason::Idle };
    let notices = vec![closed, Notice::CommandDone { command: CommandId(3) }, Notice::Stopped];
    Actions { list, notices, opaque: Vec::new() }
}

#[test]
fn any_change_of_what_came_of_an_event_changes_the_digest() {
    let all = one_of_each_topic();
    let digest = |actions: &Actions| {
        let mut run = RunningDigest::new(Digest([7; 16]));
        run.add(Time(5), &heard(9), actions);
        // Nothing can be made up for by the next event.
        run.add(Time(6), &Event::Tick, &Actions::new());
        run.digest()
    };
    let mut seen = vec![digest(&all), digest(&Actions::new())];
    let mut changed = |change: &dyn Fn(&mut Actions)| {
        let mut actions = all.clone();
        change(&mut actions);
        assert_ne!(actions, all);
        seen.push(digest(&actions));
    };
    for at in 0..all.list.len() {
        // Two are equal: without either it is the same list.
        if at != 3 {
            changed(&|actions| _ = actions.list.remove(at));
            changed(&|actions| actions.list.insert(at, all.list[at].clone()));
        }
        changed(&|actions| actions.list[at] = grant(1_000 + at as u64));
        if at > 0 && at != 3 {
            changed(&|actions| actions.list.swap(at, at - 1));
        }
    }
    for at in 0..all.notices.len() {
        changed(&|actions| _ = actions.notices.remove(at));
        changed(&|actions| actions.notices[at] = Notice::PieceDone { torrent: TorrentId(1), piece: at as u32 });
        changed(&|actions| actions.notices.swap(at, (at + 1) % 3));
    }
    let bytes = |tcp, length| does(vec![Action::Send { tcp: TcpId(tcp), bytes: vec![0; length].into() }]);
    seen.extend([(1, 0), (1, 1), (2, 1), (1, 2), (1, 17), (1, 300)].map(|(tcp, length)| digest(&bytes(tcp, length))));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn sketches_come_back_from_a_recording() {
    let actions = one_of_each_topic();
    let all = sketches(&actions);
    assert_eq!(all.len(), 11);
    for event in [
        heard(9),
        heard(1),
        Event::Tick,
        Event::Command { id: CommandId(3), command: crate::border::Command::Shutdown },
    ] {
        let bytes = record(&[(0, event, actions.clone())]);
        let Record::Event { did, .. } = Reader::new(&bytes).unwrap().next().unwrap().unwrap() else { panic!() };
        assert_eq!(did, all);
    }
    let names: Vec<String> = all.iter().map(Sketch::to_string).collect();
    assert_eq!(names[2], "Grant(tcp 9)");
    assert_eq!(names[6..9], ["Start Sync(torrent 2)", "Start Resolve", "PeerClosed(torrent 2)"]);
    assert!(all[8].is_notice() && !all[7].is_notice());
    let unknown = Sketch { kind: 127, about: Topic::Nothing, check: 0 };
    assert_eq!((unknown.name(), unknown.to_string().as_str()), (None, "something of kind 127"));
}

#[test]
fn actions_of_a_fixed_layout_have_the_sketches_of_the_tables() {
    let (job, torrent, bytes) = (JobId(1), TorrentId(2), Bytes::new());
    let all = sketches(&does(vec![
        send(5, "a"),
        Action::SendContent { tcp: TcpId(6), torrent, piece: 0, begin: 0, bytes: bytes.clone() },
        grant(7),
        Action::Start { job, work: Work::Read { torrent, piece: 0, begin: 0, length: 1 } },
        Action::Start { job, work: Work::Write { torrent, piece: 0, begin: 0, bytes } },
    ]));
    let names: Vec<String> = all.iter().map(Sketch::to_string).collect();
    let want = ["Send(tcp 5)", "SendContent(tcp 6)", "Grant(tcp 7)", "Start Read(torrent 2)", "Start Write(torrent 2)"];
    assert_eq!(names, want);
}

#[test]
fn a_reader_goes_to_any_event_with_an_index_and_without() {
    let made = record(&plain(5_000));
    let all: Vec<Record> = Reader::new(&made).unwrap().map(Result::unwrap).collect();
    // Four entries of eight bytes stand in front of the last sixteen; the last three bytes of the first one say where it leads.
    let mut wrong = made.clone();
    let offset = wrong.len() - 16 - 4 * 8 + 5;
    wrong[offset..offset + 3].copy_from_slice(&[0x81, 0x80, 0x01]);
    for (name, bytes) in [("whole", &made[..]), ("cut", &made[..made.len() - 5]), ("wrong", &wrong[..])] {
        for wanted in [0, 1, 1_023, 1_024, 1_025, 2_500, 4_096, 4_999, 9_999] {
            let mut reader = Reader::new(bytes).unwrap();
            reader.by_ref().take(1_700).for_each(drop);
            reader.seek(wanted);
            let at = (wanted / CHECKPOINT_EVERY).min(4) * CHECKPOINT_EVERY;
            assert_eq!(reader.events(), at, "{name}, {wanted}");
            let (here, now) = (reader.events(), reader.now());
            assert_eq!(now, Time(here.saturating_sub(1) * 1_000), "{name}, {wanted}");
            // The checkpoint itself comes first.
            let skipped = if here == 0 { 0 } else { here + here / CHECKPOINT_EVERY - 1 };
            let rest: Vec<Record> = reader.map_while(Result::ok).collect();
            let until = if name == "cut" { all.len() - 1 } else { all.len() };
            assert!(rest == all[skipped as usize..until], "{name}, {wanted}");
        }
        let mut reader = Reader::new(bytes).unwrap();
        reader.seek_time(Time(3_000_000));
        assert_eq!(reader.events(), 2 * CHECKPOINT_EVERY, "{name}");
    }
}

#[test]
fn the_index_of_a_long_recording_is_bounded_and_in_order() {
    let mut index = Index::new();
    for checkpoint in 1..=100_000 {
        index.add(Entry { events: checkpoint * CHECKPOINT_EVERY, now: Time(checkpoint), offset: checkpoint * 30_000 });
    }
    let place = frames::Place { events: 100_000 * CHECKPOINT_EVERY, now: Time(100_000), digest: Digest([0; 16]) };
    let mut frame = Vec::new();
    frames::write_end(&mut frame, &place, &index);
    let entries = frames::find_index(&frame).expect("it is found from behind");
    assert!((MAX_INDEX / 2 - 1..MAX_INDEX).contains(&entries.len()), "{}", entries.len());
    let steps: Vec<u64> = entries.windows(2).map(|pair| pair[1].events - pair[0].events).collect();
    assert!(steps.iter().all(|&step| step == 128 * CHECKPOINT_EVERY), "{steps:?}");
    assert_eq!(entries[0].events, 128 * CHECKPOINT_EVERY);
}

/// Puts a frame between all frames behind the header.
fn strewn(recording: &[u8], frame: &[u8]) -> Vec<u8> {
    let mut at = whole_head(recording);
    let mut out = recording[..at].to_vec();
    while let Ok(Some(next)) = frames::read(recording, at) {
        out.extend_from_slice(frame);
        out.extend_from_slice(&recording[at..next.end()]);
        at = next.end();
    }
    out
}

/// How long the magic, the header and the secret are.
fn whole_head(recording: &[u8]) -> usize {
    let head = frames::read(recording, 8).unwrap().unwrap().end();
    frames::read(recording, head).unwrap().unwrap().end()
}

#[test]
fn unknown_optional_frames_are_passed_over_wherever_they_are() {
    let steps = plain(2_100);
    let made = record(&steps);
    let strewn = strewn(&made, &[200, 3, 1, 2, 3]);
    let report = run(&strewn, &steps);
    assert!(report.is_same() && report.is_complete());
    assert_eq!(report.digest, run(&made, &steps).digest);
    // The index is of no use any more, and does no harm.
    let mut reader = Reader::new(&strewn).unwrap();
    reader.seek(2_000);
    assert_eq!(reader.events(), CHECKPOINT_EVERY);
}

#[test]
fn unknown_frames_that_must_be_understood_are_refused() {
    for kind in [8, 15, 88, 127] {
        let bytes = strewn(&record(&plain(3)), &[kind, 0]);
        let error = Reader::new(&bytes).unwrap().next().unwrap().unwrap_err();
        assert_eq!((error.problem, error.offset), (ReadProblem::Frame(kind), whole_head(&bytes) as u64));
    }
    // One of the header's extensions, before anything is read.
    let mut bytes = record(&plain(3));
    let at = whole_head(&bytes);
    bytes.splice(at..at, [17, 0]);
    assert!(matches!(Reader::new(&bytes), Err(ReadError { problem: ReadProblem::Frame(17), .. })));
}

#[test]
fn extensions_of_the_header_come_back_and_those_that_matter_are_in_the_digest() {
    let steps = plain(1_100);
    let note = Extension { kind: 140, body: b"a note".to_vec() };
    // The only one so far that must be understood: it is part of the configuration to who writes and who reads.
    let table = |priority: u32| {
        let pair = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        AddressTable { priorities: [(pair, priority)].into(), ..AddressTable::default() }
    };
    let make = |addresses: AddressTable, notes: &[&Extension]| {
        let config = Config { addresses: addresses.into(), ..Config::default() };
        let mut bytes = Vec::new();
        let mut recorder = Recorder::new(&config, &Seeds::for_tests(2), Secret::Keep, &mut bytes);
        notes.iter().for_each(|extension| recorder.extend(extension, &mut bytes).unwrap());
        let digest = write(recorder, &steps, &mut bytes);
        (bytes, digest)
    };
    let none = AddressTable::default;
    let (plain, noted, both) = (make(none(), &[]), make(none(), &[&note]), make(table(7), &[&note]));
    assert_eq!(plain.1, noted.1);
    assert_ne!(plain.1, both.1);
    assert_ne!(both.1, make(table(8), &[]).1);
    for (bytes, digest) in [plain, noted, both.clone()] {
        let report = run(&bytes, &steps);
        assert_eq!((report.digest, report.is_complete()), (digest, true));
        let mut reader = Reader::new(&bytes).unwrap();
        reader.seek(1_050);
        assert_eq!(reader.events(), CHECKPOINT_EVERY, "the index counts from behind the extensions");
    }
    let reader = Reader::new(&both.0).unwrap();
    assert!(matches!(&reader.header().extensions[..], [one] if *one == note));
    assert_eq!(*reader.header().config.addresses, table(7));

    let mut bytes = Vec::new();
    let mut recorder = recorder(&mut bytes);
    let wrong = Extension { kind: 5, body: Vec::new() };
    assert_eq!(recorder.extend(&wrong, &mut bytes), Err(BadExtension));
    recorder.record(Time(0), &Event::Tick, &Actions::new(), &mut bytes);
    assert_eq!(recorder.extend(&note, &mut bytes), Err(BadExtension));
}

#[test]
fn a_recording_that_was_given_up_says_so_and_nothing_may_follow() {
    let steps = plain(20);
    let made = record(&steps);
    let mut at = whole_head(&made);
    for events in 0..=20u64 {
        let mut bytes = [&made[..at], GIVEN_UP].concat();
        let report = run(&bytes, &steps);
        assert_eq!((report.events, report.ending, report.is_same()), (events, Ending::GivenUp, true));
        assert_eq!(Reader::new(&bytes).unwrap().last(), Some(Ok(Record::GivenUp)));
        bytes.push(0);
        assert!(Reader::new(&bytes).unwrap().last().unwrap().is_err());
        at = frames::read(&made, at).unwrap().unwrap().end();
    }
}

#[test]
fn a_recording_of_another_epoch_is_run_and_it_is_told() {
    let steps = plain(10);
    let mut bytes = Vec::new();
    let seeds = Seeds::for_tests(2);
    let recorder = Recorder::of_epoch(BEHAVIOUR + 5, &Config::default(), &seeds, Secret::Keep, &mut bytes);
    write(recorder, &steps, &mut bytes);
    let report = run(&bytes, &steps);
    assert!(report.is_same() && report.is_complete() && report.epoch_changed());
    assert_eq!(report.behaviour, BEHAVIOUR + 5);
    assert!(!run(&record(&steps), &steps).epoch_changed());
}

#[test]
fn a_replay_stops_at_its_limit() {
    let steps = plain(3_000);
    let bytes = record(&steps);
    let go = |limit| {
        let report = replay_until(Reader::new(&bytes).unwrap(), limit, Script::of(&steps)).unwrap();
        (report.events, report.ending)
    };
    let events = |events| Limit { events: Some(events), until: None };
    let until = |until| Limit { events: None, until: Some(Time(until)) };
    assert_eq!(go(Limit::default()), (3_000, Ending::End));
    assert_eq!(go(events(0)), (0, Ending::Limit));
    assert_eq!(go(events(1_024)), (1_024, Ending::Limit));
    assert_eq!(go(events(9_999)), (3_000, Ending::End));
    assert_eq!(go(until(0)), (1, Ending::Limit));
    assert_eq!(go(until(77_999)), (78, Ending::Limit));
    assert_eq!(go(Limit { events: Some(5), until: Some(Time(3_000)) }), (4, Ending::Limit));
    // A reader that has been somewhere is taken back to the beginning.
    let mut reader = Reader::new(&bytes).unwrap();
    reader.seek(2_000);
    assert!(replay_with(reader, Script::of(&steps)).unwrap().is_complete());
}

#[test]
fn what_was_cut_off_can_be_cut_away() {
    let steps = plain(30);
    let made = record(&steps);
    let head = whole_head(&made);
    for end in head..made.len() {
        let whole = whole_frames(&made[..end]);
        assert!((head..=end).contains(&whole));
        assert_eq!(run(&made[..end], &steps).events, run(&made[..whole], &steps).events);
        // From the middle of a recording as from its beginning.
        assert_eq!(whole_frames(&made[head..end]) + head, whole);
    }
    assert_eq!(whole_frames(&made), made.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_recording_that_is_cut_at_any_byte_replays_as_far_as_it_goes(
        events in proptest::collection::vec((0u64..1_000, event(), any::<bool>()), 0..12),
    ) {
        let mut now = 0;
        let steps: Vec<Step> = events.into_iter().map(|(gap, event, quiet)| {
            now += gap;
            (now, event, if quiet { Actions::new() } else { one_of_each_topic() })
        }).collect();
        let made = record(&steps);
        let mut most = 0;
        for end in whole_head(&made)..made.len() {
            let report = run(&made[..end], &steps);
            prop_assert!(report.is_same());
            prop_assert_eq!(report.ending, Ending::CutOff);
            prop_assert!(report.events >= most);
            most = report.events;
        }
        prop_assert_eq!(most, steps.len() as u64);
        prop_assert!(run(&made, &steps).is_complete());
    }
}
