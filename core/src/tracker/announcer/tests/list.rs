//! Lists that change, announces that wait for their turn, and announces that the user wants.

use super::*;
use std::collections::BTreeSet;

const FIVE: &str = "udp://1.1.1.5:5/announce";

fn tiers(tiers: &[&[&str]]) -> Vec<Vec<String>> {
    tiers.iter().map(|tier| tier.iter().map(ToString::to_string).collect()).collect()
}

impl World {
    fn replace(&mut self, to: &[&[&str]]) -> Vec<(String, UrlError)> {
        let mut refused = vec![];
        self.call(&mut |a, cx, facts| refused = a.replace(cx, facts, tiers(to), &[]));
        refused
    }

    fn add(&mut self, more: &[&[&str]]) -> Vec<(String, UrlError)> {
        let mut refused = vec![];
        self.call(&mut |a, cx, facts| refused = a.add(cx, facts, tiers(more), &[]));
        refused
    }

    fn reannounce(&mut self, force: bool) {
        self.call(&mut |a, cx, facts| a.reannounce(cx, facts, force));
    }

    fn take_turn(&mut self) {
        self.call(&mut |a, cx, facts| a.take_turn(cx, facts));
    }

    /// The port that is asked, and the event; one only.
    fn event(&self) -> (u16, Option<AnnounceEvent>) {
        let (port, announce) = self.asked();
        (port, announce.request.event)
    }
}

#[test]
fn trackers_replaced_in_between_get_started_and_stopped_and_one_completed() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.good();
    // The old one learns that we are gone, the new one that we are there.
    assert_eq!(world.replace(&[&[TWO]]), []);
    assert_eq!(world.event(), (1, Some(AnnounceEvent::Stopped)));
    world.good();
    assert_eq!(world.event(), (2, Some(AnnounceEvent::Started)));
    world.good();
    assert_eq!(world.order(), [2]);
    let heard =
        world.said.iter().filter(|said| matches!(said, TrackerSaid::Answered { url, .. } if url == ONE)).count();
    assert_eq!(heard, 1, "what the old one says to `stopped` is nobody's");
    world.completed();
    assert_eq!(world.event(), (2, Some(AnnounceEvent::Completed)));
    world.good();
    // `completed` has been told: a further tracker meets a seed.
    world.replace(&[&[THREE]]);
    assert_eq!(world.event(), (2, Some(AnnounceEvent::Stopped)));
    world.good();
    let (_, started) = world.asked();
    assert_eq!((started.request.event, started.request.ledger.left), (Some(AnnounceEvent::Started), 0));
    world.good();
    assert!(world.http.is_empty());
    world.stop();
    assert_eq!(world.event(), (3, Some(AnnounceEvent::Stopped)));
    world.good();
    assert!(world.announcer.is_stopped());
}

#[test]
fn a_tracker_in_both_lists_is_the_same_as_before() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.answer(200, b"d8:completei7e10:tracker id2:ab12:min intervali600e5:peers0:e", None);
    let before: Vec<TrackerStatus> = world.announcer.status().collect();
    world.now = world.now + Duration::from_secs(10);
    world.replace(&[&[TWO], &[ONE, ONE]]);
    // A new first tier has its turn; the other one is neither told `stopped` nor `started`.
    assert_eq!(world.event(), (2, Some(AnnounceEvent::Started)));
    world.refused();
    assert!(world.http.is_empty(), "its min interval is still kept");
    let after: Vec<TrackerStatus> = world.announcer.status().collect();
    assert_eq!((after.len(), after[1].tier, after[1].complete), (2, 1, before[0].complete));
    world.sleep();
    while world.http.is_empty() {
        world.sleep();
    }
    if world.asked().0 == 2 {
        world.refused();
    }
    assert_eq!(world.event(), (1, None));
    assert_eq!(world.asked().1.request.tracker_id.as_deref(), Some(&b"ab"[..]));
}

