//! HTTP announces and scrapes (BEP 3, 7, 23, 24, 31, 48): queries and bodies, both sides.
//!
//! Only text goes in and out here: connections, redirects, compression and TLS are the driver's, and what they mean is the
//! [announcer](super::announcer)'s.

mod query;
mod response;

pub use query::{HttpAnnounce, QueryError, announce_target, parse_announce, parse_scrape, scrape_target};
pub use response::{
    PeerEntry, PeersForm, ResponseLimits, encode_failure, encode_response, encode_scrape, parse_response,
    parse_scrape_response,
};

#[cfg(test)]
mod tests;
