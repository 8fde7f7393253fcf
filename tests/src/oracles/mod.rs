//! What has to hold, numbered, and judged at every call to every session of a [`World`].
//!
//! An [`Oracle`] is one sentence about what a session may do. [`Oracles`] looks on at a world ([`Watcher`]) and keeps books of
//! its own, plainly, from what the sessions are told and what they order; the streams and datagrams go through the
//! [second decoder](crate::second). A session is never asked what it thinks, but to compare. What is wrong is a [`Breach`] with
//! the oracle's number and name, which ends the run.
//!
//! They are put into a world by [`World::watch`]. Each counts what it has judged: an oracle that never has anything to judge
//! proves nothing, so the tests demand a number of each. That they find what they should is proven by the *mutants* under
//! `tests/mutants`: small bugs, each with the oracle that has to fire.
//!
//! What the driver is late by is taken out where an oracle limits how long a session may take, and left in where it says how
//! long it has to wait. Where a fault of the disk makes it unclear what a session can know, the pieces concerned are in doubt, and
//! not judged until they are hashed again.

mod budget;
mod clones;
mod dials;
mod framing;
mod list;
mod liveness;
mod neighbours;
mod node;
mod resume;
mod stream;
#[cfg(test)]
mod stream_tests;
mod torrent;
mod trackers;
mod udp;

pub use list::{Judged, Oracle, Tally};
pub use stream::{AllTerms, Audit, Terms};

use crate::{Breach, Call, Moment, NodeId, Watcher, World};
use node::{Ends, NodeModel};
use std::collections::{BTreeMap, BTreeSet};

/// All oracles that can be judged in a world.
#[derive(Debug, Default)]
pub struct Oracles {
    nodes: BTreeMap<NodeId, NodeModel>,
    /// Of two connections between the same two: the one that one end has ended, and the one that it has kept.
    kept: BTreeSet<(Ends, Ends)>,
    healed: bool,
    tally: Tally,
}

impl Oracles {
    /// How often each has had something to judge.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Watcher for Oracles {
    fn after(&mut self, call: &Call<'_>) -> Result<(), Breach> {
        let terms = call.world.terms();
        let node = self.nodes.entry(call.node).or_default();
        node.look(call, terms, &mut self.tally)?;
        for (gone, stays) in std::mem::take(&mut node.twins) {
            // What one end keeps of two, the other does not end for the same other one. Later there may be a third, of which it is
            // the twin.
            let both = self.kept.contains(&((stays.1, stays.0), (gone.1, gone.0)));
            self.tally
                .judge(Oracle::OneEach, !both, || format!("{gone:?} is ended here, and kept at the other end"))?;
            self.kept.insert((gone, stays));
        }
        Ok(())
    }

    fn moment(&mut self, world: &World, moment: &Moment<'_>) -> Result<(), Breach> {
        match moment {
            Moment::Began { node } => {
                let mut model = NodeModel::default();
                if self.healed {
                    model.heal(world, *node);
                }
                self.nodes.insert(*node, model);
            }
            Moment::Crashed { node } | Moment::PowerCut { node } => {
                if let Some(model) = self.nodes.get(node) {
                    let disk = world.disk_of(*node);
                    model.torrents.values().try_for_each(|torrent| torrent.crashed(disk, &mut self.tally))?;
                }
            }
            Moment::Healed => {
                self.healed = true;
                self.nodes.iter_mut().for_each(|(node, model)| model.heal(world, *node));
            }
            Moment::Ended => {
                for (node, model) in &self.nodes {
                    model.waste(world, *node, &mut self.tally)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn evaluations(&self) -> Vec<(u8, u64)> {
        self.tally.counts()
    }
}
