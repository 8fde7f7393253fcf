//! Trackers as the session sees them: when it announces, in which order, what it asks by command, whom it believes.

use super::*;
use crate::border::{AnnounceEvent, AnnounceOnce, CloseReason, HttpRequest, HttpResponse, InfoHash, RemoveFiles};
use crate::tracker::http::{encode_scrape, parse_announce};
use crate::tracker::{ScrapeCounts, TrackerState};
use std::format;
use std::string::{String, ToString};

/// A torrent with trackers, a tier each.
fn torrent(salt: u8, private: bool, trackers: &[&str]) -> Bytes {
    let info = encode_dict(|info| {
        info.int("length", 20_000).bytes("name", "x").int("piece length", 16_384).bytes("pieces", [salt; 40]);
        if private {
            info.int("private", 1);
        }
    });
    let file = encode_dict(|file| {
        file.list("announce-list", |tiers| {
            for url in trackers {
                tiers.list(|tier| _ = tier.bytes(*url));
            }
        });
        file.raw("info", &info);
    });
    file.into()
}

/// The HTTP requests among actions.
fn http(actions: &Actions) -> Vec<(JobId, HttpRequest)> {
    let list = actions.list.iter();
    let asked = list.filter_map(|action| match action {
        Action::Start { job, work: Work::Http(request) } => Some((*job, request.clone())),
        _ => None,
    });
    asked.collect()
}

fn event(request: &HttpRequest) -> Option<AnnounceEvent> {
    parse_announce(request.path.split_once('?').expect("a query").1.as_bytes()).expect("an announce").request.event
}

fn body(text: &[u8]) -> Result<JobResult, IoFault> {
    let body = Bytes::copy_from_slice(text);
    Ok(JobResult::Http(HttpResponse { status: 200, location: None, retry_after: None, body }))
}

fn peers(bytes: &[u8]) -> Result<JobResult, IoFault> {
    let mut text = format!("d8:intervali1800e5:peers{}:", bytes.len()).into_bytes();
    text.extend_from_slice(bytes);
    text.push(b'e');
    body(&text)
}

impl Rig {
    /// Adds a torrent, serves its disk, and gives the HTTP requests that are under way then.
    fn begin(&mut self, file: Bytes) -> Vec<(JobId, HttpRequest)> {
        let added = self.command(Command::Add(Box::new(AddTorrent {
            goal: SeedGoal::Forever,
            ..AddTorrent::new(file, RootId(0))
        })));
        self.disk(added)
    }

    /// Answers what the disk is asked, and gives the HTTP requests.
    fn disk(&mut self, actions: Actions) -> Vec<(JobId, HttpRequest)> {
        let (mut asked, mut todo) = (vec![], vec![actions]);
        while let Some(actions) = todo.pop() {
            asked.extend(http(&actions));
            for action in &actions.list {
                let Action::Start { job, work } = action else { continue };
                let result = match work {
                    Work::Http(_) | Work::Resolve { .. } => continue,
                    Work::Load { .. } => JobResult::Loaded(vec![]),
                    Work::Check { .. } | Work::Sync { .. } => {
                        JobResult::Checked { files: vec![None], part: None, free: None }
                    }
                    _ => JobResult::Done,
                };
                todo.push(self.tell(Event::JobDone { job: *job, result: Ok(result) }));
            }
        }
        asked
    }

    fn done(&mut self, job: JobId, result: Result<JobResult, IoFault>) -> Actions {
        self.tell(Event::JobDone { job, result })
    }

    fn states(&self) -> Vec<TrackerState> {
        self.session.torrent(TorrentId(0)).unwrap().trackers().map(|tracker| tracker.state).collect()
    }
}

const ONE: &str = "http://9.9.9.1/announce";
const TWO: &str = "http://9.9.9.2/announce";

/// "No announces when not listening": not before the port of each socket is known, either.
#[test]
fn nothing_is_announced_before_peers_can_reach_us() {
    let mut rig = Rig::new(|_| ());
    assert!(rig.begin(torrent(1, false, &[ONE])).is_empty());
    assert_eq!(rig.states(), [TrackerState::Untried]);
    let (tcp, udp, local) = (SocketId(1), SocketId(2), addr("0.0.0.0:6881"));
    rig.command(Command::Listen { tcp, udp: Some(udp), lsd: None, dht: false, addr: local, device: None });
    assert!(http(&rig.tell(Event::Bound { sock: tcp, local })).is_empty(), "UDP is still being opened");
    let asked = http(&rig.tell(Event::Bound { sock: udp, local }));
    let [(_, request)] = &asked[..] else { panic!("{asked:?}") };
    assert!(request.path.contains("&port=6881&"));
    assert_eq!(rig.states(), [TrackerState::Asking]);
}

