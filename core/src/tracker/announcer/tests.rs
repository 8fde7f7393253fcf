use super::*;
use crate::border::{
    Action, Actions, AnnounceConfig, Config, HttpRequest, HttpResponse, InfoHash, IpFilter, NetPolicy, PeerId,
    SocketId, Work,
};
use crate::cx::IdSource;
use crate::net_policy::Refusal;
use crate::rng::{Seeds, Stream};
use crate::tracker::http::{encode_failure, parse_announce};
use crate::tracker::udp::{UdpRequest, UdpResponse};
use crate::tracker::{AnnounceResponse, Ledger, RedirectError};
use crate::tracker::{RetryIn, http::HttpAnnounce};
use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::format;
use std::vec;

mod families;
mod groups;
mod list;
mod policy;

/// An announcer with everything outside it.
struct World {
    announcer: Announcer,
    config: Config,
    filter: IpFilter,
    seeds: Seeds,
    ids: IdSource,
    now: Time,
    facts: AnnounceFacts,
    /// HTTP requests that wait for an answer.
    http: Vec<(JobId, HttpRequest)>,
    /// Look-ups that wait for an answer.
    lookups: Vec<(JobId, String)>,
    datagrams: Vec<(SocketAddr, Bytes)>,
    cancelled: Vec<JobId>,
    said: Vec<TrackerSaid>,
}

