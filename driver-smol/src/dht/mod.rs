//! The DHT without a session: the core's [`Node`], one for each address, on UDP sockets of their own.
//!
//! ```no_run
//! use parcacik_core::border::{InfoHash, Target};
//! use parcacik_core::dht::node::{NodeSaid, PeerWish};
//! use parcacik_driver_smol::dht::{DhtClient, DhtOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! futures_lite::future::block_on(async {
//!     let router = Target::Host { name: "router.bittorrent.com".into(), port: 6881 };
//!     let client = DhtClient::start(DhtOptions { bootstrap: vec![router], ..DhtOptions::default() })?;
//!     let mut task = client.find_peers(InfoHash([7; 20]), PeerWish::default());
//!     while let Some(said) = task.next().await {
//!         if let NodeSaid::Peers { peers, .. } = said {
//!             println!("{peers:?}");
//!         }
//!     }
//!     client.shutdown().await?;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! A thread of its own, "parcacik-dht", owns the nodes and their sockets. It takes datagrams and time to them and does what they say; what they decide
//! is their own affair. The limits of what strangers can make it hold are those of the nodes
//! ([`DhtConfig`](parcacik_core::border::DhtConfig)).
//!
//! # Tasks
//! Whatever is asked of the network is a [`DhtTask`]: it tells what the nodes say of it, and ends with the last of them. A wish without an address
//! goes to all nodes, those of IPv4 and of IPv6. A task that is dropped is given up.
//!
//! # State
//! With a [state folder](DhtOptions::state_dir), the nodes' ids and whom they knew are kept in it: see [`state`]. One client at a time keeps it, or one session; another
//! one in the same folder begins with the nodes that it finds there, under ids of its own, and saves nothing.

mod nodes;
pub mod state;
mod task;
#[cfg(test)]
mod tests;

pub use task::DhtTask;

use crate::client::{ClientError, StartError, draw_seeds};
use crate::net::resolve::Resolver;
use crate::net::socket;
use async_channel::{Receiver, Sender};
use nodes::{Endpoint, Nodes, Order};
use parcacik_core::border::{Config, InfoHash, IoFault, Target};
use parcacik_core::cx::Cx;
use parcacik_core::dht::node::{Announce, Node, NodeView, PeerWish, TaskId};
use parcacik_core::dht::table::saved::Saved;
use parcacik_core::dht::{Item, NodeId};
use parcacik_core::rng::{Seeds, Stream};
use state::StateFiles;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// The most notices that wait to be read; the oldest give way. There are few: a node is ready once, and its address changes with its network.
const MAX_NOTICES: usize = 64;

/// What a client is made with. `DhtOptions::default()` is a node each of IPv4 and IPv6, on ports that the system chooses, that know nobody and keep nothing.
#[derive(Clone, Debug)]
pub struct DhtOptions {
    /// Where there are to be nodes; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The network device that all sockets are bound to, by name; `None`: any.
    pub device: Option<String>,
    /// Whom to begin with. Names are looked up, again and again until enough nodes are known.
    pub bootstrap: Vec<Target>,
    /// Where the nodes' state is kept; made if it does not exist. `None`: nothing is kept.
    pub state_dir: Option<PathBuf>,
    /// How the nodes are set up. What matters is in `dht`, `net`, `external` and `announce.hide_client`.
    pub config: Config,
    /// Where chance comes from; `None`: the operating system. Never fixed seeds on the open internet.
    pub seeds: Option<Seeds>,
}

impl Default for DhtOptions {
    fn default() -> DhtOptions {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        DhtOptions {
            listen: any.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect(),
            device: None,
            bootstrap: Vec::new(),
            state_dir: None,
            config: Config::default(),
            seeds: None,
        }
    }
}

/// What happens to a client's nodes without being asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtNotice {
    /// The node at this address knows enough others to find anything.
    Ready(SocketAddr),
    /// Enough others see the node at `local` under this address, and its id is one that fits it (BEP 42).
    OwnAddress {
        /// Where the node listens.
        local: SocketAddr,
        /// Where others see it.
        ip: IpAddr,
        /// Its id from now on.
        id: NodeId,
    },
    /// There is no way to anybody: of the names to begin with none leads anywhere, or nothing can be sent to those that are known. What went wrong
    /// first. It is said once, as soon as that is known; the nodes try again.
    CutOff(String),
    /// The state could not be saved. It is tried again when there is something new.
    SaveFailed(String),
}

