//! Trackers that do wrong, line by line, and what our side did: what it told, when it asks again, whom it dialled.
//!
//! What only real sockets do has its tests beside the driver's HTTP client (`driver-smol/tests/http`):
//!
//! | line | there |
//! |---|---|
//! | TCP connects, no reply | `limits::stalled_or_dripping_heads_time_out`, `limits::a_server_that_never_accepts_times_out` |
//! | slow drip | `limits::dripping_bodies_end_with_the_whole_time` |
//! | gzip bomb | `limits::bombs_stop_at_the_limit`, `limits::bodies_have_an_end` |
//! | redirects | `answers::redirects_are_told_and_not_followed` |
//! | HTTPS, bad certificate | `tls::an_unknown_authority_is_not_trusted`, `tls::a_certificate_for_somebody_else_is_not` |
//!
//! # The expected behaviours of trackers
//!
//! By their numbers in the list of behaviours that other clients have tests for; where no place is named, the test lies in
//! `core/src/tracker/announcer/tests` (or its folder).
//!
//! | number | behaviour | test |
//! |---|---|---|
//! | 132 | started, one completed, stopped, with trackers replaced too | `events_in_order_and_the_ledger_goes_along`, `trackers_replaced_in_between_get_started_and_stopped_and_one_completed`, `laws_of_changing_lists` |
//! | 133 | no stopped without a started | `no_stopped_to_a_tracker_that_never_got_started` |
//! | 134 | interval, min interval, forced announces | `the_interval_is_kept_and_clamped`, `the_user_does_not_wait_for_an_interval_and_by_force_for_nothing` |
//! | 135 | tiers | `tiers_are_shuffled_inside_and_only_once`, `the_tracker_that_answers_moves_to_the_front_of_its_tier`, `one_of_each_tier`, `every_tracker_with_an_interval_of_its_own` |
//! | 136 | growing delays | `when_all_fail_each_has_its_growing_delay` |
//! | 137 | each family, one key | `both_families_are_announced_by_at_the_same_time_and_with_one_key`, `each_family_goes_out_by_its_own_way` |
//! | 138 | one family may fail | `a_family_that_fails_does_not_make_the_tracker_failed` |
//! | 139 | hybrids announce both hashes | not yet: a hybrid is transferred by its v1 part, and is announced by that alone |
//! | 140 | none while nobody can reach us | `core/src/session/tests/trackers.rs`: `nothing_is_announced_before_peers_can_reach_us` |
//! | 141 | each failure its own error, cleared by success | `each_failure_has_its_own_word_and_a_success_clears_it` |
//! | 142 | peers in every form | `core/src/tracker/http/tests.rs`: `odd_answers_of_the_wild` |
//! | 143 | tracker id; votes for our address | `the_tracker_id_is_repeated_and_an_old_one_kept`, `core/src/external/tests.rs` |
//! | 144 | counts of announces and scrapes | `core/src/session/tests/trackers.rs`: `scrapes_are_answered_for_each_tracker_and_kept_in_the_view` |
//! | 145 | our addresses, the client's name | `our_own_addresses_go_to_private_trackers_only_and_the_client_is_hidden_from_public_ones` |
//! | 146 | no requests into private networks | `on_loopback_only_announce_paths_are_asked`, `redirects_that_are_not_followed` |
//! | 147 | internationalised names | `core/src/tracker/url/tests.rs`: `what_is_refused` |
//! | 148 | caps on bodies | `driver-smol/tests/http/limits.rs`: `bombs_stop_at_the_limit` |
//! | 149 | the URL's own query | `core/src/tracker/http/tests.rs`: `the_request_is_percent_encoded_behind_the_urls_own_query` |
//! | 150 | UDP connection ids, foreign answers | `core/src/tracker/udp/tests.rs`: `an_id_is_used_for_sixty_seconds`, `what_is_not_the_answer_is_ignored` |
//! | 151 | retransmissions | `core/src/tracker/udp/tests.rs`: `a_lost_connect_is_sent_again_at_the_times_of_bep_15` |
//! | 152 | UDP errors; scrapes in parts | `core/src/tracker/scrape/tests.rs`: `failures`, `by_udp_74_at_once_with_one_connect` |
//! | 153 | UDP first | `udp_takes_the_place_of_http_of_the_same_host` |
//! | 154 | no storm | `core/src/session/tests/trackers.rs`: `announces_of_many_torrents_are_spread_and_fair` |