type Call<'w> = &'w mut dyn FnMut(&mut Announcer, &mut Cx<'_>, &AnnounceFacts);

impl World {
    fn new(tiers: &[&[&str]]) -> World {
        World::seeded(tiers, 1)
    }

    fn seeded(tiers: &[&[&str]], seed: u8) -> World {
        let seeds = Seeds::for_tests(seed);
        let tiers = tiers.iter().map(|tier| tier.iter().map(ToString::to_string).collect()).collect();
        let (decisions, secret) = (seeds.decisions(Stream::Announcer, 0), seeds.secrets(Stream::Announcer, 0));
        let (announcer, refused) = Announcer::new(tiers, decisions, secret);
        assert_eq!(refused, []);
        World {
            announcer,
            // The trackers here are told apart by ports from 1 on, and asked one after the other unless a test says so.
            config: Config {
                net: NetPolicy { allow_service_ports: true, ..NetPolicy::default() },
                announce: AnnounceConfig { max_asks: 1, ..AnnounceConfig::default() },
                ..Config::default()
            },
            filter: IpFilter::new(),
            seeds,
            ids: IdSource::default(),
            now: Time::from_secs(1000),
            facts: AnnounceFacts {
                partial_seed: false,
                info_hash: InfoHash([7; 20]),
                peer_id: PeerId(*b"-Pk0010-abcdefghijkl"),
                port: 6881,
                ledger: Ledger { uploaded: 1, downloaded: 2, left: 3 },
                wants_peers: true,
                udp: Some(SocketId(9)),
                bind_ip: None,
                ways: None,
                private: false,
                own: [None; 2],
                gated: false,
            },
            http: vec![],
            lookups: vec![],
            datagrams: vec![],
            cancelled: vec![],
            said: vec![],
        }
    }

    fn call(&mut self, call: Call<'_>) {
        let mut out = Actions::new();
        let mut cx = Cx {
            now: self.now,
            config: &self.config,
            filter: &self.filter,
            seeds: &self.seeds,
            out: &mut out,
            ids: &mut self.ids,
            owner: 1,
        };
        call(&mut self.announcer, &mut cx, &self.facts);
        for action in out.list {
            match action {
                Action::Start { job, work: Work::Http(request) } => self.http.push((job, request)),
                Action::Start { job, work: Work::Resolve { host } } => self.lookups.push((job, host)),
                Action::SendDatagrams { to, bytes, .. } => self.datagrams.push((to, bytes)),
                Action::Cancel { job } => {
                    self.cancelled.push(job);
                    self.http.retain(|(other, _)| *other != job);
                    self.lookups.retain(|(other, _)| *other != job);
                }
                other => panic!("{other:?}"),
            }
        }
        while let Some(said) = self.announcer.said() {
            self.said.push(said);
        }
        // Oracle: a deadline in the past would make the driver spin.
        if let Some(deadline) = self.announcer.deadline() {
            assert!(deadline > self.now, "deadline {deadline:?} at {:?}", self.now);
        }
    }

    fn start(&mut self) {
        self.call(&mut |a, cx, facts| a.start(cx, facts));
    }

    fn stop(&mut self) {
        self.call(&mut |a, cx, facts| a.stop(cx, facts));
    }

    fn completed(&mut self) {
        self.facts.ledger.left = 0;
        self.call(&mut |a, cx, facts| a.completed(cx, facts));
    }

    /// Lets time pass to the next deadline.
    fn sleep(&mut self) {
        self.now = self.announcer.deadline().expect("there is a deadline");
        self.call(&mut |a, cx, facts| a.tick(cx, facts));
    }

    fn job(&mut self, job: JobId, result: Result<JobResult, IoFault>) -> bool {
        let mut mine = false;
        self.call(&mut |a, cx, facts| mine = a.job_done(cx, facts, job, &result));
        mine
    }

    /// The host that is being asked, by the URL's port, and what it is told.
    fn asked(&self) -> (u16, HttpAnnounce) {
        let [(_, request)] = &self.http[..] else { panic!("{:?}", self.http) };
        (request.port, parse(request))
    }

    fn answer(&mut self, status: u16, body: &[u8], location: Option<&str>) {
        let (job, _) = self.http.remove(0);
        let response = HttpResponse {
            status,
            location: location.map(ToString::to_string),
            retry_after: None,
            body: Bytes::copy_from_slice(body),
        };
        assert!(self.job(job, Ok(JobResult::Http(response))));
    }

    fn good(&mut self) {
        self.answer(200, b"d8:intervali1800e5:peers6:\x01\x02\x03\x04\x1a\xe1e", None);
    }

    fn refused(&mut self) {
        let (job, _) = self.http.remove(0);
        assert!(self.job(job, Err(IoFault::Refused)));
    }

    /// The ports asked from now on, where those in `good` answer and all others refuse, until nothing is under way.
    fn round(&mut self, good: &[u16]) -> Vec<u16> {
        let mut order = vec![];
        while !self.http.is_empty() {
            let (port, _) = self.asked();
            order.push(port);
            if good.contains(&port) { self.good() } else { self.refused() }
        }
        order
    }

    fn order(&self) -> Vec<u16> {
        self.announcer.status().map(|status| TrackerUrl::parse(&status.url).unwrap().port()).collect()
    }

    /// How long until the next announce.
    fn wait(&self) -> Duration {
        self.announcer.deadline().expect("there is a deadline").since(self.now)
    }

    fn last_error(&self) -> &TrackerError {
        match self.said.last() {
            Some(TrackerSaid::Failed { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn parse(request: &HttpRequest) -> HttpAnnounce {
    parse_announce(request.path.split_once('?').expect("a query").1.as_bytes()).expect("a well-formed announce")
}

const ONE: &str = "http://1.1.1.1:1/announce";
const TWO: &str = "http://1.1.1.2:2/announce";
const THREE: &str = "http://1.1.1.3:3/announce";
const FOUR: &str = "http://1.1.1.4:4/announce";

/// BEP 12: each tier is shuffled once; the order differs between clients and is kept.
#[test]
fn tiers_are_shuffled_inside_and_only_once() {
    let orders: Vec<Vec<u16>> =
        (0..20).map(|seed| World::seeded(&[&[ONE, TWO, THREE], &[FOUR]], seed).order()).collect();
    assert!(orders.iter().any(|order| *order != orders[0]), "never shuffled");
    assert!(orders.iter().all(|order| order[3] == 4), "the second tier stays behind the first");
    let mut world = World::new(&[&[ONE, TWO, THREE]]);
    let before = world.order();
    world.start();
    let all_fail = world.round(&[]);
    assert_eq!((all_fail, world.order()), (before.clone(), before));
}

/// BEP 12's example: `[t1,t2,t3]`, t1 fails, t2 answers: `[t2,t1,t3]`; then t2 and t1 fail, t3 answers: `[t3,t2,t1]`.
#[test]
fn the_tracker_that_answers_moves_to_the_front_of_its_tier() {
    let mut world = World::new(&[&[ONE, TWO, THREE], &[FOUR]]);
    let [t1, t2, t3, _] = world.order()[..] else { panic!() };
    world.start();
    assert_eq!(world.round(&[t2]), [t1, t2]);
    assert_eq!(world.order(), [t2, t1, t3, 4]);
    world.sleep();
    assert_eq!(world.round(&[t3]), [t2, t1, t3]);
    assert_eq!(world.order(), [t3, t2, t1, 4]);
}

/// BEP 12: `[[t1],[b1],[b2]]`: the backup only when t1 is out of reach, and t1 again first each time.
#[test]
fn each_announce_begins_at_the_first_tier_and_one_success_ends_it() {
    let mut world = World::new(&[&[ONE], &[TWO], &[THREE]]);
    world.start();
    assert_eq!(world.round(&[2, 3]), [1, 2]);
    assert_eq!(world.order(), [1, 2, 3], "a tracker does not leave its tier");
    world.sleep();
    assert_eq!(world.round(&[1, 2]), [1]);
    world.sleep();
    assert_eq!(world.round(&[1]), [1]);
}

#[test]
fn when_all_fail_each_has_its_growing_delay() {
    let mut world = World::new(&[&[ONE]]);
    world.config.announce.retry_jitter = Duration::ZERO;
    world.start();
    let mut waits = vec![];
    for _ in 0..30 {
        world.refused();
        waits.push(world.wait());
        world.sleep();
    }
    let millis: Vec<u128> = waits.iter().map(Duration::as_millis).collect();
    assert_eq!(millis[..3], [17_500, 55_000, 117_500]);
    assert!(waits.is_sorted());
    assert_eq!(waits[29], Duration::from_secs(3600));
    world.good();
    world.sleep();
    world.refused();
    assert_eq!(world.wait(), Duration::from_millis(17_500), "a success resets the delay");
}

#[test]
fn retry_in_is_respected_and_never_means_never() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.answer(200, &encode_failure("busy", Some(RetryIn::Minutes(10))), None);
    assert_eq!(world.last_error(), &TrackerError::Refused("busy".into()));
    assert_eq!(world.wait(), Duration::from_secs(600));
    world.sleep();
    world.answer(200, &encode_failure("no tracker", Some(RetryIn::Never)), None);
    assert!(matches!(world.said.last(), Some(TrackerSaid::Failed { why: TrackerError::Gone(_), retry: None, .. })));
    assert_eq!(world.announcer.deadline(), None);
    world.completed();
    world.call(&mut |a, cx, facts| a.need_peers(cx, facts));
    assert!(world.http.is_empty(), "nothing is sent to it any more");

    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.answer(410, b"<html>gone</html>", None);
    assert_eq!(world.announcer.deadline(), None);
}

/// BEP 21: "it MUST send an `event=paused` parameter in every announce while it is a partial seed".
#[test]
fn a_partial_seed_says_paused_where_it_has_no_other_event_to_tell() {
    let mut world = World::new(&[&[ONE]]);
    world.facts.partial_seed = true;
    world.start();
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Started));
    world.good();
    for _ in 0..2 {
        world.sleep();
        assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Paused));
        world.good();
    }
    world.facts.partial_seed = false;
    world.sleep();
    assert_eq!(world.asked().1.request.event, None);
    world.good();
    world.stop();
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Stopped));
}

