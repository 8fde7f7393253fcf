//! A host that runs a node of the core.

use crate::WorldSeed;
use parcacik_core::border::{Action, Actions, Config, IpFilter, SocketId};
use parcacik_core::cx::{Cx, IdSource};
use parcacik_core::dht::node::{Node, NodeOptions, NodeSaid};
use parcacik_core::dht::table::saved::Saved;
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use std::net::SocketAddr;
use std::sync::Arc;

/// The host. `Clone`: a network can go on from one moment in many ways.
#[derive(Clone, Debug)]
pub struct Real {
    /// Where it is.
    pub addr: SocketAddr,
    /// Its node.
    pub node: Node,
    /// How it is set up.
    pub config: Arc<Config>,
    /// What the node said, and when.
    pub said: Vec<(Time, NodeSaid)>,
    pub(super) timer: Option<Time>,
    seeds: Seeds,
    ids: IdSource,
    filter: IpFilter,
    actions: Actions,
}

impl Real {
    /// A node at an address; `name` is what its chance hangs on.
    pub fn new(
        now: Time,
        seed: WorldSeed,
        name: &str,
        addr: SocketAddr,
        config: Arc<Config>,
        saved: Option<Saved>,
    ) -> Real {
        let (seeds, mut ids, filter, mut actions) =
            (seed.seeds(name), IdSource::default(), IpFilter::new(), Actions::new());
        let mut cx =
            Cx { now, config: &config, filter: &filter, seeds: &seeds, out: &mut actions, ids: &mut ids, owner: 0 };
        let options = NodeOptions { sock: SocketId(1), v6: addr.is_ipv6(), number: 0, saved };
        let node = Node::new(&mut cx, options);
        Real { addr, node, config, said: Vec::new(), timer: None, seeds, ids, filter, actions }
    }

    pub(super) fn call<R>(&mut self, now: Time, act: impl FnOnce(&mut Node, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx {
            now,
            config: &self.config,
            filter: &self.filter,
            seeds: &self.seeds,
            out: &mut self.actions,
            ids: &mut self.ids,
            owner: 0,
        };
        let result = act(&mut self.node, &mut cx);
        while let Some(said) = self.node.said() {
            self.said.push((now, said));
        }
        result
    }

    pub(super) fn take_sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let sent = self.actions.list.drain(..).filter_map(|action| match action {
            Action::SendDatagrams { to, bytes, .. } => Some((to, bytes.to_vec())),
            _ => None,
        });
        sent.collect()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.node.deadline(&self.config.dht)
    }
}
