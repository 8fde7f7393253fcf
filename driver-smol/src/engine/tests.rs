//! The engine around a toy machine: time, jobs, order, ends. The network has tests of its own.

use super::notices::End;
use super::testing::{PATIENCE, Rig};
use super::{Control, Recorder};
use parcacik_core::border::*;
use parcacik_core::time::Time;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn start(job: u64, work: Work) -> Action {
    Action::Start { job: JobId(job), work }
}

fn http(path: &str) -> Work {
    Work::Http(HttpRequest {
        to: "127.0.0.1:1".parse().unwrap(),
        tls: false,
        host: "localhost".into(),
        port: 1,
        path: path.into(),
        user_agent: None,
        from: None,
        body_limit: 100,
        time_limit: PATIENCE,
    })
}

fn resolve(host: &str) -> Work {
    Work::Resolve { host: host.into() }
}

#[test]
fn the_first_event_is_the_date() {
    let (dates, seen) = async_channel::unbounded();
    let _rig = Rig::with(move |_, event, _| {
        let _ = dates.try_send(event.clone());
    });
    let Event::WallClock { unix_seconds } = seen.recv_blocking().unwrap() else { panic!() };
    assert!(unix_seconds > 1_700_000_000, "{unix_seconds}");
}

#[test]
fn a_tick_comes_when_it_is_due_and_not_before() {
    let rig = Rig::new();
    rig.tick_after(Duration::from_millis(30));
    let (now, event) = rig.next_timed();
    assert_eq!(event, Event::Tick);
    assert!(now >= Time::from_millis(30), "{now:?}");
    // Once more: the timer has to be set anew each time.
    rig.tick_after(Duration::ZERO);
    assert_eq!(rig.next(), Event::Tick);
}

#[test]
fn a_deadline_that_comes_nearer_moves_the_timer() {
    let rig = Rig::new();
    rig.tick_after(Duration::from_secs(3600));
    rig.tick_after(Duration::from_millis(10));
    assert_eq!(rig.next(), Event::Tick);
}