#[test]
fn events_in_order_and_the_ledger_goes_along() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    let (_, first) = world.asked();
    assert_eq!(first.request.event, Some(AnnounceEvent::Started));
    assert_eq!((first.request.ledger, first.request.num_want), (world.facts.ledger, Some(200)));
    world.good();
    assert!(matches!(&world.said[..], [TrackerSaid::Answered { peers, .. }] if peers.len() == 1));
    world.facts.wants_peers = false;
    world.sleep();
    let (_, second) = world.asked();
    assert_eq!((second.request.event, second.request.num_want), (None, Some(10)));
    assert_eq!(second.request.key, first.request.key);
    world.good();
    world.completed();
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Completed));
    world.good();
    world.completed();
    assert!(world.http.is_empty(), "completed is told once");
    world.stop();
    let (_, last) = world.asked();
    assert_eq!((last.request.event, last.request.num_want), (Some(AnnounceEvent::Stopped), Some(0)));
    assert!(!world.announcer.is_stopped());
    world.good();
    assert!(world.announcer.is_stopped());
    assert_eq!(world.announcer.deadline(), None);
}

#[test]
fn a_tracker_that_does_not_know_us_is_told_started_before_completed() {
    let mut world = World::new(&[&[ONE], &[TWO]]);
    world.start();
    world.good();
    world.now = world.now + Duration::from_secs(1);
    world.completed();
    assert_eq!(world.asked().0, 1);
    world.refused();
    let (port, announce) = world.asked();
    assert_eq!((port, announce.request.event, announce.request.ledger.left), (2, Some(AnnounceEvent::Started), 0));
    world.good();
    let (port, announce) = world.asked();
    assert_eq!((port, announce.request.event), (2, Some(AnnounceEvent::Completed)));
    world.good();
    assert!(world.http.is_empty());
    // Both know us, so both are told.
    world.stop();
    let mut told = vec![];
    while !world.http.is_empty() {
        let (port, announce) = world.asked();
        assert_eq!(announce.request.event, Some(AnnounceEvent::Stopped));
        told.push(port);
        world.good();
    }
    assert_eq!(told, [2, 1]);
    assert!(world.announcer.is_stopped());
}