#[test]
fn more_trackers_go_behind_and_are_asked_when_none_works() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.good();
    let refused = world.add(&[&[TWO, ONE], &["ftp://x/"], &[THREE]]);
    assert_eq!(refused, [("ftp://x/".into(), UrlError::Scheme)]);
    assert_eq!(world.order(), [1, 2, 3]);
    assert!(world.http.is_empty(), "there is one that works");
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.refused();
    world.add(&[&[TWO]]);
    assert_eq!(world.event(), (2, Some(AnnounceEvent::Started)));
}

#[test]
fn a_request_under_way_to_a_tracker_that_goes_is_made_good() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.replace(&[&[TWO]]);
    // It may be reading already: its answer decides whether it has to be told `stopped`.
    assert_eq!(world.http.len(), 1);
    world.good();
    assert_eq!(world.event(), (1, Some(AnnounceEvent::Stopped)));
    world.good();
    assert_eq!(world.event(), (2, Some(AnnounceEvent::Started)));
    assert!(world.said.is_empty(), "nothing that it says counts: {:?}", world.said);
    // One that fails was never told anything.
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.replace(&[]);
    world.refused();
    assert!(world.http.is_empty() && world.said.is_empty());
    assert_eq!((world.announcer.deadline(), world.order()), (None, vec![]));
}

#[test]
fn a_private_torrent_whose_tracker_is_replaced_has_switched() {
    let mut world = World::new(&[&[ONE]]);
    world.facts.private = true;
    world.start();
    world.good();
    world.replace(&[&[TWO]]);
    world.good();
    world.good();
    let [_, TrackerSaid::Switched { from, to }, TrackerSaid::Answered { .. }] = &world.said[..] else {
        panic!("{:?}", world.said)
    };
    assert_eq!((from.as_str(), to.as_str()), (ONE, TWO));
    assert_eq!(world.announcer.in_use().map(ToString::to_string).as_deref(), Some(TWO));
}

#[test]
fn lists_that_change_for_ever_take_no_memory() {
    let mut world = World::new(&[&[ONE]]);
    world.config.announce.all_trackers = true;
    world.config.announce.max_asks = 4;
    world.start();
    for at in 0..300 {
        let url = format!("http://9.9.9.9:{}/announce", 1000 + at);
        world.replace(&[&[&url]]);
        while !world.http.is_empty() {
            world.good();
        }
    }
    assert!(world.announcer.trackers.len() <= 3, "{}", world.announcer.trackers.len());
    assert_eq!(world.announcer.groups.len(), world.announcer.trackers.len());
}

#[test]
fn announcing_to_all_goes_on_with_other_trackers() {
    let mut world = World::new(&[&[ONE, TWO], &[THREE]]);
    world.config.announce.all_trackers = true;
    world.config.announce.max_asks = 8;
    world.start();
    while !world.http.is_empty() {
        world.good();
    }
    world.completed();
    while !world.http.is_empty() {
        world.good();
    }
    world.replace(&[&[THREE], &[FOUR]]);
    let mut told = BTreeSet::new();
    while let Some((_, request)) = world.http.first() {
        told.insert((request.port, parse(request).request.event));
        world.good();
    }
    let stopped = Some(AnnounceEvent::Stopped);
    assert_eq!(told, BTreeSet::from([(1, stopped), (2, stopped), (4, Some(AnnounceEvent::Started))]));
}

#[test]
fn the_user_does_not_wait_for_an_interval_and_by_force_for_nothing() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.answer(200, b"d8:intervali1800e12:min intervali600e5:peers0:e", None);
    world.now = world.now + Duration::from_secs(100);
    world.reannounce(false);
    assert!(world.http.is_empty(), "the min interval is kept");
    assert_eq!(world.wait(), Duration::from_secs(500));
    world.reannounce(true);
    assert_eq!(world.event(), (1, None));
    world.refused();
    assert!(world.http.is_empty());
    world.reannounce(false);
    assert!(world.http.is_empty(), "and so is the delay after a failure");
    world.reannounce(true);
    assert_eq!(world.event(), (1, None));
    world.answer(200, &encode_failure("", Some(RetryIn::Never)), None);
    world.reannounce(true);
    assert!(world.http.is_empty(), "never is never");
}

