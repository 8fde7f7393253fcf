//! What is asked of an experiment.

use parcacik_core::border::{Config, PickOrder};
use std::fmt;
use std::time::Duration;

/// How peers choose pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The rarest of those that others have.
    #[default]
    Rarest,
    /// Any.
    Random,
    /// The lowest.
    Sequential,
}

impl Policy {
    /// All, in the order in which they are compared.
    pub const ALL: [Policy; 3] = [Policy::Rarest, Policy::Random, Policy::Sequential];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Rarest => "rarest",
            Policy::Random => "random",
            Policy::Sequential => "sequential",
        }
    }
}

/// When peers come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Join {
    /// All at once.
    #[default]
    Crowd,
    /// One after the other, as a Poisson process with this mean gap.
    Poisson(Duration),
}

/// A swarm. Everything that an experiment depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many want the file.
    pub peers: u32,
    /// How many have it from the beginning.
    pub seeds: u32,
    /// How many of the `peers` give nothing: their upload limit is a byte a second.
    pub free_riders: u32,
    /// The length of the file in bytes.
    pub size: u64,
    /// The length of a piece in bytes.
    pub piece_length: u32,
    /// Every uplink, in bytes a second.
    pub up: u64,
    /// Every downlink, in bytes a second.
    pub down: u64,
    /// The uplink of seeds, where it is another.
    pub seed_up: Option<u64>,
    /// How long a byte is under way, one way.
    pub latency: Duration,
    /// The most connections of a peer.
    pub links: u32,
    /// How many addresses a peer has of the tracker; `None`: half of `links`, so that as many can come to it as it goes to.
    pub contacts: Option<u32>,
    /// How pieces are chosen.
    pub policy: Policy,
    /// Whether the seeds super-seed (BEP 16).
    pub super_seed: bool,
    /// When peers come.
    pub join: Join,
    /// Whether a peer that has everything leaves. Else it stays as a seed.
    pub leave: bool,
    /// Where all chance comes from.
    pub seed: u64,
    /// When the experiment ends at the latest.
    pub limit: Duration,
    /// The configuration of the sessions; links and policy are put into it.
    pub config: Config,
}

/// 10 Mbit/s in bytes.
const TEN_MEGABITS: u64 = 1_250_000;

impl Default for Options {
    /// 100 peers and a seed that is like them, 256 MiB in pieces of 256 KiB, 10 Mbit/s each way, 50 ms, 50 links.
    fn default() -> Options {
        Options {
            peers: 100,
            seeds: 1,
            free_riders: 0,
            size: 256 << 20,
            piece_length: 256 << 10,
            up: TEN_MEGABITS,
            down: TEN_MEGABITS,
            seed_up: None,
            latency: Duration::from_millis(50),
            links: 50,
            contacts: None,
            policy: Policy::Rarest,
            super_seed: false,
            join: Join::Crowd,
            leave: false,
            seed: 1,
            limit: Duration::from_secs(24 * 3600),
            config: Config::default(),
        }
    }
}

/// Options that make no experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError(pub(super) String);

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OptionsError {}

/// The most peers and seeds together: each has an address in a network of its own.
const MAX_NODES: u64 = 60_000;

impl Options {
    /// Whether they make an experiment.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), OptionsError> {
        let wrong = |holds: bool, what: &str| if holds { Ok(()) } else { Err(OptionsError(what.to_owned())) };
        wrong(self.peers > 0, "there is no peer")?;
        wrong(self.seeds > 0, "there is no seed: nobody could have anything")?;
        wrong(u64::from(self.peers) + u64::from(self.seeds) <= MAX_NODES, "there are more than 60000 peers")?;
        wrong(self.free_riders <= self.peers, "there are more free riders than peers")?;
        wrong(self.size > 0, "the file is empty")?;
        wrong(self.piece_length >= 16 << 10, "pieces are shorter than 16 KiB")?;
        wrong(self.pieces() < u32::MAX, "there are more pieces than numbers for them")?;
        wrong(self.piece_length.is_power_of_two(), "the length of a piece is not a power of two")?;
        wrong(self.up > 0 && self.down > 0 && self.seed_up != Some(0), "a rate is 0")?;
        wrong(self.latency >= Duration::from_millis(1), "the latency is less than a millisecond")?;
        wrong(self.links > 0, "nobody could be connected")?;
        wrong(self.join != Join::Poisson(Duration::ZERO), "the gap between peers is 0")?;
        self.session_config().check().map_err(|error| OptionsError(error.to_string()))
    }

    /// The configuration of a session.
    pub(super) fn session_config(&self) -> Config {
        let mut config = self.config.clone();
        config.session.max_peers = self.links;
        config.session.max_peers_per_torrent = self.links;
        config.pick.order = match self.policy {
            Policy::Random => PickOrder::Random,
            Policy::Rarest | Policy::Sequential => PickOrder::RarestFirst,
        };
        config
    }

    pub(super) fn pieces(&self) -> u32 {
        u32::try_from(self.size.div_ceil(u64::from(self.piece_length))).unwrap_or(u32::MAX)
    }

    pub(super) fn nodes(&self) -> u32 {
        self.seeds + self.peers
    }

    /// The first of the nodes are seeds, the last free riders.
    pub(super) fn is_seed(&self, node: u32) -> bool {
        node < self.seeds
    }

    pub(super) fn is_free_rider(&self, node: u32) -> bool {
        node >= self.nodes() - self.free_riders
    }

    pub(super) fn uplink(&self, node: u32) -> u64 {
        if self.is_seed(node) { self.seed_up.unwrap_or(self.up) } else { self.up }
    }
}
