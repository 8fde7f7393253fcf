//! What trackers are told, and when.

use parcacik_core::border::{Command, Config, Notice, TorrentId};
use parcacik_core::tracker::AnnounceEvent;
use parcacik_testkit::hostile::tracker::{Asked, HostileTracker, Trick};
use parcacik_testkit::{Content, Limits, NodeId, TrackerId, World};
use std::time::Duration;

/// One that is alone and finished at once: all it does is to announce itself.
fn seed(world: &mut World, trackers: &[&str]) -> (NodeId, Content) {
    let content = Content::with_files("content", &[("content", 40_000)], 16_384, 31, trackers);
    let node = world.add_node();
    world.disk(node).put(&content.name, content.bytes.clone());
    world.add(node, &content, &[], |add| add.seed_only = true);
    (node, content)
}

/// When a tracker was announced to, in seconds, and the events.
fn announces(world: &World, tracker: TrackerId) -> Vec<(u64, Option<AnnounceEvent>)> {
    let heard = world.tracker(tracker).heard.iter();
    let announced = heard.filter_map(|heard| match heard.what {
        Asked::Http { event, .. } => Some((heard.at.as_micros() / 1_000_000, event)),
        _ => None,
    });
    announced.collect()
}

/// An hour and more with a tracker that names an interval: it is asked then, and neither before nor more often.
fn announce_interval(seconds: u64) {
    let mut world = World::new(31);
    let body = format!("d8:intervali{seconds}e5:peers0:e").into_bytes();
    let tracker = world.add_tracker(HostileTracker::new("good.example", "9.9.9.9", Trick::Body(body)));
    seed(&mut world, &["http://good.example/announce"]);
    world.run_for(Duration::from_secs(seconds * 6 + seconds / 2));
    let announced = announces(&world, tracker);
    assert_eq!(announced.len(), 7, "{announced:?}");
    for pair in announced.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert!((seconds..=seconds + seconds / 10 + 5).contains(&gap), "{gap} s between two: {announced:?}");
    }
    assert_eq!(announced[0].1, Some(AnnounceEvent::Started));
    assert!(announced[1..].iter().all(|(_, event)| event.is_none()), "{announced:?}");
}

#[test]
fn announce_interval_440() {
    announce_interval(440);
}

#[test]
fn announce_interval_1200() {
    announce_interval(1200);
}

#[test]
fn announce_interval_1800() {
    announce_interval(1800);
}

/// A tracker that never answered `started` is not told `stopped`.
#[test]
fn omit_stop_event() {
    let mut world = World::new(32);
    let tracker = world.add_tracker(HostileTracker::new("bad.example", "9.9.9.9", Trick::Status(500)));
    let (node, _) = seed(&mut world, &["http://bad.example/announce"]);
    world.run_for(Duration::from_secs(40));
    assert!(!announces(&world, tracker).is_empty());
    world.command(node, Command::Shutdown);
    world.run_for(Duration::from_secs(30));
    let events = announces(&world, tracker);
    assert!(events.iter().all(|(_, event)| *event != Some(AnnounceEvent::Stopped)), "{events:?}");
}

/// Of these trackers, in these tiers, those are announced to. A name that begins with `down` has nobody behind it; one with `six` is an
/// IPv6 address.
fn tiers(all_tiers: bool, all_trackers: bool, tiers: &[&[&str]]) -> Vec<String> {
    let mut config = Config::default();
    config.announce.all_tiers = all_tiers;
    config.announce.all_trackers = all_trackers;
    let mut world = World::with(33, Limits::default(), config);
    let mut ids = Vec::new();
    for (number, name) in tiers.iter().copied().flatten().enumerate() {
        let trick = if name.starts_with("down") { Trick::Down } else { Trick::None };
        let ip = format!("9.9.9.{}", number + 1);
        ids.push((name.to_string(), world.add_tracker(HostileTracker::new(&format!("{name}.example"), &ip, trick))));
    }
    let (node, _) = seed(&mut world, &[]);
    let urls = tiers.iter().map(|tier| tier.iter().map(|name| format!("http://{name}.example/announce")).collect());
    world.command(node, Command::AddTrackers { torrent: TorrentId(0), tiers: urls.collect() });
    world.run_for(Duration::from_secs(10));
    let mut reached: Vec<String> = ids
        .iter()
        .filter(|(name, id)| !name.starts_with("down") && world.tracker(*id).asked() > 0)
        .map(|(name, _)| name.clone())
        .collect();
    reached.sort();
    reached
}

/// BEP 12: "If it successfully connects with a tracker in the tier, it returns ... and doesn't try any further": one of the first tier.
#[test]
fn tracker_tiers() {
    let reached = tiers(false, false, &[&["a", "b"], &["c", "d"]]);
    assert!(reached == ["a"] || reached == ["b"], "{reached:?}");
}

#[test]
fn tracker_tiers_all_trackers() {
    assert_eq!(tiers(false, true, &[&["a", "b"], &["c", "d"]]), ["a", "b", "c", "d"]);
}

