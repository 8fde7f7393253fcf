//! The tracker: who is there, and whom to tell of whom.

use parcacik_core::bencode::encode_dict;
use parcacik_core::border::{JobId, JobResult};
use parcacik_core::rng::Rng;
use parcacik_core::time::Time;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port that everybody listens on.
pub(super) const PORT: u16 = 6881;

/// Where it is asked.
pub(super) const URL: &str = "http://45.255.255.1:6969/announce";

/// An announce that waits for its answer.
#[derive(Debug)]
pub(super) struct Ask {
    pub at: Time,
    pub node: u32,
    pub job: JobId,
    pub path: String,
}

/// Who is there.
#[derive(Debug)]
pub(super) struct Tracker {
    rng: Rng,
    there: Vec<u32>,
    /// Where in `there` each node is.
    place: Vec<Option<u32>>,
    contacts: usize,
}

impl Tracker {
    pub fn new(rng: Rng, nodes: u32, contacts: u32) -> Tracker {
        Tracker { rng, there: Vec::new(), place: vec![None; nodes as usize], contacts: contacts as usize }
    }

    /// Takes note of who comes and goes.
    pub fn note(&mut self, ask: &Ask) {
        let place = self.place[ask.node as usize];
        match (place, ask.path.contains("event=stopped")) {
            (None, false) => {
                self.place[ask.node as usize] = Some(self.there.len() as u32);
                self.there.push(ask.node);
            }
            (Some(place), true) => {
                self.there.swap_remove(place as usize);
                if let Some(&moved) = self.there.get(place as usize) {
                    self.place[moved as usize] = Some(place);
                }
                self.place[ask.node as usize] = None;
            }
            _ => {}
        }
    }

    /// Names others at random, each once, and not who asks.
    pub fn answer(&mut self, ask: &Ask) -> Vec<u8> {
        let mut named: Vec<u32> = Vec::new();
        let others = self.there.len() - usize::from(self.place[ask.node as usize].is_some());
        let wanted = self.contacts.min(others);
        // Few of many by drawing again; many of few by shuffling.
        if wanted * 2 < others {
            while named.len() < wanted {
                let drawn = self.there[self.rng.index(self.there.len())];
                if drawn != ask.node && !named.contains(&drawn) {
                    named.push(drawn);
                }
            }
        } else {
            named.extend(self.there.iter().filter(|&&node| node != ask.node));
            self.rng.shuffle(&mut named);
            named.truncate(wanted);
        }
        let peers: Vec<u8> = named.iter().flat_map(|&node| compact(node)).collect();
        encode_dict(|answer| {
            answer.int("interval", 1800).bytes("peers", peers);
        })
    }
}

/// The address of a node: each is in a network of its own, so that nothing is held against it for its neighbours.
pub(super) fn address(node: u32) -> SocketAddr {
    let ip = Ipv4Addr::new(45, (node >> 8) as u8, node as u8, 9);
    SocketAddr::new(IpAddr::V4(ip), PORT)
}

/// Who has an address.
pub(super) fn node_at(addr: SocketAddr) -> Option<u32> {
    match addr.ip() {
        IpAddr::V4(ip) => {
            let [first, high, low, last] = ip.octets();
            (first == 45 && last == 9).then(|| u32::from(high) << 8 | u32::from(low))
        }
        IpAddr::V6(_) => None,
    }
}

fn compact(node: u32) -> [u8; 6] {
    let mut peer = [0; 6];
    if let IpAddr::V4(ip) = address(node).ip() {
        peer[..4].copy_from_slice(&ip.octets());
    }
    peer[4..].copy_from_slice(&PORT.to_be_bytes());
    peer
}

/// The answer as a session is told it.
pub(super) fn http(body: Vec<u8>) -> JobResult {
    JobResult::Http(parcacik_core::border::HttpResponse {
        status: 200,
        location: None,
        retry_after: None,
        body: body.into(),
    })
}