#[test]
fn where_there_are_limits_each_announce_waits_for_its_turn() {
    let mut world = World::new(&[&[ONE], &[TWO], &[FIVE]]);
    world.facts.gated = true;
    world.config.announce.all_trackers = true;
    world.config.announce.max_asks = 8;
    world.start();
    assert!(world.http.is_empty());
    assert_eq!(world.announcer.wants_turn(), Some(Turn { http: true, urgent: true }));
    assert_eq!(world.announcer.deadline(), None, "time does not bring the turn");
    world.take_turn();
    assert_eq!((world.http.len(), world.announcer.http_asks()), (1, 1), "one turn, one announce");
    world.take_turn();
    assert_eq!(world.announcer.wants_turn(), Some(Turn { http: false, urgent: true }));
    world.take_turn();
    assert_eq!((world.http.len(), world.datagrams.len(), world.announcer.http_asks()), (2, 1, 2));
    assert_eq!(world.announcer.wants_turn(), None);
    world.good();
    world.good();
    assert_eq!(world.announcer.http_asks(), 0);
    // A regular announce is not urgent, one that the user wants is.
    while world.announcer.wants_turn().is_none_or(|turn| turn.urgent) {
        world.sleep();
    }
    assert_eq!(world.announcer.wants_turn(), Some(Turn { http: true, urgent: false }));
    world.reannounce(true);
    assert_eq!(world.announcer.wants_turn(), Some(Turn { http: true, urgent: true }));
    world.stop();
    assert_eq!(world.announcer.wants_turn(), Some(Turn { http: true, urgent: true }));
    world.take_turn();
    assert_eq!(parse(&world.http[0].1).request.event, Some(AnnounceEvent::Stopped));
    world.sleep();
    assert!(world.announcer.is_stopped(), "without a turn the others are told nothing, and it ends in time");
    assert_eq!(world.announcer.wants_turn(), None);
}

/// BEP 7 discourages `&ipv4=` and `&ipv6=`; private trackers know their users, and are told the family that they do not see.
#[test]
fn our_own_addresses_go_to_private_trackers_only_and_the_client_is_hidden_from_public_ones() {
    for (private, hide) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::new(&[&[ONE]]);
        world.facts.private = private;
        world.facts.own = [Some("44.0.0.1".parse().unwrap()), Some("2a00::7".parse().unwrap())];
        world.config.announce.hide_client = hide;
        world.start();
        let (_, request) = &world.http[0];
        assert_eq!(request.user_agent.is_some(), private || !hide);
        let own: Vec<String> = parse(request).request.own_ips.iter().map(ToString::to_string).collect();
        let expected = if private && !hide { vec!["2a00::7".to_string()] } else { vec![] };
        assert_eq!(own, expected, "private {private}, hide {hide}");
        assert!(!request.path.contains("ipv4="), "it sees that one itself");
    }
}

