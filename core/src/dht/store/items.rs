//! Items that somebody put here (BEP 44).

use super::{ItemLimits, Network, Shares, Sweeper};
use crate::dht::NodeId;
use crate::dht::item::{ImmutableItem, Item, MutableItem, immutable_target, mutable_target};
use crate::dht::krpc::{ErrorCode, Signed};
use crate::journal::canon::canon_struct;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Items by target. See the [module](super).
#[derive(Clone, Debug)]
pub struct ItemStore {
    limits: ItemLimits,
    items: BTreeMap<NodeId, Stored>,
    shares: Shares,
    sweeper: Sweeper,
}

// Limits do not change.
canon_struct!(out ItemStore { items, shares, sweeper } | limits);

#[derive(Clone, Debug)]
struct Stored {
    item: Item,
    /// Who brought it first: it is of his share.
    network: Network,
    /// When it was announced last.
    at: Time,
}

canon_struct!(out Stored { item, network, at });

impl ItemStore {
    /// An empty store.
    pub fn new(limits: ItemLimits) -> ItemStore {
        ItemStore { limits, items: BTreeMap::new(), shares: Shares::default(), sweeper: Sweeper::default() }
    }

    /// Under which target a `put` stores: what its token must be for.
    pub fn target_of(value: &[u8], signed: Option<&Signed<'_>>) -> NodeId {
        match signed {
            None => immutable_target(value),
            Some(signed) => mutable_target(signed.key, signed.salt),
        }
    }

    /// Stores what somebody at `from` put, at a node whose id is `own`.
    ///
    /// What costs little is checked first, the signature last.
    ///
    /// # Errors
    /// The code to refuse it with. BEP 44: 205, 206, 207 for what is no item, 301 where `cas` does not fit, 302 where something newer is
    /// stored; and 202 where there is no room.
    pub fn put(
        &mut self,
        now: Time,
        own: NodeId,
        from: IpAddr,
        value: &[u8],
        signed: Option<&Signed<'_>>,
    ) -> Result<(), ErrorCode> {
        let target = ItemStore::target_of(value, signed);
        let network = Network::of(from);
        let known =
            self.items.get(&target).filter(|stored| self.limits.is_alive(stored, now)).map(|stored| &stored.item);
        match (known, signed) {
            // "If the sequence number is equal, and the value is also the same, the node SHOULD reset its timeout counter."
            (Some(Item::Mutable(known)), Some(signed)) => {
                check_update(known, signed, value)?;
                if known.seq() == signed.seq && known.signature() == signed.signature {
                    self.touch(now, target);
                    return Ok(());
                }
            }
            (Some(Item::Immutable(_)), None) => {
                self.touch(now, target);
                return Ok(());
            }
            // A key of which both are made is a collision of SHA-1: whoever came first stays.
            (Some(_), _) => return Err(ErrorCode::SERVER),
            (None, _) => {}
        }
        let gives_way = if known.is_none() { self.room_for(now, own, target, network)? } else { None };
        let item = match signed {
            None => ImmutableItem::new(value.to_vec()).map(Item::Immutable),
            Some(signed) => {
                let (salt, value) = (signed.salt.to_vec(), value.to_vec());
                MutableItem::verify(*signed.key, salt, signed.seq, value, *signed.signature).map(Item::Mutable)
            }
        }
        .map_err(|error| error.code())?;
        match self.items.get_mut(&target) {
            Some(stored) => (stored.item, stored.at) = (item, now),
            None => {
                if let Some(target) = gives_way {
                    self.forget(target);
                }
                self.items.insert(target, Stored { item, network, at: now });
                self.shares.add(network);
                self.sweeper.stored(now);
            }
        }
        Ok(())
    }

    /// Whether there is room for one item more, and which one has to give way for it.
    ///
    /// First one that nobody has announced again when it was time, then the farthest one, if it is farther than the new one.
    fn room_for(
        &mut self,
        now: Time,
        own: NodeId,
        target: NodeId,
        network: Network,
    ) -> Result<Option<NodeId>, ErrorCode> {
        let is_full = |store: &ItemStore| {
            store.items.len() >= store.limits.items || store.shares.of(network) >= store.limits.per_network
        };
        // One that has expired under this very target must go as well: it is not of this network, perhaps.
        if self.items.contains_key(&target) || is_full(self) {
            self.sweep(now);
        }
        if self.shares.of(network) >= self.limits.per_network {
            return Err(ErrorCode::SERVER);
        }
        if self.items.len() < self.limits.items {
            return Ok(None);
        }
        let rank = |target: NodeId, stored: &Stored| {
            let is_stale = stored.at + self.limits.stale_after <= now;
            (is_stale, target.distance(own))
        };
        let last = self.items.iter().map(|(target, stored)| (rank(*target, stored), *target)).max();
        last.filter(|(rank, _)| *rank > (false, target.distance(own)))
            .map(|(_, target)| Some(target))
            .ok_or(ErrorCode::SERVER)
    }

    /// What is stored under a target.
    pub fn get(&self, now: Time, target: NodeId) -> Option<&Item> {
        self.items.get(&target).filter(|stored| self.limits.is_alive(stored, now)).map(|stored| &stored.item)
    }

    /// How many items there are, with those that have expired and are not thrown out yet.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// When [`tick`](ItemStore::tick) is to be called next.
    pub fn deadline(&self) -> Option<Time> {
        self.sweeper.at
    }

    /// Throws out what has expired, if it is time.
    pub fn tick(&mut self, now: Time) {
        if self.sweeper.is_due(now) {
            self.sweep(now);
            if !self.items.is_empty() {
                self.sweeper.stored(now);
            }
        }
    }

    fn sweep(&mut self, now: Time) {
        let dead = self.items.iter().filter(|(_, stored)| !self.limits.is_alive(stored, now));
        let dead: Vec<NodeId> = dead.map(|(target, _)| *target).collect();
        dead.into_iter().for_each(|target| self.forget(target));
    }

    fn touch(&mut self, now: Time, target: NodeId) {
        if let Some(stored) = self.items.get_mut(&target) {
            stored.at = now;
        }
    }

    fn forget(&mut self, target: NodeId) {
        if let Some(stored) = self.items.remove(&target) {
            self.shares.remove(stored.network);
        }
    }
}

impl ItemLimits {
    fn is_alive(&self, stored: &Stored, now: Time) -> bool {
        now < stored.at + self.life
    }
}

/// Whether an item may be replaced by what is put now, or announced again.
///
/// BEP 44: "Only if the `cas` matches the stored sequence number is the put performed"; "Storing nodes receiving a `put` request where
/// `seq` is lower than or equal to what's already stored on the node, MUST reject the request", unless it is the same.
fn check_update(known: &MutableItem, signed: &Signed<'_>, value: &[u8]) -> Result<(), ErrorCode> {
    match () {
        () if signed.cas.is_some_and(|cas| cas != known.seq()) => Err(ErrorCode::CAS_MISMATCH),
        () if signed.seq < known.seq() => Err(ErrorCode::OLD_SEQ),
        () if signed.seq == known.seq() && value != known.value() => Err(ErrorCode::OLD_SEQ),
        () => Ok(()),
    }
}
