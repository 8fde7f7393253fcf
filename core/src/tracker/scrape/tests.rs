use super::*;
use crate::border::{Action, Actions, Config, HttpRequest, HttpResponse, IpFilter, SocketId, Work};
use crate::cx::IdSource;
use crate::net_policy::Refusal;
use crate::rng::{Seeds, Stream};
use crate::tracker::Way;
use crate::tracker::http::{encode_failure, encode_scrape, parse_scrape};
use crate::tracker::udp::{UdpRequest, UdpResponse};
use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::string::String;
use std::vec;

struct World {
    scrape: Option<Scrape>,
    config: Config,
    filter: IpFilter,
    seeds: Seeds,
    ids: IdSource,
    now: Time,
    http: Vec<(JobId, HttpRequest)>,
    datagrams: Vec<(SocketAddr, Bytes)>,
    cancelled: Vec<JobId>,
}

fn ways() -> Ways {
    let way = Way { port: 1, udp: Some(SocketId(3)), bind_ip: None };
    Ways { v4: Some(way), v6: Some(way) }
}

fn hash(number: u32) -> InfoHash {
    let mut bytes = [0xee; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    InfoHash(bytes)
}

fn counts_of(hash: &InfoHash) -> ScrapeCounts {
    ScrapeCounts { complete: u32::from(hash.0[3]), downloaded: 2, incomplete: 3 }
}

impl World {
    fn new(url: &str, torrents: u32) -> World {
        let mut world = World {
            scrape: None,
            config: Config::default(),
            filter: IpFilter::new(),
            seeds: Seeds::for_tests(1),
            ids: IdSource::default(),
            now: Time::from_secs(1000),
            http: vec![],
            datagrams: vec![],
            cancelled: vec![],
        };
        let torrents: Vec<InfoHash> = (0..torrents).map(hash).collect();
        let secret = world.seeds.secrets(Stream::UdpTracker, 1);
        let url = TrackerUrl::parse(url).unwrap();
        world.call(|scrape, cx| *scrape = Some(Scrape::begin(cx, ways(), &url, &torrents, secret)));
        world
    }

    fn call(&mut self, call: impl FnOnce(&mut Option<Scrape>, &mut Cx<'_>)) {
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
        call(&mut self.scrape, &mut cx);
        for action in out.list {
            match action {
                Action::Start { job, work: Work::Http(request) } => self.http.push((job, request)),
                Action::SendDatagrams { to, bytes, .. } => self.datagrams.push((to, bytes)),
                Action::Cancel { job } => self.cancelled.push(job),
                other => panic!("{other:?}"),
            }
        }
    }

    fn scrape(&self) -> &Scrape {
        self.scrape.as_ref().unwrap()
    }

    fn answer(&mut self, status: u16, body: &[u8]) {
        let (job, _) = self.http.remove(0);
        let body = Bytes::copy_from_slice(body);
        let result = Ok(JobResult::Http(HttpResponse { status, location: None, retry_after: None, body }));
        self.call(|scrape, cx| assert!(scrape.as_mut().unwrap().job_done(cx, ways(), job, &result)));
    }

    /// Answers a datagram as a tracker that knows every torrent but those that `known` leaves out.
    fn hear(&mut self, respond: impl FnOnce(UdpRequest) -> UdpResponse) {
        let (from, packet) = self.datagrams.remove(0);
        let (awaited, transaction) = self.scrape().awaiting().unwrap();
        assert_eq!(awaited, from);
        let packet = respond(UdpRequest::decode(&packet).unwrap()).encode(transaction, false);
        self.call(|scrape, cx| assert!(scrape.as_mut().unwrap().datagram(cx, ways(), from, &packet)));
    }

    fn asked(&self) -> (String, Vec<InfoHash>) {
        let (path, query) = self.http[0].1.path.split_once('?').unwrap();
        (path.into(), parse_scrape(query.as_bytes(), 1000).unwrap())
    }
}

fn connected(request: UdpRequest) -> UdpResponse {
    assert!(matches!(request, UdpRequest::Connect { .. }));
    UdpResponse::Connected { connection: 9 }
}

fn scraped(request: UdpRequest) -> UdpResponse {
    let UdpRequest::Scrape { connection: 9, torrents, .. } = request else { panic!("{request:?}") };
    UdpResponse::Scraped(torrents.iter().map(counts_of).collect())
}

/// BEP 48: the last `announce` of the path becomes `scrape`; the query stays.
#[test]
fn by_http_in_as_many_requests_as_it_takes() {
    let mut world = World::new("http://9.9.9.9:80/x/announce?pass=1", 100);
    let mut asked = BTreeSet::new();
    let mut requests = 0;
    while !world.http.is_empty() {
        assert_eq!(world.scrape().outcome(), None);
        assert!(world.http[0].1.path.len() <= MAX_URL);
        let (path, torrents) = world.asked();
        assert_eq!(path, "/x/scrape");
        assert!(world.http[0].1.path.starts_with("/x/scrape?pass=1&info_hash="));
        // One torrent is unknown to it, and it speaks of one that nobody asked for.
        let mut known: Vec<_> = torrents
            .iter()
            .filter(|torrent| **torrent != hash(7))
            .map(|torrent| (*torrent, counts_of(torrent)))
            .collect();
        known.push((hash(70_000), ScrapeCounts::default()));
        asked.extend(torrents);
        requests += 1;
        world.answer(200, &encode_scrape(&known));
    }
    assert_eq!(asked, (0..100).map(hash).collect());
    assert_eq!(requests, 4);
    assert_eq!(world.scrape().outcome(), Some(Ok(())));
    assert_eq!(world.scrape().deadline(), None);
    let counts = world.scrape().counts();
    assert_eq!(counts.len(), 99);
    assert_eq!((counts.get(&hash(8)), counts.get(&hash(7))), (Some(&counts_of(&hash(8))), None));
}

#[test]
fn the_interval_between_scrapes() {
    let mut world = World::new("http://9.9.9.9/announce", 1);
    world.answer(200, b"d5:filesde5:flagsd20:min_request_intervali900eee");
    assert_eq!((world.scrape().outcome(), world.scrape().min_interval()), (Some(Ok(())), Some(900)));
}

/// BEP 15: "up to about 74 torrents can be scraped at once".
#[test]
fn by_udp_74_at_once_with_one_connect() {
    let mut world = World::new("udp://9.9.9.9:80/announce", 150);
    world.hear(connected);
    for size in [74, 74, 2] {
        let UdpRequest::Scrape { torrents, .. } = UdpRequest::decode(&world.datagrams[0].1).unwrap() else { panic!() };
        assert_eq!(torrents.len(), size);
        world.hear(scraped);
    }
    assert!(world.datagrams.is_empty());
    assert_eq!(world.scrape().outcome(), Some(Ok(())));
    assert_eq!(world.scrape().counts().len(), 150);
    assert!(world.scrape().counts().iter().all(|(hash, counts)| *counts == counts_of(hash)));
}

#[test]
fn a_cut_answer_counts_as_far_as_it_goes() {
    let mut world = World::new("udp://9.9.9.9:80", 3);
    world.hear(connected);
    world.hear(|_| UdpResponse::Scraped(vec![counts_of(&hash(0))]));
    assert_eq!(world.scrape().counts().keys().copied().collect::<Vec<_>>(), [hash(0)]);
}

#[test]
fn failures() {
    let failed = |world: &World| world.scrape().outcome().expect("it has ended").expect_err("it failed").clone();
    let world = World::new("http://9.9.9.9/x", 1);
    assert_eq!(failed(&world), TrackerError::NoScrape);
    assert!(world.http.is_empty());
    let mut world = World::new("http://9.9.9.9/announce", 1);
    world.answer(200, &encode_failure("no scrapes", None));
    assert_eq!(failed(&world), TrackerError::Refused("no scrapes".into()));
    let mut world = World::new("http://9.9.9.9/announce", 1);
    world.answer(404, b"");
    assert_eq!(failed(&world), TrackerError::Status(404, None));
    let mut world = World::new("http://9.9.9.9/announce", 1);
    world.answer(200, b"d5:peers0:e");
    assert!(matches!(failed(&world), TrackerError::BadAnswer(_)));
    // "Errors can answer any request."
    let mut world = World::new("udp://9.9.9.9:80", 1);
    world.hear(connected);
    world.hear(|_| UdpResponse::Error("busy".into()));
    assert_eq!(failed(&world), TrackerError::Refused("busy".into()));
    // What was learned before stays.
    let mut world = World::new("udp://9.9.9.9:80", 80);
    world.hear(connected);
    world.hear(scraped);
    world.hear(|_| UdpResponse::Error("enough".into()));
    assert_eq!(failed(&world), TrackerError::Refused("enough".into()));
    assert_eq!(world.scrape().counts().len(), 74);
    // Silence.
    let mut world = World::new("udp://9.9.9.9:80", 1);
    world.now = world.scrape().deadline().unwrap();
    world.call(|scrape, cx| scrape.as_mut().unwrap().tick(cx, ways()));
    assert_eq!(failed(&world), TrackerError::Io(IoFault::TimedOut));
    assert_eq!(world.now.since(Time::from_secs(1000)), Duration::from_secs(15));
    // The rules of addresses hold here too.
    assert_eq!(failed(&World::new("http://169.254.169.254/announce", 1)), TrackerError::NotAllowed(Refusal::Address));
}

#[test]
fn an_announce_is_no_answer_to_a_scrape() {
    let mut world = World::new("udp://9.9.9.9:80", 1);
    world.hear(connected);
    let (from, transaction) = world.scrape().awaiting().unwrap();
    let packet = UdpResponse::Announced(crate::tracker::AnnounceResponse::default()).encode(transaction, false);
    world.call(|scrape, cx| assert!(!scrape.as_mut().unwrap().datagram(cx, ways(), from, &packet)));
    assert_eq!(world.scrape().outcome(), None);
    world.hear(scraped);
    assert_eq!(world.scrape().outcome(), Some(Ok(())));
}

#[test]
fn giving_up() {
    let mut world = World::new("http://9.9.9.9/announce", 1);
    let (job, _) = world.http.remove(0);
    world.call(|scrape, cx| scrape.as_mut().unwrap().cancel(cx));
    assert_eq!(world.cancelled, [job]);
    assert_eq!(world.scrape().outcome(), Some(Err(&TrackerError::Io(IoFault::Cancelled))));
    let result = Err(IoFault::Cancelled);
    world.call(|scrape, cx| assert!(scrape.as_mut().unwrap().job_done(cx, ways(), job, &result)));
    world.call(|scrape, cx| assert!(!scrape.as_mut().unwrap().job_done(cx, ways(), job, &result)));
    assert_eq!(World::new("http://9.9.9.9/announce", 0).scrape().outcome(), Some(Ok(())), "nothing to ask");
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(
        bodies in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..80)), 1..5),
    ) {
        let mut world = World::new("http://9.9.9.9/announce", 60);
        for (status, body) in bodies {
            if !world.http.is_empty() {
                world.answer(if status % 2 == 0 { 200 } else { status }, &body);
            }
        }
    }
}