proptest! {
    /// Whatever list comes when, and whatever trackers answer: `completed` is answered once at most, `stopped` goes only to who
    /// may have heard `started`, and in the end everybody who answered a `started` has been told `stopped` (all answer then).
    #[test]
    fn laws_of_changing_lists(ops in proptest::collection::vec((0u8..8, any::<u8>()), 1..60), all: bool, gated: bool) {
        let urls = [ONE, TWO, THREE, FOUR];
        let mut world = World::new(&[&[ONE], &[TWO]]);
        world.config.announce.all_trackers = all;
        world.config.announce.max_asks = 8;
        world.facts.gated = gated;
        world.start();
        let mut knows: BTreeSet<u16> = BTreeSet::new();
        let mut heard: BTreeSet<u16> = BTreeSet::new();
        let mut completed = 0;
        let drain = ops.len();
        for (turn, (op, which)) in ops.into_iter().chain([(7, 0); 1]).chain([(5, 2); 40]).enumerate() {
            while world.announcer.wants_turn().is_some() {
                world.take_turn();
            }
            for (_, request) in &world.http {
                match parse(request).request.event {
                    Some(AnnounceEvent::Stopped) => prop_assert!(heard.contains(&request.port)),
                    _ => _ = heard.insert(request.port),
                }
            }
            match op {
                0 => {
                    let picked: Vec<&str> =
                        urls.iter().enumerate().filter(|(at, _)| which >> at & 1 == 1).map(|(_, url)| *url).collect();
                    if which & 16 == 0 { world.replace(&[&picked]) } else { world.add(&[&picked]) };
                }
                1 => world.completed(),
                2 => world.reannounce(which % 2 == 0),
                3 => if turn < drain && world.announcer.deadline().is_some() {
                    let before: Vec<(u16, bool)> = world.http.iter().map(told_stopped).collect();
                    world.sleep();
                    // Who had no time to answer `stopped` has been told all the same.
                    let left: Vec<(u16, bool)> = world.http.iter().map(told_stopped).collect();
                    for (port, _) in before.into_iter().filter(|asked| asked.1 && !left.contains(asked)) {
                        knows.remove(&port);
                    }
                },
                7 => world.stop(),
                _ if world.http.is_empty() => {}
                _ => {
                    let place = usize::from(which) % world.http.len();
                    world.http.swap(0, place);
                    let (_, request) = &world.http[0];
                    let (port, event) = (request.port, parse(request).request.event);
                    if which % 3 == 0 && turn < drain {
                        world.refused();
                        if event == Some(AnnounceEvent::Stopped) { knows.remove(&port); }
                    } else {
                        world.good();
                        completed += usize::from(event == Some(AnnounceEvent::Completed));
                        if event == Some(AnnounceEvent::Stopped) { knows.remove(&port); } else { knows.insert(port); }
                    }
                }
            }
            prop_assert!(completed <= 1 || all);
            // A stopped announcer that is started again by nobody; lists may still change.
            if world.announcer.is_stopped() { break }
        }
        prop_assert!(world.announcer.is_stopped());
        prop_assert_eq!(knows, BTreeSet::new());
    }
}

fn told_stopped((_, request): &(JobId, HttpRequest)) -> (u16, bool) {
    (request.port, parse(request).request.event == Some(AnnounceEvent::Stopped))
}

/// Where announces wait for turns, a torrent that stops as soon as it is whole has not begun to tell of it.
#[test]
fn a_completion_that_waits_for_its_turn_is_told_before_stopped() {
    let mut world = World::new(&[&[ONE]]);
    world.facts.gated = true;
    world.start();
    world.take_turn();
    world.good();
    world.completed();
    world.stop();
    assert!(world.http.is_empty() && !world.announcer.is_stopped(), "both wait for their turns");
    world.take_turn();
    assert_eq!(world.event(), (1, Some(AnnounceEvent::Completed)));
    world.good();
    world.take_turn();
    assert_eq!(world.event(), (1, Some(AnnounceEvent::Stopped)));
    world.good();
    assert!(world.announcer.is_stopped());
}

/// A small download may be whole before its first announce has been answered.
#[test]
fn a_completion_before_the_first_answer_is_told_too() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.completed();
    world.stop();
    assert_eq!(world.event(), (1, Some(AnnounceEvent::Started)));
    world.good();
    assert_eq!(world.event(), (1, Some(AnnounceEvent::Completed)));
    // Without an answer to it there is still time for the other.
    world.sleep();
    assert_eq!(world.event(), (1, Some(AnnounceEvent::Stopped)));
    world.good();
    assert!(world.announcer.is_stopped());
}
