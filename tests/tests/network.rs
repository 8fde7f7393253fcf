//! The world's own laws: cuts, translators, silent streams, windows, clocks, datagrams and crashes do what they say.

use parcacik_core::border::{Action, CloseReason, Config, Event, IoFault, Notice};
use parcacik_core::time::Time;
use parcacik_testkit::{Content, Faults, Host, Limits, Line, Nat, NodeId, Way, World};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn content() -> Content {
    Content::new("net.bin", 400_000, 32_768, 5)
}

/// A seed that sends 40 KB/s and a leech that dials it: ten seconds of transfer.
fn pair(change: impl FnOnce(&mut World, NodeId, NodeId)) -> (World, NodeId, NodeId, Content) {
    let content = content();
    let mut world = World::with(1, Limits { upload: 40_000, ..Limits::default() }, Config::default());
    world.keep_logs();
    let (seed, leech) = (world.add_node(), world.add_node());
    change(&mut world, seed, leech);
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    (world, seed, leech, content)
}

fn pieces(world: &World, node: NodeId, content: &Content) -> u32 {
    world.view(node, content).map_or(0, |view| view.pieces.count())
}

fn whole(world: &mut World, leech: NodeId, content: &Content) {
    world.run_until(|world| world.is_finished(leech, content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(world.has_all(leech, content));
}

fn closed(world: &World, node: NodeId) -> Vec<CloseReason> {
    let reason = |notice: &Notice| if let Notice::PeerClosed { reason, .. } = notice { Some(*reason) } else { None };
    world.notices(node).iter().filter_map(reason).collect()
}

#[test]
fn a_cut_delays_a_stream_and_breaks_nothing() {
    for (way, inside) in [(Way::Both, false), (Way::In, false), (Way::Out, false), (Way::Both, true)] {
        let (mut world, seed, leech, content) = pair(|_, _, _| ());
        world.run_for(3 * SECOND);
        let side = if inside { vec![Host::Node(seed), Host::Node(leech)] } else { vec![Host::Node(leech)] };
        let cut = world.cut(side, way, inside);
        // What is on its way to a leech that only cannot be heard still comes, up to what it has asked for.
        world.run_for(5 * SECOND);
        let before = pieces(&world, leech, &content);
        world.run_for(20 * SECOND);
        assert_eq!(pieces(&world, leech, &content), before, "{way:?}");
        assert!(!world.is_finished(leech, &content), "{way:?}");
        world.mend(cut);
        whole(&mut world, leech, &content);
        let broken = |why: &&CloseReason| **why != CloseReason::BothSeeds;
        assert_eq!(closed(&world, leech).iter().find(broken), None, "{way:?}");
    }
}

#[test]
fn what_is_sent_during_a_cut_is_read_behind_what_it_held_up() {
    let (mut world, seed, leech, content) = pair(|world, _, _| {
        world.set_faults(Faults { jitter: 300 * MILLISECOND, ..Faults::default() });
    });
    world.run_for(2 * SECOND);
    // Each is over before that arrives which is sent while it lasts.
    for _ in 0..10 {
        let cut = world.cut([Host::Node(leech)], Way::Both, false);
        world.run_for(100 * MILLISECOND);
        world.mend(cut);
        world.run_for(500 * MILLISECOND);
    }
    whole(&mut world, leech, &content);
    let (mut sent, mut read) = (Vec::new(), Vec::new());
    for action in world.log(seed).iter().flat_map(|entry| &entry.actions) {
        if let Action::Send { bytes, .. } | Action::SendContent { bytes, .. } = action {
            sent.extend_from_slice(bytes);
        }
    }
    for entry in world.log(leech) {
        if let Event::Received { bytes, .. } = &entry.event {
            read.extend_from_slice(bytes);
        }
    }
    assert!(read.len() > content.bytes.len());
    assert!(sent.starts_with(&read), "other bytes, or in another order");
}

#[test]
fn a_cut_that_lasts_is_a_silence_that_ends_the_connection() {
    let (mut world, _, leech, _) = pair(|_, _, _| ());
    world.run_for(3 * SECOND);
    world.cut([Host::Node(leech)], Way::Both, false);
    world.run_for(300 * SECOND);
    assert!(closed(&world, leech).contains(&CloseReason::Idle), "{:?}", closed(&world, leech));
}

#[test]
fn nobody_dials_through_a_translator_and_what_it_forgets_is_reset_inside() {
    let content = content();
    for refuses in [true, false] {
        let nat = Nat { forgets: 20 * SECOND, refuses };
        let (mut world, seed, leech, _) = pair(|world, seed, _| world.set_nat(seed, Some(nat)));
        world.run_for(60 * SECOND);
        assert_eq!(pieces(&world, leech, &content), 0);
        let fault = if refuses { IoFault::Refused } else { IoFault::TimedOut };
        let fails = |event: &Event| matches!(event, Event::DialFailed { fault: why, .. } if *why == fault);
        assert!(world.log(leech).iter().any(|entry| fails(&entry.event)));
        // From inside it goes.
        let torrent = world.session(seed).torrents().next().expect("it seeds");
        let peers = vec![parcacik_core::border::Target::Addr(world.address(leech))];
        world.command(seed, parcacik_core::border::Command::AddPeers { torrent, peers });
        whole(&mut world, leech, &content);
    }
}

#[test]
fn a_stream_that_falls_silent_is_noticed_by_its_silence_alone() {
    let faults = Faults { silence: 1_000_000, ..Faults::default() };
    let (mut world, _, leech, content) = pair(|world, _, _| world.set_faults(faults));
    world.run_for(60 * SECOND);
    assert!(closed(&world, leech).is_empty(), "nobody has said anything");
    world.set_faults(Faults::default());
    whole(&mut world, leech, &content);
    assert!(closed(&world, leech).iter().any(|why| matches!(why, CloseReason::Idle | CloseReason::HandshakeTimeout)));
}

#[test]
fn a_stream_is_reset_at_any_byte_and_the_download_goes_on() {
    let faults = Faults { reset: 1_000_000, ..Faults::default() };
    let (mut world, _, leech, content) = pair(|world, _, _| world.set_faults(faults));
    world.run_for(120 * SECOND);
    let is_reset = |event: &Event| matches!(event, Event::Closed { fault: Some(IoFault::Reset), .. });
    assert!(world.log(leech).iter().any(|entry| is_reset(&entry.event)));
    world.set_faults(Faults::default());
    whole(&mut world, leech, &content);
}

#[test]
fn a_computer_that_vanishes_says_nothing_and_one_that_crashes_does() {
    for vanishes in [true, false] {
        let (mut world, seed, leech, _) = pair(|_, _, _| ());
        world.run_for(3 * SECOND);
        if vanishes {
            world.vanish(seed)
        } else {
            world.crash(seed)
        }
        world.run_for(5 * SECOND);
        assert_eq!(closed(&world, leech).is_empty(), vanishes);
    }
}

#[test]
fn a_crash_comes_at_the_action_that_was_named() {
    let mut counts = Vec::new();
    for actions in [0, 1, 5, 40] {
        let (mut world, _, leech, content) = pair(|world, _, leech| world.crash_in(leech, actions));
        world.run_for(10 * SECOND);
        assert!(!world.is_alive(leech));
        let done: u64 = world.log(leech).iter().map(|entry| entry.actions.len() as u64).sum();
        assert!(done > actions, "the last call ordered more than was done");
        counts.push(done);
        world.restart(leech);
        let at = world.address(NodeId(0));
        world.download(leech, &content, &[at]);
        whole(&mut world, leech, &content);
    }
    assert!(counts.is_sorted(), "{counts:?}");
}

#[test]
fn a_suspended_session_hears_everything_when_it_wakes() {
    for counted in [true, false] {
        let (mut world, _, leech, content) = pair(|_, _, _| ());
        world.run_for(2 * SECOND);
        let (calls, clock) = (world.log(leech).len(), world.clock(leech));
        world.suspend(leech);
        world.run_for(30 * SECOND);
        assert_eq!(world.log(leech).len(), calls);
        world.wake(leech, counted);
        let went = world.clock(leech).since(clock);
        assert_eq!(went, if counted { 30 * SECOND } else { Duration::ZERO });
        whole(&mut world, leech, &content);
        // It was never told a time that its clock did not show, and no timer ran out too early.
        let times: Vec<Time> = world.log(leech).iter().map(|entry| entry.now).collect();
        assert!(times.is_sorted());
    }
}

#[test]
fn clocks_tick_coarsely_and_timers_fire_late_and_never_early() {
    let grain = Duration::from_millis(100);
    let (mut world, _, leech, content) = pair(|world, _, leech| world.set_clock(leech, grain, 2 * SECOND));
    whole(&mut world, leech, &content);
    assert!(world.log(leech).iter().all(|entry| entry.now.as_micros().is_multiple_of(100_000)));
    assert!(world.log(leech).iter().filter(|entry| entry.event == Event::Tick).count() > 0);
}

#[test]
fn a_download_line_bounds_what_comes() {
    let line = Line { upload: 40_000, download: 10_000, latency: Duration::from_millis(50) };
    let (mut world, _, leech, content) = pair(|world, _, leech| world.set_line(leech, line));
    whole(&mut world, leech, &content);
    let took = world.now().since(Time::ZERO);
    assert!(took >= 40 * SECOND && took < 60 * SECOND, "{took:?}");
}

#[test]
fn a_small_window_holds_up_who_does_not_read() {
    let content = content();
    let mut world = World::with(2, Limits { window: 16_384, ..Limits::default() }, Config::default());
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    let at = world.address(seed);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_millis(30));
    world.suspend(leech);
    world.run_for(20 * SECOND);
    let sent = world.traffic().sent_by(seed);
    world.run_for(10 * SECOND);
    assert_eq!(world.traffic().sent_by(seed), sent, "it waits");
    world.wake(leech, true);
    whole(&mut world, leech, &content);
}

#[test]
fn every_fault_of_streams_at_once_changes_no_byte() {
    let faults = Faults {
        jitter: Duration::from_millis(50),
        loss: 50_000,
        short_writes: 100,
        lazy_reads: Duration::from_millis(100),
        disk_jitter: Duration::from_millis(100),
        ..Faults::default()
    };
    let (mut world, _, leech, content) = pair(|world, _, _| world.set_faults(faults));
    whole(&mut world, leech, &content);
    // Writes are taken a little at first.
    let small = |event: &Event| matches!(event, Event::Flushed { bytes: ..=100, .. });
    assert!(world.log(NodeId(0)).iter().any(|entry| small(&entry.event)));
}

#[test]
fn datagrams_are_lost_doubled_and_damaged_and_the_announce_comes_through() {
    let tracker = "udp://45.10.0.1:6969/announce";
    let content = Content::with_files("udp.bin", &[("udp.bin", 100_000)], 16_384, 6, &[tracker]);
    let mut world = World::new(3);
    let faults = Faults { loss: 200_000, duplicate: 300_000, reorder: 300_000, corrupt: 100_000, ..Faults::default() };
    world.set_faults(faults);
    let (seed, leech) = (world.add_node(), world.add_node());
    world.seed(seed, &content, &[]);
    world.download(leech, &content, &[]);
    whole(&mut world, leech, &content);
}

#[test]
fn an_address_that_changes_takes_its_streams_and_is_dialled_anew() {
    let (mut world, seed, leech, content) = pair(|_, _, _| ());
    world.run_for(3 * SECOND);
    let before = world.address(leech);
    world.change_address(leech);
    assert_ne!(world.address(leech), before);
    assert!(world.log(leech).iter().any(|entry| entry.event == Event::InterfacesChanged));
    whole(&mut world, leech, &content);
    assert!(world.traffic().between(seed, leech) >= 400_000);
}
