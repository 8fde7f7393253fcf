//! Captures of other clients: pcap and pcapng files, taken apart into what peers and trackers said.
//!
//! A [`Dissector`] is fed a capture file and says what it [hears](Heard): messages of peers, requests and answers of trackers by HTTP and UDP, and for
//! everything else how many bytes it was. [`dissect`] does it at once. Like all of the core it is a pure function that fails on no input, so a
//! damaged file, a lost segment or a hostile peer is a fact that is told.
//!
//! ```
//! use parcacik_core::capture::{Dissector, CaptureLimits, Heard};
//!
//! # let file: &[u8] = &[];
//! let mut dissector = Dissector::new(CaptureLimits::default());
//! for part in file.chunks(65_536) {
//!     dissector.feed(part);
//!     while let Some(heard) = dissector.heard() {
//!         println!("{heard:?}");
//!     }
//! }
//! dissector.finish();
//! for (_, stream) in dissector.streams() {
//!     println!("{} to {}: {:?}", stream.a, stream.b, stream.info_hash());
//! }
//! ```
//!
//! # The way of a byte
//!
//! | module | from | to |
//! |---|---|---|
//! | `file` | the file's bytes: pcap (microseconds or nanoseconds) and pcapng, in both orders of bytes | frames |
//! | `packet` | Ethernet (with VLAN tags), BSD loopback, raw IP, Linux "cooked" of both versions | IP packets |
//! | `ip` | IPv4 and IPv6, their fragments and extension headers | TCP segments, UDP datagrams |
//! | `tcp` | segments out of order, again, overlapping, lost | bytes and gaps, for each direction |
//! | `stream` | the first bytes of a connection | which protocol it is |
//! | `peer`, `search` | bytes, and what follows on gaps | messages, by [`wire`](crate::wire) |
//! | `http` | bytes | requests and answers, by [`tracker::http`](crate::tracker::http) |
//! | `udp` | datagrams | their kind, those of trackers by [`tracker::udp`](crate::tracker::udp), and those of the DHT by [`dht::krpc`](crate::dht::krpc) |
//!
//! Protocols that the core does not speak (uTP, encryption, local discovery) are told apart, and not taken apart.
//!
//! [`Summary`] counts what was said, and [`PieceCheck`] hashes the pieces that went by.

mod conversation;
mod dht;
mod dissector;
mod extensions;
mod file;
mod http;
mod ip;
mod limits;
mod packet;
mod peer;
mod pieces;
mod said;
mod search;
mod stream;
mod summary;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;

pub use conversation::{Capture, Conversation, dissect, dissect_with};
pub use dissector::{CaptureFacts, Dissector};
pub use file::{FileFault, Frame, Reader};
pub use limits::CaptureLimits;
pub use pieces::PieceCheck;
pub use said::{
    Chunk, DamagedMessage, Datagram, DatagramKind, DhtDatagram, Ending, HalfCounts, Heard, HttpAnswered, HttpAsked,
    HttpRequest, HttpResponse, Item, Protocol, Said, Side, SideFacts, Stamp, StreamFacts, StreamId,
};
pub use summary::{HttpTracker, StreamSummary, Summary, message_name};

#[cfg(test)]
mod tests;
