//! The distributed hash table (BEP 5, 32, 33, 42, 43, 44, 51): peers without a tracker, small items without a server.
//!
//! # What it is
//! Everybody who takes part is a *node*: a UDP endpoint with an id of 160 bits. What is stored under a key of 160 bits (the peers
//! of an info-hash, an item under its hash) lies at the nodes whose ids are closest to that key.
//!
//! BEP 5: "the distance metric is XOR and the result is interpreted as an unsigned integer. `distance(A,B) = |A xor B|`. Smaller
//! values are closer."
//!
//! A node knows many nodes that are close to it and few that are far, so it can name to everybody who asks some that are
//! closer to any key; asking those in turn leads to the closest ones: a *lookup*.
//!
//! # What a node is told and says
//! - **Told:** the time, datagrams with the address that they came from, what our own address is believed to be, nodes to begin
//!   with (saved ones, routers, those of a torrent file, of PORT messages), and what the application wants: to find or to
//!   announce peers, to get or to put an item, to sample info-hashes.
//! - **Says:** datagrams and where they go, what came of each wish, and when it wants to be called again.
//!
//! It does no I/O, reads no clock, and draws from streams of [`Rng`](crate::rng::Rng) of its own, as all of this crate. One for IPv4
//! and one for IPv6 make a node of both (BEP 32: "two distinct routing tables", "the same node id in both").
//!
//! # Parts
//! Each can be used without the others.
//!
//! - [`bloom`]: how many peers there are, counted by many nodes (BEP 33).
//! - [`id`]: ids, distance, and the ids that fit an address (BEP 42).
//! - [`item`]: what is stored for anybody (BEP 44).
//! - [`krpc`]: the messages, read and written.
//! - [`store`]: peers and items, kept for others.
//! - [`token`]: who may store something.
//!
//! # Whom to believe
//! Nobody. Every datagram may be forged, every node may lie, and whoever wants many ids has them. So:
//! - what comes back counts only when it repeats a transaction id that nobody can guess, from the address that was asked;
//! - nothing is stored without a token that its sender can only have got at its address;
//! - an item proves itself, by its hash or by its signature; peers are hints;
//! - no answer is larger than what makes us of use for flooding others, and nobody gets many of them;
//! - every table is bounded, in all and for each address or network, and what a stranger sends pushes out nothing that is
//!   known to be good.

pub mod bloom;
pub mod id;
pub mod item;
pub mod krpc;
pub mod store;
pub mod token;

pub use bloom::BloomFilter;
pub use id::{Distance, NodeId};
#[cfg(feature = "dht-mutable")]
pub use item::SecretKey;
pub use item::{ImmutableItem, Item, ItemError, MutableItem};
pub use store::{ItemLimits, ItemStore, PeerLimits, PeerStore};
pub use token::{Token, Tokens};
