//! Merkle trees of BEP 52.
//!
//! "the root hash of a merkle tree with a branching factor of 2, constructed from 16KiB blocks of the file. [...] The
//! remaining leaf hashes beyond the end of the file required to construct upper layers of the merkle tree are set to
//! zero."

use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// A SHA-256 hash: a node of a tree.
pub type Node = [u8; 32];

/// The hash of a node over two others.
pub fn parent(left: &Node, right: &Node) -> Node {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

/// The node of `level` that covers nothing but leaves behind the end of the file. Level 0 are the leaves.
pub fn padding(level: u32) -> Node {
    (0..level).fold([0; 32], |below, _| parent(&below, &below))
}

/// The root of the tree that has `layer` at `level`, its missing nodes on the right filled with [`padding`]. `None` for
/// an empty layer: an empty file has no tree.
pub fn root(layer: impl IntoIterator<Item = Node>, level: u32) -> Option<Node> {
    let mut nodes: Vec<Node> = layer.into_iter().collect();
    let mut pad = padding(level);
    while nodes.len() > 1 {
        if nodes.len() % 2 == 1 {
            nodes.push(pad);
        }
        nodes = nodes.chunks_exact(2).map(|pair| parent(&pair[0], &pair[1])).collect();
        pad = parent(&pad, &pad);
    }
    nodes.first().copied()
}

/// The nodes in a text of hashes, end to end; a rest of under 32 bytes is left out.
pub(super) fn nodes(bytes: &[u8]) -> impl Iterator<Item = Node> + '_ {
    bytes.as_chunks::<32>().0.iter().copied()
}
