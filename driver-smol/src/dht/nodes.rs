//! The thread: nodes, sockets, time.

use super::DhtNotice;
use super::state::StateFiles;
use crate::clock::Clock;
use crate::net::resolve::Resolver;
use crate::net::udp;
use async_channel::{Receiver, Sender};
use async_executor::LocalExecutor;
use async_io::{Async, Timer};
use futures_lite::FutureExt;
use futures_lite::future::{pending, yield_now};
use parcacik_core::border::{Action, Actions, Config, IoFault, IpFilter, JobId, JobResult, SocketId, Target, Work};
use parcacik_core::cx::{Cx, IdSource};
use parcacik_core::dht::node::{Node, NodeOptions, NodeSaid, NodeView, TaskId};
use parcacik_core::dht::table::saved::Saved;
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

/// Datagrams that are taken from a socket in one turn.
const TURN: usize = 32;
/// Longer than any message that a node reads.
const BUFFER: usize = 8 << 10;
/// The least time between two ticks: no node waits for less, and none can keep the thread busy by itself.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// Begins a task of a node.
pub(super) type Begin = Box<dyn FnMut(&mut Node, &mut Cx<'_>) -> Option<TaskId> + Send>;

/// What the handle wants.
pub(super) enum Order {
    /// A task, of all nodes or of one of the family of `of`.
    Begin { number: u64, of: Option<SocketAddr>, begin: Begin, say: Sender<NodeSaid> },
    /// That it is given up.
    Cancel(u64),
    /// Anything else.
    Do(Box<dyn FnOnce(&mut Nodes) + Send>),
    /// The end.
    Stop,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Begin { .. } => "Begin",
            Order::Cancel(_) => "Cancel",
            Order::Do(_) => "Do",
            Order::Stop => "Stop",
        })
    }
}

/// A socket, and what was kept of its node.
pub(super) struct Endpoint {
    pub(super) local: SocketAddr,
    pub(super) udp: Rc<Async<UdpSocket>>,
    pub(super) saved: Option<Saved>,
}

/// What all nodes have in common.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) seeds: Seeds,
    pub(super) bootstrap: Vec<Target>,
    pub(super) notices: Sender<DhtNotice>,
    pub(super) ready: Sender<()>,
    pub(super) resolver: Resolver,
    /// Where to save.
    pub(super) state: Option<Arc<StateFiles>>,
}

struct Member {
    local: SocketAddr,
    udp: Rc<Async<UdpSocket>>,
    node: Node,
}

/// The nodes, and who waits for what they say.
pub(super) struct Nodes {
    members: Vec<Member>,
    parts: Parts,
    clock: Clock,
    filter: IpFilter,
    ids: IdSource,
    actions: Actions,
    /// Whose task it is, by the node's place and its name for it.
    tasks: BTreeMap<(usize, TaskId), u64>,
    open: BTreeMap<u64, Open>,
    executor: Weak<LocalExecutor<'static>>,
    /// Ourselves, for what is told later.
    me: Weak<RefCell<Nodes>>,
    wake: Sender<()>,
    /// When the thread wakes by itself.
    armed: Option<Time>,
    saving: bool,
    save_again: bool,
    way: Way,
}

/// Whether there is a way to anybody at all.
#[derive(Debug, Default)]
struct Way {
    /// Something has gone out, or whoever waits has been told.
    settled: bool,
    /// How many names are being looked up.
    asking: usize,
    /// The first thing that went wrong.
    wrong: Option<String>,
}

impl Way {
    /// A datagram was to go out.
    fn sent(&mut self, to: SocketAddr, result: std::io::Result<()>) {
        match result {
            // There is a way, and it is full.
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                self.fails(format!("nothing can be sent to {to}: {error}"))
            }
            _ => self.settled = true,
        }
    }

    fn fails(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }

    /// Why there is none: once, and only when all has been tried that there was to begin with.
    fn none(&mut self) -> Option<String> {
        if self.settled || self.asking > 0 {
            return None;
        }
        let why = self.wrong.take()?;
        self.settled = true;
        Some(why)
    }
}

struct Open {
    say: Sender<NodeSaid>,
    left: usize,
}

enum Woken {
    Order(Order),
    Tick,
}

