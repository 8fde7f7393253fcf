//! The shortest time in which a swarm could do it: the formula is in the [module](super).

use super::Options;

/// The fluid lower bound of the time until everybody has everything, in seconds; `last` is when the last peer comes.
pub fn shortest(options: &Options, last: f64) -> f64 {
    let size = options.size as f64;
    let of_seeds = f64::from(options.seeds) * options.seed_up.unwrap_or(options.up) as f64;
    let of_peers = f64::from(options.peers - options.free_riders) * options.up as f64;
    let by_seeds = size / of_seeds;
    let by_downlink = last + size / options.down as f64;
    let by_all = f64::from(options.peers) * size / (of_seeds + of_peers);
    by_seeds.max(by_downlink).max(by_all)
}
