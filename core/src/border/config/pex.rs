use super::{ConfigError, require};
use core::time::Duration;

/// Limits of peer exchange (BEP 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PexConfig {
    /// Whether it is offered to peers, for torrents that are not private.
    pub enabled: bool,
    /// How long after a peer has told that it takes messages it gets its first. Who comes into a swarm makes some connections
    /// within a few seconds, and one message then says more than two.
    pub first_after: Duration,
    /// How long there is between two messages to one peer. BEP 11: "Clients must batch updates to send no more than 1 PEX message
    /// per minute."
    pub interval: Duration,
    /// The most contacts that the first message to a peer adds: as many as the connections of a torrent, which is what the BEP lets
    /// it have.
    pub max_first: u32,
    /// The most contacts that any other message adds, and the most that any drops. BEP 11: "the combined amount of added v4/v6
    /// contacts should not exceed 50 entries. The same applies to dropped entries."
    pub max_contacts: u32,
    /// The most contacts that are named though they are not connected any more, and how many there must be less than for that, for
    /// each family of addresses. BEP 11: 25 of both.
    pub max_recent: u32,
    /// The most messages that a peer may send in a minute. One is what it should; some send one for each few changes, and what a
    /// line has held up comes at once.
    pub max_messages: u32,
    /// The most contacts that are taken out of one message; what is beyond is passed over. libtorrent puts 100 in one.
    pub max_taken: u32,
    /// The most contacts of one peer that are remembered as named by it. What it names while it has so many is passed over, until it has
    /// dropped some.
    pub max_named: u32,
    /// The most contacts that one message may name, added or dropped: 3,000 are a whole list of candidates, in 75 KB at most. Whoever sends more floods.
    pub max_in_message: u32,
}

impl Default for PexConfig {
    fn default() -> PexConfig {
        PexConfig {
            enabled: true,
            first_after: Duration::from_secs(5),
            interval: Duration::from_secs(60),
            max_first: 100,
            max_contacts: 50,
            max_recent: 25,
            max_messages: 6,
            max_taken: 100,
            max_named: 200,
            max_in_message: 3_000,
        }
    }
}

impl PexConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let minute = Duration::from_secs(60);
        require(self.interval >= minute, "pex.interval", "is less than a minute: BEP 11 forbids it")?;
        require(self.max_contacts > 0 && self.max_contacts <= 50, "pex.max_contacts", "is not in 1..=50")?;
        require(self.max_first > 0 && self.max_first <= 500, "pex.max_first", "is not in 1..=500")?;
        require(self.max_recent <= 25, "pex.max_recent", "is above 25")?;
        require(self.max_messages > 0, "pex.max_messages", "is 0: every peer would flood")?;
        require(self.max_in_message > 0, "pex.max_in_message", "is 0: every peer would flood")
    }
}
