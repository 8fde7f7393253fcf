//! Who means harm: parts that a test puts into a [`World`](crate::World) to see what our side does.
//!
//! Each line of what peers and trackers do wrong is a part of its own, named after what it does, and driven by the world's
//! seed alone, so that a run can be repeated.
//!
//! # Peers
//!
//! A [`Peer`] speaks raw bytes by the [second decoder](crate::second) and is honest by itself: a seed that serves everybody,
//! or a leech that only takes. [`Trick`]s make it hostile; they can be put together:
//!
//! ```
//! use parcacik_testkit::hostile::{Corrupt, Peer, RequestThenCancel};
//! use parcacik_testkit::{Content, World};
//! use std::{sync::Arc, time::Duration};
//!
//! let content = Arc::new(Content::new("doc", 300_000, 32_768, 7));
//! let mut world = World::new(1);
//! let (seed, leech) = (world.add_node(), world.add_node());
//! world.seed(seed, &content, &[]);
//! // One that waits to be dialled, and one that dials.
//! let liar = world.add_stranger(true, Peer::seed(&content).with(Corrupt::EveryBlock));
//! let pest = RequestThenCancel { every: Duration::from_millis(50), count: 8 };
//! world.add_stranger(false, Peer::leech(&content).with(pest).dials(world.address(seed), 1));
//! let peers = [world.address(seed), world.stranger_address(liar)];
//! world.download(leech, &content, &peers);
//! world.run_until(|world| world.is_finished(leech, &content)).expect("it downloads all the same");
//! assert!(world.has_all(leech, &content));
//! ```
//!
//! | group | tricks |
//! |---|---|
//! | selfish | [`NeverUnchoke`], [`OneBlockEvery`], [`SuperSeed`], [`LeaveAfter`] (with [`Peer::comes_back`]), [`RequestThenCancel`]; many ids at one address: [`Peer::dials`] |
//! | lying | [`AlternateAllNone`], [`HaveNothing`], [`WrongBitfield`], [`DontHave`], [`Introduction`], [`Chatter`], [`Mute`] |
//! | info dictionary (BEP 9) | [`Metadata`], each kind of [`Gives`] |
//! | corrupting | [`Corrupt`] |
//! | resource | [`Drip`], [`Flood`], [`RequestFlood`], [`NeverRead`], [`Promise`] |
//! | anything | [`Havoc`], [`RandomHandshake`] |
//!
//! [`any_peer`] draws one of them by chance.
//!
//! # Trackers
//!
//! A [`HostileTracker`](tracker::HostileTracker) is put in by [`World::add_tracker`](crate::World::add_tracker) and does one thing
//! wrong: see [`tracker`].

mod any;
mod corrupting;
mod fuzz;
mod lying;
mod metadata;
mod peer;
mod resource;
mod selfish;
pub mod tracker;
mod trick;

pub use any::any_peer;
pub use corrupting::Corrupt;
pub use fuzz::{Havoc, RandomHandshake, damage};
pub use lying::{AlternateAllNone, Chatter, DontHave, Excuse, HaveNothing, Introduction, Mute, WrongBitfield};
pub use metadata::{Gives, Metadata};
pub use peer::{BLOCK, Peer, Talk, bitfield};
pub use resource::{Drip, Flood, NeverRead, Promise, RequestFlood};
pub use selfish::{LeaveAfter, NeverUnchoke, OneBlockEvery, RequestThenCancel, SuperSeed};
pub use trick::{Me, Then, Trick};
