//! What is kept of a node between two runs: its id, and whom it knew.
//!
//! ```text
//! magic "PkDhtNod" | version u16 | family u16: 4 or 6 | own id 20 | count u32
//! | for each node: id 20, address 4 or 16, port u16 | SHA-256 of all before
//! ```
//!
//! Numbers are big-endian. There is one way to write given data, and [`Saved::parse`] refuses every other. Nothing in it is
//! trusted: whom a node knew is asked before it is known again.

use crate::dht::NodeId;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"PkDhtNod";
const VERSION: u16 = 1;
const HEAD: usize = 8 + 2 + 2 + 20 + 4;
const SUM: usize = 32;

/// What is kept of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its own id.
    pub id: NodeId,
    /// Whether it is a node of IPv6.
    pub v6: bool,
    /// Whom it knew: id and address, all of its family.
    pub nodes: Vec<(NodeId, SocketAddr)>,
}

/// Why stored bytes are no node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedError {
    /// They do not begin as they should, or not all are there.
    NotANode,
    /// Another version wrote them.
    Version(u16),
    /// The checksum is wrong: damaged.
    Damaged,
    /// There are more nodes than the limit.
    TooMany,
}

impl fmt::Display for SavedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SavedError::NotANode => f.write_str("not the state of a DHT node"),
            SavedError::Version(version) => {
                write!(f, "the state of a DHT node in version {version}, which is not known")
            }
            SavedError::Damaged => f.write_str("the state of a DHT node is damaged: its checksum is wrong"),
            SavedError::TooMany => f.write_str("the state of a DHT node has too many nodes"),
        }
    }
}

impl core::error::Error for SavedError {}

impl Saved {
    /// Writes it. Nodes of the other family are left out.
    pub fn encode(&self) -> Vec<u8> {
        let nodes: Vec<_> = self.nodes.iter().filter(|(_, addr)| addr.is_ipv6() == self.v6).collect();
        let mut out = Vec::with_capacity(HEAD + nodes.len() * node_length(self.v6) + SUM);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&family(self.v6).to_be_bytes());
        out.extend_from_slice(&self.id.0);
        // A list in memory has fewer.
        out.extend_from_slice(&(nodes.len() as u32).to_be_bytes());
        for (id, addr) in nodes {
            out.extend_from_slice(&id.0);
            match addr.ip() {
                IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
            }
            out.extend_from_slice(&addr.port().to_be_bytes());
        }
        let sum = Sha256::digest(&out);
        out.extend_from_slice(&sum);
        out
    }

    /// Reads stored bytes, of at most `max_nodes`. Allocates no more than a small multiple of them.
    ///
    /// # Errors
    /// Anything that [`encode`](Saved::encode) does not write.
    pub fn parse(bytes: &[u8], max_nodes: u32) -> Result<Saved, SavedError> {
        let (body, sum) = bytes.split_last_chunk::<SUM>().ok_or(SavedError::NotANode)?;
        let (head, list) = body.split_first_chunk::<HEAD>().ok_or(SavedError::NotANode)?;
        let (magic, head) = head.split_first_chunk::<8>().ok_or(SavedError::NotANode)?;
        if magic != MAGIC {
            return Err(SavedError::NotANode);
        }
        let (version, head) = head.split_first_chunk::<2>().ok_or(SavedError::NotANode)?;
        let version = u16::from_be_bytes(*version);
        if version != VERSION {
            return Err(SavedError::Version(version));
        }
        if *sum != *Sha256::digest(body) {
            return Err(SavedError::Damaged);
        }
        let (of, head) = head.split_first_chunk::<2>().ok_or(SavedError::NotANode)?;
        let v6 = match u16::from_be_bytes(*of) {
            4 => false,
            6 => true,
            _ => return Err(SavedError::NotANode),
        };
        let (id, count) = head.split_first_chunk::<20>().ok_or(SavedError::NotANode)?;
        let count = u32::from_be_bytes(count.try_into().map_err(|_| SavedError::NotANode)?);
        if count > max_nodes {
            return Err(SavedError::TooMany);
        }
        let length = node_length(v6);
        if list.len() as u64 != u64::from(count) * length as u64 {
            return Err(SavedError::NotANode);
        }
        let nodes = list.chunks_exact(length).map(node).collect::<Option<Vec<_>>>().ok_or(SavedError::NotANode)?;
        Ok(Saved { id: NodeId(*id), v6, nodes })
    }
}

fn family(v6: bool) -> u16 {
    if v6 { 6 } else { 4 }
}

fn node_length(v6: bool) -> usize {
    20 + if v6 { 16 } else { 4 } + 2
}

fn node(bytes: &[u8]) -> Option<(NodeId, SocketAddr)> {
    let (id, rest) = bytes.split_first_chunk::<20>()?;
    let (ip, port) = rest.split_last_chunk::<2>()?;
    let ip = match ip.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
    };
    Some((NodeId(*id), SocketAddr::new(ip, u16::from_be_bytes(*port))))
}