use parcacik_core::border::{CloseReason, Notice};
use parcacik_core::tracker::TrackerState;
use parcacik_testkit::hostile::tracker::{Asked, HostileTracker, Trick, body_with, compact};
use parcacik_testkit::{Content, NodeId, TrackerId, World};
use std::net::SocketAddr;
use std::time::Duration;

const HTTP: &str = "http://bad.example/announce";
const UDP: &str = "udp://bad.example:80/announce";
/// The honest tracker of the world.
const HONEST: &str = "http://45.10.0.1:6969/announce";

/// A seed at the honest tracker, and a download that has the bad one in its first tier.
struct Scene {
    world: World,
    leech: NodeId,
    bad: TrackerId,
    content: Content,
}

impl Scene {
    fn new(url: &str, trick: Trick) -> Scene {
        Scene::with(&[url, HONEST], trick)
    }

    fn with(trackers: &[&str], trick: Trick) -> Scene {
        let content = Content::with_files("doc", &[("doc", 40_000)], 16_384, 7, trackers);
        let mut world = World::new(1);
        let bad = world.add_tracker(HostileTracker::new("bad.example", "9.9.9.9", trick));
        let leech = world.add_node();
        world.download(leech, &content, &[]);
        Scene { world, leech, bad, content }
    }

    fn run(&mut self, seconds: u64) -> &mut Scene {
        self.world.run_for(Duration::from_secs(seconds));
        self
    }

    /// Why the bad tracker failed, and when it is tried again.
    fn failures(&self) -> Vec<(String, Option<Duration>)> {
        let notices = self.world.notices(self.leech).iter();
        let failed = notices.filter_map(|notice| match notice {
            Notice::TrackerFailed { url, why, retry, .. } if url.contains("bad.example") => Some((why.clone(), *retry)),
            _ => None,
        });
        failed.collect()
    }

    /// How many peers the bad tracker named, and when it is asked again, each time.
    fn answers(&self) -> Vec<(u32, Duration)> {
        let notices = self.world.notices(self.leech).iter();
        let answered = notices.filter_map(|notice| match notice {
            Notice::TrackerAnswered { url, peers, interval, .. } if url.contains("bad.example") => {
                Some((*peers, *interval))
            }
            _ => None,
        });
        answered.collect()
    }

    fn dialled(&self) -> Vec<SocketAddr> {
        self.world.counts(self.leech).dials.keys().copied().collect()
    }

    fn states(&self) -> Vec<TrackerState> {
        let session = self.world.session(self.leech);
        let torrent = session.torrents().next().and_then(|id| session.torrent(id)).expect("there is a torrent");
        torrent.trackers().map(|tracker| tracker.state).collect()
    }

    fn asked(&self) -> usize {
        self.world.tracker(self.bad).asked()
    }

    /// It failed once, for this reason, its first delay is the usual one, and the honest tracker was asked instead.
    fn passed_over(&self, reason: &str) {
        let failures = self.failures();
        let [(why, Some(retry))] = &failures[..] else { panic!("{failures:?}") };
        assert!(why.contains(reason), "{why}");
        let seconds = retry.as_secs_f64();
        assert!((17.5..=22.5).contains(&seconds), "{seconds}");
        assert_eq!(self.states(), [TrackerState::Failing, TrackerState::Working]);
        self.bounded();
    }

    /// What it said made our side do no more than a few things.
    fn bounded(&self) {
        let counts = self.world.counts(self.leech);
        assert!(counts.most_actions < 100, "{counts:?}");
        assert!(counts.events < 1_000, "{} calls", counts.events);
    }
}

#[test]
fn down() {
    Scene::new(HTTP, Trick::Down).run(10).passed_over("refused");
}

#[test]
fn its_name_leads_nowhere() {
    let mut scene = Scene::new(HTTP, Trick::NoName);
    scene.run(10).passed_over("looking up the host");
    assert_eq!(scene.asked(), 0);
}

#[test]
fn it_takes_the_request_and_says_nothing() {
    let mut scene = Scene::new(HTTP, Trick::Silent);
    scene.run(20);
    assert_eq!((scene.failures().len(), scene.asked()), (0, 1), "an HTTP exchange has 30 s");
    scene.run(12).passed_over("");
}

