use super::*;
use crate::border::{
    Action, Actions, AnnounceConfig, Config, HttpRequest, HttpResponse, PeerId, SocketId, Target, Work,
};
use crate::cx::IdSource;
use crate::net_policy::IpFilter;
use crate::rng::Seeds;
use crate::tracker::http::{PeersForm, encode_failure, encode_response, encode_scrape, parse_announce, parse_scrape};
use crate::tracker::udp::{UdpRequest, UdpResponse};
use crate::tracker::{Ledger, Way};
use bytes::Bytes;
use core::time::Duration;
use std::vec;

/// A probe with everything outside it.
struct World {
    probe: Option<Probe>,
    config: Config,
    ids: IdSource,
    now: Time,
    http: Vec<(JobId, HttpRequest)>,
    lookups: Vec<(JobId, String)>,
    datagrams: Vec<(SocketAddr, Bytes)>,
    said: Vec<ProbeSaid>,
}

fn ways() -> Ways {
    let way = |port| Some(Way { port, udp: Some(SocketId(9)), bind_ip: None });
    Ways { v4: way(4004), v6: way(6006) }
}

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash([7; 20]),
        peer_id: PeerId([1; 20]),
        port: 0,
        ledger: Ledger { uploaded: 0, downloaded: 0, left: 5 },
        event: None,
        num_want: Some(30),
        key: Some(1),
        tracker_id: None,
        own_ips: vec![],
    }
}

fn response(interval: u32) -> AnnounceResponse {
    AnnounceResponse { interval: Some(interval), complete: Some(3), ..AnnounceResponse::default() }
}

impl World {
    fn new(trackers: &[&str], asked: Asked) -> World {
        World::with(trackers, asked, AnnounceConfig::default())
    }

    fn with(trackers: &[&str], asked: Asked, announce: AnnounceConfig) -> World {
        let mut world = World {
            probe: None,
            config: Config { announce, ..Config::default() },
            ids: IdSource::default(),
            now: Time::from_secs(1000),
            http: vec![],
            lookups: vec![],
            datagrams: vec![],
            said: vec![],
        };
        let trackers: Vec<String> = trackers.iter().map(ToString::to_string).collect();
        world.call(|probe, cx| *probe = Some(Probe::begin(cx, ways(), &trackers, asked.clone(), (Word::Local, 1))));
        world
    }

