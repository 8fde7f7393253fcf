//! A tracker's server under UDP packets: it answers only who has shown its address, never with more bytes than that one has earned,
//! and its tables keep their limits.
//!
//! The input is a list of (length, who, packet). A packet whose first byte is odd begins with the connection id that this one was given.

use core::net::{Ipv4Addr, SocketAddr};
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use parcacik_core::tracker::server::{ServerConfig, TrackerServer};
use parcacik_core::tracker::udp::{UdpRequest, UdpResponse};
use std::collections::BTreeMap;

/// One input.
pub fn run(input: &[u8]) {
    let config = ServerConfig::default();
    let mut server = TrackerServer::new(config.clone(), &Seeds::for_tests(1));
    let mut given: BTreeMap<SocketAddr, u64> = BTreeMap::new();
    let (mut now, mut input) = (Time::ZERO, input);
    while let [length, who, rest @ ..] = input {
        let (packet, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        input = rest;
        now = now + core::time::Duration::from_secs(u64::from(*who));
        let from = SocketAddr::from((Ipv4Addr::new(192, 0, 2, who % 8), 6881));
        let mut packet = packet.to_vec();
        if packet.first().is_some_and(|first| first % 2 == 1)
            && let (Some(id), Some(head)) = (given.get(&from), packet.first_chunk_mut::<8>())
        {
            *head = id.to_be_bytes();
        }
        let answer = server.udp(now, from, &packet);
        if let Some(answer) = &answer {
            match UdpRequest::decode(&packet) {
                Some(UdpRequest::Connect { transaction }) => {
                    assert!(answer.len() <= packet.len(), "no more than was sent, to who may not be the sender");
                    let read = UdpResponse::decode(answer, false, 200, 200);
                    let Some((echo, UdpResponse::Connected { connection })) = read else { panic!("{read:?}") };
                    assert_eq!(echo, transaction);
                    given.insert(from, connection);
                }
                // Whoever has no id of ours is told at most that it is wrong.
                _ if !given.contains_key(&from) => assert!(answer.len() <= packet.len().max(32)),
                _ => {}
            }
        }
        server.tick(now);
        assert!(server.deadline().is_none_or(|due| due > now));
    }
}