#[test]
fn silent_by_udp() {
    let mut scene = Scene::new(UDP, Trick::Silent);
    scene.run(14);
    assert_eq!(scene.failures().len(), 0);
    scene.run(5).passed_over("");
    assert_eq!(scene.asked(), 1, "with another tracker left one packet must do");
}

#[test]
fn it_drips() {
    Scene::new(HTTP, Trick::Drip).run(35).passed_over("");
}

#[test]
fn a_bomb() {
    Scene::new(HTTP, Trick::Bomb).run(10).passed_over("");
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let mut scene = Scene::new("https://bad.example/announce", Trick::BadCertificate);
    scene.run(10).passed_over("");
    assert_eq!(scene.asked(), 1, "it is not asked again without TLS");
}

#[test]
fn redirects_in_a_circle() {
    let mut scene = Scene::new(HTTP, Trick::Redirect(HTTP.to_owned()));
    scene.run(10).passed_over("redirect: too many");
    assert_eq!(scene.asked(), 6, "five are followed");
}

#[test]
fn redirects_to_this_machine_and_into_private_networks() {
    for to in
        ["http://127.0.0.1/announce", "http://10.0.0.1/announce", "http://[::1]/announce", "http://169.254.169.254/"]
    {
        let mut scene = Scene::new(HTTP, Trick::Redirect(to.to_owned()));
        let inside = scene.world.add_tracker(HostileTracker::new("inside", "127.0.0.1", Trick::None));
        let near = scene.world.add_tracker(HostileTracker::new("near", "10.0.0.1", Trick::None));
        scene.run(10).passed_over("redirect: from the internet into a private network");
        assert_eq!((scene.world.tracker(inside).asked(), scene.world.tracker(near).asked()), (0, 0), "{to}");
    }
}

#[test]
fn statuses() {
    for status in [400, 403, 404, 500, 502] {
        Scene::new(HTTP, Trick::Status(status)).run(10).passed_over(&format!("HTTP status {status}"));
    }
}

#[test]
fn too_busy() {
    let mut scene = Scene::new(HTTP, Trick::Busy(503, 600));
    scene.run(10);
    assert_eq!(scene.failures(), [("HTTP status 503".to_owned(), Some(Duration::from_secs(600)))]);
}

#[test]
fn gone_for_good() {
    let mut scene = Scene::with(&[HTTP], Trick::Status(410));
    scene.run(7200);
    let failures = scene.failures();
    assert!(matches!(&failures[..], [(_, None)]), "{failures:?}");
    assert_eq!((scene.asked(), scene.states()), (1, vec![TrackerState::Gone]));
}

#[test]
fn a_failure_reason_that_would_play_with_the_terminal() {
    let text = b"d14:failure reason13:\x1b[31mno\r\nway!8:retry ini10ee".to_vec();
    let mut scene = Scene::new(HTTP, Trick::Body(text));
    scene.run(10);
    assert_eq!(scene.failures(), [("the tracker refuses: [31mnoway!".to_owned(), Some(Duration::from_secs(600)))]);
}

#[test]
fn intervals_that_cannot_be() {
    let minute = Duration::from_secs(60);
    for (interval, next) in [("0", minute), ("-1", minute * 30), ("4294967295", minute * 1440)] {
        let body = format!("d8:intervali{interval}e5:peers0:e").into_bytes();
        let mut scene = Scene::with(&[HTTP], Trick::Body(body));
        scene.run(30);
        assert_eq!(scene.answers(), [(0, next)], "interval {interval}");
        assert_eq!(scene.asked(), 1);
        scene.run(3600);
        let most = 3600 / next.as_secs() + 2;
        assert!(scene.asked() as u64 <= most, "interval {interval}: asked {} times in an hour", scene.asked());
    }
    // 2^63 is no number of bencoding as we read it: the answer is none.
    let body = b"d8:intervali9223372036854775808e5:peers0:e".to_vec();
    Scene::new(HTTP, Trick::Body(body)).run(10).passed_over("the answer cannot be read");
}