    fn call(&mut self, call: impl FnOnce(&mut Option<Probe>, &mut Cx<'_>)) {
        let mut out = Actions::new();
        let seeds = Seeds::for_tests(1);
        let filter = IpFilter::new();
        let mut cx = Cx {
            now: self.now,
            config: &self.config,
            filter: &filter,
            seeds: &seeds,
            out: &mut out,
            ids: &mut self.ids,
            owner: 0,
        };
        call(&mut self.probe, &mut cx);
        for action in out.list {
            match action {
                Action::Start { job, work: Work::Http(request) } => self.http.push((job, request)),
                Action::Start { job, work: Work::Resolve { host } } => self.lookups.push((job, host)),
                Action::SendDatagrams { to, bytes, .. } => self.datagrams.push((to, bytes)),
                Action::Cancel { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let probe = self.probe.as_mut().expect("it has begun");
        while let Some(said) = probe.said() {
            self.said.push(said);
        }
        if let Some(deadline) = probe.deadline() {
            assert!(deadline > self.now, "deadline {deadline:?} at {:?}", self.now);
        }
    }

    fn job(&mut self, job: JobId, result: Result<JobResult, IoFault>) {
        self.call(|probe, cx| {
            assert!(probe.as_mut().expect("it has begun").job_done(cx, ways(), job, &result));
        });
    }

    fn answer(&mut self, body: Vec<u8>) {
        let (job, _) = self.http.remove(0);
        let body = Bytes::from(body);
        self.job(job, Ok(JobResult::Http(HttpResponse { status: 200, location: None, retry_after: None, body })));
    }

    fn hear(&mut self, respond: impl FnOnce(UdpRequest) -> UdpResponse) {
        let (to, packet) = self.datagrams.remove(0);
        let transaction = u32::from_be_bytes(packet[12..16].try_into().expect("four bytes"));
        let answer = respond(UdpRequest::decode(&packet).expect("a request")).encode(transaction, to.is_ipv6());
        assert!(self.probe().awaited().any(|awaited| awaited == (to, transaction)));
        self.call(|probe, cx| {
            assert!(probe.as_mut().expect("it has begun").datagram(cx, ways(), to, &answer));
        });
    }

    fn sleep(&mut self) {
        self.now = self.probe().deadline().expect("there is a deadline");
        self.call(|probe, cx| probe.as_mut().expect("it has begun").tick(cx, ways()));
    }

    fn probe(&self) -> &Probe {
        self.probe.as_ref().expect("it has begun")
    }
}

fn connected(_: UdpRequest) -> UdpResponse {
    UdpResponse::Connected { connection: 5 }
}

#[test]
fn each_tracker_answers_for_itself() {
    let trackers = ["http://1.1.1.1/announce", "http://1.1.1.2/announce", "http://1.1.1.3/announce"];
    let mut world = World::new(&trackers, Asked::Announce(request()));
    assert_eq!(world.http.len(), 3);
    world.answer(encode_response(&response(1800), &[], PeersForm::Compact));
    world.answer(encode_failure("go away", None));
    let (job, _) = world.http.remove(0);
    assert!(!world.probe().is_done());
    world.job(job, Err(IoFault::Refused));
    assert!(world.probe().is_done());
    let heard: Vec<(&str, bool)> = world
        .said
        .iter()
        .map(|said| match said {
            ProbeSaid::Announced { url, answer, from } => {
                assert!(from.is_some());
                (url.as_str(), answer.is_ok())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(heard, [(trackers[0], true), (trackers[1], false), (trackers[2], false)]);
    let ProbeSaid::Announced { answer: Err(why), .. } = &world.said[1] else { panic!("it refused") };
    assert_eq!(why, "the tracker refuses: go away");
}

#[test]
fn a_host_of_both_families_is_announced_to_by_both_with_the_port_of_each() {
    let mut world = World::new(&["http://both.example/announce"], Asked::Announce(request()));
    let (job, host) = world.lookups.remove(0);
    assert_eq!(host, "both.example");
    let addrs = vec!["1.1.1.1".parse().unwrap(), "2a00::1".parse().unwrap()];
    world.job(job, Ok(JobResult::Resolved(addrs)));
    let ports: Vec<(bool, u16)> = world
        .http
        .iter()
        .map(|(_, request)| {
            let query = request.path.split_once('?').expect("a query").1;
            (request.to.is_ipv6(), parse_announce(query.as_bytes()).expect("an announce").request.port)
        })
        .collect();
    assert_eq!(ports, [(false, 4004), (true, 6006)]);
    world.answer(encode_response(&response(10), &[], PeersForm::Compact));
    world.answer(encode_response(&response(20), &[], PeersForm::Compact));
    assert_eq!(world.said.len(), 2);
    assert!(world.probe().is_done());
}

#[test]
fn by_udp_and_a_silent_one_is_given_up() {
    let mut world = World::new(&["udp://1.1.1.1:80", "udp://1.1.1.2:80"], Asked::Announce(request()));
    world.hear(connected);
    let (_, silent) = world.datagrams.remove(0);
    assert_eq!(silent.len(), 16);
    let peer: Target = Target::Addr("9.9.9.9:9".parse().unwrap());
    world.hear(|request| {
        assert!(matches!(request, UdpRequest::Announce { .. }));
        UdpResponse::Announced(AnnounceResponse { peers: vec![peer.clone()], ..response(7) })
    });
    let ProbeSaid::Announced { answer: Ok(answer), .. } = &world.said[0] else { panic!("it answered") };
    assert_eq!(answer.peers, [peer]);
    let began = world.now;
    world.sleep();
    assert_eq!(world.now, began + Duration::from_secs(15));
    assert!(world.probe().is_done());
    assert!(matches!(&world.said[1], ProbeSaid::Announced { answer: Err(_), .. }));
}

#[test]
fn scrapes_by_both_protocols() {
    let hashes = vec![InfoHash([1; 20]), InfoHash([2; 20])];
    let trackers = ["http://1.1.1.1/announce", "udp://1.1.1.2:80/announce", "http://1.1.1.3/other"];
    let mut world = World::new(&trackers, Asked::Scrape(hashes.clone()));
    let (_, request) = &world.http[0];
    assert_eq!(parse_scrape(request.path.split_once('?').expect("a query").1.as_bytes(), 9), Ok(hashes.clone()));
    let counts = ScrapeCounts { complete: 1, downloaded: 2, incomplete: 3 };
    // One torrent is not known: it is missing, and nothing else.
    world.answer(encode_scrape(&[(hashes[1], counts)]));
    world.hear(connected);
    world.hear(|_| UdpResponse::Scraped(vec![counts, ScrapeCounts::default()]));
    assert!(world.probe().is_done());
    let scraped = |said: &ProbeSaid| match said {
        ProbeSaid::Scraped { url, counts, failure } => (url.clone(), counts.clone(), failure.is_some()),
        other => panic!("{other:?}"),
    };
    let mut heard: Vec<_> = world.said.iter().map(scraped).collect();
    heard.sort();
    assert_eq!(
        heard,
        [
            (trackers[0].into(), vec![(hashes[1], counts)], false),
            (trackers[2].into(), vec![], true),
            (trackers[1].into(), vec![(hashes[0], counts), (hashes[1], ScrapeCounts::default())], false),
        ]
    );
}

#[test]
fn no_more_at_once_than_may_be_and_bad_urls_are_told() {
    let announce = AnnounceConfig { max_asks: 2, ..AnnounceConfig::default() };
    let trackers = [
        "http://1.1.1.1/announce",
        "http://1.1.1.1/announce",
        "gopher://1.1.1.1/",
        "http://1.1.1.2/announce?port=25",
        "http://1.1.1.3/announce",
        "http://1.1.1.4/announce",
    ];
    let mut world = World::with(&trackers, Asked::Announce(request()), announce);
    assert_eq!(world.said.len(), 2, "the scheme, and what is ours to say: {:?}", world.said);
    assert_eq!(world.http.len(), 2);
    world.answer(encode_failure("no", None));
    assert_eq!(world.http.len(), 2, "the next one has its turn");
    world.answer(encode_failure("no", None));
    world.answer(encode_failure("no", None));
    assert!(world.probe().is_done());
    assert_eq!(world.said.len(), 5);
}

#[test]
fn giving_up_says_so_for_each() {
    let announce = AnnounceConfig { max_asks: 1, ..AnnounceConfig::default() };
    let trackers = ["http://1.1.1.1/announce", "http://1.1.1.2/announce"];
    let mut world = World::with(&trackers, Asked::Announce(request()), announce);
    world.call(|probe, cx| probe.as_mut().expect("it has begun").cancel(cx));
    assert!(world.probe().is_done());
    assert_eq!(world.said.len(), 2);
}