/// libtorrent's `max_concurrent_http_announces`: the others wait, whoever waits longest has the next place, and those that have
/// something to tell go before those that only ask again.
#[test]
fn announces_of_many_torrents_are_spread_and_fair() {
    let mut rig = Rig::new(|config| {
        config.session.max_http_announces = 3;
        config.session.announces_per_second = 1000;
    });
    rig.listen(1, "0.0.0.0:6881");
    let mut under_way: Vec<(JobId, HttpRequest)> = vec![];
    for salt in 0..10 {
        under_way.extend(rig.begin(torrent(salt, false, &[ONE])));
        assert!(under_way.len() <= 3);
        assert_eq!(rig.session.shared().http_announces as usize, under_way.len());
    }
    let owner = |job: JobId| job.owner() - 1;
    let mut order: Vec<u32> = under_way.iter().map(|(job, _)| owner(*job)).collect();
    while !under_way.is_empty() {
        let (job, _) = under_way.remove(0);
        let next = http(&rig.done(job, peers(b"")));
        order.extend(next.iter().map(|(job, _)| owner(*job)));
        under_way.extend(next);
        assert!(under_way.len() <= 3);
    }
    assert_eq!(order, (0..10).collect::<Vec<_>>());
    assert_eq!(rig.session.shared().http_announces, 0);
    // All want to again at about the same time; the user's wish goes before.
    let mut asked = http(&rig.wait(Duration::from_secs(1801)));
    assert_eq!(asked.len(), 3);
    assert!(http(&rig.command(Command::Reannounce { torrent: TorrentId(9), force: true })).is_empty());
    let (job, _) = asked.remove(0);
    let next = http(&rig.done(job, peers(b"")));
    assert_eq!(next.iter().map(|(job, _)| owner(*job)).collect::<Vec<_>>(), [9]);
    // A torrent that goes gives its place back.
    let gone = rig.command(Command::Remove { torrent: TorrentId(owner(asked[0].0)), files: RemoveFiles::Keep });
    assert!(rig.session.shared().http_announces <= 3, "{gone:?}");
}

#[test]
fn so_many_announces_begin_in_a_second_and_no_more() {
    let mut rig = Rig::new(|config| config.session.announces_per_second = 4);
    rig.listen(1, "0.0.0.0:6881");
    let asked: usize = (0..10).map(|salt| rig.begin(torrent(salt, false, &[ONE])).len()).sum();
    assert_eq!(asked, 4);
    assert_eq!(http(&rig.wait(Duration::from_secs(1))).len(), 4);
    assert_eq!(http(&rig.wait(Duration::from_secs(1))).len(), 2);
}

#[test]
fn trackers_are_changed_and_asked_by_command() {
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "0.0.0.0:6881");
    let asked = rig.begin(torrent(1, false, &[ONE]));
    rig.done(asked[0].0, peers(b""));
    let torrent = TorrentId(0);
    let more = rig.command(Command::AddTrackers { torrent, tiers: vec![vec![TWO.into(), "ftp://x/".into()]] });
    assert!(
        matches!(&more.notices[..], [Notice::TrackerFailed { url, retry: None, .. }, Notice::CommandDone { .. }]
            if url == "ftp://x/"),
        "{more:?}"
    );
    assert_eq!(rig.states(), [TrackerState::Working, TrackerState::Untried]);
    let other = rig.command(Command::ReplaceTrackers { torrent, tiers: vec![vec![TWO.into()]] });
    let told: Vec<_> = http(&other).iter().map(|(_, request)| (request.to.ip().to_string(), event(request))).collect();
    let (stopped, started) = (Some(AnnounceEvent::Stopped), Some(AnnounceEvent::Started));
    assert_eq!(told, [("9.9.9.1".to_string(), stopped), ("9.9.9.2".to_string(), started)]);
    let nobody = TorrentId(7);
    for command in [
        Command::AddTrackers { torrent: nobody, tiers: vec![] },
        Command::ReplaceTrackers { torrent: nobody, tiers: vec![] },
        Command::Reannounce { torrent: nobody, force: true },
        Command::ScrapeTorrent { torrent: nobody },
    ] {
        let told = rig.command(command).notices;
        assert!(
            matches!(told[..], [Notice::CommandFailed { error: CommandError::NoSuchTorrent, .. }]),
            "answered once: {told:?}"
        );
    }
}

