//! What both stores are held against: plain books.

mod items;
mod peers;

use crate::dht::NodeId;
use crate::rng::{Rng, Seeds, Stream};
use core::net::IpAddr;

const OWN: NodeId = NodeId([0; 20]);

fn rng() -> Rng {
    Seeds::for_tests(3).decisions(Stream::Dht, 0)
}

fn ip(n: u32) -> IpAddr {
    IpAddr::V4((0x0a00_0000 + n).into())
}

/// A key whose distance to [`OWN`] grows with `n`.
fn key(n: u8) -> NodeId {
    let mut key = [0; 20];
    key[0] = n;
    key[19] = 1;
    NodeId(key)
}
