//! What our own addresses are, as others see them.
//!
//! A machine behind a router does not know its address on the internet. Others say what they see: trackers (`external ip`,
//! BEP 24) and peers (`yourip`, BEP 10). Each may lie, so what they say are votes.
//!
//! - **Told:** votes ([`ExternalAddresses::vote`]), what a node of the DHT has come to by votes of its own
//!   ([`ExternalAddresses::believe`]), and that the machine's own interfaces have changed
//!   ([`ExternalAddresses::reset`]).
//! - **Says:** the address of each family that is believed ([`ExternalAddresses::get`]), and by the result of `vote` that it
//!   is another one now.
//!
//! # Rules
//! 1. A network has one vote in its family, whoever speaks out of it; its last word counts. Networks are /24 of IPv4 and
//!    /48 of IPv6: what one owner gets easily.
//! 2. An address is believed when at least [`min_networks`](crate::border::ExternalConfig::min_networks) name it, and it
//!    replaces another only with more votes than that one has. So nobody changes it alone.
//! 3. Only addresses on the open internet are voted for, and only by somebody there: others see us elsewhere. A vote is for
//!    the voter's own family, as that is how it sees us.
//! 4. A vote counts for [`vote_life`](crate::border::ExternalConfig::vote_life). An address that nobody names any more is
//!    kept until another one is believed.
//!
//! At most [`max_votes`](crate::border::ExternalConfig::max_votes) are remembered in a family.

use crate::border::ExternalConfig;
use crate::journal::canon::canon_struct;
use crate::net_policy::AddrClass;
use crate::time::Time;
use alloc::collections::BTreeMap;
use core::net::IpAddr;

/// The machine. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct ExternalAddresses {
    v4: Family,
    v6: Family,
}

canon_struct!(out ExternalAddresses { v4, v6 });

#[derive(Clone, Debug, Default)]
struct Family {
    /// By network.
    votes: BTreeMap<u64, Vote>,
    believed: Option<IpAddr>,
}

canon_struct!(out Family { votes, believed });

#[derive(Clone, Copy, Debug)]
struct Vote {
    ip: IpAddr,
    at: Time,
}

canon_struct!(out Vote { ip, at });

impl ExternalAddresses {
    /// `voter` says that it sees us at `ip`. True: another address is believed now.
    pub fn vote(&mut self, now: Time, config: &ExternalConfig, ip: IpAddr, voter: IpAddr) -> bool {
        let (ip, voter) = (ip.to_canonical(), voter.to_canonical());
        let usable = |ip| AddrClass::of(ip) == AddrClass::Global;
        if ip.is_ipv6() != voter.is_ipv6() || !usable(ip) || !usable(voter) {
            return false;
        }
        let family = if ip.is_ipv6() { &mut self.v6 } else { &mut self.v4 };
        family.vote(now, config, ip, voter)
    }

    /// It was found out elsewhere, by as good a vote. True: another address is believed now.
    pub fn believe(&mut self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let family = if ip.is_ipv6() { &mut self.v6 } else { &mut self.v4 };
        AddrClass::of(ip) == AddrClass::Global && family.believed.replace(ip) != Some(ip)
    }

    /// The address of a family that is believed.
    pub fn get(&self, v6: bool) -> Option<IpAddr> {
        if v6 { self.v6.believed } else { self.v4.believed }
    }

    /// Forgets everything: we may be somewhere else now.
    pub fn reset(&mut self) {
        *self = ExternalAddresses::default();
    }
}

impl Family {
    fn vote(&mut self, now: Time, config: &ExternalConfig, ip: IpAddr, voter: IpAddr) -> bool {
        self.votes.retain(|_, vote| now.since(vote.at) <= config.vote_life);
        let network = network(voter);
        if !self.votes.contains_key(&network) && self.votes.len() >= config.max_votes as usize {
            let oldest =
                self.votes.iter().min_by_key(|(network, vote)| (vote.at, **network)).map(|(&network, _)| network);
            oldest.and_then(|oldest| self.votes.remove(&oldest));
        }
        self.votes.insert(network, Vote { ip, at: now });
        let mut counts: BTreeMap<IpAddr, u32> = BTreeMap::new();
        for vote in self.votes.values() {
            *counts.entry(vote.ip).or_default() += 1;
        }
        // Only the one just named can have become the first.
        let count = |ip: &IpAddr| counts.get(ip).copied().unwrap_or(0);
        let most_of_others =
            counts.iter().filter(|(other, _)| **other != ip).map(|(_, count)| *count).max().unwrap_or(0);
        let known = self.believed.map_or(0, |known| count(&known));
        let wins = count(&ip) >= config.min_networks && count(&ip) > most_of_others.max(known);
        wins && self.believed.replace(ip) != Some(ip)
    }
}

/// The network of an address, as a number within its family.
fn network(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        // The upper 48 bits of 128.
        IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 80).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