#[test]
fn scrapes_are_answered_for_each_tracker_and_kept_in_the_view() {
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "0.0.0.0:6881");
    let asked = rig.begin(torrent(1, false, &[ONE, TWO]));
    rig.done(asked[0].0, peers(b""));
    let asked = http(&rig.command(Command::ScrapeTorrent { torrent: TorrentId(0) }));
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|(_, request)| request.path.starts_with("/scrape?info_hash=")));
    let hash = InfoHash(rig.hash());
    let counts = ScrapeCounts { complete: 5, downloaded: 70, incomplete: 9 };
    let first = rig.done(asked[0].0, body(&encode_scrape(&[(hash, counts)])));
    assert!(
        matches!(&first.notices[..], [Notice::Scraped { counts: told, failure: None, .. }] if told[..] == [(hash, counts)])
    );
    let second = rig.done(asked[1].0, Err(IoFault::Refused));
    assert!(
        matches!(&second.notices[..], [Notice::Scraped { failure: Some(_), .. }, Notice::CommandDone { .. }]),
        "{second:?}"
    );
    let view: Vec<_> = rig.session.torrent(TorrentId(0)).unwrap().trackers().collect();
    assert_eq!((view[0].complete, view[0].downloaded, view[0].incomplete), (Some(5), Some(70), Some(9)));
    assert_eq!((view[1].complete, view[0].state), (None, TrackerState::Working));
    // Torrents that are not here are asked for too.
    let stranger = vec![InfoHash([3; 20])];
    let asked = http(&rig.command(Command::Scrape { trackers: vec![ONE.into()], torrents: stranger }));
    assert_eq!(asked.len(), 1);
    // Stopping ends it, answered.
    let stopped = rig.command(Command::Shutdown);
    assert!(stopped.notices.iter().any(|notice| matches!(notice, Notice::Scraped { failure: Some(_), .. })));
}

/// BEP 27: the private torrent is known to the tracker in use only.
#[test]
fn a_private_torrent_scrapes_the_tracker_in_use_only() {
    let mut rig = Rig::new(|config| config.announce.all_trackers = true);
    rig.listen(1, "0.0.0.0:6881");
    let asked = rig.begin(torrent(1, true, &[ONE, TWO]));
    assert_eq!(asked.len(), 1, "and announces to it only, also where all are to be announced to");
    rig.done(asked[0].0, peers(b""));
    let asked = http(&rig.command(Command::ScrapeTorrent { torrent: TorrentId(0) }));
    let at: Vec<String> = asked.iter().map(|(_, request)| request.to.ip().to_string()).collect();
    assert_eq!(at, ["9.9.9.1"]);
}

/// BEP 27: "the peer MUST disconnect from all current peers and connect only to those provided from the new tracker".
#[test]
fn a_private_torrent_forgets_the_peers_of_the_tracker_it_leaves() {
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "0.0.0.0:6881");
    let asked = rig.begin(torrent(1, true, &[ONE, TWO]));
    let mine = Target::Addr(addr("8.8.8.8:8888"));
    rig.command(Command::AddPeers { torrent: TorrentId(0), peers: vec![mine] });
    let named = rig.done(asked[0].0, peers(b"\x01\x02\x03\x04\x1a\xe1\x01\x02\x03\x05\x1a\xe1"));
    let [first, second] = dials(&named)[..] else { panic!("{named:?}") };
    let (tcp, local, remote) = (TcpId(1), addr("192.0.2.1:1024"), addr("1.2.3.4:6881"));
    rig.tell(Event::Connected { dial: first, tcp, local, remote });
    assert_eq!(rig.session.torrent(TorrentId(0)).unwrap().peer_list(rig.now).len(), 1);
    // The first tracker fails, the second one answers.
    let asked = http(&rig.wait(Duration::from_secs(1800)));
    let asked = http(&rig.done(asked[0].0, Err(IoFault::Refused)));
    let switched = rig.done(asked[0].0, peers(b"\x01\x02\x03\x06\x1a\xe1"));
    let closed = switched
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::PeerClosed { reason: CloseReason::TrackerSwitched, .. }));
    assert!(closed.count() <= 1);
    let to: Vec<SocketAddr> = switched
        .list
        .iter()
        .filter_map(|action| match action {
            Action::Dial { to: Target::Addr(to), .. } => Some(*to),
            _ => None,
        })
        .collect();
    assert!(to.contains(&addr("1.2.3.6:6881")), "{switched:?}");
    for _ in 0..40 {
        let later = rig.wait(Duration::from_secs(60));
        let again = later.list.iter().any(|action| {
            matches!(action, Action::Dial { to: Target::Addr(to), .. } if to.ip().to_string().starts_with("1.2.3.4")
                || to.ip().to_string().starts_with("1.2.3.5"))
        });
        assert!(!again, "what the old tracker named is not dialled any more");
    }
    // A dial that was under way leads nowhere.
    let late = rig.tell(Event::Connected { dial: second, tcp: TcpId(2), local, remote });
    assert_eq!(closes(&late), [TcpId(2)]);
}