#[test]
fn no_stopped_to_a_tracker_that_never_got_started() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.refused();
    world.stop();
    assert!(world.http.is_empty() && world.announcer.is_stopped());

    let mut world = World::new(&[&[ONE]]);
    world.stop();
    assert!(world.announcer.is_stopped());
}

#[test]
fn stopping_waits_for_a_started_under_way_but_not_for_long() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.stop();
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Started));
    world.good();
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Stopped));
    // The tracker is silent now.
    let (job, _) = world.http[0].clone();
    world.sleep();
    assert!(world.announcer.is_stopped());
    assert_eq!(world.now, Time::from_secs(1005));
    assert_eq!(world.cancelled, [job]);
    assert!(world.job(job, Err(IoFault::Cancelled)), "its late answer is still its own");
    assert!(!world.job(job, Err(IoFault::Cancelled)), "but only once");

    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.stop();
    world.sleep();
    assert!(world.announcer.is_stopped() && world.now < Time::from_secs(1005));
}

#[test]
fn a_stopped_does_not_overtake_a_completed() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.good();
    world.completed();
    world.stop();
    // Alone: a tracker that handled the `completed` after the `stopped` would list us again.
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Completed));
    world.good();
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Stopped));
    world.good();
    assert!(world.http.is_empty() && world.announcer.is_stopped(), "stopped is told once");

    // One that wants to be asked no more is not.
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.good();
    world.completed();
    world.stop();
    world.answer(200, b"d14:failure reason1:x8:retry in5:nevere", None);
    assert!(world.http.is_empty() && world.announcer.is_stopped());

    // One that does not answer is told `stopped` all the same.
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.good();
    world.completed();
    world.stop();
    world.sleep();
    assert_eq!(world.asked().1.request.event, Some(AnnounceEvent::Stopped));
}