#[test]
fn a_deadline_that_never_moves_on_starves_nobody() {
    let rig = Rig::new();
    rig.get_stuck();
    rig.tick_after(Duration::ZERO);
    // Ticks come, and work gets done between them.
    rig.act([start(1, resolve("127.0.0.1"))]);
    loop {
        match rig.next() {
            Event::Tick => {}
            Event::JobDone { job, .. } => break assert_eq!(job, JobId(1)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn each_job_is_answered_by_who_does_it() {
    let rig = Rig::new();
    rig.act([start(1, Work::Check { torrent: TorrentId(1) })]);
    assert_eq!(rig.next(), Event::JobDone { job: JobId(1), result: Ok(JobResult::Done) });
    rig.act([start(2, http("/a"))]);
    let Event::JobDone { job: JobId(2), result: Ok(JobResult::Http(answer)) } = rig.next() else { panic!() };
    assert_eq!((answer.status, &answer.body[..]), (200, &b"/a"[..]));
}

#[test]
fn addresses_in_text_are_their_own_answer() {
    let rig = Rig::new();
    for host in ["127.0.0.1", "::1", "[::1]"] {
        rig.act([start(1, resolve(host))]);
        let Event::JobDone { result, .. } = rig.next() else { panic!() };
        let expected = host.trim_matches(['[', ']']).parse().unwrap();
        assert_eq!(result, Ok(JobResult::Resolved(vec![expected])));
    }
}

#[test]
fn more_names_than_places_are_all_looked_up() {
    let rig = Rig::new();
    rig.act((1..=20).map(|job| start(job, resolve("localhost"))));
    for _ in 1..=20 {
        let Event::JobDone { result: Ok(JobResult::Resolved(addresses)), .. } = rig.next() else { panic!() };
        assert!(addresses.iter().all(|ip| ip.is_loopback()), "{addresses:?}");
    }
}

#[test]
fn a_cancelled_job_still_ends_exactly_once() {
    let rig = Rig::new();
    for (job, work) in [(1, http("/never")), (2, Work::Sync { torrent: TorrentId(1) })] {
        rig.act([start(job, work)]);
        rig.act([Action::Cancel { job: JobId(job) }, Action::Cancel { job: JobId(job) }]);
        assert_eq!(rig.next(), Event::JobDone { job: JobId(job), result: Err(IoFault::Cancelled) });
    }
    // Cancelling what has ended, or never was, is nothing; and a name is not answered twice.
    rig.act([Action::Cancel { job: JobId(1) }, Action::Cancel { job: JobId(9) }]);
    assert_eq!(rig.stop(), []);
}

#[test]
fn actions_that_answer_at_once_do_not_recurse() {
    // A machine that answers each failed bind by another one: 10,000 deep it would overflow the stack.
    let mut left = 10_000;
    let bind = || Action::Bind {
        sock: SocketId(1),
        kind: SocketKind::TcpListener,
        // Nobody's address: TEST-NET-1.
        addr: "192.0.2.1:1".parse().unwrap(),
        device: None,
    };
    let (done, wait) = async_channel::bounded(1);
    let rig = Rig::with(move |_, event, out| {
        if let Event::BindFailed { .. } = event {
            left -= 1;
            if left > 0 {
                out.list.push(bind());
            } else {
                done.try_send(()).unwrap();
            }
        }
    });
    rig.act([bind()]);
    wait.recv_blocking().unwrap();
}

#[derive(Default)]
struct Log {
    lines: Vec<(Time, Event, usize)>,
    finished: u32,
}

#[derive(Clone, Default)]
struct SharedLog(Arc<Mutex<Log>>);

impl Recorder for SharedLog {
    fn event(&mut self, now: Time, event: &Event, actions: &Actions) {
        self.0.lock().unwrap().lines.push((now, event.clone(), actions.list.len()));
    }
    fn finish(&mut self) {
        self.0.lock().unwrap().finished += 1;
    }
}

#[test]
fn a_recorder_sees_every_event_with_what_came_of_it() {
    let log = SharedLog::default();
    let rig = Rig::recorded(|_, _, _| {}, Some(Box::new(log.clone())));
    rig.act([start(1, http("/a")), start(2, http("/b"))]);
    let answers = [rig.next(), rig.next()];
    rig.stop();
    let log = log.0.lock().unwrap();
    let [date, command, rest @ ..] = &log.lines[..] else { panic!() };
    assert!(matches!(date.1, Event::WallClock { .. }));
    assert!(matches!((&command.1, command.2), (Event::Command { .. }, 2)));
    assert_eq!(rest.iter().map(|line| line.1.clone()).collect::<Vec<_>>(), answers);
    assert!(log.lines.is_sorted_by_key(|line| line.0));
    assert_eq!(log.finished, 1);
}

#[test]
fn a_panic_of_the_machine_is_told_and_recorded() {
    let log = SharedLog::default();
    let mut rig = Rig::recorded(
        |_, event, _| {
            if let Event::JobDone { .. } = event {
                panic!("broken on purpose")
            }
        },
        Some(Box::new(log.clone())),
    );
    let mut notices = rig.engine.hub.subscribe();
    rig.act([start(1, http("/a"))]);
    let why = "broken on purpose".to_owned();
    assert_eq!(notices.recv_blocking(), Err(crate::ClientError::Broken(why.clone())));
    rig.engine.take_thread().unwrap().join().unwrap();
    assert_eq!(rig.engine.hub.end(), Some(End::Broken(why)));
    let log = log.0.lock().unwrap();
    // The event that broke it is the last line of the recording.
    assert!(matches!(log.lines.last(), Some((_, Event::JobDone { .. }, 0))));
    assert_eq!(log.finished, 1);
}

#[test]
fn orders_that_were_given_are_done_before_a_stop() {
    let (seen, looks) = async_channel::unbounded();
    let rig = Rig::new();
    for n in 0..100 {
        let seen = seen.clone();
        let look = Control::Look(Box::new(move |_: &super::testing::Toy| seen.try_send(n).unwrap()));
        rig.engine.control.try_send(look).ok().unwrap();
    }
    rig.stop();
    drop(seen);
    let looks: Vec<i32> = std::iter::from_fn(|| looks.try_recv().ok()).collect();
    assert_eq!(looks, (0..100).collect::<Vec<_>>());
}
