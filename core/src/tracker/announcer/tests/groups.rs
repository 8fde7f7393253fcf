//! Announcing to all tiers or trackers, UDP first, private torrents.

use super::*;

/// A world in which many may be asked at once.
fn world(tiers: &[&[&str]], set: impl FnOnce(&mut AnnounceConfig)) -> World {
    let mut world = World::new(tiers);
    world.config.announce.max_asks = 8;
    set(&mut world.config.announce);
    world
}

fn ports(world: &World) -> Vec<u16> {
    let mut ports: Vec<u16> = world.http.iter().map(|(_, request)| request.port).collect();
    ports.sort();
    ports
}

fn event_of(world: &World, port: u16) -> Option<AnnounceEvent> {
    let (_, request) = world.http.iter().find(|(_, request)| request.port == port).expect("it is asked");
    parse(request).request.event
}

/// Brings the request to `port` to the front, so that it is answered next.
fn next_is(world: &mut World, port: u16) {
    let place = world.http.iter().position(|(_, request)| request.port == port).expect("it is asked");
    world.http.swap(0, place);
}

#[test]
fn one_of_each_tier() {
    let mut world = world(&[&[ONE, TWO], &[THREE], &[FOUR]], |config| config.all_tiers = true);
    let first = world.order()[0];
    world.start();
    assert_eq!(ports(&world), [first, 3, 4]);
    next_is(&mut world, first);
    world.refused();
    let second = 3 - first;
    assert_eq!(ports(&world), [second, 3, 4], "the next of its own tier");
    while !world.http.is_empty() {
        world.good();
    }
    assert_eq!(world.said.len(), 4);
    // `completed` is told once in each tier, to the one that knows us.
    world.now = world.now + Duration::from_secs(1);
    world.completed();
    assert_eq!(ports(&world), [second, 3, 4]);
    assert!([second, 3, 4].iter().all(|port| event_of(&world, *port) == Some(AnnounceEvent::Completed)));
    while !world.http.is_empty() {
        world.good();
    }
    // All that know us are told at once, so that a silent one does not take the others' time.
    world.stop();
    assert_eq!(ports(&world), [second, 3, 4]);
    while !world.http.is_empty() {
        world.good();
    }
    assert!(world.announcer.is_stopped());
}

#[test]
fn every_tracker_with_an_interval_of_its_own() {
    let mut world = world(&[&[ONE, TWO], &[THREE]], |config| config.all_trackers = true);
    world.start();
    assert_eq!(ports(&world), [1, 2, 3]);
    for (port, interval) in [(1, 900), (2, 600)] {
        next_is(&mut world, port);
        world.answer(200, format!("d8:intervali{interval}e5:peers0:e").as_bytes(), None);
    }
    next_is(&mut world, 3);
    world.answer(200, &encode_failure("", Some(RetryIn::Minutes(5))), None);
    let mut due = vec![];
    for _ in 0..3 {
        world.sleep();
        let [port] = ports(&world)[..] else { panic!("{:?}", ports(&world)) };
        due.push((port, world.now.since(Time::from_secs(1000)).as_secs()));
        world.good();
    }
    assert_eq!(due, [(3, 300), (2, 600), (1, 900)]);
}

#[test]
fn no_more_are_asked_at_once_than_may_be() {
    let mut world = world(&[&[ONE, TWO, THREE, FOUR]], |config| {
        config.all_trackers = true;
        config.max_asks = 2;
    });
    world.start();
    let mut asked = vec![];
    while !world.http.is_empty() {
        assert!(world.http.len() <= 2);
        asked.push(world.http[0].1.port);
        world.good();
    }
    asked.sort();
    assert_eq!(asked, [1, 2, 3, 4], "and the others have their turn");
}

#[test]
fn a_silent_tracker_does_not_take_the_others_time_when_stopping() {
    let mut world = world(&[&[ONE], &[TWO]], |_| {});
    world.start();
    world.good();
    world.sleep();
    world.refused();
    world.good();
    world.stop();
    assert_eq!(ports(&world), [1, 2]);
    next_is(&mut world, 2);
    world.good();
    world.sleep();
    assert!(world.announcer.is_stopped());
}

#[test]
fn udp_takes_the_place_of_http_of_the_same_host() {
    let tiers: &[&[&str]] =
        &[&["http://t.example:1/announce"], &["udp://u.example:2"], &["udp://t.example:3", "http://u.example:4/a"]];
    let by_default = world(tiers, |_| {});
    let mut on = by_default;
    on.start();
    let order = |world: &World| -> Vec<(usize, String)> {
        world.announcer.status().map(|status| (status.tier, status.url.to_string())).collect()
    };
    let order_on = order(&on);
    assert_eq!(order_on[0], (0, "udp://t.example:3".to_string()));
    assert_eq!(order_on[1], (1, "udp://u.example:2".to_string()));
    assert!(
        order_on[2..].contains(&(2, "http://t.example:1/announce".to_string())),
        "they change places: {order_on:?}"
    );
    let mut off = world(tiers, |config| config.prefer_udp = false);
    off.start();
    assert_eq!(order(&off)[0], (0, "http://t.example:1/announce".to_string()));
}