#[test]
fn tracker_tiers_all_tiers() {
    let reached = tiers(true, false, &[&["a", "b"], &["c", "d"]]);
    assert!(matches!(&reached[..], [first, second] if "ab".contains(first) && "cd".contains(second)), "{reached:?}");
}

#[test]
fn tracker_tiers_all_trackers_and_tiers() {
    assert_eq!(tiers(true, true, &[&["a", "b"], &["c", "d"]]), ["a", "b", "c", "d"]);
}

/// The other one of the tier first, then the next tier.
#[test]
fn tracker_tiers_unreachable_tracker() {
    assert_eq!(tiers(false, false, &[&["down1", "b"], &["c"]]), ["b"]);
    let reached = tiers(false, false, &[&["down1", "down2"], &["c", "d"]]);
    assert!(reached == ["c"] || reached == ["d"], "{reached:?}");
    assert_eq!(tiers(true, false, &[&["down1", "down2"], &["c"]]), ["c"]);
}

/// When all have failed they are all tried again, and whichever comes back is found.
#[test]
fn tracker_tiers_retry_all() {
    let mut world = World::new(34);
    let names = ["a", "b", "c"];
    let ids = names.map(|name| {
        let ip = format!("9.9.9.{}", name.as_bytes()[0]);
        world.add_tracker(HostileTracker::new(&format!("{name}.example"), &ip, Trick::Down))
    });
    let (node, _) = seed(&mut world, &[]);
    let urls = names.map(|name| vec![format!("http://{name}.example/announce")]).to_vec();
    world.command(node, Command::AddTrackers { torrent: TorrentId(0), tiers: urls });
    world.run_for(Duration::from_secs(300));
    for id in ids {
        let tries = world.tracker(id).asked();
        assert!((3..=8).contains(&tries), "{tries} tries in five minutes");
    }
    world.tracker_mut(ids[1]).trick = Trick::None;
    world.run_for(Duration::from_secs(1200));
    let answered = world
        .notices(node)
        .iter()
        .any(|notice| matches!(notice, Notice::TrackerAnswered { url, .. } if url.contains("b.example")));
    assert!(answered, "the one that is back was not found");
}

/// What a torrent from anywhere can make us ask on the machine itself: only what is an announce by its path.
fn ssrf(url: &str, ip: &str) -> (usize, usize) {
    let mut world = World::new(35);
    let inside = world.add_tracker(HostileTracker::new("inside.example", ip, Trick::None));
    let (node, _) = seed(&mut world, &[url]);
    world.run_for(Duration::from_secs(30));
    let failed = world.notices(node).iter().filter(|notice| matches!(notice, Notice::TrackerFailed { .. })).count();
    (world.tracker(inside).asked(), failed)
}

#[test]
fn ssrf_localhost() {
    let (asked, failed) = ssrf("http://inside.example/cgi-bin/reboot", "127.0.0.1");
    assert_eq!(asked, 0);
    assert!(failed > 0);
    assert!(ssrf("http://inside.example/announce", "127.0.0.1").0 > 0);
}

#[test]
fn ssrf_ipv4() {
    let (asked, failed) = ssrf("http://127.0.0.1/cgi-bin/reboot", "127.0.0.1");
    assert_eq!(asked, 0);
    assert!(failed > 0);
    assert!(ssrf("http://127.0.0.1/announce", "127.0.0.1").0 > 0);
}

#[test]
fn ssrf_ipv6() {
    let (asked, failed) = ssrf("http://[::1]/cgi-bin/reboot", "::1");
    assert_eq!(asked, 0);
    assert!(failed > 0);
}

/// An argument of ours in the tracker's own query would let a torrent write what we say.
#[test]
fn ssrf_query_string() {
    for argument in ["info_hash=x", "peer_id=x", "event=stopped", "port=1", "left=0"] {
        let (asked, _) = ssrf(&format!("http://inside.example/announce?{argument}"), "9.9.9.9");
        assert_eq!(asked, 0, "{argument}");
    }
    assert!(ssrf("http://inside.example/announce?passkey=abc", "9.9.9.9").0 > 0);
}

/// A name that only looks like another one is not asked unless that is allowed, whether a torrent or a tracker leads there.
#[test]
fn tracker_idna() {
    let (asked, failed) = ssrf("http://xn--bt1-inside.example/announce", "9.9.9.9");
    assert_eq!((asked, failed > 0), (0, true));
}

#[test]
fn tracker_idna_redirect() {
    let mut world = World::new(36);
    let to = "http://xn--inside.example/announce".to_owned();
    let first = world.add_tracker(HostileTracker::new("good.example", "9.9.9.8", Trick::Redirect(to)));
    let inside = world.add_tracker(HostileTracker::new("xn--inside.example", "9.9.9.9", Trick::None));
    seed(&mut world, &["http://good.example/announce"]);
    world.run_for(Duration::from_secs(30));
    assert!(world.tracker(first).asked() > 0);
    assert_eq!(world.tracker(inside).heard, []);
}