/// Runs the nodes until the handle says that it is enough, or is gone.
pub(super) fn run(parts: Parts, endpoints: Vec<Endpoint>, orders: Receiver<Order>) {
    let executor = Rc::new(LocalExecutor::new());
    let (wake, woken) = async_channel::bounded(1);
    let nodes = Nodes::new(parts, endpoints, &executor, wake);
    for (place, member) in nodes.borrow().members.iter().enumerate() {
        executor.spawn(receive(Rc::downgrade(&nodes), place, Rc::clone(&member.udp))).detach();
    }
    nodes.borrow_mut().begin();
    // All tasks, and with them all sockets, go with the executor.
    async_io::block_on(executor.run(serve(nodes, orders, woken)));
}

async fn serve(nodes: Rc<RefCell<Nodes>>, orders: Receiver<Order>, woken: Receiver<()>) {
    loop {
        let due = nodes.borrow_mut().arm();
        let tick = async {
            match due {
                Some(at) => Timer::at(at).await,
                None => pending().await,
            };
            Woken::Tick
        };
        let order = async { Woken::Order(orders.recv().await.unwrap_or(Order::Stop)) };
        // Something has come that is due sooner.
        let sooner = async {
            match woken.recv().await {
                Ok(()) => Woken::Tick,
                Err(_) => pending().await,
            }
        };
        let what = order.or(sooner).or(tick).await;
        let mut nodes = nodes.borrow_mut();
        match what {
            Woken::Tick => nodes.tick(),
            Woken::Order(Order::Begin { number, of, begin, say }) => nodes.take_on(number, of, begin, say),
            Woken::Order(Order::Cancel(number)) => nodes.cancel(number),
            Woken::Order(Order::Do(act)) => act(&mut nodes),
            Woken::Order(Order::Stop) => return,
        }
    }
}

/// Takes datagrams in, as long as the nodes live.
async fn receive(nodes: Weak<RefCell<Nodes>>, place: usize, socket: Rc<Async<UdpSocket>>) {
    let mut buffer = vec![0; BUFFER];
    while socket.readable().await.is_ok() {
        for _ in 0..TURN {
            match socket.get_ref().recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let Some(nodes) = nodes.upgrade() else { return };
                    nodes.borrow_mut().datagram(place, from, &buffer[..length]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // What an earlier datagram met on its way.
                Err(_) => {}
            }
        }
        yield_now().await;
    }
}

impl Nodes {
    fn new(
        parts: Parts,
        endpoints: Vec<Endpoint>,
        executor: &Rc<LocalExecutor<'static>>,
        wake: Sender<()>,
    ) -> Rc<RefCell<Nodes>> {
        Rc::new_cyclic(|me| {
            let mut nodes = Nodes {
                members: Vec::new(),
                parts,
                clock: Clock::start(),
                filter: IpFilter::new(),
                ids: IdSource::default(),
                actions: Actions::new(),
                tasks: BTreeMap::new(),
                open: BTreeMap::new(),
                executor: Rc::downgrade(executor),
                me: Weak::clone(me),
                wake,
                armed: None,
                saving: false,
                save_again: false,
                way: Way::default(),
            };
            let (mut has_v4, mut has_v6) = (false, false);
            for (number, Endpoint { local, udp, saved }) in (0u32..).zip(endpoints) {
                let v6 = local.is_ipv6();
                (has_v4, has_v6) = (has_v4 | !v6, has_v6 | v6);
                let options = NodeOptions { sock: SocketId(number), v6, number: u64::from(number), saved };
                let (members, mut cx) = nodes.split();
                let node = Node::new(&mut cx, options);
                members.push(Member { local, udp, node });
            }
            for member in &mut nodes.members {
                // BEP 32: who has both asks for both.
                member.node.want_other_family(has_v4 && has_v6);
            }
            RefCell::new(nodes)
        })
    }

    /// The nodes, and what one of them is called in.
    fn split(&mut self) -> (&mut Vec<Member>, Cx<'_>) {
        let now = self.clock.now();
        let Nodes { members, parts, filter, ids, actions, .. } = self;
        (members, Cx { now, config: &parts.config, filter, seeds: &parts.seeds, out: actions, ids, owner: 0 })
    }

