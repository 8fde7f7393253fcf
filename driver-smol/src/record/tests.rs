//! Tests of recordings in files.

use super::{FileRecorder, Target, record_to};
use crate::engine::Recorder;
use crate::{Client, ClientConfig};
use parcacik_core::border::{Actions, Config, Event};
use parcacik_core::journal::{Ending, GIVEN_UP, Secret, replay};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

/// A file on a disk with so much room.
#[derive(Clone, Debug)]
struct Small(Arc<Mutex<Vec<u8>>>, usize);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.0.lock().unwrap();
        let room = self.1 - held.len();
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = &bytes[..bytes.len().min(room)];
        held.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Small {
    fn cut_back(&mut self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().truncate(length as usize);
        Ok(())
    }
}

fn run(recorder: &mut impl Recorder, events: u64) {
    let mut session = Session::new(Config::default(), Seeds::for_tests(3)).unwrap();
    let mut actions = Actions::new();
    for at in 0..events {
        let event = Event::WallClock { unix_seconds: at as i64 };
        actions.clear();
        session.handle(Time(at), event.clone(), &mut actions);
        recorder.event(Time(at), &event, &actions);
    }
}

fn small(room: usize) -> (FileRecorder<Small>, super::Recording, Arc<Mutex<Vec<u8>>>) {
    let held = Arc::new(Mutex::new(Vec::new()));
    let to = Small(Arc::clone(&held), room);
    let (recorder, recording) = FileRecorder::new(to, &Config::default(), &Seeds::for_tests(3), Secret::Keep).unwrap();
    (recorder, recording, held)
}

#[test]
fn a_client_records_itself_and_the_recording_replays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("session.parjrn");
    let mut config =
        ClientConfig { listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], ..ClientConfig::default() };
    let recording = record_to(&path, &mut config, Secret::Keep).unwrap();
    assert!(config.seeds.is_some());
    let client = Client::start(config).unwrap();
    assert_eq!(recording.digest(), None);
    futures_lite::future::block_on(client.shutdown()).unwrap();

    let report = replay(&std::fs::read(&path).unwrap()).unwrap();
    assert!(report.is_same() && report.is_complete(), "{report:?}");
    assert_eq!(recording.digest(), Some(report.digest));
    assert!(report.events >= 4, "the date, the command, two sockets: {}", report.events);
    assert!(recording.fault().is_none());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // What is there is not overwritten.
    let again = record_to(&path, &mut ClientConfig::default(), Secret::Keep).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_full_disk_ends_the_recording_with_a_mark_and_what_is_there_replays() {
    let (mut recorder, recording, held) = small(400_000);
    run(&mut recorder, 100_000);
    assert_eq!(recording.fault().unwrap().kind(), io::ErrorKind::StorageFull);
    recorder.finish();
    assert_eq!((recording.digest(), recording.events()), (None, None));
    let bytes = held.lock().unwrap().clone();
    assert!((399_900..=400_000).contains(&bytes.len()), "{}", bytes.len());
    assert!(bytes.ends_with(GIVEN_UP));
    let report = replay(&bytes).unwrap();
    assert!(report.is_same());
    assert_eq!(report.ending, Ending::GivenUp);
    assert!(report.events > 10_000);
}

/// A pipe, say.
struct OneWay(Small);

impl Write for OneWay {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for OneWay {
    fn cut_back(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn what_takes_nothing_back_has_no_mark_and_replays_all_the_same() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let to = OneWay(Small(Arc::clone(&held), 400_000));
    let (mut recorder, recording) =
        FileRecorder::new(to, &Config::default(), &Seeds::for_tests(3), Secret::Keep).unwrap();
    run(&mut recorder, 100_000);
    assert!(recording.fault().is_some());
    assert_eq!(held.lock().unwrap().len(), 400_000);
    let report = replay(&held.lock().unwrap()).unwrap();
    assert_eq!((report.is_same(), report.ending), (true, Ending::CutOff));
}

#[test]
fn a_disk_that_takes_nothing_is_told_at_once() {
    let to = Small(Arc::default(), 10);
    let error = FileRecorder::new(to, &Config::default(), &Seeds::for_tests(3), Secret::Keep).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_recorder_that_is_dropped_stores_what_it_has() {
    let (mut recorder, recording, held) = small(1 << 20);
    run(&mut recorder, 50);
    drop(recorder);
    let report = replay(&held.lock().unwrap()).unwrap();
    assert_eq!((report.events, report.is_complete()), (50, false));
    assert_eq!(recording.digest(), None);
}
