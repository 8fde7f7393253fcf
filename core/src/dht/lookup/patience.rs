//! How long to wait for an answer before another node is asked instead.

use crate::border::DhtConfig;
use crate::journal::canon::canon_struct;
use core::time::Duration;

/// How many round trips are remembered: those of about two lookups.
const REMEMBERED: usize = 64;

/// The round trips of the last answers.
///
/// Patience is what four of five of them took at the most, and a fifth more. So most live nodes answer in time, and who does not is
/// more likely dead than slow.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// In microseconds.
    last: alloc::vec::Vec<u32>,
    next: usize,
    now: Option<Duration>,
}

canon_struct!(out Patience { last, next, now });

impl Patience {
    /// An answer came, so long after its question.
    pub fn heard(&mut self, rtt: Duration) {
        let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
        match self.last.get_mut(self.next) {
            Some(oldest) => *oldest = rtt,
            None => self.last.push(rtt),
        }
        self.next = (self.next + 1) % REMEMBERED;
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        let place = sorted.len() * 4 / 5;
        self.now = sorted.get(place.min(sorted.len() - 1)).map(|most| Duration::from_micros(u64::from(*most)) * 6 / 5);
    }

    /// How long to wait.
    pub fn get(&self, config: &DhtConfig) -> Duration {
        self.now.unwrap_or(config.first_patience).clamp(config.min_patience, config.query_life)
    }
}
