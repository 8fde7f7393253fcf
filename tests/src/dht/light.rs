//! Nodes in a few lines, honest and hostile.

use parcacik_core::dht::NodeId;
use parcacik_core::dht::krpc::{Body, Contact, Message, Method, Response};
use parcacik_core::rng::Rng;
use parcacik_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

/// What a hostile node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// It names its own kind only, and peers that do not exist.
    Capture,
    /// It says nothing.
    Silence,
    /// It invents nodes, close to whatever is asked for, and none answers.
    Invent,
    /// It seems to store, and has nothing.
    Swallow,
}

impl Trick {
    /// All of them.
    pub const ALL: [Trick; 4] = [Trick::Capture, Trick::Silence, Trick::Invent, Trick::Swallow];
}

/// A node in a few lines.
#[derive(Clone, Debug)]
pub struct Light {
    /// What it is called, and where it is.
    pub me: Contact,
    /// What it does, when it is hostile.
    pub trick: Option<Trick>,
    /// Whom it knows: for each number of bits in common, eight at the most.
    pub known: Vec<Contact>,
    /// Of a hostile one: its own kind.
    pub friends: Vec<Contact>,
    /// Who has announced what here.
    pub peers: BTreeMap<NodeId, BTreeSet<SocketAddr>>,
}

/// How many nodes a light one knows of each number of bits in common, and names.
const K: usize = 8;

impl Light {
    /// One that knows nobody.
    pub fn new(me: Contact, trick: Option<Trick>) -> Light {
        Light { me, trick, known: Vec::new(), friends: Vec::new(), peers: BTreeMap::new() }
    }

    pub(super) fn datagram(&mut self, _: Time, from: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let message = Message::parse(bytes).ok()?;
        let Body::Query(query) = message.body else { return None };
        if self.trick == Some(Trick::Silence) {
            return None;
        }
        let mut response = Response::new(self.me.id);
        let token = token(from);
        match query.method {
            Method::FindNode { target, .. } => response.nodes = Some(self.closest(target)),
            Method::GetPeers { info_hash, .. } => {
                let target = NodeId::from(info_hash);
                response.nodes = Some(self.closest(target));
                response.token = Some(&token);
                response.values = match self.trick {
                    None => self.peers.get(&target).map(|peers| peers.iter().copied().take(50).collect()),
                    Some(Trick::Capture) => Some(no_peers(&self.me)),
                    Some(_) => None,
                };
            }
            Method::AnnouncePeer { info_hash, port, implied_port, token: said, .. } => {
                if said != token {
                    return None;
                }
                if self.trick.is_none() {
                    let peer = SocketAddr::new(from.ip(), if implied_port { from.port() } else { port });
                    self.peers.entry(info_hash.into()).or_default().insert(peer);
                }
            }
            _ => {}
        }
        let mut answer = Message::response(message.transaction, response);
        answer.ip = Some(from);
        Some(answer.encode())
    }

    fn closest(&self, target: NodeId) -> Vec<Contact> {
        let mut all = match self.trick {
            Some(Trick::Capture) => self.friends.clone(),
            Some(Trick::Invent) => return invented(&self.me, target),
            _ => self.known.clone(),
        };
        all.sort_unstable_by_key(|contact| contact.id.distance(target));
        all.truncate(K);
        all
    }
}

fn token(from: SocketAddr) -> [u8; 4] {
    match from {
        SocketAddr::V4(v4) => v4.ip().octets().map(|byte| byte ^ 0x5a),
        SocketAddr::V6(v6) => (v6.ip().to_bits() as u32).to_be_bytes(),
    }
}

/// Peers that do not exist: in 24/8, where no host of a simulated network is.
fn no_peers(me: &Contact) -> Vec<SocketAddr> {
    let salt = u32::from_be_bytes([me.id.0[16], me.id.0[17], me.id.0[18], 0]) & 0xff_ffff;
    (0..50u32).map(|n| SocketAddr::from((Ipv4Addr::from(0x1800_0000 | (salt ^ (n * 7919))), 6881))).collect()
}

/// Nodes that do not exist, in 25/8, closer and closer to a key; their ids fit their addresses as far as chance has it.
fn invented(me: &Contact, target: NodeId) -> Vec<Contact> {
    let salt = u32::from_be_bytes([0, me.id.0[17], me.id.0[18], me.id.0[19]]);
    (0..16u32)
        .map(|n| {
            let mut id = target;
            let byte = 2 + n as usize % 16;
            id.0[byte] ^= 1 + (n as u8);
            id.0[19] = n as u8;
            let ip = Ipv4Addr::from(0x1900_0000 | ((salt.wrapping_mul(2_654_435_761) ^ (n * 65_537)) & 0xff_ffff));
            Contact { id, addr: SocketAddr::from((ip, 6881)) }
        })
        .collect()
}

/// Whom each node of a settled network knows: of each number of bits in common with it, eight at the most, drawn from all that
/// there are. The list is in the order of `all`.
pub fn acquaint(all: &[Contact], rng: &mut Rng) -> Vec<Vec<Contact>> {
    let mut sorted: Vec<Contact> = all.to_vec();
    sorted.sort_unstable_by_key(|contact| contact.id);
    // The range of the sorted list that begins with the first `bits` bits of an id, of which the last is turned over.
    let range = |id: NodeId, bits: u32| {
        let other = id.with_bit_flipped(bits);
        let low = NodeId(masked(other, bits + 1, 0));
        let high = NodeId(masked(other, bits + 1, 0xff));
        sorted.partition_point(|contact| contact.id < low)..sorted.partition_point(|contact| contact.id <= high)
    };
    all.iter()
        .map(|me| {
            let mut known = Vec::new();
            for bits in 0..NodeId::BITS {
                let range = range(me.id, bits);
                if range.len() <= K {
                    known.extend(sorted[range].iter().copied());
                } else {
                    let mut taken = BTreeSet::new();
                    while taken.len() < K {
                        taken.insert(range.start + rng.index(range.len()));
                    }
                    known.extend(taken.into_iter().map(|at| sorted[at]));
                }
                // Nobody is closer than the closest.
                let rest = sorted.partition_point(|contact| contact.id < NodeId(masked(me.id, bits + 1, 0)))
                    ..sorted.partition_point(|contact| contact.id <= NodeId(masked(me.id, bits + 1, 0xff)));
                if rest.len() <= 1 {
                    break;
                }
            }
            known
        })
        .collect()
}

/// The first `bits` bits of an id, and then those of `rest` over and over.
fn masked(id: NodeId, bits: u32, rest: u8) -> [u8; 20] {
    let mut bytes = id.0;
    for (at, byte) in (0u32..).zip(&mut bytes) {
        let given = bits.saturating_sub(at * 8).min(8);
        let mask = (0xff00u32 >> given) as u8;
        *byte = (*byte & mask) | (rest & !mask);
    }
    bytes
}