/// Seen with a driver of threads: `stopped` reached the tracker before a `completed` that was under way and cancelled, and we
/// stayed listed.
#[test]
fn stopped_does_not_overtake_what_is_under_way() {
    for answered in [true, false] {
        let mut world = world(&[&[ONE]], |_| {});
        world.start();
        world.good();
        world.now = world.now + Duration::from_secs(1);
        world.completed();
        world.stop();
        assert!(world.cancelled.is_empty());
        assert_eq!((ports(&world), event_of(&world, 1)), (vec![1], Some(AnnounceEvent::Completed)));
        if answered {
            world.good();
        } else {
            // It is not waited for long: half of the time is kept for the `stopped`.
            world.sleep();
            assert_eq!(world.now, Time::from_secs(1001) + world.config.announce.stop_timeout / 2);
        }
        assert_eq!(event_of(&world, 1), Some(AnnounceEvent::Stopped));
        world.good();
        assert!(world.announcer.is_stopped());
    }
}

/// BEP 27: one tracker at a time, and the peers of the old one go.
#[test]
fn a_private_torrent_keeps_to_one_tracker_and_says_when_it_is_another() {
    let mut world = world(&[&[ONE], &[TWO]], |config| config.all_trackers = true);
    world.facts.private = true;
    world.start();
    assert_eq!(ports(&world), [1], "announcing to all is for others");
    world.good();
    world.sleep();
    world.good();
    assert!(!world.said.iter().any(|said| matches!(said, TrackerSaid::Switched { .. })), "it is still the same");
    world.sleep();
    world.refused();
    world.good();
    let [.., TrackerSaid::Switched { from, to }, TrackerSaid::Answered { url, .. }] = &world.said[..] else {
        panic!("{:?}", world.said)
    };
    assert_eq!((from.as_str(), to.as_str(), url.as_str()), (ONE, TWO, TWO));
    // It stays there, though the first tier is up again, until that one fails.
    world.sleep();
    assert_eq!(ports(&world), [2]);
    world.refused();
    assert_eq!(ports(&world), [1]);
}

#[test]
fn a_public_torrent_says_nothing_of_that() {
    let mut world = world(&[&[ONE], &[TWO]], |_| {});
    world.start();
    world.good();
    world.sleep();
    world.refused();
    world.good();
    assert!(!world.said.iter().any(|said| matches!(said, TrackerSaid::Switched { .. })));
}

#[test]
fn schemes_that_are_switched_off_are_not_asked() {
    let mut world = world(&[&[ONE], &["udp://1.1.1.9:9"]], |_| {});
    world.config.net.allow_http = false;
    world.start();
    assert!(world.http.is_empty());
    assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::Scheme));
    assert_eq!(world.datagrams.len(), 1);
}

proptest! {
    /// Whatever the trackers answer and in whatever order, with all of them asked at once: no more than allowed are asked, none
    /// twice at the same time, stopping ends, and (checked after each call) no deadline lies in the past.
    #[test]
    fn laws_of_many_at_once(
        ops in proptest::collection::vec((0u8..8, any::<u8>()), 1..80), max_asks in 1u32..5, all_tiers: bool,
    ) {
        let mut world = world(&[&[ONE, TWO], &[THREE], &[FOUR, "http://d.example:5/announce"]], |config| {
            config.max_asks = max_asks;
            (config.all_tiers, config.all_trackers) = (all_tiers, !all_tiers);
        });
        for (op, which) in ops.into_iter().chain([(5, 0)]) {
            match op {
                0 | 1 => world.start(),
                2 => world.completed(),
                3 => world.call(&mut |a, cx, facts| a.need_peers(cx, facts)),
                5 => world.stop(),
                6 => if world.announcer.deadline().is_some() { world.sleep() },
                4 if !world.lookups.is_empty() => {
                    let (job, _) = world.lookups.remove(0);
                    let addrs = ["2a00::1", "8.8.8.8"].map(|ip| ip.parse().unwrap()).to_vec();
                    world.job(job, Ok(JobResult::Resolved(addrs)));
                }
                _ if world.http.is_empty() => {}
                _ => {
                    let place = usize::from(which) % world.http.len();
                    world.http.swap(0, place);
                    match which % 3 {
                        0 => world.refused(),
                        1 => world.answer(200, &encode_failure("", Some(RetryIn::Minutes(1))), None),
                        _ => world.good(),
                    }
                }
            }
            let mut asked: Vec<SocketAddr> = world.http.iter().map(|(_, request)| request.to).collect();
            // Two lanes of one tracker are one, and what goes on behind an answer does not count.
            let trackers = world.announcer.asks.iter().filter(|ask| !ask.answered).count();
            prop_assert!(trackers <= max_asks as usize);
            asked.sort();
            let before = asked.len();
            asked.dedup();
            prop_assert_eq!(asked.len(), before, "asked twice at the same time");
        }
        // With nobody answering any more.
        let stopped_by = world.now + world.config.announce.stop_timeout;
        while !world.announcer.is_stopped() {
            world.sleep();
            prop_assert!(world.now <= stopped_by);
        }
        prop_assert_eq!(world.announcer.deadline(), None);
    }
}
