//! The announcer under any answers, packets and times: it never hurries (its deadline lies ahead after each tick), has a bounded number
//! of requests under way, tells nobody anything after it has stopped, and stopping ends in time.
//!
//! The input is a list of (operation, length, bytes).

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use parcacik_core::border::{
    Action, Actions, Config, HttpResponse, InfoHash, IoFault, IpFilter, JobId, JobResult, PeerId, SocketId, Work,
};
use parcacik_core::cx::{Cx, IdSource};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::tracker::Ledger;
use parcacik_core::tracker::announcer::{AnnounceFacts, Announcer};

/// One input.
pub fn run(input: &[u8]) {
    let (config, filter, seeds, mut ids) =
        (Config::default(), IpFilter::new(), Seeds::for_tests(1), IdSource::default());
    let urls =
        ["http://one.example/announce", "udp://two.example:6969", "https://three.example/x", "udp://192.0.2.1:7070"];
    let tiers = urls.chunks(2).map(|tier| tier.iter().map(|url| (*url).to_owned()).collect()).collect();
    let (decisions, secret) = (seeds.decisions(Stream::Announcer, 0), seeds.secrets(Stream::Announcer, 0));
    let (mut announcer, _) = Announcer::new(tiers, decisions, secret);
    let facts = AnnounceFacts {
        info_hash: InfoHash([7; 20]),
        peer_id: PeerId([8; 20]),
        port: 6881,
        ledger: Ledger::default(),
        wants_peers: true,
        udp: Some(SocketId(1)),
        bind_ip: None,
        ways: None,
        gated: false,
        partial_seed: false,
        own: [None; 2],
        private: input.first().is_some_and(|first| *first > 200),
    };
    let (mut now, mut jobs): (Time, Vec<(JobId, Work)>) = (Time::from_secs(1), Vec::new());
    let mut stop_by = None;
    let mut input = input;
    while let [operation, length, rest @ ..] = input {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        input = rest;
        let mut out = Actions::new();
        let mut cx =
            Cx { now, config: &config, filter: &filter, seeds: &seeds, out: &mut out, ids: &mut ids, owner: 1 };
        match operation % 8 {
            0 => announcer.start(&mut cx, &facts),
            1 | 2 if !jobs.is_empty() => {
                let (job, work) = jobs.swap_remove(usize::from(*length) % jobs.len());
                let result = answer(&work, bytes);
                assert!(announcer.job_done(&mut cx, &facts, job, &result), "its own job");
            }
            3 => {
                if let Some((from, transaction)) = announcer.awaiting() {
                    let mut packet = bytes.to_vec();
                    if let Some(id) = packet.get_mut(4..8) {
                        id.copy_from_slice(&transaction.to_be_bytes());
                    }
                    announcer.datagram(&mut cx, &facts, from, &packet);
                }
            }
            4 => announcer.completed(&mut cx, &facts),
            5 => announcer.need_peers(&mut cx, &facts),
            6 if *length == 1 => {
                announcer.stop(&mut cx, &facts);
                stop_by = Some(now + config.announce.stop_timeout);
            }
            _ => {
                now = now + Duration::from_secs(u64::from(*length));
                cx.now = now;
                if announcer.deadline().is_some_and(|due| due <= now) {
                    announcer.tick(&mut cx, &facts);
                    assert!(announcer.deadline().is_none_or(|due| due > now), "due again at once");
                }
            }
        }
        if operation % 8 == 0 {
            stop_by = None;
        }
        while announcer.said().is_some() {}
        for action in out.list {
            if let Action::Start { job, work } = action {
                jobs.push((job, work));
            }
        }
        assert!(jobs.len() <= 4 * urls.len() * 16, "requests pile up");
        if stop_by.is_some_and(|by| by <= now) && announcer.deadline().is_none() {
            assert!(announcer.is_stopped(), "stopping ends");
        }
    }
}

fn answer(work: &Work, bytes: &[u8]) -> Result<JobResult, IoFault> {
    match (work, bytes) {
        (_, []) => Err(IoFault::Refused),
        (Work::Resolve { .. }, &[a, b, ..]) => Ok(JobResult::Resolved(vec![
            IpAddr::V4(Ipv4Addr::new(198, 51, a, b)),
            IpAddr::V4(Ipv4Addr::new(10, 0, a, b)),
        ])),
        (Work::Http(_), [status, body @ ..]) => Ok(JobResult::Http(HttpResponse {
            status: if *status < 128 { 200 } else { 300 + u16::from(*status) },
            location: (*status > 200).then(|| String::from_utf8_lossy(body).into_owned()),
            retry_after: None,
            body: Bytes::copy_from_slice(body),
        })),
        _ => Err(IoFault::TimedOut),
    }
}
