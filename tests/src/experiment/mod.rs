//! A swarm as an experiment: how long do many sessions take to share a file, how fairly, and at what cost?
//!
//! ```
//! use parcacik_testkit::experiment::{Options, run};
//!
//! let options = Options { peers: 8, size: 2 << 20, piece_length: 32 << 10, ..Options::default() };
//! let report = run(&options).expect("options that work");
//! assert_eq!(report.finished(), 8);
//! assert!(report.efficiency().is_some_and(|share| share > 0.2 && share <= 1.0));
//! ```
//!
//! Every peer is a real, unmodified [`Session`](parcacik_core::session::Session), and what they say to each other are real
//! bytes of the peer protocol. Only what lies between them is a model, made for thousands of peers: it has no faults
//! (the [`World`](crate::World) has), and disks and hashes that take no time. Everything is a function of [`Options`]: the same
//! options give the same report, but for what it cost to compute.
//!
//! # The network
//!
//! - **A peer has an uplink and a downlink**, each of so many bytes a second; what counts is what goes over the streams. What TCP
//!   and IP add is left out, as it is from the bound below.
//! - **The uplink** serves the streams that have something to send in turn, 64 KiB at most of each: one burst of a kernel that
//!   hands large segments to its network card. A stream that had nothing to send and now has less than a packet goes before
//!   (as in FQ-CoDel, RFC 8290, the queue of today's systems), so a `have` does not wait behind other streams' content. Behind the content
//!   of its own stream it does. `Flushed` comes when bytes have left the uplink.
//! - **The way** takes [`Options::latency`], in each direction. Nothing is lost, so TCP has no need to slow down.
//! - **The downlink** lets bytes in as fast as they come, up to its rate. They wait where they are while it is busy, and while the
//!   session gives no credit to read; so a chunk arrives with its last byte, as one `Received` of at most 64 KiB.
//! - **Content is not there**: of a block only its length goes over the network. It is handed to sessions as a buffer of the right length that has
//!   anything in it, as cores do not look at content; pieces always have the right hash.
//! - **The tracker** (HTTP) answers an announce with the addresses of [`Options::contacts`] peers at random of all that are there, whoever
//!   announced in the same moment counted.
//!
//! Nothing that a peer does can reach another sooner than one latency later. So the peers are run one after the other, each for one
//! latency, and then what they have sent is handed out: the same as one heap of all events, and much faster, as a session's
//! memory stays in the cache while it runs.
//!
//! # The bound
//!
//! `F` is the size, `u` and `d` are rates up and down, `N` peers want it. Kumar and Ross ("Peer-assisted file distribution: the
//! minimum distribution time", 2006) show that with a fluid that can be cut as finely as one likes the time until all have it can be no shorter than, and
//! can be as short as
//!
//! ```text
//! D = max( F / Σ u of the seeds,  F / smallest d,  N·F / (Σ u of the seeds + Σ u of the others) )
//! ```
//!
//! Free riders have `u = 0`. Where peers come later, `F / d` counts from the last one's coming; the bound stays one. *Efficiency* is
//! `D` divided by the time at which the last peer has everything.
//!
//! # What is told
//!
//! | figure | is |
//! |---|---|
//! | completion | from a peer's coming until it has everything |
//! | fairness | Jain's index of the peers' download rates: 1 when all are alike, 1 / N when one has everything |
//! | share ratio | content given / content had, of each peer that is no seed |
//! | first copy | when each piece was whole at somebody besides the seeds, and how much of what the seeds had given until then was there already |
//! | tail | how long after that half of the peers, 95 of 100 and all had everything |
//! | idle | the share of the uplinks that stood still until the last peer had everything, by why it did ([`Sample`]): looked at once a second |
//! | waste | content that came twice or was not wanted |
//! | blocks a second | blocks that were received, by seconds of processor time |

mod bound;
mod census;
mod idle;
mod network;
mod node;
mod options;
mod plot;
mod report;
mod swarm;
#[cfg(test)]
mod tests;
mod tracker;

pub use bound::shortest;
pub use census::{Census, KINDS};
pub use idle::Sample;
pub use options::{Join, Options, OptionsError, Policy};
pub use plot::plot;
pub use report::{Cost, FirstCopy, PeerReport, Report, table};
pub use swarm::run;