    /// Calls a node, and does what it says.
    fn call<R>(&mut self, place: usize, act: impl FnOnce(&mut Node, &mut Cx<'_>) -> R) -> Option<R> {
        let (members, mut cx) = self.split();
        let result = act(&mut members.get_mut(place)?.node, &mut cx);
        self.settle(place);
        Some(result)
    }

    /// The first calls.
    fn begin(&mut self) {
        let targets = self.parts.bootstrap.clone();
        for place in 0..self.members.len() {
            self.call(place, |node, cx| {
                // What was saved is due at once.
                node.tick(cx);
                if !targets.is_empty() {
                    node.bootstrap(cx, targets.iter().cloned());
                }
            });
        }
        self.see_whether_cut_off();
    }

    fn see_whether_cut_off(&mut self) {
        if let Some(why) = self.way.none() {
            self.notice(DhtNotice::CutOff(why));
        }
    }

    /// When to wake by itself.
    fn arm(&mut self) -> Option<std::time::Instant> {
        let due = self.deadline().map(|at| at.max(self.clock.now() + LEAST_WAIT));
        self.armed = due;
        // What lies too far ahead to be said does not come.
        due.and_then(|at| self.clock.instant(at))
    }

    fn deadline(&self) -> Option<Time> {
        self.members.iter().filter_map(|member| member.node.deadline(&self.parts.config.dht)).min()
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        for place in 0..self.members.len() {
            let due = self.members[place].node.deadline(&self.parts.config.dht);
            if due.is_some_and(|due| due <= now) {
                self.call(place, Node::tick);
            }
        }
    }

    fn datagram(&mut self, place: usize, from: SocketAddr, bytes: &[u8]) {
        if !Node::is_for(bytes) {
            return;
        }
        let (members, mut cx) = self.split();
        // The other family's table, for who asks for nodes of both: that of the first node that has it.
        let (before, rest) = members.split_at_mut(place);
        let Some((member, behind)) = rest.split_first_mut() else { return };
        let v6 = member.local.is_ipv6();
        let other = before.iter().chain(behind.iter()).find(|other| other.local.is_ipv6() != v6);
        member.node.datagram(&mut cx, other.map(|other| other.node.table()), from, bytes);
        self.settle(place);
        let armed = self.armed;
        if self.deadline().is_some_and(|due| armed.is_none_or(|armed| due + LEAST_WAIT < armed)) {
            // When it is full, it wakes already.
            let _ = self.wake.try_send(());
        }
    }

    fn take_on(&mut self, number: u64, of: Option<SocketAddr>, mut begin: Begin, say: Sender<NodeSaid>) {
        let fits = |member: &Member| of.is_none_or(|addr| addr.is_ipv6() == member.local.is_ipv6());
        let mut places: Vec<usize> = (0..self.members.len()).filter(|place| fits(&self.members[*place])).collect();
        if of.is_some() {
            places.truncate(1);
        }
        // All are counted before the first may end.
        self.open.insert(number, Open { say, left: places.len() });
        for place in places {
            let (members, mut cx) = self.split();
            match begin(&mut members[place].node, &mut cx) {
                Some(task) => {
                    self.tasks.insert((place, task), number);
                }
                None => self.ended(number),
            }
            self.settle(place);
        }
        if self.open.get(&number).is_some_and(|open| open.left == 0) {
            self.open.remove(&number);
        }
    }

    fn cancel(&mut self, number: u64) {
        self.open.remove(&number);
        let gone: Vec<(usize, TaskId)> =
            self.tasks.iter().filter(|(_, of)| **of == number).map(|(key, _)| *key).collect();
        for (place, task) in gone {
            self.tasks.remove(&(place, task));
            self.call(place, |node, cx| node.cancel(cx, task));
        }
    }

    fn ended(&mut self, number: u64) {
        if let Some(open) = self.open.get_mut(&number) {
            open.left = open.left.saturating_sub(1);
            if open.left == 0 {
                self.open.remove(&number);
            }
        }
    }

    pub(super) fn views(&mut self) -> Vec<NodeView> {
        let now = self.clock.now();
        self.members.iter().map(|member| member.node.view(now, &self.parts.config.dht)).collect()
    }

    pub(super) fn saved(&mut self) -> Vec<Saved> {
        self.members.iter().map(|member| member.node.save(&self.parts.config.dht)).collect()
    }

    pub(super) fn restart(&mut self) {
        for place in 0..self.members.len() {
            self.call(place, Node::restart);
        }
    }

    /// Does what a node has ordered, and passes on what it has said.
    fn settle(&mut self, place: usize) {
        loop {
            for action in std::mem::take(&mut self.actions.list) {
                match action {
                    Action::SendDatagrams { sock: SocketId(number), to, segment, bytes, dont_fragment } => {
                        if let Some(member) = self.members.get(number as usize) {
                            self.way.sent(to, udp::send(member.udp.get_ref(), to, segment, &bytes, dont_fragment));
                        }
                    }
                    Action::Start { job, work: Work::Resolve { host } } => self.resolve(job, host),
                    // A node says nothing else.
                    other => tracing::error!(?other, "a node of the DHT wants what none can want"),
                }
            }
            let Some(said) = self.members.get_mut(place).and_then(|member| member.node.said()) else { return };
            self.hear(place, said);
        }
    }

    fn hear(&mut self, place: usize, said: NodeSaid) {
        let Some(local) = self.members.get(place).map(|member| member.local) else { return };
        match said {
            NodeSaid::Peers { task, .. } | NodeSaid::Item { task, .. } | NodeSaid::Samples { task, .. } => {
                let open = self.tasks.get(&(place, task)).and_then(|number| self.open.get(number));
                if let Some(open) = open {
                    // It fails when nobody listens any more.
                    let _ = open.say.try_send(said);
                }
            }
            // One that nobody waits for is something that is done again.
            NodeSaid::Ended { task, .. } => {
                if let Some(number) = self.tasks.remove(&(place, task)) {
                    if let Some(open) = self.open.get(&number) {
                        let _ = open.say.try_send(said);
                    }
                    self.ended(number);
                }
            }
            NodeSaid::OtherFamily(contacts) => {
                let other = self.members.iter().position(|member| member.local.is_ipv6() != local.is_ipv6());
                if let Some(other) = other {
                    for contact in contacts {
                        self.call(other, |node, cx| node.add_node(cx, contact.addr));
                    }
                }
            }
            NodeSaid::Ready => {
                self.parts.ready.close();
                self.notice(DhtNotice::Ready(local));
            }
            NodeSaid::OwnAddress { ip, id } => self.notice(DhtNotice::OwnAddress { local, ip, id }),
            NodeSaid::SaveDue => self.save(),
            // It goes on trying; whoever waits for it has a limit of its own.
            NodeSaid::Unreachable { .. } => {}
        }
    }

    fn notice(&self, notice: DhtNotice) {
        // The oldest gives way. It fails when the handle is gone.
        let _ = self.parts.notices.force_send(notice);
    }

    fn resolve(&mut self, job: JobId, host: String) {
        let (resolver, me) = (self.parts.resolver.clone(), Weak::clone(&self.me));
        self.way.asking += 1;
        let lookup = async move {
            let result = resolver.resolve(host.clone()).await;
            let Some(nodes) = me.upgrade() else { return };
            let mut nodes = nodes.borrow_mut();
            nodes.way.asking -= 1;
            match &result {
                Ok(found) if found.is_empty() => nodes.way.fails(format!("{host} has no address")),
                Ok(_) => {}
                Err(fault) => nodes.way.fails(format!("the address of {host} cannot be found: {fault}")),
            }
            nodes.job_done(job, &result.map(JobResult::Resolved));
            nodes.see_whether_cut_off();
        };
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(lookup).detach();
        }
    }

    fn job_done(&mut self, job: JobId, result: &Result<JobResult, IoFault>) {
        // Its own node knows it, and the others do not.
        for place in 0..self.members.len() {
            if self.call(place, |node, cx| node.job_done(cx, job, result)) == Some(true) {
                break;
            }
        }
        let _ = self.wake.try_send(());
    }

    /// Saves, one time after the other.
    fn save(&mut self) {
        let Some(state) = self.parts.state.clone() else { return };
        if self.saving {
            self.save_again = true;
            return;
        }
        self.saving = true;
        let (version, saved, me) = (state.next_version(), self.saved(), Weak::clone(&self.me));
        let store = async move {
            let stored = blocking::unblock(move || state.store(version, &saved)).await;
            let Some(nodes) = me.upgrade() else { return };
            let mut nodes = nodes.borrow_mut();
            if let Err(error) = stored {
                nodes.notice(DhtNotice::SaveFailed(error.to_string()));
            }
            nodes.saving = false;
            if std::mem::take(&mut nodes.save_again) {
                nodes.save();
            }
        };
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(store).detach();
        }
    }
}
