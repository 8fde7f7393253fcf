use super::{ConfigError, require};
use core::time::Duration;

/// Limits of serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChokeConfig {
    /// The most peers of one torrent that are served at once, the optimistic one counted. BEP 3 says four, from when
    /// uplinks were narrow; eight is what today's clients do, and still leaves each a useful share. Under an upload limit
    /// they are fewer: [`slots_for`](crate::torrent::choker::slots_for).
    pub slots: u32,
    /// How often who is served may change. BEP 3: "only changing who's choked once every ten seconds".
    pub round: Duration,
    /// How long a peer keeps the optimistic slot. BEP 3: "rotates every 30 seconds", enough to show what it gives back.
    pub optimistic_turn: Duration,
    /// How long a peer keeps a slot while we seed and others wait: several round trips of slow start and a few pieces,
    /// yet the last of 80 waiting ones is served within ten minutes.
    pub seed_turn: Duration,
    /// How much a peer is given in one turn while we seed and others wait: a few pieces of any usual size. Who is fast has it
    /// before its time is over, and lets the next one in.
    pub seed_quota: u64,
    /// While we seed, what a network was given counts against it for so long, twice that at most: a slot comes round several
    /// times meanwhile, and who starts anew tomorrow begins anew.
    pub seed_memory: Duration,
    /// The shortest time that a peer is served before a better one may take its place: one round, so that its rate has
    /// been measured at all.
    pub min_served: Duration,
    /// The most slots that go to a better peer in one round while we download. One keeps the set stable: what the round
    /// before changed has shown its effect before the next change.
    pub changes_per_round: u32,
    /// Super seeding (BEP 16): how long a peer may keep what it was shown from the others, or not take it, before it is shown
    /// the next piece, or the piece to others. A few rounds of choking at those others, and the time for a piece of some MiB.
    pub super_seed_patience: Duration,
    /// How many other peers a piece is suggested to that was just read from the disk for one (BEP 6); 0: nothing is suggested.
    /// Two more readers save two of three reads from a slow disk, and leave the copies of each piece roughly equal.
    pub suggest_to: u32,
    /// How long a peer is suggested nothing more after a suggestion: about the time in which it takes a piece of some MiB. So
    /// most of what it takes is still what it finds rarest.
    pub suggest_rest: Duration,
}

impl Default for ChokeConfig {
    fn default() -> ChokeConfig {
        ChokeConfig {
            slots: 8,
            round: Duration::from_secs(10),
            optimistic_turn: Duration::from_secs(30),
            seed_turn: Duration::from_secs(60),
            seed_quota: 16 << 20,
            seed_memory: Duration::from_secs(600),
            min_served: Duration::from_secs(10),
            changes_per_round: 1,
            super_seed_patience: Duration::from_secs(120),
            suggest_to: 2,
            suggest_rest: Duration::from_secs(5),
        }
    }
}

impl ChokeConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.slots >= 2, "choke.slots", "is less than 2: one for the best peer, one to try others")?;
        require(self.round >= Duration::from_secs(1), "choke.round", "is less than a second")?;
        require(self.optimistic_turn >= self.round, "choke.optimistic_turn", "is shorter than a round")?;
        require(self.seed_turn >= self.round, "choke.seed_turn", "is shorter than a round")?;
        require(self.seed_quota > 0, "choke.seed_quota", "is 0: slots would change hands in every round")?;
        require(self.seed_memory >= self.seed_turn, "choke.seed_memory", "is shorter than choke.seed_turn")?;
        require(
            self.changes_per_round > 0,
            "choke.changes_per_round",
            "is 0: nobody's slot could go to a better peer",
        )?;
        require(self.super_seed_patience >= self.round, "choke.super_seed_patience", "is shorter than a round")?;
        require(self.suggest_rest >= Duration::from_secs(1), "choke.suggest_rest", "is less than a second")
    }
}
