//! Something that was asked of the network.

use super::nodes::Order;
use async_channel::{Receiver, Sender};
use parcacik_core::dht::node::{NodeSaid, Outcome};

/// Something that the nodes of a [`DhtClient`](super::DhtClient) were asked for. Dropping it gives it up.
#[derive(Debug)]
pub struct DhtTask {
    number: u64,
    said: Receiver<NodeSaid>,
    orders: Sender<Order>,
}

impl DhtTask {
    pub(super) fn new(number: u64, said: Receiver<NodeSaid>, orders: Sender<Order>) -> DhtTask {
        DhtTask { number, said, orders }
    }

    /// What a node says of it next: [`NodeSaid::Peers`], [`Item`](NodeSaid::Item) or [`Samples`](NodeSaid::Samples) as they are found, and
    /// [`Ended`](NodeSaid::Ended) once from each node. `None`: it is over, or the client has ended.
    ///
    /// The queue has no limit of its own; those of [`DhtConfig`](parcacik_core::border::DhtConfig) bound what a lookup says, and its limit of nodes what a walk says.
    pub async fn next(&mut self) -> Option<NodeSaid> {
        self.said.recv().await.ok()
    }

    /// What came of it, from each node; `said` is told what they say meanwhile.
    pub async fn outcomes(mut self, mut said: impl FnMut(NodeSaid)) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(word) = self.next().await {
            match word {
                NodeSaid::Ended { outcome, .. } => outcomes.push(outcome),
                other => said(other),
            }
        }
        outcomes
    }
}

impl Drop for DhtTask {
    fn drop(&mut self) {
        // What has ended is not to be given up any more.
        if !self.said.is_closed() {
            let _ = self.orders.try_send(Order::Cancel(self.number));
        }
    }
}