/// Nodes that run on a thread of their own. See the [module](self).
///
/// All methods can be called from any thread and any executor. Dropping it stops the thread and waits for that, which takes no longer than what the nodes are doing at
/// the moment; nothing is saved then. Use [`DhtClient::shutdown`] to stop in order.
#[derive(Debug)]
pub struct DhtClient {
    orders: Sender<Order>,
    local: Vec<SocketAddr>,
    notices: Receiver<DhtNotice>,
    /// Closed by the first node that is ready.
    ready: Receiver<()>,
    state: Option<Arc<StateFiles>>,
    resolver: Resolver,
    last_task: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

impl DhtClient {
    /// Opens the sockets, reads what was kept, and starts the thread.
    ///
    /// # Errors
    /// [`StartError`] says what could not be had; nothing runs then.
    pub fn start(options: DhtOptions) -> Result<DhtClient, StartError> {
        options.config.check()?;
        let seeds = match options.seeds {
            Some(seeds) => seeds,
            None => draw_seeds().map_err(StartError::Seeds)?,
        };
        let mut sockets = Vec::new();
        for &addr in &options.listen {
            let opened =
                socket::udp(addr, options.device.as_deref()).and_then(|udp| Ok((udp.get_ref().local_addr()?, udp)));
            sockets.push(opened.map_err(|error| StartError::Socket { addr, error })?);
        }
        let local: Vec<SocketAddr> = sockets.iter().map(|(local, _)| *local).collect();
        let state = match &options.state_dir {
            Some(path) => {
                let opened = StateFiles::open(path, &local);
                Some(Arc::new(opened.map_err(|error| StartError::State { path: path.clone(), error })?))
            }
            None => None,
        };
        let max_saved = options.config.dht.max_saved;
        // Drawn from a stream that no node has: there are not so many sockets.
        let mut rng = seeds.secrets(Stream::Dht, u64::MAX);
        let saved: Vec<Option<Saved>> = match &state {
            Some(state) => state.load(max_saved, &mut rng),
            None => local.iter().map(|_| None).collect(),
        };
        // Bounded by what the application orders.
        let (orders, taken) = async_channel::unbounded();
        let (tell, notices) = async_channel::bounded(MAX_NOTICES);
        let (not_ready, ready) = async_channel::bounded(1);
        let resolver = Resolver::new();
        let parts = nodes::Parts {
            config: options.config,
            seeds,
            bootstrap: options.bootstrap,
            notices: tell,
            ready: not_ready,
            resolver: resolver.clone(),
            state: state.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("parcacik-dht".to_owned())
            .spawn(move || {
                let endpoints = sockets.into_iter().zip(saved).map(|((local, udp), saved)| Endpoint {
                    local,
                    udp: Rc::new(udp),
                    saved,
                });
                nodes::run(parts, endpoints.collect(), taken);
            })
            .map_err(StartError::Thread)?;
        let last_task = AtomicU64::new(0);
        Ok(DhtClient { orders, local, notices, ready, state, resolver, last_task, thread: Some(thread) })
    }

    /// Where the nodes are, in the order of the options.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local
    }

    /// Whether all that is worth it is kept: `false` when there is no state folder, or another client or a session has the state of a node of ours.
    pub fn keeps_state(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.is_ours())
    }

