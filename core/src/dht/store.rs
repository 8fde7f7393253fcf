//! Shim.
use super::*;
use alloc::collections::{BTreeMap,BTreeSet};
use core::net::SocketAddr;
use crate::time::Time;
/// x
#[derive(Clone, Debug, Default)]
pub struct Store { pub(crate) peers: BTreeMap<NodeId, BTreeSet<SocketAddr>>, pub(crate) items: BTreeMap<NodeId, Item> }
impl Store {
    pub(crate) fn tick(&mut self, _: Time) {}
    pub(crate) fn deadline(&self) -> Option<Time> { None }
    pub(crate) fn torrents(&self) -> usize { self.peers.len() }
    pub(crate) fn peers(&self) -> usize { self.peers.values().map(|p| p.len()).sum() }
    pub(crate) fn items(&self) -> usize { self.items.len() }
}