#[test]
fn the_interval_is_kept_and_clamped() {
    let interval = |body: &[u8]| {
        let mut world = World::new(&[&[ONE]]);
        world.start();
        world.answer(200, body, None);
        world.wait().as_secs()
    };
    assert_eq!(interval(b"d8:intervali900e5:peers0:e"), 900);
    assert_eq!(interval(b"d8:intervali0e5:peers0:e"), 60);
    assert_eq!(interval(b"d5:peers0:e"), 1800);
    assert_eq!(interval(b"d8:intervali4000000000e5:peers0:e"), 24 * 3600);
    assert_eq!(interval(b"d8:intervali100e12:min intervali300e5:peers0:e"), 300);
}

#[test]
fn running_dry_asks_earlier_but_not_before_the_min_interval_and_no_other_tier() {
    let mut world = World::new(&[&[ONE], &[TWO]]);
    world.start();
    world.answer(200, b"d8:intervali1800e12:min intervali300e5:peers0:e", None);
    world.now = world.now + Duration::from_secs(10);
    world.call(&mut |a, cx, facts| a.need_peers(cx, facts));
    assert!(world.http.is_empty());
    assert_eq!(world.wait(), Duration::from_secs(290));
    world.sleep();
    assert_eq!((world.asked().0, world.asked().1.request.event), (1, None));
}

#[test]
fn the_tracker_id_is_repeated_and_an_old_one_kept() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.answer(200, b"d5:peers0:10:tracker id3:abce", None);
    for _ in 0..2 {
        world.sleep();
        assert_eq!(world.asked().1.request.tracker_id.as_deref(), Some(&b"abc"[..]));
        world.good();
    }
}

#[test]
fn each_failure_has_its_own_word_and_a_success_clears_it() {
    let mut world = World::new(&[&[ONE]]);
    world.start();
    world.answer(200, b"<html>", None);
    assert!(matches!(world.last_error(), TrackerError::BadAnswer(_)));
    world.sleep();
    world.answer(404, b"", None);
    assert_eq!(world.last_error(), &TrackerError::Status(404, None));
    world.sleep();
    world.answer(403, &encode_failure("who\x1b are you", None), None);
    assert_eq!(world.last_error(), &TrackerError::Status(403, Some("who are you".into())));
    world.sleep();
    world.refused();
    assert_eq!(world.last_error(), &TrackerError::Io(IoFault::Refused));
    assert_eq!(world.announcer.status().next().map(|status| status.state), Some(TrackerState::Failing));
    world.sleep();
    world.good();
    let status = world.announcer.status().next().unwrap();
    assert_eq!((status.state, status.last_error), (TrackerState::Working, None));
}

#[test]
fn a_hosts_addresses_are_tried_in_order() {
    let mut world = World::new(&[&["http://t.example:8/announce"]]);
    world.start();
    let (job, host) = world.lookups.remove(0);
    assert_eq!(host, "t.example");
    let addrs = ["169.254.169.254", "8.8.4.4", "8.8.8.8"].map(|ip| ip.parse().unwrap()).to_vec();
    world.job(job, Ok(JobResult::Resolved(addrs)));
    assert_eq!(world.http[0].1.to, "8.8.4.4:8".parse().unwrap(), "a link-local address is not asked");
    assert_eq!(world.http[0].1.host, "t.example");
    world.refused();
    assert_eq!(world.http[0].1.to, "8.8.8.8:8".parse().unwrap());
    world.good();
    assert!(matches!(world.said[..], [TrackerSaid::Answered { .. }]));
}

#[test]
fn a_look_up_that_never_ends_is_given_up() {
    let mut world = World::new(&[&["http://t.example:8/announce"], &[TWO]]);
    world.start();
    world.sleep();
    assert_eq!(world.last_error(), &TrackerError::Resolve(IoFault::TimedOut));
    assert_eq!((world.cancelled.len(), world.asked().0), (1, 2));
}

fn redirected(from: &str, location: Option<&str>) -> World {
    let mut world = World::new(&[&[from]]);
    world.start();
    world.answer(302, b"", location);
    world
}