    /// Waits until one of the nodes knows enough others to find anything. Without a network, that is for ever.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn ready(&self) -> Result<(), ClientError> {
        // Nothing is ever sent: this is the error of a closed channel.
        let _ = self.ready.recv().await;
        if self.orders.is_closed() { Err(ClientError::Stopped) } else { Ok(()) }
    }

    /// What happens next without being asked for. Each notice is given to one caller.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn notice(&self) -> Result<DhtNotice, ClientError> {
        self.notices.recv().await.map_err(|_| ClientError::Stopped)
    }

    /// The addresses of a node, those first that the system would try first. An address is its own answer.
    ///
    /// # Errors
    /// Why the name led nowhere.
    pub async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, IoFault> {
        match target {
            Target::Addr(addr) => Ok(vec![*addr]),
            Target::Host { name, port } => {
                let found = self.resolver.resolve(name.clone()).await?;
                Ok(found.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect())
            }
        }
    }

    /// Looks for peers of a torrent.
    pub fn find_peers(&self, info_hash: InfoHash, wish: PeerWish) -> DhtTask {
        self.task(None, move |node, cx| Some(node.find_peers(cx, info_hash, wish)))
    }

    /// Looks for peers of a torrent, and then announces this computer as one of them, once.
    pub fn announce(&self, info_hash: InfoHash, announce: Announce, wish: PeerWish) -> DhtTask {
        self.task(None, move |node, cx| Some(node.announce(cx, info_hash, announce, wish)))
    }

    /// Looks for an item. `salt`: that of a mutable one. `newer_than`: only a mutable one with a greater number.
    pub fn get(&self, target: NodeId, salt: Vec<u8>, newer_than: Option<i64>) -> DhtTask {
        self.task(None, move |node, cx| Some(node.get(cx, target, salt.clone(), newer_than)))
    }

    /// Stores an item. `cas`: only over this number, where there is one already.
    pub fn put(&self, item: Item, cas: Option<i64>) -> DhtTask {
        self.task(None, move |node, cx| Some(node.put(cx, item.clone(), cas)))
    }

    /// Stores an item, and again every hour as long as the client lives. The task is the first time; it ends with nothing said where
    /// [too many](parcacik_core::border::DhtConfig::max_kept) are kept.
    pub fn keep_put(&self, item: Item, cas: Option<i64>) -> DhtTask {
        self.task(None, move |node, cx| node.keep_put(cx, item.clone(), cas))
    }

    /// Looks for the nodes that are closest to a key.
    pub fn find_node(&self, target: NodeId) -> DhtTask {
        self.task(None, move |node, cx| Some(node.find_node(cx, target)))
    }

    /// Asks whether a node is there. It ends with nothing said where no node of ours is of the address's family.
    pub fn ping(&self, addr: SocketAddr) -> DhtTask {
        self.task(Some(addr), move |node, cx| Some(node.ping(cx, addr)))
    }

    /// Asks a node which torrents it has peers of, and for nodes close to `target` (BEP 51). As [`ping`](DhtClient::ping).
    pub fn sample(&self, addr: SocketAddr, target: NodeId) -> DhtTask {
        self.task(Some(addr), move |node, cx| Some(node.sample(cx, addr, target)))
    }

    /// Walks through the network and asks so many nodes of each family at the most which torrents they have peers of (BEP 51). It begins with the nodes that are known:
    /// [`ready`](DhtClient::ready) comes before it.
    pub fn crawl(&self, nodes: u32) -> DhtTask {
        self.task(None, move |node, cx| Some(node.crawl(cx, nodes)))
    }

    /// How the nodes are, in the order of the options.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn views(&self) -> Result<Vec<NodeView>, ClientError> {
        self.ask(Nodes::views).await
    }

    /// What is worth keeping of the nodes, in the order of the options.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn saved(&self) -> Result<Vec<Saved>, ClientError> {
        self.ask(Nodes::saved).await
    }

    /// Has the nodes try to get into the network now, as when the computer has come back to one.
    pub fn restart(&self) {
        // Whoever has ended tries nothing.
        let _ = self.orders.try_send(Order::Do(Box::new(|nodes| nodes.restart())));
    }

    /// Saves the state, where there is a folder for it that is ours, and stops.
    ///
    /// # Errors
    /// When it cannot be saved; the client has stopped regardless.
    pub async fn shutdown(mut self) -> io::Result<()> {
        let saved = self.saved().await;
        let state = self.state.take();
        blocking::unblock(move || {
            self.stop();
            match (saved, state) {
                (Ok(saved), Some(state)) => state.store(state.next_version(), &saved),
                _ => Ok(()),
            }
        })
        .await
    }

    fn task(
        &self,
        of: Option<SocketAddr>,
        begin: impl FnMut(&mut Node, &mut Cx<'_>) -> Option<TaskId> + Send + 'static,
    ) -> DhtTask {
        let number = self.last_task.fetch_add(1, Ordering::Relaxed);
        let (say, said) = async_channel::unbounded();
        // Whoever has ended says nothing: the task is over at once.
        let _ = self.orders.try_send(Order::Begin { number, of, begin: Box::new(begin), say });
        DhtTask::new(number, said, self.orders.clone())
    }

    async fn ask<R: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Nodes) -> R + Send + 'static,
    ) -> Result<R, ClientError> {
        let (reply, answer) = async_channel::bounded(1);
        let order = Order::Do(Box::new(move |nodes| {
            let _ = reply.try_send(look(nodes));
        }));
        self.orders.try_send(order).map_err(|_| ClientError::Stopped)?;
        answer.recv().await.map_err(|_| ClientError::Stopped)
    }

    fn stop(&mut self) {
        let _ = self.orders.try_send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // It never waits for anything but its sockets and orders; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for DhtClient {
    fn drop(&mut self) {
        self.stop();
    }
}
