//! Trackers with addresses of both families.

use super::*;
use crate::tracker::{Way, Ways};
use core::net::IpAddr;

const V4: &str = "8.8.8.8";
const V6: &str = "2a00::1";

/// A tracker by name, resolved to an address of each family.
fn dual(url: &str, facts: impl FnOnce(&mut AnnounceFacts)) -> World {
    let mut world = World::new(&[&[url]]);
    facts(&mut world.facts);
    world.start();
    resolve(&mut world);
    world
}

fn resolve(world: &mut World) {
    let (job, _) = world.lookups.remove(0);
    let addrs = [V6, V4].map(|ip| ip.parse().unwrap()).to_vec();
    world.job(job, Ok(JobResult::Resolved(addrs)));
}

fn asked_at(world: &World) -> Vec<IpAddr> {
    world.http.iter().map(|(_, request)| request.to.ip()).collect()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// BEP 7: "An announce to the tracker should be made for each local IP address", and "the key should remain the same".
#[test]
fn both_families_are_announced_by_at_the_same_time_and_with_one_key() {
    let mut world = dual("http://t.example:8/announce", |_| {});
    assert_eq!(asked_at(&world), ips(&[V6, V4]));
    let keys: Vec<_> = world.http.iter().map(|(_, request)| parse(request).request).collect();
    assert_eq!((keys[0].key, keys[0].event), (keys[1].key, Some(AnnounceEvent::Started)));
    assert_eq!(keys[0], keys[1]);
    world.good();
    assert!(matches!(world.said[..], [TrackerSaid::Answered { .. }]), "the first answer is not kept waiting");
    world.good();
    let [_, TrackerSaid::Answered { peers, .. }] = &world.said[..] else { panic!("{:?}", world.said) };
    assert_eq!(peers.len(), 1, "and the second is not lost");
    assert_eq!(world.wait(), Duration::from_secs(1800));
    assert!(world.cancelled.is_empty());
}

#[test]
fn a_family_that_fails_does_not_make_the_tracker_failed() {
    for good_first in [true, false] {
        let mut world = dual("http://t.example:8/announce", |_| {});
        if good_first {
            world.good()
        } else {
            world.refused()
        }
        assert_eq!(world.said.len(), usize::from(good_first), "a failure is not told before the other is known");
        if good_first {
            world.refused()
        } else {
            world.good()
        }
        assert!(matches!(world.said[..], [TrackerSaid::Answered { .. }]), "{:?}", world.said);
        let state = world.announcer.status().next().map(|status| status.state);
        assert_eq!(state, Some(TrackerState::Working));
        world.stop();
        resolve(&mut world);
        assert_eq!(world.http.len(), 2, "and it is told when we stop");
    }
    let mut world = dual("http://t.example:8/announce", |_| {});
    world.refused();
    world.refused();
    assert!(matches!(world.said[..], [TrackerSaid::Failed { .. }]), "one failure for both: {:?}", world.said);
}

#[test]
fn a_family_that_never_answers_is_given_up_behind_the_other() {
    let mut world = dual("http://t.example:8/announce", |_| {});
    world.good();
    let (job, _) = world.http[0].clone();
    world.sleep();
    assert_eq!(world.cancelled, [job]);
    assert_eq!(world.now.since(Time::from_secs(1000)), world.config.announce.http_timeout);
    assert_eq!(world.said.len(), 1);
    assert!(world.http.is_empty());
    world.sleep();
    assert_eq!(world.now.since(Time::from_secs(1000)), Duration::from_secs(1800));
}

#[test]
fn each_family_goes_out_by_its_own_way() {
    let way = |port, sock, ip: &str| Some(Way { port, udp: Some(SocketId(sock)), bind_ip: Some(ip.parse().unwrap()) });
    let ways = Some(Ways { v4: way(4004, 4, "10.0.0.4"), v6: way(6006, 6, "fd00::6") });
    let world = dual("http://t.example:8/announce", |facts| facts.ways = ways);
    let out: Vec<_> =
        world.http.iter().map(|(_, request)| (request.from.unwrap(), parse(request).request.port)).collect();
    assert_eq!(out, [(ips(&["fd00::6"])[0], 6006), (ips(&["10.0.0.4"])[0], 4004)]);
    // Where we are in one family only, the other is left out.
    let world = dual("http://t.example:8/announce", |facts| facts.bind_ip = Some("10.0.0.4".parse().unwrap()));
    assert_eq!(asked_at(&world), ips(&[V4]));
    let only_v6 = Some(Ways { v4: None, v6: way(6006, 6, "fd00::6") });
    let world = dual("http://t.example:8/announce", |facts| facts.ways = only_v6);
    assert_eq!(asked_at(&world), ips(&[V6]));
    let world = dual("http://t.example:8/announce", |facts| facts.ways = Some(Ways::default()));
    assert_eq!(world.last_error(), &TrackerError::NoAddress);
}

/// A redirect stays in its family: the other one has a lane of its own.
#[test]
fn each_family_follows_redirects_for_itself() {
    let mut world = dual("http://t.example:8/announce", |_| {});
    world.answer(302, b"", Some("http://u.example:8/announce"));
    resolve(&mut world);
    assert_eq!(asked_at(&world), ips(&[V4, V6]));
    world.good();
    world.good();
    assert_eq!(world.said.len(), 2);
}

#[test]
fn udp_in_both_families() {
    let mut world = dual("udp://t.example:8/announce?pass=1", |_| {});
    for _ in 0..2 {
        let awaited: Vec<(SocketAddr, u32)> = world.announcer.awaited().collect();
        assert_eq!(awaited.len(), 2);
        assert_ne!(awaited[0].1, awaited[1].1);
        for (from, transaction) in awaited {
            let place = world.datagrams.iter().position(|(to, _)| *to == from).unwrap();
            let (_, packet) = world.datagrams.remove(place);
            let response = match UdpRequest::decode(&packet).unwrap() {
                UdpRequest::Connect { .. } => UdpResponse::Connected { connection: 7 },
                UdpRequest::Announce { url_data, .. } => {
                    // BEP 41: path and query go along.
                    assert_eq!(url_data, b"/announce?pass=1");
                    let peer = if from.is_ipv6() { "[2a00::9]:9" } else { "9.9.9.9:9" };
                    let peers = vec![crate::border::Target::Addr(peer.parse().unwrap())];
                    UdpResponse::Announced(AnnounceResponse { peers, ..AnnounceResponse::default() })
                }
                other => panic!("{other:?}"),
            };
            let packet = response.encode(transaction, from.is_ipv6());
            let mut mine = false;
            world.call(&mut |a, cx, facts| mine = a.datagram(cx, facts, from, &packet));
            assert!(mine);
        }
    }
    let peers = world.said.iter().map(|said| match said {
        TrackerSaid::Answered { peers, .. } => peers.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(peers.collect::<Vec<_>>(), [1, 1]);
    // Both connection ids are kept: the next announce needs no connect.
    world.now = world.now + Duration::from_secs(1);
    world.completed();
    resolve(&mut world);
    assert_eq!(world.datagrams.len(), 2);
    assert!(world.datagrams.iter().all(|(_, packet)| packet.len() > 90), "announces at once");
}