#[test]
fn redirects_that_are_followed() {
    let mut world = redirected(ONE, Some("/other?x=1"));
    assert_eq!((world.http[0].1.path.as_str(), world.http[0].1.port), ("/other?x=1", 1));
    world.good();
    assert!(matches!(&world.said[..], [TrackerSaid::Answered { url, .. }] if url == ONE));
    let world = redirected(ONE, Some("https://9.9.9.9/announce"));
    assert!(world.http[0].1.tls);
    // Out of loopback into loopback.
    let world = redirected("http://127.0.0.1:1/announce", Some("http://127.0.0.1:2/announce"));
    assert_eq!(world.http[0].1.port, 2);
}

#[test]
fn redirects_that_are_not_followed() {
    let refused = |from: &str, location: Option<&str>| match redirected(from, location).last_error() {
        TrackerError::Redirect(error) => *error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ONE, None), RedirectError::NoLocation);
    assert_eq!(refused(ONE, Some("file:///etc/passwd")), RedirectError::BadLocation(UrlError::Scheme));
    assert_eq!(refused(ONE, Some("udp://9.9.9.9:1")), RedirectError::Scheme);
    assert_eq!(refused("https://1.1.1.1/announce", Some("http://1.1.1.1/announce")), RedirectError::Downgrade);
    for private in ["127.0.0.1", "192.168.1.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"] {
        let location = format!("http://{private}/announce");
        assert_eq!(refused(ONE, Some(&location)), RedirectError::ToPrivate, "{private}");
    }
    // A name decides nothing, its address does.
    let mut world = redirected(ONE, Some("http://inside.example/announce"));
    let (job, _) = world.lookups.remove(0);
    world.job(job, Ok(JobResult::Resolved(vec!["10.0.0.1".parse().unwrap()])));
    assert_eq!(world.last_error(), &TrackerError::Redirect(RedirectError::ToPrivate));
    let mut world = redirected(ONE, Some("/1"));
    for hop in 2..=6 {
        world.answer(302, b"", Some(&format!("/{hop}")));
    }
    assert_eq!(world.last_error(), &TrackerError::Redirect(RedirectError::TooMany));
}

#[test]
fn on_loopback_only_announce_paths_are_asked() {
    let mut world = World::new(&[&["http://127.0.0.1:1/admin?delete=all"]]);
    world.start();
    assert_eq!(world.last_error(), &TrackerError::NotAllowed(Refusal::LocalPath));
}

#[test]
fn a_udp_tracker_from_connect_to_answer() {
    let mut world = World::new(&[&["udp://9.9.9.9:6969/announce"]]);
    let tracker: SocketAddr = "9.9.9.9:6969".parse().unwrap();
    let hear = |world: &mut World, from, packet: Vec<u8>| {
        let mut mine = false;
        world.call(&mut |a, cx, facts| mine = a.datagram(cx, facts, from, &packet));
        mine
    };
    world.start();
    for round in 0..2 {
        let (to, packet) = world.datagrams.remove(0);
        assert_eq!((to, UdpRequest::decode(&packet).is_some()), (tracker, true));
        let (from, transaction) = world.announcer.awaiting().unwrap();
        assert_eq!(from, tracker);
        let connected = UdpResponse::Connected { connection: 5 }.encode(transaction, false);
        assert!(!hear(&mut world, "9.9.9.8:6969".parse().unwrap(), connected.clone()));
        assert!(hear(&mut world, tracker, connected));
        let (_, packet) = world.datagrams.remove(0);
        let Some(UdpRequest::Announce { connection, transaction, request, url_data, .. }) = UdpRequest::decode(&packet)
        else {
            panic!("not an announce")
        };
        assert_eq!((connection, &url_data[..]), (5, &b"/announce"[..]));
        assert_eq!(request.event, (round == 0).then_some(AnnounceEvent::Started));
        let response = AnnounceResponse { interval: Some(1800), ..AnnounceResponse::default() };
        assert!(hear(&mut world, tracker, UdpResponse::Announced(response).encode(transaction, false)));
        assert_eq!(world.said.len(), round + 1);
        assert_eq!(world.wait(), Duration::from_secs(1800));
        world.sleep();
    }
}

