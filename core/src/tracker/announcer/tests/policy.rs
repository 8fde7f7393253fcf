//! Where a tracker's URL, its name and its redirects may lead.

use super::*;

const PUBLIC: &str = "http://tracker.org:8/announce";

fn resolve(world: &mut World, addrs: &[&str]) {
    let (job, _) = world.lookups.remove(0);
    let addrs = addrs.iter().map(|addr| addr.parse().unwrap()).collect();
    assert!(world.job(job, Ok(JobResult::Resolved(addrs))));
}

fn block(world: &mut World, ip: &str) {
    let ip = ip.parse().unwrap();
    assert!(world.filter.block(ip, ip));
}

/// Whoever owns a public name could make it lead into our own network (and somewhere else when the name is looked at first).
#[test]
fn a_public_name_does_not_lead_into_a_private_network() {
    for inside in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:192.168.1.1", "169.254.169.254"] {
        let mut world = World::new(&[&[PUBLIC]]);
        world.start();
        resolve(&mut world, &[inside]);
        assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::FromGlobalToLocal), "{inside}");
        assert!(world.http.is_empty());
    }
    // Only those of its addresses are left out.
    let mut world = World::new(&[&[PUBLIC]]);
    world.start();
    resolve(&mut world, &["10.0.0.1", "1.2.3.4", "127.0.0.1"]);
    assert_eq!(world.http[0].1.to, "1.2.3.4:8".parse().unwrap());
    world.refused();
    assert_eq!(world.last_error(), &TrackerError::Io(IoFault::Refused), "none is left to be tried");
}

#[test]
fn a_name_or_an_address_of_our_own_network_leads_there() {
    for near in ["http://tracker.lan:8/announce", "http://localhost:8/announce"] {
        let mut world = World::new(&[&[near]]);
        world.start();
        resolve(&mut world, &["127.0.0.1"]);
        assert_eq!(world.http.len(), 1, "{near}");
    }
    let mut world = World::new(&[&["http://192.168.1.1:8/announce"]]);
    world.start();
    assert_eq!(world.http.len(), 1);
    let mut world = World::new(&[&["http://192.168.1.1:8/cgi-bin/reboot"]]);
    world.start();
    assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::LocalPath));
}

/// What the user named himself leads where he wants it to, and so does everything when the switch says so.
#[test]
fn the_users_own_word_and_the_switch_lead_anywhere_but() {
    let mut world = World::new(&[&["http://tracker.org:8/admin"]]);
    world.announcer.trust(&["http://tracker.org:8/admin".into()], &NetPolicy::default());
    world.start();
    resolve(&mut world, &["127.0.0.1"]);
    assert_eq!(world.http.len(), 1);
    // Not what a stranger sends him on to.
    let mut world = World::new(&[&[PUBLIC]]);
    world.announcer.trust(&[PUBLIC.into()], &NetPolicy::default());
    world.start();
    resolve(&mut world, &["1.2.3.4"]);
    world.answer(302, b"", Some("http://127.0.0.1/announce"));
    assert_eq!(world.last_error(), &TrackerError::Redirect(RedirectError::ToPrivate));

    let mut world = World::new(&[&[PUBLIC]]);
    world.config.net.allow_local_from_global = true;
    world.start();
    resolve(&mut world, &["127.0.0.1"]);
    world.answer(302, b"", Some("http://10.0.0.1:3/announce"));
    world.answer(302, b"", Some("http://169.254.169.254/announce"));
    assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::Address), "no switch leads there");
}

#[test]
fn blocked_trackers_are_not_asked_whoever_named_them() {
    for trusted in [true, false] {
        let mut world = World::new(&[&[ONE], &[TWO]]);
        if trusted {
            world.announcer.trust(&[ONE.into(), TWO.into()], &NetPolicy::default());
        }
        block(&mut world, "1.1.1.1");
        world.start();
        assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::Filtered));
        assert_eq!(world.asked().0, 2);
        world.answer(302, b"", Some("http://1.1.1.1/announce"));
        assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::Filtered), "nor by a redirect");
    }
    let mut world = World::new(&[&[ONE]]);
    world.config.net.filter_trackers = false;
    block(&mut world, "1.1.1.1");
    world.start();
    assert_eq!(world.asked().0, 1);
}

/// A silent UDP tracker is not sent the same again once it is blocked.
#[test]
fn a_udp_tracker_that_becomes_blocked_is_left_alone() {
    let mut world = World::new(&[&["udp://9.9.9.9:6969"]]);
    world.start();
    assert_eq!(world.datagrams.len(), 1);
    block(&mut world, "9.9.9.9");
    world.sleep();
    assert_eq!(world.datagrams.len(), 1);
    assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::Filtered));
}

/// Whom a tracker names is named on the word of the open internet, where that tracker is, or was reached by way of it.
#[test]
fn an_answer_says_on_whose_word_it_stands() {
    let global = |world: &World| match world.said.last() {
        Some(TrackerSaid::Answered { from_global, .. }) => *from_global,
        other => panic!("{other:?}"),
    };
    for (url, expect) in [(ONE, true), ("http://127.0.0.1:1/announce", false), ("http://10.0.0.1:1/announce", false)] {
        let mut world = World::new(&[&[url]]);
        world.start();
        world.good();
        assert_eq!(global(&world), expect, "{url}");
    }
    let mut world = World::new(&[&[ONE]]);
    world.config.net.allow_local_from_global = true;
    world.start();
    world.answer(302, b"", Some("http://10.0.0.1:3/announce"));
    world.good();
    assert!(global(&world), "by way of the open internet");
}
