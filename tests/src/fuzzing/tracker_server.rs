//! A tracker server under any requests.

use core::net::{Ipv4Addr, SocketAddr};
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use parcacik_core::tracker::server::TrackerServer;

/// One input.
pub fn run(input: &[u8]) {
    let mut server = TrackerServer::new(Default::default(), &Seeds::for_tests(1));
    for (index, request) in input.split(|&byte| byte == b'\n').enumerate() {
        let now = Time::from_secs(index as u64 * 60);
        let from = SocketAddr::from((Ipv4Addr::new(192, 0, 2, index as u8), 6881));
        let _ = server.http(now, from, request);
        if let Some(answer) = server.udp(now, from, request) {
            // A tracker must not be of use to somebody who floods others in our name.
            assert!(answer.len() <= request.len() || request.len() >= 16, "an answer to a stub");
        }
        server.tick(now);
    }
}
