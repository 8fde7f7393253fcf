use super::{ConfigError, require};
use core::time::Duration;

/// Which piece is begun next, of those that are wanted alike. A torrent whose pieces are asked for in order
/// ([`AddTorrent::sequential`](crate::border::AddTorrent::sequential)) does not ask this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PickOrder {
    /// One that the fewest connected peers have, ties at random: what keeps every piece of a swarm alive, and gets those out first
    /// that only the seed has.
    #[default]
    RarestFirst,
    /// Any one: what BEP 3 says. It is here to be compared with.
    Random,
}

/// Limits of choosing blocks, and of finding out who sent a bad one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickConfig {
    /// Which piece is begun next.
    pub order: PickOrder,
    /// Until this many pieces are verified, new pieces are chosen at random instead of rarest first: a rare piece has few
    /// sources and comes slowly, and the first pieces are wanted soon, to have something to trade. 4 is what BEP 3's
    /// clients settled on.
    pub random_first: u32,
    /// The most blocks that one call may book, whatever it asks for. Above every pipeline that peers allow (libtorrent's
    /// `reqq`: 2000).
    pub max_blocks_per_pick: u32,
    /// From this many begun pieces with free blocks on, a peer joins one of those, also one that a fast peer has for itself,
    /// before it begins another. Begun pieces cannot be traded: they are bytes that do nobody any good yet. About one and
    /// a half for each of a torrent's usual peers.
    pub max_partial_pieces: u32,
    /// The most blocks in begun pieces, together. At 16 bytes of bookkeeping a block, 4 MiB for 4 GiB under way. Above it, a begun
    /// piece that nobody is asked for is given up to begin another.
    pub max_open_blocks: u32,
    /// The most peers that one block is asked of in the end game. Each past the first is likely a wasted 16 KiB.
    pub end_game_requesters: u32,
    /// How long a piece that failed its hash is kept for one peer alone, and kept from those who sent its bad version. Long
    /// enough for a piece of a few MiB at a slow peer's rate; after it, finishing matters more than blame.
    pub parole_patience: Duration,
    /// How many pieces, rarest first, are compared with what a peer has before the peer's own list of hints is used. A peer
    /// with every hundredth piece is still served from the exact order; 128 look-ups are about a microsecond.
    pub scan: u32,
    /// How many of a peer's suggested pieces are looked at, the latest first. BEP 6 sets no number; what a seed has in its
    /// cache is a few pieces.
    pub max_suggested: u32,
    /// The most peers of one network (/24 of IPv4, /48 of IPv6) of the open internet whose pieces count in what is rare before they
    /// have delivered a block. Somebody with many addresses could otherwise make pieces look rare or common at will.
    pub voices_per_network: u32,
    /// The most pieces that failed whose block digests are remembered. One is on record from its failure to the next
    /// time that it passes.
    pub blame_pieces: u32,
    /// The most block digests remembered, over all pieces: 64 bytes each, so 4 MiB, enough for 1 GiB of failed pieces. The oldest
    /// record goes first.
    pub blame_blocks: u32,
}

impl Default for PickConfig {
    fn default() -> PickConfig {
        PickConfig {
            order: PickOrder::RarestFirst,
            random_first: 4,
            max_blocks_per_pick: 2_048,
            max_partial_pieces: 150,
            max_open_blocks: 262_144,
            end_game_requesters: 3,
            parole_patience: Duration::from_secs(60),
            scan: 128,
            max_suggested: 16,
            voices_per_network: 4,
            blame_pieces: 1_024,
            blame_blocks: 65_536,
        }
    }
}

impl PickConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.max_blocks_per_pick > 0, "pick.max_blocks_per_pick", "is 0: nothing could be asked for")?;
        require(self.max_partial_pieces > 0, "pick.max_partial_pieces", "is 0")?;
        require(self.max_open_blocks > 0, "pick.max_open_blocks", "is 0: no piece could be begun")?;
        require(self.end_game_requesters > 0, "pick.end_game_requesters", "is 0: not even the first request")?;
        require(self.scan > 0, "pick.scan", "is 0")?;
        require(self.blame_pieces > 0, "pick.blame_pieces", "is 0: the sender of bad data would never be found")?;
        require(self.blame_blocks > 0, "pick.blame_blocks", "is 0: the sender of bad data would never be found")
    }
}