#[test]
fn a_silent_udp_tracker_costs_fifteen_seconds_when_another_is_left() {
    let mut world = World::new(&[&["udp://9.9.9.9:6969"], &[TWO]]);
    world.start();
    world.sleep();
    assert_eq!(world.now, Time::from_secs(1015));
    assert_eq!(world.asked().0, 2);
}

#[test]
fn without_a_udp_socket_udp_trackers_fail() {
    let mut world = World::new(&[&["udp://9.9.9.9:6969"], &[TWO]]);
    world.facts.udp = None;
    world.start();
    assert_eq!(world.last_error(), &TrackerError::NoUdpSocket);
    assert_eq!(world.asked().0, 2);
}

#[test]
fn refused_urls_are_told_and_doubles_merged() {
    let seeds = Seeds::for_tests(1);
    let tiers = vec![vec![ONE.to_string(), "ftp://x/".into()], vec!["HTTP://1.1.1.1:1/announce".into()]];
    let (announcer, refused) =
        Announcer::new(tiers, seeds.decisions(Stream::Announcer, 0), seeds.secrets(Stream::Announcer, 0));
    assert_eq!(refused, [("ftp://x/".into(), UrlError::Scheme)]);
    assert_eq!(announcer.status().count(), 1);
    let many = vec![(0..MAX_TRACKERS + 5).map(|at| format!("http://t{at}.example/announce")).collect()];
    let (announcer, refused) =
        Announcer::new(many, seeds.decisions(Stream::Announcer, 0), seeds.secrets(Stream::Announcer, 0));
    assert_eq!((announcer.status().count(), refused.len()), (MAX_TRACKERS, 5));
}

/// What may happen to an announcer.
#[derive(Clone, Debug)]
enum Op {
    Sleep,
    Wait(u16),
    Good { min: u16 },
    Refuse,
    Busy { minutes: u8 },
    Never,
    Completed,
    NeedPeers,
    Stop,
    Start,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Sleep),
        2 => any::<u16>().prop_map(Op::Wait),
        8 => (0u16..2000).prop_map(|min| Op::Good { min }),
        4 => Just(Op::Refuse),
        1 => (1u8..).prop_map(|minutes| Op::Busy { minutes }),
        1 => Just(Op::Never),
        1 => Just(Op::Completed),
        2 => Just(Op::NeedPeers),
        1 => Just(Op::Stop),
        1 => Just(Op::Start),
    ]
}

/// What a tracker has seen, as it should be: the model.
#[derive(Clone, Debug, Default)]
struct Seen {
    knows_us: bool,
    /// When it may be asked again without an event, and at all.
    not_before: Time,
    retry_at: Time,
    gone: bool,
}