/// Peers that come by themselves are let in, in a private torrent as well (as by libtorrent): they know its hash from its
/// tracker, which has named us to them.
#[test]
fn a_private_torrent_lets_in_who_comes() {
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "0.0.0.0:6881");
    rig.begin(torrent(1, true, &[ONE]));
    let hash = rig.hash();
    rig.accept(1);
    rig.handshake(1, hash, 7);
    assert_eq!(rig.session.shared().peers, 1);
}

#[test]
fn an_announce_without_a_torrent_and_its_stopped_are_by_the_same_peer() {
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "0.0.0.0:6881");
    let once = |event| {
        Command::Announce(Box::new(AnnounceOnce {
            trackers: vec![ONE.into()],
            info_hash: InfoHash([5; 20]),
            event,
            left: 7,
            num_want: Some(30),
        }))
    };
    let asked = http(&rig.command(once(None)));
    let told = rig.done(asked[0].0, peers(b"\x01\x02\x03\x04\x1a\xe1"));
    let [Notice::Announced { answer: Ok(answer), from, .. }, Notice::CommandDone { .. }] = &told.notices[..] else {
        panic!("{told:?}")
    };
    assert_eq!((answer.peers.len(), answer.interval), (1, Some(1800)));
    assert_eq!(*from, Some("9.9.9.1".parse().unwrap()));
    assert!(dials(&told).is_empty(), "they are only shown");
    let again = http(&rig.command(once(Some(AnnounceEvent::Stopped))));
    let who = |request: &HttpRequest| {
        let said = parse_announce(request.path.split_once('?').expect("a query").1.as_bytes()).expect("an announce");
        (said.request.peer_id, said.request.key, said.request.port)
    };
    assert_eq!(who(&asked[0].1), who(&again[0].1));
    assert_eq!(who(&asked[0].1).2, 6881);
    assert_eq!(event(&again[0].1), Some(AnnounceEvent::Stopped));
    // A URL that leads to this machine on the user's own word is asked.
    let local = Command::Scrape { trackers: vec!["http://127.0.0.1:9/announce".into()], torrents: vec![] };
    assert!(rig.command(local).notices.iter().any(|notice| matches!(notice, Notice::CommandDone { .. })));
}

#[test]
fn too_many_questions_at_once_are_refused() {
    let mut rig = Rig::new(|_| ());
    let ask = Command::Scrape { trackers: vec![ONE.into()], torrents: vec![InfoHash([5; 20])] };
    for _ in 0..16 {
        assert!(rig.command(ask.clone()).notices.is_empty());
    }
    let refused = rig.command(ask).notices;
    assert!(matches!(refused[..], [Notice::CommandFailed { error: CommandError::Limit, .. }]), "{refused:?}");
}

/// BEP 24 by two trackers: one alone is not believed; then it is our address in every torrent.
#[test]
fn our_address_is_what_two_networks_say_in_all_torrents() {
    let mut rig = Rig::new(|_| ());
    rig.listen(1, "0.0.0.0:6881");
    let mut answer = b"d11:external ip4:\x2c\x00\x00\x01".to_vec();
    answer.extend_from_slice(b"8:intervali1800e5:peers0:e");
    let first = rig.begin(torrent(1, false, &[ONE]));
    let told = rig.done(first[0].0, body(&answer));
    assert!(!told.notices.iter().any(|notice| matches!(notice, Notice::ExternalAddress { .. })), "one alone");
    assert_eq!(rig.session.external_ip(false), None);
    let second = rig.begin(torrent(2, false, &["http://9.9.8.1/announce"]));
    let told = rig.done(second[0].0, body(&answer));
    let ip = "44.0.0.1".parse().unwrap();
    assert!(told.notices.contains(&Notice::ExternalAddress { v6: false, ip: Some(ip) }), "{told:?}");
    assert_eq!(rig.session.external_ip(false), Some(ip));
    // A third torrent is told of ourselves: nobody is dialled.
    let third = rig.begin(torrent(3, false, &["http://9.9.7.1/announce"]));
    let told = rig.done(third[0].0, peers(b"\x2c\x00\x00\x01\x1a\xe1"));
    assert!(dials(&told).is_empty(), "{told:?}");
    // Elsewhere we are somebody else.
    let told = rig.tell(Event::InterfacesChanged);
    assert_eq!(told.notices, [Notice::ExternalAddress { v6: false, ip: None }]);
    assert_eq!(rig.session.external_ip(false), None);
}
