//! What is known of one address: its state, how useful it is, and when its turn to be dialled comes.

use super::address::{has_reached, is_well_known};
use crate::border::{CandidateConfig, CloseReason, Source, Sources};
use crate::journal::canon::{canon_enum, canon_struct};
use crate::net_policy::AddrClass;
use crate::time::Time;
use crate::wire::PexFlags;
use core::cmp::Reverse;
use core::net::SocketAddr;
use core::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub rest: Rest,
    /// Being dialled.
    pub dialling: bool,
    /// Since when there is a connection that we made.
    pub dialled: Option<Time>,
    /// How many connections there are that it made to us.
    pub inbound: u32,
    /// Who has named it.
    pub sources: Sources,
    /// What other peers say that it is.
    pub flags: PexFlags,
    /// Whoever named it to us has said since that it is gone.
    pub stale: bool,
    /// To be forgotten when its dial or connection has ended.
    pub blocked: bool,
    /// Failures in a row.
    pub failures: u32,
    /// A connection to it was ready once.
    pub proven: bool,
    /// Has everything, when last heard of.
    pub seed: bool,
    pub priority: u32,
}

canon_struct!(out Entry { rest, dialling, dialled, inbound, sources, flags, stale, blocked, failures, proven, seed, priority });

impl Entry {
    /// One that nothing is known of yet.
    pub fn new(source: Source, flags: PexFlags, priority: u32) -> Entry {
        Entry {
            rest: Rest::Ready,
            dialling: false,
            dialled: None,
            inbound: 0,
            sources: source.into(),
            flags,
            stale: false,
            blocked: false,
            failures: 0,
            proven: false,
            seed: flags.has(PexFlags::SEED),
            priority,
        }
    }

    /// Named by the user.
    pub fn is_sticky(&self) -> bool {
        self.sources.has(Source::User)
    }

    /// Known by peer exchange alone, and there is little hope: nobody has connected to it that we know of, or it is gone again.
    pub fn is_doubtful(&self) -> bool {
        let only_named = self.sources.lone() == Some(Source::Pex) && !self.proven;
        only_named && (self.stale || !self.flags.has(PexFlags::REACHABLE))
    }

    pub fn is_linked(&self) -> bool {
        self.dialled.is_some() || self.inbound > 0
    }

    pub fn is_busy(&self) -> bool {
        self.dialling || self.is_linked()
    }
}

/// Whether an address that has no connection may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Ready,
    Until(Time),
    /// Given up; taken up again when heard of after this moment.
    Spent(Time),
}

canon_enum!(out Rest { 0 = Ready, 1 = Until(due), 2 = Spent(until) });

/// Orders dials: not named by the user, well-known port, failures, doubtful, low priority.
pub(super) type Rank = (bool, bool, u32, bool, Reverse<u32>);

/// Orders usefulness: not spent, not asleep, not a well-known port, few failures, not doubtful, proven, priority.
pub(super) type Worth = (bool, bool, bool, Reverse<u32>, bool, bool, u32);

pub(super) fn rank(addr: SocketAddr, entry: &Entry) -> Rank {
    (!entry.is_sticky(), is_well_known(addr), entry.failures, entry.is_doubtful(), Reverse(entry.priority))
}

/// Decides when an address may be dialled again after a connection or dial that `lasted` so long.
pub(super) fn settle(
    now: Time,
    config: &CandidateConfig,
    (addr, entry): (SocketAddr, &mut Entry),
    lasted: Duration,
    reason: CloseReason,
    was_ready: bool,
) {
    use CloseReason::{
        Banned, BothSeeds, Duplicate, Fault, Filtered, LimitReached, Paused, Stopped, TrackerSwitched, Useless,
    };
    let rest = match reason {
        // We left, and mean to come back: when, is ours to say.
        Paused => Duration::ZERO,
        // Our own decision says nothing against the address.
        Banned | BothSeeds | Duplicate | Filtered | LimitReached | Stopped | TrackerSwitched | Useless => {
            if entry.is_sticky() { config.reconnect_after.min(config.user_retry_max) } else { config.reconnect_after }
        }
        // What broke the protocol once will do it again.
        Fault(_) => return fail(now, config, (addr, entry), reason),
        // A connection to the user's peer that ends again and again is no reason to knock every second.
        _ if was_ready && entry.is_sticky() && lasted < config.user_retry_max => {
            return fail(now, config, (addr, entry), reason);
        }
        _ if was_ready => {
            entry.failures = 0;
            if entry.is_sticky() { config.user_retry_min } else { config.reconnect_after }
        }
        _ => return fail(now, config, (addr, entry), reason),
    };
    entry.rest = Rest::Until(now + rest);
}

fn fail(now: Time, config: &CandidateConfig, (addr, entry): (SocketAddr, &mut Entry), reason: CloseReason) {
    entry.failures = entry.failures.saturating_add(1);
    entry.rest = if entry.is_sticky() {
        let factor = 1u32.checked_shl(entry.failures - 1).unwrap_or(u32::MAX);
        Rest::Until(now + config.user_retry_min.saturating_mul(factor).min(config.user_retry_max))
    } else if entry.failures >= config.max_failures {
        Rest::Spent(now + config.forget_after)
    } else {
        let stranger = !entry.proven && AddrClass::of(addr.ip()) == AddrClass::Global && has_reached(reason);
        let least = if stranger { config.unproven_rest } else { Duration::ZERO };
        Rest::Until(now + config.retry_step.saturating_mul(entry.failures).max(least))
    };
}
