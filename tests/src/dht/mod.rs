//! Networks of DHT nodes in virtual time.
//!
//! - [`Net`]: hosts, the datagrams between them, and time. Round trips are log-normal, with a median of 80 ms and clipped to 20 to
//!   300 ms, each pair of hosts having its own; one datagram in a hundred is lost.
//! - [`Real`]: a host that runs a [`Node`](parcacik_core::dht::node::Node) of the core, judged at every call by a [`Judge`].
//! - [`Light`]: a host that is a node in a few lines: it knows some of the others, as a settled table does, and answers. Ten
//!   thousand of them take little. Some mean [harm](Trick).
//! - [`Plain`]: a lookup as Kademlia has it (three queries at once, two seconds of patience), for comparison.
//! - [`experiment`]: how long it takes to find peers, and how many of them are found.

pub mod experiment;
mod judge;
mod light;
mod net;
mod plain;
mod plot;
mod real;

pub use experiment::{Experiment, Measured, Report};
pub use judge::Judge;
pub use light::{Light, Trick, acquaint};
pub use net::{Host, HostId, Net};
pub use plain::Plain;
pub use real::Real;