#[test]
fn a_min_interval_above_the_interval() {
    let mut scene = Scene::with(&[HTTP], Trick::Body(b"d8:intervali60e12:min intervali900e5:peers0:e".to_vec()));
    scene.run(1000);
    assert_eq!(scene.answers()[0].1, Duration::from_secs(900));
    assert_eq!(scene.asked(), 2);
}

#[test]
fn an_answer_to_another_transaction() {
    let mut scene = Scene::new(UDP, Trick::WrongTransaction);
    scene.run(20).passed_over("");
    assert!(scene.answers().is_empty());
}

#[test]
fn an_answer_from_another_address() {
    let mut scene = Scene::with(&[UDP], Trick::Spoofed("9.9.9.8:80".parse().unwrap()));
    scene.run(10);
    assert_eq!(scene.answers(), [(0, Duration::from_secs(1800))], "the tracker's own answer counts");
    assert!(scene.dialled().is_empty(), "nobody whom the other one named: {:?}", scene.dialled());
}

#[test]
fn compact_peers_that_are_cut() {
    let mut peers = compact(&["8.8.8.1:6881", "8.8.8.2:6881"]);
    peers.extend_from_slice(&[8, 8, 8]);
    let mut scene = Scene::with(&[HTTP], Trick::Body(body_with(&peers)));
    scene.run(10);
    assert_eq!(scene.answers()[0].0, 2);
    assert_eq!(scene.dialled(), ["8.8.8.1:6881", "8.8.8.2:6881"].map(|peer| peer.parse().unwrap()));
}

#[test]
fn a_million_peers() {
    let many = |count: u32| -> Vec<u8> {
        (0..count).flat_map(|at| [&(0x2000_0000 + at * 77).to_be_bytes()[..], &[0x1a, 0xe1]].concat()).collect()
    };
    // Six megabytes are no answer.
    Scene::new(HTTP, Trick::Body(body_with(&many(1_000_000)))).run(10).passed_over("");
    // What fits is taken up to the limit, and dialled at a bearable rate.
    let mut scene = Scene::with(&[HTTP], Trick::Body(body_with(&many(100_000))));
    scene.run(10);
    assert_eq!(scene.answers()[0].0, 1000);
    let known = scene.world.view(scene.leech, &scene.content).expect("a view").known_peers;
    assert!(known <= 1000, "{known}");
    assert!(scene.dialled().len() <= 30 * 11, "{} dials in ten seconds", scene.dialled().len());
    assert!(scene.world.counts(scene.leech).most_actions < 100);
}

#[test]
fn our_own_address() {
    let mut scene = Scene::with(&[HTTP], Trick::None);
    let own = scene.world.address(scene.leech);
    scene.world.tracker_mut(scene.bad).trick = Trick::Body(body_with(&compact(&[&own.to_string()])));
    scene.run(4000);
    assert!(scene.world.counts(scene.leech).dials.get(&own).is_none_or(|dials| dials.len() == 1));
    let closed = scene
        .world
        .notices(scene.leech)
        .iter()
        .filter(|notice| matches!(notice, Notice::PeerClosed { reason: CloseReason::ToSelf, .. }));
    assert!(closed.count() <= 2, "both ends of one connection");
}

#[test]
fn peers_that_nobody_can_be_or_only_we_can_reach() {
    let peers =
        ["1.2.3.4:0", "224.0.0.1:6881", "255.255.255.255:6881", "0.0.0.0:6881", "127.0.0.1:6881", "10.0.0.1:6881"];
    let mut scene = Scene::with(&[HTTP], Trick::Body(body_with(&compact(&peers))));
    scene.run(120);
    assert_eq!(scene.dialled(), [], "a tracker on the internet leads nowhere inside");
    assert_eq!(scene.world.view(scene.leech, &scene.content).expect("a view").known_peers, 0);
}

#[test]
fn a_tracker_id_that_is_another_one_each_time() {
    let mut scene = Scene::with(&[HTTP], Trick::ChangingIds);
    scene.run(200);
    let repeated: Vec<Option<Vec<u8>>> = scene
        .world
        .tracker(scene.bad)
        .heard
        .iter()
        .filter_map(|heard| match &heard.what {
            Asked::Http { tracker_id, .. } => Some(tracker_id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(repeated[..3], [None, Some(b"01".to_vec()), Some(b"02".to_vec())]);
}