proptest! {
    /// The laws of events, intervals and delays, whatever the trackers answer:
    /// each one's first announce is `started` and comes again only after it failed; `completed` is answered at most once and only
    /// goes to who knows us; `stopped` only to who knows us, once; without an event none is asked before its
    /// interval is over; none is asked before its delay is over, and never after `never`; stopping ends.
    #[test]
    fn laws_of_announcing(ops in proptest::collection::vec(any_op(), 1..80), seed in 0u8..20) {
        let mut world = World::seeded(&[&[ONE, TWO], &[THREE]], seed);
        let mut seen: BTreeMap<u16, Seen> = BTreeMap::new();
        let mut completed_answers = 0;
        let mut judged = None;
        let mut running = false;
        for op in ops.into_iter().chain([Op::Stop, Op::Sleep, Op::Sleep, Op::Sleep]) {
            let pending = world.http.first().map(|(_, request)| (request.port, parse(request).request.event));
            match op {
                Op::Sleep => if world.announcer.deadline().is_some() { world.sleep() },
                Op::Wait(seconds) => {
                    let until = world.now + Duration::from_secs(u64::from(seconds));
                    while world.http.is_empty() && world.announcer.deadline().is_some_and(|due| due <= until) {
                        world.sleep();
                    }
                    if world.http.is_empty() { world.now = until }
                }
                Op::Completed => world.completed(),
                Op::NeedPeers => world.call(&mut |a, cx, facts| a.need_peers(cx, facts)),
                Op::Stop => { world.stop(); running = false }
                Op::Start => {
                    if !running { seen.values_mut().for_each(|seen| seen.knows_us = false) }
                    world.start();
                    running = true;
                }
                Op::Good { .. } | Op::Refuse | Op::Busy { .. } | Op::Never => {
                    let Some((port, event)) = pending else { continue };
                    let now = world.now;
                    let tracker = seen.entry(port).or_default();
                    if let Op::Good { min } = op {
                        tracker.knows_us = event != Some(AnnounceEvent::Stopped);
                        tracker.not_before = now + Duration::from_secs(u64::from(min.max(60)));
                        tracker.retry_at = Time::ZERO;
                        completed_answers += usize::from(event == Some(AnnounceEvent::Completed));
                        world.answer(200, format!("d12:min intervali{min}e5:peers0:e").as_bytes(), None);
                    } else {
                        tracker.knows_us &= event != Some(AnnounceEvent::Stopped);
                        tracker.gone |= matches!(op, Op::Never);
                        let minutes = if let Op::Busy { minutes } = op { u64::from(minutes) } else { 0 };
                        tracker.retry_at = now + Duration::from_secs((minutes * 60).max(17));
                        match op {
                            Op::Busy { minutes } => {
                                world.answer(503, &encode_failure("", Some(RetryIn::Minutes(u32::from(minutes)))), None);
                            }
                            Op::Never => world.answer(200, &encode_failure("", Some(RetryIn::Never)), None),
                            _ => world.refused(),
                        }
                    }
                }
            }
            prop_assert!(completed_answers <= 1);
            // A request that has not been judged yet.
            prop_assert!(world.http.len() <= 1);
            if let Some((job, request)) = world.http.first().filter(|(job, _)| judged != Some(*job)) {
                judged = Some(*job);
                let tracker = seen.entry(request.port).or_default();
                prop_assert!(!tracker.gone, "asked after `never`");
                match parse(request).request.event {
                    Some(AnnounceEvent::Started) => prop_assert!(!tracker.knows_us, "started twice"),
                    Some(AnnounceEvent::Completed) => prop_assert!(tracker.knows_us && completed_answers == 0),
                    Some(AnnounceEvent::Stopped) => prop_assert!(tracker.knows_us, "stopped to a stranger"),
                    Some(AnnounceEvent::Paused) => prop_assert!(false, "not a partial seed"),
                    None => prop_assert!(tracker.knows_us && world.now >= tracker.not_before, "too early"),
                }
                if parse(request).request.event != Some(AnnounceEvent::Stopped) {
                    prop_assert!(world.now >= tracker.retry_at, "asked while its delay runs");
                }
            }
        }
        prop_assert!(world.announcer.is_stopped());
        prop_assert_eq!(world.announcer.deadline(), None);
    }

    #[test]
    fn no_datagram_and_no_body_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), status: u16) {
        let mut world = World::new(&[&["udp://9.9.9.9:6969"], &[TWO]]);
        world.start();
        let (from, transaction) = world.announcer.awaiting().unwrap();
        let mut packet = bytes.clone();
        if let Some(place) = packet.get_mut(4..8) {
            place.copy_from_slice(&transaction.to_be_bytes());
        }
        world.call(&mut |a, cx, facts| _ = a.datagram(cx, facts, from, &packet));
        if world.http.is_empty() { world.sleep() }
        if !world.http.is_empty() {
            world.answer(status, &bytes, std::str::from_utf8(&bytes).ok());
        }
    }
}
