//! A virtual world for sessions: time, network, disks and trackers in one thread, everything from one seed.
//!
//! ```
//! use parcacik_testkit::{World, Content};
//!
//! let content = Content::new("doc", 40_000, 16_384, 7);
//! let mut world = World::new(1);
//! let seed = world.add_node();
//! let leech = world.add_node();
//! world.seed(seed, &content, &[]);
//! world.download(leech, &content, &[world.address(seed)]);
//! world.run_until(|world| world.is_finished(leech, &content)).expect("it downloads");
//! assert!(world.has_all(leech, &content));
//! ```
//!
//! [`World`] carries out what real [`Session`](parcacik_core::session::Session)s order: streams with latency, bandwidth and
//! credit, jobs on an in-memory disk, names, HTTP and UDP trackers (the core's own server). What it does is a function of
//! its seed and of the calls made to it: each place where chance is used has a stream of its own ([`WorldSeed::rng`]). What goes
//! wrong is said by [`Faults`], [`Line`], [`World::cut`], [`World::set_nat`], [`World::suspend`], [`World::crash_in`] and
//! [`World::power_cut`]. Whoever wants to judge what sessions do is a [`Watcher`], as the [oracles] are; whole runs under faults, by the thousand, are in
//! [`sim`]. A [`Stranger`] is somebody in it who is no session: [`hostile`] has those who mean
//! harm. What sessions say to peers is read and judged by a [second decoder](second), always. A [`dialogue`] is smaller: one
//! session and what it says to a script, as a text to be read. Captures of other clients are [followed](follow).

mod content;
pub mod crash;
pub mod dht;
pub mod dialogue;
mod disk;
pub mod drill;
pub mod experiment;
pub mod follow;
pub mod fuzzing;
pub mod hostile;
pub mod oracles;
pub mod second;
mod seed;
pub mod sim;
mod world;

pub use content::Content;
pub use disk::{Lie, MemoryDisk};
pub use seed::{Draws, NotASeed, WorldSeed};
pub use world::{
    Before, Breach, Call, Counts, CutId, Desk, Faults, Host, Limits, Line, LinkId, LogEntry, Moment, Nat, NodeId,
    Party, Seen, Split, Stranger, StrangerId, Stuck, TrackerId, Traffic, Watcher, Way, World, jain,
};
